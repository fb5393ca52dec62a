package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"tapstack/lib"
	"tapstack/lib/lifecycle"
	"tapstack/lib/target"
)

const (
	outputText = "text"
	outputJSON = "json"

	providerLocal    = "local"
	providerOfficial = "official"

	// demoTTL outlasts a demo on AWS, and a clean-up that has to be tried again.
	demoTTL = 6 * time.Hour
)

// testValues stand in, on emulators, for the keys that have no default.
var testValues = map[string]string{
	lib.ConfigPaymentAPIImage:   "registry.example.com/payment-api:1.0.0",
	lib.ConfigJobProcessorImage: "registry.example.com/job-processor:1.0.0",
	lib.ConfigAlertEmail:        "ops@example.com",
}

// options are the flags as given.
type options struct {
	target, endpoint, image, suffix, output, provider, region string
	stateDir, backend, secretsProvider                        string

	config     []string
	ttl        time.Duration
	port       int
	noProgress bool
	yes        bool
	// chosen says that the target is not just the default.
	chosen bool

	// list and report are verify's own, unlock that of the commands that lock the state.
	list   bool
	act    bool
	report string
	unlock bool
	// ifExists is destroy's own.
	ifExists bool
	// cost are the flags of cost alone.
	cost costFlags
	// sweep are the flags of sweep alone.
	sweep sweepFlags
}

func (o *options) bind(flags *pflag.FlagSet) {
	suffix := os.Getenv(lib.SuffixVariable)
	if suffix == "" {
		suffix = "dev"
	}
	flags.StringVar(&o.target, "target", target.Local, "where the AWS API is: "+strings.Join(target.Names(), ", "))
	flags.StringVar(&o.endpoint, "endpoint", "", "URL of the AWS API, for target endpoint, or of a LocalStack that runs already, for target localstack ($LOCALSTACK_ENDPOINT)")
	flags.StringVar(&o.image, "image", "", "container image, for target localstack (default $LOCALSTACK_IMAGE or "+target.DefaultImage+")")
	flags.StringVar(&o.region, "region", "", "AWS region, for target aws (default $AWS_REGION, $AWS_DEFAULT_REGION or "+target.Region+")")
	flags.StringVar(&o.suffix, "suffix", suffix, "environmentSuffix of the stack, the end of every resource name ($ENVIRONMENT_SUFFIX)")
	flags.StringArrayVar(&o.config, "config", nil, "a configuration value, as `key=value`; may be repeated")
	flags.DurationVar(&o.ttl, "ttl", 0, "time after which tap sweep may remove the stack (demo: 6h unless given; up: never unless given)")
	flags.StringVar(&o.output, "output", outputText, "how results are printed: text, json")
	flags.IntVar(&o.port, "port", 0, "port of the local emulator, or of LocalStack, on 127.0.0.1; 0 takes a free one")
	o.bindStates(flags)
	flags.StringVar(&o.provider, "provider", "", "the aws provider: local (in this process, the default on emulators) or official (downloaded; always on aws)")
	flags.BoolVar(&o.noProgress, "no-progress", false, "print only what each phase came to")
	flags.BoolVar(&o.yes, "yes", false, "agree to changes in a real account (target aws; CI=true agrees as well)")
}

// bindVerify adds the flags that verify alone has.
func (o *options) bindVerify(flags *pflag.FlagSet) {
	flags.Func("report", "write report.json, junit.xml, report.md and index.html into `DIR`", func(dir string) error {
		if dir == "" {
			return errors.New("name a folder")
		}
		o.report = dir
		return nil
	})
	flags.BoolVar(&o.act, "act", false, "also run the checks that act on the stack and undo it: a message through the queue, an alarm set off (operations are notified), a failover of the database")
	flags.BoolVar(&o.list, "list", false, "list the specification, and what proves that its checks can fail, without looking at any cloud")
}

// bindIfExists adds the flag that destroy alone has.
func (o *options) bindIfExists(flags *pflag.FlagSet) {
	flags.BoolVar(&o.ifExists, "if-exists", false, "succeed where there is no such stack")
}

// usage says what a command does with the options.
type usage struct {
	program bool // it runs the program, and so needs a whole configuration
	fresh   bool // it starts from nothing stored
	changes bool // it changes the cloud
	doctor  bool // it looks at the machine only
	verify  bool // it has the flags of verify
	locks   bool // it locks the state of a stack that may exist
	removes bool // it removes a stack that may be gone already
	sweep   bool // it has the flags of sweep, and changes the cloud only where --yes is given
	cost    bool // it has the flags of cost, and runs the program on a throw-away emulator whatever the target
}

// plan is what a command is to do, found to be right.
type plan struct {
	command  string
	target   target.Options
	suffix   string
	json     bool
	progress bool
	official bool
	chosen   bool
	// region is where the stack goes.
	region string
	// guarded commands change a real account, which must be among the allowed.
	guarded bool
	allowed []string
	// home is the folder of the target's states, dir that of this stack within it.
	home, dir string
	// states is where they are: in home, or in bucket if that is not nil.
	states lifecycle.States
	bucket *lifecycle.Bucket
	// bucketEnv leads the engine to the bucket where no target is open.
	bucketEnv map[string]string
	unlock    bool
	ifExists  bool
	// config is whole and legal for commands that run the program; assumed are the test values in it.
	config  map[string]string
	assumed map[string]string
	// ttl is how long the stack may stay; 0 leaves that as it is.
	ttl time.Duration
	// list asks for the specification itself; report is the folder for the report of a run, or empty. act lets checks act.
	list   bool
	act    bool
	report string
	// rerun holds the flags that lead another command to the same stack.
	rerun []string
	cost  costPlan
	sweep sweepPlan
}

// plan checks the options against what a command needs and tells all that is wrong at once.
func (o *options) plan(ctx context.Context, command string, uses usage) (*plan, error) {
	p := &plan{
		command: command, suffix: o.suffix, json: o.output == outputJSON, progress: !o.noProgress,
		target:   o.cloud(),
		official: o.target == target.AWS || o.provider == providerOfficial,
		chosen:   o.chosen,
		rerun:    o.rerun(),
		list:     o.list, act: o.act, report: o.report, ttl: o.ttl, unlock: o.unlock,
		ifExists: o.ifExists,
	}
	uses.changes = uses.changes || o.act || uses.sweep && o.yes
	faults := []error{p.target.Fault()}
	if o.output != outputText && o.output != outputJSON {
		faults = append(faults, fmt.Errorf("unknown --output %q: choose text or json", o.output))
	}
	if !slices.Contains([]string{"", providerLocal, providerOfficial}, o.provider) {
		faults = append(faults, fmt.Errorf("unknown --provider %q: choose local or official", o.provider))
	}
	if o.target == target.AWS && o.provider == providerLocal {
		faults = append(faults, errors.New("--provider local is for emulators: target aws always uses the official provider"))
	}
	faults = append(faults, o.consent(command, uses.changes))
	region, err := o.place()
	faults = append(faults, err)
	p.region, p.guarded = region, o.onAWS() && uses.changes
	if o.ttl < 0 {
		faults = append(faults, fmt.Errorf("--ttl %s lies in the past", o.ttl))
	}
	if o.ttl > 0 && !uses.program {
		faults = append(faults, fmt.Errorf("--ttl is for demo, preview and up: %s does not deploy", command))
	}
	if o.list && (o.report != "" || o.act) {
		faults = append(faults, errors.New("--list looks at no cloud, so that there is nothing to --report or to --act on"))
	}
	if uses.cost {
		p.cost, err = o.cost.plan()
		faults = append(faults, err)
	}
	if uses.sweep {
		p.sweep, err = o.sweep.plan(o)
		faults = append(faults, err)
	}
	given, err := pairs(o.config)
	faults = append(faults, err)
	if fault := lib.ValidateSuffix(o.suffix); fault != nil {
		// An illegal suffix leads to no state: the rest of the configuration is told against the defaults.
		uses.fresh = true
		if uses.program {
			fault = p.configure(ctx, given, uses)
		}
		faults = append(faults, fault)
	} else {
		faults = append(faults, o.locate(p), o.keep(ctx, p, uses))
	}
	if err := errors.Join(faults...); err != nil || uses.doctor {
		return p, err
	}
	if err := p.configure(ctx, given, uses); err != nil {
		return p, err
	}
	return p, p.allow(ctx)
}

// locate finds the folder of the stack's state.
func (o *options) locate(p *plan) error {
	root := o.stateDir
	if root == "" {
		root = os.Getenv("XDG_STATE_HOME")
		if filepath.IsAbs(root) {
			root = filepath.Join(root, "tapstack")
		} else {
			home, err := os.UserHomeDir()
			if err != nil {
				return fmt.Errorf("finding the state folder (give --state-dir): %w", err)
			}
			root = filepath.Join(home, ".local", "state", "tapstack")
		}
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return fmt.Errorf("finding the state folder: %w", err)
	}
	p.home = filepath.Join(root, p.target.Key())
	if p.region != target.Region {
		p.home += "-" + p.region
	}
	p.dir = filepath.Join(p.home, o.suffix)
	p.target.Home = p.home
	return nil
}

// configure puts the configuration together: what the stack was last deployed with, what is given now, and on an
// emulator the test values.
func (p *plan) configure(ctx context.Context, given map[string]string, uses usage) error {
	if !uses.program {
		if len(given) > 0 {
			return fmt.Errorf("--config is for demo, preview, cost and up: %s does not run the program", p.command)
		}
		return nil
	}
	p.config = map[string]string{}
	if !uses.fresh {
		stored, err := p.states.Config(ctx, p.suffix)
		if err != nil {
			return err
		}
		p.config = stored
	}
	maps.Copy(p.config, given)
	if list := os.Getenv(allowVariable); list != "" && given[lib.ConfigAllowedAccountIDs] == "" && p.target.Name == target.AWS {
		p.config[lib.ConfigAllowedAccountIDs] = list
	}
	p.assumed = map[string]string{}
	for key, value := range testValues {
		if p.config[key] == "" && (p.target.Name != target.AWS || uses.cost) {
			p.config[key], p.assumed[key] = value, value
		}
	}
	p.config[lib.ConfigEnvironmentSuffix] = p.suffix
	p.stamp(uses.fresh)
	_, err := lib.ParseConfig(p.config)
	return err
}

// stamp says which run the stack is of, and when it may be swept away. Both stay as they are while the stack lives, since
// they are tags of every resource, unless a new time to live is given.
func (p *plan) stamp(fresh bool) {
	now := time.Now()
	if p.config[lib.ConfigRun] == "" {
		p.config[lib.ConfigRun] = lib.NewRun(now)
	}
	if fresh && p.ttl == 0 && p.config[lib.ConfigExpires] == "" {
		p.ttl = demoTTL
	}
	if p.ttl > 0 {
		p.config[lib.ConfigExpires] = lib.FormatExpiry(now.Add(p.ttl))
	}
}

// cloud is the target as it is meant, by flags and environment.
func (o *options) cloud() target.Options {
	return target.Options{Name: o.target, Endpoint: o.endpoint, Image: o.image, Port: o.port}.FromEnvironment()
}

// rerun repeats the flags that find the stack again.
func (o *options) rerun() []string {
	flags := []string{"--target", o.target}
	if cloud := o.cloud(); cloud.Endpoint != "" {
		flags = append(flags, "--endpoint", cloud.Endpoint)
	}
	flags = append(flags, "--suffix", o.suffix)
	if o.stateDir != "" {
		flags = append(flags, "--state-dir", o.stateDir)
	}
	if o.backend != "" {
		flags = append(flags, "--backend", o.backend)
	}
	if o.secretsProvider != "" {
		flags = append(flags, "--secrets-provider", o.secretsProvider)
	}
	if o.provider != "" {
		flags = append(flags, "--provider", o.provider)
	}
	if region, err := o.place(); err == nil && region != target.Region {
		flags = append(flags, "--region", region)
	}
	if o.target == target.AWS {
		flags = append(flags, "--yes")
	}
	return flags
}

// tell is the command line of another command on the same stack.
func (p *plan) tell(command string) string {
	self := os.Args[0]
	if strings.Contains(self, "go-build") {
		self = "go run ./bin/tap"
	}
	parts := []string{self, command}
	for _, flag := range p.rerun {
		if strings.ContainsAny(flag, " \t\"'$&;|*?") {
			flag = strconv.Quote(flag)
		}
		parts = append(parts, flag)
	}
	return strings.Join(parts, " ")
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
		case twice:
			faults = append(faults, fmt.Errorf("--config %s is given twice", key))
		default:
			values[key] = value
		}
	}
	return values, errors.Join(faults...)
}
