package dataplane

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTargetTrackingScalesAsDocumented(t *testing.T) {
	high := tracked{value: 210, target: 70, above: 3, in: true}
	low := tracked{value: 7, target: 70, below: 15, in: true}
	for name, c := range map[string]struct {
		current, least, most int
		policies             []tracked
		out, in              bool
		to                   int
	}{
		"nothing to do":                     {3, 2, 12, []tracked{{value: 65, target: 70, in: true}}, true, true, 3},
		"out, in proportion":                {3, 2, 12, []tracked{high}, true, true, 9},
		"out, up to the most":               {5, 2, 12, []tracked{high}, true, true, 12},
		"not yet for long enough":           {3, 2, 12, []tracked{{value: 210, target: 70, above: 2, in: true}}, true, true, 3},
		"not while it cools down":           {3, 2, 12, []tracked{high}, false, true, 3},
		"in":                                {9, 2, 12, []tracked{low}, true, true, 2},
		"in, down to the least":             {9, 3, 12, []tracked{low}, true, true, 3},
		"in takes all policies":             {9, 2, 12, []tracked{low, {value: 68, target: 70, in: true}}, true, true, 9},
		"in to what the greediest wants":    {9, 2, 12, []tracked{low, {value: 35, target: 70, below: 15, in: true}}, true, true, 5},
		"out takes one policy":              {3, 2, 12, []tracked{low, high}, true, true, 9},
		"in is not for a policy without it": {9, 2, 12, []tracked{low, {value: 65, target: 70}}, true, true, 2},
		"without policies":                  {9, 2, 12, nil, true, true, 9},
		"bounds count at once":              {1, 2, 12, nil, false, false, 2},
	} {
		assert.Equal(t, c.to, scaleTo(c.current, c.least, c.most, c.policies, c.out, c.in), name)
	}
	var it tracked
	it.target = 70
	for _, value := range []float64{71, 72, 64, 62, 61} {
		it.note(value)
	}
	assert.Equal(t, 0, it.above)
	assert.Equal(t, 2, it.below, "64 is above nine tenths of 70")
}

func TestMetricMathIsComputed(t *testing.T) {
	values := map[string]float64{"waiting": 250, "running": 2}
	value, err := evaluate("waiting / running", values)
	require.NoError(t, err)
	assert.InDelta(t, 125, value, 0)
	value, err = evaluate("(waiting + 50) * 2 - running", values)
	require.NoError(t, err)
	assert.InDelta(t, 598, value, 0)
	for _, wrong := range []string{"waiting / none", "waiting / (running - 2)", "MAX(waiting)", "waiting +", "", "waiting ^ 2", `"x"`} {
		_, err := evaluate(wrong, values)
		assert.Error(t, err, wrong)
	}
}
