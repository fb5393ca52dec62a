package s3

import (
	"cmp"
	"context"
	"fmt"
	"reflect"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"tapstack/lib/awsprovider/resource"
)

// EncryptionArgs are the inputs of aws:s3/bucketServerSideEncryptionConfigurationV2.
type EncryptionArgs struct {
	Bucket string           `pulumi:"bucket" aws:"forcenew"`
	Rules  []encryptionRule `pulumi:"rules" aws:"set"`
}

type encryptionRule struct {
	ApplyServerSideEncryptionByDefault *encryptionDefault `pulumi:"applyServerSideEncryptionByDefault,optional"`
	BucketKeyEnabled                   *bool              `pulumi:"bucketKeyEnabled,optional"`
}

type encryptionDefault struct {
	SseAlgorithm   string  `pulumi:"sseAlgorithm"`
	KmsMasterKeyID *string `pulumi:"kmsMasterKeyId,optional"`
}

// EncryptionState is its state; the id is the bucket's name.
type EncryptionState struct{ EncryptionArgs }

var encryption = resource.Description[EncryptionArgs, EncryptionState]{
	Token: "aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2",
	Check: func(a *EncryptionArgs) []resource.Fault {
		for i := range a.Rules {
			if r := &a.Rules[i]; r.BucketKeyEnabled != nil && !*r.BucketKeyEnabled {
				r.BucketKeyEnabled = nil // the API does not tell "off" from "not set"
			}
		}
		if len(a.Rules) > 1 {
			return []resource.Fault{{Property: "rules", Reason: "a bucket has one encryption rule"}}
		}
		return nil
	},
	Create: putEncryption,
	Read: func(ctx context.Context, c *resource.Cloud, name string, _ EncryptionState) (EncryptionState, error) {
		rules, err := encryptionRules(ctx, c, name)
		return EncryptionState{EncryptionArgs{Bucket: name, Rules: rules}}, err
	},
	Update: func(ctx context.Context, c *resource.Cloud, _ string, _ EncryptionState, a EncryptionArgs) error {
		_, err := putEncryption(ctx, c, a)
		return err
	},
	// Since January 2023 S3 encrypts every object, so what remains after the delete is its own default.
	Delete: func(ctx context.Context, c *resource.Cloud, name string, _ EncryptionState) error {
		_, err := c.S3.DeleteBucketEncryption(ctx, &s3.DeleteBucketEncryptionInput{Bucket: &name})
		return err
	},
	Example: func(x resource.Scratch) resource.Example[EncryptionArgs] {
		return resource.Example[EncryptionArgs]{
			Silent: "S3 encrypts every bucket: without a configuration of its own it shows the default one",
			Inputs: EncryptionArgs{Bucket: makeBucket(x), Rules: []encryptionRule{{
				ApplyServerSideEncryptionByDefault: &encryptionDefault{SseAlgorithm: "AES256"},
			}}},
			Changes: []resource.Change[EncryptionArgs]{
				{Name: "KMS", Apply: func(a *EncryptionArgs) {
					a.Rules = []encryptionRule{{
						ApplyServerSideEncryptionByDefault: &encryptionDefault{SseAlgorithm: "aws:kms"}, BucketKeyEnabled: aws.Bool(true),
					}}
				}},
			},
		}
	},
}

func putEncryption(ctx context.Context, c *resource.Cloud, a EncryptionArgs) (string, error) {
	conf := &types.ServerSideEncryptionConfiguration{}
	for _, r := range a.Rules {
		rule := types.ServerSideEncryptionRule{BucketKeyEnabled: r.BucketKeyEnabled}
		if d := r.ApplyServerSideEncryptionByDefault; d != nil {
			rule.ApplyServerSideEncryptionByDefault = &types.ServerSideEncryptionByDefault{
				SSEAlgorithm: types.ServerSideEncryption(d.SseAlgorithm), KMSMasterKeyID: d.KmsMasterKeyID,
			}
		}
		conf.Rules = append(conf.Rules, rule)
	}
	err := resource.RetryOn(ctx, "bucket "+a.Bucket+" takes its encryption", settle, func(ctx context.Context) error {
		_, err := c.S3.PutBucketEncryption(ctx, &s3.PutBucketEncryptionInput{
			Bucket: &a.Bucket, ServerSideEncryptionConfiguration: conf,
		})
		return err
	}, "NoSuchBucket", "OperationAborted")
	if err != nil {
		return "", err
	}
	return a.Bucket, resource.PollThere(ctx, "bucket "+a.Bucket+" shows its encryption", settle, func(ctx context.Context) (bool, error) {
		rules, err := encryptionRules(ctx, c, a.Bucket)
		return reflect.DeepEqual(rules, a.Rules), err
	})
}

func encryptionRules(ctx context.Context, c *resource.Cloud, name string) ([]encryptionRule, error) {
	out, err := c.S3.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: &name})
	if err != nil {
		return nil, err
	}
	if out.ServerSideEncryptionConfiguration == nil {
		return nil, resource.ErrNotFound
	}
	var rules []encryptionRule
	for _, r := range out.ServerSideEncryptionConfiguration.Rules {
		var rule encryptionRule
		if aws.ToBool(r.BucketKeyEnabled) {
			rule.BucketKeyEnabled = aws.Bool(true)
		}
		if d := r.ApplyServerSideEncryptionByDefault; d != nil {
			rule.ApplyServerSideEncryptionByDefault = &encryptionDefault{
				SseAlgorithm: string(d.SSEAlgorithm), KmsMasterKeyID: resource.NotEmpty(d.KMSMasterKeyID),
			}
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

// LifecycleArgs are the inputs of aws:s3/bucketLifecycleConfigurationV2.
type LifecycleArgs struct {
	Bucket string          `pulumi:"bucket" aws:"forcenew"`
	Rules  []lifecycleRule `pulumi:"rules" aws:"set"`
}

type lifecycleRule struct {
	ID                             string           `pulumi:"id"`
	Status                         string           `pulumi:"status"`
	Filter                         *lifecycleFilter `pulumi:"filter,optional"`
	Expiration                     *expiration      `pulumi:"expiration,optional"`
	NoncurrentVersionExpiration    *noncurrent      `pulumi:"noncurrentVersionExpiration,optional"`
	AbortIncompleteMultipartUpload *abort           `pulumi:"abortIncompleteMultipartUpload,optional"`
}

type lifecycleFilter struct {
	Prefix *string `pulumi:"prefix,optional"`
}

type expiration struct {
	Days *int `pulumi:"days,optional"`
}

type noncurrent struct {
	NoncurrentDays int `pulumi:"noncurrentDays"`
}

type abort struct {
	DaysAfterInitiation *int `pulumi:"daysAfterInitiation,optional"`
}

// LifecycleState is its state; the id is the bucket's name.
type LifecycleState struct {
	LifecycleArgs
	// TransitionDefaultMinimumObjectSize is which small objects move to another storage class.
	TransitionDefaultMinimumObjectSize string `pulumi:"transitionDefaultMinimumObjectSize"`
}

var lifecycle = resource.Description[LifecycleArgs, LifecycleState]{
	Token:  "aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2",
	Check:  checkLifecycle,
	Create: putLifecycle,
	Read: func(ctx context.Context, c *resource.Cloud, name string, _ LifecycleState) (LifecycleState, error) {
		rules, size, err := lifecycleRules(ctx, c, name)
		return LifecycleState{LifecycleArgs{Bucket: name, Rules: rules}, size}, err
	},
	Update: func(ctx context.Context, c *resource.Cloud, _ string, _ LifecycleState, a LifecycleArgs) error {
		_, err := putLifecycle(ctx, c, a)
		return err
	},
	Delete: func(ctx context.Context, c *resource.Cloud, name string, _ LifecycleState) error {
		if _, err := c.S3.DeleteBucketLifecycle(ctx, &s3.DeleteBucketLifecycleInput{Bucket: &name}); err != nil {
			return err
		}
		return resource.PollGone(ctx, "lifecycle of bucket "+name, settle, func(ctx context.Context) error {
			_, _, err := lifecycleRules(ctx, c, name)
			return err
		})
	},
	Example: func(x resource.Scratch) resource.Example[LifecycleArgs] {
		return resource.Example[LifecycleArgs]{
			Inputs: LifecycleArgs{Bucket: makeBucket(x), Rules: []lifecycleRule{{
				ID: "expire", Status: "Enabled", Filter: &lifecycleFilter{Prefix: aws.String("alb/")},
				Expiration: &expiration{Days: aws.Int(90)}, NoncurrentVersionExpiration: &noncurrent{30},
				AbortIncompleteMultipartUpload: &abort{DaysAfterInitiation: aws.Int(7)},
			}}},
			Changes: []resource.Change[LifecycleArgs]{
				{Name: "days of old versions", Apply: func(a *LifecycleArgs) { a.Rules[0].NoncurrentVersionExpiration = nil }},
				{Name: "days", Apply: func(a *LifecycleArgs) { a.Rules[0].Expiration.Days = aws.Int(400) }},
				{Name: "the whole bucket", Apply: func(a *LifecycleArgs) { a.Rules[0].Filter.Prefix = aws.String("") }},
				{Name: "a second rule, off", Apply: func(a *LifecycleArgs) {
					a.Rules = append(a.Rules, lifecycleRule{ID: "old", Status: "Disabled", Expiration: &expiration{Days: aws.Int(1)}})
				}},
			},
		}
	},
}

// checkLifecycle puts the ways to say "the whole bucket" into one form: no filter, an empty one and an empty prefix.
func checkLifecycle(a *LifecycleArgs) []resource.Fault {
	var faults []resource.Fault
	for i := range a.Rules {
		r := &a.Rules[i]
		if r.Filter == nil {
			r.Filter = &lifecycleFilter{}
		}
		r.Filter.Prefix = resource.NotEmpty(r.Filter.Prefix)
		if r.Status != "" && r.Status != "Enabled" && r.Status != "Disabled" {
			faults = append(faults, resource.Fault{Property: "rules", Reason: fmt.Sprintf(
				"the status of rule %s must be Enabled or Disabled, not %q", r.ID, r.Status)})
		}
	}
	return faults
}

func putLifecycle(ctx context.Context, c *resource.Cloud, a LifecycleArgs) (string, error) {
	conf := &types.BucketLifecycleConfiguration{}
	for _, r := range a.Rules {
		rule := types.LifecycleRule{ID: &r.ID, Status: types.ExpirationStatus(r.Status), Filter: &types.LifecycleRuleFilter{Prefix: aws.String("")}}
		if r.Filter != nil && r.Filter.Prefix != nil {
			rule.Filter.Prefix = r.Filter.Prefix
		}
		if e := r.Expiration; e != nil {
			rule.Expiration = &types.LifecycleExpiration{Days: resource.Int32(e.Days)}
		}
		if v := r.NoncurrentVersionExpiration; v != nil {
			rule.NoncurrentVersionExpiration = &types.NoncurrentVersionExpiration{NoncurrentDays: resource.Int32(&v.NoncurrentDays)}
		}
		if m := r.AbortIncompleteMultipartUpload; m != nil {
			rule.AbortIncompleteMultipartUpload = &types.AbortIncompleteMultipartUpload{DaysAfterInitiation: resource.Int32(m.DaysAfterInitiation)}
		}
		conf.Rules = append(conf.Rules, rule)
	}
	err := resource.RetryOn(ctx, "bucket "+a.Bucket+" takes its lifecycle", settle, func(ctx context.Context) error {
		_, err := c.S3.PutBucketLifecycleConfiguration(ctx, &s3.PutBucketLifecycleConfigurationInput{
			Bucket: &a.Bucket, LifecycleConfiguration: conf,
		})
		return err
	}, "NoSuchBucket", "OperationAborted")
	if err != nil {
		return "", err
	}
	return a.Bucket, resource.PollThere(ctx, "bucket "+a.Bucket+" shows its lifecycle", settle, func(ctx context.Context) (bool, error) {
		rules, _, err := lifecycleRules(ctx, c, a.Bucket)
		return sameRules(rules, a.Rules), err
	})
}

// lifecycleRules are a bucket's, and the size from which objects move; S3's default where it does not say.
func lifecycleRules(ctx context.Context, c *resource.Cloud, name string) (rules []lifecycleRule, size string, err error) {
	out, err := c.S3.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: &name})
	if err != nil {
		return nil, "", err
	}
	for _, r := range out.Rules {
		rule := lifecycleRule{ID: aws.ToString(r.ID), Status: string(r.Status), Filter: &lifecycleFilter{}}
		if r.Filter != nil {
			rule.Filter.Prefix = resource.NotEmpty(r.Filter.Prefix)
		}
		// A rule without days may still carry an expiration by date or of delete markers, which is not this type's.
		if r.Expiration != nil && aws.ToInt32(r.Expiration.Days) != 0 {
			rule.Expiration = &expiration{Days: aws.Int(int(*r.Expiration.Days))}
		}
		if v := r.NoncurrentVersionExpiration; v != nil {
			rule.NoncurrentVersionExpiration = &noncurrent{int(aws.ToInt32(v.NoncurrentDays))}
		}
		if m := r.AbortIncompleteMultipartUpload; m != nil {
			rule.AbortIncompleteMultipartUpload = &abort{DaysAfterInitiation: aws.Int(int(aws.ToInt32(m.DaysAfterInitiation)))}
		}
		rules = append(rules, rule)
	}
	all := types.TransitionDefaultMinimumObjectSizeAllStorageClasses128k
	return rules, string(cmp.Or(out.TransitionDefaultMinimumObjectSize, all)), nil
}

// sameRules compares rules by id, whatever their order.
func sameRules(got, want []lifecycleRule) bool {
	byID := map[string]lifecycleRule{}
	for _, r := range got {
		byID[r.ID] = r
	}
	for _, w := range want {
		if !reflect.DeepEqual(byID[w.ID], w) {
			return false
		}
	}
	return len(got) == len(want)
}
