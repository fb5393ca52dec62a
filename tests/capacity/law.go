// Package capacity measures how much a deployed stack takes, beside its services alone: docs/capacity.md.
package capacity

import (
	"errors"
	"fmt"
	"math"
)

// Point is what was measured: how many requests were in flight, on average, and how many were answered a second.
type Point struct{ InFlight, Throughput float64 }

// Law is the universal scalability law (Gunther): X(N) = λN / (1 + α(N−1) + βN(N−1)).
type Law struct {
	Lambda float64 // throughput of one request at a time
	Alpha  float64 // the share that waits for its turn
	Beta   float64 // what all cost each other
	// Residual is the root mean square of the relative distance of the points.
	Residual float64
}

// Throughput is the law's, with so many in flight.
func (l Law) Throughput(n float64) float64 {
	return l.Lambda * n / (1 + l.Alpha*(n-1) + l.Beta*n*(n-1))
}

// Knee is how many in flight give the highest throughput; without β there is none, and more only wait.
func (l Law) Knee() float64 {
	if l.Beta == 0 {
		return math.Inf(1)
	}
	return math.Sqrt(max(1-l.Alpha, 0) / l.Beta)
}

// String tells the law with its knee.
func (l Law) String() string {
	text := fmt.Sprintf("λ = %.1f/s, α = %.4f, β = %.3g, residual %.1f %%", l.Lambda, l.Alpha, l.Beta, 100*l.Residual)
	switch knee := l.Knee(); {
	case !math.IsInf(knee, 1):
		return fmt.Sprintf("%s; knee at N* = %.0f in flight, X(N*) = %.0f/s", text, knee, l.Throughput(knee))
	case l.Alpha > 0:
		return fmt.Sprintf("%s; no knee: throughput comes near λ/α = %.0f/s", text, l.Lambda/l.Alpha)
	}
	return text + "; no knee: no limit was seen"
}

// Fit finds the law that is closest to the points, relative to each. N/X = (1 + α(N−1) + βN(N−1))/λ is linear in 1/λ, α/λ and
// β/λ; where the closest would have α or β below 0, it is 0.
func Fit(points []Point) (Law, error) {
	const least = 4 // for three figures
	distinct := map[float64]bool{}
	for _, p := range points {
		if !(p.InFlight > 0 && p.Throughput > 0) {
			return Law{}, fmt.Errorf("a point with %g in flight and %g a second is none", p.InFlight, p.Throughput)
		}
		distinct[p.InFlight] = true
	}
	if len(distinct) < least {
		return Law{}, fmt.Errorf("%d different points are too few: at least %d", len(distinct), least)
	}
	best := Law{Residual: math.Inf(1)}
	for _, columns := range [][]int{{0, 1, 2}, {0, 1}, {0, 2}, {0}} {
		var figures [3]float64
		for i, value := range leastSquares(points, columns) {
			figures[columns[i]] = value
		}
		l := Law{Lambda: 1 / figures[0], Alpha: figures[1] / figures[0], Beta: figures[2] / figures[0]}
		if !(l.Lambda > 0 && l.Alpha >= 0 && l.Beta >= 0) {
			continue
		}
		for _, p := range points {
			l.Residual += math.Pow(l.Throughput(p.InFlight)/p.Throughput-1, 2) / float64(len(points))
		}
		if l.Residual = math.Sqrt(l.Residual); l.Residual < best.Residual {
			best = l
		}
	}
	if math.IsInf(best.Residual, 1) {
		return Law{}, errors.New("no such law comes near the points")
	}
	return best, nil
}

// leastSquares solves the normal equations for some of the columns 1, N−1 and N(N−1) of N/X, each row divided by N/X.
func leastSquares(points []Point, columns []int) []float64 {
	size := len(columns)
	equations := make([][]float64, size) // with the right-hand side
	for i := range equations {
		equations[i] = make([]float64, size+1)
	}
	for _, p := range points {
		n, weight := p.InFlight, p.Throughput/p.InFlight
		all := []float64{weight, (n - 1) * weight, n * (n - 1) * weight}
		for i, column := range columns {
			for j, other := range columns {
				equations[i][j] += all[column] * all[other]
			}
			equations[i][size] += all[column]
		}
	}
	for i := range size { // they are symmetric and positive: no row needs another's place
		for j := range size {
			if j == i {
				continue
			}
			factor := equations[j][i] / equations[i][i]
			for k := i; k <= size; k++ {
				equations[j][k] -= factor * equations[i][k]
			}
		}
	}
	solution := make([]float64, size)
	for i := range size {
		solution[i] = equations[i][size] / equations[i][i]
	}
	return solution
}
