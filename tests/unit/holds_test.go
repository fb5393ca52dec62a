package unit_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// variants are the configurations that change which resources there are; the default one has no name.
func variants() map[string]map[string]string {
	return map[string]map[string]string{
		"":                    nil,
		"waf-off":             {"waf": "false"},
		"interface-endpoints": {"interfaceEndpoints": "true"},
		"certificate-arn":     {"certificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/mine"},
		"domain-name":         {"domainName": "pay.example.com", "hostedZoneId": "Z123"},
	}
}

func TestEveryStackKeepsTheInvariants(t *testing.T) {
	for name, settings := range variants() {
		r := deploy(t, settings)
		for _, rule := range invariants() {
			t.Run(strings.TrimPrefix(name+"/"+rule.says, "/"), func(t *testing.T) {
				for _, fault := range rule.faults(&r.recording) {
					t.Error(fault)
				}
			})
		}
	}
}

// with changes one recorded resource, as another program might have declared it.
func (r *recording) with(name string, change func(*declared)) {
	d := r.resources[name]
	d.plain, d.inputs = maps.Clone(d.plain), maps.Clone(d.inputs)
	d.request, _ = proto.Clone(d.request).(*pulumirpc.RegisterResourceRequest)
	change(&d)
	r.resources[name] = d
}

// set changes one input.
func (r *recording) set(name, input string, value any) {
	r.with(name, func(d *declared) { d.plain[input] = value })
}

// unset removes one input.
func (r *recording) unset(name, input string) {
	r.with(name, func(d *declared) { delete(d.plain, input) })
}

// replace changes a part of a text input.
func (r *recording) replace(name, input, old, updated string) {
	r.with(name, func(d *declared) {
		text, _ := d.plain[input].(string)
		d.plain[input] = strings.ReplaceAll(text, old, updated)
	})
}

// forget makes a resource wait for another no longer.
func (r *recording) forget(name, other string) {
	r.with(name, func(d *declared) {
		d.request.Dependencies = slices.DeleteFunc(d.request.GetDependencies(), func(urn string) bool { return nameIn(urn) == other })
	})
}

// TestEveryInvariantCanFail spoils a recording in many ways. Each must be told by the invariant that it is listed
// under, naming the resource.
func TestEveryInvariantCanFail(t *testing.T) {
	type spoiled struct {
		says  string // what the fault must contain
		spoil func(*recording)
	}
	cases := map[string][]spoiled{
		"every taggable resource has its own name as a tag and inherits those of the brief": {
			{"vpc (aws:ec2/vpc:Vpc) has no Name tag", func(r *recording) { r.unset("vpc", "tags") }},
			{"waf (aws:wafv2/webAcl:WebAcl) has no Name tag", func(r *recording) { r.unset("waf", "tags") }},
			{`vpc: the Name tag "vpc" does not end in the suffix`, func(r *recording) { r.set("vpc", "tags", map[string]any{"Name": "vpc"}) }},
			{`alb is named alb-unit but tagged "lb-unit"`, func(r *recording) { r.set("alb", "tags", map[string]any{"Name": "lb-unit"}) }},
			{"vpc sets the tag Environment itself", func(r *recording) {
				r.set("vpc", "tags", map[string]any{"Name": "vpc-unit", "Environment": "test"})
			}},
			{`vpc: the tag "Name"="a;b-unit" is not one`, func(r *recording) { r.set("vpc", "tags", map[string]any{"Name": "a;b-unit"}) }},
			{"the provider's default tag MigrationBatch is <nil>", func(r *recording) {
				r.set("aws", "defaultTags", map[string]any{"tags": map[string]any{"Environment": "production"}})
			}},
		},
		"every resource and every question goes through the explicit provider": {
			{`vpc (aws:ec2/vpc:Vpc) uses provider ""`, func(r *recording) { r.with("vpc", func(d *declared) { d.request.Provider = "" }) }},
			{`getRegion is asked of provider ""`, func(r *recording) { r.calls["aws:index/getRegion:getRegion"] = call{} }},
		},
		"every physical name is set and none is left to chance": {
			{"payment-jobs leaves name to auto-naming", func(r *recording) { r.unset("payment-jobs", "name") }},
			{"waf leaves name to auto-naming", func(r *recording) { r.unset("waf", "name") }},
			{"aurora-writer leaves identifier to auto-naming", func(r *recording) { r.unset("aurora-writer", "identifier") }},
			{"alb-logs sets bucketPrefix", func(r *recording) { r.set("alb-logs", "bucketPrefix", "logs-") }},
		},
		"every physical name ends in the suffix and is one that AWS takes": {
			{`payment-jobs: the name "payment-jobs" does not end in the suffix`, func(r *recording) { r.set("payment-jobs", "name", "payment-jobs") }},
			{"AWS takes 32", func(r *recording) { r.set("alb", "name", strings.Repeat("a", 28)+"-unit") }},
			{`"pay_api-unit" does not match`, func(r *recording) { r.set("payment-api-tg", "name", "pay_api-unit") }},
			{"AWS reserves ^internal-", func(r *recording) { r.set("alb", "name", "internal-alb-unit") }},
			{"the names (name) of aws:ec2/vpc:Vpc have no rule", func(r *recording) { r.set("vpc", "name", "vpc-unit") }},
		},
		"every description is one that AWS takes": {
			{"alb-in-https: the description", func(r *recording) { r.set("alb-in-https", "description", "Zürich’s door") }},
			{"db-sg: the description", func(r *recording) { r.set("db-sg", "description", "Managed by Pulumi") }},
			{"queue-url: the description", func(r *recording) { r.unset("queue-url", "description") }},
		},
		"nothing is protected or kept when the stack goes": {
			{"vpc is protected", func(r *recording) { r.with("vpc", func(d *declared) { protect := true; d.request.Protect = &protect }) }},
			{"vpc is retained on delete", func(r *recording) {
				r.with("vpc", func(d *declared) { retain := true; d.request.RetainOnDelete = &retain })
			}},
			{"aurora-cluster: deletionProtection is true", func(r *recording) { r.set("aurora-cluster", "deletionProtection", true) }},
			{"aurora-cluster: skipFinalSnapshot is false", func(r *recording) { r.unset("aurora-cluster", "skipFinalSnapshot") }},
			{"aurora-cluster: finalSnapshotIdentifier is last", func(r *recording) { r.set("aurora-cluster", "finalSnapshotIdentifier", "last") }},
			{"aurora-cluster: deleteAutomatedBackups is false", func(r *recording) { r.set("aurora-cluster", "deleteAutomatedBackups", false) }},
			{"alb: enableDeletionProtection is true", func(r *recording) { r.set("alb", "enableDeletionProtection", true) }},
			{"alb-logs: forceDestroy is false", func(r *recording) { r.unset("alb-logs", "forceDestroy") }},
			{"payment-api-keys: recoveryWindowInDays is 30", func(r *recording) { r.unset("payment-api-keys", "recoveryWindowInDays") }},
			{"payment-alerts-key: deletionWindowInDays is 30", func(r *recording) { r.unset("payment-alerts-key", "deletionWindowInDays") }},
			{"waf-log-group: skipDestroy is true", func(r *recording) { r.set("waf-log-group", "skipDestroy", true) }},
		},
		"every log group keeps its lines for thirty days": {
			{"waf-log-group keeps 14 days", func(r *recording) { r.set("waf-log-group", "retentionInDays", 14.0) }},
			{"waf-log-group keeps <nil> days", func(r *recording) { r.unset("waf-log-group", "retentionInDays") }},
		},
		"every role is assumed by one service for this account alone": {
			{"vpc-flow-log-role is assumed by map[AWS:[*]]", func(r *recording) {
				r.replace("vpc-flow-log-role", "assumeRolePolicy", `"Service":["vpc-flow-logs.amazonaws.com"]`, `"AWS":["*"]`)
			}},
			{"is assumed by", func(r *recording) {
				r.replace("vpc-flow-log-role", "assumeRolePolicy", `amazonaws.com"`, `amazonaws.com","ec2.amazonaws.com"`)
			}},
			{"the trust policy allows [sts:*]", func(r *recording) {
				r.replace("vpc-flow-log-role", "assumeRolePolicy", "sts:AssumeRole", "sts:*")
			}},
			{"vpc-flow-log-role may be assumed for another account", func(r *recording) {
				r.replace("vpc-flow-log-role", "assumeRolePolicy", "aws:SourceAccount", "aws:PrincipalAccount")
			}},
			{"vpc-flow-log-role may be assumed for [*]", func(r *recording) {
				r.replace("vpc-flow-log-role", "assumeRolePolicy", "arn:aws:ec2:us-east-1:123456789012:vpc-flow-log/*", "*")
			}},
			{"is no policy", func(r *recording) { r.set("vpc-flow-log-role", "assumeRolePolicy", "{") }},
		},
		"no role may do everything or anywhere": {
			{"payment-api-task-policy allows sqs:*", func(r *recording) { r.replace("payment-api-task-policy", "policy", "sqs:SendMessage", "sqs:*") }},
			{"payment-api-task-policy allows *", func(r *recording) { r.replace("payment-api-task-policy", "policy", "sqs:SendMessage", "*") }},
			{"payment-api-task-policy allows sqs:SendMessage on everything", func(r *recording) {
				r.replace("payment-api-task-policy", "policy", arnOf("payment-jobs"), "*")
			}},
		},
		"everything is made after what it needs and goes before it": {
			{"payment-api does not wait for health-rule", func(r *recording) { r.forget("payment-api", "health-rule") }},
			{"payment-api does not wait for payment-api-task-policy", func(r *recording) { r.forget("payment-api", "payment-api-task-policy") }},
			{"job-processor does not wait for aurora-reader-2", func(r *recording) { r.forget("job-processor", "aurora-reader-2") }},
			{"payment-api does not wait for db-in-payment-api", func(r *recording) { r.forget("payment-api", "db-in-payment-api") }},
			{"aurora-reader-1 does not wait for aurora-writer", func(r *recording) { r.forget("aurora-reader-1", "aurora-writer") }},
			{"aurora-cluster does not wait for aurora-log-group", func(r *recording) { r.forget("aurora-cluster", "aurora-log-group") }},
			{"aurora-cluster has nothing to wait for", func(r *recording) { r.set("aurora-log-group", "name", "/aws/rds/other") }},
			{"ecs-cluster does not wait for container-insights-log-group", func(r *recording) { r.forget("ecs-cluster", "container-insights-log-group") }},
			{"alb does not wait for alb-logs-policy", func(r *recording) { r.forget("alb", "alb-logs-policy") }},
			{"nat-gateway-2 does not wait for public-default-route", func(r *recording) {
				r.forget("nat-gateway-2", "public-default-route")
				r.forget("nat-eip-2", "public-default-route")
			}},
			{"dlq-messages-alarm does not wait for payment-alerts-policy", func(r *recording) { r.forget("dlq-messages-alarm", "payment-alerts-policy") }},
			{"rds-events does not wait for payment-alerts-policy", func(r *recording) { r.forget("rds-events", "payment-alerts-policy") }},
			{"waf-logging does not wait for waf-logs-policy", func(r *recording) { r.forget("waf-logging", "waf-logs-policy") }},
			{"payment-jobs-policy does not wait for payment-jobs-dlq-redrive-allow", func(r *recording) {
				r.forget("payment-jobs-policy", "payment-jobs-dlq-redrive-allow")
			}},
			{"aws:ecs/service:Service is not declared", func(r *recording) {
				delete(r.resources, "payment-api")
				delete(r.resources, "job-processor")
			}},
		},
		"every dependency and every parent is declared": {
			{"which is not declared", func(r *recording) { delete(r.resources, "payment-jobs") }},
			{`vpc stands under ""`, func(r *recording) { r.with("vpc", func(d *declared) { d.request.Parent = "" }) }},
		},
		"what comes straight from a secret is marked secret": {
			{"aurora-cluster.masterPassword comes from [db-password]", func(r *recording) {
				r.with("aurora-cluster", func(d *declared) { d.inputs["masterPassword"] = d.inputs["masterPassword"].SecretValue().Element })
			}},
			{"certificate.privateKey comes from [certificate-seed]", func(r *recording) {
				r.with("certificate", func(d *declared) { d.inputs["privateKey"] = d.inputs["privateKey"].SecretValue().Element })
			}},
		},
		"no output is secret or empty": {
			{"vpcId is secret", func(r *recording) { r.outputs["vpcId"] = output{"vpc-1", true} }},
			{"vpcId is empty", func(r *recording) { r.outputs["vpcId"] = output{"", false} }},
			{"there are no outputs", func(r *recording) { clear(r.outputs) }},
		},
		"a resource with a name of its own is deleted before its replacement is made": {
			{"alb (aws:lb/loadBalancer:LoadBalancer): delete before replace is false", func(r *recording) {
				r.with("alb", func(d *declared) { d.request.DeleteBeforeReplace = false })
			}},
			{"certificate (aws:acm/certificate:Certificate): delete before replace is true", func(r *recording) {
				r.with("certificate", func(d *declared) { d.request.DeleteBeforeReplace = true })
			}},
		},
		"only the load balancer is open to the internet": {
			{"alb-in-https opens [alb-sg] port 22", func(r *recording) {
				r.set("alb-in-https", "fromPort", 22.0)
				r.set("alb-in-https", "toPort", 22.0)
			}},
			{"alb-in-https opens [alb-sg] port 443", func(r *recording) { r.set("alb-in-https", "toPort", 65535.0) }},
			{"db-in-payment-api opens [db-sg] port 5432 to 0.0.0.0/0", func(r *recording) {
				r.unset("db-in-payment-api", "referencedSecurityGroupId")
				r.set("db-in-payment-api", "cidrIpv4", "0.0.0.0/0")
			}},
			{"public-subnet-1 gives public addresses", func(r *recording) { r.set("public-subnet-1", "mapPublicIpOnLaunch", true) }},
			{"aurora-writer has a public address", func(r *recording) { r.set("aurora-writer", "publiclyAccessible", true) }},
			{"payment-api has a public address", func(r *recording) {
				r.set("payment-api", "networkConfiguration", map[string]any{"assignPublicIp": true})
			}},
		},
		"the subnets lie in the VPC and apart, a public and a private one in each of three zones": {
			{"private-subnet-1 is 10.9.16.0/20 in 10.0.0.0/16", func(r *recording) { r.set("private-subnet-1", "cidrBlock", "10.9.16.0/20") }},
			{"overlaps", func(r *recording) { r.set("private-subnet-1", "cidrBlock", "10.0.0.0/20") }},
			{"the private subnets are in 2 zones", func(r *recording) {
				r.set("private-subnet-1", "availabilityZone", r.resources["private-subnet-2"].plain["availabilityZone"])
			}},
			{"there are 5 subnets", func(r *recording) { delete(r.resources, "public-subnet-1") }},
		},
		"what is declared by token alone has the SDK's inputs": {
			{"waf.descriptoin is not an input that the SDK knows", func(r *recording) { r.set("waf", "descriptoin", "x") }},
			{"waf.scope is required", func(r *recording) { r.unset("waf", "scope") }},
			{"waf.rules[0].priority is string, the SDK wants int", func(r *recording) {
				r.set("waf", "rules", []any{map[string]any{"name": "a", "priority": "0", "visibilityConfig": r.resources["waf"].plain["visibilityConfig"]}})
			}},
			{"waf.rules is string, the SDK wants []WebAclRule", func(r *recording) { r.set("waf", "rules", "none") }},
			{"waf-logging.redactedFields[0].header is not an input", func(r *recording) {
				r.set("waf-logging", "redactedFields", []any{map[string]any{"header": "authorization"}})
			}},
		},
	}
	whole := deploy(t, nil)
	for _, rule := range invariants() {
		if len(cases[rule.says]) == 0 {
			t.Errorf("nothing shows that %q can fail", rule.says)
		}
		for i, c := range cases[rule.says] {
			t.Run(fmt.Sprintf("%s/%d", rule.says, i), func(t *testing.T) {
				r := whole.recording
				r.resources, r.outputs, r.calls = maps.Clone(r.resources), maps.Clone(r.outputs), maps.Clone(r.calls)
				c.spoil(&r)
				faults := rule.faults(&r)
				if !slices.ContainsFunc(faults, func(fault string) bool { return strings.Contains(fault, c.says) }) {
					t.Errorf("no fault says %q; the faults are %q", c.says, faults)
				}
			})
		}
		delete(cases, rule.says)
	}
	for says := range cases {
		t.Errorf("there is no invariant %q", says)
	}
}

// TestWhatIsNotMarkedSecretDoesNotDependOnASecret runs the program twice, with all secrets changed. Whatever differs
// and is not marked was derived from a secret, by whatever path.
func TestWhatIsNotMarkedSecretDoesNotDependOnASecret(t *testing.T) {
	for name, settings := range variants() {
		t.Run(name, func(t *testing.T) {
			was, now := deploy(t, settings), newRecorder()
			now.seed, now.password = was.seed+1, "Zz9?other-secret"
			if err := run(now, namespaced(legalValues(settings))); err != nil {
				t.Fatal(err)
			}
			marked := 0
			for name, d := range was.resources {
				for key, value := range d.inputs {
					before, after := redacted(value), redacted(now.resources[name].inputs[key])
					public := d.token == "aws:acm/certificate:Certificate" && key == "certificateBody"
					if fmt.Sprint(before) != fmt.Sprint(after) && !public {
						t.Errorf("%s.%s depends on a secret and is not marked", name, key)
					}
					if strings.Contains(fmt.Sprint(before), hidden) {
						marked++
					}
				}
			}
			for name, out := range was.outputs {
				if fmt.Sprint(out.value) != fmt.Sprint(now.outputs[name].value) {
					t.Errorf("the output %s depends on a secret", name)
				}
			}
			if marked < 3 {
				t.Errorf("only %d inputs are marked secret: the password, the credentials and the keys must be", marked)
			}
		})
	}
}

// The one value that is taken out of a secret on purpose.
func TestTheOnlyThingTakenOutOfASecretIsTheCertificatesPublicHalf(t *testing.T) {
	body := deploy(t, nil).one(t, "certificate").text(t, "certificateBody")
	if !strings.HasPrefix(body, "-----BEGIN CERTIFICATE-----") || strings.Count(body, "-----BEGIN") != 1 {
		t.Error("the certificate's body is not one PEM certificate alone")
	}
}
