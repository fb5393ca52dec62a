package lifecycle

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// mended is the folder of states in which these files were, "-" for none, and that was then mended.
func mended(t *testing.T, files map[string]string) string {
	t.Helper()
	f := folder(t.TempDir())
	stacks := filepath.Dir(f.state("toy", "dev"))
	require.NoError(t, os.MkdirAll(stacks, 0o700))
	for file, content := range files {
		if content != "-" {
			require.NoError(t, os.WriteFile(filepath.Join(stacks, file), []byte(content), 0o600))
		}
	}
	require.NoError(t, f.mend("toy", "dev"))
	return stacks
}

func TestAStateThatAKilledEngineCutShortIsPutBack(t *testing.T) {
	const whole, former = `{"version": 3, "n": 2}`, `{"version": 3, "n": 1}`
	for name, c := range map[string]struct{ state, backup, want string }{
		"a whole one stays":             {whole, former, whole},
		"an empty one is replaced":      {"", former, former},
		"half of one is replaced":       {whole[:9], former, former},
		"nothing whole to put there":    {whole[:9], former[:9], whole[:9]},
		"nothing at all to put there":   {"", "-", ""},
		"a removed stack stays removed": {"-", former, "-"},
	} {
		t.Run(name, func(t *testing.T) {
			stacks := mended(t, map[string]string{"dev.json": c.state, "dev.json.bak": c.backup})
			got, err := os.ReadFile(filepath.Join(stacks, "dev.json"))
			if c.want == "-" {
				require.ErrorIs(t, err, os.ErrNotExist)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, string(got))
		})
	}
}

func TestAttributesThatAKilledEngineCutShortAreRemoved(t *testing.T) {
	stacks := mended(t, map[string]string{"dev.json": "{}", "dev.json.attrs": "", "dev.json.bak.attrs": `{"user.content_type":""}`})
	require.NoFileExists(t, filepath.Join(stacks, "dev.json.attrs"))
	require.FileExists(t, filepath.Join(stacks, "dev.json.bak.attrs"))
	require.FileExists(t, filepath.Join(stacks, "dev.json"))
}
