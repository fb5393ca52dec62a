package unit_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tapstack/lib"
)

// nameRules holds, by type, the input that carries the physical name, AWS's limit on its length, and its alphabet.
// Types that are not here have no name of their own.
var nameRules = map[string]struct {
	input    string
	most     int
	alphabet *regexp.Regexp
}{
	"aws:appautoscaling/policy:Policy":                    {"name", 256, printable},
	"aws:cloudwatch/dashboard:Dashboard":                  {"dashboardName", 255, wordsAndHyphens},
	"aws:cloudwatch/eventRule:EventRule":                  {"name", 64, regexp.MustCompile(`^[.\-_A-Za-z0-9]+$`)},
	"aws:cloudwatch/logGroup:LogGroup":                    {"name", 512, regexp.MustCompile(`^[.\-_/#A-Za-z0-9]+$`)},
	"aws:cloudwatch/logResourcePolicy:LogResourcePolicy":  {"policyName", 255, printable},
	"aws:cloudwatch/metricAlarm:MetricAlarm":              {"name", 255, printable},
	"aws:ec2/securityGroup:SecurityGroup":                 {"name", 255, wordsAndHyphens},
	"aws:ecs/cluster:Cluster":                             {"name", 255, wordsAndHyphens},
	"aws:ecs/service:Service":                             {"name", 255, wordsAndHyphens},
	"aws:ecs/taskDefinition:TaskDefinition":               {"family", 255, wordsAndHyphens},
	"aws:iam/role:Role":                                   {"name", 64, wordsAndHyphens},
	"aws:iam/rolePolicy:RolePolicy":                       {"name", 128, wordsAndHyphens},
	"aws:kms/alias:Alias":                                 {"name", 256, regexp.MustCompile(`^alias/[a-zA-Z0-9/_-]+$`)},
	"aws:lb/loadBalancer:LoadBalancer":                    {"name", 32, elbName},
	"aws:lb/targetGroup:TargetGroup":                      {"name", 32, elbName},
	"aws:rds/cluster:Cluster":                             {"clusterIdentifier", 63, rdsName},
	"aws:rds/clusterInstance:ClusterInstance":             {"identifier", 63, rdsName},
	"aws:rds/clusterParameterGroup:ClusterParameterGroup": {"name", 255, rdsName},
	"aws:rds/eventSubscription:EventSubscription":         {"name", 255, rdsName},
	"aws:rds/subnetGroup:SubnetGroup":                     {"name", 255, rdsName},
	"aws:s3/bucketV2:BucketV2":                            {"bucket", 63, regexp.MustCompile(`^[a-z0-9][a-z0-9-]+[a-z0-9]$`)},
	"aws:secretsmanager/secret:Secret":                    {"name", 512, regexp.MustCompile(`^[A-Za-z0-9/_+=.@-]+$`)},
	"aws:sns/topic:Topic":                                 {"name", 256, wordsAndHyphens},
	"aws:sqs/queue:Queue":                                 {"name", 80, wordsAndHyphens},
	"aws:ssm/parameter:Parameter":                         {"name", 1011, regexp.MustCompile(`^[a-zA-Z0-9_.\-/]+$`)},
	"aws:wafv2/webAcl:WebAcl":                             {"name", 128, wordsAndHyphens},
}

var (
	printable       = regexp.MustCompile(`^[[:print:]]+$`)
	wordsAndHyphens = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	elbName         = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$`)
	rdsName         = regexp.MustCompile(`^[a-z](-?[a-z0-9])*$`)
)

// tagless are the types that AWS or the provider gives no tags.
var tagless = []string{
	"pulumi:providers:aws",
	"random:index/randomBytes:RandomBytes", "random:index/randomPassword:RandomPassword",
	"aws:appautoscaling/policy:Policy",
	"aws:cloudwatch/dashboard:Dashboard", "aws:cloudwatch/eventTarget:EventTarget", "aws:cloudwatch/logResourcePolicy:LogResourcePolicy",
	"aws:ec2/route:Route", "aws:ec2/routeTableAssociation:RouteTableAssociation",
	"aws:ecs/clusterCapacityProviders:ClusterCapacityProviders",
	"aws:iam/rolePolicy:RolePolicy", "aws:kms/alias:Alias",
	"aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2", "aws:s3/bucketPolicy:BucketPolicy",
	"aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
	"aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2",
	"aws:secretsmanager/secretPolicy:SecretPolicy", "aws:secretsmanager/secretVersion:SecretVersion",
	"aws:sns/topicPolicy:TopicPolicy", "aws:sns/topicSubscription:TopicSubscription",
	"aws:sqs/queuePolicy:QueuePolicy", "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy",
	"aws:wafv2/webAclAssociation:WebAclAssociation", "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration",
}

func TestEveryTaggableResourceHasItsNameAndInheritsTheTagsOfTheBrief(t *testing.T) {
	r := everything(t)
	same(t, "default tags", r.one(t, "aws").at(t, "defaultTags", "tags"),
		map[string]any{"Environment": "production", "MigrationBatch": "phase-1"})
	for name, d := range r.resources {
		if slices.Contains(tagless, d.token) {
			continue
		}
		tags, ok := d.plain["tags"].(map[string]any)
		if !ok {
			t.Errorf("%s (%s) has no tags", name, d.token)
			continue
		}
		if tag := fmt.Sprint(tags["Name"]); !strings.Contains(tag, suffix) {
			t.Errorf("%s: the Name tag %q lacks the suffix", name, tag)
		}
		for _, inherited := range []string{"Environment", "MigrationBatch"} {
			if _, overridden := tags[inherited]; overridden {
				t.Errorf("%s sets %s itself instead of inheriting it", name, inherited)
			}
		}
	}
}

func TestEveryAwsResourceGoesThroughTheExplicitProvider(t *testing.T) {
	for name, d := range everything(t).resources {
		provider := d.request.GetProvider()
		if strings.HasPrefix(d.token, "aws:") && !strings.Contains(provider, "::pulumi:providers:aws::aws::") {
			t.Errorf("%s uses provider %q", name, provider)
		}
		if strings.HasPrefix(d.token, "random:") && provider != "" {
			t.Errorf("%s uses provider %q", name, provider)
		}
	}
}

func TestEveryPhysicalNameEndsInTheSuffix(t *testing.T) {
	for name, d := range everything(t).resources {
		rule, named := nameRules[d.token]
		if !named {
			if _, has := d.plain["name"]; has && d.token != "aws:route53/record:Record" {
				t.Errorf("%s (%s) is named, but has no row in nameRules", name, d.token)
			}
			continue
		}
		physical := d.text(t, rule.input)
		hierarchical := strings.HasPrefix(physical, "/")
		if !strings.HasSuffix(physical, "-"+suffix) && !(hierarchical && strings.Contains(physical, suffix+"/")) {
			t.Errorf("%s is named %q", name, physical)
		}
	}
}

// TestEveryNameIsLegalUnderEveryLegalSuffix reads the names once, with a known suffix, and puts others in its place.
func TestEveryNameIsLegalUnderEveryLegalSuffix(t *testing.T) {
	type template struct{ token, role, name string }
	const placeholder = "qqqq"
	var templates []template
	for role, d := range deploy(t, map[string]string{"environmentSuffix": placeholder}).resources {
		if rule, named := nameRules[d.token]; named {
			templates = append(templates, template{d.token, role, d.text(t, rule.input)})
		}
	}
	if len(templates) < 50 {
		t.Fatalf("only %d names found", len(templates))
	}
	pattern := fmt.Sprintf(`[a-z0-9](-?[a-z0-9]){0,%d}`, lib.MaxSuffixLength())
	rapid.Check(t, func(t *rapid.T) {
		drawn := rapid.StringMatching(pattern).Draw(t, "suffix")
		if _, err := lib.ParseConfig(legalValues(map[string]string{"environmentSuffix": drawn})); err != nil {
			t.Skip("not a legal suffix")
		}
		for _, c := range templates {
			name, rule := strings.ReplaceAll(c.name, placeholder, drawn), nameRules[c.token]
			if len(name) > rule.most || !rule.alphabet.MatchString(name) {
				t.Fatalf("%s: %q (%d characters) is not legal", c.role, name, len(name))
			}
			if strings.HasSuffix(name, "-s3alias") && c.token == "aws:s3/bucketV2:BucketV2" {
				t.Fatalf("S3 reserves the ending of %q", name)
			}
		}
	})
}

func TestTheLongestSuffixIsWhatTheTightestNameLeaves(t *testing.T) {
	longest := strings.Repeat("z", lib.MaxSuffixLength())
	r := deploy(t, map[string]string{"environmentSuffix": longest})
	tight := false
	for role, d := range r.resources {
		if rule, named := nameRules[d.token]; named {
			name := d.text(t, rule.input)
			if len(name) > rule.most {
				t.Errorf("%s: %q has %d characters of %d", role, name, len(name), rule.most)
			}
			tight = tight || len(name) == rule.most
		}
	}
	if !tight {
		t.Error("no name uses its whole limit: the suffix could be longer")
	}
}

func TestNothingIsProtectedOrRetained(t *testing.T) {
	for name, d := range everything(t).resources {
		if d.request.GetProtect() || d.request.GetRetainOnDelete() {
			t.Errorf("%s is protected or retained", name)
		}
		for _, input := range []string{"deletionProtection", "enableDeletionProtection", "skipDestroy"} {
			if d.plain[input] == true {
				t.Errorf("%s sets %s", name, input)
			}
		}
	}
	r := everything(t)
	cluster := r.one(t, "aurora-cluster")
	same(t, "Aurora", []any{cluster.at(t, "deletionProtection"), cluster.at(t, "skipFinalSnapshot"), cluster.at(t, "deleteAutomatedBackups")}, []any{false, true, true})
	same(t, "ALB protection", r.one(t, "alb").at(t, "enableDeletionProtection"), false)
	same(t, "bucket", r.one(t, "alb-logs").at(t, "forceDestroy"), true)
	for _, secret := range r.ofType("aws:secretsmanager/secret:Secret") {
		same(t, secret.name, secret.at(t, "recoveryWindowInDays"), 0)
	}
}

func TestEveryLogGroupKeepsThirtyDays(t *testing.T) {
	r := everything(t)
	var names []string
	for _, group := range r.ofType("aws:cloudwatch/logGroup:LogGroup") {
		same(t, group.name, group.at(t, "retentionInDays"), 30)
		names = append(names, group.text(t, "name"))
	}
	slices.Sort(names)
	same(t, "log groups", names, []string{
		"/aws/ecs/containerinsights/ecs-cluster-unit/performance", "/aws/rds/cluster/aurora-cluster-unit/postgresql",
		"/ecs/job-processor-unit", "/ecs/payment-api-unit", "/vpc/flow-log-unit", "aws-waf-logs-unit",
	})
	same(t, "log groups in the outputs", r.outputs[lib.OutputLogGroupNames].value, names)
}

func TestWhatAwsMakesByItselfIsMadeFirst(t *testing.T) {
	r := everything(t)
	for name, others := range map[string][]string{
		"aurora-cluster":               {"aurora-log-group"},
		"ecs-cluster":                  {"container-insights-log-group"},
		"vpc-flow-log":                 {"vpc-flow-log-policy", "vpc-flow-log-group"},
		"waf-logging":                  {"waf-logs-policy", "waf-log-group"},
		"payment-alerts-policy":        {"payment-alerts"},
		"rds-events":                   {"payment-alerts-policy", "aurora-cluster"},
		"dlq-messages-alarm":           {"payment-alerts-policy"},
		"alb":                          {"public-default-route", "alb-logs-policy"},
		"alb-logs-policy":              {"alb-logs-private", "alb-logs-encryption"},
		"nat-gateway-1":                {"public-default-route"},
		"nat-eip-1":                    {"public-default-route"},
		"aurora-writer":                {"rds-monitoring-policy"},
		"aurora-reader-1":              {"aurora-writer", "rds-monitoring-policy"},
		"aurora-reader-2":              {"aurora-writer", "rds-monitoring-policy"},
		"ecs-deployment-failed-target": {"payment-alerts-policy"},
	} {
		for _, other := range others {
			if !r.one(t, name).waitsFor(other) {
				t.Errorf("%s does not wait for %s", name, other)
			}
		}
	}
}

func TestAServiceStartsOnlyWhenItsTasksCanAndOutlivedByItsPolicies(t *testing.T) {
	r := everything(t)
	for _, service := range []string{"payment-api", "job-processor"} {
		for _, other := range []string{
			"api-rule", "health-rule",
			service + "-execution-policy", service + "-task-policy",
			"ecs-capacity-providers",
			"payment-db-credentials-value", "payment-api-keys-value",
			"aurora-writer", "aurora-reader-1", "aurora-reader-2",
			"private-default-route-1", "private-default-route-2", "private-default-route-3",
			"private-route-table-1-association-1", "payment-api-out-db", "db-in-job-processor", "secretsmanager-endpoint",
		} {
			if !r.one(t, service).waitsFor(other) {
				t.Errorf("%s does not wait for %s", service, other)
			}
		}
	}
}

func TestReplacementsOfNamedResourcesAreDeletedFirst(t *testing.T) {
	inUse := []string{"certificate", "certificate-validation", "payment-api-task", "job-processor-task"}
	for name, d := range everything(t).resources {
		if !strings.HasPrefix(d.token, "aws:") {
			continue
		}
		if got, want := d.request.GetDeleteBeforeReplace(), !slices.Contains(inUse, name); got != want {
			t.Errorf("%s: delete before replace is %v, want %v", name, got, want)
		}
	}
}

func TestWhatIsSlowToGoIsGivenTime(t *testing.T) {
	r := everything(t)
	slow := slices.Concat(
		r.ofType("aws:ec2/securityGroup:SecurityGroup"), r.ofType("aws:ec2/natGateway:NatGateway"), r.ofType("aws:rds/cluster:Cluster"),
		r.ofType("aws:rds/clusterInstance:ClusterInstance"), r.ofType("aws:lb/loadBalancer:LoadBalancer"), r.ofType("aws:ecs/service:Service"))
	if len(slow) != 5+3+1+3+1+2 {
		t.Errorf("found %d resources", len(slow))
	}
	for _, d := range slow {
		same(t, d.name, d.request.GetCustomTimeouts().GetDelete(), "60m")
	}
}

func TestEveryOutputIsThereAndNoneIsSecret(t *testing.T) {
	r := everything(t)
	want := []string{
		lib.OutputVpcID, lib.OutputPublicSubnetIDs, lib.OutputPrivateSubnetIDs, lib.OutputAvailabilityZones,
		lib.OutputAlbDNSName, lib.OutputAlbZoneID, lib.OutputAlbArn, lib.OutputAPIURL,
		lib.OutputClusterEndpoint, lib.OutputClusterReaderEndpoint, lib.OutputClusterIdentifier, lib.OutputDBEngineVersion,
		lib.OutputDBSecretArn, lib.OutputAPIKeysSecretArn, lib.OutputEcsClusterName,
		lib.OutputPaymentAPIServiceName, lib.OutputJobProcessorServiceName, lib.OutputQueueURL, lib.OutputDlqURL,
		lib.OutputAlertsTopicArn, lib.OutputLogGroupNames, lib.OutputParameterNames, lib.OutputDashboardURL,
	}
	slices.Sort(want)
	same(t, "outputs", slices.Sorted(maps.Keys(r.outputs)), want)
	for name, out := range r.outputs {
		text := fmt.Sprint(out.value)
		if out.secret {
			t.Errorf("%s is secret", name)
		}
		if text == "" || text == "[]" || text == "<nil>" {
			t.Errorf("%s is empty", name)
		}
		for _, secret := range []string{"Aa1!", "0707", "PRIVATE KEY"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows a secret", name)
			}
		}
	}
	same(t, "zones", r.outputs[lib.OutputAvailabilityZones].value, []string{"us-east-1c", "us-east-1b", "us-east-1a"})
	same(t, "API", r.outputs[lib.OutputAPIURL].value, "https://alb.example")
	same(t, "parameters", r.outputs[lib.OutputParameterNames].value, []string{
		"/payment/unit/api-retry-count", "/payment/unit/api-timeout-seconds", "/payment/unit/job-retry-count", "/payment/unit/queue-url",
	})
	same(t, "dashboard", r.outputs[lib.OutputDashboardURL].value,
		"https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#dashboards/dashboard/payment-platform-unit")
	same(t, "engine", r.outputs[lib.OutputDBEngineVersion].value, "16.6")
}

func TestSecretsAreMarkedAsSecretsWhereverTheyGo(t *testing.T) {
	r := everything(t)
	for name, input := range map[string]string{
		"aurora-cluster": "masterPassword", "payment-db-credentials-value": "secretString",
		"payment-api-keys-value": "secretString", "certificate": "privateKey",
	} {
		value := r.one(t, name).inputs[(resourceKey)(input)]
		if !value.IsSecret() {
			t.Errorf("%s.%s is not marked secret", name, input)
		}
	}
	for name, d := range r.resources {
		for key, value := range d.inputs {
			text := fmt.Sprint(plainMap(map[resourceKey]resourceValue{key: value}))
			shows := strings.Contains(text, "Aa1!") || strings.Contains(text, "070707") || strings.Contains(text, "PRIVATE KEY")
			if shows && !value.IsSecret() {
				t.Errorf("%s.%s shows a secret", name, key)
			}
		}
	}
}

func TestAPreviewOfAStackThatDoesNotExistDeclaresTheSameResources(t *testing.T) {
	real := deploy(t, nil)
	planned := newRecorder()
	planned.preview = true
	if err := run(planned, namespaced(legalValues(nil))); err != nil {
		t.Fatal(err)
	}
	same(t, "resources", slices.Sorted(maps.Keys(planned.resources)), slices.Sorted(maps.Keys(real.resources)))
}

func TestAnAnswerThatAwsOwesStopsTheProgramByName(t *testing.T) {
	for _, token := range []string{
		"aws:index/getCallerIdentity:getCallerIdentity", "aws:index/getRegion:getRegion",
		"aws:index/getPartition:getPartition", "aws:index/getAvailabilityZones:getAvailabilityZones", "aws:rds/cluster:Cluster",
	} {
		r := newRecorder()
		r.fail = token
		err := run(r, namespaced(legalValues(nil)))
		if err == nil || !strings.Contains(err.Error(), token+" is out of order") {
			t.Errorf("%s fails, and the program says %v", token, err)
		}
	}
}

func TestAResourceThatCannotBeDeclaredStopsTheProgramByName(t *testing.T) {
	for setting, values := range map[string]map[string]string{
		"everything on":           {"interfaceEndpoints": "true"},
		"a certificate by domain": {"domainName": "pay.example.com", "hostedZoneId": "Z123"},
	} {
		t.Run(setting, func(t *testing.T) {
			for name := range deploy(t, values).resources {
				if setting != "everything on" && !strings.Contains(name, "certificate") && name != "alias-record" {
					continue
				}
				r := newRecorder()
				r.refuse = name
				err := run(r, namespaced(legalValues(values)))
				said := "declaring " + name + ": "
				if name == "aws" {
					said = "declaring the AWS provider: "
				}
				if err == nil || !strings.Contains(err.Error(), said) {
					t.Errorf("%s is refused, and the program says %v", name, err)
				}
			}
		})
	}
}

func TestARegionWithoutThreeZonesIsRefused(t *testing.T) {
	r := newRecorder()
	r.zones = map[string]string{"usw1-az1": "us-west-1a", "usw1-az3": "us-west-1b"}
	err := run(r, namespaced(legalValues(nil)))
	if err == nil || !strings.Contains(err.Error(), "2 usable ones, 3 are needed") {
		t.Errorf("got %v", err)
	}
}
