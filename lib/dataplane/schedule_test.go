package dataplane

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// members reads tasks from a line such as "A+1 a-2 b+3*": an upper-case letter is the zone of a task of the newest deployment,
// a lower-case one of a former; + is healthy; * is protected. The number is its age.
func members(line string) []member {
	var all []member
	for word := range strings.FieldsSeq(line) {
		m := member{id: word, zone: strings.ToLower(word[:1]), primary: word[0] < 'a', healthy: word[1] == '+', protected: strings.HasSuffix(word, "*")}
		var second int
		_, _ = fmt.Sscanf(word[2:], "%d", &second)
		m.created = time.Unix(int64(second), 0)
		all = append(all, m)
	}
	return all
}

func TestASchedulerReplacesScalesAndRolls(t *testing.T) {
	for name, c := range map[string]struct {
		want  wanted
		tasks string
		start int
		stop  string
	}{
		"nothing runs yet":                                {wanted{3, 100, 200, false}, "", 3, ""},
		"as many as desired":                              {wanted{3, 100, 200, false}, "A+1 B+2 C+3", 0, ""},
		"one has died":                                    {wanted{3, 100, 200, false}, "A+1 B+2", 1, ""},
		"one has died and it backs off":                   {wanted{3, 100, 200, true}, "A+1 B+2", 0, ""},
		"a start that is under way is not made twice":     {wanted{3, 100, 200, false}, "A+1 B+2 C-3", 0, ""},
		"scale in takes the newest of the fullest zone":   {wanted{3, 100, 200, false}, "A+1 B+2 C+3 A+4", 0, "A+4"},
		"scale in takes the ill one first":                {wanted{2, 100, 200, false}, "A+1 A+2 B-3", 0, "B-3"},
		"scale in spares what is protected":               {wanted{2, 100, 200, false}, "A+1 A+4* B+3", 0, "A+1"},
		"scale to nothing":                                {wanted{0, 100, 200, false}, "A+1 b+2", 0, "A+1 b+2"},
		"a new deployment starts beside the old":          {wanted{3, 100, 200, false}, "a+1 b+2 c+3", 3, ""},
		"the old stays while the new is not healthy":      {wanted{3, 100, 200, false}, "a+1 b+2 c+3 A-4 B-5 C-6", 0, ""},
		"one old for each new that is healthy":            {wanted{3, 100, 200, false}, "a+1 b+2 c+3 A+4 B-5 C-6", 0, "c+3"},
		"all old when all new are healthy":                {wanted{3, 100, 200, false}, "a+1 b+2 c+3 A+4 B+5 C+6", 0, "c+3 b+2 a+1"},
		"an old one that is ill goes first":               {wanted{3, 100, 200, false}, "a+1 b-2 c+3 A-4 B-5 C-6", 0, "b-2"},
		"the maximum is kept":                             {wanted{4, 100, 150, false}, "a+1 b+2 c+3 a+4", 2, ""},
		"without room above, the minimum makes some":      {wanted{4, 50, 100, false}, "a+1 b+2 c+3 a+4", 0, "a+4 c+3"},
		"the minimum is rounded up":                       {wanted{3, 50, 100, false}, "a+1 b+2 c+3", 0, "c+3"},
		"a protected old task goes on":                    {wanted{1, 100, 200, false}, "a+1* A+2", 0, ""},
		"a failed deployment leaves what ran before":      {wanted{3, 100, 200, true}, "a+1 b-2 c+3", 0, ""},
		"minimum 0 stops all old tasks at once":           {wanted{3, 0, 100, false}, "a+1 b+2 c+3", 0, "c+3 b+2 a+1"},
		"a maximum of 100 and minimum of 100 is deadlock": {wanted{2, 100, 100, false}, "a+1 b+2", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			start, stop := schedule(c.want, members(c.tasks))
			assert.Equal(t, c.start, start, "tasks to start")
			assert.Equal(t, c.stop, strings.Join(stop, " "), "tasks to stop")
		})
	}
}

func TestTheCircuitBreakerTripsAsDocumented(t *testing.T) {
	for desired, threshold := range map[int]int{0: 3, 1: 3, 6: 3, 7: 4, 25: 13, 400: 200, 800: 200} {
		assert.Equal(t, threshold, failureThreshold(desired), "with %d tasks desired", desired)
	}
}

func TestBackOffGrowsAndEnds(t *testing.T) {
	assert.Zero(t, backOff(0, 1))
	assert.Equal(t, time.Second, backOff(1, 1))
	assert.Equal(t, 4*time.Second, backOff(3, 1))
	assert.Equal(t, 400*time.Millisecond, backOff(3, 10))
	assert.Equal(t, 5*time.Minute, backOff(400, 1))
}

func TestTasksSpreadOverZones(t *testing.T) {
	used := map[string]int{}
	var placed []string
	for range 5 {
		zone := leastUsed([]string{"a", "b", "c"}, used)
		used[zone]++
		placed = append(placed, zone)
	}
	assert.Equal(t, "a b c a b", strings.Join(placed, " "))
}
