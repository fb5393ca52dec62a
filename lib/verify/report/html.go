package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"
)

// The page in three parts. What is between the style and script tags is let in by its digest alone.
var (
	//go:embed page/page.html
	pageTemplate string
	//go:embed page/page.css
	pageStyle string
	//go:embed page/page.js
	pageScript string
)

// longText is the number of characters after which a text is folded.
const longText = 260

// page is what the template shows.
type page struct {
	document
	Style  template.CSS
	Script template.JS
	Policy string
	Groups []group
	byID   map[string]check
}

// group is the checks of one area.
type group struct {
	Name   string
	Status status
	Checks []check
}

// slice is one arc of the ring, in percent of it.
type slice struct {
	Status       status
	Size, Offset float64
}

func renderHTML(doc document) ([]byte, error) {
	p := page{document: doc, Style: template.CSS(pageStyle), Script: template.JS(pageScript), Policy: policy(), byID: map[string]check{}} //nolint:gosec // constants of this package
	for _, checks := range byArea(doc.Checks) {
		g := group{Name: area(checks[0].ID), Checks: checks}
		var each []status
		for _, c := range checks {
			each = append(each, status(c.Status))
			p.byID[c.ID] = c
		}
		g.Status = together(each)
		p.Groups = append(p.Groups, g)
	}
	t, err := template.New("page").Funcs(p.functions()).Parse(pageTemplate)
	if err != nil {
		return nil, fmt.Errorf("parsing the page: %w", err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, p); err != nil {
		return nil, fmt.Errorf("filling the page: %w", err)
	}
	return out.Bytes(), nil
}

// policy is the page's Content-Security-Policy: nothing but its own style and script, and pictures that it carries.
func policy() string {
	return strings.Join([]string{
		"default-src 'none'",
		"style-src '" + digest(pageStyle) + "'",
		"script-src '" + digest(pageScript) + "'",
		"img-src data:",
		"base-uri 'none'",
		"form-action 'none'",
	}, "; ")
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

func (p page) functions() template.FuncMap {
	return template.FuncMap{
		"area":      area,
		"clip":      func(text string) string { return clip(text, longText) },
		"clock":     func(t time.Time) string { return t.UTC().Format("15:04:05.000 UTC") },
		"duration":  duration,
		"icon":      func(s any) string { return looks[asStatus(s)].icon },
		"instant":   instant,
		"iso":       func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) },
		"lines":     func(text string) string { return strings.ReplaceAll(text, "; ", "\n") },
		"long":      func(text string) bool { return len([]rune(text)) > longText },
		"orNothing": orNothing,
		"outcome":   p.outcome,
		"plain":     plain,
		"plural":    plural,
		"shown":     func(s any) string { return string(asStatus(s)) },
		"slug":      slug,
		"tally":     tally,
		"traits":    p.traits,
		"word":      func(s any) string { return looks[asStatus(s)].word },
	}
}

// asStatus takes a status of this package or of verify.
func asStatus(s any) status { return status(fmt.Sprint(s)) }

func (p page) outcome(id string) status {
	if c, ran := p.byID[id]; ran {
		return status(c.Status)
	}
	return notRun
}

// traits are the outcomes by which a row with several checks is found.
func (p page) traits(checks []string, own status) string {
	all := []string{string(own)}
	for _, id := range checks {
		all = append(all, string(p.outcome(id)))
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), " ")
}

// Ring is the outcomes as arcs.
func (p page) Ring() []slice {
	var arcs []slice
	offset := 0.0
	for _, part := range []struct {
		status status
		count  int
	}{{passed, p.Counts.Passed}, {notObservable, p.Counts.NotObservable}, {switchedOff, p.Counts.SwitchedOff}, {failed, p.Counts.Failed}} {
		if part.count == 0 {
			continue
		}
		size := 100 * float64(part.count) / float64(p.Counts.Total)
		arcs = append(arcs, slice{part.status, size, -offset})
		offset += size
	}
	return arcs
}

// Verdict is the page in one sentence.
func (p page) Verdict() string {
	switch {
	case p.Counts.Total == 0:
		return "No check ran."
	case p.Counts.Failed > 0:
		return fmt.Sprintf("%d of %d checks failed.", p.Counts.Failed, p.Counts.Total)
	case p.Counts.Passed == p.Counts.Total:
		return fmt.Sprintf("All %d checks passed.", p.Counts.Total)
	}
	verdict := plural(p.Counts.Passed, "check") + " passed."
	if hidden := p.Counts.NotObservable; hidden > 0 {
		verdict += fmt.Sprintf(" This cloud cannot show %s.", plural(hidden, "other"))
	}
	if off := p.Counts.SwitchedOff; off > 0 {
		verdict += fmt.Sprintf(" The configuration switches %d off.", off)
	}
	return verdict
}

// Place is where the stack was looked at.
func (p page) Place() string {
	place := accountName(p.document) + ", " + placeName(p.document)
	if p.Target.Where != "" {
		place += "; " + p.Target.Where
	}
	return place
}

// Failures are the checks that failed.
func (p page) Failures() []check {
	return slices.DeleteFunc(slices.Clone(p.Checks), func(c check) bool { return status(c.Status) != failed })
}

// Fault is what was wrong, without the resource, which stands elsewhere.
func (c check) Fault() string {
	if c.ARN == "" {
		return c.Reason
	}
	return strings.Replace(c.Reason, " ("+c.ARN+")", "", 1)
}

// tally says in words how many bullets of a section hold.
func tally(s section) string {
	held, spoken := 0, 0
	for _, b := range s.Bullets {
		if b.Status != elsewhere {
			spoken++
		}
		if b.Status == passed {
			held++
		}
	}
	if spoken == 0 {
		return "held elsewhere"
	}
	return fmt.Sprintf("%d of %d hold", held, spoken)
}

// slug makes any text the end of an HTML id.
func slug(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '.' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '-'
	}, text)
}

func plural(count int, one string) string {
	if count == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", count, one)
}
