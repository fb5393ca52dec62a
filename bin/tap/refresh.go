package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"tapstack/lib/session"
)

func (a *app) refreshCommand() *cobra.Command {
	command := a.does(&cobra.Command{
		Use: "refresh", Short: "Read the cloud into the state and report drift",
		Long:    "Reads every resource from the cloud into the state, and lists what was changed or deleted behind Pulumi's back. What is listed, up puts back.",
		Example: "  tap refresh",
	}, always(needs{}), a.refresh)
	a.options.bindUnlock(command.Flags())
	return command
}

func (a *app) refresh(ctx context.Context, s *session.Session, r *request) error {
	if err := s.OpenExisting(ctx); err != nil {
		return r.explain(err)
	}
	result, err := s.Refresh(ctx)
	if err != nil {
		return fmt.Errorf("%w\nTry again with: %s", err, r.tell("refresh"))
	}
	if err := a.printChanges(r, result); err != nil || r.json || result.Altered() == 0 {
		return err
	}
	a.print("See what would put it back with: %s\nPut it back with: %s", r.tell("preview"), r.tell("up"))
	return nil
}
