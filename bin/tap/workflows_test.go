package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tapstack/tests/workflows"
)

// runnerVariables are what the workflows set where they call tap.
var runnerVariables = map[string]string{
	"ENVIRONMENT_SUFFIX": "nightly7", "TAPSTACK_ALLOWED_ACCOUNTS": "123456789012", "TAP_ACCOUNT": "123456789012", "TAP_ALERT_EMAIL": "ops@example.com",
	"PAYMENT_API_IMAGE":   "123456789012.dkr.ecr.us-east-1.amazonaws.com/tapstack-services@sha256:" + strings.Repeat("0", 64),
	"JOB_PROCESSOR_IMAGE": "123456789012.dkr.ecr.us-east-1.amazonaws.com/tapstack-services@sha256:" + strings.Repeat("1", 64),
}

// onBareRunner takes away all that tap would need to do anything: a right command line fails, and a wrong one is told to
// be wrong before that.
func onBareRunner(t *testing.T) {
	t.Helper()
	home := t.TempDir()
	t.Chdir(home)
	for name, value := range map[string]string{
		"HOME": home, "XDG_STATE_HOME": home, "XDG_CACHE_HOME": home, "TAPSTACK_CACHE": home, "PATH": home, "CI": "", "AWS_PROFILE": "",
		"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1",
	} {
		t.Setenv(name, value)
	}
	for name, value := range runnerVariables {
		t.Setenv(name, value)
	}
}

// misuses are what tap finds wrong in its calls, by where they stand.
func misuses(t *testing.T, changed map[string]string) map[string]string {
	t.Helper()
	set, err := workflows.Read(os.DirFS("../.."), changed)
	require.NoError(t, err)
	onBareRunner(t)
	found := map[string]string{}
	kept := map[string][]string{}
	met := map[string]bool{}
	for _, call := range set.Calls() {
		met[call.Args[0]] = true
		if !concerned(call, changed) {
			continue
		}
		args := make([]string, 0, len(call.Args))
		for _, arg := range call.Args {
			args = append(args, os.Expand(arg, func(name string) string {
				require.Contains(t, runnerVariables, name, "%s: tap is given $%s", call.Where, name)
				return runnerVariables[name]
			}))
		}
		// A second up knows the configuration of the first.
		job, _, _ := strings.Cut(call.Where, ":")
		if args[0] == "up" {
			args = append(args, kept[job]...)
			kept[job] = flagsNamed("--config", args)
		}
		code, _, stderr := tapAnyhow(t.TempDir(), args...)
		if code == exitUsage {
			found[call.Where] = stderr
		}
	}
	for _, command := range []string{"up", "verify", "destroy", "sweep", "cost"} {
		require.Contains(t, met, command, "no workflow calls tap %s: is the search for calls broken?", command)
	}
	return found
}

// concerned leaves out the calls of files that are as they were.
func concerned(call workflows.Call, changed map[string]string) bool {
	if len(changed) == 0 {
		return true
	}
	for file := range changed {
		if strings.HasPrefix(call.Where, filepath.Base(file)+"/") {
			return true
		}
	}
	return false
}

func flagsNamed(name string, args []string) []string {
	var flags []string
	for index, arg := range args[:len(args)-1] {
		if arg == name {
			flags = append(flags, name, args[index+1])
		}
	}
	return flags
}

func TestTapUnderstandsWhatTheWorkflowsTellIt(t *testing.T) {
	require.Empty(t, misuses(t, nil))
}

func TestWrongUseOfTapInAWorkflowIsFound(t *testing.T) {
	const nightly, cleanUp, sweep = ".github/workflows/nightly.yml", ".github/workflows/clean-up.yml", ".github/workflows/sweep.yml"
	for _, c := range []struct{ file, old, new, want string }{
		{nightly, "--ttl 6h", "--time-to-live 6h", "unknown flag: --time-to-live"},
		{nightly, "--ttl 6h", "--ttl long", "invalid argument"},
		{nightly, "--report reports/deployed", "reports/deployed", "unknown command"},
		{nightly, "apiTimeoutSeconds=25", "apiTimeoutSeconds=0", "apiTimeoutSeconds"},
		{nightly, "up --target aws --yes --no-progress --config", "up --target aws --no-progress --config", "agree with --yes"},
		{nightly, "--config alertEmail", "--config alertMail", "alertMail"},
		{cleanUp, "--unlock", "--force", "unknown flag: --force"},
		{cleanUp, "--ignore-expiry", "--config waf=true", "--config is for"},
		{sweep, "--older-than 24h", "--older-than soon", "invalid argument"},
	} {
		t.Run(c.new, func(t *testing.T) {
			content, err := os.ReadFile("../../" + c.file)
			require.NoError(t, err)
			require.Contains(t, string(content), c.old, c.file)
			found := misuses(t, map[string]string{c.file: strings.Replace(string(content), c.old, c.new, 1)})
			require.Contains(t, strings.Join(collect(found), "\n"), c.want)
		})
	}
}

func TestDestroyOfAStackThatIsGoneMaySucceed(t *testing.T) {
	stdout, _ := tap(t, exitFine, "destroy", "--suffix", "nope", "--if-exists")
	require.Regexp(t, `^There is no stack nope: nothing is to be destroyed\. .* sweep --target local --suffix nope`, stdout)
	stdout, _ = tap(t, exitFine, "destroy", "--suffix", "nope", "--if-exists", "--output", "json")
	require.JSONEq(t, `{"changes": {}, "left": []}`, stdout)
}

func collect(found map[string]string) (texts []string) {
	for text := range maps.Values(found) {
		texts = append(texts, text)
	}
	return texts
}
