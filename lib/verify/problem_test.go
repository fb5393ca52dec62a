package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

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
		Region: briefRegion, HTTPClient: client,
		Retryer: func() aws.Retryer { return aws.NopRetryer{} },
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	}
}

// completeOutputs are those of a whole stack in the account and region.
func completeOutputs(account, region string) map[string]any {
	outputs := map[string]any{}
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

func TestCredentialsThatMayNotReadFailEveryCheckAndHideBehindNoGap(t *testing.T) {
	report, err := Run(t.Context(), Options{AWS: answeredBy(refusal), Outputs: completeOutputs(testAccount, briefRegion), Suffix: "dev", Act: true})
	if err != nil {
		t.Fatal(err)
	}
	if report.OK() || report.Counts.Failed != len(Checks()) {
		t.Errorf("%+v", report.Counts)
	}
	for _, r := range report.Results {
		if r.Status != Failed || r.Reason == "" {
			t.Errorf("%s: %s, %q", r.ID, r.Status, r.Reason)
		}
	}
	if !strings.Contains(report.Problem, "AccessDenied") || strings.Contains(report.Problem, "\n") {
		t.Errorf("the problem is %q", report.Problem)
	}
	if report.APICalls == 0 {
		t.Error("no call was counted")
	}
}

func TestRefusedCallsAreToldApartFromOtherErrors(t *testing.T) {
	for code, want := range map[string]bool{
		"AccessDenied": true, "AccessDeniedException": true, "UnauthorizedOperation": true, "AuthorizationError": true,
		"InvalidClientTokenId": true, "ExpiredTokenException": true, "UnrecognizedClientException": true,
		"Throttling": false, "ValidationError": false, "InternalFailure": false, "ResourceNotFoundException": false,
	} {
		if got := cloud.IsRefused(fmt.Errorf("asking: %w", &smithy.GenericAPIError{Code: code})); got != want {
			t.Errorf("%s: %t", code, got)
		}
	}
	if cloud.IsRefused(nil) || cloud.IsRefused(errors.New("connection reset")) {
		t.Error("no answer reads as a refusal")
	}
	if refusals(nil) != "" {
		t.Error("nothing was refused")
	}
	var operations []string
	for i := range 7 {
		operations = append(operations, fmt.Sprintf("EC2 Describe%d", i))
	}
	if got := refusals(operations); !strings.Contains(got, "EC2 Describe0, EC2 Describe1") || !strings.HasSuffix(got, "and 2 more") {
		t.Errorf("%q", got)
	}
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
		if got := env.problem(t.Context()); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", what, got, c.want)
		}
	}
}
