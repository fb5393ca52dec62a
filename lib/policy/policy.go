// Package policy reads IAM policy documents and says what they allow. It stands on the types of
// github.com/micahhausler/aws-iam-policy and adds what they lack: strict reading (Parse), evaluation as IAM does it
// (Evaluate), and what auditors ask of a resource's policy (ExternalPrincipals, DeniesWithoutTLS, Services).
//
// What it does not understand is an error, so that nobody takes it for an allowed or a denied request.
package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	iampolicy "github.com/micahhausler/aws-iam-policy/policy"
)

// Policy is a policy document, and Statement one of its statements.
type (
	Policy    = iampolicy.Policy
	Statement = iampolicy.Statement
)

// Parse reads a document as the APIs give it: JSON, or JSON that is percent-encoded (RFC 3986). A document without a
// statement is an error.
func Parse(document string) (Policy, error) {
	if strings.HasPrefix(document, "%7B") {
		plain, err := url.PathUnescape(document)
		if err != nil {
			return Policy{}, fmt.Errorf("unescaping a policy: %w", err)
		}
		document = plain
	}
	var p Policy
	if err := json.Unmarshal([]byte(document), &p); err != nil {
		return Policy{}, fmt.Errorf("reading a policy: %w", err)
	}
	if len(Statements(p)) == 0 {
		return Policy{}, errors.New("the policy has no statement")
	}
	if err := checkPrincipals(document); err != nil {
		return Policy{}, fmt.Errorf("reading a policy: %w", err)
	}
	return p, nil
}

// checkPrincipals refuses what the library's Principal drops without a word: kinds that it does not know, and the text
// of one that is not "*".
func checkPrincipals(document string) error {
	var raw struct{ Statement any }
	if err := json.Unmarshal([]byte(document), &raw); err != nil {
		return err
	}
	statements, many := raw.Statement.([]any)
	if !many {
		statements = []any{raw.Statement}
	}
	known := []string{
		iampolicy.PrincipalKindAWS, iampolicy.PrincipalKindCanonical, iampolicy.PrincipalKindFederated, iampolicy.PrincipalKindService,
	}
	for _, s := range statements {
		elements, _ := s.(map[string]any)
		for name, value := range elements {
			if !strings.EqualFold(name, "Principal") && !strings.EqualFold(name, "NotPrincipal") {
				continue
			}
			if text, is := value.(string); is && text != iampolicy.PrincipalAll {
				return fmt.Errorf("the principal %q", text)
			}
			kinds, _ := value.(map[string]any)
			for kind := range kinds {
				if !slices.Contains(known, kind) {
					return fmt.Errorf("a principal of the kind %q", kind)
				}
			}
		}
	}
	return nil
}

// Statements are those of all policies, in order.
func Statements(policies ...Policy) []Statement {
	var all []Statement
	for _, p := range policies {
		if p.Statements != nil {
			all = append(all, p.Statements.Values()...)
		}
	}
	return all
}

// Values are the texts of an element that may be written as one or as a list, or be absent.
func Values(element *iampolicy.StringOrSlice) []string {
	if element == nil {
		return nil
	}
	return element.Values()
}

// Principals are the names in a Principal or NotPrincipal element by their kind (AWS, Service, …). "*" alone means
// {"AWS": "*"}.
func Principals(element *iampolicy.Principal) map[string][]string {
	switch {
	case element == nil:
		return nil
	case element.Equal(iampolicy.NewGlobalPrincipal()):
		return map[string][]string{iampolicy.PrincipalKindAWS: {iampolicy.PrincipalAll}}
	}
	names := map[string][]string{
		iampolicy.PrincipalKindAWS:       Values(element.AWS()),
		iampolicy.PrincipalKindCanonical: Values(element.CanonicalUser()),
		iampolicy.PrincipalKindFederated: Values(element.Federated()),
		iampolicy.PrincipalKindService:   Values(element.Service()),
	}
	maps.DeleteFunc(names, func(_ string, list []string) bool { return len(list) == 0 })
	return names
}

// ConditionValues are the values of a condition key under any of the operators. Case makes no difference to either.
func ConditionValues(s Statement, key string, operators ...string) []string {
	var values []string
	for operator, keys := range s.Condition {
		if !slices.ContainsFunc(operators, func(o string) bool { return strings.EqualFold(o, operator) }) {
			continue
		}
		for k, v := range keys {
			if strings.EqualFold(k, key) {
				values = append(values, conditionTexts(v)...)
			}
		}
	}
	return values
}

// conditionTexts are the values as IAM compares them, which takes the flag true for the text "true".
func conditionTexts(v *iampolicy.ConditionValue) []string {
	if v == nil {
		return nil
	}
	texts, flags, numbers := v.Values()
	texts = slices.Clone(texts)
	for _, f := range flags {
		texts = append(texts, strconv.FormatBool(f))
	}
	for _, n := range numbers {
		texts = append(texts, strconv.FormatFloat(n, 'f', -1, 64))
	}
	return texts
}

// Match matches a text with a pattern that may have IAM's wildcards: * stands for any characters, ? for one.
func Match(pattern, text string) bool {
	star, mark := -1, 0
	p, i := 0, 0
	for i < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
