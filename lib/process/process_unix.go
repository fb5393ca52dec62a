//go:build unix

package process

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// OwnSession has command run in a session, and so in a process group, of its own: the terminal's Ctrl-C is for the tool.
func OwnSession(command *exec.Cmd) { command.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// KillGroup ends a child with a session of its own, and all that it started.
func KillGroup(pid int) error { return syscall.Kill(-pid, syscall.SIGKILL) }

// Alive says whether there is such a process. A dead one whose parent has yet to notice is none.
func Alive(pid int) bool {
	return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) && !zombie(pid)
}

// zombie can tell where there is a /proc.
func zombie(pid int) bool {
	content, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return false
	}
	// The state follows the command's name, which is in parentheses and may contain anything.
	_, after, found := strings.Cut(string(content[bytes.LastIndexByte(content, ')')+1:]), " ")
	return found && strings.HasPrefix(after, "Z")
}

// Trusted says whether a file, or a link itself, is the caller's own or root's.
func Trusted(path string) (bool, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return false, err
	}
	owner := int(info.Sys().(*syscall.Stat_t).Uid)
	return owner == 0 || owner == os.Geteuid(), nil
}
