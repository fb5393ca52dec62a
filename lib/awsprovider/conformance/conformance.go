// Package conformance drives every resource type of a provider through its whole life against a running AWS API:
// create, read back, no difference, each change in place, read back, delete, gone, delete again. It speaks to the
// provider as the engine does, and knows a type only by its registered example.
package conformance

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/blang/semver"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/integration"
	presource "github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"tapstack/lib/awsprovider/resource"
)

// DefaultTags are the provider's defaultTags during the drive.
var DefaultTags = map[string]string{"Environment": "conformance"}

// Run drives every type of types, each in a subtest named by its token. calls names the operations of the API that were
// called since it was last asked.
func Run(t *testing.T, provider p.Provider, types []resource.Resource, calls func() []string) {
	server := serve(t, provider)
	for _, r := range types {
		t.Run(r.Token, func(t *testing.T) { drive(t, server, r, calls) })
	}
}

// serve starts the provider in this process and configures it as the program does.
func serve(t *testing.T, provider p.Provider) integration.Server {
	t.Helper()
	server, err := integration.NewServer(context.Background(), "aws", semver.MustParse("6.0.0"), integration.WithProvider(provider))
	if err != nil {
		t.Fatalf("starting the provider: %v", err)
	}
	tags := map[string]property.Value{}
	for k, v := range DefaultTags {
		tags[k] = property.New(v)
	}
	err = server.Configure(p.ConfigureRequest{Args: property.NewMap(map[string]property.Value{
		"region":      property.New("us-east-1"),
		"defaultTags": property.New(map[string]property.Value{"tags": property.New(tags)}),
	})})
	if err != nil {
		t.Fatalf("configuring the provider: %v", err)
	}
	return server
}

// drive is one type's life.
func drive(t *testing.T, server integration.Server, r resource.Resource, calls func() []string) {
	x := &scratch{t: t, server: server}
	row := r.Conformance(x)
	urn := urnOf(r.Token, "under-test")

	inputs := check(t, server, urn, row.Inputs[0])
	if _, err := server.Create(p.CreateRequest{Urn: urn, Properties: inputs, DryRun: true}); err != nil {
		t.Fatalf("previewing the create: %v", err)
	}
	created, err := server.Create(p.CreateRequest{Urn: urn, Properties: inputs})
	if err != nil {
		t.Fatalf("create: %v%s", err, reasons(created.PartialState))
	}
	gone := false
	t.Cleanup(func() {
		if !gone {
			_ = server.Delete(p.DeleteRequest{ID: created.ID, Urn: urn, Properties: created.Properties})
		}
	})
	state := settled(t, server, urn, created.ID, created.Properties, inputs, "create")
	for i, name := range row.Changes {
		state = change(t, server, urn, created.ID, state, check(t, server, urn, row.Inputs[i+1]), name, calls)
	}

	if err := server.Delete(p.DeleteRequest{ID: created.ID, Urn: urn, Properties: state}); err != nil {
		t.Fatalf("delete: %v", err)
	}
	gone = true
	if strings.HasPrefix(r.Token, "random:") {
		return // it lived in the state alone
	}
	read, err := server.Read(p.ReadRequest{ID: created.ID, Urn: urn, Properties: state, Inputs: inputs})
	if err != nil {
		t.Fatalf("reading after delete: %v", err)
	}
	switch {
	case read.ID != "" && row.Silent != "":
		t.Logf("that it is gone is not observable here: %s", row.Silent)
	case read.ID != "":
		t.Errorf("after delete, read still finds %s", read.ID)
	}
	if err := server.Delete(p.DeleteRequest{ID: created.ID, Urn: urn, Properties: state}); err != nil {
		t.Errorf("deleting what is gone must succeed: %v", err)
	}
}

// aboutTags are the operations that a change of tags may call.
var aboutTags = regexp.MustCompile(`^(Get|List|Describe|Head)|Tag|Untag`)

// change applies one change in place and returns the new state.
func change(t *testing.T, server integration.Server, urn presource.URN, id string, state, inputs property.Map, name string, calls func() []string) property.Map {
	t.Helper()
	diff, err := server.Diff(p.DiffRequest{ID: id, Urn: urn, State: state, Inputs: inputs, OldInputs: state})
	if err != nil {
		t.Fatalf("change %q: diff: %v", name, err)
	}
	if !diff.HasChanges {
		t.Fatalf("change %q: diff sees nothing", name)
	}
	for property, d := range diff.DetailedDiff {
		if strings.Contains(string(d.Kind), "replace") {
			t.Errorf("change %q: %s would replace the resource", name, property)
		}
	}
	if _, err := server.Update(p.UpdateRequest{ID: id, Urn: urn, State: state, Inputs: inputs, DryRun: true}); err != nil {
		t.Fatalf("change %q: previewing the update: %v", name, err)
	}
	calls()
	updated, err := server.Update(p.UpdateRequest{ID: id, Urn: urn, State: state, Inputs: inputs})
	if err != nil {
		t.Fatalf("change %q: update: %v%s", name, err, reasons(updated.PartialState))
	}
	_, tags := diff.DetailedDiff["tags"]
	for _, call := range calls() {
		if tags && len(diff.DetailedDiff) == 1 && !aboutTags.MatchString(call) {
			t.Errorf("change %q: %s is called for the sake of tags", name, call)
		}
	}
	return settled(t, server, urn, id, updated.Properties, inputs, "change "+name)
}

// settled holds that reading back gives the same state and that the program's inputs differ in nothing from it.
func settled(t *testing.T, server integration.Server, urn presource.URN, id string, state, inputs property.Map, after string) property.Map {
	t.Helper()
	read, err := server.Read(p.ReadRequest{ID: id, Urn: urn, Properties: state, Inputs: inputs})
	if err != nil {
		t.Fatalf("after %s: read: %v", after, err)
	}
	if read.ID != id {
		t.Fatalf("after %s: read returns id %q, want %q", after, read.ID, id)
	}
	for _, key := range keys(state, read.Properties) {
		if was, now := state.Get(key), read.Properties.Get(key); !was.Equals(now) {
			t.Errorf("after %s: reading back changes %s from %v to %v", after, key, was, now)
		}
	}
	for _, key := range keys(inputs, read.Inputs) {
		if was, now := inputs.Get(key), read.Inputs.Get(key); !was.Equals(now) {
			t.Errorf("after %s: reading back changes the input %s from %v to %v", after, key, was, now)
		}
	}
	diff, err := server.Diff(p.DiffRequest{ID: id, Urn: urn, State: read.Properties, Inputs: inputs, OldInputs: inputs})
	if err != nil {
		t.Fatalf("after %s: diff: %v", after, err)
	}
	for property := range diff.DetailedDiff {
		t.Errorf("after %s: %s still differs: the cloud says %v, the program %v", after, property,
			read.Properties.Get(property), inputs.Get(property))
	}
	return read.Properties
}

// check passes inputs through the provider's Check, as the engine does.
func check(t *testing.T, server integration.Server, urn presource.URN, row map[string]any) property.Map {
	t.Helper()
	in := presource.FromResourcePropertyValue(presource.NewProperty(presource.NewPropertyMapFromMap(row))).AsMap()
	resp, err := server.Check(p.CheckRequest{Urn: urn, Inputs: in})
	if err != nil {
		t.Fatalf("check: %v", err)
	}
	for _, f := range resp.Failures {
		t.Fatalf("check refuses %s: %s", f.Property, f.Reason)
	}
	return resp.Inputs
}

// scratch makes prerequisites through the same provider and removes them when the subtest ends.
type scratch struct {
	t      *testing.T
	server integration.Server
	count  int
}

// Make implements resource.Scratch.
func (x *scratch) Make(token string, inputs map[string]any) resource.Made {
	x.t.Helper()
	x.count++
	urn := urnOf(token, fmt.Sprintf("prerequisite-%d", x.count))
	created, err := x.server.Create(p.CreateRequest{Urn: urn, Properties: check(x.t, x.server, urn, inputs)})
	if err != nil {
		x.t.Fatalf("making the prerequisite %s: %v%s", token, err, reasons(created.PartialState))
	}
	x.t.Cleanup(func() {
		if err := x.server.Delete(p.DeleteRequest{ID: created.ID, Urn: urn, Properties: created.Properties}); err != nil {
			x.t.Errorf("removing the prerequisite %s: %v", token, err)
		}
	})
	outputs := presource.ToResourcePropertyValue(property.New(created.Properties)).ObjectValue()
	return resource.Made{ID: created.ID, Outputs: outputs.MapRepl(nil, plainSecrets)}
}

// Name implements resource.Scratch.
func (x *scratch) Name(prefix string) string {
	x.count++
	return fmt.Sprintf("%s-conf-%d", prefix, x.count)
}

// plainSecrets opens secrets for the use of an example.
func plainSecrets(v presource.PropertyValue) (any, bool) {
	if v.IsSecret() {
		return v.SecretValue().Element.MapRepl(nil, plainSecrets), true
	}
	return nil, false
}

// reasons tells why a resource exists but is not as it should be.
func reasons(partial *p.InitializationFailed) string {
	if partial == nil {
		return ""
	}
	return ": " + strings.Join(partial.Reasons, "; ")
}

func urnOf(token, name string) presource.URN {
	return presource.NewURN("conformance", "tapstack", "", tokens.Type(token), name)
}

func keys(maps2 ...property.Map) []string {
	all := map[string]bool{}
	for _, m := range maps2 {
		for k := range m.All {
			all[k] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}
