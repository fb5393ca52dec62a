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
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
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
	scaled   map[string]activity // by the service's ARN
	traffic  traffic
}

// usage is what the tasks of a service use on average, in percent of what their task definition gives them.
type usage struct {
	cpu, memory     float64
	running, wanted int
	pending         int
	// deploying says that a deployment is in progress.
	deploying bool
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
	if first {
		return
	}
	f := newFigures(now)
	p.serviceFigures(f)
	p.trafficFigures(f)
	p.problem("metrics", p.put(ctx, f))
	p.problem("autoscaling", p.scale(ctx, now))
	p.measureDatabase(ctx, now)
}

// use is what a service's tasks have used since the last time; p.mu is held.
func (p *Plane) use(arn string, s *service, spent map[int]float64, elapsed float64) usage {
	u := usage{wanted: int(s.api.DesiredCount), deploying: s.primary().state == ecstypes.DeploymentRolloutStateInProgress}
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

// figures are what is told to CloudWatch at one time, by namespace.
type figures struct {
	at          time.Time
	byNamespace map[string][]cwtypes.MetricDatum
}

func newFigures(at time.Time) figures { return figures{at, map[string][]cwtypes.MetricDatum{}} }

// dimensions are a metric's, as pairs of name and value.
func dimensions(pairs ...string) (all []cwtypes.Dimension) {
	for pair := range slices.Chunk(pairs, 2) {
		all = append(all, cwtypes.Dimension{Name: &pair[0], Value: &pair[1]})
	}
	return all
}

func (f figures) add(namespace, name string, value float64, unit cwtypes.StandardUnit, of []cwtypes.Dimension) {
	f.byNamespace[namespace] = append(f.byNamespace[namespace], cwtypes.MetricDatum{MetricName: &name, Value: &value, Unit: unit, Dimensions: of, Timestamp: &f.at})
}

// The limits of PutMetricData (CloudWatch API reference): metrics of a call, and different values of a metric.
const mostMetrics, mostValues = 1000, 150

// addMany adds values of which there are some or many of each.
func (f figures) addMany(namespace, name string, values, counts []float64, unit cwtypes.StandardUnit, of []cwtypes.Dimension) {
	for len(values) > 0 {
		n := min(len(values), mostValues)
		f.byNamespace[namespace] = append(f.byNamespace[namespace], cwtypes.MetricDatum{
			MetricName: &name, Values: values[:n], Counts: counts[:n], Unit: unit, Dimensions: of, Timestamp: &f.at,
		})
		values, counts = values[n:], counts[n:]
	}
}

// put tells CloudWatch.
func (p *Plane) put(ctx context.Context, f figures) error {
	var faults []error
	for _, namespace := range slices.Sorted(maps.Keys(f.byNamespace)) {
		for some := range slices.Chunk(f.byNamespace[namespace], mostMetrics) {
			_, err := p.clients.CloudWatch.PutMetricData(ctx, &cloudwatch.PutMetricDataInput{Namespace: &namespace, MetricData: some})
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// serviceFigures are what ECS and Container Insights would tell.
func (p *Plane) serviceFigures(f figures) {
	for _, arn := range slices.Sorted(maps.Keys(p.meters.usage)) {
		u := p.meters.usage[arn]
		of := dimensions("ClusterName", p.options.Cluster, "ServiceName", last(arn))
		if u.running > 0 {
			f.add("AWS/ECS", "CPUUtilization", u.cpu, cwtypes.StandardUnitPercent, of)
			f.add("AWS/ECS", "MemoryUtilization", u.memory, cwtypes.StandardUnitPercent, of)
		}
		f.add("ECS/ContainerInsights", "RunningTaskCount", float64(u.running), cwtypes.StandardUnitCount, of)
		f.add("ECS/ContainerInsights", "PendingTaskCount", float64(u.pending), cwtypes.StandardUnitCount, of)
		f.add("ECS/ContainerInsights", "DesiredTaskCount", float64(u.wanted), cwtypes.StandardUnitCount, of)
	}
}

// scale does what the policies of the cluster's services lead to.
func (p *Plane) scale(ctx context.Context, now time.Time) error {
	m := &p.meters
	if m.tracking == nil {
		m.tracking, m.scaled = map[string]*tracked{}, map[string]activity{}
	}
	var faults []error
	for arn, u := range m.usage {
		resource := "service/" + p.options.Cluster + "/" + last(arn)
		i := slices.IndexFunc(m.targets, func(t scalingtypes.ScalableTarget) bool { return aws.ToString(t.ResourceId) == resource })
		if i < 0 {
			continue
		}
		policies, err := p.track(ctx, resource, u)
		faults = append(faults, err)
		to := m.scaled[arn].next(m.targets[i], u, policies, func(since time.Time) time.Duration {
			return time.Duration(float64(now.Sub(since)) * p.options.Speed)
		})
		if to == u.wanted {
			continue
		}
		if _, err := p.clients.ECS.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: &p.options.Cluster, Service: &arn, DesiredCount: aws.Int32(int32(to))}); err != nil { //nolint:gosec // a count
			faults = append(faults, err)
			continue
		}
		p.options.Notify(fmt.Sprintf("The data plane: %s scales from %d to %d tasks", last(arn), u.wanted, to))
		m.scaled[arn] = m.scaled[arn].did(u, to, now)
	}
	return errors.Join(faults...)
}

// track takes what the metrics of a service's policies are in this period.
func (p *Plane) track(ctx context.Context, resource string, u usage) (all []tracked, err error) {
	var faults []error
	for _, policy := range p.meters.policies {
		configuration := policy.TargetTrackingScalingPolicyConfiguration
		if aws.ToString(policy.ResourceId) != resource || configuration == nil || aws.ToFloat64(configuration.TargetValue) <= 0 {
			continue
		}
		t := p.meters.tracking[aws.ToString(policy.PolicyARN)]
		if t == nil {
			t = &tracked{}
			p.meters.tracking[aws.ToString(policy.PolicyARN)] = t
		}
		t.target, t.in = *configuration.TargetValue, !aws.ToBool(configuration.DisableScaleIn)
		t.coolOut, t.coolIn = coolDown(configuration.ScaleOutCooldown), coolDown(configuration.ScaleInCooldown)
		value, err := p.trackedValue(ctx, configuration, u)
		if err == nil {
			t.note(value)
		} else { // what is not known makes no policy ready for anything
			t.above, t.below = 0, 0
		}
		if err != nil && !errors.Is(err, errNoValue) {
			faults = append(faults, fmt.Errorf("%s: %w", aws.ToString(policy.PolicyName), err))
		}
		all = append(all, *t)
	}
	return all, errors.Join(faults...)
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
