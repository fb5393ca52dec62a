package ec2

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"tapstack/lib/awsprovider/resource"
)

// How long a NAT gateway may take to come and to go.
const (
	natGatewayCreate = 10 * time.Minute
	natGatewayDelete = 30 * time.Minute
)

// NatGatewayArgs are the inputs of aws:ec2/natGateway:NatGateway.
type NatGatewayArgs struct {
	resource.Tagged
	SubnetID         string  `pulumi:"subnetId" aws:"forcenew"`
	AllocationID     *string `pulumi:"allocationId,optional" aws:"forcenew"`
	ConnectivityType *string `pulumi:"connectivityType,optional" aws:"forcenew"`
}

// NatGatewayState is its state.
type NatGatewayState struct {
	NatGatewayArgs
	resource.AllTags
	AssociationID      string `pulumi:"associationId"`
	NetworkInterfaceID string `pulumi:"networkInterfaceId"`
	PrivateIP          string `pulumi:"privateIp"`
	PublicIP           string `pulumi:"publicIp"`
}

var natGateway = resource.Description[NatGatewayArgs, NatGatewayState]{
	Token: "aws:ec2/natGateway:NatGateway",
	Check: func(a *NatGatewayArgs) []resource.Fault {
		if a.ConnectivityType == nil {
			a.ConnectivityType = aws.String(string(types.ConnectivityTypePublic))
		}
		if *a.ConnectivityType == string(types.ConnectivityTypePrivate) && aws.ToString(a.AllocationID) != "" {
			return []resource.Fault{{Property: "allocationId", Reason: "a private NAT gateway takes none"}}
		}
		return nil
	},
	Create: func(ctx context.Context, c *resource.Cloud, a NatGatewayArgs) (string, error) {
		out, err := c.EC2.CreateNatGateway(ctx, &ec2.CreateNatGatewayInput{
			SubnetId: &a.SubnetID, AllocationId: a.AllocationID,
			ConnectivityType:  types.ConnectivityType(aws.ToString(a.ConnectivityType)),
			TagSpecifications: tagged(types.ResourceTypeNatgateway, a.Tags),
		})
		if err != nil {
			return "", err
		}
		id, err := created(value(out.NatGateway).NatGatewayId)
		if err != nil {
			return "", err
		}
		failed, err := awaitNatGateway(ctx, c, id)
		if failed {
			if gone := deleteNatGateway(ctx, c, id); gone == nil || resource.NotFound(gone) {
				id = ""
			}
		}
		return id, err
	},
	Read: func(ctx context.Context, c *resource.Cloud, id string, prior NatGatewayState) (NatGatewayState, error) {
		g, err := findNatGateway(ctx, c, id)
		if err != nil {
			return prior, err
		}
		s := NatGatewayState{NatGatewayArgs: NatGatewayArgs{
			Tagged: resource.Tagged{Tags: tagMap(g.Tags)}, SubnetID: aws.ToString(g.SubnetId),
			ConnectivityType: aws.String(string(g.ConnectivityType)),
		}}
		s.TagsAll = s.Tags
		// The first address is the primary one where none says so.
		for i, a := range g.NatGatewayAddresses {
			if i == 0 || aws.ToBool(a.IsPrimary) {
				s.AllocationID, s.AssociationID = a.AllocationId, aws.ToString(a.AssociationId)
				s.NetworkInterfaceID = aws.ToString(a.NetworkInterfaceId)
				s.PrivateIP, s.PublicIP = aws.ToString(a.PrivateIp), aws.ToString(a.PublicIp)
			}
		}
		if len(g.NatGatewayAddresses) == 0 { // EC2 always lists one: an API that lists none keeps silent about it
			s.AllocationID = prior.AllocationID
		}
		return s, nil
	},
	Update: func(ctx context.Context, c *resource.Cloud, id string, old NatGatewayState, a NatGatewayArgs) error {
		if old.NetworkInterfaceID == "" { // its creation never came to an end
			if _, err := awaitNatGateway(ctx, c, id); err != nil {
				return err
			}
		}
		return updateTags(ctx, c, id, old.Tags, a.Tags)
	},
	Delete: func(ctx context.Context, c *resource.Cloud, id string, _ NatGatewayState) error {
		return deleteNatGateway(ctx, c, id)
	},
	Example: func(x resource.Scratch) resource.Example[NatGatewayArgs] {
		network := makeVpc(x)
		x.Make("aws:ec2/internetGateway:InternetGateway", map[string]any{"vpcId": network})
		return resource.Example[NatGatewayArgs]{
			Inputs: NatGatewayArgs{
				SubnetID:     makeSubnet(x, network, "10.0.1.0/24"),
				AllocationID: aws.String(x.Make("aws:ec2/eip:Eip", map[string]any{"domain": "vpc"}).ID), Tagged: named("nat"),
			},
			Changes: []resource.Change[NatGatewayArgs]{
				changeTags(func(a *NatGatewayArgs) *resource.Tagged { return &a.Tagged }),
			},
		}
	},
}

// awaitNatGateway waits until the gateway is available. One that failed never will be.
func awaitNatGateway(ctx context.Context, c *resource.Cloud, id string) (failed bool, err error) {
	err = resource.PollThere(ctx, "NAT gateway "+id+" is available", natGatewayCreate, func(ctx context.Context) (bool, error) {
		g, err := findNatGateway(ctx, c, id)
		if g.State == types.NatGatewayStateFailed {
			failed = true
			return false, fmt.Errorf("%s: %s", aws.ToString(g.FailureCode), aws.ToString(g.FailureMessage))
		}
		return g.State == types.NatGatewayStateAvailable, err
	})
	return failed, err
}

func deleteNatGateway(ctx context.Context, c *resource.Cloud, id string) error {
	if _, err := c.EC2.DeleteNatGateway(ctx, &ec2.DeleteNatGatewayInput{NatGatewayId: &id}); err != nil {
		return err
	}
	return resource.PollGone(ctx, "NAT gateway "+id, natGatewayDelete, func(ctx context.Context) error {
		return ask(findNatGateway(ctx, c, id))
	})
}

// findNatGateway finds a NAT gateway that is not deleted: EC2 lists deleted ones for another hour.
func findNatGateway(ctx context.Context, c *resource.Cloud, id string) (types.NatGateway, error) {
	out, err := c.EC2.DescribeNatGateways(ctx, &ec2.DescribeNatGatewaysInput{NatGatewayIds: []string{id}})
	if err != nil {
		return types.NatGateway{}, err
	}
	g, err := first(out.NatGateways)
	if g.State == types.NatGatewayStateDeleted {
		return types.NatGateway{}, resource.ErrNotFound
	}
	return g, err
}
