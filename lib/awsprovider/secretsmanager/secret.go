package secretsmanager

import (
	"context"
	"fmt"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"tapstack/lib/awsprovider/resource"
)

// SecretArgs are the inputs of aws:secretsmanager/secret:Secret.
type SecretArgs struct {
	resource.Tagged
	Name                 string  `pulumi:"name" aws:"forcenew"`
	Description          *string `pulumi:"description,optional"`
	KmsKeyID             *string `pulumi:"kmsKeyId,optional"`
	RecoveryWindowInDays *int    `pulumi:"recoveryWindowInDays,optional" aws:"writeonly"`
}

// SecretState is the state of aws:secretsmanager/secret:Secret; its id is the secret's ARN.
type SecretState struct {
	SecretArgs
	resource.AllTags
	Arn string `pulumi:"arn"`
}

// secretName is the form of a name (Secrets Manager API reference, CreateSecret).
var secretName = regexp.MustCompile(`^[0-9A-Za-z/_+=.@-]{1,512}$`)

// managedKey is the key of secrets that name none.
const managedKey = "alias/aws/secretsmanager"

// ownKey is a key other than the managed one, which DescribeSecret does not tell.
func ownKey(key *string) *string {
	if key != nil && *key == managedKey {
		return nil
	}
	return resource.NotEmpty(key)
}

var secret = resource.Description[SecretArgs, SecretState]{
	Token: "aws:secretsmanager/secret:Secret",
	Check: func(a *SecretArgs) []resource.Fault {
		if a.RecoveryWindowInDays == nil {
			a.RecoveryWindowInDays = aws.Int(30)
		}
		a.KmsKeyID = ownKey(a.KmsKeyID)
		var faults []resource.Fault
		if a.Name != "" && !secretName.MatchString(a.Name) {
			faults = append(faults, resource.Fault{
				Property: "name", Reason: "must have at most 512 letters, digits and characters of /_+=.@-",
			})
		}
		if days := *a.RecoveryWindowInDays; days != 0 && (days < 7 || days > 30) {
			faults = append(faults, resource.Fault{Property: "recoveryWindowInDays", Reason: "must be 0, or between 7 and 30"})
		}
		return faults
	},
	Create: createSecret,
	Read:   readSecret,
	Update: updateSecret,
	Delete: deleteSecret,
	Example: func(x resource.Scratch) resource.Example[SecretArgs] {
		key := x.Make("aws:kms/key:Key", map[string]any{"deletionWindowInDays": 7})
		return resource.Example[SecretArgs]{
			Inputs: SecretArgs{
				Name: x.Name("secret"), Description: aws.String("conformance"), RecoveryWindowInDays: aws.Int(7),
				Tagged: resource.Tagged{Tags: map[string]string{"Name": "secret"}},
			},
			Changes: []resource.Change[SecretArgs]{
				{Name: "description", Apply: func(a *SecretArgs) { a.Description = aws.String("other") }},
				{Name: "key", Apply: func(a *SecretArgs) { a.KmsKeyID = aws.String(key.Outputs["arn"].(string)) }},
				{Name: "AWS managed key", Apply: func(a *SecretArgs) { a.KmsKeyID = nil }},
				{Name: "tags", Apply: func(a *SecretArgs) { a.Tags = map[string]string{"More": "yes"} }},
				{Name: "no recovery", Apply: func(a *SecretArgs) { a.RecoveryWindowInDays = aws.Int(0) }},
			},
		}
	},
}

// createSecret retries while a deleted secret of the same name is still in the way.
func createSecret(ctx context.Context, c *resource.Cloud, a SecretArgs) (string, error) {
	in := &secretsmanager.CreateSecretInput{
		Name: &a.Name, Description: a.Description, KmsKeyId: a.KmsKeyID, Tags: resource.TagList(a.Tags, tag),
	}
	var arn string
	free := fmt.Sprintf("the name of the deleted secret %s is free again", a.Name)
	err := resource.Retry(ctx, free, propagation, deleted, func(ctx context.Context) error {
		out, err := c.SecretsManager.CreateSecret(ctx, in)
		if err == nil {
			arn = aws.ToString(out.ARN)
		}
		return err
	})
	if err != nil {
		return arn, err
	}
	return arn, resource.PollThere(ctx, "secret "+arn+" is seen", propagation, func(ctx context.Context) (bool, error) {
		_, err := describeSecret(ctx, c, arn)
		return true, err
	})
}

func readSecret(ctx context.Context, c *resource.Cloud, id string, prior SecretState) (SecretState, error) {
	got, err := describeSecret(ctx, c, id)
	if err != nil {
		return prior, err
	}
	s := prior
	s.Arn, s.Name = aws.ToString(got.ARN), aws.ToString(got.Name)
	s.Description, s.KmsKeyID = resource.NotEmpty(got.Description), ownKey(got.KmsKeyId)
	s.Tags = resource.TagMap(got.Tags, func(t types.Tag) (*string, *string) { return t.Key, t.Value })
	s.TagsAll = s.Tags
	return s, nil
}

func updateSecret(ctx context.Context, c *resource.Cloud, id string, old SecretState, a SecretArgs) error {
	if aws.ToString(old.Description) != aws.ToString(a.Description) || aws.ToString(old.KmsKeyID) != aws.ToString(a.KmsKeyID) {
		in := &secretsmanager.UpdateSecretInput{
			SecretId: &id, Description: aws.String(aws.ToString(a.Description)), KmsKeyId: a.KmsKeyID,
		}
		if old.KmsKeyID != nil && a.KmsKeyID == nil {
			in.KmsKeyId = aws.String(managedKey)
		}
		if _, err := c.SecretsManager.UpdateSecret(ctx, in); err != nil {
			return err
		}
	}
	return resource.UpdateTags(old.Tags, a.Tags, func(keys []string) (any, error) {
		return c.SecretsManager.UntagResource(ctx, &secretsmanager.UntagResourceInput{SecretId: &id, TagKeys: keys})
	}, func(tags map[string]string) (any, error) {
		return c.SecretsManager.TagResource(ctx, &secretsmanager.TagResourceInput{SecretId: &id, Tags: resource.TagList(tags, tag)})
	})
}

func deleteSecret(ctx context.Context, c *resource.Cloud, id string, s SecretState) error {
	in := &secretsmanager.DeleteSecretInput{SecretId: &id}
	if days := aws.ToInt(s.RecoveryWindowInDays); days == 0 {
		in.ForceDeleteWithoutRecovery = aws.Bool(true)
	} else {
		in.RecoveryWindowInDays = aws.Int64(int64(days))
	}
	if _, err := c.SecretsManager.DeleteSecret(ctx, in); err != nil && !deleted(err) {
		return err
	}
	return resource.PollGone(ctx, "secret "+id, propagation, func(ctx context.Context) error {
		_, err := describeSecret(ctx, c, id)
		return err
	})
}

// describeSecret takes a secret that is scheduled for deletion as gone.
func describeSecret(ctx context.Context, c *resource.Cloud, id string) (*secretsmanager.DescribeSecretOutput, error) {
	out, err := c.SecretsManager.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &id})
	if err != nil {
		return nil, err
	}
	if out.DeletedDate != nil {
		return nil, resource.ErrNotFound
	}
	return out, nil
}

func tag(key, value string) types.Tag { return types.Tag{Key: &key, Value: &value} }
