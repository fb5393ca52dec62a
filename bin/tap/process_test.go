package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tapstack/lib/process/processtest"
	"tapstack/lib/target"
)

// started is a tap that runs as a process of its own.
type started struct {
	*exec.Cmd
	stdout bytes.Buffer
	// lines are those of its standard error, as they come.
	lines chan string
	seen  []string
}

func start(t *testing.T, stateDir string, args ...string) *started {
	t.Helper()
	processtest.SkipIfShort(t)
	self, err := os.Executable()
	require.NoError(t, err)
	s := &started{Cmd: exec.CommandContext(context.WithoutCancel(t.Context()), self, append(args, "--state-dir", stateDir)...), lines: make(chan string, 1024)}
	s.Env = append(os.Environ(), toolVariable+"=1", "TMPDIR="+filepath.Join(stateDir, "tmp"))
	require.NoError(t, os.MkdirAll(filepath.Join(stateDir, "tmp"), 0o700))
	s.Stdout = &s.stdout
	stderr, err := s.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, s.Start())
	t.Cleanup(func() { _ = s.Process.Kill() })
	go func() {
		defer close(s.lines)
		for scanner := bufio.NewScanner(stderr); scanner.Scan(); {
			s.lines <- scanner.Text()
		}
		_, _ = io.Copy(io.Discard, stderr)
	}()
	return s
}

// until waits for a line with text.
func (s *started) until(t *testing.T, text string) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	for {
		select {
		case line, open := <-s.lines:
			s.seen = append(s.seen, line)
			require.True(t, open, "tap has ended before %q:\n%s", text, strings.Join(s.seen, "\n"))
			if strings.Contains(line, text) {
				return
			}
		case <-deadline:
			require.Fail(t, "tap says nothing more", "before %q:\n%s", text, strings.Join(s.seen, "\n"))
		}
	}
}

// code waits for the end and answers with the exit code.
func (s *started) code() int {
	for line := range s.lines {
		s.seen = append(s.seen, line)
	}
	_ = s.Wait()
	return s.ProcessState.ExitCode()
}

// offspring lists the processes whose environment says that they come from this test's tap.
func offspring(t *testing.T, stateDir string) []string {
	t.Helper()
	entries, err := filepath.Glob("/proc/[0-9]*/environ")
	require.NoError(t, err)
	var found []string
	for _, entry := range entries {
		content, err := os.ReadFile(entry)
		if err == nil && bytes.Contains(content, []byte("TMPDIR="+filepath.Join(stateDir, "tmp"))) {
			found = append(found, filepath.Dir(entry))
		}
	}
	return found
}

func noOffspring(t *testing.T, stateDir string) {
	t.Helper()
	require.Eventually(t, func() bool { return len(offspring(t, stateDir)) == 0 }, 30*time.Second, 50*time.Millisecond,
		"no process is left")
}

func needsProcesses(t *testing.T) {
	t.Helper()
	processtest.SkipIfShort(t)
	if _, err := os.Stat("/proc/self/environ"); err != nil {
		t.Skip("looks for processes in /proc")
	}
}

func TestTheFirstInterruptOfADemoCleansUp(t *testing.T) {
	for name, sent := range map[string]syscall.Signal{"Ctrl-C": syscall.SIGINT, "a closed terminal": syscall.SIGHUP} {
		t.Run(name, func(t *testing.T) { anInterruptCleansUp(t, sent) })
	}
}

func anInterruptCleansUp(t *testing.T, sent syscall.Signal) {
	needsProcesses(t)
	if signal.Ignored(sent) {
		t.Skipf("whoever runs the tests ignores %s, as nohup does, and so does tap", sent)
	}
	t.Parallel()
	stateDir := t.TempDir()
	tap := start(t, stateDir, "demo", "--output", "json")
	tap.until(t, "created aws:ec2/vpc:Vpc")
	require.NotEmpty(t, offspring(t, stateDir))
	require.NoError(t, tap.Process.Signal(sent))
	require.Equal(t, exitInterrupted, tap.code(), strings.Join(tap.seen, "\n"))

	var told summary
	require.NoError(t, json.Unmarshal(tap.stdout.Bytes(), &told), tap.stdout.String())
	require.True(t, told.Interrupted)
	require.False(t, told.OK)
	require.Positive(t, told.Resources)
	require.Empty(t, told.Left, "%v", told.Faults)
	noOffspring(t, stateDir)
	left, err := os.ReadDir(filepath.Join(stateDir, "tmp"))
	require.NoError(t, err)
	require.Empty(t, left, "its state folder is gone")
}

func TestTheSecondInterruptStopsAtOnceAndSaysHowToFinish(t *testing.T) {
	needsProcesses(t)
	t.Parallel()
	stateDir := t.TempDir()
	tap := start(t, stateDir, "up", "--suffix", "two")
	t.Cleanup(func() { _ = target.StopKept(context.Background(), filepath.Join(stateDir, "local"), nil) })
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(stateDir, "local", "emulator.json"))
		return err == nil
	}, time.Minute, 10*time.Millisecond)
	_, refusal := tapIn(t, stateDir, exitFailed, "destroy", "--suffix", "two", "--if-exists")
	require.Contains(t, refusal, "stack two is in use by tap up, process ")
	tap.until(t, "created aws:ec2/vpc:Vpc")
	require.NoError(t, tap.Process.Signal(syscall.SIGTERM))
	tap.until(t, "interrupt again to stop at once")
	require.NoError(t, tap.Process.Signal(syscall.SIGTERM))
	require.Equal(t, exitInterrupted, tap.code(), strings.Join(tap.seen, "\n"))
	last := tap.seen[len(tap.seen)-1]
	if strings.HasPrefix(last, "Stopped at once.") {
		require.Contains(t, last, "To finish the clean-up: ")
	}
	require.Contains(t, strings.Join(tap.seen, "\n"), "destroy --target local --suffix two --state-dir "+stateDir)

	// A killed engine may have lost the ids of what it was creating. The clean-up goes through all the same, and names
	// what it cannot remove.
	code, stdout, stderr := tapAnyhow(stateDir, "destroy", "--suffix", "two", "--no-progress", "--output", "json")
	var told struct{ Left []string }
	require.NoError(t, json.Unmarshal([]byte(stdout), &told), "%s%s", stdout, stderr)
	require.Equal(t, len(told.Left) > 0, code == exitFailed)
	require.NoDirExists(t, filepath.Join(stateDir, "local", "two"))
	noOffspring(t, stateDir)
}

func TestADemoThatNobodyReadsGoesOnToItsEnd(t *testing.T) {
	needsProcesses(t)
	t.Parallel()
	stateDir := t.TempDir()
	read, write, err := os.Pipe()
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	tap := exec.CommandContext(t.Context(), self, "demo", "--state-dir", stateDir)
	tap.Env = append(os.Environ(), toolVariable+"=1", "TMPDIR="+t.TempDir())
	tap.Stdout, tap.Stderr = write, write
	require.NoError(t, tap.Start())
	require.NoError(t, write.Close())
	_, err = read.Read(make([]byte, 1)) // as `| head` does
	require.NoError(t, err)
	require.NoError(t, read.Close())
	require.NoError(t, tap.Wait(), "everything was deployed, checked and removed, though nobody saw it")
}

func TestAKilledDemoLeavesNoProcess(t *testing.T) {
	needsProcesses(t)
	t.Parallel()
	stateDir := t.TempDir()
	tap := start(t, stateDir, "demo")
	tap.until(t, "created aws:ec2/vpc:Vpc")
	require.NoError(t, tap.Process.Kill())
	tap.code()
	noOffspring(t, stateDir)
}

func TestAStackStaysUpBetweenCommandsUntilItIsDestroyed(t *testing.T) {
	needsProcesses(t)
	t.Parallel()
	stateDir := t.TempDir()
	tapIn(t, stateDir, exitFine, "up", "--no-progress", "--config", "queueVisibilityTimeoutSeconds=120")
	t.Cleanup(func() { tapAnyhow(stateDir, "destroy", "--no-progress") })

	stdout, stderr := tapIn(t, stateDir, exitFine, "up", "--no-progress")
	require.Contains(t, stdout, "No changes.", "the configuration given before is kept:\n%s", stderr)

	stdout, _ = tapIn(t, stateDir, exitFine, "outputs", "--output", "json")
	outputs := map[string]any{}
	require.NoError(t, json.Unmarshal([]byte(stdout), &outputs))
	require.Contains(t, outputs["queueUrl"], "payment-jobs-dev")

	stdout, _ = tapIn(t, stateDir, exitFine, "refresh", "--output", "json")
	require.Contains(t, stdout, `"resources": []`, "nothing drifted")

	aSilentCloudIsNotForgotten(t, stateDir)

	endpoint, _, _ := strings.Cut(outputs["queueUrl"].(string), "/123456789012")
	tapIn(t, stateDir, exitFine, "destroy", "--no-progress")
	_, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(endpoint, "http://"))
	require.Error(t, err, "the emulator ended with its last stack")
	_, stderr = tapIn(t, stateDir, exitFailed, "outputs")
	require.Contains(t, stderr, "does not exist")
}

// aSilentCloudIsNotForgotten stops the emulator of a stack for a while, as a machine does that is short of memory.
func aSilentCloudIsNotForgotten(t *testing.T, stateDir string) {
	t.Helper()
	record, err := os.ReadFile(filepath.Join(stateDir, "local", "emulator.json"))
	require.NoError(t, err)
	var emulator struct{ PID int }
	require.NoError(t, json.Unmarshal(record, &emulator))
	resume := processtest.Stop(t, emulator.PID)
	started := time.Now()
	_, stderr := tapIn(t, stateDir, exitFailed, "destroy", "--no-progress")
	resume()
	require.Contains(t, stderr, "is there and does not answer")
	require.NotContains(t, stderr, "is gone")
	require.Less(t, time.Since(started), time.Minute)
	require.FileExists(t, filepath.Join(stateDir, "local", "emulator.json"))
	require.DirExists(t, filepath.Join(stateDir, "local", "dev", "backend"))
	tapIn(t, stateDir, exitFine, "verify", "--output", "json")
}
