package lifecycle

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2/maybe"
)

// Location is where the states of one cloud's stacks are, and what they need on this machine.
type Location struct {
	States
	// Home has a folder for each stack.
	Home string
	// Bucket has the states, unless it is nil. The folders then hold nothing that cannot be lost.
	Bucket *Bucket
	// Env is what the engine needs to reach the bucket.
	Env map[string]string
}

// InFolder keeps the states of a project's stacks in the folder home. It need not exist.
func InFolder(project, home string) Location {
	return Location{States: Folders{Project: project, Home: home}, Home: home}
}

// InBucket keeps the states in a bucket, and what the stacks need on this machine in a folder beside home.
func InBucket(ctx context.Context, home string, options BucketOptions) (Location, error) {
	bucket, err := OpenBucket(ctx, options)
	if err != nil {
		return Location{}, err
	}
	digest := sha256.Sum256([]byte(bucket.String()))
	return Location{States: bucket, Home: fmt.Sprintf("%s-s3-%x", home, digest[:4]), Bucket: bucket, Env: options.Env}, nil
}

// Dir is the folder of a stack.
func (l Location) Dir(stack string) string { return filepath.Join(l.Home, stack) }

// ID tells the state of a stack from those that others have of a stack of the same name: it is the bucket, or a text in the
// folder; empty where MakeID has made none.
func (l Location) ID(stack string) (string, error) {
	if l.Bucket != nil {
		return l.Bucket.String(), nil
	}
	content, err := os.ReadFile(folder(l.Dir(stack)).id())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("reading the state's id: %w", err)
	}
	return strings.TrimSpace(string(content)), nil
}

// MakeID is ID, which it makes where there is none, for a state that exists.
func (l Location) MakeID(stack string) (string, error) {
	id, err := l.ID(stack)
	if err != nil || id != "" {
		return id, err
	}
	id = rand.Text()
	if err := maybe.WriteFile(folder(l.Dir(stack)).id(), []byte(id+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("writing the state's id: %w", err)
	}
	return id, nil
}

// StateDir is the folder of all states: the given one, else $XDG_STATE_HOME/tapstack, else ~/.local/state/tapstack.
func StateDir(given string) (string, error) {
	if given != "" {
		return filepath.Abs(given)
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "tapstack"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("finding the state folder (give --state-dir): %w", err)
	}
	return filepath.Join(home, ".local", "state", "tapstack"), nil
}

// Writable tells why a folder, which need not exist, cannot be written. It makes none.
func Writable(dir string) error {
	existing := dir
	for {
		info, err := os.Stat(existing)
		if err == nil && !info.IsDir() {
			return errors.New(existing + " is no folder: move it away")
		}
		if err == nil || existing == filepath.Dir(existing) {
			break
		}
		existing = filepath.Dir(existing)
	}
	probe, err := os.CreateTemp(existing, ".tapstack-probe-*")
	if err != nil {
		return errors.New(dir + " cannot be written")
	}
	_ = probe.Close()
	_ = os.Remove(probe.Name())
	return nil
}
