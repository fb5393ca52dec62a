package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tapstack/lib/target"
	"tapstack/lib/verify"
)

func TestActingOnARealAccountMustBeAgreedTo(t *testing.T) {
	t.Setenv(ciVariable, "")
	code, _, stderr := tap(t, "verify", "--target", target.AWS, "--act")
	require.Equal(t, exitUsage, code)
	require.Contains(t, stderr, "--yes")
}

func TestAListActsOnNothing(t *testing.T) {
	code, _, stderr := tap(t, "verify", "--list", "--act")
	require.Equal(t, exitUsage, code)
	require.Contains(t, stderr, "--list")
}

func TestARunWithoutActLeavesOutWhatActs(t *testing.T) {
	acting := len((&plan{act: true}).checks()) - len((&plan{}).checks())
	require.Len(t, (&plan{act: true}).checks(), len(verify.Checks()))
	require.Positive(t, acting)
	for _, c := range (&plan{}).checks() {
		require.False(t, c.Acts, c.ID)
	}
	code, stdout, _ := tap(t, "verify", "--list")
	require.Equal(t, exitFine, code)
	require.Contains(t, stdout, "(acts: --act)")
}
