package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tapstack/lib/lifecycle"
	"tapstack/lib/load"
	"tapstack/lib/printable"
	"tapstack/lib/session"
	"tapstack/lib/verify"
)

func (a *app) demoCommand() *cobra.Command {
	command := a.does(&cobra.Command{
		Use: "demo", Short: "Deploy, check and remove the stack, and prove that nothing is left",
		Long: "Sets up all that is needed, previews, deploys, checks, shows that a second deployment changes nothing and that\n" +
			"nothing drifted, destroys, and asks every service whether anything is left.",
		Example: "  tap demo\n  tap demo --suffix pr42 --output json\n  tap demo --target endpoint --endpoint http://127.0.0.1:4566",
	}, always(needs{program: true, fresh: true, changes: true, runs: true, left: func(r *request) string {
		if r.Target.Ends() {
			return "The local cloud ended with this process: nothing is left to clean up."
		}
		return needs{}.finish(r)
	}}), a.demo)
	a.options.bindAllow(command.Flags())
	a.options.bindDataPlane(command.Flags())
	return command
}

// demo is the whole life of a stack, and what is to be told of it.
type demo struct {
	*session.Session
	app     *app
	request *request
	summary summary
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
	// Proven says that every service was asked what is left; Left tells nothing where it could not be.
	Proven    bool    `json:"proven"`
	ElapsedMS int64   `json:"elapsedMs"`
	Phases    []phase `json:"phases"`
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

func (a *app) demo(ctx context.Context, s *session.Session, r *request) error {
	started := time.Now()
	d := &demo{Session: s, app: a, request: r, summary: summary{
		Suffix: r.Suffix, Target: r.Target.Name, Failed: []failedCheck{}, Faults: []string{}, Left: []string{}, Phases: []phase{},
	}}
	err := d.run(ctx)
	err = errors.Join(err, d.timed("stop", func() (string, error) {
		a.display.abort()
		return "", s.Close()
	}))
	return d.tell(err, time.Since(started))
}

func (d *demo) run(ctx context.Context) error {
	d.app.noteAssumed(d.request)
	if err := d.timed("set up", func() (string, error) { return d.setUp(ctx) }); err != nil {
		return err
	}
	err := d.deployAndCheck(ctx)
	ctx, cancel := d.CleanupContext(ctx)
	defer cancel()
	if exists, unknown := d.Exists(ctx); unknown == nil && !exists {
		return err
	}
	if err != nil {
		d.app.display.Note("Cleaning up.")
	}
	return errors.Join(err, d.cleanUp(ctx))
}

func (d *demo) setUp(ctx context.Context) (string, error) {
	if err := d.OpenNew(ctx); err != nil {
		return "", d.request.explain(err)
	}
	d.summary.Where = d.Cloud.Where()
	detail := "pulumi " + d.Engine.Version()
	if d.Cloud.Moto.Version != "" {
		detail += ", moto " + d.Cloud.Moto.Version
	}
	if d.request.Official || !d.Cloud.Emulated() {
		detail += ", official provider"
	}
	return detail, nil
}

// deployAndCheck goes as far as it makes sense: checks that fail do not stop it, an engine that fails does.
func (d *demo) deployAndCheck(ctx context.Context) error {
	var planned lifecycle.Result
	for _, step := range []struct {
		phase session.Phase
		run   func() (fmt.Stringer, error)
	}{
		{session.Preview, func() (_ fmt.Stringer, err error) {
			planned, err = d.Preview(ctx)
			return planned, err
		}},
		{session.Up, func() (fmt.Stringer, error) {
			result, err := d.Up(ctx, planned)
			d.summary.Resources = made(result)
			return result, err
		}},
		{session.Migrate, func() (fmt.Stringer, error) { return d.Migrate(ctx) }},
		{session.Payments, func() (fmt.Stringer, error) { return d.pay(ctx) }},
		{session.Verify, func() (fmt.Stringer, error) { return d.check(ctx) }},
		{session.Again, func() (fmt.Stringer, error) {
			result, err := d.PreviewAgain(ctx, planned)
			return result, d.mustAlterNothing(result, "a second up would change the stack", err)
		}},
		{session.Refresh, func() (fmt.Stringer, error) {
			result, err := d.Refresh(ctx)
			return result, d.mustAlterNothing(result, "refresh reports drift", err)
		}},
	} {
		if ctx.Err() != nil {
			return lifecycle.ErrInterrupted
		}
		if needsTasks := step.phase == session.Migrate || step.phase == session.Payments; needsTasks && d.Plane == nil {
			continue
		}
		if err := d.timed(string(step.phase), func() (string, error) {
			came, err := step.run()
			return came.String(), err
		}); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) mustAlterNothing(result lifecycle.Result, fault string, err error) error {
	if err == nil && result.Altered() > 0 {
		d.fault("%s: %s", fault, list(result))
	}
	return err
}

// demoLoad is what merchants do while a demo disturbs the stack.
var demoLoad = load.Options{Rate: 50, Duration: 4 * time.Second, Arrivals: load.Poisson, Merchants: 4, Seed: 1}

// pay has merchants pay while the stack is disturbed. That none is lost and none is settled twice is part of the demo's verdict.
func (d *demo) pay(ctx context.Context) (session.PaymentsResult, error) {
	result, err := d.Payments(ctx, demoLoad, session.Disturbances())
	if err == nil && !result.Holds() {
		d.fault("payments: %s", result)
	}
	return result, err
}

// check lets checks act: the stack is the demo's own.
func (d *demo) check(ctx context.Context) (verify.Counts, error) {
	report, err := d.Verify(ctx, true)
	d.summary.Checks = report.Counts
	for _, result := range report.Results {
		if result.Status == verify.Failed {
			d.summary.Failed = append(d.summary.Failed, failedCheck{result.ID, result.Reason})
		}
	}
	if err == nil && !report.OK() && len(d.summary.Failed) == 0 {
		d.fault("no check ran")
	}
	return report.Counts, err
}

// cleanUp destroys and proves it, whatever happened before.
func (d *demo) cleanUp(ctx context.Context) error {
	destroyed := d.timed(string(session.Destroy), func() (string, error) {
		result, err := d.Destroy(ctx)
		return result.String(), err
	})
	proved := d.timed(string(session.LeakProof), func() (string, error) {
		left, err := d.ProveGone(ctx)
		d.summary.Left, d.summary.Proven = append(d.summary.Left, left...), err == nil
		return fmt.Sprintf("%d left", len(left)), err
	})
	switch {
	case destroyed == nil:
		return errors.Join(proved, d.Forget(ctx))
	case !d.request.Target.Ends():
		destroyed = fmt.Errorf("%w\nTry again with: %s", destroyed, d.request.tell("destroy"))
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
func (d *demo) tell(err error, elapsed time.Duration) error {
	s := &d.summary
	s.ElapsedMS = elapsed.Milliseconds()
	s.Interrupted = errors.Is(err, lifecycle.ErrInterrupted)
	if err != nil {
		d.fault("%s", err)
	}
	s.OK = len(s.Faults) == 0 && len(s.Failed) == 0 && len(s.Left) == 0
	if d.request.json {
		if err := d.app.printJSON(s); err != nil {
			return err
		}
	} else {
		d.app.printSummary(s, elapsed)
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

func (a *app) printSummary(s *summary, elapsed time.Duration) {
	a.print("")
	table := tabwriter.NewWriter(a.stdout, 0, 0, 3, ' ', 0)
	for _, it := range s.Phases {
		_, _ = fmt.Fprintf(table, "  %s\t%7s\t%s\n", it.Name, seconds(it.elapsed), it.Detail)
	}
	_ = table.Flush()
	a.print("")
	for _, failed := range s.Failed {
		a.print("%s %s: %s", a.paint("31", "failed"), failed.ID, failed.Reason)
	}
	for _, fault := range s.Faults {
		a.print("%s %s", a.paint("31", "error"), fault)
	}
	for _, it := range s.Left {
		a.print("%s %s", a.paint("31", "left"), printable.Text(it))
	}
	verdict := a.paint("32", "Fine")
	switch {
	case s.Interrupted:
		verdict = a.paint("33", "Interrupted")
	case !s.OK:
		verdict = a.paint("31", "Not fine")
	}
	if s.Where != "" {
		a.print("On %s.", s.Where)
	}
	a.print("%s: stack %s on %s: %s made; checks: %s; %s; %s elapsed.",
		verdict, s.Suffix, s.Target, plural(s.Resources, "resource"), s.Checks, s.remains(), seconds(elapsed))
}

// remains says what the leak proof came to.
func (s *summary) remains() string {
	if !s.Proven {
		return "what is left is not known"
	}
	return plural(len(s.Left), "resource") + " left"
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

// made counts the resources that a deployment created, the engine's own not among them.
func made(result lifecycle.Result) int {
	count := 0
	for _, step := range result.Changed {
		if step.Op == "create" && !strings.HasPrefix(step.Type, "pulumi:") {
			count++
		}
	}
	return count
}
