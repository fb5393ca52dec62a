package s3

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"tapstack/lib/awsprovider/resource"
)

// PublicAccessBlockArgs are the inputs of aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock.
type PublicAccessBlockArgs struct {
	Bucket                string `pulumi:"bucket" aws:"forcenew"`
	BlockPublicAcls       *bool  `pulumi:"blockPublicAcls,optional"`
	BlockPublicPolicy     *bool  `pulumi:"blockPublicPolicy,optional"`
	IgnorePublicAcls      *bool  `pulumi:"ignorePublicAcls,optional"`
	RestrictPublicBuckets *bool  `pulumi:"restrictPublicBuckets,optional"`
}

// PublicAccessBlockState is its state; the id is the bucket's name.
type PublicAccessBlockState struct{ PublicAccessBlockArgs }

// BucketPolicyArgs are the inputs of aws:s3/bucketPolicy:BucketPolicy.
type BucketPolicyArgs struct {
	Bucket string `pulumi:"bucket" aws:"forcenew"`
	Policy string `pulumi:"policy" aws:"policy"`
}

// BucketPolicyState is its state; the id is the bucket's name.
type BucketPolicyState struct{ BucketPolicyArgs }

var publicAccessBlock = resource.Description[PublicAccessBlockArgs, PublicAccessBlockState]{
	Token: "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
	Check: func(a *PublicAccessBlockArgs) []resource.Fault {
		for _, p := range []**bool{&a.BlockPublicAcls, &a.BlockPublicPolicy, &a.IgnorePublicAcls, &a.RestrictPublicBuckets} {
			if *p == nil {
				*p = aws.Bool(false)
			}
		}
		return nil
	},
	Create: func(ctx context.Context, c *resource.Cloud, a PublicAccessBlockArgs) (string, error) {
		return putAccessBlock(ctx, c, a)
	},
	Read: func(ctx context.Context, c *resource.Cloud, name string, _ PublicAccessBlockState) (PublicAccessBlockState, error) {
		got, err := accessBlock(ctx, c, name)
		return PublicAccessBlockState{got}, err
	},
	Update: func(ctx context.Context, c *resource.Cloud, _ string, _ PublicAccessBlockState, a PublicAccessBlockArgs) error {
		_, err := putAccessBlock(ctx, c, a)
		return err
	},
	Delete: func(ctx context.Context, c *resource.Cloud, name string, _ PublicAccessBlockState) error {
		_, err := c.S3.DeletePublicAccessBlock(ctx, &s3.DeletePublicAccessBlockInput{Bucket: &name})
		if err != nil {
			return err
		}
		return resource.PollGone(ctx, "public access block of bucket "+name, settle, func(ctx context.Context) error {
			_, err := accessBlock(ctx, c, name)
			return err
		})
	},
	Example: func(x resource.Scratch) resource.Example[PublicAccessBlockArgs] {
		yes, no := aws.Bool(true), aws.Bool(false)
		return resource.Example[PublicAccessBlockArgs]{
			Inputs: PublicAccessBlockArgs{
				Bucket: makeBucket(x), BlockPublicAcls: yes, BlockPublicPolicy: yes, IgnorePublicAcls: yes, RestrictPublicBuckets: yes,
			},
			Changes: []resource.Change[PublicAccessBlockArgs]{
				{Name: "lists", Apply: func(a *PublicAccessBlockArgs) { a.BlockPublicAcls, a.IgnorePublicAcls = no, no }},
				{Name: "policies", Apply: func(a *PublicAccessBlockArgs) { a.BlockPublicPolicy, a.RestrictPublicBuckets = no, nil }},
			},
		}
	},
}

func putAccessBlock(ctx context.Context, c *resource.Cloud, a PublicAccessBlockArgs) (string, error) {
	in := &s3.PutPublicAccessBlockInput{Bucket: &a.Bucket, PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{
		BlockPublicAcls: a.BlockPublicAcls, BlockPublicPolicy: a.BlockPublicPolicy,
		IgnorePublicAcls: a.IgnorePublicAcls, RestrictPublicBuckets: a.RestrictPublicBuckets,
	}}
	err := resource.RetryOn(ctx, "bucket "+a.Bucket+" can be closed to the public", settle, func(ctx context.Context) error {
		_, err := c.S3.PutPublicAccessBlock(ctx, in)
		return err
	}, "NoSuchBucket", "OperationAborted")
	if err != nil {
		return "", err
	}
	return a.Bucket, resource.PollThere(ctx, "bucket "+a.Bucket+" shows its public access block", settle, func(ctx context.Context) (bool, error) {
		got, err := accessBlock(ctx, c, a.Bucket)
		return err == nil && *got.BlockPublicAcls == aws.ToBool(a.BlockPublicAcls) &&
			*got.BlockPublicPolicy == aws.ToBool(a.BlockPublicPolicy) &&
			*got.IgnorePublicAcls == aws.ToBool(a.IgnorePublicAcls) &&
			*got.RestrictPublicBuckets == aws.ToBool(a.RestrictPublicBuckets), err
	})
}

func accessBlock(ctx context.Context, c *resource.Cloud, name string) (PublicAccessBlockArgs, error) {
	a := PublicAccessBlockArgs{Bucket: name}
	out, err := c.S3.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: &name})
	if err != nil {
		return a, err
	}
	b := out.PublicAccessBlockConfiguration
	if b == nil {
		return a, resource.ErrNotFound
	}
	a.BlockPublicAcls, a.BlockPublicPolicy = aws.Bool(aws.ToBool(b.BlockPublicAcls)), aws.Bool(aws.ToBool(b.BlockPublicPolicy))
	a.IgnorePublicAcls, a.RestrictPublicBuckets = aws.Bool(aws.ToBool(b.IgnorePublicAcls)), aws.Bool(aws.ToBool(b.RestrictPublicBuckets))
	return a, nil
}

var bucketPolicy = resource.Description[BucketPolicyArgs, BucketPolicyState]{
	Token: "aws:s3/bucketPolicy:BucketPolicy",
	Create: func(ctx context.Context, c *resource.Cloud, a BucketPolicyArgs) (string, error) {
		return putPolicy(ctx, c, a)
	},
	Read: func(ctx context.Context, c *resource.Cloud, name string, _ BucketPolicyState) (BucketPolicyState, error) {
		doc, err := policyOf(ctx, c, name)
		return BucketPolicyState{BucketPolicyArgs{Bucket: name, Policy: doc}}, err
	},
	Update: func(ctx context.Context, c *resource.Cloud, _ string, _ BucketPolicyState, a BucketPolicyArgs) error {
		_, err := putPolicy(ctx, c, a)
		return err
	},
	Delete: func(ctx context.Context, c *resource.Cloud, name string, _ BucketPolicyState) error {
		if _, err := c.S3.DeleteBucketPolicy(ctx, &s3.DeleteBucketPolicyInput{Bucket: &name}); err != nil {
			return err
		}
		return resource.PollGone(ctx, "policy of bucket "+name, settle, func(ctx context.Context) error {
			_, err := policyOf(ctx, c, name)
			return err
		})
	},
	Example: func(x resource.Scratch) resource.Example[BucketPolicyArgs] {
		name := makeBucket(x)
		arn := "arn:aws:s3:::" + name
		return resource.Example[BucketPolicyArgs]{
			Inputs: BucketPolicyArgs{Bucket: name, Policy: resource.DenyWithoutTLS("s3:*", arn+"/*", arn)},
			Changes: []resource.Change[BucketPolicyArgs]{
				{Name: "policy", Apply: func(a *BucketPolicyArgs) { a.Policy = resource.DenyWithoutTLS("s3:PutObject", arn+"/*", arn) }},
			},
		}
	},
}

// putPolicy sets the policy. A principal made a moment ago may not be known to S3 yet, which it calls a malformed policy.
func putPolicy(ctx context.Context, c *resource.Cloud, a BucketPolicyArgs) (string, error) {
	err := resource.RetryOn(ctx, "bucket "+a.Bucket+" takes its policy", settle, func(ctx context.Context) error {
		_, err := c.S3.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: &a.Bucket, Policy: &a.Policy})
		return err
	}, "MalformedPolicy", "NoSuchBucket", "OperationAborted")
	if err != nil {
		return "", err
	}
	return a.Bucket, resource.PollThere(ctx, "bucket "+a.Bucket+" shows its policy", settle, func(ctx context.Context) (bool, error) {
		doc, err := policyOf(ctx, c, a.Bucket)
		return err == nil && doc != "", err
	})
}

func policyOf(ctx context.Context, c *resource.Cloud, name string) (string, error) {
	out, err := c.S3.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: &name})
	if err != nil {
		return "", err
	}
	return aws.ToString(out.Policy), nil
}

func makeBucket(x resource.Scratch) string {
	return x.Make("aws:s3/bucketV2:BucketV2", map[string]any{"bucket": x.Name("bucket")}).ID
}
