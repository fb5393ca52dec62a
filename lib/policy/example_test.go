package policy_test

import (
	"fmt"

	"tapstack/lib/policy"
)

func parse(document string) policy.Policy {
	p, err := policy.Parse(document)
	if err != nil {
		fmt.Println(err)
	}
	return p
}

// A queue that only takes messages over TLS, and a role that may send to it.
func Example() {
	role := parse(`{"Version": "2012-10-17", "Statement": [
		{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "arn:aws:sqs:us-east-1:123456789012:jobs"},
		{"Effect": "Deny", "Action": "sqs:*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]}`)
	send := policy.Request{Action: "sqs:SendMessage", Resource: "arn:aws:sqs:us-east-1:123456789012:jobs"}
	for _, request := range []policy.Request{
		send.With("aws:SecureTransport", "true"),
		send.With("aws:SecureTransport", "false"),
		send, // nothing says how the request comes
	} {
		fmt.Println(policy.Evaluate([]policy.Policy{role}, request))
	}
	// Output:
	// allowed <nil>
	// denied <nil>
	//  a condition on aws:SecureTransport
}

func ExampleExternalPrincipals() {
	topic := parse(`{"Version": "2012-10-17", "Statement": [
		{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "sns:*", "Resource": "*"},
		{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::210987654321:root"}, "Action": "sns:Publish", "Resource": "*"},
		{"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sns:Publish", "Resource": "*"}]}`)
	fmt.Println(policy.ExternalPrincipals(topic, "123456789012"))
	fmt.Println(policy.ExternalPrincipals(topic, "123456789012", "events.amazonaws.com"))
	// Output:
	// [arn:aws:iam::210987654321:root events.amazonaws.com]
	// [arn:aws:iam::210987654321:root]
}

func ExampleExcess() {
	role := parse(`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": ["sqs:Send*", "sns:Publish"], "Resource": "arn:x"}}`)
	fmt.Println(policy.Excess([]policy.Policy{role}, []policy.Permission{{Action: "sqs:SendMessage", Resource: "arn:x"}, {Action: "sns:*", Resource: "arn:x"}}))
	// Output: [sqs:Send* on arn:x]
}

func ExampleMatch() {
	fmt.Println(policy.Match("arn:aws:sqs:*:*:payment-*", "arn:aws:sqs:us-east-1:123456789012:payment-jobs"))
	// Output: true
}
