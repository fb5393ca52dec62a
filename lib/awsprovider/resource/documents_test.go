package resource_test

import (
	"strings"
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
	const (
		head = `{"Version":"2012-10-17","Statement":[`
		one  = `{"Sid":"one","Effect":"Allow","Principal":{"AWS":"123456789012"},` +
			`"Action":["sqs:SendMessage","sqs:ReceiveMessage"],"Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}`
		two    = `{"Sid":"two","Effect":"Deny","Principal":"*","Action":"sqs:DeleteQueue","Resource":"*"}`
		policy = head + one + "," + two + "]}"
	)
	but := func(changes ...string) string { return strings.NewReplacer(changes...).Replace(policy) }
	for what, text := range map[string]string{
		"actions in another order":      but(`["sqs:SendMessage","sqs:ReceiveMessage"]`, `["sqs:ReceiveMessage","sqs:SendMessage"]`),
		"statements in another order":   head + two + "," + one + "]}",
		"a list of one for a text":      but(`"123456789012"`, `["123456789012"]`, `"sqs:DeleteQueue"`, `["sqs:DeleteQueue"]`, `"true"`, `["true"]`),
		"the account's root for its id": but(`"123456789012"`, `"arn:aws:iam::123456789012:root"`),
		"a flag for its text":           but(`"true"`, `true`),
	} {
		assert.True(t, resource.SamePolicy(policy, text), what)
		assert.False(t, resource.SameJSON(policy, text), what)
	}
	for what, text := range map[string]string{
		"no policy":       "",
		"not JSON":        "{",
		"one fewer":       head + two + "]}",
		"another version": `{"Version":"2008-10-17","Statement":[]}`,
	} {
		assert.False(t, resource.SamePolicy(policy, text), what)
	}
	assert.True(t, resource.SamePolicy("{", "{"), "the same text, whatever it is")
}
