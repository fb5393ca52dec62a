package balancer_test

import (
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
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/dataplane/balancer"
)

const (
	waiting = 10 * time.Second
	tick    = time.Millisecond
)

// patient is a target whose health is what a test sets, and whose answers to /slow wait until the test lets them go.
type patient struct {
	balancer.Target
	server  *httptest.Server
	status  atomic.Int64
	checks  atomic.Int64
	agent   atomic.Value
	working chan struct{} // told when a slow request has come
	let     chan struct{} // closed to let slow requests go
}

func newPatient(t *testing.T) *patient {
	t.Helper()
	p := &patient{working: make(chan struct{}, 100), let: make(chan struct{})}
	p.status.Store(200)
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/health":
			p.checks.Add(1)
			p.agent.Store(r.UserAgent())
			w.WriteHeader(int(p.status.Load()))
		case "/slow":
			p.working <- struct{}{}
			select {
			case <-p.let:
			case <-r.Context().Done():
			}
		}
		_, _ = fmt.Fprint(w, p.Port)
	}))
	p.Target = targetOf(t, p.server.URL)
	t.Cleanup(p.server.Close)
	return p
}

// slow starts a request that a patient keeps, and tells its status when it has one.
func (b *balancing) slow(p *patient) <-chan int {
	b.t.Helper()
	status := make(chan int, 1)
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+b.Addresses()[80]+"/slow", http.NoBody)
	require.NoError(b.t, err)
	c := client(b.t)
	go func() {
		response, err := c.Do(request)
		if err != nil {
			status <- 0
			return
		}
		_ = response.Body.Close()
		status <- response.StatusCode
	}()
	select {
	case <-p.working:
	case <-time.After(waiting):
		b.t.Fatal("no slow request came")
	}
	return status
}

func TestATargetIsHealthyAfterOneCheckAndUnhealthyAfterThree(t *testing.T) {
	b := start(t, balancer.Options{Speed: 150})
	p := newPatient(t)
	b.update(state(p.Target))
	b.await(p.Target, "healthy")
	assert.EqualValues(t, 1, p.checks.Load(), "the first check comes at once, and is enough")
	assert.Equal(t, "ELB-HealthChecker/2.0", p.agent.Load())
	p.status.Store(503)
	before := p.checks.Load()
	b.await(p.Target, "unhealthy Target.ResponseCodeMismatch")
	assert.GreaterOrEqual(t, p.checks.Load()-before, int64(3))
	assert.Equal(t, "Health checks failed with these codes: [503]", aws.ToString(b.Health()[0].Targets[0].TargetHealth.Description))
	p.status.Store(200)
	before = p.checks.Load()
	b.await(p.Target, "healthy")
	assert.GreaterOrEqual(t, p.checks.Load()-before, int64(2))
	assert.Nil(t, b.Health()[0].Targets[0].TargetHealth.Description)
}

func TestANewTargetIsCheckedAgainSoonWhereTimeGoesFaster(t *testing.T) {
	t.Parallel()
	b := start(t, balancer.Options{Speed: 1.2}) // an interval is longer than the test waits
	p := newPatient(t)
	p.status.Store(503)
	b.update(state(p.Target))
	require.Eventually(t, func() bool { return p.checks.Load() >= 3 }, waiting, tick, "as a process is that does not listen yet")
	assert.Equal(t, elbtypes.TargetHealthStateEnumInitial, b.Health()[0].Targets[0].TargetHealth.State, "all of them are one check")
	p.status.Store(200)
	b.await(p.Target, "healthy")
}

func TestAHealthCheckTellsWhyItFails(t *testing.T) {
	t.Parallel()
	hang := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(hang.Close)
	silent, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test
	require.NoError(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	garbage, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test
	require.NoError(t, err)
	t.Cleanup(func() { _ = garbage.Close() })
	go func() {
		for {
			conn, err := garbage.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "SSH-2.0-OpenSSH_9.9\r\n")
			_ = conn.Close()
		}
	}()
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			_, _ = w.Write(make([]byte, 1<<10))
		}
	}))
	t.Cleanup(endless.Close)
	closed := balancer.Target{ID: "127.0.0.1", Port: 1}
	b := start(t, balancer.Options{})
	s := state(targetOf(t, hang.URL), targetOf(t, "tcp://"+silent.Addr().String()), targetOf(t, "tcp://"+garbage.Addr().String()), targetOf(t, endless.URL), closed)
	s.Groups[0].HealthCheckTimeoutSeconds, s.Groups[0].UnhealthyThresholdCount = aws.Int32(1), aws.Int32(2)
	b.update(s)
	for _, target := range s.Groups[0].Targets {
		assert.Contains(t, []string{"initial Elb.RegistrationInProgress", "initial Elb.InitialHealthChecking", "healthy", "unhealthy Target.FailedHealthChecks"}, b.states()[target.String()])
	}
	b.await(s.Groups[0].Targets[0], "unhealthy Target.Timeout")
	b.await(s.Groups[0].Targets[1], "unhealthy Target.Timeout")
	b.await(s.Groups[0].Targets[2], "unhealthy Target.FailedHealthChecks")
	b.await(s.Groups[0].Targets[3], "healthy")
	b.await(closed, "unhealthy Target.FailedHealthChecks")
}

func TestMatchersPortsAndPathsOfHealthChecks(t *testing.T) {
	b := start(t, balancer.Options{})
	var asked atomic.Value
	other := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.URL.String())
		w.WriteHeader(http.StatusTeapot)
	}))
	t.Cleanup(other.Close)
	target, _ := serve(t, func(http.ResponseWriter, *http.Request) {})
	s := state(target)
	s.Groups[0].Matcher.HttpCode, s.Groups[0].HealthCheckPath = aws.String("200-202, 418"), aws.String("/ready?deep=1")
	s.Groups[0].HealthCheckPort, s.Groups[0].HealthCheckProtocol = aws.String(fmt.Sprint(targetOf(t, other.URL).Port)), elbtypes.ProtocolEnumHttps
	b.update(s)
	b.await(target, "healthy")
	assert.Equal(t, "/ready?deep=1", asked.Load())
	assert.Equal(t, fmt.Sprint(targetOf(t, other.URL).Port), *b.Health()[0].Targets[0].HealthCheckPort)
	assert.Equal(t, target.Port, *b.Health()[0].Targets[0].Target.Port)
}

func TestUnhealthyTargetsGetNothingUnlessAllAre(t *testing.T) {
	b := start(t, balancer.Options{})
	one, two := newPatient(t), newPatient(t)
	b.update(state(one.Target, two.Target))
	b.await(one.Target, "healthy")
	b.await(two.Target, "healthy")
	got := map[string]int{}
	for range 20 {
		got[b.get("/").body]++
	}
	assert.Equal(t, map[string]int{fmt.Sprint(one.Port): 10, fmt.Sprint(two.Port): 10}, got, "in turns")
	one.status.Store(500)
	b.await(one.Target, "unhealthy Target.ResponseCodeMismatch")
	for range 10 {
		assert.Equal(t, fmt.Sprint(two.Port), b.get("/").body)
	}
	two.status.Store(500)
	b.await(two.Target, "unhealthy Target.ResponseCodeMismatch")
	clear(got)
	for range 10 {
		got[b.get("/").body]++
	}
	assert.Len(t, got, 2, "it fails open")
}

func TestAllTargetsGetRequestsBelowTheLeastThatMustBeHealthy(t *testing.T) {
	for attribute, value := range map[string]string{"count": "2", "percentage": "60"} {
		b := start(t, balancer.Options{})
		one, two := newPatient(t), newPatient(t)
		two.status.Store(500)
		s := state(one.Target, two.Target)
		s.Groups[0].Attributes["target_group_health.unhealthy_state_routing.minimum_healthy_targets."+attribute] = value
		b.update(s)
		b.await(one.Target, "healthy")
		b.await(two.Target, "unhealthy Target.ResponseCodeMismatch")
		got := map[string]int{}
		for range 10 {
			got[b.get("/").body]++
		}
		assert.Len(t, got, 2, attribute)
	}
}

func TestATargetInSlowStartGetsLess(t *testing.T) {
	b := start(t, balancer.Options{})
	old, fresh := newPatient(t), newPatient(t)
	s := state(old.Target)
	s.Groups[0].Attributes["slow_start.duration_seconds"] = "900"
	b.update(s)
	b.await(old.Target, "healthy")
	s.Groups[0].Targets = append(s.Groups[0].Targets, fresh.Target)
	b.update(s)
	b.await(fresh.Target, "healthy")
	got := map[string]int{}
	for range 100 {
		got[b.get("/").body]++
	}
	assert.Greater(t, got[fmt.Sprint(old.Port)], 90, "%v", got)
}

func TestTheBusierTargetGetsLessByOutstandingRequests(t *testing.T) {
	b := start(t, balancer.Options{})
	one, two := newPatient(t), newPatient(t)
	s := state(one.Target, two.Target)
	s.Groups[0].Attributes["load_balancing.algorithm.type"] = "least_outstanding_requests"
	b.update(s)
	b.await(one.Target, "healthy")
	b.await(two.Target, "healthy")
	var busy, free *patient
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+b.Addresses()[80]+"/slow", http.NoBody)
	require.NoError(t, err)
	c, done := client(t), make(chan struct{})
	go func() {
		defer close(done)
		if response, err := c.Do(request); err == nil {
			_ = response.Body.Close()
		}
	}()
	select {
	case <-one.working:
		busy, free = one, two
	case <-two.working:
		busy, free = two, one
	}
	for range 10 {
		require.Equal(t, fmt.Sprint(free.Port), b.get("/").body)
	}
	close(busy.let)
	<-done
}

func TestHealthChecksThatAreOffLetEverythingPass(t *testing.T) {
	b := start(t, balancer.Options{})
	p := newPatient(t)
	p.status.Store(500)
	s := state(p.Target)
	s.Groups[0].HealthCheckEnabled = aws.Bool(false)
	b.update(s)
	assert.Equal(t, "unavailable Target.HealthCheckDisabled", b.states()[p.String()])
	assert.Equal(t, http.StatusOK, b.get("/").status)
	assert.Zero(t, p.checks.Load())
	s.Groups[0].HealthCheckEnabled = aws.Bool(true)
	b.update(s)
	b.await(p.Target, "unhealthy Target.ResponseCodeMismatch")
}

func TestATargetThatNothingSendsToIsUnused(t *testing.T) {
	b := start(t, balancer.Options{})
	p := newPatient(t)
	s := state(p.Target)
	s.Zones = []string{"us-east-1b", "us-east-1c"}
	b.update(s)
	assert.Equal(t, "unused Target.NotInUse", b.states()[p.String()], "its zone is not enabled")
	assert.Equal(t, http.StatusServiceUnavailable, b.get("/").status)
	s.Zones = append(s.Zones, p.Zone)
	b.update(s)
	b.await(p.Target, "healthy")
	s.Listeners = []balancer.Listener{listener(80, fixed(""))}
	b.update(s)
	assert.Equal(t, "unused Target.NotInUse", b.states()[p.String()], "no rule names its group")
}

func TestADeregisteredTargetFinishesWhatItHas(t *testing.T) {
	b := start(t, balancer.Options{})
	one, two := newPatient(t), newPatient(t)
	b.update(state(one.Target))
	b.await(one.Target, "healthy")
	status := b.slow(one)
	b.update(state(two.Target))
	assert.Equal(t, "draining Target.DeregistrationInProgress", b.states()[one.String()])
	b.await(two.Target, "healthy")
	for range 5 {
		assert.Equal(t, fmt.Sprint(two.Port), b.get("/").body, "a draining target gets nothing new")
	}
	close(one.let)
	assert.Equal(t, http.StatusOK, <-status)
	require.Eventually(t, func() bool { return b.states()[one.String()] == "" }, waiting, tick, "it has drained: it is told no longer")
	assert.EqualValues(t, 0, b.Counts().ELB5xx)
}

func TestATargetWithoutRequestsDrainsAtOnce(t *testing.T) {
	b := start(t, balancer.Options{})
	p := newPatient(t)
	b.update(state(p.Target))
	b.await(p.Target, "healthy")
	b.get("/")
	require.Eventually(t, func() bool { return b.Counts().InFlight == 0 }, waiting, tick)
	b.update(state())
	assert.NotContains(t, b.states(), p.String())
	assert.Equal(t, http.StatusServiceUnavailable, b.get("/").status)
	require.Eventually(t, func() bool { return b.Counts().ELB503 == 1 }, waiting, tick)
}

func TestARequestIsCutWhenTheDeregistrationDelayEnds(t *testing.T) {
	b := start(t, balancer.Options{})
	p := newPatient(t)
	s := state(p.Target)
	s.Groups[0].Attributes["deregistration_delay.timeout_seconds"] = "0"
	b.update(s)
	b.await(p.Target, "healthy")
	status := b.slow(p)
	s.Groups[0].Targets = nil
	b.update(s)
	assert.Equal(t, http.StatusBadGateway, <-status, "AWS answers 502")
	assert.NotContains(t, b.states(), p.String())
}

func TestNoRequestIsLostWhileTargetsComeAndGo(t *testing.T) {
	b := start(t, balancer.Options{})
	targets := make([]balancer.Target, 3)
	for i := range targets {
		targets[i], _ = serve(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(w, r.Body)
		})
	}
	s := state(targets...)
	s.Groups[0].HealthCheckEnabled = aws.Bool(false)
	b.update(s)
	stop, failures := make(chan struct{}), make(chan error, 8)
	var asking sync.WaitGroup
	for range cap(failures) {
		c := client(t)
		asking.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				response, err := c.Post("http://"+b.Addresses()[80]+"/", "text/plain", strings.NewReader("payment")) //nolint:noctx // a test
				if err == nil {
					body, _ := io.ReadAll(response.Body)
					_ = response.Body.Close()
					if response.StatusCode != http.StatusOK || string(body) != "payment" {
						err = fmt.Errorf("%s: %s", response.Status, body)
					}
				}
				if err != nil {
					failures <- err
					return
				}
			}
		})
	}
	for i := range 300 {
		s.Groups[0].Targets = []balancer.Target{targets[i%3], targets[(i+1)%3]}
		b.update(s)
	}
	close(stop)
	asking.Wait()
	close(failures)
	require.NoError(t, <-failures)
	assert.Zero(t, b.Counts().ELB5xx)
}

func TestATargetThatIsRegisteredAgainWhileItDrains(t *testing.T) {
	b := start(t, balancer.Options{})
	p := newPatient(t)
	b.update(state(p.Target))
	b.await(p.Target, "healthy")
	status := b.slow(p)
	b.update(state())
	b.update(state(p.Target))
	b.await(p.Target, "healthy")
	assert.Equal(t, fmt.Sprint(p.Port), b.get("/").body)
	close(p.let)
	assert.Equal(t, http.StatusOK, <-status)
}

func TestAZoneThatIsToldLaterMakesNoOtherTarget(t *testing.T) {
	b := start(t, balancer.Options{})
	p := newPatient(t)
	s := state(p.Target)
	s.Groups[0].Targets[0].Zone = ""
	b.update(s)
	b.await(p.Target, "healthy")
	s.Groups[0].Targets = []balancer.Target{p.Target}
	b.update(s)
	assert.Equal(t, map[string]string{p.String(): "healthy"}, b.states())
	assert.Equal(t, "us-east-1a", *b.Health()[0].Targets[0].Target.AvailabilityZone)
}

func TestAGroupThatGoesDrainsItsTargets(t *testing.T) {
	b := start(t, balancer.Options{})
	p := newPatient(t)
	b.update(state(p.Target))
	b.await(p.Target, "healthy")
	status := b.slow(p)
	s := state()
	s.Groups = nil
	b.update(s)
	assert.Equal(t, "draining Target.DeregistrationInProgress", b.states()[p.String()])
	close(p.let)
	assert.Equal(t, http.StatusOK, <-status)
	require.Eventually(t, func() bool { return b.Update(t.Context(), s) == nil && len(b.Health()) == 0 }, waiting, tick)
}

func TestAnUpdateDropsNoRequest(t *testing.T) {
	b := start(t, balancer.Options{})
	p := newPatient(t)
	s := state(p.Target)
	b.update(s)
	b.await(p.Target, "healthy")
	status := b.slow(p)
	stop, failures := make(chan struct{}), make(chan error, 1)
	c := client(t)
	go func() {
		defer close(failures)
		for {
			select {
			case <-stop:
				return
			default:
			}
			response, err := c.Get("http://" + b.Addresses()[80] + "/") //nolint:noctx // a test
			if err == nil && response.StatusCode != http.StatusOK {
				err = errors.New(response.Status)
			}
			if err != nil {
				failures <- err
				return
			}
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
		}
	}()
	for i := range 50 {
		s.Attributes["idle_timeout.timeout_seconds"] = fmt.Sprint(30 + i)
		s.Listeners[0].Rules = []elbtypes.Rule{rule(i+1, fixed("x"), path("/other"))}
		b.update(s)
		time.Sleep(2 * time.Millisecond)
	}
	close(stop)
	require.NoError(t, <-failures, "while time-outs and rules change")
	close(p.let)
	assert.Equal(t, http.StatusOK, <-status)
	require.NoError(t, b.Update(t.Context(), balancer.State{ARN: loadBalancerARN}))
	assert.Empty(t, b.Addresses(), "the port is closed with its listener")
}
