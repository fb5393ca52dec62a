//go:build !linux

package dataplane

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
)

type starter struct{}

func newStarter(string) (*starter, error) {
	return nil, fmt.Errorf("the data plane runs on Linux, not on %s: there is one loopback address only. Use Linux, a virtual machine or WSL 2", runtime.GOOS)
}

func (*starter) close() error { return nil }

func (*starter) start(*exec.Cmd, identity) error { return errors.ErrUnsupported }

func (*starter) ended(int) {}

func signalGroup(int, syscall.Signal) {}

func own(string, identity) error { return nil }
