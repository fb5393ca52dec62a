package main

import (
	"context"

	"github.com/spf13/cobra"

	"tapstack/lib/session"
)

func (a *app) migrateCommand() *cobra.Command {
	return a.does(&cobra.Command{
		Use: "migrate", Short: "Migrate the database of the deployed stack",
		Long: "Runs the one-off task payment-migrate in the deployed stack and waits for its end: it applies the migrations of its image and\n" +
			"makes the database users of the services. up does so by itself where it changes the database, its users or the image. May be\n" +
			"repeated at any time.",
		Example: "  tap migrate\n  tap migrate --target aws --suffix prod --yes",
	}, always(needs{changes: true}), a.migrate)
}

func (a *app) migrate(ctx context.Context, s *session.Session, r *request) error {
	if err := s.OpenExisting(ctx); err != nil {
		return r.explain(err)
	}
	migrated, err := s.Migrate(ctx)
	if err != nil {
		return err
	}
	if r.json {
		return a.printJSON(migrated)
	}
	a.print("The database is migrated: task %s of %s ended well.", migrated.Task, migrated.Definition)
	return nil
}
