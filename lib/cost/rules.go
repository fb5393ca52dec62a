package cost

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// groups of lines, in the order in which they are told.
var groups = []string{database, compute, network, balancing, firewall, monitoring, keys, messaging}

const (
	database   = "database"
	compute    = "compute"
	network    = "network"
	balancing  = "load balancing"
	firewall   = "firewall"
	monitoring = "monitoring"
	keys       = "keys and secrets"
	messaging  = "messaging, storage and DNS"
)

// rule says how a type is billed.
type rule struct {
	group string
	price func(*sheet)
}

var one = Whole(1)

// rules of the types that cost something. Which cost nothing, and why, lib/inventory knows.
var rules = map[string]rule{
	"aws:rds/cluster:Cluster":                                         {database, auroraCluster},
	"aws:rds/clusterInstance:ClusterInstance":                         {database, auroraInstance},
	"aws:ecs/service:Service":                                         {compute, fargateService},
	"aws:ecs/cluster:Cluster":                                         {monitoring, ecsCluster},
	"aws:ec2/natGateway:NatGateway":                                   {network, each("nat.hour", "NAT gateway", "nat-gb")},
	"aws:ec2/eip:Eip":                                                 {network, func(s *sheet) { s.charge("ipv4.hour", "public IPv4 address", one) }},
	"aws:ec2/vpcEndpoint:VpcEndpoint":                                 {network, vpcEndpoint},
	"aws:ec2/flowLog:FlowLog":                                         {monitoring, func(s *sheet) { s.assume("flow-logs-gb", one) }},
	"aws:lb/loadBalancer:LoadBalancer":                                {balancing, loadBalancer},
	"aws:wafv2/webAcl:WebAcl":                                         {firewall, webACL},
	"aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration": {firewall, func(s *sheet) { s.assume("waf-logs-gb", one) }},
	"aws:cloudwatch/metricAlarm:MetricAlarm":                          {monitoring, metricAlarm},
	"aws:appautoscaling/policy:Policy":                                {monitoring, scalingPolicy},
	"aws:cloudwatch/dashboard:Dashboard":                              {monitoring, func(s *sheet) { s.charge("dashboard", "dashboard", one) }},
	"aws:cloudwatch/logGroup:LogGroup":                                {monitoring, func(s *sheet) { s.assume("logs-kept-gb", one) }},
	"aws:kms/key:Key":                                                 {keys, each("kms.key", "key", "kms-requests")},
	"aws:secretsmanager/secret:Secret":                                {keys, each("secret", "secret", "secret-requests")},
	"aws:sqs/queue:Queue":                                             {messaging, func(s *sheet) { s.assume("sqs-requests", one) }},
	"aws:sns/topic:Topic":                                             {messaging, func(s *sheet) { s.assume("sns-requests", one) }},
	"aws:sns/topicSubscription:TopicSubscription":                     {messaging, topicSubscription},
	"aws:s3/bucketV2:BucketV2":                                        {messaging, func(s *sheet) { s.assume("log-file-gb", one) }},
	"aws:route53/record:Record":                                       {messaging, dnsRecord},
}

// each bills a price for the resource, and what is assumed to be used of it.
func each(key, what, assumption string) func(*sheet) {
	return func(s *sheet) {
		s.charge(key, what, one)
		s.assume(assumption, one)
	}
}

// freeInsights is how many days of Performance Insights are kept for nothing.
const freeInsights = 7

func auroraInstance(s *sheet) {
	class, _ := s.text("instanceClass")
	key := "aurora." + class
	switch _, known := s.table.byKey[key]; {
	case !auroraPostgres(s):
	case known:
		s.charge(key, class, one)
	default:
		s.missing(fmt.Sprintf("no price is known for instance class %q", class))
	}
	if days, given := s.number("performanceInsightsRetentionPeriod"); given && days.Cmp(Whole(freeInsights)) > 0 {
		s.missing(fmt.Sprintf("no price is known for %s days of Performance Insights: %d are free", days, freeInsights))
	}
	if seconds, given := s.number("monitoringInterval"); given && !seconds.Zero() {
		s.assume("enhanced-monitoring-gb", Whole(60).per(seconds))
	}
}

func auroraCluster(s *sheet) {
	if !auroraPostgres(s) {
		return
	}
	if kind, given := s.text("storageType"); given && kind != "" && kind != "aurora" {
		s.missing(fmt.Sprintf("no price is known for storage type %q, nor for its instances", kind))
		return
	}
	s.assume("database-gb", one)
	s.assume("database-io", one)
	s.assume("database-backup-gb", one)
	if exports, _ := s.list("enabledCloudwatchLogsExports"); len(exports) > 0 {
		s.assume("database-logs-gb", one)
	}
}

func auroraPostgres(s *sheet) bool {
	engine, _ := s.text("engine")
	if engine != "aurora-postgresql" {
		s.missing(fmt.Sprintf("no price is known for database engine %q", engine))
		return false
	}
	return true
}

// freeStorage is the ephemeral storage of a Fargate task that is part of its price, in GB.
const freeStorage = 20

func fargateService(s *sheet) {
	if kind, _ := s.text("launchType"); kind != "FARGATE" {
		s.missing(fmt.Sprintf("no price is known for launch type %q", kind))
		return
	}
	count, known := s.number("desiredCount")
	if !known {
		s.missing("desiredCount is not known, so that its tasks have no price")
		return
	}
	task, known := s.taskDefinition()
	if !known {
		s.missing("its task definition is not in the plan, so that its tasks have no price")
		return
	}
	s.tasks(task, count)
	s.assume("container-logs-gb", count)
	if s.containerInsights() {
		s.assume("insights-service-metrics", one)
		s.assume("insights-logs-gb", count)
	}
}

// tasks bills the processors and memory of so many tasks.
func (s *sheet) tasks(task Resource, count Amount) {
	cpu, cpuKnown := task.number("cpu")          // in 1/1024 of a vCPU
	memory, memoryKnown := task.number("memory") // in MiB
	system, _ := task.text("runtimePlatform", "operatingSystemFamily")
	architecture, _ := task.text("runtimePlatform", "cpuArchitecture")
	family := map[string]string{"": "fargate.x86", "X86_64": "fargate.x86", "ARM64": "fargate.arm"}[architecture]
	if !cpuKnown || !memoryKnown || family == "" || system != "" && system != "LINUX" {
		s.missing(fmt.Sprintf("no price is known for tasks of %s: its size, architecture %q or system %q", task.Name, architecture, system))
		return
	}
	s.charge(family+".vcpu", fmt.Sprintf("vCPUs of %s tasks", count), count.Times(cpu.Over(1024)))
	s.charge(family+".memory", fmt.Sprintf("memory of %s tasks", count), count.Times(memory.Over(1024)))
	if size, given := task.number("ephemeralStorage", "sizeInGib"); given && size.Cmp(Whole(freeStorage)) > 0 {
		s.charge("fargate.storage", "storage beyond 20 GB", count.Times(size.Minus(Whole(freeStorage))))
	}
}

// taskDefinition finds the service's. Where the service does not name its family yet, since the definition is about to
// be made, it is the one whose family has the service's name.
func (s *sheet) taskDefinition() (Resource, bool) {
	family, _ := s.text("name")
	arn, _ := s.text("taskDefinition")
	if _, tail, is := strings.Cut(arn, ":task-definition/"); is {
		family, _, _ = strings.Cut(tail, ":")
	}
	for _, other := range s.plan {
		if name, given := other.text("family"); other.Type == "aws:ecs/taskDefinition:TaskDefinition" && given && name == family {
			return other, true
		}
	}
	return Resource{}, false
}

// containerInsights says whether any cluster of the plan has it.
func (s *sheet) containerInsights() bool {
	return slices.ContainsFunc(s.plan, func(r Resource) bool { return r.Type == "aws:ecs/cluster:Cluster" && r.insights() != "" })
}

// insights is a cluster's setting of Container Insights, empty where it is off.
func (r Resource) insights() string {
	settings, _ := r.list("settings")
	for _, it := range settings {
		setting, _ := it.(map[string]any)
		if value := setting["value"]; setting["name"] == "containerInsights" && value != "disabled" {
			return fmt.Sprint(value)
		}
	}
	return ""
}

func ecsCluster(s *sheet) {
	switch setting := s.insights(); setting {
	case "":
	case "enabled":
		s.assume("insights-cluster-metrics", one)
	default:
		s.missing(fmt.Sprintf("no price is known for Container Insights %q: counted as if enabled", setting))
		s.assume("insights-cluster-metrics", one)
	}
}

func vpcEndpoint(s *sheet) {
	switch kind, _ := s.text("vpcEndpointType"); kind {
	case "", "Gateway": // free
	case "Interface":
		if zones, known := s.list("subnetIds"); known {
			s.charge("endpoint.hour", fmt.Sprintf("interface endpoint in %d zones", len(zones)), Whole(len(zones)))
		} else {
			s.missing("its subnets are not known, so that its hours have no price")
		}
		s.assume("endpoint-gb", one)
	default:
		s.missing(fmt.Sprintf("no price is known for endpoint type %q", kind))
	}
}

func loadBalancer(s *sheet) {
	if kind, _ := s.text("loadBalancerType"); kind != "application" && kind != "" {
		s.missing(fmt.Sprintf("no price is known for load balancer type %q", kind))
		return
	}
	s.charge("alb.hour", "application load balancer", one)
	zones, known := s.list("subnets")
	count := Whole(len(zones))
	if internal, _ := s.value("internal").(bool); !internal {
		if known {
			s.charge("ipv4.hour", "public IPv4 addresses", count)
		} else {
			s.missing("its subnets are not known, so that its addresses have no price")
		}
		s.assume("out-gb", one)
	}
	s.assume("lcu-hours", one)
	if logs, _ := s.value("accessLogs", "enabled").(bool); logs {
		s.assume("log-puts", count)
	}
}

// paidRuleGroups of AWS cost a subscription besides the rule.
var paidRuleGroups = []string{
	"AWSManagedRulesBotControlRuleSet", "AWSManagedRulesATPRuleSet", "AWSManagedRulesACFPRuleSet", "AWSManagedRulesAntiDDoSRuleSet",
}

func webACL(s *sheet) {
	all, _ := s.list("rules")
	s.charge("waf.acl", "web ACL", one)
	s.charge("waf.rule", "rules", Whole(len(all)))
	s.assume("waf-requests", one)
	for _, it := range all {
		group := Resource{Inputs: map[string]any{"rule": it}}
		vendor, managed := group.text("rule", "statement", "managedRuleGroupStatement", "vendorName")
		name, _ := group.text("rule", "statement", "managedRuleGroupStatement", "name")
		if managed && (vendor != "AWS" || slices.Contains(paidRuleGroups, name)) {
			s.missing(fmt.Sprintf("no price is known for the subscription to %s of %s", name, vendor))
		}
	}
}

// highResolution alarms look more often than once in so many seconds.
const highResolution = 60

func metricAlarm(s *sheet) {
	metrics, period := Amount{}, Whole(highResolution)
	if seconds, given := s.number("period"); given {
		period = seconds
	}
	queries, _ := s.list("metricQueries")
	for _, it := range queries {
		query := Resource{Inputs: map[string]any{"query": it}}
		if query.value("query", "metric") == nil {
			continue // an expression over the others
		}
		metrics = metrics.Plus(one)
		if seconds, given := query.number("query", "metric", "period"); given && seconds.Cmp(period) < 0 {
			period = seconds
		}
	}
	if len(queries) == 0 {
		metrics = one
	}
	if period.Cmp(Whole(highResolution)) < 0 {
		s.charge("alarm.high", "high-resolution alarm metrics", metrics)
		return
	}
	s.charge("alarm.standard", "alarm metrics", metrics)
}

// scalingPolicy bills the alarms that Application Auto Scaling makes for a target tracking policy: one to scale out and one to scale in.
func scalingPolicy(s *sheet) {
	const alarms = 2
	if kind, _ := s.text("policyType"); kind != "TargetTrackingScaling" {
		return // a step policy's alarms are in the plan
	}
	metrics := 0
	queries, custom := s.list("targetTrackingScalingPolicyConfiguration", "customizedMetricSpecification", "metrics")
	for _, it := range queries {
		if query, is := it.(map[string]any); is && query["metricStat"] != nil {
			metrics++
		}
	}
	if !custom || metrics == 0 {
		metrics = 1
	}
	s.charge("alarm.standard", "alarm metrics of scaling", Whole(alarms*metrics))
}

func topicSubscription(s *sheet) {
	switch protocol, _ := s.text("protocol"); protocol {
	case "email", "email-json":
		s.assume("emails", one)
	case "sqs", "lambda": // free
	default:
		s.missing(fmt.Sprintf("no price is known for deliveries by %q", protocol))
	}
}

func dnsRecord(s *sheet) {
	if aliases, _ := s.list("aliases"); len(aliases) == 0 {
		s.assume("dns-queries", one)
	}
}

// value is what the inputs have at a path of properties: nil where there is nothing.
func (r Resource) value(path ...string) any {
	var value any = r.Inputs
	for _, key := range path {
		object, _ := value.(map[string]any)
		value = object[key]
	}
	return value
}

func (r Resource) text(path ...string) (string, bool) {
	text, is := r.value(path...).(string)
	return text, is
}

func (r Resource) list(path ...string) ([]any, bool) {
	list, is := r.value(path...).([]any)
	return list, is
}

// number reads a number that is not negative, or a text of one.
func (r Resource) number(path ...string) (Amount, bool) {
	switch value := r.value(path...).(type) {
	case string:
		parsed, err := ParseAmount(value)
		return parsed, err == nil
	case int:
		return Whole(value), value >= 0
	case float64:
		exact := new(big.Rat).SetFloat64(value)
		return Amount{exact}, exact != nil && value >= 0
	default:
		return Amount{}, false
	}
}
