package unit_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestQueuesKeepWhatTheBriefSaysAndFailedJobsGoToTheDeadLetterQueue(t *testing.T) {
	r := deploy(t, map[string]string{"queueVisibilityTimeoutSeconds": "120"})
	jobs, dead := r.one(t, "payment-jobs"), r.one(t, "payment-jobs-dlq")
	same(t, "jobs", []any{jobs.at(t, "name"), jobs.at(t, "messageRetentionSeconds"), jobs.at(t, "visibilityTimeoutSeconds"), jobs.at(t, "receiveWaitTimeSeconds"), jobs.at(t, "sqsManagedSseEnabled")},
		[]any{"payment-jobs-unit", 14 * 24 * 3600, 120, 20, true})
	same(t, "dead", []any{dead.at(t, "name"), dead.at(t, "messageRetentionSeconds"), dead.at(t, "sqsManagedSseEnabled")},
		[]any{"payment-jobs-dlq-unit", 7 * 24 * 3600, true})
	same(t, "redrive", decode[map[string]any](t, jobs, "redrivePolicy"), map[string]any{"deadLetterTargetArn": arnOf("payment-jobs-dlq"), "maxReceiveCount": 5})
	allow := r.one(t, "payment-jobs-dlq-redrive-allow")
	same(t, "whose", allow.at(t, "queueUrl"), "https://sqs.example/payment-jobs-dlq")
	same(t, "allowed", decode[map[string]any](t, allow, "redriveAllowPolicy"), map[string]any{"redrivePermission": "byQueue", "sourceQueueArns": []string{arnOf("payment-jobs")}})
}

func TestTheAlertsTopicIsEncryptedUnderItsOwnRotatingKey(t *testing.T) {
	r := deploy(t, nil)
	key := r.one(t, "payment-alerts-key")
	same(t, "key", []any{key.at(t, "enableKeyRotation"), key.at(t, "deletionWindowInDays")}, []any{true, 7})
	same(t, "alias", r.one(t, "payment-alerts-key-alias").plain, map[string]any{"name": "alias/payment-alerts-unit", "targetKeyId": "key-id"})
	topic := r.one(t, "payment-alerts")
	same(t, "topic", []any{topic.at(t, "name"), topic.at(t, "kmsMasterKeyId")}, []any{"payment-alerts-unit", arnOf("payment-alerts-key")})
	same(t, "subscription", r.one(t, "payment-alerts-email").plain, map[string]any{"topic": arnOf("payment-alerts"), "protocol": "email", "endpoint": "ops@example.com"})
}

func TestTheAlarmsAreExactlyTheTableAndTellBothWays(t *testing.T) {
	r := deploy(t, nil)
	var got []string
	for _, alarm := range r.ofType("aws:cloudwatch/metricAlarm:MetricAlarm") {
		metric, _ := alarm.plain["metricName"].(string)
		if _, computed := alarm.plain["metricQueries"]; computed {
			metric = fmt.Sprintf("%s - %s", alarm.at(t, "metricQueries", 0, "metric", "metricName"), alarm.at(t, "metricQueries", 1, "metric", "metricName"))
		}
		sign := map[any]string{"GreaterThanThreshold": ">", "LessThanThreshold": "<"}[alarm.at(t, "comparisonOperator")]
		got = append(got, fmt.Sprintf("%s: %s %s %v", strings.TrimSuffix(alarm.name, "-alarm"), metric, sign, alarm.at(t, "threshold")))
		for _, actions := range []string{"alarmActions", "okActions"} {
			same(t, alarm.name, alarm.at(t, actions), []string{arnOf("payment-alerts")})
		}
		same(t, alarm.name, alarm.at(t, "treatMissingData"), "notBreaching")
		same(t, alarm.name, alarm.at(t, "datapointsToAlarm"), alarm.at(t, "evaluationPeriods"))
		if alarm.text(t, "alarmDescription") == "" {
			t.Errorf("%s has no description", alarm.name)
		}
	}
	want := []string{
		"alb-5xx: HTTPCode_ELB_5XX_Count > 10", "alb-latency-p99: TargetResponseTime > 2",
		"alb-rejected-connections: RejectedConnectionCount > 0", "alb-target-5xx: HTTPCode_Target_5XX_Count > 10",
		"aurora-connections: DatabaseConnections > 1000", "aurora-cpu: CPUUtilization > 80", "aurora-deadlocks: Deadlocks > 0",
		"aurora-memory: FreeableMemory < 1.073741824e+09", "aurora-replica-lag: AuroraReplicaLagMaximum > 1000",
		"dlq-messages: ApproximateNumberOfMessagesVisible > 0",
		"job-processor-below-desired: DesiredTaskCount - RunningTaskCount > 0", "job-processor-cpu: CPUUtilization > 85",
		"job-processor-memory: MemoryUtilization > 85", "job-processor-unhealthy-hosts: UnHealthyHostCount > 0",
		"nat-gateway-1-port-errors: ErrorPortAllocation > 0", "nat-gateway-2-port-errors: ErrorPortAllocation > 0", "nat-gateway-3-port-errors: ErrorPortAllocation > 0",
		"payment-api-below-desired: DesiredTaskCount - RunningTaskCount > 0", "payment-api-cpu: CPUUtilization > 85",
		"payment-api-memory: MemoryUtilization > 85", "payment-api-unhealthy-hosts: UnHealthyHostCount > 0",
		"queue-age: ApproximateAgeOfOldestMessage > 86400", "queue-depth: ApproximateNumberOfMessagesVisible > 10000",
		"waf-blocked-surge: BlockedRequests > 1000",
	}
	slices.Sort(got)
	slices.Sort(want)
	same(t, "alarms", got, want)
}

func TestAlarmsWatchWhatThisStackMade(t *testing.T) {
	r := deploy(t, nil)
	service := map[string]any{"ClusterName": "ecs-cluster-unit", "ServiceName": "payment-api-unit"}
	for name, want := range map[string]map[string]any{
		"alb-5xx-alarm":                     {"LoadBalancer": "app/alb/1"},
		"payment-api-unhealthy-hosts-alarm": {"LoadBalancer": "app/alb/1", "TargetGroup": "targetgroup/payment-api-tg/1"},
		"payment-api-cpu-alarm":             service,
		"aurora-cpu-alarm":                  {"DBClusterIdentifier": "aurora-cluster-unit"},
		"queue-age-alarm":                   {"QueueName": "payment-jobs-unit"},
		"dlq-messages-alarm":                {"QueueName": "payment-jobs-dlq-unit"},
		"nat-gateway-2-port-errors-alarm":   {"NatGatewayId": "nat-gateway-2-id"},
		"waf-blocked-surge-alarm":           {"Region": "us-east-1", "Rule": "ALL", "WebACL": "waf-unit"},
	} {
		same(t, name, r.one(t, name).at(t, "dimensions"), want)
	}
	same(t, "percentile", []any{r.one(t, "alb-latency-p99-alarm").at(t, "extendedStatistic"), r.one(t, "alb-latency-p99-alarm").plain["statistic"]}, []any{"p99", nil})
	below := r.one(t, "payment-api-below-desired-alarm")
	same(t, "below desired", []any{below.at(t, "metricQueries", 2, "expression"), below.at(t, "metricQueries", 2, "returnData"), below.at(t, "metricQueries", 0, "metric", "dimensions"), below.plain["period"]},
		[]any{"minuend - subtrahend", true, service, nil})
}

func TestEventsOfThisClusterReachTheTopic(t *testing.T) {
	r := deploy(t, nil)
	same(t, "failed deployment", decode[map[string]any](t, r.one(t, "ecs-deployment-failed"), "eventPattern"), map[string]any{
		"source": []string{"aws.ecs"}, "detail-type": []string{"ECS Deployment State Change"},
		"resources": []any{map[string]any{"prefix": "arn:aws:ecs:us-east-1:123456789012:service/ecs-cluster-unit/"}},
		"detail":    map[string]any{"eventName": []string{"SERVICE_DEPLOYMENT_FAILED"}},
	})
	same(t, "dead container", decode[map[string]any](t, r.one(t, "ecs-essential-container-exited"), "eventPattern"), map[string]any{
		"source": []string{"aws.ecs"}, "detail-type": []string{"ECS Task State Change"},
		"detail": map[string]any{
			"clusterArn": []string{"arn:aws:ecs:us-east-1:123456789012:cluster/ecs-cluster-unit"}, "lastStatus": []string{"STOPPED"}, "stopCode": []string{"EssentialContainerExited"},
		},
	})
	for _, target := range r.ofType("aws:cloudwatch/eventTarget:EventTarget") {
		same(t, target.name, target.plain, map[string]any{
			"rule": strings.TrimSuffix(target.name, "-target") + "-unit", "targetId": "payment-alerts", "arn": arnOf("payment-alerts"),
		})
	}
	subscription := r.one(t, "rds-events")
	same(t, "RDS", []any{subscription.at(t, "snsTopic"), subscription.at(t, "sourceType"), subscription.at(t, "sourceIds"), subscription.at(t, "eventCategories")},
		[]any{arnOf("payment-alerts"), "db-cluster", []string{"aurora-cluster-unit"}, []string{"failover", "failure", "maintenance", "notification"}})
}

func TestTheDashboardShowsTheWholeWithoutOverlap(t *testing.T) {
	r := deploy(t, nil)
	body := decode[struct {
		Widgets []struct {
			Type                string
			X, Y, Width, Height int
			Properties          struct {
				Title, View, Region, Stat, Markdown string

				Period  int
				Metrics [][]string
			}
		}
	}](t, r.one(t, "payment-platform"), "dashboardBody")
	places, namespaces := map[[2]int]bool{}, map[string]bool{}
	for _, w := range body.Widgets {
		if places[[2]int{w.X, w.Y}] || w.X+w.Width > 24 {
			t.Errorf("%s does not fit at %d,%d", w.Properties.Title, w.X, w.Y)
		}
		places[[2]int{w.X, w.Y}] = true
		for _, row := range w.Properties.Metrics {
			if len(row)%2 != 0 || len(row) < 4 || slices.Contains(row, "") {
				t.Errorf("%s: %v is no metric with dimensions", w.Properties.Title, row)
			}
			namespaces[row[0]] = true
		}
	}
	same(t, "namespaces", slices.Sorted(maps.Keys(namespaces)), []string{"AWS/ApplicationELB", "AWS/ECS", "AWS/RDS", "AWS/SQS", "ECS/ContainerInsights"})
	same(t, "widgets", len(body.Widgets), 10)
	same(t, "whose it is, as the tags of all else say", body.Widgets[9].Properties.Markdown,
		"tapstack:owner=tapstack tapstack:run=manual tapstack:expires=never")
	same(t, "a row with both dimensions", body.Widgets[3].Properties.Metrics[0], []string{"AWS/ECS", "CPUUtilization", "ClusterName", "ecs-cluster-unit", "ServiceName", "payment-api-unit"})
}

func TestParametersHoldTheConfiguredValues(t *testing.T) {
	r := deploy(t, map[string]string{"apiTimeoutSeconds": "45", "apiRetryCount": "0", "jobRetryCount": "9"})
	for role, value := range map[string]string{
		"api-timeout-seconds": "45", "api-retry-count": "0", "job-retry-count": "9", "queue-url": "https://sqs.example/payment-jobs",
	} {
		p := r.one(t, role)
		same(t, role, []any{p.at(t, "name"), p.at(t, "type"), p.at(t, "value")}, []any{"/payment/unit/" + role, "String", value})
	}
}
