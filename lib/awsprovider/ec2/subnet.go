package ec2

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"tapstack/lib/awsprovider/resource"
)

// subnetDelete is how long the interfaces of what lived in a subnet may take to go.
const subnetDelete = 20 * time.Minute

// SubnetArgs are the inputs of aws:ec2/subnet:Subnet.
type SubnetArgs struct {
	resource.Tagged
	VpcID                       string  `pulumi:"vpcId" aws:"forcenew"`
	CidrBlock                   string  `pulumi:"cidrBlock" aws:"forcenew"`
	AvailabilityZone            *string `pulumi:"availabilityZone,optional" aws:"forcenew,computed"`
	AvailabilityZoneID          *string `pulumi:"availabilityZoneId,optional" aws:"forcenew,computed"`
	AssignIpv6AddressOnCreation *bool   `pulumi:"assignIpv6AddressOnCreation,optional"`
	MapPublicIPOnLaunch         *bool   `pulumi:"mapPublicIpOnLaunch,optional"`
}

// SubnetState is its state.
type SubnetState struct {
	SubnetArgs
	resource.AllTags
	Arn                            string `pulumi:"arn"`
	OwnerID                        string `pulumi:"ownerId"`
	PrivateDNSHostnameTypeOnLaunch string `pulumi:"privateDnsHostnameTypeOnLaunch"`
}

var subnet = resource.Description[SubnetArgs, SubnetState]{
	Token: "aws:ec2/subnet:Subnet",
	Check: func(a *SubnetArgs) []resource.Fault {
		for _, f := range subnetFlags {
			if value := f.of(a); *value == nil {
				*value = aws.Bool(false)
			}
		}
		faults := cidrFaults("cidrBlock", a.CidrBlock)
		if aws.ToString(a.AvailabilityZone) != "" && aws.ToString(a.AvailabilityZoneID) != "" {
			faults = append(faults, resource.Fault{Property: "availabilityZoneId", Reason: "conflicts with availabilityZone"})
		}
		return faults
	},
	Create: func(ctx context.Context, c *resource.Cloud, a SubnetArgs) (string, error) {
		out, err := c.EC2.CreateSubnet(ctx, &ec2.CreateSubnetInput{
			VpcId: &a.VpcID, CidrBlock: &a.CidrBlock, AvailabilityZone: a.AvailabilityZone,
			AvailabilityZoneId: a.AvailabilityZoneID, TagSpecifications: tagged(types.ResourceTypeSubnet, a.Tags),
		})
		if err != nil {
			return "", err
		}
		id, err := created(value(out.Subnet).SubnetId)
		if err != nil {
			return "", err
		}
		err = resource.PollThere(ctx, "subnet "+id+" is available", 10*time.Minute, func(ctx context.Context) (bool, error) {
			s, err := findSubnet(ctx, c, id)
			return s.State == types.SubnetStateAvailable, err
		})
		if err != nil {
			return id, err
		}
		return id, setSubnetFlags(ctx, c, id, SubnetArgs{}, a)
	},
	Read: func(ctx context.Context, c *resource.Cloud, id string, prior SubnetState) (SubnetState, error) {
		s, err := findSubnet(ctx, c, id)
		if err != nil {
			return prior, err
		}
		tags := tagMap(s.Tags)
		return SubnetState{
			SubnetArgs: SubnetArgs{
				Tagged: resource.Tagged{Tags: tags}, VpcID: aws.ToString(s.VpcId), CidrBlock: aws.ToString(s.CidrBlock),
				AvailabilityZone: s.AvailabilityZone, AvailabilityZoneID: s.AvailabilityZoneId,
				AssignIpv6AddressOnCreation: resource.OrPrior(s.AssignIpv6AddressOnCreation, prior.AssignIpv6AddressOnCreation),
				MapPublicIPOnLaunch:         resource.OrPrior(s.MapPublicIpOnLaunch, prior.MapPublicIPOnLaunch),
			},
			AllTags: resource.AllTags{TagsAll: tags}, Arn: aws.ToString(s.SubnetArn), OwnerID: aws.ToString(s.OwnerId),
			PrivateDNSHostnameTypeOnLaunch: string(value(s.PrivateDnsNameOptionsOnLaunch).HostnameType),
		}, nil
	},
	Update: func(ctx context.Context, c *resource.Cloud, id string, old SubnetState, a SubnetArgs) error {
		before := old.SubnetArgs
		if old.Arn == "" { // its creation was not finished
			before = SubnetArgs{}
		}
		if err := setSubnetFlags(ctx, c, id, before, a); err != nil {
			return err
		}
		return updateTags(ctx, c, id, old.Tags, a.Tags)
	},
	Delete: func(ctx context.Context, c *resource.Cloud, id string, _ SubnetState) error {
		err := resource.RetryOn(ctx, "subnet "+id+" can be deleted", subnetDelete, func(ctx context.Context) error {
			return ask(c.EC2.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: &id}))
		}, dependencyViolation)
		if err != nil {
			return err
		}
		return resource.PollGone(ctx, "subnet "+id, settle, func(ctx context.Context) error {
			return ask(findSubnet(ctx, c, id))
		})
	},
	Example: func(x resource.Scratch) resource.Example[SubnetArgs] {
		return resource.Example[SubnetArgs]{
			Inputs: SubnetArgs{
				VpcID: makeVpc(x), CidrBlock: "10.0.1.0/24", AvailabilityZone: aws.String("us-east-1a"), Tagged: named("subnet"),
			},
			Changes: []resource.Change[SubnetArgs]{
				{Name: "public addresses", Apply: func(a *SubnetArgs) { a.MapPublicIPOnLaunch = aws.Bool(true) }},
				{Name: "IPv6 addresses", Apply: func(a *SubnetArgs) { a.AssignIpv6AddressOnCreation = aws.Bool(true) }},
				changeTags(func(a *SubnetArgs) *resource.Tagged { return &a.Tagged }),
			},
		}
	},
}

// subnetFlags are what ModifySubnetAttribute changes, one flag in a call.
var subnetFlags = []struct {
	name  string
	of    func(*SubnetArgs) **bool
	in    func(*ec2.ModifySubnetAttributeInput, *types.AttributeBooleanValue)
	shown func(types.Subnet) *bool
}{
	{
		"assignIpv6AddressOnCreation",
		func(a *SubnetArgs) **bool { return &a.AssignIpv6AddressOnCreation },
		func(in *ec2.ModifySubnetAttributeInput, v *types.AttributeBooleanValue) {
			in.AssignIpv6AddressOnCreation = v
		},
		func(s types.Subnet) *bool { return s.AssignIpv6AddressOnCreation },
	},
	{
		"mapPublicIpOnLaunch",
		func(a *SubnetArgs) **bool { return &a.MapPublicIPOnLaunch },
		func(in *ec2.ModifySubnetAttributeInput, v *types.AttributeBooleanValue) { in.MapPublicIpOnLaunch = v },
		func(s types.Subnet) *bool { return s.MapPublicIpOnLaunch },
	},
}

func setSubnetFlags(ctx context.Context, c *resource.Cloud, id string, old, now SubnetArgs) error {
	for _, f := range subnetFlags {
		want := aws.ToBool(*f.of(&now))
		if want == aws.ToBool(*f.of(&old)) {
			continue
		}
		in := &ec2.ModifySubnetAttributeInput{SubnetId: &id}
		f.in(in, &types.AttributeBooleanValue{Value: &want})
		if _, err := c.EC2.ModifySubnetAttribute(ctx, in); err != nil {
			return err
		}
		err := resource.PollThere(ctx, "subnet "+id+" shows "+f.name, settle, func(ctx context.Context) (bool, error) {
			s, err := findSubnet(ctx, c, id)
			return aws.ToBool(f.shown(s)) == want, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func findSubnet(ctx context.Context, c *resource.Cloud, id string) (types.Subnet, error) {
	out, err := c.EC2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: []string{id}})
	if err != nil {
		return types.Subnet{}, err
	}
	return first(out.Subnets)
}

// cidrFaults refuses what is no IPv4 network in its canonical form, as the official provider does at plan time.
func cidrFaults(property, cidr string) []resource.Fault {
	if cidr == "" {
		return nil
	}
	p, err := netip.ParsePrefix(cidr)
	if err == nil && p.Addr().Is4() && p == p.Masked() {
		return nil
	}
	return []resource.Fault{{Property: property, Reason: fmt.Sprintf("%q is not an IPv4 network such as 10.0.0.0/16", cidr)}}
}

// makeVpc is the prerequisite of most examples.
func makeVpc(x resource.Scratch) string {
	return x.Make("aws:ec2/vpc:Vpc", map[string]any{"cidrBlock": "10.0.0.0/16"}).ID
}

// makeSubnet makes a subnet for an example.
func makeSubnet(x resource.Scratch, vpcID, cidr string) string {
	return x.Make("aws:ec2/subnet:Subnet", map[string]any{"vpcId": vpcID, "cidrBlock": cidr}).ID
}
