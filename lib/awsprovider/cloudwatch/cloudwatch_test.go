package cloudwatch

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/stretchr/testify/assert"

	"tapstack/lib/awsprovider/resource"
)

// targets answers every JSON call with an empty object, without a network, and keeps the operations' names.
type targets struct{ called []string }

func (t *targets) Do(req *http.Request) (*http.Response, error) {
	_, operation, _ := strings.Cut(req.Header.Get("X-Amz-Target"), ".")
	t.called = append(t.called, operation)
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}},
		Body: io.NopCloser(strings.NewReader("{}")),
	}, nil
}

func TestALogGroupIsChangedInPlace(t *testing.T) {
	const arn = "arn:aws:logs:us-east-1:123456789012:log-group:/ecs/api"
	for name, it := range map[string]struct {
		old, now LogGroupArgs
		want     []string
	}{
		"key added":      {LogGroupArgs{}, LogGroupArgs{KmsKeyID: aws.String("key")}, []string{"AssociateKmsKey"}},
		"key removed":    {LogGroupArgs{KmsKeyID: aws.String("key")}, LogGroupArgs{}, []string{"DisassociateKmsKey"}},
		"retention":      {LogGroupArgs{}, LogGroupArgs{RetentionInDays: aws.Int(30)}, []string{"PutRetentionPolicy"}},
		"kept for ever":  {LogGroupArgs{RetentionInDays: aws.Int(30)}, LogGroupArgs{RetentionInDays: aws.Int(0)}, []string{"DeleteRetentionPolicy"}},
		"nothing at all": {LogGroupArgs{RetentionInDays: aws.Int(30)}, LogGroupArgs{RetentionInDays: aws.Int(30)}, nil},
	} {
		wire := &targets{}
		cloud := resource.NewCloud(aws.Config{
			Region: "us-east-1", HTTPClient: wire, Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		}, nil)
		err := logGroup.Update(context.Background(), cloud, "/ecs/api", LogGroupState{LogGroupArgs: it.old, Arn: arn}, it.now)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !slices.Equal(wire.called, it.want) {
			t.Errorf("%s: called %v, want %v", name, wire.called, it.want)
		}
	}
}

func TestALogGroupsRetentionIsOneThatCloudWatchTakes(t *testing.T) {
	if f := logGroup.Check(&LogGroupArgs{RetentionInDays: aws.Int(31)}); len(f) != 1 || f[0].Property != "retentionInDays" {
		t.Errorf("31 days: faults %v", f)
	}
	a := LogGroupArgs{}
	if f := logGroup.Check(&a); len(f) != 0 || aws.ToInt(a.RetentionInDays) != 0 {
		t.Errorf("without retention: faults %v, %v days", f, a.RetentionInDays)
	}
}

func TestAnAlarmsContradictionsAreAllRefused(t *testing.T) {
	a := MetricAlarmArgs{
		ComparisonOperator: "Bigger", Statistic: aws.String("Sum"), ExtendedStatistic: aws.String("p99"), Period: aws.Int(45),
		Threshold: aws.Float64(1), ThresholdMetricID: aws.String("m1"), MetricName: aws.String("Errors"),
		MetricQueries: []MetricQuery{{ID: "m1", Expression: aws.String("1"), Metric: &Metric{Period: 7}}},
	}
	got := map[string]int{}
	for _, f := range checkAlarm(&a) {
		got[f.Property]++
	}
	want := map[string]int{
		"comparisonOperator": 1, "statistic": 2, "extendedStatistic": 1, "period": 2, "threshold": 1, "metricName": 1, "metricQueries": 2,
	}
	for property, n := range want {
		if got[property] != n {
			t.Errorf("%s: %d faults, want %d (all: %v)", property, got[property], n, got)
		}
	}
	if !aws.ToBool(a.ActionsEnabled) || aws.ToString(a.TreatMissingData) != "missing" || a.MetricQueries[0].ReturnData == nil {
		t.Errorf("defaults are not filled in: %+v", a)
	}
	if f := checkAlarm(&MetricAlarmArgs{}); len(f) != 0 {
		t.Errorf("values that are not known yet are faulted: %v", f)
	}
}

func TestTheRuleStateFollowsWhatTheProgramChanged(t *testing.T) {
	enabled, disabled := aws.String("ENABLED"), aws.String("DISABLED")
	on, off := aws.Bool(true), aws.Bool(false)
	read := EventRuleArgs{State: enabled, IsEnabled: on}
	for name, it := range map[string]struct {
		now, old EventRuleArgs
		want     types.RuleState
	}{
		"nothing said on create":    {EventRuleArgs{}, EventRuleArgs{}, ""},
		"state on create":           {EventRuleArgs{State: disabled}, EventRuleArgs{}, types.RuleStateDisabled},
		"isEnabled on create":       {EventRuleArgs{IsEnabled: off}, EventRuleArgs{}, types.RuleStateDisabled},
		"state changed":             {EventRuleArgs{State: disabled, IsEnabled: on}, read, types.RuleStateDisabled},
		"isEnabled changed":         {EventRuleArgs{State: enabled, IsEnabled: off}, read, types.RuleStateDisabled},
		"neither changed on update": {read, read, types.RuleStateEnabled},
	} {
		if got := ruleState(it.now, it.old); got != it.want {
			t.Errorf("%s: %q, want %q", name, got, it.want)
		}
	}
}

func TestARuleOfWhichNothingIsSaidIsEnabled(t *testing.T) {
	a := EventRuleArgs{}
	if f := checkRule(&a); len(f) != 0 || aws.ToString(a.State) != "ENABLED" {
		t.Errorf("nothing said: state %q, faults %v", aws.ToString(a.State), f)
	}
	a = EventRuleArgs{IsEnabled: aws.Bool(false)}
	if f := checkRule(&a); len(f) != 0 || a.State != nil {
		t.Errorf("isEnabled said: state %q, faults %v", aws.ToString(a.State), f)
	}
}

func TestRuleAndTargetIDsAreTheOfficialOnes(t *testing.T) {
	for _, it := range []struct{ bus, name, id string }{
		{"default", "failed", "failed"},
		{"payments", "failed", "payments/failed"},
		{"arn:aws:events:us-east-1:123456789012:event-bus/payments", "failed", "arn:aws:events:us-east-1:123456789012:event-bus/payments/failed"},
	} {
		if got := ruleID(it.bus, it.name); got != it.id {
			t.Errorf("the id of %s on %s is %s, want %s", it.name, it.bus, got, it.id)
		}
		if bus, name := splitRuleID(it.id); bus != it.bus || name != it.name {
			t.Errorf("%s comes apart as %s and %s", it.id, bus, name)
		}
	}
	a := EventTargetArgs{Rule: "failed", TargetID: "alerts", EventBusName: aws.String("default")}
	if got := targetID(a); got != "failed-alerts" {
		t.Errorf("target id %s", got)
	}
	a.EventBusName = aws.String("payments")
	if got := targetID(a); got != "payments-failed-alerts" {
		t.Errorf("target id %s", got)
	}
}

func TestAnEventPatternKeepsItsComparisonSigns(t *testing.T) {
	got, err := normalPattern(`{ "detail": {"n": [{"numeric": ["<", 5]}]} }`)
	if want := `{"detail":{"n":[{"numeric":["<",5]}]}}`; err != nil || got != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
	if f := checkRule(&EventRuleArgs{EventPattern: aws.String("{")}); len(f) != 1 || f[0].Property != "eventPattern" {
		t.Errorf("faults %v", f)
	}
	if f := checkRule(&EventRuleArgs{State: aws.String("ENABLED"), IsEnabled: aws.Bool(true)}); len(f) != 1 {
		t.Errorf("state and isEnabled together: faults %v", f)
	}
}

func TestADashboardMustBeJSON(t *testing.T) {
	assert.Empty(t, dashboard.Check(&DashboardArgs{DashboardBody: `{"widgets": []}`}))
	assert.Empty(t, dashboard.Check(&DashboardArgs{}), "a body that is not known yet is faulted")
	assert.Len(t, dashboard.Check(&DashboardArgs{DashboardBody: "{"}), 1)
}
