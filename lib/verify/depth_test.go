package verify

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	tagtypes "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi/types"
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
		assert.Equal(t, c.want, alarmedMetric{metric: c.metric}.alerts(c.alarm), "%s %s %g", c.metric, c.alarm.ComparisonOperator, *c.alarm.Threshold)
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
	assert.Equal(t, []string{"198.51.100.1", "198.51.100.2", "2001:db8::1"}, publicAddresses(i))
	assert.Empty(t, publicAddresses(ec2types.NetworkInterface{}))
}

func TestAManagedRuleGroupBlocksOnlyAsAWSMadeIt(t *testing.T) {
	blocksWith := func(override waftypes.OverrideAction, group waftypes.ManagedRuleGroupStatement) bool {
		return blocks(waftypes.Rule{OverrideAction: &override, Statement: &waftypes.Statement{ManagedRuleGroupStatement: &group}})
	}
	none, counts := waftypes.OverrideAction{None: &waftypes.NoneAction{}}, waftypes.OverrideAction{Count: &waftypes.CountAction{}}
	assert.True(t, blocksWith(none, waftypes.ManagedRuleGroupStatement{}))
	assert.False(t, blocksWith(counts, waftypes.ManagedRuleGroupStatement{}), "a group that counts")
	for what, group := range map[string]waftypes.ManagedRuleGroupStatement{
		"has a silent rule":  {RuleActionOverrides: []waftypes.RuleActionOverride{{}}},
		"leaves a rule out":  {ExcludedRules: []waftypes.ExcludedRule{{}}},
		"looks at some only": {ScopeDownStatement: &waftypes.Statement{}},
	} {
		assert.False(t, blocksWith(none, group), "a group that %s", what)
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
		prefix, plain := lifecyclePrefix(c.rule)
		assert.Equal(t, c.prefix, prefix, c.what)
		assert.Equal(t, c.plain, plain, c.what)
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

func TestABoundaryMayAskForTheTagsOfAResource(t *testing.T) {
	const document = `{"Statement":{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/tapstack:owner":"nightly"}}}}`
	boundary, err := policy.Parse(document)
	require.NoError(t, err)
	own, err := policy.Parse(`{"Statement":{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*"}}`)
	require.NoError(t, err)
	r := role{policies: []policy.Policy{own}, boundary: &boundary}
	tagged := func(arn, owner string) tagtypes.ResourceTagMapping {
		return tagtypes.ResourceTagMapping{ResourceARN: &arn, Tags: []tagtypes.Tag{{Key: aws.String("tapstack:owner"), Value: &owner}}}
	}
	all := []tagtypes.ResourceTagMapping{tagged("arn:mine", "nightly"), tagged("arn:theirs", "another")}
	decide := func(arn string) policy.Decision {
		return r.decide(onTagged(all, policy.Request{Action: "kms:Decrypt", Resource: arn}))
	}
	assert.Equal(t, policy.Allowed, decide("arn:mine"))
	assert.Equal(t, policy.Denied, decide("arn:theirs"))
}

func TestWhatIsNotUnderstoodIsNeitherAllowedNorDenied(t *testing.T) {
	p, err := policy.Parse(`{"Statement":{"Effect":"Deny","Principal":"*","Action":"sqs:*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}}`)
	require.NoError(t, err)
	got := understood(policy.EvaluateForAdministrator(p, policy.Request{Action: "sqs:DeleteQueue", Resource: "arn:q"}, testAccount))
	assert.Equal(t, policy.Decision("not understood: a condition on aws:SourceIp"), got)
}
