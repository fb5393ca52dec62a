package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"tapstack/lib/cloud"
	"tapstack/lib/inventory"
	"tapstack/lib/lifecycle"
)

// mostTold is how many of the events of a service, and of the reasons for which its tasks stopped, are told.
const mostTold = 3

// rolloutNext is what to do about a service that does not run what was deployed.
const rolloutNext = "Correct the image or the configuration that the reasons name, and deploy again. " +
	"Tasks that ran before go on, and nothing that they need is deleted until then."

// explainRollout adds to a deployment that failed what ECS tells of the services that do not run what was deployed. What
// cannot be read is left out: the failure itself is told in any case.
func (s *Session) explainRollout(ctx context.Context, failed error) error {
	var fault *lifecycle.OperationError
	if !errors.As(failed, &fault) || fault.Interrupted || s.Cloud == nil {
		return failed
	}
	cluster, reader := s.nameOf(inventory.ECSCluster), cloud.NewReader(s.Cloud.Config)
	services, err := reader.ECSServices(ctx, cluster)
	if err != nil {
		return failed
	}
	tasks, _ := reader.ECSTasks(ctx, cluster)
	for _, service := range services {
		if !mentions(fault.Failures, aws.ToString(service.ServiceName)) {
			continue
		}
		for _, reason := range rolloutReasons(service, tasks) {
			fault.Failures = append(fault.Failures, lifecycle.Failure{Message: reason})
		}
		fault.Next = rolloutNext
	}
	return failed
}

// mentions says whether a failure is about a service, by its name or its ARN.
func mentions(failures []lifecycle.Failure, service string) bool {
	return slices.ContainsFunc(failures, func(f lifecycle.Failure) bool { return strings.Contains(f.Message, service) })
}

// rolloutReasons tells how far a service has come, what it said of it, latest first, and why its tasks stopped.
func rolloutReasons(service ecstypes.Service, tasks []ecstypes.Task) []string {
	name := aws.ToString(service.ServiceName)
	reasons := []string{fmt.Sprintf("%s: %d of %d tasks run", name, service.RunningCount, service.DesiredCount)}
	note := func(what string, said ...*string) {
		told := 0
		for _, text := range said {
			reason := name + ": " + what + aws.ToString(text)
			if aws.ToString(text) != "" && told < mostTold && !slices.Contains(reasons, reason) {
				reasons = append(reasons, reason)
				told++
			}
		}
	}
	var deployments, events, stopped []*string
	for _, it := range service.Deployments {
		if it.RolloutState != ecstypes.DeploymentRolloutStateCompleted {
			deployments = append(deployments, it.RolloutStateReason)
		}
	}
	for _, it := range service.Events {
		events = append(events, it.Message)
	}
	for _, it := range tasks {
		if aws.ToString(it.Group) == "service:"+name {
			stopped = append(stopped, it.StoppedReason)
			for _, container := range it.Containers {
				stopped = append(stopped, container.Reason)
			}
		}
	}
	note("", deployments...)
	note("", events...)
	note("a task stopped: ", stopped...)
	return reasons
}
