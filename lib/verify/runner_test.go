package verify

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"tapstack/lib/cloud"
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
		{"a panic", Check{Run: func(context.Context, *Env) Evidence { panic("index out of range") }}, false, Failed, "index out of range"},
		{"a capability that is there", Check{Run: fine, Needs: []Capability{has(true, nil)}}, false, Passed, ""},
		{"a capability that lacks", Check{Run: fine, Needs: []Capability{has(false, nil)}}, false, NotObservable, "it shows nothing"},
		{"a capability that lacks where none may", Check{Run: fine, Needs: []Capability{has(false, nil)}}, true, Failed, "it shows nothing"},
		{"a probe that fails", Check{Run: seeing(func(*recorder) error { return errors.New("denied") }), Needs: []Capability{has(false, errors.New("denied"))}}, false, Failed, "denied"},
	} {
		t.Run(c.what, func(t *testing.T) {
			r := runOne(t.Context(), testEnv(), c.check, c.strict)
			if r.Status != c.want || !strings.Contains(r.Reason, c.reason) || (c.want == Passed) != (r.Reason == "") {
				t.Errorf("%s, %q; want %s, %q", r.Status, r.Reason, c.want, c.reason)
			}
		})
	}
}

func TestAFailureNamesTheResourceThatIsWrong(t *testing.T) {
	r := runOne(t.Context(), testEnv(), Check{Run: seeing(func(rec *recorder) error {
		rec.on("arn:good").equal("size", 3, 3)
		rec.on("arn:bad").within("age", 1, 5, 9)
		return nil
	})}, false)
	if r.ARN != "arn:bad" || r.Expected != "age: from 1 to 5" || r.Actual != "age: 9" {
		t.Errorf("ARN %q, expected %q, actual %q", r.ARN, r.Expected, r.Actual)
	}
	if len(r.Observations) != 2 {
		t.Errorf("%d observations are kept, want 2", len(r.Observations))
	}
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
	if want := (Counts{Total: 4, Passed: 1, Failed: 2, NotObservable: 1}); report.Counts != want || report.OK() {
		t.Errorf("counts %+v, OK %t; want %+v", report.Counts, report.OK(), want)
	}
	for i, r := range report.Results {
		if r.ID != checks[i].ID {
			t.Errorf("result %d is %s, want %s", i, r.ID, checks[i].ID)
		}
	}
	slices.Sort(told)
	if !slices.Equal(told, []string{"a.fine", "b.wrong", "c.hidden", "d.empty"}) {
		t.Errorf("told of %v", told)
	}
	if (Report{}).OK() {
		t.Error("a report without a check is fine")
	}
	written, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	var back struct {
		Counts  Counts   `json:"counts"`
		Results []Result `json:"results"`
	}
	if err := json.Unmarshal(written, &back); err != nil || back.Counts != report.Counts || len(back.Results) != len(checks) {
		t.Errorf("the report reads back as %+v (%v)", back, err)
	}
}

func TestARunThatIsStoppedFailsWhatItDidNotCheck(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	r := runOne(ctx, testEnv(), Check{Run: seeing(func(rec *recorder) error { rec.on("").equal("x", 1, 1); return nil })}, false)
	if r.Status != Failed || !strings.Contains(r.Reason, "stopped") {
		t.Errorf("%s, %q", r.Status, r.Reason)
	}
}

func TestWrongUseIsAnErrorAndNotAReport(t *testing.T) {
	for what, o := range map[string]Options{
		"no suffix":     {AWS: aws.Config{Region: "us-east-1"}},
		"no region":     {Suffix: "dev"},
		"unknown check": {AWS: aws.Config{Region: "us-east-1"}, Suffix: "dev", Only: []string{"queue.colour"}},
	} {
		if _, err := Run(t.Context(), o); err == nil {
			t.Errorf("%s is no error", what)
		}
	}
}

func TestAnAnswerIsFetchedOnceForAllWhoAsk(t *testing.T) {
	env := testEnv()
	var fetched atomic.Int32
	done := make(chan int)
	for range 20 {
		go func() {
			v, _ := cloud.Once(t.Context(), env.cloud, "answer", func(context.Context) (int, error) { fetched.Add(1); return 42, nil })
			done <- v
		}()
	}
	for range 20 {
		if v := <-done; v != 42 {
			t.Errorf("got %d, want 42", v)
		}
	}
	if n := fetched.Load(); n != 1 {
		t.Errorf("fetched %d times", n)
	}
	for range 2 { // a panic or an error stays one for those who ask later
		if _, err := cloud.Once(t.Context(), env.cloud, "broken", func(context.Context) (int, error) { panic("nil map") }); err == nil {
			t.Error("a panic reads as an answer")
		}
	}
}

func TestTheSpecificationIsWellFormed(t *testing.T) {
	seen := map[string]bool{}
	names := map[string]string{}
	for _, c := range Checks() {
		area, subject, ok := strings.Cut(c.ID, ".")
		if !ok || area == "" || subject == "" || seen[c.ID] {
			t.Errorf("the id %q is not area.subject, or not unique", c.ID)
		}
		seen[c.ID] = true
		if len(c.Says) < 20 || c.Run == nil {
			t.Errorf("%s says %q and runs %t", c.ID, c.Says, c.Run != nil)
		}
		for _, need := range c.Needs {
			if need.Name == "" || need.Reason == "" || need.Probe == nil {
				t.Errorf("%s needs an incomplete capability %+v", c.ID, need.Name)
			}
			if other, ok := names[need.Name]; ok && other != need.Reason {
				t.Errorf("two capabilities are named %s", need.Name)
			}
			names[need.Name] = need.Reason
		}
	}
}

func TestWithoutAStackNothingPasses(t *testing.T) {
	// No endpoint answers here: every check must come to an end by itself, and as failed.
	cfg := aws.Config{
		Region:       "us-east-1",
		BaseEndpoint: aws.String("http://127.0.0.1:1"),
		Retryer:      func() aws.Retryer { return aws.NopRetryer{} },
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	}
	report, err := Run(t.Context(), Options{AWS: cfg, Suffix: "dev", Act: true})
	if err != nil {
		t.Fatal(err)
	}
	if report.Counts.Failed != len(Checks()) {
		for _, r := range report.Results {
			if r.Status != Failed {
				t.Errorf("%s: %s", r.ID, r.Status)
			}
		}
	}
	if _, err := Leaks(t.Context(), cfg, "dev"); err == nil {
		t.Error("nothing is left of a cloud that does not answer")
	}
	if _, err := Leaks(t.Context(), cfg, ""); err == nil {
		t.Error("an empty suffix is taken")
	}
}
