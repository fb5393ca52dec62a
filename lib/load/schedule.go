package load

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"time"
)

// Arrivals is how arrivals follow each other.
type Arrivals string

// The kinds of arrivals: Poisson has them come independently of each other, as customers do; Fixed at even distances.
const (
	Poisson Arrivals = "poisson"
	Fixed   Arrivals = "fixed"
)

// The streams of random numbers that a seed has.
const (
	streamOfTimes = iota
	streamOfOrders
)

// Schedule are the times of the arrivals, from the start of the run. The same seed gives the same ones.
func Schedule(arrivals Arrivals, rate float64, duration time.Duration, seed uint64) iter.Seq[time.Duration] {
	return func(yield func(time.Duration) bool) {
		random := rand.New(rand.NewPCG(seed, streamOfTimes)) //nolint:gosec // it is to be repeatable
		at := 0.0
		for count := 1; ; count++ {
			if arrivals == Fixed {
				at = float64(count-1) / rate
			} else {
				at += random.ExpFloat64() / rate
			}
			if when := time.Duration(at * float64(time.Second)); when >= duration || !yield(when) {
				return
			}
		}
	}
}

// order is a payment to be made.
type order struct {
	merchant string
	key      string
	body     map[string]any
	amount   int64
	currency string
}

// currencies are a few, with and without decimal places.
var currencies = []string{"EUR", "USD", "GBP", "JPY"}

// orders are the payments of a seed, one after the other. Their keys are new in each run, or the API would give the answers of
// the last one.
func (r *run) orders() func() order {
	random := rand.New(rand.NewPCG(r.Seed, streamOfOrders)) //nolint:gosec // it is to be repeatable
	name := r.client.run
	count := 0
	return func() order {
		count++
		o := order{
			merchant: fmt.Sprintf("load-%d", random.IntN(r.Merchants)+1),
			key:      fmt.Sprintf("%s-%d", name, count),
			amount:   1 + random.Int64N(100_000),
			currency: currencies[random.IntN(len(currencies))],
		}
		o.body = map[string]any{"amount": o.amount, "currency": o.currency, "token": "tok_load", "reference": o.key}
		return o
	}
}
