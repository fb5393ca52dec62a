package dataplane

import (
	"cmp"
	"slices"
	"time"
)

// member is a task of a service as its scheduler sees it.
type member struct {
	id, zone string
	// primary says that it is of the newest deployment.
	primary bool
	// healthy says that it runs and passes the checks of its containers and target group, as far as there are any.
	healthy bool
	// protected says that it has asked not to be stopped by scaling and deployments (ECS task protection).
	protected bool
	created   time.Time
}

// wanted is what a service asks of its scheduler: how many tasks, and the bounds of a rolling update in percent of them.
type wanted struct {
	desired, minimum, maximum int
	// held says that the newest deployment starts no tasks at present: it has failed, or backs off.
	held bool
}

// schedule says how many tasks of the newest deployment to start now and which tasks to stop, of those that run or are about
// to. It is ECS's rolling update (ECS developer guide, "Deploy Amazon ECS services by replacing tasks"): never more tasks than
// the maximum, rounded down, never fewer healthy ones than the minimum, rounded up.
func schedule(w wanted, tasks []member) (start int, stop []string) {
	var current, former []member
	healthy := 0
	for _, t := range tasks {
		if t.primary {
			current = append(current, t)
		} else {
			former = append(former, t)
		}
		if t.healthy {
			healthy++
		}
	}
	take := func(from []member, most int) (taken []string) {
		for _, t := range leastMissed(from) {
			if len(taken) < most {
				taken = append(taken, t.id)
			}
		}
		return taken
	}
	lower, upper := (w.desired*w.minimum+99)/100, w.desired*w.maximum/100
	if !w.held {
		start = max(0, min(w.desired-len(current), upper-len(tasks)))
	}
	if surplus := len(current) - w.desired; surplus > 0 {
		stop = append(stop, take(current, surplus)...)
		if w.desired == 0 {
			return start, append(stop, take(former, len(former))...)
		}
		return start, stop
	}
	ill := 0
	for _, t := range former {
		if !t.healthy {
			ill++
		}
	}
	if w.held && len(current) == 0 && w.desired > 0 {
		ill = 0 // nothing is on its way that would take their place
	}
	return start, append(stop, take(former, ill+max(0, healthy-lower))...)
}

// leastMissed orders the tasks that are not protected by how little they would be missed: first those that are not healthy, then
// those of the zone that has most of them, the newest of a zone first.
func leastMissed(tasks []member) []member {
	zones := map[string]int{}
	for _, t := range tasks {
		zones[t.zone]++
	}
	left := slices.DeleteFunc(slices.Clone(tasks), func(t member) bool { return t.protected })
	ordered := make([]member, 0, len(left))
	for len(left) > 0 {
		least := slices.MinFunc(left, func(a, b member) int {
			if a.healthy != b.healthy {
				return cmp.Compare(btoi(a.healthy), btoi(b.healthy))
			}
			return cmp.Or(cmp.Compare(zones[b.zone], zones[a.zone]), b.created.Compare(a.created), cmp.Compare(a.id, b.id))
		})
		zones[least.zone]--
		ordered = append(ordered, least)
		left = slices.DeleteFunc(left, func(t member) bool { return t.id == least.id })
	}
	return ordered
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// leastUsed is the zone to place the next task in: of those offered, the one with the fewest tasks, the first of them.
func leastUsed(zones []string, used map[string]int) string {
	return slices.MinFunc(zones, func(a, b string) int { return cmp.Compare(used[a], used[b]) })
}

// failureThreshold is how many tasks of a deployment have to fail for its circuit breaker (ECS developer guide, "How the Amazon
// ECS deployment circuit breaker detects failures"): half of what is desired, at least 3 and at most 200.
func failureThreshold(desired int) int { return min(max((desired+1)/2, 3), 200) }

// backOff is how long a service waits before it starts a task again, after so many of them failed one after another.
func backOff(failures int, speed float64) time.Duration {
	if failures == 0 {
		return 0
	}
	const first, longest = time.Second, 5 * time.Minute
	return time.Duration(float64(min(first<<min(failures-1, 10), longest)) / speed)
}
