package cloud

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// Role is an IAM role with the documents that say what it may do, as IAM gives them.
type Role struct {
	iamtypes.Role
	// Policies are the inline policies by name, and the attached ones by ARN.
	Policies map[string]string
	// Boundary is the permissions boundary; empty where the role has none.
	Boundary string
}

// Role reads a role, by name, with its inline and attached policies.
func (r *Reader) Role(ctx context.Context, name string) (Role, error) {
	return Once(ctx, r, "iam:role "+name, func(ctx context.Context) (Role, error) {
		out, err := r.IAM.GetRole(ctx, &iam.GetRoleInput{RoleName: &name})
		if err != nil {
			return Role{}, err
		}
		if out.Role == nil {
			return Role{}, errors.New("the answer is empty")
		}
		role := Role{Role: *out.Role, Policies: map[string]string{}}
		inline, err := Pages(ctx, iam.NewListRolePoliciesPaginator(r.IAM, &iam.ListRolePoliciesInput{RoleName: &name}),
			func(o *iam.ListRolePoliciesOutput) []string { return o.PolicyNames })
		if err != nil {
			return Role{}, err
		}
		for _, id := range inline {
			out, err := r.IAM.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: &name, PolicyName: &id})
			if err != nil {
				return Role{}, err
			}
			role.Policies[id] = aws.ToString(out.PolicyDocument)
		}
		attached, err := Pages(ctx, iam.NewListAttachedRolePoliciesPaginator(r.IAM, &iam.ListAttachedRolePoliciesInput{RoleName: &name}),
			func(o *iam.ListAttachedRolePoliciesOutput) []iamtypes.AttachedPolicy { return o.AttachedPolicies })
		if err != nil {
			return Role{}, err
		}
		for _, a := range attached {
			id := aws.ToString(a.PolicyArn)
			if role.Policies[id], err = r.managedPolicy(ctx, id); err != nil {
				return Role{}, err
			}
		}
		if b := role.PermissionsBoundary; b != nil {
			role.Boundary, err = r.managedPolicy(ctx, aws.ToString(b.PermissionsBoundaryArn))
		}
		return role, err
	})
}

// managedPolicy is the document of a managed policy's default version.
func (r *Reader) managedPolicy(ctx context.Context, id string) (string, error) {
	return Once(ctx, r, "iam:policy "+id, func(ctx context.Context) (string, error) {
		out, err := r.IAM.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: &id})
		if err != nil {
			return "", err
		}
		version, err := r.IAM.GetPolicyVersion(ctx, &iam.GetPolicyVersionInput{PolicyArn: &id, VersionId: out.Policy.DefaultVersionId})
		if err != nil {
			return "", err
		}
		return aws.ToString(version.PolicyVersion.Document), nil
	})
}
