// Package bridge runs the official Terraform AWS provider for tests: tools/officialprovider, which gives it to an engine,
// is built into the cache folder, and the provider is taken from a filesystem mirror of Terraform.
package bridge

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/blang/semver"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/integration"
	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"
	"github.com/stretchr/testify/require"

	"tapstack/lib/awsprovider"
	"tapstack/lib/cache"
	"tapstack/lib/lifecycle/cli"
)

// version of the Terraform AWS provider, which is the one that pulumi-aws v6.83.2 is built from.
const version = "5.100.0"

// mirrorVariable names a folder that `terraform providers mirror` has filled.
const mirrorVariable = "TAPSTACK_TERRAFORM_MIRROR"

// Binary is the bridge to the official provider, ready to be started.
type Binary struct{ bridge, provider, names string }

// whyNot is the reason for which no test had the official provider.
var whyNot string

// WhyNot is the reason for which tests were skipped, empty where none was. A reader of a long log looks at its end.
func WhyNot() string { return whyNot }

// Prepare finds and builds the official provider, once, or skips the test where no mirror has it.
func Prepare(tb testing.TB) Binary {
	tb.Helper()
	b, err := once()
	require.NoError(tb, err)
	if b.provider == "" {
		whyNot = fmt.Sprintf("SKIPPED: no filesystem mirror has hashicorp/aws %[1]s, so nothing was tried with the official provider.\n"+
			"To make one: in a folder with the file main.tf that says\n"+
			"  terraform { required_providers { aws = { source = \"hashicorp/aws\", version = \"%[1]s\" } } }\n"+
			"run: terraform providers mirror DIR; then set %[2]s=DIR", version, mirrorVariable)
		tb.Skip(whyNot)
	}
	return b
}

var once = sync.OnceValues(func() (Binary, error) {
	provider, err := findProvider()
	if err != nil || provider == "" {
		return Binary{}, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute)
	defer cancel()
	spec, err := Served(ctx)
	if err != nil {
		return Binary{}, err
	}
	return build(ctx, provider, spec, func(s string) { fmt.Println(s) })
})

// findProvider looks for the Terraform provider in filesystem mirrors, unpacked or packed, and answers with its executable;
// with nothing where no mirror has it.
func findProvider() (string, error) {
	for _, mirror := range mirrors() {
		folder := filepath.Join(mirror, "registry.terraform.io", "hashicorp", "aws")
		platform := runtime.GOOS + "_" + runtime.GOARCH
		found, _ := filepath.Glob(filepath.Join(folder, version, platform, "terraform-provider-aws_v*"))
		if len(found) > 0 {
			return found[0], nil
		}
		packed := filepath.Join(folder, "terraform-provider-aws_"+version+"_"+platform+".zip")
		if _, err := os.Stat(packed); err == nil {
			return unpack(packed)
		}
	}
	return "", nil
}

// mirrors lists the folders that Terraform itself would look in, this project's variable first.
func mirrors() []string {
	home, _ := os.UserHomeDir()
	list := []string{os.Getenv(mirrorVariable)}
	configuration := os.Getenv("TF_CLI_CONFIG_FILE")
	if configuration == "" {
		configuration = filepath.Join(home, ".terraformrc")
	}
	if content, err := os.ReadFile(configuration); err == nil { //nolint:gosec // the path is of the user's own environment
		for _, block := range regexp.MustCompile(`(?s)filesystem_mirror\s*\{[^}]*?path\s*=\s*"([^"]*)"`).FindAllSubmatch(content, -1) {
			list = append(list, string(block[1]))
		}
	}
	list = append(list, filepath.Join(home, ".terraform.d", "plugins"), "/usr/share/terraform/plugins",
		"/usr/local/share/terraform/plugins", "/opt/tf-plugins")
	if list[0] == "" {
		list = list[1:]
	}
	return list
}

// unpack puts the provider of a packed mirror into the cache folder, once.
func unpack(path string) (string, error) {
	root, err := cache.Dir()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(root, "terraform-provider-aws-"+version)
	err = cache.Make(context.Background(), folder, func(_ context.Context, folder string) error {
		archive, err := zip.OpenReader(path)
		if err != nil {
			return err
		}
		defer func() { _ = archive.Close() }()
		for _, file := range archive.File {
			if strings.HasPrefix(file.Name, "terraform-provider-aws") {
				return extract(file, filepath.Join(folder, "terraform-provider-aws"))
			}
		}
		return errors.New("it holds no provider")
	})
	if err != nil {
		return "", fmt.Errorf("unpacking %s: %w", path, err)
	}
	return filepath.Join(folder, "terraform-provider-aws"), nil
}

func extract(file *zip.File, path string) error {
	source, err := file.Open()
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	target, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source) //nolint:gosec // the archive is of a mirror that the user has made
	return errors.Join(err, target.Close())
}

// build compiles tools/officialprovider into the cache folder, once for each of its versions, and writes the SDK's names.
func build(ctx context.Context, provider string, served schema.PackageSpec, notify func(string)) (Binary, error) {
	names, err := readSDK(ctx, served)
	if err != nil {
		return Binary{}, err
	}
	text, err := names.json()
	if err != nil {
		return Binary{}, err
	}
	root, err := cli.RepositoryRoot()
	if err != nil {
		return Binary{}, err
	}
	source := filepath.Join(root, "tools", "officialprovider")
	digest, err := digestOf(source)
	if err != nil {
		return Binary{}, err
	}
	cached, err := cache.Dir()
	if err != nil {
		return Binary{}, err
	}
	folder := filepath.Join(cached, "officialprovider-"+digest)
	err = cache.Make(ctx, folder, func(ctx context.Context, folder string) error {
		notify("Building tools/officialprovider, once. It takes about 2 minutes of processor time.")
		command := exec.CommandContext(ctx, "go", "build", "-C", source, "-trimpath", "-ldflags", "-s -w",
			"-gcflags=all=-l", "-o", filepath.Join(folder, "pulumi-resource-aws"), ".")
		command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GONOSUMDB=github.com/pulumi/terraform-plugin-sdk/v2")
		if output, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("building tools/officialprovider: %w\n%s", err, output)
		}
		return nil
	})
	if err != nil {
		return Binary{}, err
	}
	b := Binary{bridge: filepath.Join(folder, "pulumi-resource-aws"), provider: provider}
	b.names, err = keepNames(folder, text)
	return b, err
}

// keepNames writes the names into a file of their own. Other tests, of another version of the local provider too, may use the
// folder at the same time, and a plugin reads the file each time it is attached.
func keepNames(folder string, text []byte) (string, error) {
	path := filepath.Join(folder, fmt.Sprintf("names-%x.json", sha256.Sum256(text)))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	file, err := os.CreateTemp(folder, "names-*")
	if err != nil {
		return "", err
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Close()); err != nil {
		return "", errors.Join(err, os.Remove(file.Name()))
	}
	return path, os.Rename(file.Name(), path)
}

func digestOf(folder string) (string, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	for _, path := range files {
		content, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		_, _ = fmt.Fprintf(hash, "%s %d\n%s", filepath.Base(path), len(content), content)
	}
	return fmt.Sprintf("%x", hash.Sum(nil)[:6]), nil
}

// needs is what the bridge needs in its environment.
func (b Binary) needs() []string {
	return []string{"TAPSTACK_TERRAFORM_PROVIDER=" + b.provider, "TAPSTACK_SDK_NAMES=" + b.names}
}

// Install puts the official provider into a folder of an engine's plugin cache, for engines that start it themselves. Its child
// makes a socket in the folder for temporary files, whose path must be short.
func (b Binary) Install(folder string) error {
	needs := append(b.needs(), "TMPDIR="+os.TempDir())
	script := fmt.Sprintf("#!/bin/sh\nexec env '%s' '%s' \"$@\"\n", strings.Join(needs, "' '"), b.bridge)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, filepath.Base(b.bridge)), []byte(script), 0o700)
}

// Plugin serves the official provider to an engine, and the local random provider beside it. It implements lifecycle's
// Provider.
type Plugin struct {
	binary  Binary
	env     map[string]string
	local   *awsprovider.Plugin
	process *exec.Cmd
	leash   io.Closer
	said    *bytes.Buffer
}

// Plugin is a provider that reaches the cloud by the variables of its environment.
func (b Binary) Plugin(env map[string]string) *Plugin {
	return &Plugin{binary: b, env: env, local: awsprovider.NewPlugin(aws.Config{}), said: &bytes.Buffer{}}
}

// Said is what the provider wrote to its standard error. It is complete once the plugin is closed.
func (o *Plugin) Said() string { return o.said.String() }

// Attach starts the bridge, which announces its port.
func (o *Plugin) Attach(ctx context.Context) (map[string]int, error) {
	ports, err := o.local.Attach(ctx)
	if err != nil {
		return nil, err
	}
	o.process = exec.CommandContext(context.WithoutCancel(ctx), o.binary.bridge)
	// What the shell says of AWS is not of the cloud that the plugin is for.
	ours := slices.DeleteFunc(os.Environ(), func(variable string) bool { return strings.HasPrefix(variable, "AWS_") })
	o.process.Env = append(ours, o.binary.needs()...)
	for name, value := range o.env {
		o.process.Env = append(o.process.Env, name+"="+value)
	}
	o.process.Stderr = o.said
	// The bridge ends when its standard input does, so it does not outlive this process.
	if o.leash, err = o.process.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := o.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := o.process.Start(); err != nil {
		return nil, fmt.Errorf("starting the official provider: %w", err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the official provider ended at once: %w\n%s", err, o.said), o.Close())
	}
	if ports["aws"], err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		return nil, errors.Join(fmt.Errorf("the official provider announced %q", line), o.Close())
	}
	return ports, nil
}

// Close ends the bridge and with it its child.
func (o *Plugin) Close() error {
	if o.process != nil {
		_ = o.leash.Close()
		_ = o.process.Wait()
		o.process = nil
	}
	return o.local.Close()
}

// Served is the local provider's own account of its types. infer refuses to describe a function that answers with an id,
// so of functions there are the tokens alone.
func Served(ctx context.Context) (schema.PackageSpec, error) {
	var spec schema.PackageSpec
	provider, err := awsprovider.Assemble(aws.Config{}, awsprovider.Resources(), nil)
	if err != nil {
		return spec, err
	}
	server, err := integration.NewServer(ctx, "aws", semver.MustParse("6.0.0"), integration.WithProvider(provider))
	if err != nil {
		return spec, err
	}
	answer, err := server.GetSchema(p.GetSchemaRequest{})
	if err != nil {
		return spec, err
	}
	if err := json.Unmarshal([]byte(answer.Schema), &spec); err != nil {
		return spec, err
	}
	spec.Functions = map[string]schema.FunctionSpec{}
	for _, f := range awsprovider.Functions() {
		token, err := f.GetToken()
		if err != nil {
			return spec, err
		}
		spec.Functions["aws"+strings.TrimPrefix(token.String(), "pkg")] = schema.FunctionSpec{}
	}
	return spec, nil
}
