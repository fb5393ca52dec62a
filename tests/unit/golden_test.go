package unit_test

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/sergi/go-diff/diffmatchpatch"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	goldenFolder = "../../fixtures/golden"
	hidden       = "[secret]"
)

// TestTheGoldenGraphIsWhatTheProgramDeclares holds the whole resource graph to a file, and the variants to their
// differences from it, so that a change to the infrastructure shows in review.
func TestTheGoldenGraphIsWhatTheProgramDeclares(t *testing.T) {
	standard := blocks(t, deploy(t, nil))
	var whole []string
	for _, head := range slices.Sorted(maps.Keys(standard)) {
		whole = append(whole, standard[head])
	}
	golden(t, "graph", "# The resource graph of the default configuration, under mocks: account "+account+", "+region+", suffix "+suffix+".\n"+
		"# A resource's block tells its type, name, inputs, parent, provider, what it reads (through its inputs), what it\n"+
		"# waits for besides (dependsOn), and every resource option. Secrets are "+hidden+"; JSON texts are shown parsed.\n",
		strings.Join(whole, "\n"))
	for name, settings := range variants() {
		if name != "" {
			golden(t, name, "# What "+strings.ReplaceAll(lines(settings), "\n", " ")+" changes in graph.golden.\n", changes(standard, blocks(t, deploy(t, settings))))
		}
	}
}

func golden(t *testing.T, name, comment, content string) {
	t.Helper()
	got := comment + "# Written by: go test ./tests/unit -run Golden -update\n\n" + content
	path := filepath.Join(goldenFolder, name+".golden")
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "write it with: go test ./tests/unit -run Golden -update")
	assert.Empty(t, cmp.Diff(string(want), got), "the program declares something else than %s says. If that is meant: go test ./tests/unit -run Golden -update", path)
}

// TestTheGoldenGraphHidesSecrets searches the files for everything that the mocks call secret.
func TestTheGoldenGraphHidesSecrets(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(goldenFolder, "*.golden"))
	require.NoError(t, err)
	assert.Len(t, files, len(variants()))
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, secret := range []string{newRecorder().Password, "Aa1%21", "070707", "BwcHBwc", "PRIVATE KEY", "BEGIN"} {
			assert.NotContains(t, string(text), secret, file)
		}
	}
}

// blocks renders every resource and the outputs, by headline.
func blocks(t *testing.T, r *recorder) map[string]string {
	t.Helper()
	rendered := map[string]string{}
	for name, d := range r.resources {
		head := d.token + " " + name
		rendered[head] = head + "\n" + block(t, d)
	}
	outputs := map[string]any{}
	for name, out := range r.outputs {
		outputs[name] = out.value
		if out.secret {
			outputs[name] = hidden
		}
	}
	rendered["~ outputs"] = "~ outputs\n" + render(generic(t, outputs), 1)
	return rendered
}

var emptyPart = regexp.MustCompile(`: (\[\]|\{\}|<nil>)\n$`)

// block is one resource: its parts in a fixed order, those that are empty left out.
func block(t *testing.T, d registration) string {
	t.Helper()
	inputs, reads := map[string]any{}, map[string]bool{}
	for key, value := range d.inputs {
		inputs[string(key)] = redacted(value)
		for _, name := range d.sources(string(key)) {
			reads[name] = true
		}
	}
	waits := slices.DeleteFunc(slices.Sorted(slices.Values(namesIn(d.request.GetDependencies()))), func(name string) bool { return reads[name] })
	parent := nameIn(d.request.GetParent())
	if strings.Contains(d.request.GetParent(), "::pulumi:pulumi:Stack::") {
		parent = "the stack"
	}
	text := ""
	for _, part := range []struct {
		name  string
		value any
	}{
		{"inputs", inputs},
		{"parent", parent},
		{"provider", provider(d.request.GetProvider())},
		{"reads", generic(t, slices.Sorted(maps.Keys(reads)))},
		{"dependsOn", generic(t, waits)},
		{"options", options(t, d.request)},
	} {
		if rendered := renderField(part.name, part.value, 1); !emptyPart.MatchString(rendered) {
			text += rendered
		}
	}
	return text
}

// provider names the provider that a resource goes through: the URN ends in name and id.
func provider(urn string) string {
	if urn == "" {
		return "default"
	}
	return nameIn(urn[:strings.LastIndex(urn, "::")])
}

// options are all resource options that were given, whatever they are: what is left of the request without the rest.
func options(t *testing.T, request *pulumirpc.RegisterResourceRequest) any {
	t.Helper()
	rest, _ := proto.Clone(request).(*pulumirpc.RegisterResourceRequest)
	fields := rest.ProtoReflect().Descriptor().Fields()
	for _, name := range []string{
		"type", "name", "parent", "custom", "object", "dependencies", "provider", "propertyDependencies", "version", "acceptSecrets",
		"acceptResources", "supportsPartialValues", "supportsResultReporting", "accepts_byte_string", "aliasSpecs", "sourcePosition",
		"stackTrace", "parentStackTraceHandle", "deleteBeforeReplaceDefined",
	} {
		field := fields.ByName(protoreflect.Name(name))
		require.NotNil(t, field, "the SDK's registration request has no %s any more", name)
		rest.ProtoReflect().Clear(field)
	}
	if proto.Equal(rest.GetCustomTimeouts(), &pulumirpc.RegisterResourceRequest_CustomTimeouts{}) {
		rest.CustomTimeouts = nil
	}
	raw, err := protojson.Marshal(rest)
	require.NoError(t, err)
	var given any
	require.NoError(t, json.Unmarshal(raw, &given))
	return given
}

// redacted is a value with every secret in it hidden.
func redacted(value resource.PropertyValue) any {
	return value.MapRepl(nil, func(v resource.PropertyValue) (any, bool) {
		if v.IsSecret() || (v.IsOutput() && v.OutputValue().Secret) {
			return hidden, true
		}
		return nil, false
	})
}

// generic turns a value into maps, lists and scalars.
func generic(t *testing.T, value any) any {
	t.Helper()
	raw, err := json.Marshal(value)
	require.NoError(t, err)
	var plain any
	require.NoError(t, json.Unmarshal(raw, &plain))
	return plain
}

// render writes a value as indented lines, maps sorted by key.
func render(value any, depth int) string {
	text := ""
	switch value := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			text += renderField(key, value[key], depth)
		}
	case []any:
		for _, item := range value {
			text += renderField("", item, depth)
		}
	}
	return text
}

// renderField writes one field, or one item of a list if the key is empty.
func renderField(key string, value any, depth int) string {
	head := strings.Repeat("  ", depth) + key + ":"
	if key == "" {
		head = strings.Repeat("  ", depth) + "-"
	}
	if parsed, ok := embedded(value); ok {
		return head + " (JSON)\n" + render(parsed, depth+1)
	}
	switch value := value.(type) {
	case map[string]any:
		if len(value) == 0 {
			return head + " {}\n"
		}
		if key == "" {
			nested := render(value, depth+1)
			return head + " " + strings.TrimLeft(nested, " ")
		}
		return head + "\n" + render(value, depth+1)
	case []any:
		if len(value) == 0 {
			return head + " []\n"
		}
		return head + "\n" + render(value, depth+1)
	}
	return head + " " + scalar(value) + "\n"
}

// embedded parses a text that is a JSON object or list.
func embedded(value any) (any, bool) {
	text, ok := value.(string)
	if !ok || !strings.HasPrefix(text, "{") && !strings.HasPrefix(text, "[") {
		return nil, false
	}
	var parsed any
	err := json.Unmarshal([]byte(text), &parsed)
	return parsed, err == nil
}

// scalar quotes texts that could be taken for something else.
func scalar(value any) string {
	switch value := value.(type) {
	case float64:
		return strconv.FormatFloat(value, 'f', -1, 64)
	case string:
		if block, _ := pem.Decode([]byte(value)); block != nil && block.Type == "CERTIFICATE" {
			if certificate, err := x509.ParseCertificate(block.Bytes); err == nil {
				return fmt.Sprintf("[certificate of %s, %s to %s]", certificate.Subject.CommonName,
					certificate.NotBefore.Format("2006-01-02"), certificate.NotAfter.Format("2006-01-02"))
			}
		}
		_, notNumber := strconv.ParseFloat(value, 64)
		if value == "" || notNumber == nil || value == "true" || value == "false" || strings.ContainsAny(value, "\n\"") || strings.TrimSpace(value) != value {
			return strconv.Quote(value)
		}
		return value
	}
	return fmt.Sprint(value)
}

// changes tells what turns one set of blocks into another: whole blocks, or lines within a block.
func changes(from, to map[string]string) string {
	heads := maps.Clone(from)
	maps.Copy(heads, to)
	var parts []string
	for _, head := range slices.Sorted(maps.Keys(heads)) {
		was, now := from[head], to[head]
		switch {
		case was == now:
		case now == "":
			parts = append(parts, "- "+head+"\n")
		case was == "":
			parts = append(parts, prefixed("+ ", now))
		default:
			parts = append(parts, "  "+head+"\n"+lineChanges(was, now))
		}
	}
	return strings.Join(parts, "\n")
}

func prefixed(mark, text string) string {
	return mark + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n"+mark) + "\n"
}

// lineChanges lists the lines that go and those that come, without those that stay.
func lineChanges(was, now string) string {
	differ := diffmatchpatch.New()
	before, after, known := differ.DiffLinesToRunes(was, now)
	text := ""
	for _, change := range differ.DiffCharsToLines(differ.DiffMainRunes(before, after, false), known) {
		switch change.Type {
		case diffmatchpatch.DiffDelete:
			text += prefixed("- ", change.Text)
		case diffmatchpatch.DiffInsert:
			text += prefixed("+ ", change.Text)
		}
	}
	return text
}
