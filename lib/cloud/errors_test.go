package cloud_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/stretchr/testify/assert"

	"tapstack/lib/cloud"
	"tapstack/lib/cloud/cloudtest"
)

func coded(code string) error { return fmt.Errorf("asking: %w", &smithy.GenericAPIError{Code: code}) }

func status(code int, err error) error {
	return &awshttp.ResponseError{ResponseError: &smithyhttp.ResponseError{
		Response: &smithyhttp.Response{Response: &http.Response{StatusCode: code}}, Err: err,
	}}
}

func TestWhatTheErrorCodesOfServicesMean(t *testing.T) {
	for code, want := range map[string]string{
		"InvalidVpcID.NotFound": "not found", "NoSuchEntity": "not found", "ResourceNotFoundException": "not found",
		"DBClusterNotFoundFault": "not found", "AWS.SimpleQueueService.NonExistentQueue": "not found", "QueueDoesNotExist": "not found",
		"WAFNonexistentItemException": "not found", "NoSuchTagSet": "not found", "DBInstanceNotFound": "not found",
		"NoSuchBucket": "not found", "ParameterNotFound": "not found", "DashboardNotFoundError": "not found", "": "", "ValidationException": "",
		"AccessDenied": "refused", "AccessDeniedException": "refused", "UnauthorizedOperation": "refused", "AuthorizationError": "refused",
		"InvalidClientTokenId": "refused", "ExpiredTokenException": "refused", "UnrecognizedClientException": "refused",
		"Throttling": "", "ValidationError": "", "InternalFailure": "", "DependencyViolation": "", "ResourceInUseException": "",
	} {
		assert.Equal(t, want == "not found", cloud.IsNotFound(coded(code)), code)
		assert.Equal(t, want == "refused", cloud.IsRefused(coded(code)), code)
	}
	for _, err := range []error{nil, errors.New("connection reset: NotFound AccessDenied")} {
		assert.False(t, cloud.IsNotFound(err))
		assert.False(t, cloud.IsRefused(err))
		assert.False(t, cloud.IsUnimplemented(err))
	}
	assert.True(t, cloud.IsRefused(status(http.StatusForbidden, errors.New("no body"))))
	assert.True(t, cloud.HasCode(coded("Throttling"), "SlowDown", "Throttling"))
	assert.False(t, cloud.HasCode(coded("Throttling")))
	assert.False(t, cloud.HasCode(nil, ""))
}

func TestAnEndpointThatDoesNotKnowACallIsNoServiceInTrouble(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{status(http.StatusNotImplemented, coded("InternalFailure")), true},
		{status(http.StatusInternalServerError, errors.New("<html>")), true},
		{status(http.StatusInternalServerError, coded("UnknownError")), true},
		{status(http.StatusInternalServerError, coded("InternalFailure")), false},
		{status(http.StatusServiceUnavailable, errors.New("<html>")), false},
		{coded("UnknownError"), false},
	} {
		assert.Equal(t, c.want, cloud.IsUnimplemented(c.err), "%v", c.err)
	}
}

func TestWhatAnErrorQuotesIsFitToBePrinted(t *testing.T) {
	refused := &smithy.GenericAPIError{Code: "AccessDenied", Message: "no\n::error::\x1b[2J"}
	_, err := cloud.NewClients(cloudtest.Config(func(string, any) (any, error) { return nil, refused })).SQS.ListQueues(t.Context(), &sqs.ListQueuesInput{})
	assert.EqualError(t, err, `operation error SQS: ListQueues, api error AccessDenied: no\n::error::\x1b[2J`)
	assert.True(t, cloud.IsRefused(err), "it is the same error")
}
