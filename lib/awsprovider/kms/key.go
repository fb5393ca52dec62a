package kms

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"tapstack/lib/awsprovider/resource"
	"tapstack/lib/cloud"
)

// defaultPolicy is the only name that a key policy can have (KMS API reference, PutKeyPolicy).
const defaultPolicy = "default"

// malformed is also the answer to a policy that names a principal which IAM has not yet told KMS of.
const malformed = "MalformedPolicyDocumentException"

// KeyArgs are the inputs of aws:kms/key:Key.
type KeyArgs struct {
	resource.Tagged
	Description                    *string `pulumi:"description,optional" aws:"computed"`
	Policy                         *string `pulumi:"policy,optional" aws:"policy,computed"`
	KeyUsage                       *string `pulumi:"keyUsage,optional" aws:"forcenew"`
	CustomerMasterKeySpec          *string `pulumi:"customerMasterKeySpec,optional" aws:"forcenew"`
	MultiRegion                    *bool   `pulumi:"multiRegion,optional" aws:"computed,forcenew"`
	IsEnabled                      *bool   `pulumi:"isEnabled,optional"`
	EnableKeyRotation              *bool   `pulumi:"enableKeyRotation,optional"`
	RotationPeriodInDays           *int    `pulumi:"rotationPeriodInDays,optional" aws:"computed"`
	DeletionWindowInDays           *int    `pulumi:"deletionWindowInDays,optional" aws:"writeonly"`
	BypassPolicyLockoutSafetyCheck *bool   `pulumi:"bypassPolicyLockoutSafetyCheck,optional" aws:"writeonly"`
}

// KeyState is the state of aws:kms/key:Key; its id is the key's id.
type KeyState struct {
	KeyArgs
	resource.AllTags
	Arn   string `pulumi:"arn"`
	KeyID string `pulumi:"keyId"`
}

var key = resource.Description[KeyArgs, KeyState]{
	Token:  "aws:kms/key:Key",
	Check:  checkKey,
	Create: createKey,
	Read:   readKey,
	Update: updateKey,
	Delete: deleteKey,
	Example: func(resource.Scratch) resource.Example[KeyArgs] {
		return resource.Example[KeyArgs]{
			Inputs: KeyArgs{
				Description: aws.String("conformance"), Policy: aws.String(examplePolicy("kms:Decrypt")),
				EnableKeyRotation: aws.Bool(true), DeletionWindowInDays: aws.Int(7),
				Tagged: resource.Tagged{Tags: map[string]string{"Name": "key"}},
			},
			Changes: []resource.Change[KeyArgs]{
				{Name: "description", Apply: func(a *KeyArgs) { a.Description = aws.String("other") }},
				{Name: "policy", Apply: func(a *KeyArgs) { a.Policy = aws.String(examplePolicy("kms:GenerateDataKey*")) }},
				{Name: "rotation period", Apply: func(a *KeyArgs) { a.RotationPeriodInDays = aws.Int(180) }},
				{Name: "no rotation", Apply: func(a *KeyArgs) { a.EnableKeyRotation, a.RotationPeriodInDays = nil, nil }},
				{Name: "disabled", Apply: func(a *KeyArgs) { a.IsEnabled = aws.Bool(false) }},
				{Name: "enabled and described", Apply: func(a *KeyArgs) { a.IsEnabled, a.Description = nil, aws.String("last") }},
				{Name: "deletion window", Apply: func(a *KeyArgs) { a.DeletionWindowInDays = aws.Int(8) }},
				{Name: "tags", Apply: func(a *KeyArgs) { a.Tags = map[string]string{"More": "yes"} }},
			},
		}
	},
}

// checkKey fills in the official defaults and holds the limits of the KMS API.
func checkKey(a *KeyArgs) []resource.Fault {
	resource.Default(&a.KeyUsage, string(types.KeyUsageTypeEncryptDecrypt))
	resource.Default(&a.CustomerMasterKeySpec, string(types.KeySpecSymmetricDefault))
	resource.Default(&a.IsEnabled, true)
	resource.Default(&a.EnableKeyRotation, false)
	resource.Default(&a.BypassPolicyLockoutSafetyCheck, false)
	var faults []resource.Fault
	fault := func(bad bool, property, reason string) {
		if bad {
			faults = append(faults, resource.Fault{Property: property, Reason: reason})
		}
	}
	fault(len(aws.ToString(a.Description)) > 8192, "description", "must have at most 8192 characters")
	fault(a.Policy != nil && *a.Policy != "" && !json.Valid([]byte(*a.Policy)), "policy", "must be JSON")
	fault(!slices.Contains(types.KeyUsageType("").Values(), types.KeyUsageType(*a.KeyUsage)),
		"keyUsage", fmt.Sprintf("must be one of %q", types.KeyUsageType("").Values()))
	fault(!slices.Contains(types.KeySpec("").Values(), types.KeySpec(*a.CustomerMasterKeySpec)),
		"customerMasterKeySpec", fmt.Sprintf("must be one of %q", types.KeySpec("").Values()))
	fault(outside(a.RotationPeriodInDays, 90, 2560), "rotationPeriodInDays", "must be between 90 and 2560")
	fault(outside(a.DeletionWindowInDays, 7, 30), "deletionWindowInDays", "must be between 7 and 30")
	return faults
}

func outside(n *int, low, high int) bool { return n != nil && (*n < low || *n > high) }

func createKey(ctx context.Context, c *resource.Cloud, a KeyArgs) (string, error) {
	in := &kms.CreateKeyInput{
		BypassPolicyLockoutSafetyCheck: aws.ToBool(a.BypassPolicyLockoutSafetyCheck),
		Description:                    a.Description, Policy: a.Policy, MultiRegion: a.MultiRegion,
		KeySpec:  types.KeySpec(aws.ToString(a.CustomerMasterKeySpec)),
		KeyUsage: types.KeyUsageType(aws.ToString(a.KeyUsage)),
		Tags:     resource.TagList(a.Tags, tag),
	}
	var id string
	err := retry(ctx, "KMS knows the principals of the key policy", propagation, func(ctx context.Context) error {
		out, err := c.KMS.CreateKey(ctx, in)
		if err == nil {
			id = aws.ToString(out.KeyMetadata.KeyId)
		}
		return err
	}, malformed)
	if err != nil {
		return id, err
	}
	if err := awaitKey(ctx, c, id, "is seen", func(types.KeyMetadata) bool { return true }); err != nil {
		return id, err
	}
	if aws.ToBool(a.EnableKeyRotation) {
		if err := setRotation(ctx, c, id, true, a.RotationPeriodInDays); err != nil {
			return id, err
		}
	}
	if a.IsEnabled != nil && !*a.IsEnabled {
		if err := setEnabled(ctx, c, id, false); err != nil {
			return id, err
		}
	}
	if a.Policy != nil {
		return id, awaitPolicy(ctx, c, id, *a.Policy)
	}
	return id, nil
}

func readKey(ctx context.Context, c *resource.Cloud, id string, prior KeyState) (KeyState, error) {
	k, err := describeKey(ctx, c, id)
	if err != nil {
		return prior, err
	}
	policy, err := c.KMS.GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: &id, PolicyName: aws.String(defaultPolicy)})
	if err != nil {
		return prior, fmt.Errorf("reading its policy: %w", err)
	}
	s := prior
	if k.Origin == types.OriginTypeAwsKms {
		rotation, err := c.KMS.GetKeyRotationStatus(ctx, &kms.GetKeyRotationStatusInput{KeyId: &id})
		if err != nil {
			return prior, fmt.Errorf("reading its rotation: %w", err)
		}
		s.EnableKeyRotation = &rotation.KeyRotationEnabled
		s.RotationPeriodInDays = resource.OrPrior(resource.Int(rotation.RotationPeriodInDays), prior.RotationPeriodInDays)
	}
	tags, err := tagsOf(ctx, c, id)
	if err != nil {
		return prior, err
	}
	s.Arn, s.KeyID = aws.ToString(k.Arn), aws.ToString(k.KeyId)
	s.Description, s.Policy, s.IsEnabled, s.MultiRegion = k.Description, policy.Policy, &k.Enabled, k.MultiRegion
	s.KeyUsage, s.CustomerMasterKeySpec = aws.String(string(k.KeyUsage)), aws.String(string(k.KeySpec))
	s.Tags, s.TagsAll = tags, tags
	return s, nil
}

// updateKey enables before and disables after the other changes, since a disabled key cannot be changed.
func updateKey(ctx context.Context, c *resource.Cloud, id string, old KeyState, a KeyArgs) error {
	if !resource.Same(old.IsEnabled, a.IsEnabled) && aws.ToBool(a.IsEnabled) {
		if err := setEnabled(ctx, c, id, true); err != nil {
			return err
		}
	}
	rotates := aws.ToBool(a.EnableKeyRotation)
	if !resource.Same(old.EnableKeyRotation, a.EnableKeyRotation) || rotates && !resource.Same(old.RotationPeriodInDays, a.RotationPeriodInDays) {
		if err := setRotation(ctx, c, id, rotates, a.RotationPeriodInDays); err != nil {
			return err
		}
	}
	if !resource.Same(old.Description, a.Description) {
		if err := setDescription(ctx, c, id, aws.ToString(a.Description)); err != nil {
			return err
		}
	}
	if a.Policy != nil && !resource.SamePolicy(aws.ToString(old.Policy), *a.Policy) {
		if err := setPolicy(ctx, c, id, *a.Policy, aws.ToBool(a.BypassPolicyLockoutSafetyCheck)); err != nil {
			return err
		}
	}
	if err := updateTags(ctx, c, id, old.Tags, a.Tags); err != nil {
		return err
	}
	if !resource.Same(old.IsEnabled, a.IsEnabled) && !aws.ToBool(a.IsEnabled) {
		return setEnabled(ctx, c, id, false)
	}
	return nil
}

// deleteKey schedules the deletion: a key that is pending deletion counts as gone.
func deleteKey(ctx context.Context, c *resource.Cloud, id string, s KeyState) error {
	if _, err := describeKey(ctx, c, id); err != nil {
		return err
	}
	in := &kms.ScheduleKeyDeletionInput{KeyId: &id}
	if s.DeletionWindowInDays != nil {
		in.PendingWindowInDays = resource.Int32(s.DeletionWindowInDays)
	}
	if _, err := c.KMS.ScheduleKeyDeletion(ctx, in); err != nil {
		return err
	}
	return resource.PollGone(ctx, "key "+id, 2*settle, func(ctx context.Context) error {
		_, err := describeKey(ctx, c, id)
		return err
	})
}

func describeKey(ctx context.Context, c *resource.Cloud, id string) (types.KeyMetadata, error) {
	out, err := c.KMS.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &id})
	if err != nil {
		return types.KeyMetadata{}, err
	}
	switch out.KeyMetadata.KeyState {
	case types.KeyStatePendingDeletion, types.KeyStatePendingReplicaDeletion:
		return types.KeyMetadata{}, resource.ErrNotFound
	}
	return *out.KeyMetadata, nil
}

// awaitKey waits until the key is described and is as ok wants it.
func awaitKey(ctx context.Context, c *resource.Cloud, id, what string, ok func(types.KeyMetadata) bool) error {
	return resource.PollThere(ctx, fmt.Sprintf("key %s %s", id, what), settle, func(ctx context.Context) (bool, error) {
		k, err := describeKey(ctx, c, id)
		return ok(k), err
	})
}

// retry repeats a change of a key that KMS does not know everywhere yet, or that it refuses for one of the codes.
func retry(ctx context.Context, what string, timeout time.Duration, call func(context.Context) error, codes ...string) error {
	heals := func(err error) bool { return resource.NotFound(err) || cloud.HasCode(err, codes...) }
	return resource.Retry(ctx, what, timeout, heals, call)
}

func setEnabled(ctx context.Context, c *resource.Cloud, id string, enabled bool) error {
	err := retry(ctx, "key "+id+" can be enabled or disabled", propagation, func(ctx context.Context) error {
		if enabled {
			_, err := c.KMS.EnableKey(ctx, &kms.EnableKeyInput{KeyId: &id})
			return err
		}
		_, err := c.KMS.DisableKey(ctx, &kms.DisableKeyInput{KeyId: &id})
		return err
	})
	if err != nil {
		return fmt.Errorf("setting enabled to %t: %w", enabled, err)
	}
	return awaitKey(ctx, c, id, "changes state", func(k types.KeyMetadata) bool { return k.Enabled == enabled })
}

func setRotation(ctx context.Context, c *resource.Cloud, id string, enabled bool, days *int) error {
	err := retry(ctx, "the rotation of key "+id+" can be changed", settle, func(ctx context.Context) error {
		if enabled {
			in := &kms.EnableKeyRotationInput{KeyId: &id}
			if days != nil {
				in.RotationPeriodInDays = resource.Int32(days)
			}
			_, err := c.KMS.EnableKeyRotation(ctx, in)
			return err
		}
		_, err := c.KMS.DisableKeyRotation(ctx, &kms.DisableKeyRotationInput{KeyId: &id})
		return err
	}, "DisabledException")
	if err != nil {
		return fmt.Errorf("setting rotation to %t: %w", enabled, err)
	}
	return resource.Poll(ctx, "the rotation of key "+id+" is seen", settle, func(ctx context.Context) (bool, error) {
		out, err := c.KMS.GetKeyRotationStatus(ctx, &kms.GetKeyRotationStatusInput{KeyId: &id})
		if err != nil || out.KeyRotationEnabled != enabled {
			return false, err
		}
		told := resource.Int(out.RotationPeriodInDays)
		return !enabled || told == nil || days == nil || *told == *days, nil
	})
}

func setDescription(ctx context.Context, c *resource.Cloud, id, description string) error {
	_, err := c.KMS.UpdateKeyDescription(ctx, &kms.UpdateKeyDescriptionInput{KeyId: &id, Description: &description})
	if err != nil {
		return fmt.Errorf("setting the description: %w", err)
	}
	return awaitKey(ctx, c, id, "shows its description", func(k types.KeyMetadata) bool {
		return aws.ToString(k.Description) == description
	})
}

func setPolicy(ctx context.Context, c *resource.Cloud, id, policy string, bypass bool) error {
	err := retry(ctx, "KMS knows the principals of the key policy", propagation, func(ctx context.Context) error {
		_, err := c.KMS.PutKeyPolicy(ctx, &kms.PutKeyPolicyInput{
			KeyId: &id, PolicyName: aws.String(defaultPolicy), Policy: &policy, BypassPolicyLockoutSafetyCheck: bypass,
		})
		return err
	}, malformed)
	if err != nil {
		return fmt.Errorf("putting the policy: %w", err)
	}
	return awaitPolicy(ctx, c, id, policy)
}

func awaitPolicy(ctx context.Context, c *resource.Cloud, id, policy string) error {
	return resource.PollThere(ctx, "key "+id+" shows its policy", settle, func(ctx context.Context) (bool, error) {
		got, err := c.KMS.GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: &id, PolicyName: aws.String(defaultPolicy)})
		return err == nil && resource.SamePolicy(aws.ToString(got.Policy), policy), err
	})
}

func tagsOf(ctx context.Context, c *resource.Cloud, id string) (map[string]string, error) {
	var list []types.Tag
	pages := kms.NewListResourceTagsPaginator(c.KMS, &kms.ListResourceTagsInput{KeyId: &id})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing its tags: %w", err)
		}
		list = append(list, page.Tags...)
	}
	return resource.TagMap(list, func(t types.Tag) (*string, *string) { return t.TagKey, t.TagValue }), nil
}

func updateTags(ctx context.Context, c *resource.Cloud, id string, old, now map[string]string) error {
	return resource.UpdateTags(old, now, func(keys []string) (any, error) {
		return c.KMS.UntagResource(ctx, &kms.UntagResourceInput{KeyId: &id, TagKeys: keys})
	}, func(tags map[string]string) (any, error) {
		return c.KMS.TagResource(ctx, &kms.TagResourceInput{KeyId: &id, Tags: resource.TagList(tags, tag)})
	})
}

func tag(key, value string) types.Tag { return types.Tag{TagKey: &key, TagValue: &value} }

// examplePolicy keeps the account in charge of the key and lets CloudWatch do one action with it.
func examplePolicy(action string) string {
	return resource.JSON(map[string]any{
		"Version": "2012-10-17",
		"Statement": []map[string]any{
			{"Sid": "Account", "Effect": "Allow", "Principal": map[string]any{"AWS": "*"}, "Action": "kms:*", "Resource": "*"},
			{
				"Sid": "Alarms", "Effect": "Allow", "Principal": map[string]any{"Service": "cloudwatch.amazonaws.com"},
				"Action": action, "Resource": "*",
			},
		},
	})
}
