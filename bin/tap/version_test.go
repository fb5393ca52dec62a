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
	stdout, _ := tap(t, exitFine, "version")
	assert.Regexp(t, `^tap \S+.*\ngo `+runtime.Version()+`\npulumi `+cli.Version+`\nmoto `+target.MotoVersion+`\n$`, stdout)
	flag, _ := tap(t, exitFine, "--version")
	assert.Equal(t, stdout, flag)

	for _, args := range [][]string{{"version"}, {"--version"}} {
		stdout, _ := tap(t, exitFine, append(args, "--output", "json")...)
		var told versions
		require.NoError(t, json.Unmarshal([]byte(stdout), &told))
		assert.Equal(t, cli.Version, told.Pulumi)
		_, stderr := tap(t, exitUsage, append(args, "--output", "xml")...)
		assert.Contains(t, stderr, `unknown --output "xml"`)
	}
	tap(t, exitUsage, "demo", "--version")
}

func TestARevisionThatWasChangedIsMarked(t *testing.T) {
	built := versionsOf(&debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123abc"}, {Key: "vcs.modified", Value: "true"},
	}})
	assert.Contains(t, built.String(), "tap v1.2.3, revision 0123abc, modified\n")
	assert.Contains(t, versionsOf(nil).String(), "tap (devel)\n")
	assert.Contains(t, versionsOf(&debug.BuildInfo{}).String(), "tap (devel)\n")
}
