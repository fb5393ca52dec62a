package balancer_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/dataplane/balancer"
)

// logged are the lines of the access log so far.
func (b *balancing) logged() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.lines)
}

// fields splits a line at the spaces that are not within quotes.
func fields(t *testing.T, line string) []string {
	t.Helper()
	var split []string
	for rest := line; rest != ""; {
		if quoted, is := strings.CutPrefix(rest, `"`); is {
			value, after, closed := strings.Cut(quoted, `"`)
			require.True(t, closed, line)
			split, rest = append(split, value), strings.TrimPrefix(after, " ")
			continue
		}
		value, after, _ := strings.Cut(rest, " ")
		split, rest = append(split, value), after
	}
	return split
}

func TestALineOfTheAccessLogHasAWSsFieldsInOrder(t *testing.T) {
	b := start(t, balancer.Options{})
	target, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) })
	s := state(target)
	const arn = "arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"
	s.Listeners = []balancer.Listener{secure(t, fixed(""), certificate(t, arn, "payments.internal"))}
	s.Listeners[0].Rules = []elbtypes.Rule{rule(10, forward(apiGroup), path("/api/*"))}
	b.update(s)
	b.await(target, "healthy")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+b.Addresses()[443]+"/api/v1?x=%22", strings.NewReader("12345"))
	require.NoError(t, err)
	request.Host = "payments.internal"
	request.Header.Set("User-Agent", "curl/8 \"quoted\"\tand tab")
	transport := client(t).Transport.(*http.Transport)
	transport.TLSClientConfig.ServerName = "payments.internal"
	assert.Equal(t, http.StatusCreated, send(t, &http.Client{Transport: transport}, request).status)
	require.Eventually(t, func() bool { return len(b.logged()) == 1 }, waiting, tick)
	line := b.logged()[0]
	got := fields(t, line)
	require.Len(t, got, 33, line)
	const stamp = `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$`
	for i, expected := range []string{
		"^h2$", stamp, "^app/alb-dev/50dc6c495c0c9188$", `^127\.0\.0\.1:\d+$`, "^" + target.String() + "$",
		`^\d+\.\d{3}$`, `^\d+\.\d{3}$`, `^\d+\.\d{3}$`, "^201$", "^201$", `^\d{2,3}$`, `^\d{2,3}$`,
		`^POST https://payments\.internal:443/api/v1\?x=%22 HTTP/2\.0$`, `^curl/8 \\x22quoted\\x22\\x09and tab$`,
		"^TLS_AES_128_GCM_SHA256$", `^TLSv1\.3$`, "^" + apiGroup + "$", `^Root=1-[0-9a-f]{8}-[0-9a-f]{24}$`,
		`^payments\.internal$`, "^" + arn + "$", "^10$", stamp, "^forward$", "^-$", "^-$", "^" + target.String() + "$", "^201$",
		"^-$", "^-$", "^TID_[0-9a-f]{32}$", "^-$", "^-$", "^-$",
	} {
		assert.Regexp(t, expected, got[i], "field %d of %s", i+1, line)
	}
	// As AWS's example has them: which fields are quoted.
	shape := regexp.MustCompile(`"[^"]*"`).ReplaceAllString(line, "Q")
	assert.Regexp(t, `^(\S+ ){12}Q Q \S+ \S+ \S+ Q Q Q \d+ \S+ Q Q Q Q Q Q Q TID_\S+ Q Q Q$`, shape)
}

func TestTheAccessLogTellsWhatHappened(t *testing.T) {
	b := start(t, balancer.Options{})
	s := state()
	redirect := elbtypes.Action{Type: elbtypes.ActionTypeEnumRedirect, RedirectConfig: &elbtypes.RedirectActionConfig{
		StatusCode: elbtypes.RedirectActionStatusCodeEnumHttp302, Protocol: aws.String("HTTPS"), Port: aws.String("443"),
	}}
	s.Listeners[0].Rules = []elbtypes.Rule{rule(7, redirect, path("/r")), rule(8, fixed("x"), path("/f"))}
	b.update(s)
	for path, expected := range map[string][]string{ // status, target's status, rule, actions, redirect URL
		"/r": {"302", "-", "7", "redirect", "https://example.com:443/r"},
		"/f": {"200", "-", "8", "fixed-response", "-"},
		"/":  {"503", "-", "0", "forward", "-"},
	} {
		before := len(b.logged())
		b.get(path, func(r *http.Request) { r.Host = "example.com" })
		require.Eventually(t, func() bool { return len(b.logged()) > before }, waiting, tick)
		got := fields(t, b.logged()[before])
		assert.Equal(t, append([]string{"-", "-1", "-1", "-1"}, expected...), append(slices.Clone(got[4:10]), got[20], got[22], got[23]), path)
	}
	before := len(b.logged())
	assert.Equal(t, 405, b.rawStatus("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"))
	require.Eventually(t, func() bool { return len(b.logged()) > before }, waiting, tick)
	got := fields(t, b.logged()[before])
	assert.Equal(t, []string{"405", "-", "-"}, []string{got[8], got[20], got[22]})

	s.Attributes["access_logs.s3.enabled"] = "false"
	b.update(s)
	b.get("/f")
	require.NoError(t, b.Close())
	assert.Len(t, b.logged(), before+1, "a log that is off tells nothing")
}

func TestNoRequestForgesALine(t *testing.T) {
	b := start(t, balancer.Options{})
	b.update(balancer.State{ARN: loadBalancerARN, Attributes: map[string]string{"access_logs.s3.enabled": "true"}, Listeners: []balancer.Listener{listener(80, fixed("x"))}})
	for i, request := range []string{
		"GET /a\"b HTTP/1.1\r\nHost: a\r\nUser-Agent: x\" \"y\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX-Amzn-Trace-Id: \" http 2018\r\nUser-Agent: \x80\xff\r\n\r\n",
		"G\"T / HTTP/1.1\r\nHost: a\"b\r\n\r\n",
	} {
		if b.rawStatus(request) == http.StatusBadRequest {
			continue
		}
		require.Eventually(t, func() bool { return len(b.logged()) > 0 }, waiting, tick, request)
		lines := b.logged()
		assert.Len(t, fields(t, lines[len(lines)-1]), 33, "%d: %s", i, lines)
		assert.NotContains(t, lines[len(lines)-1], "\n")
	}
}

func TestTheLogsObjectsAreNamedAsAWSNamesThem(t *testing.T) {
	end := time.Date(2026, 11, 29, 23, 40, 0, 0, time.FixedZone("", 3600))
	assert.Equal(t, "alb/AWSLogs/123456789012/elasticloadbalancing/us-east-1/2026/11/29/123456789012_elasticloadbalancing_us-east-1_app.alb-dev.50dc6c495c0c9188_20261129T2240Z_127.3.255.1_20sg8hgm.log.gz",
		balancer.LogKey("alb", "123456789012", "us-east-1", loadBalancerARN, end, "127.3.255.1", "20sg8hgm"))
	assert.True(t, strings.HasPrefix(balancer.LogKey("", "1", "r", loadBalancerARN, end, "a", "b"), "AWSLogs/1/"), "without a prefix")
}

func ExampleLocalPort() {
	fmt.Println(balancer.LocalPort(80), balancer.LocalPort(443), balancer.LocalPort(9000))
	// Output: 8080 8443 9000
}
