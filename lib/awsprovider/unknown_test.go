package awsprovider_test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/blang/semver"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/integration"
	presource "github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/awsprovider"
	"tapstack/lib/awsprovider/resource"
)

// CrateArgs are the inputs of a type for this test alone.
type CrateArgs struct {
	Name  string   `pulumi:"name"           aws:"forcenew"`
	Zone  *string  `pulumi:"zone,optional"  aws:"forcenew,computed"`
	Label *string  `pulumi:"label,optional" aws:"computed"`
	Items []string `pulumi:"items"`
	Seals []string `pulumi:"seals,optional" aws:"computed"`
}

type crateState struct{ CrateArgs }

func TestAnInputThatIsNotKnownYetIsAChange(t *testing.T) {
	crate := resource.Define(resource.Description[CrateArgs, crateState]{
		Token:   "aws:shelf/crate:Crate",
		Create:  func(context.Context, *resource.Cloud, CrateArgs) (string, error) { return "crate", nil },
		Read:    func(_ context.Context, _ *resource.Cloud, _ string, s crateState) (crateState, error) { return s, nil },
		Update:  func(context.Context, *resource.Cloud, string, crateState, CrateArgs) error { return nil },
		Delete:  func(context.Context, *resource.Cloud, string, crateState) error { return nil },
		Example: func(resource.Scratch) resource.Example[CrateArgs] { return resource.Example[CrateArgs]{} },
	})
	provider, err := awsprovider.Assemble(aws.Config{}, []resource.Resource{crate}, nil)
	require.NoError(t, err)
	server, err := integration.NewServer(t.Context(), "aws", semver.MustParse("6.0.0"), integration.WithProvider(provider))
	require.NoError(t, err)
	state := property.NewMap(map[string]property.Value{
		"name": property.New("a"), "zone": property.New("west"), "label": property.New("fragile"),
		"items": property.New([]property.Value{property.New("one")}), "seals": property.New([]property.Value{property.New("red")}),
	})
	urn := presource.NewURN("s", "p", "", "aws:shelf/crate:Crate", "crate")
	unknown := property.New(property.Computed)
	within := property.New([]property.Value{unknown})
	for _, c := range []struct {
		name  string
		value property.Value
		want  p.DiffKind
	}{
		{"name", unknown, p.UpdateReplace},
		{"zone", unknown, p.UpdateReplace},
		{"label", unknown, p.Update},
		{"items", unknown, p.Update},
		{"items", within, p.Update},
		{"seals", unknown, ""},
		{"seals", within, p.Update},
	} {
		checked, err := server.Check(p.CheckRequest{Urn: urn, Inputs: state.Set(c.name, c.value)})
		require.NoError(t, err, c.name)
		require.Empty(t, checked.Failures, c.name)
		diff, err := server.Diff(p.DiffRequest{ID: "crate", Urn: urn, State: state, OldInputs: state, Inputs: checked.Inputs})
		require.NoError(t, err, c.name)
		assert.Equal(t, c.want != "", diff.HasChanges, c.name)
		if c.want == "" {
			assert.Empty(t, diff.DetailedDiff, c.name)
			continue
		}
		assert.Equal(t, map[string]p.PropertyDiff{c.name: {Kind: c.want, InputDiff: true}}, diff.DetailedDiff)
	}
}
