package capacity

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"tapstack/lib/cloud"
	"tapstack/lib/load"
	"tapstack/lib/process"
	"tapstack/lib/process/processtest"
	"tapstack/tests/reference"
)

// variable has the rates, payments a second with commas between them, or says that a probe is to choose them: make capacity sets it.
const variable, probed = "TAPSTACK_CAPACITY", "probed"

const (
	warmUp    = 3 * time.Second
	measuring = 15 * time.Second
	// merchants share what one may send a second.
	merchants = 20
	// most may be in flight, so that an overload is as long as the other points.
	most = 1000
	// held are in flight at once in the end, for so long.
	held    = 1200
	holding = 30 * time.Second
	// settling bounds the wait for what is still to be settled.
	settling = 5 * time.Minute
)

// system is what payments are sent to.
type system struct {
	name string
	api  load.API
	// database is its writer.
	database *pgx.Conn
}

// point is what was measured at a rate.
type point struct {
	load.Result
	rate    float64
	settled float64            // a second
	spent   map[string]float64 // seconds of CPU time for each acknowledged payment, by program
}

func TestMain(m *testing.M) {
	code := m.Run()
	reference.Clean()
	os.Exit(code)
}

// TestCapacity sends payments to a deployed stack at rates from well below to above what it takes, then to its services alone.
func TestCapacity(t *testing.T) {
	processtest.SkipIfShort(t)
	wanted := os.Getenv(variable)
	if wanted == "" {
		t.Skipf("%s is not set: make capacity measures", variable)
	}
	var stacked, bared []point
	require.True(t, t.Run("stack", func(t *testing.T) {
		// All merchants come from one address here, and the number of tasks is to stay what it is.
		ctx, s := reference.Deployed(t, nil, map[string]string{"wafRateLimit": "2000000000", "apiMaxCount": "3", "jobMaxCount": "2"})
		api, err := s.PaymentAPI(ctx, "", "")
		require.NoError(t, err)
		database, err := s.Database(ctx)
		require.NoError(t, err)
		defer func() { require.NoError(t, database.Close(ctx)) }()
		stack := system{"the whole stack, through the load balancer", api, database}
		stacked = stack.measure(t, ctx, rates(t, ctx, wanted, stack))
		stack.hold(t, ctx, stacked[len(stacked)-1].rate)
	}))
	require.True(t, t.Run("bare", func(t *testing.T) {
		bare := alone(t)
		bared = bare.measure(t, t.Context(), rates(t, t.Context(), wanted, bare, stacked...))
	}))
	compare(stacked, bared)
}

// rates are those that are wanted, or shares of what a short overload gets through; those of former points are among them.
func rates(t *testing.T, ctx context.Context, wanted string, s system, former ...point) []float64 { //nolint:revive // helper, as in testify
	t.Helper()
	var all []float64
	if wanted != probed {
		for text := range strings.SplitSeq(wanted, ",") {
			rate, err := strconv.ParseFloat(text, 64)
			require.NoError(t, err, "RATES are numbers with commas between them")
			all = append(all, rate)
		}
		slices.Sort(all)
		return all
	}
	s.send(t, ctx, load.Options{Rate: 200, Duration: warmUp})
	probe := s.send(t, ctx, load.Options{Rate: 3000, Duration: 2 * warmUp, InFlight: 64})
	for _, share := range []float64{0.2, 0.4, 0.6, 0.8, 1, 1.3} {
		all = append(all, 10*math.Round(share*probe.Throughput/10))
	}
	s.settle(t, ctx)
	if len(former) > 0 { // the same ones, and what is above them
		above := former[len(former)-1].rate
		all = slices.DeleteFunc(all, func(rate float64) bool { return rate <= above })
		for _, p := range former {
			all = append(all, p.rate)
		}
		slices.Sort(all)
	}
	return all
}

func (s system) send(t *testing.T, ctx context.Context, options load.Options) load.Result { //nolint:revive // helper
	t.Helper()
	options.API, options.Arrivals, options.Merchants = s.api, load.Poisson, merchants
	options.InFlight = cmp.Or(options.InFlight, most)
	result, err := load.Run(ctx, options)
	require.NoError(t, err)
	return result
}

// measure measures at each rate, and prints.
func (s system) measure(t *testing.T, ctx context.Context, rates []float64) []point { //nolint:revive // helper
	t.Helper()
	fmt.Printf("\n%s\n", s.name)
	fmt.Println("| offered/s | achieved/s | p50 ms | p90 ms | p99 ms | in flight | X·W | dropped | errors | settled/s | CPU ms a payment |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|---|---|")
	var all []point
	for i, rate := range rates {
		s.send(t, ctx, load.Options{Rate: rate, Duration: warmUp, Seed: uint64(2 * i)})
		settled, spent := s.count(t, ctx, "settled"), cpu()
		p := point{rate: rate, Result: s.send(t, ctx, load.Options{Rate: rate, Duration: measuring, Seed: uint64(2*i + 1)})}
		p.settled = (s.count(t, ctx, "settled") - settled) / p.Seconds
		p.spent = cpu()
		for name := range p.spent {
			p.spent[name] = (p.spent[name] - spent[name]) / float64(p.Acknowledged)
		}
		fmt.Println(p)
		all = append(all, p)
		s.settle(t, ctx)
	}
	law, err := Fit(points(all))
	require.NoError(t, err)
	fmt.Printf("universal scalability law: %s; highest measured %.0f/s\n", law, capacity(all))
	return all
}

func (p point) String() string {
	var spent []string
	for _, name := range slices.Sorted(maps.Keys(p.spent)) {
		spent = append(spent, fmt.Sprintf("%s %.2f", name, 1000*p.spent[name]))
	}
	return fmt.Sprintf("| %.0f | %.0f | %.1f | %.1f | %.1f | %.1f | %.1f | %d | %d | %.0f | %s |", p.rate, p.Throughput, p.Latency.P50, p.Latency.P90, p.Latency.P99,
		p.MeanInFlight, p.Throughput*p.Latency.Mean/1000, p.Dropped, p.errors(), p.settled, strings.Join(spent, ", "))
}

// errors are all answers but 201, and none.
func (p point) errors() int {
	count := 0
	for what, times := range p.Seen {
		if what != strconv.Itoa(http.StatusCreated) {
			count += times
		}
	}
	return count
}

func points(all []point) (of []Point) {
	for _, p := range all {
		of = append(of, Point{p.MeanInFlight, p.Throughput})
	}
	return of
}

// capacity is the most that was got through.
func capacity(all []point) (highest float64) {
	for _, p := range all {
		highest = max(highest, p.Throughput)
	}
	return highest
}

// hold keeps so many in flight that all that the stack has is full, and wants no error.
func (s system) hold(t *testing.T, ctx context.Context, rate float64) { //nolint:revive // helper
	t.Helper()
	p := point{Result: s.send(t, ctx, load.Options{Rate: 5 * rate, Duration: holding, InFlight: held})}
	fmt.Printf("%d in flight at once (%.0f on average) for %.0f s: %.0f/s, p50 %.0f ms, p99 %.0f ms, max %.0f ms; %d errors of %d: %v\n",
		p.MostInFlight, p.MeanInFlight, p.Seconds, p.Throughput, p.Latency.P50, p.Latency.P99, p.Latency.Max, p.errors(), p.Sent, p.Seen)
	require.GreaterOrEqual(t, p.MeanInFlight, 1000.0)
	require.Equal(t, map[string]int{"201": p.Sent}, p.Seen)
	s.settle(t, ctx)
}

// settle waits until everything accepted is settled.
func (s system) settle(t *testing.T, ctx context.Context) { //nolint:revive // helper
	t.Helper()
	require.NoError(t, cloud.Poll(ctx, cloud.Wait{Limit: settling, First: 100 * time.Millisecond, Longest: time.Second}, func(context.Context) (bool, error) {
		return s.count(t, ctx, "captured") == 0, nil
	}), "payments are not settled")
}

func (s system) count(t *testing.T, ctx context.Context, status string) (n float64) { //nolint:revive // helper
	t.Helper()
	require.NoError(t, s.database.QueryRow(ctx, "SELECT count(*)::float8 FROM payment.payments WHERE status = $1", status).Scan(&n))
	return n
}

// compare prints what the data plane costs.
func compare(stack, bare []point) {
	fmt.Printf("\nthe services alone take %.2f times as much (%.0f/s to %.0f/s)\n", capacity(bare)/capacity(stack), capacity(bare), capacity(stack))
	for _, s := range stack {
		for _, b := range bare {
			if s.rate == b.rate {
				fmt.Printf("at %.0f/s the stack's p50 is %.2f times theirs, its p99 %.2f times\n", s.rate, s.Latency.P50/b.Latency.P50, s.Latency.P99/b.Latency.P99)
			}
		}
	}
}

// cpu is the CPU time in seconds of this process, which is the load and the data plane, and of what it has started, by program.
func cpu() map[string]float64 {
	spent := map[string]float64{}
	for _, pid := range append(processtest.Descendants(os.Getpid()), os.Getpid()) {
		seconds, _ := process.Consumed(pid)
		spent[program(pid)] += seconds
	}
	return spent
}

// program is what a process is counted as.
func program(pid int) string {
	content, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	line := strings.ReplaceAll(string(content), "\x00", " ")
	for _, name := range []string{"payment-api", "job-processor", "postgres", "python"} {
		if strings.Contains(line, name) {
			return name
		}
	}
	if pid == os.Getpid() {
		return "tool"
	}
	return cmp.Or(filepath.Base(strings.Split(line, " ")[0]), "ended")
}
