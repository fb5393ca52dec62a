// Package ssm implements aws:ssm/parameter:Parameter. Reference: the Systems Manager API and the aws_ssm_parameter
// resource of the Terraform AWS provider 5.x.
package ssm

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"tapstack/lib/awsprovider/resource"
)

// settle is how long a parameter may take to be seen: one of data type aws:ec2:image is checked after the call returns.
const settle = 2 * time.Minute

// Resources lists the types of this package.
func Resources() []resource.Resource { return []resource.Resource{resource.Define(parameter)} }

// ParameterArgs are the inputs of aws:ssm/parameter:Parameter.
type ParameterArgs struct {
	resource.Tagged
	Name           string  `pulumi:"name" aws:"forcenew"`
	Type           string  `pulumi:"type"`
	Value          string  `pulumi:"value" provider:"secret"`
	Description    *string `pulumi:"description,optional"`
	AllowedPattern *string `pulumi:"allowedPattern,optional"`
	DataType       *string `pulumi:"dataType,optional" aws:"computed,forcenew"`
	KeyID          *string `pulumi:"keyId,optional" aws:"computed"`
	Overwrite      *bool   `pulumi:"overwrite,optional" aws:"writeonly"`
}

// ParameterState is the state of aws:ssm/parameter:Parameter; its id is the parameter's name.
type ParameterState struct {
	ParameterArgs
	resource.AllTags
	Arn     string `pulumi:"arn"`
	Version int    `pulumi:"version"`
	Tier    string `pulumi:"tier"`
}

var dataTypes = []string{"text", "aws:ec2:image", "aws:ssm:integration"}

var parameter = resource.Description[ParameterArgs, ParameterState]{
	Token:  "aws:ssm/parameter:Parameter",
	Check:  checkParameter,
	Create: createParameter,
	Read:   readParameter,
	Update: updateParameter,
	Delete: func(ctx context.Context, c *resource.Cloud, id string, _ ParameterState) error {
		_, err := c.SSM.DeleteParameter(ctx, &ssm.DeleteParameterInput{Name: &id})
		return err
	},
	Example: func(x resource.Scratch) resource.Example[ParameterArgs] {
		return resource.Example[ParameterArgs]{
			Inputs: ParameterArgs{
				Name: "/conformance/" + x.Name("parameter"), Type: "String", Value: "30",
				Description: aws.String("Seconds until the API gives up."),
				Tagged:      resource.Tagged{Tags: map[string]string{"Name": "parameter"}},
			},
			Changes: []resource.Change[ParameterArgs]{
				{Name: "value", Apply: func(a *ParameterArgs) { a.Value = "45" }},
				{Name: "description", Apply: func(a *ParameterArgs) { a.Description = aws.String("Seconds.") }},
				{Name: "no description", Apply: func(a *ParameterArgs) { a.Description = nil }},
				{Name: "pattern", Apply: func(a *ParameterArgs) { a.AllowedPattern = aws.String(`^\d+$`) }},
				{Name: "tags", Apply: func(a *ParameterArgs) { a.Tags = map[string]string{"More": "yes"} }},
				{Name: "type", Apply: func(a *ParameterArgs) { a.Type = "SecureString" }},
			},
		}
	},
}

// checkParameter holds the limits of the PutParameter API.
func checkParameter(a *ParameterArgs) []resource.Fault {
	var faults []resource.Fault
	fault := func(bad bool, property, reason string) {
		if bad {
			faults = append(faults, resource.Fault{Property: property, Reason: reason})
		}
	}
	fault(len(a.Name) > 2048, "name", "must have at most 2048 characters")
	fault(a.Type != "" && !slices.Contains(types.ParameterType("").Values(), types.ParameterType(a.Type)),
		"type", "must be String, StringList or SecureString")
	fault(len(aws.ToString(a.Description)) > 1024, "description", "must have at most 1024 characters")
	fault(len(aws.ToString(a.AllowedPattern)) > 1024, "allowedPattern", "must have at most 1024 characters")
	fault(a.DataType != nil && !slices.Contains(dataTypes, *a.DataType),
		"dataType", fmt.Sprintf("must be one of %q", dataTypes))
	return faults
}

func createParameter(ctx context.Context, c *resource.Cloud, a ParameterArgs) (string, error) {
	in := putInput(a)
	in.Overwrite = aws.Bool(aws.ToBool(a.Overwrite))
	if !*in.Overwrite {
		in.Tags = resource.TagList(a.Tags, tag)
	}
	if _, err := c.SSM.PutParameter(ctx, in); err != nil {
		return "", err
	}
	// The API refuses tags together with overwrite.
	if *in.Overwrite {
		if err := updateTags(ctx, c, a.Name, nil, a.Tags); err != nil {
			return a.Name, err
		}
	}
	return a.Name, resource.PollThere(ctx, "parameter "+a.Name+" is seen", settle, func(ctx context.Context) (bool, error) {
		_, err := metadata(ctx, c, a.Name)
		return true, err
	})
}

func readParameter(ctx context.Context, c *resource.Cloud, id string, prior ParameterState) (ParameterState, error) {
	got, err := c.SSM.GetParameter(ctx, &ssm.GetParameterInput{Name: &id, WithDecryption: aws.Bool(true)})
	if err != nil {
		return prior, err
	}
	detail, err := metadata(ctx, c, id)
	if err != nil {
		return prior, err
	}
	tags, err := c.SSM.ListTagsForResource(ctx, &ssm.ListTagsForResourceInput{
		ResourceId: &id, ResourceType: types.ResourceTypeForTaggingParameter,
	})
	if err != nil {
		return prior, fmt.Errorf("listing its tags: %w", err)
	}
	s := prior
	s.Name, s.Type, s.Value = aws.ToString(got.Parameter.Name), string(got.Parameter.Type), aws.ToString(got.Parameter.Value)
	s.Arn, s.Version = aws.ToString(got.Parameter.ARN), int(got.Parameter.Version)
	s.Description, s.AllowedPattern = resource.NotEmpty(detail.Description), resource.NotEmpty(detail.AllowedPattern)
	s.DataType, s.KeyID, s.Tier = detail.DataType, detail.KeyId, string(detail.Tier)
	s.Tags = resource.TagMap(tags.TagList, func(t types.Tag) (*string, *string) { return t.Key, t.Value })
	s.TagsAll = s.Tags
	return s, nil
}

func updateParameter(ctx context.Context, c *resource.Cloud, id string, old ParameterState, a ParameterArgs) error {
	in, was := putInput(a), putInput(old.ParameterArgs)
	if *in.Value != *was.Value || in.Type != was.Type || *in.Description != *was.Description ||
		*in.AllowedPattern != *was.AllowedPattern || aws.ToString(in.KeyId) != aws.ToString(was.KeyId) {
		in.Overwrite = aws.Bool(a.Overwrite == nil || *a.Overwrite)
		if _, err := c.SSM.PutParameter(ctx, in); err != nil {
			return err
		}
	}
	return updateTags(ctx, c, id, old.Tags, a.Tags)
}

// putInput is the parameter as the API takes it; an empty description or pattern removes it.
func putInput(a ParameterArgs) *ssm.PutParameterInput {
	in := &ssm.PutParameterInput{
		Name: &a.Name, Type: types.ParameterType(a.Type), Value: &a.Value, DataType: a.DataType,
		Description:    aws.String(aws.ToString(a.Description)),
		AllowedPattern: aws.String(aws.ToString(a.AllowedPattern)),
	}
	if in.Type == types.ParameterTypeSecureString {
		in.KeyId = a.KeyID
	}
	return in
}

func metadata(ctx context.Context, c *resource.Cloud, name string) (types.ParameterMetadata, error) {
	pages := ssm.NewDescribeParametersPaginator(c.SSM, &ssm.DescribeParametersInput{
		ParameterFilters: []types.ParameterStringFilter{{
			Key: aws.String("Name"), Option: aws.String("Equals"), Values: []string{name},
		}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return types.ParameterMetadata{}, err
		}
		for _, p := range page.Parameters {
			if aws.ToString(p.Name) == name {
				return p, nil
			}
		}
	}
	return types.ParameterMetadata{}, resource.ErrNotFound
}

func updateTags(ctx context.Context, c *resource.Cloud, name string, old, now map[string]string) error {
	const kind = types.ResourceTypeForTaggingParameter
	return resource.UpdateTags(old, now, func(keys []string) (any, error) {
		return c.SSM.RemoveTagsFromResource(ctx, &ssm.RemoveTagsFromResourceInput{ResourceId: &name, ResourceType: kind, TagKeys: keys})
	}, func(tags map[string]string) (any, error) {
		in := &ssm.AddTagsToResourceInput{ResourceId: &name, ResourceType: kind, Tags: resource.TagList(tags, tag)}
		return c.SSM.AddTagsToResource(ctx, in)
	})
}

func tag(key, value string) types.Tag { return types.Tag{Key: &key, Value: &value} }
