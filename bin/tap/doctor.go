package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"

	"tapstack/lib/lifecycle/cache"
	"tapstack/lib/lifecycle/cli"
	"tapstack/lib/preflight"
	"tapstack/lib/target"
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

// glance bounds each look at something outside this machine, or at a program that may hang.
const glance = 5 * time.Second

// checkup is what the doctor says of one target.
type checkup struct {
	Target string `json:"target"`
	CanRun bool   `json:"canRun"`
	// Detail says with what it runs, or what is missing; Advice what to do then.
	Detail string   `json:"detail"`
	Advice []string `json:"advice,omitempty"`
}

// doctor says what one target needs and has, or of each target whether it can run.
func (a *app) doctor(ctx context.Context, p *plan) (err error) {
	s := a.begin(ctx, p)
	defer func() { err = errors.Join(err, s.end()) }()
	machine := s.lookAtMachine()
	if p.chosen {
		return a.tellFindings(p, slices.Concat(machine, s.lookAt(p.target.Name)), s.display.colours)
	}
	names := target.Names()
	checkups := make([]checkup, len(names))
	var looks sync.WaitGroup
	for index, name := range names {
		looks.Go(func() { checkups[index] = judge(name, machine, s.lookAt(name)) })
	}
	looks.Wait()
	return a.tellCheckups(p, machine, checkups, s.display.colours)
}

// lookAtMachine looks at what every target needs.
func (s *session) lookAtMachine() []finding {
	return []finding{s.lookForGo(), s.lookForPulumi(), s.lookAtCache(), s.lookAtFolder("state folder", s.plan.home)}
}

// lookAt looks at what one target needs besides. The last finding is the target itself.
func (s *session) lookAt(name string) []finding {
	switch name {
	case target.Local:
		return []finding{s.lookForMoto(), s.lookForDocker(), s.lookAtEmulator()}
	case target.AWS:
		return append(s.lookAtPlugins(), s.lookAtAWS()...)
	case target.Endpoint:
		return []finding{s.lookAtEndpoint()}
	}
	return s.lookAtLocalStack()
}

// judge says of a target whether it can run.
func judge(name string, machine, own []finding) checkup {
	verdict := checkup{Target: name, CanRun: true, Detail: own[len(own)-1].Detail}
	var missing []string
	for _, it := range slices.Concat(machine, own) {
		if it.Status != statusMissing {
			continue
		}
		missing = append(missing, it.What+": "+it.Detail)
		if it.Advice != "" {
			verdict.Advice = append(verdict.Advice, it.Advice)
		}
	}
	if len(missing) > 0 {
		verdict.CanRun, verdict.Detail = false, strings.Join(missing, "; ")
	}
	return verdict
}

func (a *app) tellFindings(p *plan, findings []finding, colours bool) error {
	if p.json {
		if err := a.printJSON(findings); err != nil {
			return err
		}
	} else {
		a.printFindings(findings, isTerminal(a.stdout) && colours)
	}
	for _, it := range findings {
		if it.Status == statusMissing {
			return errReported
		}
	}
	return nil
}

func (a *app) tellCheckups(p *plan, machine []finding, checkups []checkup, colours bool) error {
	if p.json {
		if err := a.printJSON(map[string]any{"machine": machine, "targets": checkups}); err != nil {
			return err
		}
	} else {
		a.printFindings(machine, isTerminal(a.stdout) && colours)
		a.print("")
		a.printCheckups(checkups, isTerminal(a.stdout) && colours)
	}
	for _, it := range checkups {
		if it.CanRun {
			return nil
		}
	}
	return errReported
}

func (a *app) printCheckups(checkups []checkup, colours bool) {
	for _, it := range checkups {
		verdict, colour := "can run", "32"
		if !it.CanRun {
			verdict, colour = "cannot run", "31"
		}
		a.print("target %-10s  %s  %s", it.Target, paint(colours, colour, fmt.Sprintf("%-10s", verdict)), it.Detail)
		for _, advice := range it.Advice {
			a.print("  %s", strings.ReplaceAll(advice, "\n", "\n  "))
		}
	}
	a.print("In detail: tap doctor --target NAME")
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

// quick bounds a look.
func (s *session) quick() (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.ctx, glance)
}

func (s *session) lookForGo() finding {
	path, err := exec.LookPath("go")
	if err != nil {
		return finding{"go", statusUnused, "not on PATH", "Needed only to build tap or the Pulumi CLI: https://go.dev/dl"}
	}
	ctx, cancel := s.quick()
	defer cancel()
	output, err := exec.CommandContext(ctx, path, "env", "GOVERSION").Output()
	if err != nil {
		return finding{"go", statusMissing, path + " does not answer", "Reinstall Go: https://go.dev/dl"}
	}
	return finding{"go", statusOK, fmt.Sprintf("%s (%s)", strings.TrimSpace(string(output)), path), ""}
}

func (s *session) lookForPulumi() finding {
	found, err := cli.Look(s.ctx)
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
	if err != nil {
		return finding{"moto", statusMissing, "the local AWS API cannot be run", err.Error()}
	}
	with := moto.Python
	if moto.Docker != "" {
		with = moto.Docker
	}
	return finding{"moto", statusOK, fmt.Sprintf("%s (%s; %s)", moto.Version, with, moto.Reason), ""}
}

func (s *session) lookForDocker() finding {
	version, path, err := s.dockerEngine()
	switch {
	case path == "":
		return finding{"docker", statusUnused, "not on PATH; needed only where moto has no Python", ""}
	case err != nil:
		return finding{"docker", statusUnused, path + ", no engine answers; needed only where moto has no Python", ""}
	}
	return finding{"docker", statusOK, version + " (" + path + ")", ""}
}

// dockerEngine asks the docker command for its engine's version. The path is empty where there is no such command.
func (s *session) dockerEngine() (version, path string, err error) {
	path, err = exec.LookPath("docker")
	if err != nil {
		return "", "", err
	}
	ctx, cancel := s.quick()
	defer cancel()
	output, err := exec.CommandContext(ctx, path, "version", "--format", "{{.Server.Version}}").Output()
	return strings.TrimSpace(string(output)), path, err
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

// lookAtEmulator says whether the local cloud is running already.
func (s *session) lookAtEmulator() finding {
	const what = "target " + target.Local
	home := s.plan.home
	if s.plan.target.Name != target.Local {
		home = filepath.Join(filepath.Dir(home), target.Local)
	}
	endpoint, alive, err := target.Running(s.ctx, home)
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

// lookAtEndpoint asks the endpoint that was given.
func (s *session) lookAtEndpoint() finding {
	const what = "target " + target.Endpoint
	if s.plan.target.Name != target.Endpoint {
		return finding{what, statusMissing, "no --endpoint is given", "Start any AWS-compatible API, and give its address: --target endpoint --endpoint URL"}
	}
	ctx, cancel := s.quick()
	defer cancel()
	opened, err := target.Open(ctx, s.plan.target)
	if err != nil {
		return finding{what, statusMissing, err.Error(), "Start it, or give another --endpoint."}
	}
	if err := opened.Close(); err != nil {
		return finding{what, statusMissing, err.Error(), ""}
	}
	return finding{what, statusOK, "answers at " + opened.Endpoint, ""}
}

// lookAtLocalStack looks for a LocalStack that runs, or for what it takes to start one.
func (s *session) lookAtLocalStack() []finding {
	options := target.Options{Name: target.LocalStack}
	if s.plan.target.Name == target.LocalStack {
		options = s.plan.target
	}
	ctx, cancel := s.quick()
	defer cancel()
	look, err := target.LookForLocalStack(ctx, options)
	// Only that there is a token is told, never the token.
	token := finding{"LOCALSTACK_AUTH_TOKEN", statusUnused, "not set; free images need none", ""}
	if look.Token {
		token = finding{token.What, statusOK, "set", ""}
	}
	own := finding{"target " + target.LocalStack, statusOK, "is started when it is needed, from " + look.Image, ""}
	switch {
	case look.Endpoint != "" && err != nil:
		own = finding{own.What, statusMissing, err.Error(), "Start it, or leave out --endpoint and LOCALSTACK_ENDPOINT."}
		return []finding{token, own}
	case look.Endpoint != "":
		own.Detail = look.Told + " answers at " + look.Endpoint
		if len(look.Gaps) > 0 {
			own.Detail += fmt.Sprintf("; it lacks %s, which run on the local emulator", plural(len(look.Gaps), "service"))
			return []finding{token, s.lookForMoto(), own}
		}
		return []finding{token, own}
	case err != nil:
		engine := finding{"docker", statusMissing, err.Error(), "On Debian, .ci/install-docker installs and starts one."}
		return []finding{token, engine, own}
	}
	return []finding{token, {"docker", statusOK, "an engine answers", ""}, s.lookForImage(look), own}
}

// lookForImage says whether LocalStack's image is there, or can be had.
func (s *session) lookForImage(look target.Look) finding {
	if look.Present {
		return finding{"image", statusOK, look.Image + " is here", ""}
	}
	registry := "https://registry-1.docker.io/v2/"
	if host, _, found := strings.Cut(look.Image, "/"); found && strings.ContainsAny(host, ".:") {
		registry = "https://" + host + "/v2/"
	}
	if err := s.answers(registry); err != nil {
		return finding{
			"image", statusMissing, look.Image + " is not here, and its registry cannot be reached",
			"Build a compatible one with fixtures/localstack/build-image, and name it with --image or LOCALSTACK_IMAGE.",
		}
	}
	return finding{"image", statusOK, look.Image + " will be pulled at the first run", ""}
}

// answers says whether an address answers at all, whatever it says.
func (s *session) answers(address string) error {
	ctx, cancel := s.quick()
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, address, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// plugins are the official plugins that a real account needs, with the modules whose versions they have.
func plugins() []struct{ name, module string } {
	return []struct{ name, module string }{
		{"aws", "github.com/pulumi/pulumi-aws/sdk/v6"},
		{"random", "github.com/pulumi/pulumi-random/sdk/v4"},
	}
}

// lookAtPlugins looks for the official plugins, here or where the engine would get them.
func (s *session) lookAtPlugins() []finding {
	var found []finding
	for _, plugin := range plugins() {
		found = append(found, s.lookForPlugin(plugin.name, moduleVersion(plugin.module)))
	}
	return found
}

// pluginSource is where the engine downloads plugins from.
const pluginSource = "https://get.pulumi.com/releases/plugins/"

func (s *session) lookForPlugin(name, version string) finding {
	what := "plugin " + name
	if version == "" {
		return finding{what, statusOK, "its version is not known in this build; the engine downloads it where it is missing", ""}
	}
	dir, err := cache.Dir()
	if err != nil {
		return finding{what, statusMissing, err.Error(), "Set " + cache.EnvDir + "."}
	}
	if info, err := os.Stat(filepath.Join(dir, "plugins", "resource-"+name+"-"+version)); err == nil && info.IsDir() {
		return finding{what, statusOK, version + " (" + dir + ")", ""}
	}
	archive := fmt.Sprintf("%spulumi-resource-%s-%s-%s-%s.tar.gz", pluginSource, name, version, runtime.GOOS, runtime.GOARCH)
	if err := s.answers(archive); err != nil {
		return finding{
			what, statusMissing, version + " is not here, and where it is downloaded from cannot be reached",
			"Let this machine reach " + archive + ", or unpack it into " + filepath.Join(dir, "plugins", "resource-"+name+"-"+version) + ".",
		}
	}
	return finding{what, statusOK, version + " will be downloaded at the first run", ""}
}

// moduleVersion is that of a module in this build, empty where the build does not tell.
func moduleVersion(path string) string {
	info, told := debug.ReadBuildInfo()
	if !told {
		return ""
	}
	for _, module := range info.Deps {
		if module.Path == path {
			return module.Version
		}
	}
	return ""
}

// lookAtAWS looks for credentials, whose they are, and whether that account may be changed. It shows no credential.
func (s *session) lookAtAWS() []finding {
	const what = "target " + target.AWS
	ctx, cancel := s.quick()
	defer cancel()
	region := s.plan.region
	if s.plan.target.Name != target.AWS {
		region = awsRegion("")
	}
	const log = "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or log in (aws sso login)."
	loaded, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithRegion(region), awsconfig.WithLogger(logging.Nop{}))
	if err != nil {
		return []finding{{"credentials", statusMissing, "the AWS configuration cannot be read: " + err.Error(), log}, {what, statusOK, region, ""}}
	}
	found, err := loaded.Credentials.Retrieve(ctx)
	if err != nil {
		return []finding{{"credentials", statusMissing, "none found", log}, {what, statusOK, region, ""}}
	}
	findings := []finding{{"credentials", statusOK, "found (" + found.Source + ")", ""}}
	list, err := s.plan.allowList(ctx)
	if err != nil {
		return append(findings, finding{"allowed accounts", statusMissing, err.Error(), howToAllow}, finding{what, statusOK, region, ""})
	}
	for _, it := range preflight.Account(ctx, loaded, list).Findings {
		status := statusOK
		if it.Status != preflight.OK {
			status = statusMissing
		}
		if it.What == "allowed accounts" && status == statusMissing {
			it.Advice += " " + howToAllow
		}
		findings = append(findings, finding{strings.Replace(it.What, "credentials", "account", 1), status, it.Detail, it.Advice})
	}
	return append(findings, finding{what, statusOK, region, ""})
}
