package rds

import (
	"context"
	"fmt"
	"reflect"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"tapstack/lib/awsprovider/resource"
)

// InstanceArgs are the inputs of aws:rds/clusterInstance:ClusterInstance.
type InstanceArgs struct {
	resource.Tagged
	Identifier                         string  `pulumi:"identifier" aws:"forcenew"`
	ClusterIdentifier                  string  `pulumi:"clusterIdentifier" aws:"forcenew"`
	Engine                             string  `pulumi:"engine" aws:"forcenew"`
	InstanceClass                      string  `pulumi:"instanceClass"`
	AvailabilityZone                   *string `pulumi:"availabilityZone,optional" aws:"computed,forcenew"`
	PromotionTier                      *int    `pulumi:"promotionTier,optional"`
	PubliclyAccessible                 *bool   `pulumi:"publiclyAccessible,optional" aws:"computed"`
	DBSubnetGroupName                  *string `pulumi:"dbSubnetGroupName,optional" aws:"computed,forcenew"`
	AutoMinorVersionUpgrade            *bool   `pulumi:"autoMinorVersionUpgrade,optional"`
	CaCertIdentifier                   *string `pulumi:"caCertIdentifier,optional" aws:"computed"`
	CopyTagsToSnapshot                 *bool   `pulumi:"copyTagsToSnapshot,optional"`
	PerformanceInsightsEnabled         *bool   `pulumi:"performanceInsightsEnabled,optional" aws:"computed"`
	PerformanceInsightsKmsKeyID        *string `pulumi:"performanceInsightsKmsKeyId,optional" aws:"computed"`
	PerformanceInsightsRetentionPeriod *int    `pulumi:"performanceInsightsRetentionPeriod,optional" aws:"computed"`
	MonitoringInterval                 *int    `pulumi:"monitoringInterval,optional"`
	MonitoringRoleArn                  *string `pulumi:"monitoringRoleArn,optional" aws:"computed"`
	PreferredMaintenanceWindow         *string `pulumi:"preferredMaintenanceWindow,optional" aws:"computed"`
	ApplyImmediately                   *bool   `pulumi:"applyImmediately,optional" aws:"writeonly,computed"`
}

// InstanceState is the state of aws:rds/clusterInstance:ClusterInstance; its id is the instance's identifier.
type InstanceState struct {
	InstanceArgs
	resource.AllTags
	Arn                   string `pulumi:"arn"`
	DbiResourceID         string `pulumi:"dbiResourceId"`
	Endpoint              string `pulumi:"endpoint"`
	Port                  int    `pulumi:"port"`
	EngineVersion         string `pulumi:"engineVersion"`
	EngineVersionActual   string `pulumi:"engineVersionActual"`
	StorageEncrypted      bool   `pulumi:"storageEncrypted"`
	KmsKeyID              string `pulumi:"kmsKeyId,optional"`
	DBParameterGroupName  string `pulumi:"dbParameterGroupName,optional"`
	PreferredBackupWindow string `pulumi:"preferredBackupWindow,optional"`
	NetworkType           string `pulumi:"networkType,optional"`
	Writer                bool   `pulumi:"writer"`
}

var clusterInstance = resource.Description[InstanceArgs, InstanceState]{
	Token:  "aws:rds/clusterInstance:ClusterInstance",
	Check:  checkInstance,
	Create: createInstance,
	Read:   readInstance,
	Update: updateInstance,
	Delete: deleteInstance,
	Example: func(x resource.Scratch) resource.Example[InstanceArgs] {
		cluster := exampleCluster(x, x.Name("members"))
		x.Make("aws:rds/cluster:Cluster", map[string]any{
			"clusterIdentifier": cluster.ClusterIdentifier, "engine": cluster.Engine, "skipFinalSnapshot": true,
			"dbSubnetGroupName": *cluster.DBSubnetGroupName, "masterUsername": *cluster.MasterUsername,
			"masterPassword": *cluster.MasterPassword, "storageEncrypted": true,
		})
		role := x.Make("aws:iam/role:Role", map[string]any{"name": x.Name("monitoring"), "assumeRolePolicy": monitoringTrust})
		return resource.Example[InstanceArgs]{
			Inputs: InstanceArgs{
				Identifier: x.Name("writer"), ClusterIdentifier: cluster.ClusterIdentifier, Engine: cluster.Engine,
				InstanceClass: "db.r6g.large", AvailabilityZone: aws.String("us-east-1b"),
				DBSubnetGroupName: cluster.DBSubnetGroupName, CaCertIdentifier: aws.String("rds-ca-rsa2048-g1"),
				CopyTagsToSnapshot: aws.Bool(true), PubliclyAccessible: aws.Bool(false),
				PerformanceInsightsEnabled: aws.Bool(true), PerformanceInsightsRetentionPeriod: aws.Int(7),
				MonitoringInterval: aws.Int(60), MonitoringRoleArn: aws.String(role.Outputs["arn"].(string)),
				Tagged: resource.Tagged{Tags: map[string]string{"Name": "writer"}},
			},
			Changes: []resource.Change[InstanceArgs]{
				{Name: "class", Apply: func(a *InstanceArgs) {
					a.InstanceClass, a.ApplyImmediately = "db.r6g.xlarge", aws.Bool(true)
				}},
				{Name: "promotion tier", Apply: func(a *InstanceArgs) { a.PromotionTier = aws.Int(1) }},
				{Name: "minor versions by hand", Apply: func(a *InstanceArgs) { a.AutoMinorVersionUpgrade = aws.Bool(false) }},
				{Name: "certificate", Apply: func(a *InstanceArgs) { a.CaCertIdentifier = aws.String("rds-ca-ecc384-g1") }},
				{Name: "insights", Apply: func(a *InstanceArgs) { a.PerformanceInsightsRetentionPeriod = aws.Int(31) }},
				{Name: "monitoring", Apply: func(a *InstanceArgs) { a.MonitoringInterval = aws.Int(30) }},
				{Name: "snapshots without tags", Apply: func(a *InstanceArgs) { a.CopyTagsToSnapshot = nil }},
				{Name: "maintenance window", Apply: func(a *InstanceArgs) { a.PreferredMaintenanceWindow = aws.String("mon:07:00-mon:08:00") }},
				{Name: "tags", Apply: func(a *InstanceArgs) { a.Tags = map[string]string{"More": "yes"} }},
			},
		}
	},
}

// monitoringTrust lets enhanced monitoring assume a role.
const monitoringTrust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",` +
	`"Principal":{"Service":"monitoring.rds.amazonaws.com"}}]}`

func checkInstance(a *InstanceArgs) []resource.Fault {
	resource.Default(&a.AutoMinorVersionUpgrade, true)
	resource.Default(&a.CopyTagsToSnapshot, false)
	resource.Default(&a.PromotionTier, 0)
	resource.Default(&a.MonitoringInterval, 0)
	a.PreferredMaintenanceWindow = lowered(a.PreferredMaintenanceWindow)

	var f faults
	f.match("identifier", a.Identifier, identifierForm, identifierRule)
	f.add(len(a.Identifier) > 63, "identifier", "must have at most 63 characters")
	f.oneOf("engine", a.Engine, clusterEngines)
	f.match("preferredMaintenanceWindow", aws.ToString(a.PreferredMaintenanceWindow), weeklyForm, weeklyRule)
	if days := a.PerformanceInsightsRetentionPeriod; days != nil {
		f.add(*days != 7 && *days != 731 && (*days < 31 || *days > 731 || *days%31 != 0),
			"performanceInsightsRetentionPeriod", "must be 7, 731 or a multiple of 31 below it")
	}
	return f
}

func createInstance(ctx context.Context, c *resource.Cloud, a InstanceArgs) (string, error) {
	in := &rds.CreateDBInstanceInput{
		DBInstanceIdentifier: &a.Identifier, DBClusterIdentifier: &a.ClusterIdentifier, Engine: &a.Engine,
		DBInstanceClass: &a.InstanceClass, AvailabilityZone: a.AvailabilityZone, PromotionTier: resource.Int32(a.PromotionTier),
		PubliclyAccessible: aws.Bool(aws.ToBool(a.PubliclyAccessible)), DBSubnetGroupName: a.DBSubnetGroupName,
		AutoMinorVersionUpgrade: a.AutoMinorVersionUpgrade, CopyTagsToSnapshot: a.CopyTagsToSnapshot,
		EnablePerformanceInsights: a.PerformanceInsightsEnabled, PerformanceInsightsKMSKeyId: a.PerformanceInsightsKmsKeyID,
		PerformanceInsightsRetentionPeriod: resource.Int32(a.PerformanceInsightsRetentionPeriod),
		MonitoringRoleArn:                  a.MonitoringRoleArn, PreferredMaintenanceWindow: a.PreferredMaintenanceWindow,
		Tags: tagList(a.Tags),
	}
	if aws.ToInt(a.MonitoringInterval) != 0 {
		in.MonitoringInterval = resource.Int32(a.MonitoringInterval)
	}
	var certificate string
	err := again(ctx, "RDS may use the monitoring role", propagation, unreadyRole, func(ctx context.Context) error {
		out, err := c.RDS.CreateDBInstance(ctx, in)
		if err == nil {
			certificate = aws.ToString(out.DBInstance.CACertificateIdentifier)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	if err := awaitInstance(ctx, c, a.Identifier, false); err != nil {
		return a.Identifier, err
	}
	if a.CaCertIdentifier == nil || *a.CaCertIdentifier == certificate {
		return a.Identifier, nil
	}
	return a.Identifier, setCertificate(ctx, c, a.Identifier, *a.CaCertIdentifier)
}

// setCertificate gives a new instance the certificate authority that it was not born with; a reboot applies it.
func setCertificate(ctx context.Context, c *resource.Cloud, id, certificate string) error {
	_, err := c.RDS.ModifyDBInstance(ctx, &rds.ModifyDBInstanceInput{
		DBInstanceIdentifier: &id, CACertificateIdentifier: &certificate, ApplyImmediately: aws.Bool(true),
	})
	if err != nil {
		return fmt.Errorf("setting the certificate authority: %w", err)
	}
	if err := awaitInstance(ctx, c, id, false); err != nil {
		return err
	}
	if _, err := c.RDS.RebootDBInstance(ctx, &rds.RebootDBInstanceInput{DBInstanceIdentifier: &id}); err != nil {
		return fmt.Errorf("rebooting to apply the certificate authority: %w", err)
	}
	return awaitInstance(ctx, c, id, true)
}

func readInstance(ctx context.Context, c *resource.Cloud, id string, prior InstanceState) (InstanceState, error) {
	got, err := findInstance(ctx, c, id)
	if err != nil {
		return prior, err
	}
	s := prior
	s.Arn, s.DbiResourceID = aws.ToString(got.DBInstanceArn), aws.ToString(got.DbiResourceId)
	s.EngineVersionActual, s.StorageEncrypted = aws.ToString(got.EngineVersion), aws.ToBool(got.StorageEncrypted)
	s.EngineVersion, s.KmsKeyID = s.EngineVersionActual, aws.ToString(got.KmsKeyId)
	s.PreferredBackupWindow, s.NetworkType = aws.ToString(got.PreferredBackupWindow), aws.ToString(got.NetworkType)
	s.DBParameterGroupName = ""
	if len(got.DBParameterGroups) > 0 {
		s.DBParameterGroupName = aws.ToString(got.DBParameterGroups[0].DBParameterGroupName)
	}
	if got.Endpoint != nil {
		s.Endpoint, s.Port = aws.ToString(got.Endpoint.Address), int(aws.ToInt32(got.Endpoint.Port))
	}
	s.Identifier, s.ClusterIdentifier = aws.ToString(got.DBInstanceIdentifier), aws.ToString(got.DBClusterIdentifier)
	if s.ClusterIdentifier == "" {
		return prior, fmt.Errorf("it is not in a cluster")
	}
	s.Engine, s.InstanceClass = aws.ToString(got.Engine), aws.ToString(got.DBInstanceClass)
	s.AvailabilityZone, s.PreferredMaintenanceWindow = got.AvailabilityZone, lowered(got.PreferredMaintenanceWindow)
	if got.DBSubnetGroup != nil {
		s.DBSubnetGroupName = got.DBSubnetGroup.DBSubnetGroupName
	}
	s.PromotionTier = resource.OrPrior(resource.Int(got.PromotionTier), prior.PromotionTier)
	s.PubliclyAccessible = resource.OrPrior(got.PubliclyAccessible, prior.PubliclyAccessible)
	s.AutoMinorVersionUpgrade = resource.OrPrior(got.AutoMinorVersionUpgrade, prior.AutoMinorVersionUpgrade)
	s.CaCertIdentifier = resource.OrPrior(got.CACertificateIdentifier, prior.CaCertIdentifier)
	s.CopyTagsToSnapshot = resource.OrPrior(got.CopyTagsToSnapshot, prior.CopyTagsToSnapshot)
	s.PerformanceInsightsEnabled = resource.OrPrior(got.PerformanceInsightsEnabled, prior.PerformanceInsightsEnabled)
	s.PerformanceInsightsKmsKeyID = resource.OrPrior(got.PerformanceInsightsKMSKeyId, prior.PerformanceInsightsKmsKeyID)
	retention := resource.Int(got.PerformanceInsightsRetentionPeriod)
	s.PerformanceInsightsRetentionPeriod = resource.OrPrior(retention, prior.PerformanceInsightsRetentionPeriod)
	s.MonitoringInterval = resource.OrPrior(resource.Int(got.MonitoringInterval), prior.MonitoringInterval)
	s.MonitoringRoleArn = resource.OrPrior(got.MonitoringRoleArn, prior.MonitoringRoleArn)
	s.Tags = tagMap(got.TagList)
	s.TagsAll = s.Tags
	s.Writer, err = writes(ctx, c, s.ClusterIdentifier, id)
	return s, err
}

func updateInstance(ctx context.Context, c *resource.Cloud, id string, old InstanceState, a InstanceArgs) error {
	if in := modifyInstance(old.InstanceArgs, a); in != nil {
		in.DBInstanceIdentifier, in.ApplyImmediately = &id, a.ApplyImmediately
		err := again(ctx, "RDS may use the monitoring role", propagation, unreadyRole, func(ctx context.Context) error {
			_, err := c.RDS.ModifyDBInstance(ctx, in)
			return err
		})
		if err != nil {
			return err
		}
		if err := awaitInstance(ctx, c, id, aws.ToBool(a.ApplyImmediately)); err != nil {
			return err
		}
	}
	return updateTags(ctx, c, old.Arn, old.Tags, a.Tags)
}

// modifyInstance is the modification that leads from old to now, or nil.
func modifyInstance(old, now InstanceArgs) *rds.ModifyDBInstanceInput {
	in := &rds.ModifyDBInstanceInput{
		PromotionTier:              resource.Int32(differs(old.PromotionTier, now.PromotionTier)),
		PubliclyAccessible:         differs(old.PubliclyAccessible, now.PubliclyAccessible),
		AutoMinorVersionUpgrade:    differs(old.AutoMinorVersionUpgrade, now.AutoMinorVersionUpgrade),
		CACertificateIdentifier:    differs(old.CaCertIdentifier, now.CaCertIdentifier),
		CopyTagsToSnapshot:         differs(old.CopyTagsToSnapshot, now.CopyTagsToSnapshot),
		MonitoringInterval:         resource.Int32(differs(old.MonitoringInterval, now.MonitoringInterval)),
		MonitoringRoleArn:          differs(old.MonitoringRoleArn, now.MonitoringRoleArn),
		PreferredMaintenanceWindow: differs(old.PreferredMaintenanceWindow, now.PreferredMaintenanceWindow),
	}
	if old.InstanceClass != now.InstanceClass {
		in.DBInstanceClass = &now.InstanceClass
	}
	// RDS wants the settings of Performance Insights together.
	if !resource.Same(old.PerformanceInsightsEnabled, now.PerformanceInsightsEnabled) ||
		!resource.Same(old.PerformanceInsightsKmsKeyID, now.PerformanceInsightsKmsKeyID) ||
		!resource.Same(old.PerformanceInsightsRetentionPeriod, now.PerformanceInsightsRetentionPeriod) {
		in.EnablePerformanceInsights = now.PerformanceInsightsEnabled
		in.PerformanceInsightsKMSKeyId = now.PerformanceInsightsKmsKeyID
		in.PerformanceInsightsRetentionPeriod = resource.Int32(now.PerformanceInsightsRetentionPeriod)
	}
	if reflect.DeepEqual(in, &rds.ModifyDBInstanceInput{}) {
		return nil
	}
	return in
}

func deleteInstance(ctx context.Context, c *resource.Cloud, id string, _ InstanceState) error {
	replica := func(err error) bool {
		return refused(err, "InvalidDBClusterStateFault", "Delete the replica cluster before deleting")
	}
	err := again(ctx, "instance "+id+" can be deleted", instanceTimeout, replica, func(ctx context.Context) error {
		_, err := c.RDS.DeleteDBInstance(ctx, &rds.DeleteDBInstanceInput{DBInstanceIdentifier: &id})
		return err
	})
	if err != nil && !refused(err, "InvalidDBInstanceState", "is already being deleted") {
		return err
	}
	return resource.PollGone(ctx, "instance "+id, instanceTimeout, func(ctx context.Context) error {
		_, err := findInstance(ctx, c, id)
		return err
	})
}

func findInstance(ctx context.Context, c *resource.Cloud, id string) (types.DBInstance, error) {
	out, err := c.RDS.DescribeDBInstances(ctx, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: &id})
	if err != nil {
		return types.DBInstance{}, err
	}
	if len(out.DBInstances) != 1 || aws.ToString(out.DBInstances[0].DBInstanceIdentifier) != id {
		return types.DBInstance{}, resource.ErrNotFound
	}
	return out.DBInstances[0], nil
}

// writes says whether the instance is the writer of its cluster.
func writes(ctx context.Context, c *resource.Cloud, clusterID, id string) (bool, error) {
	cluster, err := findCluster(ctx, c, clusterID)
	if err != nil {
		return false, fmt.Errorf("reading its cluster %s: %w", clusterID, err)
	}
	for _, m := range cluster.DBClusterMembers {
		if aws.ToString(m.DBInstanceIdentifier) == id {
			return aws.ToBool(m.IsClusterWriter), nil
		}
	}
	return false, nil
}

// awaitInstance waits until the instance is available and, with applied, has no modification pending.
func awaitInstance(ctx context.Context, c *resource.Cloud, id string, applied bool) error {
	return resource.PollThere(ctx, "instance "+id+" is available", instanceTimeout, func(ctx context.Context) (bool, error) {
		got, err := findInstance(ctx, c, id)
		if err != nil {
			return false, err
		}
		pending := got.PendingModifiedValues
		if applied && pending != nil && !reflect.DeepEqual(pending, &types.PendingModifiedValues{}) {
			return false, nil
		}
		return settled(aws.ToString(got.DBInstanceStatus))
	})
}
