package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"tapstack/lib"
	"tapstack/lib/inventory"
	"tapstack/lib/policy"
)

func destroyabilityChecks() []Check {
	return []Check{
		{
			ID:   "destroyable.database",
			Says: "No DeletionProtection or Retain policies (testing infrastructure): neither the cluster nor an instance is protected",
			Run:  recorded(databaseUnprotected),
		},
		{
			ID:   "destroyable.load-balancer",
			Says: "No DeletionProtection or Retain policies (testing infrastructure): the load balancer is not protected",
			Run:  recorded(albUnprotected),
		},
		{
			ID:   "destroyable.snapshots",
			Says: "All resources must be destroyable (no Retain deletion policies): no manual snapshot of the database outlives it",
			Run:  recorded(noManualSnapshots),
		},
		{
			ID:   "destroyable.secrets",
			Says: "All resources can be destroyed cleanly after testing: no secret waits for its deletion, which would block its name",
			Run:  recorded(secretsNotPending),
		},
		{
			ID:   "destroyable.bucket",
			Says: "All resources must be destroyable: nothing locks the objects of the access log bucket",
			Run:  recorded(ofBucket(bucketUnlocked)),
		},
		{
			ID:   "destroyable.policies",
			Says: "All resources can be destroyed cleanly after testing: no log group is protected, and no policy of a queue, topic, secret, bucket or key keeps it from the account's own administrators",
			Run:  recorded(deletionAllowed),
		},
	}
}

func databaseUnprotected(ctx context.Context, e *Env, rec *recorder) error {
	c, err := e.dbCluster(ctx)
	if err != nil {
		return err
	}
	rec.on(aws.ToString(c.DBClusterArn)).equal("DeletionProtection", false, c.DeletionProtection)
	return eachInstance(func(x subject, i rdstypes.DBInstance) {
		// Aurora protects the cluster only, and may leave an instance's flag out.
		x.equal("DeletionProtection", false, aws.ToBool(i.DeletionProtection))
	})(ctx, e, rec)
}

func albUnprotected(ctx context.Context, e *Env, rec *recorder) error {
	attributes, id, err := e.albAttributes(ctx)
	if err != nil {
		return err
	}
	rec.on(id).equal("deletion protection", "false", attributes["deletion_protection.enabled"])
	return nil
}

func noManualSnapshots(ctx context.Context, e *Env, rec *recorder) error {
	c, err1 := e.dbCluster(ctx)
	all, err2 := e.cloud.DBClusterSnapshots(ctx)
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	var manual []string
	for _, snapshot := range all {
		if aws.ToString(snapshot.DBClusterIdentifier) == aws.ToString(c.DBClusterIdentifier) && aws.ToString(snapshot.SnapshotType) == "manual" {
			manual = append(manual, aws.ToString(snapshot.DBClusterSnapshotIdentifier))
		}
	}
	rec.on(aws.ToString(c.DBClusterArn)).sameSet("manual snapshots", nil, manual)
	return nil
}

func secretsNotPending(ctx context.Context, e *Env, rec *recorder) error {
	all, err := e.cloud.Secrets(ctx)
	if err != nil {
		return err
	}
	for _, secret := range all {
		if inventory.Secret.MayBelong(aws.ToString(secret.Name), e.Suffix) {
			rec.on(aws.ToString(secret.ARN)).equal("planned deletion", notSet, secret.DeletedDate)
		}
	}
	return nil
}

// bucketUnlocked wants the bucket to let its objects go: no lock on them, and no second factor for their removal.
func bucketUnlocked(ctx context.Context, e *Env, x subject, name string) error {
	lock := "none"
	out, err := e.cloud.S3.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: &name})
	var api smithy.APIError
	switch {
	case errors.As(err, &api) && api.ErrorCode() == "ObjectLockConfigurationNotFoundError":
	case err != nil:
		return fmt.Errorf("reading the object lock of %s: %w", name, err)
	case out.ObjectLockConfiguration != nil:
		lock = string(out.ObjectLockConfiguration.ObjectLockEnabled)
	}
	x.equal("object lock", "none", lock)
	versions, err := e.cloud.BucketVersioning(ctx, name)
	if err != nil {
		return err
	}
	x.equal("second factor for removal", false, versions.MFADelete == s3types.MFADeleteStatusEnabled)
	return nil
}

func logGroupsUnprotected(ctx context.Context, e *Env, rec *recorder) error {
	groups, err1 := e.cloud.LogGroups(ctx)
	named, err2 := e.outputList(lib.OutputLogGroupNames)
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	for _, name := range named {
		g := findLogGroup(groups, name)
		if g == nil {
			return fmt.Errorf("there is no log group %s", name)
		}
		rec.on(aws.ToString(g.Arn)).equal("deletion protection of "+name, false, aws.ToBool(g.DeletionProtectionEnabled))
	}
	return nil
}

// deletionAllowed looks for resource policies that would keep a resource from the administrators of its own account.
func deletionAllowed(ctx context.Context, e *Env, rec *recorder) error {
	caller, err1 := e.cloud.Identity(ctx)
	deletionPolicies, err2 := e.deletionPolicies(ctx)
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	for _, g := range deletionPolicies {
		x := rec.on(g.arn)
		if g.document == "" {
			x.equal(g.action, policy.Allowed, policy.Allowed)
			continue
		}
		p, err := policy.Parse(g.document)
		if err != nil {
			return fmt.Errorf("the policy of %s: %w", g.arn, err)
		}
		request := policy.Request{Action: g.action, Resource: g.arn}
		x.equal(g.action, policy.Allowed, understood(policy.EvaluateForAdministrator(p, request, caller.Account)))
	}
	return logGroupsUnprotected(ctx, e, rec)
}

// deletionPolicy is a resource with a policy of its own, and what it takes to remove it.
type deletionPolicy struct {
	arn, document, action string
}

func (e *Env) deletionPolicies(ctx context.Context) ([]deletionPolicy, error) {
	var out []deletionPolicy
	for _, output := range []string{lib.OutputQueueURL, lib.OutputDlqURL} {
		a, err := e.queue(ctx, output)
		if err != nil {
			return nil, err
		}
		out = append(out, deletionPolicy{a["QueueArn"], a["Policy"], "sqs:DeleteQueue"})
	}
	topic, err := e.topic(ctx)
	if err != nil {
		return nil, err
	}
	out = append(out, deletionPolicy{topic["TopicArn"], topic["Policy"], "sns:DeleteTopic"})
	for _, output := range secretOutputs() {
		id, err := e.output(output)
		if err != nil {
			return nil, err
		}
		document, err := e.cloud.SecretPolicy(ctx, id)
		if err != nil {
			return nil, err
		}
		out = append(out, deletionPolicy{id, document, "secretsmanager:DeleteSecret"})
	}
	bucket, err := e.bucket(ctx)
	if err != nil {
		return nil, err
	}
	document, err := e.cloud.BucketPolicy(ctx, bucket)
	if err != nil {
		return nil, err
	}
	id := e.bucketARN(ctx, bucket)
	out = append(out, deletionPolicy{id, document, "s3:DeleteBucket"}, deletionPolicy{id + "/any", document, "s3:DeleteObject"})
	if key := topic["KmsMasterKeyId"]; key != "" {
		document, err := e.cloud.KeyPolicy(ctx, key)
		if err != nil {
			return nil, err
		}
		out = append(out, deletionPolicy{key, document, "kms:ScheduleKeyDeletion"})
	}
	return out, nil
}
