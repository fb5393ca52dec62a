package dataplane

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"tapstack/lib/process"
)

// starter starts processes that end with this one, however it ends, and so does the folder.
type starter struct {
	reaper *process.Reaper
	nobody *process.Account
}

// leastFiles is how many files a process must be able to open: each request, each connection to the database and each file that is
// copied takes some.
const leastFiles = 1024

// filesFor refuses a limit of open files that is too low. Go raises what a process has to the most that it may have, which is the limit
// that counts.
func filesFor(most uint64) error {
	if most >= leastFiles {
		return nil
	}
	return fmt.Errorf("the data plane needs %d open files, and may have %d here: raise the limit (ulimit -Hn), or go without it (--data-plane=off)", leastFiles, most)
}

func newStarter(folder string) (*starter, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return nil, fmt.Errorf("reading the limit of open files: %w", err)
	}
	if err := filesFor(limit.Max); err != nil {
		return nil, err
	}
	reaper, err := process.StartReaper("chmod -R u+w \"$@\"", folder)
	if err != nil {
		return nil, err
	}
	return &starter{reaper, process.Unprivileged()}, nil
}

// close ends what is left and removes the folder.
func (s *starter) close() error { return s.reaper.Close() }

// start starts a command in a session of its own, as a user and group if this process may choose them.
func (s *starter) start(command *exec.Cmd, who identity) error {
	if os.Geteuid() == 0 {
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: who.uid, Gid: who.gid, Groups: []uint32{}}}
		file, err := s.reopened(command)
		if err != nil {
			return err
		}
		if file != nil {
			defer func() { _ = file.Close() }()
		}
	}
	return s.reaper.Start(command, int(syscall.SIGKILL))
}

// ended is for a process that has been waited for.
func (s *starter) ended(pid int) { s.reaper.Forget(pid) }

// reopened has a program started from where it is open already, if the user that it becomes has no way to its folder. It works for
// what is started by a shell of that user, as the reaper does: a process may look into its own /proc only if it has not changed
// its user since it became that program.
func (s *starter) reopened(command *exec.Cmd) (*os.File, error) {
	program, err := filepath.EvalSymlinks(command.Path)
	if err != nil || s.nobody.Reaches(filepath.Dir(program)) {
		return nil, err
	}
	file, err := os.Open(command.Path)
	if err != nil {
		return nil, err
	}
	magic := make([]byte, 4)
	if _, err := io.ReadFull(file, magic); err != nil || !bytes.Equal(magic, []byte("\x7fELF")) {
		_ = file.Close()
		return nil, fmt.Errorf("%s is a script in a folder that the task's user does not get to, as its interpreter would have to: put it where other users may read it", program)
	}
	command.ExtraFiles = append(command.ExtraFiles, file)
	command.Path = fmt.Sprintf("/proc/self/fd/%d", 2+len(command.ExtraFiles))
	return file, nil
}

// signalGroup sends a signal to a process and all that it started.
func signalGroup(pid int, signal syscall.Signal) { _ = syscall.Kill(-pid, signal) }

// own gives a file or folder to a user and group if this process may.
func own(path string, who identity) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return os.Chown(path, int(who.uid), int(who.gid))
}
