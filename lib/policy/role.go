package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	iampolicy "github.com/micahhausler/aws-iam-policy/policy"
)

// Role is a role of IAM as it asks for something, in a session.
type Role struct {
	// ARN is the role's, Session that of the session, as STS gives it.
	ARN, Session string
	Policies     []Policy
	// Boundary is the permissions boundary; nil where there is none.
	Boundary *Policy
}

// ParseRole reads the documents of a role: its policies by name, and its permissions boundary, empty where there is none.
func ParseRole(arn, session string, policies map[string]string, boundary string) (Role, error) {
	r := Role{ARN: arn, Session: session}
	for _, name := range slices.Sorted(maps.Keys(policies)) {
		p, err := Parse(policies[name])
		if err != nil {
			return Role{}, fmt.Errorf("%s: %w", name, err)
		}
		r.Policies = append(r.Policies, p)
	}
	if boundary == "" {
		return r, nil
	}
	p, err := Parse(boundary)
	if err != nil {
		return Role{}, fmt.Errorf("permissions boundary: %w", err)
	}
	r.Boundary = &p
	return r, nil
}

func (r Role) account() string {
	id, _ := arn.Parse(r.ARN)
	return id.AccountID
}

// Ask decides a request of the role for a resource of its own account, or of another one (owner), whose policy may be nil.
// The answer is empty when it is allowed, else the end of IAM's own message ("because no identity-based policy allows the
// s3:GetObject action", "with an explicit deny in a resource-based policy").
//
// It decides as IAM does ("Policy evaluation for requests within a single account", "Cross-account policy evaluation logic",
// IAM user guide): an explicit deny anywhere wins; then either side's allow is enough within an account, both are needed
// across accounts; what a boundary does not allow, it takes away. What an organization forbids on top is not looked at.
func (r Role) Ask(request Request, owner string, resource *Policy) (refusal string, err error) {
	return r.ask(request, resource, func(byResource, byIdentity grant) (lacking string) {
		switch across := owner != r.account(); {
		case byIdentity != direct && (across || byResource != direct):
			return identityBased
		case across && byResource == none:
			return resourceBased
		}
		return ""
	})
}

// AskKey decides a request of the role for a KMS key, whose policy must allow it, or leave it to the account's IAM policies
// ("Key policies in AWS KMS", KMS developer guide). Grants are not looked at.
func (r Role) AskKey(request Request, key Policy) (refusal string, err error) {
	return r.ask(request, &key, func(byKey, byIdentity grant) (lacking string) {
		switch {
		case byKey == none:
			return resourceBased
		case byKey == delegated && byIdentity != direct:
			return identityBased
		}
		return ""
	})
}

// The kinds of policies, as IAM's messages name them.
const (
	identityBased = "identity-based policy"
	resourceBased = "resource-based policy"
	boundary      = "permissions boundary"
)

// grant is how a policy allows something: not at all, to the account, whose own policies decide on, or to the role itself.
type grant int

const (
	none grant = iota
	delegated
	direct
)

func (r Role) ask(request Request, resource *Policy, decide func(byResource, byIdentity grant) (lacking string)) (string, error) {
	byIdentity, denied, err := grants(r.Policies, request, nil)
	if err != nil || denied {
		return "with an explicit deny in an " + identityBased, err
	}
	byResource, byBoundary := none, direct
	if resource != nil {
		if byResource, denied, err = grants([]Policy{*resource}, request, &r); err != nil || denied {
			return "with an explicit deny in a " + resourceBased, err
		}
	}
	if r.Boundary != nil {
		if byBoundary, denied, err = grants([]Policy{*r.Boundary}, request, nil); err != nil || denied {
			return "with an explicit deny in a " + boundary, err
		}
	}
	lacking := decide(byResource, byIdentity)
	if lacking == "" && byBoundary == none {
		lacking = boundary
	}
	if lacking == "" {
		return "", nil
	}
	return fmt.Sprintf("because no %s allows the %s action", lacking, request.Action), nil
}

// grants is what policies say to a request, together. For a resource's policy, role is who asks.
func grants(policies []Policy, request Request, role *Role) (best grant, denied bool, err error) {
	for _, s := range Statements(policies...) {
		to := direct
		if role != nil {
			if to, err = meant(s, *role); err != nil {
				return none, false, err
			}
		}
		if to == none {
			continue
		}
		applies, err := appliesTo(s, request)
		switch {
		case err != nil:
			return none, false, err
		case !applies:
		case s.Effect == iampolicy.EffectDeny:
			return none, true, nil
		default:
			best = max(best, to)
		}
	}
	return best, false, nil
}

// meant tells whether a statement of a resource's policy is about the role: its account, or the role itself.
func meant(s Statement, r Role) (grant, error) {
	if s.NotPrincipal != nil {
		return none, errors.New("a statement with NotPrincipal")
	}
	to := none
	for _, name := range Principals(s.Principal)[iampolicy.PrincipalKindAWS] {
		switch {
		case name == iampolicy.PrincipalAll || name == r.ARN || name == r.Session:
			return direct, nil
		case name == r.account() || strings.HasSuffix(name, ":iam::"+r.account()+":root"):
			to = delegated
		}
	}
	return to, nil
}

// MayAssume decides by a role's trust policy whether an AWS service, such as ecs-tasks.amazonaws.com, may assume the role.
func MayAssume(trust Policy, service string, context map[string][]string) (Decision, error) {
	const action = "sts:AssumeRole"
	decision := Denied
	for _, s := range Statements(trust) {
		switch {
		case s.NotPrincipal != nil:
			return "", errors.New("a statement with NotPrincipal")
		case !coversAction(s, action), !slices.Contains(Principals(s.Principal)[iampolicy.PrincipalKindService], service):
			continue
		}
		holds, err := ConditionsHold(s, context)
		switch {
		case err != nil:
			return "", err
		case !holds:
		case s.Effect == iampolicy.EffectDeny:
			return Denied, nil
		default:
			decision = Allowed
		}
	}
	return decision, nil
}
