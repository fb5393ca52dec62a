package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of report.md. GitHub refuses a comment of more than 65,536 characters; bytes are never fewer than characters,
// and what is left over is for a line that others may put above it.
const (
	markdownLimit = 64_000
	cellLimit     = 300 // characters of a table's cell
	noteRoom      = 500 // bytes for the notes on rows that found no room, of all tables
)

// look is how an outcome is shown.
type look struct {
	word  string
	emoji string
	icon  string // id of the page's symbol
}

var looks = map[status]look{
	passed:           {"Passed", "✅", "pass"},
	failed:           {"Failed", "❌", "fail"},
	notObservable:    {"Not observable", "👁️", "blind"},
	switchedOff:      {"Switched off", "🔌", "off"},
	partlyObservable: {"Passed in part", "🌗", "partly"},
	elsewhere:        {"Held elsewhere", "📄", "else"},
	notRun:           {"Not run", "⏸️", "idle"},
}

// table is a table of the comment; one that folds is hidden behind its title until it is asked for.
type table struct {
	title   string
	folds   bool
	columns []string
	rows    [][]string // of escaped cells
}

// renderMarkdown makes a comment for a pull request: what needs attention first, the rest folded.
func renderMarkdown(doc document) ([]byte, error) {
	var out strings.Builder
	out.WriteString(headline(doc))
	for _, t := range tables(doc) {
		t.write(&out, markdownLimit)
	}
	return []byte(out.String()), nil
}

func headline(doc document) string {
	verdict := looks[passed].emoji
	if !doc.OK {
		verdict = looks[failed].emoji
	}
	line := fmt.Sprintf("### %s Payment platform %s: %s\n\n", verdict, code(doc.Suffix), doc.Counts)
	if doc.Problem != "" {
		line += "**" + escape(doc.Problem) + "**\n\n"
	}
	line += fmt.Sprintf("%d checks of the live cloud in %s (%s), %s, %s, %s.\n", doc.Counts.Total,
		escape(placeName(doc)), escape(accountName(doc)), instant(doc.Started), duration(doc.DurationMS), plural(doc.APICalls, "API call"))
	if doc.Target.Where != "" {
		line += "It runs on " + escape(doc.Target.Where) + ".\n"
	}
	return line
}

func tables(doc document) []table {
	failures := table{title: "Failed", columns: []string{"Check", "Expected", "Actual", "Resource"}}
	blind := table{title: "Not observable here", columns: []string{"Check", "Why"}}
	off := table{title: "Switched off by configuration", columns: []string{"Check", "How"}}
	fine := table{title: "Passed", folds: true, columns: []string{"Check", "Seen", "Resource"}}
	for _, c := range doc.Checks {
		name := code(c.ID) + "<br>" + escape(plain(c.Says))
		switch status(c.Status) {
		case failed:
			failures.rows = append(failures.rows, append([]string{name}, failure(c)...))
		case notObservable:
			blind.rows = append(blind.rows, []string{name, escape(c.Reason)})
		case switchedOff:
			off.rows = append(off.rows, []string{name, escape(c.Reason)})
		default:
			fine.rows = append(fine.rows, []string{name, escape(c.Actual), code(c.ARN)})
		}
	}
	return []table{failures, blind, off, requirementTable(doc), clauseTable(doc), fine}
}

// failure tells what a failed check expected and saw; one that could not look has only its reason.
func failure(c check) []string {
	if c.Expected == "" && c.Actual == "" {
		return []string{"", escape(c.Reason), code(c.ARN)}
	}
	return []string{escape(c.Expected), escape(orNothing(c.Actual)), code(c.ARN)}
}

func requirementTable(doc document) table {
	t := table{title: "By requirement", folds: true, columns: []string{"", "Section", "Requirement", "Checks"}}
	for _, s := range doc.Sections {
		for _, b := range s.Bullets {
			held := codes(b.Checks)
			if b.Elsewhere != "" {
				held = strings.TrimSpace(held + " " + escape(b.Elsewhere))
			}
			t.rows = append(t.rows, []string{looks[b.Status].emoji, escape(s.Title), escape(plain(b.Text)), held})
		}
	}
	return t
}

func clauseTable(doc document) table {
	t := table{title: "By PCI DSS v4.0.1 clause", folds: true, columns: []string{"", "Clause", "About", "Checks"}}
	for _, c := range doc.Clauses {
		t.rows = append(t.rows, []string{looks[c.Status].emoji, c.ID, escape(c.Title), strings.TrimSpace(codes(c.Checks) + " " + escape(c.Note))})
	}
	return t
}

// write appends the table with as many rows as keep the text within the limit, in bytes, and says how many it left out.
func (t table) write(out *strings.Builder, limit int) {
	if len(t.rows) == 0 {
		return
	}
	head, tail := t.frame()
	room := limit - out.Len() - len(head) - len(tail) - noteRoom
	body, left := fill(t.rows, room)
	if left == len(t.rows) {
		fmt.Fprintf(out, "\n%s: %d in %s only.\n", t.title, left, HTMLFile)
		return
	}
	out.WriteString(head + body)
	if left > 0 {
		fmt.Fprintf(out, "\n… and %d more in %s.\n", left, HTMLFile)
	}
	out.WriteString(tail)
}

// frame is what stands before and after the rows.
func (t table) frame() (head, tail string) {
	head = fmt.Sprintf("\n#### %s (%d)\n\n", t.title, len(t.rows))
	if t.folds {
		head = fmt.Sprintf("\n<details><summary>%s (%d)</summary>\n\n", t.title, len(t.rows))
		tail = "\n</details>\n"
	}
	return head + row(t.columns) + row(slices.Repeat([]string{"---"}, len(t.columns))), tail
}

// fill writes rows into the room, in bytes, and counts those that are left.
func fill(rows [][]string, room int) (body string, left int) {
	var out strings.Builder
	for i, cells := range rows {
		line := row(cells)
		if out.Len()+len(line) > room {
			return out.String(), len(rows) - i
		}
		out.WriteString(line)
	}
	return out.String(), 0
}

func row(cells []string) string { return "| " + strings.Join(cells, " | ") + " |\n" }

// markup holds what Markdown, HTML or GitHub would take for more than text.
var markup = strings.NewReplacer(
	`\`, `\\`, "`", "\\`", "|", `\|`, "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "~", `\~`, "#", `\#`,
	"&", "&amp;", "<", "&lt;", ">", "&gt;", "@", "@&#8203;", "://", ":&#8203;//",
)

// emphasis is the markup that the brief's own sentences hold.
var emphasis = strings.NewReplacer("**", "", "`", "")

// plain is a sentence of the brief without its markup.
func plain(sentence string) string { return emphasis.Replace(sentence) }

// escape makes any text a table's cell: one line, no markup, no mention of a user, no longer than a cell may be.
func escape(text string) string {
	return markup.Replace(clip(strings.Join(strings.Fields(text), " "), cellLimit))
}

// code shows a name as it is.
func code(text string) string {
	switch {
	case text == "":
		return ""
	case strings.ContainsAny(text, "`|\n\\") || utf8.RuneCountInString(text) > cellLimit:
		return escape(text)
	}
	return "`" + text + "`"
}

func codes(names []string) string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = code(name)
	}
	return strings.Join(all, " ")
}

// clip shortens a text to at most so many characters.
func clip(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return strings.TrimSpace(string([]rune(text)[:limit-1])) + "…"
}

func placeName(doc document) string {
	return cmp.Or(doc.Target.Region, "a region that is not known")
}

func accountName(doc document) string {
	if doc.Target.Account == "" {
		return "an account that is not known"
	}
	return "account " + doc.Target.Account
}

func instant(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// duration is a time in milliseconds as people write it.
func duration(milliseconds float64) string {
	switch {
	case milliseconds < 1:
		return "under 1 ms"
	case milliseconds < 1000:
		return fmt.Sprintf("%.0f ms", milliseconds)
	}
	return fmt.Sprintf("%.1f s", milliseconds/1000)
}
