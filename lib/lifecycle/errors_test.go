package lifecycle

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFailuresAreReducedToTheLinesThatMatter(t *testing.T) {
	cases := []struct {
		name string
		in   []Failure
		want []string
	}{
		{
			"an AWS error loses what the SDK wraps around it",
			[]Failure{{
				Type: "aws:sqs/queue:Queue", Name: "payment-jobs",
				Message: "1 error occurred:\n\t* creating SQS Queue (payment-jobs-dev): operation error SQS: CreateQueue, " +
					"https response error StatusCode: 400, RequestID: 4f1c-22, api error QueueDeletedRecently: wait 60 seconds",
			}},
			[]string{"aws:sqs/queue:Queue payment-jobs: creating SQS Queue (payment-jobs-dev): operation error SQS: CreateQueue, " +
				"api error QueueDeletedRecently: wait 60 seconds"},
		},
		{
			"the engine's own remark is dropped when there is a cause",
			[]Failure{
				{Type: "aws:ec2/vpc:Vpc", Name: "vpc", Message: "VpcLimitExceeded"},
				{Type: stackType, Name: "tapstack-dev", Message: "update failed"},
				{Type: "aws:ec2/vpc:Vpc", Name: "vpc", Message: "VpcLimitExceeded"},
			},
			[]string{"aws:ec2/vpc:Vpc vpc: VpcLimitExceeded"},
		},
		{
			"the program's own error, another of its forms",
			[]Failure{{Type: stackType, Name: "tapstack-dev", Message: "an unhandled error occurred: 1 error occurred:\n\t* asking AWS for the account: rpc error: code = Unknown desc = denied"}},
			[]string{"asking AWS for the account: denied"},
		},
		{
			"and kept when there is none",
			[]Failure{{Type: stackType, Name: "tapstack-dev", Message: "update failed"}},
			[]string{"update failed"},
		},
		{
			"the program's error stands without the runtime's preface",
			[]Failure{{Type: stackType, Name: "tapstack-dev", Message: "an unhandled error occurred: program failed: \nwaiting for RPCs: rpc error: code = Unknown desc = no zones"}},
			[]string{"no zones"},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for index := range c.in {
				c.in[index].Message = tidy(c.in[index].Message)
			}
			for _, failure := range reduce(c.in) {
				got = append(got, failure.String())
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestSecretsInMessagesAreMasked(t *testing.T) {
	mask := masker("the-passphrase", "short")
	for in, want := range map[string]string{ //nolint:gosec // what looks like secrets is what is to be masked
		"decrypting with the-passphrase":                                    "decrypting with [secret]",
		"dial postgres://payments:s3cr3t!@db:5432/payments refused":         "dial postgres://payments:[secret]@db:5432/payments refused",
		`value {"username":"payments","password":"abc def"}`:                `value {"username":"payments","password":"[secret] def"}`,
		"-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----": "-----BEGIN EC PRIVATE KEY-----[secret]-----END EC PRIVATE KEY-----",
		"a short message": "a short message",
	} {
		require.Equal(t, want, mask(in))
	}
}

func TestColoursAreStripped(t *testing.T) {
	require.Equal(t, "error: no", plain("<{%fg 1%}>error: <{%reset%}>no<{%reset%}>\n"))
}

func TestTheCLIsOwnErrorsSayWhatToDo(t *testing.T) {
	failure, next := fromStderr("error: getting stack configuration: incorrect passphrase")
	require.Equal(t, "the state cannot be decrypted with this passphrase", failure.Message)
	require.Contains(t, next, "PULUMI_CONFIG_PASSPHRASE")
	failure, next = fromStderr("error: something new\n")
	require.Equal(t, "something new", failure.Message)
	require.Empty(t, next)
}

func TestAnErrorOfSeveralFailuresGivesOneLineEach(t *testing.T) {
	err := &OperationError{Operation: "destroy", Stack: "dev", Next: "Do this.", Failures: []Failure{
		{Type: "a:b:C", Name: "one", Message: "x"}, {Type: "a:b:C", Name: "two", Message: "y"},
	}}
	require.EqualError(t, err, "destroy of stack dev failed\n  a:b:C one: x\n  a:b:C two: y\nDo this.")
}
