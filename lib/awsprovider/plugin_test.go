package awsprovider

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	p "github.com/pulumi/pulumi-go-provider"
	rpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func TestAPluginIsClosedThoughACallOfAKilledEngineHangs(t *testing.T) {
	t.Parallel()
	begun, over := make(chan struct{}), make(chan struct{})
	defer close(over)
	plugin := NewPlugin(aws.Config{Region: "us-east-1"}).Watch(func(provider p.Provider) p.Provider {
		provider.CheckConfig = func(context.Context, p.CheckRequest) (p.CheckResponse, error) {
			close(begun)
			<-over // the cloud does not answer
			return p.CheckResponse{}, nil
		}
		return provider
	})
	ports, err := plugin.Attach(t.Context())
	require.NoError(t, err)
	engine, err := grpc.NewClient(fmt.Sprintf("127.0.0.1:%d", ports["aws"]), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	go func() {
		_, _ = rpc.NewResourceProviderClient(engine).CheckConfig(t.Context(), &rpc.CheckRequest{Urn: "urn:pulumi:dev::toy::pulumi:providers:aws::aws"})
	}()
	<-begun
	require.NoError(t, engine.Close())
	closed := make(chan error, 1)
	go func() { closed <- plugin.Close() }()
	select {
	case err := <-closed:
		require.NoError(t, err)
	case <-time.After(closeLimit + 10*time.Second):
		require.Fail(t, "it waits for the call")
	}
}
