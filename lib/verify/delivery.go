package verify

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tapstack/lib"
	"tapstack/lib/cloud"
)

const (
	// deliveryBound is how long a message may take through the queue.
	deliveryBound = time.Minute
	// logsFirst is how long a job processor that writes logs has the message to itself.
	logsFirst = 20 * time.Second
	// holdSeconds is how long what we receive is hidden from others, should we die with it.
	holdSeconds = 10
	// maxOtherMessages bounds the jobs of others that are received by the way and given back: each time counts as one of
	// the tries after which a job goes to the dead-letter queue.
	maxOtherMessages = 10
)

func deliveryChecks() []Check {
	return []Check{
		{
			ID:   "queue.delivers",
			Says: "Use SQS for asynchronous job processing with DLQ configuration: a message sent to the queue is received, here or by a job processor whose log names it",
			Acts: true,
			Run:  recorded(delivers),
		},
	}
}

// probe is a message on its way through the queue.
type probe struct {
	e        *Env
	queue    string
	log      string // the job processor's log group; empty when nothing was ever written there
	id, body string
	sent     time.Time
	handle   *string // of the message, once we have received it
	logged   bool
	others   int
}

func delivers(ctx context.Context, e *Env, rec *recorder) (err error) {
	address, err1 := e.output(lib.OutputQueueURL)
	queue, err2 := e.queue(ctx, lib.OutputQueueURL)
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	p := &probe{e: e, queue: address, sent: time.Now()}
	if p.log, err = e.jobLog(ctx); err != nil {
		return err
	}
	if err := p.send(ctx); err != nil {
		return err
	}
	defer undo(ctx, &err, undoBound, p.remove)
	_, err = e.poll(ctx, deliveryBound, p.arrived)
	if err != nil {
		return err
	}
	where := "nowhere"
	switch {
	case p.handle != nil:
		where = "received here"
	case p.logged:
		where = "named in " + p.log
	}
	rec.on(queue["QueueArn"]).record("message "+p.id, "received here, or named in the job processor's log", where, p.handle != nil || p.logged)
	return nil
}

// jobLog is the job processor's log group, if it holds anything.
func (e *Env) jobLog(ctx context.Context) (string, error) {
	service, err := e.output(lib.OutputJobProcessorServiceName)
	if err != nil {
		return "", err
	}
	group := "/ecs/" + service
	out, err := e.cloud.Logs.DescribeLogStreams(ctx, &cloudwatchlogs.DescribeLogStreamsInput{LogGroupName: &group, Limit: aws.Int32(1)})
	switch {
	case cloud.IsNotFound(err):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("reading the log streams of %s: %w", group, err)
	case len(out.LogStreams) == 0:
		return "", nil
	}
	return group, nil
}

// send sends a job that says of itself that it is none.
func (p *probe) send(ctx context.Context) error {
	body, err := json.Marshal(map[string]string{"type": "tapstack.verify", "probe": rand.Text()})
	if err != nil {
		return err
	}
	p.body = string(body)
	out, err := p.e.cloud.SQS.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &p.queue, MessageBody: &p.body})
	if err != nil {
		return fmt.Errorf("sending a message to %s: %w", p.queue, err)
	}
	p.id = aws.ToString(out.MessageId)
	return nil
}

func (p *probe) arrived(ctx context.Context) (_ bool, err error) {
	if p.log != "" {
		if p.logged, err = p.inLog(ctx); p.logged || err != nil || time.Since(p.sent) < logsFirst {
			return p.logged, err
		}
	}
	return p.receive(ctx)
}

// inLog tells whether the job processor has written the message's id.
func (p *probe) inLog(ctx context.Context) (bool, error) {
	found, err := cloud.Pages(ctx, cloudwatchlogs.NewFilterLogEventsPaginator(p.e.cloud.Logs, &cloudwatchlogs.FilterLogEventsInput{
		LogGroupName: &p.log, FilterPattern: aws.String(`"` + p.id + `"`), StartTime: aws.Int64(p.sent.Add(-time.Minute).UnixMilli()),
	}), func(o *cloudwatchlogs.FilterLogEventsOutput) []logtypes.FilteredLogEvent { return o.Events })
	if err != nil {
		return false, fmt.Errorf("reading %s: %w", p.log, err)
	}
	return len(found) > 0, nil
}

// receive looks into the queue once and gives back at once what is not ours.
func (p *probe) receive(ctx context.Context) (bool, error) {
	if p.others >= maxOtherMessages {
		return false, nil
	}
	out, err := p.e.cloud.SQS.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &p.queue, MaxNumberOfMessages: 1, VisibilityTimeout: holdSeconds, WaitTimeSeconds: 1,
	})
	if err != nil {
		return false, fmt.Errorf("receiving from %s: %w", p.queue, err)
	}
	var faults []error
	for _, m := range out.Messages {
		if aws.ToString(m.MessageId) == p.id && aws.ToString(m.Body) == p.body {
			p.handle = m.ReceiptHandle
			continue
		}
		p.others++
		faults = append(faults, p.giveBack(ctx, m))
	}
	return p.handle != nil, errors.Join(faults...)
}

func (p *probe) giveBack(ctx context.Context, m sqstypes.Message) error {
	_, err := p.e.cloud.SQS.ChangeMessageVisibility(context.WithoutCancel(ctx), &sqs.ChangeMessageVisibilityInput{
		QueueUrl: &p.queue, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0,
	})
	if err != nil {
		return fmt.Errorf("giving message %s back to %s: %w", aws.ToString(m.MessageId), p.queue, err)
	}
	return nil
}

// remove deletes the message, unless a job processor has it. One that was not received yet is waited for.
func (p *probe) remove(ctx context.Context) error {
	if p.logged {
		return nil
	}
	if p.handle == nil {
		p.others = 0
		if _, err := p.e.poll(ctx, undoBound/2, p.receive); err != nil {
			return err
		}
	}
	if p.handle == nil {
		return fmt.Errorf("message %s may still be in %s; it expires with the queue's retention", p.id, p.queue)
	}
	if _, err := p.e.cloud.SQS.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &p.queue, ReceiptHandle: p.handle}); err != nil {
		return fmt.Errorf("deleting message %s from %s: %w", p.id, p.queue, err)
	}
	return nil
}
