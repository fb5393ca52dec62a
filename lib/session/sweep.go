package session

import (
	"context"
	"fmt"
	"slices"

	"tapstack/lib/inventory"
	"tapstack/lib/sweep"
)

// SweepReport is what a sweep came to.
type SweepReport struct {
	Account  string          `json:"account"`
	Region   string          `json:"region"`
	DryRun   bool            `json:"dryRun"`
	Plan     sweep.Plan      `json:"plan"`
	Outcomes []sweep.Outcome `json:"outcomes"`
	// Left is null when nobody asked, or nobody could tell.
	Left []sweep.Item `json:"left"`
}

// Failed lists the deletions that failed.
func (r SweepReport) Failed() []sweep.Outcome {
	return slices.DeleteFunc(slices.Clone(r.Outcomes), func(o sweep.Outcome) bool { return o.Error == "" })
}

// Unfinished says that something of ours is there still that the sweep is to remove.
func (r SweepReport) Unfinished() bool {
	if r.DryRun {
		return len(r.Plan.Delete)+len(r.Plan.Blocked) > 0
	}
	return len(r.Failed())+len(r.Left) > 0
}

// Living counts what is ours and is kept, since it is too young or in use.
func (r SweepReport) Living() int {
	count := 0
	for _, item := range r.Plan.Kept {
		if item.Ours {
			count++
		}
	}
	return count
}

// PlanSweep finds what runs have left on the open cloud and plans what to delete. With an account it refuses any other. Of one
// suffix, what its state has is kept, and all that goes with that.
func (s *Session) PlanSweep(ctx context.Context, account string, options sweep.Options) (SweepReport, error) {
	report := SweepReport{DryRun: true, Outcomes: []sweep.Outcome{}}
	ctx, stop := s.watch(ctx, Look)
	defer stop()
	s.progress.Begin(Look, 0)
	who, found, err := inventory.FindStack(ctx, s.Cloud.Config, options.Suffix)
	if err == nil && account != "" && who.Account != account {
		err = fmt.Errorf("these credentials are of account %s, not of %s (--account)", who.Account, account)
	}
	if err == nil {
		report.Account, report.Region = who.Account, who.Region
		report.Plan, err = sweep.New(found, options)
	}
	if err == nil && options.Suffix != "" {
		err = s.spareLiving(ctx, &report.Plan)
	}
	return report, s.end(ctx, fmt.Sprintf("account %s, region %s: %d to delete, %d blocked, %d kept",
		who.Account, who.Region, len(report.Plan.Delete), len(report.Plan.Blocked), len(report.Plan.Kept)), err)
}

// spareLiving keeps all of a stack that has a state, but what was made besides.
func (s *Session) spareLiving(ctx context.Context, plan *sweep.Plan) error {
	exists, err := s.Exists(ctx)
	if err != nil || !exists {
		return err
	}
	if err := s.Lock(ctx); err != nil {
		return err
	}
	if s.Stack == nil {
		if err := s.openStack(ctx); err != nil {
			return err
		}
	}
	orphan, err := s.orphans(ctx)
	if err == nil {
		plan.Spare(func(item sweep.Item) bool { return !orphan(item) }, "it is of the stack that lives here: tap destroy removes it")
	}
	return err
}

// Sweep deletes what is planned, and asks again. Deletions that fail are no error.
func (s *Session) Sweep(ctx context.Context, report *SweepReport, options sweep.Options) (err error) {
	report.DryRun = false
	ctx, stop := s.watch(ctx, Sweep)
	defer stop()
	s.progress.Begin(Sweep, len(report.Plan.Delete))
	report.Outcomes, err = sweep.Execute(ctx, s.Cloud.Config, report.Plan, s.progress.Swept)
	failed := len(report.Failed())
	if err := s.end(ctx, fmt.Sprintf("%d deleted, %d failed", len(report.Outcomes)-failed, failed), err); err != nil {
		return err
	}
	s.progress.Begin(Proof, 0)
	left, err := sweep.Prove(ctx, s.Cloud.Config, report.Plan, report.Outcomes, options)
	if err == nil {
		report.Left = append([]sweep.Item{}, left...)
	}
	return s.end(ctx, fmt.Sprintf("%d left", len(left)), err)
}
