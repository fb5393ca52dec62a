package ec2

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"tapstack/lib/awsprovider/resource"
)

// RouteTableArgs are the inputs of aws:ec2/routeTable:RouteTable. Routes are resources of their own.
type RouteTableArgs struct {
	resource.Tagged
	VpcID string `pulumi:"vpcId" aws:"forcenew"`
}

// RouteTableState is its state.
type RouteTableState struct {
	RouteTableArgs
	resource.AllTags
	Arn     string `pulumi:"arn"`
	OwnerID string `pulumi:"ownerId"`
}

var routeTable = resource.Description[RouteTableArgs, RouteTableState]{
	Token: "aws:ec2/routeTable:RouteTable",
	Create: func(ctx context.Context, c *resource.Cloud, a RouteTableArgs) (string, error) {
		out, err := c.EC2.CreateRouteTable(ctx, &ec2.CreateRouteTableInput{
			VpcId: &a.VpcID, TagSpecifications: tagged(types.ResourceTypeRouteTable, a.Tags),
		})
		if err != nil {
			return "", err
		}
		id, err := created(value(out.RouteTable).RouteTableId)
		if err != nil {
			return "", err
		}
		return id, resource.PollThere(ctx, "route table "+id+" exists", settle, func(ctx context.Context) (bool, error) {
			_, err := findRouteTable(ctx, c, id)
			return true, err
		})
	},
	Read: func(ctx context.Context, c *resource.Cloud, id string, prior RouteTableState) (RouteTableState, error) {
		t, err := findRouteTable(ctx, c, id)
		if err != nil {
			return prior, err
		}
		tags := tagMap(t.Tags)
		return RouteTableState{
			RouteTableArgs: RouteTableArgs{Tagged: resource.Tagged{Tags: tags}, VpcID: aws.ToString(t.VpcId)},
			AllTags:        resource.AllTags{TagsAll: tags},
			Arn:            arn(c, t.OwnerId, "route-table", id), OwnerID: aws.ToString(t.OwnerId),
		}, nil
	},
	Update: func(ctx context.Context, c *resource.Cloud, id string, old RouteTableState, a RouteTableArgs) error {
		return updateTags(ctx, c, id, old.Tags, a.Tags)
	},
	Delete: deleteRouteTable,
	Example: func(x resource.Scratch) resource.Example[RouteTableArgs] {
		return resource.Example[RouteTableArgs]{
			Inputs: RouteTableArgs{VpcID: makeVpc(x), Tagged: named("route-table")},
			Changes: []resource.Change[RouteTableArgs]{
				changeTags(func(a *RouteTableArgs) *resource.Tagged { return &a.Tagged }),
			},
		}
	},
}

// deleteRouteTable takes the table away from whatever still uses it, and deletes it.
func deleteRouteTable(ctx context.Context, c *resource.Cloud, id string, _ RouteTableState) error {
	t, err := findRouteTable(ctx, c, id)
	if err != nil {
		return err
	}
	for _, a := range t.Associations {
		if err := disassociate(ctx, c, aws.ToString(a.RouteTableAssociationId)); err != nil && !resource.NotFound(err) {
			return err
		}
	}
	err = resource.RetryOn(ctx, "route table "+id+" can be deleted", settle, func(ctx context.Context) error {
		return ask(c.EC2.DeleteRouteTable(ctx, &ec2.DeleteRouteTableInput{RouteTableId: &id}))
	}, dependencyViolation)
	if err != nil {
		return err
	}
	return resource.PollGone(ctx, "route table "+id, settle, func(ctx context.Context) error {
		return ask(findRouteTable(ctx, c, id))
	})
}

func findRouteTable(ctx context.Context, c *resource.Cloud, id string) (types.RouteTable, error) {
	out, err := c.EC2.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{RouteTableIds: []string{id}})
	if err != nil {
		return types.RouteTable{}, err
	}
	return first(out.RouteTables)
}

// RouteTableAssociationArgs are the inputs of aws:ec2/routeTableAssociation:RouteTableAssociation.
type RouteTableAssociationArgs struct {
	SubnetID     string `pulumi:"subnetId" aws:"forcenew"`
	RouteTableID string `pulumi:"routeTableId"`
}

// RouteTableAssociationState is its state. EC2 gives an association a new id when its table changes, which the engine does
// not follow, so that an association is known by its subnet, which has at most one.
type RouteTableAssociationState struct{ RouteTableAssociationArgs }

var routeTableAssociation = resource.Description[RouteTableAssociationArgs, RouteTableAssociationState]{
	Token: "aws:ec2/routeTableAssociation:RouteTableAssociation",
	Create: func(ctx context.Context, c *resource.Cloud, a RouteTableAssociationArgs) (string, error) {
		var id string
		err := resource.RetryOn(ctx, "route table "+a.RouteTableID+" can be associated", settle, func(ctx context.Context) error {
			out, err := c.EC2.AssociateRouteTable(ctx, &ec2.AssociateRouteTableInput{
				RouteTableId: &a.RouteTableID, SubnetId: &a.SubnetID,
			})
			if err == nil {
				id, err = created(out.AssociationId)
			}
			return err
		}, "InvalidRouteTableID.NotFound")
		if err != nil {
			return "", err
		}
		return id, awaitAssociation(ctx, c, id, a)
	},
	Read: func(ctx context.Context, c *resource.Cloud, id string, prior RouteTableAssociationState) (RouteTableAssociationState, error) {
		a, err := findAssociation(ctx, c, id, prior.SubnetID)
		if err != nil {
			return prior, err
		}
		return RouteTableAssociationState{RouteTableAssociationArgs{
			SubnetID: aws.ToString(a.SubnetId), RouteTableID: aws.ToString(a.RouteTableId),
		}}, nil
	},
	Update: func(ctx context.Context, c *resource.Cloud, id string, _ RouteTableAssociationState, a RouteTableAssociationArgs) error {
		is, err := findAssociation(ctx, c, id, a.SubnetID)
		if err != nil {
			return err
		}
		if aws.ToString(is.RouteTableId) != a.RouteTableID {
			_, err := c.EC2.ReplaceRouteTableAssociation(ctx, &ec2.ReplaceRouteTableAssociationInput{
				AssociationId: is.RouteTableAssociationId, RouteTableId: &a.RouteTableID,
			})
			if err != nil {
				return err
			}
		}
		return awaitAssociation(ctx, c, id, a)
	},
	Delete: func(ctx context.Context, c *resource.Cloud, id string, s RouteTableAssociationState) error {
		is, err := findAssociation(ctx, c, id, s.SubnetID)
		if err != nil {
			return err
		}
		if err := disassociate(ctx, c, aws.ToString(is.RouteTableAssociationId)); err != nil {
			return err
		}
		return resource.PollGone(ctx, "route table association "+id, settle, func(ctx context.Context) error {
			return ask(findAssociation(ctx, c, id, s.SubnetID))
		})
	},
	Example: func(x resource.Scratch) resource.Example[RouteTableAssociationArgs] {
		network := makeVpc(x)
		inputs := RouteTableAssociationArgs{SubnetID: makeSubnet(x, network, "10.0.1.0/24"), RouteTableID: makeRouteTable(x, network)}
		other := makeRouteTable(x, network)
		return resource.Example[RouteTableAssociationArgs]{
			Inputs: inputs,
			Changes: []resource.Change[RouteTableAssociationArgs]{
				{Name: "route table", Apply: func(a *RouteTableAssociationArgs) { a.RouteTableID = other }},
			},
		}
	},
}

// awaitAssociation waits until the subnet shows the table that it should have.
func awaitAssociation(ctx context.Context, c *resource.Cloud, id string, want RouteTableAssociationArgs) error {
	return resource.PollThere(ctx, "subnet "+want.SubnetID+" uses route table "+want.RouteTableID, settle, func(ctx context.Context) (bool, error) {
		a, err := findAssociation(ctx, c, id, want.SubnetID)
		associated := a.AssociationState == nil || a.AssociationState.State == types.RouteTableAssociationStateCodeAssociated
		return associated && aws.ToString(a.RouteTableId) == want.RouteTableID, err
	})
}

// findAssociation finds the association of a subnet, or, where the subnet is not known (an import), that of an id.
func findAssociation(ctx context.Context, c *resource.Cloud, id, subnetID string) (types.RouteTableAssociation, error) {
	by := filters("association.route-table-association-id", id)
	if subnetID != "" {
		by = filters("association.subnet-id", subnetID)
	}
	out, err := c.EC2.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{Filters: by})
	if err != nil {
		return types.RouteTableAssociation{}, err
	}
	for _, t := range out.RouteTables {
		for _, a := range t.Associations {
			gone := a.AssociationState != nil && a.AssociationState.State == types.RouteTableAssociationStateCodeDisassociated
			is := aws.ToString(a.SubnetId) == subnetID
			if subnetID == "" {
				is = aws.ToString(a.RouteTableAssociationId) == id
			}
			if is && !gone {
				return a, nil
			}
		}
	}
	return types.RouteTableAssociation{}, resource.ErrNotFound
}

func disassociate(ctx context.Context, c *resource.Cloud, associationID string) error {
	return ask(c.EC2.DisassociateRouteTable(ctx, &ec2.DisassociateRouteTableInput{AssociationId: &associationID}))
}

func makeRouteTable(x resource.Scratch, vpcID string) string {
	return x.Make("aws:ec2/routeTable:RouteTable", map[string]any{"vpcId": vpcID}).ID
}
