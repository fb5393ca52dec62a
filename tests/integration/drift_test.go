package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gruntwork-io/terratest/modules/random"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/declared"
	"tapstack/lib/inventory"
	"tapstack/lib/lifecycle"
	"tapstack/lib/target"
	"tapstack/lib/verify"
)

// deed is what somebody does by hand to a resource of the stack. The usual outcome is that refresh sees it and up heals it.
type deed struct {
	Type string // the Pulumi type of the resource
	Of   string // its logical name
	Says string // the deed in words
	// Do does it. Nil where nobody can; Why says why.
	Do func(ctx context.Context, s *saboteur)
	// Deletes says that the resource is gone afterwards, With what goes with it.
	Deletes bool
	With    string
	// Refused is the error with which AWS refuses it.
	Refused string
	// Red is the check that turns red where refresh and up leave it as it is. Do has told the saboteur how to undo it.
	Red string
	Why string
}

// fact reads, of the resource with a logical name, what the deeds change. It fails where the resource is not there.
type fact func(ctx context.Context, s *saboteur, name string) any

// modifies is done to a resource that stays.
func modifies(token, of, says string, do func(context.Context, *saboteur)) deed {
	return deed{Type: token, Of: of, Says: says, Do: do}
}

func deletes(token, of, says string, do func(context.Context, *saboteur)) deed {
	return deed{Type: token, Of: of, Says: says, Do: do, Deletes: true}
}

// takes deletes a resource and others that AWS or the deed itself takes with it.
func takes(token, of, says, with string, do func(context.Context, *saboteur)) deed {
	return deed{Type: token, Of: of, Says: says, Do: do, Deletes: true, With: with}
}

// refused is a deletion that AWS refuses; without do, the local cloud would not.
func refused(token, of, code, why string, do func(context.Context, *saboteur)) deed {
	return deed{Type: token, Of: of, Says: "delete it", Deletes: true, Refused: code, Why: why, Do: do}
}

// by is a sabotage's deed.
func by(check, says string) func(context.Context, *saboteur) {
	for _, s := range sabotages() {
		if s.Check == check && s.Says == says {
			return s.Do
		}
	}
	panic("there is no sabotage of " + check + ": " + says)
}

// sabotaged changes a resource as the sabotage of that check does.
func sabotaged(token, of, check, says string) deed { return modifies(token, of, says, by(check, says)) }

const driftPage = "../../docs/drift.md"

func TestEveryTypeHasADeedThatChangesAndOneThatDeletes(t *testing.T) {
	largest, err := declared.Largest("dev")
	require.NoError(t, err)
	resources, err := declared.Resources(largest, "us-east-1")
	require.NoError(t, err)
	types := map[string]bool{}
	for _, r := range resources {
		if !slices.Contains(inventory.NotInCloud(), r.Type) {
			types[r.Type] = true
		}
	}
	seen := map[bool]map[string]bool{false: {}, true: {}}
	for _, d := range deeds() {
		seen[d.Deletes][d.Type] = true
		require.NotEmpty(t, d.Says, "%s", d.Type)
		require.True(t, d.Do == nil || d.Of != "", "%s: %s", d.Type, d.Says)
		require.True(t, d.Do != nil || d.Why != "", "%s: why nobody can %s", d.Type, d.Says)
		require.True(t, d.Do == nil || d.Refused != "" || facts()[d.Type] != nil, "%s: what the deed changes is read", d.Type)
		require.True(t, slices.ContainsFunc(resources, func(r declared.Resource) bool { return d.Of == "" || r.Name == d.Of && r.Type == d.Type }),
			"%s %s is a resource of the stack's", d.Type, d.Of)
	}
	for _, deletion := range []bool{false, true} {
		assert.Equal(t, slices.Sorted(maps.Keys(types)), slices.Sorted(maps.Keys(seen[deletion])), "deletion: %t; a new type needs its deeds", deletion)
	}
}

// outcome is what comes of the deed, in the words of the page.
func (d deed) outcome() string {
	switch {
	case d.Refused != "" && d.Do == nil:
		return fmt.Sprintf("AWS refuses it: %s, %s. Not tried: the local cloud would not refuse", d.Refused, d.Why)
	case d.Refused != "":
		return fmt.Sprintf("AWS refuses it: %s, %s", d.Refused, d.Why)
	case d.Do == nil:
		return d.Why
	case d.Red != "":
		return fmt.Sprintf("stays; `tap verify` is red: `%s`. %s", d.Red, capital(d.Why))
	case d.Why != "":
		return "healed. " + capital(d.Why)
	}
	return "healed"
}

func capital(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

// driftTables are the generated part of the page.
func driftTables() string {
	var page strings.Builder
	page.WriteString("| type | by hand | what comes of it |\n|---|---|---|\n")
	all := deeds()
	slices.SortStableFunc(all, func(a, b deed) int { return strings.Compare(a.Type, b.Type) })
	for _, d := range all {
		says := d.Says
		if d.With != "" {
			says += ", and with it " + d.With
		}
		token := strings.Split(d.Type, ":") // aws:ec2/vpc:Vpc
		fmt.Fprintf(&page, "| `%s.%s` | %s | %s |\n", path.Dir(token[1]), token[2], says, d.outcome())
	}
	page.WriteString("\n## What stays\n\n| by hand | check that turns red | why `refresh` and `up` leave it |\n|---|---|---|\n")
	for _, s := range sabotages() {
		if s.Unhealable != "" {
			fmt.Fprintf(&page, "| %s | `%s` | %s |\n", s.Says, s.Check, s.Unhealable)
		}
	}
	return page.String()
}

func TestThePageOfDriftIsTheTable(t *testing.T) {
	content, err := os.ReadFile(filepath.FromSlash(driftPage))
	require.NoError(t, err)
	const mark = "<!-- generated: go test ./tests/integration -run PageOfDrift -update -->\n"
	head, got, found := strings.Cut(string(content), mark)
	require.True(t, found, "the page marks where the tables begin")
	if *update {
		got = driftTables()
		require.NoError(t, os.WriteFile(driftPage, []byte(head+mark+got), 0o600)) //nolint:gosec // a page of the repository
	}
	require.Equal(t, driftTables(), got, "run: go test ./tests/integration -run PageOfDrift -update")
}

// TestDrift does what the table lists to a deployed stack, one batch of changes, one of deletions, and one of deletions that
// take other resources with them: refresh names what was touched, up puts it back, and then nothing is left to do. DRIFT=<regexp over
// types> does a part.
func TestDrift(t *testing.T) {
	ctx, cancel := bounded(t, cleanUpTime)
	defer cancel()
	p := &scene{platform: *openPlatform(ctx, t, target.Options{Name: target.Local}, "dr-"+strings.ToLower(random.UniqueID()), t.TempDir())}
	// With a domain, the stack has a resource of every type.
	p.reopen(ctx, t, merged(map[string]string{"domainName": "pay.example.org"}, hostedZone(ctx, t, &p.platform)))
	if official() {
		p.underOfficial(ctx, t)
	}
	_, err := p.Stack.Up(ctx)
	require.NoError(t, err)
	if official() {
		p.noteUntold(ctx, t)
	}
	p.who = newSaboteur(t, p.Cloud.Config, p.suffix)
	require.NoError(t, p.readOutputs(ctx))
	p.healthy = p.verdict(ctx, t)
	require.Empty(t, reds(p.healthy))

	only := regexp.MustCompile(lookup("DRIFT"))
	for _, batch := range []struct {
		name string
		of   func(deed) bool
	}{
		{"changes and what is refused", func(d deed) bool { return d.Refused != "" || !d.Deletes }},
		{"deletions", func(d deed) bool { return d.Refused == "" && d.Deletes && d.With == "" }},
		{"deletions with more", func(d deed) bool { return d.Refused == "" && d.With != "" }},
	} {
		t.Run(batch.name, func(t *testing.T) {
			chosen := slices.DeleteFunc(deeds(), func(d deed) bool { return d.Do == nil || !batch.of(d) || !only.MatchString(d.Type) })
			began := time.Now()
			if len(chosen) > 0 {
				p.batch(ctx, t, chosen)
			}
			t.Logf("%d deeds in %s", len(chosen), time.Since(began).Round(100*time.Millisecond))
		})
	}
	p.destroy(t)
}

// verdict is what the checks say that only look.
func (p *scene) verdict(ctx context.Context, t *testing.T) map[string]verify.Result {
	t.Helper()
	report, err := p.Verify(ctx, false)
	require.NoError(t, err)
	results := map[string]verify.Result{}
	for _, r := range report.Results {
		results[r.ID] = r
	}
	return results
}

const absent = "not there"

// fact is what the API tells of the deed's resource, as JSON.
func (p *scene) fact(ctx context.Context, d deed) string {
	told := absent
	if facts()[d.Type] == nil {
		return told
	}
	err := p.who.try(ctx, func(ctx context.Context, s *saboteur) {
		written, err := json.Marshal(facts()[d.Type](ctx, s, d.Of))
		require.NoError(s, err)
		told = string(written)
	})
	if err != nil {
		return absent
	}
	return told
}

// batch does deeds of deeds and heals them as an operator does: refresh, then up.
func (p *scene) batch(ctx context.Context, t *testing.T, batch []deed) {
	before := make([]string, len(batch))
	for i, d := range batch {
		before[i] = p.fact(ctx, d)
		assert.True(t, d.Refused != "" || before[i] != absent, "%s %s is not there", d.Type, d.Of)
	}
	p.who.forget()
	touched := map[string]bool{}
	alone := true
	for i, d := range batch {
		err := p.who.try(ctx, d.Do)
		if d.Refused != "" {
			assert.ErrorContains(t, err, d.Refused, "%s: %s", d.Type, d.Says)
			continue
		}
		if !assert.NoError(t, err, "%s: the cloud refuses: %s", d.Type, d.Says) {
			continue
		}
		assert.NotEqual(t, before[i], p.fact(ctx, d), "%s %s: the deed changes nothing: %s", d.Type, d.Of, d.Says)
		alone = alone && d.With == ""
		if d.Red == "" {
			touched[d.Type+" "+d.Of] = true
		}
	}
	p.refreshes(ctx, t, touched, alone)
	p.healsAll(ctx, t, batch, before)
}

// refreshes holds that refresh names what was touched and, where nothing goes with it, no more.
func (p *scene) refreshes(ctx context.Context, t *testing.T, touched map[string]bool, alone bool) {
	t.Helper()
	refreshed, err := p.Refresh(ctx)
	require.NoError(t, err, "refresh")
	t.Logf("refresh: %s", refreshed)
	named := map[string]bool{}
	for _, step := range p.told(refreshed) {
		named[step.Type+" "+step.Name] = true
		if !touched[step.Type+" "+step.Name] {
			assert.False(t, alone, "refresh names what nobody has touched: %v", step)
		}
	}
	for it := range touched {
		assert.True(t, named[it], "refresh does not see what was done to %s", it)
	}
}

// redness holds that the specification sees what up leaves as it is.
func (p *scene) redness(ctx context.Context, t *testing.T, batch []deed) {
	t.Helper()
	left := slices.DeleteFunc(slices.Clone(batch), func(d deed) bool { return d.Red == "" })
	if len(left) == 0 {
		return
	}
	seen := p.verdict(ctx, t)
	for _, d := range left {
		assert.Equal(t, verify.Failed, seen[d.Red].Status, "%s: %s must turn %s red", d.Type, d.Says, d.Red)
	}
}

// healsAll holds that up puts everything back but what is said to stay, which is then undone by hand.
func (p *scene) healsAll(ctx context.Context, t *testing.T, batch []deed, before []string) {
	t.Helper()
	planned, err := p.Preview(ctx)
	require.NoError(t, err, "preview")
	done, err := p.Up(ctx, planned)
	require.NoError(t, err, "up: %v", steps(planned))
	t.Logf("up: %s", done)
	require.NoError(t, p.readOutputs(ctx))
	for i, d := range batch {
		if now := p.fact(ctx, d); d.Red == "" {
			assert.Equal(t, before[i], now, "%s %s: up does not heal: %s", d.Type, d.Of, d.Says)
		} else {
			assert.NotEqual(t, before[i], now, "%s %s is said to stay: %s", d.Type, d.Of, d.Says)
		}
	}
	p.redness(ctx, t, batch)
	require.NoError(t, p.who.undo(ctx))
	for _, look := range []func(context.Context) (lifecycle.Result, error){p.Refresh, p.Preview} {
		again, err := look(ctx)
		require.NoError(t, err)
		again.Changed = p.told(again)
		assert.Empty(t, steps(again), "after healing, there is more for %s", again.Operation)
	}
	healed := p.verdict(ctx, t)
	for _, id := range slices.Sorted(maps.Keys(p.healthy)) {
		if official() && slices.Contains(toldInPart, id) {
			continue
		}
		assert.Equal(t, p.healthy[id].Status, healed[id].Status, "after healing %s: %s", id, healed[id].Reason)
	}
}
