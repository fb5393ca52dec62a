//go:build unix

package process_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/process"
	"tapstack/lib/process/processtest"
)

// reaped is a command that starts another one and tells both ids.
func reaped(script string) *exec.Cmd {
	command := exec.Command("/bin/sh", "-c", script) //nolint:noctx // the reaper ends it
	command.Env = []string{"ONLY=this"}
	return command
}

// obstinate does not end by SIGTERM, nor does the child that it has.
const obstinate = `trap '' TERM; sleep 60 & echo $$ $!; wait`

// TestHelper is this program as a tool that starts processes and is killed.
func TestHelper(t *testing.T) {
	folder := os.Getenv("REAPER_FOLDER")
	if folder == "" {
		t.Skip("it is for the test of the reaper")
	}
	reaper, err := process.StartReaper(`touch "$1.last"`, folder)
	require.NoError(t, err)
	for _, script := range []string{`sleep 60 & echo $$ $!; wait`, obstinate} {
		command := reaped(script)
		command.Stdout = os.Stdout
		require.NoError(t, reaper.Start(command, int(syscall.SIGTERM)))
	}
	select {}
}

func TestWhatAReaperWatchesEndsWithTheProcessThatIsKilled(t *testing.T) {
	processtest.SkipIfShort(t)
	folder := filepath.Join(t.TempDir(), "folder with a space")
	require.NoError(t, os.MkdirAll(filepath.Join(folder, "content"), 0o700))
	parent := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHelper$", "-test.timeout=1m") //nolint:gosec // this program itself
	parent.Env = append(os.Environ(), "REAPER_FOLDER="+folder)
	output, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	var pids []int
	for lines := bufio.NewScanner(output); len(pids) < 4 && lines.Scan(); {
		for _, field := range strings.Fields(lines.Text()) {
			pid, err := strconv.Atoi(field)
			require.NoError(t, err, lines.Text())
			pids = append(pids, pid)
		}
	}
	require.Len(t, pids, 4)
	for _, pid := range pids {
		require.True(t, process.Alive(pid))
	}

	require.NoError(t, parent.Process.Kill())
	assert.Eventually(t, func() bool {
		for _, pid := range pids {
			if process.Alive(pid) {
				return false
			}
		}
		return true
	}, 20*time.Second, 10*time.Millisecond, "those that ignore the signal are killed after ten seconds")
	assert.Eventually(t, func() bool { return gone(folder) }, 10*time.Second, 10*time.Millisecond)
	assert.False(t, gone(folder+".last"), "the last command has run")
	require.Error(t, parent.Wait())
}

func TestAReaperThatIsKilledIsFollowedByAnother(t *testing.T) {
	folder := t.TempDir()
	before := process.Children(os.Getpid())
	reaper, err := process.StartReaper("", folder)
	require.NoError(t, err)
	shell := func() (pid int) {
		require.Eventually(t, func() bool {
			for _, child := range process.Children(os.Getpid()) {
				if pid = child; !slices.Contains(before, child) {
					return true
				}
			}
			return false
		}, 5*time.Second, time.Millisecond)
		return pid
	}
	first := shell()
	early, late := reaped("exec sleep 60"), reaped("exec sleep 60")
	require.NoError(t, reaper.Start(early, int(syscall.SIGTERM)))
	time.Sleep(100 * time.Millisecond) // the shell has heard of it, and takes that with it
	require.NoError(t, process.Kill(first))
	require.NoError(t, reaper.Start(late, int(syscall.SIGTERM)))
	waited := make(chan error, 2)
	for _, command := range []*exec.Cmd{early, late} {
		go func() { waited <- command.Wait() }()
	}
	require.NoError(t, reaper.Close())
	require.True(t, gone(folder))
	require.ErrorContains(t, <-waited, "terminated")
	require.ErrorContains(t, <-waited, "terminated")
}

func gone(path string) bool {
	_, err := os.Lstat(path)
	return os.IsNotExist(err)
}

func TestAReaperThatIsClosedEndsWhatItWatchesAndNothingElse(t *testing.T) {
	folder := t.TempDir()
	reaper, err := process.StartReaper("", folder)
	require.NoError(t, err)
	begun := func() (*exec.Cmd, string) {
		command := reaped("env; echo end; exec sleep 60")
		output, err := command.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, reaper.Start(command, int(syscall.SIGTERM)))
		var environment strings.Builder
		for lines := bufio.NewScanner(output); lines.Scan() && lines.Text() != "end"; {
			environment.WriteString(lines.Text() + "\n")
		}
		return command, environment.String()
	}
	watched, environment := begun()
	assert.Equal(t, "ONLY=this", strings.Join(withoutShells(environment), ""))
	assert.Equal(t, watched.Process.Pid, group(t, watched.Process.Pid), "it has a group of its own")
	forgotten, _ := begun()
	reaper.Forget(forgotten.Process.Pid)

	waited := make(chan error, 1)
	go func() { waited <- watched.Wait() }()
	require.NoError(t, reaper.Close())
	require.NoError(t, reaper.Close(), "a second time is nothing")
	require.ErrorContains(t, <-waited, "terminated")
	assert.True(t, process.Alive(forgotten.Process.Pid))
	require.NoError(t, process.KillGroup(forgotten.Process.Pid))
	_ = forgotten.Wait()
	assert.True(t, gone(folder))

	late := reaped("true")
	if err := reaper.Start(late, int(syscall.SIGTERM)); err == nil {
		assert.Error(t, late.Wait(), "nothing starts unwatched")
	}
}

// withoutShells leaves out what the inner shell sets itself.
func withoutShells(environment string) []string {
	var kept []string
	for line := range strings.Lines(environment) {
		if !strings.HasPrefix(line, "PWD=") && !strings.HasPrefix(line, "SHLVL=") && !strings.HasPrefix(line, "_=") {
			kept = append(kept, strings.TrimSpace(line))
		}
	}
	return kept
}

func group(t *testing.T, pid int) int {
	t.Helper()
	id, err := syscall.Getpgid(pid)
	require.NoError(t, err)
	return id
}

func TestAProcessKnowsItsChildren(t *testing.T) {
	if gone("/proc/self/stat") {
		t.Skip("there is no /proc")
	}
	child := exec.CommandContext(t.Context(), "sleep", "60")
	require.NoError(t, child.Start())
	assert.Contains(t, process.Children(os.Getpid()), child.Process.Pid)
	require.NoError(t, child.Process.Kill())
	_ = child.Wait()
	assert.NotContains(t, process.Children(os.Getpid()), child.Process.Pid)
}

func TestRootRunsAsAnotherWhatMustNotRunAsRoot(t *testing.T) {
	account := process.Unprivileged("no-such-user")
	if os.Geteuid() != 0 {
		assert.Nil(t, account, "whoever is not root stays who he is")
		return
	}
	command := exec.CommandContext(t.Context(), "id", "-u")
	account.Run(command)
	output, err := command.Output()
	require.NoError(t, err)
	assert.NotEqual(t, "0", strings.TrimSpace(string(output)))

	folder, err := os.MkdirTemp("/tmp", "reaches-") //nolint:usetesting // a test's own folder is closed to others
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	require.NoError(t, os.Chmod(folder, 0o711)) //nolint:gosec // for another user
	assert.True(t, account.Reaches(folder))
	closed := filepath.Join(folder, "closed")
	require.NoError(t, os.MkdirAll(filepath.Join(closed, "inner"), 0o700))
	assert.False(t, account.Reaches(filepath.Join(closed, "inner")))
}
