package cloud

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go/middleware"
)

// Patience is how long one attempt at a call may go without a byte of its answer. AWS answers each call within seconds: what
// takes longer goes on behind it, and is asked for again. The longest wait that it offers is SQS's long poll of 20 s; its SDK
// for Java gives up after 30 s (SocketTimeout of SdkHttpConfigurationOption).
const Patience = 25 * time.Second

// silentAttempts is how many attempts at a call may get no answer before it fails, whatever the retries of its configuration:
// a connection can be lost once. They and the pause between them, a second at the most, end within a minute.
const silentAttempts = 2

// SilentError says that an endpoint took a call and did not answer.
type SilentError struct {
	// Call is what was asked, as in "STS GetCallerIdentity".
	Call     string
	Endpoint string
	Waited   time.Duration
	// Why says what came instead of an answer, such as a refused connection; it may be empty.
	Why string

	final bool
}

func (e *SilentError) Error() string {
	text := fmt.Sprintf("no answer from %s to %s within %s", e.Endpoint, e.Call, e.Waited.Round(time.Second/10))
	if e.Why != "" {
		text += " (" + e.Why + ")"
	}
	return text
}

// RetryableError has the SDK make the call once more.
func (e *SilentError) RetryableError() bool { return !e.final }

// patient is an HTTP client that does not wait for longer than limit for the next byte of an answer.
type patient struct {
	client aws.HTTPClient
	limit  time.Duration
}

// impatient has the clients of a configuration end calls that get no answer.
func impatient(cfg *aws.Config, limit time.Duration) {
	client := cfg.HTTPClient
	if client == nil {
		client = awshttp.NewBuildableClient()
	}
	cfg.HTTPClient = patient{plainBodies{client}, limit}
	cfg.APIOptions = append(cfg.APIOptions, countSilence)
}

type silenceKey struct{}

// countSilence has the attempts of one call counted that got no answer.
func countSilence(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("tapstack:CountSilence",
		func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			return next.HandleInitialize(context.WithValue(ctx, silenceKey{}, new(atomic.Int32)), in)
		}), middleware.Before)
}

// Do implements aws.HTTPClient.
func (p patient) Do(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	silent := &SilentError{
		Call:     awsmiddleware.GetServiceID(ctx) + " " + awsmiddleware.GetOperationName(ctx),
		Endpoint: req.URL.Scheme + "://" + req.URL.Host, Waited: p.limit,
	}
	count, _ := ctx.Value(silenceKey{}).(*atomic.Int32)
	timer := time.AfterFunc(p.limit, func() {
		silent.final = count != nil && count.Add(1) >= silentAttempts
		cancel(silent)
	})
	res, err := p.client.Do(req.WithContext(ctx))
	timer.Stop()
	if err != nil {
		err = causeOf(ctx, err)
		cancel(nil)
		return res, err
	}
	res.Body = &patientBody{res.Body, ctx, timer, p.limit, cancel}
	return res, nil
}

// causeOf tells a silence from the errors that its end leads to.
func causeOf(ctx context.Context, err error) error {
	if silent, is := context.Cause(ctx).(*SilentError); is { //nolint:errorlint // set by Do as it is
		return silent
	}
	return err
}

// patientBody is an answer whose timer runs while a part of it is waited for.
type patientBody struct {
	io.ReadCloser
	ctx    context.Context //nolint:containedctx // of the request whose answer this is
	timer  *time.Timer
	limit  time.Duration
	cancel context.CancelCauseFunc
}

// Read implements io.Reader.
func (b *patientBody) Read(into []byte) (int, error) {
	b.timer.Reset(b.limit)
	n, err := b.ReadCloser.Read(into)
	b.timer.Stop()
	if err != nil && err != io.EOF { //nolint:errorlint // as io.Reader has it
		err = causeOf(b.ctx, err)
	}
	return n, err
}

// Close implements io.Closer.
func (b *patientBody) Close() error {
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}
