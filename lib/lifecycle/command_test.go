package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tapstack/lib/process"
)

func TestTheEngineSeesNeitherPulumiSettingsNorForeignCredentials(t *testing.T) {
	t.Setenv("PULUMI_ACCESS_TOKEN", "x")
	t.Setenv("AWS_PROFILE", "production")
	t.Setenv("GITHUB_TOKEN", "x")
	t.Setenv("HTTPS_PROXY", "http://proxy")
	own := newCommand(&Engine{}, map[string]string{"AWS_ACCESS_KEY_ID": "test"})
	for _, foreign := range []string{"PULUMI_ACCESS_TOKEN=x", "AWS_PROFILE=production", "GITHUB_TOKEN=x"} {
		require.NotContains(t, own.env, foreign)
	}
	require.Contains(t, own.env, "AWS_ACCESS_KEY_ID=test")
	require.Contains(t, own.env, "HTTPS_PROXY=http://proxy", "plugins are downloaded through it")
	users := newCommand(&Engine{}, nil)
	require.Contains(t, users.env, "AWS_PROFILE=production")
	require.NotContains(t, users.env, "PULUMI_ACCESS_TOKEN=x")
}

// deaf is a CLI that heeds no interrupt, and starts another that does not either.
func deaf(t *testing.T) (c *command, child func() int) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("it is a shell script")
	}
	dir := t.TempDir()
	path, pids := filepath.Join(dir, "pulumi"), filepath.Join(dir, "pid")
	script := "#!/bin/sh\ntrap '' INT\nsleep 300 &\necho $! > " + pids + "\nwait\nwait\n"
	require.NoError(t, os.WriteFile(path, []byte(script), 0o700))
	return newCommand(&Engine{path: path}, nil), func() (pid int) {
		require.Eventually(t, func() bool {
			content, _ := os.ReadFile(pids)
			_, err := fmt.Sscan(string(content), &pid)
			return err == nil
		}, 10*time.Second, 10*time.Millisecond)
		return pid
	}
}

func TestAnEngineThatHeedsNoInterruptIsKilledWithAllThatItStarted(t *testing.T) {
	c, child := deaf(t)
	c.operating, c.grace = true, 100*time.Millisecond
	why := errors.New("the cloud is silent")
	ctx, cancel := context.WithCancelCause(t.Context())
	var pid int
	go func() {
		pid = child()
		cancel(why)
	}()
	started := time.Now()
	_, _, _, err := c.Run(ctx, t.TempDir(), nil, nil, nil, nil, "up")
	require.Error(t, err)
	require.Less(t, time.Since(started), 10*time.Second)
	require.ErrorIs(t, c.ended, why)
	require.Eventually(t, func() bool { return !process.Alive(pid) }, 5*time.Second, 10*time.Millisecond)
}

func TestAQuestionToTheEngineIsBounded(t *testing.T) {
	c := newCommand(&Engine{}, nil)
	ctx, release := c.bound(t.Context(), strings.Fields("stack export"))
	defer release()
	ends, bounded := ctx.Deadline()
	require.True(t, bounded)
	require.Less(t, time.Until(ends), time.Minute)
	c.operating = true
	ctx, release = c.bound(t.Context(), strings.Fields("up"))
	defer release()
	_, bounded = ctx.Deadline()
	require.False(t, bounded, "the session bounds its phases")
}
