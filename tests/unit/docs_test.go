package unit_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
)

const (
	root       = "../.."
	docsFolder = root + "/docs"
)

var (
	codeSpan   = regexp.MustCompile("`([^`\n]+)`")
	identifier = regexp.MustCompile(`^[A-Za-z]+[a-z][A-Za-z]*$`)
	verb       = regexp.MustCompile(`%(\[[0-9]\])?[-+#0-9.*]*[a-zA-Z]`)
	docLink    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	docHeading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	notAnchor  = regexp.MustCompile(`[^a-z0-9 _-]`)
	fileInDocs = regexp.MustCompile(`^(?:\./)?((?:bin|lib|docs|fixtures|tests|tools|\.ci|\.github)(?:/[\w.*-]+)*/?|README\.md|go\.mod|Makefile|Pulumi\.yaml)$`)
	docsInText = regexp.MustCompile(`\b(?:[A-Z]+|docs/[\w/-]+)\.md\b`)
	testInDocs = regexp.MustCompile(`^Test[A-Z]\w+$`)
	makeInDocs = regexp.MustCompile(`(?:^|[\s` + "`" + `])make (?:-s )?([a-z-]+)`)
	makeTarget = regexp.MustCompile(`(?m)^([a-z-]+):`)
	codeFence  = regexp.MustCompile("(?s)```[a-z]*\n.*?```")
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

func TestTheConfigurationPageListsEveryKey(t *testing.T) {
	var want, got []string
	for _, key := range lib.ConfigKeys() {
		value := "`" + key.Default + "`"
		switch {
		case key.Required:
			value = "**required**"
		case key.Default == "":
			value = ""
		}
		want = append(want, fmt.Sprintf("| `%s` | %s | %s |", key.Name, value, key.Description))
	}
	for line := range strings.Lines(readDoc(t, "configuration.md")) {
		if strings.HasPrefix(line, "| `") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	assert.Equal(t, want, got)
}

// messagesOf are the texts in the sources below a folder: string literals of Go, joined where they are added up, with
// … for what is filled in; other files as they are.
func messagesOf(t *testing.T, folder string) []string {
	t.Helper()
	var messages []string
	sources := os.DirFS(folder)
	require.NoError(t, fs.WalkDir(sources, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(path, "_test.go") {
			return err
		}
		content, err := fs.ReadFile(sources, path)
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

// allMessages are those that a user may see.
func allMessages(t *testing.T) []string {
	t.Helper()
	var messages []string
	for _, folder := range []string{"bin", "lib", "fixtures", ".github", ".ci"} {
		messages = append(messages, messagesOf(t, filepath.Join(root, folder))...)
	}
	return messages
}

func TestTheDocumentsThatMessagesNameExist(t *testing.T) {
	named := 0
	for _, message := range allMessages(t) {
		for _, document := range docsInText.FindAllString(message, -1) {
			assert.True(t, exists(".", document), "%q is named, and is no file", document)
			named++
		}
	}
	require.Greater(t, named, 3, "the names are found")
}

func TestTheMessagesInTroubleshootingAreThoseOfTheSource(t *testing.T) {
	messages, quoted := allMessages(t), 0
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

	require.True(t, says(messages, "stack … is in use by another command"))
	require.False(t, says(messages, "stack … is in use by nobody"))
	require.False(t, says(messages, "by another command … stack is in use"), "the order counts")
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

// pages are the project's documents, by their paths from the root.
func pages(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "fixtures/*/*.md"} {
		files, err := fs.Glob(os.DirFS(root), pattern)
		require.NoError(t, err)
		require.NotEmpty(t, files, "%s", pattern)
		for _, file := range files {
			content, err := os.ReadFile(filepath.Join(root, file))
			require.NoError(t, err)
			texts[file] = string(content)
		}
	}
	return texts
}

func TestTheLinksInTheDocsLeadSomewhere(t *testing.T) {
	texts := pages(t)
	for page, text := range texts {
		for _, link := range docLink.FindAllStringSubmatch(text, -1) {
			if strings.Contains(link[1], "://") {
				continue
			}
			target, fragment, _ := strings.Cut(link[1], "#")
			file := page
			if target != "" {
				file = path.Join(path.Dir(page), target)
				_, err := os.Stat(filepath.Join(root, file))
				assert.NoError(t, err, "%s links to %s", page, link[1])
			}
			if fragment != "" {
				assert.Contains(t, anchors(texts[file]), "#"+fragment, "%s links to %s", page, link[1])
			}
		}
	}
}

func TestTheFilesTestsAndTargetsNamedInTheDocsExist(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	require.NoError(t, err)
	var targets []string
	for _, target := range makeTarget.FindAllStringSubmatch(string(makefile), -1) {
		targets = append(targets, target[1])
	}
	tests := testNames(t)
	for page, text := range pages(t) {
		for _, call := range makeInDocs.FindAllStringSubmatch(strings.Join(codeIn(text), "\n"), -1) {
			assert.Contains(t, targets, call[1], "%s calls make %s", page, call[1])
		}
		for _, span := range codeSpan.FindAllStringSubmatch(codeFence.ReplaceAllString(text, ""), -1) {
			if file := fileInDocs.FindStringSubmatch(span[1]); file != nil {
				assert.True(t, exists(page, file[1]), "%s names %s", page, span[1])
			}
			if testInDocs.MatchString(span[1]) {
				assert.Contains(t, tests, span[1], "%s names it", page)
			}
		}
	}
}

// codeIn is what stands in fences or between backquotes.
func codeIn(text string) []string {
	code := codeFence.FindAllString(text, -1)
	for _, span := range codeSpan.FindAllStringSubmatch(codeFence.ReplaceAllString(text, ""), -1) {
		code = append(code, span[1])
	}
	return code
}

// exists looks for a file, or a pattern of files, from the root or from the folder of the page that names it.
func exists(page, file string) bool {
	for _, folder := range []string{".", path.Dir(page), "docs"} {
		found, err := fs.Glob(os.DirFS(root), path.Join(folder, file))
		if err == nil && len(found) > 0 {
			return true
		}
	}
	return false
}

// testNames are those of all test functions of the project.
func testNames(t *testing.T) []string {
	t.Helper()
	var names []string
	declaration := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	sources := os.DirFS(root)
	require.NoError(t, fs.WalkDir(sources, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(file, "_test.go") {
			return err
		}
		content, err := fs.ReadFile(sources, file)
		for _, found := range declaration.FindAllStringSubmatch(string(content), -1) {
			names = append(names, found[1])
		}
		return err
	}))
	require.NotEmpty(t, names)
	return names
}

// TestThePageOfCapacityCountsConnections works its table out anew.
func TestThePageOfCapacityCountsConnections(t *testing.T) {
	page := readDoc(t, "capacity.md")
	rows := regexp.MustCompile("(?m)^\\| `(db\\.[^`]+)`.* \\| (\\d+) \\| (\\d+) \\|$").FindAllStringSubmatch(page, -1)
	require.Len(t, rows, 4)
	for _, row := range rows {
		require.Equal(t, strconv.Itoa(lib.MaxConnections(row[1])), row[2], row[1])
		tasks, err := strconv.Atoi(row[3])
		require.NoError(t, err)
		for api, fault := range map[int]require.ErrorAssertionFunc{tasks - 2: require.NoError, tasks - 1: require.Error} {
			values := legalValues(map[string]string{"dbInstanceClass": row[1], "apiMaxCount": strconv.Itoa(api), "jobDesiredCount": "2", "jobMaxCount": "2"})
			_, err := lib.ParseConfig(values)
			fault(t, err, "%s with %d and 2 tasks", row[1], api)
		}
	}
	standard, err := lib.ParseConfig(legalValues(nil))
	require.NoError(t, err)
	require.Contains(t, page, fmt.Sprintf("2 · (%d + %d) · %d = %d", standard.APIMaxCount, standard.JobMaxCount, lib.TaskConnections, 2*(standard.APIMaxCount+standard.JobMaxCount)*lib.TaskConnections))
}
