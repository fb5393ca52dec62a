package balancer

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	waftypes "github.com/aws/aws-sdk-go-v2/service/wafv2/types"
)

const (
	wafBody   = 8 << 10 // of a body that WAF sees behind a load balancer
	rateSlots = 30      // a rate's window moves in so many steps
	rateKeys  = 10_000  // addresses that a rule keeps apart (AWS)
)

// Unevaluated are the rules of a web ACL that this package lets pass without evaluating them, each with the reason.
func Unevaluated(acl *waftypes.WebACL) []string {
	if acl == nil {
		return nil
	}
	_, skipped := readACL(acl, time.Now)
	return skipped
}

// firewall is a web ACL ready to be evaluated.
type firewall struct {
	told     *waftypes.WebACL
	rules    []*wafRule
	fallback *wafRule // the default action
}

type wafRule struct {
	name                      string
	match                     matcher
	block                     *waftypes.BlockAction
	allow                     bool
	allowed, blocked, counted atomic.Int64
}

// matcher says whether a request meets a statement.
type matcher func(*exchange) bool

// follow is the firewall of a web ACL; of one that has not changed it is the same, with what it has counted.
func (f *firewall) follow(acl *waftypes.WebACL, now func() time.Time) (*firewall, error) {
	if acl == nil {
		return nil, nil
	}
	if f != nil && reflect.DeepEqual(f.told.Rules, acl.Rules) && reflect.DeepEqual(f.told.DefaultAction, acl.DefaultAction) {
		return f, nil
	}
	if acl.DefaultAction == nil || acl.DefaultAction.Allow == nil && acl.DefaultAction.Block == nil {
		return nil, errors.New("the web ACL has no default action")
	}
	next, _ := readACL(acl, now)
	return next, nil
}

func readACL(acl *waftypes.WebACL, now func() time.Time) (*firewall, []string) {
	f := &firewall{told: acl, fallback: &wafRule{name: "Default_Action", allow: true}}
	if acl.DefaultAction != nil && acl.DefaultAction.Block != nil {
		f.fallback.allow, f.fallback.block = false, acl.DefaultAction.Block
	}
	var skipped []string
	rules := slices.Clone(acl.Rules)
	slices.SortStableFunc(rules, func(a, b waftypes.Rule) int { return cmp.Compare(a.Priority, b.Priority) })
	for _, told := range rules {
		rule := &wafRule{name: aws.ToString(told.Name)}
		var err error
		rule.match, err = statement(told.Statement, now)
		switch {
		case err != nil:
		case told.Action == nil:
			err = errors.New("a rule without an action of its own")
		case told.Action.Block != nil:
			rule.block = told.Action.Block
		case told.Action.Allow != nil:
			rule.allow = true
		case told.Action.Count == nil:
			err = errors.New("captcha and challenge actions")
		}
		if err != nil {
			skipped = append(skipped, rule.name+": "+err.Error())
			continue
		}
		f.rules = append(f.rules, rule)
	}
	return f, skipped
}

// judge evaluates the rules in order. The verdict is nil for a request that may pass.
func (f *firewall) judge(x *exchange) *waftypes.BlockAction {
	for _, rule := range append(f.rules[:len(f.rules):len(f.rules)], f.fallback) {
		switch {
		case rule.match != nil && !rule.match(x):
		case rule.allow:
			rule.allowed.Add(1)
			return nil
		case rule.block != nil:
			rule.blocked.Add(1)
			return rule.block
		default:
			rule.counted.Add(1)
		}
	}
	return nil
}

func (f *firewall) counts() map[string]RuleCounts {
	counts := map[string]RuleCounts{}
	if f != nil {
		for _, rule := range append(f.rules[:len(f.rules):len(f.rules)], f.fallback) {
			counts[rule.name] = RuleCounts{Allowed: rule.allowed.Load(), Blocked: rule.blocked.Load(), Counted: rule.counted.Load()}
		}
	}
	return counts
}

// block answers a request that the firewall has refused: 403, or what the rule says.
func (x *exchange) block(action *waftypes.BlockAction) {
	custom := action.CustomResponse
	if custom == nil || custom.ResponseCode == nil {
		x.fail(http.StatusForbidden)
		return
	}
	for _, header := range custom.ResponseHeaders {
		x.Header().Add(aws.ToString(header.Name), aws.ToString(header.Value))
	}
	body, is := x.site.firewall.told.CustomResponseBodies[aws.ToString(custom.CustomResponseBodyKey)]
	if !is {
		x.fail(int(*custom.ResponseCode))
		return
	}
	kind := map[waftypes.ResponseContentType]string{
		waftypes.ResponseContentTypeTextPlain: "text/plain", waftypes.ResponseContentTypeTextHtml: "text/html", waftypes.ResponseContentTypeApplicationJson: "application/json",
	}[body.ContentType]
	x.reply(int(*custom.ResponseCode), kind, aws.ToString(body.Content))
}

// statement reads a rule's statement; the error says what cannot be evaluated.
func statement(s *waftypes.Statement, now func() time.Time) (matcher, error) {
	switch {
	case s == nil:
		return nil, errors.New("no statement")
	case s.RateBasedStatement != nil:
		return rateBased(s.RateBasedStatement, now)
	case s.SizeConstraintStatement != nil:
		return sizeConstraint(s.SizeConstraintStatement)
	case s.NotStatement != nil:
		inner, err := statement(s.NotStatement.Statement, now)
		return func(x *exchange) bool { return !inner(x) }, err
	case s.AndStatement != nil:
		inner, err := statements(s.AndStatement.Statements, now)
		return func(x *exchange) bool {
			return !slices.ContainsFunc(inner, func(m matcher) bool { return !m(x) })
		}, err
	case s.OrStatement != nil:
		inner, err := statements(s.OrStatement.Statements, now)
		return func(x *exchange) bool {
			return slices.ContainsFunc(inner, func(m matcher) bool { return m(x) })
		}, err
	case s.ManagedRuleGroupStatement != nil:
		return nil, errors.New("a managed rule group")
	}
	kinds := reflect.ValueOf(*s)
	for i := range kinds.NumField() {
		if field := kinds.Field(i); field.Kind() == reflect.Pointer && !field.IsNil() {
			return nil, errors.New(kinds.Type().Field(i).Name)
		}
	}
	return nil, errors.New("an unknown statement")
}

func statements(all []waftypes.Statement, now func() time.Time) ([]matcher, error) {
	var read []matcher
	for i := range all {
		inner, err := statement(&all[i], now)
		if err != nil {
			return nil, err
		}
		read = append(read, inner)
	}
	return read, nil
}

// rateBased counts requests of a window that moves with time, and matches those above the limit. AWS does so with a delay:
// https://docs.aws.amazon.com/waf/latest/developerguide/waf-rule-statement-type-rate-based-caveats.html
func rateBased(s *waftypes.RateBasedStatement, now func() time.Time) (matcher, error) {
	var key func(*exchange) (key string, counted, matched bool)
	switch s.AggregateKeyType {
	case waftypes.RateBasedStatementAggregateKeyTypeIp:
		key = func(x *exchange) (string, bool, bool) { return clientAddress(x.r).String(), true, false }
	case waftypes.RateBasedStatementAggregateKeyTypeConstant:
		key = func(*exchange) (string, bool, bool) { return "", true, false }
	case waftypes.RateBasedStatementAggregateKeyTypeForwardedIp:
		if s.ForwardedIPConfig == nil {
			return nil, errors.New("FORWARDED_IP without ForwardedIPConfig")
		}
		name, fallback := aws.ToString(s.ForwardedIPConfig.HeaderName), s.ForwardedIPConfig.FallbackBehavior == waftypes.FallbackBehaviorMatch
		key = func(x *exchange) (string, bool, bool) {
			told := x.r.Header.Get(name)
			if told == "" { // AWS does not apply the rule at all
				return "", false, false
			}
			first, _, _ := strings.Cut(told, ",")
			address, err := netip.ParseAddr(strings.TrimSpace(first))
			return address.String(), err == nil, err != nil && fallback
		}
	default:
		return nil, fmt.Errorf("rates by %s", s.AggregateKeyType)
	}
	scope := func(*exchange) bool { return true }
	if s.ScopeDownStatement != nil {
		var err error
		if scope, err = statement(s.ScopeDownStatement, now); err != nil {
			return nil, fmt.Errorf("rates scoped down by %w", err)
		}
	}
	window := time.Duration(cmp.Or(s.EvaluationWindowSec, 300)) * time.Second
	r := &rate{limit: aws.ToInt64(s.Limit), slot: window / rateSlots, keys: map[string]*[rateSlots]slot{}}
	return func(x *exchange) bool {
		if !scope(x) {
			return false
		}
		key, counted, matched := key(x)
		if !counted {
			return matched
		}
		return r.add(key, now())
	}, nil
}

// rate counts by key in slots of time.
type rate struct {
	limit int64
	slot  time.Duration

	mu   sync.Mutex
	keys map[string]*[rateSlots]slot
}

type slot struct{ number, count int64 }

// add counts a request and says whether it is above the limit.
func (r *rate) add(key string, now time.Time) bool {
	number := now.UnixNano() / int64(r.slot)
	r.mu.Lock()
	defer r.mu.Unlock()
	slots := r.keys[key]
	if slots == nil {
		if len(r.keys) >= rateKeys {
			r.forget(number)
		}
		if len(r.keys) >= rateKeys {
			return false
		}
		slots = &[rateSlots]slot{}
		r.keys[key] = slots
	}
	at := &slots[number%rateSlots]
	if at.number != number {
		*at = slot{number: number}
	}
	at.count++
	sum := int64(0)
	for _, each := range slots {
		if each.number > number-rateSlots {
			sum += each.count
		}
	}
	return sum > r.limit
}

// forget drops keys without a request in the window.
func (r *rate) forget(number int64) {
	for key, slots := range r.keys {
		if !slices.ContainsFunc(slots[:], func(s slot) bool { return s.number > number-rateSlots }) {
			delete(r.keys, key)
		}
	}
}

// sizeConstraint compares the size of a part of the request. Transformations would change it, and are not evaluated.
func sizeConstraint(s *waftypes.SizeConstraintStatement) (matcher, error) {
	if slices.ContainsFunc(s.TextTransformations, func(t waftypes.TextTransformation) bool { return t.Type != waftypes.TextTransformationTypeNone }) {
		return nil, errors.New("a size after text transformations")
	}
	size, err := sizeOf(s.FieldToMatch)
	if err != nil {
		return nil, err
	}
	holds, known := map[waftypes.ComparisonOperator]func(a, b int64) bool{
		waftypes.ComparisonOperatorEq: func(a, b int64) bool { return a == b },
		waftypes.ComparisonOperatorNe: func(a, b int64) bool { return a != b },
		waftypes.ComparisonOperatorLe: func(a, b int64) bool { return a <= b },
		waftypes.ComparisonOperatorLt: func(a, b int64) bool { return a < b },
		waftypes.ComparisonOperatorGe: func(a, b int64) bool { return a >= b },
		waftypes.ComparisonOperatorGt: func(a, b int64) bool { return a > b },
	}[s.ComparisonOperator]
	if !known {
		return nil, fmt.Errorf("comparison %q", s.ComparisonOperator)
	}
	return func(x *exchange) bool {
		n, decided := size(x)
		if n < 0 {
			return decided
		}
		return holds(n, s.Size)
	}, nil
}

// sizeOf is a function that tells the size of a part of a request, or, below 0, that the statement is decided without it: of
// a part that is not there it is not met, and what a body of more than 8 KB means the rule says.
func sizeOf(f *waftypes.FieldToMatch) (func(*exchange) (size int64, decided bool), error) {
	switch {
	case f == nil:
	case f.Method != nil:
		return func(x *exchange) (int64, bool) { return int64(len(x.r.Method)), false }, nil
	case f.UriPath != nil:
		return func(x *exchange) (int64, bool) { return int64(len(x.r.URL.EscapedPath())), false }, nil
	case f.QueryString != nil:
		return func(x *exchange) (int64, bool) { return int64(len(x.r.URL.RawQuery)), false }, nil
	case f.SingleHeader != nil:
		name := http.CanonicalHeaderKey(aws.ToString(f.SingleHeader.Name))
		return func(x *exchange) (int64, bool) {
			if name == "Host" {
				return int64(len(x.r.Host)), false
			}
			values, is := x.r.Header[name]
			if !is {
				return -1, false
			}
			return int64(len(strings.Join(values, ","))), false
		}, nil
	case f.Body != nil:
		oversize := f.Body.OversizeHandling
		return func(x *exchange) (int64, bool) {
			n := x.peekBody()
			if n > wafBody {
				switch oversize {
				case waftypes.OversizeHandlingMatch:
					return -1, true
				case waftypes.OversizeHandlingNoMatch:
					return -1, false
				}
				n = wafBody
			}
			return n, false
		}, nil
	}
	return nil, errors.New("the size of such a part of the request")
}

// peekBody is the size of the body as far as WAF looks, and a byte more. What it reads the target still gets.
func (x *exchange) peekBody() int64 {
	if x.r.Body == nil || x.r.ContentLength == 0 {
		return 0
	}
	if x.r.ContentLength > wafBody {
		return wafBody + 1
	}
	if peeked, is := x.r.Body.(*peekedBody); is {
		return peeked.size
	}
	start, err := io.ReadAll(io.LimitReader(x.r.Body, wafBody+1))
	rest := io.Reader(x.r.Body)
	if err != nil {
		rest = failing{err}
	}
	x.r.Body = &peekedBody{Reader: io.MultiReader(bytes.NewReader(start), rest), Closer: x.r.Body, size: int64(len(start))}
	return int64(len(start))
}

type peekedBody struct {
	io.Reader
	io.Closer
	size int64
}

type failing struct{ error }

func (f failing) Read([]byte) (int, error) { return 0, f.error }
