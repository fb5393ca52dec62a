// Package lib is the payment platform's infrastructure: one Pulumi program, in this one file, from typed and validated
// configuration to stack outputs. It declares resources and nothing else: which cloud answers is the provider's affair.
//
// The file reads from top to bottom like a table of contents, in the order in which Deploy calls:
//
//	Configuration    what may be set, and what is legal
//	Deploy           how the layers are put together
//	Builder          how resources are declared and named; IAM roles and policy documents
//	Network          VPC, subnets, NAT, routes, security groups, flow log, endpoints
//	Database         Aurora PostgreSQL and the secrets that open it
//	Load balancing   ALB, access logs, certificate, listeners and rules, web application firewall
//	Queues           payment-jobs and its dead-letter queue
//	Alerts           the topic that the operations team listens to, and its key
//	Parameters       configuration of the services that is not secret
//	Application      ECS cluster, services and the migration with their roles and task definitions, autoscaling
//	Monitoring       alarms, events, dashboard
//	Outputs          what a deployed stack tells
package lib

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	cryptorand "crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"
	"net/mail"
	"net/netip"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/micahhausler/aws-iam-policy/policy"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/acm"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/appautoscaling"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ecs"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/kms"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/lb"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/rds"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/route53"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/s3"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/secretsmanager"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sns"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ssm"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/vpc"
	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// ProjectName is the Pulumi project's name and the namespace of its configuration.
const ProjectName = "tapstack"

// RegionKey is the configuration key of the AWS region, Pulumi's own.
const RegionKey = "aws:region"

// ZoneCount is how many availability zones a stack spans.
const ZoneCount = 3

// SuffixVariable is the environment variable that names the environment when the configuration does not.
const SuffixVariable = "ENVIRONMENT_SUFFIX"

// The two services, and the task that runs once to prepare the database for them.
const (
	paymentAPI     = "payment-api"
	jobProcessor   = "job-processor"
	paymentMigrate = "payment-migrate"
)

// ---------------------------------------------------------------------------------------------------------------------
// Configuration
// ---------------------------------------------------------------------------------------------------------------------

// Keys of the configuration that other packages set or read; ConfigKeys lists all.
const (
	ConfigEnvironmentSuffix      = "environmentSuffix"
	ConfigPaymentAPIImage        = "paymentApiImage"
	ConfigJobProcessorImage      = "jobProcessorImage"
	ConfigPaymentMigrateImage    = "paymentMigrateImage"
	ConfigAlertEmail             = "alertEmail"
	ConfigOwner                  = "owner"
	ConfigRun                    = "run"
	ConfigExpires                = "expires"
	ConfigAllowedAccountIDs      = "allowedAccountIds"
	ConfigPermissionsBoundaryArn = "permissionsBoundaryArn"
	ConfigAllowReplace           = "allowReplace"
	ConfigProtect                = "protect"
)

// Config is the stack's configuration, complete and legal: ParseConfig makes no other.
type Config struct {
	// EnvironmentSuffix ends every resource name.
	EnvironmentSuffix string
	// VpcCidr is the VPC's address range.
	VpcCidr string
	// AvailabilityZones overrides the choice of zones: empty, or exactly three zone names.
	AvailabilityZones []string

	DBInstanceClass string
	// DBEngineVersion may be a major version alone ("16"); OutputDBEngineVersion tells the real one.
	DBEngineVersion string
	// DBMaintenanceWindow is when RDS may interrupt the database, such as sun:05:00-sun:06:00, in UTC. Changes of the
	// database that interrupt it wait for the window unless DBApplyImmediately.
	DBMaintenanceWindow string
	DBApplyImmediately  bool
	// DBBackupRetentionDays is also the window of point-in-time recovery, in days.
	DBBackupRetentionDays int
	DBName                string

	PaymentAPIImage, JobProcessorImage string
	// PaymentMigrateImage may be empty: see MigrationImage.
	PaymentMigrateImage string
	ContainerPort       int
	// ContainerProtocol is what the load balancer speaks to the containers: HTTP or HTTPS.
	ContainerProtocol string
	// APICPU and JobCPU are in CPU units (1024 = one vCPU), APIMemory and JobMemory in MiB.
	APICPU, APIMemory, JobCPU, JobMemory                       int
	APIDesiredCount, APIMaxCount, JobDesiredCount, JobMaxCount int
	// CPUTargetPercent is the average CPU utilisation that autoscaling aims at.
	CPUTargetPercent int

	AlertEmail string
	// CertificateArn, or DomainName with HostedZoneID, or none of the three (then a self-signed certificate is made).
	CertificateArn, DomainName, HostedZoneID string

	APITimeoutSeconds, APIRetryCount, JobRetryCount, QueueVisibilityTimeoutSeconds int

	// InterfaceEndpoints adds private endpoints for the AWS services that the tasks call.
	InterfaceEndpoints bool
	// WAF puts the web application firewall in front of the load balancer.
	WAF bool
	// WAFRateLimit is how many requests one address may make in five minutes.
	WAFRateLimit int
	// WAFCountOnly makes the firewall count what it would block.
	WAFCountOnly bool

	// Owner, Run and Expires become the tags of that name, by which tap sweep knows what a run left behind.
	Owner, Run, Expires string
	// AllowedAccountIDs are the only AWS accounts that the stack may be deployed to; empty allows any.
	AllowedAccountIDs []string
	// PermissionsBoundaryArn is the policy that bounds every role of the stack; empty is none.
	PermissionsBoundaryArn string
	// SecretReaders are the principals that may read the secrets besides the services; empty is whoever deploys.
	SecretReaders []string
	// AllowReplace names the resources that a deployment may replace or delete with what is lost by it.
	AllowReplace []string
	// Protect has the engine refuse to replace or delete what is lost with data or everything else in it.
	Protect bool
}

// ConfigKey describes one configuration key; the table of them is the same as Pulumi.yaml's.
type ConfigKey struct {
	Name string
	// Type is string, integer or boolean, as in Pulumi.yaml.
	Type string
	// Default is the value of a key that is not set.
	Default string
	// Required keys have no default.
	Required    bool
	Description string
}

// ConfigKeys returns every configuration key, in the order of Pulumi.yaml.
func ConfigKeys() []ConfigKey {
	fields := configFields(&Config{})
	keys := make([]ConfigKey, len(fields))
	for i, f := range fields {
		keys[i] = f.ConfigKey
	}
	return keys
}

// readConfig gathers the stack's configuration and parses it.
func readConfig(ctx *pulumi.Context) (Config, error) {
	values := map[string]string{}
	for _, key := range ConfigKeys() {
		if value, ok := ctx.GetConfig(ProjectName + ":" + key.Name); ok {
			values[key.Name] = value
		}
	}
	if values[ConfigEnvironmentSuffix] == "" {
		values[ConfigEnvironmentSuffix] = os.Getenv(SuffixVariable)
	}
	cfg, err := ParseConfig(values)
	_, awsErr := providerArgs(ctx, cfg)
	if err := errors.Join(err, awsErr); err != nil {
		return Config{}, fmt.Errorf("configuration:\n%w", err)
	}
	return cfg, nil
}

// ParseConfig turns raw values, by key without namespace, into a Config. A key that is absent or empty takes its
// default. Every fault found is in the error (errors.Join), each naming its key, the value and the rule; a key that
// ConfigKeys does not list is a fault.
func ParseConfig(values map[string]string) (Config, error) {
	var (
		cfg    Config
		faults []error
		known  = map[string]bool{}
		faulty = map[string]bool{}
	)
	for _, f := range configFields(&cfg) {
		known[f.Name] = true
		raw := values[f.Name]
		if f.Name != ConfigEnvironmentSuffix { // a part of names and paths, which must be the same wherever it is read
			raw = strings.TrimSpace(raw)
		}
		if err := f.parse(raw); err != nil {
			faulty[f.Name] = true
			faults = append(faults, err)
		}
	}
	for _, rule := range crossRules(cfg) {
		if !rule.legal && !slices.ContainsFunc(rule.keys, func(key string) bool { return faulty[key] }) {
			faults = append(faults, fmt.Errorf("%s: %s", strings.Join(rule.keys, ", "), rule.reason))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !known[name] {
			printable := strings.Trim(strconv.Quote(name), `"`)
			faults = append(faults, fmt.Errorf("%s: not a configuration key of %s", printable, ProjectName))
		}
	}
	if len(faults) > 0 {
		return Config{}, errors.Join(faults...)
	}
	return cfg, nil
}

// Values are the raw values that ParseConfig makes c of.
func (c Config) Values() map[string]string {
	values := map[string]string{}
	for _, f := range configFields(&c) {
		switch target := f.target.(type) {
		case *string:
			values[f.Name] = *target
		case *int:
			values[f.Name] = strconv.Itoa(*target)
		case *bool:
			values[f.Name] = strconv.FormatBool(*target)
		case *[]string:
			values[f.Name] = strings.Join(*target, ",")
		}
	}
	return values
}

// MigrationImage is the image of payment-migrate: payment-api's unless it has one of its own.
func (c Config) MigrationImage() string { return cmp.Or(c.PaymentMigrateImage, c.PaymentAPIImage) }

// maxCommonName is how many characters of a domain name fit into a certificate (RFC 5280; ACM's RequestCertificate).
const maxCommonName = 64

// configField is one key bound to its place in a Config.
type configField struct {
	ConfigKey
	target any // *string, *int, *bool or *[]string (comma-separated)
	rule   string
	legal  func() bool
}

// parse stores raw, or the default, in the field's target and holds it to the field's rule.
func (f configField) parse(raw string) error {
	if raw == "" {
		raw = f.Default
	}
	if raw == "" {
		if f.Required {
			return fmt.Errorf("%s: not set, but required: %s; set it with `pulumi config set %s VALUE`", f.Name, f.rule, f.Name)
		}
		return nil
	}
	var err error
	switch target := f.target.(type) {
	case *string:
		*target = raw
	case *int:
		*target, err = strconv.Atoi(raw)
	case *bool:
		*target, err = raw == "true", nil
		if raw != "true" && raw != "false" {
			err = errors.New("not a boolean")
		}
	case *[]string:
		for _, item := range strings.Split(raw, ",") {
			*target = append(*target, strings.TrimSpace(item))
		}
	}
	if err != nil || !f.legal() {
		return fmt.Errorf("%s: %q is not legal: must be %s", f.Name, raw, f.rule)
	}
	return nil
}

var (
	wordsPattern         = regexp.MustCompile(`^[a-z0-9](-?[a-z0-9])*$`)
	zonePattern          = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9][a-z]$`)
	instanceClassPattern = regexp.MustCompile(`^db\.[a-z]+[0-9]+[a-z0-9-]*\.(medium|large|[0-9]*xlarge)$`)
	engineVersionPattern = regexp.MustCompile(`^(1[3-9]|2[0-9])(\.[0-9]{1,2})?$`)
	windowPattern        = regexp.MustCompile(`^(sun|mon|tue|wed|thu|fri|sat):([01][0-9]|2[0-3]):[0-5][0-9]-(sun|mon|tue|wed|thu|fri|sat):([01][0-9]|2[0-3]):[0-5][0-9]$`)
	dbNamePattern        = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)
	boundaryPattern      = regexp.MustCompile(`^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/[\w+=,.@/-]+$`)
	readerPattern        = regexp.MustCompile(`^arn:aws[a-z-]*:(iam|sts)::[0-9]{12}:(root|(role|user|federated-user)/([\w+=.@*-]+/)*[\w+=.@-][\w+=.@*-]*)$`)
	certificatePattern   = regexp.MustCompile(`^arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/[0-9a-zA-Z-]+$`)
	domainPattern        = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$`)
	hostedZonePattern    = regexp.MustCompile(`^[A-Z0-9]{1,32}$`)
	imagePattern         = regexp.MustCompile(`^[a-z0-9]+([._-]+[a-z0-9]+)*(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*` +
		`(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[a-f0-9]{64})?$`)
	accountIDPattern = regexp.MustCompile(`^[0-9]{12}$`)
)

func textField(name, value, description string, target *string, rule string, legal func(string) bool) configField {
	return configField{ConfigKey{name, "string", value, false, description}, target, rule, func() bool { return legal(*target) }}
}

func numberField(name string, value int, description string, target *int, least, most int) configField {
	return configField{
		ConfigKey{name, "integer", strconv.Itoa(value), false, description},
		target,
		fmt.Sprintf("a whole number from %d to %d", least, most),
		func() bool { return *target >= least && *target <= most },
	}
}

func flagField(name, value, description string, target *bool) configField {
	return configField{ConfigKey{name, "boolean", value, false, description}, target, "true or false", func() bool { return true }}
}

func listField(name, description string, target *[]string, rule string, legal func([]string) bool) configField {
	return configField{ConfigKey{name, "string", "", false, description}, target, rule, func() bool { return legal(*target) }}
}

func required(f configField) configField {
	f.Required = true
	return f
}

func imageField(name, description string, target *string) configField {
	return textField(name, "", description, target,
		"a container image reference with a tag or a digest, such as 123456789012.dkr.ecr.us-east-1.amazonaws.com/payment-api:1.0.0",
		func(image string) bool { return imagePattern.MatchString(image) && imageIsPinned(image) })
}

func cpuField(name string, value int, description string, target *int) configField {
	f := numberField(name, value, description, target, 0, 0)
	f.rule = fmt.Sprintf("one of Fargate's CPU sizes %v", slices.Sorted(maps.Keys(fargateMemory())))
	f.legal = func() bool { return len(fargateMemory()[*target]) > 0 }
	return f
}

func suffixField(target *string) configField {
	return required(textField(ConfigEnvironmentSuffix, "", "Ends every resource name; also read from the environment variable "+SuffixVariable+".", target,
		fmt.Sprintf("1 to %d lower-case letters, digits and single hyphens, not starting or ending with a hyphen, not ending with s3alias", MaxSuffixLength()),
		legalSuffix))
}

// ValidateSuffix tells whether environmentSuffix may have this value. ParseConfig asks the same.
func ValidateSuffix(suffix string) error { return suffixField(new(string)).parse(suffix) }

// configFields is the one table of configuration: keys, defaults, rules.
func configFields(c *Config) []configField {
	return []configField{
		suffixField(&c.EnvironmentSuffix),
		textField("vpcCidr", "10.0.0.0/16", "Address range of the VPC; three /24 and three /20 subnets are cut from it.", &c.VpcCidr,
			"a private (RFC 1918) IPv4 network from /16 to /18, written by its first address", legalVpcCidr),
		listField("availabilityZones", "Overrides the choice of availability zones: three names, comma-separated. A stack that exists stays in its zones.",
			&c.AvailabilityZones, "three different availability zone names, comma-separated, such as us-east-1a,us-east-1b,us-east-1d", legalZones),
		textField("dbInstanceClass", "db.r6g.large", "Instance class of the Aurora writer and readers.", &c.DBInstanceClass,
			"a provisioned Aurora instance class, such as db.r6g.large", instanceClassPattern.MatchString),
		textField("dbEngineVersion", "16", "Aurora PostgreSQL version. A major version alone takes its default minor version once; minor upgrades stay.", &c.DBEngineVersion,
			"a PostgreSQL version from 13 on, such as 16 or 16.6", engineVersionPattern.MatchString),
		textField("dbMaintenanceWindow", "sun:05:00-sun:06:00", "When RDS may interrupt the database, in UTC.", &c.DBMaintenanceWindow,
			"a window of 30 minutes or more within one day, such as sun:05:00-sun:06:00, that keeps clear of the backups from "+dbBackupWindow, legalWindow),
		flagField("dbApplyImmediately", "false", "Make changes that interrupt the database at once instead of in its maintenance window.", &c.DBApplyImmediately),
		numberField("dbBackupRetentionDays", 14, "Days of automated backups, and so of point-in-time recovery.", &c.DBBackupRetentionDays, 1, 35),
		textField("dbName", "payments", "Name of the first database in the cluster.", &c.DBName,
			"1 to 63 lower-case letters, digits and underscores, starting with a letter, not a name that PostgreSQL or RDS reserves",
			func(name string) bool {
				return dbNamePattern.MatchString(name) && !slices.Contains(reservedDBNames(), name)
			}),
		required(imageField(ConfigPaymentAPIImage, "Container image of the payment-api service.", &c.PaymentAPIImage)),
		required(imageField(ConfigJobProcessorImage, "Container image of the job-processor service.", &c.JobProcessorImage)),
		imageField(ConfigPaymentMigrateImage, "Container image of payment-migrate, the task that prepares the database; empty is paymentApiImage.", &c.PaymentMigrateImage),
		numberField("containerPort", 8443, "Port that both containers listen on.", &c.ContainerPort, 1024, 65535),
		textField("containerProtocol", "HTTPS", "Protocol between the load balancer and the containers: HTTPS, or HTTP where nothing sensitive flows.", &c.ContainerProtocol,
			"HTTP or HTTPS", func(protocol string) bool { return protocol == "HTTP" || protocol == "HTTPS" }),
		cpuField("apiCpu", 1024, "CPU units of a payment-api task (1024 is one vCPU).", &c.APICPU),
		numberField("apiMemory", 2048, "Memory of a payment-api task, in MiB.", &c.APIMemory, 512, 122880),
		cpuField("jobCpu", 512, "CPU units of a job-processor task (1024 is one vCPU).", &c.JobCPU),
		numberField("jobMemory", 1024, "Memory of a job-processor task, in MiB.", &c.JobMemory, 512, 122880),
		numberField("apiDesiredCount", 3, "payment-api tasks to start with and to keep at least.", &c.APIDesiredCount, 2, 500),
		numberField("apiMaxCount", 12, "payment-api tasks that autoscaling may reach.", &c.APIMaxCount, 2, 500),
		numberField("jobDesiredCount", 2, "job-processor tasks to start with and to keep at least.", &c.JobDesiredCount, 2, 500),
		numberField("jobMaxCount", 8, "job-processor tasks that autoscaling may reach.", &c.JobMaxCount, 2, 500),
		numberField("cpuTargetPercent", 60, "Average CPU utilisation that autoscaling aims at, in percent.", &c.CPUTargetPercent, 1, 100),
		required(textField(ConfigAlertEmail, "", "Address of the operations team, subscribed to the alerts topic.", &c.AlertEmail,
			"one e-mail address, such as ops@example.com", legalEmail)),
		textField("certificateArn", "", "ACM certificate for the HTTPS listener; instead of domainName and hostedZoneId.", &c.CertificateArn,
			"the ARN of an ACM certificate", certificatePattern.MatchString),
		textField("domainName", "", "Name under which the API is served; a certificate for it is requested and validated by DNS.", &c.DomainName,
			fmt.Sprintf("a fully qualified, lower-case domain name of at most %d characters without a final dot", maxCommonName),
			func(name string) bool { return len(name) <= maxCommonName && domainPattern.MatchString(name) }),
		textField("hostedZoneId", "", "Route 53 hosted zone that holds domainName.", &c.HostedZoneID,
			"a Route 53 hosted zone id, such as Z0123456789ABCDEFGHIJ", hostedZonePattern.MatchString),
		numberField("apiTimeoutSeconds", 30, "Time that payment-api gives a request, in seconds.", &c.APITimeoutSeconds, 1, 900),
		numberField("apiRetryCount", 3, "Times that payment-api tries a failed call again.", &c.APIRetryCount, 0, 20),
		numberField("jobRetryCount", 5, "Times that job-processor tries a failed call again.", &c.JobRetryCount, 0, 20),
		numberField("queueVisibilityTimeoutSeconds", 300, "Time that a received message stays hidden from other consumers, in seconds.", &c.QueueVisibilityTimeoutSeconds, 0, 43200),
		flagField("interfaceEndpoints", "false", "Reach AWS services through private VPC endpoints instead of NAT (costs by the hour, endpoint and zone).", &c.InterfaceEndpoints),
		flagField("waf", "true", "Web application firewall in front of the load balancer (PCI DSS 6.4.2).", &c.WAF),
		numberField("wafRateLimit", 400_000, "Requests that one address may make in five minutes before the firewall blocks it.", &c.WAFRateLimit, 10, 2_000_000_000),
		flagField("wafCountOnly", "false", "The firewall only counts what it would block, to be tried on real traffic first (PCI DSS 6.4.2 wants it to block).", &c.WAFCountOnly),
		textField(ConfigOwner, DefaultOwner, "Whose stack this is; tags every resource, and tap sweep removes only those of its own owner.", &c.Owner,
			"1 to 32 lower-case letters, digits and single hyphens, not starting or ending with a hyphen",
			func(owner string) bool { return len(owner) <= 32 && wordsPattern.MatchString(owner) }),
		textField(ConfigRun, ManualRun, "Run that deployed the stack; tags every resource. tap names one by its time, and tap sweep removes only what such a run made.", &c.Run,
			fmt.Sprintf("%q, or a name that tap gave, such as 20261124T060000Z-0a1b2c", ManualRun),
			func(run string) bool { _, named := RunStart(run); return named || run == ManualRun }),
		textField(ConfigExpires, NeverExpires, "When the stack may be swept away; tags every resource.", &c.Expires,
			fmt.Sprintf("%q, or a time in UTC such as 2026-11-24T06:00:00Z", NeverExpires), legalExpiry),
		listField(ConfigAllowedAccountIDs, "AWS accounts that the stack may be deployed to, comma-separated; empty allows any. tap insists on it for target aws.",
			&c.AllowedAccountIDs, "AWS account ids of 12 digits, comma-separated, such as 123456789012,210987654321",
			func(ids []string) bool {
				return !slices.ContainsFunc(ids, func(id string) bool { return !accountIDPattern.MatchString(id) })
			}),
		textField(ConfigPermissionsBoundaryArn, "", "IAM policy that bounds what the stack's roles can ever do; the nightly role may make no others.", &c.PermissionsBoundaryArn,
			"the ARN of an IAM policy", boundaryPattern.MatchString),
		listField("secretReaders", "Who may read the secrets besides the services, where their own permissions allow it: ARNs of roles and users, comma-separated. Name all who deploy, preview, refresh or verify; empty is whoever deploys.",
			&c.SecretReaders, "ARNs of IAM roles and users, comma-separated, with * in a path or after the beginning of a name, such as arn:aws:iam::123456789012:role/*/deployer",
			func(readers []string) bool {
				return !slices.ContainsFunc(readers, func(reader string) bool { return !readerPattern.MatchString(reader) })
			}),
		listField(ConfigAllowReplace, "Resources that a deployment may replace although data or everything else is lost with them: their names in the plan, comma-separated. Unset it afterwards; tap does not remember it.",
			&c.AllowReplace, "names of resources as the plan has them, comma-separated, such as aurora-cluster",
			func(names []string) bool {
				return !slices.ContainsFunc(names, func(name string) bool { return !wordsPattern.MatchString(name) })
			}),
		flagField(ConfigProtect, "false", "The engine refuses to replace or delete what data or everything else is lost with, in `pulumi destroy` too, unless allowReplace names it. tap sets it on aws, and takes the protection off before it destroys.",
			&c.Protect),
	}
}

// PhysicalName is what AWS knows a resource by whose logical name in the program is name.
func PhysicalName(name, suffix string) string { return name + "-" + suffix }

// nameLimits holds, of every kind of resource whose name AWS bounds, the longest name and AWS's limit in characters.
func nameLimits() map[string]int {
	return map[string]int{
		targetGroupName(jobProcessor, "HTTPS", 65535): 32,  // load balancer, target group
		executionRoleName(paymentMigrate):             64,  // IAM role
		"payment-migrate-failed":                      64,  // EventBridge rule
		"payment-jobs-dlq":                            80,  // SQS queue
		"aurora-cluster":                              63,  // RDS identifier
		"alb-logs-123456789012-ap-southeast-1":        63,  // S3 bucket
		"aws-waf-logs":                                512, // log group
	}
}

// MaxSuffixLength is the longest legal environmentSuffix: what the tightest name limit leaves.
func MaxSuffixLength() int {
	longest := math.MaxInt
	for name, limit := range nameLimits() {
		longest = min(longest, limit-len(PhysicalName(name, "")))
	}
	return longest
}

// legalSuffix also refuses the endings that S3 reserves in bucket names: -s3alias (others contain a double hyphen).
func legalSuffix(s string) bool {
	return len(s) <= MaxSuffixLength() && wordsPattern.MatchString(s) && !strings.HasSuffix("-"+s, "-s3alias")
}

func legalVpcCidr(s string) bool {
	cidr, err := netip.ParsePrefix(s)
	return err == nil && cidr.Addr().Is4() && cidr.Addr().IsPrivate() && cidr == cidr.Masked() &&
		cidr.Bits() >= 16 && cidr.Bits() <= 18
}

func legalZones(zones []string) bool {
	distinct := map[string]bool{}
	for _, zone := range zones {
		if !zonePattern.MatchString(zone) {
			return false
		}
		distinct[zone] = true
	}
	return len(zones) == ZoneCount && len(distinct) == ZoneCount
}

// legalWindow keeps a maintenance window to one day, which is plain to read, and clear of the daily backups, as RDS wants.
func legalWindow(s string) bool {
	if !windowPattern.MatchString(s) || s[:3] != s[10:13] {
		return false
	}
	from, _ := time.Parse("15:04", s[4:9])
	to, _ := time.Parse("15:04", s[14:19])
	return to.Sub(from) >= 30*time.Minute && (s[4:9] >= dbBackupWindow[6:] || s[14:19] <= dbBackupWindow[:5])
}

// legalExpiry takes a time in one form only, so that equal times are equal tags.
func legalExpiry(s string) bool {
	at, err := ParseExpiry(s)
	return err == nil && (s == NeverExpires || s == FormatExpiry(at))
}

// legalEmail takes plain addresses within the lengths of RFC 5321, in ASCII: SNS takes no other.
func legalEmail(s string) bool {
	address, err := mail.ParseAddress(s)
	if err != nil || address.Address != s {
		return false
	}
	isPlain := !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' })
	local, domain, _ := strings.Cut(s, "@")
	return isPlain && len(s) <= 254 && len(local) <= 64 && domainPattern.MatchString(strings.ToLower(domain))
}

// imageIsPinned says whether the reference names a tag or a digest; without either, what runs would be whatever was
// pushed last.
func imageIsPinned(image string) bool {
	return strings.Contains(image[strings.LastIndex(image, "/")+1:], ":")
}

// reservedDBNames are databases that exist already, and PostgreSQL's reserved words (its manual, appendix C), which RDS
// refuses as names.
func reservedDBNames() []string {
	return strings.Fields(`
		db postgres rdsadmin template0 template1
		all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation
		column concurrently constraint create cross current_catalog current_date current_role current_schema current_time
		current_timestamp current_user default deferrable desc distinct do else end except false fetch for foreign freeze
		from full grant group having ilike in initially inner intersect into is isnull join lateral leading left like
		limit localtime localtimestamp natural not notnull null offset on only or order outer overlaps placing primary
		references returning right select session_user similar some symmetric system_user table tablesample then to
		trailing true union unique user using variadic verbose when where window with`)
}

// Keys of the tags by which tap sweep knows what a run left behind. Every taggable resource carries them.
const (
	TagOwner   = "tapstack:owner"
	TagRun     = "tapstack:run"
	TagExpires = "tapstack:expires"
)

// DefaultOwner is the owner of a stack whose configuration names none.
const DefaultOwner = ProjectName

const (
	// ManualRun is the run of a stack that nobody started through tap. It has no start, so that no sweep takes it for old.
	ManualRun = "manual"
	// NeverExpires is the expiry of a stack that is to stay.
	NeverExpires = "never"
)

const runTime = "20060102T150405Z"

// NewRun names a run that starts now. The name sorts by time and tells it, since many AWS resources do not keep the
// time of their creation.
func NewRun(now time.Time) string {
	unique := make([]byte, 3)
	_, _ = cryptorand.Read(unique) // never fails: crypto/rand ends the process instead
	return now.UTC().Format(runTime) + "-" + hex.EncodeToString(unique)
}

// RunStart is when a run named by NewRun began; false for any other name.
func RunStart(run string) (time.Time, bool) {
	stamp, unique, found := strings.Cut(run, "-")
	start, err := time.Parse(runTime, stamp)
	if _, notHex := hex.DecodeString(unique); !found || err != nil || notHex != nil || len(unique) != 6 {
		return time.Time{}, false
	}
	return start, true
}

// FormatExpiry is the value of TagExpires for a moment.
func FormatExpiry(at time.Time) string { return at.UTC().Format(time.RFC3339) }

// ParseExpiry reads the value of TagExpires: a moment in RFC 3339, or never, which is the zero time.
func ParseExpiry(value string) (time.Time, error) {
	if value == NeverExpires {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is neither %q nor a time such as 2026-11-24T06:00:00Z", value, NeverExpires)
	}
	return at.UTC(), nil
}

// crossRule is a rule over several keys, of interest only when each of them is legal by itself.
type crossRule struct {
	keys   []string
	legal  bool
	reason string
}

func crossRules(c Config) []crossRule {
	sizes := func(cpuKey, memoryKey string, cpu, memory int) crossRule {
		return crossRule{
			[]string{cpuKey, memoryKey},
			slices.Contains(fargateMemory()[cpu], memory),
			fmt.Sprintf("%d CPU units with %d MiB is not a Fargate size: %d CPU units go with %v MiB", cpu, memory, cpu, fargateMemory()[cpu]),
		}
	}
	counts := func(desiredKey, maxKey string, desired, most int) crossRule {
		return crossRule{[]string{desiredKey, maxKey}, desired <= most, fmt.Sprintf("%d desired tasks are more than the %d allowed", desired, most)}
	}
	return []crossRule{
		sizes("apiCpu", "apiMemory", c.APICPU, c.APIMemory),
		sizes("jobCpu", "jobMemory", c.JobCPU, c.JobMemory),
		counts("apiDesiredCount", "apiMaxCount", c.APIDesiredCount, c.APIMaxCount),
		counts("jobDesiredCount", "jobMaxCount", c.JobDesiredCount, c.JobMaxCount),
		{
			[]string{"certificateArn", "domainName", "hostedZoneId"},
			c.CertificateArn == "" || (c.DomainName == "" && c.HostedZoneID == ""),
			"set either certificateArn or domainName with hostedZoneId, not both",
		},
		{[]string{"domainName", "hostedZoneId"}, (c.DomainName == "") == (c.HostedZoneID == ""), "set both or neither"},
		{
			[]string{"queueVisibilityTimeoutSeconds", "apiTimeoutSeconds"},
			c.QueueVisibilityTimeoutSeconds > c.APITimeoutSeconds,
			fmt.Sprintf("a visibility timeout of %d s must be longer than the API timeout of %d s, or a job still at work is handed out again",
				c.QueueVisibilityTimeoutSeconds, c.APITimeoutSeconds),
		},
		{
			[]string{"dbInstanceClass", "apiMaxCount", "jobMaxCount"},
			c.Connections() <= MaxConnections(c.DBInstanceClass),
			fmt.Sprintf("%d and %d tasks, twice during a deployment, may need %d connections to the writer, and a %s takes %d: allow fewer tasks, or take a class with more memory",
				c.APIMaxCount, c.JobMaxCount, c.Connections(), c.DBInstanceClass, MaxConnections(c.DBInstanceClass)),
		},
	}
}

// fargateMemory lists, by CPU units, the memory sizes in MiB that Fargate takes (AWS: "Fargate task sizes").
func fargateMemory() map[int][]int {
	steps := func(from, to, step int) (sizes []int) {
		for size := from; size <= to; size += step {
			sizes = append(sizes, size)
		}
		return sizes
	}
	return map[int][]int{
		256:   {512, 1024, 2048},
		512:   steps(1024, 4096, 1024),
		1024:  steps(2048, 8192, 1024),
		2048:  steps(4096, 16384, 1024),
		4096:  steps(8192, 30720, 1024),
		8192:  steps(16384, 61440, 4096),
		16384: steps(32768, 122880, 8192),
	}
}

// fitsRegion holds what names a region in the configuration to the stack's.
func (c Config) fitsRegion(region string) error {
	var faults []error
	for _, zone := range c.AvailabilityZones {
		if zone[:len(zone)-1] != region {
			faults = append(faults, fmt.Errorf("availabilityZones: %q is not in %s", zone, region))
		}
	}
	if parts := strings.Split(c.CertificateArn, ":"); len(parts) > 3 && parts[3] != region {
		faults = append(faults, fmt.Errorf("certificateArn: the certificate is in %s, not in %s where the load balancer is", parts[3], region))
	}
	return errors.Join(faults...)
}

// secretReaders are the principals that may read the secrets besides the services, as the condition key aws:PrincipalArn has
// them. The caller, as STS names it, must be among them: the provider reads every value that it writes.
func (c Config) secretReaders(caller string) ([]string, error) {
	own := principals(caller)
	if len(c.SecretReaders) == 0 {
		return own, nil
	}
	isCaller := func(reader string) bool {
		kind, name, _ := strings.Cut(reader, "/")
		callerKind, callerName, _ := strings.Cut(own[0], "/")
		matches, err := path.Match(path.Base(name), path.Base(callerName))
		return err == nil && matches && kind == callerKind
	}
	if !slices.ContainsFunc(c.SecretReaders, isCaller) {
		return nil, fmt.Errorf("secretReaders: %s is not among them, and could not read what it deploys: add it, or leave the key out", own[0])
	}
	return c.SecretReaders, nil
}

// principals are the values that aws:PrincipalArn may have for a caller as STS names it. For a session of a role it is the
// role's ARN, with a path that STS leaves out; no two roles of an account have the same name (IAM user guide, "aws:PrincipalArn").
func principals(caller string) []string {
	account, session, assumed := strings.Cut(caller, ":assumed-role/")
	if !assumed {
		return []string{caller}
	}
	role, _, _ := strings.Cut(session, "/")
	account = strings.Replace(account, ":sts:", ":iam:", 1)
	return []string{account + ":role/" + role, account + ":role/*/" + role}
}

// settled is what a deployed stack keeps: with another value AWS makes anew what it is of, and the old one goes with all
// that is in it.
type settled struct {
	key, was, now string
	// replaced are the logical names of what would be made anew; none means the whole stack.
	replaced []string
}

// settledIn compares the configuration with the outputs that the stack was last deployed with. A stack that is new, or
// was never deployed to its end, has none.
func (c Config) settledIn(outputs map[string]any, region string) []settled {
	was := func(output string) string {
		value, _ := outputs[output].(string)
		return value
	}
	all := []settled{
		{RegionKey, was(OutputRegion), region, nil},
		{ConfigEnvironmentSuffix, was(OutputEnvironmentSuffix), c.EnvironmentSuffix, nil},
		{"vpcCidr", was(OutputVpcCidr), c.VpcCidr, []string{"vpc"}},
		{"dbName", was(OutputDBName), c.DBName, []string{"aurora-cluster"}},
		{"the master user", was(OutputDBMasterUser), dbMasterUser, []string{"aurora-cluster"}},
	}
	zones, _ := outputs[OutputAvailabilityZones].([]any)
	for i, zone := range c.AvailabilityZones {
		if i < len(zones) {
			all = append(all, settled{"availabilityZones", fmt.Sprint(zones[i]), zone, []string{subnetName("public", i), subnetName("private", i)}})
		}
	}
	return slices.DeleteFunc(all, func(s settled) bool { return s.was == "" || s.was == s.now })
}

// readStackOutputs asks the engine, as a stack reference does, but leaves no resource behind.
const readStackOutputs = "pulumi:pulumi:readStackOutputs"

type readStackOutputsArgs struct {
	Name string `pulumi:"name"`
}

type readStackOutputsResult struct {
	Outputs map[string]any `pulumi:"outputs"`
}

// keepSettled refuses, before anything is declared, to change what is settled, unless allowReplace names what would be made
// anew.
func keepSettled(ctx *pulumi.Context, cfg Config) error {
	name := strings.Join([]string{ctx.Organization(), ctx.Project(), ctx.Stack()}, "/")
	var deployed readStackOutputsResult
	if err := ctx.Invoke(readStackOutputs, &readStackOutputsArgs{name}, &deployed); err != nil {
		return fmt.Errorf("asking the engine what stack %s was deployed with: %w", name, err)
	}
	var faults []error
	for _, s := range cfg.settledIn(deployed.Outputs, region(ctx)) {
		forbidden := slices.DeleteFunc(slices.Clone(s.replaced), func(name string) bool { return slices.Contains(cfg.AllowReplace, name) })
		switch {
		case len(s.replaced) == 0:
			faults = append(faults, fmt.Errorf("%s: the stack was deployed with %s and cannot move to %s: "+
				"take the change back, or deploy another stack", s.key, s.was, s.now))
		case len(forbidden) > 0:
			faults = append(faults, fmt.Errorf("%s: the stack was deployed with %s, and %s would replace %s with all that is in it: "+
				"take the change back, or allow it in %s (tap: --allow-replace %[6]s)",
				s.key, s.was, s.now, strings.Join(s.replaced, " and "), ConfigAllowReplace, strings.Join(s.replaced, ",")))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("configuration:\n%w", err)
	}
	return nil
}

// ---------------------------------------------------------------------------------------------------------------------
// Deploy
// ---------------------------------------------------------------------------------------------------------------------

// Deploy is the Pulumi program: it reads and checks the configuration, declares every layer, and exports the outputs.
func Deploy(ctx *pulumi.Context) error {
	cfg, err := readConfig(ctx)
	if err != nil {
		return err
	}
	if err := keepSettled(ctx, cfg); err != nil {
		return err
	}
	b, err := newBuilder(ctx, cfg)
	if err != nil {
		return err
	}

	net, err := b.network()
	if err != nil {
		return err
	}
	db, err := b.database(net)
	if err != nil {
		return err
	}
	balancer, err := b.loadBalancing(net)
	if err != nil {
		return err
	}
	jobs, err := b.queues()
	if err != nil {
		return err
	}
	alerts, err := b.alerts()
	if err != nil {
		return err
	}
	settings, err := b.parameters(jobs)
	if err != nil {
		return err
	}
	app, err := b.application(net, db, balancer, jobs, alerts, settings)
	if err != nil {
		return err
	}
	dashboardURL, err := b.monitoring(net, db, balancer, jobs, alerts, app)
	if err != nil {
		return err
	}

	b.export(net, db, balancer, jobs, alerts, settings, app, dashboardURL)
	return nil
}

// ---------------------------------------------------------------------------------------------------------------------
// Builder
// ---------------------------------------------------------------------------------------------------------------------

// builder declares resources: it holds what every layer needs and nothing that a layer makes, save the list of log
// groups.
type builder struct {
	ctx      *pulumi.Context
	cfg      Config
	provider *aws.Provider

	account, region, partition, reverseDNS string
	// secretReaders are who may read the secrets besides the services.
	secretReaders []string

	logGroups []string
}

// newBuilder sets up the provider and asks it where it is.
func newBuilder(ctx *pulumi.Context, cfg Config) (*builder, error) {
	provider, err := newProvider(ctx, cfg)
	if err != nil {
		return nil, err
	}
	identity, err := aws.GetCallerIdentity(ctx, &aws.GetCallerIdentityArgs{}, pulumi.Provider(provider))
	if err != nil {
		return nil, fmt.Errorf("asking AWS for the account: %w", err)
	}
	region, err := aws.GetRegion(ctx, &aws.GetRegionArgs{}, pulumi.Provider(provider))
	if err != nil {
		return nil, fmt.Errorf("asking AWS for the region: %w", err)
	}
	readers, readersErr := cfg.secretReaders(identity.Arn)
	if err := errors.Join(cfg.fitsRegion(region.Name), readersErr); err != nil {
		return nil, fmt.Errorf("configuration:\n%w", err)
	}
	partition, err := aws.GetPartition(ctx, &aws.GetPartitionArgs{}, pulumi.Provider(provider))
	if err != nil {
		return nil, fmt.Errorf("asking AWS for the partition: %w", err)
	}
	return &builder{
		ctx: ctx, cfg: cfg, provider: provider,
		account: identity.AccountId, region: region.Name,
		partition: partition.Partition, reverseDNS: partition.ReverseDnsPrefix,
		secretReaders: readers,
	}, nil
}

// newProvider declares the AWS provider explicitly, so that the tags that every resource must carry cannot be left
// out by a stack's configuration.
func newProvider(ctx *pulumi.Context, cfg Config) (*aws.Provider, error) {
	args, err := providerArgs(ctx, cfg)
	if err != nil {
		return nil, err
	}
	provider, err := aws.NewProvider(ctx, "aws", args)
	if err != nil {
		return nil, fmt.Errorf("declaring the AWS provider: %w", err)
	}
	return provider, nil
}

// providerArgs are the stack's own arguments of the provider, with what the `aws:` namespace of the configuration says. An
// explicit provider does not see that namespace by itself: what cannot be passed on is a fault, lest a stack be deployed to
// another account than the one that its configuration names.
func providerArgs(ctx *pulumi.Context, cfg Config) (*aws.ProviderArgs, error) {
	args := &aws.ProviderArgs{
		Region: pulumi.String(region(ctx)),
		DefaultTags: aws.ProviderDefaultTagsArgs{Tags: pulumi.StringMap{
			"Environment":    pulumi.String("production"),
			"MigrationBatch": pulumi.String("phase-1"),
			TagOwner:         pulumi.String(cfg.Owner),
			TagRun:           pulumi.String(cfg.Run),
			TagExpires:       pulumi.String(cfg.Expires),
		}},
	}
	var faults []error
	settings := awsSettings(args)
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		key := awsNamespace + name
		if raw, set := ctx.GetConfig(key); set {
			if err := settings[name](raw, ctx.IsConfigSecret(key)); err != nil {
				faults = append(faults, fmt.Errorf("%s: not legal: %w", key, err))
			}
		}
	}
	for _, key := range configuredKeys(awsNamespace) {
		if _, known := settings[strings.TrimPrefix(key, awsNamespace)]; !known && key != RegionKey {
			faults = append(faults, fmt.Errorf("%s: not a key that the stack passes on to the AWS provider: take it out with `pulumi config rm %s`", key, key))
		}
	}
	if len(cfg.AllowedAccountIDs) > 0 {
		if args.AllowedAccountIds != nil {
			faults = append(faults, fmt.Errorf("%sallowedAccountIds, %s: set one of them", awsNamespace, ConfigAllowedAccountIDs))
		}
		args.AllowedAccountIds = pulumi.ToStringArray(cfg.AllowedAccountIDs)
	}
	return args, errors.Join(faults...)
}

// awsNamespace begins the configuration keys of the AWS provider.
const awsNamespace = "aws:"

// configuredKeys are the keys of a namespace that the stack's configuration has. The SDK tells single values only; all of them
// are in the variable in which the engine hands them to a program of its own process.
func configuredKeys(namespace string) []string {
	var all map[string]string
	_ = json.Unmarshal([]byte(os.Getenv(pulumi.EnvConfig)), &all) // the SDK has refused what is no JSON
	return slices.DeleteFunc(slices.Sorted(maps.Keys(all)), func(key string) bool { return !strings.HasPrefix(key, namespace) })
}

// awsSetting passes a value of the aws: namespace on to the provider.
type awsSetting func(raw string, secret bool) error

// awsSettings are the arguments of pulumi-aws v6 that a stack's configuration may set: where the API is, who calls it, and
// which account may answer.
func awsSettings(args *aws.ProviderArgs) map[string]awsSetting {
	return map[string]awsSetting{
		"accessKey":                      textSetting(&args.AccessKey),
		"allowedAccountIds":              listSetting(&args.AllowedAccountIds),
		"assumeRole":                     objectSetting[aws.ProviderAssumeRole, aws.ProviderAssumeRoleOutput](&args.AssumeRole),
		"assumeRoleWithWebIdentity":      objectSetting[aws.ProviderAssumeRoleWithWebIdentity, aws.ProviderAssumeRoleWithWebIdentityOutput](&args.AssumeRoleWithWebIdentity),
		"customCaBundle":                 textSetting(&args.CustomCaBundle),
		"defaultTags":                    refusedSetting("the tags of every resource are the stack's own"),
		"ec2MetadataServiceEndpoint":     textSetting(&args.Ec2MetadataServiceEndpoint),
		"ec2MetadataServiceEndpointMode": textSetting(&args.Ec2MetadataServiceEndpointMode),
		"endpoints":                      objectSetting[[]aws.ProviderEndpoint, aws.ProviderEndpointArrayOutput](&args.Endpoints),
		"forbiddenAccountIds":            listSetting(&args.ForbiddenAccountIds),
		"httpProxy":                      textSetting(&args.HttpProxy),
		"httpsProxy":                     textSetting(&args.HttpsProxy),
		"ignoreTags":                     objectSetting[aws.ProviderIgnoreTags, aws.ProviderIgnoreTagsOutput](&args.IgnoreTags),
		"insecure":                       switchSetting(&args.Insecure),
		"maxRetries":                     numberSetting(&args.MaxRetries),
		"noProxy":                        textSetting(&args.NoProxy),
		"profile":                        textSetting(&args.Profile),
		"retryMode":                      textSetting(&args.RetryMode),
		"s3UsEast1RegionalEndpoint":      textSetting(&args.S3UsEast1RegionalEndpoint),
		"s3UsePathStyle":                 switchSetting(&args.S3UsePathStyle),
		"secretKey":                      textSetting(&args.SecretKey),
		"sharedConfigFiles":              listSetting(&args.SharedConfigFiles),
		"sharedCredentialsFiles":         listSetting(&args.SharedCredentialsFiles),
		"skipCredentialsValidation":      switchSetting(&args.SkipCredentialsValidation),
		"skipMetadataApiCheck":           switchSetting(&args.SkipMetadataApiCheck),
		"skipRegionValidation":           switchSetting(&args.SkipRegionValidation),
		"skipRequestingAccountId":        switchSetting(&args.SkipRequestingAccountId),
		"stsRegion":                      textSetting(&args.StsRegion),
		"token":                          textSetting(&args.Token),
		"tokenBucketRateLimiterCapacity": numberSetting(&args.TokenBucketRateLimiterCapacity),
		"useDualstackEndpoint":           switchSetting(&args.UseDualstackEndpoint),
		"useFipsEndpoint":                switchSetting(&args.UseFipsEndpoint),
	}
}

func refusedSetting(why string) awsSetting {
	return func(string, bool) error { return errors.New(why) }
}

func textSetting(target *pulumi.StringPtrInput) awsSetting {
	return func(raw string, secret bool) error {
		*target = pulumi.String(raw)
		if secret {
			*target = pulumi.ToSecret(pulumi.String(raw)).(pulumi.StringOutput)
		}
		return nil
	}
}

func switchSetting(target *pulumi.BoolPtrInput) awsSetting {
	return func(raw string, _ bool) error {
		value, err := strconv.ParseBool(raw)
		if err != nil {
			return errors.New("must be true or false")
		}
		*target = pulumi.Bool(value)
		return nil
	}
}

func numberSetting(target *pulumi.IntPtrInput) awsSetting {
	return func(raw string, _ bool) error {
		value, err := strconv.Atoi(raw)
		if err != nil {
			return errors.New("must be a whole number")
		}
		*target = pulumi.Int(value)
		return nil
	}
}

// listSetting takes account ids as numbers too, which `pulumi config set --path` makes of them.
func listSetting(target *pulumi.StringArrayInput) awsSetting {
	return func(raw string, _ bool) error {
		var list []json.RawMessage
		if err := json.Unmarshal([]byte(raw), &list); err != nil || len(list) == 0 {
			return errors.New("must be a JSON list that is not empty")
		}
		items := pulumi.StringArray{}
		for _, item := range list {
			items = append(items, pulumi.String(strings.Trim(string(item), `"`)))
		}
		*target = items
		return nil
	}
}

// objectSetting reads JSON in the shape of a type of the SDK, whose field names JSON takes in any case, and refuses fields
// that the type does not have. Output is the SDK's output of the type.
func objectSetting[T any, Output interface{ pulumi.Output }, Input any](target *Input) awsSetting {
	return func(raw string, secret bool) error {
		var value T
		decoder := json.NewDecoder(strings.NewReader(raw))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&value); err != nil {
			return fmt.Errorf("must be JSON as pulumi-aws describes it: %w", err)
		}
		var output pulumi.Output = pulumi.Any(value).ApplyT(func(any) T { return value }).(Output)
		if secret {
			output = pulumi.ToSecret(output)
		}
		*target = output.(Input)
		return nil
	}
}

const defaultRegion = "us-east-1"

// region is the configured AWS region, else the default. What the shell says is left out on purpose: another shell would
// move the stack, and everything else that looks at it goes by the configuration.
func region(ctx *pulumi.Context) string {
	configured, _ := ctx.GetConfig(RegionKey)
	return cmp.Or(configured, defaultRegion)
}

// constructor is the shape of every generated New function of the SDKs.
type constructor[A, R any] func(*pulumi.Context, string, *A, ...pulumi.ResourceOption) (*R, error)

// create declares one AWS resource. Most physical names are fixed, and AWS refuses two of the same name, so that a
// replacement is deleted first unless an option says otherwise.
func create[A, R any](b *builder, construct constructor[A, R], name string, args *A, options ...pulumi.ResourceOption) (*R, error) {
	options = append([]pulumi.ResourceOption{pulumi.Provider(b.provider), pulumi.DeleteBeforeReplace(true)}, options...)
	if b.cfg.Protect && isToStay(args) && !slices.Contains(b.cfg.AllowReplace, name) {
		options = append(options, pulumi.Protect(true))
	}
	return declare(b, construct, name, args, options...)
}

// isToStay says of a resource whether data is lost with it, or everything that stands in it or goes by its address.
func isToStay(args any) bool {
	switch args.(type) {
	case *ec2.VpcArgs, *ec2.SubnetArgs, *ec2.EipArgs, *ecs.ClusterArgs, *kms.KeyArgs, *lb.LoadBalancerArgs, *rds.ClusterArgs,
		*rds.ClusterInstanceArgs, *s3.BucketV2Args, *secretsmanager.SecretArgs, *sns.TopicArgs, *sqs.QueueArgs:
		return true
	}
	return false
}

// declare declares one resource of any provider.
func declare[A, R any](b *builder, construct constructor[A, R], name string, args *A, options ...pulumi.ResourceOption) (*R, error) {
	resource, err := construct(b.ctx, name, args, options...)
	if err != nil {
		return nil, fmt.Errorf("declaring %s: %w", name, err)
	}
	return resource, nil
}

// createBeforeDelete is for what is still in use when its replacement is made, and has no name or another one then.
func createBeforeDelete() pulumi.ResourceOption { return pulumi.DeleteBeforeReplace(false) }

// after makes a resource wait for others on the way up, and go before them on the way down.
func after(resources ...pulumi.Resource) pulumi.ResourceOption { return pulumi.DependsOn(resources) }

const deleteTimeout = "60m"

// slowDelete gives AWS an hour to let go, where it has been seen to take its time.
func slowDelete() pulumi.ResourceOption {
	return pulumi.Timeouts(&pulumi.CustomTimeouts{Delete: deleteTimeout})
}

func (b *builder) physicalName(name string) string {
	return PhysicalName(name, b.cfg.EnvironmentSuffix)
}

// tags is the Name tag; the provider adds those that every resource carries.
func (b *builder) tags(name string) pulumi.StringMap { return nameTag(b.physicalName(name)) }

func nameTag(name string) pulumi.StringMap { return pulumi.StringMap{"Name": pulumi.String(name)} }

// arn is the ARN of something in this account and region.
func (b *builder) arn(service, resource string) string {
	return strings.Join([]string{"arn", b.partition, service, b.region, b.account, resource}, ":")
}

const logRetentionDays = 30

// logGroup declares a log group that keeps its lines as long as the brief asks.
func (b *builder) logGroup(name, physicalName string) (*cloudwatch.LogGroup, error) {
	b.logGroups = append(b.logGroups, physicalName)
	return create(b, cloudwatch.NewLogGroup, name, &cloudwatch.LogGroupArgs{
		Name:            pulumi.String(physicalName),
		RetentionInDays: pulumi.Int(logRetentionDays),
		Tags:            nameTag(physicalName),
	})
}

// statement is one statement of a policy document, save the resources that it is about: their ARNs may be known later. A list
// of one is written as a string, as AWS gives it back.
type statement struct {
	policy.Statement
	resources []pulumi.StringInput
}

func allow(sid string, actions ...string) statement {
	return statement{Statement: policy.Statement{Sid: sid, Effect: policy.EffectAllow, Action: policy.NewStringOrSlice(true, actions...)}}
}

// on names the resources. Trust policies have none.
func (s statement) on(arns ...pulumi.StringInput) statement {
	s.resources = arns
	return s
}

// by names who may act. Policies of roles do not.
func (s statement) by(principal *policy.Principal) statement {
	s.Principal = principal
	return s
}

// when adds a condition.
func (s statement) when(operator, key string, values ...string) statement {
	if s.Condition == nil {
		s.Condition = map[string]map[string]*policy.ConditionValue{}
	}
	if s.Condition[operator] == nil {
		s.Condition[operator] = map[string]*policy.ConditionValue{}
	}
	s.Condition[operator][key] = policy.NewConditionValueString(len(values) == 1, values...)
	return s
}

// services are AWS services as principals.
func services(names ...string) *policy.Principal {
	principal := policy.NewServicePrincipal()
	*principal.Service() = *policy.NewStringOrSlice(true, names...)
	return principal
}

// thisAccount is the account as a principal: whoever its own IAM policies let in.
func (b *builder) thisAccount() *policy.Principal {
	principal := policy.NewAWSPrincipal()
	*principal.AWS() = *policy.NewStringOrSlice(true, fmt.Sprintf("arn:%s:iam::%s:root", b.partition, b.account))
	return principal
}

// deny refuses something to everyone, under the conditions that follow.
func deny(sid, action string, resources ...pulumi.StringInput) statement {
	refusal := allow(sid, action).by(policy.NewGlobalPrincipal()).on(resources...)
	refusal.Effect = policy.EffectDeny
	return refusal
}

// denyPlainTransport refuses requests that do not come over TLS (PCI DSS 4.2.1).
func denyPlainTransport(action string, resources ...pulumi.StringInput) statement {
	return deny("DenyPlainTransport", action, resources...).when("Bool", "aws:SecureTransport", "false")
}

// document is the JSON of a policy, once the ARNs in it are known.
func document(statements ...statement) pulumi.StringOutput {
	resources := pulumi.StringArray{}
	for _, s := range statements {
		resources = append(resources, s.resources...)
	}
	return resources.ToStringArrayOutput().ApplyT(func(arns []string) (string, error) {
		complete := make([]policy.Statement, len(statements))
		for i, s := range statements {
			complete[i] = s.Statement
			if len(s.resources) > 0 {
				complete[i].Resource = policy.NewStringOrSlice(true, arns[:len(s.resources)]...)
				arns = arns[len(s.resources):]
			}
		}
		return marshal(policy.Policy{Version: policy.VersionLatest, Statements: policy.NewStatementOrSlice(complete...)})
	}).(pulumi.StringOutput)
}

// roleSpec is an IAM role that one AWS service assumes for resources of this account, and what it allows.
type roleSpec struct {
	name, description  string // the name ends in "role"
	service, sourceArn string
	allows             []statement
}

// roleWithPolicy keeps the policy at hand, for what must wait for it; of a role that allows nothing it is the role itself.
type roleWithPolicy struct {
	role   *iam.Role
	policy pulumi.Resource
}

func (b *builder) role(spec roleSpec) (*roleWithPolicy, error) {
	var boundary pulumi.StringPtrInput
	if b.cfg.PermissionsBoundaryArn != "" {
		boundary = pulumi.String(b.cfg.PermissionsBoundaryArn)
	}
	// Another account's resources must not make the service act as this role (the confused deputy).
	trust := allow("AssumedByService", "sts:AssumeRole").by(services(spec.service)).
		when("StringEquals", "aws:SourceAccount", b.account).
		when("ArnLike", "aws:SourceArn", spec.sourceArn)
	role, err := create(b, iam.NewRole, spec.name, &iam.RoleArgs{
		PermissionsBoundary: boundary,
		Name:                pulumi.String(b.physicalName(spec.name)),
		Description:         pulumi.String(spec.description),
		AssumeRolePolicy:    document(trust),
		Tags:                b.tags(spec.name),
	})
	if err != nil {
		return nil, err
	}
	if len(spec.allows) == 0 {
		return &roleWithPolicy{role, role}, nil
	}
	policyName := strings.TrimSuffix(spec.name, "role") + "policy"
	rolePolicy, err := create(b, iam.NewRolePolicy, policyName, &iam.RolePolicyArgs{
		Name:   pulumi.String(b.physicalName(policyName)),
		Role:   role.Name,
		Policy: document(spec.allows...),
	})
	if err != nil {
		return nil, err
	}
	return &roleWithPolicy{role, rolePolicy}, nil
}

// marshal is json.Marshal to a string, with an error that says what could not be encoded.
func marshal(value any) (string, error) {
	encoded, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("encoding %T: %w", value, err)
	}
	return string(encoded), nil
}

// ---------------------------------------------------------------------------------------------------------------------
// Network
// ---------------------------------------------------------------------------------------------------------------------

const (
	publicSubnetBits  = 24
	privateSubnetBits = 20
	anywhere          = "0.0.0.0/0"
	httpPort          = 80
	httpsPort         = 443
	postgresPort      = 5432
	// incompleteZone is where Fargate on ARM64, RDS Proxy and MSK are not offered (AWS).
	incompleteZone = "use1-az3"
	// flowLogSeconds is the aggregation interval: 60 is the finest that VPC flow logs offer.
	flowLogSeconds = 60
)

// network is what the other layers build on.
type network struct {
	vpc             *ec2.Vpc
	internet        pulumi.Resource // the public subnets' way out
	public, private []*ec2.Subnet
	nats            []*ec2.NatGateway
	privateTables   []*ec2.RouteTable
	groups          securityGroups
	// ready is everything that a task needs before it can reach anything: routes, associations, rules.
	ready []pulumi.Resource
}

// securityGroups has a group for each kind of member. endpoints is nil unless interface endpoints are wanted.
type securityGroups struct {
	alb, paymentAPI, jobProcessor, paymentMigrate, database, endpoints *ec2.SecurityGroup
}

func (n *network) zones() pulumi.StringArray {
	zones := make(pulumi.StringArray, len(n.private))
	for i, subnet := range n.private {
		zones[i] = subnet.AvailabilityZone
	}
	return zones
}

func subnetIDs(subnets []*ec2.Subnet) pulumi.StringArray {
	ids := make(pulumi.StringArray, len(subnets))
	for i, subnet := range subnets {
		ids[i] = subnet.ID()
	}
	return ids
}

// network declares the VPC and everything in it that carries packets.
func (b *builder) network() (*network, error) {
	mainVpc, err := create(b, ec2.NewVpc, "vpc", &ec2.VpcArgs{
		CidrBlock:          pulumi.String(b.cfg.VpcCidr),
		EnableDnsSupport:   pulumi.Bool(true),
		EnableDnsHostnames: pulumi.Bool(true),
		Tags:               b.tags("vpc"),
	})
	if err != nil {
		return nil, err
	}
	n := &network{vpc: mainVpc}
	// Adopted without rules: nothing may talk through the group that everything gets by default. A rule that is added later is
	// taken away again only where it is said that there is none: what is left out is whatever the group has.
	_, err = create(b, ec2.NewDefaultSecurityGroup, "default-sg", &ec2.DefaultSecurityGroupArgs{
		VpcId:   mainVpc.ID(),
		Ingress: ec2.DefaultSecurityGroupIngressArray{},
		Egress:  ec2.DefaultSecurityGroupEgressArray{},
		Tags:    b.tags("default-sg"),
	})
	if err != nil {
		return nil, err
	}
	for _, step := range []func(*network) error{b.subnets, b.publicRoutes, b.privateRoutes, b.securityGroups, b.flowLog, b.endpoints} {
		if err := step(n); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// subnets declares a public and a private subnet in each of three zones.
//
// The choice of zones is made once. The public subnets remember it (ignoreChanges), the private ones and the database
// instances take theirs from the public ones' state, so that a zone that AWS adds or closes later moves nothing.
// Only a configured override moves them, and only a new stack: see keepSettled.
func (b *builder) subnets(n *network) error {
	zones := b.cfg.AvailabilityZones
	keepZone := []pulumi.ResourceOption{}
	if len(zones) == 0 {
		chosen, err := b.chooseZones()
		if err != nil {
			return err
		}
		zones, keepZone = chosen, append(keepZone, pulumi.IgnoreChanges([]string{"availabilityZone"}))
	}
	cidr, err := netip.ParsePrefix(b.cfg.VpcCidr)
	if err != nil {
		return fmt.Errorf("reading vpcCidr %q: %w", b.cfg.VpcCidr, err)
	}
	for i, zone := range zones {
		public, err := b.subnet(n, subnetName("public", i), nthSubnet(cidr, publicSubnetBits, i), pulumi.String(zone), keepZone...)
		if err != nil {
			return err
		}
		// The first /20 holds the public subnets; the private ones follow.
		private, err := b.subnet(n, subnetName("private", i), nthSubnet(cidr, privateSubnetBits, i+1), public.AvailabilityZone)
		if err != nil {
			return err
		}
		n.public, n.private = append(n.public, public), append(n.private, private)
	}
	return nil
}

func subnetName(kind string, i int) string { return fmt.Sprintf("%s-subnet-%d", kind, i+1) }

func (b *builder) subnet(n *network, name string, cidr netip.Prefix, zone pulumi.StringInput, options ...pulumi.ResourceOption) (*ec2.Subnet, error) {
	return create(b, ec2.NewSubnet, name, &ec2.SubnetArgs{
		VpcId:               n.vpc.ID(),
		CidrBlock:           pulumi.String(cidr.String()),
		AvailabilityZone:    zone.ToStringOutput().ToStringPtrOutput(),
		MapPublicIpOnLaunch: pulumi.Bool(false),
		Tags:                b.tags(name),
	}, options...)
}

// nthSubnet is the nth network of the given length from the start of an IPv4 prefix.
func nthSubnet(within netip.Prefix, bits, n int) netip.Prefix {
	base := within.Masked().Addr().As4()
	var address [4]byte
	binary.BigEndian.PutUint32(address[:], binary.BigEndian.Uint32(base[:])+uint32(n)<<(32-bits)) //nolint:gosec // n is at most the number of zones
	return netip.PrefixFrom(netip.AddrFrom4(address), bits)
}

// chooseZones asks for the zones that this account can use without opting in to them, and chooses.
func (b *builder) chooseZones() ([]string, error) {
	found, err := aws.GetAvailabilityZones(b.ctx, &aws.GetAvailabilityZonesArgs{
		State:   pulumi.StringRef("available"),
		Filters: []aws.GetAvailabilityZonesFilter{{Name: "opt-in-status", Values: []string{"opt-in-not-required"}}},
	}, pulumi.Provider(b.provider))
	if err != nil {
		return nil, fmt.Errorf("asking AWS for availability zones: %w", err)
	}
	zones, err := ChooseZones(found.Names, found.ZoneIds)
	if err != nil {
		return nil, fmt.Errorf("choosing availability zones: %s offers %w; choose another region", b.region, err)
	}
	return zones, nil
}

// ChooseZones picks the names of three zones by zone id, which names the same place in every account, where names do not.
// A zone where services are missing is taken only when there are not enough others. The error says how many there are.
func ChooseZones(names, ids []string) ([]string, error) {
	if len(names) < ZoneCount || len(ids) != len(names) {
		return nil, fmt.Errorf("%d of the %d usable zones that are needed", len(names), ZoneCount)
	}
	order := make([]int, len(names))
	for i := range order {
		order[i] = i
	}
	rank := func(i int) string { return strconv.FormatBool(ids[i] == incompleteZone) + ids[i] }
	slices.SortFunc(order, func(i, j int) int { return strings.Compare(rank(i), rank(j)) })
	zones := make([]string, ZoneCount)
	for i := range zones {
		zones[i] = names[order[i]]
	}
	return zones, nil
}

// publicRoutes declares the internet gateway and the one route table that leads to it.
func (b *builder) publicRoutes(n *network) error {
	gateway, err := create(b, ec2.NewInternetGateway, "internet-gateway", &ec2.InternetGatewayArgs{
		VpcId: n.vpc.ID(),
		Tags:  b.tags("internet-gateway"),
	})
	if err != nil {
		return err
	}
	table, err := b.routeTable(n, "public-route-table", n.public...)
	if err != nil {
		return err
	}
	n.internet, err = create(b, ec2.NewRoute, "public-default-route", &ec2.RouteArgs{
		RouteTableId:         table.ID(),
		DestinationCidrBlock: pulumi.String(anywhere),
		GatewayId:            gateway.ID(),
	})
	return err
}

// privateRoutes declares, per zone, a NAT gateway with its address and a route table that leads to it: a zone that
// fails takes no other zone's way out along.
func (b *builder) privateRoutes(n *network) error {
	for i := range n.private {
		eipName, natName, tableName := fmt.Sprintf("nat-eip-%d", i+1), fmt.Sprintf("nat-gateway-%d", i+1), fmt.Sprintf("private-route-table-%d", i+1)
		eip, err := create(b, ec2.NewEip, eipName, &ec2.EipArgs{
			Domain: pulumi.String("vpc"),
			Tags:   b.tags(eipName),
		}, after(n.internet))
		if err != nil {
			return err
		}
		nat, err := create(b, ec2.NewNatGateway, natName, &ec2.NatGatewayArgs{
			AllocationId: eip.ID(),
			SubnetId:     n.public[i].ID(),
			Tags:         b.tags(natName),
		}, after(n.internet), slowDelete())
		if err != nil {
			return err
		}
		table, err := b.routeTable(n, tableName, n.private[i])
		if err != nil {
			return err
		}
		route, err := create(b, ec2.NewRoute, fmt.Sprintf("private-default-route-%d", i+1), &ec2.RouteArgs{
			RouteTableId:         table.ID(),
			DestinationCidrBlock: pulumi.String(anywhere),
			NatGatewayId:         nat.ID(),
		})
		if err != nil {
			return err
		}
		n.nats, n.privateTables = append(n.nats, nat), append(n.privateTables, table)
		n.ready = append(n.ready, route)
	}
	return nil
}

func (b *builder) routeTable(n *network, name string, subnets ...*ec2.Subnet) (*ec2.RouteTable, error) {
	table, err := create(b, ec2.NewRouteTable, name, &ec2.RouteTableArgs{
		VpcId: n.vpc.ID(),
		Tags:  b.tags(name),
	})
	if err != nil {
		return nil, err
	}
	for i, subnet := range subnets {
		association, err := create(b, ec2.NewRouteTableAssociation, fmt.Sprintf("%s-association-%d", name, i+1), &ec2.RouteTableAssociationArgs{
			SubnetId:     subnet.ID(),
			RouteTableId: table.ID(),
		})
		if err != nil {
			return nil, err
		}
		n.ready = append(n.ready, association)
	}
	return table, nil
}

// securityGroups declares the groups and their rules, both ways; what the table does not list cannot flow.
func (b *builder) securityGroups(n *network) error {
	wanted := []struct {
		name, description string
		group             **ec2.SecurityGroup
		when              bool
	}{
		{"alb-sg", "Load balancer", &n.groups.alb, true},
		{"payment-api-sg", "payment-api tasks", &n.groups.paymentAPI, true},
		{"job-processor-sg", "job-processor tasks", &n.groups.jobProcessor, true},
		{"payment-migrate-sg", "payment-migrate tasks", &n.groups.paymentMigrate, true},
		{"db-sg", "Aurora cluster", &n.groups.database, true},
		{"endpoints-sg", "VPC interface endpoints", &n.groups.endpoints, b.cfg.InterfaceEndpoints},
	}
	for _, w := range wanted {
		if !w.when {
			continue
		}
		group, err := create(b, ec2.NewSecurityGroup, w.name, &ec2.SecurityGroupArgs{
			Name:        pulumi.String(b.physicalName(w.name)),
			Description: pulumi.String(w.description),
			VpcId:       n.vpc.ID(),
			Tags:        b.tags(w.name),
		}, slowDelete())
		if err != nil {
			return err
		}
		*w.group = group
	}
	for _, rule := range b.trafficRules(n.groups) {
		declared, err := b.trafficRule(rule)
		if err != nil {
			return err
		}
		n.ready = append(n.ready, declared)
	}
	return nil
}

// trafficRule lets TCP to one port pass between a group and a peer, which is another group or, if nil, the internet.
type trafficRule struct {
	name        string
	inbound     bool
	group, peer *ec2.SecurityGroup
	port        int
	description string
}

// trafficRules is the table of them. Those of the containers' port have it in their names: when it changes, the new rules
// are made before the services move, and the old ones go after that.
func (b *builder) trafficRules(g securityGroups) []trafficRule {
	port := b.cfg.ContainerPort
	onPort := func(name string) string { return fmt.Sprintf("%s-%d", name, port) }
	rules := []trafficRule{
		{"alb-in-https", true, g.alb, nil, httpsPort, "HTTPS from the internet"},
		{"alb-in-http", true, g.alb, nil, httpPort, "HTTP from the internet, to be redirected to HTTPS"},
		{onPort("alb-out-payment-api"), false, g.alb, g.paymentAPI, port, "Requests to payment-api"},
		{onPort("alb-out-job-processor"), false, g.alb, g.jobProcessor, port, "Health requests to job-processor"},
		{onPort("payment-api-in-alb"), true, g.paymentAPI, g.alb, port, "Requests from the load balancer"},
		{"payment-api-out-db", false, g.paymentAPI, g.database, postgresPort, "PostgreSQL to the Aurora cluster"},
		{"payment-api-out-https", false, g.paymentAPI, nil, httpsPort, "HTTPS to AWS services and merchants"},
		{onPort("job-processor-in-alb"), true, g.jobProcessor, g.alb, port, "Health requests from the load balancer"},
		{"job-processor-out-db", false, g.jobProcessor, g.database, postgresPort, "PostgreSQL to the Aurora cluster"},
		{"job-processor-out-https", false, g.jobProcessor, nil, httpsPort, "HTTPS to AWS services and merchants"},
		{"payment-migrate-out-db", false, g.paymentMigrate, g.database, postgresPort, "PostgreSQL to the Aurora cluster"},
		{"payment-migrate-out-https", false, g.paymentMigrate, nil, httpsPort, "HTTPS to AWS services"},
		{"db-in-payment-api", true, g.database, g.paymentAPI, postgresPort, "PostgreSQL from payment-api"},
		{"db-in-job-processor", true, g.database, g.jobProcessor, postgresPort, "PostgreSQL from job-processor"},
		{"db-in-payment-migrate", true, g.database, g.paymentMigrate, postgresPort, "PostgreSQL from payment-migrate"},
	}
	if g.endpoints != nil {
		rules = append(rules,
			trafficRule{"endpoints-in-payment-api", true, g.endpoints, g.paymentAPI, httpsPort, "AWS API calls from payment-api"},
			trafficRule{"endpoints-in-job-processor", true, g.endpoints, g.jobProcessor, httpsPort, "AWS API calls from job-processor"},
			trafficRule{"endpoints-in-payment-migrate", true, g.endpoints, g.paymentMigrate, httpsPort, "AWS API calls from payment-migrate"})
	}
	return rules
}

func (b *builder) trafficRule(rule trafficRule) (pulumi.Resource, error) {
	var cidr, peer pulumi.StringPtrInput
	if rule.peer == nil {
		cidr = pulumi.String(anywhere)
	} else {
		peer = rule.peer.ID().ToStringOutput().ToStringPtrOutput()
	}
	if rule.inbound {
		return create(b, vpc.NewSecurityGroupIngressRule, rule.name, &vpc.SecurityGroupIngressRuleArgs{
			SecurityGroupId: rule.group.ID(), IpProtocol: pulumi.String("tcp"),
			FromPort: pulumi.Int(rule.port), ToPort: pulumi.Int(rule.port),
			CidrIpv4: cidr, ReferencedSecurityGroupId: peer,
			Description: pulumi.String(rule.description), Tags: b.tags(rule.name),
		})
	}
	return create(b, vpc.NewSecurityGroupEgressRule, rule.name, &vpc.SecurityGroupEgressRuleArgs{
		SecurityGroupId: rule.group.ID(), IpProtocol: pulumi.String("tcp"),
		FromPort: pulumi.Int(rule.port), ToPort: pulumi.Int(rule.port),
		CidrIpv4: cidr, ReferencedSecurityGroupId: peer,
		Description: pulumi.String(rule.description), Tags: b.tags(rule.name),
	})
}

// flowLog records all traffic of the VPC (PCI DSS 10.2).
func (b *builder) flowLog(n *network) error {
	group, err := b.logGroup("vpc-flow-log-group", "/vpc/"+b.physicalName("flow-log"))
	if err != nil {
		return err
	}
	writer, err := b.role(roleSpec{
		name:        "vpc-flow-log-role",
		description: "Lets VPC flow logs write to their log group",
		service:     "vpc-flow-logs.amazonaws.com",
		sourceArn:   b.arn("ec2", "vpc-flow-log/*"),
		allows: []statement{
			allow("WriteFlowLogs", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents").
				on(group.Arn, pulumi.Sprintf("%s:*", group.Arn)),
			// DescribeLogGroups knows no resources (AWS service authorization reference).
			allow("FindLogGroup", "logs:DescribeLogGroups").on(pulumi.String("*")),
		},
	})
	if err != nil {
		return err
	}
	_, err = create(b, ec2.NewFlowLog, "vpc-flow-log", &ec2.FlowLogArgs{
		VpcId:                  n.vpc.ID(),
		TrafficType:            pulumi.String("ALL"),
		LogDestinationType:     pulumi.String("cloud-watch-logs"),
		LogDestination:         group.Arn,
		IamRoleArn:             writer.role.Arn,
		MaxAggregationInterval: pulumi.Int(flowLogSeconds),
		Tags:                   b.tags("vpc-flow-log"),
	}, after(writer.policy))
	return err
}

// endpoints keeps the layers of images, which ECR has in S3, off the NAT gateways and, where wanted, AWS API calls too. Nothing
// else in the VPC uses S3, and no other account's credentials the rest (ECR user guide, "Interface VPC endpoints").
func (b *builder) endpoints(n *network) error {
	tables := make(pulumi.StringArray, len(n.privateTables))
	for i, table := range n.privateTables {
		tables[i] = table.ID()
	}
	_, err := create(b, ec2.NewVpcEndpoint, "s3-endpoint", &ec2.VpcEndpointArgs{
		VpcId:           n.vpc.ID(),
		ServiceName:     pulumi.String(b.endpointService("s3")),
		VpcEndpointType: pulumi.String("Gateway"),
		RouteTableIds:   tables,
		Policy: document(allow("PullImageLayers", "s3:GetObject").by(policy.NewGlobalPrincipal()).
			on(pulumi.String(fmt.Sprintf("arn:%s:s3:::prod-%s-starport-layer-bucket/*", b.partition, b.region)))).ToStringPtrOutput(),
		Tags: b.tags("s3-endpoint"),
	})
	if err != nil || !b.cfg.InterfaceEndpoints {
		return err
	}
	for _, service := range []string{"ecr.api", "ecr.dkr", "logs", "secretsmanager", "ssm", "sqs", "sns"} {
		name := strings.ReplaceAll(service, ".", "-") + "-endpoint"
		prefix, _, _ := strings.Cut(service, ".")
		endpoint, err := create(b, ec2.NewVpcEndpoint, name, &ec2.VpcEndpointArgs{
			VpcId:             n.vpc.ID(),
			ServiceName:       pulumi.String(b.endpointService(service)),
			VpcEndpointType:   pulumi.String("Interface"),
			SubnetIds:         subnetIDs(n.private),
			SecurityGroupIds:  pulumi.StringArray{n.groups.endpoints.ID()},
			PrivateDnsEnabled: pulumi.Bool(true),
			Policy: document(allow("CallsOfThisAccount", prefix+":*").by(policy.NewGlobalPrincipal()).on(pulumi.String("*")).
				when("StringEquals", "aws:PrincipalAccount", b.account)).ToStringPtrOutput(),
			Tags: b.tags(name),
		})
		if err != nil {
			return err
		}
		n.ready = append(n.ready, endpoint)
	}
	return nil
}

// endpointService is the name of an AWS service for VPC endpoints, such as com.amazonaws.us-east-1.s3.
func (b *builder) endpointService(service string) string {
	return strings.Join([]string{b.reverseDNS, b.region, service}, ".")
}

// ---------------------------------------------------------------------------------------------------------------------
// Database
// ---------------------------------------------------------------------------------------------------------------------

const (
	dbEngine     = "aurora-postgresql"
	dbMasterUser = "payments_admin"
	// dbBackupWindow is in UTC.
	dbBackupWindow      = "03:00-04:00"
	dbMonitoringSeconds = 60
	// dbInsightsDays is the retention of Performance Insights that costs nothing.
	dbInsightsDays      = 7
	dbCertificate       = "rds-ca-rsa2048-g1"
	dbPasswordLength    = 32
	dbPasswordSymbols   = "!#$%&*()-_=+[]{}<>:?" //nolint:gosec // no password; Aurora refuses / @ " and space
	apiKeyBytes         = 32
	certificateSeedSize = 32
	// dbMemoryLeft is the share of an instance's memory below which it is short of it. Aurora keeps most of it in its
	// buffers, so that AWS recommends close to 5 percent (CloudWatch user guide, "Best practice alarm recommendations").
	dbMemoryLeft = 0.05
)

// InstanceMemory is the memory of an instance class, in bytes. An xlarge has as many GiB as its family gives; a large has
// half of it, a medium a quarter, and an Nxlarge N times as much ("Hardware specifications for DB instance classes for
// Aurora", Aurora user guide).
func InstanceMemory(class string) float64 {
	const gib = 1 << 30
	_, family, _ := strings.Cut(class, ".")
	family, size, _ := strings.Cut(family, ".")
	perXlarge := 16.0
	switch {
	case strings.HasPrefix(family, "r"):
		perXlarge = 32
	case strings.HasPrefix(family, "x"):
		perXlarge = 64
	}
	factor := map[string]float64{"medium": 0.25, "large": 0.5, "xlarge": 1}[size]
	if times, err := strconv.Atoi(strings.TrimSuffix(size, "xlarge")); err == nil {
		factor = float64(times)
	}
	return factor * perXlarge * gib
}

// MaxConnections is how many connections an instance of a class takes: one for each 9,531,392 bytes of its memory, of which 10⁹ of
// each GiB count, at most 5,000 ("Maximum connections to an Aurora PostgreSQL DB instance", Aurora user guide).
func MaxConnections(class string) int {
	const gib, each, most = 1 << 30, 9_531_392, 5000
	return min(int(InstanceMemory(class)/gib*1e9/each), most)
}

const (
	// TaskConnections is how many connections a task may keep to the writer; payment-api as many again to the readers.
	TaskConnections = 10
	// otherConnections are kept for the migration and people (5), and for superusers (PostgreSQL's superuser_reserved_connections).
	otherConnections = 5 + 3
	// connectionsUsed is the share of an instance's connections above which operations are told.
	connectionsUsed = 0.8
)

// Connections are the most that the writer gets: of all tasks that autoscaling may reach, twice while a deployment replaces them.
func (c Config) Connections() int {
	return (c.APIMaxCount+c.JobMaxCount)*TaskConnections*maximumPercent/100 + otherConnections
}

type database struct {
	cluster   *rds.Cluster
	instances []pulumi.Resource
	// identifiers are the instances'.
	identifiers pulumi.StringArray
	// credentials are the master user's, serviceCredentials those of each service's own user.
	credentials, apiKeys *storedSecret
	serviceCredentials   map[string]*storedSecret
}

// secretValues are the values of all secrets.
func (db *database) secretValues() []pulumi.Resource {
	return []pulumi.Resource{db.credentials.value, db.serviceCredentials[paymentAPI].value, db.serviceCredentials[jobProcessor].value, db.apiKeys.value}
}

// storedSecret is a secret with its value.
type storedSecret struct {
	*secretsmanager.Secret
	value *secretsmanager.SecretVersion
}

// database declares the Aurora cluster, its writer and readers, and the secrets.
func (b *builder) database(n *network) (*database, error) {
	password, err := b.password("db-password")
	if err != nil {
		return nil, err
	}
	version, err := b.engineVersion()
	if err != nil {
		return nil, err
	}
	db := &database{}
	if db.cluster, err = b.auroraCluster(n, version, password); err != nil {
		return nil, err
	}
	if err := b.auroraInstances(n, db); err != nil {
		return nil, err
	}
	return db, b.secrets(db, password)
}

// password declares a password that Aurora takes.
func (b *builder) password(name string) (*random.RandomPassword, error) {
	return declare(b, random.NewRandomPassword, name, &random.RandomPasswordArgs{
		Length:          pulumi.Int(dbPasswordLength),
		Special:         pulumi.Bool(true),
		OverrideSpecial: pulumi.String(dbPasswordSymbols),
		MinLower:        pulumi.Int(2),
		MinUpper:        pulumi.Int(2),
		MinNumeric:      pulumi.Int(2),
		MinSpecial:      pulumi.Int(2),
	})
}

// engineVersion is the full version that the cluster gets. A partial one would go to RDS again with every later change,
// which refuses it or upgrades (terraform-provider-aws#45026, pulumi-aws#5756).
func (b *builder) engineVersion() (string, error) {
	deployed, err := b.deployedVersion()
	if err != nil {
		return "", err
	}
	version, err := ChooseDBVersion(b.cfg.DBEngineVersion, deployed)
	if err != nil || version != "" {
		return version, err
	}
	found, err := rds.GetEngineVersion(b.ctx, &rds.GetEngineVersionArgs{
		Engine: dbEngine, Version: pulumi.StringRef(b.cfg.DBEngineVersion), DefaultOnly: pulumi.BoolRef(true),
	}, pulumi.Provider(b.provider))
	if err != nil {
		return "", fmt.Errorf("asking AWS for the default minor version of dbEngineVersion %s (a full version, such as 16.6, is not asked for): %w", b.cfg.DBEngineVersion, err)
	}
	return found.VersionActual, nil
}

// deployedVersion is the version of the stack's cluster as it stands; empty when there is none.
func (b *builder) deployedVersion() (string, error) {
	clusters, err := rds.GetClusters(b.ctx, &rds.GetClustersArgs{}, pulumi.Provider(b.provider))
	if err != nil {
		return "", fmt.Errorf("asking AWS for the database clusters: %w", err)
	}
	name := b.physicalName("aurora-cluster")
	if !slices.Contains(clusters.ClusterIdentifiers, name) {
		return "", nil
	}
	cluster, err := rds.LookupCluster(b.ctx, &rds.LookupClusterArgs{ClusterIdentifier: name}, pulumi.Provider(b.provider))
	if err != nil {
		return "", fmt.Errorf("asking AWS for the version of %s: %w", name, err)
	}
	return cluster.EngineVersion, nil
}

// ChooseDBVersion is the full version for a configured one, which may be a major version alone, where a database of the
// deployed version stands (empty: none). Minor upgrades, which RDS makes by itself, stay. The result is empty where the
// default minor version of the configured major one is to be asked for. RDS goes back to no earlier major version.
func ChooseDBVersion(configured, deployed string) (string, error) {
	major, minor, full := versionParts(configured)
	standsMajor, standsMinor, _ := versionParts(deployed)
	switch {
	case major < standsMajor:
		return "", fmt.Errorf("dbEngineVersion: the database runs %s, and RDS has no way back to %s: set %d, or move the data to a new stack",
			deployed, configured, standsMajor)
	case major == standsMajor && (!full || minor < standsMinor):
		return deployed, nil
	case full:
		return configured, nil
	}
	return "", nil
}

// versionParts takes a version apart. It is zero for an empty one.
func versionParts(version string) (major, minor int, full bool) {
	before, after, full := strings.Cut(version, ".")
	major, _ = strconv.Atoi(before)
	minor, _ = strconv.Atoi(after)
	return major, minor, full
}

// auroraCluster declares the cluster and what it stands on.
func (b *builder) auroraCluster(n *network, version string, password *random.RandomPassword) (*rds.Cluster, error) {
	subnets, err := create(b, rds.NewSubnetGroup, "db-subnet-group", &rds.SubnetGroupArgs{
		Name:        pulumi.String(b.physicalName("db-subnet-group")),
		Description: pulumi.String("Private subnets of the payment database"),
		SubnetIds:   subnetIDs(n.private),
		Tags:        b.tags("db-subnet-group"),
	})
	if err != nil {
		return nil, err
	}
	// The group of another major version is another group: a cluster uses the old one until its upgrade is done.
	major, _, _ := versionParts(version)
	settingsName := fmt.Sprintf("db-cluster-parameter-group-%d", major)
	settings, err := create(b, rds.NewClusterParameterGroup, "db-cluster-parameter-group", &rds.ClusterParameterGroupArgs{
		Name:        pulumi.String(b.physicalName(settingsName)),
		Family:      pulumi.String(fmt.Sprintf("%s%d", dbEngine, major)),
		Description: pulumi.String("Settings of the payment database"),
		Parameters:  engineParameters(major),
		Tags:        b.tags(settingsName),
	}, createBeforeDelete())
	if err != nil {
		return nil, err
	}
	// RDS would create this group without retention, and leave it behind.
	logs, err := b.logGroup("aurora-log-group", fmt.Sprintf("/aws/rds/cluster/%s/postgresql", b.physicalName("aurora-cluster")))
	if err != nil {
		return nil, err
	}
	// kmsKeyId is left out for the AWS managed key, availabilityZones because fewer than three forces replacement.
	return create(b, rds.NewCluster, "aurora-cluster", &rds.ClusterArgs{
		ClusterIdentifier:                pulumi.String(b.physicalName("aurora-cluster")),
		Engine:                           pulumi.String(dbEngine),
		EngineVersion:                    pulumi.String(version),
		AllowMajorVersionUpgrade:         pulumi.Bool(true), // only another dbEngineVersion asks for one
		ApplyImmediately:                 pulumi.Bool(b.cfg.DBApplyImmediately),
		EngineLifecycleSupport:           pulumi.String("open-source-rds-extended-support-disabled"),
		DatabaseName:                     pulumi.String(b.cfg.DBName),
		MasterUsername:                   pulumi.String(dbMasterUser),
		MasterPassword:                   password.Result,
		Port:                             pulumi.Int(postgresPort),
		DbSubnetGroupName:                subnets.Name,
		DbClusterParameterGroupName:      settings.Name,
		VpcSecurityGroupIds:              pulumi.StringArray{n.groups.database.ID()},
		StorageEncrypted:                 pulumi.Bool(true),
		BackupRetentionPeriod:            pulumi.Int(b.cfg.DBBackupRetentionDays),
		PreferredBackupWindow:            pulumi.String(dbBackupWindow),
		PreferredMaintenanceWindow:       pulumi.String(b.cfg.DBMaintenanceWindow),
		CopyTagsToSnapshot:               pulumi.Bool(true),
		DeleteAutomatedBackups:           pulumi.Bool(true),
		IamDatabaseAuthenticationEnabled: pulumi.Bool(true),
		EnabledCloudwatchLogsExports:     pulumi.ToStringArray([]string{"postgresql"}),
		// As on the instances. Left out here, what RDS says of the whole cluster would be a difference at every refresh.
		PerformanceInsightsEnabled:         pulumi.Bool(true),
		PerformanceInsightsRetentionPeriod: pulumi.Int(dbInsightsDays),
		DeletionProtection:                 pulumi.Bool(false),
		SkipFinalSnapshot:                  pulumi.Bool(true),
		Tags:                               b.tags("aurora-cluster"),
	}, after(logs), slowDelete())
}

// engineParameters are the cluster's settings that differ from Aurora's. Logical replication is on for the cutover.
// pgAudit logs changes of schema and roles without the passwords in them, which log_statement would log.
func engineParameters(major int) rds.ClusterParameterGroupParameterArray {
	const now, atReboot = "immediate", "pending-reboot"
	// From 17 on TLS is forced by default, and RDS shows a parameter that has its default value as pending-reboot,
	// whatever was asked for (terraform-provider-aws#23335).
	forceTLS := now
	if major >= 17 {
		forceTLS = atReboot
	}
	var parameters rds.ClusterParameterGroupParameterArray
	for _, p := range []struct{ name, value, apply string }{
		{"log_connections", "1", now},
		{"log_disconnections", "1", now},
		{"pgaudit.log", "ddl,role", now},
		{"rds.force_ssl", "1", forceTLS},
		{"rds.logical_replication", "1", atReboot},
		{"shared_preload_libraries", "pg_stat_statements,pgaudit", atReboot},
	} {
		parameters = append(parameters, rds.ClusterParameterGroupParameterArgs{
			Name: pulumi.String(p.name), Value: pulumi.String(p.value), ApplyMethod: pulumi.String(p.apply),
		})
	}
	return parameters
}

// auroraInstances declares the writer and two readers, each in a zone of its own. Aurora makes the first instance of
// a cluster its writer, so the readers wait for it.
func (b *builder) auroraInstances(n *network, db *database) error {
	monitoring, err := b.role(roleSpec{
		name:        "rds-monitoring-role",
		description: "Lets RDS enhanced monitoring write operating system metrics",
		service:     "monitoring.rds.amazonaws.com",
		sourceArn:   b.arn("rds", "db:*"),
		// What AmazonRDSEnhancedMonitoringRole grants, on this account and region only.
		allows: []statement{
			allow("ManageLogGroup", "logs:CreateLogGroup", "logs:PutRetentionPolicy").on(pulumi.String(b.arn("logs", "log-group:RDS*"))),
			allow("WriteLogStreams", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:GetLogEvents", "logs:PutLogEvents").
				on(pulumi.String(b.arn("logs", "log-group:RDS*:log-stream:*"))),
		},
	})
	if err != nil {
		return err
	}
	for i, member := range []struct {
		name          string
		promotionTier int
	}{{"aurora-writer", 0}, {"aurora-reader-1", 1}, {"aurora-reader-2", 1}} {
		waitFor := []pulumi.Resource{monitoring.policy}
		if i > 0 {
			waitFor = append(waitFor, db.instances[0])
		}
		instance, err := create(b, rds.NewClusterInstance, member.name, &rds.ClusterInstanceArgs{
			Identifier:                         pulumi.String(b.physicalName(member.name)),
			ClusterIdentifier:                  db.cluster.ClusterIdentifier,
			Engine:                             pulumi.String(dbEngine),
			InstanceClass:                      pulumi.String(b.cfg.DBInstanceClass),
			AvailabilityZone:                   n.private[i].AvailabilityZone,
			DbSubnetGroupName:                  db.cluster.DbSubnetGroupName,
			PromotionTier:                      pulumi.Int(member.promotionTier),
			PubliclyAccessible:                 pulumi.Bool(false),
			AutoMinorVersionUpgrade:            pulumi.Bool(true),
			ApplyImmediately:                   pulumi.Bool(b.cfg.DBApplyImmediately),
			PreferredMaintenanceWindow:         pulumi.String(b.cfg.DBMaintenanceWindow),
			CaCertIdentifier:                   pulumi.String(dbCertificate),
			PerformanceInsightsEnabled:         pulumi.Bool(true),
			PerformanceInsightsRetentionPeriod: pulumi.Int(dbInsightsDays),
			MonitoringInterval:                 pulumi.Int(dbMonitoringSeconds),
			MonitoringRoleArn:                  monitoring.role.Arn,
			Tags:                               b.tags(member.name),
		}, after(waitFor...), slowDelete())
		if err != nil {
			return err
		}
		db.instances, db.identifiers = append(db.instances, instance), append(db.identifiers, instance.Identifier)
	}
	return nil
}

// Keys of the secrets, as task definitions name them.
const (
	keyWriterConnection = "writerConnectionString"
	keyReaderConnection = "readerConnectionString"
	keyAPIKey           = "apiKey"
)

// dbCredentials is the value of a database secret: the fields that AWS's own tools expect, and the reader's.
type dbCredentials struct {
	Engine           string `json:"engine"`
	Host             string `json:"host"`
	ReaderHost       string `json:"readerHost"`
	Port             int    `json:"port"`
	DBName           string `json:"dbname"`
	Username         string `json:"username"`
	Password         string `json:"password"`
	WriterConnection string `json:"writerConnectionString"`
	ReaderConnection string `json:"readerConnectionString"`
}

// secrets stores the credentials of the master user and of each service's own, and a generated API key. None rotates: the
// brief wants no rotation for the first deployment, which is also why RDS does not manage the master's password.
//
// payment-migrate alone gets the master's. It makes the services' users, with the passwords in their secrets.
func (b *builder) secrets(db *database, password *random.RandomPassword) error {
	var err error
	db.credentials, err = b.secret("payment-db-credentials", "Connection of the master user to the payment database",
		b.credentials(db.cluster, dbMasterUser, password), paymentMigrate)
	if err != nil {
		return err
	}
	db.serviceCredentials = map[string]*storedSecret{}
	for _, service := range []string{paymentAPI, jobProcessor} {
		own, err := b.password(service + "-db-password")
		if err != nil {
			return err
		}
		db.serviceCredentials[service], err = b.secret(service+"-db-credentials", "Connection of "+service+" to the payment database",
			b.credentials(db.cluster, databaseUser(service), own), service, paymentMigrate)
		if err != nil {
			return err
		}
	}
	key, err := declare(b, random.NewRandomBytes, "api-key", &random.RandomBytesArgs{Length: pulumi.Int(apiKeyBytes)})
	if err != nil {
		return err
	}
	keys := key.Hex.ApplyT(func(hex string) (string, error) {
		return marshal(map[string]string{keyAPIKey: hex})
	}).(pulumi.StringOutput)
	db.apiKeys, err = b.secret("payment-api-keys", "Keys of the payment API", keys, paymentAPI)
	return err
}

// databaseUser is a service's own user of the database.
func databaseUser(service string) string { return strings.ReplaceAll(service, "-", "_") }

// credentials are the JSON of a user's database secret.
func (b *builder) credentials(cluster *rds.Cluster, user string, password *random.RandomPassword) pulumi.StringOutput {
	return pulumi.All(cluster.Endpoint, cluster.ReaderEndpoint, cluster.Port, password.Result).ApplyT(
		func(args []any) (string, error) {
			host, _ := args[0].(string)
			readerHost, _ := args[1].(string)
			port, _ := args[2].(int)
			secret, _ := args[3].(string)
			return marshal(dbCredentials{
				Engine: "postgres", Host: host, ReaderHost: readerHost, Port: port,
				DBName: b.cfg.DBName, Username: user, Password: secret,
				WriterConnection: connectionString(host, port, b.cfg.DBName, user, secret),
				ReaderConnection: connectionString(readerHost, port, b.cfg.DBName, user, secret),
			})
		}).(pulumi.StringOutput)
}

// connectionString is a libpq URL; verify-full checks the server's certificate against the RDS root and its name.
func connectionString(host string, port int, name, user, password string) string {
	return (&url.URL{
		Scheme:   "postgresql",
		User:     url.UserPassword(user, password),
		Host:     fmt.Sprintf("%s:%d", host, port),
		Path:     name,
		RawQuery: url.Values{"sslmode": {"verify-full"}}.Encode(),
	}).String()
}

// secret declares a secret that is injected into tasks, its policy, and its value.
//
// The policy goes first, so that whoever deploys may read the value that it writes. AWS deletes policy and value along with
// the secret: to delete a value, the provider would read it.
func (b *builder) secret(name, description string, value pulumi.StringOutput, injectedInto ...string) (*storedSecret, error) {
	secret, err := create(b, secretsmanager.NewSecret, name, &secretsmanager.SecretArgs{
		Name:        pulumi.String(b.physicalName(name)),
		Description: pulumi.String(description),
		// 0 deletes at once; any other window keeps the name taken after destroy.
		RecoveryWindowInDays: pulumi.Int(0),
		Tags:                 b.tags(name),
	})
	if err != nil {
		return nil, err
	}
	readers := slices.Clone(b.secretReaders)
	for _, task := range injectedInto {
		readers = append(readers, fmt.Sprintf("arn:%s:iam::%s:role/%s", b.partition, b.account, b.physicalName(executionRoleName(task))))
	}
	resourcePolicy, err := create(b, secretsmanager.NewSecretPolicy, name+"-policy", &secretsmanager.SecretPolicyArgs{
		SecretArn:         secret.Arn,
		BlockPublicPolicy: pulumi.Bool(true),
		Policy: document(denyPlainTransport("secretsmanager:*", secret.Arn),
			// BatchGetSecretValue asks for this action, too, on each secret (Secrets Manager API reference).
			deny("DenyReading", "secretsmanager:GetSecretValue", secret.Arn).when("ArnNotLike", "aws:PrincipalArn", readers...)),
	}, pulumi.DeletedWith(secret))
	if err != nil {
		return nil, err
	}
	version, err := create(b, secretsmanager.NewSecretVersion, name+"-value", &secretsmanager.SecretVersionArgs{
		SecretId:     secret.ID(),
		SecretString: value.ToStringPtrOutput(), // secret, as are the password and the key in it
	}, createBeforeDelete(), // tasks that start meanwhile read the old value
		after(resourcePolicy), pulumi.DeletedWith(secret))
	return &storedSecret{secret, version}, err
}

// ---------------------------------------------------------------------------------------------------------------------
// Load balancing
// ---------------------------------------------------------------------------------------------------------------------

const (
	// tlsPolicy is the one that AWS recommends: TLS 1.2 and 1.3, with post-quantum key exchange.
	tlsPolicy  = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"
	healthPath = "/health"
	// drainSeconds is how long a target that goes may finish its requests; a longer API timeout stretches it.
	drainSeconds = 30
	// accessLogDays covers the twelve months of PCI DSS 10.5.1.
	accessLogDays = 365
	// deletedLogDays is how long a log that somebody deletes or overwrites can be had back.
	deletedLogDays  = 30
	accessLogPrefix = "alb"
	// idleSeconds is the ALB's default idle timeout; a longer API timeout stretches it.
	idleSeconds = 60
)

type balancer struct {
	alb     *lb.LoadBalancer
	https   *lb.Listener
	targets map[string]*lb.TargetGroup
	// healthRule ties both target groups to the load balancer: a service must not be created before.
	healthRule *lb.ListenerRule
}

// loadBalancing declares the load balancer, its target groups, listeners, rules and firewall.
func (b *builder) loadBalancing(n *network) (*balancer, error) {
	bucket, delivery, err := b.accessLogs()
	if err != nil {
		return nil, err
	}
	alb, err := create(b, lb.NewLoadBalancer, "alb", &lb.LoadBalancerArgs{
		Name:                     pulumi.String(b.physicalName("alb")),
		LoadBalancerType:         pulumi.String("application"),
		Internal:                 pulumi.Bool(false),
		SecurityGroups:           pulumi.StringArray{n.groups.alb.ID()},
		Subnets:                  subnetIDs(n.public),
		DropInvalidHeaderFields:  pulumi.Bool(true),
		DesyncMitigationMode:     pulumi.String("defensive"),
		EnableHttp2:              pulumi.Bool(true),
		EnableDeletionProtection: pulumi.Bool(false),
		IdleTimeout:              pulumi.Int(max(idleSeconds, b.cfg.APITimeoutSeconds+5)),
		AccessLogs: lb.LoadBalancerAccessLogsArgs{
			Bucket:  bucket.Bucket,
			Prefix:  pulumi.String(accessLogPrefix),
			Enabled: pulumi.Bool(true),
		},
		Tags: b.tags("alb"),
	}, after(n.internet, delivery), slowDelete())
	if err != nil {
		return nil, err
	}
	balancer := &balancer{alb: alb, targets: map[string]*lb.TargetGroup{}}
	for _, service := range []string{paymentAPI, jobProcessor} {
		if balancer.targets[service], err = b.targetGroup(n, service); err != nil {
			return nil, err
		}
	}
	if err := b.listeners(balancer); err != nil {
		return nil, err
	}
	if b.cfg.WAF {
		err = b.firewall(alb)
	}
	return balancer, err
}

// accessLogs declares the bucket that the load balancer logs its requests to. The second result is the last of its
// protections, to be waited for. The bucket's name carries account and region because S3 names are global.
func (b *builder) accessLogs() (*s3.BucketV2, pulumi.Resource, error) {
	const name = "alb-logs"
	bucketName := b.physicalName(strings.Join([]string{name, b.account, b.region}, "-"))
	bucket, err := create(b, s3.NewBucketV2, name, &s3.BucketV2Args{
		Bucket:       pulumi.String(bucketName),
		ForceDestroy: pulumi.Bool(true),
		Tags:         nameTag(bucketName),
	})
	if err != nil {
		return nil, nil, err
	}
	private, err := create(b, s3.NewBucketPublicAccessBlock, name+"-private", &s3.BucketPublicAccessBlockArgs{
		Bucket:                bucket.ID(),
		BlockPublicAcls:       pulumi.Bool(true),
		BlockPublicPolicy:     pulumi.Bool(true),
		IgnorePublicAcls:      pulumi.Bool(true),
		RestrictPublicBuckets: pulumi.Bool(true),
	})
	if err != nil {
		return nil, nil, err
	}
	// Access logs can be encrypted with SSE-S3 only (AWS).
	encrypted, err := create(b, s3.NewBucketServerSideEncryptionConfigurationV2, name+"-encryption", &s3.BucketServerSideEncryptionConfigurationV2Args{
		Bucket: bucket.ID(),
		Rules: s3.BucketServerSideEncryptionConfigurationV2RuleArray{s3.BucketServerSideEncryptionConfigurationV2RuleArgs{
			ApplyServerSideEncryptionByDefault: s3.BucketServerSideEncryptionConfigurationV2RuleApplyServerSideEncryptionByDefaultArgs{
				SseAlgorithm: pulumi.String("AES256"),
			},
		}},
	})
	if err != nil {
		return nil, nil, err
	}
	// Without lists of their own objects obey the bucket's policy alone.
	_, err = create(b, s3.NewBucketOwnershipControls, name+"-ownership", &s3.BucketOwnershipControlsArgs{
		Bucket: bucket.ID(),
		Rule:   s3.BucketOwnershipControlsRuleArgs{ObjectOwnership: pulumi.String("BucketOwnerEnforced")},
	})
	if err != nil {
		return nil, nil, err
	}
	versioned, err := create(b, s3.NewBucketVersioningV2, name+"-versioning", &s3.BucketVersioningV2Args{
		Bucket:                  bucket.ID(),
		VersioningConfiguration: s3.BucketVersioningV2VersioningConfigurationArgs{Status: pulumi.String("Enabled")},
	})
	if err != nil {
		return nil, nil, err
	}
	_, err = create(b, s3.NewBucketLifecycleConfigurationV2, name+"-lifecycle", &s3.BucketLifecycleConfigurationV2Args{
		Bucket: bucket.ID(),
		Rules: s3.BucketLifecycleConfigurationV2RuleArray{s3.BucketLifecycleConfigurationV2RuleArgs{
			Id:         pulumi.String("expire-access-logs"),
			Status:     pulumi.String("Enabled"),
			Filter:     s3.BucketLifecycleConfigurationV2RuleFilterArgs{Prefix: pulumi.String(accessLogPrefix + "/")},
			Expiration: s3.BucketLifecycleConfigurationV2RuleExpirationArgs{Days: pulumi.Int(accessLogDays)},
			NoncurrentVersionExpiration: s3.BucketLifecycleConfigurationV2RuleNoncurrentVersionExpirationArgs{
				NoncurrentDays: pulumi.Int(deletedLogDays),
			},
			AbortIncompleteMultipartUpload: s3.BucketLifecycleConfigurationV2RuleAbortIncompleteMultipartUploadArgs{
				DaysAfterInitiation: pulumi.Int(7),
			},
		}},
	}, after(versioned))
	if err != nil {
		return nil, nil, err
	}
	objects := pulumi.Sprintf("%s/*", bucket.Arn)
	policy, err := create(b, s3.NewBucketPolicy, name+"-policy", &s3.BucketPolicyArgs{
		Bucket: bucket.ID(),
		Policy: document(
			// ELB writes under the account that owns the load balancer, so that the path lets in this account only.
			allow("DeliverAccessLogs", "s3:PutObject").by(services("logdelivery.elasticloadbalancing.amazonaws.com")).
				on(pulumi.Sprintf("%s/%s/AWSLogs/%s/*", bucket.Arn, accessLogPrefix, b.account)),
			denyPlainTransport("s3:*", bucket.Arn, objects),
		),
	}, after(private, encrypted))
	return bucket, policy, err
}

// targetGroupName has in it what AWS does not let change: for another protocol or port, another target group is made beside
// the old one, which is in use until the services have moved. Names are short because AWS takes 32 characters.
func targetGroupName(service, protocol string, port int) string {
	short := map[string]string{paymentAPI: "api", jobProcessor: "jobs"}
	return fmt.Sprintf("%s-%s-%d", short[service], strings.ToLower(protocol), port)
}

// targetGroup declares where a service's tasks register.
func (b *builder) targetGroup(n *network, service string) (*lb.TargetGroup, error) {
	name := targetGroupName(service, b.cfg.ContainerProtocol, b.cfg.ContainerPort)
	return create(b, lb.NewTargetGroup, name, &lb.TargetGroupArgs{
		Name:                pulumi.String(b.physicalName(name)),
		VpcId:               n.vpc.ID(),
		TargetType:          pulumi.String("ip"),
		Protocol:            pulumi.String(b.cfg.ContainerProtocol),
		Port:                pulumi.Int(b.cfg.ContainerPort),
		DeregistrationDelay: pulumi.Int(max(drainSeconds, b.cfg.APITimeoutSeconds)),
		HealthCheck: lb.TargetGroupHealthCheckArgs{
			Enabled:            pulumi.Bool(true),
			Path:               pulumi.String(healthPath),
			Protocol:           pulumi.String(b.cfg.ContainerProtocol),
			Port:               pulumi.String("traffic-port"),
			Matcher:            pulumi.String("200"),
			Interval:           pulumi.Int(15),
			Timeout:            pulumi.Int(5),
			HealthyThreshold:   pulumi.Int(2),
			UnhealthyThreshold: pulumi.Int(3),
		},
		Tags: b.tags(name),
	})
}

// listeners declares the redirect, the HTTPS listener and its rule for /health. What no rule names is answered 404.
func (b *builder) listeners(balancer *balancer) error {
	certificateArn, err := b.certificate(balancer.alb)
	if err != nil {
		return err
	}
	_, err = create(b, lb.NewListener, "http-listener", &lb.ListenerArgs{
		LoadBalancerArn: balancer.alb.Arn,
		Port:            pulumi.Int(httpPort),
		Protocol:        pulumi.String("HTTP"),
		DefaultActions: lb.ListenerDefaultActionArray{lb.ListenerDefaultActionArgs{
			Type: pulumi.String("redirect"),
			Redirect: lb.ListenerDefaultActionRedirectArgs{
				Port: pulumi.String(strconv.Itoa(httpsPort)), Protocol: pulumi.String("HTTPS"), StatusCode: pulumi.String("HTTP_301"),
			},
		}},
		Tags: b.tags("http-listener"),
	})
	if err != nil {
		return err
	}
	https, err := create(b, lb.NewListener, "https-listener", &lb.ListenerArgs{
		LoadBalancerArn: balancer.alb.Arn,
		Port:            pulumi.Int(httpsPort),
		Protocol:        pulumi.String("HTTPS"),
		SslPolicy:       pulumi.String(tlsPolicy),
		CertificateArn:  certificateArn,
		DefaultActions: lb.ListenerDefaultActionArray{lb.ListenerDefaultActionArgs{
			Type: pulumi.String("fixed-response"),
			FixedResponse: lb.ListenerDefaultActionFixedResponseArgs{
				ContentType: pulumi.String("text/plain"), MessageBody: pulumi.String("Not found"), StatusCode: pulumi.String("404"),
			},
		}},
		Tags: b.tags("https-listener"),
	})
	if err != nil {
		return err
	}
	balancer.https = https
	balancer.healthRule, err = b.pathRule(balancer, "health-rule", healthPath, 20, lb.ListenerRuleActionArgs{
		Type: pulumi.String("forward"),
		Forward: lb.ListenerRuleActionForwardArgs{TargetGroups: lb.ListenerRuleActionForwardTargetGroupArray{
			lb.ListenerRuleActionForwardTargetGroupArgs{Arn: balancer.targets[paymentAPI].Arn, Weight: pulumi.Int(50)},
			lb.ListenerRuleActionForwardTargetGroupArgs{Arn: balancer.targets[jobProcessor].Arn, Weight: pulumi.Int(50)},
		}},
	})
	return err
}

// pathRule declares a rule of the HTTPS listener. The one with the least priority that fits a request decides.
func (b *builder) pathRule(balancer *balancer, name, path string, priority int, action lb.ListenerRuleActionArgs) (*lb.ListenerRule, error) {
	return create(b, lb.NewListenerRule, name, &lb.ListenerRuleArgs{
		ListenerArn: balancer.https.Arn,
		Priority:    pulumi.Int(priority),
		Conditions: lb.ListenerRuleConditionArray{lb.ListenerRuleConditionArgs{
			PathPattern: lb.ListenerRuleConditionPathPatternArgs{Values: pulumi.ToStringArray([]string{path})},
		}},
		Actions: lb.ListenerRuleActionArray{action},
		Tags:    b.tags(name),
	})
}

// apiRule sends requests to payment-api once it has rolled out. When the containers' port changes, requests go to the old
// target group until then, and stay there if the new tasks do not start.
func (b *builder) apiRule(balancer *balancer, app *application) error {
	group := pulumi.All(balancer.targets[paymentAPI].Arn, app.rolledOut[paymentAPI]).ApplyT(func(args []any) string {
		arn, _ := args[0].(string)
		return arn
	}).(pulumi.StringOutput)
	_, err := b.pathRule(balancer, "api-rule", "/api/*", 10, lb.ListenerRuleActionArgs{
		Type: pulumi.String("forward"), TargetGroupArn: group.ToStringPtrOutput(),
	})
	return err
}

// certificate is the ARN of the HTTPS listener's certificate: the configured one, one validated by DNS, or one made
// here.
func (b *builder) certificate(alb *lb.LoadBalancer) (pulumi.StringOutput, error) {
	switch {
	case b.cfg.CertificateArn != "":
		return pulumi.String(b.cfg.CertificateArn).ToStringOutput(), nil
	case b.cfg.DomainName != "":
		return b.validatedCertificate(alb)
	default:
		return b.importedCertificate()
	}
}

// validatedCertificate requests a certificate for the domain, proves the domain by DNS, and points it at the ALB. It is
// another resource than the self-signed one, since ACM imports nothing over a certificate that it has issued.
func (b *builder) validatedCertificate(alb *lb.LoadBalancer) (pulumi.StringOutput, error) {
	none := pulumi.StringOutput{}
	requested, err := create(b, acm.NewCertificate, "domain-certificate", &acm.CertificateArgs{
		DomainName:       pulumi.String(b.cfg.DomainName),
		ValidationMethod: pulumi.String("DNS"),
		Tags:             b.tags("domain-certificate"),
	}, createBeforeDelete())
	if err != nil {
		return none, err
	}
	option := requested.DomainValidationOptions.Index(pulumi.Int(0))
	record, err := create(b, route53.NewRecord, "certificate-validation-record", &route53.RecordArgs{
		ZoneId:         pulumi.String(b.cfg.HostedZoneID),
		Name:           option.ResourceRecordName().Elem(),
		Type:           option.ResourceRecordType().Elem(),
		Records:        pulumi.StringArray{option.ResourceRecordValue().Elem()},
		Ttl:            pulumi.Int(60),
		AllowOverwrite: pulumi.Bool(true), // a renewed request for the same domain asks for the same record
	})
	if err != nil {
		return none, err
	}
	validated, err := create(b, acm.NewCertificateValidation, "certificate-validation", &acm.CertificateValidationArgs{
		CertificateArn:        requested.Arn,
		ValidationRecordFqdns: pulumi.StringArray{record.Fqdn},
	}, createBeforeDelete())
	if err != nil {
		return none, err
	}
	_, err = create(b, route53.NewRecord, "alias-record", &route53.RecordArgs{
		ZoneId: pulumi.String(b.cfg.HostedZoneID),
		Name:   pulumi.String(b.cfg.DomainName),
		Type:   pulumi.String("A"),
		Aliases: route53.RecordAliasArray{route53.RecordAliasArgs{
			Name: alb.DnsName, ZoneId: alb.ZoneId, EvaluateTargetHealth: pulumi.Bool(true),
		}},
	})
	return validated.CertificateArn, err
}

// importedCertificate makes a self-signed certificate and imports it. Everything about it follows from a random seed
// that the stack's state keeps, so that it is the same in every run; only its public half is not secret.
func (b *builder) importedCertificate() (pulumi.StringOutput, error) {
	seed, err := declare(b, random.NewRandomBytes, "certificate-seed", &random.RandomBytesArgs{Length: pulumi.Int(certificateSeedSize)})
	if err != nil {
		return pulumi.StringOutput{}, err
	}
	pair := pulumi.ToSecret(seed.Base64.ApplyT(func(encoded string) ([]string, error) {
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return nil, fmt.Errorf("reading the certificate seed: %w", err)
		}
		body, key, err := selfSignedCertificate(raw, b.physicalName("payments")+".internal")
		return []string{body, key}, err
	})).(pulumi.StringArrayOutput)
	imported, err := create(b, acm.NewCertificate, "certificate", &acm.CertificateArgs{
		CertificateBody: pulumi.Unsecret(pair.Index(pulumi.Int(0))).(pulumi.StringOutput).ToStringPtrOutput(),
		PrivateKey:      pair.Index(pulumi.Int(1)).ToStringPtrOutput(),
		Tags:            b.tags("certificate"),
	}, createBeforeDelete())
	if err != nil {
		return pulumi.StringOutput{}, err
	}
	return imported.Arn, nil
}

// selfSignedCertificate derives an ECDSA P-256 key and a certificate for one name from a seed: the same seed and name
// give the same bytes. Both come back in PEM, the key as PKCS #8.
func selfSignedCertificate(seed []byte, name string) (certificate, key string, err error) {
	private, err := deriveKey(seed)
	if err != nil {
		return "", "", fmt.Errorf("deriving the certificate's key: %w", err)
	}
	serial, err := hkdf.Key(sha256.New, seed, nil, ProjectName+" certificate serial "+name, 16)
	if err != nil {
		return "", "", fmt.Errorf("deriving the certificate's serial number: %w", err)
	}
	serial[0] = serial[0]&0x7f | 0x40 // positive, and always of the same length
	template := &x509.Certificate{
		SerialNumber:          new(big.Int).SetBytes(serial),
		Subject:               pkix.Name{CommonName: name, Organization: []string{ProjectName}},
		DNSNames:              []string{name},
		NotBefore:             time.Date(2025, time.January, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:              time.Date(2045, time.January, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	// Without a source of randomness, crypto/ecdsa signs as RFC 6979 says: deterministically.
	der, err := x509.CreateCertificate(nil, template, template, private.Public(), private)
	if err != nil {
		return "", "", fmt.Errorf("signing the certificate: %w", err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", fmt.Errorf("encoding the certificate's key: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})), nil
}

// deriveKey maps a seed to a P-256 key. 48 bytes reduced to the order's 32 leave no bias worth the name (FIPS 186-5,
// A.2.1).
func deriveKey(seed []byte) (*ecdsa.PrivateKey, error) {
	material, err := hkdf.Key(sha256.New, seed, nil, ProjectName+" certificate key", 48)
	if err != nil {
		return nil, err
	}
	curve := elliptic.P256()
	one := big.NewInt(1)
	scalar := new(big.Int).SetBytes(material)
	scalar.Mod(scalar, new(big.Int).Sub(curve.Params().N, one)).Add(scalar, one)
	return ecdsa.ParseRawPrivateKey(curve, scalar.FillBytes(make([]byte, 32)))
}

// wafResource is a resource of aws:wafv2, as far as the stack reads it. The generated package nests types so deep that it
// takes a minute and gigabytes to compile, for three resources; they are declared by their type tokens instead.
type wafResource struct {
	pulumi.CustomResourceState
	Arn pulumi.StringOutput `pulumi:"arn"`
}

func newWAF(token string) constructor[pulumi.Map, wafResource] {
	return func(ctx *pulumi.Context, name string, inputs *pulumi.Map, options ...pulumi.ResourceOption) (*wafResource, error) {
		resource := &wafResource{}
		return resource, ctx.RegisterResource("aws:wafv2/"+token, name, *inputs, resource, options...)
	}
}

// firewall puts AWS's managed rules and a rate limit in front of the load balancer (PCI DSS 6.4.2) and logs what it
// saw, save credentials.
func (b *builder) firewall(alb *lb.LoadBalancer) error {
	acl, err := create(b, newWAF("webAcl:WebAcl"), "waf", &pulumi.Map{
		"name":             pulumi.String(b.physicalName("waf")),
		"description":      pulumi.String("Protects the payment API"),
		"scope":            pulumi.String("REGIONAL"),
		"defaultAction":    pulumi.Map{"allow": pulumi.Map{}},
		"rules":            b.firewallRules(),
		"visibilityConfig": visibility(b.physicalName("waf")),
		"tags":             b.tags("waf"),
	})
	if err != nil {
		return err
	}
	_, err = create(b, newWAF("webAclAssociation:WebAclAssociation"), "waf-association", &pulumi.Map{
		"resourceArn": alb.Arn,
		"webAclArn":   acl.Arn,
	})
	if err != nil {
		return err
	}
	// WAF writes only to log groups whose name starts with aws-waf-logs- (AWS).
	logs, err := b.logGroup("waf-log-group", b.physicalName("aws-waf-logs"))
	if err != nil {
		return err
	}
	// Left alone, WAF adds to one resource policy of the account, which is limited in size.
	delivery, err := create(b, cloudwatch.NewLogResourcePolicy, "waf-logs-policy", &cloudwatch.LogResourcePolicyArgs{
		PolicyName: pulumi.String(b.physicalName("waf-logs-policy")),
		PolicyDocument: document(
			allow("DeliverFirewallLogs", "logs:CreateLogStream", "logs:PutLogEvents").
				by(services("delivery.logs.amazonaws.com")).
				on(pulumi.Sprintf("%s:*", logs.Arn)).
				when("StringEquals", "aws:SourceAccount", b.account).
				when("ArnLike", "aws:SourceArn", b.arn("logs", "*")),
		),
	})
	if err != nil {
		return err
	}
	_, err = create(b, newWAF("webAclLoggingConfiguration:WebAclLoggingConfiguration"), "waf-logging", &pulumi.Map{
		"resourceArn":           acl.Arn,
		"logDestinationConfigs": pulumi.StringArray{logs.Arn},
		"redactedFields": pulumi.Array{
			pulumi.Map{"singleHeader": pulumi.StringMap{"name": pulumi.String("authorization")}},
			pulumi.Map{"singleHeader": pulumi.StringMap{"name": pulumi.String("cookie")}},
			pulumi.Map{"singleHeader": pulumi.StringMap{"name": pulumi.String("x-api-key")}},
			pulumi.Map{"queryString": pulumi.Map{}},
		},
	}, after(delivery))
	return err
}

// firewallRules is AWS's managed rule groups in order of price and likelihood, after a rate limit. Two rules only count and
// label what they match, since merchants' servers break them rightfully: bodies over the 8 KB that WAF sees behind a load balancer,
// and requests without a User-Agent.
func (b *builder) firewallRules() pulumi.Array {
	count := pulumi.Map{"count": pulumi.Map{}}
	action, override := pulumi.Map{"block": pulumi.Map{}}, pulumi.Map{"none": pulumi.Map{}}
	if b.cfg.WAFCountOnly {
		action, override = count, count
	}
	rules := pulumi.Array{pulumi.Map{
		"name":     pulumi.String("rate-limit"),
		"priority": pulumi.Int(0),
		"action":   action,
		"statement": pulumi.Map{"rateBasedStatement": pulumi.Map{
			"limit":            pulumi.Int(b.cfg.WAFRateLimit),
			"aggregateKeyType": pulumi.String("IP"),
		}},
		"visibilityConfig": visibility("rate-limit"),
	}}
	for i, group := range []struct {
		name   string
		counts []string
	}{
		{"AWSManagedRulesAmazonIpReputationList", nil},
		{"AWSManagedRulesCommonRuleSet", []string{"NoUserAgent_HEADER", "SizeRestrictions_BODY"}},
		{"AWSManagedRulesKnownBadInputsRuleSet", nil},
		{"AWSManagedRulesSQLiRuleSet", nil},
	} {
		managed := pulumi.Map{"vendorName": pulumi.String("AWS"), "name": pulumi.String(group.name)}
		if len(group.counts) > 0 {
			counted := pulumi.Array{}
			for _, rule := range group.counts {
				counted = append(counted, pulumi.Map{"name": pulumi.String(rule), "actionToUse": count})
			}
			managed["ruleActionOverrides"] = counted
		}
		rules = append(rules, pulumi.Map{
			"name":             pulumi.String(group.name),
			"priority":         pulumi.Int(i + 1),
			"overrideAction":   override,
			"statement":        pulumi.Map{"managedRuleGroupStatement": managed},
			"visibilityConfig": visibility(group.name),
		})
	}
	return rules
}

func visibility(metric string) pulumi.Map {
	return pulumi.Map{
		"cloudwatchMetricsEnabled": pulumi.Bool(true),
		"sampledRequestsEnabled":   pulumi.Bool(true),
		"metricName":               pulumi.String(metric),
	}
}

// ---------------------------------------------------------------------------------------------------------------------
// Queues
// ---------------------------------------------------------------------------------------------------------------------

const (
	daySeconds          = 24 * 60 * 60
	jobRetentionSeconds = 14 * daySeconds
	// A message keeps its first enqueue time when it is moved to a standard queue's DLQ, so that one which fails after
	// 7 days in the main queue expires on arrival. The figures are the brief's; the queue-age alarm fires long before.
	deadRetentionSeconds = 7 * daySeconds
	longPollSeconds      = 20
	maxReceives          = 5
)

type queues struct {
	main, deadLetter *sqs.Queue
}

// redrivePolicy and redriveAllowPolicy are SQS attributes, in SQS's own spelling.
type redrivePolicy struct {
	DeadLetterTargetArn string `json:"deadLetterTargetArn"`
	MaxReceiveCount     int    `json:"maxReceiveCount"`
}

type redriveAllowPolicy struct {
	RedrivePermission string   `json:"redrivePermission"`
	SourceQueueArns   []string `json:"sourceQueueArns"`
}

// queues declares payment-jobs and its dead-letter queue, which takes messages from no other.
func (b *builder) queues() (*queues, error) {
	deadLetter, err := create(b, sqs.NewQueue, "payment-jobs-dlq", &sqs.QueueArgs{
		Name:                    pulumi.String(b.physicalName("payment-jobs-dlq")),
		MessageRetentionSeconds: pulumi.Int(deadRetentionSeconds),
		ReceiveWaitTimeSeconds:  pulumi.Int(longPollSeconds),
		SqsManagedSseEnabled:    pulumi.Bool(true),
		Tags:                    b.tags("payment-jobs-dlq"),
	})
	if err != nil {
		return nil, err
	}
	jobs, err := create(b, sqs.NewQueue, "payment-jobs", &sqs.QueueArgs{
		Name:                     pulumi.String(b.physicalName("payment-jobs")),
		MessageRetentionSeconds:  pulumi.Int(jobRetentionSeconds),
		VisibilityTimeoutSeconds: pulumi.Int(b.cfg.QueueVisibilityTimeoutSeconds),
		ReceiveWaitTimeSeconds:   pulumi.Int(longPollSeconds),
		SqsManagedSseEnabled:     pulumi.Bool(true),
		RedrivePolicy: deadLetter.Arn.ApplyT(func(arn string) (string, error) {
			return marshal(redrivePolicy{DeadLetterTargetArn: arn, MaxReceiveCount: maxReceives})
		}).(pulumi.StringOutput).ToStringPtrOutput(),
		Tags: b.tags("payment-jobs"),
	})
	if err != nil {
		return nil, err
	}
	allow, err := create(b, sqs.NewRedriveAllowPolicy, "payment-jobs-dlq-redrive-allow", &sqs.RedriveAllowPolicyArgs{
		QueueUrl: deadLetter.Url,
		RedriveAllowPolicy: jobs.Arn.ApplyT(func(arn string) (string, error) {
			return marshal(redriveAllowPolicy{RedrivePermission: "byQueue", SourceQueueArns: []string{arn}})
		}).(pulumi.StringOutput),
	})
	if err != nil {
		return nil, err
	}
	for name, queue := range map[string]*sqs.Queue{"payment-jobs-policy": jobs, "payment-jobs-dlq-policy": deadLetter} {
		// One change of a queue's attributes at a time: SQS takes up to a minute to show one.
		_, err := create(b, sqs.NewQueuePolicy, name, &sqs.QueuePolicyArgs{
			QueueUrl: queue.Url,
			Policy:   document(denyPlainTransport("sqs:*", queue.Arn)),
		}, after(allow))
		if err != nil {
			return nil, err
		}
	}
	return &queues{main: jobs, deadLetter: deadLetter}, nil
}

// ---------------------------------------------------------------------------------------------------------------------
// Alerts
// ---------------------------------------------------------------------------------------------------------------------

// keyDeletionDays is the shortest deletion window that KMS offers.
const keyDeletionDays = 7

// allowPublishers lets AWS services do actions with the alerts topic or its key. CloudWatch alarms and RDS events must
// come from this account. EventBridge does not say which account it acts for: conditions on it make its deliveries to
// encrypted topics fail in silence (SNS developer guide, "Key management").
func (b *builder) allowPublishers(sid string, resource pulumi.StringInput, actions ...string) []statement {
	return []statement{
		allow(sid, actions...).by(services("cloudwatch.amazonaws.com", "events.rds.amazonaws.com")).on(resource).
			when("StringEquals", "aws:SourceAccount", b.account),
		allow(sid+"FromEventBridge", actions...).by(services("events.amazonaws.com")).on(resource),
	}
}

type alerts struct {
	topic *sns.Topic
	key   *kms.Key
	// policy is the topic's: nothing can publish before.
	policy pulumi.Resource
}

// alerts declares the topic that the operations team listens to. It has a key of its own because alarms cannot
// publish to a topic under alias/aws/sns.
func (b *builder) alerts() (*alerts, error) {
	thisKey := pulumi.String("*") // what "*" means in a key's own policy
	key, err := create(b, kms.NewKey, "payment-alerts-key", &kms.KeyArgs{
		Description:          pulumi.String("Encrypts " + b.physicalName("payment-alerts")),
		EnableKeyRotation:    pulumi.Bool(true),
		DeletionWindowInDays: pulumi.Int(keyDeletionDays),
		Policy: document(append(
			b.allowPublishers("EncryptForPublishers", thisKey, "kms:Decrypt", "kms:GenerateDataKey*"),
			allow("AccountAdministration", "kms:*").by(b.thisAccount()).on(thisKey),
		)...),
		Tags: b.tags("payment-alerts-key"),
	})
	if err != nil {
		return nil, err
	}
	_, err = create(b, kms.NewAlias, "payment-alerts-key-alias", &kms.AliasArgs{
		Name:        pulumi.String("alias/" + b.physicalName("payment-alerts")),
		TargetKeyId: key.KeyId,
	})
	if err != nil {
		return nil, err
	}
	topic, err := create(b, sns.NewTopic, "payment-alerts", &sns.TopicArgs{
		Name:           pulumi.String(b.physicalName("payment-alerts")),
		KmsMasterKeyId: key.Arn,
		Tags:           b.tags("payment-alerts"),
	})
	if err != nil {
		return nil, err
	}
	topicPolicy, err := create(b, sns.NewTopicPolicy, "payment-alerts-policy", &sns.TopicPolicyArgs{
		Arn: topic.Arn,
		Policy: document(append(
			b.allowPublishers("PublishAlerts", topic.Arn, "sns:Publish"),
			denyPlainTransport("sns:Publish", topic.Arn),
		)...),
	})
	if err != nil {
		return nil, err
	}
	_, err = create(b, sns.NewTopicSubscription, "payment-alerts-email", &sns.TopicSubscriptionArgs{
		Topic:    topic.Arn,
		Protocol: pulumi.String("email"),
		Endpoint: pulumi.String(b.cfg.AlertEmail),
	})
	if err != nil {
		return nil, err
	}
	return &alerts{topic: topic, key: key, policy: topicPolicy}, nil
}

// ---------------------------------------------------------------------------------------------------------------------
// Parameters
// ---------------------------------------------------------------------------------------------------------------------

const (
	paramAPITimeout = "api-timeout-seconds"
	paramAPIRetries = "api-retry-count"
	paramJobRetries = "job-retry-count"
	paramQueueURL   = "queue-url"
)

type parameters struct {
	byName map[string]*ssm.Parameter
	order  []string
}

func (p *parameters) names() pulumi.StringArray {
	names := pulumi.StringArray{}
	for _, name := range p.order {
		names = append(names, p.byName[name].Name)
	}
	return names
}

// parameters declares the configuration that is not secret, under /payment/{environmentSuffix}/.
func (b *builder) parameters(jobs *queues) (*parameters, error) {
	declared := &parameters{byName: map[string]*ssm.Parameter{}}
	for _, p := range []struct {
		name, description string
		value             pulumi.StringInput
	}{
		{paramAPIRetries, "Times that payment-api tries a failed call again", pulumi.String(strconv.Itoa(b.cfg.APIRetryCount))},
		{paramAPITimeout, "Time that payment-api gives a request, in seconds", pulumi.String(strconv.Itoa(b.cfg.APITimeoutSeconds))},
		{paramJobRetries, "Times that job-processor tries a failed call again", pulumi.String(strconv.Itoa(b.cfg.JobRetryCount))},
		{paramQueueURL, "Address of the payment-jobs queue", jobs.main.Url},
	} {
		path := fmt.Sprintf("/payment/%s/%s", b.cfg.EnvironmentSuffix, p.name)
		parameter, err := create(b, ssm.NewParameter, p.name, &ssm.ParameterArgs{
			Name:        pulumi.String(path),
			Description: pulumi.String(p.description),
			Type:        pulumi.String("String"),
			Value:       p.value.ToStringOutput().ToStringPtrOutput(),
			Tags:        nameTag(path),
		})
		if err != nil {
			return nil, err
		}
		declared.byName[p.name] = parameter
		declared.order = append(declared.order, p.name)
	}
	return declared, nil
}

// ---------------------------------------------------------------------------------------------------------------------
// Application
// ---------------------------------------------------------------------------------------------------------------------

const (
	// containerUser is an unprivileged user and group id; the images must let it run.
	containerUser = "10001:10001"
	// stopSeconds is how long a container may take to finish what it is doing; longer work stretches it up to Fargate's limit.
	stopSeconds, mostStopSeconds = 60, 120
	// startSeconds is how long a new task may fail its health checks.
	startSeconds = 60
	// logBuffer is what AWS recommends for non-blocking logging: a stalled log service must not stall payments.
	logBuffer = "25m"
	// jobBacklogTarget is how many waiting messages one job-processor task should find.
	jobBacklogTarget = 100
	// rolloutMinutes is how long a service may take to run new tasks in place of the old, besides what these are still at.
	rolloutMinutes = 20
	// maximumPercent of the desired tasks may run while a deployment replaces them.
	maximumPercent  = 200
	scaleOutSeconds = 60
	scaleInSeconds  = 300
	tmpVolume       = "tmp"
	// migrationCPU and migrationMemory are Fargate's least: the work is the database's.
	migrationCPU, migrationMemory = 256, 512
)

type application struct {
	cluster  *ecs.Cluster
	services map[string]*ecs.Service
	// rolledOut are the services' names, once they run what was declared.
	rolledOut map[string]pulumi.StringOutput
	migration *task
}

// taskSpec is what tells the tasks apart: what each runs, is told, and may do.
type taskSpec struct {
	name              string
	longestWork       int // seconds that it may be at one thing
	image             string
	cpu, memory       int
	port              int // that it listens on, and answers health checks; 0 is none
	environment       []injectedValue
	secrets, settings []injectedValue // by ARN
	allows            []statement
}

// serviceSpec is a task that is kept running, so and so many times.
type serviceSpec struct {
	taskSpec
	desired, most int
	securityGroup *ec2.SecurityGroup
	targetGroup   *lb.TargetGroup
}

// task is a task definition, and what must be there for ECS to run it.
type task struct {
	definition *ecs.TaskDefinition
	policies   []pulumi.Resource
}

// injectedValue is an environment variable and where its value comes from: a plain value, or the ARN of a secret (with the key
// inside it and the version, so that a new value makes a new deployment) or of a parameter.
type injectedValue struct {
	variable string
	from     pulumi.StringInput
	key      string
	version  pulumi.StringInput
}

// valueFrom is how a task definition names the source of a secret or parameter.
func (v injectedValue) valueFrom() pulumi.StringInput {
	if v.key == "" {
		return v.from
	}
	return pulumi.Sprintf("%s:%s::%s", v.from, v.key, v.version)
}

// application declares the cluster, its two services and the task that prepares the database for them.
func (b *builder) application(n *network, db *database, balancer *balancer, jobs *queues, alerts *alerts, settings *parameters) (*application, error) {
	// Container Insights would create this group without retention, and leave it behind.
	insights, err := b.logGroup("container-insights-log-group", fmt.Sprintf("/aws/ecs/containerinsights/%s/performance", b.physicalName("ecs-cluster")))
	if err != nil {
		return nil, err
	}
	cluster, err := create(b, ecs.NewCluster, "ecs-cluster", &ecs.ClusterArgs{
		Name:     pulumi.String(b.physicalName("ecs-cluster")),
		Settings: ecs.ClusterSettingArray{ecs.ClusterSettingArgs{Name: pulumi.String("containerInsights"), Value: pulumi.String("enabled")}},
		Tags:     b.tags("ecs-cluster"),
	}, after(insights))
	if err != nil {
		return nil, err
	}
	capacity, err := create(b, ecs.NewClusterCapacityProviders, "ecs-capacity-providers", &ecs.ClusterCapacityProvidersArgs{
		ClusterName:       cluster.Name,
		CapacityProviders: pulumi.ToStringArray([]string{"FARGATE"}),
		DefaultCapacityProviderStrategies: ecs.ClusterCapacityProvidersDefaultCapacityProviderStrategyArray{
			ecs.ClusterCapacityProvidersDefaultCapacityProviderStrategyArgs{CapacityProvider: pulumi.String("FARGATE"), Weight: pulumi.Int(1)},
		},
	})
	if err != nil {
		return nil, err
	}

	app := &application{cluster: cluster, services: map[string]*ecs.Service{}, rolledOut: map[string]pulumi.StringOutput{}}
	if app.migration, err = b.task(b.migrationSpec(db)); err != nil {
		return nil, err
	}
	// A task that starts before it can pull its image, read its secrets or reach the database fails, and the circuit
	// breaker counts it.
	ready := slices.Concat([]pulumi.Resource{capacity, balancer.healthRule}, db.secretValues(), n.ready, db.instances)
	for _, spec := range b.serviceSpecs(n, db, balancer, jobs, alerts, settings) {
		service, definition, err := b.service(n, cluster, spec, ready)
		if err != nil {
			return nil, err
		}
		app.services[spec.name], app.rolledOut[spec.name] = service, rolledOut(service, definition)
		if err := b.autoscaling(cluster, service, spec, jobs); err != nil {
			return nil, err
		}
	}
	return app, b.apiRule(balancer, app)
}

// rolledOut is the name of a service that runs its task definition. AWS calls a service steady that its circuit breaker has
// rolled back as well, which leaves the former task definition; that is an error here, so that nothing of the former is
// deleted.
func rolledOut(service *ecs.Service, definition *ecs.TaskDefinition) pulumi.StringOutput {
	return pulumi.All(service.Name, service.TaskDefinition.Elem(), definition.Arn).ApplyT(func(args []any) (string, error) {
		name, _ := args[0].(string)
		runs, _ := args[1].(string)
		declared, _ := args[2].(string)
		if runs != declared {
			return "", fmt.Errorf("%s runs %s and not %s: its new tasks did not start, and ECS has rolled it back; "+
				"correct what the events of the service tell, and deploy again", name, runs, declared)
		}
		return name, nil
	}).(pulumi.StringOutput)
}

// injectedSecret is one key of a secret.
func injectedSecret(variable string, secret *storedSecret, key string) injectedValue {
	return injectedValue{variable: variable, from: secret.Arn, key: key, version: secret.value.VersionId}
}

// serviceSpecs is the table of services.
func (b *builder) serviceSpecs(n *network, db *database, balancer *balancer, jobs *queues, alerts *alerts, settings *parameters) []serviceSpec {
	setting := func(variable, name string) injectedValue {
		return injectedValue{variable: variable, from: settings.byName[name].Arn}
	}
	api := serviceSpec{
		taskSpec: taskSpec{
			name: paymentAPI, longestWork: b.cfg.APITimeoutSeconds,
			image: b.cfg.PaymentAPIImage, cpu: b.cfg.APICPU, memory: b.cfg.APIMemory, port: b.cfg.ContainerPort,
			secrets: []injectedValue{
				injectedSecret("DATABASE_URL", db.serviceCredentials[paymentAPI], keyWriterConnection),
				injectedSecret("DATABASE_READER_URL", db.serviceCredentials[paymentAPI], keyReaderConnection),
				injectedSecret("API_KEY", db.apiKeys, keyAPIKey),
			},
			settings: []injectedValue{
				setting("API_TIMEOUT_SECONDS", paramAPITimeout),
				setting("API_RETRY_COUNT", paramAPIRetries),
				setting("QUEUE_URL", paramQueueURL),
			},
			allows: []statement{
				allow("SendJobs", "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:SendMessage").on(jobs.main.Arn),
			},
		},
		desired: b.cfg.APIDesiredCount, most: b.cfg.APIMaxCount,
		securityGroup: n.groups.paymentAPI, targetGroup: balancer.targets[paymentAPI],
	}
	worker := serviceSpec{
		taskSpec: taskSpec{
			name: jobProcessor, longestWork: b.cfg.QueueVisibilityTimeoutSeconds,
			image: b.cfg.JobProcessorImage, cpu: b.cfg.JobCPU, memory: b.cfg.JobMemory, port: b.cfg.ContainerPort,
			environment: []injectedValue{{variable: "ALERTS_TOPIC_ARN", from: alerts.topic.Arn}},
			secrets: []injectedValue{
				injectedSecret("DATABASE_URL", db.serviceCredentials[jobProcessor], keyWriterConnection),
			},
			settings: []injectedValue{
				setting("JOB_RETRY_COUNT", paramJobRetries),
				setting("QUEUE_URL", paramQueueURL),
			},
			allows: []statement{
				allow("WorkOffJobs", "sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ReceiveMessage").
					on(jobs.main.Arn),
				allow("RaiseAlerts", "sns:Publish").on(alerts.topic.Arn),
				allow("EncryptAlerts", "kms:Decrypt", "kms:GenerateDataKey").on(alerts.key.Arn).
					when("StringEquals", "kms:ViaService", fmt.Sprintf("sns.%s.amazonaws.com", b.region)),
				// A job may take longer than a task that stops is given: the task keeps itself from being stopped meanwhile.
				allow("ProtectOwnTasks", "ecs:GetTaskProtection", "ecs:UpdateTaskProtection").
					on(pulumi.String(b.arn("ecs", "task/"+b.physicalName("ecs-cluster")+"/*"))).
					when("ArnEquals", "ecs:cluster", b.arn("ecs", "cluster/"+b.physicalName("ecs-cluster"))).
					when("StringEquals", "aws:ResourceTag/Name", b.physicalName(jobProcessor)),
			},
		},
		desired: b.cfg.JobDesiredCount, most: b.cfg.JobMaxCount,
		securityGroup: n.groups.jobProcessor, targetGroup: balancer.targets[jobProcessor],
	}
	specs := []serviceSpec{api, worker}
	for i := range specs {
		spec := &specs[i]
		spec.allows = append(spec.allows,
			// A task may read its own parameters again while it runs.
			allow("ReadParameters", "ssm:GetParameter", "ssm:GetParameters").on(sources(spec.settings)...))
	}
	return specs
}

// migrationSpec is the task that applies the migrations and makes the services' users. It runs when somebody starts it, with the
// master user's connection, and may itself do nothing in AWS.
func (b *builder) migrationSpec(db *database) taskSpec {
	return taskSpec{
		name: paymentMigrate, longestWork: mostStopSeconds,
		image: b.cfg.MigrationImage(), cpu: migrationCPU, memory: migrationMemory,
		secrets: []injectedValue{
			injectedSecret("DATABASE_URL", db.credentials, keyWriterConnection),
			injectedSecret("PAYMENT_API_DATABASE_URL", db.serviceCredentials[paymentAPI], keyWriterConnection),
			injectedSecret("JOB_PROCESSOR_DATABASE_URL", db.serviceCredentials[jobProcessor], keyWriterConnection),
		},
	}
}

// sources lists the ARNs that values come from, each once, in order.
func sources(values []injectedValue) []pulumi.StringInput {
	var arns []pulumi.StringInput
	for _, v := range values {
		if !slices.Contains(arns, v.from) {
			arns = append(arns, v.from)
		}
	}
	return arns
}

// task declares a task definition with its roles and its log group. The former task definition is kept until whoever uses it
// has moved to the new one.
func (b *builder) task(spec taskSpec) (*task, error) {
	logs, err := b.logGroup(spec.name+"-log-group", "/ecs/"+b.physicalName(spec.name))
	if err != nil {
		return nil, err
	}
	execution, err := b.role(roleSpec{
		name:        executionRoleName(spec.name),
		description: "Lets ECS start " + spec.name + " tasks: pull, log, inject",
		service:     "ecs-tasks.amazonaws.com",
		sourceArn:   b.arn("ecs", "*"),
		allows:      b.executionStatements(spec, logs),
	})
	if err != nil {
		return nil, err
	}
	own, err := b.role(roleSpec{
		name:        spec.name + "-task-role",
		description: "What " + spec.name + " itself may do",
		service:     "ecs-tasks.amazonaws.com",
		sourceArn:   b.arn("ecs", "*"),
		allows:      spec.allows,
	})
	if err != nil {
		return nil, err
	}
	definition, err := create(b, ecs.NewTaskDefinition, spec.name+"-task", &ecs.TaskDefinitionArgs{
		Family:                  pulumi.String(b.physicalName(spec.name)),
		Cpu:                     pulumi.String(strconv.Itoa(spec.cpu)),
		Memory:                  pulumi.String(strconv.Itoa(spec.memory)),
		NetworkMode:             pulumi.String("awsvpc"),
		RequiresCompatibilities: pulumi.ToStringArray([]string{"FARGATE"}),
		RuntimePlatform: ecs.TaskDefinitionRuntimePlatformArgs{
			CpuArchitecture:       pulumi.String("X86_64"),
			OperatingSystemFamily: pulumi.String("LINUX"),
		},
		ExecutionRoleArn: execution.role.Arn,
		TaskRoleArn:      own.role.Arn,
		Volumes: ecs.TaskDefinitionVolumeArray{ecs.TaskDefinitionVolumeArgs{
			Name: pulumi.String(tmpVolume), ConfigureAtLaunch: pulumi.Bool(false), // said, since ECS answers with it
		}},
		ContainerDefinitions: b.containerDefinitions(spec),
		Tags:                 b.tags(spec.name),
	}, createBeforeDelete())
	return &task{definition, []pulumi.Resource{execution.policy, own.policy}}, err
}

// service declares one service and its task.
func (b *builder) service(n *network, cluster *ecs.Cluster, spec serviceSpec, ready []pulumi.Resource) (*ecs.Service, *ecs.TaskDefinition, error) {
	task, err := b.task(spec.taskSpec)
	if err != nil {
		return nil, nil, err
	}
	waiting := fmt.Sprintf("%dm", rolloutMinutes+spec.longestWork/60+1)
	// The roles' policies must outlive the service, or it hangs in DRAINING on delete.
	service, err := create(b, ecs.NewService, spec.name, &ecs.ServiceArgs{
		Name:           pulumi.String(b.physicalName(spec.name)),
		Cluster:        cluster.Arn,
		TaskDefinition: task.definition.Arn,
		DesiredCount:   pulumi.Int(spec.desired),
		LaunchType:     pulumi.String("FARGATE"),
		NetworkConfiguration: ecs.ServiceNetworkConfigurationArgs{
			Subnets:        subnetIDs(n.private),
			SecurityGroups: pulumi.StringArray{spec.securityGroup.ID()},
			AssignPublicIp: pulumi.Bool(false),
		},
		LoadBalancers: ecs.ServiceLoadBalancerArray{ecs.ServiceLoadBalancerArgs{
			TargetGroupArn: spec.targetGroup.Arn,
			ContainerName:  pulumi.String(spec.name),
			ContainerPort:  pulumi.Int(b.cfg.ContainerPort),
		}},
		DeploymentCircuitBreaker:        ecs.ServiceDeploymentCircuitBreakerArgs{Enable: pulumi.Bool(true), Rollback: pulumi.Bool(true)},
		DeploymentMinimumHealthyPercent: pulumi.Int(100),
		DeploymentMaximumPercent:        pulumi.Int(maximumPercent),
		AvailabilityZoneRebalancing:     pulumi.String("ENABLED"),
		HealthCheckGracePeriodSeconds:   pulumi.Int(startSeconds),
		EnableEcsManagedTags:            pulumi.Bool(true),
		PropagateTags:                   pulumi.String("SERVICE"),
		WaitForSteadyState:              pulumi.Bool(true),
		Tags:                            b.tags(spec.name),
	}, after(slices.Concat(task.policies, ready)...), pulumi.IgnoreChanges([]string{"desiredCount"}),
		pulumi.Timeouts(&pulumi.CustomTimeouts{Create: waiting, Update: waiting, Delete: deleteTimeout}))
	return service, task.definition, err
}

func executionRoleName(task string) string { return task + "-execution-role" }

// executionStatements lets ECS pull the image, write the task's log and read exactly what the task definition names.
func (b *builder) executionStatements(spec taskSpec, logs *cloudwatch.LogGroup) []statement {
	statements := []statement{
		allow("WriteLogs", "logs:CreateLogStream", "logs:PutLogEvents").on(pulumi.Sprintf("%s:*", logs.Arn)),
		allow("ReadSecrets", "secretsmanager:GetSecretValue").on(sources(spec.secrets)...),
	}
	if len(spec.settings) > 0 {
		statements = append(statements, allow("ReadParameters", "ssm:GetParameters").on(sources(spec.settings)...))
	}
	repository, private := b.repositoryArn(spec.image)
	if !private {
		return statements
	}
	return append(statements,
		// GetAuthorizationToken knows no resources (AWS service authorization reference).
		allow("LogInToRegistry", "ecr:GetAuthorizationToken").on(pulumi.String("*")),
		allow("PullImage", "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer").on(pulumi.String(repository)))
}

var ecrImagePattern = regexp.MustCompile(`^([0-9]{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/([a-z0-9._/-]+)`)

// repositoryArn is the ECR repository of an image; other registries need no permission.
func (b *builder) repositoryArn(image string) (string, bool) {
	parts := ecrImagePattern.FindStringSubmatch(image)
	if parts == nil {
		return "", false
	}
	account, region, repository := parts[1], parts[2], parts[3]
	return strings.Join([]string{"arn", b.partition, "ecr", region, account, "repository/" + repository}, ":"), true
}

// container is an ECS container definition, as far as this stack uses it.
type container struct {
	Name                   string           `json:"name"`
	Image                  string           `json:"image"`
	Essential              bool             `json:"essential"`
	User                   string           `json:"user"`
	Privileged             bool             `json:"privileged"`
	ReadonlyRootFilesystem bool             `json:"readonlyRootFilesystem"`
	StopTimeout            int              `json:"stopTimeout"`
	PortMappings           []portMapping    `json:"portMappings"`
	MountPoints            []mountPoint     `json:"mountPoints"`
	LinuxParameters        linuxParameters  `json:"linuxParameters"`
	HealthCheck            *containerHealth `json:"healthCheck,omitempty"`
	LogConfiguration       logConfiguration `json:"logConfiguration"`
	Environment            []plainVariable  `json:"environment"`
	Secrets                []secretVariable `json:"secrets"`
}

type portMapping struct {
	ContainerPort int    `json:"containerPort"`
	HostPort      int    `json:"hostPort"`
	Protocol      string `json:"protocol"`
}

type mountPoint struct {
	SourceVolume  string `json:"sourceVolume"`
	ContainerPath string `json:"containerPath"`
	ReadOnly      bool   `json:"readOnly"`
}

type linuxParameters struct {
	InitProcessEnabled bool         `json:"initProcessEnabled"`
	Capabilities       capabilities `json:"capabilities"`
}

// capabilities are stored by ECS with both lists. With one missing, each deployment would make another task definition.
type capabilities struct {
	Add  []string `json:"add"`
	Drop []string `json:"drop"`
}

// containerHealth holds a command and seconds.
type containerHealth struct {
	Command     []string `json:"command"`
	Interval    int      `json:"interval"`
	Timeout     int      `json:"timeout"`
	Retries     int      `json:"retries"`
	StartPeriod int      `json:"startPeriod"`
}

type logConfiguration struct {
	LogDriver string            `json:"logDriver"`
	Options   map[string]string `json:"options"`
}

type plainVariable struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type secretVariable struct {
	Name      string `json:"name"`
	ValueFrom string `json:"valueFrom"`
}

// containerDefinitions is the JSON of the task's one container. The root file system is read-only (PCI DSS 7.2); for
// /tmp there is a volume, which the image should declare (VOLUME /tmp) so that its user may write there.
func (b *builder) containerDefinitions(spec taskSpec) pulumi.StringOutput {
	plain := []injectedValue{{variable: "SERVICE_NAME", from: pulumi.String(b.physicalName(spec.name))}}
	if spec.port != 0 {
		plain = append(plain,
			injectedValue{variable: "CONTAINER_PORT", from: pulumi.String(strconv.Itoa(spec.port))},
			injectedValue{variable: "CONTAINER_PROTOCOL", from: pulumi.String(b.cfg.ContainerProtocol)})
	}
	plain = append(plain, spec.environment...)
	injected := slices.Concat(spec.secrets, spec.settings)

	values := pulumi.StringArray{}
	for _, v := range slices.Concat(plain, injected) {
		values = append(values, v.valueFrom())
	}
	return values.ToStringArrayOutput().ApplyT(func(values []string) (string, error) {
		c := container{
			Name: spec.name, Image: spec.image, Essential: true,
			User: containerUser, ReadonlyRootFilesystem: true, StopTimeout: min(mostStopSeconds, max(stopSeconds, spec.longestWork)),
			PortMappings: []portMapping{},
			MountPoints:  []mountPoint{{SourceVolume: tmpVolume, ContainerPath: "/tmp"}},
			LinuxParameters: linuxParameters{
				InitProcessEnabled: true,
				Capabilities:       capabilities{Add: []string{}, Drop: []string{"ALL"}},
			},
			LogConfiguration: logConfiguration{LogDriver: "awslogs", Options: map[string]string{
				"awslogs-group":         "/ecs/" + b.physicalName(spec.name),
				"awslogs-region":        b.region,
				"awslogs-stream-prefix": spec.name,
				"mode":                  "non-blocking",
				"max-buffer-size":       logBuffer,
			}},
		}
		if spec.port != 0 {
			c.PortMappings = []portMapping{{ContainerPort: spec.port, HostPort: spec.port, Protocol: "tcp"}}
			c.HealthCheck = b.containerHealth(spec.port)
		}
		for i, v := range plain {
			c.Environment = append(c.Environment, plainVariable{v.variable, values[i]})
		}
		for i, v := range injected {
			c.Secrets = append(c.Secrets, secretVariable{v.variable, values[len(plain)+i]})
		}
		return marshal([]container{c})
	}).(pulumi.StringOutput)
}

// containerHealth asks the service itself.
func (b *builder) containerHealth(port int) *containerHealth {
	health := url.URL{Scheme: strings.ToLower(b.cfg.ContainerProtocol), Host: fmt.Sprintf("localhost:%d", port), Path: healthPath}
	return &containerHealth{
		// The certificate on this side of the load balancer is the container's own; it is not checked here.
		Command:  []string{"CMD", "curl", "--fail", "--silent", "--show-error", "--insecure", health.String()},
		Interval: 30, Timeout: 5, Retries: 3, StartPeriod: startSeconds,
	}
}

// autoscaling keeps a service between its desired and its largest count, by CPU and, for jobs, by what waits.
func (b *builder) autoscaling(cluster *ecs.Cluster, service *ecs.Service, spec serviceSpec, jobs *queues) error {
	target, err := create(b, appautoscaling.NewTarget, spec.name+"-scaling-target", &appautoscaling.TargetArgs{
		ServiceNamespace:  pulumi.String("ecs"),
		ScalableDimension: pulumi.String("ecs:service:DesiredCount"),
		ResourceId:        pulumi.Sprintf("service/%s/%s", cluster.Name, service.Name),
		MinCapacity:       pulumi.Int(spec.desired),
		MaxCapacity:       pulumi.Int(spec.most),
		SuspendedState: appautoscaling.TargetSuspendedStateArgs{
			DynamicScalingInSuspended: pulumi.Bool(false), DynamicScalingOutSuspended: pulumi.Bool(false), ScheduledScalingSuspended: pulumi.Bool(false),
		},
		Tags: b.tags(spec.name + "-scaling-target"),
	})
	if err != nil {
		return err
	}
	cpu := appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationArgs{
		TargetValue:      pulumi.Float64(b.cfg.CPUTargetPercent),
		ScaleOutCooldown: pulumi.Int(scaleOutSeconds),
		ScaleInCooldown:  pulumi.Int(scaleInSeconds),
		PredefinedMetricSpecification: appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationPredefinedMetricSpecificationArgs{
			PredefinedMetricType: pulumi.String("ECSServiceAverageCPUUtilization"),
		},
	}
	if err := b.scalingPolicy(spec.name+"-cpu-scaling", target, cpu); err != nil || spec.name != jobProcessor {
		return err
	}
	return b.scalingPolicy(spec.name+"-backlog-scaling", target, backlogPerTask(cluster, service, jobs))
}

func (b *builder) scalingPolicy(name string, target *appautoscaling.Target, tracking appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationArgs) error {
	_, err := create(b, appautoscaling.NewPolicy, name, &appautoscaling.PolicyArgs{
		Name:                                     pulumi.String(b.physicalName(name)),
		PolicyType:                               pulumi.String("TargetTrackingScaling"),
		ServiceNamespace:                         target.ServiceNamespace,
		ScalableDimension:                        target.ScalableDimension,
		ResourceId:                               target.ResourceId,
		TargetTrackingScalingPolicyConfiguration: tracking,
	})
	return err
}

// backlogPerTask tracks waiting messages divided by running tasks (AWS: "scaling based on Amazon SQS").
func backlogPerTask(cluster *ecs.Cluster, service *ecs.Service, jobs *queues) appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationArgs {
	type dimension = appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationCustomizedMetricSpecificationMetricMetricStatMetricDimensionArgs
	type dimensions = appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationCustomizedMetricSpecificationMetricMetricStatMetricDimensionArray
	type metric = appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationCustomizedMetricSpecificationMetricArgs
	measured := func(id, label, namespace, name, stat string, by dimensions) metric {
		return metric{
			Id: pulumi.String(id), Label: pulumi.String(label), ReturnData: pulumi.Bool(false),
			MetricStat: appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationCustomizedMetricSpecificationMetricMetricStatArgs{
				Stat: pulumi.String(stat),
				Metric: appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationCustomizedMetricSpecificationMetricMetricStatMetricArgs{
					Namespace: pulumi.String(namespace), MetricName: pulumi.String(name), Dimensions: by,
				},
			},
		}
	}
	return appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationArgs{
		TargetValue:      pulumi.Float64(jobBacklogTarget),
		ScaleOutCooldown: pulumi.Int(scaleOutSeconds),
		ScaleInCooldown:  pulumi.Int(scaleInSeconds),
		CustomizedMetricSpecification: appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationCustomizedMetricSpecificationArgs{
			Metrics: appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationCustomizedMetricSpecificationMetricArray{
				measured("waiting", "Messages waiting", "AWS/SQS", "ApproximateNumberOfMessagesVisible", "Sum", dimensions{
					dimension{Name: pulumi.String("QueueName"), Value: jobs.main.Name},
				}),
				measured("running", "Tasks running", "ECS/ContainerInsights", "RunningTaskCount", "Average", dimensions{
					dimension{Name: pulumi.String("ClusterName"), Value: cluster.Name},
					dimension{Name: pulumi.String("ServiceName"), Value: service.Name},
				}),
				metric{
					Id: pulumi.String("backlog"), Label: pulumi.String("Messages waiting per task"),
					Expression: pulumi.String("waiting / running"), ReturnData: pulumi.Bool(true),
				},
			},
		},
	}
}

// ---------------------------------------------------------------------------------------------------------------------
// Monitoring
// ---------------------------------------------------------------------------------------------------------------------

// monitoring declares alarms, event notifications and the dashboard, and returns the dashboard's address.
func (b *builder) monitoring(n *network, db *database, balancer *balancer, jobs *queues, alerts *alerts, app *application) (string, error) {
	for _, alarm := range b.alarms(n, db, balancer, jobs, app) {
		if err := b.alarm(alarm, alerts); err != nil {
			return "", err
		}
	}
	if err := b.events(db, alerts); err != nil {
		return "", err
	}
	return b.dashboard(db, balancer, jobs, app)
}

// alarmSpec is one alarm: it goes off when the metric, or its difference to another, is above or below a figure in each of
// so many periods of so many minutes.
type alarmSpec struct {
	name, description string // the alarm's name ends in -alarm
	metric            metric
	minus             *metric // subtracted from metric, where set
	above, below      float64 // below counts where it is not zero
	periods, minutes  int
}

// metric is a CloudWatch metric with its statistic: Sum, Average, Maximum, Minimum or a percentile such as p99.
type metric struct {
	namespace, name, statistic string
	dimensions                 pulumi.StringMap
}

// alarms is the table of everything that wakes the operations team. An entry here is all that an alarm takes.
func (b *builder) alarms(n *network, db *database, balancer *balancer, jobs *queues, app *application) []alarmSpec {
	alb := func(name, statistic string) metric {
		return metric{"AWS/ApplicationELB", name, statistic, pulumi.StringMap{"LoadBalancer": balancer.alb.ArnSuffix}}
	}
	aurora := func(name, statistic string) metric {
		return metric{"AWS/RDS", name, statistic, pulumi.StringMap{"DBClusterIdentifier": db.cluster.ClusterIdentifier}}
	}
	queue := func(q *sqs.Queue, name string) metric {
		return metric{"AWS/SQS", name, "Maximum", pulumi.StringMap{"QueueName": q.Name}}
	}
	alarms := []alarmSpec{
		{name: "alb-5xx", description: "The load balancer itself answers 5xx", metric: alb("HTTPCode_ELB_5XX_Count", "Sum"), above: 10, periods: 5, minutes: 1},
		{name: "alb-target-5xx", description: "The services answer 5xx", metric: alb("HTTPCode_Target_5XX_Count", "Sum"), above: 10, periods: 5, minutes: 1},
		{name: "alb-latency-p99", description: "One request in a hundred takes longer than 2 s", metric: alb("TargetResponseTime", "p99"), above: 2, periods: 5, minutes: 1},
		{name: "alb-rejected-connections", description: "The load balancer turns connections away", metric: alb("RejectedConnectionCount", "Sum"), above: 0, periods: 3, minutes: 1},

		{name: "aurora-cpu", description: "A database instance is short of CPU", metric: aurora("CPUUtilization", "Maximum"), above: 80, periods: 3, minutes: 5},
		{name: "aurora-memory", description: "A database instance has less than 5 percent of its memory left", metric: aurora("FreeableMemory", "Minimum"), below: dbMemoryLeft * InstanceMemory(b.cfg.DBInstanceClass), periods: 3, minutes: 5},
		{name: "aurora-connections", description: "A database instance has more than 80 percent of the connections that it takes", metric: aurora("DatabaseConnections", "Maximum"), above: connectionsUsed * float64(MaxConnections(b.cfg.DBInstanceClass)), periods: 3, minutes: 5},
		{name: "aurora-replica-lag", description: "A reader is more than 1 s behind the writer", metric: aurora("AuroraReplicaLagMaximum", "Maximum"), above: 1000, periods: 5, minutes: 1},
		{name: "aurora-deadlocks", description: "Transactions deadlock", metric: aurora("Deadlocks", "Maximum"), above: 0, periods: 2, minutes: 5},

		{name: "queue-age", description: "The oldest job has waited for a day", metric: queue(jobs.main, "ApproximateAgeOfOldestMessage"), above: daySeconds, periods: 1, minutes: 5},
		{name: "queue-depth", description: "More than 10000 jobs wait", metric: queue(jobs.main, "ApproximateNumberOfMessagesVisible"), above: 10000, periods: 3, minutes: 5},
		{name: "dlq-messages", description: "A job has failed for good", metric: queue(jobs.deadLetter, "ApproximateNumberOfMessagesVisible"), above: 0, periods: 1, minutes: 1},
	}
	for _, service := range []string{paymentAPI, jobProcessor} {
		dimensions := pulumi.StringMap{"ClusterName": app.cluster.Name, "ServiceName": app.services[service].Name}
		targets := pulumi.StringMap{"LoadBalancer": balancer.alb.ArnSuffix, "TargetGroup": balancer.targets[service].ArnSuffix}
		unhealthy := metric{"AWS/ApplicationELB", "UnHealthyHostCount", "Maximum", targets}
		cpu, memory := metric{"AWS/ECS", "CPUUtilization", "Average", dimensions}, metric{"AWS/ECS", "MemoryUtilization", "Average", dimensions}
		desired, running := metric{"ECS/ContainerInsights", "DesiredTaskCount", "Maximum", dimensions}, metric{"ECS/ContainerInsights", "RunningTaskCount", "Minimum", dimensions}
		alarms = append(alarms,
			alarmSpec{name: service + "-unhealthy-hosts", description: service + " has unhealthy targets", metric: unhealthy, above: 0, periods: 3, minutes: 1},
			alarmSpec{name: service + "-cpu", description: service + " is short of CPU", metric: cpu, above: 85, periods: 3, minutes: 5},
			alarmSpec{name: service + "-memory", description: service + " is short of memory", metric: memory, above: 85, periods: 3, minutes: 5},
			alarmSpec{name: service + "-below-desired", description: service + " runs fewer tasks than desired", metric: desired, minus: &running, above: 0, periods: 10, minutes: 1})
	}
	for i, nat := range n.nats {
		failed := metric{"AWS/NATGateway", "ErrorPortAllocation", "Sum", pulumi.StringMap{"NatGatewayId": nat.ID()}}
		alarms = append(alarms, alarmSpec{name: fmt.Sprintf("nat-gateway-%d-port-errors", i+1), description: "The NAT gateway has no ports left", metric: failed, above: 0, periods: 1, minutes: 5})
	}
	if b.cfg.WAF {
		dimensions := pulumi.StringMap{"WebACL": pulumi.String(b.physicalName("waf")), "Region": pulumi.String(b.region), "Rule": pulumi.String("ALL")}
		blocked := metric{"AWS/WAFV2", "BlockedRequests", "Sum", dimensions}
		alarms = append(alarms, alarmSpec{name: "waf-blocked-surge", description: "The firewall blocks unusually much", metric: blocked, above: 1000, periods: 1, minutes: 5})
	}
	return alarms
}

// alarm declares one alarm; both the alarm and its end are notified.
func (b *builder) alarm(spec alarmSpec, alerts *alerts) error {
	name := spec.name + "-alarm"
	comparison, threshold := "GreaterThanThreshold", spec.above
	if spec.below != 0 {
		comparison, threshold = "LessThanThreshold", spec.below
	}
	args := &cloudwatch.MetricAlarmArgs{
		Name:               pulumi.String(b.physicalName(name)),
		AlarmDescription:   pulumi.String(spec.description),
		ComparisonOperator: pulumi.String(comparison),
		Threshold:          pulumi.Float64(threshold),
		EvaluationPeriods:  pulumi.Int(spec.periods),
		DatapointsToAlarm:  pulumi.Int(spec.periods),
		TreatMissingData:   pulumi.String("notBreaching"),
		AlarmActions:       pulumi.Array{alerts.topic.Arn},
		OkActions:          pulumi.Array{alerts.topic.Arn},
		Tags:               b.tags(name),
	}
	seconds := pulumi.Int(spec.minutes * 60)
	if spec.minus != nil {
		args.MetricQueries = cloudwatch.MetricAlarmMetricQueryArray{
			metricQuery("minuend", spec.metric, seconds),
			metricQuery("subtrahend", *spec.minus, seconds),
			cloudwatch.MetricAlarmMetricQueryArgs{
				Id: pulumi.String("difference"), Expression: pulumi.String("minuend - subtrahend"),
				Label: pulumi.String(spec.description), ReturnData: pulumi.Bool(true),
			},
		}
	} else {
		args.Namespace, args.MetricName = pulumi.String(spec.metric.namespace), pulumi.String(spec.metric.name)
		args.Dimensions, args.Period = spec.metric.dimensions, seconds
		if strings.HasPrefix(spec.metric.statistic, "p") {
			args.ExtendedStatistic = pulumi.String(spec.metric.statistic)
		} else {
			args.Statistic = pulumi.String(spec.metric.statistic)
		}
	}
	_, err := create(b, cloudwatch.NewMetricAlarm, name, args, after(alerts.policy))
	return err
}

func metricQuery(id string, m metric, seconds pulumi.Int) cloudwatch.MetricAlarmMetricQueryArgs {
	return cloudwatch.MetricAlarmMetricQueryArgs{
		Id: pulumi.String(id), ReturnData: pulumi.Bool(false),
		Metric: cloudwatch.MetricAlarmMetricQueryMetricArgs{
			Namespace: pulumi.String(m.namespace), MetricName: pulumi.String(m.name),
			Stat: pulumi.String(m.statistic), Period: seconds, Dimensions: m.dimensions,
		},
	}
}

// eventPattern is an EventBridge pattern: an event matches when every field given does.
type eventPattern struct {
	Source     []string       `json:"source"`
	DetailType []string       `json:"detail-type"`
	Resources  []any          `json:"resources,omitempty"`
	Detail     map[string]any `json:"detail"`
}

// prefix matches values that begin so, and anythingBut another value than this one.
type prefix struct {
	Prefix string `json:"prefix"`
}

type anythingBut struct {
	AnythingBut int `json:"anything-but"`
}

// exists matches where the field is there, or where it is not.
type exists struct {
	Exists bool `json:"exists"`
}

// events tells the topic of what metrics do not show: failed deployments, dying containers, database incidents.
func (b *builder) events(db *database, alerts *alerts) error {
	cluster := b.physicalName("ecs-cluster")
	for _, rule := range []struct {
		name, description string
		pattern           eventPattern
	}{
		{"ecs-deployment-failed", "A deployment of the payment services failed", eventPattern{
			Source: []string{"aws.ecs"}, DetailType: []string{"ECS Deployment State Change"},
			Resources: []any{prefix{b.arn("ecs", "service/"+cluster+"/")}},
			Detail:    map[string]any{"eventName": []string{"SERVICE_DEPLOYMENT_FAILED"}},
		}},
		{"ecs-task-failed", "A task of the payment services did not start, or a container of it died", eventPattern{
			Source: []string{"aws.ecs"}, DetailType: []string{"ECS Task State Change"},
			Detail: map[string]any{
				"clusterArn": []string{b.arn("ecs", "cluster/"+cluster)},
				"group":      []prefix{{"service:"}},
				"lastStatus": []string{"STOPPED"},
				"stopCode":   []string{"EssentialContainerExited", "TaskFailedToStart"},
			},
		}},
		// A task that has done its work exits, too, with code 0. One that never started has no code.
		{"payment-migrate-failed", "The task that prepares the payment database did not succeed", eventPattern{
			Source: []string{"aws.ecs"}, DetailType: []string{"ECS Task State Change"},
			Detail: map[string]any{
				"taskDefinitionArn": []prefix{{b.arn("ecs", "task-definition/"+b.physicalName(paymentMigrate)+":")}},
				"lastStatus":        []string{"STOPPED"},
				"containers":        map[string]any{"exitCode": []any{anythingBut{0}, exists{false}}},
			},
		}},
	} {
		pattern, err := marshal(rule.pattern)
		if err != nil {
			return err
		}
		declared, err := create(b, cloudwatch.NewEventRule, rule.name, &cloudwatch.EventRuleArgs{
			Name:         pulumi.String(b.physicalName(rule.name)),
			Description:  pulumi.String(rule.description),
			EventPattern: pulumi.String(pattern),
			State:        pulumi.String("ENABLED"),
			Tags:         b.tags(rule.name),
		})
		if err != nil {
			return err
		}
		_, err = create(b, cloudwatch.NewEventTarget, rule.name+"-target", &cloudwatch.EventTargetArgs{
			Rule:     declared.Name,
			TargetId: pulumi.String("payment-alerts"),
			Arn:      alerts.topic.Arn,
		}, after(alerts.policy))
		if err != nil {
			return err
		}
	}
	return b.databaseEvents(db, alerts)
}

// databaseEvents subscribes the topic to the events of every source that RDS tells of. The categories are those that
// each source has ("Amazon RDS event categories and event messages for Aurora", Aurora user guide), without the ones
// that only say that all goes its way. Groups are those of the whole account and region: an incident begins as well
// with one that is not the stack's.
func (b *builder) databaseEvents(db *database, alerts *alerts) error {
	for _, source := range []struct {
		sourceType string
		ids        pulumi.StringArray
		categories []string
	}{
		{
			"db-cluster",
			pulumi.StringArray{db.cluster.ClusterIdentifier},
			[]string{"configuration change", "deletion", "failover", "failure", "maintenance", "notification"},
		},
		{
			"db-instance", db.identifiers,
			[]string{"availability", "configuration change", "deletion", "failover", "failure", "low storage", "maintenance", "notification", "recovery"},
		},
		{"db-parameter-group", nil, []string{"configuration change"}},
		{"db-security-group", nil, []string{"configuration change", "failure"}},
	} {
		name := source.sourceType + "-events"
		// RDS tries the topic when the subscription is made.
		_, err := create(b, rds.NewEventSubscription, name, &rds.EventSubscriptionArgs{
			Name:            pulumi.String(b.physicalName(name)),
			SnsTopic:        alerts.topic.Arn,
			SourceType:      pulumi.String(source.sourceType),
			SourceIds:       source.ids,
			EventCategories: pulumi.ToStringArray(source.categories),
			Tags:            b.tags(name),
		}, after(alerts.policy))
		if err != nil {
			return err
		}
	}
	return nil
}

// dashboardBody and what follows is CloudWatch's dashboard structure, as far as this stack uses it.
type dashboardBody struct {
	Widgets []widget `json:"widgets"`
}

type widget struct {
	Type       string `json:"type"`
	X          int    `json:"x"`
	Y          int    `json:"y"`
	Width      int    `json:"width"`
	Height     int    `json:"height"`
	Properties any    `json:"properties"`
}

type textProperties struct {
	Markdown string `json:"markdown"`
}

type metricProperties struct {
	Title   string     `json:"title"`
	View    string     `json:"view"`
	Region  string     `json:"region"`
	Stat    string     `json:"stat"`
	Period  int        `json:"period"`
	Metrics [][]string `json:"metrics"`
}

// graph is one widget before its dimensions are known: rows of namespace, metric, then dimension names and values.
type graph struct {
	title, stat string
	rows        [][]pulumi.StringInput
}

const (
	widgetWidth, widgetHeight, widgetsInRow = 8, 6, 3
	widgetPeriodSeconds                     = 60
	noteHeight                              = 2
)

// tagsText stands in for the tags that every resource carries, on a dashboard, which takes none.
func (b *builder) tagsText() string {
	return fmt.Sprintf("%s=%s %s=%s %s=%s", TagOwner, b.cfg.Owner, TagRun, b.cfg.Run, TagExpires, b.cfg.Expires)
}

// dashboard draws the whole platform on one page and returns the page's address.
func (b *builder) dashboard(db *database, balancer *balancer, jobs *queues, app *application) (string, error) {
	graphs := b.graphs(db, balancer, jobs, app)
	cells := pulumi.StringArray{}
	for _, g := range graphs {
		for _, row := range g.rows {
			cells = append(cells, row...)
		}
	}
	body := cells.ToStringArrayOutput().ApplyT(func(cells []string) (string, error) {
		var page dashboardBody
		for i, g := range graphs {
			properties := metricProperties{Title: g.title, View: "timeSeries", Region: b.region, Stat: g.stat, Period: widgetPeriodSeconds}
			for _, row := range g.rows {
				properties.Metrics = append(properties.Metrics, cells[:len(row)])
				cells = cells[len(row):]
			}
			page.Widgets = append(page.Widgets, widget{
				Type: "metric", Width: widgetWidth, Height: widgetHeight,
				X: i % widgetsInRow * widgetWidth, Y: i / widgetsInRow * widgetHeight,
				Properties: properties,
			})
		}
		page.Widgets = append(page.Widgets, widget{
			Type: "text", Width: widgetWidth * widgetsInRow, Height: noteHeight,
			Y:          (len(graphs) + widgetsInRow - 1) / widgetsInRow * widgetHeight,
			Properties: textProperties{Markdown: b.tagsText()},
		})
		return marshal(page)
	}).(pulumi.StringOutput)

	name := b.physicalName("payment-platform")
	_, err := create(b, cloudwatch.NewDashboard, "payment-platform", &cloudwatch.DashboardArgs{
		DashboardName: pulumi.String(name),
		DashboardBody: body,
	})
	address := url.URL{
		Scheme: "https", Host: b.region + ".console.aws.amazon.com", Path: "/cloudwatch/home",
		RawQuery: url.Values{"region": {b.region}}.Encode(), Fragment: "dashboards/dashboard/" + name,
	}
	return address.String(), err
}

// graphs is the dashboard's content, left to right and top to bottom.
func (b *builder) graphs(db *database, balancer *balancer, jobs *queues, app *application) []graph {
	alb := func(name string) []pulumi.StringInput {
		return cells("AWS/ApplicationELB", name, "LoadBalancer", balancer.alb.ArnSuffix)
	}
	aurora := func(name string) []pulumi.StringInput {
		return cells("AWS/RDS", name, "DBClusterIdentifier", db.cluster.ClusterIdentifier)
	}
	ecsRow := func(namespace, name, service string) []pulumi.StringInput {
		return cells(namespace, name, "ClusterName", app.cluster.Name, "ServiceName", app.services[service].Name)
	}
	perService := func(namespace string, names ...string) (rows [][]pulumi.StringInput) {
		for _, service := range []string{paymentAPI, jobProcessor} {
			for _, name := range names {
				rows = append(rows, ecsRow(namespace, name, service))
			}
		}
		return rows
	}
	type rows = [][]pulumi.StringInput
	return []graph{
		{"Requests", "Sum", rows{alb("RequestCount")}},
		{"Errors", "Sum", rows{alb("HTTPCode_ELB_5XX_Count"), alb("HTTPCode_Target_5XX_Count"), alb("HTTPCode_Target_4XX_Count")}},
		{"Latency, p99", "p99", rows{alb("TargetResponseTime")}},
		{"Service CPU and memory", "Average", perService("AWS/ECS", "CPUUtilization", "MemoryUtilization")},
		{"Tasks", "Average", perService("ECS/ContainerInsights", "RunningTaskCount", "DesiredTaskCount")},
		{"Jobs", "Maximum", rows{
			cells("AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", jobs.main.Name),
			cells("AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", jobs.deadLetter.Name),
			cells("AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", jobs.main.Name),
		}},
		{"Database CPU", "Maximum", rows{aurora("CPUUtilization")}},
		{"Database connections and deadlocks", "Maximum", rows{aurora("DatabaseConnections"), aurora("Deadlocks")}},
		{"Database replica lag", "Maximum", rows{aurora("AuroraReplicaLagMaximum")}},
	}
}

// cells makes a row of strings known now and strings known later.
func cells(namespace, metric string, dimensions ...any) []pulumi.StringInput {
	row := []pulumi.StringInput{pulumi.String(namespace), pulumi.String(metric)}
	for _, cell := range dimensions {
		switch cell := cell.(type) {
		case string:
			row = append(row, pulumi.String(cell))
		case pulumi.StringInput:
			row = append(row, cell)
		}
	}
	return row
}

// ---------------------------------------------------------------------------------------------------------------------
// Outputs
// ---------------------------------------------------------------------------------------------------------------------

// Names of the stack's outputs. None of them is secret.
const (
	OutputRegion                  = "region"
	OutputEnvironmentSuffix       = "environmentSuffix"
	OutputVpcID                   = "vpcId"
	OutputVpcCidr                 = "vpcCidr"
	OutputPublicSubnetIDs         = "publicSubnetIds"
	OutputPrivateSubnetIDs        = "privateSubnetIds"
	OutputAvailabilityZones       = "availabilityZones"
	OutputAlbDNSName              = "albDnsName"
	OutputAlbZoneID               = "albZoneId"
	OutputAlbArn                  = "albArn"
	OutputAPIURL                  = "apiUrl"
	OutputClusterEndpoint         = "clusterEndpoint"
	OutputClusterReaderEndpoint   = "clusterReaderEndpoint"
	OutputClusterIdentifier       = "clusterIdentifier"
	OutputDBName                  = "dbName"
	OutputDBMasterUser            = "dbMasterUser"
	OutputDBEngineVersion         = "dbEngineVersionActual"
	OutputDBSecretArn             = "dbSecretArn"           // the master user's
	OutputPaymentAPIDBSecretArn   = "paymentApiDbSecretArn" //nolint:gosec // a name
	OutputJobProcessorDBSecretArn = "jobProcessorDbSecretArn"
	OutputAPIKeysSecretArn        = "apiKeysSecretArn"
	OutputEcsClusterName          = "ecsClusterName"
	OutputPaymentAPIServiceName   = "paymentApiServiceName"
	OutputJobProcessorServiceName = "jobProcessorServiceName"
	// OutputPaymentMigrateTaskDefinition and the next are what RunTask needs, besides the private subnets.
	OutputPaymentMigrateTaskDefinition = "paymentMigrateTaskDefinition"
	OutputPaymentMigrateSecurityGroup  = "paymentMigrateSecurityGroup"
	OutputQueueURL                     = "queueUrl"
	OutputDlqURL                       = "dlqUrl"
	OutputAlertsTopicArn               = "alertsTopicArn"
	OutputLogGroupNames                = "logGroupNames"
	OutputParameterNames               = "parameterNames"
	OutputDashboardURL                 = "dashboardUrl"
	// OutputConfiguration is the configuration that the stack was deployed with: each key with its value, as Config.Values.
	OutputConfiguration = "configuration"
)

// export publishes the stack's outputs.
func (b *builder) export(net *network, db *database, balancer *balancer, jobs *queues, alerts *alerts, settings *parameters, app *application, dashboardURL string) {
	apiHost := balancer.alb.DnsName
	if b.cfg.DomainName != "" {
		apiHost = pulumi.String(b.cfg.DomainName).ToStringOutput()
	}
	slices.Sort(b.logGroups)
	for name, value := range map[string]pulumi.Input{
		OutputRegion:                       pulumi.String(b.region),
		OutputEnvironmentSuffix:            pulumi.String(b.cfg.EnvironmentSuffix),
		OutputVpcID:                        net.vpc.ID(),
		OutputVpcCidr:                      net.vpc.CidrBlock,
		OutputPublicSubnetIDs:              subnetIDs(net.public),
		OutputPrivateSubnetIDs:             subnetIDs(net.private),
		OutputAvailabilityZones:            net.zones(),
		OutputAlbDNSName:                   balancer.alb.DnsName,
		OutputAlbZoneID:                    balancer.alb.ZoneId,
		OutputAlbArn:                       balancer.alb.Arn,
		OutputAPIURL:                       pulumi.Sprintf("https://%s", apiHost),
		OutputClusterEndpoint:              db.cluster.Endpoint,
		OutputClusterReaderEndpoint:        db.cluster.ReaderEndpoint,
		OutputClusterIdentifier:            db.cluster.ClusterIdentifier,
		OutputDBName:                       db.cluster.DatabaseName,
		OutputDBMasterUser:                 db.cluster.MasterUsername,
		OutputDBEngineVersion:              db.cluster.EngineVersionActual,
		OutputDBSecretArn:                  db.credentials.Arn,
		OutputPaymentAPIDBSecretArn:        db.serviceCredentials[paymentAPI].Arn,
		OutputJobProcessorDBSecretArn:      db.serviceCredentials[jobProcessor].Arn,
		OutputAPIKeysSecretArn:             db.apiKeys.Arn,
		OutputEcsClusterName:               app.cluster.Name,
		OutputPaymentAPIServiceName:        app.rolledOut[paymentAPI],
		OutputJobProcessorServiceName:      app.rolledOut[jobProcessor],
		OutputPaymentMigrateTaskDefinition: app.migration.definition.Arn,
		OutputPaymentMigrateSecurityGroup:  net.groups.paymentMigrate.ID(),
		OutputQueueURL:                     jobs.main.Url,
		OutputDlqURL:                       jobs.deadLetter.Url,
		OutputAlertsTopicArn:               alerts.topic.Arn,
		OutputLogGroupNames:                pulumi.ToStringArray(b.logGroups),
		OutputParameterNames:               settings.names(),
		OutputDashboardURL:                 pulumi.String(dashboardURL),
		OutputConfiguration:                pulumi.ToStringMap(b.cfg.Values()),
	} {
		b.ctx.Export(name, value)
	}
}
