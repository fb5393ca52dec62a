package verify

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// readBrief reads the brief's bullets by section, and its whole text.
func readBrief(t *testing.T) (bullets []Bullet, text string) {
	t.Helper()
	content, err := os.ReadFile("testdata/brief.md")
	if err != nil {
		t.Fatal(err)
	}
	section := ""
	heading := regexp.MustCompile(`^(?:#+ (.*)|(\d\. )\*\*(.*)\*\*)$`)
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSpace(line)
		if m := heading.FindStringSubmatch(line); m != nil {
			section = m[1] + m[2] + m[3]
			continue
		}
		if item, ok := strings.CutPrefix(line, "- "); ok {
			bullets = append(bullets, Bullet{Section: section, Text: item})
		}
	}
	return bullets, string(content)
}

func TestTheTableHasEveryBulletOfTheBriefInItsWordsAndOrder(t *testing.T) {
	want, text := readBrief(t)
	if len(want) < 70 {
		t.Fatalf("the brief reads as %d bullets", len(want))
	}
	var got []Bullet
	for _, b := range Brief() {
		switch {
		case b.Section == SectionBeyond:
		case strings.HasPrefix(b.ID, "O."):
			if !strings.Contains(text, b.Text) {
				t.Errorf("%s is no sentence of the brief: %s", b.ID, b.Text)
			}
		default:
			got = append(got, b)
		}
	}
	for i := range max(len(got), len(want)) {
		var has, should Bullet
		if i < len(got) {
			has = got[i]
		}
		if i < len(want) {
			should = want[i]
		}
		if has.Section != should.Section || has.Text != should.Text {
			t.Fatalf("bullet %d is %s %q of %q,\nthe brief has %q of %q", i+1, has.ID, has.Text, has.Section, should.Text, should.Section)
		}
	}
}

func TestEveryBulletHasChecksThatExistOrATestElsewhere(t *testing.T) {
	known := map[string]bool{}
	for _, c := range Checks() {
		known[c.ID] = true
	}
	tests := unitTests(t)
	ids := map[string]bool{}
	for _, b := range Brief() {
		if b.ID == "" || ids[b.ID] {
			t.Errorf("the id %q is empty or not unique", b.ID)
		}
		ids[b.ID] = true
		if len(b.Checks) == 0 && b.Elsewhere == "" {
			t.Errorf("%s has neither a check nor a reason: %s", b.ID, b.Text)
		}
		for _, id := range b.Checks {
			if !known[id] {
				t.Errorf("%s names the check %s, which does not exist", b.ID, id)
			}
		}
		if slices.Sort(b.Checks); len(slices.Compact(slices.Clone(b.Checks))) != len(b.Checks) {
			t.Errorf("%s names a check twice: %v", b.ID, b.Checks)
		}
		if b.Elsewhere == "" {
			continue
		}
		named := regexp.MustCompile(`\bTest[A-Z]\w*`).FindAllString(b.Elsewhere, -1)
		if len(named) == 0 {
			t.Errorf("%s is held elsewhere, but no test is named: %s", b.ID, b.Elsewhere)
		}
		for _, name := range named {
			if !slices.Contains(tests, name) {
				t.Errorf("%s names the unit test %s, which does not exist", b.ID, name)
			}
		}
	}
}

// unitTests are the names of the test functions in tests/unit.
func unitTests(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../tests/unit/*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no unit tests are found: %v", err)
	}
	var names []string
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				names = append(names, f.Name.Name)
			}
		}
	}
	return names
}

func TestEveryCheckIsClaimedByABulletOrAClause(t *testing.T) {
	claimed := map[string]bool{}
	for _, b := range Brief() {
		for _, id := range b.Checks {
			claimed[id] = true
		}
	}
	clause := regexp.MustCompile(`^\d+\.\d+(\.\d+)?$`)
	for _, c := range Checks() {
		for _, p := range c.PCI {
			if !clause.MatchString(p) {
				t.Errorf("%s names the PCI DSS clause %q", c.ID, p)
			}
		}
		if !claimed[c.ID] && len(c.PCI) == 0 {
			t.Errorf("no bullet and no PCI clause claims %s: %s", c.ID, c.Says)
		}
	}
}

func TestEverySabotageIsOfACheckThatExists(t *testing.T) {
	known := map[string]bool{}
	for _, c := range Checks() {
		known[c.ID] = true
	}
	for line := range strings.Lines(sabotages) {
		id, mutation, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !ok || !known[id] || strings.TrimSpace(mutation) == "" {
			t.Errorf("sabotage.txt has the line %q", line)
		}
	}
	count := 0
	for _, list := range Sabotages() {
		count += len(list)
	}
	if want := strings.Count(sabotages, "\n"); count != want {
		t.Errorf("%d sabotages are read of %d lines", count, want)
	}
}
