// Package cache is the folder of the things that the tool makes once and keeps: the Pulumi CLI that it built, the
// Python environment of the emulator. It knows where that folder is, and how to fill it safely when two runs start at
// the same time. It touches nothing outside the paths it is given.
package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// EnvDir names the environment variable that moves the cache folder elsewhere.
const EnvDir = "TAPSTACK_CACHE"

// ErrHeld says that another process holds a lock.
var ErrHeld = errors.New("held by another process")

const retryEvery = 100 * time.Millisecond

// Dir is the cache folder: $TAPSTACK_CACHE, else $XDG_CACHE_HOME/tapstack, else ~/.cache/tapstack. It need not exist.
func Dir() (string, error) {
	if dir := os.Getenv(EnvDir); dir != "" {
		return filepath.Abs(dir)
	}
	if dir := os.Getenv("XDG_CACHE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "tapstack"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache folder (set %s): %w", EnvDir, err)
	}
	return filepath.Join(home, ".cache", "tapstack"), nil
}

// Make builds path once, whoever asks first. build fills a folder beside path, which is renamed to path when build
// succeeds and removed when it fails: path is never seen half made. Others who ask meanwhile wait for the lock.
func Make(ctx context.Context, path string, build func(ctx context.Context, folder string) error) error {
	if exists(path) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return fmt.Errorf("making the cache folder: %w", err)
	}
	unlock, err := Lock(ctx, path+".lock")
	if err != nil {
		return err
	}
	defer unlock()
	if exists(path) {
		return nil
	}
	folder, err := os.MkdirTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("making a folder to build in: %w", err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	if err := build(ctx, folder); err != nil {
		return err
	}
	if err := os.Rename(folder, path); err != nil {
		return fmt.Errorf("putting %s in place: %w", path, err)
	}
	return nil
}

// Lock takes an exclusive lock on path, which it creates, and waits for it until ctx ends. The kernel frees the lock
// when the process dies, however it dies. Who holds the lock may remove the file.
func Lock(ctx context.Context, path string) (unlock func(), err error) {
	for {
		lock := flock.New(path, flock.SetPermissions(0o600))
		if _, err := lock.TryLockContext(ctx, retryEvery); err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return nil, fmt.Errorf("waiting for the lock %s: %w", path, err)
		}
		if inPlace(lock) {
			return func() { _ = lock.Close() }, nil
		}
		_ = lock.Close()
	}
}

// TryLock takes the lock on path or fails with ErrHeld at once.
func TryLock(path string) (unlock func(), err error) {
	lock := flock.New(path, flock.SetPermissions(0o600))
	taken, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	if !taken || !inPlace(lock) {
		_ = lock.Close()
		return nil, fmt.Errorf("lock %s: %w", path, ErrHeld)
	}
	return func() { _ = lock.Close() }, nil
}

// inPlace says that the file that was locked is still the one at its path: whoever had the lock before may have removed it.
func inPlace(lock *flock.Flock) bool {
	locked, err := lock.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(lock.Path())
	return err == nil && os.SameFile(locked, there)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
