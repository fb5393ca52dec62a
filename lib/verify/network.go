package verify

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"tapstack/lib"
	"tapstack/lib/cloud"
	"tapstack/lib/policy"
	"tapstack/lib/reachability"
)

// zonesWanted is the number of availability zones that the brief's VPC spans.
const zonesWanted = 3

func networkChecks() []Check {
	return []Check{
		{
			ID:   "network.vpc",
			Says: "Use AWS VPC for network isolation (DNS support and host names on, for private endpoints)",
			PCI:  []string{"1.4.1"},
			Run:  recorded(vpcStands),
		},
		{
			ID:   "network.three-zones",
			Says: "Create a VPC spanning 3 availability zones, with 3 public subnets and 3 private subnets, one of each in every zone",
			Run:  recorded(threeZones),
		},
		{
			ID:   "network.public-routes",
			Says: "Configure 3 public subnets for the Application Load Balancer: their effective default route leads to the internet gateway, and no route elsewhere",
			Run:  recorded(publicRoutes),
		},
		{
			ID:   "network.public-no-auto-ip",
			Says: "Public subnets only for load balancer: nothing launched there gets a public address by itself",
			PCI:  []string{"1.4.4"},
			Run:  recorded(noAutomaticAddresses),
		},
		{
			ID:   "network.nat-per-zone",
			Says: "Set up NAT Gateways in each availability zone to provide outbound internet access for private resources",
			Run:  recorded(natPerZone),
		},
		{
			ID:   "network.private-routes",
			Says: "Private subnets for compute and database resources: the effective default route leads through the NAT gateway of the same zone, and no route elsewhere",
			PCI:  []string{"1.4.1", "1.4.4"},
			Run:  recorded(privateRoutes),
		},
		{
			ID:   "network.private-no-public-address",
			Says: "Private subnets for compute and database resources: no interface there has a public address, nor gets one by itself",
			PCI:  []string{"1.4.4"},
			Run:  recorded(privateAddresses),
		},
		{
			ID:   "network.public-only-for-alb",
			Says: "Public subnets only for load balancer: no interface there but those of load balancers and NAT gateways",
			PCI:  []string{"1.4.4"},
			Run:  recorded(publicInterfaces),
		},
		{
			ID:   "network.flow-logs",
			Says: "Flow logs of all traffic to CloudWatch, with their own role (beyond the brief)",
			PCI:  []string{"10.2.1"},
			Run:  recorded(flowLogsToCloudWatch),
		},
		{
			ID:   "network.s3-endpoint",
			Says: "S3 gateway endpoint on the private route tables, for the layers of images and nothing else (beyond the brief)",
			Run:  recorded(s3Endpoint),
		},
		{
			ID:   "network.interface-endpoints",
			Says: "Interface endpoints for AWS's services: all that the tasks call, in the private subnets under their usual names, for this account alone (beyond the brief)",
			Run:  recorded(interfaceEndpoints),
		},
	}
}

func (e *Env) vpc(ctx context.Context) (ec2types.Vpc, error) {
	return byOutput(ctx, e, "VPC", lib.OutputVpcID, e.cloud.VPCs, func(v ec2types.Vpc) *string { return v.VpcId })
}

// vpcPrefixes are the address ranges of the VPC.
func (e *Env) vpcPrefixes(ctx context.Context) ([]netip.Prefix, error) {
	vpc, err := e.vpc(ctx)
	if err != nil {
		return nil, err
	}
	var own []netip.Prefix
	for _, a := range vpc.CidrBlockAssociationSet {
		if p, err := netip.ParsePrefix(aws.ToString(a.CidrBlock)); err == nil {
			own = append(own, p)
		}
	}
	if p, err := netip.ParsePrefix(aws.ToString(vpc.CidrBlock)); err == nil && !slices.Contains(own, p) {
		own = append(own, p)
	}
	if len(own) == 0 {
		return nil, fmt.Errorf("VPC %s shows no address range", aws.ToString(vpc.VpcId))
	}
	return own, nil
}

// subnets are those that an output names, as the API shows them.
func (e *Env) subnets(ctx context.Context, output string) ([]ec2types.Subnet, error) {
	ids, err1 := e.outputList(output)
	all, err2 := e.cloud.Subnets(ctx)
	if err := cmp.Or(err1, err2); err != nil {
		return nil, err
	}
	var found []ec2types.Subnet
	for _, id := range ids {
		s, err := findOne("subnet "+id, all, func(s ec2types.Subnet) bool { return aws.ToString(s.SubnetId) == id })
		if err != nil {
			return nil, err
		}
		found = append(found, s)
	}
	return found, nil
}

// vpcSubnets are all subnets of the VPC, whether an output names them or not.
func (e *Env) vpcSubnets(ctx context.Context) ([]ec2types.Subnet, error) {
	return inVPC(ctx, e, "subnet", e.cloud.Subnets, func(s ec2types.Subnet) *string { return s.VpcId })
}

func (e *Env) routeTables(ctx context.Context) ([]reachability.RouteTable, error) {
	ours, err := inVPC(ctx, e, "route table", e.cloud.RouteTables, func(t ec2types.RouteTable) *string { return t.VpcId })
	if err != nil {
		return nil, err
	}
	tables := make([]reachability.RouteTable, len(ours))
	for i, t := range ours {
		tables[i] = reachability.ParseRouteTable(t)
	}
	return tables, nil
}

func (e *Env) natGateways(ctx context.Context) ([]ec2types.NatGateway, error) {
	return inVPC(ctx, e, "NAT gateway", e.cloud.NATGateways, func(n ec2types.NatGateway) *string { return n.VpcId })
}

func (e *Env) internetGateways(ctx context.Context) ([]ec2types.InternetGateway, error) {
	return inVPC(ctx, e, "internet gateway", e.cloud.InternetGateways, func(g ec2types.InternetGateway) *string {
		if len(g.Attachments) == 0 {
			return nil
		}
		return g.Attachments[0].VpcId // AWS attaches a gateway to one VPC at most
	})
}

func (e *Env) flowLogs(ctx context.Context) ([]ec2types.FlowLog, error) {
	return inVPC(ctx, e, "flow log", e.cloud.FlowLogs, func(f ec2types.FlowLog) *string { return f.ResourceId })
}

func vpcStands(ctx context.Context, e *Env, rec *recorder) error {
	vpc, err := e.vpc(ctx)
	if err != nil {
		return err
	}
	id := aws.ToString(vpc.VpcId)
	support, err1 := e.cloud.VPCAttribute(ctx, id, ec2types.VpcAttributeNameEnableDnsSupport)
	hostnames, err2 := e.cloud.VPCAttribute(ctx, id, ec2types.VpcAttributeNameEnableDnsHostnames)
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	x := rec.on(e.cloud.EC2ARN(ctx, "vpc", id))
	x.equal("state", "available", vpc.State)
	x.equal("is the account's default VPC", false, aws.ToBool(vpc.IsDefault))
	x.equal("enableDnsSupport", true, support.EnableDnsSupport != nil && aws.ToBool(support.EnableDnsSupport.Value))
	x.equal("enableDnsHostnames", true, hostnames.EnableDnsHostnames != nil && aws.ToBool(hostnames.EnableDnsHostnames.Value))
	return nil
}

func threeZones(ctx context.Context, e *Env, rec *recorder) error {
	vpc, err1 := e.vpc(ctx)
	zones, err2 := e.outputList(lib.OutputAvailabilityZones)
	all, err3 := e.vpcSubnets(ctx)
	if err := cmp.Or(err1, err2, err3); err != nil {
		return err
	}
	id := aws.ToString(vpc.VpcId)
	x := rec.on(e.cloud.EC2ARN(ctx, "vpc", id))
	x.equal("number of availability zones", zonesWanted, len(distinct(zones)))
	var known []string
	for _, kind := range []struct{ name, output string }{{"public", lib.OutputPublicSubnetIDs}, {"private", lib.OutputPrivateSubnetIDs}} {
		subnets, err := e.subnets(ctx, kind.output)
		if err != nil {
			return err
		}
		x.sameSet("zones of the "+kind.name+" subnets", zones, subnetZones(subnets))
		for _, n := range subnets {
			on := rec.on(e.cloud.EC2ARN(ctx, "subnet", aws.ToString(n.SubnetId)))
			on.equal("VPC", id, n.VpcId)
			on.equal("state", "available", n.State)
			known = append(known, aws.ToString(n.SubnetId))
		}
	}
	x.sameSet("subnets of the VPC", known, texts(all, func(n ec2types.Subnet) string { return aws.ToString(n.SubnetId) }))
	return nil
}

func subnetZones(subnets []ec2types.Subnet) []string {
	return texts(subnets, func(n ec2types.Subnet) string { return aws.ToString(n.AvailabilityZone) })
}

func publicRoutes(ctx context.Context, e *Env, rec *recorder) error {
	subnets, err1 := e.subnets(ctx, lib.OutputPublicSubnetIDs)
	tables, err2 := e.routeTables(ctx)
	gateways, err3 := e.internetGateways(ctx)
	if err := cmp.Or(err1, err2, err3); err != nil {
		return err
	}
	gateway := aws.ToString(gateways[0].InternetGatewayId)
	for _, n := range subnets {
		id := aws.ToString(n.SubnetId)
		x := rec.on(e.cloud.EC2ARN(ctx, "subnet", id))
		x.equal("effective route to the internet", gateway, reachability.WayOut(id, tables))
		table, _ := reachability.EffectiveTable(id, tables)
		x.sameSet("routes elsewhere", nil, table.Ways())
	}
	return nil
}

func noAutomaticAddresses(ctx context.Context, e *Env, rec *recorder) error {
	subnets, err := e.vpcSubnets(ctx)
	if err != nil {
		return err
	}
	for _, n := range subnets {
		x := rec.on(e.cloud.EC2ARN(ctx, "subnet", aws.ToString(n.SubnetId)))
		x.equal("MapPublicIpOnLaunch", false, n.MapPublicIpOnLaunch)
		x.equal("AssignIpv6AddressOnCreation", false, aws.ToBool(n.AssignIpv6AddressOnCreation))
	}
	return nil
}

func natPerZone(ctx context.Context, e *Env, rec *recorder) error {
	vpc, err1 := e.vpc(ctx)
	subnets, err2 := e.subnets(ctx, lib.OutputPublicSubnetIDs)
	gateways, err3 := e.natGateways(ctx)
	if err := cmp.Or(err1, err2, err3); err != nil {
		return err
	}
	zoneOf := map[string]string{}
	for _, n := range subnets {
		zoneOf[aws.ToString(n.SubnetId)] = aws.ToString(n.AvailabilityZone)
	}
	var zones []string
	for _, g := range gateways {
		x := rec.on(e.cloud.EC2ARN(ctx, "natgateway", aws.ToString(g.NatGatewayId)))
		zone := zoneOf[aws.ToString(g.SubnetId)]
		zones = append(zones, zone)
		x.record("stands in a public subnet", "yes", aws.ToString(g.SubnetId), zone != "")
		x.equal("state", "available", g.State)
		x.record("connectivity", "public", g.ConnectivityType, g.ConnectivityType == "" || g.ConnectivityType == ec2types.ConnectivityTypePublic)
		x.record("Elastic IP", "present", natAddress(g), natAddress(g) != "")
	}
	rec.on(e.cloud.EC2ARN(ctx, "vpc", aws.ToString(vpc.VpcId))).sameSet("zones with a NAT gateway", subnetZones(subnets), zones)
	return nil
}

func natAddress(g ec2types.NatGateway) string {
	for _, a := range g.NatGatewayAddresses {
		if aws.ToString(a.AllocationId) != "" && aws.ToString(a.PublicIp) != "" {
			return aws.ToString(a.PublicIp)
		}
	}
	return ""
}

func privateRoutes(ctx context.Context, e *Env, rec *recorder) error {
	private, err1 := e.subnets(ctx, lib.OutputPrivateSubnetIDs)
	all, err2 := e.vpcSubnets(ctx)
	tables, err3 := e.routeTables(ctx)
	gateways, err4 := e.natGateways(ctx)
	if err := cmp.Or(err1, err2, err3, err4); err != nil {
		return err
	}
	zoneOfSubnet, zoneOfNAT := map[string]string{}, map[string]string{}
	for _, n := range all {
		zoneOfSubnet[aws.ToString(n.SubnetId)] = aws.ToString(n.AvailabilityZone)
	}
	for _, g := range gateways {
		zoneOfNAT[aws.ToString(g.NatGatewayId)] = zoneOfSubnet[aws.ToString(g.SubnetId)]
	}
	for _, n := range private {
		id, zone := aws.ToString(n.SubnetId), aws.ToString(n.AvailabilityZone)
		x := rec.on(e.cloud.EC2ARN(ctx, "subnet", id))
		out := reachability.WayOut(id, tables)
		x.record("effective route to the internet", "a NAT gateway in the same zone", out, zone != "" && zoneOfNAT[out] == zone)
		table, found := reachability.EffectiveTable(id, tables)
		x.equal("has a route to an internet gateway", false, !found || table.ToInternetGateway())
		x.sameSet("routes elsewhere", nil, table.Ways())
	}
	return nil
}

// privateAddresses looks at every interface in the private subnets, whoever made it.
func privateAddresses(ctx context.Context, e *Env, rec *recorder) error {
	subnets, err1 := e.subnets(ctx, lib.OutputPrivateSubnetIDs)
	all, err2 := e.cloud.NetworkInterfaces(ctx)
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	for _, n := range subnets {
		id := aws.ToString(n.SubnetId)
		var public []string
		for _, i := range all {
			if aws.ToString(i.SubnetId) == id {
				public = append(public, publicAddresses(i)...)
			}
		}
		x := rec.on(e.cloud.EC2ARN(ctx, "subnet", id))
		x.sameSet("public addresses", nil, public)
		x.equal("gives public addresses", false, aws.ToBool(n.MapPublicIpOnLaunch) || aws.ToBool(n.AssignIpv6AddressOnCreation))
	}
	return nil
}

func publicAddresses(i ec2types.NetworkInterface) []string {
	var out []string
	if i.Association != nil && aws.ToString(i.Association.PublicIp) != "" {
		out = append(out, aws.ToString(i.Association.PublicIp))
	}
	for _, p := range i.PrivateIpAddresses {
		if p.Association != nil && aws.ToString(p.Association.PublicIp) != "" && !slices.Contains(out, *p.Association.PublicIp) {
			out = append(out, *p.Association.PublicIp)
		}
	}
	for _, p := range i.Ipv6Addresses {
		out = append(out, aws.ToString(p.Ipv6Address))
	}
	return out
}

// publicInterfaces leaves out interfaces that the stack's own NAT gateways use, and those that AWS manages for load
// balancers; whatever is left has no business in a public subnet.
func publicInterfaces(ctx context.Context, e *Env, rec *recorder) error {
	subnets, err1 := e.subnets(ctx, lib.OutputPublicSubnetIDs)
	all, err2 := e.cloud.NetworkInterfaces(ctx)
	gateways, err3 := e.natGateways(ctx)
	if err := cmp.Or(err1, err2, err3); err != nil {
		return err
	}
	var nat []string
	for _, g := range gateways {
		for _, a := range g.NatGatewayAddresses {
			nat = append(nat, aws.ToString(a.NetworkInterfaceId))
		}
	}
	for _, n := range subnets {
		id := aws.ToString(n.SubnetId)
		var others []string
		for _, i := range all {
			if aws.ToString(i.SubnetId) == id && !slices.Contains(nat, aws.ToString(i.NetworkInterfaceId)) && !ofLoadBalancer(i) {
				others = append(others, aws.ToString(i.NetworkInterfaceId))
			}
		}
		rec.on(e.cloud.EC2ARN(ctx, "subnet", id)).sameSet("interfaces of anything else", nil, others)
	}
	return nil
}

// ofLoadBalancer knows an interface of a load balancer by the description that Elastic Load Balancing gives it.
func ofLoadBalancer(i ec2types.NetworkInterface) bool {
	return i.InterfaceType == ec2types.NetworkInterfaceTypeNatGateway || strings.HasPrefix(aws.ToString(i.Description), "ELB ")
}

func flowLogsToCloudWatch(ctx context.Context, e *Env, rec *recorder) error {
	ours, err1 := e.flowLogs(ctx)
	groups, err2 := e.cloud.LogGroups(ctx)
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	for _, f := range ours {
		x := rec.on(e.cloud.EC2ARN(ctx, "vpc-flow-log", aws.ToString(f.FlowLogId)))
		x.equal("status", "ACTIVE", f.FlowLogStatus)
		x.equal("traffic", "ALL", f.TrafficType)
		x.equal("destination", "cloud-watch-logs", f.LogDestinationType)
		x.present("role that delivers", f.DeliverLogsPermissionArn)
		name := flowLogGroup(f)
		x.record("log group", "exists", name, findLogGroup(groups, name) != nil)
	}
	return nil
}

// flowLogGroup is the name of the log group that a flow log writes to; AWS tells it as a name or as an ARN.
func flowLogGroup(f ec2types.FlowLog) string {
	if name := aws.ToString(f.LogGroupName); name != "" {
		return name
	}
	_, name, _ := strings.Cut(aws.ToString(f.LogDestination), ":log-group:")
	return strings.TrimSuffix(name, ":*")
}

func s3Endpoint(ctx context.Context, e *Env, rec *recorder) error {
	id, err1 := e.output(lib.OutputVpcID)
	all, err2 := e.cloud.VPCEndpoints(ctx)
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	gateway, err1 := findOne("S3 gateway endpoint in VPC "+id, all, func(v ec2types.VpcEndpoint) bool {
		return aws.ToString(v.VpcId) == id && v.VpcEndpointType == ec2types.VpcEndpointTypeGateway &&
			strings.HasSuffix(aws.ToString(v.ServiceName), ".s3")
	})
	private, err2 := e.subnets(ctx, lib.OutputPrivateSubnetIDs)
	tables, err3 := e.routeTables(ctx)
	account, err4 := e.cloud.Identity(ctx)
	if err := cmp.Or(err1, err2, err3, err4); err != nil {
		return err
	}
	wanted := distinct(texts(private, func(n ec2types.Subnet) string {
		t, _ := reachability.EffectiveTable(aws.ToString(n.SubnetId), tables)
		return t.ID
	}))
	x := rec.on(e.cloud.EC2ARN(ctx, "vpc-endpoint", aws.ToString(gateway.VpcEndpointId)))
	x.equal("state", "available", strings.ToLower(string(gateway.State)))
	x.sameSet("route tables", wanted, gateway.RouteTableIds)
	layers := fmt.Sprintf("arn:%s:s3:::prod-%s-starport-layer-bucket/*", account.Partition, account.Region)
	_, err := x.lets(gateway, policy.Permission{Action: "s3:GetObject", Resource: layers})
	return err
}

// lets holds an endpoint's policy to one permission.
func (x subject) lets(v ec2types.VpcEndpoint, only policy.Permission) (policy.Policy, error) {
	p, err := policy.Parse(aws.ToString(v.PolicyDocument))
	if err != nil {
		return p, fmt.Errorf("endpoint %s: %w", aws.ToString(v.VpcEndpointId), err)
	}
	x.sameSet("lets through beyond "+only.Action+" on "+only.Resource, nil, policy.Excess([]policy.Policy{p}, []policy.Permission{only}))
	return p, nil
}

// byGuardDuty tells by its tags what GuardDuty's runtime monitoring has put into a VPC (GuardDuty user guide, "Runtime Monitoring").
func byGuardDuty(of []ec2types.Tag) bool {
	tags := cloud.TagMap(of, func(t ec2types.Tag) (*string, *string) { return t.Key, t.Value })
	return tags["GuardDutyManaged"] == "true"
}

// endpointServices are the services of AWS that the tasks call, as endpoint names end.
func endpointServices() []string {
	return []string{"ecr.api", "ecr.dkr", "logs", "secretsmanager", "sns", "sqs", "ssm"}
}

// interfaceEndpoints are a choice of the configuration, but not half a choice: some without the others would send part
// of the tasks' calls another way than the rest, and those that nobody chose cost by the hour.
func interfaceEndpoints(ctx context.Context, e *Env, rec *recorder) error {
	vpc, err1 := e.vpc(ctx)
	private, err2 := e.outputList(lib.OutputPrivateSubnetIDs)
	all, err3 := e.cloud.VPCEndpoints(ctx)
	account, err4 := e.cloud.Identity(ctx)
	cfg, err5 := e.configuration()
	if err := cmp.Or(err1, err2, err3, err4, err5); err != nil {
		return err
	}
	id := aws.ToString(vpc.VpcId)
	prefix := "." + e.cloud.Region + "."
	var services []string
	for _, v := range all {
		if aws.ToString(v.VpcId) != id || v.VpcEndpointType == ec2types.VpcEndpointTypeGateway || byGuardDuty(v.Tags) {
			continue
		}
		_, service, _ := strings.Cut(aws.ToString(v.ServiceName), prefix)
		services = append(services, service)
		x := rec.on(e.cloud.EC2ARN(ctx, "vpc-endpoint", aws.ToString(v.VpcEndpointId)))
		x.equal("type", "Interface", v.VpcEndpointType)
		x.equal("state", "available", strings.ToLower(string(v.State)))
		x.equal("private DNS", true, v.PrivateDnsEnabled)
		x.sameSet("subnets", private, v.SubnetIds)
		action, _, _ := strings.Cut(service, ".")
		p, err := x.lets(v, policy.Permission{Action: action + ":*", Resource: "*"})
		if err != nil {
			return err
		}
		x.sameSet("lets in from outside the account", nil, policy.ExternalPrincipals(p, account.Account))
	}
	var wanted []string
	if cfg.InterfaceEndpoints {
		wanted = endpointServices()
	} else {
		rec.off("interfaceEndpoints is configured to false")
	}
	rec.on(e.cloud.EC2ARN(ctx, "vpc", id)).sameSet("services with an endpoint", wanted, services)
	return nil
}
