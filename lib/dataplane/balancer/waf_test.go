package balancer_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	waftypes "github.com/aws/aws-sdk-go-v2/service/wafv2/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/dataplane/balancer"
)

func acl(rules ...waftypes.Rule) *waftypes.WebACL {
	return &waftypes.WebACL{DefaultAction: &waftypes.DefaultAction{Allow: &waftypes.AllowAction{}}, Rules: rules}
}

func wafRule(name string, priority int32, action *waftypes.RuleAction, statement waftypes.Statement) waftypes.Rule {
	return waftypes.Rule{Name: aws.String(name), Priority: priority, Action: action, Statement: &statement}
}

func rateLimit(limit int64) waftypes.Statement {
	return waftypes.Statement{RateBasedStatement: &waftypes.RateBasedStatement{Limit: aws.Int64(limit), AggregateKeyType: waftypes.RateBasedStatementAggregateKeyTypeIp}}
}

func sizes(field waftypes.FieldToMatch, operator waftypes.ComparisonOperator, size int64) waftypes.Statement {
	return waftypes.Statement{SizeConstraintStatement: &waftypes.SizeConstraintStatement{
		FieldToMatch: &field, ComparisonOperator: operator, Size: size,
		TextTransformations: []waftypes.TextTransformation{{Type: waftypes.TextTransformationTypeNone}},
	}}
}

var (
	block = &waftypes.RuleAction{Block: &waftypes.BlockAction{}}
	count = &waftypes.RuleAction{Count: &waftypes.CountAction{}}
	allow = &waftypes.RuleAction{Allow: &waftypes.AllowAction{}}
)

func guarded(t *testing.T, now func() time.Time, acl *waftypes.WebACL) (*balancing, balancer.State) {
	t.Helper()
	b := start(t, balancer.Options{Now: now})
	s := balancer.State{ARN: loadBalancerARN, Attributes: map[string]string{"access_logs.s3.enabled": "true"}, Listeners: []balancer.Listener{listener(80, fixed("passed"))}, WebACL: acl}
	b.update(s)
	return b, s
}

func TestTheRateLimitBlocksWhatIsAboveItAndLetsGoAgain(t *testing.T) {
	var now atomic.Int64
	now.Store(time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC).UnixNano())
	b, s := guarded(t, func() time.Time { return time.Unix(0, now.Load()) }, acl(wafRule("rate-limit", 0, block, rateLimit(10))))
	for range 10 {
		require.Equal(t, http.StatusOK, b.get("/").status)
	}
	blocked := b.get("/")
	assert.Equal(t, http.StatusForbidden, blocked.status)
	b.update(s)
	assert.Equal(t, http.StatusForbidden, b.get("/").status, "an update that changes nothing resets no counts")
	require.Eventually(t, func() bool { return len(b.logged()) == 12 }, waiting, tick)
	line := fields(t, b.logged()[10])
	assert.Equal(t, []string{"-", "403", "-", "-", "waf"}, []string{line[4], line[8], line[9], line[20], line[22]})
	now.Add(int64(6 * time.Minute))
	assert.Equal(t, http.StatusOK, b.get("/").status, "the window has passed")
	assert.Equal(t, balancer.RuleCounts{Blocked: 2}, b.Counts().Rules["rate-limit"])
	assert.Equal(t, balancer.RuleCounts{Allowed: 11}, b.Counts().Rules["Default_Action"])
	assert.EqualValues(t, 2, b.Counts().ELB4xx)
}

func TestARateCountsByAddressHeaderOrAltogether(t *testing.T) {
	forwarded := waftypes.Statement{RateBasedStatement: &waftypes.RateBasedStatement{
		Limit: aws.Int64(10), EvaluationWindowSec: 60, AggregateKeyType: waftypes.RateBasedStatementAggregateKeyTypeForwardedIp,
		ForwardedIPConfig: &waftypes.ForwardedIPConfig{HeaderName: aws.String("X-Forwarded-For"), FallbackBehavior: waftypes.FallbackBehaviorMatch},
	}}
	b, s := guarded(t, nil, acl(wafRule("by-header", 0, block, forwarded)))
	from := func(address string) int {
		return b.get("/", func(r *http.Request) {
			if address != "" {
				r.Header.Set("X-Forwarded-For", address)
			}
		}).status
	}
	for range 10 {
		require.Equal(t, 200, from("203.0.113.1, 10.0.0.1"))
	}
	assert.Equal(t, 403, from("203.0.113.1"))
	assert.Equal(t, 200, from("203.0.113.2"))
	assert.Equal(t, 403, from("not an address"), "the fallback is a match")
	assert.Equal(t, 200, from(""), "without the header the rule is not applied")

	posts := sizes(waftypes.FieldToMatch{Method: &waftypes.Method{}}, waftypes.ComparisonOperatorEq, 4)
	s.WebACL = acl(wafRule("constant", 0, block, waftypes.Statement{RateBasedStatement: &waftypes.RateBasedStatement{
		Limit: aws.Int64(10), AggregateKeyType: waftypes.RateBasedStatementAggregateKeyTypeConstant, ScopeDownStatement: &posts,
	}}))
	b.update(s)
	for range 10 {
		require.Equal(t, 200, b.do("POST", "/").status)
		require.Equal(t, 200, b.get("/").status)
	}
	assert.Equal(t, 403, b.do("POST", "/").status)
	assert.Equal(t, 200, b.get("/").status, "outside of the scope")
}

func TestSizesAreCompared(t *testing.T) {
	body := func(oversize waftypes.OversizeHandling) waftypes.FieldToMatch {
		return waftypes.FieldToMatch{Body: &waftypes.Body{OversizeHandling: oversize}}
	}
	target := func(size int, chunked bool) func(*http.Request) {
		return func(r *http.Request) {
			r.Method, r.Body = http.MethodPost, http.NoBody
			reader := strings.NewReader(strings.Repeat("x", size))
			r.Body, r.ContentLength = readCloser{reader}, int64(size)
			if chunked {
				r.ContentLength = -1
			}
		}
	}
	for says, each := range map[string]struct {
		statement waftypes.Statement
		change    func(*http.Request)
		blocked   bool
	}{
		"a body that is too large":             {sizes(body(waftypes.OversizeHandlingContinue), waftypes.ComparisonOperatorGt, 100), target(101, false), true},
		"one that is not":                      {sizes(body(waftypes.OversizeHandlingContinue), waftypes.ComparisonOperatorGt, 100), target(100, false), false},
		"a chunked body":                       {sizes(body(waftypes.OversizeHandlingContinue), waftypes.ComparisonOperatorGt, 100), target(101, true), true},
		"what WAF does not see counts as 8 KB": {sizes(body(waftypes.OversizeHandlingContinue), waftypes.ComparisonOperatorGt, 8192), target(100_000, false), false},
		"oversize matches":                     {sizes(body(waftypes.OversizeHandlingMatch), waftypes.ComparisonOperatorGt, 1<<30), target(100_000, true), true},
		"oversize does not match":              {sizes(body(waftypes.OversizeHandlingNoMatch), waftypes.ComparisonOperatorGt, 1), target(100_000, true), false},
		"a query":                              {sizes(waftypes.FieldToMatch{QueryString: &waftypes.QueryString{}}, waftypes.ComparisonOperatorGe, 5), nil, true},
		"a path":                               {sizes(waftypes.FieldToMatch{UriPath: &waftypes.UriPath{}}, waftypes.ComparisonOperatorLt, 5), nil, true},
		"a header":                             {sizes(waftypes.FieldToMatch{SingleHeader: &waftypes.SingleHeader{Name: aws.String("user-agent")}}, waftypes.ComparisonOperatorNe, 3), nil, true},
		"a header that is not there":           {sizes(waftypes.FieldToMatch{SingleHeader: &waftypes.SingleHeader{Name: aws.String("x-none")}}, waftypes.ComparisonOperatorLe, 3), nil, false},
	} {
		b := start(t, balancer.Options{})
		server, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
			n, _ := io.Copy(io.Discard, r.Body)
			w.Header().Set("X-Size", strings.Repeat("x", int(n)/1000))
		})
		s := state(server)
		s.WebACL = acl(wafRule("size", 0, block, each.statement))
		b.update(s)
		b.await(server, "healthy")
		change := each.change
		if change == nil {
			change = func(*http.Request) {}
		}
		got := b.get("/a?b=cde", change)
		assert.Equal(t, map[bool]int{true: 403, false: 200}[each.blocked], got.status, says)
		if strings.HasPrefix(says, "what WAF") || says == "oversize does not match" {
			assert.Len(t, got.header.Get("X-Size"), 100, "the target gets the whole body: %s", says)
		}
	}
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

func TestRulesAreEvaluatedInOrderUntilOneDecides(t *testing.T) {
	all := sizes(waftypes.FieldToMatch{Method: &waftypes.Method{}}, waftypes.ComparisonOperatorGt, 0)
	longQuery := sizes(waftypes.FieldToMatch{QueryString: &waftypes.QueryString{}}, waftypes.ComparisonOperatorGt, 3)
	b, s := guarded(t, nil, acl(
		wafRule("block", 9, block, all),
		wafRule("count", 1, count, all),
		wafRule("allow", 5, allow, waftypes.Statement{AndStatement: &waftypes.AndStatement{Statements: []waftypes.Statement{all, longQuery}}}),
	))
	assert.Equal(t, 403, b.get("/").status)
	assert.Equal(t, 200, b.get("/?long=1").status)
	assert.Equal(t, map[string]balancer.RuleCounts{"block": {Blocked: 1}, "count": {Counted: 2}, "allow": {Allowed: 1}, "Default_Action": {}}, b.Counts().Rules)

	s.WebACL = acl()
	s.WebACL.DefaultAction = &waftypes.DefaultAction{Block: &waftypes.BlockAction{CustomResponse: &waftypes.CustomResponse{
		ResponseCode: aws.Int32(429), CustomResponseBodyKey: aws.String("slow"), ResponseHeaders: []waftypes.CustomHTTPHeader{{Name: aws.String("Retry-After"), Value: aws.String("60")}},
	}}}
	s.WebACL.CustomResponseBodies = map[string]waftypes.CustomResponseBody{"slow": {ContentType: waftypes.ResponseContentTypeApplicationJson, Content: aws.String(`{}`)}}
	b.update(s)
	got := b.get("/")
	assert.Equal(t, []any{429, "60", "application/json", "{}"}, []any{got.status, got.header.Get("Retry-After"), got.header.Get("Content-Type"), got.body})

	s.WebACL = nil
	b.update(s)
	assert.Equal(t, 200, b.get("/").status, "no longer associated")
}

func TestWhatIsNotEvaluatedIsNamed(t *testing.T) {
	managed := waftypes.Rule{Name: aws.String("AWSManagedRulesSQLiRuleSet"), Priority: 1, OverrideAction: &waftypes.OverrideAction{None: &waftypes.NoneAction{}}, Statement: &waftypes.Statement{ManagedRuleGroupStatement: &waftypes.ManagedRuleGroupStatement{}}}
	geo := waftypes.Statement{GeoMatchStatement: &waftypes.GeoMatchStatement{}}
	lowered := sizes(waftypes.FieldToMatch{UriPath: &waftypes.UriPath{}}, waftypes.ComparisonOperatorGt, 1)
	lowered.SizeConstraintStatement.TextTransformations[0].Type = waftypes.TextTransformationTypeUrlDecode
	told := balancer.Unevaluated(acl(managed, wafRule("rate-limit", 0, block, rateLimit(10)), wafRule("geo", 2, block, geo),
		wafRule("not-geo", 3, block, waftypes.Statement{NotStatement: &waftypes.NotStatement{Statement: &geo}}),
		wafRule("or", 4, block, waftypes.Statement{OrStatement: &waftypes.OrStatement{Statements: []waftypes.Statement{geo, rateLimit(1)}}}),
		wafRule("decoded", 5, block, lowered),
		wafRule("puzzle", 6, &waftypes.RuleAction{Captcha: &waftypes.CaptchaAction{}}, rateLimit(10)),
		wafRule("cookies", 7, block, sizes(waftypes.FieldToMatch{Cookies: &waftypes.Cookies{}}, waftypes.ComparisonOperatorGt, 1)),
	))
	assert.Equal(t, []string{
		"AWSManagedRulesSQLiRuleSet: a managed rule group", "geo: GeoMatchStatement", "not-geo: GeoMatchStatement", "or: GeoMatchStatement",
		"decoded: a size after text transformations", "puzzle: captcha and challenge actions", "cookies: the size of such a part of the request",
	}, told)
	assert.Empty(t, balancer.Unevaluated(nil))
	b, _ := guarded(t, nil, acl(managed))
	assert.Equal(t, 200, b.get("/").status)
}
