// Package acm implements the aws:acm types: certificates, imported or requested with DNS validation, and the wait for
// such a validation. Reference: the ACM API and the aws_acm_certificate* resources of the Terraform AWS provider 5.x.
package acm

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
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

func client(c *resource.Cloud) *acm.Client { return acm.NewFromConfig(c.Config) }

func describe(ctx context.Context, c *resource.Cloud, arn string) (*types.CertificateDetail, error) {
	out, err := client(c).DescribeCertificate(ctx, &acm.DescribeCertificateInput{CertificateArn: &arn})
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
	out, err := client(c).ListTagsForCertificate(ctx, &acm.ListTagsForCertificateInput{CertificateArn: &arn})
	if err != nil {
		return nil, fmt.Errorf("reading tags: %w", err)
	}
	return resource.TagMap(out.Tags, func(t types.Tag) (*string, *string) { return t.Key, t.Value }), nil
}

func updateTags(ctx context.Context, c *resource.Cloud, arn string, old, now map[string]string) error {
	set, remove := resource.TagDelta(old, now)
	if len(remove) > 0 {
		in := &acm.RemoveTagsFromCertificateInput{CertificateArn: &arn}
		for _, key := range remove {
			in.Tags = append(in.Tags, types.Tag{Key: aws.String(key)})
		}
		if _, err := client(c).RemoveTagsFromCertificate(ctx, in); err != nil {
			return fmt.Errorf("removing tags: %w", err)
		}
	}
	if len(set) == 0 {
		return nil
	}
	in := &acm.AddTagsToCertificateInput{CertificateArn: &arn, Tags: tagList(set)}
	if _, err := client(c).AddTagsToCertificate(ctx, in); err != nil {
		return fmt.Errorf("setting tags: %w", err)
	}
	return nil
}
