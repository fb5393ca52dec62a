package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"tapstack/lib/session"
)

func (a *app) recoverCommand() *cobra.Command {
	return a.does(&cobra.Command{
		Use: "recover", Short: "Make a new state of what the account has of a stack whose state is lost",
		Long: "Finds what the account has of the stack with the given --suffix by the tags of its owner and of the run that made most of\n" +
			"it, and by its names, and takes it into a new state. It changes nothing in the cloud but the claim. The configuration is to be given\n" +
			"as up had it, since it was lost with the state. What is not found, and secrets, the next up makes anew. A state that is\n" +
			"there needs no recovery: up and destroy settle what a killed run has left.",
		Example: "  tap recover --target aws --suffix prod --config owner=payments --config …",
	}, always(needs{program: true, changes: true}), a.recover)
}

func (a *app) recover(ctx context.Context, s *session.Session, r *request) error {
	a.noteAssumed(r)
	if err := s.OpenLost(ctx); err != nil {
		if errors.Is(err, session.ErrNothingLost) {
			err = errors.Join(fmt.Errorf("%w. Whose it may be is shown by: %s", err, r.tell("sweep")), s.Release(context.WithoutCancel(ctx)))
		}
		return r.explain(err)
	}
	planned, taken, err := s.Recover(ctx)
	if err != nil {
		return fmt.Errorf("%w\nGo on with: %s", err, r.tell("up"))
	}
	if r.json {
		return a.printJSON(map[string]any{"recovered": taken, "changes": planned.Changes})
	}
	a.print("%s in the state now.", plural(taken, "resource"))
	a.print("See what is to be done still with: %s\nDo it with:     %s\nRemove it with: %s", r.tell("preview"), r.tell("up"), r.tell("destroy"))
	return nil
}
