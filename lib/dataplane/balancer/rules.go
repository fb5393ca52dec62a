package balancer

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// rule is a rule ready to be evaluated. The default rule has priority 0, as access logs tell it, and comes last.
type rule struct {
	priority   int
	conditions []condition
	action     action
}

type condition func(*http.Request) bool

// action is what a rule ends with: one of forward, redirect and fixed-response.
type action struct {
	kind     elbtypes.ActionTypeEnum
	groups   []weighted
	weights  int
	sticky   time.Duration // of the group; 0 is not sticky
	redirect *elbtypes.RedirectActionConfig
	fixed    *elbtypes.FixedResponseActionConfig
	status   int
}

type weighted struct {
	arn    string
	weight int
}

// readRules are a listener's rules in the order of evaluation.
func readRules(l Listener) ([]rule, error) {
	var rules []rule
	var problems []error
	told := l.Rules
	if !slices.ContainsFunc(told, isDefault) {
		told = append(slices.Clone(told), elbtypes.Rule{Actions: l.DefaultActions, Priority: aws.String("default")})
	}
	for _, each := range told {
		read, err := readRule(each)
		if err != nil {
			problems = append(problems, fmt.Errorf("rule with priority %s: %w", aws.ToString(each.Priority), err))
		}
		rules = append(rules, read)
	}
	order := func(r rule) int {
		if r.priority == 0 {
			return math.MaxInt
		}
		return r.priority
	}
	slices.SortStableFunc(rules, func(a, b rule) int { return cmp.Compare(order(a), order(b)) })
	return rules, errors.Join(problems...)
}

func isDefault(r elbtypes.Rule) bool {
	return aws.ToBool(r.IsDefault) || aws.ToString(r.Priority) == "default"
}

func readRule(told elbtypes.Rule) (rule, error) {
	var read rule
	var problems []error
	if !isDefault(told) {
		priority, err := strconv.Atoi(aws.ToString(told.Priority))
		if err != nil || priority < 1 {
			problems = append(problems, errors.New("the priority is not a number above 0"))
		}
		read.priority = priority
		for _, each := range told.Conditions {
			conditions, err := readCondition(each)
			problems = append(problems, err)
			read.conditions = append(read.conditions, conditions)
		}
	}
	if len(told.Transforms) > 0 {
		problems = append(problems, errors.New("transforms are not supported"))
	}
	var err error
	read.action, err = readAction(told.Actions)
	return read, errors.Join(append(problems, err)...)
}

// match says whether a request meets all conditions.
func (r *rule) match(request *http.Request) bool {
	for _, condition := range r.conditions {
		if !condition(request) {
			return false
		}
	}
	return true
}

// readCondition follows https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-condition-types.html: one of
// a condition's values must match.
func readCondition(c elbtypes.RuleCondition) (condition, error) {
	switch field := aws.ToString(c.Field); field {
	case "host-header":
		values, patterns := c.Values, c.RegexValues
		if c.HostHeaderConfig != nil {
			values, patterns = append(values, c.HostHeaderConfig.Values...), append(patterns, c.HostHeaderConfig.RegexValues...)
		}
		fits, err := texts(values, patterns, true)
		return func(r *http.Request) bool { return fits(hostname(r.Host)) }, err
	case "path-pattern":
		values, patterns := c.Values, c.RegexValues
		if c.PathPatternConfig != nil {
			values, patterns = append(values, c.PathPatternConfig.Values...), append(patterns, c.PathPatternConfig.RegexValues...)
		}
		fits, err := texts(values, patterns, false)
		return func(r *http.Request) bool { return fits(r.URL.EscapedPath()) }, err
	case "http-header":
		if c.HttpHeaderConfig == nil {
			return nil, errors.New("http-header condition without a header")
		}
		name := http.CanonicalHeaderKey(aws.ToString(c.HttpHeaderConfig.HttpHeaderName))
		fits, err := texts(c.HttpHeaderConfig.Values, append(c.RegexValues, c.HttpHeaderConfig.RegexValues...), true)
		return func(r *http.Request) bool { return slices.ContainsFunc(r.Header[name], fits) }, err
	case "http-request-method":
		if c.HttpRequestMethodConfig == nil {
			return nil, errors.New("http-request-method condition without methods")
		}
		methods := c.HttpRequestMethodConfig.Values
		return func(r *http.Request) bool { return slices.Contains(methods, r.Method) }, nil
	case "query-string":
		if c.QueryStringConfig == nil {
			return nil, errors.New("query-string condition without values")
		}
		return queryCondition(c.QueryStringConfig.Values), nil
	case "source-ip":
		if c.SourceIpConfig == nil {
			return nil, errors.New("source-ip condition without addresses")
		}
		return sourceCondition(c.SourceIpConfig.Values)
	default:
		return nil, fmt.Errorf("condition %q is not supported", field)
	}
}

// texts matches a text by any of the wildcard patterns and regular expressions. AWS's regular expressions have nothing that
// Go's have not.
func texts(values, patterns []string, fold bool) (func(string) bool, error) {
	if fold {
		values = lower(values)
	}
	expressions := make([]*regexp.Regexp, 0, len(patterns))
	for _, pattern := range patterns {
		if fold {
			pattern = "(?i)" + pattern
		}
		expression, err := regexp.Compile(pattern)
		if err != nil {
			return nil, err
		}
		expressions = append(expressions, expression)
	}
	if len(values)+len(expressions) == 0 {
		return nil, errors.New("condition without values")
	}
	return func(text string) bool {
		if fold {
			text = strings.ToLower(text)
		}
		return slices.ContainsFunc(values, func(pattern string) bool { return wildcard(pattern, text, false) }) ||
			slices.ContainsFunc(expressions, func(e *regexp.Regexp) bool { return e.MatchString(text) })
	}, nil
}

// queryCondition matches key and value as they are in the query, without regard to case. A value without a key matches that
// of any key. A backslash takes from * and ? their meaning.
func queryCondition(pairs []elbtypes.QueryStringKeyValuePair) condition {
	return func(r *http.Request) bool {
		for field := range strings.SplitSeq(r.URL.RawQuery, "&") {
			key, value, _ := strings.Cut(strings.ToLower(field), "=")
			for _, pair := range pairs {
				if (pair.Key == nil || wildcard(strings.ToLower(*pair.Key), key, true)) &&
					wildcard(strings.ToLower(aws.ToString(pair.Value)), value, true) {
					return true
				}
			}
		}
		return false
	}
}

// sourceCondition looks at the connection's address, and not at X-Forwarded-For.
func sourceCondition(values []string) (condition, error) {
	var networks []netip.Prefix
	for _, value := range values {
		network, err := netip.ParsePrefix(value)
		if err != nil {
			return nil, err
		}
		networks = append(networks, network)
	}
	return func(r *http.Request) bool {
		address := clientAddress(r)
		return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(address) })
	}, nil
}

// wildcard says whether a text fits a pattern in which * is any number of characters and ? is one.
func wildcard(pattern, text string, escapes bool) bool {
	p, t, star, mark := 0, 0, -1, 0
	for t < len(text) {
		literal, width := byte(0), 0
		if p < len(pattern) {
			literal, width = pattern[p], 1
			if escapes && literal == '\\' && p+1 < len(pattern) {
				literal, width = pattern[p+1], 2
			}
		}
		switch {
		case width == 1 && literal == '*':
			star, mark = p, t
			p++
		case width > 0 && (literal == text[t] || width == 1 && literal == '?'):
			p, t = p+width, t+1
		case star >= 0:
			mark++
			p, t = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

func lower(values []string) []string {
	folded := make([]string, len(values))
	for i, value := range values {
		folded[i] = strings.ToLower(value)
	}
	return folded
}

// hostname is a host without its port.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}

// clientAddress is the address of a request's connection, invalid if it has none.
func clientAddress(r *http.Request) netip.Addr {
	address, _ := netip.ParseAddrPort(r.RemoteAddr)
	return address.Addr().Unmap()
}

// readAction reads a rule's actions, of which there must be one.
func readAction(told []elbtypes.Action) (action, error) {
	if len(told) != 1 {
		kinds := make([]string, len(told))
		for i, each := range told {
			kinds[i] = string(each.Type)
		}
		return action{}, fmt.Errorf("actions %s: one of forward, redirect and fixed-response is supported", strings.Join(kinds, ", "))
	}
	a := action{kind: told[0].Type}
	switch a.kind {
	case elbtypes.ActionTypeEnumForward:
		return a.forward(told[0])
	case elbtypes.ActionTypeEnumRedirect:
		a.redirect = told[0].RedirectConfig
		if a.redirect == nil {
			return a, errors.New("redirect without a configuration")
		}
		_, err := fmt.Sscanf(string(a.redirect.StatusCode), "HTTP_%d", &a.status)
		return a, err
	case elbtypes.ActionTypeEnumFixedResponse:
		a.fixed = told[0].FixedResponseConfig
		if a.fixed == nil {
			return a, errors.New("fixed response without a configuration")
		}
		status, err := strconv.Atoi(aws.ToString(a.fixed.StatusCode))
		if err != nil || status < 200 || status > 599 {
			return a, fmt.Errorf("fixed response with status %q", aws.ToString(a.fixed.StatusCode))
		}
		a.status = status
		return a, nil
	default:
		return a, fmt.Errorf("action %s is not supported", a.kind)
	}
}

func (a action) forward(told elbtypes.Action) (action, error) {
	if config := told.ForwardConfig; config != nil {
		for _, each := range config.TargetGroups {
			weight := 1
			if each.Weight != nil {
				weight = int(*each.Weight)
			}
			a.groups = append(a.groups, weighted{aws.ToString(each.TargetGroupArn), weight})
			a.weights += weight
		}
		if sticky := config.TargetGroupStickinessConfig; sticky != nil && aws.ToBool(sticky.Enabled) && len(a.groups) > 1 {
			a.sticky = time.Duration(aws.ToInt32(sticky.DurationSeconds)) * time.Second
		}
	}
	if len(a.groups) == 0 && told.TargetGroupArn != nil {
		a.groups, a.weights = []weighted{{*told.TargetGroupArn, 1}}, 1
	}
	if len(a.groups) == 0 {
		return a, errors.New("forward without a target group")
	}
	return a, nil
}

// choose is the target group for a request by the weights, "" if all are 0. One without healthy targets is chosen like any
// other: AWS does not fail over between groups.
func (a *action) choose() string {
	if len(a.groups) == 1 && a.weights > 0 {
		return a.groups[0].arn
	}
	if a.weights == 0 {
		return ""
	}
	at := rand.IntN(a.weights) //nolint:gosec // a share of the requests, not a secret
	for _, each := range a.groups {
		if at -= each.weight; at < 0 {
			return each.arn
		}
	}
	return ""
}

// location is the URL that a redirect leads to. What the action leaves out is the request's own; the port is always in it.
func (a *action) location(r *http.Request, protocol string, port int32) string {
	own := strings.NewReplacer(
		"#{protocol}", strings.ToLower(protocol), "#{host}", hostname(r.Host), "#{port}", strconv.Itoa(int(port)),
		"#{path}", strings.TrimPrefix(r.URL.EscapedPath(), "/"), "#{query}", r.URL.RawQuery)
	part := func(told *string, standard string) string {
		if told == nil {
			return own.Replace(standard)
		}
		return own.Replace(*told)
	}
	url := strings.ToLower(part(a.redirect.Protocol, "#{protocol}")) + "://" + part(a.redirect.Host, "#{host}") + ":" +
		part(a.redirect.Port, "#{port}") + part(a.redirect.Path, "/#{path}")
	if query := part(a.redirect.Query, "#{query}"); query != "" {
		url += "?" + query
	}
	return url
}

func (a *action) names() []string {
	names := make([]string, len(a.groups))
	for i, each := range a.groups {
		names[i] = each.arn
	}
	return names
}
