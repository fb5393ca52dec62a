package resource_test

import (
	"testing"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/awsprovider/resource"
)

// stored is the state of a box with every property set.
var stored = fields{
	"name": "a", "size": 1, "zone": "z1", "host": "h1", "note": "n", "members": []any{"x", "y"}, "steps": []any{"1", "2"},
	"document": `{"limit": 3, "names": ["x", "y"]}`, "password": "hunter2",
	"policy": `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": ["b", "a"]}]}`,
	"parts": []any{
		map[string]any{"kind": "p", "colors": []any{"red", "blue"}}, map[string]any{"kind": "q"},
	},
	"tags": map[string]any{"Name": "a"}, "tagsAll": map[string]any{"Name": "a"}, "arn": "arn:a",
}

func inputsOf(state fields) fields { return state.with(fields{"tagsAll": nil, "arn": nil}) }

func diffOf(t *testing.T, state, inputs fields) p.DiffResponse {
	t.Helper()
	diff, err := serveBoxes(t, newShelf()).Diff(p.DiffRequest{ID: "a", Urn: boxURN, State: values(state), Inputs: values(inputs)})
	require.NoError(t, err)
	return diff
}

func TestTheSameThingInOtherWordsIsNoDifference(t *testing.T) {
	same := inputsOf(stored)
	for name, it := range map[string]struct{ state, inputs fields }{
		"nothing changed":                       {stored, same},
		"a set in another order":                {stored, same.with(fields{"members": []any{"y", "x"}})},
		"JSON in another order and white space": {stored, same.with(fields{"document": `{"names":["x","y"],"limit":3}`})},
		"a policy in other words":               {stored, same.with(fields{"policy": `{"Version":"2012-10-17","Statement":{"Action":["a","b"],"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::123456789012:root"]}}}`})},
		"a set of objects in another order":     {stored, same.with(fields{"parts": []any{map[string]any{"kind": "q"}, map[string]any{"kind": "p", "colors": []any{"blue", "red"}}}})},
		"a computed property left alone":        {stored, same.with(fields{"zone": nil})},
		"a computed forcenew one left alone":    {stored, same.with(fields{"host": nil})},
		"an empty list for none":                {stored.with(fields{"members": nil}), same.with(fields{"members": []any{}})},
		"no list for an empty one":              {stored.with(fields{"steps": []any{}}), same.with(fields{"steps": nil})},
		"no tags for empty tags":                {stored.with(fields{"tags": map[string]any{}}), same.with(fields{"tags": nil})},
		"an empty nested list for none":         {stored, same.with(fields{"parts": []any{map[string]any{"kind": "q", "colors": []any{}}, map[string]any{"kind": "p", "colors": []any{"red", "blue"}}}})},
		"an empty text for none":                {stored.with(fields{"note": nil}), same.with(fields{"note": ""})},
		"no text for an empty one":              {stored.with(fields{"note": ""}), same.with(fields{"note": nil})},
		"an optional text neither set nor in":   {stored.with(fields{"note": nil}), same.with(fields{"note": nil})},
	} {
		diff := diffOf(t, it.state, it.inputs)
		assert.False(t, diff.HasChanges, name)
		assert.Empty(t, names(diff.DetailedDiff), name)
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
		"a policy's meaning":            {stored, fields{"policy": `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":{"AWS":"123456789012"},"Action":["b","a"]}]}`}, "policy", p.Update},
		"a policy that is not JSON":     {stored, fields{"policy": "{"}, "policy", p.Update},
		"the order of a JSON list":      {stored, fields{"document": `{"limit": 3, "names": ["y", "x"]}`}, "document", p.Update},
		"a document that is not JSON":   {stored, fields{"document": "{"}, "document", p.Update},
		"a property that is write-only": {stored, fields{"password": "hunter3"}, "password", p.Update},
		"a nested property":             {stored, fields{"parts": []any{map[string]any{"kind": "p", "colors": []any{"red"}}, map[string]any{"kind": "q"}}}, "parts", p.Update},
		"tags":                          {stored, fields{"tags": map[string]any{"Name": "b"}}, "tags", p.Update},
		"tags removed":                  {stored, fields{"tags": nil}, "tags", p.Delete},
	} {
		diff := diffOf(t, it.state, same.with(it.change))
		assert.True(t, diff.HasChanges, name)
		assert.Equal(t, map[string]p.PropertyDiff{it.property: {Kind: it.kind, InputDiff: true}}, diff.DetailedDiff, name)
	}
}

func TestReplacementIsAnnouncedForTheGoldenTable(t *testing.T) {
	assert.ElementsMatch(t, []string{"host", "name"}, resource.Define(newShelf().describe()).ForceNew)
}
