package verify

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"tapstack/lib"
	"tapstack/lib/cloud"
)

func configurationChecks() []Check {
	return []Check{
		{
			ID:   "parameters.stored",
			Says: "Store non-sensitive configuration in Systems Manager Parameter Store",
			Run:  recorded(parametersStored),
		},
		{
			ID:   "parameters.values",
			Says: "Create parameters for API timeout values and retry counts",
			Run:  recorded(parameterValues),
		},
		{
			ID:   "parameters.not-secret",
			Says: "Store non-sensitive configuration in Systems Manager Parameter Store: none of the parameters holds a secret",
			PCI:  []string{"8.6.2"},
			Run:  recorded(parametersNotSecret),
		},
	}
}

// parameters are those that the stack puts out, with their values, by the last part of their names.
func (e *Env) parameters(ctx context.Context) (map[string]ssmtypes.Parameter, error) {
	names, err := e.outputList(lib.OutputParameterNames)
	if err != nil {
		return nil, err
	}
	return cloud.Once(ctx, e.cloud, "ssm:GetParameters", func(ctx context.Context) (map[string]ssmtypes.Parameter, error) {
		found := map[string]ssmtypes.Parameter{}
		for some := range slices.Chunk(names, 10) {
			out, err := e.cloud.SSM.GetParameters(ctx, &ssm.GetParametersInput{Names: some})
			if err != nil {
				return nil, err
			}
			if len(out.InvalidParameters) > 0 {
				return nil, fmt.Errorf("there is no parameter %s", listText(out.InvalidParameters))
			}
			for _, p := range out.Parameters {
				name := aws.ToString(p.Name)
				found[name[strings.LastIndex(name, "/")+1:]] = p
			}
		}
		return found, nil
	})
}

func parametersStored(ctx context.Context, e *Env, rec *recorder) error {
	all, err := e.parameters(ctx)
	if err != nil {
		return err
	}
	for _, role := range []string{"api-timeout-seconds", "api-retry-count", "job-retry-count", "queue-url"} {
		p, ok := all[role]
		if !ok {
			rec.on("").record("parameter "+role, "exists", "missing", false)
			continue
		}
		x := rec.on(aws.ToString(p.ARN))
		x.equal("name", "/payment/"+e.Suffix+"/"+role, p.Name)
		x.equal("type of "+role, ssmtypes.ParameterTypeString, p.Type)
	}
	return nil
}

// Bounds of the values: a timeout of more than 15 minutes or more than 100 tries is a slip of the hand.
const mostTimeoutSeconds, mostRetries = 900, 100

func parameterValues(ctx context.Context, e *Env, rec *recorder) error {
	all, err1 := e.parameters(ctx)
	queue, err2 := e.output(lib.OutputQueueURL)
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	for _, n := range []struct {
		role        string
		least, most int64
	}{
		{"api-timeout-seconds", 1, mostTimeoutSeconds},
		{"api-retry-count", 0, mostRetries},
		{"job-retry-count", 0, mostRetries},
	} {
		x := rec.on(aws.ToString(all[n.role].ARN))
		v, err := strconv.ParseInt(aws.ToString(all[n.role].Value), 10, 64)
		if err != nil {
			x.record(n.role, "a whole number", aws.ToString(all[n.role].Value), false)
			continue
		}
		x.within(n.role, n.least, n.most, v)
	}
	rec.on(aws.ToString(all["queue-url"].ARN)).equal("queue-url", queue, all["queue-url"].Value)
	return nil
}

func parametersNotSecret(ctx context.Context, e *Env, rec *recorder) error {
	all, err1 := e.parameters(ctx)
	secrets, err2 := e.secretValues(ctx)
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	for role, p := range all {
		holds := slices.ContainsFunc(secrets, func(v string) bool { return strings.Contains(aws.ToString(p.Value), v) })
		rec.on(aws.ToString(p.ARN)).equal(role+" holds a secret", false, holds)
	}
	return nil
}
