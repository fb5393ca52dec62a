package inventory

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"tapstack/lib/cloud"
)

func eventBridgeKinds() []*Kind { return []*Kind{EventRule} }

const eventsAreFree = "events of AWS services are free"

var EventRule = &Kind{
	Name: "event rule", Service: "events", Types: []string{"aws:cloudwatch/eventRule:EventRule"}, NameInput: "name", Free: eventsAreFree,
	Parts: map[string]string{"aws:cloudwatch/eventTarget:EventTarget": eventsAreFree},
	IAM:   []IAMResource{{Sid: "Rule", Types: []string{"rule-on-default-event-bus"}, ARN: "rule/{name}"}},
	list: each((*cloud.Reader).EventRules, func(_ context.Context, _ *search, r eventtypes.Rule) Resource {
		return Resource{Name: aws.ToString(r.Name), ARN: aws.ToString(r.Arn)}
	}),
	tags: func(ctx context.Context, s *search, r Resource) (map[string]string, error) {
		out, err := s.EventBridge.ListTagsForResource(ctx, &eventbridge.ListTagsForResourceInput{ResourceARN: &r.ARN})
		if err != nil {
			return nil, err
		}
		return cloud.TagMap(out.Tags, func(t eventtypes.Tag) (*string, *string) { return t.Key, t.Value }), nil
	},
}
