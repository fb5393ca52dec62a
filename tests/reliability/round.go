//go:build linux

package reliability

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"tapstack/lib/cache"
	"tapstack/lib/process/processtest"
)

const (
	// commandLimit is when a command is said to hang. The longest of a loaded machine takes half of it; with the official
	// provider, which waits half a minute and more before it looks at what it has asked for, officialLimit is.
	commandLimit  = 3 * time.Minute
	officialLimit = 15 * time.Minute
	// silenceLimit is how long a command may go on after the cloud has fallen silent.
	silenceLimit = 60 * time.Second
)

// lab is what rounds share that come one after the other: an emulator, a proxy before it, tap.
type lab struct {
	cloud *Emulator
	proxy *Proxy
	tap   string
	cache string
	// provider is tap's --provider, and limit when a command with it hangs.
	provider string
	limit    time.Duration
	// whole is what a deployment that nothing disturbed has made, and changed what an update of it has; calls is how many
	// changing calls these and the removal took.
	whole, changed Account
	calls          calls
}

type calls struct{ up, update, destroy int }

// update is the up that changes a stack: it makes target groups and rules anew beside the old, replaces task definitions, and
// changes services and most else in place.
var update = []string{"up", "--config", "containerPort=9443", "--config", "owner=another-team"}

// round is one fault and what comes after it.
type round struct {
	*lab
	ctx    context.Context
	point  point
	folder string
	suffix string
	before Account
	mutex  sync.Mutex
	log    []string
	began  time.Time // of the fault; of the last one, where a share of the calls meets it
}

// point is where a round's fault is.
type point struct {
	seed  uint64
	at    int
	after bool
	share float64
	who   string
	then  []int // further kills
	down  bool  // during destroy
}

func (p point) String() string {
	parts := []string{fmt.Sprintf("seed %d", p.seed)}
	when := map[bool]string{false: "before", true: "after"}[p.after]
	if p.at > 0 {
		parts = append(parts, fmt.Sprintf("%s call %d", when, p.at))
	}
	if len(p.then) > 0 {
		parts = append(parts, fmt.Sprintf("then %v", p.then))
	}
	if p.share > 0 {
		parts = append(parts, fmt.Sprintf("%g %%", 100*p.share))
	}
	if p.who != "" {
		parts = append(parts, "of "+p.who)
	}
	if p.down {
		parts = append(parts, "during destroy")
	}
	return strings.Join(parts, ", ")
}

// begin empties the account and gives the round a state folder whose path is hard to handle.
func (l *lab) begin(ctx context.Context, folder string, p point) (*round, error) {
	r := &round{lab: l, ctx: ctx, point: p, folder: filepath.Join(folder, "a state #1"), suffix: fmt.Sprintf("r%d", p.seed%100000)}
	if err := errors.Join(l.cloud.reset(ctx), os.MkdirAll(filepath.Join(r.folder, "tmp"), 0o700)); err != nil {
		return nil, err
	}
	l.proxy.Arm(Plan{})
	var err error
	r.before, err = l.cloud.List(ctx)
	return r, err
}

// command is a tap that runs.
type command struct {
	*exec.Cmd
	words  string
	output bytes.Buffer
	done   chan struct{}
	began  time.Time
}

// start runs a command of tap.
func (r *round) start(words ...string) (*command, error) {
	return r.startTo(nil, words...)
}

// startTo runs it with its output in a file, where that is given.
func (r *round) startTo(output *os.File, words ...string) (*command, error) {
	line := slices.Clone(words)
	if !slices.Contains(words, "--suffix") {
		line = append(line, "--suffix", r.suffix)
	}
	line = append(line, "--target", "endpoint", "--endpoint", r.proxy.URL, "--state-dir", r.folder)
	if r.provider != "" {
		line = append(line, "--provider", r.provider)
	}
	c := &command{words: strings.Join(words, " "), done: make(chan struct{}), began: time.Now()}
	c.Cmd = exec.CommandContext(r.ctx, r.tap, line...)
	// Of the user's environment only what any program needs.
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + r.folder, "TMPDIR=" + filepath.Join(r.folder, "tmp"), cache.EnvDir + "=" + r.cache, "LANG=C.UTF-8"}
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	c.Stdout, c.Stderr = &c.output, &c.output
	if output != nil {
		c.Stdout, c.Stderr = output, output
	}
	c.WaitDelay = 5 * time.Second // an orphan of it may hold the pipe
	if err := c.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = c.Wait()
		close(c.done)
	}()
	return c, nil
}

// ended says whether a command has.
func (c *command) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// signal sends signals, one after the other.
func (c *command) signal(sent ...syscall.Signal) {
	for _, one := range sent {
		_ = c.Process.Signal(one)
		time.Sleep(200 * time.Millisecond) //nolint:forbidigo // signals that come at once are one
	}
}

// end waits for a command, notes what it said, and answers with its exit code; -1 for one that was killed. One that takes
// longer than limit hangs, which is an error.
func (r *round) end(c *command, limit time.Duration) (int, error) {
	var hangs error
	select {
	case <-c.done:
	case <-time.After(limit):
		hangs = fmt.Errorf("tap %s hangs: it has not ended %s after it was to", c.words, limit)
		r.kill(c, "both")
		<-c.done
	}
	code := c.ProcessState.ExitCode()
	r.note("$ tap %s: exit %d after %.1f s\n%s", c.words, code, time.Since(c.began).Seconds(), lastLines(c.output.String(), 15))
	return code, hangs
}

func (r *round) note(format string, arguments ...any) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.log = append(r.log, fmt.Sprintf(format, arguments...))
}

func lastLines(text string, count int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return "    " + strings.Join(lines[max(0, len(lines)-count):], "\n    ")
}

// run runs a command to its end.
func (r *round) run(words ...string) (int, error) {
	c, err := r.start(words...)
	if err != nil {
		return 0, err
	}
	return r.end(c, r.limit)
}

// kill ends tap, what it has started, or both, with SIGKILL.
func (r *round) kill(c *command, who string) {
	engines := processtest.Descendants(c.Process.Pid)
	if who != "engine" {
		_ = c.Process.Kill()
		<-c.done
	}
	if who != "tap" {
		for _, pid := range engines {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// under runs a command under a plan. do, unless it is nil, is done to the command at the plan's call, if that comes.
func (r *round) under(plan Plan, do func(*command), words ...string) (int, error) {
	var c *command
	ready := make(chan struct{})
	if do != nil {
		plan.Do = func() { <-ready; do(c) }
	}
	r.proxy.Arm(plan)
	c, err := r.start(words...)
	if err != nil {
		return 0, err
	}
	close(ready)
	code, err := r.end(c, r.limit)
	r.lift()
	return code, err
}

// killed runs a command that is killed at a call.
func (r *round) killed(at int, after bool, who string, words ...string) error {
	_, err := r.under(Plan{At: at, After: after, Deaf: true}, func(c *command) { r.kill(c, who) }, words...)
	return err
}

// lift ends the plan, and notes what the fault has met, if anything.
func (r *round) lift() {
	struck, _, last := r.proxy.Struck()
	r.proxy.Arm(Plan{})
	if len(struck) == 0 {
		r.note("(the fault met no call)")
		return
	}
	if r.began.IsZero() {
		r.began = last
	}
	r.note("(the fault met %d calls: %s)", len(struck), strings.Join(struck[:min(len(struck), 12)], "; "))
}

// finish is the command that a user is told, given once more where it fails.
func (r *round) finish(words ...string) error {
	code, err := r.run(words...)
	if err != nil {
		return err
	}
	if code != 0 {
		if code, err = r.run(words...); err != nil {
			return err
		}
	}
	if code != 0 {
		return fmt.Errorf("tap %s fails for good", strings.Join(words, " "))
	}
	return nil
}

// destroyed is the end of most rounds: tap destroy, and then an account as it was.
func (r *round) destroyed() error {
	if r.began.IsZero() {
		r.began = time.Now()
	}
	return errors.Join(r.finish("destroy"), r.clean())
}

func (r *round) clean() error {
	after, err := r.cloud.List(r.ctx)
	if err != nil {
		return err
	}
	left, lost := after.Without(r.before), r.before.Without(after)
	for _, one := range left {
		r.note("LEFT %s", one)
	}
	for _, one := range lost {
		r.note("LOST %s", one)
	}
	if len(left)+len(lost) > 0 {
		return fmt.Errorf("%d left, %d lost that are not the stack's", len(left), len(lost))
	}
	return nil
}

// deployed is tap up, and then all of the stack, once.
func (r *round) deployed() error {
	return errors.Join(r.finish("up"), r.entire())
}

func (r *round) entire() error { return r.is(r.whole) }

// is holds that the account has as much of each kind as another listing.
func (r *round) is(want Account) error {
	now, err := r.cloud.List(r.ctx)
	if err != nil {
		return err
	}
	if wrong := now.differences(want); len(wrong) > 0 {
		return fmt.Errorf("not what a deployment makes: %s", strings.Join(wrong, "; "))
	}
	return nil
}

// said tells whether any command has said a text.
func (r *round) said(text string) bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return strings.Contains(strings.Join(r.log, "\n"), text)
}
