package process_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tapstack/lib/process"
)

func TestAProgramGetsWhatItNeedsOfTheEnvironmentAndNothingElse(t *testing.T) {
	for name, value := range map[string]string{
		"TMPDIR": "/tmp/here", "LC_ALL": "C", "HTTP_PROXY": "http://one", "https_proxy": "http://two", "PIP_INDEX_URL": "https://mirror",
		"GITHUB_TOKEN": "secret", "PYTHONPATH": "/nowhere", "MOTO_PORT": "1", "AWS_PROFILE": "production", "PATHOLOGY": "no",
	} {
		t.Setenv(name, value)
	}
	alone := process.Environment()
	require.Subset(t, alone, []string{"TMPDIR=/tmp/here", "LC_ALL=C"})
	outside := process.Environment(append([]string{"PIP_*"}, process.Network...)...)
	require.Subset(t, outside, []string{"TMPDIR=/tmp/here", "HTTP_PROXY=http://one", "https_proxy=http://two", "PIP_INDEX_URL=https://mirror"})
	for _, kept := range []string{"GITHUB_TOKEN=secret", "PYTHONPATH=/nowhere", "MOTO_PORT=1", "AWS_PROFILE=production", "PATHOLOGY=no"} {
		require.NotContains(t, outside, kept)
	}
	require.NotContains(t, alone, "HTTP_PROXY=http://one")
}
