package cloudwatch

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"tapstack/lib/awsprovider/resource"
)

// MetricAlarmArgs are the inputs of aws:cloudwatch/metricAlarm:MetricAlarm. Periods are in seconds.
type MetricAlarmArgs struct {
	resource.Tagged
	Name                              string            `pulumi:"name" aws:"forcenew"`
	AlarmDescription                  *string           `pulumi:"alarmDescription,optional"`
	ComparisonOperator                string            `pulumi:"comparisonOperator"`
	EvaluationPeriods                 int               `pulumi:"evaluationPeriods"`
	DatapointsToAlarm                 *int              `pulumi:"datapointsToAlarm,optional"`
	Threshold                         *float64          `pulumi:"threshold,optional"`
	ThresholdMetricID                 *string           `pulumi:"thresholdMetricId,optional"`
	TreatMissingData                  *string           `pulumi:"treatMissingData,optional"`
	EvaluateLowSampleCountPercentiles *string           `pulumi:"evaluateLowSampleCountPercentiles,optional" aws:"computed"`
	Namespace                         *string           `pulumi:"namespace,optional"`
	MetricName                        *string           `pulumi:"metricName,optional"`
	Dimensions                        map[string]string `pulumi:"dimensions,optional"`
	Statistic                         *string           `pulumi:"statistic,optional"`
	ExtendedStatistic                 *string           `pulumi:"extendedStatistic,optional"`
	Period                            *int              `pulumi:"period,optional"`
	Unit                              *string           `pulumi:"unit,optional"`
	MetricQueries                     []MetricQuery     `pulumi:"metricQueries,optional" aws:"set"`
	ActionsEnabled                    *bool             `pulumi:"actionsEnabled,optional"`
	AlarmActions                      []string          `pulumi:"alarmActions,optional" aws:"set"`
	OkActions                         []string          `pulumi:"okActions,optional" aws:"set"`
	InsufficientDataActions           []string          `pulumi:"insufficientDataActions,optional" aws:"set"`
}

// MetricQuery is one metric or one metric math expression of an alarm.
type MetricQuery struct {
	ID         string  `pulumi:"id"`
	AccountID  *string `pulumi:"accountId,optional"`
	Expression *string `pulumi:"expression,optional"`
	Label      *string `pulumi:"label,optional"`
	Period     *int    `pulumi:"period,optional"`
	ReturnData *bool   `pulumi:"returnData,optional"`
	Metric     *Metric `pulumi:"metric,optional"`
}

// Metric is what a query retrieves.
type Metric struct {
	MetricName string            `pulumi:"metricName"`
	Namespace  *string           `pulumi:"namespace,optional"`
	Dimensions map[string]string `pulumi:"dimensions,optional"`
	Period     int               `pulumi:"period"`
	Stat       string            `pulumi:"stat"`
	Unit       *string           `pulumi:"unit,optional"`
}

// MetricAlarmState is its state; the id is the alarm's name.
type MetricAlarmState struct {
	MetricAlarmArgs
	resource.AllTags
	Arn string `pulumi:"arn"`
}

// missingDataDefault is how CloudWatch treats missing data when nothing is said (PutMetricAlarm).
const missingDataDefault = "missing"

var metricAlarm = resource.Description[MetricAlarmArgs, MetricAlarmState]{
	Token: "aws:cloudwatch/metricAlarm:MetricAlarm",
	Check: checkAlarm,
	Create: func(ctx context.Context, c *resource.Cloud, a MetricAlarmArgs) (string, error) {
		in := putAlarmInput(a)
		in.Tags = alarmTags(a.Tags)
		if _, err := c.CloudWatch.PutMetricAlarm(ctx, in); err != nil {
			return "", err
		}
		return a.Name, nil
	},
	Read: readAlarm,
	Update: func(ctx context.Context, c *resource.Cloud, _ string, old MetricAlarmState, a MetricAlarmArgs) error {
		if err := updateAlarmTags(ctx, c, old.Arn, old.Tags, a.Tags); err != nil {
			return err
		}
		if resource.OnlyTagsDiffer(old.MetricAlarmArgs, a) {
			return nil
		}
		// PutMetricAlarm replaces the whole definition and ignores tags on an alarm that exists.
		_, err := c.CloudWatch.PutMetricAlarm(ctx, putAlarmInput(a))
		return err
	},
	Delete: func(ctx context.Context, c *resource.Cloud, id string, _ MetricAlarmState) error {
		_, err := c.CloudWatch.DeleteAlarms(ctx, &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{id}})
		if err != nil {
			return err
		}
		return resource.PollGone(ctx, "alarm "+id, propagation, func(ctx context.Context) error {
			_, err := findAlarm(ctx, c, id)
			return err
		})
	},
	Example: func(x resource.Scratch) resource.Example[MetricAlarmArgs] {
		topic := "arn:aws:sns:us-east-1:123456789012:" + x.Name("topic")
		return resource.Example[MetricAlarmArgs]{
			Inputs: MetricAlarmArgs{
				Name: x.Name("alarm"), AlarmDescription: aws.String("Too many errors"),
				ComparisonOperator: "GreaterThanThreshold", EvaluationPeriods: 3, DatapointsToAlarm: aws.Int(2),
				Threshold: aws.Float64(5), Namespace: aws.String("AWS/ApplicationELB"),
				MetricName: aws.String("HTTPCode_ELB_5XX_Count"), Statistic: aws.String("Sum"), Period: aws.Int(60),
				Dimensions: map[string]string{"LoadBalancer": "app/alb/1"}, TreatMissingData: aws.String("notBreaching"),
				AlarmActions: []string{topic}, OkActions: []string{topic},
				Tagged: resource.Tagged{Tags: map[string]string{"Name": "alarm"}},
			},
			Changes: []resource.Change[MetricAlarmArgs]{
				{Name: "threshold and periods", Apply: func(a *MetricAlarmArgs) {
					a.Threshold, a.EvaluationPeriods, a.DatapointsToAlarm, a.Period = aws.Float64(0.5), 5, nil, aws.Int(300)
				}},
				{Name: "percentile", Apply: func(a *MetricAlarmArgs) { a.Statistic, a.ExtendedStatistic = nil, aws.String("p99") }},
				{Name: "dimensions", Apply: func(a *MetricAlarmArgs) {
					a.Dimensions = map[string]string{"LoadBalancer": "app/alb/1", "TargetGroup": "targetgroup/api/1"}
				}},
				{Name: "treatment of missing data", Apply: func(a *MetricAlarmArgs) { a.TreatMissingData = nil }},
				{Name: "actions", Apply: func(a *MetricAlarmArgs) { a.AlarmActions, a.OkActions = []string{topic, topic + "-2"}, nil }},
				{Name: "actions disabled", Apply: func(a *MetricAlarmArgs) { a.ActionsEnabled = aws.Bool(false) }},
				{Name: "description", Apply: func(a *MetricAlarmArgs) { a.AlarmDescription = nil }},
				{Name: "tags", Apply: func(a *MetricAlarmArgs) { a.Tags = map[string]string{"More": "yes"} }},
				{Name: "metric math", Apply: exampleMath},
			},
		}
	},
}

// exampleMath turns an alarm on one metric into one on an expression.
func exampleMath(a *MetricAlarmArgs) {
	a.Namespace, a.MetricName, a.Dimensions, a.ExtendedStatistic, a.Period = nil, nil, nil, nil, nil
	dimensions := map[string]string{"ClusterName": "ecs", "ServiceName": "api"}
	for i, name := range []string{"RunningTaskCount", "DesiredTaskCount"} {
		a.MetricQueries = append(a.MetricQueries, MetricQuery{ID: fmt.Sprintf("m%d", i), Metric: &Metric{
			Namespace: aws.String("ECS/ContainerInsights"), MetricName: name, Period: 60, Stat: "Average", Dimensions: dimensions,
		}})
	}
	a.MetricQueries = append(a.MetricQueries, MetricQuery{
		ID: "missing", Expression: aws.String("m1 - m0"), Label: aws.String("missing tasks"), ReturnData: aws.Bool(true),
	})
}

// checkAlarm fills in defaults and refuses what cannot go together.
func checkAlarm(a *MetricAlarmArgs) []resource.Fault {
	if a.ActionsEnabled == nil {
		a.ActionsEnabled = aws.Bool(true)
	}
	if a.TreatMissingData == nil {
		a.TreatMissingData = aws.String(missingDataDefault)
	}
	var faults []resource.Fault
	fault := func(wrong bool, property, reason string) {
		if wrong {
			faults = append(faults, resource.Fault{Property: property, Reason: reason})
		}
	}
	math := len(a.MetricQueries) > 0
	for _, p := range []struct {
		name string
		set  bool
	}{
		{"metricName", a.MetricName != nil},
		{"namespace", a.Namespace != nil},
		{"period", a.Period != nil},
		{"dimensions", len(a.Dimensions) > 0},
		{"statistic", a.Statistic != nil},
		{"extendedStatistic", a.ExtendedStatistic != nil},
	} {
		fault(math && p.set, p.name, "conflicts with metricQueries")
	}
	fault(a.Statistic != nil && a.ExtendedStatistic != nil, "statistic", "conflicts with extendedStatistic")
	fault(a.Threshold != nil && a.ThresholdMetricID != nil, "threshold", "conflicts with thresholdMetricId")
	fault(len(a.OkActions) > 5, "okActions", "at most 5")
	fault(len(a.InsufficientDataActions) > 5, "insufficientDataActions", "at most 5")
	fault(a.Period != nil && !period(*a.Period, 10, 20, 30), "period", "must be 10, 20, 30 or a multiple of 60 seconds")
	fault(unknownValue(types.ComparisonOperator(a.ComparisonOperator)), "comparisonOperator", "is not one that CloudWatch knows")
	fault(unknownValue(types.Statistic(aws.ToString(a.Statistic))), "statistic", "is not one that CloudWatch knows")
	for i := range a.MetricQueries {
		q := &a.MetricQueries[i]
		if q.ReturnData == nil {
			q.ReturnData = aws.Bool(false)
		}
		fault(q.Metric != nil && q.Expression != nil, "metricQueries", q.ID+" has both a metric and an expression")
		fault(q.Metric != nil && !period(q.Metric.Period, 1, 5, 10, 20, 30), "metricQueries",
			q.ID+": the period must be 1, 5, 10, 20, 30 or a multiple of 60 seconds")
	}
	return faults
}

// period says whether a period in seconds is one of the short ones or whole minutes. Zero is not known yet.
func period(seconds int, short ...int) bool {
	return seconds%60 == 0 || slices.Contains(short, seconds)
}

// unknownValue says whether a value is given that its enumeration lacks.
func unknownValue[E interface {
	~string
	Values() []E
}](v E,
) bool {
	return v != "" && !slices.Contains(v.Values(), v)
}

func readAlarm(ctx context.Context, c *resource.Cloud, id string, prior MetricAlarmState) (MetricAlarmState, error) {
	alarm, err := findAlarm(ctx, c, id)
	if err != nil {
		return prior, err
	}
	tags, err := c.CloudWatch.ListTagsForResource(ctx, &cloudwatch.ListTagsForResourceInput{ResourceARN: alarm.AlarmArn})
	if err != nil {
		return prior, fmt.Errorf("listing the tags of alarm %s: %w", id, err)
	}
	s := MetricAlarmState{Arn: aws.ToString(alarm.AlarmArn), MetricAlarmArgs: MetricAlarmArgs{
		Name: aws.ToString(alarm.AlarmName), AlarmDescription: alarm.AlarmDescription,
		ComparisonOperator: string(alarm.ComparisonOperator), EvaluationPeriods: int(aws.ToInt32(alarm.EvaluationPeriods)),
		DatapointsToAlarm: resource.Int(alarm.DatapointsToAlarm), Threshold: alarm.Threshold, ThresholdMetricID: alarm.ThresholdMetricId,
		TreatMissingData:                  aws.String(missingDataDefault),
		EvaluateLowSampleCountPercentiles: alarm.EvaluateLowSampleCountPercentile, Namespace: alarm.Namespace,
		MetricName: alarm.MetricName, Dimensions: dimensionMap(alarm.Dimensions), Statistic: resource.Text(alarm.Statistic),
		ExtendedStatistic: alarm.ExtendedStatistic, Period: resource.Int(alarm.Period), Unit: resource.Text(alarm.Unit),
		MetricQueries: queriesOf(alarm.Metrics), ActionsEnabled: alarm.ActionsEnabled, AlarmActions: alarm.AlarmActions,
		OkActions: alarm.OKActions, InsufficientDataActions: alarm.InsufficientDataActions,
	}}
	if alarm.TreatMissingData != nil {
		s.TreatMissingData = alarm.TreatMissingData
	}
	s.Tags = resource.TagMap(tags.Tags, func(t types.Tag) (k, v *string) { return t.Key, t.Value })
	s.TagsAll = s.Tags
	return s, nil
}

func findAlarm(ctx context.Context, c *resource.Cloud, name string) (types.MetricAlarm, error) {
	out, err := c.CloudWatch.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{
		AlarmNames: []string{name}, AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm},
	})
	if err != nil {
		return types.MetricAlarm{}, err
	}
	if len(out.MetricAlarms) == 0 {
		return types.MetricAlarm{}, resource.ErrNotFound
	}
	return out.MetricAlarms[0], nil
}

func putAlarmInput(a MetricAlarmArgs) *cloudwatch.PutMetricAlarmInput {
	return &cloudwatch.PutMetricAlarmInput{
		AlarmName: &a.Name, AlarmDescription: a.AlarmDescription,
		ComparisonOperator: types.ComparisonOperator(a.ComparisonOperator),
		EvaluationPeriods:  resource.Int32(&a.EvaluationPeriods), DatapointsToAlarm: resource.Int32(a.DatapointsToAlarm),
		Threshold: a.Threshold, ThresholdMetricId: a.ThresholdMetricID, TreatMissingData: a.TreatMissingData,
		EvaluateLowSampleCountPercentile: a.EvaluateLowSampleCountPercentiles, Namespace: a.Namespace, MetricName: a.MetricName,
		Dimensions: dimensionList(a.Dimensions), Statistic: types.Statistic(aws.ToString(a.Statistic)),
		ExtendedStatistic: a.ExtendedStatistic, Period: resource.Int32(a.Period), Unit: types.StandardUnit(aws.ToString(a.Unit)),
		Metrics: queryList(a.MetricQueries), ActionsEnabled: a.ActionsEnabled, AlarmActions: a.AlarmActions,
		OKActions: a.OkActions, InsufficientDataActions: a.InsufficientDataActions,
	}
}

func queryList(queries []MetricQuery) []types.MetricDataQuery {
	var list []types.MetricDataQuery
	for _, q := range queries {
		out := types.MetricDataQuery{
			Id: &q.ID, AccountId: q.AccountID, Expression: q.Expression, Label: q.Label, Period: resource.Int32(q.Period),
			ReturnData: q.ReturnData,
		}
		if m := q.Metric; m != nil {
			out.MetricStat = &types.MetricStat{
				Metric: &types.Metric{Namespace: m.Namespace, MetricName: &m.MetricName, Dimensions: dimensionList(m.Dimensions)},
				Period: resource.Int32(&m.Period), Stat: &m.Stat, Unit: types.StandardUnit(aws.ToString(m.Unit)),
			}
		}
		list = append(list, out)
	}
	return list
}

func queriesOf(list []types.MetricDataQuery) []MetricQuery {
	var queries []MetricQuery
	for _, q := range list {
		out := MetricQuery{
			ID: aws.ToString(q.Id), AccountID: q.AccountId, Expression: q.Expression, Label: q.Label, Period: resource.Int(q.Period),
			ReturnData: aws.Bool(aws.ToBool(q.ReturnData)),
		}
		if m := q.MetricStat; m != nil && m.Metric != nil {
			out.Metric = &Metric{
				MetricName: aws.ToString(m.Metric.MetricName), Namespace: m.Metric.Namespace,
				Dimensions: dimensionMap(m.Metric.Dimensions), Period: int(aws.ToInt32(m.Period)), Stat: aws.ToString(m.Stat),
				Unit: resource.Text(m.Unit),
			}
		}
		queries = append(queries, out)
	}
	return queries
}

func dimensionList(m map[string]string) []types.Dimension {
	return resource.TagList(m, func(k, v string) types.Dimension { return types.Dimension{Name: &k, Value: &v} })
}

func dimensionMap(list []types.Dimension) map[string]string {
	m := map[string]string{}
	for _, d := range list {
		m[aws.ToString(d.Name)] = aws.ToString(d.Value)
	}
	return m
}

func alarmTags(tags map[string]string) []types.Tag {
	return resource.TagList(tags, func(k, v string) types.Tag { return types.Tag{Key: &k, Value: &v} })
}

func updateAlarmTags(ctx context.Context, c *resource.Cloud, arn string, old, now map[string]string) error {
	return resource.UpdateTags(old, now, func(keys []string) (any, error) {
		return c.CloudWatch.UntagResource(ctx, &cloudwatch.UntagResourceInput{ResourceARN: &arn, TagKeys: keys})
	}, func(tags map[string]string) (any, error) {
		return c.CloudWatch.TagResource(ctx, &cloudwatch.TagResourceInput{ResourceARN: &arn, Tags: alarmTags(tags)})
	})
}
