package preflight

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

	"tapstack/lib"
	"tapstack/lib/cloud"
)

// Account finds out whose the credentials are, and whether that account may be deployed to. An empty list allows none.
func Account(ctx context.Context, cfg aws.Config, allowed []string) Report {
	in := newInspection(Options{AWS: cfg, Config: lib.Config{AllowedAccountIDs: allowed}})
	findings := in.lookAtAccount(ctx)
	return Report{Account: in.account, Region: in.region, Findings: findings}
}

// FindCredentials reads the AWS configuration of this environment, for a region, and tells where its credentials come
// from. They are shown nowhere.
func FindCredentials(ctx context.Context, region string) (cfg aws.Config, source string, err error) {
	cfg, err = awsconfig.LoadDefaultConfig(ctx, awsconfig.WithRegion(region), awsconfig.WithLogger(logging.Nop{}))
	if err != nil {
		return cfg, "", fmt.Errorf("the AWS configuration cannot be read: %w", err)
	}
	found, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return cfg, "", errors.New("none found")
	}
	return cfg, found.Source, nil
}

// lookAtAccount finds out whose account it is, which all else depends on.
func (in *inspection) lookAtAccount(ctx context.Context) []Finding {
	who, err := in.api.STS.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err == nil && aws.ToString(who.Account) == "" {
		err = fmt.Errorf("the answer names no account")
	}
	if err != nil {
		return []Finding{problem(
			"Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (with AWS_SESSION_TOKEN where they are temporary), or log in again.",
			"not accepted: %s", reason(err)).about("credentials")}
	}
	in.account = aws.ToString(who.Account)
	return []Finding{
		fine("account %s, as %s", in.account, aws.ToString(who.Arn)).about("credentials"),
		allowed(in.account, in.Config.AllowedAccountIDs, in.Emulated).about("allowed accounts"),
	}
}

func allowed(account string, list []string, emulated bool) Finding {
	switch {
	case slices.Contains(list, account):
		return fine("allowedAccountIds names account %s", account)
	case len(list) == 0 && emulated:
		return fine("no list is needed where no real account answers")
	case len(list) == 0:
		return problem("If that is the account to deploy to, set allowedAccountIds="+account+".",
			"no account is allowed, and the credentials are those of %s", account)
	}
	return problem("Use the credentials of an allowed account, or add "+account+" to allowedAccountIds.",
		"the credentials are those of account %s, and only %s may be deployed to", account, strings.Join(list, ", "))
}

// lookAtRegion makes sure that the account may use the region at all.
func lookAtRegion(ctx context.Context, in *inspection) []Finding {
	out, err := in.api.EC2.DescribeRegions(ctx, &ec2.DescribeRegionsInput{AllRegions: aws.Bool(true), RegionNames: []string{in.region}})
	switch {
	case cloud.HasCode(err, "InvalidParameterValue"):
		return []Finding{problem("Choose one that exists, such as us-east-1.", "%q is no region", in.region)}
	case err != nil:
		return []Finding{unread(err)}
	case len(out.Regions) != 1:
		return []Finding{unknown("the answer for %s names %s", in.region, plural(len(out.Regions), "region"))}
	}
	if state := aws.ToString(out.Regions[0].OptInStatus); state == "not-opted-in" {
		return []Finding{problem("Enable it (aws account enable-region --region-name "+in.region+"), or choose another region.",
			"%s is not enabled for this account", in.region)}
	}
	return []Finding{fine("%s", in.region)}
}
