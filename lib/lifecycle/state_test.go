package lifecycle

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheStateIsReadFromItsFile(t *testing.T) {
	f := folder(t.TempDir())
	file := f.state("tapstack", "dev")
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
	for name, it := range map[string]struct {
		content string
		urns    []string
		fails   bool
	}{
		"resources": {
			content: `{"version":3,"checkpoint":{"stack":"organization/tapstack/dev","latest":{"manifest":{"time":"2026-11-30T00:00:00Z"},` +
				`"resources":[{"urn":"urn:pulumi:dev::tapstack::aws:sqs/queue:Queue::jobs","custom":true,"type":"aws:sqs/queue:Queue"}]}}}`,
			urns: []string{"urn:pulumi:dev::tapstack::aws:sqs/queue:Queue::jobs"},
		},
		"a stack that was never deployed": {content: `{"version":3,"checkpoint":{"stack":"organization/tapstack/dev"}}`},
		"a later version":                 {content: `{"version":4,"features":["hooks"],"checkpoint":{}}`, fails: true},
		"an earlier one":                  {content: `{"version":2,"checkpoint":{}}`, fails: true},
		"cut short":                       {content: `{"version":3,"checkpoint":{"stack"`, fails: true},
		"nothing":                         {content: ``, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(file, []byte(it.content), 0o600))
			exported, err := f.export("tapstack", "dev")
			require.Equal(t, it.fails, err != nil, "%v: the CLI is asked", err)
			var urns []string
			for _, r := range exported.Deployment.Resources {
				urns = append(urns, string(r.URN))
			}
			require.Equal(t, it.urns, urns)
		})
	}
	require.NoError(t, os.Remove(file))
	_, err := f.export("tapstack", "dev")
	require.ErrorIs(t, err, fs.ErrNotExist)
}
