package s3

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"tapstack/lib/awsprovider/resource"
)

// neverVersioned is the official provider's word for a bucket that has never kept versions. S3 has none, and no way back.
const neverVersioned = "Disabled"

// VersioningArgs are the inputs of aws:s3/bucketVersioningV2.
type VersioningArgs struct {
	Bucket                  string                  `pulumi:"bucket" aws:"forcenew"`
	VersioningConfiguration versioningConfiguration `pulumi:"versioningConfiguration"`
}

type versioningConfiguration struct {
	Status string `pulumi:"status"`
}

// VersioningState is its state; the id is the bucket's name.
type VersioningState struct{ VersioningArgs }

var versioning = resource.Description[VersioningArgs, VersioningState]{
	Token: "aws:s3/bucketVersioningV2:BucketVersioningV2",
	Check: func(a *VersioningArgs) []resource.Fault {
		switch status := a.VersioningConfiguration.Status; status {
		case "", string(types.BucketVersioningStatusEnabled), string(types.BucketVersioningStatusSuspended):
			return nil
		default:
			return []resource.Fault{{Property: "versioningConfiguration", Reason: fmt.Sprintf(
				"the status must be Enabled or Suspended, not %q", status)}}
		}
	},
	Create: putVersioning,
	Read: func(ctx context.Context, c *resource.Cloud, name string, _ VersioningState) (VersioningState, error) {
		status, err := versioningStatus(ctx, c, name)
		return VersioningState{VersioningArgs{Bucket: name, VersioningConfiguration: versioningConfiguration{status}}}, err
	},
	Update: func(ctx context.Context, c *resource.Cloud, _ string, _ VersioningState, a VersioningArgs) error {
		_, err := putVersioning(ctx, c, a)
		return err
	},
	// A bucket that has kept versions can only stop to make new ones.
	Delete: func(ctx context.Context, c *resource.Cloud, name string, _ VersioningState) error {
		_, err := putVersioning(ctx, c, VersioningArgs{Bucket: name, VersioningConfiguration: versioningConfiguration{
			string(types.BucketVersioningStatusSuspended),
		}})
		return err
	},
	Example: func(x resource.Scratch) resource.Example[VersioningArgs] {
		return resource.Example[VersioningArgs]{
			Silent: "a bucket keeps its versions when the resource goes, and shows that it makes no new ones",
			Inputs: VersioningArgs{Bucket: makeBucket(x), VersioningConfiguration: versioningConfiguration{"Enabled"}},
			Changes: []resource.Change[VersioningArgs]{
				{Name: "suspended", Apply: func(a *VersioningArgs) { a.VersioningConfiguration.Status = "Suspended" }},
			},
		}
	},
}

func putVersioning(ctx context.Context, c *resource.Cloud, a VersioningArgs) (string, error) {
	want := a.VersioningConfiguration.Status
	err := resource.RetryOn(ctx, "bucket "+a.Bucket+" takes its versioning", settle, func(ctx context.Context) error {
		_, err := c.S3.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
			Bucket: &a.Bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatus(want)},
		})
		return err
	}, "NoSuchBucket", "OperationAborted")
	if err != nil {
		return "", err
	}
	return a.Bucket, resource.PollThere(ctx, "bucket "+a.Bucket+" shows its versioning", settle, func(ctx context.Context) (bool, error) {
		status, err := versioningStatus(ctx, c, a.Bucket)
		return status == want, err
	})
}

func versioningStatus(ctx context.Context, c *resource.Cloud, name string) (string, error) {
	out, err := c.S3.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &name})
	if err != nil {
		return "", err
	}
	if out.Status == "" {
		return neverVersioned, nil
	}
	return string(out.Status), nil
}

// OwnershipArgs are the inputs of aws:s3/bucketOwnershipControls.
type OwnershipArgs struct {
	Bucket string        `pulumi:"bucket" aws:"forcenew"`
	Rule   ownershipRule `pulumi:"rule"`
}

type ownershipRule struct {
	ObjectOwnership string `pulumi:"objectOwnership"`
}

// OwnershipState is its state; the id is the bucket's name.
type OwnershipState struct{ OwnershipArgs }

var ownership = resource.Description[OwnershipArgs, OwnershipState]{
	Token: "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
	Check: func(a *OwnershipArgs) []resource.Fault {
		switch owner := types.ObjectOwnership(a.Rule.ObjectOwnership); owner {
		case "", types.ObjectOwnershipBucketOwnerEnforced, types.ObjectOwnershipBucketOwnerPreferred, types.ObjectOwnershipObjectWriter:
			return nil
		default:
			return []resource.Fault{{Property: "rule", Reason: fmt.Sprintf("the object ownership must be one of %v, not %q", owner.Values(), owner)}}
		}
	},
	Create: putOwnership,
	Read: func(ctx context.Context, c *resource.Cloud, name string, _ OwnershipState) (OwnershipState, error) {
		rule, err := ownershipOf(ctx, c, name)
		return OwnershipState{OwnershipArgs{Bucket: name, Rule: rule}}, err
	},
	Update: func(ctx context.Context, c *resource.Cloud, _ string, _ OwnershipState, a OwnershipArgs) error {
		_, err := putOwnership(ctx, c, a)
		return err
	},
	Delete: func(ctx context.Context, c *resource.Cloud, name string, _ OwnershipState) error {
		return resource.RetryOn(ctx, "bucket "+name+" loses its ownership controls", settle, func(ctx context.Context) error {
			_, err := c.S3.DeleteBucketOwnershipControls(ctx, &s3.DeleteBucketOwnershipControlsInput{Bucket: &name})
			return err
		}, "OperationAborted")
	},
	Example: func(x resource.Scratch) resource.Example[OwnershipArgs] {
		return resource.Example[OwnershipArgs]{
			Inputs: OwnershipArgs{Bucket: makeBucket(x), Rule: ownershipRule{"BucketOwnerEnforced"}},
			Changes: []resource.Change[OwnershipArgs]{
				{Name: "lists allowed", Apply: func(a *OwnershipArgs) { a.Rule.ObjectOwnership = "BucketOwnerPreferred" }},
			},
		}
	},
}

func putOwnership(ctx context.Context, c *resource.Cloud, a OwnershipArgs) (string, error) {
	err := resource.RetryOn(ctx, "bucket "+a.Bucket+" takes its ownership controls", settle, func(ctx context.Context) error {
		_, err := c.S3.PutBucketOwnershipControls(ctx, &s3.PutBucketOwnershipControlsInput{
			Bucket: &a.Bucket, OwnershipControls: &types.OwnershipControls{Rules: []types.OwnershipControlsRule{
				{ObjectOwnership: types.ObjectOwnership(a.Rule.ObjectOwnership)},
			}},
		})
		return err
	}, "NoSuchBucket", "OperationAborted")
	if err != nil {
		return "", err
	}
	return a.Bucket, resource.PollThere(ctx, "bucket "+a.Bucket+" shows its ownership controls", settle, func(ctx context.Context) (bool, error) {
		rule, err := ownershipOf(ctx, c, a.Bucket)
		return rule == a.Rule, err
	})
}

func ownershipOf(ctx context.Context, c *resource.Cloud, name string) (ownershipRule, error) {
	out, err := c.S3.GetBucketOwnershipControls(ctx, &s3.GetBucketOwnershipControlsInput{Bucket: &name})
	if err != nil {
		return ownershipRule{}, err
	}
	if out.OwnershipControls == nil || len(out.OwnershipControls.Rules) == 0 {
		return ownershipRule{}, resource.ErrNotFound
	}
	return ownershipRule{string(out.OwnershipControls.Rules[0].ObjectOwnership)}, nil
}
