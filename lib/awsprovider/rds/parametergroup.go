package rds

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"tapstack/lib/awsprovider/resource"
	"tapstack/lib/cloud"
)

// batch is how many parameters one call may carry (RDS API reference, ModifyDBClusterParameterGroup).
const batch = 20

// Parameter is one parameter of a group.
type Parameter struct {
	Name        string  `pulumi:"name"`
	Value       string  `pulumi:"value"`
	ApplyMethod *string `pulumi:"applyMethod,optional"`
}

// ParameterGroupArgs are the inputs of aws:rds/clusterParameterGroup:ClusterParameterGroup.
type ParameterGroupArgs struct {
	resource.Tagged
	Name        string      `pulumi:"name" aws:"forcenew"`
	Family      string      `pulumi:"family" aws:"forcenew"`
	Description *string     `pulumi:"description,optional" aws:"forcenew"`
	Parameters  []Parameter `pulumi:"parameters,optional" aws:"set"`
}

// ParameterGroupState is the state of aws:rds/clusterParameterGroup:ClusterParameterGroup; its id is the group's name.
type ParameterGroupState struct {
	ParameterGroupArgs
	resource.AllTags
	Arn string `pulumi:"arn"`
}

var parameterGroup = resource.Description[ParameterGroupArgs, ParameterGroupState]{
	Token: "aws:rds/clusterParameterGroup:ClusterParameterGroup",
	Check: func(a *ParameterGroupArgs) []resource.Fault {
		resource.Default(&a.Description, managed)
		var f faults
		f.match("name", a.Name, identifierForm, identifierRule)
		f.add(len(a.Name) > 255, "name", "must have at most 255 characters")
		for i := range a.Parameters {
			a.Parameters[i].Name = strings.ToLower(a.Parameters[i].Name)
			resource.Default(&a.Parameters[i].ApplyMethod, "immediate")
			f.oneOf(fmt.Sprintf("parameters[%d].applyMethod", i), *a.Parameters[i].ApplyMethod, parameterTiming)
		}
		return f
	},
	Create: func(ctx context.Context, c *resource.Cloud, a ParameterGroupArgs) (string, error) {
		_, err := c.RDS.CreateDBClusterParameterGroup(ctx, &rds.CreateDBClusterParameterGroupInput{
			DBClusterParameterGroupName: &a.Name, DBParameterGroupFamily: &a.Family, Description: a.Description, Tags: tagList(a.Tags),
		})
		if err != nil {
			return "", err
		}
		return a.Name, setParameters(ctx, c, a.Name, a.Parameters)
	},
	Read: readParameterGroup,
	Update: func(ctx context.Context, c *resource.Cloud, id string, old ParameterGroupState, a ParameterGroupArgs) error {
		set, reset := parameterDelta(old.Parameters, a.Parameters)
		if err := setParameters(ctx, c, id, set); err != nil {
			return err
		}
		if err := resetParameters(ctx, c, id, reset); err != nil {
			return err
		}
		return updateTags(ctx, c, old.Arn, old.Tags, a.Tags)
	},
	Delete: func(ctx context.Context, c *resource.Cloud, id string, _ ParameterGroupState) error {
		inUse := func(err error) bool { return cloud.HasCode(err, "InvalidDBParameterGroupState") }
		return again(ctx, "nothing uses parameter group "+id, groupTimeout, inUse, func(ctx context.Context) error {
			_, err := c.RDS.DeleteDBClusterParameterGroup(ctx, &rds.DeleteDBClusterParameterGroupInput{
				DBClusterParameterGroupName: &id,
			})
			return err
		})
	},
	Example: func(x resource.Scratch) resource.Example[ParameterGroupArgs] {
		return resource.Example[ParameterGroupArgs]{
			Inputs: ParameterGroupArgs{
				Name: x.Name("parameters"), Family: "aurora-postgresql16", Description: aws.String("conformance"),
				Parameters: []Parameter{
					{Name: "rds.force_ssl", Value: "1"},
					{Name: "log_statement", Value: "ddl"},
					{Name: "rds.logical_replication", Value: "1", ApplyMethod: aws.String("pending-reboot")},
				},
				Tagged: resource.Tagged{Tags: map[string]string{"Name": "parameters"}},
			},
			Changes: []resource.Change[ParameterGroupArgs]{
				{Name: "a value", Apply: func(a *ParameterGroupArgs) { a.Parameters[1].Value = "all" }},
				{Name: "one more", Apply: func(a *ParameterGroupArgs) {
					a.Parameters = append(a.Parameters, Parameter{Name: "log_connections", Value: "1"})
				}},
				{Name: "tags", Apply: func(a *ParameterGroupArgs) { a.Tags = map[string]string{"More": "yes"} }},
			},
		}
	},
}

func readParameterGroup(ctx context.Context, c *resource.Cloud, id string, prior ParameterGroupState) (ParameterGroupState, error) {
	out, err := c.RDS.DescribeDBClusterParameterGroups(ctx, &rds.DescribeDBClusterParameterGroupsInput{
		DBClusterParameterGroupName: &id,
	})
	if err != nil {
		return prior, err
	}
	if len(out.DBClusterParameterGroups) != 1 {
		return prior, resource.ErrNotFound
	}
	group := out.DBClusterParameterGroups[0]
	parameters, err := readParameters(ctx, c, id, prior.Parameters)
	if err != nil {
		return prior, fmt.Errorf("reading its parameters: %w", err)
	}
	tags, err := listTags(ctx, c, aws.ToString(group.DBClusterParameterGroupArn))
	if err != nil {
		return prior, err
	}
	s := prior
	s.Arn, s.Name = aws.ToString(group.DBClusterParameterGroupArn), aws.ToString(group.DBClusterParameterGroupName)
	s.Family, s.Description, s.Parameters = aws.ToString(group.DBParameterGroupFamily), group.Description, parameters
	s.Tags, s.TagsAll = tags, tags
	return s, nil
}

// readParameters returns what the user has modified and, of the hundreds of others, those that the program names: RDS
// lists a parameter that is set to its default value as the system's.
func readParameters(ctx context.Context, c *resource.Cloud, group string, named []Parameter) ([]Parameter, error) {
	found := map[string]Parameter{}
	missing := func() bool {
		return slices.ContainsFunc(named, func(p Parameter) bool { _, ok := found[p.Name]; return !ok })
	}
	for _, source := range []string{"user", "system"} {
		if source == "system" && !missing() {
			break
		}
		pages := rds.NewDescribeDBClusterParametersPaginator(c.RDS, &rds.DescribeDBClusterParametersInput{
			DBClusterParameterGroupName: &group, Source: &source,
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, err
			}
			for _, p := range page.Parameters {
				name := strings.ToLower(aws.ToString(p.ParameterName))
				wanted := source == "user" || slices.ContainsFunc(named, func(n Parameter) bool { return n.Name == name })
				if _, known := found[name]; wanted && !known && p.ParameterValue != nil {
					found[name] = Parameter{Name: name, Value: *p.ParameterValue, ApplyMethod: aws.String(string(p.ApplyMethod))}
				}
			}
		}
	}
	var parameters []Parameter
	for _, p := range found {
		parameters = append(parameters, p)
	}
	slices.SortFunc(parameters, func(a, b Parameter) int { return cmp.Compare(a.Name, b.Name) })
	return parameters, nil
}

// parameterDelta says which parameters to set and which to reset to come from old to now.
func parameterDelta(old, now []Parameter) (set, reset []Parameter) {
	for _, p := range now {
		kept := func(o Parameter) bool {
			return o.Name == p.Name && o.Value == p.Value && resource.Same(o.ApplyMethod, p.ApplyMethod)
		}
		if !slices.ContainsFunc(old, kept) {
			set = append(set, p)
		}
	}
	for _, o := range old {
		if !slices.ContainsFunc(now, func(p Parameter) bool { return p.Name == o.Name }) {
			reset = append(reset, o)
		}
	}
	return set, reset
}

func setParameters(ctx context.Context, c *resource.Cloud, group string, parameters []Parameter) error {
	for chunk := range slices.Chunk(parameters, batch) {
		_, err := c.RDS.ModifyDBClusterParameterGroup(ctx, &rds.ModifyDBClusterParameterGroupInput{
			DBClusterParameterGroupName: &group, Parameters: apiParameters(chunk),
		})
		if err != nil {
			return fmt.Errorf("setting parameters: %w", err)
		}
	}
	return nil
}

func resetParameters(ctx context.Context, c *resource.Cloud, group string, parameters []Parameter) error {
	pending := func(err error) bool { return refused(err, "InvalidDBParameterGroupState", "has pending changes") }
	for chunk := range slices.Chunk(parameters, batch) {
		err := again(ctx, "parameter group "+group+" has no pending changes", groupTimeout, pending, func(ctx context.Context) error {
			_, err := c.RDS.ResetDBClusterParameterGroup(ctx, &rds.ResetDBClusterParameterGroupInput{
				DBClusterParameterGroupName: &group, Parameters: apiParameters(chunk), ResetAllParameters: aws.Bool(false),
			})
			return err
		})
		if err != nil {
			return fmt.Errorf("resetting parameters: %w", err)
		}
	}
	return nil
}

func apiParameters(parameters []Parameter) []types.Parameter {
	var list []types.Parameter
	for _, p := range parameters {
		list = append(list, types.Parameter{
			ParameterName: &p.Name, ParameterValue: &p.Value, ApplyMethod: types.ApplyMethod(aws.ToString(p.ApplyMethod)),
		})
	}
	return list
}
