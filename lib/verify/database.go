package verify

import (
	"cmp"
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"tapstack/lib"
	"tapstack/lib/reachability"
)

const (
	// monitoringSeconds is the interval of enhanced monitoring.
	monitoringSeconds = 60
	certificateOfRDS  = "rds-ca-rsa2048-g1"
)

func databaseChecks() []Check {
	return []Check{
		{
			ID:   "database.engine",
			Says: "Deploy RDS Aurora PostgreSQL cluster",
			Run:  recorded(databaseEngine),
		},
		{
			ID:   "database.topology",
			Says: "Deploy RDS Aurora PostgreSQL cluster with one writer instance and two reader instances",
			Run:  recorded(databaseTopology),
		},
		{
			ID:   "database.zones",
			Says: "Deploy across private subnets in at least 2 availability zones for high availability: each instance in a zone of its own",
			Run:  recorded(databaseZones),
		},
		{
			ID:   "database.private-subnets",
			Says: "Deploy across private subnets in at least 2 availability zones: the subnet group holds exactly the private subnets, none with a way in from the internet",
			PCI:  []string{"1.4.4"},
			Run:  recorded(databaseSubnets),
		},
		{
			ID:    "database.not-public",
			Says:  "Private subnets for compute and database resources: no instance has a public address",
			PCI:   []string{"1.4.4"},
			Needs: []Capability{capPublicFlag},
			Run: recorded(eachInstance(func(x subject, i rdstypes.DBInstance) {
				x.equal("PubliclyAccessible", false, i.PubliclyAccessible)
			})),
		},
		{
			ID:   "database.encrypted",
			Says: "Enable encryption at rest using AWS managed KMS keys: the storage of cluster and instances is encrypted",
			PCI:  []string{"3.5.1"},
			Run:  recorded(databaseEncrypted),
		},
		{
			ID:    "database.aws-managed-key",
			Says:  "Enable encryption at rest using AWS managed KMS keys: the key is AWS's own for RDS",
			PCI:   []string{"3.6.1", "3.7.4"},
			Needs: []Capability{capDatabaseKey},
			Run:   recorded(databaseKey),
		},
		{
			ID:   "database.backups",
			Says: "Configure automated backups with point-in-time recovery",
			Run:  recorded(databaseBackups),
		},
		{
			ID:   "database.force-ssl",
			Says: "All data encryption at rest and in transit: the database refuses connections without TLS",
			PCI:  []string{"4.2.1"},
			Run: recorded(parametersAre(map[string]string{
				"rds.force_ssl": "1",
			})),
		},
		{
			ID:   "database.audit-parameters",
			Says: "The database logs connections, and pgAudit changes of schema and roles (beyond the brief)",
			PCI:  []string{"10.2.1"},
			Run: recorded(parametersAre(map[string]string{
				"log_connections":    "1",
				"log_disconnections": "1",
				"pgaudit.log":        "ddl,role",
			})),
		},
		{
			ID:   "database.no-statements-logged",
			Says: "Passwords do not reach the log: PostgreSQL logs no statements as they come (beyond the brief)",
			PCI:  []string{"8.3.2"},
			Run:  recorded(statementsUnlogged),
		},
		{
			ID:   "database.replication-ready",
			Says: "PostgreSQL databases need to be replicated in AWS with minimal downtime during the cutover phase: logical replication is on",
			Run: recorded(parametersAre(map[string]string{
				"rds.logical_replication": "1",
			})),
		},
		{
			ID:   "database.libraries",
			Says: "The audit and statistics extensions that the parameters speak of are loaded (beyond the brief)",
			Run:  recorded(databaseLibraries),
		},
		{
			ID:   "database.iam-auth",
			Says: "Proper IAM roles with minimal permissions for inter-service communication: the database accepts IAM authentication (beyond the brief)",
			PCI:  []string{"8.6.3"},
			Run: recorded(ofCluster(func(x subject, c rdstypes.DBCluster) {
				x.equal("IAMDatabaseAuthenticationEnabled", true, c.IAMDatabaseAuthenticationEnabled)
			})),
		},
		{
			ID:   "database.log-exports",
			Says: "Use CloudWatch Logs for centralized logging: the database exports its PostgreSQL log",
			PCI:  []string{"10.2.1", "10.3.3"},
			Run: recorded(ofCluster(func(x subject, c rdstypes.DBCluster) {
				x.includes("EnabledCloudwatchLogsExports", []string{"postgresql"}, c.EnabledCloudwatchLogsExports)
			})),
		},
		{
			ID:   "database.promotion-tiers",
			Says: "High availability: one instance is first in line for the writer's place, the two others follow (beyond the brief)",
			Run:  recorded(promotionTiers),
		},
		{
			ID:    "database.performance-insights",
			Says:  "Performance insights on every instance (beyond the brief)",
			Needs: []Capability{capPerformanceInsights},
			Run: recorded(eachInstance(func(x subject, i rdstypes.DBInstance) {
				x.equal("PerformanceInsightsEnabled", true, i.PerformanceInsightsEnabled)
			})),
		},
		{
			ID:    "database.enhanced-monitoring",
			Says:  "Enhanced monitoring every 60 s with its role (beyond the brief)",
			Needs: []Capability{capEnhancedMonitoring},
			Run: recorded(eachInstance(func(x subject, i rdstypes.DBInstance) {
				x.equal("MonitoringInterval", monitoringSeconds, i.MonitoringInterval)
				x.present("MonitoringRoleArn", i.MonitoringRoleArn)
			})),
		},
		{
			ID:   "database.certificate-authority",
			Says: "All data encryption in transit: the instances' certificates come from a CA that is valid for decades (beyond the brief)",
			PCI:  []string{"4.2.1"},
			Run: recorded(eachInstance(func(x subject, i rdstypes.DBInstance) {
				x.equal("CACertificateIdentifier", certificateOfRDS, i.CACertificateIdentifier)
			})),
		},
		{
			ID:   "database.minor-upgrades",
			Says: "Instances take minor engine versions, which carry security fixes, by themselves (beyond the brief)",
			PCI:  []string{"6.3.3"},
			Run: recorded(eachInstance(func(x subject, i rdstypes.DBInstance) {
				x.equal("AutoMinorVersionUpgrade", true, i.AutoMinorVersionUpgrade)
			})),
		},
		{
			ID:   "database.maintenance-window",
			Says: "Cluster and instances are interrupted in one window of the week (beyond the brief)",
			Run:  recorded(maintenanceWindow),
		},
		{
			ID:    "database.no-paid-extended-support",
			Says:  "The cluster does not slide into paid extended support (beyond the brief)",
			Needs: []Capability{capEngineLifecycle},
			Run: recorded(ofCluster(func(x subject, c rdstypes.DBCluster) {
				x.equal("EngineLifecycleSupport", "open-source-rds-extended-support-disabled", c.EngineLifecycleSupport)
			})),
		},
		{
			ID:   "database.outputs",
			Says: "Stack outputs including ALB DNS name, RDS cluster endpoint, and SQS queue URLs: the endpoints put out are the cluster's",
			Run:  recorded(databaseOutputs),
		},
	}
}

func (e *Env) dbCluster(ctx context.Context) (rdstypes.DBCluster, error) {
	return byOutput(ctx, e, "database cluster", lib.OutputClusterIdentifier, e.cloud.DBClusters, func(c rdstypes.DBCluster) *string {
		return c.DBClusterIdentifier
	})
}

func (e *Env) dbInstances(ctx context.Context) ([]rdstypes.DBInstance, error) {
	cluster, err1 := e.dbCluster(ctx)
	all, err2 := e.cloud.DBInstances(ctx)
	if err := cmp.Or(err1, err2); err != nil {
		return nil, err
	}
	id := aws.ToString(cluster.DBClusterIdentifier)
	return findAll("instance in database cluster "+id, all, func(i rdstypes.DBInstance) bool { return aws.ToString(i.DBClusterIdentifier) == id })
}

func ofCluster(look func(subject, rdstypes.DBCluster)) func(context.Context, *Env, *recorder) error {
	return func(ctx context.Context, e *Env, rec *recorder) error {
		c, err := e.dbCluster(ctx)
		if err != nil {
			return err
		}
		look(rec.on(aws.ToString(c.DBClusterArn)), c)
		return nil
	}
}

func eachInstance(look func(subject, rdstypes.DBInstance)) func(context.Context, *Env, *recorder) error {
	return func(ctx context.Context, e *Env, rec *recorder) error {
		instances, err := e.dbInstances(ctx)
		if err != nil {
			return err
		}
		for _, i := range instances {
			look(rec.on(aws.ToString(i.DBInstanceArn)), i)
		}
		return nil
	}
}

func databaseEngine(ctx context.Context, e *Env, rec *recorder) error {
	c, err1 := e.dbCluster(ctx)
	version, err2 := e.output(lib.OutputDBEngineVersion)
	instances, err3 := e.dbInstances(ctx)
	if err := cmp.Or(err1, err2, err3); err != nil {
		return err
	}
	x := rec.on(aws.ToString(c.DBClusterArn))
	x.equal("engine", "aurora-postgresql", c.Engine)
	// Minor upgrades come by themselves, which no output tells before the next deployment.
	got := aws.ToString(c.EngineVersion)
	kept, err := lib.ChooseDBVersion(version, got)
	x.record("engine version", version+", or a later minor version", got, err == nil && kept == got)
	x.equal("status", "available", c.Status)
	for _, i := range instances {
		rec.on(aws.ToString(i.DBInstanceArn)).equal("engine", "aurora-postgresql", i.Engine)
	}
	return nil
}

func maintenanceWindow(ctx context.Context, e *Env, rec *recorder) error {
	c, err1 := e.dbCluster(ctx)
	instances, err2 := e.dbInstances(ctx)
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	rec.on(aws.ToString(c.DBClusterArn)).present("PreferredMaintenanceWindow", c.PreferredMaintenanceWindow)
	for _, i := range instances {
		rec.on(aws.ToString(i.DBInstanceArn)).equal("PreferredMaintenanceWindow", aws.ToString(c.PreferredMaintenanceWindow), i.PreferredMaintenanceWindow)
	}
	return nil
}

func databaseTopology(ctx context.Context, e *Env, rec *recorder) error {
	c, err1 := e.dbCluster(ctx)
	instances, err2 := e.dbInstances(ctx)
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	var writers, readers []string
	for _, m := range c.DBClusterMembers {
		if aws.ToBool(m.IsClusterWriter) {
			writers = append(writers, aws.ToString(m.DBInstanceIdentifier))
		} else {
			readers = append(readers, aws.ToString(m.DBInstanceIdentifier))
		}
	}
	x := rec.on(aws.ToString(c.DBClusterArn))
	x.equal("writers", 1, len(writers))
	x.equal("readers", 2, len(readers))
	var names []string
	for _, i := range instances {
		names = append(names, aws.ToString(i.DBInstanceIdentifier))
		rec.on(aws.ToString(i.DBInstanceArn)).equal("status", "available", i.DBInstanceStatus)
	}
	x.sameSet("members", append(writers, readers...), names)
	return nil
}

func databaseZones(ctx context.Context, e *Env, rec *recorder) error {
	c, err1 := e.dbCluster(ctx)
	instances, err2 := e.dbInstances(ctx)
	zones, err3 := e.outputList(lib.OutputAvailabilityZones)
	if err := cmp.Or(err1, err2, err3); err != nil {
		return err
	}
	got := texts(instances, func(i rdstypes.DBInstance) string { return aws.ToString(i.AvailabilityZone) })
	rec.on(aws.ToString(c.DBClusterArn)).sameSet("zones of the instances", zones, got)
	return nil
}

func (e *Env) dbSubnetGroup(ctx context.Context) (rdstypes.DBSubnetGroup, error) {
	c, err1 := e.dbCluster(ctx)
	all, err2 := e.cloud.DBSubnetGroups(ctx)
	if err := cmp.Or(err1, err2); err != nil {
		return rdstypes.DBSubnetGroup{}, err
	}
	name := aws.ToString(c.DBSubnetGroup)
	return findOne("subnet group "+name, all, func(g rdstypes.DBSubnetGroup) bool { return aws.ToString(g.DBSubnetGroupName) == name })
}

func databaseSubnets(ctx context.Context, e *Env, rec *recorder) error {
	group, err1 := e.dbSubnetGroup(ctx)
	private, err2 := e.outputList(lib.OutputPrivateSubnetIDs)
	tables, err3 := e.routeTables(ctx)
	if err := cmp.Or(err1, err2, err3); err != nil {
		return err
	}
	var ids, zones []string
	for _, n := range group.Subnets {
		id := aws.ToString(n.SubnetIdentifier)
		ids = append(ids, id)
		if n.SubnetAvailabilityZone != nil {
			zones = append(zones, aws.ToString(n.SubnetAvailabilityZone.Name))
		}
		table, found := reachability.EffectiveTable(id, tables)
		rec.on(e.cloud.EC2ARN(ctx, "subnet", id)).equal("has a route to an internet gateway", false, !found || table.ToInternetGateway())
	}
	x := rec.on(aws.ToString(group.DBSubnetGroupArn))
	x.sameSet("subnets", private, ids)
	x.within("zones", 2, zonesWanted, int64(len(distinct(zones))))
	return nil
}

func databaseEncrypted(ctx context.Context, e *Env, rec *recorder) error {
	c, err := e.dbCluster(ctx)
	if err != nil {
		return err
	}
	rec.on(aws.ToString(c.DBClusterArn)).equal("StorageEncrypted", true, c.StorageEncrypted)
	return eachInstance(func(x subject, i rdstypes.DBInstance) {
		x.equal("StorageEncrypted", true, i.StorageEncrypted)
	})(ctx, e, rec)
}

func databaseKey(ctx context.Context, e *Env, rec *recorder) error {
	c, err := e.dbCluster(ctx)
	if err != nil {
		return err
	}
	key, err := e.cloud.Key(ctx, aws.ToString(c.KmsKeyId))
	if err != nil {
		return err
	}
	x := rec.on(aws.ToString(c.DBClusterArn))
	x.equal("manager of the key", "AWS", key.KeyManager)
	x.equal("state of the key", "Enabled", key.KeyState)
	return nil
}

func databaseBackups(ctx context.Context, e *Env, rec *recorder) error {
	cfg, err := e.configuration()
	if err != nil {
		return err
	}
	return ofCluster(func(x subject, c rdstypes.DBCluster) {
		x.equal("days that backups are kept", cfg.DBBackupRetentionDays, c.BackupRetentionPeriod)
		x.present("backup window", c.PreferredBackupWindow)
		x.present("earliest restorable time", c.EarliestRestorableTime)
		x.present("latest restorable time", c.LatestRestorableTime)
		x.equal("CopyTagsToSnapshot", true, c.CopyTagsToSnapshot)
	})(ctx, e, rec)
}

// dbParameters are the cluster and the values of the parameter group that it uses.
func (e *Env) dbParameters(ctx context.Context) (rdstypes.DBCluster, map[string]string, error) {
	c, err := e.dbCluster(ctx)
	if err != nil {
		return c, nil, err
	}
	values, err := e.cloud.DBClusterParameters(ctx, aws.ToString(c.DBClusterParameterGroup))
	return c, values, err
}

// parametersAre holds the parameter group that the cluster uses to values. PostgreSQL's flags may read 1 or on.
func parametersAre(wanted map[string]string) func(context.Context, *Env, *recorder) error {
	return func(ctx context.Context, e *Env, rec *recorder) error {
		c, values, err := e.dbParameters(ctx)
		if err != nil {
			return err
		}
		x := rec.on(aws.ToString(c.DBClusterArn))
		for name, want := range wanted {
			got, ok := values[name]
			if !ok {
				got = notSet
			}
			x.record(name, want, got, got == want || want == "1" && got == "on")
		}
		for _, m := range c.DBClusterMembers {
			x.equal("parameters on "+aws.ToString(m.DBInstanceIdentifier), "in-sync", m.DBClusterParameterGroupStatus)
		}
		return nil
	}
}

// statementsUnlogged wants the parameters that log a statement's whole text to be off, as they are when nothing sets them.
func statementsUnlogged(ctx context.Context, e *Env, rec *recorder) error {
	c, values, err := e.dbParameters(ctx)
	if err != nil {
		return err
	}
	x := rec.on(aws.ToString(c.DBClusterArn))
	for name, off := range map[string]string{"log_statement": "none", "log_min_duration_statement": "-1"} {
		x.equal(name, off, cmp.Or(values[name], off))
	}
	return nil
}

func databaseLibraries(ctx context.Context, e *Env, rec *recorder) error {
	c, values, err := e.dbParameters(ctx)
	if err != nil {
		return err
	}
	libraries := strings.Split(values["shared_preload_libraries"], ",")
	rec.on(aws.ToString(c.DBClusterArn)).includes("shared_preload_libraries", []string{"pg_stat_statements", "pgaudit"}, libraries)
	return nil
}

// promotionTiers does not ask which instance writes: after a failover another one does, and nothing is wrong.
func promotionTiers(ctx context.Context, e *Env, rec *recorder) error {
	c, err1 := e.dbCluster(ctx)
	instances, err2 := e.dbInstances(ctx)
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	tiers := texts(instances, func(i rdstypes.DBInstance) string { return text(i.PromotionTier) })
	rec.on(aws.ToString(c.DBClusterArn)).sameSet("promotion tiers", []string{"0", "1", "1"}, tiers)
	return nil
}

func databaseOutputs(ctx context.Context, e *Env, rec *recorder) error {
	c, err := e.dbCluster(ctx)
	if err != nil {
		return err
	}
	x := rec.on(aws.ToString(c.DBClusterArn))
	for _, end := range []struct {
		name, output string
		got          *string
	}{
		{"endpoint", lib.OutputClusterEndpoint, c.Endpoint},
		{"reader endpoint", lib.OutputClusterReaderEndpoint, c.ReaderEndpoint},
	} {
		want, err := e.output(end.output)
		if err != nil {
			return err
		}
		x.equal(end.name, strings.TrimSuffix(want, ":5432"), end.got)
	}
	return nil
}
