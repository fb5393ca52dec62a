package reachability

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// Route is one entry of a route table: where packets for prefix go.
type Route struct {
	Prefix netip.Prefix // not valid for a managed prefix list
	Target string       // the id of a gateway or an interface, or local
	Active bool         // false for a blackhole
}

// local is the target of the VPC's own addresses.
const local = "local"

// RouteTable is what decides where a subnet's packets go.
type RouteTable struct {
	ID      string
	Main    bool
	Subnets []string
	Routes  []Route
}

// EffectiveTable is the table that a subnet uses: the one associated with it, else the VPC's main one.
func EffectiveTable(subnet string, tables []RouteTable) (RouteTable, bool) {
	for _, t := range tables {
		if slices.Contains(t.Subnets, subnet) {
			return t, true
		}
	}
	for _, t := range tables {
		if t.Main {
			return t, true
		}
	}
	return RouteTable{}, false
}

// Lookup is the route that a packet to addr takes: the longest prefix wins, and a blackhole swallows what it matches.
func (t RouteTable) Lookup(addr netip.Addr) (Route, bool) {
	best, found := Route{}, false
	for _, r := range t.Routes {
		if !r.Prefix.IsValid() || !r.Prefix.Contains(addr) {
			continue
		}
		if !found || r.Prefix.Bits() > best.Prefix.Bits() {
			best, found = r, true
		}
	}
	return best, found && best.Active
}

// Ways names the destinations beyond the VPC that the table knows, but for the internet as a whole and AWS's own prefix
// lists.
func (t RouteTable) Ways() []string {
	var beyond []string
	for _, r := range t.Routes {
		if r.Prefix.IsValid() && r.Prefix.Bits() > 0 && r.Target != local {
			beyond = append(beyond, r.Prefix.String()+" through "+r.Target)
		}
	}
	return beyond
}

// ToInternetGateway tells whether the table has any way to or from the internet that is not address translation, blackholes
// included.
func (t RouteTable) ToInternetGateway() bool {
	return slices.ContainsFunc(t.Routes, func(r Route) bool {
		return strings.HasPrefix(r.Target, "igw-") || strings.HasPrefix(r.Target, "eigw-")
	})
}

// WayOut names the target of a subnet's effective route to the internet.
func WayOut(subnet string, tables []RouteTable) string {
	t, ok := EffectiveTable(subnet, tables)
	if !ok {
		return "no route table"
	}
	r, ok := t.Lookup(publicAddress)
	if !ok {
		return "no route"
	}
	return r.Target
}

// publicAddress is an address of the public internet, to ask route tables about.
var publicAddress = netip.AddrFrom4([4]byte{198, 41, 0, 4})

// ParseRouteTable reads a route table as EC2 tells it; what of a route is no range of addresses nor a prefix list is left out.
func ParseRouteTable(in ec2types.RouteTable) RouteTable {
	t := RouteTable{ID: aws.ToString(in.RouteTableId)}
	for _, a := range in.Associations {
		if aws.ToBool(a.Main) {
			t.Main = true
		}
		if id := aws.ToString(a.SubnetId); id != "" {
			t.Subnets = append(t.Subnets, id)
		}
	}
	for _, r := range in.Routes {
		for _, cidr := range []*string{r.DestinationCidrBlock, r.DestinationIpv6CidrBlock} {
			prefix, err := netip.ParsePrefix(aws.ToString(cidr))
			if err != nil {
				continue
			}
			t.Routes = append(t.Routes, Route{Prefix: prefix, Target: routeTarget(r), Active: r.State == ec2types.RouteStateActive})
		}
		if r.DestinationPrefixListId != nil {
			t.Routes = append(t.Routes, Route{Target: routeTarget(r), Active: r.State == ec2types.RouteStateActive})
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
