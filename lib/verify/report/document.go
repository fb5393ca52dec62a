package report

import (
	"slices"
	"strings"
	"time"

	"tapstack/lib/verify"
)

// schemaVersion is the version of the document's shape. Fields may be added under the same version; a field that goes
// or changes its meaning needs a new one.
const schemaVersion = 1

// status is the outcome of a check or of several taken together.
type status string

// The outcomes. The first four are those of verify; the others only several checks together, or none, can have.
const (
	passed           = status(verify.Passed)
	failed           = status(verify.Failed)
	notObservable    = status(verify.NotObservable)
	switchedOff      = status(verify.SwitchedOff)
	partlyObservable = status("partlyObservable") // some passed, the others cannot be observed here or are switched off
	elsewhere        = status("elsewhere")        // not about the cloud: held by something else
	notRun           = status("notRun")           // none of its checks was part of the run
)

// document is a run with all that the formats tell of it. Its JSON form is described by schema/v1.json.
type document struct {
	Schema     string        `json:"$schema"`
	Version    int           `json:"version"`
	OK         bool          `json:"ok"`
	Suffix     string        `json:"suffix"`
	Target     verify.Target `json:"target"`
	Started    time.Time     `json:"started"`
	DurationMS float64       `json:"durationMs"`
	Counts     verify.Counts `json:"counts"`
	APICalls   int           `json:"apiCalls"`
	Problem    string        `json:"problem,omitempty"`
	Sections   []section     `json:"sections"`
	Clauses    []clause      `json:"clauses"`
	Checks     []check       `json:"checks"`
}

// section is a heading of the brief with its bullets.
type section struct {
	Title   string   `json:"title"`
	Status  status   `json:"status"`
	Bullets []bullet `json:"bullets"`
}

type bullet struct {
	ID        string   `json:"id"`
	Text      string   `json:"text"`
	Status    status   `json:"status"`
	Checks    []string `json:"checks"`
	Elsewhere string   `json:"elsewhere,omitempty"`
}

// clause is a PCI DSS v4.0.1 requirement that checks speak to.
type clause struct {
	ID     string   `json:"id"`
	Title  string   `json:"title"`
	Status status   `json:"status"`
	Checks []string `json:"checks"`
	Note   string   `json:"note,omitempty"`
}

// check is a result, with the mutations that are known to turn it red.
type check struct {
	verify.Result
	Sabotages []string `json:"sabotages,omitempty"`
}

func newDocument(r verify.Report, o Options) document {
	outcomes := make(map[string]status, len(r.Results))
	checks := make([]check, len(r.Results))
	for i, result := range r.Results {
		outcomes[result.ID] = status(result.Status)
		checks[i] = check{result, o.Sabotages[result.ID]}
	}
	return document{
		Schema: SchemaFile, Version: schemaVersion,
		OK: r.OK(), Suffix: r.Suffix, Target: r.Target, Started: r.Started, DurationMS: r.DurationMS, Counts: r.Counts,
		APICalls: r.APICalls, Problem: r.Problem,
		Sections: sections(o.Bullets, outcomes),
		Clauses:  clauses(r.Results, outcomes),
		Checks:   checks,
	}
}

// sections groups the bullets by their headings, in the order of the brief.
func sections(bullets []verify.Bullet, outcomes map[string]status) []section {
	all := []section{}
	for _, b := range bullets {
		at := slices.IndexFunc(all, func(s section) bool { return s.Title == b.Section })
		if at < 0 {
			at = len(all)
			all = append(all, section{Title: b.Section})
		}
		all[at].Bullets = append(all[at].Bullets, bullet{
			ID: b.ID, Text: b.Text, Status: bulletStatus(b, outcomes), Checks: append([]string{}, b.Checks...), Elsewhere: b.Elsewhere,
		})
	}
	for i := range all {
		var each []status
		for _, b := range all[i].Bullets {
			each = append(each, b.Status)
		}
		all[i].Status = together(each)
	}
	return all
}

func bulletStatus(b verify.Bullet, outcomes map[string]status) status {
	if len(b.Checks) == 0 && b.Elsewhere != "" {
		return elsewhere
	}
	return together(of(b.Checks, outcomes))
}

// clauses lists the requirements that the results name, in the order of their numbers.
func clauses(results []verify.Result, outcomes map[string]status) []clause {
	held := map[string][]string{}
	for _, r := range results {
		for _, id := range r.PCI {
			held[id] = append(held[id], r.ID)
		}
	}
	all := []clause{}
	for id, checks := range held {
		all = append(all, clause{ID: id, Title: clauseTitles[id], Status: together(of(checks, outcomes)), Checks: checks, Note: clauseNotes[id]})
	}
	slices.SortFunc(all, func(a, b clause) int { return compareClauses(a.ID, b.ID) })
	return all
}

func of(checks []string, outcomes map[string]status) []status {
	var each []status
	for _, id := range checks {
		if outcome, ran := outcomes[id]; ran {
			each = append(each, outcome)
		} else {
			each = append(each, notRun)
		}
	}
	return each
}

// together is the status of several: failed if any failed, passed only if all that speak of the cloud passed.
func together(each []status) status {
	has := func(s status) bool { return slices.Contains(each, s) }
	switch {
	case has(failed):
		return failed
	case has(partlyObservable), has(passed) && (has(notObservable) || has(switchedOff) || has(notRun)):
		return partlyObservable
	case has(passed):
		return passed
	case has(notObservable):
		return notObservable
	case has(switchedOff):
		return switchedOff
	case has(elsewhere):
		return elsewhere
	default:
		return notRun
	}
}

// area is the part of a check's id before its subject.
func area(id string) string {
	name, _, _ := strings.Cut(id, ".")
	return name
}
