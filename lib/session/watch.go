package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"tapstack/lib/cloud"
	"tapstack/lib/lifecycle"
	"tapstack/lib/target"
)

// watching says how a cloud is watched while a phase goes on. The official provider, whose calls nobody here can bound, is
// watched by it as the local one is.
type watching struct {
	// ask bounds one question, pause is between two of them.
	ask, pause time.Duration
	// silence is how long no question may be answered, and misses how many at the least: one may be lost on its way.
	silence time.Duration
	misses  int
	// grace is how long the engine has, once the cloud is given up, before it is killed.
	grace time.Duration
}

// A silent cloud ends a phase after 31 s, and the engine 5 s later. One that is back by then has lost nothing.
var usualWatching = watching{ask: 8 * time.Second, pause: 5 * time.Second, silence: 30 * time.Second, misses: 3, grace: 5 * time.Second}

// phaseLimit bounds a phase, by target. On AWS, an Aurora cluster may take two hours, and a certificate one and a quarter.
var phaseLimit = map[string]time.Duration{
	target.Local:      20 * time.Minute,
	target.LocalStack: time.Hour,
	target.Endpoint:   time.Hour,
	target.AWS:        4 * time.Hour,
}

// engineGrace is how long an interrupted engine may take to finish what is in flight, by target. A call to an emulator takes
// seconds.
var engineGrace = map[string]time.Duration{
	target.Local:      30 * time.Second,
	target.LocalStack: 2 * time.Minute,
	target.Endpoint:   2 * time.Minute,
	target.AWS:        20 * time.Minute,
}

// watch has the context of a phase end when the cloud gives no answer any more, or the phase takes too long; the cause says so.
// Where it gives none, the engine is killed if it does not end by itself, whatever ended the context before. stop is to be
// called when the phase is over.
func (s *Session) watch(ctx context.Context, phase Phase) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	if s.Cloud == nil {
		return ctx, func() { cancel(context.Canceled) }
	}
	limit := phaseLimit[s.Cloud.Name]
	ctx, expire := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%s was not over after %s", phase, limit))
	over, quiet := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(quiet)
		silent := s.awaitSilence(context.WithoutCancel(ctx), over)
		if silent == nil {
			return
		}
		s.silent.Store(true)
		if errors.Is(context.Cause(ctx), lifecycle.ErrInterrupted) {
			s.progress.Note(silent.Error())
		}
		cancel(silent)
		select {
		case <-over:
		case <-time.After(s.watching.grace):
			s.kill()
		}
	}()
	return ctx, func() {
		close(over)
		<-quiet
		expire()
		cancel(context.Canceled)
	}
}

// awaitSilence asks the cloud who is calling, again and again, until it gives no answer for too long, or until over. A cloud
// that was silent before is given one chance.
func (s *Session) awaitSilence(ctx context.Context, over <-chan struct{}) *cloud.SilentError {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-over:
			cancel()
		case <-ctx.Done():
		}
	}()
	client := cloud.NewClients(s.Cloud.Config).STS
	answered, missed, pause := time.Now(), 0, s.watching.pause
	for {
		why := s.ask(ctx, client)
		switch {
		case ctx.Err() != nil:
			return nil
		case why == "":
			answered, missed, pause = time.Now(), 0, s.watching.pause
			s.silent.Store(false)
		default:
			missed++
			pause = s.watching.pause / 5
		}
		waited := time.Since(answered)
		if missed > 0 && s.silent.Load() || missed >= s.watching.misses && waited >= s.watching.silence {
			return &cloud.SilentError{
				Call: "STS GetCallerIdentity", Waited: waited, Why: why,
				Endpoint: cmp.Or(s.Cloud.Endpoint, "AWS in "+s.Cloud.Config.Region),
			}
		}
		select {
		case <-time.After(pause):
		case <-over:
			return nil
		}
	}
}

// ask says what came instead of an answer; nothing where there is one, be it a refusal.
func (s *Session) ask(ctx context.Context, client *sts.Client) (why string) {
	ctx, cancel := context.WithTimeout(ctx, s.watching.ask)
	defer cancel()
	_, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}, func(o *sts.Options) { o.Retryer = aws.NopRetryer{} })
	var unsent *smithyhttp.RequestSendError
	var answer *smithyhttp.ResponseError
	switch {
	case err == nil, errors.As(err, &answer) && answer.HTTPStatusCode() > 0 && ctx.Err() == nil:
		return ""
	case ctx.Err() != nil:
		return "the last question had none within " + s.watching.ask.String()
	case errors.As(err, &unsent):
		return innermost(unsent)
	default:
		return "" // of what a credential's source says, the phase's own calls tell
	}
}

func innermost(err error) string {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err.Error()
}

// kill ends the engine at once.
func (s *Session) kill() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.Engine != nil {
		s.Engine.Kill()
	}
}
