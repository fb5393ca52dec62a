// Package iam implements the aws:iam types: roles and their inline policies. Reference: the IAM API and the
// aws_iam_* resources of the Terraform AWS provider 5.x.
package iam

import (
	"context"
	"net/url"
	"time"

	"tapstack/lib/awsprovider/resource"
)

// propagation is how long the official provider lets IAM take to show a change everywhere.
const propagation = 2 * time.Minute

// Resources lists the types of this package.
func Resources() []resource.Resource {
	return []resource.Resource{
		resource.Define(role),
		resource.Define(rolePolicy),
	}
}

// untilPrincipalsAreKnown calls until IAM sees every principal of the policy that the call carries.
func untilPrincipalsAreKnown(ctx context.Context, what string, call func(context.Context) error) error {
	return resource.Retry(ctx, what, propagation, func(err error) bool {
		return resource.Says(err, "MalformedPolicyDocument", "Invalid principal in policy")
	}, call)
}

// document is a policy as the API returns it, percent-encoded (RFC 3986). One that means the same as what was known
// keeps its text.
func document(encoded *string, prior string) (string, error) {
	if encoded == nil {
		return prior, nil
	}
	text, err := url.PathUnescape(*encoded)
	if err != nil {
		return "", err
	}
	if prior != "" && resource.SamePolicy(text, prior) {
		return prior, nil
	}
	return text, nil
}
