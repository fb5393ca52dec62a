package policy

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func request(action, resource string) Request { return Request{Action: action, Resource: resource} }

func TestARequestIsDecidedAsIAMDoes(t *testing.T) {
	policies := []Policy{
		mustParse(t, `{"Statement":[
			{"Effect":"Allow","Action":["sqs:Send*","sqs:GetQueueUrl"],"Resource":"arn:q"},
			{"Effect":"Allow","Action":"s3:*","NotResource":"arn:secret"},
			{"Effect":"Allow","NotAction":"iam:*","Resource":"arn:any"},
			{"Effect":"Deny","Action":"s3:DeleteObject","Resource":"*"}]}`),
		mustParse(t, `{"Statement":[
			{"Effect":"Allow","Action":"kms:Decrypt","Resource":"arn:key","Condition":{"StringEquals":{"kms:ViaService":["s3.eu-west-1.amazonaws.com","sns.us-east-1.amazonaws.com"]}}},
			{"Effect":"Deny","Action":"sqs:*","Resource":"arn:q","Condition":{"Bool":{"aws:SecureTransport":"false"}}},
			{"Effect":"Allow","Action":"ssm:GetParameter","Resource":"arn:p","Condition":{"StringNotLike":{"aws:PrincipalOrgID":"o-*"}}},
			{"Effect":"Allow","Action":"rds:Stop","Resource":"arn:aws:rds:*:1:db:x*","Condition":{
				"StringEquals":{"aws:ResourceTag/owner":"me"},"StringLike":{"aws:ResourceTag/Name":"*-x*"},"Null":{"aws:RequestTag/owner":"true"}}}]}`),
	}
	plain := func(action, resource string) Request {
		return request(action, resource).With("aws:SecureTransport", "true").With("kms:ViaService").With("aws:PrincipalOrgID")
	}
	stop := request("rds:stop", "arn:aws:rds:r:1:db:x1").With("aws:ResourceTag/owner", "me").With("aws:ResourceTag/Name", "db-x1").With("aws:RequestTag/owner")
	for _, c := range []struct {
		request Request
		want    Decision
	}{
		{plain("sqs:SendMessage", "arn:q"), Allowed},
		{plain("SQS:sendmessage", "arn:q"), Allowed},
		{plain("sqs:SendMessage", "arn:q").With("aws:SecureTransport", "true"), Allowed},
		{plain("sqs:SendMessage", "arn:other"), Denied},
		{plain("sqs:ReceiveMessage", "arn:q"), Denied},
		{plain("s3:GetObject", "arn:bucket"), Allowed},
		{plain("s3:GetObject", "arn:secret"), Denied},
		{plain("s3:DeleteObject", "arn:bucket"), Denied},
		{plain("ec2:RunInstances", "arn:any"), Allowed},
		{plain("iam:PassRole", "arn:any"), Denied},
		{plain("kms:Decrypt", "arn:key"), Denied},
		{request("kms:Decrypt", "arn:key").With("KMS:viaService", "sns.us-east-1.amazonaws.com"), Allowed},
		{request("kms:Decrypt", "arn:key").With("kms:ViaService", "s3.us-east-1.amazonaws.com"), Denied},
		{request("sqs:SendMessage", "arn:q").With("aws:SecureTransport", "false"), Denied},
		{plain("ssm:GetParameter", "arn:p"), Allowed},
		{request("ssm:GetParameter", "arn:p").With("aws:PrincipalOrgID", "o-1"), Denied},
		{stop, Allowed},
		{stop.With("aws:ResourceTag/owner", "you"), Denied},
		{stop.With("aws:ResourceTag/Name", "db-prod"), Denied},
		{stop.With("aws:RequestTag/owner", "me"), Denied},
		{Request{"rds:Stop", "arn:aws:rds:r:2:db:x1", stop.Context}, Denied},
		{Request{"rds:Start", stop.Resource, stop.Context}, Denied},
	} {
		got, err := Evaluate(policies, c.request)
		require.NoError(t, err, "%s with %v", c.request, c.request.Context)
		assert.Equal(t, c.want, got, "%s with %v", c.request, c.request.Context)
	}
}

func TestWhatIsNotUnderstoodIsAnError(t *testing.T) {
	for what, text := range map[string]string{
		"a key that nobody knows":     `{"Effect":"Allow","Action":"a:b","Resource":"r","Condition":{"StringEquals":{"aws:RequestedRegion":"x"}}}`,
		"a key that nobody denies":    `{"Effect":"Deny","Action":"a:b","Resource":"r","Condition":{"StringEquals":{"aws:RequestedRegion":"x"}}}`,
		"an operator":                 `{"Effect":"Allow","Action":"a:b","Resource":"r","Condition":{"IpAddress":{"aws:SecureTransport":"10.0.0.0/8"}}}`,
		"a set operator":              `{"Effect":"Allow","Action":"a:b","Resource":"r","Condition":{"ForAnyValue:StringEquals":{"aws:SecureTransport":"x"}}}`,
		"a variable in a resource":    `{"Effect":"Allow","Action":"a:b","Resource":"r/${aws:username}"}`,
		"a variable in a condition":   `{"Effect":"Allow","Action":"a:b","Resource":"r","Condition":{"StringEquals":{"aws:SecureTransport":"${x}"}}}`,
		"a condition without a value": `{"Effect":"Deny","Action":"a:b","Resource":"r","Condition":{"Bool":{"aws:SecureTransport":null}}}`,
		"an effect":                   `{"Effect":"Perhaps","Action":"a:b","Resource":"r"}`,
		"no action":                   `{"Effect":"Allow","Resource":"r"}`,
		"no resource":                 `{"Effect":"Allow","Action":"a:b"}`,
		"an action and its negation":  `{"Effect":"Allow","Action":"a:b","NotAction":"c:d","Resource":"r"}`,
	} {
		got, err := Evaluate([]Policy{statement(t, text)}, request("a:b", "r").With("aws:SecureTransport", "true"))
		require.Error(t, err, what)
		assert.Empty(t, got, what)
	}
}

func TestConditionsHoldAsTheirOperatorsSay(t *testing.T) {
	context := map[string][]string{"k": {"Blue"}, "gone": nil, "many": {"a", "b"}}
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
		got, err := conditionHolds(c.operator, c.key, []string{c.wanted}, context)
		require.NoError(t, err, "%s %s %s", c.operator, c.key, c.wanted)
		assert.Equal(t, c.want, got, "%s %s %s", c.operator, c.key, c.wanted)
	}
	_, err := conditionHolds("StringEquals", "many", []string{"a"}, context)
	assert.Error(t, err, "a key with several values is compared as if it had one")
}

func TestADenyOfItsDeletionMakesAResourceIndestructible(t *testing.T) {
	deletion := request("sqs:DeleteQueue", "arn:q")
	for text, want := range map[string]Decision{
		`{"Effect":"Deny","Principal":"*","Action":"sqs:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`: Allowed,
		`{"Effect":"Deny","Principal":"*","Action":"sqs:DeleteQueue","Resource":"*"}`:                                            Denied,
		`{"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::123456789012:role/x"},"Action":"sqs:*","Resource":"*"}`:               Denied,
		`{"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::999999999999:root"},"Action":"sqs:*","Resource":"*"}`:                 Allowed,
		`{"Effect":"Deny","NotPrincipal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"sqs:*","Resource":"*"}`:              Denied,
		`{"Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"*"}`:                                                     Allowed,
	} {
		got, err := EvaluateForAdministrator(statement(t, text), deletion, account)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
	unclear := statement(t, `{"Effect":"Deny","Principal":"*","Action":"sqs:*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}`)
	_, err := EvaluateForAdministrator(unclear, deletion, account)
	assert.EqualError(t, err, "a condition on aws:SourceIp")
}
