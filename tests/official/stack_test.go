package official

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/assert"
	"golang.org/x/sync/errgroup"

	"tapstack/lib"
	"tapstack/lib/awsprovider"
	"tapstack/lib/lifecycle"
	"tapstack/lib/session"
	"tapstack/lib/target"
	"tapstack/tests/official/bridge"
)

const (
	stackSuffix   = "same"
	stackDeadline = 25 * time.Minute
)

// TestTheWholeStackEndsTheSame takes the whole stack through its life once with each provider, each on an emulator of its
// own, and compares what they wrote to the cloud, what they know of it, and what the specification says of it.
func TestTheWholeStackEndsTheSame(t *testing.T) {
	b := prepared(t)
	t.Parallel() // it waits most of the time
	ctx, cancel := context.WithTimeout(t.Context(), stackDeadline)
	defer cancel()
	official, local := life{Name: "official"}, life{Name: "local"}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return official.live(ctx, t, func(cloud *target.Target, endpoint string) lifecycle.Provider {
			env := maps.Clone(cloud.Env())
			env["AWS_ENDPOINT_URL"] = endpoint
			return b.Plugin(env)
		})
	})
	group.Go(func() error {
		return local.live(ctx, t, func(cloud *target.Target, endpoint string) lifecycle.Provider {
			cfg := cloud.Config.Copy()
			cfg.BaseEndpoint = aws.String(endpoint)
			return awsprovider.NewPlugin(cfg)
		})
	})
	err := group.Wait()
	// What both came to is compared, whatever failed after.
	assert.NoError(t, err)

	seen := map[string]string{}
	t.Logf("%d values compared", compare(seen, official, local))
	report(t, "difference", seen, knownStackDifferences)
}

// life is what became of the stack under one provider.
type life struct {
	Name           string
	Planned, Again []lifecycle.Step
	Up, Destroy    writes
	Verdicts       map[string]string
	Outputs        map[string]map[string]any // of resources, by URN
}

// live takes the stack from nothing to nothing.
func (l *life) live(ctx context.Context, t *testing.T, provider func(*target.Target, string) lifecycle.Provider) (err error) {
	began := time.Now()
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s provider: %w", l.Name, err)
		}
	}()
	dir := t.TempDir()
	note := func(what string) {
		t.Logf("%s: %.1f s %s", l.Name, time.Since(began).Seconds(), what)
	}
	cloud, err := target.Open(ctx, target.Options{Name: target.Local})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cloud.Close()) }()
	calls := &recorder{writes: writes{}}
	server, err := bridge.Forward(cloud.Endpoint, calls.see)
	if err != nil {
		return err
	}
	defer server.Close()
	under := underWay{steps: map[string]bool{}}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w; under way: %s", err, under.String())
		}
	}()
	stop := every(progress, func() { note("under way: " + under.String()) })
	defer stop()
	s, ctx := session.New(ctx, session.Options{
		Target: target.Options{Name: target.Local}, Cloud: cloud, Provider: provider(cloud, server.URL), Suffix: stackSuffix,
		Location: lifecycle.InFolder(lib.ProjectName, dir), Progress: &under,
		Config: map[string]string{
			lib.ConfigEnvironmentSuffix: stackSuffix,
			lib.ConfigPaymentAPIImage:   "123456789012.dkr.ecr.us-east-1.amazonaws.com/payment-api:1.0.0",
			lib.ConfigJobProcessorImage: "123456789012.dkr.ecr.us-east-1.amazonaws.com/job-processor:1.0.0",
			lib.ConfigAlertEmail:        "ops@example.com",
		},
	})
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.Open(ctx); err != nil {
		return err
	}
	note("open")
	planned, err := s.Preview(ctx)
	if err != nil {
		return fmt.Errorf("preview: %w", err)
	}
	l.Planned = planned.Changed
	note(fmt.Sprintf("preview: %v", planned.Changes))
	deployed, err := s.Up(ctx, planned)
	if err != nil {
		return fmt.Errorf("up: %w", err)
	}
	l.Up = calls.taken()
	note(fmt.Sprintf("up: %v, %d writing operations", deployed.Changes, len(l.Up)))
	if l.Outputs, err = stateOutputs(dir); err != nil {
		return err
	}
	again, err := s.Stack.Preview(ctx)
	if err != nil {
		return fmt.Errorf("second preview: %w", err)
	}
	l.Again = again.Changed
	note(fmt.Sprintf("second preview: %v", again.Changes))
	checked, err := s.Verify(ctx, false)
	if err != nil {
		return err
	}
	l.Verdicts = map[string]string{}
	for _, r := range checked.Results {
		l.Verdicts[r.ID] = string(r.Status)
	}
	note("verify: " + checked.Counts.String())
	calls.taken()
	destroyed, err := s.Destroy(ctx)
	if err != nil {
		return fmt.Errorf("destroy: %w", err)
	}
	l.Destroy = calls.taken()
	note(fmt.Sprintf("destroy: %v", destroyed.Changes))
	left, err := s.Prove(ctx)
	if err != nil {
		return err
	}
	note(fmt.Sprintf("%d left", len(left)))
	if len(left) > 0 {
		return fmt.Errorf("left after destroy: %s", strings.Join(left, ", "))
	}
	return nil
}

// progress is how often a phase that takes long tells what it is at.
const progress = 30 * time.Second

// every calls do again and again until it is stopped.
func every(interval time.Duration, do func()) (stop func()) {
	ticker, done := time.NewTicker(interval), make(chan struct{})
	var waiting sync.WaitGroup
	waiting.Go(func() {
		for {
			select {
			case <-ticker.C:
				do()
			case <-done:
				return
			}
		}
	})
	return func() {
		ticker.Stop()
		close(done)
		waiting.Wait()
	}
}

// underWay knows which steps have begun and not ended. It implements session's Progress.
type underWay struct {
	session.Quiet
	mutex sync.Mutex
	steps map[string]bool
}

func (u *underWay) note(s lifecycle.Step, begun bool) {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	if begun {
		u.steps[s.Type+" "+s.Name] = true
	} else {
		delete(u.steps, s.Type+" "+s.Name)
	}
}

func (u *underWay) Started(s lifecycle.Step) { u.note(s, true) }
func (u *underWay) Done(s lifecycle.Step)    { u.note(s, false) }

func (u *underWay) String() string {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	return strings.Join(slices.Sorted(maps.Keys(u.steps)), ", ")
}

// compare notes what differs between the lives of the stack under the official and the local provider, and counts what was
// compared.
func compare(seen map[string]string, official, local life) (count int) {
	compareSteps(seen, "preview", steps(official.Planned), steps(local.Planned))
	compareSteps(seen, "second preview", steps(official.Again), steps(local.Again))
	count = len(official.Planned) + len(official.Verdicts)
	count += compareWrites(seen, "up", official.Up, local.Up) + compareWrites(seen, "destroy", official.Destroy, local.Destroy)
	for id, verdict := range official.Verdicts {
		if verdict != local.Verdicts[id] {
			seen["verify: "+id] = fmt.Sprintf("official %s, local %s", verdict, local.Verdicts[id])
		}
	}
	return count + compareOutputs(seen, official.Outputs, local.Outputs)
}

// steps are what a preview would alter: the operation, the type and the name, with the properties.
func steps(all []lifecycle.Step) map[string]string {
	set := map[string]string{}
	for _, s := range all {
		set[s.Op+" "+s.Type+" "+s.Name] = strings.Join(s.Properties, " ")
	}
	return set
}

func compareSteps(seen map[string]string, what string, official, local map[string]string) {
	for step, properties := range official {
		if _, both := local[step]; !both {
			seen[what+": "+step] = "official only: " + properties
		}
	}
	for step, properties := range local {
		if _, both := official[step]; !both {
			seen[what+": "+step] = "local only: " + properties
		}
	}
}

// compareWrites notes the operations that only one side made, and of those that both made the parameters to which one side
// gave other values. How often an operation was called may differ.
func compareWrites(seen map[string]string, phase string, official, local writes) (count int) {
	for name := range local {
		if official[name] == nil {
			seen[phase+": "+name] = "local only"
		}
	}
	for name, parameters := range official {
		if local[name] == nil {
			seen[phase+": "+name] = "official only"
			continue
		}
		both := maps.Clone(parameters)
		maps.Copy(both, local[name])
		count += len(both)
		for path := range both {
			if diff := cmp.Diff(parameters[path], local[name][path]); diff != "" {
				seen[phase+": "+name+" "+path] = diff
			}
		}
	}
	return count
}

// compareOutputs notes the properties of resources that differ.
func compareOutputs(seen map[string]string, official, local map[string]map[string]any) (count int) {
	for urn := range local {
		if official[urn] == nil {
			seen["resource: "+urn] = "local only"
		}
	}
	for urn, outputs := range official {
		if local[urn] == nil {
			seen["resource: "+urn] = "official only"
			continue
		}
		both := maps.Clone(outputs)
		maps.Copy(both, local[urn])
		delete(both, "__meta") // what the bridge keeps for itself
		count += len(both)
		for name := range both {
			if diff := cmp.Diff(plain(outputs[name]), plain(local[urn][name])); diff != "" {
				seen["output: "+kind(urn)+" "+name] += urn + diff
			}
		}
	}
	return count
}

// kind is the type of the resource that a URN names.
func kind(urn string) string {
	parts := strings.Split(urn, "::")
	return parts[2][strings.LastIndex(parts[2], "$")+1:]
}

// made are the parts of a text that differ from one deployment to the next.
var made = regexp.MustCompile(`127\.0\.0\.1:\d+|\b(127|10)(\.\d+){3}(/\d+)?|ec2(-\d+){4}|` + // the emulator, addresses that it makes up, networks
	`\b(vpc|vpce|subnet|sg|sgr|igw|nat|rtb|rtbassoc|eipalloc|eipassoc|eni|acl|fl|rt|dopt|pl|r|cluster|db)-[0-9a-zA-Z]{8,}\b|` + // ids
	`\bcluster-(ro-)?[0-9a-z]{12}\b|\bscalable-target/[0-9a-z]+|\bAROA[0-9A-Z]{16,}|:secret:[^:"]*-[0-9a-zA-Z]{6}\b|` +
	`(terraform-)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|` +
	`(terraform-)?\b[0-9a-f]{12,40}\b|\d{4}-\d\d-\d\dT[0-9:.]+(Z|\+00:00)?|\b\d{10,13}\b|(?s)-----BEGIN.*-----\n?`)

// masked is a text without them. Networks stay, and the names of secrets.
func masked(text string) string {
	return made.ReplaceAllStringFunc(text, func(part string) string {
		switch {
		case strings.HasPrefix(part, "10.") && strings.Contains(part, "/"):
			return part
		case strings.HasPrefix(part, ":secret:"):
			return part[:len(part)-6] + "*"
		}
		return "*"
	})
}

// signed is the key by which the engine marks what it has encrypted.
const signed = "4dabf18193072939515e22adb298388d"

// plain is a value without what differs from one deployment to the next: documents are read, lists in order, secrets
// hidden. What is empty is left out, for a program cannot tell it from what is not there.
func plain(v any) any {
	switch v := v.(type) {
	case string:
		var document any
		if strings.ContainsAny(v, "{[") && json.Unmarshal([]byte(v), &document) == nil {
			return plain(document)
		}
		if v == "" {
			return nil
		}
		return masked(v)
	case map[string]any:
		if v[signed] != nil {
			return "secret"
		}
		m := map[string]any{}
		for k, e := range v {
			if p := plain(e); p != nil {
				m[masked(k)] = p
			}
		}
		if len(m) == 0 {
			return nil
		}
		return m
	case []any:
		var list []any
		for _, e := range v {
			if p := plain(e); p != nil {
				list = append(list, p)
			}
		}
		if len(list) == 0 {
			return nil
		}
		slices.SortFunc(list, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		return list
	case bool:
		if !v {
			return nil
		}
	case float64:
		if v == 0 {
			return nil
		}
		return fmt.Sprint(v) // the SDK's types make numbers of texts
	}
	return v
}

// stateOutputs reads the outputs of AWS resources and of the stack itself from the engine's state, by URN.
func stateOutputs(dir string) (map[string]map[string]any, error) {
	var path string
	err := filepath.WalkDir(dir, func(p string, _ os.DirEntry, err error) error {
		if strings.HasSuffix(filepath.ToSlash(p), "/.pulumi/stacks/"+lib.ProjectName+"/"+stackSuffix+".json") {
			path = p
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the engine's state: %w", err)
	}
	var state struct {
		Checkpoint struct {
			Latest apitype.DeploymentV3 `json:"latest"`
		} `json:"checkpoint"`
	}
	if err := json.Unmarshal(content, &state); err != nil {
		return nil, fmt.Errorf("reading the engine's state: %w", err)
	}
	outputs := map[string]map[string]any{}
	for _, r := range state.Checkpoint.Latest.Resources {
		if strings.HasPrefix(string(r.Type), "aws:") || r.Type == "pulumi:pulumi:Stack" {
			outputs[string(r.URN)] = r.Outputs
			if r.Outputs["id"] = string(r.ID); r.ID == "" {
				delete(r.Outputs, "id")
			}
		}
	}
	return outputs, nil
}
