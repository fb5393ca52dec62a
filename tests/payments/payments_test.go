// Package payments makes payments through a stack that is deployed, run by the data plane and broken all the while, and asks its
// database what became of them.
package payments

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gruntwork-io/terratest/modules/random"
	"github.com/stretchr/testify/require"

	"tapstack/lib/load"
	"tapstack/lib/process/processtest"
	"tapstack/lib/session"
	"tapstack/lib/target"
	"tapstack/tests/reference"
)

// variable is how many payments are made: make test-payments and make torture-payments set it.
const variable = "TAPSTACK_PAYMENTS"

// rate is how many payments are begun a second: well below what two cores can take, so that what is tried is loss and not load.
const rate = 100

// between is the time from one kill to the next.
const between = time.Second

func TestMain(m *testing.M) {
	code := m.Run()
	reference.Clean()
	os.Exit(code)
}

// TestNoPaymentIsLostOrSettledTwice kills a task of the API, a task of the processor and the writer of the database in turn.
func TestNoPaymentIsLostOrSettledTwice(t *testing.T) {
	processtest.SkipIfShort(t)
	count, err := strconv.Atoi(os.Getenv(variable))
	if err != nil {
		t.Skipf("%s is not set: make test-payments makes some payments, make torture-payments 10,000", variable)
	}
	ctx, s := deployed(t, reference.DataPlane(t).Run, map[string]string{"wafRateLimit": "1000000"}) // all merchants come from one address here
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

// deployed is a session with a stack that runs the programs and whose database is migrated, until the test ends.
func deployed(t *testing.T, run map[string][]string, config map[string]string) (context.Context, *session.Session) {
	t.Helper()
	for name, program := range reference.DataPlane(t).Run {
		if run[name] == nil {
			run[name] = program
		}
	}
	options := session.Options{
		Target: target.Options{Name: target.Local}, Suffix: "pay-" + strings.ToLower(random.UniqueID()),
		DataPlane: &session.DataPlane{Run: run}, Changes: true, Progress: notes{t: t},
	}
	_, err := options.Configure(t.Context(), session.Settings{Fresh: true, Assume: true, Given: config})
	require.NoError(t, err)
	s, ctx := session.New(context.Background(), options)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, s.OpenNew(ctx))
	planned, err := s.Preview(ctx)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := s.CleanupContext(ctx)
		defer cancel()
		_, err := s.Destroy(ctx)
		require.NoError(t, err)
		left, err := s.Prove(ctx)
		require.NoError(t, err)
		require.Empty(t, left)
	})
	_, err = s.Up(ctx, planned)
	require.NoError(t, err)
	_, err = s.Migrate(ctx)
	require.NoError(t, err)
	return ctx, s
}

// notes hands on what a session notes.
type notes struct {
	session.Quiet
	t *testing.T
}

func (n notes) Note(text string) { n.t.Log(text) }
