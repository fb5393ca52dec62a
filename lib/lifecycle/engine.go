// Package lifecycle drives the real Pulumi engine through the Automation API: it keeps the state of a stack in a folder of
// its own, runs preview, up, refresh and destroy of an inline program with live events, and ends cleanly when it is
// interrupted. It knows neither the program nor the cloud: both are handed in. It never touches the user's own ~/.pulumi.
package lifecycle

import (
	"context"

	"github.com/blang/semver"

	"tapstack/lib/lifecycle/cli"
)

// Engine is a Pulumi CLI that is known to answer. It is safe for one operation at a time.
type Engine struct {
	path    string
	version semver.Version
	running processes
}

// FindEngine answers with a Pulumi CLI, which is built if there is none. notify hears about what takes long.
func FindEngine(ctx context.Context, notify func(string)) (*Engine, error) {
	path, version, err := cli.Find(ctx, notify)
	if err != nil {
		return nil, err
	}
	return &Engine{path: path, version: version}, nil
}

// Path is the CLI's executable.
func (e *Engine) Path() string { return e.path }

// Version is the CLI's version, with its leading v.
func (e *Engine) Version() string { return "v" + e.version.String() }

// Kill ends every running engine process at once, without waiting for what it is doing.
func (e *Engine) Kill() { e.running.kill() }
