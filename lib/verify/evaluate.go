package verify

import (
	"fmt"
	"slices"
	"strings"
)

// This file says what policies mean, as far as it understands them: what it does not understand is an answer of its own,
// so that nobody takes it for an allowed or a denied request.

// deed is something that somebody might try. Keys are the condition keys of the request, in lower case; one with no value
// is known not to be part of the request.
type deed struct {
	action, resource string
	keys             map[string][]string
}

// over adds condition keys to a deed.
func (d deed) over(key string, values ...string) deed {
	keys := map[string][]string{strings.ToLower(key): values}
	for k, v := range d.keys {
		keys[k] = v
	}
	d.keys = keys
	return d
}

func (d deed) String() string { return d.action + " on " + d.resource }

// Answers to a deed.
const (
	allowed = "allowed"
	denied  = "denied"
)

// decide evaluates identity policies, all of them taken together as IAM does: denied unless allowed, and any Deny wins.
// A policy that speaks of the deed in a way that this evaluator does not understand makes it answer neither "allowed" nor
// "denied". What an organization's policies forbid on top is not looked at.
func decide(policies []policy, d deed) string {
	answer := denied
	for _, p := range policies {
		for _, s := range p.Statement {
			holds, err := s.appliesTo(d)
			switch {
			case err != nil:
				return "not understood: " + err.Error()
			case !holds:
			case s.Effect == "Deny":
				return denied
			default:
				answer = allowed
			}
		}
	}
	return answer
}

// appliesTo tells whether a statement speaks of the deed and its conditions hold.
func (s statement) appliesTo(d deed) (bool, error) {
	switch {
	case s.Effect != "Allow" && s.Effect != "Deny":
		return false, fmt.Errorf("the effect %q", s.Effect)
	case (len(s.Action) > 0) == (len(s.NotAction) > 0):
		return false, fmt.Errorf("a statement with both or neither of Action and NotAction")
	case (len(s.Resource) > 0) == (len(s.NotResource) > 0):
		return false, fmt.Errorf("a statement with both or neither of Resource and NotResource")
	}
	for _, r := range slices.Concat(s.Resource, s.NotResource) {
		if strings.Contains(r, "${") {
			return false, fmt.Errorf("the variable in %s", r)
		}
	}
	if !s.covers(d.action, d.resource) {
		return false, nil
	}
	return s.conditionsHold(d.keys)
}

// conditionsHold evaluates all conditions: each must hold.
func (s statement) conditionsHold(request map[string][]string) (bool, error) {
	all := true
	for operator, keys := range s.Condition {
		for key, wanted := range keys {
			holds, err := conditionHolds(operator, key, wanted, request)
			if err != nil {
				return false, err
			}
			all = all && holds
		}
	}
	return all, nil
}

// conditionHolds evaluates one key of one operator. A positive operator does not hold for a key that the request lacks,
// a negated one does, and so does any with IfExists (IAM user guide, "Condition operators").
func conditionHolds(operator, key string, wanted []string, request map[string][]string) (bool, error) {
	has, known := request[strings.ToLower(key)]
	if !known {
		return false, fmt.Errorf("a condition on %s", key)
	}
	if slices.ContainsFunc(wanted, func(v string) bool { return strings.Contains(v, "${") }) {
		return false, fmt.Errorf("the variable in a condition on %s", key)
	}
	name, optional := strings.CutSuffix(operator, "IfExists")
	if strings.EqualFold(name, "Null") {
		return len(wanted) == 1 && (wanted[0] == "true") == (len(has) == 0), nil
	}
	matches, negated, err := comparison(name)
	if err != nil {
		return false, err
	}
	switch {
	case len(has) == 0:
		return optional || negated, nil
	case len(has) > 1:
		return false, fmt.Errorf("the condition %s on %s, which has several values", operator, key)
	}
	found := slices.ContainsFunc(wanted, func(v string) bool { return matches(v, has[0]) })
	return found != negated, nil
}

// comparison is how an operator compares a wanted value with the request's.
func comparison(operator string) (matches func(wanted, has string) bool, negated bool, err error) {
	equal := func(wanted, has string) bool { return wanted == has }
	switch strings.ToLower(operator) {
	case "stringequals":
		return equal, false, nil
	case "stringnotequals":
		return equal, true, nil
	case "stringequalsignorecase", "bool":
		return strings.EqualFold, false, nil
	case "stringnotequalsignorecase":
		return strings.EqualFold, true, nil
	case "stringlike", "arnlike", "arnequals":
		return wildcard, false, nil
	case "stringnotlike", "arnnotlike", "arnnotequals":
		return wildcard, true, nil
	}
	return nil, false, fmt.Errorf("the condition operator %s", operator)
}

// grant is an action on a resource; both may have wildcards.
type grant struct{ action, resource string }

// excess lists what policies allow beyond the permitted grants, conditions left aside: an Allow with a condition is
// still more than nothing. Wildcards are read as written: "sqs:Send*" is more than "sqs:SendMessage".
func excess(policies []policy, permitted []grant) []string {
	var out []string
	note := func(what string) {
		if !slices.Contains(out, what) {
			out = append(out, what)
		}
	}
	for _, p := range policies {
		for _, s := range p.Statement {
			if s.Effect != "Allow" {
				continue
			}
			if len(s.NotAction) > 0 || len(s.NotResource) > 0 {
				note("all but " + listText(slices.Concat(s.NotAction, s.NotResource)))
				continue
			}
			for _, action := range s.Action {
				for _, resource := range s.Resource {
					if !within(grant{action, resource}, permitted) {
						note(action + " on " + resource)
					}
				}
			}
		}
	}
	return out
}

func within(g grant, permitted []grant) bool {
	return slices.ContainsFunc(permitted, func(p grant) bool {
		return wildcard(strings.ToLower(p.action), strings.ToLower(g.action)) && wildcard(p.resource, g.resource)
	})
}

// strangers names whom a resource policy lets in from outside the account: everyone, other accounts, identities from
// elsewhere, and AWS services that could be another account's deputy. Known names the services that may be that.
func (p policy) strangers(account string, known ...string) []string {
	var out []string
	for _, s := range p.Statement {
		if s.Effect != "Allow" {
			continue
		}
		if len(s.NotPrincipal) > 0 {
			out = append(out, "all but some")
		}
		for kind, names := range s.Principal {
			for _, name := range names {
				if !s.atHome(kind, name, account, known) && !slices.Contains(out, name) {
					out = append(out, name)
				}
			}
		}
	}
	return out
}

// atHome tells whether a principal is of the account, or bound to it by conditions.
func (s statement) atHome(kind, name, account string, known []string) bool {
	switch kind {
	case "AWS":
		return name == account || strings.Contains(name, "::"+account+":") || s.boundTo(account)
	case "Service":
		return slices.Contains(known, name) || s.boundTo(account)
	}
	return false
}

// refuses evaluates a resource policy for an administrator of the account who comes over TLS: does any Deny stand in the
// way of the action? The answer is "allowed", "denied", or what is not understood.
func (p policy) refuses(d deed, account string) string {
	d = d.over("aws:SecureTransport", "true").over("aws:PrincipalAccount", account)
	for _, s := range p.Statement {
		if s.Effect != "Deny" || !s.speaksOf(account) {
			continue
		}
		holds, err := s.appliesTo(d)
		if err != nil {
			return "not understood: " + err.Error()
		}
		if holds {
			return denied
		}
	}
	return allowed
}

// speaksOf tells whether a statement may mean the account's administrators.
func (s statement) speaksOf(account string) bool {
	return len(s.NotPrincipal) > 0 || slices.ContainsFunc(s.Principal["AWS"], func(name string) bool {
		return name == "*" || name == account || strings.Contains(name, "::"+account+":")
	})
}
