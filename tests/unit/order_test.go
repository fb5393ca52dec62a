package unit_test

import (
	"fmt"
	"slices"
	"strings"
)

// orderRule says what every resource of a type must wait for, and why AWS makes it so. What waits on the way up goes
// first on the way down.
type orderRule struct {
	token, why string
	// after lists the resources to wait for; an empty list is a fault unless optional.
	after    func(*recording, registration) []string
	optional bool
}

func orderRules() []orderRule {
	all := func(tokens ...string) func(*recording, registration) []string {
		return func(r *recording, _ registration) (names []string) {
			for _, token := range tokens {
				for _, d := range r.ofType(token) {
					names = append(names, d.name)
				}
			}
			return names
		}
	}
	const (
		service   = "aws:ecs/service:Service"
		instance  = "aws:rds/clusterInstance:ClusterInstance"
		alb       = "aws:lb/loadBalancer:LoadBalancer"
		topic     = "aws:sns/topicPolicy:TopicPolicy"
		neverOpen = "nothing can publish to the topic before its policy lets it"
	)
	return []orderRule{
		{token: service, why: "a target group without a rule has no load balancer, and the service is refused", after: ruleOfService},
		{token: "aws:lb/listenerRule:ListenerRule", why: "requests find no task before the service has rolled out", after: serviceOfRule, optional: true},
		{token: service, why: "without its roles' policies a service hangs in DRAINING on delete", after: policiesOfService},
		{token: service, why: "a task without its secrets' values does not start", after: all("aws:secretsmanager/secretVersion:SecretVersion")},
		{
			token: "aws:secretsmanager/secretVersion:SecretVersion", why: "who deploys may read no value before the policy says so",
			after: func(r *recording, d registration) (policies []string) {
				for _, p := range r.ofType("aws:secretsmanager/secretPolicy:SecretPolicy") {
					if slices.Equal(p.sources("secretArn"), d.sources("secretId")) {
						policies = append(policies, p.name)
					}
				}
				return policies
			},
		},
		{token: service, why: "a task that finds no database fails and trips the circuit breaker", after: all(instance)},
		{token: service, why: "FARGATE must be a capacity provider of the cluster", after: all("aws:ecs/clusterCapacityProviders:ClusterCapacityProviders")},
		{
			token: service, why: "a task without a way out cannot pull its image",
			after: func(r *recording, d registration) []string {
				return slices.DeleteFunc(all("aws:ec2/route:Route", "aws:ec2/routeTableAssociation:RouteTableAssociation")(r, d),
					func(name string) bool { return strings.HasPrefix(name, "public-") })
			},
		},
		{
			token: service, why: "a task that security groups shut in reaches nothing",
			after: all("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"),
		},
		{
			token: service, why: "private DNS sends AWS calls to endpoints that are not there yet", optional: true,
			after: func(r *recording, d registration) []string {
				return slices.DeleteFunc(all("aws:ec2/vpcEndpoint:VpcEndpoint")(r, d),
					func(name string) bool { return r.resources[name].plain["vpcEndpointType"] != "Interface" })
			},
		},
		{token: "aws:rds/cluster:Cluster", why: "RDS would make the exported log group without retention and leave it behind", after: exportedLogs},
		{token: "aws:ecs/cluster:Cluster", why: "Container Insights would make its log group without retention and leave it behind", after: insightsLogs},
		{
			token: instance, why: "Aurora makes the first instance the writer", optional: true,
			after: func(r *recording, d registration) (writers []string) {
				for _, other := range r.ofType(instance) {
					if other.plain["promotionTier"] == 0.0 && other.name != d.name {
						writers = append(writers, other.name)
					}
				}
				return writers
			},
		},
		{token: instance, why: "RDS tries the monitoring role when the instance is made", after: policiesOf("monitoringRoleArn")},
		{token: "aws:ec2/flowLog:FlowLog", why: "a flow log whose role may not write records nothing", after: policiesOf("iamRoleArn")},
		{token: alb, why: "ELB writes a test object when access logs are turned on", after: all("aws:s3/bucketPolicy:BucketPolicy")},
		{token: alb, why: "an internet-facing load balancer needs the internet gateway's route", after: internetRoute},
		{token: "aws:ec2/natGateway:NatGateway", why: "a NAT gateway needs the internet gateway (SDK, ec2.NatGateway)", after: internetRoute},
		{token: "aws:ec2/eip:Eip", why: "an address cannot be released while the gateway is attached (SDK, ec2.Eip)", after: internetRoute},
		{
			token: "aws:s3/bucketPolicy:BucketPolicy", why: "a bucket is shut before anything may write to it",
			after: all("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2"),
		},
		{token: "aws:cloudwatch/metricAlarm:MetricAlarm", why: neverOpen, after: all(topic)},
		{token: "aws:cloudwatch/eventTarget:EventTarget", why: neverOpen, after: all(topic)},
		{token: "aws:rds/eventSubscription:EventSubscription", why: neverOpen, after: all(topic)},
		{
			token: "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration", optional: true,
			why: "without a policy of its own WAF adds to one of limited size", after: all("aws:cloudwatch/logResourcePolicy:LogResourcePolicy"),
		},
		{token: "aws:sqs/queuePolicy:QueuePolicy", why: "SQS takes one change of attributes at a time", after: all("aws:sqs/redriveAllowPolicy:RedriveAllowPolicy")},
	}
}

func orderIsKept(r *recording, faults *faults) {
	for _, rule := range orderRules() {
		of := r.ofType(rule.token)
		faults.when(len(of) == 0 && !rule.optional, "%s is not declared", rule.token)
		for _, d := range of {
			first := rule.after(r, d)
			faults.when(len(first) == 0 && !rule.optional, "%s has nothing to wait for: %s", d.name, rule.why)
			needs := r.needs(d)
			for _, name := range first {
				faults.when(!needs[name], "%s does not wait for %s: %s", d.name, name, rule.why)
			}
		}
	}
}

// policiesOf finds the policies of the role that an input names.
func policiesOf(input string) func(*recording, registration) []string {
	return func(r *recording, d registration) (policies []string) {
		for _, policy := range r.ofType("aws:iam/rolePolicy:RolePolicy") {
			if slices.ContainsFunc(policy.sources("role"), func(role string) bool { return slices.Contains(d.sources(input), role) }) {
				policies = append(policies, policy.name)
			}
		}
		return policies
	}
}

func policiesOfService(r *recording, d registration) (policies []string) {
	for _, definition := range d.sources("taskDefinition") {
		for _, input := range []string{"executionRoleArn", "taskRoleArn"} {
			policies = append(policies, policiesOf(input)(r, r.resources[definition])...)
		}
	}
	return policies
}

// ruleOfService is the rule that ties the service's target group to the load balancer before any other does.
func ruleOfService(r *recording, d registration) (names []string) {
	for _, rule := range r.ofType("aws:lb/listenerRule:ListenerRule") {
		if slices.ContainsFunc(d.sources("loadBalancers"), func(group string) bool { return slices.Contains(rule.sources("actions"), group) }) &&
			!isAPIRule(rule) {
			names = append(names, rule.name)
		}
	}
	return names
}

// serviceOfRule is the service that answers on the API's path.
func serviceOfRule(_ *recording, d registration) []string {
	if !isAPIRule(d) {
		return nil
	}
	return []string{"payment-api"}
}

func isAPIRule(d registration) bool {
	return strings.Contains(fmt.Sprint(d.plain["conditions"]), "/api/")
}

// logGroupsNamed finds log groups by name.
func logGroupsNamed(r *recording, physical ...string) (names []string) {
	for _, group := range r.ofType("aws:cloudwatch/logGroup:LogGroup") {
		if name, _ := group.plain["name"].(string); slices.Contains(physical, name) {
			names = append(names, group.name)
		}
	}
	return names
}

func exportedLogs(r *recording, d registration) []string {
	exports, _ := d.plain["enabledCloudwatchLogsExports"].([]any)
	var names []string
	for _, export := range exports {
		names = append(names, fmt.Sprintf("/aws/rds/cluster/%v/%v", d.plain["clusterIdentifier"], export))
	}
	return logGroupsNamed(r, names...)
}

func insightsLogs(r *recording, d registration) []string {
	return logGroupsNamed(r, fmt.Sprintf("/aws/ecs/containerinsights/%v/performance", d.plain["name"]))
}

func internetRoute(r *recording, _ registration) (names []string) {
	for _, d := range r.ofType("aws:ec2/route:Route") {
		if len(d.sources("gatewayId")) > 0 {
			names = append(names, d.name)
		}
	}
	return names
}
