package integration

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ssm"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
	"tapstack/lib/awsprovider"
	"tapstack/lib/lifecycle"
	"tapstack/lib/target"
)

// BenchmarkEngine times the engine with its state written after every step, and once per operation as in a demo: the stack
// itself, and how deployment and removal grow from 150 to 600 resources. Growth is 4 where nothing is done more than once
// for each resource.
func BenchmarkEngine(b *testing.B) {
	ctx := context.Background()
	cloud := openCloud(ctx, b)
	engine, err := lifecycle.FindEngine(ctx, func(text string) { b.Log(text) })
	require.NoError(b, err)

	type times struct{ up, down time.Duration }
	run := func(b *testing.B, name string, ephemeral bool, program pulumi.RunFunc) times {
		b.Helper()
		stack, err := lifecycle.Open(ctx, engine, lifecycle.Options{
			Project: lib.ProjectName, Stack: name, Program: program, Dir: b.TempDir(), Ephemeral: ephemeral,
			Config: defaults(target.Options{}, name, "").Config, Env: cloud.Env(), ProviderConfig: cloud.ProviderConfig(),
			Provider: awsprovider.NewPlugin(cloud.Config),
		})
		require.NoError(b, err)
		defer stack.Close()
		deployed, err := stack.Up(ctx)
		require.NoError(b, err)
		destroyed, err := stack.Destroy(ctx)
		require.NoError(b, err)
		return times{deployed.Duration, destroyed.Duration}
	}
	whole := map[bool]times{}
	for _, ephemeral := range []bool{false, true} {
		b.Run(fmt.Sprintf("once-per-operation=%t", ephemeral), func(b *testing.B) {
			for range b.N {
				whole[ephemeral] = run(b, "bench", ephemeral, lib.Deploy)
				few, many := run(b, "few", ephemeral, parameters(150)), run(b, "many", ephemeral, parameters(600))
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(whole[ephemeral].up.Seconds(), "up-s")
				b.ReportMetric(whole[ephemeral].down.Seconds(), "destroy-s")
				b.ReportMetric(many.up.Seconds()/few.up.Seconds(), "up-growth")
				b.ReportMetric(many.down.Seconds()/few.down.Seconds(), "destroy-growth")
				if before, both := whole[false]; both && ephemeral {
					b.ReportMetric(whole[true].up.Seconds()/before.up.Seconds(), "up-ratio")
					b.ReportMetric(whole[true].down.Seconds()/before.down.Seconds(), "destroy-ratio")
				}
			}
		})
	}
}

// parameters is a program of so many resources that do not depend on each other.
func parameters(count int) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		for i := range count {
			name := fmt.Sprintf("/bench/%d/%d", count, i)
			_, err := ssm.NewParameter(ctx, name, &ssm.ParameterArgs{
				Name: pulumi.String(name), Type: pulumi.String("String"), Value: pulumi.String("value"),
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
}
