package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"tapstack/lib"
	"tapstack/lib/cost"
	"tapstack/lib/cost/prices"
	"tapstack/lib/lifecycle"
	"tapstack/lib/preflight"
	"tapstack/lib/target"
)

// AllowedVariable names the accounts that may be changed, for those who do not run the program.
const AllowedVariable = "TAPSTACK_ALLOWED_ACCOUNTS"

// HowToAllow says how an account is allowed.
const HowToAllow = "The list is set with --config " + lib.ConfigAllowedAccountIDs + "=…, which the stack remembers, or in $" + AllowedVariable + "."

// AllowedAccounts are those that the configuration or else the variable names, or else those that a stack on aws was
// deployed with.
func (s *Session) AllowedAccounts(ctx context.Context) ([]string, error) {
	list := cmp.Or(s.options.Config[lib.ConfigAllowedAccountIDs], os.Getenv(AllowedVariable))
	if list == "" && s.options.Target.Name == target.AWS {
		stored, err := s.location.Config(ctx, s.options.Suffix)
		if err != nil {
			return nil, err
		}
		list = stored[lib.ConfigAllowedAccountIDs]
	}
	return listed(list), nil
}

// listed are the items of a list as a configuration has it: between commas.
func listed(list string) (items []string) {
	for item := range strings.SplitSeq(list, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

func (s *Session) mustBeAllowed(ctx context.Context) error {
	if s.Cloud.Emulated() || !s.options.Changes {
		return nil
	}
	allowed, err := s.AllowedAccounts(ctx)
	if err != nil {
		return err
	}
	if err := preflight.Account(ctx, s.Cloud.Config, allowed).Err(); err != nil {
		return fmt.Errorf("%w\n  %s", err, HowToAllow)
	}
	return nil
}

// Preflight looks, on the open cloud, at all that could stop a deployment. Problems are no error.
func (s *Session) Preflight(ctx context.Context) (preflight.Report, error) {
	config, err := lib.ParseConfig(s.options.Config)
	if err != nil {
		return preflight.Report{}, err
	}
	exists, err := s.Exists(ctx)
	if err != nil {
		return preflight.Report{}, err
	}
	ctx, stop := s.watch(ctx, Preflight)
	defer stop()
	s.progress.Begin(Preflight, 0)
	report := preflight.Run(ctx, preflight.Options{
		AWS: s.Cloud.Config, Config: config, Deployed: exists, Emulated: s.Cloud.Emulated(),
	})
	if ctx.Err() != nil {
		return report, s.end(ctx, "", ctx.Err())
	}
	var claimed *ClaimedError
	if errors.As(s.checkClaim(ctx), &claimed) {
		report.Findings = append(report.Findings, preflight.Finding{
			What: "claim", Status: preflight.Problem, Detail: claimed.Error(),
			Advice: "Go on with that state, or take another --suffix. Do not sweep what another deploys.",
		})
	}
	s.progress.End(report.String(), report.Err())
	return report, nil
}

// passPreflight stops a deployment to a real account before its first resource if the preflight finds problems.
func (s *Session) passPreflight(ctx context.Context) error {
	if s.Cloud.Emulated() {
		return nil
	}
	report, err := s.Preflight(ctx)
	if err != nil {
		return err
	}
	for _, status := range []preflight.Status{preflight.Warning, preflight.Unknown} {
		for _, f := range report.With(status) {
			s.progress.Note(fmt.Sprintf("%s: %s: %s", status, f.What, f.Detail))
		}
	}
	return report.Blocked()
}

// Estimate puts list prices on a previewed stack that goes to a region, and tells how far the sums may be off.
func Estimate(planned lifecycle.Result, region string, options cost.Options) (cost.Estimate, []string, error) {
	table, err := prices.USEast1()
	if err != nil {
		return cost.Estimate{}, nil, err
	}
	resources := make([]cost.Resource, len(planned.Planned))
	for index, it := range planned.Planned {
		resources[index] = cost.Resource(it)
	}
	estimate, err := table.Estimate(resources, options)
	if err != nil {
		return cost.Estimate{}, nil, err
	}
	return estimate, table.Warnings(estimate, region, time.Now()), nil
}

// noteCost says what is about to be spent, where something is: emulators cost nothing.
func (s *Session) noteCost(planned lifecycle.Result) error {
	if s.Cloud.Emulated() {
		return nil
	}
	estimate, warnings, err := Estimate(planned, s.Cloud.Config.Region, cost.Options{Run: cost.PlannedRun})
	if err != nil {
		return err
	}
	for _, line := range estimate.Notes() {
		s.progress.Note(line)
	}
	for _, warning := range warnings {
		s.progress.Note("  " + warning)
	}
	return nil
}
