package sns

import (
	"context"
	"fmt"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"tapstack/lib/awsprovider/resource"
)

// TopicArgs are the inputs of aws:sns/topic:Topic: a standard topic.
type TopicArgs struct {
	resource.Tagged
	Name           string  `pulumi:"name" aws:"forcenew"`
	DisplayName    *string `pulumi:"displayName,optional"`
	KmsMasterKeyID *string `pulumi:"kmsMasterKeyId,optional"`
	Policy         *string `pulumi:"policy,optional" aws:"policy,computed"`
	DeliveryPolicy *string `pulumi:"deliveryPolicy,optional" aws:"json"`
}

// TopicState is its state; the id is the topic's ARN.
type TopicState struct {
	TopicArgs
	resource.AllTags
	Arn   string `pulumi:"arn"`
	Owner string `pulumi:"owner"`
}

// topicName is what SNS takes for the name of a standard topic (CreateTopic).
var topicName = regexp.MustCompile(`^[0-9A-Za-z_-]{1,256}$`)

// topicSettings ties the mutable properties to the API's attribute names.
var topicSettings = []struct {
	attribute string
	of        func(*TopicArgs) **string
}{
	{"DisplayName", func(a *TopicArgs) **string { return &a.DisplayName }},
	{"KmsMasterKeyId", func(a *TopicArgs) **string { return &a.KmsMasterKeyID }},
	{"Policy", func(a *TopicArgs) **string { return &a.Policy }},
	{"DeliveryPolicy", func(a *TopicArgs) **string { return &a.DeliveryPolicy }},
}

var topic = resource.Description[TopicArgs, TopicState]{
	Token: "aws:sns/topic:Topic",
	Check: func(a *TopicArgs) []resource.Fault {
		if a.Name != "" && !topicName.MatchString(a.Name) {
			return []resource.Fault{{Property: "name", Reason: fmt.Sprintf("%q does not match %s", a.Name, topicName)}}
		}
		return nil
	},
	Create: func(ctx context.Context, c *resource.Cloud, a TopicArgs) (string, error) {
		out, err := c.SNS.CreateTopic(ctx, &sns.CreateTopicInput{Name: &a.Name, Tags: tagList(a.Tags)})
		if err != nil {
			return "", err
		}
		return *out.TopicArn, changeTopic(ctx, c, *out.TopicArn, TopicArgs{}, a)
	},
	Read: readTopic,
	Update: func(ctx context.Context, c *resource.Cloud, id string, old TopicState, a TopicArgs) error {
		if err := updateTags(ctx, c, id, old.Tags, a.Tags); err != nil {
			return err
		}
		return changeTopic(ctx, c, id, old.TopicArgs, a)
	},
	Delete: func(ctx context.Context, c *resource.Cloud, id string, _ TopicState) error {
		if _, err := c.SNS.DeleteTopic(ctx, &sns.DeleteTopicInput{TopicArn: &id}); err != nil {
			return err
		}
		return resource.PollGone(ctx, "topic "+id, settle, func(ctx context.Context) error {
			_, err := topicAttributes(ctx, c, id)
			return err
		})
	},
	Example: func(x resource.Scratch) resource.Example[TopicArgs] {
		return resource.Example[TopicArgs]{
			Inputs: TopicArgs{
				Name: x.Name("alerts"), KmsMasterKeyID: aws.String("alias/alerts"),
				Tagged: resource.Tagged{Tags: map[string]string{"Name": "alerts"}},
			},
			Changes: []resource.Change[TopicArgs]{
				{Name: "another key", Apply: func(a *TopicArgs) { a.KmsMasterKeyID = aws.String("alias/other") }},
				{Name: "no key", Apply: func(a *TopicArgs) { a.KmsMasterKeyID = nil }},
				{Name: "display name", Apply: func(a *TopicArgs) { a.DisplayName = aws.String("Alerts") }},
				{Name: "delivery policy", Apply: func(a *TopicArgs) { a.DeliveryPolicy = aws.String(throttle(10)) }},
				{Name: "policy", Apply: func(a *TopicArgs) {
					a.Policy = aws.String(allowPublish("arn:aws:sns:us-east-1:123456789012:"+a.Name, "events.amazonaws.com"))
				}},
				{Name: "tags", Apply: func(a *TopicArgs) { a.Tags = map[string]string{"More": "yes"} }},
			},
		}
	},
}

func readTopic(ctx context.Context, c *resource.Cloud, id string, prior TopicState) (TopicState, error) {
	got, err := topicAttributes(ctx, c, id)
	if err != nil {
		return prior, err
	}
	tags, err := c.SNS.ListTagsForResource(ctx, &sns.ListTagsForResourceInput{ResourceArn: &id})
	if err != nil {
		return prior, fmt.Errorf("listing the tags of topic %s: %w", id, err)
	}
	s := TopicState{Arn: got["TopicArn"], Owner: got["Owner"], TopicArgs: TopicArgs{Name: nameOf(id)}}
	for _, p := range topicSettings {
		*p.of(&s.TopicArgs) = document(got, p.attribute)
	}
	s.Tags = resource.TagMap(tags.Tags, func(t types.Tag) (k, v *string) { return t.Key, t.Value })
	s.TagsAll = s.Tags
	return s, nil
}

// changeTopic sets what differs. A topic cannot be without a policy, so an empty one is not sent.
func changeTopic(ctx context.Context, c *resource.Cloud, arn string, old, a TopicArgs) error {
	for _, p := range topicSettings {
		was, value := aws.ToString(*p.of(&old)), aws.ToString(*p.of(&a))
		same := was == value || p.attribute == policyAttribute && resource.SamePolicy(was, value)
		if same || p.attribute == policyAttribute && value == "" {
			continue
		}
		if err := setTopicAttribute(ctx, c, arn, p.attribute, value); err != nil {
			return err
		}
	}
	return nil
}

func updateTags(ctx context.Context, c *resource.Cloud, arn string, old, now map[string]string) error {
	return resource.UpdateTags(old, now, func(keys []string) (any, error) {
		return c.SNS.UntagResource(ctx, &sns.UntagResourceInput{ResourceArn: &arn, TagKeys: keys})
	}, func(tags map[string]string) (any, error) {
		return c.SNS.TagResource(ctx, &sns.TagResourceInput{ResourceArn: &arn, Tags: tagList(tags)})
	})
}

func tagList(tags map[string]string) []types.Tag {
	return resource.TagList(tags, func(k, v string) types.Tag { return types.Tag{Key: &k, Value: &v} })
}

// throttle is an example's delivery policy.
func throttle(perSecond int) string {
	return resource.JSON(map[string]any{"http": map[string]any{"defaultThrottlePolicy": map[string]any{"maxReceivesPerSecond": perSecond}}})
}
