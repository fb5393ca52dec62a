package secretsmanager

import (
	"context"
	"encoding/json"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"tapstack/lib/awsprovider/resource"
)

// PolicyArgs are the inputs of aws:secretsmanager/secretPolicy:SecretPolicy.
type PolicyArgs struct {
	SecretArn         string `pulumi:"secretArn" aws:"forcenew"`
	Policy            string `pulumi:"policy" aws:"policy"`
	BlockPublicPolicy *bool  `pulumi:"blockPublicPolicy,optional" aws:"writeonly"`
}

// PolicyState is the state of aws:secretsmanager/secretPolicy:SecretPolicy; its id is the secret's ARN.
type PolicyState struct{ PolicyArgs }

var secretPolicy = resource.Description[PolicyArgs, PolicyState]{
	Token: "aws:secretsmanager/secretPolicy:SecretPolicy",
	Check: func(a *PolicyArgs) []resource.Fault {
		if a.Policy == "" || json.Valid([]byte(a.Policy)) {
			return nil
		}
		return []resource.Fault{{Property: "policy", Reason: "must be JSON"}}
	},
	Create: putPolicy,
	Read: func(ctx context.Context, c *resource.Cloud, id string, prior PolicyState) (PolicyState, error) {
		policy, err := getPolicy(ctx, c, id)
		if err != nil {
			return prior, err
		}
		s := prior
		s.SecretArn, s.Policy = id, policy
		return s, nil
	},
	Update: func(ctx context.Context, c *resource.Cloud, _ string, _ PolicyState, a PolicyArgs) error {
		_, err := putPolicy(ctx, c, a)
		return err
	},
	Delete: func(ctx context.Context, c *resource.Cloud, id string, _ PolicyState) error {
		_, err := c.SecretsManager.DeleteResourcePolicy(ctx, &secretsmanager.DeleteResourcePolicyInput{SecretId: &id})
		if deleted(err) {
			return nil
		}
		if err != nil {
			return err
		}
		return resource.PollGone(ctx, "the policy of secret "+id, propagation, func(ctx context.Context) error {
			_, err := getPolicy(ctx, c, id)
			return err
		})
	},
	Example: func(x resource.Scratch) resource.Example[PolicyArgs] {
		of := x.Make("aws:secretsmanager/secret:Secret", map[string]any{"name": x.Name("secret"), "recoveryWindowInDays": 0})
		return resource.Example[PolicyArgs]{
			Inputs: PolicyArgs{SecretArn: of.ID, Policy: resource.DenyWithoutTLS("secretsmanager:*", "*"), BlockPublicPolicy: aws.Bool(true)},
			Changes: []resource.Change[PolicyArgs]{
				{Name: "policy", Apply: func(a *PolicyArgs) { a.Policy = resource.DenyWithoutTLS("secretsmanager:GetSecretValue", "*") }},
				{Name: "public policy allowed", Apply: func(a *PolicyArgs) { a.BlockPublicPolicy = aws.Bool(false) }},
			},
		}
	},
}

// putPolicy retries while IAM has not yet told Secrets Manager of a principal, and waits until the policy is seen.
func putPolicy(ctx context.Context, c *resource.Cloud, a PolicyArgs) (string, error) {
	unknown := func(err error) bool {
		return resource.Says(err, "MalformedPolicyDocumentException", "This resource policy contains an unsupported principal")
	}
	err := resource.Retry(ctx, "the principals of the secret's policy are known", propagation, unknown, func(ctx context.Context) error {
		_, err := c.SecretsManager.PutResourcePolicy(ctx, &secretsmanager.PutResourcePolicyInput{
			SecretId: &a.SecretArn, ResourcePolicy: &a.Policy, BlockPublicPolicy: a.BlockPublicPolicy,
		})
		return err
	})
	if err != nil {
		return "", err
	}
	return a.SecretArn, resource.PollThere(ctx, "secret "+a.SecretArn+" has a policy", propagation, func(ctx context.Context) (bool, error) {
		_, err := getPolicy(ctx, c, a.SecretArn)
		return true, err
	})
}

// getPolicy is the policy of a secret; none at all is not found.
func getPolicy(ctx context.Context, c *resource.Cloud, arn string) (string, error) {
	out, err := c.SecretsManager.GetResourcePolicy(ctx, &secretsmanager.GetResourcePolicyInput{SecretId: &arn})
	if deleted(err) {
		return "", resource.ErrNotFound
	}
	if err != nil {
		return "", err
	}
	if aws.ToString(out.ResourcePolicy) == "" {
		return "", resource.ErrNotFound
	}
	return *out.ResourcePolicy, nil
}
