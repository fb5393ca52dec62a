package injection

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"tapstack/lib/cloud"
	"tapstack/lib/policy"
)

const pulling = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: "

func asm(text string) StoppedReason {
	return StoppedReason(pulling + "unable to retrieve secret from asm: service call has been retried 1 time(s): " + text)
}

// reference is a secret as a task definition names it: an ARN, which may be followed by the key of a JSON value, the staging
// label and the id of a version, any of them empty ("Pass Secrets Manager secrets through Amazon ECS environment variables",
// ECS developer guide).
type reference struct{ id, key, stage, version string }

func parseReference(from string) (reference, error) {
	id, err := arn.Parse(from)
	parts := strings.Split(id.Resource, ":")
	if err != nil || id.Service != "secretsmanager" || parts[0] != "secret" || len(parts) != 2 && len(parts) != 5 {
		return reference{}, asm(fmt.Sprintf("trying to retrieve secret with value %s resulted in error: "+
			"an invalid ARN format for the AWS Secrets Manager secret was specified. Specify a valid ARN and try again.", from))
	}
	if len(parts) == 2 {
		return reference{id: from}, nil
	}
	id.Resource = parts[0] + ":" + parts[1]
	return reference{id.String(), parts[2], parts[3], parts[4]}, nil
}

// secret reads what a reference names.
func (r *reader) secret(ctx context.Context, from string) (string, error) {
	ref, err := parseReference(from)
	if err != nil {
		return "", err
	}
	if err := r.mayReadSecret(ctx, ref); err != nil {
		return "", err
	}
	value, err := r.secretValue(ctx, ref)
	if err != nil || ref.key == "" {
		return value, err
	}
	return field(value, ref.key)
}

// mayReadSecret asks the role's policies, the secret's and the key's.
func (r *reader) mayReadSecret(ctx context.Context, ref reference) error {
	failed := func(text string) error {
		return asm("failed to fetch secret " + ref.id + " from secrets manager: " + text)
	}
	secret, err := r.Secret(ctx, ref.id)
	missing := cloud.IsNotFound(err)
	if missing {
		secret = &secretsmanager.DescribeSecretOutput{ARN: &ref.id}
	} else if err != nil {
		return err
	}
	owner, _ := arn.Parse(aws.ToString(secret.ARN))
	tags := cloud.TagMap(secret.Tags, func(t smtypes.Tag) (*string, *string) { return t.Key, t.Value })
	request := r.request("secretsmanager:GetSecretValue", aws.ToString(secret.ARN), tags).
		With("secretsmanager:SecretId", aws.ToString(secret.ARN)).
		With("secretsmanager:VersionStage", cmp.Or(ref.stage, "AWSCURRENT")).
		With("secretsmanager:ResourceTag/")
	for k, v := range tags {
		request = request.With("secretsmanager:ResourceTag/"+k, v)
	}
	if ref.version != "" {
		request = request.With("secretsmanager:VersionId", ref.version)
	}
	var its *policy.Policy
	if !missing {
		if its, err = r.secretPolicy(ctx, ref.id); err != nil {
			return err
		}
	}
	refusal, err := r.role.Ask(request, owner.AccountID, its)
	refusal, err = r.denied(request, refusal, err)
	switch {
	case err != nil:
		return err
	case refusal != "":
		return failed(refusal)
	case missing:
		return failed("ResourceNotFoundException: Secrets Manager can't find the specified secret.")
	case secret.KmsKeyId == nil:
		return nil
	}
	refusal, err = r.decrypts(ctx, *secret.KmsKeyId, "secretsmanager", map[string]string{"SecretARN": aws.ToString(secret.ARN)})
	if err == nil && refusal != "" {
		return failed("AccessDeniedException: Access to KMS is not allowed")
	}
	return err
}

// secretPolicy is a secret's resource policy; nil where it has none.
func (r *reader) secretPolicy(ctx context.Context, id string) (*policy.Policy, error) {
	document, err := r.SecretPolicy(ctx, id)
	if err != nil || document == "" {
		return nil, err
	}
	p, err := policy.Parse(document)
	if err != nil {
		return nil, fmt.Errorf("the policy of %s: %w", id, err)
	}
	return &p, nil
}

// secretValue reads a version of a secret, once for all of its keys.
func (r *reader) secretValue(ctx context.Context, ref reference) (string, error) {
	optional := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	one := strings.Join([]string{"secretsmanager:GetSecretValue", ref.id, ref.stage, ref.version}, " ")
	value, err := cloud.Once(ctx, r.Reader, one, func(ctx context.Context) (string, error) {
		out, err := r.SecretsManager.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{
			SecretId: &ref.id, VersionStage: optional(ref.stage), VersionId: optional(ref.version),
		})
		if err != nil {
			return "", err
		}
		return aws.ToString(out.SecretString), nil
	})
	switch text, api := said(err); {
	case err == nil:
		return value, nil
	case cloud.IsRefused(err):
		return "", fmt.Errorf("the task's execution role may read %s, but whoever runs this tool may not: %w", ref.id, err)
	case api:
		return "", asm("failed to fetch secret " + ref.id + " from secrets manager: " + text)
	}
	return "", err
}

// field is a key of a secret that is a JSON object, as the container agent writes it, which is Go's %v: a number of a million
// is 1e+06. What a JSON decoder says of a value that is no object has a piece of the value in it, and is not told.
func field(value, key string) (string, error) {
	var fields map[string]any
	if json.Unmarshal([]byte(value), &fields) != nil {
		return "", asm("the secret's value is not a JSON object")
	}
	found, ok := fields[key]
	if !ok {
		return "", asm("retrieved secret from Secrets Manager did not contain json key " + key)
	}
	return fmt.Sprint(found), nil
}
