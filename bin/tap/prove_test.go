package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheLeakProofNeedsNoStateAndRepeatsThrottledReads(t *testing.T) {
	l := newLitter(t)
	behind, err := url.Parse(l.endpoint)
	require.NoError(t, err)
	var throttled atomic.Int32
	proxy, broken := httputil.NewSingleHostReverseProxy(behind), atomic.Bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case broken.Load() && r.Header.Get("X-Amz-Target") == "AmazonSQS.ListQueues":
			w.Header().Set("X-Amzn-ErrorType", "AccessDeniedException")
			w.WriteHeader(http.StatusForbidden)
		case r.Header.Get("X-Amz-Target") == "AmazonSQS.ListQueues" && throttled.Add(1) <= 4:
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"__type":"ThrottlingException","message":"Rate exceeded"}`)
		default:
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	flags := []string{"prove", "--target", "endpoint", "--endpoint", server.URL, "--no-progress"}

	stdout, _ := tap(t, exitFailed, append(flags, "--suffix", "old", "--output", "json")...)
	require.EqualValues(t, 5, throttled.Load())
	var told struct {
		Left   []string
		Proven bool
		Next   string
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &told))
	require.True(t, told.Proven)
	require.Len(t, told.Left, 2)
	require.Contains(t, told.Next, "sweep --target endpoint --endpoint "+server.URL+" --suffix old")
	require.Contains(t, told.Next, "--older-than 0s --ignore-expiry --yes")

	stdout, _ = tap(t, exitFine, append(flags, "--suffix", "never")...)
	require.Equal(t, "Nothing is left.\n", stdout)

	broken.Store(true)
	_, stderr := tap(t, exitUnproven, append(flags, "--suffix", "old")...)
	require.Contains(t, stderr, "not proven: what is left of stack old is not known: ")
	require.Contains(t, stderr, "Try again with: ")
}
