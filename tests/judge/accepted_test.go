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
	ofCluster    = "set for the whole cluster, where Prowler finds it; the emulator does not tell it of the cluster's instances"
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

	{"prowler", "cloudwatch_log_group_kms_encryption_enabled", "*-log-group", managedKey},
	{"prowler", "cloudwatch_log_group_retention_policy_specific_days_enabled", "*-log-group", briefLogs},
	{"prowler", "ec2_networkacl_allow_ingress_tcp_port_3389", "network-acl/*", "a VPC's own ACL lets everything through; security groups say what " +
		"comes in, and Prowler finds nothing in these"},
	{"prowler", "iam_password_policy_expires_passwords_within_90_days_or_less", "password-policy", "belongs to the account: the stack makes no users"},
	{"prowler", "rds_cluster_protected_by_backup_plan", "aurora-cluster", "Aurora keeps its own backups, 14 days of them to any second"},
	{"prowler", "rds_instance_event_subscription_security_groups", "account", "Prowler holds it against each subscription to other events; the one to " +
		"those of security groups is there, and passes"},
	{"prowler", "rds_instance_iam_authentication_enabled", "aurora-*", ofCluster},
	{"prowler", "rds_instance_integration_cloudwatch_logs", "aurora-*", ofCluster},
	{"prowler", "route53_public_hosted_zones_cloudwatch_logging_enabled", "hostedzone/*", "the zone is there before the stack, which is only given its id"},
	{"prowler", "s3_bucket_event_notifications_enabled", "alb-logs", accessLogs},
	{"prowler", "s3_bucket_kms_encryption", "alb-logs", "load balancers write access logs to buckets with SSE-S3 alone"},
	{"prowler", "s3_bucket_no_mfa_delete", "alb-logs", "the account's root user alone can switch it on, and then nobody else deletes a version"},
	{"prowler", "s3_bucket_object_lock", "alb-logs", briefLasts},
	{"prowler", "s3_bucket_server_access_logging_enabled", "alb-logs", "the bucket holds access logs itself"},
	{"prowler", "secretsmanager_automatic_rotation_enabled", "payment-*", "the brief wants secrets without rotation"},
	{"prowler", "secretsmanager_secret_unused", "payment-*", "tasks read their secrets when they start; on the emulator none runs"},
	{"prowler", "vpc_endpoint_for_ec2_enabled", "vpc", "nothing in the VPC calls the API of EC2"},

	{"botocore", "max", "Route 53 ListResourceRecordSets", "the SDK takes /hostedzone/ off an id before it sends that, after it was noted here"},
}
