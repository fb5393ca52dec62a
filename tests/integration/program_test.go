package integration

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tapstack/lib"
	"tapstack/lib/awsprovider"
	"tapstack/lib/lifecycle/cli"
	"tapstack/lib/process/processtest"
	"tapstack/lib/target"
)

// TestAPlainPulumiUpDeploysTheProgram runs bin/stack as a user without tap does: the Pulumi CLI reads Pulumi.yaml, its Go
// language host builds and runs the program, and `pulumi up` and `pulumi destroy` do the rest.
func TestAPlainPulumiUpDeploysTheProgram(t *testing.T) {
	processtest.SkipIfShort(t)
	ctx := t.Context()
	root, err := cli.RepositoryRoot()
	require.NoError(t, err)
	host := languageHost(t, root)
	cloud := openCloud(ctx, t)
	engine, _, err := cli.Find(ctx, func(s string) { t.Log(s) })
	require.NoError(t, err)
	plugin := awsprovider.NewPlugin(cloud.Config)
	ports, err := plugin.Attach(ctx)
	require.NoError(t, err)
	defer func() { require.NoError(t, plugin.Close()) }()

	home, project := t.TempDir(), projectFolder(t, root)
	env := append(os.Environ(),
		"PATH="+filepath.Dir(host)+string(os.PathListSeparator)+os.Getenv("PATH"),
		"PULUMI_HOME="+home, "PULUMI_BACKEND_URL=file://"+home, "PULUMI_CONFIG_PASSPHRASE=plain", "PULUMI_SKIP_UPDATE_CHECK=true",
		fmt.Sprintf("PULUMI_DEBUG_PROVIDERS=aws:%d,random:%d", ports["aws"], ports["random"]),
		"ENVIRONMENT_SUFFIX=plain")
	for name, value := range cloud.Env() {
		env = append(env, name+"="+value)
	}
	pulumi := func(args ...string) string {
		t.Helper()
		command := exec.CommandContext(ctx, engine, append(args, "--non-interactive")...)
		command.Dir, command.Env = project, env
		var out bytes.Buffer
		command.Stdout, command.Stderr = &out, &out
		require.NoError(t, command.Run(), "pulumi %s\n%s", strings.Join(args, " "), &out)
		return out.String()
	}

	pulumi("stack", "init", "plain")
	for key, value := range defaults(target.Options{}, "plain", home).Config {
		if key != lib.ConfigEnvironmentSuffix { // taken from ENVIRONMENT_SUFFIX
			pulumi("config", "set", "--stack", "plain", key, value)
		}
	}
	for key, value := range cloud.ProviderConfig() {
		pulumi("config", "set", "--stack", "plain", key, value)
	}
	require.Contains(t, pulumi("up", "--yes", "--stack", "plain"), "queueUrl")
	pulumi("destroy", "--yes", "--stack", "plain")
	require.Empty(t, leaksOf(ctx, t, cloud.Config, "plain"))
}

// projectFolder is a folder with the project's Pulumi.yaml, where the CLI may write its stack configuration.
func projectFolder(t *testing.T, root string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "Pulumi.yaml"))
	require.NoError(t, err)
	moved := strings.Replace(string(content), "main: bin/stack", "main: "+filepath.Join(root, "bin", "stack"), 1)
	require.NotEqual(t, string(content), moved, "Pulumi.yaml names another program than bin/stack")
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "Pulumi.yaml"), []byte(moved), 0o600)) //nolint:gosec // a folder of this test
	return folder
}

// languageHost builds the Go language host, which an installed Pulumi brings along and the bare CLI does not.
func languageHost(t *testing.T, root string) string {
	t.Helper()
	host := filepath.Join(t.TempDir(), "pulumi-language-go")
	build := exec.CommandContext(t.Context(), "go", "build", "-C", filepath.Join(root, "tools", "languagehost"), "-o", host,
		"github.com/pulumi/pulumi/sdk/v3/go/pulumi-language-go")
	build.Env = processtest.Environ() // it may have modules to download
	out, err := build.CombinedOutput()
	require.NoError(t, err, "building the Go language host:\n%s", out)
	return host
}
