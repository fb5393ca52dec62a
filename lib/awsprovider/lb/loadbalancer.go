package lb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"tapstack/lib/awsprovider/resource"
)

// loadBalancerTimeout is how long the official provider waits for a load balancer to become active or to go.
const loadBalancerTimeout = 10 * time.Minute

// The keys of the access log attributes (ELBv2 API reference, LoadBalancerAttribute).
const (
	logsEnabled = "access_logs.s3.enabled"
	logsBucket  = "access_logs.s3.bucket"
	logsPrefix  = "access_logs.s3.prefix"
)

// LoadBalancerArgs are the inputs of aws:lb/loadBalancer:LoadBalancer.
type LoadBalancerArgs struct {
	resource.Tagged
	Name                     string      `pulumi:"name" aws:"forcenew"`
	Internal                 *bool       `pulumi:"internal,optional" aws:"forcenew,computed"`
	LoadBalancerType         *string     `pulumi:"loadBalancerType,optional" aws:"forcenew"`
	IPAddressType            *string     `pulumi:"ipAddressType,optional" aws:"computed"`
	SecurityGroups           []string    `pulumi:"securityGroups,optional" aws:"set,computed"`
	Subnets                  []string    `pulumi:"subnets,optional" aws:"set,computed"`
	AccessLogs               *accessLogs `pulumi:"accessLogs,optional"`
	ClientKeepAlive          *int        `pulumi:"clientKeepAlive,optional"`
	DesyncMitigationMode     *string     `pulumi:"desyncMitigationMode,optional"`
	DropInvalidHeaderFields  *bool       `pulumi:"dropInvalidHeaderFields,optional"`
	EnableDeletionProtection *bool       `pulumi:"enableDeletionProtection,optional"`
	EnableHTTP2              *bool       `pulumi:"enableHttp2,optional"`
	EnableWafFailOpen        *bool       `pulumi:"enableWafFailOpen,optional"`
	EnableXffClientPort      *bool       `pulumi:"enableXffClientPort,optional"`
	IdleTimeout              *int        `pulumi:"idleTimeout,optional"`
	PreserveHostHeader       *bool       `pulumi:"preserveHostHeader,optional"`
	XffHeaderProcessingMode  *string     `pulumi:"xffHeaderProcessingMode,optional"`
}

// accessLogs says where the access logs go.
type accessLogs struct {
	Bucket  string  `pulumi:"bucket"`
	Prefix  *string `pulumi:"prefix,optional"`
	Enabled *bool   `pulumi:"enabled,optional"`
}

// LoadBalancerState is the state of aws:lb/loadBalancer:LoadBalancer; its id is the ARN.
type LoadBalancerState struct {
	LoadBalancerArgs
	resource.AllTags
	Arn            string          `pulumi:"arn"`
	ArnSuffix      string          `pulumi:"arnSuffix"`
	DNSName        string          `pulumi:"dnsName"`
	ZoneID         string          `pulumi:"zoneId"`
	VpcID          string          `pulumi:"vpcId"`
	SubnetMappings []subnetMapping `pulumi:"subnetMappings,optional"`
}

// subnetMapping is a subnet in which the load balancer has addresses.
type subnetMapping struct {
	SubnetID string `pulumi:"subnetId"`
}

var loadBalancerAttributes = []attribute[LoadBalancerArgs]{
	numeric("client_keep_alive.seconds", "3600", func(a *LoadBalancerArgs) **int { return &a.ClientKeepAlive }),
	numeric("idle_timeout.timeout_seconds", "60", func(a *LoadBalancerArgs) **int { return &a.IdleTimeout }),
	boolean("deletion_protection.enabled", "false", func(a *LoadBalancerArgs) **bool { return &a.EnableDeletionProtection }),
	textual("routing.http.desync_mitigation_mode", "defensive", func(a *LoadBalancerArgs) **string { return &a.DesyncMitigationMode }),
	boolean("routing.http.drop_invalid_header_fields.enabled", "false", func(a *LoadBalancerArgs) **bool { return &a.DropInvalidHeaderFields }),
	boolean("routing.http.preserve_host_header.enabled", "false", func(a *LoadBalancerArgs) **bool { return &a.PreserveHostHeader }),
	textual("routing.http.xff_header_processing.mode", "append", func(a *LoadBalancerArgs) **string { return &a.XffHeaderProcessingMode }),
	boolean("routing.http.xff_client_port.enabled", "false", func(a *LoadBalancerArgs) **bool { return &a.EnableXffClientPort }),
	boolean("routing.http2.enabled", "true", func(a *LoadBalancerArgs) **bool { return &a.EnableHTTP2 }),
	boolean("waf.fail_open.enabled", "false", func(a *LoadBalancerArgs) **bool { return &a.EnableWafFailOpen }),
}

var loadBalancer = resource.Description[LoadBalancerArgs, LoadBalancerState]{
	Token:  "aws:lb/loadBalancer:LoadBalancer",
	Check:  checkLoadBalancer,
	Create: createLoadBalancer,
	Read:   readLoadBalancer,
	Update: updateLoadBalancer,
	Delete: deleteLoadBalancer,
	Example: func(x resource.Scratch) resource.Example[LoadBalancerArgs] {
		n := makeNetwork(x)
		bucket := x.Make("aws:s3/bucketV2:BucketV2", map[string]any{"bucket": x.Name("alb-logs"), "forceDestroy": true})
		other := n.securityGroup(x)
		return resource.Example[LoadBalancerArgs]{
			Inputs: LoadBalancerArgs{
				Name: x.Name("alb"), LoadBalancerType: aws.String("application"), Internal: aws.Bool(false),
				SecurityGroups: []string{n.securityGroup(x)}, Subnets: n.subnets[:2],
				DropInvalidHeaderFields: aws.Bool(true), DesyncMitigationMode: aws.String("defensive"),
				AccessLogs: &accessLogs{Bucket: bucket.ID, Prefix: aws.String("alb"), Enabled: aws.Bool(true)},
				Tagged:     resource.Tagged{Tags: map[string]string{"Name": "alb"}},
			},
			Changes: []resource.Change[LoadBalancerArgs]{
				{Name: "attributes", Apply: func(a *LoadBalancerArgs) {
					a.IdleTimeout, a.EnableHTTP2 = aws.Int(120), aws.Bool(false)
					a.DropInvalidHeaderFields, a.DesyncMitigationMode = aws.Bool(false), aws.String("strictest")
					a.EnableXffClientPort = aws.Bool(true)
				}},
				{Name: "deletion protection", Apply: func(a *LoadBalancerArgs) { a.EnableDeletionProtection = aws.Bool(true) }},
				{Name: "no deletion protection", Apply: func(a *LoadBalancerArgs) { a.EnableDeletionProtection = aws.Bool(false) }},
				{Name: "security groups", Apply: func(a *LoadBalancerArgs) { a.SecurityGroups = []string{other} }},
				{Name: "subnets", Apply: func(a *LoadBalancerArgs) { a.Subnets = n.subnets }},
				{Name: "log prefix", Apply: func(a *LoadBalancerArgs) {
					a.AccessLogs = &accessLogs{Bucket: bucket.ID, Prefix: aws.String("other"), Enabled: aws.Bool(true)}
				}},
				{Name: "logs off", Apply: func(a *LoadBalancerArgs) { a.AccessLogs = nil }},
				{Name: "tags", Apply: func(a *LoadBalancerArgs) { a.Tags = map[string]string{"Name": "other", "More": "yes"} }},
			},
		}
	},
}

func checkLoadBalancer(a *LoadBalancerArgs) []resource.Fault {
	if a.LoadBalancerType == nil {
		a.LoadBalancerType = aws.String("application")
	}
	fillAttributes(a, loadBalancerAttributes)
	if a.AccessLogs != nil {
		if a.AccessLogs.Enabled == nil {
			a.AccessLogs.Enabled = aws.Bool(false)
		}
		a.AccessLogs.Prefix = resource.Text(aws.ToString(a.AccessLogs.Prefix))
	}
	faults := nameFaults(a.Name)
	if strings.HasPrefix(a.Name, "internal-") {
		faults = append(faults, resource.Fault{Property: "name", Reason: `must not begin with "internal-"`})
	}
	if kind := *a.LoadBalancerType; kind != "" && kind != "application" {
		faults = append(faults, resource.Fault{Property: "loadBalancerType", Reason: fmt.Sprintf(
			"the local provider implements application load balancers only, not %q; use --provider official", kind)})
	}
	return faults
}

func createLoadBalancer(ctx context.Context, c *resource.Cloud, a LoadBalancerArgs) (string, error) {
	in := &elb.CreateLoadBalancerInput{
		Name: &a.Name, Type: types.LoadBalancerTypeEnum(*a.LoadBalancerType), SecurityGroups: a.SecurityGroups,
		Subnets: a.Subnets, IpAddressType: types.IpAddressType(aws.ToString(a.IPAddressType)), Tags: tagList(a.Tags),
	}
	if aws.ToBool(a.Internal) {
		in.Scheme = types.LoadBalancerSchemeEnumInternal
	}
	// CreateLoadBalancer answers a request for an existing name with the same settings with that load balancer, which
	// would then have two owners.
	_, err := c.ELB.DescribeLoadBalancers(ctx, &elb.DescribeLoadBalancersInput{Names: []string{a.Name}})
	if err == nil {
		return "", fmt.Errorf("a load balancer named %s exists already", a.Name)
	}
	if !resource.NotFound(err) {
		return "", fmt.Errorf("looking for a load balancer named %s: %w", a.Name, err)
	}
	out, err := c.ELB.CreateLoadBalancer(ctx, in)
	if err != nil {
		return "", err
	}
	if len(out.LoadBalancers) == 0 {
		return "", errors.New("the API returned no load balancer")
	}
	arn := aws.ToString(out.LoadBalancers[0].LoadBalancerArn)
	if err := awaitActive(ctx, c, arn); err != nil {
		return arn, err
	}
	changed := changedAttributes(&LoadBalancerArgs{}, &a, loadBalancerAttributes)
	maps.Copy(changed, logAttributes(a.AccessLogs))
	if err := modifyAttributes(ctx, c, arn, changed); err != nil {
		return arn, err
	}
	return arn, awaitActive(ctx, c, arn)
}

func readLoadBalancer(ctx context.Context, c *resource.Cloud, arn string, prior LoadBalancerState) (LoadBalancerState, error) {
	found, err := findLoadBalancer(ctx, c, arn)
	if err != nil {
		return prior, err
	}
	out, err := c.ELB.DescribeLoadBalancerAttributes(ctx, &elb.DescribeLoadBalancerAttributesInput{LoadBalancerArn: &arn})
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
	if err := takeAttributes(&s.LoadBalancerArgs, got, loadBalancerAttributes); err != nil {
		return prior, err
	}
	s.AccessLogs = readLogs(got, prior.AccessLogs)
	s.Name = aws.ToString(found.LoadBalancerName)
	s.Internal = aws.Bool(found.Scheme == types.LoadBalancerSchemeEnumInternal)
	s.LoadBalancerType = resource.OrPrior(resource.Text(found.Type), prior.LoadBalancerType)
	s.IPAddressType = resource.Text(found.IpAddressType)
	s.SecurityGroups = found.SecurityGroups
	s.Subnets = nil
	for _, z := range found.AvailabilityZones {
		s.Subnets = append(s.Subnets, aws.ToString(z.SubnetId))
	}
	slices.Sort(s.Subnets)
	s.SubnetMappings = nil
	for _, id := range s.Subnets {
		s.SubnetMappings = append(s.SubnetMappings, subnetMapping{id})
	}
	s.Tags, s.TagsAll = tags, tags
	s.Arn, s.ArnSuffix = arn, strings.TrimPrefix(suffix(arn, "loadbalancer/"), "loadbalancer/")
	s.DNSName, s.ZoneID = aws.ToString(found.DNSName), aws.ToString(found.CanonicalHostedZoneId)
	s.VpcID = aws.ToString(found.VpcId)
	return s, nil
}

func updateLoadBalancer(ctx context.Context, c *resource.Cloud, arn string, old LoadBalancerState, a LoadBalancerArgs) error {
	changed := changedAttributes(&old.LoadBalancerArgs, &a, loadBalancerAttributes)
	if was, will := logAttributes(old.AccessLogs), logAttributes(a.AccessLogs); !maps.Equal(was, will) {
		maps.Copy(changed, will)
	}
	if err := modifyAttributes(ctx, c, arn, changed); err != nil {
		return err
	}
	if !sameSet(old.SecurityGroups, a.SecurityGroups) {
		in := &elb.SetSecurityGroupsInput{LoadBalancerArn: &arn, SecurityGroups: a.SecurityGroups}
		if _, err := c.ELB.SetSecurityGroups(ctx, in); err != nil {
			return fmt.Errorf("setting security groups: %w", err)
		}
	}
	if !sameSet(old.Subnets, a.Subnets) {
		in := &elb.SetSubnetsInput{LoadBalancerArn: &arn, Subnets: a.Subnets}
		if _, err := c.ELB.SetSubnets(ctx, in); err != nil {
			return fmt.Errorf("setting subnets: %w", err)
		}
	}
	if kind := aws.ToString(a.IPAddressType); kind != "" && kind != aws.ToString(old.IPAddressType) {
		in := &elb.SetIpAddressTypeInput{LoadBalancerArn: &arn, IpAddressType: types.IpAddressType(kind)}
		if _, err := c.ELB.SetIpAddressType(ctx, in); err != nil {
			return fmt.Errorf("setting the IP address type: %w", err)
		}
	}
	if err := updateTags(ctx, c, arn, old.Tags, a.Tags); err != nil {
		return err
	}
	return awaitActive(ctx, c, arn)
}

// deleteLoadBalancer also waits for the load balancer's network interfaces, which would keep its security groups and
// subnets from being deleted.
func deleteLoadBalancer(ctx context.Context, c *resource.Cloud, arn string, _ LoadBalancerState) error {
	_, err := c.ELB.DeleteLoadBalancer(ctx, &elb.DeleteLoadBalancerInput{LoadBalancerArn: &arn})
	if err != nil && !resource.NotFound(err) {
		return err
	}
	err = resource.PollGone(ctx, "load balancer "+arn, loadBalancerTimeout, func(ctx context.Context) error {
		_, err := findLoadBalancer(ctx, c, arn)
		return err
	})
	if err != nil {
		return err
	}
	what := "network interfaces of load balancer " + arn
	return resource.PollGone(ctx, what, loadBalancerTimeout, func(ctx context.Context) error {
		out, err := c.EC2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{
			Filters: []ec2types.Filter{
				{Name: aws.String("attachment.instance-owner-id"), Values: []string{"amazon-elb"}},
				{Name: aws.String("description"), Values: []string{
					"ELB " + strings.TrimPrefix(suffix(arn, "loadbalancer/"), "loadbalancer/"),
				}},
			},
		})
		if err == nil && len(out.NetworkInterfaces) == 0 {
			return resource.ErrNotFound
		}
		return err
	})
}

func findLoadBalancer(ctx context.Context, c *resource.Cloud, arn string) (*types.LoadBalancer, error) {
	out, err := c.ELB.DescribeLoadBalancers(ctx, &elb.DescribeLoadBalancersInput{LoadBalancerArns: []string{arn}})
	if err != nil {
		return nil, err
	}
	for i := range out.LoadBalancers {
		if aws.ToString(out.LoadBalancers[i].LoadBalancerArn) == arn {
			return &out.LoadBalancers[i], nil
		}
	}
	return nil, resource.ErrNotFound
}

func awaitActive(ctx context.Context, c *resource.Cloud, arn string) error {
	return resource.PollThere(ctx, "load balancer "+arn+" is active", loadBalancerTimeout, func(ctx context.Context) (bool, error) {
		found, err := findLoadBalancer(ctx, c, arn)
		if err != nil || found.State == nil {
			return false, err
		}
		return found.State.Code == types.LoadBalancerStateEnumActive, nil
	})
}

func modifyAttributes(ctx context.Context, c *resource.Cloud, arn string, attributes map[string]string) error {
	if len(attributes) == 0 {
		return nil
	}
	in := &elb.ModifyLoadBalancerAttributesInput{LoadBalancerArn: &arn}
	for _, key := range slices.Sorted(maps.Keys(attributes)) {
		in.Attributes = append(in.Attributes, types.LoadBalancerAttribute{Key: &key, Value: aws.String(attributes[key])})
	}
	if _, err := c.ELB.ModifyLoadBalancerAttributes(ctx, in); err != nil {
		return fmt.Errorf("setting attributes: %w", err)
	}
	return nil
}

// logAttributes is the access log configuration as the API takes it; bucket and prefix count only while it is on.
func logAttributes(logs *accessLogs) map[string]string {
	if logs == nil || !aws.ToBool(logs.Enabled) {
		return map[string]string{logsEnabled: "false"}
	}
	return map[string]string{logsEnabled: "true", logsBucket: logs.Bucket, logsPrefix: aws.ToString(logs.Prefix)}
}

// readLogs is the access log configuration as the API tells it. While it is off nothing was told to the API, and what
// the program says of it stays.
func readLogs(got map[string]string, prior *accessLogs) *accessLogs {
	enabled, _ := strconv.ParseBool(got[logsEnabled]) // absent means off
	if enabled {
		return &accessLogs{Bucket: got[logsBucket], Prefix: resource.Text(got[logsPrefix]), Enabled: aws.Bool(true)}
	}
	if prior == nil {
		return nil
	}
	return &accessLogs{Bucket: prior.Bucket, Prefix: prior.Prefix, Enabled: aws.Bool(false)}
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
