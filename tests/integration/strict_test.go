package integration

import (
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"tapstack/lib/awsprovider"
	"tapstack/lib/lifecycle"
)

func TestAnInputThatTheLocalProviderDoesNotImplementStopsThePreview(t *testing.T) {
	ctx := t.Context()
	cloud := openCloud(ctx, t)
	engine, err := lifecycle.FindEngine(ctx, func(s string) { t.Log(s) })
	require.NoError(t, err)
	stack, err := lifecycle.Open(ctx, engine, lifecycle.Options{
		Project: "strict", Stack: "strict", Dir: t.TempDir(), Env: cloud.Env(),
		Provider: awsprovider.NewPlugin(cloud.Config),
		Program: func(ctx *pulumi.Context) error {
			_, err := sqs.NewQueue(ctx, "queue", &sqs.QueueArgs{
				Name: pulumi.String("queue.fifo"), FifoQueue: pulumi.Bool(true),
			})
			return err
		},
	})
	require.NoError(t, err)
	defer stack.Close()

	_, err = stack.Preview(ctx)
	require.ErrorContains(t, err, "aws:sqs/queue:Queue")
	require.ErrorContains(t, err, `"fifoQueue"`)
}
