package integration

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go/middleware"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
	"tapstack/lib/awsprovider"
	"tapstack/lib/cloud"
	"tapstack/lib/target"
)

// TestADeploymentThatECSRollsBackFailsAndCanBeRepeated deploys an image that does not start, as ECS shows it: the service
// is steady again, on its former task definition.
func TestADeploymentThatECSRollsBackFailsAndCanBeRepeated(t *testing.T) {
	ctx, cancel := bounded(t, cleanUpTime)
	defer cancel()
	p := openPlatform(ctx, t, target.Options{Name: target.Local}, "rollback", t.TempDir())
	breaker := &circuitBreaker{service: "payment-api-rollback"}
	cfg := p.Cloud.Config.Copy()
	cfg.APIOptions = append(slices.Clone(cfg.APIOptions), breaker.watch)
	p.options.Provider = awsprovider.NewPlugin(cfg)
	up := func(changes map[string]string) error {
		p.reopen(ctx, t, changes)
		planned, err := p.Preview(ctx)
		require.NoError(t, err)
		_, err = p.Up(ctx, planned)
		return err
	}
	client := cloud.NewClients(p.Cloud.Config)
	active := func() []string {
		out := call(ctx, t, client.ECS.ListTaskDefinitions, &ecs.ListTaskDefinitionsInput{
			FamilyPrefix: aws.String("payment-api-rollback"), Status: types.TaskDefinitionStatusActive,
		})
		return out.TaskDefinitionArns
	}

	require.NoError(t, up(nil))
	require.Len(t, active(), 1)
	breaker.trips.Store(true)
	err := up(map[string]string{lib.ConfigPaymentAPIImage: "123456789012.dkr.ecr.us-east-1.amazonaws.com/payment-api:broken", "containerPort": "9443"})
	require.ErrorContains(t, err, "payment-api-rollback runs arn:aws:ecs:us-east-1:123456789012:task-definition/payment-api-rollback:1 and not")
	require.ErrorContains(t, err, "payment-api-rollback: 3 of 3 tasks run", "what ECS says of the service")
	require.ErrorContains(t, err, "deploy again")
	require.Len(t, active(), 2, "what the service runs must not be deregistered")

	breaker.trips.Store(false)
	require.NoError(t, up(map[string]string{lib.ConfigPaymentAPIImage: "123456789012.dkr.ecr.us-east-1.amazonaws.com/payment-api:1.0.0", "containerPort": "8443"}))
	require.Len(t, active(), 1)
	p.verify(ctx, t)
	p.steady(ctx, t)
	p.destroy(t)
}

// circuitBreaker stands between the provider and ECS. When it trips, a service never leaves its first task definition.
type circuitBreaker struct {
	service string
	trips   atomic.Bool
}

func (c *circuitBreaker) watch(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("circuit breaker", func(
		ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
	) (middleware.InitializeOutput, middleware.Metadata, error) {
		if update, ok := in.Parameters.(*ecs.UpdateServiceInput); ok && c.trips.Load() && strings.HasSuffix(*update.Service, c.service) {
			return middleware.InitializeOutput{Result: &ecs.UpdateServiceOutput{}}, middleware.Metadata{}, nil
		}
		return next.HandleInitialize(ctx, in)
	}), middleware.After)
}
