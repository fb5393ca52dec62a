// Command tap deploys the payment stack to a cloud, checks it there and removes it again. This package is wiring only:
// the infrastructure is lib, the engine lib/lifecycle, the checks lib/verify, the clouds lib/target.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"tapstack/lib/lifecycle"
)

// Exit codes.
const (
	exitFine        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// errReported ends a command whose failure has been shown already.
var errReported = errors.New("failed")

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is main without its process: it answers with the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	app := &app{stdout: stdout, stderr: stderr}
	root := app.command()
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
	case !errors.Is(err, errReported):
		app.say("%s", err)
	}
	return exitFailed
}

// app is one run of the command line.
type app struct {
	options options
	stdout  io.Writer
	stderr  io.Writer
	// started is true once the command line was found to be right: what fails after that is not a wrong use.
	started bool
}

// say writes a line for people, apart from results.
func (a *app) say(format string, arguments ...any) {
	_, _ = fmt.Fprintf(a.stderr, format+"\n", arguments...)
}

// print writes a line of the result.
func (a *app) print(format string, arguments ...any) {
	_, _ = fmt.Fprintf(a.stdout, format+"\n", arguments...)
}

const about = `tap deploys the payment stack to a cloud, checks it through the AWS API and removes it again.

The cloud is the target: local (an AWS API emulator that tap starts on this machine, the default), localstack (in a
container, or one that runs already at $LOCALSTACK_ENDPOINT), endpoint (any running AWS-compatible API, given with
--endpoint) or aws (a real account).

Exit codes: 0 fine; 1 a deployment or a check failed, or something is left; 2 wrong use; 130 interrupted.

The first interrupt (Ctrl-C) stops the engine, waits for what is in flight and cleans up; the second stops at once and
prints the command that finishes the clean-up.`

func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use: "tap", Short: "Deploy, check and remove the payment stack", Long: about,
		SilenceErrors: true, SilenceUsage: true,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	a.options.bind(root.PersistentFlags())
	for _, it := range []struct {
		use, short, long, example string
		uses                      usage
		run                       func(context.Context, *plan) error
	}{
		{
			"demo", "Deploy, check and remove the stack, and prove that nothing is left",
			"Sets up all that is needed, previews, deploys, checks, shows that a second deployment changes nothing and that\n" +
				"nothing drifted, destroys, and asks every service whether anything is left.",
			"  tap demo\n  tap demo --suffix pr42 --output json\n  tap demo --target endpoint --endpoint http://127.0.0.1:4566",
			usage{program: true, fresh: true, changes: true},
			a.demo,
		},
		{
			"preview", "Show what up would do",
			"Shows what up would create, change and delete. A stack that was never deployed is previewed without leaving\nanything behind.",
			"  tap preview\n  tap preview --config apiDesiredCount=5 --output json",
			usage{program: true},
			a.preview,
		},
		{
			"cost", "Estimate what the stack costs on AWS",
			"Previews the stack on an emulator that ends with the command, and puts AWS list prices on the plan: for a run, for an\n" +
				"hour and for a month, resource by resource. What no plan tells, such as traffic and logs, is assumed as of an idle stack\n" +
				"and shown apart. It calls no account; --target and --suffix only say whose stored configuration it starts from.",
			"  tap cost\n  tap cost --config interfaceEndpoints=true --config apiDesiredCount=6\n" +
				"  tap cost --target aws --suffix prod --assume nat-gb=500 --output json\n  tap cost --for 1h --max-run 5 --max-month 1000",
			usage{program: true, cost: true},
			a.cost,
		},
		{
			"up", "Deploy the stack, or bring it up to date",
			"Deploys the stack and leaves it running until destroy; on target local the emulator as well. Configuration given\n" +
				"with --config is kept for later runs; an empty value goes back to the default.",
			"  tap up\n  tap up --config alertEmail=ops@example.com --config dbInstanceClass=db.r6g.xlarge\n  tap up --target aws --suffix prod --yes --config …",
			usage{program: true, changes: true, locks: true},
			a.up,
		},
		{
			"verify", "Check the deployed stack through the AWS API",
			"Holds the deployed stack to every sentence of the brief, by reading the AWS API and asking the load balancer. Exits with 1\n" +
				"if a check fails. With --act also by acting on the stack: see --list for the checks that do, which undo it.",
			"  tap verify\n  tap verify --act\n  tap verify --output json\n  tap verify --report reports/dev\n  tap verify --list",
			usage{verify: true},
			a.verify,
		},
		{
			"outputs", "Print the outputs of the deployed stack", "Prints the outputs of the deployed stack. None of them is secret.",
			"  tap outputs\n  tap outputs --output json | jq -r .apiUrl",
			usage{},
			a.outputs,
		},
		{
			"refresh", "Read the cloud into the state and report drift",
			"Reads every resource from the cloud into the state, and lists what was changed or deleted behind Pulumi's back.",
			"  tap refresh",
			usage{locks: true},
			a.refresh,
		},
		{
			"destroy", "Remove the stack, and prove that nothing is left",
			"Deletes every resource of the stack and its state, then asks every service whether anything is left. On target\n" +
				"local the emulator ends with its last stack.",
			"  tap destroy\n  tap destroy --target aws --suffix prod --yes",
			usage{changes: true, locks: true, removes: true},
			a.destroy,
		},
		{
			"sweep", "Remove what earlier runs have left, without their state",
			"Finds by tags, names and relations what runs have left in the account and region: of one owner, begun long enough ago\n" +
				"(--older-than) and expired. Without --yes it only says what it would delete, and what it keeps and why. What cannot be\n" +
				"proven to be ours is never touched. Without --suffix it takes the stacks of every suffix. Exits with 1 if anything of\n" +
				"ours is left, in a dry run too.",
			"  tap sweep --target aws\n  tap sweep --target aws --account 123456789012 --older-than 48h --yes\n" +
				"  tap sweep --target aws --suffix pr42 --older-than 0s --ignore-expiry --yes",
			usage{sweep: true},
			a.sweep,
		},
		{
			"preflight", "Look for all that could stop a deployment, before it",
			"Looks at the account, its quotas, the zones, the database version, the certificate, the images and names that are still\n" +
				"taken, and tells everything that is wrong at once. It only reads. On target aws, up and demo do it by themselves and\n" +
				"stop on problems. Exits with 1 if there is a problem.",
			"  tap preflight --target aws --suffix prod --config allowedAccountIds=123456789012 --config …\n  tap preflight --output json",
			usage{program: true},
			a.preflight,
		},
		{
			"doctor", "Show where tap can run here, and what is missing",
			"Says of each target whether it can run on this machine, and what to do where it cannot; with --target, in detail.\n" +
				"Exits with 1 if the target, or none of them, can run.",
			"  tap doctor\n  tap doctor --target aws",
			usage{doctor: true},
			a.doctor,
		},
	} {
		command := &cobra.Command{
			Use: it.use, Short: it.short, Long: it.long, Example: it.example, Args: cobra.NoArgs,
			RunE: func(command *cobra.Command, _ []string) error {
				a.options.chosen = command.Flags().Changed("target")
				a.options.sweep.named = command.Flags().Changed("suffix")
				p, err := a.options.plan(command.Context(), command.Name(), it.uses)
				var unreachable *lifecycle.StateError
				a.started = err == nil || errors.As(err, &unreachable)
				if err != nil {
					return err
				}
				return it.run(command.Context(), p)
			},
		}
		if it.uses.verify {
			a.options.bindVerify(command.Flags())
		}
		if it.uses.cost {
			a.options.cost.bind(command.Flags())
		}
		if it.uses.sweep {
			a.options.sweep.bind(command.Flags())
		}
		if it.uses.removes {
			a.options.bindIfExists(command.Flags())
		}
		if it.uses.locks {
			a.options.bindUnlock(command.Flags())
		}
		root.AddCommand(command)
	}
	return root
}
