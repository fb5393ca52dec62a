package target_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/require"

	"tapstack/lib/cloud"
	"tapstack/lib/process/processtest"
	"tapstack/lib/target"
)

func TestAQueueTellsItsRedriveAllowPolicy(t *testing.T) {
	queues := cloud.NewClients(openLocal(t).Config).SQS
	allow := `{"redrivePermission":"denyAll"}`
	made, err := queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("payments")})
	require.NoError(t, err)
	told := func(name sqstypes.QueueAttributeName) map[string]string {
		read, err := queues.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
			QueueUrl: made.QueueUrl, AttributeNames: []sqstypes.QueueAttributeName{name},
		})
		require.NoError(t, err)
		return read.Attributes
	}
	require.NotContains(t, told("All"), "RedriveAllowPolicy")
	require.Empty(t, told("RedriveAllowPolicy"))
	_, err = queues.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{
		QueueUrl: made.QueueUrl, Attributes: map[string]string{"RedriveAllowPolicy": allow},
	})
	require.NoError(t, err)
	require.Equal(t, allow, told("All")["RedriveAllowPolicy"])
	require.Equal(t, map[string]string{"RedriveAllowPolicy": allow}, told("RedriveAllowPolicy"))
}

// openLocal opens a local cloud until the test ends.
func openLocal(t *testing.T) *target.Target {
	t.Helper()
	processtest.SkipIfShort(t)
	opened, err := target.Open(t.Context(), target.Options{Name: target.Local})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, opened.Close()) })
	return opened
}
