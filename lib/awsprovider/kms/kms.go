// Package kms implements the aws:kms types: customer managed keys and their aliases. Reference: the KMS API and the
// aws_kms_* resources of the Terraform AWS provider 5.x.
package kms

import (
	"time"

	"tapstack/lib/awsprovider/resource"
)

// KMS is eventually consistent; these are the official provider's time-outs.
const (
	// propagation is how long a new key or alias may take to be seen, and IAM principals to be known to KMS.
	propagation = 2 * time.Minute
	// settle is how long a change of a key may take to be seen.
	settle = 10 * time.Minute
)

// Resources lists the types of this package.
func Resources() []resource.Resource {
	return []resource.Resource{resource.Define(key), resource.Define(alias)}
}
