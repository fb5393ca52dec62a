package ec2

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"tapstack/lib/awsprovider/resource"
)

// RouteArgs are the inputs of aws:ec2/route:Route.
type RouteArgs struct {
	RouteTableID         string  `pulumi:"routeTableId" aws:"forcenew"`
	DestinationCidrBlock string  `pulumi:"destinationCidrBlock" aws:"forcenew"`
	GatewayID            *string `pulumi:"gatewayId,optional"`
	NatGatewayID         *string `pulumi:"natGatewayId,optional"`
}

// RouteState is its state.
type RouteState struct {
	RouteArgs
	Origin string `pulumi:"origin"`
	State  string `pulumi:"state"`
}

var route = resource.Description[RouteArgs, RouteState]{
	Token: "aws:ec2/route:Route",
	Check: func(a *RouteArgs) []resource.Fault {
		faults := cidrFaults("destinationCidrBlock", a.DestinationCidrBlock)
		if aws.ToString(a.GatewayID) != "" && aws.ToString(a.NatGatewayID) != "" {
			faults = append(faults, resource.Fault{Property: "natGatewayId", Reason: "conflicts with gatewayId: a route has one target"})
		}
		return faults
	},
	Create: func(ctx context.Context, c *resource.Cloud, a RouteArgs) (string, error) {
		err := resource.RetryOn(ctx, "a route to "+a.DestinationCidrBlock+" can be created", settle, func(ctx context.Context) error {
			return ask(c.EC2.CreateRoute(ctx, &ec2.CreateRouteInput{
				RouteTableId: &a.RouteTableID, DestinationCidrBlock: &a.DestinationCidrBlock,
				GatewayId: a.GatewayID, NatGatewayId: a.NatGatewayID,
			}))
		}, "InvalidParameterException")
		if err != nil {
			return "", err
		}
		return routeID(a), awaitRoute(ctx, c, a)
	},
	Read: readRoute,
	Update: func(ctx context.Context, c *resource.Cloud, _ string, old RouteState, a RouteArgs) error {
		if sameTarget(old.RouteArgs, a) && old.State != "" {
			return nil
		}
		err := resource.RetryOn(ctx, "the route to "+a.DestinationCidrBlock+" can be changed", settle, func(ctx context.Context) error {
			return ask(c.EC2.ReplaceRoute(ctx, &ec2.ReplaceRouteInput{
				RouteTableId: &a.RouteTableID, DestinationCidrBlock: &a.DestinationCidrBlock,
				GatewayId: a.GatewayID, NatGatewayId: a.NatGatewayID,
			}))
		}, "InvalidParameterException")
		if err != nil {
			return err
		}
		return awaitRoute(ctx, c, a)
	},
	Delete: func(ctx context.Context, c *resource.Cloud, id string, s RouteState) error {
		err := resource.RetryOn(ctx, "route "+id+" can be deleted", settle, func(ctx context.Context) error {
			return ask(c.EC2.DeleteRoute(ctx, &ec2.DeleteRouteInput{
				RouteTableId: &s.RouteTableID, DestinationCidrBlock: &s.DestinationCidrBlock,
			}))
		}, "InvalidParameterException")
		if err != nil {
			return err
		}
		return resource.PollGone(ctx, "route "+id, settle, func(ctx context.Context) error {
			return ask(findRoute(ctx, c, s.RouteArgs))
		})
	},
	Example: func(x resource.Scratch) resource.Example[RouteArgs] {
		network := makeVpc(x)
		gateway := x.Make("aws:ec2/internetGateway:InternetGateway", map[string]any{"vpcId": network}).ID
		nat := x.Make("aws:ec2/natGateway:NatGateway", map[string]any{
			"subnetId":     makeSubnet(x, network, "10.0.1.0/24"),
			"allocationId": x.Make("aws:ec2/eip:Eip", map[string]any{"domain": "vpc"}).ID,
		}).ID
		return resource.Example[RouteArgs]{
			Inputs: RouteArgs{RouteTableID: makeRouteTable(x, network), DestinationCidrBlock: "0.0.0.0/0", GatewayID: &gateway},
			Changes: []resource.Change[RouteArgs]{
				{Name: "target", Apply: func(a *RouteArgs) { a.GatewayID, a.NatGatewayID = nil, &nat }},
			},
		}
	},
}

// routeID is the id that the official provider gives to a route, for which EC2 has none.
func routeID(a RouteArgs) string {
	return fmt.Sprintf("r-%s%d", a.RouteTableID, crc32.ChecksumIEEE([]byte(a.DestinationCidrBlock)))
}

func readRoute(ctx context.Context, c *resource.Cloud, id string, prior RouteState) (RouteState, error) {
	if prior.RouteTableID == "" {
		return prior, errors.New("the local provider cannot import a route: the id " + id + " does not tell its table and destination")
	}
	r, err := findRoute(ctx, c, prior.RouteArgs)
	if err != nil {
		return prior, err
	}
	return RouteState{
		RouteArgs: RouteArgs{
			RouteTableID: prior.RouteTableID, DestinationCidrBlock: prior.DestinationCidrBlock,
			GatewayID: r.GatewayId, NatGatewayID: r.NatGatewayId,
		},
		Origin: string(r.Origin), State: string(r.State),
	}, nil
}

// awaitRoute waits until the table shows the route with its target.
func awaitRoute(ctx context.Context, c *resource.Cloud, a RouteArgs) error {
	return resource.PollThere(ctx, "route table "+a.RouteTableID+" shows "+a.DestinationCidrBlock, settle, func(ctx context.Context) (bool, error) {
		r, err := findRoute(ctx, c, a)
		return sameTarget(RouteArgs{GatewayID: r.GatewayId, NatGatewayID: r.NatGatewayId}, a), err
	})
}

func sameTarget(a, b RouteArgs) bool {
	return aws.ToString(a.GatewayID) == aws.ToString(b.GatewayID) && aws.ToString(a.NatGatewayID) == aws.ToString(b.NatGatewayID)
}

func findRoute(ctx context.Context, c *resource.Cloud, a RouteArgs) (types.Route, error) {
	t, err := findRouteTable(ctx, c, a.RouteTableID)
	if err != nil {
		return types.Route{}, err
	}
	for _, r := range t.Routes {
		if sameCidr(aws.ToString(r.DestinationCidrBlock), a.DestinationCidrBlock) {
			return r, nil
		}
	}
	return types.Route{}, resource.ErrNotFound
}

// sameCidr compares networks by meaning.
func sameCidr(a, b string) bool {
	x, errX := netip.ParsePrefix(a)
	y, errY := netip.ParsePrefix(b)
	return a == b || errX == nil && errY == nil && x.Masked() == y.Masked()
}
