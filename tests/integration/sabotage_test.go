package integration

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go/middleware"
	"github.com/gruntwork-io/terratest/modules/random"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/target"
	"tapstack/lib/verify"
)

// sabotage is something done to the cloud behind Pulumi's back, and the checks that must see it.
type sabotage struct {
	Check string   // the check that it is aimed at
	Also  []string // checks that hold the cloud to the same fact, and must see it as well
	May   []string // checks that may see it: by turns, or where there is something to see
	Says  string   // the mutation in words

	// Do changes the cloud through its API. Nil where Answer stands in for it.
	Do func(ctx context.Context, s *saboteur)
	// Answer alters what the API answers, where no call can alter the fact itself; Why says why none can.
	Answer answer
	Why    string
	// On names what no other sabotage of the same round may touch.
	On string
	// Unhealable says why refresh and up leave it as it is. Do has told the saboteur how to undo it.
	Unhealable string
}

// answer stands between the SDK and a check: it sees each operation's result, may change it, and returns what the check
// gets.
type answer func(s *saboteur, operation string, in, out any, err error) (any, error)

// sees are all checks that must turn red.
func (s sabotage) sees() []string {
	all := append([]string{s.Check}, s.Also...)
	slices.Sort(all)
	return all
}

// sabotages is the whole table.
func sabotages() []sabotage {
	return slices.Concat(
		networkSabotages(),
		databaseSabotages(),
		secretSabotages(),
		configurationSabotages(),
		applicationSabotages(),
		scalingSabotages(),
		balancingSabotages(),
		firewallSabotages(),
		queueSabotages(),
		loggingSabotages(),
		alertingSabotages(),
		permissionSabotages(),
		taggingSabotages(),
		bucketSabotages(),
		liveSabotages(),
		answerSabotages(),
	)
}

// outcome is what came of one sabotage.
type outcome struct {
	sabotage
	faults  []string // what was not as it must be
	notes   []string
	skipped string
}

func (o *outcome) fault(format string, args ...any) {
	o.faults = append(o.faults, fmt.Sprintf(format, args...))
}

// TestSabotage breaks one thing after the other on a deployed stack and holds that exactly the checks meant for it turn
// red, and that refresh and up heal it. SABOTAGE=<regexp over check ids> runs a part; SABOTAGE_ALONE=1 heals after each.
func TestSabotage(t *testing.T) {
	ctx, cancel := bounded(t, cleanUpTime)
	defer cancel()
	p := newScene(ctx, t)
	p.raise(ctx, t)

	all := p.play(ctx, t, chosenSabotages(t))
	slices.SortStableFunc(all, func(a, b *outcome) int { return strings.Compare(a.Check, b.Check) })
	for len(all) > 0 {
		check := all[0].Check
		t.Run(check, func(t *testing.T) {
			for ; len(all) > 0 && all[0].Check == check; all = all[1:] {
				t.Run(all[0].Says, all[0].tell)
			}
		})
	}
}

// tell reports one sabotage as a subtest.
func (o *outcome) tell(t *testing.T) {
	for _, note := range o.notes {
		t.Log(note)
	}
	for _, fault := range o.faults {
		assert.Fail(t, fault)
	}
	if o.skipped != "" && len(o.faults) == 0 {
		t.Skip(o.skipped)
	}
}

func chosenSabotages(t *testing.T) []sabotage {
	t.Helper()
	only := regexp.MustCompile(lookup("SABOTAGE"))
	return slices.DeleteFunc(sabotages(), func(s sabotage) bool { return !only.MatchString(s.Check) })
}

// scene is the stack that is sabotaged, on an emulator of its own.
type scene struct {
	platform
	healthy map[string]verify.Result // what a run over the sound stack showed
	shown   map[string]verify.Result // the same, with an API that leaves nothing out
	who     *saboteur
}

func newScene(ctx context.Context, t *testing.T) *scene {
	t.Helper()
	return &scene{platform: *openPlatform(ctx, t, target.Options{Name: target.Local}, "sab-"+strings.ToLower(random.UniqueID()), t.TempDir())}
}

// raise deploys the stack and holds that every check that can be seen here is green.
func (p *scene) raise(ctx context.Context, t *testing.T) {
	t.Helper()
	_, err := p.Stack.Up(ctx)
	require.NoError(t, err, "up")
	p.who = newSaboteur(t, p.Cloud.Config, p.suffix)
	require.NoError(t, p.readOutputs(ctx))
	p.healthy, err = p.look(ctx, p.Cloud.Config, nil, nil)
	require.NoError(t, err)
	require.Empty(t, reds(p.healthy), "the sound stack must have no red check")
	p.shown, err = p.lookThrough(ctx, shown, nil)
	require.NoError(t, err)
	for id, r := range p.shown {
		require.Contains(t, []verify.Status{verify.Passed, verify.SwitchedOff}, r.Status, "%s, with an API that leaves nothing out: %s", id, r.Reason)
	}
}

func (p *scene) readOutputs(ctx context.Context) (err error) {
	p.who.outputs, err = p.Outputs(ctx)
	return err
}

// patience is how long the checks that act wait for what an emulator does at once, or never.
const patience = 3 * time.Second

// look runs some checks, or the whole specification.
func (p *scene) look(ctx context.Context, cfg aws.Config, through verify.Network, only []string) (map[string]verify.Result, error) {
	report, err := verify.Run(ctx, verify.Options{
		AWS: cfg, Outputs: p.who.outputs, Suffix: p.suffix, Act: true, Only: only, Network: through, Patience: patience,
	})
	if err != nil {
		return nil, err
	}
	results := make(map[string]verify.Result, len(report.Results))
	for _, r := range report.Results {
		results[r.ID] = r
	}
	return results, nil
}

// affected are the checks that are run where some must see a sabotage: those, and all that only look, which must not.
func affected(sees []string) []string { return append(looking(), without(looking(), sees)...) }

// lookThrough is look where the API and the network answer as the lie wants it.
func (p *scene) lookThrough(ctx context.Context, lie answer, only []string) (map[string]verify.Result, error) {
	p.who.spoil.Store(0) // what an earlier lie has not spoilt
	network := p.who.stage(lie)
	defer network.close()
	return p.look(ctx, p.who.lying(lie), network, only)
}

func reds(results map[string]verify.Result) []string {
	var ids []string
	for id, r := range results {
		if r.Status == verify.Failed {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// play runs sabotages in rounds.
func (p *scene) play(ctx context.Context, t *testing.T, chosen []sabotage) []*outcome {
	var all, live []*outcome
	for _, s := range chosen {
		o := &outcome{sabotage: s}
		all = append(all, o)
		switch r, known := p.healthy[s.Check]; {
		case !known:
			o.fault("there is no check %q", s.Check)
		case s.Answer != nil:
			o.notes = append(o.notes, "the answer of the API is sabotaged, not the cloud: "+s.Why)
			p.lie(ctx, o, s.Answer, o.sees())
		case r.Status == verify.NotObservable && unobservable()[s.Check] == nil:
			o.fault("not observable here, and no altered answer proves it: %s", r.Reason)
		case r.Status == verify.NotObservable:
			p.lie(ctx, o, unobservable()[s.Check], []string{s.Check})
			o.skipped = "not observable here, where an altered answer proves the check instead: " + r.Reason
		default:
			live = append(live, o)
		}
	}
	for i, round := range rounds(live) {
		started := time.Now()
		sound := p.round(ctx, round)
		t.Logf("round %d: %d sabotages in %s, %d with faults", i+1, len(round), time.Since(started).Round(time.Millisecond), faulty(round))
		if ctx.Err() != nil {
			assert.NoError(t, ctx.Err(), "out of time")
			break
		}
		if !sound {
			// What one round leaves broken must not be held against the next.
			*p = *newScene(ctx, t)
			p.raise(ctx, t)
		}
	}
	return all
}

func faulty(round []*outcome) int {
	count := 0
	for _, o := range round {
		if len(o.faults) > 0 {
			count++
		}
	}
	return count
}

// rounds packs sabotages that have neither a check nor a resource in common, first fit.
func rounds(all []*outcome) [][]*outcome {
	var packed [][]*outcome
	var taken []map[string]bool
	alone := lookup("SABOTAGE_ALONE") != ""
	for _, o := range all {
		claims := o.sees()
		if o.On != "" {
			claims = append(claims, "on "+o.On)
		}
		free := func(used map[string]bool) bool {
			return !alone && !slices.ContainsFunc(claims, func(c string) bool { return used[c] })
		}
		i := slices.IndexFunc(taken, free)
		if i < 0 {
			packed, taken = append(packed, nil), append(taken, map[string]bool{})
			i = len(packed) - 1
		}
		packed[i] = append(packed[i], o)
		for _, c := range claims {
			taken[i][c] = true
		}
	}
	return packed
}

// round does its sabotages one after the other, looks after each, and heals them all at once. It tells whether the stack
// is sound again.
func (p *scene) round(ctx context.Context, round []*outcome) bool {
	before := p.healthy
	p.who.forget()
	for _, o := range round {
		if err := p.who.try(ctx, o.Do); err != nil {
			o.fault("the cloud refuses the sabotage: %v", err)
		}
		after, err := p.look(ctx, p.Cloud.Config, nil, affected(o.sees()))
		if err != nil {
			o.fault("%v", err)
			continue
		}
		o.compare(before, after, o.sees())
		before = maps.Clone(before)
		maps.Copy(before, after)
	}
	return p.heal(ctx, round)
}

// compare holds that exactly the checks that must see the sabotage turned red.
func (o *outcome) compare(before, after map[string]verify.Result, sees []string) {
	for _, id := range sees {
		if after[id].Status != verify.Failed {
			o.fault("%s did not turn red: %s, it saw %s", id, after[id].Status, after[id].Actual)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(after)) {
		was, is := before[id].Status, after[id].Status
		if was != is && !slices.Contains(sees, id) && !slices.Contains(o.May, id) {
			o.fault("%s has nothing to do with it and went from %s to %s: %s", id, was, is, after[id].Reason)
		}
	}
}

// heal refreshes and deploys, and holds that everything is green again but for what cannot be healed; that is undone by
// hand. It tells whether all is green at the end.
func (p *scene) heal(ctx context.Context, round []*outcome) bool {
	sound := true
	fail := func(format string, args ...any) {
		sound = false
		for _, o := range round {
			o.fault(format, args...)
		}
	}
	if _, err := p.Refresh(ctx); err != nil {
		fail("refresh after the round: %v", err)
	}
	if _, err := p.Stack.Up(ctx); err != nil {
		fail("up after the round: %v", err)
	}
	if err := p.readOutputs(ctx); err != nil {
		fail("%v", err)
	}
	var meant []string
	for _, o := range round {
		meant = append(meant, o.sees()...)
	}
	healed, err := p.look(ctx, p.Cloud.Config, nil, affected(meant))
	if err != nil {
		fail("%v", err)
	}
	hopeless := false
	for _, o := range round {
		hopeless = p.healedOrNot(o, healed) || hopeless
	}
	if err := p.who.undo(ctx); err != nil {
		fail("undoing by hand: %v", err)
	}
	if hopeless {
		if healed, err = p.look(ctx, p.Cloud.Config, nil, affected(meant)); err != nil {
			fail("%v", err)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(healed)) {
		if healed[id].Status == p.healthy[id].Status {
			continue
		}
		sound = false
		for _, o := range suspects(round, id) {
			o.fault("after healing the round %s is %s: %s", id, healed[id].Status, healed[id].Reason)
		}
	}
	return sound
}

// suspects are those that were meant to turn a check red; where none was, all are.
func suspects(round []*outcome, check string) []*outcome {
	var meant []*outcome
	for _, o := range round {
		if slices.Contains(o.sees(), check) {
			meant = append(meant, o)
		}
	}
	if len(meant) == 0 {
		return round
	}
	return meant
}

// healedOrNot judges what refresh and up made of one sabotage, and tells whether it is one that they cannot heal.
func (p *scene) healedOrNot(o *outcome, healed map[string]verify.Result) bool {
	red := healed[o.Check].Status == verify.Failed
	switch {
	case o.Unhealable != "":
		o.notes = append(o.notes, "refresh and up do not heal it, it is undone by hand: "+o.Unhealable)
		if !red {
			o.fault("it is said not to heal, but refresh and up have healed it")
		}
	case red:
		o.fault("refresh and up do not heal it: %s", healed[o.Check].Reason)
	}
	return o.Unhealable != ""
}

// lie runs the checks against altered answers of an API that leaves nothing out.
func (p *scene) lie(ctx context.Context, o *outcome, lie answer, sees []string) {
	after, err := p.lookThrough(ctx, func(s *saboteur, operation string, in, out any, err error) (any, error) {
		out, err = shown(s, operation, in, out, err)
		return lie(s, operation, in, out, err)
	}, affected(sees))
	if err != nil {
		o.fault("%v", err)
		return
	}
	o.compare(p.shown, after, sees)
}

// lying is the target's configuration with a liar between the API and whoever asks it.
func (s *saboteur) lying(lie answer) aws.Config {
	cfg := s.overTLS(s.config.Copy(), lie)
	cfg.RetryMaxAttempts = 1 // what is not implemented stays so
	cfg.APIOptions = append(slices.Clone(cfg.APIOptions), func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("sabotage", func(
			ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
		) (middleware.InitializeOutput, middleware.Metadata, error) {
			out, metadata, err := next.HandleInitialize(ctx, in)
			out.Result, err = lie(s, middleware.GetOperationName(ctx), in.Parameters, out.Result, err)
			return out, metadata, err
		}), middleware.After)
	})
	return cfg
}
