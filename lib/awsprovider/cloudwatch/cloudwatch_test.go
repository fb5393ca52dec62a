package cloudwatch

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
		require.NoError(t, err, name)
		assert.Equal(t, it.want, wire.called, name)
	}
}

func TestALogGroupsRetentionIsOneThatCloudWatchTakes(t *testing.T) {
	f := logGroup.Check(&LogGroupArgs{RetentionInDays: aws.Int(31)})
	require.Len(t, f, 1)
	assert.Equal(t, "retentionInDays", f[0].Property)
	a := LogGroupArgs{}
	assert.Empty(t, logGroup.Check(&a))
	assert.Equal(t, 0, aws.ToInt(a.RetentionInDays))
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
		assert.Equal(t, n, got[property], property)
	}
	assert.True(t, aws.ToBool(a.ActionsEnabled))
	assert.Equal(t, "missing", aws.ToString(a.TreatMissingData))
	assert.NotNil(t, a.MetricQueries[0].ReturnData)
	assert.Empty(t, checkAlarm(&MetricAlarmArgs{}))
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
		assert.Equal(t, it.want, ruleState(it.now, it.old), name)
	}
}

func TestARuleOfWhoseStateNothingIsSaidKeepsIt(t *testing.T) {
	for _, a := range []EventRuleArgs{{}, {IsEnabled: aws.Bool(false)}} {
		assert.Empty(t, checkRule(&a))
		assert.Nil(t, a.State)
	}
}

func TestRuleAndTargetIDsAreTheOfficialOnes(t *testing.T) {
	for _, it := range []struct{ bus, name, id string }{
		{"default", "failed", "failed"},
		{"payments", "failed", "payments/failed"},
		{"arn:aws:events:us-east-1:123456789012:event-bus/payments", "failed", "arn:aws:events:us-east-1:123456789012:event-bus/payments/failed"},
	} {
		assert.Equal(t, it.id, ruleID(it.bus, it.name))
		bus, name := splitRuleID(it.id)
		assert.Equal(t, it.bus, bus, it.id)
		assert.Equal(t, it.name, name, it.id)
	}
	a := EventTargetArgs{Rule: "failed", TargetID: "alerts", EventBusName: aws.String("default")}
	assert.Equal(t, "failed-alerts", targetID(a))
	a.EventBusName = aws.String("payments")
	assert.Equal(t, "payments-failed-alerts", targetID(a))
}

func TestAnEventPatternKeepsItsComparisonSigns(t *testing.T) {
	got, err := normalPattern(`{ "detail": {"n": [{"numeric": ["<", 5]}]} }`)
	require.NoError(t, err)
	assert.Equal(t, `{"detail":{"n":[{"numeric":["<",5]}]}}`, got) //nolint:testifylint // how it is written is what counts
	f := checkRule(&EventRuleArgs{EventPattern: aws.String("{")})
	require.Len(t, f, 1)
	assert.Equal(t, "eventPattern", f[0].Property)
	assert.Len(t, checkRule(&EventRuleArgs{State: aws.String("ENABLED"), IsEnabled: aws.Bool(true)}), 1)
}

func TestADashboardMustBeJSON(t *testing.T) {
	assert.Empty(t, dashboard.Check(&DashboardArgs{DashboardBody: `{"widgets": []}`}))
	assert.Empty(t, dashboard.Check(&DashboardArgs{}), "a body that is not known yet is faulted")
	assert.Len(t, dashboard.Check(&DashboardArgs{DashboardBody: "{"}), 1)
}
