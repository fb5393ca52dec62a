package lifecycle

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheEngineSeesNeitherPulumiSettingsNorForeignCredentials(t *testing.T) {
	t.Setenv("PULUMI_ACCESS_TOKEN", "x")
	t.Setenv("AWS_PROFILE", "production")
	own := newCommand(&Engine{}, map[string]string{"AWS_ACCESS_KEY_ID": "test"})
	require.NotContains(t, own.env, "PULUMI_ACCESS_TOKEN=x")
	require.NotContains(t, own.env, "AWS_PROFILE=production")
	require.Contains(t, own.env, "AWS_ACCESS_KEY_ID=test")
	require.Contains(t, newCommand(&Engine{}, nil).env, "AWS_PROFILE=production")
}
