package integration

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"tapstack/lib"
)

func databaseSabotages() []sabotage {
	return []sabotage{
		{
			Check: "database.grants", Says: "let payment-api delete entries of the ledger, as the migration's log tells", Unhealable: byHand,
			Do: func(ctx context.Context, s *saboteur) {
				group, stream := aws.String(s.named("/ecs/payment-migrate")), aws.String("payment-migrate/payment-migrate/by-hand")
				call(ctx, s, s.Logs.CreateLogStream, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: group, LogStreamName: stream})
				later(s, s.Logs.DeleteLogStream, &cloudwatchlogs.DeleteLogStreamInput{LogGroupName: group, LogStreamName: stream})
				call(ctx, s, s.Logs.PutLogEvents, &cloudwatchlogs.PutLogEventsInput{
					LogGroupName: group, LogStreamName: stream,
					LogEvents: []logtypes.InputLogEvent{{Message: grantsTold(tooMuch), Timestamp: aws.Int64(time.Now().UnixMilli())}},
				})
			},
		},
		modifiesCluster("database.backups", "keep backups for one day", func(in *rds.ModifyDBClusterInput) { in.BackupRetentionPeriod = aws.Int32(1) }),
		modifiesCluster("database.engine", "upgrade the engine by hand", func(in *rds.ModifyDBClusterInput) {
			in.EngineVersion, in.AllowMajorVersionUpgrade = aws.String("15.8"), aws.Bool(true)
		}),
		modifiesCluster("database.iam-auth", "switch IAM authentication off", func(in *rds.ModifyDBClusterInput) { in.EnableIAMDatabaseAuthentication = aws.Bool(false) }),
		modifiesCluster("database.log-exports", "stop the export of the log", func(in *rds.ModifyDBClusterInput) {
			in.CloudwatchLogsExportConfiguration = &types.CloudwatchLogsExportConfiguration{DisableLogTypes: []string{"postgresql"}}
		}),
		modifiesCluster("database.no-paid-extended-support", "enrol the cluster in paid extended support", func(in *rds.ModifyDBClusterInput) {
			in.EngineLifecycleSupport = aws.String("open-source-rds-extended-support")
		}),
		modifiesCluster("destroyable.database", "protect the cluster from deletion", func(in *rds.ModifyDBClusterInput) { in.DeletionProtection = aws.Bool(true) }),
		setsParameter("database.force-ssl", "let clients connect without TLS", "rds.force_ssl", "0"),
		setsParameter("database.audit-parameters", "audit no statement", "pgaudit.log", "none"),
		setsParameter("database.replication-ready", "switch logical replication off", "rds.logical_replication", "0"),
		setsParameter("database.no-statements-logged", "log schema changes as they come", "log_statement", "ddl"),
		setsParameter("database.libraries", "load no audit extension", "shared_preload_libraries", "pg_stat_statements"),
		modifiesInstance("database.promotion-tiers", "put a reader last in line", func(in *rds.ModifyDBInstanceInput) { in.PromotionTier = aws.Int32(15) }),
		modifiesInstance("database.certificate-authority", "take another certificate authority", func(in *rds.ModifyDBInstanceInput) { in.CACertificateIdentifier = aws.String("rds-ca-2019") }),
		modifiesInstance("database.minor-upgrades", "switch minor upgrades off", func(in *rds.ModifyDBInstanceInput) { in.AutoMinorVersionUpgrade = aws.Bool(false) }),
		modifiesInstance("database.maintenance-window", "let RDS interrupt a reader at noon", func(in *rds.ModifyDBInstanceInput) {
			in.PreferredMaintenanceWindow = aws.String("mon:12:00-mon:12:30")
		}),
		modifiesInstance("database.not-public", "make a reader public", func(in *rds.ModifyDBInstanceInput) { in.PubliclyAccessible = aws.Bool(true) }),
		modifiesInstance("database.performance-insights", "switch performance insights off", func(in *rds.ModifyDBInstanceInput) { in.EnablePerformanceInsights = aws.Bool(false) }),
		modifiesInstance("database.enhanced-monitoring", "switch enhanced monitoring off", func(in *rds.ModifyDBInstanceInput) { in.MonitoringInterval = aws.Int32(0) }),
		{
			Check: "database.topology", Says: "delete a reader", Also: []string{"database.promotion-tiers", "database.zones", "database.failover"}, On: "reader 1",
			Do: func(ctx context.Context, s *saboteur) { s.deleteReader(ctx, "aurora-reader-1") },
		},
		remakesReader("database.zones", "make a reader anew in the writer's zone", func(s *saboteur, in *rds.CreateDBInstanceInput) {
			in.AvailabilityZone = aws.String(s.list(lib.OutputAvailabilityZones)[0])
		}),
		{
			Check: "database.private-subnets", Says: "route a private subnet of the database's straight to the internet gateway",
			Also: []string{"network.private-routes"}, On: "nat gateways",
			Do: func(ctx context.Context, s *saboteur) { s.routeToInternet(ctx, "private-route-table-3") },
		},
		{Check: "database.private-subnets", Says: "give the database a public subnet as well", Do: func(ctx context.Context, s *saboteur) {
			subnets := append(s.list(lib.OutputPrivateSubnetIDs), s.list(lib.OutputPublicSubnetIDs)[0])
			call(ctx, s, s.RDS.ModifyDBSubnetGroup, &rds.ModifyDBSubnetGroupInput{
				DBSubnetGroupName: aws.String(s.named("db-subnet-group")), SubnetIds: subnets,
			})
		}},
		{Check: "destroyable.snapshots", Says: "take a snapshot by hand", Unhealable: byHand, Do: func(ctx context.Context, s *saboteur) {
			id := aws.String(s.named("by-hand"))
			call(ctx, s, s.RDS.CreateDBClusterSnapshot, &rds.CreateDBClusterSnapshotInput{
				DBClusterIdentifier: aws.String(s.output(lib.OutputClusterIdentifier)), DBClusterSnapshotIdentifier: id,
			})
			later(s, s.RDS.DeleteDBClusterSnapshot, &rds.DeleteDBClusterSnapshotInput{DBClusterSnapshotIdentifier: id})
		}},
	}
}

func (s *saboteur) rdsTags(role string) []types.Tag {
	return tagList(stackTags(s.named(role)), func(k, v *string) types.Tag { return types.Tag{Key: k, Value: v} })
}

func modifiesCluster(check, says string, change func(*rds.ModifyDBClusterInput)) sabotage {
	return sabotage{Check: check, Says: says, Do: func(ctx context.Context, s *saboteur) {
		in := &rds.ModifyDBClusterInput{DBClusterIdentifier: aws.String(s.output(lib.OutputClusterIdentifier)), ApplyImmediately: aws.Bool(true)}
		change(in)
		call(ctx, s, s.RDS.ModifyDBCluster, in)
	}}
}

// modifiesInstance changes the second reader.
func modifiesInstance(check, says string, change func(*rds.ModifyDBInstanceInput)) sabotage {
	return sabotage{Check: check, Says: says, Do: func(ctx context.Context, s *saboteur) {
		in := &rds.ModifyDBInstanceInput{DBInstanceIdentifier: aws.String(s.named("aurora-reader-2")), ApplyImmediately: aws.Bool(true)}
		change(in)
		call(ctx, s, s.RDS.ModifyDBInstance, in)
	}}
}

func setsParameter(check, says, name, value string) sabotage {
	return sabotage{Check: check, Says: says, Do: func(ctx context.Context, s *saboteur) {
		call(ctx, s, s.RDS.ModifyDBClusterParameterGroup, &rds.ModifyDBClusterParameterGroupInput{
			DBClusterParameterGroupName: aws.String(s.named("db-cluster-parameter-group-16")),
			Parameters: []types.Parameter{{
				ParameterName: &name, ParameterValue: &value, ApplyMethod: types.ApplyMethodPendingReboot,
			}},
		})
	}}
}

func (s *saboteur) deleteReader(ctx context.Context, role string) {
	call(ctx, s, s.RDS.DeleteDBInstance, &rds.DeleteDBInstanceInput{
		DBInstanceIdentifier: aws.String(s.named(role)), SkipFinalSnapshot: aws.Bool(true),
	})
}

// remakesReader deletes the first reader and makes it again as it was, but for one thing that cannot be modified.
func remakesReader(check, says string, change func(*saboteur, *rds.CreateDBInstanceInput)) sabotage {
	return sabotage{Check: check, Says: says, On: "reader 1", Do: func(ctx context.Context, s *saboteur) {
		out := call(ctx, s, s.RDS.DescribeDBInstances, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: aws.String(s.named("aurora-reader-1"))})
		was := first(s, "reader", out.DBInstances)
		in := &rds.CreateDBInstanceInput{
			DBInstanceIdentifier: was.DBInstanceIdentifier, DBClusterIdentifier: was.DBClusterIdentifier,
			DBInstanceClass: was.DBInstanceClass, Engine: was.Engine, AvailabilityZone: was.AvailabilityZone,
			PromotionTier: was.PromotionTier, CACertificateIdentifier: was.CACertificateIdentifier,
			PreferredMaintenanceWindow: was.PreferredMaintenanceWindow,
			AutoMinorVersionUpgrade:    was.AutoMinorVersionUpgrade, StorageEncrypted: was.StorageEncrypted,
			PubliclyAccessible: aws.Bool(false), Tags: s.rdsTags("aurora-reader-1"),
			EnablePerformanceInsights: was.PerformanceInsightsEnabled, PerformanceInsightsRetentionPeriod: was.PerformanceInsightsRetentionPeriod,
			MonitoringInterval: was.MonitoringInterval, MonitoringRoleArn: was.MonitoringRoleArn,
		}
		change(s, in)
		s.deleteReader(ctx, "aurora-reader-1")
		call(ctx, s, s.RDS.CreateDBInstance, in)
	}}
}
