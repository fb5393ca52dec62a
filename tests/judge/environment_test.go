package judge

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"tapstack/lib/cache"
	"tapstack/lib/process/python"
)

//go:embed requirements
var requirements embed.FS

// environment is a Python environment with one judge.
type environment struct{ folder, version string }

// prepare makes the environment of a judge in the cache folder, unless it is there.
func prepare(ctx context.Context, j judge) (environment, error) {
	name := j.name
	pins, err := requirements.ReadFile("requirements/" + name + ".txt")
	if err != nil {
		return environment{}, err
	}
	version := regexp.MustCompile(`(?m)^` + name + `==(\S+)`).FindSubmatch(pins)
	if version == nil {
		return environment{}, fmt.Errorf("requirements/%s.txt pins no %[1]s", name)
	}
	dir, err := cache.Dir()
	if err != nil {
		return environment{}, err
	}
	digest := sha256.Sum256(pins)
	e := environment{filepath.Join(dir, fmt.Sprintf("%s-%s-%x", name, version[1], digest[:4])), string(version[1])}
	err = cache.Make(ctx, e.folder, func(ctx context.Context, folder string) error {
		found, err := python.Find(ctx, j.versions)
		if err != nil {
			return err
		}
		fmt.Printf("Installing %s %s with %s, once.\n", name, e.version, found)
		return python.Install(ctx, found, folder, pins, j.sources...)
	})
	if err != nil {
		return environment{}, fmt.Errorf("installing %s %s: %w", name, e.version, err)
	}
	return e, nil
}

// script is a command that a package brings along. Its first line names the interpreter of the folder that it was made in, so
// that it is for run alone.
func (e environment) script(name string) string { return filepath.Join(e.folder, "bin", name) }

// run runs a program of the environment. Judges exit with a status of their own when they have found something, so that only
// one that answers nothing has failed.
func (e environment) run(ctx context.Context, variables []string, input io.Reader, arguments ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, python.Interpreter(e.folder), arguments...)
	var output, errs bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = input, &output, &errs
	command.Env = append(python.Environ(), variables...)
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || output.Len() == 0) {
		text := strings.TrimSpace(errs.String())
		return nil, fmt.Errorf("running %q: %w: %s", arguments, err, text[max(0, len(text)-2000):])
	}
	return output.Bytes(), nil
}

// lines runs a script of this folder that takes JSON and tells a finding a line.
func (e environment) lines(ctx context.Context, script string, input any) ([]finding, error) {
	text, err := json.Marshal(input)
	if err != nil {
		return nil, err
	}
	output, err := e.run(ctx, nil, bytes.NewReader(text), "-I", script)
	if err != nil && len(output) > 0 {
		return nil, err
	}
	var found []finding
	for line := range bytes.Lines(output) {
		var one finding
		if err := json.Unmarshal(line, &one); err != nil {
			return nil, fmt.Errorf("%s said %q: %w", script, line, err)
		}
		found = append(found, one)
	}
	return found, err
}
