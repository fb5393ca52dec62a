// Package reference builds the reference services (fixtures/services) for tests that have a data plane run them.
package reference

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"tapstack/lib/session"
)

// build builds the program once for each test binary, into a folder that others may enter: tasks run as other users.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "tapstack-services-*")
	if err != nil {
		return "", err
	}
	built := filepath.Join(dir, "services")
	command := exec.Command("go", "build", "-o", built, "tapstack/fixtures/services")
	command.Stderr = os.Stderr
	if err := command.Run(); err != nil {
		return "", err
	}
	return built, os.Chmod(dir, 0o755) //nolint:gosec // the same
})

// DataPlane has a data plane run the reference services.
func DataPlane(tb testing.TB) *session.DataPlane {
	tb.Helper()
	program, err := build()
	require.NoError(tb, err, "building the reference services")
	run := map[string][]string{}
	for _, name := range session.Containers() {
		run[name] = []string{program, name}
	}
	return &session.DataPlane{Run: run}
}

// Clean removes what was built. TestMain calls it.
func Clean() {
	if built, err := build(); err == nil {
		_ = os.RemoveAll(filepath.Dir(built))
	}
}
