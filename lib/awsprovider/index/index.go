// Package index implements the functions of pulumi-aws's index module that the stack invokes: who and where the caller is.
// It may reach EC2 and STS, and only reads.
// Reference: the aws_availability_zones, aws_caller_identity, aws_region and aws_partition data sources of the Terraform AWS
// provider 5.x.
package index

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/pulumi/pulumi-go-provider/infer"

	"tapstack/lib/awsprovider/partition"
	"tapstack/lib/awsprovider/resource"
)

// Functions lists the functions of this package.
func Functions() []infer.InferredFunction {
	return []infer.InferredFunction{
		resource.DefineFunction(availabilityZones),
		resource.DefineFunction(callerIdentity),
		resource.DefineFunction(region),
		resource.DefineFunction(partitionOf),
	}
}

// AvailabilityZonesArgs are the arguments of aws:index/getAvailabilityZones:getAvailabilityZones.
type AvailabilityZonesArgs struct {
	AllAvailabilityZones *bool    `pulumi:"allAvailabilityZones,optional"`
	ExcludeNames         []string `pulumi:"excludeNames,optional"`
	ExcludeZoneIDs       []string `pulumi:"excludeZoneIds,optional"`
	Filters              []Filter `pulumi:"filters,optional"`
	State                *string  `pulumi:"state,optional"`
}

// Filter narrows a list of zones (DescribeAvailabilityZones, EC2 API reference).
type Filter struct {
	Name   string   `pulumi:"name"`
	Values []string `pulumi:"values"`
}

// AvailabilityZonesResult lists zones, ordered by name. Names and ZoneIDs run in parallel.
type AvailabilityZonesResult struct {
	ID         string   `pulumi:"id"`
	Names      []string `pulumi:"names"`
	ZoneIDs    []string `pulumi:"zoneIds"`
	GroupNames []string `pulumi:"groupNames"`
}

var availabilityZones = resource.Function[AvailabilityZonesArgs, AvailabilityZonesResult]{
	Token: "aws:index/getAvailabilityZones:getAvailabilityZones",
	Call: func(ctx context.Context, c *resource.Cloud, in AvailabilityZonesArgs) (AvailabilityZonesResult, error) {
		request := &ec2.DescribeAvailabilityZonesInput{AllAvailabilityZones: in.AllAvailabilityZones}
		for _, f := range in.Filters {
			request.Filters = append(request.Filters, types.Filter{Name: &f.Name, Values: f.Values})
		}
		if in.State != nil {
			request.Filters = append(request.Filters, types.Filter{Name: aws.String("state"), Values: []string{*in.State}})
		}
		out, err := c.EC2.DescribeAvailabilityZones(ctx, request)
		if err != nil {
			return AvailabilityZonesResult{}, err
		}
		result := AvailabilityZonesResult{ID: c.Region, Names: []string{}, ZoneIDs: []string{}, GroupNames: []string{}}
		for _, z := range chosen(out.AvailabilityZones, in) {
			result.Names = append(result.Names, aws.ToString(z.ZoneName))
			result.ZoneIDs = append(result.ZoneIDs, aws.ToString(z.ZoneId))
			if g := aws.ToString(z.GroupName); g != "" && !slices.Contains(result.GroupNames, g) {
				result.GroupNames = append(result.GroupNames, g)
			}
		}
		return result, nil
	},
}

// chosen orders the zones by name and leaves out those that the caller excludes.
func chosen(zones []types.AvailabilityZone, in AvailabilityZonesArgs) []types.AvailabilityZone {
	zones = slices.DeleteFunc(slices.Clone(zones), func(z types.AvailabilityZone) bool {
		return slices.Contains(in.ExcludeNames, aws.ToString(z.ZoneName)) || slices.Contains(in.ExcludeZoneIDs, aws.ToString(z.ZoneId))
	})
	slices.SortFunc(zones, func(a, b types.AvailabilityZone) int {
		return strings.Compare(aws.ToString(a.ZoneName), aws.ToString(b.ZoneName))
	})
	return zones
}

// None are the arguments of a function that takes none.
type None struct{}

// CallerIdentityResult tells whose credentials are used.
type CallerIdentityResult struct {
	ID        string `pulumi:"id"`
	AccountID string `pulumi:"accountId"`
	Arn       string `pulumi:"arn"`
	UserID    string `pulumi:"userId"`
}

var callerIdentity = resource.Function[None, CallerIdentityResult]{
	Token: "aws:index/getCallerIdentity:getCallerIdentity",
	Call: func(ctx context.Context, c *resource.Cloud, _ None) (CallerIdentityResult, error) {
		out, err := c.STS.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if err != nil {
			return CallerIdentityResult{}, err
		}
		account := aws.ToString(out.Account)
		return CallerIdentityResult{ID: account, AccountID: account, Arn: aws.ToString(out.Arn), UserID: aws.ToString(out.UserId)}, nil
	},
}

// RegionArgs are the arguments of aws:index/getRegion:getRegion.
type RegionArgs struct {
	Name *string `pulumi:"name,optional"`
}

// RegionResult names a region: the given one, or else the provider's.
type RegionResult struct {
	ID       string `pulumi:"id"`
	Name     string `pulumi:"name"`
	Endpoint string `pulumi:"endpoint"`
}

var region = resource.Function[RegionArgs, RegionResult]{
	Token: "aws:index/getRegion:getRegion",
	Call: func(_ context.Context, c *resource.Cloud, in RegionArgs) (RegionResult, error) {
		name := c.Region
		if given := aws.ToString(in.Name); given != "" {
			name = given
		}
		return RegionResult{ID: name, Name: name, Endpoint: "ec2." + name + "." + partition.Of(name).DNSSuffix}, nil
	},
}

// PartitionResult names the partition of the provider's region.
type PartitionResult struct {
	ID               string `pulumi:"id"`
	Partition        string `pulumi:"partition"`
	DNSSuffix        string `pulumi:"dnsSuffix"`
	ReverseDNSPrefix string `pulumi:"reverseDnsPrefix"`
}

var partitionOf = resource.Function[None, PartitionResult]{
	Token: "aws:index/getPartition:getPartition",
	Call: func(_ context.Context, c *resource.Cloud, _ None) (PartitionResult, error) {
		p := partition.Of(c.Region)
		return PartitionResult{ID: p.ID, Partition: p.ID, DNSSuffix: p.DNSSuffix, ReverseDNSPrefix: p.ReverseDNSPrefix()}, nil
	},
}
