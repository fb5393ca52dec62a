package lifecycle

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheEngineSeesNeitherPulumiSettingsNorForeignCredentials(t *testing.T) {
	t.Setenv("PULUMI_ACCESS_TOKEN", "x")
	t.Setenv("AWS_PROFILE", "production")
	t.Setenv("GITHUB_TOKEN", "x")
	t.Setenv("HTTPS_PROXY", "http://proxy")
	own := newCommand(&Engine{}, map[string]string{"AWS_ACCESS_KEY_ID": "test"})
	for _, foreign := range []string{"PULUMI_ACCESS_TOKEN=x", "AWS_PROFILE=production", "GITHUB_TOKEN=x"} {
		require.NotContains(t, own.env, foreign)
	}
	require.Contains(t, own.env, "AWS_ACCESS_KEY_ID=test")
	require.Contains(t, own.env, "HTTPS_PROXY=http://proxy", "plugins are downloaded through it")
	users := newCommand(&Engine{}, nil)
	require.Contains(t, users.env, "AWS_PROFILE=production")
	require.NotContains(t, users.env, "PULUMI_ACCESS_TOKEN=x")
}
