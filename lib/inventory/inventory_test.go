package inventory

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestEveryTypeThatTheProgramDeclaresIsKnown is where a new kind of resource shows first.
func TestEveryTypeThatTheProgramDeclaresIsKnown(t *testing.T) {
	all, err := program()
	require.NoError(t, err)
	require.Greater(t, len(all), 150)
	of := map[string]string{}
	note := func(token, of_ string) {
		assert.Empty(t, of[token], "%s is of two kinds", token)
		of[token] = of_
	}
	for _, k := range Kinds() {
		for _, token := range slices.Concat(k.Types, slices.Collect(maps.Keys(k.Parts))) {
			note(token, k.Name)
		}
	}
	for _, token := range NotInCloud() {
		note(token, "nothing in the cloud")
	}
	used := map[string]bool{}
	for _, r := range all {
		used[r.Type] = true
		assert.NotEmpty(t, of[r.Type], "the program declares %s: add a Kind with this type to its service's file in lib/inventory, or the type to the Parts of one", r.Type)
	}
	for _, k := range Kinds() {
		for _, token := range slices.Concat(k.Types, slices.Collect(maps.Keys(k.Parts))) {
			assert.True(t, used[token], "lib/inventory: the %s is made by %s, which the program does not declare", k, token)
		}
	}
}

// TestEveryKindIsWhole asks each kind for all that others read from it.
func TestEveryKindIsWhole(t *testing.T) {
	names, removal := map[string]bool{}, RemovalOrder()
	for _, k := range Kinds() {
		assert.False(t, names[k.Name], "two kinds are called %s", k)
		names[k.Name] = true
		if k != Other {
			assert.NotNil(t, k.lister(), "lib/inventory does not list the %s: nothing would tell that one is left", k)
			assert.NotEmpty(t, k.Service, "lib/inventory: the %s is of no service", k)
		}
		assert.Equal(t, len(k.IAM) == 0, k.NotInIAM != "", "lib/inventory: the %s needs its IAM resources, or the reason why no policy names it", k)
		assert.True(t, slices.Contains(removal, k), "the %s must stand in lib/inventory/inventory.go once", k)
		if len(k.Types) > 0 && k != DNSRecord {
			assert.NotEmpty(t, k.ProgramNames(), "lib/inventory: NameInput of the %s finds no name that ends in the suffix", k)
		}
		if q := k.Quota; q != nil {
			assert.NotEmpty(t, q.What, k)
			assert.Equal(t, q.Service == "", q.Code == "", k)
		}
		for _, r := range k.IAM {
			assert.NotEmpty(t, r.ARN, k)
			assert.NotEmpty(t, r.Sid, k)
		}
	}
	assert.Len(t, removal, len(Kinds()), "lib/inventory/inventory.go has a kind that is not in Kinds")
}
