package dataplane

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// aspect is a part of what is deployed that is read by itself.
type aspect struct {
	// services are those of the emulator whose calls change it, as moto names them.
	services []string
	// every is the time between two looks where nobody tells of changes, and apart at least between two of any.
	every, apart time.Duration
}

var (
	clusterAspect  = &aspect{[]string{"ecs"}, pollInterval, 0}
	balancerAspect = &aspect{[]string{"elbv2", "wafv2", "acm"}, 2 * time.Second, 300 * time.Millisecond}
	networkAspect  = &aspect{[]string{"ec2"}, 5 * time.Second, time.Second}
	databaseAspect = &aspect{[]string{"rds"}, time.Second, 100 * time.Millisecond}
)

const (
	// pollInterval is the time between two looks at what changes most.
	pollInterval = 500 * time.Millisecond
	// askInterval is the time between two questions to the emulator whether there is anything to look at.
	askInterval = 100 * time.Millisecond
	// unaskedInterval is the time after which a look is taken though nothing has changed.
	unaskedInterval = 30 * time.Second
)

// watcher knows what is to be looked at. An emulator counts the calls that change something; elsewhere time decides.
type watcher struct {
	door *door
	// asked is when it was asked last, pace the time to the next question; the loop's alone.
	asked time.Time
	pace  time.Duration

	mu      sync.Mutex
	changes map[string]int // as told last
	own     map[string]int // calls that the plane itself has made, of which nothing is to be learnt
	looked  map[*aspect]look
}

// look is when an aspect was looked at, how many changes of each service were known then, and whether it is to be looked at again.
type look struct {
	at      time.Time
	changes map[string]int
	again   bool
}

func newWatcher(d *door) *watcher {
	return &watcher{door: d, pace: askInterval, own: map[string]int{}, looked: map[*aspect]look{}}
}

// ask hears of changes.
func (w *watcher) ask(ctx context.Context) error {
	if w.door == nil || time.Since(w.asked) < w.pace {
		return nil
	}
	w.asked = time.Now()
	var answer struct{ Changes map[string]int }
	err := w.door.call(ctx, http.MethodGet, "?changes", nil, &answer)
	w.mu.Lock()
	defer w.mu.Unlock()
	// Where nothing has happened for long, nothing is likely to.
	if w.pace = min(w.pace+w.pace/8, pollInterval); !w.same(answer.Changes) {
		w.pace = askInterval
	}
	w.changes = answer.Changes
	return err
}

// same says whether nothing has changed that matters.
func (w *watcher) same(changes map[string]int) bool {
	for _, a := range []*aspect{clusterAspect, balancerAspect, networkAspect, databaseAspect, scalingAspect} {
		for _, service := range a.services {
			if changes[service] != w.changes[service] {
				return false
			}
		}
	}
	return true
}

// made notes a call of the plane's own.
func (w *watcher) made(service string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.own[service]++
}

// due says whether an aspect is to be looked at, and takes it for looked at. failed is for a look that failed.
func (w *watcher) due(a *aspect) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	before, once := w.looked[a]
	age := time.Since(before.at)
	now := look{at: time.Now(), changes: map[string]int{}}
	changed, every := !once || before.again, a.every
	if before.again {
		every = min(every, pollInterval)
	}
	for _, service := range a.services {
		now.changes[service] = w.changes[service] - w.own[service]
		changed = changed || now.changes[service] != before.changes[service]
	}
	switch {
	case once && age < a.apart:
		return false
	case w.changes == nil && age < every, w.changes != nil && !changed && age < unaskedInterval:
		return false
	}
	w.looked[a] = now
	return true
}

// failed has an aspect looked at again.
func (w *watcher) failed(a *aspect) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.looked[a]
	before.again = true
	w.looked[a] = before
}
