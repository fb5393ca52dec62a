package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
	"tapstack/lib/target"
	"tapstack/lib/verify"
)

// verifySuffix is the suffix of the stack that this file deploys.
const verifySuffix = "verified"

// deployed is a whole stack on a local cloud of its own, which goes with the test.
func deployed(ctx context.Context, tb testing.TB) verify.Options {
	tb.Helper()
	s := openSession(ctx, tb, defaults(target.Options{Name: target.Local}, verifySuffix, tb.TempDir()))
	_, err := s.Stack.Up(ctx)
	require.NoError(tb, err, "deploying")
	outputs, err := s.Outputs(ctx)
	require.NoError(tb, err)
	return verify.Options{AWS: s.Cloud.Config, Outputs: outputs, Suffix: verifySuffix}
}

// BenchmarkVerify times a run of the whole specification against a deployed stack.
func BenchmarkVerify(b *testing.B) {
	ctx, cancel := bounded(b, cleanUpTime)
	defer cancel()
	options := deployed(ctx, b)
	calls, checks := 0, 0
	for b.Loop() {
		report, err := verify.Run(ctx, options)
		require.NoError(b, err)
		require.True(b, report.OK(), "%d checks failed", report.Counts.Failed)
		calls, checks = calls+report.APICalls, report.Counts.Total
	}
	n := float64(b.N)
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/n, "ms/run")
	b.ReportMetric(float64(calls)/n, "calls/run")
	b.ReportMetric(float64(checks), "checks")
	b.ReportMetric(0, "ns/op")
}

// TestSpecification holds the run of the specification itself to what a reader may expect of it.
func TestSpecification(t *testing.T) {
	ctx, cancel := bounded(t, cleanUpTime)
	defer cancel()
	options := deployed(ctx, t)
	sound := runVerify(ctx, t, options)
	require.True(t, sound.OK(), "%+v", reasons(sound, verify.Failed))
	require.Empty(t, sound.Problem)

	t.Run("asks the cloud each question once", func(t *testing.T) {
		var asked questions
		again := options
		again.AWS = options.AWS.Copy()
		again.AWS.APIOptions = append(slices.Clone(again.AWS.APIOptions), asked.keep)
		report := runVerify(ctx, t, again)
		require.True(t, report.OK(), "%+v", reasons(report, verify.Failed))
		require.NotEmpty(t, asked.count)
		for question, count := range asked.count {
			assert.Equal(t, 1, count, "times asked: %s", question)
		}
		for operation := range asked.operations {
			verb := operation[strings.LastIndex(operation, " ")+1:]
			assert.Regexp(t, "^(Describe|Get|List|FilterLogEvents$)", verb, "%s is no reading call", operation)
		}
	})

	t.Run("passes nothing on another region than the stack's", func(t *testing.T) {
		elsewhere := options
		elsewhere.Region = "eu-west-1"
		report := runVerify(ctx, t, elsewhere)
		require.Contains(t, report.Problem, "asked was account")
		require.Contains(t, report.Problem, "region eu-west-1")
		requireAllFailed(t, report)
	})

	t.Run("says that the stack is another account's", func(t *testing.T) {
		elsewhere := options
		elsewhere.Outputs = maps.Clone(options.Outputs)
		for _, name := range []string{lib.OutputAlbArn, lib.OutputAlertsTopicArn, lib.OutputDBSecretArn} {
			elsewhere.Outputs[name] = strings.Replace(options.Outputs[name].(string), ":123456789012:", ":999999999999:", 1)
		}
		report := runVerify(ctx, t, elsewhere)
		require.Contains(t, report.Problem, "the stack is in account 999999999999")
		require.False(t, report.OK())
		require.NotEmpty(t, reasons(report, verify.Failed)["target.region"])
	})

	t.Run("passes nothing on a stack that does not exist", func(t *testing.T) {
		nobody := options
		nobody.Outputs, nobody.Suffix = nil, "nobody"
		report := runVerify(ctx, t, nobody)
		require.Contains(t, report.Problem, "no outputs")
		requireAllFailed(t, report)
	})

	t.Run("passes nothing of half a stack that it cannot see", func(t *testing.T) {
		half := options
		half.Outputs = map[string]any{lib.OutputVpcID: options.Outputs[lib.OutputVpcID]}
		report := runVerify(ctx, t, half)
		require.Contains(t, report.Problem, "not deployed to its end")
		require.False(t, report.OK())
		require.Zero(t, report.Counts.NotObservable, "what cannot be evaluated has failed")
	})

	t.Run("takes no refusal for a gap of the target", func(t *testing.T) {
		hidden := reasons(sound, verify.NotObservable)
		for service, check := range refusableServices() {
			blind := options
			blind.AWS = options.AWS.Copy()
			blind.AWS.HTTPClient = refusing{service: service, then: http.DefaultClient}
			report := runVerify(ctx, t, blind)
			require.NotEmpty(t, reasons(report, verify.Failed)[check], "without %s, %s must fail", service, check)
			require.Contains(t, report.Problem, "the credentials may not read everything", "without %s", service)
			for id, reason := range reasons(report, verify.NotObservable) {
				assert.Contains(t, hidden, id, "not observable without %s: %s", service, reason)
			}
		}
	})
}

func runVerify(ctx context.Context, t *testing.T, options verify.Options) verify.Report {
	t.Helper()
	report, err := verify.Run(ctx, options)
	require.NoError(t, err)
	require.Equal(t, report.Counts.Total, report.Counts.Passed+report.Counts.Failed+report.Counts.NotObservable+report.Counts.SwitchedOff)
	return report
}

// reasons are those of the checks of a status, by id.
func reasons(report verify.Report, status verify.Status) map[string]string {
	found := map[string]string{}
	for _, r := range report.Results {
		if r.Status == status {
			found[r.ID] = r.Reason
		}
	}
	return found
}

func requireAllFailed(t *testing.T, report verify.Report) {
	t.Helper()
	for _, r := range report.Results {
		assert.Equal(t, verify.Failed, r.Status, r.ID)
	}
}

// questions counts the calls of a run by operation and input. A retry is part of its call.
type questions struct {
	mu         sync.Mutex
	count      map[string]int
	operations map[string]bool
}

func (q *questions) keep(stack *middleware.Stack) error {
	note := func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		input, err := json.Marshal(in.Parameters)
		if err != nil {
			return middleware.InitializeOutput{}, middleware.Metadata{}, err
		}
		operation := awsmiddleware.GetServiceID(ctx) + " " + awsmiddleware.GetOperationName(ctx)
		q.mu.Lock()
		if q.count == nil {
			q.count, q.operations = map[string]int{}, map[string]bool{}
		}
		q.count[operation+" "+string(input)]++
		q.operations[operation] = true
		q.mu.Unlock()
		return next.HandleInitialize(ctx, in)
	}
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("questions", note), middleware.After)
}

// refusableServices are the services that checks ask, by signing name, each with a check that cannot do without it.
func refusableServices() map[string]string {
	return map[string]string{
		"acm":                     "alb.certificate",
		"application-autoscaling": "scaling.cpu",
		"ec2":                     "network.vpc",
		"ecs":                     "application.running",
		"elasticloadbalancing":    "alb.public",
		"events":                  "alerts.events",
		"iam":                     "iam.task-roles",
		"kms":                     "alerts.topic-key",
		"logs":                    "logs.retention",
		"monitoring":              "alerts.alarms",
		"rds":                     "database.performance-insights",
		"s3":                      "bucket.encrypted",
		"secretsmanager":          "secrets.no-rotation",
		"sns":                     "alerts.email",
		"sqs":                     "queue.redrive-allow",
		"ssm":                     "parameters.values",
		"wafv2":                   "waf.rules",
	}
}

// refusing passes requests on, save those to one service, which it refuses as AWS does.
type refusing struct {
	service string
	then    aws.HTTPClient
}

func (r refusing) Do(request *http.Request) (*http.Response, error) {
	// The scope of a signature is key/date/region/service/aws4_request.
	if !strings.Contains(request.Header.Get("Authorization"), "/"+r.service+"/aws4_request") {
		return r.then.Do(request)
	}
	const what = "not authorized to perform this operation"
	body, kind := fmt.Sprintf("<ErrorResponse><Error><Code>AccessDenied</Code><Message>%s</Message></Error></ErrorResponse>", what), "text/xml"
	switch {
	case strings.Contains(request.Header.Get("Content-Type"), "json"):
		body, kind = fmt.Sprintf(`{"__type":"AccessDeniedException","message":%q}`, what), "application/x-amz-json-1.1"
	case r.service == "ec2":
		body = fmt.Sprintf("<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>%s</Message></Error></Errors></Response>", what)
	case r.service == "s3":
		body = fmt.Sprintf("<Error><Code>AccessDenied</Code><Message>%s</Message></Error>", what)
	}
	return &http.Response{
		StatusCode: http.StatusForbidden, Header: http.Header{"Content-Type": {kind}}, Request: request,
		ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewBufferString(body)),
	}, nil
}
