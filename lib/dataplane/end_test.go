//go:build linux

package dataplane_test

import (
	"bufio"
	"fmt"
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

	"tapstack/lib/dataplane"
	"tapstack/lib/process"
	"tapstack/lib/process/processtest"
)

// asTool has this test run in a process of its own, which is killed.
const asTool = "TAPSTACK_TEST_AS_TOOL"

func TestNothingIsLeftWhenTheToolIsKilled(t *testing.T) {
	if os.Getenv(asTool) != "" {
		runUntilKilled(t)
	}
	processtest.SkipIfShort(t)
	folder := passable(t)
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+t.Name()+"$") //nolint:gosec // this program
	command.Env = append(os.Environ(), asTool+"=1", "TMPDIR="+folder)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	output, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	t.Cleanup(func() { _ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL) })
	var pids []int
	scanner := bufio.NewScanner(output)
	for len(pids) == 0 && scanner.Scan() {
		if list, is := strings.CutPrefix(scanner.Text(), "processes "); is {
			for word := range strings.FieldsSeq(list) {
				pid, err := strconv.Atoi(word)
				require.NoError(t, err)
				pids = append(pids, pid)
			}
		}
	}
	require.NotEmpty(t, pids)
	require.NoError(t, command.Process.Kill())
	_, _ = command.Process.Wait()
	assert.Eventually(t, func() bool { return !slices.ContainsFunc(pids, process.Alive) }, 15*time.Second, 20*time.Millisecond, "no process is left")
	assert.Eventually(t, func() bool {
		left, err := filepath.Glob(filepath.Join(folder, "tap*"))
		return err == nil && len(left) == 0
	}, 15*time.Second, 20*time.Millisecond, "no folder is left")
}

// passable is a folder that other users may pass through.
func passable(t *testing.T) string {
	t.Helper()
	folder, err := process.Unprivileged().TempDir("", "tapstack-end-")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(folder)) })
	return folder
}

func runUntilKilled(t *testing.T) {
	t.Helper()
	s := newStage(t)
	s.database()
	definition := s.define("1")
	s.service(definition, 2)
	status := s.await("tasks and database", func(st dataplane.Status) bool {
		return steady(definition, 2)(st) && st.Database != nil && st.Database.Ready
	})
	list := "processes"
	for _, task := range status.Tasks {
		for _, c := range task.Containers {
			list += " " + strconv.Itoa(c.PID)
		}
	}
	for _, pid := range processtest.Descendants(os.Getpid()) {
		list += " " + strconv.Itoa(pid)
	}
	fmt.Println(list)
	time.Sleep(time.Minute)
}
