package unit_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// parameters are the cluster parameters of a stack, by name.
func (r *recording) parameters() map[string]any {
	values := map[string]any{}
	for _, group := range r.ofType("aws:rds/clusterParameterGroup:ClusterParameterGroup") {
		list, _ := group.plain["parameters"].([]any)
		for _, p := range list {
			parameter, _ := p.(map[string]any)
			name, _ := parameter["name"].(string)
			values[name] = parameter["value"]
		}
	}
	return values
}

// PostgreSQL writes the statements of log_statement as they come, passwords of CREATE ROLE and ALTER ROLE included;
// pgAudit leaves those out.
func TestTheDatabaseLogsNoPasswords(t *testing.T) {
	parameters := deploy(t, nil).parameters()
	assert.NotContains(t, parameters, "log_statement")
	assert.Equal(t, "ddl,role", parameters["pgaudit.log"])
	assert.Contains(t, parameters["shared_preload_libraries"], "pgaudit")
}

// Instances of a cluster refuse what belongs to the cluster, or forget it (RDS API reference, CreateDBInstance).
func TestSnapshotsTakeTheirTagsFromTheCluster(t *testing.T) {
	r := deploy(t, nil)
	assert.Equal(t, true, r.one(t, "aurora-cluster").plain["copyTagsToSnapshot"])
	for _, instance := range r.ofType("aws:rds/clusterInstance:ClusterInstance") {
		assert.NotContains(t, instance.plain, "copyTagsToSnapshot", instance.name)
	}
}

// The categories of each source are those of "Amazon RDS event categories and event messages for Aurora" (Aurora user
// guide) that Security Hub's controls RDS.19 to RDS.22 want, and those of failures.
func TestEverySourceOfDatabaseEventsIsTold(t *testing.T) {
	r := deploy(t, nil)
	categories := map[any]any{}
	for _, d := range r.ofType("aws:rds/eventSubscription:EventSubscription") {
		assert.NotContains(t, categories, d.plain["sourceType"], "two subscriptions of one type tell everything twice")
		categories[d.plain["sourceType"]] = d.plain["eventCategories"]
	}
	assert.Equal(t, map[any]any{
		"db-cluster":         []any{"configuration change", "deletion", "failover", "failure", "maintenance", "notification"},
		"db-instance":        []any{"availability", "configuration change", "deletion", "failover", "failure", "low storage", "maintenance", "notification", "recovery"},
		"db-parameter-group": []any{"configuration change"},
		"db-security-group":  []any{"configuration change", "failure"},
	}, categories)
}

func TestTheMemoryAlarmFollowsTheInstanceClass(t *testing.T) {
	const gib = 1 << 30
	for class, memory := range map[string]float64{
		"db.t4g.medium": 4 * gib, "db.t3.large": 8 * gib, "db.r6g.large": 16 * gib, "db.r7g.xlarge": 32 * gib, "db.r7i.48xlarge": 1536 * gib, "db.x2g.16xlarge": 1024 * gib,
	} {
		alarm := deploy(t, map[string]string{"dbInstanceClass": class}).one(t, "aurora-memory-alarm")
		assert.InDelta(t, 0.05*memory, alarm.plain["threshold"], 1, class)
	}
}
