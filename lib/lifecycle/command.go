package lifecycle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/blang/semver"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"

	"tapstack/lib/cloud"
	"tapstack/lib/process"
)

// usualGrace is how long an interrupted engine may take to finish what is in flight before it is killed, unless the options
// say otherwise. An Aurora instance that is being created on AWS takes up to 15 minutes, and its id would be lost with the
// engine.
const usualGrace = 20 * time.Minute

// questionLimit bounds what the CLI is asked between operations, such as for the stack's outputs.
const questionLimit = 50 * time.Second

// killGrace bounds the wait for a killed engine to be gone, and for an interrupted question to end.
const killGrace = 2 * time.Second

// command runs the CLI for one stack in place of the Automation API's own runner, which kills the engine 10 s after
// a cancellation, lets the terminal interrupt it a second time, and hands it the whole environment.
type command struct {
	engine *Engine
	env    []string
	// attached is the variable that names the providers of the current operation, if any.
	attached string
	// operating is true while an operation runs.
	operating bool
	// stderr is what the last command wrote to its standard error.
	stderr string
	// grace is how long an interrupted command may take.
	grace time.Duration
	// room is the disk that the state is on; nil where it is on none.
	room *room
	// ended is why the last command was interrupted; nil when it was not.
	ended error
}

var _ auto.PulumiCommand = (*command)(nil)

// newCommand gives the engine what it needs of the environment, where env brings credentials. Where it looks for the user's,
// all but the user's Pulumi settings is handed on, since a profile may name a program that gets them.
func newCommand(engine *Engine, env map[string]string) *command {
	kept := process.Environment(process.Network...)
	if env["AWS_ACCESS_KEY_ID"] == "" {
		kept = slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, "PULUMI_") })
	}
	for name, value := range env {
		kept = append(kept, name+"="+value)
	}
	return &command{engine: engine, env: kept, grace: usualGrace}
}

// Version is the CLI's version.
func (c *command) Version() semver.Version { return c.engine.version }

// unread answers what the Automation API asks the CLI after an operation to tell it with the operation's result, which
// nobody here reads. Each question would start the CLI once more.
var unread = map[string]string{"stack output": "{}", "stack history": "[]"}

// Run runs one CLI command to its end. The end of ctx interrupts it once, as Ctrl-C would, and so does a full disk under an
// operation. What does not end then is killed, with all that it started.
func (c *command) Run(ctx context.Context, workdir string, stdin io.Reader, stdouts, stderrs []io.Writer, env []string,
	args ...string,
) (string, string, int, error) {
	if answer := unread[strings.Join(args[:min(2, len(args))], " ")]; c.operating && answer != "" {
		return answer, "", 0, nil
	}
	if !slices.Contains(args, "--non-interactive") {
		args = append([]string{"--non-interactive"}, args...)
	}
	ctx, release := c.bound(ctx, args)
	defer release()
	child := exec.CommandContext(ctx, c.engine.path, args...)
	child.Dir = workdir
	child.Env = slices.Concat(c.env, env, []string{"PULUMI_AUTOMATION_API=true"})
	if c.attached != "" {
		child.Env = append(child.Env, c.attached)
	}
	child.Stdin = stdin
	process.OwnSession(child)
	child.Cancel = func() error { return child.Process.Signal(os.Interrupt) }
	child.WaitDelay = killGrace
	if c.operating {
		child.WaitDelay = c.grace
	}
	var stdout, stderr bytes.Buffer
	child.Stdout = io.MultiWriter(append(slices.Clone(stdouts), &stdout)...)
	child.Stderr = io.MultiWriter(append(slices.Clone(stderrs), &stderr)...)

	err := child.Start()
	if err == nil {
		c.engine.running.note(child.Process.Pid, true)
		err = child.Wait()
		if ctx.Err() != nil {
			_ = process.KillGroup(child.Process.Pid) // what a killed engine leaves
		}
		c.engine.running.note(child.Process.Pid, false)
	}
	c.stderr, c.ended = stderr.String(), nil
	if err != nil && ctx.Err() != nil {
		c.ended = context.Cause(ctx)
	}
	code := -2
	var exit *exec.ExitError
	switch {
	case err == nil:
		code = 0
	case errors.As(err, &exit):
		code = exit.ExitCode()
	}
	return stdout.String(), stderr.String(), code, err
}

// bound has the context end when there is no more room for the state, or when a mere question takes too long.
func (c *command) bound(ctx context.Context, args []string) (context.Context, func()) {
	if c.operating {
		return c.room.watch(ctx)
	}
	return context.WithTimeoutCause(ctx, questionLimit, fmt.Errorf("pulumi %s had no answer within %s: the disk or the network of the state does not answer",
		strings.Join(args, " "), questionLimit))
}

// processes are the process groups that run now.
type processes struct {
	mutex  sync.Mutex
	groups []int
}

func (p *processes) note(pid int, runs bool) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if runs {
		p.groups = append(p.groups, pid)
	} else {
		p.groups = slices.DeleteFunc(p.groups, func(group int) bool { return group == pid })
	}
}

// kill ends all groups and waits a moment for them to be gone, lest a dead engine look alive to the next command.
func (p *processes) kill() {
	p.mutex.Lock()
	for _, group := range p.groups {
		_ = process.KillGroup(group)
	}
	p.mutex.Unlock()
	wait := cloud.Wait{Limit: killGrace, First: 10 * time.Millisecond, Longest: 10 * time.Millisecond}
	_ = cloud.Poll(context.Background(), wait, func(context.Context) (bool, error) {
		p.mutex.Lock()
		defer p.mutex.Unlock()
		return len(p.groups) == 0, nil
	})
}
