package main

import (
	"context"
	"errors"
	"fmt"

	"tapstack/lib"
	"tapstack/lib/preflight"
	"tapstack/lib/target"
)

// preflight is the command: it looks at everything that could stop a deployment and prints all of it.
func (a *app) preflight(ctx context.Context, p *plan) (err error) {
	s := a.begin(ctx, p)
	defer func() { err = errors.Join(err, s.end()) }()
	s.tellAssumed()
	exists, err := s.exists(s.ctx, p.suffix)
	if err != nil {
		return err
	}
	lifetime := target.WithTool
	if exists {
		lifetime = target.Recorded
	}
	if err := s.openTarget(lifetime); err != nil {
		return s.explainGone(err)
	}
	report, err := s.lookAhead(exists)
	if err != nil {
		return err
	}
	if p.json {
		err = a.printJSON(report)
	} else {
		a.printPreflight(report, isTerminal(a.stdout) && s.display.colours)
	}
	if err == nil && report.Err() != nil {
		return errReported
	}
	return err
}

// lookAhead runs the preflight on the open target.
func (s *session) lookAhead(deployed bool) (preflight.Report, error) {
	config, err := lib.ParseConfig(s.plan.config)
	if err != nil {
		return preflight.Report{}, err
	}
	s.display.begin("preflight", 0)
	report := preflight.Run(s.ctx, preflight.Options{
		AWS: s.target.Config, Config: config, Deployed: deployed, Emulated: s.target.Emulated(),
	})
	if err := s.cause(s.ctx.Err()); err != nil {
		return report, s.display.fail(err)
	}
	counts := preflightCounts(report)
	if report.Err() != nil {
		s.display.finish("failed", "31", counts)
		return report, nil
	}
	s.display.done(counts)
	return report, nil
}

// clearedForTakeOff stops a deployment to a real account before its first resource if the preflight finds problems.
func (s *session) clearedForTakeOff() error {
	if s.target.Emulated() {
		return nil
	}
	exists, err := s.exists(s.ctx, s.plan.suffix)
	if err != nil {
		return err
	}
	report, err := s.lookAhead(exists)
	if err != nil {
		return err
	}
	for _, status := range []preflight.Status{preflight.Warning, preflight.Unknown} {
		for _, f := range report.With(status) {
			s.display.note(fmt.Sprintf("%s: %s: %s", status, f.What, f.Detail))
		}
	}
	if problems := report.Err(); problems != nil {
		return fmt.Errorf("%s in the way, nothing was made:\n%w", plural(len(report.With(preflight.Problem)), "problem"), problems)
	}
	return nil
}

func preflightCounts(report preflight.Report) string {
	return fmt.Sprintf("%d ok, %s, %s, %d unknown", len(report.With(preflight.OK)), plural(len(report.With(preflight.Warning)), "warning"),
		plural(len(report.With(preflight.Problem)), "problem"), len(report.With(preflight.Unknown)))
}

func (a *app) printPreflight(report preflight.Report, colours bool) {
	findings := make([]finding, len(report.Findings))
	for i, f := range report.Findings {
		findings[i] = finding{f.What, string(f.Status), f.Detail, f.Advice}
	}
	a.printFindings(findings, colours)
	account := report.Account
	if account == "" {
		account = "unknown"
	}
	a.print("\nAccount %s, %s: %s.", account, report.Region, preflightCounts(report))
}
