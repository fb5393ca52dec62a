// Package secretsmanager implements the aws:secretsmanager types: secrets, their versions and their resource policies.
// Reference: the Secrets Manager API and the aws_secretsmanager_* resources of the Terraform AWS provider 5.x.
package secretsmanager

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"

	"tapstack/lib/awsprovider/resource"
)

// propagation is how long a change may take to be seen everywhere: the official provider's time-out.
const propagation = 2 * time.Minute

// Resources lists the types of this package.
func Resources() []resource.Resource {
	return []resource.Resource{resource.Define(secret), resource.Define(secretVersion), resource.Define(secretPolicy)}
}

func client(c *resource.Cloud) *secretsmanager.Client { return secretsmanager.NewFromConfig(c.Config) }

// deleted recognises the refusal to act on a secret that was deleted, or is scheduled to be: the API answers
// InvalidRequestException and says so only in words.
func deleted(err error) bool {
	for _, words := range []string{"was deleted", "marked for deletion", "marked deleted", "scheduled for deletion"} {
		if refused(err, "InvalidRequestException", words) {
			return true
		}
	}
	return false
}

// refused says whether the API answered with code and a message that contains words.
func refused(err error, code, words string) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == code && strings.Contains(api.ErrorMessage(), words)
}

// again repeats a call while its error passes with time. When that takes too long, the error tells both.
func again(ctx context.Context, what string, passing func(error) bool, call func(context.Context) error) error {
	var failure error
	err := resource.Poll(ctx, what, propagation, func(ctx context.Context) (bool, error) {
		failure = call(ctx)
		return !passing(failure), nil
	})
	if err != nil {
		return errors.Join(err, failure)
	}
	return failure
}

// given is a text that the API may return empty where there is none.
func given(text *string) *string {
	if text != nil && *text == "" {
		return nil
	}
	return text
}
