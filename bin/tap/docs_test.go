package main

import (
	"bytes"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
	"tapstack/lib/verify"
)

var (
	// codeInDocs is what stands in fences or between backquotes.
	codeInDocs = regexp.MustCompile("(?s)```[a-z]*\n.*?```|`[^`]+`")
	callInDocs = regexp.MustCompile(`(?:^|[\s` + "`" + `$/])(?:tap|\.ci/aws) ([a-z]+)([^\n` + "`" + `|]*)`)
	flagInDocs = regexp.MustCompile(`(?:^|\s)--([a-z-]+)`)
	keyInDocs  = regexp.MustCompile(`--config ([A-Za-z]+)=`)
)

// misuseInDocs tells each command, flag and configuration key in a text of the docs that tap does not know.
func misuseInDocs(text string) []string {
	root := (&app{}).root()
	var faults []string
	for _, code := range codeInDocs.FindAllString(strings.ReplaceAll(text, "\\\n", " "), -1) {
		for _, call := range callInDocs.FindAllStringSubmatch(code, -1) {
			command, rest, err := root.Find([]string{call[1]})
			if err != nil || len(rest) > 0 || command == root {
				faults = append(faults, "there is no command tap "+call[1])
				continue
			}
			for _, flag := range flagInDocs.FindAllStringSubmatch(call[2], -1) {
				if command.Flag(flag[1]) == nil && flag[1] != "help" {
					faults = append(faults, "tap "+call[1]+" has no flag --"+flag[1])
				}
			}
		}
	}
	for _, key := range keyInDocs.FindAllStringSubmatch(text, -1) {
		if key[1] != "key" && !slices.ContainsFunc(lib.ConfigKeys(), func(k lib.ConfigKey) bool { return k.Name == key[1] }) {
			faults = append(faults, "there is no configuration key "+key[1])
		}
	}
	return faults
}

func TestEveryCommandInTheDocsIsOneThatTapUnderstands(t *testing.T) {
	repository, calls := os.DirFS("../.."), 0
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "fixtures/*/*.md"} {
		files, err := fs.Glob(repository, pattern)
		require.NoError(t, err)
		require.NotEmpty(t, files, "%s", pattern)
		for _, file := range files {
			content, err := fs.ReadFile(repository, file)
			require.NoError(t, err)
			calls += len(callInDocs.FindAll(content, -1))
			assert.Empty(t, misuseInDocs(string(content)), "%s", file)
		}
	}
	require.Greater(t, calls, 50, "the calls are found")
}

var countInDocs = regexp.MustCompile(`(\S+) (bullets|checks that act|checks|sabotages|resources)\b`)

func TestTheCountsInTheReadmeAreThoseOfTheCode(t *testing.T) {
	graph, err := os.ReadFile("../../fixtures/golden/graph.golden")
	require.NoError(t, err)
	declared := len(regexp.MustCompile(`(?m)^\S+:\S+ \S+$`).FindAll(graph, -1))
	acting, sabotages := 0, 0
	for _, check := range verify.Checks() {
		if check.Acts {
			acting++
		}
	}
	for _, of := range verify.Sabotages() {
		sabotages += len(of)
	}
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	prose := regexp.MustCompile("(?s)```.*?```").ReplaceAll(readme, nil)
	told := map[string]string{}
	for _, count := range countInDocs.FindAllStringSubmatch(string(prose), -1) {
		if _, err := strconv.Atoi(count[1]); err == nil {
			told[count[2]] = count[1]
		}
	}
	assert.Equal(t, map[string]string{
		"bullets":         strconv.Itoa(len(verify.Brief())),
		"checks":          strconv.Itoa(len(verify.Checks())),
		"checks that act": strconv.Itoa(acting),
		"sabotages":       strconv.Itoa(sabotages),
		"resources":       strconv.Itoa((declared + 5) / 10 * 10), // in tens, so that one more resource changes nothing here
	}, told)
}

func TestWrongCommandsInTheDocsAreFound(t *testing.T) {
	var doc bytes.Buffer
	doc.WriteString("Run `tap verify --strict`, then `tap launch`.\n```bash\n.build/tap up --target aws \\\n  --times 2 --config colour=red\n")
	doc.WriteString(".ci/aws destroy --forces | tee --append log\n```\nHowever you tap into it, tap here.\n")
	require.Equal(t, []string{
		"tap verify has no flag --strict", "there is no command tap launch", "tap up has no flag --times",
		"tap destroy has no flag --forces", "there is no configuration key colour",
	}, misuseInDocs(doc.String()))
}
