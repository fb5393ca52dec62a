//go:build linux

package reliability

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/process/processtest"
)

// What make soak hands on: how many stacks one after the other, and how many at once.
const (
	soakVariable   = "TAPSTACK_SOAK"
	stacksVariable = "STACKS"
)

// TestSoak deploys, verifies and destroys again and again, prints what that leaves in memory, processes and folders, and fails
// where it grows.
func TestSoak(t *testing.T) {
	if os.Getenv(soakVariable) == "" {
		t.Skipf("%s is not set: make soak and make test-reliability run it", soakVariable)
	}
	processtest.SkipIfShort(t)
	rounds, err := strconv.Atoi(os.Getenv(soakVariable))
	require.NoError(t, err, soakVariable)
	require.Greater(t, rounds, 1, "%s: growth takes two rounds to see", soakVariable)
	stacks, err := strconv.Atoi(os.Getenv(stacksVariable))
	require.NoError(t, err, stacksVariable)
	s, err := newLab(t).newSoak(t.Context(), t.TempDir())
	require.NoError(t, err)
	var samples []sample
	note := func(after string) {
		taken, err := s.sample(after)
		require.NoError(t, err)
		samples = append(samples, taken)
	}
	for i := range rounds {
		require.NoError(t, s.once(1), strings.Join(s.log, "\n"))
		fmt.Printf("  round %d of %d: nothing left\n", i+1, rounds)
		if i == 0 || i == rounds/2 || i == rounds-1 {
			note(fmt.Sprintf("round %d", i+1))
		}
	}
	if stacks > 0 {
		require.NoError(t, s.once(stacks), strings.Join(s.log, "\n"))
		note(fmt.Sprintf("%d at once", stacks))
	}
	fmt.Print(soakTable(samples))
	for _, wrong := range grown(samples[0], samples[len(samples)-1]) {
		t.Error(wrong)
	}
}

func TestWhatGrowsIsTold(t *testing.T) {
	first, last := sample{"round 1", 1, make([]float64, len(measures))}, sample{"round 11", 11, make([]float64, len(measures))}
	for i, m := range measures {
		last.values[i] = m.allowed + 10*m.each
	}
	assert.Empty(t, grown(first, last))
	for i := range measures {
		last.values[i]++
	}
	assert.Len(t, grown(first, last), len(measures))
	assert.Contains(t, soakTable([]sample{first, last}), "round 11")
}
