// Package session is the life of one stack: it opens cloud, engine and stack, previews, deploys, checks,
// refreshes and destroys, and proves that nothing is left. It looks after what has to happen around that: interrupts,
// accounts that may not be changed, state that is to go or to stay. Whoever drives it, the command line or a test, hears
// of it through Progress. Of a terminal it knows nothing.
package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tapstack/lib"
	"tapstack/lib/awsprovider"
	"tapstack/lib/lifecycle"
	"tapstack/lib/load"
	"tapstack/lib/sweep"
	"tapstack/lib/target"
	"tapstack/lib/verify"
)

// Phase is a part of a stack's life that takes its time.
type Phase string

// The phases. Again is a second preview, after the deployment; Look, Sweep and Proof are those of a sweep.
const (
	Preflight Phase = "preflight"
	Preview   Phase = "preview"
	Up        Phase = "up"
	Migrate   Phase = "migrate"
	Payments  Phase = "payments"
	Verify    Phase = "verify"
	Again     Phase = "up again"
	Refresh   Phase = "refresh"
	Destroy   Phase = "destroy"
	LeakProof Phase = "leak proof"
	Look      Phase = "look"
	Sweep     Phase = "sweep"
	Proof     Phase = "proof"
	Load      Phase = "load"
)

// Progress hears what a session does. Its methods are not called at the same time, but for Note.
type Progress interface {
	lifecycle.Observer
	// Note is a line of its own.
	Note(text string)
	// Begin starts a phase of total steps; 0 where their number is not known.
	Begin(phase Phase, total int)
	// End ends it. The detail says what it came to, err why it failed.
	End(detail string, err error)
	Checked(result verify.Result)
	Swept(outcome sweep.Outcome)
	// Loaded is how a load goes, whose total is its duration in milliseconds.
	Loaded(now load.Snapshot)
}

// Quiet hears nothing. Embed it to hear some.
type Quiet struct{}

var _ Progress = Quiet{}

// Started implements Progress, as do all methods of Quiet.
func (Quiet) Started(lifecycle.Step)          {}
func (Quiet) Done(lifecycle.Step)             {}
func (Quiet) Failed(lifecycle.Step)           {}
func (Quiet) Diagnostic(lifecycle.Diagnostic) {}
func (Quiet) Note(string)                     {}
func (Quiet) Begin(Phase, int)                {}
func (Quiet) End(string, error)               {}
func (Quiet) Checked(verify.Result)           {}
func (Quiet) Swept(sweep.Outcome)             {}
func (Quiet) Loaded(load.Snapshot)            {}

// Options say which stack, on which cloud, and how it is worked on.
type Options struct {
	// Target is the cloud. All Open… methods but Open itself choose its lifetime.
	Target target.Options
	// Cloud, when set, is used instead of opening the target, and stays open.
	Cloud *target.Target
	// Suffix is the environmentSuffix, and the name of the stack.
	Suffix string
	// Config is the whole configuration, for those who run the program.
	Config map[string]string
	// Location is where the state is. What is deployed on a cloud that ends with the session needs none.
	Location lifecycle.Location
	// Official is for the official provider on emulators too; a real account never has another.
	Official bool
	// Provider, when set, stands in for the local one.
	Provider lifecycle.Provider
	// Unlock removes the lock of whoever holds the state.
	Unlock bool
	// Command is what others are told that the stack is in use by.
	Command string
	// DataPlane, when set, has what is deployed run on this machine. It is for emulators.
	DataPlane *DataPlane
	// Changes says that the session may change the cloud: a real account must then be one of the allowed.
	Changes bool
	// Progress may be nil.
	Progress Progress
	// Abandon, when set, has the session heed SIGINT, SIGTERM and, unless nohup has it ignored, SIGHUP. The first ends its
	// context; at the second, the engine is killed and Abandon called, which is to end the process.
	Abandon func()
}

// Session is a stack's life, or a part of it. Cloud, Engine and Stack are nil as far as they are not open.
type Session struct {
	Cloud  *target.Target
	Engine *lifecycle.Engine
	Stack  *lifecycle.Stack
	// Plane runs on this machine what is deployed; nil where nothing does.
	Plane Plane

	options  Options
	progress Progress
	location lifecycle.Location
	lock     *lifecycle.Lock
	stop     func()
	watching watching
	// claims says that the account is to say which state has the stack; claimed that it says this session's.
	claims, claimed bool
	// silent says that the cloud gave no answer when it was last watched.
	silent atomic.Bool
	// freshPlane says that the data plane was started by this session, with an empty database.
	freshPlane bool
	// planeEnded says that a data plane was left running and does so no more.
	planeEnded bool
	// mutex guards what the second interrupt needs: Engine and temporary.
	mutex     sync.Mutex
	temporary string
}

// New begins a session, whose context ends with the cause lifecycle.ErrInterrupted at the first interrupt. Nothing is open
// yet; Close is to be called in any case.
func New(ctx context.Context, options Options) (*Session, context.Context) {
	s := &Session{options: options, progress: options.Progress, location: options.Location, stop: func() {}, watching: usualWatching}
	if s.progress == nil {
		s.progress = Quiet{}
	}
	if options.Abandon != nil {
		ctx, s.stop = onInterrupt(ctx, func() {
			s.progress.Note("Interrupted. Waiting for what is in flight; interrupt again to stop at once.")
		}, s.abandon)
	}
	return s, ctx
}

// interrupts are the signals that ask for an end: a terminal that is closed sends SIGHUP, which nohup has ignored.
func interrupts() []os.Signal {
	asked := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		asked = append(asked, syscall.SIGHUP)
	}
	return asked
}

// onInterrupt answers with a context that ends at the first signal that asks for an end. first is called then, and second at
// the next one, both from goroutines of their own: a terminal that takes no more text must not make the second unheard. stop
// gives the signals back.
func onInterrupt(parent context.Context, first, second func()) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, interrupts()...)
	// Where nobody reads what is printed any more, as behind `| head`, the work goes on to its end and to what is told of it: it
	// would be left half done. A signal that is ignored, rather than taken, would be ignored in every process that is started.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	done := make(chan struct{})
	go func() {
		for _, act := range []func(){func() { cancel(lifecycle.ErrInterrupted); go first() }, second} {
			select {
			case <-signals:
				act()
			case <-done:
				return
			}
		}
	}()
	return ctx, sync.OnceFunc(func() {
		signal.Stop(signals)
		close(done)
		cancel(context.Canceled)
	})
}

// abandonLimit bounds what is done at the second interrupt, as on a disk that does not answer.
const abandonLimit = 5 * time.Second

// abandon is the second interrupt.
func (s *Session) abandon() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.mutex.Lock()
		defer s.mutex.Unlock()
		if s.Engine != nil {
			s.Engine.Kill()
		}
		if s.temporary != "" {
			_ = os.RemoveAll(s.temporary)
		}
	}()
	select {
	case <-done:
	case <-time.After(abandonLimit):
	}
	s.options.Abandon()
}

// cleanupLimit bounds what is done after an interrupt or a failure, by target.
var cleanupLimit = map[string]time.Duration{
	target.Local:      10 * time.Minute,
	target.LocalStack: 30 * time.Minute,
	target.Endpoint:   30 * time.Minute,
	target.AWS:        90 * time.Minute,
}

// CleanupContext is a context for cleaning up, which an earlier interrupt does not end.
func (s *Session) CleanupContext(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := cleanupLimit[s.options.Target.Name]
	return context.WithTimeoutCause(context.WithoutCancel(ctx), limit, fmt.Errorf("cleaning up was not over after %s", limit))
}

// interrupted tells what ended a context, be it an interrupt or a cloud that does not answer, from the errors that it leads to.
func interrupted(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if err == nil || cause == nil || errors.Is(cause, context.Canceled) || errors.Is(err, cause) {
		return err
	}
	return cause
}

// Close closes what is open, and ends a cloud that lives no longer than the session. A second interrupt is heeded until it
// is done.
func (s *Session) Close() error {
	defer s.stop()
	s.closeStack()
	err := s.closePlane()
	if s.Cloud != nil && s.options.Cloud == nil {
		err = errors.Join(err, s.Cloud.Close())
	}
	s.lock.Release()
	s.mutex.Lock()
	temporary := s.temporary
	s.mutex.Unlock()
	if temporary != "" {
		err = errors.Join(err, os.RemoveAll(temporary))
	}
	return err
}

// Lock takes the stack's lock, before anything else of it is looked at: what this command finds then stays as it is, and no
// other ends the cloud. A command that changes the stack fails while another works on it; one that only looks waits.
func (s *Session) Lock(ctx context.Context) (err error) {
	if s.lock != nil {
		return nil
	}
	wait := func(used *lifecycle.InUseError) {
		s.progress.Note(fmt.Sprintf("%s. Waiting for its end.", used))
	}
	if s.options.Changes {
		wait = nil
	}
	s.lock, err = s.location.Lock(ctx, s.options.Suffix, cmp.Or(s.options.Command, "a program"), wait)
	return interrupted(ctx, err)
}

func (s *Session) closeStack() {
	if s.Stack != nil {
		s.Stack.Close()
		s.Stack = nil
	}
}

// Open opens cloud, engine and stack as the options are.
func (s *Session) Open(ctx context.Context) error {
	return s.open(ctx, s.options.Target.Lifetime)
}

// OpenExisting opens a stack that must exist, where it is.
func (s *Session) OpenExisting(ctx context.Context) error {
	if err := s.Lock(ctx); err != nil {
		return err
	}
	if err := s.mustExist(ctx); err != nil {
		return err
	}
	if err := s.open(ctx, target.Recorded); err != nil || !s.options.Changes {
		return s.ofStack(err)
	}
	return s.checkClaim(ctx)
}

// OpenState opens a stack that must exist without its cloud: for what only its state is asked.
func (s *Session) OpenState(ctx context.Context) error {
	if err := s.Lock(ctx); err != nil {
		return err
	}
	if err := s.mustExist(ctx); err != nil {
		return err
	}
	return s.openStack(ctx)
}

// OpenKept opens a stack that may be new, for a deployment that outlives the session, on a cloud that does so too.
func (s *Session) OpenKept(ctx context.Context) error {
	if err := s.Lock(ctx); err != nil {
		return err
	}
	if err := s.openKeptCloud(ctx); err != nil {
		return err
	}
	if err := s.beginClaim(ctx); err != nil {
		return err
	}
	if err := s.passPreflight(ctx); err != nil {
		return err
	}
	return s.openStack(ctx)
}

// OpenNew opens a stack that must not exist, for a deployment that the session removes again. Where the cloud ends with
// the session, the state does too; elsewhere it stays until the stack is gone, so that another session can remove it.
func (s *Session) OpenNew(ctx context.Context) error {
	lifetime := target.WithTool
	if s.options.Target.Ends() {
		if err := s.makeTemporary(); err != nil {
			return err
		}
	} else if err := s.Lock(ctx); err != nil {
		return err
	} else if exists, err := s.Exists(ctx); err != nil {
		return err
	} else if exists {
		return fmt.Errorf("stack %s exists already on target %s: destroy it first, or take another --suffix",
			s.options.Suffix, s.options.Target.Name)
	}
	if s.options.Target.Name == target.LocalStack && !s.options.Target.Ends() {
		lifetime = target.Kept // should this process be killed, another must find all parts of the cloud
	}
	if err := s.OpenCloud(ctx, lifetime); err != nil {
		return err
	}
	if s.temporary == "" { // else the cloud ends with the state
		if err := s.beginClaim(ctx); err != nil {
			return err
		}
	}
	if err := s.passPreflight(ctx); err != nil {
		return err
	}
	return s.openStack(ctx)
}

// OpenTemporary opens a stack of which nothing is left when the session is closed, as long as it is not deployed, on the
// cloud that it would be deployed to.
func (s *Session) OpenTemporary(ctx context.Context) error {
	if err := s.OpenAnyCloud(ctx); err != nil {
		return err
	}
	if err := s.makeTemporary(); err != nil {
		return err
	}
	return s.openStack(ctx)
}

// OpenAnyCloud opens the cloud for looking only: emulators that run already, which are not ended meanwhile, or else some
// that end with the session.
func (s *Session) OpenAnyCloud(ctx context.Context) (err error) {
	if s.options.Target.Home == "" { // nothing is recorded
		return s.OpenCloud(ctx, target.WithTool)
	}
	s.lock, err = s.location.Lock(ctx, s.options.Suffix, s.options.Command, nil)
	var used *lifecycle.InUseError
	if err != nil && !errors.As(err, &used) { // whoever has the lock keeps the cloud as well
		return err
	}
	if err = s.OpenCloud(ctx, target.Recorded); Gone(err) {
		err = s.OpenCloud(ctx, target.WithTool)
	}
	return err
}

func (s *Session) open(ctx context.Context, lifetime target.Lifetime) error {
	if err := s.Lock(ctx); err != nil {
		return err
	}
	if err := s.OpenCloud(ctx, lifetime); err != nil {
		return err
	}
	return s.openStack(ctx)
}

// OpenCloud opens the cloud alone, and makes sure, before the first call that changes a real account, that it may be
// changed.
func (s *Session) OpenCloud(ctx context.Context, lifetime target.Lifetime) (err error) {
	if s.Cloud = s.options.Cloud; s.Cloud != nil {
		return interrupted(ctx, s.openPlane(ctx, target.WithTool))
	}
	options := s.options.Target
	options.Lifetime, options.Notify = lifetime, s.progress.Note
	if s.Cloud, err = target.Open(ctx, options); err != nil {
		return interrupted(ctx, err)
	}
	if err = s.mustBeAllowed(ctx); err == nil {
		err = s.openPlane(ctx, lifetime)
	}
	return interrupted(ctx, err)
}

// openKeptCloud drops the record of an emulator that is gone when no stack lived there.
func (s *Session) openKeptCloud(ctx context.Context) error {
	err := s.OpenCloud(ctx, target.Kept)
	if !Gone(err) {
		return err
	}
	stacks, listErr := s.location.List(ctx)
	switch {
	case listErr != nil:
		return listErr
	case slices.Contains(stacks, s.options.Suffix):
		return s.ofStack(err)
	case len(stacks) > 0:
		return fmt.Errorf("%s; stack %s lived there: destroy it first, which clears its state", err.Error(), stacks[0])
	}
	if err := s.Release(ctx); err != nil {
		return err
	}
	return s.OpenCloud(ctx, target.Kept)
}

// Gone says that the emulator that a stack lived in no longer runs.
func Gone(err error) bool {
	var gone *target.GoneError
	return errors.As(err, &gone) || errors.Is(err, target.ErrNoEmulator)
}

// ofStack names the stack that lived in an emulator that is gone.
func (s *Session) ofStack(err error) error {
	if !Gone(err) {
		return err
	}
	return fmt.Errorf("stack %s: %w", s.options.Suffix, err)
}

// makeTemporary has the state in a folder that goes with the session.
func (s *Session) makeTemporary() error {
	dir, err := os.MkdirTemp("", "tapstack-state-*")
	if err != nil {
		return fmt.Errorf("making a state folder: %w", err)
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.temporary, s.location = dir, lifecycle.InFolder(lib.ProjectName, dir)
	return nil
}

// openStack comes last, since an engine that has to be built takes minutes.
func (s *Session) openStack(ctx context.Context) error {
	engine, err := lifecycle.FindEngine(ctx, s.progress.Note)
	if err != nil {
		return interrupted(ctx, err)
	}
	s.mutex.Lock()
	s.Engine = engine
	s.mutex.Unlock()
	s.Stack, err = lifecycle.Open(ctx, s.Engine, s.stackOptions())
	return interrupted(ctx, err)
}

func (s *Session) stackOptions() lifecycle.Options {
	options := lifecycle.Options{
		Project: lib.ProjectName, Stack: s.options.Suffix, Program: lib.Deploy, Config: s.options.Config,
		Dir: s.location.Dir(s.options.Suffix), Bucket: s.location.Bucket, Env: s.location.Env, Unlock: s.options.Unlock,
		Observer: s.progress,
	}
	if s.temporary == "" {
		options.Lock = s.lock
	}
	if s.Cloud == nil {
		return options
	}
	options.Grace = engineGrace[s.Cloud.Name]
	options.Env, options.ProviderConfig = s.Cloud.Env(), s.Cloud.ProviderConfig()
	options.Ephemeral = s.temporary != "" && s.Cloud.Name == target.Local
	switch {
	case s.options.Provider != nil:
		options.Provider = s.options.Provider
	case s.Cloud.Emulated() && !s.options.Official:
		options.Provider = awsprovider.NewPlugin(s.Cloud.Config)
	}
	options.Find = func() lifecycle.Finder { return s.finder(options.Provider) }
	return options
}

// LookForPlugins looks for the plugins of the official provider.
func LookForPlugins(ctx context.Context) ([]lifecycle.Plugin, error) {
	var found []lifecycle.Plugin
	versions := awsprovider.Plugins()
	for _, name := range slices.Sorted(maps.Keys(versions)) {
		plugin, err := lifecycle.LookForPlugin(ctx, name, versions[name])
		if err != nil {
			return nil, err
		}
		found = append(found, plugin)
	}
	return found, nil
}

// Exists says whether the stack has a state.
func (s *Session) Exists(ctx context.Context) (bool, error) {
	exists, err := s.location.Exists(ctx, s.options.Suffix)
	return exists, interrupted(ctx, err)
}

func (s *Session) mustExist(ctx context.Context) error {
	exists, err := s.Exists(ctx)
	if err != nil || exists {
		return err
	}
	place := "target " + s.options.Target.Name
	if s.location.Bucket != nil {
		place += " in " + s.location.Bucket.String()
	}
	return fmt.Errorf("stack %s %w on %s", s.options.Suffix, lifecycle.ErrNoStack, place)
}

// Forget removes what is kept of a destroyed stack, in the account last of all its claim, and ends the cloud when no stack lives
// there any more.
func (s *Session) Forget(ctx context.Context) error {
	if s.temporary != "" {
		return nil
	}
	if err := s.removeClaim(ctx); err != nil {
		return interrupted(ctx, err)
	}
	s.closeStack()
	if err := s.stopPlane(ctx); err != nil {
		return err
	}
	if err := os.RemoveAll(s.location.Dir(s.options.Suffix)); err != nil {
		return fmt.Errorf("removing the state of stack %s: %w", s.options.Suffix, err)
	}
	return errors.Join(s.location.Forget(ctx, s.options.Suffix), s.Release(ctx))
}

// Release ends the emulators that outlive a session when no stack lives there any more, and no other command works on one.
func (s *Session) Release(ctx context.Context) error {
	if name := s.options.Target.Name; name != target.Local && name != target.LocalStack {
		return nil
	}
	return target.StopKept(ctx, s.options.Target.Home, func() (bool, error) {
		stacks, err := s.location.List(ctx)
		if err != nil || len(stacks) > 0 {
			return true, err
		}
		used, err := s.location.InUse(s.options.Suffix)
		return len(used) > 0, err
	})
}
