// Package cli finds the Pulumi CLI that runs the engine: the user's own, or one that it builds from the repository's tools
// module into the cache folder, once. It depends on little, so that the CLI can be built while the rest still compiles.
package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/blang/semver"
	"golang.org/x/mod/modfile"

	"tapstack/lib/cache"
	"tapstack/lib/process"
)

const (
	repository = "tapstack"
	module     = "github.com/pulumi/pulumi/pkg/v3"
)

// Version is the CLI that is built into the cache. It stands here, and not only in tools/go.mod, because tap has to find
// what it has built wherever it is started; a test holds the two together.
const Version = "v3.230.0"

// Oldest is the oldest Pulumi CLI that the driver was tried with.
var Oldest = semver.MustParse("3.230.0")

// Found says which Pulumi CLI would be used, and why.
type Found struct {
	Path    string // empty when the CLI is yet to be built
	Version string // with its leading v
	Reason  string
}

// Find answers with a Pulumi CLI that answers, and its version: the one on PATH when it is new enough, else the one in
// the cache folder, which is built the first time. notify hears about what takes long.
func Find(ctx context.Context, notify func(string)) (path string, version semver.Version, err error) {
	found, err := Look(ctx)
	if err != nil {
		return "", semver.Version{}, err
	}
	if found.Path == "" {
		if found.Path, err = build(ctx, notify); err != nil {
			return "", semver.Version{}, err
		}
	}
	version, err = ask(ctx, found.Path)
	return found.Path, version, err
}

// Look says what Find would use, without building anything.
func Look(ctx context.Context) (Found, error) {
	reason := "no pulumi on PATH"
	if path, err := exec.LookPath("pulumi"); err == nil {
		version, err := ask(ctx, path)
		switch {
		case err != nil:
			reason = "the pulumi on PATH does not answer"
		case version.Major == Oldest.Major && version.GTE(Oldest):
			return Found{Path: path, Version: "v" + version.String(), Reason: "on PATH"}, nil
		default:
			reason = fmt.Sprintf("the pulumi on PATH is v%s, v%s or newer is needed", version, Oldest)
		}
	}
	path, err := cached()
	if err != nil {
		return Found{}, err
	}
	if _, err := os.Stat(path); err == nil {
		return Found{Path: path, Version: Version, Reason: reason + ", built into the cache"}, nil
	}
	if _, err := RepositoryRoot(); err != nil {
		return Found{}, fmt.Errorf("%s, and none in the cache (%s); building one there needs the repository: %w", reason, path, err)
	}
	return Found{Version: Version, Reason: reason}, nil
}

// LookForGo finds the go command and its version. The path is empty where there is none on PATH.
func LookForGo(ctx context.Context) (path, version string, err error) {
	path, err = exec.LookPath("go")
	if err != nil {
		return "", "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	output, err := exec.CommandContext(ctx, path, "env", "GOVERSION").Output()
	if err != nil {
		return path, "", fmt.Errorf("%s does not answer", path)
	}
	return path, strings.TrimSpace(string(output)), nil
}

// RepositoryRoot walks up from the working directory to the go.mod of this module. What is built from there is run: a
// folder of somebody else's that calls itself the repository is refused.
func RepositoryRoot() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the working directory: %w", err)
	}
	for folder := start; ; folder = filepath.Dir(folder) {
		content, err := os.ReadFile(filepath.Join(folder, "go.mod"))
		if err == nil && modfile.ModulePath(content) == repository {
			return folder, trusted(folder, "go.mod", "tools", "tools/go.mod", "tools/go.sum")
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("looking for the repository: %w", err)
		}
		if folder == filepath.Dir(folder) {
			return "", fmt.Errorf("no go.mod of module %s in %s or above: run inside the repository, or put pulumi v%s or newer on PATH",
				repository, start, Oldest)
		}
	}
}

// trusted fails unless a folder and the files named below it belong to the caller or to root.
func trusted(folder string, names ...string) error {
	for _, name := range append([]string{"."}, names...) {
		path := filepath.Join(folder, name)
		own, err := process.Trusted(path)
		if err != nil {
			return fmt.Errorf("looking at the repository %s: %w", folder, err)
		}
		if !own {
			return fmt.Errorf("%s belongs to another user: nothing is built from the repository %s (make it yours: chown)", path, folder)
		}
	}
	return nil
}

func cached() (string, error) {
	dir, err := cache.Dir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "pulumi-"+Version, "bin", "pulumi"), nil
}

// buildFlags make the CLI. Most of it is libraries that a deployment hardly runs: those are compiled without inlining, which is
// quicker. The engine itself, what it talks with, and Go's library are not, since every run would pay for it. The linker drops debugging information anyway. The version is stamped into it because the Automation API refuses an
// unversioned CLI for inline programs.
var buildFlags = []string{
	"-trimpath", "-gcflags=all=-l -dwarf=false",
	"-gcflags=std=-dwarf=false", "-gcflags=github.com/pulumi/...=-dwarf=false",
	"-gcflags=google.golang.org/grpc/...=-dwarf=false", "-gcflags=google.golang.org/protobuf/...=-dwarf=false",
	"-ldflags=-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=" + Version,
}

// goVariables tell Go where modules are, how to get there, and where it keeps what it has built. Its others change what a
// build is.
var goVariables = []string{
	"GOPROXY", "GOPRIVATE", "GONOPROXY", "GOSUMDB", "GONOSUMDB", "GOINSECURE", "GOAUTH", "GOVCS", "GOENV", "GOTOOLCHAIN", "GOROOT", "GOPATH",
	"GOMODCACHE", "GOCACHE", "GOTMPDIR", "GOMAXPROCS", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "GIT_SSL_CAINFO", "SSH_AUTH_SOCK",
}

// build compiles the CLI of the repository's tools module into the cache folder.
func build(ctx context.Context, notify func(string)) (string, error) {
	root, err := RepositoryRoot()
	if err != nil {
		return "", err
	}
	path, err := cached()
	if err != nil {
		return "", err
	}
	compiler, err := exec.LookPath("go")
	if err != nil {
		return "", errors.New("building the Pulumi CLI needs go on PATH: install Go from https://go.dev/dl")
	}
	notify(fmt.Sprintf("Building the Pulumi CLI %s into %s, once. It takes about 2 minutes.", Version, filepath.Dir(path)))
	err = cache.Make(ctx, filepath.Dir(filepath.Dir(path)), func(ctx context.Context, folder string) error {
		arguments := slices.Concat([]string{"build", "-C", filepath.Join(root, "tools")}, buildFlags,
			[]string{"-o", filepath.Join(folder, "bin", "pulumi"), module + "/cmd/pulumi"})
		command := exec.CommandContext(ctx, compiler, arguments...)
		command.Env = append(process.Environment(slices.Concat(process.Network, goVariables)...), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off",
			"GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
		var output bytes.Buffer
		command.Stdout, command.Stderr = &output, &output
		if err := command.Run(); err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("building the Pulumi CLI: %w", context.Cause(ctx))
			}
			return fmt.Errorf("building the Pulumi CLI %s: %w\n%s", Version, err, strings.TrimSpace(output.String()))
		}
		return nil
	})
	return path, err
}

func ask(ctx context.Context, path string) (semver.Version, error) {
	command := exec.CommandContext(ctx, path, "version")
	command.Env = append(process.Environment(), "PULUMI_SKIP_UPDATE_CHECK=true")
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
