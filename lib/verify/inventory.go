package verify

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	acmtypes "github.com/aws/aws-sdk-go-v2/service/acm/types"
	astypes "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	tagtypes "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi/types"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	route53types "github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/aws-sdk-go-v2/service/wafv2"
	waftypes "github.com/aws/aws-sdk-go-v2/service/wafv2/types"
	"github.com/aws/smithy-go"

	"tapstack/lib"
	"tapstack/lib/cloud"
	"tapstack/lib/policy"
)

// resource is one AWS resource as its own service lists it.
type resource struct {
	kind kind
	name string // its name, or its Name tag where it has none of its own
	id   string // what the service wants to hear in order to tell the tags
	arn  string
	vpc  string // the VPC that it stands in, where it does
	// related belongs to something that is the stack's own, whatever its own name.
	related bool
	// of holds the ARNs of what it is part of or made for, where that tells whose it is.
	of []string
	// bound says that AWS makes it and removes it together with what it is of.
	bound bool
	tags  map[string]string
	// tagsErr is why the tags are not known.
	tagsErr error
}

// source lists one kind of resource, everything in the account and region.
type source struct {
	kind kind
	list func(ctx context.Context, e *Env) ([]resource, error)
	// tags asks for the tags of one resource, where the list does not have them; nil where it does.
	tags func(ctx context.Context, e *Env, r resource) (map[string]string, error)
	// bare kinds cannot be tagged, or not by the stack.
	bare bool
}

// sources is every kind of resource that the stack uses.
func sources() []source {
	return []source{
		{kind: kindVPC, list: listVPCs},
		{kind: kindSubnet, list: listSubnets},
		{kind: kindInternetGateway, list: listInternetGateways},
		{kind: kindNAT, list: listNATs},
		{kind: kindAddress, list: listAddresses},
		{kind: kindRouteTable, list: listRouteTables},
		{kind: kindSecurityGroup, list: listSecurityGroups},
		{kind: kindGroupRule, list: listGroupRules},
		{kind: kindEndpoint, list: listEndpoints},
		{kind: kindFlowLog, list: listFlowLogs},
		{kind: kindInterface, list: listInterfaces, bare: true},
		{kind: kindDBCluster, list: listDBClusters},
		{kind: kindDBInstance, list: listDBInstances},
		{kind: kindDBSubnetGroup, list: listDBSubnetGroups, tags: rdsTags},
		{kind: kindDBParameters, list: listDBParameterGroups, tags: rdsTags},
		{kind: kindDBEvents, list: listEventSubscriptions, tags: rdsTags},
		{kind: kindDBSnapshot, list: listSnapshots, bare: true},
		{kind: kindDBBackup, list: listBackups, bare: true},
		{kind: kindECSCluster, list: listClusters},
		{kind: kindECSService, list: listServices},
		{kind: kindTaskDefinition, list: listTaskDefinitions, tags: taskDefinitionTags},
		{kind: kindScalableTarget, list: listScalableTargets, tags: scalingTags},
		{kind: kindScalingPolicy, list: listScalingPolicies, bare: true},
		{kind: kindLoadBalancer, list: listLoadBalancers, tags: elbTags},
		{kind: kindTargetGroup, list: listTargetGroups, tags: elbTags},
		{kind: kindListener, list: listListeners},
		{kind: kindListenerRule, list: listListenerRules},
		{kind: kindCertificate, list: listCertificates},
		{kind: kindWebACL, list: listWebACLs, tags: wafTags},
		{kind: kindQueue, list: listQueues, tags: queueTags},
		{kind: kindTopic, list: listTopics, tags: topicTags},
		{kind: kindKey, list: listKeys},
		{kind: kindAlias, list: listAliases, bare: true},
		{kind: kindSecret, list: listSecrets},
		{kind: kindParameter, list: listParameters, tags: parameterTags},
		{kind: kindLogGroup, list: listLogGroups, tags: logGroupTags},
		{kind: kindLogPolicy, list: listLogPolicies, bare: true},
		{kind: kindAlarm, list: listAlarms, tags: alarmTags},
		{kind: kindDashboard, list: listDashboards, bare: true},
		{kind: kindEventRule, list: listEventRules, tags: eventRuleTags},
		{kind: kindRole, list: listRoles, tags: roleTags},
		{kind: kindPolicy, list: listPolicies, bare: true},
		{kind: kindBucket, list: listBuckets, tags: bucketTags},
		{kind: kindRecord, list: listRecords, bare: true},
		{kind: kindOther, list: listOthers, bare: true},
	}
}

// taggable tells whether resources of a kind carry tags.
func taggable(k kind) bool {
	i := slices.IndexFunc(sources(), func(s source) bool { return s.kind == k })
	return i >= 0 && !sources()[i].bare
}

// inventory is everything of the stack that the services of AWS list, each asked by itself, with its tags. A kind that
// cannot be listed fails it: nobody could tell what is missing.
func (e *Env) inventory(ctx context.Context) ([]resource, error) {
	return cloud.Once(ctx, e.cloud, "the inventory", func(ctx context.Context) ([]resource, error) {
		return inParallel(sources(), func(s source) ([]resource, error) { return e.ownOf(ctx, s) })
	})
}

// inParallel collects what work makes of each item, a bounded number at a time, in the order of the items.
func inParallel[T, R any](items []T, work func(T) ([]R, error)) ([]R, error) {
	made := make([][]R, len(items))
	faults := make([]error, len(items))
	var wg sync.WaitGroup
	slot := make(chan struct{}, defaultConcurrency)
	for i, item := range items {
		wg.Go(func() {
			slot <- struct{}{}
			defer func() { <-slot }()
			made[i], faults[i] = work(item)
		})
	}
	wg.Wait()
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return slices.Concat(made...), nil
}

// ownOf is what the stack owns of one kind. A name that only ends in the suffix is not enough: the tags must agree. A
// resource in the stack's own VPC is its own whatever its name.
func (e *Env) ownOf(ctx context.Context, s source) ([]resource, error) {
	all, err := s.list(ctx, e)
	if err != nil {
		return nil, fmt.Errorf("listing each %s: %w", s.kind, err)
	}
	own, err := e.ownVPCs(ctx)
	if err != nil {
		return nil, err
	}
	var out []resource
	for _, r := range all {
		r.kind = s.kind
		verdict := e.owner().judge(s.kind, r.name)
		if r.related || r.vpc != "" && slices.Contains(own, r.vpc) {
			verdict = ours
		}
		if verdict == foreign {
			continue
		}
		if s.tags != nil {
			r.tags, r.tagsErr = s.tags(ctx, e, r)
		}
		if r.tagsErr != nil && cloud.IsNotFound(r.tagsErr) {
			continue // listed, but gone: some lists lag behind
		}
		if verdict == unsure {
			if r.tagsErr != nil {
				return nil, fmt.Errorf("telling whose %s %s is: %w", s.kind, r.name, r.tagsErr)
			}
			if r.tags[tagBatch] != briefTags()[tagBatch] {
				continue
			}
		}
		out = append(out, r)
	}
	return out, nil
}

// ownVPCs are the VPC that the stack puts out, and those whose Name tag is the stack's.
func (e *Env) ownVPCs(ctx context.Context) ([]string, error) {
	all, err := e.cloud.VPCs(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, v := range all {
		if e.outputs[lib.OutputVpcID] == aws.ToString(v.VpcId) || e.owner().judge(kindVPC, ec2Tags(v.Tags)[tagName]) == ours {
			ids = append(ids, aws.ToString(v.VpcId))
		}
	}
	return ids, nil
}

func ec2Tags(tags []ec2types.Tag) map[string]string {
	return cloud.TagMap(tags, func(t ec2types.Tag) (*string, *string) { return t.Key, t.Value })
}

// ec2Resource is a resource whose name is its Name tag.
func (e *Env) ec2Resource(ctx context.Context, part string, id *string, tags []ec2types.Tag, vpc *string) resource {
	m := ec2Tags(tags)
	return resource{name: m[tagName], arn: e.cloud.EC2ARN(ctx, part, aws.ToString(id)), tags: m, vpc: aws.ToString(vpc)}
}

// listed makes resources of the items of an answer.
func listed[T any](items []T, err error, each func(T) (resource, bool)) ([]resource, error) {
	if err != nil {
		return nil, err
	}
	var out []resource
	for _, item := range items {
		if r, ok := each(item); ok {
			out = append(out, r)
		}
	}
	return out, nil
}

// Network

func listVPCs(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.VPCs(ctx)
	return listed(all, err, func(v ec2types.Vpc) (resource, bool) {
		return e.ec2Resource(ctx, "vpc", v.VpcId, v.Tags, v.VpcId), true
	})
}

func listSubnets(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.Subnets(ctx)
	return listed(all, err, func(n ec2types.Subnet) (resource, bool) {
		return e.ec2Resource(ctx, "subnet", n.SubnetId, n.Tags, n.VpcId), true
	})
}

func listInternetGateways(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.InternetGateways(ctx)
	return listed(all, err, func(g ec2types.InternetGateway) (resource, bool) {
		var vpc *string
		if len(g.Attachments) > 0 {
			vpc = g.Attachments[0].VpcId
		}
		return e.ec2Resource(ctx, "internet-gateway", g.InternetGatewayId, g.Tags, vpc), true
	})
}

func listNATs(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.NATGateways(ctx)
	return listed(all, err, func(g ec2types.NatGateway) (resource, bool) {
		return e.ec2Resource(ctx, "natgateway", g.NatGatewayId, g.Tags, g.VpcId), true
	})
}

func listAddresses(ctx context.Context, e *Env) ([]resource, error) {
	gateways, err := e.cloud.NATGateways(ctx)
	if err != nil {
		return nil, err
	}
	vpcOf := map[string]*string{}
	for _, g := range gateways {
		for _, a := range g.NatGatewayAddresses {
			vpcOf[aws.ToString(a.AllocationId)] = g.VpcId
		}
	}
	all, err := e.cloud.Addresses(ctx)
	return listed(all, err, func(a ec2types.Address) (resource, bool) {
		return e.ec2Resource(ctx, "elastic-ip", a.AllocationId, a.Tags, vpcOf[aws.ToString(a.AllocationId)]), true
	})
}

// listRouteTables leaves out the main ones, which come and go with their VPCs.
func listRouteTables(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.RouteTables(ctx)
	return listed(all, err, func(t ec2types.RouteTable) (resource, bool) {
		return e.ec2Resource(ctx, "route-table", t.RouteTableId, t.Tags, t.VpcId), !parseRouteTable(t).main
	})
}

func listSecurityGroups(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.SecurityGroups(ctx)
	return listed(all, err, func(g ec2types.SecurityGroup) (resource, bool) {
		r := e.ec2Resource(ctx, "security-group", g.GroupId, g.Tags, g.VpcId)
		if aws.ToString(g.GroupName) != roleDefault {
			r.name = aws.ToString(g.GroupName)
		} else {
			r.of, r.bound = []string{e.cloud.EC2ARN(ctx, "vpc", aws.ToString(g.VpcId))}, true
		}
		return r, true
	})
}

// listGroupRules puts each rule into the VPC of its group.
func listGroupRules(ctx context.Context, e *Env) ([]resource, error) {
	groups, err := e.cloud.SecurityGroups(ctx)
	if err != nil {
		return nil, err
	}
	vpcOf := map[string]*string{}
	for _, g := range groups {
		vpcOf[aws.ToString(g.GroupId)] = g.VpcId
	}
	all, err := e.cloud.SecurityGroupRules(ctx)
	return listed(all, err, func(r ec2types.SecurityGroupRule) (resource, bool) {
		rule := e.ec2Resource(ctx, "security-group-rule", r.SecurityGroupRuleId, r.Tags, vpcOf[aws.ToString(r.GroupId)])
		rule.of = []string{e.cloud.EC2ARN(ctx, "security-group", aws.ToString(r.GroupId))}
		return rule, true
	})
}

func listEndpoints(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.VPCEndpoints(ctx)
	return listed(all, err, func(v ec2types.VpcEndpoint) (resource, bool) {
		return e.ec2Resource(ctx, "vpc-endpoint", v.VpcEndpointId, v.Tags, v.VpcId), true
	})
}

func listFlowLogs(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.FlowLogs(ctx)
	return listed(all, err, func(f ec2types.FlowLog) (resource, bool) {
		return e.ec2Resource(ctx, "vpc-flow-log", f.FlowLogId, f.Tags, f.ResourceId), true
	})
}

func listInterfaces(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.NetworkInterfaces(ctx)
	return listed(all, err, func(i ec2types.NetworkInterface) (resource, bool) {
		r := e.ec2Resource(ctx, "network-interface", i.NetworkInterfaceId, i.TagSet, i.VpcId)
		if i.Attachment == nil || i.Attachment.InstanceId == nil {
			r.of = []string{e.cloud.EC2ARN(ctx, "vpc", aws.ToString(i.VpcId))} // a service's; the stack has no machines
		}
		return r, true
	})
}

// Database

func rdsTagMap(tags []rdstypes.Tag) map[string]string {
	return cloud.TagMap(tags, func(t rdstypes.Tag) (*string, *string) { return t.Key, t.Value })
}

func rdsTags(ctx context.Context, e *Env, r resource) (map[string]string, error) {
	return e.cloud.RDSTags(ctx, r.arn)
}

func listDBClusters(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.DBClusters(ctx)
	return listed(all, err, func(c rdstypes.DBCluster) (resource, bool) {
		return resource{name: aws.ToString(c.DBClusterIdentifier), arn: aws.ToString(c.DBClusterArn), tags: rdsTagMap(c.TagList)}, true
	})
}

func listDBInstances(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.DBInstances(ctx)
	return listed(all, err, func(i rdstypes.DBInstance) (resource, bool) {
		r := resource{name: aws.ToString(i.DBInstanceIdentifier), arn: aws.ToString(i.DBInstanceArn), tags: rdsTagMap(i.TagList)}
		if i.DBClusterIdentifier != nil {
			r.of = []string{e.cloud.ARN(ctx, "rds", "cluster:"+*i.DBClusterIdentifier)}
		}
		return r, true
	})
}

func listDBSubnetGroups(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.DBSubnetGroups(ctx)
	return listed(all, err, func(g rdstypes.DBSubnetGroup) (resource, bool) {
		return resource{name: aws.ToString(g.DBSubnetGroupName), arn: aws.ToString(g.DBSubnetGroupArn)}, true
	})
}

func listDBParameterGroups(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.DBClusterParameterGroups(ctx)
	return listed(all, err, func(g rdstypes.DBClusterParameterGroup) (resource, bool) {
		return resource{name: aws.ToString(g.DBClusterParameterGroupName), arn: aws.ToString(g.DBClusterParameterGroupArn)}, true
	})
}

func listEventSubscriptions(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.EventSubscriptions(ctx)
	return listed(all, err, func(s rdstypes.EventSubscription) (resource, bool) {
		return resource{name: aws.ToString(s.CustSubscriptionId), arn: aws.ToString(s.EventSubscriptionArn)}, true
	})
}

// listSnapshots knows snapshots by the cluster or instance that they are of. Those that RDS takes by itself are part of
// the automated backups and go with them, so that a target without such backups, which cannot make them go, is not asked
// about them.
func listSnapshots(ctx context.Context, e *Env) ([]resource, error) {
	clusters, err := e.cloud.DBClusterSnapshots(ctx)
	if err != nil {
		return nil, err
	}
	instances, err := e.cloud.DBSnapshots(ctx)
	if err != nil {
		return nil, err
	}
	backups, err := e.cloud.DBClusterBackups(ctx)
	if err != nil {
		return nil, err
	}
	var out []resource
	note := func(of, id, arn, snapshotType *string, source string, tags []rdstypes.Tag) {
		automated := aws.ToString(snapshotType) == "automated"
		if backups.Supported || !automated {
			r := resource{name: aws.ToString(of), id: aws.ToString(id), arn: aws.ToString(arn), tags: rdsTagMap(tags), bound: automated}
			r.of = []string{e.cloud.ARN(ctx, "rds", source+":"+r.name)}
			out = append(out, r)
		}
	}
	for _, s := range clusters {
		note(s.DBClusterIdentifier, s.DBClusterSnapshotIdentifier, s.DBClusterSnapshotArn, s.SnapshotType, "cluster", s.TagList)
	}
	for _, s := range instances {
		note(s.DBInstanceIdentifier, s.DBSnapshotIdentifier, s.DBSnapshotArn, s.SnapshotType, "db", s.TagList)
	}
	return out, nil
}

// listBackups leaves out the backups of clusters that are there.
func listBackups(ctx context.Context, e *Env) ([]resource, error) {
	backups, err := e.cloud.DBClusterBackups(ctx)
	return listed(backups.List, err, func(b rdstypes.DBClusterAutomatedBackup) (resource, bool) {
		r := resource{
			name: aws.ToString(b.DBClusterIdentifier), id: aws.ToString(b.DbClusterResourceId),
			arn: aws.ToString(b.DBClusterAutomatedBackupsArn), tags: rdsTagMap(b.TagList),
		}
		return r, aws.ToString(b.Status) != "active"
	})
}

// Application

func ecsTags(tags []ecstypes.Tag) map[string]string {
	return cloud.TagMap(tags, func(t ecstypes.Tag) (*string, *string) { return t.Key, t.Value })
}

func listClusters(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.ECSClusters(ctx)
	return listed(all, err, func(c ecstypes.Cluster) (resource, bool) {
		return resource{name: aws.ToString(c.ClusterName), arn: aws.ToString(c.ClusterArn), tags: ecsTags(c.Tags)}, true
	})
}

func listServices(ctx context.Context, e *Env) ([]resource, error) {
	clusters, err := e.cloud.ECSClusters(ctx)
	if err != nil {
		return nil, err
	}
	var out []resource
	for _, c := range clusters {
		name := aws.ToString(c.ClusterName)
		if !e.owner().owns(kindECSCluster, name) {
			continue
		}
		services, err := e.cloud.ECSServices(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, s := range services {
			out = append(out, resource{
				name: aws.ToString(s.ServiceName), arn: aws.ToString(s.ServiceArn), tags: ecsTags(s.Tags),
				of: []string{aws.ToString(c.ClusterArn)},
			})
		}
	}
	return out, nil
}

func listTaskDefinitions(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.TaskDefinitionARNs(ctx)
	return listed(all, err, func(id string) (resource, bool) {
		family, _, _ := strings.Cut(id[strings.LastIndex(id, "/")+1:], ":")
		return resource{name: family, arn: id}, true
	})
}

func taskDefinitionTags(ctx context.Context, e *Env, r resource) (map[string]string, error) {
	td, err := e.cloud.TaskDefinition(ctx, r.arn)
	return ecsTags(td.Tags), err
}

func listScalableTargets(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.ScalableTargets(ctx)
	return listed(all, err, func(t astypes.ScalableTarget) (resource, bool) {
		name := aws.ToString(t.ResourceId) // service/CLUSTER/SERVICE, as in the ARN of the service
		return resource{name: name, arn: aws.ToString(t.ScalableTargetARN), of: []string{e.cloud.ARN(ctx, "ecs", name)}}, true
	})
}

func scalingTags(ctx context.Context, e *Env, r resource) (map[string]string, error) {
	return e.cloud.ScalingTags(ctx, r.arn)
}

func listScalingPolicies(ctx context.Context, e *Env) ([]resource, error) {
	targets, err := e.cloud.ScalableTargets(ctx)
	if err != nil {
		return nil, err
	}
	arnOf := map[string]string{}
	for _, t := range targets {
		arnOf[aws.ToString(t.ResourceId)] = aws.ToString(t.ScalableTargetARN)
	}
	all, err := e.cloud.ScalingPolicies(ctx)
	return listed(all, err, func(p astypes.ScalingPolicy) (resource, bool) {
		id := aws.ToString(p.ResourceId)
		of := arnOf[id]
		if of == "" {
			of = e.cloud.ARN(ctx, "ecs", id) // the service itself, when nothing is registered for it
		}
		return resource{name: aws.ToString(p.PolicyName), id: id, arn: aws.ToString(p.PolicyARN), of: []string{of}}, true
	})
}

// Load balancing

func listLoadBalancers(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.LoadBalancers(ctx)
	return listed(all, err, func(b elbtypes.LoadBalancer) (resource, bool) {
		return resource{name: aws.ToString(b.LoadBalancerName), arn: aws.ToString(b.LoadBalancerArn), vpc: aws.ToString(b.VpcId)}, true
	})
}

func listTargetGroups(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.TargetGroups(ctx)
	return listed(all, err, func(g elbtypes.TargetGroup) (resource, bool) {
		return resource{name: aws.ToString(g.TargetGroupName), arn: aws.ToString(g.TargetGroupArn), vpc: aws.ToString(g.VpcId)}, true
	})
}

func elbTags(ctx context.Context, e *Env, r resource) (map[string]string, error) {
	out, err := e.cloud.ELB.DescribeTags(ctx, &elb.DescribeTagsInput{ResourceArns: []string{r.arn}})
	if err != nil {
		return nil, err
	}
	for _, d := range out.TagDescriptions {
		if aws.ToString(d.ResourceArn) == r.arn {
			return cloud.TagMap(d.Tags, func(t elbtypes.Tag) (*string, *string) { return t.Key, t.Value }), nil
		}
	}
	return nil, fmt.Errorf("DescribeTags says nothing of %s", r.arn)
}

// ownBalancer tells whether a load balancer is the stack's, beyond doubt.
func (e *Env) ownBalancer(b elbtypes.LoadBalancer) bool {
	return e.outputs[lib.OutputAlbArn] == aws.ToString(b.LoadBalancerArn) ||
		e.owner().judge(kindLoadBalancer, aws.ToString(b.LoadBalancerName)) == ours
}

// ownListeners are the listeners of the load balancers that carry the suffix; they go when those go. The ones of a load
// balancer that is the stack's beyond doubt are its own whatever their names.
func (e *Env) ownListeners(ctx context.Context) (listeners []elbtypes.Listener, related map[string]bool, err error) {
	balancers, err := e.cloud.LoadBalancers(ctx)
	if err != nil {
		return nil, nil, err
	}
	related = map[string]bool{}
	for _, b := range balancers {
		own := e.ownBalancer(b)
		if !own && !e.owner().owns(kindLoadBalancer, aws.ToString(b.LoadBalancerName)) {
			continue
		}
		some, err := e.cloud.Listeners(ctx, aws.ToString(b.LoadBalancerArn))
		if err != nil {
			return nil, nil, err
		}
		for _, l := range some {
			related[aws.ToString(l.ListenerArn)] = own
		}
		listeners = append(listeners, some...)
	}
	return listeners, related, nil
}

func (e *Env) elbResource(ctx context.Context, id, of string, related bool) resource {
	r := resource{arn: id, related: related, of: []string{of}}
	r.tags, r.tagsErr = elbTags(ctx, e, r)
	r.name = r.tags[tagName]
	return r
}

func listListeners(ctx context.Context, e *Env) ([]resource, error) {
	all, related, err := e.ownListeners(ctx)
	return listed(all, err, func(l elbtypes.Listener) (resource, bool) {
		id := aws.ToString(l.ListenerArn)
		return e.elbResource(ctx, id, aws.ToString(l.LoadBalancerArn), related[id]), true
	})
}

func listListenerRules(ctx context.Context, e *Env) ([]resource, error) {
	listeners, related, err := e.ownListeners(ctx)
	if err != nil {
		return nil, err
	}
	var out []resource
	for _, l := range listeners {
		id := aws.ToString(l.ListenerArn)
		rules, err := e.cloud.ListenerRules(ctx, id)
		if err != nil {
			return nil, err
		}
		for _, r := range rules {
			if !aws.ToBool(r.IsDefault) {
				out = append(out, e.elbResource(ctx, aws.ToString(r.RuleArn), id, related[id]))
			}
		}
	}
	return out, nil
}

// listCertificates asks every certificate for its tags: nothing else tells whose it is. That a listener presents one
// proves nothing: the configuration may have brought it along.
func listCertificates(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.Certificates(ctx)
	if err != nil {
		return nil, err
	}
	var out []resource
	for _, c := range all {
		answer, err := e.cloud.ACM.ListTagsForCertificate(ctx, &acm.ListTagsForCertificateInput{CertificateArn: c.CertificateArn})
		if err != nil && cloud.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		tags := cloud.TagMap(answer.Tags, func(t acmtypes.Tag) (*string, *string) { return t.Key, t.Value })
		out = append(out, resource{name: tags[tagName], arn: aws.ToString(c.CertificateArn), tags: tags})
	}
	return out, nil
}

func listWebACLs(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.WebACLs(ctx)
	return listed(all, err, func(a waftypes.WebACLSummary) (resource, bool) {
		return resource{name: aws.ToString(a.Name), arn: aws.ToString(a.ARN)}, true
	})
}

func wafTags(ctx context.Context, e *Env, r resource) (map[string]string, error) {
	out, err := e.cloud.WAF.ListTagsForResource(ctx, &wafv2.ListTagsForResourceInput{ResourceARN: &r.arn})
	if err != nil {
		return nil, err
	}
	if out.TagInfoForResource == nil {
		return nil, nil
	}
	return cloud.TagMap(out.TagInfoForResource.TagList, func(t waftypes.Tag) (*string, *string) { return t.Key, t.Value }), nil
}

// Queues, topics, keys

func listQueues(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.QueueURLs(ctx)
	return listed(all, err, func(address string) (resource, bool) {
		name := path.Base(address)
		return resource{name: name, id: address, arn: e.cloud.ARN(ctx, "sqs", name)}, true
	})
}

func queueTags(ctx context.Context, e *Env, r resource) (map[string]string, error) {
	return e.cloud.QueueTags(ctx, r.id)
}

func listTopics(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.Topics(ctx)
	return listed(all, err, func(t snstypes.Topic) (resource, bool) {
		id := aws.ToString(t.TopicArn)
		return resource{name: id[strings.LastIndex(id, ":")+1:], arn: id}, true
	})
}

func topicTags(ctx context.Context, e *Env, r resource) (map[string]string, error) {
	out, err := e.cloud.SNS.ListTagsForResource(ctx, &sns.ListTagsForResourceInput{ResourceArn: &r.arn})
	if err != nil {
		return nil, err
	}
	return cloud.TagMap(out.Tags, func(t snstypes.Tag) (*string, *string) { return t.Key, t.Value }), nil
}

// listKeys leaves out AWS's own keys and those that wait for their deletion, which nobody can hasten.
func listKeys(ctx context.Context, e *Env) ([]resource, error) {
	keys, err := e.cloud.Keys(ctx)
	if err != nil {
		return nil, err
	}
	own := ""
	if _, deployed := e.outputs[lib.OutputAlertsTopicArn]; deployed {
		topic, err := e.topic(ctx)
		if err != nil && !cloud.IsNotFound(err) {
			return nil, err
		}
		own = topic["KmsMasterKeyId"]
	}
	var out []resource
	for _, k := range keys {
		id := aws.ToString(k.KeyId)
		key, err := e.cloud.Key(ctx, id)
		if err != nil {
			return nil, err
		}
		if key.KeyManager == kmstypes.KeyManagerTypeAws || key.KeyState == kmstypes.KeyStatePendingDeletion {
			continue
		}
		tags, err := cloud.Pages(ctx, kms.NewListResourceTagsPaginator(e.cloud.KMS, &kms.ListResourceTagsInput{KeyId: &id}),
			func(o *kms.ListResourceTagsOutput) []kmstypes.Tag { return o.Tags })
		if err != nil {
			return nil, fmt.Errorf("reading the tags of key %s: %w", id, err)
		}
		m := cloud.TagMap(tags, func(t kmstypes.Tag) (*string, *string) { return t.TagKey, t.TagValue })
		arn := aws.ToString(key.Arn)
		out = append(out, resource{name: m[tagName], arn: arn, tags: m, related: arn == own})
	}
	return out, nil
}

func listAliases(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.KeyAliases(ctx)
	return listed(all, err, func(a kmstypes.AliasListEntry) (resource, bool) {
		return resource{
			name: aws.ToString(a.AliasName), arn: aws.ToString(a.AliasArn),
			of: []string{e.cloud.ARN(ctx, "kms", "key/"+aws.ToString(a.TargetKeyId))},
		}, true
	})
}

// Secrets and parameters

func listSecrets(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.Secrets(ctx)
	return listed(all, err, func(s smtypes.SecretListEntry) (resource, bool) {
		tags := cloud.TagMap(s.Tags, func(t smtypes.Tag) (*string, *string) { return t.Key, t.Value })
		return resource{name: aws.ToString(s.Name), arn: aws.ToString(s.ARN), tags: tags}, true
	})
}

func listParameters(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.Parameters(ctx)
	return listed(all, err, func(p ssmtypes.ParameterMetadata) (resource, bool) {
		name := aws.ToString(p.Name)
		return resource{name: name, arn: e.cloud.ARN(ctx, "ssm", "parameter/"+strings.TrimPrefix(name, "/"))}, true
	})
}

func parameterTags(ctx context.Context, e *Env, r resource) (map[string]string, error) {
	out, err := e.cloud.SSM.ListTagsForResource(ctx, &ssm.ListTagsForResourceInput{
		ResourceType: ssmtypes.ResourceTypeForTaggingParameter, ResourceId: &r.name,
	})
	if err != nil {
		return nil, err
	}
	return cloud.TagMap(out.TagList, func(t ssmtypes.Tag) (*string, *string) { return t.Key, t.Value }), nil
}

// Logs, alarms, events

func listLogGroups(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.LogGroups(ctx)
	return listed(all, err, func(g logtypes.LogGroup) (resource, bool) {
		name := aws.ToString(g.LogGroupName)
		return resource{name: name, arn: strings.TrimSuffix(aws.ToString(g.Arn), ":*"), of: e.writers(ctx, name)}, true
	})
}

// writers are what AWS makes a log group for by itself, where nobody made it before: an Aurora cluster, an ECS cluster.
func (e *Env) writers(ctx context.Context, logGroup string) []string {
	for prefix, of := range map[string][2]string{
		"/aws/rds/cluster/":           {"rds", "cluster:"},
		"/aws/ecs/containerinsights/": {"ecs", "cluster/"},
	} {
		if rest, found := strings.CutPrefix(logGroup, prefix); found {
			name, _, _ := strings.Cut(rest, "/")
			return []string{e.cloud.ARN(ctx, of[0], of[1]+name)}
		}
	}
	return nil
}

func logGroupTags(ctx context.Context, e *Env, r resource) (map[string]string, error) {
	out, err := e.cloud.Logs.ListTagsForResource(ctx, &cloudwatchlogs.ListTagsForResourceInput{ResourceArn: &r.arn})
	if err != nil {
		return nil, err
	}
	return out.Tags, nil
}

func listLogPolicies(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.LogResourcePolicies(ctx)
	return listed(all, err, func(p logtypes.ResourcePolicy) (resource, bool) {
		name := aws.ToString(p.PolicyName)
		return resource{name: name, arn: e.cloud.ARN(ctx, "logs", "resource-policy:"+name), of: namedIn(aws.ToString(p.PolicyDocument))}, true
	})
}

// namedIn are the log groups that a resource policy lets services write to, and whatever else it names; nil when nobody
// can tell.
func namedIn(document string) []string {
	p, err := policy.Parse(document)
	if err != nil {
		return nil
	}
	var all []string
	for _, s := range policy.Statements(p) {
		resources := policy.Values(s.Resource)
		if len(resources) == 0 {
			return nil
		}
		for _, id := range resources {
			all = append(all, strings.TrimSuffix(id, ":*"))
		}
	}
	return all
}

func listAlarms(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.Alarms(ctx)
	return listed(all, err, func(a cwtypes.MetricAlarm) (resource, bool) {
		r := resource{name: aws.ToString(a.AlarmName), arn: aws.ToString(a.AlarmArn)}
		if fromAWS(resource{kind: kindAlarm, name: r.name}) {
			for _, action := range a.AlarmActions { // the scaling policy's ARN, at times with more behind it
				scalingPolicy, _, _ := strings.Cut(action, ":createdBy/")
				r.of = append(r.of, scalingPolicy)
			}
		}
		return r, true
	})
}

func alarmTags(ctx context.Context, e *Env, r resource) (map[string]string, error) {
	out, err := e.cloud.CloudWatch.ListTagsForResource(ctx, &cloudwatch.ListTagsForResourceInput{ResourceARN: &r.arn})
	if err != nil {
		return nil, err
	}
	return cloud.TagMap(out.Tags, func(t cwtypes.Tag) (*string, *string) { return t.Key, t.Value }), nil
}

func listDashboards(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.Dashboards(ctx)
	return listed(all, err, func(d cwtypes.DashboardEntry) (resource, bool) {
		return resource{name: aws.ToString(d.DashboardName), arn: aws.ToString(d.DashboardArn)}, true
	})
}

func listEventRules(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.EventRules(ctx)
	return listed(all, err, func(r eventtypes.Rule) (resource, bool) {
		return resource{name: aws.ToString(r.Name), arn: aws.ToString(r.Arn)}, true
	})
}

func eventRuleTags(ctx context.Context, e *Env, r resource) (map[string]string, error) {
	out, err := e.cloud.EventBridge.ListTagsForResource(ctx, &eventbridge.ListTagsForResourceInput{ResourceARN: &r.arn})
	if err != nil {
		return nil, err
	}
	return cloud.TagMap(out.Tags, func(t eventtypes.Tag) (*string, *string) { return t.Key, t.Value }), nil
}

// Roles, buckets, records

func listRoles(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.Roles(ctx)
	return listed(all, err, func(r iamtypes.Role) (resource, bool) {
		return resource{name: aws.ToString(r.RoleName), arn: aws.ToString(r.Arn)}, true
	})
}

func roleTags(ctx context.Context, e *Env, r resource) (map[string]string, error) {
	tags, err := cloud.Pages(ctx, iam.NewListRoleTagsPaginator(e.cloud.IAM, &iam.ListRoleTagsInput{RoleName: &r.name}),
		func(o *iam.ListRoleTagsOutput) []iamtypes.Tag { return o.Tags })
	return cloud.TagMap(tags, func(t iamtypes.Tag) (*string, *string) { return t.Key, t.Value }), err
}

func listPolicies(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.Policies(ctx)
	return listed(all, err, func(p iamtypes.Policy) (resource, bool) {
		return resource{name: aws.ToString(p.PolicyName), arn: aws.ToString(p.Arn)}, true
	})
}

func listBuckets(ctx context.Context, e *Env) ([]resource, error) {
	all, err := e.cloud.Buckets(ctx)
	return listed(all, err, func(b s3types.Bucket) (resource, bool) {
		return resource{name: aws.ToString(b.Name), arn: e.bucketARN(ctx, aws.ToString(b.Name))}, true
	})
}

func bucketTags(ctx context.Context, e *Env, r resource) (map[string]string, error) {
	out, err := e.cloud.S3.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: &r.name})
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == "NoSuchTagSet" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return cloud.TagMap(out.TagSet, func(t s3types.Tag) (*string, *string) { return t.Key, t.Value }), nil
}

// listRecords looks for alias records that point at a load balancer, and names them after it.
func listRecords(ctx context.Context, e *Env) ([]resource, error) {
	zones, err := cloud.Pages(ctx, route53.NewListHostedZonesPaginator(e.cloud.Route53, &route53.ListHostedZonesInput{}),
		func(o *route53.ListHostedZonesOutput) []route53types.HostedZone { return o.HostedZones })
	if err != nil {
		return nil, err
	}
	all, err := e.cloud.LoadBalancers(ctx)
	if err != nil {
		return nil, err
	}
	balancers := map[string][]string{}
	for _, b := range all {
		balancers[dnsName(b.DNSName)] = []string{aws.ToString(b.LoadBalancerArn)}
	}
	var out []resource
	for _, z := range zones {
		records, err := cloud.Pages(ctx, route53.NewListResourceRecordSetsPaginator(e.cloud.Route53, &route53.ListResourceRecordSetsInput{HostedZoneId: z.Id}),
			func(o *route53.ListResourceRecordSetsOutput) []route53types.ResourceRecordSet {
				return o.ResourceRecordSets
			})
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			if r.AliasTarget == nil {
				continue
			}
			if name := balancerOf(aws.ToString(r.AliasTarget.DNSName)); e.owner().judge(kindLoadBalancer, name) == ours {
				out = append(out, resource{
					name: lib.PhysicalName("dns-record", e.Suffix), arn: aws.ToString(z.Id) + "/" + aws.ToString(r.Name), tags: briefTags(),
					id: strings.TrimSpace(string(r.Type) + " " + aws.ToString(r.SetIdentifier)), of: balancers[dnsName(r.AliasTarget.DNSName)],
				})
			}
		}
	}
	return out, nil
}

// dnsName is a name as Route 53 and load balancers tell it, in one form.
func dnsName(name *string) string {
	return strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(aws.ToString(name), "dualstack."), "."))
}

// balancerOf is the load balancer's name in its DNS name, which is "name-number.region.elb.amazonaws.com".
func balancerOf(dns string) string {
	host, rest, _ := strings.Cut(strings.TrimPrefix(dns, "dualstack."), ".")
	if !strings.Contains(rest, "elb.") {
		return ""
	}
	i := strings.LastIndex(host, "-")
	if i < 0 {
		return ""
	}
	return host[:i]
}

// listOthers asks the tagging API for resources of services that no other source asks. It lags behind the services
// themselves, so that it is not asked about those.
func listOthers(ctx context.Context, e *Env) ([]resource, error) {
	asked := []string{
		"ec2", "rds", "ecs", "elasticloadbalancing", "acm", "wafv2", "sqs", "sns", "kms", "secretsmanager", "ssm", "logs",
		"cloudwatch", "events", "iam", "s3", "application-autoscaling", "route53",
	}
	all, err := e.cloud.WithTag(ctx, tagtypes.TagFilter{Key: aws.String(tagBatch), Values: []string{briefTags()[tagBatch]}})
	return listed(all, err, func(m tagtypes.ResourceTagMapping) (resource, bool) {
		r, id, err := fromMapping(m)
		return r, err == nil && !slices.Contains(asked, id.Service)
	})
}

// fromMapping reads a line of the tagging API. The name is the Name tag, or the end of the ARN.
func fromMapping(m tagtypes.ResourceTagMapping) (resource, arn.ARN, error) {
	id, err := arn.Parse(aws.ToString(m.ResourceARN))
	tags := cloud.TagMap(m.Tags, func(t tagtypes.Tag) (*string, *string) { return t.Key, t.Value })
	name := tags[tagName]
	if name == "" {
		name = id.Resource
	}
	return resource{name: name, arn: aws.ToString(m.ResourceARN), tags: tags}, id, err
}
