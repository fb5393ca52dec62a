package cloud

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Primary is the newest deployment of an ECS service; the zero value where it has none.
func Primary(service ecstypes.Service) ecstypes.Deployment {
	i := slices.IndexFunc(service.Deployments, func(d ecstypes.Deployment) bool { return aws.ToString(d.Status) == "PRIMARY" })
	if i < 0 {
		return ecstypes.Deployment{}
	}
	return service.Deployments[i]
}

// Settled says that one deployment of an ECS service is left and that as many tasks run as are wanted. One that was rolled back
// ends in that too.
func Settled(service ecstypes.Service) bool {
	return len(service.Deployments) == 1 && service.RunningCount == service.DesiredCount
}

// Progress tells how far an ECS service has come, and what it last said.
func Progress(service ecstypes.Service) string {
	told := []string{fmt.Sprintf("%d of %d tasks run, in %d deployments", service.RunningCount, service.DesiredCount, len(service.Deployments))}
	for _, it := range service.Deployments {
		told = append(told, strings.TrimSpace(string(it.RolloutState)+" "+strings.TrimSuffix(aws.ToString(it.RolloutStateReason), ".")))
	}
	if len(service.Events) > 0 {
		told = append(told, aws.ToString(service.Events[0].Message))
	}
	return strings.Join(told, "; ")
}
