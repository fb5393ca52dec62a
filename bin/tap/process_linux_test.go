package main

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"tapstack/lib/target"
)

func TestTheSecondInterruptSaysHowToFinishOnATerminalThatTakesNoTextForAWhile(t *testing.T) {
	needsProcesses(t)
	t.Parallel()
	stateDir := t.TempDir()
	read, write, err := os.Pipe()
	require.NoError(t, err)
	const size = 4096
	_, err = unix.FcntlInt(write.Fd(), unix.F_SETPIPE_SZ, size)
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	tap := exec.CommandContext(t.Context(), self, "up", "--suffix", "mute", "--state-dir", stateDir)
	tap.Env = append(os.Environ(), toolVariable+"=1", "TMPDIR="+t.TempDir())
	tap.Stderr = write
	require.NoError(t, tap.Start())
	t.Cleanup(func() { _ = target.StopKept(context.Background(), filepath.Join(stateDir, "local"), nil) })
	require.NoError(t, write.Close())
	require.Eventually(t, func() bool { // until there is no room for another line
		waiting, err := unix.IoctlGetInt(int(read.Fd()), unix.TIOCINQ)
		return err == nil && waiting > size-200
	}, 2*time.Minute, 50*time.Millisecond)
	time.Sleep(time.Second) //nolint:forbidigo // it has begun to write the next
	require.NoError(t, tap.Process.Signal(syscall.SIGINT))
	time.Sleep(200 * time.Millisecond) //nolint:forbidigo // signals that come at once are one
	require.NoError(t, tap.Process.Signal(syscall.SIGINT))
	time.Sleep(1500 * time.Millisecond) //nolint:forbidigo // so long nobody reads
	said, err := io.ReadAll(read)
	require.NoError(t, err)
	require.Error(t, tap.Wait())
	require.Equal(t, exitInterrupted, tap.ProcessState.ExitCode())
	require.Contains(t, string(said), "Stopped at once. To finish the clean-up: ")
	require.Contains(t, string(said), " destroy --target local --suffix mute")
}
