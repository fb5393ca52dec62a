package rds

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

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
		if got := keptVersion(c.wanted, c.actual, c.pending); got != c.want {
			t.Errorf("wanted %q, actual %q, pending %q: the state shows %q, not %q", c.wanted, c.actual, c.pending, got, c.want)
		}
	}
}

func TestOnlyChangedParametersAreSetAndRemovedOnesAreReset(t *testing.T) {
	now, reboot := aws.String("immediate"), aws.String("pending-reboot")
	old := []Parameter{{"kept", "1", now}, {"value", "1", now}, {"timing", "1", now}, {"removed", "1", reboot}}
	want := []Parameter{{"value", "2", now}, {"timing", "1", reboot}, {"kept", "1", now}, {"new", "1", now}}
	set, reset := parameterDelta(old, want)
	if diff := cmp.Diff([]Parameter{{"value", "2", now}, {"timing", "1", reboot}, {"new", "1", now}}, set); diff != "" {
		t.Errorf("set (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Parameter{{"removed", "1", reboot}}, reset); diff != "" {
		t.Errorf("reset (-want +got):\n%s", diff)
	}
	if set, reset := parameterDelta(old, old); set != nil || reset != nil {
		t.Errorf("from a group to itself: set %v, reset %v", set, reset)
	}
}

func TestAModificationCarriesOnlyWhatChanges(t *testing.T) {
	old := ClusterArgs{
		ClusterIdentifier: "c", Engine: "aurora-postgresql", EngineVersion: aws.String("16"), MasterPassword: aws.String("old"),
		EnabledCloudwatchLogsExports: []string{"postgresql", "instance"}, VpcSecurityGroupIDs: []string{"a", "b"},
	}
	checkCluster(&old)
	now := old
	now.VpcSecurityGroupIDs, now.SkipFinalSnapshot, now.ApplyImmediately = []string{"b", "a"}, aws.Bool(true), aws.Bool(true)
	if in := modifyCluster(old, now); in != nil {
		t.Errorf("a change of what only the provider heeds modifies the cluster")
	}
	now.MasterPassword, now.EnabledCloudwatchLogsExports = aws.String("new"), []string{"postgresql", "iam-db-auth-error"}
	in := modifyCluster(old, now)
	if in == nil || aws.ToString(in.MasterUserPassword) != "new" || in.EngineVersion != nil || in.VpcSecurityGroupIds != nil {
		t.Fatalf("the modification does not carry the password alone")
	}
	logs := in.CloudwatchLogsExportConfiguration
	if diff := cmp.Diff([][]string{{"iam-db-auth-error"}, {"instance"}}, [][]string{logs.EnableLogTypes, logs.DisableLogTypes}); diff != "" {
		t.Errorf("log exports to enable and to disable (-want +got):\n%s", diff)
	}
}

func TestPerformanceInsightsAreModifiedTogether(t *testing.T) {
	old := InstanceArgs{PerformanceInsightsEnabled: aws.Bool(true), PerformanceInsightsRetentionPeriod: aws.Int(7)}
	now := old
	now.PerformanceInsightsRetentionPeriod = aws.Int(31)
	in := modifyInstance(old, now)
	if in == nil || !aws.ToBool(in.EnablePerformanceInsights) || aws.ToInt32(in.PerformanceInsightsRetentionPeriod) != 31 {
		t.Errorf("a new retention is not sent along with the switch")
	}
}

func TestStatusesThatTimeDoesNotChangeAreErrors(t *testing.T) {
	for status, want := range map[string]string{
		"available": "true <nil>", "creating": "false <nil>", "configuring-enhanced-monitoring": "false <nil>",
		"failed": `false its status is "failed"`, "incompatible-network": `false its status is "incompatible-network"`,
	} {
		done, err := settled(status)
		if got := fmt.Sprint(done, " ", err); got != want {
			t.Errorf("%s: %s, want %s", status, got, want)
		}
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
		if got := strings.Join(properties, " "); got != c.want {
			t.Errorf("%s: refused %q, want %q", c.name, got, c.want)
		}
	}
}

func TestTheOfficialDefaultsAreFilledIn(t *testing.T) {
	a := ClusterArgs{PreferredMaintenanceWindow: aws.String("Sun:04:30-Sun:05:30")}
	if faults := checkCluster(&a); faults != nil {
		t.Fatalf("refused: %v", faults)
	}
	if *a.SkipFinalSnapshot || !*a.DeleteAutomatedBackups || *a.DeletionProtection || *a.EngineMode != "provisioned" {
		t.Errorf("wrong defaults for the end of a cluster: %+v", a)
	}
	if *a.PreferredMaintenanceWindow != "sun:04:30-sun:05:30" {
		t.Errorf("the maintenance window is not in the form that RDS returns: %s", *a.PreferredMaintenanceWindow)
	}
}
