package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"tapstack/lib/verify"
)

func TestTheOneReasonOfManyFailuresIsPrintedLast(t *testing.T) {
	var out bytes.Buffer
	a := &app{stdout: &out}
	a.printReport(verify.Report{
		Counts:  verify.Counts{Total: 1, Failed: 1},
		Problem: "the stack is in account 1, region a; asked was account 2, region b",
		Results: []verify.Result{{ID: "network.vpc", Says: "a VPC", Status: verify.Failed, Reason: "there is no VPC"}},
	}, false)
	require.Contains(t, out.String(), "problem  the stack is in account 1, region a; asked was account 2, region b\n0 passed, 1 failed, 0 not observable here, of 1 checks\n")
}
