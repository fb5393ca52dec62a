package process_test

import (
	"context"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/process"
)

func TestAChildEndsWithItsParentUnlessItMayStay(t *testing.T) {
	start := func(script string) *process.Child {
		child, err := process.StartChild(exec.Command("/bin/sh", "-c", script)) //nolint:noctx // as those that outlive a context
		require.NoError(t, err)
		t.Cleanup(func() { _ = process.Kill(child.PID) })
		return child
	}
	over := func(child *process.Child) bool {
		select {
		case <-child.Exited:
			return true
		case <-time.After(100 * time.Millisecond):
			return false
		}
	}
	const child = `echo '{"port": 7}'; read -r word; [ "$word" != stay ] || exec sleep 60`
	var told struct{ Port int }

	leaves := start(child)
	require.NoError(t, leaves.Announced(t.Context(), &told))
	assert.Equal(t, 7, told.Port)
	require.False(t, over(leaves))
	leaves.Leave()
	require.Eventually(t, func() bool { return over(leaves) }, 10*time.Second, time.Millisecond)

	stays := start(child)
	require.NoError(t, stays.Stay())
	stays.Leave()
	require.NoError(t, stays.Announced(t.Context(), &told))
	assert.False(t, over(stays), "it was told to stay")

	require.ErrorIs(t, start("exit 1").Announced(t.Context(), &told), process.ErrSilent)
	require.ErrorContains(t, start("echo hello; read -r word").Announced(t.Context(), &told), `it announced "hello\n"`)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, start("read -r word").Announced(ended, &told), context.Canceled)
}
