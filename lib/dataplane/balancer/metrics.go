package balancer

import (
	"math"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Counts are figures since the load balancer was made, named as CloudWatch names them:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
type Counts struct {
	Requests                               int64 // RequestCount: those that a target was chosen for
	InFlight                               int64 // now
	ActiveConnections, NewConnections      int64 // of clients and to targets, the former now
	Redirects, FixedResponses              int64
	ELB4xx, ELB5xx, ELB502, ELB503, ELB504 int64 // HTTPCode_ELB_*
	Bytes                                  int64 // ProcessedBytes
	LogLost                                int64 // lines of the access log that came faster than they were taken
	Groups                                 map[string]GroupCounts
	// Rules are the web ACL's, by name, and its default action as "Default_Action".
	Rules map[string]RuleCounts
}

// GroupCounts are the figures of a target group.
type GroupCounts struct {
	Requests         int64
	InFlight         int64    // now
	Targets          [6]int64 // HTTPCode_Target_*: answers by the first figure of their status
	ConnectionErrors int64    // TargetConnectionErrorCount
	ResponseTimes    Times    // TargetResponseTime
}

// RuleCounts are the requests that a rule of the web ACL decided or counted.
type RuleCounts struct{ Allowed, Blocked, Counted int64 }

// Times is a distribution of durations.
type Times struct {
	Count   int64
	Sum     time.Duration
	Buckets [timeBuckets]int64 // the longest of each is [Bound]
}

const (
	timeBuckets = 320
	timeFirst   = 100 * time.Microsecond
	timeGrowth  = 1.05
)

// Bound is the longest duration in a bucket of Times: 100 microseconds in the first, a twentieth more in each that follows. The
// last has no bound.
func Bound(bucket int) time.Duration {
	return time.Duration(float64(timeFirst) * math.Pow(timeGrowth, float64(bucket)))
}

// Quantile is a duration that a share of all does not exceed, by at most a twentieth too long; 0 without any.
func (t Times) Quantile(share float64) time.Duration {
	rest := int64(math.Ceil(share * float64(t.Count)))
	for i, count := range t.Buckets {
		if rest -= count; rest <= 0 && t.Count > 0 {
			return Bound(i)
		}
	}
	return 0
}

type metrics struct {
	requests, inFlight, active, fresh, redirects, fixed, elb4, elb5, elb502, elb503, elb504, bytes atomic.Int64
}

type groupMetrics struct {
	requests, inFlight, connectionErrors, count, sum atomic.Int64
	codes                                            [6]atomic.Int64
	buckets                                          [timeBuckets]atomic.Int64
}

// connection counts clients' connections.
func (m *metrics) connection(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		m.opened()
	case http.StateClosed, http.StateHijacked:
		m.active.Add(-1)
	}
}

// opened counts a connection that was opened.
func (m *metrics) opened() {
	m.active.Add(1)
	m.fresh.Add(1)
}

// count adds a finished request.
func (m *metrics) count(x *exchange) {
	m.inFlight.Add(-1)
	m.bytes.Add(x.in.Load() + x.out)
	if g := x.group; g != nil && x.target != nil {
		m.requests.Add(1)
		g.metrics.requests.Add(1)
		if x.targetStatus != 0 {
			took := x.answered.Sub(x.sent)
			g.metrics.codes[min(x.targetStatus/100, 5)].Add(1)
			g.metrics.count.Add(1)
			g.metrics.sum.Add(int64(took))
			bucket := math.Ceil(math.Log(float64(took)/float64(timeFirst)) / math.Log(timeGrowth))
			g.metrics.buckets[int(min(max(bucket, 0), timeBuckets-1))].Add(1)
		}
	}
	if !x.generated {
		return
	}
	switch last := x.actions; {
	case len(last) > 0 && last[len(last)-1] == "redirect":
		m.redirects.Add(1)
		return
	case len(last) > 0 && last[len(last)-1] == "fixed-response":
		m.fixed.Add(1)
		return
	}
	switch x.status {
	case http.StatusBadGateway:
		m.elb502.Add(1)
	case http.StatusServiceUnavailable:
		m.elb503.Add(1)
	case http.StatusGatewayTimeout:
		m.elb504.Add(1)
	}
	switch x.status / 100 {
	case 4:
		m.elb4.Add(1)
	case 5:
		m.elb5.Add(1)
	}
}

// Counts are the figures so far.
func (b *Balancer) Counts() Counts {
	m := &b.metrics
	c := Counts{
		Requests: m.requests.Load(), InFlight: m.inFlight.Load(), ActiveConnections: m.active.Load(), NewConnections: m.fresh.Load(),
		Redirects: m.redirects.Load(), FixedResponses: m.fixed.Load(), ELB4xx: m.elb4.Load(), ELB5xx: m.elb5.Load(),
		ELB502: m.elb502.Load(), ELB503: m.elb503.Load(), ELB504: m.elb504.Load(), Bytes: m.bytes.Load(), Groups: map[string]GroupCounts{},
	}
	if b.logger != nil {
		c.LogLost = b.logger.lost.Load()
	}
	for arn, g := range *b.reachable.Load() {
		counts := GroupCounts{
			Requests: g.metrics.requests.Load(), InFlight: g.metrics.inFlight.Load(), ConnectionErrors: g.metrics.connectionErrors.Load(),
			ResponseTimes: Times{Count: g.metrics.count.Load(), Sum: time.Duration(g.metrics.sum.Load())},
		}
		for i := range counts.Targets {
			counts.Targets[i] = g.metrics.codes[i].Load()
		}
		for i := range counts.ResponseTimes.Buckets {
			counts.ResponseTimes.Buckets[i] = g.metrics.buckets[i].Load()
		}
		c.Groups[arn] = counts
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	c.Rules = b.firewall.counts()
	return c
}
