package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"tapstack/lib/lifecycle"
	"tapstack/lib/target"
)

// cleanupDeadline bounds what is done after an interrupt or a failure, by target.
var cleanupDeadline = map[string]time.Duration{
	target.Local:      10 * time.Minute,
	target.LocalStack: 30 * time.Minute,
	target.Endpoint:   30 * time.Minute,
	target.AWS:        90 * time.Minute,
}

// session is what a command works with: the engine, the target and the open stack, as far as it needs them.
type session struct {
	app     *app
	plan    *plan
	display *display
	ctx     context.Context
	engine  *lifecycle.Engine
	target  *target.Target
	stack   *lifecycle.Stack

	stopSignals func()
	// farewell is what the second interrupt prints: how to finish the clean-up.
	mutex    sync.Mutex
	farewell string
	scratch  string
}

// begin starts a session whose context ends at the first interrupt.
func (a *app) begin(ctx context.Context, p *plan) *session {
	s := &session{app: a, plan: p, display: newDisplay(a.stderr, p.progress)}
	s.setFarewell("To finish the clean-up: " + p.tell("destroy"))
	s.ctx, s.stopSignals = lifecycle.OnInterrupt(ctx, func() {
		s.display.note("Interrupted. Waiting for what is in flight; interrupt again to stop at once.")
	}, s.abandon)
	return s
}

// abandon is the second interrupt.
func (s *session) abandon() {
	if s.engine != nil {
		s.engine.Kill()
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.scratch != "" {
		_ = os.RemoveAll(s.scratch)
	}
	s.display.abort()
	s.app.say("Stopped at once. %s", s.farewell)
	os.Exit(exitInterrupted)
}

func (s *session) setFarewell(text string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.farewell = text
}

// end closes what is open. The error is only told when nothing else went wrong.
func (s *session) end() error {
	s.stopSignals()
	s.display.abort()
	if s.stack != nil {
		s.stack.Close()
	}
	var err error
	if s.target != nil {
		err = s.target.Close()
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.scratch != "" {
		err = errors.Join(err, os.RemoveAll(s.scratch))
	}
	return err
}

// scratchDir makes a state folder that goes with the session.
func (s *session) scratchDir() (string, error) {
	dir, err := os.MkdirTemp("", "tapstack-state-*")
	if err != nil {
		return "", fmt.Errorf("making a state folder: %w", err)
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.scratch = dir
	return dir, nil
}

// aftermath is a context for cleaning up, which an earlier interrupt does not end.
func (s *session) aftermath() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(s.ctx), cleanupDeadline[s.plan.target.Name])
}

func (s *session) findEngine() (err error) {
	s.engine, err = lifecycle.FindEngine(s.ctx, s.display.note)
	return s.cause(err)
}

func (s *session) openTarget(lifetime target.Lifetime) (err error) {
	options := s.plan.target
	options.Lifetime, options.Notify = lifetime, s.display.note
	s.target, err = target.Open(s.ctx, options)
	if err != nil {
		return s.cause(err)
	}
	s.target.Config.Region = s.plan.region
	return s.cause(s.mustBeAllowed())
}

func (s *session) openStack(dir string) (err error) {
	s.stack, err = lifecycle.Open(s.ctx, s.engine, s.stackOptions(dir))
	return s.cause(err)
}

// cause tells an interrupt from the errors that it leads to.
func (s *session) cause(err error) error {
	if err != nil && errors.Is(context.Cause(s.ctx), lifecycle.ErrInterrupted) && !errors.Is(err, lifecycle.ErrInterrupted) {
		return lifecycle.ErrInterrupted
	}
	return err
}

// openExisting opens the target and the stack for a command on a stack that must exist.
func (s *session) openExisting() error {
	if err := s.mustExist(); err != nil {
		return err
	}
	if err := s.findEngine(); err != nil {
		return err
	}
	if err := s.openTarget(target.Recorded); err != nil {
		return s.explainGone(err)
	}
	return s.openStack(s.plan.dir)
}

func (s *session) mustExist() error {
	exists, err := s.exists(s.ctx, s.plan.suffix)
	if err != nil || exists {
		return err
	}
	place := "target " + s.plan.target.Name
	if s.plan.bucket != nil {
		place += " in " + s.plan.bucket.String()
	}
	return fmt.Errorf("stack %s %w on %s: %s creates it", s.plan.suffix, lifecycle.ErrNoStack, place, s.plan.tell("up"))
}

func (s *session) exists(ctx context.Context, suffix string) (bool, error) {
	exists, err := s.plan.states.Exists(ctx, suffix)
	return exists, s.cause(err)
}

// gone says that the emulator that a stack lived in no longer runs.
func gone(err error) bool {
	var lost *target.GoneError
	return errors.As(err, &lost) || errors.Is(err, target.ErrNoEmulator)
}

func (s *session) explainGone(err error) error {
	if !gone(err) {
		return err
	}
	return fmt.Errorf("stack %s: %w; clear its state with: %s", s.plan.suffix, err, s.plan.tell("destroy"))
}

// openKept opens the target for up. A record of an emulator that is gone is dropped when no stack lived there.
func (s *session) openKept() error {
	err := s.openTarget(target.Kept)
	if !gone(err) {
		return err
	}
	stacks, listErr := s.plan.states.List(s.ctx)
	switch {
	case listErr != nil:
		return listErr
	case slices.Contains(stacks, s.plan.suffix):
		return s.explainGone(err)
	case len(stacks) > 0:
		return fmt.Errorf("%w; stack %s lived there: destroy it first, which clears its state", err, stacks[0])
	}
	if err := target.StopKept(s.ctx, s.plan.home); err != nil {
		return err
	}
	return s.openTarget(target.Kept)
}

// release stops the emulators of the target when no stack lives there any more.
func (s *session) release(ctx context.Context) error {
	if s.plan.target.Name != target.Local && s.plan.target.Name != target.LocalStack {
		return nil
	}
	stacks, err := s.plan.states.List(ctx)
	if err != nil || len(stacks) > 0 {
		return err
	}
	return target.StopKept(ctx, s.plan.home)
}
