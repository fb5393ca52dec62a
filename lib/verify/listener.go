package verify

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"tapstack/lib/policy"
)

// destination is where a listener sends a request: target groups by ARN with the share of each, or an answer of the
// load balancer's own.
type destination struct {
	groups map[string]int32
	fixed  string // the status code of a fixed answer, "redirect", or what is not understood
	sticky bool   // a client is sent to the same target group again
}

func (d destination) String() string {
	if d.fixed != "" {
		return d.fixed
	}
	if len(d.groups) == 0 {
		return "nowhere"
	}
	var parts []string
	for _, g := range d.groups {
		parts = append(parts, strconv.Itoa(int(g)))
	}
	return "target groups weighing " + strings.Join(parts, ":")
}

// request is what listeners see of an HTTP request.
type request struct{ method, path string }

// routeRequest evaluates a listener's rules, in order of priority. A rule that might take the request, but that this evaluator does
// not understand, ends it: nobody can tell where the request goes.
func routeRequest(v request, rules []elbtypes.Rule) destination {
	ordered := slices.SortedStableFunc(slices.Values(rules), func(a, b elbtypes.Rule) int {
		return cmp.Compare(priority(a), priority(b))
	})
	for _, r := range ordered {
		takes, unclear := aws.ToBool(r.IsDefault), ""
		if !takes {
			takes, unclear = matchesAll(r.Conditions, v)
		}
		if takes && unclear == "" && len(r.Transforms) > 0 {
			unclear = "a transformation"
		}
		switch {
		case !takes:
		case unclear != "":
			return destination{fixed: fmt.Sprintf("not understood: %s in the rule of priority %s", unclear, aws.ToString(r.Priority))}
		default:
			return destinationOf(r.Actions)
		}
	}
	return destination{}
}

// priority is the rule's place; the default rule comes last.
func priority(r elbtypes.Rule) int {
	n, err := strconv.Atoi(aws.ToString(r.Priority))
	if err != nil {
		return int(^uint(0) >> 1)
	}
	return n
}

// matchesAll tells whether a rule takes a request, and what in it is not understood: such a condition may hold or not.
func matchesAll(conditions []elbtypes.RuleCondition, v request) (takes bool, unclear string) {
	if len(conditions) == 0 {
		return true, "no condition"
	}
	for _, c := range conditions {
		holds, unknown := matchesCondition(c, v)
		if unknown != "" {
			unclear = unknown
			continue
		}
		if !holds {
			return false, ""
		}
	}
	return true, unclear
}

func matchesCondition(c elbtypes.RuleCondition, v request) (holds bool, unclear string) {
	if len(c.RegexValues) > 0 {
		return false, "a regular expression"
	}
	patterns := slices.Clone(c.Values)
	switch field := aws.ToString(c.Field); field {
	case "path-pattern":
		if c.PathPatternConfig != nil {
			if len(c.PathPatternConfig.RegexValues) > 0 {
				return false, "a regular expression"
			}
			patterns = append(patterns, c.PathPatternConfig.Values...)
		}
		return slices.ContainsFunc(patterns, func(p string) bool { return policy.Match(p, v.path) }), ""
	case "http-request-method":
		if c.HttpRequestMethodConfig != nil {
			patterns = append(patterns, c.HttpRequestMethodConfig.Values...)
		}
		return slices.ContainsFunc(patterns, func(p string) bool { return policy.Match(p, v.method) }), ""
	default:
		return false, "a condition on " + field
	}
}

func destinationOf(actions []elbtypes.Action) destination {
	for _, a := range actions {
		switch a.Type {
		case elbtypes.ActionTypeEnumFixedResponse:
			if a.FixedResponseConfig != nil {
				return destination{fixed: aws.ToString(a.FixedResponseConfig.StatusCode)}
			}
		case elbtypes.ActionTypeEnumRedirect:
			return destination{fixed: "redirect"}
		case elbtypes.ActionTypeEnumForward:
			return destination{groups: forwards(a), sticky: sticky(a)}
		default:
			return destination{fixed: "not understood: the action " + string(a.Type)}
		}
	}
	return destination{}
}

func sticky(a elbtypes.Action) bool {
	return a.ForwardConfig != nil && a.ForwardConfig.TargetGroupStickinessConfig != nil &&
		aws.ToBool(a.ForwardConfig.TargetGroupStickinessConfig.Enabled)
}

// forwards are the target groups that get any of the traffic. A single group may be told in either of two ways, or both.
func forwards(a elbtypes.Action) map[string]int32 {
	groups := map[string]int32{}
	if a.ForwardConfig != nil {
		for _, g := range a.ForwardConfig.TargetGroups {
			weight := int32(1)
			if g.Weight != nil {
				weight = *g.Weight
			}
			if weight > 0 {
				groups[aws.ToString(g.TargetGroupArn)] = weight
			}
		}
	}
	if id := aws.ToString(a.TargetGroupArn); id != "" && len(groups) == 0 {
		groups[id] = 1
	}
	return groups
}
