package verify

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
	"tapstack/lib/cloud"
)

// answering is an AWS that answers every call alike.
type answering func(*http.Request) (*http.Response, error)

func (a answering) Do(r *http.Request) (*http.Response, error) { return a(r) }

// refusal is how AWS says no, in the protocol of the request.
func refusal(r *http.Request) (*http.Response, error) {
	const what = "User: arn:aws:iam::123456789012:user/blind is not authorized to perform this"
	body, kind := fmt.Sprintf(`<ErrorResponse><Error><Code>AccessDenied</Code><Message>%s</Message></Error></ErrorResponse>`, what), "text/xml"
	switch {
	case strings.Contains(r.Header.Get("Content-Type"), "json"):
		body, kind = fmt.Sprintf(`{"__type":"AccessDeniedException","message":%q}`, what), "application/x-amz-json-1.1"
	case strings.Contains(r.URL.Host, "s3") || r.Method != http.MethodPost:
		body = fmt.Sprintf(`<Error><Code>AccessDenied</Code><Message>%s</Message></Error>`, what)
	}
	return &http.Response{
		StatusCode: http.StatusForbidden, Header: http.Header{"Content-Type": {kind}}, Request: r, ContentLength: int64(len(body)),
		Body: io.NopCloser(bytes.NewBufferString(body)),
	}, nil
}

func answeredBy(client answering) aws.Config {
	return aws.Config{
		Region: briefRegion, HTTPClient: client, Retryer: func() aws.Retryer { return aws.NopRetryer{} },
		Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
	}
}

// completeOutputs are those of a whole stack in the account and region.
func completeOutputs(account, region string) map[string]any {
	outputs := map[string]any{}
	outputs[lib.OutputConfiguration] = configured(nil)
	for _, name := range textOutputs() {
		outputs[name] = name + "-dev"
	}
	for _, name := range listOutputs() {
		outputs[name] = []any{name + "-dev"}
	}
	for _, name := range arnOutputs() {
		outputs[name] = fmt.Sprintf("arn:aws:any:%s:%s:%s-dev", region, account, name)
	}
	return outputs
}

func TestWhoeverMayNotReadOrReachesNobodySeesEveryCheckFailAndNoneHidden(t *testing.T) {
	unreachable := func(*http.Request) (*http.Response, error) { return nil, syscall.ECONNREFUSED }
	for why, client := range map[string]answering{"AccessDenied": refusal, "connection refused": unreachable} {
		for _, outputs := range []map[string]any{nil, completeOutputs(testAccount, briefRegion)} {
			report, err := Run(t.Context(), Options{AWS: answeredBy(client), Outputs: outputs, Suffix: "dev", Act: true})
			require.NoError(t, err)
			assert.False(t, report.OK())
			for _, r := range report.Results {
				assert.Equal(t, Failed, r.Status, r.ID)
				assert.NotEmpty(t, r.Reason, r.ID)
			}
			assert.Contains(t, report.Problem, why)
			assert.NotContains(t, report.Problem, "\n")
			assert.NotZero(t, report.APICalls)
		}
	}
}

func TestRefusedOperationsAreNamedInOneLine(t *testing.T) {
	assert.Empty(t, refusals(nil))
	assert.Equal(t, "the credentials may not read everything: refused were a, b, c, d, e and 2 more",
		refusals([]string{"a", "b", "c", "d", "e", "f", "g"}))
}

// knownIdentity answers for the target whose account it is.
func knownIdentity(t *testing.T, e *Env) {
	t.Helper()
	_, err := cloud.Once(t.Context(), e.cloud, "sts:GetCallerIdentity", func(context.Context) (cloud.Identity, error) {
		return cloud.Identity{Account: testAccount, Region: briefRegion, Partition: "aws"}, nil
	})
	require.NoError(t, err)
}

func TestTheProblemOfARunIsTheStackThatIsElsewhereOrIncomplete(t *testing.T) {
	without := func(name string) map[string]any {
		outputs := completeOutputs(testAccount, briefRegion)
		delete(outputs, name)
		return outputs
	}
	for what, c := range map[string]struct {
		outputs map[string]any
		want    string
	}{
		"all is well":     {completeOutputs(testAccount, briefRegion), ""},
		"no stack":        {nil, "no outputs"},
		"half a stack":    {without("queueUrl"), "not deployed to its end: it has no output queueUrl"},
		"no list":         {without("publicSubnetIds"), "it has no output publicSubnetIds"},
		"another region":  {completeOutputs(testAccount, "eu-west-1"), "the stack is in account 123456789012, region eu-west-1; asked was account 123456789012, region us-east-1"},
		"another account": {completeOutputs("999999999999", briefRegion), "the stack is in account 999999999999"},
	} {
		env := newEnv(Options{AWS: answeredBy(refusal), Outputs: c.outputs, Suffix: "dev"})
		knownIdentity(t, env)
		got := env.problem(t.Context())
		assert.Contains(t, got, c.want, what)
		assert.Equal(t, c.want == "", got == "", what)
	}
}
