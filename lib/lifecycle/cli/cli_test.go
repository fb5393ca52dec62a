package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/modfile"

	"tapstack/lib/cache"
)

// fakeCLI puts a pulumi that answers with version on a PATH of its own.
func fakeCLI(t *testing.T, folder, version string) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(folder, 0o700))
	path := filepath.Join(folder, "pulumi")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\necho "+version+"\n"), 0o700))
	return path
}

func TestACLIOnPathThatIsNewEnoughIsUsed(t *testing.T) {
	folder := t.TempDir()
	path := fakeCLI(t, folder, "v3.250.0")
	t.Setenv("PATH", folder+":/bin:/usr/bin")
	found, err := Look(t.Context())
	require.NoError(t, err)
	require.Equal(t, Found{Path: path, Version: "v3.250.0", Reason: "on PATH"}, found)
}

func TestAnOldCLIIsPassedOverForTheCachedOne(t *testing.T) {
	folder, cached := t.TempDir(), t.TempDir()
	fakeCLI(t, folder, "v3.100.0")
	t.Setenv("PATH", folder+":/bin:/usr/bin")
	t.Setenv(cache.EnvDir, cached)
	found, err := Look(t.Context())
	require.NoError(t, err)
	require.Empty(t, found.Path, "it is yet to be built")
	require.Contains(t, found.Reason, "v3.100.0")

	path := fakeCLI(t, filepath.Join(cached, "pulumi-"+found.Version, "bin"), found.Version)
	found, err = Look(t.Context())
	require.NoError(t, err)
	require.Equal(t, path, found.Path)
	used, _, err := Find(t.Context(), func(message string) { t.Errorf("nothing is built: %s", message) })
	require.NoError(t, err)
	require.Equal(t, path, used)
}

func TestTheCachedCLIIsFoundOutsideTheRepository(t *testing.T) {
	cached := t.TempDir()
	t.Setenv("PATH", "/nowhere")
	t.Setenv(cache.EnvDir, cached)
	t.Chdir(t.TempDir())
	path := fakeCLI(t, filepath.Join(cached, "pulumi-"+Version, "bin"), Version)
	used, _, err := Find(t.Context(), func(message string) { t.Errorf("nothing is built: %s", message) })
	require.NoError(t, err)
	require.Equal(t, path, used)
}

func TestWithNeitherCacheNorRepositoryTheErrorSaysWhatToDo(t *testing.T) {
	t.Setenv("PATH", "/nowhere")
	t.Setenv(cache.EnvDir, t.TempDir())
	t.Chdir(t.TempDir())
	_, err := Look(t.Context())
	require.ErrorContains(t, err, "no pulumi on PATH")
	require.ErrorContains(t, err, "none in the cache")
	require.ErrorContains(t, err, "run inside the repository")
}

func TestNothingIsBuiltFromARepositoryOfSomebodyElse(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	foreign := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(foreign, "tools"), 0o700))
	for _, name := range []string{"go.mod", "tools/go.mod", "tools/go.sum"} {
		require.NoError(t, os.WriteFile(filepath.Join(foreign, name), []byte("module "+repository+"\n"), 0o600))
	}
	below := filepath.Join(foreign, "work")
	require.NoError(t, os.Mkdir(below, 0o700))
	t.Setenv("PATH", "/nowhere")
	t.Setenv(cache.EnvDir, t.TempDir())
	t.Chdir(below)
	found, err := Look(t.Context())
	require.NoError(t, err)
	require.Empty(t, found.Path, "it would be built from there")
	for _, name := range []string{".", "go.mod", "tools", "tools/go.mod", "tools/go.sum"} {
		path := filepath.Join(foreign, name)
		require.NoError(t, os.Lchown(path, 65534, -1))
		_, err := Look(t.Context())
		require.ErrorContains(t, err, path+" belongs to another user")
		require.NoError(t, os.Lchown(path, 0, -1))
	}
}

func TestTheCLIThatIsBuiltIsTheOneOfTheToolsModule(t *testing.T) {
	root, err := RepositoryRoot()
	require.NoError(t, err)
	path := filepath.Join(root, "tools", "go.mod")
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	file, err := modfile.Parse(path, content, nil)
	require.NoError(t, err)
	versions := map[string]string{}
	for _, required := range file.Require {
		versions[required.Mod.Path] = required.Mod.Version
	}
	require.Equal(t, Version, versions[module], "Version in lib/lifecycle/engine.go is what tools/go.mod requires")
}
