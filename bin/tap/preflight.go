package main

import (
	"cmp"
	"context"

	"github.com/spf13/cobra"

	"tapstack/lib/preflight"
	"tapstack/lib/session"
	"tapstack/lib/target"
)

func (a *app) preflightCommand() *cobra.Command {
	return a.does(&cobra.Command{
		Use: "preflight", Short: "Look for all that could stop a deployment, before it",
		Long: "Looks at the account, its quotas, the zones, the database version, the certificate, the images and names that are still\n" +
			"taken, and tells everything that is wrong at once. It only reads. On target aws, up and demo do it by themselves and\n" +
			"stop on problems. Exits with 1 if there is a problem.",
		Example: "  tap preflight --target aws --suffix prod --config allowedAccountIds=123456789012 --config …\n  tap preflight --output json",
	}, always(needs{program: true}), a.preflight)
}

func (a *app) preflight(ctx context.Context, s *session.Session, r *request) error {
	a.noteAssumed(r)
	exists, err := s.Exists(ctx)
	switch {
	case err != nil:
		return err
	case exists:
		err = s.OpenCloud(ctx, target.Recorded)
	default:
		err = s.OpenAnyCloud(ctx)
	}
	if err != nil {
		return r.explain(err)
	}
	report, err := s.Preflight(ctx)
	if err != nil {
		return err
	}
	if r.json {
		err = a.printJSON(report)
	} else {
		a.printPreflight(report)
	}
	if err == nil && report.Err() != nil {
		return errReported
	}
	return err
}

func (a *app) printPreflight(report preflight.Report) {
	a.printFindings(report.Findings)
	a.print("\nAccount %s, %s: %s.", cmp.Or(report.Account, "unknown"), report.Region, report)
}
