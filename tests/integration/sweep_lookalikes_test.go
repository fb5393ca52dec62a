package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	acmtypes "github.com/aws/aws-sdk-go-v2/service/acm/types"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logstypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
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
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/aws-sdk-go-v2/service/wafv2"
	waftypes "github.com/aws/aws-sdk-go-v2/service/wafv2/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
	"tapstack/lib/inventory"
	"tapstack/lib/target"
)

// disguise is a set of tags that must not be enough.
type disguise struct {
	suffix string // of the names; empty: names that the stack never gives
	says   string
	tags   map[string]string
}

func disguises(now time.Time) []disguise {
	tags := func(owner, run, expires string) map[string]string {
		return map[string]string{lib.TagOwner: owner, lib.TagRun: run, lib.TagExpires: expires, "MigrationBatch": "phase-1"}
	}
	long, past, future := lib.NewRun(now.Add(-72*time.Hour)), lib.FormatExpiry(now.Add(-48*time.Hour)), lib.FormatExpiry(now.Add(time.Hour))
	return []disguise{
		{"twin", "the stack's names without our tags", nil},
		{"batch", "the stack's names with the brief's tags only", map[string]string{"Environment": "production", "MigrationBatch": "phase-1"}},
		{"theirs", "another owner", tags("somebody", long, past)},
		{"soon", "not expired yet", tags(lib.DefaultOwner, long, future)},
		{"stays", "never expires", tags(lib.DefaultOwner, long, lib.NeverExpires)},
		{"young", "a run that has just begun", tags(lib.DefaultOwner, lib.NewRun(now.Add(-time.Hour)), past)},
		{"hand", "a run that nobody started through tap", tags(lib.DefaultOwner, lib.ManualRun, past)},
		{"blank", "an owner and nothing else", map[string]string{lib.TagOwner: lib.DefaultOwner}},
		{"", "all of our tags, but names that the stack never gives", tags(lib.DefaultOwner, long, past)},
	}
}

// look reads a resource, content and tags and all.
type look func(ctx context.Context) (any, error)

// reads is a look that takes one call.
func reads[I, O, Options any](operation operation[I, O, Options], in *I) look {
	return func(ctx context.Context) (any, error) { return operation(ctx, in) }
}

// looks are several as one.
func looks(all ...look) look {
	return func(ctx context.Context) (any, error) {
		var seen []any
		for _, one := range all {
			part, err := one(ctx)
			if err != nil {
				return nil, err
			}
			seen = append(seen, part)
		}
		return seen, nil
	}
}

// lookalike is a resource that is not the sweep's to touch.
type lookalike struct {
	says   string
	look   look
	before string
}

var movesWithTheClock = regexp.MustCompile(`"LatestRestorableTime":"[^"]*"`)

func (l *lookalike) read(ctx context.Context) (string, error) {
	seen, err := l.look(ctx)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(seen)
	return movesWithTheClock.ReplaceAllString(string(text), ""), err
}

// fill makes every look-alike that the emulator can hold.
func fill(ctx context.Context, s *saboteur, now time.Time) []*lookalike {
	ground := newGround(ctx, s)
	all := []*lookalike{{says: "the default VPC", look: ground.look(s)}}
	for _, d := range disguises(now) {
		for _, m := range makers() {
			if m.odd == "" && d.suffix == "" || m.untagged && d.tags[lib.TagOwner] != "" {
				continue
			}
			all = append(all, m.disguised(ctx, s, ground, d))
		}
	}
	return append(all, halfUpdated(ctx, s, now)...)
}

// halfUpdated is a stack whose expiry was put off, by an update that did not come to all of its resources.
func halfUpdated(ctx context.Context, s *saboteur, now time.Time) []*lookalike {
	var all []*lookalike
	for kind, expires := range map[*inventory.Kind]time.Time{inventory.Queue: now.Add(-time.Hour), inventory.Topic: now.Add(time.Hour)} {
		for _, m := range makersOf(kind) {
			all = append(all, m.disguised(ctx, s, nil, disguise{"half-updated", "a stack whose update was interrupted", map[string]string{
				lib.TagOwner: lib.DefaultOwner, lib.TagRun: lib.NewRun(now.Add(-72 * time.Hour)), lib.TagExpires: lib.FormatExpiry(expires),
			}}))
		}
	}
	return all
}

// remember reads all of them as they are before the sweep.
func remember(ctx context.Context, t *testing.T, all []*lookalike) {
	t.Helper()
	for _, l := range all {
		var err error
		l.before, err = l.read(ctx)
		require.NoError(t, err, l.says)
		require.Greater(t, len(l.before), 20, "%s: nothing to be seen of it", l.says)
	}
}

// ground is the account's default VPC, where some look-alikes stand.
type ground struct {
	vpc     string
	subnets []string
}

func newGround(ctx context.Context, s *saboteur) *ground {
	vpcs := call(ctx, s, s.EC2.DescribeVpcs, &ec2.DescribeVpcsInput{Filters: []ec2types.Filter{{Name: aws.String("is-default"), Values: []string{"true"}}}})
	g := &ground{vpc: aws.ToString(first(s, "default VPC", vpcs.Vpcs).VpcId)}
	for _, n := range call(ctx, s, s.EC2.DescribeSubnets, &ec2.DescribeSubnetsInput{Filters: inVPC(g.vpc)}).Subnets {
		g.subnets = append(g.subnets, aws.ToString(n.SubnetId))
	}
	return g
}

func inVPC(id string) []ec2types.Filter {
	return []ec2types.Filter{{Name: aws.String("vpc-id"), Values: []string{id}}}
}

// look reads the default VPC with what was always in it.
func (g *ground) look(s *saboteur) look {
	return looks(
		reads(s.EC2.DescribeVpcs, &ec2.DescribeVpcsInput{VpcIds: []string{g.vpc}}),
		reads(s.EC2.DescribeRouteTables, &ec2.DescribeRouteTablesInput{Filters: inVPC(g.vpc)}),
		reads(s.EC2.DescribeSecurityGroups, &ec2.DescribeSecurityGroupsInput{Filters: inVPC(g.vpc)}),
		reads(s.EC2.DescribeSubnets, &ec2.DescribeSubnetsInput{SubnetIds: g.subnets}),
	)
}

// maker makes look-alikes of one kind, and of others with it.
type maker struct {
	kinds kinds
	name  string // in place of the first that the stack gives; {S} stands for the suffix
	odd   string // a name that the stack never gives; empty where such a thing would be no likeness
	// untagged kinds have no tags to tell their disguises apart by.
	untagged bool
	make     func(context.Context, likeness) look
}

type kinds []*inventory.Kind

// likeness is what a look-alike is made of.
type likeness struct {
	*saboteur
	*ground
	name string // of the maker's first kind
	of   naming
	tags map[string]string
}

// disguised makes look-alikes and tells how to read them.
func (m maker) disguised(ctx context.Context, s *saboteur, g *ground, d disguise) *lookalike {
	of := m.naming(d.suffix)
	name := of(m.kinds[0])
	seen := m.make(ctx, likeness{s, g, name, of, d.tags})
	return &lookalike{says: fmt.Sprintf("%s %s: %s", m.kinds[0], name, d.says), look: seen}
}

// naming tells the name of a look-alike of a kind.
type naming func(*inventory.Kind) string

// naming gives the names of the stack with a suffix or, without one, names that no stack gives.
func (m maker) naming(suffix string) naming {
	values := strings.NewReplacer("{S}", suffix, "{account}", "123456789012", "{region}", target.Region, "*", "any")
	return func(k *inventory.Kind) string {
		switch {
		case suffix == "":
			return m.odd
		case m.name != "" && k == m.kinds[0]:
			return values.Replace(m.name)
		}
		return values.Replace(k.Names()[0])
	}
}

// TestEveryKindHasALookalike holds that the sweeper is tried on each kind that it may delete.
func TestEveryKindHasALookalike(t *testing.T) {
	without := map[*inventory.Kind]string{
		inventory.DBClusterBackup: "the emulator has no automated backups",
		inventory.DNSRecord:       "records makes them in a zone of their own",
	}
	made := map[*inventory.Kind]bool{}
	for _, m := range makers() {
		for _, k := range m.kinds {
			made[k] = true
		}
	}
	for _, k := range inventory.Kinds() {
		assert.Equal(t, !k.Removal.Never && without[k] == "", made[k], "tests/integration/sweep_lookalikes_test.go must make a look-alike of the %s, or say why it does not", k)
	}
}

func tagList[T any](tags map[string]string, each func(k, v *string) T) []T {
	var list []T
	for k, v := range maps.All(tags) {
		list = append(list, each(aws.String(k), aws.String(v)))
	}
	return list
}

// withName are the tags with a name among them.
func (l likeness) withName(name string) map[string]string {
	all := map[string]string{"Name": name}
	maps.Copy(all, l.tags)
	return all
}

func (l likeness) spec(kind ec2types.ResourceType, name string) []ec2types.TagSpecification {
	list := tagList(l.withName(name), func(k, v *string) ec2types.Tag { return ec2types.Tag{Key: k, Value: v} })
	return []ec2types.TagSpecification{{ResourceType: kind, Tags: list}}
}

func (l likeness) rdsTags() []rdstypes.Tag {
	return tagList(l.tags, func(k, v *string) rdstypes.Tag { return rdstypes.Tag{Key: k, Value: v} })
}

func (l likeness) elbTags(name string) []elbtypes.Tag {
	return tagList(l.withName(name), func(k, v *string) elbtypes.Tag { return elbtypes.Tag{Key: k, Value: v} })
}

func makers() []maker {
	return slices.Concat(networkMakers(), serviceMakers(), storeMakers(), watchMakers())
}

func makersOf(kind *inventory.Kind) []maker {
	return slices.DeleteFunc(makers(), func(m maker) bool { return m.kinds[0] != kind })
}

func networkMakers() []maker {
	return []maker{
		{kinds: kinds{inventory.VPC, inventory.Subnet}, odd: "vpc of ours", make: func(ctx context.Context, l likeness) look {
			vpc := call(ctx, l, l.EC2.CreateVpc, &ec2.CreateVpcInput{CidrBlock: aws.String("10.99.0.0/16"), TagSpecifications: l.spec(ec2types.ResourceTypeVpc, l.name)})
			id := vpc.Vpc.VpcId
			call(ctx, l, l.EC2.CreateSubnet, &ec2.CreateSubnetInput{
				VpcId: id, CidrBlock: aws.String("10.99.1.0/24"),
				TagSpecifications: l.spec(ec2types.ResourceTypeSubnet, l.of(inventory.Subnet)),
			})
			return looks(
				reads(l.EC2.DescribeVpcs, &ec2.DescribeVpcsInput{VpcIds: []string{*id}}),
				reads(l.EC2.DescribeSubnets, &ec2.DescribeSubnetsInput{Filters: inVPC(*id)}),
				reads(l.EC2.DescribeSecurityGroups, &ec2.DescribeSecurityGroupsInput{Filters: inVPC(*id)}),
			)
		}},
		{kinds: kinds{inventory.SecurityGroup, inventory.SecurityGroupRule}, odd: "database of ours", make: func(ctx context.Context, l likeness) look {
			out := call(ctx, l, l.EC2.CreateSecurityGroup, &ec2.CreateSecurityGroupInput{
				VpcId: &l.vpc, GroupName: &l.name, Description: aws.String("like ours"), TagSpecifications: l.spec(ec2types.ResourceTypeSecurityGroup, l.name),
			})
			call(ctx, l, l.EC2.AuthorizeSecurityGroupIngress, &ec2.AuthorizeSecurityGroupIngressInput{
				GroupId: out.GroupId, TagSpecifications: l.spec(ec2types.ResourceTypeSecurityGroupRule, l.of(inventory.SecurityGroupRule)),
				IpPermissions: []ec2types.IpPermission{{
					IpProtocol: aws.String("tcp"), FromPort: aws.Int32(5432), ToPort: aws.Int32(5432), IpRanges: []ec2types.IpRange{{CidrIp: aws.String("10.0.0.0/8")}},
				}},
			})
			return reads(l.EC2.DescribeSecurityGroups, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{*out.GroupId}})
		}},
		{kinds: kinds{inventory.ElasticIP}, odd: "address of ours", make: func(ctx context.Context, l likeness) look {
			out := call(ctx, l, l.EC2.AllocateAddress, &ec2.AllocateAddressInput{Domain: ec2types.DomainTypeVpc, TagSpecifications: l.spec(ec2types.ResourceTypeElasticIp, l.name)})
			return reads(l.EC2.DescribeAddresses, &ec2.DescribeAddressesInput{AllocationIds: []string{*out.AllocationId}})
		}},
		{kinds: kinds{inventory.InternetGateway}, odd: "gateway of ours", make: func(ctx context.Context, l likeness) look {
			out := call(ctx, l, l.EC2.CreateInternetGateway, &ec2.CreateInternetGatewayInput{TagSpecifications: l.spec(ec2types.ResourceTypeInternetGateway, l.name)})
			return reads(l.EC2.DescribeInternetGateways, &ec2.DescribeInternetGatewaysInput{InternetGatewayIds: []string{*out.InternetGateway.InternetGatewayId}})
		}},
		{kinds: kinds{inventory.RouteTable}, odd: "routes of ours", make: func(ctx context.Context, l likeness) look {
			out := call(ctx, l, l.EC2.CreateRouteTable, &ec2.CreateRouteTableInput{VpcId: &l.vpc, TagSpecifications: l.spec(ec2types.ResourceTypeRouteTable, l.name)})
			return reads(l.EC2.DescribeRouteTables, &ec2.DescribeRouteTablesInput{RouteTableIds: []string{*out.RouteTable.RouteTableId}})
		}},
		{kinds: kinds{inventory.NATGateway}, odd: "way out of ours", make: func(ctx context.Context, l likeness) look {
			out := call(ctx, l, l.EC2.CreateNatGateway, &ec2.CreateNatGatewayInput{
				SubnetId: &l.subnets[0], ConnectivityType: ec2types.ConnectivityTypePrivate, TagSpecifications: l.spec(ec2types.ResourceTypeNatgateway, l.name),
			})
			return reads(l.EC2.DescribeNatGateways, &ec2.DescribeNatGatewaysInput{NatGatewayIds: []string{*out.NatGateway.NatGatewayId}})
		}},
		{kinds: kinds{inventory.VPCEndpoint}, odd: "endpoint of ours", make: func(ctx context.Context, l likeness) look {
			out := call(ctx, l, l.EC2.CreateVpcEndpoint, &ec2.CreateVpcEndpointInput{
				VpcId: &l.vpc, ServiceName: aws.String("com.amazonaws.us-east-1.s3"), TagSpecifications: l.spec(ec2types.ResourceTypeVpcEndpoint, l.name),
			})
			return reads(l.EC2.DescribeVpcEndpoints, &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{*out.VpcEndpoint.VpcEndpointId}})
		}},
		{kinds: kinds{inventory.NetworkInterface}, name: "interface-{S}", odd: "card of ours", make: func(ctx context.Context, l likeness) look {
			out := call(ctx, l, l.EC2.CreateNetworkInterface, &ec2.CreateNetworkInterfaceInput{
				SubnetId: &l.subnets[0], TagSpecifications: l.spec(ec2types.ResourceTypeNetworkInterface, l.name),
			})
			return reads(l.EC2.DescribeNetworkInterfaces, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{*out.NetworkInterface.NetworkInterfaceId}})
		}},
		{kinds: kinds{inventory.FlowLog}, odd: "log of ours", make: func(ctx context.Context, l likeness) look {
			bucket := "flows-" + strings.ReplaceAll(l.name, " ", "-")
			call(ctx, l, l.S3.CreateBucket, &s3.CreateBucketInput{Bucket: &bucket})
			out := call(ctx, l, l.EC2.CreateFlowLogs, &ec2.CreateFlowLogsInput{
				ResourceIds: []string{l.vpc}, ResourceType: ec2types.FlowLogsResourceTypeVpc, TrafficType: ec2types.TrafficTypeAll,
				LogDestinationType: ec2types.LogDestinationTypeS3, LogDestination: aws.String("arn:aws:s3:::" + bucket),
				TagSpecifications: l.spec(ec2types.ResourceTypeVpcFlowLog, l.name),
			})
			require.NotEmpty(l, out.FlowLogIds, "no flow log: %v", out.Unsuccessful)
			return reads(l.EC2.DescribeFlowLogs, &ec2.DescribeFlowLogsInput{FlowLogIds: out.FlowLogIds})
		}},
	}
}

func serviceMakers() []maker {
	return []maker{
		{kinds: kinds{inventory.LoadBalancer, inventory.Listener, inventory.ListenerRule}, odd: "balancer-of-ours", make: func(ctx context.Context, l likeness) look {
			lb := call(ctx, l, l.ELB.CreateLoadBalancer, &elb.CreateLoadBalancerInput{Name: &l.name, Subnets: l.subnets[:2], Tags: l.elbTags(l.name)})
			id := lb.LoadBalancers[0].LoadBalancerArn
			answer := elbtypes.Action{
				Type:                elbtypes.ActionTypeEnumFixedResponse,
				FixedResponseConfig: &elbtypes.FixedResponseActionConfig{StatusCode: aws.String("404")},
			}
			listener := call(ctx, l, l.ELB.CreateListener, &elb.CreateListenerInput{
				LoadBalancerArn: id, Port: aws.Int32(80), Protocol: elbtypes.ProtocolEnumHttp, DefaultActions: []elbtypes.Action{answer},
				Tags: l.elbTags(l.of(inventory.Listener)),
			})
			in := listener.Listeners[0].ListenerArn
			call(ctx, l, l.ELB.CreateRule, &elb.CreateRuleInput{
				ListenerArn: in, Priority: aws.Int32(1), Actions: []elbtypes.Action{answer}, Tags: l.elbTags(l.of(inventory.ListenerRule)),
				Conditions: []elbtypes.RuleCondition{{Field: aws.String("path-pattern"), Values: []string{"/api/*"}}},
			})
			return looks(
				reads(l.ELB.DescribeLoadBalancers, &elb.DescribeLoadBalancersInput{LoadBalancerArns: []string{*id}}),
				reads(l.ELB.DescribeListeners, &elb.DescribeListenersInput{LoadBalancerArn: id}),
				reads(l.ELB.DescribeRules, &elb.DescribeRulesInput{ListenerArn: in}),
			)
		}},
		{kinds: kinds{inventory.TargetGroup}, odd: "targets-of-ours", make: func(ctx context.Context, l likeness) look {
			out := call(ctx, l, l.ELB.CreateTargetGroup, &elb.CreateTargetGroupInput{
				Name: &l.name, Port: aws.Int32(80), Protocol: elbtypes.ProtocolEnumHttp, VpcId: &l.vpc, TargetType: elbtypes.TargetTypeEnumIp, Tags: l.elbTags(l.name),
			})
			return reads(l.ELB.DescribeTargetGroups, &elb.DescribeTargetGroupsInput{TargetGroupArns: []string{*out.TargetGroups[0].TargetGroupArn}})
		}},
		{kinds: kinds{inventory.Certificate}, odd: "certificate of ours", make: func(ctx context.Context, l likeness) look {
			list := tagList(l.withName(l.name), func(k, v *string) acmtypes.Tag { return acmtypes.Tag{Key: k, Value: v} })
			out := call(ctx, l, l.ACM.RequestCertificate, &acm.RequestCertificateInput{
				DomainName: aws.String(strings.ReplaceAll(l.name, " ", "-") + ".example.com"), ValidationMethod: acmtypes.ValidationMethodDns, Tags: list,
			})
			return reads(l.ACM.ListTagsForCertificate, &acm.ListTagsForCertificateInput{CertificateArn: out.CertificateArn})
		}},
		{kinds: kinds{inventory.WebACL}, odd: "wall-of-ours", make: func(ctx context.Context, l likeness) look {
			in := &wafv2.CreateWebACLInput{
				Name: &l.name, Scope: waftypes.ScopeRegional, DefaultAction: &waftypes.DefaultAction{Allow: &waftypes.AllowAction{}},
				VisibilityConfig: &waftypes.VisibilityConfig{MetricName: &l.name},
			}
			if len(l.tags) > 0 { // WAF refuses an empty list
				in.Tags = tagList(l.tags, func(k, v *string) waftypes.Tag { return waftypes.Tag{Key: k, Value: v} })
			}
			out := call(ctx, l, l.WAF.CreateWebACL, in)
			return reads(l.WAF.GetWebACL, &wafv2.GetWebACLInput{Name: &l.name, Id: out.Summary.Id, Scope: waftypes.ScopeRegional})
		}},
		{kinds: kinds{inventory.ECSCluster, inventory.ECSService, inventory.TaskDefinition, inventory.ScalableTarget, inventory.ScalingPolicy, inventory.Alarm}, odd: "cluster-of-ours", make: makeCluster},
		{kinds: kinds{inventory.DBCluster, inventory.DBInstance, inventory.DBSnapshot}, odd: "database-of-ours", make: makeDatabase},
		{kinds: kinds{inventory.DBClusterParameterGroup}, odd: "settings-of-ours", make: func(ctx context.Context, l likeness) look {
			call(ctx, l, l.RDS.CreateDBClusterParameterGroup, &rds.CreateDBClusterParameterGroupInput{
				DBClusterParameterGroupName: &l.name, DBParameterGroupFamily: aws.String("aurora-postgresql16"), Description: &l.name, Tags: l.rdsTags(),
			})
			return reads(l.RDS.DescribeDBClusterParameterGroups, &rds.DescribeDBClusterParameterGroupsInput{DBClusterParameterGroupName: &l.name})
		}},
		{kinds: kinds{inventory.DBSubnetGroup}, odd: "subnets-of-ours", make: func(ctx context.Context, l likeness) look {
			call(ctx, l, l.RDS.CreateDBSubnetGroup, &rds.CreateDBSubnetGroupInput{
				DBSubnetGroupName: &l.name, DBSubnetGroupDescription: &l.name, SubnetIds: l.subnets[:2], Tags: l.rdsTags(),
			})
			return reads(l.RDS.DescribeDBSubnetGroups, &rds.DescribeDBSubnetGroupsInput{DBSubnetGroupName: &l.name})
		}},
	}
}

func makeCluster(ctx context.Context, l likeness) look {
	list := tagList(l.tags, func(k, v *string) ecstypes.Tag { return ecstypes.Tag{Key: k, Value: v} })
	call(ctx, l, l.ECS.CreateCluster, &ecs.CreateClusterInput{ClusterName: &l.name, Tags: list})
	service := l.of(inventory.ECSService)
	task := call(ctx, l, l.ECS.RegisterTaskDefinition, &ecs.RegisterTaskDefinitionInput{
		Family: &service, Tags: list, ContainerDefinitions: []ecstypes.ContainerDefinition{{Name: aws.String("c"), Image: aws.String("busybox:1"), Memory: aws.Int32(64)}},
	})
	call(ctx, l, l.ECS.CreateService, &ecs.CreateServiceInput{Cluster: &l.name, ServiceName: &service, TaskDefinition: &service, DesiredCount: aws.Int32(2), Tags: list})
	id, dimension := "service/"+l.name+"/"+service, astypes.ScalableDimensionECSServiceDesiredCount
	call(ctx, l, l.AutoScaling.RegisterScalableTarget, &applicationautoscaling.RegisterScalableTargetInput{
		ResourceId: &id, ServiceNamespace: astypes.ServiceNamespaceEcs, ScalableDimension: dimension, MinCapacity: aws.Int32(2), MaxCapacity: aws.Int32(4), Tags: l.tags,
	})
	policy := call(ctx, l, l.AutoScaling.PutScalingPolicy, &applicationautoscaling.PutScalingPolicyInput{
		PolicyName: aws.String(l.of(inventory.ScalingPolicy)), ResourceId: &id, ServiceNamespace: astypes.ServiceNamespaceEcs,
		ScalableDimension: dimension, PolicyType: astypes.PolicyTypeTargetTrackingScaling,
		TargetTrackingScalingPolicyConfiguration: &astypes.TargetTrackingScalingPolicyConfiguration{
			TargetValue:                   aws.Float64(60),
			PredefinedMetricSpecification: &astypes.PredefinedMetricSpecification{PredefinedMetricType: astypes.MetricTypeECSServiceAverageCPUUtilization},
		},
	})
	var alarms []string
	for _, a := range policy.Alarms {
		alarms = append(alarms, aws.ToString(a.AlarmName))
	}
	return looks(
		reads(l.ECS.DescribeServices, &ecs.DescribeServicesInput{Cluster: &l.name, Services: []string{service}, Include: []ecstypes.ServiceField{"TAGS"}}),
		reads(l.ECS.DescribeTaskDefinition, &ecs.DescribeTaskDefinitionInput{TaskDefinition: task.TaskDefinition.TaskDefinitionArn}),
		reads(l.AutoScaling.DescribeScalableTargets, &applicationautoscaling.DescribeScalableTargetsInput{ServiceNamespace: "ecs", ResourceIds: []string{id}}),
		reads(l.AutoScaling.DescribeScalingPolicies, &applicationautoscaling.DescribeScalingPoliciesInput{ServiceNamespace: "ecs", ResourceId: &id}),
		reads(l.CloudWatch.DescribeAlarms, &cloudwatch.DescribeAlarmsInput{AlarmNames: alarms}),
	)
}

func makeDatabase(ctx context.Context, l likeness) look {
	call(ctx, l, l.RDS.CreateDBCluster, &rds.CreateDBClusterInput{
		DBClusterIdentifier: &l.name, Engine: aws.String("aurora-postgresql"), MasterUsername: aws.String("root"), MasterUserPassword: aws.String("not-a-secret-1"),
		Tags: l.rdsTags(),
	})
	instance := l.of(inventory.DBInstance)
	call(ctx, l, l.RDS.CreateDBInstance, &rds.CreateDBInstanceInput{
		DBInstanceIdentifier: &instance, DBClusterIdentifier: &l.name, Engine: aws.String("aurora-postgresql"), DBInstanceClass: aws.String("db.r6g.large"), Tags: l.rdsTags(),
	})
	call(ctx, l, l.RDS.CreateDBClusterSnapshot, &rds.CreateDBClusterSnapshotInput{
		DBClusterIdentifier: &l.name, DBClusterSnapshotIdentifier: aws.String("copy-of-" + l.name), Tags: l.rdsTags(),
	})
	return looks(
		reads(l.RDS.DescribeDBInstances, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: &instance}),
		reads(l.RDS.DescribeDBClusters, &rds.DescribeDBClustersInput{DBClusterIdentifier: &l.name}),
		reads(l.RDS.DescribeDBClusterSnapshots, &rds.DescribeDBClusterSnapshotsInput{DBClusterSnapshotIdentifier: aws.String("copy-of-" + l.name)}),
	)
}

func storeMakers() []maker {
	return []maker{
		{kinds: kinds{inventory.Queue}, odd: "queue-of-ours", make: func(ctx context.Context, l likeness) look {
			out := call(ctx, l, l.SQS.CreateQueue, &sqs.CreateQueueInput{QueueName: &l.name, Tags: l.tags})
			call(ctx, l, l.SQS.SendMessage, &sqs.SendMessageInput{QueueUrl: out.QueueUrl, MessageBody: aws.String("keep me")})
			return looks(
				reads(l.SQS.GetQueueAttributes, &sqs.GetQueueAttributesInput{QueueUrl: out.QueueUrl, AttributeNames: []sqstypes.QueueAttributeName{"All"}}),
				reads(l.SQS.ListQueueTags, &sqs.ListQueueTagsInput{QueueUrl: out.QueueUrl}),
			)
		}},
		{kinds: kinds{inventory.Topic}, odd: "topic-of-ours", make: func(ctx context.Context, l likeness) look {
			list := tagList(l.tags, func(k, v *string) snstypes.Tag { return snstypes.Tag{Key: k, Value: v} })
			out := call(ctx, l, l.SNS.CreateTopic, &sns.CreateTopicInput{Name: &l.name, Tags: list})
			return reads(l.SNS.GetTopicAttributes, &sns.GetTopicAttributesInput{TopicArn: out.TopicArn})
		}},
		{kinds: kinds{inventory.Secret}, odd: "secret-of-ours", make: func(ctx context.Context, l likeness) look {
			call(ctx, l, l.SecretsManager.CreateSecret, &secretsmanager.CreateSecretInput{
				Name: &l.name, SecretString: aws.String("keep me"), Tags: tagList(l.tags, func(k, v *string) smtypes.Tag { return smtypes.Tag{Key: k, Value: v} }),
			})
			return reads(l.SecretsManager.GetSecretValue, &secretsmanager.GetSecretValueInput{SecretId: &l.name})
		}},
		{kinds: kinds{inventory.Parameter}, odd: "/invoices/queue-url", make: func(ctx context.Context, l likeness) look {
			call(ctx, l, l.SSM.PutParameter, &ssm.PutParameterInput{
				Name: &l.name, Value: aws.String("keep me"), Type: ssmtypes.ParameterTypeString,
				Tags: tagList(l.tags, func(k, v *string) ssmtypes.Tag { return ssmtypes.Tag{Key: k, Value: v} }),
			})
			return reads(l.SSM.GetParameter, &ssm.GetParameterInput{Name: &l.name})
		}},
		{kinds: kinds{inventory.Key, inventory.KeyAlias}, odd: "key of ours", make: func(ctx context.Context, l likeness) look {
			list := tagList(l.withName(l.name), func(k, v *string) kmstypes.Tag { return kmstypes.Tag{TagKey: k, TagValue: v} })
			out := call(ctx, l, l.KMS.CreateKey, &kms.CreateKeyInput{Tags: list})
			alias := "alias/" + strings.ReplaceAll(strings.TrimPrefix(l.of(inventory.KeyAlias), "alias/"), " ", "-")
			call(ctx, l, l.KMS.CreateAlias, &kms.CreateAliasInput{AliasName: &alias, TargetKeyId: out.KeyMetadata.KeyId})
			return reads(l.KMS.DescribeKey, &kms.DescribeKeyInput{KeyId: &alias})
		}},
		{kinds: kinds{inventory.Bucket}, odd: "bucket-of-ours", make: func(ctx context.Context, l likeness) look {
			call(ctx, l, l.S3.CreateBucket, &s3.CreateBucketInput{Bucket: &l.name})
			if len(l.tags) > 0 {
				set := tagList(l.tags, func(k, v *string) s3types.Tag { return s3types.Tag{Key: k, Value: v} })
				call(ctx, l, l.S3.PutBucketTagging, &s3.PutBucketTaggingInput{Bucket: &l.name, Tagging: &s3types.Tagging{TagSet: set}})
			}
			call(ctx, l, l.S3.PutObject, &s3.PutObjectInput{Bucket: &l.name, Key: aws.String("keep"), Body: strings.NewReader("keep me")})
			return reads(l.S3.ListObjectVersions, &s3.ListObjectVersionsInput{Bucket: &l.name})
		}},
		{kinds: kinds{inventory.Role}, odd: "role-of-ours", make: func(ctx context.Context, l likeness) look {
			call(ctx, l, l.IAM.CreateRole, &iam.CreateRoleInput{
				RoleName: &l.name, Tags: tagList(l.tags, func(k, v *string) iamtypes.Tag { return iamtypes.Tag{Key: k, Value: v} }),
				AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`),
			})
			call(ctx, l, l.IAM.PutRolePolicy, &iam.PutRolePolicyInput{
				RoleName: &l.name, PolicyName: aws.String("p"),
				PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:ListAllMyBuckets","Resource":"*"}]}`),
			})
			return looks(
				reads(l.IAM.GetRole, &iam.GetRoleInput{RoleName: &l.name}),
				reads(l.IAM.GetRolePolicy, &iam.GetRolePolicyInput{RoleName: &l.name, PolicyName: aws.String("p")}),
			)
		}},
	}
}

func watchMakers() []maker {
	return []maker{
		{kinds: kinds{inventory.LogGroup}, odd: "/log/of/ours", make: func(ctx context.Context, l likeness) look {
			call(ctx, l, l.Logs.CreateLogGroup, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &l.name, Tags: l.tags})
			call(ctx, l, l.Logs.CreateLogStream, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: &l.name, LogStreamName: aws.String("keep")})
			return reads(l.Logs.DescribeLogStreams, &cloudwatchlogs.DescribeLogStreamsInput{LogGroupName: &l.name})
		}},
		{kinds: kinds{inventory.LogGroup}, name: strings.ReplaceAll(inventory.LogGroup.NamesByAWS()[1], "{S}", "gone-{S}"), untagged: true, make: makeLogGroup},
		{kinds: kinds{inventory.LogGroup}, name: inventory.LogGroup.NamesByAWS()[0], untagged: true, make: makeLogGroup},
		{kinds: kinds{inventory.LogResourcePolicy}, untagged: true, make: func(ctx context.Context, l likeness) look {
			group := inventory.LogGroup.NamesIn(inventory.LogResourcePolicy.SuffixIn(l.name))[1]
			call(ctx, l, l.Logs.CreateLogGroup, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &group})
			return makeLogPolicy(ctx, l.saboteur, l.name, group)
		}},
		{kinds: kinds{inventory.Alarm}, odd: "alarm of ours", make: func(ctx context.Context, l likeness) look {
			call(ctx, l, l.CloudWatch.PutMetricAlarm, &cloudwatch.PutMetricAlarmInput{
				AlarmName: &l.name, MetricName: aws.String("m"), Namespace: aws.String("n"), Period: aws.Int32(60), EvaluationPeriods: aws.Int32(1),
				Threshold: aws.Float64(1), ComparisonOperator: cwtypes.ComparisonOperatorGreaterThanThreshold, Statistic: cwtypes.StatisticSum,
				Tags: tagList(l.tags, func(k, v *string) cwtypes.Tag { return cwtypes.Tag{Key: k, Value: v} }),
			})
			return reads(l.CloudWatch.DescribeAlarms, &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{l.name}})
		}},
		{kinds: kinds{inventory.Dashboard}, odd: "dashboard-of-ours", make: func(ctx context.Context, l likeness) look {
			var words []string
			for k, v := range l.tags {
				words = append(words, k+"="+v)
			}
			body := fmt.Sprintf(`{"widgets":[{"type":"text","x":0,"y":0,"width":6,"height":2,"properties":{"markdown":%q}}]}`, "like ours "+strings.Join(words, " "))
			call(ctx, l, l.CloudWatch.PutDashboard, &cloudwatch.PutDashboardInput{DashboardName: &l.name, DashboardBody: &body})
			return reads(l.CloudWatch.GetDashboard, &cloudwatch.GetDashboardInput{DashboardName: &l.name})
		}},
		{kinds: kinds{inventory.EventRule}, odd: "event-of-ours", make: func(ctx context.Context, l likeness) look {
			call(ctx, l, l.EventBridge.PutRule, &eventbridge.PutRuleInput{
				Name: &l.name, EventPattern: aws.String(`{"source":["aws.ecs"]}`), Tags: tagList(l.tags, func(k, v *string) eventtypes.Tag { return eventtypes.Tag{Key: k, Value: v} }),
			})
			call(ctx, l, l.EventBridge.PutTargets, &eventbridge.PutTargetsInput{Rule: &l.name, Targets: []eventtypes.Target{{Id: aws.String("1"), Arn: aws.String("arn:aws:sqs:us-east-1:123456789012:keep")}}})
			return looks(
				reads(l.EventBridge.DescribeRule, &eventbridge.DescribeRuleInput{Name: &l.name}),
				reads(l.EventBridge.ListTargetsByRule, &eventbridge.ListTargetsByRuleInput{Rule: &l.name}),
			)
		}},
		{kinds: kinds{inventory.EventSubscription}, odd: "events-of-ours", make: func(ctx context.Context, l likeness) look {
			call(ctx, l, l.RDS.CreateEventSubscription, &rds.CreateEventSubscriptionInput{
				SubscriptionName: &l.name, SnsTopicArn: aws.String("arn:aws:sns:us-east-1:123456789012:keep"), Tags: l.rdsTags(),
			})
			return reads(l.RDS.DescribeEventSubscriptions, &rds.DescribeEventSubscriptionsInput{SubscriptionName: &l.name})
		}},
	}
}

func makeLogGroup(ctx context.Context, l likeness) look {
	call(ctx, l, l.Logs.CreateLogGroup, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &l.name})
	return reads(l.Logs.DescribeLogGroups, &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: &l.name})
}

func makeLogPolicy(ctx context.Context, s *saboteur, name, group string) look {
	call(ctx, s, s.Logs.PutResourcePolicy, &cloudwatchlogs.PutResourcePolicyInput{PolicyName: &name, PolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"delivery.logs.amazonaws.com"},"Action":"logs:PutLogEvents",` +
			`"Resource":"arn:aws:logs:us-east-1:123456789012:log-group:` + group + `:*"}]}`)})
	return func(ctx context.Context) (any, error) {
		out, err := s.Logs.DescribeResourcePolicies(ctx, &cloudwatchlogs.DescribeResourcePoliciesInput{})
		if err != nil {
			return nil, err
		}
		return slices.DeleteFunc(out.ResourcePolicies, func(p logstypes.ResourcePolicy) bool { return aws.ToString(p.PolicyName) != name }), nil
	}
}
