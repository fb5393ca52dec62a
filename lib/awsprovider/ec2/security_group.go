package ec2

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"tapstack/lib/awsprovider/resource"
	"tapstack/lib/cloud"
)

// securityGroupDelete is how long the network interfaces that use a group may take to go.
const securityGroupDelete = 15 * time.Minute

// SecurityGroupArgs are the inputs of aws:ec2/securityGroup:SecurityGroup.
type SecurityGroupArgs struct {
	resource.Tagged
	Name        string  `pulumi:"name" aws:"forcenew"`
	Description *string `pulumi:"description,optional" aws:"forcenew"`
	VpcID       *string `pulumi:"vpcId,optional" aws:"forcenew,computed"`
}

// SecurityGroupState is its state.
type SecurityGroupState struct {
	SecurityGroupArgs
	resource.AllTags
	Arn     string `pulumi:"arn"`
	OwnerID string `pulumi:"ownerId"`
}

var securityGroup = resource.Description[SecurityGroupArgs, SecurityGroupState]{
	Token: "aws:ec2/securityGroup:SecurityGroup",
	Check: func(a *SecurityGroupArgs) []resource.Fault {
		if a.Description == nil {
			a.Description = aws.String("Managed by Pulumi")
		}
		return nil
	},
	Create: func(ctx context.Context, c *resource.Cloud, a SecurityGroupArgs) (string, error) {
		out, err := c.EC2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{
			GroupName: &a.Name, Description: a.Description, VpcId: a.VpcID,
			TagSpecifications: tagged(types.ResourceTypeSecurityGroup, a.Tags),
		})
		if err != nil {
			return "", err
		}
		id, err := created(out.GroupId)
		if err != nil {
			return "", err
		}
		err = resource.PollThere(ctx, "security group "+id+" exists", settle, func(ctx context.Context) (bool, error) {
			_, err := findSecurityGroup(ctx, c, id)
			return true, err
		})
		if err != nil {
			return id, err
		}
		return id, revokeDefaultEgress(ctx, c, id)
	},
	Read: func(ctx context.Context, c *resource.Cloud, id string, prior SecurityGroupState) (SecurityGroupState, error) {
		g, err := findSecurityGroup(ctx, c, id)
		if err != nil {
			return prior, err
		}
		tags := tagMap(g.Tags)
		return SecurityGroupState{
			SecurityGroupArgs: SecurityGroupArgs{
				Tagged: resource.Tagged{Tags: tags}, Name: aws.ToString(g.GroupName), Description: g.Description, VpcID: g.VpcId,
			},
			AllTags: resource.AllTags{TagsAll: tags},
			Arn:     arn(c, g.OwnerId, "security-group", id), OwnerID: aws.ToString(g.OwnerId),
		}, nil
	},
	Update: func(ctx context.Context, c *resource.Cloud, id string, old SecurityGroupState, a SecurityGroupArgs) error {
		if old.Arn == "" { // its creation never came to an end
			if err := revokeDefaultEgress(ctx, c, id); err != nil {
				return err
			}
		}
		return updateTags(ctx, c, id, old.Tags, a.Tags)
	},
	Delete: func(ctx context.Context, c *resource.Cloud, id string, _ SecurityGroupState) error {
		err := resource.RetryOn(ctx, "security group "+id+" can be deleted", securityGroupDelete, func(ctx context.Context) error {
			return ask(c.EC2.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: &id}))
		}, dependencyViolation, "InvalidGroup.InUse")
		if err != nil {
			return err
		}
		return resource.PollGone(ctx, "security group "+id, settle, func(ctx context.Context) error {
			return ask(findSecurityGroup(ctx, c, id))
		})
	},
	Example: func(x resource.Scratch) resource.Example[SecurityGroupArgs] {
		return resource.Example[SecurityGroupArgs]{
			Inputs: SecurityGroupArgs{
				Name: x.Name("sg"), Description: aws.String("An example"), VpcID: aws.String(makeVpc(x)), Tagged: named("sg"),
			},
			Changes: []resource.Change[SecurityGroupArgs]{
				changeTags(func(a *SecurityGroupArgs) *resource.Tagged { return &a.Tagged }),
			},
		}
	},
}

// revokeDefaultEgress removes the rules that let a new group's members reach anything: one for IPv4 and, in a VPC with
// IPv6, another.
func revokeDefaultEgress(ctx context.Context, c *resource.Cloud, id string) error {
	all := aws.String("-1")
	for _, open := range []types.IpPermission{
		{IpProtocol: all, IpRanges: []types.IpRange{{CidrIp: aws.String("0.0.0.0/0")}}},
		{IpProtocol: all, Ipv6Ranges: []types.Ipv6Range{{CidrIpv6: aws.String("::/0")}}},
	} {
		_, err := c.EC2.RevokeSecurityGroupEgress(ctx, &ec2.RevokeSecurityGroupEgressInput{
			GroupId: &id, IpPermissions: []types.IpPermission{open},
		})
		if err != nil && !cloud.HasCode(err, "InvalidPermission.NotFound") {
			return err
		}
	}
	return nil
}

func findSecurityGroup(ctx context.Context, c *resource.Cloud, id string) (types.SecurityGroup, error) {
	out, err := c.EC2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{id}})
	if err != nil {
		return types.SecurityGroup{}, err
	}
	return first(out.SecurityGroups)
}
