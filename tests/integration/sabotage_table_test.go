package integration

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tapstack/lib/verify"
)

var update = flag.Bool("update", false, "write lib/verify/sabotage.txt from the table of sabotages")

// sabotageList is the table as lib/verify embeds it and `tap verify --list` counts it.
var sabotageList = filepath.Join("..", "..", "lib", "verify", "sabotage.txt")

func TestEveryCheckHasASabotage(t *testing.T) {
	known := map[string]bool{}
	for _, c := range verify.Checks() {
		known[c.ID] = false
	}
	for _, s := range sabotages() {
		for _, id := range s.sees() {
			_, exists := known[id]
			require.True(t, exists, "%q of the sabotage %q is no check", id, s.Says)
		}
		known[s.Check] = true
	}
	var without []string
	for id, sabotaged := range known {
		if !sabotaged {
			without = append(without, id)
		}
	}
	slices.Sort(without)
	require.Empty(t, without, "checks without a sabotage")
}

func TestEverySabotageIsWhole(t *testing.T) {
	said := map[string]bool{}
	for _, s := range sabotages() {
		require.NotEmpty(t, s.Says, "%s", s.Check)
		require.False(t, said[s.Check+s.Says], "%s: %q is there twice", s.Check, s.Says)
		said[s.Check+s.Says] = true
		require.NotContains(t, s.Says, "\t")
		require.NotEqual(t, s.Do == nil, s.Answer == nil, "%s: %q changes either the cloud or its answer", s.Check, s.Says)
		require.Equal(t, s.Answer != nil, s.Why != "", "%s: %q says why no call does it, if none does", s.Check, s.Says)
		require.False(t, s.Answer != nil && s.Unhealable != "", "%s: %q leaves nothing to heal", s.Check, s.Says)
		require.NotContains(t, s.Also, s.Check)
	}
	for id := range unobservable() {
		require.True(t, slices.ContainsFunc(sabotages(), func(s sabotage) bool { return s.Check == id && s.Do != nil }),
			"%s has an altered answer, but no mutation for targets that can show it", id)
	}
}

func TestTheListOfSabotagesIsTheTable(t *testing.T) {
	var lines []string
	for _, s := range sabotages() {
		lines = append(lines, s.Check+"\t"+s.Says+"\n")
	}
	slices.Sort(lines)
	want := strings.Join(lines, "")
	if *update {
		require.NoError(t, os.WriteFile(sabotageList, []byte(want), 0o600))
	}
	got, err := os.ReadFile(sabotageList)
	require.NoError(t, err)
	require.Equal(t, want, string(got), "run: go test ./tests/integration -run TheListOfSabotages -update")
}
