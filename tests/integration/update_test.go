package integration

import (
	"context"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"tapstack/lib"
)

// update changes the configuration of the running platform as operations would: another image, other limits, more time to
// live. Nothing that holds data or an address may be replaced on the way, and the whole specification must hold again.
func (p *platform) update(ctx context.Context, t *testing.T) {
	p.reopen(ctx, t, map[string]string{
		lib.ConfigPaymentAPIImage:       "123456789012.dkr.ecr.us-east-1.amazonaws.com/payment-api:1.1.0",
		"apiMaxCount":                   "15",
		"cpuTargetPercent":              "55",
		"apiTimeoutSeconds":             "45",
		"queueVisibilityTimeoutSeconds": "600",
		"dbBackupRetentionDays":         "21",
		lib.ConfigExpires:               "2126-01-01T00:00:00Z",
	})
	planned, err := p.Preview(ctx)
	require.NoError(t, err, "preview of the update")
	replaced := map[string]bool{}
	for _, step := range planned.Changed {
		if step.Op != "update" {
			replaced[step.Type] = true
		}
	}
	require.Equal(t, map[string]bool{"aws:ecs/taskDefinition:TaskDefinition": true}, replaced,
		"a new image is a new revision of its task definition; everything else is changed in place: %v", steps(planned))
	updated, err := p.Up(ctx, planned)
	require.NoError(t, err, "update")
	t.Logf("updated %d resources in %s", updated.Altered(), updated.Duration)

	t.Run("the specification holds", func(t *testing.T) { p.verify(ctx, t) })
	p.steady(ctx, t)
}

// reopen opens the stack again, with some of its configuration changed.
func (p *platform) reopen(ctx context.Context, t *testing.T, changes map[string]string) {
	t.Helper()
	p.Stack.Close()
	p.Stack, p.options.Cloud = nil, p.Cloud
	maps.Copy(p.options.Config, changes)
	p.Session = openSession(ctx, t, p.options)
}
