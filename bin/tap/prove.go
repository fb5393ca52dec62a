package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"tapstack/lib"
	"tapstack/lib/session"
	"tapstack/lib/sweep"
	"tapstack/lib/target"
)

func (a *app) proveCommand() *cobra.Command {
	return a.does(&cobra.Command{
		Use: "prove", Short: "Prove that nothing is left of a stack, without its state",
		Long: "Asks every service what is left of the stack with the given --suffix, by names, tags and relations. It needs neither a state\n" +
			"nor the engine, and only reads; reads that are throttled are repeated. Exits with 0 only when every service was asked and\n" +
			"nothing is left, with 1 when something is left, and with 3 when it could not be proven.",
		Example: "  tap prove\n  tap prove --target aws --suffix pr42 --output json",
	}, always(needs{left: func(*request) string { return "Nothing was changed." }}), a.prove)
}

func (a *app) prove(ctx context.Context, s *session.Session, r *request) error {
	left, err := []string{}, s.OpenCloud(ctx, target.Recorded)
	gone := session.Gone(err)
	if err == nil {
		left, err = s.Prove(ctx)
	}
	if err != nil && !gone {
		return fmt.Errorf("%w: what is left of stack %s is not known: %w\nTry again with: %s", errUnproven, r.Suffix, err, r.tell("prove"))
	}
	exists, err := s.Exists(ctx)
	if err != nil {
		return err
	}
	next := ""
	switch {
	case len(left) > 0 && exists:
		next = r.tell("destroy")
	case len(left) > 0:
		all := sweepFlags{Options: sweep.Options{Owner: lib.DefaultOwner, Suffix: r.Suffix, IgnoreExpiry: true}}
		next = all.again(r)
	}
	if r.json {
		if err := a.printJSON(map[string]any{"suffix": r.Suffix, "left": left, "proven": true, "state": exists, "next": next}); err != nil {
			return err
		}
	} else {
		a.tellProven(r, left, exists, gone, next)
	}
	if len(left) > 0 {
		return errReported
	}
	return nil
}

func (a *app) tellProven(r *request, left []string, exists, gone bool, next string) {
	if gone {
		a.print("No cloud of target %s runs here, and what was in one has gone with it.", r.Target.Name)
	}
	a.printLeft(left)
	if exists {
		a.print("Stack %s has a state: what is there may be in use.", r.Suffix)
	}
	if next != "" {
		a.print("Remove it with: %s", next)
	}
}
