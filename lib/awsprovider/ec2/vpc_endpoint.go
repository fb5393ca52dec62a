package ec2

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"tapstack/lib/awsprovider/resource"
)

// endpointWait is how long a VPC endpoint may take to come, to change and to go.
const endpointWait = 10 * time.Minute

// VpcEndpointArgs are the inputs of aws:ec2/vpcEndpoint:VpcEndpoint.
type VpcEndpointArgs struct {
	resource.Tagged
	VpcID             string   `pulumi:"vpcId" aws:"forcenew"`
	ServiceName       string   `pulumi:"serviceName" aws:"forcenew"`
	VpcEndpointType   *string  `pulumi:"vpcEndpointType,optional" aws:"forcenew"`
	RouteTableIDs     []string `pulumi:"routeTableIds,optional" aws:"set,computed"`
	SubnetIDs         []string `pulumi:"subnetIds,optional" aws:"set,computed"`
	SecurityGroupIDs  []string `pulumi:"securityGroupIds,optional" aws:"set,computed"`
	PrivateDNSEnabled *bool    `pulumi:"privateDnsEnabled,optional" aws:"computed"`
	Policy            *string  `pulumi:"policy,optional" aws:"policy,computed"`
}

// VpcEndpointState is its state.
type VpcEndpointState struct {
	VpcEndpointArgs
	resource.AllTags
	Arn                 string             `pulumi:"arn"`
	OwnerID             string             `pulumi:"ownerId"`
	State               string             `pulumi:"state"`
	RequesterManaged    bool               `pulumi:"requesterManaged"`
	NetworkInterfaceIDs []string           `pulumi:"networkInterfaceIds,optional"`
	DNSEntries          []EndpointDNSEntry `pulumi:"dnsEntries,optional"`
}

// EndpointDNSEntry is a name under which an interface endpoint is reached.
type EndpointDNSEntry struct {
	DNSName      string `pulumi:"dnsName"`
	HostedZoneID string `pulumi:"hostedZoneId"`
}

var vpcEndpoint = resource.Description[VpcEndpointArgs, VpcEndpointState]{
	Token: "aws:ec2/vpcEndpoint:VpcEndpoint",
	Check: func(a *VpcEndpointArgs) []resource.Fault {
		if a.VpcEndpointType == nil {
			a.VpcEndpointType = aws.String(string(types.VpcEndpointTypeGateway))
		}
		if v := types.VpcEndpointType(*a.VpcEndpointType); v != "" && !slices.Contains(v.Values(), v) {
			return []resource.Fault{{Property: "vpcEndpointType", Reason: fmt.Sprintf("must be one of %v", v.Values())}}
		}
		return nil
	},
	Create: func(ctx context.Context, c *resource.Cloud, a VpcEndpointArgs) (string, error) {
		out, err := c.EC2.CreateVpcEndpoint(ctx, &ec2.CreateVpcEndpointInput{
			VpcId: &a.VpcID, ServiceName: &a.ServiceName,
			VpcEndpointType: types.VpcEndpointType(aws.ToString(a.VpcEndpointType)),
			RouteTableIds:   a.RouteTableIDs, SubnetIds: a.SubnetIDs, SecurityGroupIds: a.SecurityGroupIDs,
			PrivateDnsEnabled: aws.Bool(aws.ToBool(a.PrivateDNSEnabled)), PolicyDocument: resource.NotEmpty(a.Policy),
			TagSpecifications: tagged(types.ResourceTypeVpcEndpoint, a.Tags),
		})
		if err != nil {
			return "", err
		}
		id, err := created(value(out.VpcEndpoint).VpcEndpointId)
		if err != nil {
			return "", err
		}
		return id, awaitEndpoint(ctx, c, id)
	},
	Read: readEndpoint,
	Update: func(ctx context.Context, c *resource.Cloud, id string, old VpcEndpointState, a VpcEndpointArgs) error {
		if old.Arn == "" { // its creation never came to an end
			if err := awaitEndpoint(ctx, c, id); err != nil {
				return err
			}
			var err error
			if old, err = readEndpoint(ctx, c, id, old); err != nil {
				return err
			}
		}
		if in, changes := endpointChanges(id, old.VpcEndpointArgs, a); changes {
			if _, err := c.EC2.ModifyVpcEndpoint(ctx, in); err != nil {
				return err
			}
			if err := awaitEndpoint(ctx, c, id); err != nil {
				return err
			}
		}
		return updateTags(ctx, c, id, old.Tags, a.Tags)
	},
	Delete: func(ctx context.Context, c *resource.Cloud, id string, _ VpcEndpointState) error {
		out, err := c.EC2.DeleteVpcEndpoints(ctx, &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{id}})
		if err == nil {
			err = unsuccessful(out.Unsuccessful)
		}
		if err != nil {
			// What was not found may be something else than the endpoint, such as a route to it.
			if gone := ask(findEndpoint(ctx, c, id)); resource.NotFound(gone) {
				return nil
			}
			return fmt.Errorf("deleting it was refused: %s", err) //nolint:errorlint // wrapped, it would read as the endpoint's own "not found"
		}
		return resource.PollGone(ctx, "VPC endpoint "+id, endpointWait, func(ctx context.Context) error {
			return ask(findEndpoint(ctx, c, id))
		})
	},
	Example: func(x resource.Scratch) resource.Example[VpcEndpointArgs] {
		network := makeVpc(x)
		one, two := makeRouteTable(x, network), makeRouteTable(x, network)
		return resource.Example[VpcEndpointArgs]{
			Inputs: VpcEndpointArgs{
				VpcID: network, ServiceName: "com.amazonaws.us-east-1.s3", VpcEndpointType: aws.String("Gateway"),
				RouteTableIDs: []string{one, two}, Tagged: named("s3-endpoint"),
			},
			Changes: []resource.Change[VpcEndpointArgs]{
				{Name: "route tables", Apply: func(a *VpcEndpointArgs) { a.RouteTableIDs = []string{one} }},
				{Name: "policy", Apply: func(a *VpcEndpointArgs) {
					a.Policy = aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*"}]}`)
				}},
				changeTags(func(a *VpcEndpointArgs) *resource.Tagged { return &a.Tagged }),
			},
		}
	},
}

// endpointChanges is the request that brings an endpoint from old to now. What the program leaves to the cloud stays.
func endpointChanges(id string, old, now VpcEndpointArgs) (*ec2.ModifyVpcEndpointInput, bool) {
	in := &ec2.ModifyVpcEndpointInput{VpcEndpointId: &id}
	in.AddRouteTableIds, in.RemoveRouteTableIds = delta(old.RouteTableIDs, now.RouteTableIDs)
	in.AddSubnetIds, in.RemoveSubnetIds = delta(old.SubnetIDs, now.SubnetIDs)
	in.AddSecurityGroupIds, in.RemoveSecurityGroupIds = delta(old.SecurityGroupIDs, now.SecurityGroupIDs)
	if now.PrivateDNSEnabled != nil && aws.ToBool(old.PrivateDNSEnabled) != *now.PrivateDNSEnabled {
		in.PrivateDnsEnabled = now.PrivateDNSEnabled
	}
	if want := resource.NotEmpty(now.Policy); want != nil && !resource.SamePolicy(aws.ToString(old.Policy), *want) {
		in.PolicyDocument = want
	}
	lists := len(in.AddRouteTableIds) + len(in.RemoveRouteTableIds) + len(in.AddSubnetIds) + len(in.RemoveSubnetIds) +
		len(in.AddSecurityGroupIds) + len(in.RemoveSecurityGroupIds)
	return in, lists > 0 || in.PrivateDnsEnabled != nil || in.PolicyDocument != nil
}

// delta says what to add and what to remove to come from old to now.
func delta(old, now []string) (add, remove []string) {
	for _, v := range now {
		if !slices.Contains(old, v) {
			add = append(add, v)
		}
	}
	for _, v := range old {
		if !slices.Contains(now, v) {
			remove = append(remove, v)
		}
	}
	return add, remove
}

// awaitEndpoint waits until the endpoint is available.
func awaitEndpoint(ctx context.Context, c *resource.Cloud, id string) error {
	return resource.PollThere(ctx, "VPC endpoint "+id+" is available", endpointWait, func(ctx context.Context) (bool, error) {
		e, err := findEndpoint(ctx, c, id)
		for _, bad := range []types.State{types.StateFailed, types.StateRejected, types.StateExpired} {
			if isState(e, bad) {
				why := aws.ToString(e.FailureReason)
				if e.LastError != nil {
					why = aws.ToString(e.LastError.Code) + ": " + aws.ToString(e.LastError.Message)
				}
				return false, fmt.Errorf("it is %s: %s", e.State, why)
			}
		}
		return isState(e, types.StateAvailable), err
	})
}

// isState compares without regard to case: the API answers in lower case what its model writes with capitals.
func isState(e types.VpcEndpoint, s types.State) bool {
	return strings.EqualFold(string(e.State), string(s))
}

func findEndpoint(ctx context.Context, c *resource.Cloud, id string) (types.VpcEndpoint, error) {
	out, err := c.EC2.DescribeVpcEndpoints(ctx, &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{id}})
	if err != nil {
		return types.VpcEndpoint{}, err
	}
	e, err := first(out.VpcEndpoints)
	if isState(e, types.StateDeleted) {
		return types.VpcEndpoint{}, resource.ErrNotFound
	}
	return e, err
}

func readEndpoint(ctx context.Context, c *resource.Cloud, id string, prior VpcEndpointState) (VpcEndpointState, error) {
	e, err := findEndpoint(ctx, c, id)
	if err != nil {
		return prior, err
	}
	tags := tagMap(e.Tags)
	s := VpcEndpointState{
		VpcEndpointArgs: VpcEndpointArgs{
			Tagged: resource.Tagged{Tags: tags}, VpcID: aws.ToString(e.VpcId), ServiceName: aws.ToString(e.ServiceName),
			VpcEndpointType: aws.String(string(e.VpcEndpointType)), RouteTableIDs: slices.Sorted(slices.Values(e.RouteTableIds)),
			SubnetIDs: slices.Sorted(slices.Values(e.SubnetIds)), PrivateDNSEnabled: resource.OrPrior(e.PrivateDnsEnabled, prior.PrivateDNSEnabled),
			Policy: resource.OrPrior(e.PolicyDocument, prior.Policy),
		},
		AllTags: resource.AllTags{TagsAll: tags}, Arn: arn(c, e.OwnerId, "vpc-endpoint", id), OwnerID: aws.ToString(e.OwnerId),
		State: strings.ToLower(string(e.State)), RequesterManaged: aws.ToBool(e.RequesterManaged),
		NetworkInterfaceIDs: slices.Sorted(slices.Values(e.NetworkInterfaceIds)),
	}
	for _, g := range e.Groups {
		s.SecurityGroupIDs = append(s.SecurityGroupIDs, aws.ToString(g.GroupId))
	}
	if len(s.SecurityGroupIDs) == 0 { // EC2 always lists those of an interface endpoint
		s.SecurityGroupIDs = slices.Clone(prior.SecurityGroupIDs)
	}
	slices.Sort(s.SecurityGroupIDs)
	for _, d := range e.DnsEntries {
		s.DNSEntries = append(s.DNSEntries, EndpointDNSEntry{aws.ToString(d.DnsName), aws.ToString(d.HostedZoneId)})
	}
	if resource.SamePolicy(aws.ToString(s.Policy), aws.ToString(prior.Policy)) {
		s.Policy = prior.Policy
	}
	return s, nil
}
