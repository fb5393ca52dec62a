package appautoscaling

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"

	"tapstack/lib/awsprovider/resource"
	"tapstack/lib/cloud"
)

// PolicyArgs are the inputs of aws:appautoscaling/policy:Policy. Of the policy types, target tracking is implemented.
type PolicyArgs struct {
	Name              string          `pulumi:"name" aws:"forcenew"`
	ServiceNamespace  string          `pulumi:"serviceNamespace" aws:"forcenew"`
	ResourceID        string          `pulumi:"resourceId" aws:"forcenew"`
	ScalableDimension string          `pulumi:"scalableDimension" aws:"forcenew"`
	PolicyType        *string         `pulumi:"policyType,optional"`
	TargetTracking    *TargetTracking `pulumi:"targetTrackingScalingPolicyConfiguration,optional"`
}

// TargetTracking keeps a metric at a value. Cooldowns are in seconds.
type TargetTracking struct {
	TargetValue      float64           `pulumi:"targetValue"`
	ScaleInCooldown  *int              `pulumi:"scaleInCooldown,optional"`
	ScaleOutCooldown *int              `pulumi:"scaleOutCooldown,optional"`
	DisableScaleIn   *bool             `pulumi:"disableScaleIn,optional"`
	Predefined       *PredefinedMetric `pulumi:"predefinedMetricSpecification,optional"`
	Customized       *CustomizedMetric `pulumi:"customizedMetricSpecification,optional"`
}

// PredefinedMetric is a metric that the service knows.
type PredefinedMetric struct {
	PredefinedMetricType string  `pulumi:"predefinedMetricType"`
	ResourceLabel        *string `pulumi:"resourceLabel,optional"`
}

// CustomizedMetric is one metric of CloudWatch, or an expression over several.
type CustomizedMetric struct {
	Namespace  *string       `pulumi:"namespace,optional"`
	MetricName *string       `pulumi:"metricName,optional"`
	Dimensions []Dimension   `pulumi:"dimensions,optional" aws:"set"`
	Statistic  *string       `pulumi:"statistic,optional"`
	Unit       *string       `pulumi:"unit,optional"`
	Metrics    []MetricQuery `pulumi:"metrics,optional" aws:"set"`
}

// MetricQuery is one term of an expression, or the expression itself.
type MetricQuery struct {
	ID         string      `pulumi:"id"`
	Expression *string     `pulumi:"expression,optional"`
	Label      *string     `pulumi:"label,optional"`
	ReturnData *bool       `pulumi:"returnData,optional"`
	MetricStat *MetricStat `pulumi:"metricStat,optional"`
}

// MetricStat is a statistic of a metric.
type MetricStat struct {
	Metric Metric  `pulumi:"metric"`
	Stat   string  `pulumi:"stat"`
	Unit   *string `pulumi:"unit,optional"`
}

// Metric names a metric of CloudWatch.
type Metric struct {
	Namespace  string      `pulumi:"namespace"`
	MetricName string      `pulumi:"metricName"`
	Dimensions []Dimension `pulumi:"dimensions,optional" aws:"set"`
}

// Dimension narrows a metric down.
type Dimension struct {
	Name  string `pulumi:"name"`
	Value string `pulumi:"value"`
}

// PolicyState is the state of aws:appautoscaling/policy:Policy; its id is the policy's name.
type PolicyState struct {
	PolicyArgs
	Arn       string   `pulumi:"arn"`
	AlarmArns []string `pulumi:"alarmArns,optional"`
}

var policy = resource.Description[PolicyArgs, PolicyState]{
	Token: "aws:appautoscaling/policy:Policy",
	Check: checkPolicy,
	Create: func(ctx context.Context, c *resource.Cloud, a PolicyArgs) (string, error) {
		if err := putPolicy(ctx, c, a); err != nil {
			return "", err
		}
		return a.Name, resource.PollThere(ctx, "scaling policy "+a.Name+" is seen", propagation, func(ctx context.Context) (bool, error) {
			_, err := findPolicy(ctx, c, a)
			return err == nil, err
		})
	},
	Read: func(ctx context.Context, c *resource.Cloud, id string, prior PolicyState) (PolicyState, error) {
		wanted := prior.PolicyArgs
		wanted.Name = id
		found, err := findPolicy(ctx, c, wanted)
		if err != nil {
			return prior, err
		}
		s := PolicyState{
			PolicyArgs: PolicyArgs{
				Name: aws.ToString(found.PolicyName), ServiceNamespace: string(found.ServiceNamespace), ResourceID: aws.ToString(found.ResourceId),
				ScalableDimension: string(found.ScalableDimension), PolicyType: aws.String(string(found.PolicyType)),
				TargetTracking: fromAPI(found.TargetTrackingScalingPolicyConfiguration),
			},
			Arn: aws.ToString(found.PolicyARN),
		}
		for _, it := range found.Alarms {
			s.AlarmArns = append(s.AlarmArns, aws.ToString(it.AlarmARN))
		}
		return s, nil
	},
	Update: func(ctx context.Context, c *resource.Cloud, _ string, _ PolicyState, a PolicyArgs) error {
		return putPolicy(ctx, c, a)
	},
	Delete:  deletePolicy,
	Example: policyExample,
}

// checkPolicy fills in the official provider's defaults, cooldowns of 0 among them.
func checkPolicy(a *PolicyArgs) []resource.Fault {
	a.PolicyType = resource.OrPrior(a.PolicyType, aws.String("StepScaling"))
	t := a.TargetTracking
	if t == nil {
		return nil
	}
	t.ScaleInCooldown = resource.OrPrior(t.ScaleInCooldown, aws.Int(0))
	t.ScaleOutCooldown = resource.OrPrior(t.ScaleOutCooldown, aws.Int(0))
	t.DisableScaleIn = resource.OrPrior(t.DisableScaleIn, aws.Bool(false))
	if t.Customized == nil {
		return nil
	}
	for i := range t.Customized.Metrics {
		t.Customized.Metrics[i].ReturnData = resource.OrPrior(t.Customized.Metrics[i].ReturnData, aws.Bool(true))
	}
	if t.Predefined != nil {
		return []resource.Fault{{
			Property: "targetTrackingScalingPolicyConfiguration",
			Reason:   "a predefined and a customized metric exclude each other",
		}}
	}
	return nil
}

func putPolicy(ctx context.Context, c *resource.Cloud, a PolicyArgs) error {
	in := &applicationautoscaling.PutScalingPolicyInput{
		PolicyName: &a.Name, ServiceNamespace: types.ServiceNamespace(a.ServiceNamespace), ResourceId: &a.ResourceID,
		ScalableDimension: types.ScalableDimension(a.ScalableDimension), PolicyType: types.PolicyType(aws.ToString(a.PolicyType)),
		TargetTrackingScalingPolicyConfiguration: toAPI(a.TargetTracking),
	}
	return resource.Retry(ctx, "scaling policy "+a.Name+" is taken", propagation,
		func(err error) bool {
			return cloud.HasCode(err, "FailedResourceAccessException", "ObjectNotFoundException")
		},
		func(ctx context.Context) error {
			_, err := c.AutoScaling.PutScalingPolicy(ctx, in)
			return err
		})
}

func findPolicy(ctx context.Context, c *resource.Cloud, a PolicyArgs) (types.ScalingPolicy, error) {
	pages := applicationautoscaling.NewDescribeScalingPoliciesPaginator(c.AutoScaling, &applicationautoscaling.DescribeScalingPoliciesInput{
		PolicyNames: []string{a.Name}, ServiceNamespace: types.ServiceNamespace(a.ServiceNamespace), ResourceId: &a.ResourceID,
		ScalableDimension: types.ScalableDimension(a.ScalableDimension),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return types.ScalingPolicy{}, err
		}
		i := slices.IndexFunc(page.ScalingPolicies, func(it types.ScalingPolicy) bool {
			return aws.ToString(it.PolicyName) == a.Name && aws.ToString(it.ResourceId) == a.ResourceID &&
				string(it.ScalableDimension) == a.ScalableDimension
		})
		if i >= 0 {
			return page.ScalingPolicies[i], nil
		}
	}
	return types.ScalingPolicy{}, resource.ErrNotFound
}

func deletePolicy(ctx context.Context, c *resource.Cloud, id string, s PolicyState) error {
	wanted := s.PolicyArgs
	wanted.Name = id
	if _, err := findPolicy(ctx, c, wanted); err != nil {
		return err
	}
	err := resource.Retry(ctx, "scaling policy "+id+" can be deleted", propagation,
		func(err error) bool { return cloud.HasCode(err, "FailedResourceAccessException") },
		func(ctx context.Context) error {
			_, err := c.AutoScaling.DeleteScalingPolicy(ctx, &applicationautoscaling.DeleteScalingPolicyInput{
				PolicyName: &id, ServiceNamespace: types.ServiceNamespace(s.ServiceNamespace), ResourceId: &s.ResourceID,
				ScalableDimension: types.ScalableDimension(s.ScalableDimension),
			})
			return err
		})
	if err != nil {
		return err
	}
	return resource.PollGone(ctx, "scaling policy "+id, settle, func(ctx context.Context) error {
		_, err := findPolicy(ctx, c, wanted)
		return err
	})
}

func toAPI(t *TargetTracking) *types.TargetTrackingScalingPolicyConfiguration {
	if t == nil {
		return nil
	}
	out := &types.TargetTrackingScalingPolicyConfiguration{
		TargetValue: &t.TargetValue, DisableScaleIn: t.DisableScaleIn,
		ScaleInCooldown: int32Of(aws.ToInt(t.ScaleInCooldown)), ScaleOutCooldown: int32Of(aws.ToInt(t.ScaleOutCooldown)),
	}
	if p := t.Predefined; p != nil {
		out.PredefinedMetricSpecification = &types.PredefinedMetricSpecification{
			PredefinedMetricType: types.MetricType(p.PredefinedMetricType), ResourceLabel: p.ResourceLabel,
		}
	}
	m := t.Customized
	if m == nil {
		return out
	}
	custom := &types.CustomizedMetricSpecification{
		Namespace: m.Namespace, MetricName: m.MetricName, Unit: m.Unit,
		Statistic: types.MetricStatistic(aws.ToString(m.Statistic)),
	}
	for _, d := range m.Dimensions {
		custom.Dimensions = append(custom.Dimensions, types.MetricDimension{Name: &d.Name, Value: &d.Value})
	}
	for _, q := range m.Metrics {
		custom.Metrics = append(custom.Metrics, types.TargetTrackingMetricDataQuery{
			Id: &q.ID, Expression: q.Expression, Label: q.Label, ReturnData: q.ReturnData, MetricStat: statToAPI(q.MetricStat),
		})
	}
	out.CustomizedMetricSpecification = custom
	return out
}

func statToAPI(s *MetricStat) *types.TargetTrackingMetricStat {
	if s == nil {
		return nil
	}
	metric := &types.TargetTrackingMetric{Namespace: &s.Metric.Namespace, MetricName: &s.Metric.MetricName}
	for _, d := range s.Metric.Dimensions {
		metric.Dimensions = append(metric.Dimensions, types.TargetTrackingMetricDimension{Name: &d.Name, Value: &d.Value})
	}
	return &types.TargetTrackingMetricStat{Metric: metric, Stat: &s.Stat, Unit: s.Unit}
}

func fromAPI(t *types.TargetTrackingScalingPolicyConfiguration) *TargetTracking {
	if t == nil {
		return nil
	}
	out := &TargetTracking{
		TargetValue: aws.ToFloat64(t.TargetValue), ScaleInCooldown: intOf(t.ScaleInCooldown),
		ScaleOutCooldown: intOf(t.ScaleOutCooldown), DisableScaleIn: aws.Bool(aws.ToBool(t.DisableScaleIn)),
	}
	if p := t.PredefinedMetricSpecification; p != nil {
		out.Predefined = &PredefinedMetric{PredefinedMetricType: string(p.PredefinedMetricType), ResourceLabel: p.ResourceLabel}
	}
	m := t.CustomizedMetricSpecification
	if m == nil {
		return out
	}
	custom := &CustomizedMetric{Namespace: m.Namespace, MetricName: m.MetricName, Unit: m.Unit}
	if m.Statistic != "" {
		custom.Statistic = aws.String(string(m.Statistic))
	}
	for _, d := range m.Dimensions {
		custom.Dimensions = append(custom.Dimensions, Dimension{Name: aws.ToString(d.Name), Value: aws.ToString(d.Value)})
	}
	for _, q := range m.Metrics {
		custom.Metrics = append(custom.Metrics, MetricQuery{
			ID: aws.ToString(q.Id), Expression: q.Expression, Label: q.Label, MetricStat: statFromAPI(q.MetricStat),
			ReturnData: resource.OrPrior(q.ReturnData, aws.Bool(true)),
		})
	}
	out.Customized = custom
	return out
}

func statFromAPI(s *types.TargetTrackingMetricStat) *MetricStat {
	if s == nil {
		return nil
	}
	out := &MetricStat{Stat: aws.ToString(s.Stat), Unit: s.Unit}
	if m := s.Metric; m != nil {
		out.Metric.Namespace, out.Metric.MetricName = aws.ToString(m.Namespace), aws.ToString(m.MetricName)
		for _, d := range m.Dimensions {
			out.Metric.Dimensions = append(out.Metric.Dimensions, Dimension{Name: aws.ToString(d.Name), Value: aws.ToString(d.Value)})
		}
	}
	return out
}

// intOf is a cooldown; the API's silence is the 0 that was sent.
func intOf(n *int32) *int { return aws.Int(int(aws.ToInt32(n))) }

// policyExample tracks the CPU first, then a backlog per task.
func policyExample(x resource.Scratch) resource.Example[PolicyArgs] {
	id := exampleService(x)
	x.Make("aws:appautoscaling/target:Target", map[string]any{
		"serviceNamespace": "ecs", "resourceId": id, "scalableDimension": "ecs:service:DesiredCount", "minCapacity": 1, "maxCapacity": 4,
	})
	return resource.Example[PolicyArgs]{
		Inputs: PolicyArgs{
			Name: x.Name("scaling"), PolicyType: aws.String("TargetTrackingScaling"),
			ServiceNamespace: "ecs", ResourceID: id, ScalableDimension: "ecs:service:DesiredCount",
			TargetTracking: &TargetTracking{
				TargetValue: 60, ScaleInCooldown: aws.Int(300), ScaleOutCooldown: aws.Int(60),
				Predefined: &PredefinedMetric{PredefinedMetricType: "ECSServiceAverageCPUUtilization"},
			},
		},
		Changes: []resource.Change[PolicyArgs]{
			{Name: "target value", Apply: func(a *PolicyArgs) { a.TargetTracking.TargetValue = 72.5 }},
			{Name: "cooldowns", Apply: func(a *PolicyArgs) {
				a.TargetTracking.ScaleInCooldown, a.TargetTracking.ScaleOutCooldown = aws.Int(120), nil
			}},
			{Name: "no scaling in", Apply: func(a *PolicyArgs) { a.TargetTracking.DisableScaleIn = aws.Bool(true) }},
			{Name: "metric", Apply: func(a *PolicyArgs) {
				a.TargetTracking.Predefined, a.TargetTracking.Customized = nil, backlogPerTask()
			}},
			{Name: "one metric", Apply: func(a *PolicyArgs) {
				a.TargetTracking.Customized = &CustomizedMetric{
					Namespace: aws.String("AWS/SQS"), MetricName: aws.String("ApproximateNumberOfMessagesVisible"),
					Statistic: aws.String("Average"), Unit: aws.String("Count"), Dimensions: []Dimension{{Name: "QueueName", Value: "jobs"}},
				}
			}},
		},
	}
}

// backlogPerTask is an example's metric math.
func backlogPerTask() *CustomizedMetric {
	stat := func(id, namespace, name string, dimensions ...Dimension) MetricQuery {
		return MetricQuery{ID: id, ReturnData: aws.Bool(false), MetricStat: &MetricStat{
			Stat: "Average", Metric: Metric{Namespace: namespace, MetricName: name, Dimensions: dimensions},
		}}
	}
	return &CustomizedMetric{Metrics: []MetricQuery{
		stat("backlog", "AWS/SQS", "ApproximateNumberOfMessagesVisible", Dimension{"QueueName", "jobs"}),
		stat("tasks", "ECS/ContainerInsights", "RunningTaskCount", Dimension{"ServiceName", "s"}, Dimension{"ClusterName", "c"}),
		{ID: "per_task", Expression: aws.String("backlog / tasks"), Label: aws.String("Backlog per task")},
	}}
}
