package cloud_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/cloud"
)

// answeredBy is the configuration of an account whose API is a function, which ends with the test.
func answeredBy(t *testing.T, answer http.HandlerFunc) aws.Config {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return configuration(server)
}

func configuration(server *httptest.Server) aws.Config {
	return aws.Config{
		Region: "us-east-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
		Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	}
}

const identity = `<GetCallerIdentityResponse><GetCallerIdentityResult>
<Arn>arn:aws-cn:iam::123456789012:user/reader</Arn><Account>123456789012</Account>
</GetCallerIdentityResult></GetCallerIdentityResponse>`

// A reader asks for each thing once, however often it is needed.
func ExampleReader() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, identity) }))
	defer server.Close()
	reader := cloud.NewReader(configuration(server))
	fmt.Println(reader.ARN(context.Background(), "sqs", "payment-jobs-dev"))
	fmt.Println(reader.ARN(context.Background(), "sqs", "payment-jobs-dlq-dev"))
	fmt.Println(reader.Calls(), "call")
	// Output:
	// arn:aws-cn:sqs:us-east-1:123456789012:payment-jobs-dev
	// arn:aws-cn:sqs:us-east-1:123456789012:payment-jobs-dlq-dev
	// 1 call
}

func TestAnAnswerIsFetchedOnceForAllWhoAsk(t *testing.T) {
	reader := cloud.NewReader(aws.Config{Region: "us-east-1"})
	var fetched atomic.Int32
	var asking sync.WaitGroup
	for range 20 {
		asking.Go(func() {
			v, err := cloud.Once(t.Context(), reader, "answer", func(context.Context) (int, error) { return int(41 + fetched.Add(1)), nil })
			assert.Equal(t, 42, v, err)
		})
	}
	asking.Wait()
	for range 2 {
		_, err := cloud.Once(t.Context(), reader, "broken", func(context.Context) (int, error) { panic("nil map") })
		require.ErrorContains(t, err, "reading broken: nil map", "a panic stays one for those who ask later")
	}
}

func TestAnARNIsBuiltWithoutAnAccountThatNobodyTells(t *testing.T) {
	reader := cloud.NewReader(answeredBy(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, "<GetCallerIdentityResponse><GetCallerIdentityResult/></GetCallerIdentityResponse>")
	}))
	_, err := reader.Identity(t.Context())
	require.ErrorContains(t, err, "names no account")
	require.Equal(t, "arn:aws:ec2:us-east-1::subnet/subnet-1", reader.EC2ARN(t.Context(), "subnet", "subnet-1"))
}

func TestRefusedCallsAreRemembered(t *testing.T) {
	reader := cloud.NewReader(answeredBy(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprint(w, `{"__type":"AccessDenied"}`)
	}))
	_, err := reader.QueueURLs(t.Context())
	require.True(t, cloud.IsRefused(err), err)
	_, err = reader.SQS.ListQueues(cloud.ExpectRefusal(t.Context()), &sqs.ListQueuesInput{})
	require.True(t, cloud.IsRefused(err), err)
	_, err = reader.SQS.DeleteQueue(cloud.ExpectRefusal(t.Context()), &sqs.DeleteQueueInput{QueueUrl: aws.String("https://sqs/q")})
	require.True(t, cloud.IsRefused(err), err)
	assert.Equal(t, []string{"SQS ListQueues"}, reader.Refused(), "one that is meant to be refused does not count")
	assert.Equal(t, 3, reader.Calls())
}

func TestListsAreReadToTheirEnd(t *testing.T) {
	pages := map[string]string{
		"":       `{"Rules":[{"Name":"a"}],"NextToken":"second"}`,
		"second": `{"Rules":[{"Name":"b"},{"Name":"c"}]}`,
	}
	config := answeredBy(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		token := ""
		if strings.Contains(string(body), "second") {
			token = "second"
		}
		_, _ = fmt.Fprint(w, pages[token])
	})
	rules, err := cloud.NewReader(config).EventRules(t.Context())
	require.NoError(t, err)
	require.Len(t, rules, 3)
	pages["second"] = pages[""]
	_, err = cloud.NewReader(config).EventRules(t.Context())
	require.ErrorContains(t, err, "the same page token again")
}

func TestAListWithoutAnEndIsAnError(t *testing.T) {
	pages := 0
	reader := cloud.NewReader(answeredBy(t, func(w http.ResponseWriter, _ *http.Request) {
		if pages++; pages > 5 {
			w.WriteHeader(http.StatusBadRequest)
		}
		_, _ = fmt.Fprint(w, `{"ScalableTargets":[],"NextToken":"49"}`)
	}))
	_, err := reader.ScalableTargets(t.Context())
	require.ErrorContains(t, err, "the same page token again")
	require.Equal(t, 2, pages)
}

func TestACustomEndpointHasBucketsInThePath(t *testing.T) {
	cfg := aws.Config{Region: "us-east-1"}
	assert.False(t, cloud.NewClients(cfg).S3.Options().UsePathStyle)
	cfg.BaseEndpoint = aws.String("http://127.0.0.1:4566")
	assert.True(t, cloud.NewClients(cfg).S3.Options().UsePathStyle)
}

func TestTheEndOfAContextStopsTheNextCall(t *testing.T) {
	stop := errors.New("the user has pressed Ctrl-C")
	ctx, cancel := context.WithCancelCause(t.Context())
	calls := 0
	cfg := answeredBy(t, func(w http.ResponseWriter, _ *http.Request) {
		calls++
		cancel(stop) // within a call, which goes on
		_, _ = fmt.Fprint(w, `{}`)
	})
	cfg.APIOptions = append(cfg.APIOptions, cloud.StopBetweenCalls(callLimit))
	queues := cloud.NewClients(cfg).SQS
	_, err := queues.ListQueues(ctx, &sqs.ListQueuesInput{})
	require.NoError(t, err)
	_, err = queues.ListQueues(ctx, &sqs.ListQueuesInput{})
	require.ErrorIs(t, err, stop)
	require.Equal(t, 1, calls)
}
