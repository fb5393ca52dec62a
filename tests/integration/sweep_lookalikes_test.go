package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
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

// lookalike is a resource that is not the sweep's to touch.
type lookalike struct {
	says   string
	look   look
	before string
}

func (l *lookalike) read(ctx context.Context) (string, error) {
	seen, err := l.look(ctx)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(seen)
	return string(text), err
}

// fill makes every look-alike that the emulator can hold.
func fill(ctx context.Context, t *testing.T, s *saboteur, now time.Time) []*lookalike {
	t.Helper()
	ground, err := newGround(ctx, s)
	require.NoError(t, err)
	all := []*lookalike{{says: "the default VPC", look: ground.look}}
	for _, d := range disguises(now) {
		for _, m := range makers() {
			if m.odd == "" && d.suffix == "" || m.untagged && d.tags[lib.TagOwner] != "" {
				continue
			}
			of := m.naming(d.suffix)
			seen, err := m.make(ctx, s, ground, of(m.kinds[0]), of, d.tags)
			says := fmt.Sprintf("%s %s: %s", m.kinds[0], of(m.kinds[0]), d.says)
			require.NoError(t, err, "making %s", says)
			all = append(all, &lookalike{says: says, look: seen})
		}
	}
	return append(all, halfUpdated(ctx, t, s, now)...)
}

// halfUpdated is a stack whose expiry was put off, by an update that did not come to all of its resources.
func halfUpdated(ctx context.Context, t *testing.T, s *saboteur, now time.Time) []*lookalike {
	t.Helper()
	var all []*lookalike
	for kind, expires := range map[*inventory.Kind]time.Time{inventory.Queue: now.Add(-time.Hour), inventory.Topic: now.Add(time.Hour)} {
		for _, m := range makers() {
			if m.kinds[0] != kind {
				continue
			}
			of := m.naming("half-updated")
			seen, err := m.make(ctx, s, nil, of(kind), of, map[string]string{
				lib.TagOwner: lib.DefaultOwner, lib.TagRun: lib.NewRun(now.Add(-72 * time.Hour)), lib.TagExpires: lib.FormatExpiry(expires),
			})
			require.NoError(t, err)
			all = append(all, &lookalike{says: kind.Name + " of a stack whose update was interrupted", look: seen})
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
	ec2     *ec2.Client
	vpc     string
	subnets []string
}

func newGround(ctx context.Context, s *saboteur) (*ground, error) {
	vpcs, err := s.EC2.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{Filters: []ec2types.Filter{{Name: aws.String("is-default"), Values: []string{"true"}}}})
	if err != nil {
		return nil, err
	}
	vpc, err := first("default VPC", vpcs.Vpcs)
	if err != nil {
		return nil, err
	}
	g := &ground{ec2: s.EC2, vpc: aws.ToString(vpc.VpcId)}
	subnets, err := s.EC2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{Filters: g.here()})
	for _, n := range subnets.Subnets {
		g.subnets = append(g.subnets, aws.ToString(n.SubnetId))
	}
	return g, err
}

func (g *ground) here() []ec2types.Filter {
	return []ec2types.Filter{{Name: aws.String("vpc-id"), Values: []string{g.vpc}}}
}

// look reads the default VPC with what was always in it.
func (g *ground) look(ctx context.Context) (any, error) {
	vpc, err := g.ec2.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{VpcIds: []string{g.vpc}})
	if err != nil {
		return nil, err
	}
	tables, err := g.ec2.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{Filters: g.here()})
	if err != nil {
		return nil, err
	}
	groups, err := g.ec2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: g.here()})
	if err != nil {
		return nil, err
	}
	subnets, err := g.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: g.subnets})
	return []any{vpc, tables, groups, subnets}, err
}

// maker makes look-alikes of one kind, and of others with it.
type maker struct {
	kinds []*inventory.Kind
	name  string // in place of the first that the stack gives; {S} stands for the suffix
	odd   string // a name that the stack never gives; empty where such a thing would be no likeness
	// untagged kinds have no tags to tell their disguises apart by.
	untagged bool
	make     func(ctx context.Context, s *saboteur, g *ground, name string, of naming, tags map[string]string) (look, error)
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

func ec2TagList(tags map[string]string, name string) []ec2types.Tag {
	tags = maps.Clone(tags)
	if tags == nil {
		tags = map[string]string{}
	}
	tags["Name"] = name
	return tagList(tags, func(k, v *string) ec2types.Tag { return ec2types.Tag{Key: k, Value: v} })
}

func spec(kind ec2types.ResourceType, tags map[string]string, name string) []ec2types.TagSpecification {
	return []ec2types.TagSpecification{{ResourceType: kind, Tags: ec2TagList(tags, name)}}
}

func rdsTagList(tags map[string]string) []rdstypes.Tag {
	return tagList(tags, func(k, v *string) rdstypes.Tag { return rdstypes.Tag{Key: k, Value: v} })
}

func elbTagList(tags map[string]string, name string) []elbtypes.Tag {
	return append(tagList(tags, func(k, v *string) elbtypes.Tag { return elbtypes.Tag{Key: k, Value: v} }),
		elbtypes.Tag{Key: aws.String("Name"), Value: aws.String(name)})
}

// both reads two answers as one.
func both[A, B any](a A, errA error, more func() (B, error)) (any, error) {
	if errA != nil {
		return nil, errA
	}
	b, err := more()
	return []any{a, b}, err
}

func makers() []maker {
	all := []maker{}
	for _, area := range [][]maker{networkMakers(), serviceMakers(), storeMakers(), watchMakers()} {
		all = append(all, area...)
	}
	return all
}

func networkMakers() []maker {
	return []maker{
		{kinds: []*inventory.Kind{inventory.VPC, inventory.Subnet}, odd: "vpc of ours", make: func(ctx context.Context, s *saboteur, _ *ground, name string, of naming, tags map[string]string) (look, error) {
			vpc, err := s.EC2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.99.0.0/16"), TagSpecifications: spec(ec2types.ResourceTypeVpc, tags, name)})
			if err != nil {
				return nil, err
			}
			id := vpc.Vpc.VpcId
			_, err = s.EC2.CreateSubnet(ctx, &ec2.CreateSubnetInput{
				VpcId: id, CidrBlock: aws.String("10.99.1.0/24"),
				TagSpecifications: spec(ec2types.ResourceTypeSubnet, tags, of(inventory.Subnet)),
			})
			in := []ec2types.Filter{{Name: aws.String("vpc-id"), Values: []string{*id}}}
			return func(ctx context.Context) (any, error) {
				vpc, err := s.EC2.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{VpcIds: []string{*id}})
				return both(vpc, err, func() (any, error) {
					subnets, err := s.EC2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{Filters: in})
					return both(subnets, err, func() (any, error) {
						return s.EC2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: in})
					})
				})
			}, err
		}},
		{kinds: []*inventory.Kind{inventory.SecurityGroup, inventory.SecurityGroupRule}, odd: "database of ours", make: func(ctx context.Context, s *saboteur, g *ground, name string, of naming, tags map[string]string) (look, error) {
			out, err := s.EC2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{
				VpcId: &g.vpc, GroupName: &name, Description: aws.String("like ours"), TagSpecifications: spec(ec2types.ResourceTypeSecurityGroup, tags, name),
			})
			if err != nil {
				return nil, err
			}
			_, err = s.EC2.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{
				GroupId: out.GroupId, TagSpecifications: spec(ec2types.ResourceTypeSecurityGroupRule, tags, of(inventory.SecurityGroupRule)),
				IpPermissions: []ec2types.IpPermission{{
					IpProtocol: aws.String("tcp"), FromPort: aws.Int32(5432), ToPort: aws.Int32(5432), IpRanges: []ec2types.IpRange{{CidrIp: aws.String("10.0.0.0/8")}},
				}},
			})
			return func(ctx context.Context) (any, error) {
				return s.EC2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{*out.GroupId}})
			}, err
		}},
		{kinds: []*inventory.Kind{inventory.ElasticIP}, odd: "address of ours", make: func(ctx context.Context, s *saboteur, _ *ground, name string, _ naming, tags map[string]string) (look, error) {
			out, err := s.EC2.AllocateAddress(ctx, &ec2.AllocateAddressInput{Domain: ec2types.DomainTypeVpc, TagSpecifications: spec(ec2types.ResourceTypeElasticIp, tags, name)})
			return func(ctx context.Context) (any, error) {
				return s.EC2.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{AllocationIds: []string{*out.AllocationId}})
			}, err
		}},
		{kinds: []*inventory.Kind{inventory.InternetGateway}, odd: "gateway of ours", make: func(ctx context.Context, s *saboteur, _ *ground, name string, _ naming, tags map[string]string) (look, error) {
			out, err := s.EC2.CreateInternetGateway(ctx, &ec2.CreateInternetGatewayInput{TagSpecifications: spec(ec2types.ResourceTypeInternetGateway, tags, name)})
			return func(ctx context.Context) (any, error) {
				return s.EC2.DescribeInternetGateways(ctx, &ec2.DescribeInternetGatewaysInput{InternetGatewayIds: []string{*out.InternetGateway.InternetGatewayId}})
			}, err
		}},
		{kinds: []*inventory.Kind{inventory.RouteTable}, odd: "routes of ours", make: func(ctx context.Context, s *saboteur, g *ground, name string, _ naming, tags map[string]string) (look, error) {
			out, err := s.EC2.CreateRouteTable(ctx, &ec2.CreateRouteTableInput{VpcId: &g.vpc, TagSpecifications: spec(ec2types.ResourceTypeRouteTable, tags, name)})
			return func(ctx context.Context) (any, error) {
				return s.EC2.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{RouteTableIds: []string{*out.RouteTable.RouteTableId}})
			}, err
		}},
		{kinds: []*inventory.Kind{inventory.NATGateway}, odd: "way out of ours", make: func(ctx context.Context, s *saboteur, g *ground, name string, _ naming, tags map[string]string) (look, error) {
			out, err := s.EC2.CreateNatGateway(ctx, &ec2.CreateNatGatewayInput{
				SubnetId: &g.subnets[0], ConnectivityType: ec2types.ConnectivityTypePrivate, TagSpecifications: spec(ec2types.ResourceTypeNatgateway, tags, name),
			})
			return func(ctx context.Context) (any, error) {
				return s.EC2.DescribeNatGateways(ctx, &ec2.DescribeNatGatewaysInput{NatGatewayIds: []string{*out.NatGateway.NatGatewayId}})
			}, err
		}},
		{kinds: []*inventory.Kind{inventory.VPCEndpoint}, odd: "endpoint of ours", make: func(ctx context.Context, s *saboteur, g *ground, name string, _ naming, tags map[string]string) (look, error) {
			out, err := s.EC2.CreateVpcEndpoint(ctx, &ec2.CreateVpcEndpointInput{
				VpcId: &g.vpc, ServiceName: aws.String("com.amazonaws.us-east-1.s3"), TagSpecifications: spec(ec2types.ResourceTypeVpcEndpoint, tags, name),
			})
			return func(ctx context.Context) (any, error) {
				return s.EC2.DescribeVpcEndpoints(ctx, &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{*out.VpcEndpoint.VpcEndpointId}})
			}, err
		}},
		{kinds: []*inventory.Kind{inventory.NetworkInterface}, name: "interface-{S}", odd: "card of ours", make: func(ctx context.Context, s *saboteur, g *ground, name string, _ naming, tags map[string]string) (look, error) {
			out, err := s.EC2.CreateNetworkInterface(ctx, &ec2.CreateNetworkInterfaceInput{
				SubnetId: &g.subnets[0], TagSpecifications: spec(ec2types.ResourceTypeNetworkInterface, tags, name),
			})
			return func(ctx context.Context) (any, error) {
				return s.EC2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{*out.NetworkInterface.NetworkInterfaceId}})
			}, err
		}},
		{kinds: []*inventory.Kind{inventory.FlowLog}, odd: "log of ours", make: func(ctx context.Context, s *saboteur, g *ground, name string, _ naming, tags map[string]string) (look, error) {
			bucket := "flows-" + strings.ReplaceAll(name, " ", "-")
			if _, err := s.S3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
				return nil, err
			}
			out, err := s.EC2.CreateFlowLogs(ctx, &ec2.CreateFlowLogsInput{
				ResourceIds: []string{g.vpc}, ResourceType: ec2types.FlowLogsResourceTypeVpc, TrafficType: ec2types.TrafficTypeAll,
				LogDestinationType: ec2types.LogDestinationTypeS3, LogDestination: aws.String("arn:aws:s3:::" + bucket),
				TagSpecifications: spec(ec2types.ResourceTypeVpcFlowLog, tags, name),
			})
			if err == nil && len(out.FlowLogIds) == 0 {
				return nil, fmt.Errorf("no flow log: %v", out.Unsuccessful)
			}
			return func(ctx context.Context) (any, error) {
				return s.EC2.DescribeFlowLogs(ctx, &ec2.DescribeFlowLogsInput{FlowLogIds: out.FlowLogIds})
			}, err
		}},
	}
}

func serviceMakers() []maker {
	return []maker{
		{kinds: []*inventory.Kind{inventory.LoadBalancer, inventory.Listener, inventory.ListenerRule}, odd: "balancer-of-ours", make: func(ctx context.Context, s *saboteur, g *ground, name string, of naming, tags map[string]string) (look, error) {
			lb, err := s.ELB.CreateLoadBalancer(ctx, &elb.CreateLoadBalancerInput{Name: &name, Subnets: g.subnets[:2], Tags: elbTagList(tags, name)})
			if err != nil {
				return nil, err
			}
			id := lb.LoadBalancers[0].LoadBalancerArn
			answer := elbtypes.Action{
				Type:                elbtypes.ActionTypeEnumFixedResponse,
				FixedResponseConfig: &elbtypes.FixedResponseActionConfig{StatusCode: aws.String("404")},
			}
			listener, err := s.ELB.CreateListener(ctx, &elb.CreateListenerInput{
				LoadBalancerArn: id, Port: aws.Int32(80), Protocol: elbtypes.ProtocolEnumHttp, DefaultActions: []elbtypes.Action{answer},
				Tags: elbTagList(tags, of(inventory.Listener)),
			})
			if err != nil {
				return nil, err
			}
			in := listener.Listeners[0].ListenerArn
			_, err = s.ELB.CreateRule(ctx, &elb.CreateRuleInput{
				ListenerArn: in, Priority: aws.Int32(1), Actions: []elbtypes.Action{answer}, Tags: elbTagList(tags, of(inventory.ListenerRule)),
				Conditions: []elbtypes.RuleCondition{{Field: aws.String("path-pattern"), Values: []string{"/api/*"}}},
			})
			return func(ctx context.Context) (any, error) {
				lb, err := s.ELB.DescribeLoadBalancers(ctx, &elb.DescribeLoadBalancersInput{LoadBalancerArns: []string{*id}})
				return both(lb, err, func() (any, error) {
					listeners, err := s.ELB.DescribeListeners(ctx, &elb.DescribeListenersInput{LoadBalancerArn: id})
					return both(listeners, err, func() (any, error) { return s.ELB.DescribeRules(ctx, &elb.DescribeRulesInput{ListenerArn: in}) })
				})
			}, err
		}},
		{kinds: []*inventory.Kind{inventory.TargetGroup}, odd: "targets-of-ours", make: func(ctx context.Context, s *saboteur, g *ground, name string, _ naming, tags map[string]string) (look, error) {
			out, err := s.ELB.CreateTargetGroup(ctx, &elb.CreateTargetGroupInput{
				Name: &name, Port: aws.Int32(80), Protocol: elbtypes.ProtocolEnumHttp, VpcId: &g.vpc, TargetType: elbtypes.TargetTypeEnumIp, Tags: elbTagList(tags, name),
			})
			return func(ctx context.Context) (any, error) {
				return s.ELB.DescribeTargetGroups(ctx, &elb.DescribeTargetGroupsInput{TargetGroupArns: []string{*out.TargetGroups[0].TargetGroupArn}})
			}, err
		}},
		{kinds: []*inventory.Kind{inventory.Certificate}, odd: "certificate of ours", make: func(ctx context.Context, s *saboteur, _ *ground, name string, _ naming, tags map[string]string) (look, error) {
			list := append(tagList(tags, func(k, v *string) acmtypes.Tag { return acmtypes.Tag{Key: k, Value: v} }), acmtypes.Tag{Key: aws.String("Name"), Value: &name})
			out, err := s.ACM.RequestCertificate(ctx, &acm.RequestCertificateInput{
				DomainName: aws.String(strings.ReplaceAll(name, " ", "-") + ".example.com"), ValidationMethod: acmtypes.ValidationMethodDns, Tags: list,
			})
			return func(ctx context.Context) (any, error) {
				return s.ACM.ListTagsForCertificate(ctx, &acm.ListTagsForCertificateInput{CertificateArn: out.CertificateArn})
			}, err
		}},
		{kinds: []*inventory.Kind{inventory.WebACL}, odd: "wall-of-ours", make: func(ctx context.Context, s *saboteur, _ *ground, name string, _ naming, tags map[string]string) (look, error) {
			in := &wafv2.CreateWebACLInput{
				Name: &name, Scope: waftypes.ScopeRegional, DefaultAction: &waftypes.DefaultAction{Allow: &waftypes.AllowAction{}},
				VisibilityConfig: &waftypes.VisibilityConfig{MetricName: &name},
			}
			if len(tags) > 0 { // WAF refuses an empty list
				in.Tags = tagList(tags, func(k, v *string) waftypes.Tag { return waftypes.Tag{Key: k, Value: v} })
			}
			out, err := s.WAF.CreateWebACL(ctx, in)
			return func(ctx context.Context) (any, error) {
				return s.WAF.GetWebACL(ctx, &wafv2.GetWebACLInput{Name: &name, Id: out.Summary.Id, Scope: waftypes.ScopeRegional})
			}, err
		}},
		{kinds: []*inventory.Kind{inventory.ECSCluster, inventory.ECSService, inventory.TaskDefinition, inventory.ScalableTarget, inventory.ScalingPolicy, inventory.Alarm}, odd: "cluster-of-ours", make: makeCluster},
		{kinds: []*inventory.Kind{inventory.DBCluster, inventory.DBInstance, inventory.DBSnapshot}, odd: "database-of-ours", make: makeDatabase},
		{kinds: []*inventory.Kind{inventory.DBClusterParameterGroup}, odd: "settings-of-ours", make: func(ctx context.Context, s *saboteur, _ *ground, name string, _ naming, tags map[string]string) (look, error) {
			_, err := s.RDS.CreateDBClusterParameterGroup(ctx, &rds.CreateDBClusterParameterGroupInput{
				DBClusterParameterGroupName: &name, DBParameterGroupFamily: aws.String("aurora-postgresql16"), Description: &name, Tags: rdsTagList(tags),
			})
			return func(ctx context.Context) (any, error) {
				return s.RDS.DescribeDBClusterParameterGroups(ctx, &rds.DescribeDBClusterParameterGroupsInput{DBClusterParameterGroupName: &name})
			}, err
		}},
		{kinds: []*inventory.Kind{inventory.DBSubnetGroup}, odd: "subnets-of-ours", make: func(ctx context.Context, s *saboteur, g *ground, name string, _ naming, tags map[string]string) (look, error) {
			_, err := s.RDS.CreateDBSubnetGroup(ctx, &rds.CreateDBSubnetGroupInput{
				DBSubnetGroupName: &name, DBSubnetGroupDescription: &name, SubnetIds: g.subnets[:2], Tags: rdsTagList(tags),
			})
			return func(ctx context.Context) (any, error) {
				return s.RDS.DescribeDBSubnetGroups(ctx, &rds.DescribeDBSubnetGroupsInput{DBSubnetGroupName: &name})
			}, err
		}},
	}
}

func makeCluster(ctx context.Context, s *saboteur, _ *ground, name string, of naming, tags map[string]string) (look, error) {
	list := tagList(tags, func(k, v *string) ecstypes.Tag { return ecstypes.Tag{Key: k, Value: v} })
	if _, err := s.ECS.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: &name, Tags: list}); err != nil {
		return nil, err
	}
	service := of(inventory.ECSService)
	task, err := s.ECS.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{
		Family: &service, Tags: list, ContainerDefinitions: []ecstypes.ContainerDefinition{{Name: aws.String("c"), Image: aws.String("busybox:1"), Memory: aws.Int32(64)}},
	})
	if err != nil {
		return nil, err
	}
	_, err = s.ECS.CreateService(ctx, &ecs.CreateServiceInput{Cluster: &name, ServiceName: &service, TaskDefinition: &service, DesiredCount: aws.Int32(2), Tags: list})
	if err != nil {
		return nil, err
	}
	id, dimension := "service/"+name+"/"+service, astypes.ScalableDimensionECSServiceDesiredCount
	_, err = s.AutoScaling.RegisterScalableTarget(ctx, &applicationautoscaling.RegisterScalableTargetInput{
		ResourceId: &id, ServiceNamespace: astypes.ServiceNamespaceEcs, ScalableDimension: dimension, MinCapacity: aws.Int32(2), MaxCapacity: aws.Int32(4), Tags: tags,
	})
	if err != nil {
		return nil, err
	}
	policy, err := s.AutoScaling.PutScalingPolicy(ctx, &applicationautoscaling.PutScalingPolicyInput{
		PolicyName: aws.String(of(inventory.ScalingPolicy)), ResourceId: &id, ServiceNamespace: astypes.ServiceNamespaceEcs,
		ScalableDimension: dimension, PolicyType: astypes.PolicyTypeTargetTrackingScaling,
		TargetTrackingScalingPolicyConfiguration: &astypes.TargetTrackingScalingPolicyConfiguration{
			TargetValue:                   aws.Float64(60),
			PredefinedMetricSpecification: &astypes.PredefinedMetricSpecification{PredefinedMetricType: astypes.MetricTypeECSServiceAverageCPUUtilization},
		},
	})
	if err != nil {
		return nil, err
	}
	var alarms []string
	for _, a := range policy.Alarms {
		alarms = append(alarms, aws.ToString(a.AlarmName))
	}
	return func(ctx context.Context) (any, error) {
		services, err := s.ECS.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: &name, Services: []string{service}, Include: []ecstypes.ServiceField{"TAGS"}})
		if err != nil {
			return nil, err
		}
		definition, err := s.ECS.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: task.TaskDefinition.TaskDefinitionArn})
		if err != nil {
			return nil, err
		}
		targets, err := s.AutoScaling.DescribeScalableTargets(ctx, &applicationautoscaling.DescribeScalableTargetsInput{ServiceNamespace: astypes.ServiceNamespaceEcs, ResourceIds: []string{id}})
		if err != nil {
			return nil, err
		}
		policies, err := s.AutoScaling.DescribeScalingPolicies(ctx, &applicationautoscaling.DescribeScalingPoliciesInput{ServiceNamespace: astypes.ServiceNamespaceEcs, ResourceId: &id})
		if err != nil {
			return nil, err
		}
		tracking, err := s.CloudWatch.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: alarms})
		return []any{services.Services, definition.TaskDefinition.Status, targets, policies, tracking}, err
	}, nil
}

func makeDatabase(ctx context.Context, s *saboteur, _ *ground, name string, of naming, tags map[string]string) (look, error) {
	_, err := s.RDS.CreateDBCluster(ctx, &rds.CreateDBClusterInput{
		DBClusterIdentifier: &name, Engine: aws.String("aurora-postgresql"), MasterUsername: aws.String("root"), MasterUserPassword: aws.String("not-a-secret-1"),
		Tags: rdsTagList(tags),
	})
	if err != nil {
		return nil, err
	}
	instance := of(inventory.DBInstance)
	_, err = s.RDS.CreateDBInstance(ctx, &rds.CreateDBInstanceInput{
		DBInstanceIdentifier: &instance, DBClusterIdentifier: &name, Engine: aws.String("aurora-postgresql"), DBInstanceClass: aws.String("db.r6g.large"), Tags: rdsTagList(tags),
	})
	if err != nil {
		return nil, err
	}
	_, err = s.RDS.CreateDBClusterSnapshot(ctx, &rds.CreateDBClusterSnapshotInput{
		DBClusterIdentifier: &name, DBClusterSnapshotIdentifier: aws.String("copy-of-" + name), Tags: rdsTagList(tags),
	})
	return func(ctx context.Context) (any, error) {
		instances, err := s.RDS.DescribeDBInstances(ctx, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: &instance})
		if err != nil {
			return nil, err
		}
		clusters, err := s.RDS.DescribeDBClusters(ctx, &rds.DescribeDBClustersInput{DBClusterIdentifier: &name})
		if err != nil {
			return nil, err
		}
		// These move with the clock.
		instances.DBInstances[0].LatestRestorableTime, clusters.DBClusters[0].LatestRestorableTime = nil, nil
		copies, err := s.RDS.DescribeDBClusterSnapshots(ctx, &rds.DescribeDBClusterSnapshotsInput{DBClusterSnapshotIdentifier: aws.String("copy-of-" + name)})
		return []any{instances, clusters, copies}, err
	}, err
}

func storeMakers() []maker {
	return []maker{
		{kinds: []*inventory.Kind{inventory.Queue}, odd: "queue-of-ours", make: func(ctx context.Context, s *saboteur, _ *ground, name string, _ naming, tags map[string]string) (look, error) {
			out, err := s.SQS.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name, Tags: tags})
			if err != nil {
				return nil, err
			}
			_, err = s.SQS.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: out.QueueUrl, MessageBody: aws.String("keep me")})
			return func(ctx context.Context) (any, error) {
				attributes, err := s.SQS.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: out.QueueUrl, AttributeNames: []sqstypes.QueueAttributeName{"All"}})
				return both(attributes, err, func() (any, error) { return s.SQS.ListQueueTags(ctx, &sqs.ListQueueTagsInput{QueueUrl: out.QueueUrl}) })
			}, err
		}},
		{kinds: []*inventory.Kind{inventory.Topic}, odd: "topic-of-ours", make: func(ctx context.Context, s *saboteur, _ *ground, name string, _ naming, tags map[string]string) (look, error) {
			client := s.SNS
			out, err := client.CreateTopic(ctx, &sns.CreateTopicInput{Name: &name, Tags: tagList(tags, func(k, v *string) snstypes.Tag { return snstypes.Tag{Key: k, Value: v} })})
			return func(ctx context.Context) (any, error) {
				return client.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: out.TopicArn})
			}, err
		}},
		{kinds: []*inventory.Kind{inventory.Secret}, odd: "secret-of-ours", make: func(ctx context.Context, s *saboteur, _ *ground, name string, _ naming, tags map[string]string) (look, error) {
			_, err := s.SecretsManager.CreateSecret(ctx, &secretsmanager.CreateSecretInput{
				Name: &name, SecretString: aws.String("keep me"), Tags: tagList(tags, func(k, v *string) smtypes.Tag { return smtypes.Tag{Key: k, Value: v} }),
			})
			return func(ctx context.Context) (any, error) {
				return s.SecretsManager.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name})
			}, err
		}},
		{kinds: []*inventory.Kind{inventory.Parameter}, odd: "/invoices/queue-url", make: func(ctx context.Context, s *saboteur, _ *ground, name string, _ naming, tags map[string]string) (look, error) {
			_, err := s.SSM.PutParameter(ctx, &ssm.PutParameterInput{
				Name: &name, Value: aws.String("keep me"), Type: ssmtypes.ParameterTypeString,
				Tags: tagList(tags, func(k, v *string) ssmtypes.Tag { return ssmtypes.Tag{Key: k, Value: v} }),
			})
			return func(ctx context.Context) (any, error) {
				return s.SSM.GetParameter(ctx, &ssm.GetParameterInput{Name: &name})
			}, err
		}},
		{kinds: []*inventory.Kind{inventory.Key, inventory.KeyAlias}, odd: "key of ours", make: func(ctx context.Context, s *saboteur, _ *ground, name string, of naming, tags map[string]string) (look, error) {
			list := append(tagList(tags, func(k, v *string) kmstypes.Tag { return kmstypes.Tag{TagKey: k, TagValue: v} }), kmstypes.Tag{TagKey: aws.String("Name"), TagValue: &name})
			out, err := s.KMS.CreateKey(ctx, &kms.CreateKeyInput{Tags: list})
			if err != nil {
				return nil, err
			}
			alias := "alias/" + strings.ReplaceAll(strings.TrimPrefix(of(inventory.KeyAlias), "alias/"), " ", "-")
			_, err = s.KMS.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: &alias, TargetKeyId: out.KeyMetadata.KeyId})
			return func(ctx context.Context) (any, error) {
				return s.KMS.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &alias})
			}, err
		}},
		{kinds: []*inventory.Kind{inventory.Bucket}, odd: "bucket-of-ours", make: func(ctx context.Context, s *saboteur, _ *ground, name string, _ naming, tags map[string]string) (look, error) {
			if _, err := s.S3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &name}); err != nil {
				return nil, err
			}
			if len(tags) > 0 {
				set := tagList(tags, func(k, v *string) s3types.Tag { return s3types.Tag{Key: k, Value: v} })
				if _, err := s.S3.PutBucketTagging(ctx, &s3.PutBucketTaggingInput{Bucket: &name, Tagging: &s3types.Tagging{TagSet: set}}); err != nil {
					return nil, err
				}
			}
			_, err := s.S3.PutObject(ctx, &s3.PutObjectInput{Bucket: &name, Key: aws.String("keep"), Body: strings.NewReader("keep me")})
			return func(ctx context.Context) (any, error) {
				return s.S3.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: &name})
			}, err
		}},
		{kinds: []*inventory.Kind{inventory.Role}, odd: "role-of-ours", make: func(ctx context.Context, s *saboteur, _ *ground, name string, _ naming, tags map[string]string) (look, error) {
			_, err := s.IAM.CreateRole(ctx, &iam.CreateRoleInput{
				RoleName: &name, Tags: tagList(tags, func(k, v *string) iamtypes.Tag { return iamtypes.Tag{Key: k, Value: v} }),
				AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`),
			})
			if err != nil {
				return nil, err
			}
			_, err = s.IAM.PutRolePolicy(ctx, &iam.PutRolePolicyInput{
				RoleName: &name, PolicyName: aws.String("p"),
				PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:ListAllMyBuckets","Resource":"*"}]}`),
			})
			return func(ctx context.Context) (any, error) {
				role, err := s.IAM.GetRole(ctx, &iam.GetRoleInput{RoleName: &name})
				return both(role, err, func() (any, error) {
					return s.IAM.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: &name, PolicyName: aws.String("p")})
				})
			}, err
		}},
	}
}

func watchMakers() []maker {
	return []maker{
		{kinds: []*inventory.Kind{inventory.LogGroup}, odd: "/log/of/ours", make: func(ctx context.Context, s *saboteur, _ *ground, name string, _ naming, tags map[string]string) (look, error) {
			if _, err := s.Logs.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &name, Tags: tags}); err != nil {
				return nil, err
			}
			_, err := s.Logs.CreateLogStream(ctx, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: &name, LogStreamName: aws.String("keep")})
			return func(ctx context.Context) (any, error) {
				return s.Logs.DescribeLogStreams(ctx, &cloudwatchlogs.DescribeLogStreamsInput{LogGroupName: &name})
			}, err
		}},
		{kinds: []*inventory.Kind{inventory.LogGroup}, name: strings.ReplaceAll(inventory.LogGroup.NamesByAWS()[1], "{S}", "gone-{S}"), untagged: true, make: makeLogGroup},
		{kinds: []*inventory.Kind{inventory.LogGroup}, name: inventory.LogGroup.NamesByAWS()[0], untagged: true, make: makeLogGroup},
		{kinds: []*inventory.Kind{inventory.LogResourcePolicy}, untagged: true, make: func(ctx context.Context, s *saboteur, _ *ground, name string, _ naming, _ map[string]string) (look, error) {
			group := inventory.LogGroup.NamesIn(inventory.LogResourcePolicy.SuffixIn(name))[1]
			if _, err := makeLogGroup(ctx, s, nil, group, nil, nil); err != nil {
				return nil, err
			}
			return makeLogPolicy(ctx, s, name, group)
		}},
		{kinds: []*inventory.Kind{inventory.Alarm}, odd: "alarm of ours", make: func(ctx context.Context, s *saboteur, _ *ground, name string, _ naming, tags map[string]string) (look, error) {
			_, err := s.CloudWatch.PutMetricAlarm(ctx, &cloudwatch.PutMetricAlarmInput{
				AlarmName: &name, MetricName: aws.String("m"), Namespace: aws.String("n"), Period: aws.Int32(60), EvaluationPeriods: aws.Int32(1),
				Threshold: aws.Float64(1), ComparisonOperator: cwtypes.ComparisonOperatorGreaterThanThreshold, Statistic: cwtypes.StatisticSum,
				Tags: tagList(tags, func(k, v *string) cwtypes.Tag { return cwtypes.Tag{Key: k, Value: v} }),
			})
			return func(ctx context.Context) (any, error) {
				out, err := s.CloudWatch.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{name}})
				return out.MetricAlarms, err
			}, err
		}},
		{kinds: []*inventory.Kind{inventory.Dashboard}, odd: "dashboard-of-ours", make: func(ctx context.Context, s *saboteur, _ *ground, name string, _ naming, tags map[string]string) (look, error) {
			var words []string
			for k, v := range tags {
				words = append(words, k+"="+v)
			}
			body := fmt.Sprintf(`{"widgets":[{"type":"text","x":0,"y":0,"width":6,"height":2,"properties":{"markdown":%q}}]}`, "like ours "+strings.Join(words, " "))
			_, err := s.CloudWatch.PutDashboard(ctx, &cloudwatch.PutDashboardInput{DashboardName: &name, DashboardBody: &body})
			return func(ctx context.Context) (any, error) {
				return s.CloudWatch.GetDashboard(ctx, &cloudwatch.GetDashboardInput{DashboardName: &name})
			}, err
		}},
		{kinds: []*inventory.Kind{inventory.EventRule}, odd: "event-of-ours", make: func(ctx context.Context, s *saboteur, _ *ground, name string, _ naming, tags map[string]string) (look, error) {
			_, err := s.EventBridge.PutRule(ctx, &eventbridge.PutRuleInput{
				Name: &name, EventPattern: aws.String(`{"source":["aws.ecs"]}`), Tags: tagList(tags, func(k, v *string) eventtypes.Tag { return eventtypes.Tag{Key: k, Value: v} }),
			})
			if err != nil {
				return nil, err
			}
			_, err = s.EventBridge.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: &name, Targets: []eventtypes.Target{{Id: aws.String("1"), Arn: aws.String("arn:aws:sqs:us-east-1:123456789012:keep")}}})
			return func(ctx context.Context) (any, error) {
				rule, err := s.EventBridge.DescribeRule(ctx, &eventbridge.DescribeRuleInput{Name: &name})
				return both(rule, err, func() (any, error) {
					return s.EventBridge.ListTargetsByRule(ctx, &eventbridge.ListTargetsByRuleInput{Rule: &name})
				})
			}, err
		}},
		{kinds: []*inventory.Kind{inventory.EventSubscription}, odd: "events-of-ours", make: func(ctx context.Context, s *saboteur, _ *ground, name string, _ naming, tags map[string]string) (look, error) {
			_, err := s.RDS.CreateEventSubscription(ctx, &rds.CreateEventSubscriptionInput{
				SubscriptionName: &name, SnsTopicArn: aws.String("arn:aws:sns:us-east-1:123456789012:keep"), Tags: rdsTagList(tags),
			})
			return func(ctx context.Context) (any, error) {
				return s.RDS.DescribeEventSubscriptions(ctx, &rds.DescribeEventSubscriptionsInput{SubscriptionName: &name})
			}, err
		}},
	}
}

func makeLogGroup(ctx context.Context, s *saboteur, _ *ground, name string, _ naming, _ map[string]string) (look, error) {
	_, err := s.Logs.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &name})
	return func(ctx context.Context) (any, error) {
		out, err := s.Logs.DescribeLogGroups(ctx, &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: &name})
		if err == nil && len(out.LogGroups) == 0 {
			err = fmt.Errorf("log group %s is gone", name)
		}
		return out, err
	}, err
}

func makeLogPolicy(ctx context.Context, s *saboteur, name, group string) (look, error) {
	_, err := s.Logs.PutResourcePolicy(ctx, &cloudwatchlogs.PutResourcePolicyInput{PolicyName: &name, PolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"delivery.logs.amazonaws.com"},"Action":"logs:PutLogEvents",` +
			`"Resource":"arn:aws:logs:us-east-1:123456789012:log-group:` + group + `:*"}]}`)})
	return func(ctx context.Context) (any, error) {
		policies, err := s.Logs.DescribeResourcePolicies(ctx, &cloudwatchlogs.DescribeResourcePoliciesInput{})
		if err != nil {
			return nil, err
		}
		for _, p := range policies.ResourcePolicies {
			if aws.ToString(p.PolicyName) == name {
				return p, nil
			}
		}
		return nil, fmt.Errorf("log resource policy %s is gone", name)
	}, err
}
