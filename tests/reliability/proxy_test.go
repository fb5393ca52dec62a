package reliability

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// upstream counts what takes effect.
type upstream struct{ effects int }

func (u *upstream) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	u.effects++
	_, _ = io.WriteString(w, "done")
}

const change, look = "Action=CreateVpc&Version=2016-11-15", "Action=DescribeVpcs&VpcId.1=vpc-1"

func ask(t *testing.T, p *Proxy, body string) (status int, answer string, err error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20261129/us-east-1/ec2/aws4_request, Signature=0")
	client := http.Client{Timeout: 200 * time.Millisecond}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	return response.StatusCode, string(content), err
}

func TestEachFaultIsDelivered(t *testing.T) {
	for _, c := range []struct {
		kind    Kind
		body    string
		status  int // 0: there is no answer
		code    string
		effects int
	}{
		{None, change, 200, "done", 1},
		{Lost, change, 0, "", 1},
		{Cut, change, 200, "do", 1},
		{Dropped, change, 0, "", 0},
		{Throttled, change, 503, "<Code>RequestLimitExceeded</Code>", 0},
		{Failing, change, 500, "<Code>InternalError</Code>", 0},
		{Unavailable, change, 503, "<Code>ServiceUnavailable</Code>", 0},
		{Silent, change, 0, "", 0},
		{Gone, change, 0, "", 0},
		{Expired, change, 400, "<Code>RequestExpired</Code>", 0},
		{NotFound, look, 400, "<Code>InvalidVpcID.NotFound</Code>", 0},
		{NotFound, change, 200, "done", 1},
		{Lost, look, 200, "done", 1},
	} {
		t.Run(string(c.kind)+" "+c.body, func(t *testing.T) {
			var u upstream
			p := NewProxy(&u)
			defer p.Close()
			p.Arm(Plan{Kind: c.kind, Share: 1, At: 1})
			status, answer, err := ask(t, p, c.body)
			p.Arm(Plan{})
			assert.Equal(t, c.status == 0 || c.kind == Cut, err != nil, "%v", err)
			assert.Equal(t, c.status, status)
			assert.Contains(t, answer, c.code)
			assert.Equal(t, c.effects, u.effects)
		})
	}
}

func TestACallIsHeldBeforeItsEffectOrAfter(t *testing.T) {
	for _, after := range []bool{false, true} {
		var u upstream
		p := NewProxy(&u)
		seen := -1
		p.Arm(Plan{At: 2, After: after, Deaf: true, Do: func() { seen = u.effects }})
		_, _, err := ask(t, p, change)
		require.NoError(t, err)
		_, _, err = ask(t, p, look)
		require.NoError(t, err)
		_, _, err = ask(t, p, change)
		require.Error(t, err, "nobody is told")
		want := 2
		if after {
			want = 3
		}
		assert.Equal(t, want, seen)
		assert.Equal(t, want, u.effects)
		assert.Equal(t, 2, p.Changes(), "a read is no change")
		p.Close()
	}
}

func TestTheSameSeedStrikesTheSameCalls(t *testing.T) {
	var runs [2][]string
	for i := range runs {
		p := NewProxy(&upstream{})
		p.Arm(Plan{Kind: Failing, Share: 0.3, Seed: 7})
		for range 20 {
			_, _, err := ask(t, p, change)
			require.NoError(t, err)
		}
		runs[i], _, _ = p.Struck()
		p.Close()
	}
	assert.NotEmpty(t, runs[0])
	assert.Less(t, len(runs[0]), 20)
	assert.Equal(t, runs[0], runs[1])
}

func TestARefusalSpeaksTheProtocolOfTheRequest(t *testing.T) {
	for service, c := range map[string]struct{ target, path, want string }{
		"ecs":        {"AmazonEC2ContainerServiceV20141113.CreateCluster", "/", `"__type":"Slow"`},
		"monitoring": {"", "/service/GraniteServiceVersion20100801/operation/PutMetricAlarm", "f__typedSlow"},
		"s3":         {"", "/bucket", "<Error><Code>Slow</Code>"},
		"ec2":        {"", "/", "<Response><Errors><Error><Code>Slow</Code>"},
		"iam":        {"", "/", "<ErrorResponse><Error><Type>Sender</Type><Code>Slow</Code>"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, c.path, nil)
		if c.target != "" {
			r.Header.Set("X-Amz-Target", c.target)
		}
		w := httptest.NewRecorder()
		refusal{http.StatusBadRequest, "Slow", "no"}.write(w, r, service)
		assert.Contains(t, w.Body.String(), c.want, service)
	}
}
