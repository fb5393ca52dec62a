package iam

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"tapstack/lib/awsprovider/resource"
	"tapstack/lib/cloud"
)

// RoleArgs are the inputs of aws:iam/role:Role.
type RoleArgs struct {
	resource.Tagged
	Name                string  `pulumi:"name" aws:"forcenew"`
	Path                *string `pulumi:"path,optional" aws:"forcenew"`
	Description         *string `pulumi:"description,optional"`
	AssumeRolePolicy    string  `pulumi:"assumeRolePolicy" aws:"policy"`
	MaxSessionDuration  *int    `pulumi:"maxSessionDuration,optional"`
	PermissionsBoundary *string `pulumi:"permissionsBoundary,optional"`
	ForceDetachPolicies *bool   `pulumi:"forceDetachPolicies,optional" aws:"writeonly"`
}

// RoleState is the state of aws:iam/role:Role; its id is the role's name.
type RoleState struct {
	RoleArgs
	resource.AllTags
	Arn        string `pulumi:"arn"`
	UniqueID   string `pulumi:"uniqueId"`
	CreateDate string `pulumi:"createDate"`
}

var role = resource.Description[RoleArgs, RoleState]{
	Token:  "aws:iam/role:Role",
	Check:  checkRole,
	Create: createRole,
	Read:   readRole,
	Update: updateRole,
	Delete: deleteRole,
	Example: func(x resource.Scratch) resource.Example[RoleArgs] {
		return resource.Example[RoleArgs]{
			Inputs: RoleArgs{
				Name: x.Name("role"), Description: aws.String("Drives the conformance test."),
				AssumeRolePolicy: trust("ecs-tasks.amazonaws.com"),
				Tagged:           resource.Tagged{Tags: map[string]string{"Name": "role"}},
			},
			Changes: []resource.Change[RoleArgs]{
				{Name: "description", Apply: func(a *RoleArgs) { a.Description = aws.String("Now + then, 100 %.") }},
				{Name: "no description", Apply: func(a *RoleArgs) { a.Description = nil }},
				{Name: "trust policy", Apply: func(a *RoleArgs) { a.AssumeRolePolicy = trust("monitoring.rds.amazonaws.com") }},
				{Name: "session duration", Apply: func(a *RoleArgs) { a.MaxSessionDuration = aws.Int(7200) }},
				{Name: "boundary", Apply: func(a *RoleArgs) {
					a.PermissionsBoundary = aws.String("arn:aws:iam::aws:policy/PowerUserAccess")
				}},
				{Name: "no boundary", Apply: func(a *RoleArgs) { a.PermissionsBoundary = nil }},
				{Name: "tags", Apply: func(a *RoleArgs) { a.Tags = map[string]string{"Name": "other", "More": "yes"} }},
			},
		}
	},
}

func checkRole(a *RoleArgs) []resource.Fault {
	if a.Path == nil {
		a.Path = aws.String("/")
	}
	if a.MaxSessionDuration == nil {
		a.MaxSessionDuration = aws.Int(3600)
	}
	if a.ForceDetachPolicies == nil {
		a.ForceDetachPolicies = aws.Bool(false)
	}
	var faults []resource.Fault
	if len(a.Name) > 64 {
		faults = append(faults, resource.Fault{Property: "name", Reason: "a role's name has at most 64 characters"})
	}
	if a.AssumeRolePolicy != "" && !json.Valid([]byte(a.AssumeRolePolicy)) {
		faults = append(faults, resource.Fault{Property: "assumeRolePolicy", Reason: "not a JSON document"})
	}
	if d := *a.MaxSessionDuration; d != 0 && (d < 3600 || d > 43200) {
		faults = append(faults, resource.Fault{Property: "maxSessionDuration", Reason: "must be 3600 to 43200 seconds"})
	}
	return faults
}

func createRole(ctx context.Context, c *resource.Cloud, a RoleArgs) (string, error) {
	in := &iam.CreateRoleInput{
		RoleName: &a.Name, Path: a.Path, Description: a.Description, AssumeRolePolicyDocument: &a.AssumeRolePolicy,
		MaxSessionDuration: resource.Int32(a.MaxSessionDuration), PermissionsBoundary: a.PermissionsBoundary, Tags: tagList(a.Tags),
	}
	err := untilPrincipalsAreKnown(ctx, "role "+a.Name+" is created", func(ctx context.Context) error {
		_, err := c.IAM.CreateRole(ctx, in)
		return err
	})
	if err != nil {
		return "", err
	}
	// A fresh role may be missing at first, or carry its unique id where its ARN should be.
	return a.Name, resource.PollThere(ctx, "role "+a.Name+" shows its ARN", propagation, func(ctx context.Context) (bool, error) {
		r, err := getRole(ctx, c, a.Name)
		return err == nil && strings.HasPrefix(aws.ToString(r.Arn), "arn:"), err
	})
}

func readRole(ctx context.Context, c *resource.Cloud, id string, prior RoleState) (RoleState, error) {
	r, err := getRole(ctx, c, id)
	if err != nil {
		return prior, err
	}
	s := prior
	if s.AssumeRolePolicy, err = document(r.AssumeRolePolicyDocument, prior.AssumeRolePolicy); err != nil {
		return prior, fmt.Errorf("decoding the trust policy: %w", err)
	}
	s.Name, s.Path, s.Description, s.PermissionsBoundary = aws.ToString(r.RoleName), r.Path, r.Description, nil
	if aws.ToString(r.Description) == "" {
		s.Description = nil
	}
	if r.MaxSessionDuration != nil {
		s.MaxSessionDuration = aws.Int(int(*r.MaxSessionDuration))
	}
	if r.PermissionsBoundary != nil {
		s.PermissionsBoundary = r.PermissionsBoundary.PermissionsBoundaryArn
	}
	s.Arn, s.UniqueID = aws.ToString(r.Arn), aws.ToString(r.RoleId)
	s.CreateDate = aws.ToTime(r.CreateDate).UTC().Format(time.RFC3339)
	s.Tags = resource.TagMap(r.Tags, func(t types.Tag) (key, value *string) { return t.Key, t.Value })
	s.TagsAll = s.Tags
	return s, nil
}

func getRole(ctx context.Context, c *resource.Cloud, name string) (*types.Role, error) {
	out, err := c.IAM.GetRole(ctx, &iam.GetRoleInput{RoleName: &name})
	if err != nil {
		return nil, err
	}
	return out.Role, nil
}

func updateRole(ctx context.Context, c *resource.Cloud, id string, old RoleState, a RoleArgs) error {
	if !resource.SamePolicy(old.AssumeRolePolicy, a.AssumeRolePolicy) {
		in := &iam.UpdateAssumeRolePolicyInput{RoleName: &id, PolicyDocument: &a.AssumeRolePolicy}
		err := untilPrincipalsAreKnown(ctx, "role "+id+" takes its trust policy", func(ctx context.Context) error {
			_, err := c.IAM.UpdateAssumeRolePolicy(ctx, in)
			return err
		})
		if err != nil {
			return err
		}
	}
	if now := aws.ToString(a.Description); aws.ToString(old.Description) != now {
		in := &iam.UpdateRoleDescriptionInput{RoleName: &id, Description: &now}
		if _, err := c.IAM.UpdateRoleDescription(ctx, in); err != nil {
			return err
		}
	}
	if aws.ToInt(old.MaxSessionDuration) != aws.ToInt(a.MaxSessionDuration) {
		in := &iam.UpdateRoleInput{RoleName: &id, MaxSessionDuration: resource.Int32(a.MaxSessionDuration), Description: a.Description}
		if _, err := c.IAM.UpdateRole(ctx, in); err != nil {
			return err
		}
	}
	if aws.ToString(old.PermissionsBoundary) != aws.ToString(a.PermissionsBoundary) {
		if err := setBoundary(ctx, c, id, a.PermissionsBoundary); err != nil {
			return err
		}
	}
	return updateTags(ctx, c, id, old.Tags, a.Tags)
}

func setBoundary(ctx context.Context, c *resource.Cloud, name string, boundary *string) error {
	if aws.ToString(boundary) == "" {
		_, err := c.IAM.DeleteRolePermissionsBoundary(ctx, &iam.DeleteRolePermissionsBoundaryInput{RoleName: &name})
		return err
	}
	_, err := c.IAM.PutRolePermissionsBoundary(ctx, &iam.PutRolePermissionsBoundaryInput{
		RoleName: &name, PermissionsBoundary: boundary,
	})
	return err
}

func updateTags(ctx context.Context, c *resource.Cloud, name string, old, now map[string]string) error {
	return resource.UpdateTags(old, now, func(keys []string) (any, error) {
		return c.IAM.UntagRole(ctx, &iam.UntagRoleInput{RoleName: &name, TagKeys: keys})
	}, func(tags map[string]string) (any, error) {
		return c.IAM.TagRole(ctx, &iam.TagRoleInput{RoleName: &name, Tags: tagList(tags)})
	})
}

// deleteRole removes the policies that others have put into the role or attached to it when IAM refuses because of them, as the
// official provider does with what its last refresh saw. IAM may count them for a while yet, so that its refusal is retried.
func deleteRole(ctx context.Context, c *resource.Cloud, id string, _ RoleState) error {
	if err := leaveInstanceProfiles(ctx, c, id); err != nil {
		return err
	}
	var refusal error
	err := resource.Poll(ctx, "role "+id+" can be deleted", propagation, func(ctx context.Context) (bool, error) {
		_, err := c.IAM.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: &id})
		if !cloud.HasCode(err, "DeleteConflict") {
			return err == nil, err
		}
		refusal = err
		if err := detachPolicies(ctx, c, id); err != nil {
			return false, err
		}
		return false, deleteInlinePolicies(ctx, c, id)
	})
	if err != nil {
		if refusal != nil {
			return fmt.Errorf("%w: %w", err, refusal)
		}
		return err
	}
	return resource.PollGone(ctx, "role "+id, propagation, func(ctx context.Context) error {
		_, err := getRole(ctx, c, id)
		return err
	})
}

func leaveInstanceProfiles(ctx context.Context, c *resource.Cloud, name string) error {
	pages := iam.NewListInstanceProfilesForRolePaginator(c.IAM, &iam.ListInstanceProfilesForRoleInput{RoleName: &name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, p := range page.InstanceProfiles {
			_, err := c.IAM.RemoveRoleFromInstanceProfile(ctx, &iam.RemoveRoleFromInstanceProfileInput{
				InstanceProfileName: p.InstanceProfileName, RoleName: &name,
			})
			if err != nil && !resource.NotFound(err) {
				return err
			}
		}
	}
	return nil
}

func detachPolicies(ctx context.Context, c *resource.Cloud, name string) error {
	pages := iam.NewListAttachedRolePoliciesPaginator(c.IAM, &iam.ListAttachedRolePoliciesInput{RoleName: &name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, p := range page.AttachedPolicies {
			_, err := c.IAM.DetachRolePolicy(ctx, &iam.DetachRolePolicyInput{PolicyArn: p.PolicyArn, RoleName: &name})
			if err != nil && !resource.NotFound(err) {
				return err
			}
		}
	}
	return nil
}

func deleteInlinePolicies(ctx context.Context, c *resource.Cloud, name string) error {
	pages := iam.NewListRolePoliciesPaginator(c.IAM, &iam.ListRolePoliciesInput{RoleName: &name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, p := range page.PolicyNames {
			if err := removePolicy(ctx, c, name, p); err != nil {
				return err
			}
		}
	}
	return nil
}

func tagList(tags map[string]string) []types.Tag {
	return resource.TagList(tags, func(key, value string) types.Tag { return types.Tag{Key: &key, Value: &value} })
}

// trust is an example's trust policy: one service may assume the role.
func trust(service string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sts:AssumeRole"],"Principal":{"Service":%q}}]}`, service)
}
