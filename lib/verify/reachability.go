package verify

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// internet is the peer that stands for every address outside the VPC.
const internet = "internet"

// ports is a range of ports of one protocol; the protocol "-1" is all of them.
type ports struct {
	protocol string
	from, to int32
}

func (p ports) String() string {
	switch {
	case p.protocol == "-1":
		return "everything"
	case p.from == p.to:
		return fmt.Sprintf("%s %d", p.protocol, p.from)
	}
	return fmt.Sprintf("%s %d-%d", p.protocol, p.from, p.to)
}

func (p ports) intersect(q ports) (ports, bool) {
	switch {
	case p.protocol == "-1":
		return q, true
	case q.protocol == "-1":
		return p, true
	case p.protocol != q.protocol:
		return ports{}, false
	}
	both := ports{protocol: p.protocol, from: max(p.from, q.from), to: min(p.to, q.to)}
	return both, both.from <= both.to
}

// rule lets traffic from (ingress) or to (egress) one peer through: a security group, a range of addresses or a
// managed prefix list.
type rule struct {
	ports  ports
	group  string
	cidr   netip.Prefix   // valid only when the peer is a range of addresses
	listID string         // a managed prefix list
	list   []netip.Prefix // what is in it

	description string
}

// node is a security group, under the name of what it is attached to, or the internet.
type node struct {
	part     string
	group    string         // its id; empty for the internet
	prefixes []netip.Prefix // where its members live
	ingress  []rule
	egress   []rule
	// external is a group that is not in the VPC, whose rules nobody sees here.
	external bool
}

// outside tells whether only the other side's rules are known.
func (n node) outside() bool { return n.group == "" || n.external }

// flow is traffic that both sides' rules let through.
type flow struct {
	from, to string
	ports    ports
}

func (f flow) String() string { return fmt.Sprintf("%s → %s %s", f.from, f.to, f.ports) }

// flows computes all that can reach what, over every rule of every node. The internet obeys nobody's rules but those of
// the other side.
func flows(nodes []node, vpc []netip.Prefix) []flow {
	var out []flow
	for _, from := range nodes {
		for _, to := range nodes {
			if from.outside() && to.outside() {
				continue
			}
			for _, p := range openPorts(from, to, vpc) {
				out = append(out, flow{from: from.part, to: to.part, ports: p})
			}
		}
	}
	return out
}

func openPorts(from, to node, vpc []netip.Prefix) []ports {
	anything := []ports{{protocol: "-1"}}
	leaving, arriving := anything, anything
	if !from.outside() {
		leaving = portsTowards(from.egress, to, vpc)
	}
	if !to.outside() {
		arriving = portsTowards(to.ingress, from, vpc)
	}
	var open []ports
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
func portsTowards(rules []rule, peer node, vpc []netip.Prefix) []ports {
	var open []ports
	for _, r := range rules {
		if r.matches(peer, vpc) {
			open = append(open, r.ports)
		}
	}
	return open
}

func (r rule) matches(peer node, vpc []netip.Prefix) bool {
	if r.group != "" {
		return r.group == peer.group
	}
	return slices.ContainsFunc(r.ranges(), func(cidr netip.Prefix) bool {
		if peer.group == "" {
			return reachesOutside(cidr, vpc)
		}
		return slices.ContainsFunc(peer.prefixes, cidr.Overlaps)
	})
}

// ranges are the addresses that a rule speaks of, when it does not speak of a group.
func (r rule) ranges() []netip.Prefix {
	if r.cidr.IsValid() {
		return []netip.Prefix{r.cidr}
	}
	return r.list
}

// reachesOutside tells whether a range holds any address that is not the VPC's own.
func reachesOutside(cidr netip.Prefix, vpc []netip.Prefix) bool {
	return !slices.ContainsFunc(vpc, func(own netip.Prefix) bool {
		return own.Addr().Is4() == cidr.Addr().Is4() && own.Bits() <= cidr.Bits() && own.Contains(cidr.Addr())
	})
}

// peerName is how a rule's peer reads, with the names of the stack's parts for the groups.
func (r rule) peerName(parts map[string]string, vpc []netip.Prefix) string {
	switch {
	case r.group != "":
		if part, ok := parts[r.group]; ok {
			return part
		}
		return r.group
	case r.listID != "":
		return r.listID
	case r.cidr.Bits() == 0 && reachesOutside(r.cidr, vpc):
		return internet
	}
	return r.cidr.String()
}

// parseRules splits a group's permissions into one rule per peer. Lists are the entries of managed prefix lists by id.
func parseRules(permissions []ec2types.IpPermission, lists map[string][]netip.Prefix) []rule {
	var out []rule
	for _, p := range permissions {
		base := rule{ports: parsePorts(p)}
		for _, pair := range p.UserIdGroupPairs {
			r := base
			r.group, r.description = aws.ToString(pair.GroupId), aws.ToString(pair.Description)
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
			r.listID, r.description = aws.ToString(list.PrefixListId), aws.ToString(list.Description)
			r.list = lists[r.listID]
			out = append(out, r)
		}
	}
	return out
}

// withCIDR is the rule for a range of addresses. One that cannot be read counts as the widest.
func (r rule) withCIDR(cidr, description *string) rule {
	prefix, err := netip.ParsePrefix(aws.ToString(cidr))
	if err != nil {
		prefix = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	r.cidr, r.description = prefix.Masked(), aws.ToString(description)
	return r
}

func parsePorts(p ec2types.IpPermission) ports {
	protocol := aws.ToString(p.IpProtocol)
	if protocol == "" {
		protocol = "-1"
	}
	if protocol == "-1" {
		return ports{protocol: protocol}
	}
	if p.FromPort == nil || p.ToPort == nil || *p.FromPort == -1 {
		return ports{protocol: protocol, from: 0, to: 65535}
	}
	return ports{protocol: protocol, from: *p.FromPort, to: *p.ToPort}
}
