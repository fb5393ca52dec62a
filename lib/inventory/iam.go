package inventory

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"

	"tapstack/lib/cloud"
)

func iamKinds() []*Kind { return []*Kind{Role, Policy} }

// Role is listed from all regions.
var Role = &Kind{
	Name: "IAM role", Service: "iam", Types: []string{"aws:iam/role:Role"}, NameInput: "name", Free: noCharge,
	Parts: map[string]string{"aws:iam/rolePolicy:RolePolicy": noCharge},
	Quota: &Quota{What: "IAM roles"}, // IAM itself tells the limit
	IAM:   []IAMResource{{Sid: "Role", Types: []string{"role"}, ARN: "arn:aws:iam::{account}:role/{name}"}},
	list: each((*cloud.Reader).Roles, func(_ context.Context, _ *search, r iamtypes.Role) Resource {
		return Resource{Name: aws.ToString(r.RoleName), ARN: aws.ToString(r.Arn)}
	}),
	tags: func(ctx context.Context, s *search, r Resource) (map[string]string, error) {
		tags, err := cloud.Pages(ctx, iam.NewListRoleTagsPaginator(s.IAM, &iam.ListRoleTagsInput{RoleName: &r.Name}),
			func(o *iam.ListRoleTagsOutput) []iamtypes.Tag { return o.Tags })
		return cloud.TagMap(tags, func(t iamtypes.Tag) (*string, *string) { return t.Key, t.Value }), err
	},
}

// RolesOf are the names of the roles that trust a service, such as ecs-tasks.amazonaws.com.
func RolesOf(service string) []string {
	var names []string
	all, _ := program()
	for _, r := range all {
		if slices.Contains(Role.Types, r.Type) && strings.Contains(r.Text("assumeRolePolicy"), `"`+service+`"`) {
			names = append(names, placeholders.Replace(Role.nameOf(r)))
		}
	}
	return names
}

// Policy is a policy of its own, of which the stack has none.
var Policy = &Kind{
	Name: "IAM policy", Service: "iam", Untagged: true, Free: notDeclared, NotInIAM: notDeclared,
	Removal: Removal{Never: true},
	list: each((*cloud.Reader).Policies, func(_ context.Context, _ *search, p iamtypes.Policy) Resource {
		return Resource{Name: aws.ToString(p.PolicyName), ARN: aws.ToString(p.Arn)}
	}),
}
