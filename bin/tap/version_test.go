package main

import (
	"encoding/json"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/lifecycle/cli"
	"tapstack/lib/target"
)

func TestTheVersionIsToldWithThoseOfWhatTapRuns(t *testing.T) {
	code, stdout, stderr := tap(t, "version")
	require.Equal(t, exitFine, code, stderr)
	assert.Regexp(t, `^tap \S+.*\ngo `+runtime.Version()+`\npulumi `+cli.Version+`\nmoto `+target.MotoVersion+`\n$`, stdout)
	code, flag, _ := tap(t, "--version")
	require.Equal(t, exitFine, code)
	assert.Equal(t, stdout, flag)

	for _, args := range [][]string{{"version"}, {"--version"}} {
		code, stdout, _ := tap(t, append(args, "--output", "json")...)
		require.Equal(t, exitFine, code)
		var told versions
		require.NoError(t, json.Unmarshal([]byte(stdout), &told))
		assert.Equal(t, cli.Version, told.Pulumi)
		code, _, stderr := tap(t, append(args, "--output", "xml")...)
		require.Equal(t, exitUsage, code)
		assert.Contains(t, stderr, `unknown --output "xml"`)
	}
	code, _, _ = tap(t, "demo", "--version")
	assert.Equal(t, exitUsage, code)
}

func TestARevisionThatWasChangedIsMarked(t *testing.T) {
	built := versionsOf(&debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123abc"}, {Key: "vcs.modified", Value: "true"},
	}})
	assert.Contains(t, built.String(), "tap v1.2.3, revision 0123abc, modified\n")
	assert.Contains(t, versionsOf(nil).String(), "tap (devel)\n")
	assert.Contains(t, versionsOf(&debug.BuildInfo{}).String(), "tap (devel)\n")
}
