package resource_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"tapstack/lib/awsprovider/resource"
)

func TestJSONIsComparedAsJSON(t *testing.T) {
	for _, it := range []struct {
		a, b string
		same bool
	}{
		{"", "", true},
		{"not json", "not json", true},
		{"not json", "{}", false},
		{`{"a":1,"b":2}`, `{ "b": 2, "a": 1 }`, true},
		{`{"a":["x"]}`, `{"a":"x"}`, false},
		{`{"a":["x","y"]}`, `{"a":["y","x"]}`, false},
		{`{"a":["x","y"]}`, `{"a":["x"]}`, false},
		{`{"a":[{"n":1},{"n":2}]}`, `{"a":[{"n":2},{"n":1}]}`, false},
		{`{"a":null}`, `{}`, false},
	} {
		assert.Equal(t, it.same, resource.SameJSON(it.a, it.b), "%s and %s", it.a, it.b)
	}
}

// TestPoliciesAreComparedAsTheOfficialProviderDoes has first what its library calls equal and what is different JSON.
func TestPoliciesAreComparedAsTheOfficialProviderDoes(t *testing.T) {
	const policy = `{"Version":"2012-10-17","Statement":[{"Sid":"one","Effect":"Allow","Principal":{"AWS":"123456789012"},` +
		`"Action":["sqs:SendMessage","sqs:ReceiveMessage"],"Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}},` +
		`{"Sid":"two","Effect":"Deny","Principal":"*","Action":"sqs:DeleteQueue","Resource":"*"}]}`
	for what, text := range map[string]string{
		"actions in another order": `{"Version":"2012-10-17","Statement":[{"Sid":"one","Effect":"Allow","Principal":{"AWS":"123456789012"},` +
			`"Action":["sqs:ReceiveMessage","sqs:SendMessage"],"Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}},` +
			`{"Sid":"two","Effect":"Deny","Principal":"*","Action":"sqs:DeleteQueue","Resource":"*"}]}`,
		"statements in another order": `{"Version":"2012-10-17","Statement":[{"Sid":"two","Effect":"Deny","Principal":"*","Action":"sqs:DeleteQueue","Resource":"*"},` +
			`{"Sid":"one","Effect":"Allow","Principal":{"AWS":"123456789012"},` +
			`"Action":["sqs:SendMessage","sqs:ReceiveMessage"],"Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}]}`,
		"a list of one for a text": `{"Version":"2012-10-17","Statement":[{"Sid":"one","Effect":"Allow","Principal":{"AWS":["123456789012"]},` +
			`"Action":["sqs:SendMessage","sqs:ReceiveMessage"],"Resource":["*"],"Condition":{"Bool":{"aws:SecureTransport":["true"]}}},` +
			`{"Sid":"two","Effect":"Deny","Principal":"*","Action":["sqs:DeleteQueue"],"Resource":"*"}]}`,
		"the account's root for its id": `{"Version":"2012-10-17","Statement":[{"Sid":"one","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},` +
			`"Action":["sqs:SendMessage","sqs:ReceiveMessage"],"Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}},` +
			`{"Sid":"two","Effect":"Deny","Principal":"*","Action":"sqs:DeleteQueue","Resource":"*"}]}`,
		"a flag for its text": `{"Version":"2012-10-17","Statement":[{"Sid":"one","Effect":"Allow","Principal":{"AWS":"123456789012"},` +
			`"Action":["sqs:SendMessage","sqs:ReceiveMessage"],"Resource":"*","Condition":{"Bool":{"aws:SecureTransport":true}}},` +
			`{"Sid":"two","Effect":"Deny","Principal":"*","Action":"sqs:DeleteQueue","Resource":"*"}]}`,
	} {
		assert.True(t, resource.SamePolicy(policy, text), what)
		assert.False(t, resource.SameJSON(policy, text), what)
	}
	for what, text := range map[string]string{
		"no policy":       "",
		"not JSON":        "{",
		"one fewer":       `{"Version":"2012-10-17","Statement":[{"Sid":"two","Effect":"Deny","Principal":"*","Action":"sqs:DeleteQueue","Resource":"*"}]}`,
		"another version": `{"Version":"2008-10-17","Statement":[]}`,
	} {
		assert.False(t, resource.SamePolicy(policy, text), what)
	}
	assert.True(t, resource.SamePolicy("{", "{"), "the same text, whatever it is")
}
