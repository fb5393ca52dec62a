package resource_test

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"tapstack/lib/awsprovider/resource"
)

func tagged(t *testing.T, defaults map[string]string, inputs property.Map) property.Map {
	t.Helper()
	server := serve(t, resource.NewCloud(aws.Config{}, defaults), resource.Define(newShelf().describe()))
	resp, err := server.Check(p.CheckRequest{Urn: boxURN, Inputs: inputs})
	if err != nil || len(resp.Failures) > 0 {
		t.Fatalf("check: %v, %v", err, resp.Failures)
	}
	return resp.Inputs
}

func TestCheckAddsTheDefaultTagsAndTheProgramsOwnWin(t *testing.T) {
	defaults := map[string]string{"Environment": "production", "Batch": "1"}
	got := tagged(t, defaults, values(fields{"name": "a", "tags": map[string]any{"Name": "box", "Batch": "2"}})).Get("tags").AsMap()
	for key, want := range map[string]string{"Environment": "production", "Batch": "2", "Name": "box"} {
		if str(got, key) != want {
			t.Errorf("tag %s is %v, want %s", key, got.Get(key), want)
		}
	}
	if got := tagged(t, defaults, values(fields{"name": "a"})).Get("tags").AsMap(); got.Len() != 2 {
		t.Errorf("without tags of its own a box has %v, want the defaults", got)
	}
	if defaults["Batch"] != "1" || len(defaults) != 2 {
		t.Errorf("the defaults themselves were changed to %v", defaults)
	}
	if _, set := tagged(t, nil, values(fields{"name": "a"})).GetOk("tags"); set {
		t.Error("tags appear although there are none")
	}
}

func TestTagsThatAreNotKnownYetStaySo(t *testing.T) {
	defaults := map[string]string{"Environment": "production"}
	unknown := property.New(property.Computed)
	all := tagged(t, defaults, property.NewMap(map[string]property.Value{"name": property.New("a"), "tags": unknown}))
	if !all.Get("tags").IsComputed() {
		t.Errorf("unknown tags became %v", all.Get("tags"))
	}
	one := tagged(t, defaults, property.NewMap(map[string]property.Value{
		"name": property.New("a"), "tags": property.New(map[string]property.Value{"Owner": unknown}),
	})).Get("tags")
	if !one.IsMap() || !one.AsMap().Get("Owner").IsComputed() || str(one.AsMap(), "Environment") != "production" {
		t.Errorf("a tag that is not known yet gives %v", one)
	}
}

func TestATypeThatCannotBeTaggedGetsNoTags(t *testing.T) {
	type Args struct {
		Name string `pulumi:"name"`
	}
	type state struct{ Args }
	const token = "aws:shelf/label:Label"
	r := resource.Define(resource.Description[Args, state]{
		Token:  token,
		Create: func(context.Context, *resource.Cloud, Args) (string, error) { return "", nil },
		Read:   func(context.Context, *resource.Cloud, string, state) (state, error) { return state{}, nil },
		Delete: func(context.Context, *resource.Cloud, string, state) error { return nil },
		Example: func(resource.Scratch) resource.Example[Args] {
			return resource.Example[Args]{}
		},
	})
	server := serve(t, resource.NewCloud(aws.Config{}, map[string]string{"Environment": "production"}), r)
	resp, err := server.Check(p.CheckRequest{Urn: urn(token), Inputs: values(fields{"name": "a"})})
	if err != nil || len(resp.Failures) > 0 {
		t.Fatalf("check: %v, %v", err, resp.Failures)
	}
	if _, set := resp.Inputs.GetOk("tags"); set {
		t.Errorf("inputs are %v", resp.Inputs)
	}
}

type pair struct{ key, value *string }

func TestTagsOfAWSItselfAreLeftOut(t *testing.T) {
	list := []pair{
		{aws.String("Name"), aws.String("a")},
		{aws.String("aws:cloudformation:stack-name"), aws.String("s")},
		{aws.String("Empty"), nil},
		{nil, aws.String("b")},
	}
	got := resource.TagMap(list, func(x pair) (key, value *string) { return x.key, x.value })
	if want := map[string]string{"Name": "a", "Empty": ""}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestTagsAreSentInOrder(t *testing.T) {
	got := resource.TagList(map[string]string{"b": "2", "a": "1"}, func(k, v string) string { return k + v })
	if !slices.Equal(got, []string{"a1", "b2"}) {
		t.Errorf("%v", got)
	}
	if got := resource.TagList(nil, func(k, v string) string { return k + v }); got != nil {
		t.Errorf("no tags give %v", got)
	}
}

func TestOnlyTheTagsThatDifferAreSetAndRemoved(t *testing.T) {
	set, remove := resource.TagDelta(
		map[string]string{"same": "1", "changed": "1", "gone": "1", "also": "1"},
		map[string]string{"same": "1", "changed": "2", "new": ""},
	)
	if want := map[string]string{"changed": "2", "new": ""}; !maps.Equal(set, want) {
		t.Errorf("set %v, want %v", set, want)
	}
	if !slices.Equal(remove, []string{"also", "gone"}) {
		t.Errorf("remove %v", remove)
	}
}
