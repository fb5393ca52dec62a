package policy

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const account = "123456789012"

func mustParse(t *testing.T, document string) Policy {
	t.Helper()
	p, err := Parse(document)
	require.NoError(t, err, document)
	return p
}

// statement is a policy of the one.
func statement(t *testing.T, text string) Policy {
	t.Helper()
	return mustParse(t, `{"Statement":[`+text+`]}`)
}

func TestPoliciesReadInEverySpellingThatIAMAllows(t *testing.T) {
	one := `{"Statement":{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:Assume+Role",
		"Condition":{"Bool":{"aws:SecureTransport":false},"NumericEquals":{"s3:max-keys":[10,2.5]}}}}`
	for _, document := range []string{one, url.PathEscape(one)} {
		statements := Statements(mustParse(t, document))
		require.Len(t, statements, 1)
		s := statements[0]
		assert.Equal(t, map[string][]string{"Service": {"ecs-tasks.amazonaws.com"}}, Principals(s.Principal))
		assert.Equal(t, []string{"sts:Assume+Role"}, Values(s.Action))
		assert.Nil(t, Values(s.Resource))
		assert.Nil(t, Principals(s.NotPrincipal))
		assert.Equal(t, []string{"false"}, ConditionValues(s, "AWS:securetransport", "bool"))
		assert.Equal(t, []string{"10", "2.5"}, ConditionValues(s, "s3:max-keys", "NumericEquals"))
		assert.Empty(t, ConditionValues(s, "aws:SecureTransport", "StringEquals"))
	}
	everyone := Statements(mustParse(t, `{"Statement":[{"Effect":"Deny","Principal":"*","Action":["a:b","c:d"],"Resource":"*"}]}`))[0]
	assert.Equal(t, map[string][]string{"AWS": {"*"}}, Principals(everyone.Principal))
}

func TestWhatIsNoPolicyOrHoldsMoreThanIsUnderstoodIsRefused(t *testing.T) {
	for _, document := range []string{
		"", "{}", `{"Statement":[]}`, "nonsense", "%7Bbroken%zz", `{"Statement":null}`, `{"Statement":"*"}`,
		`{"Statement":{"Effect":"Allow","Verb":"a:b"}}`,
		`{"Statement":{"Effect":"Allow","Action":7}}`,
		`{"Statement":{"Effect":"Allow","Principal":{"AWS":"*","Robot":"r2"},"Action":"a:b"}}`,
		`{"Statement":[{"Effect":"Deny","NotPrincipal":{"Robot":"r2"},"Action":"a:b"}]}`,
		`{"Statement":{"Effect":"Allow","Principal":"123456789012","Action":"a:b"}}`,
		`{"Statement":{"Effect":"Allow","Principal":"","Action":"a:b"}}`,
	} {
		_, err := Parse(document)
		assert.Error(t, err, "%q reads as a policy", document)
	}
}

func TestWildcards(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"/api/*", "/api/", true},
		{"/api/*", "/api", false},
		{"/api/*", "/API/x", false},
		{"*", "", true},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{"*/x/*", "/a/b/x/c", true},
		{"s3:Get*", "s3:GetObject", true},
		{"", "x", false},
		{"a*b*c", "aXXbYYbc", true},
		{"a*b*c", "aXXbYY", false},
		{"a*", "a\nb", true},
		{"a.c", "abc", false},
	} {
		assert.Equal(t, c.want, Match(c.pattern, c.text), "%q, %q", c.pattern, c.text)
	}
}
