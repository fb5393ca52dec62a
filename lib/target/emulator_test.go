package target_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	scaling "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/stretchr/testify/require"

	"tapstack/lib/cloud"
)

func TestAChangedScalingPolicyLeavesNoAlarmsOfItsFormerSelf(t *testing.T) {
	clients := cloud.NewClients(localMoto(t).Config)
	containers := clients.ECS
	_, err := containers.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: aws.String("payments")})
	require.NoError(t, err)
	_, err = containers.RegisterTaskDefinition(t.Context(), &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("api"), ContainerDefinitions: []ecstypes.ContainerDefinition{{Name: aws.String("api"), Image: aws.String("api:1"), Memory: aws.Int32(512)}},
	})
	require.NoError(t, err)
	_, err = containers.CreateService(t.Context(), &ecs.CreateServiceInput{
		Cluster: aws.String("payments"), ServiceName: aws.String("api"), TaskDefinition: aws.String("api"), DesiredCount: aws.Int32(1),
	})
	require.NoError(t, err)

	client := clients.AutoScaling
	service, count := aws.String("service/payments/api"), scaling.ScalableDimensionECSServiceDesiredCount
	_, err = client.RegisterScalableTarget(t.Context(), &applicationautoscaling.RegisterScalableTargetInput{
		ServiceNamespace: scaling.ServiceNamespaceEcs, ResourceId: service, ScalableDimension: count,
		MinCapacity: aws.Int32(1), MaxCapacity: aws.Int32(2),
	})
	require.NoError(t, err)
	put := func(percent float64) []scaling.Alarm {
		out, err := client.PutScalingPolicy(t.Context(), &applicationautoscaling.PutScalingPolicyInput{
			PolicyName: aws.String("cpu"), PolicyType: scaling.PolicyTypeTargetTrackingScaling,
			ServiceNamespace: scaling.ServiceNamespaceEcs, ResourceId: service, ScalableDimension: count,
			TargetTrackingScalingPolicyConfiguration: &scaling.TargetTrackingScalingPolicyConfiguration{
				TargetValue: aws.Float64(percent),
				PredefinedMetricSpecification: &scaling.PredefinedMetricSpecification{
					PredefinedMetricType: scaling.MetricTypeECSServiceAverageCPUUtilization,
				},
			},
		})
		require.NoError(t, err)
		return out.Alarms
	}
	put(60)
	now := put(55)
	var names []string
	for _, alarm := range now {
		names = append(names, aws.ToString(alarm.AlarmName))
	}
	require.NotEmpty(t, names)
	all, err := clients.CloudWatch.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{})
	require.NoError(t, err)
	require.Len(t, all.MetricAlarms, len(names), "alarms in the account")
	for _, alarm := range all.MetricAlarms {
		require.Contains(t, names, aws.ToString(alarm.AlarmName))
	}
}

func TestAnEmulatorHeedsNoProfileOfTheUsers(t *testing.T) {
	t.Setenv("AWS_PROFILE", "of-an-account-that-is-not-here")
	localMoto(t)
}
