package verify

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// policy is an IAM policy document, as far as checks read it.
type policy struct {
	Statement statements `json:"Statement"`
}

type statement struct {
	Sid          string                      `json:"Sid"`
	Effect       string                      `json:"Effect"`
	Principal    principal                   `json:"Principal"`
	NotPrincipal principal                   `json:"NotPrincipal"`
	Action       texts                       `json:"Action"`
	NotAction    texts                       `json:"NotAction"`
	Resource     texts                       `json:"Resource"`
	NotResource  texts                       `json:"NotResource"`
	Condition    map[string]map[string]texts `json:"Condition"`
}

// statements may be written as one object or as a list.
type statements []statement

func (s *statements) UnmarshalJSON(b []byte) error {
	var many []statement
	if err := json.Unmarshal(b, &many); err == nil {
		*s = many
		return nil
	}
	var one statement
	if err := json.Unmarshal(b, &one); err != nil {
		return err
	}
	*s = statements{one}
	return nil
}

// texts may be written as one string (or flag or number) or as a list of them.
type texts []string

func (t *texts) UnmarshalJSON(b []byte) error {
	var many []any
	if err := json.Unmarshal(b, &many); err != nil {
		var one any
		if err := json.Unmarshal(b, &one); err != nil {
			return err
		}
		many = []any{one}
	}
	*t = nil
	for _, v := range many {
		*t = append(*t, fmt.Sprint(v))
	}
	return nil
}

// principal is who a statement speaks of, by kind (AWS, Service, …). "*" alone reads as {"AWS": "*"}.
type principal map[string]texts

func (p *principal) UnmarshalJSON(b []byte) error {
	var anyone string
	if err := json.Unmarshal(b, &anyone); err == nil {
		*p = principal{"AWS": {anyone}}
		return nil
	}
	var kinds map[string]texts
	if err := json.Unmarshal(b, &kinds); err != nil {
		return err
	}
	*p = kinds
	return nil
}

// parsePolicy reads a document as the APIs give it: JSON, or JSON with URL escapes.
func parsePolicy(document string) (policy, error) {
	if strings.HasPrefix(document, "%7B") {
		plain, err := url.QueryUnescape(document)
		if err != nil {
			return policy{}, fmt.Errorf("unescaping a policy: %w", err)
		}
		document = plain
	}
	var p policy
	if err := json.Unmarshal([]byte(document), &p); err != nil {
		return policy{}, fmt.Errorf("reading a policy: %w", err)
	}
	if len(p.Statement) == 0 {
		return policy{}, fmt.Errorf("the policy has no statement")
	}
	return p, nil
}

// condition returns the values of a condition key, for any of the operators. Keys are compared without regard to case.
func (s statement) condition(key string, operators ...string) []string {
	var values []string
	for op, keys := range s.Condition {
		if !slices.ContainsFunc(operators, func(o string) bool { return strings.EqualFold(o, op) }) {
			continue
		}
		for k, v := range keys {
			if strings.EqualFold(k, key) {
				values = append(values, v...)
			}
		}
	}
	return values
}

// covers tells whether the statement speaks of the action on the resource. Actions are compared without regard to case.
func (s statement) covers(action, resource string) bool {
	return s.coversAction(action) && s.coversResource(resource)
}

func (s statement) coversAction(action string) bool {
	named := func(list texts) bool {
		return slices.ContainsFunc(list, func(a string) bool { return wildcard(strings.ToLower(a), strings.ToLower(action)) })
	}
	if len(s.NotAction) > 0 {
		return !named(s.NotAction)
	}
	return named(s.Action)
}

func (s statement) coversResource(resource string) bool {
	named := func(list texts) bool {
		return slices.ContainsFunc(list, func(r string) bool { return wildcard(r, resource) })
	}
	if len(s.NotResource) > 0 {
		return !named(s.NotResource)
	}
	return named(s.Resource)
}

// deniesPlainText tells whether a resource policy refuses the action to everyone who comes without TLS.
func (p policy) deniesPlainText(action string) bool {
	return slices.ContainsFunc(p.Statement, func(s statement) bool {
		return s.Effect == "Deny" && slices.Contains(s.Principal["AWS"], "*") &&
			s.coversAction(action) &&
			slices.Contains(s.condition("aws:SecureTransport", "Bool", "BoolIfExists"), "false")
	})
}

// services lists the service principals that the policy lets do the action for this account only. The account may be
// told by aws:SourceAccount, or by an aws:SourceArn that names it.
func (p policy) services(action, account string) []string {
	var out []string
	for _, s := range p.Statement {
		if s.Effect == "Allow" && s.coversAction(action) && s.boundTo(account) {
			out = append(out, s.Principal["Service"]...)
		}
	}
	return out
}

// boundTo tells whether a statement's conditions tie it to one account, so that no other one can use the service as its
// deputy.
func (s statement) boundTo(account string) bool {
	accounts := s.condition("aws:SourceAccount", "StringEquals", "StringLike", "StringEqualsIgnoreCase")
	if len(accounts) > 0 {
		return !slices.ContainsFunc(accounts, func(a string) bool { return a != account })
	}
	arns := s.condition("aws:SourceArn", "ArnLike", "ArnEquals", "StringLike", "StringEquals")
	return len(arns) > 0 && !slices.ContainsFunc(arns, func(a string) bool {
		parts := strings.SplitN(a, ":", 6)
		return len(parts) != 6 || parts[4] != account
	})
}

// unboundServices lists the service principals that may do the action for any account, so that another account could
// use them as its deputy.
func (p policy) unboundServices(action, account string) []string {
	var out []string
	for _, s := range p.Statement {
		if s.Effect == "Allow" && s.coversAction(action) && !s.boundTo(account) {
			out = append(out, s.Principal["Service"]...)
		}
	}
	return out
}
