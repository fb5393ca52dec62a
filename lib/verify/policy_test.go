package verify

import (
	"net/url"
	"slices"
	"testing"
)

const account = "123456789012"

func mustPolicy(t *testing.T, document string) policy {
	t.Helper()
	p, err := parsePolicy(document)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPoliciesReadInEverySpellingThatIAMAllows(t *testing.T) {
	one := `{"Statement":{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole",
		"Condition":{"Bool":{"aws:SecureTransport":false}}}}`
	for _, document := range []string{one, url.QueryEscape(one)} {
		p := mustPolicy(t, document)
		s := p.Statement[0]
		if !slices.Equal(s.Principal["Service"], texts{"ecs-tasks.amazonaws.com"}) || !slices.Equal(s.Action, texts{"sts:AssumeRole"}) {
			t.Errorf("read %+v", s)
		}
		if got := s.condition("AWS:securetransport", "bool"); !slices.Equal(got, []string{"false"}) {
			t.Errorf("the condition reads %v", got)
		}
	}
	for _, broken := range []string{"", "{}", `{"Statement":[]}`, "nonsense"} {
		if _, err := parsePolicy(broken); err == nil {
			t.Errorf("%q reads as a policy", broken)
		}
	}
}

func TestPlainTextIsDeniedOnlyByADenyOfEveryone(t *testing.T) {
	for document, want := range map[string]bool{
		`{"Statement":[{"Effect":"Deny","Principal":"*","Action":"sqs:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}`:                           true,
		`{"Statement":[{"Effect":"Deny","Principal":{"AWS":"*"},"Action":"sqs:SendMessage","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":["false"]}}}]}`:       true,
		`{"Statement":[{"Effect":"Deny","Principal":"*","Action":"sqs:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}]}`:                            false,
		`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}`:                          false,
		`{"Statement":[{"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::1:root"},"Action":"sqs:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}`: false,
		`{"Statement":[{"Effect":"Deny","Principal":"*","Action":"sqs:ReceiveMessage","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}`:              false,
	} {
		if got := mustPolicy(t, document).deniesPlainText("sqs:SendMessage"); got != want {
			t.Errorf("%s: %t, want %t", document, got, want)
		}
	}
}

func TestAServiceIsLetInForOneAccountOnly(t *testing.T) {
	p := mustPolicy(t, `{"Statement":[
		{"Effect":"Allow","Principal":{"Service":["cloudwatch.amazonaws.com"]},"Action":"sns:Publish","Resource":"*","Condition":{"StringEquals":{"aws:SourceAccount":"123456789012"}}},
		{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sns:Publish","Resource":"*","Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:events:us-east-1:123456789012:rule/*"}}},
		{"Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"Action":"sns:Publish","Resource":"*"},
		{"Effect":"Allow","Principal":{"Service":"ses.amazonaws.com"},"Action":"sns:Publish","Resource":"*","Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:ses:*:*:*"}}},
		{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sns:Publish","Resource":"*"}]}`)
	if got := p.services("sns:Publish", account); !slices.Equal(got, []string{"cloudwatch.amazonaws.com", "events.amazonaws.com"}) {
		t.Errorf("bound are %v", got)
	}
	if got := p.unboundServices("sns:Publish", account); !slices.Equal(got, []string{"s3.amazonaws.com", "ses.amazonaws.com"}) {
		t.Errorf("unbound are %v", got)
	}
	if got := p.strangers(account, "s3.amazonaws.com"); !slices.Equal(got, []string{"ses.amazonaws.com", "*"}) {
		t.Errorf("strangers are %v", got)
	}
}
