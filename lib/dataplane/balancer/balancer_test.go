package balancer_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/dataplane/balancer"
)

const (
	loadBalancerARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/alb-dev/50dc6c495c0c9188"
	apiGroup        = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/api/73e2d6bc24d8a067"
	jobsGroup       = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/jobs/09966783158cda59"
	fast            = 500 // health checks in a test are so many times faster
)

// balancing is a load balancer under test, on an address of its own.
type balancing struct {
	*balancer.Balancer
	t     testing.TB
	mu    sync.Mutex
	lines []string
}

func start(t testing.TB, options balancer.Options) *balancing {
	t.Helper()
	b := &balancing{t: t}
	options.Address = fmt.Sprintf("127.%d.%d.%d", 100+mathrand.IntN(100), mathrand.IntN(250), 1+mathrand.IntN(250)) //nolint:gosec // an address
	if options.Speed == 0 {
		options.Speed = fast
	}
	if options.Dial == nil {
		options.Dial = func(ctx context.Context, target balancer.Target) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "tcp", target.String())
		}
	}
	options.Log = func(lines []string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.lines = append(b.lines, lines...)
	}
	b.Balancer = balancer.New(options)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

// state is one listener on port 80 that forwards all to the group api, which has the targets.
func state(targets ...balancer.Target) balancer.State {
	return balancer.State{
		ARN:        loadBalancerARN,
		Attributes: map[string]string{"access_logs.s3.enabled": "true"},
		Listeners:  []balancer.Listener{listener(80, forward(apiGroup))},
		Groups:     []balancer.Group{group(apiGroup, targets...)},
	}
}

func listener(port int32, action elbtypes.Action, rules ...elbtypes.Rule) balancer.Listener {
	return balancer.Listener{
		Listener: elbtypes.Listener{Port: aws.Int32(port), Protocol: elbtypes.ProtocolEnumHttp, DefaultActions: []elbtypes.Action{action}},
		Rules:    rules,
	}
}

func group(arn string, targets ...balancer.Target) balancer.Group {
	return balancer.Group{
		TargetGroup: elbtypes.TargetGroup{
			TargetGroupArn: aws.String(arn), TargetGroupName: aws.String("api"), Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(8080),
			HealthCheckEnabled: aws.Bool(true), HealthCheckPath: aws.String("/health"), HealthCheckProtocol: elbtypes.ProtocolEnumHttp,
			HealthCheckPort: aws.String("traffic-port"), HealthCheckIntervalSeconds: aws.Int32(15), HealthCheckTimeoutSeconds: aws.Int32(5),
			HealthyThresholdCount: aws.Int32(2), UnhealthyThresholdCount: aws.Int32(3), Matcher: &elbtypes.Matcher{HttpCode: aws.String("200")},
		},
		Attributes: map[string]string{"deregistration_delay.timeout_seconds": "30"},
		Targets:    targets,
	}
}

func forward(arns ...string) elbtypes.Action {
	action := elbtypes.Action{Type: elbtypes.ActionTypeEnumForward, ForwardConfig: &elbtypes.ForwardActionConfig{}}
	for _, arn := range arns {
		action.ForwardConfig.TargetGroups = append(action.ForwardConfig.TargetGroups, elbtypes.TargetGroupTuple{TargetGroupArn: aws.String(arn), Weight: aws.Int32(1)})
	}
	return action
}

func fixed(body string) elbtypes.Action {
	return elbtypes.Action{Type: elbtypes.ActionTypeEnumFixedResponse, FixedResponseConfig: &elbtypes.FixedResponseActionConfig{
		StatusCode: aws.String("200"), ContentType: aws.String("text/plain"), MessageBody: aws.String(body),
	}}
}

// serve starts a target whose /health is 200.
func serve(t testing.TB, handler http.HandlerFunc) (balancer.Target, *httptest.Server) {
	t.Helper()
	return serveOn(t, handler, (*httptest.Server).Start)
}

func serveOn(t testing.TB, handler http.HandlerFunc, run func(*httptest.Server)) (balancer.Target, *httptest.Server) {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health" {
			handler(w, r)
		}
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	run(server)
	t.Cleanup(server.Close)
	return targetOf(t, server.URL), server
}

func targetOf(t testing.TB, at string) balancer.Target {
	t.Helper()
	u, err := url.Parse(at)
	require.NoError(t, err)
	port, err := strconv.Atoi(u.Port())
	require.NoError(t, err)
	return balancer.Target{ID: u.Hostname(), Port: int32(port), Zone: "us-east-1a"} //nolint:gosec // a port
}

func (b *balancing) update(s balancer.State) {
	b.t.Helper()
	require.NoError(b.t, b.Update(context.Background(), s))
}

// states are the states of targets by their names, with the reasons.
func (b *balancing) states() map[string]string {
	told := map[string]string{}
	for _, group := range b.Health() {
		for _, each := range group.Targets {
			told[net.JoinHostPort(*each.Target.Id, strconv.Itoa(int(*each.Target.Port)))] = strings.TrimSpace(string(each.TargetHealth.State) + " " + string(each.TargetHealth.Reason))
		}
	}
	return told
}

func (b *balancing) await(target balancer.Target, state string) {
	b.t.Helper()
	require.Eventually(b.t, func() bool { return b.states()[target.String()] == state }, 10*time.Second, time.Millisecond,
		"%s is %s; it is %v", target, state, b.states())
}

// client asks the load balancer, each time on a connection of its own if it should.
func client(t testing.TB) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableCompression: true, MaxIdleConnsPerHost: 2000, ForceAttemptHTTP2: true} //nolint:gosec // certificates of tests
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (b *balancing) do(method, path string, change ...func(*http.Request)) answer {
	b.t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), method, "http://"+b.Addresses()[80]+path, http.NoBody)
	require.NoError(b.t, err)
	for _, each := range change {
		each(request)
	}
	return send(b.t, client(b.t), request)
}

func (b *balancing) get(path string, change ...func(*http.Request)) answer {
	b.t.Helper()
	return b.do(http.MethodGet, path, change...)
}

func send(t testing.TB, client *http.Client, request *http.Request) answer {
	t.Helper()
	response, err := client.Do(request)
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return answer{response.StatusCode, response.Header, string(body)}
}

// certificate makes a self-signed certificate for names.
func certificate(t testing.TB, arn string, names ...string) balancer.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return balancer.Certificate{ARN: arn, Certificate: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}}
}

func secure(t testing.TB, action elbtypes.Action, certificates ...balancer.Certificate) balancer.Listener {
	t.Helper()
	l := listener(443, action)
	l.Protocol, l.SslPolicy, l.Certificates = elbtypes.ProtocolEnumHttps, aws.String("ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"), certificates
	return l
}

func TestARequestReachesAHealthyTargetAndItsAnswerComesBack(t *testing.T) {
	b := start(t, balancer.Options{})
	target, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Own", "yes")
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprintf(w, "%s %s %s %s", r.Method, r.RequestURI, r.Host, body) //nolint:gosec // a test
	})
	b.update(state(target))
	b.await(target, "healthy")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+b.Addresses()[80]+"/api/v1//a%2Fb?x=1;y&z=%zz", strings.NewReader("hello"))
	require.NoError(t, err)
	got := send(t, client(t), request)
	assert.Equal(t, http.StatusCreated, got.status)
	assert.Equal(t, "yes", got.header.Get("X-Own"))
	host, _, _ := net.SplitHostPort(b.Addresses()[80])
	assert.Equal(t, "POST /api/v1//a%2Fb?x=1;y&z=%zz "+host+" hello", got.body, "path and query as sent, the host without the port")
	require.Eventually(t, func() bool { return b.Counts().Requests == 1 }, time.Second, time.Millisecond)
	counts := b.Counts()
	assert.EqualValues(t, 1, counts.Groups[apiGroup].Targets[2])
	assert.EqualValues(t, 1, counts.Groups[apiGroup].ResponseTimes.Count)
	assert.Positive(t, counts.Groups[apiGroup].ResponseTimes.Quantile(0.99))
}

func TestHTTPSWithHTTP2GoesToTargetsByHTTPSWithHTTP1(t *testing.T) {
	b := start(t, balancer.Options{})
	target, _ := serveOn(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, r.Proto, " ", r.TLS != nil, " ", r.Header.Get("X-Forwarded-Proto"), " ", r.Header.Get("X-Forwarded-Port")) //nolint:gosec // a test
	}, (*httptest.Server).StartTLS)
	s := state(target)
	s.Listeners = append(s.Listeners, secure(t, forward(apiGroup), certificate(t, "arn:aws:acm:us-east-1:123456789012:certificate/1", "payments.internal")))
	s.Groups[0].Protocol, s.Groups[0].HealthCheckProtocol = elbtypes.ProtocolEnumHttps, elbtypes.ProtocolEnumHttps
	b.update(s)
	b.await(target, "healthy")
	require.Equal(t, "8443", b.Addresses()[443][strings.LastIndex(b.Addresses()[443], ":")+1:])
	response, err := client(t).Get("https://" + b.Addresses()[443] + "/") //nolint:noctx // a test
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	assert.Equal(t, "HTTP/2.0", response.Proto)
	assert.Equal(t, "HTTP/1.1 true https 443", string(body), "the port is the listener's, not the local one")
	assert.EqualValues(t, tls.VersionTLS13, response.TLS.Version)
	assert.Equal(t, tls.X25519MLKEM768, response.TLS.CurveID, "post-quantum, as the policy says")
}

func TestCloseLeavesNothingRunning(t *testing.T) {
	target, server := serve(t, func(http.ResponseWriter, *http.Request) {})
	func() {
		b := balancer.New(balancer.Options{Address: "127.99.1.1", Speed: fast, Log: func([]string) {}, Dial: func(ctx context.Context, target balancer.Target) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "tcp", target.String())
		}})
		s := state(target)
		s.Listeners = append(s.Listeners, secure(t, forward(apiGroup), certificate(t, "arn", "payments.internal")))
		require.NoError(t, b.Update(t.Context(), s))
		for _, at := range []string{"http://127.99.1.1:8080/", "https://127.99.1.1:8443/"} {
			c := client(t)
			response, err := c.Get(at) //nolint:noctx // a test
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			c.CloseIdleConnections()
		}
		require.NoError(t, b.Close())
		require.NoError(t, b.Close(), "closing twice is no error")
		require.Error(t, b.Update(t.Context(), s))
	}()
	server.Close()
	var running string
	own := func() bool {
		stacks := make([]byte, 1<<20)
		running = string(stacks[:runtime.Stack(stacks, true)])
		return strings.Contains(running, "dataplane/balancer.(") || strings.Contains(running, "net/http.(*")
	}
	for end := time.Now().Add(5 * time.Second); own() && time.Now().Before(end); {
		runtime.Gosched()
	}
	assert.False(t, own(), "nothing of the load balancer runs: %s", running)
}
