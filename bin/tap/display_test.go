package main

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tapstack/lib/lifecycle"
	"tapstack/lib/load"
	"tapstack/lib/session"
	"tapstack/lib/verify"
)

func TestWithoutATerminalProgressIsPlainLines(t *testing.T) {
	var out bytes.Buffer
	d := newDisplay(&out, true)
	d.Begin(session.Up, 3)
	queue := lifecycle.Step{Op: "create", Type: "aws:sqs/queue:Queue", Name: "payment-jobs", URN: "1"}
	topic := lifecycle.Step{Op: "create", Type: "aws:sns/topic:Topic", Name: "payment-alerts", URN: "2"}
	d.Started(queue)
	d.Started(topic)
	d.Done(queue)
	d.Done(lifecycle.Step{Op: "same", Type: "aws:ec2/vpc:Vpc", Name: "vpc", URN: "3"})
	d.Diagnostic(lifecycle.Diagnostic{Severity: "error", Type: topic.Type, Name: topic.Name, Message: "denied"})
	d.Diagnostic(lifecycle.Diagnostic{Severity: "info", Message: "not shown"})
	d.Failed(topic)
	d.End("", errors.New("as told elsewhere"))

	require.Regexp(t, `^up         1/3  created aws:sqs/queue:Queue payment-jobs
error: aws:sns/topic:Topic payment-alerts: denied
up         failed +0.0 s
$`, out.String())
	require.NotContains(t, out.String(), "\x1b")
}

func TestWithoutProgressOnlyTheEndOfAPhaseIsShown(t *testing.T) {
	var out bytes.Buffer
	d := newDisplay(&out, false)
	d.Begin(session.Up, 1)
	d.Done(lifecycle.Step{Op: "create", Type: "aws:sqs/queue:Queue", Name: "payment-jobs", URN: "1"})
	d.End("1 created", nil)
	require.Regexp(t, `^up +done +0.0 s  1 created\n$`, out.String())
}

func TestAPreviewListsNoResourceAsDone(t *testing.T) {
	var out bytes.Buffer
	d := newDisplay(&out, true)
	d.Begin(session.Preview, 0)
	d.Done(lifecycle.Step{Op: "create", Type: "aws:sqs/queue:Queue", Name: "payment-jobs", URN: "1"})
	require.Empty(t, out.String())
}

func TestAFailedCheckIsShownWhenItFails(t *testing.T) {
	var out bytes.Buffer
	d := newDisplay(&out, true)
	d.Begin(session.Verify, 2)
	d.Checked(verify.Result{ID: "queue.retention", Status: verify.Passed})
	d.Checked(verify.Result{ID: "queue.dlq-retention", Status: verify.Failed, Reason: "expected 7 days, saw 14"})
	require.Equal(t, "failed: queue.dlq-retention: expected 7 days, saw 14\n", out.String())
}

// The live display is driven here without a terminal, to see that it neither blocks nor loses lines.
func TestTheLiveLineGivesWayToTheLastLineOfThePhase(t *testing.T) {
	var out bytes.Buffer
	d := newDisplay(&out, true)
	d.live, d.lines = true, false
	d.Begin(session.Up, 2)
	for _, urn := range []string{"1", "2"} {
		step := lifecycle.Step{Op: "create", Name: "thing-" + urn, URN: urn}
		d.Started(step)
		require.Contains(t, d.status(), "thing-"+urn)
		d.Done(step)
	}
	require.Contains(t, d.status(), "2/2")
	d.Note("in between")
	d.End("2 created", nil)
	require.Contains(t, out.String(), "in between\n")
	require.Regexp(t, `up +done +0\.\d s  2 created\n$`, out.String())
	d.abort()
}

func TestTheEnginesOwnResourcesDoNotCountAsMade(t *testing.T) {
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

func TestALoadIsToldEveryFewSecondsWhereThereIsNoTerminal(t *testing.T) {
	var out bytes.Buffer
	d := newDisplay(&out, true)
	d.Begin(session.Load, 12_000)
	for now := time.Duration(0); now < 12*time.Second; now += 200 * time.Millisecond {
		d.Loaded(load.Snapshot{Elapsed: now, Acknowledged: int(now.Seconds()), Dropped: 1, Latency: load.Percentiles{P50: 3.4, P99: 20}})
	}
	require.Equal(t, `load       5.0 s  5 acknowledged, 0 failed, 0 refused, 1 dropped, p99 20 ms, p50 3 ms, 0 in flight
load       10.0 s  10 acknowledged, 0 failed, 0 refused, 1 dropped, p99 20 ms, p50 3 ms, 0 in flight
`, out.String())
}
