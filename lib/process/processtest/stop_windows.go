package processtest

import "testing"

// Stop skips the test: no process is held up here.
func Stop(tb testing.TB, _ int) (resume func()) {
	tb.Helper()
	tb.Skip("Windows has no signal that stops a process")
	return nil
}
