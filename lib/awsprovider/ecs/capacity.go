package ecs

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"tapstack/lib/awsprovider/resource"
	"tapstack/lib/cloud"
)

// CapacityProvidersArgs are the inputs of aws:ecs/clusterCapacityProviders:ClusterCapacityProviders.
type CapacityProvidersArgs struct {
	ClusterName                       string             `pulumi:"clusterName" aws:"forcenew"`
	CapacityProviders                 []string           `pulumi:"capacityProviders,optional" aws:"set"`
	DefaultCapacityProviderStrategies []CapacityStrategy `pulumi:"defaultCapacityProviderStrategies,optional" aws:"set"`
}

// CapacityStrategy says which share of the tasks a capacity provider gets.
type CapacityStrategy struct {
	CapacityProvider string `pulumi:"capacityProvider"`
	Base             *int   `pulumi:"base,optional"`
	Weight           *int   `pulumi:"weight,optional"`
}

// CapacityProvidersState is its state; the id is the cluster's name.
type CapacityProvidersState struct{ CapacityProvidersArgs }

var capacityProviders = resource.Description[CapacityProvidersArgs, CapacityProvidersState]{
	Token: "aws:ecs/clusterCapacityProviders:ClusterCapacityProviders",
	Check: func(a *CapacityProvidersArgs) []resource.Fault {
		for i := range a.DefaultCapacityProviderStrategies {
			s := &a.DefaultCapacityProviderStrategies[i]
			s.Base, s.Weight = resource.OrPrior(s.Base, aws.Int(0)), resource.OrPrior(s.Weight, aws.Int(0))
		}
		return nil
	},
	Create: func(ctx context.Context, c *resource.Cloud, a CapacityProvidersArgs) (string, error) {
		if err := putCapacityProviders(ctx, c, a); err != nil {
			return "", err
		}
		return a.ClusterName, awaitCluster(ctx, c, a.ClusterName)
	},
	Read: readCapacityProviders,
	Update: func(ctx context.Context, c *resource.Cloud, id string, _ CapacityProvidersState, a CapacityProvidersArgs) error {
		if err := putCapacityProviders(ctx, c, a); err != nil {
			return err
		}
		return awaitCluster(ctx, c, id)
	},
	Delete: func(ctx context.Context, c *resource.Cloud, id string, _ CapacityProvidersState) error {
		if _, err := findCluster(ctx, c, id); err != nil {
			return err
		}
		if err := putCapacityProviders(ctx, c, CapacityProvidersArgs{ClusterName: id}); err != nil {
			return err
		}
		return awaitCluster(ctx, c, id)
	},
	Example: func(x resource.Scratch) resource.Example[CapacityProvidersArgs] {
		name := x.Name("cluster")
		x.Make("aws:ecs/cluster:Cluster", map[string]any{"name": name})
		return resource.Example[CapacityProvidersArgs]{
			Inputs: CapacityProvidersArgs{
				ClusterName: name, CapacityProviders: []string{"FARGATE"},
				DefaultCapacityProviderStrategies: []CapacityStrategy{{CapacityProvider: "FARGATE", Weight: aws.Int(1)}},
			},
			Changes: []resource.Change[CapacityProvidersArgs]{
				{Name: "providers", Apply: func(a *CapacityProvidersArgs) {
					a.CapacityProviders = []string{"FARGATE_SPOT", "FARGATE"}
				}},
				{Name: "strategies", Apply: func(a *CapacityProvidersArgs) {
					a.DefaultCapacityProviderStrategies = []CapacityStrategy{
						{CapacityProvider: "FARGATE", Base: aws.Int(2), Weight: aws.Int(1)},
						{CapacityProvider: "FARGATE_SPOT", Weight: aws.Int(3)},
					}
				}},
				{Name: "no strategies", Apply: func(a *CapacityProvidersArgs) { a.DefaultCapacityProviderStrategies = nil }},
			},
		}
	},
}

// readCapacityProviders takes a cluster that lost what was associated with it for one without the resource: that is
// what deleting it leaves.
func readCapacityProviders(ctx context.Context, c *resource.Cloud, id string, prior CapacityProvidersState) (CapacityProvidersState, error) {
	found, err := findCluster(ctx, c, id)
	if err != nil {
		return prior, err
	}
	s := CapacityProvidersState{CapacityProvidersArgs{
		ClusterName: aws.ToString(found.ClusterName), CapacityProviders: found.CapacityProviders,
	}}
	for _, it := range found.DefaultCapacityProviderStrategy {
		s.DefaultCapacityProviderStrategies = append(s.DefaultCapacityProviderStrategies, CapacityStrategy{
			CapacityProvider: aws.ToString(it.CapacityProvider), Base: aws.Int(int(it.Base)), Weight: aws.Int(int(it.Weight)),
		})
	}
	if len(s.CapacityProviders) == 0 && len(prior.CapacityProviders) > 0 {
		return prior, resource.ErrNotFound
	}
	return s, nil
}

func putCapacityProviders(ctx context.Context, c *resource.Cloud, a CapacityProvidersArgs) error {
	in := &ecs.PutClusterCapacityProvidersInput{
		Cluster:                         &a.ClusterName,
		CapacityProviders:               append([]string{}, a.CapacityProviders...),
		DefaultCapacityProviderStrategy: []types.CapacityProviderStrategyItem{},
	}
	for _, it := range a.DefaultCapacityProviderStrategies {
		in.DefaultCapacityProviderStrategy = append(in.DefaultCapacityProviderStrategy, types.CapacityProviderStrategyItem{
			CapacityProvider: &it.CapacityProvider, Base: aws.ToInt32(resource.Int32(it.Base)), Weight: aws.ToInt32(resource.Int32(it.Weight)),
		})
	}
	return resource.Retry(ctx, "cluster "+a.ClusterName+" takes its capacity providers", clusterTimeout,
		func(err error) bool {
			return resource.Says(err, "ClientException", "Cluster was not ACTIVE") ||
				cloud.HasCode(err, "ResourceInUseException", "UpdateInProgressException")
		},
		func(ctx context.Context) error {
			_, err := c.ECS.PutClusterCapacityProviders(ctx, in)
			return err
		})
}
