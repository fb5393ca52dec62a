package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"tapstack/fixtures/target"
	"tapstack/lib/lifecycle"
	"tapstack/lib/lifecycle/cache"
)

// finding is one line of the doctor's report.
type finding struct {
	What   string `json:"what"`
	Status string `json:"status"` // ok, missing, or unused when the target does without it
	Detail string `json:"detail"`
	Advice string `json:"advice,omitempty"`
}

const (
	statusOK      = "ok"
	statusMissing = "missing"
	statusUnused  = "unused"
)

func (a *app) doctor(ctx context.Context, p *plan) (err error) {
	s := a.begin(ctx, p)
	defer func() { err = errors.Join(err, s.end()) }()
	findings := []finding{
		s.lookForGo(), s.lookForPulumi(), s.lookForMoto(), s.lookForDocker(), s.lookAtCache(), s.lookAtFolder("state folder", p.home),
		s.lookAtTarget(),
	}
	if p.json {
		err = a.printJSON(findings)
	} else {
		a.printFindings(findings, isTerminal(a.stdout) && s.display.colours)
	}
	for _, it := range findings {
		if err == nil && it.Status == statusMissing {
			return errReported
		}
	}
	return err
}

func (a *app) printFindings(findings []finding, colours bool) {
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, it := range findings {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", it.What, it.Status, it.Detail)
	}
	_ = table.Flush()
	for _, it := range findings {
		if it.Advice != "" {
			a.print("%s: %s", paint(colours, "33", it.What), it.Advice)
		}
	}
}

func (s *session) lookForGo() finding {
	path, err := exec.LookPath("go")
	if err != nil {
		return finding{"go", statusUnused, "not on PATH", "Needed only to build tap or the Pulumi CLI: https://go.dev/dl"}
	}
	output, err := exec.CommandContext(s.ctx, path, "env", "GOVERSION").Output()
	if err != nil {
		return finding{"go", statusMissing, path + " does not answer", "Reinstall Go: https://go.dev/dl"}
	}
	return finding{"go", statusOK, fmt.Sprintf("%s (%s)", strings.TrimSpace(string(output)), path), ""}
}

func (s *session) lookForPulumi() finding {
	found, err := lifecycle.LookForEngine(s.ctx)
	if err != nil {
		return finding{"pulumi", statusMissing, err.Error(), "Run inside the repository, or install Pulumi: https://www.pulumi.com/docs/install"}
	}
	if found.Path != "" {
		return finding{"pulumi", statusOK, fmt.Sprintf("%s (%s; %s)", found.Version, found.Path, found.Reason), ""}
	}
	if _, err := exec.LookPath("go"); err != nil {
		return finding{"pulumi", statusMissing, found.Reason + ", and no go to build it with", "Install Go or Pulumi."}
	}
	return finding{"pulumi", statusOK, fmt.Sprintf("%s will be built at the first run, about 3 min (%s)", found.Version, found.Reason), ""}
}

func (s *session) lookForMoto() finding {
	moto, err := target.LookForMoto(s.ctx)
	switch {
	case err != nil && s.plan.target.Name != target.Local:
		return finding{"moto", statusUnused, "target " + s.plan.target.Name + " does without it", ""}
	case err != nil:
		return finding{"moto", statusMissing, "the local AWS API cannot be run", err.Error()}
	}
	with := moto.Python
	if moto.Docker != "" {
		with = moto.Docker
	}
	return finding{"moto", statusOK, fmt.Sprintf("%s (%s; %s)", moto.Version, with, moto.Reason), ""}
}

func (s *session) lookForDocker() finding {
	path, err := exec.LookPath("docker")
	if err != nil {
		return finding{"docker", statusUnused, "not on PATH; needed only where moto has no Python", ""}
	}
	output, err := exec.CommandContext(s.ctx, path, "version", "--format", "{{.Server.Version}}").Output()
	if err != nil {
		return finding{"docker", statusUnused, path + ", no engine answers; needed only where moto has no Python", ""}
	}
	return finding{"docker", statusOK, strings.TrimSpace(string(output)) + " (" + path + ")", ""}
}

func (s *session) lookAtCache() finding {
	dir, err := cache.Dir()
	if err != nil {
		return finding{"cache folder", statusMissing, err.Error(), "Set " + cache.EnvDir + "."}
	}
	return s.lookAtFolder("cache folder", dir)
}

// lookAtFolder tries whether a folder can be written, without making it.
func (s *session) lookAtFolder(what, dir string) finding {
	existing := dir
	for {
		info, err := os.Stat(existing)
		if err == nil && !info.IsDir() {
			return finding{what, statusMissing, existing + " is no folder", "Move it away."}
		}
		if err == nil || existing == filepath.Dir(existing) {
			break
		}
		existing = filepath.Dir(existing)
	}
	probe, err := os.CreateTemp(existing, ".tapstack-probe-*")
	if err != nil {
		return finding{what, statusMissing, dir + " cannot be written", "Make it writable, or set XDG_CACHE_HOME and XDG_STATE_HOME."}
	}
	_ = probe.Close()
	_ = os.Remove(probe.Name())
	return finding{what, statusOK, dir, ""}
}

func (s *session) lookAtTarget() finding {
	what := "target " + s.plan.target.Name
	if s.plan.target.Name == target.Local {
		endpoint, alive, err := target.Running(s.ctx, s.plan.home)
		switch {
		case err != nil:
			return finding{what, statusMissing, err.Error(), ""}
		case endpoint == "":
			return finding{what, statusOK, "is started when it is needed", ""}
		case alive:
			return finding{what, statusOK, "runs at " + endpoint, ""}
		}
		return finding{what, statusOK, "was at " + endpoint + " and is gone", "Clear the state of what lived there: " + s.plan.tell("destroy")}
	}
	if err := s.openTarget(target.WithTool); err != nil {
		return finding{what, statusMissing, err.Error(), ""}
	}
	return finding{what, statusOK, "answers", ""}
}
