package report

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"tapstack/lib/verify"
)

// recorded is a run against the local target after three things were broken by hand: the database was opened to the
// internet, the retention of a log group removed, and that of the dead-letter queue raised. Its firewall is switched off.
func recorded(t testing.TB) verify.Report {
	t.Helper()
	data, err := os.ReadFile("testdata/run.json")
	require.NoError(t, err)
	var run verify.Report
	require.NoError(t, json.Unmarshal(data, &run))
	return run
}

// excerpt is the recorded run with a few checks of every outcome.
func excerpt(t *testing.T) verify.Report {
	t.Helper()
	run := recorded(t)
	wanted := []string{
		"network.ingress-rules", "database.encrypted", "database.aws-managed-key", "alb.path-routing", "queue.retention",
		"queue.dlq-retention", "queue.redrive-allow", "logs.retention", "secrets.no-rotation", "waf.rules",
	}
	run.Results = slices.DeleteFunc(run.Results, func(r verify.Result) bool { return !slices.Contains(wanted, r.ID) })
	recount(&run)
	return run
}

func recount(run *verify.Report) {
	run.Counts = verify.Counts{Total: len(run.Results)}
	for _, r := range run.Results {
		switch r.Status {
		case verify.Passed:
			run.Counts.Passed++
		case verify.Failed:
			run.Counts.Failed++
		case verify.NotObservable:
			run.Counts.NotObservable++
		case verify.SwitchedOff:
			run.Counts.SwitchedOff++
		}
	}
}

// excerptOptions has a bullet of every status.
func excerptOptions() Options {
	return Options{
		Bullets: []verify.Bullet{
			{ID: "database.3", Section: "2. Database Layer", Text: "Enable encryption at rest using AWS managed KMS keys", Checks: []string{"database.encrypted", "database.aws-managed-key"}},
			{ID: "queue.1", Section: "5. Message Queue Infrastructure", Text: "Create SQS queue named 'payment-jobs'", Checks: []string{"queue.retention"}},
			{ID: "queue.3", Section: "5. Message Queue Infrastructure", Text: "Create dead-letter queue named 'payment-jobs-dlq' with 7-day retention", Checks: []string{"queue.dlq-retention", "queue.redrive-allow"}},
			{ID: "queue.4", Section: "5. Message Queue Infrastructure", Text: "Failed messages come from the main queue only", Checks: []string{"queue.redrive-allow"}},
			{ID: "waf.1", Section: "Beyond the brief", Text: "A web application firewall", Checks: []string{"waf.rules"}},
			{ID: "tags.1", Section: "8. Resource Tagging", Text: "Tag all resources with Environment='production'", Checks: []string{"tags.environment"}},
			{ID: "deliver.1", Section: "What to deliver", Text: "Complete Pulumi Go implementation in single tap_stack.go file", Elsewhere: "About the source: a unit test holds it."},
		},
		Sabotages: map[string][]string{"queue.dlq-retention": {"SetQueueAttributes MessageRetentionPeriod=1209600"}},
	}
}
