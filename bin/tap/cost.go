package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"

	"tapstack/lib"
	"tapstack/lib/cost"
	"tapstack/lib/cost/prices"
	"tapstack/lib/lifecycle"
	"tapstack/lib/target"
)

// plannedRun is how long a nightly run on AWS is planned to take: deploy, verify, update, destroy.
const plannedRun = 90 * time.Minute

// costFlags are those of cost alone, as given.
type costFlags struct {
	run              time.Duration
	assume           []string
	maxRun, maxMonth string
}

func (f *costFlags) bind(flags *pflag.FlagSet) {
	flags.DurationVar(&f.run, "for", plannedRun, "length of the run, from the first resource to the last")
	flags.StringArrayVar(&f.assume, "assume", nil, "a use that no plan tells, as `name=number` of its unit per month; may be repeated")
	flags.StringVar(&f.maxRun, "max-run", "", "exit with 1 if a run costs more than so many `dollars`")
	flags.StringVar(&f.maxMonth, "max-month", "", "exit with 1 if a month costs more than so many `dollars`")
}

// costPlan is what cost is to do, found to be right. A limit that is not given is nil.
type costPlan struct {
	options          cost.Options
	maxRun, maxMonth *cost.Amount
}

// plan checks the flags and tells all that is wrong at once.
func (f *costFlags) plan() (costPlan, error) {
	p := costPlan{options: cost.Options{Run: f.run, Assume: map[string]cost.Amount{}}}
	var faults []error
	for _, pair := range f.assume {
		name, number, _ := strings.Cut(pair, "=")
		amount, err := cost.ParseAmount(number)
		if err != nil {
			faults = append(faults, fmt.Errorf("--assume %q is not name=number", pair))
		}
		p.options.Assume[name] = amount
	}
	for _, limit := range []struct {
		flag, given string
		into        **cost.Amount
	}{{"--max-run", f.maxRun, &p.maxRun}, {"--max-month", f.maxMonth, &p.maxMonth}} {
		if limit.given == "" {
			continue
		}
		amount, err := cost.ParseAmount(limit.given)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", limit.flag, err))
		}
		*limit.into = &amount
	}
	if len(faults) == 0 {
		faults = append(faults, p.options.Fault())
	}
	return p, errors.Join(faults...)
}

func (a *app) cost(ctx context.Context, p *plan) (err error) {
	table, err := prices.USEast1()
	if err != nil {
		return err
	}
	s := a.begin(ctx, p.onThrowAwayCloud())
	defer func() { err = errors.Join(err, s.end()) }()
	s.setFarewell("Nothing was deployed: nothing is left to clean up.")
	s.tellAssumed()
	planned, err := s.previewWhole()
	if err != nil {
		return err
	}
	estimate, err := table.Estimate(costed(planned), p.cost.options)
	if err != nil {
		return err
	}
	warnings := costWarnings(table, estimate, p.region, time.Now())
	if p.json {
		err = a.printJSON(struct {
			cost.Estimate
			Warnings []string `json:"warnings"`
		}{estimate, warnings})
	} else {
		a.printEstimate(estimate, warnings, s.display.colours)
	}
	if err == nil && a.overLimit(p.cost, estimate) {
		return errReported
	}
	return err
}

// onThrowAwayCloud is the plan with its configuration, but on an emulator that ends with the command: an estimate needs
// no account, and changes none.
func (p *plan) onThrowAwayCloud() *plan {
	local := *p
	local.target = target.Options{Name: target.Local}
	local.official, local.bucket, local.region = false, nil, target.Region
	local.config = maps.Clone(p.config)
	delete(local.config, lib.ConfigAllowedAccountIDs) // the emulator's account is not among them
	return &local
}

// previewWhole previews the stack as if nothing of it were there.
func (s *session) previewWhole() (lifecycle.Result, error) {
	if err := s.findEngine(); err != nil {
		return lifecycle.Result{}, err
	}
	if err := s.openTarget(target.WithTool); err != nil {
		return lifecycle.Result{}, err
	}
	dir, err := s.scratchDir()
	if err != nil {
		return lifecycle.Result{}, err
	}
	if err := s.openStack(dir); err != nil {
		return lifecycle.Result{}, err
	}
	s.display.begin(titlePreview, 0)
	planned, err := s.stack.Preview(s.ctx)
	if err != nil {
		return planned, s.display.fail(s.cause(err))
	}
	s.display.done(plural(planned.Total(), "resource"))
	return planned, nil
}

func costed(planned lifecycle.Result) []cost.Resource {
	resources := make([]cost.Resource, len(planned.Planned))
	for index, it := range planned.Planned {
		resources[index] = cost.Resource(it)
	}
	return resources
}

// tellCost says what is about to be spent, where something is: emulators cost nothing.
func (s *session) tellCost(planned lifecycle.Result) error {
	if s.target.Emulated() {
		return nil
	}
	table, err := prices.USEast1()
	if err != nil {
		return err
	}
	estimate, err := table.Estimate(costed(planned), cost.Options{Run: plannedRun})
	if err != nil {
		return err
	}
	for _, line := range costNotes(estimate, costWarnings(table, estimate, s.plan.region, time.Now())) {
		s.display.note(line)
	}
	return nil
}

// costNotes are the estimate in three lines, and its warnings.
func costNotes(estimate cost.Estimate, warnings []string) []string {
	notes := []string{
		fmt.Sprintf("cost, estimated: %s$%s for a run of %s,", atLeast(estimate), estimate.Total.Run.Fixed(2), lasting(estimate.Run)),
		fmt.Sprintf("  $%s an hour, $%s a month, before traffic, taxes and discounts;", estimate.Total.Hour.Fixed(2), estimate.Total.Month.Fixed(0)),
		fmt.Sprintf("  list prices of %s, last checked %s. tap cost tells the details.", estimate.Region, estimate.Checked),
	}
	for _, warning := range warnings {
		notes = append(notes, "  "+warning)
	}
	return notes
}

// costWarnings say how far the estimate may be off.
func costWarnings(table *cost.Table, estimate cost.Estimate, region string, now time.Time) []string {
	warnings := []string{}
	if region != table.Region {
		warnings = append(warnings, fmt.Sprintf("the prices are those of %s, and the stack goes to %s, where they differ", table.Region, region))
	}
	if table.Stale(now) {
		warnings = append(warnings, fmt.Sprintf("the oldest price was last checked on %s: look them up again (lib/cost/prices)", table.Checked()))
	}
	if keys := estimate.Unconfirmed(); len(keys) > 0 {
		warnings = append(warnings, "prices that no public source was found for: "+strings.Join(keys, ", "))
	}
	if count := len(estimate.Missing); count > 0 {
		warnings = append(warnings, fmt.Sprintf("left out, since no price is known: %s", missingText(estimate.Missing)))
	}
	return warnings
}

// atLeast goes before sums that something is left out of.
func atLeast(estimate cost.Estimate) string {
	if len(estimate.Missing) > 0 {
		return "more than "
	}
	return ""
}

// missingText names what has no price, with the resources that share a reason together.
func missingText(missing []cost.Missing) string {
	var reasons []string
	names := map[string][]string{}
	for _, it := range missing {
		reason := it.Why + ", " + it.Type
		if names[reason] == nil {
			reasons = append(reasons, reason)
		}
		names[reason] = append(names[reason], it.Resource)
	}
	for index, reason := range reasons {
		reasons[index] = fmt.Sprintf("%s (%s)", strings.Join(names[reason], ", "), reason)
	}
	return strings.Join(reasons, "; ")
}

// overLimit holds the estimate to the limits. What has no price is over every limit.
func (a *app) overLimit(p costPlan, estimate cost.Estimate) bool {
	over := false
	if limited := p.maxRun != nil || p.maxMonth != nil; limited && len(estimate.Missing) > 0 {
		a.say("the cost cannot be held to a limit, since no price is known: %s", missingText(estimate.Missing))
		over = true
	}
	for _, limit := range []struct {
		what  string
		most  *cost.Amount
		costs cost.Amount
	}{{"a run", p.maxRun, estimate.Total.Run}, {"a month", p.maxMonth, estimate.Total.Month}} {
		if limit.most != nil && limit.costs.Cmp(*limit.most) > 0 {
			a.say("%s costs $%s, more than the limit of $%s", limit.what, limit.costs.Fixed(2), limit.most)
			over = true
		}
	}
	return over
}

// costRow is one or more lines of an estimate that differ in their resource only.
type costRow struct {
	cost.Line
	resources []string
}

// costRows puts lines together that are billed alike.
func costRows(lines []cost.Line) []*costRow {
	var rows []*costRow
	for _, line := range lines {
		at := slices.IndexFunc(rows, func(row *costRow) bool {
			return row.Group == line.Group && row.What == line.What && row.Key == line.Key && row.Type == line.Type
		})
		if at < 0 {
			rows = append(rows, &costRow{line, []string{line.Resource}})
			continue
		}
		row := rows[at]
		row.resources = append(row.resources, line.Resource)
		row.Quantity = row.Quantity.Plus(line.Quantity)
		row.Costs = row.Plus(line.Costs)
	}
	return rows
}

// who names the first of the row's resources, and counts the others.
func (r *costRow) who() string {
	if more := len(r.resources) - 1; more > 0 {
		return fmt.Sprintf("%s and %d more", r.resources[0], more)
	}
	return r.resources[0]
}

func (a *app) printEstimate(estimate cost.Estimate, warnings []string, colours bool) {
	a.print("An estimate from list prices of %s, last checked %s: on demand, before traffic, taxes, discounts and free tiers.",
		estimate.Region, estimate.Checked)
	planned, assumed := []cost.Line{}, []cost.Line{}
	for _, line := range estimate.Lines {
		if line.Assumption == "" {
			planned = append(planned, line)
		} else {
			assumed = append(assumed, line)
		}
	}
	a.print("")
	a.printCosts("What the plan tells", costRows(planned), estimate.Planned, estimate.Run, func(r *costRow) string { return r.who() + ": " + r.What })
	a.print("")
	a.printCosts("What is assumed of an idle stack, a month", costRows(assumed), estimate.Assumed, estimate.Run, func(r *costRow) string {
		return fmt.Sprintf("%s: %s (%s)", r.who(), r.What, r.Assumption)
	})
	a.print("")
	free := 0
	for _, it := range estimate.Free {
		free += it.Count
	}
	a.print("%s of %s cost nothing by themselves.", plural(free, "resource"), plural(len(estimate.Free), "type"))
	for _, warning := range warnings {
		a.print("%s %s", paint(colours, "33", "warning:"), warning)
	}
	a.print("In all: %s$%s for a run of %s, $%s an hour, $%s a month of %d hours.", atLeast(estimate), estimate.Total.Run.Fixed(2),
		lasting(estimate.Run), estimate.Total.Hour.Fixed(2), estimate.Total.Month.Fixed(2), cost.HoursPerMonth)
}

func (a *app) printCosts(title string, rows []*costRow, sum cost.Costs, run cost.Duration, says func(*costRow) string) {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	line := func(what, quantity, unit, price string, costs [3]string) {
		_, _ = fmt.Fprintf(table, "%s\t%10s\t%s\t%10s\t%9s\t%9s\t%9s\n", what, quantity, unit, price, costs[0], costs[1], costs[2])
	}
	dollars := func(c cost.Costs) [3]string { return [3]string{c.Run.Fixed(4), c.Hour.Fixed(4), c.Month.Fixed(2)} }
	line(title, "quantity", "unit", "USD each", [3]string{"USD, " + lasting(run), "an hour", "a month"})
	group := ""
	for _, row := range rows {
		if row.Group != group {
			group = row.Group
			line(group, "", "", "", [3]string{})
		}
		line("  "+says(row), row.Quantity.String(), row.Unit, row.Price.String(), dollars(row.Costs))
	}
	line("sum", "", "", "", dollars(sum))
	_ = table.Flush()
	for row := range strings.SplitSeq(strings.TrimRight(text.String(), "\n"), "\n") {
		a.print("%s", strings.TrimRight(row, " "))
	}
}

// lasting writes a duration without what is 0 of it: 1h30m.
func lasting(d cost.Duration) string {
	text := time.Duration(d).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if trimmed := strings.TrimSuffix(text, "0m"); strings.HasSuffix(trimmed, "h") {
		text = trimmed
	}
	return text
}
