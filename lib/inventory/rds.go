package inventory

import (
	"cmp"
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"tapstack/lib/cloud"
)

func rdsKinds() []*Kind {
	return []*Kind{DBCluster, DBInstance, DBSubnetGroup, DBClusterParameterGroup, EventSubscription, DBSnapshot, DBClusterBackup}
}

var DBCluster = &Kind{
	Name: "database cluster", Service: "rds", Types: []string{"aws:rds/cluster:Cluster"}, NameInput: "clusterIdentifier",
	Removal: Removal{Limit: databaseLimit},
	Quota:   &Quota{What: "database clusters", Service: "rds", Code: "L-952B80B8"},
	IAM:     []IAMResource{{Sid: "Cluster", Types: []string{"cluster"}, ARN: "cluster:{name}"}},
	Lost:    "the database and its automated backups",
	list: each((*cloud.Reader).DBClusters, func(_ context.Context, _ *search, c rdstypes.DBCluster) Resource {
		return Resource{Name: aws.ToString(c.DBClusterIdentifier), ARN: aws.ToString(c.DBClusterArn), Tags: rdsTags(c.TagList)}
	}),
}

var DBInstance = &Kind{
	Name: "database instance", Service: "rds", Types: []string{"aws:rds/clusterInstance:ClusterInstance"}, NameInput: "identifier",
	Removal: Removal{HoldsOwner: true, Limit: databaseLimit},
	Quota:   &Quota{What: "database instances", Service: "rds", Code: "L-7B6409FD"},
	IAM:     []IAMResource{{Sid: "Instance", Types: []string{"db"}, ARN: "db:{name}"}},
	Lost:    "an instance of the database, and the connections to it",
	list: each((*cloud.Reader).DBInstances, func(ctx context.Context, s *search, i rdstypes.DBInstance) Resource {
		r := Resource{Name: aws.ToString(i.DBInstanceIdentifier), ARN: aws.ToString(i.DBInstanceArn), Tags: rdsTags(i.TagList)}
		if i.DBClusterIdentifier != nil {
			r.PartOf = []string{s.ARN(ctx, "rds", "cluster:"+*i.DBClusterIdentifier)}
		}
		return r
	}),
}

var DBSubnetGroup = &Kind{
	Name: "database subnet group", Service: "rds", Types: []string{"aws:rds/subnetGroup:SubnetGroup"}, NameInput: "name", Free: noCharge,
	Quota: &Quota{What: "database subnet groups", Service: "rds", Code: "L-48C6BF61"},
	IAM:   []IAMResource{{Sid: "Subnets", Types: []string{"subgrp"}, ARN: "subgrp:{name}"}},
	list: each((*cloud.Reader).DBSubnetGroups, func(_ context.Context, _ *search, g rdstypes.DBSubnetGroup) Resource {
		return Resource{Name: aws.ToString(g.DBSubnetGroupName), ARN: aws.ToString(g.DBSubnetGroupArn)}
	}),
	tags: askRDS,
}

var DBClusterParameterGroup = &Kind{
	Name: "database cluster parameter group", Service: "rds", NameInput: "name", Free: noCharge,
	Types: []string{"aws:rds/clusterParameterGroup:ClusterParameterGroup"},
	Quota: &Quota{What: "database cluster parameter groups", Service: "rds", Code: "L-E4C808A8"},
	IAM:   []IAMResource{{Sid: "Settings", Types: []string{"cluster-pg"}, ARN: "cluster-pg:{name}"}},
	list: each((*cloud.Reader).DBClusterParameterGroups, func(_ context.Context, _ *search, g rdstypes.DBClusterParameterGroup) Resource {
		return Resource{Name: aws.ToString(g.DBClusterParameterGroupName), ARN: aws.ToString(g.DBClusterParameterGroupArn)}
	}),
	tags: askRDS,
}

var EventSubscription = &Kind{
	Name: "RDS event subscription", Service: "rds", NameInput: "name", Free: "publications are billed with the topic",
	Types: []string{"aws:rds/eventSubscription:EventSubscription"},
	Quota: &Quota{What: "RDS event subscriptions", Service: "rds", Code: "L-A59F4C87"},
	IAM:   []IAMResource{{Sid: "Events", Types: []string{"es"}, ARN: "es:{name}"}},
	list: each((*cloud.Reader).EventSubscriptions, func(_ context.Context, _ *search, v rdstypes.EventSubscription) Resource {
		return Resource{Name: aws.ToString(v.CustSubscriptionId), ARN: aws.ToString(v.EventSubscriptionArn)}
	}),
	tags: askRDS,
}

// DBSnapshot is known by the cluster or instance that it is of.
var DBSnapshot = &Kind{
	Name: "database snapshot", Service: "rds", Untagged: true, Free: notDeclared,
	AWSNames: []AWSName{{Of: DBCluster}, {Of: DBInstance}},
	Removal:  Removal{Proof: ByOwner},
	// Whoever takes a snapshot names it; it has the tags of what it was taken of.
	IAM: []IAMResource{
		{Sid: "Final", Types: []string{"cluster-snapshot"}, ARN: "cluster-snapshot:{name}", NamesOf: DBCluster},
		{Sid: "ClusterSnapshot", Types: []string{"cluster-snapshot"}, ARN: "cluster-snapshot:*", ByOthers: true},
		{Sid: "Snapshot", Types: []string{"snapshot"}, ARN: "snapshot:*", ByOthers: true},
	},
	list: listDBSnapshots,
}

// listDBSnapshots leaves out those that RDS takes by itself where the target knows no automated backups: they are part of
// those and go with them, so that such a target cannot make them go.
func listDBSnapshots(ctx context.Context, s *search) ([]Resource, error) {
	clusters, err1 := s.DBClusterSnapshots(ctx)
	instances, err2 := s.DBSnapshots(ctx)
	backups, err3 := s.DBClusterBackups(ctx)
	if err := cmp.Or(err1, err2, err3); err != nil {
		return nil, err
	}
	var all []Resource
	note := func(of, id, arn, snapshotType *string, source string, tags []rdstypes.Tag) {
		automated := aws.ToString(snapshotType) == "automated"
		if backups.Supported || !automated {
			all = append(all, Resource{
				Name: aws.ToString(of), ID: aws.ToString(id), ARN: aws.ToString(arn), Tags: rdsTags(tags), RemovedByAWS: automated,
				PartOf: []string{s.ARN(ctx, "rds", source+":"+aws.ToString(of))},
			})
		}
	}
	for _, c := range clusters {
		note(c.DBClusterIdentifier, c.DBClusterSnapshotIdentifier, c.DBClusterSnapshotArn, c.SnapshotType, "cluster", c.TagList)
	}
	for _, i := range instances {
		note(i.DBInstanceIdentifier, i.DBSnapshotIdentifier, i.DBSnapshotArn, i.SnapshotType, "db", i.TagList)
	}
	return all, nil
}

// DBClusterBackup is what RDS keeps of a cluster; those of clusters that are there are left out.
var DBClusterBackup = &Kind{
	Name: "database automated backup", Service: "rds", Untagged: true, Free: notDeclared,
	AWSNames: []AWSName{{Of: DBCluster}},
	IAM:      []IAMResource{{Sid: "Backup", Types: []string{"cluster-auto-backup"}, ARN: "cluster-auto-backup:*", ByOthers: true}},
	list: func(ctx context.Context, s *search) ([]Resource, error) {
		backups, err := s.DBClusterBackups(ctx)
		kept := slices.DeleteFunc(slices.Clone(backups.List), func(b rdstypes.DBClusterAutomatedBackup) bool { return aws.ToString(b.Status) == "active" })
		return listed(kept, err, func(b rdstypes.DBClusterAutomatedBackup) Resource {
			return Resource{
				Name: aws.ToString(b.DBClusterIdentifier), ID: aws.ToString(b.DbClusterResourceId),
				ARN: aws.ToString(b.DBClusterAutomatedBackupsArn), Tags: rdsTags(b.TagList),
			}
		})
	},
}

func rdsTags(tags []rdstypes.Tag) map[string]string {
	return cloud.TagMap(tags, func(t rdstypes.Tag) (*string, *string) { return t.Key, t.Value })
}

func askRDS(ctx context.Context, s *search, r Resource) (map[string]string, error) {
	return s.RDSTags(ctx, r.ARN)
}
