package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/gruntwork-io/terratest/modules/random"
	"github.com/stretchr/testify/require"

	"tapstack/lib/cloud"
	"tapstack/lib/dataplane"
	"tapstack/lib/session"
	"tapstack/lib/target"
	"tapstack/lib/verify"
	"tapstack/tests/reference"
)

// What the API does in place of the reference services: how long it takes to become ready, and how long for a request.
const (
	startsIn = "1.5"
	worksFor = "0.8"
)

// TestSabotageOfWhatRuns has a pair of services in Python run what is deployed, holds them to the specification, and then plays
// for real the sabotages that TestSabotage, where nothing runs, plays by altered answers.
func TestSabotageOfWhatRuns(t *testing.T) {
	ctx, cancel := bounded(t, cleanUpTime)
	defer cancel()
	p := newRunningScene(ctx, t)
	p.raise(ctx, t)
	t.Run("programs in another language run in place of the reference services", func(t *testing.T) { p.sendsJob(ctx, t) })
	for _, s := range append(chosenSabotages(t), programSabotages()...) {
		// What deletes instances of the database is undone by up alone.
		if s.Do == nil || unobservable()[s.Check] == nil || p.healthy[s.Check].Status != verify.Passed || s.On == "reader 1" {
			continue
		}
		o := &outcome{sabotage: s}
		started := time.Now()
		sound := p.play(ctx, o)
		o.notes = append(o.notes, time.Since(started).Round(time.Millisecond).String())
		t.Run(o.Check+": "+o.Says, o.tell)
		require.True(t, sound, "the stack is not sound again after: %s", o.Says)
	}
}

// runningScene is a stack whose tasks run.
type runningScene struct {
	platform
	healthy map[string]verify.Result
	who     *saboteur
}

func newRunningScene(ctx context.Context, t *testing.T) *runningScene {
	t.Helper()
	plane, python := reference.DataPlane(t), reference.Python(t)
	if python == nil {
		t.Skip(reference.NoPython)
	}
	plane.Run[paymentAPI], plane.Run[jobProcessor] = python("api.py", startsIn, worksFor), python("worker.py")
	return &runningScene{platform: *openPlatform(ctx, t, target.Options{Name: target.Local}, "run-"+strings.ToLower(random.UniqueID()), t.TempDir(), func(o *session.Options) {
		o.DataPlane = plane
		o.Config["containerProtocol"] = "HTTP"
	})}
}

func (p *runningScene) raise(ctx context.Context, t *testing.T) {
	t.Helper()
	_, err := p.Stack.Up(ctx)
	require.NoError(t, err, "up")
	_, err = p.Migrate(ctx)
	require.NoError(t, err, "migrate")
	p.who = newSaboteur(t, p.Cloud.Config, p.suffix)
	p.who.outputs, err = p.Outputs(ctx)
	require.NoError(t, err)
	const grants = "database.grants" // which the log of the migration tells, when it has arrived
	p.await(ctx, func() bool {
		seen, err := p.look(ctx, []string{grants})
		return err == nil && seen[grants].Status != verify.NotObservable
	})
	p.healthy, err = p.look(ctx, nil)
	require.NoError(t, err)
	for id, r := range p.healthy {
		require.NotEqual(t, verify.Failed, r.Status, "%s: %s", id, r.Reason)
	}
}

// sendsJob sends a job through the load balancer.
func (p *runningScene) sendsJob(ctx context.Context, t *testing.T) {
	for _, id := range []string{"queue.delivers", "alb.answers"} {
		require.Equal(t, verify.Passed, p.healthy[id].Status, "%s: %s", id, p.healthy[id].Reason)
	}
	api, err := p.PaymentAPI(ctx, "", "")
	require.NoError(t, err)
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: api.Dial, TLSClientConfig: api.TLS}}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, api.URL+"/api/jobs", bytes.NewReader([]byte(`{"job": 1}`)))
	require.NoError(t, err)
	response, err := client.Do(request)
	require.NoError(t, err)
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusAccepted, response.StatusCode, "%s", content)
	var sent struct{ Message string }
	require.NoError(t, json.Unmarshal(content, &sent))
	require.NotEmpty(t, sent.Message)
}

// look runs some checks, or all.
func (p *runningScene) look(ctx context.Context, only []string) (map[string]verify.Result, error) {
	report, err := verify.Run(ctx, verify.Options{
		AWS: p.Cloud.Config, Outputs: p.who.outputs, Suffix: p.suffix, Act: true, Only: only,
		Network: dataplane.NetworkOf(p.Plane.Status), Patience: time.Minute,
	})
	results := map[string]verify.Result{}
	for _, r := range report.Results {
		results[r.ID] = r
	}
	return results, err
}

// programSabotages are those that our programs alone can be asked for.
func programSabotages() []sabotage {
	return []sabotage{
		{
			Check: "database.failover-serves", Says: "let /health ask the database", On: "services",
			Do: func(ctx context.Context, s *saboteur) {
				now := s.service(ctx, paymentAPI).TaskDefinition
				s.later(func(ctx context.Context) {
					s.updateService(ctx, paymentAPI, func(_ *saboteur, in *ecs.UpdateServiceInput, _ types.Service) { in.TaskDefinition = now })
				})
				s.reviseTask(ctx, func(_ *ecs.RegisterTaskDefinitionInput, c *types.ContainerDefinition) {
					c.Environment = append(c.Environment, types.KeyValuePair{Name: aws.String("HEALTH_ASKS"), Value: aws.String("database")})
				})
			},
		},
	}
}

// play does a sabotage, waits until it is seen, looks, and undoes it. It tells whether the stack is sound again.
func (p *runningScene) play(ctx context.Context, o *outcome) bool {
	p.who.forget()
	if err := p.who.try(ctx, o.Do); err != nil {
		o.fault("the cloud refuses the sabotage: %v", err)
	}
	look := func(ctx context.Context, only []string) map[string]verify.Result {
		seen, err := p.look(ctx, only)
		if err != nil {
			o.fault("%v", err)
		}
		return seen
	}
	sees := without(acting(), o.sees())
	p.await(ctx, func() bool { return len(sees) == 0 || len(without(reds(look(ctx, sees)), sees)) == 0 })
	after := look(ctx, affected(o.sees()))
	o.compare(p.healthy, after, o.sees())
	for _, id := range o.sees() {
		o.notes = append(o.notes, id+": "+after[id].Reason)
	}
	if err := p.who.undo(ctx); err != nil {
		o.fault("undoing it: %v", err)
	}
	var left []string
	if !p.await(ctx, func() bool { left = reds(look(ctx, looking())); return len(left) == 0 }) {
		o.fault("it was undone, but not healed: %v", left)
		return false
	}
	return true
}

// await waits for what comes of a change.
func (p *runningScene) await(ctx context.Context, done func() bool) bool {
	return cloud.Poll(ctx, cloud.Wait{Limit: 30 * time.Second, First: 100 * time.Millisecond, Longest: 500 * time.Millisecond}, func(context.Context) (bool, error) {
		return done(), nil
	}) == nil
}

// acting and looking are the checks that act, and those that do not.
func acting() []string  { return checkIDs(func(c verify.Check) bool { return c.Acts }) }
func looking() []string { return checkIDs(func(c verify.Check) bool { return !c.Acts }) }

func checkIDs(which func(verify.Check) bool) (ids []string) {
	for _, check := range verify.Checks() {
		if which(check) {
			ids = append(ids, check.ID)
		}
	}
	return ids
}

// without are all but some.
func without(some, all []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(id string) bool { return slices.Contains(some, id) })
}
