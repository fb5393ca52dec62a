package verify

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

func pathRule(priority, path string, groups map[string]int32) elbtypes.Rule {
	var tuples []elbtypes.TargetGroupTuple
	for id, weight := range groups {
		tuples = append(tuples, elbtypes.TargetGroupTuple{TargetGroupArn: aws.String(id), Weight: aws.Int32(weight)})
	}
	return elbtypes.Rule{
		Priority:   aws.String(priority),
		Conditions: []elbtypes.RuleCondition{{Field: aws.String("path-pattern"), PathPatternConfig: &elbtypes.PathPatternConditionConfig{Values: []string{path}}}},
		Actions:    []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, ForwardConfig: &elbtypes.ForwardActionConfig{TargetGroups: tuples}}},
	}
}

func notFound() elbtypes.Rule {
	return elbtypes.Rule{
		IsDefault: aws.Bool(true), Priority: aws.String("default"),
		Actions: []elbtypes.Action{{
			Type: elbtypes.ActionTypeEnumFixedResponse, FixedResponseConfig: &elbtypes.FixedResponseActionConfig{StatusCode: aws.String("404")},
		}},
	}
}

func TestRulesAreEvaluatedInPriorityOrderWhateverTheirOrderInTheAnswer(t *testing.T) {
	rules := []elbtypes.Rule{
		notFound(),
		pathRule("100", "/*", map[string]int32{"catch-all": 1}),
		pathRule("20", "/health", map[string]int32{"api": 50, "job": 50}),
		pathRule("9", "/api/*", map[string]int32{"api": 1}),
	}
	for path, want := range map[string]string{"/api/": "api", "/api/v1": "api", "/apifoo": "catch-all", "/api": "catch-all", "/health/x": "catch-all"} {
		if got := routeRequest(request{"GET", path}, rules); len(got.groups) != 1 || got.groups[want] == 0 {
			t.Errorf("%s goes to %v, want %s", path, got.groups, want)
		}
	}
	if got := routeRequest(request{"GET", "/health"}, rules); len(got.groups) != 2 || got.groups["api"] != got.groups["job"] {
		t.Errorf("/health goes to %v, want both in equal parts", got.groups)
	}
	if got := routeRequest(request{"GET", "/nowhere"}, rules[2:]); got.fixed != "" || len(got.groups) != 0 {
		t.Errorf("without a default rule /nowhere goes to %v", got)
	}
	if got := routeRequest(request{"GET", "/nowhere"}, append(rules[2:3:3], notFound())); got.String() != "404" {
		t.Errorf("the default answer is %s, want 404", got)
	}
}

func TestATargetGroupThatWeighsNothingGetsNothing(t *testing.T) {
	rule := pathRule("1", "/health", map[string]int32{"api": 100, "job": 0})
	if got := routeRequest(request{"GET", "/health"}, []elbtypes.Rule{rule}); len(got.groups) != 1 || got.groups["api"] != 100 {
		t.Errorf("/health goes to %v, want api alone", got.groups)
	}
}

func TestARuleThatIsNotUnderstoodMakesItUnclearWhereARequestGoes(t *testing.T) {
	with := func(change func(*elbtypes.Rule)) elbtypes.Rule {
		rule := pathRule("1", "/api/*", map[string]int32{"api": 1})
		change(&rule)
		return rule
	}
	for what, rule := range map[string]elbtypes.Rule{
		"a condition on a header": with(func(r *elbtypes.Rule) {
			r.Conditions = append(r.Conditions, elbtypes.RuleCondition{Field: aws.String("http-header")})
		}),
		"a condition on the sender alone": with(func(r *elbtypes.Rule) {
			r.Conditions = []elbtypes.RuleCondition{{Field: aws.String("source-ip")}}
		}),
		"a regular expression": with(func(r *elbtypes.Rule) { r.Conditions[0].PathPatternConfig.RegexValues = []string{"^/api"} }),
		"a transformation":     with(func(r *elbtypes.Rule) { r.Transforms = []elbtypes.RuleTransform{{}} }),
		"an action in between": with(func(r *elbtypes.Rule) {
			r.Actions = append([]elbtypes.Action{{Type: elbtypes.ActionTypeEnumAuthenticateOidc}}, r.Actions...)
		}),
		"no condition": with(func(r *elbtypes.Rule) { r.Conditions = nil }),
	} {
		if got := routeRequest(request{"GET", "/api/v1"}, []elbtypes.Rule{rule, notFound()}); !strings.HasPrefix(got.String(), "not understood") {
			t.Errorf("%s: /api/v1 goes to %s", what, got)
		}
	}
	// A rule whose path does not fit takes nothing, whatever else it asks for.
	header := with(func(r *elbtypes.Rule) {
		r.Conditions = append(r.Conditions, elbtypes.RuleCondition{Field: aws.String("http-header")})
	})
	if got := routeRequest(request{"GET", "/other"}, []elbtypes.Rule{header, notFound()}); got.String() != "404" {
		t.Errorf("/other goes to %s, want 404", got)
	}
}

func TestARuleForOneMethodTakesNoOther(t *testing.T) {
	rule := pathRule("1", "/api/*", map[string]int32{"api": 1})
	rule.Conditions = append(rule.Conditions, elbtypes.RuleCondition{
		Field: aws.String("http-request-method"), HttpRequestMethodConfig: &elbtypes.HttpRequestMethodConditionConfig{Values: []string{"GET"}},
	})
	for method, want := range map[string]string{"GET": "target groups weighing 1", "POST": "404"} {
		if got := routeRequest(request{method, "/api/v1"}, []elbtypes.Rule{rule, notFound()}); got.String() != want {
			t.Errorf("%s goes to %s, want %s", method, got, want)
		}
	}
}
