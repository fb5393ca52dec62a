package dataplane

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	scalingtypes "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tapstack/lib/cloud"
	"tapstack/lib/process"
)

// meters are what is measured, and what autoscaling makes of it. All is the loop's alone.
type meters struct {
	at       time.Time
	spent    map[int]float64 // seconds of CPU time, by process
	usage    map[string]usage
	targets  []scalingtypes.ScalableTarget
	policies []scalingtypes.ScalingPolicy
	tracking map[string]*tracked // by the policy's ARN
	out, in  map[string]time.Time
}

// usage is what the tasks of a service use on average, in percent of what their task definition gives them.
type usage struct {
	cpu, memory     float64
	running, wanted int
	pending         int
}

var scalingAspect = &aspect{[]string{"application-autoscaling"}, 10 * time.Second, time.Second}

// readScaling reads what is to be scaled, and how.
func (p *Plane) readScaling(ctx context.Context, r *cloud.Reader) error {
	targets, err1 := r.ScalableTargets(ctx)
	policies, err2 := r.ScalingPolicies(ctx)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	p.meters.targets, p.meters.policies = targets, policies
	return nil
}

// measure measures once in each period, tells CloudWatch and scales.
func (p *Plane) measure(ctx context.Context) {
	every := time.Duration(float64(period) / p.options.Speed)
	now := time.Now()
	m := &p.meters
	if now.Sub(m.at) < every {
		return
	}
	first := m.at.IsZero()
	elapsed := now.Sub(m.at).Seconds()
	m.at = now
	spent := map[int]float64{}
	p.mu.Lock()
	m.usage = map[string]usage{}
	for arn, s := range p.services {
		if !s.gone {
			m.usage[arn] = p.use(arn, s, spent, elapsed)
		}
	}
	p.mu.Unlock()
	m.spent = spent
	if first || len(m.usage) == 0 {
		return
	}
	p.problem("metrics", p.putMetrics(ctx, now))
	p.problem("autoscaling", p.scale(ctx, now))
}

// use is what a service's tasks have used since the last time; p.mu is held.
func (p *Plane) use(arn string, s *service, spent map[int]float64, elapsed float64) usage {
	u := usage{wanted: int(s.api.DesiredCount)}
	for _, t := range p.tasks {
		if t.service != arn || !t.active() {
			continue
		}
		if t.status != statusRunning {
			u.pending++
			continue
		}
		u.running++
		units, mebibytes := share(t.definition.Cpu, 1024), share(t.definition.Memory, 2048)
		for _, r := range t.runners {
			seconds, resident := process.Consumed(r.pid)
			if r.pid == 0 {
				continue
			}
			spent[r.pid] = seconds
			if before, known := p.meters.spent[r.pid]; known {
				u.cpu += 100 * (seconds - before) / elapsed / (units / 1024)
			}
			u.memory += 100 * resident / (mebibytes * (1 << 20))
		}
	}
	if u.running > 0 {
		u.cpu /= float64(u.running)
		u.memory /= float64(u.running)
	}
	return u
}

// share is a size of a task definition.
func share(told *string, otherwise float64) float64 {
	if size, err := strconv.ParseFloat(aws.ToString(told), 64); err == nil && size > 0 {
		return size
	}
	return otherwise
}

// putMetrics tells CloudWatch what ECS and Container Insights would tell it.
func (p *Plane) putMetrics(ctx context.Context, now time.Time) error {
	byNamespace := map[string][]cwtypes.MetricDatum{}
	for _, arn := range slices.Sorted(maps.Keys(p.meters.usage)) {
		u := p.meters.usage[arn]
		dimensions := []cwtypes.Dimension{
			{Name: aws.String("ClusterName"), Value: &p.options.Cluster}, {Name: aws.String("ServiceName"), Value: aws.String(last(arn))},
		}
		add := func(namespace, name string, value float64, unit cwtypes.StandardUnit) {
			byNamespace[namespace] = append(byNamespace[namespace], cwtypes.MetricDatum{
				MetricName: &name, Value: &value, Unit: unit, Dimensions: dimensions, Timestamp: &now,
			})
		}
		if u.running > 0 {
			add("AWS/ECS", "CPUUtilization", u.cpu, cwtypes.StandardUnitPercent)
			add("AWS/ECS", "MemoryUtilization", u.memory, cwtypes.StandardUnitPercent)
		}
		add("ECS/ContainerInsights", "RunningTaskCount", float64(u.running), cwtypes.StandardUnitCount)
		add("ECS/ContainerInsights", "PendingTaskCount", float64(u.pending), cwtypes.StandardUnitCount)
		add("ECS/ContainerInsights", "DesiredTaskCount", float64(u.wanted), cwtypes.StandardUnitCount)
	}
	var faults []error
	for _, namespace := range slices.Sorted(maps.Keys(byNamespace)) {
		_, err := p.clients.CloudWatch.PutMetricData(ctx, &cloudwatch.PutMetricDataInput{Namespace: aws.String(namespace), MetricData: byNamespace[namespace]})
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// scale does what the policies of the cluster's services lead to.
func (p *Plane) scale(ctx context.Context, now time.Time) error {
	m := &p.meters
	if m.tracking == nil {
		m.tracking, m.out, m.in = map[string]*tracked{}, map[string]time.Time{}, map[string]time.Time{}
	}
	var faults []error
	for arn, u := range m.usage {
		resource := "service/" + p.options.Cluster + "/" + last(arn)
		i := slices.IndexFunc(m.targets, func(t scalingtypes.ScalableTarget) bool { return aws.ToString(t.ResourceId) == resource })
		if i < 0 {
			continue
		}
		target := m.targets[i]
		suspended := target.SuspendedState
		outAllowed := suspended == nil || !aws.ToBool(suspended.DynamicScalingOutSuspended)
		inAllowed := suspended == nil || !aws.ToBool(suspended.DynamicScalingInSuspended)
		var all []tracked
		var coolOut, coolIn time.Duration
		for _, policy := range m.policies {
			configuration := policy.TargetTrackingScalingPolicyConfiguration
			if aws.ToString(policy.ResourceId) != resource || configuration == nil || aws.ToFloat64(configuration.TargetValue) <= 0 {
				continue
			}
			t := m.tracking[aws.ToString(policy.PolicyARN)]
			if t == nil {
				t = &tracked{}
				m.tracking[aws.ToString(policy.PolicyARN)] = t
			}
			t.target, t.in = *configuration.TargetValue, !aws.ToBool(configuration.DisableScaleIn)
			coolOut = max(coolOut, seconds(configuration.ScaleOutCooldown, 0))
			coolIn = max(coolIn, seconds(configuration.ScaleInCooldown, 0))
			value, err := p.trackedValue(ctx, configuration, u)
			if errors.Is(err, errNoValue) {
				t.above, t.below = 0, 0
			} else if err != nil {
				faults = append(faults, fmt.Errorf("%s: %w", aws.ToString(policy.PolicyName), err))
				continue
			} else {
				t.note(value)
			}
			all = append(all, *t)
		}
		over := func(since time.Time, cool time.Duration) bool {
			return time.Duration(float64(now.Sub(since))*p.options.Speed) >= cool
		}
		least, most := int(aws.ToInt32(target.MinCapacity)), int(aws.ToInt32(target.MaxCapacity))
		to := scaleTo(u.wanted, least, most, all, outAllowed && over(m.out[arn], coolOut), inAllowed && over(m.in[arn], coolIn) && over(m.out[arn], coolIn))
		if to == u.wanted {
			continue
		}
		_, err := p.clients.ECS.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: &p.options.Cluster, Service: &arn, DesiredCount: aws.Int32(int32(to))}) //nolint:gosec // a count
		if err != nil {
			faults = append(faults, err)
			continue
		}
		p.options.Notify(fmt.Sprintf("The data plane: %s scales from %d to %d tasks", last(arn), u.wanted, to))
		if to > u.wanted {
			m.out[arn] = now
		} else {
			m.in[arn] = now
		}
	}
	return errors.Join(faults...)
}

// trackedValue is the value of a policy's metric.
func (p *Plane) trackedValue(ctx context.Context, c *scalingtypes.TargetTrackingScalingPolicyConfiguration, u usage) (float64, error) {
	if u.running == 0 {
		return 0, errNoValue
	}
	if predefined := c.PredefinedMetricSpecification; predefined != nil {
		switch predefined.PredefinedMetricType {
		case scalingtypes.MetricTypeECSServiceAverageCPUUtilization:
			return u.cpu, nil
		case scalingtypes.MetricTypeECSServiceAverageMemoryUtilization:
			return u.memory, nil
		}
		return 0, fmt.Errorf("the metric %s is not measured", predefined.PredefinedMetricType)
	}
	if c.CustomizedMetricSpecification == nil {
		return 0, errors.New("the policy has no metric")
	}
	values := map[string]float64{}
	result, expression := "", map[string]string{}
	for _, q := range c.CustomizedMetricSpecification.Metrics {
		id := aws.ToString(q.Id)
		if q.ReturnData == nil || *q.ReturnData {
			result = id
		}
		if q.Expression != nil {
			expression[id] = *q.Expression
			continue
		}
		if q.MetricStat == nil || q.MetricStat.Metric == nil {
			continue
		}
		metric := q.MetricStat.Metric
		dimensions := cloud.TagMap(metric.Dimensions, func(d scalingtypes.TargetTrackingMetricDimension) (*string, *string) { return d.Name, d.Value })
		value, err := p.measured(ctx, aws.ToString(metric.Namespace), aws.ToString(metric.MetricName), dimensions, u)
		if err != nil {
			return 0, err
		}
		values[id] = value
	}
	if text, is := expression[result]; is {
		return evaluate(text, values)
	}
	value, is := values[result]
	if !is {
		return 0, errors.New("the policy's metric is not understood")
	}
	return value, nil
}

// measured is the value that a metric of AWS has now.
func (p *Plane) measured(ctx context.Context, namespace, name string, dimensions map[string]string, u usage) (float64, error) {
	switch namespace + " " + name {
	case "AWS/ECS CPUUtilization":
		return u.cpu, nil
	case "AWS/ECS MemoryUtilization":
		return u.memory, nil
	case "ECS/ContainerInsights RunningTaskCount":
		return float64(u.running), nil
	case "ECS/ContainerInsights DesiredTaskCount":
		return float64(u.wanted), nil
	case "AWS/SQS ApproximateNumberOfMessagesVisible":
		url, err := p.clients.SQS.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String(dimensions["QueueName"])})
		if err != nil {
			return 0, err
		}
		out, err := p.clients.SQS.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
			QueueUrl: url.QueueUrl, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameApproximateNumberOfMessages},
		})
		if err != nil {
			return 0, err
		}
		return strconv.ParseFloat(out.Attributes[string(sqstypes.QueueAttributeNameApproximateNumberOfMessages)], 64)
	}
	return 0, fmt.Errorf("the metric %s of %s is not measured", name, namespace)
}
