package verify

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
)

func TestTheEndOfADeploymentIsAwaitedWhereItsTasksRun(t *testing.T) {
	for _, c := range []struct {
		says         string
		running      int32
		asked, until int // the answer that first says that the deployment is complete
	}{
		{"complete already", 3, 1, 1},
		{"the load balancer has yet to find the tasks healthy", 3, 4, 4},
		{"no task runs: nothing to wait for", 0, 1, 4},
	} {
		t.Run(c.says, func(t *testing.T) {
			asked := 0
			api := acts{
				"ListServices": &ecs.ListServicesOutput{ServiceArns: []string{"one"}},
				"DescribeServices": func(any) (any, error) {
					asked++
					state := types.DeploymentRolloutStateInProgress
					if asked >= c.until {
						state = types.DeploymentRolloutStateCompleted
					}
					return &ecs.DescribeServicesOutput{Services: []types.Service{{
						ServiceName: aws.String("one"), ServiceArn: aws.String("one"), RunningCount: c.running,
						Deployments: []types.Deployment{{RolloutState: state}},
					}}}, nil
				},
			}
			e := newEnv(Options{AWS: api.config(), Outputs: map[string]any{lib.OutputEcsClusterName: "ecs-cluster-dev"}, Patience: shortWait})
			for range 2 {
				services, err := e.services(t.Context())
				require.NoError(t, err)
				require.Len(t, services, 1)
				assert.Equal(t, c.running == 0, services[0].Deployments[0].RolloutState == types.DeploymentRolloutStateInProgress)
			}
			assert.Equal(t, c.asked, asked, "times that ECS was asked")
		})
	}
}
