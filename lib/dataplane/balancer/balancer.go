// Package balancer is a local Application Load Balancer: it serves what the API tells of one, on an address of this machine,
// and sends requests to targets by a function that it is given. It makes no AWS calls.
//
// It does what AWS documents of an Application Load Balancer, or [Balancer.Update] says what it cannot do. Where the
// documentation leaves something open, the more careful way is taken: a request that may have reached a target is not sent
// again.
package balancer

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	waftypes "github.com/aws/aws-sdk-go-v2/service/wafv2/types"
)

// Options are how a load balancer is bound to this machine.
type Options struct {
	// Address is the IP address to listen on. A listener's port is mapped by [LocalPort].
	Address string
	// Dial connects to a target, on the port that it is given: a health check may ask for another than the traffic's. An error
	// whose Timeout() is true stands for packets that are lost, as those that no security group lets in.
	Dial func(context.Context, Target) (net.Conn, error)
	// Log takes finished lines of the access log, if the load balancer's attributes enable one, in batches and from one
	// goroutine. Nil for no log.
	Log func(lines []string)
	// Speed divides the interval between health checks, and nothing else: 5 checks every 3 seconds what the target group says
	// to check every 15. Time-outs, thresholds and the deregistration delay are as told. 0 is 1.
	Speed float64
	// Now is the clock of the firewall's rates and of cookies; time.Now if nil.
	Now func() time.Time
}

// State is what the API tells of a load balancer.
type State struct {
	// ARN is the load balancer's.
	ARN string
	// Attributes are the load balancer's, as DescribeLoadBalancerAttributes tells them. What is missing has AWS's default.
	Attributes map[string]string
	// Zones are the enabled availability zones. None means all.
	Zones     []string
	Listeners []Listener
	Groups    []Group
	// WebACL is the one that is associated with the load balancer, if any.
	WebACL *waftypes.WebACL
}

// Listener is a listener with its rules. The default rule may be among them or be left to the listener's default actions.
type Listener struct {
	elbtypes.Listener
	Rules []elbtypes.Rule
	// Certificates are those of an HTTPS listener, the default one first.
	Certificates []Certificate
}

// Certificate is a certificate with its private key.
type Certificate struct {
	ARN string
	tls.Certificate
}

// Group is a target group with its attributes and registered targets.
type Group struct {
	elbtypes.TargetGroup
	Attributes map[string]string
	Targets    []Target
}

// Target is what is registered with a target group.
type Target struct {
	ID   string
	Port int32
	Zone string
}

// String is host and port.
func (t Target) String() string { return net.JoinHostPort(t.ID, strconv.Itoa(int(t.Port))) }

// GroupHealth is what DescribeTargetHealth would tell of a target group. A target that was deregistered is among the targets
// as draining until it has drained, then no longer.
type GroupHealth struct {
	ARN     string
	Targets []elbtypes.TargetHealthDescription
}

// LocalPort is where a listener's port is served: 8000 above it where it is below 1024, which an ordinary user may not listen
// on, so that 80 is 8080 and 443 is 8443; else the same.
func LocalPort(port int32) int32 {
	if port < 1024 {
		return port + 8000
	}
	return port
}

// closing is how long Close waits for requests in flight.
const closing = 2 * time.Second

// Balancer is a running load balancer.
type Balancer struct {
	options Options
	ctx     context.Context
	cancel  context.CancelFunc
	work    sync.WaitGroup
	sticky  *cookies
	logger  *logger
	metrics metrics

	mu        sync.Mutex // of Update, Health and Close
	closed    bool
	listeners map[int32]*listener
	groups    map[string]*group
	firewall  *firewall
	reachable atomic.Pointer[map[string]*group] // groups, for requests
}

// New makes a load balancer without listeners.
func New(options Options) *Balancer {
	if options.Speed <= 0 {
		options.Speed = 1
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	b := &Balancer{options: options, listeners: map[int32]*listener{}, groups: map[string]*group{}, sticky: newCookies()}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.reachable.Store(&map[string]*group{})
	if options.Log != nil {
		b.logger = newLogger(options.Log)
		b.work.Go(func() { b.logger.run(b.ctx) })
	}
	return b
}

// Update brings the load balancer to a state, without dropping requests in flight. A state with anything that it cannot do
// is refused as a whole, with an error that names it all, and the former state stays. An address that cannot be listened on
// leaves out that listener alone.
func (b *Balancer) Update(_ context.Context, state State) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return errors.New("the load balancer is closed")
	}
	attributes, err := readAttributes(state.Attributes)
	problems := []error{err}
	firewall, err := b.firewall.follow(state.WebACL, b.options.Now)
	problems = append(problems, err)
	groups := map[string]settings{}
	for _, each := range state.Groups {
		groups[aws.ToString(each.TargetGroupArn)], err = readGroup(each, attributes)
		problems = append(problems, err)
	}
	shared := shared{attributes: attributes, firewall: firewall, arn: state.ARN, name: resourceID(state.ARN)}
	sites := map[int32]*site{}
	for _, each := range state.Listeners {
		site, err := readListener(each, &shared)
		if problems = append(problems, err); err == nil {
			sites[site.port] = site
		}
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("load balancer %s: %w", cmp.Or(shared.name, "without ARN"), err)
	}
	b.firewall = firewall
	b.updateGroups(state, groups, sites)
	return b.updateListeners(sites)
}

// updateGroups registers, deregisters and configures targets.
func (b *Balancer) updateGroups(state State, groups map[string]settings, sites map[int32]*site) {
	used := map[string]bool{}
	for _, site := range sites {
		for _, rule := range site.rules {
			for _, each := range rule.action.groups {
				used[each.arn] = true
			}
		}
	}
	for arn, settings := range groups {
		if b.groups[arn] == nil {
			b.groups[arn] = newGroup(b, arn)
		}
		i := slices.IndexFunc(state.Groups, func(g Group) bool { return aws.ToString(g.TargetGroupArn) == arn })
		b.groups[arn].update(settings, state.Groups[i].Targets, func(t Target) bool {
			return used[arn] && (len(state.Zones) == 0 || t.Zone == "" || t.Zone == "all" || slices.Contains(state.Zones, t.Zone))
		})
	}
	for arn, g := range b.groups {
		if _, still := groups[arn]; !still {
			g.update(*g.settings.Load(), nil, nil)
			if g.drained() {
				delete(b.groups, arn)
			}
		}
	}
	reachable := maps.Clone(b.groups)
	b.reachable.Store(&reachable)
}

// updateListeners opens, changes and closes listeners.
func (b *Balancer) updateListeners(sites map[int32]*site) error {
	for port, l := range b.listeners {
		if sites[port] == nil {
			delete(b.listeners, port)
			l.close()
		}
	}
	var problems []error
	for port, site := range sites {
		l := b.listeners[port]
		if l == nil {
			var err error
			if l, err = b.listen(port, site); err != nil {
				problems = append(problems, err)
				continue
			}
			b.listeners[port] = l
		}
		l.serve(site)
	}
	return errors.Join(problems...)
}

// Addresses are where listeners are served, by their ports.
func (b *Balancer) Addresses() map[int32]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	addresses := map[int32]string{}
	for port, l := range b.listeners {
		addresses[port] = l.real.Addr().String()
	}
	return addresses
}

// Health is the health of every target, ordered by target group and target.
func (b *Balancer) Health() []GroupHealth {
	b.mu.Lock()
	defer b.mu.Unlock()
	var health []GroupHealth
	for _, arn := range slices.Sorted(maps.Keys(b.groups)) {
		health = append(health, GroupHealth{ARN: arn, Targets: b.groups[arn].health()})
	}
	return health
}

// Close stops listening, gives requests in flight two seconds, and returns when nothing of the load balancer runs.
func (b *Balancer) Close() error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	for _, l := range b.listeners {
		l.close()
	}
	b.listeners = map[int32]*listener{}
	groups := slices.Collect(maps.Values(b.groups))
	b.mu.Unlock()

	b.settle(closing)
	b.cancel()
	for _, g := range groups {
		g.cut()
	}
	b.work.Wait()
	b.settle(closing)
	if b.logger != nil {
		b.logger.flush()
	}
	return nil
}

// settle waits until no request is in flight, or for so long.
func (b *Balancer) settle(most time.Duration) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(most); b.metrics.inFlight.Load() > 0 && time.Now().Before(end); {
		<-tick.C
	}
}

// resourceID is the part of a load balancer's ARN that logs call elb: app/NAME/ID.
func resourceID(arn string) string {
	_, id, _ := strings.Cut(arn, ":loadbalancer/")
	return id
}
