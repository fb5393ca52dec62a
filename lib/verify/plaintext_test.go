package verify

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
)

// wire answers requests by their scheme; a nil function refuses to be connected to.
type wire struct {
	scheme string // of the endpoint
	plain  func(*http.Request) *http.Response
	asked  map[string]int
}

func (w *wire) Do(r *http.Request) (*http.Response, error) {
	w.asked[r.URL.Scheme]++
	if r.URL.Scheme == w.scheme {
		return told(r), nil
	}
	if w.plain == nil {
		return nil, syscall.ECONNREFUSED
	}
	return w.plain(r), nil
}

func respond(r *http.Request, status int, xml, json string) *http.Response {
	body, kind := xml, "text/xml"
	if strings.Contains(r.Header.Get("Content-Type"), "json") {
		body, kind = json, "application/x-amz-json-1.0"
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {kind}}, Request: r,
		ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body)),
	}
}

// told is an answer that serves all the calls of both checks.
func told(r *http.Request) *http.Response {
	switch {
	case strings.Contains(r.URL.RawQuery, "encryption"):
		return respond(r, http.StatusOK, "<ServerSideEncryptionConfiguration></ServerSideEncryptionConfiguration>", "")
	case strings.Contains(r.Header.Get("Authorization"), "/elasticloadbalancing/"):
		return respond(r, http.StatusOK, `<DescribeLoadBalancerAttributesResponse><DescribeLoadBalancerAttributesResult><Attributes>
			<member><Key>access_logs.s3.bucket</Key><Value>alb-access-logs-dev</Value></member>
			</Attributes></DescribeLoadBalancerAttributesResult></DescribeLoadBalancerAttributesResponse>`, "")
	case strings.Contains(r.Header.Get("Authorization"), "/sts/"):
		return respond(r, http.StatusOK, `<GetCallerIdentityResponse><GetCallerIdentityResult><Account>123456789012</Account>
			<Arn>arn:aws:iam::123456789012:user/me</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>`, "")
	}
	body, _ := io.ReadAll(r.Body)
	name := "payment-jobs-dev"
	if strings.Contains(string(body), "dlq") {
		name = "payment-jobs-dlq-dev"
	}
	return respond(r, http.StatusOK, "", `{"Attributes":{"QueueArn":"arn:aws:sqs:us-east-1:123456789012:`+name+`"}}`)
}

func forbidden(r *http.Request) *http.Response {
	return respond(r, http.StatusForbidden, "<Error><Code>AccessDenied</Code></Error>", `{"__type":"com.amazonaws.sqs#AccessDenied","message":"explicit deny"}`)
}

func broken(r *http.Request) *http.Response {
	return respond(r, http.StatusBadRequest, "<Error><Code>InvalidRequest</Code></Error>", `{"__type":"com.amazonaws.sqs#InvalidAddress"}`)
}

func (w *wire) look(t *testing.T) Report {
	t.Helper()
	w.asked = map[string]int{}
	report, err := Run(t.Context(), Options{
		AWS: answeredBy(w.Do), Suffix: "dev", Only: []string{"queue.refuses-plain-text", "bucket.refuses-plain-text"}, Act: true,
		Outputs: map[string]any{lib.OutputQueueURL: testQueue, lib.OutputDlqURL: strings.Replace(testQueue, "jobs", "jobs-dlq", 1), lib.OutputAlbArn: testALB},
	})
	require.NoError(t, err)
	return report
}

func TestPlainTextMustBeRefusedWhereTLSIsAnswered(t *testing.T) {
	both := []string{"queue.refuses-plain-text", "bucket.refuses-plain-text"}
	for what, c := range map[string]struct {
		plain func(*http.Request) *http.Response
		reds  []string
		asked int // an answer that says nothing of either ends the check
	}{
		"refused by policy":       {forbidden, nil, 3},
		"nobody listens":          {nil, nil, 3},
		"answered":                {told, both, 3},
		"refused for another sin": {broken, both, 2},
	} {
		t.Run(what, func(t *testing.T) {
			w := &wire{scheme: "https", plain: c.plain}
			report := w.look(t)
			assert.Equal(t, c.reds, reds(t, report))
			assert.Zero(t, report.Counts.NotObservable)
			assert.Equal(t, c.asked, w.asked["http"], "questions without TLS, to two queues and a bucket")
			assert.NotContains(t, report.Problem, "credentials", "a refusal that was hoped for is not held against them")
		})
	}
}

// listening answers on one port of this machine, over TLS as told does, and without as its second function does, byte by byte.
func listening(t *testing.T, plain func(net.Conn)) string {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := told(r)
		defer func() { _ = answer.Body.Close() }()
		maps.Copy(w.Header(), answer.Header)
		_, _ = io.Copy(w, answer.Body)
	}))
	if plain != nil {
		server.Listener = divide(server.Listener, plain)
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

// divided hands on the connections that begin as TLS does.
type divided struct {
	net.Listener
	secure chan net.Conn
}

func divide(all net.Listener, plain func(net.Conn)) net.Listener {
	d := &divided{all, make(chan net.Conn)}
	go func() {
		defer close(d.secure)
		var each sync.WaitGroup
		defer each.Wait()
		for {
			c, err := all.Accept()
			if err != nil {
				return
			}
			each.Go(func() {
				_ = c.SetReadDeadline(time.Now().Add(10 * time.Second)) // one that says nothing is not waited for
				first := bufio.NewReader(c)
				if b, err := first.Peek(1); err == nil && b[0] == 0x16 {
					d.secure <- &peeked{c, first}
					return
				}
				plain(&peeked{c, first})
				_ = c.Close()
			})
		}
	}()
	return d
}

func (d *divided) Accept() (net.Conn, error) {
	c, open := <-d.secure
	if !open {
		return nil, net.ErrClosed
	}
	return c, nil
}

type peeked struct {
	net.Conn
	r *bufio.Reader
}

func (p *peeked) Read(b []byte) (int, error) { return p.r.Read(b) }

func TestAPortThatSpeaksNothingButTLSRefusesPlainText(t *testing.T) {
	both := []string{"queue.refuses-plain-text", "bucket.refuses-plain-text"}
	says := func(text string) func(net.Conn) {
		return func(c net.Conn) {
			_, _ = http.ReadRequest(bufio.NewReader(c))
			_, _ = io.WriteString(c, text)
		}
	}
	const html = "<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head><br></html>"
	for what, c := range map[string]struct {
		plain func(net.Conn)
		reds  []string
	}{
		"Go's server says so":      {nil, nil},
		"closed":                   {func(net.Conn) {}, nil},
		"closed after the request": {says(""), nil},
		"an alert of TLS":          {says("\x15\x03\x01\x00\x02\x02\x46"), nil},
		"nginx says so":            {says("HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n" + html), nil},
		"answered":                 {says("HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: 2\r\n\r\n{}"), both},
		"sent elsewhere":           {says("HTTP/1.1 301 Moved Permanently\r\nLocation: https://example.com/\r\nContent-Length: 0\r\n\r\n"), both},
		"the API itself is unwilling": {func(c net.Conn) {
			if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				answer := broken(r)
				_ = answer.Write(c)
				_ = answer.Body.Close()
			}
		}, both},
	} {
		t.Run(what, func(t *testing.T) {
			address := listening(t, c.plain)
			config := answeredBy(nil)
			config.BaseEndpoint = &address
			config.HTTPClient = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // the server is this test
			queue := address + "/123456789012/payment-jobs-dev"
			report, err := Run(t.Context(), Options{
				AWS: config, Suffix: "dev", Only: both, Act: true,
				Outputs: map[string]any{lib.OutputQueueURL: queue, lib.OutputDlqURL: strings.Replace(queue, "jobs", "jobs-dlq", 1), lib.OutputAlbArn: testALB},
			})
			require.NoError(t, err)
			assert.Equal(t, c.reds, reds(t, report))
			assert.Zero(t, report.Counts.NotObservable)
		})
	}
}

func TestAnAPIWithoutTLSCannotRefuseForWantOfIt(t *testing.T) {
	w := &wire{scheme: "http"}
	for _, r := range []unencryptedRead{{service: "SQS", targets: oneTarget, read: unencryptedQueueRead.read}, {service: "S3", targets: oneTarget, read: unencryptedBucketRead.read}} {
		w.asked = map[string]int{}
		e := newEnv(Options{Suffix: "dev", AWS: aws.Config{
			Region: briefRegion, HTTPClient: w, BaseEndpoint: aws.String("http://127.0.0.1:5000"), Credentials: aws.AnonymousCredentials{},
		}})
		has, err := r.capability().Probe(t.Context(), e)
		require.NoError(t, err, r.service)
		assert.False(t, has, r.service)
	}
}

func oneTarget(context.Context, *Env) (map[string]string, error) {
	return map[string]string{"arn": "https://127.0.0.1:5000/123456789012/target"}, nil
}
