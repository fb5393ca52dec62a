package unit_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// grants lists what a role's policy allows, one line an action and resource.
func grants(t *testing.T, r *recorder, policyName string) []string {
	t.Helper()
	var lines []string
	for _, statement := range decode[policy](t, r.one(t, policyName), "policy").Statement {
		same(t, policyName+" effect", statement.Effect, "Allow")
		for _, action := range statement.Action {
			for _, on := range statement.Resource {
				lines = append(lines, action+" "+on)
			}
		}
	}
	slices.Sort(lines)
	return lines
}

func TestEachTaskMayDoItsOwnWorkAndNothingElse(t *testing.T) {
	r := deploy(t, nil)
	jobs, topic, key := arnOf("payment-jobs"), arnOf("payment-alerts"), arnOf("payment-alerts-key")
	user := "arn:aws:rds-db:us-east-1:123456789012:dbuser:cluster-RESOURCE/"
	same(t, "payment-api", grants(t, r, "payment-api-task-policy"), []string{
		"rds-db:connect " + user + "payment_api",
		"sqs:GetQueueAttributes " + jobs, "sqs:GetQueueUrl " + jobs, "sqs:SendMessage " + jobs,
		"ssm:GetParameter " + arnOf("api-retry-count"), "ssm:GetParameter " + arnOf("api-timeout-seconds"), "ssm:GetParameter " + arnOf("queue-url"),
		"ssm:GetParameters " + arnOf("api-retry-count"), "ssm:GetParameters " + arnOf("api-timeout-seconds"), "ssm:GetParameters " + arnOf("queue-url"),
	})
	same(t, "job-processor", grants(t, r, "job-processor-task-policy"), []string{
		"kms:Decrypt " + key, "kms:GenerateDataKey " + key,
		"rds-db:connect " + user + "job_processor",
		"sns:Publish " + topic,
		"sqs:ChangeMessageVisibility " + jobs, "sqs:DeleteMessage " + jobs, "sqs:GetQueueAttributes " + jobs, "sqs:GetQueueUrl " + jobs, "sqs:ReceiveMessage " + jobs,
		"ssm:GetParameter " + arnOf("job-retry-count"), "ssm:GetParameter " + arnOf("queue-url"),
		"ssm:GetParameters " + arnOf("job-retry-count"), "ssm:GetParameters " + arnOf("queue-url"),
	})
}

func TestEachExecutionRoleReadsExactlyWhatItsTaskDefinitionNames(t *testing.T) {
	r := deploy(t, nil)
	for _, service := range []string{"payment-api", "job-processor"} {
		var named, readable []string
		for _, secret := range decode[[]containerJSON](t, r.one(t, service+"-task"), "containerDefinitions")[0].Secrets {
			source := strings.Join(strings.SplitN(secret.ValueFrom, ":", 7)[:6], ":")
			if !slices.Contains(named, source) {
				named = append(named, source)
			}
		}
		for _, grant := range grants(t, r, service+"-execution-policy") {
			action, on, _ := strings.Cut(grant, " ")
			if action == "secretsmanager:GetSecretValue" || action == "ssm:GetParameters" {
				readable = append(readable, on)
			}
		}
		slices.Sort(named)
		slices.Sort(readable)
		same(t, service, readable, named)
	}
}

func TestOnlyEcrImagesComeWithRegistryPermissions(t *testing.T) {
	r := deploy(t, nil)
	registry := func(service string) []string {
		return slices.DeleteFunc(grants(t, r, service+"-execution-policy"), func(grant string) bool { return !strings.HasPrefix(grant, "ecr:") })
	}
	repository := " arn:aws:ecr:us-east-1:123456789012:repository/payments/api"
	same(t, "payment-api", registry("payment-api"), []string{
		"ecr:BatchCheckLayerAvailability" + repository, "ecr:BatchGetImage" + repository, "ecr:GetAuthorizationToken *", "ecr:GetDownloadUrlForLayer" + repository,
	})
	same(t, "job-processor, from a public registry", len(registry("job-processor")), 0)
}

func TestRolesAreAssumedByOneServiceForThisAccountOnly(t *testing.T) {
	r := deploy(t, nil)
	for role, want := range map[string][2]string{
		"vpc-flow-log-role":            {"vpc-flow-logs.amazonaws.com", "arn:aws:ec2:us-east-1:123456789012:vpc-flow-log/*"},
		"rds-monitoring-role":          {"monitoring.rds.amazonaws.com", "arn:aws:rds:us-east-1:123456789012:db:*"},
		"payment-api-execution-role":   {"ecs-tasks.amazonaws.com", "arn:aws:ecs:us-east-1:123456789012:*"},
		"payment-api-task-role":        {"ecs-tasks.amazonaws.com", "arn:aws:ecs:us-east-1:123456789012:*"},
		"job-processor-execution-role": {"ecs-tasks.amazonaws.com", "arn:aws:ecs:us-east-1:123456789012:*"},
		"job-processor-task-role":      {"ecs-tasks.amazonaws.com", "arn:aws:ecs:us-east-1:123456789012:*"},
	} {
		trust := decode[policy](t, r.one(t, role), "assumeRolePolicy")
		same(t, role, []any{len(trust.Statement), trust.Statement[0].Principal, trust.Statement[0].Action, trust.Statement[0].Condition}, []any{
			1, map[string]any{"Service": []string{want[0]}}, []string{"sts:AssumeRole"}, map[string]map[string][]string{
				"ArnLike": {"aws:SourceArn": {want[1]}}, "StringEquals": {"aws:SourceAccount": {account}},
			},
		})
	}
	same(t, "roles", len(r.ofType("aws:iam/role:Role")), 6)
}

func TestResourcePoliciesLetInNamedServicesOfThisAccountOnly(t *testing.T) {
	r := deploy(t, nil)
	publishers := []string{"cloudwatch.amazonaws.com", "events.rds.amazonaws.com"}
	for name, input := range map[string]string{"payment-alerts-key": "policy", "payment-alerts-policy": "policy", "waf-logs-policy": "policyDocument"} {
		for _, statement := range decode[policy](t, r.one(t, name), input).Statement {
			principal := fmt.Sprint(statement.Principal)
			switch {
			case statement.Effect == "Deny":
			case principal == "map[AWS:[arn:aws:iam::123456789012:root]]":
			case strings.HasSuffix(statement.Sid, "FromEventBridge"):
				// EventBridge to an encrypted topic supports no condition (SNS developer guide, "Key management").
				same(t, name+" "+statement.Sid, statement.Principal, map[string]any{"Service": []string{"events.amazonaws.com"}})
				same(t, name+" "+statement.Sid, len(statement.Condition), 0)
			case strings.HasPrefix(principal, "map[Service:"):
				same(t, name+" "+statement.Sid, statement.Condition["StringEquals"]["aws:SourceAccount"], []string{account})
				if name != "waf-logs-policy" {
					same(t, name+" "+statement.Sid, statement.Principal, map[string]any{"Service": publishers})
				}
			default:
				t.Errorf("%s lets in %s", name, principal)
			}
		}
	}
}

func TestPlainTextTransportIsRefused(t *testing.T) {
	r := deploy(t, nil)
	for name, resources := range map[string][]string{
		"payment-jobs-policy":           {arnOf("payment-jobs")},
		"payment-jobs-dlq-policy":       {arnOf("payment-jobs-dlq")},
		"payment-db-credentials-policy": {arnOf("payment-db-credentials")},
		"payment-api-keys-policy":       {arnOf("payment-api-keys")},
		"payment-alerts-policy":         {arnOf("payment-alerts")},
		"alb-logs-policy":               {arnOf("alb-logs"), arnOf("alb-logs") + "/*"},
	} {
		denied := false
		for _, statement := range decode[policy](t, r.one(t, name), "policy").Statement {
			if statement.Effect == "Deny" {
				denied = true
				same(t, name, []any{statement.Principal, statement.Resource, statement.Condition},
					[]any{"*", resources, map[string]map[string][]string{"Bool": {"aws:SecureTransport": {"false"}}}})
			}
		}
		if !denied {
			t.Errorf("%s denies nothing", name)
		}
	}
}

func TestTheEncryptionOfAlertsIsForTheTopicOnly(t *testing.T) {
	for _, statement := range decode[policy](t, deploy(t, nil).one(t, "job-processor-task-policy"), "policy").Statement {
		if statement.Sid == "EncryptAlerts" {
			same(t, "condition", statement.Condition, map[string]map[string][]string{"StringEquals": {"kms:ViaService": {"sns.us-east-1.amazonaws.com"}}})
			return
		}
	}
	t.Error("job-processor cannot encrypt what it publishes")
}

func TestPolicyDocumentsAreCurrentAndComplete(t *testing.T) {
	r := everything(t)
	seen := 0
	for _, d := range r.resources {
		for input := range d.plain {
			if input != "policy" && input != "assumeRolePolicy" && input != "policyDocument" {
				continue
			}
			seen++
			document := decode[policy](t, d, input)
			same(t, d.name+" version", document.Version, "2012-10-17")
			sids := map[string]bool{}
			for _, statement := range document.Statement {
				if sids[statement.Sid] || statement.Sid == "" || len(statement.Action) == 0 {
					t.Errorf("%s: statement %q is incomplete or repeated", d.name, statement.Sid)
				}
				sids[statement.Sid] = true
				if len(statement.Resource) == 0 && input != "assumeRolePolicy" {
					t.Errorf("%s: statement %s names no resource", d.name, statement.Sid)
				}
			}
		}
	}
	if seen != 20 {
		t.Errorf("%d policy documents", seen)
	}
}
