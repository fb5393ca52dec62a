package session

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/stretchr/testify/assert"

	"tapstack/lib/lifecycle"
)

func TestWhatECSSaysOfAServiceThatDoesNotStartIsTold(t *testing.T) {
	event := func(text string) ecstypes.ServiceEvent { return ecstypes.ServiceEvent{Message: &text} }
	stopped := func(service, reason string) ecstypes.Task {
		return ecstypes.Task{Group: aws.String("service:" + service), StoppedReason: &reason}
	}
	service := ecstypes.Service{
		ServiceName: aws.String("payment-api-dev"), DesiredCount: 3, RunningCount: 1,
		Deployments: []ecstypes.Deployment{
			{RolloutState: ecstypes.DeploymentRolloutStateFailed, RolloutStateReason: aws.String("tasks failed to start.")},
			{RolloutState: ecstypes.DeploymentRolloutStateCompleted, RolloutStateReason: aws.String("completed.")},
		},
		Events: []ecstypes.ServiceEvent{event("four"), event("three"), event("three"), event("two"), event("one")},
	}
	tasks := []ecstypes.Task{
		stopped("payment-api-dev", "CannotPullContainerError: not found"), stopped("payment-api-dev", "CannotPullContainerError: not found"),
		stopped("job-processor-dev", "of another"),
		{Group: aws.String("service:payment-api-dev")},
	}
	assert.Equal(t, []string{
		"payment-api-dev: 1 of 3 tasks run",
		"payment-api-dev: tasks failed to start.",
		"payment-api-dev: four", "payment-api-dev: three", "payment-api-dev: two",
		"payment-api-dev: a task stopped: CannotPullContainerError: not found",
	}, rolloutReasons(service, tasks))
}

func TestAFailureOfAnotherResourceIsNotLaidToAService(t *testing.T) {
	failures := []lifecycle.Failure{{Message: "updating arn:aws:ecs:us-east-1:1:service/ecs-cluster-dev/payment-api-dev: not so after 20m"}}
	assert.True(t, mentions(failures, "payment-api-dev"))
	assert.False(t, mentions(failures, "job-processor-dev"))
}
