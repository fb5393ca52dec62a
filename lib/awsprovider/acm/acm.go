// Package acm implements the aws:acm types: certificates, imported or requested with DNS validation, and the wait for
// such a validation. Reference: the ACM API and the aws_acm_certificate* resources of the Terraform AWS provider 5.x.
package acm

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/acm/types"

	"tapstack/lib/awsprovider/resource"
)

// Resources lists the types of this package.
func Resources() []resource.Resource {
	return []resource.Resource{
		resource.Define(certificate),
		resource.Define(certificateValidation),
	}
}

func describe(ctx context.Context, c *resource.Cloud, arn string) (*types.CertificateDetail, error) {
	out, err := c.ACM.DescribeCertificate(ctx, &acm.DescribeCertificateInput{CertificateArn: &arn})
	if err != nil {
		return nil, err
	}
	if out.Certificate == nil {
		return nil, resource.ErrNotFound
	}
	return out.Certificate, nil
}

func tagList(tags map[string]string) []types.Tag {
	return resource.TagList(tags, func(k, v string) types.Tag { return types.Tag{Key: &k, Value: &v} })
}

func readTags(ctx context.Context, c *resource.Cloud, arn string) (map[string]string, error) {
	out, err := c.ACM.ListTagsForCertificate(ctx, &acm.ListTagsForCertificateInput{CertificateArn: &arn})
	if err != nil {
		return nil, fmt.Errorf("reading tags: %w", err)
	}
	return resource.TagMap(out.Tags, func(t types.Tag) (*string, *string) { return t.Key, t.Value }), nil
}

func updateTags(ctx context.Context, c *resource.Cloud, arn string, old, now map[string]string) error {
	return resource.UpdateTags(old, now, func(keys []string) (any, error) {
		in := &acm.RemoveTagsFromCertificateInput{CertificateArn: &arn}
		for _, key := range keys {
			in.Tags = append(in.Tags, types.Tag{Key: &key})
		}
		return c.ACM.RemoveTagsFromCertificate(ctx, in)
	}, func(tags map[string]string) (any, error) {
		return c.ACM.AddTagsToCertificate(ctx, &acm.AddTagsToCertificateInput{CertificateArn: &arn, Tags: tagList(tags)})
	})
}
