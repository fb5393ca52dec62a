package balancer

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// record is an entry of the access log. Its fields are in the order of
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html#access-log-entry-syntax
type record struct {
	kind                         string
	time                         time.Time
	elb, client, target          string
	request, process, response   string // seconds, to the millisecond
	status, targetStatus         string
	received, sent               int64
	line, agent, cipher, version string
	group, trace, domain         string
	certificate, priority        string
	created                      time.Time
	actions, redirect            string
	severity, reason, connection string
}

const logTime = "2006-01-02T15:04:05.000000Z"

// String is the line, without a line break.
func (r *record) String() string {
	quoted := func(text string) string { return `"` + escape(dash(text)) + `"` }
	list := r.target
	return strings.Join([]string{
		r.kind, r.time.UTC().Format(logTime), dash(r.elb), r.client, dash(r.target), r.request, r.process, r.response,
		dash(r.status), dash(r.targetStatus), strconv.FormatInt(r.received, 10), strconv.FormatInt(r.sent, 10),
		quoted(r.line), quoted(r.agent), dash(r.cipher), dash(r.version), dash(r.group), quoted(r.trace), quoted(r.domain),
		quoted(r.certificate), r.priority, r.created.UTC().Format(logTime), quoted(r.actions), quoted(r.redirect),
		`"-"`, // error_reason: of authenticate actions and Lambda functions
		quoted(list), quoted(r.targetStatus), quoted(r.severity), quoted(r.reason), r.connection,
		`"-"`, `"-"`, `"-"`, // transformed_host, transformed_uri, request_transform_status
	}, " ")
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// escape keeps a line one line and its quotes where they are, as \xHH of a byte.
func escape(text string) string {
	if !strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' }) {
		return text
	}
	var safe strings.Builder
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			fmt.Fprintf(&safe, `\x%02X`, c)
		} else {
			safe.WriteByte(c)
		}
	}
	return safe.String()
}

// record is what the access log tells of the request.
func (x *exchange) record() *record {
	r := &record{
		kind: x.kind(), time: time.Now(), elb: x.site.name, client: x.r.RemoteAddr,
		request: "-1", process: "-1", response: "-1", status: number(x.status), targetStatus: number(x.targetStatus),
		received: x.in.Load(), sent: x.out + headerSize(x.Header()),
		line: x.r.Method + " " + x.requestURL() + " " + x.r.Proto, agent: x.r.UserAgent()[:min(len(x.r.UserAgent()), 8<<10)],
		trace: x.traceID, created: x.received, priority: "-", actions: strings.Join(x.actions, ","), redirect: x.location,
		severity: x.severity, reason: x.reason, connection: x.client.trace,
	}
	if x.traceID == "" {
		r.trace = x.r.Header.Get("X-Amzn-Trace-Id")
	}
	if x.rule >= 0 {
		r.priority = strconv.Itoa(x.rule)
	}
	if x.group != nil {
		r.group = x.group.arn
	}
	if x.target != nil {
		r.target = x.target.host
	}
	if x.targetStatus != 0 {
		r.request, r.process, r.response = seconds(x.received, x.sent), seconds(x.sent, x.answered), seconds(x.answered, x.responded)
	}
	if x.r.TLS != nil {
		r.cipher, r.version, r.domain, r.certificate = cipherName(x.r.TLS.CipherSuite), versionName(x.r.TLS.Version), x.client.domain, x.client.certificate
		if r.certificate == "" {
			r.certificate = "session-reused"
		}
	}
	return r
}

// kind is the type of a request or connection.
func (x *exchange) kind() string {
	switch {
	case x.targetStatus == http.StatusSwitchingProtocols && x.r.TLS != nil:
		return "wss"
	case x.targetStatus == http.StatusSwitchingProtocols:
		return "ws"
	case x.r.ProtoMajor == 2:
		return "h2"
	case x.r.TLS != nil:
		return "https"
	}
	return "http"
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func seconds(from, to time.Time) string {
	return strconv.FormatFloat(max(to.Sub(from).Seconds(), 0), 'f', 3, 64)
}

func headerSize(header http.Header) int64 {
	size := int64(len("HTTP/1.1 200 OK\r\n\r\n"))
	for name, values := range header {
		for _, value := range values {
			size += int64(len(name) + len(value) + 4)
		}
	}
	return size
}

// LogKey is the key of the object that an Application Load Balancer would write lines of its access log to: those of the five
// minutes, or less, that end at a time. The address is that of the load balancer's node, the random part the caller's.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html#access-log-file-format
func LogKey(prefix, account, region, loadBalancerARN string, end time.Time, address, random string) string {
	end = end.UTC()
	return path.Join(prefix, "AWSLogs", account, "elasticloadbalancing", region, end.Format("2006/01/02"),
		strings.Join([]string{
			account, "elasticloadbalancing", region, strings.ReplaceAll(resourceID(loadBalancerARN), "/", "."),
			end.Format("20060102T1504Z"), address, random,
		}, "_")+".log.gz")
}

const (
	logEvery = 100 * time.Millisecond
	logMost  = 100_000 // lines that wait
)

// logger hands lines on, formatted outside of requests.
type logger struct {
	take func([]string)
	lost atomic.Int64

	mu      sync.Mutex
	records []*record
}

func newLogger(take func([]string)) *logger { return &logger{take: take} }

func (l *logger) add(r *record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.records) >= logMost {
		l.lost.Add(1)
		return
	}
	l.records = append(l.records, r)
}

// run hands on what there is ten times a second. Close hands on the last.
func (l *logger) run(ctx context.Context) {
	tick := time.NewTicker(logEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.flush()
		case <-ctx.Done():
			return
		}
	}
}

func (l *logger) flush() {
	l.mu.Lock()
	records := l.records
	l.records = nil
	l.mu.Unlock()
	if len(records) == 0 {
		return
	}
	lines := make([]string, len(records))
	for i, r := range records {
		lines[i] = r.String()
	}
	l.take(lines)
}
