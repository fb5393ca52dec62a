package balancer_test

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/dataplane/balancer"
)

func rule(priority int, action elbtypes.Action, conditions ...elbtypes.RuleCondition) elbtypes.Rule {
	return elbtypes.Rule{Priority: aws.String(strconv.Itoa(priority)), Actions: []elbtypes.Action{action}, Conditions: conditions}
}

func path(patterns ...string) elbtypes.RuleCondition {
	return elbtypes.RuleCondition{Field: aws.String("path-pattern"), PathPatternConfig: &elbtypes.PathPatternConditionConfig{Values: patterns}}
}

func host(patterns ...string) elbtypes.RuleCondition {
	return elbtypes.RuleCondition{Field: aws.String("host-header"), Values: patterns}
}

func header(name string, patterns ...string) elbtypes.RuleCondition {
	return elbtypes.RuleCondition{Field: aws.String("http-header"), HttpHeaderConfig: &elbtypes.HttpHeaderConditionConfig{HttpHeaderName: aws.String(name), Values: patterns}}
}

func method(names ...string) elbtypes.RuleCondition {
	return elbtypes.RuleCondition{Field: aws.String("http-request-method"), HttpRequestMethodConfig: &elbtypes.HttpRequestMethodConditionConfig{Values: names}}
}

func query(pairs ...string) elbtypes.RuleCondition {
	config := &elbtypes.QueryStringConditionConfig{}
	for _, pair := range pairs {
		value := elbtypes.QueryStringKeyValuePair{Value: aws.String(pair)}
		if key, rest, keyed := strings.Cut(pair, "="); keyed {
			value = elbtypes.QueryStringKeyValuePair{Key: aws.String(key), Value: aws.String(rest)}
		}
		config.Values = append(config.Values, value)
	}
	return elbtypes.RuleCondition{Field: aws.String("query-string"), QueryStringConfig: config}
}

func source(networks ...string) elbtypes.RuleCondition {
	return elbtypes.RuleCondition{Field: aws.String("source-ip"), SourceIpConfig: &elbtypes.SourceIpConditionConfig{Values: networks}}
}

func TestARuleActsOnTheRequestsThatMeetItsConditions(t *testing.T) {
	b := start(t, balancer.Options{})
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Add(name, value) }
	}
	to := func(host string) func(*http.Request) { return func(r *http.Request) { r.Host = host } }
	for _, each := range []struct {
		says      string
		condition []elbtypes.RuleCondition
		method    string
		path      string
		change    func(*http.Request)
		met       bool
	}{
		{says: "a path", condition: []elbtypes.RuleCondition{path("/health")}, path: "/health", met: true},
		{says: "a path without its query", condition: []elbtypes.RuleCondition{path("/health")}, path: "/health?x=1", met: true},
		{says: "a longer path", condition: []elbtypes.RuleCondition{path("/health")}, path: "/healthy"},
		{says: "a path's case", condition: []elbtypes.RuleCondition{path("/api/*")}, path: "/API/v1"},
		{says: "a wildcard", condition: []elbtypes.RuleCondition{path("/api/*")}, path: "/api/v1/payments/1", met: true},
		{says: "a wildcard of nothing", condition: []elbtypes.RuleCondition{path("/api/*")}, path: "/api/", met: true},
		{says: "a path before the wildcard", condition: []elbtypes.RuleCondition{path("/api/*")}, path: "/api"},
		{says: "a wildcard in the middle", condition: []elbtypes.RuleCondition{path("/*/b*/c")}, path: "/a/xb/bb/c", met: true},
		{says: "one character", condition: []elbtypes.RuleCondition{path("/v?/x")}, path: "/v1/x", met: true},
		{says: "one character, not two", condition: []elbtypes.RuleCondition{path("/v?/x")}, path: "/v12/x"},
		{says: "the second of two paths", condition: []elbtypes.RuleCondition{path("/a", "/b")}, path: "/b", met: true},
		{says: "a pattern of regular expressions", condition: []elbtypes.RuleCondition{{Field: aws.String("path-pattern"), RegexValues: []string{`^/v[0-9]+/`}}}, path: "/v12/x", met: true},
		{says: "a path as it was sent", condition: []elbtypes.RuleCondition{path("/admin")}, path: "/%61dmin"},
		{says: "a host in any case, without its port", condition: []elbtypes.RuleCondition{host("*.Example.com")}, path: "/", change: to("API.example.COM:8080"), met: true},
		{says: "another host", condition: []elbtypes.RuleCondition{host("*.example.com")}, path: "/", change: to("example.com")},
		{says: "a header in any case", condition: []elbtypes.RuleCondition{header("user-agent", "*CURL*")}, path: "/", change: set("User-Agent", "curl/8.1"), met: true},
		{says: "the second value of a header", condition: []elbtypes.RuleCondition{header("X-Kind", "b")}, path: "/", change: func(r *http.Request) { r.Header["X-Kind"] = []string{"a", "B"} }, met: true},
		{says: "a header that is missing", condition: []elbtypes.RuleCondition{header("X-Kind", "*")}, path: "/"},
		{says: "a method", condition: []elbtypes.RuleCondition{method("GET", "POST")}, method: "POST", path: "/", met: true},
		{says: "a method's case", condition: []elbtypes.RuleCondition{method("GET")}, method: "get", path: "/"},
		{says: "a query's pair in any case", condition: []elbtypes.RuleCondition{query("version=v1")}, path: "/?a=b&VERSION=V1", met: true},
		{says: "a query's value of any key", condition: []elbtypes.RuleCondition{query("*ample")}, path: "/?x=example", met: true},
		{says: "another key with the value", condition: []elbtypes.RuleCondition{query("version=v1")}, path: "/?other=v1"},
		{says: "an escaped wildcard", condition: []elbtypes.RuleCondition{query(`a=\*`)}, path: "/?a=b"},
		{says: "an escaped wildcard that is there", condition: []elbtypes.RuleCondition{query(`a=\*`)}, path: "/?a=*", met: true},
		{says: "a source", condition: []elbtypes.RuleCondition{source("10.0.0.0/8", "127.0.0.0/8")}, path: "/", met: true},
		{says: "a source that only X-Forwarded-For has", condition: []elbtypes.RuleCondition{source("10.0.0.0/8")}, path: "/", change: set("X-Forwarded-For", "10.0.0.1")},
		{says: "all conditions", condition: []elbtypes.RuleCondition{path("/a"), method("GET"), query("x=1")}, path: "/a?x=1", met: true},
		{says: "all conditions but one", condition: []elbtypes.RuleCondition{path("/a"), method("POST")}, path: "/a?x=1"},
	} {
		t.Run(each.says, func(t *testing.T) {
			b.t = t
			b.update(balancer.State{ARN: loadBalancerARN, Listeners: []balancer.Listener{listener(80, fixed("default"), rule(10, fixed("met"), each.condition...))}})
			change := each.change
			if change == nil {
				change = func(*http.Request) {}
			}
			name := each.method
			if name == "" {
				name = http.MethodGet
			}
			assert.Equal(t, map[bool]string{true: "met", false: "default"}[each.met], b.do(name, each.path, change).body)
		})
	}
}

func TestTheRuleWithTheLeastPriorityDecides(t *testing.T) {
	b := start(t, balancer.Options{})
	b.update(balancer.State{ARN: loadBalancerARN, Listeners: []balancer.Listener{listener(80, fixed("default"),
		rule(100, fixed("hundred"), path("/*")), rule(9, fixed("nine"), path("/a*")), rule(20, fixed("twenty"), path("/a*")))}})
	assert.Equal(t, "nine", b.get("/a").body, "as numbers, not as texts")
	assert.Equal(t, "hundred", b.get("/b").body)
}

func TestARedirectKeepsWhatItDoesNotChange(t *testing.T) {
	b := start(t, balancer.Options{})
	redirect := func(change func(*elbtypes.RedirectActionConfig)) elbtypes.Action {
		config := &elbtypes.RedirectActionConfig{StatusCode: elbtypes.RedirectActionStatusCodeEnumHttp301}
		change(config)
		return elbtypes.Action{Type: elbtypes.ActionTypeEnumRedirect, RedirectConfig: config}
	}
	for _, each := range []struct {
		says, location string
		change         func(*elbtypes.RedirectActionConfig)
	}{
		{"to HTTPS, as the stack does", "https://example.com:443/a/b%20c?x=1&y=", func(c *elbtypes.RedirectActionConfig) {
			c.Protocol, c.Port = aws.String("HTTPS"), aws.String("443")
		}},
		{"with the API's own defaults spelled out", "https://example.com:443/a/b%20c?x=1&y=", func(c *elbtypes.RedirectActionConfig) {
			c.Protocol, c.Port, c.Host, c.Path, c.Query = aws.String("HTTPS"), aws.String("443"), aws.String("#{host}"), aws.String("/#{path}"), aws.String("#{query}")
		}},
		{"placeholders in other parts", "http://www.example.com:80/80/a/b%20c?from=example.com&x=1&y=", func(c *elbtypes.RedirectActionConfig) {
			c.Host, c.Path, c.Query = aws.String("www.#{host}"), aws.String("/#{port}/#{path}"), aws.String("from=#{host}&#{query}")
		}},
		{"without the query", "http://example.com:80/", func(c *elbtypes.RedirectActionConfig) { c.Path, c.Query = aws.String("/"), aws.String("") }},
	} {
		b.update(balancer.State{ARN: loadBalancerARN, Listeners: []balancer.Listener{listener(80, redirect(each.change))}})
		got := b.get("/a/b%20c?x=1&y=", func(r *http.Request) { r.Host = "example.com:8080" })
		assert.Equal(t, http.StatusMovedPermanently, got.status, each.says)
		assert.Equal(t, each.location, got.header.Get("Location"), each.says)
	}
	require.Eventually(t, func() bool { return b.Counts().Redirects == 4 }, waiting, tick)
}

func TestAFixedResponse(t *testing.T) {
	b := start(t, balancer.Options{})
	action := fixed("Not found")
	action.FixedResponseConfig.StatusCode = aws.String("404")
	b.update(balancer.State{ARN: loadBalancerARN, Listeners: []balancer.Listener{listener(80, action)}})
	got := b.get("/")
	assert.Equal(t, http.StatusNotFound, got.status)
	assert.Equal(t, "Not found", got.body)
	assert.Equal(t, "text/plain", got.header.Get("Content-Type"))
	assert.Equal(t, "awselb/2.0", got.header.Get("Server"))
	assert.Empty(t, b.do(http.MethodHead, "/").body)
}

func TestWeightsDivideTheRequests(t *testing.T) {
	b := start(t, balancer.Options{})
	api, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("api")) })
	jobs, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("jobs")) })
	action := forward(apiGroup, jobsGroup)
	action.ForwardConfig.TargetGroups[0].Weight = aws.Int32(3)
	s := state(api)
	s.Listeners, s.Groups = []balancer.Listener{listener(80, action)}, append(s.Groups, group(jobsGroup, jobs))
	b.update(s)
	b.await(api, "healthy")
	b.await(jobs, "healthy")
	c, got := client(t), map[string]int{}
	for range 400 {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+b.Addresses()[80], http.NoBody)
		require.NoError(t, err)
		got[send(t, c, request).body]++
	}
	assert.InDelta(t, 300, got["api"], 50, "three of four: %v", got)

	action.ForwardConfig.TargetGroups[0].Weight = aws.Int32(0)
	b.update(s)
	for range 20 {
		assert.Equal(t, "jobs", b.get("/").body, "a weight of 0 gets nothing")
	}
	action.ForwardConfig.TargetGroups[1].Weight = aws.Int32(0)
	b.update(s)
	assert.Equal(t, http.StatusServiceUnavailable, b.get("/").status)
}

func TestAGroupWithoutTargetsIsNotFailedOver(t *testing.T) {
	b := start(t, balancer.Options{})
	api, _ := serve(t, func(http.ResponseWriter, *http.Request) {})
	s := state(api)
	s.Listeners, s.Groups = []balancer.Listener{listener(80, forward(apiGroup, jobsGroup))}, append(s.Groups, group(jobsGroup))
	b.update(s)
	b.await(api, "healthy")
	got := map[int]bool{}
	for range 60 {
		got[b.get("/").status] = true
	}
	assert.Equal(t, map[int]bool{200: true, 503: true}, got, "as AWS: half of the requests find no target")
}

func TestACookieBindsAClientToAGroupAndATarget(t *testing.T) {
	var later atomic.Int64
	b := start(t, balancer.Options{Now: func() time.Time { return time.Now().Add(time.Duration(later.Load())) }})
	answer := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
	}
	a1, _ := serve(t, answer("a1"))
	a2, _ := serve(t, answer("a2"))
	j1, _ := serve(t, answer("j1"))
	action := forward(apiGroup, jobsGroup)
	action.ForwardConfig.TargetGroupStickinessConfig = &elbtypes.TargetGroupStickinessConfig{Enabled: aws.Bool(true), DurationSeconds: aws.Int32(60)}
	s := state(a1, a2)
	s.Groups[0].Attributes["stickiness.enabled"], s.Groups[0].Attributes["stickiness.type"] = "true", "lb_cookie"
	s.Listeners, s.Groups = []balancer.Listener{listener(80, action)}, append(s.Groups, group(jobsGroup, j1))
	b.update(s)
	for _, target := range []balancer.Target{a1, a2, j1} {
		b.await(target, "healthy")
	}
	for range 10 {
		first := b.get("/")
		cookies := (&http.Response{Header: first.header}).Cookies()
		require.NotEmpty(t, cookies)
		for range 10 {
			next := b.get("/", func(r *http.Request) {
				for _, cookie := range cookies {
					r.AddCookie(cookie)
				}
			})
			require.Equal(t, first.body, next.body)
		}
	}
	bound := (&http.Response{Header: b.get("/").header}).Cookies()
	later.Store(int64(25 * time.Hour))
	got := map[string]bool{}
	for range 60 {
		got[b.get("/", func(r *http.Request) {
			for _, cookie := range bound {
				r.AddCookie(cookie)
			}
		}).body] = true
	}
	assert.Len(t, got, 3, "cookies that are past their time bind to nothing")
	assert.Equal(t, http.StatusOK, b.get("/", func(r *http.Request) { r.Header.Set("Cookie", "AWSALBTG=forged; AWSALB=!!!; AWSALBCORS=") }).status)
}

func TestWhatIsNotSupportedIsNamedAndTheFormerStateStays(t *testing.T) {
	b := start(t, balancer.Options{})
	b.update(balancer.State{ARN: loadBalancerARN, Listeners: []balancer.Listener{listener(80, fixed("former"))}})
	for says, bad := range map[string]func(*balancer.State){
		"action authenticate-oidc is not supported": func(s *balancer.State) {
			s.Listeners[0].DefaultActions = []elbtypes.Action{{Type: elbtypes.ActionTypeEnumAuthenticateOidc}}
		},
		"actions authenticate-oidc, forward": func(s *balancer.State) {
			s.Listeners[0].DefaultActions = append([]elbtypes.Action{{Type: elbtypes.ActionTypeEnumAuthenticateOidc}}, forward(apiGroup))
		},
		`condition "weather" is not supported`: func(s *balancer.State) {
			s.Listeners[0].Rules = []elbtypes.Rule{rule(1, fixed(""), elbtypes.RuleCondition{Field: aws.String("weather")})}
		},
		"rule with priority 1: transforms": func(s *balancer.State) {
			s.Listeners[0].Rules = []elbtypes.Rule{rule(1, fixed(""), path("/"))}
			s.Listeners[0].Rules[0].Transforms = []elbtypes.RuleTransform{{}}
		},
		"an HTTPS listener needs a certificate": func(s *balancer.State) { s.Listeners = []balancer.Listener{secure(t, fixed(""))} },
		"security policy TLS-of-yesterday": func(s *balancer.State) {
			s.Listeners = []balancer.Listener{secure(t, fixed(""), certificate(t, "a", "a.b"))}
			s.Listeners[0].SslPolicy = aws.String("TLS-of-yesterday")
		},
		"protocol version GRPC is not supported":   func(s *balancer.State) { s.Groups[0].ProtocolVersion = aws.String("GRPC") },
		"targets of type lambda are not supported": func(s *balancer.State) { s.Groups[0].TargetType = elbtypes.TargetTypeEnumLambda },
		`idle_timeout.timeout_seconds has a value`: func(s *balancer.State) { s.Attributes["idle_timeout.timeout_seconds"] = "soon" },
		"deregistration_delay.timeout_seconds has": func(s *balancer.State) { s.Groups[0].Attributes["deregistration_delay.timeout_seconds"] = "-1" },
		`stickiness.type has a value that is not`: func(s *balancer.State) {
			s.Groups[0].Attributes["stickiness.enabled"], s.Groups[0].Attributes["stickiness.type"] = "true", "app_cookie"
		},
		`health check matcher "2xx"`: func(s *balancer.State) { s.Groups[0].Matcher.HttpCode = aws.String("2xx") },
		"forward without a target group": func(s *balancer.State) {
			s.Listeners[0].DefaultActions = []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward}}
		},
		"actions : one of forward, redirect and": func(s *balancer.State) { s.Listeners[0].DefaultActions = nil },
		"missing closing )": func(s *balancer.State) {
			s.Listeners[0].Rules = []elbtypes.Rule{rule(1, fixed(""), elbtypes.RuleCondition{Field: aws.String("host-header"), RegexValues: []string{"("}})}
		},
	} {
		s := state()
		bad(&s)
		require.ErrorContains(t, b.Update(t.Context(), s), says)
		require.Equal(t, "former", b.get("/").body, says)
	}
}
