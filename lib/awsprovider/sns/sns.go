// Package sns implements the aws:sns types: topics, their policies and their subscriptions. Reference: the SNS API and
// the aws_sns_* resources of the Terraform AWS provider 5.x.
package sns

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sns"

	"tapstack/lib/awsprovider/resource"
	"tapstack/lib/cloud"
)

// settle is how long SNS may take to show a change, or to accept a principal that was just made.
const settle = 2 * time.Minute

// invalidParameter is the error code of a refused attribute.
const invalidParameter = "InvalidParameter"

// Resources lists the types of this package.
func Resources() []resource.Resource {
	return []resource.Resource{
		resource.Define(topic),
		resource.Define(topicPolicy),
		resource.Define(topicSubscription),
	}
}

// topicAttributes reads a topic.
func topicAttributes(ctx context.Context, c *resource.Cloud, arn string) (map[string]string, error) {
	out, err := c.SNS.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: &arn})
	if err != nil {
		return nil, err
	}
	return out.Attributes, nil
}

// setTopicAttribute sets one attribute of a topic. A refusal is tried again, as the official provider does: a policy
// may name a principal that SNS does not see yet.
func setTopicAttribute(ctx context.Context, c *resource.Cloud, arn, name, value string) error {
	var last error
	err := resource.Poll(ctx, "SNS accepts the attribute", settle, func(ctx context.Context) (bool, error) {
		_, last = c.SNS.SetTopicAttributes(ctx, &sns.SetTopicAttributesInput{
			TopicArn: &arn, AttributeName: &name, AttributeValue: &value,
		})
		return !cloud.HasCode(last, invalidParameter), nil
	})
	if err != nil || last != nil {
		return fmt.Errorf("setting the attribute %s of topic %s: %w", name, arn, errors.Join(last, err))
	}
	return nil
}

// document is an attribute that holds JSON; an absent, empty or "{}" one is nil.
func document(attributes map[string]string, name string) *string {
	if v := attributes[name]; v != "" && v != "{}" {
		return &v
	}
	return nil
}
