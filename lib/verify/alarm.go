package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"tapstack/lib"
	"tapstack/lib/cloud"
)

const (
	// publishBound is how long an alarm may take to tell the topic.
	publishBound = 20 * time.Second
	// What the alarm says of the act to those whom it notifies.
	alarmReason   = "tapstack verify shows that this alarm reaches the topic: nothing is wrong, and it is set back at once"
	alarmReasonOK = "tapstack verify is done: the alarm is as it was"
)

var capAlarmHistory = Capability{
	Name:   "cloudwatch.alarm-history",
	Reason: "CloudWatch does not implement DescribeAlarmHistory, which alone tells whether an alarm has reached its topic",
	Probe: func(ctx context.Context, e *Env) (bool, error) {
		// Retries would only repeat what is not implemented.
		_, err := e.cloud.CloudWatch.DescribeAlarmHistory(ctx, &cloudwatch.DescribeAlarmHistoryInput{MaxRecords: aws.Int32(1)}, func(o *cloudwatch.Options) {
			o.RetryMaxAttempts = 1
		})
		if err != nil && cloud.IsUnimplemented(err) {
			return false, nil
		}
		return true, err
	},
}

func alarmChecks() []Check {
	return []Check{
		{
			ID:    "alerts.alarm-publishes",
			Says:  "Use SNS for alerting on critical infrastructure events: an alarm that is set off is published to the topic, as its history tells",
			PCI:   []string{"10.7.2"},
			Needs: []Capability{capAlarmHistory},
			Acts:  true,
			Run:   recorded(alarmPublishes),
		},
	}
}

func alarmPublishes(ctx context.Context, e *Env, rec *recorder) (err error) {
	topic, err := e.output(lib.OutputAlertsTopicArn)
	if err != nil {
		return err
	}
	was, err := e.alarmToSetOff(ctx, topic)
	if err != nil {
		return err
	}
	name := aws.ToString(was.AlarmName)
	earlier, err := e.alarmActions(ctx, name)
	if err != nil {
		return err
	}
	x := rec.on(aws.ToString(was.AlarmArn))
	if err := e.setAlarm(ctx, name, cwtypes.StateValueAlarm, alarmReason); err != nil {
		return err
	}
	defer undo(ctx, &err, undoBound, func(ctx context.Context) error { return e.resetAlarm(ctx, x, was) })
	var published []alarmAction
	_, err = e.poll(ctx, publishBound, func(ctx context.Context) (bool, error) {
		now, err := e.alarmActions(ctx, name)
		published = slices.DeleteFunc(now, func(a alarmAction) bool { return slices.Contains(earlier, a) || a.resource != topic })
		return len(published) > 0, err
	})
	if err != nil {
		return err
	}
	if len(published) == 0 {
		return e.notPublished(ctx, name)
	}
	for _, a := range published {
		x.record("publication to the topic", "Succeeded", strings.TrimSpace(a.state+" "+a.fault), a.state == "Succeeded")
	}
	return nil
}

// notPublished explains why an alarm has notified nobody. CloudWatch records every action that it tries, failed ones too,
// so that a history with the alarm going off and nothing else is that of a target which records no actions.
func (e *Env) notPublished(ctx context.Context, name string) error {
	out, err := e.cloud.CloudWatch.DescribeAlarmHistory(ctx, &cloudwatch.DescribeAlarmHistoryInput{
		AlarmName: &name, ScanBy: cwtypes.ScanByTimestampDescending,
	})
	if err != nil {
		return fmt.Errorf("reading the history of the alarm %s: %w", name, err)
	}
	for _, item := range out.AlarmHistoryItems {
		if item.HistoryItemType == cwtypes.HistoryItemTypeStateUpdate {
			return notObservableError("CloudWatch records that an alarm went off, but not whom it notified")
		}
	}
	return fmt.Errorf("the alarm %s was set off, but in %s its history records neither that nor whom it notified", name, publishBound)
}

// alarmToSetOff is one of the stack's alarms that is not in state ALARM and notifies nobody but the topic.
func (e *Env) alarmToSetOff(ctx context.Context, topic string) (cwtypes.MetricAlarm, error) {
	alarms, err := e.ownAlarms(ctx)
	if err != nil {
		return cwtypes.MetricAlarm{}, err
	}
	return findOne("alarm of this stack that notifies only its topic and is not in state ALARM", alarms, func(a cwtypes.MetricAlarm) bool {
		return aws.ToBool(a.ActionsEnabled) && a.StateValue != cwtypes.StateValueAlarm && slices.Equal(a.AlarmActions, []string{topic})
	})
}

func (e *Env) setAlarm(ctx context.Context, name string, to cwtypes.StateValue, reason string) error {
	_, err := e.cloud.CloudWatch.SetAlarmState(ctx, &cloudwatch.SetAlarmStateInput{AlarmName: &name, StateValue: to, StateReason: &reason})
	if err != nil {
		return fmt.Errorf("setting the alarm %s to %s: %w", name, to, err)
	}
	return nil
}

// resetAlarm sets the alarm back and looks whether it is. CloudWatch may have done so itself by what the metric says.
func (e *Env) resetAlarm(ctx context.Context, x subject, was cwtypes.MetricAlarm) error {
	name := aws.ToString(was.AlarmName)
	if err := e.setAlarm(ctx, name, was.StateValue, alarmReasonOK); err != nil {
		return err
	}
	out, err := e.cloud.CloudWatch.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{name}})
	if err != nil {
		return fmt.Errorf("reading the alarm %s: %w", name, err)
	}
	for _, a := range out.MetricAlarms {
		reason := aws.ToString(a.StateReason)
		x.record("state afterwards", string(was.StateValue)+", or what the metric says", a.StateValue, a.StateValue == was.StateValue || reason != alarmReason)
	}
	return nil
}

// alarmAction is an alarm's telling somebody, as its history has it.
type alarmAction struct {
	at       time.Time
	resource string
	state    string // Succeeded, Failed
	fault    string
}

// alarmActions asks anew each time, newest first. One page holds more than an alarm does in the time of a check.
func (e *Env) alarmActions(ctx context.Context, name string) ([]alarmAction, error) {
	out, err := e.cloud.CloudWatch.DescribeAlarmHistory(ctx, &cloudwatch.DescribeAlarmHistoryInput{
		AlarmName: &name, HistoryItemType: cwtypes.HistoryItemTypeAction, ScanBy: cwtypes.ScanByTimestampDescending,
	})
	if err != nil {
		return nil, fmt.Errorf("reading the history of the alarm %s: %w", name, err)
	}
	var all []alarmAction
	for _, item := range out.AlarmHistoryItems {
		var data struct {
			State    string `json:"actionState"` // Succeeded, Failed
			Resource string `json:"notificationResource"`
			Error    string `json:"error"`
		}
		if err := json.Unmarshal([]byte(aws.ToString(item.HistoryData)), &data); err != nil {
			return nil, fmt.Errorf("reading the history of the alarm %s: %w", name, err)
		}
		all = append(all, alarmAction{aws.ToTime(item.Timestamp).UTC(), data.Resource, data.State, data.Error})
	}
	return all, nil
}
