package integration

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/gruntwork-io/terratest/modules/random"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
	"tapstack/lib/cloud"
	"tapstack/lib/lifecycle"
	"tapstack/lib/target"
	"tapstack/lib/verify"
	"tapstack/tests/official/bridge"
)

// change is a legal change of the configuration of a deployed stack, and what comes of it.
type change struct {
	Key, Value string
	// With are the keys that change along: without them the configuration were not legal.
	With map[string]string
	// Prepare makes in the cloud what the values name, and answers with those that are known only then.
	Prepare func(ctx context.Context, t *testing.T, p *platform) map[string]string
	// Replaced are the resources that are replaced on the way there or back, by their logical names.
	Replaced []string
	// Comes are those that are made on the way there and deleted on the way back, Goes the other way round.
	Comes, Goes []string
	// Refused is what the refusal says where the change is refused before the first resource.
	Refused string
	// Off are the checks that the change switches off, On those that it switches on.
	Off, On []string
}

// values are the configuration keys that the change sets.
func (c change) values() map[string]string {
	values := map[string]string{c.Key: c.Value}
	maps.Copy(values, c.With)
	return values
}

const otherImage = "123456789012.dkr.ecr.us-east-1.amazonaws.com/other@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// changes is the table: every key of the configuration, at the ends of what is legal where these are numbers.
func changes() []change {
	return []change{
		{Key: lib.ConfigEnvironmentSuffix, Value: "another", Refused: "environmentSuffix: the stack was deployed with "},
		{Key: "vpcCidr", Value: "10.1.0.0/16", Refused: "would replace vpc"},
		{Key: "availabilityZones", Value: "us-east-1d,us-east-1e,us-east-1f", Refused: "availabilityZones: the stack was deployed with "},
		{Key: "dbName", Value: "another", Refused: "would replace aurora-cluster"},
		{Key: "dbEngineVersion", Value: "15", Refused: "dbEngineVersion"},
		{Key: "allowReplace", Value: "aurora-cluster"},
		{Key: "protect", Value: "true"},
		{Key: "dbInstanceClass", Value: "db.t4g.medium"},
		{Key: "dbBackupRetentionDays", Value: "1"},
		{Key: "dbBackupRetentionDays", Value: "35"},
		{Key: "paymentApiImage", Value: otherImage, Replaced: []string{"payment-api-task", "payment-migrate-task"}},
		{Key: "jobProcessorImage", Value: otherImage, Replaced: []string{"job-processor-task"}},
		{Key: "paymentMigrateImage", Value: otherImage, Replaced: []string{"payment-migrate-task"}},
		{Key: "apiCpu", Value: "256", With: map[string]string{"apiMemory": "512"}, Replaced: []string{"payment-api-task"}},
		{Key: "apiMemory", Value: "8192", Replaced: []string{"payment-api-task"}},
		{Key: "jobCpu", Value: "16384", With: map[string]string{"jobMemory": "122880"}, Replaced: []string{"job-processor-task"}},
		{Key: "jobMemory", Value: "4096", Replaced: []string{"job-processor-task"}},
		{Key: "apiDesiredCount", Value: "2", Off: []string{"application.payment-api", "scaling.targets"}},
		{Key: "apiDesiredCount", Value: "60", With: map[string]string{"apiMaxCount": "60"}, Off: []string{"scaling.targets"}},
		{Key: "apiMaxCount", Value: "3", Off: []string{"scaling.targets"}},
		{Key: "jobDesiredCount", Value: "4"},
		{Key: "jobMaxCount", Value: "2", Off: []string{"scaling.targets"}},
		{Key: "jobMaxCount", Value: "20"},
		{Key: "cpuTargetPercent", Value: "1"},
		{Key: "cpuTargetPercent", Value: "100"},
		{Key: "alertEmail", Value: "pager@example.org", Replaced: []string{"payment-alerts-email"}},
		{
			Key: "certificateArn", Value: "arn:aws:acm:us-east-1:123456789012:certificate/imported", Prepare: importedCertificate,
			Goes: []string{"certificate", "certificate-seed"},
		},
		{
			Key: "domainName", Value: "pay.example.org", With: map[string]string{"hostedZoneId": "Z0123456789"}, Prepare: hostedZone,
			Goes:  []string{"certificate", "certificate-seed"},
			Comes: []string{"alias-record", "certificate-validation", "certificate-validation-record", "domain-certificate"},
		},
		{Key: "apiTimeoutSeconds", Value: "1", With: map[string]string{"queueVisibilityTimeoutSeconds": "2"}},
		{Key: "apiTimeoutSeconds", Value: "900", With: map[string]string{"queueVisibilityTimeoutSeconds": "43200"}},
		{Key: "apiRetryCount", Value: "0"},
		{Key: "jobRetryCount", Value: "20"},
		{
			Key: "interfaceEndpoints", Value: "true", On: []string{"network.interface-endpoints"}, Comes: []string{
				"endpoints-sg", "endpoints-in-payment-api", "endpoints-in-job-processor", "endpoints-in-payment-migrate", "ecr-api-endpoint", "ecr-dkr-endpoint", "logs-endpoint",
				"secretsmanager-endpoint", "sns-endpoint", "sqs-endpoint", "ssm-endpoint",
			},
		},
		{Key: "wafCountOnly", Value: "true", With: map[string]string{"waf": "true", "wafRateLimit": "10"}, Off: []string{"waf.rules"}},
		{Key: "dbMaintenanceWindow", Value: "sat:10:00-sat:11:00"},
		{Key: "dbApplyImmediately", Value: "true"},
		{
			Key: "containerPort", Value: "9443", With: map[string]string{"containerProtocol": "HTTP"}, Off: []string{"alb.tls-to-targets"},
			Replaced: []string{"job-processor-task", "payment-api-task"},
			Comes: []string{
				"alb-out-job-processor-9443", "alb-out-payment-api-9443", "api-http-9443", "job-processor-in-alb-9443", "jobs-http-9443",
				"payment-api-in-alb-9443",
			},
			Goes: []string{
				"alb-out-job-processor-8443", "alb-out-payment-api-8443", "api-https-8443", "job-processor-in-alb-8443", "jobs-https-8443",
				"payment-api-in-alb-8443",
			},
		},
		{
			Key: "waf", Value: "false", Off: []string{"iam.log-delivery-policy", "waf.in-front", "waf.logging", "waf.rules"}, Goes: []string{
				"waf", "waf-association", "waf-blocked-surge-alarm", "waf-log-group", "waf-logging", "waf-logs-policy",
			},
		},
		{Key: "owner", Value: "another-team"},
		{Key: "run", Value: "20261124T060000Z-0a1b2c"},
		{Key: "expires", Value: "2126-01-01T00:00:00Z"},
		{Key: "allowedAccountIds", Value: "123456789012"},
		{Key: "allowedAccountIds", Value: "210987654321", Refused: "not allowed"},
		{Key: "secretReaders", Value: "arn:aws:iam::123456789012:role/on-call", Refused: "secretReaders: "},
		{Key: "secretReaders", Value: "arn:aws:iam::123456789012:role/*/on-call,arn:aws:sts::123456789012:user/moto"},
		{Key: "permissionsBoundaryArn", Value: "arn:aws:iam::123456789012:policy/boundary", Prepare: boundary},
	}
}

// importedCertificate brings a certificate of its own, as operations with a CA of their own do.
func importedCertificate(ctx context.Context, t *testing.T, p *platform) map[string]string {
	t.Helper()
	return map[string]string{"certificateArn": *importCertificate(ctx, t, cloud.NewClients(p.Cloud.Config).ACM, "pay.example.org", 2048)}
}

// boundary bounds nothing, so that what the roles may do stays as it is.
func boundary(ctx context.Context, t *testing.T, p *platform) map[string]string {
	t.Helper()
	out := call(ctx, t, cloud.NewClients(p.Cloud.Config).IAM.CreatePolicy, &iam.CreatePolicyInput{
		PolicyName:     aws.String("boundary"),
		PolicyDocument: aws.String(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}`),
	})
	return map[string]string{"permissionsBoundaryArn": aws.ToString(out.Policy.Arn)}
}

func hostedZone(ctx context.Context, t *testing.T, p *platform) map[string]string {
	t.Helper()
	out := call(ctx, t, cloud.NewClients(p.Cloud.Config).Route53.CreateHostedZone, &route53.CreateHostedZoneInput{
		Name: aws.String("example.org"), CallerReference: aws.String(random.UniqueID()),
	})
	return map[string]string{"hostedZoneId": strings.TrimPrefix(aws.ToString(out.HostedZone.Id), "/hostedzone/")}
}

func TestEveryKeyOfTheConfigurationIsInTheTableOfChanges(t *testing.T) {
	left := map[string]string{}
	for _, key := range lib.ConfigKeys() {
		left[key.Name] = key.Default
	}
	for _, c := range changes() {
		cfg, err := lib.ParseConfig(merged(defaults(target.Options{}, "dev", "").Config, c.values()))
		require.NoError(t, err, "%s=%s", c.Key, c.Value)
		require.NotEqual(t, left[c.Key], c.Value, "%s is the default: nothing changes", c.Key)
		require.Equal(t, c.Value, cfg.Values()[c.Key])
		for key := range c.values() {
			delete(left, key)
		}
	}
	require.Empty(t, left, "keys whose change nobody has tried: add a row to changes")
}

func merged(all ...map[string]string) map[string]string {
	together := map[string]string{}
	for _, values := range all {
		maps.Copy(together, values)
	}
	return together
}

// TestUpdates changes every key of the configuration of a deployed stack, there and back: it finishes, nothing is replaced
// but what the table lists, the specification holds but for what is switched off, and a second preview is empty. What is
// refused is refused before the first resource. Changes that go together are made together. UPDATES=<regexp over keys> makes
// some, UPDATES_ALONE=1 each by itself; with OFFICIAL=1 the official provider does it all.
func TestUpdates(t *testing.T) {
	ends, set := t.Deadline()
	if !set {
		ends = time.Now().Add(deadline)
	}
	ctx, cancel := context.WithDeadline(context.Background(), ends.Add(-cleanUpTime)) // leaves time to clean up
	defer cancel()
	p := openPlatform(ctx, t, target.Options{Name: target.Local}, "up-"+strings.ToLower(random.UniqueID()), t.TempDir())
	if official() {
		p.underOfficial(ctx, t)
	}
	_, err := p.Stack.Up(ctx)
	require.NoError(t, err)
	if official() {
		p.noteUntold(ctx, t)
	}
	off := p.switchedOff(ctx, t)
	before := p.options.Config

	only := regexp.MustCompile(lookup("UPDATES"))
	chosen := slices.DeleteFunc(changes(), func(c change) bool { return !only.MatchString(c.Key) })
	isRefused := func(c change) bool { return c.Refused != "" }
	for _, c := range chosen {
		if isRefused(c) {
			p.options.Config = merged(before, c.values())
			p.refuses(ctx, t, c.Refused)
		}
	}
	p.options.Config = maps.Clone(before)
	p.change(ctx, t, change{}) // taken back, it is as if nothing had been

	for _, round := range together(before, slices.DeleteFunc(chosen, isRefused)) {
		values, names := map[string]string{}, []string{}
		expected := change{}
		for _, c := range round {
			maps.Copy(values, c.values())
			if c.Prepare != nil {
				maps.Copy(values, c.Prepare(ctx, t, p))
			}
			names = append(names, c.Key+"="+c.Value)
			expected.Replaced = append(expected.Replaced, c.Replaced...)
			expected.Comes, expected.Goes = append(expected.Comes, c.Comes...), append(expected.Goes, c.Goes...)
			expected.Off, expected.On = append(expected.Off, c.Off...), append(expected.On, c.On...)
		}
		began := time.Now()
		p.options.Config = merged(before, values)
		t.Logf("there: %s", strings.Join(names, " "))
		p.change(ctx, t, expected)
		assert.Equal(t, sorted(slices.DeleteFunc(slices.Concat(off, expected.Off), func(id string) bool { return slices.Contains(expected.On, id) })),
			p.switchedOff(ctx, t), "the checks that are switched off")
		t.Log("and back")
		p.options.Config = maps.Clone(before)
		expected.Comes, expected.Goes = expected.Goes, expected.Comes
		p.change(ctx, t, expected)
		assert.Equal(t, off, p.switchedOff(ctx, t), "the checks that are switched off")
		t.Logf("%d changes there and back in %s", len(round), time.Since(began).Round(100*time.Millisecond))
	}
	p.destroy(t)
}

// official says whether the official provider is to deploy.
func official() bool { return lookup("OFFICIAL") != "" }

// underOfficial has the official provider, where this machine has it, deploy the stack from now on.
func (p *platform) underOfficial(ctx context.Context, t *testing.T) {
	t.Helper()
	binary := bridge.Prepare(t)
	server, err := bridge.Forward(p.Cloud.Endpoint, nil)
	require.NoError(t, err)
	t.Cleanup(server.Close)
	env := maps.Clone(p.Cloud.Env())
	env["AWS_ENDPOINT_URL"] = server.URL
	p.options.Provider = binary.Plugin(env)
	p.reopen(ctx, t, nil)
}

// noteUntold notes what the emulator does not tell, and the official provider would set again.
func (p *platform) noteUntold(ctx context.Context, t *testing.T) {
	t.Helper()
	for _, look := range []func(context.Context) (lifecycle.Result, error){p.Refresh, p.Preview} {
		again, err := look(ctx)
		require.NoError(t, err)
		for _, s := range again.Changed {
			p.untold[s.URN] = append(p.untold[s.URN], s.Properties...)
		}
		t.Logf("what the emulator does not tell, and the official provider would set again at %s: %v", again.Operation, steps(again))
	}
}

// told is what a result changes but for what the emulator does not tell.
func (p *platform) told(result lifecycle.Result) []lifecycle.Step {
	return slices.DeleteFunc(slices.Clone(result.Changed), func(s lifecycle.Step) bool {
		untold, known := p.untold[s.URN]
		return known && !slices.ContainsFunc(s.Properties, func(property string) bool { return !slices.Contains(untold, property) })
	})
}

// together packs changes that set different keys, and are legal all at once, into rounds, first fit.
func together(before map[string]string, all []change) [][]change {
	var rounds [][]change
	var taken []map[string]string
	for _, c := range all {
		i := slices.IndexFunc(taken, func(values map[string]string) bool {
			for key := range c.values() {
				if _, set := values[key]; set {
					return false
				}
			}
			_, err := lib.ParseConfig(merged(before, values, c.values()))
			return err == nil && lookup("UPDATES_ALONE") == ""
		})
		if i < 0 {
			rounds, taken = append(rounds, nil), append(taken, map[string]string{})
			i = len(rounds) - 1
		}
		rounds[i] = append(rounds[i], c)
		maps.Copy(taken[i], c.values())
	}
	return rounds
}

// change deploys the configuration and holds the plan to what is expected of it.
func (p *platform) change(ctx context.Context, t *testing.T, expected change) {
	t.Helper()
	p.reopen(ctx, t, nil)
	planned, err := p.Preview(ctx)
	require.NoError(t, err, "preview")
	replaced, comes, goes := touched(planned, "replace"), touched(planned, "create"), touched(planned, "delete")
	assert.Subset(t, expected.Replaced, replaced, "what is replaced")
	assert.Equal(t, sorted(expected.Comes), comes, "what comes")
	assert.Equal(t, sorted(expected.Goes), goes, "what goes")
	done, err := p.Up(ctx, planned)
	require.NoError(t, err, "up")
	t.Logf("%s in %s", done, done.Duration.Round(100*time.Millisecond))
	for _, op := range []string{"replace", "delete"} {
		assert.Subset(t, touched(planned, op), touched(done, op), "an up does %s only what its preview has told", op)
	}
	again, err := p.Preview(ctx)
	require.NoError(t, err, "second preview")
	again.Changed = p.told(again)
	assert.Empty(t, steps(again), "a second preview")
}

// refuses holds that neither a preview nor an up goes as far as the first resource.
func (p *platform) refuses(ctx context.Context, t *testing.T, reason string) {
	t.Helper()
	p.reopen(ctx, t, nil)
	before, err := p.Stack.State(ctx)
	require.NoError(t, err)
	for _, operation := range []func(context.Context) (lifecycle.Result, error){p.Stack.Preview, p.Stack.Up} {
		done, err := operation(ctx)
		require.ErrorContains(t, err, reason)
		require.Empty(t, slices.DeleteFunc(done.Changed, func(s lifecycle.Step) bool { return s.Type == "pulumi:providers:aws" }))
	}
	after, err := p.Stack.State(ctx)
	require.NoError(t, err)
	require.Equal(t, before, after)
}

// toldInPart are the checks of what moto tells of a service only once an update has given it. The official provider gives what
// has changed and no more, and the other properties then look as if they had never been set.
var toldInPart = []string{
	"application.circuit-breaker", "application.rolling-update", "application.zone-rebalancing", "application.managed-tags",
}

// switchedOff are the checks that the configuration switches off. None may fail.
func (p *platform) switchedOff(ctx context.Context, t *testing.T) []string {
	t.Helper()
	report, err := p.Verify(ctx, true)
	require.NoError(t, err)
	off := []string{}
	for _, r := range report.Results {
		switch r.Status {
		case verify.Failed:
			if official() && slices.Contains(toldInPart, r.ID) {
				t.Logf("%s: %s", r.ID, r.Reason)
				continue
			}
			assert.Fail(t, r.ID+": "+r.Reason, r.Says)
		case verify.SwitchedOff:
			off = append(off, r.ID)
		}
	}
	t.Log(report.Counts)
	return sorted(off)
}

// touched are the logical names of the resources that the plan has a step of this kind for.
func touched(plan lifecycle.Result, op string) []string {
	var all []string
	for _, step := range plan.Changed {
		if step.Op == op {
			all = append(all, step.Name)
		}
	}
	return sorted(all)
}

func sorted(list []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(append([]string{}, list...))))
}
