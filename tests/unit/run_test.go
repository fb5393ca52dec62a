package unit_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"tapstack/lib"
)

func TestARunsNameTellsWhenItBegan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		began := time.Unix(rapid.Int64Range(0, 4102444800).Draw(t, "second"), 0).UTC()
		run := lib.NewRun(began.In(time.FixedZone("east", 7*3600)))
		start, named := lib.RunStart(run)
		require.True(t, named)
		require.Equal(t, began, start)
		require.NotEqual(t, run, lib.NewRun(began), "two runs have the same name")
	})
	for _, other := range []string{"", lib.ManualRun, "20261124T060000Z", "20261124T060000Z-", "20261124T060000Z-xyzxyz", "2026-11-24-0a1b2c", "20261324T060000Z-0a1b2c", "20261124T060000Z-0a1b2c4d"} {
		_, named := lib.RunStart(other)
		assert.False(t, named, "%q is taken for a run", other)
	}
}

func TestAnExpiryIsReadAsItIsWritten(t *testing.T) {
	at := time.Date(2026, 11, 24, 7, 0, 0, 0, time.FixedZone("east", 3600))
	assert.Equal(t, "2026-11-24T06:00:00Z", lib.FormatExpiry(at))
	moment, err := lib.ParseExpiry(lib.FormatExpiry(at))
	require.NoError(t, err)
	assert.True(t, moment.Equal(at))
	never, err := lib.ParseExpiry(lib.NeverExpires)
	require.NoError(t, err)
	assert.True(t, never.IsZero())
	_, err = lib.ParseExpiry("tomorrow")
	assert.Error(t, err)
}
