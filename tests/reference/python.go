package reference

import (
	"embed"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"tapstack/lib/process"
)

// NoPython is why something is skipped.
const NoPython = "there is no python3 that other users of this machine can get to"

//go:embed testdata
var programs embed.FS

// Python tells how to run the programs of testdata, which stand in for services of somebody else's, where tasks can get to them:
// they run as another user where this is root. What is made for it is gone when the test ends. It is nil where there is NoPython.
func Python(tb testing.TB) func(program string, arguments ...string) []string {
	tb.Helper()
	nobody := process.Unprivileged()
	dir, err := nobody.TempDir("", "tapstack-python-*")
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, os.RemoveAll(dir)) })
	require.NoError(tb, os.Chmod(dir, 0o755)) //nolint:gosec // others must get there
	all, err := fs.Sub(programs, "testdata")
	require.NoError(tb, err)
	require.NoError(tb, os.CopyFS(dir, all))
	found, _ := exec.LookPath("python3")
	for _, candidate := range []string{found, "/usr/bin/python3", "/usr/local/bin/python3"} {
		python, err := filepath.EvalSymlinks(candidate)
		if err == nil && nobody.Reaches(filepath.Dir(python)) {
			return func(program string, arguments ...string) []string {
				return append([]string{python, filepath.Join(dir, program)}, arguments...)
			}
		}
	}
	return nil
}
