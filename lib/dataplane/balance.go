package dataplane

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"tapstack/lib/cloud"
	"tapstack/lib/dataplane/balancer"
	"tapstack/lib/reachability"
)

// loadBalancer is the load balancer that the plane serves. Its fields are the loop's alone, save those that p.mu guards.
type loadBalancer struct {
	serving      *balancer.Balancer
	state        balancer.State
	certificates map[string]tls.Certificate
	// standIns are those of them that the plane has signed itself (DER).
	standIns [][]byte
	told     map[string]string // health as reported, by target group

	arn, name, dnsName, vpc string           // p.mu
	addresses               map[int32]string // p.mu
	interfaces              []reachability.Interface
}

// The load balancer's address in the plane's range.
const balancerThird, balancerFourth = 255, 1

// readBalancer reads the load balancer with all that belongs to it, and serves it. There may be none.
func (p *Plane) readBalancer(ctx context.Context, r *cloud.Reader) error {
	if p.options.LoadBalancer == "" {
		return nil
	}
	all, err := r.LoadBalancers(ctx)
	if err != nil && !cloud.IsNotFound(err) {
		return err
	}
	i := slices.IndexFunc(all, func(b elbtypes.LoadBalancer) bool {
		return aws.ToString(b.LoadBalancerName) == p.options.LoadBalancer || aws.ToString(b.LoadBalancerArn) == p.options.LoadBalancer
	})
	if i < 0 {
		return p.closeBalancer()
	}
	found := all[i]
	state, err := p.balancerState(ctx, r, found)
	if cloud.HasCode(err, "LoadBalancerNotFound") { // it has gone meanwhile, which the next look will find
		p.watcher.failed(balancerAspect)
		return nil
	}
	if err != nil {
		return err
	}
	if p.lb.serving == nil {
		p.lb.serving = balancer.New(balancer.Options{
			Address: p.addresses.own(balancerThird, balancerFourth), Dial: p.dialTarget, Log: p.access.add, Speed: p.options.Speed,
		})
	}
	interfaces, err := p.balancerInterfaces(ctx, found)
	if err != nil {
		return err
	}
	p.lb.state = state
	err = p.lb.serving.Update(ctx, state)
	addresses := p.lb.serving.Addresses()
	p.change(func() {
		p.lb.arn, p.lb.name, p.lb.dnsName = state.ARN, aws.ToString(found.LoadBalancerName), aws.ToString(found.DNSName)
		p.lb.vpc, p.lb.addresses, p.lb.interfaces = aws.ToString(found.VpcId), addresses, interfaces
	})
	return err
}

// balancerInterfaces stand for a load balancer's nodes where the API tells no interfaces: in its subnets, with its security groups.
func (p *Plane) balancerInterfaces(ctx context.Context, b elbtypes.LoadBalancer) ([]reachability.Interface, error) {
	var subnets []string
	for _, z := range b.AvailabilityZones {
		subnets = append(subnets, aws.ToString(z.SubnetId))
	}
	return p.standInInterfaces(ctx, b.SecurityGroups, subnets)
}

// endBalancer ends what serves a load balancer that is still there, and delivers what is left of its access log.
func (p *Plane) endBalancer(ctx context.Context) {
	if p.lb.serving == nil {
		return
	}
	p.problem("the load balancer", p.lb.serving.Close())
	p.problem("the access log", p.deliver(ctx, 0))
}

// closeBalancer ends what served a load balancer that is no more.
func (p *Plane) closeBalancer() error {
	if p.lb.serving == nil {
		return nil
	}
	err := p.lb.serving.Close()
	p.change(func() { p.lb = loadBalancer{} })
	return err
}

func (p *Plane) balancerState(ctx context.Context, r *cloud.Reader, of elbtypes.LoadBalancer) (balancer.State, error) {
	arn := aws.ToString(of.LoadBalancerArn)
	state := balancer.State{ARN: arn}
	for _, z := range of.AvailabilityZones {
		state.Zones = append(state.Zones, aws.ToString(z.ZoneName))
	}
	var err error
	if state.Attributes, err = r.LoadBalancerAttributes(ctx, arn); err != nil {
		return state, err
	}
	listeners, err := r.Listeners(ctx, arn)
	if err != nil {
		return state, err
	}
	for _, l := range listeners {
		one := balancer.Listener{Listener: l}
		if one.Rules, err = r.ListenerRules(ctx, aws.ToString(l.ListenerArn)); err != nil {
			return state, err
		}
		if l.Protocol == elbtypes.ProtocolEnumHttps {
			if one.Certificates, err = p.listenerCertificates(ctx, l); err != nil {
				return state, err
			}
		}
		state.Listeners = append(state.Listeners, one)
	}
	groups, err := r.TargetGroups(ctx)
	if err != nil {
		return state, err
	}
	served := p.servedGroups()
	for _, g := range groups {
		group := aws.ToString(g.TargetGroupArn)
		if !slices.Contains(g.LoadBalancerArns, arn) && !served[group] {
			continue
		}
		one := balancer.Group{TargetGroup: g}
		if one.Attributes, err = r.TargetGroupAttributes(ctx, group); err != nil {
			return state, err
		}
		targets, err := r.TargetHealth(ctx, group)
		if err != nil {
			return state, err
		}
		for _, t := range targets {
			if t.Target != nil && !draining(t) {
				one.Targets = append(one.Targets, balancer.Target{
					ID: aws.ToString(t.Target.Id), Port: aws.ToInt32(t.Target.Port), Zone: cmpZone(aws.ToString(t.Target.AvailabilityZone), p.zoneOf(aws.ToString(t.Target.Id))),
				})
			}
		}
		state.Groups = append(state.Groups, one)
	}
	state.WebACL, err = r.WebACLFor(ctx, arn)
	if cloud.IsNotFound(err) || cloud.IsUnimplemented(err) {
		err = nil
	}
	return state, err
}

// cmpZone is the zone that a target was registered with, or else the one of its address.
func cmpZone(told, known string) string {
	if told == "" || told == "all" {
		return known
	}
	return told
}

// draining targets are those that were deregistered.
func draining(t elbtypes.TargetHealthDescription) bool {
	return t.TargetHealth != nil && t.TargetHealth.State == elbtypes.TargetHealthStateEnumDraining
}

// servedGroups are the target groups of services.
func (p *Plane) servedGroups() map[string]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	served := map[string]bool{}
	for _, s := range p.services {
		for _, b := range s.api.LoadBalancers {
			served[aws.ToString(b.TargetGroupArn)] = true
		}
	}
	return served
}

// expectGroups has the load balancer read again if a service has a target group that it does not know.
func (p *Plane) expectGroups(services []ecstypes.Service) {
	for _, s := range services {
		for _, b := range s.LoadBalancers {
			if b.TargetGroupArn != nil && !slices.ContainsFunc(p.lb.state.Groups, func(g balancer.Group) bool {
				return aws.ToString(g.TargetGroupArn) == *b.TargetGroupArn
			}) {
				p.watcher.failed(balancerAspect)
			}
		}
	}
}

// listenerCertificates are those of an HTTPS listener, the default one first.
func (p *Plane) listenerCertificates(ctx context.Context, l elbtypes.Listener) ([]balancer.Certificate, error) {
	var arns []string
	for _, c := range l.Certificates {
		arns = append(arns, aws.ToString(c.CertificateArn))
	}
	out, err := p.clients.ELB.DescribeListenerCertificates(ctx, &elb.DescribeListenerCertificatesInput{ListenerArn: l.ListenerArn})
	if err != nil && !cloud.IsUnimplemented(err) {
		return nil, err
	}
	if err == nil {
		for _, c := range out.Certificates {
			if arn := aws.ToString(c.CertificateArn); !slices.Contains(arns, arn) {
				arns = append(arns, arn)
			}
		}
	}
	var all []balancer.Certificate
	for _, arn := range arns {
		certificate, err := p.certificate(ctx, arn)
		if err != nil {
			return nil, err
		}
		all = append(all, balancer.Certificate{ARN: arn, Certificate: certificate})
	}
	return all, nil
}

// certificate is one of ACM with its private key, which the emulator's door tells. Where there is no door, a certificate that the
// plane signs itself stands for it. The key stays in memory.
func (p *Plane) certificate(ctx context.Context, arn string) (tls.Certificate, error) {
	if known, is := p.lb.certificates[arn]; is {
		return known, nil
	}
	made, err := p.fetchCertificate(ctx, arn)
	if err != nil {
		return made, fmt.Errorf("certificate %s: %w", arn, err)
	}
	if p.lb.certificates == nil {
		p.lb.certificates = map[string]tls.Certificate{}
	}
	p.lb.certificates[arn] = made
	return made, nil
}

func (p *Plane) fetchCertificate(ctx context.Context, arn string) (tls.Certificate, error) {
	if p.door == nil {
		return p.standIn(ctx, arn)
	}
	var told struct{ Certificate, PrivateKey string }
	if err := p.door.secret(ctx, "certificate", arn, &told); err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair([]byte(told.Certificate), []byte(told.PrivateKey))
	if err != nil {
		return tls.Certificate{}, errors.New("it does not fit its private key, or is not PEM")
	}
	return pair, nil
}

// standIn is a certificate of the same names as one whose key nobody tells.
func (p *Plane) standIn(ctx context.Context, arn string) (tls.Certificate, error) {
	detail, err := cloud.NewReader(p.cfg).Certificate(ctx, arn)
	if err != nil {
		return tls.Certificate{}, err
	}
	p.options.Notify("The data plane: nobody tells the private key of " + arn + ": a certificate signed by itself stands for it")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: aws.ToString(detail.DomainName)},
		DNSNames:  slices.Compact(slices.Sorted(slices.Values(append(detail.SubjectAlternativeNames, aws.ToString(detail.DomainName))))),
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err == nil {
		p.change(func() { p.lb.standIns = append(slices.Clip(p.lb.standIns), signed) })
	}
	return tls.Certificate{Certificate: [][]byte{signed}, PrivateKey: key}, err
}

// dialTarget connects the load balancer to a task, if the security groups and routes let it.
func (p *Plane) dialTarget(ctx context.Context, target balancer.Target) (net.Conn, error) {
	address, err := netip.ParseAddr(target.ID)
	if err != nil {
		return nil, fmt.Errorf("the target %s is no address", target.ID)
	}
	p.mu.Lock()
	host, blocked := "", error(nil)
	for _, t := range p.tasks {
		if t.private == address && t.status != statusStopped {
			host = t.host
			from := p.reach.of("ELB " + strings.TrimPrefix(p.lb.arn[strings.LastIndexByte(p.lb.arn, ':')+1:], "loadbalancer/"))
			if len(from) == 0 {
				from = p.lb.interfaces
			}
			blocked = p.reach.mayConnect(from, t.at(), target.Port)
			break
		}
	}
	p.mu.Unlock()
	if host == "" {
		return nil, blockedError{fmt.Errorf("no task has the address %s", target.ID)}
	}
	if !errors.Is(blocked, errUnread) {
		p.problem(blockedPrefix+"the load balancer to the tasks", blocked)
	}
	if blocked != nil {
		return nil, blockedError{blocked}
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(int(target.Port))))
}

// zoneOf is the zone of the task that has an address.
func (p *Plane) zoneOf(address string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.tasks {
		if t.private.String() == address {
			return t.zone
		}
	}
	return ""
}

// retarget has the load balancer take what the plane has just registered, or no longer send to what it has deregistered.
func (p *Plane) retarget(ctx context.Context, group string, changed []elbtypes.TargetDescription, registered bool) error {
	if p.lb.serving == nil {
		return nil
	}
	for i := range p.lb.state.Groups {
		g := &p.lb.state.Groups[i]
		if aws.ToString(g.TargetGroupArn) != group {
			continue
		}
		g.Targets = slices.DeleteFunc(slices.Clone(g.Targets), func(t balancer.Target) bool {
			return slices.ContainsFunc(changed, func(c elbtypes.TargetDescription) bool {
				return aws.ToString(c.Id) == t.ID && aws.ToInt32(c.Port) == t.Port
			})
		})
		for _, c := range changed {
			if registered {
				g.Targets = append(g.Targets, balancer.Target{ID: aws.ToString(c.Id), Port: aws.ToInt32(c.Port), Zone: p.zoneOf(aws.ToString(c.Id))})
			}
		}
	}
	return p.lb.serving.Update(ctx, p.lb.state)
}

// observe takes the health of targets to their tasks, and says whether any has changed.
func (p *Plane) observe() bool {
	if p.lb.serving == nil {
		return false
	}
	type state struct{ state, reason string }
	states := map[target]map[string]state{}
	known := map[string]bool{}
	for _, g := range p.lb.serving.Health() {
		known[g.ARN] = true
		for _, d := range g.Targets {
			key := target{g.ARN, aws.ToInt32(d.Target.Port)}
			if states[key] == nil {
				states[key] = map[string]state{}
			}
			states[key][aws.ToString(d.Target.Id)] = state{string(d.TargetHealth.State), aws.ToString(d.TargetHealth.Description)}
		}
	}
	changed := false
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.tasks {
		if len(t.targets) == 0 || t.status == statusStopped {
			continue
		}
		worst := state{}
		for _, target := range t.targets {
			s, there := states[target][t.private.String()]
			switch {
			case there || !t.drainBegan.IsZero():
			case known[target.group]:
				s.state = string(elbtypes.TargetHealthStateEnumInitial)
			default:
				s.state = string(elbtypes.TargetHealthStateEnumUnused)
			}
			if slices.Index(worse, s.state) > slices.Index(worse, worst.state) {
				worst = s
			}
		}
		if t.targetHealth != worst.state {
			t.targetHealth, t.targetReason, changed = worst.state, worst.reason, true
		}
	}
	if changed {
		p.announce()
	}
	return changed
}

// worse are the states of targets, the best first.
var worse = []string{
	"", string(elbtypes.TargetHealthStateEnumUnused), string(elbtypes.TargetHealthStateEnumHealthy), string(elbtypes.TargetHealthStateEnumInitial),
	string(elbtypes.TargetHealthStateEnumUnavailable), string(elbtypes.TargetHealthStateEnumUnhealthy), string(elbtypes.TargetHealthStateEnumDraining),
}

// healthReports are the target groups whose health is not as it was told last.
func (p *Plane) healthReports() (news []groupReport, told map[string]string) {
	if p.lb.serving == nil {
		return nil, nil
	}
	told = map[string]string{}
	for _, g := range p.lb.serving.Health() {
		one := groupReport{TargetGroup: g.ARN, Targets: []targetReport{}}
		for _, d := range g.Targets {
			one.Targets = append(one.Targets, targetReport{
				ID: aws.ToString(d.Target.Id), Port: aws.ToInt32(d.Target.Port), Zone: aws.ToString(d.Target.AvailabilityZone),
				State: string(d.TargetHealth.State), Reason: string(d.TargetHealth.Reason), Description: aws.ToString(d.TargetHealth.Description),
			})
		}
		encoded, _ := json.Marshal(one)
		if p.lb.told[g.ARN] != string(encoded) {
			told[g.ARN] = string(encoded)
			news = append(news, one)
		}
	}
	return news, told
}

// tellHealth notes what was told.
func (p *Plane) tellHealth(told map[string]string) {
	if p.lb.told == nil {
		p.lb.told = map[string]string{}
	}
	maps.Copy(p.lb.told, told)
}
