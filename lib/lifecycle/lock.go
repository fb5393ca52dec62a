package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"tapstack/lib/cache"
)

// Lock is the right to work on a stack, among the commands of this machine. Whoever has it may count on the stack's cloud: it
// is not ended as long as there is a lock on any of its stacks.
type Lock struct {
	folder folder
	unlock func()
}

// User is who has a lock.
type User struct {
	PID     int       `json:"pid"`
	Command string    `json:"command"`
	Since   time.Time `json:"since"`
}

// InUseError says that another command works on the stack.
type InUseError struct {
	Stack string
	// User is zero where it is not known.
	User User
}

func (e *InUseError) Error() string {
	if e.User.PID == 0 {
		return fmt.Sprintf("stack %s is in use by another command", e.Stack)
	}
	return fmt.Sprintf("stack %s is in use by %s, process %d, since %s",
		e.Stack, e.User.Command, e.User.PID, e.User.Since.Local().Format("2006-01-02 15:04:05"))
}

// Lock takes the lock of a stack for a command. While another has it, it fails with an InUseError, or if wait is not nil,
// tells wait who that is and waits for its end.
func (l Location) Lock(ctx context.Context, stack, command string, wait func(*InUseError)) (*Lock, error) {
	f := folder(l.Dir(stack))
	unlock, err := f.take(ctx, stack, wait)
	for errors.Is(err, fs.ErrNotExist) { // the command before has removed the folder
		unlock, err = f.take(ctx, stack, wait)
	}
	if err != nil {
		return nil, err
	}
	if content, err := json.Marshal(User{os.Getpid(), command, time.Now().UTC().Truncate(time.Second)}); err == nil {
		_ = os.WriteFile(f.lock(), content, 0o600) // who does not know waits all the same
	}
	return &Lock{f, sync.OnceFunc(unlock)}, nil
}

func (f folder) take(ctx context.Context, stack string, wait func(*InUseError)) (unlock func(), err error) {
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return nil, fmt.Errorf("making the state folder: %w", err)
	}
	unlock, err = cache.TryLock(f.lock())
	if !errors.Is(err, cache.ErrHeld) {
		return unlock, err
	}
	used := &InUseError{stack, f.user()}
	if wait == nil {
		return nil, used
	}
	wait(used)
	return cache.Lock(ctx, f.lock())
}

// user is who has the lock, as far as it tells.
func (f folder) user() (u User) {
	if content, err := os.ReadFile(f.lock()); err != nil || json.Unmarshal(content, &u) != nil {
		return User{}
	}
	return u
}

// Release gives the lock back. It may be nil. A folder in which there is nothing else goes with it.
func (l *Lock) Release() {
	if l == nil {
		return
	}
	if entries, err := os.ReadDir(string(l.folder)); err == nil && len(entries) == 1 {
		_ = os.Remove(l.folder.lock())
		_ = os.Remove(string(l.folder))
	}
	l.unlock()
}

// InUse names the stacks, other than one's own, that other commands work on now.
func (l Location) InUse(own string) ([]string, error) {
	entries, err := os.ReadDir(l.Home)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("looking for stacks in use: %w", err)
	}
	var used []string
	for _, entry := range entries {
		lock := folder(l.Dir(entry.Name())).lock()
		if _, err := os.Stat(lock); err != nil || entry.Name() == own {
			continue
		}
		unlock, err := cache.TryLock(lock)
		switch {
		case errors.Is(err, cache.ErrHeld):
			used = append(used, entry.Name())
		case err != nil:
			return nil, err
		default:
			unlock()
		}
	}
	return used, nil
}
