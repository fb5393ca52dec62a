package reachability

import (
	"net/netip"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/cloud"
	"tapstack/lib/cloud/cloudtest"
)

func toGroup(port int32, id string) []ec2types.IpPermission {
	return []ec2types.IpPermission{{
		IpProtocol: aws.String("tcp"), FromPort: &port, ToPort: &port, UserIdGroupPairs: []ec2types.UserIdGroupPair{{GroupId: &id}},
	}}
}

func toRange(port int32, cidr string) []ec2types.IpPermission {
	return []ec2types.IpPermission{{IpProtocol: aws.String("tcp"), FromPort: &port, ToPort: &port, IpRanges: []ec2types.IpRange{{CidrIp: &cidr}}}}
}

// account answers for a VPC in which the service's group lets out to the database's, and that lets in from it.
func account(change func(groups map[string]*ec2types.SecurityGroup, table *ec2types.RouteTable)) aws.Config {
	groups := map[string]*ec2types.SecurityGroup{
		"sg-api":   {GroupName: aws.String("payment-api-sg-dev"), VpcId: aws.String("vpc-1"), IpPermissionsEgress: toGroup(5432, "sg-db")},
		"sg-db":    {GroupName: aws.String("db-sg-dev"), VpcId: aws.String("vpc-1"), IpPermissions: toGroup(5432, "sg-api")},
		"sg-other": {GroupName: aws.String("db-sg-dev"), VpcId: aws.String("vpc-2"), IpPermissions: toRange(5432, "0.0.0.0/0")},
	}
	table := &ec2types.RouteTable{
		RouteTableId: aws.String("rtb-1"), VpcId: aws.String("vpc-1"), Associations: []ec2types.RouteTableAssociation{{Main: aws.Bool(true)}},
		Routes: []ec2types.Route{
			{DestinationCidrBlock: aws.String("10.0.0.0/16"), GatewayId: aws.String("local"), State: ec2types.RouteStateActive},
			{DestinationCidrBlock: aws.String("0.0.0.0/0"), NatGatewayId: aws.String("nat-1"), State: ec2types.RouteStateActive},
		},
	}
	if change != nil {
		change(groups, table)
	}
	var all []ec2types.SecurityGroup
	for id, g := range groups {
		g.GroupId = aws.String(id)
		all = append(all, *g)
	}
	return cloudtest.Config(func(call string, _ any) (any, error) {
		switch call {
		case "EC2 DescribeSecurityGroups":
			return &ec2.DescribeSecurityGroupsOutput{SecurityGroups: all}, nil
		case "EC2 DescribeRouteTables":
			return &ec2.DescribeRouteTablesOutput{RouteTables: []ec2types.RouteTable{*table}}, nil
		case "EC2 GetManagedPrefixListEntries":
			return &ec2.GetManagedPrefixListEntriesOutput{Entries: []ec2types.PrefixListEntry{{Cidr: aws.String("10.0.32.0/20")}}}, nil
		}
		return nil, cloudtest.Refusal("NobodyAsked")
	})
}

func TestAConnectionNeedsARuleOfBothSidesAndARoute(t *testing.T) {
	api := Interface{Groups: []string{"sg-api"}, Subnet: "subnet-1", Address: netip.MustParseAddr("10.0.16.7")}
	db := Interface{Groups: []string{"sg-db"}, Subnet: "subnet-2", Address: netip.MustParseAddr("10.0.32.9")}
	type groups = map[string]*ec2types.SecurityGroup
	const (
		noEgress  = "no egress rule of sg-api (payment-api-sg-dev) lets tcp 5432 to 10.0.32.9 (sg-db (db-sg-dev))"
		noIngress = "no ingress rule of sg-db (db-sg-dev) lets tcp 5432 from 10.0.16.7 (sg-api (payment-api-sg-dev))"
	)
	for what, c := range map[string]struct {
		change func(groups, *ec2types.RouteTable)
		want   string
	}{
		"all as it should be":      {nil, ""},
		"nothing goes out":         {func(g groups, _ *ec2types.RouteTable) { g["sg-api"].IpPermissionsEgress = nil }, noEgress},
		"nothing comes in":         {func(g groups, _ *ec2types.RouteTable) { g["sg-db"].IpPermissions = nil }, noIngress},
		"another port":             {func(g groups, _ *ec2types.RouteTable) { g["sg-db"].IpPermissions = toGroup(5433, "sg-api") }, noIngress},
		"another group":            {func(g groups, _ *ec2types.RouteTable) { g["sg-db"].IpPermissions = toGroup(5432, "sg-job") }, noIngress},
		"another protocol":         {func(g groups, _ *ec2types.RouteTable) { g["sg-db"].IpPermissions[0].IpProtocol = aws.String("udp") }, noIngress},
		"a range with the address": {func(g groups, _ *ec2types.RouteTable) { g["sg-db"].IpPermissions = toRange(5432, "10.0.16.0/20") }, ""},
		"a range without it":       {func(g groups, _ *ec2types.RouteTable) { g["sg-db"].IpPermissions = toRange(5432, "10.0.32.0/20") }, noIngress},
		"everything": {func(g groups, _ *ec2types.RouteTable) {
			g["sg-db"].IpPermissions = []ec2types.IpPermission{{IpProtocol: aws.String("-1"), IpRanges: []ec2types.IpRange{{CidrIp: aws.String("0.0.0.0/0")}}}}
		}, ""},
		"a prefix list with the address": {func(g groups, _ *ec2types.RouteTable) {
			g["sg-api"].IpPermissionsEgress[0].UserIdGroupPairs, g["sg-api"].IpPermissionsEgress[0].PrefixListIds = nil, []ec2types.PrefixListId{{PrefixListId: aws.String("pl-1")}}
		}, ""},
		"a rule of another VPC's namesake": {func(g groups, _ *ec2types.RouteTable) { g["sg-db"].VpcId = aws.String("vpc-2") }, "no ingress rule of sg-db (not of vpc-1) lets tcp 5432 from 10.0.16.7 (sg-api (payment-api-sg-dev))"},
		"the way is a blackhole":           {func(_ groups, r *ec2types.RouteTable) { r.Routes[0].State = ec2types.RouteStateBlackhole }, "rtb-1 of subnet-1 has no route to 10.0.32.9"},
		"the way leads through a gateway":  {func(_ groups, r *ec2types.RouteTable) { r.Routes = r.Routes[1:] }, "rtb-1 of subnet-1 leads 10.0.32.9 out of the VPC through nat-1"},
		"no table":                         {func(_ groups, r *ec2types.RouteTable) { r.Associations = nil }, "subnet-1 has no route table"},
		"the way back alone leads elsewhere": {func(_ groups, r *ec2types.RouteTable) {
			r.Routes = append(r.Routes, ec2types.Route{DestinationCidrBlock: aws.String("10.0.16.7/32"), GatewayId: aws.String("vgw-1"), State: ec2types.RouteStateActive})
		}, "rtb-1 of subnet-2 leads 10.0.16.7 out of the VPC through vgw-1"},
	} {
		n, err := Read(t.Context(), cloud.NewReader(account(c.change)), "vpc-1")
		require.NoError(t, err, what)
		err = n.MayConnect(api, db, 5432)
		if c.want == "" {
			require.NoError(t, err, what)
			continue
		}
		assert.ErrorContains(t, err, c.want, what)
	}
}

func TestOneOfSeveralGroupsIsEnoughAndNoneIsNot(t *testing.T) {
	n, err := Read(t.Context(), cloud.NewReader(account(nil)), "vpc-1")
	require.NoError(t, err)
	api := Interface{Groups: []string{"sg-job", "sg-api"}, Subnet: "subnet-1", Address: netip.MustParseAddr("10.0.16.7")}
	db := Interface{Groups: []string{"sg-db"}, Subnet: "subnet-2", Address: netip.MustParseAddr("10.0.32.9")}
	require.NoError(t, n.MayConnect(api, db, 5432))
	api.Groups = nil
	require.ErrorContains(t, n.MayConnect(api, db, 5432), "10.0.16.7 has no security group")
	require.Error(t, n.MayConnect(db, api, 5432), "what may be answered may not be called")
}
