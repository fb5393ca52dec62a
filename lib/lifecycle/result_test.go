package lifecycle_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"tapstack/lib/lifecycle"
)

func TestAResultIsSummedUpInWords(t *testing.T) {
	mixed := map[string]int{"create": 2, "update": 1, "same": 140}
	same := map[string]int{"same": 143}
	for want, result := range map[string]lifecycle.Result{
		"2 created, 1 updated, 140 unchanged":     {Operation: "up", Changes: mixed},
		"2 to create, 1 to update, 140 unchanged": {Operation: "preview", Changes: mixed},
		"no changes, 143 resources":               {Operation: "preview", Changes: same},
		"no changes, 1 resource":                  {Operation: "up", Changes: map[string]int{"same": 1}},
		"no drift in 143 resources":               {Operation: "refresh", Changes: same},
		"3 of 143 resources drifted":              {Operation: "refresh", Changes: mixed},
	} {
		assert.Equal(t, want, result.String())
	}
}
