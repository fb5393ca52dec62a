package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"tapstack/lib/lifecycle"
	"tapstack/lib/target"
	"tapstack/lib/verify"
)

func (a *app) preview(ctx context.Context, p *plan) (err error) {
	s := a.begin(ctx, p)
	defer func() { err = errors.Join(err, s.end()) }()
	if err := s.openForPreview(); err != nil {
		return err
	}
	s.display.begin(titlePreview, 0)
	result, err := s.stack.Preview(s.ctx)
	if err != nil {
		return s.display.fail(err)
	}
	s.display.done(changesText(result, "to "))
	return a.printChanges(p, result)
}

// openForPreview opens the stack where it is, or one that is gone afterwards.
func (s *session) openForPreview() error {
	s.tellAssumed()
	switch exists, err := s.exists(s.ctx, s.plan.suffix); {
	case err != nil:
		return err
	case exists:
		return s.openExisting()
	}
	if err := s.findEngine(); err != nil {
		return err
	}
	if err := s.openTarget(target.WithTool); err != nil {
		return err
	}
	dir, err := s.scratchDir()
	if err != nil {
		return err
	}
	return s.openStack(dir)
}

func (s *session) tellAssumed() {
	for _, key := range slices.Sorted(maps.Keys(s.plan.assumed)) {
		s.display.note(fmt.Sprintf("%s is not given: using the test value %s", key, s.plan.assumed[key]))
	}
}

func (a *app) up(ctx context.Context, p *plan) (err error) {
	s := a.begin(ctx, p)
	defer func() { err = errors.Join(err, s.end()) }()
	s.tellAssumed()
	if err := s.findEngine(); err != nil {
		return err
	}
	if err := s.openKept(); err != nil {
		return err
	}
	if err := s.clearedForTakeOff(); err != nil {
		return err
	}
	result, err := s.deploy()
	if err != nil {
		return s.afterFailedUp(err)
	}
	outputs, err := s.stack.Outputs(s.ctx)
	if err != nil {
		return s.cause(err)
	}
	if p.json {
		return a.printJSON(map[string]any{
			"changes": result.Changes, "outputs": outputs, "endpoint": s.target.Endpoint, "where": s.target.Where(),
		})
	}
	if result.Altered() == 0 {
		a.print("No changes.")
	}
	if s.target.Endpoint != "" {
		a.print("Stack %s runs at %s (test credentials, region %s): %s.", p.suffix, s.target.Endpoint, target.Region, s.target.Where())
	}
	a.print("Check it with:  %s\nRemove it with: %s", p.tell("verify"), p.tell("destroy"))
	return nil
}

// deploy previews, for the number of resources to expect, and deploys when there is something to do.
func (s *session) deploy() (lifecycle.Result, error) {
	if err := s.openStack(s.plan.dir); err != nil {
		return lifecycle.Result{}, err
	}
	s.display.begin(titlePreview, 0)
	planned, err := s.stack.Preview(s.ctx)
	if err != nil {
		return planned, s.display.fail(err)
	}
	s.display.done(changesText(planned, "to "))
	state, err := s.stack.State(s.ctx)
	if err != nil {
		return planned, s.cause(err)
	}
	if planned.Altered() == 0 && len(state.Pending) == 0 {
		return planned, nil
	}
	if err := s.tellCost(planned); err != nil {
		return planned, err
	}
	s.display.begin("up", planned.Total())
	result, err := s.stack.Up(s.ctx)
	if err != nil {
		return result, s.display.fail(err)
	}
	s.display.done(changesText(result, ""))
	return result, nil
}

// afterFailedUp says how to go on, and stops the emulator if nothing lives there.
func (s *session) afterFailedUp(err error) error {
	ctx, cancel := s.aftermath()
	defer cancel()
	if exists, unknown := s.exists(ctx, s.plan.suffix); unknown == nil && !exists {
		return errors.Join(err, s.release(ctx))
	}
	return fmt.Errorf("%w\nThe state is consistent. Go on with: %s\nor remove what there is with: %s",
		err, s.plan.tell("up"), s.plan.tell("destroy"))
}

func (a *app) verify(ctx context.Context, p *plan) (err error) {
	if p.list {
		return a.listSpecification(p)
	}
	s := a.begin(ctx, p)
	defer func() { err = errors.Join(err, s.end()) }()
	if err := s.openExisting(); err != nil {
		return err
	}
	if err := p.prepareReport(); err != nil {
		return err
	}
	report, err := s.verify()
	if err != nil {
		return err
	}
	if err := a.writeReport(p, report); err != nil {
		return err
	}
	if p.json {
		err = a.printJSON(report)
	} else {
		a.printReport(report, s.display.colours)
		a.tellLeftOut(p)
	}
	if err == nil && !report.OK() {
		return errReported
	}
	return err
}

func (s *session) verify() (verify.Report, error) {
	s.display.begin("verify", len(s.plan.checks()))
	outputs, err := s.stack.Outputs(s.ctx)
	if err != nil {
		return verify.Report{}, s.display.fail(s.cause(err))
	}
	report, err := check(s.ctx, s, outputs, func(result verify.Result) { s.display.checked(result) })
	if err := s.cause(err); err != nil {
		return report, s.display.fail(err)
	}
	s.display.done(countsText(report.Counts))
	return report, nil
}

func (a *app) outputs(ctx context.Context, p *plan) (err error) {
	s := a.begin(ctx, p)
	defer func() { err = errors.Join(err, s.end()) }()
	if err := s.mustExist(); err != nil {
		return err
	}
	if err := s.findEngine(); err != nil {
		return err
	}
	if err := s.openStack(p.dir); err != nil {
		return err
	}
	outputs, err := s.stack.Outputs(s.ctx)
	if err != nil {
		return s.cause(err)
	}
	if p.json {
		return a.printJSON(outputs)
	}
	a.printOutputs(outputs)
	return nil
}

func (a *app) refresh(ctx context.Context, p *plan) (err error) {
	s := a.begin(ctx, p)
	defer func() { err = errors.Join(err, s.end()) }()
	if err := s.openExisting(); err != nil {
		return err
	}
	result, err := s.refresh(s.ctx)
	if err != nil {
		return err
	}
	return a.printChanges(p, result)
}

func (s *session) refresh(ctx context.Context) (lifecycle.Result, error) {
	state, err := s.stack.State(ctx)
	if err != nil {
		return lifecycle.Result{}, s.cause(err)
	}
	s.display.begin("refresh", state.Resources)
	result, err := s.stack.Refresh(ctx)
	if err != nil {
		return result, s.display.fail(err)
	}
	s.display.done(driftText(result))
	return result, nil
}

func (a *app) destroy(ctx context.Context, p *plan) (err error) {
	s := a.begin(ctx, p)
	defer func() { err = errors.Join(err, s.end()) }()
	err = s.openExisting()
	switch {
	case gone(err):
		return s.clear()
	case errors.Is(err, lifecycle.ErrNoStack) && p.ifExists:
		return errors.Join(s.tellNothing(), s.release(s.ctx))
	case errors.Is(err, lifecycle.ErrNoStack):
		return errors.Join(err, s.release(s.ctx))
	case err != nil:
		return err
	}
	result, err := s.tearDown(s.ctx)
	if err != nil {
		return fmt.Errorf("%w\nTry again with: %s", err, p.tell("destroy"))
	}
	found, err := s.prove(s.ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(s.forget(s.ctx), s.release(s.ctx)); err != nil {
		return err
	}
	if p.json {
		err = a.printJSON(map[string]any{"changes": result.Changes, "left": found})
	} else {
		a.printLeft(found)
	}
	if err == nil && len(found) > 0 {
		return errReported
	}
	return err
}

// tellNothing is the result of a destroy that finds no stack.
func (s *session) tellNothing() error {
	if s.plan.json {
		return s.app.printJSON(map[string]any{"changes": map[string]int{}, "left": []string{}})
	}
	s.app.print("There is no stack %s: nothing is to be destroyed. What a run left without a state is found with: %s",
		s.plan.suffix, s.plan.tell("sweep"))
	return nil
}

// tearDown destroys the stack.
func (s *session) tearDown(ctx context.Context) (lifecycle.Result, error) {
	state, err := s.stack.State(ctx)
	if err != nil {
		return lifecycle.Result{}, s.cause(err)
	}
	s.display.begin("destroy", state.Resources)
	result, err := s.stack.Destroy(ctx)
	if err != nil {
		return result, s.display.fail(err)
	}
	s.display.done(changesText(result, ""))
	return result, nil
}

// prove asks the services what is left.
func (s *session) prove(ctx context.Context) ([]string, error) {
	s.display.begin("leak proof", 0)
	found, err := left(ctx, s)
	if err != nil {
		return found, s.display.fail(s.cause(err))
	}
	s.display.done(plural(len(found), "resource") + " left")
	return found, nil
}

// clear removes the state of a stack whose emulator is gone.
func (s *session) clear() error {
	if err := errors.Join(s.forget(s.ctx), s.release(s.ctx)); err != nil {
		return err
	}
	if s.plan.json {
		return s.app.printJSON(map[string]any{"changes": map[string]int{}, "left": []string{}, "cleared": true})
	}
	s.app.print("The local cloud that held stack %s is gone, and all of the stack with it. Its state is cleared.", s.plan.suffix)
	return nil
}

// forget removes what is kept of a destroyed stack: its folder, and its objects in a bucket.
func (s *session) forget(ctx context.Context) error {
	if s.stack != nil {
		s.stack.Close()
		s.stack = nil
	}
	if err := os.RemoveAll(s.plan.dir); err != nil {
		return fmt.Errorf("removing the state of stack %s: %w", s.plan.suffix, err)
	}
	return s.plan.states.Forget(ctx, s.plan.suffix)
}
