package session

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
	"tapstack/lib/awsprovider"
	"tapstack/lib/lifecycle"
	"tapstack/lib/target"
)

// notes keeps what a session says.
type notes struct {
	Quiet
	lines []string
}

func (n *notes) Note(line string) { n.lines = append(n.lines, line) }

func TestADeploymentTellsItsCostOnAWSOnly(t *testing.T) {
	huge := map[string]any{"engine": "aurora-postgresql", "instanceClass": "db.x1.huge"}
	planned := lifecycle.Result{Planned: []lifecycle.Resource{
		{Type: "aws:ec2/natGateway:NatGateway", Name: "nat-2"},
		{Type: "aws:ec2/natGateway:NatGateway", Name: "nat-1"},
		{Type: "aws:rds/clusterInstance:ClusterInstance", Name: "writer", Inputs: huge},
	}}
	for name, want := range map[string][]string{
		target.Local: nil, target.Endpoint: nil, target.LocalStack: nil,
		target.AWS: {
			"cost, estimated: more than $0.23 for a run of 1h30m,",
			"  $0.09 an hour, $66 a month, before traffic, taxes and discounts;",
			"  list prices of us-east-1, last checked ",
			"  left out, since no price is known: writer",
		},
	} {
		said := &notes{}
		s, _ := New(t.Context(), Options{Progress: said})
		s.Cloud = &target.Target{Name: name, Config: aws.Config{Region: target.Region}}
		require.NoError(t, s.noteCost(planned))
		require.Len(t, said.lines, len(want), name)
		for index, start := range want {
			assert.True(t, strings.HasPrefix(said.lines[index], start), "%q", said.lines[index])
		}
	}
}

func TestTheLocalProviderServesEmulatorsOnly(t *testing.T) {
	for name, c := range map[string]struct {
		target   string
		official bool
		local    bool
	}{
		"an emulator":                            {target.Local, false, true},
		"an emulator with the official provider": {target.Local, true, false},
		"a real account":                         {target.AWS, false, false},
	} {
		s, _ := New(t.Context(), Options{Official: c.official, Suffix: "dev", Location: lifecycle.InFolder(lib.ProjectName, t.TempDir())})
		s.Cloud = &target.Target{Name: c.target}
		_, local := s.stackOptions().Provider.(*awsprovider.Plugin)
		assert.Equal(t, c.local, local, name)
		assert.Equal(t, c.local, s.stackOptions().Provider != nil, name)
	}
}

func TestCleaningUpOutlivesAnInterruptAndIsBounded(t *testing.T) {
	for _, name := range target.Names() {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(lifecycle.ErrInterrupted)
		s, ctx := New(ctx, Options{Target: target.Options{Name: name}})
		ctx, stop := s.CleanupContext(ctx)
		require.NoError(t, ctx.Err())
		deadline, bounded := ctx.Deadline()
		require.True(t, bounded)
		assert.Greater(t, time.Until(deadline), 5*time.Minute, name)
		stop()
	}
}

func TestAStackKeepsItsRunAndExpiryUntilToldOtherwise(t *testing.T) {
	configure := func(o Options, settings Settings) map[string]string {
		settings.Assume = true
		assumed, err := o.Configure(t.Context(), settings)
		require.NoError(t, err)
		require.Len(t, assumed, len(testValues))
		return o.Config
	}
	o := Options{Suffix: "dev", Target: target.Options{Name: target.Local}, Location: lifecycle.InFolder(lib.ProjectName, t.TempDir())}
	stays := configure(o, Settings{})
	_, told := lib.RunStart(stays[lib.ConfigRun])
	assert.True(t, told)
	assert.Empty(t, stays[lib.ConfigExpires])

	of := map[string]string{lib.ConfigRun: stays[lib.ConfigRun], lib.ConfigExpires: lib.NeverExpires}
	kept := configure(o, Settings{Given: of, Fresh: true})
	assert.Equal(t, stays[lib.ConfigRun], kept[lib.ConfigRun])
	assert.Equal(t, lib.NeverExpires, kept[lib.ConfigExpires])

	for _, settings := range []Settings{{Fresh: true}, {TTL: time.Hour}} {
		expires, err := lib.ParseExpiry(configure(o, settings)[lib.ConfigExpires])
		require.NoError(t, err)
		assert.True(t, expires.After(time.Now()), "a new stack that is not to stay, or one with a time to live")
	}
}
