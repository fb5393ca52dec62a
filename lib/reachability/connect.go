package reachability

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"tapstack/lib/cloud"
)

// Network is a VPC's security groups and route tables at one moment.
type Network struct {
	vpc    string
	groups map[string]group
	tables []RouteTable
}

type group struct {
	name            string
	ingress, egress []Rule
}

// Interface is a network interface as far as it matters to who may connect: its security groups' ids, its subnet's id and
// its private address.
type Interface struct {
	Groups  []string
	Subnet  string
	Address netip.Addr
}

// InterfaceOf reads a network interface as EC2 shows it.
func InterfaceOf(n ec2types.NetworkInterface) Interface {
	i := Interface{Subnet: aws.ToString(n.SubnetId)}
	for _, g := range n.Groups {
		i.Groups = append(i.Groups, aws.ToString(g.GroupId))
	}
	i.Address, _ = netip.ParseAddr(aws.ToString(n.PrivateIpAddress))
	return i
}

// Read reads what a VPC is made of. A reader asks once: for the state of a later moment it takes another.
func Read(ctx context.Context, r *cloud.Reader, vpc string) (*Network, error) {
	groups, err1 := r.SecurityGroups(ctx)
	tables, err2 := r.RouteTables(ctx)
	if err := cmp.Or(err1, err2); err != nil {
		return nil, err
	}
	groups = slices.DeleteFunc(slices.Clone(groups), func(g ec2types.SecurityGroup) bool { return aws.ToString(g.VpcId) != vpc })
	tables = slices.DeleteFunc(slices.Clone(tables), func(t ec2types.RouteTable) bool { return aws.ToString(t.VpcId) != vpc })
	lists, err := PrefixLists(ctx, r, groups)
	if err != nil {
		return nil, err
	}
	return newNetwork(vpc, groups, tables, lists), nil
}

func newNetwork(vpc string, groups []ec2types.SecurityGroup, tables []ec2types.RouteTable, lists map[string][]netip.Prefix) *Network {
	n := &Network{vpc: vpc, groups: map[string]group{}}
	for _, g := range groups {
		n.groups[aws.ToString(g.GroupId)] = group{
			aws.ToString(g.GroupName), ParseRules(g.IpPermissions, lists), ParseRules(g.IpPermissionsEgress, lists),
		}
	}
	for _, t := range tables {
		n.tables = append(n.tables, ParseRouteTable(t))
	}
	return n
}

// MayConnect is nil where one interface of the VPC may open a TCP connection to a port of another, else an error that says
// what is in the way, all of it. Security groups are stateful: what comes back needs no rule, but it does need a route.
func (n *Network) MayConnect(from, to Interface, port int32) error {
	return errors.Join(
		n.allowed("egress", from, "to", to, port),
		n.allowed("ingress", to, "from", from, port),
		n.routed(from, to),
		n.routed(to, from),
	)
}

// allowed looks for a rule of one side's groups, any of which will do, that lets the other side's interface through.
func (n *Network) allowed(direction string, of Interface, preposition string, peer Interface, port int32) error {
	if len(of.Groups) == 0 {
		return fmt.Errorf("%s has no security group", of.Address)
	}
	for _, id := range of.Groups {
		g := n.groups[id]
		rules := g.ingress
		if direction == "egress" {
			rules = g.egress
		}
		if slices.ContainsFunc(rules, func(r Rule) bool { return r.concerns(peer, port) }) {
			return nil
		}
	}
	return fmt.Errorf("no %s rule of %s lets %s %s %s (%s)",
		direction, n.names(of.Groups), TCP(port), preposition, peer.Address, n.names(peer.Groups))
}

func (r Rule) concerns(peer Interface, port int32) bool {
	if _, ok := r.Ports.intersect(TCP(port)); !ok {
		return false
	}
	if r.Group != "" {
		return slices.Contains(peer.Groups, r.Group)
	}
	return slices.ContainsFunc(r.ranges(), func(cidr netip.Prefix) bool { return cidr.Contains(peer.Address) })
}

// names are security groups as people know them.
func (n *Network) names(groups []string) string {
	names := make([]string, len(groups))
	for i, id := range groups {
		names[i] = id
		if g, known := n.groups[id]; known {
			names[i] = fmt.Sprintf("%s (%s)", id, g.name)
		} else {
			names[i] = fmt.Sprintf("%s (not of %s)", id, n.vpc)
		}
	}
	return strings.Join(names, ", ")
}

// routed looks for the way of one interface's packets to another, which within a VPC is the local route.
func (n *Network) routed(from, to Interface) error {
	table, found := EffectiveTable(from.Subnet, n.tables)
	if !found {
		return fmt.Errorf("%s has no route table", cmp.Or(from.Subnet, "no subnet"))
	}
	r, ok := table.Lookup(to.Address)
	switch {
	case !ok:
		return fmt.Errorf("%s of %s has no route to %s", table.ID, from.Subnet, to.Address)
	case r.Target != local:
		return fmt.Errorf("%s of %s leads %s out of the VPC through %s", table.ID, from.Subnet, to.Address, r.Target)
	}
	return nil
}
