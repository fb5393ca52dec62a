package cost_test

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"tapstack/lib/cost"
)

var headline = regexp.MustCompile(`^([a-z]+:\S+) (\S+)$`)

// golden reads resources from a golden file of the resource graph: of a difference, what it adds.
func golden(t *testing.T, name string) []cost.Resource {
	t.Helper()
	text, err := os.ReadFile("../../fixtures/golden/" + name)
	require.NoError(t, err)
	var found []cost.Resource
	for block := range strings.SplitSeq(string(text), "\n\n") {
		var lines []string
		for line := range strings.SplitSeq(block, "\n") {
			if after, added := strings.CutPrefix(line, "+"); added {
				line = strings.TrimPrefix(after, " ")
			}
			lines = append(lines, line)
		}
		for len(lines) > 0 && strings.HasPrefix(lines[0], "#") {
			lines = lines[1:]
		}
		if len(lines) == 0 {
			continue
		}
		if head := headline.FindStringSubmatch(lines[0]); head != nil {
			found = append(found, cost.Resource{Type: head[1], Name: head[2], Inputs: inputs(t, lines[1:])})
		}
	}
	require.NotEmpty(t, found, name)
	return found
}

// inputs reads a block's inputs, which are YAML but for JSON texts, which are left out, and texts that want quotes.
func inputs(t *testing.T, lines []string) map[string]any {
	t.Helper()
	var kept []string
	dropped := -1 // the indentation of a JSON text that is being left out
	for _, line := range lines {
		indent := len(line) - len(strings.TrimLeft(line, " "))
		if dropped >= 0 && indent > dropped {
			continue
		}
		dropped = -1
		if strings.HasSuffix(line, "(JSON)") {
			dropped = indent
			continue
		}
		if key, value, _ := strings.Cut(line, ": "); strings.HasPrefix(value, "!") || strings.Contains(value, ": ") {
			line = key + ": " + strconv.Quote(value)
		}
		kept = append(kept, line)
	}
	var block struct {
		Inputs map[string]any `yaml:"inputs"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(strings.Join(kept, "\n")), &block), strings.Join(kept, "\n"))
	return block.Inputs
}
