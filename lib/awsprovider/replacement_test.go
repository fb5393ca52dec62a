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
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
		require.NoError(t, os.WriteFile(golden, []byte(got), 0o600))
	}
	file, err := os.ReadFile(golden)
	require.NoError(t, err, "write it with -update, then review it")
	want := strings.Split(string(file), "\n")
	for _, line := range strings.Split(got, "\n") {
		assert.Contains(t, want, line, "not in the reviewed table")
	}
	for _, line := range want {
		assert.Contains(t, strings.Split(got, "\n"), line, "in the reviewed table only")
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
	require.Error(t, err, "it is assembled")
	for _, part := range []string{token, "no conformance example", "registered twice"} {
		assert.ErrorContains(t, err, part)
	}
}

// A create that fails half-way leaves a state without the outputs that only a read knows. Lists and maps among them are
// then missing, and infer refuses to decode, and so to delete, a state that lacks a required one.
func TestAHalfMadeStateOfEveryTypeCanBeDecoded(t *testing.T) {
	provider, err := awsprovider.Assemble(aws.Config{}, awsprovider.Resources(), nil)
	require.NoError(t, err)
	server, err := integration.NewServer(context.Background(), "aws", semver.MustParse("6.0.0"), integration.WithProvider(provider))
	require.NoError(t, err)
	resp, err := server.GetSchema(p.GetSchemaRequest{})
	require.NoError(t, err)
	var spec pschema.PackageSpec
	require.NoError(t, json.Unmarshal([]byte(resp.Schema), &spec))
	require.Len(t, spec.Resources, len(awsprovider.Resources()))
	for token, r := range spec.Resources {
		for name, property := range r.Properties {
			_, input := r.InputProperties[name]
			collection := property.Type == "array" || property.Type == "object" || property.Ref != ""
			assert.False(t, collection && !input && slices.Contains(r.Required, name), token)
		}
	}
}
