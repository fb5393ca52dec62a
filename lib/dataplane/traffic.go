package dataplane

import (
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	waftypes "github.com/aws/aws-sdk-go-v2/service/wafv2/types"

	"tapstack/lib/dataplane/balancer"
)

// traffic is what a load balancer had counted when it was told last.
type traffic struct {
	of     *balancer.Balancer
	counts balancer.Counts
}

// trafficFigures are what the load balancer and its firewall would tell (Application Load Balancers user guide, "CloudWatch metrics for
// your Application Load Balancer"): counts where they are not nil, the health of targets where there are any. It has one node here, which is in
// no zone: only the health of targets is told by zone.
func (p *Plane) trafficFigures(f figures) {
	before := p.meters.traffic
	if p.lb.serving == nil {
		p.meters.traffic = traffic{}
		return
	}
	if before.of != p.lb.serving {
		before = traffic{}
	}
	now := p.lb.serving.Counts()
	p.meters.traffic = traffic{p.lb.serving, now}
	_, name, _ := strings.Cut(p.lb.arn, ":loadbalancer/")
	f.ofBalancer(name, before.counts, now)
	f.ofTargets(name, p.lb.serving.Health())
	if p.lb.state.WebACL != nil {
		f.ofFirewall(*p.lb.state.WebACL, p.cfg.Region, before.counts.Rules, now.Rules)
	}
}

const albNamespace = "AWS/ApplicationELB"

// counted adds a count that is not nil.
func (f figures) counted(namespace, name string, n int64, of []cwtypes.Dimension) {
	if n > 0 {
		f.add(namespace, name, float64(n), cwtypes.StandardUnitCount, of)
	}
}

func (f figures) ofBalancer(name string, before, now balancer.Counts) {
	whole := dimensions("LoadBalancer", name)
	for _, each := range []struct {
		name string
		n    int64
	}{
		{"RequestCount", now.Requests - before.Requests},
		{"ActiveConnectionCount", now.ActiveConnections},
		{"NewConnectionCount", now.NewConnections - before.NewConnections},
		{"HTTP_Redirect_Count", now.Redirects - before.Redirects},
		{"HTTP_Fixed_Response_Count", now.FixedResponses - before.FixedResponses},
		{"HTTPCode_ELB_4XX_Count", now.ELB4xx - before.ELB4xx},
		{"HTTPCode_ELB_5XX_Count", now.ELB5xx - before.ELB5xx},
		{"HTTPCode_ELB_502_Count", now.ELB502 - before.ELB502},
		{"HTTPCode_ELB_503_Count", now.ELB503 - before.ELB503},
		{"HTTPCode_ELB_504_Count", now.ELB504 - before.ELB504},
	} {
		f.counted(albNamespace, each.name, each.n, whole)
	}
	if bytes := now.Bytes - before.Bytes; bytes > 0 {
		f.add(albNamespace, "ProcessedBytes", float64(bytes), cwtypes.StandardUnitBytes, whole)
	}
	for _, arn := range slices.Sorted(maps.Keys(now.Groups)) {
		is, was := now.Groups[arn], before.Groups[arn]
		group := dimensions("LoadBalancer", name, "TargetGroup", groupName(arn))
		f.counted(albNamespace, "RequestCount", is.Requests-was.Requests, group)
		for _, of := range [][]cwtypes.Dimension{whole, group} { // those of one time are added up
			f.counted(albNamespace, "TargetConnectionErrorCount", is.ConnectionErrors-was.ConnectionErrors, of)
			for first, status := range map[int]string{2: "2XX", 3: "3XX", 4: "4XX", 5: "5XX"} {
				f.counted(albNamespace, "HTTPCode_Target_"+status+"_Count", is.Targets[first]-was.Targets[first], of)
			}
			var times, counts []float64
			for bucket, count := range is.ResponseTimes.Buckets {
				if n := count - was.ResponseTimes.Buckets[bucket]; n > 0 {
					times, counts = append(times, balancer.Bound(bucket).Seconds()), append(counts, float64(n))
				}
			}
			f.addMany(albNamespace, "TargetResponseTime", times, counts, cwtypes.StandardUnitSeconds, of)
		}
	}
}

// groupName is what dimensions call a target group: targetgroup/NAME/ID.
func groupName(arn string) string { return arn[strings.LastIndexByte(arn, ':')+1:] }

func (f figures) ofTargets(name string, health []balancer.GroupHealth) {
	for _, g := range health {
		healthy, unhealthy := map[string]float64{"": 0}, map[string]float64{}
		for _, t := range g.Targets {
			zone := aws.ToString(t.Target.AvailabilityZone)
			for _, of := range slices.Compact([]string{"", zone}) {
				healthy[of] += float64(btoi(t.TargetHealth.State == elbtypes.TargetHealthStateEnumHealthy))
				unhealthy[of] += float64(btoi(t.TargetHealth.State == elbtypes.TargetHealthStateEnumUnhealthy))
			}
		}
		if len(g.Targets) == 0 {
			continue
		}
		for _, zone := range slices.Sorted(maps.Keys(healthy)) {
			of := []string{"LoadBalancer", name, "TargetGroup", groupName(g.ARN)}
			if zone != "" {
				of = append(of, "AvailabilityZone", zone)
			}
			f.add(albNamespace, "HealthyHostCount", healthy[zone], cwtypes.StandardUnitCount, dimensions(of...))
			f.add(albNamespace, "UnHealthyHostCount", unhealthy[zone], cwtypes.StandardUnitCount, dimensions(of...))
		}
	}
}

// ofFirewall adds what the rules that are evaluated here have decided (WAF developer guide, "AWS WAF metrics and dimensions").
func (f figures) ofFirewall(acl waftypes.WebACL, region string, before, now map[string]balancer.RuleCounts) {
	if acl.VisibilityConfig == nil || !acl.VisibilityConfig.CloudWatchMetricsEnabled {
		return
	}
	names := map[string]string{}
	for _, rule := range acl.Rules {
		if v := rule.VisibilityConfig; v != nil && v.CloudWatchMetricsEnabled {
			names[aws.ToString(rule.Name)] = aws.ToString(v.MetricName)
		}
	}
	names["Default_Action"] = "Default_Action"
	var all balancer.RuleCounts
	tell := func(rule string, n balancer.RuleCounts) {
		of := dimensions("WebACL", aws.ToString(acl.VisibilityConfig.MetricName), "Region", region, "Rule", rule)
		f.counted("AWS/WAFV2", "AllowedRequests", n.Allowed, of)
		f.counted("AWS/WAFV2", "BlockedRequests", n.Blocked, of)
		f.counted("AWS/WAFV2", "CountedRequests", n.Counted, of)
	}
	for _, rule := range slices.Sorted(maps.Keys(now)) {
		is, was := now[rule], before[rule]
		if is.Allowed < was.Allowed || is.Blocked < was.Blocked || is.Counted < was.Counted {
			was = balancer.RuleCounts{} // the rules are new
		}
		n := balancer.RuleCounts{Allowed: is.Allowed - was.Allowed, Blocked: is.Blocked - was.Blocked, Counted: is.Counted - was.Counted}
		all = balancer.RuleCounts{Allowed: all.Allowed + n.Allowed, Blocked: all.Blocked + n.Blocked, Counted: all.Counted + n.Counted}
		if names[rule] != "" {
			tell(names[rule], n)
		}
	}
	tell("ALL", all)
}
