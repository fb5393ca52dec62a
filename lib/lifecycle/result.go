package lifecycle

import (
	"fmt"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Result tells what an operation did, or would do.
type Result struct {
	Operation string         `json:"operation"`
	Changes   map[string]int `json:"changes"` // resources by what happened to them: create, update, same …
	Changed   []Step         `json:"-"`       // those that were altered, in the order in which that ended
	Planned   []Resource     `json:"-"`       // of a preview only: every resource there will be, whether altered or not
	Duration  time.Duration  `json:"-"`
	// Protects says that a resource is protected, or no longer is, which alters nothing in the cloud.
	Protects bool `json:"-"`

	// plan is of a preview of an existing stack only.
	plan map[resource.URN]apitype.ResourcePlanV1
}

// Total is the number of resources that the operation looked at.
func (r Result) Total() int {
	total := 0
	for _, count := range r.Changes {
		total += count
	}
	return total
}

// Altered is the number of resources that the operation alters.
func (r Result) Altered() int {
	altered := 0
	for op, count := range r.Changes {
		if changes(op) {
			altered += count
		}
	}
	return altered
}

// steps are the engine's, and how they read when they are done, in the order of summaries.
var steps = []struct{ op, past string }{
	{"create", "created"},
	{"update", "updated"},
	{"replace", "replaced"},
	{"create-replacement", "created anew"},
	{"delete-replaced", "deleted the old"},
	{"delete", "deleted"},
	{"import", "imported"},
	{"same", "unchanged"},
}

// Past is the step's operation in the past tense.
func (s Step) Past() string {
	for _, known := range steps {
		if known.op == s.Op {
			return known.past
		}
	}
	return s.Op
}

// String sums the result up in a few words: 2 created, 140 unchanged.
func (r Result) String() string {
	switch {
	case r.Operation == "refresh" && r.Altered() == 0:
		return fmt.Sprintf("no drift in %d resources", r.Total())
	case r.Operation == "refresh":
		return fmt.Sprintf("%d of %d resources drifted", r.Altered(), r.Total())
	case r.Altered() == 0 && r.Total() == 1:
		return "no changes, 1 resource"
	case r.Altered() == 0:
		return fmt.Sprintf("no changes, %d resources", r.Total())
	}
	var parts []string
	for _, known := range steps {
		word := known.past
		if r.Operation == "preview" && known.op != "same" {
			word = "to " + known.op
		}
		if count := r.Changes[known.op]; count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count, word))
		}
	}
	return strings.Join(parts, ", ")
}
