package inventory

import (
	"cmp"
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	scalingtypes "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"

	"tapstack/lib/cloud"
)

func autoScalingKinds() []*Kind { return []*Kind{ScalableTarget, ScalingPolicy} }

// ScalableTarget is named service/CLUSTER/SERVICE, as in the ARN of the service.
var ScalableTarget = &Kind{
	Name: "scalable target", Service: "application-autoscaling", Types: []string{"aws:appautoscaling/target:Target"}, NameInput: "resourceId",
	Free:    "its alarms are billed with its policies",
	Removal: Removal{Proof: ByOwnerAndName},
	IAM:     []IAMResource{{Sid: "Target", Types: []string{"ScalableTarget"}, ARN: "scalable-target/*"}},
	list: each((*cloud.Reader).ScalableTargets, func(ctx context.Context, s *search, t scalingtypes.ScalableTarget) Resource {
		name := aws.ToString(t.ResourceId)
		return Resource{Name: name, ARN: aws.ToString(t.ScalableTargetARN), PartOf: []string{s.ARN(ctx, "ecs", name)}}
	}),
	tags: func(ctx context.Context, s *search, r Resource) (map[string]string, error) {
		return s.ScalingTags(ctx, r.ARN)
	},
}

// ScalingPolicy is part of a target or, when nothing is registered for it, of the service.
var ScalingPolicy = &Kind{
	Name: "scaling policy", Service: "application-autoscaling", Types: []string{"aws:appautoscaling/policy:Policy"}, NameInput: "name",
	Untagged: true, NotInIAM: "IAM asks about its target",
	Removal: Removal{Proof: ByOwnerAndName, HoldsOwner: true},
	list: func(ctx context.Context, s *search) ([]Resource, error) {
		targets, err := s.ScalableTargets(ctx)
		if err != nil {
			return nil, err
		}
		arnOf := map[string]string{}
		for _, t := range targets {
			arnOf[aws.ToString(t.ResourceId)] = aws.ToString(t.ScalableTargetARN)
		}
		all, err := s.ScalingPolicies(ctx)
		return listed(all, err, func(p scalingtypes.ScalingPolicy) Resource {
			id := aws.ToString(p.ResourceId)
			return Resource{
				Name: aws.ToString(p.PolicyName), ID: id, ARN: aws.ToString(p.PolicyARN),
				PartOf: []string{cmp.Or(arnOf[id], s.ARN(ctx, "ecs", id))},
			}
		})
	},
}
