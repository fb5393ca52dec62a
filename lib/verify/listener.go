package verify

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// destination is where a listener sends a request: target groups by ARN with the share of each, or an answer of the
// load balancer's own.
type destination struct {
	groups map[string]int32
	fixed  string // the status code of a fixed answer, or "redirect"
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

// send evaluates a listener's rules, in order of priority, for a plain GET of a path.
func send(path string, rules []elbtypes.Rule) destination {
	ordered := slices.SortedStableFunc(slices.Values(rules), func(a, b elbtypes.Rule) int {
		return cmp.Compare(priority(a), priority(b))
	})
	for _, r := range ordered {
		if aws.ToBool(r.IsDefault) || matchesAll(r.Conditions, path) {
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

func matchesAll(conditions []elbtypes.RuleCondition, path string) bool {
	if len(conditions) == 0 {
		return false
	}
	for _, c := range conditions {
		if !matchesCondition(c, path) {
			return false
		}
	}
	return true
}

// matchesCondition knows paths and methods; a condition on anything else does not hold for a plain request.
func matchesCondition(c elbtypes.RuleCondition, path string) bool {
	switch aws.ToString(c.Field) {
	case "path-pattern":
		patterns := c.Values
		if c.PathPatternConfig != nil {
			patterns = append(slices.Clone(patterns), c.PathPatternConfig.Values...)
		}
		return slices.ContainsFunc(patterns, func(p string) bool { return wildcard(p, path) })
	case "http-request-method":
		return c.HttpRequestMethodConfig != nil && slices.Contains(c.HttpRequestMethodConfig.Values, "GET")
	}
	return false
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
			return destination{groups: forwards(a)}
		}
	}
	return destination{}
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

// wildcard matches as load balancers and IAM do: * stands for any run of characters, ? for exactly one; case counts.
func wildcard(pattern, s string) bool {
	star, mark := -1, 0
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
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
