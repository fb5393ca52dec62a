package verify

import (
	"context"
	"errors"
	"go/parser"
	"go/token"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
	"tapstack/lib/cloud/cloudtest"
)

const (
	testAccount = "123456789012"
	testALB     = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/alb-dev/50dc6c495c0c9188"
	testTopic   = "arn:aws:sns:us-east-1:123456789012:payment-alerts-dev"
	testQueue   = "https://sqs.us-east-1.amazonaws.com/123456789012/payment-jobs-dev"
	testSecret  = "arn:aws:secretsmanager:us-east-1:123456789012:secret:payment-api-keys-dev-AbCdEf" //nolint:gosec // a name
	shortWait   = 250 * time.Millisecond
)

// acts answers API calls by operation, without a network: a value, an error, or a function that makes either.
type acts map[string]any

func (a acts) config() aws.Config {
	var mu sync.Mutex
	return cloudtest.Config(func(call string, input any) (any, error) {
		mu.Lock()
		defer mu.Unlock()
		operation := call[strings.LastIndex(call, " ")+1:]
		switch v := a[operation].(type) {
		case nil:
			return nil, cloudtest.Refusal("NobodyAsked")
		case error:
			return nil, v
		case func(any) (any, error):
			return v(input)
		default:
			return v, nil
		}
	})
}

// with adds outputs of the stack.
func (a acts) with(outputs map[string]any) acts {
	all := maps.Clone(a)
	all[moreOutputs] = outputs
	return all
}

// moreOutputs is no operation.
const moreOutputs = "outputs"

// run runs some checks of a stack with the usual outputs, and no longer than a short wait for anything.
func (a acts) run(t *testing.T, network Network, ids ...string) Report {
	t.Helper()
	all := maps.Clone(a)
	all["GetCallerIdentity"] = &sts.GetCallerIdentityOutput{Account: aws.String(testAccount), Arn: aws.String("arn:aws:iam::123456789012:user/me")}
	outputs := map[string]any{
		lib.OutputAlbArn: testALB, lib.OutputAPIURL: "https://api.example.com", lib.OutputVpcID: "vpc-1", lib.OutputClusterIdentifier: "aurora-cluster-dev",
		lib.OutputEcsClusterName: "ecs-cluster-dev", lib.OutputAlertsTopicArn: testTopic, lib.OutputAPIKeysSecretArn: testSecret, lib.OutputQueueURL: testQueue,
		lib.OutputDlqURL: strings.Replace(testQueue, "jobs", "jobs-dlq", 1), lib.OutputJobProcessorServiceName: "job-processor-dev",
	}
	more, _ := all[moreOutputs].(map[string]any)
	maps.Copy(outputs, more)
	r, err := Run(t.Context(), Options{
		AWS: all.config(), Suffix: "dev", Only: ids, Act: true, Network: network, Patience: shortWait, Outputs: outputs,
	})
	require.NoError(t, err)
	return r
}

// reds are the failed checks; each reason is logged.
func reds(t *testing.T, r Report) []string {
	t.Helper()
	var failed []string
	for _, result := range r.Results {
		if result.Status == Failed {
			t.Logf("%s: %s", result.ID, result.Reason)
			failed = append(failed, result.ID)
		}
	}
	return failed
}

// stage is a network that leads to listeners on this machine.
type stage struct {
	ports  map[string]string   // by the port that is asked for
	hosts  map[string][]string // by name
	dialed atomic.Int32
}

func (s *stage) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	s.dialed.Add(1)
	_, port, _ := net.SplitHostPort(address)
	to, ok := s.ports[port]
	if !ok {
		return nil, errors.New("connection refused")
	}
	return (&net.Dialer{}).DialContext(ctx, network, to)
}

func (s *stage) LookupHost(_ context.Context, host string) ([]string, error) {
	s.dialed.Add(1)
	if addresses, ok := s.hosts[host]; ok {
		return addresses, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func TestWhatActsIsLeftOutUnlessAskedForAndNeverDoneByTheWay(t *testing.T) {
	checks := []Check{{ID: "a.looks"}, {ID: "b.acts", Acts: true}, {ID: "c.looks"}, {ID: "d.acts", Acts: true}}
	for _, c := range []struct {
		only []string
		act  bool
		want []string
		bad  bool
	}{
		{nil, false, []string{"a.looks", "c.looks"}, false},
		{nil, true, []string{"a.looks", "b.acts", "c.looks", "d.acts"}, false},
		{[]string{"a.looks"}, true, []string{"a.looks"}, false},
		{[]string{"b.acts"}, true, []string{"b.acts"}, false},
		{[]string{"b.acts"}, false, nil, true},
		{[]string{"e.unknown"}, true, nil, true},
	} {
		got, err := selectChecks(checks, c.only, c.act)
		assert.Equal(t, c.bad, err != nil, "%v, act %t: %v", c.only, c.act, err)
		if !c.bad {
			assert.Equal(t, c.want, texts(got, func(c Check) string { return c.ID }), "%v, act %t", c.only, c.act)
		}
	}
}

func TestWhatActsRunsLastAndAlone(t *testing.T) {
	var mu sync.Mutex
	var order []string
	running := 0
	check := func(id string, acting bool) Check {
		return Check{ID: id, Acts: acting, Run: func(context.Context, *Env) Evidence {
			mu.Lock()
			running++
			assert.False(t, acting && running > 1, "%s runs beside others", id)
			order = append(order, id)
			mu.Unlock()
			time.Sleep(time.Millisecond)
			mu.Lock()
			running--
			mu.Unlock()
			return Evidence{Seen: []Observation{{OK: true}}}
		}}
	}
	checks := []Check{check("a", true), check("b", false), check("c", true), check("d", false)}
	report := run(t.Context(), testEnv(), checks, Options{Suffix: "dev", Act: true})
	slices.Sort(order[:2])
	assert.Equal(t, []string{"b", "d", "a", "c"}, order)
	for i, r := range report.Results {
		assert.Equal(t, checks[i].ID, r.ID)
	}
}

func TestEveryActIsSaidInThePackagesWords(t *testing.T) {
	parsed, err := parser.ParseFile(token.NewFileSet(), "verify.go", nil, parser.ParseComments|parser.PackageClauseOnly)
	require.NoError(t, err)
	for _, c := range Checks() {
		if c.Acts {
			assert.Contains(t, parsed.Doc.Text(), c.ID, "the package comment does not say what it does")
		}
	}
}

func TestAWaitEndsWithinTheRunsPatience(t *testing.T) {
	e := testEnv()
	e.pollInterval, e.patience = time.Hour, shortWait
	asked := 0
	yes, err := e.poll(t.Context(), time.Hour, func(context.Context) (bool, error) { asked++; return false, nil })
	require.NoError(t, err)
	assert.False(t, yes)
	assert.Equal(t, 2, asked)
}

func TestAnInterruptDoesNotStopTheUndoing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := errors.New("interrupted")
	undo(ctx, &err, time.Minute, func(ctx context.Context) error {
		_, limited := ctx.Deadline()
		assert.True(t, limited)
		require.NoError(t, ctx.Err())
		return errors.New("still there")
	})
	assert.Equal(t, "interrupted still there", oneLine(err))
}
