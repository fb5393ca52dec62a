package verify

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"path"

	"tapstack/lib"
)

// Figures of the brief and of SQS, in seconds.
const (
	daySeconds           = 24 * 60 * 60
	jobsRetentionSeconds = 14 * daySeconds
	dlqRetentionSeconds  = 7 * daySeconds
	longestPollSeconds   = 20 // the most that SQS offers
)

const maxReceives = 5

func queueChecks() []Check {
	return []Check{
		{
			ID:   "queue.named",
			Says: "Create SQS queue named 'payment-jobs' and dead-letter queue named 'payment-jobs-dlq'",
			Run:  recorded(queuesNamed),
		},
		{
			ID:   "queue.retention",
			Says: "Set message retention period to 14 days",
			Run:  recorded(queueNumber(lib.OutputQueueURL, "MessageRetentionPeriod", jobsRetentionSeconds)),
		},
		{
			ID:   "queue.dlq-retention",
			Says: "Create dead-letter queue named 'payment-jobs-dlq' with 7-day retention for failed messages",
			Run:  recorded(queueNumber(lib.OutputDlqURL, "MessageRetentionPeriod", dlqRetentionSeconds)),
		},
		{
			ID:   "queue.redrive",
			Says: "Use SQS for asynchronous job processing with DLQ configuration: a job that failed 5 times goes to the dead-letter queue",
			Run:  recorded(redrive),
		},
		{
			ID:    "queue.redrive-allow",
			Says:  "The dead-letter queue takes messages from the main queue only (beyond the brief)",
			PCI:   []string{"7.2.5"},
			Needs: []Capability{capRedriveAllow},
			Run:   recorded(redriveAllow),
		},
		{
			ID:   "queue.visibility",
			Says: "Configure proper visibility timeout and receive message wait time: a job stays invisible while it is worked on",
			Run:  recorded(visibility),
		},
		{
			ID:   "queue.long-poll",
			Says: "Configure proper visibility timeout and receive message wait time: receivers wait as long as SQS lets them",
			Run:  recorded(queueNumber(lib.OutputQueueURL, "ReceiveMessageWaitTimeSeconds", longestPollSeconds)),
		},
		{
			ID:   "queue.encrypted",
			Says: "All data encryption at rest and in transit: both queues are encrypted",
			PCI:  []string{"3.5.1"},
			Run: recorded(eachQueue(func(x subject, a map[string]string) {
				x.record("encryption", "SSE-SQS or a KMS key", queueEncryption(a), queueEncryption(a) != "none")
			})),
		},
		{
			ID:   "queue.tls-only",
			Says: "All data encryption at rest and in transit: both queues refuse requests without TLS",
			PCI:  []string{"4.2.1"},
			Run:  recorded(queuesOverTLS),
		},
	}
}

// queueName is the last part of the queue's URL.
func (e *Env) queueName(output string) (string, error) {
	address, err := e.output(output)
	if err != nil {
		return "", err
	}
	return path.Base(address), nil
}

// queues are the attributes of the main queue and of its dead-letter queue.
func (e *Env) queues(ctx context.Context) (main, dead map[string]string, err error) {
	if main, err = e.queue(ctx, lib.OutputQueueURL); err != nil {
		return nil, nil, err
	}
	dead, err = e.queue(ctx, lib.OutputDlqURL)
	return main, dead, err
}

func (e *Env) queue(ctx context.Context, output string) (map[string]string, error) {
	address, err := e.output(output)
	if err != nil {
		return nil, err
	}
	attributes, err := e.cloud.QueueAttributes(ctx, address)
	if err == nil && attributes["QueueArn"] == "" {
		err = fmt.Errorf("the queue %s shows no attributes", address)
	}
	return attributes, err
}

func eachQueue(look func(x subject, attributes map[string]string)) func(context.Context, *Env, *recorder) error {
	return func(ctx context.Context, e *Env, rec *recorder) error {
		for _, output := range []string{lib.OutputQueueURL, lib.OutputDlqURL} {
			a, err := e.queue(ctx, output)
			if err != nil {
				return err
			}
			look(rec.on(a["QueueArn"]), a)
		}
		return nil
	}
}

func queueNumber(output, attribute string, want int) func(context.Context, *Env, *recorder) error {
	return func(ctx context.Context, e *Env, rec *recorder) error {
		a, err := e.queue(ctx, output)
		if err != nil {
			return err
		}
		rec.on(a["QueueArn"]).equal(attribute, want, a[attribute])
		return nil
	}
}

func queuesNamed(ctx context.Context, e *Env, rec *recorder) error {
	for _, q := range []struct{ output, role string }{{lib.OutputQueueURL, "payment-jobs"}, {lib.OutputDlqURL, "payment-jobs-dlq"}} {
		name, err1 := e.queueName(q.output)
		a, err2 := e.queue(ctx, q.output)
		if err := cmp.Or(err1, err2); err != nil {
			return err
		}
		x := rec.on(a["QueueArn"])
		x.equal("name", lib.PhysicalName(q.role, e.Suffix), name)
		x.record("kind", "standard", "FIFO: "+orNone(a["FifoQueue"]), a["FifoQueue"] != "true")
	}
	return nil
}

// readPolicy reads an attribute of a queue that is JSON.
func readPolicy(queue map[string]string, attribute string, into any) error {
	if queue[attribute] == "" {
		return fmt.Errorf("%s has no %s", queue["QueueArn"], attribute)
	}
	if err := json.Unmarshal([]byte(queue[attribute]), into); err != nil {
		return fmt.Errorf("reading the %s of %s: %w", attribute, queue["QueueArn"], err)
	}
	return nil
}

func redrive(ctx context.Context, e *Env, rec *recorder) error {
	main, dead, err := e.queues(ctx)
	if err != nil {
		return err
	}
	// SQS takes the count as a number or as a string, and gives back what it got.
	var p struct {
		Target string      `json:"deadLetterTargetArn"`
		Count  json.Number `json:"maxReceiveCount"`
	}
	if err := readPolicy(main, "RedrivePolicy", &p); err != nil {
		return err
	}
	x := rec.on(main["QueueArn"])
	x.equal("dead-letter queue", dead["QueueArn"], p.Target)
	x.equal("receives before a message moves", maxReceives, p.Count.String())
	return nil
}

func redriveAllow(ctx context.Context, e *Env, rec *recorder) error {
	main, dead, err := e.queues(ctx)
	if err != nil {
		return err
	}
	var p struct {
		Permission string   `json:"redrivePermission"`
		Sources    []string `json:"sourceQueueArns"`
	}
	if err := readPolicy(dead, "RedriveAllowPolicy", &p); err != nil {
		return err
	}
	x := rec.on(dead["QueueArn"])
	x.equal("permission", "byQueue", p.Permission)
	x.sameSet("sources", []string{main["QueueArn"]}, p.Sources)
	return nil
}

func visibility(ctx context.Context, e *Env, rec *recorder) error {
	a, err1 := e.queue(ctx, lib.OutputQueueURL)
	cfg, err2 := e.configuration()
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	rec.on(a["QueueArn"]).equal("VisibilityTimeout", cfg.QueueVisibilityTimeoutSeconds, a["VisibilityTimeout"])
	return nil
}

func queueEncryption(a map[string]string) string {
	switch {
	case a["KmsMasterKeyId"] != "":
		return a["KmsMasterKeyId"]
	case a["SqsManagedSseEnabled"] == "true":
		return "SSE-SQS"
	}
	return "none"
}

func queuesOverTLS(ctx context.Context, e *Env, rec *recorder) error {
	caller, err := e.cloud.Identity(ctx)
	if err != nil {
		return err
	}
	return eachQueue(func(x subject, a map[string]string) {
		resourcePolicy(x, caller, a["Policy"], "sqs:SendMessage")
		resourcePolicy(x, caller, a["Policy"], "sqs:ReceiveMessage")
	})(ctx, e, rec)
}
