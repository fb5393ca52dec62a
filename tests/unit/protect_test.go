package unit_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"tapstack/lib"
	"tapstack/lib/inventory"
)

func TestWhatIsLostForGoodIsProtectedWhereThatIsConfigured(t *testing.T) {
	allowed := []string{"aurora-cluster", "vpc"}
	r := deploy(t, map[string]string{lib.ConfigProtect: "true", lib.ConfigAllowReplace: "aurora-cluster, vpc", "domainName": "pay.example.com", "hostedZoneId": "Z123"})
	for _, d := range r.sorted() {
		want := inventory.Lost(d.token) != "" && !slices.Contains(allowed, d.name)
		assert.Equal(t, want, d.request.GetProtect(), "%s %s", d.token, d.name)
	}
}
