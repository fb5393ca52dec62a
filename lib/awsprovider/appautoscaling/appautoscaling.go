// Package appautoscaling implements the aws:appautoscaling types: scalable targets and their target tracking policies.
// Reference: the Application Auto Scaling API and the aws_appautoscaling_* resources of the Terraform AWS provider 5.x.
package appautoscaling

import (
	"time"

	"tapstack/lib/awsprovider/resource"
)

// The official provider's time-outs.
const (
	propagation = 2 * time.Minute // IAM roles and other services' news
	settle      = 5 * time.Minute // the end of a target
)

// Resources lists the types of this package.
func Resources() []resource.Resource {
	return []resource.Resource{
		resource.Define(target),
		resource.Define(policy),
	}
}

func int32Of(n int) *int32 { return resource.Int32(&n) }
