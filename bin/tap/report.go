package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"tapstack/lib/lifecycle"
	"tapstack/lib/verify"
)

// rootType is the stack itself among its resources.
const rootType = "pulumi:pulumi:Stack"

// operations are the engine's, with their signs and how they read when they are done, in the order of reports.
var operations = []struct{ op, sign, past string }{
	{"create", "+", "created"},
	{"update", "~", "updated"},
	{"replace", "±", "replaced"},
	{"create-replacement", "+", "created anew"},
	{"delete-replaced", "-", "deleted the old"},
	{"delete", "-", "deleted"},
	{"import", "=", "imported"},
	{"same", " ", "unchanged"},
}

func past(op string) string {
	for _, known := range operations {
		if known.op == op {
			return known.past
		}
	}
	return op
}

func sign(op string) string {
	for _, known := range operations {
		if known.op == op {
			return known.sign
		}
	}
	return "*"
}

// changesText sums a result up in a few words. With the prefix "to " it speaks of what is planned.
func changesText(result lifecycle.Result, prefix string) string {
	if result.Altered() == 0 {
		return "no changes, " + plural(result.Total(), "resource")
	}
	var parts []string
	for _, known := range operations {
		count := result.Changes[known.op]
		if count == 0 {
			continue
		}
		word := known.past
		if prefix != "" && known.op != "same" {
			word = prefix + known.op
		}
		parts = append(parts, fmt.Sprintf("%d %s", count, word))
	}
	return strings.Join(parts, ", ")
}

func driftText(result lifecycle.Result) string {
	if result.Altered() == 0 {
		return fmt.Sprintf("no drift in %d resources", result.Total())
	}
	return fmt.Sprintf("%d of %d resources drifted", result.Altered(), result.Total())
}

func countsText(counts verify.Counts) string {
	return fmt.Sprintf("%d passed, %d failed, %d not observable here", counts.Passed, counts.Failed, counts.NotObservable)
}

// plural counts things in words.
func plural(count int, thing string) string {
	if count == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", count, thing)
}

// made counts the resources that a deployment created, the engine's own not among them.
func made(result lifecycle.Result) int {
	count := 0
	for _, step := range result.Changed {
		if step.Op == "create" && !strings.HasPrefix(step.Type, "pulumi:") {
			count++
		}
	}
	return count
}

func (a *app) printJSON(value any) error {
	encoder := json.NewEncoder(a.stdout)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
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

func (a *app) printChanges(p *plan, result lifecycle.Result) error {
	all := changesOf(result)
	if p.json {
		return a.printJSON(map[string]any{"changes": result.Changes, "resources": all})
	}
	for _, it := range all {
		line := fmt.Sprintf("%s %s %s", sign(it.Op), it.Type, it.Name)
		if len(it.Properties) > 0 && it.Op != "create" && it.Op != "delete" {
			line += " [" + strings.Join(it.Properties, ", ") + "]"
		}
		a.print("%s", line)
	}
	return nil
}

func (a *app) printOutputs(outputs map[string]any) {
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, name := range slices.Sorted(maps.Keys(outputs)) {
		text := fmt.Sprint(outputs[name])
		if list, is := outputs[name].([]any); is {
			parts := make([]string, len(list))
			for index, item := range list {
				parts[index] = fmt.Sprint(item)
			}
			text = strings.Join(parts, " ")
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\n", name, text)
	}
	_ = table.Flush()
}

// printReport lists the checks that did not pass, those that failed with what was expected and seen, then the counts.
func (a *app) printReport(report verify.Report, colours bool) {
	for _, result := range report.Results {
		if result.Status == verify.NotObservable {
			a.print("%s  %s: %s", paint(colours, "33", "not observable here"), result.ID, result.Reason)
		}
	}
	for _, result := range report.Results {
		if result.Status == verify.Failed {
			a.print("%s  %s: %s", paint(colours, "31", "failed"), result.ID, result.Says)
			a.printEvidence(result)
		}
	}
	if report.Problem != "" {
		a.print("%s  %s", paint(colours, "31", "problem"), report.Problem)
	}
	a.print("%s, of %d checks", countsText(report.Counts), report.Counts.Total)
	if report.Target.Where != "" {
		a.print("On %s.", report.Target.Where)
	}
}

// evidenceLimit is how much of a value is printed, in characters; reports have all of it.
const evidenceLimit = 400

// printEvidence tells of a failed check what was expected, what was seen and where, or why it could not look.
func (a *app) printEvidence(result verify.Result) {
	type fact struct{ name, text string }
	facts := []fact{{"expected", result.Expected}, {"actual", result.Actual}}
	if !slices.ContainsFunc(result.Observations, func(o verify.Observation) bool { return !o.OK }) {
		facts = []fact{{"why", result.Reason}}
	}
	for _, it := range append(facts, fact{"ARN", result.ARN}) {
		if text := []rune(it.text); len(text) > evidenceLimit {
			it.text = string(text[:evidenceLimit]) + "…"
		}
		if it.text != "" {
			a.print("        %-8s  %s", it.name, it.text)
		}
	}
}

func (a *app) printLeft(found []string) {
	if len(found) == 0 {
		a.print("Nothing is left.")
		return
	}
	a.print("Left behind, %s:", plural(len(found), "resource"))
	for _, it := range found {
		a.print("  %s", it)
	}
}
