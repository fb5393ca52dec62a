package resource_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"
	p "github.com/pulumi/pulumi-go-provider"

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
		out, err := sqs.NewFromConfig(c.Config).CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &a.Name})
		if err != nil {
			return "", err
		}
		_, err = sqs.NewFromConfig(c.Config).SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{
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
	if err := server.Cancel(); err != nil {
		t.Fatal(err)
	}
	close(wire.goOn)
	got := <-done
	if wire.interrupted != nil {
		t.Errorf("the call in flight was interrupted: %v", wire.interrupted)
	}
	if len(wire.called) != 1 {
		t.Errorf("called %v, want nothing after CreateQueue", wire.called)
	}
	if got.resp.ID != "https://sqs/1/a" || got.resp.PartialState == nil || got.err == nil {
		t.Fatalf("id %q, partial state %v, %v: the id is lost", got.resp.ID, got.resp.PartialState, got.err)
	}
	if told := strings.Join(got.resp.PartialState.Reasons, " "); !strings.Contains(told, "stopped on request") {
		t.Errorf("%q does not say why", told)
	}
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
	if err := server.Cancel(); err != nil {
		t.Fatal(err)
	}
	resp := <-done
	if resp.ID != "a" || resp.PartialState == nil || !strings.Contains(resp.PartialState.Reasons[0], "the box is ready") {
		t.Errorf("id %q, partial state %+v", resp.ID, resp.PartialState)
	}
}

func TestPollAsksFirstAndGivesUpInTime(t *testing.T) {
	ctx := context.Background()
	count := 0
	ask := func(results ...bool) func(context.Context) (bool, error) {
		count = 0
		return func(context.Context) (bool, error) { count++; return results[min(count, len(results))-1], nil }
	}
	if err := resource.Poll(ctx, "it is so", 0, ask(true)); err != nil || count != 1 {
		t.Errorf("with no time at all: %v after %d questions; want one, answered", err, count)
	}
	if err := resource.Poll(ctx, "it is so", time.Minute, ask(false, true)); err != nil || count != 2 {
		t.Errorf("%v after %d questions", err, count)
	}
	if err := resource.Poll(ctx, "it is so", 0, ask(false)); err == nil || !strings.Contains(err.Error(), "it is so") {
		t.Errorf("%v; want an error that says what was waited for", err)
	}
	err := resource.Poll(ctx, "it is so", time.Minute, func(context.Context) (bool, error) { return false, errRefused })
	if !errors.Is(err, errRefused) {
		t.Errorf("%v; want the question's own error at once", err)
	}
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	if err := resource.Poll(stopped, "it is so", time.Minute, ask(true)); !errors.Is(err, context.Canceled) || count != 0 {
		t.Errorf("%v after %d questions; want none on a cancelled context", err, count)
	}
}

func TestPollGoneWaitsForNotFoundAndForNoOtherError(t *testing.T) {
	ctx := context.Background()
	answers := []error{nil, fmt.Errorf("describing: %w", &smithy.GenericAPIError{Code: "DBClusterNotFoundFault"})}
	asked := 0
	err := resource.PollGone(ctx, "the box", time.Minute, func(context.Context) error { asked++; return answers[asked-1] })
	if err != nil || asked != 2 {
		t.Errorf("%v after %d questions", err, asked)
	}
	err = resource.PollGone(ctx, "the box", time.Minute, func(context.Context) error { return errRefused })
	if !errors.Is(err, errRefused) || !strings.Contains(err.Error(), "the box is gone") {
		t.Errorf("%v", err)
	}
}

func TestNotFoundKnowsTheServicesOwnCodes(t *testing.T) {
	for code, want := range map[string]bool{
		"ResourceNotFoundException": true, "InvalidVpcID.NotFound": true, "DBInstanceNotFound": true, "DBClusterNotFoundFault": true,
		"NoSuchEntity": true, "NoSuchBucket": true, "AWS.SimpleQueueService.NonExistentQueue": true, "ParameterNotFound": true,
		"WAFNonexistentItemException": true, "DashboardNotFoundError": true,
		"AccessDenied": false, "ValidationException": false, "NotFoundry": false, "": false,
	} {
		err := fmt.Errorf("calling: %w", &smithy.GenericAPIError{Code: code})
		if got := resource.NotFound(err); got != want {
			t.Errorf("%q: %v, want %v", code, got, want)
		}
		if !resource.HasCode(err, "Other", code) || resource.HasCode(err, "Other") {
			t.Errorf("%q is not recognised by its code", code)
		}
	}
	if resource.NotFound(nil) || resource.NotFound(errRefused) || !resource.NotFound(fmt.Errorf("x: %w", resource.ErrNotFound)) {
		t.Error("errors that are not the API's are not told apart")
	}
	if resource.HasCode(nil, "") || resource.HasCode(errRefused, "") {
		t.Error("an error without a code has none")
	}
}

func TestWhatTheAPISaysWinsOverWhatWasKnown(t *testing.T) {
	api, prior := aws.Int(0), aws.Int(5)
	if got := resource.Told(api, prior); got != api {
		t.Errorf("%d, want what the API says, be it zero", *got)
	}
	if got := resource.Told(nil, prior); got != prior {
		t.Error("silence was taken for a denial")
	}
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
			if !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if c.calls > 0 && calls != c.calls {
				t.Errorf("%d calls, want %d", calls, c.calls)
			}
		})
	}
}
