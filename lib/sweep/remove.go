package sweep

import (
	"context"
	"errors"
	"fmt"
	"path"
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
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
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
	"github.com/aws/smithy-go"

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

	leastWindowDays = 7 // before KMS deletes a key
)

// removals are the calls that delete each kind. All else about it, and the order, is in the inventory. Each is idempotent:
// what is already gone, or already going, is fine. Errors come as the API gives them; retry tells which may pass.
func removals() map[*inventory.Kind]removal {
	return map[*inventory.Kind]removal{
		inventory.Alarm: {remove: func(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
			return only(c.CloudWatch.DeleteAlarms(ctx, &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{r.Name}}))
		}},
		inventory.Dashboard: {remove: func(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
			return only(c.CloudWatch.DeleteDashboards(ctx, &cloudwatch.DeleteDashboardsInput{DashboardNames: []string{r.Name}}))
		}},
		inventory.EventRule: {remove: removeEventRule},
		inventory.DNSRecord: {remove: removeRecord},
		inventory.EventSubscription: {func(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
			return only(c.RDS.DeleteEventSubscription(ctx, &rds.DeleteEventSubscriptionInput{SubscriptionName: &r.Name}))
		}, eventSubscriptionGone},

		// Its alarms go with it (Application Auto Scaling).
		inventory.ScalingPolicy: {remove: func(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
			return only(c.AutoScaling.DeleteScalingPolicy(ctx, &applicationautoscaling.DeleteScalingPolicyInput{
				PolicyName: &r.Name, ResourceId: &r.ID, ServiceNamespace: astypes.ServiceNamespaceEcs,
				ScalableDimension: astypes.ScalableDimensionECSServiceDesiredCount,
			}))
		}},
		inventory.ScalableTarget: {remove: func(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
			return only(c.AutoScaling.DeregisterScalableTarget(ctx, &applicationautoscaling.DeregisterScalableTargetInput{
				ResourceId: &r.Name, ServiceNamespace: astypes.ServiceNamespaceEcs, ScalableDimension: astypes.ScalableDimensionECSServiceDesiredCount,
			}))
		}},
		inventory.ECSService: {removeService, serviceGone},
		inventory.TaskDefinition: {remove: func(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
			return only(c.ECS.DeregisterTaskDefinition(ctx, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: &r.ARN}))
		}},
		inventory.ECSCluster: {remove: func(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
			return only(c.ECS.DeleteCluster(ctx, &ecs.DeleteClusterInput{Cluster: &r.ARN}))
		}},

		inventory.ListenerRule: {remove: func(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
			return only(c.ELB.DeleteRule(ctx, &elb.DeleteRuleInput{RuleArn: &r.ARN}))
		}},
		inventory.Listener: {remove: func(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
			return only(c.ELB.DeleteListener(ctx, &elb.DeleteListenerInput{ListenerArn: &r.ARN}))
		}},
		inventory.LoadBalancer: {removeLoadBalancer, loadBalancerGone},
		inventory.TargetGroup: {remove: func(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
			return only(c.ELB.DeleteTargetGroup(ctx, &elb.DeleteTargetGroupInput{TargetGroupArn: &r.ARN}))
		}},
		inventory.WebACL: {remove: removeWebACL},
		inventory.Certificate: {remove: func(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
			return only(c.ACM.DeleteCertificate(ctx, &acm.DeleteCertificateInput{CertificateArn: &r.ARN}))
		}},

		inventory.DBSnapshot: {remove: removeSnapshot},
		inventory.DBInstance: {removeDBInstance, dbInstanceGone},
		inventory.DBCluster:  {removeDBCluster, dbClusterGone},
		inventory.DBClusterBackup: {remove: func(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
			return only(c.RDS.DeleteDBClusterAutomatedBackup(ctx, &rds.DeleteDBClusterAutomatedBackupInput{DbClusterResourceId: &r.ID}))
		}},
		inventory.DBSubnetGroup: {remove: func(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
			return only(c.RDS.DeleteDBSubnetGroup(ctx, &rds.DeleteDBSubnetGroupInput{DBSubnetGroupName: &r.Name}))
		}},
		inventory.DBClusterParameterGroup: {remove: func(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
			return only(c.RDS.DeleteDBClusterParameterGroup(ctx, &rds.DeleteDBClusterParameterGroupInput{DBClusterParameterGroupName: &r.Name}))
		}},

		inventory.Queue: {remove: func(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
			return only(c.SQS.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: &r.ID}))
		}},
		// Its subscriptions go with it, those not confirmed too, which cannot be deleted by themselves.
		inventory.Topic: {remove: func(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
			return only(c.SNS.DeleteTopic(ctx, &sns.DeleteTopicInput{TopicArn: &r.ARN}))
		}},
		// Without a recovery window, or the name would stay taken.
		inventory.Secret: {remove: func(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
			return only(c.SecretsManager.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: &r.ARN, ForceDeleteWithoutRecovery: aws.Bool(true)}))
		}},
		inventory.Parameter: {remove: func(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
			return only(c.SSM.DeleteParameter(ctx, &ssm.DeleteParameterInput{Name: &r.Name}))
		}},
		inventory.KeyAlias: {remove: func(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
			return only(c.KMS.DeleteAlias(ctx, &kms.DeleteAliasInput{AliasName: &r.Name}))
		}},
		inventory.Key: {remove: func(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
			id := path.Base(r.ARN)
			return only(c.KMS.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: &id, PendingWindowInDays: aws.Int32(leastWindowDays)}))
		}},

		inventory.VPCEndpoint: {removeEndpoint, endpointGone},
		inventory.NATGateway: {func(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
			return only(c.EC2.DeleteNatGateway(ctx, &ec2.DeleteNatGatewayInput{NatGatewayId: &r.ID}))
		}, natGone},
		inventory.ElasticIP: {remove: func(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
			return only(c.EC2.ReleaseAddress(ctx, &ec2.ReleaseAddressInput{AllocationId: &r.ID}))
		}},
		inventory.FlowLog:           {remove: removeFlowLog},
		inventory.NetworkInterface:  {remove: removeInterface},
		inventory.SecurityGroupRule: {remove: removeGroupRule},
		inventory.SecurityGroup: {remove: func(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
			return only(c.EC2.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: &r.ID}))
		}},
		inventory.Subnet: {remove: func(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
			return only(c.EC2.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: &r.ID}))
		}},
		inventory.RouteTable:      {remove: removeRouteTable},
		inventory.InternetGateway: {remove: removeInternetGateway},
		inventory.VPC: {remove: func(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
			return only(c.EC2.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: &r.ID}))
		}},

		inventory.Role: {remove: removeRole},
		inventory.LogResourcePolicy: {remove: func(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
			return only(c.Logs.DeleteResourcePolicy(ctx, &cloudwatchlogs.DeleteResourcePolicyInput{PolicyName: &r.Name}))
		}},
		inventory.LogGroup: {remove: func(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
			return only(c.Logs.DeleteLogGroup(ctx, &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: &r.Name}))
		}},
		inventory.Bucket: {remove: removeBucket},
	}
}

// only is the error of a call whose answer tells nothing more.
func only[T any](_ T, err error) error { return err }

// Monitoring and events

// removeEventRule takes its targets away first: a rule with targets cannot be deleted.
func removeEventRule(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
	for {
		out, err := c.EventBridge.ListTargetsByRule(ctx, &eventbridge.ListTargetsByRuleInput{Rule: &r.Name})
		if err != nil {
			return err
		}
		if len(out.Targets) == 0 {
			break
		}
		in := &eventbridge.RemoveTargetsInput{Rule: &r.Name}
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
	_, err := c.EventBridge.DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: &r.Name})
	return err
}

func eventSubscriptionGone(ctx context.Context, c *cloud.Clients, r inventory.Resource) (bool, error) {
	out, err := c.RDS.DescribeEventSubscriptions(ctx, &rds.DescribeEventSubscriptionsInput{SubscriptionName: &r.Name})
	return err == nil && len(out.EventSubscriptionsList) == 0, err
}

// removeRecord deletes an alias record only while it points at the load balancer which proves it, and no other of the
// same name.
func removeRecord(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
	balancers, err := c.ELB.DescribeLoadBalancers(ctx, &elb.DescribeLoadBalancersInput{LoadBalancerArns: r.PartOf})
	if err != nil {
		return err
	}
	at := strings.LastIndex(r.ARN, "/")
	zone, name := r.ARN[:at], r.ARN[at+1:]
	kind, identifier, _ := strings.Cut(r.ID, " ")
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
func removeService(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
	_, scaled := c.ECS.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: clusterOf(r.ARN), Service: &r.ARN, DesiredCount: aws.Int32(0)})
	_, err := c.ECS.DeleteService(ctx, &ecs.DeleteServiceInput{Cluster: clusterOf(r.ARN), Service: &r.ARN, Force: aws.Bool(true)})
	if err != nil {
		return errors.Join(err, scaled)
	}
	return nil
}

// serviceGone waits until a service has drained: only then are its network interfaces gone.
func serviceGone(ctx context.Context, c *cloud.Clients, r inventory.Resource) (bool, error) {
	out, err := c.ECS.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: clusterOf(r.ARN), Services: []string{r.ARN}})
	return err == nil && !slices.ContainsFunc(out.Services, func(s ecstypes.Service) bool { return aws.ToString(s.Status) != "INACTIVE" }), err
}

// Load balancing

const deletionProtection = "deletion_protection.enabled"

// removeLoadBalancer switches deletion protection off first. The stack never sets it: somebody did by hand.
func removeLoadBalancer(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
	out, err := c.ELB.DescribeLoadBalancerAttributes(ctx, &elb.DescribeLoadBalancerAttributesInput{LoadBalancerArn: &r.ARN})
	if err != nil {
		return err
	}
	for _, a := range out.Attributes {
		if aws.ToString(a.Key) != deletionProtection || aws.ToString(a.Value) != "true" {
			continue
		}
		_, err := c.ELB.ModifyLoadBalancerAttributes(ctx, &elb.ModifyLoadBalancerAttributesInput{
			LoadBalancerArn: &r.ARN,
			Attributes:      []elbtypes.LoadBalancerAttribute{{Key: aws.String(deletionProtection), Value: aws.String("false")}},
		})
		if err != nil {
			return fmt.Errorf("switching deletion protection off: %w", err)
		}
	}
	_, err = c.ELB.DeleteLoadBalancer(ctx, &elb.DeleteLoadBalancerInput{LoadBalancerArn: &r.ARN})
	return err
}

func loadBalancerGone(ctx context.Context, c *cloud.Clients, r inventory.Resource) (bool, error) {
	out, err := c.ELB.DescribeLoadBalancers(ctx, &elb.DescribeLoadBalancersInput{LoadBalancerArns: []string{r.ARN}})
	return err == nil && len(out.LoadBalancers) == 0, err
}

// removeWebACL leaves its association alone: that has gone with the load balancer, or is another's, which makes WAF refuse.
func removeWebACL(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
	id := path.Base(r.ARN)
	out, err := c.WAF.GetWebACL(ctx, &wafv2.GetWebACLInput{Name: &r.Name, Id: &id, Scope: waftypes.ScopeRegional})
	if err != nil {
		return err
	}
	_, err = c.WAF.DeleteLoggingConfiguration(ctx, &wafv2.DeleteLoggingConfigurationInput{ResourceArn: &r.ARN})
	if err != nil && !cloud.IsNotFound(err) {
		return err
	}
	_, err = c.WAF.DeleteWebACL(ctx, &wafv2.DeleteWebACLInput{Name: &r.Name, Id: &id, Scope: waftypes.ScopeRegional, LockToken: out.LockToken})
	return err
}

// Database

func removeDBInstance(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
	out, err := c.RDS.DescribeDBInstances(ctx, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: &r.Name})
	if err != nil {
		return err
	}
	for _, i := range out.DBInstances {
		if aws.ToString(i.DBInstanceStatus) == "deleting" {
			return nil
		}
	}
	_, err = c.RDS.DeleteDBInstance(ctx, &rds.DeleteDBInstanceInput{DBInstanceIdentifier: &r.Name, SkipFinalSnapshot: aws.Bool(true)})
	return err
}

func dbInstanceGone(ctx context.Context, c *cloud.Clients, r inventory.Resource) (bool, error) {
	out, err := c.RDS.DescribeDBInstances(ctx, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: &r.Name})
	return err == nil && len(out.DBInstances) == 0, err
}

// removeDBCluster takes the automated backups along, and makes no final snapshot. Deletion protection, which the stack
// never sets, is switched off first.
func removeDBCluster(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
	out, err := c.RDS.DescribeDBClusters(ctx, &rds.DescribeDBClustersInput{DBClusterIdentifier: &r.Name})
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
			DBClusterIdentifier: &r.Name, DeletionProtection: aws.Bool(false), ApplyImmediately: aws.Bool(true),
		})
		if err != nil {
			return fmt.Errorf("switching deletion protection off: %w", err)
		}
	}
	_, err = c.RDS.DeleteDBCluster(ctx, &rds.DeleteDBClusterInput{
		DBClusterIdentifier: &r.Name, SkipFinalSnapshot: aws.Bool(true), DeleteAutomatedBackups: aws.Bool(true),
	})
	return err
}

func dbClusterGone(ctx context.Context, c *cloud.Clients, r inventory.Resource) (bool, error) {
	out, err := c.RDS.DescribeDBClusters(ctx, &rds.DescribeDBClustersInput{DBClusterIdentifier: &r.Name})
	return err == nil && len(out.DBClusters) == 0, err
}

func removeSnapshot(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
	if strings.Contains(r.ARN, ":cluster-snapshot:") {
		_, err := c.RDS.DeleteDBClusterSnapshot(ctx, &rds.DeleteDBClusterSnapshotInput{DBClusterSnapshotIdentifier: &r.ID})
		return err
	}
	_, err := c.RDS.DeleteDBSnapshot(ctx, &rds.DeleteDBSnapshotInput{DBSnapshotIdentifier: &r.ID})
	return err
}

// Network

func removeEndpoint(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
	out, err := c.EC2.DeleteVpcEndpoints(ctx, &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{r.ID}})
	if err != nil {
		return err
	}
	return unsuccessful(out.Unsuccessful)
}

func endpointGone(ctx context.Context, c *cloud.Clients, r inventory.Resource) (bool, error) {
	out, err := c.EC2.DescribeVpcEndpoints(ctx, &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{r.ID}})
	return err == nil && !slices.ContainsFunc(out.VpcEndpoints, func(v ec2types.VpcEndpoint) bool {
		return !strings.EqualFold(string(v.State), "deleted")
	}), err
}

// unsuccessful is what calls that answer 200 have not done.
func unsuccessful(items []ec2types.UnsuccessfulItem) error {
	for _, item := range items {
		if item.Error != nil {
			return &smithy.GenericAPIError{Code: aws.ToString(item.Error.Code), Message: aws.ToString(item.Error.Message)}
		}
	}
	return nil
}

func natGone(ctx context.Context, c *cloud.Clients, r inventory.Resource) (bool, error) {
	out, err := c.EC2.DescribeNatGateways(ctx, &ec2.DescribeNatGatewaysInput{NatGatewayIds: []string{r.ID}})
	return err == nil && !slices.ContainsFunc(out.NatGateways, func(n ec2types.NatGateway) bool {
		return n.State != ec2types.NatGatewayStateDeleted
	}), err
}

func removeFlowLog(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
	out, err := c.EC2.DeleteFlowLogs(ctx, &ec2.DeleteFlowLogsInput{FlowLogIds: []string{r.ID}})
	if err != nil {
		return err
	}
	return unsuccessful(out.Unsuccessful)
}

// removeInterface waits for the service that uses an interface to let it go. It never detaches one.
func removeInterface(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
	out, err := c.EC2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{r.ID}})
	if err != nil {
		return err
	}
	for _, i := range out.NetworkInterfaces {
		if i.Status != ec2types.NetworkInterfaceStatusAvailable || aws.ToBool(i.RequesterManaged) {
			return fmt.Errorf("%w: it is %s (%s)", errBusy, i.Status, aws.ToString(i.Description))
		}
	}
	_, err = c.EC2.DeleteNetworkInterface(ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: &r.ID})
	return err
}

func removeGroupRule(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
	out, err := c.EC2.DescribeSecurityGroupRules(ctx, &ec2.DescribeSecurityGroupRulesInput{SecurityGroupRuleIds: []string{r.ID}})
	if err != nil {
		return err
	}
	for _, rule := range out.SecurityGroupRules {
		ids := []string{r.ID}
		if aws.ToBool(rule.IsEgress) {
			_, err = c.EC2.RevokeSecurityGroupEgress(ctx, &ec2.RevokeSecurityGroupEgressInput{GroupId: rule.GroupId, SecurityGroupRuleIds: ids})
		} else {
			_, err = c.EC2.RevokeSecurityGroupIngress(ctx, &ec2.RevokeSecurityGroupIngressInput{GroupId: rule.GroupId, SecurityGroupRuleIds: ids})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// removeRouteTable takes it off its subnets first; its routes go with it.
func removeRouteTable(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
	out, err := c.EC2.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{RouteTableIds: []string{r.ID}})
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
	_, err = c.EC2.DeleteRouteTable(ctx, &ec2.DeleteRouteTableInput{RouteTableId: &r.ID})
	return err
}

func removeInternetGateway(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
	out, err := c.EC2.DescribeInternetGateways(ctx, &ec2.DescribeInternetGatewaysInput{InternetGatewayIds: []string{r.ID}})
	if err != nil {
		return err
	}
	for _, g := range out.InternetGateways {
		for _, a := range g.Attachments {
			if _, err := c.EC2.DetachInternetGateway(ctx, &ec2.DetachInternetGatewayInput{InternetGatewayId: &r.ID, VpcId: a.VpcId}); err != nil {
				return err
			}
		}
	}
	_, err = c.EC2.DeleteInternetGateway(ctx, &ec2.DeleteInternetGatewayInput{InternetGatewayId: &r.ID})
	return err
}

// Roles, logs, bucket

// removeRole strips a role first: IAM deletes only bare ones. Instance profiles stay: the stack makes none.
func removeRole(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
	role := &r.Name
	inline := iam.NewListRolePoliciesPaginator(c.IAM, &iam.ListRolePoliciesInput{RoleName: role})
	err := eachOf(ctx, inline, func(o *iam.ListRolePoliciesOutput) []string { return o.PolicyNames }, func(name string) error {
		return only(c.IAM.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: role, PolicyName: &name}))
	})
	if err != nil {
		return err
	}
	attached := iam.NewListAttachedRolePoliciesPaginator(c.IAM, &iam.ListAttachedRolePoliciesInput{RoleName: role})
	policies := func(o *iam.ListAttachedRolePoliciesOutput) []iamtypes.AttachedPolicy { return o.AttachedPolicies }
	err = eachOf(ctx, attached, policies, func(p iamtypes.AttachedPolicy) error {
		return only(c.IAM.DetachRolePolicy(ctx, &iam.DetachRolePolicyInput{RoleName: role, PolicyArn: p.PolicyArn}))
	})
	if err != nil {
		return err
	}
	holding := iam.NewListInstanceProfilesForRolePaginator(c.IAM, &iam.ListInstanceProfilesForRoleInput{RoleName: role})
	profiles := func(o *iam.ListInstanceProfilesForRoleOutput) []iamtypes.InstanceProfile { return o.InstanceProfiles }
	err = eachOf(ctx, holding, profiles, func(p iamtypes.InstanceProfile) error {
		in := &iam.RemoveRoleFromInstanceProfileInput{RoleName: role, InstanceProfileName: p.InstanceProfileName}
		return only(c.IAM.RemoveRoleFromInstanceProfile(ctx, in))
	})
	if err != nil {
		return err
	}
	return only(c.IAM.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: role}))
}

// eachOf removes each item of a list. What is gone meanwhile is fine.
func eachOf[Out, Opt, T any](ctx context.Context, list cloud.Paginator[Out, Opt], items func(*Out) []T, remove func(T) error) error {
	all, err := cloud.Pages(ctx, list, items)
	if err != nil {
		return err
	}
	for _, item := range all {
		if err := remove(item); err != nil && !cloud.IsNotFound(err) {
			return err
		}
	}
	return nil
}

// removeBucket takes its policy away, so that no more logs are delivered, then empties it of every version and delete
// marker.
func removeBucket(ctx context.Context, c *cloud.Clients, r inventory.Resource) error {
	if _, err := c.S3.DeleteBucketPolicy(ctx, &s3.DeleteBucketPolicyInput{Bucket: &r.Name}); err != nil && !cloud.IsNotFound(err) {
		return err
	}
	for p := s3.NewListObjectVersionsPaginator(c.S3, &s3.ListObjectVersionsInput{Bucket: &r.Name}); p.HasMorePages(); {
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
			Bucket: &r.Name, Delete: &s3types.Delete{Objects: objects, Quiet: aws.Bool(true)},
		})
		if err != nil {
			return err
		}
		var faults []error
		for _, e := range out.Errors {
			faults = append(faults, &smithy.GenericAPIError{Code: aws.ToString(e.Code), Message: aws.ToString(e.Key) + ": " + aws.ToString(e.Message)})
		}
		if len(faults) > 0 {
			return errors.Join(faults...)
		}
	}
	_, err := c.S3.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &r.Name})
	return err
}
