package cost

import (
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/inventory"
)

func TestTheTablesOfRulesFitEachOtherAndThePrices(t *testing.T) {
	data, err := os.ReadFile("prices/us-east-1.json")
	require.NoError(t, err)
	table, err := ParseTable(data)
	require.NoError(t, err)

	free := inventory.FreeTypes()
	for token, rule := range rules {
		assert.Contains(t, groups, rule.group, token)
		assert.NotContains(t, free, token, "either it costs something (lib/cost/rules.go) or it does not (lib/inventory)")
	}
	known := map[string]bool{}
	for _, k := range inventory.Kinds() {
		for _, token := range slices.Concat(k.Types, slices.Collect(maps.Keys(k.Parts))) {
			known[token] = true
			if free[token] == "" {
				assert.Contains(t, rules, token, "the %s has no rule in lib/cost/rules.go, and lib/inventory does not say why it is free", k)
			}
		}
	}
	for token := range rules {
		assert.True(t, known[token], "%s is priced, and lib/inventory knows no such type", token)
	}
	names := map[string]bool{}
	for _, it := range assumptions {
		assert.False(t, names[it.name], "%s twice", it.name)
		names[it.name] = true
		assert.NotEmpty(t, it.why, it.name)
		price, known := table.byKey[it.price]
		assert.True(t, known, "%s: the table has no price %s", it.name, it.price)
		assert.NotEqual(t, byHour, units[price.Unit], it.name)
		for _, text := range []string{it.perMonth, it.once} {
			_, err := ParseAmount(text)
			assert.NoError(t, err, it.name)
		}
	}
}
