package s3

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"tapstack/lib/awsprovider/resource"
	"tapstack/lib/cloud"
)

// emptying is how long a bucket may take to become empty while something may still write into it.
const emptying = 20 * time.Minute

// BucketArgs are the inputs of aws:s3/bucketV2:BucketV2.
type BucketArgs struct {
	resource.Tagged
	Bucket       string `pulumi:"bucket" aws:"forcenew"`
	ForceDestroy *bool  `pulumi:"forceDestroy,optional" aws:"writeonly"`
}

// BucketState is the state of aws:s3/bucketV2:BucketV2; its id is the bucket's name.
type BucketState struct {
	BucketArgs
	resource.AllTags
	Arn                      string `pulumi:"arn"`
	Region                   string `pulumi:"region"`
	BucketDomainName         string `pulumi:"bucketDomainName"`
	BucketRegionalDomainName string `pulumi:"bucketRegionalDomainName"`
}

var bucket = resource.Description[BucketArgs, BucketState]{
	Token: "aws:s3/bucketV2:BucketV2",
	Check: func(a *BucketArgs) []resource.Fault {
		if a.ForceDestroy == nil {
			a.ForceDestroy = aws.Bool(false)
		}
		if n := len(a.Bucket); n > 0 && (n < 3 || n > 63 || strings.ToLower(a.Bucket) != a.Bucket) {
			return []resource.Fault{{Property: "bucket", Reason: fmt.Sprintf(
				"%q must have 3–63 characters, none of them upper case", a.Bucket)}}
		}
		return nil
	},
	Create: createBucket,
	Read:   readBucket,
	Update: func(ctx context.Context, c *resource.Cloud, name string, old BucketState, a BucketArgs) error {
		if set, remove := resource.TagDelta(old.Tags, a.Tags); len(set)+len(remove) > 0 {
			return putTags(ctx, c, name, a.Tags)
		}
		return nil
	},
	Delete: deleteBucket,
	Example: func(x resource.Scratch) resource.Example[BucketArgs] {
		return resource.Example[BucketArgs]{
			Inputs: BucketArgs{
				Bucket: x.Name("bucket"), ForceDestroy: aws.Bool(false),
				Tagged: resource.Tagged{Tags: map[string]string{"Name": "bucket"}},
			},
			Changes: []resource.Change[BucketArgs]{
				{Name: "force destroy", Apply: func(a *BucketArgs) { a.ForceDestroy = aws.Bool(true) }},
				{Name: "tags", Apply: func(a *BucketArgs) { a.Tags = map[string]string{"Name": "other", "More": "yes"} }},
			},
		}
	},
}

func createBucket(ctx context.Context, c *resource.Cloud, a BucketArgs) (string, error) {
	// S3 in us-east-1 answers a second CreateBucket by the same owner with success, and the bucket would have two owners.
	if _, err := headBucket(ctx, c, a.Bucket); err == nil {
		return "", fmt.Errorf("a bucket named %s exists already", a.Bucket)
	}
	in := &s3.CreateBucketInput{Bucket: &a.Bucket}
	if region := c.Region; region != "us-east-1" {
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{
			LocationConstraint: types.BucketLocationConstraint(region),
		}
	}
	err := resource.RetryOn(ctx, "bucket "+a.Bucket+" can be created", settle, func(ctx context.Context) error {
		_, err := c.S3.CreateBucket(ctx, in)
		return err
	}, "OperationAborted")
	if err != nil {
		return "", err
	}
	err = resource.PollThere(ctx, "bucket "+a.Bucket+" is there", settle, func(ctx context.Context) (bool, error) {
		_, err := headBucket(ctx, c, a.Bucket)
		return err == nil, err
	})
	if err != nil || len(a.Tags) == 0 {
		return a.Bucket, err
	}
	return a.Bucket, putTags(ctx, c, a.Bucket, a.Tags)
}

func readBucket(ctx context.Context, c *resource.Cloud, name string, prior BucketState) (BucketState, error) {
	head, err := headBucket(ctx, c, name)
	if err != nil {
		return prior, err
	}
	all, err := bucketTags(ctx, c, name)
	if err != nil {
		return prior, err
	}
	s := prior
	s.Bucket = name
	s.Region = c.Region
	if region := aws.ToString(head.BucketRegion); region != "" {
		s.Region = region
	}
	p := partitionOf(s.Region)
	s.Arn = "arn:" + p.name + ":s3:::" + name
	s.BucketDomainName = name + ".s3." + p.domain
	s.BucketRegionalDomainName = name + ".s3." + s.Region + "." + p.domain
	tags := resource.TagMap(all, func(t types.Tag) (*string, *string) { return t.Key, t.Value })
	s.Tags, s.TagsAll = tags, tags
	return s, nil
}

// deleteBucket removes a bucket, and all that is in it when forceDestroy says so. Something may write into the bucket
// until the end (a load balancer its logs), so it is emptied until it goes.
func deleteBucket(ctx context.Context, c *resource.Cloud, name string, s BucketState) error {
	err := resource.Poll(ctx, "bucket "+name+" is empty and deleted", emptying, func(ctx context.Context) (bool, error) {
		_, err := c.S3.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &name})
		switch {
		case cloud.HasCode(err, "OperationAborted"):
			return false, nil
		case cloud.HasCode(err, "BucketNotEmpty") && aws.ToBool(s.ForceDestroy):
			return false, emptyBucket(ctx, c, name)
		}
		return err == nil, err
	})
	if err != nil {
		return err
	}
	return resource.PollGone(ctx, "bucket "+name, settle, func(ctx context.Context) error {
		_, err := headBucket(ctx, c, name)
		return err
	})
}

// emptyBucket deletes every version of every object, and every delete marker.
func emptyBucket(ctx context.Context, c *resource.Cloud, name string) error {
	pages := s3.NewListObjectVersionsPaginator(c.S3, &s3.ListObjectVersionsInput{Bucket: &name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("listing what is in bucket %s: %w", name, err)
		}
		var batch []types.ObjectIdentifier
		for _, v := range page.Versions {
			batch = append(batch, types.ObjectIdentifier{Key: v.Key, VersionId: v.VersionId})
		}
		for _, m := range page.DeleteMarkers {
			batch = append(batch, types.ObjectIdentifier{Key: m.Key, VersionId: m.VersionId})
		}
		if len(batch) == 0 { // a page has at most 1000 entries, which is also what one DeleteObjects takes
			continue
		}
		out, err := c.S3.DeleteObjects(ctx, &s3.DeleteObjectsInput{
			Bucket: &name, Delete: &types.Delete{Objects: batch, Quiet: aws.Bool(true)},
		})
		if err != nil {
			return fmt.Errorf("emptying bucket %s: %w", name, err)
		}
		for _, e := range out.Errors {
			if code := aws.ToString(e.Code); code != "NoSuchKey" && code != "NoSuchVersion" {
				return fmt.Errorf("emptying bucket %s: deleting %s: %s: %s",
					name, aws.ToString(e.Key), code, aws.ToString(e.Message))
			}
		}
	}
	return nil
}

func headBucket(ctx context.Context, c *resource.Cloud, name string) (*s3.HeadBucketOutput, error) {
	return c.S3.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &name})
}

func bucketTags(ctx context.Context, c *resource.Cloud, name string) ([]types.Tag, error) {
	out, err := c.S3.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: &name})
	if cloud.HasCode(err, "NoSuchTagSet") {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the tags of bucket %s: %w", name, err)
	}
	return out.TagSet, nil
}

// putTags replaces the bucket's tags, all but those of AWS itself, which the API would otherwise remove or refuse.
func putTags(ctx context.Context, c *resource.Cloud, name string, tags map[string]string) error {
	all, err := bucketTags(ctx, c, name)
	if err != nil {
		return err
	}
	want := resource.TagList(tags, func(k, v string) types.Tag { return types.Tag{Key: &k, Value: &v} })
	for _, t := range all {
		if strings.HasPrefix(aws.ToString(t.Key), "aws:") {
			want = append(want, t)
		}
	}
	if len(want) == 0 {
		_, err = c.S3.DeleteBucketTagging(ctx, &s3.DeleteBucketTaggingInput{Bucket: &name})
	} else {
		err = resource.RetryOn(ctx, "bucket "+name+" can be tagged", settle, func(ctx context.Context) error {
			_, err := c.S3.PutBucketTagging(ctx, &s3.PutBucketTaggingInput{
				Bucket: &name, Tagging: &types.Tagging{TagSet: want},
			})
			return err
		}, "NoSuchBucket", "OperationAborted")
	}
	if err != nil {
		return fmt.Errorf("setting the tags of bucket %s: %w", name, err)
	}
	return resource.PollThere(ctx, "bucket "+name+" shows its tags", settle, func(ctx context.Context) (bool, error) {
		all, err := bucketTags(ctx, c, name)
		got := resource.TagMap(all, func(t types.Tag) (*string, *string) { return t.Key, t.Value })
		set, remove := resource.TagDelta(got, tags)
		return len(set)+len(remove) == 0, err
	})
}

type partition struct{ name, domain string }

// partitionOf is the partition of a region, by the prefixes that AWS gives its regions.
func partitionOf(region string) partition {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return partition{"aws-cn", "amazonaws.com.cn"}
	case strings.HasPrefix(region, "us-gov-"):
		return partition{"aws-us-gov", "amazonaws.com"}
	}
	return partition{"aws", "amazonaws.com"}
}
