package verify

import (
	"errors"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/cloud"
)

// jobs is a queue with what others have put in, and a job processor's log if there is one.
type jobs struct {
	waiting  []sqstypes.Message
	given    []string // message ids that were made visible again
	deleted  []string
	swallows bool // what is sent is never seen again
	garbles  bool // what is received is not what was sent
	consumer bool // a job processor takes the message and writes its id
	stays    bool // the message cannot be deleted
}

func (j *jobs) api() acts {
	sent := 0
	return acts{
		"GetQueueAttributes": &sqs.GetQueueAttributesOutput{Attributes: map[string]string{"QueueArn": "arn:aws:sqs:us-east-1:123456789012:payment-jobs-dev"}},
		"DescribeLogStreams": func(any) (any, error) {
			if j.consumer {
				return &cloudwatchlogs.DescribeLogStreamsOutput{LogStreams: []logtypes.LogStream{{}}}, nil
			}
			return &cloudwatchlogs.DescribeLogStreamsOutput{}, nil
		},
		"SendMessage": func(in any) (any, error) {
			sent++
			m := sqstypes.Message{MessageId: aws.String(fmt.Sprintf("m-%d", sent)), Body: in.(*sqs.SendMessageInput).MessageBody, ReceiptHandle: aws.String("ours")}
			if j.garbles {
				m.Body = aws.String("{}")
			}
			if !j.swallows && !j.consumer {
				j.waiting = append(j.waiting, m)
			}
			return &sqs.SendMessageOutput{MessageId: m.MessageId}, nil
		},
		"FilterLogEvents": func(in any) (any, error) {
			if p := aws.ToString(in.(*cloudwatchlogs.FilterLogEventsInput).FilterPattern); !j.swallows && p == `"m-1"` {
				return &cloudwatchlogs.FilterLogEventsOutput{Events: []logtypes.FilteredLogEvent{{}}}, nil
			}
			return &cloudwatchlogs.FilterLogEventsOutput{}, nil
		},
		"ReceiveMessage": func(any) (any, error) {
			if len(j.waiting) == 0 {
				return &sqs.ReceiveMessageOutput{}, nil
			}
			first := j.waiting[0]
			j.waiting = j.waiting[1:]
			return &sqs.ReceiveMessageOutput{Messages: []sqstypes.Message{first}}, nil
		},
		"ChangeMessageVisibility": func(in any) (any, error) {
			j.given = append(j.given, aws.ToString(in.(*sqs.ChangeMessageVisibilityInput).ReceiptHandle))
			return &sqs.ChangeMessageVisibilityOutput{}, nil
		},
		"DeleteMessage": func(in any) (any, error) {
			if j.stays {
				return nil, errors.New("AccessDenied")
			}
			j.deleted = append(j.deleted, aws.ToString(in.(*sqs.DeleteMessageInput).ReceiptHandle))
			return &sqs.DeleteMessageOutput{}, nil
		},
	}
}

func TestAMessageGoesThroughTheQueueAndIsNeverLeftThere(t *testing.T) {
	other := sqstypes.Message{MessageId: aws.String("job"), Body: aws.String("a payment"), ReceiptHandle: aws.String("theirs")}
	for what, c := range map[string]struct {
		queue   jobs
		red     bool
		deleted []string
		given   []string
	}{
		"sound":                            {jobs{}, false, []string{"ours"}, nil},
		"behind somebody's job":            {jobs{waiting: []sqstypes.Message{other}}, false, []string{"ours"}, []string{"theirs"}},
		"taken by a job processor":         {jobs{consumer: true}, false, nil, nil},
		"taken, but the log tells nothing": {jobs{consumer: true, swallows: true}, true, nil, nil},
		"lost":                             {jobs{swallows: true}, true, nil, nil},
		"not what was sent":                {jobs{garbles: true}, true, nil, []string{"ours"}},
		"not to be deleted":                {jobs{stays: true}, true, nil, nil},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			report := c.queue.api().run(t, nil, "queue.delivers")
			assert.Equal(t, c.red, len(reds(t, report)) == 1)
			assert.Equal(t, c.deleted, c.queue.deleted)
			assert.Equal(t, c.given, c.queue.given)
			if c.red && len(c.deleted) == 0 {
				assert.Contains(t, report.Results[0].Reason, "m-1", "the message that is left")
			}
		})
	}
}

func TestAMessageThatComesTooLateIsTakenAwayAllTheSame(t *testing.T) {
	late := sqstypes.Message{MessageId: aws.String("m-1"), Body: aws.String("{}"), ReceiptHandle: aws.String("ours")}
	queue := jobs{waiting: []sqstypes.Message{late}}
	e := testEnv()
	e.cloud = cloud.NewReader(queue.api().config())
	p := &probe{e: e, queue: testQueue, id: "m-1", body: "{}", others: maxOtherMessages}
	require.NoError(t, p.remove(t.Context()))
	assert.Equal(t, []string{"ours"}, queue.deleted)
}

func TestABusyQueueIsNotEmptiedInSearchOfOneMessage(t *testing.T) {
	e := testEnv()
	endless := acts{
		"ReceiveMessage":          &sqs.ReceiveMessageOutput{Messages: []sqstypes.Message{{MessageId: aws.String("job"), ReceiptHandle: aws.String("theirs")}}},
		"ChangeMessageVisibility": &sqs.ChangeMessageVisibilityOutput{},
	}
	e.cloud = cloud.NewReader(endless.config())
	p := &probe{e: e, queue: testQueue, id: "m-1"}
	for range 3 * maxOtherMessages {
		got, err := p.receive(t.Context())
		require.NoError(t, err)
		require.False(t, got)
	}
	assert.Equal(t, maxOtherMessages, p.others)
}
