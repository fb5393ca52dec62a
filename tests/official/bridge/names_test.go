package bridge

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheNamesOfOneTestAreNotThoseOfAnother(t *testing.T) {
	folder := t.TempDir()
	mine, err := keepNames(folder, []byte("mine"))
	require.NoError(t, err)
	_, err = keepNames(folder, []byte("another's"))
	require.NoError(t, err)
	again, err := keepNames(folder, []byte("mine"))
	require.NoError(t, err)
	assert.Equal(t, mine, again)
	content, err := os.ReadFile(mine)
	require.NoError(t, err)
	assert.Equal(t, "mine", string(content))
}
