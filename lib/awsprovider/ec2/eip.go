package ec2

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"tapstack/lib/awsprovider/partition"
	"tapstack/lib/awsprovider/resource"
)

// EipArgs are the inputs of aws:ec2/eip:Eip.
type EipArgs struct {
	resource.Tagged
	Domain *string `pulumi:"domain,optional" aws:"forcenew,computed"`
}

// EipState is its state. What the address is associated with is left out: it changes by other resources' doing, and would
// show as a change of this one.
type EipState struct {
	EipArgs
	resource.AllTags
	Arn                string `pulumi:"arn"`
	AllocationID       string `pulumi:"allocationId"`
	PublicIP           string `pulumi:"publicIp"`
	PublicDNS          string `pulumi:"publicDns"`
	Vpc                bool   `pulumi:"vpc"`
	PublicIpv4Pool     string `pulumi:"publicIpv4Pool"`
	NetworkBorderGroup string `pulumi:"networkBorderGroup"`
}

var eip = resource.Description[EipArgs, EipState]{
	Token: "aws:ec2/eip:Eip",
	Check: func(a *EipArgs) []resource.Fault {
		if d := aws.ToString(a.Domain); d != "" && d != string(types.DomainTypeVpc) {
			return []resource.Fault{{Property: "domain", Reason: `must be "vpc"`}}
		}
		return nil
	},
	Create: func(ctx context.Context, c *resource.Cloud, a EipArgs) (string, error) {
		out, err := c.EC2.AllocateAddress(ctx, &ec2.AllocateAddressInput{
			Domain: types.DomainTypeVpc, TagSpecifications: tagged(types.ResourceTypeElasticIp, a.Tags),
		})
		if err != nil {
			return "", err
		}
		id, err := created(out.AllocationId)
		if err != nil {
			return "", err
		}
		return id, resource.PollThere(ctx, "address "+id+" is allocated", 15*time.Minute, func(ctx context.Context) (bool, error) {
			_, err := findAddress(ctx, c, id)
			return true, err
		})
	},
	Read: func(ctx context.Context, c *resource.Cloud, id string, prior EipState) (EipState, error) {
		a, err := findAddress(ctx, c, id)
		if err != nil {
			return prior, err
		}
		account, err := c.Account(ctx)
		if err != nil {
			return prior, err
		}
		tags := tagMap(a.Tags)
		return EipState{
			Arn: arn(c, &account, "elastic-ip", id), PublicDNS: publicName(c.Region, aws.ToString(a.PublicIp)), Vpc: a.Domain == types.DomainTypeVpc,
			EipArgs: EipArgs{Tagged: resource.Tagged{Tags: tags}, Domain: aws.String(string(a.Domain))},
			AllTags: resource.AllTags{TagsAll: tags}, AllocationID: id, PublicIP: aws.ToString(a.PublicIp),
			PublicIpv4Pool: aws.ToString(a.PublicIpv4Pool), NetworkBorderGroup: aws.ToString(a.NetworkBorderGroup),
		}, nil
	},
	Update: func(ctx context.Context, c *resource.Cloud, id string, old EipState, a EipArgs) error {
		return updateTags(ctx, c, id, old.Tags, a.Tags)
	},
	Delete: func(ctx context.Context, c *resource.Cloud, id string, _ EipState) error {
		err := resource.RetryOn(ctx, "address "+id+" can be released", 3*time.Minute, func(ctx context.Context) error {
			return ask(c.EC2.ReleaseAddress(ctx, &ec2.ReleaseAddressInput{AllocationId: &id}))
		}, "InvalidIPAddress.InUse")
		if err != nil {
			return err
		}
		return resource.PollGone(ctx, "address "+id, settle, func(ctx context.Context) error {
			return ask(findAddress(ctx, c, id))
		})
	},
	Example: func(resource.Scratch) resource.Example[EipArgs] {
		return resource.Example[EipArgs]{
			Inputs: EipArgs{Domain: aws.String("vpc"), Tagged: named("eip")},
			Changes: []resource.Change[EipArgs]{
				changeTags(func(a *EipArgs) *resource.Tagged { return &a.Tagged }),
			},
		}
	},
}

// publicName is the name that EC2 gives an address ("Public DNS hostnames", VPC user guide).
func publicName(region, address string) string {
	zone := region + ".compute"
	if region == "us-east-1" {
		zone = "compute-1"
	}
	return fmt.Sprintf("ec2-%s.%s.%s", strings.ReplaceAll(address, ".", "-"), zone, partition.Of(region).DNSSuffix)
}

func findAddress(ctx context.Context, c *resource.Cloud, id string) (types.Address, error) {
	out, err := c.EC2.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{AllocationIds: []string{id}})
	if err != nil {
		return types.Address{}, err
	}
	return first(out.Addresses)
}
