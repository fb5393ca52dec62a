package balancer_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/dataplane/balancer"
)

// echo is a target that answers with the headers that it was sent, in JSON-like lines.
func echo(w http.ResponseWriter, r *http.Request) {
	_, _ = fmt.Fprintln(w, "Host:", r.Host) //nolint:gosec // a test
	_ = r.Header.Write(w)
}

// headers are those of a target's echo.
func headers(t *testing.T, a answer) http.Header {
	t.Helper()
	require.Equal(t, http.StatusOK, a.status)
	header := http.Header{}
	for line := range strings.Lines(a.body) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		header.Add(name, value)
	}
	return header
}

// raw sends bytes as they are on a connection of its own, and tells the status of the answer and whether it ends the connection.
func (b *balancing) raw(text string) (status int, ends bool) {
	b.t.Helper()
	conn, err := net.Dial("tcp", b.Addresses()[80]) //nolint:noctx // a test
	require.NoError(b.t, err)
	b.t.Cleanup(func() { _ = conn.Close() })
	require.NoError(b.t, conn.SetDeadline(time.Now().Add(waiting)))
	_, err = io.WriteString(conn, text)
	require.NoError(b.t, err)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(b.t, err)
	require.NoError(b.t, response.Body.Close())
	return response.StatusCode, response.Close
}

func (b *balancing) rawStatus(text string) int {
	b.t.Helper()
	status, _ := b.raw(text)
	return status
}

func echoing(t *testing.T, change func(*balancer.State)) *balancing {
	t.Helper()
	b := start(t, balancer.Options{})
	target, _ := serve(t, echo)
	s := state(target)
	if change != nil {
		change(&s)
	}
	b.update(s)
	b.await(target, "healthy")
	return b
}

func TestATargetIsToldWhereARequestIsFrom(t *testing.T) {
	b := echoing(t, nil)
	got := headers(t, b.get("/"))
	assert.Equal(t, "127.0.0.1", got.Get("X-Forwarded-For"))
	assert.Equal(t, "http", got.Get("X-Forwarded-Proto"))
	assert.Equal(t, "80", got.Get("X-Forwarded-Port"))
	assert.Regexp(t, `^Root=1-[0-9a-f]{8}-[0-9a-f]{24}$`, got.Get("X-Amzn-Trace-Id"))
	assert.NotContains(t, got, "Accept-Encoding", "nothing is asked of the target that the client did not ask")
	assert.NotContains(t, got, "Via")

	got = headers(t, b.get("/", func(r *http.Request) {
		r.Header["X-Forwarded-For"] = []string{"203.0.113.7", "198.51.100.1"}
		r.Header.Set("X-Forwarded-Proto", "https")
		r.Header.Set("X-Forwarded-Port", "1")
		r.Header.Set("X-Forwarded-Host", "kept.example")
		r.Header.Set("Forwarded", "for=kept")
		r.Header.Set("X-Amzn-Trace-Id", "Self=1-0-0;Root=1-67891233-abcdef012345678912345678;CalledFrom=app")
		r.Header.Set("Connection", "X-Hop")
		r.Header.Set("X-Hop", "by hop")
		r.Header.Set("Proxy-Authorization", "Basic eA==")
	}))
	assert.Equal(t, "203.0.113.7, 198.51.100.1, 127.0.0.1", got.Get("X-Forwarded-For"))
	assert.Equal(t, "http", got.Get("X-Forwarded-Proto"), "a client cannot say that it came by HTTPS")
	assert.Equal(t, "80", got.Get("X-Forwarded-Port"))
	assert.Equal(t, "kept.example", got.Get("X-Forwarded-Host"))
	assert.Equal(t, "for=kept", got.Get("Forwarded"))
	assert.Regexp(t, `^Self=1-[0-9a-f]{8}-[0-9a-f]{24};Root=1-67891233-abcdef012345678912345678;CalledFrom=app$`, got.Get("X-Amzn-Trace-Id"))
	assert.NotContains(t, got, "X-Hop")
	assert.NotContains(t, got, "Proxy-Authorization")
}

func TestTheLoadBalancersAttributesSayWhatTargetsAreSent(t *testing.T) {
	for _, each := range []struct {
		attribute, value string
		change           func(*http.Request)
		header, expected string
	}{
		{"routing.http.xff_header_processing.mode", "preserve", func(r *http.Request) { r.Header.Set("X-Forwarded-For", "1.2.3.4") }, "X-Forwarded-For", "1.2.3.4"},
		{"routing.http.xff_header_processing.mode", "preserve", nil, "X-Forwarded-For", ""},
		{"routing.http.xff_header_processing.mode", "remove", func(r *http.Request) { r.Header.Set("X-Forwarded-For", "1.2.3.4") }, "X-Forwarded-For", ""},
		{"routing.http.drop_invalid_header_fields.enabled", "true", func(r *http.Request) { r.Header["X_Own"] = []string{"1"} }, "X_Own", ""},
		{"routing.http.drop_invalid_header_fields.enabled", "false", func(r *http.Request) { r.Header["X_Own"] = []string{"1"} }, "X_Own", "1"},
		{"routing.http.preserve_host_header.enabled", "true", func(r *http.Request) { r.Host = "api.example.com:8080" }, "Host", "api.example.com:8080"},
		{"routing.http.preserve_host_header.enabled", "false", func(r *http.Request) { r.Host = "api.example.com:8080" }, "Host", "api.example.com"},
		{"routing.http.preserve_host_header.enabled", "false", func(r *http.Request) { r.Host = "[::1]:8080" }, "Host", "[::1]"},
	} {
		b := echoing(t, func(s *balancer.State) { s.Attributes[each.attribute] = each.value })
		change := each.change
		if change == nil {
			change = func(*http.Request) {}
		}
		response := b.get("/", change)
		got := ""
		for line := range strings.Lines(response.body) { // as it was sent: a header set would change names
			if name, value, _ := strings.Cut(strings.TrimSpace(line), ": "); strings.EqualFold(name, each.header) {
				got = value
			}
		}
		assert.Equal(t, each.expected, got, "%s=%s", each.attribute, each.value)
	}
	b := echoing(t, func(s *balancer.State) { s.Attributes["routing.http.xff_client_port.enabled"] = "true" })
	assert.Regexp(t, `^127\.0\.0\.1:\d+$`, headers(t, b.get("/")).Get("X-Forwarded-For"))
}

func TestAPortThatIsNotTheProtocolsIsInTheHost(t *testing.T) {
	b := start(t, balancer.Options{})
	target, _ := serve(t, echo)
	s := state(target)
	s.Listeners = []balancer.Listener{listener(81, forward(apiGroup))}
	b.update(s)
	b.await(target, "healthy")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+b.Addresses()[81]+"/", http.NoBody)
	require.NoError(t, err)
	request.Host = "example.com"
	got := headers(t, send(t, client(t), request))
	assert.Equal(t, "example.com:81", got.Get("Host"))
	assert.Equal(t, "81", got.Get("X-Forwarded-Port"))
}

func TestRequestsThatAreRefused(t *testing.T) {
	b := echoing(t, nil)
	long := strings.Repeat("x", 17<<10)
	for says, each := range map[string]struct {
		request string
		status  int
	}{
		"TRACE":                               {"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405},
		"a URL of 17 KB":                      {"GET /" + long + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
		"a header of 17 KB":                   {"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + long + "\r\n\r\n", 400},
		"headers of 65 KB":                    {"GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X-Long: "+long[:13<<10]+"\r\n", 5) + "\r\n", 400},
		"31 addresses":                        {"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1" + strings.Repeat(",1.1.1.1", 30) + "\r\n\r\n", 463},
		"30 addresses":                        {"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1" + strings.Repeat(",1.1.1.1", 29) + "\r\n\r\n", 200},
		"two lengths":                         {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400},
		"a length that is no number":          {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na", 400},
		"an unknown transfer coding":          {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501},
		"a space before a header's colon":     {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400},
		"a null in a header":                  {"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", 400},
		"no host":                             {"GET / HTTP/1.1\r\n\r\n", 400},
		"two hosts":                           {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
		"no HTTP":                             {"hello\r\n\r\n", 400},
		"a version that there is not":         {"GET / HTTP/3.7\r\nHost: a\r\n\r\n", 505},
		"a header that could be a length":     {"POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\n\r\n", 200},
		"a header that is not ASCII":          {"GET / HTTP/1.1\r\nHost: a\r\nX: caf\xe9\r\n\r\n", 200},
		"both length and chunks are one body": {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200},
	} {
		assert.Equal(t, each.status, b.rawStatus(each.request), says)
	}
}

func TestTheStrictestMitigationRefusesWhatIsOnlyAcceptable(t *testing.T) {
	b := echoing(t, func(s *balancer.State) { s.Attributes["routing.http.desync_mitigation_mode"] = "strictest" })
	assert.Equal(t, 400, b.rawStatus("GET / HTTP/1.1\r\nHost: a\r\nX: caf\xe9\r\n\r\n"))
	assert.Equal(t, 400, b.rawStatus("POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\n\r\n"))
	assert.Equal(t, 200, b.rawStatus("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
	b = echoing(t, nil)
	_, ends := b.raw("POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\n\r\n")
	assert.True(t, ends, "the defensive one closes the connection after what is ambiguous")
}

func TestATargetThatDoesNotAnswerAsItShould(t *testing.T) {
	behaviour := func(t *testing.T, first bool, act func(net.Conn)) balancer.Target {
		t.Helper()
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test
		require.NoError(t, err)
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer func() { _ = conn.Close() }()
					if !first {
						if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
							return
						}
					}
					act(conn)
				}()
			}
		}()
		return targetOf(t, "tcp://"+l.Addr().String())
	}
	hold := func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }
	for says, each := range map[string]struct {
		target func(*testing.T) balancer.Target
		status int
	}{
		"refuses":       {func(*testing.T) balancer.Target { return balancer.Target{ID: "127.0.0.1", Port: 1} }, 502},
		"closes":        {func(t *testing.T) balancer.Target { return behaviour(t, false, func(net.Conn) {}) }, 502},
		"closes before": {func(t *testing.T) balancer.Target { return behaviour(t, true, func(net.Conn) {}) }, 502},
		"talks nonsense": {func(t *testing.T) balancer.Target {
			return behaviour(t, false, func(c net.Conn) { _, _ = io.WriteString(c, "what?\r\n\r\n") })
		}, 502},
		"has endless headers": {func(t *testing.T) balancer.Target {
			return behaviour(t, false, func(c net.Conn) {
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"+strings.Repeat("X: "+strings.Repeat("y", 1000)+"\r\n", 50)+"\r\n")
			})
		}, 502},
		"says nothing": {func(t *testing.T) balancer.Target { return behaviour(t, true, hold) }, 504},
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			b := start(t, balancer.Options{})
			s := state(each.target(t))
			s.Groups[0].HealthCheckEnabled = aws.Bool(false)
			s.Attributes["idle_timeout.timeout_seconds"] = "1"
			b.update(s)
			got := b.get("/")
			assert.Equal(t, each.status, got.status)
			assert.Contains(t, got.body, fmt.Sprint(each.status))
		})
	}
}

func TestADialThatTimesOutIs504AndOneThatIsRefusedIs502(t *testing.T) {
	var fault atomic.Value
	fault.Store(fmt.Errorf("dial: %w", context.DeadlineExceeded))
	b := start(t, balancer.Options{Dial: func(context.Context, balancer.Target) (net.Conn, error) { return nil, fault.Load().(error) }})
	s := state(balancer.Target{ID: "10.0.1.5", Port: 8080})
	b.update(s)
	b.await(s.Groups[0].Targets[0], "unhealthy Target.Timeout")
	assert.Equal(t, http.StatusGatewayTimeout, b.get("/").status)
	fault.Store(fmt.Errorf("dial: %w", syscall.ECONNREFUSED))
	b.await(s.Groups[0].Targets[0], "unhealthy Target.FailedHealthChecks")
	assert.Equal(t, http.StatusBadGateway, b.get("/").status)
	require.Eventually(t, func() bool {
		return b.Counts().Groups[apiGroup].ConnectionErrors == 2 && b.Counts().ELB502 == 1 && b.Counts().ELB504 == 1
	}, waiting, tick)
}

func TestARequestThatMayHaveBeenSentIsNotSentAgain(t *testing.T) {
	// The target answers the first request of a connection and closes at the second, once it has read it.
	var mu sync.Mutex
	seen := map[string]int{}
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				reader := bufio.NewReader(conn)
				for i := range 2 {
					r, err := http.ReadRequest(reader)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, r.Body)
					mu.Lock()
					seen[r.URL.Path]++
					mu.Unlock()
					if i == 0 {
						_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
					}
				}
			}()
		}
	}()
	target := targetOf(t, "tcp://"+l.Addr().String())
	b := start(t, balancer.Options{})
	s := state(target)
	s.Groups[0].HealthCheckEnabled = aws.Bool(false)
	b.update(s)
	for i, each := range []struct {
		method, key, body string
	}{
		{"POST", "", "payment"},
		{"POST", "key-1", "payment"},
		{"POST", "key-1", ""},
		{"PUT", "", ""},
		{"DELETE", "key-1", ""},
		{"GET", "", ""},
		{"HEAD", "", ""},
		{"OPTIONS", "", ""},
		{"GET", "key-1", ""},
	} {
		require.Equal(t, 200, b.get("/first").status)
		path := fmt.Sprintf("/%d", i)
		request, err := http.NewRequestWithContext(t.Context(), each.method, "http://"+b.Addresses()[80]+path, strings.NewReader(each.body))
		require.NoError(t, err)
		if each.key != "" {
			request.Header.Set("Idempotency-Key", each.key)
		}
		assert.Equal(t, http.StatusBadGateway, send(t, client(t), request).status, "%v", each)
		mu.Lock()
		assert.Equal(t, 1, seen[path], "%v reached the target once", each)
		mu.Unlock()
	}
}

func TestAnIdempotencyKeyReachesTheTarget(t *testing.T) {
	b := echoing(t, nil)
	for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
		got := headers(t, b.do(method, "/", func(r *http.Request) { r.Header.Set("Idempotency-Key", "k1") }))
		assert.Equal(t, "k1", got.Get("Idempotency-Key"), method)
		assert.Empty(t, got.Get("Transfer-Encoding"), "%s has no body", method)
	}
}

func TestBodiesAreStreamedBothWays(t *testing.T) {
	b := start(t, balancer.Options{})
	target, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		part := make([]byte, 1)
		for {
			if _, err := r.Body.Read(part); err != nil {
				return
			}
			_, _ = w.Write(part)
			_ = http.NewResponseController(w).Flush()
		}
	})
	s := state(target)
	s.Listeners = append(s.Listeners, secure(t, forward(apiGroup), certificate(t, "arn", "payments.internal")))
	b.update(s)
	b.await(target, "healthy")
	reader, writer := io.Pipe()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+b.Addresses()[443]+"/", reader)
	require.NoError(t, err)
	answered := make(chan *http.Response, 1)
	go func() {
		response, err := client(t).Do(request) //nolint:bodyclose // closed below
		if assert.NoError(t, err) {
			answered <- response
		}
	}()
	_, err = writer.Write([]byte("a"))
	require.NoError(t, err)
	response := <-answered
	defer func() { _ = response.Body.Close() }()
	got := make([]byte, 1)
	for _, each := range "abc" {
		if each != 'a' {
			_, err := writer.Write([]byte(string(each)))
			require.NoError(t, err)
		}
		_, err := io.ReadFull(response.Body, got)
		require.NoError(t, err)
		assert.Equal(t, string(each), string(got), "each byte comes back before the next is sent")
	}
	require.NoError(t, writer.Close())
}

func TestLargeBodiesArriveWhole(t *testing.T) {
	b := start(t, balancer.Options{})
	target, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		_, _ = io.Copy(w, r.Body)
	})
	b.update(state(target))
	b.await(target, "healthy")
	text := strings.Repeat("0123456789abcdef", 1<<17)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+b.Addresses()[80]+"/", strings.NewReader(text))
	require.NoError(t, err)
	assert.Equal(t, text, send(t, client(t), request).body)
}

func TestATargetNeedNotReadAllOfABody(t *testing.T) {
	b := start(t, balancer.Options{})
	target, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<14))
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	})
	s := state(target)
	s.Listeners = append(s.Listeners, secure(t, forward(apiGroup), certificate(t, "arn:aws:acm:us-east-1:123456789012:certificate/1", "payments.internal")))
	b.update(s)
	b.await(target, "healthy")
	asking := client(t)
	var group sync.WaitGroup
	for range 300 { // whether the body is read for a moment longer than the answer takes is chance
		group.Go(func() {
			reader, writer := io.Pipe() // of which the rest never comes
			go func() { _, _ = writer.Write(make([]byte, 1<<15)) }()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+b.Addresses()[443]+"/", reader)
			if assert.NoError(t, err) {
				assert.Equal(t, http.StatusRequestEntityTooLarge, send(t, asking, request).status)
			}
			assert.NoError(t, writer.Close())
		})
	}
	group.Wait()
}

func TestAClientThatSendsNothingMoreIs408(t *testing.T) {
	t.Parallel()
	b := echoing(t, func(s *balancer.State) { s.Attributes["idle_timeout.timeout_seconds"] = "1" })
	began := time.Now()
	assert.Equal(t, http.StatusRequestTimeout, b.rawStatus("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc"))
	assert.Less(t, time.Since(began), 3*time.Second)
}

func TestAnIdleConnectionIsClosed(t *testing.T) {
	t.Parallel()
	b := echoing(t, func(s *balancer.State) { s.Attributes["idle_timeout.timeout_seconds"] = "1" })
	conn, err := net.Dial("tcp", b.Addresses()[80]) //nolint:noctx // a test
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	require.NoError(t, conn.SetDeadline(time.Now().Add(waiting)))
	_, err = conn.Read(make([]byte, 1))
	assert.ErrorIs(t, err, io.EOF)
}

func TestAClientThatLeavesIsLoggedAs460(t *testing.T) {
	b := start(t, balancer.Options{})
	p := newPatient(t)
	b.update(state(p.Target))
	b.await(p.Target, "healthy")
	ctx, cancel := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.Addresses()[80]+"/slow", http.NoBody)
	require.NoError(t, err)
	go func() {
		<-p.working
		cancel()
	}()
	_, err = client(t).Do(request) //nolint:bodyclose // there is none
	require.ErrorIs(t, err, context.Canceled)
	require.Eventually(t, func() bool { return len(b.logged()) == 1 }, waiting, tick)
	line := fields(t, b.logged()[0])
	assert.Equal(t, []string{"460", "-"}, line[8:10])
	assert.EqualValues(t, 1, b.Counts().ELB4xx)
}

func TestAnUpgradedConnectionIsHandedThrough(t *testing.T) {
	b := start(t, balancer.Options{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" {
			return
		}
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		line, _ := buffered.ReadString('\n')
		_, _ = io.WriteString(conn, "you said "+line)
	}))
	t.Cleanup(server.Close)
	target := targetOf(t, server.URL)
	b.update(state(target))
	b.await(target, "healthy")
	conn, err := net.Dial("tcp", b.Addresses()[80]) //nolint:noctx // a test
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	require.NoError(t, err)
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil) //nolint:bodyclose // the connection is what follows
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
	_, err = io.WriteString(conn, "hello\n")
	require.NoError(t, err)
	line, err := reader.ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "you said hello\n", line)
	require.Eventually(t, func() bool { return len(b.logged()) == 1 }, waiting, tick)
	assert.True(t, strings.HasPrefix(b.logged()[0], "ws "), b.logged()[0])
	assert.Equal(t, []string{"101", "101"}, fields(t, b.logged()[0])[8:10])
}

func TestATargetThatDiesInMidAnswerBreaksTheAnswer(t *testing.T) {
	b := start(t, balancer.Options{})
	target, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	b.update(state(target))
	b.await(target, "healthy")
	response, err := client(t).Get("http://" + b.Addresses()[80] + "/") //nolint:noctx // a test
	if err == nil {
		_, err = io.ReadAll(response.Body)
		_ = response.Body.Close()
	}
	require.Error(t, err, "half an answer does not pass for a whole one")
	require.Eventually(t, func() bool { return b.Counts().InFlight == 0 && b.Counts().Groups[apiGroup].InFlight == 0 }, waiting, tick)
}

func TestAThousandRequestsAreInFlightAtOnce(t *testing.T) {
	const many = 1200
	b := start(t, balancer.Options{})
	var arrived atomic.Int64
	let := make(chan struct{})
	target, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		arrived.Add(1)
		<-let
		_, _ = io.WriteString(w, "ok")
	})
	b.update(state(target))
	b.await(target, "healthy")
	c := client(t)
	errs := make(chan error, many)
	for range many {
		go func() {
			response, err := c.Get("http://" + b.Addresses()[80] + "/") //nolint:noctx // a test
			if err == nil {
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				if response.StatusCode != http.StatusOK {
					err = errors.New(response.Status)
				}
			}
			errs <- err
		}()
	}
	require.Eventually(t, func() bool { return arrived.Load() == many }, 20*time.Second, tick)
	assert.EqualValues(t, many, b.Counts().InFlight)
	close(let)
	for range many {
		require.NoError(t, <-errs)
	}
}
