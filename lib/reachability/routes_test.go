package reachability

import (
	"net/netip"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/stretchr/testify/assert"
)

func TestASubnetUsesItsOwnRouteTableElseTheMainOne(t *testing.T) {
	tables := []RouteTable{
		{ID: "rtb-main", Main: true},
		{ID: "rtb-own", Subnets: []string{"subnet-1"}},
	}
	for subnet, want := range map[string]string{"subnet-1": "rtb-own", "subnet-2": "rtb-main"} {
		got, ok := EffectiveTable(subnet, tables)
		assert.True(t, ok, subnet)
		assert.Equal(t, want, got.ID, subnet)
	}
	_, ok := EffectiveTable("subnet-2", tables[1:])
	assert.False(t, ok, "a subnet without any table must have none")
}

func TestTheLongestPrefixWinsAndABlackholeSwallows(t *testing.T) {
	table := RouteTable{Routes: []Route{
		{Prefix: netip.MustParsePrefix("10.0.0.0/16"), Target: "local", Active: true},
		{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Target: "nat-1", Active: true},
		{Prefix: netip.MustParsePrefix("198.0.0.0/8"), Target: "igw-1", Active: true},
		{Prefix: netip.MustParsePrefix("203.0.113.0/24"), Target: "nat-gone"},
	}}
	for address, want := range map[string]string{"10.0.3.4": "local", "8.8.8.8": "nat-1", "198.41.0.4": "igw-1"} {
		got, ok := table.Lookup(netip.MustParseAddr(address))
		assert.True(t, ok, address)
		assert.Equal(t, want, got.Target, address)
	}
	_, ok := table.Lookup(netip.MustParseAddr("203.0.113.9"))
	assert.False(t, ok, "a blackhole leads nowhere")
	_, ok = RouteTable{}.Lookup(publicAddress)
	assert.False(t, ok, "nor does an empty table")
}

func TestEveryWayThroughAnInternetGatewayIsSeen(t *testing.T) {
	// Two halves are more specific than the default route: a table may look private and not be.
	hiddenHalf := RouteTable{Main: true, Routes: []Route{
		{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Target: "nat-1", Active: true},
		{Prefix: netip.MustParsePrefix("128.0.0.0/1"), Target: "igw-1", Active: true},
	}}
	prefixList := ParseRouteTable(ec2types.RouteTable{
		Associations: []ec2types.RouteTableAssociation{{Main: aws.Bool(true)}},
		Routes: []ec2types.Route{
			{DestinationCidrBlock: aws.String("0.0.0.0/0"), NatGatewayId: aws.String("nat-1"), State: ec2types.RouteStateActive},
			{DestinationPrefixListId: aws.String("pl-1"), GatewayId: aws.String("igw-1"), State: ec2types.RouteStateActive},
		},
	})
	for out, table := range map[string]RouteTable{"igw-1": hiddenHalf, "nat-1": prefixList} {
		assert.Equal(t, out, WayOut("subnet-1", []RouteTable{table}))
		assert.True(t, table.ToInternetGateway())
	}
}
