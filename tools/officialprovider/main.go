// Command pulumi-resource-aws lets a Pulumi engine use the official Terraform AWS provider, without the Pulumi plugin
// that is built from it: it runs that provider as a child and bridges it, under the names of pulumi-aws v6.
//
// TAPSTACK_TERRAFORM_PROVIDER names the provider's executable, and TAPSTACK_SDK_NAMES a file with the names. Nothing of
// it is part of the product: tests hold lib/awsprovider against it.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/proto"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"
	"github.com/pulumi/pulumi/pkg/v3/resource/provider"
	rpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

func main() {
	// The child ends with the thread that started it, so that must be one that lasts.
	runtime.LockOSThread()
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	names, err := readNames(os.Getenv("TAPSTACK_SDK_NAMES"))
	if err != nil {
		return err
	}
	child, stop, err := start(os.Getenv("TAPSTACK_TERRAFORM_PROVIDER"), names)
	if err != nil {
		return err
	}
	defer stop()
	go func() {
		endWithInput(os.Stdin)
		stop()
		os.Exit(0)
	}()
	info, err := describe(proto.New(ctx, child), names)
	if err != nil {
		return err
	}
	return provider.Main("aws", func(host *provider.HostClient) (rpc.ResourceProviderServer, error) {
		// The engine asks for no schema of a provider whose program is written in Go.
		metadata := tfbridge.ProviderMetadata{PackageSchema: []byte("{}")}
		if host == nil {
			return tfbridge.NewProviderServer(ctx, nil, info, metadata)
		}
		return tfbridge.NewProviderServer(ctx, host, info, metadata)
	})
}

// endWithInput waits for the end of a pipe, by which a starter that is not an engine holds this process. An engine
// gives none.
func endWithInput(input *os.File) {
	if info, err := input.Stat(); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		select {}
	}
	_, _ = io.Copy(io.Discard, input)
}

func readNames(path string) (sdkNames, error) {
	var names sdkNames
	content, err := os.ReadFile(path)
	if err != nil {
		return names, fmt.Errorf("reading the SDK's names (TAPSTACK_SDK_NAMES): %w", err)
	}
	if err := json.Unmarshal(content, &names); err != nil {
		return names, fmt.Errorf("reading the SDK's names from %s: %w", path, err)
	}
	return names, nil
}
