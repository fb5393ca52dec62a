package verify

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
)

// Bullet is one requirement and the checks that hold the cloud to it. A bullet has checks, or the reason why no look at
// the cloud could answer it, which names the unit tests that do; some have both.
type Bullet struct {
	ID      string // "1.2" for the second bullet of core requirement 1, "4.3.1" for the first below its third
	Section string
	Text    string // as the brief has it
	Checks  []string
	// Elsewhere says why this is not, or not only, about the cloud, and names the tests of tests/unit that hold it.
	Elsewhere string
}

// SectionBeyond holds what the project adds to the brief, and where it says why.
const SectionBeyond = "Beyond the brief (docs/decisions/0005-beyond-the-brief.md)"

// Brief lists every bullet of the brief in its order, the sentences above the bullets that speak of the cloud, and then
// what goes beyond it.
func Brief() []Bullet {
	var all []Bullet
	for _, s := range []struct {
		title, id string
		bullets   []Bullet
	}{
		{"Payment Processing Infrastructure Migration", "O", overviewBullets()},
		{"1. VPC Infrastructure", "1", networkBullets()},
		{"2. Database Layer", "2", databaseBullets()},
		{"3. Application Layer", "3", applicationBullets()},
		{"4. Load Balancing", "4", balancingBullets()},
		{"5. Message Queue Infrastructure", "5", queueBullets()},
		{"6. Monitoring and Logging", "6", monitoringBullets()},
		{"7. Configuration Management", "7", configurationBullets()},
		{"8. Resource Tagging", "8", taggingBullets()},
		{"Technical Requirements", "T", technicalBullets()},
		{"Constraints", "C", constraintBullets()},
		{"Success Criteria", "S", successBullets()},
		{"What to deliver", "D", deliverableBullets()},
		{SectionBeyond, "B", beyondBullets()},
	} {
		number := 0
		for _, b := range s.bullets {
			if b.ID == "" {
				number++
				b.ID = fmt.Sprintf("%s.%d", s.id, number)
			}
			b.Section = s.title
			all = append(all, b)
		}
	}
	return all
}

// checksOf are the ids of all checks of some areas, such as "queue".
func checksOf(areas ...string) []string {
	var ids []string
	for _, c := range Checks() {
		area, _, _ := strings.Cut(c.ID, ".")
		if slices.Contains(areas, area) {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

func overviewBullets() []Bullet {
	return []Bullet{
		{
			Text: "The company handles financial transactions for multiple merchants and needs a highly available, production-grade infrastructure that can handle thousands of concurrent payment requests while maintaining PCI DSS compliance.",
			Checks: append(checksOf("waf", "scaling"),
				"application.rolling-update", "application.circuit-breaker", "application.zone-rebalancing", "application.task-hardening",
				"database.promotion-tiers", "database.audit-parameters", "alb.attributes", "network.flow-logs"),
		},
		{
			Text:   "The existing on-premises setup includes API servers handling payment requests, background job processors for batch operations, and PostgreSQL databases that need to be replicated in AWS with minimal downtime during the cutover phase.",
			Checks: []string{"database.replication-ready", "application.payment-api", "application.job-processor"},
		},
		{
			Text: "Create a complete payment processing infrastructure using **Pulumi with Go** that provides high availability across multiple availability zones in the us-east-1 region.",
			Checks: []string{
				"target.region", "network.three-zones", "network.nat-per-zone", "database.zones", "database.failover", "application.zones",
				"application.tasks-spread",
			},
		},
	}
}

func networkBullets() []Bullet {
	return []Bullet{
		{Text: "Create a VPC spanning 3 availability zones", Checks: []string{"network.vpc", "network.three-zones"}},
		{
			Text:   "Configure 3 public subnets for the Application Load Balancer",
			Checks: []string{"network.three-zones", "network.public-routes", "network.public-no-auto-ip", "alb.public"},
		},
		{
			Text: "Configure 3 private subnets for ECS Fargate tasks and RDS Aurora cluster",
			Checks: []string{
				"network.three-zones", "network.private-routes", "network.private-no-public-address", "application.private", "database.private-subnets",
			},
		},
		{
			Text:   "Set up NAT Gateways in each availability zone to provide outbound internet access for private resources",
			Checks: []string{"network.nat-per-zone", "network.private-routes"},
		},
		{
			Text: "Configure proper route tables and security groups",
			Checks: []string{
				"network.public-routes", "network.private-routes", "network.ingress-rules", "network.egress-rules", "network.reachability",
				"network.rules-described",
			},
		},
	}
}

func databaseBullets() []Bullet {
	return []Bullet{
		{
			Text:   "Deploy RDS Aurora PostgreSQL cluster with one writer instance and two reader instances",
			Checks: []string{"database.engine", "database.topology", "database.promotion-tiers", "database.failover"},
		},
		{
			Text:   "Deploy across private subnets in at least 2 availability zones for high availability",
			Checks: []string{"database.zones", "database.failover", "database.failover-endpoint", "database.failover-serves", "database.private-subnets", "database.not-public"},
		},
		{
			Text:   "Enable encryption at rest using AWS managed KMS keys",
			Checks: []string{"database.encrypted", "database.aws-managed-key"},
		},
		{Text: "Configure automated backups with point-in-time recovery", Checks: []string{"database.backups"}},
		{
			Text:   "Store connection strings in AWS Secrets Manager with automatic rotation disabled for initial deployment",
			Checks: []string{"secrets.connection-strings", "secrets.no-rotation"},
		},
	}
}

func applicationBullets() []Bullet {
	return []Bullet{
		{
			Text:   "Set up ECS Fargate cluster with two services:",
			Checks: []string{"application.cluster", "application.payment-api", "application.job-processor", "application.running"},
		},
		{
			ID: "3.1.1", Text: "'payment-api' service with 3 desired tasks for handling payment requests",
			Checks: []string{"application.payment-api", "application.running"},
		},
		{
			ID: "3.1.2", Text: "'job-processor' service with 2 desired tasks for batch operations",
			Checks: []string{"application.job-processor", "application.running"},
		},
		{
			Text:   "Configure proper task definitions with CPU and memory allocations",
			Checks: []string{"application.task-size", "application.task-platform", "application.task-hardening", "application.container-health"},
		},
		{Text: "Enable auto-scaling based on CPU utilization", Checks: []string{"scaling.targets", "scaling.cpu"}},
		{
			Text:   "Deploy containers across multiple availability zones for fault tolerance",
			Checks: []string{"application.zones", "application.tasks-spread", "application.zone-rebalancing"},
		},
	}
}

func balancingBullets() []Bullet {
	return []Bullet{
		{Text: "Configure an Application Load Balancer in public subnets", Checks: []string{"alb.public", "network.public-only-for-alb"}},
		{Text: "Set up target groups for both ECS services", Checks: []string{"alb.target-groups", "application.load-balanced"}},
		{
			Text:   "Configure path-based routing rules:",
			Checks: []string{"alb.api-routing", "alb.health-routing", "alb.default-404", "alb.answers", "alb.answers-404"},
		},
		{ID: "4.3.1", Text: "Route '/api/*' paths to the payment-api service", Checks: []string{"alb.api-routing", "alb.answers"}},
		{ID: "4.3.2", Text: "Route '/health' endpoint to both services for health checks", Checks: []string{"alb.health-routing", "alb.answers"}},
		{
			Text: "Enable connection draining and health checks",
			Checks: []string{
				"alb.draining", "alb.health-checks", "alb.healthy-targets", "application.container-health", "application.rollout-serves",
				"application.scale-in-serves",
			},
		},
	}
}

func queueBullets() []Bullet {
	return []Bullet{
		{Text: "Create SQS queue named 'payment-jobs' for asynchronous job processing", Checks: []string{"queue.named", "queue.delivers"}},
		{Text: "Set message retention period to 14 days", Checks: []string{"queue.retention"}},
		{
			Text:   "Create dead-letter queue named 'payment-jobs-dlq' with 7-day retention for failed messages",
			Checks: []string{"queue.named", "queue.dlq-retention", "queue.redrive", "queue.redrive-allow"},
		},
		{
			Text:   "Configure proper visibility timeout and receive message wait time",
			Checks: []string{"queue.visibility", "queue.long-poll"},
		},
	}
}

func monitoringBullets() []Bullet {
	return []Bullet{
		{
			Text:   "Configure CloudWatch Log Groups for each ECS service",
			Checks: []string{"logs.service-groups", "application.logs"},
		},
		{Text: "Set retention period to 30 days for compliance", Checks: []string{"logs.retention"}},
		{Text: "Enable CloudWatch Container Insights for ECS cluster metrics", Checks: []string{"logs.container-insights"}},
		{
			Text: "Set up SNS topic named 'payment-alerts' for critical infrastructure events",
			Checks: []string{
				"alerts.topic", "alerts.topic-policy", "alerts.alarms", "alerts.alarm-actions", "alerts.alarm-publishes", "alerts.events",
				"alerts.database-events",
			},
		},
		{Text: "Configure email subscription for operations team notifications", Checks: []string{"alerts.email"}},
	}
}

func configurationBullets() []Bullet {
	return []Bullet{
		{
			Text:   "Store non-sensitive configuration in Systems Manager Parameter Store",
			Checks: []string{"parameters.stored", "parameters.not-secret"},
		},
		{Text: "Create parameters for API timeout values and retry counts", Checks: []string{"parameters.values"}},
		{
			Text:   "Ensure proper IAM permissions for services to access parameters",
			Checks: []string{"iam.parameter-access", "iam.execution-roles"},
		},
	}
}

func taggingBullets() []Bullet {
	return []Bullet{
		{
			Text:   "Tag all resources with Environment='production'",
			Checks: []string{"tags.environment", "tags.scaling-targets", "application.tag-propagation", "application.managed-tags"},
		},
		{
			Text:   "Tag all resources with MigrationBatch='phase-1'",
			Checks: []string{"tags.migration-batch", "tags.scaling-targets", "application.tag-propagation"},
		},
		{Text: "Include environmentSuffix in all resource names for uniqueness", Checks: []string{"names.suffix", "names.convention"}},
	}
}

func technicalBullets() []Bullet {
	return []Bullet{
		{
			Text:      "All infrastructure defined using **Pulumi with Go**",
			Elsewhere: "the cloud does not tell what made it; held by TestTheInfrastructureIsOneGoFile",
		},
		{Text: "Deploy to **us-east-1** region", Checks: []string{"target.region"}},
		{
			Text:   "Use AWS VPC for network isolation",
			Checks: []string{"network.vpc", "network.reachability", "network.default-group-closed"},
		},
		{Text: "Use RDS Aurora PostgreSQL for database layer", Checks: []string{"database.engine"}},
		{
			Text: "Use ECS Fargate for containerized applications with auto-scaling",
			Checks: []string{
				"application.cluster", "application.task-platform", "application.payment-api", "application.job-processor", "scaling.targets", "scaling.cpu",
			},
		},
		{
			Text:   "Use Application Load Balancer with path-based routing rules",
			Checks: []string{"alb.public", "alb.api-routing", "alb.health-routing", "alb.default-404", "alb.answers", "alb.answers-404"},
		},
		{Text: "Use SQS for asynchronous job processing with DLQ configuration", Checks: []string{"queue.named", "queue.redrive", "queue.delivers"}},
		{
			Text: "Use Secrets Manager for database credentials and API keys",
			Checks: []string{
				"secrets.connection-strings", "secrets.api-keys", "application.secrets-injected", "application.no-secret-in-environment",
			},
		},
		{
			Text:   "Use CloudWatch Logs for centralized logging with 30-day retention",
			Checks: []string{"logs.retention", "logs.made-by-others", "application.logs", "database.log-exports"},
		},
		{
			Text:   "Use Systems Manager Parameter Store for non-sensitive configuration values",
			Checks: []string{"parameters.stored", "parameters.values"},
		},
		{
			Text:   "Use SNS for alerting on critical infrastructure events",
			Checks: []string{"alerts.topic", "alerts.alarms", "alerts.alarm-actions", "alerts.alarm-publishes", "alerts.events", "alerts.database-events"},
		},
		{Text: "Resource names must include **environmentSuffix** for uniqueness", Checks: []string{"names.suffix"}},
		{
			Text: "Follow naming convention: `{resource-type}-{environmentSuffix}`", Checks: []string{"names.convention"},
			Elsewhere: "that every legal suffix makes legal names is held by TestEveryLegalConfigurationYieldsALegalStack",
		},
		{
			Text: "All resources must be destroyable (no Retain deletion policies)", Checks: checksOf("destroyable"),
			Elsewhere: "what only the program can ask to be kept (final snapshots, recovery windows, retained resources) is held by TestEveryStackKeepsTheInvariants",
		},
		{
			Text:   "Include proper error handling and stack outputs",
			Checks: []string{"alb.outputs", "database.outputs"},
			Elsewhere: "errors are the program's; held by TestEveryIllegalValueIsRefusedByKeyValueAndRule, TestAnAnswerThatAwsOwesStopsTheProgramByName " +
				"and TestTheGoldenGraphIsWhatTheProgramDeclares",
		},
	}
}

func constraintBullets() []Bullet {
	return []Bullet{
		{
			Text: "Multi-AZ deployment required for high availability",
			Checks: []string{
				"network.three-zones", "network.nat-per-zone", "network.private-routes", "database.zones", "database.failover",
				"database.failover-endpoint", "application.zones", "alb.public",
			},
		},
		{
			Text: "Private subnets for compute and database resources",
			Checks: []string{
				"network.private-routes", "network.private-no-public-address", "application.private", "database.private-subnets", "database.not-public",
				"database.reachable-from-services-only",
			},
		},
		{Text: "Public subnets only for load balancer", Checks: []string{"network.public-only-for-alb", "network.public-no-auto-ip"}},
		{
			Text: "Security groups must follow least privilege principle",
			Checks: []string{
				"network.default-group-closed", "network.ingress-rules", "network.egress-rules", "network.reachability",
				"application.own-security-group", "database.reachable-from-services-only",
			},
		},
		{
			Text: "All data encryption at rest and in transit",
			Checks: []string{
				"database.encrypted", "secrets.encrypted", "queue.encrypted", "alerts.topic-key", "bucket.encrypted",
				"database.force-ssl", "database.certificate-authority", "secrets.tls-only", "queue.tls-only", "bucket.tls-only",
				"alerts.topic-policy", "alb.https", "alb.certificate", "alb.redirect", "alb.tls-to-targets",
				"alb.tls-spoken", "alb.redirects", "queue.refuses-plain-text", "bucket.refuses-plain-text",
			},
		},
		{
			Text: "No DeletionProtection or Retain policies (testing infrastructure)", Checks: checksOf("destroyable"),
			Elsewhere: "what only the program can ask to be kept is held by TestEveryStackKeepsTheInvariants",
		},
		{
			Text: "Proper IAM roles with minimal permissions for inter-service communication", Checks: append(checksOf("iam"), "database.iam-auth"),
		},
	}
}

func successBullets() []Bullet {
	return []Bullet{
		{
			Text: "**Functionality**: All AWS services deployed and integrated correctly",
			Checks: []string{
				"database.topology", "application.running", "alb.healthy-targets", "alb.answers", "queue.redrive", "queue.delivers",
				"application.secrets-injected", "alerts.alarm-actions", "alerts.alarm-publishes",
			},
		},
		{
			Text: "**High Availability**: Resources distributed across at least 2 availability zones",
			Checks: []string{
				"network.three-zones", "network.nat-per-zone", "database.zones", "database.promotion-tiers", "database.failover",
				"database.failover-endpoint", "application.zones", "application.tasks-spread",
			},
		},
		{
			Text: "**Security**: Proper network segmentation, encryption, and IAM permissions",
			Checks: append(checksOf("iam"),
				"network.reachability", "database.encrypted", "queue.encrypted", "secrets.encrypted", "alb.https"),
		},
		{
			Text: "**Monitoring**: CloudWatch logs and SNS alerts configured",
			Checks: []string{
				"logs.service-groups", "logs.container-insights", "alerts.topic", "alerts.email", "alerts.alarms", "alerts.alarm-actions",
				"alerts.alarm-publishes", "alerts.dashboard", "database.performance-insights", "database.enhanced-monitoring",
			},
		},
		{Text: "**Resource Naming**: All resources include environmentSuffix parameter", Checks: []string{"names.suffix", "names.convention"}},
		{
			Text: "**Destroyability**: All resources can be destroyed cleanly after testing", Checks: checksOf("destroyable"),
			Elsewhere: "that nothing is left is proven after each destroy by Leaks; that nothing asks to be kept is held by TestEveryStackKeepsTheInvariants",
		},
		{
			Text: "**Code Quality**: Well-structured Go code with proper error handling and documentation",
			Elsewhere: "this is about the program; held by the linters, TestTheInfrastructureIsOneGoFile, TestAllFaultsAreReportedAtOnce " +
				"and TestPulumiYamlIsTheTableOfKeys",
		},
	}
}

func deliverableBullets() []Bullet {
	return []Bullet{
		{
			Text:      "Complete Pulumi Go implementation in single tap_stack.go file",
			Elsewhere: "the cloud does not tell what made it; held by TestTheInfrastructureIsOneGoFile",
		},
		{Text: "VPC with public and private subnets across 3 availability zones", Checks: []string{"network.vpc", "network.three-zones"}},
		{Text: "RDS Aurora PostgreSQL cluster with read replicas", Checks: []string{"database.engine", "database.topology"}},
		{
			Text:   "ECS Fargate cluster with two services (payment-api and job-processor)",
			Checks: []string{"application.cluster", "application.payment-api", "application.job-processor"},
		},
		{
			Text:   "Application Load Balancer with path-based routing",
			Checks: []string{"alb.public", "alb.api-routing", "alb.health-routing", "alb.default-404", "alb.answers", "alb.answers-404"},
		},
		{Text: "SQS queues for job processing (main queue and DLQ)", Checks: []string{"queue.named", "queue.redrive", "queue.delivers"}},
		{Text: "Secrets Manager for database credentials", Checks: []string{"secrets.connection-strings"}},
		{Text: "CloudWatch Log Groups with 30-day retention", Checks: []string{"logs.service-groups", "logs.retention"}},
		{Text: "SNS topic with email subscription", Checks: []string{"alerts.topic", "alerts.email"}},
		{Text: "Systems Manager parameters for application configuration", Checks: []string{"parameters.stored", "parameters.values"}},
		{
			Text:      "Stack outputs including ALB DNS name, RDS cluster endpoint, and SQS queue URLs",
			Checks:    []string{"alb.outputs", "database.outputs", "queue.named"},
			Elsewhere: "that every output is there and none is secret is held by TestTheGoldenGraphIsWhatTheProgramDeclares",
		},
		{
			Text:   "Proper IAM roles and security groups",
			Checks: append(checksOf("iam"), "network.ingress-rules", "network.egress-rules"),
		},
		{Text: "Resource tagging for Environment and MigrationBatch", Checks: []string{"tags.environment", "tags.migration-batch"}},
	}
}

// beyondBullets are what goes beyond the brief.
func beyondBullets() []Bullet {
	return []Bullet{
		{
			Text:   "The VPC's default security group adopted and stripped of every rule",
			Checks: []string{"network.default-group-closed"},
		},
		{Text: "Flow logs of all traffic to CloudWatch, with their own role", Checks: []string{"network.flow-logs", "iam.infrastructure-roles"}},
		{Text: "S3 gateway endpoint on the private route tables", Checks: []string{"network.s3-endpoint"}},
		{
			Text:   "Interface endpoints for ecr.api, ecr.dkr, logs, secretsmanager, ssm, sqs, sns behind interfaceEndpoints",
			Checks: []string{"network.interface-endpoints"},
		},
		{Text: "Security group rules as separate resources with descriptions", Checks: []string{"network.rules-described"}},
		{
			Text: "Cluster parameter group: force_ssl, audit log, logical replication for the cutover, pg_stat_statements and pgaudit",
			Checks: []string{
				"database.force-ssl", "database.audit-parameters", "database.no-statements-logged", "database.replication-ready", "database.libraries",
			},
		},
		{Text: "IAM database authentication, export of the PostgreSQL log", Checks: []string{"database.iam-auth", "database.log-exports"}},
		{
			Text:   "No paid extended support, automatic minor upgrades, a CA that is valid for decades",
			Checks: []string{"database.no-paid-extended-support", "database.minor-upgrades", "database.maintenance-window", "database.certificate-authority"},
		},
		{
			Text:   "Performance insights and enhanced monitoring every 60 s with its role",
			Checks: []string{"database.performance-insights", "database.enhanced-monitoring", "iam.infrastructure-roles"},
		},
		{
			Text:   "Log groups that AWS would make without retention are created first, with 30 days",
			Checks: []string{"logs.made-by-others"}, Elsewhere: "the order is the program's; held by TestEveryStackKeepsTheInvariants",
		},
		{
			Text:   "The secrets' resource policies deny insecure transport, and reading to all but those who need it",
			Checks: []string{"secrets.tls-only", "secrets.readers"},
		},
		{
			Text:   "A database user and a secret for each service; the master user's for payment-migrate alone, a task that runs once",
			Checks: []string{"secrets.own-users", "application.migration", "database.grants"},
		},
		{
			Text:   "Circuit breaker with rollback, 100/200 percent, zone rebalancing, ECS managed tags, health check grace",
			Checks: []string{"application.circuit-breaker", "application.rolling-update", "application.zone-rebalancing", "application.managed-tags"},
		},
		{
			Text:   "Non-root user, read-only root file system, no privileges, container health check",
			Checks: []string{"application.task-hardening", "application.container-health"},
		},
		{Text: "job-processor scales on the backlog per task as well", Checks: []string{"scaling.backlog"}},
		{
			Text:   "Access logs to an S3 bucket (SSE-S3, public access blocked, owner enforced, TLS only, versions, lifecycle, forceDestroy)",
			Checks: append(checksOf("bucket"), "alb.access-logs", "destroyable.bucket"),
		},
		{
			Text:   "WAFv2 web ACL on the load balancer: AWS common, known bad inputs, SQL injection, IP reputation rule sets and a rate limit, logged without credentials",
			Checks: append(checksOf("waf"), "iam.log-delivery-policy"),
		},
		{
			Text:   "An alarm fires when the oldest message of the main queue is 1 day old; the one on the database's memory follows the instance class",
			Checks: []string{"alerts.queue-age", "alerts.memory"},
		},
		{
			Text:   "EventBridge rules and RDS event subscriptions tell the topic; a CloudWatch dashboard of the whole",
			Checks: []string{"alerts.events", "alerts.database-events", "alerts.dashboard"},
		},
		{Text: "The topic is encrypted with its own rotating key, that alarms can use", Checks: []string{"alerts.topic-key", "alerts.topic-policy"}},
		{Text: "Every resource carries the tags of its owner, run and expiry", Checks: []string{"tags.provenance"}},
	}
}

//go:embed sabotage.txt
var sabotages string

// Sabotages tells, for each check id, the mutations of the live cloud that are proven to turn the check red. The proof is
// in tests/integration; sabotage.txt has its list, one line "check-id<TAB>mutation in words" each.
func Sabotages() map[string][]string {
	known := map[string][]string{}
	for line := range strings.Lines(sabotages) {
		id, mutation, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if ok {
			known[id] = append(known[id], strings.TrimSpace(mutation))
		}
	}
	return known
}
