// Package python finds the Python of this machine, and fills folders with environments of it: the packages that a list of
// pins names, by digest. What is in such an environment is the caller's affair, and so is where the folder is.
package python

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/blang/semver"

	"tapstack/lib/process"
)

// Versions are those that a program takes: from Oldest on, and before Limit where that is not zero.
type Versions struct{ Oldest, Limit semver.Version }

// Environ is what a Python gets of this process's environment, and the variables named besides. Those that tell Python
// itself where modules are belong to the user's own work.
func Environ(names ...string) []string {
	return process.Environment(append([]string{"PYENV_*", "ASDF_*", "MISE_*"}, names...)...)
}

// indexVariables tell pip where packages are, and how to get there. Its others change what an installation is.
var indexVariables = []string{
	"PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_TRUSTED_HOST", "PIP_PROXY", "PIP_CERT", "PIP_CLIENT_CERT",
	"PIP_CONFIG_FILE", "PIP_KEYRING_PROVIDER", "PIP_DEFAULT_TIMEOUT", "PIP_RETRIES", "PIP_CACHE_DIR", "PIP_NO_CACHE_DIR", "XDG_CONFIG_HOME",
	"XDG_CACHE_HOME",
}

// Find looks on PATH for a Python that the versions take and that can make environments: python3, else one that carries its
// version in its name, where there is a limit.
func Find(ctx context.Context, versions Versions) (string, error) {
	names := []string{"python3"}
	if limit := versions.Limit; limit.Major == versions.Oldest.Major {
		for minor := limit.Minor; minor > versions.Oldest.Minor; minor-- {
			names = append(names, fmt.Sprintf("python%d.%d", limit.Major, minor-1))
		}
	}
	var first error
	for _, name := range names {
		path, err := usable(ctx, name, versions)
		if err == nil {
			return path, nil
		}
		if first == nil {
			first = err
		}
	}
	return "", first
}

func usable(ctx context.Context, name string, versions Versions) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("no %s on PATH", name)
	}
	// ensurepip is what Debian leaves out of a python3 without python3-venv.
	command := exec.CommandContext(ctx, path, "-I", "-c", "import sys, venv, ensurepip; print(sys.version_info[0], sys.version_info[1], sep='.')")
	command.Env = Environ()
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s is without its venv module", name)
	}
	version, err := semver.ParseTolerant(strings.TrimSpace(string(output)))
	if err != nil {
		return "", fmt.Errorf("%s tells no version", path)
	}
	if version.LT(versions.Oldest) {
		return "", fmt.Errorf("%s is %d.%d, %d.%d or newer is needed", name, version.Major, version.Minor, versions.Oldest.Major, versions.Oldest.Minor)
	}
	if versions.Limit.Major > 0 && version.GE(versions.Limit) {
		return "", fmt.Errorf("%s is %d.%d, one before %d.%d is needed", name, version.Major, version.Minor, versions.Limit.Major, versions.Limit.Minor)
	}
	return path, nil
}

// Interpreter is that of the environment in a folder.
func Interpreter(folder string) string { return filepath.Join(folder, "bin", "python3") }

// Install fills a folder with an environment of the Python that Find found, in which are the packages of the pins. Only wheels
// are taken: what builds a package from its source would come without a digest. The packages that sources names are there as
// source alone: the setuptools of the pins builds those.
func Install(ctx context.Context, python, folder string, pins []byte, sources ...string) error {
	steps := [][]string{{python, "-I", "-m", "venv", folder}}
	install := []string{
		Interpreter(folder), "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:", "--require-hashes",
	}
	files := map[string][]byte{"requirements.txt": pins}
	if len(sources) > 0 {
		files["builder.txt"] = setuptoolsPin.Find(pins)
		steps = append(steps, append(slices.Clone(install), "--requirement", filepath.Join(folder, "builder.txt")))
		install = append(install, "--no-binary="+strings.Join(sources, ","), "--no-build-isolation", "--use-pep517")
	}
	steps = append(steps, append(install, "--requirement", filepath.Join(folder, "requirements.txt")))
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			return fmt.Errorf("writing the pins: %w", err)
		}
	}
	for _, step := range steps {
		command := exec.CommandContext(ctx, step[0], step[1:]...)
		command.Env = Environ(slices.Concat(process.Network, indexVariables)...)
		var output bytes.Buffer
		command.Stdout, command.Stderr = &output, &output
		if err := command.Run(); err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("installing Python packages: %w", context.Cause(ctx))
			}
			return errors.Join(fmt.Errorf("%q: %w", strings.Join(step[1:], " "), err), errors.New(lastLines(output.String(), 8)))
		}
	}
	return nil
}

// setuptoolsPin is the one of setuptools with its digests, which stand on lines of their own.
var setuptoolsPin = regexp.MustCompile(`(?m)^setuptools==.*(\n +--hash=.*)+`)

func lastLines(text string, count int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-count):], "\n")
}
