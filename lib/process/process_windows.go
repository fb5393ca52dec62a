package process

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// OwnSession has command run in a process group of its own: the console's Ctrl-C is for the tool.
func OwnSession(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

// KillGroup ends a child and all that it started.
func KillGroup(pid int) error {
	return exec.Command("taskkill", "/t", "/f", "/pid", strconv.Itoa(pid)).Run()
}

// Alive says whether there is such a process.
func Alive(pid int) bool {
	found, err := os.FindProcess(pid)
	if err == nil {
		_ = found.Release()
	}
	return err == nil
}

// Consumed is the CPU time of a process and its resident memory, which are not told here.
func Consumed(int) (seconds, resident float64) { return 0, 0 }

// Birth tells a process from all others that have had, or will have, its id: when it was started. It is empty where there
// is no such process.
func Birth(pid int) string {
	handle, err := syscall.OpenProcess(syscall.PROCESS_QUERY_INFORMATION, false, uint32(pid))
	if err != nil {
		return ""
	}
	defer func() { _ = syscall.CloseHandle(handle) }()
	var started, ended, kernel, user syscall.Filetime
	if err := syscall.GetProcessTimes(handle, &started, &ended, &kernel, &user); err != nil {
		return ""
	}
	return strconv.FormatInt(started.Nanoseconds(), 10)
}

// Children are not told here.
func Children(int) []int { return nil }

// KillWithChildren kills a process alone: whom it has started is not told here.
func KillWithChildren(pid int) error { return Kill(pid) }

// Account is a user of this machine; here there is none but the caller.
type Account struct{}

// Unprivileged is nil: nobody is root here.
func Unprivileged(...string) *Account { return nil }

// Run changes nothing.
func (*Account) Run(*exec.Cmd) {}

// Own changes nothing.
func (*Account) Own(string) error { return nil }

// Reaches is true: the caller is the only user.
func (*Account) Reaches(string) bool { return true }

// Trusted takes every file for the caller's own: who may write where is not told by an owner here.
func Trusted(path string) (bool, error) {
	_, err := os.Lstat(path)
	return err == nil, err
}

// FreeSpace is not told here.
func FreeSpace(path string) (uint64, error) {
	return 0, &os.PathError{Op: "free space", Path: path, Err: errors.ErrUnsupported}
}
