package lifecycle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2/maybe"
)

// DamagedError says that the engine could not write a stack's state, as on a full disk, and what is there in its place.
type DamagedError struct {
	Stack, File string
	// Restored is when the state was written that was put back. It is zero where there was none.
	Restored time.Time
}

func (e *DamagedError) Error() string {
	if e.Restored.IsZero() {
		return fmt.Sprintf("the state of stack %s was cut short (%s), as happens on a full disk: there is no whole copy of it. "+
			"Remove the file; tap recover then makes a new state of what the account has", e.Stack, e.File)
	}
	return fmt.Sprintf("the state of stack %s was cut short (%s), as happens on a full disk: that of %s is put back. Make room first. "+
		"tap up takes what was made after it into the state, and tap destroy removes it",
		e.Stack, e.File, e.Restored.Local().Format("2006-01-02 15:04:05"))
}

// copied is where the last state is kept that was read back whole.
func (f folder) copied() string { return filepath.Join(string(f), "last-whole-state.json") }

// errCut says that a state is not whole.
var errCut = errors.New("cut short")

// keep makes sure of the state that the engine has written: it is brought to the disk, read back, and if it is whole, kept.
// The engine puts every state in place as a new file, so that a link keeps the old one, without any room on the disk. Of a
// stack that is removed nothing is kept.
func (f folder) keep(project, stack string) error {
	state, kept := f.state(project, stack), f.copied()
	found, err := os.Stat(state)
	if errors.Is(err, fs.ErrNotExist) {
		return removeAny(kept)
	}
	if err != nil {
		return err
	}
	if before, err := os.Stat(kept); err == nil && os.SameFile(found, before) {
		return nil
	}
	fresh := kept + ".new"
	if err := removeAny(fresh); err != nil {
		return err
	}
	if err := link(state, fresh); err != nil {
		return err
	}
	if _, err := whole(fresh); err != nil {
		return errors.Join(err, removeAny(fresh))
	}
	return os.Rename(fresh, kept)
}

// link gives a file a second name, or where a file system has no links, makes a copy.
func link(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return maybe.WriteFile(to, content, 0o600)
}

// whole brings a state to the disk and reads it back. It answers with the time at which the engine wrote it, as far as it
// says so.
func whole(path string) (written time.Time, err error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return written, err
	}
	err = errors.Join(file.Sync(), file.Close())
	if err != nil {
		return written, err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return written, err
	}
	if !json.Valid(content) || len(bytes.TrimSpace(content)) == 0 {
		return written, errCut
	}
	var state struct {
		Checkpoint struct {
			Latest struct{ Manifest struct{ Time time.Time } }
		}
	}
	_ = json.Unmarshal(content, &state)
	return state.Checkpoint.Latest.Manifest.Time, nil
}

func removeAny(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// restore puts the newest whole state in the place of one that is cut short. It answers with a DamagedError, even where that
// worked: something may be lost.
func (f folder) restore(project, stack string) error {
	state := f.state(project, stack)
	damaged := &DamagedError{Stack: stack, File: state}
	best := ""
	for _, candidate := range []string{f.copied(), state + ".bak"} {
		written, err := whole(candidate)
		if err == nil && (best == "" || written.After(damaged.Restored)) {
			best, damaged.Restored = candidate, written
		}
	}
	if best == "" {
		return damaged
	}
	if damaged.Restored.IsZero() {
		info, err := os.Stat(best)
		if err != nil {
			return err
		}
		damaged.Restored = info.ModTime()
	}
	fresh := state + ".mended"
	err := removeAny(fresh)
	if err == nil {
		err = link(best, fresh)
	}
	if err == nil {
		err = os.Rename(fresh, state)
	}
	if err != nil {
		return fmt.Errorf("putting back the state of stack %s, which was cut short: %w", stack, err)
	}
	return damaged
}
