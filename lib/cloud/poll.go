package cloud

import (
	"context"
	"errors"
	"time"
)

// Wait bounds a Poll: how long it goes on, and the pauses between two questions, which grow by an eighth from the first to the
// longest: what is waited for is seen soon, compared with how long it took. Without a limit the context alone ends it.
type Wait struct{ Limit, First, Longest time.Duration }

// ErrTimeout ends a Poll whose limit is over.
var ErrTimeout = errors.New("not so in time")

// Poll asks until the answer is yes: at once, then after each pause, and a last time when the limit is over. An error or
// the end of the context ends it, the latter before the next question, not within one.
func Poll(ctx context.Context, w Wait, ask func(context.Context) (bool, error)) error {
	end := time.Now().Add(w.Limit)
	for pause := w.First; ; pause = min(pause+pause/8, w.Longest) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if yes, err := ask(ctx); yes || err != nil {
			return err
		}
		if w.Limit > 0 {
			left := time.Until(end)
			if left <= 0 {
				return ErrTimeout
			}
			pause = min(pause, left)
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
	}
}
