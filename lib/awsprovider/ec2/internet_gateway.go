package ec2

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"tapstack/lib/awsprovider/resource"
	"tapstack/lib/cloud"
)

// internetGatewayWait is how long attaching, detaching and deleting may take each.
const internetGatewayWait = 20 * time.Minute

// InternetGatewayArgs are the inputs of aws:ec2/internetGateway:InternetGateway.
type InternetGatewayArgs struct {
	resource.Tagged
	VpcID *string `pulumi:"vpcId,optional" aws:"computed"`
}

// InternetGatewayState is its state.
type InternetGatewayState struct {
	InternetGatewayArgs
	resource.AllTags
	Arn     string `pulumi:"arn"`
	OwnerID string `pulumi:"ownerId"`
}

var internetGateway = resource.Description[InternetGatewayArgs, InternetGatewayState]{
	Token: "aws:ec2/internetGateway:InternetGateway",
	Create: func(ctx context.Context, c *resource.Cloud, a InternetGatewayArgs) (string, error) {
		out, err := c.EC2.CreateInternetGateway(ctx, &ec2.CreateInternetGatewayInput{
			TagSpecifications: tagged(types.ResourceTypeInternetGateway, a.Tags),
		})
		if err != nil {
			return "", err
		}
		id, err := created(value(out.InternetGateway).InternetGatewayId)
		if err != nil {
			return "", err
		}
		return id, attach(ctx, c, id, a.VpcID)
	},
	Read: func(ctx context.Context, c *resource.Cloud, id string, prior InternetGatewayState) (InternetGatewayState, error) {
		g, err := findInternetGateway(ctx, c, id)
		if err != nil {
			return prior, err
		}
		s := InternetGatewayState{Arn: arn(c, g.OwnerId, "internet-gateway", id), OwnerID: aws.ToString(g.OwnerId)}
		for _, at := range g.Attachments {
			s.VpcID = at.VpcId
		}
		s.Tags = tagMap(g.Tags)
		s.TagsAll = s.Tags
		return s, nil
	},
	Update: func(ctx context.Context, c *resource.Cloud, id string, old InternetGatewayState, a InternetGatewayArgs) error {
		if old.Arn == "" || aws.ToString(a.VpcID) != aws.ToString(old.VpcID) {
			if err := detach(ctx, c, id); err != nil {
				return err
			}
			if err := attach(ctx, c, id, a.VpcID); err != nil {
				return err
			}
		}
		return updateTags(ctx, c, id, old.Tags, a.Tags)
	},
	Delete: func(ctx context.Context, c *resource.Cloud, id string, _ InternetGatewayState) error {
		if err := detach(ctx, c, id); err != nil {
			return err
		}
		err := resource.RetryOn(ctx, "internet gateway "+id+" can be deleted", internetGatewayWait, func(ctx context.Context) error {
			return ask(c.EC2.DeleteInternetGateway(ctx, &ec2.DeleteInternetGatewayInput{InternetGatewayId: &id}))
		}, dependencyViolation)
		if err != nil {
			return err
		}
		return resource.PollGone(ctx, "internet gateway "+id, settle, func(ctx context.Context) error {
			return ask(findInternetGateway(ctx, c, id))
		})
	},
	Example: func(x resource.Scratch) resource.Example[InternetGatewayArgs] {
		first, second := makeVpc(x), makeVpc(x)
		return resource.Example[InternetGatewayArgs]{
			Inputs: InternetGatewayArgs{VpcID: &first, Tagged: named("internet-gateway")},
			Changes: []resource.Change[InternetGatewayArgs]{
				{Name: "VPC", Apply: func(a *InternetGatewayArgs) { a.VpcID = &second }},
				changeTags(func(a *InternetGatewayArgs) *resource.Tagged { return &a.Tagged }),
			},
		}
	},
}

// attach attaches the gateway to a VPC, if one is given, and waits until it shows.
func attach(ctx context.Context, c *resource.Cloud, id string, vpcID *string) error {
	if aws.ToString(vpcID) == "" {
		return nil
	}
	err := resource.RetryOn(ctx, "internet gateway "+id+" can be attached", internetGatewayWait, func(ctx context.Context) error {
		return ask(c.EC2.AttachInternetGateway(ctx, &ec2.AttachInternetGatewayInput{InternetGatewayId: &id, VpcId: vpcID}))
	}, "InvalidInternetGatewayID.NotFound")
	if err != nil {
		return err
	}
	return resource.PollThere(ctx, "internet gateway "+id+" is attached", internetGatewayWait, func(ctx context.Context) (bool, error) {
		g, err := findInternetGateway(ctx, c, id)
		for _, at := range g.Attachments {
			// "available" is the API's word for an attached internet gateway (InternetGatewayAttachment, EC2 API reference).
			if state := string(at.State); aws.ToString(at.VpcId) == *vpcID && (state == "available" || state == "attached") {
				return true, nil
			}
		}
		return false, err
	})
}

// detach detaches the gateway from whatever VPC it is attached to. That is refused while public addresses are mapped in
// the VPC.
func detach(ctx context.Context, c *resource.Cloud, id string) error {
	g, err := findInternetGateway(ctx, c, id)
	if err != nil || len(g.Attachments) == 0 {
		return err
	}
	for _, at := range g.Attachments {
		err := resource.RetryOn(ctx, "internet gateway "+id+" can be detached", internetGatewayWait, func(ctx context.Context) error {
			_, err := c.EC2.DetachInternetGateway(ctx, &ec2.DetachInternetGatewayInput{InternetGatewayId: &id, VpcId: at.VpcId})
			if cloud.HasCode(err, "Gateway.NotAttached") {
				return nil
			}
			return err
		}, dependencyViolation)
		if err != nil {
			return err
		}
	}
	return resource.Poll(ctx, "internet gateway "+id+" is detached", internetGatewayWait, func(ctx context.Context) (bool, error) {
		g, err := findInternetGateway(ctx, c, id)
		return len(g.Attachments) == 0, err
	})
}

func findInternetGateway(ctx context.Context, c *resource.Cloud, id string) (types.InternetGateway, error) {
	out, err := c.EC2.DescribeInternetGateways(ctx, &ec2.DescribeInternetGatewaysInput{InternetGatewayIds: []string{id}})
	if err != nil {
		return types.InternetGateway{}, err
	}
	return first(out.InternetGateways)
}
