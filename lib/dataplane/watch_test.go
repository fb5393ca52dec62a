package dataplane

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestWhatIsToBeLookedAtAgainIsThoughNothingHasChanged(t *testing.T) {
	a := &aspect{services: []string{"rds"}, every: time.Hour}
	for name, changes := range map[string]map[string]int{"nothing was ever called": {}, "something was": {"rds": 3}} {
		w := newWatcher(nil)
		w.changes = changes
		assert.True(t, w.due(a), name)
		assert.False(t, w.due(a), name)
		w.failed(a)
		assert.True(t, w.due(a), name)
		assert.False(t, w.due(a), name)
	}
	elsewhere := newWatcher(nil) // where nobody tells of changes
	assert.True(t, elsewhere.due(a))
	assert.False(t, elsewhere.due(a))
	elsewhere.failed(a)
	soon := elsewhere.looked[a]
	soon.at = soon.at.Add(-pollInterval)
	elsewhere.looked[a] = soon
	assert.True(t, elsewhere.due(a))
}
