package dataplane

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	scalingtypes "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTargetTrackingScalesAsDocumented(t *testing.T) {
	high := tracked{value: 210, target: 70, above: 3, in: true, coolOut: time.Minute, coolIn: time.Minute}
	low := tracked{value: 7, target: 70, below: 15, in: true, coolOut: time.Minute, coolIn: time.Minute}
	now := time.Now()
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	held := &scalingtypes.SuspendedState{DynamicScalingOutSuspended: aws.Bool(true), DynamicScalingInSuspended: aws.Bool(true)}
	for name, c := range map[string]struct {
		use       usage
		policies  []tracked
		last      activity
		suspended *scalingtypes.SuspendedState
		to        int
	}{
		"nothing to do":                                               {use: usage{running: 3, wanted: 3}, policies: []tracked{{value: 65, target: 70, in: true}}, to: 3},
		"out, in proportion":                                          {use: usage{running: 3, wanted: 3}, policies: []tracked{high}, to: 9},
		"out, up to the most":                                         {use: usage{running: 5, wanted: 5}, policies: []tracked{high}, to: 12},
		"out from the tasks that run":                                 {use: usage{running: 3, wanted: 8}, policies: []tracked{high}, to: 9},
		"out never takes tasks away":                                  {use: usage{running: 1, wanted: 8}, policies: []tracked{high}, to: 8},
		"not yet for long enough":                                     {use: usage{running: 3, wanted: 3}, policies: []tracked{{value: 210, target: 70, above: 2, in: true}}, to: 3},
		"out again, larger, in a cool-down":                           {use: usage{running: 6, wanted: 6}, policies: []tracked{high}, last: activity{out: ago(time.Second), before: 3}, to: 9},
		"no larger one in a cool-down":                                {use: usage{running: 9, wanted: 9}, policies: []tracked{high}, last: activity{out: ago(time.Second), before: 3}, to: 9},
		"out again after the cool-down":                               {use: usage{running: 6, wanted: 6}, policies: []tracked{high}, last: activity{out: ago(time.Minute), before: 3}, to: 12},
		"out breaks the cool-down of an in":                           {use: usage{running: 3, wanted: 3}, policies: []tracked{high}, last: activity{in: ago(time.Second)}, to: 9},
		"out while a deployment goes on":                              {use: usage{running: 3, wanted: 3, deploying: true}, policies: []tracked{high}, to: 9},
		"in":                                                          {use: usage{running: 9, wanted: 9}, policies: []tracked{low}, to: 2},
		"in to nothing is in to the least":                            {use: usage{running: 9, wanted: 9}, policies: []tracked{{target: 70, below: 15, in: true}}, to: 2},
		"in waits for the end of its cool-down":                       {use: usage{running: 9, wanted: 9}, policies: []tracked{low}, last: activity{in: ago(time.Second)}, to: 9},
		"in does not wait for that of an out":                         {use: usage{running: 9, wanted: 9}, policies: []tracked{low}, last: activity{out: ago(time.Second), before: 3}, to: 2},
		"in waits for the end of a deployment":                        {use: usage{running: 9, wanted: 9, deploying: true}, policies: []tracked{low}, to: 9},
		"in takes all policies":                                       {use: usage{running: 9, wanted: 9}, policies: []tracked{low, {value: 68, target: 70, in: true}}, to: 9},
		"in to what the greediest wants":                              {use: usage{running: 9, wanted: 9}, policies: []tracked{low, {value: 35, target: 70, below: 15, in: true}}, to: 5},
		"out takes one policy":                                        {use: usage{running: 3, wanted: 3}, policies: []tracked{low, high}, to: 9},
		"in is not for a policy without it":                           {use: usage{running: 9, wanted: 9}, policies: []tracked{low, {value: 65, target: 70}}, to: 2},
		"without policies":                                            {use: usage{running: 9, wanted: 9}, to: 9},
		"a count below the least stays while nothing is to be scaled": {use: usage{running: 1, wanted: 1}, to: 1},
		"out from below the least":                                    {use: usage{running: 1, wanted: 1}, policies: []tracked{{value: 71, target: 70, above: 3}}, to: 2},
		"in from above the most":                                      {use: usage{running: 15, wanted: 15}, policies: []tracked{{value: 60, target: 70, below: 15, in: true}}, to: 12},
		"out is suspended":                                            {use: usage{running: 3, wanted: 3}, policies: []tracked{high}, suspended: held, to: 3},
		"in is suspended":                                             {use: usage{running: 9, wanted: 9}, policies: []tracked{low}, suspended: held, to: 9},
	} {
		target := scalingtypes.ScalableTarget{MinCapacity: aws.Int32(2), MaxCapacity: aws.Int32(12), SuspendedState: c.suspended}
		assert.Equal(t, c.to, c.last.next(target, c.use, c.policies, now.Sub), name)
	}
	done := activity{in: now}.did(usage{running: 3, wanted: 4}, 6, now)
	assert.Equal(t, activity{out: now, before: 3}, done, "a scale-out ends the cool-down of a scale-in")
	assert.Equal(t, 300*time.Second, coolDown(nil))
	assert.Zero(t, coolDown(aws.Int32(0)))
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
