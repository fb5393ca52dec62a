package verify

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"

	"tapstack/lib"
	"tapstack/lib/cloud"
	"tapstack/lib/inventory"
	"tapstack/lib/policy"
)

func alertingChecks() []Check {
	return []Check{
		{
			ID:   "alerts.topic",
			Says: "Set up SNS topic named 'payment-alerts' for critical infrastructure events",
			Run:  recorded(topicNamed),
		},
		{
			ID:   "alerts.email",
			Says: "Configure email subscription for operations team notifications",
			Run:  recorded(emailSubscribed),
		},
		{
			ID:   "alerts.topic-policy",
			Says: "The topic lets in alarms, events and RDS of this account only, over TLS (beyond the brief)",
			PCI:  []string{"4.2.1", "7.2.5"},
			Run:  recorded(topicPolicy),
		},
		{
			ID:   "alerts.topic-key",
			Says: "All data encryption at rest: the topic is encrypted with a key that alarms can use, and that rotates (beyond the brief)",
			PCI:  []string{"3.5.1", "3.7.4"},
			Run:  recorded(topicKey),
		},
		{
			ID:   "alerts.alarms",
			Says: "Use SNS for alerting on critical infrastructure events: an alarm watches each figure that matters",
			PCI:  []string{"10.7.2"},
			Run:  recorded(alarmsWatch),
		},
		{
			ID:   "alerts.alarm-actions",
			Says: "Use SNS for alerting on critical infrastructure events: every alarm tells the topic when it fires and when it ends",
			PCI:  []string{"10.7.2"},
			Run:  recorded(alarmsNotify),
		},
		{
			ID:   "alerts.queue-age",
			Says: "An alarm fires when the oldest job is 1 day old, long before it would expire in the dead-letter queue (beyond the brief)",
			Run:  recorded(queueAgeAlarm),
		},
		{
			ID:   "alerts.memory",
			Says: "An alarm fires when a database instance has little of its class's memory left, and not before (beyond the brief)",
			Run:  recorded(memoryAlarm),
		},
		{
			ID:   "alerts.events",
			Says: "Use SNS for alerting on critical infrastructure events: failed deployments and migrations, tasks that do not start and exited containers are told",
			Run:  recorded(eventsNotify),
		},
		{
			ID:   "alerts.database-events",
			Says: "Use SNS for alerting on critical infrastructure events: failures, maintenance and changes of the database, its instances and their groups are told",
			Run:  recorded(databaseEvents),
		},
		{
			ID:   "alerts.dashboard",
			Says: "A dashboard shows the whole (beyond the brief)",
			Run:  recorded(dashboard),
		},
	}
}

func (e *Env) topic(ctx context.Context) (map[string]string, error) {
	id, err := e.output(lib.OutputAlertsTopicArn)
	if err != nil {
		return nil, err
	}
	attributes, err := e.cloud.TopicAttributes(ctx, id)
	if err == nil && attributes["TopicArn"] == "" {
		err = fmt.Errorf("the topic %s shows no attributes", id)
	}
	return attributes, err
}

func topicNamed(ctx context.Context, e *Env, rec *recorder) error {
	t, err := e.topic(ctx)
	if err != nil {
		return err
	}
	id := t["TopicArn"]
	rec.on(id).equal("name", lib.PhysicalName("payment-alerts", e.Suffix), id[strings.LastIndex(id, ":")+1:])
	return nil
}

// emailSubscribed takes a subscription that waits for its confirmation for configured: only its reader can confirm it.
func emailSubscribed(ctx context.Context, e *Env, rec *recorder) error {
	id, err := e.output(lib.OutputAlertsTopicArn)
	if err != nil {
		return err
	}
	all, err := cloud.Pages(ctx, sns.NewListSubscriptionsByTopicPaginator(e.cloud.SNS, &sns.ListSubscriptionsByTopicInput{TopicArn: &id}),
		func(o *sns.ListSubscriptionsByTopicOutput) []snstypes.Subscription { return o.Subscriptions })
	if err != nil {
		return fmt.Errorf("reading the subscriptions of %s: %w", id, err)
	}
	var states []string
	x := rec.on(id)
	for _, sub := range all {
		if aws.ToString(sub.Protocol) != "email" || !strings.Contains(aws.ToString(sub.Endpoint), "@") {
			continue
		}
		// Nobody can ask about a subscription before it is confirmed.
		if !strings.HasPrefix(aws.ToString(sub.SubscriptionArn), "arn:") {
			states = append(states, "waiting for its reader to confirm")
			continue
		}
		states = append(states, "confirmed")
		out, err := e.cloud.SNS.GetSubscriptionAttributes(ctx, &sns.GetSubscriptionAttributesInput{SubscriptionArn: sub.SubscriptionArn})
		if err != nil {
			return fmt.Errorf("reading the subscription %s: %w", aws.ToString(sub.SubscriptionArn), err)
		}
		x.equal("filter that holds alerts back", "none", orNone(strings.Trim(out.Attributes["FilterPolicy"], "{} ")))
	}
	x.record("email subscriptions", "at least 1", listText(states), len(states) > 0)
	return nil
}

// publishers are the service principals that must be able to tell the topic, for this account only.
func publishers() []string { return []string{"cloudwatch.amazonaws.com", "events.rds.amazonaws.com"} }

// eventBridge must be let in without a condition: EventBridge names no source when it publishes to an encrypted topic,
// and a condition would make every delivery fail in silence (SNS developer guide, "Key management").
const eventBridge = "events.amazonaws.com"

func topicPolicy(ctx context.Context, e *Env, rec *recorder) error {
	t, err1 := e.topic(ctx)
	caller, err2 := e.cloud.Identity(ctx)
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	p, err := policy.Parse(t["Policy"])
	if err != nil {
		return err
	}
	x := rec.on(t["TopicArn"])
	bound, unbound := policy.Services(p, "sns:Publish", caller.Account)
	x.includes("services that may publish for this account", publishers(), bound)
	x.equal("denies sns:Publish without TLS", true, policy.DeniesWithoutTLS(p, "sns:Publish"))
	x.sameSet("lets in from outside the account", nil, policy.ExternalPrincipals(p, caller.Account, eventBridge))
	x.sameSet("services that may publish for any account", []string{eventBridge}, unbound)
	return nil
}

func topicKey(ctx context.Context, e *Env, rec *recorder) error {
	t, err := e.topic(ctx)
	if err != nil {
		return err
	}
	x := rec.on(t["TopicArn"])
	id := t["KmsMasterKeyId"]
	x.present("key", id)
	if id == "" {
		return nil
	}
	key, err1 := e.cloud.Key(ctx, id)
	caller, err2 := e.cloud.Identity(ctx)
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	x = rec.on(aws.ToString(key.Arn))
	// Alarms cannot publish to a topic under a key that AWS manages: nobody can grant them its use.
	x.equal("manager of the key", kmstypes.KeyManagerTypeCustomer, key.KeyManager)
	x.equal("state of the key", kmstypes.KeyStateEnabled, key.KeyState)
	rotation, err := e.cloud.KMS.GetKeyRotationStatus(ctx, &kms.GetKeyRotationStatusInput{KeyId: key.KeyId})
	if err != nil {
		return fmt.Errorf("reading the rotation of %s: %w", aws.ToString(key.Arn), err)
	}
	x.equal("rotation", true, rotation.KeyRotationEnabled)
	document, err := e.cloud.KeyPolicy(ctx, id)
	if err != nil {
		return err
	}
	p, err := policy.Parse(document)
	if err != nil {
		return err
	}
	for _, action := range []string{"kms:Decrypt", "kms:GenerateDataKey"} {
		bound, unbound := policy.Services(p, action, caller.Account)
		x.includes("services that may "+action+" for this account", publishers(), bound)
		x.sameSet("services that may "+action+" for any account", []string{eventBridge}, unbound)
	}
	x.sameSet("lets in from outside the account", nil, policy.ExternalPrincipals(p, caller.Account, eventBridge))
	return nil
}

// alarmedMetric is a figure that some alarm must watch: metric of a namespace, for one of the stack's own resources.
type alarmedMetric struct {
	namespace, metric string
	dimension, value  string
}

// alerts tells whether an alarm on the figure can go off when it should: it compares in the direction that is bad, with a
// threshold that the figure can pass. A formula is judged by its comparison alone.
func (w alarmedMetric) alerts(a cwtypes.MetricAlarm) bool {
	threshold := aws.ToFloat64(a.Threshold)
	direction := "GreaterThan"
	if w.metric == "FreeableMemory" {
		direction = "LessThan"
	}
	if !strings.HasPrefix(string(a.ComparisonOperator), direction) {
		return false
	}
	switch {
	case len(a.Metrics) > 0:
		return true
	case strings.HasSuffix(w.metric, "Utilization"):
		return 0 < threshold && threshold < 100
	case direction == "LessThan":
		return threshold > 0
	}
	return threshold >= 0
}

// alarmedMetrics is the table of all that must be watched.
func (e *Env) alarmedMetrics(ctx context.Context) ([]alarmedMetric, error) {
	lb, err1 := e.output(lib.OutputAlbArn)
	database, err2 := e.output(lib.OutputClusterIdentifier)
	main, err3 := e.queueName(lib.OutputQueueURL)
	dead, err4 := e.queueName(lib.OutputDlqURL)
	if err := cmp.Or(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	_, balancer, _ := strings.Cut(lb, ":loadbalancer/")
	var table []alarmedMetric
	for _, metric := range []string{
		"HTTPCode_ELB_5XX_Count", "HTTPCode_Target_5XX_Count", "TargetResponseTime", "UnHealthyHostCount", "RejectedConnectionCount",
	} {
		table = append(table, alarmedMetric{"AWS/ApplicationELB", metric, "LoadBalancer", balancer})
	}
	for _, kind := range serviceKinds() {
		service, err := e.output(kind.output)
		if err != nil {
			return nil, err
		}
		table = append(table,
			alarmedMetric{"AWS/ECS", "CPUUtilization", "ServiceName", service},
			alarmedMetric{"AWS/ECS", "MemoryUtilization", "ServiceName", service},
			alarmedMetric{"ECS/ContainerInsights", "RunningTaskCount", "ServiceName", service})
	}
	for _, metric := range []string{"CPUUtilization", "FreeableMemory", "DatabaseConnections", "AuroraReplicaLagMaximum", "Deadlocks"} {
		table = append(table, alarmedMetric{"AWS/RDS", metric, "DBClusterIdentifier", database})
	}
	table = append(table,
		alarmedMetric{"AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", main},
		alarmedMetric{"AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", main},
		alarmedMetric{"AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", dead})
	gateways, err := e.natGateways(ctx)
	if err != nil {
		return nil, err
	}
	for _, g := range gateways {
		table = append(table, alarmedMetric{"AWS/NATGateway", "ErrorPortAllocation", "NatGatewayId", aws.ToString(g.NatGatewayId)})
	}
	acl, err := e.firewall(ctx)
	if errors.Is(err, errNoFirewall) {
		return table, nil
	}
	if err != nil {
		return nil, err
	}
	return append(table, alarmedMetric{"AWS/WAFV2", "BlockedRequests", "WebACL", aws.ToString(acl.Name)}), nil
}

// watches tells whether an alarm looks at the figure, by itself or in a formula.
func watches(a cwtypes.MetricAlarm, w alarmedMetric) bool {
	has := func(dimensions []cwtypes.Dimension) bool {
		return slices.ContainsFunc(dimensions, func(d cwtypes.Dimension) bool {
			return aws.ToString(d.Name) == w.dimension && aws.ToString(d.Value) == w.value
		})
	}
	if aws.ToString(a.Namespace) == w.namespace && aws.ToString(a.MetricName) == w.metric && has(a.Dimensions) {
		return true
	}
	return slices.ContainsFunc(a.Metrics, func(q cwtypes.MetricDataQuery) bool {
		return q.MetricStat != nil && q.MetricStat.Metric != nil && aws.ToString(q.MetricStat.Metric.Namespace) == w.namespace &&
			aws.ToString(q.MetricStat.Metric.MetricName) == w.metric && has(q.MetricStat.Metric.Dimensions)
	})
}

// ownAlarms are the alarms that carry the suffix, without those that Application Auto Scaling makes for itself.
func (e *Env) ownAlarms(ctx context.Context) ([]cwtypes.MetricAlarm, error) {
	all, err := e.cloud.Alarms(ctx)
	if err != nil {
		return nil, err
	}
	return findAll("alarm of this stack", all, func(a cwtypes.MetricAlarm) bool {
		name := aws.ToString(a.AlarmName)
		return !inventory.IsScalingAlarm(name) && inventory.Alarm.MayBelong(name, e.Suffix)
	})
}

func alarmsWatch(ctx context.Context, e *Env, rec *recorder) error {
	alarms, err1 := e.ownAlarms(ctx)
	metrics, err2 := e.alarmedMetrics(ctx)
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	for _, w := range metrics {
		what := fmt.Sprintf("%s %s of %s", w.namespace, w.metric, w.value)
		i := slices.IndexFunc(alarms, func(a cwtypes.MetricAlarm) bool { return watches(a, w) })
		if i < 0 {
			rec.on("").record(what, "watched by an alarm", "watched by none", false)
			continue
		}
		a := alarms[i]
		rec.on(aws.ToString(a.AlarmArn)).record(what, "watched by an alarm that can go off",
			fmt.Sprintf("%s: %s %g", aws.ToString(a.AlarmName), a.ComparisonOperator, aws.ToFloat64(a.Threshold)), w.alerts(a))
	}
	return nil
}

func alarmsNotify(ctx context.Context, e *Env, rec *recorder) error {
	alarms, err1 := e.ownAlarms(ctx)
	topic, err2 := e.output(lib.OutputAlertsTopicArn)
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	for _, a := range alarms {
		x := rec.on(aws.ToString(a.AlarmArn))
		x.equal("actions enabled", true, a.ActionsEnabled)
		x.includes("actions on ALARM", []string{topic}, a.AlarmActions)
		x.includes("actions on OK", []string{topic}, a.OKActions)
	}
	return nil
}

func queueAgeAlarm(ctx context.Context, e *Env, rec *recorder) error {
	alarms, err1 := e.ownAlarms(ctx)
	name, err2 := e.queueName(lib.OutputQueueURL)
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	a, err := findOne("alarm on the age of the oldest job", alarms, func(a cwtypes.MetricAlarm) bool {
		return watches(a, alarmedMetric{"AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", name})
	})
	if err != nil {
		return err
	}
	x := rec.on(aws.ToString(a.AlarmArn))
	age := aws.ToFloat64(a.Threshold)
	x.record("age in seconds", fmt.Sprintf("at most %d", daySeconds), age, age > 0 && age <= daySeconds)
	x.record("comparison", "greater", a.ComparisonOperator, strings.HasPrefix(string(a.ComparisonOperator), "GreaterThan"))
	return nil
}

func memoryAlarm(ctx context.Context, e *Env, rec *recorder) error {
	alarms, err1 := e.ownAlarms(ctx)
	cluster, err2 := e.output(lib.OutputClusterIdentifier)
	instances, err3 := e.dbInstances(ctx)
	if err := cmp.Or(err1, err2, err3); err != nil {
		return err
	}
	a, err := findOne("alarm on the database's memory", alarms, func(a cwtypes.MetricAlarm) bool {
		return watches(a, alarmedMetric{"AWS/RDS", "FreeableMemory", "DBClusterIdentifier", cluster})
	})
	if err != nil {
		return err
	}
	x := rec.on(aws.ToString(a.AlarmArn))
	for _, i := range instances {
		share := 100 * aws.ToFloat64(a.Threshold) / lib.InstanceMemory(aws.ToString(i.DBInstanceClass))
		x.record("threshold, in percent of the memory of "+aws.ToString(i.DBInstanceIdentifier), "from 2 to 10", fmt.Sprintf("%.1f", share), 2 <= share && share <= 10)
	}
	return nil
}

type object = map[string]any

// matches tells whether a pattern of EventBridge's catches an event, as far as this stack's patterns go: each field of the
// pattern must be in the event with one of the values, or as one of the comparisons wants it ("Creating Amazon EventBridge event
// patterns", EventBridge user guide). In a list any element will do.
func matches(pattern, event object) bool {
	for field, wanted := range pattern {
		found, is := event[field].([]any)
		if !is {
			found = []any{event[field]}
		}
		fits := func(value any) bool {
			if deeper, is := wanted.(object); is {
				inner, _ := value.(object)
				return matches(deeper, inner)
			}
			alternatives, _ := wanted.([]any)
			return slices.ContainsFunc(alternatives, func(one any) bool { return fitsOne(one, value) })
		}
		if !slices.ContainsFunc(found, fits) {
			return false
		}
	}
	return true
}

// fitsOne compares one value of an event; a comparison that is not known fits nothing.
func fitsOne(wanted, value any) bool {
	comparison, is := wanted.(object)
	if !is {
		return value == wanted
	}
	for operator, operand := range comparison {
		text, _ := value.(string)
		prefix, _ := operand.(string)
		switch {
		case operator == "prefix" && strings.HasPrefix(text, prefix) && text != "":
		case operator == "anything-but" && value != nil && value != operand:
		case operator == "exists" && operand == (value != nil):
		default:
			return false
		}
	}
	return len(comparison) > 0
}

// incident is an event that the operations team must hear of, or one that it must not.
type incident struct {
	what  string
	told  bool
	event object
}

// incidents are as ECS tells them ("Amazon ECS events", ECS developer guide). A task that exits by itself with code 0 is a fault
// in a service, and the end that a migration is meant to have.
func (e *Env) incidents(ctx context.Context) ([]incident, error) {
	cluster, err1 := e.cluster(ctx)
	service, err2 := e.service(ctx, serviceKinds()[0])
	migration, err3 := e.output(lib.OutputPaymentMigrateTaskDefinition)
	if err := cmp.Or(err1, err2, err3); err != nil {
		return nil, err
	}
	stopped := func(group, definition, code string, container object) object {
		return object{"source": "aws.ecs", "detail-type": "ECS Task State Change", "detail": object{
			"clusterArn": aws.ToString(cluster.ClusterArn), "group": group, "taskDefinitionArn": definition,
			"lastStatus": "STOPPED", "stopCode": code, "containers": []any{container},
		}}
	}
	const exited, neverStarted = "EssentialContainerExited", "TaskFailedToStart"
	ofService, runs := "service:"+aws.ToString(service.ServiceName), aws.ToString(service.TaskDefinition)
	const oneOff = "family:" + partPaymentMigrate
	return []incident{
		{"a failed deployment", true, object{
			"source": "aws.ecs", "detail-type": "ECS Deployment State Change", "resources": []any{aws.ToString(service.ServiceArn)},
			"detail": object{"eventName": "SERVICE_DEPLOYMENT_FAILED"},
		}},
		{"an essential container that exited", true, stopped(ofService, runs, exited, object{"exitCode": 0.0})},
		{"a task that failed to start", true, stopped(ofService, runs, neverStarted, object{})},
		{"a migration that failed", true, stopped(oneOff, migration, exited, object{"exitCode": 1.0})},
		{"a migration that did not start", true, stopped(oneOff, migration, neverStarted, object{})},
		{"a migration that succeeded", false, stopped(oneOff, migration, exited, object{"exitCode": 0.0})},
	}, nil
}

func eventsNotify(ctx context.Context, e *Env, rec *recorder) error {
	topic, err1 := e.output(lib.OutputAlertsTopicArn)
	all, err2 := e.cloud.EventRules(ctx)
	incidents, err3 := e.incidents(ctx)
	if err := cmp.Or(err1, err2, err3); err != nil {
		return err
	}
	rules, err := findAll("event rule of this stack", all, func(r eventtypes.Rule) bool { return inventory.EventRule.MayBelong(aws.ToString(r.Name), e.Suffix) })
	if err != nil {
		return err
	}
	for _, w := range incidents {
		i := slices.IndexFunc(rules, func(r eventtypes.Rule) bool {
			var pattern object
			return json.Unmarshal([]byte(aws.ToString(r.EventPattern)), &pattern) == nil && matches(pattern, w.event)
		})
		if i < 0 || !w.told {
			rec.on("").record(w.what+" is caught by a rule", yesOrNo(w.told), yesOrNo(i >= 0), (i >= 0) == w.told)
			continue
		}
		targets, err := e.cloud.EventTargets(ctx, aws.ToString(rules[i].Name))
		if err != nil {
			return err
		}
		x := rec.on(aws.ToString(rules[i].Arn))
		x.equal("rule for "+w.what, "ENABLED", rules[i].State)
		x.includes("targets", []string{topic}, texts(targets, func(t eventtypes.Target) string { return aws.ToString(t.Arn) }))
	}
	return nil
}

// databaseEvents wants every kind of source that RDS tells of to tell the topic at least what Security Hub asks for
// (controls RDS.19 to RDS.22), of the stack's own database and of all groups.
func databaseEvents(ctx context.Context, e *Env, rec *recorder) error {
	topic, err1 := e.output(lib.OutputAlertsTopicArn)
	cluster, err2 := e.output(lib.OutputClusterIdentifier)
	instances, err3 := e.dbInstances(ctx)
	all, err4 := e.cloud.EventSubscriptions(ctx)
	if err := cmp.Or(err1, err2, err3, err4); err != nil {
		return err
	}
	identifiers := texts(instances, func(i rdstypes.DBInstance) string { return aws.ToString(i.DBInstanceIdentifier) })
	for _, w := range []struct {
		sourceType          string
		sources, categories []string
	}{
		{"db-cluster", []string{cluster}, []string{"failover", "failure", "maintenance", "notification"}},
		{"db-instance", identifiers, []string{"configuration change", "failure", "low storage", "maintenance"}},
		{"db-parameter-group", nil, []string{"configuration change"}},
		{"db-security-group", nil, []string{"configuration change", "failure"}},
	} {
		i := slices.IndexFunc(all, func(v rdstypes.EventSubscription) bool {
			return aws.ToString(v.SnsTopicArn) == topic && aws.ToString(v.SourceType) == w.sourceType
		})
		if i < 0 {
			rec.on(topic).record("events of "+w.sourceType, "subscribed to", "not subscribed to", false)
			continue
		}
		sub := all[i]
		x := rec.on(aws.ToString(sub.EventSubscriptionArn))
		x.equal("enabled", true, sub.Enabled)
		x.equal("status", "active", sub.Status)
		x.includes("categories", w.categories, sub.EventCategoriesList)
		if len(sub.SourceIdsList) > 0 { // without a list it is all of them
			x.includes("sources", w.sources, sub.SourceIdsList)
		}
	}
	return nil
}

func dashboard(ctx context.Context, e *Env, rec *recorder) error {
	address, err := e.output(lib.OutputDashboardURL)
	if err != nil {
		return err
	}
	name := address[strings.LastIndexAny(address, "/=")+1:]
	out, err := e.cloud.CloudWatch.GetDashboard(ctx, &cloudwatch.GetDashboardInput{DashboardName: &name})
	if err != nil {
		return fmt.Errorf("reading the dashboard %s: %w", name, err)
	}
	var body struct {
		Widgets []json.RawMessage `json:"widgets"`
	}
	if err := json.Unmarshal([]byte(aws.ToString(out.DashboardBody)), &body); err != nil {
		return fmt.Errorf("reading the body of the dashboard %s: %w", name, err)
	}
	x := rec.on(aws.ToString(out.DashboardArn))
	x.record("widgets", "at least 1", len(body.Widgets), len(body.Widgets) > 0)
	for _, namespace := range []string{"AWS/ApplicationELB", "AWS/ECS", "AWS/RDS", "AWS/SQS"} {
		x.equal("shows "+namespace, true, strings.Contains(aws.ToString(out.DashboardBody), namespace))
	}
	return nil
}
