package verify

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tapstack/lib"
	"tapstack/lib/cloud"
)

// Capability is something that a target must be able to show for a check to mean anything. Probe asks the live API and
// never a name or a version. It says no only when the API shows the thing nowhere at all: an explicit wrong value is a
// fault of the stack, not a gap of the target. A probe that errs counts as yes, so that the check runs and fails.
type Capability struct {
	Name   string
	Reason string // why a target without it leaves the check unobservable
	Probe  func(ctx context.Context, e *Env) (bool, error)
}

var (
	capServiceSettings = Capability{
		Name:   "ecs.service-settings",
		Reason: "DescribeServices does not read back the deployment configuration of any service",
		Probe: probeServices(func(s ecstypes.Service) bool {
			return s.DeploymentConfiguration != nil || s.AvailabilityZoneRebalancing != ""
		}),
	}
	capTasks = Capability{
		Name:   "ecs.tasks",
		Reason: "ECS starts no tasks: none runs, none has stopped, and no service tells of an event",
		Probe:  probeTasks,
	}
	capPublicFlag = Capability{
		Name:   "rds.publicly-accessible",
		Reason: "DescribeDBInstances does not say of any instance whether it is public",
		Probe:  probeInstances(func(i rdstypes.DBInstance) bool { return i.PubliclyAccessible != nil }),
	}
	capDatabaseKey = Capability{
		Name:   "rds.key-arn",
		Reason: "DescribeDBClusters names no real KMS key for an encrypted cluster",
		Probe: probeClusters(func(c rdstypes.DBCluster) bool {
			return !aws.ToBool(c.StorageEncrypted) || strings.HasPrefix(aws.ToString(c.KmsKeyId), "arn:")
		}),
	}
	capPerformanceInsights = Capability{
		Name:   "rds.performance-insights",
		Reason: "DescribeDBInstances does not say of any instance whether performance insights are on",
		Probe:  probeInstances(func(i rdstypes.DBInstance) bool { return i.PerformanceInsightsEnabled != nil }),
	}
	capEnhancedMonitoring = Capability{
		Name:   "rds.enhanced-monitoring",
		Reason: "DescribeDBInstances does not read back the monitoring interval of any instance",
		Probe:  probeInstances(func(i rdstypes.DBInstance) bool { return i.MonitoringInterval != nil }),
	}
	capEngineLifecycle = Capability{
		Name:   "rds.engine-lifecycle",
		Reason: "DescribeDBClusters does not read back the engine lifecycle support of any cluster",
		Probe:  probeClusters(func(c rdstypes.DBCluster) bool { return aws.ToString(c.EngineLifecycleSupport) != "" }),
	}
	capRedriveAllow = Capability{
		Name:   "sqs.redrive-allow-policy",
		Reason: "SQS does not know the attribute RedriveAllowPolicy",
		Probe:  probeRedriveAllow,
	}
	capScalingTags = Capability{
		Name:   "application-autoscaling.tags",
		Reason: "Application Auto Scaling does not implement ListTagsForResource",
		Probe:  probeScalingTags,
	}
)

// lacking names the reasons for which the target cannot show what the capabilities stand for.
func (e *Env) lacking(ctx context.Context, needs []Capability) []string {
	var reasons []string
	for _, c := range needs {
		has, err := cloud.Once(ctx, e.cloud, "capability "+c.Name, func(ctx context.Context) (bool, error) { return c.Probe(ctx, e) })
		if err == nil && !has {
			reasons = append(reasons, c.Reason)
		}
	}
	return reasons
}

// probeInstances says yes when there is no instance to ask: then the check fails for want of one.
func probeInstances(shows func(rdstypes.DBInstance) bool) func(context.Context, *Env) (bool, error) {
	return func(ctx context.Context, e *Env) (bool, error) {
		instances, err := e.dbInstances(ctx)
		return anyShows(instances, shows), err
	}
}

func probeClusters(shows func(rdstypes.DBCluster) bool) func(context.Context, *Env) (bool, error) {
	return func(ctx context.Context, e *Env) (bool, error) {
		c, err := e.dbCluster(ctx)
		return shows(c), err
	}
}

func probeServices(shows func(ecstypes.Service) bool) func(context.Context, *Env) (bool, error) {
	return func(ctx context.Context, e *Env) (bool, error) {
		var all []ecstypes.Service
		for _, kind := range serviceKinds() {
			svc, err := e.service(ctx, kind)
			if err != nil {
				return false, err
			}
			all = append(all, svc)
		}
		return anyShows(all, shows), nil
	}
}

func anyShows[T any](items []T, shows func(T) bool) bool {
	return len(items) == 0 || slices.ContainsFunc(items, shows)
}

// probeTasks tells a target that starts no tasks from a service whose tasks fail: the latter leaves events, stopped
// tasks or failure counts behind. A count of running tasks proves nothing where no task can be listed.
func probeTasks(ctx context.Context, e *Env) (bool, error) {
	cluster, err := e.output(lib.OutputEcsClusterName)
	if err != nil {
		return false, err
	}
	tasks, err := e.cloud.ECSTasks(ctx, cluster)
	if err != nil || len(tasks) > 0 {
		return len(tasks) > 0, err
	}
	return probeServices(func(s ecstypes.Service) bool {
		failed := int32(0)
		for _, d := range s.Deployments {
			failed += d.FailedTasks
		}
		return failed > 0 || len(s.Events) > 0
	})(ctx, e)
}

// probeRedriveAllow asks for the attribute by name: SQS leaves out one that is not set, and refuses one that it does not
// know.
func probeRedriveAllow(ctx context.Context, e *Env) (bool, error) {
	address, err := e.output(lib.OutputDlqURL)
	if err != nil {
		return false, err
	}
	_, err = e.cloud.SQS.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &address, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameRedriveAllowPolicy},
	})
	var unknown *sqstypes.InvalidAttributeName
	if errors.As(err, &unknown) {
		return false, nil
	}
	return true, err
}

func probeScalingTags(ctx context.Context, e *Env) (bool, error) {
	target, err := e.scalableTarget(ctx, serviceKinds()[0])
	if err != nil {
		return false, err
	}
	_, err = e.cloud.ScalingTags(ctx, aws.ToString(target.ScalableTargetARN))
	if err != nil && cloud.IsUnimplemented(err) {
		return false, nil
	}
	return true, err
}
