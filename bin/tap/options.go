package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"tapstack/lib"
	"tapstack/lib/lifecycle"
	"tapstack/lib/printable"
	"tapstack/lib/session"
	"tapstack/lib/sweep"
	"tapstack/lib/target"
)

const (
	outputText = "text"
	outputJSON = "json"

	providerLocal    = "local"
	providerOfficial = "official"

	// The variables stand in for --backend and --secrets-provider on target aws.
	backendVariable = "TAPSTACK_BACKEND"
	secretsVariable = "TAPSTACK_SECRETS_PROVIDER"

	// ciVariable is set by GitHub Actions and most other CI systems: whoever set up the job has agreed.
	ciVariable = "CI"
)

// options are the flags that several commands have, as given.
type options struct {
	target, endpoint, image, suffix, output, provider, region string
	stateDir, backend, secretsProvider                        string

	config     []string
	allow      []string
	run        []string
	dataPlane  string
	ttl        time.Duration
	port       int
	noProgress bool
	yes        bool
	unlock     bool
}

func (o *options) bind(flags *pflag.FlagSet) {
	suffix := cmp.Or(os.Getenv(lib.SuffixVariable), "dev")
	flags.StringVar(&o.target, "target", target.Local, "where the AWS API is: "+strings.Join(target.Names(), ", "))
	flags.StringVar(&o.endpoint, "endpoint", "", "URL of the AWS API, for target endpoint, or of a LocalStack that runs already, for target localstack ($LOCALSTACK_ENDPOINT)")
	flags.StringVar(&o.image, "image", "", "container image, for target localstack (default $LOCALSTACK_IMAGE or "+target.DefaultImage+")")
	flags.StringVar(&o.region, "region", "", "AWS region, for target aws (default $AWS_REGION, $AWS_DEFAULT_REGION, that of the deployed stack, or "+target.Region+")")
	flags.StringVar(&o.suffix, "suffix", suffix, "environmentSuffix of the stack, the end of every resource name ($ENVIRONMENT_SUFFIX)")
	flags.StringArrayVar(&o.config, "config", nil, "a configuration value, as `key=value`; may be repeated")
	flags.DurationVar(&o.ttl, "ttl", 0, "time after which tap sweep may remove the stack (demo: 6h unless given; up: never unless given)")
	flags.StringVar(&o.output, "output", outputText, "how results are printed: text, json")
	flags.IntVar(&o.port, "port", 0, "port of the local emulator, or of LocalStack, on 127.0.0.1; 0 takes a free one")
	flags.StringVar(&o.stateDir, "state-dir", "", "folder of the states (default $XDG_STATE_HOME/tapstack or ~/.local/state/tapstack)")
	flags.StringVar(&o.backend, "backend", "",
		"`URL` of the bucket that keeps the states instead, s3://bucket/prefix?region=us-east-1 (on aws: $"+backendVariable+")")
	flags.StringVar(&o.secretsProvider, "secrets-provider", "",
		"`URL` of the KMS key of the secrets in the bucket, awskms://alias/NAME?region=us-east-1 (on aws: $"+secretsVariable+")")
	flags.StringVar(&o.provider, "provider", "", "the aws provider: local (in this process, the default on emulators) or official (downloaded; always on aws)")
	flags.BoolVar(&o.noProgress, "no-progress", false, "print only what each phase came to")
	flags.BoolVar(&o.yes, "yes", false, "agree to changes in a real account (target aws; CI=true agrees as well)")
}

// bindUnlock adds the flag of the commands that lock the state.
func (o *options) bindUnlock(flags *pflag.FlagSet) {
	flags.BoolVar(&o.unlock, "unlock", false, "remove the lock of a run that is known to be dead, wherever it ran, and take over a stack that this state knows and another has claimed")
}

// bindAllow adds the flag of the commands that plan a deployment.
func (o *options) bindAllow(flags *pflag.FlagSet) {
	flags.StringSliceVar(&o.allow, "allow-replace", nil,
		"a resource, by its `name` in the plan, that may be replaced or deleted with all that is lost by it; may be repeated")
}

// bindDataPlane adds the flags of the commands that have what is deployed run on this machine.
func (o *options) bindDataPlane(flags *pflag.FlagSet) {
	flags.StringVar(&o.dataPlane, "data-plane", planeAuto,
		"run the deployed services, load balancer and database on this machine: on, off, or auto, which is on for target local on Linux")
	flags.StringArrayVar(&o.run, "run", nil,
		"the command that stands for the image of a container, as `CONTAINER=COMMAND` (payment-api=./my-api); may be repeated; the others run the reference services")
}

// needs are what a command asks of its request, besides a stack to work on.
type needs struct {
	program  bool    // a whole configuration, since it runs the program
	fresh    bool    // of which nothing is stored
	emulated bool    // on an emulator, whatever the target
	changes  bool    // leave to change the cloud
	runs     bool    // has what is deployed run on this machine, on emulators
	region   bool    // works on a whole region, whatever stack is in it
	faults   []error // what is wrong with the flags that it alone has
	// left tells, after a second interrupt, what is left and how to go on. Nil is for commands that destroy can follow.
	left func(*request) string
}

func (n needs) finish(r *request) string {
	if n.left != nil {
		return n.left(r)
	}
	return "To finish the clean-up: " + r.tell("destroy")
}

// request is what a command is to do, found to be right.
type request struct {
	session.Options
	json     bool
	progress bool
	// assumed are the test values in the configuration.
	assumed map[string]string
	// rerun holds the flags that lead another command to the same stack.
	rerun []string
	// region is where the stack is meant to go, whatever it is worked on.
	region string
}

// request holds the options to what a command needs and tells all that is wrong at once.
func (o *options) request(ctx context.Context, command string, needs needs) (*request, error) {
	r := &request{
		Options: session.Options{
			Target: o.cloud(), Suffix: o.suffix, Official: o.provider == providerOfficial, Unlock: o.unlock, Changes: needs.changes,
		},
		json: o.output == outputJSON, progress: !o.noProgress, rerun: o.rerun(),
	}
	plane, fault := o.plane(needs.runs)
	r.DataPlane = plane
	given, err := pairs(o.config)
	if len(o.allow) > 0 {
		given[lib.ConfigAllowReplace] = strings.Join(o.allow, ",")
	}
	faults := append([]error{r.Target.Fault(), o.outputFault(), fault}, o.faults(command, needs)...)
	faults = append(append(faults, needs.faults...), err)
	settings := session.Settings{Given: given, Fresh: needs.fresh, Assume: o.target != target.AWS || needs.emulated, TTL: o.ttl}
	if fault := lib.ValidateSuffix(o.suffix); fault != nil {
		faults = append(faults, fault)
		if needs.program {
			// It leads to no state: the rest of the configuration is told against the defaults.
			legal := session.Options{Suffix: "dev", Target: r.Target}
			settings.Fresh = true
			_, err := legal.Configure(ctx, settings)
			faults = append(faults, err)
		}
	} else {
		r.Location, err = o.location(ctx, command, needs, &r.Target)
		faults = append(faults, err)
		if !needs.region && errors.Join(faults...) == nil {
			faults = append(faults, r.FindRegion(ctx))
		}
	}
	r.region = r.Target.Place()
	if err := errors.Join(faults...); err != nil || !needs.program {
		return r, err
	}
	r.assumed, err = r.Configure(ctx, settings)
	if needs.emulated {
		r.Target, r.Official = target.Options{Name: target.Local}, false
		delete(r.Config, lib.ConfigAllowedAccountIDs) // the emulator's account is not among them
	}
	return r, err
}

// faults are what is wrong with the flags by themselves.
func (o *options) faults(command string, needs needs) []error {
	var faults []error
	if !slices.Contains([]string{"", providerLocal, providerOfficial}, o.provider) {
		faults = append(faults, fmt.Errorf("unknown --provider %q: choose local or official", o.provider))
	}
	if o.target == target.AWS && o.provider == providerLocal {
		faults = append(faults, errors.New("--provider local is for emulators: target aws always uses the official provider"))
	}
	if o.target == target.AWS && needs.changes && !o.yes && os.Getenv(ciVariable) != "true" {
		faults = append(faults, fmt.Errorf("%s changes a real AWS account and costs money: agree with --yes", command))
	}
	if o.ttl < 0 {
		faults = append(faults, fmt.Errorf("--ttl %s lies in the past", o.ttl))
	}
	if o.ttl > 0 && !needs.program {
		faults = append(faults, fmt.Errorf("--ttl is for demo, preview, up and recover: %s does not deploy", command))
	}
	if len(o.config) > 0 && !needs.program {
		faults = append(faults, fmt.Errorf("--config is for demo, preview, cost, up and recover: %s does not run the program", command))
	}
	return faults
}

func (o *options) outputFault() error {
	if o.output != outputText && o.output != outputJSON {
		return fmt.Errorf("unknown --output %q: choose text or json", o.output)
	}
	return nil
}

// location is where the states are.
func (o *options) location(ctx context.Context, command string, needs needs, cloud *target.Options) (lifecycle.Location, error) {
	backend, secrets := o.backend, o.secretsProvider
	if o.target == target.AWS {
		backend, secrets = cmp.Or(backend, os.Getenv(backendVariable)), cmp.Or(secrets, os.Getenv(secretsVariable))
	}
	dir, err := lifecycle.StateDir(o.stateDir)
	if err != nil {
		return lifecycle.Location{}, err
	}
	cloud.Home = filepath.Join(dir, cloud.Key())
	switch {
	case backend == "" && secrets != "":
		err = errors.New("--secrets-provider goes with --backend: in a folder, the secrets are encrypted with a passphrase")
	case backend == "":
	case o.target != target.AWS && o.target != target.Endpoint:
		err = fmt.Errorf("--backend is for targets aws and endpoint: target %s keeps its states in a folder, since its own S3 ends with it", o.target)
	case secrets == "" && needs.program:
		err = fmt.Errorf("--backend needs --secrets-provider for %s: a passphrase made here would be lost with this machine", command)
	default:
		return lifecycle.InBucket(ctx, cloud.Home, lifecycle.BucketOptions{
			Project: lib.ProjectName, Backend: backend, SecretsProvider: secrets, Env: cloud.Env(),
		})
	}
	return lifecycle.InFolder(lib.ProjectName, cloud.Home), err
}

// cloud is the target as it is meant, by flags and environment.
func (o *options) cloud() target.Options {
	return target.Options{Name: o.target, Endpoint: o.endpoint, Image: o.image, Port: o.port, Region: o.region}.FromEnvironment()
}

// rerun repeats the flags that find the stack again.
func (o *options) rerun() []string {
	cloud := o.cloud()
	flags := []string{"--target", o.target}
	if cloud.Endpoint != "" {
		flags = append(flags, "--endpoint", cloud.Endpoint)
	}
	flags = append(flags, "--suffix", o.suffix)
	for _, it := range []struct{ flag, value string }{
		{"--state-dir", o.stateDir},
		{"--backend", o.backend},
		{"--secrets-provider", o.secretsProvider},
		{"--provider", o.provider},
	} {
		if it.value != "" {
			flags = append(flags, it.flag, it.value)
		}
	}
	if cloud.Place() != target.Region {
		flags = append(flags, "--region", cloud.Place())
	}
	if o.target == target.AWS {
		flags = append(flags, "--yes")
	}
	return flags
}

// tell is the command line of another command on the same stack.
func (r *request) tell(command string) string { return commandLine(command, r.rerun) }

func commandLine(command string, flags []string) string {
	self := os.Args[0]
	if strings.Contains(self, "go-build") {
		self = "go run ./bin/tap"
	}
	parts := []string{self, command}
	for _, flag := range flags {
		if strings.ContainsAny(flag, " \t\"'$&;|*?") {
			flag = strconv.Quote(flag)
		}
		parts = append(parts, flag)
	}
	return strings.Join(parts, " ")
}

// explain says what to do about a stack that could not be opened.
func (r *request) explain(err error) error {
	var used *lifecycle.InUseError
	var claimed *session.ClaimedError
	switch {
	case errors.As(err, &claimed):
		return fmt.Errorf("%w\n%s", err, r.besides(claimed))
	case errors.As(err, &used) && used.User.PID > 0:
		return fmt.Errorf("%w: wait for it to end, then run the command again; kill -INT %d ends it cleanly", err, used.User.PID)
	case errors.Is(err, lifecycle.ErrNoStack):
		return fmt.Errorf("%w: %s creates it", err, r.tell("up"))
	case session.Gone(err):
		return fmt.Errorf("%w; clear its state with: %s", err, r.tell("destroy"))
	case errors.Is(err, lifecycle.ErrInterrupted) && r.Changes:
		return fmt.Errorf("%w before anything was changed\nGo on with: %s", err, r.tell(strings.TrimPrefix(r.Command, "tap ")))
	}
	return err
}

// besides says what to do about a stack that another state has.
func (r *request) besides(claimed *session.ClaimedError) string {
	where := "that folder (--state-dir), on its machine"
	if strings.HasPrefix(claimed.Claim.Place, "s3://") {
		where = "--backend " + printable.Text(claimed.Claim.Place)
	}
	remains := sweepFlags{Options: sweep.Options{Owner: lib.DefaultOwner, Suffix: r.Suffix, IgnoreExpiry: true}}
	text := fmt.Sprintf("Nothing was changed. Go on with %s, or take another --suffix.\nIf that state is lost: ", where)
	if claimed.Known {
		return text + fmt.Sprintf("%s --unlock takes the stack over, %s removes it.", r.tell("up"), remains.again(r))
	}
	return text + fmt.Sprintf("%s makes one of what is there, %s removes that.", r.tell("recover"), remains.again(r))
}

func pairs(given []string) (map[string]string, error) {
	values := make(map[string]string, len(given))
	var faults []error
	for _, pair := range given {
		key, value, found := strings.Cut(pair, "=")
		_, twice := values[key]
		switch {
		case !found || key == "":
			faults = append(faults, fmt.Errorf("--config %q is not key=value", pair))
		case key == lib.ConfigEnvironmentSuffix:
			faults = append(faults, fmt.Errorf("%s is set with --suffix", lib.ConfigEnvironmentSuffix))
		case key == lib.ConfigAllowReplace:
			faults = append(faults, fmt.Errorf("%s is set with --allow-replace", lib.ConfigAllowReplace))
		case twice:
			faults = append(faults, fmt.Errorf("--config %s is given twice", key))
		default:
			values[key] = value
		}
	}
	return values, errors.Join(faults...)
}
