package official

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/lifecycle"
)

func TestWhatDiffersIsFoundAndWhatIsRandomIsNot(t *testing.T) {
	const queue = "urn:pulumi:same::tapstack::aws:sqs/queue:Queue::jobs"
	one := func(change func(*life)) life {
		l := life{
			Again: []lifecycle.Step{}, Verdicts: map[string]string{"queue.policy": "passed"},
			Up: writes{"sqs CreateQueue": {"Attributes.VisibilityTimeout": {"30"}}},
			Outputs: map[string]map[string]any{queue: {
				"arn": "arn:aws:sqs:us-east-1:123456789012:jobs", "delaySeconds": 0.0, "fifoQueue": false,
				"policy": `{"Statement":[],"Version":"2012-10-17"}`, "redrivePolicy": map[string]any{signed: "1b47"},
			}},
		}
		change(&l)
		return l
	}
	for what, c := range map[string]struct {
		change func(*life)
		seen   []string
	}{
		"nothing":                      {func(*life) {}, nil},
		"an id":                        {func(l *life) { l.Outputs[queue]["arn"] = "arn:aws:sqs:us-east-1:210987654321:jobs" }, nil},
		"the layout of a document":     {func(l *life) { l.Outputs[queue]["policy"] = `{"Version": "2012-10-17", "Statement": []}` }, nil},
		"an empty value that is there": {func(l *life) { delete(l.Outputs[queue], "delaySeconds") }, nil},
		"an output that is missing":    {func(l *life) { delete(l.Outputs[queue], "arn") }, []string{"output: aws:sqs/queue:Queue arn"}},
		"a network":                    {func(l *life) { l.Outputs[queue]["arn"] = "10.0.0.0/16" }, []string{"output: aws:sqs/queue:Queue arn"}},
		"a secret in plain":            {func(l *life) { l.Outputs[queue]["redrivePolicy"] = "plain" }, []string{"output: aws:sqs/queue:Queue redrivePolicy"}},
		"a resource":                   {func(l *life) { delete(l.Outputs, queue) }, []string{"resource: " + queue}},
		"a verdict":                    {func(l *life) { l.Verdicts["queue.policy"] = "failed" }, []string{"verify: queue.policy"}},
		"a parameter": {
			func(l *life) { l.Up["sqs CreateQueue"]["Attributes.VisibilityTimeout"] = []string{"60"} },
			[]string{"up: sqs CreateQueue Attributes.VisibilityTimeout"},
		},
		"an operation": {func(l *life) { l.Destroy = writes{"sqs DeleteQueue": {}} }, []string{"destroy: sqs DeleteQueue"}},
		"a step": {
			func(l *life) { l.Again = []lifecycle.Step{{Op: "update", Type: "aws:sqs/queue:Queue", Name: "jobs"}} },
			[]string{"second preview: update aws:sqs/queue:Queue jobs"},
		},
	} {
		t.Run(what, func(t *testing.T) {
			seen := map[string]string{}
			compare(seen, one(func(*life) {}), one(c.change))
			keys := []string{}
			for key := range seen {
				keys = append(keys, key)
			}
			assert.ElementsMatch(t, c.seen, keys, "%v", seen)
		})
	}
}

func TestRequestsAreReadInEachOfTheirProtocols(t *testing.T) {
	for what, c := range map[string]struct {
		path, target, body string
		operation          string
		parameters         map[string][]string
	}{
		"query": {
			"/", "", "Action=CreateTags&Version=1&Tag.1.Key=Name&Tag.2.Key=Owner", "ec2 CreateTags",
			map[string][]string{"Tag.Key": {"Name", "Owner"}},
		},
		"JSON": {
			"/", "AmazonSQS.CreateQueue", `{"QueueName":"jobs","Attributes":{"DelaySeconds":"0"},"tags":[true]}`, "ec2 CreateQueue",
			map[string][]string{"QueueName": {"jobs"}, "Attributes.DelaySeconds": {"0"}, "tags": {"true"}},
		},
		"XML": {
			"/bucket?versioning", "", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>", "ec2 PUT versioning",
			map[string][]string{"Status": {"Enabled"}},
		},
		"CBOR": {
			"/service/GraniteServiceVersion20100801/operation/PutMetricAlarm", "", "\xa1\x69AlarmName\x64cpu1", "ec2 PutMetricAlarm",
			map[string][]string{"AlarmName": {"cpu1"}},
		},
	} {
		t.Run(what, func(t *testing.T) {
			request := httptest.NewRequestWithContext(t.Context(), http.MethodPut, c.path, strings.NewReader(c.body))
			request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20261129/us-east-1/ec2/aws4_request, Signature=x")
			request.Header.Set("X-Amz-Target", c.target)
			r := recorder{writes: writes{}}
			r.see(request, []byte(c.body))
			require.Equal(t, writes{c.operation: c.parameters}, r.taken())
		})
	}
}
