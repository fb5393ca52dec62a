package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tapstack/lib/lifecycle"
)

// rootType is the stack itself among its resources.
const rootType = "pulumi:pulumi:Stack"

// say writes a line for people, apart from results.
func (a *app) say(format string, arguments ...any) {
	_, _ = fmt.Fprintf(a.stderr, format+"\n", arguments...)
}

// print writes a line of the result.
func (a *app) print(format string, arguments ...any) {
	_, _ = fmt.Fprintf(a.stdout, format+"\n", arguments...)
}

// paint colours a text of the result, where that goes to a terminal.
func (a *app) paint(colour, text string) string { return paint(a.stdout.Colours, colour, text) }

func (a *app) printJSON(value any) error {
	encoder := json.NewEncoder(a.stdout)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}

// plural counts things in words.
func plural(count int, thing string) string {
	if count == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", count, thing)
}

func (a *app) noteAssumed(r *request) {
	for _, key := range slices.Sorted(maps.Keys(r.assumed)) {
		a.display.Note(fmt.Sprintf("%s is not given: using the test value %s", key, r.assumed[key]))
	}
}

// change is one line of a preview or of drift.
type change struct {
	Op         string   `json:"op"`
	Type       string   `json:"type"`
	Name       string   `json:"name"`
	Properties []string `json:"properties,omitempty"`
}

func changesOf(result lifecycle.Result) []change {
	all := []change{}
	for _, step := range result.Changed {
		if step.Type != rootType {
			all = append(all, change{step.Op, step.Type, step.Name, step.Properties})
		}
	}
	return all
}

// signs stand for the engine's operations.
var signs = map[string]string{
	"create": "+", "update": "~", "replace": "±", "create-replacement": "+", "delete-replaced": "-", "delete": "-", "import": "=", "same": " ",
}

func (a *app) printChanges(r *request, result lifecycle.Result) error {
	all := changesOf(result)
	if r.json {
		return a.printJSON(map[string]any{"changes": result.Changes, "resources": all})
	}
	for _, it := range all {
		line := fmt.Sprintf("%s %s %s", cmp.Or(signs[it.Op], "*"), it.Type, it.Name)
		if len(it.Properties) > 0 && it.Op != "create" && it.Op != "delete" {
			line += " [" + strings.Join(it.Properties, ", ") + "]"
		}
		a.print("%s", line)
	}
	return nil
}
