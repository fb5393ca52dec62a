package lifecycle

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tapstack/lib/process"
)

// FullDiskError says that an operation was stopped while the state could still be written, or as soon as it could not.
type FullDiskError struct{ Dir string }

func (e *FullDiskError) Error() string {
	return fmt.Sprintf("the disk of %s is full, so that the state could not be written any further: make room, then run the command again", e.Dir)
}

const (
	// roomPause is between two looks at what room there is.
	roomPause = 100 * time.Millisecond
	// leastRoom is what the state of a new stack, and the engine's log of an operation, are given.
	leastRoom = 256 << 10
)

// room is the disk that a state is on. While the engine works, a reserve of it is held back: when nothing else is left, the
// reserve is given up and the engine interrupted, which writes its last state there.
type room struct {
	state, reserve string
	// dirs are what must have room: the state's, and the one of the engine's log.
	dirs []string
	// free is process.FreeSpace.
	free func(path string) (uint64, error)

	mutex sync.Mutex
	end   context.CancelCauseFunc // of the operation that is watched; nil without
}

func (f folder) room(project, stack string) *room {
	return &room{
		state: f.state(project, stack), reserve: filepath.Join(string(f), "reserve"), dirs: []string{string(f), os.TempDir()},
		free: process.FreeSpace,
	}
}

// watch has the context end with a FullDiskError when there is no more room. release is to be called when the work is done.
func (r *room) watch(ctx context.Context) (_ context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	if r == nil {
		return ctx, func() { cancel(nil) }
	}
	r.mutex.Lock()
	r.end = cancel
	r.mutex.Unlock()
	held := r.hold(0)
	over, quiet := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(quiet)
		for ctx.Err() == nil {
			if dir := r.full(held); dir != "" {
				r.exhausted(dir)
				return
			}
			held = r.hold(held)
			select {
			case <-over:
				return
			case <-time.After(roomPause):
			}
		}
	}()
	return ctx, func() {
		close(over)
		<-quiet
		cancel(nil)
		_ = removeAny(r.reserve)
	}
}

// exhausted gives the reserve up and ends the operation that is watched: there is no more room in dir.
func (r *room) exhausted(dir string) {
	if r == nil {
		return
	}
	_ = removeAny(r.reserve)
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.end != nil {
		r.end(&FullDiskError{dir})
	}
}

// needed is what writing the state takes: the new one stands beside the old one for a moment.
func (r *room) needed() uint64 {
	info, err := os.Stat(r.state)
	if err != nil {
		return leastRoom
	}
	return max(leastRoom, 2*uint64(info.Size())) //nolint:gosec // no size is negative
}

// hold makes the reserve as large as is needed, where there is room for it, and answers with its size.
func (r *room) hold(held uint64) uint64 {
	needed := r.needed()
	if needed <= held {
		return held
	}
	needed *= 2
	if free, err := r.free(r.dirs[0]); err != nil || free < 2*needed {
		return held
	}
	content := make([]byte, needed)
	_, _ = rand.Read(content) // zeros may take no room
	if err := os.WriteFile(r.reserve, content, 0o600); err != nil {
		_ = removeAny(r.reserve)
		return 0
	}
	return needed
}

// full names the folder that has no more room; none where nobody tells how much there is.
func (r *room) full(held uint64) string {
	for index, dir := range r.dirs {
		free, err := r.free(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		least := uint64(leastRoom / 4)
		if index == 0 && held == 0 {
			least = r.needed()
		}
		if err == nil && free < least {
			return dir
		}
	}
	return ""
}
