package verify

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"tapstack/lib"
)

// What a security group is for, found through what it is attached to.
const (
	roleALB       = "alb"
	rolePayment   = "payment-api"
	roleJobs      = "job-processor"
	roleDB        = "db"
	roleEndpoints = "endpoints"
	roleDefault   = "default"
)

const (
	httpsPort    = 443
	httpPort     = 80
	postgresPort = 5432
)

func reachabilityChecks() []Check {
	return []Check{
		{
			ID:   "network.default-group-closed",
			Says: "Security groups must follow least privilege principle: the VPC's default security group lets nothing through (beyond the brief)",
			PCI:  []string{"1.2.1", "1.3.1"},
			Run:  recorded(defaultGroupClosed),
		},
		{
			ID:   "network.ingress-rules",
			Says: "Security groups must follow least privilege principle: what comes in is exactly internet → alb, alb → services, services → database",
			PCI:  []string{"1.2.5", "1.3.1"},
			Run:  recorded(rulesAre("ingress")),
		},
		{
			ID:   "network.egress-rules",
			Says: "Security groups must follow least privilege principle: what goes out is exactly alb → services, services → database and HTTPS, nothing from the database",
			PCI:  []string{"1.2.5", "1.3.2"},
			Run:  recorded(rulesAre("egress")),
		},
		{
			ID:   "network.reachability",
			Says: "Security: proper network segmentation: what can reach what, computed over all rules of both sides, is the allowed table and nothing else",
			PCI:  []string{"1.3.1", "1.3.2", "1.4.2"},
			Run:  recorded(reachability),
		},
		{
			ID:   "network.rules-described",
			Says: "Configure proper route tables and security groups: every rule says what it is for (beyond the brief)",
			PCI:  []string{"1.2.5"},
			Run:  recorded(rulesDescribed),
		},
		{
			ID:   "database.reachable-from-services-only",
			Says: "Private subnets for compute and database resources: the two services reach the database's port, nothing else reaches the database at all",
			PCI:  []string{"1.4.4"},
			Run:  recorded(databaseReachable),
		},
	}
}

// attachedGroups maps the id of each security group in use to what it is attached to.
func (e *Env) attachedGroups(ctx context.Context) (map[string]string, error) {
	roles := map[string]string{}
	note := func(role string, groups []string) error {
		if len(groups) == 0 {
			return fmt.Errorf("the %s has no security group", role)
		}
		for _, g := range groups {
			if other, taken := roles[g]; taken && other != role {
				return fmt.Errorf("%s and %s share the security group %s", other, role, g)
			}
			roles[g] = role
		}
		return nil
	}
	lb, err := e.alb(ctx)
	if err != nil {
		return nil, err
	}
	if err := note(roleALB, lb.SecurityGroups); err != nil {
		return nil, err
	}
	for _, kind := range serviceKinds() {
		svc, err := e.service(ctx, kind)
		if err != nil {
			return nil, err
		}
		if err := note(kind.role, serviceNetwork(svc).SecurityGroups); err != nil {
			return nil, err
		}
	}
	cluster, err := e.dbCluster(ctx)
	if err != nil {
		return nil, err
	}
	var groups []string
	for _, g := range cluster.VpcSecurityGroups {
		groups = append(groups, aws.ToString(g.VpcSecurityGroupId))
	}
	if err := note(roleDB, groups); err != nil {
		return nil, err
	}
	endpoints, err := e.cloud.VPCEndpoints(ctx)
	if err != nil {
		return nil, err
	}
	vpc, err := e.output(lib.OutputVpcID)
	if err != nil {
		return nil, err
	}
	for _, v := range endpoints {
		if aws.ToString(v.VpcId) != vpc || v.VpcEndpointType != ec2types.VpcEndpointTypeInterface {
			continue
		}
		for _, g := range v.Groups {
			if err := note(roleEndpoints, []string{aws.ToString(g.GroupId)}); err != nil {
				return nil, err
			}
		}
	}
	return roles, nil
}

func (e *Env) securityGroups(ctx context.Context) ([]ec2types.SecurityGroup, error) {
	id, err := e.output(lib.OutputVpcID)
	if err != nil {
		return nil, err
	}
	all, err := e.cloud.SecurityGroups(ctx)
	if err != nil {
		return nil, err
	}
	return findAll("security group in VPC "+id, all, func(g ec2types.SecurityGroup) bool { return aws.ToString(g.VpcId) == id })
}

// segments are the security groups of the VPC as nodes with their roles, by role name, and the VPC's address ranges. A
// group attached to nothing is a node under its own name: its rules count like any others.
func (e *Env) segments(ctx context.Context) (nodes []node, vpc []netip.Prefix, err error) {
	groups, err := e.securityGroups(ctx)
	if err != nil {
		return nil, nil, err
	}
	roles, err := e.attachedGroups(ctx)
	if err != nil {
		return nil, nil, err
	}
	vpc, err = e.vpcPrefixes(ctx)
	if err != nil {
		return nil, nil, err
	}
	public, err := e.subnetPrefixes(ctx, lib.OutputPublicSubnetIDs)
	if err != nil {
		return nil, nil, err
	}
	private, err := e.subnetPrefixes(ctx, lib.OutputPrivateSubnetIDs)
	if err != nil {
		return nil, nil, err
	}
	lists, err := e.prefixLists(ctx, groups)
	if err != nil {
		return nil, nil, err
	}
	for _, g := range groups {
		n := node{
			role:     groupRole(g, roles),
			group:    aws.ToString(g.GroupId),
			prefixes: private,
			ingress:  parseRules(g.IpPermissions, lists),
			egress:   parseRules(g.IpPermissionsEgress, lists),
		}
		switch _, worn := roles[n.group]; {
		case n.role == roleALB:
			n.prefixes = public
		case !worn:
			n.prefixes = vpc // whoever puts it on may stand anywhere
		}
		nodes = append(nodes, n)
	}
	return append(nodes, externalGroups(nodes)...), vpc, nil
}

// externalGroups are the groups that rules name without their being in the VPC: of a peered VPC, or gone. Nobody here sees
// their own rules, so that they count as letting everything through.
func externalGroups(nodes []node) []node {
	known := groupRoles(nodes)
	var out []node
	for _, n := range nodes {
		for _, r := range slices.Concat(n.ingress, n.egress) {
			if _, ok := known[r.group]; r.group == "" || ok {
				continue
			}
			known[r.group] = r.group
			out = append(out, node{role: r.group, group: r.group, external: true})
		}
	}
	return out
}

// prefixLists are the entries of the managed prefix lists that rules name.
func (e *Env) prefixLists(ctx context.Context, groups []ec2types.SecurityGroup) (map[string][]netip.Prefix, error) {
	lists := map[string][]netip.Prefix{}
	for _, g := range groups {
		for _, p := range slices.Concat(g.IpPermissions, g.IpPermissionsEgress) {
			for _, l := range p.PrefixListIds {
				id := aws.ToString(l.PrefixListId)
				entries, err := e.prefixList(ctx, id)
				if err != nil {
					return nil, err
				}
				lists[id] = entries
			}
		}
	}
	return lists, nil
}

func (e *Env) prefixList(ctx context.Context, id string) ([]netip.Prefix, error) {
	entries, err := e.cloud.PrefixListCIDRs(ctx, id)
	if err != nil {
		return nil, err
	}
	var out []netip.Prefix
	for _, cidr := range entries {
		p, err := netip.ParsePrefix(cidr)
		if err != nil {
			return nil, fmt.Errorf("prefix list %s: %w", id, err)
		}
		out = append(out, p)
	}
	return out, nil
}

func groupRole(g ec2types.SecurityGroup, roles map[string]string) string {
	if role, ok := roles[aws.ToString(g.GroupId)]; ok {
		return role
	}
	return aws.ToString(g.GroupName)
}

// groupRoles maps the groups' ids to their roles.
func groupRoles(nodes []node) map[string]string {
	roles := make(map[string]string, len(nodes))
	for _, n := range nodes {
		roles[n.group] = n.role
	}
	return roles
}

func (e *Env) subnetPrefixes(ctx context.Context, output string) ([]netip.Prefix, error) {
	subnets, err := e.subnets(ctx, output)
	if err != nil {
		return nil, err
	}
	var out []netip.Prefix
	for _, n := range subnets {
		cidrs := []string{aws.ToString(n.CidrBlock)}
		for _, a := range n.Ipv6CidrBlockAssociationSet {
			cidrs = append(cidrs, aws.ToString(a.Ipv6CidrBlock))
		}
		for _, cidr := range cidrs {
			p, err := netip.ParsePrefix(cidr)
			if err != nil {
				return nil, fmt.Errorf("subnet %s: %w", aws.ToString(n.SubnetId), err)
			}
			out = append(out, p)
		}
	}
	return out, nil
}

// allowedFlows is the brief's table of who may talk to whom. That the services reach the load balancer follows from its
// being open to everyone and their being allowed HTTPS to everyone.
func allowedFlows(containerPort int32, endpoints bool) []flow {
	tcp := func(from, to string, port int32) flow {
		return flow{from: from, to: to, ports: ports{protocol: "tcp", from: port, to: port}}
	}
	out := []flow{
		tcp(internet, roleALB, httpsPort),
		tcp(internet, roleALB, httpPort),
	}
	for _, service := range []string{rolePayment, roleJobs} {
		out = append(out,
			tcp(roleALB, service, containerPort),
			tcp(service, roleDB, postgresPort),
			tcp(service, internet, httpsPort),
			tcp(service, roleALB, httpsPort),
		)
		if endpoints {
			out = append(out, tcp(service, roleEndpoints, httpsPort))
		}
	}
	return out
}

// allowedRules is the same table as the rules of one direction, by role: peer and ports.
func allowedRules(direction string, containerPort int32) map[string][]string {
	tcp := func(peer string, port int32) string { return fmt.Sprintf("%s tcp %d", peer, port) }
	if direction == "ingress" {
		return map[string][]string{
			roleALB:       {tcp(internet, httpsPort), tcp(internet, httpPort)},
			rolePayment:   {tcp(roleALB, containerPort)},
			roleJobs:      {tcp(roleALB, containerPort)},
			roleDB:        {tcp(rolePayment, postgresPort), tcp(roleJobs, postgresPort)},
			roleEndpoints: {tcp(rolePayment, httpsPort), tcp(roleJobs, httpsPort)},
		}
	}
	return map[string][]string{
		roleALB:     {tcp(rolePayment, containerPort), tcp(roleJobs, containerPort)},
		rolePayment: {tcp(roleDB, postgresPort), tcp(internet, httpsPort)},
		roleJobs:    {tcp(roleDB, postgresPort), tcp(internet, httpsPort)},
	}
}

func rulesAre(direction string) func(context.Context, *Env, *recorder) error {
	return func(ctx context.Context, e *Env, rec *recorder) error {
		nodes, vpc, err := e.segments(ctx)
		if err != nil {
			return err
		}
		port, err := e.containerPort(ctx)
		if err != nil {
			return err
		}
		roles := groupRoles(nodes)
		allowed := allowedRules(direction, port)
		for _, n := range nodes {
			if n.role == roleDefault || n.external {
				continue
			}
			rules := n.ingress
			if direction == "egress" {
				rules = n.egress
			}
			var got []string
			for _, r := range rules {
				if line := r.peerName(roles, vpc) + " " + r.ports.String(); !slices.Contains(got, line) {
					got = append(got, line)
				}
			}
			rec.on(e.cloud.EC2ARN(ctx, "security-group", n.group)).sameSet(direction+" of "+n.role, allowed[n.role], got)
		}
		return nil
	}
}

func reachability(ctx context.Context, e *Env, rec *recorder) error {
	got, endpoints, err := e.reachable(ctx)
	if err != nil {
		return err
	}
	port, err := e.containerPort(ctx)
	if err != nil {
		return err
	}
	vpc, err := e.output(lib.OutputVpcID)
	if err != nil {
		return err
	}
	allowed := allowedFlows(port, endpoints)
	x := rec.on(e.cloud.EC2ARN(ctx, "vpc", vpc))
	for _, f := range allowed {
		x.record("allowed: "+f.String(), "open", openOrShut(slices.Contains(got, f)), slices.Contains(got, f))
	}
	var others []string
	for _, f := range got {
		if !slices.Contains(allowed, f) {
			others = append(others, f.String())
		}
	}
	x.sameSet("open beyond the table", nil, others)
	return nil
}

func openOrShut(open bool) string {
	if open {
		return "open"
	}
	return "shut"
}

// reachable computes every flow in, out of and inside the VPC, and whether interface endpoints are among the nodes.
func (e *Env) reachable(ctx context.Context) (open []flow, endpoints bool, err error) {
	nodes, vpc, err := e.segments(ctx)
	if err != nil {
		return nil, false, err
	}
	endpoints = slices.ContainsFunc(nodes, func(n node) bool { return n.role == roleEndpoints })
	return flows(append(nodes, node{role: internet}), vpc), endpoints, nil
}

func defaultGroupClosed(ctx context.Context, e *Env, rec *recorder) error {
	groups, err := e.securityGroups(ctx)
	if err != nil {
		return err
	}
	g, err := findOne("default security group in the VPC", groups, func(g ec2types.SecurityGroup) bool {
		return aws.ToString(g.GroupName) == roleDefault
	})
	if err != nil {
		return err
	}
	x := rec.on(e.cloud.EC2ARN(ctx, "security-group", aws.ToString(g.GroupId)))
	x.equal("ingress rules", 0, len(parseRules(g.IpPermissions, nil)))
	x.equal("egress rules", 0, len(parseRules(g.IpPermissionsEgress, nil)))
	return nil
}

func rulesDescribed(ctx context.Context, e *Env, rec *recorder) error {
	groups, err := e.securityGroups(ctx)
	if err != nil {
		return err
	}
	for _, g := range groups {
		x := rec.on(e.cloud.EC2ARN(ctx, "security-group", aws.ToString(g.GroupId)))
		for direction, permissions := range map[string][]ec2types.IpPermission{"ingress": g.IpPermissions, "egress": g.IpPermissionsEgress} {
			for _, r := range parseRules(permissions, nil) {
				x.present("description of "+direction+" "+r.ports.String()+" in "+aws.ToString(g.GroupName), r.description)
			}
		}
	}
	return nil
}

func databaseReachable(ctx context.Context, e *Env, rec *recorder) error {
	got, _, err := e.reachable(ctx)
	if err != nil {
		return err
	}
	nodes, vpc, err := e.segments(ctx)
	if err != nil {
		return err
	}
	cluster, err := e.dbCluster(ctx)
	if err != nil {
		return err
	}
	var wanted, into, letIn []string
	for _, role := range []string{rolePayment, roleJobs} {
		wanted = append(wanted, flow{from: role, to: roleDB, ports: ports{protocol: "tcp", from: postgresPort, to: postgresPort}}.String())
	}
	roles := groupRoles(nodes)
	for _, n := range nodes {
		if n.role != roleDB {
			continue
		}
		for _, r := range n.ingress {
			if line := r.peerName(roles, vpc); !slices.Contains(letIn, line) {
				letIn = append(letIn, line)
			}
		}
	}
	for _, f := range got {
		if f.to == roleDB {
			into = append(into, f.String())
		}
	}
	x := rec.on(aws.ToString(cluster.DBClusterArn))
	x.equal("port", postgresPort, cluster.Port)
	x.sameSet("what reaches the database", wanted, into)
	// Today's groups are not all that may ever stand in the VPC: whoever the database would let in counts as well.
	x.sameSet("whom the database would let in", []string{rolePayment, roleJobs}, letIn)
	return nil
}
