package unit_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
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
			t.Run(strings.TrimPrefix(name+"/"+rule.sentence, "/"), func(t *testing.T) {
				assert.Empty(t, rule.faults(&r.recording))
			})
		}
	}
}

// change makes a recording look as another program might have made it.
type change func(*recording)

// to changes one resource.
func to(name string, change func(*registration)) change {
	return func(r *recording) {
		d := r.resources[name]
		d.plain, d.inputs = maps.Clone(d.plain), maps.Clone(d.inputs)
		d.request, _ = proto.Clone(d.request).(*pulumirpc.RegisterResourceRequest)
		change(&d)
		r.resources[name] = d
	}
}

func set(name, input string, value any) change {
	return to(name, func(d *registration) { d.plain[input] = value })
}

func unset(name, input string) change {
	return to(name, func(d *registration) { delete(d.plain, input) })
}

// replace changes a part of a text input.
func replace(name, input, old, updated string) change {
	return to(name, func(d *registration) { d.plain[input] = strings.ReplaceAll(d.plain[input].(string), old, updated) })
}

// unmark takes away an input's mark of secrecy.
func unmark(name, input string) change {
	return to(name, func(d *registration) {
		d.inputs[resource.PropertyKey(input)] = d.inputs[resource.PropertyKey(input)].SecretValue().Element
	})
}

// independent makes a resource wait for another no longer.
func independent(name, other string) change {
	return to(name, func(d *registration) {
		d.request.Dependencies = slices.DeleteFunc(d.request.GetDependencies(), func(urn string) bool { return nameIn(urn) == other })
	})
}

func remove(names ...string) change {
	return func(r *recording) {
		for _, name := range names {
			delete(r.resources, name)
		}
	}
}

func both(first, second change) change {
	return func(r *recording) {
		first(r)
		second(r)
	}
}

type object = map[string]any

// violations lists changes by the invariant that each violates, and what the fault must say.
func violations() map[string]map[string]change {
	yes := true
	return map[string]map[string]change{
		"every taggable resource has its own name as a tag and inherits those of the brief": {
			"vpc (aws:ec2/vpc:Vpc) has no Name tag":              unset("vpc", "tags"),
			"waf (aws:wafv2/webAcl:WebAcl) has no Name tag":      unset("waf", "tags"),
			`vpc: the Name tag "vpc" does not end in the suffix`: set("vpc", "tags", object{"Name": "vpc"}),
			`alb is named alb-unit but tagged "lb-unit"`:         set("alb", "tags", object{"Name": "lb-unit"}),
			"vpc sets the tag Environment itself":                set("vpc", "tags", object{"Name": "vpc-unit", "Environment": "test"}),
			`vpc: the tag "Name"="a;b-unit" is not one`:          set("vpc", "tags", object{"Name": "a;b-unit"}),
			"the provider's default tag MigrationBatch is <nil>": set("aws", "defaultTags", object{"tags": object{"Environment": "production"}}),
		},
		"every resource and every call goes through the explicit provider": {
			`vpc (aws:ec2/vpc:Vpc) uses provider ""`: to("vpc", func(d *registration) { d.request.Provider = "" }),
			`getRegion is called of provider ""`:     func(r *recording) { r.calls["aws:index/getRegion:getRegion"] = call{} },
		},
		"every physical name is set and none is left to chance": {
			"payment-jobs leaves name to auto-naming":        unset("payment-jobs", "name"),
			"waf leaves name to auto-naming":                 unset("waf", "name"),
			"aurora-writer leaves identifier to auto-naming": unset("aurora-writer", "identifier"),
			"alb-logs sets bucketPrefix":                     set("alb-logs", "bucketPrefix", "logs-"),
		},
		"every physical name ends in the suffix and is one that AWS takes": {
			`payment-jobs: the name "payment-jobs" does not end in the suffix`: set("payment-jobs", "name", "payment-jobs"),
			"AWS takes 32":                                     set("alb", "name", strings.Repeat("a", 28)+"-unit"),
			`"pay_api-unit" does not match`:                    set("api-https-8443", "name", "pay_api-unit"),
			"AWS reserves ^internal-":                          set("alb", "name", "internal-alb-unit"),
			"the names (name) of aws:ec2/vpc:Vpc have no rule": set("vpc", "name", "vpc-unit"),
		},
		"every description is one that AWS takes": {
			"alb-in-https: the description": set("alb-in-https", "description", "Zürich’s door"),
			"db-sg: the description":        set("db-sg", "description", "Managed by Pulumi"),
			"queue-url: the description":    unset("queue-url", "description"),
		},
		"what a hand can switch off is switched on again": {
			"default-sg: ingress is <nil>, must be []":            unset("default-sg", "ingress"),
			"ecs-deployment-failed: state is <nil>":               unset("ecs-deployment-failed", "state"),
			"payment-api-scaling-target: suspendedState is map[]": set("payment-api-scaling-target", "suspendedState", object{}),
		},
		"nothing is protected or kept when the stack goes": {
			"vpc is protected":                                to("vpc", func(d *registration) { d.request.Protect = &yes }),
			"vpc is retained on delete":                       to("vpc", func(d *registration) { d.request.RetainOnDelete = &yes }),
			"aurora-cluster: deletionProtection is true":      set("aurora-cluster", "deletionProtection", true),
			"aurora-cluster: skipFinalSnapshot is false":      unset("aurora-cluster", "skipFinalSnapshot"),
			"aurora-cluster: finalSnapshotIdentifier is last": set("aurora-cluster", "finalSnapshotIdentifier", "last"),
			"aurora-cluster: deleteAutomatedBackups is false": set("aurora-cluster", "deleteAutomatedBackups", false),
			"alb: enableDeletionProtection is true":           set("alb", "enableDeletionProtection", true),
			"alb-logs: forceDestroy is false":                 unset("alb-logs", "forceDestroy"),
			"payment-api-keys: recoveryWindowInDays is 30":    unset("payment-api-keys", "recoveryWindowInDays"),
			"payment-alerts-key: deletionWindowInDays is 30":  unset("payment-alerts-key", "deletionWindowInDays"),
			"waf-log-group: skipDestroy is true":              set("waf-log-group", "skipDestroy", true),
		},
		"every log group keeps its lines for thirty days": {
			"waf-log-group keeps 14 days":    set("waf-log-group", "retentionInDays", 14.0),
			"waf-log-group keeps <nil> days": unset("waf-log-group", "retentionInDays"),
		},
		"every policy document is current and complete": {
			"vpc-flow-log-role.assumeRolePolicy: reading a policy":                                               set("vpc-flow-log-role", "assumeRolePolicy", "{"),
			`payment-jobs-policy.policy is of version "2008-10-17"`:                                              replace("payment-jobs-policy", "policy", "2012-10-17", "2008-10-17"),
			`payment-jobs-policy.policy has lists of one, which AWS gives back as strings: ["Action":["sqs:*"]]`: replace("payment-jobs-policy", "policy", `"sqs:*"`, `["sqs:*"]`),
			`waf-logs-policy.policyDocument: statement "" is incomplete or repeated`:                             replace("waf-logs-policy", "policyDocument", "DeliverFirewallLogs", ""),
			`payment-api-task-policy.policy: statement "SendJobs" is incomplete or repeated`:                     replace("payment-api-task-policy", "policy", "ReadParameters", "SendJobs"),
			`payment-jobs-policy.policy: statement DenyPlainTransport is on []`:                                  replace("payment-jobs-policy", "policy", `"Resource"`, `"NotResource"`),
		},
		"every role is assumed by one service for this account alone": {
			"vpc-flow-log-role is assumed by map[AWS:[*]]":         replace("vpc-flow-log-role", "assumeRolePolicy", `"Service":"vpc-flow-logs.amazonaws.com"`, `"AWS":"*"`),
			"ec2.amazonaws.com]]":                                  replace("vpc-flow-log-role", "assumeRolePolicy", `"vpc-flow-logs.amazonaws.com"`, `["vpc-flow-logs.amazonaws.com","ec2.amazonaws.com"]`),
			"the trust policy allows [sts:*]":                      replace("vpc-flow-log-role", "assumeRolePolicy", "sts:AssumeRole", "sts:*"),
			"vpc-flow-log-role may be assumed for another account": replace("vpc-flow-log-role", "assumeRolePolicy", "aws:SourceAccount", "aws:PrincipalAccount"),
			"vpc-flow-log-role may be assumed for [*]":             replace("vpc-flow-log-role", "assumeRolePolicy", "arn:aws:ec2:us-east-1:123456789012:vpc-flow-log/*", "*"),
		},
		"every VPC endpoint is for the layers of images, or for this account and its service alone": {
			"s3-endpoint lets everything through":                              unset("s3-endpoint", "policy"),
			"s3-endpoint lets through [s3:GetObject on *]":                     replace("s3-endpoint", "policy", "arn:aws:s3:::prod-us-east-1-starport-layer-bucket/*", "*"),
			"s3-endpoint lets through [s3:PutObject on arn:aws:s3:::prod-us-e": replace("s3-endpoint", "policy", "GetObject", "PutObject"),
		},
		"no role may do everything or anywhere": {
			"payment-api-task-policy allows sqs:*":                         replace("payment-api-task-policy", "policy", "sqs:SendMessage", "sqs:*"),
			"payment-api-task-policy allows *":                             replace("payment-api-task-policy", "policy", "sqs:SendMessage", "*"),
			"payment-api-task-policy allows sqs:SendMessage on everything": replace("payment-api-task-policy", "policy", "arn:aws:mock:us-east-1:123456789012:payment-jobs", "*"),
		},
		"every execution role reads exactly what its task definition names": {
			"payment-api-task names": replace("payment-api-task", "containerDefinitions", "payment-api-keys", "other-keys"),
			"payment-db-credentials-policy lets payment-migrate-execution-role read: false": replace("payment-db-credentials-policy", "policy", "payment-migrate-execution", "payment-migrate-task"),
			"payment-db-credentials-policy lets payment-api-execution-role read: true":      replace("payment-db-credentials-policy", "policy", "payment-migrate-execution", "payment-api-execution"),
			"payment-api-keys-policy lets job-processor-execution-role read: true":          replace("payment-api-keys-policy", "policy", "payment-api-execution", "job-processor-execution"),
			"job-processor-task names": replace("job-processor-execution-policy", "policy", "ssm:GetParameters", "ssm:GetParameter"),
		},
		"no resource's policy lets anyone in from outside the account, or without TLS": {
			"payment-alerts-policy lets in [cloudwatch.amazonaws.com events.rds.amazonaws.com]": replace("payment-alerts-policy", "policy", "aws:SourceAccount", "aws:SourceOrgID"),
			"payment-alerts-key lets in [arn:aws:iam::210987654321:root]":                       replace("payment-alerts-key", "policy", "iam::123456789012", "iam::210987654321"),
			"waf-logs-policy lets in [delivery.logs.amazonaws.com]":                             replace("waf-logs-policy", "policyDocument", account, "210987654321"),
			"waf-logs-policy lets in everyone":                                                  replace("waf-logs-policy", "policyDocument", `"Service":"delivery.logs.amazonaws.com"`, `"AWS":"*"`),
			"alb-logs-policy allows s3:GetObject without TLS":                                   replace("alb-logs-policy", "policy", "s3:*", "s3:PutObject"),
			"payment-api-keys-policy allows secretsmanager:GetSecretValue without TLS":          replace("payment-api-keys-policy", "policy", "Deny", "Allow"),
			"payment-jobs-dlq-policy allows sqs:ReceiveMessage without TLS":                     replace("payment-jobs-dlq-policy", "policy", "false", "true"),
			"payment-alerts-policy allows sns:Publish without TLS":                              replace("payment-alerts-policy", "policy", "SecureTransport", "ViaAWSService"),
		},
		"everything is made after what it needs and goes before it": {
			"payment-api does not wait for health-rule":                            independent("payment-api", "health-rule"),
			"payment-api does not wait for payment-api-task-policy":                independent("payment-api", "payment-api-task-policy"),
			"payment-api does not wait for payment-api-db-credentials-value":       both(independent("payment-api", "payment-api-db-credentials-value"), independent("payment-api-task", "payment-api-db-credentials-value")),
			"job-processor does not wait for aurora-reader-2":                      independent("job-processor", "aurora-reader-2"),
			"payment-api does not wait for db-in-payment-api":                      independent("payment-api", "db-in-payment-api"),
			"aurora-reader-1 does not wait for aurora-writer":                      independent("aurora-reader-1", "aurora-writer"),
			"aurora-cluster does not wait for aurora-log-group":                    independent("aurora-cluster", "aurora-log-group"),
			"aurora-cluster has nothing to wait for":                               set("aurora-log-group", "name", "/aws/rds/other"),
			"ecs-cluster does not wait for container-insights-log-group":           independent("ecs-cluster", "container-insights-log-group"),
			"alb does not wait for alb-logs-policy":                                independent("alb", "alb-logs-policy"),
			"nat-gateway-2 does not wait for public-default-route":                 both(independent("nat-gateway-2", "public-default-route"), independent("nat-eip-2", "public-default-route")),
			"dlq-messages-alarm does not wait for payment-alerts-policy":           independent("dlq-messages-alarm", "payment-alerts-policy"),
			"db-cluster-events does not wait for payment-alerts-policy":            independent("db-cluster-events", "payment-alerts-policy"),
			"waf-logging does not wait for waf-logs-policy":                        independent("waf-logging", "waf-logs-policy"),
			"payment-jobs-policy does not wait for payment-jobs-dlq-redrive-allow": independent("payment-jobs-policy", "payment-jobs-dlq-redrive-allow"),
			"aws:ecs/service:Service is not declared":                              remove("payment-api", "job-processor"),
		},
		"every dependency and every parent is declared": {
			"which is not declared": remove("payment-jobs"),
			`vpc stands under ""`:   to("vpc", func(d *registration) { d.request.Parent = "" }),
		},
		"what comes straight from a secret is marked secret": {
			"aurora-cluster.masterPassword comes from [db-password]": unmark("aurora-cluster", "masterPassword"),
			"certificate.privateKey comes from [certificate-seed]":   unmark("certificate", "privateKey"),
		},
		"no output is secret or empty": {
			"vpcId is secret":      func(r *recording) { r.outputs["vpcId"] = output{"vpc-1", true} },
			"vpcId is empty":       func(r *recording) { r.outputs["vpcId"] = output{"", false} },
			"there are no outputs": func(r *recording) { clear(r.outputs) },
		},
		"a resource with a name of its own is deleted before its replacement is made": {
			"alb (aws:lb/loadBalancer:LoadBalancer): delete before replace is false":       to("alb", func(d *registration) { d.request.DeleteBeforeReplace = false }),
			"certificate (aws:acm/certificate:Certificate): delete before replace is true": to("certificate", func(d *registration) { d.request.DeleteBeforeReplace = true }),
		},
		"only the load balancer is open to the internet": {
			"alb-in-https opens [alb-sg] port 22":                    both(set("alb-in-https", "fromPort", 22.0), set("alb-in-https", "toPort", 22.0)),
			"alb-in-https opens [alb-sg] port 443":                   set("alb-in-https", "toPort", 65535.0),
			"db-in-payment-api opens [db-sg] port 5432 to 0.0.0.0/0": both(unset("db-in-payment-api", "referencedSecurityGroupId"), set("db-in-payment-api", "cidrIpv4", "0.0.0.0/0")),
			"default-sg has rules besides":                           set("default-sg", "ingress", []any{object{"protocol": "-1"}}),
			"public-subnet-1 gives public addresses":                 set("public-subnet-1", "mapPublicIpOnLaunch", true),
			"aurora-writer has a public address":                     set("aurora-writer", "publiclyAccessible", true),
			"payment-api has a public address":                       set("payment-api", "networkConfiguration", object{"assignPublicIp": true}),
		},
		"the subnets lie in the VPC and apart, a public and a private one in each of three zones": {
			"private-subnet-1 is 10.9.16.0/20 in 10.0.0.0/16": set("private-subnet-1", "cidrBlock", "10.9.16.0/20"),
			"overlaps":                           set("private-subnet-1", "cidrBlock", "10.0.0.0/20"),
			"the private subnets are in 2 zones": set("private-subnet-1", "availabilityZone", "us-east-1b"),
			"there are 5 subnets":                remove("public-subnet-1"),
		},
		"what is declared by token alone has the SDK's inputs": {
			"waf.descriptoin is not an input that the SDK knows":   set("waf", "descriptoin", "x"),
			"waf.scope is required":                                unset("waf", "scope"),
			"waf.rules[0].priority is string, the SDK wants int":   set("waf", "rules", []any{object{"name": "a", "priority": "0"}}),
			"waf.rules is string, the SDK wants []WebAclRule":      set("waf", "rules", "none"),
			"waf-logging.redactedFields[0].header is not an input": set("waf-logging", "redactedFields", []any{object{"header": "authorization"}}),
		},
	}
}

// TestEveryInvariantCanFail makes every change to a recording. Each must be told by the invariant that it is listed under.
func TestEveryInvariantCanFail(t *testing.T) {
	whole, changes := deploy(t, nil), violations()
	for _, rule := range invariants() {
		assert.NotEmpty(t, changes[rule.sentence], "nothing shows that %q can fail", rule.sentence)
		for message, change := range changes[rule.sentence] {
			r := whole.recording
			r.resources, r.outputs, r.calls = maps.Clone(r.resources), maps.Clone(r.outputs), maps.Clone(r.calls)
			change(&r)
			assert.Contains(t, strings.Join(rule.faults(&r), "\n"), message, rule.sentence)
		}
		delete(changes, rule.sentence)
	}
	assert.Empty(t, changes, "there are no such invariants")
}

// TestWhatIsNotMarkedSecretDoesNotDependOnASecret runs the program twice, with all secrets changed. Whatever differs
// and is not marked was derived from a secret, by whatever path.
func TestWhatIsNotMarkedSecretDoesNotDependOnASecret(t *testing.T) {
	for name, settings := range variants() {
		t.Run(name, func(t *testing.T) {
			was, now := deploy(t, settings), newRecorder()
			now.Seed, now.Password = was.Seed+1, "Zz9?other-secret"
			require.NoError(t, now.run(settings))
			marked := 0
			for name, d := range was.resources {
				for key, value := range d.inputs {
					before, after := redacted(value), redacted(now.resources[name].inputs[key])
					public := d.token == "aws:acm/certificate:Certificate" && key == "certificateBody"
					assert.True(t, public || assert.ObjectsAreEqual(before, after), "%s.%s depends on a secret and is not marked", name, key)
					if strings.Contains(fmt.Sprint(before), hidden) {
						marked++
					}
				}
			}
			assert.Equal(t, was.outputs, now.outputs, "an output depends on a secret")
			assert.GreaterOrEqual(t, marked, 3, "the password, the credentials and the keys must be marked secret")
		})
	}
}
