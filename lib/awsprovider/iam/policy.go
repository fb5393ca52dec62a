package iam

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"tapstack/lib/awsprovider/resource"
)

// RolePolicyArgs are the inputs of aws:iam/rolePolicy:RolePolicy.
type RolePolicyArgs struct {
	Name   string `pulumi:"name" aws:"forcenew"`
	Role   string `pulumi:"role" aws:"forcenew"`
	Policy string `pulumi:"policy" aws:"policy"`
}

// RolePolicyState is its state; the id is "role:name".
type RolePolicyState struct{ RolePolicyArgs }

var rolePolicy = resource.Description[RolePolicyArgs, RolePolicyState]{
	Token: "aws:iam/rolePolicy:RolePolicy",
	Check: checkRolePolicy,
	Create: func(ctx context.Context, c *resource.Cloud, a RolePolicyArgs) (string, error) {
		if err := putPolicy(ctx, c, a.Role, a.Name, a.Policy); err != nil {
			return "", err
		}
		id := a.Role + ":" + a.Name
		return id, resource.PollThere(ctx, "role policy "+id+" is seen", propagation, func(ctx context.Context) (bool, error) {
			_, err := getPolicy(ctx, c, a.Role, a.Name)
			return err == nil, err
		})
	},
	Read: func(ctx context.Context, c *resource.Cloud, id string, prior RolePolicyState) (RolePolicyState, error) {
		role, name, err := splitID(id)
		if err != nil {
			return prior, err
		}
		encoded, err := getPolicy(ctx, c, role, name)
		if err != nil {
			return prior, err
		}
		text, err := document(encoded, prior.Policy)
		if err != nil {
			return prior, fmt.Errorf("decoding the policy: %w", err)
		}
		return RolePolicyState{RolePolicyArgs{Name: name, Role: role, Policy: text}}, nil
	},
	Update: func(ctx context.Context, c *resource.Cloud, _ string, _ RolePolicyState, a RolePolicyArgs) error {
		return putPolicy(ctx, c, a.Role, a.Name, a.Policy)
	},
	Delete: func(ctx context.Context, c *resource.Cloud, id string, _ RolePolicyState) error {
		role, name, err := splitID(id)
		if err != nil {
			return err
		}
		return removePolicy(ctx, c, role, name)
	},
	Example: func(x resource.Scratch) resource.Example[RolePolicyArgs] {
		owner := x.Make("aws:iam/role:Role", map[string]any{
			"name": x.Name("role"), "assumeRolePolicy": trust("ecs-tasks.amazonaws.com"),
		})
		return resource.Example[RolePolicyArgs]{
			Inputs: RolePolicyArgs{Name: x.Name("policy"), Role: owner.ID, Policy: allow("sqs:SendMessage")},
			Changes: []resource.Change[RolePolicyArgs]{
				{Name: "policy", Apply: func(a *RolePolicyArgs) { a.Policy = allow("sqs:ReceiveMessage", "sqs:DeleteMessage") }},
			},
		}
	},
}

func checkRolePolicy(a *RolePolicyArgs) []resource.Fault {
	var faults []resource.Fault
	if len(a.Name) > 128 {
		faults = append(faults, resource.Fault{Property: "name", Reason: "a role policy's name has at most 128 characters"})
	}
	switch {
	case a.Policy == "":
	case !json.Valid([]byte(a.Policy)):
		faults = append(faults, resource.Fault{Property: "policy", Reason: "not a JSON document"})
	case len(a.Policy) > 10240:
		faults = append(faults, resource.Fault{Property: "policy", Reason: "a role's inline policies have at most 10,240 characters"})
	}
	return faults
}

func splitID(id string) (role, name string, err error) {
	role, name, ok := strings.Cut(id, ":")
	if !ok {
		return "", "", fmt.Errorf("the id %q is not of the form role:policy", id)
	}
	return role, name, nil
}

func putPolicy(ctx context.Context, c *resource.Cloud, role, name, policy string) error {
	_, err := c.IAM.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &role, PolicyName: &name, PolicyDocument: &policy})
	return err
}

// getPolicy returns the policy as the API does, percent-encoded.
func getPolicy(ctx context.Context, c *resource.Cloud, role, name string) (*string, error) {
	out, err := c.IAM.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: &role, PolicyName: &name})
	if err != nil {
		return nil, err
	}
	if aws.ToString(out.PolicyDocument) == "" {
		return nil, resource.ErrNotFound
	}
	return out.PolicyDocument, nil
}

// removePolicy deletes an inline policy of a role; one that is gone, or whose role is, is done.
func removePolicy(ctx context.Context, c *resource.Cloud, role, name string) error {
	_, err := c.IAM.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: &role, PolicyName: &name})
	if resource.NotFound(err) {
		return nil
	}
	return err
}

// allow is an example's policy: it allows actions on one queue.
func allow(actions ...string) string {
	return resource.JSON(map[string]any{
		"Version": "2012-10-17",
		"Statement": []map[string]any{{
			"Effect": "Allow", "Action": actions, "Resource": "arn:aws:sqs:us-east-1:123456789012:payment+jobs",
		}},
	})
}
