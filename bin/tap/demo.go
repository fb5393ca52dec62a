package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"tapstack/lib"
	"tapstack/lib/lifecycle"
	"tapstack/lib/target"
	"tapstack/lib/verify"
)

// demo is the whole life of a stack, and what is to be told of it.
type demo struct {
	*session
	dir     string
	started time.Time
	summary summary
	report  verify.Report
}

// summary is the demo's result.
type summary struct {
	Suffix      string        `json:"suffix"`
	Target      string        `json:"target"`
	Where       string        `json:"where,omitempty"`
	OK          bool          `json:"ok"`
	Interrupted bool          `json:"interrupted,omitempty"`
	Resources   int           `json:"resources"`
	Checks      verify.Counts `json:"checks"`
	Failed      []failedCheck `json:"failed"`
	Faults      []string      `json:"faults"`
	Left        []string      `json:"left"`
	ElapsedMS   int64         `json:"elapsedMs"`
	Phases      []phase       `json:"phases"`
}

type failedCheck struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

type phase struct {
	Name     string        `json:"name"`
	ElapsedM int64         `json:"elapsedMs"`
	Detail   string        `json:"detail,omitempty"`
	elapsed  time.Duration `json:"-"`
}

func (a *app) demo(ctx context.Context, p *plan) error {
	p.act = true // the stack is the demo's own
	d := &demo{session: a.begin(ctx, p), started: time.Now()}
	d.summary = summary{
		Suffix: p.suffix, Target: p.target.Name, Failed: []failedCheck{}, Faults: []string{}, Left: []string{}, Phases: []phase{},
	}
	err := d.run()
	err = errors.Join(err, d.timed("stop", func() (string, error) { return "", d.end() }))
	return d.tell(err)
}

func (d *demo) run() error {
	d.tellAssumed()
	if err := d.timed("set up", d.setUp); err != nil {
		return err
	}
	err := d.deployAndCheck()
	if made, unknown := d.made(); unknown == nil && !made {
		return err
	}
	if err != nil {
		d.display.note("Cleaning up.")
	}
	return errors.Join(err, d.cleanUp())
}

// made says whether there is a stack to remove.
func (d *demo) made() (bool, error) {
	if d.dir != d.plan.dir {
		return lifecycle.Exists(d.dir, lib.ProjectName, d.plan.suffix), nil
	}
	ctx, cancel := d.aftermath()
	defer cancel()
	return d.exists(ctx, d.plan.suffix)
}

// setUp makes everything ready. On local the state goes with the emulator; elsewhere it stays until the clean-up is
// done, so that destroy can finish it.
func (d *demo) setUp() (string, error) {
	d.dir = d.plan.dir
	lifetime := target.WithTool
	if d.plan.target.Ends() {
		d.setFarewell("The local cloud ended with this process: nothing is left to clean up.")
		scratch, err := d.scratchDir()
		if err != nil {
			return "", err
		}
		d.dir = scratch
	} else if exists, err := d.exists(d.ctx, d.plan.suffix); err != nil {
		return "", err
	} else if exists {
		return "", fmt.Errorf("stack %s exists already on target %s: destroy it first, or take another --suffix",
			d.plan.suffix, d.plan.target.Name)
	}
	if err := d.findEngine(); err != nil {
		return "", err
	}
	if d.plan.target.Name == target.LocalStack && !d.plan.target.Ends() {
		lifetime = target.Kept // should this be killed, destroy must find all parts of the cloud
	}
	if err := d.openTarget(lifetime); err != nil {
		return "", err
	}
	if err := d.clearedForTakeOff(); err != nil {
		return "", err
	}
	d.summary.Where = d.target.Where()
	detail := "pulumi " + d.engine.Version()
	if d.target.Moto.Version != "" {
		detail += ", moto " + d.target.Moto.Version
	}
	if d.plan.official {
		detail += ", official provider"
	}
	return detail, d.openStack(d.dir)
}

// deployAndCheck goes as far as it makes sense: checks that fail do not stop it, an engine that fails does.
func (d *demo) deployAndCheck() error {
	var planned lifecycle.Result
	for _, step := range []struct {
		name string
		run  func() (string, error)
	}{
		{titlePreview, func() (detail string, err error) {
			planned, err = d.engineStep(titlePreview, 0, d.stack.Preview)
			if err == nil {
				err = d.tellCost(planned)
			}
			return changesText(planned, "to "), err
		}},
		{"up", func() (string, error) {
			result, err := d.engineStep("up", planned.Total(), d.stack.Up)
			d.summary.Resources = made(result)
			return changesText(result, ""), err
		}},
		{"verify", d.check},
		{titleAgain, func() (string, error) {
			result, err := d.engineStep(titleAgain, planned.Total(), d.stack.Preview)
			if err == nil && result.Altered() > 0 {
				d.fault("a second up would change the stack: %s", list(result))
			}
			return changesText(result, "to "), err
		}},
		{"refresh", func() (string, error) {
			result, err := d.session.refresh(d.ctx)
			if err == nil && result.Altered() > 0 {
				d.fault("refresh reports drift: %s", list(result))
			}
			return driftText(result), err
		}},
	} {
		if d.ctx.Err() != nil {
			return lifecycle.ErrInterrupted
		}
		if err := d.timed(step.name, step.run); err != nil {
			return err
		}
	}
	return nil
}

// engineStep runs an operation of the engine with its progress.
func (d *demo) engineStep(title string, total int, run func(context.Context) (lifecycle.Result, error)) (lifecycle.Result, error) {
	d.display.begin(title, total)
	result, err := run(d.ctx)
	if err != nil {
		return result, d.display.fail(err)
	}
	prefix := ""
	if result.Operation == "preview" {
		prefix = "to "
	}
	d.display.done(changesText(result, prefix))
	return result, nil
}

func (d *demo) check() (string, error) {
	report, err := d.verify()
	d.report, d.summary.Checks = report, report.Counts
	for _, result := range report.Results {
		if result.Status == verify.Failed {
			d.summary.Failed = append(d.summary.Failed, failedCheck{result.ID, result.Reason})
		}
	}
	if err == nil && !report.OK() && len(d.summary.Failed) == 0 {
		d.fault("no check ran")
	}
	return countsText(report.Counts), err
}

// cleanUp destroys and proves it, whatever happened before, on a context of its own.
func (d *demo) cleanUp() error {
	ctx, cancel := d.aftermath()
	defer cancel()
	destroyed := d.timed("destroy", func() (string, error) {
		result, err := d.tearDown(ctx)
		return changesText(result, ""), err
	})
	proved := d.timed("leak proof", func() (string, error) {
		found, err := d.prove(ctx)
		d.summary.Left = append(d.summary.Left, found...)
		return fmt.Sprintf("%d left", len(found)), err
	})
	if destroyed == nil && d.dir == d.plan.dir {
		return errors.Join(proved, d.forget(ctx), d.release(ctx))
	}
	if destroyed != nil && d.dir == d.plan.dir {
		destroyed = fmt.Errorf("%w\nTry again with: %s", destroyed, d.plan.tell("destroy"))
	}
	return errors.Join(destroyed, proved)
}

func (d *demo) fault(format string, arguments ...any) {
	d.summary.Faults = append(d.summary.Faults, fmt.Sprintf(format, arguments...))
}

// timed runs a phase and remembers how long it took.
func (d *demo) timed(name string, run func() (string, error)) error {
	start := time.Now()
	detail, err := run()
	if err != nil {
		detail = "failed"
	}
	elapsed := time.Since(start)
	d.summary.Phases = append(d.summary.Phases, phase{name, elapsed.Milliseconds(), detail, elapsed})
	return err
}

// tell prints the summary and answers with what the process is to exit with.
func (d *demo) tell(err error) error {
	s := &d.summary
	elapsed := time.Since(d.started)
	s.ElapsedMS = elapsed.Milliseconds()
	s.Interrupted = errors.Is(err, lifecycle.ErrInterrupted)
	if err != nil {
		d.fault("%s", err)
	}
	s.OK = len(s.Faults) == 0 && len(s.Failed) == 0 && len(s.Left) == 0
	if d.plan.json {
		if err := d.app.printJSON(s); err != nil {
			return err
		}
	} else {
		d.app.printSummary(s, elapsed, d.display.colours)
	}
	switch {
	case s.Interrupted:
		return errors.Join(errReported, lifecycle.ErrInterrupted)
	case !s.OK:
		return errReported
	default:
		return nil
	}
}

func (a *app) printSummary(s *summary, elapsed time.Duration, colours bool) {
	a.print("")
	table := tabwriter.NewWriter(a.stdout, 0, 0, 3, ' ', 0)
	for _, it := range s.Phases {
		_, _ = fmt.Fprintf(table, "  %s\t%7s\t%s\n", it.Name, seconds(it.elapsed), it.Detail)
	}
	_ = table.Flush()
	a.print("")
	for _, failed := range s.Failed {
		a.print("%s %s: %s", paint(colours, "31", "failed"), failed.ID, failed.Reason)
	}
	for _, fault := range s.Faults {
		a.print("%s %s", paint(colours, "31", "error"), fault)
	}
	for _, it := range s.Left {
		a.print("%s %s", paint(colours, "31", "left"), it)
	}
	verdict := paint(colours, "32", "Fine")
	switch {
	case s.Interrupted:
		verdict = paint(colours, "33", "Interrupted")
	case !s.OK:
		verdict = paint(colours, "31", "Not fine")
	}
	if s.Where != "" {
		a.print("On %s.", s.Where)
	}
	a.print("%s: stack %s on %s: %s made; checks: %s; %s left; %s elapsed.",
		verdict, s.Suffix, s.Target, plural(s.Resources, "resource"), countsText(s.Checks), plural(len(s.Left), "resource"), seconds(elapsed))
}

// list names the first few resources that a result alters.
func list(result lifecycle.Result) string {
	text := ""
	for index, it := range changesOf(result) {
		if index == 5 {
			return text + " …"
		}
		if index > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%s %s %s %v", it.Op, it.Type, it.Name, it.Properties)
	}
	return text
}
