package verify

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// readBrief reads the brief's bullets by section, and its whole text.
func readBrief(t *testing.T) (bullets []Bullet, text string) {
	t.Helper()
	content, err := os.ReadFile("testdata/brief.md")
	require.NoError(t, err)
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
	require.Greater(t, len(want), 70)
	var got []Bullet
	for _, b := range Brief() {
		switch {
		case b.Section == SectionBeyond:
		case strings.HasPrefix(b.ID, "O."):
			assert.Contains(t, text, b.Text, b.ID)
		default:
			got = append(got, Bullet{Section: b.Section, Text: b.Text})
		}
	}
	require.Equal(t, want, got)
}

func TestEveryBulletHasChecksThatExistOrATestElsewhere(t *testing.T) {
	known := map[string]bool{}
	for _, c := range Checks() {
		known[c.ID] = true
	}
	tests := unitTests(t)
	ids := map[string]bool{}
	for _, b := range Brief() {
		assert.NotEmpty(t, b.ID, b.Text)
		assert.False(t, ids[b.ID], "%s is there twice", b.ID)
		ids[b.ID] = true
		assert.False(t, len(b.Checks) == 0 && b.Elsewhere == "", "%s has neither a check nor a reason: %s", b.ID, b.Text)
		named := map[string]bool{}
		for _, id := range b.Checks {
			assert.True(t, known[id], "%s names the check %s, which does not exist", b.ID, id)
			assert.False(t, named[id], "%s names %s twice", b.ID, id)
			named[id] = true
		}
		if b.Elsewhere == "" {
			continue
		}
		holders := regexp.MustCompile(`\bTest[A-Z]\w*`).FindAllString(b.Elsewhere, -1)
		assert.NotEmpty(t, holders, "%s is held elsewhere, but no test is named: %s", b.ID, b.Elsewhere)
		assert.Subset(t, tests, holders, b.ID)
	}
}

// unitTests are the names of the test functions in tests/unit.
func unitTests(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../tests/unit/*_test.go")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var names []string
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
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
	for _, c := range Checks() {
		assert.True(t, claimed[c.ID] || len(c.PCI) > 0, "no bullet and no PCI clause claims %s: %s", c.ID, c.Says)
	}
}
