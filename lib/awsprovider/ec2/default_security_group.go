package ec2

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"tapstack/lib/awsprovider/resource"
)

// DefaultSecurityGroupArgs are the inputs of aws:ec2/defaultSecurityGroup:DefaultSecurityGroup. Ingress and Egress exist so
// that a rule added by hand shows as a difference; a program may only leave them out.
type DefaultSecurityGroupArgs struct {
	resource.Tagged
	VpcID   string             `pulumi:"vpcId" aws:"forcenew"`
	Ingress []DefaultGroupRule `pulumi:"ingress,optional" aws:"set"`
	Egress  []DefaultGroupRule `pulumi:"egress,optional" aws:"set"`
}

// DefaultGroupRule is one rule of a default security group, as EC2 groups them: by protocol, ports and description.
type DefaultGroupRule struct {
	Protocol       string   `pulumi:"protocol"`
	FromPort       int      `pulumi:"fromPort"`
	ToPort         int      `pulumi:"toPort"`
	CidrBlocks     []string `pulumi:"cidrBlocks,optional"`
	Ipv6CidrBlocks []string `pulumi:"ipv6CidrBlocks,optional"`
	PrefixListIDs  []string `pulumi:"prefixListIds,optional"`
	SecurityGroups []string `pulumi:"securityGroups,optional"`
	Self           *bool    `pulumi:"self,optional"`
	Description    *string  `pulumi:"description,optional"`
}

// DefaultSecurityGroupState is its state.
type DefaultSecurityGroupState struct {
	DefaultSecurityGroupArgs
	resource.AllTags
	Arn         string `pulumi:"arn"`
	OwnerID     string `pulumi:"ownerId"`
	Name        string `pulumi:"name"`
	Description string `pulumi:"description"`
}

var defaultSecurityGroup = resource.Description[DefaultSecurityGroupArgs, DefaultSecurityGroupState]{
	Token: "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
	Check: func(a *DefaultSecurityGroupArgs) []resource.Fault {
		var faults []resource.Fault
		for _, p := range []struct {
			name  string
			rules []DefaultGroupRule
		}{{"ingress", a.Ingress}, {"egress", a.Egress}} {
			if len(p.rules) > 0 {
				faults = append(faults, resource.Fault{Property: p.name, Reason: "the local provider strips a default security " +
					"group of its rules and does not implement giving it any; use --provider official"})
			}
		}
		return faults
	},
	Create: func(ctx context.Context, c *resource.Cloud, a DefaultSecurityGroupArgs) (string, error) {
		out, err := c.EC2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{
			Filters: filters("group-name", "default", "vpc-id", a.VpcID),
		})
		if err != nil {
			return "", err
		}
		group, err := first(out.SecurityGroups)
		if err != nil {
			return "", fmt.Errorf("looking for the default security group of VPC %s: %w", a.VpcID, err)
		}
		id, err := created(group.GroupId)
		if err != nil {
			return "", err
		}
		if err := stripGroup(ctx, c, id); err != nil {
			return id, err
		}
		return id, updateTags(ctx, c, id, tagMap(group.Tags), a.Tags)
	},
	Read: readDefaultGroup,
	Update: func(ctx context.Context, c *resource.Cloud, id string, old DefaultSecurityGroupState, a DefaultSecurityGroupArgs) error {
		if err := stripGroup(ctx, c, id); err != nil {
			return err
		}
		if old.Arn == "" { // its adoption never came to an end
			old.Tags = nil
		}
		return updateTags(ctx, c, id, old.Tags, a.Tags)
	},
	// A default security group goes with its VPC and cannot be deleted: it is only forgotten.
	Delete: func(context.Context, *resource.Cloud, string, DefaultSecurityGroupState) error { return nil },
	Example: func(x resource.Scratch) resource.Example[DefaultSecurityGroupArgs] {
		return resource.Example[DefaultSecurityGroupArgs]{
			Silent: "a default security group lives as long as its VPC, and deleting it only forgets it",
			Inputs: DefaultSecurityGroupArgs{VpcID: makeVpc(x), Tagged: named("default-sg")},
			Changes: []resource.Change[DefaultSecurityGroupArgs]{
				changeTags(func(a *DefaultSecurityGroupArgs) *resource.Tagged { return &a.Tagged }),
			},
		}
	},
}

// stripGroup revokes every rule of a group.
func stripGroup(ctx context.Context, c *resource.Cloud, id string) error {
	rules := map[bool][]string{}
	pages := ec2.NewDescribeSecurityGroupRulesPaginator(c.EC2, &ec2.DescribeSecurityGroupRulesInput{Filters: filters("group-id", id)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, r := range page.SecurityGroupRules {
			rules[aws.ToBool(r.IsEgress)] = append(rules[aws.ToBool(r.IsEgress)], aws.ToString(r.SecurityGroupRuleId))
		}
	}
	for _, d := range []direction{ingress, egress} {
		if ids := rules[d.egress]; len(ids) > 0 {
			if err := d.revoke(ctx, c.EC2, id, ids); err != nil {
				return err
			}
		}
	}
	return resource.PollThere(ctx, "security group "+id+" has no rules", settle, func(ctx context.Context) (bool, error) {
		g, err := findSecurityGroup(ctx, c, id)
		return len(g.IpPermissions)+len(g.IpPermissionsEgress) == 0, err
	})
}

func readDefaultGroup(ctx context.Context, c *resource.Cloud, id string, prior DefaultSecurityGroupState) (DefaultSecurityGroupState, error) {
	g, err := findSecurityGroup(ctx, c, id)
	if err != nil {
		return prior, err
	}
	tags := tagMap(g.Tags)
	return DefaultSecurityGroupState{
		DefaultSecurityGroupArgs: DefaultSecurityGroupArgs{
			Tagged: resource.Tagged{Tags: tags}, VpcID: aws.ToString(g.VpcId),
			Ingress: groupRules(id, g.IpPermissions), Egress: groupRules(id, g.IpPermissionsEgress),
		},
		AllTags: resource.AllTags{TagsAll: tags}, Arn: arn(c, g.OwnerId, "security-group", id), OwnerID: aws.ToString(g.OwnerId),
		Name: aws.ToString(g.GroupName), Description: aws.ToString(g.Description),
	}, nil
}

// groupRules lists the permissions of the group id as rules, one for each description.
func groupRules(id string, permissions []types.IpPermission) []DefaultGroupRule {
	var rules []DefaultGroupRule
	for _, p := range permissions {
		from := len(rules)
		of := func(description *string) *DefaultGroupRule {
			for i := from; i < len(rules); i++ {
				if aws.ToString(rules[i].Description) == aws.ToString(description) {
					return &rules[i]
				}
			}
			rules = append(rules, DefaultGroupRule{
				Protocol: aws.ToString(p.IpProtocol), FromPort: int(aws.ToInt32(p.FromPort)), ToPort: int(aws.ToInt32(p.ToPort)),
				Description: description,
			})
			return &rules[len(rules)-1]
		}
		for _, r := range p.IpRanges {
			it := of(r.Description)
			it.CidrBlocks = append(it.CidrBlocks, aws.ToString(r.CidrIp))
		}
		for _, r := range p.Ipv6Ranges {
			it := of(r.Description)
			it.Ipv6CidrBlocks = append(it.Ipv6CidrBlocks, aws.ToString(r.CidrIpv6))
		}
		for _, l := range p.PrefixListIds {
			it := of(l.Description)
			it.PrefixListIDs = append(it.PrefixListIDs, aws.ToString(l.PrefixListId))
		}
		for _, u := range p.UserIdGroupPairs {
			if it := of(u.Description); aws.ToString(u.GroupId) == id {
				it.Self = aws.Bool(true)
			} else {
				it.SecurityGroups = append(it.SecurityGroups, aws.ToString(u.GroupId))
			}
		}
	}
	return rules
}
