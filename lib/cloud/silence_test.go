package cloud

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/require"
)

// endpointOf is the configuration of a cloud that answers as handler does, whose requests end with the test.
func endpointOf(t *testing.T, handler http.HandlerFunc) aws.Config {
	t.Helper()
	over, end := context.WithCancel(context.Background())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler(w, r.WithContext(over)) }))
	t.Cleanup(func() { end(); server.Close() })
	return aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(server.URL),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
}

const identity = `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>` +
	`<Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`

func TestACallThatGetsNoAnswerEndsAndSaysSo(t *testing.T) {
	t.Parallel()
	silent := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	breaksOff := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte(identity[:50]))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
	for name, handler := range map[string]http.HandlerFunc{"not a byte": silent, "half an answer": breaksOff} {
		var asked atomic.Int32
		cfg := endpointOf(t, handler)
		cfg.HTTPClient = counting{&http.Client{Transport: &http.Transport{}}, &asked}
		cfg.RetryMaxAttempts = 25 // as the official provider is set
		impatient(&cfg, 100*time.Millisecond)
		started := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		_, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		cancel()
		var told *SilentError
		require.ErrorAs(t, err, &told, name)
		require.Equal(t, "no answer from "+aws.ToString(cfg.BaseEndpoint)+" to STS GetCallerIdentity within 100ms", told.Error())
		require.EqualValues(t, silentAttempts, asked.Load(), name)
		require.Less(t, time.Since(started), 10*time.Second, name)
	}
}

// counting counts the attempts that are made.
type counting struct {
	client aws.HTTPClient
	asked  *atomic.Int32
}

func (c counting) Do(req *http.Request) (*http.Response, error) {
	c.asked.Add(1)
	return c.client.Do(req)
}

func TestALostConnectionCostsNoCall(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	cfg := endpointOf(t, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			<-r.Context().Done()
			return
		}
		_, _ = w.Write([]byte(identity))
	})
	impatient(&cfg, 100*time.Millisecond)
	out, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	require.NoError(t, err)
	require.Equal(t, "123456789012", aws.ToString(out.Account))
}

func TestALongAnswerIsReadToItsEnd(t *testing.T) {
	t.Parallel()
	cfg := endpointOf(t, func(w http.ResponseWriter, _ *http.Request) {
		for range 4 {
			_, _ = w.Write([]byte("part"))
			_ = http.NewResponseController(w).Flush()
			time.Sleep(60 * time.Millisecond) // less than the patience, all together more
		}
	})
	impatient(&cfg, 200*time.Millisecond)
	out, err := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true }).GetObject(t.Context(),
		&s3.GetObjectInput{Bucket: aws.String("b"), Key: aws.String("k")})
	require.NoError(t, err)
	time.Sleep(300 * time.Millisecond) // whoever reads may take longer than that, too
	content, err := io.ReadAll(out.Body)
	require.NoError(t, err)
	require.Equal(t, "partpartpartpart", string(content))
	require.NoError(t, out.Body.Close())
}

func TestTheClientsArePatientForLessThanAMinute(t *testing.T) {
	t.Parallel()
	require.Less(t, silentAttempts*Patience, 55*time.Second, "the pause between two attempts is of a second")
	require.Greater(t, Patience, 20*time.Second+2*time.Second, "SQS holds a question for as long as 20 s")
	clients := NewClients(aws.Config{Region: "us-east-1"})
	require.IsType(t, patient{}, clients.STS.Options().HTTPClient)
	require.Equal(t, Patience, clients.STS.Options().HTTPClient.(patient).limit)
	require.IsType(t, patient{}, clients.S3.Options().HTTPClient)
}
