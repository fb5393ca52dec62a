package cloudwatch

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"tapstack/lib/awsprovider/resource"
)

// LogResourcePolicyArgs are the inputs of aws:cloudwatch/logResourcePolicy:LogResourcePolicy.
type LogResourcePolicyArgs struct {
	PolicyName     string `pulumi:"policyName" aws:"forcenew"`
	PolicyDocument string `pulumi:"policyDocument" aws:"policy"`
}

// LogResourcePolicyState is its state; the id is the policy's name.
type LogResourcePolicyState struct{ LogResourcePolicyArgs }

var logResourcePolicy = resource.Description[LogResourcePolicyArgs, LogResourcePolicyState]{
	Token: "aws:cloudwatch/logResourcePolicy:LogResourcePolicy",
	Create: func(ctx context.Context, c *resource.Cloud, a LogResourcePolicyArgs) (string, error) {
		if err := putLogPolicy(ctx, c, a); err != nil {
			return "", err
		}
		return a.PolicyName, nil
	},
	Read: func(ctx context.Context, c *resource.Cloud, id string, prior LogResourcePolicyState) (LogResourcePolicyState, error) {
		in := &logs.DescribeResourcePoliciesInput{}
		for {
			page, err := c.Logs.DescribeResourcePolicies(ctx, in)
			if err != nil {
				return prior, err
			}
			for _, policy := range page.ResourcePolicies {
				if aws.ToString(policy.PolicyName) == id {
					return LogResourcePolicyState{LogResourcePolicyArgs{
						PolicyName: id, PolicyDocument: aws.ToString(policy.PolicyDocument),
					}}, nil
				}
			}
			if aws.ToString(page.NextToken) == "" {
				return prior, resource.ErrNotFound
			}
			in.NextToken = page.NextToken
		}
	},
	Update: func(ctx context.Context, c *resource.Cloud, _ string, _ LogResourcePolicyState, a LogResourcePolicyArgs) error {
		return putLogPolicy(ctx, c, a)
	},
	Delete: func(ctx context.Context, c *resource.Cloud, id string, _ LogResourcePolicyState) error {
		_, err := c.Logs.DeleteResourcePolicy(ctx, &logs.DeleteResourcePolicyInput{PolicyName: &id})
		return err
	},
	Example: func(x resource.Scratch) resource.Example[LogResourcePolicyArgs] {
		return resource.Example[LogResourcePolicyArgs]{
			Inputs: LogResourcePolicyArgs{PolicyName: x.Name("logs"), PolicyDocument: allowLogs("logs:PutLogEvents")},
			Changes: []resource.Change[LogResourcePolicyArgs]{
				{Name: "policy", Apply: func(a *LogResourcePolicyArgs) { a.PolicyDocument = allowLogs("logs:CreateLogStream") }},
			},
		}
	},
}

func putLogPolicy(ctx context.Context, c *resource.Cloud, a LogResourcePolicyArgs) error {
	_, err := c.Logs.PutResourcePolicy(ctx, &logs.PutResourcePolicyInput{
		PolicyName: &a.PolicyName, PolicyDocument: &a.PolicyDocument,
	})
	return err
}

// allowLogs is an example's policy.
func allowLogs(action string) string {
	return resource.JSON(map[string]any{
		"Version": "2012-10-17",
		"Statement": []map[string]any{{
			"Effect": "Allow", "Principal": map[string]any{"Service": "delivery.logs.amazonaws.com"},
			"Action": []string{action}, "Resource": "arn:aws:logs:us-east-1:123456789012:log-group:*",
		}},
	})
}
