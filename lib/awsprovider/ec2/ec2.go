// Package ec2 implements the network types: aws:ec2/* and the security group rules of aws:vpc/*. It may reach EC2 alone.
// Reference: the EC2 API and the aws_vpc, aws_subnet, aws_nat_gateway … resources of the Terraform AWS provider 5.x.
package ec2

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"tapstack/lib/awsprovider/partition"
	"tapstack/lib/awsprovider/resource"
)

// settle is how long EC2 may take to show a change everywhere, as long as the official provider waits for it.
const settle = 5 * time.Minute

// Resources lists the types of this package.
func Resources() []resource.Resource {
	return []resource.Resource{
		resource.Define(vpc),
		resource.Define(subnet),
		resource.Define(internetGateway),
		resource.Define(eip),
		resource.Define(natGateway),
		resource.Define(routeTable),
		resource.Define(routeTableAssociation),
		resource.Define(route),
		resource.Define(flowLog),
		resource.Define(vpcEndpoint),
		resource.Define(securityGroup),
		resource.Define(defaultSecurityGroup),
		resource.Define(rule(ingress)),
		resource.Define(rule(egress)),
	}
}

// arn names an EC2 resource whose describe call returns no ARN.
func arn(c *resource.Cloud, owner *string, kind, id string) string {
	region := c.Region
	return fmt.Sprintf("arn:%s:ec2:%s:%s:%s/%s", partition.Of(region).ID, region, aws.ToString(owner), kind, id)
}

// filters asks a describe call for what has the given values, in pairs of name and value.
func filters(pairs ...string) []types.Filter {
	var list []types.Filter
	for i := 0; i+1 < len(pairs); i += 2 {
		list = append(list, types.Filter{Name: &pairs[i], Values: []string{pairs[i+1]}})
	}
	return list
}

// first is the one resource that a describe call was asked for; an empty answer is not found.
func first[T any](list []T) (T, error) {
	if len(list) == 0 {
		var none T
		return none, resource.ErrNotFound
	}
	return list[0], nil
}

// created is the id that a create call answered with.
func created(id *string) (string, error) {
	if aws.ToString(id) == "" {
		return "", errors.New("the API answered without an id")
	}
	return *id, nil
}

// value is what p points to, or the zero value where an answer lacks it.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// ask makes a call whose answer does not matter.
func ask[T any](_ T, err error) error { return err }

const dependencyViolation = "DependencyViolation"

// tagged are the tags that a create call gives to what it makes.
func tagged(kind types.ResourceType, tags map[string]string) []types.TagSpecification {
	if len(tags) == 0 {
		return nil
	}
	return []types.TagSpecification{{ResourceType: kind, Tags: tagList(tags)}}
}

func tagList(tags map[string]string) []types.Tag {
	return resource.TagList(tags, func(k, v string) types.Tag { return types.Tag{Key: &k, Value: &v} })
}

func tagMap(tags []types.Tag) map[string]string {
	return resource.TagMap(tags, func(t types.Tag) (*string, *string) { return t.Key, t.Value })
}

// updateTags brings the tags of any EC2 resource from old to now.
func updateTags(ctx context.Context, c *resource.Cloud, id string, old, now map[string]string) error {
	return resource.UpdateTags(old, now, func(keys []string) (any, error) {
		in := &ec2.DeleteTagsInput{Resources: []string{id}}
		for _, key := range keys {
			in.Tags = append(in.Tags, types.Tag{Key: &key})
		}
		return c.EC2.DeleteTags(ctx, in)
	}, func(tags map[string]string) (any, error) {
		return c.EC2.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{id}, Tags: tagList(tags)})
	})
}

// changeTags is an example's change, which every taggable type has.
func changeTags[A any](of func(*A) *resource.Tagged) resource.Change[A] {
	return resource.Change[A]{Name: "tags", Apply: func(a *A) {
		of(a).Tags = map[string]string{"Name": "other", "More": "yes"}
	}}
}

func named(name string) resource.Tagged {
	return resource.Tagged{Tags: map[string]string{"Name": name}}
}
