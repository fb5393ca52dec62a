package cloud

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	acmtypes "github.com/aws/aws-sdk-go-v2/service/acm/types"
	scaling "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	scalingtypes "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	tagging "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	tagtypes "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/aws-sdk-go-v2/service/wafv2"
	waftypes "github.com/aws/aws-sdk-go-v2/service/wafv2/types"
)

// This file holds what the account has of each kind, all of it, save what AWS goes on listing after its deletion. Pages are as
// large as the API reference allows, save EC2's.

// ec2Page is how much a page of most of EC2's lists is asked to hold: without it they come whole, or too late. It may be five
// times as much, which an emulator takes too long for.
var ec2Page = aws.Int32(200)

// Network

func (r *Reader) VPCs(ctx context.Context) ([]ec2types.Vpc, error) {
	return list(ctx, r, "ec2:DescribeVpcs", ec2.NewDescribeVpcsPaginator(r.EC2, &ec2.DescribeVpcsInput{MaxResults: ec2Page}),
		func(o *ec2.DescribeVpcsOutput) []ec2types.Vpc { return o.Vpcs })
}

func (r *Reader) Subnets(ctx context.Context) ([]ec2types.Subnet, error) {
	return list(ctx, r, "ec2:DescribeSubnets", ec2.NewDescribeSubnetsPaginator(r.EC2, &ec2.DescribeSubnetsInput{MaxResults: ec2Page}),
		func(o *ec2.DescribeSubnetsOutput) []ec2types.Subnet { return o.Subnets })
}

func (r *Reader) InternetGateways(ctx context.Context) ([]ec2types.InternetGateway, error) {
	return list(ctx, r, "ec2:DescribeInternetGateways", ec2.NewDescribeInternetGatewaysPaginator(r.EC2, &ec2.DescribeInternetGatewaysInput{MaxResults: ec2Page}),
		func(o *ec2.DescribeInternetGatewaysOutput) []ec2types.InternetGateway { return o.InternetGateways })
}

// NATGateways leaves out the deleted ones, which AWS goes on listing for about an hour.
func (r *Reader) NATGateways(ctx context.Context) ([]ec2types.NatGateway, error) {
	return list(ctx, r, "ec2:DescribeNatGateways", ec2.NewDescribeNatGatewaysPaginator(r.EC2, &ec2.DescribeNatGatewaysInput{MaxResults: ec2Page}),
		func(o *ec2.DescribeNatGatewaysOutput) []ec2types.NatGateway {
			return slices.DeleteFunc(o.NatGateways, func(g ec2types.NatGateway) bool { return g.State == ec2types.NatGatewayStateDeleted })
		})
}

func (r *Reader) Addresses(ctx context.Context) ([]ec2types.Address, error) {
	return get(ctx, r, "ec2:DescribeAddresses", r.EC2.DescribeAddresses, &ec2.DescribeAddressesInput{},
		func(o *ec2.DescribeAddressesOutput) []ec2types.Address { return o.Addresses })
}

func (r *Reader) RouteTables(ctx context.Context) ([]ec2types.RouteTable, error) {
	return list(ctx, r, "ec2:DescribeRouteTables", ec2.NewDescribeRouteTablesPaginator(r.EC2, &ec2.DescribeRouteTablesInput{MaxResults: aws.Int32(100)}),
		func(o *ec2.DescribeRouteTablesOutput) []ec2types.RouteTable { return o.RouteTables })
}

func (r *Reader) SecurityGroups(ctx context.Context) ([]ec2types.SecurityGroup, error) {
	return list(ctx, r, "ec2:DescribeSecurityGroups", ec2.NewDescribeSecurityGroupsPaginator(r.EC2, &ec2.DescribeSecurityGroupsInput{MaxResults: ec2Page}),
		func(o *ec2.DescribeSecurityGroupsOutput) []ec2types.SecurityGroup { return o.SecurityGroups })
}

func (r *Reader) SecurityGroupRules(ctx context.Context) ([]ec2types.SecurityGroupRule, error) {
	return list(ctx, r, "ec2:DescribeSecurityGroupRules", ec2.NewDescribeSecurityGroupRulesPaginator(r.EC2, &ec2.DescribeSecurityGroupRulesInput{MaxResults: ec2Page}),
		func(o *ec2.DescribeSecurityGroupRulesOutput) []ec2types.SecurityGroupRule {
			return o.SecurityGroupRules
		})
}

func (r *Reader) VPCEndpoints(ctx context.Context) ([]ec2types.VpcEndpoint, error) {
	return list(ctx, r, "ec2:DescribeVpcEndpoints", ec2.NewDescribeVpcEndpointsPaginator(r.EC2, &ec2.DescribeVpcEndpointsInput{MaxResults: ec2Page}),
		func(o *ec2.DescribeVpcEndpointsOutput) []ec2types.VpcEndpoint {
			return slices.DeleteFunc(o.VpcEndpoints, func(v ec2types.VpcEndpoint) bool { return strings.EqualFold(string(v.State), "deleted") })
		})
}

func (r *Reader) FlowLogs(ctx context.Context) ([]ec2types.FlowLog, error) {
	return list(ctx, r, "ec2:DescribeFlowLogs", ec2.NewDescribeFlowLogsPaginator(r.EC2, &ec2.DescribeFlowLogsInput{MaxResults: ec2Page}),
		func(o *ec2.DescribeFlowLogsOutput) []ec2types.FlowLog { return o.FlowLogs })
}

func (r *Reader) NetworkInterfaces(ctx context.Context) ([]ec2types.NetworkInterface, error) {
	return list(ctx, r, "ec2:DescribeNetworkInterfaces", ec2.NewDescribeNetworkInterfacesPaginator(r.EC2, &ec2.DescribeNetworkInterfacesInput{MaxResults: ec2Page}),
		func(o *ec2.DescribeNetworkInterfacesOutput) []ec2types.NetworkInterface { return o.NetworkInterfaces })
}

// Database

func (r *Reader) DBClusters(ctx context.Context) ([]rdstypes.DBCluster, error) {
	return list(ctx, r, "rds:DescribeDBClusters", rds.NewDescribeDBClustersPaginator(r.RDS, &rds.DescribeDBClustersInput{}),
		func(o *rds.DescribeDBClustersOutput) []rdstypes.DBCluster { return o.DBClusters })
}

func (r *Reader) DBInstances(ctx context.Context) ([]rdstypes.DBInstance, error) {
	return list(ctx, r, "rds:DescribeDBInstances", rds.NewDescribeDBInstancesPaginator(r.RDS, &rds.DescribeDBInstancesInput{}),
		func(o *rds.DescribeDBInstancesOutput) []rdstypes.DBInstance { return o.DBInstances })
}

func (r *Reader) DBSubnetGroups(ctx context.Context) ([]rdstypes.DBSubnetGroup, error) {
	return list(ctx, r, "rds:DescribeDBSubnetGroups", rds.NewDescribeDBSubnetGroupsPaginator(r.RDS, &rds.DescribeDBSubnetGroupsInput{}),
		func(o *rds.DescribeDBSubnetGroupsOutput) []rdstypes.DBSubnetGroup { return o.DBSubnetGroups })
}

func (r *Reader) DBClusterParameterGroups(ctx context.Context) ([]rdstypes.DBClusterParameterGroup, error) {
	return list(ctx, r, "rds:DescribeDBClusterParameterGroups",
		rds.NewDescribeDBClusterParameterGroupsPaginator(r.RDS, &rds.DescribeDBClusterParameterGroupsInput{}),
		func(o *rds.DescribeDBClusterParameterGroupsOutput) []rdstypes.DBClusterParameterGroup {
			return o.DBClusterParameterGroups
		})
}

func (r *Reader) EventSubscriptions(ctx context.Context) ([]rdstypes.EventSubscription, error) {
	return list(ctx, r, "rds:DescribeEventSubscriptions", rds.NewDescribeEventSubscriptionsPaginator(r.RDS, &rds.DescribeEventSubscriptionsInput{}),
		func(o *rds.DescribeEventSubscriptionsOutput) []rdstypes.EventSubscription {
			return o.EventSubscriptionsList
		})
}

func (r *Reader) DBClusterSnapshots(ctx context.Context) ([]rdstypes.DBClusterSnapshot, error) {
	return list(ctx, r, "rds:DescribeDBClusterSnapshots", rds.NewDescribeDBClusterSnapshotsPaginator(r.RDS, &rds.DescribeDBClusterSnapshotsInput{}),
		func(o *rds.DescribeDBClusterSnapshotsOutput) []rdstypes.DBClusterSnapshot {
			return o.DBClusterSnapshots
		})
}

func (r *Reader) DBSnapshots(ctx context.Context) ([]rdstypes.DBSnapshot, error) {
	return list(ctx, r, "rds:DescribeDBSnapshots", rds.NewDescribeDBSnapshotsPaginator(r.RDS, &rds.DescribeDBSnapshotsInput{}),
		func(o *rds.DescribeDBSnapshotsOutput) []rdstypes.DBSnapshot { return o.DBSnapshots })
}

// DBClusterBackups are the cluster backups that RDS makes by itself. A target that does not know the call is not
// supported, which is no error.
func (r *Reader) DBClusterBackups(ctx context.Context) (DBClusterBackups, error) {
	return Once(ctx, r, "rds:DescribeDBClusterAutomatedBackups", func(ctx context.Context) (DBClusterBackups, error) {
		once := func(o *rds.Options) { o.Retryer = aws.NopRetryer{} }
		p := rds.NewDescribeDBClusterAutomatedBackupsPaginator(r.RDS, &rds.DescribeDBClusterAutomatedBackupsInput{})
		b := DBClusterBackups{Supported: true}
		for p.HasMorePages() {
			page, err := p.NextPage(ctx, once)
			if err != nil && IsUnimplemented(err) {
				return DBClusterBackups{}, nil
			}
			if err != nil {
				return DBClusterBackups{}, err
			}
			b.List = append(b.List, page.DBClusterAutomatedBackups...)
		}
		return b, nil
	})
}

// DBClusterBackups are a target's automated backups; without support for them there is no list.
type DBClusterBackups struct {
	Supported bool
	List      []rdstypes.DBClusterAutomatedBackup
}

// Application

// ECSClusters leaves out the INACTIVE ones, which ECS goes on listing after their deletion.
func (r *Reader) ECSClusters(ctx context.Context) ([]ecstypes.Cluster, error) {
	return Once(ctx, r, "ecs:DescribeClusters", func(ctx context.Context) ([]ecstypes.Cluster, error) {
		arns, err := Pages(ctx, ecs.NewListClustersPaginator(r.ECS, &ecs.ListClustersInput{}),
			func(o *ecs.ListClustersOutput) []string { return o.ClusterArns })
		if err != nil {
			return nil, err
		}
		fields := []ecstypes.ClusterField{ecstypes.ClusterFieldSettings, ecstypes.ClusterFieldTags}
		all, err := chunks(ctx, arns, 100, r.ECS.DescribeClusters,
			func(some []string) *ecs.DescribeClustersInput {
				return &ecs.DescribeClustersInput{Clusters: some, Include: fields}
			},
			func(o *ecs.DescribeClustersOutput) []ecstypes.Cluster { return o.Clusters })
		return slices.DeleteFunc(all, func(c ecstypes.Cluster) bool { return aws.ToString(c.Status) == "INACTIVE" }), err
	})
}

// ECSServices are the services of one cluster, without the INACTIVE ones.
func (r *Reader) ECSServices(ctx context.Context, cluster string) ([]ecstypes.Service, error) {
	return Once(ctx, r, "ecs:DescribeServices "+cluster, func(ctx context.Context) ([]ecstypes.Service, error) {
		arns, err := Pages(ctx, ecs.NewListServicesPaginator(r.ECS, &ecs.ListServicesInput{Cluster: &cluster}),
			func(o *ecs.ListServicesOutput) []string { return o.ServiceArns })
		if err != nil {
			return nil, err
		}
		all, err := chunks(ctx, arns, 10, r.ECS.DescribeServices,
			func(some []string) *ecs.DescribeServicesInput {
				return &ecs.DescribeServicesInput{Cluster: &cluster, Services: some, Include: []ecstypes.ServiceField{ecstypes.ServiceFieldTags}}
			},
			func(o *ecs.DescribeServicesOutput) []ecstypes.Service { return o.Services })
		return slices.DeleteFunc(all, func(s ecstypes.Service) bool { return aws.ToString(s.Status) == "INACTIVE" }), err
	})
}

// ECSTasks are the tasks of one cluster that run, or that have stopped within about the last hour.
func (r *Reader) ECSTasks(ctx context.Context, cluster string) ([]ecstypes.Task, error) {
	return Once(ctx, r, "ecs:DescribeTasks "+cluster, func(ctx context.Context) ([]ecstypes.Task, error) {
		var arns []string
		for _, status := range []ecstypes.DesiredStatus{ecstypes.DesiredStatusRunning, ecstypes.DesiredStatusStopped} {
			some, err := Pages(ctx, ecs.NewListTasksPaginator(r.ECS, &ecs.ListTasksInput{Cluster: &cluster, DesiredStatus: status}),
				func(o *ecs.ListTasksOutput) []string { return o.TaskArns })
			if err != nil {
				return nil, err
			}
			arns = append(arns, some...)
		}
		return chunks(ctx, arns, 100, r.ECS.DescribeTasks,
			func(some []string) *ecs.DescribeTasksInput {
				return &ecs.DescribeTasksInput{Cluster: &cluster, Tasks: some}
			},
			func(o *ecs.DescribeTasksOutput) []ecstypes.Task { return o.Tasks })
	})
}

// TaskDefinitionARNs are those not deregistered. ECS keeps INACTIVE ones and offers no way to lose them.
func (r *Reader) TaskDefinitionARNs(ctx context.Context) ([]string, error) {
	return list(ctx, r, "ecs:ListTaskDefinitions",
		ecs.NewListTaskDefinitionsPaginator(r.ECS, &ecs.ListTaskDefinitionsInput{Status: ecstypes.TaskDefinitionStatusActive}),
		func(o *ecs.ListTaskDefinitionsOutput) []string { return o.TaskDefinitionArns })
}

// ScalableTargets are those of ECS.
func (r *Reader) ScalableTargets(ctx context.Context) ([]scalingtypes.ScalableTarget, error) {
	in := &scaling.DescribeScalableTargetsInput{ServiceNamespace: scalingtypes.ServiceNamespaceEcs}
	return list(ctx, r, "application-autoscaling:DescribeScalableTargets", scaling.NewDescribeScalableTargetsPaginator(r.AutoScaling, in),
		func(o *scaling.DescribeScalableTargetsOutput) []scalingtypes.ScalableTarget { return o.ScalableTargets })
}

// ScalingPolicies are those of ECS.
func (r *Reader) ScalingPolicies(ctx context.Context) ([]scalingtypes.ScalingPolicy, error) {
	in := &scaling.DescribeScalingPoliciesInput{ServiceNamespace: scalingtypes.ServiceNamespaceEcs}
	return list(ctx, r, "application-autoscaling:DescribeScalingPolicies", scaling.NewDescribeScalingPoliciesPaginator(r.AutoScaling, in),
		func(o *scaling.DescribeScalingPoliciesOutput) []scalingtypes.ScalingPolicy { return o.ScalingPolicies })
}

// Load balancing

func (r *Reader) LoadBalancers(ctx context.Context) ([]elbtypes.LoadBalancer, error) {
	return list(ctx, r, "elasticloadbalancing:DescribeLoadBalancers", elb.NewDescribeLoadBalancersPaginator(r.ELB, &elb.DescribeLoadBalancersInput{}),
		func(o *elb.DescribeLoadBalancersOutput) []elbtypes.LoadBalancer { return o.LoadBalancers })
}

func (r *Reader) TargetGroups(ctx context.Context) ([]elbtypes.TargetGroup, error) {
	return list(ctx, r, "elasticloadbalancing:DescribeTargetGroups", elb.NewDescribeTargetGroupsPaginator(r.ELB, &elb.DescribeTargetGroupsInput{}),
		func(o *elb.DescribeTargetGroupsOutput) []elbtypes.TargetGroup { return o.TargetGroups })
}

func (r *Reader) Listeners(ctx context.Context, loadBalancer string) ([]elbtypes.Listener, error) {
	return list(ctx, r, "elasticloadbalancing:DescribeListeners "+loadBalancer,
		elb.NewDescribeListenersPaginator(r.ELB, &elb.DescribeListenersInput{LoadBalancerArn: &loadBalancer}),
		func(o *elb.DescribeListenersOutput) []elbtypes.Listener { return o.Listeners })
}

func (r *Reader) ListenerRules(ctx context.Context, listener string) ([]elbtypes.Rule, error) {
	return list(ctx, r, "elasticloadbalancing:DescribeRules "+listener,
		elb.NewDescribeRulesPaginator(r.ELB, &elb.DescribeRulesInput{ListenerArn: &listener}),
		func(o *elb.DescribeRulesOutput) []elbtypes.Rule { return o.Rules })
}

// Certificates are those of every key type: without a filter ACM lists RSA 1024 and 2048 only.
func (r *Reader) Certificates(ctx context.Context) ([]acmtypes.CertificateSummary, error) {
	in := &acm.ListCertificatesInput{Includes: &acmtypes.Filters{KeyTypes: acmtypes.KeyAlgorithm("").Values()}}
	return list(ctx, r, "acm:ListCertificates", acm.NewListCertificatesPaginator(r.ACM, in),
		func(o *acm.ListCertificatesOutput) []acmtypes.CertificateSummary { return o.CertificateSummaryList })
}

func (r *Reader) WebACLs(ctx context.Context) ([]waftypes.WebACLSummary, error) {
	return Once(ctx, r, "wafv2:ListWebACLs", func(ctx context.Context) ([]waftypes.WebACLSummary, error) {
		return pagesByToken(ctx, func(ctx context.Context, marker *string) ([]waftypes.WebACLSummary, *string, error) {
			out, err := r.WAF.ListWebACLs(ctx, &wafv2.ListWebACLsInput{Limit: aws.Int32(100), Scope: waftypes.ScopeRegional, NextMarker: marker})
			if err != nil || len(out.WebACLs) == 0 { // WAF may hand out a marker with the last page too
				return nil, nil, err
			}
			return out.WebACLs, out.NextMarker, nil
		})
	})
}

// Queues, topics, keys

func (r *Reader) QueueURLs(ctx context.Context) ([]string, error) {
	// SQS pages only when asked how many a page may hold.
	return list(ctx, r, "sqs:ListQueues", sqs.NewListQueuesPaginator(r.SQS, &sqs.ListQueuesInput{MaxResults: aws.Int32(1000)}),
		func(o *sqs.ListQueuesOutput) []string { return o.QueueUrls })
}

func (r *Reader) Topics(ctx context.Context) ([]snstypes.Topic, error) {
	return list(ctx, r, "sns:ListTopics", sns.NewListTopicsPaginator(r.SNS, &sns.ListTopicsInput{}),
		func(o *sns.ListTopicsOutput) []snstypes.Topic { return o.Topics })
}

func (r *Reader) Keys(ctx context.Context) ([]kmstypes.KeyListEntry, error) {
	return list(ctx, r, "kms:ListKeys", kms.NewListKeysPaginator(r.KMS, &kms.ListKeysInput{Limit: aws.Int32(1000)}),
		func(o *kms.ListKeysOutput) []kmstypes.KeyListEntry { return o.Keys })
}

func (r *Reader) KeyAliases(ctx context.Context) ([]kmstypes.AliasListEntry, error) {
	return list(ctx, r, "kms:ListAliases", kms.NewListAliasesPaginator(r.KMS, &kms.ListAliasesInput{Limit: aws.Int32(100)}),
		func(o *kms.ListAliasesOutput) []kmstypes.AliasListEntry { return o.Aliases })
}

// Secrets and parameters

// Secrets includes those that wait for their deletion.
func (r *Reader) Secrets(ctx context.Context) ([]smtypes.SecretListEntry, error) {
	in := &secretsmanager.ListSecretsInput{MaxResults: aws.Int32(100), IncludePlannedDeletion: aws.Bool(true)}
	return list(ctx, r, "secretsmanager:ListSecrets", secretsmanager.NewListSecretsPaginator(r.SecretsManager, in),
		func(o *secretsmanager.ListSecretsOutput) []smtypes.SecretListEntry { return o.SecretList })
}

func (r *Reader) Parameters(ctx context.Context) ([]ssmtypes.ParameterMetadata, error) {
	return list(ctx, r, "ssm:DescribeParameters", ssm.NewDescribeParametersPaginator(r.SSM, &ssm.DescribeParametersInput{MaxResults: aws.Int32(50)}),
		func(o *ssm.DescribeParametersOutput) []ssmtypes.ParameterMetadata { return o.Parameters })
}

// Logs, alarms, events

func (r *Reader) LogGroups(ctx context.Context) ([]logtypes.LogGroup, error) {
	return list(ctx, r, "logs:DescribeLogGroups", logs.NewDescribeLogGroupsPaginator(r.Logs, &logs.DescribeLogGroupsInput{}),
		func(o *logs.DescribeLogGroupsOutput) []logtypes.LogGroup { return o.LogGroups })
}

func (r *Reader) LogResourcePolicies(ctx context.Context) ([]logtypes.ResourcePolicy, error) {
	return Once(ctx, r, "logs:DescribeResourcePolicies", func(ctx context.Context) ([]logtypes.ResourcePolicy, error) {
		return pagesByToken(ctx, func(ctx context.Context, token *string) ([]logtypes.ResourcePolicy, *string, error) {
			out, err := r.Logs.DescribeResourcePolicies(ctx, &logs.DescribeResourcePoliciesInput{NextToken: token})
			if err != nil {
				return nil, nil, err
			}
			return out.ResourcePolicies, out.NextToken, nil
		})
	})
}

func (r *Reader) Alarms(ctx context.Context) ([]cwtypes.MetricAlarm, error) {
	return list(ctx, r, "cloudwatch:DescribeAlarms", cloudwatch.NewDescribeAlarmsPaginator(r.CloudWatch, &cloudwatch.DescribeAlarmsInput{MaxRecords: aws.Int32(100)}),
		func(o *cloudwatch.DescribeAlarmsOutput) []cwtypes.MetricAlarm { return o.MetricAlarms })
}

func (r *Reader) Dashboards(ctx context.Context) ([]cwtypes.DashboardEntry, error) {
	return list(ctx, r, "cloudwatch:ListDashboards", cloudwatch.NewListDashboardsPaginator(r.CloudWatch, &cloudwatch.ListDashboardsInput{}),
		func(o *cloudwatch.ListDashboardsOutput) []cwtypes.DashboardEntry { return o.DashboardEntries })
}

func (r *Reader) EventRules(ctx context.Context) ([]eventtypes.Rule, error) {
	return Once(ctx, r, "events:ListRules", func(ctx context.Context) ([]eventtypes.Rule, error) {
		return pagesByToken(ctx, func(ctx context.Context, token *string) ([]eventtypes.Rule, *string, error) {
			out, err := r.EventBridge.ListRules(ctx, &eventbridge.ListRulesInput{Limit: aws.Int32(100), NextToken: token})
			if err != nil {
				return nil, nil, err
			}
			return out.Rules, out.NextToken, nil
		})
	})
}

// EventRulesFor are the names of the rules that have a target.
func (r *Reader) EventRulesFor(ctx context.Context, target string) ([]string, error) {
	return Once(ctx, r, "events:ListRuleNamesByTarget "+target, func(ctx context.Context) ([]string, error) {
		return pagesByToken(ctx, func(ctx context.Context, token *string) ([]string, *string, error) {
			out, err := r.EventBridge.ListRuleNamesByTarget(ctx, &eventbridge.ListRuleNamesByTargetInput{
				TargetArn: &target, Limit: aws.Int32(100), NextToken: token,
			})
			if err != nil {
				return nil, nil, err
			}
			return out.RuleNames, out.NextToken, nil
		})
	})
}

func (r *Reader) EventTargets(ctx context.Context, rule string) ([]eventtypes.Target, error) {
	return Once(ctx, r, "events:ListTargetsByRule "+rule, func(ctx context.Context) ([]eventtypes.Target, error) {
		return pagesByToken(ctx, func(ctx context.Context, token *string) ([]eventtypes.Target, *string, error) {
			out, err := r.EventBridge.ListTargetsByRule(ctx, &eventbridge.ListTargetsByRuleInput{Rule: &rule, NextToken: token})
			if err != nil {
				return nil, nil, err
			}
			return out.Targets, out.NextToken, nil
		})
	})
}

// Roles, buckets, tags

func (r *Reader) Roles(ctx context.Context) ([]iamtypes.Role, error) {
	return list(ctx, r, "iam:ListRoles", iam.NewListRolesPaginator(r.IAM, &iam.ListRolesInput{MaxItems: aws.Int32(1000)}),
		func(o *iam.ListRolesOutput) []iamtypes.Role { return o.Roles })
}

// Policies are the account's own managed policies.
func (r *Reader) Policies(ctx context.Context) ([]iamtypes.Policy, error) {
	return list(ctx, r, "iam:ListPolicies", iam.NewListPoliciesPaginator(r.IAM, &iam.ListPoliciesInput{MaxItems: aws.Int32(1000), Scope: iamtypes.PolicyScopeTypeLocal}),
		func(o *iam.ListPoliciesOutput) []iamtypes.Policy { return o.Policies })
}

func (r *Reader) Buckets(ctx context.Context) ([]s3types.Bucket, error) {
	return list(ctx, r, "s3:ListBuckets", s3.NewListBucketsPaginator(r.S3, &s3.ListBucketsInput{}),
		func(o *s3.ListBucketsOutput) []s3types.Bucket { return o.Buckets })
}

// WithTag asks the tagging API, anew each time.
func (r *Reader) WithTag(ctx context.Context, filter tagtypes.TagFilter) ([]tagtypes.ResourceTagMapping, error) {
	return r.tagged(ctx, tagging.GetResourcesInput{TagFilters: []tagtypes.TagFilter{filter}})
}

// Tagged is what the tagging API tells, anew each time, of resources of a type such as "kms:key".
func (r *Reader) Tagged(ctx context.Context, resourceType string) ([]tagtypes.ResourceTagMapping, error) {
	return r.tagged(ctx, tagging.GetResourcesInput{ResourceTypeFilters: []string{resourceType}})
}

func (r *Reader) tagged(ctx context.Context, in tagging.GetResourcesInput) ([]tagtypes.ResourceTagMapping, error) {
	in.ResourcesPerPage = aws.Int32(100)
	read := func() ([]tagtypes.ResourceTagMapping, error) {
		return Pages(ctx, tagging.NewGetResourcesPaginator(r.Tagging, &in),
			func(o *tagging.GetResourcesOutput) []tagtypes.ResourceTagMapping { return o.ResourceTagMappingList })
	}
	all, err := read()
	if expired := (*tagtypes.PaginationTokenExpiredException)(nil); errors.As(err, &expired) {
		all, err = read() // the API asks to begin again at the first page
	}
	return all, err
}
