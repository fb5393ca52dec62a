package balancer

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// check is how a target group checks its targets: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
type check struct {
	enabled            bool
	secure             bool
	port               int32 // 0 is the traffic's
	path               string
	interval, timeout  time.Duration
	healthy, unhealthy int
	codes              [][2]int
}

func readCheck(told elbtypes.TargetGroup) (check, error) {
	number := func(value *int32, standard int) int {
		if value == nil {
			return standard
		}
		return int(*value)
	}
	c := check{
		enabled:   told.HealthCheckEnabled == nil || *told.HealthCheckEnabled,
		secure:    told.HealthCheckProtocol == elbtypes.ProtocolEnumHttps,
		path:      "/",
		interval:  time.Duration(number(told.HealthCheckIntervalSeconds, 30)) * time.Second,
		timeout:   time.Duration(number(told.HealthCheckTimeoutSeconds, 5)) * time.Second,
		healthy:   number(told.HealthyThresholdCount, 5),
		unhealthy: number(told.UnhealthyThresholdCount, 2),
	}
	if path := aws.ToString(told.HealthCheckPath); path != "" {
		c.path = path
	}
	if port := aws.ToString(told.HealthCheckPort); port != "" && port != "traffic-port" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return c, fmt.Errorf("health check port %q", port)
		}
		c.port = int32(n)
	}
	codes := "200"
	if told.Matcher != nil && aws.ToString(told.Matcher.HttpCode) != "" {
		codes = *told.Matcher.HttpCode
	}
	for each := range strings.SplitSeq(codes, ",") {
		low, high, isRange := strings.Cut(strings.TrimSpace(each), "-")
		if !isRange {
			high = low
		}
		from, errFrom := strconv.Atoi(low)
		to, errTo := strconv.Atoi(high)
		if err := errors.Join(errFrom, errTo); err != nil {
			return c, fmt.Errorf("health check matcher %q: %w", codes, err)
		}
		c.codes = append(c.codes, [2]int{from, to})
	}
	if _, err := url.ParseRequestURI(c.path); err != nil {
		return c, fmt.Errorf("health check path: %w", err)
	}
	return c, nil
}

// portOf is the port of a target's health checks.
func (c *check) portOf(t Target) int32 {
	if c.port != 0 {
		return c.port
	}
	return t.Port
}

// soon is the time after which a new target is asked again where time goes faster.
const soon = 50 * time.Millisecond

// watch checks a target until it leaves, the first time at once. A check starts an interval after the one before started, or
// when that has ended. Where intervals are shorter than told, a check of a new target takes until it passes, or for an interval:
// how long a process takes to listen is not shorter.
func (t *target) watch(ctx context.Context) {
	for {
		c, speed := t.group.settings.Load().check, t.group.b.options.Speed
		next := time.Now().Add(time.Duration(float64(c.interval) / speed))
		reason, description := t.probe(ctx, &c)
		for reason != "" && speed > 1 && t.isNew() && time.Until(next) > soon && pause(ctx, soon) {
			reason, description = t.probe(ctx, &c)
		}
		if ctx.Err() == nil {
			t.record(ctx, &c, reason, description)
		}
		if !pause(ctx, time.Until(next)) {
			return
		}
	}
}

// isNew says that a target has neither passed its checks nor failed them.
func (t *target) isNew() bool {
	t.group.mu.Lock()
	defer t.group.mu.Unlock()
	return t.health.State == elbtypes.TargetHealthStateEnumInitial
}

// pause waits, and says whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// probe makes one check on a connection of its own. The reason is empty if the target passes.
func (t *target) probe(ctx context.Context, c *check) (elbtypes.TargetHealthReasonEnum, string) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	status, err := t.ask(ctx, c)
	var timeout net.Error
	switch {
	case ctx.Err() != nil, errors.As(err, &timeout) && timeout.Timeout():
		return elbtypes.TargetHealthReasonEnumTimeout, "Request timed out"
	case err != nil:
		return elbtypes.TargetHealthReasonEnumFailedHealthChecks, "Health checks failed"
	}
	for _, each := range c.codes {
		if each[0] <= status && status <= each[1] {
			return "", ""
		}
	}
	return elbtypes.TargetHealthReasonEnumResponseCodeMismatch, fmt.Sprintf("Health checks failed with these codes: [%d]", status)
}

func (t *target) ask(ctx context.Context, c *check) (int, error) {
	at := t.Target
	at.Port = c.portOf(t.Target)
	conn, err := t.group.b.options.Dial(ctx, at)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return 0, err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	scheme := "http://"
	if c.secure {
		secure := tls.Client(conn, targetTLS())
		if err := secure.HandshakeContext(ctx); err != nil {
			return 0, err
		}
		conn, scheme = secure, "https://"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+at.String()+c.path, http.NoBody)
	if err != nil {
		return 0, err
	}
	request.Header.Set("User-Agent", "ELB-HealthChecker/2.0")
	request.Close = true
	if err := request.Write(conn); err != nil {
		return 0, err
	}
	response, err := http.ReadResponse(bufio.NewReader(&limited{Conn: conn, left: 2 * maxResponseHeaders}), request) //nolint:bodyclose // the connection is closed
	if err != nil {
		return 0, err
	}
	return response.StatusCode, nil
}

// limited is a connection that ends after so many bytes: a health check has no use for more than headers.
type limited struct {
	net.Conn
	left int
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errors.New("too long an answer")
	}
	n, err := l.Conn.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}

// record counts a check. A new target is healthy after one success, one that was unhealthy after the threshold.
func (t *target) record(ctx context.Context, c *check, reason elbtypes.TargetHealthReasonEnum, description string) {
	g := t.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if ctx.Err() != nil { // deregistered, or no longer used, meanwhile
		return
	}
	passed := reason == ""
	if passed != (t.streak > 0) {
		t.streak = 0
	}
	was := t.health.State
	if passed {
		t.streak++
		if was == elbtypes.TargetHealthStateEnumInitial || t.streak >= c.healthy {
			if was != elbtypes.TargetHealthStateEnumHealthy {
				t.slowFrom = time.Time{}
				if s := g.settings.Load(); s.slowStart > 0 && g.hasWarm(s.slowStart) {
					t.slowFrom = time.Now()
				}
			}
			t.health = health(elbtypes.TargetHealthStateEnumHealthy, "", "")
		}
	} else {
		t.streak--
		switch {
		case -t.streak >= c.unhealthy || was == elbtypes.TargetHealthStateEnumUnhealthy:
			t.health = health(elbtypes.TargetHealthStateEnumUnhealthy, reason, description)
		case was == elbtypes.TargetHealthStateEnumInitial:
			t.health = health(was, elbtypes.TargetHealthReasonEnumInitialHealthChecking, "Initial health checks in progress")
		}
	}
	g.refresh()
}

// hasWarm says whether a target is healthy and past slow start, without which no other enters it.
func (g *group) hasWarm(slowStart time.Duration) bool {
	for _, t := range g.targets {
		if t.health.State == elbtypes.TargetHealthStateEnumHealthy && (t.slowFrom.IsZero() || time.Since(t.slowFrom) >= slowStart) {
			return true
		}
	}
	return false
}
