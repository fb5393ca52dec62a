package unit_test

import (
	"encoding/json"
	"net/url"
	"testing"
)

func TestTheClusterIsEncryptedBackedUpPrivateAndGoesWithItsStack(t *testing.T) {
	cluster := deploy(t, map[string]string{"dbEngineVersion": "15.4", "dbBackupRetentionDays": "21"}).one(t, "aurora-cluster")
	delete(cluster.plain, "tags")
	delete(cluster.plain, "masterPassword")
	same(t, "cluster", cluster.plain, map[string]any{
		"clusterIdentifier": "aurora-cluster-unit", "engine": "aurora-postgresql", "engineVersion": "15.4",
		"engineLifecycleSupport": "open-source-rds-extended-support-disabled",
		"databaseName":           "payments", "masterUsername": "payments_admin", "port": 5432,
		"dbSubnetGroupName": "db-subnet-group-unit", "dbClusterParameterGroupName": "db-cluster-parameter-group-unit",
		"vpcSecurityGroupIds": []string{"db-sg-id"},
		"storageEncrypted":    true, "iamDatabaseAuthenticationEnabled": true,
		"backupRetentionPeriod": 21, "preferredBackupWindow": "03:00-04:00", "preferredMaintenanceWindow": "sun:05:00-sun:06:00",
		"copyTagsToSnapshot": true, "deleteAutomatedBackups": true, "enabledCloudwatchLogsExports": []string{"postgresql"},
		"deletionProtection": false, "skipFinalSnapshot": true,
	})
}

func TestTheClusterLeavesOutWhatWouldReplaceOrRotateIt(t *testing.T) {
	cluster := deploy(t, nil).one(t, "aurora-cluster")
	for _, input := range []string{"availabilityZones", "manageMasterUserPassword", "kmsKeyId"} {
		if _, set := cluster.plain[input]; set {
			t.Errorf("%s is set", input)
		}
	}
}

func TestOneWriterAndTwoReadersStandInThreeZones(t *testing.T) {
	r := deploy(t, map[string]string{"dbInstanceClass": "db.r7g.xlarge"})
	zones := map[any]bool{}
	for name, tier := range map[string]int{"aurora-writer": 0, "aurora-reader-1": 1, "aurora-reader-2": 1} {
		instance := r.one(t, name)
		zones[instance.at(t, "availabilityZone")] = true
		delete(instance.plain, "availabilityZone")
		delete(instance.plain, "tags")
		same(t, name, instance.plain, map[string]any{
			"identifier": name + "-unit", "clusterIdentifier": "aurora-cluster-unit", "engine": "aurora-postgresql",
			"instanceClass": "db.r7g.xlarge", "dbSubnetGroupName": "db-subnet-group-unit", "promotionTier": tier,
			"publiclyAccessible": false, "autoMinorVersionUpgrade": true, "copyTagsToSnapshot": true,
			"caCertIdentifier": "rds-ca-rsa2048-g1", "performanceInsightsEnabled": true, "performanceInsightsRetentionPeriod": 7,
			"monitoringInterval": 60, "monitoringRoleArn": "arn:aws:mock:us-east-1:123456789012:rds-monitoring-role",
		})
	}
	same(t, "zones", len(zones), 3)
	same(t, "instances", len(r.ofType("aws:rds/clusterInstance:ClusterInstance")), 3)
}

func TestEngineSettingsFollowTheVersionAndForceTls(t *testing.T) {
	group := deploy(t, map[string]string{"dbEngineVersion": "15.4"}).one(t, "db-cluster-parameter-group")
	same(t, "family", group.at(t, "family"), "aurora-postgresql15")
	got := map[string]string{}
	list, _ := group.at(t, "parameters").([]any)
	for i := range list {
		got[group.text(t, "parameters", i, "name")] = group.text(t, "parameters", i, "value") + " " + group.text(t, "parameters", i, "applyMethod")
	}
	same(t, "parameters", got, map[string]string{
		"rds.force_ssl": "1 immediate", "log_statement": "ddl immediate", "log_connections": "1 immediate", "log_disconnections": "1 immediate",
		"pgaudit.log": "ddl,role immediate", "rds.logical_replication": "1 pending-reboot",
		"shared_preload_libraries": "pg_stat_statements,pgaudit pending-reboot",
	})
	same(t, "subnets", deploy(t, nil).one(t, "db-subnet-group").at(t, "subnetIds"), []string{"private-subnet-1-id", "private-subnet-2-id", "private-subnet-3-id"})
}

func TestTheCredentialsSecretOpensTheDatabaseOverVerifiedTls(t *testing.T) {
	r := deploy(t, nil)
	var secret map[string]any
	if err := json.Unmarshal([]byte(r.one(t, "payment-db-credentials-value").text(t, "secretString")), &secret); err != nil {
		t.Fatal(err)
	}
	for key, host := range map[string]string{"writerConnectionString": "writer.example", "readerConnectionString": "reader.example"} {
		text, _ := secret[key].(string)
		connection, err := url.Parse(text)
		if err != nil {
			t.Fatalf("%s is no URL", key)
		}
		password, _ := connection.User.Password()
		same(t, key, []any{connection.Scheme, connection.User.Username(), password == "Aa1!&%#<>pass", connection.Host, connection.Path, connection.Query().Get("sslmode")},
			[]any{"postgresql", "payments_admin", true, host + ":5432", "/payments", "verify-full"})
		delete(secret, key)
	}
	same(t, "secret", secret, map[string]any{
		"engine": "postgres", "host": "writer.example", "readerHost": "reader.example", "port": 5432,
		"dbname": "payments", "username": "payments_admin", "password": "Aa1!&%#<>pass",
	})
	same(t, "rotations", len(r.ofType("aws:secretsmanager/secretRotation:SecretRotation")), 0)
}

func TestThePasswordIsLongMixedAndLegalForAurora(t *testing.T) {
	password := deploy(t, nil).one(t, "db-password")
	same(t, "password", password.plain, map[string]any{
		"length": 32, "special": true, "overrideSpecial": "!#$%&*()-_=+[]{}<>:?", "minLower": 2, "minUpper": 2, "minNumeric": 2, "minSpecial": 2,
	})
	same(t, "API key", deploy(t, nil).one(t, "api-key").at(t, "length"), 32)
}
