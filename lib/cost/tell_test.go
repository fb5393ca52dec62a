package cost_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/cost"
)

// unpriced is an estimate of a little that costs something, and of something without a price.
func unpriced(t *testing.T) cost.Estimate {
	t.Helper()
	huge := map[string]any{"engine": "aurora-postgresql", "instanceClass": "db.x1.huge"}
	return estimate(t, []cost.Resource{
		{Type: "aws:ec2/natGateway:NatGateway", Name: "nat-1"},
		{Type: "aws:rds/clusterInstance:ClusterInstance", Name: "writer", Inputs: huge},
		{Type: "aws:rds/clusterInstance:ClusterInstance", Name: "reader", Inputs: huge},
	}, cost.Options{Run: cost.PlannedRun})
}

func TestWarningsSayHowFarTheEstimateMayBeOff(t *testing.T) {
	prices, found := table(t), unpriced(t)
	checked := time.Time(prices.Checked())
	require.Len(t, prices.Warnings(found, "us-east-1", checked), 1)
	assert.Contains(t, prices.Warnings(found, "eu-west-1", checked)[0], "the prices are those of us-east-1, and the stack goes to eu-west-1")
	assert.Contains(t, prices.Warnings(found, "us-east-1", checked.AddDate(0, 0, 181))[0], "the oldest price was last checked on "+checked.Format(time.DateOnly))
}

func TestAnEstimateThatLeavesSomethingOutKeepsNoLimit(t *testing.T) {
	found, most := unpriced(t), cost.Whole(1000)
	assert.Empty(t, cost.Limits{}.Exceeded(found))
	over := cost.Limits{Run: &most}.Exceeded(found)
	require.Len(t, over, 1)
	assert.Contains(t, over[0], "the cost cannot be held to a limit, since no price is known: reader, writer")
}

func TestADurationIsWrittenWithoutZeros(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"1h30m": 90 * time.Minute, "1h": time.Hour, "10m": 10 * time.Minute, "10h": 10 * time.Hour, "20h20m": 20*time.Hour + 20*time.Minute,
		"2m30s": 150 * time.Second, "30s": 30 * time.Second, "1h0m5s": time.Hour + 5*time.Second,
	} {
		assert.Equal(t, want, cost.Duration(d).String())
	}
}
