package inventory

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"tapstack/lib/cloud"
)

func s3Kinds() []*Kind { return []*Kind{Bucket} }

// Bucket is listed from all regions.
var Bucket = &Kind{
	Name: "bucket", Service: "s3", Types: []string{"aws:s3/bucketV2:BucketV2"}, NameInput: "bucket",
	Parts: map[string]string{
		"aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2":                       partOf,
		"aws:s3/bucketOwnershipControls:BucketOwnershipControls":                                     partOf,
		"aws:s3/bucketPolicy:BucketPolicy":                                                           partOf,
		"aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock":                                     partOf,
		"aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2": "SSE-S3 is free",
		"aws:s3/bucketVersioningV2:BucketVersioningV2":                                               partOf,
	},
	IAM: []IAMResource{
		{Sid: "Bucket", Types: []string{"bucket"}, ARN: "arn:aws:s3:::{name}"},
		{Sid: "Objects", Types: []string{"object"}, ARN: "arn:aws:s3:::{name}/*"},
	},
	Lost: "what is stored in it",
	list: each((*cloud.Reader).Buckets, func(ctx context.Context, s *search, b s3types.Bucket) Resource {
		name := aws.ToString(b.Name)
		return Resource{Name: name, ARN: arn.ARN{Partition: s.partition(ctx), Service: "s3", Resource: name}.String(), Made: aws.ToTime(b.CreationDate)}
	}),
	tags: func(ctx context.Context, s *search, r Resource) (map[string]string, error) {
		out, err := s.S3.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: &r.Name})
		if cloud.HasCode(err, "NoSuchTagSet") {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return cloud.TagMap(out.TagSet, func(t s3types.Tag) (*string, *string) { return t.Key, t.Value }), nil
	},
}
