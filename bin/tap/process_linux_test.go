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
	"unsafe"

	"github.com/stretchr/testify/require"

	"tapstack/lib/target"
)

func TestTheSecondInterruptSaysHowToFinishOnATerminalThatTakesNoTextForAWhile(t *testing.T) {
	needsProcesses(t)
	t.Parallel()
	stateDir := t.TempDir()
	read, write, err := os.Pipe()
	require.NoError(t, err)
	const size, setPipeSize = 4096, 1031 // F_SETPIPE_SZ of fcntl(2)
	_, _, number := syscall.Syscall(syscall.SYS_FCNTL, write.Fd(), setPipeSize, size)
	require.Zero(t, number, "%s", number)
	self, err := os.Executable()
	require.NoError(t, err)
	tap := exec.CommandContext(t.Context(), self, "up", "--suffix", "mute", "--state-dir", stateDir)
	tap.Env = append(os.Environ(), toolVariable+"=1", "TMPDIR="+t.TempDir())
	tap.Stderr = write
	require.NoError(t, tap.Start())
	t.Cleanup(func() { _ = target.StopKept(context.Background(), filepath.Join(stateDir, "local"), nil) })
	require.NoError(t, write.Close())
	require.Eventually(t, func() bool { // until there is no room for another line
		var waiting int32
		_, _, number := syscall.Syscall(syscall.SYS_IOCTL, read.Fd(), syscall.TIOCINQ, uintptr(unsafe.Pointer(&waiting)))
		return number == 0 && waiting > size-200
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
