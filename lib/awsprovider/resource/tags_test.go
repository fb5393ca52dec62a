package resource_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/awsprovider/resource"
)

func tagged(t *testing.T, defaults map[string]string, inputs property.Map) property.Map {
	t.Helper()
	server := serve(t, resource.NewCloud(aws.Config{}, defaults), resource.Define(newShelf().describe()))
	resp, err := server.Check(p.CheckRequest{Urn: boxURN, Inputs: inputs})
	require.NoError(t, err)
	require.Empty(t, resp.Failures)
	return resp.Inputs
}

func TestCheckAddsTheDefaultTagsAndTheProgramsOwnWin(t *testing.T) {
	defaults := map[string]string{"Environment": "production", "Batch": "1"}
	got := tagged(t, defaults, values(fields{"name": "a", "tags": map[string]any{"Name": "box", "Batch": "2"}})).Get("tags").AsMap()
	for key, want := range map[string]string{"Environment": "production", "Batch": "2", "Name": "box"} {
		assert.Equal(t, want, str(got, key), key)
	}
	assert.Equal(t, 2, tagged(t, defaults, values(fields{"name": "a"})).Get("tags").AsMap().Len(), "a box without tags of its own has the defaults")
	assert.Equal(t, map[string]string{"Environment": "production", "Batch": "1"}, defaults, "the defaults themselves stay")
	_, set := tagged(t, nil, values(fields{"name": "a"})).GetOk("tags")
	assert.False(t, set, "tags appear although there are none")
}

func TestTagsThatAreNotKnownYetStaySo(t *testing.T) {
	defaults := map[string]string{"Environment": "production"}
	unknown := property.New(property.Computed)
	all := tagged(t, defaults, property.NewMap(map[string]property.Value{"name": property.New("a"), "tags": unknown}))
	assert.True(t, all.Get("tags").IsComputed(), "unknown tags became %v", all.Get("tags"))
	one := tagged(t, defaults, property.NewMap(map[string]property.Value{
		"name": property.New("a"), "tags": property.New(map[string]property.Value{"Owner": unknown}),
	})).Get("tags")
	require.True(t, one.IsMap())
	assert.True(t, one.AsMap().Get("Owner").IsComputed())
	assert.Equal(t, "production", str(one.AsMap(), "Environment"))
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
	require.NoError(t, err)
	require.Empty(t, resp.Failures)
	_, set := resp.Inputs.GetOk("tags")
	assert.False(t, set)
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
	assert.Equal(t, map[string]string{"Name": "a", "Empty": ""}, got)
}

func TestTagsAreSentInOrder(t *testing.T) {
	joined := func(k, v string) string { return k + v }
	assert.Equal(t, []string{"a1", "b2"}, resource.TagList(map[string]string{"b": "2", "a": "1"}, joined))
	assert.Nil(t, resource.TagList(nil, joined))
}

func TestTagsAreUpdatedByTheCallsThatHaveSomethingToDo(t *testing.T) {
	var calls []string
	update := func(old, now map[string]string, refused error) error {
		calls = nil
		return resource.UpdateTags(old, now, func(keys []string) (any, error) {
			calls = append(calls, fmt.Sprint("remove ", keys))
			return nil, refused
		}, func(tags map[string]string) (any, error) {
			calls = append(calls, fmt.Sprint("set ", tags))
			return nil, refused
		})
	}
	old, now := map[string]string{"same": "1", "changed": "1", "gone": "1"}, map[string]string{"same": "1", "changed": "2", "new": ""}
	require.NoError(t, update(old, now, nil))
	assert.Equal(t, []string{"remove [gone]", "set map[changed:2 new:]"}, calls)
	require.NoError(t, update(old, old, nil))
	assert.Empty(t, calls)
	require.ErrorIs(t, update(old, nil, errRefused), errRefused)
	assert.Equal(t, []string{"remove [changed gone same]"}, calls)
	assert.ErrorIs(t, update(nil, now, errRefused), errRefused)
}
