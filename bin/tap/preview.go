package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"tapstack/lib/session"
)

func (a *app) previewCommand() *cobra.Command {
	command := a.does(&cobra.Command{
		Use: "preview", Short: "Show what up would do",
		Long: "Shows what up would create, change and delete. A stack that was never deployed is previewed on the cloud that\n" +
			"up would use, if it runs, without leaving anything behind. Exits with 1 if up would refuse.",
		Example: "  tap preview\n  tap preview --config apiDesiredCount=5 --output json",
	}, always(needs{program: true}), a.preview)
	a.options.bindAllow(command.Flags())
	return command
}

func (a *app) preview(ctx context.Context, s *session.Session, r *request) error {
	a.noteAssumed(r)
	exists, err := s.Exists(ctx)
	switch {
	case err != nil:
		return err
	case exists:
		err = s.OpenExisting(ctx)
	default:
		err = s.OpenTemporary(ctx)
	}
	if err != nil {
		return r.explain(err)
	}
	result, err := s.Preview(ctx)
	if err != nil {
		return err
	}
	return errors.Join(a.printChanges(r, result), s.Keep(result))
}
