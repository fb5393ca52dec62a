// Package secretsmanager implements the aws:secretsmanager types: secrets, their versions and their resource policies.
// Reference: the Secrets Manager API and the aws_secretsmanager_* resources of the Terraform AWS provider 5.x.
package secretsmanager

import (
	"time"

	"tapstack/lib/awsprovider/resource"
)

// propagation is how long a change may take to be seen everywhere: the official provider's time-out.
const propagation = 2 * time.Minute

// Resources lists the types of this package.
func Resources() []resource.Resource {
	return []resource.Resource{resource.Define(secret), resource.Define(secretVersion), resource.Define(secretPolicy)}
}

// deleted recognises the refusal to act on a secret that was deleted, or is scheduled to be: the API answers
// InvalidRequestException and says so only in words.
func deleted(err error) bool {
	for _, words := range []string{"was deleted", "marked for deletion", "marked deleted", "scheduled for deletion"} {
		if resource.Says(err, "InvalidRequestException", words) {
			return true
		}
	}
	return false
}
