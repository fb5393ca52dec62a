package main

import (
	"os/exec"
	"syscall"
)

// endWithParent has the kernel end the child when this process ends, however it ends.
func endWithParent(child *exec.Cmd) {
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
