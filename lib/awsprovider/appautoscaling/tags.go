package appautoscaling

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	"github.com/aws/smithy-go"

	"tapstack/lib/awsprovider/resource"
	"tapstack/lib/cloud"
)

// readTags returns a target's tags. An endpoint without the operation leaves what was known.
func readTags(ctx context.Context, c *resource.Cloud, arn string, prior map[string]string) (map[string]string, error) {
	out, err := c.AutoScaling.ListTagsForResource(ctx, &applicationautoscaling.ListTagsForResourceInput{ResourceARN: &arn}, atOnce)
	switch {
	case unimplemented(err):
		return prior, nil
	case err != nil:
		return nil, err
	}
	return resource.TagMap(keys(out.Tags), func(k string) (key, value *string) {
		return &k, aws.String(out.Tags[k])
	}), nil
}

func keys(m map[string]string) []string {
	var list []string
	for k := range m {
		list = append(list, k)
	}
	return list
}

// updateTags changes a target's tags. An endpoint that can neither set nor list them is let off.
func updateTags(ctx context.Context, c *resource.Cloud, arn string, old, now map[string]string) error {
	err := resource.UpdateTags(old, now, func(keys []string) (any, error) {
		return c.AutoScaling.UntagResource(ctx, &applicationautoscaling.UntagResourceInput{ResourceARN: &arn, TagKeys: keys}, atOnce)
	}, func(tags map[string]string) (any, error) {
		return c.AutoScaling.TagResource(ctx, &applicationautoscaling.TagResourceInput{ResourceARN: &arn, Tags: tags}, atOnce)
	})
	if !unimplemented(err) {
		return err
	}
	if _, silent := c.AutoScaling.ListTagsForResource(ctx, &applicationautoscaling.ListTagsForResourceInput{ResourceARN: &arn}, atOnce); unimplemented(silent) {
		return nil
	}
	return err
}

// unimplemented says that the endpoint does not know the operation: it says so, or what it answers is not an answer of
// the API at all.
func unimplemented(err error) bool {
	var garbled *smithy.DeserializationError
	return errors.As(err, &garbled) ||
		cloud.HasCode(err, "UnknownOperationException", "NotImplemented", "NotImplementedException", "InvalidAction")
}

// atOnce does not ask again an endpoint that does not know the operation. All else is retried as usual.
func atOnce(o *applicationautoscaling.Options) {
	o.Retryer = retry.NewStandard(func(s *retry.StandardOptions) {
		final := retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
			if unimplemented(err) {
				return aws.FalseTernary
			}
			return aws.UnknownTernary
		})
		s.Retryables = append([]retry.IsErrorRetryable{final}, s.Retryables...)
	})
}
