//go:build unix

package process

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
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
	fields := stat(pid)
	return len(fields) > 0 && fields[0] == "Z"
}

// stat are the fields of /proc/PID/stat from the state on; none where there is no such file.
func stat(pid int) []string {
	content, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return nil
	}
	// The state follows the command's name, which is in parentheses and may contain anything.
	return strings.Fields(string(content[bytes.LastIndexByte(content, ')')+1:]))
}

// Birth tells a process from all others that have had, or will have, its id: when it was started. It is empty where there
// is no such process, or nobody tells.
func Birth(pid int) string {
	const started = 22 - 3 // starttime, in clock ticks since the machine was started (proc_pid_stat(5)); the state is field 3
	if fields := stat(pid); len(fields) > started {
		boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
		return strings.TrimSpace(string(boot)) + " " + fields[started]
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	command := exec.CommandContext(ctx, "ps", "-o", "lstart=", "-p", strconv.Itoa(pid))
	command.Env = append(Environment(), "LC_ALL=C", "TZ=UTC")
	output, err := command.Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(output))
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

// FreeSpace is how many bytes the caller may still write to the disk that path is on.
func FreeSpace(path string) (uint64, error) {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(path, &disk); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	return uint64(disk.Bavail) * uint64(disk.Bsize), nil //nolint:gosec,unconvert // their types differ between systems
}
