// Package workflows runs the scripts of the GitHub workflows as far as that can be done without GitHub and AWS.
package workflows

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tapstack/tests/workflows"
)

const repository = "../../.."

func scripts(t *testing.T) map[string]string {
	t.Helper()
	set, err := workflows.Read(os.DirFS(repository), nil)
	require.NoError(t, err)
	found := map[string]string{}
	for _, script := range set.Scripts() {
		found[script.Where] = script.Text
	}
	return found
}

// machine stands for a runner: a folder with the files that GitHub gives to a step, and programs of the test's own.
type machine struct {
	t   *testing.T
	dir string
}

func newMachine(t *testing.T, programs map[string]string) *machine {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("skipped: no bash on PATH, which runs the scripts of the workflows")
	}
	m := &machine{t, t.TempDir()}
	for _, name := range []string{"summary", "output", "calls"} {
		require.NoError(t, os.WriteFile(filepath.Join(m.dir, name), nil, 0o600))
	}
	require.NoError(t, os.Mkdir(filepath.Join(m.dir, "bin"), 0o700))
	for name, text := range programs {
		require.NoError(t, os.WriteFile(filepath.Join(m.dir, "bin", name), []byte("#!/usr/bin/env bash\n"+text), 0o700))
	}
	return m
}

func (m *machine) file(name string) string {
	content, err := os.ReadFile(filepath.Join(m.dir, name))
	require.NoError(m.t, err)
	return string(content)
}

// run runs a script as GitHub does, with nothing in its environment but what is given.
func (m *machine) run(script string, env ...string) (string, error) {
	m.t.Helper()
	require.NotEmpty(m.t, script)
	path := filepath.Join(m.dir, "script")
	require.NoError(m.t, os.WriteFile(path, []byte(script), 0o600))
	command := exec.CommandContext(m.t.Context(), "bash", "--noprofile", "--norc", "-euo", "pipefail", path)
	command.Dir = m.dir
	command.Env = append(
		env, "PATH="+filepath.Join(m.dir, "bin")+":"+os.Getenv("PATH"), "CALLS="+filepath.Join(m.dir, "calls"),
		"GITHUB_STEP_SUMMARY="+filepath.Join(m.dir, "summary"), "GITHUB_OUTPUT="+filepath.Join(m.dir, "output"),
	)
	output, err := command.CombinedOutput()
	return string(output), err
}

// succeeds runs a script that must not fail.
func (m *machine) succeeds(script string, env ...string) string {
	m.t.Helper()
	output, err := m.run(script, env...)
	require.NoError(m.t, err, output)
	return output
}

func TestEveryScriptIsLegalBash(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("skipped: no bash on PATH, which would read the scripts")
	}
	all := scripts(t)
	require.Greater(t, len(all), 20)
	paths, err := filepath.Glob(repository + "/.ci/*")
	require.NoError(t, err)
	for _, path := range paths {
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		all[path] = string(content)
	}
	for where, text := range all {
		command := exec.CommandContext(t.Context(), bash, "-n")
		command.Stdin = strings.NewReader(text)
		output, err := command.CombinedOutput()
		require.NoError(t, err, "%s: %s", where, output)
	}
}

// github has a gh that writes down how it is called, an argument a line, and knows the issue that $OPEN names.
var github = map[string]string{"gh": `printf '%s\n' "gh" "$@" >> "$CALLS"
if [[ "$1 $2" == "issue list" ]]; then echo "${OPEN:-}"; fi
if [[ "$1 $2" == "${BROKEN:-}" ]]; then echo "HTTP 403" >&2; exit 1; fi
`}

func TestAFailureOpensAnIssueOrCommentsOnTheOpenOne(t *testing.T) {
	script := scripts(t)["tell.yml/tell: Comment on the open issue, or open one"]
	env := []string{
		"LABEL=nightly-failed", "TITLE=The nightly failed", "TEXT=Stack $(touch owned) `touch owned`; \"quoted\"\nsecond line",
		"RUN=https://github.com/o/r/actions/runs/7", "GITHUB_RUN_ATTEMPT=2",
	}
	body := "Stack $(touch owned) `touch owned`; \"quoted\"\nsecond line\n\nRun: https://github.com/o/r/actions/runs/7 (attempt 2)\n"

	t.Run("no issue is open", func(t *testing.T) {
		m := newMachine(t, github)
		m.succeeds(script, env...)
		require.Contains(t, m.file("calls"), "gh\nissue\ncreate\n--title\nThe nightly failed\n--label\nnightly-failed\n--body\n"+body)
		require.NotContains(t, m.file("calls"), "comment")
		require.NoFileExists(t, filepath.Join(m.dir, "owned"))
	})
	t.Run("one is open", func(t *testing.T) {
		m := newMachine(t, github)
		m.succeeds(script, append(env, "OPEN=42")...)
		require.Contains(t, m.file("calls"), "gh\nissue\nlist\n--state\nopen\n--label\nnightly-failed\n")
		require.Contains(t, m.file("calls"), "gh\nissue\ncomment\n42\n--body\n"+body)
		require.NotContains(t, m.file("calls"), "create\n--title")
	})
	t.Run("GitHub refuses", func(t *testing.T) {
		for _, step := range []string{"label create", "issue list", "issue create"} {
			m := newMachine(t, github)
			output, err := m.run(script, append(env, "BROKEN="+step)...)
			require.Error(t, err, "%s fails, and the script goes on: %s", step, output)
		}
	})
}

func TestTheNightlyNamesItsStackAndCanBeSwitchedOff(t *testing.T) {
	script := scripts(t)["nightly.yml/settings: Name the stack"]
	for _, c := range []struct{ event, on, number, want string }{
		{"schedule", "on", "7", "suffix=nightly7\n"},
		{"schedule", "", "7", ""},
		{"schedule", "off", "7", ""},
		{"workflow_dispatch", "", "12345678", "suffix=nightly12345678\n"},
		{"schedule", "on", "123456789", "suffix=nightly23456789\n"},
	} {
		m := newMachine(t, nil)
		m.succeeds(script, "GITHUB_EVENT_NAME="+c.event, "SWITCH="+c.on, "GITHUB_RUN_NUMBER="+c.number)
		require.Equal(t, c.want, m.file("output"))
		if c.want == "" {
			require.Contains(t, m.file("summary"), "TAP_NIGHTLY")
		}
	}
}

func TestOnlyANightlyStackIsRemovedByWorkflow(t *testing.T) {
	script := scripts(t)["clean-up.yml/clean-up: Look at the suffix"]
	for suffix, fine := range map[string]bool{
		"nightly1": true, "nightly12345678": true,
		"": false, "prod": false, "nightly": false, "nightly123456789": false, "nightly1-x": false, "xnightly1": false,
		"nightly1\nprod": false, "nightly1 --target local": false, "$(touch owned)": false,
	} {
		m := newMachine(t, nil)
		output, err := m.run(script, "ENVIRONMENT_SUFFIX="+suffix)
		require.Equal(t, fine, err == nil, "%q: %s", suffix, output)
		if !fine {
			require.Contains(t, output, "::error::")
		}
	}
}

func TestMissingSettingsAreToldAtOnceAndByName(t *testing.T) {
	script := scripts(t)["action aws: Look at the settings"]
	whole := []string{
		"AWS_REGION=us-east-1", "TAP_ACCOUNT=123456789012", "TAP_ROLE=arn:aws:iam::123456789012:role/tapstack/nightly",
		"TAP_STATE_BUCKET=states", "TAP_STATE_KEY=alias/states",
	}
	m := newMachine(t, nil)
	output, err := m.run(script, whole...)
	require.NoError(t, err, output)
	output, err = m.run(script, "AWS_REGION=us-east-1", "TAP_ACCOUNT=")
	require.Error(t, err)
	require.Contains(t, output, "not set: TAP_ACCOUNT TAP_ROLE TAP_STATE_BUCKET TAP_STATE_KEY.")
	for _, wrong := range []string{
		"TAP_ACCOUNT=12345", "TAP_ACCOUNT=210987654321", "TAP_ROLE=nightly", "TAP_ROLE=arn:aws:iam::123456789012:user/somebody",
	} {
		output, err = m.run(script, append(whole, wrong)...)
		require.Error(t, err, wrong)
		require.Contains(t, output, "TAP_ACCOUNT must be 12 digits")
	}
}

func TestTheSummaryOfAJobSaysWhatThereIsAndWhatThereIsNot(t *testing.T) {
	script := scripts(t)["nightly.yml/deploy: Write the job summary"]
	m := newMachine(t, nil)
	require.NoError(t, os.MkdirAll(filepath.Join(m.dir, "reports", "deployed"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(m.dir, "reports", "deployed", "report.md"), []byte("# All fine\n"), 0o600))
	m.succeeds(script)
	require.Equal(t, "# All fine\nThere is no reports/updated/report.md: the run ended before it.\n", m.file("summary"))
}

func TestAFailureIsNotHiddenByItsSummary(t *testing.T) {
	summarize, err := filepath.Abs(repository + "/.ci/summarize")
	require.NoError(t, err)
	m := newMachine(t, nil)
	output, err := m.run("{ echo 3 left; exit 1; } | " + summarize + " 'What is left'")
	require.Error(t, err)
	require.Equal(t, "3 left\n", output)
	require.Equal(t, "### What is left\n\n```text\n3 left\n```\n\n", m.file("summary"))
	output = m.succeeds("unset GITHUB_STEP_SUMMARY; echo fine | " + summarize + " 'On a laptop'")
	require.Equal(t, "fine\n", output)
}

// registry has a docker and an aws that write down how they are called; docker knows the digest of what was pushed.
var registry = map[string]string{
	"docker": `printf '%s\n' "docker $*" >> "$CALLS"
case "$1" in
login) printf 'password read: %s\n' "$(cat)" >> "$CALLS" ;;
build | push) echo "noise of $1"; [[ "${BROKEN:-}" != "$1" ]] ;;
image) echo "123456789012.dkr.ecr.us-east-1.amazonaws.com/tapstack-services@sha256:abc" ;;
esac
`,
	"aws": `printf '%s\n' "aws $*" >> "$CALLS"; [[ "${BROKEN:-}" != aws ]] && echo token`,
}

func TestTheWorkloadIsPushedAndNamedByItsDigest(t *testing.T) {
	push, err := filepath.Abs(repository + "/.ci/push-images")
	require.NoError(t, err)
	env := []string{"AWS_REGION=us-east-1", "TAP_ACCOUNT=123456789012"}
	const image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/tapstack-services"

	m := newMachine(t, registry)
	output, err := m.run(push+" tapstack-services:nightly7-1 2> noise", env...)
	require.NoError(t, err, m.file("noise"))
	require.Equal(t, "PAYMENT_API_IMAGE="+image+"@sha256:abc\nJOB_PROCESSOR_IMAGE="+image+"@sha256:abc\n", output)
	for _, call := range []string{
		"aws ecr get-login-password --region us-east-1\n", "docker login --username AWS --password-stdin 123456789012.dkr.ecr.us-east-1.amazonaws.com\n",
		"password read: token\n", "docker build --platform linux/amd64 --tag " + image + ":nightly7-1 --file fixtures/services/Dockerfile .\n",
		"docker push " + image + ":nightly7-1\n", "docker logout 123456789012.dkr.ecr.us-east-1.amazonaws.com\n",
	} {
		require.Contains(t, m.file("calls"), call)
	}
	for _, broken := range []string{"aws", "build", "push"} {
		m := newMachine(t, registry)
		output, err := m.run(push+" tapstack-services:nightly7-1 2> noise", append(env, "BROKEN="+broken)...)
		require.Error(t, err, broken)
		require.Empty(t, output, broken)
		require.Contains(t, m.file("calls"), "docker logout", broken)
	}
}
