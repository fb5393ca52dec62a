// Package payments makes payments through a stack that is deployed, run by the data plane and broken all the while, and asks its
// database what became of them.
package payments

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tapstack/lib/load"
	"tapstack/lib/process/processtest"
	"tapstack/lib/session"
	"tapstack/tests/reference"
)

// variable is how many payments are made: make test-payments and make torture-payments set it.
const variable = "TAPSTACK_PAYMENTS"

// rate is how many payments are begun a second: well below what two cores can take, so that what is tried is loss and not load.
const rate = 100

// inFlight are begun at once, and as many more as are answered.
const inFlight = 1300

// between is the time from one kill to the next.
const between = time.Second

func TestMain(m *testing.M) {
	code := m.Run()
	reference.Clean()
	os.Exit(code)
}

// TestPayments makes payments through one deployed stack: first many at once, then some while it is broken.
func TestPayments(t *testing.T) {
	processtest.SkipIfShort(t)
	count, err := strconv.Atoi(os.Getenv(variable))
	if err != nil {
		t.Skipf("%s is not set: make test-payments makes some payments, make torture-payments 10,000", variable)
	}
	ctx, s := reference.Deployed(t, nil, map[string]string{"wafRateLimit": "2000000000"}) // all merchants come from one address here
	require.True(t, t.Run("a thousand in flight", func(t *testing.T) { aThousandAreInFlight(t, ctx, s) }))
	t.Run("none is lost or settled twice", func(t *testing.T) { noneIsLostOrSettledTwice(t, ctx, s, count) })
}

// aThousandAreInFlight begins more payments than the stack takes, so that the load balancer has more than a thousand in hand, and
// wants each of them acknowledged at the first try.
func aThousandAreInFlight(t *testing.T, ctx context.Context, s *session.Session) { //nolint:revive // helper, as in testify
	t.Helper()
	api, err := s.PaymentAPI(ctx, "", "")
	require.NoError(t, err)
	result, err := load.Run(ctx, load.Options{API: api, Rate: 2000, Duration: 4 * time.Second, Arrivals: load.Fixed, InFlight: inFlight, Merchants: 20})
	require.NoError(t, err)
	fmt.Printf("%d payments in flight at once, %.0f on average over %.0f s; %d sent: %v; latency in ms: p50 %.0f, p99 %.0f\n",
		result.MostInFlight, result.MeanInFlight, result.Seconds, result.Sent, result.Seen, result.Latency.P50, result.Latency.P99)
	require.Equal(t, inFlight, result.MostInFlight)
	require.GreaterOrEqual(t, result.MeanInFlight, 1000.0, "they must be held, not only reached")
	require.Equal(t, map[string]int{"201": result.Sent}, result.Seen)
}

// noneIsLostOrSettledTwice kills a task of the API, a task of the processor and the writer of the database in turn.
func noneIsLostOrSettledTwice(t *testing.T, ctx context.Context, s *session.Session, count int) { //nolint:revive // the same
	t.Helper()
	during := time.Duration(float64(count) / rate * float64(time.Second))
	result, err := s.Payments(ctx, load.Options{Rate: rate, Duration: during, Arrivals: load.Fixed, Merchants: 8}, kills(during))
	require.NoError(t, err)
	fmt.Printf("%d payments at %d a second with a kill every %s: %s; latency in ms: p50 %.0f, p99 %.0f, max %.0f\n",
		count, rate, between, result, result.Latency.P50, result.Latency.P99, result.Latency.Max)
	require.Equal(t, count, result.Planned)
	require.Equal(t, count, result.Acknowledged, "every payment must be acknowledged in the end")
	require.True(t, result.Settlement.Holds(), "%s", result.Settlement)
	require.GreaterOrEqual(t, result.Settlement.Accepted, count)
}

// kills are one every so often, of each kind in turn.
func kills(during time.Duration) []session.Disturbance {
	var all []session.Disturbance
	for at, i := between, 0; at < during; at, i = at+between, i+1 {
		victim := []string{"payment-api", "job-processor", session.DatabaseWriter}[i%3]
		all = append(all, session.Disturbance{Name: "killing " + victim, At: at, Do: func(s *session.Session, ctx context.Context) error { //nolint:revive // a method
			return s.Plane.Kill(ctx, victim)
		}})
	}
	return all
}
