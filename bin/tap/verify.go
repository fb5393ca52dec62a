package main

import (
	"context"
	"errors"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"tapstack/lib/session"
	"tapstack/lib/verify"
	"tapstack/lib/verify/report"
)

// verifyFlags are those of verify alone.
type verifyFlags struct {
	list   bool
	act    bool
	report string
}

func (a *app) verifyCommand() *cobra.Command {
	var f verifyFlags
	command := a.does(&cobra.Command{
		Use: "verify", Short: "Check the deployed stack through the AWS API",
		Long: "Holds the deployed stack to every sentence of the brief, by reading the AWS API and asking the load balancer. Exits with 1\n" +
			"if a check fails. With --act also by acting on the stack: see --list for the checks that do, which undo it.",
		Example: "  tap verify\n  tap verify --act\n  tap verify --output json\n  tap verify --report reports/dev\n  tap verify --list",
	}, func() needs { return needs{changes: f.act} }, func(ctx context.Context, s *session.Session, r *request) error {
		if f.list {
			return a.listSpecification(r)
		}
		return a.verify(ctx, s, r, f)
	})
	flags := command.Flags()
	flags.Func("report", "write report.json, junit.xml, report.md and index.html into `DIR`", func(dir string) error {
		if dir == "" {
			return errors.New("name a folder")
		}
		f.report = dir
		return nil
	})
	flags.BoolVar(&f.act, "act", false, "also run the checks that act on the stack and undo it: a message through the queue, an alarm set off (operations are notified), a failover of the database")
	flags.BoolVar(&f.list, "list", false, "list the specification, and what proves that its checks can fail, without looking at any cloud")
	command.MarkFlagsMutuallyExclusive("list", "report")
	command.MarkFlagsMutuallyExclusive("list", "act")
	return command
}

func (a *app) verify(ctx context.Context, s *session.Session, r *request, f verifyFlags) error {
	if err := s.OpenExisting(ctx); err != nil {
		return r.explain(err)
	}
	if f.report != "" {
		if err := report.Prepare(f.report); err != nil {
			return err
		}
	}
	run, err := s.Verify(ctx, f.act)
	if err != nil {
		return err
	}
	if f.report != "" {
		if err := report.Write(f.report, run, report.Options{Bullets: verify.Brief(), Sabotages: verify.Sabotages()}); err != nil {
			return err
		}
		a.say("Report: %s", filepath.Join(f.report, report.HTMLFile))
	}
	if r.json {
		err = a.printJSON(run)
	} else {
		a.printReport(run)
		if more := len(session.Checks(true)) - len(session.Checks(f.act)); more > 0 {
			a.print("%s that act on the stack were left out: --act runs them and undoes what they do", plural(more, "check"))
		}
	}
	if err == nil && !run.OK() {
		return errReported
	}
	return err
}

// printReport lists the checks that did not pass, those that failed with what was expected and seen, then the counts.
func (a *app) printReport(report verify.Report) {
	for _, result := range report.Results {
		switch result.Status {
		case verify.NotObservable:
			a.print("%s  %s: %s", a.paint("33", "not observable here"), result.ID, result.Reason)
		case verify.SwitchedOff:
			a.print("%s  %s: %s", a.paint("33", "switched off"), result.ID, result.Reason)
		}
	}
	for _, result := range report.Results {
		if result.Status == verify.Failed {
			a.print("%s  %s: %s", a.paint("31", "failed"), result.ID, result.Says)
			a.printEvidence(result)
		}
	}
	if report.Problem != "" {
		a.print("%s  %s", a.paint("31", "problem"), report.Problem)
	}
	a.print("%s, of %d checks", report.Counts, report.Counts.Total)
	if report.Target.Where != "" {
		a.print("On %s.", report.Target.Where)
	}
}

// evidenceLimit is how much of a value is printed, in characters; reports have all of it.
const evidenceLimit = 400

// printEvidence tells of a failed check what was expected, what was seen and where, or why it could not look.
func (a *app) printEvidence(result verify.Result) {
	type fact struct{ name, text string }
	facts := []fact{{"expected", result.Expected}, {"actual", result.Actual}}
	if !slices.ContainsFunc(result.Observations, func(o verify.Observation) bool { return !o.OK }) {
		facts = []fact{{"why", result.Reason}}
	}
	for _, it := range append(facts, fact{"ARN", result.ARN}) {
		if text := []rune(it.text); len(text) > evidenceLimit {
			it.text = string(text[:evidenceLimit]) + "…"
		}
		if it.text != "" {
			a.print("        %-8s  %s", it.name, it.text)
		}
	}
}
