// Package s3 implements the aws:s3 types: buckets, their public access blocks, default encryption, lifecycle rules,
// versioning, ownership controls and policies. Reference: the S3 API and the aws_s3_bucket* resources of the Terraform AWS provider 5.x.
package s3

import (
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
		resource.Define(versioning),
		resource.Define(ownership),
		resource.Define(bucketPolicy),
	}
}
