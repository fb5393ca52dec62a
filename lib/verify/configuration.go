package verify

import (
	"cmp"
	"context"
	"fmt"
	"slices"
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

func parameterValues(ctx context.Context, e *Env, rec *recorder) error {
	all, err1 := e.parameters(ctx)
	queue, err2 := e.output(lib.OutputQueueURL)
	cfg, err3 := e.configuration()
	if err := cmp.Or(err1, err2, err3); err != nil {
		return err
	}
	for role, want := range map[string]any{
		"api-timeout-seconds": cfg.APITimeoutSeconds,
		"api-retry-count":     cfg.APIRetryCount,
		"job-retry-count":     cfg.JobRetryCount,
		"queue-url":           queue,
	} {
		rec.on(aws.ToString(all[role].ARN)).equal(role, want, all[role].Value)
	}
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
