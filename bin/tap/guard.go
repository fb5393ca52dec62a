package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"

	"tapstack/lib"
	"tapstack/lib/preflight"
	"tapstack/lib/target"
)

const (
	// allowVariable names the accounts that may be changed, for commands that do not run the program.
	allowVariable = "TAPSTACK_ALLOWED_ACCOUNTS"
	// ciVariable is set by GitHub Actions and most other CI systems: whoever set up the job has agreed.
	ciVariable = "CI"

	howToAllow = "The list is set with --config " + lib.ConfigAllowedAccountIDs + "=…, which the stack remembers, or in $" + allowVariable + "."
)

// onAWS says whether a real account is meant.
func (o *options) onAWS() bool { return o.target == target.AWS }

// consent is what is missing before a command may change a real account.
func (o *options) consent(command string, changes bool) error {
	if !o.onAWS() || !changes || o.yes || os.Getenv(ciVariable) == "true" {
		return nil
	}
	return fmt.Errorf("%s changes a real AWS account and costs money: agree with --yes", command)
}

// awsRegion is where a stack on aws goes: as told, by the SDK's own variables, or where the brief wants it.
func awsRegion(given string) string {
	return cmp.Or(given, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"), target.Region)
}

// place is the region of the target.
func (o *options) place() (string, error) {
	switch {
	case o.onAWS():
		return awsRegion(o.region), nil
	case o.region != "":
		return "", fmt.Errorf("--region is for target aws: target %s is in %s", o.target, target.Region)
	}
	return target.Region, nil
}

// allow finds the accounts that a command may change.
func (p *plan) allow(ctx context.Context) (err error) {
	if p.guarded {
		p.allowed, err = p.allowList(ctx)
	}
	return err
}

// allowList is what the variable says, or else what the stack was deployed with.
func (p *plan) allowList(ctx context.Context) ([]string, error) {
	list := cmp.Or(p.config[lib.ConfigAllowedAccountIDs], os.Getenv(allowVariable))
	if list == "" && p.target.Name == target.AWS {
		stored, err := p.states.Config(ctx, p.suffix)
		if err != nil {
			return nil, err
		}
		list = stored[lib.ConfigAllowedAccountIDs]
	}
	var accounts []string
	for id := range strings.SplitSeq(list, ",") {
		if id = strings.TrimSpace(id); id != "" {
			accounts = append(accounts, id)
		}
	}
	return accounts, nil
}

// mustBeAllowed makes sure, before the first call that changes a real account, that it is one that may be changed.
func (s *session) mustBeAllowed() error {
	if !s.plan.guarded {
		return nil
	}
	if err := preflight.Account(s.ctx, s.target.Config, s.plan.allowed).Err(); err != nil {
		return fmt.Errorf("%w\n  %s", err, howToAllow)
	}
	return nil
}
