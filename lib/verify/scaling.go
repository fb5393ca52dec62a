package verify

import (
	"cmp"
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"

	"tapstack/lib"
)

func scalingChecks() []Check {
	return []Check{
		{
			ID:   "scaling.targets",
			Says: "Enable auto-scaling based on CPU utilization: both services may grow and shrink, not below the brief's counts",
			Run:  recorded(eachKind(scalingBounds)),
		},
		{
			ID:   "scaling.cpu",
			Says: "Enable auto-scaling based on CPU utilization",
			Run:  recorded(eachKind(cpuTracking)),
		},
		{
			ID:   "scaling.backlog",
			Says: "job-processor scales on the backlog per task as well (beyond the brief)",
			Run:  recorded(backlogTracking),
		},
	}
}

// scalingResource is how Application Auto Scaling names a service.
func (e *Env) scalingResource(kind serviceKind) (string, error) {
	cluster, err1 := e.output(lib.OutputEcsClusterName)
	service, err2 := e.output(kind.output)
	if err := cmp.Or(err1, err2); err != nil {
		return "", err
	}
	return fmt.Sprintf("service/%s/%s", cluster, service), nil
}

func (e *Env) scalableTarget(ctx context.Context, kind serviceKind) (astypes.ScalableTarget, error) {
	resource, err1 := e.scalingResource(kind)
	all, err2 := e.cloud.ScalableTargets(ctx)
	if err := cmp.Or(err1, err2); err != nil {
		return astypes.ScalableTarget{}, err
	}
	return findOne("scalable target "+resource, all, func(t astypes.ScalableTarget) bool {
		return aws.ToString(t.ResourceId) == resource && t.ScalableDimension == astypes.ScalableDimensionECSServiceDesiredCount
	})
}

// trackingPolicies are the target tracking policies of a service.
func (e *Env) trackingPolicies(ctx context.Context, kind serviceKind) ([]astypes.ScalingPolicy, error) {
	resource, err1 := e.scalingResource(kind)
	all, err2 := e.cloud.ScalingPolicies(ctx)
	if err := cmp.Or(err1, err2); err != nil {
		return nil, err
	}
	return findAll("target tracking policy of "+resource, all, func(p astypes.ScalingPolicy) bool {
		return aws.ToString(p.ResourceId) == resource && p.PolicyType == astypes.PolicyTypeTargetTrackingScaling &&
			p.TargetTrackingScalingPolicyConfiguration != nil
	})
}

func scalingBounds(ctx context.Context, e *Env, rec *recorder, kind serviceKind) error {
	t, err1 := e.scalableTarget(ctx, kind)
	cfg, err2 := e.configuration()
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	x := rec.on(aws.ToString(t.ScalableTargetARN))
	least, most := kind.tasks(cfg)
	x.equal(kind.name+": least tasks", least, t.MinCapacity)
	x.equal(kind.name+": most tasks", most, t.MaxCapacity)
	kind.fewer(rec, least)
	if least == most {
		rec.off(fmt.Sprintf("%s is configured to %d tasks, no more and no fewer", kind.name, least))
	}
	suspended := t.SuspendedState != nil && (aws.ToBool(t.SuspendedState.DynamicScalingInSuspended) || aws.ToBool(t.SuspendedState.DynamicScalingOutSuspended))
	x.equal(kind.name+": scaling suspended", false, suspended)
	return nil
}

func cpuTracking(ctx context.Context, e *Env, rec *recorder, kind serviceKind) error {
	policies, err1 := e.trackingPolicies(ctx, kind)
	cfg, err2 := e.configuration()
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	p, err := findOne("CPU policy of "+kind.name, policies, func(p astypes.ScalingPolicy) bool {
		m := p.TargetTrackingScalingPolicyConfiguration.PredefinedMetricSpecification
		return m != nil && m.PredefinedMetricType == astypes.MetricTypeECSServiceAverageCPUUtilization
	})
	if err != nil {
		return err
	}
	c := p.TargetTrackingScalingPolicyConfiguration
	x := rec.on(aws.ToString(p.PolicyARN))
	x.equal(kind.name+": CPU target in percent", cfg.CPUTargetPercent, c.TargetValue)
	x.equal(kind.name+": scale-in disabled", false, aws.ToBool(c.DisableScaleIn))
	return nil
}

func backlogTracking(ctx context.Context, e *Env, rec *recorder) error {
	policies, err1 := e.trackingPolicies(ctx, serviceKinds()[1])
	queue, err2 := e.queueName(lib.OutputQueueURL)
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	p, err := findOne("backlog policy of "+partJobProcessor, policies, func(p astypes.ScalingPolicy) bool {
		return p.TargetTrackingScalingPolicyConfiguration.CustomizedMetricSpecification != nil
	})
	if err != nil {
		return err
	}
	x := rec.on(aws.ToString(p.PolicyARN))
	target := aws.ToFloat64(p.TargetTrackingScalingPolicyConfiguration.TargetValue)
	x.record("waiting messages per task", "more than 0", target, target > 0)
	x.includes("queues that it watches", []string{queue}, watchedQueues(*p.TargetTrackingScalingPolicyConfiguration.CustomizedMetricSpecification))
	return nil
}

func watchedQueues(m astypes.CustomizedMetricSpecification) []string {
	var names []string
	note := func(dimension, value *string) {
		if aws.ToString(dimension) == "QueueName" {
			names = append(names, aws.ToString(value))
		}
	}
	for _, d := range m.Dimensions {
		note(d.Name, d.Value)
	}
	for _, q := range m.Metrics {
		if q.MetricStat != nil && q.MetricStat.Metric != nil {
			for _, d := range q.MetricStat.Metric.Dimensions {
				note(d.Name, d.Value)
			}
		}
	}
	return names
}
