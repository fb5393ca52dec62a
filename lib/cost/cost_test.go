package cost_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"tapstack/lib"
	"tapstack/lib/cost"
	"tapstack/lib/cost/prices"
	"tapstack/lib/declared"
)

const nightly = 90 * time.Minute

func table(t require.TestingT) *cost.Table {
	table, err := prices.USEast1()
	require.NoError(t, err)
	return table
}

// stack is what the program declares.
func stack(t *testing.T, settings map[string]string) []cost.Resource {
	t.Helper()
	values := map[string]string{
		lib.ConfigEnvironmentSuffix: "dev", lib.ConfigPaymentAPIImage: "payment-api:1", lib.ConfigJobProcessorImage: "job-processor:1",
		lib.ConfigAlertEmail: "ops@example.com",
	}
	maps.Copy(values, settings)
	config, err := lib.ParseConfig(values)
	require.NoError(t, err)
	all, err := declared.Resources(config, "us-east-1")
	require.NoError(t, err)
	var planned []cost.Resource
	for _, r := range all {
		planned = append(planned, cost.Resource{Type: r.Type, Name: r.Name, Inputs: r.Inputs.Mappable()})
	}
	return planned
}

func estimate(t require.TestingT, planned []cost.Resource, options cost.Options) cost.Estimate {
	if options.Run == 0 {
		options.Run = nightly
	}
	found, err := table(t).Estimate(planned, options)
	require.NoError(t, err)
	return found
}

// of is the sum of the lines of a price.
func of(e cost.Estimate, key string) cost.Costs {
	sum := cost.Costs{}
	for _, line := range e.Lines {
		if line.Key == key {
			sum = sum.Plus(line.Costs)
		}
	}
	return sum
}

func TestTheDefaultStackCostsWhatArithmeticByHandSays(t *testing.T) {
	// Without the alarms, whose number may change; what one costs is below.
	plan := slices.DeleteFunc(stack(t, nil), func(r cost.Resource) bool { return r.Type == "aws:cloudwatch/metricAlarm:MetricAlarm" })
	found := estimate(t, plan, cost.Options{})
	require.Empty(t, found.Missing)
	// Of a run of 90 minutes: instances and tasks by the second, the rest by the started hour, of which there are 2.
	for _, want := range []struct{ key, run, hour, month string }{
		{"aurora.db.r6g.large", "1.17", "0.78", "569.4"},        // 3 × 0.26
		{"fargate.x86.vcpu", "0.24288", "0.16192", "118.2016"},  // (3×1 + 2×0.5) × 0.04048
		{"fargate.x86.memory", "0.05334", "0.03556", "25.9588"}, // (3×2 + 2×1) × 0.004445
		{"nat.hour", "0.27", "0.135", "98.55"},                  // 3 × 0.045
		{"ipv4.hour", "0.06", "0.03", "21.9"},                   // (3 of NAT + 3 of the load balancer) × 0.005
		{"alb.hour", "0.045", "0.0225", "16.425"},               // 1
		{"waf.acl", "0.013699", "0.006849", "5"},                // 5 ÷ 730
		{"waf.rule", "0.013699", "0.006849", "5"},               // 5 rules × 1 ÷ 730
		{"kms.key", "0.00274", "0.00137", "1"},                  // 1 ÷ 730
		{"secret", "0.004384", "0.002192", "1.6"},               // 4 × 0.4 ÷ 730
		{"dashboard", "0.008219", "0.00411", "3"},               // 3 ÷ 730
		{"alarm.standard", "0.002192", "0.001096", "0.8"},       // 2 alarms × (1 + 1 + 2) of scaling × 0.1 ÷ 730
	} {
		got := of(found, want.key)
		require.Equal(t, want.run, got.Run.String(), want.key)
		require.Equal(t, want.hour, got.Hour.String(), want.key)
		require.Equal(t, want.month, got.Month.String(), want.key)
	}
	require.Equal(t, "866.8354", found.Planned.Month.String())
	require.Equal(t, "1.187446", found.Planned.Hour.String()) // 866.8354 ÷ 730
	require.Equal(t, "1.886152", found.Planned.Run.String())  // 1.84122, and 2 hours of 16.4 a month
	require.Equal(t, found.Total, found.Planned.Plus(found.Assumed))
}

func TestInterfaceEndpointsCostByTheZone(t *testing.T) {
	plan := stack(t, nil)
	with := stack(t, map[string]string{"interfaceEndpoints": "true"})
	before, after := estimate(t, plan, cost.Options{}), estimate(t, with, cost.Options{})
	require.Empty(t, after.Missing)
	require.Equal(t, "153.3", after.Planned.Month.Minus(before.Planned.Month).String(), "7 endpoints × 3 zones × 0.01 × 730")
	require.Equal(t, "0.42", after.Planned.Run.Minus(before.Planned.Run).String(), "7 × 3 × 0.01 × 2 started hours")
}

func TestEveryTypeOfTheStackIsPricedOrFree(t *testing.T) {
	for _, settings := range []map[string]string{
		nil, {"interfaceEndpoints": "true"}, {"domainName": "pay.example.com", "hostedZoneId": "Z0123456789ABCDEFGHIJ"},
	} {
		found := estimate(t, stack(t, settings), cost.Options{})
		for _, it := range found.Missing {
			require.NotContains(t, it.Why, "type", "%s %s", it.Type, it.Resource)
		}
		for _, it := range found.Free {
			require.NotEmpty(t, it.Why, it.Type)
		}
	}
}

func TestATypeWithoutARuleIsNamedAndNotGuessed(t *testing.T) {
	found := estimate(t, []cost.Resource{{Type: "aws:msk/cluster:Cluster", Name: "kafka"}}, cost.Options{})
	require.Equal(t, []cost.Missing{{Resource: "kafka", Type: "aws:msk/cluster:Cluster", Why: "no price is known for this type"}}, found.Missing)
	require.True(t, found.Total.Month.Zero())
}

type object = map[string]any

func TestWhatAResourceIsBilledForFollowsFromItsInputs(t *testing.T) {
	task := cost.Resource{Type: "aws:ecs/taskDefinition:TaskDefinition", Name: "task", Inputs: object{"family": "api", "cpu": "256", "memory": "512"}}
	arm := cost.Resource{Type: task.Type, Name: "arm", Inputs: object{"family": "arm", "cpu": "1024", "memory": "2048", "runtimePlatform": object{"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"}, "ephemeralStorage": object{"sizeInGib": 30.0}}}
	windows := cost.Resource{Type: task.Type, Name: "windows", Inputs: object{"family": "windows", "cpu": "1024", "memory": "2048", "runtimePlatform": object{"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"}}}
	query := func(period any) any { return object{"metric": object{"period": period}} }
	managed := func(name string) any {
		return object{"statement": object{"managedRuleGroupStatement": object{"vendorName": "AWS", "name": name}}}
	}
	for name, c := range map[string]struct {
		kind    string
		inputs  map[string]any
		plan    []cost.Resource
		want    map[string]string // price: quantity
		missing string
	}{
		"a cheaper instance": {
			kind:   "aws:rds/clusterInstance:ClusterInstance",
			inputs: object{"engine": "aurora-postgresql", "instanceClass": "db.t4g.medium"}, want: map[string]string{"aurora.db.t4g.medium": "1"},
		},
		"an unknown instance class": {
			kind:   "aws:rds/clusterInstance:ClusterInstance",
			inputs: object{"engine": "aurora-postgresql", "instanceClass": "db.r99x.large"}, missing: `no price is known for instance class "db.r99x.large"`,
		},
		"another engine": {
			kind:   "aws:rds/clusterInstance:ClusterInstance",
			inputs: object{"engine": "mysql", "instanceClass": "db.r6g.large"}, missing: `no price is known for database engine "mysql"`,
		},
		"Performance Insights for longer": {
			kind:   "aws:rds/clusterInstance:ClusterInstance",
			inputs: object{"engine": "aurora-postgresql", "instanceClass": "db.r6g.large", "performanceInsightsRetentionPeriod": 31.0},
			want:   map[string]string{"aurora.db.r6g.large": "1"}, missing: "31 days of Performance Insights: 7 are free",
		},
		"enhanced monitoring twice as often": {
			kind:   "aws:rds/clusterInstance:ClusterInstance",
			inputs: object{"engine": "aurora-postgresql", "instanceClass": "db.r6g.large", "monitoringInterval": 30.0},
			want:   map[string]string{"aurora.db.r6g.large": "1", "logs.gb": "1"},
		},
		"I/O-optimized storage": {
			kind:   "aws:rds/cluster:Cluster",
			inputs: object{"engine": "aurora-postgresql", "storageType": "aurora-iopt1"}, missing: `storage type "aurora-iopt1"`,
		},
		"tasks of a definition that is about to be made": {
			kind: "aws:ecs/service:Service", plan: []cost.Resource{arm, task},
			inputs: object{"launchType": "FARGATE", "name": "api", "desiredCount": 4.0, "taskDefinition": "[unknown]"},
			want:   map[string]string{"fargate.x86.vcpu": "1", "fargate.x86.memory": "2", "logs.gb": "0.8"},
		},
		"tasks of a definition that is known, on ARM, with more storage": {
			kind: "aws:ecs/service:Service", plan: []cost.Resource{task, arm},
			inputs: object{"launchType": "FARGATE", "name": "api", "desiredCount": 2.0, "taskDefinition": "arn:aws:ecs:us-east-1:123456789012:task-definition/arm:7"},
			want:   map[string]string{"fargate.arm.vcpu": "2", "fargate.arm.memory": "4", "fargate.storage": "20", "logs.gb": "0.4"},
		},
		"tasks on Windows": {
			kind: "aws:ecs/service:Service", plan: []cost.Resource{windows},
			inputs: object{"launchType": "FARGATE", "name": "windows", "desiredCount": 1.0}, want: map[string]string{"logs.gb": "0.2"},
			missing: `system "WINDOWS_SERVER_2022_CORE"`,
		},
		"tasks without a definition": {
			kind:   "aws:ecs/service:Service",
			inputs: object{"launchType": "FARGATE", "name": "api", "desiredCount": 2.0}, missing: "its task definition is not in the plan",
		},
		"tasks of unknown number": {
			kind: "aws:ecs/service:Service", plan: []cost.Resource{task},
			inputs: object{"launchType": "FARGATE", "name": "api", "desiredCount": "[unknown]"}, missing: "desiredCount is not known",
		},
		"tasks on instances": {kind: "aws:ecs/service:Service", inputs: object{"launchType": "EC2"}, missing: `launch type "EC2"`},
		"Container Insights": {
			kind:   "aws:ecs/cluster:Cluster",
			inputs: object{"settings": []any{object{"name": "containerInsights", "value": "enabled"}}}, want: map[string]string{"metric": "11"},
		},
		"Container Insights, enhanced": {
			kind:   "aws:ecs/cluster:Cluster",
			inputs: object{"settings": []any{object{"name": "containerInsights", "value": "enhanced"}}},
			want:   map[string]string{"metric": "11"}, missing: `Container Insights "enhanced"`,
		},
		"no Container Insights": {
			kind:   "aws:ecs/cluster:Cluster",
			inputs: object{"settings": []any{object{"name": "containerInsights", "value": "disabled"}}},
		},
		"an interface endpoint in two zones": {
			kind:   "aws:ec2/vpcEndpoint:VpcEndpoint",
			inputs: object{"vpcEndpointType": "Interface", "subnetIds": []any{"[unknown]", "[unknown]"}},
			want:   map[string]string{"endpoint.hour": "2", "endpoint.gb": "1"},
		},
		"a gateway endpoint": {kind: "aws:ec2/vpcEndpoint:VpcEndpoint", inputs: object{"vpcEndpointType": "Gateway"}},
		"an endpoint of a load balancer": {
			kind:   "aws:ec2/vpcEndpoint:VpcEndpoint",
			inputs: object{"vpcEndpointType": "GatewayLoadBalancer"}, missing: `endpoint type "GatewayLoadBalancer"`,
		},
		"an internal load balancer": {
			kind:   "aws:lb/loadBalancer:LoadBalancer",
			inputs: object{"internal": true, "subnets": []any{"a", "b"}}, want: map[string]string{"alb.hour": "1", "alb.lcu": "7.3"},
		},
		"a public load balancer with access logs": {
			kind:   "aws:lb/loadBalancer:LoadBalancer",
			inputs: object{"internal": false, "subnets": []any{"a", "b"}, "accessLogs": object{"enabled": true}},
			want:   map[string]string{"alb.hour": "1", "alb.lcu": "7.3", "ipv4.hour": "2", "transfer.out.gb": "0", "s3.put": "17.52"},
		},
		"a network load balancer": {kind: "aws:lb/loadBalancer:LoadBalancer", inputs: object{"loadBalancerType": "network"}, missing: `load balancer type "network"`},
		"a firewall": {
			kind: "aws:wafv2/webAcl:WebAcl", inputs: object{"rules": []any{object{"name": "limit"}, managed("AWSManagedRulesSQLiRuleSet")}},
			want: map[string]string{"waf.acl": "1", "waf.rule": "2", "waf.requests": "0.1"},
		},
		"a firewall with a paid rule group": {
			kind: "aws:wafv2/webAcl:WebAcl", inputs: object{"rules": []any{managed("AWSManagedRulesBotControlRuleSet")}},
			want: map[string]string{"waf.acl": "1", "waf.rule": "1", "waf.requests": "0.1"}, missing: "subscription to AWSManagedRulesBotControlRuleSet of AWS",
		},
		"an alarm":                  {kind: "aws:cloudwatch/metricAlarm:MetricAlarm", inputs: object{"period": 60.0}, want: map[string]string{"alarm.standard": "1"}},
		"an alarm every 10 seconds": {kind: "aws:cloudwatch/metricAlarm:MetricAlarm", inputs: object{"period": 10.0}, want: map[string]string{"alarm.high": "1"}},
		"an alarm on an expression over two metrics": {
			kind:   "aws:cloudwatch/metricAlarm:MetricAlarm",
			inputs: object{"metricQueries": []any{query(60.0), query(60.0), object{"expression": "a - b"}}}, want: map[string]string{"alarm.standard": "2"},
		},
		"an alarm on an expression over a metric every 10 seconds": {
			kind:   "aws:cloudwatch/metricAlarm:MetricAlarm",
			inputs: object{"metricQueries": []any{query(60.0), query(10.0), object{"expression": "a - b"}}}, want: map[string]string{"alarm.high": "2"},
		},
		"step scaling, whose alarms are in the plan": {kind: "aws:appautoscaling/policy:Policy", inputs: object{"policyType": "StepScaling"}},
		"an e-mail subscription":                     {kind: "aws:sns/topicSubscription:TopicSubscription", inputs: object{"protocol": "email"}, want: map[string]string{"sns.email": "0.1"}},
		"a queue's subscription":                     {kind: "aws:sns/topicSubscription:TopicSubscription", inputs: object{"protocol": "sqs"}},
		"a text message":                             {kind: "aws:sns/topicSubscription:TopicSubscription", inputs: object{"protocol": "sms"}, missing: `deliveries by "sms"`},
		"a record":                                   {kind: "aws:route53/record:Record", inputs: object{"records": []any{"x"}}, want: map[string]string{"route53.queries": "0.01"}},
		"an alias record":                            {kind: "aws:route53/record:Record", inputs: object{"aliases": []any{object{"name": "alb"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			found := estimate(t, append([]cost.Resource{{Type: c.kind, Name: "it", Inputs: c.inputs}}, c.plan...), cost.Options{})
			quantities := map[string]cost.Amount{}
			for _, line := range found.Lines {
				quantities[line.Key] = quantities[line.Key].Plus(line.Quantity)
			}
			got := map[string]string{}
			for key, quantity := range quantities {
				got[key] = quantity.String()
			}
			if c.want == nil {
				c.want = map[string]string{}
			}
			require.Equal(t, c.want, got)
			if c.missing == "" {
				require.Empty(t, found.Missing)
				return
			}
			require.Len(t, found.Missing, 1)
			require.Contains(t, found.Missing[0].Why, c.missing)
		})
	}
}

func TestShortRunsAreBilledAtTheirMinimum(t *testing.T) {
	plan := stack(t, nil)
	for _, c := range []struct {
		run                          time.Duration
		aurora, fargate, nat, secret string
	}{
		{time.Second, "0.13", "0.002699", "0.135", "0.002192"},                      // 10 minutes, 1 minute, 1 hour
		{10 * time.Minute, "0.13", "0.026987", "0.135", "0.002192"},                 //
		{10*time.Minute + time.Second, "0.130217", "0.027032", "0.135", "0.002192"}, // by the second
		{time.Hour, "0.78", "0.16192", "0.135", "0.002192"},
		{time.Hour + time.Nanosecond, "0.780217", "0.161965", "0.27", "0.004384"}, // a second, an hour begun
	} {
		found := estimate(t, plan, cost.Options{Run: c.run})
		require.Equal(t, c.aurora, of(found, "aurora.db.r6g.large").Run.String(), c.run)
		require.Equal(t, c.fargate, of(found, "fargate.x86.vcpu").Run.String(), c.run)
		require.Equal(t, c.nat, of(found, "nat.hour").Run.String(), c.run)
		require.Equal(t, c.secret, of(found, "secret").Run.String(), c.run)
	}
}

func TestAnAssumptionIsPerMonthAndOncePerDeployment(t *testing.T) {
	plan := []cost.Resource{{Type: "aws:ec2/natGateway:NatGateway", Name: "nat"}}
	found := estimate(t, plan, cost.Options{Run: 73 * time.Hour, Assume: map[string]cost.Amount{"nat-gb": cost.Whole(100)}})
	data := of(found, "nat.gb")
	require.Equal(t, "0.4725", data.Run.String(), "a tenth of 100 GB, and 0.5 GB of the deployment, at 0.045")
	require.Equal(t, "4.5225", data.Month.String())
	require.Equal(t, data, found.Assumed)
}

func TestOptionsThatMakeNoSenseAreRefusedTogether(t *testing.T) {
	_, err := table(t).Estimate(nil, cost.Options{Assume: map[string]cost.Amount{"luck": cost.Whole(1)}})
	require.ErrorContains(t, err, "a run of 0s")
	require.ErrorContains(t, err, `no assumption is called "luck": choose among nat-gb, `)
}

func TestMoreNeverCostsLess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		service := func(label string, least cost.Resource) cost.Resource {
			grown := cost.Resource{Type: least.Type, Name: least.Name, Inputs: maps.Clone(least.Inputs)}
			grown.Inputs["desiredCount"] = least.Inputs["desiredCount"].(float64) + float64(rapid.IntRange(0, 50).Draw(t, label))
			return grown
		}
		task := cost.Resource{Type: "aws:ecs/taskDefinition:TaskDefinition", Inputs: map[string]any{
			"family": "api", "cpu": fmt.Sprint(rapid.SampledFrom([]int{256, 512, 1024, 4096}).Draw(t, "cpu")), "memory": "2048",
		}}
		small := service("tasks", cost.Resource{Type: "aws:ecs/service:Service", Name: "api", Inputs: map[string]any{
			"launchType": "FARGATE", "name": "api", "desiredCount": 0.0,
		}})
		large := service("more", small)
		run := time.Duration(rapid.Int64Range(1, int64(1000*time.Hour)).Draw(t, "run"))
		longer := run + time.Duration(rapid.Int64Range(0, int64(100*time.Hour)).Draw(t, "longer"))
		less := estimate(t, []cost.Resource{small, task}, cost.Options{Run: run})
		for name, more := range map[string]cost.Estimate{
			"more tasks":   estimate(t, []cost.Resource{large, task}, cost.Options{Run: run}),
			"longer":       estimate(t, []cost.Resource{small, task}, cost.Options{Run: longer}),
			"one more":     estimate(t, []cost.Resource{small, task, {Type: "aws:ec2/natGateway:NatGateway"}}, cost.Options{Run: run}),
			"more traffic": estimate(t, []cost.Resource{small, task}, cost.Options{Run: run, Assume: map[string]cost.Amount{"container-logs-gb": cost.Whole(1)}}),
		} {
			require.GreaterOrEqual(t, more.Total.Run.Cmp(less.Total.Run), 0, name)
			require.GreaterOrEqual(t, more.Total.Hour.Cmp(less.Total.Hour), 0, name)
			require.GreaterOrEqual(t, more.Total.Month.Cmp(less.Total.Month), 0, name)
		}
	})
}

func TestTheSumsAreThoseOfTheLines(t *testing.T) {
	found := estimate(t, stack(t, nil), cost.Options{})
	sum := cost.Costs{}
	for _, line := range found.Lines {
		sum = sum.Plus(line.Costs)
		require.Equal(t, line.Assumption != "", line.Why != "", "an assumption says why: %s", line.What)
	}
	require.Equal(t, 0, sum.Month.Cmp(found.Total.Month))
	require.Equal(t, 0, sum.Run.Cmp(found.Total.Run))

	text, err := json.Marshal(found)
	require.NoError(t, err)
	require.Contains(t, string(text), `"total":{"run":`+found.Total.Run.String()+",")
	require.Contains(t, string(text), `"runLength":"1h30m0s"`)
}

func TestUnconfirmedPricesAreNamed(t *testing.T) {
	plan := []cost.Resource{
		{Type: "aws:rds/clusterInstance:ClusterInstance", Inputs: map[string]any{"engine": "aurora-postgresql", "instanceClass": "db.r6i.xlarge"}},
		{Type: "aws:ec2/natGateway:NatGateway"},
	}
	require.Equal(t, []string{"aurora.db.r6i.xlarge"}, estimate(t, plan, cost.Options{}).Unconfirmed())
}

func TestAnAmountIsExactAndNeverNegative(t *testing.T) {
	sum := cost.Amount{}
	tenth, err := cost.ParseAmount("0.1")
	require.NoError(t, err)
	for range 10 {
		sum = sum.Plus(tenth)
	}
	require.Equal(t, 0, sum.Cmp(cost.Whole(1)))
	require.Equal(t, "0.333333", cost.Whole(1).Over(3).String())
	require.Equal(t, "100", cost.Whole(100).String())
	for _, wrong := range []string{"", "-1", "1/3", "1e3", "0x10", "nan", "1_0", "1,5", "$5", strings.Repeat(".", 2)} {
		_, err := cost.ParseAmount(wrong)
		require.Error(t, err, wrong)
	}
}
