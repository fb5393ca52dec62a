package inventory

import (
	"context"
	"path"

	"tapstack/lib/cloud"
)

func sqsKinds() []*Kind { return []*Kind{Queue} }

var Queue = &Kind{
	Name: "queue", Service: "sqs", Types: []string{"aws:sqs/queue:Queue"}, NameInput: "name",
	Parts: map[string]string{"aws:sqs/queuePolicy:QueuePolicy": partOf, "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy": partOf},
	IAM:   []IAMResource{{Sid: "Queue", ARN: "{name}"}},
	Lost:  "the messages in it",
	list: each((*cloud.Reader).QueueURLs, func(ctx context.Context, s *search, url string) Resource {
		return Resource{Name: path.Base(url), ID: url, ARN: s.ARN(ctx, "sqs", path.Base(url))}
	}),
	tags: func(ctx context.Context, s *search, r Resource) (map[string]string, error) {
		return s.QueueTags(ctx, r.ID)
	},
}
