// Package wafv2 implements the aws:wafv2 types: web ACLs with managed rule groups and rate limits, their association
// with a resource, and their logging. Reference: the WAFV2 API and the aws_wafv2_web_acl* resources of the Terraform
// AWS provider 5.x.
package wafv2

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/wafv2"
	"github.com/aws/aws-sdk-go-v2/service/wafv2/types"

	"tapstack/lib/awsprovider/resource"
)

// timeout is the official provider's for every retry.
const timeout = 5 * time.Minute

// Codes by which the API asks to try again.
const (
	unavailable = "WAFUnavailableEntityException"      // something new is not known everywhere yet
	associated  = "WAFAssociatedItemException"         // something gone still counts as using the web ACL
	lockLost    = "WAFOptimisticLockException"         // somebody changed the web ACL meanwhile
	noRole      = "WAFServiceLinkedRoleErrorException" // the first logging configuration makes the role
	noWriting   = "WAFLogDestinationPermissionIssueException"
)

// Resources lists the types of this package.
func Resources() []resource.Resource {
	return []resource.Resource{
		resource.Define(webACL),
		resource.Define(association),
		resource.Define(logging),
	}
}

func tagList(tags map[string]string) []types.Tag {
	return resource.TagList(tags, func(k, v string) types.Tag { return types.Tag{Key: &k, Value: &v} })
}

func readTags(ctx context.Context, c *resource.Cloud, arn string) (map[string]string, error) {
	var all []types.Tag
	in := &wafv2.ListTagsForResourceInput{ResourceARN: &arn}
	for {
		out, err := c.WAF.ListTagsForResource(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("reading tags: %w", err)
		}
		if out.TagInfoForResource != nil {
			all = append(all, out.TagInfoForResource.TagList...)
		}
		if out.NextMarker == nil || *out.NextMarker == "" {
			return resource.TagMap(all, func(t types.Tag) (*string, *string) { return t.Key, t.Value }), nil
		}
		in.NextMarker = out.NextMarker
	}
}

func updateTags(ctx context.Context, c *resource.Cloud, arn string, old, now map[string]string) error {
	return resource.UpdateTags(old, now, func(keys []string) (any, error) {
		return c.WAF.UntagResource(ctx, &wafv2.UntagResourceInput{ResourceARN: &arn, TagKeys: keys})
	}, func(tags map[string]string) (any, error) {
		return c.WAF.TagResource(ctx, &wafv2.TagResourceInput{ResourceARN: &arn, Tags: tagList(tags)})
	})
}
