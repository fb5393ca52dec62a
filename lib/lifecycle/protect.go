package lifecycle

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
)

// Unprotect takes the protection off the resources of these logical names, or off all where there are none, in the state
// alone. The next Up of a program that protects them puts it back.
func (s *Stack) Unprotect(ctx context.Context, names ...string) error {
	exported, err := s.export(ctx)
	if err != nil || !unprotect(exported.Deployment.Resources, names) {
		return err
	}
	return s.replace(ctx, exported)
}

// unprotect says whether it has changed anything.
func unprotect(resources []apitype.ResourceV3, names []string) (changed bool) {
	for i, r := range resources {
		if r.Protect && (len(names) == 0 || slices.Contains(names, r.URN.Name())) {
			resources[i].Protect, changed = false, true
		}
	}
	return changed
}

// protection is how the engine refuses to touch what is protected. A replacement that follows from another's names that too.
var protection = regexp.MustCompile(`(?s)resource "?(urn:[^"\s]+)"?.*(marked for protection|because it is protected)`)

// explainProtection puts the failures that are about protected resources in plain words, and answers with what to do.
func explainProtection(failures []Failure) (next string) {
	var names []string
	for i, failure := range failures {
		found := protection.FindStringSubmatch(failure.Message)
		if found == nil {
			continue
		}
		kind, name := typeAndName(found[1])
		failures[i] = Failure{Type: kind, Name: name, Message: "would be replaced or deleted, and is protected"}
		names = append(names, name)
	}
	if names == nil {
		return ""
	}
	slices.Sort(names)
	return fmt.Sprintf("Nothing was changed. Take the change of the configuration or of the program back, or allow it with --allow-replace %s",
		strings.Join(slices.Compact(names), ","))
}
