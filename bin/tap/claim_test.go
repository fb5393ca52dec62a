package main

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"tapstack/lib/process/processtest"
	"tapstack/lib/target"
)

// TestOfTwoOperatorsOnOneSuffixOneDeploys has two state folders deploy the same stack into one account at the same moment.
func TestOfTwoOperatorsOnOneSuffixOneDeploys(t *testing.T) {
	processtest.SkipIfShort(t)
	needsProcesses(t)
	opened, err := target.Open(t.Context(), target.Options{Name: target.Local})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, opened.Close()) })
	flags := []string{"--target", "endpoint", "--endpoint", opened.Endpoint, "--suffix", "same", "--no-progress"}
	here, there := t.TempDir(), t.TempDir()
	codes, stderrs := make([]int, 2), make([]string, 2)
	var group sync.WaitGroup
	for i, dir := range []string{here, there} {
		group.Go(func() { codes[i], _, stderrs[i] = tapAnyhow(dir, append([]string{"up"}, flags...)...) })
	}
	group.Wait()
	won, lost, told := here, there, stderrs[1]
	if codes[0] != exitFine {
		won, lost, told = there, here, stderrs[0]
	}
	require.ElementsMatch(t, []int{exitFine, exitFailed}, codes, strings.Join(stderrs, "\n"))
	require.Contains(t, told, "stack same is in this account already, of another state: that of ")
	require.Contains(t, told, ", in "+won+"/")
	require.Contains(t, told, "Nothing was changed. Go on with that folder (--state-dir)")
	require.Contains(t, told, " recover --target endpoint ")
	require.Contains(t, told, "--older-than 0s --ignore-expiry --yes removes that.")
	_, stderr := tapIn(t, lost, exitFailed, append(flags, "outputs")...)
	require.Contains(t, stderr, "stack same does not exist on target endpoint", "the refused one leaves no state")

	stdout, _ := tapIn(t, won, exitFine, append(flags, "up")...)
	require.Contains(t, stdout, "No changes.", "the refused one has changed nothing")
	tapIn(t, won, exitFine, append(flags, "verify")...)
	stdout, _ = tapIn(t, lost, exitFailed, append(flags, "prove")...)
	require.Contains(t, stdout, "parameter /payment/same/state (", "who looks without the state is told of the claim")
	stdout, _ = tapIn(t, lost, exitFailed, append(flags, "sweep", "--older-than", "0s", "--ignore-expiry")...)
	require.Regexp(t, `would delete +parameter /payment/same/state +run `, stdout)

	stdout, _ = tapIn(t, won, exitFine, append(flags, "destroy")...)
	require.Contains(t, stdout, "Nothing is left.")
	stdout, _ = tapIn(t, lost, exitFine, append(flags, "prove")...)
	require.Equal(t, "Nothing is left.\n", stdout)
}
