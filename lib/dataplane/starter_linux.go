package dataplane

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
)

// starter starts processes that the kernel kills when this one ends, however it ends.
type starter struct{ work chan func() }

func newStarter() (*starter, error) {
	s := &starter{make(chan func())}
	go func() {
		// The signal comes when the thread ends that started the process (PR_SET_PDEATHSIG, prctl(2)): it must be one that stays.
		runtime.LockOSThread()
		for f := range s.work {
			f()
		}
	}()
	return s, nil
}

func (s *starter) close() { close(s.work) }

// start starts a command in a process group of its own, as a user and group if this process may choose them.
func (s *starter) start(command *exec.Cmd, who identity) error {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		command.SysProcAttr.Credential = &syscall.Credential{Uid: who.uid, Gid: who.gid, Groups: []uint32{}}
		file, err := reopened(command)
		if err != nil {
			return err
		}
		if file != nil {
			defer func() { _ = file.Close() }()
		}
	}
	done := make(chan error)
	s.work <- func() { done <- command.Start() }
	return <-done
}

// reopened has a program started from where it is open already. The user that it becomes may have no way to its folder.
func reopened(command *exec.Cmd) (*os.File, error) {
	if !filepath.IsAbs(command.Path) {
		return nil, nil
	}
	file, err := os.Open(command.Path)
	if err != nil {
		return nil, err
	}
	magic := make([]byte, 4)
	if _, err := io.ReadFull(file, magic); err != nil || !bytes.Equal(magic, []byte("\x7fELF")) {
		return nil, file.Close() // a script, which its interpreter opens by its name
	}
	command.ExtraFiles = append(command.ExtraFiles, file)
	// A process that has changed its user may look into its own /proc only after it has become another program.
	command.Args = append([]string{"/bin/sh", "-c", `unset PWD; exec "$0" "$@"`, fmt.Sprintf("/proc/self/fd/%d", 2+len(command.ExtraFiles))}, command.Args[1:]...)
	command.Path = "/bin/sh"
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

// passable says whether other users get as far as a folder, if that matters.
func passable(folder string) bool {
	for ; os.Geteuid() == 0; folder = filepath.Dir(folder) {
		if info, err := os.Stat(folder); err != nil || info.Mode()&0o001 == 0 {
			return false
		}
		if folder == filepath.Dir(folder) {
			break
		}
	}
	return true
}
