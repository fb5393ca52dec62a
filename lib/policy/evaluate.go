package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	iampolicy "github.com/micahhausler/aws-iam-policy/policy"
)

// Request is an action that somebody asks AWS for, on a resource. Context has the request's condition keys, in lower
// case; one without a value is known not to be part of the request, and of one that is not there nothing is known. A key
// that ends with a slash, such as aws:resourcetag/, says that all keys that begin so and are not there are no part of it.
type Request struct {
	Action, Resource string
	Context          map[string][]string
}

// With is the request with one more condition key.
func (r Request) With(key string, values ...string) Request {
	context := map[string][]string{}
	maps.Copy(context, r.Context)
	context[strings.ToLower(key)] = values
	r.Context = context
	return r
}

func (r Request) String() string { return r.Action + " on " + r.Resource }

// Decision is the answer to a request.
type Decision string

// The two answers that IAM gives.
const (
	Allowed Decision = "allowed"
	Denied  Decision = "denied"
)

// Evaluate decides a request by identity policies, all of them taken together as IAM does: denied unless allowed, and any
// Deny wins. A statement about the request that is not understood is an error. What an organization's policies forbid
// on top is not looked at.
func Evaluate(policies []Policy, r Request) (Decision, error) {
	decision := Denied
	for _, s := range Statements(policies...) {
		applies, err := appliesTo(s, r)
		switch {
		case err != nil:
			return "", err
		case !applies:
		case s.Effect == iampolicy.EffectDeny:
			return Denied, nil
		default:
			decision = Allowed
		}
	}
	return decision, nil
}

// EvaluateForAdministrator decides a request by a resource's policy, for an administrator of the account who comes over
// TLS: only a Deny can stand in the way.
func EvaluateForAdministrator(p Policy, r Request, account string) (Decision, error) {
	r = r.With("aws:SecureTransport", "true").With("aws:PrincipalAccount", account)
	for _, s := range Statements(p) {
		if s.Effect != iampolicy.EffectDeny || !mayMeanAdministrators(s, account) {
			continue
		}
		applies, err := appliesTo(s, r)
		if err != nil {
			return "", err
		}
		if applies {
			return Denied, nil
		}
	}
	return Allowed, nil
}

func mayMeanAdministrators(s Statement, account string) bool {
	return s.NotPrincipal != nil || slices.ContainsFunc(Principals(s.Principal)[iampolicy.PrincipalKindAWS], func(name string) bool {
		return name == iampolicy.PrincipalAll || ofAccount(name, account)
	})
}

// ofAccount tells whether a principal of the kind AWS is the account, or an identity of it.
func ofAccount(name, account string) bool {
	return name == account || strings.Contains(name, "::"+account+":")
}

// appliesTo tells whether a statement is about the request and its conditions hold.
func appliesTo(s Statement, r Request) (bool, error) {
	resources, notResources := Values(s.Resource), Values(s.NotResource)
	switch {
	case s.Effect != iampolicy.EffectAllow && s.Effect != iampolicy.EffectDeny:
		return false, fmt.Errorf("the effect %q", s.Effect)
	case (len(Values(s.Action)) > 0) == (len(Values(s.NotAction)) > 0):
		return false, errors.New("a statement with both or neither of Action and NotAction")
	case (len(resources) > 0) == (len(notResources) > 0):
		return false, errors.New("a statement with both or neither of Resource and NotResource")
	}
	for _, pattern := range slices.Concat(resources, notResources) {
		if strings.Contains(pattern, "${") {
			return false, fmt.Errorf("the variable in %s", pattern)
		}
	}
	if !coversAction(s, r.Action) || !coversResource(s, r.Resource) {
		return false, nil
	}
	return ConditionsHold(s, r.Context)
}

// coversAction tells whether a statement is about an action. Case makes no difference.
func coversAction(s Statement, action string) bool {
	return covers(s.Action, s.NotAction, func(pattern string) bool { return matchAction(pattern, action) })
}

func coversResource(s Statement, resource string) bool {
	return covers(s.Resource, s.NotResource, func(pattern string) bool { return Match(pattern, resource) })
}

func covers(element, not *iampolicy.StringOrSlice, named func(pattern string) bool) bool {
	if but := Values(not); len(but) > 0 {
		return !slices.ContainsFunc(but, named)
	}
	return slices.ContainsFunc(Values(element), named)
}

func matchAction(pattern, action string) bool {
	return Match(strings.ToLower(pattern), strings.ToLower(action))
}

// ConditionsHold tells whether all conditions of a statement hold for the condition keys of a request.
func ConditionsHold(s Statement, context map[string][]string) (bool, error) {
	all := true
	for operator, keys := range s.Condition {
		for key, wanted := range keys {
			holds, err := conditionHolds(operator, key, conditionTexts(wanted), context)
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
func conditionHolds(operator, key string, wanted []string, context map[string][]string) (bool, error) {
	lower := strings.ToLower(key)
	has, known := context[lower]
	if !known {
		_, known = context[lower[:strings.LastIndex(lower, "/")+1]]
	}
	switch {
	case !known:
		return false, fmt.Errorf("a condition on %s", key)
	case len(wanted) == 0:
		return false, fmt.Errorf("a condition on %s without a value", key)
	case slices.ContainsFunc(wanted, func(v string) bool { return strings.Contains(v, "${") }):
		return false, fmt.Errorf("the variable in a condition on %s", key)
	}
	name, optional := strings.CutSuffix(operator, "IfExists")
	if strings.EqualFold(name, "Null") {
		return len(wanted) == 1 && (wanted[0] == "true") == (len(has) == 0), nil
	}
	matches, negated, err := comparison(name)
	switch {
	case err != nil:
		return false, err
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
		return Match, false, nil
	case "stringnotlike", "arnnotlike", "arnnotequals":
		return Match, true, nil
	}
	return nil, false, fmt.Errorf("the condition operator %s", operator)
}
