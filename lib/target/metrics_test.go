package target_test

import (
	"encoding/json"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/require"

	"tapstack/lib/cloud"
	"tapstack/lib/process/processtest"
)

// judge is what evaluation.py makes of data points, the newest last: X breaches, 0 does not, - is missing.
const judge = `
import json, sys
sys.path.insert(0, ".")
from evaluation import judge
told = []
for points, enough in json.load(sys.stdin):
    known = [(i, p == "X") for i, p in enumerate(points) if p != "-"][-3:]
    old = bool(known) and len(points) - known[0][0] >= enough
    told.append([judge([bad for _, bad in known], 3, enough, how, old)[0] for how in ("missing", "ignore", "breaching", "notBreaching")])
print(json.dumps(told))
`

// The tables are those of the CloudWatch user guide, "How alarm state is evaluated when data is missing".
func TestAnAlarmIsEvaluatedAsDocumentedWhereDataIsMissing(t *testing.T) {
	processtest.SkipIfShort(t)
	const alarm, ok, stays, insufficient = "ALARM", "OK", "", "INSUFFICIENT_DATA"
	cases := []struct {
		points                                   string
		enough                                   int
		missing, ignore, breaching, notBreaching string
	}{
		{"0-X-X", 3, ok, ok, ok, ok},
		{"----0", 3, ok, ok, ok, ok},
		{"-----", 3, insufficient, stays, alarm, ok},
		{"0XX-X", 3, alarm, alarm, alarm, alarm},
		{"--X--", 3, alarm, stays, alarm, ok},
		{"----X", 3, stays, stays, alarm, ok},
		{"0-X-X", 2, alarm, alarm, alarm, alarm},
		{"00X0X", 2, alarm, alarm, alarm, alarm},
		{"0-X--", 2, ok, ok, alarm, ok},
		{"----0", 2, ok, ok, alarm, ok},
		{"---X-", 2, alarm, stays, alarm, ok},
	}
	var asked [][]any
	for _, c := range cases {
		asked = append(asked, []any{c.points, c.enough})
	}
	input, err := json.Marshal(asked)
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), "python3", "-c", judge)
	command.Stdin = strings.NewReader(string(input))
	output, err := command.Output()
	require.NoError(t, err)
	var told [][]string
	require.NoError(t, json.Unmarshal(output, &told))
	for i, c := range cases {
		require.Equal(t, []string{c.missing, c.ignore, c.breaching, c.notBreaching}, told[i], "%s, %d of 3", c.points, c.enough)
	}
}

func dimension(name, value string) []cwtypes.Dimension {
	return []cwtypes.Dimension{{Name: &name, Value: &value}}
}

func TestMetricsReadBackAsCloudWatchTellsThem(t *testing.T) {
	c := cloud.NewClients(localMoto(t).Config)
	ctx := t.Context()
	now := time.Now().Truncate(time.Minute)
	balancer := dimension("LoadBalancer", "app/front/1")
	group := append(dimension("TargetGroup", "targetgroup/api/2"), balancer...)
	_, err := c.CloudWatch.PutMetricData(ctx, &cloudwatch.PutMetricDataInput{Namespace: aws.String("Front"), MetricData: []cwtypes.MetricDatum{
		{MetricName: aws.String("Time"), Dimensions: balancer, Timestamp: &now, Values: []float64{0.1, 3}, Counts: []float64{98, 2}, Unit: cwtypes.StandardUnitSeconds},
		{MetricName: aws.String("Time"), Dimensions: group, Timestamp: &now, Value: aws.Float64(7)},
		{MetricName: aws.String("Count"), Dimensions: balancer, Timestamp: &now, StatisticValues: &cwtypes.StatisticSet{
			Minimum: aws.Float64(1), Maximum: aws.Float64(3), Sum: aws.Float64(200), SampleCount: aws.Float64(100),
		}},
	}})
	require.NoError(t, err)
	out, err := c.CloudWatch.GetMetricStatistics(ctx, &cloudwatch.GetMetricStatisticsInput{
		Namespace: aws.String("Front"), MetricName: aws.String("Time"), Dimensions: balancer, Period: aws.Int32(60), StartTime: &now, EndTime: aws.Time(now.Add(time.Minute)),
		Statistics: []cwtypes.Statistic{cwtypes.StatisticSampleCount, cwtypes.StatisticMaximum, cwtypes.StatisticSum},
	})
	require.NoError(t, err)
	require.Len(t, out.Datapoints, 1)
	require.InDeltaSlice(t, []float64{100, 3, 15.8}, []float64{*out.Datapoints[0].SampleCount, *out.Datapoints[0].Maximum, *out.Datapoints[0].Sum}, 1e-9, "the target group's is another metric")
	out, err = c.CloudWatch.GetMetricStatistics(ctx, &cloudwatch.GetMetricStatisticsInput{
		Namespace: aws.String("Front"), MetricName: aws.String("Time"), Dimensions: balancer, Period: aws.Int32(60), StartTime: &now, EndTime: aws.Time(now.Add(time.Minute)),
		ExtendedStatistics: []string{"p50", "p99"},
	})
	require.NoError(t, err)
	require.Equal(t, map[string]float64{"p50": 0.1, "p99": 3}, out.Datapoints[0].ExtendedStatistics)
	require.Equal(t, cwtypes.StandardUnitSeconds, out.Datapoints[0].Unit)

	stat := func(id, name, stat string) cwtypes.MetricDataQuery {
		return cwtypes.MetricDataQuery{Id: &id, ReturnData: aws.Bool(false), MetricStat: &cwtypes.MetricStat{
			Metric: &cwtypes.Metric{Namespace: aws.String("Front"), MetricName: &name, Dimensions: balancer}, Period: aws.Int32(60), Stat: &stat,
		}}
	}
	compute := func(expression string) (*cloudwatch.GetMetricDataOutput, error) {
		return c.CloudWatch.GetMetricData(ctx, &cloudwatch.GetMetricDataInput{StartTime: &now, EndTime: aws.Time(now.Add(time.Minute)), MetricDataQueries: []cwtypes.MetricDataQuery{
			{Id: aws.String("e"), Expression: &expression}, stat("time", "Time", "Sum"), stat("count", "Count", "Average"),
		}})
	}
	data, err := compute("(time + 4.2) / count")
	require.NoError(t, err)
	require.Len(t, data.MetricDataResults, 1)
	require.InDeltaSlice(t, []float64{10}, data.MetricDataResults[0].Values, 1e-9)
	_, err = compute("ANOMALY_DETECTION_BAND(time)")
	require.ErrorContains(t, err, "metrics and numbers only")
	list, err := c.CloudWatch.ListMetrics(ctx, &cloudwatch.ListMetricsInput{Namespace: aws.String("Front")})
	require.NoError(t, err)
	require.Len(t, list.Metrics, 3)
}

func TestEmbeddedMetricsOfALogBecomeMetrics(t *testing.T) {
	c := cloud.NewClients(localMoto(t).Config)
	ctx, group, stream := t.Context(), aws.String("/ecs/api"), aws.String("api/1")
	_, err := c.Logs.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: group})
	require.NoError(t, err)
	_, err = c.Logs.CreateLogStream(ctx, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: group, LogStreamName: stream})
	require.NoError(t, err)
	var events []logtypes.InputLogEvent
	at := time.Now().UnixMilli()
	stamp, _ := json.Marshal(at)
	for _, line := range []string{
		`{"_aws":{"Timestamp":` + string(stamp) + `,"CloudWatchMetrics":[{"Namespace":"Payments","Dimensions":[["service"]],"Metrics":[{"Name":"Took","Unit":"Milliseconds"}]}]},"service":"api","Took":[5,7,9]}`,
		`{"_aws":{"Timestamp":` + string(stamp) + `,"CloudWatchMetrics":[{"Namespace":"Payments","Dimensions":[["none"]],"Metrics":[{"Name":"NoDimension"}]}]},"NoDimension":1}`,
		`{"_aws":{"Timestamp":` + string(stamp) + `,"CloudWatchMetrics":[{"Namespace":"AWS/SQS","Dimensions":[[]],"Metrics":[{"Name":"Reserved"}]}]},"Reserved":1}`,
		`{"_aws":{"Timestamp":` + string(stamp) + `,"CloudWatchMetrics":[{"Namespace":"Payments","Dimensions":[[]],"Metrics":[{"Name":"NoNumber"}]}]},"NoNumber":"1"}`,
		`{"_aws":{"CloudWatchMetrics":{"_aws":7}}}`, `not JSON "_aws"`, `["_aws"]`,
	} {
		events = append(events, logtypes.InputLogEvent{Message: &line, Timestamp: &at})
	}
	_, err = c.Logs.PutLogEvents(ctx, &cloudwatchlogs.PutLogEventsInput{LogGroupName: group, LogStreamName: stream, LogEvents: events})
	require.NoError(t, err)
	list, err := c.CloudWatch.ListMetrics(ctx, &cloudwatch.ListMetricsInput{})
	require.NoError(t, err)
	require.Len(t, list.Metrics, 1, "what is not as specified yields no metric")
	out, err := c.CloudWatch.GetMetricStatistics(ctx, &cloudwatch.GetMetricStatisticsInput{
		Namespace: aws.String("Payments"), MetricName: aws.String("Took"), Dimensions: dimension("service", "api"), Period: aws.Int32(60),
		StartTime: aws.Time(time.UnixMilli(at).Add(-time.Minute)), EndTime: aws.Time(time.UnixMilli(at).Add(time.Minute)), Statistics: []cwtypes.Statistic{cwtypes.StatisticAverage},
	})
	require.NoError(t, err)
	require.Len(t, out.Datapoints, 1)
	require.InDelta(t, 7, *out.Datapoints[0].Average, 0)
}

func TestAMessageInADeadLetterQueueSetsOffItsAlarm(t *testing.T) {
	d := openDoorway(t)
	ctx := t.Context()
	queue, err := d.SQS.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("failed")})
	require.NoError(t, err)
	topic, err := d.SNS.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("alerts")})
	require.NoError(t, err)
	_, err = d.SNS.SetTopicAttributes(ctx, &sns.SetTopicAttributesInput{TopicArn: topic.TopicArn, AttributeName: aws.String("Policy"), AttributeValue: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"cloudwatch.amazonaws.com"},"Action":"sns:Publish","Resource":"` + *topic.TopicArn + `"}]}`)})
	require.NoError(t, err)
	put := cloudwatch.PutMetricAlarmInput{
		AlarmName: aws.String("failed"), Namespace: aws.String("AWS/SQS"), MetricName: aws.String("ApproximateNumberOfMessagesVisible"), Dimensions: dimension("QueueName", "failed"),
		Statistic: cwtypes.StatisticMaximum, Period: aws.Int32(60), EvaluationPeriods: aws.Int32(1), Threshold: aws.Float64(0), TreatMissingData: aws.String("notBreaching"),
		ComparisonOperator: cwtypes.ComparisonOperatorGreaterThanThreshold, AlarmActions: []string{*topic.TopicArn}, OKActions: []string{*topic.TopicArn},
	}
	_, err = d.CloudWatch.PutMetricAlarm(ctx, &put)
	require.NoError(t, err)
	state := func() cwtypes.MetricAlarm {
		out, err := d.CloudWatch.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{"failed"}})
		require.NoError(t, err)
		return out.MetricAlarms[0]
	}
	becomes := func(wanted cwtypes.StateValue) {
		t.Helper()
		require.Eventually(t, func() bool { return state().StateValue == wanted }, 10*time.Second, 50*time.Millisecond)
	}
	status, answer := d.knock(http.MethodPut, d.token, map[string]any{"attached": true, "speed": 240})
	require.Equal(t, http.StatusOK, status, answer)
	_, err = d.SQS.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: queue.QueueUrl, MessageBody: aws.String("a job")})
	require.NoError(t, err)
	becomes(cwtypes.StateValueAlarm)
	require.Regexp(t, `^Threshold Crossed: 1 out of the last 1 datapoints \[1\.0 \(\d\d/\d\d/\d\d \d\d:\d\d:\d\d\)\] was greater than the threshold \(0\.0\) `+
		`\(minimum 1 datapoint for OK -> ALARM transition\)\.$`, aws.ToString(state().StateReason))
	_, err = d.SQS.PurgeQueue(ctx, &sqs.PurgeQueueInput{QueueUrl: queue.QueueUrl})
	require.NoError(t, err)
	becomes(cwtypes.StateValueOk)
	history, err := d.CloudWatch.DescribeAlarmHistory(ctx, &cloudwatch.DescribeAlarmHistoryInput{AlarmName: aws.String("failed"), HistoryItemType: cwtypes.HistoryItemTypeAction})
	require.NoError(t, err)
	require.Len(t, history.AlarmHistoryItems, 2, "the alarm and its end are told")
	for _, item := range history.AlarmHistoryItems {
		require.Equal(t, "Successfully executed action "+*topic.TopicArn, aws.ToString(item.HistorySummary))
	}
	list, err := d.CloudWatch.ListMetrics(ctx, &cloudwatch.ListMetricsInput{Namespace: aws.String("AWS/SQS"), Dimensions: []cwtypes.DimensionFilter{{Name: aws.String("QueueName"), Value: aws.String("failed")}}})
	require.NoError(t, err)
	var names []string
	for _, m := range list.Metrics {
		names = append(names, *m.MetricName)
	}
	require.ElementsMatch(t, []string{
		"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage", "NumberOfMessagesSent", "NumberOfMessagesReceived", "NumberOfMessagesDeleted",
		"NumberOfEmptyReceives", "SentMessageSize",
	}, names, "nothing is in flight, nothing delayed")
}
