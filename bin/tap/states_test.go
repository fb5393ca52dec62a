package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"tapstack/lib/cloud"
	"tapstack/lib/process/processtest"
	"tapstack/lib/target"
)

func TestFlagsOfABucketAreToldWhereTheyDoNotFit(t *testing.T) {
	const needsKey = "--backend needs --secrets-provider for up: a passphrase made here would be lost with this machine"
	endpoint := []string{"--target", "endpoint", "--endpoint", "http://127.0.0.1:1"}
	for name, c := range map[string]struct {
		args []string
		env  map[string]string
		want string
	}{
		"on the local target":    {[]string{"up", "--backend", "s3://states"}, nil, "--backend is for targets aws and endpoint: target local keeps its states in a folder"},
		"a key without a bucket": {[]string{"up", "--secrets-provider", "awskms://alias/states"}, nil, "--secrets-provider goes with --backend"},
		"a bucket without a key": {append(endpoint, "up", "--backend", "s3://states"), nil, needsKey},
		"no bucket":              {append(endpoint, "verify", "--backend", "file:///tmp"), nil, `--backend "file:///tmp" is no S3 bucket: write s3://bucket/prefix?region=us-east-1`},
		"no key":                 {append(endpoint, "verify", "--backend", "s3://states", "--secrets-provider", "passphrase"), nil, `--secrets-provider "passphrase" is no key of KMS`},
		"an emulator by its name": {
			[]string{"verify", "--target", "endpoint", "--endpoint", "http://localhost:4566", "--backend", "s3://states"},
			nil,
			"--backend needs an endpoint with a numeric address, such as http://127.0.0.1:4566, not http://localhost:4566",
		},
		"unlocking what locks nothing": {[]string{"outputs", "--unlock"}, nil, "unknown flag: --unlock"},
		"the variable without a key": {
			[]string{"up", "--target", "aws", "--yes", "--config", "paymentApiImage=a:1", "--config", "jobProcessorImage=a:1", "--config", "alertEmail=ops@example.com"},
			map[string]string{backendVariable: "s3://states"},
			needsKey,
		},
		"a wrong variable": {[]string{"verify", "--target", "aws"}, map[string]string{backendVariable: "states"}, `--backend "states" is no S3 bucket`},
	} {
		t.Run(name, func(t *testing.T) {
			for variable, value := range c.env {
				t.Setenv(variable, value)
			}
			stdout, stderr := tap(t, exitUsage, c.args...)
			require.Empty(t, stdout)
			require.Contains(t, stderr, c.want)
		})
	}
}

func TestTheVariablesAreForRealAWSOnly(t *testing.T) {
	t.Setenv(backendVariable, "s3://states")
	_, stderr := tap(t, exitFailed, "outputs", "--suffix", "nope")
	require.Contains(t, stderr, "stack nope does not exist on target local: ")
}

func TestAStackInABucketIsRemovedFromAnotherMachine(t *testing.T) {
	processtest.SkipIfShort(t)
	needsProcesses(t)
	opened, err := target.Open(t.Context(), target.Options{Name: target.Local})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, opened.Close()) })
	objects, keys := cloud.NewClients(opened.Config).S3, cloud.NewClients(opened.Config).KMS
	_, err = objects.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("states")})
	require.NoError(t, err)
	key, err := keys.CreateKey(t.Context(), &kms.CreateKeyInput{})
	require.NoError(t, err)

	flags := []string{
		"--target", "endpoint", "--endpoint", opened.Endpoint, "--suffix", "far", "--no-progress", "--output", "json",
		"--backend", "s3://states/team",
	}
	here, there := t.TempDir(), t.TempDir()
	secrets := "awskms://" + aws.ToString(key.KeyMetadata.KeyId)
	tapIn(t, here, exitFine, append(flags, "up", "--secrets-provider", secrets, "--config", "queueVisibilityTimeoutSeconds=120")...)

	_, stderr := tapIn(t, there, exitFailed, append(flags, "outputs", "--suffix", "other")...)
	require.Contains(t, stderr, "stack other does not exist on target endpoint in s3://states/team: ")
	_, stderr = tapIn(t, there, exitFailed, append(flags, "preview", "--secrets-provider", secrets, "--backend", "s3://nowhere")...)
	require.Contains(t, stderr, "reading .tapstack/tapstack/Pulumi.far.yaml in s3://nowhere: there is no such bucket (NoSuchBucket)\n")

	// The configuration comes along, and with it the run that the resources are tagged with.
	stdout, _ := tapIn(t, there, exitFine, append(flags, "preview", "--secrets-provider", secrets)...)
	require.Contains(t, stdout, `"resources": []`, "nothing to change")
	stdout, _ = tapIn(t, there, exitFine, append(flags, "outputs")...)
	require.Contains(t, stdout, "payment-jobs-far")
	tapIn(t, there, exitFine, append(flags, "verify")...)
	stdout, _ = tapIn(t, there, exitFine, append(flags, "refresh")...)
	require.Contains(t, stdout, `"resources": []`, "nothing drifted")

	stdout, _ = tapIn(t, there, exitFine, append(flags, "destroy", "--unlock")...)
	var told struct{ Left []string }
	require.NoError(t, json.Unmarshal([]byte(stdout), &told))
	require.Empty(t, told.Left)
	list, err := objects.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("states")})
	require.NoError(t, err)
	require.Len(t, list.Contents, 1)
	require.Equal(t, "team/.pulumi/meta.yaml", aws.ToString(list.Contents[0].Key))
	_, stderr = tapIn(t, here, exitFailed, append(flags, "destroy")...)
	require.True(t, strings.HasPrefix(stderr, "stack far does not exist"), stderr)
}
