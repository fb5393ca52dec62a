package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tapstack/lib/verify"
)

func TestTheListCountsBulletsChecksAndSabotages(t *testing.T) {
	stdout, stderr := tap(t, exitFine, "verify", "--list")
	require.Empty(t, stderr)
	for _, b := range verify.Brief() {
		require.Contains(t, stdout, b.Text)
	}
	for _, c := range verify.Checks() {
		require.Regexp(t, `(?m)^`+c.ID+` .*`, stdout)
	}
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	require.Regexp(t, fmt.Sprintf(`^%d bullets, %d checks, \d+ sabotages?, \d+ checks? without a sabotage$`, len(verify.Brief()), len(verify.Checks())), lines[len(lines)-1])
	require.Contains(t, stdout, "(acts: --act)")

	stdout, _ = tap(t, exitFine, "verify", "--list", "--output", "json")
	var s specification
	require.NoError(t, json.Unmarshal([]byte(stdout), &s))
	require.Len(t, s.Bullets, s.Counts.Bullets)
	require.Len(t, s.Checks, s.Counts.Checks)
	require.NotContains(t, stdout, "null", "lists are lists, even where they are empty")
}

func TestACheckWithoutASabotageIsCounted(t *testing.T) {
	checks := []verify.Check{{ID: "queue.named"}, {ID: "queue.retention"}, {ID: "vpc.zones"}}
	s := specify(nil, checks, map[string][]string{"queue.named": {"delete the queue"}, "vpc.zones": {"a", "b"}})
	require.Equal(t, specificationCounts{Checks: 3, Sabotages: 3, ChecksWithoutASabotage: 1}, s.Counts)
}

func TestAFailedCheckIsPrintedWithItsEvidence(t *testing.T) {
	var out bytes.Buffer
	a := &app{stdout: printed(&out)}
	a.printReport(verify.Report{
		Counts: verify.Counts{Total: 4, Failed: 2, NotObservable: 1, SwitchedOff: 1},
		Results: []verify.Result{
			{
				ID: "queue.retention", Says: "14 days", Status: verify.Failed, Reason: "wrong", Expected: "a fortnight",
				Actual: strings.Repeat("x", 500), ARN: "arn:aws:sqs:q", Observations: []verify.Observation{{OK: false}},
			},
			{ID: "logs.retention", Says: "30 days", Status: verify.Failed, Reason: "access denied", Expected: "seen", Actual: "seen", Observations: []verify.Observation{{OK: true}}},
			{ID: "ecs.running", Status: verify.NotObservable, Reason: "no tasks"},
			{ID: "waf.rules", Status: verify.SwitchedOff, Reason: "waf is configured to false"},
		},
	})
	require.Equal(t, strings.Join([]string{
		"not observable here  ecs.running: no tasks",
		"switched off  waf.rules: waf is configured to false",
		"failed  queue.retention: 14 days",
		"        expected  a fortnight",
		"        actual    " + strings.Repeat("x", evidenceLimit) + "…",
		"        ARN       arn:aws:sqs:q",
		"failed  logs.retention: 30 days",
		"        why       access denied",
		"0 passed, 2 failed, 1 not observable here, 1 switched off by configuration, of 4 checks",
		"",
	}, "\n"), out.String())
}

func TestTheOneReasonOfManyFailuresIsPrintedLast(t *testing.T) {
	var out bytes.Buffer
	a := &app{stdout: printed(&out)}
	a.printReport(verify.Report{
		Counts:  verify.Counts{Total: 1, Failed: 1},
		Problem: "the stack is in account 1, region a; asked was account 2, region b",
		Results: []verify.Result{{ID: "network.vpc", Says: "a VPC", Status: verify.Failed, Reason: "there is no VPC"}},
	})
	require.Contains(t, out.String(), "problem  the stack is in account 1, region a; asked was account 2, region b\n0 passed, 1 failed, 0 not observable here, 0 switched off by configuration, of 1 checks\n")
}
