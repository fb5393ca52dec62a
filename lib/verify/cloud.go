package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	acmtypes "github.com/aws/aws-sdk-go-v2/service/acm/types"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
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

// This file holds the API answers that checks share: lists of everything of a kind in the account and region, so that
// one answer serves both the checks of a stack and the search for what is left of it. Each is fetched once a run.

// pager is what every paginator of the SDK is.
type pager[Out, Opt any] interface {
	HasMorePages() bool
	NextPage(ctx context.Context, opts ...func(*Opt)) (*Out, error)
}

// pages reads a paginated list to its end.
func pages[Out, Opt, T any](ctx context.Context, p pager[Out, Opt], items func(*Out) []T) ([]T, error) {
	var all []T
	for p.HasMorePages() {
		page, err := p.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, items(page)...)
	}
	return all, nil
}

// tokens reads to its end a list for which the SDK has no paginator: next takes a token and returns the following one.
func tokens(ctx context.Context, next func(ctx context.Context, token *string) (*string, error)) error {
	var token *string
	for {
		following, err := next(ctx, token)
		if err != nil {
			return err
		}
		if aws.ToString(following) == "" {
			return nil
		}
		if aws.ToString(following) == aws.ToString(token) {
			return errors.New("the API hands out the same page token again")
		}
		token = following
	}
}

// the returns the one item that fits.
func the[T any](what string, items []T, fits func(T) bool) (T, error) {
	var none T
	i := slices.IndexFunc(items, fits)
	if i < 0 {
		return none, fmt.Errorf("there is no %s", what)
	}
	return items[i], nil
}

// those returns the items that fit, or an error when none does.
func those[T any](what string, items []T, fits func(T) bool) ([]T, error) {
	var out []T
	for _, item := range items {
		if fits(item) {
			out = append(out, item)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("there is no %s", what)
	}
	return out, nil
}

// Network

func (e *Env) allVPCs(ctx context.Context) ([]ec2types.Vpc, error) {
	return shared(ctx, e, "ec2:DescribeVpcs", func(ctx context.Context) ([]ec2types.Vpc, error) {
		return pages(ctx, ec2.NewDescribeVpcsPaginator(e.api.ec2, &ec2.DescribeVpcsInput{}),
			func(o *ec2.DescribeVpcsOutput) []ec2types.Vpc { return o.Vpcs })
	})
}

func (e *Env) allSubnets(ctx context.Context) ([]ec2types.Subnet, error) {
	return shared(ctx, e, "ec2:DescribeSubnets", func(ctx context.Context) ([]ec2types.Subnet, error) {
		return pages(ctx, ec2.NewDescribeSubnetsPaginator(e.api.ec2, &ec2.DescribeSubnetsInput{}),
			func(o *ec2.DescribeSubnetsOutput) []ec2types.Subnet { return o.Subnets })
	})
}

func (e *Env) allInternetGateways(ctx context.Context) ([]ec2types.InternetGateway, error) {
	return shared(ctx, e, "ec2:DescribeInternetGateways", func(ctx context.Context) ([]ec2types.InternetGateway, error) {
		return pages(ctx, ec2.NewDescribeInternetGatewaysPaginator(e.api.ec2, &ec2.DescribeInternetGatewaysInput{}),
			func(o *ec2.DescribeInternetGatewaysOutput) []ec2types.InternetGateway { return o.InternetGateways })
	})
}

// allNatGateways leaves out the deleted ones, which AWS goes on listing for about an hour.
func (e *Env) allNatGateways(ctx context.Context) ([]ec2types.NatGateway, error) {
	return shared(ctx, e, "ec2:DescribeNatGateways", func(ctx context.Context) ([]ec2types.NatGateway, error) {
		all, err := pages(ctx, ec2.NewDescribeNatGatewaysPaginator(e.api.ec2, &ec2.DescribeNatGatewaysInput{}),
			func(o *ec2.DescribeNatGatewaysOutput) []ec2types.NatGateway { return o.NatGateways })
		return slices.DeleteFunc(all, func(n ec2types.NatGateway) bool { return n.State == ec2types.NatGatewayStateDeleted }), err
	})
}

func (e *Env) allAddresses(ctx context.Context) ([]ec2types.Address, error) {
	return shared(ctx, e, "ec2:DescribeAddresses", func(ctx context.Context) ([]ec2types.Address, error) {
		out, err := e.api.ec2.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{})
		if err != nil {
			return nil, err
		}
		return out.Addresses, nil
	})
}

func (e *Env) allRouteTables(ctx context.Context) ([]ec2types.RouteTable, error) {
	return shared(ctx, e, "ec2:DescribeRouteTables", func(ctx context.Context) ([]ec2types.RouteTable, error) {
		return pages(ctx, ec2.NewDescribeRouteTablesPaginator(e.api.ec2, &ec2.DescribeRouteTablesInput{}),
			func(o *ec2.DescribeRouteTablesOutput) []ec2types.RouteTable { return o.RouteTables })
	})
}

func (e *Env) allSecurityGroups(ctx context.Context) ([]ec2types.SecurityGroup, error) {
	return shared(ctx, e, "ec2:DescribeSecurityGroups", func(ctx context.Context) ([]ec2types.SecurityGroup, error) {
		return pages(ctx, ec2.NewDescribeSecurityGroupsPaginator(e.api.ec2, &ec2.DescribeSecurityGroupsInput{}),
			func(o *ec2.DescribeSecurityGroupsOutput) []ec2types.SecurityGroup { return o.SecurityGroups })
	})
}

func (e *Env) allSecurityGroupRules(ctx context.Context) ([]ec2types.SecurityGroupRule, error) {
	return shared(ctx, e, "ec2:DescribeSecurityGroupRules", func(ctx context.Context) ([]ec2types.SecurityGroupRule, error) {
		return pages(ctx, ec2.NewDescribeSecurityGroupRulesPaginator(e.api.ec2, &ec2.DescribeSecurityGroupRulesInput{}),
			func(o *ec2.DescribeSecurityGroupRulesOutput) []ec2types.SecurityGroupRule {
				return o.SecurityGroupRules
			})
	})
}

func (e *Env) allEndpoints(ctx context.Context) ([]ec2types.VpcEndpoint, error) {
	return shared(ctx, e, "ec2:DescribeVpcEndpoints", func(ctx context.Context) ([]ec2types.VpcEndpoint, error) {
		all, err := pages(ctx, ec2.NewDescribeVpcEndpointsPaginator(e.api.ec2, &ec2.DescribeVpcEndpointsInput{}),
			func(o *ec2.DescribeVpcEndpointsOutput) []ec2types.VpcEndpoint { return o.VpcEndpoints })
		return slices.DeleteFunc(all, func(v ec2types.VpcEndpoint) bool { return strings.EqualFold(string(v.State), "deleted") }), err
	})
}

func (e *Env) allFlowLogs(ctx context.Context) ([]ec2types.FlowLog, error) {
	return shared(ctx, e, "ec2:DescribeFlowLogs", func(ctx context.Context) ([]ec2types.FlowLog, error) {
		return pages(ctx, ec2.NewDescribeFlowLogsPaginator(e.api.ec2, &ec2.DescribeFlowLogsInput{}),
			func(o *ec2.DescribeFlowLogsOutput) []ec2types.FlowLog { return o.FlowLogs })
	})
}

func (e *Env) allNetworkInterfaces(ctx context.Context) ([]ec2types.NetworkInterface, error) {
	return shared(ctx, e, "ec2:DescribeNetworkInterfaces", func(ctx context.Context) ([]ec2types.NetworkInterface, error) {
		return pages(ctx, ec2.NewDescribeNetworkInterfacesPaginator(e.api.ec2, &ec2.DescribeNetworkInterfacesInput{}),
			func(o *ec2.DescribeNetworkInterfacesOutput) []ec2types.NetworkInterface { return o.NetworkInterfaces })
	})
}

// Database

func (e *Env) allDBClusters(ctx context.Context) ([]rdstypes.DBCluster, error) {
	return shared(ctx, e, "rds:DescribeDBClusters", func(ctx context.Context) ([]rdstypes.DBCluster, error) {
		return pages(ctx, rds.NewDescribeDBClustersPaginator(e.api.rds, &rds.DescribeDBClustersInput{}),
			func(o *rds.DescribeDBClustersOutput) []rdstypes.DBCluster { return o.DBClusters })
	})
}

func (e *Env) allDBInstances(ctx context.Context) ([]rdstypes.DBInstance, error) {
	return shared(ctx, e, "rds:DescribeDBInstances", func(ctx context.Context) ([]rdstypes.DBInstance, error) {
		return pages(ctx, rds.NewDescribeDBInstancesPaginator(e.api.rds, &rds.DescribeDBInstancesInput{}),
			func(o *rds.DescribeDBInstancesOutput) []rdstypes.DBInstance { return o.DBInstances })
	})
}

func (e *Env) allDBSubnetGroups(ctx context.Context) ([]rdstypes.DBSubnetGroup, error) {
	return shared(ctx, e, "rds:DescribeDBSubnetGroups", func(ctx context.Context) ([]rdstypes.DBSubnetGroup, error) {
		return pages(ctx, rds.NewDescribeDBSubnetGroupsPaginator(e.api.rds, &rds.DescribeDBSubnetGroupsInput{}),
			func(o *rds.DescribeDBSubnetGroupsOutput) []rdstypes.DBSubnetGroup { return o.DBSubnetGroups })
	})
}

func (e *Env) allDBParameterGroups(ctx context.Context) ([]rdstypes.DBClusterParameterGroup, error) {
	return shared(ctx, e, "rds:DescribeDBClusterParameterGroups", func(ctx context.Context) ([]rdstypes.DBClusterParameterGroup, error) {
		return pages(ctx, rds.NewDescribeDBClusterParameterGroupsPaginator(e.api.rds, &rds.DescribeDBClusterParameterGroupsInput{}),
			func(o *rds.DescribeDBClusterParameterGroupsOutput) []rdstypes.DBClusterParameterGroup {
				return o.DBClusterParameterGroups
			})
	})
}

// dbParameters are the values of a cluster parameter group by name.
func (e *Env) dbParameters(ctx context.Context, group string) (map[string]string, error) {
	return shared(ctx, e, "rds:DescribeDBClusterParameters "+group, func(ctx context.Context) (map[string]string, error) {
		in := &rds.DescribeDBClusterParametersInput{DBClusterParameterGroupName: &group}
		all, err := pages(ctx, rds.NewDescribeDBClusterParametersPaginator(e.api.rds, in),
			func(o *rds.DescribeDBClusterParametersOutput) []rdstypes.Parameter { return o.Parameters })
		if err != nil {
			return nil, err
		}
		values := map[string]string{}
		for _, p := range all {
			if p.ParameterValue != nil {
				values[aws.ToString(p.ParameterName)] = *p.ParameterValue
			}
		}
		return values, nil
	})
}

func (e *Env) allEventSubscriptions(ctx context.Context) ([]rdstypes.EventSubscription, error) {
	return shared(ctx, e, "rds:DescribeEventSubscriptions", func(ctx context.Context) ([]rdstypes.EventSubscription, error) {
		return pages(ctx, rds.NewDescribeEventSubscriptionsPaginator(e.api.rds, &rds.DescribeEventSubscriptionsInput{}),
			func(o *rds.DescribeEventSubscriptionsOutput) []rdstypes.EventSubscription {
				return o.EventSubscriptionsList
			})
	})
}

func (e *Env) allDBClusterSnapshots(ctx context.Context) ([]rdstypes.DBClusterSnapshot, error) {
	return shared(ctx, e, "rds:DescribeDBClusterSnapshots", func(ctx context.Context) ([]rdstypes.DBClusterSnapshot, error) {
		return pages(ctx, rds.NewDescribeDBClusterSnapshotsPaginator(e.api.rds, &rds.DescribeDBClusterSnapshotsInput{}),
			func(o *rds.DescribeDBClusterSnapshotsOutput) []rdstypes.DBClusterSnapshot {
				return o.DBClusterSnapshots
			})
	})
}

func (e *Env) allDBSnapshots(ctx context.Context) ([]rdstypes.DBSnapshot, error) {
	return shared(ctx, e, "rds:DescribeDBSnapshots", func(ctx context.Context) ([]rdstypes.DBSnapshot, error) {
		return pages(ctx, rds.NewDescribeDBSnapshotsPaginator(e.api.rds, &rds.DescribeDBSnapshotsInput{}),
			func(o *rds.DescribeDBSnapshotsOutput) []rdstypes.DBSnapshot { return o.DBSnapshots })
	})
}

// Application

// allClusters leaves out the INACTIVE ones, which ECS goes on listing after their deletion.
func (e *Env) allClusters(ctx context.Context) ([]ecstypes.Cluster, error) {
	return shared(ctx, e, "ecs:DescribeClusters", func(ctx context.Context) ([]ecstypes.Cluster, error) {
		arns, err := pages(ctx, ecs.NewListClustersPaginator(e.api.ecs, &ecs.ListClustersInput{}),
			func(o *ecs.ListClustersOutput) []string { return o.ClusterArns })
		if err != nil {
			return nil, err
		}
		var all []ecstypes.Cluster
		for some := range slices.Chunk(arns, 100) {
			out, err := e.api.ecs.DescribeClusters(ctx, &ecs.DescribeClustersInput{
				Clusters: some,
				Include:  []ecstypes.ClusterField{ecstypes.ClusterFieldSettings, ecstypes.ClusterFieldTags},
			})
			if err != nil {
				return nil, err
			}
			all = append(all, out.Clusters...)
		}
		return slices.DeleteFunc(all, func(c ecstypes.Cluster) bool { return aws.ToString(c.Status) == "INACTIVE" }), nil
	})
}

// services are the services of one cluster, without the INACTIVE ones.
func (e *Env) services(ctx context.Context, cluster string) ([]ecstypes.Service, error) {
	return shared(ctx, e, "ecs:DescribeServices "+cluster, func(ctx context.Context) ([]ecstypes.Service, error) {
		arns, err := pages(ctx, ecs.NewListServicesPaginator(e.api.ecs, &ecs.ListServicesInput{Cluster: &cluster}),
			func(o *ecs.ListServicesOutput) []string { return o.ServiceArns })
		if err != nil {
			return nil, err
		}
		var all []ecstypes.Service
		for some := range slices.Chunk(arns, 10) {
			out, err := e.api.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{
				Cluster: &cluster, Services: some, Include: []ecstypes.ServiceField{ecstypes.ServiceFieldTags},
			})
			if err != nil {
				return nil, err
			}
			all = append(all, out.Services...)
		}
		return slices.DeleteFunc(all, func(s ecstypes.Service) bool { return aws.ToString(s.Status) == "INACTIVE" }), nil
	})
}

// tasks are the tasks of one cluster that run, or that have stopped within about the last hour.
func (e *Env) tasks(ctx context.Context, cluster string) ([]ecstypes.Task, error) {
	return shared(ctx, e, "ecs:DescribeTasks "+cluster, func(ctx context.Context) ([]ecstypes.Task, error) {
		var arns []string
		for _, status := range []ecstypes.DesiredStatus{ecstypes.DesiredStatusRunning, ecstypes.DesiredStatusStopped} {
			some, err := pages(ctx, ecs.NewListTasksPaginator(e.api.ecs, &ecs.ListTasksInput{Cluster: &cluster, DesiredStatus: status}),
				func(o *ecs.ListTasksOutput) []string { return o.TaskArns })
			if err != nil {
				return nil, err
			}
			arns = append(arns, some...)
		}
		var all []ecstypes.Task
		for some := range slices.Chunk(arns, 100) {
			out, err := e.api.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &cluster, Tasks: some})
			if err != nil {
				return nil, err
			}
			all = append(all, out.Tasks...)
		}
		return all, nil
	})
}

type taskDefinition struct {
	ecstypes.TaskDefinition
	tags []ecstypes.Tag
}

func (e *Env) taskDefinition(ctx context.Context, id string) (taskDefinition, error) {
	return shared(ctx, e, "ecs:DescribeTaskDefinition "+id, func(ctx context.Context) (taskDefinition, error) {
		out, err := e.api.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{
			TaskDefinition: &id, Include: []ecstypes.TaskDefinitionField{ecstypes.TaskDefinitionFieldTags},
		})
		if err != nil {
			return taskDefinition{}, err
		}
		if out.TaskDefinition == nil {
			return taskDefinition{}, errors.New("the answer is empty")
		}
		return taskDefinition{TaskDefinition: *out.TaskDefinition, tags: out.Tags}, nil
	})
}

// activeTaskDefinitions are the ARNs of those not deregistered. ECS keeps INACTIVE ones and offers no way to lose them.
func (e *Env) activeTaskDefinitions(ctx context.Context) ([]string, error) {
	return shared(ctx, e, "ecs:ListTaskDefinitions", func(ctx context.Context) ([]string, error) {
		in := &ecs.ListTaskDefinitionsInput{Status: ecstypes.TaskDefinitionStatusActive}
		return pages(ctx, ecs.NewListTaskDefinitionsPaginator(e.api.ecs, in),
			func(o *ecs.ListTaskDefinitionsOutput) []string { return o.TaskDefinitionArns })
	})
}

func (e *Env) allScalableTargets(ctx context.Context) ([]astypes.ScalableTarget, error) {
	return shared(ctx, e, "application-autoscaling:DescribeScalableTargets", func(ctx context.Context) ([]astypes.ScalableTarget, error) {
		in := &applicationautoscaling.DescribeScalableTargetsInput{ServiceNamespace: astypes.ServiceNamespaceEcs}
		return pages(ctx, applicationautoscaling.NewDescribeScalableTargetsPaginator(e.api.scaling, in),
			func(o *applicationautoscaling.DescribeScalableTargetsOutput) []astypes.ScalableTarget {
				return o.ScalableTargets
			})
	})
}

func (e *Env) allScalingPolicies(ctx context.Context) ([]astypes.ScalingPolicy, error) {
	return shared(ctx, e, "application-autoscaling:DescribeScalingPolicies", func(ctx context.Context) ([]astypes.ScalingPolicy, error) {
		in := &applicationautoscaling.DescribeScalingPoliciesInput{ServiceNamespace: astypes.ServiceNamespaceEcs}
		return pages(ctx, applicationautoscaling.NewDescribeScalingPoliciesPaginator(e.api.scaling, in),
			func(o *applicationautoscaling.DescribeScalingPoliciesOutput) []astypes.ScalingPolicy {
				return o.ScalingPolicies
			})
	})
}

// Load balancing

func (e *Env) allLoadBalancers(ctx context.Context) ([]elbtypes.LoadBalancer, error) {
	return shared(ctx, e, "elbv2:DescribeLoadBalancers", func(ctx context.Context) ([]elbtypes.LoadBalancer, error) {
		return pages(ctx, elb.NewDescribeLoadBalancersPaginator(e.api.elb, &elb.DescribeLoadBalancersInput{}),
			func(o *elb.DescribeLoadBalancersOutput) []elbtypes.LoadBalancer { return o.LoadBalancers })
	})
}

func (e *Env) allTargetGroups(ctx context.Context) ([]elbtypes.TargetGroup, error) {
	return shared(ctx, e, "elbv2:DescribeTargetGroups", func(ctx context.Context) ([]elbtypes.TargetGroup, error) {
		return pages(ctx, elb.NewDescribeTargetGroupsPaginator(e.api.elb, &elb.DescribeTargetGroupsInput{}),
			func(o *elb.DescribeTargetGroupsOutput) []elbtypes.TargetGroup { return o.TargetGroups })
	})
}

func (e *Env) loadBalancerAttributes(ctx context.Context, id string) (map[string]string, error) {
	return shared(ctx, e, "elbv2:DescribeLoadBalancerAttributes "+id, func(ctx context.Context) (map[string]string, error) {
		out, err := e.api.elb.DescribeLoadBalancerAttributes(ctx, &elb.DescribeLoadBalancerAttributesInput{LoadBalancerArn: &id})
		if err != nil {
			return nil, err
		}
		return tagMap(out.Attributes, func(a elbtypes.LoadBalancerAttribute) (*string, *string) { return a.Key, a.Value }), nil
	})
}

func (e *Env) targetGroupAttributes(ctx context.Context, id string) (map[string]string, error) {
	return shared(ctx, e, "elbv2:DescribeTargetGroupAttributes "+id, func(ctx context.Context) (map[string]string, error) {
		out, err := e.api.elb.DescribeTargetGroupAttributes(ctx, &elb.DescribeTargetGroupAttributesInput{TargetGroupArn: &id})
		if err != nil {
			return nil, err
		}
		return tagMap(out.Attributes, func(a elbtypes.TargetGroupAttribute) (*string, *string) { return a.Key, a.Value }), nil
	})
}

func (e *Env) targetHealth(ctx context.Context, id string) ([]elbtypes.TargetHealthDescription, error) {
	return shared(ctx, e, "elbv2:DescribeTargetHealth "+id, func(ctx context.Context) ([]elbtypes.TargetHealthDescription, error) {
		out, err := e.api.elb.DescribeTargetHealth(ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: &id})
		if err != nil {
			return nil, err
		}
		return out.TargetHealthDescriptions, nil
	})
}

func (e *Env) listeners(ctx context.Context, lb string) ([]elbtypes.Listener, error) {
	return shared(ctx, e, "elbv2:DescribeListeners "+lb, func(ctx context.Context) ([]elbtypes.Listener, error) {
		return pages(ctx, elb.NewDescribeListenersPaginator(e.api.elb, &elb.DescribeListenersInput{LoadBalancerArn: &lb}),
			func(o *elb.DescribeListenersOutput) []elbtypes.Listener { return o.Listeners })
	})
}

func (e *Env) rules(ctx context.Context, listener string) ([]elbtypes.Rule, error) {
	return shared(ctx, e, "elbv2:DescribeRules "+listener, func(ctx context.Context) ([]elbtypes.Rule, error) {
		return pages(ctx, elb.NewDescribeRulesPaginator(e.api.elb, &elb.DescribeRulesInput{ListenerArn: &listener}),
			func(o *elb.DescribeRulesOutput) []elbtypes.Rule { return o.Rules })
	})
}

func (e *Env) allCertificates(ctx context.Context) ([]acmtypes.CertificateSummary, error) {
	return shared(ctx, e, "acm:ListCertificates", func(ctx context.Context) ([]acmtypes.CertificateSummary, error) {
		// Without a filter ACM lists RSA 1024 and 2048 only.
		in := &acm.ListCertificatesInput{Includes: &acmtypes.Filters{KeyTypes: acmtypes.KeyAlgorithm("").Values()}}
		return pages(ctx, acm.NewListCertificatesPaginator(e.api.acm, in),
			func(o *acm.ListCertificatesOutput) []acmtypes.CertificateSummary { return o.CertificateSummaryList })
	})
}

func (e *Env) certificate(ctx context.Context, id string) (acmtypes.CertificateDetail, error) {
	return shared(ctx, e, "acm:DescribeCertificate "+id, func(ctx context.Context) (acmtypes.CertificateDetail, error) {
		out, err := e.api.acm.DescribeCertificate(ctx, &acm.DescribeCertificateInput{CertificateArn: &id})
		if err != nil {
			return acmtypes.CertificateDetail{}, err
		}
		if out.Certificate == nil {
			return acmtypes.CertificateDetail{}, errors.New("the answer is empty")
		}
		return *out.Certificate, nil
	})
}

func (e *Env) allWebACLs(ctx context.Context) ([]waftypes.WebACLSummary, error) {
	return shared(ctx, e, "wafv2:ListWebACLs", func(ctx context.Context) ([]waftypes.WebACLSummary, error) {
		var all []waftypes.WebACLSummary
		err := tokens(ctx, func(ctx context.Context, token *string) (*string, error) {
			out, err := e.api.waf.ListWebACLs(ctx, &wafv2.ListWebACLsInput{Scope: waftypes.ScopeRegional, NextMarker: token})
			if err != nil {
				return nil, err
			}
			all = append(all, out.WebACLs...)
			if len(out.WebACLs) == 0 {
				return nil, nil
			}
			return out.NextMarker, nil
		})
		return all, err
	})
}

// Queues, topics, keys

func (e *Env) allQueueURLs(ctx context.Context) ([]string, error) {
	return shared(ctx, e, "sqs:ListQueues", func(ctx context.Context) ([]string, error) {
		// SQS pages only when asked how many a page may hold.
		in := &sqs.ListQueuesInput{MaxResults: aws.Int32(1000)}
		return pages(ctx, sqs.NewListQueuesPaginator(e.api.sqs, in),
			func(o *sqs.ListQueuesOutput) []string { return o.QueueUrls })
	})
}

func (e *Env) allTopics(ctx context.Context) ([]string, error) {
	return shared(ctx, e, "sns:ListTopics", func(ctx context.Context) ([]string, error) {
		topics, err := pages(ctx, sns.NewListTopicsPaginator(e.api.sns, &sns.ListTopicsInput{}),
			func(o *sns.ListTopicsOutput) []snstypes.Topic { return o.Topics })
		var arns []string
		for _, t := range topics {
			arns = append(arns, aws.ToString(t.TopicArn))
		}
		return arns, err
	})
}

func (e *Env) allAliases(ctx context.Context) ([]kmstypes.AliasListEntry, error) {
	return shared(ctx, e, "kms:ListAliases", func(ctx context.Context) ([]kmstypes.AliasListEntry, error) {
		return pages(ctx, kms.NewListAliasesPaginator(e.api.kms, &kms.ListAliasesInput{}),
			func(o *kms.ListAliasesOutput) []kmstypes.AliasListEntry { return o.Aliases })
	})
}

func (e *Env) allKeyIDs(ctx context.Context) ([]string, error) {
	return shared(ctx, e, "kms:ListKeys", func(ctx context.Context) ([]string, error) {
		keys, err := pages(ctx, kms.NewListKeysPaginator(e.api.kms, &kms.ListKeysInput{}),
			func(o *kms.ListKeysOutput) []kmstypes.KeyListEntry { return o.Keys })
		var ids []string
		for _, k := range keys {
			ids = append(ids, aws.ToString(k.KeyId))
		}
		return ids, err
	})
}

func (e *Env) key(ctx context.Context, id string) (kmstypes.KeyMetadata, error) {
	return shared(ctx, e, "kms:DescribeKey "+id, func(ctx context.Context) (kmstypes.KeyMetadata, error) {
		out, err := e.api.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &id})
		if err != nil {
			return kmstypes.KeyMetadata{}, err
		}
		if out.KeyMetadata == nil {
			return kmstypes.KeyMetadata{}, errors.New("the answer is empty")
		}
		return *out.KeyMetadata, nil
	})
}

// Secrets and parameters

func (e *Env) allSecrets(ctx context.Context) ([]smtypes.SecretListEntry, error) {
	return shared(ctx, e, "secretsmanager:ListSecrets", func(ctx context.Context) ([]smtypes.SecretListEntry, error) {
		in := &secretsmanager.ListSecretsInput{IncludePlannedDeletion: aws.Bool(true)}
		return pages(ctx, secretsmanager.NewListSecretsPaginator(e.api.secrets, in),
			func(o *secretsmanager.ListSecretsOutput) []smtypes.SecretListEntry { return o.SecretList })
	})
}

func (e *Env) allParameters(ctx context.Context) ([]ssmtypes.ParameterMetadata, error) {
	return shared(ctx, e, "ssm:DescribeParameters", func(ctx context.Context) ([]ssmtypes.ParameterMetadata, error) {
		return pages(ctx, ssm.NewDescribeParametersPaginator(e.api.ssm, &ssm.DescribeParametersInput{}),
			func(o *ssm.DescribeParametersOutput) []ssmtypes.ParameterMetadata { return o.Parameters })
	})
}

// Logs, alarms, events

func (e *Env) allLogGroups(ctx context.Context) ([]logtypes.LogGroup, error) {
	return shared(ctx, e, "logs:DescribeLogGroups", func(ctx context.Context) ([]logtypes.LogGroup, error) {
		return pages(ctx, cloudwatchlogs.NewDescribeLogGroupsPaginator(e.api.logs, &cloudwatchlogs.DescribeLogGroupsInput{}),
			func(o *cloudwatchlogs.DescribeLogGroupsOutput) []logtypes.LogGroup { return o.LogGroups })
	})
}

func (e *Env) allLogPolicies(ctx context.Context) ([]logtypes.ResourcePolicy, error) {
	return shared(ctx, e, "logs:DescribeResourcePolicies", func(ctx context.Context) ([]logtypes.ResourcePolicy, error) {
		var all []logtypes.ResourcePolicy
		err := tokens(ctx, func(ctx context.Context, token *string) (*string, error) {
			out, err := e.api.logs.DescribeResourcePolicies(ctx, &cloudwatchlogs.DescribeResourcePoliciesInput{NextToken: token})
			if err != nil {
				return nil, err
			}
			all = append(all, out.ResourcePolicies...)
			return out.NextToken, nil
		})
		return all, err
	})
}

func (e *Env) allAlarms(ctx context.Context) ([]cwtypes.MetricAlarm, error) {
	return shared(ctx, e, "cloudwatch:DescribeAlarms", func(ctx context.Context) ([]cwtypes.MetricAlarm, error) {
		return pages(ctx, cloudwatch.NewDescribeAlarmsPaginator(e.api.cw, &cloudwatch.DescribeAlarmsInput{}),
			func(o *cloudwatch.DescribeAlarmsOutput) []cwtypes.MetricAlarm { return o.MetricAlarms })
	})
}

func (e *Env) allDashboards(ctx context.Context) ([]cwtypes.DashboardEntry, error) {
	return shared(ctx, e, "cloudwatch:ListDashboards", func(ctx context.Context) ([]cwtypes.DashboardEntry, error) {
		return pages(ctx, cloudwatch.NewListDashboardsPaginator(e.api.cw, &cloudwatch.ListDashboardsInput{}),
			func(o *cloudwatch.ListDashboardsOutput) []cwtypes.DashboardEntry { return o.DashboardEntries })
	})
}

func (e *Env) allEventRules(ctx context.Context) ([]eventtypes.Rule, error) {
	return shared(ctx, e, "events:ListRules", func(ctx context.Context) ([]eventtypes.Rule, error) {
		var all []eventtypes.Rule
		err := tokens(ctx, func(ctx context.Context, token *string) (*string, error) {
			out, err := e.api.events.ListRules(ctx, &eventbridge.ListRulesInput{NextToken: token})
			if err != nil {
				return nil, err
			}
			all = append(all, out.Rules...)
			return out.NextToken, nil
		})
		return all, err
	})
}

func (e *Env) ruleTargets(ctx context.Context, rule string) ([]eventtypes.Target, error) {
	return shared(ctx, e, "events:ListTargetsByRule "+rule, func(ctx context.Context) ([]eventtypes.Target, error) {
		var all []eventtypes.Target
		err := tokens(ctx, func(ctx context.Context, token *string) (*string, error) {
			out, err := e.api.events.ListTargetsByRule(ctx, &eventbridge.ListTargetsByRuleInput{Rule: &rule, NextToken: token})
			if err != nil {
				return nil, err
			}
			all = append(all, out.Targets...)
			return out.NextToken, nil
		})
		return all, err
	})
}

// Roles and buckets

func (e *Env) allRoles(ctx context.Context) ([]iamtypes.Role, error) {
	return shared(ctx, e, "iam:ListRoles", func(ctx context.Context) ([]iamtypes.Role, error) {
		return pages(ctx, iam.NewListRolesPaginator(e.api.iam, &iam.ListRolesInput{}),
			func(o *iam.ListRolesOutput) []iamtypes.Role { return o.Roles })
	})
}

func (e *Env) allPolicies(ctx context.Context) ([]iamtypes.Policy, error) {
	return shared(ctx, e, "iam:ListPolicies", func(ctx context.Context) ([]iamtypes.Policy, error) {
		in := &iam.ListPoliciesInput{Scope: iamtypes.PolicyScopeTypeLocal}
		return pages(ctx, iam.NewListPoliciesPaginator(e.api.iam, in),
			func(o *iam.ListPoliciesOutput) []iamtypes.Policy { return o.Policies })
	})
}

func (e *Env) allBuckets(ctx context.Context) ([]s3types.Bucket, error) {
	return shared(ctx, e, "s3:ListBuckets", func(ctx context.Context) ([]s3types.Bucket, error) {
		return pages(ctx, s3.NewListBucketsPaginator(e.api.s3, &s3.ListBucketsInput{}),
			func(o *s3.ListBucketsOutput) []s3types.Bucket { return o.Buckets })
	})
}
