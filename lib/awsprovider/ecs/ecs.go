// Package ecs implements the aws:ecs types: clusters, their capacity providers, task definitions and services.
// Reference: the ECS API and the aws_ecs_* resources of the Terraform AWS provider 5.x.
package ecs

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"tapstack/lib/awsprovider/resource"
)

// The official provider's time-outs.
const (
	propagation    = 2 * time.Minute  // IAM roles and ECS's service-linked role
	clusterTimeout = 10 * time.Minute // a cluster's change of status
	serviceTimeout = 20 * time.Minute // a service's change of status, draining included
)

// The states of clusters, services and task definitions.
const (
	statusActive   = "ACTIVE"
	statusDraining = "DRAINING"
	statusInactive = "INACTIVE"
)

// Resources lists the types of this package.
func Resources() []resource.Resource {
	return []resource.Resource{
		resource.Define(cluster),
		resource.Define(capacityProviders),
		resource.Define(taskDefinition),
		resource.Define(service),
	}
}

func tagList(tags map[string]string) []types.Tag {
	return resource.TagList(tags, func(key, value string) types.Tag { return types.Tag{Key: &key, Value: &value} })
}

func tagMap(tags []types.Tag) map[string]string {
	return resource.TagMap(tags, func(t types.Tag) (key, value *string) { return t.Key, t.Value })
}

func updateTags(ctx context.Context, c *resource.Cloud, arn string, old, now map[string]string) error {
	return resource.UpdateTags(old, now, func(keys []string) (any, error) {
		return c.ECS.UntagResource(ctx, &ecs.UntagResourceInput{ResourceArn: &arn, TagKeys: keys})
	}, func(tags map[string]string) (any, error) {
		return c.ECS.TagResource(ctx, &ecs.TagResourceInput{ResourceArn: &arn, Tags: tagList(tags)})
	})
}
