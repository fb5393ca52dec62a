package main

import (
	"runtime"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"tapstack/lib/target"
)

// parsed are the options of a command line.
func parsed(t *testing.T, line ...string) *options {
	t.Helper()
	o := &options{}
	flags := pflag.NewFlagSet("tap", pflag.ContinueOnError)
	o.bind(flags)
	o.bindDataPlane(flags)
	require.NoError(t, flags.Parse(line))
	return o
}

func TestADataPlaneThatIsLeftRunningRunsWhereItIsNotTheDefault(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the data plane needs Linux")
	}
	for _, line := range [][]string{
		{"--target", target.Local},
		{"--target", target.Endpoint, "--endpoint", "http://127.0.0.1:4566", "--data-plane=on"},
		{"--target", target.LocalStack, "--data-plane=on"},
	} {
		asked, err := parsed(t, line...).plane(true)
		require.NoError(t, err)
		require.NotNil(t, asked.Run, line)
		left, err := parsed(t, asked.Daemon[2:]...).plane(true) // after the program and its command
		require.NoError(t, err)
		require.NotNil(t, left.Run, "%s would run nothing", asked.Daemon)
	}
	none, err := parsed(t, "--target", target.Endpoint, "--endpoint", "http://127.0.0.1:4566").plane(true)
	require.NoError(t, err)
	require.Nil(t, none.Run)
}
