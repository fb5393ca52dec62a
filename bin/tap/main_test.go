package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tapstack/lib"
	"tapstack/lib/inventory"
	"tapstack/lib/lifecycle"
	"tapstack/lib/process/processtest"
	"tapstack/lib/session"
	"tapstack/lib/sweep"
)

// toolVariable turns the test binary into tap itself, for tests that need a process.
const toolVariable = "TAP_TEST_IS_TAP"

func TestMain(m *testing.M) {
	if os.Getenv(toolVariable) != "" {
		main()
	}
	for _, name := range []string{
		"ENVIRONMENT_SUFFIX", backendVariable, secretsVariable, session.AllowedVariable, ciVariable,
		"LOCALSTACK_ENDPOINT", "LOCALSTACK_IMAGE",
	} {
		_ = os.Unsetenv(name)
	}
	// What a command that is run in this process starts of itself is tap, too.
	_ = os.Setenv(toolVariable, "1")
	// A shell that is somewhere else than any stack of the tests.
	for name, region := range map[string]string{"AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": "eu-west-3"} {
		_ = os.Setenv(name, region)
	}
	os.Exit(m.Run())
}

// tap runs the command line with a state folder of the test's own, and expects an exit code.
func tap(t *testing.T, exit int, args ...string) (stdout, stderr string) {
	t.Helper()
	return tapIn(t, t.TempDir(), exit, args...)
}

func tapIn(t *testing.T, stateDir string, exit int, args ...string) (stdout, stderr string) {
	t.Helper()
	code, stdout, stderr := tapAnyhow(stateDir, args...)
	require.Equal(t, exit, code, "tap %v\n%s%s", args, stdout, stderr)
	return stdout, stderr
}

// tapAnyhow leaves the exit code to the test.
func tapAnyhow(stateDir string, args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(append(args, "--state-dir", stateDir), &out, &err)
	return code, out.String(), err.String()
}

func TestWrongUseIsToldBeforeAnythingStartsAndExitsWith2(t *testing.T) {
	cases := []struct {
		name string
		args []string
		want []string // each on a line of its own
	}{
		{"unknown command", []string{"launch"}, []string{`unknown command "launch" for "tap"`}},
		{"unknown flag", []string{"demo", "--sufix", "dev"}, []string{"unknown flag: --sufix"}},
		{"an argument too many", []string{"demo", "now"}, []string{`unknown command "now" for "tap demo"`}},
		{"unknown target", []string{"demo", "--target", "moon"}, []string{`unknown target "moon": choose one of local, localstack, endpoint, aws`}},
		{"unknown output", []string{"outputs", "--output", "xml"}, []string{`unknown --output "xml": choose text or json`}},
		{"unknown provider", []string{"up", "--provider", "mine"}, []string{`unknown --provider "mine": choose local or official`}},
		{"endpoint without URL", []string{"up", "--target", "endpoint"}, []string{"target endpoint needs --endpoint URL"}},
		{"AWS without consent", []string{"destroy", "--target", "aws"}, []string{"destroy changes a real AWS account and costs money: agree with --yes"}},
		{
			"AWS with the local provider",
			[]string{"preview", "--target", "aws", "--provider", "local"},
			[]string{"--provider local is for emulators: target aws always uses the official provider"},
		},
		{"a report of nothing", []string{"verify", "--list", "--report", "reports"}, []string{"if any flags in the group [list report] are set none of the others can be; [list report] were all set"}},
		{"a list that acts", []string{"verify", "--list", "--act"}, []string{"[act list] were all set"}},
		{"acting on a real account without consent", []string{"verify", "--target", "aws", "--act"}, []string{"agree with --yes"}},
		{"a report to nowhere", []string{"verify", "--report", ""}, []string{`invalid argument "" for "--report" flag: name a folder`}},
		{"no key", []string{"up", "--config", "dev"}, []string{`--config "dev" is not key=value`}},
		{"a time to live that is over", []string{"up", "--ttl", "-1h"}, []string{"--ttl -1h0m0s lies in the past"}},
		{"a time to live of what is not deployed", []string{"destroy", "--ttl", "1h"}, []string{"--ttl is for demo, preview, up and recover: destroy does not deploy"}},
		{"a key twice", []string{"up", "--config", "waf=true", "--config", "waf=false"}, []string{"--config waf is given twice"}},
		{"the suffix as a key", []string{"up", "--config", "environmentSuffix=x"}, []string{"environmentSuffix is set with --suffix"}},
		{"what is allowed once as a key", []string{"up", "--config", "allowReplace=vpc"}, []string{"allowReplace is set with --allow-replace"}},
		{"something else than a name that is allowed", []string{"up", "--allow-replace", "aws:ec2/vpc:Vpc"}, []string{`allowReplace: "aws:ec2/vpc:Vpc" is not legal`}},
		{"an allowance where nothing is deployed", []string{"destroy", "--allow-replace", "vpc"}, []string{"unknown flag: --allow-replace"}},
		{"configuration where none is used", []string{"verify", "--config", "waf=true"}, []string{"--config is for demo, preview, cost, up and recover: verify does not run the program"}},
		{
			"several flags at once",
			[]string{"demo", "--target", "moon", "--output", "xml"},
			[]string{`unknown target "moon"`, `unknown --output "xml"`},
		},
		{
			"every illegal value at once, each with its key",
			[]string{"demo", "--config", "vpcCidr=10.0.0.0/33", "--config", "dbBackupRetentionDays=99", "--config", "alertEmail=nobody", "--config", "colour=red"},
			[]string{"vpcCidr", "dbBackupRetentionDays", "alertEmail", "colour"},
		},
		{
			"an illegal suffix together with the rest of the configuration",
			[]string{"demo", "--suffix", "Bad_", "--config", "vpcCidr=1.2.3.4/8", "--config", "colour=red"},
			[]string{"environmentSuffix", "vpcCidr", "colour"},
		},
		{"a suffix that AWS would refuse", []string{"destroy", "--suffix", "../../etc"}, []string{"environmentSuffix"}},
		{"a suffix with a space, where the program runs", []string{"up", "--suffix", "dev "}, []string{`environmentSuffix: "dev " is not legal`}},
		{"a suffix with a space, where it does not", []string{"destroy", "--suffix", "dev "}, []string{`environmentSuffix: "dev " is not legal`}},
		{
			"AWS without the keys that have no default",
			[]string{"preview", "--target", "aws"},
			[]string{"paymentApiImage", "jobProcessorImage", "alertEmail"},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			stateDir := filepath.Join(t.TempDir(), "never-made")
			stdout, stderr := tapIn(t, stateDir, exitUsage, c.args...)
			require.Empty(t, stdout)
			for _, want := range c.want {
				require.Contains(t, stderr, want)
			}
			require.Len(t, strings.Split(strings.TrimSpace(stderr), "\n"), len(c.want), "one line each:\n%s", stderr)
			require.NoDirExists(t, stateDir)
		})
	}
}

func TestAStackThatDoesNotExistGivesOneClearLine(t *testing.T) {
	for _, command := range []string{"verify", "outputs", "refresh", "destroy"} {
		stdout, stderr := tap(t, exitFailed, command, "--suffix", "nope")
		require.Empty(t, stdout)
		require.Regexp(t, `^stack nope does not exist on target local: .* up --target local --suffix nope .* creates it\n$`, stderr)
	}
}

func TestWhoeverStopsACommandBeforeItBeginsIsToldHowToGoOn(t *testing.T) {
	r := &request{Options: session.Options{Changes: true, Command: "tap destroy"}, rerun: []string{"--suffix", "dev"}}
	require.Regexp(t, `^interrupted before anything was changed\nGo on with: .+ destroy --suffix dev$`, r.explain(lifecycle.ErrInterrupted).Error())
	r.Changes = false
	require.ErrorIs(t, r.explain(lifecycle.ErrInterrupted), lifecycle.ErrInterrupted)
}

func TestABusyPortGivesOneClearLine(t *testing.T) {
	processtest.SkipIfShort(t)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	port := listener.Addr().(*net.TCPAddr).Port
	_, stderr := tap(t, exitFailed, "up", "--no-progress", "--port", fmt.Sprint(port))
	require.Contains(t, stderr, fmt.Sprintf("port %d of 127.0.0.1 is busy", port))
	require.NotContains(t, stderr, "goroutine")
}

func TestAWrongEndpointGivesOneClearLine(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	endpoint := "http://" + listener.Addr().String()
	require.NoError(t, listener.Close())
	stdout, stderr := tap(t, exitFailed, "up", "--target", "endpoint", "--endpoint", endpoint)
	require.Empty(t, stdout)
	require.Contains(t, stderr, "nothing answers at "+endpoint)
}

func TestEveryCommandExplainsItselfWithExamples(t *testing.T) {
	stdout, _ := tap(t, exitFine, "--help")
	require.Contains(t, stdout, "Exit codes: 0 fine; 1 ")
	for _, command := range []string{"demo", "preview", "cost", "up", "verify", "outputs", "refresh", "destroy", "preflight", "doctor", "sweep", "version"} {
		require.Contains(t, stdout, "\n  "+command)
		help, _ := tap(t, exitFine, command, "--help")
		require.Contains(t, help, "Examples:\n  tap "+command)
	}
}

func TestACommandThatChangesAStackInUseTellsByWhomAndTouchesNothing(t *testing.T) {
	stateDir := t.TempDir()
	home := filepath.Join(stateDir, "local")
	lock, err := lifecycle.InFolder(lib.ProjectName, home).Lock(t.Context(), "dev", "tap up", nil)
	require.NoError(t, err)
	t.Cleanup(lock.Release)
	for _, args := range [][]string{{"up"}, {"destroy", "--if-exists"}, {"verify", "--act"}, {"sweep", "--suffix", "dev", "--yes"}} {
		stdout, stderr := tapIn(t, stateDir, exitFailed, append(args, "--no-progress")...)
		require.Empty(t, stdout)
		require.Regexp(t, `stack dev is in use by tap up, process \d+, since .*: wait for it to end, then run the command again; kill -INT \d+ ends it cleanly\n$`, stderr)
	}
	entries, err := os.ReadDir(home)
	require.NoError(t, err)
	require.Len(t, entries, 1, "there is nothing but the stack's folder")
}

// fakeStack leaves the traces of a deployed stack in a state folder, and the record of an emulator that is gone.
func fakeStack(t *testing.T, stateDir, suffix string) string {
	t.Helper()
	home := filepath.Join(stateDir, "local")
	stacks := filepath.Join(home, suffix, "backend", ".pulumi", "stacks", lib.ProjectName)
	require.NoError(t, os.MkdirAll(stacks, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(stacks, suffix+".json"), []byte("{}"), 0o600))
	record := `{"pid":4194000,"port":1,"token":"gone","started":"2026-01-01T00:00:00Z"}`
	require.NoError(t, os.WriteFile(filepath.Join(home, "emulator.json"), []byte(record), 0o600))
	return home
}

func TestAStackWhoseEmulatorIsGoneIsExplainedAndCleared(t *testing.T) {
	stateDir := t.TempDir()
	home := fakeStack(t, stateDir, "old")
	for _, command := range []string{"verify", "refresh", "up"} {
		_, stderr := tapIn(t, stateDir, exitFailed, command, "--suffix", "old")
		require.Contains(t, stderr, "stack old: the local cloud (process 4194000 at http://127.0.0.1:1, started ")
		require.Regexp(t, `clear its state with: .* destroy --target local --suffix old`, stderr)
	}
	_, stderr := tapIn(t, stateDir, exitFailed, "up", "--suffix", "new")
	require.Contains(t, stderr, "stack old lived there: destroy it first")

	stdout, _ := tapIn(t, stateDir, exitFine, "destroy", "--suffix", "old")
	require.Contains(t, stdout, "Its state is cleared.")
	require.NoDirExists(t, filepath.Join(home, "old"))
	require.NoFileExists(t, filepath.Join(home, "emulator.json"))
}

func TestTheDoctorSaysWhatIsMissingAndWhatToDo(t *testing.T) {
	stdout, _ := tap(t, exitFine, "doctor", "--target", "local", "--output", "json")
	var findings []finding
	require.NoError(t, json.Unmarshal([]byte(stdout), &findings))
	var names []string
	for _, it := range findings {
		names = append(names, it.What)
	}
	require.Equal(t, []string{"go", "pulumi", "cache folder", "state folder", "moto", "docker", "postgresql", "target local"}, names)

	t.Setenv("PATH", t.TempDir())
	t.Setenv("TAPSTACK_CACHE", t.TempDir())
	stdout, _ = tap(t, exitFailed, "doctor", "--target", "local")
	require.Regexp(t, `(?m)^moto +missing`, stdout)
	require.Regexp(t, `(?m)^pulumi +missing`, stdout)
	require.Contains(t, stdout, "apt install python3-venv")
}

func TestNothingForeignForgesALineOrSteersTheTerminal(t *testing.T) {
	foreign := "jobs\n::error::forged\x1b[2J\nFine: nothing left\u202e"
	var out bytes.Buffer
	a := &app{stdout: printed(&out), stderr: printed(&out)}
	a.display = newDisplay(&out, true)
	a.display.Note("warning: " + foreign)
	a.say("%s", foreign)
	require.NotContains(t, out.String(), "\n::error", "GitHub obeys no command")
	a.printOutputs(map[string]any{"queueUrl": foreign})
	a.printLeft([]string{foreign})
	a.printFindings([]finding{found("account", foreign)})
	a.printSweep(session.SweepReport{Left: []sweep.Item{{Resource: inventory.Resource{Kind: inventory.Queue, Name: foreign, ARN: foreign}}}}, &sweepFlags{}, "tap sweep")
	for line := range strings.SplitSeq(out.String(), "\n") {
		require.False(t, strings.HasPrefix(strings.TrimSpace(line), "::"), line)
	}
	require.NotContains(t, out.String(), "\x1b")
	require.NotContains(t, out.String(), "\u202e")
	require.Equal(t, 2, strings.Count(out.String(), "\nFine: nothing left"), "the two free texts alone have lines")
}
