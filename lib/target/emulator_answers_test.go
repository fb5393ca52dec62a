package target_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	scaling "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	route53types "github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

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

func TestAReceiverThatIsGoneTakesNoMessageAlong(t *testing.T) {
	queues := cloud.NewClients(openLocal(t).Config).SQS
	made, err := queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("payments")})
	require.NoError(t, err)
	receive := func(ctx context.Context) (*sqs.ReceiveMessageOutput, error) {
		return queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: made.QueueUrl, WaitTimeSeconds: 20})
	}
	gone, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err = receive(gone)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = queues.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: made.QueueUrl, MessageBody: aws.String("job")})
	require.NoError(t, err)
	got, err := receive(t.Context())
	require.NoError(t, err)
	require.Len(t, got.Messages, 1, "whoever waited first is gone")
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

func TestScalableTargetsArePagedToTheirEnd(t *testing.T) {
	client := cloud.NewClients(openLocal(t).Config).AutoScaling
	names := map[string]bool{}
	for i := range 120 {
		_, err := client.RegisterScalableTarget(t.Context(), &applicationautoscaling.RegisterScalableTargetInput{
			ServiceNamespace: scaling.ServiceNamespaceDynamodb, ResourceId: aws.String(fmt.Sprintf("table/%d", i)),
			ScalableDimension: scaling.ScalableDimensionDynamoDBTableReadCapacityUnits, MinCapacity: aws.Int32(1), MaxCapacity: aws.Int32(2),
		})
		require.NoError(t, err)
	}
	all, err := cloud.Pages(t.Context(), applicationautoscaling.NewDescribeScalableTargetsPaginator(client,
		&applicationautoscaling.DescribeScalableTargetsInput{ServiceNamespace: scaling.ServiceNamespaceDynamodb}),
		func(o *applicationautoscaling.DescribeScalableTargetsOutput) []scaling.ScalableTarget {
			return o.ScalableTargets
		})
	require.NoError(t, err)
	for _, target := range all {
		names[*target.ResourceId] = true
	}
	require.Len(t, all, 120)
	require.Len(t, names, 120)
}

func TestANatGatewayThatIsDeletedOrRefusedLeavesNeitherInterfaceNorAddress(t *testing.T) {
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
	_, err = client.CreateNatGateway(t.Context(), &ec2.CreateNatGatewayInput{SubnetId: subnet.Subnet.SubnetId, AllocationId: address.AllocationId})
	require.Error(t, err, "the address is in use")
	require.Len(t, interfaces(), 1, "a gateway that is refused leaves none either")
	_, err = client.DeleteNatGateway(t.Context(), &ec2.DeleteNatGatewayInput{NatGatewayId: gateway.NatGateway.NatGatewayId})
	require.NoError(t, err)
	require.Empty(t, association())
	require.Empty(t, interfaces())
}

func TestADeletedRecordIsMadeAnew(t *testing.T) {
	client := cloud.NewClients(openLocal(t).Config).Route53
	zone, err := client.CreateHostedZone(t.Context(), &route53.CreateHostedZoneInput{Name: aws.String("example.org"), CallerReference: aws.String("1")})
	require.NoError(t, err)
	change := func(action route53types.ChangeAction, name, address string) error {
		_, err := client.ChangeResourceRecordSets(t.Context(), &route53.ChangeResourceRecordSetsInput{
			HostedZoneId: zone.HostedZone.Id,
			ChangeBatch: &route53types.ChangeBatch{Changes: []route53types.Change{{Action: action, ResourceRecordSet: &route53types.ResourceRecordSet{
				Name: &name, Type: route53types.RRTypeA, TTL: aws.Int64(60), ResourceRecords: []route53types.ResourceRecord{{Value: &address}},
			}}}},
		})
		return err
	}
	require.NoError(t, change(route53types.ChangeActionCreate, "pay.example.org", "192.0.2.1"))
	require.NoError(t, change(route53types.ChangeActionCreate, "queue.example.org", "192.0.2.2"))
	require.ErrorContains(t, change(route53types.ChangeActionCreate, "pay.example.org", "192.0.2.1"), "already exists")
	require.NoError(t, change(route53types.ChangeActionDelete, "pay.example.org", "192.0.2.1"))
	require.NoError(t, change(route53types.ChangeActionCreate, "pay.example.org", "192.0.2.1"))
	require.ErrorContains(t, change(route53types.ChangeActionCreate, "queue.example.org", "192.0.2.2"), "already exists", "which is still there")
}

func TestARouteTableThatAnEndpointGetsLaterLeadsToIt(t *testing.T) {
	client := cloud.NewClients(openLocal(t).Config).EC2
	vpc, err := client.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})
	require.NoError(t, err)
	table := func() string {
		out, err := client.CreateRouteTable(t.Context(), &ec2.CreateRouteTableInput{VpcId: vpc.Vpc.VpcId})
		require.NoError(t, err)
		return *out.RouteTable.RouteTableId
	}
	leads := func(id string) bool {
		out, err := client.DescribeRouteTables(t.Context(), &ec2.DescribeRouteTablesInput{RouteTableIds: []string{id}})
		require.NoError(t, err)
		return slices.ContainsFunc(out.RouteTables[0].Routes, func(r types.Route) bool { return r.DestinationPrefixListId != nil })
	}
	one, two := table(), table()
	made, err := client.CreateVpcEndpoint(t.Context(), &ec2.CreateVpcEndpointInput{
		VpcId: vpc.Vpc.VpcId, ServiceName: aws.String("com.amazonaws.us-east-1.s3"), RouteTableIds: []string{one},
		VpcEndpointType: types.VpcEndpointTypeGateway,
	})
	require.NoError(t, err)
	require.True(t, leads(one))
	_, err = client.ModifyVpcEndpoint(t.Context(), &ec2.ModifyVpcEndpointInput{
		VpcEndpointId: made.VpcEndpoint.VpcEndpointId, AddRouteTableIds: []string{two}, RemoveRouteTableIds: []string{one},
	})
	require.NoError(t, err)
	require.False(t, leads(one))
	require.True(t, leads(two))
	_, err = client.DeleteVpcEndpoints(t.Context(), &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{*made.VpcEndpoint.VpcEndpointId}})
	require.NoError(t, err)
	require.False(t, leads(two))
}

func TestATargetGroupForgetsADeletedLoadBalancer(t *testing.T) {
	clients := cloud.NewClients(openLocal(t).Config)
	vpc, err := clients.EC2.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})
	require.NoError(t, err)
	var subnets []string
	for i, zone := range []string{"us-east-1a", "us-east-1b"} {
		made, err := clients.EC2.CreateSubnet(t.Context(), &ec2.CreateSubnetInput{
			VpcId: vpc.Vpc.VpcId, CidrBlock: aws.String(fmt.Sprintf("10.0.%d.0/24", i)), AvailabilityZone: &zone,
		})
		require.NoError(t, err)
		subnets = append(subnets, *made.Subnet.SubnetId)
	}
	balancer, err := clients.ELB.CreateLoadBalancer(t.Context(), &elb.CreateLoadBalancerInput{Name: aws.String("front"), Subnets: subnets})
	require.NoError(t, err)
	group, err := clients.ELB.CreateTargetGroup(t.Context(), &elb.CreateTargetGroupInput{
		Name: aws.String("tasks"), VpcId: vpc.Vpc.VpcId, Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(80),
	})
	require.NoError(t, err)
	_, err = clients.ELB.CreateListener(t.Context(), &elb.CreateListenerInput{
		LoadBalancerArn: balancer.LoadBalancers[0].LoadBalancerArn, Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(80),
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: group.TargetGroups[0].TargetGroupArn}},
	})
	require.NoError(t, err)
	tied := func() []string {
		out, err := clients.ELB.DescribeTargetGroups(t.Context(), &elb.DescribeTargetGroupsInput{Names: []string{"tasks"}})
		require.NoError(t, err)
		return out.TargetGroups[0].LoadBalancerArns
	}
	require.Len(t, tied(), 1)
	_, err = clients.ELB.DeleteLoadBalancer(t.Context(), &elb.DeleteLoadBalancerInput{LoadBalancerArn: balancer.LoadBalancers[0].LoadBalancerArn})
	require.NoError(t, err)
	require.Empty(t, tied())
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

// TestAQueueLosesNoMessageAndHandsNoneOutTwice has many send, receive and delete at once.
func TestAQueueLosesNoMessageAndHandsNoneOutTwice(t *testing.T) {
	queues := cloud.NewClients(openLocal(t).Config).SQS
	made, err := queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("payments")})
	require.NoError(t, err)
	const waiting, more, receivers = 60, 20, 4 // batches of ten
	entries := make([]sqstypes.SendMessageBatchRequestEntry, 10)
	for i := range entries {
		entries[i] = sqstypes.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: aws.String("x")}
	}
	send := func() error {
		_, err := queues.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: made.QueueUrl, Entries: entries})
		return err
	}
	for range waiting {
		require.NoError(t, send())
	}
	var group errgroup.Group
	var mu sync.Mutex
	seen := map[string]int{}
	for range more {
		group.Go(send)
	}
	for range receivers {
		group.Go(func() error {
			for {
				out, err := queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: made.QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: 1})
				if err != nil || len(out.Messages) == 0 {
					return err
				}
				for _, message := range out.Messages {
					mu.Lock()
					seen[*message.MessageId]++
					mu.Unlock()
					group.Go(func() error {
						_, err := queues.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: made.QueueUrl, ReceiptHandle: message.ReceiptHandle})
						return err
					})
				}
			}
		})
	}
	require.NoError(t, group.Wait())
	require.Len(t, seen, (waiting+more)*len(entries), "none is lost")
	for _, times := range seen {
		require.Equal(t, 1, times)
	}
	left, err := queues.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: made.QueueUrl, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameAll}})
	require.NoError(t, err)
	require.Equal(t, "0", left.Attributes["ApproximateNumberOfMessages"])
	require.Equal(t, "0", left.Attributes["ApproximateNumberOfMessagesNotVisible"])
}
