package awsprovider_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/blang/semver"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/integration"
	pschema "github.com/pulumi/pulumi/pkg/v3/codegen/schema"

	"tapstack/lib/awsprovider"
	"tapstack/lib/awsprovider/random"
	"tapstack/lib/awsprovider/resource"
)

var update = flag.Bool("update", false, "write the golden files anew")

// replacementTable says for every type which properties force replacement, one line a type.
func replacementTable(types []resource.Resource) string {
	var lines []string
	for _, r := range types {
		properties := slices.Sorted(slices.Values(r.ForceNew))
		switch len(properties) {
		case 0:
			properties = []string{"-"}
		case len(r.Inputs):
			properties = append([]string{"*"}, properties...)
		}
		lines = append(lines, fmt.Sprintf("%s → %s", r.Token, strings.Join(properties, " ")))
	}
	slices.Sort(lines)
	return "# Which properties force replacement, reviewed against the docs of pulumi-aws v6 and pulumi-random v4 and the\n" +
		"# schemas behind them. * = every property, - = none. Written by: go test ./lib/awsprovider -run Replace -update\n" +
		strings.Join(lines, "\n") + "\n"
}

func TestReplacementIsForcedWhereTheOfficialProviderForcesIt(t *testing.T) {
	got := replacementTable(slices.Concat(awsprovider.Resources(), random.Resources()))
	golden := filepath.Join("testdata", "replacement.txt")
	if *update {
		if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile(golden)
	if err != nil {
		t.Fatalf("%v; write it with -update, then review it", err)
	}
	want := strings.Split(string(file), "\n")
	for _, line := range strings.Split(got, "\n") {
		if !slices.Contains(want, line) {
			t.Errorf("not in the reviewed table: %s", line)
		}
	}
	for _, line := range want {
		if !slices.Contains(strings.Split(got, "\n"), line) {
			t.Errorf("in the reviewed table alone: %s", line)
		}
	}
}

func TestADescriptionWithoutAnExampleIsNotAssembled(t *testing.T) {
	type Args struct {
		Name string `pulumi:"name"`
	}
	type State struct{ Args }
	const token = "aws:shelf/box:Box"
	r := resource.Define(resource.Description[Args, State]{
		Token:  token,
		Create: func(context.Context, *resource.Cloud, Args) (string, error) { return "box", nil },
		Read:   func(_ context.Context, _ *resource.Cloud, _ string, s State) (State, error) { return s, nil },
		Delete: func(context.Context, *resource.Cloud, string, State) error { return nil },
	})
	_, err := awsprovider.Assemble(aws.Config{}, []resource.Resource{r, r}, nil)
	if err == nil {
		t.Fatal("it is assembled")
	}
	for _, part := range []string{token, "no conformance example", "registered twice"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not mention %q", err, part)
		}
	}
}

// A create that fails half-way leaves a state without the outputs that only a read knows. Lists and maps among them are
// then missing, and infer refuses to decode, and so to delete, a state that lacks a required one.
func TestAHalfMadeStateOfEveryTypeCanBeDecoded(t *testing.T) {
	provider, err := awsprovider.Assemble(aws.Config{}, awsprovider.Resources(), nil)
	if err != nil {
		t.Fatal(err)
	}
	server, err := integration.NewServer(context.Background(), "aws", semver.MustParse("6.0.0"), integration.WithProvider(provider))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.GetSchema(p.GetSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var spec pschema.PackageSpec
	if err := json.Unmarshal([]byte(resp.Schema), &spec); err != nil {
		t.Fatal(err)
	}
	if len(spec.Resources) != len(awsprovider.Resources()) {
		t.Fatalf("the schema has %d types, want %d", len(spec.Resources), len(awsprovider.Resources()))
	}
	for token, r := range spec.Resources {
		for name, property := range r.Properties {
			_, input := r.InputProperties[name]
			collection := property.Type == "array" || property.Type == "object" || property.Ref != ""
			if collection && !input && slices.Contains(r.Required, name) {
				t.Errorf("%s: the output %s must be optional", token, name)
			}
		}
	}
}
