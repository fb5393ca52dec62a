package inventory

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"tapstack/lib/cloud"
)

func ecsKinds() []*Kind { return []*Kind{ECSCluster, ECSService, TaskDefinition} }

// ECSCluster leaves out the INACTIVE ones, which ECS goes on listing for a while and nobody can remove.
var ECSCluster = &Kind{
	Name: "ECS cluster", Service: "ecs", Types: []string{"aws:ecs/cluster:Cluster"}, NameInput: "name",
	Parts: map[string]string{"aws:ecs/clusterCapacityProviders:ClusterCapacityProviders": noCharge},
	IAM:   []IAMResource{{Sid: "Cluster", Types: []string{"cluster"}, ARN: "cluster/{name}"}},
	Lost:  "all services that run in it",
	list: each((*cloud.Reader).ECSClusters, func(_ context.Context, _ *search, c ecstypes.Cluster) Resource {
		return Resource{Name: aws.ToString(c.ClusterName), ARN: aws.ToString(c.ClusterArn), Tags: ecsTags(c.Tags)}
	}),
}

// ECSService is looked for in clusters whose names may be the stack's.
var ECSService = &Kind{
	Name: "ECS service", Service: "ecs", Types: []string{"aws:ecs/service:Service"}, NameInput: "name",
	Removal: Removal{HoldsOwner: true, Limit: networkLimit},
	IAM:     []IAMResource{{Sid: "Service", Types: []string{"service"}, ARN: "{name}", NamesOf: ScalableTarget}}, // service/CLUSTER/SERVICE
	list: func(ctx context.Context, s *search) ([]Resource, error) {
		clusters, err := s.ECSClusters(ctx)
		if err != nil {
			return nil, err
		}
		var all []Resource
		for _, c := range clusters {
			name := aws.ToString(c.ClusterName)
			if !s.mayOwn(ECSCluster, name) {
				continue
			}
			services, err := s.ECSServices(ctx, name)
			if err != nil {
				return nil, err
			}
			for _, v := range services {
				all = append(all, Resource{
					Name: aws.ToString(v.ServiceName), ARN: aws.ToString(v.ServiceArn), Tags: ecsTags(v.Tags),
					PartOf: []string{aws.ToString(c.ClusterArn)},
				})
			}
		}
		return all, nil
	},
}

// TaskDefinition leaves out the INACTIVE ones: ECS keeps them and offers no way to lose them.
var TaskDefinition = &Kind{
	Name: "task definition", Service: "ecs", Types: []string{"aws:ecs/taskDefinition:TaskDefinition"}, NameInput: "family",
	Free: "what it starts is billed with what uses it",
	IAM:  []IAMResource{{Sid: "Definition", Types: []string{"task-definition"}, ARN: "task-definition/{name}:*"}},
	list: each((*cloud.Reader).TaskDefinitionARNs, func(_ context.Context, _ *search, arn string) Resource {
		family, _, _ := strings.Cut(arn[strings.LastIndex(arn, "/")+1:], ":")
		return Resource{Name: family, ARN: arn}
	}),
	tags: func(ctx context.Context, s *search, r Resource) (map[string]string, error) {
		d, err := s.TaskDefinition(ctx, r.ARN)
		return ecsTags(d.Tags), err
	},
}

func ecsTags(tags []ecstypes.Tag) map[string]string {
	return cloud.TagMap(tags, func(t ecstypes.Tag) (*string, *string) { return t.Key, t.Value })
}
