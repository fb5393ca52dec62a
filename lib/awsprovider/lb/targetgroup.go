package lb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"tapstack/lib/awsprovider/resource"
)

// The official provider's time-outs.
const (
	targetGroupReady = 5 * time.Minute
	targetGroupInUse = 2 * time.Minute
)

// TargetGroupArgs are the inputs of aws:lb/targetGroup:TargetGroup.
type TargetGroupArgs struct {
	resource.Tagged
	Name                       string       `pulumi:"name" aws:"forcenew"`
	Port                       *int         `pulumi:"port,optional" aws:"forcenew"`
	Protocol                   *string      `pulumi:"protocol,optional" aws:"forcenew"`
	ProtocolVersion            *string      `pulumi:"protocolVersion,optional" aws:"forcenew,computed"`
	TargetType                 *string      `pulumi:"targetType,optional" aws:"forcenew"`
	VpcID                      *string      `pulumi:"vpcId,optional" aws:"forcenew"`
	HealthCheck                *healthCheck `pulumi:"healthCheck,optional" aws:"computed"`
	DeregistrationDelay        *int         `pulumi:"deregistrationDelay,optional"`
	SlowStart                  *int         `pulumi:"slowStart,optional"`
	LoadBalancingAlgorithmType *string      `pulumi:"loadBalancingAlgorithmType,optional" aws:"computed"`
}

// healthCheck says how the load balancer asks its targets; interval and timeout are in seconds.
type healthCheck struct {
	Enabled            *bool   `pulumi:"enabled,optional"`
	Path               *string `pulumi:"path,optional"`
	Protocol           *string `pulumi:"protocol,optional"`
	Port               *string `pulumi:"port,optional"`
	Matcher            *string `pulumi:"matcher,optional"`
	Interval           *int    `pulumi:"interval,optional"`
	Timeout            *int    `pulumi:"timeout,optional"`
	HealthyThreshold   *int    `pulumi:"healthyThreshold,optional"`
	UnhealthyThreshold *int    `pulumi:"unhealthyThreshold,optional"`
}

// TargetGroupState is the state of aws:lb/targetGroup:TargetGroup; its id is the ARN.
type TargetGroupState struct {
	TargetGroupArgs
	resource.AllTags
	Arn                           string           `pulumi:"arn"`
	ArnSuffix                     string           `pulumi:"arnSuffix"`
	IPAddressType                 string           `pulumi:"ipAddressType"`
	LoadBalancingCrossZoneEnabled string           `pulumi:"loadBalancingCrossZoneEnabled,optional"`
	Stickiness                    *groupStickiness `pulumi:"stickiness,optional"`
}

// groupStickiness binds clients to one target; the duration is in seconds.
type groupStickiness struct {
	Type           string `pulumi:"type"`
	Enabled        bool   `pulumi:"enabled"`
	CookieDuration int    `pulumi:"cookieDuration,optional"`
}

var targetGroupAttributes = []attribute[TargetGroupArgs]{
	numeric("deregistration_delay.timeout_seconds", "300", func(a *TargetGroupArgs) **int { return &a.DeregistrationDelay }),
	numeric("slow_start.duration_seconds", "0", func(a *TargetGroupArgs) **int { return &a.SlowStart }),
	textual("load_balancing.algorithm.type", "", func(a *TargetGroupArgs) **string { return &a.LoadBalancingAlgorithmType }),
}

var targetGroup = resource.Description[TargetGroupArgs, TargetGroupState]{
	Token:  "aws:lb/targetGroup:TargetGroup",
	Check:  checkTargetGroup,
	Create: createTargetGroup,
	Read:   readTargetGroup,
	Update: updateTargetGroup,
	Delete: func(ctx context.Context, c *resource.Cloud, arn string, _ TargetGroupState) error {
		what := "target group " + arn + " is out of use and deleted"
		err := resource.RetryOn(ctx, what, targetGroupInUse, func(ctx context.Context) error {
			_, err := c.ELB.DeleteTargetGroup(ctx, &elb.DeleteTargetGroupInput{TargetGroupArn: &arn})
			return err
		}, "ResourceInUse")
		if err != nil {
			return err
		}
		return resource.PollGone(ctx, "target group "+arn, targetGroupReady, func(ctx context.Context) error {
			_, err := findTargetGroup(ctx, c, arn)
			return err
		})
	},
	Example: func(x resource.Scratch) resource.Example[TargetGroupArgs] {
		vpc := x.Make("aws:ec2/vpc:Vpc", map[string]any{"cidrBlock": "10.61.0.0/16"})
		return resource.Example[TargetGroupArgs]{
			Inputs: TargetGroupArgs{
				Name: x.Name("tg"), Port: aws.Int(8443), Protocol: aws.String("HTTPS"), TargetType: aws.String("ip"),
				VpcID: &vpc.ID, DeregistrationDelay: aws.Int(30),
				HealthCheck: &healthCheck{
					Enabled: aws.Bool(true), Path: aws.String("/health"), Protocol: aws.String("HTTPS"),
					Port: aws.String("traffic-port"), Matcher: aws.String("200"), Interval: aws.Int(15),
					Timeout: aws.Int(5), HealthyThreshold: aws.Int(2), UnhealthyThreshold: aws.Int(3),
				},
				Tagged: resource.Tagged{Tags: map[string]string{"Name": "tg"}},
			},
			Changes: []resource.Change[TargetGroupArgs]{
				{Name: "deregistration delay", Apply: func(a *TargetGroupArgs) { a.DeregistrationDelay = aws.Int(60) }},
				{Name: "attributes", Apply: func(a *TargetGroupArgs) {
					a.SlowStart, a.LoadBalancingAlgorithmType = aws.Int(30), aws.String("least_outstanding_requests")
				}},
				{Name: "health check", Apply: func(a *TargetGroupArgs) {
					a.HealthCheck.Path, a.HealthCheck.Port = aws.String("/ready"), aws.String("9443")
					a.HealthCheck.Interval, a.HealthCheck.Timeout = aws.Int(30), aws.Int(10)
					a.HealthCheck.Matcher = aws.String("200-299")
					a.HealthCheck.HealthyThreshold, a.HealthCheck.UnhealthyThreshold = aws.Int(4), aws.Int(5)
				}},
				{Name: "health check by default", Apply: func(a *TargetGroupArgs) { a.HealthCheck = nil; a.SlowStart = aws.Int(0) }},
				{Name: "tags", Apply: func(a *TargetGroupArgs) { a.Tags = map[string]string{"Name": "other", "More": "yes"} }},
			},
		}
	},
}

func checkTargetGroup(a *TargetGroupArgs) []resource.Fault {
	if a.TargetType == nil {
		a.TargetType = aws.String("instance")
	}
	fillAttributes(a, targetGroupAttributes)
	faults := nameFaults(a.Name)
	faults = append(faults, outside("deregistrationDelay", a.DeregistrationDelay, 0, 3600)...)
	h := a.HealthCheck
	if h == nil {
		return faults
	}
	resource.Default(&h.Enabled, true)
	resource.Default(&h.Protocol, "HTTP")
	resource.Default(&h.Port, "traffic-port")
	resource.Default(&h.Interval, 30)
	resource.Default(&h.HealthyThreshold, 3)
	resource.Default(&h.UnhealthyThreshold, 3)
	faults = append(faults, outside("healthCheck", h.Interval, 5, 300)...)
	faults = append(faults, outside("healthCheck", h.Timeout, 2, 120)...)
	faults = append(faults, outside("healthCheck", h.HealthyThreshold, 2, 10)...)
	return append(faults, outside("healthCheck", h.UnhealthyThreshold, 2, 10)...)
}

func createTargetGroup(ctx context.Context, c *resource.Cloud, a TargetGroupArgs) (string, error) {
	in := &elb.CreateTargetGroupInput{
		Name: &a.Name, Port: resource.Int32(a.Port), Protocol: types.ProtocolEnum(aws.ToString(a.Protocol)),
		ProtocolVersion: a.ProtocolVersion, TargetType: types.TargetTypeEnum(*a.TargetType), VpcId: a.VpcID,
		Tags: tagList(a.Tags),
	}
	if h := a.HealthCheck; h != nil {
		in.HealthCheckEnabled, in.HealthCheckPath, in.HealthCheckPort = h.Enabled, h.Path, h.Port
		in.HealthCheckProtocol = types.ProtocolEnum(aws.ToString(h.Protocol))
		in.HealthCheckIntervalSeconds, in.HealthCheckTimeoutSeconds = resource.Int32(h.Interval), resource.Int32(h.Timeout)
		in.HealthyThresholdCount, in.UnhealthyThresholdCount = resource.Int32(h.HealthyThreshold), resource.Int32(h.UnhealthyThreshold)
		in.Matcher = h.codes()
	}
	out, err := c.ELB.CreateTargetGroup(ctx, in)
	if err != nil {
		return "", err
	}
	if len(out.TargetGroups) == 0 {
		return "", errors.New("the API returned no target group")
	}
	arn := aws.ToString(out.TargetGroups[0].TargetGroupArn)
	err = resource.PollThere(ctx, "target group "+arn+" is there", targetGroupReady, func(ctx context.Context) (bool, error) {
		_, err := findTargetGroup(ctx, c, arn)
		return err == nil, err
	})
	if err != nil {
		return arn, err
	}
	// What a new target group has (TargetGroupAttribute, ELB API reference); the delay is always sent.
	fresh := TargetGroupArgs{SlowStart: aws.Int(0)}
	return arn, modifyTargetAttributes(ctx, c, arn, changedAttributes(&fresh, &a, targetGroupAttributes))
}

func readTargetGroup(ctx context.Context, c *resource.Cloud, arn string, prior TargetGroupState) (TargetGroupState, error) {
	found, err := findTargetGroup(ctx, c, arn)
	if err != nil {
		return prior, err
	}
	out, err := c.ELB.DescribeTargetGroupAttributes(ctx, &elb.DescribeTargetGroupAttributesInput{TargetGroupArn: &arn})
	if err != nil {
		return prior, fmt.Errorf("reading attributes: %w", err)
	}
	tags, err := readTags(ctx, c, arn)
	if err != nil {
		return prior, err
	}
	got := map[string]string{}
	for _, a := range out.Attributes {
		got[aws.ToString(a.Key)] = aws.ToString(a.Value)
	}
	s := prior
	if err := takeAttributes(&s.TargetGroupArgs, got, targetGroupAttributes); err != nil {
		return prior, err
	}
	s.IPAddressType, s.LoadBalancingCrossZoneEnabled = string(found.IpAddressType), got["load_balancing.cross_zone.enabled"]
	s.Stickiness = readStickiness(got)
	s.Name, s.Port, s.Protocol = aws.ToString(found.TargetGroupName), resource.Int(found.Port), resource.Text(found.Protocol)
	s.ProtocolVersion = resource.OrPrior(found.ProtocolVersion, prior.ProtocolVersion)
	s.TargetType = resource.OrPrior(resource.Text(found.TargetType), prior.TargetType)
	s.VpcID = resource.OrPrior(found.VpcId, prior.VpcID)
	s.HealthCheck = readHealthCheck(found, prior.HealthCheck)
	s.Tags, s.TagsAll = tags, tags
	s.Arn, s.ArnSuffix = arn, suffix(arn, "targetgroup/")
	return s, nil
}

func readStickiness(got map[string]string) *groupStickiness {
	if got["stickiness.type"] == "" {
		return nil
	}
	seconds, _ := strconv.Atoi(got["stickiness.lb_cookie.duration_seconds"]) // other types have none
	return &groupStickiness{Type: got["stickiness.type"], Enabled: got["stickiness.enabled"] == "true", CookieDuration: seconds}
}

func updateTargetGroup(ctx context.Context, c *resource.Cloud, arn string, old TargetGroupState, a TargetGroupArgs) error {
	if h := a.HealthCheck; h != nil && !h.same(old.HealthCheck) {
		_, err := c.ELB.ModifyTargetGroup(ctx, &elb.ModifyTargetGroupInput{
			TargetGroupArn: &arn, HealthCheckEnabled: h.Enabled, HealthCheckPath: h.Path, HealthCheckPort: h.Port,
			HealthCheckProtocol:        types.ProtocolEnum(aws.ToString(h.Protocol)),
			HealthCheckIntervalSeconds: resource.Int32(h.Interval), HealthCheckTimeoutSeconds: resource.Int32(h.Timeout),
			HealthyThresholdCount: resource.Int32(h.HealthyThreshold), UnhealthyThresholdCount: resource.Int32(h.UnhealthyThreshold),
			Matcher: h.codes(),
		})
		if err != nil {
			return fmt.Errorf("setting the health check: %w", err)
		}
	}
	changed := changedAttributes(&old.TargetGroupArgs, &a, targetGroupAttributes)
	if err := modifyTargetAttributes(ctx, c, arn, changed); err != nil {
		return err
	}
	return updateTags(ctx, c, arn, old.Tags, a.Tags)
}

func findTargetGroup(ctx context.Context, c *resource.Cloud, arn string) (*types.TargetGroup, error) {
	out, err := c.ELB.DescribeTargetGroups(ctx, &elb.DescribeTargetGroupsInput{TargetGroupArns: []string{arn}})
	if err != nil {
		return nil, err
	}
	for i := range out.TargetGroups {
		if aws.ToString(out.TargetGroups[i].TargetGroupArn) == arn {
			return &out.TargetGroups[i], nil
		}
	}
	return nil, resource.ErrNotFound
}

func modifyTargetAttributes(ctx context.Context, c *resource.Cloud, arn string, attributes map[string]string) error {
	if len(attributes) == 0 {
		return nil
	}
	in := &elb.ModifyTargetGroupAttributesInput{TargetGroupArn: &arn}
	for _, key := range slices.Sorted(maps.Keys(attributes)) {
		in.Attributes = append(in.Attributes, types.TargetGroupAttribute{Key: &key, Value: aws.String(attributes[key])})
	}
	if _, err := c.ELB.ModifyTargetGroupAttributes(ctx, in); err != nil {
		return fmt.Errorf("setting attributes: %w", err)
	}
	return nil
}

// readHealthCheck is the health check as the API tells it, without what the program left to the API to choose.
func readHealthCheck(g *types.TargetGroup, prior *healthCheck) *healthCheck {
	h := &healthCheck{
		Enabled: g.HealthCheckEnabled, Path: g.HealthCheckPath, Protocol: resource.Text(g.HealthCheckProtocol),
		Port: g.HealthCheckPort, Interval: resource.Int(g.HealthCheckIntervalSeconds), Timeout: resource.Int(g.HealthCheckTimeoutSeconds),
		HealthyThreshold: resource.Int(g.HealthyThresholdCount), UnhealthyThreshold: resource.Int(g.UnhealthyThresholdCount),
	}
	if g.Matcher != nil {
		h.Matcher = resource.OrPrior(g.Matcher.HttpCode, g.Matcher.GrpcCode)
	}
	if prior == nil {
		return h
	}
	if prior.Path == nil {
		h.Path = nil
	}
	if prior.Matcher == nil {
		h.Matcher = nil
	}
	if prior.Timeout == nil {
		h.Timeout = nil
	}
	return h
}

func (h *healthCheck) codes() *types.Matcher {
	if h.Matcher == nil {
		return nil
	}
	return &types.Matcher{HttpCode: h.Matcher}
}

func (h *healthCheck) same(o *healthCheck) bool {
	return o != nil && same(h.Enabled, o.Enabled) && same(h.Path, o.Path) && same(h.Protocol, o.Protocol) &&
		same(h.Port, o.Port) && same(h.Matcher, o.Matcher) && same(h.Interval, o.Interval) && same(h.Timeout, o.Timeout) &&
		same(h.HealthyThreshold, o.HealthyThreshold) && same(h.UnhealthyThreshold, o.UnhealthyThreshold)
}

// same compares what the program set: a value that it leaves to the API is never a difference.
func same[T comparable](want, got *T) bool {
	return want == nil || got != nil && *want == *got
}

func outside(property string, value *int, low, high int) []resource.Fault {
	if value == nil || *value >= low && *value <= high {
		return nil
	}
	return []resource.Fault{{Property: property, Reason: fmt.Sprintf("%d is not within %d–%d", *value, low, high)}}
}
