package dataplane

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	waftypes "github.com/aws/aws-sdk-go-v2/service/wafv2/types"
	"github.com/stretchr/testify/assert"

	"tapstack/lib/dataplane/balancer"
	"tapstack/lib/dataplane/postgres"
)

// lines are figures, one a line.
func (f figures) lines() (lines []string) {
	for _, namespace := range slices.Sorted(maps.Keys(f.byNamespace)) {
		for _, d := range f.byNamespace[namespace] {
			line := aws.ToString(d.MetricName)
			for _, one := range d.Dimensions {
				line += " " + aws.ToString(one.Value)
			}
			if d.Value != nil {
				line += fmt.Sprintf(" = %g %s", *d.Value, d.Unit)
			} else {
				line += fmt.Sprintf(" = %d values %s", len(d.Values), d.Unit)
			}
			lines = append(lines, line)
		}
	}
	return lines
}

const groupARN = "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/api/2"

func TestALoadBalancerTellsWhatIsNotNil(t *testing.T) {
	before := balancer.Counts{Requests: 5, Groups: map[string]balancer.GroupCounts{groupARN: {Requests: 5, Targets: [6]int64{2: 5}}}}
	now := balancer.Counts{Requests: 8, ELB5xx: 2, ELB503: 2, Groups: map[string]balancer.GroupCounts{groupARN: {Requests: 8, Targets: [6]int64{2: 7, 5: 1}}}}
	group := now.Groups[groupARN]
	group.ResponseTimes.Buckets[0], group.ResponseTimes.Buckets[200] = 2, 1
	now.Groups[groupARN] = group
	f := newFigures(time.Now())
	f.ofBalancer("app/front/1", before, now)
	f.ofTargets("app/front/1", []balancer.GroupHealth{{ARN: groupARN}, {ARN: groupARN, Targets: []elbtypes.TargetHealthDescription{
		{Target: &elbtypes.TargetDescription{AvailabilityZone: aws.String("us-east-1a")}, TargetHealth: &elbtypes.TargetHealth{State: elbtypes.TargetHealthStateEnumHealthy}},
		{Target: &elbtypes.TargetDescription{AvailabilityZone: aws.String("us-east-1b")}, TargetHealth: &elbtypes.TargetHealth{State: elbtypes.TargetHealthStateEnumUnhealthy}},
		{Target: &elbtypes.TargetDescription{}, TargetHealth: &elbtypes.TargetHealth{State: elbtypes.TargetHealthStateEnumInitial}},
	}}})
	assert.ElementsMatch(t, []string{
		"RequestCount app/front/1 = 3 Count", "HTTPCode_ELB_5XX_Count app/front/1 = 2 Count", "HTTPCode_ELB_503_Count app/front/1 = 2 Count",
		"RequestCount app/front/1 targetgroup/api/2 = 3 Count",
		"HTTPCode_Target_2XX_Count app/front/1 = 2 Count", "HTTPCode_Target_2XX_Count app/front/1 targetgroup/api/2 = 2 Count",
		"HTTPCode_Target_5XX_Count app/front/1 = 1 Count", "HTTPCode_Target_5XX_Count app/front/1 targetgroup/api/2 = 1 Count",
		"TargetResponseTime app/front/1 = 2 values Seconds", "TargetResponseTime app/front/1 targetgroup/api/2 = 2 values Seconds",
		"HealthyHostCount app/front/1 targetgroup/api/2 = 1 Count", "UnHealthyHostCount app/front/1 targetgroup/api/2 = 1 Count",
		"HealthyHostCount app/front/1 targetgroup/api/2 us-east-1a = 1 Count", "UnHealthyHostCount app/front/1 targetgroup/api/2 us-east-1a = 0 Count",
		"HealthyHostCount app/front/1 targetgroup/api/2 us-east-1b = 0 Count", "UnHealthyHostCount app/front/1 targetgroup/api/2 us-east-1b = 1 Count",
	}, f.lines())
}

func TestAFirewallTellsByRuleAndInAll(t *testing.T) {
	visible := func(name string) *waftypes.VisibilityConfig {
		return &waftypes.VisibilityConfig{CloudWatchMetricsEnabled: true, MetricName: &name}
	}
	acl := waftypes.WebACL{VisibilityConfig: visible("waf"), Rules: []waftypes.Rule{
		{Name: aws.String("rate"), VisibilityConfig: visible("rate-limit")}, {Name: aws.String("silent"), VisibilityConfig: &waftypes.VisibilityConfig{}},
	}}
	f := newFigures(time.Now())
	f.ofFirewall(acl, "us-east-1", map[string]balancer.RuleCounts{"rate": {Blocked: 1}, "Default_Action": {Allowed: 100}},
		map[string]balancer.RuleCounts{"rate": {Blocked: 4}, "silent": {Blocked: 2}, "Default_Action": {Allowed: 7}})
	assert.ElementsMatch(t, []string{
		"BlockedRequests waf us-east-1 rate-limit = 3 Count", "AllowedRequests waf us-east-1 Default_Action = 7 Count",
		"BlockedRequests waf us-east-1 ALL = 5 Count", "AllowedRequests waf us-east-1 ALL = 7 Count",
	}, f.lines())
	acl.VisibilityConfig.CloudWatchMetricsEnabled = false
	f = newFigures(time.Now())
	f.ofFirewall(acl, "us-east-1", nil, map[string]balancer.RuleCounts{"rate": {Blocked: 4}})
	assert.Empty(t, f.lines())
}

func TestADatabaseTellsByInstanceRoleAndCluster(t *testing.T) {
	now := time.Now()
	f := newFigures(now)
	used := f.ofDatabase("db", []postgres.Usage{
		{Name: "db-1", Writer: true, Connections: 12, Deadlocks: 7, Lags: map[string]time.Duration{"db-2": 3 * time.Millisecond, "db-3": 0}}, {Name: "db-2", Connections: 1},
	}, map[string]serverUse{"db-1": {at: now.Add(-2 * time.Second), deadlocks: 1}})
	three := func(name, instance, role, value string) []string {
		return []string{name + " " + instance + value, name + " db" + value, name + " db " + role + value}
	}
	assert.ElementsMatch(t, slices.Concat(
		three("DatabaseConnections", "db-1", "WRITER", " = 12 Count"), three("DatabaseConnections", "db-2", "READER", " = 1 Count"),
		three("Deadlocks", "db-1", "WRITER", " = 3 Count/Second"),
		three("AuroraReplicaLag", "db-2", "READER", " = 3 Milliseconds"), three("AuroraReplicaLag", "db-3", "READER", " = 0 Milliseconds"),
		three("AuroraReplicaLagMaximum", "db-1", "WRITER", " = 3 Milliseconds"), three("AuroraReplicaLagMinimum", "db-1", "WRITER", " = 0 Milliseconds"),
	), f.lines(), "CPU is left out of a server whose processes are not known")
	assert.Contains(t, used, "db-2")
}

func TestManyValuesAreToldInSeveral(t *testing.T) {
	f := newFigures(time.Now())
	f.addMany("n", "m", make([]float64, 320), make([]float64, 320), "Seconds", nil)
	assert.Equal(t, []string{"m = 150 values Seconds", "m = 150 values Seconds", "m = 20 values Seconds"}, f.lines())
}
