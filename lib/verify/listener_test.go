package verify

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/stretchr/testify/assert"
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
		assert.Equal(t, map[string]int32{want: 1}, routeRequest(request{"GET", path}, rules).groups, path)
	}
	assert.Equal(t, map[string]int32{"api": 50, "job": 50}, routeRequest(request{"GET", "/health"}, rules).groups)
	assert.Equal(t, "nowhere", routeRequest(request{"GET", "/nowhere"}, rules[2:]).String(), "without a default rule")
	assert.Equal(t, "404", routeRequest(request{"GET", "/nowhere"}, append(rules[2:3:3], notFound())).String())
}

func TestATargetGroupThatWeighsNothingGetsNothing(t *testing.T) {
	rule := pathRule("1", "/health", map[string]int32{"api": 100, "job": 0})
	assert.Equal(t, map[string]int32{"api": 100}, routeRequest(request{"GET", "/health"}, []elbtypes.Rule{rule}).groups)
}

func TestARuleThatIsNotUnderstoodMakesItUnclearWhereARequestGoes(t *testing.T) {
	route := func(path string, change func(*elbtypes.Rule)) string {
		rule := pathRule("1", "/api/*", map[string]int32{"api": 1})
		change(&rule)
		return routeRequest(request{"GET", path}, []elbtypes.Rule{rule, notFound()}).String()
	}
	onHeader := func(r *elbtypes.Rule) {
		r.Conditions = append(r.Conditions, elbtypes.RuleCondition{Field: aws.String("http-header")})
	}
	for what, change := range map[string]func(*elbtypes.Rule){
		"a condition on a header":         onHeader,
		"a condition on the sender alone": func(r *elbtypes.Rule) { r.Conditions = []elbtypes.RuleCondition{{Field: aws.String("source-ip")}} },
		"a regular expression":            func(r *elbtypes.Rule) { r.Conditions[0].PathPatternConfig.RegexValues = []string{"^/api"} },
		"a transformation":                func(r *elbtypes.Rule) { r.Transforms = []elbtypes.RuleTransform{{}} },
		"no condition":                    func(r *elbtypes.Rule) { r.Conditions = nil },
		"an action in between": func(r *elbtypes.Rule) {
			r.Actions = append([]elbtypes.Action{{Type: elbtypes.ActionTypeEnumAuthenticateOidc}}, r.Actions...)
		},
	} {
		assert.Contains(t, route("/api/v1", change), "not understood", what)
	}
	assert.Equal(t, "404", route("/other", onHeader), "a rule whose path does not fit takes nothing, whatever else it asks for")
}

func TestARuleForOneMethodTakesNoOther(t *testing.T) {
	rule := pathRule("1", "/api/*", map[string]int32{"api": 1})
	rule.Conditions = append(rule.Conditions, elbtypes.RuleCondition{
		Field: aws.String("http-request-method"), HttpRequestMethodConfig: &elbtypes.HttpRequestMethodConditionConfig{Values: []string{"GET"}},
	})
	for method, want := range map[string]string{"GET": "target groups weighing 1", "POST": "404"} {
		assert.Equal(t, want, routeRequest(request{method, "/api/v1"}, []elbtypes.Rule{rule, notFound()}).String(), method)
	}
}
