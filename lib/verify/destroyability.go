package verify

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func destroyabilityChecks() []Check {
	return []Check{
		{
			ID:   "destroyable.database",
			Says: "No DeletionProtection or Retain policies (testing infrastructure): neither the cluster nor an instance is protected",
			Run:  observed(databaseUnprotected),
		},
		{
			ID:   "destroyable.load-balancer",
			Says: "No DeletionProtection or Retain policies (testing infrastructure): the load balancer is not protected",
			Run:  observed(albUnprotected),
		},
		{
			ID:   "destroyable.snapshots",
			Says: "All resources must be destroyable (no Retain deletion policies): no manual snapshot of the database outlives it",
			Run:  observed(noManualSnapshots),
		},
		{
			ID:   "destroyable.secrets",
			Says: "All resources can be destroyed cleanly after testing: no secret waits for its deletion, which would block its name",
			Run:  observed(secretsNotPending),
		},
		{
			ID:   "destroyable.bucket",
			Says: "All resources must be destroyable: nothing locks the objects of the access log bucket",
			Run:  observed(bucketUnlocked),
		},
	}
}

func databaseUnprotected(ctx context.Context, e *Env, s *sight) error {
	c, err := e.dbCluster(ctx)
	if err != nil {
		return err
	}
	s.on(aws.ToString(c.DBClusterArn)).equal("DeletionProtection", false, c.DeletionProtection)
	return eachInstance(func(x subject, i rdstypes.DBInstance) {
		// Aurora protects the cluster only, and may leave an instance's flag out.
		x.equal("DeletionProtection", false, aws.ToBool(i.DeletionProtection))
	})(ctx, e, s)
}

func albUnprotected(ctx context.Context, e *Env, s *sight) error {
	attributes, id, err := e.albAttributes(ctx)
	if err != nil {
		return err
	}
	s.on(id).equal("deletion protection", "false", attributes["deletion_protection.enabled"])
	return nil
}

func noManualSnapshots(ctx context.Context, e *Env, s *sight) error {
	c, err := e.dbCluster(ctx)
	if err != nil {
		return err
	}
	all, err := e.allDBClusterSnapshots(ctx)
	if err != nil {
		return err
	}
	var manual []string
	for _, snapshot := range all {
		if aws.ToString(snapshot.DBClusterIdentifier) == aws.ToString(c.DBClusterIdentifier) && aws.ToString(snapshot.SnapshotType) == "manual" {
			manual = append(manual, aws.ToString(snapshot.DBClusterSnapshotIdentifier))
		}
	}
	s.on(aws.ToString(c.DBClusterArn)).sameSet("manual snapshots", nil, manual)
	return nil
}

func secretsNotPending(ctx context.Context, e *Env, s *sight) error {
	all, err := e.allSecrets(ctx)
	if err != nil {
		return err
	}
	own := e.owner()
	for _, secret := range all {
		if own.owns(kindSecret, aws.ToString(secret.Name)) {
			s.on(aws.ToString(secret.ARN)).equal("planned deletion", notSet, secret.DeletedDate)
		}
	}
	return nil
}

func bucketUnlocked(ctx context.Context, e *Env, s *sight) error {
	name, err := e.bucket(ctx)
	if err != nil {
		return err
	}
	x := s.on(e.bucketARN(ctx, name))
	out, err := e.api.s3.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: &name})
	switch {
	case isNotFound(err):
		x.equal("object lock", "none", "none")
		return nil
	case err != nil:
		return err
	}
	locked := out.ObjectLockConfiguration != nil && out.ObjectLockConfiguration.ObjectLockEnabled == s3types.ObjectLockEnabledEnabled
	x.equal("object lock", false, locked)
	return nil
}
