// Package s3 implements the aws:s3 types: buckets, their public access blocks, default encryption, lifecycle rules and
// policies. Reference: the S3 API and the aws_s3_bucket* resources of the Terraform AWS provider 5.x.
package s3

import (
	"context"
	"time"

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
