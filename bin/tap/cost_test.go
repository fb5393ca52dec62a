package main

import (
	"bytes"
	"encoding/json"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tapstack/lib/cost"
	"tapstack/lib/lifecycle"
	"tapstack/lib/process/processtest"
	"tapstack/lib/session"
)

// noAccount takes every way to AWS credentials away.
func noAccount(t *testing.T) {
	t.Helper()
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"} {
		t.Setenv(name, "") // brings it back after the test
		require.NoError(t, os.Unsetenv(name))
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

func TestCostPricesTheRealPlanWithoutAnAccount(t *testing.T) {
	processtest.SkipIfShort(t)
	noAccount(t)
	stateDir := t.TempDir()
	stdout, stderr := tapIn(t, stateDir, exitFailed, "cost", "--target", "aws", "--output", "json", "--no-progress",
		"--config", "allowedAccountIds=210987654321", "--max-month", "100")
	require.Regexp(t, `(?m)^a month costs \$\d+\.\d\d, more than the limit of \$100$`, stderr)
	var found struct {
		Planned, Assumed, Total struct{ Run, Hour, Month json.Number }
		Lines                   []struct {
			Group, Resource, Key, Assumption string
			Month                            json.Number
		}
		Missing  []any
		Warnings []string
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &found))
	require.Empty(t, found.Missing)
	// The sum that the tests of lib/cost work out by hand, without any alarms, here of the engine's own preview.
	month, isNumber := new(big.Rat).SetString(found.Planned.Month.String())
	require.True(t, isNumber)
	for _, line := range found.Lines {
		if line.Key == "alarm.standard" {
			alarms, isNumber := new(big.Rat).SetString(line.Month.String())
			require.True(t, isNumber)
			month.Sub(month, alarms)
		}
	}
	require.Equal(t, "866.0354", month.FloatString(4))
	require.Equal(t, "database", found.Lines[0].Group)
	require.NotContains(t, strings.Join(found.Warnings, "\n"), "no p", "all prices of the default stack are known and confirmed")
	entries, err := filepath.Glob(filepath.Join(stateDir, "*", "dev"))
	require.NoError(t, err)
	require.Empty(t, entries, "nothing is left of the preview")
}

func TestCostIsToldOfAnythingWrongBeforeItStarts(t *testing.T) {
	stdout, stderr := tap(t, exitUsage, "cost", "--for", "-1h", "--assume", "nat-gb=lots", "--max-run", "cheap", "--max-month", "-1", "--config", "x")
	require.Empty(t, stdout)
	for _, want := range []string{`--assume "nat-gb=lots" is not name=number`, `--max-run: "cheap"`, `--max-month: "-1"`, `--config "x"`} {
		require.Contains(t, stderr, want)
	}
	_, stderr = tap(t, exitUsage, "cost", "--for", "-1h", "--assume", "luck=1")
	require.Contains(t, stderr, "a run of -1h0m0s: it must last some time")
	require.Contains(t, stderr, `no assumption is called "luck": choose among nat-gb,`)
	_, stderr = tap(t, exitUsage, "preview", "--for", "1h")
	require.Contains(t, stderr, "unknown flag: --for")
}

func TestTheEstimateIsPrintedWithItsSumsAndWhatItLeavesOut(t *testing.T) {
	huge := map[string]any{"engine": "aurora-postgresql", "instanceClass": "db.x1.huge"}
	estimate, warnings, err := session.Estimate(lifecycle.Result{Planned: []lifecycle.Resource{
		{Type: "aws:ec2/natGateway:NatGateway", Name: "nat-2"},
		{Type: "aws:ec2/natGateway:NatGateway", Name: "nat-1"},
		{Type: "aws:ec2/vpc:Vpc", Name: "vpc"},
		{Type: "aws:rds/clusterInstance:ClusterInstance", Name: "writer", Inputs: huge},
		{Type: "aws:rds/clusterInstance:ClusterInstance", Name: "reader", Inputs: huge},
	}}, "us-east-1", cost.Options{Run: cost.PlannedRun})
	require.NoError(t, err)
	var out bytes.Buffer
	(&app{stdout: printed(&out)}).printEstimate(estimate, warnings)
	for _, want := range []string{
		`(?m)^  nat-1 and 1 more: NAT gateway +2  hour +0\.045 +0\.1800 +0\.0900 +65\.70$`,
		`(?m)^sum +0\.1800 +0\.0900 +65\.70$`,
		`(?m)^  nat-1 and 1 more: data through it \(nat-gb\) +4  GB +0\.045`,
		`(?m)^1 resource of 1 type cost nothing by themselves\.$`,
		`(?m)^warning: left out, since no price is known: reader, writer \(no price is known for instance class "db\.x1\.huge", aws:rds/`,
		`(?m)^In all: more than \$0\.23 for a run of 1h30m, \$0\.09 an hour, \$65\.93 a month of 730 hours\.$`,
	} {
		require.Regexp(t, want, out.String())
	}
	for line := range strings.SplitSeq(out.String(), "\n") {
		require.Equal(t, strings.TrimRight(line, " "), line)
	}
}
