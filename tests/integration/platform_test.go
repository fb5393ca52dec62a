// Package integration deploys the whole stack to a target through the real Pulumi engine, holds it to the
// specification through the AWS API, and removes it again.
//
// The run is one test in stages, in the manner of terratest. SKIP_<stage>=1 skips a stage; with any of them set the
// stack and its local cloud outlive the test, so that a developer can work on a deployed stack:
//
//	SKIP_destroy=1 make test-platform                 deploy, check, keep
//	SKIP_deploy=1 SKIP_destroy=1 make test-platform   check again
//	SKIP_deploy=1 make test-platform                  check and destroy
//
// TARGET chooses another cloud than the local one, and ENDPOINT its address:
//
//	TARGET=localstack make test-platform
//	TARGET=endpoint ENDPOINT=http://127.0.0.1:5000 make test-platform
package integration

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/gruntwork-io/terratest/modules/random"
	teststructure "github.com/gruntwork-io/terratest/modules/test-structure"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
	"tapstack/lib/cloud"
	"tapstack/lib/lifecycle"
	"tapstack/lib/process/processtest"
	"tapstack/lib/session"
	"tapstack/lib/target"
	"tapstack/lib/verify"
)

// deadline bounds a test from inside, and cleanUpTime is what it leaves of go test's own, which would kill the clean-up.
const (
	deadline    = 20 * time.Minute
	cleanUpTime = 5 * time.Minute
)

// bounded is a context for the work of a test, which leaves so much of go test's time. It does not end with the test, so that
// a clean-up has one of its own.
func bounded(tb testing.TB, left time.Duration) (context.Context, context.CancelFunc) {
	end := time.Now().Add(deadline)
	if t, timed := tb.(interface{ Deadline() (time.Time, bool) }); timed {
		if all, set := t.Deadline(); set {
			left = min(left+10*time.Second, time.Until(all)/2)
			end = slices.MinFunc([]time.Time{end, all.Add(-left)}, time.Time.Compare)
		}
	}
	return context.WithDeadlineCause(context.Background(), end, errors.New("the test was not over in its time"))
}

// kept is where a stack that outlives the test keeps its state.
const kept = "."

func TestPlatform(t *testing.T) {
	ctx, cancel := bounded(t, cleanUpTime)
	defer cancel()
	p := newPlatform(ctx, t)

	teststructure.RunTestStage(t, "deploy", func() { p.deploy(ctx, t) })
	outputs, err := p.Outputs(ctx)
	require.NoError(t, err, "the outputs of the deployed stack")
	teststructure.RunTestStage(t, "verify", func() { p.verify(ctx, t) })
	teststructure.RunTestStage(t, "steady", func() { p.steady(ctx, t) })
	teststructure.RunTestStage(t, "drift", func() { p.drift(ctx, t, outputs) })
	teststructure.RunTestStage(t, "update", func() { p.update(ctx, t) })
	teststructure.RunTestStage(t, "ports", func() { p.ports(ctx, t) })
	teststructure.RunTestStage(t, "settled", func() { p.settled(ctx, t) })
	teststructure.RunTestStage(t, "secrets", func() { p.secrets(ctx, t, outputs) })
	teststructure.RunTestStage(t, "destroy", func() { p.destroy(t) })
}

// platform is the stack under test, on its target.
type platform struct {
	*session.Session
	options session.Options
	suffix  string
	dir     string
	heard   *transcript
	// untold are properties by URN that every preview would set again, for the emulator does not tell that they are.
	untold map[string][]string
}

// newPlatform opens target, engine and stack. Nothing is deployed yet, and everything is closed when the test ends.
func newPlatform(ctx context.Context, t *testing.T) *platform {
	t.Helper()
	suffix, dir, options := "it-"+strings.ToLower(random.UniqueID()), t.TempDir(), chosenTarget()
	if teststructure.SkipStageEnvVarSet() {
		dir = filepath.Join(kept, ".test-data")
		options.Lifetime, options.Home = target.Kept, dir
		suffix = rememberedSuffix(t, suffix)
	}
	return openPlatform(ctx, t, options, suffix, dir)
}

// chosenTarget is the target that the environment asks for: TARGET, local without it, at ENDPOINT where the target needs
// one.
func chosenTarget() target.Options {
	return target.Options{Name: cmp.Or(os.Getenv("TARGET"), target.Local), Endpoint: os.Getenv("ENDPOINT")}.FromEnvironment()
}

// openPlatform opens target, engine and stack until the test ends. The target is opened apart, so that it outlives a session.
func openPlatform(ctx context.Context, t *testing.T, options target.Options, suffix, dir string, change ...func(*session.Options)) *platform {
	t.Helper()
	processtest.SkipIfShort(t)
	p := &platform{options: defaults(options, suffix, dir), suffix: suffix, dir: dir, heard: &transcript{t: t}, untold: map[string][]string{}}
	for _, f := range change {
		f(&p.options)
	}
	p.options.Progress, options.Notify = p.heard, p.heard.Note
	opened, err := target.Open(ctx, options)
	require.NoError(t, err, "opening the target")
	t.Cleanup(func() { require.NoError(t, opened.Close()) })
	p.options.Cloud = opened
	p.Session = openSession(ctx, t, p.options)
	return p
}

// openSession opens cloud, engine and stack until the test ends.
func openSession(ctx context.Context, tb testing.TB, options session.Options) *session.Session {
	tb.Helper()
	processtest.SkipIfShort(tb)
	s, ctx := session.New(ctx, options)
	tb.Cleanup(func() { require.NoError(tb, s.Close()) })
	require.NoError(tb, s.Open(ctx), "opening the stack")
	return s
}

// openCloud opens a local cloud alone until the test ends.
func openCloud(ctx context.Context, tb testing.TB) *target.Target {
	tb.Helper()
	processtest.SkipIfShort(tb)
	opened, err := target.Open(ctx, target.Options{Name: target.Local, Notify: func(s string) { tb.Log(s) }})
	require.NoError(tb, err, "opening the target")
	tb.Cleanup(func() { require.NoError(tb, opened.Close()) })
	return opened
}

// rememberedSuffix is the suffix of the stack that an earlier run kept, or this run's.
func rememberedSuffix(t *testing.T, fresh string) string {
	t.Helper()
	if path := teststructure.FormatTestDataPath(kept, "suffix.json"); teststructure.IsTestDataPresent(t, path) {
		return teststructure.LoadString(t, kept, "suffix")
	}
	teststructure.SaveString(t, kept, "suffix", fresh)
	return fresh
}

// defaults are the options of a stack with its default configuration on a target.
func defaults(on target.Options, suffix, dir string) session.Options {
	return session.Options{
		Target: on, Suffix: suffix, Location: lifecycle.InFolder(lib.ProjectName, dir),
		Config: map[string]string{
			lib.ConfigEnvironmentSuffix: suffix,
			lib.ConfigPaymentAPIImage:   "123456789012.dkr.ecr.us-east-1.amazonaws.com/payment-api:1.0.0",
			lib.ConfigJobProcessorImage: "123456789012.dkr.ecr.us-east-1.amazonaws.com/job-processor:1.0.0",
			lib.ConfigAlertEmail:        "ops@example.com",
		},
	}
}

// deploy asserts a clean cloud, previews and deploys. Whatever fails, what was made is removed.
func (p *platform) deploy(ctx context.Context, t *testing.T) {
	left, err := p.Prove(ctx)
	require.NoError(t, err, "looking for leftovers before the deployment")
	require.Empty(t, left, "the cloud must hold nothing of %s before the deployment", p.suffix)

	t.Cleanup(func() {
		if t.Failed() && os.Getenv("SKIP_destroy") == "" {
			p.destroy(t)
		}
	})
	planned, err := p.Preview(ctx)
	require.NoError(t, err, "preview")
	deployed, err := p.Up(ctx, planned)
	require.NoError(t, err, "up")
	require.Equal(t, planned.Changes["create"], deployed.Changes["create"], "up must create what the preview announced")
	t.Logf("deployed %d resources in %s", deployed.Changes["create"], deployed.Duration.Round(time.Millisecond))
}

var checkInDocs = regexp.MustCompile("`([a-z]+\\.[a-z0-9-]+)`")

// hiddenInDocs are the checks that the documents name as not observable on target local.
func hiddenInDocs(t *testing.T) (ids []string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/troubleshooting.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(text), "#### `not observable here`\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "####")
	for _, match := range checkInDocs.FindAllStringSubmatch(section, -1) {
		ids = append(ids, match[1])
	}
	return ids
}

// verify runs the specification, one subtest a check.
func (p *platform) verify(ctx context.Context, t *testing.T) {
	report, err := p.Verify(ctx, true)
	require.NoError(t, err)
	var hidden []string
	for _, r := range report.Results {
		if r.Status == verify.NotObservable {
			hidden = append(hidden, r.ID)
		}
		t.Run(r.ID, func(t *testing.T) {
			switch r.Status {
			case verify.Passed:
			case verify.NotObservable:
				t.Skipf("not observable here: %s", r.Reason)
			case verify.SwitchedOff:
				t.Skipf("switched off by configuration: %s", r.Reason)
			default:
				assert.Fail(t, r.Reason, r.Says)
			}
		})
	}
	if p.options.Target.Name == target.Local {
		require.ElementsMatch(t, hiddenInDocs(t), hidden, "what docs/troubleshooting.md says is not observable on local without a data plane")
	}
	require.True(t, report.OK() || t.Failed(), "a report without a failed check must be fine")
	t.Logf("%d checks in %.0f ms: %s", report.Counts.Total, report.DurationMS, report.Counts)
	written, err := json.Marshal(report)
	require.NoError(t, err)
	p.heard.note(string(written))
}

// steady holds that nothing is left to do: a second up plans nothing and refresh finds no drift.
func (p *platform) steady(ctx context.Context, t *testing.T) {
	t.Run("a second up changes nothing", func(t *testing.T) {
		again, err := p.Stack.Up(ctx)
		require.NoError(t, err)
		require.Zero(t, again.Altered(), "%v", steps(again))
	})
	t.Run("refresh reports no drift", func(t *testing.T) {
		refreshed, err := p.Refresh(ctx)
		require.NoError(t, err)
		require.Zero(t, refreshed.Altered(), "%v", steps(refreshed))
		require.Empty(t, steps(refreshed))
	})
}

// drift changes the cloud by hand and holds that refresh sees it and up heals it.
func (p *platform) drift(ctx context.Context, t *testing.T, outputs map[string]any) {
	url, _ := outputs[lib.OutputQueueURL].(string)
	require.NotEmpty(t, url)
	client := cloud.NewClients(p.Cloud.Config).SQS
	retention := func() string {
		out := call(ctx, t, client.GetQueueAttributes, &sqs.GetQueueAttributesInput{
			QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
		})
		return out.Attributes[string(types.QueueAttributeNameMessageRetentionPeriod)]
	}
	before := retention()
	call(ctx, t, client.SetQueueAttributes, &sqs.SetQueueAttributesInput{
		QueueUrl: &url, Attributes: map[string]string{string(types.QueueAttributeNameMessageRetentionPeriod): "60"},
	})
	refreshed, err := p.Refresh(ctx)
	require.NoError(t, err)
	require.Len(t, steps(refreshed), 1, "refresh must see the queue's changed retention and nothing else")
	healed, err := p.Stack.Up(ctx)
	require.NoError(t, err)
	require.Equal(t, 1, healed.Altered(), "%v", steps(healed))
	require.Equal(t, before, retention(), "up must put the retention back")
}

// secrets looks for the values of the stack's secrets in everything that was written or said.
func (p *platform) secrets(ctx context.Context, t *testing.T, outputs map[string]any) {
	said, err := json.Marshal(outputs)
	require.NoError(t, err)
	p.heard.note(string(said))
	for name, value := range p.secretValues(ctx, t, outputs) {
		require.NotContains(t, p.heard.text(), value, "%s in a log, a report or an output", name)
		state := os.DirFS(p.dir)
		err := fs.WalkDir(state, ".", func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			content, err := fs.ReadFile(state, path)
			if err == nil && strings.Contains(string(content), value) {
				err = fmt.Errorf("%s in %s", name, path)
			}
			return err
		})
		require.NoError(t, err, "a secret lies open in the state folder")
	}
}

// secretValues are the plain values of the stack's secrets, each long enough to be looked for.
func (p *platform) secretValues(ctx context.Context, t *testing.T, outputs map[string]any) map[string]string {
	t.Helper()
	values := map[string]string{}
	client := cloud.NewClients(p.Cloud.Config).SecretsManager
	for _, output := range []string{lib.OutputDBSecretArn, lib.OutputPaymentAPIDBSecretArn, lib.OutputJobProcessorDBSecretArn, lib.OutputAPIKeysSecretArn} {
		arn, _ := outputs[output].(string)
		got, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &arn})
		require.NoError(t, err, "reading %s", output)
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(aws.ToString(got.SecretString)), &fields))
		for _, field := range []string{"password", "apiKey"} {
			if value, ok := fields[field].(string); ok {
				require.GreaterOrEqual(t, len(value), 16, "%s is too short to be a secret", field)
				values[field] = value
			}
		}
	}
	require.Len(t, values, 2, "the password and the API key")
	values["private key"] = "PRIVATE KEY-----"
	return values
}

// destroy removes the stack on a context of its own and proves that nothing is left.
func (p *platform) destroy(t *testing.T) {
	ctx, cancel := bounded(t, 0)
	defer cancel()
	destroyed, err := p.Destroy(ctx)
	if errors.Is(err, lifecycle.ErrNoStack) {
		return
	}
	require.NoError(t, err, "destroy")
	t.Logf("destroyed %d resources in %s", destroyed.Changes["delete"], destroyed.Duration.Round(time.Millisecond))
	left, err := p.Prove(ctx)
	require.NoError(t, err, "looking for leftovers")
	require.Empty(t, left, "destroy left something behind")
	if teststructure.SkipStageEnvVarSet() {
		require.NoError(t, p.Forget(ctx), "stopping the local cloud")
		teststructure.CleanupTestDataFolder(t, kept)
	}
}

// steps names what an operation changed, apart from the stack itself.
func steps(r lifecycle.Result) []string {
	var names []string
	for _, s := range r.Changed {
		names = append(names, fmt.Sprintf("%s %s %s %v", s.Op, s.Type, s.Name, s.Properties))
	}
	return names
}
