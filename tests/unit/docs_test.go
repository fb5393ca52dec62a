package unit_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tapstack/lib"
)

const docsFolder = "../../docs"

var (
	codeSpan   = regexp.MustCompile("`([^`\n]+)`")
	identifier = regexp.MustCompile(`^[A-Za-z]+[a-z][A-Za-z]*$`)
	verb       = regexp.MustCompile(`%(\[[0-9]\])?[-+#0-9.*]*[a-zA-Z]`)
	docLink    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	docHeading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	notAnchor  = regexp.MustCompile(`[^a-z0-9 _-]`)
)

func readDoc(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(docsFolder, name))
	require.NoError(t, err)
	return string(content)
}

// section is what stands under a heading of the second level.
func section(t *testing.T, doc, heading string) string {
	t.Helper()
	_, after, found := strings.Cut(doc, "\n## "+heading+"\n")
	require.True(t, found, "there is a section %q", heading)
	text, _, _ := strings.Cut(after, "\n## ")
	return text
}

// identifiersOf are all names that a Go file uses.
func identifiersOf(t *testing.T, path string) map[string]bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	names := map[string]bool{}
	ast.Inspect(file, func(node ast.Node) bool {
		if ident, is := node.(*ast.Ident); is {
			names[ident.Name] = true
		}
		return true
	})
	return names
}

func TestTheRunbookNamesWhatTheProgramHas(t *testing.T) {
	program := identifiersOf(t, "../../lib/tap_stack.go")
	keys := map[string]bool{}
	for _, key := range lib.ConfigKeys() {
		keys[key.Name] = true
	}
	runbook := readDoc(t, "runbook.md")
	rows := 0
	for line := range strings.Lines(section(t, runbook, "Going to production")) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 5 || strings.HasPrefix(cells[1], "---") || strings.TrimSpace(cells[1]) == "what" {
			continue
		}
		rows++
		named := 0
		for column, known := range map[int]map[string]bool{2: program, 3: keys} {
			for _, span := range codeSpan.FindAllStringSubmatch(cells[column], -1) {
				require.True(t, known[span[1]], "%q in the row %s is not in column %d's source", span[1], cells[1], column)
				named++
			}
		}
		require.Positive(t, named, "the row %s says where", cells[1])
	}
	require.GreaterOrEqual(t, rows, 20, "the table is found")
	for _, span := range codeSpan.FindAllStringSubmatch(section(t, runbook, "Cutover"), -1) {
		if identifier.MatchString(span[1]) && strings.ToLower(span[1]) != span[1] {
			require.True(t, program[span[1]], "%q is in lib/tap_stack.go", span[1])
		}
	}
}

// messagesOf are the texts in the sources below a folder: string literals of Go, joined where they are added up, with
// … for what is filled in; other files as they are.
func messagesOf(t *testing.T, folder string) []string {
	t.Helper()
	var messages []string
	require.NoError(t, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(path, "_test.go") {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil || filepath.Ext(path) != ".go" {
			messages = append(messages, string(content))
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, content, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(node ast.Node) bool {
			expression, is := node.(ast.Expr)
			if !is {
				return true
			}
			text, whole := textOf(expression)
			if whole {
				messages = append(messages, verb.ReplaceAllString(text, "…"))
			}
			return !whole
		})
		return nil
	}))
	return messages
}

// textOf is the text of a literal, or of a sum in which everything else reads "…".
func textOf(expression ast.Expr) (text string, isText bool) {
	switch e := expression.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "", false
		}
		text, err := strconv.Unquote(e.Value)
		return text, err == nil
	case *ast.BinaryExpr:
		left, leftIs := textOf(e.X)
		right, rightIs := textOf(e.Y)
		if e.Op != token.ADD || !leftIs && !rightIs {
			return "", false
		}
		if !leftIs {
			left = "…"
		}
		if !rightIs {
			right = "…"
		}
		return left + right, true
	}
	return "", false
}

// says tells whether a message, in which … stands for anything, is among those of the sources.
func says(messages []string, quoted string) bool {
	parts := strings.Split(quoted, "…")
	return slices.ContainsFunc(messages, func(message string) bool {
		for _, part := range parts {
			_, after, found := strings.Cut(message, strings.TrimSpace(part))
			if !found {
				return false
			}
			message = after
		}
		return true
	})
}

func TestTheMessagesInTroubleshootingAreThoseOfTheSource(t *testing.T) {
	var messages []string
	for _, folder := range []string{"bin", "lib", "fixtures", ".github", ".ci"} {
		messages = append(messages, messagesOf(t, filepath.Join("../..", folder))...)
	}
	quoted := 0
	for line := range strings.Lines(section(t, readDoc(t, "troubleshooting.md"), "What tap says")) {
		if heading, is := strings.CutPrefix(strings.TrimSpace(line), "#### "); is {
			spans := codeSpan.FindAllStringSubmatch(heading, -1)
			require.NotEmpty(t, spans, "the heading %q quotes a message", heading)
			for _, span := range spans {
				require.GreaterOrEqual(t, len(strings.ReplaceAll(span[1], "…", "")), 10, "%q says enough to be found", span[1])
				require.True(t, says(messages, span[1]), "no source says %q", span[1])
				quoted++
			}
		}
	}
	require.GreaterOrEqual(t, quoted, 40, "the messages are found")

	require.True(t, says(messages, "stack … is in use by another tap"))
	require.False(t, says(messages, "stack … is in use by nobody"))
	require.False(t, says(messages, "by another tap … stack is in use"), "the order counts")
}

// anchors are those that GitHub gives to the headings of a page.
func anchors(doc string) map[string]bool {
	found := map[string]bool{}
	for _, heading := range docHeading.FindAllStringSubmatch(doc, -1) {
		text := notAnchor.ReplaceAllString(strings.ToLower(heading[1]), "")
		found["#"+strings.ReplaceAll(text, " ", "-")] = true
	}
	return found
}

func TestTheLinksInTheDocsLeadSomewhere(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join(docsFolder, "*.md"))
	require.NoError(t, err)
	require.Len(t, pages, 2)
	for _, page := range pages {
		content, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, link := range docLink.FindAllStringSubmatch(string(content), -1) {
			if strings.Contains(link[1], "://") {
				continue
			}
			path, fragment, _ := strings.Cut(link[1], "#")
			target := content
			if path != "" {
				info, err := os.Stat(filepath.Join(docsFolder, path))
				require.NoError(t, err, "%s links to %s", page, link[1])
				if info.IsDir() || fragment == "" {
					continue
				}
				target, err = os.ReadFile(filepath.Join(docsFolder, path))
				require.NoError(t, err)
			}
			if fragment != "" {
				require.True(t, anchors(string(target))["#"+fragment], "%s links to %s", page, link[1])
			}
		}
	}
}
