package session

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"

	"tapstack/lib/cloud"
	"tapstack/lib/lifecycle"
	"tapstack/lib/target"
)

// quickly watches a cloud that answers while it is to, in milliseconds for seconds.
func quickly(t *testing.T, answers func(asked int32) bool) (s *Session, said *notes) {
	t.Helper()
	over, end := context.WithCancel(context.Background())
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !answers(asked.Add(1)) {
			<-over.Done()
		}
		w.WriteHeader(http.StatusForbidden) // that is an answer, too
	}))
	t.Cleanup(func() { end(); server.Close() })
	said = &notes{}
	s, _ = New(t.Context(), Options{Progress: said, Suffix: "dev"})
	s.watching = watching{
		ask: 80 * time.Millisecond, pause: 50 * time.Millisecond, silence: 300 * time.Millisecond, misses: 3, grace: 100 * time.Millisecond,
	}
	s.Cloud = &target.Target{Name: target.Endpoint, Endpoint: server.URL, Config: aws.Config{
		Region: target.Region, BaseEndpoint: aws.String(server.URL), Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}}
	return s, said
}

// endless goes on until it is ended, or the test has failed.
func endless(ctx context.Context) (lifecycle.Result, error) {
	select {
	case <-ctx.Done():
		return lifecycle.Result{}, ctx.Err()
	case <-time.After(20 * time.Second):
		return lifecycle.Result{}, nil
	}
}

func TestACloudThatFallsSilentEndsThePhaseWithALineThatSaysSo(t *testing.T) {
	t.Parallel()
	s, _ := quickly(t, func(asked int32) bool { return asked < 3 })
	result, err := s.operate(t.Context(), Up, 0, endless)
	require.Zero(t, result)
	var silent *cloud.SilentError
	require.ErrorAs(t, err, &silent)
	require.Regexp(t, `^no answer from http://127\.0\.0\.1:\d+ to STS GetCallerIdentity within [0-9.]+m?s$`, err.Error())

	s.watching.silence = time.Hour
	_, err = s.Prove(t.Context())
	require.ErrorAs(t, err, &silent, "it is known to be silent by now: one question is enough")
}

func TestALostQuestionOrARestartEndsNothing(t *testing.T) {
	t.Parallel()
	for name, answers := range map[string]func(int32) bool{
		"one is lost":           func(asked int32) bool { return asked != 2 },
		"two in a row":          func(asked int32) bool { return asked != 2 && asked != 3 },
		"refused, yet answered": func(int32) bool { return true },
	} {
		s, _ := quickly(t, answers)
		ctx, stop := s.watch(t.Context(), Up)
		select {
		case <-ctx.Done():
			require.Fail(t, "it is given up", "%s: %v", name, context.Cause(ctx))
		case <-time.After(2 * s.watching.silence):
		}
		stop()
	}
}

func TestACloudThatIsGoneEndsThePhaseToo(t *testing.T) {
	t.Parallel()
	s, _ := quickly(t, func(int32) bool { return true })
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.Cloud.Config.BaseEndpoint = aws.String("http://" + listener.Addr().String())
	require.NoError(t, listener.Close())
	started := time.Now()
	ctx, stop := s.watch(t.Context(), Up)
	defer stop()
	<-ctx.Done()
	require.GreaterOrEqual(t, time.Since(started), s.watching.silence, "it may be back by then")
	require.ErrorContains(t, context.Cause(ctx), "connection refused")
}

func TestCredentialsThatExpireEndThePhase(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredToken</Code><Message>The security token is expired</Message></Error></ErrorResponse>`))
	}))
	defer server.Close()
	s, _ := quickly(t, func(int32) bool { return true })
	s.Cloud.Config.BaseEndpoint = &server.URL
	_, err := s.operate(t.Context(), Up, 0, endless)
	require.ErrorContains(t, err, "ExpiredToken: The security token is expired")
}

func TestAnInterruptedPhaseIsWatchedUntilItEnds(t *testing.T) {
	t.Parallel()
	s, said := quickly(t, func(asked int32) bool { return asked < 2 })
	interrupted, cancel := context.WithCancelCause(t.Context())
	cancel(lifecycle.ErrInterrupted)
	ctx, stop := s.watch(interrupted, Destroy)
	require.ErrorIs(t, context.Cause(ctx), lifecycle.ErrInterrupted)
	require.Eventually(t, func() bool { return s.silent.Load() }, 10*time.Second, 10*time.Millisecond)
	stop()
	require.Len(t, said.lines, 1)
	require.Contains(t, said.lines[0], "no answer from http")
}

func TestASilentCloudEndsACommandWithinAMinute(t *testing.T) {
	t.Parallel()
	w := usualWatching
	verdict := w.silence + w.ask + w.pause
	require.LessOrEqual(t, verdict+w.grace, 45*time.Second, "what is left of the minute is for telling it")
	require.GreaterOrEqual(t, w.silence, cloud.Patience, "a call may take as long")
	for _, name := range target.Names() {
		require.Positive(t, phaseLimit[name], name)
		require.Positive(t, engineGrace[name], name)
	}
}
