package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"tapstack/lib/lifecycle"
	"tapstack/lib/session"
	"tapstack/lib/target"
)

func (a *app) upCommand() *cobra.Command {
	command := a.does(&cobra.Command{
		Use: "up", Short: "Deploy the stack, or bring it up to date",
		Long: "Deploys the stack and leaves it running until destroy; on target local the emulator as well. Configuration given\n" +
			"with --config is kept for later runs; an empty value goes back to the default. What holds data or carries everything\n" +
			"else is replaced or deleted only with --allow-replace. What was changed by hand is seen and put back after a refresh only.",
		Example: "  tap up\n  tap up --config alertEmail=ops@example.com --config dbInstanceClass=db.r6g.xlarge\n  tap up --target aws --suffix prod --yes --config …",
	}, always(needs{program: true, changes: true, runs: true}), a.up)
	a.options.bindUnlock(command.Flags())
	a.options.bindAllow(command.Flags())
	a.options.bindDataPlane(command.Flags())
	return command
}

func (a *app) up(ctx context.Context, s *session.Session, r *request) error {
	a.noteAssumed(r)
	if err := s.OpenKept(ctx); err != nil {
		return r.explain(err)
	}
	result, err := deploy(ctx, s)
	if err != nil {
		return a.afterFailedUp(ctx, s, r, err)
	}
	outputs, err := s.Outputs(ctx)
	if err != nil {
		return err
	}
	if s.MustMigrate(result) {
		if _, err := s.Migrate(ctx); err != nil {
			return fmt.Errorf("the stack is deployed, and does not work yet: %w\nGo on with: %s", err, r.tell("migrate"))
		}
	}
	if r.json {
		return a.printJSON(map[string]any{
			"changes": result.Changes, "outputs": outputs, "endpoint": s.Cloud.Endpoint, "where": s.Cloud.Where(),
		})
	}
	if result.Altered() == 0 {
		a.print("No changes.")
	}
	if s.Cloud.Endpoint != "" {
		a.print("Stack %s runs at %s, region %s: %s.", r.Suffix, s.Cloud.Endpoint, target.Region, s.Cloud.Where())
	}
	a.print("Check it with:  %s\nRemove it with: %s", r.tell("verify"), r.tell("destroy"))
	return nil
}

func deploy(ctx context.Context, s *session.Session) (lifecycle.Result, error) {
	planned, err := s.Preview(ctx)
	if err != nil {
		return planned, err
	}
	return s.Up(ctx, planned)
}

// afterFailedUp says how to go on where something was made.
func (a *app) afterFailedUp(ctx context.Context, s *session.Session, r *request, err error) error {
	var claimed *session.ClaimedError
	if errors.As(err, &claimed) {
		return r.explain(err)
	}
	exists, after := s.AfterFailure(ctx)
	if !exists {
		return errors.Join(err, after)
	}
	var damaged *lifecycle.DamagedError
	told := "The state was read back whole. "
	var fault *lifecycle.OperationError
	if after != nil || errors.As(err, &damaged) || errors.As(err, &fault) && fault.Cause != nil {
		err, told = errors.Join(err, after), ""
	}
	return fmt.Errorf("%w\n%sGo on with: %s\nor remove what there is with: %s", err, told, r.tell("up"), r.tell("destroy"))
}
