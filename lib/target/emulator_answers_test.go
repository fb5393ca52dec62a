package target_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	scaling "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
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
	set := func(policy string) {
		_, err := queues.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{
			QueueUrl: made.QueueUrl, Attributes: map[string]string{"RedriveAllowPolicy": policy},
		})
		require.NoError(t, err)
	}
	require.NotContains(t, told("All"), "RedriveAllowPolicy")
	require.Empty(t, told("RedriveAllowPolicy"))
	set(allow)
	require.Equal(t, allow, told("All")["RedriveAllowPolicy"])
	require.Equal(t, map[string]string{"RedriveAllowPolicy": allow}, told("RedriveAllowPolicy"))
	set("")
	require.NotContains(t, told("All"), "RedriveAllowPolicy")
	require.Empty(t, told("RedriveAllowPolicy"))
}

func TestScalableTargetsCarryTags(t *testing.T) {
	client := cloud.NewClients(openLocal(t).Config).AutoScaling
	registered, err := client.RegisterScalableTarget(t.Context(), &applicationautoscaling.RegisterScalableTargetInput{
		ServiceNamespace: scaling.ServiceNamespaceDynamodb, ResourceId: aws.String("table/payments"),
		ScalableDimension: scaling.ScalableDimensionDynamoDBTableReadCapacityUnits,
		MinCapacity:       aws.Int32(1), MaxCapacity: aws.Int32(2), Tags: map[string]string{"Team": "payments", "Run": "1"},
	})
	require.NoError(t, err)
	arn := registered.ScalableTargetARN
	_, err = client.TagResource(t.Context(), &applicationautoscaling.TagResourceInput{ResourceARN: arn, Tags: map[string]string{"Run": "2"}})
	require.NoError(t, err)
	_, err = client.UntagResource(t.Context(), &applicationautoscaling.UntagResourceInput{ResourceARN: arn, TagKeys: []string{"Team"}})
	require.NoError(t, err)
	listed, err := client.ListTagsForResource(t.Context(), &applicationautoscaling.ListTagsForResourceInput{ResourceARN: arn})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"Run": "2"}, listed.Tags)

	_, err = client.ListTagsForResource(t.Context(), &applicationautoscaling.ListTagsForResourceInput{ResourceARN: aws.String(*arn + "x")})
	var missing *scaling.ResourceNotFoundException
	require.ErrorAs(t, err, &missing)
}

func TestADeletedNatGatewayLeavesNeitherInterfaceNorAddress(t *testing.T) {
	client := cloud.NewClients(openLocal(t).Config).EC2
	vpc, err := client.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})
	require.NoError(t, err)
	subnet, err := client.CreateSubnet(t.Context(), &ec2.CreateSubnetInput{VpcId: vpc.Vpc.VpcId, CidrBlock: aws.String("10.0.0.0/24")})
	require.NoError(t, err)
	address, err := client.AllocateAddress(t.Context(), &ec2.AllocateAddressInput{})
	require.NoError(t, err)
	association := func() string {
		out, err := client.DescribeAddresses(t.Context(), &ec2.DescribeAddressesInput{AllocationIds: []string{*address.AllocationId}})
		require.NoError(t, err)
		return aws.ToString(out.Addresses[0].AssociationId)
	}
	interfaces := func() []types.NetworkInterface {
		out, err := client.DescribeNetworkInterfaces(t.Context(), &ec2.DescribeNetworkInterfacesInput{
			Filters: []types.Filter{{Name: aws.String("subnet-id"), Values: []string{*subnet.Subnet.SubnetId}}},
		})
		require.NoError(t, err)
		return out.NetworkInterfaces
	}
	gateway, err := client.CreateNatGateway(t.Context(), &ec2.CreateNatGatewayInput{SubnetId: subnet.Subnet.SubnetId, AllocationId: address.AllocationId})
	require.NoError(t, err)
	require.NotEmpty(t, association())
	require.Len(t, interfaces(), 1)
	_, err = client.DeleteNatGateway(t.Context(), &ec2.DeleteNatGatewayInput{NatGatewayId: gateway.NatGateway.NatGatewayId})
	require.NoError(t, err)
	require.Empty(t, association())
	require.Empty(t, interfaces())
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

func TestTheDesiredCountStaysWithinTheBoundsOfItsScalableTarget(t *testing.T) {
	clients := cloud.NewClients(openLocal(t).Config)
	_, err := clients.ECS.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: aws.String("payments")})
	require.NoError(t, err)
	_, err = clients.ECS.RegisterTaskDefinition(t.Context(), &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("api"), ContainerDefinitions: []ecstypes.ContainerDefinition{{Name: aws.String("api"), Image: aws.String("api:1"), Memory: aws.Int32(512)}},
	})
	require.NoError(t, err)
	_, err = clients.ECS.CreateService(t.Context(), &ecs.CreateServiceInput{
		Cluster: aws.String("payments"), ServiceName: aws.String("api"), TaskDefinition: aws.String("api"), DesiredCount: aws.Int32(3),
	})
	require.NoError(t, err)
	for _, bounds := range []struct{ least, most, desired int32 }{{2, 8, 3}, {5, 8, 5}, {2, 4, 4}, {2, 8, 4}} {
		_, err := clients.AutoScaling.RegisterScalableTarget(t.Context(), &applicationautoscaling.RegisterScalableTargetInput{
			ServiceNamespace: scaling.ServiceNamespaceEcs, ResourceId: aws.String("service/payments/api"),
			ScalableDimension: scaling.ScalableDimensionECSServiceDesiredCount, MinCapacity: &bounds.least, MaxCapacity: &bounds.most,
		})
		require.NoError(t, err)
		out, err := clients.ECS.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String("payments"), Services: []string{"api"}})
		require.NoError(t, err)
		require.Equal(t, bounds.desired, out.Services[0].DesiredCount, "%+v", bounds)
	}
}
