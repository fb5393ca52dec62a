package verify

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"tapstack/lib"
	"tapstack/lib/reachability"
)

// The parts of the stack that security groups are attached to.
const (
	partALB            = "alb"
	partPaymentAPI     = "payment-api"
	partJobProcessor   = "job-processor"
	partPaymentMigrate = "payment-migrate"
	partDatabase       = "db"
	partEndpoints      = "endpoints"
	roleDefault        = "default"
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
			Says: "Security groups must follow least privilege principle: what comes in is exactly internet → alb, alb → services, services and payment-migrate → database",
			PCI:  []string{"1.2.5", "1.3.1"},
			Run:  recorded(rulesAre("ingress")),
		},
		{
			ID:   "network.egress-rules",
			Says: "Security groups must follow least privilege principle: what goes out is exactly alb → services, services and payment-migrate → database and HTTPS, nothing from the database",
			PCI:  []string{"1.2.5", "1.3.2"},
			Run:  recorded(rulesAre("egress")),
		},
		{
			ID:   "network.reachability",
			Says: "Security: proper network segmentation: what can reach what, computed over all rules of both sides, is the allowed table and nothing else",
			PCI:  []string{"1.3.1", "1.3.2", "1.4.2"},
			Run:  recorded(onlyAllowedFlows),
		},
		{
			ID:   "network.rules-described",
			Says: "Configure proper route tables and security groups: every rule says what it is for (beyond the brief)",
			PCI:  []string{"1.2.5"},
			Run:  recorded(rulesDescribed),
		},
		{
			ID:   "database.reachable-from-services-only",
			Says: "Private subnets for compute and database resources: the two services and payment-migrate reach the database's port, nothing else reaches the database at all",
			PCI:  []string{"1.4.4"},
			Run:  recorded(databaseReachable),
		},
	}
}

// attachedGroups maps the id of each security group in use to the part of the stack that it is attached to.
func (e *Env) attachedGroups(ctx context.Context) (map[string]string, error) {
	parts := map[string]string{}
	note := func(part string, groups []string) error {
		if len(groups) == 0 {
			return fmt.Errorf("the %s has no security group", part)
		}
		for _, g := range groups {
			if other, taken := parts[g]; taken && other != part {
				return fmt.Errorf("%s and %s share the security group %s", other, part, g)
			}
			parts[g] = part
		}
		return nil
	}
	lb, err1 := e.alb(ctx)
	cluster, err2 := e.dbCluster(ctx)
	endpoints, err3 := e.cloud.VPCEndpoints(ctx)
	vpc, err4 := e.output(lib.OutputVpcID)
	migration, err5 := e.output(lib.OutputPaymentMigrateSecurityGroup)
	if err := cmp.Or(err1, err2, err3, err4, err5); err != nil {
		return nil, err
	}
	if err := cmp.Or(note(partALB, lb.SecurityGroups), note(partPaymentMigrate, []string{migration})); err != nil {
		return nil, err
	}
	for _, kind := range serviceKinds() {
		svc, err := e.service(ctx, kind)
		if err != nil {
			return nil, err
		}
		if err := note(kind.name, serviceNetwork(svc).SecurityGroups); err != nil {
			return nil, err
		}
	}
	groups := texts(cluster.VpcSecurityGroups, func(g rdstypes.VpcSecurityGroupMembership) string { return aws.ToString(g.VpcSecurityGroupId) })
	if err := note(partDatabase, groups); err != nil {
		return nil, err
	}
	for _, v := range endpoints {
		if aws.ToString(v.VpcId) != vpc || v.VpcEndpointType != ec2types.VpcEndpointTypeInterface {
			continue
		}
		for _, g := range v.Groups {
			if err := note(partEndpoints, []string{aws.ToString(g.GroupId)}); err != nil {
				return nil, err
			}
		}
	}
	return parts, nil
}

func (e *Env) securityGroups(ctx context.Context) ([]ec2types.SecurityGroup, error) {
	return inVPC(ctx, e, "security group", e.cloud.SecurityGroups, func(g ec2types.SecurityGroup) *string { return g.VpcId })
}

// segments are the security groups of the VPC under the names of what they are attached to, and the VPC's address ranges. A
// group attached to nothing is a node under its own name: its rules count like any others.
func (e *Env) segments(ctx context.Context) (nodes []reachability.Node, vpc []netip.Prefix, err error) {
	groups, err1 := e.securityGroups(ctx)
	parts, err2 := e.attachedGroups(ctx)
	if err := cmp.Or(err1, err2); err != nil {
		return nil, nil, err
	}
	vpc, err = e.vpcPrefixes(ctx)
	if err != nil {
		return nil, nil, err
	}
	public, err1 := e.subnetPrefixes(ctx, lib.OutputPublicSubnetIDs)
	private, err2 := e.subnetPrefixes(ctx, lib.OutputPrivateSubnetIDs)
	lists, err3 := reachability.PrefixLists(ctx, e.cloud, groups)
	if err := cmp.Or(err1, err2, err3); err != nil {
		return nil, nil, err
	}
	for _, g := range groups {
		if _, attached := parts[aws.ToString(g.GroupId)]; !attached && byGuardDuty(g.Tags) {
			continue // its endpoint's, which is none of the stack's parts
		}
		n := reachability.Node{
			Part:     cmp.Or(parts[aws.ToString(g.GroupId)], aws.ToString(g.GroupName)),
			Group:    aws.ToString(g.GroupId),
			Prefixes: private,
			Ingress:  reachability.ParseRules(g.IpPermissions, lists),
			Egress:   reachability.ParseRules(g.IpPermissionsEgress, lists),
		}
		switch _, attached := parts[n.Group]; {
		case n.Part == partALB:
			n.Prefixes = public
		case !attached:
			n.Prefixes = vpc // it may be attached to anything in it
		}
		nodes = append(nodes, n)
	}
	return append(nodes, reachability.External(nodes)...), vpc, nil
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
		prefixes, err := reachability.ParsePrefixes("subnet "+aws.ToString(n.SubnetId), cidrs)
		if err != nil {
			return nil, err
		}
		out = append(out, prefixes...)
	}
	return out, nil
}

// allowedFlows is the brief's table of who may talk to whom. That the tasks reach the load balancer follows from its
// being open to everyone and their being allowed HTTPS to everyone.
func allowedFlows(containerPort int32, endpoints bool) []reachability.Flow {
	tcp := func(from, to string, port int32) reachability.Flow {
		return reachability.Flow{From: from, To: to, Ports: reachability.TCP(port)}
	}
	out := []reachability.Flow{
		tcp(reachability.Internet, partALB, httpsPort),
		tcp(reachability.Internet, partALB, httpPort),
	}
	for _, kind := range serviceKinds() {
		out = append(out, tcp(partALB, kind.name, containerPort))
	}
	for _, kind := range taskKinds() {
		out = append(out,
			tcp(kind.name, partDatabase, postgresPort),
			tcp(kind.name, reachability.Internet, httpsPort),
			tcp(kind.name, partALB, httpsPort),
		)
		if endpoints {
			out = append(out, tcp(kind.name, partEndpoints, httpsPort))
		}
	}
	return out
}

// allowedRules is the same table as the rules of one direction, by part of the stack: peer and ports.
func allowedRules(direction string, containerPort int32) map[string][]string {
	tcp := func(peer string, port int32) string { return fmt.Sprintf("%s tcp %d", peer, port) }
	if direction == "ingress" {
		return map[string][]string{
			partALB:          {tcp(reachability.Internet, httpsPort), tcp(reachability.Internet, httpPort)},
			partPaymentAPI:   {tcp(partALB, containerPort)},
			partJobProcessor: {tcp(partALB, containerPort)},
			partDatabase:     {tcp(partPaymentAPI, postgresPort), tcp(partJobProcessor, postgresPort), tcp(partPaymentMigrate, postgresPort)},
			partEndpoints:    {tcp(partPaymentAPI, httpsPort), tcp(partJobProcessor, httpsPort), tcp(partPaymentMigrate, httpsPort)},
		}
	}
	return map[string][]string{
		partALB:            {tcp(partPaymentAPI, containerPort), tcp(partJobProcessor, containerPort)},
		partPaymentAPI:     {tcp(partDatabase, postgresPort), tcp(reachability.Internet, httpsPort)},
		partJobProcessor:   {tcp(partDatabase, postgresPort), tcp(reachability.Internet, httpsPort)},
		partPaymentMigrate: {tcp(partDatabase, postgresPort), tcp(reachability.Internet, httpsPort)},
	}
}

func rulesAre(direction string) func(context.Context, *Env, *recorder) error {
	return func(ctx context.Context, e *Env, rec *recorder) error {
		nodes, vpc, err1 := e.segments(ctx)
		port, err2 := e.containerPort(ctx)
		if err := cmp.Or(err1, err2); err != nil {
			return err
		}
		parts := reachability.Parts(nodes)
		allowed := allowedRules(direction, port)
		for _, n := range nodes {
			if n.Part == roleDefault || n.External {
				continue
			}
			rules := n.Ingress
			if direction == "egress" {
				rules = n.Egress
			}
			got := distinct(texts(rules, func(r reachability.Rule) string { return r.Peer(parts, vpc) + " " + r.Ports.String() }))
			rec.on(e.cloud.EC2ARN(ctx, "security-group", n.Group)).sameSet(direction+" of "+n.Part, allowed[n.Part], got)
		}
		return nil
	}
}

func onlyAllowedFlows(ctx context.Context, e *Env, rec *recorder) error {
	got, endpoints, err1 := e.reachable(ctx)
	port, err2 := e.containerPort(ctx)
	vpc, err3 := e.output(lib.OutputVpcID)
	if err := cmp.Or(err1, err2, err3); err != nil {
		return err
	}
	allowed := allowedFlows(port, endpoints)
	x := rec.on(e.cloud.EC2ARN(ctx, "vpc", vpc))
	for _, f := range allowed {
		x.record("allowed: "+f.String(), "open", openOrShut(slices.Contains(got, f)), slices.Contains(got, f))
	}
	x.sameSet("open beyond the table", nil, texts(except(got, allowed), reachability.Flow.String))
	return nil
}

func openOrShut(open bool) string {
	if open {
		return "open"
	}
	return "shut"
}

// reachable computes every flow in, out of and inside the VPC, and whether interface endpoints are among the nodes.
func (e *Env) reachable(ctx context.Context) (open []reachability.Flow, endpoints bool, err error) {
	nodes, vpc, err := e.segments(ctx)
	if err != nil {
		return nil, false, err
	}
	endpoints = slices.ContainsFunc(nodes, func(n reachability.Node) bool { return n.Part == partEndpoints })
	return reachability.Flows(append(nodes, reachability.Node{Part: reachability.Internet}), vpc), endpoints, nil
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
	x.equal("ingress rules", 0, len(reachability.ParseRules(g.IpPermissions, nil)))
	x.equal("egress rules", 0, len(reachability.ParseRules(g.IpPermissionsEgress, nil)))
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
			for _, r := range reachability.ParseRules(permissions, nil) {
				x.present("description of "+direction+" "+r.Ports.String()+" in "+aws.ToString(g.GroupName), r.Description)
			}
		}
	}
	return nil
}

func databaseReachable(ctx context.Context, e *Env, rec *recorder) error {
	got, _, err1 := e.reachable(ctx)
	nodes, vpc, err2 := e.segments(ctx)
	cluster, err3 := e.dbCluster(ctx)
	if err := cmp.Or(err1, err2, err3); err != nil {
		return err
	}
	tasks := texts(taskKinds(), func(kind serviceKind) string { return kind.name })
	var wanted, into, letIn []string
	for _, part := range tasks {
		wanted = append(wanted, reachability.Flow{From: part, To: partDatabase, Ports: reachability.TCP(postgresPort)}.String())
	}
	parts := reachability.Parts(nodes)
	for _, n := range nodes {
		if n.Part == partDatabase {
			letIn = append(letIn, texts(n.Ingress, func(r reachability.Rule) string { return r.Peer(parts, vpc) })...)
		}
	}
	for _, f := range got {
		if f.To == partDatabase {
			into = append(into, f.String())
		}
	}
	x := rec.on(aws.ToString(cluster.DBClusterArn))
	x.equal("port", postgresPort, cluster.Port)
	x.sameSet("what reaches the database", wanted, into)
	// Today's groups are not all that may ever stand in the VPC: whoever the database would let in counts as well.
	x.sameSet("whom the database would let in", tasks, distinct(letIn))
	return nil
}
