package judge

// Why findings stay.
const (
	values       = "the template has the values that AWS gave where the program has references"
	briefLasts   = "the brief wants everything to go without a trace; docs/runbook.md, Going to production, switches it on"
	briefLogs    = "the brief keeps logs for 30 days; docs/runbook.md, Going to production, says what PCI DSS wants"
	managedKey   = "encrypted with a key that AWS manages; PCI DSS asks for encryption, not for a key of one's own"
	keyItself    = "in the policy of a key, * is that key"
	endpointOnly = "an endpoint's policy gives no permissions: it lets calls of this account through, and the roles say which"
	isPlain      = "a count, a time limit or an address; what is secret is in Secrets Manager"
	accessLogs   = "these are access logs of the load balancer, one copy of which in one region is enough, and nobody acts when one arrives"
)

// accepted are the findings that stay, with the reason.
var accepted = []acceptance{
	{"parliament", "RESOURCE_STAR", "payment-alerts-key", keyItself},
	{"parliament", "RESOURCE_STAR", "*-endpoint", endpointOnly},

	{"cfn-lint", "W2501", "aurora-cluster", values},
	{"cfn-lint", "W3010", "aurora-*", values},
	{"cfn-lint", "W3010", "*-subnet-?", values},
	{"cfn-lint", "W3690", "aurora-cluster", "the program asks AWS which version the major one stands for; 16.6 is the emulator's answer"},

	{"checkov", "CKV2_AWS_8", "aurora-cluster", "Aurora keeps its own backups, 14 days of them to any second"},
	{"checkov", "CKV2_AWS_27", "aurora-cluster", "log_statement writes the passwords of CREATE ROLE; pgAudit logs statements without"},
	{"checkov", "CKV2_AWS_34", "api-*", isPlain},
	{"checkov", "CKV2_AWS_34", "job-retry-count", isPlain},
	{"checkov", "CKV2_AWS_34", "queue-url", isPlain},
	{"checkov", "CKV2_AWS_57", "payment-*", "the brief wants secrets without rotation"},
	{"checkov", "CKV2_AWS_62", "alb-logs", accessLogs},
	{"checkov", "CKV2_AWS_76", "alb", "AWSManagedRulesKnownBadInputsRuleSet, which has the rule on Log4j, is there; the list of anonymous addresses, which " +
		"checkov wants besides, blocks hosting providers, and merchants' servers are there"},
	{"checkov", "CKV_AWS_18", "alb-logs", "the bucket holds access logs itself"},
	{"checkov", "CKV_AWS_139", "aurora-cluster", briefLasts},
	{"checkov", "CKV_AWS_144", "alb-logs", accessLogs},
	{"checkov", "CKV_AWS_145", "alb-logs", "load balancers write access logs to buckets with SSE-S3 alone"},
	{"checkov", "CKV_AWS_149", "payment-*", managedKey},
	{"checkov", "CKV_AWS_150", "alb", briefLasts},
	{"checkov", "CKV_AWS_158", "*-log-group", managedKey},
	{"checkov", "CKV_AWS_260", "alb-in-http", "port 80 answers with a redirect to HTTPS and nothing else"},
	{"checkov", "CKV_AWS_300", "alb-logs-lifecycle", "the bucket's policy lets nobody but the load balancer write, under the prefix of the rule"},
	{"checkov", "CKV_AWS_327", "aurora-cluster", managedKey},
	{"checkov", "CKV_AWS_338", "*-log-group", briefLogs},
	{"checkov", "CKV_AWS_354", "aurora-*", managedKey},

	{"botocore", "max", "Route 53 ListResourceRecordSets", "the SDK takes /hostedzone/ off an id before it sends that, after it was noted here"},
}
