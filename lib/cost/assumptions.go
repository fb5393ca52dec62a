package cost

// assumed is a quantity that no plan tells, per resource that has it: what a stack uses that runs, and that nobody uses.
type assumed struct {
	name string
	// price is the key of the price; perMonth is in its unit, and so is once, which every deployment uses.
	price          string
	perMonth, once string // decimals: a test parses them
	what           string // the line says so
	why            string
}

// assumptions of an idle stack. All of them are guesses until a run on AWS is billed, but for the metrics, which are
// counted: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Container-Insights-metrics-ECS.html
var assumptions = []assumed{
	{"nat-gb", "nat.gb", "2", "0.5", "data through it", "calls of AWS services; at a deployment the images, for the part that no S3 endpoint serves"},
	{"endpoint-gb", "endpoint.gb", "1", "0", "data through it", "calls of one AWS service"},
	{"lcu-hours", "alb.lcu", "7.3", "0", "capacity units", "scanners of the internet: a hundredth of a unit on average; health checks do not count"},
	{"out-gb", "transfer.out.gb", "0", "0", "data out to the internet", "an idle stack answers nobody"},
	{"log-puts", "s3.put", "8.76", "0", "access log files", "one every 5 minutes for each zone"},
	{"log-file-gb", "s3.storage", "0.1", "0", "access logs kept", "short files"},
	{"waf-requests", "waf.requests", "0.1", "0", "requests", "scanners of the internet"},
	{"waf-logs-gb", "logs.vended.gb", "0.15", "0", "logs", "1.5 kB a request"},
	{"flow-logs-gb", "logs.vended.gb", "2", "0", "logs", "health checks, rejected packets of scanners"},
	{"insights-cluster-metrics", "metric", "11", "0", "Container Insights metrics", "as documented for a cluster, each for a month"},
	{"insights-service-metrics", "metric", "21", "0", "Container Insights metrics", "as documented for a service, 13, and its task definition, 8, each for a month"},
	{"insights-logs-gb", "logs.gb", "0.15", "0", "Container Insights logs", "two events of 1.7 kB a minute for each task"},
	{"container-logs-gb", "logs.gb", "0.2", "0", "container logs", "health checks, for each task"},
	{"logs-kept-gb", "logs.storage", "0.2", "0", "logs kept", "30 days of compressed logs"},
	{"database-gb", "aurora.storage", "10", "0", "storage", "an empty database and its write-ahead log"},
	{"database-io", "aurora.io", "5", "0", "reads and writes", "vacuum, checkpoints and statistics: two a second"},
	{"database-backup-gb", "aurora.backup", "0", "0", "backups", "an empty database changes less than the cluster volume holds, which is free"},
	{"database-logs-gb", "logs.gb", "0.5", "0", "exported logs", "connections and disconnections, for the cluster"},
	{"enhanced-monitoring-gb", "logs.gb", "0.5", "0", "enhanced monitoring", "an event of 12 kB a minute"},
	{"sqs-requests", "sqs.requests", "0.15", "0", "requests", "long polls of 20 s"},
	{"sns-requests", "sns.requests", "0.01", "0", "publications", "alarms and events"},
	{"emails", "sns.email", "0.1", "0", "e-mails", "alarms and events"},
	{"kms-requests", "kms.requests", "1", "0", "requests", "alarms and events"},
	{"secret-requests", "secret.requests", "0.1", "0", "requests", "tasks that start, checks"},
	{"dns-queries", "route53.queries", "0.01", "0", "queries", "certificate renewal, checks; queries of alias records are free"},
}

func assumption(name string) (assumed, bool) {
	for _, it := range assumptions {
		if it.name == name {
			return it, true
		}
	}
	return assumed{}, false
}

func assumptionNames() []string {
	names := make([]string, len(assumptions))
	for index, it := range assumptions {
		names[index] = it.name
	}
	return names
}
