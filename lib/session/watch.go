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

// A silent cloud ends a phase after 25 to 31 s, and the engine 2 s later. One that is back by then has lost nothing.
var usualWatching = watching{ask: 8 * time.Second, pause: 5 * time.Second, silence: 25 * time.Second, misses: 3, grace: 2 * time.Second}

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
	watched, over := context.WithCancel(context.WithoutCancel(ctx)) // after an interrupt, too
	quiet := make(chan struct{})
	go func() {
		defer close(quiet)
		silent := s.awaitSilence(watched)
		if silent == nil {
			return
		}
		s.silent.Store(true)
		if errors.Is(context.Cause(ctx), lifecycle.ErrInterrupted) {
			s.progress.Note(silent.Error())
		}
		cancel(silent)
		select {
		case <-watched.Done():
		case <-time.After(s.watching.grace):
			s.kill()
		}
	}()
	return ctx, func() {
		over()
		<-quiet
		expire()
		cancel(context.Canceled)
	}
}

// awaitSilence asks the cloud who is calling, again and again, until it gives no answer for too long; nil is the end of ctx
// before. A cloud that was silent when it was last asked is given one chance.
func (s *Session) awaitSilence(ctx context.Context) *cloud.SilentError {
	client := cloud.NewClients(s.Cloud.Config).STS
	answered, missed := time.Now(), 0
	for {
		why := s.ask(ctx, client)
		if ctx.Err() != nil {
			return nil
		}
		pause := s.watching.pause
		if why == nil {
			answered, missed = time.Now(), 0
			s.silent.Store(false)
		} else {
			missed++
			pause /= 5
		}
		waited := time.Since(answered)
		if missed > 0 && s.silent.Load() || missed >= s.watching.misses && waited >= s.watching.silence {
			silent := &cloud.SilentError{
				Call: "STS GetCallerIdentity", Waited: waited, Endpoint: cmp.Or(s.Cloud.Endpoint, "AWS in "+s.Cloud.Config.Region),
			}
			if !errors.Is(why, context.DeadlineExceeded) {
				silent.Why = innermost(why)
			}
			return silent
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
	}
}

// ask says why there was no answer; nil where there is one, be it a refusal. That the credentials have expired is none: nothing
// goes on with them, while the official provider asks again and again.
func (s *Session) ask(ctx context.Context, client *sts.Client) error {
	ctx, cancel := context.WithTimeout(ctx, s.watching.ask)
	defer cancel()
	_, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}, func(o *sts.Options) { o.Retryer = aws.NopRetryer{} })
	var unsent *smithyhttp.RequestSendError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &unsent):
		return unsent
	case cloud.HasCode(err, "ExpiredToken", "ExpiredTokenException"):
		return err
	default:
		return nil // the phase's own calls tell of a refusal, or of credentials that cannot be had
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
