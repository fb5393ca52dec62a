package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tapstack/lib"
	"tapstack/lib/inventory"
	"tapstack/lib/lifecycle"
	"tapstack/lib/verify"
)

// operate runs a phase in which the engine works.
func (s *Session) operate(ctx context.Context, phase Phase, total int, run func(context.Context) (lifecycle.Result, error)) (lifecycle.Result, error) {
	ctx, stop := s.watch(ctx, phase)
	defer stop()
	s.progress.Begin(phase, total)
	result, err := run(ctx)
	return result, s.end(ctx, result.String(), err)
}

// end ends a phase and hands its error on.
func (s *Session) end(ctx context.Context, detail string, err error) error {
	err = interrupted(ctx, err)
	if err != nil {
		detail = ""
	}
	s.progress.End(detail, err)
	return err
}

// Preview tells what Up would do, and changes nothing. Only before an Up does what may go lose its protection, in the state
// alone: the engine would not plan to delete it.
func (s *Session) Preview(ctx context.Context) (lifecycle.Result, error) {
	return s.operate(ctx, Preview, 0, func(ctx context.Context) (lifecycle.Result, error) {
		if names := s.allowed(); s.options.Changes && len(names) > 0 {
			if err := s.Stack.Unprotect(ctx, names...); err != nil && !errors.Is(err, lifecycle.ErrNoStack) {
				return lifecycle.Result{}, err
			}
		}
		return s.Stack.Preview(ctx)
	})
}

// PreviewAgain tells what another Up would do, of which something like the first plan is known.
func (s *Session) PreviewAgain(ctx context.Context, planned lifecycle.Result) (lifecycle.Result, error) {
	return s.operate(ctx, Again, planned.Total(), s.Stack.Preview)
}

// Up deploys what was planned, after it has taken into the state what earlier attempts have made and it does not tell, and
// removes what was made twice, be it by a run that was killed. Where nothing else is to do, it has the configuration remembered,
// and answers with the plan.
func (s *Session) Up(ctx context.Context, planned lifecycle.Result) (lifecycle.Result, error) {
	if err := s.Keep(planned); err != nil {
		return planned, err
	}
	exists, err := s.Exists(ctx)
	if err == nil {
		err = s.claim(ctx, exists)
	}
	if err == nil && exists && s.temporary == "" { // else cloud and state are both new
		planned, _, err = s.settle(ctx, &planned)
	}
	if err != nil {
		return planned, interrupted(ctx, err)
	}
	if planned.Altered() == 0 && !planned.Protects {
		ctx, stop := s.watch(ctx, Look)
		defer stop()
		return planned, interrupted(ctx, errors.Join(s.Stack.Remember(ctx), s.removeOrphans(ctx)))
	}
	if err := errors.Join(s.Keep(planned), s.noteCost(planned)); err != nil {
		return planned, err
	}
	return s.up(ctx, planned)
}

// Keep refuses a plan that replaces or deletes what holds data or carries everything else, unless the configuration allows
// it by name.
func (s *Session) Keep(planned lifecycle.Result) error {
	allowed := s.allowed()
	var lines, names []string
	forbidden := false
	for _, step := range planned.Changed {
		lost := inventory.Lost(step.Type)
		if !step.Removes() || lost == "" || slices.Contains(names, step.Name) {
			continue
		}
		names = append(names, step.Name)
		if !slices.Contains(allowed, step.Name) {
			forbidden = true
			lines = append(lines, fmt.Sprintf("  %s: %s would be lost", step.Name, lost))
		}
	}
	if !forbidden {
		return nil
	}
	slices.Sort(names)
	return fmt.Errorf("the plan replaces or deletes what must not go by accident, so that nothing was changed:\n%s\n"+
		"Take the change of the configuration or of the program back, or allow it with --allow-replace %s",
		strings.Join(lines, "\n"), strings.Join(names, ","))
}

// allowed are the names of what may be replaced or deleted with what is lost by it.
func (s *Session) allowed() []string {
	return listed(s.options.Config[lib.ConfigAllowReplace])
}

// AfterFailure says whether a deployment that failed has left a state, which it reads back, and ends the cloud where no stack
// lives there.
func (s *Session) AfterFailure(ctx context.Context) (exists bool, err error) {
	ctx, cancel := s.CleanupContext(ctx)
	defer cancel()
	exists, err = s.Exists(ctx)
	if err != nil || exists && s.Stack == nil {
		return true, err // when in doubt
	}
	if exists {
		return true, s.Stack.ReadBack()
	}
	return false, s.Release(ctx)
}

// Checks are those that a run makes: all, or those that only look.
func Checks(act bool) []verify.Check {
	return slices.DeleteFunc(verify.Checks(), func(c verify.Check) bool { return c.Acts && !act })
}

// Verify holds the deployed stack to the specification, and acts on it where it may. Checks that fail are no error. On a
// real account nothing may be unobservable.
func (s *Session) Verify(ctx context.Context, act bool) (verify.Report, error) {
	ctx, stop := s.watch(ctx, Verify)
	defer stop()
	s.progress.Begin(Verify, len(Checks(act)))
	outputs, err := s.Stack.Outputs(ctx)
	if err != nil {
		return verify.Report{}, s.end(ctx, "", err)
	}
	report, err := verify.Run(ctx, verify.Options{
		Network: s.network(), Grants: s.grants(), AWS: s.Cloud.Config, Outputs: outputs, Suffix: s.options.Suffix, Region: s.Cloud.Config.Region,
		Where: s.Cloud.Where(), Strict: !s.Cloud.Emulated(), Act: act, Done: s.progress.Checked,
	})
	if err != nil {
		err = fmt.Errorf("checking stack %s: %w", s.options.Suffix, err)
	}
	return report, s.end(ctx, report.Counts.String(), err)
}

// Outputs are the stack's.
func (s *Session) Outputs(ctx context.Context) (map[string]any, error) {
	outputs, err := s.Stack.Outputs(ctx)
	return outputs, interrupted(ctx, err)
}

// Refresh reads the cloud into the state: what it alters is drift.
func (s *Session) Refresh(ctx context.Context) (lifecycle.Result, error) {
	return s.operateOnAll(ctx, Refresh, func(ctx context.Context, _ lifecycle.State) (lifecycle.Result, error) { return s.Stack.Refresh(ctx) })
}

// Destroy removes the stack's resources: first what earlier attempts have made and no state has, as long as what proves it to
// be the stack's is there. Where the engine cannot remove all, the rest is swept. The state stays until Forget.
func (s *Session) Destroy(ctx context.Context) (lifecycle.Result, error) {
	return s.operateOnAll(ctx, Destroy, func(ctx context.Context, state lifecycle.State) (lifecycle.Result, error) {
		if _, err := s.Stack.Recover(ctx); err != nil {
			return lifecycle.Result{}, err
		}
		if err := s.removeOrphans(ctx); err != nil {
			return lifecycle.Result{}, err
		}
		if state.Protected {
			if err := s.Stack.Unprotect(ctx); err != nil {
				return lifecycle.Result{}, err
			}
		}
		result, err := s.Stack.Destroy(ctx)
		if err == nil || ctx.Err() != nil {
			return result, err
		}
		if failed := s.removeOwn(ctx, all); failed != nil { // what no state tells may have been in the way
			return result, errors.Join(err, failed)
		}
		return s.Stack.Destroy(ctx)
	})
}

func (s *Session) operateOnAll(
	ctx context.Context, phase Phase, run func(context.Context, lifecycle.State) (lifecycle.Result, error),
) (lifecycle.Result, error) {
	state, err := s.Stack.State(ctx)
	if err != nil {
		return lifecycle.Result{}, interrupted(ctx, err)
	}
	return s.operate(ctx, phase, state.Resources, func(ctx context.Context) (lifecycle.Result, error) { return run(ctx, state) })
}

// Prove asks every service what is left of the stack. The claim of a stack that this session is to remove or deploy is not
// counted: it goes last.
func (s *Session) Prove(ctx context.Context) ([]string, error) {
	ctx, stop := s.watch(ctx, LeakProof)
	defer stop()
	s.progress.Begin(LeakProof, 0)
	left := []string{}
	leaks, err := inventory.Leaks(ctx, s.Cloud.Config, s.options.Suffix)
	for _, leak := range leaks {
		if s.claimed && inventory.IsClaim(leak) {
			continue
		}
		left = append(left, leak.String())
	}
	return left, s.end(ctx, fmt.Sprintf("%d left", len(left)), err)
}
