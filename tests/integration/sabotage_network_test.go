package integration

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"tapstack/lib"
)

const everywhere = "0.0.0.0/0"

// byHand says why Pulumi leaves alone what it did not make.
const byHand = "Pulumi does not know what was made by hand"

func networkSabotages() []sabotage {
	return []sabotage{
		{Check: "network.vpc", Says: "switch DNS host names off", Do: func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.EC2.ModifyVpcAttribute, &ec2.ModifyVpcAttributeInput{
				VpcId: aws.String(s.output(lib.OutputVpcID)), EnableDnsHostnames: &types.AttributeBooleanValue{Value: aws.Bool(false)},
			})
		}},
		{Check: "network.public-routes", Says: "delete the public default route", Do: func(ctx context.Context, s *saboteur) {
			table := s.routeTable(ctx, "public-route-table")
			call(ctx, s, s.EC2.DeleteRoute, &ec2.DeleteRouteInput{RouteTableId: table, DestinationCidrBlock: aws.String(everywhere)})
		}},
		{
			Check: "network.public-no-auto-ip", Says: "give public addresses to whatever starts in a public subnet",
			Do: func(ctx context.Context, s *saboteur) {
				call(ctx, s, s.EC2.ModifySubnetAttribute, &ec2.ModifySubnetAttributeInput{
					SubnetId: &s.list(lib.OutputPublicSubnetIDs)[0], MapPublicIpOnLaunch: &types.AttributeBooleanValue{Value: aws.Bool(true)},
				})
			},
		},
		{
			Check: "network.nat-per-zone", Says: "delete a NAT gateway", Also: []string{"network.private-routes"}, On: "nat gateways",
			Do: func(ctx context.Context, s *saboteur) {
				call(ctx, s, s.EC2.DeleteNatGateway, &ec2.DeleteNatGatewayInput{NatGatewayId: s.natGateway(ctx, 2)})
			},
		},
		{
			Check: "network.private-routes", Says: "route a private subnet through another zone's NAT gateway", On: "nat gateways",
			Do: func(ctx context.Context, s *saboteur) {
				nat := s.natGateway(ctx, 3)
				s.replaceRoute(ctx, "private-route-table-1", ec2.ReplaceRouteInput{NatGatewayId: nat})
			},
		},
		{
			Check: "network.private-routes", Says: "route a private subnet straight to the internet gateway", On: "nat gateways",
			Also: []string{"database.private-subnets"},
			Do:   func(ctx context.Context, s *saboteur) { s.routeToInternet(ctx, "private-route-table-1") },
		},
		addsRoute("network.public-routes", "route some of the internet past the internet gateway", "public-route-table"),
		addsRoute("network.private-routes", "route some of the internet past the zone's NAT gateway", "private-route-table-2"),
		{
			Check: "network.public-only-for-alb", Says: "put a network interface into a public subnet", Unhealable: byHand,
			Do: func(ctx context.Context, s *saboteur) {
				out := call(ctx, s, s.EC2.CreateNetworkInterface, &ec2.CreateNetworkInterfaceInput{
					SubnetId: &s.list(lib.OutputPublicSubnetIDs)[1], TagSpecifications: s.tagged(types.ResourceTypeNetworkInterface, "by-hand"),
				})
				later(s, s.EC2.DeleteNetworkInterface, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: out.NetworkInterface.NetworkInterfaceId})
			},
		},
		{
			Check: "network.private-no-public-address", Says: "give public addresses to whatever starts in a private subnet",
			Also: []string{"network.public-no-auto-ip"},
			Do: func(ctx context.Context, s *saboteur) {
				call(ctx, s, s.EC2.ModifySubnetAttribute, &ec2.ModifySubnetAttributeInput{
					SubnetId: &s.list(lib.OutputPrivateSubnetIDs)[1], MapPublicIpOnLaunch: &types.AttributeBooleanValue{Value: aws.Bool(true)},
				})
			},
		},
		{
			Check: "network.interface-endpoints", Says: "make an interface endpoint for one service only", Unhealable: byHand, On: "security groups",
			Also: []string{"network.ingress-rules", "network.reachability"},
			Do: func(ctx context.Context, s *saboteur) {
				group := s.securityGroup(ctx, "default")
				out := call(ctx, s, s.EC2.CreateVpcEndpoint, &ec2.CreateVpcEndpointInput{
					VpcId: aws.String(s.output(lib.OutputVpcID)), ServiceName: aws.String("com.amazonaws.us-east-1.sqs"),
					VpcEndpointType: types.VpcEndpointTypeInterface, SubnetIds: s.list(lib.OutputPrivateSubnetIDs),
					SecurityGroupIds: []string{*group}, PrivateDnsEnabled: aws.Bool(true),
					TagSpecifications: s.tagged(types.ResourceTypeVpcEndpoint, "sqs-endpoint"),
				})
				later(s, s.EC2.DeleteVpcEndpoints, &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{*out.VpcEndpoint.VpcEndpointId}})
			},
		},
		{
			Check: "network.flow-logs", Says: "delete the flow log", Also: []string{"iam.infrastructure-roles"},
			Do: func(ctx context.Context, s *saboteur) {
				out := call(ctx, s, s.EC2.DescribeFlowLogs, &ec2.DescribeFlowLogsInput{Filter: s.inVPC("resource-id")})
				log := first(s, "flow log", out.FlowLogs)
				call(ctx, s, s.EC2.DeleteFlowLogs, &ec2.DeleteFlowLogsInput{FlowLogIds: []string{*log.FlowLogId}})
			},
		},
		{Check: "network.s3-endpoint", Says: "take a private route table off the S3 endpoint", On: "S3 endpoint", Do: func(ctx context.Context, s *saboteur) {
			out := call(ctx, s, s.EC2.DescribeVpcEndpoints, &ec2.DescribeVpcEndpointsInput{Filters: s.inVPC("vpc-id")})
			endpoint := first(s, "VPC endpoint", out.VpcEndpoints)
			call(ctx, s, s.EC2.ModifyVpcEndpoint, &ec2.ModifyVpcEndpointInput{
				VpcEndpointId: endpoint.VpcEndpointId, RemoveRouteTableIds: []string{*s.routeTable(ctx, "private-route-table-1")},
			})
		}},
		{Check: "network.s3-endpoint", Says: "let everything through the S3 endpoint", On: "S3 endpoint", Do: func(ctx context.Context, s *saboteur) {
			out := call(ctx, s, s.EC2.DescribeVpcEndpoints, &ec2.DescribeVpcEndpointsInput{Filters: s.inVPC("vpc-id")})
			call(ctx, s, s.EC2.ModifyVpcEndpoint, &ec2.ModifyVpcEndpointInput{
				VpcEndpointId:  first(s, "VPC endpoint", out.VpcEndpoints).VpcEndpointId,
				PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`),
			})
		}},
		opensGroup("network.default-group-closed", "let the default security group talk to itself", "default", "default", 443,
			"rules of the default security group are adopted as a whole: refresh sees the new one and up takes it away", true),
		opensGroup("network.ingress-rules", "let the database's group into the load balancer's", "alb-sg", "db-sg", 443, byHand, false),
		leavesGroup("network.egress-rules", "let the database's group out to the job processor's", "db-sg", "job-processor-sg", 9999),
		opensGroup("network.reachability", "let the internet into payment-api's group", "payment-api-sg", "", 8443, byHand, false, "network.ingress-rules"),
		opensGroup("database.reachable-from-services-only", "let the load balancer's group into the database's", "db-sg", "alb-sg", 5432, byHand, false, "network.ingress-rules"),
		{
			Check: "network.ingress-rules", Says: "take away the rule that lets payment-api into the database", On: "security groups",
			Also: []string{"network.reachability", "database.reachable-from-services-only"},
			Do: func(ctx context.Context, s *saboteur) {
				rule, group := s.groupRule(ctx, "db-in-payment-api")
				call(ctx, s, s.EC2.RevokeSecurityGroupIngress, &ec2.RevokeSecurityGroupIngressInput{GroupId: group, SecurityGroupRuleIds: []string{*rule}})
			},
		},
		{
			Check: "network.rules-described", Says: "erase the description of a rule", On: "security groups",
			Do: func(ctx context.Context, s *saboteur) {
				rule, group := s.groupRule(ctx, "alb-in-https")
				call(ctx, s, s.EC2.ModifySecurityGroupRules, &ec2.ModifySecurityGroupRulesInput{
					GroupId: group,
					SecurityGroupRules: []types.SecurityGroupRuleUpdate{{
						SecurityGroupRuleId: rule,
						SecurityGroupRule: &types.SecurityGroupRuleRequest{
							IpProtocol: aws.String("tcp"), FromPort: aws.Int32(443), ToPort: aws.Int32(443), CidrIpv4: aws.String(everywhere),
							Description: aws.String(""),
						},
					}},
				})
			},
		},
	}
}

// inVPC filters an answer by the stack's VPC.
func (s *saboteur) inVPC(key string) []types.Filter {
	return []types.Filter{{Name: &key, Values: []string{s.output(lib.OutputVpcID)}}}
}

// byName filters an answer by a Name tag of the stack.
func (s *saboteur) byName(role string) []types.Filter {
	return []types.Filter{{Name: aws.String("tag:Name"), Values: []string{s.named(role)}}}
}

func nameTag(tags []types.Tag) string {
	for _, t := range tags {
		if aws.ToString(t.Key) == "Name" {
			return aws.ToString(t.Value)
		}
	}
	return ""
}

// tagged are the tags of a resource of EC2's that is made by hand.
func (s *saboteur) tagged(kind types.ResourceType, role string) []types.TagSpecification {
	tags := tagList(stackTags(s.named(role)), func(k, v *string) types.Tag { return types.Tag{Key: k, Value: v} })
	return []types.TagSpecification{{ResourceType: kind, Tags: tags}}
}

func (s *saboteur) routeTable(ctx context.Context, role string) *string {
	out := call(ctx, s, s.EC2.DescribeRouteTables, &ec2.DescribeRouteTablesInput{Filters: s.byName(role)})
	return first(s, role, out.RouteTables).RouteTableId
}

func (s *saboteur) natGateway(ctx context.Context, number int) *string {
	role := fmt.Sprintf("nat-gateway-%d", number)
	out := call(ctx, s, s.EC2.DescribeNatGateways, &ec2.DescribeNatGatewaysInput{Filter: s.byName(role)})
	return find(s, role, out.NatGateways, func(g types.NatGateway) bool {
		return g.State == types.NatGatewayStateAvailable && nameTag(g.Tags) == s.named(role) // emulators may not know the filter
	}).NatGatewayId
}

// replaceRoute sends a route table's default route elsewhere.
func (s *saboteur) replaceRoute(ctx context.Context, role string, to ec2.ReplaceRouteInput) {
	to.RouteTableId, to.DestinationCidrBlock = s.routeTable(ctx, role), aws.String(everywhere)
	call(ctx, s, s.EC2.ReplaceRoute, &to)
}

// addsRoute adds a route through the first NAT gateway, which is none of a public subnet's, nor of the second zone's.
func addsRoute(check, says, role string) sabotage {
	return sabotage{Check: check, Says: says, Unhealable: byHand, On: "nat gateways", Do: func(ctx context.Context, s *saboteur) {
		table, destination := s.routeTable(ctx, role), aws.String("203.0.113.0/24")
		call(ctx, s, s.EC2.CreateRoute, &ec2.CreateRouteInput{
			RouteTableId: table, DestinationCidrBlock: destination, NatGatewayId: s.natGateway(ctx, 1),
		})
		later(s, s.EC2.DeleteRoute, &ec2.DeleteRouteInput{RouteTableId: table, DestinationCidrBlock: destination})
	}}
}

func (s *saboteur) routeToInternet(ctx context.Context, role string) {
	out := call(ctx, s, s.EC2.DescribeInternetGateways, &ec2.DescribeInternetGatewaysInput{Filters: s.inVPC("attachment.vpc-id")})
	gateway := first(s, "internet gateway", out.InternetGateways)
	s.replaceRoute(ctx, role, ec2.ReplaceRouteInput{GatewayId: gateway.InternetGatewayId})
}

func (s *saboteur) securityGroup(ctx context.Context, role string) *string {
	name := s.named(role)
	if role == "default" {
		name = role
	}
	out := call(ctx, s, s.EC2.DescribeSecurityGroups, &ec2.DescribeSecurityGroupsInput{
		Filters: append(s.inVPC("vpc-id"), types.Filter{Name: aws.String("group-name"), Values: []string{name}}),
	})
	return first(s, "security group "+name, out.SecurityGroups).GroupId
}

// groupRule finds a rule by its Name tag, and its group.
func (s *saboteur) groupRule(ctx context.Context, role string) (rule, group *string) {
	out := call(ctx, s, s.EC2.DescribeSecurityGroupRules, &ec2.DescribeSecurityGroupRulesInput{Filters: s.byName(role)})
	found := find(s, "rule "+role, out.SecurityGroupRules, func(r types.SecurityGroupRule) bool {
		return nameTag(r.Tags) == s.named(role) // emulators may not know the filter
	})
	return found.SecurityGroupRuleId, found.GroupId
}

// permission is one port from or to a group, or everyone.
func permission(peer *string, port int32) []types.IpPermission {
	p := types.IpPermission{IpProtocol: aws.String("tcp"), FromPort: &port, ToPort: &port}
	if peer == nil {
		p.IpRanges = []types.IpRange{{CidrIp: aws.String(everywhere), Description: aws.String("made by hand")}}
	} else {
		p.UserIdGroupPairs = []types.UserIdGroupPair{{GroupId: peer, Description: aws.String("made by hand")}}
	}
	return []types.IpPermission{p}
}

// opensGroup adds an ingress rule, named like one that may be there so that the name checks have no reason to speak.
func opensGroup(check, says, group, peer string, port int32, why string, heals bool, also ...string) sabotage {
	made := sabotage{Check: check, Says: says, Also: also, On: "security groups", Unhealable: why}
	if heals {
		made.Unhealable = ""
	}
	made.Do = func(ctx context.Context, s *saboteur) {
		to, from := s.pair(ctx, group, peer)
		call(ctx, s, s.EC2.AuthorizeSecurityGroupIngress, &ec2.AuthorizeSecurityGroupIngressInput{
			GroupId: to, IpPermissions: permission(from, port), TagSpecifications: s.tagged(types.ResourceTypeSecurityGroupRule, "endpoints-in-payment-api"),
		})
		if !heals {
			later(s, s.EC2.RevokeSecurityGroupIngress, &ec2.RevokeSecurityGroupIngressInput{GroupId: to, IpPermissions: permission(from, port)})
		}
	}
	return made
}

// leavesGroup adds an egress rule.
func leavesGroup(check, says, group, peer string, port int32, also ...string) sabotage {
	return sabotage{
		Check: check, Says: says, Also: also, On: "security groups", Unhealable: byHand,
		Do: func(ctx context.Context, s *saboteur) {
			from, to := s.pair(ctx, group, peer)
			call(ctx, s, s.EC2.AuthorizeSecurityGroupEgress, &ec2.AuthorizeSecurityGroupEgressInput{
				GroupId: from, IpPermissions: permission(to, port), TagSpecifications: s.tagged(types.ResourceTypeSecurityGroupRule, "endpoints-in-payment-api"),
			})
			later(s, s.EC2.RevokeSecurityGroupEgress, &ec2.RevokeSecurityGroupEgressInput{GroupId: from, IpPermissions: permission(to, port)})
		},
	}
}

// pair finds a group and its peer; no peer is everyone.
func (s *saboteur) pair(ctx context.Context, group, peer string) (own, other *string) {
	if own = s.securityGroup(ctx, group); peer == "" {
		return own, nil
	}
	return own, s.securityGroup(ctx, peer)
}
