package verify

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"tapstack/lib/cloud"
)

// What other areas' checks hold about encryption (database, queues, topic, listeners) is not repeated here.
func encryptionChecks() []Check {
	return []Check{
		{
			ID:   "bucket.encrypted",
			Says: "All data encryption at rest and in transit: the bucket of the access logs is encrypted",
			PCI:  []string{"3.5.1"},
			Run:  recorded(ofBucket(bucketEncrypted)),
		},
		{
			ID:   "bucket.tls-only",
			Says: "All data encryption at rest and in transit: the bucket of the access logs refuses requests without TLS",
			PCI:  []string{"4.2.1"},
			Run:  recorded(ofBucket(bucketOverTLS)),
		},
		{
			ID:   "bucket.private",
			Says: "The bucket of the access logs blocks every way to public access, lets in no script of a website's and is none (beyond the brief)",
			PCI:  []string{"1.4.4", "10.3.2"},
			Run:  recorded(ofBucket(bucketPrivate)),
		},
		{
			ID:   "bucket.ownership",
			Says: "No access log has a list of its own that lets anybody in: all belong to the bucket's owner (beyond the brief)",
			PCI:  []string{"10.3.2"},
			Run:  recorded(ofBucket(bucketOwned)),
		},
		{
			ID:   "bucket.versions",
			Says: "An access log that somebody deletes or overwrites can be had back (beyond the brief)",
			PCI:  []string{"10.3.2", "10.3.3"},
			Run:  recorded(ofBucket(bucketVersioned)),
		},
		{
			ID:   "bucket.lifecycle",
			Says: "Access logs expire, not before twelve months, and their old versions with them (beyond the brief)",
			PCI:  []string{"10.5.1"},
			Run:  recorded(ofBucket(bucketLifecycle)),
		},
		{
			ID:   "secrets.encrypted",
			Says: "All data encryption at rest and in transit: the secrets are encrypted with AWS's key for secrets, or with one that is enabled",
			PCI:  []string{"3.5.1"},
			Run:  recorded(secretsEncrypted),
		},
	}
}

// bucket is the one that the load balancer writes its access logs to.
func (e *Env) bucket(ctx context.Context) (string, error) {
	attributes, id, err := e.albAttributes(ctx)
	if err != nil {
		return "", err
	}
	name := attributes["access_logs.s3.bucket"]
	if name == "" {
		return "", fmt.Errorf("%s writes its access logs to no bucket", id)
	}
	return name, nil
}

func (e *Env) bucketARN(ctx context.Context, name string) string {
	return "arn:" + cmp.Or(e.target(ctx).Partition, "aws") + ":s3:::" + name
}

func ofBucket(look func(ctx context.Context, e *Env, x subject, name string) error) func(context.Context, *Env, *recorder) error {
	return func(ctx context.Context, e *Env, rec *recorder) error {
		name, err := e.bucket(ctx)
		if err != nil {
			return err
		}
		return look(ctx, e, rec.on(e.bucketARN(ctx, name)), name)
	}
}

func bucketEncrypted(ctx context.Context, e *Env, x subject, name string) error {
	out, err := e.cloud.S3.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: &name})
	if err != nil {
		return fmt.Errorf("reading the encryption of %s: %w", name, err)
	}
	if out.ServerSideEncryptionConfiguration == nil {
		x.record("encryption", "SSE-S3", notSet, false)
		return nil
	}
	for _, r := range out.ServerSideEncryptionConfiguration.Rules {
		var algorithm s3types.ServerSideEncryption
		if r.ApplyServerSideEncryptionByDefault != nil {
			algorithm = r.ApplyServerSideEncryptionByDefault.SSEAlgorithm
		}
		// Load balancers can write under SSE-S3 only.
		x.equal("encryption", s3types.ServerSideEncryptionAes256, algorithm)
	}
	return nil
}

func bucketOverTLS(ctx context.Context, e *Env, x subject, name string) error {
	caller, err1 := e.cloud.Identity(ctx)
	document, err2 := e.cloud.BucketPolicy(ctx, name)
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	resourcePolicy(x, caller, document, "s3:GetObject", elbLogDelivery)
	resourcePolicy(x, caller, document, "s3:PutObject", elbLogDelivery)
	return nil
}

// elbLogDelivery is the service that writes load balancers' access logs. It names no account when it does; the path that
// the policy lets it write to has the account in it (ELB user guide, "Access logs").
const elbLogDelivery = "logdelivery.elasticloadbalancing.amazonaws.com"

func bucketPrivate(ctx context.Context, e *Env, x subject, name string) error {
	out, err := e.cloud.S3.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: &name})
	if err != nil {
		return fmt.Errorf("reading the public access block of %s: %w", name, err)
	}
	var c s3types.PublicAccessBlockConfiguration
	if out.PublicAccessBlockConfiguration != nil {
		c = *out.PublicAccessBlockConfiguration
	}
	x.equal("BlockPublicAcls", true, c.BlockPublicAcls)
	x.equal("BlockPublicPolicy", true, c.BlockPublicPolicy)
	x.equal("IgnorePublicAcls", true, c.IgnorePublicAcls)
	x.equal("RestrictPublicBuckets", true, c.RestrictPublicBuckets)
	_, cors := e.cloud.S3.GetBucketCors(ctx, &s3.GetBucketCorsInput{Bucket: &name})
	_, website := e.cloud.S3.GetBucketWebsite(ctx, &s3.GetBucketWebsiteInput{Bucket: &name})
	for what, err := range map[string]error{"CORS rules": cors, "a website": website} {
		if err != nil && !cloud.IsNotFound(err) {
			return fmt.Errorf("reading the %s of %s: %w", what, name, err)
		}
		x.equal("has "+what, false, err == nil)
	}
	return nil
}

func bucketOwned(ctx context.Context, e *Env, x subject, name string) error {
	ownership := notSet
	out, err := e.cloud.S3.GetBucketOwnershipControls(ctx, &s3.GetBucketOwnershipControlsInput{Bucket: &name})
	switch {
	case cloud.IsNotFound(err):
	case err != nil:
		return fmt.Errorf("reading the ownership controls of %s: %w", name, err)
	case out.OwnershipControls != nil && len(out.OwnershipControls.Rules) == 1:
		ownership = string(out.OwnershipControls.Rules[0].ObjectOwnership)
	}
	x.equal("object ownership", string(s3types.ObjectOwnershipBucketOwnerEnforced), ownership)
	return nil
}

func bucketVersioned(ctx context.Context, e *Env, x subject, name string) error {
	out, err := e.cloud.BucketVersioning(ctx, name)
	if err != nil {
		return err
	}
	x.equal("versioning", s3types.BucketVersioningStatusEnabled, out.Status)
	return nil
}

// twelveMonths is what PCI DSS 10.5.1 wants logs to be kept, in days.
const twelveMonths = 365

func bucketLifecycle(ctx context.Context, e *Env, x subject, name string) error {
	attributes, _, err := e.albAttributes(ctx)
	if err != nil {
		return err
	}
	out, err := e.cloud.S3.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: &name})
	if err != nil {
		return fmt.Errorf("reading the lifecycle of %s: %w", name, err)
	}
	// Access logs lie under prefix/AWSLogs/account.
	logs := strings.TrimPrefix(attributes["access_logs.s3.prefix"]+"/AWSLogs/", "/")
	expire, versionsExpire := false, false
	for _, r := range out.Rules {
		if r.Status != s3types.ExpirationStatusEnabled {
			continue
		}
		versionsExpire = versionsExpire || r.NoncurrentVersionExpiration != nil
		if r.Expiration == nil {
			continue
		}
		days := aws.ToInt32(r.Expiration.Days)
		x.record("days until logs expire", fmt.Sprintf("at least %d", twelveMonths), days, days >= twelveMonths)
		prefix, plain := lifecyclePrefix(r)
		expire = expire || plain && strings.HasPrefix(logs, prefix)
	}
	x.equal("a rule lets all access logs expire", true, expire)
	x.equal("a rule lets old versions expire", true, versionsExpire)
	return nil
}

// lifecyclePrefix is what objects must begin with for the rule; plain is false when it asks for more than that.
func lifecyclePrefix(r s3types.LifecycleRule) (prefix string, plain bool) {
	switch f := r.Filter; {
	case f == nil:
		//lint:ignore SA1019 rules from before filters have it still
		return aws.ToString(r.Prefix), true //nolint:staticcheck // deprecated for those who write rules; S3 still answers with it
	case f.And != nil || f.Tag != nil || f.ObjectSizeGreaterThan != nil || f.ObjectSizeLessThan != nil:
		return "", false
	default:
		return aws.ToString(f.Prefix), true
	}
}

func secretsEncrypted(ctx context.Context, e *Env, rec *recorder) error {
	for _, output := range secretOutputs() {
		d, err := e.secret(ctx, output)
		if err != nil {
			return err
		}
		x := rec.on(aws.ToString(d.ARN))
		id := aws.ToString(d.KmsKeyId)
		if id == "" {
			// Secrets Manager encrypts every secret; without a key of its own it takes aws/secretsmanager.
			x.record("key", "AWS's for secrets, or an enabled one", "aws/secretsmanager", true)
			continue
		}
		key, err := e.cloud.Key(ctx, id)
		if err != nil {
			return err
		}
		x.equal("state of the key", "Enabled", key.KeyState)
	}
	return nil
}
