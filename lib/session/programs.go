package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"tapstack/lib/cache"
)

const (
	// servicesVariable names the program of the reference services; without it, the one beside this program is taken.
	servicesVariable = "TAPSTACK_SERVICES"
	servicesName     = "services"
	// module is the name of this project's, in whose source the reference services are.
	module = "tapstack"
)

// Containers are those that the stack has, each one of a task.
func Containers() []string { return []string{"payment-api", "job-processor", migrationTask} }

// Programs reads commands that stand for containers' images, each as CONTAINER=COMMAND, and tells all that is wrong with them.
func Programs(given []string) (map[string][]string, error) {
	run := map[string][]string{}
	var faults []error
	for _, it := range given {
		container, line, _ := strings.Cut(it, "=")
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
			faults = append(faults, fmt.Errorf("--run %q is not CONTAINER=COMMAND", it))
			continue
		case !slices.Contains(Containers(), container):
			faults = append(faults, fmt.Errorf("--run %s: there is no such container: choose one of %s", container, strings.Join(Containers(), ", ")))
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

// programs has all containers that have no command run the reference services.
func programs(ctx context.Context, given map[string][]string, notify func(string)) (map[string][]string, error) {
	run, services := maps.Clone(given), ""
	for _, name := range Containers() {
		if run[name] != nil {
			continue
		}
		if services == "" {
			var err error
			if services, err = referenceServices(ctx, notify); err != nil {
				return nil, err
			}
		}
		run[name] = []string{services, name}
	}
	return run, nil
}

// referenceServices finds their program: where the variable says, beside this one, or built from the source that it runs in.
func referenceServices(ctx context.Context, notify func(string)) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding the reference services: %w", err)
	}
	named := os.Getenv(servicesVariable)
	place := cmp.Or(named, filepath.Join(filepath.Dir(self), servicesName))
	if _, err := os.Stat(place); err == nil { //nolint:gosec // the user names it
		return filepath.Abs(place)
	}
	missing := fmt.Errorf("the reference services are not at %s: make tap builds them; or name programs of your own with --run, or say --data-plane=off", place)
	if named != "" {
		return "", missing
	}
	found, err := exec.CommandContext(ctx, "go", "list", "-m").Output()
	if err != nil || strings.TrimSpace(string(found)) != module {
		return "", missing
	}
	dir, err := cache.Dir()
	if err != nil {
		return "", err
	}
	notify("Building the reference services.")
	built := filepath.Join(dir, servicesName)
	out, err := exec.CommandContext(ctx, "go", "build", "-o", built, module+"/fixtures/services").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the reference services: %w: %s", err, out)
	}
	return built, nil
}
