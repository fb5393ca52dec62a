package verify

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func testEnv() *Env { return newEnv(Options{AWS: aws.Config{Region: "us-east-1"}, Suffix: "dev"}) }

func has(yes bool, err error) Capability {
	return Capability{Name: "test", Reason: "it shows nothing", Probe: func(context.Context, *Env) (bool, error) { return yes, err }}
}

func seeing(look func(rec *recorder) error) func(context.Context, *Env) Evidence {
	return recorded(func(_ context.Context, _ *Env, rec *recorder) error { return look(rec) })
}

func TestHowACheckEndsFollowsFromItsEvidence(t *testing.T) {
	fine := seeing(func(rec *recorder) error { rec.on("arn:x").equal("size", 3, int32(3)); return nil })
	for _, c := range []struct {
		what   string
		check  Check
		strict bool
		want   Status
		reason string
	}{
		{"all as expected", Check{Run: fine}, false, Passed, ""},
		{"nothing to look at", Check{Run: seeing(func(*recorder) error { return nil })}, false, Failed, "nothing to look at"},
		{"something else", Check{Run: seeing(func(rec *recorder) error {
			rec.on("arn:x").equal("size", 3, 3)
			rec.on("arn:y").equal("size", 3, nil)
			return nil
		})}, false, Failed, "size: expected 3, got not set (arn:y)"},
		{"an API error after something fine", Check{Run: seeing(func(rec *recorder) error {
			rec.on("arn:x").equal("size", 3, 3)
			return errors.New("access\ndenied")
		})}, false, Failed, "access denied"},
		{"something that is switched off", Check{Run: seeing(func(rec *recorder) error {
			rec.on("arn:x").equal("size", 3, 3)
			rec.off("size=3")
			return nil
		})}, true, SwitchedOff, "size=3"},
		{"nothing but what is switched off", Check{Run: seeing(func(rec *recorder) error { rec.off("size=0"); return nil })}, false, SwitchedOff, "size=0"},
		{"something wrong with what is switched off", Check{Run: seeing(func(rec *recorder) error {
			rec.off("size=3")
			rec.on("arn:x").equal("size", 3, 4)
			return nil
		})}, false, Failed, "size: expected 3, got 4"},
		{"an API error where something is switched off", Check{Run: seeing(func(rec *recorder) error {
			rec.off("size=3")
			return errors.New("access denied")
		})}, false, Failed, "access denied"},
		{"a panic", Check{Run: func(context.Context, *Env) Evidence { panic("index out of range") }}, false, Failed, "index out of range"},
		{"a capability that is there", Check{Run: fine, Needs: []Capability{has(true, nil)}}, false, Passed, ""},
		{"a capability that lacks", Check{Run: fine, Needs: []Capability{has(false, nil)}}, false, NotObservable, "it shows nothing"},
		{"a capability that lacks where none may", Check{Run: fine, Needs: []Capability{has(false, nil)}}, true, Failed, "it shows nothing"},
		{"a probe that fails", Check{Run: seeing(func(*recorder) error { return errors.New("denied") }), Needs: []Capability{has(false, errors.New("denied"))}}, false, Failed, "denied"},
	} {
		t.Run(c.what, func(t *testing.T) {
			r := runOne(t.Context(), testEnv(), c.check, c.strict)
			assert.Equal(t, c.want, r.Status, r.Reason)
			assert.Contains(t, r.Reason, c.reason)
			assert.Equal(t, c.want == Passed, r.Reason == "")
		})
	}
}

func TestAFailureNamesTheResourceThatIsWrong(t *testing.T) {
	r := runOne(t.Context(), testEnv(), Check{Run: seeing(func(rec *recorder) error {
		rec.on("arn:good").equal("size", 3, 3)
		rec.on("arn:bad").within("age", 1, 5, 9)
		return nil
	})}, false)
	assert.Equal(t, "arn:bad", r.ARN)
	assert.Equal(t, "age: from 1 to 5", r.Expected)
	assert.Equal(t, "age: 9", r.Actual)
	assert.Len(t, r.Observations, 2)
}

func TestAReportCountsKeepsTheOrderAndTellsEachResult(t *testing.T) {
	checks := []Check{
		{ID: "a.fine", Run: seeing(func(rec *recorder) error { rec.on("").equal("x", 1, 1); return nil })},
		{ID: "b.wrong", Run: seeing(func(rec *recorder) error { rec.on("").equal("x", 1, 2); return nil })},
		{ID: "c.hidden", Needs: []Capability{has(false, nil)}, Run: seeing(func(*recorder) error { return nil })},
		{ID: "d.empty", Run: seeing(func(*recorder) error { return nil })},
	}
	env := testEnv()
	knownIdentity(t, env) // nobody to ask
	var told []string
	report := run(t.Context(), env, checks, Options{Suffix: "dev", Done: func(r Result) { told = append(told, r.ID) }})
	assert.Equal(t, Counts{Total: 4, Passed: 1, Failed: 2, NotObservable: 1}, report.Counts)
	assert.False(t, report.OK())
	for i, r := range report.Results {
		assert.Equal(t, checks[i].ID, r.ID)
	}
	assert.ElementsMatch(t, []string{"a.fine", "b.wrong", "c.hidden", "d.empty"}, told)
	assert.False(t, Report{}.OK(), "a report without a check is not fine")
}

func TestARunThatIsStoppedFailsWhatItDidNotCheck(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	r := runOne(ctx, testEnv(), Check{Run: seeing(func(rec *recorder) error { rec.on("").equal("x", 1, 1); return nil })}, false)
	assert.Equal(t, Failed, r.Status)
	assert.Contains(t, r.Reason, "stopped")
}

func TestARunThatIsCutShortSaysWhyAndTellsNoCheck(t *testing.T) {
	ctx, stop := context.WithCancelCause(t.Context())
	silent := errors.New("no answer")
	stop(silent)
	_, err := Run(ctx, Options{
		AWS: aws.Config{Region: "us-east-1"}, Suffix: "dev",
		Done: func(r Result) { assert.Fail(t, "it was not made", r.ID) },
	})
	require.ErrorIs(t, err, silent)
	require.ErrorContains(t, err, "cut short")
}

func TestWrongUseIsAnErrorAndNotAReport(t *testing.T) {
	for what, o := range map[string]Options{
		"no suffix":     {AWS: aws.Config{Region: "us-east-1"}},
		"no region":     {Suffix: "dev"},
		"unknown check": {AWS: aws.Config{Region: "us-east-1"}, Suffix: "dev", Only: []string{"queue.colour"}},
	} {
		_, err := Run(t.Context(), o)
		assert.Error(t, err, what)
	}
}

func TestTheSpecificationIsWellFormed(t *testing.T) {
	seen := map[string]bool{}
	names := map[string]string{}
	for _, c := range Checks() {
		area, subject, ok := strings.Cut(c.ID, ".")
		assert.True(t, ok && area != "" && subject != "" && !seen[c.ID], "the id %q is not area.subject, or not unique", c.ID)
		seen[c.ID] = true
		assert.Greater(t, len(c.Says), 20, c.ID)
		assert.NotNil(t, c.Run, c.ID)
		for _, need := range c.Needs {
			assert.True(t, need.Name != "" && need.Reason != "" && need.Probe != nil, "%s needs an incomplete capability %s", c.ID, need.Name)
			if other, ok := names[need.Name]; ok {
				assert.Equal(t, other, need.Reason, "two capabilities are named %s", need.Name)
			}
			names[need.Name] = need.Reason
		}
	}
}

func TestWhatTheCloudSaysForgesNoLineOfTheReport(t *testing.T) {
	r := runOne(t.Context(), testEnv(), Check{Run: seeing(func(rec *recorder) error {
		rec.on("arn:x\n::error::").equal("tag", "x", "y\nok  126 passed\x1b[2K")
		return nil
	})}, false)
	assert.Equal(t, `tag: expected x, got y\nok  126 passed\x1b[2K (arn:x\n::error::)`, r.Reason)
	assert.Equal(t, `y\nok  126 passed\x1b[2K`, r.Observations[0].Actual)
	assert.Equal(t, `arn:x\n::error::`, r.ARN)
	r.unobservable("it says\x1b[2K", true)
	assert.Equal(t, `nothing may be unobservable on this target: it says\x1b[2K`, r.Reason)
}
