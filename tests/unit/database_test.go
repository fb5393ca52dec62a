package unit_test

import (
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	services "tapstack/fixtures/services/database"
	"tapstack/lib"
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

// The figures are the Aurora user guide's ("Maximum connections to an Aurora PostgreSQL DB instance").
func TestAllTasksOfADeploymentGetTheirConnections(t *testing.T) {
	for class, most := range map[string]int{
		"db.t4g.medium": 419, "db.t3.large": 839, "db.r6g.large": 1678, "db.r7g.xlarge": 3357, "db.r7g.2xlarge": 5000, "db.r7i.48xlarge": 5000, "db.x2g.16xlarge": 5000,
	} {
		assert.Equal(t, most, lib.MaxConnections(class), class)
		stack := deploy(t, map[string]string{"dbInstanceClass": class})
		alarm := stack.one(t, "aurora-connections-alarm")
		assert.InDelta(t, 0.8*float64(most), alarm.plain["threshold"], 1, "%s: operations are told before there are none left", class)
	}
	c, err := lib.ParseConfig(legalValues(nil))
	require.NoError(t, err)
	assert.Equal(t, 2*(12+8)*10+8, c.Connections())
}

// TestATaskKeepsAsManyConnectionsAsTheStackReckonsWith opens the pool of the reference services.
func TestATaskKeepsAsManyConnectionsAsTheStackReckonsWith(t *testing.T) {
	db, err := services.Open(t.Context(), "postgres://u:p@nowhere.invalid/d", "test", true, 0)
	require.NoError(t, err)
	defer db.Pool.Close()
	assert.EqualValues(t, lib.TaskConnections, db.Pool.Config().MaxConns)
}

// A merchant's servers come from one address: what its own bucket lets through must not be blocked, without a Retry-After, before.
func TestTheFirewallLetsAMerchantMakeAsManyRequestsAsItsBucket(t *testing.T) {
	tables, err := os.ReadFile("../../fixtures/services/migrations/sql/00001_payments.sql")
	require.NoError(t, err)
	standard := func(column string) int {
		found := regexp.MustCompile(`\s` + column + `\s+double precision NOT NULL DEFAULT (\d+)`).FindSubmatch(tables)
		require.NotNil(t, found, column)
		n, err := strconv.Atoi(string(found[1]))
		require.NoError(t, err)
		return n
	}
	const window = 300 // seconds
	c, err := lib.ParseConfig(legalValues(nil))
	require.NoError(t, err)
	assert.Greater(t, c.WAFRateLimit, standard("rate")*window+standard("burst"))
}

// A partial version would go to RDS again with every change, and one below the deployed would be a way back, which RDS has not.
func TestTheDatabaseVersionIsFullAndNeverGoesBack(t *testing.T) {
	for _, c := range []struct{ configured, deployed, want string }{
		{"16", "", "16.6"},
		{"16.4", "", "16.4"},
		{"16", "16.2", "16.2"},
		{"16", "16.11", "16.11"},
		{"16.4", "16.8", "16.8"},
		{"16.10", "16.8", "16.10"},
		{"17", "16.8", "17.6"},
		{"17.4", "16.8", "17.4"},
	} {
		r := newRecorder()
		r.Database = c.deployed
		require.NoError(t, r.run(map[string]string{"dbEngineVersion": c.configured}))
		assert.Equal(t, c.want, r.one(t, "aurora-cluster").plain["engineVersion"], "%s over %q", c.configured, c.deployed)
	}
}

func TestAnEarlierMajorVersionThanTheDatabasesStopsTheProgram(t *testing.T) {
	r := newRecorder()
	r.Database = "16.8"
	assert.ErrorContains(t, r.run(map[string]string{"dbEngineVersion": "15.10"}), "the database runs 16.8, and RDS has no way back to 15.10")
}

func TestAMajorUpgradeHasAParameterGroupOfItsOwnBeforeTheOldOneGoes(t *testing.T) {
	r := newRecorder()
	r.Database = "16.8"
	require.NoError(t, r.run(map[string]string{"dbEngineVersion": "17"}))
	group, cluster := r.one(t, "db-cluster-parameter-group"), r.one(t, "aurora-cluster")
	assert.Equal(t, "db-cluster-parameter-group-17-unit", group.plain["name"])
	assert.Equal(t, "aurora-postgresql17", group.plain["family"])
	assert.False(t, group.request.GetDeleteBeforeReplace())
	assert.Equal(t, true, cluster.plain["allowMajorVersionUpgrade"])
	assert.Equal(t, group.plain["name"], cluster.plain["dbClusterParameterGroupName"])
}

// RDS shows a parameter that has its default value as pending-reboot; asked for as immediate it would differ for ever.
func TestTheTLSParameterIsAskedForAsRDSShowsIt(t *testing.T) {
	for version, want := range map[string]string{"16": "immediate", "17": "pending-reboot"} {
		parameters := deploy(t, map[string]string{"dbEngineVersion": version}).one(t, "db-cluster-parameter-group").plain["parameters"].([]any)
		assert.Contains(t, parameters, map[string]any{"name": "rds.force_ssl", "value": "1", "applyMethod": want}, version)
	}
}
