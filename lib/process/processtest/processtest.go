// Package processtest is for tests that start processes.
package processtest

import "testing"

// SkipIfShort skips a test that starts the engine, an emulator, a container, a browser or a compiler: go test -short is
// done in seconds.
func SkipIfShort(tb testing.TB) {
	tb.Helper()
	if testing.Short() {
		tb.Skip("-short: starts processes")
	}
}
