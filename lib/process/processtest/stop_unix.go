//go:build unix

package processtest

import (
	"syscall"
	"testing"
)

// Stop holds a process up, and answers with what lets it go on.
func Stop(tb testing.TB, pid int) (resume func()) {
	tb.Helper()
	signal := func(s syscall.Signal) {
		if err := syscall.Kill(pid, s); err != nil {
			tb.Fatalf("%s to process %d: %s", s, pid, err)
		}
	}
	signal(syscall.SIGSTOP)
	return func() { signal(syscall.SIGCONT) }
}
