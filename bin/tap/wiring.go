package main

import (
	"context"
	"fmt"

	"tapstack/lib"
	"tapstack/lib/awsprovider"
	"tapstack/lib/lifecycle"
	"tapstack/lib/target"
	"tapstack/lib/verify"
)

// check runs the specification against a deployed stack.
func check(ctx context.Context, s *session, outputs map[string]any, done func(verify.Result)) (verify.Report, error) {
	report, err := verify.Run(ctx, verify.Options{
		AWS: s.target.Config, Outputs: outputs, Suffix: s.plan.suffix, Region: s.target.Config.Region,
		Where: s.target.Where(), Strict: !s.target.Emulated(), Act: s.plan.act, Done: done,
	})
	if err != nil {
		return report, fmt.Errorf("checking stack %s: %w", s.plan.suffix, err)
	}
	return report, nil
}

// left asks every service what is left of a destroyed stack.
func left(ctx context.Context, s *session) ([]string, error) {
	leaks, err := verify.Leaks(ctx, s.target.Config, s.plan.suffix)
	if err != nil {
		return nil, fmt.Errorf("looking for what is left of stack %s: %w", s.plan.suffix, err)
	}
	found := make([]string, len(leaks))
	for index, leak := range leaks {
		found[index] = leak.String()
	}
	return found, nil
}

func (s *session) stackOptions(dir string) lifecycle.Options {
	options := lifecycle.Options{
		Project: lib.ProjectName, Stack: s.plan.suffix, Program: lib.Deploy, Dir: dir,
		Config: s.plan.config, Observer: s.display, Unlock: s.plan.unlock,
	}
	if dir == s.plan.dir && s.plan.bucket != nil {
		options.Bucket, options.Env = s.plan.bucket, s.plan.bucketEnv
	}
	if s.target == nil {
		return options
	}
	options.Env, options.ProviderConfig = s.target.Env(), s.target.ProviderConfig()
	options.Env["AWS_REGION"] = s.plan.region
	options.Ephemeral = dir != s.plan.dir && s.target.Name == target.Local
	if !s.plan.official {
		options.Provider = awsprovider.NewPlugin(s.target.Config)
	}
	return options
}
