package unit_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
)

// The golden files hold where the defaults go; these are values that nothing defaults to.
func TestConfiguredValuesReachTheirResources(t *testing.T) {
	const readers = "arn:aws:iam::123456789012:role/ops/deploy*, arn:aws:iam::123456789012:user/break-glass"
	r := deploy(t, map[string]string{
		"vpcCidr": "10.8.0.0/17", "dbInstanceClass": "db.r7g.xlarge", "dbEngineVersion": "15.4", "dbMaintenanceWindow": "mon:01:00-mon:02:00", "dbApplyImmediately": "true", "dbBackupRetentionDays": "21", "dbName": "ledger",
		"paymentApiImage": "example.com/api:2", "jobProcessorImage": "example.com/jobs:3", "paymentMigrateImage": "example.com/migrate:4", "containerPort": "8080", "containerProtocol": "HTTP",
		"apiCpu": "2048", "apiMemory": "4096", "jobCpu": "1024", "jobMemory": "3072",
		"apiDesiredCount": "4", "apiMaxCount": "13", "jobDesiredCount": "3", "jobMaxCount": "9", "cpuTargetPercent": "55",
		"alertEmail": "on-call@example.com", "apiTimeoutSeconds": "100", "apiRetryCount": "0", "jobRetryCount": "9", "queueVisibilityTimeoutSeconds": "120",
		"wafRateLimit": "500", "wafCountOnly": "true",
		"owner": "team-a", "run": "20261124T060000Z-0a1b2c", "expires": "2026-11-24T12:00:00Z",
		"allowedAccountIds": "123456789012, 210987654321", "permissionsBoundaryArn": "arn:aws:iam::123456789012:policy/boundary",
		"secretReaders": readers,
	})
	type path = []any
	for _, c := range []struct {
		resource string
		path     path
		want     any
	}{
		{"vpc", path{"cidrBlock"}, "10.8.0.0/17"},
		{"aurora-reader-2", path{"instanceClass"}, "db.r7g.xlarge"},
		{"aurora-cluster", path{"engineVersion"}, "15.4"},
		{"db-cluster-parameter-group", path{"family"}, "aurora-postgresql15"},
		{"aurora-cluster", path{"preferredMaintenanceWindow"}, "mon:01:00-mon:02:00"},
		{"aurora-writer", path{"preferredMaintenanceWindow"}, "mon:01:00-mon:02:00"},
		{"aurora-cluster", path{"applyImmediately"}, true},
		{"aurora-writer", path{"applyImmediately"}, true},
		{"aurora-cluster", path{"backupRetentionPeriod"}, 21.0},
		{"aurora-cluster", path{"databaseName"}, "ledger"},
		{"payment-api-task", path{"containerDefinitions", 0, "image"}, "example.com/api:2"},
		{"job-processor-task", path{"containerDefinitions", 0, "image"}, "example.com/jobs:3"},
		{"payment-migrate-task", path{"containerDefinitions", 0, "image"}, "example.com/migrate:4"},
		{"payment-api-task", path{"containerDefinitions", 0, "portMappings", 0, "containerPort"}, 8080.0},
		{"payment-api-task", path{"containerDefinitions", 0, "healthCheck", "command", 6}, "http://localhost:8080/health"},
		{"payment-api", path{"loadBalancers", 0, "containerPort"}, 8080.0},
		{"api-http-8080", path{"port"}, 8080.0},
		{"api-http-8080", path{"protocol"}, "HTTP"},
		{"api-http-8080", path{"healthCheck", "protocol"}, "HTTP"},
		{"payment-api-in-alb-8080", path{"fromPort"}, 8080.0},
		{"payment-api-task", path{"cpu"}, "2048"},
		{"payment-api-task", path{"memory"}, "4096"},
		{"job-processor-task", path{"cpu"}, "1024"},
		{"job-processor-task", path{"memory"}, "3072"},
		{"payment-api", path{"desiredCount"}, 4.0},
		{"payment-api-scaling-target", path{"minCapacity"}, 4.0},
		{"payment-api-scaling-target", path{"maxCapacity"}, 13.0},
		{"job-processor", path{"desiredCount"}, 3.0},
		{"job-processor-scaling-target", path{"minCapacity"}, 3.0},
		{"job-processor-scaling-target", path{"maxCapacity"}, 9.0},
		{"payment-api-cpu-scaling", path{"targetTrackingScalingPolicyConfiguration", "targetValue"}, 55.0},
		{"waf", path{"rules", 0, "statement", "rateBasedStatement", "limit"}, 500.0},
		{"waf", path{"rules", 0, "action", "count"}, map[string]any{}},
		{"waf", path{"rules", 4, "overrideAction", "count"}, map[string]any{}},
		{"payment-alerts-email", path{"endpoint"}, "on-call@example.com"},
		{"alb", path{"idleTimeout"}, 105.0},
		{"api-timeout-seconds", path{"value"}, "100"},
		{"api-retry-count", path{"value"}, "0"},
		{"job-retry-count", path{"value"}, "9"},
		{"payment-jobs", path{"visibilityTimeoutSeconds"}, 120.0},
		{"aws", path{"defaultTags", "tags", lib.TagOwner}, "team-a"},
		{"aws", path{"defaultTags", "tags", lib.TagRun}, "20261124T060000Z-0a1b2c"},
		{"aws", path{"defaultTags", "tags", lib.TagExpires}, "2026-11-24T12:00:00Z"},
		{"payment-api-keys-policy", path{"policy", "Statement", 1, "Condition", "ArnNotLike", "aws:PrincipalArn"}, []any{
			"arn:aws:iam::123456789012:role/ops/deploy*", "arn:aws:iam::123456789012:user/break-glass", "arn:aws:iam::123456789012:role/payment-api-execution-role-unit",
		}},
		{"aws", path{"allowedAccountIds"}, []any{"123456789012", "210987654321"}},
		{"payment-platform", path{"dashboardBody", "widgets", 9, "properties", "markdown"}, "tapstack:owner=team-a tapstack:run=20261124T060000Z-0a1b2c tapstack:expires=2026-11-24T12:00:00Z"},
	} {
		assert.Equal(t, c.want, r.one(t, c.resource).at(t, c.path...), "%s %v", c.resource, c.path)
	}
	for _, role := range r.ofType("aws:iam/role:Role") {
		assert.Equal(t, "arn:aws:iam::123456789012:policy/boundary", role.at(t, "permissionsBoundary"), role.name)
	}
}

// Of secrets the golden files show nothing.
func TestEachCredentialsSecretOpensTheDatabaseToItsOwnUserOverVerifiedTls(t *testing.T) {
	r := deploy(t, nil)
	for _, user := range []struct{ name, secret, password string }{
		{"payments_admin", "payment-db-credentials", "db-password"},
		{"payment_api", "payment-api-db-credentials", "payment-api-db-password"},
		{"job_processor", "job-processor-db-credentials", "job-processor-db-password"},
	} {
		var secret map[string]any
		require.NoError(t, json.Unmarshal([]byte(r.one(t, user.secret+"-value").plain["secretString"].(string)), &secret))
		password := r.Password + user.password
		for key, host := range map[string]string{"writerConnectionString": "writer.example", "readerConnectionString": "reader.example"} {
			connection, err := url.Parse(secret[key].(string))
			require.NoError(t, err)
			assert.Equal(t, url.URL{
				Scheme: "postgresql", User: url.UserPassword(user.name, password), Host: host + ":5432", Path: "/payments", RawQuery: "sslmode=verify-full",
			}, *connection, key)
			delete(secret, key)
		}
		assert.Equal(t, map[string]any{
			"engine": "postgres", "host": "writer.example", "readerHost": "reader.example", "port": 5432.0,
			"dbname": "payments", "username": user.name, "password": password,
		}, secret)
	}
}

func TestEachTaskIsGivenTheConnectionsThatItNeeds(t *testing.T) {
	const writer, reader = ":writerConnectionString", ":readerConnectionString"
	r := deploy(t, nil)
	for task, want := range map[string]map[string]string{
		"payment-api-task":   {"DATABASE_URL": "payment-api-db-credentials" + writer, "DATABASE_READER_URL": "payment-api-db-credentials" + reader, "API_KEY": "payment-api-keys:apiKey"},
		"job-processor-task": {"DATABASE_URL": "job-processor-db-credentials" + writer},
		"payment-migrate-task": {
			"DATABASE_URL":               "payment-db-credentials" + writer,
			"PAYMENT_API_DATABASE_URL":   "payment-api-db-credentials" + writer,
			"JOB_PROCESSOR_DATABASE_URL": "job-processor-db-credentials" + writer,
		},
	} {
		got := map[string]string{}
		for _, each := range r.one(t, task).at(t, "containerDefinitions", 0, "secrets").([]any) {
			secret := each.(map[string]any)
			if from, version, isSecret := strings.Cut(secret["valueFrom"].(string), "::"); isSecret {
				assert.Equal(t, "version-id", version)
				got[secret["name"].(string)] = strings.TrimPrefix(from, "arn:aws:mock:us-east-1:123456789012:")
			}
		}
		assert.Equal(t, want, got, task)
	}
}

func TestTheMigrationIsToldAndMayDoNothingElse(t *testing.T) {
	r := deploy(t, nil)
	task := r.one(t, "payment-migrate-task")
	assert.Equal(t, []any{map[string]any{"name": "SERVICE_NAME", "value": "payment-migrate-unit"}}, task.at(t, "containerDefinitions", 0, "environment"))
	assert.Equal(t, r.one(t, "payment-api-task").at(t, "containerDefinitions", 0, "image"), task.at(t, "containerDefinitions", 0, "image"))
	assert.Equal(t, []any{}, task.at(t, "containerDefinitions", 0, "portMappings"))
	assert.NotContains(t, task.at(t, "containerDefinitions", 0), "healthCheck", "nothing listens")
	assert.Equal(t, []string{"payment-migrate-task-role"}, task.sources("taskRoleArn"))
	for _, d := range r.ofType("aws:iam/rolePolicy:RolePolicy") {
		assert.NotContains(t, d.sources("role"), "payment-migrate-task-role", "%s allows the task itself something", d.name)
	}
	for _, d := range r.ofType("aws:ecs/service:Service") {
		assert.NotContains(t, d.sources("taskDefinition"), task.name, "%s would start it again and again", d.name)
	}
	assert.Equal(t, "arn:aws:mock:us-east-1:123456789012:payment-migrate-task", r.outputs[lib.OutputPaymentMigrateTaskDefinition].value)
	assert.EqualValues(t, "payment-migrate-sg-id", r.outputs[lib.OutputPaymentMigrateSecurityGroup].value)
}

func TestTheDashboardsWidgetsDoNotOverlap(t *testing.T) {
	var body struct {
		Widgets []struct {
			X, Y, Width, Height int
			Properties          struct{ Metrics [][]string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(deploy(t, nil).one(t, "payment-platform").plain["dashboardBody"].(string)), &body))
	require.NotEmpty(t, body.Widgets)
	taken := map[[2]int]bool{}
	for _, w := range body.Widgets {
		assert.LessOrEqual(t, w.X+w.Width, 24)
		for x := range w.Width {
			for y := range w.Height {
				cell := [2]int{w.X + x, w.Y + y}
				assert.False(t, taken[cell], "two widgets are at %v", cell)
				taken[cell] = true
			}
		}
		for _, row := range w.Properties.Metrics {
			assert.True(t, len(row) >= 4 && len(row)%2 == 0, "%v is no metric with dimensions", row)
			assert.NotContains(t, row, "")
		}
	}
}

func TestAccessLogsAreTheBucketsOwnAndKeepTheirVersions(t *testing.T) {
	r := deploy(t, nil)
	assert.Equal(t, "BucketOwnerEnforced", r.one(t, "alb-logs-ownership").at(t, "rule", "objectOwnership"))
	assert.Equal(t, "Enabled", r.one(t, "alb-logs-versioning").at(t, "versioningConfiguration", "status"))
	assert.Equal(t, 30.0, r.one(t, "alb-logs-lifecycle").at(t, "rules", 0, "noncurrentVersionExpiration", "noncurrentDays"))
}

// A task whose image or secret cannot be had never has a container that exits.
func TestATaskThatDoesNotStartIsTold(t *testing.T) {
	codes := deploy(t, nil).one(t, "ecs-task-failed").at(t, "eventPattern", "detail", "stopCode")
	assert.Equal(t, []any{"EssentialContainerExited", "TaskFailedToStart"}, codes)
}
