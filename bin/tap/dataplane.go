package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"

	"github.com/spf13/cobra"

	"tapstack/lib/session"
	"tapstack/lib/target"
)

// Values of --data-plane.
const (
	planeAuto = "auto"
	planeOn   = "on"
	planeOff  = "off"
)

// planeCommand is the hidden command that is the data plane of `tap up`.
const planeCommand = "data-plane"

// plane is the data plane that the flags ask for: one that runs already for a command that starts none, nil on AWS.
func (o *options) plane(runs bool) (*session.DataPlane, error) {
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
	run, err := session.Programs(o.run)
	if err := errors.Join(append(faults, err)...); err != nil || o.target == target.AWS {
		return nil, err
	}
	wanted := runs && (o.dataPlane == planeOn || o.dataPlane == planeAuto && (o.target == target.Local || len(run) > 0) && runtime.GOOS == "linux")
	if !wanted {
		return &session.DataPlane{}, nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding tap itself: %w", err)
	}
	daemon := append([]string{self, planeCommand, "--data-plane=" + planeOn}, o.rerun()...)
	for _, given := range o.run {
		daemon = append(daemon, "--run", given)
	}
	return &session.DataPlane{Run: run, Daemon: daemon}, nil
}

// dataPlaneCommand is what `tap up` starts and leaves running.
func (a *app) dataPlaneCommand() *cobra.Command {
	command := a.does(&cobra.Command{
		Use: planeCommand, Short: "Run what is deployed, until the stack is destroyed", Hidden: true,
	}, always(needs{runs: true}), func(ctx context.Context, s *session.Session, _ *request) error {
		return s.ServeDataPlane(ctx, os.Stdin, a.stdout.Out)
	})
	a.options.bindDataPlane(command.Flags())
	return command
}
