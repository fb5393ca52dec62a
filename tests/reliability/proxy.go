// Package reliability breaks tap in every way in which a machine, a network or a user does, and shows each time that the one
// command that is told leaves the account as it was: make test-reliability prints the table of a sample, make torture of all.
package reliability

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"

	"tapstack/tests/official/bridge"
)

// Kind is what a fault does to a call.
type Kind string

// The kinds. NotFound is for reads, Delayed for all calls, the others for calls that change something; Silent, Gone and Expired,
// once begun, for every call.
const (
	None        Kind = ""
	Lost        Kind = "answer lost after effect"
	Cut         Kind = "answer cut short"
	Dropped     Kind = "dropped before effect"
	Delayed     Kind = "delays"
	Throttled   Kind = "throttling"
	Failing     Kind = "500"
	Unavailable Kind = "503"
	NotFound    Kind = "not-found reads"
	Silent      Kind = "endpoint silent"
	Gone        Kind = "endpoint gone and back"
	Expired     Kind = "credentials expired"
)

const (
	longestDelay = time.Second
	// goneFor is how long an endpoint is gone. A client that asks again, as AWS's SDKs do, may outlast it.
	goneFor = 5 * time.Second
)

// Plan is what the proxy is to do. Its zero value hands every call on.
type Plan struct {
	Kind Kind
	// Share of the calls that the fault is for, 0 to 1.
	Share float64
	Seed  uint64
	// At is the call that changes something, counted from 1, at which Silent, Gone and Expired begin, or which Do is called at: while
	// the call is held, after it took effect or before. A call that Do is called at gets no answer if Deaf.
	At    int
	After bool
	Deaf  bool
	// Any has At count every call, those that change nothing too.
	Any bool
	Do  func()
}

// Proxy stands between a program and the AWS API, and does what its plan says. It listens on loopback.
type Proxy struct {
	*httptest.Server
	next http.Handler

	mutex  sync.Mutex
	plan   Plan
	lifted chan struct{} // closed when the plan is over
	seen   map[string]int
	struck []string
	first  time.Time // that a call was struck
	last   time.Time
	count  int
}

// NewProxy is a proxy that hands calls on to next. Close it when done.
func NewProxy(next http.Handler) *Proxy {
	p := &Proxy{next: next}
	p.Arm(Plan{})
	p.Server = httptest.NewServer(p)
	return p
}

// Arm begins a plan, and the counting anew. Calls that the last plan holds are let go, without an answer.
func (p *Proxy) Arm(plan Plan) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.lifted != nil {
		close(p.lifted)
	}
	p.plan, p.lifted, p.seen, p.struck, p.first, p.last, p.count = plan, make(chan struct{}), map[string]int{}, nil, time.Time{}, time.Time{}, 0
}

// Changes is how many calls changed something, or were to, since the plan began.
func (p *Proxy) Changes() int {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.count
}

// Struck are the calls that met the fault, and when the first and the last of them did.
func (p *Proxy) Struck() (calls []string, first, last time.Time) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.struck, p.first, p.last
}

// verdict is what becomes of one call.
type verdict struct {
	Plan
	now    bool // it is the one that Do is called at
	lifted chan struct{}
	chance *rand.Rand
}

func (p *Proxy) judge(operation string, body []byte) verdict {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	changes := !bridge.Reads(operation)
	if changes || p.plan.Any {
		p.count++
	}
	key := operation
	if p.plan.Kind == NotFound {
		key += " " + string(body)
	}
	p.seen[key]++
	// The same call gets the same fault, in whatever order the calls come.
	hash := fnv.New64a()
	_, _ = fmt.Fprintf(hash, "%s %d", operation, p.seen[key])
	v := verdict{Plan: p.plan, now: changes && p.count == p.plan.At, lifted: p.lifted}
	v.chance = rand.New(rand.NewPCG(p.plan.Seed, hash.Sum64())) //nolint:gosec // repeatable, not secret
	hit := v.chance.Float64() < p.plan.Share
	switch p.plan.Kind {
	case Silent, Expired:
		hit = p.plan.At > 0 && p.count >= p.plan.At
	case Gone:
		hit = p.plan.At > 0 && p.count >= p.plan.At && (p.first.IsZero() || time.Since(p.first) < goneFor)
	case NotFound: // an answer from before the thing was there, once
		hit = hit && notFound[operation] != "" && p.seen[key] == 1 && bytes.ContainsAny(body, "=:") && identifies(body)
	case Delayed:
	default:
		hit = hit && changes
	}
	if !hit {
		v.Kind = None
	}
	if hit || v.now && p.plan.Do != nil {
		p.struck = append(p.struck, fmt.Sprintf("%d %s", p.count, operation))
		p.last = time.Now()
		if p.first.IsZero() {
			p.first = p.last
		}
	}
	return v
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	operation := bridge.Operation(r, body)
	v := p.judge(operation, body)
	if v.now && v.Do != nil {
		p.hold(w, r, v)
		return
	}
	service, _, _ := strings.Cut(operation, " ")
	switch v.Kind {
	case Lost:
		_ = p.answer(r)
		panic(http.ErrAbortHandler)
	case Cut:
		answer := p.answer(r)
		if length := answer.Body.Len(); length > 0 {
			answer.Header().Set("Content-Length", strconv.Itoa(length))
			answer.Body.Truncate(length / 2)
		}
		hand(w, answer)
	case Dropped, Gone:
		panic(http.ErrAbortHandler)
	case Silent:
		select {
		case <-v.lifted:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	case Delayed:
		select {
		case <-time.After(time.Duration(v.chance.Int64N(int64(longestDelay)))):
		case <-r.Context().Done():
		}
		p.next.ServeHTTP(w, r)
	case Throttled:
		throttled(service).write(w, r, service)
	case Failing:
		refusal{http.StatusInternalServerError, internal(r), "We encountered an internal error. Please try again."}.write(w, r, service)
	case Unavailable:
		refusal{http.StatusServiceUnavailable, "ServiceUnavailable", "The service is unavailable. Please try again."}.write(w, r, service)
	case Expired:
		expired(service).write(w, r, service)
	case NotFound:
		refusal{http.StatusBadRequest, notFound[operation], "It does not exist."}.write(w, r, service)
	default:
		p.next.ServeHTTP(w, r)
	}
}

// hold keeps a call while the plan's Do is done, before its effect or after.
func (p *Proxy) hold(w http.ResponseWriter, r *http.Request, v verdict) {
	var answer *httptest.ResponseRecorder
	if v.After {
		answer = p.answer(r)
	}
	v.Do()
	switch {
	case v.Deaf:
		panic(http.ErrAbortHandler)
	case v.After:
		hand(w, answer)
	default:
		p.next.ServeHTTP(w, r)
	}
}

// answer has a call take effect, even where whoever asked is gone.
func (p *Proxy) answer(r *http.Request) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	p.next.ServeHTTP(answer, r.WithContext(context.WithoutCancel(r.Context())))
	return answer
}

func hand(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}
