// Package lb implements the aws:lb types for Application Load Balancers: load balancers, target groups, listeners and
// listener rules. Reference: the Elastic Load Balancing v2 API and the aws_lb* resources of the Terraform AWS
// provider 5.x.
package lb

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"tapstack/lib/awsprovider/resource"
)

// Resources lists the types of this package.
func Resources() []resource.Resource {
	return []resource.Resource{
		resource.Define(loadBalancer),
		resource.Define(targetGroup),
		resource.Define(listener),
		resource.Define(listenerRule),
	}
}

// names is what the API accepts as the name of a load balancer or a target group, beside the length.
var names = regexp.MustCompile(`^[0-9A-Za-z]([0-9A-Za-z-]*[0-9A-Za-z])?$`)

// nameFaults holds a name to the API's limit of 32 alphanumeric characters and hyphens.
func nameFaults(name string) []resource.Fault {
	if name == "" || len(name) <= 32 && names.MatchString(name) {
		return nil
	}
	return []resource.Fault{{Property: "name", Reason: fmt.Sprintf(
		"%q must have at most 32 letters, digits and hyphens, and no hyphen at either end", name)}}
}

func tagList(tags map[string]string) []types.Tag {
	return resource.TagList(tags, func(k, v string) types.Tag { return types.Tag{Key: &k, Value: &v} })
}

func readTags(ctx context.Context, c *resource.Cloud, arn string) (map[string]string, error) {
	out, err := c.ELB.DescribeTags(ctx, &elb.DescribeTagsInput{ResourceArns: []string{arn}})
	if err != nil {
		return nil, fmt.Errorf("reading tags: %w", err)
	}
	for _, d := range out.TagDescriptions {
		if aws.ToString(d.ResourceArn) == arn {
			return resource.TagMap(d.Tags, func(t types.Tag) (*string, *string) { return t.Key, t.Value }), nil
		}
	}
	return nil, nil
}

func updateTags(ctx context.Context, c *resource.Cloud, arn string, old, now map[string]string) error {
	return resource.UpdateTags(old, now, func(keys []string) (any, error) {
		return c.ELB.RemoveTags(ctx, &elb.RemoveTagsInput{ResourceArns: []string{arn}, TagKeys: keys})
	}, func(tags map[string]string) (any, error) {
		return c.ELB.AddTags(ctx, &elb.AddTagsInput{ResourceArns: []string{arn}, Tags: tagList(tags)})
	})
}

// suffix is what CloudWatch names a load balancer or target group by: its ARN from the marker on.
func suffix(arn, marker string) string {
	if i := strings.Index(arn, marker); i >= 0 {
		return arn[i:]
	}
	return ""
}
