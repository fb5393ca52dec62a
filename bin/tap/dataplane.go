package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tapstack/lib/cache"
	"tapstack/lib/session"
	"tapstack/lib/target"
)

// Values of --data-plane.
const (
	planeAuto = "auto"
	planeOn   = "on"
	planeOff  = "off"
)

const (
	// planeCommand is the hidden command that is the data plane of `tap up`.
	planeCommand = "data-plane"
	// servicesVariable names the program of the reference services; without it, the one beside tap is taken.
	servicesVariable = "TAPSTACK_SERVICES"
	servicesName     = "services"
)

// dataPlane is what the flags ask for; nil for none.
func (o *options) plane() (*session.DataPlane, error) {
	var faults []error
	if !slices.Contains([]string{"", planeAuto, planeOn, planeOff}, o.dataPlane) {
		faults = append(faults, fmt.Errorf("unknown --data-plane %q: choose auto, on or off", o.dataPlane))
	}
	switch {
	case o.dataPlane == planeOn && o.target == target.AWS:
		faults = append(faults, errors.New("--data-plane is for emulators: AWS runs what is deployed itself"))
	case o.dataPlane == planeOn && runtime.GOOS != "linux":
		faults = append(faults, errors.New("--data-plane needs Linux: each task has an address of the loopback range of its own"))
	case o.dataPlane == planeOff && len(o.run) > 0:
		faults = append(faults, errors.New("--run and --data-plane=off exclude each other: nothing runs without the data plane"))
	}
	run, err := o.commands()
	if err := errors.Join(append(faults, err)...); err != nil || o.target == target.AWS {
		return nil, err
	}
	wanted := o.dataPlane == planeOn || o.dataPlane == planeAuto && (o.target == target.Local || len(run) > 0) && runtime.GOOS == "linux"
	if !wanted {
		return &session.DataPlane{}, nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding tap itself: %w", err)
	}
	daemon := append([]string{self, planeCommand}, o.rerun()...)
	for _, name := range session.Containers() {
		for _, given := range o.run {
			if strings.HasPrefix(given, name+"=") {
				daemon = append(daemon, "--run", given)
			}
		}
	}
	return &session.DataPlane{Run: run, Daemon: daemon}, nil
}

// commands are those of --run.
func (o *options) commands() (map[string][]string, error) {
	run := map[string][]string{}
	var faults []error
	for _, given := range o.run {
		container, line, found := strings.Cut(given, "=")
		words := strings.Fields(line)
		switch {
		case !found || len(words) == 0:
			faults = append(faults, fmt.Errorf("--run %q is not CONTAINER=COMMAND", given))
			continue
		case !slices.Contains(session.Containers(), container):
			faults = append(faults, fmt.Errorf("--run %s: there is no such container: choose one of %s", container, strings.Join(session.Containers(), ", ")))
			continue
		case run[container] != nil:
			faults = append(faults, fmt.Errorf("--run %s is given twice", container))
		}
		program, err := exec.LookPath(words[0])
		if err == nil {
			program, err = filepath.Abs(program)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("--run %s: %w", container, err))
		}
		run[container] = append([]string{program}, words[1:]...)
	}
	return run, errors.Join(faults...)
}

// withReferenceServices has all containers that no --run names run the reference services.
func withReferenceServices(ctx context.Context, plane *session.DataPlane, notify func(string)) error {
	if plane == nil || plane.Run == nil {
		return nil
	}
	for _, name := range session.Containers() {
		if plane.Run[name] != nil {
			continue
		}
		program, err := referenceServices(ctx, notify)
		if err != nil {
			return err
		}
		plane.Run[name] = []string{program, name}
	}
	return nil
}

// referenceServices finds the program: where the variable says, beside tap, or built from the source that this is run in.
func referenceServices(ctx context.Context, notify func(string)) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding tap itself: %w", err)
	}
	beside := cmp.Or(os.Getenv(servicesVariable), filepath.Join(filepath.Dir(self), servicesName))
	if _, err := os.Stat(beside); err == nil {
		return filepath.Abs(beside)
	}
	missing := fmt.Errorf("the reference services are not at %s: make tap builds them; or name programs of your own with --run, or say --data-plane=off", beside)
	if os.Getenv(servicesVariable) != "" {
		return "", missing
	}
	module, err := exec.CommandContext(ctx, "go", "list", "-m").Output()
	if err != nil || strings.TrimSpace(string(module)) != "tapstack" {
		return "", missing
	}
	dir, err := cache.Dir()
	if err != nil {
		return "", err
	}
	notify("Building the reference services.")
	built := filepath.Join(dir, servicesName)
	out, err := exec.CommandContext(ctx, "go", "build", "-o", built, "tapstack/fixtures/services").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the reference services: %w: %s", err, out)
	}
	return built, nil
}

// dataPlaneCommand is what `tap up` starts and leaves running.
func (a *app) dataPlaneCommand() *cobra.Command {
	command := a.does(&cobra.Command{
		Use: planeCommand, Short: "Run what is deployed, until the stack is destroyed", Hidden: true,
	}, always(needs{}), func(ctx context.Context, s *session.Session, _ *request) error {
		return s.ServeDataPlane(ctx, os.Stdin, a.stdout.Out)
	})
	a.options.bindDataPlane(command.Flags())
	return command
}
