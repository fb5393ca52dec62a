package lifecycle

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optrefresh"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"gopkg.in/yaml.v3"
)

// Provider serves resource providers that the engine attaches to in place of downloaded plugins. It is attached and
// closed for each operation, as a plugin's process is started and ended: a provider that the engine has cancelled
// takes no more calls.
type Provider interface {
	// Attach starts serving and answers with the loopback port of each package, by its name ("aws").
	Attach(ctx context.Context) (map[string]int, error)
	Close() error
}

// Options say which stack of which program, where its state lives, and what the engine is to see of the world.
type Options struct {
	Project string
	Stack   string
	Program pulumi.RunFunc
	// Dir is the state folder of this stack alone. It is created, readable by its owner only.
	Dir string
	// Lock is the lock of the stack in Dir, which whoever opens it has taken. Without, the stack takes it, or fails at once.
	Lock *Lock
	// Bucket keeps the state instead of Dir, which then holds nothing that cannot be lost.
	Bucket *Bucket
	// Unlock removes the engine's lock on the stack whoever holds it. Without, only that of a process of this machine
	// that is known to be dead is removed.
	Unlock bool
	// Ephemeral says that the cloud ends with this process, and all that is deployed with it. The engine then writes its
	// state once, when an operation ends: what it would otherwise write after every step saves nothing when it is killed.
	Ephemeral bool
	// Config is the program's configuration, keys without the project's namespace. It replaces what was stored.
	Config map[string]string
	// ProviderConfig is configuration of other namespaces, keys in full ("aws:s3UsePathStyle").
	ProviderConfig map[string]string
	// Env is added to the engine's environment. When it brings AWS credentials, no other AWS variable is passed on.
	Env map[string]string
	// Provider is attached in place of the official plugins. Nil leaves the engine to those.
	Provider Provider
	// Grace is how long an interrupted engine may take to finish what is in flight before it is killed; 20 minutes when 0.
	Grace time.Duration
	// Find begins a look at the cloud as it is, for what creates of earlier runs have made. Without, those left pending are
	// dropped from the state.
	Find func() Finder
	// Observer hears the live events. Nil is nobody.
	Observer Observer
}

// Stack is one stack, open for operations, one at a time.
type Stack struct {
	options   Options
	folder    folder
	command   *command
	workspace auto.Workspace
	handle    *auto.Stack
	lock      *Lock // nil when it is the caller's
	mask      func(string) string
}

// Open prepares the state folder, whose lock must be the caller's or free. It creates no stack yet.
func Open(ctx context.Context, engine *Engine, options Options) (*Stack, error) {
	dir, err := filepath.Abs(options.Dir) // the engine runs in a folder of its own
	if err != nil {
		return nil, fmt.Errorf("finding the state folder: %w", err)
	}
	s := &Stack{options: options, folder: folder(dir)}
	if s.options.Observer == nil {
		s.options.Observer = silent{}
	}
	if err := s.folder.make(); err != nil {
		return nil, err
	}
	if options.Lock == nil {
		location := Location{Home: filepath.Dir(dir)}
		if s.lock, err = location.Lock(ctx, filepath.Base(dir), "another program", nil); err != nil {
			return nil, err
		}
	}
	if err := s.prepare(ctx, engine); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close gives back the lock that Open took. The stack and its state stay.
func (s *Stack) Close() { s.lock.Release() }

func (s *Stack) prepare(ctx context.Context, engine *Engine) error {
	env, err := s.environment()
	if err != nil {
		return err
	}
	s.mask = masker(env[passphraseVariable], env["AWS_SECRET_ACCESS_KEY"], env["AWS_SESSION_TOKEN"])
	if err := s.pull(ctx); err != nil {
		return err
	}
	if err := s.ReadBack(); err != nil {
		var damaged *DamagedError
		if !errors.As(err, &damaged) || damaged.Restored.IsZero() {
			return err
		}
		s.options.Observer.Diagnostic(Diagnostic{Severity: "warning", Message: err.Error()})
	}
	s.command = newCommand(engine, env)
	s.command.grace = cmp.Or(s.options.Grace, usualGrace)
	if s.options.Bucket == nil {
		s.command.room = s.folder.room(engine.Kill)
	}
	s.workspace, err = auto.NewLocalWorkspace(ctx,
		auto.WorkDir(s.folder.project()),
		auto.PulumiHome(s.folder.home()),
		auto.Pulumi(s.command),
		auto.Program(s.options.Program),
		auto.SecretsProvider(s.secretsProvider()),
		auto.Project(workspace.Project{
			Name:    tokens.PackageName(s.options.Project),
			Runtime: workspace.NewProjectRuntimeInfo("go", nil),
		}))
	if err != nil {
		return fmt.Errorf("preparing the workspace of stack %s: %w", s.options.Stack, err)
	}
	return nil
}

// ReadBack makes sure that the state is whole, where it is in a folder: one that is cut short is replaced by the last whole
// one, and told as a DamagedError.
func (s *Stack) ReadBack() error {
	if s.options.Bucket != nil {
		return nil
	}
	return s.folder.mend(s.options.Project, s.options.Stack)
}

// keeper keeps a copy of the state after each step, and hands on what it hears.
type keeper struct {
	Observer
	stack *Stack
}

// Done implements Observer.
func (k keeper) Done(step Step) {
	if options := k.stack.options; options.Bucket == nil && !options.Ephemeral && step.Changes() {
		if errors.Is(k.stack.folder.keep(options.Project, options.Stack), errCut) { // else it is told when the operation ends
			k.stack.command.room.exhausted(string(k.stack.folder))
		}
	}
	k.Observer.Done(step)
}

func (s *Stack) environment() (map[string]string, error) {
	env := map[string]string{
		"PULUMI_SKIP_UPDATE_CHECK":                      "true",
		"PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
	}
	if s.options.Ephemeral {
		env["PULUMI_SKIP_CHECKPOINTS"] = "true"
	}
	maps.Copy(env, s.options.Env)
	if s.options.Bucket != nil {
		env["PULUMI_BACKEND_URL"] = s.options.Bucket.backend
		// A stack whose settings are lost says itself which key it is encrypted with.
		env["PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER"] = "true"
	} else {
		passphrase, err := s.passphrase()
		if err != nil {
			return nil, err
		}
		env["PULUMI_BACKEND_URL"], env[passphraseVariable] = s.folder.backendURL(), passphrase
	}
	if s.options.Provider == nil {
		return env, s.folder.sharePlugins()
	}
	env["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"
	return env, nil
}

// passphrase is what the stack's secrets are encrypted with. A stack that lasts begins with the user's own where the
// environment has one, which is told, since every later command needs it then.
func (s *Stack) passphrase() (string, error) {
	given := os.Getenv(passphraseVariable)
	passphrase, err := s.folder.readPassphrase()
	switch {
	case err != nil || passphrase != "":
		return passphrase, err
	case given == "" || s.options.Ephemeral:
		return s.folder.makePassphrase(s.options.Stack)
	}
	if !s.folder.begun(s.options.Stack) {
		s.options.Observer.Diagnostic(Diagnostic{Severity: "warning", Message: fmt.Sprintf("the secrets of stack %s are encrypted with "+
			"%s, which is not written down: every later command needs the same value", s.options.Stack, passphraseVariable)})
	}
	return given, nil
}

func (s *Stack) secretsProvider() string {
	if s.options.Bucket == nil {
		return "passphrase"
	}
	return s.options.Bucket.secrets
}

// attach starts the provider for one operation.
func (s *Stack) attach(ctx context.Context) (detach func() error, err error) {
	if s.options.Provider == nil {
		return func() error { return nil }, nil
	}
	ports, err := s.options.Provider.Attach(ctx)
	if err != nil {
		return nil, fmt.Errorf("starting the local provider: %w", err)
	}
	var attached []string
	for _, name := range slices.Sorted(maps.Keys(ports)) {
		attached = append(attached, fmt.Sprintf("%s:%d", name, ports[name]))
	}
	s.command.attached = "PULUMI_DEBUG_PROVIDERS=" + strings.Join(attached, ",")
	return func() error {
		s.command.attached = ""
		if err := s.options.Provider.Close(); err != nil {
			return fmt.Errorf("closing the local provider: %w", err)
		}
		return nil
	}, nil
}

// Preview tells what Up would do, and changes nothing, whatever ends it: the configuration is handed to the engine in a file
// that goes with the call, and a stack that does not exist is previewed in a folder of its own.
func (s *Stack) Preview(ctx context.Context) (Result, error) {
	_, err := s.existing(ctx)
	switch {
	case errors.Is(err, ErrNoStack) && !s.options.Ephemeral:
		return s.previewNew(ctx)
	case errors.Is(err, ErrNoStack):
		err = s.create(ctx)
	}
	if err != nil {
		return Result{}, err
	}
	return inScratch(func(dir string) (Result, error) {
		file, plan := filepath.Join(dir, filepath.Base(s.folder.settings(s.options.Stack))), filepath.Join(dir, "plan.json")
		if err := s.configure(ctx, file); err != nil {
			return Result{}, err
		}
		result, err := s.operate(ctx, "preview", func(stack *auto.Stack, stream chan<- events.EngineEvent) error {
			_, err := stack.Preview(ctx, optpreview.ConfigFile(file), optpreview.Plan(plan),
				optpreview.EventStreams(stream), optpreview.Color("never"), optpreview.SuppressOutputs())
			return err
		})
		if err == nil {
			result.plan, err = readPlan(plan)
		}
		return result, err
	})
}

func readPlan(file string) (map[resource.URN]apitype.ResourcePlanV1, error) {
	var plan apitype.DeploymentPlanV1
	content, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(content, &plan)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the engine's plan: %w", err)
	}
	return plan.ResourcePlans, nil
}

// previewNew previews a stack that does not exist.
func (s *Stack) previewNew(ctx context.Context) (Result, error) {
	return inScratch(func(dir string) (Result, error) {
		options := s.options
		options.Dir, options.Lock, options.Bucket, options.Ephemeral = filepath.Join(dir, options.Stack), nil, nil, true
		scratch, err := Open(ctx, s.command.engine, options)
		if err != nil {
			return Result{}, err
		}
		defer scratch.Close()
		return scratch.Preview(ctx)
	})
}

// inScratch has a preview made with a folder that goes with it.
func inScratch(preview func(dir string) (Result, error)) (result Result, err error) {
	dir, err := os.MkdirTemp("", "tapstack-preview-*")
	if err != nil {
		return Result{}, fmt.Errorf("making a folder for the preview: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return preview(dir)
}

// Remember keeps the configuration for later runs, where Up has nothing to do. The stack must exist.
func (s *Stack) Remember(ctx context.Context) error {
	if _, err := s.existing(ctx); err != nil {
		return err
	}
	return s.remember(ctx)
}

// Create makes the stack, with nothing in it, where it does not exist.
func (s *Stack) Create(ctx context.Context) error {
	_, err := s.existing(ctx)
	if errors.Is(err, ErrNoStack) {
		err = s.create(ctx)
	}
	return err
}

// Up deploys. It first recovers from an earlier run that was killed.
func (s *Stack) Up(ctx context.Context) (Result, error) {
	_, err := s.existing(ctx)
	switch {
	case err == nil:
		_, err = s.Recover(ctx)
	case errors.Is(err, ErrNoStack):
		err = s.create(ctx)
	}
	if err == nil {
		err = s.remember(ctx)
	}
	if err != nil {
		return Result{}, err
	}
	return s.operate(ctx, "up", func(stack *auto.Stack, stream chan<- events.EngineEvent) error {
		_, err := stack.Up(ctx, optup.EventStreams(stream), optup.Color("never"), optup.SuppressOutputs(),
			optup.SuppressProgress(), optup.ShowSecrets(false))
		return err
	})
}

// Refresh reads the cloud into the state. What Changed lists is drift. Creates that a killed run left pending are
// dropped from the state.
func (s *Stack) Refresh(ctx context.Context) (Result, error) {
	return s.operate(ctx, "refresh", func(stack *auto.Stack, stream chan<- events.EngineEvent) error {
		_, err := stack.Refresh(ctx, optrefresh.EventStreams(stream), optrefresh.Color("never"), optrefresh.SuppressOutputs(),
			optrefresh.SuppressProgress(), optrefresh.ShowSecrets(false), optrefresh.ClearPendingCreates())
		return err
	})
}

// Destroy deletes every resource of the stack, as many as it can. The stack stays, empty, until its state is forgotten.
func (s *Stack) Destroy(ctx context.Context) (Result, error) {
	if _, err := s.Recover(ctx); err != nil {
		return Result{}, err
	}
	return s.operate(ctx, "destroy", func(stack *auto.Stack, stream chan<- events.EngineEvent) error {
		_, err := stack.Destroy(ctx, optdestroy.EventStreams(stream), optdestroy.Color("never"), optdestroy.SuppressOutputs(),
			optdestroy.SuppressProgress(), optdestroy.ShowSecrets(false), optdestroy.ContinueOnError())
		return err
	})
}

// Recover brings the state of a stack whose last run was killed back in line with the cloud: the operations that were
// under way then are settled: what creates have made is taken into the state, and a refresh reads the rest. It answers with how
// many it took.
func (s *Stack) Recover(ctx context.Context) (taken int, err error) {
	state, err := s.State(ctx)
	if err != nil || len(state.Pending) == 0 {
		return 0, err
	}
	for _, step := range state.Pending {
		s.options.Observer.Diagnostic(Diagnostic{
			Severity: "warning", Type: step.Type, Name: step.Name,
			Message: fmt.Sprintf("an earlier run was killed while %s it; reading the cloud to find out what is there", step.Op),
		})
	}
	urns, err := s.adopt(ctx, func(a *adoption) error { return a.pending(ctx) })
	if err == nil {
		_, err = s.Refresh(ctx)
	}
	return len(urns), err
}

// operate runs one engine operation with its events, once more if a dead process held the lock.
func (s *Stack) operate(ctx context.Context, operation string, run func(*auto.Stack, chan<- events.EngineEvent) error) (Result, error) {
	start := time.Now()
	stack, err := s.existing(ctx)
	if err != nil {
		return Result{}, err
	}
	detach, err := s.attach(ctx)
	if err != nil {
		return Result{}, err
	}
	heard, err := s.listen(stack, run)
	if err != nil && ctx.Err() == nil && s.freeDeadLock(ctx, stack) {
		heard, err = s.listen(stack, run)
	}
	result := Result{Operation: operation, Changes: heard.counts, Changed: heard.changed, Planned: heard.planned, Protects: heard.protects, Duration: time.Since(start)}
	if err != nil {
		err = s.explain(ctx, operation, heard.failures)
	}
	return result, errors.Join(err, s.ReadBack(), detach())
}

func (s *Stack) listen(stack *auto.Stack, run func(*auto.Stack, chan<- events.EngineEvent) error) (*listener, error) {
	heard := &listener{observer: keeper{s.options.Observer, s}, mask: s.mask}
	stream := make(chan events.EngineEvent)
	done, quiet := make(chan struct{}), make(chan struct{})
	go func() {
		heard.follow(stream, done)
		close(quiet)
	}()
	s.command.operating = true
	err := run(stack, stream)
	s.command.operating = false
	close(done)
	<-quiet
	return heard, err
}

func (s *Stack) explain(ctx context.Context, operation string, failures []Failure) error {
	fault := &OperationError{Operation: operation, Stack: s.options.Stack, Failures: reduce(failures)}
	if why := s.command.ended; why != nil && !asked(why) {
		fault.Failures, fault.Cause = []Failure{{Message: why.Error()}}, why
		return fault
	}
	if ctx.Err() != nil {
		fault.Interrupted = true
		fault.Failures = slices.DeleteFunc(fault.Failures, Failure.stopped)
		return fault
	}
	if held, err := s.holders(ctx); err == nil && len(held) > 0 && locked(s.command.stderr) {
		fault.Failures = []Failure{{Message: fmt.Sprintf("the stack is locked by process %d on %s, since %s",
			held[0].PID, held[0].Hostname, held[0].Timestamp.UTC().Format(time.RFC3339))}}
		fault.Next = fmt.Sprintf("Wait for that process to end, then run the command again. "+
			"If you know it to be dead, run the command with --unlock, which removes %s.", held[0].file)
		return fault
	}
	fault.Next = explainProtection(fault.Failures)
	if len(fault.Failures) == 0 {
		failure, next := fromStderr(s.command.stderr)
		failure.Message = s.mask(failure.Message)
		fault.Failures, fault.Next = []Failure{failure}, next
	}
	return fault
}

// freeDeadLock removes the engine's lock when the process that took it is gone, or when that was asked for.
func (s *Stack) freeDeadLock(ctx context.Context, stack *auto.Stack) bool {
	if !locked(s.command.stderr) {
		return false
	}
	held, err := s.holders(ctx)
	if err != nil || len(held) == 0 || slices.ContainsFunc(held, holder.alive) && !s.options.Unlock {
		return false
	}
	return stack.Cancel(ctx) == nil
}

func (s *Stack) holders(ctx context.Context) ([]holder, error) {
	if s.options.Bucket != nil {
		return s.options.Bucket.holders(ctx, s.options.Stack)
	}
	return s.folder.holders(s.options.Project, s.options.Stack)
}

func locked(stderr string) bool { return strings.Contains(stderr, "the stack is currently locked by") }

// existing selects the stack, or fails with ErrNoStack.
func (s *Stack) existing(ctx context.Context) (*auto.Stack, error) {
	if s.handle != nil {
		return s.handle, nil
	}
	if _, err := os.Stat(s.folder.state(s.options.Project, s.options.Stack)); s.options.Bucket == nil && errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("stack %s %w", s.options.Stack, ErrNoStack) // the CLI would take a while to say so
	}
	stack, err := auto.SelectStack(ctx, s.options.Stack, s.workspace)
	switch {
	case err == nil:
		s.handle = &stack
		return s.handle, nil
	case auto.IsSelectStack404Error(err):
		return nil, fmt.Errorf("stack %s %w", s.options.Stack, ErrNoStack)
	default:
		return nil, s.explain(ctx, "opening", nil)
	}
}

func (s *Stack) create(ctx context.Context) error {
	if s.secretsProvider() == "" {
		return fmt.Errorf("stack %s cannot be made in %s without --secrets-provider: "+
			"a passphrase made here would be lost with this machine", s.options.Stack, s.options.Bucket)
	}
	stack, err := auto.NewStack(ctx, s.options.Stack, s.workspace)
	if err != nil {
		return s.explain(ctx, "creation", nil)
	}
	s.handle = &stack
	return s.push(ctx)
}

// configure writes the configuration into a file, beside the salt that the stack's creation left in its settings.
func (s *Stack) configure(ctx context.Context, file string) error {
	settings, err := s.workspace.StackSettings(ctx, s.options.Stack)
	if err != nil {
		return fmt.Errorf("reading the settings of stack %s: %w", s.options.Stack, err)
	}
	settings.Config = config.Map{}
	for name, value := range s.options.Config {
		settings.Config[config.MustMakeKey(s.options.Project, name)] = config.NewValue(value)
	}
	for key, value := range s.options.ProviderConfig {
		parsed, err := config.ParseKey(key)
		if err != nil {
			return fmt.Errorf("reading the provider's configuration key %q: %w", key, err)
		}
		settings.Config[parsed] = config.NewValue(value)
	}
	if err := settings.Save(file); err != nil {
		return fmt.Errorf("writing the settings of stack %s: %w", s.options.Stack, err)
	}
	return nil
}

// remember makes the configuration the stack's.
func (s *Stack) remember(ctx context.Context) error {
	// The workspace's own way to write them leaves half of them where there is no more room.
	file := s.folder.settings(s.options.Stack)
	fresh := strings.TrimSuffix(file, ".yaml") + ".new.yaml"
	err := s.configure(ctx, fresh)
	if err == nil {
		err = os.Rename(fresh, file)
	}
	if err != nil {
		return errors.Join(err, removeAny(fresh))
	}
	return s.push(ctx)
}

// pull takes over the settings of a stack whose state is in a bucket: the file here may be of another time, or missing.
func (s *Stack) pull(ctx context.Context) error {
	bucket := s.options.Bucket
	if bucket == nil {
		return nil
	}
	content, err := bucket.read(ctx, bucket.settings(s.options.Stack))
	if err != nil {
		return err
	}
	file := s.folder.settings(s.options.Stack)
	if content == nil {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing old settings of stack %s: %w", s.options.Stack, err)
		}
		return nil
	}
	var stored struct {
		SecretsProvider string `yaml:"secretsprovider"`
	}
	if err := yaml.Unmarshal(content, &stored); err != nil {
		return fmt.Errorf("reading the settings of stack %s: %w", s.options.Stack, err)
	}
	if stored.SecretsProvider != "" && bucket.secrets != "" && stored.SecretsProvider != bucket.secrets {
		return fmt.Errorf("the secrets of stack %s are encrypted with %s, not with %s: correct --secrets-provider, or leave it out",
			s.options.Stack, stored.SecretsProvider, bucket.secrets)
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return fmt.Errorf("writing the settings of stack %s: %w", s.options.Stack, err)
	}
	return nil
}

// push puts the settings beside the state in the bucket.
func (s *Stack) push(ctx context.Context) error {
	bucket := s.options.Bucket
	if bucket == nil {
		return nil
	}
	content, err := os.ReadFile(s.folder.settings(s.options.Stack))
	if err != nil {
		return fmt.Errorf("reading the settings of stack %s: %w", s.options.Stack, err)
	}
	return bucket.write(ctx, bucket.settings(s.options.Stack), content)
}
