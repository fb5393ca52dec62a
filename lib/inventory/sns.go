package inventory

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"

	"tapstack/lib/cloud"
)

func snsKinds() []*Kind { return []*Kind{Topic} }

var Topic = &Kind{
	Name: "topic", Service: "sns", Types: []string{"aws:sns/topic:Topic"}, NameInput: "name",
	Parts: map[string]string{"aws:sns/topicPolicy:TopicPolicy": partOf, "aws:sns/topicSubscription:TopicSubscription": ""},
	IAM:   []IAMResource{{Sid: "Topic", ARN: "{name}"}},
	Lost:  "its subscriptions, which must be confirmed again",
	list: each((*cloud.Reader).Topics, func(_ context.Context, _ *search, t snstypes.Topic) Resource {
		arn := aws.ToString(t.TopicArn)
		return Resource{Name: arn[strings.LastIndex(arn, ":")+1:], ARN: arn}
	}),
	tags: func(ctx context.Context, s *search, r Resource) (map[string]string, error) {
		out, err := s.SNS.ListTagsForResource(ctx, &sns.ListTagsForResourceInput{ResourceArn: &r.ARN})
		if err != nil {
			return nil, err
		}
		return cloud.TagMap(out.Tags, func(t snstypes.Tag) (*string, *string) { return t.Key, t.Value }), nil
	},
}
