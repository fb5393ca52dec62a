package resource_test

import (
	"slices"
	"testing"

	p "github.com/pulumi/pulumi-go-provider"

	"tapstack/lib/awsprovider/resource"
)

// stored is the state of a box with every property set.
var stored = fields{
	"name": "a", "size": 1, "zone": "z1", "host": "h1", "note": "n", "members": []any{"x", "y"}, "steps": []any{"1", "2"},
	"policy": `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["b", "a"]}]}`, "password": "hunter2",
	"parts": []any{
		map[string]any{"kind": "p", "colors": []any{"red", "blue"}}, map[string]any{"kind": "q"},
	},
	"tags": map[string]any{"Name": "a"}, "tagsAll": map[string]any{"Name": "a"}, "arn": "arn:a",
}

func inputsOf(state fields) fields { return state.with(fields{"tagsAll": nil, "arn": nil}) }

func diffOf(t *testing.T, state, inputs fields) p.DiffResponse {
	t.Helper()
	diff, err := serveBoxes(t, newShelf()).Diff(p.DiffRequest{ID: "a", Urn: boxURN, State: values(state), Inputs: values(inputs)})
	if err != nil {
		t.Fatal(err)
	}
	return diff
}

func TestTheSameThingInOtherWordsIsNoDifference(t *testing.T) {
	same := inputsOf(stored)
	for name, it := range map[string]struct{ state, inputs fields }{
		"nothing changed":                     {stored, same},
		"a set in another order":              {stored, same.with(fields{"members": []any{"y", "x"}})},
		"JSON with other white space":         {stored, same.with(fields{"policy": `{"Statement":[{"Action":["b","a"],"Effect":"Allow"}],"Version":"2012-10-17"}`})},
		"a policy's list of one":              {stored, same.with(fields{"policy": `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["a","b"]}}`})},
		"a set of objects in another order":   {stored, same.with(fields{"parts": []any{map[string]any{"kind": "q"}, map[string]any{"kind": "p", "colors": []any{"blue", "red"}}}})},
		"a computed property left alone":      {stored, same.with(fields{"zone": nil})},
		"a computed forcenew one left alone":  {stored, same.with(fields{"host": nil})},
		"an empty list for none":              {stored.with(fields{"members": nil}), same.with(fields{"members": []any{}})},
		"no list for an empty one":            {stored.with(fields{"steps": []any{}}), same.with(fields{"steps": nil})},
		"no tags for empty tags":              {stored.with(fields{"tags": map[string]any{}}), same.with(fields{"tags": nil})},
		"an empty nested list for none":       {stored, same.with(fields{"parts": []any{map[string]any{"kind": "q", "colors": []any{}}, map[string]any{"kind": "p", "colors": []any{"red", "blue"}}}})},
		"an empty text for none":              {stored.with(fields{"note": nil}), same.with(fields{"note": ""})},
		"no text for an empty one":            {stored.with(fields{"note": ""}), same.with(fields{"note": nil})},
		"an optional text neither set nor in": {stored.with(fields{"note": nil}), same.with(fields{"note": nil})},
	} {
		if diff := diffOf(t, it.state, it.inputs); diff.HasChanges || len(diff.DetailedDiff) > 0 {
			t.Errorf("%s: %v differ", name, names(diff.DetailedDiff))
		}
	}
}

func TestADifferenceIsNamedAndReplacesOnlyWhereItMust(t *testing.T) {
	same := inputsOf(stored)
	for name, it := range map[string]struct {
		state, change fields
		property      string
		kind          p.DiffKind
	}{
		"a forcenew property":           {stored, fields{"name": "b"}, "name", p.UpdateReplace},
		"a computed forcenew property":  {stored, fields{"host": "h2"}, "host", p.UpdateReplace},
		"a number":                      {stored, fields{"size": 2}, "size", p.Update},
		"a number to nought":            {stored, fields{"size": 0}, "size", p.Update},
		"a number removed":              {stored, fields{"size": nil}, "size", p.Delete},
		"nought where nothing was":      {stored.with(fields{"size": nil}), fields{"size": 0}, "size", p.Add},
		"a computed property":           {stored, fields{"zone": "z2"}, "zone", p.Update},
		"a text removed":                {stored, fields{"note": nil}, "note", p.Delete},
		"a text added":                  {stored.with(fields{"note": nil}), fields{"note": "n"}, "note", p.Add},
		"a list in another order":       {stored, fields{"steps": []any{"2", "1"}}, "steps", p.Update},
		"a member of a set":             {stored, fields{"members": []any{"x", "z"}}, "members", p.Update},
		"a member twice":                {stored, fields{"members": []any{"x", "y", "y"}}, "members", p.Update},
		"a document's meaning":          {stored, fields{"policy": `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":["b","a"]}]}`}, "policy", p.Update},
		"a document that is not JSON":   {stored, fields{"policy": "{"}, "policy", p.Update},
		"a property that is write-only": {stored, fields{"password": "hunter3"}, "password", p.Update},
		"a nested property":             {stored, fields{"parts": []any{map[string]any{"kind": "p", "colors": []any{"red"}}, map[string]any{"kind": "q"}}}, "parts", p.Update},
		"tags":                          {stored, fields{"tags": map[string]any{"Name": "b"}}, "tags", p.Update},
		"tags removed":                  {stored, fields{"tags": nil}, "tags", p.Delete},
	} {
		diff := diffOf(t, it.state, same.with(it.change))
		if !diff.HasChanges || !slices.Equal(names(diff.DetailedDiff), []string{it.property}) {
			t.Errorf("%s: %v differ, want %s alone", name, names(diff.DetailedDiff), it.property)
			continue
		}
		if got := diff.DetailedDiff[it.property]; got.Kind != it.kind || !got.InputDiff {
			t.Errorf("%s: %+v, want an input's %s", name, got, it.kind)
		}
	}
}

func TestReplacementIsAnnouncedForTheGoldenTable(t *testing.T) {
	r := resource.Define(newShelf().describe())
	if want := []string{"host", "name"}; !slices.Equal(slices.Sorted(slices.Values(r.ForceNew)), want) {
		t.Errorf("%v force replacement, want %v", r.ForceNew, want)
	}
}

func TestJSONIsComparedByMeaning(t *testing.T) {
	for _, it := range []struct {
		a, b string
		same bool
	}{
		{"", "", true},
		{"not json", "not json", true},
		{"not json", "{}", false},
		{`{"a":1,"b":2}`, `{ "b": 2, "a": 1 }`, true},
		{`{"a":["x"]}`, `{"a":"x"}`, true},
		{`{"a":["x","y"]}`, `{"a":["y","x"]}`, true},
		{`{"a":["x","y"]}`, `{"a":["x"]}`, false},
		{`{"a":[{"n":1},{"n":2}]}`, `{"a":[{"n":2},{"n":1}]}`, false},
		{`{"a":null}`, `{}`, false},
	} {
		if got := resource.SameJSON(it.a, it.b); got != it.same {
			t.Errorf("%s and %s: %v, want %v", it.a, it.b, got, it.same)
		}
	}
}
