package verify

import (
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/stretchr/testify/assert"
)

// watch is CloudWatch with one alarm.
type watch struct {
	state  cwtypes.StateValue
	reason string
	tells  string // the history data that setting the alarm off leaves; empty leaves none
	stays  bool   // the alarm cannot be set back
	ignore bool   // it is set back in word only
	mute   bool   // the history tells of no actions
	busy   bool   // it tells others than the topic as well
	set    []cwtypes.StateValue

	history []cwtypes.AlarmHistoryItem
}

const (
	published = `{"actionState":"Succeeded","notificationResource":"` + testTopic + `","publishedMessage":"{}"}`
	rejected  = `{"actionState":"Failed","notificationResource":"` + testTopic + `","error":"not authorized to perform: SNS:Publish"}`
	elsewhere = `{"actionState":"Succeeded","notificationResource":"arn:aws:sns:us-east-1:123456789012:another"}`
)

func (w *watch) api() acts {
	if w.state == "" {
		w.state = cwtypes.StateValueOk
	}
	remember := func(data string) {
		w.history = append(w.history, cwtypes.AlarmHistoryItem{Timestamp: aws.Time(time.Now()), HistoryData: aws.String(data)})
	}
	return acts{
		"DescribeAlarms": func(any) (any, error) {
			a := cwtypes.MetricAlarm{
				AlarmName: aws.String("queue-age-alarm-dev"), AlarmArn: aws.String("arn:aws:cloudwatch:us-east-1:123456789012:alarm:queue-age-alarm-dev"),
				ActionsEnabled: aws.Bool(true), AlarmActions: []string{testTopic}, StateValue: w.state, StateReason: &w.reason,
			}
			if w.busy {
				a.AlarmActions = append(a.AlarmActions, "arn:aws:automate:us-east-1:ec2:reboot")
			}
			return &cloudwatch.DescribeAlarmsOutput{MetricAlarms: []cwtypes.MetricAlarm{a}}, nil
		},
		"SetAlarmState": func(in any) (any, error) {
			to := in.(*cloudwatch.SetAlarmStateInput)
			w.set = append(w.set, to.StateValue)
			if len(w.set) > 1 && w.stays {
				return nil, errors.New("AccessDenied")
			}
			if len(w.set) == 1 || !w.ignore {
				w.state, w.reason = to.StateValue, *to.StateReason
			}
			if to.StateValue == cwtypes.StateValueAlarm && w.tells != "" {
				remember(w.tells)
			}
			return &cloudwatch.SetAlarmStateOutput{}, nil
		},
		"DescribeAlarmHistory": func(in any) (any, error) {
			if in.(*cloudwatch.DescribeAlarmHistoryInput).HistoryItemType == "" && w.mute {
				return &cloudwatch.DescribeAlarmHistoryOutput{AlarmHistoryItems: []cwtypes.AlarmHistoryItem{{HistoryItemType: cwtypes.HistoryItemTypeStateUpdate}}}, nil
			}
			return &cloudwatch.DescribeAlarmHistoryOutput{AlarmHistoryItems: slices.Clone(w.history)}, nil
		},
	}
}

func TestAnAlarmIsSetOffSeenInItsHistoryAndSetBack(t *testing.T) {
	old := cwtypes.AlarmHistoryItem{Timestamp: aws.Time(time.Now().Add(-time.Hour)), HistoryData: aws.String(published)}
	thereAndBack := []cwtypes.StateValue{"ALARM", "OK"}
	for what, c := range map[string]struct {
		cloud watch
		want  Status
		set   []cwtypes.StateValue
	}{
		"published":                     {watch{tells: published}, Passed, thereAndBack},
		"published, without data yet":   {watch{tells: published, state: "INSUFFICIENT_DATA"}, Passed, []cwtypes.StateValue{"ALARM", "INSUFFICIENT_DATA"}},
		"the topic does not let it in":  {watch{tells: rejected}, Failed, thereAndBack},
		"nothing is tried":              {watch{}, Failed, thereAndBack},
		"only an earlier one succeeded": {watch{history: []cwtypes.AlarmHistoryItem{old}}, Failed, thereAndBack},
		"another topic is told":         {watch{tells: elsewhere}, Failed, thereAndBack},
		"the history cannot be read":    {watch{tells: "no JSON"}, Failed, thereAndBack},
		"it cannot be set back":         {watch{tells: published, stays: true}, Failed, thereAndBack},
		"it is not set back":            {watch{tells: published, ignore: true}, Failed, thereAndBack},
		"the history has no actions":    {watch{mute: true}, NotObservable, thereAndBack},
		"nor can it be set back":        {watch{mute: true, stays: true}, Failed, thereAndBack},
		"nor is it set back":            {watch{mute: true, ignore: true}, Failed, thereAndBack},
		"it goes off already":           {watch{tells: published, state: "ALARM"}, Failed, nil},
		"it does more than to tell":     {watch{tells: published, busy: true}, Failed, nil},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			got := c.cloud.api().run(t, nil, "alerts.alarm-publishes").Results[0]
			assert.Equal(t, c.want, got.Status, got.Reason)
			assert.Equal(t, c.set, c.cloud.set, "what the alarm was set to")
		})
	}
}

func TestWhatCannotBeObservedIsAFaultWhereNothingMayBe(t *testing.T) {
	strict := runOne(t.Context(), testEnv(), Check{Run: seeing(func(*recorder) error { return notObservableError("no actions") })}, true)
	assert.Equal(t, Failed, strict.Status)
}

func TestWithoutHistoryNoAlarmIsSetOff(t *testing.T) {
	w := watch{}
	cloud := w.api()
	cloud["DescribeAlarmHistory"] = &awshttp.ResponseError{ResponseError: &smithyhttp.ResponseError{
		Response: &smithyhttp.Response{Response: &http.Response{StatusCode: http.StatusNotImplemented}}, Err: errors.New("not implemented"),
	}}
	report := cloud.run(t, nil, "alerts.alarm-publishes")
	assert.Equal(t, 1, report.Counts.NotObservable)
	assert.Empty(t, w.set)
}
