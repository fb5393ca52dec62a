package judge

import (
	"fmt"
	"path"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

// finding is what a judge holds against something.
type finding struct {
	Rule     string `json:"rule"`
	Resource string `json:"resource"` // the program's name of it, or what the judge calls it
	Message  string `json:"message"`
}

func (f finding) String() string { return fmt.Sprintf("%s %s: %s", f.Rule, f.Resource, f.Message) }

// plantedName is the name of what is wrong on purpose.
const plantedName = "planted"

// acceptance lets a rule's findings of some resources pass.
type acceptance struct {
	judge, rule string
	resource    string // a pattern, as path.Match has them
	reason      string
}

func (a acceptance) String() string { return fmt.Sprintf("%s %s %s", a.judge, a.rule, a.resource) }

// verdict is what the findings of one judge come to.
type verdict struct {
	accepted, failed []finding
	planted          []string     // rules that the planted faults broke
	stale            []acceptance // let nothing pass
}

func judgement(judge string, found []finding, known []acceptance) verdict {
	var v verdict
	used := map[acceptance]bool{}
	for _, f := range found {
		if f.Resource == plantedName {
			v.planted = append(v.planted, f.Rule)
			continue
		}
		i := slices.IndexFunc(known, func(a acceptance) bool {
			matches, err := path.Match(a.resource, f.Resource)
			return err == nil && matches && a.judge == judge && a.rule == f.Rule
		})
		if i < 0 {
			v.failed = append(v.failed, f)
			continue
		}
		used[known[i]] = true
		v.accepted = append(v.accepted, f)
	}
	for _, a := range known {
		if a.judge == judge && !used[a] {
			v.stale = append(v.stale, a)
		}
	}
	return v
}

func TestAFindingIsAcceptedByItsRuleAndResourceAlone(t *testing.T) {
	known := []acceptance{
		{"a", "R1", "log-*", "because"}, {"a", "R2", "*", "nobody finds it any more"}, {"b", "R1", "*", "of another judge"},
	}
	v := judgement("a", []finding{
		{"R1", "log-group", "m"}, {"R1", "queue", "m"}, {"R3", "log-group", "m"}, {"R4", plantedName, "m"},
	}, known)
	assert.Equal(t, verdict{
		accepted: []finding{{"R1", "log-group", "m"}},
		failed:   []finding{{"R1", "queue", "m"}, {"R3", "log-group", "m"}},
		planted:  []string{"R4"},
		stale:    []acceptance{known[1]},
	}, v)
}

func TestEveryAcceptedFindingHasAReasonAndIsOfAJudge(t *testing.T) {
	names := map[string]bool{}
	for _, j := range judges {
		names[j.name] = true
		assert.NotEmpty(t, j.planted, "%s has a planted fault to find", j.name)
	}
	seen := map[string]bool{}
	for _, a := range accepted {
		assert.True(t, names[a.judge], "%s is of a judge", a)
		assert.Greater(t, len(a.reason), 20, "%s says why", a)
		assert.False(t, seen[a.String()], "%s stands there once", a)
		seen[a.String()] = true
		_, err := path.Match(a.resource, "")
		assert.NoError(t, err, "%s", a)
	}
}
