package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tapstack/lib/cache"
	"tapstack/lib/dataplane/postgres"
	"tapstack/lib/lifecycle"
	"tapstack/lib/lifecycle/cli"
	"tapstack/lib/preflight"
	"tapstack/lib/printable"
	"tapstack/lib/session"
	"tapstack/lib/target"
)

// finding is one line of the doctor's report: ok, missing, or unused where the target does without it.
type finding = preflight.Finding

const (
	statusOK                       = preflight.OK
	statusMissing preflight.Status = "missing"
	statusUnused  preflight.Status = "unused"
)

// lookTimeout bounds each look at something outside this machine.
const lookTimeout = 5 * time.Second

// verdict is what the doctor says of one target.
type verdict struct {
	Target string `json:"target"`
	CanRun bool   `json:"canRun"`
	// Detail says with what it runs, or what is missing; Advice what to do then.
	Detail string   `json:"detail"`
	Advice []string `json:"advice,omitempty"`
}

func (a *app) doctorCommand() *cobra.Command {
	var command *cobra.Command
	command = a.does(&cobra.Command{
		Use: "doctor", Short: "Show where tap can run here, and what is missing",
		Long: "Says of each target whether it can run on this machine, and what to do where it cannot; with --target, in detail.\n" +
			"Exits with 1 if the target, or none of them, can run.",
		Example: "  tap doctor\n  tap doctor --target aws",
	}, always(needs{}), func(ctx context.Context, s *session.Session, r *request) error {
		return a.doctor(ctx, &doctor{s, r}, command.Flags().Changed("target"))
	})
	return command
}

// doctor looks at this machine, and at what is wanted of it.
type doctor struct {
	*session.Session
	*request
}

// doctor says what the chosen target needs and has, or else of each target whether it can run.
func (a *app) doctor(ctx context.Context, d *doctor, chosen bool) error {
	machine := d.lookAtMachine(ctx)
	if chosen {
		return a.tellFindings(d.request, slices.Concat(machine, d.lookAt(ctx, d.Target.Name)))
	}
	names := target.Names()
	verdicts := make([]verdict, len(names))
	var looks sync.WaitGroup
	for index, name := range names {
		looks.Go(func() { verdicts[index] = judge(name, machine, d.lookAt(ctx, name)) })
	}
	looks.Wait()
	return a.tellVerdicts(d.request, machine, verdicts)
}

// lookAtMachine looks at what every target needs.
func (d *doctor) lookAtMachine(ctx context.Context) []finding {
	return []finding{lookForGo(ctx), lookForPulumi(ctx), lookAtCache(), lookAtFolder("state folder", d.Target.Home)}
}

// lookAt looks at what one target needs besides. The last finding is the target itself.
func (d *doctor) lookAt(ctx context.Context, name string) []finding {
	switch name {
	case target.Local:
		return []finding{lookForMoto(ctx), lookForDocker(ctx), lookForPostgres(ctx), d.lookAtEmulator(ctx)}
	case target.AWS:
		return append(lookForPlugins(ctx), d.lookAtAWS(ctx)...)
	case target.Endpoint:
		return []finding{d.lookAtEndpoint(ctx)}
	}
	return d.lookAtLocalStack(ctx)
}

// judge says of a target whether it can run.
func judge(name string, machine, own []finding) verdict {
	v := verdict{Target: name, CanRun: true, Detail: own[len(own)-1].Detail}
	var missing []string
	for _, it := range slices.Concat(machine, own) {
		if it.Status != statusMissing {
			continue
		}
		missing = append(missing, it.What+": "+it.Detail)
		if it.Advice != "" {
			v.Advice = append(v.Advice, it.Advice)
		}
	}
	if len(missing) > 0 {
		v.CanRun, v.Detail = false, strings.Join(missing, "; ")
	}
	return v
}

func (a *app) tellFindings(r *request, findings []finding) error {
	if r.json {
		if err := a.printJSON(findings); err != nil {
			return err
		}
	} else {
		a.printFindings(findings)
	}
	if slices.ContainsFunc(findings, func(it finding) bool { return it.Status == statusMissing }) {
		return errReported
	}
	return nil
}

func (a *app) tellVerdicts(r *request, machine []finding, verdicts []verdict) error {
	if r.json {
		if err := a.printJSON(map[string]any{"machine": machine, "targets": verdicts}); err != nil {
			return err
		}
	} else {
		a.printFindings(machine)
		a.print("")
		a.printVerdicts(verdicts)
	}
	if !slices.ContainsFunc(verdicts, func(v verdict) bool { return v.CanRun }) {
		return errReported
	}
	return nil
}

func (a *app) printVerdicts(verdicts []verdict) {
	for _, it := range verdicts {
		word, colour := "can run", "32"
		if !it.CanRun {
			word, colour = "cannot run", "31"
		}
		a.print("target %-10s  %s  %s", it.Target, a.paint(colour, fmt.Sprintf("%-10s", word)), it.Detail)
		for _, advice := range it.Advice {
			a.print("  %s", strings.ReplaceAll(advice, "\n", "\n  "))
		}
	}
	a.print("In detail: tap doctor --target NAME")
}

func (a *app) printFindings(findings []finding) {
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, it := range findings {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", it.What, it.Status, printable.Text(it.Detail))
	}
	_ = table.Flush()
	for _, it := range findings {
		if it.Advice != "" {
			a.print("%s: %s", a.paint("33", it.What), it.Advice)
		}
	}
}

func found(what, detail string) finding { return finding{What: what, Status: statusOK, Detail: detail} }

func missing(what, detail, advice string) finding {
	return finding{What: what, Status: statusMissing, Detail: detail, Advice: advice}
}

func unused(what, detail string) finding {
	return finding{What: what, Status: statusUnused, Detail: detail}
}

func lookForGo(ctx context.Context) finding {
	path, version, err := cli.LookForGo(ctx)
	switch {
	case path == "":
		return finding{What: "go", Status: statusUnused, Detail: "not on PATH", Advice: "Needed only to build tap or the Pulumi CLI: https://go.dev/dl"}
	case err != nil:
		return missing("go", err.Error(), "Reinstall Go: https://go.dev/dl")
	}
	return found("go", fmt.Sprintf("%s (%s)", version, path))
}

func lookForPulumi(ctx context.Context) finding {
	engine, err := cli.Look(ctx)
	if err != nil {
		return missing("pulumi", err.Error(), "Run inside the repository, or install Pulumi: https://www.pulumi.com/docs/install")
	}
	if engine.Path != "" {
		return found("pulumi", fmt.Sprintf("%s (%s; %s)", engine.Version, engine.Path, engine.Reason))
	}
	if path, _, _ := cli.LookForGo(ctx); path == "" {
		return missing("pulumi", engine.Reason+", and no go to build it with", "Install Go or Pulumi.")
	}
	return found("pulumi", fmt.Sprintf("%s will be built at the first run, about 3 min (%s)", engine.Version, engine.Reason))
}

func lookForMoto(ctx context.Context) finding {
	moto, err := target.LookForMoto(ctx)
	if err != nil {
		return missing("moto", "the local AWS API cannot be run", err.Error())
	}
	with := moto.Python
	if moto.Docker != "" {
		with = moto.Docker
	}
	return found("moto", fmt.Sprintf("%s (%s; %s)", moto.Version, with, moto.Reason))
}

// lookForPostgres looks for the database of the data plane, without which a stack can be deployed all the same.
func lookForPostgres(ctx context.Context) finding {
	server, err := postgres.Find(ctx)
	switch {
	case err != nil:
		return unused("postgresql", err.Error()+"; needed only by the data plane (--data-plane=off goes without)")
	case !server.Ready:
		return found("postgresql", fmt.Sprintf("%s will be fetched at the first run (%s)", server.Version, server.Reason))
	}
	return found("postgresql", fmt.Sprintf("%s (%s; %s)", server.Version, server.Bin, server.Reason))
}

func lookForDocker(ctx context.Context) finding {
	path, version, err := target.LookForDocker(ctx)
	switch {
	case path == "":
		return unused("docker", "not on PATH; needed only where moto has no Python")
	case err != nil:
		return unused("docker", path+", no engine answers; needed only where moto has no Python")
	}
	return found("docker", version+" ("+path+")")
}

func lookAtCache() finding {
	dir, err := cache.Dir()
	if err != nil {
		return missing("cache folder", err.Error(), "Set "+cache.EnvDir+".")
	}
	return lookAtFolder("cache folder", dir)
}

func lookAtFolder(what, dir string) finding {
	if err := lifecycle.Writable(dir); err != nil {
		return missing(what, err.Error(), "Make it writable, or set XDG_CACHE_HOME and XDG_STATE_HOME.")
	}
	return found(what, dir)
}

// lookAtEmulator says whether the local cloud is running already.
func (d *doctor) lookAtEmulator(ctx context.Context) finding {
	const what = "target " + target.Local
	endpoint, err := target.Running(ctx, filepath.Join(filepath.Dir(d.Target.Home), target.Local))
	switch {
	case session.Gone(err):
		return finding{What: what, Status: statusOK, Detail: "was at " + endpoint + " and is gone", Advice: "Clear the state of what lived there: " + d.tell("destroy")}
	case err != nil:
		return missing(what, err.Error(), "")
	case endpoint == "":
		return found(what, "is started when it is needed")
	}
	return found(what, "runs at "+endpoint)
}

// lookAtEndpoint asks the endpoint that was given.
func (d *doctor) lookAtEndpoint(ctx context.Context) finding {
	const what = "target " + target.Endpoint
	if d.Target.Name != target.Endpoint {
		return missing(what, "no --endpoint is given", "Start any AWS-compatible API, and give its address: --target endpoint --endpoint URL")
	}
	if err := d.OpenCloud(ctx, target.WithTool); err != nil {
		return missing(what, err.Error(), "Start it, or give another --endpoint.")
	}
	if len(d.Cloud.Gaps) > 0 {
		return found(what, fmt.Sprintf("answers at %s; it lacks %s", d.Cloud.Endpoint, target.ListGaps(d.Cloud.Gaps)))
	}
	return found(what, "answers at "+d.Cloud.Endpoint)
}

// lookAtLocalStack looks for a LocalStack that runs, or for what it takes to start one.
func (d *doctor) lookAtLocalStack(ctx context.Context) []finding {
	const what = "target " + target.LocalStack
	options := target.Options{Name: target.LocalStack}
	if d.Target.Name == target.LocalStack {
		options = d.Target
	}
	look, err := target.LookForLocalStack(ctx, options)
	// Only that there is a token is told, never the token.
	token := unused("LOCALSTACK_AUTH_TOKEN", "not set; free images need none")
	if look.Token {
		token = found(token.What, "set")
	}
	switch {
	case look.Endpoint != "" && err != nil:
		return []finding{token, missing(what, err.Error(), "Start it, or leave out --endpoint and LOCALSTACK_ENDPOINT.")}
	case look.Endpoint != "" && len(look.Gaps) == 0:
		return []finding{token, found(what, look.Told+" answers at "+look.Endpoint)}
	case look.Endpoint != "":
		return []finding{token, lookForMoto(ctx), found(what, fmt.Sprintf("%s answers at %s; it lacks %s, which run on the local emulator",
			look.Told, look.Endpoint, plural(len(look.Gaps), "service")))}
	}
	engine, image := found("docker", "an engine answers"), lookForImage(ctx, look)
	own := found(what, "is started when it is needed, from "+look.Image)
	if err != nil {
		return []finding{token, missing("docker", err.Error(), "On Debian, .ci/install-docker installs and starts one."), own}
	}
	return []finding{token, engine, image, own}
}

// lookForImage says whether LocalStack's image is there, or can be had.
func lookForImage(ctx context.Context, look target.Look) finding {
	switch {
	case look.Present:
		return found("image", look.Image+" is here")
	case look.Registry == "":
		return missing("image", look.Image+" is not here, and in no registry", "Build it with sudo fixtures/localstack/build-image, or name another with --image or LOCALSTACK_IMAGE.")
	case lifecycle.Reachable(ctx, look.Registry):
		return found("image", look.Image+" will be pulled at the first run")
	}
	return missing("image", look.Image+" is not here, and its registry cannot be reached",
		"Build the default with sudo fixtures/localstack/build-image, and leave out --image and LOCALSTACK_IMAGE.")
}

// lookForPlugins looks for the official plugins, here or where the engine would get them.
func lookForPlugins(ctx context.Context) []finding {
	plugins, err := session.LookForPlugins(ctx)
	if err != nil {
		return []finding{missing("plugins", err.Error(), "Set "+cache.EnvDir+".")}
	}
	var all []finding
	for _, plugin := range plugins {
		what := "plugin " + plugin.Name
		switch {
		case plugin.Present:
			all = append(all, found(what, fmt.Sprintf("%s (%s)", plugin.Version, plugin.Dir)))
		case plugin.Reachable:
			all = append(all, found(what, plugin.Version+" will be downloaded at the first run"))
		default:
			all = append(all, missing(what, plugin.Version+" is not here, and where it is downloaded from cannot be reached",
				"Let this machine reach "+plugin.Archive+", or unpack it into "+plugin.Dir+"."))
		}
	}
	return all
}

// lookAtAWS looks for credentials, whose they are, and whether that account may be changed. It shows no credential.
func (d *doctor) lookAtAWS(ctx context.Context) []finding {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	region := target.Options{Name: target.AWS, Region: d.Target.Region}.FromEnvironment().Place()
	own := found("target "+target.AWS, region)
	account, source, err := preflight.FindCredentials(ctx, region)
	if err != nil {
		return []finding{missing("credentials", err.Error(), "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or log in (aws sso login)."), own}
	}
	all := []finding{found("credentials", "found ("+source+")")}
	allowed, err := d.AllowedAccounts(ctx)
	if err != nil {
		return append(all, missing("allowed accounts", err.Error(), session.HowToAllow), own)
	}
	for _, it := range preflight.Account(ctx, account, allowed).Findings {
		if it.Status != statusOK {
			it.Status = statusMissing
		}
		if it.What == "allowed accounts" && it.Status == statusMissing {
			it.Advice += " " + session.HowToAllow
		}
		it.What = strings.Replace(it.What, "credentials", "account", 1)
		all = append(all, it)
	}
	return append(all, own)
}
