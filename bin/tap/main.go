// Command tap deploys the payment stack to a cloud, checks it there and removes it again. This package is wiring only: it
// reads flags, has lib/session do the work, and prints what came of it. There is one file for each command.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"tapstack/lib/lifecycle"
	"tapstack/lib/printable"
	"tapstack/lib/session"
)

// Exit codes.
const (
	exitFine        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnproven    = 3
	exitInterrupted = 130
)

// errUnproven ends a proof that could not ask every service.
var errUnproven = errors.New("not proven")

// errReported ends a command whose failure has been shown already.
var errReported = errors.New("failed")

const (
	// unreadLimit bounds the wait for the last line to be taken.
	unreadLimit = 3 * time.Second
	// liveLineLimit bounds the wait for the live line to be gone.
	liveLineLimit = 300 * time.Millisecond
)

// within runs what may hang, and waits for its end for so long.
func within(limit time.Duration, run func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		run()
	}()
	select {
	case <-done:
	case <-time.After(limit):
	}
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is main without its process: it answers with the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	app := &app{stdout: printed(stdout), stderr: printed(stderr)}
	root := app.root()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(context.Background())
	switch {
	case err == nil:
		return exitFine
	case errors.Is(err, lifecycle.ErrInterrupted):
		if !errors.Is(err, errReported) {
			app.say("%s", err)
		}
		return exitInterrupted
	case !app.started:
		app.say("%s", err)
		return exitUsage
	case errors.Is(err, errUnproven):
		app.say("%s", err)
		return exitUnproven
	case !errors.Is(err, errReported):
		app.say("%s", err)
	}
	return exitFailed
}

// app is one run of the command line.
type app struct {
	options options
	stdout  *printable.Writer
	stderr  *printable.Writer
	display *display
	// started is true once the command line was found to be right: what fails after that is not a wrong use.
	started bool
}

const about = `tap deploys the payment stack to a cloud, checks it through the AWS API and removes it again.

The cloud is the target: local (an AWS API emulator that tap starts on this machine, the default), localstack (in a
container, or one that runs already at $LOCALSTACK_ENDPOINT), endpoint (any running AWS-compatible API, given with
--endpoint) or aws (a real account).

Exit codes: 0 fine; 1 a deployment or a check failed, or something is left; 2 wrong use; 3 prove could not
ask every service; 130 interrupted.

The first interrupt (Ctrl-C, a closed terminal) stops the engine, waits for what is in flight and cleans up; the second
stops at once and prints the command that finishes the clean-up.`

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "tap", Short: "Deploy, check and remove the payment stack", Long: about,
		SilenceErrors: true, SilenceUsage: true,
		Args: cobra.NoArgs,
	}
	version := root.Flags().Bool("version", false, "print the version, as tap version does")
	root.RunE = func(command *cobra.Command, _ []string) error {
		if *version {
			return a.version()
		}
		return command.Help()
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	a.options.bind(root.PersistentFlags())
	root.AddCommand(
		a.demoCommand(), a.previewCommand(), a.costCommand(), a.upCommand(), a.migrateCommand(), a.verifyCommand(), a.loadCommand(), a.outputsCommand(),
		a.refreshCommand(),
		a.destroyCommand(), a.recoverCommand(), a.proveCommand(), a.sweepCommand(), a.preflightCommand(), a.doctorCommand(), a.versionCommand(),
		a.dataPlaneCommand(),
	)
	return root
}

// does completes a command: its request is made once the flags are read, and then worked on in a session.
func (a *app) does(command *cobra.Command, needs func() needs, work func(context.Context, *session.Session, *request) error) *cobra.Command {
	command.Args = cobra.NoArgs
	command.RunE = func(*cobra.Command, []string) error {
		needs := needs()
		r, err := a.options.request(command.Context(), command.Name(), needs)
		var unreachable *lifecycle.StateError
		a.started = err == nil || errors.As(err, &unreachable)
		if err != nil {
			return err
		}
		a.display = newDisplay(a.stderr.Out, r.progress)
		r.Progress, r.Abandon = a.display, func() {
			// Whoever does not read what is told must not keep the process alive, nor keep the last line from those who read again.
			time.AfterFunc(unreadLimit, func() { os.Exit(exitInterrupted) })
			within(liveLineLimit, a.display.abort)
			a.say("Stopped at once. %s", needs.finish(r))
			os.Exit(exitInterrupted)
		}
		r.Command = command.CommandPath()
		s, ctx := session.New(command.Context(), r.Options)
		err = work(ctx, s, r)
		a.display.abort()
		return errors.Join(err, s.Close())
	}
	return command
}

// always are the needs of a command that no flag changes.
func always(n needs) func() needs { return func() needs { return n } }
