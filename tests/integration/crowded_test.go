package integration

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go/middleware"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
	"tapstack/lib/cloud"
	"tapstack/lib/inventory"
	"tapstack/lib/process/processtest"
	"tapstack/lib/session"
	"tapstack/lib/sweep"
	"tapstack/lib/target"
	"tapstack/lib/verify"
	"tapstack/tests/reliability"
)

// crowded is a deployed stack whose run is old and expired, in an account that others use too.
type crowded struct {
	*session.Session
	emulator *reliability.Emulator
	suffix   string
	others   int
	options  sweep.Options
}

// newCrowded deploys it.
func newCrowded(ctx context.Context, tb testing.TB) *crowded {
	tb.Helper()
	processtest.SkipIfShort(tb)
	tb.Setenv("AWS_PROFILE", "")
	emulator, err := reliability.StartEmulator(ctx, tb.TempDir())
	require.NoError(tb, err)
	tb.Cleanup(emulator.Stop)
	now := time.Now()
	c := &crowded{emulator: emulator, suffix: "mine", options: sweep.Options{Owner: lib.DefaultOwner, OlderThan: 24 * time.Hour, Suffix: "mine", Now: now}}
	options := defaults(target.Options{Name: target.Endpoint, Endpoint: emulator.Endpoint}, c.suffix, tb.TempDir())
	options.Config[lib.ConfigRun], options.Config[lib.ConfigExpires] = lib.NewRun(now.Add(-72*time.Hour)), lib.FormatExpiry(now.Add(-48*time.Hour))
	c.Session = openSession(ctx, tb, options)
	_, err = c.Stack.Up(ctx)
	require.NoError(tb, err)
	return c
}

// crowd brings the number of foreign resources of each kind to count.
func (c *crowded) crowd(ctx context.Context, tb testing.TB, count int) {
	tb.Helper()
	require.NoError(tb, c.emulator.Crowd(ctx, c.others, count))
	c.others = count
}

// operations counts calls by operation. Each page is a call.
type operations struct {
	mutex sync.Mutex
	count map[string]int
}

func (o *operations) watch(cfg aws.Config) aws.Config {
	o.count = map[string]int{}
	cfg = cfg.Copy()
	cfg.APIOptions = append(slices.Clone(cfg.APIOptions), func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("operations",
			func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
				o.mutex.Lock()
				o.count[awsmiddleware.GetServiceID(ctx)+" "+awsmiddleware.GetOperationName(ctx)]++
				o.mutex.Unlock()
				return next.HandleInitialize(ctx, in)
			}), middleware.After)
	})
	return cfg
}

func (o *operations) total() (n int) {
	for _, count := range o.count {
		n += count
	}
	return n
}

// commands are those that read the account.
var commands = []string{"verify", "prove", "sweep"}

// look is what one of the reading commands finds, with the calls that it took.
func (c *crowded) look(ctx context.Context, tb testing.TB, command string) (found []string, calls *operations) {
	tb.Helper()
	calls = &operations{}
	cfg := calls.watch(c.Cloud.Config)
	switch command {
	case "verify":
		outputs, err := c.Outputs(ctx)
		require.NoError(tb, err)
		report, err := verify.Run(ctx, verify.Options{AWS: cfg, Outputs: outputs, Suffix: c.suffix})
		require.NoError(tb, err)
		require.True(tb, report.OK(), "%+v", reasons(report, verify.Failed))
		for _, r := range report.Results {
			found = append(found, fmt.Sprint(r.ID, " ", r.Status))
		}
	case "prove":
		left, err := inventory.Leaks(ctx, cfg, c.suffix)
		require.NoError(tb, err)
		for _, leak := range left {
			found = append(found, leak.String())
		}
	case "sweep":
		_, all, err := inventory.FindStack(ctx, cfg, c.options.Suffix)
		require.NoError(tb, err)
		plan, err := sweep.New(all, c.options)
		require.NoError(tb, err)
		require.Empty(tb, names(plan.Blocked))
		for _, item := range slices.Concat(plan.Delete, plan.Along) {
			found = append(found, item.Resource.String())
		}
	}
	slices.Sort(found)
	return found, calls
}

// BenchmarkCrowded times verify, prove and sweep, up to the plan, beside 5,000 foreign resources of each kind, and counts their calls.
func BenchmarkCrowded(b *testing.B) {
	ctx := context.Background()
	c := newCrowded(ctx, b)
	for _, others := range []int{0, 5000} {
		c.crowd(ctx, b, others)
		for _, command := range commands {
			b.Run(fmt.Sprintf("%s/%d", command, others), func(b *testing.B) {
				calls := 0
				for b.Loop() {
					_, made := c.look(ctx, b, command)
					calls += made.total()
				}
				b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s")
				b.ReportMetric(float64(calls)/float64(b.N), "calls")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// TestOthersInTheAccountCostPagesOnly holds that verify, sweep and prove find the same in an account full of others' resources
// of every kind, that they ask about none of those by itself, and that a sweep touches none.
func TestOthersInTheAccountCostPagesOnly(t *testing.T) {
	ctx, cancel := bounded(t, cleanUpTime)
	defer cancel()
	c := newCrowded(ctx, t)
	const few, many, page = 40, 220, 10 // moto's smallest page is SSM's
	c.crowd(ctx, t, few)
	first, firstCalls := map[string][]string{}, map[string]*operations{}
	for _, command := range commands {
		first[command], firstCalls[command] = c.look(ctx, t, command)
	}
	c.crowd(ctx, t, many)
	for i := range many / 2 { // as another stack names them
		name := lib.PhysicalName("payment-jobs", fmt.Sprint("other", i))
		_, err := cloud.NewClients(c.Cloud.Config).SQS.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name})
		require.NoError(t, err)
	}
	for _, command := range commands {
		found, calls := c.look(ctx, t, command)
		require.NotEmpty(t, found)
		assert.Equal(t, first[command], found, "%s finds what is ours, however many others there are", command)
		t.Logf("%s: %d calls beside %d of each kind, %d beside %d", command, firstCalls[command].total(), few, calls.total(), many)
		for _, operation := range slices.Sorted(maps.Keys(calls.count)) {
			more := calls.count[operation] - firstCalls[command].count[operation]
			assert.LessOrEqual(t, more, (many-few)/page+1, "%s: %s is called more often for %d more resources than their pages take", command, operation, many-few)
		}
	}

	before, err := c.emulator.List(ctx)
	require.NoError(t, err)
	plan, outcomes, err := sweepOnce(ctx, t, c.Cloud.Config, c.options)
	require.NoError(t, err)
	require.Empty(t, unswept(outcomes))
	left, err := sweep.Prove(ctx, c.Cloud.Config, plan, outcomes, c.options)
	require.NoError(t, err)
	require.Empty(t, names(left))
	after, err := c.emulator.List(ctx)
	require.NoError(t, err)
	for _, gone := range before.Without(after) {
		assert.NotContains(t, gone, "others", "the sweep of %s has taken it", c.suffix)
	}
	none, _ := c.look(ctx, t, "prove")
	assert.Empty(t, none)
	for _, kind := range []string{"ec2.vpcs", "kms.keys", "rds.clusters"} {
		assert.GreaterOrEqual(t, len(after[kind]), many, "others' %s are there", strings.ToLower(kind))
	}
}
