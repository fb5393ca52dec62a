package verify

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// route is one entry of a route table: where packets for prefix go.
type route struct {
	prefix netip.Prefix // not valid for a managed prefix list
	target string       // the id of a gateway or an interface, or "local"
	active bool         // false for a blackhole
}

// routeTable is what decides where a subnet's packets go.
type routeTable struct {
	id      string
	main    bool
	subnets []string
	routes  []route
}

// effectiveTable is the table that a subnet uses: the one associated with it, else the VPC's main one.
func effectiveTable(subnet string, tables []routeTable) (routeTable, bool) {
	for _, t := range tables {
		if slices.Contains(t.subnets, subnet) {
			return t, true
		}
	}
	for _, t := range tables {
		if t.main {
			return t, true
		}
	}
	return routeTable{}, false
}

// lookup is the route that a packet to addr takes: the longest prefix wins, and a blackhole swallows what it matches.
func (t routeTable) lookup(addr netip.Addr) (route, bool) {
	best, found := route{}, false
	for _, r := range t.routes {
		if !r.prefix.IsValid() || !r.prefix.Contains(addr) {
			continue
		}
		if !found || r.prefix.Bits() > best.prefix.Bits() {
			best, found = r, true
		}
	}
	return best, found && best.active
}

// ways names the destinations beyond the VPC that the table knows, but for the internet as a whole and AWS's own prefix
// lists.
func (t routeTable) ways() []string {
	var beyond []string
	for _, r := range t.routes {
		if r.prefix.IsValid() && r.prefix.Bits() > 0 && r.target != "local" {
			beyond = append(beyond, r.prefix.String()+" through "+r.target)
		}
	}
	return beyond
}

// toInternetGateway tells whether the table has any way to or from the internet that is not address translation, blackholes
// included.
func (t routeTable) toInternetGateway() bool {
	return slices.ContainsFunc(t.routes, func(r route) bool {
		return strings.HasPrefix(r.target, "igw-") || strings.HasPrefix(r.target, "eigw-")
	})
}

// publicAddress is an address of the public internet, to ask route tables about.
var publicAddress = netip.AddrFrom4([4]byte{198, 41, 0, 4})

func parseRouteTable(in ec2types.RouteTable) routeTable {
	t := routeTable{id: aws.ToString(in.RouteTableId)}
	for _, a := range in.Associations {
		if aws.ToBool(a.Main) {
			t.main = true
		}
		if id := aws.ToString(a.SubnetId); id != "" {
			t.subnets = append(t.subnets, id)
		}
	}
	for _, r := range in.Routes {
		for _, cidr := range []*string{r.DestinationCidrBlock, r.DestinationIpv6CidrBlock} {
			prefix, err := netip.ParsePrefix(aws.ToString(cidr))
			if err != nil {
				continue
			}
			t.routes = append(t.routes, route{prefix: prefix, target: routeTarget(r), active: r.State == ec2types.RouteStateActive})
		}
		if r.DestinationPrefixListId != nil {
			t.routes = append(t.routes, route{target: routeTarget(r), active: r.State == ec2types.RouteStateActive})
		}
	}
	return t
}

func routeTarget(r ec2types.Route) string {
	for _, id := range []*string{
		r.GatewayId, r.NatGatewayId, r.TransitGatewayId, r.NetworkInterfaceId, r.VpcPeeringConnectionId,
		r.EgressOnlyInternetGatewayId, r.InstanceId, r.LocalGatewayId, r.CarrierGatewayId, r.CoreNetworkArn,
	} {
		if s := aws.ToString(id); s != "" {
			return s
		}
	}
	return ""
}
