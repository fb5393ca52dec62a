package lifecycle

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// states is a folder of states in which these files are, "-" for none.
func states(t *testing.T, files map[string]string) (folder, string) {
	t.Helper()
	f := folder(t.TempDir())
	stacks := filepath.Dir(f.state("toy", "dev"))
	require.NoError(t, os.MkdirAll(stacks, 0o700))
	for file, content := range files {
		if content != "-" {
			require.NoError(t, os.WriteFile(filepath.Join(stacks, file), []byte(content), 0o600))
		}
	}
	return f, stacks
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
			f, stacks := states(t, map[string]string{"dev.json": c.state, "dev.json.bak": c.backup})
			err := f.mend("toy", "dev")
			var damaged *DamagedError
			require.Equal(t, c.state != whole && c.state != "-", errors.As(err, &damaged), "%v", err)
			if damaged != nil {
				require.Equal(t, c.want == former, !damaged.Restored.IsZero(), "what is put back is told")
			}
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

func TestAttributesOfAStateAreRemoved(t *testing.T) {
	f, stacks := states(t, map[string]string{"dev.json": "{}", "dev.json.attrs": "", "dev.json.bak.attrs": `{"user.content_type":""}`})
	require.NoError(t, f.mend("toy", "dev"))
	require.NoFileExists(t, filepath.Join(stacks, "dev.json.attrs"))
	require.NoFileExists(t, filepath.Join(stacks, "dev.json.bak.attrs"))
	require.FileExists(t, filepath.Join(stacks, "dev.json"))
}

// at is a state of n resources, as the engine writes them at an hour.
func at(hour, n int) string {
	return fmt.Sprintf(`{"version": 3, "checkpoint": {"latest": {"manifest": {"time": "2026-11-28T%02d:00:00Z"}, "n": %d}}}`, hour, n)
}

func TestAFullDiskCostsNoStateThatWasWhole(t *testing.T) {
	f, stacks := states(t, map[string]string{"dev.json": at(10, 3)})
	state := filepath.Join(stacks, "dev.json")
	// As the engine does: it puts each state in place as a new file, here of what fits on the disk.
	put := func(name, content string) {
		fresh := filepath.Join(stacks, "fresh")
		require.NoError(t, os.WriteFile(fresh, []byte(content), 0o600))
		require.NoError(t, os.Rename(fresh, filepath.Join(stacks, name)))
	}
	require.NoError(t, f.mend("toy", "dev"))
	for _, cut := range []string{"", at(11, 4)[:40], "\n"} {
		put("dev.json", cut)
		put("dev.json.bak", cut) // the state before was copied when the disk was full already
		err := f.mend("toy", "dev")
		var damaged *DamagedError
		require.ErrorAs(t, err, &damaged)
		require.Equal(t, 10, damaged.Restored.UTC().Hour())
		got, err := os.ReadFile(state)
		require.NoError(t, err)
		require.Equal(t, at(10, 3), string(got))
		require.NoError(t, f.mend("toy", "dev"), "it is whole again")
	}

	put("dev.json", at(12, 5)[:30])
	put("dev.json.bak", at(11, 4))
	var damaged *DamagedError
	require.ErrorAs(t, f.mend("toy", "dev"), &damaged)
	require.Equal(t, 11, damaged.Restored.UTC().Hour(), "the engine's copy is the newer one")

	require.NoError(t, os.Remove(state))
	require.NoError(t, f.mend("toy", "dev"))
	require.NoFileExists(t, f.copied(), "of a stack that is removed nothing is kept")
}
