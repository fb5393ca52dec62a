package inventory

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"tapstack/lib/cloud"
)

func ec2Kinds() []*Kind {
	return []*Kind{
		VPC, Subnet, InternetGateway, NATGateway, ElasticIP, RouteTable, SecurityGroup, SecurityGroupRule, VPCEndpoint, FlowLog, NetworkInterface,
	}
}

var VPC = &Kind{
	Name: "VPC", Service: "ec2", Types: []string{"aws:ec2/vpc:Vpc"}, Free: noCharge,
	Quota: &Quota{What: "VPCs", Service: "vpc", Code: "L-F678F1CE"},
	IAM:   []IAMResource{{Sid: "Vpc", Types: []string{"vpc"}, ARN: "vpc/*"}},
	Lost:  "everything that stands in it",
	list: each((*cloud.Reader).VPCs, func(ctx context.Context, s *search, v ec2types.Vpc) Resource {
		return s.ec2(ctx, "vpc", v.VpcId, v.Tags, v.VpcId)
	}),
}

var Subnet = &Kind{
	Name: "subnet", Service: "ec2", Types: []string{"aws:ec2/subnet:Subnet"}, Free: noCharge,
	Removal: Removal{Limit: networkLimit},
	IAM:     []IAMResource{{Sid: "Subnet", Types: []string{"subnet"}, ARN: "subnet/*"}},
	Lost:    "everything that stands in it",
	list: each((*cloud.Reader).Subnets, func(ctx context.Context, s *search, n ec2types.Subnet) Resource {
		return s.ec2(ctx, "subnet", n.SubnetId, n.Tags, n.VpcId)
	}),
}

var InternetGateway = &Kind{
	Name: "internet gateway", Service: "ec2", Types: []string{"aws:ec2/internetGateway:InternetGateway"}, Free: noCharge,
	Removal: Removal{Limit: networkLimit},
	Quota:   &Quota{What: "internet gateways", Service: "vpc", Code: "L-A4707A72"},
	IAM:     []IAMResource{{Sid: "Gateway", Types: []string{"internet-gateway"}, ARN: "internet-gateway/*"}},
	list: each((*cloud.Reader).InternetGateways, func(ctx context.Context, s *search, g ec2types.InternetGateway) Resource {
		var vpc *string
		if len(g.Attachments) > 0 {
			vpc = g.Attachments[0].VpcId
		}
		return s.ec2(ctx, "internet-gateway", g.InternetGatewayId, g.Tags, vpc)
	}),
}

var NATGateway = &Kind{
	Name: "NAT gateway", Service: "ec2", Types: []string{"aws:ec2/natGateway:NatGateway"},
	Removal: Removal{Limit: networkLimit},
	Quota:   &Quota{What: "NAT gateways in a zone", Service: "vpc", Code: "L-FE5A380F", PerZone: true},
	IAM:     []IAMResource{{Sid: "Nat", Types: []string{"natgateway"}, ARN: "natgateway/*"}},
	list: each((*cloud.Reader).NATGateways, func(ctx context.Context, s *search, g ec2types.NatGateway) Resource {
		return s.ec2(ctx, "natgateway", g.NatGatewayId, g.Tags, g.VpcId)
	}),
}

var ElasticIP = &Kind{
	Name: "Elastic IP", Service: "ec2", Types: []string{"aws:ec2/eip:Eip"},
	Quota: &Quota{What: "Elastic IPs", Service: "ec2", Code: "L-0263D0A3"},
	IAM:   []IAMResource{{Sid: "Address", Types: []string{"elastic-ip"}, ARN: "elastic-ip/*"}},
	Lost:  "an address that others may have allowed",
	list: func(ctx context.Context, s *search) ([]Resource, error) {
		gateways, err := s.NATGateways(ctx)
		if err != nil {
			return nil, err
		}
		vpcOf := map[string]*string{}
		for _, g := range gateways {
			for _, a := range g.NatGatewayAddresses {
				vpcOf[aws.ToString(a.AllocationId)] = g.VpcId
			}
		}
		all, err := s.Addresses(ctx)
		return listed(all, err, func(a ec2types.Address) Resource {
			return s.ec2(ctx, "elastic-ip", a.AllocationId, a.Tags, vpcOf[aws.ToString(a.AllocationId)])
		})
	},
}

// RouteTable leaves out the main ones, which come and go with their VPCs.
var RouteTable = &Kind{
	Name: "route table", Service: "ec2", Types: []string{"aws:ec2/routeTable:RouteTable"}, Free: noCharge,
	Parts: map[string]string{"aws:ec2/route:Route": noCharge, "aws:ec2/routeTableAssociation:RouteTableAssociation": noCharge},
	IAM:   []IAMResource{{Sid: "Table", Types: []string{"route-table"}, ARN: "route-table/*"}},
	list: func(ctx context.Context, s *search) ([]Resource, error) {
		all, err := s.RouteTables(ctx)
		all = slices.DeleteFunc(slices.Clone(all), func(t ec2types.RouteTable) bool {
			return slices.ContainsFunc(t.Associations, func(a ec2types.RouteTableAssociation) bool { return aws.ToBool(a.Main) })
		})
		return listed(all, err, func(t ec2types.RouteTable) Resource {
			return s.ec2(ctx, "route-table", t.RouteTableId, t.Tags, t.VpcId)
		})
	},
}

const (
	// defaultGroup is the name of the security group that AWS makes with each VPC.
	defaultGroup = "default"
	// guardDutyGroup begins the name of the one that GuardDuty makes for its endpoint in a VPC.
	guardDutyGroup = "GuardDutyManagedSecurityGroup-"
)

var SecurityGroup = &Kind{
	Name: "security group", Service: "ec2", Free: noCharge, NameInput: "name",
	Types:   []string{"aws:ec2/securityGroup:SecurityGroup", "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"},
	Removal: Removal{Proof: ByOwner, Limit: networkLimit},
	Quota:   &Quota{What: "security groups", Service: "vpc", Code: "L-E79EC296"},
	IAM:     []IAMResource{{Sid: "Group", Types: []string{"security-group"}, ARN: "security-group/*"}},
	list: each((*cloud.Reader).SecurityGroups, func(ctx context.Context, s *search, g ec2types.SecurityGroup) Resource {
		r := s.ec2(ctx, "security-group", g.GroupId, g.Tags, g.VpcId)
		switch name := aws.ToString(g.GroupName); {
		case name == defaultGroup:
			r.PartOf, r.RemovedByAWS = []string{s.EC2ARN(ctx, "vpc", r.VPC)}, true
		case strings.HasPrefix(name, guardDutyGroup):
			r = s.byGuardDuty(ctx, r)
			fallthrough
		default:
			r.Name = name
		}
		return r
	}),
}

var SecurityGroupRule = &Kind{
	Name: "security group rule", Service: "ec2", Free: partOf,
	Types:   []string{"aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"},
	Removal: Removal{Proof: ByOwner, HoldsOwner: true},
	IAM:     []IAMResource{{Sid: "Rule", Types: []string{"security-group-rule"}, ARN: "security-group-rule/*"}},
	list: func(ctx context.Context, s *search) ([]Resource, error) {
		groups, err := s.SecurityGroups(ctx)
		if err != nil {
			return nil, err
		}
		groupOf := map[string]ec2types.SecurityGroup{}
		for _, g := range groups {
			groupOf[aws.ToString(g.GroupId)] = g
		}
		all, err := s.SecurityGroupRules(ctx)
		return listed(all, err, func(r ec2types.SecurityGroupRule) Resource {
			group := groupOf[aws.ToString(r.GroupId)]
			rule := s.ec2(ctx, "security-group-rule", r.SecurityGroupRuleId, r.Tags, group.VpcId)
			rule.PartOf = []string{s.EC2ARN(ctx, "security-group", aws.ToString(r.GroupId))}
			rule.RemovedByAWS = strings.HasPrefix(aws.ToString(group.GroupName), guardDutyGroup)
			return rule
		})
	},
}

var VPCEndpoint = &Kind{
	Name: "VPC endpoint", Service: "ec2", Types: []string{"aws:ec2/vpcEndpoint:VpcEndpoint"},
	Removal: Removal{Proof: ByOwner, Limit: networkLimit},
	Quota: &Quota{
		What: "gateway endpoints", Service: "vpc", Code: "L-1B52E74A",
		Input: "vpcEndpointType", Value: string(ec2types.VpcEndpointTypeGateway),
	},
	IAM: []IAMResource{{Sid: "Endpoint", Types: []string{"vpc-endpoint"}, ARN: "vpc-endpoint/*"}},
	list: each((*cloud.Reader).VPCEndpoints, func(ctx context.Context, s *search, v ec2types.VpcEndpoint) Resource {
		r := s.ec2(ctx, "vpc-endpoint", v.VpcEndpointId, v.Tags, v.VpcId)
		if strings.HasSuffix(aws.ToString(v.ServiceName), ".guardduty-data") {
			return s.byGuardDuty(ctx, r)
		}
		return r
	}),
}

var FlowLog = &Kind{
	Name: "flow log", Service: "ec2", Types: []string{"aws:ec2/flowLog:FlowLog"},
	IAM: []IAMResource{{Sid: "FlowLog", Types: []string{"vpc-flow-log"}, ARN: "vpc-flow-log/*"}},
	list: each((*cloud.Reader).FlowLogs, func(ctx context.Context, s *search, f ec2types.FlowLog) Resource {
		return s.ec2(ctx, "vpc-flow-log", f.FlowLogId, f.Tags, f.ResourceId)
	}),
}

// NetworkInterface is what services put into a VPC.
var NetworkInterface = &Kind{
	Name: "network interface", Service: "ec2", Untagged: true, Free: notDeclared,
	Removal: Removal{Proof: ByOwner, Limit: networkLimit},
	IAM:     []IAMResource{{Sid: "Interface", Types: []string{"network-interface"}, ARN: "network-interface/*", ByOthers: true}},
	list: each((*cloud.Reader).NetworkInterfaces, func(ctx context.Context, s *search, i ec2types.NetworkInterface) Resource {
		r := s.ec2(ctx, "network-interface", i.NetworkInterfaceId, i.TagSet, i.VpcId)
		if i.Attachment == nil || i.Attachment.InstanceId == nil {
			r.PartOf = []string{s.EC2ARN(ctx, "vpc", r.VPC)} // a service's; the stack has no machines
		}
		return r
	}),
}

// byGuardDuty makes what GuardDuty's runtime monitoring has put into a VPC, as its tag tells, a part of the VPC: GuardDuty
// does not take it away again (GuardDuty user guide, "Disabling, uninstalling, and cleaning up resources").
func (s *search) byGuardDuty(ctx context.Context, r Resource) Resource {
	if r.Tags["GuardDutyManaged"] == "true" {
		r.PartOf = []string{s.EC2ARN(ctx, "vpc", r.VPC)}
	}
	return r
}

// ec2 is a resource whose name is its Name tag.
func (s *search) ec2(ctx context.Context, arnType string, id *string, tags []ec2types.Tag, vpc *string) Resource {
	m := cloud.TagMap(tags, func(t ec2types.Tag) (*string, *string) { return t.Key, t.Value })
	return Resource{Name: m[tagName], ARN: s.EC2ARN(ctx, arnType, aws.ToString(id)), Tags: m, VPC: aws.ToString(vpc)}
}
