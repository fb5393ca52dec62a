package lifecycle

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"tapstack/lib/lifecycle/cache"
)

// fakeCLI puts a pulumi that answers with version on a PATH of its own.
func fakeCLI(t *testing.T, folder, version string) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(folder, 0o755))
	path := filepath.Join(folder, "pulumi")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\necho "+version+"\n"), 0o755))
	return path
}

func TestACLIOnPathThatIsNewEnoughIsUsed(t *testing.T) {
	folder := t.TempDir()
	path := fakeCLI(t, folder, "v3.250.0")
	t.Setenv("PATH", folder+":/bin:/usr/bin")
	found, err := LookForEngine(t.Context())
	require.NoError(t, err)
	require.Equal(t, Found{Path: path, Version: "v3.250.0", Reason: "on PATH"}, found)
}

func TestAnOldCLIIsPassedOverForTheCachedOne(t *testing.T) {
	folder, cached := t.TempDir(), t.TempDir()
	fakeCLI(t, folder, "v3.100.0")
	t.Setenv("PATH", folder+":/bin:/usr/bin")
	t.Setenv(cache.EnvDir, cached)

	found, err := LookForEngine(t.Context())
	require.NoError(t, err)
	require.Empty(t, found.Path, "it is yet to be built")
	require.Contains(t, found.Reason, "v3.100.0")

	path := fakeCLI(t, filepath.Join(cached, "pulumi-"+found.Version, "bin"), found.Version)
	found, err = LookForEngine(t.Context())
	require.NoError(t, err)
	require.Equal(t, path, found.Path)
	engine, err := FindEngine(t.Context(), func(message string) { t.Errorf("nothing is built: %s", message) })
	require.NoError(t, err)
	require.Equal(t, path, engine.Path())
}

func TestWithoutTheRepositoryTheErrorSaysWhereToRun(t *testing.T) {
	t.Setenv("PATH", "/nowhere")
	t.Chdir(t.TempDir())
	_, err := LookForEngine(t.Context())
	require.ErrorContains(t, err, "no pulumi on PATH")
	require.ErrorContains(t, err, "run inside the repository")
}

func TestThePinnedVersionIsThatOfTheToolsModule(t *testing.T) {
	root, err := RepositoryRoot()
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(root, "tools", "go.mod"))
	version, err := pinnedCLI(root)
	require.NoError(t, err)
	require.Regexp(t, `^v3\.\d+\.\d+$`, version)
}

func TestTheEngineSeesNeitherPulumiSettingsNorForeignCredentials(t *testing.T) {
	t.Setenv("PULUMI_ACCESS_TOKEN", "x")
	t.Setenv("AWS_PROFILE", "production")
	own := newCommand(&Engine{}, map[string]string{"AWS_ACCESS_KEY_ID": "test"})
	require.NotContains(t, own.env, "PULUMI_ACCESS_TOKEN=x")
	require.NotContains(t, own.env, "AWS_PROFILE=production")
	require.Contains(t, own.env, "AWS_ACCESS_KEY_ID=test")
	require.Contains(t, newCommand(&Engine{}, nil).env, "AWS_PROFILE=production")
}
