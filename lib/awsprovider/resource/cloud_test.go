package resource_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/awsprovider/resource"
)

// slowWire answers SQS calls without a network. The first call reports that it has begun and waits to be let on.
type slowWire struct {
	begun, goOn chan struct{}
	called      []string
	interrupted error
}

func (w *slowWire) Do(req *http.Request) (*http.Response, error) {
	_, operation, _ := strings.Cut(req.Header.Get("X-Amz-Target"), ".")
	w.called = append(w.called, operation)
	if len(w.called) == 1 {
		close(w.begun)
		<-w.goOn
		w.interrupted = req.Context().Err()
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		Body: io.NopCloser(strings.NewReader(`{"QueueUrl":"https://sqs/1/a"}`)),
	}, nil
}

func TestCancellationLetsTheCallInFlightFinishAndStopsBeforeTheNext(t *testing.T) {
	wire := &slowWire{begun: make(chan struct{}), goOn: make(chan struct{})}
	cloud := resource.NewCloud(aws.Config{
		Region: "us-east-1", HTTPClient: wire, Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, nil)
	d := newShelf().describe()
	d.Create = func(ctx context.Context, c *resource.Cloud, a BoxArgs) (string, error) {
		out, err := c.SQS.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &a.Name})
		if err != nil {
			return "", err
		}
		_, err = c.SQS.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{
			QueueUrl: out.QueueUrl, Attributes: map[string]string{"VisibilityTimeout": "1"},
		})
		return *out.QueueUrl, err
	}
	server := serve(t, cloud, resource.Define(d))
	inputs := checked(t, server, fields{"name": "a"})
	type result struct {
		resp p.CreateResponse
		err  error
	}
	done := make(chan result, 1)
	go func() {
		resp, err := server.Create(p.CreateRequest{Urn: boxURN, Properties: inputs})
		done <- result{resp, err}
	}()
	<-wire.begun
	require.NoError(t, server.Cancel())
	close(wire.goOn)
	got := <-done
	assert.NoError(t, wire.interrupted, "the call in flight was interrupted")
	assert.Equal(t, []string{"CreateQueue"}, wire.called)
	require.Error(t, got.err)
	assert.Equal(t, "https://sqs/1/a", got.resp.ID)
	require.NotNil(t, got.resp.PartialState)
	assert.Contains(t, strings.Join(got.resp.PartialState.Reasons, " "), "stopped on request")
}

func TestAWaitStopsWhenTheEngineAsks(t *testing.T) {
	asked := make(chan struct{}, 1)
	d := newShelf().describe()
	d.Create = func(ctx context.Context, _ *resource.Cloud, a BoxArgs) (string, error) {
		return a.Name, resource.Poll(ctx, "the box is ready", time.Hour, func(context.Context) (bool, error) {
			select {
			case asked <- struct{}{}:
			default:
			}
			return false, nil
		})
	}
	server := serve(t, resource.NewCloud(aws.Config{}, nil), resource.Define(d))
	inputs := checked(t, server, fields{"name": "a"})
	done := make(chan p.CreateResponse, 1)
	go func() {
		resp, _ := server.Create(p.CreateRequest{Urn: boxURN, Properties: inputs})
		done <- resp
	}()
	<-asked
	require.NoError(t, server.Cancel())
	resp := <-done
	assert.Equal(t, "a", resp.ID)
	require.NotNil(t, resp.PartialState)
	assert.Contains(t, resp.PartialState.Reasons[0], "the box is ready")
	assert.Contains(t, resp.PartialState.Reasons[0], "stopped on request")
}

func TestAPollSaysWhatItWaitedFor(t *testing.T) {
	answer := func(yes bool, err error) func(context.Context) (bool, error) {
		return func(context.Context) (bool, error) { return yes, err }
	}
	require.NoError(t, resource.Poll(t.Context(), "it is so", 0, answer(true, nil)), "with no time at all")
	require.ErrorContains(t, resource.Poll(t.Context(), "it is so", 0, answer(false, nil)), "waiting until it is so: not so after 0s")
	err := resource.Poll(t.Context(), "it is so", time.Minute, answer(false, errRefused))
	require.ErrorIs(t, err, errRefused)
	require.ErrorContains(t, err, "waiting until it is so")
}

func TestWhatIsNotThereYetIsWaitedFor(t *testing.T) {
	answers := []error{resource.ErrNotFound, nil}
	asked := 0
	ask := func(context.Context) (bool, error) { asked++; return true, answers[asked-1] }
	require.NoError(t, resource.PollThere(t.Context(), "the box is there", time.Minute, ask))
	assert.Equal(t, 2, asked)
	refuse := func(context.Context) (bool, error) { return false, errRefused }
	assert.ErrorIs(t, resource.PollThere(t.Context(), "the box is there", time.Minute, refuse), errRefused)
}

func TestWhatNeverAppearsIsNotWaitedForAsLongAsWhatTakesItsTime(t *testing.T) {
	gone := fmt.Errorf("describing: %w", &smithy.GenericAPIError{Code: "DBInstanceNotFound", Message: "DBInstance writer not found"})
	synctest.Test(t, func(t *testing.T) {
		started := time.Now()
		err := resource.PollThere(t.Context(), "instance writer is available", 90*time.Minute, func(context.Context) (bool, error) {
			return false, gone
		})
		require.ErrorIs(t, err, gone)
		require.ErrorContains(t, err, "waiting until instance writer is available: it is not there, for 2m")
		assert.Less(t, time.Since(started), 3*time.Minute)
	})
	synctest.Test(t, func(t *testing.T) {
		started := time.Now()
		require.NoError(t, resource.PollThere(t.Context(), "instance writer is available", 90*time.Minute, func(context.Context) (bool, error) {
			since := time.Since(started)
			if since < 2*time.Minute || since > 3*time.Minute && since < 5*time.Minute {
				return false, gone
			}
			return since > time.Hour, nil
		}), "what is there may take its time, and be missed again for a while")
	})
}

func TestPollGoneWaitsForNotFoundAndForNoOtherError(t *testing.T) {
	ctx := context.Background()
	answers := []error{nil, fmt.Errorf("describing: %w", &smithy.GenericAPIError{Code: "DBClusterNotFoundFault"})}
	asked := 0
	err := resource.PollGone(ctx, "the box", time.Minute, func(context.Context) error { asked++; return answers[asked-1] })
	require.NoError(t, err)
	assert.Equal(t, 2, asked)
	err = resource.PollGone(ctx, "the box", time.Minute, func(context.Context) error { return errRefused })
	require.ErrorIs(t, err, errRefused)
	assert.ErrorContains(t, err, "the box is gone")
}

func TestNotFoundIsTheAPIsAnswerOrOurOwn(t *testing.T) {
	for _, err := range []error{resource.ErrNotFound, &smithy.GenericAPIError{Code: "NoSuchBucket"}} {
		assert.True(t, resource.NotFound(fmt.Errorf("calling: %w", err)), err)
	}
	assert.False(t, resource.NotFound(nil))
	assert.False(t, resource.NotFound(errRefused))
}

func TestAnAnswerIsKnownByItsCodeAndItsMessage(t *testing.T) {
	err := fmt.Errorf("calling: %w", &smithy.GenericAPIError{Code: "InvalidRequest", Message: "the box is in use"})
	assert.True(t, resource.Says(err, "InvalidRequest", "in use"))
	assert.False(t, resource.Says(err, "Other", "in use"))
	assert.False(t, resource.Says(err, "InvalidRequest", "unknown"))
	assert.False(t, resource.Says(nil, "", ""))
	assert.False(t, resource.Says(errRefused, "", ""))
}

func TestWhatTheAPISaysWinsOverWhatWasKnown(t *testing.T) {
	api, prior := aws.Int(0), aws.Int(5)
	assert.Same(t, api, resource.OrPrior(api, prior), "what the API says, be it zero")
	assert.Same(t, prior, resource.OrPrior(nil, prior), "silence was taken for a denial")
}

func TestACallIsMadeAgainWhileItsErrorIsOneThatTimeHeals(t *testing.T) {
	inUse := error(&smithy.GenericAPIError{Code: "DependencyViolation"})
	denied := error(&smithy.GenericAPIError{Code: "AccessDenied"})
	for _, c := range []struct {
		name    string
		answers []error // the last one is repeated
		calls   int
		want    error
	}{
		{"heals", []error{inUse, nil}, 2, nil},
		{"does not heal in time", []error{inUse}, 0, inUse},
		{"is another error", []error{inUse, denied}, 2, denied},
	} {
		t.Run(c.name, func(t *testing.T) {
			calls := 0
			err := resource.RetryOn(t.Context(), "the box can be deleted", 300*time.Millisecond, func(context.Context) error {
				calls++
				return c.answers[min(calls, len(c.answers))-1]
			}, "DependencyViolation")
			require.ErrorIs(t, err, c.want)
			if c.calls > 0 {
				assert.Equal(t, c.calls, calls)
			}
		})
	}
}
