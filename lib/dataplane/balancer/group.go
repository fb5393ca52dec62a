package balancer

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// settings are a target group's, with the idle time-out of the load balancer, which holds for connections to targets as well.
type settings struct {
	secure         bool // HTTPS
	idle           time.Duration
	drain          time.Duration
	slowStart      time.Duration
	sticky         time.Duration // of targets; 0 is not sticky
	algorithm      string
	least, percent int // healthy targets, below which all get requests
	check          check
}

// readGroup reads a target group. Defaults: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetGroupAttribute.html
func readGroup(told Group, a attributes) (settings, error) {
	r := reader{told: told.Attributes}
	s := settings{
		secure:    told.Protocol == elbtypes.ProtocolEnumHttps,
		idle:      a.idle,
		drain:     r.seconds("deregistration_delay.timeout_seconds", 300),
		slowStart: r.seconds("slow_start.duration_seconds", 0),
		algorithm: r.choice("load_balancing.algorithm.type", "round_robin", "least_outstanding_requests", "weighted_random"),
		least:     r.number("target_group_health.unhealthy_state_routing.minimum_healthy_targets.count", 1),
		percent:   r.number("target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage", 0),
	}
	if r.flag("stickiness.enabled", false) {
		r.choice("stickiness.type", "lb_cookie")
		s.sticky = r.seconds("stickiness.lb_cookie.duration_seconds", 24*60*60)
	}
	problems := r.problems
	if !s.secure && told.Protocol != elbtypes.ProtocolEnumHttp {
		problems = append(problems, fmt.Errorf("protocol %q is not supported", told.Protocol))
	}
	if version := aws.ToString(told.ProtocolVersion); version != "" && version != "HTTP1" {
		problems = append(problems, fmt.Errorf("protocol version %s is not supported", version))
	}
	if told.TargetType == elbtypes.TargetTypeEnumLambda || told.TargetType == elbtypes.TargetTypeEnumAlb {
		problems = append(problems, fmt.Errorf("targets of type %s are not supported", told.TargetType))
	}
	var err error
	s.check, err = readCheck(told.TargetGroup)
	if err = errors.Join(append(problems, err)...); err != nil {
		return s, fmt.Errorf("target group %s: %w", aws.ToString(told.TargetGroupName), err)
	}
	return s, nil
}

// group is a target group at work.
type group struct {
	b        *Balancer
	arn      string
	settings atomic.Pointer[settings]
	eligible atomic.Pointer[[]*target] // for new requests
	next     atomic.Uint64
	metrics  groupMetrics

	mu       sync.Mutex
	targets  []*target
	draining []*target
}

func newGroup(b *Balancer, arn string) *group {
	g := &group{b: b, arn: arn}
	g.settings.Store(&settings{})
	g.eligible.Store(&[]*target{})
	return g
}

// target is a registered target, or one that is draining.
type target struct {
	Target
	group     *group
	host      string
	stop      context.CancelFunc // of its health checks; nil while there are none
	transport atomic.Pointer[http.Transport]
	inFlight  atomic.Int64
	leaving   atomic.Bool
	idle      chan struct{} // told when a leaving target has no request in flight

	mu    sync.Mutex
	conns map[net.Conn]bool // nil once they are cut

	// Below the group's mutex.
	zone     string // as last told: what a target is, is its address and port
	used     bool
	health   elbtypes.TargetHealth
	streak   int // of checks with the same outcome: successes above 0, failures below
	slowFrom time.Time
}

func (t *target) is(other Target) bool { return t.ID == other.ID && t.Port == other.Port }

// update configures the group and registers and deregisters targets.
func (g *group) update(s settings, registered []Target, used func(Target) bool) {
	former := g.settings.Swap(&s)
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range slices.Clone(g.targets) {
		if !slices.ContainsFunc(registered, t.is) {
			g.deregister(t)
		}
	}
	for _, each := range registered {
		i := slices.IndexFunc(g.targets, func(t *target) bool { return t.is(each) })
		if i < 0 {
			t := &target{Target: each, group: g, host: each.String(), idle: make(chan struct{}, 1), conns: map[net.Conn]bool{}}
			g.targets = append(g.targets, t)
			i = len(g.targets) - 1
		}
		g.targets[i].zone = each.Zone
		g.use(g.targets[i], used(each), former)
	}
	g.refresh()
}

// use starts or stops the health checks of a target, as the group is used by a listener or not.
func (g *group) use(t *target, used bool, former *settings) {
	s := g.settings.Load()
	if t.transport.Load() == nil || former.secure != s.secure || former.idle != s.idle {
		if old := t.transport.Swap(t.newTransport(s)); old != nil {
			old.CloseIdleConnections()
		}
	}
	check := used && s.check.enabled
	t.used = used
	switch {
	case check && t.stop == nil:
		ctx, stop := context.WithCancel(g.b.ctx)
		t.stop, t.streak = stop, 0
		t.health = health(elbtypes.TargetHealthStateEnumInitial, elbtypes.TargetHealthReasonEnumRegistrationInProgress, "Target registration is in progress")
		g.b.work.Go(func() { t.watch(ctx) })
	case !check && t.stop != nil:
		t.stop()
		t.stop = nil
	}
	switch {
	case !used:
		t.health = health(elbtypes.TargetHealthStateEnumUnused, elbtypes.TargetHealthReasonEnumNotInUse, "Target group is not configured to receive traffic from the load balancer")
	case !check:
		t.health = health(elbtypes.TargetHealthStateEnumUnavailable, elbtypes.TargetHealthReasonEnumHealthCheckDisabled, "Health checks are disabled for this target group")
	}
}

// deregister sends a target nothing more and lets it finish what it has for the deregistration delay. Without requests in
// flight that is at once; after the delay its connections are cut, and clients get 502.
func (g *group) deregister(t *target) {
	g.targets = slices.DeleteFunc(g.targets, func(other *target) bool { return other == t })
	g.draining = append(g.draining, t)
	if t.stop != nil {
		t.stop()
	}
	t.health = health(elbtypes.TargetHealthStateEnumDraining, elbtypes.TargetHealthReasonEnumDeregistrationInProgress, "Target deregistration is in progress")
	t.leaving.Store(true)
	g.refresh()
	if t.inFlight.Load() == 0 {
		g.leave(t)
		return
	}
	t.transport.Load().CloseIdleConnections()
	delay := g.settings.Load().drain
	g.b.work.Go(func() {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		for ended := false; !ended && t.inFlight.Load() > 0; {
			select {
			case <-t.idle:
			case <-timer.C:
				ended = true
			case <-g.b.ctx.Done():
				ended = true
			}
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		g.leave(t)
	})
}

// leave forgets a target that has drained.
func (g *group) leave(t *target) {
	t.cut()
	g.draining = slices.DeleteFunc(g.draining, func(other *target) bool { return other == t })
}

func (g *group) drained() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.targets)+len(g.draining) == 0
}

// cut closes all connections.
func (g *group) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range slices.Concat(g.targets, g.draining) {
		t.cut()
	}
}

// refresh works out who gets requests: the healthy targets, or all that are registered where too few are healthy (AWS calls
// it fail open).
func (g *group) refresh() {
	s := g.settings.Load()
	var healthy, all []*target
	for _, t := range g.targets {
		if !t.used {
			continue
		}
		all = append(all, t)
		switch t.health.State {
		case elbtypes.TargetHealthStateEnumHealthy, elbtypes.TargetHealthStateEnumUnavailable:
			healthy = append(healthy, t)
		}
	}
	if len(healthy) < s.least || len(healthy)*100 < s.percent*len(all) {
		healthy = all
	}
	g.eligible.Store(&healthy)
}

// pick takes a target for a request, which must be given back by release. None is left when nothing is registered.
func (g *group) pick(prefer func(*target) bool) *target {
	for {
		targets := *g.eligible.Load()
		if len(targets) == 0 {
			return nil
		}
		t := g.choose(targets)
		if prefer != nil {
			if i := slices.IndexFunc(targets, prefer); i >= 0 {
				t = targets[i]
			}
		}
		t.inFlight.Add(1)
		if !t.leaving.Load() {
			return t
		}
		t.release()
	}
}

func (g *group) choose(targets []*target) *target {
	s := g.settings.Load()
	switch {
	case len(targets) == 1:
		return targets[0]
	case s.algorithm == "weighted_random":
		return targets[rand.IntN(len(targets))] //nolint:gosec // a share of the requests, not a secret
	}
	start := int(g.next.Add(1) % uint64(len(targets))) //nolint:gosec // below the number of targets
	if s.algorithm == "least_outstanding_requests" {
		best := targets[start]
		for i := range targets {
			if t := targets[(start+i)%len(targets)]; t.inFlight.Load() < best.inFlight.Load() {
				best = t
			}
		}
		return best
	}
	if s.slowStart > 0 {
		for i := range targets {
			if t := targets[(start+i)%len(targets)]; t.warm(s.slowStart) {
				return t
			}
		}
	}
	return targets[start]
}

// warm says by chance whether a target in slow start takes a request; the chance grows linearly.
func (t *target) warm(duration time.Duration) bool {
	t.group.mu.Lock()
	from := t.slowFrom
	t.group.mu.Unlock()
	return from.IsZero() || rand.Float64() < float64(time.Since(from))/float64(duration) //nolint:gosec // a share of the requests, not a secret
}

// release gives a target back.
func (t *target) release() {
	if t.inFlight.Add(-1) == 0 && t.leaving.Load() {
		select {
		case t.idle <- struct{}{}:
		default:
		}
	}
}

// health is that of all targets. A target that is registered again while it drains is told once, as registered.
func (g *group) health() []elbtypes.TargetHealthDescription {
	g.mu.Lock()
	defer g.mu.Unlock()
	var told []elbtypes.TargetHealthDescription
	for _, t := range slices.Concat(g.targets, g.draining) {
		if slices.ContainsFunc(told, func(d elbtypes.TargetHealthDescription) bool { return *d.Target.Id == t.ID && *d.Target.Port == t.Port }) {
			continue
		}
		description := elbtypes.TargetHealthDescription{
			Target:          &elbtypes.TargetDescription{Id: aws.String(t.ID), Port: aws.Int32(t.Port)},
			TargetHealth:    new(t.health),
			HealthCheckPort: aws.String(strconv.Itoa(int(g.settings.Load().check.portOf(t.Target)))),
		}
		if t.zone != "" {
			description.Target.AvailabilityZone = aws.String(t.zone)
		}
		told = append(told, description)
	}
	slices.SortFunc(told, func(a, b elbtypes.TargetHealthDescription) int {
		return strings.Compare(fmt.Sprint(*a.Target.Id, *a.Target.Port), fmt.Sprint(*b.Target.Id, *b.Target.Port))
	})
	return told
}

func health(state elbtypes.TargetHealthStateEnum, reason elbtypes.TargetHealthReasonEnum, description string) elbtypes.TargetHealth {
	h := elbtypes.TargetHealth{State: state, Reason: reason}
	if description != "" {
		h.Description = aws.String(description)
	}
	return h
}
