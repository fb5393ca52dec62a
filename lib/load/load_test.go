package load

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const key = "00112233"

// bank is a payment API that keeps what it acknowledges.
type bank struct {
	mu       sync.Mutex
	payments map[string]stored
	keys     map[string]string
	// answer, when set, answers a payment's request instead; no leaves it to the bank.
	answer func(w http.ResponseWriter, count int) bool
	count  int
}

func (b *bank) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	merchant, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), ".")
	if r.Header.Get("Authorization") != "Bearer "+Credential([]byte(key), merchant) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.Method == http.MethodGet {
		b.mu.Lock()
		defer b.mu.Unlock()
		payment, found := b.payments[strings.TrimPrefix(r.URL.Path, "/api/v1/payments/")]
		if !found {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_ = json.NewEncoder(w).Encode(payment)
		return
	}
	b.mu.Lock()
	b.count++
	count := b.count
	b.mu.Unlock()
	if b.answer != nil && b.answer(w, count) {
		return
	}
	var payment stored
	_ = json.NewDecoder(r.Body).Decode(&payment)
	b.mu.Lock()
	defer b.mu.Unlock()
	id, known := b.keys[r.Header.Get("Idempotency-Key")]
	if !known {
		id = fmt.Sprintf("pay_%d", len(b.payments)+1)
		payment.ID, payment.Status = id, "settled"
		b.payments[id], b.keys[r.Header.Get("Idempotency-Key")] = payment, id
	}
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(b.payments[id])
}

// pipes are the connections of a bank, which take no time.
type pipes struct {
	connections chan net.Conn
	closed      chan struct{}
	once        sync.Once
}

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.connections <- far:
		return near, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case connection := <-p.connections:
		return connection, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// inNoTime runs a test on a clock of its own, which stands still while anything is done: how fast the machine is does not
// matter.
func inNoTime(t *testing.T, test func(*testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, test)
}

// serve answers with the options of a short run against a bank.
func (b *bank) serve(t *testing.T) Options {
	t.Helper()
	b.payments, b.keys = map[string]stored{}, map[string]string{}
	listener := &pipes{connections: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: b} //nolint:gosec // its clients are this test's
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		synctest.Wait()
	})
	api := API{URL: "http://bank.test", Key: []byte(key), Dial: listener.dial}
	return Options{
		API: api, Rate: 200, Duration: 500 * time.Millisecond, Arrivals: Poisson, Seed: 1, Merchants: 3, Timeout: 10 * time.Second,
		Reconcile: api.Reconcile(0),
	}
}

// addUp holds the counts to each other.
func addUp(t *testing.T, r Result) {
	t.Helper()
	assert.Equal(t, r.Planned, r.Dropped+r.Sent)
	assert.Equal(t, r.Sent, r.Acknowledged+r.Refused+r.Failed)
	assert.Len(t, r.Payments, r.Acknowledged)
	var windows Window
	for _, w := range r.Windows {
		windows.Sent += w.Sent
		windows.Dropped += w.Dropped
		windows.Acknowledged += w.Acknowledged
		windows.Refused += w.Refused
		windows.Failed += w.Failed
	}
	assert.Equal(t, Window{Sent: r.Sent, Dropped: r.Dropped, Acknowledged: r.Acknowledged, Refused: r.Refused, Failed: r.Failed}, windows)
}

func TestEveryPaymentIsAcknowledgedAndThere(t *testing.T) {
	inNoTime(t, func(t *testing.T) {
		b := &bank{}
		result, err := Run(t.Context(), b.serve(t))
		require.NoError(t, err)
		addUp(t, result)
		assert.Equal(t, result.Planned, result.Acknowledged)
		assert.InDelta(t, 100, result.Planned, 40)
		assert.Equal(t, map[string]int{"201": result.Sent}, result.Seen)
		assert.Equal(t, &Reconciliation{Checked: result.Sent, Missing: []string{}, Different: []string{}, Statuses: map[string]int{"settled": result.Sent}}, result.Reconciliation)
		assert.Greater(t, result.Latency.P50, 0.0)
		assert.LessOrEqual(t, result.Latency.P50, result.Latency.Max)
	})
}

func TestAStallIsInThePercentilesOfAllThatWereMeantToArriveInIt(t *testing.T) {
	inNoTime(t, func(t *testing.T) {
		b := &bank{}
		options := b.serve(t)
		options.Duration, options.Arrivals = 3*time.Second, Fixed
		var once sync.Once
		var stalled time.Time
		b.answer = func(http.ResponseWriter, int) bool {
			once.Do(func() { stalled = time.Now().Add(time.Second) }) // the bank stands still from one second to the next
			if since := time.Until(stalled); since > 0 {
				time.Sleep(since)
			}
			return false
		}
		result, err := Run(t.Context(), options)
		require.NoError(t, err)
		addUp(t, result)
		assert.Equal(t, 600, result.Acknowledged)
		// A third of all arrive while it stands still, and wait half a second on average. A client that waits for each answer
		// before it sends again would see one slow request.
		assert.InDelta(t, 970, result.Latency.P99, 1)
		assert.InDelta(t, 167.5, result.Latency.Mean, 1)
		assert.InDelta(t, 0, result.Latency.P50, 0.01)
		require.Len(t, result.Windows, 3)
		assert.InDelta(t, 500, result.Windows[0].Latency.P50, 10)
		assert.InDelta(t, 0, result.Windows[2].Latency.Max, 0.01)
	})
}

func TestLatencyRunsFromTheIntendedTime(t *testing.T) {
	inNoTime(t, func(t *testing.T) {
		b := &bank{}
		options := b.serve(t)
		options.Rate, options.Duration, options.Arrivals, options.Retries = 20, 500*time.Millisecond, Fixed, 1
		b.answer = func(w http.ResponseWriter, count int) bool {
			if count%2 == 1 {
				time.Sleep(30 * time.Millisecond)
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(http.StatusServiceUnavailable)
				return true
			}
			return false
		}
		result, err := Run(t.Context(), options)
		require.NoError(t, err)
		addUp(t, result)
		assert.Greater(t, result.Latency.Max, 1030.0, "the pause that the first answer asked for counts")
	})
}

func TestWhatFindsTooManyInFlightIsDroppedAndCounted(t *testing.T) {
	inNoTime(t, func(t *testing.T) {
		b := &bank{}
		options := b.serve(t)
		options.Arrivals, options.InFlight = Fixed, 4
		release := make(chan struct{})
		b.answer = func(http.ResponseWriter, int) bool {
			<-release
			return false
		}
		time.AfterFunc(700*time.Millisecond, func() { close(release) })
		result, err := Run(t.Context(), options)
		require.NoError(t, err)
		addUp(t, result)
		assert.Equal(t, 100, result.Planned)
		assert.Equal(t, 4, result.Sent)
		assert.Equal(t, 96, result.Dropped)
		assert.Equal(t, 4, result.MostInFlight)
	})
}

func TestAnswersAreToldApart(t *testing.T) {
	inNoTime(t, func(t *testing.T) {
		b := &bank{}
		options := b.serve(t)
		options.Arrivals = Fixed
		b.answer = func(w http.ResponseWriter, count int) bool {
			switch count % 5 {
			case 1:
				w.WriteHeader(http.StatusPaymentRequired)
			case 2:
				w.WriteHeader(http.StatusBadGateway)
			case 3:
				w.WriteHeader(http.StatusCreated)
				_, _ = w.Write([]byte(`{"id":""}`))
			case 4:
				connection, _, _ := w.(http.Hijacker).Hijack()
				_ = connection.Close()
			default:
				return false
			}
			return true
		}
		result, err := Run(t.Context(), options)
		require.NoError(t, err)
		addUp(t, result)
		assert.Equal(t, 100, result.Sent)
		assert.Positive(t, result.Acknowledged)
		assert.Equal(t, result.Acknowledged, result.Seen["201"])
		assert.Equal(t, result.Refused, result.Seen["402"])
		assert.Equal(t, result.Failed, result.Seen["502"]+result.Seen["201 without an id"]+result.Seen["connection closed"]+result.Seen["other error"])
		total := 0
		for _, count := range result.Seen {
			total += count
		}
		assert.Equal(t, result.Sent, total)
	})
}

func TestWhatTheAPICouldNotTakeIsSentAgainUnderItsKey(t *testing.T) {
	inNoTime(t, func(t *testing.T) {
		b := &bank{}
		options := b.serve(t)
		options.Rate, options.Retries = 100, 8
		b.answer = func(w http.ResponseWriter, count int) bool {
			if count%3 == 0 {
				w.WriteHeader([]int{http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusConflict}[count/3%3])
				return true
			}
			return false
		}
		result, err := Run(t.Context(), options)
		require.NoError(t, err)
		addUp(t, result)
		assert.Equal(t, result.Sent, result.Acknowledged)
		assert.Len(t, b.payments, result.Acknowledged, "none is made twice")
		assert.Positive(t, result.Seen["503"])
	})
}

func TestPaymentsThatAreLostOrAlteredAreTold(t *testing.T) {
	inNoTime(t, func(t *testing.T) {
		b := &bank{}
		options := b.serve(t)
		reconcile := options.Reconcile
		options.Reconcile = func(ctx context.Context, payments []Payment) (Reconciliation, error) {
			b.mu.Lock()
			delete(b.payments, "pay_1")
			altered := b.payments["pay_2"]
			altered.Amount++
			b.payments["pay_2"] = altered
			waiting := b.payments["pay_3"]
			waiting.Status = "captured"
			b.payments["pay_3"] = waiting
			b.mu.Unlock()
			return reconcile(ctx, payments)
		}
		result, err := Run(t.Context(), options)
		require.NoError(t, err)
		require.NotNil(t, result.Reconciliation)
		assert.False(t, result.Reconciliation.OK())
		assert.Equal(t, []string{"pay_1"}, result.Reconciliation.Missing)
		assert.Equal(t, []string{"pay_2"}, result.Reconciliation.Different)
		assert.Equal(t, map[string]int{"settled": result.Acknowledged - 3, "captured": 1}, result.Reconciliation.Statuses)
	})
}

func TestPaymentsAreGivenTimeToSettle(t *testing.T) {
	inNoTime(t, func(t *testing.T) {
		b := &bank{}
		options := b.serve(t)
		options.Rate = 20
		options.Reconcile = func(ctx context.Context, payments []Payment) (Reconciliation, error) {
			b.settle("captured")
			time.AfterFunc(300*time.Millisecond, func() { b.settle("settled") })
			return options.API.Reconcile(10*time.Second)(ctx, payments)
		}
		result, err := Run(t.Context(), options)
		require.NoError(t, err)
		assert.Equal(t, map[string]int{"settled": result.Acknowledged}, result.Reconciliation.Statuses)
	})
}

// settle gives all payments a status.
func (b *bank) settle(status string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, payment := range b.payments {
		payment.Status = status
		b.payments[id] = payment
	}
}

func TestARunThatIsInterruptedTellsWhatItSent(t *testing.T) {
	inNoTime(t, func(t *testing.T) {
		b := &bank{}
		options := b.serve(t)
		options.Duration, options.Reconcile = time.Minute, nil
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(200*time.Millisecond, cancel)
		result, err := Run(ctx, options)
		require.ErrorIs(t, err, context.Canceled)
		addUp(t, result)
		assert.Equal(t, result.Sent, result.Acknowledged, "what was in flight is waited for")
		assert.Less(t, result.Seconds, 10.0)
	})
}

func TestProgressIsToldWhileItRunsAndAtTheEnd(t *testing.T) {
	inNoTime(t, func(t *testing.T) {
		b := &bank{}
		options := b.serve(t)
		var told []Snapshot
		options.Progress = func(s Snapshot) { told = append(told, s) }
		result, err := Run(t.Context(), options)
		require.NoError(t, err)
		require.Greater(t, len(told), 1)
		last := told[len(told)-1]
		assert.Equal(t, result.Acknowledged, last.Acknowledged)
		assert.Zero(t, last.InFlight)
		assert.True(t, slices.IsSortedFunc(told, func(a, b Snapshot) int { return a.Sent - b.Sent }))
	})
}

func TestASeedRepeatsTheScheduleAndThePayments(t *testing.T) {
	inNoTime(t, func(t *testing.T) {
		times := func(seed uint64) []time.Duration { return slices.Collect(Schedule(Poisson, 500, 4*time.Second, seed)) }
		first, again := times(7), times(7)
		assert.Equal(t, first, again)
		assert.NotEqual(t, times(7), times(8))
		assert.InDelta(t, 2000, len(times(7)), 200)
		assert.True(t, slices.IsSorted(times(7)))

		fixed := slices.Collect(Schedule(Fixed, 4, time.Second, 7))
		assert.Equal(t, []time.Duration{0, 250 * time.Millisecond, 500 * time.Millisecond, 750 * time.Millisecond}, fixed)

		b := &bank{}
		options := b.serve(t)
		var sums []map[string]int64
		for range 2 {
			result, err := Run(t.Context(), options)
			require.NoError(t, err)
			sum := map[string]int64{}
			for _, p := range result.Payments {
				sum[p.Merchant+" "+p.Currency] += p.Amount
			}
			sums = append(sums, sum)
		}
		assert.Equal(t, sums[0], sums[1])
		assert.Len(t, b.payments, len(b.keys))
	})
}

func TestPoissonArrivalsAreIndependentOfEachOther(t *testing.T) {
	var gaps []float64
	var last time.Duration
	for at := range Schedule(Poisson, 1000, 20*time.Second, 3) {
		gaps = append(gaps, (at - last).Seconds())
		last = at
	}
	mean, variance := 0.0, 0.0
	for _, gap := range gaps {
		mean += gap / float64(len(gaps))
	}
	for _, gap := range gaps {
		variance += (gap - mean) * (gap - mean) / float64(len(gaps))
	}
	assert.InEpsilon(t, 0.001, mean, 0.05)
	assert.InEpsilon(t, mean*mean, variance, 0.1, "exponential gaps vary as much as their mean")
}

func TestOptionsThatMakeNoSenseAreRefused(t *testing.T) {
	inNoTime(t, func(t *testing.T) {
		b := &bank{}
		for text, change := range map[string]func(*Options){
			"more than 0, at most 100000": func(o *Options) { o.Rate = 0 },
			"more than 0, at most 24h":    func(o *Options) { o.Duration = -1 },
			"unknown arrivals":            func(o *Options) { o.Arrivals = "uniform" },
			"nothing may be negative":     func(o *Options) { o.InFlight = -1 },
			"no URL of an API":            func(o *Options) { o.API.URL = "payments.example.com" },
			"key is empty":                func(o *Options) { o.API.Key = nil },
		} {
			options := b.serve(t)
			change(&options)
			_, err := Run(t.Context(), options)
			require.ErrorContains(t, err, text)
		}
	})
}

func TestThePageCarriesEverythingAndNoForeignMarkup(t *testing.T) {
	inNoTime(t, func(t *testing.T) {
		b := &bank{}
		options := b.serve(t)
		result, err := Run(t.Context(), options)
		require.NoError(t, err)
		result.Seen["<script>alert(1)</script>"] = 1
		result.Reconciliation.Missing = []string{"<img src=x>"}
		content, err := Page(result)
		require.NoError(t, err)
		html := string(content)
		assert.Contains(t, html, fmt.Sprintf("%d of %d payments acknowledged", result.Acknowledged, result.Planned))
		assert.Contains(t, html, `<polyline class="p99" points="`)
		assert.NotContains(t, html, "<script>")
		assert.NotContains(t, html, "<img")
		assert.NotContains(t, html, "http://")
		assert.NotContains(t, html, "https://")

		empty, err := Page(Result{})
		require.NoError(t, err)
		assert.NotContains(t, string(empty), "<polyline")
	})
}

func TestWhatIsInFlightOnAverageObeysLittlesLaw(t *testing.T) {
	inNoTime(t, func(t *testing.T) {
		b := &bank{answer: func(http.ResponseWriter, int) bool {
			time.Sleep(42 * time.Millisecond) // of the test's own clock
			return false
		}}
		options := b.serve(t)
		options.Arrivals = Fixed
		result, err := Run(t.Context(), options)
		require.NoError(t, err)
		addUp(t, result)
		// 100 payments, one every 5 ms: 92 are answered within the 500 ms, and the last 8 are in flight for 5 to 40 ms of them.
		assert.InDelta(t, 184, result.Throughput, 1e-9)
		assert.InDelta(t, (92*42+180)/500.0, result.MeanInFlight, 1e-6)
		assert.Equal(t, 9, result.MostInFlight)
	})
}
