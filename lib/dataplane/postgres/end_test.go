//go:build linux

package postgres

import (
	"bufio"
	"fmt"
	"io"
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

// TestHelper is this program as a tool that runs a cluster until it is killed.
func TestHelper(t *testing.T) {
	if os.Getenv("POSTGRES_HELPER") == "" {
		t.Skip("it is for the tests that kill it")
	}
	c := start(t, options(t, 3))
	fmt.Println("folders", c.folder, c.sockets)
	select {}
}

func TestNothingIsLeftOfAClusterWhoseToolIsKilled(t *testing.T) {
	processtest.SkipIfShort(t)
	for _, together := range []bool{false, true} {
		tool := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHelper$", "-test.timeout=2m") //nolint:gosec // this program itself
		tool.Env = append(os.Environ(), "POSTGRES_HELPER=yes")
		output, err := tool.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, tool.Start())
		var folders []string
		for lines := bufio.NewScanner(output); folders == nil && lines.Scan(); {
			if fields := strings.Fields(lines.Text()); len(fields) == 3 && fields[0] == "folders" {
				folders = fields[1:]
			}
		}
		require.Len(t, folders, 2)
		processes := processtest.Descendants(tool.Process.Pid)
		require.Greater(t, len(processes), 15, "three servers with their processes, and the reaper")
		require.Len(t, segments(t, processes), 3)
		for _, pid := range processes {
			maps, _ := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid)) //nolint:gosec // of a process of this test's
			require.NotContains(t, string(maps), "/dev/shm/", "POSIX shared memory would stay")
		}

		if together {
			if _, err := exec.LookPath("ipcrm"); err != nil {
				t.Skip("servers that are killed with the tool: no ipcrm, which frees their memory")
			}
			for _, pid := range processes {
				if name, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); filepath.Base(name) == "postgres" {
					require.NoError(t, process.Kill(pid))
				}
			}
		}
		require.NoError(t, tool.Process.Kill())
		assert.Eventually(t, func() bool { return !slices.ContainsFunc(processes, process.Alive) }, 20*time.Second, 10*time.Millisecond, "servers killed too: %t", together)
		for _, folder := range folders {
			assert.NoDirExists(t, folder)
		}
		assert.Empty(t, segments(t, processes))
		_, _ = io.Copy(io.Discard, output)
		require.Error(t, tool.Wait())
	}
}

// segments are the System V segments that one of the processes has made.
func segments(t *testing.T, makers []int) []string {
	t.Helper()
	content, err := os.ReadFile("/proc/sysvipc/shm")
	require.NoError(t, err)
	var made []string
	for _, line := range strings.Split(string(content), "\n")[1:] {
		const maker = 4 // proc_sysvipc_shm(5): key, shmid, perms, size, cpid
		if fields := strings.Fields(line); len(fields) > maker {
			if pid, err := strconv.Atoi(fields[maker]); err == nil && slices.Contains(makers, pid) {
				made = append(made, line)
			}
		}
	}
	return made
}

func TestAnOrdinaryUserRunsACluster(t *testing.T) {
	processtest.SkipIfShort(t)
	if os.Geteuid() != 0 {
		t.Skip("all tests run as one")
	}
	const nobody = 65534
	folder, err := os.MkdirTemp("/tmp", "ordinary-") //nolint:usetesting // a test's own folder is closed to others
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	require.NoError(t, os.Chown(folder, nobody, nobody))
	program := filepath.Join(folder, "test")
	require.NoError(t, copyFile(os.Args[0], program, nil))
	require.NoError(t, os.Chmod(program, 0o755)) //nolint:gosec // for another user
	command := exec.CommandContext(t.Context(), program, "-test.run=^(TestReadersReadWhatTheWriterWroteAndRefuseWrites|TestWhatIsKilledComesBackAsWhatItWas|TestNothingIsLeftOfAClusterWhoseToolIsKilled)$", "-test.timeout=3m", "-test.v")
	command.Dir, command.Env = folder, append(os.Environ(), "TAPSTACK_CACHE="+filepath.Join(folder, "cache"), "HOME="+folder, "TMPDIR="+folder)
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	output, err := command.CombinedOutput()
	require.NoError(t, err, "%s", output)
	assert.Equal(t, 3, strings.Count(string(output), "--- PASS"), "%s", output)
}
