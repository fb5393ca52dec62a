package lifecycle

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// ErrInterrupted is the cause of a context that the first interrupt ended.
var ErrInterrupted = errors.New("interrupted")

// OnInterrupt answers with a context that ends, with the cause ErrInterrupted, at the first SIGINT or SIGTERM. first
// is called then, and second at the next one, both from a goroutine of their own; second is expected to end the
// process. stop gives the signals back.
func OnInterrupt(parent context.Context, first, second func()) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		for _, act := range []func(){func() { first(); cancel(ErrInterrupted) }, second} {
			select {
			case <-signals:
				act()
			case <-done:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel(context.Canceled)
	}
}
