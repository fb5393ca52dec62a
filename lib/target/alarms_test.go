package target_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/stretchr/testify/require"

	"tapstack/lib/cloud"
	"tapstack/lib/target"
)

// refusing hands what is asked on to moto, answers so many deletions of alarms with an error, and notes each call.
func refusing(t *testing.T, behind *target.Target, deletions int) (server *httptest.Server, calls func() string) {
	t.Helper()
	address, err := url.Parse(behind.Endpoint)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(address)
	var mutex sync.Mutex
	var asked []string
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/_localstack/health" {
			_, _ = w.Write([]byte(`{"services": {"sqs": "available"}, "edition": "imitated", "version": "0.0.1"}`))
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		call := r.Header.Get("X-Amz-Target") + string(body)
		mutex.Lock()
		asked = append(asked, call)
		refused := strings.Contains(call, "DeleteAlarms") && deletions > 0
		if refused {
			deletions--
		}
		mutex.Unlock()
		if refused {
			http.Error(w, "no", http.StatusInternalServerError)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server, func() string {
		mutex.Lock()
		defer mutex.Unlock()
		return strings.Join(asked, " ")
	}
}

func TestLookingForServicesLeavesNothing(t *testing.T) {
	behind := localMoto(t)
	server, asked := refusing(t, behind, 2)
	open(t, target.Options{Name: target.Endpoint, Endpoint: server.URL})
	require.Contains(t, asked(), "DescribeAlarms")
	require.NotContains(t, asked(), "PutMetricAlarm", "an endpoint is only told of: nothing is written that a kill would leave")

	open(t, target.Options{Name: target.LocalStack, Endpoint: server.URL})
	require.Contains(t, asked(), "PutMetricAlarm")
	left, err := cloud.NewClients(behind.Config).CloudWatch.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{})
	require.NoError(t, err)
	require.Empty(t, left.MetricAlarms, "a deletion that fails is made again")
}
