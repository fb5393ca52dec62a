package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"tapstack/lib"
)

const (
	vpcType              = "aws:ec2/vpc:Vpc"
	subnetType           = "aws:ec2/subnet:Subnet"
	internetGatewayType  = "aws:ec2/internetGateway:InternetGateway"
	eipType              = "aws:ec2/eip:Eip"
	natGatewayType       = "aws:ec2/natGateway:NatGateway"
	routeType            = "aws:ec2/route:Route"
	routeTableType       = "aws:ec2/routeTable:RouteTable"
	associationType      = "aws:ec2/routeTableAssociation:RouteTableAssociation"
	defaultGroupType     = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
	securityGroupType    = "aws:ec2/securityGroup:SecurityGroup"
	ingressRuleType      = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
	egressRuleType       = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
	flowLogType          = "aws:ec2/flowLog:FlowLog"
	vpcEndpointType      = "aws:ec2/vpcEndpoint:VpcEndpoint"
	inUse                = "while it is in use"
	officialAssociations = "the official provider loses sight of it: there `up` stops at Resource.AlreadyAssociated until the subnet is disassociated by " +
		"hand, and `tap verify` is red: `network.private-routes`"
)

func networkDeeds() []deed {
	return []deed{
		sabotaged(vpcType, "vpc", "network.vpc", "switch DNS host names off"),
		refused(vpcType, "vpc", "DependencyViolation", inUse, func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.EC2.DeleteVpc, &ec2.DeleteVpcInput{VpcId: aws.String(s.output(lib.OutputVpcID))})
		}),
		sabotaged(subnetType, "public-subnet-1", "network.public-no-auto-ip", "give public addresses to whatever starts in a public subnet"),
		refused(subnetType, "public-subnet-1", "DependencyViolation", inUse, nil),
		retags(internetGatewayType, "internet-gateway"),
		refused(internetGatewayType, "internet-gateway", "DependencyViolation", inUse, func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.EC2.DeleteInternetGateway, &ec2.DeleteInternetGatewayInput{InternetGatewayId: s.idOf(ctx, "internet-gateway")})
		}),
		sabotaged(eipType, "nat-eip-1", "names.suffix", "take the suffix off the name of an Elastic IP"),
		takes(eipType, "nat-eip-1", "release it, which AWS refuses while it is in use", "its NAT gateway", func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.EC2.DeleteNatGateway, &ec2.DeleteNatGatewayInput{NatGatewayId: s.natGateway(ctx, 1)})
			call(ctx, s, s.EC2.ReleaseAddress, &ec2.ReleaseAddressInput{AllocationId: s.address(ctx, "nat-eip-1").AllocationId})
		}),
		retags(natGatewayType, "nat-gateway-2"),
		deletes(natGatewayType, "nat-gateway-2", "delete it", by("network.nat-per-zone", "delete a NAT gateway")),
		sabotaged(routeType, "private-default-route-1", "network.private-routes", "route a private subnet through another zone's NAT gateway"),
		deletes(routeType, "public-default-route", "delete it", by("network.public-routes", "delete the public default route")),
		retags(routeTableType, "private-route-table-3"),
		takes(routeTableType, "private-route-table-3", "delete it, which AWS refuses while a subnet uses it", "its route and its subnet's association",
			func(ctx context.Context, s *saboteur) {
				for _, a := range s.table(ctx, "private-route-table-3").Associations {
					call(ctx, s, s.EC2.DisassociateRouteTable, &ec2.DisassociateRouteTableInput{AssociationId: a.RouteTableAssociationId})
				}
				call(ctx, s, s.EC2.DeleteRouteTable, &ec2.DeleteRouteTableInput{RouteTableId: s.idOf(ctx, "private-route-table-3")})
			}),
		{
			Type: associationType, Of: "private-route-table-1-association-1", Says: "give its subnet another route table", Why: officialAssociations,
			Do: func(ctx context.Context, s *saboteur) {
				call(ctx, s, s.EC2.ReplaceRouteTableAssociation, &ec2.ReplaceRouteTableAssociationInput{
					AssociationId: first(s, "association", s.table(ctx, "private-route-table-1").Associations).RouteTableAssociationId,
					RouteTableId:  s.routeTable(ctx, "public-route-table"),
				})
			},
		},
		deletes(associationType, "private-route-table-1-association-1", "disassociate its subnet", func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.EC2.DisassociateRouteTable, &ec2.DisassociateRouteTableInput{
				AssociationId: first(s, "association", s.table(ctx, "private-route-table-1").Associations).RouteTableAssociationId,
			})
		}),
		sabotaged(defaultGroupType, "default-sg", "network.default-group-closed", "let the default security group talk to itself"),
		refused(defaultGroupType, "default-sg", "CannotDelete", "since every VPC has one", nil),
		retags(securityGroupType, "db-sg"),
		refused(securityGroupType, "db-sg", "DependencyViolation", inUse, nil),
		sabotaged(ingressRuleType, "alb-in-https", "network.rules-described", "erase the description of a rule"),
		deletes(ingressRuleType, "db-in-payment-api", "revoke it",
			by("network.ingress-rules", "take away the rule that lets payment-api into the database")),
		modifies(egressRuleType, "payment-api-out-https", "let it lead to another port", func(ctx context.Context, s *saboteur) {
			rule, group := s.groupRule(ctx, "payment-api-out-https")
			call(ctx, s, s.EC2.ModifySecurityGroupRules, &ec2.ModifySecurityGroupRulesInput{
				GroupId: group, SecurityGroupRules: []types.SecurityGroupRuleUpdate{{
					SecurityGroupRuleId: rule, SecurityGroupRule: &types.SecurityGroupRuleRequest{
						IpProtocol: aws.String("tcp"), FromPort: aws.Int32(80), ToPort: aws.Int32(80), CidrIpv4: aws.String(everywhere),
						Description: aws.String("by hand"),
					},
				}},
			})
		}),
		deletes(egressRuleType, "job-processor-out-https", "revoke it", func(ctx context.Context, s *saboteur) {
			rule, group := s.groupRule(ctx, "job-processor-out-https")
			call(ctx, s, s.EC2.RevokeSecurityGroupEgress, &ec2.RevokeSecurityGroupEgressInput{GroupId: group, SecurityGroupRuleIds: []string{*rule}})
		}),
		retags(flowLogType, "vpc-flow-log"),
		deletes(flowLogType, "vpc-flow-log", "delete it", by("network.flow-logs", "delete the flow log")),
		sabotaged(vpcEndpointType, "s3-endpoint", "network.s3-endpoint", "let everything through the S3 endpoint"),
		deletes(vpcEndpointType, "s3-endpoint", "delete it", func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.EC2.DeleteVpcEndpoints, &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{*s.endpoint(ctx).VpcEndpointId}})
		}),
	}
}

func networkFacts() map[string]fact {
	return map[string]fact{
		vpcType: func(ctx context.Context, s *saboteur, _ string) any {
			return call(ctx, s, s.EC2.DescribeVpcAttribute, &ec2.DescribeVpcAttributeInput{
				VpcId: aws.String(s.output(lib.OutputVpcID)), Attribute: types.VpcAttributeNameEnableDnsHostnames,
			}).EnableDnsHostnames
		},
		subnetType: func(ctx context.Context, s *saboteur, name string) any {
			out := call(ctx, s, s.EC2.DescribeSubnets, &ec2.DescribeSubnetsInput{Filters: s.byName(name)})
			return first(s, name, out.Subnets).MapPublicIpOnLaunch
		},
		internetGatewayType: environmentTag,
		eipType: func(ctx context.Context, s *saboteur, name string) any {
			return tagsOfEC2(s.address(ctx, name).Tags)
		},
		natGatewayType: func(ctx context.Context, s *saboteur, name string) any {
			out := call(ctx, s, s.EC2.DescribeNatGateways, &ec2.DescribeNatGatewaysInput{Filter: s.byName(name)})
			return tagsOfEC2(find(s, name, out.NatGateways, func(g types.NatGateway) bool {
				return g.State == types.NatGatewayStateAvailable && nameTag(g.Tags) == s.named(name) // emulators may not know the filter
			}).Tags)
		},
		routeType: func(ctx context.Context, s *saboteur, name string) any {
			table := "public-route-table"
			if number, private := strings.CutPrefix(name, "private-default-route-"); private {
				table = "private-route-table-" + number
			}
			route := find(s, name, s.table(ctx, table).Routes, func(r types.Route) bool { return aws.ToString(r.DestinationCidrBlock) == everywhere })
			return []*string{route.GatewayId, route.NatGatewayId}
		},
		routeTableType: func(ctx context.Context, s *saboteur, name string) any { return tagsOfEC2(s.table(ctx, name).Tags) },
		associationType: func(ctx context.Context, s *saboteur, _ string) any {
			return first(s, "association", s.table(ctx, "private-route-table-1").Associations).SubnetId
		},
		defaultGroupType: func(ctx context.Context, s *saboteur, _ string) any {
			out := call(ctx, s, s.EC2.DescribeSecurityGroups, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{*s.securityGroup(ctx, "default")}})
			return first(s, "default group", out.SecurityGroups).IpPermissions
		},
		securityGroupType: environmentTag,
		ingressRuleType:   ruleFact,
		egressRuleType:    ruleFact,
		flowLogType: func(ctx context.Context, s *saboteur, name string) any {
			out := call(ctx, s, s.EC2.DescribeFlowLogs, &ec2.DescribeFlowLogsInput{Filter: s.inVPC("resource-id")})
			return tagsOfEC2(first(s, name, out.FlowLogs).Tags)
		},
		vpcEndpointType: func(ctx context.Context, s *saboteur, _ string) any {
			e := s.endpoint(ctx)
			return []any{canonical(s, aws.ToString(e.PolicyDocument)), len(e.RouteTableIds), e.ServiceName}
		},
	}
}

// retags changes a tag of a resource of EC2's.
func retags(token, of string) deed {
	return modifies(token, of, "change a tag of it", func(ctx context.Context, s *saboteur) {
		call(ctx, s, s.EC2.CreateTags, &ec2.CreateTagsInput{
			Resources: []string{*s.idOf(ctx, of)}, Tags: []types.Tag{{Key: aws.String("Environment"), Value: aws.String("staging")}},
		})
	})
}

// idOf is the id of the resource of EC2's with a Name tag.
func (s *saboteur) idOf(ctx context.Context, name string) *string {
	out := call(ctx, s, s.EC2.DescribeTags, &ec2.DescribeTagsInput{Filters: []types.Filter{
		{Name: aws.String("key"), Values: []string{"Name"}}, {Name: aws.String("value"), Values: []string{s.named(name)}},
	}})
	return find(s, name, out.Tags, func(t types.TagDescription) bool { return aws.ToString(t.Value) == s.named(name) }).ResourceId
}

// environmentTag is the fact of what is only tagged.
func environmentTag(ctx context.Context, s *saboteur, name string) any {
	out := call(ctx, s, s.EC2.DescribeTags, &ec2.DescribeTagsInput{Filters: []types.Filter{
		{Name: aws.String("resource-id"), Values: []string{*s.idOf(ctx, name)}}, {Name: aws.String("key"), Values: []string{"Environment"}},
	}})
	return first(s, "tag of "+name, out.Tags).Value
}

// tagsOfEC2 are tags in an order.
func tagsOfEC2(tags []types.Tag) []string {
	var all []string
	for _, t := range tags {
		all = append(all, fmt.Sprintf("%s=%s", aws.ToString(t.Key), aws.ToString(t.Value)))
	}
	slices.Sort(all)
	return all
}

func (s *saboteur) address(ctx context.Context, name string) types.Address {
	out := call(ctx, s, s.EC2.DescribeAddresses, &ec2.DescribeAddressesInput{})
	return find(s, name, out.Addresses, func(a types.Address) bool {
		return slices.ContainsFunc(a.Tags, func(t types.Tag) bool { return strings.HasPrefix(aws.ToString(t.Value), name) })
	})
}

func (s *saboteur) table(ctx context.Context, name string) types.RouteTable {
	out := call(ctx, s, s.EC2.DescribeRouteTables, &ec2.DescribeRouteTablesInput{Filters: s.byName(name)})
	return first(s, name, out.RouteTables)
}

func (s *saboteur) endpoint(ctx context.Context) types.VpcEndpoint {
	out := call(ctx, s, s.EC2.DescribeVpcEndpoints, &ec2.DescribeVpcEndpointsInput{Filters: s.inVPC("vpc-id")})
	return find(s, "VPC endpoint", out.VpcEndpoints, func(e types.VpcEndpoint) bool { return e.State != "deleted" })
}

func ruleFact(ctx context.Context, s *saboteur, name string) any {
	id, _ := s.groupRule(ctx, name)
	out := call(ctx, s, s.EC2.DescribeSecurityGroupRules, &ec2.DescribeSecurityGroupRulesInput{SecurityGroupRuleIds: []string{*id}})
	r := first(s, name, out.SecurityGroupRules)
	return []any{r.IpProtocol, r.FromPort, r.ToPort, r.CidrIpv4, r.Description}
}
