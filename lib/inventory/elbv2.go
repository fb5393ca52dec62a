package inventory

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"tapstack/lib"
	"tapstack/lib/cloud"
)

func elbKinds() []*Kind { return []*Kind{LoadBalancer, TargetGroup, Listener, ListenerRule} }

// The service authorization reference mixes the types of both generations of load balancers, so that all kinds have one
// statement, which names no types.
const elbSid = "Balancer"

var LoadBalancer = &Kind{
	Name: "load balancer", Service: "elasticloadbalancing", Types: []string{"aws:lb/loadBalancer:LoadBalancer"}, NameInput: "name",
	Removal: Removal{Limit: networkLimit},
	Quota:   &Quota{What: "load balancers", Service: "elasticloadbalancing", Code: "L-53DA6B97"},
	IAM:     []IAMResource{{Sid: elbSid, ARN: "loadbalancer/app/{name}/*"}},
	Lost:    "the address that merchants use",
	list: each((*cloud.Reader).LoadBalancers, func(_ context.Context, _ *search, b elbtypes.LoadBalancer) Resource {
		return Resource{Name: aws.ToString(b.LoadBalancerName), ARN: aws.ToString(b.LoadBalancerArn), VPC: aws.ToString(b.VpcId)}
	}),
	tags: askELB,
}

var TargetGroup = &Kind{
	Name: "target group", Service: "elasticloadbalancing", Types: []string{"aws:lb/targetGroup:TargetGroup"}, NameInput: "name", Free: partOf,
	Quota: &Quota{What: "target groups", Service: "elasticloadbalancing", Code: "L-B22855CB"},
	IAM:   []IAMResource{{Sid: elbSid, ARN: "targetgroup/{name}/*"}},
	list: each((*cloud.Reader).TargetGroups, func(_ context.Context, _ *search, g elbtypes.TargetGroup) Resource {
		return Resource{Name: aws.ToString(g.TargetGroupName), ARN: aws.ToString(g.TargetGroupArn), VPC: aws.ToString(g.VpcId)}
	}),
	tags: askELB,
}

// Listener is looked for at load balancers whose names may be the stack's.
var Listener = &Kind{
	Name: "listener", Service: "elasticloadbalancing", Types: []string{"aws:lb/listener:Listener"}, Free: partOf,
	Removal: Removal{Proof: ByOwner, HoldsOwner: true},
	IAM:     []IAMResource{{Sid: elbSid, ARN: "listener/app/{name}/*", NamesOf: LoadBalancer}},
	list: func(ctx context.Context, s *search) ([]Resource, error) {
		all, ofStack, err := s.listeners(ctx)
		return listed(all, err, func(l elbtypes.Listener) Resource {
			return s.namedByTag(ctx, *l.ListenerArn, aws.ToString(l.LoadBalancerArn), ofStack[*l.ListenerArn])
		})
	},
}

var ListenerRule = &Kind{
	Name: "listener rule", Service: "elasticloadbalancing", Types: []string{"aws:lb/listenerRule:ListenerRule"}, Free: partOf,
	Removal: Removal{Proof: ByOwner, HoldsOwner: true},
	IAM:     []IAMResource{{Sid: elbSid, ARN: "listener-rule/app/{name}/*", NamesOf: LoadBalancer}},
	list: func(ctx context.Context, s *search) ([]Resource, error) {
		listeners, ofStack, err := s.listeners(ctx)
		if err != nil {
			return nil, err
		}
		var all []Resource
		for _, l := range listeners {
			rules, err := s.ListenerRules(ctx, aws.ToString(l.ListenerArn))
			if err != nil {
				return nil, err
			}
			for _, r := range rules {
				if !aws.ToBool(r.IsDefault) {
					all = append(all, s.namedByTag(ctx, aws.ToString(r.RuleArn), *l.ListenerArn, ofStack[*l.ListenerArn]))
				}
			}
		}
		return all, nil
	},
}

// listeners are those of the load balancers whose names may be the stack's; they go when those go. The ones of a load
// balancer that is the stack's beyond doubt are its own whatever their names.
func (s *search) listeners(ctx context.Context) (all []elbtypes.Listener, ofStack map[string]bool, err error) {
	balancers, err := s.LoadBalancers(ctx)
	if err != nil {
		return nil, nil, err
	}
	ofStack = map[string]bool{}
	for _, b := range balancers {
		arn, name := aws.ToString(b.LoadBalancerArn), aws.ToString(b.LoadBalancerName)
		own := arn == s.output(lib.OutputAlbArn) || s.owns(LoadBalancer, name)
		if !own && !s.mayOwn(LoadBalancer, name) {
			continue
		}
		some, err := s.Listeners(ctx, arn)
		if err != nil {
			return nil, nil, err
		}
		for _, l := range some {
			if l.ListenerArn == nil {
				return nil, nil, fmt.Errorf("a listener of %s has no ARN", arn)
			}
			ofStack[*l.ListenerArn] = own
		}
		all = append(all, some...)
	}
	return all, ofStack, nil
}

// namedByTag is a resource that has only its Name tag for a name.
func (s *search) namedByTag(ctx context.Context, arn, owner string, ofStack bool) Resource {
	r := Resource{ARN: arn, ofStack: ofStack, PartOf: []string{owner}}
	r.Tags, r.TagsErr = askELB(ctx, s, r)
	r.Name = r.Tags[tagName]
	return r
}

func askELB(ctx context.Context, s *search, r Resource) (map[string]string, error) {
	out, err := s.ELB.DescribeTags(ctx, &elb.DescribeTagsInput{ResourceArns: []string{r.ARN}})
	if err != nil {
		return nil, err
	}
	for _, d := range out.TagDescriptions {
		if aws.ToString(d.ResourceArn) == r.ARN {
			return cloud.TagMap(d.Tags, func(t elbtypes.Tag) (*string, *string) { return t.Key, t.Value }), nil
		}
	}
	return nil, fmt.Errorf("DescribeTags says nothing of %s", r.ARN)
}
