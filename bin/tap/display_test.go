package main

import (
	"bytes"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"tapstack/lib/lifecycle"
	"tapstack/lib/verify"
)

func TestWithoutATerminalProgressIsPlainLines(t *testing.T) {
	var out bytes.Buffer
	d := newDisplay(&out, true)
	d.begin("up", 3)
	queue := lifecycle.Step{Op: "create", Type: "aws:sqs/queue:Queue", Name: "payment-jobs", URN: "1"}
	topic := lifecycle.Step{Op: "create", Type: "aws:sns/topic:Topic", Name: "payment-alerts", URN: "2"}
	d.Started(queue)
	d.Started(topic)
	d.Done(queue)
	d.Done(lifecycle.Step{Op: "same", Type: "aws:ec2/vpc:Vpc", Name: "vpc", URN: "3"})
	d.Diagnostic(lifecycle.Diagnostic{Severity: "error", Type: topic.Type, Name: topic.Name, Message: "denied"})
	d.Diagnostic(lifecycle.Diagnostic{Severity: "info", Message: "not shown"})
	d.Failed(topic)
	require.ErrorContains(t, d.fail(errors.New("as it was")), "as it was")

	require.Regexp(t, `^up         1/3  created aws:sqs/queue:Queue payment-jobs
error: aws:sns/topic:Topic payment-alerts: denied
up         failed +0.0 s
$`, out.String())
	require.NotContains(t, out.String(), "\x1b")
}

func TestWithoutProgressOnlyTheEndOfAPhaseIsShown(t *testing.T) {
	var out bytes.Buffer
	d := newDisplay(&out, false)
	d.begin("up", 1)
	d.Done(lifecycle.Step{Op: "create", Type: "aws:sqs/queue:Queue", Name: "payment-jobs", URN: "1"})
	d.done("1 created")
	require.Regexp(t, `^up +done +0.0 s  1 created\n$`, out.String())
}

func TestAPreviewListsNoResourceAsDone(t *testing.T) {
	var out bytes.Buffer
	d := newDisplay(&out, true)
	d.begin(titlePreview, 0)
	d.Done(lifecycle.Step{Op: "create", Type: "aws:sqs/queue:Queue", Name: "payment-jobs", URN: "1"})
	require.Empty(t, out.String())
}

func TestAFailedCheckIsShownWhenItFails(t *testing.T) {
	var out bytes.Buffer
	d := newDisplay(&out, true)
	d.begin("verify", 2)
	d.checked(verify.Result{ID: "queue.retention", Status: verify.Passed})
	d.checked(verify.Result{ID: "queue.dlq-retention", Status: verify.Failed, Reason: "expected 7 days, saw 14"})
	require.Equal(t, "failed: queue.dlq-retention: expected 7 days, saw 14\n", out.String())
}

// The live display is driven here without a terminal, to see that it neither blocks nor loses lines.
func TestTheLiveLineGivesWayToTheLastLineOfThePhase(t *testing.T) {
	var out bytes.Buffer
	d := newDisplay(&out, true)
	d.live, d.lines = true, false
	d.begin("up", 2)
	for _, urn := range []string{"1", "2"} {
		step := lifecycle.Step{Op: "create", Name: "thing-" + urn, URN: urn}
		d.Started(step)
		require.Contains(t, d.status(), "thing-"+urn)
		d.Done(step)
	}
	require.Contains(t, d.status(), "2/2")
	d.note("in between")
	d.done("2 created")
	require.Contains(t, out.String(), "in between\n")
	require.Regexp(t, `up +done +0\.\d s  2 created\n$`, out.String())
	d.abort()
}

func TestResultsAreSummedUpInWords(t *testing.T) {
	mixed := lifecycle.Result{Changes: map[string]int{"create": 2, "update": 1, "same": 140}}
	require.Equal(t, "2 created, 1 updated, 140 unchanged", changesText(mixed, ""))
	require.Equal(t, "2 to create, 1 to update, 140 unchanged", changesText(mixed, "to "))
	same := lifecycle.Result{Changes: map[string]int{"same": 143}}
	require.Equal(t, "no changes, 143 resources", changesText(same, "to "))
	require.Equal(t, "no drift in 143 resources", driftText(same))
	require.Equal(t, "3 of 143 resources drifted", driftText(mixed))
	require.Equal(t, 1, made(lifecycle.Result{Changed: []lifecycle.Step{
		{Op: "create", Type: rootType}, {Op: "create", Type: "pulumi:providers:aws"}, {Op: "create", Type: "aws:ec2/vpc:Vpc"},
	}}))
}

func TestWhatIsInFlightIsNamedAsFarAsThereIsRoom(t *testing.T) {
	names := []string{"vpc", "alb-logs", "payment-jobs"}
	for room, want := range map[int]string{
		40: "vpc, alb-logs, payment-jobs",
		17: "vpc, alb-logs +1",
		10: "vpc +2",
		3:  "",
		-5: "",
	} {
		require.Equal(t, want, inFlightText(names, room), "room for %d", room)
	}
}
