package rds

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/awsprovider/resource"
)

func TestAPartialEngineVersionStaysWhileTheActualOneIsOfIt(t *testing.T) {
	for _, c := range []struct{ wanted, actual, pending, want string }{
		{"16", "16.4", "", "16"},
		{"16.4", "16.4", "", "16.4"},
		{"16", "17.1", "", "17.1"},
		{"1", "16.4", "", "16.4"},
		{"16.1", "16.10", "", "16.10"},
		{"16.6", "16.4", "16.6", "16.6"},
		{"", "16.4", "", "16.4"},
		{"8.0.mysql_aurora.3", "8.0.mysql_aurora.3.05.2", "", "8.0.mysql_aurora.3"},
	} {
		assert.Equal(t, c.want, keptVersion(c.wanted, c.actual, c.pending))
	}
}

func TestOnlyChangedParametersAreSetAndRemovedOnesAreReset(t *testing.T) {
	now, reboot := aws.String("immediate"), aws.String("pending-reboot")
	old := []Parameter{{"kept", "1", now}, {"value", "1", now}, {"timing", "1", now}, {"removed", "1", reboot}}
	want := []Parameter{{"value", "2", now}, {"timing", "1", reboot}, {"kept", "1", now}, {"new", "1", now}}
	set, reset := parameterDelta(old, want)
	assert.Empty(t, cmp.Diff([]Parameter{{"value", "2", now}, {"timing", "1", reboot}, {"new", "1", now}}, set))
	assert.Empty(t, cmp.Diff([]Parameter{{"removed", "1", reboot}}, reset))
	set, reset = parameterDelta(old, old)
	assert.Nil(t, set)
	assert.Nil(t, reset)
}

func TestAModificationCarriesOnlyWhatChanges(t *testing.T) {
	old := ClusterArgs{
		ClusterIdentifier: "c", Engine: "aurora-postgresql", EngineVersion: aws.String("16"), MasterPassword: aws.String("old"),
		EnabledCloudwatchLogsExports: []string{"postgresql", "instance"}, VpcSecurityGroupIDs: []string{"a", "b"},
	}
	checkCluster(&old)
	now := old
	now.VpcSecurityGroupIDs, now.SkipFinalSnapshot, now.ApplyImmediately = []string{"b", "a"}, aws.Bool(true), aws.Bool(true)
	assert.Nil(t, modifyCluster(old, now), "a change of what only the provider heeds modifies the cluster")
	now.MasterPassword, now.EnabledCloudwatchLogsExports = aws.String("new"), []string{"postgresql", "iam-db-auth-error"}
	in := modifyCluster(old, now)
	require.NotNil(t, in, "the modification does not carry the password alone")
	require.Equal(t, "new", aws.ToString(in.MasterUserPassword), "the modification does not carry the password alone")
	require.Nil(t, in.EngineVersion, "the modification does not carry the password alone")
	require.Nil(t, in.VpcSecurityGroupIds, "the modification does not carry the password alone")
	logs := in.CloudwatchLogsExportConfiguration
	assert.Empty(t, cmp.Diff([][]string{{"iam-db-auth-error"}, {"instance"}}, [][]string{logs.EnableLogTypes, logs.DisableLogTypes}))
}

func TestPerformanceInsightsAreModifiedTogether(t *testing.T) {
	old := InstanceArgs{PerformanceInsightsEnabled: aws.Bool(true), PerformanceInsightsRetentionPeriod: aws.Int(7)}
	now := old
	now.PerformanceInsightsRetentionPeriod = aws.Int(31)
	in := modifyInstance(old, now)
	require.NotNil(t, in, "a new retention is not sent along with the switch")
	assert.True(t, aws.ToBool(in.EnablePerformanceInsights), "a new retention is not sent along with the switch")
	assert.EqualValues(t, 31, aws.ToInt32(in.PerformanceInsightsRetentionPeriod), "a new retention is not sent along with the switch")
}

func TestStatusesThatTimeDoesNotChangeAreErrors(t *testing.T) {
	for status, want := range map[string]string{
		"available": "true <nil>", "creating": "false <nil>", "configuring-enhanced-monitoring": "false <nil>",
		"failed": `false its status is "failed"`, "incompatible-network": `false its status is "incompatible-network"`,
		"deleting": `false its status is "deleting"`, "stopped": `false its status is "stopped"`,
	} {
		done, err := settled(status)
		assert.Equal(t, want, fmt.Sprint(done, " ", err), status)
	}
}

func TestIllegalInputsAreRefusedByName(t *testing.T) {
	cluster := ClusterArgs{
		ClusterIdentifier: "Cluster--1", Engine: "oracle", BackupRetentionPeriod: aws.Int(36),
		PreferredBackupWindow: aws.String("3:00-4:00"), PreferredMaintenanceWindow: aws.String("sunday"),
		EnabledCloudwatchLogsExports: []string{"everything"}, EngineLifecycleSupport: aws.String("forever"),
		FinalSnapshotIdentifier: aws.String("ends-"),
	}
	instance := InstanceArgs{Identifier: "1st", Engine: "oracle", PerformanceInsightsRetentionPeriod: aws.Int(32)}
	group := SubnetGroupArgs{Name: "default"}
	parameters := ParameterGroupArgs{Name: "ends-", Parameters: []Parameter{{"p", "1", aws.String("soon")}}}
	subscription := EventSubscriptionArgs{Name: "a b", SourceType: aws.String("moon")}
	for _, c := range []struct {
		name   string
		faults []resource.Fault
		want   string
	}{
		{"cluster", checkCluster(&cluster), "clusterIdentifier engine engineLifecycleSupport backupRetentionPeriod preferredBackupWindow " +
			"preferredMaintenanceWindow finalSnapshotIdentifier enabledCloudwatchLogsExports"},
		{"instance", checkInstance(&instance), "identifier engine performanceInsightsRetentionPeriod"},
		{"subnet group", subnetGroup.Check(&group), "name"},
		{"parameter group", parameterGroup.Check(&parameters), "name parameters[0].applyMethod"},
		{"event subscription", eventSubscription.Check(&subscription), "name sourceType"},
		{"nothing known yet", checkCluster(&ClusterArgs{}), ""},
	} {
		var properties []string
		for _, f := range c.faults {
			properties = append(properties, f.Property)
		}
		assert.Equal(t, c.want, strings.Join(properties, " "), c.name)
	}
}

func TestTheOfficialDefaultsAreFilledIn(t *testing.T) {
	a := ClusterArgs{PreferredMaintenanceWindow: aws.String("Sun:04:30-Sun:05:30")}
	require.Nil(t, checkCluster(&a))
	assert.False(t, *a.SkipFinalSnapshot)
	assert.True(t, *a.DeleteAutomatedBackups)
	assert.False(t, *a.DeletionProtection)
	assert.Equal(t, "provisioned", *a.EngineMode)
	assert.Equal(t, "sun:04:30-sun:05:30", *a.PreferredMaintenanceWindow)
}
