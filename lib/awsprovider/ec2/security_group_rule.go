package ec2

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"tapstack/lib/awsprovider/resource"
)

// SecurityGroupRuleArgs are the inputs of aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule and of its egress twin.
type SecurityGroupRuleArgs struct {
	resource.Tagged
	SecurityGroupID           string  `pulumi:"securityGroupId" aws:"forcenew"`
	IPProtocol                string  `pulumi:"ipProtocol"`
	FromPort                  *int    `pulumi:"fromPort,optional"`
	ToPort                    *int    `pulumi:"toPort,optional"`
	CidrIPv4                  *string `pulumi:"cidrIpv4,optional"`
	ReferencedSecurityGroupID *string `pulumi:"referencedSecurityGroupId,optional"`
	Description               *string `pulumi:"description,optional"`
}

// SecurityGroupRuleState is their state.
type SecurityGroupRuleState struct {
	SecurityGroupRuleArgs
	resource.AllTags
	Arn                 string `pulumi:"arn"`
	SecurityGroupRuleID string `pulumi:"securityGroupRuleId"`
}

// direction is what differs between the two types of rule.
type direction struct {
	token     string
	egress    bool
	example   func(resource.Scratch) resource.Example[SecurityGroupRuleArgs]
	authorize func(context.Context, *ec2.Client, string, types.IpPermission, []types.TagSpecification) ([]types.SecurityGroupRule, error)
	revoke    func(ctx context.Context, c *ec2.Client, groupID string, ruleIDs []string) error
}

var ingress = direction{
	token:   "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
	example: networkRule,
	authorize: func(ctx context.Context, c *ec2.Client, groupID string, p types.IpPermission, tags []types.TagSpecification) ([]types.SecurityGroupRule, error) {
		out, err := c.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{
			GroupId: &groupID, IpPermissions: []types.IpPermission{p}, TagSpecifications: tags,
		})
		if err != nil {
			return nil, err
		}
		return out.SecurityGroupRules, nil
	},
	revoke: func(ctx context.Context, c *ec2.Client, groupID string, ruleIDs []string) error {
		return ask(c.RevokeSecurityGroupIngress(ctx, &ec2.RevokeSecurityGroupIngressInput{
			GroupId: &groupID, SecurityGroupRuleIds: ruleIDs,
		}))
	},
}

var egress = direction{
	token:   "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
	egress:  true,
	example: groupRule,
	authorize: func(ctx context.Context, c *ec2.Client, groupID string, p types.IpPermission, tags []types.TagSpecification) ([]types.SecurityGroupRule, error) {
		out, err := c.AuthorizeSecurityGroupEgress(ctx, &ec2.AuthorizeSecurityGroupEgressInput{
			GroupId: &groupID, IpPermissions: []types.IpPermission{p}, TagSpecifications: tags,
		})
		if err != nil {
			return nil, err
		}
		return out.SecurityGroupRules, nil
	},
	revoke: func(ctx context.Context, c *ec2.Client, groupID string, ruleIDs []string) error {
		return ask(c.RevokeSecurityGroupEgress(ctx, &ec2.RevokeSecurityGroupEgressInput{
			GroupId: &groupID, SecurityGroupRuleIds: ruleIDs,
		}))
	},
}

// rule describes the type of a direction.
func rule(d direction) resource.Description[SecurityGroupRuleArgs, SecurityGroupRuleState] {
	return resource.Description[SecurityGroupRuleArgs, SecurityGroupRuleState]{
		Token: d.token,
		Check: checkRule,
		Create: func(ctx context.Context, c *resource.Cloud, a SecurityGroupRuleArgs) (string, error) {
			made, err := d.authorize(ctx, c.EC2, a.SecurityGroupID, permission(a), tagged(types.ResourceTypeSecurityGroupRule, a.Tags))
			if err != nil {
				return "", err
			}
			r, _ := first(made)
			id, err := created(r.SecurityGroupRuleId)
			if err != nil {
				return "", err
			}
			return id, resource.PollThere(ctx, "security group rule "+id+" exists", settle, func(ctx context.Context) (bool, error) {
				_, err := d.find(ctx, c, id)
				return true, err
			})
		},
		Read:   d.read,
		Update: d.update,
		// A rule's source cannot become one of another kind: EC2 refuses that in ModifySecurityGroupRules.
		Replaces: func(old, now SecurityGroupRuleArgs) []string {
			if (aws.ToString(old.CidrIPv4) == "") != (aws.ToString(now.CidrIPv4) == "") {
				return []string{"cidrIpv4", "referencedSecurityGroupId"}
			}
			return nil
		},
		Delete: func(ctx context.Context, c *resource.Cloud, id string, s SecurityGroupRuleState) error {
			if err := d.revoke(ctx, c.EC2, s.SecurityGroupID, []string{id}); err != nil {
				return err
			}
			return resource.PollGone(ctx, "security group rule "+id, settle, func(ctx context.Context) error {
				return ask(d.find(ctx, c, id))
			})
		},
		Example: d.example,
	}
}

// networkRule is an example of a rule that names a network.
func networkRule(x resource.Scratch) resource.Example[SecurityGroupRuleArgs] {
	return resource.Example[SecurityGroupRuleArgs]{
		Inputs: SecurityGroupRuleArgs{
			SecurityGroupID: makeGroup(x, makeVpc(x)), IPProtocol: "tcp", FromPort: aws.Int(443), ToPort: aws.Int(443),
			CidrIPv4: aws.String("0.0.0.0/0"), Description: aws.String("HTTPS"), Tagged: named("rule"),
		},
		Changes: append(ruleChanges(), resource.Change[SecurityGroupRuleArgs]{
			Name: "network", Apply: func(a *SecurityGroupRuleArgs) { a.CidrIPv4 = aws.String("10.0.0.0/8") },
		}),
	}
}

// groupRule is an example of a rule that references a group.
func groupRule(x resource.Scratch) resource.Example[SecurityGroupRuleArgs] {
	network := makeVpc(x)
	return resource.Example[SecurityGroupRuleArgs]{
		Inputs: SecurityGroupRuleArgs{
			SecurityGroupID: makeGroup(x, network), IPProtocol: "tcp", FromPort: aws.Int(5432), ToPort: aws.Int(5432),
			ReferencedSecurityGroupID: aws.String(makeGroup(x, network)), Description: aws.String("PostgreSQL"), Tagged: named("rule"),
		},
		Changes: ruleChanges(),
	}
}

func ruleChanges() []resource.Change[SecurityGroupRuleArgs] {
	return []resource.Change[SecurityGroupRuleArgs]{
		{Name: "ports", Apply: func(a *SecurityGroupRuleArgs) { a.FromPort, a.ToPort = aws.Int(8080), aws.Int(8443) }},
		{Name: "description", Apply: func(a *SecurityGroupRuleArgs) { a.Description = aws.String("Other") }},
		changeTags(func(a *SecurityGroupRuleArgs) *resource.Tagged { return &a.Tagged }),
	}
}

func makeGroup(x resource.Scratch, vpcID string) string {
	return x.Make("aws:ec2/securityGroup:SecurityGroup", map[string]any{"name": x.Name("sg"), "vpcId": vpcID}).ID
}

// protocols are the names under which the API returns protocols that may be given in other ways.
var protocols = map[string]string{"all": "-1", "1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6"}

func checkRule(a *SecurityGroupRuleArgs) []resource.Fault {
	a.IPProtocol = strings.ToLower(a.IPProtocol)
	if name, ok := protocols[a.IPProtocol]; ok {
		a.IPProtocol = name
	}
	faults := cidrFaults("cidrIpv4", aws.ToString(a.CidrIPv4))
	for _, p := range []struct {
		name string
		port *int
	}{{"fromPort", a.FromPort}, {"toPort", a.ToPort}} {
		if p.port != nil && (*p.port < -1 || *p.port > 65535) {
			faults = append(faults, resource.Fault{Property: p.name, Reason: "must be between -1 and 65535"})
		}
	}
	if source(*a) == "both" {
		faults = append(faults, resource.Fault{Property: "referencedSecurityGroupId", Reason: "conflicts with cidrIpv4: a rule has one source"})
	}
	return faults
}

// source names the property that says whom a rule lets through.
func source(a SecurityGroupRuleArgs) string {
	cidr, group := aws.ToString(a.CidrIPv4) != "", aws.ToString(a.ReferencedSecurityGroupID) != ""
	switch {
	case cidr && group:
		return "both"
	case cidr:
		return "cidrIpv4"
	case group:
		return "referencedSecurityGroupId"
	}
	return ""
}

// permission is a rule as the authorize calls take it.
func permission(a SecurityGroupRuleArgs) types.IpPermission {
	p := types.IpPermission{IpProtocol: &a.IPProtocol, FromPort: resource.Int32(a.FromPort), ToPort: resource.Int32(a.ToPort)}
	if cidr := aws.ToString(a.CidrIPv4); cidr != "" {
		p.IpRanges = []types.IpRange{{CidrIp: &cidr, Description: a.Description}}
	}
	if reference := aws.ToString(a.ReferencedSecurityGroupID); reference != "" {
		pair := types.UserIdGroupPair{GroupId: &reference, Description: a.Description}
		if owner, group, foreign := strings.Cut(reference, "/"); foreign {
			pair.UserId, pair.GroupId = &owner, &group
		}
		p.UserIdGroupPairs = []types.UserIdGroupPair{pair}
	}
	return p
}

func (d direction) read(ctx context.Context, c *resource.Cloud, id string, prior SecurityGroupRuleState) (SecurityGroupRuleState, error) {
	r, err := d.find(ctx, c, id)
	if err != nil {
		return prior, err
	}
	if r, err = d.complete(ctx, c, r, prior); err != nil {
		return prior, err
	}
	tags := tagMap(r.Tags)
	return SecurityGroupRuleState{
		SecurityGroupRuleArgs: SecurityGroupRuleArgs{
			Tagged: resource.Tagged{Tags: tags}, SecurityGroupID: aws.ToString(r.GroupId), IPProtocol: aws.ToString(r.IpProtocol),
			FromPort: port(r.FromPort, prior.FromPort), ToPort: port(r.ToPort, prior.ToPort), CidrIPv4: r.CidrIpv4,
			ReferencedSecurityGroupID: reference(r), Description: r.Description,
		},
		AllTags: resource.AllTags{TagsAll: tags}, SecurityGroupRuleID: id,
		Arn: arn(c, r.GroupOwnerId, "security-group-rule", id),
	}, nil
}

func (d direction) update(ctx context.Context, c *resource.Cloud, id string, old SecurityGroupRuleState, a SecurityGroupRuleArgs) error {
	if !sameRule(old.SecurityGroupRuleArgs, a) {
		request := &types.SecurityGroupRuleRequest{
			IpProtocol: &a.IPProtocol, FromPort: resource.Int32(a.FromPort), ToPort: resource.Int32(a.ToPort),
			CidrIpv4: resource.NotEmpty(a.CidrIPv4), ReferencedGroupId: resource.NotEmpty(a.ReferencedSecurityGroupID), Description: a.Description,
		}
		if _, group, foreign := strings.Cut(aws.ToString(a.ReferencedSecurityGroupID), "/"); foreign {
			request.ReferencedGroupId = &group
		}
		_, err := c.EC2.ModifySecurityGroupRules(ctx, &ec2.ModifySecurityGroupRulesInput{
			GroupId:            &a.SecurityGroupID,
			SecurityGroupRules: []types.SecurityGroupRuleUpdate{{SecurityGroupRuleId: &id, SecurityGroupRule: request}},
		})
		if err != nil {
			return err
		}
	}
	return updateTags(ctx, c, id, old.Tags, a.Tags)
}

func sameRule(a, b SecurityGroupRuleArgs) bool {
	return a.IPProtocol == b.IPProtocol && resource.Same(a.FromPort, b.FromPort) && resource.Same(a.ToPort, b.ToPort) && resource.Same(a.CidrIPv4, b.CidrIPv4) &&
		resource.Same(a.ReferencedSecurityGroupID, b.ReferencedSecurityGroupID) && resource.Same(a.Description, b.Description)
}

// find finds a rule of this direction.
func (d direction) find(ctx context.Context, c *resource.Cloud, id string) (types.SecurityGroupRule, error) {
	out, err := c.EC2.DescribeSecurityGroupRules(ctx, &ec2.DescribeSecurityGroupRulesInput{SecurityGroupRuleIds: []string{id}})
	if err != nil {
		return types.SecurityGroupRule{}, err
	}
	r, err := first(out.SecurityGroupRules)
	if err == nil && aws.ToBool(r.IsEgress) != d.egress {
		return types.SecurityGroupRule{}, resource.ErrNotFound
	}
	return r, err
}

// complete adds to a rule what some endpoints tell of its group only: its owner, and the description of a rule that
// references a group.
func (d direction) complete(
	ctx context.Context, c *resource.Cloud, r types.SecurityGroupRule, prior SecurityGroupRuleState,
) (types.SecurityGroupRule, error) {
	undescribed := r.Description == nil && prior.Description != nil && r.ReferencedGroupInfo != nil
	if r.GroupOwnerId != nil && !undescribed {
		return r, nil
	}
	g, err := findSecurityGroup(ctx, c, aws.ToString(r.GroupId))
	if err != nil {
		return r, err
	}
	r.GroupOwnerId = g.OwnerId
	if undescribed {
		r.Description = pairDescription(d.permissions(g), r)
	}
	return r, nil
}

func (d direction) permissions(g types.SecurityGroup) []types.IpPermission {
	if d.egress {
		return g.IpPermissionsEgress
	}
	return g.IpPermissions
}

// pairDescription is the description of a rule that references a group, as it stands among its group's permissions.
func pairDescription(permissions []types.IpPermission, r types.SecurityGroupRule) *string {
	for _, p := range permissions {
		if !resource.Same(p.IpProtocol, r.IpProtocol) || !samePort(p.FromPort, r.FromPort) || !samePort(p.ToPort, r.ToPort) {
			continue
		}
		for _, u := range p.UserIdGroupPairs {
			if resource.Same(u.GroupId, r.ReferencedGroupInfo.GroupId) {
				return u.Description
			}
		}
	}
	return nil
}

// reference is the referenced group, with its owner in front where that is another account.
func reference(r types.SecurityGroupRule) *string {
	if r.ReferencedGroupInfo == nil {
		return nil
	}
	owner := aws.ToString(r.ReferencedGroupInfo.UserId)
	if owner == "" || owner == aws.ToString(r.GroupOwnerId) {
		return r.ReferencedGroupInfo.GroupId
	}
	return aws.String(owner + "/" + aws.ToString(r.ReferencedGroupInfo.GroupId))
}

// port reads a port; -1 says "all" where the program gave none.
func port(told *int32, prior *int) *int {
	if told == nil || *told == -1 && prior == nil {
		return nil
	}
	return aws.Int(int(*told))
}

// samePort takes a port that is not told for "all", as the two ways to read a rule differ in that.
func samePort(a, b *int32) bool {
	return a == nil && aws.ToInt32(b) == -1 || b == nil && aws.ToInt32(a) == -1 || resource.Same(a, b)
}
