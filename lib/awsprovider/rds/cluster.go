package rds

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"tapstack/lib/awsprovider/resource"
	"tapstack/lib/cloud"
)

// ClusterArgs are the inputs of aws:rds/cluster:Cluster.
type ClusterArgs struct {
	resource.Tagged
	ClusterIdentifier                  string   `pulumi:"clusterIdentifier" aws:"forcenew"`
	Engine                             string   `pulumi:"engine" aws:"forcenew"`
	EngineMode                         *string  `pulumi:"engineMode,optional" aws:"forcenew"`
	EngineVersion                      *string  `pulumi:"engineVersion,optional" aws:"computed"`
	EngineLifecycleSupport             *string  `pulumi:"engineLifecycleSupport,optional" aws:"computed"`
	DatabaseName                       *string  `pulumi:"databaseName,optional" aws:"computed,forcenew"`
	MasterUsername                     *string  `pulumi:"masterUsername,optional" aws:"computed,forcenew"`
	MasterPassword                     *string  `pulumi:"masterPassword,optional" provider:"secret" aws:"writeonly"`
	Port                               *int     `pulumi:"port,optional" aws:"computed"`
	DBSubnetGroupName                  *string  `pulumi:"dbSubnetGroupName,optional" aws:"computed,forcenew"`
	DBClusterParameterGroupName        *string  `pulumi:"dbClusterParameterGroupName,optional" aws:"computed"`
	VpcSecurityGroupIDs                []string `pulumi:"vpcSecurityGroupIds,optional" aws:"set,computed"`
	StorageEncrypted                   *bool    `pulumi:"storageEncrypted,optional" aws:"computed,forcenew"`
	KmsKeyID                           *string  `pulumi:"kmsKeyId,optional" aws:"computed,forcenew"`
	BackupRetentionPeriod              *int     `pulumi:"backupRetentionPeriod,optional" aws:"computed"`
	PreferredBackupWindow              *string  `pulumi:"preferredBackupWindow,optional" aws:"computed"`
	PreferredMaintenanceWindow         *string  `pulumi:"preferredMaintenanceWindow,optional" aws:"computed"`
	CopyTagsToSnapshot                 *bool    `pulumi:"copyTagsToSnapshot,optional"`
	IamDatabaseAuthenticationEnabled   *bool    `pulumi:"iamDatabaseAuthenticationEnabled,optional"`
	EnabledCloudwatchLogsExports       []string `pulumi:"enabledCloudwatchLogsExports,optional" aws:"set"`
	PerformanceInsightsEnabled         *bool    `pulumi:"performanceInsightsEnabled,optional"`
	PerformanceInsightsRetentionPeriod *int     `pulumi:"performanceInsightsRetentionPeriod,optional" aws:"computed"`
	DeletionProtection                 *bool    `pulumi:"deletionProtection,optional"`
	DeleteAutomatedBackups             *bool    `pulumi:"deleteAutomatedBackups,optional" aws:"writeonly"`
	SkipFinalSnapshot                  *bool    `pulumi:"skipFinalSnapshot,optional" aws:"writeonly"`
	FinalSnapshotIdentifier            *string  `pulumi:"finalSnapshotIdentifier,optional" aws:"writeonly"`
	AllowMajorVersionUpgrade           *bool    `pulumi:"allowMajorVersionUpgrade,optional" aws:"writeonly"`
	ApplyImmediately                   *bool    `pulumi:"applyImmediately,optional" aws:"writeonly,computed"`
}

// ClusterState is the state of aws:rds/cluster:Cluster; its id is the cluster's identifier.
type ClusterState struct {
	ClusterArgs
	resource.AllTags
	Arn                 string   `pulumi:"arn"`
	ClusterResourceID   string   `pulumi:"clusterResourceId"`
	Endpoint            string   `pulumi:"endpoint"`
	ReaderEndpoint      string   `pulumi:"readerEndpoint"`
	EngineVersionActual string   `pulumi:"engineVersionActual"`
	HostedZoneID        string   `pulumi:"hostedZoneId"`
	AvailabilityZones   []string `pulumi:"availabilityZones,optional"`
	AllocatedStorage    int      `pulumi:"allocatedStorage,optional"`
	StorageType         string   `pulumi:"storageType,optional"`
	NetworkType         string   `pulumi:"networkType,optional"`
	// PerformanceInsightsKmsKeyID is what encrypts them, AWS's own key for RDS.
	PerformanceInsightsKmsKeyID *string `pulumi:"performanceInsightsKmsKeyId,optional"`
}

var cluster = resource.Description[ClusterArgs, ClusterState]{
	Token:  "aws:rds/cluster:Cluster",
	Check:  checkCluster,
	Create: createCluster,
	Read:   readCluster,
	Update: updateCluster,
	Delete: deleteCluster,
	Example: func(x resource.Scratch) resource.Example[ClusterArgs] {
		in := exampleCluster(x, x.Name("cluster"))
		password := "Another-one-of-32-characters-yes"
		return resource.Example[ClusterArgs]{
			Inputs: in,
			Changes: []resource.Change[ClusterArgs]{
				{Name: "backups", Apply: func(a *ClusterArgs) {
					a.BackupRetentionPeriod, a.PreferredBackupWindow = aws.Int(7), aws.String("05:00-06:00")
				}},
				{Name: "maintenance window", Apply: func(a *ClusterArgs) { a.PreferredMaintenanceWindow = aws.String("Mon:07:00-Mon:08:00") }},
				{Name: "password", Apply: func(a *ClusterArgs) { a.MasterPassword = &password }},
				{Name: "insights", Apply: func(a *ClusterArgs) {
					a.PerformanceInsightsEnabled, a.PerformanceInsightsRetentionPeriod = aws.Bool(true), aws.Int(7)
				}},
				{Name: "no insights", Apply: func(a *ClusterArgs) { a.PerformanceInsightsEnabled, a.PerformanceInsightsRetentionPeriod = nil, nil }},
				{Name: "protection on", Apply: func(a *ClusterArgs) { a.DeletionProtection = aws.Bool(true) }},
				{Name: "protection off", Apply: func(a *ClusterArgs) { a.DeletionProtection = aws.Bool(false) }},
				{Name: "snapshots without tags", Apply: func(a *ClusterArgs) { a.CopyTagsToSnapshot = nil }},
				{Name: "how it is deleted", Apply: func(a *ClusterArgs) { a.DeleteAutomatedBackups = aws.Bool(false) }},
				{Name: "tags", Apply: func(a *ClusterArgs) { a.Tags = map[string]string{"More": "yes"} }},
			},
		}
	},
}

func checkCluster(a *ClusterArgs) []resource.Fault {
	for _, off := range []**bool{
		&a.CopyTagsToSnapshot, &a.IamDatabaseAuthenticationEnabled, &a.DeletionProtection, &a.SkipFinalSnapshot,
		&a.AllowMajorVersionUpgrade, &a.PerformanceInsightsEnabled,
	} {
		resource.Default(off, false)
	}
	resource.Default(&a.DeleteAutomatedBackups, true)
	resource.Default(&a.EngineMode, "provisioned")
	a.PreferredMaintenanceWindow = lowered(a.PreferredMaintenanceWindow)

	var f faults
	f.match("clusterIdentifier", a.ClusterIdentifier, identifierForm, identifierRule)
	f.add(len(a.ClusterIdentifier) > 63, "clusterIdentifier", "must have at most 63 characters")
	f.oneOf("engine", a.Engine, clusterEngines)
	f.oneOf("engineMode", *a.EngineMode, clusterModes)
	f.oneOf("engineLifecycleSupport", aws.ToString(a.EngineLifecycleSupport), lifecycles)
	f.add(aws.ToInt(a.BackupRetentionPeriod) > 35, "backupRetentionPeriod", "must be at most 35 days")
	f.match("preferredBackupWindow", aws.ToString(a.PreferredBackupWindow), dailyForm, dailyRule)
	f.match("preferredMaintenanceWindow", aws.ToString(a.PreferredMaintenanceWindow), weeklyForm, weeklyRule)
	f.match("finalSnapshotIdentifier", aws.ToString(a.FinalSnapshotIdentifier), snapshotForm,
		"must be letters, digits and single hyphens, and not end with a hyphen")
	for _, log := range a.EnabledCloudwatchLogsExports {
		f.oneOf("enabledCloudwatchLogsExports", log, exportableLogs)
	}
	return f
}

func createCluster(ctx context.Context, c *resource.Cloud, a ClusterArgs) (string, error) {
	in := &rds.CreateDBClusterInput{
		DBClusterIdentifier: &a.ClusterIdentifier, Engine: &a.Engine, EngineMode: a.EngineMode, EngineVersion: a.EngineVersion,
		EngineLifecycleSupport: a.EngineLifecycleSupport, DatabaseName: a.DatabaseName, Port: resource.Int32(a.Port),
		MasterUsername: a.MasterUsername, MasterUserPassword: a.MasterPassword,
		DBSubnetGroupName: a.DBSubnetGroupName, DBClusterParameterGroupName: a.DBClusterParameterGroupName,
		VpcSecurityGroupIds: a.VpcSecurityGroupIDs, StorageEncrypted: a.StorageEncrypted, KmsKeyId: a.KmsKeyID,
		BackupRetentionPeriod: resource.Int32(a.BackupRetentionPeriod), PreferredBackupWindow: a.PreferredBackupWindow,
		PreferredMaintenanceWindow: a.PreferredMaintenanceWindow, CopyTagsToSnapshot: a.CopyTagsToSnapshot,
		EnableIAMDatabaseAuthentication: a.IamDatabaseAuthenticationEnabled,
		EnableCloudwatchLogsExports:     a.EnabledCloudwatchLogsExports,
		EnablePerformanceInsights:       a.PerformanceInsightsEnabled, PerformanceInsightsRetentionPeriod: resource.Int32(a.PerformanceInsightsRetentionPeriod),
		DeletionProtection: a.DeletionProtection, Tags: tagList(a.Tags),
	}
	err := again(ctx, "RDS may use the cluster's roles", propagation, unreadyRole, func(ctx context.Context) error {
		_, err := c.RDS.CreateDBCluster(ctx, in)
		return err
	})
	if cloud.HasCode(err, "DBClusterSnapshotAlreadyExistsFault") {
		// The endpoint made the cluster and failed at its first automated backup, which a namesake left behind.
		_, err = findCluster(ctx, c, a.ClusterIdentifier)
	}
	if err != nil {
		return "", err
	}
	return a.ClusterIdentifier, awaitCluster(ctx, c, a.ClusterIdentifier, false)
}

func readCluster(ctx context.Context, c *resource.Cloud, id string, prior ClusterState) (ClusterState, error) {
	got, err := findCluster(ctx, c, id)
	if err != nil {
		return prior, err
	}
	s := prior
	s.Arn, s.ClusterResourceID = aws.ToString(got.DBClusterArn), aws.ToString(got.DbClusterResourceId)
	s.Endpoint, s.ReaderEndpoint = aws.ToString(got.Endpoint), aws.ToString(got.ReaderEndpoint)
	s.HostedZoneID, s.AvailabilityZones = aws.ToString(got.HostedZoneId), slices.Sorted(slices.Values(got.AvailabilityZones))
	s.AllocatedStorage, s.StorageType = int(aws.ToInt32(got.AllocatedStorage)), aws.ToString(got.StorageType)
	s.NetworkType = aws.ToString(got.NetworkType)
	s.ClusterIdentifier, s.Engine = aws.ToString(got.DBClusterIdentifier), aws.ToString(got.Engine)
	s.EngineMode = resource.OrPrior(got.EngineMode, prior.EngineMode)
	s.EngineVersionActual = aws.ToString(got.EngineVersion)
	pending := ""
	if got.PendingModifiedValues != nil {
		pending = aws.ToString(got.PendingModifiedValues.EngineVersion)
	}
	s.EngineVersion = aws.String(keptVersion(aws.ToString(prior.EngineVersion), s.EngineVersionActual, pending))
	s.EngineLifecycleSupport = resource.OrPrior(got.EngineLifecycleSupport, prior.EngineLifecycleSupport)
	// RDS accepts a database name that it does not always return.
	s.DatabaseName = resource.OrPrior(got.DatabaseName, prior.DatabaseName)
	s.MasterUsername, s.Port = got.MasterUsername, resource.Int(got.Port)
	s.DBSubnetGroupName, s.DBClusterParameterGroupName = got.DBSubnetGroup, got.DBClusterParameterGroup
	s.VpcSecurityGroupIDs = nil
	for _, g := range got.VpcSecurityGroups {
		s.VpcSecurityGroupIDs = append(s.VpcSecurityGroupIDs, aws.ToString(g.VpcSecurityGroupId))
	}
	slices.Sort(s.VpcSecurityGroupIDs)
	s.StorageEncrypted, s.KmsKeyID = resource.OrPrior(got.StorageEncrypted, prior.StorageEncrypted), got.KmsKeyId
	s.BackupRetentionPeriod, s.PreferredBackupWindow = resource.Int(got.BackupRetentionPeriod), got.PreferredBackupWindow
	s.PreferredMaintenanceWindow = lowered(got.PreferredMaintenanceWindow)
	s.CopyTagsToSnapshot = resource.OrPrior(got.CopyTagsToSnapshot, prior.CopyTagsToSnapshot)
	s.IamDatabaseAuthenticationEnabled = resource.OrPrior(got.IAMDatabaseAuthenticationEnabled, prior.IamDatabaseAuthenticationEnabled)
	s.EnabledCloudwatchLogsExports = slices.Sorted(slices.Values(got.EnabledCloudwatchLogsExports))
	s.PerformanceInsightsEnabled = resource.OrPrior(got.PerformanceInsightsEnabled, prior.PerformanceInsightsEnabled)
	s.PerformanceInsightsRetentionPeriod = resource.OrPrior(resource.Int(got.PerformanceInsightsRetentionPeriod), prior.PerformanceInsightsRetentionPeriod)
	s.PerformanceInsightsKmsKeyID = got.PerformanceInsightsKMSKeyId
	s.DeletionProtection = resource.OrPrior(got.DeletionProtection, prior.DeletionProtection)
	s.Tags = tagMap(got.TagList)
	s.TagsAll = s.Tags
	return s, nil
}

// keptVersion is the version that the state shows: what the program asked for, as long as the actual version, or the one
// that is pending, is of it ("16" stays while 16.4 runs), else the actual one.
func keptVersion(wanted, actual, pending string) string {
	if wanted != "" && (wanted == actual || wanted == pending || strings.HasPrefix(actual, wanted+".")) {
		return wanted
	}
	return actual
}

func updateCluster(ctx context.Context, c *resource.Cloud, id string, old ClusterState, a ClusterArgs) error {
	if in := modifyCluster(old.ClusterArgs, a); in != nil {
		// The official provider sends a version that is not the actual one with every modification.
		if in.EngineVersion == nil && aws.ToString(a.EngineVersion) != old.EngineVersionActual {
			in.EngineVersion = a.EngineVersion
		}
		in.DBClusterIdentifier, in.ApplyImmediately = &id, a.ApplyImmediately
		if aws.ToBool(a.AllowMajorVersionUpgrade) {
			in.AllowMajorVersionUpgrade = a.AllowMajorVersionUpgrade
		}
		busy := func(err error) bool { return unreadyRole(err) || cloud.HasCode(err, "InvalidDBClusterStateFault") }
		err := again(ctx, "cluster "+id+" can be modified", modifyTimeout, busy, func(ctx context.Context) error {
			_, err := c.RDS.ModifyDBCluster(ctx, in)
			return err
		})
		if err != nil {
			return err
		}
		if err := awaitCluster(ctx, c, id, aws.ToBool(a.ApplyImmediately)); err != nil {
			return err
		}
	}
	return updateTags(ctx, c, old.Arn, old.Tags, a.Tags)
}

// modifyCluster is the modification that leads from old to now, or nil.
func modifyCluster(old, now ClusterArgs) *rds.ModifyDBClusterInput {
	in := &rds.ModifyDBClusterInput{
		EngineVersion:                      differs(old.EngineVersion, now.EngineVersion),
		EngineLifecycleSupport:             differs(old.EngineLifecycleSupport, now.EngineLifecycleSupport),
		MasterUserPassword:                 differs(old.MasterPassword, now.MasterPassword),
		Port:                               resource.Int32(differs(old.Port, now.Port)),
		DBClusterParameterGroupName:        differs(old.DBClusterParameterGroupName, now.DBClusterParameterGroupName),
		BackupRetentionPeriod:              resource.Int32(differs(old.BackupRetentionPeriod, now.BackupRetentionPeriod)),
		PreferredBackupWindow:              differs(old.PreferredBackupWindow, now.PreferredBackupWindow),
		PreferredMaintenanceWindow:         differs(old.PreferredMaintenanceWindow, now.PreferredMaintenanceWindow),
		CopyTagsToSnapshot:                 differs(old.CopyTagsToSnapshot, now.CopyTagsToSnapshot),
		EnableIAMDatabaseAuthentication:    differs(old.IamDatabaseAuthenticationEnabled, now.IamDatabaseAuthenticationEnabled),
		EnablePerformanceInsights:          differs(old.PerformanceInsightsEnabled, now.PerformanceInsightsEnabled),
		PerformanceInsightsRetentionPeriod: resource.Int32(differs(old.PerformanceInsightsRetentionPeriod, now.PerformanceInsightsRetentionPeriod)),
		DeletionProtection:                 differs(old.DeletionProtection, now.DeletionProtection),
	}
	if !sameSet(old.VpcSecurityGroupIDs, now.VpcSecurityGroupIDs) {
		in.VpcSecurityGroupIds = now.VpcSecurityGroupIDs
	}
	if !sameSet(old.EnabledCloudwatchLogsExports, now.EnabledCloudwatchLogsExports) {
		in.CloudwatchLogsExportConfiguration = &types.CloudwatchLogsExportConfiguration{
			EnableLogTypes:  without(now.EnabledCloudwatchLogsExports, old.EnabledCloudwatchLogsExports),
			DisableLogTypes: without(old.EnabledCloudwatchLogsExports, now.EnabledCloudwatchLogsExports),
		}
	}
	if reflect.DeepEqual(in, &rds.ModifyDBClusterInput{}) {
		return nil
	}
	return in
}

func deleteCluster(ctx context.Context, c *resource.Cloud, id string, s ClusterState) error {
	in := &rds.DeleteDBClusterInput{
		DBClusterIdentifier: &id, DeleteAutomatedBackups: s.DeleteAutomatedBackups, SkipFinalSnapshot: s.SkipFinalSnapshot,
	}
	if !aws.ToBool(s.SkipFinalSnapshot) {
		if aws.ToString(s.FinalSnapshotIdentifier) == "" {
			return errors.New("finalSnapshotIdentifier is required when skipFinalSnapshot is false")
		}
		in.FinalDBSnapshotIdentifier = s.FinalSnapshotIdentifier
	}
	busy := func(err error) bool {
		return refused(err, "InvalidDBClusterStateFault", "is not currently in the available state")
	}
	err := again(ctx, "cluster "+id+" can be deleted", propagation, busy, func(ctx context.Context) error {
		_, err := c.RDS.DeleteDBCluster(ctx, in)
		return err
	})
	if err != nil {
		return err
	}
	return resource.PollGone(ctx, "cluster "+id, clusterTimeout, func(ctx context.Context) error {
		_, err := findCluster(ctx, c, id)
		return err
	})
}

func findCluster(ctx context.Context, c *resource.Cloud, id string) (types.DBCluster, error) {
	out, err := c.RDS.DescribeDBClusters(ctx, &rds.DescribeDBClustersInput{DBClusterIdentifier: &id})
	if err != nil {
		return types.DBCluster{}, err
	}
	if len(out.DBClusters) != 1 || aws.ToString(out.DBClusters[0].DBClusterIdentifier) != id {
		return types.DBCluster{}, resource.ErrNotFound
	}
	return out.DBClusters[0], nil
}

// awaitCluster waits until the cluster is available and, with applied, has no modification pending.
func awaitCluster(ctx context.Context, c *resource.Cloud, id string, applied bool) error {
	return resource.PollThere(ctx, "cluster "+id+" is available", clusterTimeout, func(ctx context.Context) (bool, error) {
		got, err := findCluster(ctx, c, id)
		if err != nil {
			return false, err
		}
		pending := got.PendingModifiedValues
		if applied && pending != nil && !reflect.DeepEqual(pending, &types.ClusterPendingModifiedValues{}) {
			return false, nil
		}
		return settled(aws.ToString(got.Status))
	})
}

// exampleCluster is an Aurora PostgreSQL cluster in a network of its own.
func exampleCluster(x resource.Scratch, name string) ClusterArgs {
	group := x.Make("aws:rds/subnetGroup:SubnetGroup", map[string]any{
		"name": x.Name("subnets"), "subnetIds": anySlice(exampleSubnets(x)),
	})
	parameters := x.Make("aws:rds/clusterParameterGroup:ClusterParameterGroup", map[string]any{
		"name": x.Name("parameters"), "family": "aurora-postgresql16",
	})
	return ClusterArgs{
		ClusterIdentifier: name, Engine: "aurora-postgresql", EngineVersion: aws.String("16"),
		EngineLifecycleSupport: aws.String("open-source-rds-extended-support-disabled"),
		DatabaseName:           aws.String("payments"), MasterUsername: aws.String("payments_admin"),
		MasterPassword: aws.String("Only-for-tests-of-32-characters."), Port: aws.Int(5432),
		DBSubnetGroupName: &group.ID, DBClusterParameterGroupName: &parameters.ID,
		StorageEncrypted: aws.Bool(true), BackupRetentionPeriod: aws.Int(14),
		PreferredBackupWindow: aws.String("03:00-04:00"), PreferredMaintenanceWindow: aws.String("sun:04:30-sun:05:30"),
		CopyTagsToSnapshot: aws.Bool(true), IamDatabaseAuthenticationEnabled: aws.Bool(true),
		EnabledCloudwatchLogsExports: []string{"postgresql"}, SkipFinalSnapshot: aws.Bool(true),
		Tagged: resource.Tagged{Tags: map[string]string{"Name": "cluster"}},
	}
}

func anySlice(list []string) []any {
	var all []any
	for _, s := range list {
		all = append(all, s)
	}
	return all
}
