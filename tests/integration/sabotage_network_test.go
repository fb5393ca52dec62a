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
		{
			Check: "network.vpc", Says: "switch DNS host names off",
			Do: func(ctx context.Context, s *saboteur) error {
				return call(ctx, s.EC2.ModifyVpcAttribute, &ec2.ModifyVpcAttributeInput{
					VpcId: aws.String(s.output(lib.OutputVpcID)), EnableDnsHostnames: &types.AttributeBooleanValue{Value: aws.Bool(false)},
				})
			},
		},
		{
			Check: "network.public-routes", Says: "delete the public default route",
			Do: func(ctx context.Context, s *saboteur) error {
				table, err := s.routeTable(ctx, "public-route-table")
				if err != nil {
					return err
				}
				return call(ctx, s.EC2.DeleteRoute, &ec2.DeleteRouteInput{RouteTableId: table, DestinationCidrBlock: aws.String(everywhere)})
			},
		},
		{
			Check: "network.public-no-auto-ip", Says: "give public addresses to whatever starts in a public subnet",
			Do: func(ctx context.Context, s *saboteur) error {
				return call(ctx, s.EC2.ModifySubnetAttribute, &ec2.ModifySubnetAttributeInput{
					SubnetId: &s.list(lib.OutputPublicSubnetIDs)[0], MapPublicIpOnLaunch: &types.AttributeBooleanValue{Value: aws.Bool(true)},
				})
			},
		},
		{
			Check: "network.nat-per-zone", Says: "delete a NAT gateway", Also: []string{"network.private-routes"}, On: "nat gateways",
			Do: func(ctx context.Context, s *saboteur) error {
				gateway, err := s.natGateway(ctx, 2)
				if err != nil {
					return err
				}
				return s.deleteNatGateway(ctx, gateway)
			},
		},
		{
			Check: "network.private-routes", Says: "route a private subnet through another zone's NAT gateway", On: "nat gateways",
			Do: func(ctx context.Context, s *saboteur) error {
				nat, err := s.natGateway(ctx, 3)
				if err != nil {
					return err
				}
				return s.replaceRoute(ctx, "private-route-table-1", ec2.ReplaceRouteInput{NatGatewayId: nat})
			},
		},
		{
			Check: "network.private-routes", Says: "route a private subnet straight to the internet gateway", On: "nat gateways",
			Also: []string{"database.private-subnets"},
			Do:   func(ctx context.Context, s *saboteur) error { return s.routeToInternet(ctx, "private-route-table-1") },
		},
		{
			Check: "network.public-only-for-alb", Says: "put a network interface into a public subnet", Unhealable: byHand,
			Do: func(ctx context.Context, s *saboteur) error {
				out, err := s.EC2.CreateNetworkInterface(ctx, &ec2.CreateNetworkInterfaceInput{
					SubnetId: &s.list(lib.OutputPublicSubnetIDs)[1], TagSpecifications: s.tagged(types.ResourceTypeNetworkInterface, "by-hand"),
				})
				if err != nil {
					return err
				}
				s.later(func(ctx context.Context) error {
					return call(ctx, s.EC2.DeleteNetworkInterface, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: out.NetworkInterface.NetworkInterfaceId})
				})
				return nil
			},
		},
		{
			Check: "network.private-no-public-address", Says: "give public addresses to whatever starts in a private subnet",
			Also: []string{"network.public-no-auto-ip"},
			Do: func(ctx context.Context, s *saboteur) error {
				return call(ctx, s.EC2.ModifySubnetAttribute, &ec2.ModifySubnetAttributeInput{
					SubnetId: &s.list(lib.OutputPrivateSubnetIDs)[1], MapPublicIpOnLaunch: &types.AttributeBooleanValue{Value: aws.Bool(true)},
				})
			},
		},
		{
			Check: "network.interface-endpoints", Says: "make an interface endpoint for one service only", Unhealable: byHand, On: "security groups",
			Also: []string{"network.ingress-rules", "network.reachability"},
			Do: func(ctx context.Context, s *saboteur) error {
				group, err := s.securityGroup(ctx, "default")
				if err != nil {
					return err
				}
				out, err := s.EC2.CreateVpcEndpoint(ctx, &ec2.CreateVpcEndpointInput{
					VpcId: aws.String(s.output(lib.OutputVpcID)), ServiceName: aws.String("com.amazonaws.us-east-1.sqs"),
					VpcEndpointType: types.VpcEndpointTypeInterface, SubnetIds: s.list(lib.OutputPrivateSubnetIDs),
					SecurityGroupIds: []string{*group}, PrivateDnsEnabled: aws.Bool(true),
					TagSpecifications: s.tagged(types.ResourceTypeVpcEndpoint, "sqs-endpoint"),
				})
				if err != nil {
					return err
				}
				s.later(func(ctx context.Context) error {
					return call(ctx, s.EC2.DeleteVpcEndpoints, &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{*out.VpcEndpoint.VpcEndpointId}})
				})
				return nil
			},
		},
		{
			Check: "network.flow-logs", Says: "delete the flow log", Also: []string{"iam.infrastructure-roles"},
			Do: func(ctx context.Context, s *saboteur) error {
				out, err := s.EC2.DescribeFlowLogs(ctx, &ec2.DescribeFlowLogsInput{Filter: s.inVPC("resource-id")})
				if err != nil {
					return err
				}
				log, err := first("flow log", out.FlowLogs)
				if err != nil {
					return err
				}
				return call(ctx, s.EC2.DeleteFlowLogs, &ec2.DeleteFlowLogsInput{FlowLogIds: []string{*log.FlowLogId}})
			},
		},
		{
			Check: "network.s3-endpoint", Says: "take a private route table off the S3 endpoint",
			Do: func(ctx context.Context, s *saboteur) error {
				out, err := s.EC2.DescribeVpcEndpoints(ctx, &ec2.DescribeVpcEndpointsInput{Filters: s.inVPC("vpc-id")})
				if err != nil {
					return err
				}
				endpoint, err := first("VPC endpoint", out.VpcEndpoints)
				if err != nil {
					return err
				}
				table, err := s.routeTable(ctx, "private-route-table-1")
				if err != nil {
					return err
				}
				return call(ctx, s.EC2.ModifyVpcEndpoint, &ec2.ModifyVpcEndpointInput{
					VpcEndpointId: endpoint.VpcEndpointId, RemoveRouteTableIds: []string{*table},
				})
			},
		},
		opensGroup("network.default-group-closed", "let the default security group talk to itself", "default", "default", 443,
			"rules of the default security group are adopted as a whole: refresh sees the new one and up takes it away", true),
		opensGroup("network.ingress-rules", "let the database's group into the load balancer's", "alb-sg", "db-sg", 443, byHand, false),
		leavesGroup("network.egress-rules", "let the database's group out to the job processor's", "db-sg", "job-processor-sg", 9999),
		opensGroup("network.reachability", "let the internet into payment-api's group", "payment-api-sg", "", 8443, byHand, false, "network.ingress-rules"),
		opensGroup("database.reachable-from-services-only", "let the load balancer's group into the database's", "db-sg", "alb-sg", 5432, byHand, false, "network.ingress-rules"),
		{
			Check: "network.ingress-rules", Says: "take away the rule that lets payment-api into the database", On: "security groups",
			Also: []string{"network.reachability", "database.reachable-from-services-only"},
			Do: func(ctx context.Context, s *saboteur) error {
				rule, group, err := s.groupRule(ctx, "db-in-payment-api")
				if err != nil {
					return err
				}
				return call(ctx, s.EC2.RevokeSecurityGroupIngress, &ec2.RevokeSecurityGroupIngressInput{GroupId: group, SecurityGroupRuleIds: []string{*rule}})
			},
		},
		{
			Check: "network.rules-described", Says: "erase the description of a rule", On: "security groups",
			Do: func(ctx context.Context, s *saboteur) error {
				rule, group, err := s.groupRule(ctx, "alb-in-https")
				if err != nil {
					return err
				}
				return call(ctx, s.EC2.ModifySecurityGroupRules, &ec2.ModifySecurityGroupRulesInput{
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

func (s *saboteur) routeTable(ctx context.Context, role string) (*string, error) {
	out, err := s.EC2.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{Filters: s.byName(role)})
	if err != nil {
		return nil, err
	}
	table, err := first(role, out.RouteTables)
	return table.RouteTableId, err
}

func (s *saboteur) natGateway(ctx context.Context, number int) (*string, error) {
	out, err := s.EC2.DescribeNatGateways(ctx, &ec2.DescribeNatGatewaysInput{
		Filter: append(s.byName(fmt.Sprintf("nat-gateway-%d", number)), types.Filter{Name: aws.String("state"), Values: []string{"available"}}),
	})
	if err != nil {
		return nil, err
	}
	// Emulators may not know the filters.
	for _, g := range out.NatGateways {
		if g.State == types.NatGatewayStateAvailable && nameTag(g.Tags) == s.named(fmt.Sprintf("nat-gateway-%d", number)) {
			return g.NatGatewayId, nil
		}
	}
	return nil, fmt.Errorf("there is no NAT gateway %d", number)
}

// deleteNatGateway also gives its address free and deletes its interface, which AWS does by itself and an emulator
// (moto 5.2.1) forgets.
func (s *saboteur) deleteNatGateway(ctx context.Context, id *string) error {
	out, err := s.EC2.DescribeNatGateways(ctx, &ec2.DescribeNatGatewaysInput{NatGatewayIds: []string{*id}})
	if err != nil {
		return err
	}
	if _, err := s.EC2.DeleteNatGateway(ctx, &ec2.DeleteNatGatewayInput{NatGatewayId: id}); err != nil {
		return err
	}
	for _, a := range out.NatGateways[0].NatGatewayAddresses {
		address, err := s.EC2.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{AllocationIds: []string{*a.AllocationId}})
		if err != nil {
			return err
		}
		association := address.Addresses[0].AssociationId
		if association == nil {
			continue
		}
		if _, err := s.EC2.DisassociateAddress(ctx, &ec2.DisassociateAddressInput{AssociationId: association}); err != nil {
			return err
		}
		if _, err := s.EC2.DeleteNetworkInterface(ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: a.NetworkInterfaceId}); err != nil {
			return err
		}
	}
	return nil
}

// replaceRoute sends a route table's default route elsewhere.
func (s *saboteur) replaceRoute(ctx context.Context, role string, to ec2.ReplaceRouteInput) (err error) {
	if to.RouteTableId, err = s.routeTable(ctx, role); err != nil {
		return err
	}
	to.DestinationCidrBlock = aws.String(everywhere)
	return call(ctx, s.EC2.ReplaceRoute, &to)
}

func (s *saboteur) routeToInternet(ctx context.Context, role string) error {
	out, err := s.EC2.DescribeInternetGateways(ctx, &ec2.DescribeInternetGatewaysInput{Filters: s.inVPC("attachment.vpc-id")})
	if err != nil {
		return err
	}
	gateway, err := first("internet gateway", out.InternetGateways)
	if err != nil {
		return err
	}
	return s.replaceRoute(ctx, role, ec2.ReplaceRouteInput{GatewayId: gateway.InternetGatewayId})
}

func (s *saboteur) securityGroup(ctx context.Context, role string) (*string, error) {
	name := s.named(role)
	if role == "default" {
		name = role
	}
	out, err := s.EC2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{
		Filters: append(s.inVPC("vpc-id"), types.Filter{Name: aws.String("group-name"), Values: []string{name}}),
	})
	if err != nil {
		return nil, err
	}
	group, err := first("security group "+name, out.SecurityGroups)
	return group.GroupId, err
}

// groupRule finds a rule by its Name tag, and its group.
func (s *saboteur) groupRule(ctx context.Context, role string) (rule, group *string, err error) {
	out, err := s.EC2.DescribeSecurityGroupRules(ctx, &ec2.DescribeSecurityGroupRulesInput{Filters: s.byName(role)})
	if err != nil {
		return nil, nil, err
	}
	// Emulators may not know the filter.
	for _, r := range out.SecurityGroupRules {
		if nameTag(r.Tags) == s.named(role) {
			return r.SecurityGroupRuleId, r.GroupId, nil
		}
	}
	return nil, nil, fmt.Errorf("there is no rule %s", s.named(role))
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
	made.Do = func(ctx context.Context, s *saboteur) error {
		to, from, err := s.pair(ctx, group, peer)
		if err != nil {
			return err
		}
		_, err = s.EC2.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{
			GroupId: to, IpPermissions: permission(from, port), TagSpecifications: s.tagged(types.ResourceTypeSecurityGroupRule, "endpoints-in-payment-api"),
		})
		if err != nil || heals {
			return err
		}
		s.later(func(ctx context.Context) error {
			return call(ctx, s.EC2.RevokeSecurityGroupIngress, &ec2.RevokeSecurityGroupIngressInput{GroupId: to, IpPermissions: permission(from, port)})
		})
		return nil
	}
	return made
}

// leavesGroup adds an egress rule.
func leavesGroup(check, says, group, peer string, port int32, also ...string) sabotage {
	return sabotage{
		Check: check, Says: says, Also: also, On: "security groups", Unhealable: byHand,
		Do: func(ctx context.Context, s *saboteur) error {
			from, to, err := s.pair(ctx, group, peer)
			if err != nil {
				return err
			}
			_, err = s.EC2.AuthorizeSecurityGroupEgress(ctx, &ec2.AuthorizeSecurityGroupEgressInput{
				GroupId: from, IpPermissions: permission(to, port), TagSpecifications: s.tagged(types.ResourceTypeSecurityGroupRule, "endpoints-in-payment-api"),
			})
			if err != nil {
				return err
			}
			s.later(func(ctx context.Context) error {
				return call(ctx, s.EC2.RevokeSecurityGroupEgress, &ec2.RevokeSecurityGroupEgressInput{GroupId: from, IpPermissions: permission(to, port)})
			})
			return nil
		},
	}
}

// pair finds a group and its peer; no peer is everyone.
func (s *saboteur) pair(ctx context.Context, group, peer string) (own, other *string, err error) {
	if own, err = s.securityGroup(ctx, group); err != nil || peer == "" {
		return own, nil, err
	}
	other, err = s.securityGroup(ctx, peer)
	return own, other, err
}
