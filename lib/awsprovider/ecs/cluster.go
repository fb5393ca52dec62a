package ecs

import (
	"context"
	"reflect"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"tapstack/lib/awsprovider/resource"
	"tapstack/lib/cloud"
)

// ClusterArgs are the inputs of aws:ecs/cluster:Cluster.
type ClusterArgs struct {
	resource.Tagged
	Name     string           `pulumi:"name" aws:"forcenew"`
	Settings []ClusterSetting `pulumi:"settings,optional" aws:"set,computed"`
}

// ClusterSetting is one setting of a cluster, such as containerInsights.
type ClusterSetting struct {
	Name  string `pulumi:"name"`
	Value string `pulumi:"value"`
}

// ClusterState is the state of aws:ecs/cluster:Cluster; its id is the ARN.
type ClusterState struct {
	ClusterArgs
	resource.AllTags
	Arn string `pulumi:"arn"`
}

var clusterName = regexp.MustCompile(`^[0-9A-Za-z_-]{1,255}$`)

var cluster = resource.Description[ClusterArgs, ClusterState]{
	Token: "aws:ecs/cluster:Cluster",
	Check: func(a *ClusterArgs) []resource.Fault {
		if a.Name != "" && !clusterName.MatchString(a.Name) {
			return []resource.Fault{{Property: "name", Reason: "must be 1 to 255 letters, digits, hyphens and underscores"}}
		}
		return nil
	},
	Create: createCluster,
	Read: func(ctx context.Context, c *resource.Cloud, id string, prior ClusterState) (ClusterState, error) {
		found, err := findCluster(ctx, c, id)
		if err != nil {
			return prior, err
		}
		s := prior
		s.Name, s.Arn, s.Settings = aws.ToString(found.ClusterName), aws.ToString(found.ClusterArn), nil
		for _, it := range found.Settings {
			s.Settings = append(s.Settings, ClusterSetting{Name: string(it.Name), Value: aws.ToString(it.Value)})
		}
		s.Tags = tagMap(found.Tags)
		s.TagsAll = s.Tags
		return s, nil
	},
	Update: func(ctx context.Context, c *resource.Cloud, id string, old ClusterState, a ClusterArgs) error {
		if len(a.Settings) > 0 && !reflect.DeepEqual(old.Settings, a.Settings) {
			_, err := c.ECS.UpdateCluster(ctx, &ecs.UpdateClusterInput{Cluster: &id, Settings: clusterSettings(a)})
			if err != nil {
				return err
			}
			if err := awaitCluster(ctx, c, id); err != nil {
				return err
			}
		}
		return updateTags(ctx, c, id, old.Tags, a.Tags)
	},
	Delete: deleteCluster,
	Example: func(x resource.Scratch) resource.Example[ClusterArgs] {
		return resource.Example[ClusterArgs]{
			Inputs: ClusterArgs{
				Name: x.Name("cluster"), Settings: []ClusterSetting{{Name: "containerInsights", Value: "enabled"}},
				Tagged: resource.Tagged{Tags: map[string]string{"Name": "cluster"}},
			},
			Changes: []resource.Change[ClusterArgs]{
				{Name: "settings", Apply: func(a *ClusterArgs) {
					a.Settings = []ClusterSetting{{Name: "containerInsights", Value: "disabled"}}
				}},
				{Name: "tags", Apply: func(a *ClusterArgs) { a.Tags = map[string]string{"Name": "other", "More": "yes"} }},
			},
		}
	},
}

func clusterSettings(a ClusterArgs) []types.ClusterSetting {
	var settings []types.ClusterSetting
	for _, it := range a.Settings {
		settings = append(settings, types.ClusterSetting{Name: types.ClusterSettingName(it.Name), Value: aws.String(it.Value)})
	}
	return settings
}

// createCluster allows for the first cluster of an account, which makes ECS's service-linked role.
func createCluster(ctx context.Context, c *resource.Cloud, a ClusterArgs) (string, error) {
	var id string
	in := &ecs.CreateClusterInput{ClusterName: &a.Name, Settings: clusterSettings(a), Tags: tagList(a.Tags)}
	err := resource.Retry(ctx, "cluster "+a.Name+" is created", propagation,
		func(err error) bool {
			return resource.Says(err, "InvalidParameterException", "Unable to assume the service linked role")
		},
		func(ctx context.Context) error {
			out, err := c.ECS.CreateCluster(ctx, in)
			if err == nil {
				id = aws.ToString(out.Cluster.ClusterArn)
			}
			return err
		})
	if err != nil {
		return "", err
	}
	return id, awaitCluster(ctx, c, id)
}

func deleteCluster(ctx context.Context, c *resource.Cloud, id string, _ ClusterState) error {
	err := resource.Retry(ctx, "cluster "+id+" can be deleted", clusterTimeout,
		func(err error) bool {
			return cloud.HasCode(err, "ClusterContainsContainerInstancesException", "ClusterContainsServicesException",
				"ClusterContainsTasksException", "UpdateInProgressException")
		},
		func(ctx context.Context) error {
			_, err := c.ECS.DeleteCluster(ctx, &ecs.DeleteClusterInput{Cluster: &id})
			return err
		})
	if err != nil {
		return err
	}
	return resource.PollGone(ctx, "cluster "+id, clusterTimeout, func(ctx context.Context) error {
		_, err := findCluster(ctx, c, id)
		return err
	})
}

// findCluster describes a cluster by its name or ARN. A deleted one stays visible as INACTIVE for a while.
func findCluster(ctx context.Context, c *resource.Cloud, nameOrArn string) (types.Cluster, error) {
	out, err := c.ECS.DescribeClusters(ctx, &ecs.DescribeClustersInput{
		Clusters: []string{nameOrArn},
		Include:  []types.ClusterField{types.ClusterFieldTags, types.ClusterFieldConfigurations, types.ClusterFieldSettings},
	})
	if err != nil {
		return types.Cluster{}, err
	}
	if len(out.Clusters) == 0 || aws.ToString(out.Clusters[0].Status) == statusInactive {
		return types.Cluster{}, resource.ErrNotFound
	}
	return out.Clusters[0], nil
}

// awaitCluster waits until a cluster has taken a change.
func awaitCluster(ctx context.Context, c *resource.Cloud, nameOrArn string) error {
	return resource.PollThere(ctx, "cluster "+nameOrArn+" is active", clusterTimeout, func(ctx context.Context) (bool, error) {
		found, err := findCluster(ctx, c, nameOrArn)
		return aws.ToString(found.Status) == statusActive, err
	})
}
