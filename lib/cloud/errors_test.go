package cloud_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"

	"tapstack/lib/cloud"
)

func TestAnErrorIsKnownByTheServicesOwnCode(t *testing.T) {
	for code, gone := range map[string]bool{
		"ResourceNotFoundException": true, "InvalidVpcID.NotFound": true, "DBClusterNotFoundFault": true, "NoSuchEntity": true,
		"QueueDoesNotExist": true, "AWS.SimpleQueueService.NonExistentQueue": true, "WAFNonexistentItemException": true,
		"AccessDenied": false, "ValidationException": false, "": false,
	} {
		err := fmt.Errorf("calling: %w", &smithy.GenericAPIError{Code: code})
		assert.Equal(t, gone, cloud.IsNotFound(err), code)
		assert.True(t, cloud.HasCode(err, "Other", code), code)
		assert.False(t, cloud.HasCode(err, "Other"), code)
	}
	assert.False(t, cloud.HasCode(nil, ""))
	assert.False(t, cloud.HasCode(errors.New("without a code"), ""))
}
