package integration

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tapstack/lib"
)

func queueSabotages() []sabotage {
	return []sabotage{
		{
			Check: "queue.named", Says: "delete the dead-letter queue", On: "dlq",
			Also: []string{
				"queue.dlq-retention", "queue.redrive", "queue.redrive-allow", "queue.encrypted", "queue.tls-only", "queue.refuses-plain-text",
				"iam.task-roles", "iam.execution-roles", "iam.infrastructure-roles", "names.suffix", "destroyable.policies",
			},
			Do: func(ctx context.Context, s *saboteur) {
				address := s.output(lib.OutputDlqURL)
				call(ctx, s, s.SQS.DeleteQueue, &sqs.DeleteQueueInput{QueueUrl: &address})
			},
		},
		setsQueue("queue.retention", "keep jobs for 4 days", lib.OutputQueueURL, "MessageRetentionPeriod", "345600"),
		setsQueue("queue.dlq-retention", "keep failed jobs for 4 days", lib.OutputDlqURL, "MessageRetentionPeriod", "345600"),
		setsQueue("queue.visibility", "let a job reappear after 30 seconds", lib.OutputQueueURL, "VisibilityTimeout", "30"),
		setsQueue("queue.long-poll", "switch long polling off", lib.OutputQueueURL, "ReceiveMessageWaitTimeSeconds", "0"),
		setsQueue("queue.encrypted", "switch the encryption of the jobs off", lib.OutputQueueURL, "SqsManagedSseEnabled", "false"),
		setsQueue("queue.redrive-allow", "let every queue use the dead-letter queue", lib.OutputDlqURL, "RedriveAllowPolicy", `{"redrivePermission":"allowAll"}`),
		{
			Check: "destroyable.policies", Says: "forbid everyone to delete the queue", On: "policy of the queue",
			Do: func(ctx context.Context, s *saboteur) {
				now := s.queueAttributes(ctx, lib.OutputQueueURL)
				s.setQueue(ctx, lib.OutputQueueURL, "Policy", fmt.Sprintf(`{"Version":"2012-10-17","Statement":[
					{"Effect":"Deny","Principal":"*","Action":"sqs:*","Resource":%[1]q,"Condition":{"Bool":{"aws:SecureTransport":"false"}}},
					{"Effect":"Deny","Principal":"*","Action":"sqs:DeleteQueue","Resource":%[1]q}]}`, now["QueueArn"]))
			},
		},
		{
			Check: "queue.redrive", Says: "move a job to the dead-letter queue after 50 tries only",
			Do: func(ctx context.Context, s *saboteur) {
				now := s.queueAttributes(ctx, lib.OutputDlqURL)
				s.setQueue(ctx, lib.OutputQueueURL, "RedrivePolicy",
					fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":50}`, now["QueueArn"]))
			},
		},
		{
			Check: "queue.tls-only", Says: "replace the queue's policy by one that lets the account in, TLS or not", On: "policy of the queue",
			Do: func(ctx context.Context, s *saboteur) {
				now := s.queueAttributes(ctx, lib.OutputQueueURL)
				s.setQueue(ctx, lib.OutputQueueURL, "Policy", fmt.Sprintf(
					`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"sqs:SendMessage","Resource":%q}]}`,
					now["QueueArn"]))
			},
		},
	}
}

func setsQueue(check, says, output, attribute, value string) sabotage {
	return sabotage{Check: check, Says: says, Do: func(ctx context.Context, s *saboteur) {
		s.setQueue(ctx, output, attribute, value)
	}}
}

func (s *saboteur) queueAttributes(ctx context.Context, output string) map[string]string {
	address := s.output(output)
	out := call(ctx, s, s.SQS.GetQueueAttributes, &sqs.GetQueueAttributesInput{
		QueueUrl: &address, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	return out.Attributes
}

// setQueue sends the queue's policy along: an emulator (moto 5.2.5) erases a policy that is not in the call.
func (s *saboteur) setQueue(ctx context.Context, output, attribute, value string) {
	now := s.queueAttributes(ctx, output)
	address := s.output(output)
	attributes := map[string]string{"Policy": now["Policy"]}
	attributes[attribute] = value
	call(ctx, s, s.SQS.SetQueueAttributes, &sqs.SetQueueAttributesInput{QueueUrl: &address, Attributes: attributes})
}
