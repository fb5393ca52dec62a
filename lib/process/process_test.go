//go:build unix

package process_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/process"
)

func TestAChildWithASessionOfItsOwnEndsWithWhatItStarted(t *testing.T) {
	child := exec.CommandContext(t.Context(), "sh", "-c", "sleep 60 & echo $!; wait")
	process.OwnSession(child)
	output, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	require.True(t, process.Alive(child.Process.Pid))
	_, err = output.Read(make([]byte, 16))
	require.NoError(t, err, "the grandchild runs")

	require.NoError(t, process.KillGroup(child.Process.Pid))
	// The pipe ends when the last process that holds it is gone.
	_, err = output.Read(make([]byte, 16))
	require.Error(t, err)
	require.Eventually(t, func() bool { return !process.Alive(child.Process.Pid) }, 5*time.Second, time.Millisecond,
		"a dead child that is not waited for is not alive")
	require.Error(t, child.Wait())
	assert.NoError(t, process.Kill(child.Process.Pid), "it is gone already")
}

func TestWhatBelongsToSomebodyElseIsNotTrusted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	link := path + "-link"
	require.NoError(t, os.Symlink(path, link))
	for _, name := range []string{path, link} {
		trusted, err := process.Trusted(name)
		require.NoError(t, err)
		assert.True(t, trusted)
	}
	require.NoError(t, os.Lchown(link, 65534, -1))
	trusted, err := process.Trusted(link)
	require.NoError(t, err)
	assert.False(t, trusted, "a link is judged itself, not what it leads to")
	_, err = process.Trusted(path + "-missing")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestTheBirthOfAProcessTellsItFromAnotherWithItsId(t *testing.T) {
	own := process.Birth(os.Getpid())
	require.NotEmpty(t, own)
	require.Equal(t, own, process.Birth(os.Getpid()))
	require.NotEqual(t, own, process.Birth(1))
	child := exec.CommandContext(t.Context(), "true")
	require.NoError(t, child.Run())
	require.Empty(t, process.Birth(child.Process.Pid))
}

func TestATemporaryFolderIsWhereItsUserGetsTo(t *testing.T) {
	closed := filepath.Join(t.TempDir(), "closed")
	require.NoError(t, os.Mkdir(closed, 0o700))
	t.Setenv("TMPDIR", closed)
	nobody := process.Unprivileged()
	folder, err := nobody.TempDir(closed, "tapstack-test-*")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(folder)) })
	require.True(t, nobody.Reaches(filepath.Dir(folder)), folder)
}

func TestNoChildOutlivesAProcessThatGoesOnStartingThem(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("there is no /proc to find children by")
	}
	const most = "300" // of children, lest a failure leave too many
	parent := exec.CommandContext(t.Context(), "sh", "-c", `i=0; while [ $i -lt `+most+` ]; do sleep 300 & i=$((i+1)); done; wait`)
	process.OwnSession(parent)
	require.NoError(t, parent.Start())
	pid := parent.Process.Pid
	t.Cleanup(func() { _ = process.KillGroup(pid) })
	require.Eventually(t, func() bool { return len(process.Children(pid)) > 0 }, 5*time.Second, time.Millisecond)
	require.NoError(t, process.KillWithChildren(pid))
	_ = parent.Wait()
	require.Eventually(t, func() bool { // they have all been killed, and may take a moment to be gone
		entries, err := os.ReadDir("/proc")
		require.NoError(t, err)
		for _, entry := range entries {
			id, err := strconv.Atoi(entry.Name())
			if kin := process.Kin(id); err == nil && len(kin) == 3 && kin[1] == pid && process.Alive(id) {
				return false
			}
		}
		return true
	}, 5*time.Second, 10*time.Millisecond, "children are left")
}
