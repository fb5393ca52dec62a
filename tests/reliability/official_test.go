//go:build linux

package reliability

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/stretchr/testify/require"

	"tapstack/lib/awsprovider"
	"tapstack/lib/cache"
	"tapstack/lib/session"
	"tapstack/tests/official/bridge"
)

// randomPlugin is the name by which an engine starts the random provider. No registry here has the official one, so that the
// test binary serves the project's own in its place.
const randomPlugin = "pulumi-resource-random"

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == randomPlugin {
		provider, err := awsprovider.NewRandom()
		if err == nil {
			err = p.RunProvider(context.Background(), "random", awsprovider.Plugins()["random"], provider)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// withOfficial makes a cache folder that has what the user's has, and the official provider's plugins.
func withOfficial(t *testing.T, users string) string {
	t.Helper()
	official := bridge.Prepare(t)
	folder := t.TempDir()
	entries, err := os.ReadDir(users)
	require.NoError(t, err)
	for _, entry := range entries {
		if entry.Name() != "plugins" {
			require.NoError(t, os.Symlink(filepath.Join(users, entry.Name()), filepath.Join(folder, entry.Name())))
		}
	}
	t.Setenv(cache.EnvDir, folder)
	plugins, err := session.LookForPlugins(t.Context())
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	for _, plugin := range plugins {
		if plugin.Name == "aws" {
			require.NoError(t, official.Install(plugin.Dir))
			continue
		}
		require.NoError(t, os.MkdirAll(plugin.Dir, 0o700))
		require.NoError(t, os.Symlink(self, filepath.Join(plugin.Dir, randomPlugin)))
	}
	return folder
}
