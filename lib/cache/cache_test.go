package cache_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/cache"
)

func TestDirFollowsItsVariables(t *testing.T) {
	t.Setenv("HOME", "/home/someone")
	for _, c := range []struct{ xdg, own, want string }{
		{"", "", "/home/someone/.cache/tapstack"},
		{"/var/cache/someone", "", "/var/cache/someone/tapstack"},
		{"/var/cache/someone", "/elsewhere", "/elsewhere"},
	} {
		t.Setenv("XDG_CACHE_HOME", c.xdg)
		t.Setenv(cache.EnvDir, c.own)
		dir, err := cache.Dir()
		require.NoError(t, err)
		require.Equal(t, c.want, dir)
	}
}

func TestMakeBuildsOnceForManyAtTheSameTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache", "thing")
	var built atomic.Int32
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			err := cache.Make(t.Context(), path, func(_ context.Context, folder string) error {
				built.Add(1)
				return os.WriteFile(filepath.Join(folder, "content"), []byte("whole"), 0o600)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	require.EqualValues(t, 1, built.Load())
	content, err := os.ReadFile(filepath.Join(path, "content"))
	require.NoError(t, err)
	require.Equal(t, "whole", string(content))
}

func TestMakeThatFailsLeavesNothingAndMayBeTriedAgain(t *testing.T) {
	parent := t.TempDir()
	path := filepath.Join(parent, "thing")
	broken := errors.New("no network")
	err := cache.Make(t.Context(), path, func(_ context.Context, folder string) error {
		require.NoError(t, os.WriteFile(filepath.Join(folder, "half"), nil, 0o600))
		return broken
	})
	require.ErrorIs(t, err, broken)
	require.NoFileExists(t, path)
	entries, err := os.ReadDir(parent)
	require.NoError(t, err)
	require.Len(t, entries, 1, "only the lock file stays")

	require.NoError(t, cache.Make(t.Context(), path, func(context.Context, string) error { return nil }))
	require.DirExists(t, path)
}

func TestLockWaitsUntilItsContextEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := cache.TryLock(path)
	require.NoError(t, err)

	_, err = cache.TryLock(path)
	require.ErrorIs(t, err, cache.ErrHeld)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = cache.Lock(ctx, path)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	unlock()
	again, err := cache.Lock(t.Context(), path)
	require.NoError(t, err)
	again()
}

func TestALockWhoseFileIsRemovedMeanwhileIsTakenAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := cache.TryLock(path)
	require.NoError(t, err)
	waiting := make(chan func())
	go func() {
		taken, err := cache.Lock(t.Context(), path)
		assert.NoError(t, err)
		waiting <- taken
	}()
	require.NoError(t, os.Remove(path))
	unlock()
	taken := <-waiting
	_, err = cache.TryLock(path)
	require.ErrorIs(t, err, cache.ErrHeld, "the lock that was waited for is the one of the file that is there")
	taken()
}
