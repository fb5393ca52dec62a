// Package s3 implements the aws:s3 types: buckets, their public access blocks, default encryption, lifecycle rules and
// policies. Reference: the S3 API and the aws_s3_bucket* resources of the Terraform AWS provider 5.x.
package s3

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"tapstack/lib/awsprovider/resource"
)

// settle is how long the official provider gives S3 to show a change to every reader.
const settle = 3 * time.Minute

// Resources lists the types of this package.
func Resources() []resource.Resource {
	return []resource.Resource{
		resource.Define(bucket),
		resource.Define(publicAccessBlock),
		resource.Define(encryption),
		resource.Define(lifecycle),
		resource.Define(bucketPolicy),
	}
}

// client addresses buckets by path where the endpoint is one that the target chose: its host names know no buckets.
func client(c *resource.Cloud) *s3.Client {
	return s3.NewFromConfig(c.Config, func(o *s3.Options) {
		o.UsePathStyle = o.UsePathStyle || o.BaseEndpoint != nil
	})
}

// await polls until the check holds; what does not exist yet does not hold.
func await(ctx context.Context, what string, check func(context.Context) (bool, error)) error {
	return resource.Poll(ctx, what, settle, func(ctx context.Context) (bool, error) {
		ok, err := check(ctx)
		if resource.NotFound(err) {
			return false, nil
		}
		return ok, err
	})
}
