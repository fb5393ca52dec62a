package appautoscaling

import (
	"context"
	"reflect"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"

	"tapstack/lib/awsprovider/resource"
)

// TargetArgs are the inputs of aws:appautoscaling/target:Target.
type TargetArgs struct {
	resource.Tagged
	ServiceNamespace  string  `pulumi:"serviceNamespace" aws:"forcenew"`
	ResourceID        string  `pulumi:"resourceId" aws:"forcenew"`
	ScalableDimension string  `pulumi:"scalableDimension" aws:"forcenew"`
	MinCapacity       int     `pulumi:"minCapacity"`
	MaxCapacity       int     `pulumi:"maxCapacity"`
	RoleArn           *string `pulumi:"roleArn,optional" aws:"computed"`
	// SuspendedState has no default: a target whose program sets none keeps the state that it has.
	SuspendedState *SuspendedState `pulumi:"suspendedState,optional" aws:"computed"`
}

// SuspendedState says which kinds of scaling are suspended.
type SuspendedState struct {
	In        *bool `pulumi:"dynamicScalingInSuspended,optional"`
	Out       *bool `pulumi:"dynamicScalingOutSuspended,optional"`
	Scheduled *bool `pulumi:"scheduledScalingSuspended,optional"`
}

// complete takes what is not said for not suspended.
func (s *SuspendedState) complete() {
	for _, it := range []**bool{&s.In, &s.Out, &s.Scheduled} {
		*it = resource.OrPrior(*it, aws.Bool(false))
	}
}

// TargetState is the state of aws:appautoscaling/target:Target; its id is the resource's id, such as
// "service/cluster/name".
type TargetState struct {
	TargetArgs
	resource.AllTags
	Arn string `pulumi:"arn"`
}

var target = resource.Description[TargetArgs, TargetState]{
	Token: "aws:appautoscaling/target:Target",
	Check: func(a *TargetArgs) []resource.Fault {
		if a.SuspendedState != nil {
			a.SuspendedState.complete()
		}
		return nil
	},
	Create: func(ctx context.Context, c *resource.Cloud, a TargetArgs) (string, error) {
		if err := register(ctx, c, a, a.Tags); err != nil {
			return "", err
		}
		return a.ResourceID, resource.PollThere(ctx, "scalable target "+a.ResourceID+" is seen", propagation,
			func(ctx context.Context) (bool, error) {
				_, err := findTarget(ctx, c, a)
				return err == nil, err
			})
	},
	Read: readTarget,
	Update: func(ctx context.Context, c *resource.Cloud, _ string, old TargetState, a TargetArgs) error {
		tags := a.Tags
		if a.Tagged = old.Tagged; !reflect.DeepEqual(old.TargetArgs, a) {
			if err := register(ctx, c, a, nil); err != nil {
				return err
			}
		}
		return updateTags(ctx, c, old.Arn, old.Tags, tags)
	},
	Delete: deleteTarget,
	Example: func(x resource.Scratch) resource.Example[TargetArgs] {
		return resource.Example[TargetArgs]{
			Inputs: TargetArgs{
				ServiceNamespace: "ecs", ResourceID: exampleService(x), ScalableDimension: "ecs:service:DesiredCount",
				MinCapacity: 3, MaxCapacity: 12, Tagged: resource.Tagged{Tags: map[string]string{"Name": "target"}},
			},
			Changes: []resource.Change[TargetArgs]{
				{Name: "maximum", Apply: func(a *TargetArgs) { a.MaxCapacity = 8 }},
				{Name: "suspended", Apply: func(a *TargetArgs) { a.SuspendedState = &SuspendedState{In: aws.Bool(true)} }},
				{Name: "minimum", Apply: func(a *TargetArgs) { a.MinCapacity = 0 }},
				{Name: "tags", Apply: func(a *TargetArgs) { a.Tags = map[string]string{"Name": "other", "More": "yes"} }},
			},
		}
	},
}

// register makes the target or changes it. A role or a service that the API does not see yet is waited for.
func register(ctx context.Context, c *resource.Cloud, a TargetArgs, tags map[string]string) error {
	in := &applicationautoscaling.RegisterScalableTargetInput{
		ServiceNamespace: types.ServiceNamespace(a.ServiceNamespace), ResourceId: &a.ResourceID,
		ScalableDimension: types.ScalableDimension(a.ScalableDimension),
		MinCapacity:       int32Of(a.MinCapacity), MaxCapacity: int32Of(a.MaxCapacity), Tags: tags,
	}
	if s := a.SuspendedState; s != nil {
		in.SuspendedState = &types.SuspendedState{DynamicScalingInSuspended: s.In, DynamicScalingOutSuspended: s.Out, ScheduledScalingSuspended: s.Scheduled}
	}
	if aws.ToString(a.RoleArn) != "" {
		in.RoleARN = a.RoleArn
	}
	return resource.Retry(ctx, "scalable target "+a.ResourceID+" is registered", propagation,
		func(err error) bool {
			return resource.Says(err, "ValidationException", "Unable to assume IAM role") ||
				resource.Says(err, "ValidationException", "ECS service doesn't exist")
		},
		func(ctx context.Context) error {
			_, err := c.AutoScaling.RegisterScalableTarget(ctx, in)
			return err
		})
}

func readTarget(ctx context.Context, c *resource.Cloud, id string, prior TargetState) (TargetState, error) {
	wanted := prior.TargetArgs
	wanted.ResourceID = id
	found, err := findTarget(ctx, c, wanted)
	if err != nil {
		return prior, err
	}
	s := prior
	s.ServiceNamespace, s.ScalableDimension = string(found.ServiceNamespace), string(found.ScalableDimension)
	s.ResourceID, s.RoleArn = aws.ToString(found.ResourceId), resource.OrPrior(found.RoleARN, prior.RoleArn)
	s.MinCapacity, s.MaxCapacity = int(aws.ToInt32(found.MinCapacity)), int(aws.ToInt32(found.MaxCapacity))
	s.SuspendedState = &SuspendedState{}
	if it := found.SuspendedState; it != nil {
		s.SuspendedState = &SuspendedState{it.DynamicScalingInSuspended, it.DynamicScalingOutSuspended, it.ScheduledScalingSuspended}
	}
	s.SuspendedState.complete()
	s.Arn = aws.ToString(found.ScalableTargetARN)
	s.Tags, err = readTags(ctx, c, s.Arn, prior.Tags)
	s.TagsAll = s.Tags
	return s, err
}

func findTarget(ctx context.Context, c *resource.Cloud, a TargetArgs) (types.ScalableTarget, error) {
	pages := applicationautoscaling.NewDescribeScalableTargetsPaginator(c.AutoScaling, &applicationautoscaling.DescribeScalableTargetsInput{
		ServiceNamespace: types.ServiceNamespace(a.ServiceNamespace), ResourceIds: []string{a.ResourceID},
		ScalableDimension: types.ScalableDimension(a.ScalableDimension),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return types.ScalableTarget{}, err
		}
		for _, it := range page.ScalableTargets {
			if aws.ToString(it.ResourceId) == a.ResourceID && string(it.ScalableDimension) == a.ScalableDimension {
				return it, nil
			}
		}
	}
	return types.ScalableTarget{}, resource.ErrNotFound
}

func deleteTarget(ctx context.Context, c *resource.Cloud, id string, s TargetState) error {
	wanted := s.TargetArgs
	wanted.ResourceID = id
	_, err := c.AutoScaling.DeregisterScalableTarget(ctx, &applicationautoscaling.DeregisterScalableTargetInput{
		ServiceNamespace: types.ServiceNamespace(wanted.ServiceNamespace), ResourceId: &id,
		ScalableDimension: types.ScalableDimension(wanted.ScalableDimension),
	})
	if err != nil {
		if _, gone := findTarget(ctx, c, wanted); resource.NotFound(gone) {
			return nil
		}
		return err
	}
	return resource.PollGone(ctx, "scalable target "+id, settle, func(ctx context.Context) error {
		_, err := findTarget(ctx, c, wanted)
		return err
	})
}

// exampleService makes an ECS service without network or load balancer and returns its resource id.
func exampleService(x resource.Scratch) string {
	name := x.Name("scaled")
	cluster := x.Make("aws:ecs/cluster:Cluster", map[string]any{"name": name})
	task := x.Make("aws:ecs/taskDefinition:TaskDefinition", map[string]any{
		"family": name, "memory": "512", "requiresCompatibilities": []any{"EC2"},
		"containerDefinitions": `[{"name":"app","image":"app:1"}]`,
	})
	x.Make("aws:ecs/service:Service", map[string]any{
		"name": name, "cluster": cluster.ID, "taskDefinition": task.Outputs["arn"], "launchType": "EC2",
	})
	return "service/" + name + "/" + name
}
