// Package reachability tells who may reach whom in a VPC, by the security groups' rules of both sides and the route tables,
// as the EC2 API shows them: every flow between the groups (Flows), and whether one network interface may open a connection
// to another (Network).
//
// Network ACLs are not looked at.
package reachability

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"tapstack/lib/cloud"
)

// Internet is the peer that stands for every address outside the VPC.
const Internet = "internet"

// everything is the protocol that stands for all of them.
const everything = "-1"

// Ports is a range of ports of one protocol; the protocol "-1" is all of them.
type Ports struct {
	Protocol string
	From, To int32
}

// TCP is one port of TCP.
func TCP(port int32) Ports { return Ports{Protocol: "tcp", From: port, To: port} }

func (p Ports) String() string {
	switch {
	case p.Protocol == everything:
		return "everything"
	case p.From == p.To:
		return fmt.Sprintf("%s %d", p.Protocol, p.From)
	}
	return fmt.Sprintf("%s %d-%d", p.Protocol, p.From, p.To)
}

func (p Ports) intersect(q Ports) (Ports, bool) {
	switch {
	case p.Protocol == everything:
		return q, true
	case q.Protocol == everything:
		return p, true
	case p.Protocol != q.Protocol:
		return Ports{}, false
	}
	both := Ports{Protocol: p.Protocol, From: max(p.From, q.From), To: min(p.To, q.To)}
	return both, both.From <= both.To
}

// Rule lets traffic from (ingress) or to (egress) one peer through: a security group, a range of addresses or a managed
// prefix list.
type Rule struct {
	Ports  Ports
	Group  string
	CIDR   netip.Prefix   // valid only when the peer is a range of addresses
	ListID string         // a managed prefix list
	List   []netip.Prefix // what is in it

	Description string
}

// Node is a security group, under the name of what it is attached to, or the internet.
type Node struct {
	Part     string
	Group    string         // its id; empty for the internet
	Prefixes []netip.Prefix // where its members live
	Ingress  []Rule
	Egress   []Rule
	// External is a group that is not in the VPC, whose rules nobody sees here.
	External bool
}

// outside tells whether only the other side's rules are known.
func (n Node) outside() bool { return n.Group == "" || n.External }

// Flow is traffic that both sides' rules let through.
type Flow struct {
	From, To string
	Ports    Ports
}

func (f Flow) String() string { return fmt.Sprintf("%s → %s %s", f.From, f.To, f.Ports) }

// Flows computes all that can reach what, over every rule of every node. The internet obeys nobody's rules but those of
// the other side.
func Flows(nodes []Node, vpc []netip.Prefix) []Flow {
	var out []Flow
	for _, from := range nodes {
		for _, to := range nodes {
			if from.outside() && to.outside() {
				continue
			}
			for _, p := range openPorts(from, to, vpc) {
				out = append(out, Flow{From: from.Part, To: to.Part, Ports: p})
			}
		}
	}
	return out
}

func openPorts(from, to Node, vpc []netip.Prefix) []Ports {
	anything := []Ports{{Protocol: everything}}
	leaving, arriving := anything, anything
	if !from.outside() {
		leaving = portsTowards(from.Egress, to, vpc)
	}
	if !to.outside() {
		arriving = portsTowards(to.Ingress, from, vpc)
	}
	var open []Ports
	for _, l := range leaving {
		for _, a := range arriving {
			if both, ok := l.intersect(a); ok && !slices.Contains(open, both) {
				open = append(open, both)
			}
		}
	}
	return open
}

// portsTowards are the ports that rules open to or from a peer.
func portsTowards(rules []Rule, peer Node, vpc []netip.Prefix) []Ports {
	var open []Ports
	for _, r := range rules {
		if r.matches(peer, vpc) {
			open = append(open, r.Ports)
		}
	}
	return open
}

func (r Rule) matches(peer Node, vpc []netip.Prefix) bool {
	if r.Group != "" {
		return r.Group == peer.Group
	}
	return slices.ContainsFunc(r.ranges(), func(cidr netip.Prefix) bool {
		if peer.Group == "" {
			return reachesOutside(cidr, vpc)
		}
		return slices.ContainsFunc(peer.Prefixes, cidr.Overlaps)
	})
}

// ranges are the addresses that a rule speaks of, when it does not speak of a group.
func (r Rule) ranges() []netip.Prefix {
	if r.CIDR.IsValid() {
		return []netip.Prefix{r.CIDR}
	}
	return r.List
}

// reachesOutside tells whether a range holds any address that is not the VPC's own.
func reachesOutside(cidr netip.Prefix, vpc []netip.Prefix) bool {
	return !slices.ContainsFunc(vpc, func(own netip.Prefix) bool {
		return own.Addr().Is4() == cidr.Addr().Is4() && own.Bits() <= cidr.Bits() && own.Contains(cidr.Addr())
	})
}

// Peer is how a rule's peer reads, with the names of the stack's parts for the groups.
func (r Rule) Peer(parts map[string]string, vpc []netip.Prefix) string {
	switch {
	case r.Group != "":
		if part, ok := parts[r.Group]; ok {
			return part
		}
		return r.Group
	case r.ListID != "":
		return r.ListID
	case r.CIDR.Bits() == 0 && reachesOutside(r.CIDR, vpc):
		return Internet
	}
	return r.CIDR.String()
}

// Parts maps the groups' ids to what they are attached to.
func Parts(nodes []Node) map[string]string {
	parts := make(map[string]string, len(nodes))
	for _, n := range nodes {
		parts[n.Group] = n.Part
	}
	return parts
}

// External are the groups that rules name without their being among the nodes: of a peered VPC, or gone. Nobody here sees
// their own rules, so that they count as letting everything through.
func External(nodes []Node) []Node {
	known := Parts(nodes)
	var out []Node
	for _, n := range nodes {
		for _, r := range slices.Concat(n.Ingress, n.Egress) {
			if _, ok := known[r.Group]; r.Group == "" || ok {
				continue
			}
			known[r.Group] = r.Group
			out = append(out, Node{Part: r.Group, Group: r.Group, External: true})
		}
	}
	return out
}

// PrefixLists reads the entries of the managed prefix lists that the groups' rules name, by their ids.
func PrefixLists(ctx context.Context, r *cloud.Reader, groups []ec2types.SecurityGroup) (map[string][]netip.Prefix, error) {
	lists := map[string][]netip.Prefix{}
	for _, g := range groups {
		for _, p := range slices.Concat(g.IpPermissions, g.IpPermissionsEgress) {
			for _, l := range p.PrefixListIds {
				id := aws.ToString(l.PrefixListId)
				entries, err := r.PrefixListCIDRs(ctx, id)
				if err != nil {
					return nil, err
				}
				if lists[id], err = ParsePrefixes("prefix list "+id, entries); err != nil {
					return nil, err
				}
			}
		}
	}
	return lists, nil
}

// ParsePrefixes reads the address ranges of a thing, which errors name.
func ParsePrefixes(of string, cidrs []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, cidr := range cidrs {
		p, err := netip.ParsePrefix(cidr)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", of, err)
		}
		all = append(all, p)
	}
	return all, nil
}

// ParseRules splits a group's permissions into one rule per peer. Lists are the entries of managed prefix lists by id.
func ParseRules(permissions []ec2types.IpPermission, lists map[string][]netip.Prefix) []Rule {
	var out []Rule
	for _, p := range permissions {
		base := Rule{Ports: parsePorts(p)}
		for _, pair := range p.UserIdGroupPairs {
			r := base
			r.Group, r.Description = aws.ToString(pair.GroupId), aws.ToString(pair.Description)
			out = append(out, r)
		}
		for _, v4 := range p.IpRanges {
			out = append(out, base.withCIDR(v4.CidrIp, v4.Description))
		}
		for _, v6 := range p.Ipv6Ranges {
			out = append(out, base.withCIDR(v6.CidrIpv6, v6.Description))
		}
		for _, list := range p.PrefixListIds {
			r := base
			r.ListID, r.Description = aws.ToString(list.PrefixListId), aws.ToString(list.Description)
			r.List = lists[r.ListID]
			out = append(out, r)
		}
	}
	return out
}

// withCIDR is the rule for a range of addresses. One that cannot be read counts as the widest.
func (r Rule) withCIDR(cidr, description *string) Rule {
	prefix, err := netip.ParsePrefix(aws.ToString(cidr))
	if err != nil {
		prefix = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	r.CIDR, r.Description = prefix.Masked(), aws.ToString(description)
	return r
}

func parsePorts(p ec2types.IpPermission) Ports {
	protocol := aws.ToString(p.IpProtocol)
	if protocol == "" {
		protocol = everything
	}
	if protocol == everything {
		return Ports{Protocol: protocol}
	}
	if p.FromPort == nil || p.ToPort == nil || *p.FromPort == -1 {
		return Ports{Protocol: protocol, From: 0, To: 65535}
	}
	return Ports{Protocol: protocol, From: *p.FromPort, To: *p.ToPort}
}
