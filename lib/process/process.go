// Package process is all that the tool needs of the operating system beyond what Go's library offers everywhere:
// children that the terminal's Ctrl-C does not reach, what they get of the environment, ending them with what they
// started, whether a process is alive and still the same, and whose a file is. The tool is tested on Linux; on macOS it uses the same calls. On Windows the tree compiles, and what
// has no counterpart there says so.
package process

import (
	"errors"
	"os"
)

// Kill ends a process, whoever started it. One that is gone already is none to fail for.
func Kill(pid int) error {
	found, err := os.FindProcess(pid)
	if err == nil {
		err = found.Kill()
	}
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// TempDir makes a temporary folder that the account gets to, and others too, who may pass through it: in the folder that is
// preferred, where TMPDIR says, or else where systems have one for all.
func (a *Account) TempDir(preferred, pattern string) (string, error) {
	parent := os.TempDir()
	for _, place := range []string{preferred, os.TempDir(), "/tmp", "/var/tmp"} {
		if place != "" && a.Reaches(place) {
			parent = place
			break
		}
	}
	folder, err := os.MkdirTemp(parent, pattern)
	if err != nil {
		return "", err
	}
	return folder, os.Chmod(folder, 0o711) //nolint:gosec // it is to be passed through
}
