package rds

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"tapstack/lib/awsprovider/resource"
)

// SubnetGroupArgs are the inputs of aws:rds/subnetGroup:SubnetGroup.
type SubnetGroupArgs struct {
	resource.Tagged
	Name        string   `pulumi:"name" aws:"forcenew"`
	Description *string  `pulumi:"description,optional"`
	SubnetIDs   []string `pulumi:"subnetIds" aws:"set"`
}

// SubnetGroupState is the state of aws:rds/subnetGroup:SubnetGroup; its id is the group's name.
type SubnetGroupState struct {
	SubnetGroupArgs
	resource.AllTags
	Arn   string `pulumi:"arn"`
	VpcID string `pulumi:"vpcId"`
}

var subnetGroup = resource.Description[SubnetGroupArgs, SubnetGroupState]{
	Token: "aws:rds/subnetGroup:SubnetGroup",
	Check: func(a *SubnetGroupArgs) []resource.Fault {
		resource.Default(&a.Description, managed)
		var f faults
		f.match("name", a.Name, groupForm, "must be at most 255 lower case letters, digits, spaces, periods, underscores and hyphens")
		f.add(a.Name == "default", "name", `must not be "default"`)
		return f
	},
	Create: func(ctx context.Context, c *resource.Cloud, a SubnetGroupArgs) (string, error) {
		out, err := c.RDS.CreateDBSubnetGroup(ctx, &rds.CreateDBSubnetGroupInput{
			DBSubnetGroupName: &a.Name, DBSubnetGroupDescription: a.Description, SubnetIds: a.SubnetIDs, Tags: tagList(a.Tags),
		})
		if err != nil {
			return "", err
		}
		return aws.ToString(out.DBSubnetGroup.DBSubnetGroupName), nil
	},
	Read: func(ctx context.Context, c *resource.Cloud, id string, prior SubnetGroupState) (SubnetGroupState, error) {
		group, err := findSubnetGroup(ctx, c, id)
		if err != nil {
			return prior, err
		}
		tags, err := listTags(ctx, c, aws.ToString(group.DBSubnetGroupArn))
		if err != nil {
			return prior, err
		}
		s := prior
		s.Arn, s.Name, s.VpcID = aws.ToString(group.DBSubnetGroupArn), aws.ToString(group.DBSubnetGroupName), aws.ToString(group.VpcId)
		s.Description, s.SubnetIDs = group.DBSubnetGroupDescription, nil
		for _, subnet := range group.Subnets {
			s.SubnetIDs = append(s.SubnetIDs, aws.ToString(subnet.SubnetIdentifier))
		}
		slices.Sort(s.SubnetIDs)
		s.Tags, s.TagsAll = tags, tags
		return s, nil
	},
	Update: func(ctx context.Context, c *resource.Cloud, id string, old SubnetGroupState, a SubnetGroupArgs) error {
		if !resource.Same(old.Description, a.Description) || !sameSet(old.SubnetIDs, a.SubnetIDs) {
			_, err := c.RDS.ModifyDBSubnetGroup(ctx, &rds.ModifyDBSubnetGroupInput{
				DBSubnetGroupName: &id, DBSubnetGroupDescription: a.Description, SubnetIds: a.SubnetIDs,
			})
			if err != nil {
				return err
			}
		}
		return updateTags(ctx, c, old.Arn, old.Tags, a.Tags)
	},
	Delete: func(ctx context.Context, c *resource.Cloud, id string, _ SubnetGroupState) error {
		if _, err := c.RDS.DeleteDBSubnetGroup(ctx, &rds.DeleteDBSubnetGroupInput{DBSubnetGroupName: &id}); err != nil {
			return err
		}
		return resource.PollGone(ctx, "subnet group "+id, groupTimeout, func(ctx context.Context) error {
			_, err := findSubnetGroup(ctx, c, id)
			return err
		})
	},
	Example: func(x resource.Scratch) resource.Example[SubnetGroupArgs] {
		return resource.Example[SubnetGroupArgs]{
			Inputs: SubnetGroupArgs{
				Name: x.Name("subnets"), Description: aws.String("conformance"), SubnetIDs: exampleSubnets(x),
				Tagged: resource.Tagged{Tags: map[string]string{"Name": "subnets"}},
			},
			Changes: []resource.Change[SubnetGroupArgs]{
				{Name: "tags", Apply: func(a *SubnetGroupArgs) { a.Tags = map[string]string{"More": "yes"} }},
			},
		}
	},
}

func findSubnetGroup(ctx context.Context, c *resource.Cloud, name string) (types.DBSubnetGroup, error) {
	out, err := c.RDS.DescribeDBSubnetGroups(ctx, &rds.DescribeDBSubnetGroupsInput{DBSubnetGroupName: &name})
	if err != nil {
		return types.DBSubnetGroup{}, err
	}
	if len(out.DBSubnetGroups) != 1 {
		return types.DBSubnetGroup{}, resource.ErrNotFound
	}
	return out.DBSubnetGroups[0], nil
}

// exampleSubnets makes a VPC with a subnet in each of three zones.
func exampleSubnets(x resource.Scratch) []string {
	vpc := x.Make("aws:ec2/vpc:Vpc", map[string]any{"cidrBlock": "10.98.0.0/16"})
	var ids []string
	for _, subnet := range []struct{ cidr, zone string }{
		{"10.98.0.0/24", "us-east-1a"}, {"10.98.1.0/24", "us-east-1b"}, {"10.98.2.0/24", "us-east-1c"},
	} {
		made := x.Make("aws:ec2/subnet:Subnet", map[string]any{
			"vpcId": vpc.ID, "cidrBlock": subnet.cidr, "availabilityZone": subnet.zone,
		})
		ids = append(ids, made.ID)
	}
	return ids
}
