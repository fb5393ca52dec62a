// Package lifecycle drives the real Pulumi engine through the Automation API: it finds or builds the CLI, keeps the
// state of a stack in a folder of its own, runs preview, up, refresh and destroy of an inline program with live
// events, and ends cleanly when it is interrupted. It knows neither the program nor the cloud: both are handed in. It
// never touches the user's own ~/.pulumi.
package lifecycle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/blang/semver"
	"golang.org/x/mod/modfile"

	"tapstack/lib/lifecycle/cache"
)

const (
	modulePath = "tapstack"
	cliModule  = "github.com/pulumi/pulumi/pkg/v3"
)

// oldestCLI is the oldest Pulumi CLI that this driver was tried with.
var oldestCLI = semver.MustParse("3.230.0")

// Engine is a Pulumi CLI that is known to answer. It is safe for one operation at a time.
type Engine struct {
	path    string
	version semver.Version
	running processes
}

// Found says which Pulumi CLI would be used, and why.
type Found struct {
	Path    string // empty when the CLI is yet to be built
	Version string // with its leading v
	Reason  string
}

// FindEngine answers with a Pulumi CLI: the one on PATH when it is new enough, else the one in the cache folder, which
// is built from the repository's tools module the first time. notify hears about what takes long.
func FindEngine(ctx context.Context, notify func(string)) (*Engine, error) {
	found, err := LookForEngine(ctx)
	if err != nil {
		return nil, err
	}
	if found.Path == "" {
		if found.Path, err = buildCLI(ctx, found.Version, notify); err != nil {
			return nil, err
		}
	}
	version, err := cliVersion(ctx, found.Path)
	if err != nil {
		return nil, err
	}
	return &Engine{path: found.Path, version: version}, nil
}

// LookForEngine says what FindEngine would use, without building anything.
func LookForEngine(ctx context.Context) (Found, error) {
	reason := "no pulumi on PATH"
	if path, err := exec.LookPath("pulumi"); err == nil {
		version, err := cliVersion(ctx, path)
		switch {
		case err != nil:
			reason = "the pulumi on PATH does not answer"
		case version.Major == oldestCLI.Major && version.GTE(oldestCLI):
			return Found{Path: path, Version: "v" + version.String(), Reason: "on PATH"}, nil
		default:
			reason = fmt.Sprintf("the pulumi on PATH is v%s, v%s or newer is needed", version, oldestCLI)
		}
	}
	root, err := RepositoryRoot()
	if err != nil {
		return Found{}, fmt.Errorf("%s, and building one needs the repository: %w", reason, err)
	}
	version, err := pinnedCLI(root)
	if err != nil {
		return Found{}, err
	}
	path, err := cachedCLI(version)
	if err != nil {
		return Found{}, err
	}
	if _, err := os.Stat(path); err != nil {
		return Found{Version: version, Reason: reason}, nil
	}
	return Found{Path: path, Version: version, Reason: reason + ", built into the cache"}, nil
}

// Path is the CLI's executable.
func (e *Engine) Path() string { return e.path }

// Version is the CLI's version, with its leading v.
func (e *Engine) Version() string { return "v" + e.version.String() }

// Kill ends every running engine process at once, without waiting for what it is doing.
func (e *Engine) Kill() { e.running.kill() }

// RepositoryRoot walks up from the working directory to the go.mod of this module.
func RepositoryRoot() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the working directory: %w", err)
	}
	for folder := start; ; folder = filepath.Dir(folder) {
		content, err := os.ReadFile(filepath.Join(folder, "go.mod"))
		if err == nil && modfile.ModulePath(content) == modulePath {
			return folder, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("looking for the repository: %w", err)
		}
		if folder == filepath.Dir(folder) {
			return "", fmt.Errorf("no go.mod of module %s in %s or above: run inside the repository, or put pulumi v%s or newer on PATH",
				modulePath, start, oldestCLI)
		}
	}
}

// pinnedCLI reads the version of the CLI that tools/go.mod pins.
func pinnedCLI(root string) (string, error) {
	path := filepath.Join(root, "tools", "go.mod")
	content, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("reading the pinned Pulumi version: %w", err)
	}
	file, err := modfile.ParseLax(path, content, nil)
	if err != nil {
		return "", fmt.Errorf("reading the pinned Pulumi version: %w", err)
	}
	for _, require := range file.Require {
		if require.Mod.Path == cliModule {
			return require.Mod.Version, nil
		}
	}
	return "", fmt.Errorf("%s does not require %s", path, cliModule)
}

func cachedCLI(version string) (string, error) {
	dir, err := cache.Dir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "pulumi-"+version, "bin", "pulumi"), nil
}

// buildCLI compiles the pinned CLI into the cache folder. The version is stamped into it because the Automation API
// refuses an unversioned CLI for inline programs.
func buildCLI(ctx context.Context, version string, notify func(string)) (string, error) {
	root, err := RepositoryRoot()
	if err != nil {
		return "", err
	}
	path, err := cachedCLI(version)
	if err != nil {
		return "", err
	}
	compiler, err := exec.LookPath("go")
	if err != nil {
		return "", errors.New("building the Pulumi CLI needs go on PATH: install Go from https://go.dev/dl")
	}
	notify(fmt.Sprintf("Building the Pulumi CLI %s into %s, once. It takes about 3 minutes.", version, filepath.Dir(path)))
	err = cache.Make(ctx, filepath.Dir(filepath.Dir(path)), func(ctx context.Context, folder string) error {
		build := exec.CommandContext(ctx, compiler, "build", "-C", filepath.Join(root, "tools"), "-trimpath",
			"-ldflags", "-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version="+version,
			"-o", filepath.Join(folder, "bin", "pulumi"), cliModule+"/cmd/pulumi")
		build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
		var output bytes.Buffer
		build.Stdout, build.Stderr = &output, &output
		if err := build.Run(); err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("building the Pulumi CLI: %w", context.Cause(ctx))
			}
			return fmt.Errorf("building the Pulumi CLI %s: %w\n%s", version, err, lastLines(output.String(), 15))
		}
		return nil
	})
	return path, err
}

func cliVersion(ctx context.Context, path string) (semver.Version, error) {
	command := exec.CommandContext(ctx, path, "version")
	command.Env = append(os.Environ(), "PULUMI_SKIP_UPDATE_CHECK=true")
	output, err := command.Output()
	if err != nil {
		return semver.Version{}, fmt.Errorf("running %s version: %w", path, err)
	}
	version, err := semver.ParseTolerant(strings.TrimSpace(string(output)))
	if err != nil {
		return semver.Version{}, fmt.Errorf("reading the version of %s: %w", path, err)
	}
	return version, nil
}

func lastLines(text string, count int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-count):], "\n")
}
