package integration

import (
	"context"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"tapstack/lib"
	"tapstack/lib/verify"
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
		"dbEngineVersion":               "17",
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
	require.Equal(t, map[string]bool{"aws:ecs/taskDefinition:TaskDefinition": true, "aws:rds/clusterParameterGroup:ClusterParameterGroup": true}, replaced,
		"a new image is a new revision of its task definition, another major version has another parameter group; everything else is changed in place: %v",
		steps(planned))
	updated, err := p.Up(ctx, planned)
	require.NoError(t, err, "update")
	t.Logf("updated %d resources in %s", updated.Altered(), updated.Duration)

	t.Run("the specification holds", func(t *testing.T) { p.verify(ctx, t) })
	p.steady(ctx, t)
}

// ports moves the containers of the running platform to another port and protocol, and back. What is in use is never let go
// of before what takes its place: only task definitions are replaced, which have revisions.
func (p *platform) ports(ctx context.Context, t *testing.T) {
	for _, to := range []map[string]string{
		{"containerPort": "9080", "containerProtocol": "HTTP"},
		{"containerPort": "8443", "containerProtocol": "HTTPS"},
	} {
		p.reopen(ctx, t, to)
		planned, err := p.Preview(ctx)
		require.NoError(t, err, "preview of %v", to)
		for _, step := range planned.Changed {
			if step.Type != "aws:ecs/taskDefinition:TaskDefinition" {
				require.Contains(t, []string{"create", "update", "delete"}, step.Op, "%v: %s %s", to, step.Type, step.Name)
			}
		}
		_, err = p.Up(ctx, planned)
		require.NoError(t, err, "up with %v", to)
		report, err := p.Verify(ctx, true)
		require.NoError(t, err)
		for _, r := range report.Results {
			if to["containerProtocol"] != "HTTP" || r.ID != "alb.tls-to-targets" { // which HTTP asks for
				require.NotEqual(t, verify.Failed, r.Status, "%v: %s: %s", to, r.ID, r.Reason)
			}
		}
		p.steady(ctx, t)
	}
}

// settled asks for what would cost a live stack its data, or all that stands on its network. Each is refused before anything
// is changed, and goes once it is allowed by name.
func (p *platform) settled(ctx context.Context, t *testing.T) {
	before, err := p.Stack.Outputs(ctx)
	require.NoError(t, err)
	p.reopen(ctx, t, map[string]string{"vpcCidr": "10.9.0.0/16", "availabilityZones": "us-east-1d,us-east-1e,us-east-1f", "dbName": "orders"})
	_, err = p.Preview(ctx)
	for _, key := range []string{"vpcCidr", "availabilityZones", "dbName"} {
		require.ErrorContains(t, err, key+": the stack was deployed with ")
	}

	p.reopen(ctx, t, map[string]string{"vpcCidr": "", "availabilityZones": "", lib.ConfigAllowReplace: "aurora-cluster"})
	planned, err := p.Preview(ctx)
	require.NoError(t, err, "what is allowed by name is planned")
	const all = "aurora-cluster,aurora-reader-1,aurora-reader-2,aurora-writer"
	_, err = p.Up(ctx, planned)
	require.ErrorContains(t, err, "--allow-replace "+all, "what goes with the cluster is named as well")
	now, err := p.Stack.Outputs(ctx)
	require.NoError(t, err)
	require.Equal(t, before, now, "nothing was changed")

	p.reopen(ctx, t, map[string]string{lib.ConfigAllowReplace: all})
	planned, err = p.Preview(ctx)
	require.NoError(t, err)
	_, err = p.Up(ctx, planned)
	require.NoError(t, err, "what is allowed is done: %v", steps(planned))
	delete(p.options.Config, lib.ConfigAllowReplace)
	p.reopen(ctx, t, nil)
	p.steady(ctx, t)
	t.Run("the specification holds", func(t *testing.T) { p.verify(ctx, t) })
}

// reopen opens the stack again, with some of its configuration changed.
func (p *platform) reopen(ctx context.Context, t *testing.T, changes map[string]string) {
	t.Helper()
	require.NoError(t, p.Close(), "closing the session, which has the stack's lock")
	maps.Copy(p.options.Config, changes)
	p.Session = openSession(ctx, t, p.options)
}
