package verify

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"tapstack/lib"
	"tapstack/lib/inventory"
)

const (
	// tlsPolicy is AWS's recommended one: TLS 1.2 and 1.3 only, with post-quantum key agreement.
	tlsPolicy    = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"
	healthPath   = "/health"
	drainSeconds = 30 // by the brief's "connection draining", where requests do not take longer
)

func loadBalancingChecks() []Check {
	return []Check{
		{
			ID:   "alb.public",
			Says: "Configure an Application Load Balancer in public subnets",
			Run:  recorded(albPublic),
		},
		{
			ID:   "alb.attributes",
			Says: "The load balancer drops invalid headers, guards against request smuggling and speaks HTTP/2 (beyond the brief)",
			PCI:  []string{"6.4.2"},
			Run:  recorded(albAttributes),
		},
		{
			ID:   "alb.access-logs",
			Says: "The load balancer keeps access logs in the stack's own bucket (beyond the brief)",
			PCI:  []string{"10.2.1"},
			Run:  recorded(accessLogs),
		},
		{
			ID:   "alb.target-groups",
			Says: "Set up target groups for both ECS services",
			Run:  recorded(targetGroups),
		},
		{
			ID:   "alb.tls-to-targets",
			Says: "All data encryption at rest and in transit: the load balancer speaks HTTPS to the tasks",
			PCI:  []string{"4.2.1"},
			Run:  recorded(tlsToTargets),
		},
		{
			ID:   "alb.health-checks",
			Says: "Enable connection draining and health checks: each target group asks /health and takes 200 for fine",
			Run: recorded(eachTargetGroup(func(x subject, g elbtypes.TargetGroup, _ map[string]string) {
				x.equal("health checks", true, g.HealthCheckEnabled)
				x.equal("path", healthPath, g.HealthCheckPath)
				x.equal("protocol of the check", string(g.Protocol), g.HealthCheckProtocol)
				var code *string
				if g.Matcher != nil {
					code = g.Matcher.HttpCode
				}
				x.equal("answer that counts as fine", "200", code)
			})),
		},
		{
			ID:   "alb.draining",
			Says: "Enable connection draining and health checks: a target that leaves has 30 s, and as long as a request may take, to finish",
			Run:  recorded(draining),
		},
		{
			ID:   "alb.api-routing",
			Says: "Route '/api/*' paths to the payment-api service (rules evaluated in priority order over sample paths)",
			Run: recorded(routing(map[string][]string{
				"/api/":                 {partPaymentAPI},
				"/api/v1/payments":      {partPaymentAPI},
				"/api/v1/payments/4711": {partPaymentAPI},
			})),
		},
		{
			ID:   "alb.health-routing",
			Says: "Route '/health' endpoint to both services for health checks",
			Run:  recorded(healthRouting),
		},
		{
			ID:   "alb.default-404",
			Says: "Use Application Load Balancer with path-based routing rules: what no rule names is answered 404, and no rule names anything else",
			Run:  recorded(onlyNamedPaths),
		},
		{
			ID:   "alb.https",
			Says: "All data encryption at rest and in transit: the load balancer serves HTTPS with TLS 1.2 and 1.3 only",
			PCI:  []string{"4.2.1"},
			Run:  recorded(httpsListener),
		},
		{
			ID:   "alb.certificate",
			Says: "All data encryption at rest and in transit: the certificate is issued and valid, its key strong",
			PCI:  []string{"4.2.1"},
			Run:  recorded(certificateValid),
		},
		{
			ID:   "alb.redirect",
			Says: "All data encryption at rest and in transit: HTTP is answered with a permanent redirect to HTTPS, and nothing else listens",
			PCI:  []string{"4.2.1"},
			Run:  recorded(httpRedirect),
		},
		{
			ID:    "alb.healthy-targets",
			Says:  "Functionality: all AWS services deployed and integrated correctly: the load balancer finds healthy tasks of both services",
			Needs: []Capability{capTasks},
			Run:   recorded(eachKind(healthyTargets)),
		},
		{
			ID:   "alb.outputs",
			Says: "Stack outputs including ALB DNS name, RDS cluster endpoint, and SQS queue URLs: the name and zone put out are the load balancer's",
			Run:  recorded(albOutputs),
		},
	}
}

func (e *Env) alb(ctx context.Context) (elbtypes.LoadBalancer, error) {
	return byOutput(ctx, e, "load balancer", lib.OutputAlbArn, e.cloud.LoadBalancers, func(b elbtypes.LoadBalancer) *string { return b.LoadBalancerArn })
}

// listener is the load balancer's listener on a port.
func (e *Env) listener(ctx context.Context, port int32) (elbtypes.Listener, error) {
	id, err := e.output(lib.OutputAlbArn)
	if err != nil {
		return elbtypes.Listener{}, err
	}
	all, err := e.cloud.Listeners(ctx, id)
	if err != nil {
		return elbtypes.Listener{}, err
	}
	return findOne(fmt.Sprintf("listener on port %d", port), all, func(l elbtypes.Listener) bool { return aws.ToInt32(l.Port) == port })
}

// targetGroup is the one that a service registers with.
func (e *Env) targetGroup(ctx context.Context, kind serviceKind) (elbtypes.TargetGroup, error) {
	svc, err := e.service(ctx, kind)
	if err != nil {
		return elbtypes.TargetGroup{}, err
	}
	if len(svc.LoadBalancers) != 1 {
		return elbtypes.TargetGroup{}, fmt.Errorf("service %s registers with %d target groups, not with one", kind.name, len(svc.LoadBalancers))
	}
	id := aws.ToString(svc.LoadBalancers[0].TargetGroupArn)
	all, err := e.cloud.TargetGroups(ctx)
	if err != nil {
		return elbtypes.TargetGroup{}, err
	}
	return findOne("target group "+id, all, func(g elbtypes.TargetGroup) bool { return aws.ToString(g.TargetGroupArn) == id })
}

func eachTargetGroup(look func(x subject, g elbtypes.TargetGroup, attributes map[string]string)) func(context.Context, *Env, *recorder) error {
	return eachKind(func(ctx context.Context, e *Env, rec *recorder, kind serviceKind) error {
		g, err := e.targetGroup(ctx, kind)
		if err != nil {
			return err
		}
		attributes, err := e.cloud.TargetGroupAttributes(ctx, aws.ToString(g.TargetGroupArn))
		if err != nil {
			return err
		}
		look(rec.on(aws.ToString(g.TargetGroupArn)), g, attributes)
		return nil
	})
}

// draining holds the load balancer to the time that the API is configured to give a request.
func draining(ctx context.Context, e *Env, rec *recorder) error {
	cfg, err1 := e.configuration()
	balancer, id, err2 := e.albAttributes(ctx)
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	timeout := serviceKinds()[0].longestWork(cfg)
	idle, err := strconv.ParseInt(balancer["idle_timeout.timeout_seconds"], 10, 64)
	rec.on(id).record("seconds until the load balancer gives an answer up", fmt.Sprintf("more than %d", timeout), idle, err == nil && idle > timeout)
	return eachTargetGroup(func(x subject, _ elbtypes.TargetGroup, attributes map[string]string) {
		delay, err := strconv.ParseInt(attributes["deregistration_delay.timeout_seconds"], 10, 64)
		least := max(drainSeconds, timeout)
		x.record("deregistration delay in seconds", fmt.Sprintf("at least %d", least), delay, err == nil && delay >= least)
	})(ctx, e, rec)
}

func albPublic(ctx context.Context, e *Env, rec *recorder) error {
	b, err1 := e.alb(ctx)
	public, err2 := e.outputList(lib.OutputPublicSubnetIDs)
	vpc, err3 := e.output(lib.OutputVpcID)
	if err := cmp.Or(err1, err2, err3); err != nil {
		return err
	}
	subnets := texts(b.AvailabilityZones, func(z elbtypes.AvailabilityZone) string { return aws.ToString(z.SubnetId) })
	x := rec.on(aws.ToString(b.LoadBalancerArn))
	x.equal("type", "application", b.Type)
	x.equal("scheme", "internet-facing", scheme(b))
	x.equal("VPC", vpc, b.VpcId)
	x.sameSet("subnets", public, subnets)
	if b.State != nil {
		x.equal("state", "active", b.State.Code)
	}
	return nil
}

// scheme is what the load balancer says; one that says nothing tells it by its DNS name, which starts with "internal-"
// when it is not public (AWS).
func scheme(b elbtypes.LoadBalancer) elbtypes.LoadBalancerSchemeEnum {
	switch name := aws.ToString(b.DNSName); {
	case b.Scheme != "":
		return b.Scheme
	case name == "" || strings.HasPrefix(name, "internal-"):
		return elbtypes.LoadBalancerSchemeEnumInternal
	}
	return elbtypes.LoadBalancerSchemeEnumInternetFacing
}

func (e *Env) albAttributes(ctx context.Context) (map[string]string, string, error) {
	id, err := e.output(lib.OutputAlbArn)
	if err != nil {
		return nil, "", err
	}
	attributes, err := e.cloud.LoadBalancerAttributes(ctx, id)
	return attributes, id, err
}

func albAttributes(ctx context.Context, e *Env, rec *recorder) error {
	attributes, id, err := e.albAttributes(ctx)
	if err != nil {
		return err
	}
	x := rec.on(id)
	x.equal("drop invalid header fields", "true", attributes["routing.http.drop_invalid_header_fields.enabled"])
	mode := attributes["routing.http.desync_mitigation_mode"]
	x.record("desync mitigation", "defensive or strictest", mode, mode == "defensive" || mode == "strictest")
	x.equal("HTTP/2", "true", attributes["routing.http2.enabled"])
	return nil
}

func accessLogs(ctx context.Context, e *Env, rec *recorder) error {
	attributes, id, err1 := e.albAttributes(ctx)
	buckets, err2 := e.cloud.Buckets(ctx)
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	name := attributes["access_logs.s3.bucket"]
	exists := slices.ContainsFunc(buckets, func(b s3types.Bucket) bool { return aws.ToString(b.Name) == name })
	x := rec.on(id)
	x.equal("access logs", "true", attributes["access_logs.s3.enabled"])
	x.record("bucket", "one of this account and stack", name, exists && inventory.Bucket.MayBelong(name, e.Suffix))
	return nil
}

func targetGroups(ctx context.Context, e *Env, rec *recorder) error {
	vpc, err1 := e.output(lib.OutputVpcID)
	lb, err2 := e.output(lib.OutputAlbArn)
	port, err3 := e.containerPort(ctx)
	if err := cmp.Or(err1, err2, err3); err != nil {
		return err
	}
	var seen []string
	err := eachTargetGroup(func(x subject, g elbtypes.TargetGroup, attributes map[string]string) {
		seen = append(seen, aws.ToString(g.TargetGroupArn))
		x.equal("target type", "ip", g.TargetType)
		x.equal("port", port, g.Port)
		x.equal("VPC", vpc, g.VpcId)
		x.sameSet("load balancers", []string{lb}, distinct(g.LoadBalancerArns))
		x.equal("clients stay with one target", "false", attributes["stickiness.enabled"])
	})(ctx, e, rec)
	rec.on(lb).equal("target groups", len(serviceKinds()), len(distinct(seen)))
	return err
}

func tlsToTargets(ctx context.Context, e *Env, rec *recorder) error {
	cfg, err := e.configuration()
	if err != nil {
		return err
	}
	if cfg.ContainerProtocol != "HTTPS" {
		rec.off("containerProtocol is configured to " + cfg.ContainerProtocol)
	}
	return eachTargetGroup(func(x subject, g elbtypes.TargetGroup, _ map[string]string) {
		x.equal("protocol", cfg.ContainerProtocol, g.Protocol)
	})(ctx, e, rec)
}

// routeTo evaluates the HTTPS listener's rules for a request and names those whom it goes to: the services, other target
// groups by ARN. A fixed answer goes to nobody.
func (e *Env) routeTo(ctx context.Context, v request) (receivers []string, to destination, listener string, err error) {
	l, err := e.listener(ctx, httpsPort)
	if err != nil {
		return nil, destination{}, "", err
	}
	listener = aws.ToString(l.ListenerArn)
	rules, err := e.cloud.ListenerRules(ctx, listener)
	if err != nil {
		return nil, destination{}, listener, err
	}
	// Some answers leave the default action out of the rules.
	rules = append(slices.Clone(rules), elbtypes.Rule{IsDefault: aws.Bool(true), Actions: l.DefaultActions})
	to = routeRequest(v, rules)
	names := map[string]string{}
	for _, kind := range serviceKinds() {
		g, err := e.targetGroup(ctx, kind)
		if err != nil {
			return nil, to, listener, err
		}
		names[aws.ToString(g.TargetGroupArn)] = kind.name
	}
	for id := range to.groups {
		if name, ok := names[id]; ok {
			id = name
		}
		receivers = append(receivers, id)
	}
	return receivers, to, listener, nil
}

func routing(table map[string][]string) func(context.Context, *Env, *recorder) error {
	return func(ctx context.Context, e *Env, rec *recorder) error {
		for _, path := range slices.Sorted(maps.Keys(table)) {
			for _, method := range []string{"GET", "POST"} { // payments are made with POST
				receivers, to, listener, err := e.routeTo(ctx, request{method, path})
				if err != nil {
					return err
				}
				x := rec.on(listener)
				what := method + " " + path + " goes to"
				if len(table[path]) == 0 || to.fixed != "" {
					x.equal(what, receiversOrAnswer(table[path]), to)
					continue
				}
				x.sameSet(what, table[path], receivers)
			}
		}
		return nil
	}
}

// onlyNamedPaths asks for paths beside those that the rules are for, and counts the rules, since nobody can ask for every
// path.
func onlyNamedPaths(ctx context.Context, e *Env, rec *recorder) error {
	l, err := e.listener(ctx, httpsPort)
	if err != nil {
		return err
	}
	rules, err := e.cloud.ListenerRules(ctx, aws.ToString(l.ListenerArn))
	if err != nil {
		return err
	}
	named := slices.DeleteFunc(slices.Clone(rules), func(r elbtypes.Rule) bool { return aws.ToBool(r.IsDefault) })
	rec.on(aws.ToString(l.ListenerArn)).equal("rules, which are for /api/* and "+healthPath, 2, len(named))
	unnamed := map[string][]string{}
	for _, path := range []string{"/", "/api", "/apifoo", "/health/x", "/healthz", "/admin", "/API/v1/payments"} {
		unnamed[path] = nil
	}
	return routing(unnamed)(ctx, e, rec)
}

func receiversOrAnswer(receivers []string) string {
	if len(receivers) == 0 {
		return "404"
	}
	return listText(receivers)
}

func healthRouting(ctx context.Context, e *Env, rec *recorder) error {
	receivers, to, listener, err := e.routeTo(ctx, request{"GET", healthPath})
	if err != nil {
		return err
	}
	x := rec.on(listener)
	x.sameSet(healthPath+" goes to", []string{partPaymentAPI, partJobProcessor}, receivers)
	weights := slices.Compact(slices.Sorted(maps.Values(to.groups)))
	x.record("share of each", "equal", to, len(weights) == 1)
	x.equal("clients stay with one of them", false, to.sticky)
	return nil
}

func httpsListener(ctx context.Context, e *Env, rec *recorder) error {
	l, err := e.listener(ctx, httpsPort)
	if err != nil {
		return err
	}
	x := rec.on(aws.ToString(l.ListenerArn))
	x.equal("protocol", "HTTPS", l.Protocol)
	x.equal("TLS policy", tlsPolicy, l.SslPolicy)
	x.equal("certificates", 1, len(l.Certificates))
	return nil
}

func certificateValid(ctx context.Context, e *Env, rec *recorder) error {
	l, err := e.listener(ctx, httpsPort)
	if err != nil {
		return err
	}
	for _, c := range l.Certificates {
		d, err := e.cloud.Certificate(ctx, aws.ToString(c.CertificateArn))
		if err != nil {
			return err
		}
		x := rec.on(aws.ToString(c.CertificateArn))
		x.equal("status", "ISSUED", d.Status)
		end := aws.ToTime(d.NotAfter)
		x.record("valid until", "in the future", end, end.After(time.Now()))
		algorithm := strings.ReplaceAll(string(d.KeyAlgorithm), "-", "_")
		x.record("key", "RSA 2048 or better, or elliptic", algorithm, algorithm != "" && algorithm != "RSA_1024")
	}
	return nil
}

func httpRedirect(ctx context.Context, e *Env, rec *recorder) error {
	id, err := e.output(lib.OutputAlbArn)
	if err != nil {
		return err
	}
	all, err := e.cloud.Listeners(ctx, id)
	if err != nil {
		return err
	}
	ports := texts(all, func(l elbtypes.Listener) string { return text(l.Port) })
	rec.on(id).sameSet("ports listened on", []string{"80", "443"}, ports)
	l, err := e.listener(ctx, httpPort)
	if err != nil {
		return err
	}
	rules, err := e.cloud.ListenerRules(ctx, aws.ToString(l.ListenerArn))
	if err != nil {
		return err
	}
	x := rec.on(aws.ToString(l.ListenerArn))
	others := slices.DeleteFunc(slices.Clone(rules), func(r elbtypes.Rule) bool { return aws.ToBool(r.IsDefault) })
	x.equal("rules besides the default one", 0, len(others))
	x.equal("default actions", 1, len(l.DefaultActions))
	for _, a := range l.DefaultActions {
		var r elbtypes.RedirectActionConfig
		if a.RedirectConfig != nil {
			r = *a.RedirectConfig
		}
		x.equal("action", "redirect", a.Type)
		x.equal("protocol", "HTTPS", r.Protocol)
		x.equal("port", httpsPort, r.Port)
		x.equal("status", "HTTP_301", r.StatusCode)
		for _, part := range []struct {
			name, same string
			got        *string
		}{{"host", "#{host}", r.Host}, {"path", "/#{path}", r.Path}, {"query", "#{query}", r.Query}} {
			got := aws.ToString(part.got)
			x.record(part.name, "the same", orNone(got), part.got == nil || got == part.same)
		}
	}
	return nil
}

func healthyTargets(ctx context.Context, e *Env, rec *recorder, kind serviceKind) error {
	g, err1 := e.targetGroup(ctx, kind)
	cfg, err2 := e.configuration()
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	health, err := e.cloud.TargetHealth(ctx, aws.ToString(g.TargetGroupArn))
	if err != nil {
		return err
	}
	healthy := healthyCount(health)
	least, _ := kind.tasks(cfg)
	kind.fewer(rec, least)
	rec.on(aws.ToString(g.TargetGroupArn)).record("healthy targets", fmt.Sprintf("at least %d", least), healthy, healthy >= least)
	return nil
}

func healthyCount(targets []elbtypes.TargetHealthDescription) (healthy int32) {
	for _, h := range targets {
		if h.TargetHealth != nil && h.TargetHealth.State == elbtypes.TargetHealthStateEnumHealthy {
			healthy++
		}
	}
	return healthy
}

func albOutputs(ctx context.Context, e *Env, rec *recorder) error {
	b, err1 := e.alb(ctx)
	name, err2 := e.output(lib.OutputAlbDNSName)
	zone, err3 := e.output(lib.OutputAlbZoneID)
	address, err4 := e.output(lib.OutputAPIURL)
	if err := cmp.Or(err1, err2, err3, err4); err != nil {
		return err
	}
	x := rec.on(aws.ToString(b.LoadBalancerArn))
	x.equal("DNS name", name, b.DNSName)
	x.equal("hosted zone", zone, b.CanonicalHostedZoneId)
	x.record("URL of the API", "https://…", address, strings.HasPrefix(address, "https://"))
	return nil
}
