package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tapstack/lib/printable"
)

// Run runs the specification against the live API and reports on every check. The error is for a wrong use (no suffix,
// an unknown check id), or for a context that ended before all was checked, with its cause: whatever the cloud answers or
// refuses to answer ends up in the report, as failed checks.
func Run(ctx context.Context, o Options) (Report, error) {
	if err := o.validate(); err != nil {
		return Report{}, fmt.Errorf("verifying the stack: %w", err)
	}
	checks, err := selectChecks(Checks(), o.Only, o.Act)
	if err != nil {
		return Report{}, fmt.Errorf("verifying the stack: %w", err)
	}
	report := run(ctx, newEnv(o), checks, o)
	if ctx.Err() != nil && !report.OK() {
		return report, fmt.Errorf("the checks were cut short: %w", context.Cause(ctx))
	}
	return report, nil
}

// selectChecks leaves out what acts where nothing may; whoever asks for such a check by name is told.
func selectChecks(all []Check, only []string, act bool) ([]Check, error) {
	var chosen []Check
	var faults []error
	known := map[string]bool{}
	for _, c := range all {
		known[c.ID] = true
		wanted := slices.Contains(only, c.ID)
		switch {
		case c.Acts && !act && wanted:
			faults = append(faults, fmt.Errorf("the check %q acts on the stack, which must be asked for", c.ID))
		case c.Acts && !act:
		case wanted || len(only) == 0:
			chosen = append(chosen, c)
		}
	}
	for _, id := range only {
		if !known[id] {
			faults = append(faults, fmt.Errorf("there is no check %q", id))
		}
	}
	return chosen, errors.Join(faults...)
}

func run(ctx context.Context, env *Env, checks []Check, o Options) Report {
	started := time.Now()
	report := Report{Suffix: o.Suffix, Started: started.UTC(), Results: make([]Result, len(checks))}
	limit := o.Concurrency
	if limit == 0 {
		limit = defaultConcurrency
	}
	var told sync.Mutex
	do := func(i int) {
		r := runOne(ctx, env, checks[i], o.Strict)
		report.Results[i] = r
		if o.Done != nil && ctx.Err() == nil { // else it was not made
			told.Lock()
			defer told.Unlock()
			o.Done(r)
		}
	}
	var reading errgroup.Group
	reading.SetLimit(limit)
	for i, c := range checks {
		if c.Acts {
			continue
		}
		reading.Go(func() error { do(i); return nil })
	}
	_ = reading.Wait()
	for i, c := range checks {
		if c.Acts {
			do(i)
		}
	}
	report.Target = env.target(ctx)
	report.Target.Where = o.Where
	report.Counts = count(report.Results)
	if report.Counts.Failed > 0 {
		report.Problem = env.problem(ctx)
	}
	report.APICalls = env.cloud.Calls()
	report.DurationMS = milliseconds(time.Since(started))
	return report
}

func runOne(ctx context.Context, env *Env, c Check, strict bool) Result {
	started := time.Now()
	r := Result{ID: c.ID, Says: c.Says, PCI: c.PCI, At: started.UTC()}
	if lacking := env.lacking(ctx, c.Needs); len(lacking) > 0 {
		r.unobservable(strings.Join(lacking, "; "), strict)
	} else {
		ev := evidenceOf(ctx, env, c)
		why, hidden := ev.Err.(notObservableError) //nolint:errorlint // joined to another error it excuses nothing, nor does it beside something wrong
		if hidden && !slices.ContainsFunc(ev.Seen, func(o Observation) bool { return !o.OK }) {
			r.unobservable(string(why), strict)
		} else {
			r.judge(ev)
		}
	}
	r.DurationMS = milliseconds(time.Since(started))
	return r
}

func (r *Result) unobservable(why string, strict bool) {
	why = printable.Text(why)
	r.Status, r.Reason = NotObservable, why
	if strict {
		r.Status, r.Reason = Failed, "nothing may be unobservable on this target: "+why
	}
}

// evidenceOf runs a check and turns a panic into a failure: one broken check must not take the others along.
func evidenceOf(ctx context.Context, env *Env, c Check) (ev Evidence) {
	defer func() {
		if p := recover(); p != nil {
			ev.Err = fmt.Errorf("the check itself is broken: %v", p)
		}
	}()
	if err := ctx.Err(); err != nil {
		return Evidence{Err: fmt.Errorf("the run was stopped before this check: %w", err)}
	}
	return c.Run(ctx, env)
}

func (r *Result) judge(ev Evidence) {
	for i, o := range ev.Seen {
		ev.Seen[i] = Observation{printable.Text(o.ARN), printable.Text(o.What), printable.Text(o.Expected), printable.Text(o.Actual), o.OK}
	}
	r.Observations = ev.Seen
	var bad []Observation
	for _, o := range ev.Seen {
		if !o.OK {
			bad = append(bad, o)
		}
	}
	shown := ev.Seen
	switch {
	case ev.Err != nil:
		r.Status = Failed
		r.Reason = oneLine(ev.Err)
	case len(ev.Seen) == 0 && len(ev.SwitchedOff) == 0:
		r.Status = Failed
		r.Reason = "the cloud showed nothing to look at"
	case len(bad) > 0:
		r.Status = Failed
		r.Reason = faultLine(bad)
		shown = bad
	case len(ev.SwitchedOff) > 0:
		r.Status = SwitchedOff
		r.Reason = strings.Join(ev.SwitchedOff, "; ")
	default:
		r.Status = Passed
	}
	r.Expected = summary(shown, func(o Observation) string { return o.Expected })
	r.Actual = summary(shown, func(o Observation) string { return o.Actual })
	for _, o := range shown {
		if o.ARN != "" {
			r.ARN = o.ARN
			break
		}
	}
}

// faultLine names the first fault in full and counts the others.
func faultLine(bad []Observation) string {
	first := bad[0]
	line := fmt.Sprintf("%s: expected %s, got %s", first.What, first.Expected, first.Actual)
	if first.ARN != "" {
		line += " (" + first.ARN + ")"
	}
	if more := len(bad) - 1; more > 0 {
		line += fmt.Sprintf(", and %d more", more)
	}
	return line
}

// summary tells what was expected or seen, each subject and each value of it once.
func summary(seen []Observation, side func(Observation) string) string {
	var subjects []string
	values := map[string][]string{}
	for _, o := range seen {
		if _, known := values[o.What]; !known {
			subjects = append(subjects, o.What)
		}
		if v := side(o); !slices.Contains(values[o.What], v) {
			values[o.What] = append(values[o.What], v)
		}
	}
	parts := make([]string, len(subjects))
	for i, what := range subjects {
		parts[i] = what + ": " + strings.Join(values[what], ", ")
	}
	return strings.Join(parts, "; ")
}

func count(results []Result) Counts {
	c := Counts{Total: len(results)}
	for _, r := range results {
		switch r.Status {
		case Passed:
			c.Passed++
		case Failed:
			c.Failed++
		case NotObservable:
			c.NotObservable++
		case SwitchedOff:
			c.SwitchedOff++
		}
	}
	return c
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// oneLine is the error's text without line breaks.
func oneLine(err error) string { return printable.Text(strings.Join(strings.Fields(err.Error()), " ")) }
