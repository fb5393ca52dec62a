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

	"github.com/spf13/pflag"

	"tapstack/lib"
	"tapstack/lib/lifecycle"
	"tapstack/lib/sweep"
	"tapstack/lib/target"
	"tapstack/lib/verify"
)

// sweepAge is how old a run must be unless told otherwise: four times the life of a demo.
const sweepAge = 24 * time.Hour

// sweepFlags are those of sweep alone, as given.
type sweepFlags struct {
	olderThan      time.Duration
	owner, account string
	ignoreExpiry   bool
	// named says that --suffix is given, and not just its default.
	named bool
}

func (f *sweepFlags) bind(flags *pflag.FlagSet) {
	flags.DurationVar(&f.olderThan, "older-than", sweepAge, "take only what runs have made that began so long ago")
	flags.StringVar(&f.owner, "owner", lib.DefaultOwner, "take only what is of this owner (the configuration's owner)")
	flags.StringVar(&f.account, "account", "", "refuse any account but the one with this `id`")
	flags.BoolVar(&f.ignoreExpiry, "ignore-expiry", false, "take the stack with the given --suffix though it has not expired, or never does")
}

// sweepPlan is what sweep is to do, found to be right.
type sweepPlan struct {
	options sweep.Options
	account string
	act     bool
}

// plan checks the flags and tells all that is wrong at once.
func (f *sweepFlags) plan(o *options) (sweepPlan, error) {
	p := sweepPlan{
		options: sweep.Options{Owner: f.owner, OlderThan: f.olderThan, IgnoreExpiry: f.ignoreExpiry, Now: time.Now()},
		account: f.account, act: o.yes,
	}
	var faults []error
	if f.named {
		p.options.Suffix = o.suffix
	}
	if f.owner == "" {
		faults = append(faults, errors.New("--owner is empty: it says whose resources may be removed"))
	}
	if f.olderThan < 0 {
		faults = append(faults, fmt.Errorf("--older-than %s lies in the future", f.olderThan))
	}
	if f.ignoreExpiry && !f.named {
		faults = append(faults, errors.New("--ignore-expiry is for one stack: name it with --suffix"))
	}
	if _, err := strconv.ParseUint(f.account, 10, 64); f.account != "" && (err != nil || len(f.account) != 12) {
		faults = append(faults, fmt.Errorf("--account %q is no account id: it has 12 digits", f.account))
	}
	return p, errors.Join(faults...)
}

// swept is what a sweep came to, as printed in JSON.
type swept struct {
	Account  string          `json:"account"`
	Region   string          `json:"region"`
	DryRun   bool            `json:"dryRun"`
	Plan     sweep.Plan      `json:"plan"`
	Outcomes []sweep.Outcome `json:"outcomes"`
	// Left is null when nobody asked, or nobody could tell.
	Left []sweep.Item `json:"left"`
}

func (a *app) sweep(ctx context.Context, p *plan) (err error) {
	s := a.begin(ctx, p)
	defer func() { err = errors.Join(err, s.end()) }()
	s.setFarewell("To go on: " + p.tellSweep())
	if err := s.openTarget(target.Recorded); err != nil {
		return s.explainNoCloud(err)
	}
	result := swept{DryRun: !p.sweep.act, Outcomes: []sweep.Outcome{}}
	if err := s.findLeft(&result); err != nil {
		return err
	}
	if !result.DryRun {
		err = s.sweepAway(&result)
	}
	if p.json {
		err = errors.Join(err, a.printJSON(result))
	} else {
		a.printSwept(p, result)
	}
	if err == nil && result.unfinished() {
		return errReported
	}
	return err
}

func (s *session) explainNoCloud(err error) error {
	if !gone(err) {
		return err
	}
	return fmt.Errorf("%w: on target %s there is nothing to sweep", err, s.plan.target.Name)
}

// findLeft finds what there is and makes the plan.
func (s *session) findLeft(result *swept) error {
	s.display.begin("look", 0)
	who, found, err := verify.Find(s.ctx, s.target.Config)
	if err == nil && s.plan.sweep.account != "" && who.Account != s.plan.sweep.account {
		err = fmt.Errorf("these credentials are of account %s, not of %s (--account)", who.Account, s.plan.sweep.account)
	}
	if err == nil {
		result.Account, result.Region = who.Account, who.Region
		result.Plan, err = sweep.New(found, s.plan.sweep.options)
	}
	if err != nil {
		return s.display.fail(s.cause(err))
	}
	s.display.done(fmt.Sprintf("account %s, region %s: %d to delete, %d blocked, %d kept",
		who.Account, who.Region, len(result.Plan.Delete), len(result.Plan.Blocked), len(result.Plan.Kept)))
	return nil
}

// sweepAway deletes, and asks again.
func (s *session) sweepAway(result *swept) error {
	s.display.begin("sweep", len(result.Plan.Delete))
	outcomes, err := sweep.Execute(s.ctx, s.target.Config, result.Plan, s.display.swept)
	result.Outcomes = outcomes
	failed := result.failed()
	detail := fmt.Sprintf("%d deleted, %d failed", len(outcomes)-len(failed), len(failed))
	if err != nil {
		return s.display.fail(s.cause(err))
	}
	s.display.done(detail)
	s.display.begin("proof", 0)
	left, err := sweep.Prove(s.ctx, s.target.Config, result.Plan, outcomes, s.plan.sweep.options)
	if err != nil {
		return s.display.fail(s.cause(err))
	}
	result.Left = append([]sweep.Item{}, left...)
	s.display.done(plural(len(left), "resource") + " left")
	return nil
}

func (r swept) failed() []sweep.Outcome {
	return slices.DeleteFunc(slices.Clone(r.Outcomes), func(o sweep.Outcome) bool { return o.Error == "" })
}

// unfinished says that something of ours is there still.
func (r swept) unfinished() bool {
	if r.DryRun {
		return len(r.Plan.Delete)+len(r.Plan.Blocked) > 0
	}
	return len(r.failed())+len(r.Left) > 0
}

// swept counts a resource, and shows what came of it.
func (d *display) swept(o sweep.Outcome) {
	d.settle(lifecycle.Step{URN: o.ARN, Name: o.String()})
	switch {
	case o.Error != "" && (d.live || d.lines):
		d.note(d.paint("31", "failed: ") + o.String() + ": " + o.Error)
	case d.lines:
		d.note(fmt.Sprintf("%-10s %s  deleted %s", d.title, d.progressText(), o.String()))
	}
}

// printSwept tells what was or would be done, and what is kept and why.
func (a *app) printSwept(p *plan, r swept) {
	a.print("Account %s, region %s, owner %s, %s.", r.Account, r.Region, p.sweep.options.Owner, p.sweep.scope())
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	row := func(word, what, why string) { _, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", word, what, why) }
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
	for _, it := range r.failed() {
		row("failed", it.String(), it.Error)
	}
	for _, it := range r.Left {
		row("left", it.String(), it.ARN)
	}
	_ = table.Flush()
	switch {
	case r.DryRun && !r.unfinished():
		a.print("Nothing of this owner is left to sweep.")
	case r.DryRun:
		a.print("Nothing was changed. Delete them with: %s", p.tellSweep())
	case r.unfinished() || r.Left == nil:
		a.print("The sweep is not complete. Repeat it with: %s", p.tellSweep())
	default:
		a.print("%s deleted, nothing left.", plural(len(r.Outcomes), "resource"))
	}
}

func (p sweepPlan) scope() string {
	scope := "any suffix"
	if p.options.Suffix != "" {
		scope = "suffix " + p.options.Suffix
	}
	scope += fmt.Sprintf(", runs older than %s", p.options.OlderThan)
	if p.options.IgnoreExpiry {
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

// tellSweep is the command line that does what this one does not, or not yet.
func (p *plan) tellSweep() string {
	told := *p
	told.rerun = slices.Clone(p.rerun)
	drop := func(flag string, values int) {
		if i := slices.Index(told.rerun, flag); i >= 0 {
			told.rerun = slices.Delete(told.rerun, i, i+1+values)
		}
	}
	drop("--yes", 0)
	if p.sweep.options.Suffix == "" {
		drop("--suffix", 1)
	}
	told.rerun = append(told.rerun, "--older-than", p.sweep.options.OlderThan.String())
	if p.sweep.options.Owner != lib.DefaultOwner {
		told.rerun = append(told.rerun, "--owner", p.sweep.options.Owner)
	}
	if p.sweep.account != "" {
		told.rerun = append(told.rerun, "--account", p.sweep.account)
	}
	if p.sweep.options.IgnoreExpiry {
		told.rerun = append(told.rerun, "--ignore-expiry")
	}
	told.rerun = append(told.rerun, "--yes")
	return told.tell("sweep")
}
