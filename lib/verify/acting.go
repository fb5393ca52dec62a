package verify

import (
	"context"
	"errors"
	"net"
	"time"

	"tapstack/lib/cloud"
)

// This file holds what checks need that act on the stack or reach it over the network: the network itself, waiting, and
// undoing.

// Network is what checks need of the network besides the AWS API: connections and addresses.
type Network interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
	LookupHost(ctx context.Context, host string) ([]string, error)
}

// ownNetwork is that of this machine.
type ownNetwork struct {
	*net.Dialer
	*net.Resolver
}

const (
	// defaultPollInterval is the time between two looks of a wait: short of what AWS's APIs throttle.
	defaultPollInterval = 2 * time.Second
	// minPolls is how often at least a wait looks that Options.Patience bounds.
	minPolls = 20
	// undoBound bounds the undoing of an act that has no longer bound of its own.
	undoBound = 30 * time.Second
)

// poll asks until the answer is yes or the bound is over: at once, soon again, then ever more seldom down to every pace.
func (e *Env) poll(ctx context.Context, bound time.Duration, done func(context.Context) (bool, error)) (bool, error) {
	if e.patience > 0 {
		bound = min(bound, e.patience)
	}
	err := cloud.Poll(ctx, cloud.Wait{Limit: bound, First: e.pollInterval / 32, Longest: e.pollInterval}, done)
	if errors.Is(err, cloud.ErrTimeout) {
		return false, nil
	}
	return err == nil, err
}

// undo adds to a check's error that of taking back what it did, for which neither an interrupt nor a deadline leaves less
// time.
func undo(ctx context.Context, err *error, bound time.Duration, back func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bound)
	defer cancel()
	if fault := back(ctx); fault != nil {
		*err = errors.Join(*err, fault)
	}
}

// notObservableError ends a check that only its own act could tell that the target cannot show what it needs. It is no pass: where
// nothing may be unobservable, it is a failure as any lacking capability is.
type notObservableError string

func (n notObservableError) Error() string { return string(n) }
