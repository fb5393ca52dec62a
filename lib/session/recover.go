package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"tapstack/lib"
	"tapstack/lib/awsprovider"
	"tapstack/lib/cloud"
	"tapstack/lib/inventory"
	"tapstack/lib/lifecycle"
	"tapstack/lib/sweep"
)

// finder looks for what creates have made whose outcome no state tells. It asks for nothing twice. The official provider has
// the id among the outputs, and reads nothing without; the local one knows no such output.
func (s *Session) finder(provider lifecycle.Provider) lifecycle.Finder {
	reader := cloud.NewReader(s.Cloud.Config)
	_, local := provider.(*awsprovider.Plugin)
	return func(ctx context.Context, token string, inputs map[string]any, known func(string) bool) (string, map[string]any, error) {
		id, outputs, err := inventory.Made(ctx, reader, inventory.Create{Type: token, Inputs: inputs}, known)
		if id != "" && !local {
			read := map[string]any{}
			maps.Copy(read, outputs)
			read["id"], outputs = id, read
		}
		return id, outputs, err
	}
}

// settle takes into the state of a stack that exists what earlier attempts have made and it does not tell: the creates that a
// killed run has left pending, and what is to be created and is there. It answers with what is then planned, and with how
// many it took. Without what was planned before, it looks for itself.
func (s *Session) settle(ctx context.Context, before *lifecycle.Result) (planned lifecycle.Result, taken int, err error) {
	if before != nil {
		planned = *before
	}
	state, err := s.Stack.State(ctx)
	if err != nil || before != nil && len(state.Pending)+before.Changes["create"] == 0 {
		return planned, 0, interrupted(ctx, err)
	}
	s.progress.Begin(Look, 0)
	ctx, stop := s.watch(ctx, Look)
	defer stop()
	if len(state.Pending) > 0 {
		before = nil
		taken, err = s.Stack.Recover(ctx)
	}
	if before == nil && err == nil {
		planned, err = s.Stack.Preview(ctx)
	}
	for more := 0; err == nil; taken += more {
		if more, err = s.Stack.Adopt(ctx, planned); err != nil || more == 0 {
			break
		}
		planned, err = s.Stack.Preview(ctx)
	}
	detail := fmt.Sprintf("%d to create", planned.Changes["create"])
	if taken > 0 {
		detail += fmt.Sprintf(", %d that were there are in the state now", taken)
	}
	return planned, taken, s.end(ctx, detail, err)
}

// up deploys what is planned. When that fails since something is there already, as where the answer to a create was lost, that
// is taken into the state, and the deployment goes on.
func (s *Session) up(ctx context.Context, planned lifecycle.Result) (result lifecycle.Result, err error) {
	for {
		result, err = s.operate(ctx, Up, planned.Total(), func(ctx context.Context) (lifecycle.Result, error) {
			starting, stop := s.whileTasksStart(ctx)
			defer stop()
			result, err := s.Stack.Up(starting)
			if err = interrupted(starting, err); err == nil {
				err = s.removeOrphans(ctx)
			}
			return result, s.explainRollout(ctx, err)
		})
		if err == nil || ctx.Err() != nil {
			return result, err
		}
		if taken, failed := s.retake(ctx); failed != nil || taken == 0 {
			return result, err
		}
	}
}

// retake takes into the state what a deployment that failed has found to be there already. One look is enough: what that leaves
// unknown, the deployment has not come to.
func (s *Session) retake(ctx context.Context) (taken int, err error) {
	s.progress.Begin(Look, 0)
	ctx, stop := s.watch(ctx, Look)
	defer stop()
	planned, err := s.Stack.Preview(ctx)
	if err == nil {
		taken, err = s.Stack.Adopt(ctx, planned)
	}
	return taken, s.end(ctx, fmt.Sprintf("%d that were there are in the state now", taken), err)
}

// removeOrphans sweeps what is provably the stack's and not in its state.
func (s *Session) removeOrphans(ctx context.Context) error {
	orphan, err := s.orphans(ctx)
	if err != nil {
		return err
	}
	return s.removeOwn(ctx, orphan)
}

// orphans tells of what is the stack's whether it is not in its state: made twice, since the answer to the first call was lost.
// Only what carries the stack's tags is one, of a kind that Pulumi makes: AWS makes more by itself, some of it with the tags
// of what it belongs to.
func (s *Session) orphans(ctx context.Context) (func(sweep.Item) bool, error) {
	known, err := s.Stack.Known(ctx)
	return func(item sweep.Item) bool {
		return len(item.Kind.Types) > 0 && item.Tags[lib.TagOwner] != "" && !item.In(known) && !inventory.IsClaim(item.Resource)
	}, err
}

// all but the claim, which goes last.
func all(item sweep.Item) bool { return !inventory.IsClaim(item.Resource) }

// removeOwn sweeps what is provably the stack's, of that what is asked for. What cannot be deleted is no error: the leak proof
// tells it.
func (s *Session) removeOwn(ctx context.Context, wanted func(sweep.Item) bool) error {
	stored, err := s.location.Config(ctx, s.options.Suffix)
	if err != nil {
		return err
	}
	_, found, err := inventory.FindStack(ctx, s.Cloud.Config, s.options.Suffix)
	if err != nil {
		return err
	}
	plan, err := sweep.New(found, sweep.Options{
		Owner: cmp.Or(stored[lib.ConfigOwner], lib.DefaultOwner), Run: cmp.Or(stored[lib.ConfigRun], lib.ManualRun),
		Suffix: s.options.Suffix, IgnoreExpiry: true, Now: time.Now(),
	})
	if err != nil {
		return err
	}
	plan.Delete = slices.DeleteFunc(plan.Delete, func(item sweep.Item) bool { return !wanted(item) })
	if len(plan.Delete) == 0 {
		return nil
	}
	s.progress.Note(fmt.Sprintf("Removing %d of the stack's own by their tags.", len(plan.Delete)))
	_, err = sweep.Execute(ctx, s.Cloud.Config, plan, nil)
	return err
}

// ProveGone is the leak proof of a destroyed stack. What it finds is swept, as far as it is provably the stack's, and the
// proof made again.
func (s *Session) ProveGone(ctx context.Context) ([]string, error) {
	left, err := s.Prove(ctx)
	if err != nil || len(left) == 0 {
		return left, err
	}
	if err := s.removeOwn(ctx, all); err != nil {
		return left, interrupted(ctx, err)
	}
	return s.Prove(ctx)
}

// OpenLost opens a stack of which the account has resources and no state is here, to Recover it. The run that made them,
// which their tags tell, is the stack's again.
func (s *Session) OpenLost(ctx context.Context) error {
	if err := s.Lock(ctx); err != nil {
		return err
	}
	exists, err := s.Exists(ctx)
	if err == nil && exists {
		err = fmt.Errorf("stack %s has a state, which up and destroy mend by themselves", s.options.Suffix)
	}
	if err == nil {
		err = s.openKeptCloud(ctx)
	}
	if err == nil {
		s.claims = true
		s.options.Config[lib.ConfigRun], err = s.lostRun(ctx)
	}
	if err != nil {
		return interrupted(ctx, err)
	}
	return s.openStack(ctx)
}

// ErrNothingLost says that an account has nothing of a stack.
var ErrNothingLost = errors.New("nothing in the account is of this stack")

// lostRun is the run that made most of what the account has of the stack.
func (s *Session) lostRun(ctx context.Context) (string, error) {
	_, found, err := inventory.FindStack(ctx, s.Cloud.Config, s.options.Suffix)
	if err != nil {
		return "", err
	}
	owner, counts := cmp.Or(s.options.Config[lib.ConfigOwner], lib.DefaultOwner), map[string]int{}
	for _, r := range found {
		if r.Suffix == s.options.Suffix && r.Tags[lib.TagOwner] == owner {
			counts[r.Tags[lib.TagRun]]++
		}
	}
	delete(counts, "")
	if len(counts) == 0 {
		return "", fmt.Errorf("%w: %s, of owner %s", ErrNothingLost, s.options.Suffix, owner)
	}
	return slices.MaxFunc(slices.Sorted(maps.Keys(counts)), func(a, b string) int { return cmp.Compare(counts[a], counts[b]) }), nil
}

// Recover makes a state of what the account has of the stack, as far as the program with its configuration makes it. It answers
// with what a deployment is to do still, and with how many resources are in the state now.
func (s *Session) Recover(ctx context.Context) (planned lifecycle.Result, taken int, err error) {
	err = s.Stack.Create(ctx)
	if err == nil {
		err = s.Stack.Remember(ctx)
	}
	if err == nil && s.claims {
		err = s.TakeClaim(ctx)
	}
	if err != nil {
		return planned, 0, interrupted(ctx, err)
	}
	return s.settle(ctx, nil)
}
