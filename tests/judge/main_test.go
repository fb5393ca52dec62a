// Package judge puts what the program deploys before judges that nobody here wrote, each in an environment of its own from
// PyPI: parliament reads the policies, cfn-lint and checkov the resources, Prowler the account, botocore's API models the requests.
// What they find is mended, or stands in accepted_test.go with its reason, or the test fails. docs/judges.md tells more.
//
// It runs by `make judge` only. Whatever a judge looks at has a planted fault besides, which it must find: one that finds
// nothing may just not have looked.
package judge

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// askedFor is set by make judge: to "all", or to the names of judges with commas between.
const askedFor = "TAPSTACK_JUDGES"

// table is what is told last, where a reader of a long log looks.
var table strings.Builder

func TestMain(m *testing.M) {
	code := m.Run()
	fmt.Print(table.String())
	os.Exit(code)
}

func TestWhatTheJudgesFindIsKnown(t *testing.T) {
	asked := os.Getenv(askedFor)
	if asked == "" {
		t.Skipf("%s is not set: make judge puts the stack before the judges", askedFor)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
	defer cancel()
	chosen, err := chooseJudges(asked)
	require.NoError(t, err)
	environments := make([]environment, len(chosen))
	for i, j := range chosen {
		environments[i], err = prepare(ctx, j)
		require.NoError(t, err, "make judge needs every judge; TAPSTACK_JUDGES=name,name leaves some out")
	}
	deployed := deploy(ctx, t)
	fmt.Fprintf(&table, "\n%-12s %-8s %-28s %9s %9s %7s\n", "judge", "version", "looked at", "findings", "accepted", "failed")
	for i, j := range chosen {
		t.Run(j.name, func(t *testing.T) {
			looked, found, err := j.run(ctx, environments[i], deployed)
			require.NoError(t, err)
			v := judgement(j.name, found, accepted)
			fmt.Fprintf(&table, "%-12s %-8s %-28s %9d %9d %7d\n", j.name, environments[i].version,
				fmt.Sprintf("%d %s", looked, j.what), len(v.accepted)+len(v.failed), len(v.accepted), len(v.failed))
			for _, planted := range j.planted {
				assert.Contains(t, v.planted, planted, "the fault that was planted is not found: does the judge look?")
			}
			for _, f := range v.failed {
				assert.Fail(t, "a finding that is neither mended nor accepted", "%s", f)
			}
			for _, stale := range v.stale {
				assert.Fail(t, "an accepted finding that is none any more", "%s", stale)
			}
		})
	}
}
