package verify

import (
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	waftypes "github.com/aws/aws-sdk-go-v2/service/wafv2/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/policy"
)

func TestAnAlarmThatCannotGoOffWatchesNothing(t *testing.T) {
	alarm := func(operator cwtypes.ComparisonOperator, threshold float64) cwtypes.MetricAlarm {
		return cwtypes.MetricAlarm{ComparisonOperator: operator, Threshold: &threshold}
	}
	const above, below = cwtypes.ComparisonOperatorGreaterThanThreshold, cwtypes.ComparisonOperatorLessThanThreshold
	for _, c := range []struct {
		metric string
		alarm  cwtypes.MetricAlarm
		want   bool
	}{
		{"CPUUtilization", alarm(above, 80), true},
		{"CPUUtilization", alarm(above, 100), false},
		{"CPUUtilization", alarm(below, 80), false},
		{"FreeableMemory", alarm(below, 1<<30), true},
		{"FreeableMemory", alarm(above, 1<<30), false},
		{"FreeableMemory", alarm(below, 0), false},
		{"Deadlocks", alarm(above, 0), true},
		{"Deadlocks", alarm(above, -1), false},
	} {
		if got := (alarmedMetric{metric: c.metric}).alerts(c.alarm); got != c.want {
			t.Errorf("%s %s %g: %t", c.metric, c.alarm.ComparisonOperator, *c.alarm.Threshold, got)
		}
	}
}

func TestEveryPublicAddressOfAnInterfaceIsSeen(t *testing.T) {
	i := ec2types.NetworkInterface{
		Association: &ec2types.NetworkInterfaceAssociation{PublicIp: aws.String("198.51.100.1")},
		PrivateIpAddresses: []ec2types.NetworkInterfacePrivateIpAddress{
			{Association: &ec2types.NetworkInterfaceAssociation{PublicIp: aws.String("198.51.100.1")}},
			{Association: &ec2types.NetworkInterfaceAssociation{PublicIp: aws.String("198.51.100.2")}},
			{},
		},
		Ipv6Addresses: []ec2types.NetworkInterfaceIpv6Address{{Ipv6Address: aws.String("2001:db8::1")}},
	}
	if got := publicAddresses(i); !slices.Equal(got, []string{"198.51.100.1", "198.51.100.2", "2001:db8::1"}) {
		t.Errorf("%v", got)
	}
	if got := publicAddresses(ec2types.NetworkInterface{}); len(got) > 0 {
		t.Errorf("a private interface has %v", got)
	}
}

func TestAManagedRuleGroupBlocksOnlyAsAWSMadeIt(t *testing.T) {
	rule := func(change func(*waftypes.Rule, *waftypes.ManagedRuleGroupStatement)) waftypes.Rule {
		group := &waftypes.ManagedRuleGroupStatement{Name: aws.String("AWSManagedRulesCommonRuleSet")}
		r := waftypes.Rule{OverrideAction: &waftypes.OverrideAction{None: &waftypes.NoneAction{}}, Statement: &waftypes.Statement{ManagedRuleGroupStatement: group}}
		change(&r, group)
		return r
	}
	if !blocks(rule(func(*waftypes.Rule, *waftypes.ManagedRuleGroupStatement) {})) {
		t.Error("the group as it is does not block")
	}
	for what, r := range map[string]waftypes.Rule{
		"counts": rule(func(r *waftypes.Rule, _ *waftypes.ManagedRuleGroupStatement) {
			r.OverrideAction.Count = &waftypes.CountAction{}
		}),
		"has a silent rule": rule(func(_ *waftypes.Rule, g *waftypes.ManagedRuleGroupStatement) {
			g.RuleActionOverrides = []waftypes.RuleActionOverride{{}}
		}),
		"leaves a rule out": rule(func(_ *waftypes.Rule, g *waftypes.ManagedRuleGroupStatement) {
			g.ExcludedRules = []waftypes.ExcludedRule{{}}
		}),
		"looks at some only": rule(func(_ *waftypes.Rule, g *waftypes.ManagedRuleGroupStatement) {
			g.ScopeDownStatement = &waftypes.Statement{}
		}),
	} {
		if blocks(r) {
			t.Errorf("a group that %s blocks", what)
		}
	}
}

func TestALifecycleRuleIsReadInBothItsForms(t *testing.T) {
	for _, c := range []struct {
		what   string
		rule   s3types.LifecycleRule
		prefix string
		plain  bool
	}{
		{"no filter", s3types.LifecycleRule{}, "", true},
		{"a prefix", s3types.LifecycleRule{Filter: &s3types.LifecycleRuleFilter{Prefix: aws.String("alb/")}}, "alb/", true},
		{"a tag", s3types.LifecycleRule{Filter: &s3types.LifecycleRuleFilter{Tag: &s3types.Tag{}}}, "", false},
		{"several", s3types.LifecycleRule{Filter: &s3types.LifecycleRuleFilter{And: &s3types.LifecycleRuleAndOperator{}}}, "", false},
	} {
		if prefix, plain := lifecyclePrefix(c.rule); prefix != c.prefix || plain != c.plain {
			t.Errorf("%s: %q, %t", c.what, prefix, plain)
		}
	}
}

func TestARoleMayDoWhatItsBoundaryAllowsAsWell(t *testing.T) {
	parse := func(document string) policy.Policy {
		p, err := policy.Parse(document)
		require.NoError(t, err)
		return p
	}
	boundary := parse(`{"Statement":{"Effect":"Allow","Action":"sqs:*","Resource":"*"}}`)
	r := role{policies: []policy.Policy{parse(`{"Statement":{"Effect":"Allow","Action":["sqs:SendMessage","sns:Publish"],"Resource":"arn:x"}}`)}}
	for _, c := range []struct {
		boundary *policy.Policy
		action   string
		want     policy.Decision
	}{
		{nil, "sns:Publish", policy.Allowed},
		{&boundary, "sns:Publish", policy.Denied},
		{&boundary, "sqs:SendMessage", policy.Allowed},
		{&boundary, "sqs:ReceiveMessage", policy.Denied},
	} {
		r.boundary = c.boundary
		got := r.decide(policy.Request{Action: c.action, Resource: "arn:x"})
		assert.Equal(t, c.want, got, "%s with boundary %t", c.action, c.boundary != nil)
	}
}

func TestWhatIsNotUnderstoodIsNeitherAllowedNorDenied(t *testing.T) {
	p, err := policy.Parse(`{"Statement":{"Effect":"Deny","Principal":"*","Action":"sqs:*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}}`)
	require.NoError(t, err)
	got := understood(policy.EvaluateForAdministrator(p, policy.Request{Action: "sqs:DeleteQueue", Resource: "arn:q"}, testAccount))
	assert.Equal(t, policy.Decision("not understood: a condition on aws:SourceIp"), got)
}
