// Package load posts payments to the payment API at a rate that does not depend on the answers, as customers do: an open model.
// Arrivals have a schedule; each goes out when its time has come, whatever became of those before, up to a bound on how many
// are in flight, beyond which arrivals are dropped and counted. Latency runs from the time at which an arrival was meant to go
// out, so that what a slow service, or this program, keeps waiting is in the figures (no coordinated omission).
//
// vegeta, the usual library for constant rates, starts its clock when a request is sent: whatever delays the sending is not
// seen. wrk2 does it right, and is a program in C that keeps no answers. What is left to write is the schedule; the
// histogram is HdrHistogram's.
//
// Every acknowledged payment is kept and looked up afterwards. Nothing here knows where the API runs.
package load

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"
)

// Options say what is sent.
type Options struct {
	API API
	// Rate is how many payments arrive a second on average, Duration for how long.
	Rate     float64
	Duration time.Duration
	Arrivals Arrivals
	// Seed decides the schedule and the payments: the same one repeats them.
	Seed uint64
	// InFlight is the most that may be in flight; 1000 when 0.
	InFlight int
	// Merchants is how many merchants send them, each as many as another; 1 when 0.
	Merchants int
	// Retries is how often a payment is sent again, under its key, that was not answered or that the API could not take (5xx,
	// 429, or 409 while it is in flight), with pauses that grow. Its latency runs until the last answer.
	Retries int
	// Timeout bounds a request; 30 seconds when 0.
	Timeout time.Duration
	// Progress hears five times a second how it goes. It may be nil.
	Progress func(Snapshot)
	// Reconcile compares the acknowledged payments with what is there afterwards; nil leaves that out.
	Reconcile func(context.Context, []Payment) (Reconciliation, error)
}

// Fault is what is wrong with the options.
func (o Options) Fault() error {
	var faults []error
	if o.Rate <= 0 || o.Rate > 100_000 || math.IsNaN(o.Rate) {
		faults = append(faults, fmt.Errorf("the rate is %g payments a second: more than 0, at most 100000", o.Rate))
	}
	if o.Duration <= 0 || o.Duration > 24*time.Hour {
		faults = append(faults, fmt.Errorf("the duration is %s: more than 0, at most 24h", o.Duration))
	}
	if o.Arrivals != Poisson && o.Arrivals != Fixed {
		faults = append(faults, fmt.Errorf("unknown arrivals %q: choose %s or %s", o.Arrivals, Poisson, Fixed))
	}
	if o.InFlight < 0 || o.Merchants < 0 || o.Retries < 0 {
		faults = append(faults, errors.New("nothing may be negative: in flight, merchants, retries"))
	}
	return errors.Join(faults...)
}

// Payment is one that the API has acknowledged.
type Payment struct {
	ID       string
	Merchant string
	Amount   int64
	Currency string
}

// Result is what came of a run. Planned = Dropped + Sent, and Sent = Acknowledged + Refused + Failed.
type Result struct {
	Started   time.Time `json:"started"`
	Rate      float64   `json:"rate"`
	Arrivals  Arrivals  `json:"arrivals"`
	Seed      uint64    `json:"seed"`
	Merchants int       `json:"merchants"`
	// Seconds is how long payments arrived.
	Seconds float64 `json:"seconds"`
	// Planned are the arrivals of the schedule; Dropped those that found too many in flight.
	Planned int `json:"planned"`
	Dropped int `json:"dropped"`
	Sent    int `json:"sent"`
	// Acknowledged were answered with 201; Refused with 4xx; Failed got another answer or none.
	Acknowledged int `json:"acknowledged"`
	Refused      int `json:"refused"`
	Failed       int `json:"failed"`
	// Seen counts what clients saw of each request, those that were repeated included: a status code, or what went wrong.
	Seen map[string]int `json:"seen"`
	// MostInFlight were in flight at once, MeanInFlight on average over the time in which payments arrived.
	MostInFlight int     `json:"mostInFlight"`
	MeanInFlight float64 `json:"meanInFlight"`
	// Throughput is how many were acknowledged a second while payments arrived.
	Throughput float64 `json:"throughput"`
	// Latency is of all that were sent, from the intended time until they were answered or given up.
	Latency Percentiles `json:"latencyMs"`
	Windows []Window    `json:"windows"`
	// Reconciliation is nil where nothing was compared.
	Reconciliation *Reconciliation `json:"reconciliation,omitempty"`

	// Payments are the acknowledged ones.
	Payments []Payment `json:"-"`
}

// Snapshot is how a run goes.
type Snapshot struct {
	Elapsed                                      time.Duration
	Dropped, Sent, Acknowledged, Refused, Failed int
	InFlight                                     int
	Latency                                      Percentiles
}

// run is a run that is going on.
type run struct {
	Options
	started time.Time
	slots   chan struct{}
	client  *client

	mu       sync.Mutex
	result   Result
	inFlight int
	changed  time.Time // inFlight, last
	area     float64   // seconds times inFlight, until then
	latency  latencies
	requests sync.WaitGroup
}

const (
	defaultInFlight = 1000
	defaultTimeout  = 30 * time.Second
	progressEvery   = 200 * time.Millisecond
)

// Run sends the payments, waits for what is in flight and compares. When ctx ends, no more arrive; what was sent until then
// is in the result.
func Run(ctx context.Context, options Options) (Result, error) {
	if err := options.Fault(); err != nil {
		return Result{}, err
	}
	if options.InFlight == 0 {
		options.InFlight = defaultInFlight
	}
	options.Merchants = max(options.Merchants, 1)
	if options.Timeout == 0 {
		options.Timeout = defaultTimeout
	}
	if options.Progress == nil {
		options.Progress = func(Snapshot) {}
	}
	client, err := options.API.client(options.InFlight, options.Timeout)
	if err != nil {
		return Result{}, err
	}
	defer client.close()
	r := &run{Options: options, slots: make(chan struct{}, options.InFlight), client: client, latency: newLatencies(options.Duration)}
	r.result = Result{
		Rate: options.Rate, Arrivals: options.Arrivals, Seed: options.Seed, Merchants: options.Merchants, Seen: map[string]int{},
	}
	r.started = time.Now()
	r.result.Started, r.changed = r.started, r.started
	stop := r.tell()
	r.arrive(ctx)
	r.requests.Wait()
	stop()
	result := r.finish()
	if options.Reconcile != nil {
		found, err := options.Reconcile(ctx, result.Payments)
		if err != nil {
			return result, fmt.Errorf("comparing the acknowledged payments with those that are there: %w", err)
		}
		result.Reconciliation = &found
	}
	return result, context.Cause(ctx)
}

// arrive sends each payment at its time.
func (r *run) arrive(ctx context.Context) {
	// A request outlives the end of the arrivals, not its own time-out.
	sending := context.WithoutCancel(ctx)
	orders := r.orders()
	for at := range Schedule(r.Arrivals, r.Rate, r.Duration, r.Seed) {
		order := orders()
		if !until(ctx, r.started.Add(at)) {
			break
		}
		r.result.Planned++ // by this goroutine alone
		select {
		case r.slots <- struct{}{}:
		default:
			r.drop(at)
			continue
		}
		r.begin()
		r.requests.Go(func() {
			defer func() { <-r.slots }()
			r.end(at, r.send(sending, order))
		})
	}
	until(ctx, r.started.Add(r.Duration))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flying(0)
	r.result.Seconds = r.changed.Sub(r.started).Seconds()
	if r.result.Seconds > 0 {
		r.result.MeanInFlight = r.area / r.result.Seconds
		r.result.Throughput = float64(r.result.Acknowledged) / r.result.Seconds
	}
}

// until waits for a time; no when ctx ends before.
func until(ctx context.Context, when time.Time) bool {
	wait := time.Until(when)
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (r *run) drop(at time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.Dropped++
	r.latency.window(at).Dropped++
}

func (r *run) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.Sent++
	r.flying(1)
	r.result.MostInFlight = max(r.result.MostInFlight, r.inFlight)
}

// flying notes that there are so many more in flight.
func (r *run) flying(more int) {
	now := time.Now()
	r.area += now.Sub(r.changed).Seconds() * float64(r.inFlight)
	r.changed, r.inFlight = now, r.inFlight+more
}

func (r *run) end(at time.Duration, o outcome) {
	took := time.Since(r.started.Add(at))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flying(-1)
	r.latency.record(at, took)
	window := r.latency.window(at)
	window.Sent++
	switch {
	case o.payment != nil:
		r.result.Acknowledged++
		window.Acknowledged++
		r.result.Payments = append(r.result.Payments, *o.payment)
	case o.refused:
		r.result.Refused++
		window.Refused++
	default:
		r.result.Failed++
		window.Failed++
	}
}

func (r *run) saw(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.Seen[what]++
}

// tell has Progress told until stopped.
func (r *run) tell() (stop func()) {
	done := make(chan struct{})
	var telling sync.WaitGroup
	telling.Go(func() {
		for ticker := time.NewTicker(progressEvery); ; {
			select {
			case <-ticker.C:
				r.Progress(r.snapshot())
			case <-done:
				ticker.Stop()
				return
			}
		}
	})
	return func() {
		close(done)
		telling.Wait()
		r.Progress(r.snapshot())
	}
}

func (r *run) snapshot() Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Snapshot{
		Elapsed: time.Since(r.started), Dropped: r.result.Dropped, Sent: r.result.Sent,
		Acknowledged: r.result.Acknowledged, Refused: r.result.Refused, Failed: r.result.Failed,
		InFlight: r.inFlight, Latency: percentiles(r.latency.all),
	}
}

func (r *run) finish() Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.Latency = percentiles(r.latency.all)
	r.result.Windows = r.latency.finished()
	return r.result
}
