package lifecycle

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tapstack/lib/process"
)

// FullDiskError says that an operation was stopped since its state could not be written any further.
type FullDiskError struct{ Dir string }

func (e *FullDiskError) Error() string {
	return fmt.Sprintf("the disk of %s is full, so that the state could not be written any further: make room, then run the command again", e.Dir)
}

const (
	// reserveSize holds what the engine may still write when it is stopped: the state of a deployed stack, 1.4 MB, the one before
	// it, and a copy in the history.
	reserveSize = 16 << 20
	// leastRoom is when a disk is full: the next state, and the copy of the last that the engine makes first, may not fit.
	leastRoom = 4 << 20
	// roomPause is between two looks at what room there is.
	roomPause = 100 * time.Millisecond
	// roomPatience is how long a disk may be full, though the reserve was given up, before the engine is killed: left alone, it
	// repeats each save that fails for half a minute.
	roomPatience = 5 * time.Second
)

// room is the disk that a state is on. While the engine works, a reserve of it is held back: when nothing else is left, the
// reserve is given up and the engine interrupted, which writes its last state there.
type room struct {
	reserve string
	// dirs are what must have room: the state's, and the one of the engine's log.
	dirs []string
	// free is process.FreeSpace.
	free func(path string) (uint64, error)
	// kill ends the engine.
	kill func()

	mutex sync.Mutex
	end   context.CancelCauseFunc // of the operation that is watched; nil without
}

func (f folder) room(kill func()) *room {
	return &room{
		reserve: filepath.Join(string(f), "reserve"), dirs: []string{string(f), os.TempDir()}, free: process.FreeSpace, kill: kill,
	}
}

// watch has the context end with a FullDiskError when there is no more room, or none for the reserve. release is to be called
// when the work is done.
func (r *room) watch(ctx context.Context) (_ context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	if r == nil {
		return ctx, func() { cancel(nil) }
	}
	r.mutex.Lock()
	r.end = cancel
	r.mutex.Unlock()
	content := make([]byte, reserveSize)
	_, _ = rand.Read(content) // zeros may take no room
	if err := os.WriteFile(r.reserve, content, 0o600); err != nil {
		r.exhausted(r.dirs[0])
	}
	over, quiet := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(quiet)
		r.guard(over)
	}()
	return ctx, func() {
		close(over)
		<-quiet
		cancel(nil)
		_ = removeAny(r.reserve)
	}
}

// guard looks for room until over.
func (r *room) guard(over <-chan struct{}) {
	var since time.Time // the disk is full
	for {
		dir := r.full()
		switch {
		case dir == "":
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
			r.exhausted(dir)
		case dir == r.dirs[0] && time.Since(since) > roomPatience:
			r.kill()
			return
		}
		select {
		case <-over:
			return
		case <-time.After(roomPause):
		}
	}
}

// full names the folder that has no more room; none where nobody tells how much there is.
func (r *room) full() string {
	for _, dir := range r.dirs {
		if free, err := r.free(dir); err == nil && free < leastRoom {
			return dir
		}
	}
	return ""
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
