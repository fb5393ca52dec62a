package cost

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheTablesOfRulesFitEachOtherAndThePrices(t *testing.T) {
	data, err := os.ReadFile("prices/us-east-1.json")
	require.NoError(t, err)
	table, err := ParseTable(data)
	require.NoError(t, err)

	for kind, rule := range rules {
		require.Contains(t, groups, rule.group, kind)
		require.NotContains(t, freeTypes, kind, "either it costs something or it does not")
	}
	for kind, why := range freeTypes {
		require.NotEmpty(t, why, kind)
	}
	names := map[string]bool{}
	for _, it := range assumptions {
		require.False(t, names[it.name], "%s twice", it.name)
		names[it.name] = true
		require.NotEmpty(t, it.why, it.name)
		price, known := table.byKey[it.price]
		require.True(t, known, "%s: the table has no price %s", it.name, it.price)
		require.NotEqual(t, byHour, units[price.Unit], it.name)
		for _, text := range []string{it.perMonth, it.once} {
			_, err := ParseAmount(text)
			require.NoError(t, err, it.name)
		}
	}
}
