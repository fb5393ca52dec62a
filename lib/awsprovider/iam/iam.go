// Package iam implements the aws:iam types: roles and their inline policies. Reference: the IAM API and the
// aws_iam_* resources of the Terraform AWS provider 5.x.
package iam

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/smithy-go"

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

func client(c *resource.Cloud) *iam.Client { return iam.NewFromConfig(c.Config) }

// unknownPrincipal says that a policy names a principal that IAM does not see yet.
func unknownPrincipal(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == "MalformedPolicyDocument" &&
		strings.Contains(api.ErrorMessage(), "Invalid principal in policy")
}

// untilPrincipalsAreKnown calls until IAM sees every principal of the policy that the call carries.
func untilPrincipalsAreKnown(ctx context.Context, what string, call func(context.Context) error) error {
	return resource.Poll(ctx, what, propagation, func(ctx context.Context) (bool, error) {
		err := call(ctx)
		if unknownPrincipal(err) {
			return false, nil
		}
		return err == nil, err
	})
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
