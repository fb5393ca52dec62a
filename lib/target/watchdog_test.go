package target

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAWatchIsEndedAlsoWhereItsChildHasEnded(t *testing.T) {
	watching, err := startWatchdog("docker-that-must-not-run", "", "tapstack-localstack-test")
	require.NoError(t, err)
	require.NoError(t, watching.stop(t.Context()))
	require.NoError(t, watching.stop(t.Context()), "a second stop is nothing")
}
