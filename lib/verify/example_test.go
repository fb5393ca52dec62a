package verify_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"

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

// What a check holds the cloud to, and the clauses of PCI DSS that it speaks to.
func ExampleChecks() {
	for _, check := range verify.Checks() {
		if check.ID == "queue.tls-only" {
			fmt.Println(check.Says)
			fmt.Println(check.PCI)
		}
	}
	// Output:
	// All data encryption at rest and in transit: both queues refuse requests without TLS
	// [4.2.1]
}

// One check of a stack, on a stand-in for AWS that keeps messages for 4 days: the brief wants 14.
func ExampleRun() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, `{"Attributes":{"QueueArn":"arn:aws:sqs:us-east-1:123456789012:payment-jobs-prod","MessageRetentionPeriod":"345600"}}`)
	}))
	defer server.Close()
	report, err := verify.Run(context.Background(), verify.Options{
		AWS: aws.Config{
			Region: "us-east-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
			Retryer: func() aws.Retryer { return aws.NopRetryer{} },
		},
		Suffix: "prod", Outputs: map[string]any{"queueUrl": server.URL + "/123456789012/payment-jobs-prod"},
		Only: []string{"queue.retention"},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, result := range report.Results {
		fmt.Println(result.ID, result.Status)
		fmt.Println(result.Reason)
	}
	fmt.Println(report.OK())
	// Output:
	// queue.retention failed
	// MessageRetentionPeriod: expected 1209600, got 345600 (arn:aws:sqs:us-east-1:123456789012:payment-jobs-prod)
	// false
}

// A report is fine with at least one check and no failed one; what cannot be observed or is switched off is counted apart.
func ExampleReport_OK() {
	fmt.Println(verify.Report{Counts: verify.Counts{Total: 2, Passed: 1, NotObservable: 1}}.OK())
	fmt.Println(verify.Report{Counts: verify.Counts{Total: 2, Passed: 1, Failed: 1}}.OK())
	fmt.Println(verify.Report{}.OK())
	// Output:
	// true
	// false
	// false
}

// A stack is verified from its outputs, here as `pulumi stack output --json` writes them, and the credentials of the
// environment. The report is written as JSON, JUnit XML, Markdown and HTML.
func ExampleRun_environment() {
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
