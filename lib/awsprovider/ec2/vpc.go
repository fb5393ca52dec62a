package ec2

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"tapstack/lib/awsprovider/resource"
)

// VpcArgs are the inputs of aws:ec2/vpc:Vpc.
type VpcArgs struct {
	resource.Tagged
	CidrBlock          string `pulumi:"cidrBlock" aws:"forcenew"`
	EnableDNSSupport   *bool  `pulumi:"enableDnsSupport,optional"`
	EnableDNSHostnames *bool  `pulumi:"enableDnsHostnames,optional" aws:"computed"`
}

// VpcState is its state.
type VpcState struct {
	VpcArgs
	resource.AllTags
	Arn                    string `pulumi:"arn"`
	OwnerID                string `pulumi:"ownerId"`
	InstanceTenancy        string `pulumi:"instanceTenancy"`
	DhcpOptionsID          string `pulumi:"dhcpOptionsId"`
	DefaultSecurityGroupID string `pulumi:"defaultSecurityGroupId"`
	DefaultNetworkACLID    string `pulumi:"defaultNetworkAclId"`
	DefaultRouteTableID    string `pulumi:"defaultRouteTableId"`
	MainRouteTableID       string `pulumi:"mainRouteTableId"`
}

// vpcSwitches ties the properties that ModifyVpcAttribute sets, one a call, to the API.
var vpcSwitches = []struct {
	attribute types.VpcAttributeName
	of        func(*VpcArgs) **bool
	modify    func(*ec2.ModifyVpcAttributeInput, *types.AttributeBooleanValue)
	read      func(*ec2.DescribeVpcAttributeOutput) *types.AttributeBooleanValue
}{
	{
		types.VpcAttributeNameEnableDnsSupport, func(a *VpcArgs) **bool { return &a.EnableDNSSupport },
		func(in *ec2.ModifyVpcAttributeInput, v *types.AttributeBooleanValue) { in.EnableDnsSupport = v },
		func(out *ec2.DescribeVpcAttributeOutput) *types.AttributeBooleanValue { return out.EnableDnsSupport },
	},
	{
		types.VpcAttributeNameEnableDnsHostnames, func(a *VpcArgs) **bool { return &a.EnableDNSHostnames },
		func(in *ec2.ModifyVpcAttributeInput, v *types.AttributeBooleanValue) { in.EnableDnsHostnames = v },
		func(out *ec2.DescribeVpcAttributeOutput) *types.AttributeBooleanValue { return out.EnableDnsHostnames },
	},
}

var vpc = resource.Description[VpcArgs, VpcState]{
	Token: "aws:ec2/vpc:Vpc",
	Check: func(a *VpcArgs) []resource.Fault {
		if a.EnableDNSSupport == nil {
			a.EnableDNSSupport = aws.Bool(true)
		}
		return cidrFaults("cidrBlock", a.CidrBlock)
	},
	Create: func(ctx context.Context, c *resource.Cloud, a VpcArgs) (string, error) {
		out, err := c.EC2.CreateVpc(ctx, &ec2.CreateVpcInput{
			CidrBlock: &a.CidrBlock, AmazonProvidedIpv6CidrBlock: aws.Bool(false), InstanceTenancy: types.TenancyDefault, TagSpecifications: tagged(types.ResourceTypeVpc, a.Tags),
		})
		if err != nil {
			return "", err
		}
		id, err := created(value(out.Vpc).VpcId)
		if err != nil {
			return "", err
		}
		err = resource.PollThere(ctx, "VPC "+id+" is available", settle, func(ctx context.Context) (bool, error) {
			v, err := findVpc(ctx, c, id)
			return v.State == types.VpcStateAvailable, err
		})
		if err != nil {
			return id, err
		}
		// What a new VPC has (ModifyVpcAttribute, EC2 API reference).
		fresh := VpcArgs{EnableDNSSupport: aws.Bool(true), EnableDNSHostnames: aws.Bool(false)}
		return id, switchVpc(ctx, c, id, fresh, a)
	},
	Read: readVpc,
	Update: func(ctx context.Context, c *resource.Cloud, id string, old VpcState, a VpcArgs) error {
		if old.Arn == "" { // its creation never came to an end
			var err error
			if old, err = readVpc(ctx, c, id, old); err != nil {
				return err
			}
		}
		if err := switchVpc(ctx, c, id, old.VpcArgs, a); err != nil {
			return err
		}
		return updateTags(ctx, c, id, old.Tags, a.Tags)
	},
	Delete: func(ctx context.Context, c *resource.Cloud, id string, _ VpcState) error {
		err := resource.RetryOn(ctx, "VPC "+id+" can be deleted", settle, func(ctx context.Context) error {
			return ask(c.EC2.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: &id}))
		}, dependencyViolation)
		if err != nil {
			return err
		}
		return resource.PollGone(ctx, "VPC "+id, settle, func(ctx context.Context) error {
			return ask(findVpc(ctx, c, id))
		})
	},
	Example: func(resource.Scratch) resource.Example[VpcArgs] {
		return resource.Example[VpcArgs]{
			Inputs: VpcArgs{CidrBlock: "10.0.0.0/16", EnableDNSHostnames: aws.Bool(true), Tagged: named("vpc")},
			Changes: []resource.Change[VpcArgs]{
				{Name: "host names", Apply: func(a *VpcArgs) { a.EnableDNSHostnames = aws.Bool(false) }},
				{Name: "DNS", Apply: func(a *VpcArgs) { a.EnableDNSSupport = aws.Bool(false) }},
				changeTags(func(a *VpcArgs) *resource.Tagged { return &a.Tagged }),
			},
		}
	},
}

// switchVpc sets what differs between old and now, and waits until it shows.
func switchVpc(ctx context.Context, c *resource.Cloud, id string, old, now VpcArgs) error {
	for _, s := range vpcSwitches {
		want := *s.of(&now)
		if want == nil || (*s.of(&old) != nil && **s.of(&old) == *want) {
			continue
		}
		in := &ec2.ModifyVpcAttributeInput{VpcId: &id}
		s.modify(in, &types.AttributeBooleanValue{Value: want})
		if _, err := c.EC2.ModifyVpcAttribute(ctx, in); err != nil {
			return err
		}
		err := resource.PollThere(ctx, "VPC "+id+" shows "+string(s.attribute), settle, func(ctx context.Context) (bool, error) {
			got, err := vpcSwitch(ctx, c, id, s.attribute, s.read)
			return got != nil && *got == *want, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func vpcSwitch(
	ctx context.Context, c *resource.Cloud, id string, name types.VpcAttributeName,
	read func(*ec2.DescribeVpcAttributeOutput) *types.AttributeBooleanValue,
) (*bool, error) {
	out, err := c.EC2.DescribeVpcAttribute(ctx, &ec2.DescribeVpcAttributeInput{VpcId: &id, Attribute: name})
	if err != nil {
		return nil, err
	}
	if v := read(out); v != nil {
		return v.Value, nil
	}
	return nil, nil
}

func findVpc(ctx context.Context, c *resource.Cloud, id string) (types.Vpc, error) {
	out, err := c.EC2.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{VpcIds: []string{id}})
	if err != nil {
		return types.Vpc{}, err
	}
	return first(out.Vpcs)
}

func readVpc(ctx context.Context, c *resource.Cloud, id string, prior VpcState) (VpcState, error) {
	v, err := findVpc(ctx, c, id)
	if err != nil {
		return prior, err
	}
	s := VpcState{
		VpcArgs: VpcArgs{CidrBlock: aws.ToString(v.CidrBlock)},
		Arn:     arn(c, v.OwnerId, "vpc", id), OwnerID: aws.ToString(v.OwnerId), DhcpOptionsID: aws.ToString(v.DhcpOptionsId),
		InstanceTenancy: string(v.InstanceTenancy),
	}
	s.Tags = tagMap(v.Tags)
	s.TagsAll = s.Tags
	for _, w := range vpcSwitches {
		got, err := vpcSwitch(ctx, c, id, w.attribute, w.read)
		if err != nil {
			return prior, err
		}
		*w.of(&s.VpcArgs) = resource.OrPrior(got, *w.of(&prior.VpcArgs))
	}
	return s, s.readDefaults(ctx, c, id)
}

// readDefaults looks up what every VPC has from the start.
func (s *VpcState) readDefaults(ctx context.Context, c *resource.Cloud, id string) error {
	groups, err := c.EC2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{
		Filters: filters("group-name", "default", "vpc-id", id),
	})
	if err != nil {
		return err
	}
	for _, g := range groups.SecurityGroups {
		s.DefaultSecurityGroupID = aws.ToString(g.GroupId)
	}
	acls, err := c.EC2.DescribeNetworkAcls(ctx, &ec2.DescribeNetworkAclsInput{Filters: filters("default", "true", "vpc-id", id)})
	if err != nil {
		return err
	}
	for _, a := range acls.NetworkAcls {
		s.DefaultNetworkACLID = aws.ToString(a.NetworkAclId)
	}
	tables, err := c.EC2.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{
		Filters: filters("association.main", "true", "vpc-id", id),
	})
	if err != nil {
		return err
	}
	for _, t := range tables.RouteTables {
		s.MainRouteTableID = aws.ToString(t.RouteTableId)
	}
	s.DefaultRouteTableID = s.MainRouteTableID
	return nil
}
