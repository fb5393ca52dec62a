package balancer

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// Figures of https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html
const (
	connectTimeout     = 10 * time.Second // to connect to a target, and for the TLS handshake with it
	maxResponseHeaders = 32 << 10
	clientGone         = 460 // the client closed the connection before it had an answer
	tooManyForwards    = 463 // X-Forwarded-For has more than 30 addresses
)

// exchange is a request and its answer. It is the ResponseWriter of the latter.
type exchange struct {
	http.ResponseWriter
	b      *Balancer
	site   *site
	r      *http.Request
	client *clientConn

	received, sent, answered, responded time.Time

	group                *group
	target               *target
	rule                 int // -1 before one was found
	actions              []string
	location             string
	severity, reason     string
	status, targetStatus int
	generated            bool // the answer is the load balancer's own
	traceID              string
	out                  int64
	in                   atomic.Int64
	bodyErr              atomic.Pointer[error]
	cookies              []*http.Cookie
	stalls               time.Time // when a deadline was last set for a client that does not read
}

// ServeHTTP answers a request as the listener's rules say.
func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{ResponseWriter: w, b: l.b, site: l.site.Load(), r: r, received: time.Now(), rule: -1}
	x.client, _ = r.Context().Value(clientKey{}).(*clientConn)
	l.b.metrics.inFlight.Add(1)
	defer x.finish()
	if x.received.Sub(x.client.since) > x.site.keepAlive {
		w.Header().Set("Connection", "close")
	}
	if r.ContentLength != 0 {
		body := &clientBody{ReadCloser: r.Body, x: x}
		r.Body = body
		defer body.end()
		_ = http.NewResponseController(w).EnableFullDuplex() // an answer may come before the body has been sent; HTTP/2 does it anyway
	}
	if status := x.refuse(); status != 0 {
		x.fail(status)
		return
	}
	if x.site.firewall != nil {
		x.actions = append(x.actions, "waf")
		if verdict := x.site.firewall.judge(x); verdict != nil {
			x.block(verdict)
			return
		}
	}
	for i := range x.site.rules {
		if rule := &x.site.rules[i]; rule.match(r) {
			x.rule = rule.priority
			x.act(&rule.action)
			return
		}
	}
}

func (x *exchange) act(a *action) {
	x.actions = append(x.actions, string(a.kind))
	switch a.kind {
	case elbtypes.ActionTypeEnumForward:
		x.forward(a)
	case elbtypes.ActionTypeEnumRedirect:
		x.location = a.location(x.r, string(x.site.protocol), x.site.port)
		x.Header().Set("Location", x.location)
		x.fail(a.status)
	case elbtypes.ActionTypeEnumFixedResponse:
		x.reply(a.status, aws.ToString(a.fixed.ContentType), aws.ToString(a.fixed.MessageBody))
	}
}

// forward sends the request to a target of the group that the weights, or the client's cookie, say.
func (x *exchange) forward(a *action) {
	arn, now := a.choose(), x.b.options.Now()
	if a.sticky > 0 {
		if sticky := x.b.sticky.find(x.r, groupCookie, now, a.names()); sticky != "" {
			arn = sticky
		}
		x.cookies = append(x.cookies, x.b.sticky.mint(groupCookie, arn, now, a.sticky)...)
	}
	x.group = (*x.b.reachable.Load())[arn]
	if x.group == nil {
		x.fail(http.StatusServiceUnavailable)
		return
	}
	s := x.group.settings.Load()
	var prefer func(*target) bool
	if s.sticky > 0 {
		prefer = func(t *target) bool { return x.b.sticky.find(x.r, targetCookie, now, []string{t.host}) != "" }
	}
	if x.target = x.group.pick(prefer); x.target == nil {
		x.fail(http.StatusServiceUnavailable)
		return
	}
	defer x.target.release()
	x.group.metrics.inFlight.Add(1)
	defer x.group.metrics.inFlight.Add(-1)
	if s.sticky > 0 {
		x.cookies = append(x.cookies, x.b.sticky.mint(targetCookie, x.target.host, now, s.sticky)...)
	}
	proxy := httputil.ReverseProxy{
		Rewrite: x.rewrite, Transport: x, ModifyResponse: x.response, ErrorHandler: x.failed, BufferPool: buffers, ErrorLog: quiet,
	}
	proxy.ServeHTTP(x, x.r)
}

// rewrite makes the request to the target: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html
func (x *exchange) rewrite(p *httputil.ProxyRequest) {
	a, header := &x.site.attributes, p.Out.Header
	p.Out.URL.Scheme, p.Out.URL.Host, p.Out.URL.RawQuery = "http", x.target.host, p.In.URL.RawQuery
	if x.group.settings.Load().secure {
		p.Out.URL.Scheme = "https"
	}
	p.Out.Host = x.hostHeader()
	for _, name := range []string{"Forwarded", "X-Forwarded-Host"} { // not the load balancer's business
		if values := p.In.Header[name]; values != nil {
			header[name] = values
		}
	}
	if a.dropInvalid {
		for name := range header {
			if !validName(name) {
				delete(header, name)
			}
		}
	}
	forwarded := p.In.Header["X-Forwarded-For"]
	switch a.xff {
	case "append":
		client := x.r.RemoteAddr
		if !a.xffPort {
			client = hostname(client)
		}
		forwarded = []string{strings.Join(append(forwarded[:len(forwarded):len(forwarded)], client), ", ")}
	case "remove":
		forwarded = nil
	}
	if forwarded != nil {
		header["X-Forwarded-For"] = forwarded
	}
	header["X-Forwarded-Proto"] = []string{strings.ToLower(string(x.site.protocol))}
	header["X-Forwarded-Port"] = []string{strconv.Itoa(int(x.site.port))}
	x.traceID = trace(p.In.Header.Get("X-Amzn-Trace-Id"), x.received)
	header["X-Amzn-Trace-Id"] = []string{x.traceID}
	if a.tlsHeaders && x.r.TLS != nil {
		header.Set("X-Amzn-Tls-Version", versionName(x.r.TLS.Version))
		header.Set("X-Amzn-Tls-Cipher-Suite", cipherName(x.r.TLS.CipherSuite))
	}
}

// hostHeader is the Host of the request to the target: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html#host-header-preservation
func (x *exchange) hostHeader() string {
	host, _, err := net.SplitHostPort(x.r.Host)
	switch {
	case x.site.preserveHost:
		return x.r.Host
	case x.site.port == 80 || x.site.port == 443:
		if err != nil {
			return x.r.Host
		}
		if strings.Contains(host, ":") {
			return "[" + host + "]"
		}
		return host
	case err != nil:
		return x.r.Host + ":" + strconv.Itoa(int(x.site.port))
	}
	return x.r.Host
}

// RoundTrip sends the request to the target. Go's client would send a request without a body a second time when a kept
// connection fails, if its method is safe or it has an idempotency key. The target may have worked on it by then, and AWS
// answers 502: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html#http-502-issues
func (x *exchange) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		switch r.Method {
		case http.MethodGet, http.MethodHead, http.MethodOptions:
			r.Body = nothing{} // which the client does not know to be empty
		default:
			for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
				if values, is := r.Header[name]; is {
					delete(r.Header, name)
					r.Header[strings.ToLower(name)] = values // which the client does not look for
				}
			}
		}
	}
	x.sent = time.Now()
	response, err := x.target.transport.Load().RoundTrip(r)
	x.answered = time.Now()
	return response, err
}

type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, io.EOF }
func (nothing) Close() error             { return nil }

func (x *exchange) response(r *http.Response) error {
	x.targetStatus = r.StatusCode
	if r.StatusCode == http.StatusSwitchingProtocols {
		x.status, x.responded = r.StatusCode, time.Now()
	}
	for _, cookie := range x.cookies {
		r.Header.Add("Set-Cookie", cookie.String())
	}
	return nil
}

// failed answers for a target that has not.
func (x *exchange) failed(_ http.ResponseWriter, _ *http.Request, err error) {
	var connect *connectError
	var timeout net.Error
	switch body := x.bodyErr.Load(); {
	case body != nil && errors.Is(*body, os.ErrDeadlineExceeded):
		x.fail(http.StatusRequestTimeout)
	case x.r.Context().Err() != nil:
		x.fail(clientGone)
	case body != nil:
		x.fail(http.StatusBadRequest)
	case errors.As(err, &connect):
		x.group.metrics.connectionErrors.Add(1)
		x.fail(connect.status)
	case errors.As(err, &timeout) && timeout.Timeout():
		x.fail(http.StatusGatewayTimeout)
	default:
		x.fail(http.StatusBadGateway)
	}
}

// connectError is a connection to a target that could not be made, with the status for it.
type connectError struct {
	error
	status int
}

func (e *connectError) Unwrap() error { return e.error }

// newTransport keeps connections to a target. They end after the idle time-out.
func (t *target) newTransport(s *settings) *http.Transport {
	return &http.Transport{
		DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return t.connect(ctx, s) },
		DialTLSContext:         t.connectTLS(s),
		DisableCompression:     true,
		MaxIdleConnsPerHost:    1 << 16,
		IdleConnTimeout:        s.idle,
		ResponseHeaderTimeout:  s.idle,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: maxResponseHeaders,
	}
}

func (t *target) connect(ctx context.Context, s *settings) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := t.group.b.options.Dial(ctx, t.Target)
	if err != nil {
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() { // context.DeadlineExceeded is one
			return nil, &connectError{err, http.StatusGatewayTimeout}
		}
		return nil, &connectError{err, http.StatusBadGateway}
	}
	kept := &targetConn{Conn: conn, t: t, idle: s.idle}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conns == nil {
		_ = conn.Close()
		return nil, &connectError{errors.New("the target was deregistered"), http.StatusBadGateway}
	}
	t.conns[kept] = true
	t.group.b.metrics.opened()
	return kept, nil
}

func (t *target) connectTLS(s *settings) func(context.Context, string, string) (net.Conn, error) {
	config := targetTLS()
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := t.connect(ctx, s)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, connectTimeout)
		defer cancel()
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, &connectError{err, http.StatusBadGateway}
		}
		return secure, nil
	}
}

// cut closes a target's connections, and lets it have no more.
func (t *target) cut() {
	t.mu.Lock()
	conns := t.conns
	t.conns = nil
	t.mu.Unlock()
	for conn := range conns {
		_ = conn.Close()
	}
	t.transport.Load().CloseIdleConnections()
}

// targetConn is a connection to a target, which fails when no byte passes for a little longer than the idle time-out: the
// time-out for the headers of an answer comes first.
type targetConn struct {
	net.Conn
	t       *target
	idle    time.Duration
	renewed atomic.Int64 // Unix time in nanoseconds
	closed  atomic.Bool
}

func (c *targetConn) Read(p []byte) (int, error) {
	c.renew()
	return c.Conn.Read(p)
}

func (c *targetConn) Write(p []byte) (int, error) {
	c.renew()
	return c.Conn.Write(p)
}

func (c *targetConn) renew() {
	now := time.Now()
	if now.UnixNano()-c.renewed.Load() > int64(c.idle/32) {
		c.renewed.Store(now.UnixNano())
		_ = c.SetDeadline(now.Add(c.idle + c.idle/8))
	}
}

func (c *targetConn) Close() error {
	c.t.mu.Lock()
	delete(c.t.conns, c)
	c.t.mu.Unlock()
	if !c.closed.Swap(true) {
		c.t.group.b.metrics.active.Add(-1)
	}
	return c.Conn.Close()
}

// clientBody is the body of a request, read from a client that must send something within the idle time-out. It may still be read
// when the request has been answered.
type clientBody struct {
	io.ReadCloser
	x       *exchange
	renewed time.Time

	mu    sync.Mutex
	ended bool
}

// until sets the end of a read, while the connection is this request's: later it is another's, or none.
func (b *clientBody) until(end time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended {
		_ = http.NewResponseController(b.x.ResponseWriter).SetReadDeadline(end)
	}
}

func (b *clientBody) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
}

func (b *clientBody) Read(p []byte) (int, error) {
	if now := time.Now(); now.Sub(b.renewed) > b.x.site.idle/32 {
		b.renewed = now
		b.until(now.Add(b.x.site.idle))
	}
	n, err := b.ReadCloser.Read(p)
	b.x.in.Add(int64(n))
	if err != nil {
		b.until(time.Time{})
		if !errors.Is(err, io.EOF) {
			b.x.bodyErr.Store(&err)
		}
	}
	return n, err
}

// Unwrap is for http.ResponseController.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// WriteHeader notes the status.
func (x *exchange) WriteHeader(status int) {
	if status >= 200 && x.status == 0 {
		x.status, x.responded = status, time.Now()
	}
	x.ResponseWriter.WriteHeader(status)
}

// Write gives a client that does not read the idle time-out.
func (x *exchange) Write(p []byte) (int, error) {
	if x.out > 1<<16 { // less than that finds its place in buffers
		if now := time.Now(); now.Sub(x.stalls) > x.site.idle/32 {
			x.stalls = now
			_ = http.NewResponseController(x.ResponseWriter).SetWriteDeadline(now.Add(x.site.idle))
		}
	}
	n, err := x.ResponseWriter.Write(p)
	x.out += int64(n)
	return n, err
}

// finish counts and logs the request.
func (x *exchange) finish() {
	if !x.stalls.IsZero() {
		_ = http.NewResponseController(x.ResponseWriter).SetWriteDeadline(time.Time{})
	}
	x.b.metrics.count(x)
	if x.b.logger != nil && x.site.accessLog {
		x.b.logger.add(x.record())
	}
}

// titles are the load balancer's own words for a status, where they are not the standard's.
var titles = map[int]string{
	http.StatusServiceUnavailable: "Service Temporarily Unavailable", http.StatusGatewayTimeout: "Gateway Time-out",
	http.StatusMethodNotAllowed: "Not Allowed", http.StatusRequestURITooLong: "Request-URI Too Large",
	http.StatusRequestTimeout: "Request Time-out",
}

// fail answers with a page of the load balancer's own.
func (x *exchange) fail(status int) {
	title := titles[status]
	if title == "" {
		title = http.StatusText(status)
	}
	title = strings.TrimSpace(strconv.Itoa(status) + " " + title)
	if status == http.StatusBadRequest || status == http.StatusRequestTimeout {
		x.Header().Set("Connection", "close")
	}
	x.reply(status, "text/html", fmt.Sprintf("<html>\r\n<head><title>%s</title></head>\r\n<body>\r\n<center><h1>%s</h1></center>\r\n</body>\r\n</html>\r\n", title, title))
}

func (x *exchange) reply(status int, contentType, body string) {
	x.generated = true
	header := x.Header()
	header.Set("Server", "awselb/2.0")
	if body != "" && contentType != "" {
		header.Set("Content-Type", contentType)
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	x.WriteHeader(status)
	if x.r.Method != http.MethodHead {
		_, _ = io.WriteString(x, body)
	}
}

// trace is the X-Amzn-Trace-Id of a request: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-request-tracing.html
func trace(told string, now time.Time) string {
	var random [12]byte
	_, _ = rand.Read(random[:])
	own := fmt.Sprintf("1-%08x-%s", now.Unix(), hex.EncodeToString(random[:]))
	rooted := false
	var kept []string
	for field := range strings.SplitSeq(told, ";") {
		field = strings.TrimSpace(field)
		if field == "" || strings.HasPrefix(field, "Self=") {
			continue
		}
		rooted = rooted || strings.HasPrefix(field, "Root=")
		kept = append(kept, field)
	}
	if !rooted || len(told) > 7<<10 {
		return strings.Join(append([]string{"Root=" + own}, kept...), ";")
	}
	return strings.Join(append([]string{"Self=" + own}, kept...), ";")
}

// buffers and quiet are for httputil.ReverseProxy.
var (
	buffers = &bufferPool{sync.Pool{New: func() any { return new([32 << 10]byte) }}}
	quiet   = log.New(io.Discard, "", 0)
)

type bufferPool struct{ sync.Pool }

func (p *bufferPool) Get() []byte  { return p.Pool.Get().(*[32 << 10]byte)[:] }
func (p *bufferPool) Put(b []byte) { p.Pool.Put((*[32 << 10]byte)(b)) }

// requestURL is the URL of a request as access logs have it.
func (x *exchange) requestURL() string {
	uri := x.r.RequestURI
	if u, err := url.Parse(uri); err == nil && u.IsAbs() {
		uri = u.RequestURI()
	}
	return fmt.Sprintf("%s://%s:%d%s", strings.ToLower(string(x.site.protocol)), hostname(x.r.Host), x.site.port, uri)
}
