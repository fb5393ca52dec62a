package dataplane

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTooFewFilesAreToldBeforeAnythingStarts(t *testing.T) {
	require.NoError(t, filesFor(1024))
	require.ErrorContains(t, filesFor(256), "needs 1024 open files, and may have 256 here: raise the limit (ulimit -Hn), or go without it (--data-plane=off)")
}
