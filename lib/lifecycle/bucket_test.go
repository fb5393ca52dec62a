package lifecycle_test

import (
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"tapstack/lib/cloud"
	"tapstack/lib/lifecycle"
	"tapstack/lib/process/processtest"
	"tapstack/lib/target"
)

const stateKey = "alias/states"

// bucketCloud is an S3 and a KMS on this machine, with a bucket and a key for states.
type bucketCloud struct {
	*target.Target
	objects *s3.Client
}

func newBucketCloud(t *testing.T) *bucketCloud {
	t.Helper()
	processtest.SkipIfShort(t)
	opened, err := target.Open(t.Context(), target.Options{Name: target.Local, Notify: func(text string) { t.Log(text) }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, opened.Close()) })
	objects := cloud.NewClients(opened.Config).S3
	_, err = objects.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("states")})
	require.NoError(t, err)
	keys := cloud.NewClients(opened.Config).KMS
	key, err := keys.CreateKey(t.Context(), &kms.CreateKeyInput{})
	require.NoError(t, err)
	_, err = keys.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: aws.String(stateKey), TargetKeyId: key.KeyMetadata.KeyId})
	require.NoError(t, err)
	return &bucketCloud{opened, objects}
}

// bucket opens the states of project toy. secrets is a KMS key, or empty.
func (c *bucketCloud) bucket(t *testing.T, backend, secrets string) *lifecycle.Bucket {
	t.Helper()
	bucket, err := lifecycle.OpenBucket(t.Context(), lifecycle.BucketOptions{
		Project: "toy", Backend: backend, SecretsProvider: secrets, Env: c.Env(),
	})
	require.NoError(t, err)
	return bucket
}

// contents are the objects of the bucket by key.
func (c *bucketCloud) contents(t *testing.T) map[string]string {
	t.Helper()
	list, err := c.objects.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("states")})
	require.NoError(t, err)
	contents := map[string]string{}
	for _, object := range list.Contents {
		got, err := c.objects.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("states"), Key: object.Key})
		require.NoError(t, err)
		content, err := io.ReadAll(got.Body)
		require.NoError(t, err)
		contents[aws.ToString(object.Key)] = string(content)
	}
	return contents
}

func (c *bucketCloud) put(t *testing.T, key, content string) {
	t.Helper()
	_, err := c.objects.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("states"), Key: &key, Body: strings.NewReader(content)})
	require.NoError(t, err)
}

// machine opens the stack dev as a machine does that has never seen it.
func (c *bucketCloud) machine(t *testing.T, bucket *lifecycle.Bucket, cloud *toy, change ...func(*lifecycle.Options)) *lifecycle.Stack {
	t.Helper()
	return openWith(t, lifecycle.Options{
		Program: things(thingArgs{Title: "one"}, thingArgs{Title: "two"}),
		Dir:     t.TempDir(), Bucket: bucket, Env: c.Env(), Provider: cloud,
	}, change...)
}

func TestAStackInABucketGoesOnOnAnotherMachine(t *testing.T) {
	t.Parallel()
	c, cloud, ctx := newBucketCloud(t), newToy(), t.Context()
	const backend = "s3://states/team/nightly"
	here := c.bucket(t, backend, "awskms://"+stateKey)
	exists, err := here.Exists(ctx, "dev")
	require.NoError(t, err)
	require.False(t, exists)
	made := run(t, c.machine(t, here, cloud).Up)
	require.Equal(t, 3, made.Changes["create"])

	for key, content := range c.contents(t) {
		require.True(t, strings.HasPrefix(key, "team/nightly/.pulumi/") || key == "team/nightly/.tapstack/toy/Pulumi.dev.yaml", key)
		require.NotContains(t, content, "a-secret-output", key)
	}
	require.Contains(t, c.contents(t)["team/nightly/.pulumi/stacks/toy/dev.json"], "awskms://alias/states", "the state names its key")

	// Another machine: nothing but the flags, and no program for what needs none.
	there := c.bucket(t, backend, "")
	stacks, err := there.List(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"dev"}, stacks)
	stored, err := there.Config(ctx, "dev")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"colour": "green"}, stored)
	stack := c.machine(t, there, cloud, func(o *lifecycle.Options) { o.Config = nil })
	outputs, err := stack.Outputs(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 2, outputs["count"])
	require.Equal(t, "[secret]", outputs["hidden"])
	still := run(t, stack.Refresh)
	require.Zero(t, still.Altered(), "%v", still.Changes)

	again := run(t, c.machine(t, there, cloud).Up)
	require.Zero(t, again.Altered(), "%v", again.Changes)

	run(t, c.machine(t, there, cloud).Destroy)
	require.Zero(t, cloud.count())
	require.NoError(t, there.Forget(ctx, "dev"))
	var left []string
	for key := range c.contents(t) {
		left = append(left, key)
	}
	require.Equal(t, []string{"team/nightly/.pulumi/meta.yaml"}, left, "only Pulumi's mark on the place is left")
}

func TestForgettingAStackSparesItsNeighbours(t *testing.T) {
	t.Parallel()
	c, ctx := newBucketCloud(t), t.Context()
	bucket := c.bucket(t, "s3://states", "")
	ours := []string{
		".pulumi/stacks/toy/dev.json", ".pulumi/stacks/toy/dev.json.bak", ".pulumi/history/toy/dev/dev-1.history.json",
		".pulumi/backups/toy/dev/dev.1.json", ".pulumi/locks/organization/toy/dev/1.json", ".tapstack/toy/Pulumi.dev.yaml",
	}
	for _, key := range ours {
		for _, key := range []string{key, strings.ReplaceAll(key, "dev", "dev-2"), strings.ReplaceAll(key, "toy", "toys"), "nightly/" + key} {
			c.put(t, key, "{}")
		}
	}
	require.NoError(t, bucket.Forget(ctx, "dev"))
	left := c.contents(t)
	require.Len(t, left, 3*len(ours))
	for _, key := range ours {
		require.NotContains(t, left, key)
	}
	stacks, err := bucket.List(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"dev-2"}, stacks)
}

func TestAStackThatLostItsSettingsStillKnowsItsKey(t *testing.T) {
	t.Parallel()
	c, cloud, ctx := newBucketCloud(t), newToy(), t.Context()
	bucket := c.bucket(t, "s3://states", "awskms://"+stateKey)
	run(t, c.machine(t, bucket, cloud).Up)
	_, err := c.objects.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String("states"), Key: aws.String(".tapstack/toy/Pulumi.dev.yaml")})
	require.NoError(t, err)
	run(t, c.machine(t, c.bucket(t, "s3://states", ""), cloud).Destroy)
	require.Zero(t, cloud.count())
}

func TestALockFromAnotherMachineIsToldAndRemovedWhenAsked(t *testing.T) {
	t.Parallel()
	c, cloud := newBucketCloud(t), newToy()
	bucket := c.bucket(t, "s3://states", "awskms://"+stateKey)
	run(t, c.machine(t, bucket, cloud).Up)
	lock := ".pulumi/locks/organization/toy/dev/0badcafe.json"
	c.put(t, lock, `{"pid":17,"username":"runner","hostname":"runner-1","timestamp":"2026-11-24T03:00:00Z"}`)

	_, err := c.machine(t, bucket, cloud).Refresh(t.Context())
	require.EqualError(t, err, "refresh of stack dev failed: the stack is locked by process 17 on runner-1, since 2026-11-24T03:00:00Z\n"+
		"Wait for that process to end, then run the command again. If you know it to be dead, run the command with --unlock, "+
		"which removes s3://states/"+lock+".")
	run(t, c.machine(t, bucket, cloud, func(o *lifecycle.Options) { o.Unlock = true }).Destroy)
	require.NotContains(t, c.contents(t), lock)
}

func TestWhatAKilledEngineLeftInABucketIsRepairedElsewhere(t *testing.T) {
	t.Parallel()
	c := newBucketCloud(t)
	bucket := c.bucket(t, "s3://states", "awskms://"+stateKey)
	killAndRepair(t, lifecycle.Options{Dir: t.TempDir(), Bucket: bucket, Env: c.Env()}, t.TempDir())
}

func TestWrongPlacesAndKeysGiveOneClearErrorEach(t *testing.T) {
	t.Parallel()
	c, ctx := newBucketCloud(t), t.Context()
	_, err := c.bucket(t, "s3://nowhere/team", "").Exists(ctx, "dev")
	require.EqualError(t, err, "looking for states in s3://nowhere/team: there is no such bucket (NoSuchBucket)\n"+
		"Correct --backend, or create the bucket: docs/runbook.md says how.")
	var fault *lifecycle.StateError
	require.ErrorAs(t, err, &fault)

	_, err = c.machine(t, c.bucket(t, "s3://states", ""), newToy()).Up(ctx)
	require.EqualError(t, err, "stack dev cannot be made in s3://states without --secrets-provider: a passphrase made here would be lost with this machine")

	_, err = c.machine(t, c.bucket(t, "s3://states", "awskms://alias/nobody"), newToy()).Up(ctx)
	require.ErrorContains(t, err, "creation of stack dev failed: the KMS key of the secrets cannot be used: secrets (code=NotFound): "+
		"operation error KMS: Encrypt, NotFoundException: Alias arn:aws:kms:us-east-1:123456789012:alias/nobody is not found.\n"+
		"Correct --secrets-provider. ")
	require.NotContains(t, err.Error(), "PULUMI_CONFIG_PASSPHRASE")
	exists, err := c.bucket(t, "s3://states", "").Exists(ctx, "dev")
	require.NoError(t, err)
	require.False(t, exists)

	run(t, c.machine(t, c.bucket(t, "s3://states", "awskms://"+stateKey), newToy()).Up)
	_, err = lifecycle.Open(ctx, &lifecycle.Engine{}, lifecycle.Options{
		Project: "toy", Stack: "dev", Dir: t.TempDir(), Bucket: c.bucket(t, "s3://states", "awskms://alias/other"), Env: c.Env(),
	})
	require.EqualError(t, err, "the secrets of stack dev are encrypted with awskms://alias/states?awssdk=v2&region=us-east-1, "+
		"not with awskms://alias/other?awssdk=v2&region=us-east-1: correct --secrets-provider, or leave it out")
}

func TestTheFlagsOfABucketAreCheckedBeforeAnythingIsAsked(t *testing.T) {
	emulator := map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}
	cases := []struct {
		name             string
		backend, secrets string
		env              map[string]string
		want             string
	}{
		{"right", "s3://states/team?region=eu-central-1", "awskms://alias/states?region=eu-central-1&context_stack=dev", emulator, ""},
		{"a key by ARN", "s3://states", "awskms:///arn:aws:kms:us-east-1:123456789012:key/1", nil, ""},
		{"no S3", "gs://states", "", nil, `--backend "gs://states" is no S3 bucket: write s3://bucket/prefix?region=us-east-1`},
		{"no bucket", "s3:///team", "", nil, `is no S3 bucket`},
		{"a name that S3 refuses", "s3://My_States", "", nil, `is no S3 bucket`},
		{"no URL", "s3://%zz", "", nil, `is no URL such as s3://bucket/prefix?region=us-east-1`},
		{"credentials in it", "s3://key:secret@states", "", nil, `is no URL such as`},
		{"an option of the old SDK", "s3://states?s3ForcePathStyle=true", "", nil, `s3ForcePathStyle is not among the options`},
		{"the old SDK", "s3://states?awssdk=v1", "", nil, `awssdk is not among the options`},
		{"no KMS", "s3://states", "passphrase", nil, `--secrets-provider "passphrase" is no key of KMS`},
		{"no key", "s3://states", "awskms://", nil, `is no key of KMS`},
		{"an emulator by name", "s3://states", "", map[string]string{"AWS_ENDPOINT_URL": "http://localhost:4566"}, "--backend needs an endpoint with a numeric address"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := lifecycle.BucketOptions{Project: "toy", Backend: c.backend, SecretsProvider: c.secrets, Env: c.env}.Fault()
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestFoldersKeepWhatABucketWould(t *testing.T) {
	t.Parallel()
	home, ctx := t.TempDir(), context.Background()
	folders := lifecycle.Folders{Project: "toy", Home: filepath.Join(home, "states")}
	stacks, err := folders.List(ctx)
	require.NoError(t, err)
	require.Empty(t, stacks)
	stack := open(t, filepath.Join(folders.Home, "dev"), newToy(), func(*pulumi.Context) error { return nil }, nil)
	run(t, stack.Up)
	stack.Close()
	stacks, err = folders.List(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"dev"}, stacks)
	stored, err := folders.Config(ctx, "dev")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"colour": "green"}, stored)
	require.NoError(t, folders.Forget(ctx, "dev"))
	exists, err := folders.Exists(ctx, "dev")
	require.NoError(t, err)
	require.False(t, exists)
}
