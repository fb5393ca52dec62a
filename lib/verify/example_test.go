package verify_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/aws/aws-sdk-go-v2/config"

	"tapstack/lib/verify"
	"tapstack/lib/verify/report"
)

// The queue's part of the specification, with the checks that hold the cloud to it.
func ExampleBrief() {
	for _, bullet := range verify.Brief() {
		if bullet.Section == "5. Message Queue Infrastructure" {
			fmt.Println(bullet.ID, bullet.Text)
			fmt.Println("-", bullet.Checks)
		}
	}
	// Output:
	// 5.1 Create SQS queue named 'payment-jobs' for asynchronous job processing
	// - [queue.named queue.delivers]
	// 5.2 Set message retention period to 14 days
	// - [queue.retention]
	// 5.3 Create dead-letter queue named 'payment-jobs-dlq' with 7-day retention for failed messages
	// - [queue.named queue.dlq-retention queue.redrive queue.redrive-allow]
	// 5.4 Configure proper visibility timeout and receive message wait time
	// - [queue.visibility queue.long-poll]
}

// A stack is verified from its outputs, here as `pulumi stack output --json` writes them, and the credentials of the
// environment. The report is written as JSON, JUnit XML, Markdown and HTML.
func ExampleRun() {
	ctx := context.Background()
	account, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	outputs := map[string]any{"queueUrl": "https://sqs.us-east-1.amazonaws.com/123456789012/payment-jobs-prod"} // and all others
	found, err := verify.Run(ctx, verify.Options{
		AWS: account, Suffix: "prod", Outputs: outputs,
		Done: func(r verify.Result) { fmt.Println(r.ID, r.Status, r.Reason) },
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := report.Write("reports", found, report.Options{Bullets: verify.Brief(), Sabotages: verify.Sabotages()}); err != nil {
		log.Fatal(err)
	}
	if !found.OK() {
		os.Exit(1)
	}
}
