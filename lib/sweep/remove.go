package sweep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	route53types "github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/wafv2"
	waftypes "github.com/aws/aws-sdk-go-v2/service/wafv2/types"

	"tapstack/lib/cloud"
	"tapstack/lib/inventory"
)

// removal deletes resources of one kind.
type removal struct {
	// remove asks for the deletion.
	remove func(context.Context, *cloud.Clients, inventory.Resource) error
	// gone tells whether the deletion has come to its end, where that takes longer than the call.
	gone func(context.Context, *cloud.Clients, inventory.Resource) (bool, error)
}

const (
	usualLimit = 5 * time.Minute // of kinds that set no other
	callLimit  = 2 * time.Minute
)

// removals are the calls that delete each kind. All else about it, and the order, is in the inventory.
func removals() map[*inventory.Kind]removal {
	return map[*inventory.Kind]removal{
		inventory.Alarm:             {remove: removeAlarm},
		inventory.Dashboard:         {remove: removeDashboard},
		inventory.EventRule:         {remove: removeEventRule},
		inventory.DNSRecord:         {remove: removeRecord},
		inventory.EventSubscription: {removeEventSubscription, eventSubscriptionGone},

		inventory.ScalingPolicy:  {remove: removeScalingPolicy},
		inventory.ScalableTarget: {remove: removeScalableTarget},
		inventory.ECSService:     {removeService, serviceGone},
		inventory.TaskDefinition: {remove: removeTaskDefinition},
		inventory.ECSCluster:     {remove: removeCluster},

		inventory.ListenerRule: {remove: removeListenerRule},
		inventory.Listener:     {remove: removeListener},
		inventory.LoadBalancer: {removeLoadBalancer, loadBalancerGone},
		inventory.TargetGroup:  {remove: removeTargetGroup},
		inventory.WebACL:       {remove: removeWebACL},
		inventory.Certificate:  {remove: removeCertificate},

		inventory.DBSnapshot:              {remove: removeSnapshot},
		inventory.DBInstance:              {removeDBInstance, dbInstanceGone},
		inventory.DBCluster:               {removeDBCluster, dbClusterGone},
		inventory.DBClusterBackup:         {remove: removeBackup},
		inventory.DBSubnetGroup:           {remove: removeDBSubnetGroup},
		inventory.DBClusterParameterGroup: {remove: removeDBParameterGroup},

		inventory.Queue:     {remove: removeQueue},
		inventory.Topic:     {remove: removeTopic},
		inventory.Secret:    {remove: removeSecret},
		inventory.Parameter: {remove: removeParameter},
		inventory.KeyAlias:  {remove: removeAlias},
		inventory.Key:       {remove: removeKey},

		inventory.VPCEndpoint:       {removeEndpoint, endpointGone},
		inventory.NATGateway:        {removeNAT, natGone},
		inventory.ElasticIP:         {remove: removeAddress},
		inventory.FlowLog:           {remove: removeFlowLog},
		inventory.NetworkInterface:  {remove: removeInterface},
		inventory.SecurityGroupRule: {remove: removeGroupRule},
		inventory.SecurityGroup:     {remove: removeSecurityGroup},
		inventory.Subnet:            {remove: removeSubnet},
		inventory.RouteTable:        {remove: removeRouteTable},
		inventory.InternetGateway:   {remove: removeInternetGateway},
		inventory.VPC:               {remove: removeVPC},

		inventory.Role:              {remove: removeRole},
		inventory.LogResourcePolicy: {remove: removeLogPolicy},
		inventory.LogGroup:          {remove: removeLogGroup},
		inventory.Bucket:            {remove: removeBucket},
	}
}

// This file holds the calls that remove one resource of each kind. Each is idempotent: what is already gone, or already
// going, is fine. Errors come as the API gives them; retry tells which may pass.

// Monitoring and events

func removeAlarm(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	_, err := c.CloudWatch.DeleteAlarms(ctx, &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{f.Name}})
	return err
}

func removeDashboard(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	_, err := c.CloudWatch.DeleteDashboards(ctx, &cloudwatch.DeleteDashboardsInput{DashboardNames: []string{f.Name}})
	return err
}

// removeEventRule takes its targets away first: a rule with targets cannot be deleted.
func removeEventRule(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	for {
		out, err := c.EventBridge.ListTargetsByRule(ctx, &eventbridge.ListTargetsByRuleInput{Rule: &f.Name})
		if err != nil {
			return err
		}
		if len(out.Targets) == 0 {
			break
		}
		in := &eventbridge.RemoveTargetsInput{Rule: &f.Name}
		for _, t := range out.Targets {
			in.Ids = append(in.Ids, aws.ToString(t.Id))
		}
		removed, err := c.EventBridge.RemoveTargets(ctx, in)
		if err != nil {
			return err
		}
		for _, entry := range removed.FailedEntries {
			return fmt.Errorf("removing target %s: %s: %s", aws.ToString(entry.TargetId), aws.ToString(entry.ErrorCode), aws.ToString(entry.ErrorMessage))
		}
	}
	_, err := c.EventBridge.DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: &f.Name})
	return err
}

func removeEventSubscription(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	_, err := c.RDS.DeleteEventSubscription(ctx, &rds.DeleteEventSubscriptionInput{SubscriptionName: &f.Name})
	return err
}

func eventSubscriptionGone(ctx context.Context, c *cloud.Clients, f inventory.Resource) (bool, error) {
	out, err := c.RDS.DescribeEventSubscriptions(ctx, &rds.DescribeEventSubscriptionsInput{SubscriptionName: &f.Name})
	return err == nil && len(out.EventSubscriptionsList) == 0, err
}

// removeRecord deletes an alias record only while it points at the load balancer which proves it, and no other of the
// same name.
func removeRecord(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	balancers, err := c.ELB.DescribeLoadBalancers(ctx, &elb.DescribeLoadBalancersInput{LoadBalancerArns: f.PartOf})
	if err != nil {
		return err
	}
	at := strings.LastIndex(f.ARN, "/")
	zone, name := f.ARN[:at], f.ARN[at+1:]
	kind, identifier, _ := strings.Cut(f.ID, " ")
	in := &route53.ListResourceRecordSetsInput{HostedZoneId: &zone, StartRecordName: &name, StartRecordType: route53types.RRType(kind)}
	out, err := c.Route53.ListResourceRecordSets(ctx, in)
	if err != nil {
		return err
	}
	change := &route53types.ChangeBatch{}
	for _, set := range out.ResourceRecordSets {
		if aws.ToString(set.Name) == name && string(set.Type) == kind && aws.ToString(set.SetIdentifier) == identifier && set.AliasTarget != nil &&
			slices.ContainsFunc(balancers.LoadBalancers, func(b elbtypes.LoadBalancer) bool { return pointsAt(set.AliasTarget, b) }) {
			change.Changes = append(change.Changes, route53types.Change{Action: route53types.ChangeActionDelete, ResourceRecordSet: &set})
		}
	}
	if len(change.Changes) == 0 {
		return nil
	}
	_, err = c.Route53.ChangeResourceRecordSets(ctx, &route53.ChangeResourceRecordSetsInput{HostedZoneId: &zone, ChangeBatch: change})
	return err
}

func pointsAt(alias *route53types.AliasTarget, b elbtypes.LoadBalancer) bool {
	name := strings.TrimSuffix(strings.TrimPrefix(aws.ToString(alias.DNSName), "dualstack."), ".")
	return strings.EqualFold(name, aws.ToString(b.DNSName))
}

// Application

// removeScalingPolicy takes its alarms along (Application Auto Scaling).
func removeScalingPolicy(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	_, err := c.AutoScaling.DeleteScalingPolicy(ctx, &applicationautoscaling.DeleteScalingPolicyInput{
		PolicyName: &f.Name, ResourceId: &f.ID, ServiceNamespace: astypes.ServiceNamespaceEcs,
		ScalableDimension: astypes.ScalableDimensionECSServiceDesiredCount,
	})
	return err
}

func removeScalableTarget(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	_, err := c.AutoScaling.DeregisterScalableTarget(ctx, &applicationautoscaling.DeregisterScalableTargetInput{
		ResourceId: &f.Name, ServiceNamespace: astypes.ServiceNamespaceEcs, ScalableDimension: astypes.ScalableDimensionECSServiceDesiredCount,
	})
	return err
}

// clusterOf is the cluster's name in the ARN of a service: …:service/CLUSTER/SERVICE.
func clusterOf(service string) *string {
	parts := strings.Split(service, "/")
	if len(parts) != 3 {
		return nil
	}
	return &parts[1]
}

// removeService scales the service down first, so that its tasks end in order. One that ECS refuses to change, since
// something that it needs is gone, is deleted all the same.
func removeService(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	_, scaled := c.ECS.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: clusterOf(f.ARN), Service: &f.ARN, DesiredCount: aws.Int32(0)})
	_, err := c.ECS.DeleteService(ctx, &ecs.DeleteServiceInput{Cluster: clusterOf(f.ARN), Service: &f.ARN, Force: aws.Bool(true)})
	if err != nil {
		return errors.Join(err, scaled)
	}
	return nil
}

// serviceGone waits until a service has drained: only then are its network interfaces gone.
func serviceGone(ctx context.Context, c *cloud.Clients, f inventory.Resource) (bool, error) {
	out, err := c.ECS.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: clusterOf(f.ARN), Services: []string{f.ARN}})
	if err != nil {
		return false, err
	}
	for _, s := range out.Services {
		if aws.ToString(s.Status) != "INACTIVE" {
			return false, nil
		}
	}
	return true, nil
}

func removeTaskDefinition(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	_, err := c.ECS.DeregisterTaskDefinition(ctx, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: &f.ARN})
	return err
}

func removeCluster(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	_, err := c.ECS.DeleteCluster(ctx, &ecs.DeleteClusterInput{Cluster: &f.ARN})
	return err
}

// Load balancing

func removeListenerRule(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	_, err := c.ELB.DeleteRule(ctx, &elb.DeleteRuleInput{RuleArn: &f.ARN})
	return err
}

func removeListener(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	_, err := c.ELB.DeleteListener(ctx, &elb.DeleteListenerInput{ListenerArn: &f.ARN})
	return err
}

const deletionProtection = "deletion_protection.enabled"

// removeLoadBalancer switches deletion protection off first. The stack never sets it: somebody did by hand.
func removeLoadBalancer(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	out, err := c.ELB.DescribeLoadBalancerAttributes(ctx, &elb.DescribeLoadBalancerAttributesInput{LoadBalancerArn: &f.ARN})
	if err != nil {
		return err
	}
	for _, a := range out.Attributes {
		if aws.ToString(a.Key) != deletionProtection || aws.ToString(a.Value) != "true" {
			continue
		}
		_, err := c.ELB.ModifyLoadBalancerAttributes(ctx, &elb.ModifyLoadBalancerAttributesInput{
			LoadBalancerArn: &f.ARN,
			Attributes:      []elbtypes.LoadBalancerAttribute{{Key: aws.String(deletionProtection), Value: aws.String("false")}},
		})
		if err != nil {
			return fmt.Errorf("switching deletion protection off: %w", err)
		}
	}
	_, err = c.ELB.DeleteLoadBalancer(ctx, &elb.DeleteLoadBalancerInput{LoadBalancerArn: &f.ARN})
	return err
}

func loadBalancerGone(ctx context.Context, c *cloud.Clients, f inventory.Resource) (bool, error) {
	out, err := c.ELB.DescribeLoadBalancers(ctx, &elb.DescribeLoadBalancersInput{LoadBalancerArns: []string{f.ARN}})
	return err == nil && len(out.LoadBalancers) == 0, err
}

func removeTargetGroup(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	_, err := c.ELB.DeleteTargetGroup(ctx, &elb.DeleteTargetGroupInput{TargetGroupArn: &f.ARN})
	return err
}

// removeWebACL leaves its association alone: that has gone with the load balancer, or is another's, which makes WAF refuse.
func removeWebACL(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	id := f.ARN[strings.LastIndex(f.ARN, "/")+1:]
	out, err := c.WAF.GetWebACL(ctx, &wafv2.GetWebACLInput{Name: &f.Name, Id: &id, Scope: waftypes.ScopeRegional})
	if err != nil {
		return err
	}
	_, err = c.WAF.DeleteLoggingConfiguration(ctx, &wafv2.DeleteLoggingConfigurationInput{ResourceArn: &f.ARN})
	if err != nil && !cloud.IsNotFound(err) {
		return err
	}
	_, err = c.WAF.DeleteWebACL(ctx, &wafv2.DeleteWebACLInput{Name: &f.Name, Id: &id, Scope: waftypes.ScopeRegional, LockToken: out.LockToken})
	return err
}

func removeCertificate(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	_, err := c.ACM.DeleteCertificate(ctx, &acm.DeleteCertificateInput{CertificateArn: &f.ARN})
	return err
}

// Database

func removeDBInstance(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	out, err := c.RDS.DescribeDBInstances(ctx, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: &f.Name})
	if err != nil {
		return err
	}
	for _, i := range out.DBInstances {
		if aws.ToString(i.DBInstanceStatus) == "deleting" {
			return nil
		}
	}
	_, err = c.RDS.DeleteDBInstance(ctx, &rds.DeleteDBInstanceInput{DBInstanceIdentifier: &f.Name, SkipFinalSnapshot: aws.Bool(true)})
	return err
}

func dbInstanceGone(ctx context.Context, c *cloud.Clients, f inventory.Resource) (bool, error) {
	out, err := c.RDS.DescribeDBInstances(ctx, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: &f.Name})
	return err == nil && len(out.DBInstances) == 0, err
}

// removeDBCluster takes the automated backups along, and makes no final snapshot. Deletion protection, which the stack
// never sets, is switched off first.
func removeDBCluster(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	out, err := c.RDS.DescribeDBClusters(ctx, &rds.DescribeDBClustersInput{DBClusterIdentifier: &f.Name})
	if err != nil {
		return err
	}
	for _, cluster := range out.DBClusters {
		if aws.ToString(cluster.Status) == "deleting" {
			return nil
		}
		if !aws.ToBool(cluster.DeletionProtection) {
			continue
		}
		_, err := c.RDS.ModifyDBCluster(ctx, &rds.ModifyDBClusterInput{
			DBClusterIdentifier: &f.Name, DeletionProtection: aws.Bool(false), ApplyImmediately: aws.Bool(true),
		})
		if err != nil {
			return fmt.Errorf("switching deletion protection off: %w", err)
		}
	}
	_, err = c.RDS.DeleteDBCluster(ctx, &rds.DeleteDBClusterInput{
		DBClusterIdentifier: &f.Name, SkipFinalSnapshot: aws.Bool(true), DeleteAutomatedBackups: aws.Bool(true),
	})
	return err
}

func dbClusterGone(ctx context.Context, c *cloud.Clients, f inventory.Resource) (bool, error) {
	out, err := c.RDS.DescribeDBClusters(ctx, &rds.DescribeDBClustersInput{DBClusterIdentifier: &f.Name})
	return err == nil && len(out.DBClusters) == 0, err
}

func removeSnapshot(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	if strings.Contains(f.ARN, ":cluster-snapshot:") {
		_, err := c.RDS.DeleteDBClusterSnapshot(ctx, &rds.DeleteDBClusterSnapshotInput{DBClusterSnapshotIdentifier: &f.ID})
		return err
	}
	_, err := c.RDS.DeleteDBSnapshot(ctx, &rds.DeleteDBSnapshotInput{DBSnapshotIdentifier: &f.ID})
	return err
}

func removeBackup(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	_, err := c.RDS.DeleteDBClusterAutomatedBackup(ctx, &rds.DeleteDBClusterAutomatedBackupInput{DbClusterResourceId: &f.ID})
	return err
}

func removeDBSubnetGroup(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	_, err := c.RDS.DeleteDBSubnetGroup(ctx, &rds.DeleteDBSubnetGroupInput{DBSubnetGroupName: &f.Name})
	return err
}

func removeDBParameterGroup(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	_, err := c.RDS.DeleteDBClusterParameterGroup(ctx, &rds.DeleteDBClusterParameterGroupInput{DBClusterParameterGroupName: &f.Name})
	return err
}

// Queues, topics, secrets, parameters, keys

func removeQueue(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	_, err := c.SQS.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: &f.ID})
	return err
}

// removeTopic takes its subscriptions along, those not confirmed too, which cannot be deleted by themselves.
func removeTopic(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	_, err := c.SNS.DeleteTopic(ctx, &sns.DeleteTopicInput{TopicArn: &f.ARN})
	return err
}

// removeSecret keeps no recovery window: the name would stay taken.
func removeSecret(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	_, err := c.SecretsManager.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: &f.ARN, ForceDeleteWithoutRecovery: aws.Bool(true)})
	return err
}

func removeParameter(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	_, err := c.SSM.DeleteParameter(ctx, &ssm.DeleteParameterInput{Name: &f.Name})
	return err
}

func removeAlias(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	_, err := c.KMS.DeleteAlias(ctx, &kms.DeleteAliasInput{AliasName: &f.Name})
	return err
}

// leastWindowDays is the shortest time that KMS waits before it deletes a key.
const leastWindowDays = 7

func removeKey(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	id := f.ARN[strings.LastIndex(f.ARN, "/")+1:]
	_, err := c.KMS.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: &id, PendingWindowInDays: aws.Int32(leastWindowDays)})
	return err
}

// Network

func removeEndpoint(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	out, err := c.EC2.DeleteVpcEndpoints(ctx, &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{f.ID}})
	if err != nil {
		return err
	}
	return unsuccessful(out.Unsuccessful)
}

func endpointGone(ctx context.Context, c *cloud.Clients, f inventory.Resource) (bool, error) {
	out, err := c.EC2.DescribeVpcEndpoints(ctx, &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{f.ID}})
	return err == nil && !slices.ContainsFunc(out.VpcEndpoints, func(v ec2types.VpcEndpoint) bool {
		return !strings.EqualFold(string(v.State), "deleted")
	}), err
}

// unsuccessful is what calls that answer 200 have not done.
func unsuccessful(items []ec2types.UnsuccessfulItem) error {
	for _, item := range items {
		if item.Error != nil {
			return &apiError{code: aws.ToString(item.Error.Code), message: aws.ToString(item.Error.Message)}
		}
	}
	return nil
}

func removeNAT(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	_, err := c.EC2.DeleteNatGateway(ctx, &ec2.DeleteNatGatewayInput{NatGatewayId: &f.ID})
	return err
}

func natGone(ctx context.Context, c *cloud.Clients, f inventory.Resource) (bool, error) {
	out, err := c.EC2.DescribeNatGateways(ctx, &ec2.DescribeNatGatewaysInput{NatGatewayIds: []string{f.ID}})
	return err == nil && !slices.ContainsFunc(out.NatGateways, func(n ec2types.NatGateway) bool {
		return n.State != ec2types.NatGatewayStateDeleted
	}), err
}

func removeAddress(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	_, err := c.EC2.ReleaseAddress(ctx, &ec2.ReleaseAddressInput{AllocationId: &f.ID})
	return err
}

func removeFlowLog(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	out, err := c.EC2.DeleteFlowLogs(ctx, &ec2.DeleteFlowLogsInput{FlowLogIds: []string{f.ID}})
	if err != nil {
		return err
	}
	return unsuccessful(out.Unsuccessful)
}

// removeInterface waits for the service that uses an interface to let it go. It never detaches one.
func removeInterface(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	out, err := c.EC2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{f.ID}})
	if err != nil {
		return err
	}
	for _, i := range out.NetworkInterfaces {
		if i.Status != ec2types.NetworkInterfaceStatusAvailable || aws.ToBool(i.RequesterManaged) {
			return fmt.Errorf("%w: it is %s (%s)", errBusy, i.Status, aws.ToString(i.Description))
		}
	}
	_, err = c.EC2.DeleteNetworkInterface(ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: &f.ID})
	return err
}

func removeGroupRule(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	out, err := c.EC2.DescribeSecurityGroupRules(ctx, &ec2.DescribeSecurityGroupRulesInput{SecurityGroupRuleIds: []string{f.ID}})
	if err != nil {
		return err
	}
	for _, r := range out.SecurityGroupRules {
		ids := []string{f.ID}
		if aws.ToBool(r.IsEgress) {
			_, err = c.EC2.RevokeSecurityGroupEgress(ctx, &ec2.RevokeSecurityGroupEgressInput{GroupId: r.GroupId, SecurityGroupRuleIds: ids})
		} else {
			_, err = c.EC2.RevokeSecurityGroupIngress(ctx, &ec2.RevokeSecurityGroupIngressInput{GroupId: r.GroupId, SecurityGroupRuleIds: ids})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func removeSecurityGroup(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	_, err := c.EC2.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: &f.ID})
	return err
}

func removeSubnet(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	_, err := c.EC2.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: &f.ID})
	return err
}

// removeRouteTable takes it off its subnets first; its routes go with it.
func removeRouteTable(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	out, err := c.EC2.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{RouteTableIds: []string{f.ID}})
	if err != nil {
		return err
	}
	for _, t := range out.RouteTables {
		for _, a := range t.Associations {
			_, err := c.EC2.DisassociateRouteTable(ctx, &ec2.DisassociateRouteTableInput{AssociationId: a.RouteTableAssociationId})
			if err != nil && !cloud.IsNotFound(err) {
				return err
			}
		}
	}
	_, err = c.EC2.DeleteRouteTable(ctx, &ec2.DeleteRouteTableInput{RouteTableId: &f.ID})
	return err
}

func removeInternetGateway(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	out, err := c.EC2.DescribeInternetGateways(ctx, &ec2.DescribeInternetGatewaysInput{InternetGatewayIds: []string{f.ID}})
	if err != nil {
		return err
	}
	for _, g := range out.InternetGateways {
		for _, a := range g.Attachments {
			if _, err := c.EC2.DetachInternetGateway(ctx, &ec2.DetachInternetGatewayInput{InternetGatewayId: &f.ID, VpcId: a.VpcId}); err != nil {
				return err
			}
		}
	}
	_, err = c.EC2.DeleteInternetGateway(ctx, &ec2.DeleteInternetGatewayInput{InternetGatewayId: &f.ID})
	return err
}

func removeVPC(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	_, err := c.EC2.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: &f.ID})
	return err
}

// Roles, logs, bucket

// removeRole strips a role first: IAM deletes only bare ones.
func removeRole(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	for _, strip := range []func(context.Context, *cloud.Clients, string) error{dropInlinePolicies, dropAttachedPolicies, leaveProfiles} {
		if err := strip(ctx, c, f.Name); err != nil {
			return err
		}
	}
	_, err := c.IAM.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: &f.Name})
	return err
}

func dropInlinePolicies(ctx context.Context, c *cloud.Clients, role string) error {
	for p := iam.NewListRolePoliciesPaginator(c.IAM, &iam.ListRolePoliciesInput{RoleName: &role}); p.HasMorePages(); {
		page, err := p.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, name := range page.PolicyNames {
			if _, err := c.IAM.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: &role, PolicyName: &name}); err != nil && !cloud.IsNotFound(err) {
				return err
			}
		}
	}
	return nil
}

func dropAttachedPolicies(ctx context.Context, c *cloud.Clients, role string) error {
	for p := iam.NewListAttachedRolePoliciesPaginator(c.IAM, &iam.ListAttachedRolePoliciesInput{RoleName: &role}); p.HasMorePages(); {
		page, err := p.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, a := range page.AttachedPolicies {
			if _, err := c.IAM.DetachRolePolicy(ctx, &iam.DetachRolePolicyInput{RoleName: &role, PolicyArn: a.PolicyArn}); err != nil && !cloud.IsNotFound(err) {
				return err
			}
		}
	}
	return nil
}

// leaveProfiles takes the role out of instance profiles. The profiles stay: the stack makes none.
func leaveProfiles(ctx context.Context, c *cloud.Clients, role string) error {
	for p := iam.NewListInstanceProfilesForRolePaginator(c.IAM, &iam.ListInstanceProfilesForRoleInput{RoleName: &role}); p.HasMorePages(); {
		page, err := p.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, profile := range page.InstanceProfiles {
			in := &iam.RemoveRoleFromInstanceProfileInput{RoleName: &role, InstanceProfileName: profile.InstanceProfileName}
			if _, err := c.IAM.RemoveRoleFromInstanceProfile(ctx, in); err != nil && !cloud.IsNotFound(err) {
				return err
			}
		}
	}
	return nil
}

func removeLogPolicy(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	_, err := c.Logs.DeleteResourcePolicy(ctx, &cloudwatchlogs.DeleteResourcePolicyInput{PolicyName: &f.Name})
	return err
}

func removeLogGroup(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	_, err := c.Logs.DeleteLogGroup(ctx, &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: &f.Name})
	return err
}

// removeBucket takes its policy away, so that no more logs are delivered, then empties it of every version and delete
// marker.
func removeBucket(ctx context.Context, c *cloud.Clients, f inventory.Resource) error {
	if _, err := c.S3.DeleteBucketPolicy(ctx, &s3.DeleteBucketPolicyInput{Bucket: &f.Name}); err != nil && !cloud.IsNotFound(err) {
		return err
	}
	for p := s3.NewListObjectVersionsPaginator(c.S3, &s3.ListObjectVersionsInput{Bucket: &f.Name}); p.HasMorePages(); {
		page, err := p.NextPage(ctx)
		if err != nil {
			return err
		}
		var objects []s3types.ObjectIdentifier
		for _, v := range page.Versions {
			objects = append(objects, s3types.ObjectIdentifier{Key: v.Key, VersionId: v.VersionId})
		}
		for _, m := range page.DeleteMarkers {
			objects = append(objects, s3types.ObjectIdentifier{Key: m.Key, VersionId: m.VersionId})
		}
		if len(objects) == 0 {
			continue
		}
		out, err := c.S3.DeleteObjects(ctx, &s3.DeleteObjectsInput{
			Bucket: &f.Name, Delete: &s3types.Delete{Objects: objects, Quiet: aws.Bool(true)},
		})
		if err != nil {
			return err
		}
		var faults []error
		for _, e := range out.Errors {
			faults = append(faults, &apiError{code: aws.ToString(e.Code), message: aws.ToString(e.Key) + ": " + aws.ToString(e.Message)})
		}
		if len(faults) > 0 {
			return errors.Join(faults...)
		}
	}
	_, err := c.S3.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &f.Name})
	return err
}
