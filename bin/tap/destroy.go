package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"tapstack/lib/lifecycle"
	"tapstack/lib/printable"
	"tapstack/lib/session"
)

func (a *app) destroyCommand() *cobra.Command {
	var ifExists bool
	command := a.does(&cobra.Command{
		Use: "destroy", Short: "Remove the stack, and prove that nothing is left",
		Long: "Deletes every resource of the stack and its state, then asks every service whether anything is left. On target\n" +
			"local the emulator ends with its last stack.",
		Example: "  tap destroy\n  tap destroy --target aws --suffix prod --yes",
	}, always(needs{changes: true}), func(ctx context.Context, s *session.Session, r *request) error {
		return a.destroy(ctx, s, r, ifExists)
	})
	command.Flags().BoolVar(&ifExists, "if-exists", false, "succeed where there is no such stack")
	a.options.bindUnlock(command.Flags())
	return command
}

func (a *app) destroy(ctx context.Context, s *session.Session, r *request, ifExists bool) error {
	err := s.OpenExisting(ctx)
	switch {
	case session.Gone(err):
		return a.clear(ctx, s, r)
	case errors.Is(err, lifecycle.ErrNoStack) && ifExists:
		return errors.Join(a.printNothing(r), s.Release(ctx))
	case errors.Is(err, lifecycle.ErrNoStack):
		return errors.Join(r.explain(err), s.Release(ctx))
	case err != nil:
		return r.explain(err)
	}
	result, err := s.Destroy(ctx)
	if err != nil {
		return fmt.Errorf("%w\nTry again with: %s", err, r.tell("destroy"))
	}
	left, err := s.ProveGone(ctx)
	if err == nil && len(left) == 0 {
		err = s.Forget(ctx)
	}
	if err != nil {
		return fmt.Errorf("%w\nTry again with: %s", err, r.tell("destroy"))
	}
	if r.json {
		err = a.printJSON(map[string]any{"changes": result.Changes, "left": left})
	} else {
		a.printLeft(left)
	}
	if len(left) > 0 && !r.json {
		a.print("Try again with: %s", r.tell("destroy"))
	}
	if err == nil && len(left) > 0 {
		return errReported
	}
	return err
}

// clear removes the state of a stack whose cloud is gone.
func (a *app) clear(ctx context.Context, s *session.Session, r *request) error {
	if err := s.Forget(ctx); err != nil {
		return err
	}
	if r.json {
		return a.printJSON(map[string]any{"changes": map[string]int{}, "left": []string{}, "cleared": true})
	}
	a.print("The local cloud that held stack %s is gone, and all of the stack with it. Its state is cleared.", r.Suffix)
	return nil
}

func (a *app) printNothing(r *request) error {
	if r.json {
		return a.printJSON(map[string]any{"changes": map[string]int{}, "left": []string{}})
	}
	a.print("There is no stack %s: nothing is to be destroyed. What a run left without a state is found with: %s", r.Suffix, r.tell("sweep"))
	return nil
}

func (a *app) printLeft(left []string) {
	if len(left) == 0 {
		a.print("Nothing is left.")
		return
	}
	a.print("Left behind, %s:", plural(len(left), "resource"))
	for _, it := range left {
		a.print("  %s", printable.Text(it))
	}
}
