package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tapstack/lib/cost"
	"tapstack/lib/session"
)

func (a *app) costCommand() *cobra.Command {
	var f costFlags
	command := a.does(&cobra.Command{
		Use: "cost", Short: "Estimate what the stack costs on AWS",
		Long: "Previews the stack on an emulator that ends with the command, and puts AWS list prices on the plan: for a run, for an\n" +
			"hour and for a month, resource by resource. What no plan tells, such as traffic and logs, is assumed as of an idle stack\n" +
			"and shown apart. It calls no account; --target and --suffix only say whose stored configuration it starts from.",
		Example: "  tap cost\n  tap cost --config interfaceEndpoints=true --config apiDesiredCount=6\n" +
			"  tap cost --target aws --suffix prod --assume nat-gb=500 --output json\n  tap cost --for 1h --max-run 5 --max-month 1000",
	}, func() needs {
		return needs{
			program: true, emulated: true, faults: f.read(),
			left: func(*request) string { return "Nothing was deployed: nothing is left to clean up." },
		}
	}, func(ctx context.Context, s *session.Session, r *request) error { return a.cost(ctx, s, r, &f) })
	f.bind(command.Flags())
	return command
}

// costFlags are those of cost alone: as given, and as read.
type costFlags struct {
	run              time.Duration
	assume           []string
	maxRun, maxMonth string

	options cost.Options
	limits  cost.Limits
}

func (f *costFlags) bind(flags *pflag.FlagSet) {
	flags.DurationVar(&f.run, "for", cost.PlannedRun, "length of the run, from the first resource to the last")
	flags.StringArrayVar(&f.assume, "assume", nil, "a use that no plan tells, as `name=number` of its unit per month; may be repeated")
	flags.StringVar(&f.maxRun, "max-run", "", "exit with 1 if a run costs more than so many `dollars`")
	flags.StringVar(&f.maxMonth, "max-month", "", "exit with 1 if a month costs more than so many `dollars`")
}

// read reads the flags and tells all that is wrong at once.
func (f *costFlags) read() []error {
	f.options = cost.Options{Run: f.run, Assume: map[string]cost.Amount{}}
	var faults []error
	for _, pair := range f.assume {
		name, number, _ := strings.Cut(pair, "=")
		amount, err := cost.ParseAmount(number)
		if err != nil {
			faults = append(faults, fmt.Errorf("--assume %q is not name=number", pair))
		}
		f.options.Assume[name] = amount
	}
	for _, limit := range []struct {
		flag, given string
		into        **cost.Amount
	}{{"--max-run", f.maxRun, &f.limits.Run}, {"--max-month", f.maxMonth, &f.limits.Month}} {
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
		faults = append(faults, f.options.Fault())
	}
	return faults
}

// cost previews the stack as if nothing of it were there.
func (a *app) cost(ctx context.Context, s *session.Session, r *request, f *costFlags) error {
	a.noteAssumed(r)
	if err := s.OpenTemporary(ctx); err != nil {
		return err
	}
	planned, err := s.Preview(ctx)
	if err != nil {
		return err
	}
	estimate, warnings, err := session.Estimate(planned, r.region, f.options)
	if err != nil {
		return err
	}
	if r.json {
		err = a.printJSON(struct {
			cost.Estimate
			Warnings []string `json:"warnings"`
		}{estimate, warnings})
	} else {
		a.printEstimate(estimate, warnings)
	}
	over := f.limits.Exceeded(estimate)
	for _, line := range over {
		a.say("%s", line)
	}
	if err == nil && len(over) > 0 {
		return errReported
	}
	return err
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

func (a *app) printEstimate(estimate cost.Estimate, warnings []string) {
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
		a.print("%s %s", a.paint("33", "warning:"), warning)
	}
	a.print("In all: %s$%s for a run of %s, $%s an hour, $%s a month of %d hours.", estimate.AtLeast(), estimate.Total.Run.Fixed(2),
		estimate.Run, estimate.Total.Hour.Fixed(2), estimate.Total.Month.Fixed(2), cost.HoursPerMonth)
}

func (a *app) printCosts(title string, rows []*costRow, sum cost.Costs, run cost.Duration, says func(*costRow) string) {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	line := func(what, quantity, unit, price string, costs [3]string) {
		_, _ = fmt.Fprintf(table, "%s\t%10s\t%s\t%10s\t%9s\t%9s\t%9s\n", what, quantity, unit, price, costs[0], costs[1], costs[2])
	}
	dollars := func(c cost.Costs) [3]string { return [3]string{c.Run.Fixed(4), c.Hour.Fixed(4), c.Month.Fixed(2)} }
	line(title, "quantity", "unit", "USD each", [3]string{"USD, " + run.String(), "an hour", "a month"})
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
