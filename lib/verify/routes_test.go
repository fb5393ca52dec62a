package verify

import (
	"net/netip"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func TestASubnetUsesItsOwnRouteTableElseTheMainOne(t *testing.T) {
	tables := []routeTable{
		{id: "rtb-main", main: true},
		{id: "rtb-own", subnets: []string{"subnet-1"}},
	}
	for subnet, want := range map[string]string{"subnet-1": "rtb-own", "subnet-2": "rtb-main"} {
		if got, ok := effectiveTable(subnet, tables); !ok || got.id != want {
			t.Errorf("%s uses %q, want %q", subnet, got.id, want)
		}
	}
	if _, ok := effectiveTable("subnet-2", tables[1:]); ok {
		t.Error("a subnet without any table must have none")
	}
}

func TestTheLongestPrefixWinsAndABlackholeSwallows(t *testing.T) {
	table := routeTable{routes: []route{
		{prefix: netip.MustParsePrefix("10.0.0.0/16"), target: "local", active: true},
		{prefix: netip.MustParsePrefix("0.0.0.0/0"), target: "nat-1", active: true},
		{prefix: netip.MustParsePrefix("198.0.0.0/8"), target: "igw-1", active: true},
		{prefix: netip.MustParsePrefix("203.0.113.0/24"), target: "nat-gone"},
	}}
	for address, want := range map[string]string{"10.0.3.4": "local", "8.8.8.8": "nat-1", "198.41.0.4": "igw-1"} {
		if got, ok := table.lookup(netip.MustParseAddr(address)); !ok || got.target != want {
			t.Errorf("%s goes to %q, want %q", address, got.target, want)
		}
	}
	if got, ok := table.lookup(netip.MustParseAddr("203.0.113.9")); ok {
		t.Errorf("a blackhole leads to %q", got.target)
	}
	if _, ok := (routeTable{}).lookup(publicAddress); ok {
		t.Error("an empty table leads somewhere")
	}
}

func TestAHiddenHalfOfTheInternetThroughAnInternetGatewayIsSeen(t *testing.T) {
	// Two halves are more specific than the default route: a table may look private and not be.
	table := routeTable{routes: []route{
		{prefix: netip.MustParsePrefix("0.0.0.0/0"), target: "nat-1", active: true},
		{prefix: netip.MustParsePrefix("128.0.0.0/1"), target: "igw-1", active: true},
	}}
	if got := wayOut("subnet-1", []routeTable{{main: true, routes: table.routes}}); got != "igw-1" {
		t.Errorf("the way out is %q, want igw-1", got)
	}
	if !table.towards("igw-") {
		t.Error("the route to the internet gateway is not seen")
	}
}

func TestARouteForAPrefixListToAnInternetGatewayIsSeen(t *testing.T) {
	table := parseRouteTable(ec2types.RouteTable{Routes: []ec2types.Route{
		{DestinationCidrBlock: aws.String("0.0.0.0/0"), NatGatewayId: aws.String("nat-1"), State: ec2types.RouteStateActive},
		{DestinationPrefixListId: aws.String("pl-1"), GatewayId: aws.String("igw-1"), State: ec2types.RouteStateActive},
	}})
	if !table.toInternetGateway() {
		t.Error("the route to the internet gateway is not seen")
	}
	if got, ok := table.lookup(publicAddress); !ok || got.target != "nat-1" {
		t.Errorf("the way out is %q, want nat-1", got.target)
	}
}
