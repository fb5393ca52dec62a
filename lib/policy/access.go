package policy

import (
	"maps"
	"slices"
	"strings"

	iampolicy "github.com/micahhausler/aws-iam-policy/policy"
)

// Permission is an action on a resource; both may have wildcards.
type Permission struct{ Action, Resource string }

// Excess lists what policies allow beyond some permissions, conditions left aside: an Allow with a condition is still more
// than nothing. Wildcards are read as written: "sqs:Send*" is more than "sqs:SendMessage".
func Excess(policies []Policy, permitted []Permission) []string {
	var out []string
	note := func(what string) {
		if !slices.Contains(out, what) {
			out = append(out, what)
		}
	}
	for _, s := range Statements(policies...) {
		if s.Effect != iampolicy.EffectAllow {
			continue
		}
		if but := slices.Concat(Values(s.NotAction), Values(s.NotResource)); len(but) > 0 {
			note("all but " + strings.Join(but, ", "))
			continue
		}
		for _, action := range Values(s.Action) {
			for _, resource := range Values(s.Resource) {
				within := func(p Permission) bool { return matchAction(p.Action, action) && Match(p.Resource, resource) }
				if !slices.ContainsFunc(permitted, within) {
					note(action + " on " + resource)
				}
			}
		}
	}
	return out
}

// ExternalPrincipals names whom a resource's policy lets in from outside the account: everyone, other accounts, identities
// from elsewhere, and AWS services that could act for another account (the "confused deputy"). Known names the services
// that may do that.
func ExternalPrincipals(p Policy, account string, known ...string) []string {
	var out []string
	for _, s := range Statements(p) {
		if s.Effect != iampolicy.EffectAllow {
			continue
		}
		if s.NotPrincipal != nil {
			out = append(out, "everyone but NotPrincipal")
		}
		principals := Principals(s.Principal)
		for _, kind := range slices.Sorted(maps.Keys(principals)) {
			for _, name := range principals[kind] {
				if !internal(s, kind, name, account, known) && !slices.Contains(out, name) {
					out = append(out, name)
				}
			}
		}
	}
	return out
}

// internal tells whether a principal is of the account, or bound to it by conditions.
func internal(s Statement, kind, name, account string, known []string) bool {
	switch kind {
	case iampolicy.PrincipalKindAWS:
		return ofAccount(name, account) || BoundToAccount(s, account)
	case iampolicy.PrincipalKindService:
		return slices.Contains(known, name) || BoundToAccount(s, account)
	}
	return false
}

// DeniesWithoutTLS tells whether a resource's policy refuses the action to everyone who comes without TLS.
func DeniesWithoutTLS(p Policy, action string) bool {
	return slices.ContainsFunc(Statements(p), func(s Statement) bool {
		return s.Effect == iampolicy.EffectDeny && coversAction(s, action) &&
			slices.Contains(Principals(s.Principal)[iampolicy.PrincipalKindAWS], iampolicy.PrincipalAll) &&
			slices.Contains(ConditionValues(s, "aws:SecureTransport", "Bool", "BoolIfExists"), "false")
	})
}

// AllBut lists the principals, as the condition key aws:PrincipalArn has them, that are left out where a resource's policy
// denies the action to everyone else. It is false where nothing but that decides whom a Deny is for.
func AllBut(p Policy, action string) (principals []string, denied bool) {
	for _, s := range Statements(p) {
		but := ConditionValues(s, "aws:PrincipalArn", "ArnNotLike", "ArnNotEquals")
		keys := 0
		for _, conditions := range s.Condition {
			keys += len(conditions)
		}
		if s.Effect == iampolicy.EffectDeny && coversAction(s, action) && len(but) > 0 && keys == 1 &&
			slices.Contains(Principals(s.Principal)[iampolicy.PrincipalKindAWS], iampolicy.PrincipalAll) {
			return but, true
		}
	}
	return nil, false
}

// Services lists the AWS services that a resource's policy lets do the action: those bound to the account, and those that
// may do it for any account.
func Services(p Policy, action, account string) (bound, unbound []string) {
	for _, s := range Statements(p) {
		services := Principals(s.Principal)[iampolicy.PrincipalKindService]
		switch {
		case s.Effect != iampolicy.EffectAllow || !coversAction(s, action):
		case BoundToAccount(s, account):
			bound = append(bound, services...)
		default:
			unbound = append(unbound, services...)
		}
	}
	return bound, unbound
}

// BoundToAccount tells whether a statement's conditions tie it to one account: by aws:PrincipalAccount, or by aws:SourceAccount
// or an aws:SourceArn that names it, so that no other account can use the service as its deputy.
func BoundToAccount(s Statement, account string) bool {
	for _, key := range []string{"aws:PrincipalAccount", "aws:SourceAccount"} {
		if accounts := ConditionValues(s, key, "StringEquals", "StringLike", "StringEqualsIgnoreCase"); len(accounts) > 0 {
			return !slices.ContainsFunc(accounts, func(a string) bool { return a != account })
		}
	}
	arns := ConditionValues(s, "aws:SourceArn", "ArnLike", "ArnEquals", "StringLike", "StringEquals")
	return len(arns) > 0 && !slices.ContainsFunc(arns, func(a string) bool {
		parts := strings.SplitN(a, ":", 6)
		return len(parts) != 6 || parts[4] != account
	})
}
