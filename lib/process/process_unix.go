//go:build unix

package process

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// OwnSession has command run in a session, and so in a process group, of its own: the terminal's Ctrl-C is for the tool.
func OwnSession(command *exec.Cmd) {
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.SysProcAttr.Setsid = true
}

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

// Kin are a process's parent, its group and its session, in this order. There are none where there is no such process, or no
// /proc.
func Kin(pid int) []int {
	fields := stat(pid)
	if len(fields) < 4 {
		return nil
	}
	kin := make([]int, 3)
	for i := range kin {
		kin[i], _ = strconv.Atoi(fields[1+i])
	}
	return kin
}

// Consumed is the CPU time of a process and those that it has waited for, in seconds, and its resident memory, in bytes
// (proc_pid_stat(5)); 0 where nobody tells.
func Consumed(pid int) (seconds, resident float64) {
	fields := stat(pid)
	const utime, cstime, rss, ticks = 14 - 3, 17 - 3, 24 - 3, 100 // the state is field 3
	if len(fields) <= rss {
		return 0, 0
	}
	for _, field := range fields[utime : cstime+1] {
		n, _ := strconv.ParseFloat(field, 64)
		seconds += n / ticks
	}
	pages, _ := strconv.ParseFloat(fields[rss], 64)
	return seconds, pages * float64(os.Getpagesize())
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

// Children are the processes that a process started itself and that have not been waited for, where there is a /proc.
func Children(pid int) []int {
	entries, _ := os.ReadDir("/proc")
	var children []int
	for _, entry := range entries {
		child, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if fields := stat(child); len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			children = append(children, child)
		}
	}
	return children
}

// stopLimit bounds the wait for a process to stop that is to start no more others.
const stopLimit = time.Second

// KillWithChildren kills a process with those that it has started, where there is a /proc to find them by. It is stopped first: it
// could start one more meanwhile, which would be nobody's.
func KillWithChildren(pid int) error {
	err := syscall.Kill(pid, syscall.SIGSTOP)
	for began := time.Now(); err == nil && running(pid) && time.Since(began) < stopLimit; {
		time.Sleep(time.Millisecond)
	}
	children := Children(pid)
	if err = Kill(pid); err != nil {
		return err
	}
	for _, child := range children {
		_ = Kill(child) // it may have ended
	}
	return nil
}

// running says of a process whether it could do something.
func running(pid int) bool {
	fields := stat(pid)
	return len(fields) > 0 && !strings.ContainsAny(fields[0], "TtZX")
}

// Account is a user of this machine that root runs programs as which refuse to run as root. A nil one is the caller itself.
type Account struct{ uid, gid uint32 }

// Unprivileged is the first of these users that there is, else nobody; nil where the caller is not root.
func Unprivileged(names ...string) *Account {
	if os.Geteuid() != 0 {
		return nil
	}
	for _, name := range append(names, "nobody") {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(found.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(found.Gid, 10, 32)
		if uidErr == nil && gidErr == nil && uid != 0 {
			return &Account{uint32(uid), uint32(gid)}
		}
	}
	const overflow = 65534 // what the kernel takes for a user that it cannot name
	return &Account{overflow, overflow}
}

// Run has a command run as that user.
func (a *Account) Run(command *exec.Cmd) {
	if a == nil {
		return
	}
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.SysProcAttr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
}

// Own makes a file, or a link itself, that user's.
func (a *Account) Own(path string) error {
	if a == nil {
		return nil
	}
	return os.Lchown(path, int(a.uid), int(a.gid))
}

// Reaches says whether that user gets as far as path: every folder on the way must let others pass.
func (a *Account) Reaches(path string) bool {
	if a == nil {
		return true
	}
	for folder := filepath.Clean(path); ; folder = filepath.Dir(folder) {
		info, err := os.Stat(folder)
		if err != nil || info.Mode()&0o001 == 0 {
			return false
		}
		if folder == filepath.Dir(folder) {
			return true
		}
	}
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
