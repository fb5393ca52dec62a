package verify

import (
	"slices"
	"strings"
	"testing"
)

func TestADeedIsDecidedAsIAMDoes(t *testing.T) {
	policies := []policy{
		mustPolicy(t, `{"Statement":[
			{"Effect":"Allow","Action":["sqs:Send*","sqs:GetQueueUrl"],"Resource":"arn:q"},
			{"Effect":"Allow","Action":"s3:*","NotResource":"arn:secret"},
			{"Effect":"Allow","NotAction":"iam:*","Resource":"arn:any"},
			{"Effect":"Deny","Action":"s3:DeleteObject","Resource":"*"}]}`),
		mustPolicy(t, `{"Statement":[
			{"Effect":"Allow","Action":"kms:Decrypt","Resource":"arn:key","Condition":{"StringEquals":{"kms:ViaService":"sns.us-east-1.amazonaws.com"}}},
			{"Effect":"Deny","Action":"sqs:*","Resource":"arn:q","Condition":{"Bool":{"aws:SecureTransport":"false"}}},
			{"Effect":"Allow","Action":"ssm:GetParameter","Resource":"arn:p","Condition":{"StringNotLike":{"aws:PrincipalOrgID":"o-*"}}}]}`),
	}
	plain := func(action, resource string) deed {
		return deed{action: action, resource: resource}.over("aws:SecureTransport", "true").over("kms:ViaService").over("aws:PrincipalOrgID")
	}
	for _, c := range []struct {
		d    deed
		want string
	}{
		{plain("sqs:SendMessage", "arn:q"), allowed},
		{plain("SQS:sendmessage", "arn:q"), allowed},
		{plain("sqs:SendMessage", "arn:q").over("aws:SecureTransport", "true"), allowed},
		{plain("sqs:SendMessage", "arn:other"), denied},
		{plain("sqs:ReceiveMessage", "arn:q"), denied},
		{plain("s3:GetObject", "arn:bucket"), allowed},
		{plain("s3:GetObject", "arn:secret"), denied},
		{plain("s3:DeleteObject", "arn:bucket"), denied},
		{plain("ec2:RunInstances", "arn:any"), allowed},
		{plain("iam:PassRole", "arn:any"), denied},
		{plain("kms:Decrypt", "arn:key"), denied},
		{deed{action: "kms:Decrypt", resource: "arn:key"}.over("KMS:viaService", "sns.us-east-1.amazonaws.com"), allowed},
		{deed{action: "kms:Decrypt", resource: "arn:key"}.over("kms:ViaService", "s3.us-east-1.amazonaws.com"), denied},
		{deed{action: "sqs:SendMessage", resource: "arn:q"}.over("aws:SecureTransport", "false"), denied},
		{plain("ssm:GetParameter", "arn:p"), allowed},
		{deed{action: "ssm:GetParameter", resource: "arn:p"}.over("aws:PrincipalOrgID", "o-1"), denied},
	} {
		if got := decide(policies, c.d); got != c.want {
			t.Errorf("%s with %v: %s, want %s", c.d, c.d.keys, got, c.want)
		}
	}
}

func TestWhatTheEvaluatorDoesNotUnderstandIsNeitherAllowedNorDenied(t *testing.T) {
	for what, st := range map[string]string{
		"a key that nobody knows":    `{"Effect":"Allow","Action":"a:b","Resource":"r","Condition":{"StringEquals":{"aws:RequestedRegion":"x"}}}`,
		"a key that nobody denies":   `{"Effect":"Deny","Action":"a:b","Resource":"r","Condition":{"StringEquals":{"aws:RequestedRegion":"x"}}}`,
		"an operator":                `{"Effect":"Allow","Action":"a:b","Resource":"r","Condition":{"IpAddress":{"aws:SecureTransport":"10.0.0.0/8"}}}`,
		"a set operator":             `{"Effect":"Allow","Action":"a:b","Resource":"r","Condition":{"ForAnyValue:StringEquals":{"aws:SecureTransport":"x"}}}`,
		"a variable in a resource":   `{"Effect":"Allow","Action":"a:b","Resource":"r/${aws:username}"}`,
		"a variable in a condition":  `{"Effect":"Allow","Action":"a:b","Resource":"r","Condition":{"StringEquals":{"aws:SecureTransport":"${x}"}}}`,
		"an effect":                  `{"Effect":"Perhaps","Action":"a:b","Resource":"r"}`,
		"no action":                  `{"Effect":"Allow","Resource":"r"}`,
		"no resource":                `{"Effect":"Allow","Action":"a:b"}`,
		"an action and its negation": `{"Effect":"Allow","Action":"a:b","NotAction":"c:d","Resource":"r"}`,
	} {
		got := decide([]policy{mustPolicy(t, `{"Statement":[`+st+`]}`)}, deed{action: "a:b", resource: "r"}.over("aws:SecureTransport", "true"))
		if !strings.HasPrefix(got, "not understood") {
			t.Errorf("%s: %s", what, got)
		}
	}
}

func TestConditionsHoldAsTheirOperatorsSay(t *testing.T) {
	request := map[string][]string{"k": {"Blue"}, "gone": nil, "many": {"a", "b"}}
	for _, c := range []struct {
		operator, key, wanted string
		want                  bool
	}{
		{"StringEquals", "K", "Blue", true},
		{"StringEquals", "k", "blue", false},
		{"StringNotEquals", "k", "blue", true},
		{"StringEqualsIgnoreCase", "k", "blue", true},
		{"StringLike", "k", "B*", true},
		{"StringNotLike", "k", "B*", false},
		{"ArnLike", "k", "Bl?e", true},
		{"ArnNotEquals", "k", "Blue", false},
		{"Bool", "k", "BLUE", true},
		{"StringEquals", "gone", "Blue", false},
		{"StringEqualsIfExists", "gone", "Blue", true},
		{"StringNotEquals", "gone", "Blue", true},
		{"Null", "gone", "true", true},
		{"Null", "k", "true", false},
		{"Null", "k", "false", true},
	} {
		got, err := conditionHolds(c.operator, c.key, []string{c.wanted}, request)
		if err != nil || got != c.want {
			t.Errorf("%s %s %s: %t, %v; want %t", c.operator, c.key, c.wanted, got, err, c.want)
		}
	}
	if _, err := conditionHolds("StringEquals", "many", []string{"a"}, request); err == nil {
		t.Error("a key with several values is compared as if it had one")
	}
}

func TestExcessIsWhateverIsAllowedBeyondTheTable(t *testing.T) {
	permitted := []grant{{"sqs:SendMessage", "arn:q"}, {"logs:Put*", "arn:l:*"}}
	for document, want := range map[string][]string{
		`{"Effect":"Allow","Action":"sqs:SendMessage","Resource":"arn:q"}`:                                nil,
		`{"Effect":"Allow","Action":"SQS:sendmessage","Resource":"arn:q"}`:                                nil,
		`{"Effect":"Allow","Action":"logs:PutLogEvents","Resource":"arn:l:stream"}`:                       nil,
		`{"Effect":"Allow","Action":"sqs:Send*","Resource":"arn:q"}`:                                      {"sqs:Send* on arn:q"},
		`{"Effect":"Allow","Action":"sqs:SendMessage","Resource":["arn:q","*"]}`:                          {"sqs:SendMessage on *"},
		`{"Effect":"Allow","Action":"sqs:SendMessage","Resource":"arn:q","Condition":{"Bool":{"x":"y"}}}`: nil,
		`{"Effect":"Allow","Action":"iam:PassRole","Resource":"arn:q","Condition":{"Bool":{"x":"y"}}}`:    {"iam:PassRole on arn:q"},
		`{"Effect":"Allow","NotAction":"iam:*","Resource":"arn:q"}`:                                       {"all but iam:*"},
		`{"Effect":"Deny","Action":"*","Resource":"*"}`:                                                   nil,
	} {
		if got := excess([]policy{mustPolicy(t, `{"Statement":[`+document+`]}`)}, permitted); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", document, got, want)
		}
	}
}

func TestStrangersAreAllFromOutsideTheAccount(t *testing.T) {
	for document, want := range map[string][]string{
		`{"Effect":"Allow","Principal":"*","Action":"a:b","Resource":"*"}`:                                                                                               {"*"},
		`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::999999999999:root"},"Action":"a:b","Resource":"*"}`:                                                          {"arn:aws:iam::999999999999:root"},
		`{"Effect":"Allow","Principal":{"AWS":["123456789012","arn:aws:iam::123456789012:role/x"]},"Action":"a:b","Resource":"*"}`:                                       nil,
		`{"Effect":"Allow","Principal":{"Federated":"accounts.google.com"},"Action":"a:b","Resource":"*"}`:                                                               {"accounts.google.com"},
		`{"Effect":"Allow","NotPrincipal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"a:b","Resource":"*"}`:                                                       {"all but some"},
		`{"Effect":"Allow","Principal":{"Service":"known.amazonaws.com"},"Action":"a:b","Resource":"*"}`:                                                                 nil,
		`{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"a:b","Resource":"*","Condition":{"StringEquals":{"aws:SourceAccount":"123456789012"}}}`: nil,
		`{"Effect":"Deny","Principal":"*","Action":"a:b","Resource":"*"}`:                                                                                                nil,
	} {
		if got := mustPolicy(t, `{"Statement":[`+document+`]}`).strangers(account, "known.amazonaws.com"); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", document, got, want)
		}
	}
}

func TestADenyOfItsDeletionMakesAResourceIndestructible(t *testing.T) {
	for document, want := range map[string]string{
		`{"Effect":"Deny","Principal":"*","Action":"sqs:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`:    allowed,
		`{"Effect":"Deny","Principal":"*","Action":"sqs:DeleteQueue","Resource":"*"}`:                                               denied,
		`{"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::123456789012:role/x"},"Action":"sqs:*","Resource":"*"}`:                  denied,
		`{"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::999999999999:root"},"Action":"sqs:*","Resource":"*"}`:                    allowed,
		`{"Effect":"Deny","NotPrincipal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"sqs:*","Resource":"*"}`:                 denied,
		`{"Effect":"Deny","Principal":"*","Action":"sqs:*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}`: "not understood: a condition on aws:SourceIp",
		`{"Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"*"}`:                                                        allowed,
	} {
		if got := mustPolicy(t, `{"Statement":[`+document+`]}`).refuses(deed{action: "sqs:DeleteQueue", resource: "arn:q"}, account); got != want {
			t.Errorf("%s: %s, want %s", document, got, want)
		}
	}
}
