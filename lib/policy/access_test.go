package policy

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestExcessIsWhateverIsAllowedBeyondTheTable(t *testing.T) {
	permitted := []Permission{{"sqs:SendMessage", "arn:q"}, {"logs:Put*", "arn:l:*"}}
	for text, want := range map[string][]string{
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
		assert.Equal(t, want, Excess([]Policy{statement(t, text)}, permitted), text)
	}
}

func TestExternalPrincipalsAreAllFromOutsideTheAccount(t *testing.T) {
	for text, want := range map[string][]string{
		`{"Effect":"Allow","Principal":"*","Action":"a:b","Resource":"*"}`:                                                                                               {"*"},
		`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::999999999999:root"},"Action":"a:b","Resource":"*"}`:                                                          {"arn:aws:iam::999999999999:root"},
		`{"Effect":"Allow","Principal":{"AWS":["123456789012","arn:aws:iam::123456789012:role/x"]},"Action":"a:b","Resource":"*"}`:                                       nil,
		`{"Effect":"Allow","Principal":{"Federated":"accounts.google.com"},"Action":"a:b","Resource":"*"}`:                                                               {"accounts.google.com"},
		`{"Effect":"Allow","Principal":{"CanonicalUser":"79a5"},"Action":"a:b","Resource":"*"}`:                                                                          {"79a5"},
		`{"Effect":"Allow","NotPrincipal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"a:b","Resource":"*"}`:                                                       {"everyone but NotPrincipal"},
		`{"Effect":"Allow","Principal":{"Service":"known.amazonaws.com"},"Action":"a:b","Resource":"*"}`:                                                                 nil,
		`{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"a:b","Resource":"*","Condition":{"StringEquals":{"aws:SourceAccount":"123456789012"}}}`: nil,
		`{"Effect":"Deny","Principal":"*","Action":"a:b","Resource":"*"}`:                                                                                                nil,
	} {
		assert.Equal(t, want, ExternalPrincipals(statement(t, text), account, "known.amazonaws.com"), text)
	}
}

func TestPlainTextIsDeniedOnlyByADenyOfEveryone(t *testing.T) {
	for text, want := range map[string]bool{
		`{"Effect":"Deny","Principal":"*","Action":"sqs:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`:                           true,
		`{"Effect":"Deny","Principal":{"AWS":"*"},"Action":"sqs:SendMessage","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":["false"]}}}`:       true,
		`{"Effect":"Deny","Principal":"*","Action":"sqs:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}`:                            false,
		`{"Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`:                          false,
		`{"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::1:root"},"Action":"sqs:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`: false,
		`{"Effect":"Deny","Principal":"*","Action":"sqs:ReceiveMessage","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`:              false,
	} {
		assert.Equal(t, want, DeniesWithoutTLS(statement(t, text), "sqs:SendMessage"), text)
	}
}

func TestADenyToAllButSomeLeavesOutThoseOnly(t *testing.T) {
	const but = `"Condition":{"ArnNotLike":{"aws:PrincipalArn":["arn:a","arn:b"]}}`
	for text, want := range map[string][]string{
		`{"Effect":"Deny","Principal":"*","Action":"a:Read","Resource":"*",` + but + `}`:                                                                     {"arn:a", "arn:b"},
		`{"Effect":"Deny","Principal":{"AWS":"*"},"Action":"a:*","Resource":"*","Condition":{"ArnNotEquals":{"AWS:principalarn":"arn:a"}}}`:                  {"arn:a"},
		`{"Effect":"Allow","Principal":"*","Action":"a:Read","Resource":"*",` + but + `}`:                                                                    nil,
		`{"Effect":"Deny","Principal":{"AWS":"arn:c"},"Action":"a:Read","Resource":"*",` + but + `}`:                                                         nil,
		`{"Effect":"Deny","Principal":"*","Action":"a:Write","Resource":"*",` + but + `}`:                                                                    nil,
		`{"Effect":"Deny","Principal":"*","Action":"a:Read","Resource":"*"}`:                                                                                 nil,
		`{"Effect":"Deny","Principal":"*","Action":"a:Read","Resource":"*","Condition":{"ArnLike":{"aws:PrincipalArn":"arn:a"}}}`:                            nil,
		`{"Effect":"Deny","Principal":"*","Action":"a:Read","Resource":"*","Condition":{"ArnNotLike":{"aws:PrincipalArn":"arn:a","aws:SourceArn":"arn:x"}}}`: nil,
		`{"Effect":"Deny","Principal":"*","Action":"a:Read","Resource":"*","Condition":{"ArnNotLike":{"aws:PrincipalArn":"arn:a"},"Bool":{"aws:x":"true"}}}`: nil,
	} {
		principals, denied := AllBut(statement(t, text), "a:Read")
		assert.Equal(t, want, principals, text)
		assert.Equal(t, want != nil, denied, text)
	}
}

func TestAServiceIsLetInForOneAccountOnly(t *testing.T) {
	p := mustParse(t, `{"Statement":[
		{"Effect":"Allow","Principal":{"Service":["cloudwatch.amazonaws.com"]},"Action":"sns:Publish","Resource":"*","Condition":{"StringEquals":{"aws:SourceAccount":"123456789012"}}},
		{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sns:Publish","Resource":"*","Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:events:us-east-1:123456789012:rule/*"}}},
		{"Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"Action":"sns:Publish","Resource":"*"},
		{"Effect":"Allow","Principal":{"Service":"ses.amazonaws.com"},"Action":"sns:Publish","Resource":"*","Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:ses:*:*:*"}}},
		{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sns:Publish","Resource":"*"}]}`)
	bound, unbound := Services(p, "sns:Publish", account)
	assert.Equal(t, []string{"cloudwatch.amazonaws.com", "events.amazonaws.com"}, bound)
	assert.Equal(t, []string{"s3.amazonaws.com", "ses.amazonaws.com"}, unbound)
	assert.Equal(t, []string{"ses.amazonaws.com", "*"}, ExternalPrincipals(p, account, "s3.amazonaws.com"))
}
