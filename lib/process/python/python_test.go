package python_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/process/python"
)

// imitation is a Python that makes environments of itself, and notes what it is to install.
const imitation = `#!/bin/sh
if [ "$3" = venv ]; then mkdir -p "$4/bin" && cp "$0" "$4/bin/python3"; exit; fi
echo "$*" >> "$(dirname "$0")/../asked"
`

func TestWhatIsBuiltFromItsSourceIsNamedAndItsBuilderPinned(t *testing.T) {
	const pins = "plain==1.0 \\\n    --hash=sha256:aa\nsetuptools==84.2.1 \\\n    --hash=sha256:bb \\\n    --hash=sha256:cc\nsource==2.0 \\\n    --hash=sha256:dd\n"
	interpreter := filepath.Join(t.TempDir(), "python3")
	require.NoError(t, os.WriteFile(interpreter, []byte(imitation), 0o700))
	install := func(sources ...string) (folder string, asked []string) {
		folder = t.TempDir()
		require.NoError(t, python.Install(t.Context(), interpreter, folder, []byte(pins), sources...))
		text, err := os.ReadFile(filepath.Join(folder, "asked"))
		require.NoError(t, err)
		return folder, strings.Split(strings.TrimSpace(string(text)), "\n")
	}

	_, asked := install()
	require.Len(t, asked, 1)
	assert.Contains(t, asked[0], "--only-binary=:all: --require-hashes")
	assert.NotContains(t, asked[0], "--no-b")

	folder, asked := install("source", "other")
	require.Len(t, asked, 2, "what builds comes first")
	for _, one := range asked {
		assert.Contains(t, one, "--only-binary=:all: --require-hashes")
	}
	assert.NotContains(t, asked[0], "--no-b")
	assert.Contains(t, asked[1], "--no-binary=source,other --no-build-isolation")
	builder, err := os.ReadFile(filepath.Join(folder, "builder.txt"))
	require.NoError(t, err)
	assert.Equal(t, "setuptools==84.2.1 \\\n    --hash=sha256:bb \\\n    --hash=sha256:cc", string(builder))
}
