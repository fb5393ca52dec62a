package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"tapstack/lib/preflight"
	"tapstack/lib/session"
	"tapstack/lib/target"
)

// realAccount stands in for AWS: it knows who is calling and one zone, and allows nothing else.
type realAccount struct {
	mutex sync.Mutex
	asked []string
}

func (r *realAccount) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	content, _ := io.ReadAll(request.Body)
	form, _ := url.ParseQuery(string(content))
	call := form.Get("Action")
	if call == "" {
		_, call, _ = strings.Cut(request.Header.Get("X-Amz-Target"), ".")
	}
	if call == "" {
		call = request.Method
	}
	r.mutex.Lock()
	r.asked = append(r.asked, call)
	r.mutex.Unlock()
	switch call {
	case "GetCallerIdentity":
		_, _ = io.WriteString(w, `<GetCallerIdentityResponse><GetCallerIdentityResult><Account>123456789012</Account>`+
			`<Arn>arn:aws:iam::123456789012:user/someone</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>`)
	case "DescribeAvailabilityZones":
		_, _ = io.WriteString(w, `<DescribeAvailabilityZonesResponse><availabilityZoneInfo><item><zoneName>us-east-1a</zoneName>`+
			`<zoneId>use1-az1</zoneId></item></availabilityZoneInfo></DescribeAvailabilityZonesResponse>`)
	default:
		w.Header().Set("X-Amzn-ErrorType", "AccessDeniedException")
		w.WriteHeader(http.StatusForbidden)
	}
}

// inRealAccount makes target aws of this process a stand-in.
func inRealAccount(t *testing.T) *realAccount {
	t.Helper()
	account := &realAccount{}
	server := httptest.NewServer(account)
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_ACCESS_KEY_ID": "AKIDTHEKEY", "AWS_SECRET_ACCESS_KEY": "thesecret", "AWS_SESSION_TOKEN": "",
		"AWS_PROFILE": "", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_REGION": target.Region,
	} {
		t.Setenv(name, value)
	}
	return account
}

// whole is a configuration for aws, without its allowed accounts. No registry has these images: the name cannot exist.
var whole = []string{
	"--config", "paymentApiImage=registry.invalid/payment-api:1.0.0", "--config", "jobProcessorImage=registry.invalid/job-processor:1.0.0",
	"--config", "alertEmail=ops@example.com",
}

func TestARealAccountIsChangedOnlyWithConsent(t *testing.T) {
	const want = "destroy changes a real AWS account and costs money: agree with --yes"
	for _, c := range []struct {
		ci   string
		args []string
		code int
	}{
		{"", nil, exitUsage},
		{"false", nil, exitUsage},
		{"1", nil, exitUsage},
		{"true", nil, exitFailed}, // there is no such stack
		{"", []string{"--yes"}, exitFailed},
	} {
		t.Setenv("CI", c.ci)
		_, stderr := tap(t, c.code, append([]string{"destroy", "--target", "aws", "--suffix", "nope"}, c.args...)...)
		require.Equal(t, c.code == exitUsage, strings.Contains(stderr, want), stderr)
	}
}

func TestOnlyAnAllowedAccountIsChanged(t *testing.T) {
	account := inRealAccount(t)
	for name, c := range map[string]struct {
		variable string
		args     []string
		want     string
	}{
		"no list":            {"", nil, "no account is allowed, and the credentials are those of 123456789012"},
		"another account":    {"210987654321", nil, "the credentials are those of account 123456789012, and only 210987654321 may be deployed to"},
		"configured instead": {"123456789012", []string{"--config", "allowedAccountIds=210987654321"}, "and only 210987654321 may be deployed to"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(session.AllowedVariable, c.variable)
			account.asked = nil
			args := append([]string{"up", "--target", "aws", "--suffix", "guarded", "--yes", "--no-progress"}, whole...)
			stdout, stderr := tap(t, exitFailed, append(args, c.args...)...)
			require.Empty(t, stdout)
			require.Contains(t, stderr, c.want)
			require.Contains(t, stderr, "--config allowedAccountIds=…, which the stack remembers, or in $TAPSTACK_ALLOWED_ACCOUNTS")
			for _, call := range account.asked {
				require.Equal(t, "GetCallerIdentity", call, "nothing else is asked before that is settled")
			}
		})
	}
	t.Setenv(session.AllowedVariable, "12345")
	_, stderr := tap(t, exitUsage, append([]string{"up", "--target", "aws", "--yes"}, whole...)...)
	require.Contains(t, stderr, `allowedAccountIds: "12345" is not legal`)
}

func TestADeploymentToARealAccountStopsOnEveryProblemAtOnce(t *testing.T) {
	account := inRealAccount(t)
	t.Setenv(session.AllowedVariable, "123456789012")
	for _, command := range []string{"up", "demo"} {
		account.asked = nil
		stateDir := t.TempDir()
		stdout, stderr := tapIn(t, stateDir, exitFailed, append([]string{command, "--target", "aws", "--suffix", "ahead", "--yes", "--no-progress"}, whole...)...)
		told := stdout + stderr
		require.Contains(t, told, "nothing was made")
		require.Contains(t, told, "availability zones: us-east-1 offers 1 of the 3 usable zones that are needed")
		require.Contains(t, told, "unknown: quota of Elastic IPs: could not be read: Service Quotas GetServiceQuota")
		for _, call := range account.asked {
			require.NotRegexp(t, `^(Create|Run|Put|Register|Allocate|Import|Request|Modify|Delete|POST|PUT|DELETE)`, call)
		}
		require.NoDirExists(t, filepath.Join(stateDir, "aws", "ahead", "backend", ".pulumi", "stacks"))
	}
}

func TestPreflightTellsWhatItFindsAndExitsWith1OnProblems(t *testing.T) {
	inRealAccount(t)
	t.Setenv(session.AllowedVariable, "")
	args := append([]string{"preflight", "--target", "aws", "--suffix", "ahead", "--no-progress"}, whole...)
	stdout, stderr := tap(t, exitFailed, args...)
	require.Regexp(t, `(?m)^credentials +ok +account 123456789012, as arn:aws:iam::123456789012:user/someone$`, stdout)
	require.Regexp(t, `(?m)^allowed accounts +problem +no account is allowed`, stdout)
	require.Regexp(t, `(?m)^availability zones +problem +us-east-1 offers 1 of the 3 usable zones`, stdout)
	require.Regexp(t, `(?m)^Account 123456789012, us-east-1: .* problems, .* unknown\.$`, stdout)
	for _, secret := range []string{"AKIDTHEKEY", "thesecret"} {
		require.NotContains(t, stdout+stderr, secret)
	}

	stdout, _ = tap(t, exitFailed, append(args, "--region", "eu-west-1", "--output", "json")...)
	var report preflight.Report
	require.NoError(t, json.Unmarshal([]byte(stdout), &report))
	require.Equal(t, "eu-west-1", report.Region)
	require.Error(t, report.Err())
}

func TestTheRegionIsTheBriefsUnlessToldOtherwise(t *testing.T) {
	for name, c := range map[string]struct {
		variables map[string]string
		args      []string
		region    string
		tells     bool
	}{
		"nothing said":     {nil, nil, "us-east-1", false},
		"by flag":          {map[string]string{"AWS_REGION": "eu-west-1"}, []string{"--region", "eu-north-1"}, "eu-north-1", true},
		"by variable":      {map[string]string{"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}, nil, "eu-west-1", true},
		"by the other one": {map[string]string{"AWS_DEFAULT_REGION": "eu-west-2"}, nil, "eu-west-2", true},
		"the same, said":   {nil, []string{"--region", "us-east-1"}, "us-east-1", false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, variable := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
				t.Setenv(variable, c.variables[variable])
			}
			root := t.TempDir()
			o := &options{target: target.AWS, suffix: "prod", output: outputText, stateDir: root}
			if len(c.args) > 0 {
				o.region = c.args[1]
			}
			r, err := o.request(t.Context(), "outputs", needs{})
			require.NoError(t, err)
			require.Equal(t, c.region, r.Target.Place())
			require.Equal(t, c.region, r.Target.Env()["AWS_REGION"], "the engine goes there")
			require.Equal(t, filepath.Join(root, "aws"), r.Location.Home)
			require.Equal(t, c.tells, strings.Contains(r.tell("destroy"), "--region "+c.region))
		})
	}
	t.Setenv("AWS_REGION", "eu-west-1")
	o := &options{target: target.Local, suffix: "dev", output: outputText, stateDir: t.TempDir()}
	r, err := o.request(t.Context(), "outputs", needs{})
	require.NoError(t, err)
	require.Equal(t, target.Region, r.Target.Place(), "an emulator is no place")
	_, stderr := tap(t, exitUsage, "up", "--region", "eu-west-1")
	require.Contains(t, stderr, "--region is for target aws: target local is in us-east-1")
}

func TestAStackStaysInTheRegionThatItWasDeployedIn(t *testing.T) {
	inRealAccount(t)
	root := t.TempDir()
	project := filepath.Join(root, "aws", "prod", "project")
	require.NoError(t, os.MkdirAll(project, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(project, "Pulumi.prod.yaml"), []byte("config:\n  aws:region: eu-north-1\n"), 0o600))

	for _, variable := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		t.Setenv(variable, "")
	}
	o := &options{target: target.AWS, suffix: "prod", output: outputText, stateDir: root}
	r, err := o.request(t.Context(), "outputs", needs{})
	require.NoError(t, err)
	require.Equal(t, "eu-north-1", r.Target.Place(), "a shell that says nothing finds the stack where it is")

	const refused = "stack prod is in region eu-north-1, and %s is asked for: say --region eu-north-1, or take another --suffix for a stack in %[1]s\n"
	for _, command := range [][]string{{"preview", "--config", "alertEmail=a@example.com"}, {"outputs"}, {"verify"}, {"destroy", "--yes"}} {
		args := append(command, "--target", "aws", "--suffix", "prod")
		if command[0] == "preview" {
			args = append(args, "--config", "paymentApiImage=a:1", "--config", "jobProcessorImage=a:1")
		}
		_, stderr := tapIn(t, root, exitUsage, append(args, "--region", "us-east-1")...)
		require.Equal(t, fmt.Sprintf(refused, "us-east-1"), stderr)
		t.Setenv("AWS_REGION", "eu-central-1")
		_, stderr = tapIn(t, root, exitUsage, args...)
		require.Equal(t, fmt.Sprintf(refused, "eu-central-1"), stderr)
	}
	t.Setenv("AWS_REGION", "eu-central-1")
	o.region = "eu-north-1"
	_, err = o.request(t.Context(), "destroy", needs{})
	require.NoError(t, err, "the flag wins over the shell")
	o.region = ""
	_, err = o.request(t.Context(), "sweep", needs{region: true})
	require.NoError(t, err, "a sweep is of a region, not of a stack")
}

// withPlugins makes a cache folder that has the official plugins.
func withPlugins(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TAPSTACK_CACHE", dir)
	plugins, err := session.LookForPlugins(t.Context())
	require.NoError(t, err)
	for _, plugin := range plugins {
		require.NoError(t, os.MkdirAll(plugin.Dir, 0o700))
	}
}

func findingsOf(t *testing.T, stdout string) map[string]finding {
	t.Helper()
	var list []finding
	require.NoError(t, json.Unmarshal([]byte(stdout), &list), stdout)
	found := map[string]finding{}
	for _, it := range list {
		found[it.What] = it
	}
	return found
}

func TestTheDoctorSaysWhatARealAccountLacks(t *testing.T) {
	inRealAccount(t)
	withPlugins(t)
	t.Setenv(session.AllowedVariable, "123456789012")
	_, stdout, stderr := tapAnyhow(t.TempDir(), "doctor", "--target", "aws", "--output", "json")
	found := findingsOf(t, stdout)
	for _, what := range []string{"plugin aws", "plugin random", "credentials", "account", "allowed accounts", "target aws"} {
		require.Equal(t, statusOK, found[what].Status, "%s: %+v", what, found[what])
	}
	require.Equal(t, "found (EnvConfigCredentials)", found["credentials"].Detail)
	require.Contains(t, found["account"].Detail, "account 123456789012")
	require.Equal(t, "us-east-1", found["target aws"].Detail)
	for _, secret := range []string{"AKIDTHEKEY", "thesecret"} {
		require.NotContains(t, stdout+stderr, secret)
	}

	t.Setenv(session.AllowedVariable, "")
	stdout, _ = tap(t, exitFailed, "doctor", "--target", "aws", "--output", "json")
	found = findingsOf(t, stdout)
	require.Equal(t, statusMissing, found["allowed accounts"].Status)
	require.Contains(t, found["allowed accounts"].Advice, "$TAPSTACK_ALLOWED_ACCOUNTS")

	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	stdout, stderr = tap(t, exitFailed, "doctor", "--target", "aws", "--output", "json")
	require.Empty(t, stderr)
	found = findingsOf(t, stdout)
	require.Equal(t, missing("credentials", "none found", "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or log in (aws sso login)."), found["credentials"])
}

func TestTheDoctorExplainsEveryTarget(t *testing.T) {
	inRealAccount(t)
	withPlugins(t)
	t.Setenv(session.AllowedVariable, "123456789012")
	t.Setenv("LOCALSTACK_AUTH_TOKEN", "thetoken")
	t.Setenv("LOCALSTACK_ENDPOINT", "http://127.0.0.1:1")
	stdout, stderr := tap(t, exitFine, "doctor")
	require.Regexp(t, `(?m)^target local +can run +is started when it is needed$`, stdout)
	require.Regexp(t, `(?m)^target localstack +cannot run +target localstack: no LocalStack answers at http://127\.0\.0\.1:1`, stdout)
	require.Regexp(t, `(?m)^  Start it, or leave out --endpoint and LOCALSTACK_ENDPOINT\.$`, stdout)
	require.Regexp(t, `(?m)^target endpoint +cannot run +target endpoint: no --endpoint is given$`, stdout)
	require.Regexp(t, `(?m)^target aws +can`, stdout)
	require.NotContains(t, stdout+stderr, "thetoken")

	stdout, _ = tap(t, exitFine, "doctor", "--output", "json")
	var told struct {
		Machine []finding
		Targets []verdict
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &told), stdout)
	require.NotEmpty(t, told.Machine)
	var names []string
	for _, it := range told.Targets {
		names = append(names, it.Target)
		require.Equal(t, !it.CanRun, len(it.Advice) > 0, "%+v", it)
	}
	require.Equal(t, target.Names(), names)

	stdout, _ = tap(t, exitFailed, "doctor", "--target", "localstack", "--output", "json")
	require.Equal(t, found("LOCALSTACK_AUTH_TOKEN", "set"), findingsOf(t, stdout)["LOCALSTACK_AUTH_TOKEN"])

	stdout, _ = tap(t, exitFailed, "doctor", "--target", "endpoint", "--endpoint", "http://127.0.0.1:1", "--output", "json")
	require.Contains(t, findingsOf(t, stdout)["target endpoint"].Detail, "nothing answers at http://127.0.0.1:1")
}

func TestNoTargetRunsOnAMachineWithoutPulumiAndGo(t *testing.T) {
	inRealAccount(t)
	t.Setenv("PATH", t.TempDir())
	t.Setenv("TAPSTACK_CACHE", t.TempDir())
	stdout, _ := tap(t, exitFailed, "doctor")
	for _, name := range target.Names() {
		require.Regexp(t, `(?m)^target `+name+` +cannot run +pulumi: `, stdout)
	}
}
