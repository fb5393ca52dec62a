package target_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	scaling "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/sts"
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

func TestAnEmulatorHasAnEnvironmentOfItsOwn(t *testing.T) {
	foreign := map[string]string{
		"AWS_PROFILE": "of-an-account-that-is-not-here", "AWS_SECRET_ACCESS_KEY": "of-somebody", "MOTO_ACCOUNT_ID": "999999999999",
		"PYTHONPATH": t.TempDir(), "PYTHONHOME": t.TempDir(), "GITHUB_TOKEN": "of-somebody",
		"HTTP_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "ALL_PROXY": "http://127.0.0.1:9",
	}
	for name, value := range foreign {
		t.Setenv(name, value)
	}
	opened := localMoto(t)
	identity, err := cloud.NewClients(opened.Config).STS.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	require.NoError(t, err)
	require.Equal(t, "123456789012", aws.ToString(identity.Account))
	// moto makes a client of AWS for this one, which looks for credentials, by a proxy where there is one.
	_, err = cloud.NewClients(opened.Config).Route53.ListHostedZones(t.Context(), &route53.ListHostedZonesInput{})
	require.NoError(t, err)
	content, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(opened.PID()), "environ"))
	if errors.Is(err, fs.ErrNotExist) {
		return // nothing tells the environment of another process
	}
	require.NoError(t, err)
	environment := strings.Split(string(content), "\x00")
	for name, value := range foreign {
		require.NotContains(t, environment, name+"="+value)
	}
}

func TestDeploymentsOfTheLocalCloudEndAndItRunsNoTask(t *testing.T) {
	client := cloud.NewClients(localMoto(t).Config).ECS
	_, err := client.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: aws.String("payments")})
	require.NoError(t, err)
	register := func() *string {
		out, err := client.RegisterTaskDefinition(t.Context(), &ecs.RegisterTaskDefinitionInput{
			Family: aws.String("api"), ContainerDefinitions: []ecstypes.ContainerDefinition{{Name: aws.String("api"), Image: aws.String("api:1"), Memory: aws.Int32(512)}},
		})
		require.NoError(t, err)
		return out.TaskDefinition.TaskDefinitionArn
	}
	first, second := register(), register()
	deployed := func(definition *string, count int32) {
		out, err := client.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String("payments"), Services: []string{"api"}})
		require.NoError(t, err)
		service := out.Services[0]
		require.Equal(t, []int32{count, count, 0}, []int32{service.DesiredCount, service.RunningCount, service.PendingCount})
		require.Len(t, service.Deployments, 1)
		it := service.Deployments[0]
		require.Equal(t, ecstypes.DeploymentRolloutStateCompleted, it.RolloutState)
		require.Equal(t, []int32{count, count}, []int32{it.DesiredCount, it.RunningCount})
		require.Equal(t, definition, it.TaskDefinition)
		tasks, err := client.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: aws.String("payments")})
		require.NoError(t, err)
		require.Empty(t, tasks.TaskArns, "where tasks are listed, checks of tasks are made")
		require.Empty(t, service.Events, "the same")
	}
	_, err = client.CreateService(t.Context(), &ecs.CreateServiceInput{
		Cluster: aws.String("payments"), ServiceName: aws.String("api"), TaskDefinition: first, DesiredCount: aws.Int32(3),
	})
	require.NoError(t, err)
	deployed(first, 3)
	_, err = client.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: aws.String("payments"), Service: aws.String("api"), TaskDefinition: second})
	require.NoError(t, err)
	deployed(second, 3)
	_, err = client.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: aws.String("payments"), Service: aws.String("api"), DesiredCount: aws.Int32(5)})
	require.NoError(t, err)
	deployed(second, 5)
}

func TestTheLocalCloudStoresCapabilitiesAsECSDoes(t *testing.T) {
	client := cloud.NewClients(localMoto(t).Config).ECS
	out, err := client.RegisterTaskDefinition(t.Context(), &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("api"), ContainerDefinitions: []ecstypes.ContainerDefinition{{
			Name: aws.String("api"), Image: aws.String("api:1"), Memory: aws.Int32(512),
			LinuxParameters: &ecstypes.LinuxParameters{Capabilities: &ecstypes.KernelCapabilities{Drop: []string{"ALL"}}},
		}},
	})
	require.NoError(t, err)
	stored := out.TaskDefinition.ContainerDefinitions[0].LinuxParameters.Capabilities
	require.Equal(t, &ecstypes.KernelCapabilities{Add: []string{}, Drop: []string{"ALL"}}, stored)
}
