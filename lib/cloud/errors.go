package cloud

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"tapstack/lib/printable"
)

// printableError is an error of the API whose text is fit to be printed.
type printableError struct{ error }

func (e printableError) Error() string { return printable.Text(e.error.Error()) }

func (e printableError) Unwrap() error { return e.error }

// printableErrors is for aws.Config.APIOptions.
func printableErrors(stack *middleware.Stack) error {
	wrap := func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleInitialize(ctx, in)
		if err != nil {
			err = printableError{err}
		}
		return out, metadata, err
	}
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("tapstack:PrintableErrors", wrap), middleware.Before)
}

// HasCode tells whether an API answered with one of these error codes.
func HasCode(err error, codes ...string) bool {
	var api smithy.APIError
	return errors.As(err, &api) && slices.Contains(codes, api.ErrorCode())
}

// IsNotFound tells whether an API says that a thing is not there.
func IsNotFound(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	code := api.ErrorCode()
	return strings.Contains(code, "NotFound") || strings.Contains(code, "NoSuch") || strings.Contains(code, "NonExistent") ||
		strings.HasSuffix(code, "DoesNotExist") || code == "WAFNonexistentItemException"
}

// IsUnimplemented tells whether an answer is one that no part of AWS gives for a known call: the endpoint does not know it.
func IsUnimplemented(err error) bool {
	var answer *awshttp.ResponseError
	if !errors.As(err, &answer) {
		return false
	}
	switch answer.HTTPStatusCode() {
	case http.StatusNotImplemented:
		return true
	case http.StatusInternalServerError:
		// A real service that is in trouble answers in its own protocol, with a code.
		var api smithy.APIError
		return !errors.As(err, &api) || api.ErrorCode() == "" || api.ErrorCode() == "UnknownError"
	}
	return false
}

var refusal = regexp.MustCompile(
	`(?i)accessdenied|unauthorized|authfailure|notauthorized|authorizationerror|invalidclienttoken|expiredtoken|unrecognizedclient|optinrequired`)

// IsRefused tells whether an API says that the credentials may not ask, or are none at all.
func IsRefused(err error) bool {
	var api smithy.APIError
	if errors.As(err, &api) && refusal.MatchString(api.ErrorCode()) {
		return true
	}
	var answer *awshttp.ResponseError
	return errors.As(err, &answer) &&
		(answer.HTTPStatusCode() == http.StatusForbidden || answer.HTTPStatusCode() == http.StatusUnauthorized)
}
