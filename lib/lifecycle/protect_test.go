package lifecycle_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
)

// vault declares a thing of that title, protected or not, or none.
func vault(title string, protect bool) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		if title == "" {
			return nil
		}
		return ctx.RegisterResource("toy:index:Thing", "vault", pulumi.Map{"title": pulumi.String(title)},
			&struct{ pulumi.CustomResourceState }{}, pulumi.Protect(protect))
	}
}

func TestWhatIsProtectedGoesOnlyWhereThatIsAllowed(t *testing.T) {
	dir, cloud := t.TempDir(), newToy()
	first := open(t, dir, cloud, vault("gold", false), nil)
	run(t, first.Up)
	first.Close()

	protecting := open(t, dir, cloud, vault("gold", true), nil)
	planned := run(t, protecting.Preview)
	require.Zero(t, planned.Altered())
	require.True(t, planned.Protects)
	run(t, protecting.Up)
	require.False(t, run(t, protecting.Preview).Protects)
	state, err := protecting.State(t.Context())
	require.NoError(t, err)
	require.True(t, state.Protected)
	protecting.Close()

	const refusal = "toy:index:Thing vault: would be replaced or deleted, and is protected\n" +
		"Nothing was changed. Take the change of the configuration or of the program back, or allow it with --allow-replace vault"
	without := open(t, dir, cloud, vault("", false), nil)
	_, err = without.Preview(t.Context())
	require.ErrorContains(t, err, refusal)
	_, err = without.Up(t.Context())
	require.ErrorContains(t, err, refusal)
	_, err = without.Destroy(t.Context())
	require.ErrorContains(t, err, refusal)
	require.Equal(t, 1, cloud.count())

	require.NoError(t, without.Unprotect(t.Context(), "cellar"))
	_, err = without.Preview(t.Context())
	require.ErrorContains(t, err, refusal)
	require.NoError(t, without.Unprotect(t.Context(), "cellar", "vault"))
	require.Equal(t, 1, run(t, without.Preview).Changes["delete"])
	without.Close()

	protecting = open(t, dir, cloud, vault("gold", true), nil)
	run(t, protecting.Up)
	require.NoError(t, protecting.Unprotect(t.Context()))
	state, err = protecting.State(t.Context())
	require.NoError(t, err)
	require.False(t, state.Protected)
	run(t, protecting.Destroy)
	require.Zero(t, cloud.count())
}
