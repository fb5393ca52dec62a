package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/jstemmer/go-junit-report/v2/junit"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	gfm "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"

	"tapstack/lib/cloud"
	"tapstack/lib/verify"
)

var update = flag.Bool("update", false, "write the golden files anew")

// written is a report in a folder, by file name.
func written(t *testing.T, run verify.Report, o Options) map[string]string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "deep", "report")
	require.NoError(t, Write(dir, run, o))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	files := map[string]string{}
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		require.NoError(t, err)
		files[entry.Name()] = string(data)
	}
	return files
}

// TestTheFormatsAreAsTheGoldenFilesHaveThem leaves out the page's style and script, which are files of their own.
func TestTheFormatsAreAsTheGoldenFilesHaveThem(t *testing.T) {
	files := written(t, excerpt(t), excerptOptions())
	page := strings.NewReplacer(pageStyle, "page.css", pageScript, "page.js").Replace(files[HTMLFile])
	files[HTMLFile] = regexp.MustCompile(`sha256-[^=]+=`).ReplaceAllString(page, "digest")
	for _, name := range []string{JSONFile, JUnitFile, MarkdownFile, HTMLFile} {
		golden := filepath.Join("testdata", "golden", name)
		if *update {
			require.NoError(t, os.WriteFile(golden, []byte(files[name]), 0o600))
		}
		want, err := os.ReadFile(golden)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(string(want), files[name]), "%s: go test ./lib/verify/report -update writes the golden files anew", name)
	}
}

func TestAReportIsFiveFilesThatOthersMayRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "reports", "dev")
	for range 2 {
		require.NoError(t, Write(dir, excerpt(t), excerptOptions()))
	}
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(folderMode), info.Mode().Perm())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		info, err := entry.Info()
		require.NoError(t, err)
		require.Equal(t, os.FileMode(fileMode), info.Mode().Perm(), entry.Name())
		names = append(names, entry.Name())
	}
	require.Equal(t, []string{HTMLFile, JUnitFile, JSONFile, MarkdownFile, SchemaFile}, names)
}

func TestAFolderThatCannotBeWrittenIsOneClearError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		for _, err := range []error{Prepare(dir), Write(dir, excerpt(t), Options{})} {
			require.EqualError(t, err, "the report cannot be written to "+dir+": not a directory")
		}
	}
}

// documents are reports of every kind that a run can come to.
func documents(t *testing.T) map[string]string {
	t.Helper()
	empty := verify.Report{Suffix: "dev", Started: time.Unix(0, 0).UTC(), Results: []verify.Result{}}
	all := map[string]string{}
	for name, of := range map[string]struct {
		run verify.Report
		o   Options
	}{
		"the recorded run": {recorded(t), Options{Bullets: verify.Brief(), Sabotages: verify.Sabotages()}},
		"an excerpt":       {excerpt(t), excerptOptions()},
		"an empty run":     {empty, Options{}},
		"a hostile run":    {hostile(), Options{}},
	} {
		all[name] = written(t, of.run, of.o)[JSONFile]
	}
	return all
}

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	shape, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	require.NoError(t, compiler.AddResource(SchemaFile, shape))
	compiled, err := compiler.Compile(SchemaFile)
	require.NoError(t, err)
	return compiled
}

func TestTheJSONFollowsItsSchema(t *testing.T) {
	compiled := compiledSchema(t)
	for name, text := range documents(t) {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		require.NoError(t, err)
		require.NoError(t, compiled.Validate(value), name)
	}
}

func TestTheSchemaRefusesWhatIsNoReport(t *testing.T) {
	compiled := compiledSchema(t)
	good := documents(t)["an excerpt"]
	for name, change := range map[string]func(map[string]any){
		"another version":         func(d map[string]any) { d["version"] = 2 },
		"an unknown status":       func(d map[string]any) { first(d, "checks")["status"] = "fine" },
		"a pass that saw nothing": func(d map[string]any) { c := first(d, "checks"); c["status"] = "passed"; delete(c, "observations") },
		"a failure without why":   func(d map[string]any) { c := first(d, "checks"); c["status"] = "failed"; delete(c, "reason") },
		"a time that is none":     func(d map[string]any) { d["started"] = "yesterday" },
		"a field too many":        func(d map[string]any) { d["password"] = "x" },
		"no counts":               func(d map[string]any) { delete(d, "counts") },
	} {
		var document map[string]any
		require.NoError(t, json.Unmarshal([]byte(good), &document))
		change(document)
		require.Error(t, compiled.Validate(document), name)
	}
}

func first(document map[string]any, list string) map[string]any {
	return document[list].([]any)[0].(map[string]any)
}

func TestTheJUnitFileCountsAsTheRunDoes(t *testing.T) {
	run := recorded(t)
	text := written(t, run, Options{})[JUnitFile]
	require.True(t, strings.HasPrefix(text, xml.Header))
	var all junit.Testsuites
	require.NoError(t, xml.Unmarshal([]byte(text), &all))
	require.Equal(t, all.Skipped, run.Counts.NotObservable+run.Counts.SwitchedOff)
	require.Equal(t, []int{all.Tests, all.Failures}, []int{run.Counts.Total, run.Counts.Failed})
	names := map[string]bool{}
	for _, suite := range all.Suites {
		require.Len(t, suite.Testcases, suite.Tests, suite.Name)
		for _, it := range suite.Testcases {
			require.Equal(t, suite.Name, it.Classname)
			names[it.Name] = true
		}
	}
	require.Len(t, names, len(run.Results), "each name occurs once")
}

// tableRows are the cells of each table of a Markdown text, as GitHub would read them.
func tableRows(t *testing.T, source string) [][]int {
	t.Helper()
	root := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader([]byte(source)))
	var all [][]int
	require.NoError(t, ast.Walk(root, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if table, is := n.(*gfm.Table); is && entering {
			var cells []int
			for row := table.FirstChild(); row != nil; row = row.NextSibling() {
				cells = append(cells, row.ChildCount())
			}
			all = append(all, cells)
		}
		return ast.WalkContinue, nil
	}))
	return all
}

func TestTheCommentIsTablesWithARowForEveryCheck(t *testing.T) {
	run := recorded(t)
	all := tableRows(t, written(t, run, Options{})[MarkdownFile])
	require.Len(t, all, 5, "failed, not observable, switched off, clauses, passed")
	require.Len(t, all[0], 1+run.Counts.Failed)
	require.Len(t, all[1], 1+run.Counts.NotObservable)
	require.Len(t, all[2], 1+run.Counts.SwitchedOff)
	require.Len(t, all[4], 1+run.Counts.Passed)
}

func TestTheCommentFitsIntoGitHubsLimitWhateverTheRunCameTo(t *testing.T) {
	run := excerpt(t)
	run.Results = nil
	for i := range 450 {
		status := []verify.Status{verify.Failed, verify.NotObservable, verify.Passed}[i%3]
		long := strings.Repeat("an overlong | value ✂ ", 40)
		run.Results = append(run.Results, verify.Result{ID: fmt.Sprintf("area.check-%d", i), Says: long, Status: status, Expected: long, Actual: long, Reason: long, ARN: "arn:aws:" + long})
	}
	recount(&run)
	comment := written(t, run, Options{Bullets: verify.Brief()})[MarkdownFile]
	require.Less(t, utf8.RuneCountInString(comment), 65_536)
	require.Greater(t, len(comment), markdownLimit-2000, "what room there is is used")
	require.Contains(t, comment, "150 failed")
	require.Regexp(t, `… and \d+ more in index.html`, comment)
	require.Contains(t, comment, "Not observable here: 150 in index.html only.")
	require.Equal(t, strings.Count(comment, "<details>"), strings.Count(comment, "</details>"))
}

// hostile is a run whose texts try to be markup.
func hostile() verify.Report {
	evil := "</script><script>alert(1)</script><img src=x onerror=alert(1)> | a\n| b ``` @octocat #1 [x](http://evil.example) ]]> \x1b[31m\x00 \xff"
	run := verify.Report{Suffix: evil, Target: verify.Target{Identity: cloud.Identity{Region: evil}}, Started: time.Unix(1, 0).UTC()}
	for i, status := range []verify.Status{verify.Passed, verify.Failed, verify.NotObservable, verify.SwitchedOff} {
		run.Results = append(run.Results, verify.Result{
			ID: fmt.Sprintf("area.check-%d", i), Says: evil, PCI: []string{"1.2.1"}, Status: status, Expected: evil, Actual: evil, ARN: evil, Reason: evil,
			Observations: []verify.Observation{{ARN: evil, What: evil, Expected: evil, Actual: evil, OK: status == verify.Passed}},
		})
	}
	recount(&run)
	return run
}

func TestNoTextIsTakenForMarkup(t *testing.T) {
	files := written(t, hostile(), Options{Bullets: []verify.Bullet{{ID: "<b>", Section: "\"><img src=x>", Text: "<i>", Checks: []string{"area.check-1"}}}})
	require.NotContains(t, files[HTMLFile], "<script>alert")
	require.NotContains(t, files[HTMLFile], "<img")
	require.Equal(t, 1, strings.Count(files[HTMLFile], "<script>"))
	require.NoError(t, xml.Unmarshal([]byte(files[JUnitFile]), new(junit.Testsuites)))
	require.NotContains(t, files[MarkdownFile], "<img")
	require.NotContains(t, files[MarkdownFile], "@octocat")
	for _, table := range tableRows(t, files[MarkdownFile]) {
		for _, cells := range table {
			require.Equal(t, table[0], cells, "no row has more cells than its head")
		}
	}
	for name, content := range files {
		require.True(t, utf8.ValidString(content), name)
		require.NotContains(t, content, "\x1b", name)
	}
}

func TestSeveralChecksTogetherAreWhatTheWorstOfThemIs(t *testing.T) {
	for _, c := range []struct {
		each []status
		want status
	}{
		{nil, notRun},
		{[]status{passed}, passed},
		{[]status{passed, passed}, passed},
		{[]status{passed, failed, notObservable}, failed},
		{[]status{notObservable, failed}, failed},
		{[]status{notObservable, notObservable}, notObservable},
		{[]status{passed, notObservable}, partlyObservable},
		{[]status{passed, notRun}, partlyObservable},
		{[]status{passed, switchedOff}, partlyObservable},
		{[]status{switchedOff, switchedOff}, switchedOff},
		{[]status{switchedOff, failed}, failed},
		{[]status{switchedOff, notObservable}, notObservable},
		{[]status{notRun, notRun}, notRun},
		{[]status{elsewhere, passed}, passed},
		{[]status{elsewhere, elsewhere}, elsewhere},
		{[]status{partlyObservable, passed}, partlyObservable},
		{[]status{partlyObservable, failed}, failed},
	} {
		require.Equal(t, c.want, together(c.each), "%v", c.each)
	}
}

func TestTheDocumentTellsAllThatTheRunTells(t *testing.T) {
	run := excerpt(t)
	run.APICalls, run.Problem = 87, "the stack is incomplete"
	asRun, asDocument := fields(t, run), fields(t, newDocument(run, Options{}))
	asRun["checks"] = asRun["results"]
	delete(asRun, "results")
	for name, value := range asRun {
		require.Equal(t, value, asDocument[name], name)
	}
	for _, name := range []string{JUnitFile, MarkdownFile, HTMLFile} {
		require.Contains(t, written(t, run, Options{})[name], run.Problem, name)
	}
}

func fields(t *testing.T, value any) map[string]any {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	all := map[string]any{}
	require.NoError(t, json.Unmarshal(text, &all))
	return all
}

func TestEveryClauseThatACheckNamesHasATitle(t *testing.T) {
	for _, c := range verify.Checks() {
		for _, id := range c.PCI {
			require.NotEmpty(t, clauseTitles[id], "%s names PCI DSS %s", c.ID, id)
		}
	}
}

func TestClausesAreInTheOrderOfTheirNumbers(t *testing.T) {
	want := []string{"1.2.5", "2.2.6", "8.6.3", "10.2.1", "10.7.2"}
	var got []string
	for _, c := range newDocument(recorded(t), Options{}).Clauses {
		if slices.Contains(want, c.ID) {
			got = append(got, c.ID)
		}
	}
	require.Equal(t, want, got)
}
