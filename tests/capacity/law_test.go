package capacity

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// measured are points of a law, each wrong by up to a share.
func measured(of Law, wrong float64, inFlight ...float64) []Point {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // it is to be repeatable
	var points []Point
	for _, n := range inFlight {
		points = append(points, Point{n, of.Throughput(n) * (1 + wrong*(2*random.Float64()-1))})
	}
	return points
}

var spread = []float64{1, 2, 5, 12, 40, 150, 1000}

func TestTheFitFindsTheLawThatPointsWereMadeOf(t *testing.T) {
	for name, law := range map[string]Law{
		"contention and coherency": {Lambda: 100, Alpha: 0.05, Beta: 0.0002},
		"contention alone":         {Lambda: 40, Alpha: 0.1},
		"coherency alone":          {Lambda: 900, Beta: 1e-5},
		"no limit":                 {Lambda: 7},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := Fit(measured(law, 0, spread...))
			require.NoError(t, err)
			assert.InEpsilon(t, law.Lambda, found.Lambda, 1e-6)
			assert.InDelta(t, law.Alpha, found.Alpha, 1e-6)
			assert.InDelta(t, law.Beta, found.Beta, 1e-9)
			assert.InDelta(t, 0, found.Residual, 1e-6)
		})
	}
}

func TestTheFitIsNearWhereMeasurementsAreNot(t *testing.T) {
	law := Law{Lambda: 100, Alpha: 0.05, Beta: 0.0002}
	found, err := Fit(measured(law, 0.03, spread...))
	require.NoError(t, err)
	assert.InEpsilon(t, law.Lambda, found.Lambda, 0.05)
	assert.InEpsilon(t, law.Alpha, found.Alpha, 0.2)
	assert.InEpsilon(t, law.Knee(), found.Knee(), 0.1)
	assert.Less(t, found.Residual, 0.03)
	assert.Positive(t, found.Residual)
}

func TestTheKneeIsWhereThroughputIsHighest(t *testing.T) {
	law := Law{Lambda: 100, Alpha: 0.05, Beta: 0.0002}
	knee := law.Knee()
	assert.InDelta(t, math.Sqrt(0.95/0.0002), knee, 1e-9)
	assert.Greater(t, law.Throughput(knee), law.Throughput(knee*0.9))
	assert.Greater(t, law.Throughput(knee), law.Throughput(knee*1.1))
	assert.True(t, math.IsInf(Law{Lambda: 1, Alpha: 0.5}.Knee(), 1))
	assert.Equal(t, "λ = 100.0/s, α = 0.0500, β = 0.0002, residual 0.0 %; knee at N* = 69 in flight, X(N*) = 1293/s", law.String())
	assert.Equal(t, "λ = 10.0/s, α = 0.5000, β = 0, residual 0.0 %; no knee: throughput comes near λ/α = 20/s", Law{Lambda: 10, Alpha: 0.5}.String())
	assert.Equal(t, "λ = 10.0/s, α = 0.0000, β = 0, residual 0.0 %; no knee: no limit was seen", Law{Lambda: 10}.String())
}

func TestThroughputThatFallsWithTheNumberInFlightHasNoNegativeFigure(t *testing.T) {
	found, err := Fit([]Point{{1, 10}, {2, 25}, {4, 60}, {8, 130}})
	require.NoError(t, err)
	assert.GreaterOrEqual(t, found.Alpha, 0.0)
	assert.GreaterOrEqual(t, found.Beta, 0.0)
}

func TestTooFewPointsAreNoLaw(t *testing.T) {
	_, err := Fit([]Point{{1, 10}, {2, 18}, {2, 19}, {4, 30}})
	require.EqualError(t, err, "3 different points are too few: at least 4")
	_, err = Fit([]Point{{1, 10}, {2, 18}, {3, 0}, {4, 30}})
	require.EqualError(t, err, "a point with 3 in flight and 0 a second is none")
}
