// Package reference builds the reference services (fixtures/services) for tests that have a data plane run them, and deploys a
// stack with them.
package reference

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gruntwork-io/terratest/modules/random"
	"github.com/stretchr/testify/require"

	"tapstack/lib/process"
	"tapstack/lib/session"
	"tapstack/lib/target"
)

// dir is where the program was built, if it was.
var dir string

// build builds the program once for each test binary, into a folder that others may enter: tasks run as other users.
var build = sync.OnceValues(func() (_ string, err error) {
	if dir, err = process.Unprivileged().TempDir("", "tapstack-services-*"); err != nil {
		return "", err
	}
	built := filepath.Join(dir, "services")
	command := exec.Command("go", "build", "-o", built, "tapstack/fixtures/services")
	command.Stderr = os.Stderr
	return built, command.Run()
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

// Clean removes what was built, if anything was. TestMain calls it.
func Clean() {
	_ = os.RemoveAll(dir)
}

// Deployed is a session with a stack that runs the programs, or the reference services for those that it leaves out, and whose
// database is migrated, until the test ends.
func Deployed(t *testing.T, run map[string][]string, config map[string]string) (context.Context, *session.Session) {
	t.Helper()
	plane := DataPlane(t)
	maps.Copy(plane.Run, run)
	options := session.Options{
		Target: target.Options{Name: target.Local}, Suffix: "pay-" + strings.ToLower(random.UniqueID()),
		DataPlane: plane, Changes: true, Progress: notes{t: t},
	}
	_, err := options.Configure(t.Context(), session.Settings{Fresh: true, Assume: true, Given: config})
	require.NoError(t, err)
	s, ctx := session.New(context.Background(), options)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, s.OpenNew(ctx))
	planned, err := s.Preview(ctx)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := s.CleanupContext(ctx)
		defer cancel()
		_, err := s.Destroy(ctx)
		require.NoError(t, err)
		left, err := s.Prove(ctx)
		require.NoError(t, err)
		require.Empty(t, left)
	})
	_, err = s.Up(ctx, planned)
	require.NoError(t, err)
	_, err = s.Migrate(ctx)
	require.NoError(t, err)
	return ctx, s
}

// notes hands on what a session notes.
type notes struct {
	session.Quiet
	t *testing.T
}

func (n notes) Note(text string) { n.t.Log(text) }
