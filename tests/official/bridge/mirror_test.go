package bridge

import (
	"archive/zip"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/cache"
)

func TestTheProviderIsFoundInAMirrorUnpackedOrPacked(t *testing.T) {
	platform := runtime.GOOS + "_" + runtime.GOARCH
	for name, fill := range map[string]func(t *testing.T, folder string){
		"unpacked": func(t *testing.T, folder string) {
			inner := filepath.Join(folder, version, platform)
			require.NoError(t, os.MkdirAll(inner, 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(inner, "terraform-provider-aws_v"+version+"_x5"), []byte("it"), 0o700))
		},
		"packed": func(t *testing.T, folder string) {
			file, err := os.Create(filepath.Join(folder, "terraform-provider-aws_"+version+"_"+platform+".zip"))
			require.NoError(t, err)
			archive := zip.NewWriter(file)
			inner, err := archive.Create("terraform-provider-aws_v" + version + "_x5")
			require.NoError(t, err)
			_, err = inner.Write([]byte("it"))
			require.NoError(t, err)
			require.NoError(t, archive.Close())
			require.NoError(t, file.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			mirror := t.TempDir()
			t.Setenv(mirrorVariable, mirror)
			t.Setenv(cache.EnvDir, t.TempDir())
			folder := filepath.Join(mirror, "registry.terraform.io", "hashicorp", "aws")
			require.NoError(t, os.MkdirAll(folder, 0o700))
			fill(t, folder)
			found, err := findProvider()
			require.NoError(t, err)
			content, err := os.ReadFile(found)
			require.NoError(t, err)
			assert.Equal(t, "it", string(content))
		})
	}
}
