package verify

import (
	"regexp"
	"slices"
	"strings"
)

// kind is a kind of AWS resource, as a reader would call it.
type kind string

const (
	kindVPC             kind = "VPC"
	kindSubnet          kind = "subnet"
	kindInternetGateway kind = "internet gateway"
	kindNAT             kind = "NAT gateway"
	kindAddress         kind = "Elastic IP"
	kindRouteTable      kind = "route table"
	kindSecurityGroup   kind = "security group"
	kindGroupRule       kind = "security group rule"
	kindEndpoint        kind = "VPC endpoint"
	kindFlowLog         kind = "flow log"
	kindInterface       kind = "network interface"
	kindDBCluster       kind = "database cluster"
	kindDBInstance      kind = "database instance"
	kindDBSubnetGroup   kind = "database subnet group"
	kindDBParameters    kind = "database cluster parameter group"
	kindDBEvents        kind = "RDS event subscription"
	kindDBSnapshot      kind = "database snapshot"
	kindDBBackup        kind = "database automated backup"
	kindECSCluster      kind = "ECS cluster"
	kindECSService      kind = "ECS service"
	kindTaskDefinition  kind = "task definition"
	kindScalableTarget  kind = "scalable target"
	kindScalingPolicy   kind = "scaling policy"
	kindLoadBalancer    kind = "load balancer"
	kindTargetGroup     kind = "target group"
	kindListener        kind = "listener"
	kindListenerRule    kind = "listener rule"
	kindCertificate     kind = "certificate"
	kindWebACL          kind = "web ACL"
	kindQueue           kind = "queue"
	kindTopic           kind = "topic"
	kindKey             kind = "KMS key"
	kindAlias           kind = "KMS alias"
	kindSecret          kind = "secret"
	kindParameter       kind = "parameter"
	kindLogGroup        kind = "log group"
	kindLogPolicy       kind = "log resource policy"
	kindAlarm           kind = "alarm"
	kindDashboard       kind = "dashboard"
	kindEventRule       kind = "event rule"
	kindRole            kind = "IAM role"
	kindPolicy          kind = "IAM policy"
	kindBucket          kind = "bucket"
	kindRecord          kind = "DNS record"
	kindOther           kind = "other resource"
)

// knownNames are the names that the stack gives, by kind. {S} stands for the suffix, {n} for a number, {account} and
// {region} for themselves, * for anything. Known by kind, two stacks are told apart even where one's suffix ends like the
// other's ("b" and "a-b").
func knownNames(k kind) []string {
	switch k {
	case kindVPC:
		return []string{"vpc-{S}"}
	case kindSubnet:
		return []string{"public-subnet-{n}-{S}", "private-subnet-{n}-{S}"}
	case kindInternetGateway:
		return []string{"internet-gateway-{S}"}
	case kindNAT:
		return []string{"nat-gateway-{n}-{S}"}
	case kindAddress:
		return []string{"nat-eip-{n}-{S}"}
	case kindRouteTable:
		return []string{"public-route-table-{S}", "private-route-table-{n}-{S}"}
	case kindSecurityGroup:
		return []string{"alb-sg-{S}", "payment-api-sg-{S}", "job-processor-sg-{S}", "db-sg-{S}", "endpoints-sg-{S}", "default-sg-{S}"}
	case kindGroupRule:
		return []string{
			"alb-in-https-{S}", "alb-in-http-{S}", "alb-out-payment-api-{S}", "alb-out-job-processor-{S}",
			"payment-api-in-alb-{S}", "payment-api-out-db-{S}", "payment-api-out-https-{S}",
			"job-processor-in-alb-{S}", "job-processor-out-db-{S}", "job-processor-out-https-{S}",
			"db-in-payment-api-{S}", "db-in-job-processor-{S}", "endpoints-in-payment-api-{S}", "endpoints-in-job-processor-{S}",
		}
	case kindEndpoint:
		return []string{
			"s3-endpoint-{S}", "ecr-api-endpoint-{S}", "ecr-dkr-endpoint-{S}", "logs-endpoint-{S}",
			"secretsmanager-endpoint-{S}", "ssm-endpoint-{S}", "sqs-endpoint-{S}", "sns-endpoint-{S}",
		}
	case kindFlowLog:
		return []string{"vpc-flow-log-{S}"}
	case kindDBCluster, kindDBBackup:
		return []string{"aurora-cluster-{S}"}
	case kindDBInstance:
		return []string{"aurora-writer-{S}", "aurora-reader-{n}-{S}"}
	case kindDBSnapshot:
		return []string{"aurora-cluster-{S}", "aurora-writer-{S}", "aurora-reader-{n}-{S}"}
	case kindDBSubnetGroup:
		return []string{"db-subnet-group-{S}"}
	case kindDBParameters:
		return []string{"db-cluster-parameter-group-{S}"}
	case kindDBEvents:
		return []string{"rds-events-{S}"}
	case kindECSCluster:
		return []string{"ecs-cluster-{S}"}
	case kindECSService, kindTaskDefinition:
		return []string{"payment-api-{S}", "job-processor-{S}"}
	case kindScalableTarget:
		return []string{"service/ecs-cluster-{S}/payment-api-{S}", "service/ecs-cluster-{S}/job-processor-{S}"}
	case kindScalingPolicy:
		return []string{"payment-api-cpu-scaling-{S}", "job-processor-cpu-scaling-{S}", "job-processor-backlog-scaling-{S}"}
	case kindLoadBalancer:
		return []string{"alb-{S}"}
	case kindTargetGroup:
		return []string{"payment-api-tg-{S}", "job-processor-tg-{S}"}
	case kindListener:
		return []string{"http-listener-{S}", "https-listener-{S}"}
	case kindListenerRule:
		return []string{"api-rule-{S}", "health-rule-{S}"}
	case kindCertificate:
		return []string{"certificate-{S}"}
	case kindWebACL:
		return []string{"waf-{S}"}
	case kindQueue:
		return []string{"payment-jobs-{S}", "payment-jobs-dlq-{S}"}
	case kindTopic:
		return []string{"payment-alerts-{S}"}
	case kindKey:
		return []string{"payment-alerts-key-{S}"}
	case kindAlias:
		return []string{"alias/payment-alerts-{S}"}
	case kindSecret:
		return []string{"payment-db-credentials-{S}", "payment-api-keys-{S}"}
	case kindParameter:
		return []string{"/payment/{S}/*"}
	case kindLogGroup:
		return []string{
			"/ecs/payment-api-{S}", "/ecs/job-processor-{S}", "/vpc/flow-log-{S}", "aws-waf-logs-{S}",
			"/aws/rds/cluster/aurora-cluster-{S}/*", "/aws/ecs/containerinsights/ecs-cluster-{S}/*",
		}
	case kindLogPolicy:
		return []string{"waf-logs-policy-{S}"}
	case kindAlarm:
		return append(knownAlarms(), "TargetTracking-service/ecs-cluster-{S}/*")
	case kindDashboard:
		return []string{"payment-platform-{S}"}
	case kindEventRule:
		return []string{"ecs-deployment-failed-{S}", "ecs-essential-container-exited-{S}"}
	case kindRole:
		return []string{
			"vpc-flow-log-role-{S}", "rds-monitoring-role-{S}",
			"payment-api-execution-role-{S}", "payment-api-task-role-{S}",
			"job-processor-execution-role-{S}", "job-processor-task-role-{S}",
		}
	case kindBucket:
		return []string{"alb-logs-{account}-{region}-{S}"}
	}
	return nil
}

func knownAlarms() []string {
	names := []string{"nat-gateway-{n}-port-errors-alarm-{S}"}
	for _, role := range []string{
		"alb-5xx", "alb-target-5xx", "alb-latency-p99", "alb-rejected-connections",
		"aurora-cpu", "aurora-memory", "aurora-connections", "aurora-replica-lag", "aurora-deadlocks",
		"queue-age", "queue-depth", "dlq-messages", "waf-blocked-surge",
		"payment-api-unhealthy-hosts", "payment-api-cpu", "payment-api-memory", "payment-api-below-desired",
		"job-processor-unhealthy-hosts", "job-processor-cpu", "job-processor-memory", "job-processor-below-desired",
	} {
		names = append(names, role+"-alarm-{S}")
	}
	return names
}

// owner tells the resources of the stack with one suffix from all others. With any set it tells those of every stack.
type owner struct {
	suffix string
	any    bool
}

func (e *Env) owner() owner { return owner{suffix: e.Suffix, any: e.any} }

// verdict is what a name says about whose a resource is.
type verdict int

const (
	foreign verdict = iota // not of this stack
	unsure                 // ends in the suffix, but no name that the stack is known to give
	ours
)

// judge reads a name.
func (o owner) judge(k kind, name string) verdict {
	if o.any {
		if suffixIn(k, name) != "" {
			return ours
		}
		return foreign
	}
	if name == "" || o.suffix == "" {
		return foreign
	}
	others := false
	for _, template := range knownNames(k) {
		if pattern(template, regexp.QuoteMeta(o.suffix)).MatchString(name) {
			return ours
		}
		others = others || pattern(template, anySuffix).MatchString(name)
	}
	switch {
	case others:
		return foreign
	case hasSuffixPart(name, o.suffix):
		return unsure
	}
	return foreign
}

// owns takes an unknown name that ends in the suffix for the stack's own.
func (o owner) owns(k kind, name string) bool { return o.judge(k, name) != foreign }

// hasSuffixPart tells whether any part of a hierarchical name ends in -suffix.
func hasSuffixPart(name, suffix string) bool {
	for part := range strings.FieldsFuncSeq(name, func(r rune) bool { return r == '/' || r == ':' }) {
		if strings.HasSuffix(part, "-"+suffix) {
			return true
		}
	}
	return false
}

// suffixIn reads the suffix out of a name that the stack is known to give; empty for any other. Of two readings the
// shorter one stands ("payment-jobs-dlq-b" is the dead-letter queue of "b").
func suffixIn(k kind, name string) string {
	suffix := ""
	for _, template := range knownNames(k) {
		found := pattern(template, "("+anySuffix+")").FindStringSubmatch(name)
		if found == nil || slices.ContainsFunc(found[1:], func(other string) bool { return other != found[1] }) {
			continue // no such name, or one that names two stacks
		}
		if suffix == "" || len(found[1]) < len(suffix) {
			suffix = found[1]
		}
	}
	return suffix
}

// anySuffix is every suffix that a stack may have.
const anySuffix = `[a-z0-9](?:-?[a-z0-9])*`

// pattern makes a template match names with a suffix.
func pattern(template, suffix string) *regexp.Regexp {
	expression := strings.NewReplacer(
		`\{S\}`, suffix,
		`\{n\}`, `[0-9]+`,
		`\{account\}`, `[0-9]{12}`,
		`\{region\}`, `[a-z]{2,4}(?:-[a-z]+)+-[0-9]`,
		`\*`, `.*`,
	).Replace(regexp.QuoteMeta(template))
	return regexp.MustCompile(`^` + expression + `$`)
}
