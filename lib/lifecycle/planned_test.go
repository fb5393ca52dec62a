package lifecycle_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"tapstack/lib/lifecycle"
)

// titled declares a thing with a title of any kind, and a second one whose title is the first one's id.
func titled(title pulumi.StringInput) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		first := &struct{ pulumi.CustomResourceState }{}
		if err := ctx.RegisterResource("toy:index:Thing", "first", pulumi.Map{"title": title, "millis": pulumi.Int(0)}, first); err != nil {
			return err
		}
		second := &struct{ pulumi.CustomResourceState }{}
		return ctx.RegisterResource("toy:index:Thing", "second", pulumi.Map{"title": first.ID()}, second)
	}
}

func TestAPreviewTellsEveryPlannedResourceWithItsInputs(t *testing.T) {
	t.Parallel()
	dir, cloud := t.TempDir(), newToy()
	stack := open(t, dir, cloud, titled(pulumi.String("one")), nil)

	planned := map[string]lifecycle.Resource{}
	preview := func() {
		t.Helper()
		result := run(t, stack.Preview)
		clear(planned)
		for _, resource := range result.Planned {
			require.NotContains(t, planned, resource.Name, "each resource once")
			planned[resource.Name] = resource
		}
	}

	preview()
	require.Equal(t, "toy:index:Thing", planned["first"].Type)
	require.Equal(t, "one", planned["first"].Inputs["title"])
	require.EqualValues(t, 0, planned["first"].Inputs["millis"])
	require.Equal(t, lifecycle.Unknown, planned["second"].Inputs["title"])
	require.Contains(t, planned, "toy-dev", "the stack itself")

	deployed := run(t, stack.Up)
	require.Empty(t, deployed.Planned, "only previews plan")

	preview()
	require.Equal(t, "one", planned["first"].Inputs["title"], "what is left as it is stays planned")
	require.Equal(t, "first", planned["second"].Inputs["title"], "and is known by now")

	stack.Close()
	stack = open(t, dir, cloud, titled(pulumi.ToSecret(pulumi.String("hush-hush")).(pulumi.StringOutput)), nil)
	preview()
	require.Equal(t, lifecycle.Secret, planned["first"].Inputs["title"])

	stack.Close()
	stack = open(t, dir, cloud, things(), nil)
	preview()
	require.NotContains(t, planned, "first", "what is to be deleted is not planned")
	run(t, stack.Destroy)
}
