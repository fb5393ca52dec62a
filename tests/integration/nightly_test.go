package integration

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/fixtures/nightly"
	"tapstack/lib"
	"tapstack/lib/awsprovider"
	"tapstack/lib/cloud"
	"tapstack/lib/inventory"
	"tapstack/lib/lifecycle/cli"
	"tapstack/lib/load"
	"tapstack/lib/policy"
	"tapstack/lib/preflight"
	"tapstack/lib/process/processtest"
	"tapstack/lib/session"
	"tapstack/lib/sweep"
	"tapstack/lib/target"
	"tapstack/lib/verify"
	"tapstack/tests/reference"
)

// nightlySuffix is one of those that the policies of the nightly role let in.
const nightlySuffix = "nightly1"

// TestANightlyRunMakesTheRecordedCalls does what the nightly workflow does, and holds the list of AWS calls from which the
// policies of the nightly role are generated to the calls that the run makes: none may be missing, none too many. The
// resources of the deployed stack, on which those policies are tried, are recorded with them.
func TestANightlyRunMakesTheRecordedCalls(t *testing.T) {
	ctx, cancel := bounded(t, cleanUpTime)
	defer cancel()
	r := &nightlyRun{cloud: openCloud(ctx, t), dir: t.TempDir()}

	r.boundary(ctx, t)
	r.preflight(ctx, t)
	first := map[string]string{lib.ConfigRun: lib.NewRun(time.Now().Add(-48 * time.Hour)), lib.ConfigExpires: lib.FormatExpiry(time.Now().Add(-24 * time.Hour))}
	r.verify(ctx, t, r.deploy(ctx, t, first))
	resources, permissions := r.resources(ctx, t), r.permissions(ctx, t)
	updated := nightlyUpdate()
	updated[lib.ConfigRun] = first[lib.ConfigRun]
	r.verify(ctx, t, r.deploy(ctx, t, updated))
	r.serve(ctx, t)
	r.destroy(ctx, t, updated)

	// A second run dies after it has paid.
	r.deploy(ctx, t, first)
	r.run(ctx, t, first)
	r.serve(ctx, t)
	r.sweep(ctx, t)
	r.leaks(ctx, t)

	r.hold(t, "calls.txt", nightly.FormatCalls(r.calls.Calls()))
	r.hold(t, "resources.txt", nightly.FormatResources(resources, nightlySuffix))
	r.hold(t, "permissions.txt", nightly.FormatPermissions(permissions, nightlySuffix))
}

// TestIAMTakesTheDocumentsOfTheNightlyRole makes the role and its policies in the local cloud, which refuses documents that
// IAM would call malformed.
func TestIAMTakesTheDocumentsOfTheNightlyRole(t *testing.T) {
	processtest.SkipIfShort(t)
	ctx := t.Context()
	opened, err := target.Open(ctx, target.Options{Name: target.Local})
	require.NoError(t, err)
	defer func() { require.NoError(t, opened.Close()) }()
	documents, err := nightly.Documents(nightlyParameters())
	require.NoError(t, err)
	client := cloud.NewClients(opened.Config).IAM
	for _, d := range documents {
		text, err := d.JSON()
		require.NoError(t, err)
		name := strings.TrimSuffix(d.File, ".json")
		if name == "trust" {
			_, err = client.CreateRole(ctx, &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: &text})
		} else {
			_, err = client.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: &name, PolicyDocument: &text})
		}
		require.NoError(t, err, d.File)
	}
	malformed := strings.Repeat("{", 3)
	_, err = client.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: &malformed, PolicyDocument: &malformed})
	require.Error(t, err, "the local cloud must look at documents")
}

// nightlyUpdate changes a value of every part of the stack that is updated in place, and the time to live, which every
// resource carries as a tag.
func nightlyUpdate() map[string]string {
	return map[string]string{
		lib.ConfigAlertEmail:            "night@example.com",
		"apiCpu":                        "512",
		"apiMaxCount":                   "10",
		"apiMemory":                     "1024",
		"apiRetryCount":                 "4",
		"apiTimeoutSeconds":             "90",
		"cpuTargetPercent":              "50",
		"dbBackupRetentionDays":         "7",
		lib.ConfigExpires:               lib.FormatExpiry(time.Now().Add(-12 * time.Hour)),
		"jobRetryCount":                 "6",
		"queueVisibilityTimeoutSeconds": "600",
	}
}

// nightlyRun is a nightly run with its calls noted.
type nightlyRun struct {
	cloud  *target.Target
	dir    string
	calls  nightly.Recorder
	bounds string // ARN of the boundary of the stack's roles
}

// boundary makes the policy that bounds the stack's roles, as an administrator does beforehand.
func (r *nightlyRun) boundary(ctx context.Context, t *testing.T) {
	t.Helper()
	text, err := nightly.Boundary(nightlyParameters()).JSON()
	require.NoError(t, err)
	made := call(ctx, t, cloud.NewClients(r.cloud.Config).IAM.CreatePolicy, &iam.CreatePolicyInput{
		PolicyName: aws.String("tapstack-nightly-boundary"), PolicyDocument: &text,
	})
	r.bounds = *made.Policy.Arn
}

// nightlyParameters are those of the local cloud.
func nightlyParameters() nightly.Parameters {
	p := nightly.Placeholders()
	p.Account, p.Region, p.ImageRepository, p.Repository = "123456789012", target.Region, "tapstack-services", "owner/repository"
	p.StateBucket, p.StateKey = "state", "11111111-2222-3333-4444-555555555555"
	return p
}

// open opens the stack with some of its configuration changed, its calls noted as those of one part of the run.
func (r *nightlyRun) open(ctx context.Context, t *testing.T, part string, changed map[string]string, plane *session.DataPlane) *session.Session {
	t.Helper()
	options := defaults(target.Options{}, nightlySuffix, r.dir)
	for _, key := range []string{lib.ConfigPaymentAPIImage, lib.ConfigJobProcessorImage} {
		options.Config[key] = "123456789012.dkr.ecr.us-east-1.amazonaws.com/tapstack-services:" + nightlySuffix + "-1"
	}
	options.Config["owner"] = nightly.Owner
	if r.bounds != "" {
		options.Config[lib.ConfigPermissionsBoundaryArn] = r.bounds
	}
	maps.Copy(options.Config, changed)
	options.DataPlane = plane
	options.Cloud, options.Provider = r.cloud, awsprovider.NewPlugin(r.calls.Watch(r.cloud.Config, part))
	return openSession(ctx, t, options)
}

// preflight looks at everything; what it finds is not this test's affair.
func (r *nightlyRun) preflight(ctx context.Context, t *testing.T) {
	t.Helper()
	config, err := lib.ParseConfig(defaults(target.Options{}, nightlySuffix, r.dir).Config)
	require.NoError(t, err)
	report := preflight.Run(ctx, preflight.Options{AWS: r.calls.Watch(r.cloud.Config, "preflight"), Config: config})
	require.NotEmpty(t, report.With(preflight.OK))
}

// deploy previews, deploys and refreshes, and returns the outputs.
func (r *nightlyRun) deploy(ctx context.Context, t *testing.T, changed map[string]string) map[string]any {
	t.Helper()
	s := r.open(ctx, t, "deploy", changed, nil)
	planned, err := s.Preview(ctx)
	require.NoError(t, err, "preview")
	result, err := s.Up(ctx, planned)
	require.NoError(t, err, "up")
	t.Logf("up: %s", result)
	_, err = s.Refresh(ctx)
	require.NoError(t, err, "refresh")
	outputs, err := s.Outputs(ctx)
	require.NoError(t, err, "outputs")
	require.NoError(t, s.Close())
	return outputs
}

// verify runs the specification with the checks that act. Whether they pass is not this test's affair.
func (r *nightlyRun) verify(ctx context.Context, t *testing.T, outputs map[string]any) {
	t.Helper()
	report, err := verify.Run(ctx, verify.Options{
		AWS: r.calls.Watch(r.cloud.Config, "verify"), Outputs: outputs, Suffix: nightlySuffix, Act: true, Patience: time.Second,
	})
	require.NoError(t, err)
	require.Greater(t, report.Counts.Passed, report.Counts.Total/2, report.Problem)
}

// run has the data plane run what is deployed, whose own calls are not the run's, migrates the database, verifies the stack once more
// with all that a cloud shows that runs tasks, and posts payments.
func (r *nightlyRun) run(ctx context.Context, t *testing.T, changed map[string]string) {
	t.Helper()
	s := r.open(ctx, t, "deploy", changed, reference.DataPlane(t))
	watched := *r.cloud
	s.Cloud = &watched
	as := func(part string) { watched.Config = r.calls.Watch(r.cloud.Config, part) }

	as("migrate")
	migrated, err := s.Migrate(ctx)
	require.NoError(t, err, "migrate")
	t.Logf("migrate: %s", migrated)
	as("verify")
	report, err := s.Verify(ctx, true)
	require.NoError(t, err)
	for _, one := range report.Results {
		assert.NotEqual(t, verify.Failed, one.Status, "%s: %s", one.ID, one.Reason)
	}
	as("load")
	options := load.Options{Arrivals: load.Fixed, Rate: 10, Duration: time.Second, InFlight: 10, Merchants: 2, Retries: 5}
	options.API, err = s.PaymentAPI(ctx, "", "")
	require.NoError(t, err)
	options.Reconcile = options.API.Reconcile(time.Minute)
	paid, err := s.Load(ctx, options)
	require.NoError(t, err, "load")
	require.Equal(t, paid.Planned, paid.Acknowledged, paid.Summary())
	require.NoError(t, s.Close())
}

// resources lists the ARNs of all that the stack has made.
func (r *nightlyRun) resources(ctx context.Context, t *testing.T) []string {
	t.Helper()
	all, err := inventory.Leaks(ctx, r.cloud.Config, nightlySuffix)
	require.NoError(t, err)
	var arns []string
	for _, one := range all {
		if strings.HasPrefix(one.ARN, "arn:") {
			arns = append(arns, one.ARN)
		}
	}
	require.NotEmpty(t, arns)
	return arns
}

// permissions lists what the policies of the stack's roles allow: an action and a resource a line.
func (r *nightlyRun) permissions(ctx context.Context, t *testing.T) []string {
	t.Helper()
	client := cloud.NewClients(r.cloud.Config).IAM
	roles := call(ctx, t, client.ListRoles, &iam.ListRolesInput{})
	var lines []string
	for _, role := range roles.Roles {
		policies := call(ctx, t, client.ListRolePolicies, &iam.ListRolePoliciesInput{RoleName: role.RoleName})
		for _, name := range policies.PolicyNames {
			out := call(ctx, t, client.GetRolePolicy, &iam.GetRolePolicyInput{RoleName: role.RoleName, PolicyName: &name})
			document, err := policy.Parse(*out.PolicyDocument)
			require.NoError(t, err)
			for _, statement := range policy.Statements(document) {
				for _, action := range policy.Values(statement.Action) {
					for _, resource := range policy.Values(statement.Resource) {
						lines = append(lines, action+" "+resource)
					}
				}
			}
		}
	}
	require.NotEmpty(t, lines)
	return lines
}

// serve leaves an access log behind, as a load balancer does that has answered. The emulator takes the bucket's policy,
// which refuses plain transport, to refuse all: it is put aside.
func (r *nightlyRun) serve(ctx context.Context, t *testing.T) {
	t.Helper()
	client := cloud.NewClients(r.cloud.Config).S3
	all := call(ctx, t, client.ListBuckets, &s3.ListBucketsInput{})
	for _, b := range all.Buckets {
		document := call(ctx, t, client.GetBucketPolicy, &s3.GetBucketPolicyInput{Bucket: b.Name})
		call(ctx, t, client.DeleteBucketPolicy, &s3.DeleteBucketPolicyInput{Bucket: b.Name})
		key := "alb/AWSLogs/test"
		call(ctx, t, client.PutObject, &s3.PutObjectInput{Bucket: b.Name, Key: &key, Body: strings.NewReader("GET /health 200")})
		call(ctx, t, client.PutBucketPolicy, &s3.PutBucketPolicyInput{Bucket: b.Name, Policy: document.Policy})
	}
}

// destroy removes the stack and looks for what is left.
func (r *nightlyRun) destroy(ctx context.Context, t *testing.T, changed map[string]string) {
	t.Helper()
	s := r.open(ctx, t, "destroy", changed, nil)
	_, err := s.Refresh(ctx)
	require.NoError(t, err, "refresh")
	_, err = s.Destroy(ctx)
	require.NoError(t, err, "destroy")
	require.NoError(t, s.Close())
}

// sweep removes the stack without its state: a dry run, the sweep itself, and the proof.
func (r *nightlyRun) sweep(ctx context.Context, t *testing.T) {
	t.Helper()
	cfg := r.calls.Watch(r.cloud.Config, "sweep")
	options := sweep.Options{Owner: nightly.Owner, OlderThan: 24 * time.Hour, Now: time.Now()}
	plan, outcomes, err := sweepOnce(ctx, t, cfg, options)
	require.NoError(t, err)
	require.NotEmpty(t, plan.Delete)
	assert.Empty(t, unswept(outcomes))
	left, err := sweep.Prove(ctx, cfg, plan, outcomes, options)
	require.NoError(t, err)
	assert.Empty(t, left)
}

// leaks proves that nothing is left.
func (r *nightlyRun) leaks(ctx context.Context, t *testing.T) {
	t.Helper()
	assert.Empty(t, leaksOf(ctx, t, r.calls.Watch(r.cloud.Config, "leaks"), nightlySuffix))
}

// hold compares what was recorded with what is committed, or commits it.
func (r *nightlyRun) hold(t *testing.T, file, recorded string) {
	t.Helper()
	root, err := cli.RepositoryRoot()
	require.NoError(t, err)
	path := filepath.Join(root, "fixtures", "nightly", file)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(recorded), 0o600))
	}
	committed, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Empty(t, cmp.Diff(string(committed), recorded), "the nightly run is not what fixtures/nightly/%s says (-committed +recorded); "+
		"write it and the policies anew: go generate ./fixtures/nightly", file)
}
