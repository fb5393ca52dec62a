package balancer_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/stretchr/testify/require"

	"tapstack/lib/dataplane/balancer"
)

// BenchmarkThroughTheLoadBalancer asks a server as fast as it can, straight and through the load balancer, with TLS on both
// sides of it, and prints requests a second, the 99th percentile and the ratio. Client, load balancer and server share this
// machine's cores, so that the ratio is of everything that a request costs here.
func BenchmarkThroughTheLoadBalancer(b *testing.B) {
	target, server := serveOn(b, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, `{"id":"pay_1","status":"authorized"}`)
	}, (*httptest.Server).StartTLS)
	balancing := start(b, balancer.Options{Speed: 1})
	s := state(target)
	s.Listeners = []balancer.Listener{secure(b, forward(apiGroup), certificate(b, "arn", "payments.internal"))}
	s.Groups[0].Protocol, s.Groups[0].HealthCheckProtocol = elbtypes.ProtocolEnumHttps, elbtypes.ProtocolEnumHttps
	balancing.update(s)
	balancing.await(target, "healthy")
	var straight float64
	for _, each := range []struct{ name, url string }{{"straight", server.URL}, {"balanced", "https://" + balancing.Addresses()[443]}} {
		b.Run(each.name, func(b *testing.B) {
			rate, p99 := drive(b, each.url, 64)
			b.ReportMetric(rate, "requests/s")
			b.ReportMetric(float64(p99.Microseconds())/1000, "p99-ms")
			if each.name == "straight" {
				straight = rate
			} else if straight > 0 {
				b.ReportMetric(straight/rate, "x-cost")
			}
		})
	}
}

// drive sends b.N requests by so many workers over connections of HTTP/1.1.
func drive(b *testing.B, url string, workers int) (rate float64, p99 time.Duration) {
	b.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, MaxIdleConnsPerHost: workers} //nolint:gosec // certificates of tests
	defer transport.CloseIdleConnections()
	c := &http.Client{Transport: transport}
	took := make([]time.Duration, b.N)
	var next atomic.Int64
	var group sync.WaitGroup
	b.ResetTimer()
	began := time.Now()
	for range workers {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
				start := time.Now()
				response, err := c.Get(url) //nolint:noctx // a benchmark
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				if response.StatusCode != http.StatusOK {
					b.Error(response.Status)
				}
				took[i] = time.Since(start)
			}
		})
	}
	group.Wait()
	elapsed := time.Since(began)
	require.NotEmpty(b, took)
	slices.Sort(took)
	return float64(b.N) / elapsed.Seconds(), took[len(took)*99/100]
}
