package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tapstack/lib"
	"tapstack/lib/printable"
	"tapstack/lib/session"
	"tapstack/lib/sweep"
	"tapstack/lib/target"
)

// sweepAge is how old a run must be unless told otherwise: four times the life of a demo.
const sweepAge = 24 * time.Hour

func (a *app) sweepCommand() *cobra.Command {
	var f sweepFlags
	var command *cobra.Command
	command = a.does(&cobra.Command{
		Use: "sweep", Short: "Remove what earlier runs have left, without their state",
		Long: "Finds by tags, names and relations what runs have left in the account and region: of one owner, begun long enough ago\n" +
			"(--older-than) and expired. Without --yes it only says what it would delete, and what it keeps and why. What cannot be\n" +
			"proven to be ours is never touched. Without --suffix it takes the stacks of every suffix. Exits with 1 if anything of\n" +
			"ours is there, in a dry run too, and also if it is too young or in use.",
		Example: "  tap sweep --target aws\n  tap sweep --target aws --account 123456789012 --older-than 48h --yes\n" +
			"  tap sweep --target aws --suffix pr42 --older-than 0s --ignore-expiry --yes",
	}, func() needs {
		if command.Flags().Changed("suffix") {
			f.Suffix = a.options.suffix
		}
		return needs{
			changes: a.options.yes, region: true, faults: f.faults(), left: func(r *request) string { return "To go on: " + f.again(r) },
		}
	}, func(ctx context.Context, s *session.Session, r *request) error {
		return a.sweep(ctx, s, r, &f, a.options.yes)
	})
	flags := command.Flags()
	flags.DurationVar(&f.OlderThan, "older-than", sweepAge, "take only what runs have made that began so long ago")
	flags.StringVar(&f.Owner, "owner", lib.DefaultOwner, "take only what is of this owner (the configuration's owner)")
	flags.StringVar(&f.account, "account", "", "refuse any account but the one with this `id`")
	flags.BoolVar(&f.IgnoreExpiry, "ignore-expiry", false, "take the stack with the given --suffix though it has not expired, or never does")
	return command
}

// sweepFlags are those of sweep alone. The suffix is empty unless it is given.
type sweepFlags struct {
	sweep.Options
	account string
}

// faults tells all that is wrong at once.
func (f *sweepFlags) faults() []error {
	var faults []error
	if f.Owner == "" {
		faults = append(faults, errors.New("--owner is empty: it says whose resources may be removed"))
	}
	if f.OlderThan < 0 {
		faults = append(faults, fmt.Errorf("--older-than %s lies in the future", f.OlderThan))
	}
	if f.IgnoreExpiry && f.Suffix == "" {
		faults = append(faults, errors.New("--ignore-expiry is for one stack: name it with --suffix"))
	}
	if _, err := strconv.ParseUint(f.account, 10, 64); f.account != "" && (err != nil || len(f.account) != 12) {
		faults = append(faults, fmt.Errorf("--account %q is no account id: it has 12 digits", f.account))
	}
	return faults
}

func (a *app) sweep(ctx context.Context, s *session.Session, r *request, f *sweepFlags, agreed bool) error {
	if agreed && f.Suffix != "" {
		if err := s.Lock(ctx); err != nil {
			return r.explain(err)
		}
	}
	if err := s.OpenCloud(ctx, target.Recorded); err != nil {
		if session.Gone(err) {
			return fmt.Errorf("%w: on target %s there is nothing to sweep", err, r.Target.Name)
		}
		return err
	}
	f.Now = time.Now()
	report, err := s.PlanSweep(ctx, f.account, f.Options)
	if err != nil {
		return err
	}
	if agreed {
		err = s.Sweep(ctx, &report, f.Options)
	}
	if r.json {
		err = errors.Join(err, a.printJSON(report))
	} else {
		a.printSweep(report, f, f.again(r))
	}
	if err == nil && (report.Unfinished() || report.Living() > 0) {
		return errReported
	}
	return err
}

// printSweep tells what was or would be done, and what is kept and why.
func (a *app) printSweep(r session.SweepReport, f *sweepFlags, again string) {
	a.print("Account %s, region %s, owner %s, %s.", r.Account, r.Region, f.Owner, f.scope())
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	row := func(word, what, why string) {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", word, printable.Text(what), printable.Text(why))
	}
	switch {
	case r.DryRun:
		for _, it := range r.Plan.Delete {
			row("would delete", it.String(), it.Reason)
		}
		for _, it := range r.Plan.Along {
			row("goes along", it.String(), it.Reason)
		}
	default:
		for _, it := range r.Outcomes {
			if it.Error == "" {
				row("deleted", it.String(), it.Reason)
			}
		}
	}
	for _, it := range r.Plan.Blocked {
		row("blocked", it.String(), it.Reason)
	}
	for _, line := range summed(r.Plan.Kept) {
		row("kept", line.what, line.why)
	}
	for _, it := range r.Failed() {
		row("failed", it.String(), it.Error)
	}
	for _, it := range r.Left {
		row("left", it.String(), it.ARN)
	}
	_ = table.Flush()
	switch {
	case r.DryRun && !r.Unfinished() && r.Living() == 0:
		a.print("Nothing of this owner is left to sweep.")
	case r.DryRun && !r.Unfinished():
		a.print("%s of this owner must stay: too young, or in use. Nothing else is left to sweep.", plural(r.Living(), "resource"))
	case r.DryRun:
		a.print("Nothing was changed. Delete them with: %s", again)
	case r.Unfinished() || r.Left == nil:
		a.print("The sweep is not complete. Repeat it with: %s", again)
	case r.Living() > 0:
		a.print("%s deleted; %s of this owner must stay: too young, or in use.", plural(len(r.Outcomes), "resource"), plural(r.Living(), "resource"))
	default:
		a.print("%s deleted, nothing left.", plural(len(r.Outcomes), "resource"))
	}
}

func (f *sweepFlags) scope() string {
	scope := "any suffix"
	if f.Suffix != "" {
		scope = "suffix " + f.Suffix
	}
	scope += fmt.Sprintf(", runs older than %s", f.OlderThan)
	if f.IgnoreExpiry {
		scope += ", expired or not"
	}
	return scope
}

// keptLine stands for all that is kept of a stack for one reason.
type keptLine struct{ what, why string }

// summed tells what is kept by stack and reason, with a few examples: a stack in use has more than a hundred resources.
func summed(items []sweep.Item) []keptLine {
	const shown = 3
	type group struct{ stack, reason string }
	byGroup := map[group][]string{}
	var order []group
	for _, it := range items {
		g := group{it.Stack, it.Reason}
		if byGroup[g] == nil {
			order = append(order, g)
		}
		byGroup[g] = append(byGroup[g], it.String())
	}
	slices.SortStableFunc(order, func(a, b group) int { return cmp.Compare(a.stack, b.stack) })
	var lines []keptLine
	for _, g := range order {
		names := byGroup[g]
		what := strings.Join(names[:min(len(names), shown)], ", ")
		if more := len(names) - shown; more > 0 {
			what += fmt.Sprintf(" and %d more", more)
		}
		if g.stack != "" {
			what = "of stack " + g.stack + ": " + what
		}
		lines = append(lines, keptLine{what, g.reason})
	}
	return lines
}

// again is the command line that does what this one does not, or not yet.
func (f *sweepFlags) again(r *request) string {
	flags := slices.DeleteFunc(slices.Clone(r.rerun), func(flag string) bool { return flag == "--yes" })
	if at := slices.Index(flags, "--suffix"); f.Suffix == "" {
		flags = slices.Delete(flags, at, at+2)
	}
	flags = append(flags, "--older-than", f.OlderThan.String())
	if f.Owner != lib.DefaultOwner {
		flags = append(flags, "--owner", f.Owner)
	}
	if f.account != "" {
		flags = append(flags, "--account", f.account)
	}
	if f.IgnoreExpiry {
		flags = append(flags, "--ignore-expiry")
	}
	return commandLine("sweep", append(flags, "--yes"))
}
