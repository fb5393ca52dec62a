package resource_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/awsprovider/resource"
)

func TestCheckRefusesWhatTheTypeDoesNotImplementByTypeAndProperty(t *testing.T) {
	server := serveBoxes(t, newShelf())
	for name, it := range map[string]struct {
		inputs fields
		says   []string
	}{
		"an unknown property":        {fields{"name": "a", "colour": "red"}, []string{boxToken, `"colour"`, "does not implement", "--provider official"}},
		"an unknown nested property": {fields{"name": "a", "parts": []any{map[string]any{"kind": "x", "weight": 1}}}, []string{boxToken, "weight"}},
		"a missing property":         {fields{"size": 1}, []string{boxToken, "name"}},
		"a value of another type":    {fields{"name": "a", "size": "big"}, []string{boxToken, "size"}},
	} {
		resp, err := server.Check(p.CheckRequest{Urn: boxURN, Inputs: values(it.inputs)})
		require.NoError(t, err, name)
		require.Len(t, resp.Failures, 1, name)
		for _, part := range it.says {
			assert.Contains(t, resp.Failures[0].Property+": "+resp.Failures[0].Reason, part, name)
		}
	}
}

func TestCheckTellsEveryUnknownPropertyAtOnce(t *testing.T) {
	resp, err := serveBoxes(t, newShelf()).Check(p.CheckRequest{Urn: boxURN, Inputs: values(fields{"name": "a", "one": 1, "two": 2})})
	require.NoError(t, err)
	assert.Len(t, resp.Failures, 2)
}

func TestCheckFillsInDefaultsAndReturnsTheTypesOwnFaults(t *testing.T) {
	server := serveBoxes(t, newShelf())
	got := checked(t, server, fields{"name": "a"}).Get("size")
	assert.True(t, got.IsNumber())
	assert.EqualValues(t, 1, got.AsNumber())
	resp, err := server.Check(p.CheckRequest{Urn: boxURN, Inputs: values(fields{"name": "forbidden", "size": -1})})
	require.NoError(t, err)
	var faulted []string
	for _, f := range resp.Failures {
		faulted = append(faulted, f.Property)
	}
	slices.Sort(faulted)
	assert.Equal(t, []string{"name", "size"}, faulted)
}

func TestCheckKeepsWhatIsNotKnownYet(t *testing.T) {
	server := serveBoxes(t, newShelf())
	unknown := property.New(property.Computed)
	resp, err := server.Check(p.CheckRequest{Urn: boxURN, Inputs: property.NewMap(map[string]property.Value{
		"name": unknown, "size": unknown, "zone": unknown,
	})})
	require.NoError(t, err)
	require.Empty(t, resp.Failures)
	for _, name := range []string{"name", "size", "zone"} {
		assert.True(t, resp.Inputs.Get(name).IsComputed(), name)
	}
}

func TestCheckMakesSecretInputsSecret(t *testing.T) {
	assert.True(t, checked(t, serveBoxes(t, newShelf()), fields{"name": "a", "password": "hunter2"}).Get("password").Secret(), "the password is not secret")
}

func TestPreviewsCallNothing(t *testing.T) {
	s := newShelf()
	server := serveBoxes(t, s)
	inputs := checked(t, server, fields{"name": "a"})
	previewed, err := server.Create(p.CreateRequest{Urn: boxURN, Properties: inputs, DryRun: true})
	require.NoError(t, err)
	assert.Equal(t, "a", str(previewed.Properties, "name"))
	assert.True(t, previewed.Properties.Get("arn").IsComputed())
	state := values(fields{"name": "a", "size": 1, "arn": "arn:a", "tagsAll": map[string]any{}})
	updated, err := server.Update(p.UpdateRequest{
		ID: "a", Urn: boxURN, State: state, Inputs: checked(t, server, fields{"name": "a", "size": 2}), DryRun: true,
	})
	require.NoError(t, err)
	got := updated.Properties.Get("size")
	assert.True(t, got.IsNumber())
	assert.EqualValues(t, 2, got.AsNumber())
	assert.Equal(t, "arn:a", str(updated.Properties, "arn"))
	assert.Empty(t, s.calls)
}

func TestCreateReturnsWhatTheCloudSays(t *testing.T) {
	s := newShelf()
	made := created(t, serveBoxes(t, s), fields{"name": "a", "password": "hunter2"})
	assert.Equal(t, "a", made.ID)
	assert.Equal(t, "arn:a", str(made.Properties, "arn"))
	assert.Equal(t, "zone-chosen-by-the-cloud", str(made.Properties, "zone"))
	got := made.Properties.Get("password")
	assert.True(t, got.Secret(), "what the API never returns is not kept as a secret in the state")
	assert.Equal(t, "hunter2", got.AsString(), "what the API never returns is not kept as a secret in the state")
	assert.Equal(t, []string{"create", "attach", "read"}, s.calls)
}

func TestACreateThatFailsHalfWayKeepsItsIDAndState(t *testing.T) {
	for _, failing := range []string{"attach", "read"} {
		s := newShelf()
		s.fail[failing] = errRefused
		server := serveBoxes(t, s)
		resp, err := server.Create(p.CreateRequest{Urn: boxURN, Properties: checked(t, server, fields{"name": "a", "size": 7})})
		require.Error(t, err, failing)
		require.NotNil(t, resp.PartialState, failing)
		assert.Equal(t, "a", resp.ID, failing)
		assert.Equal(t, "a", str(resp.Properties, "name"), failing)
		assert.EqualValues(t, 7, resp.Properties.Get("size").AsNumber(), failing)
		for _, part := range []string{boxToken, "a", errRefused.Error()} {
			assert.Contains(t, strings.Join(resp.PartialState.Reasons, "\n"), part, failing)
		}
	}
}

func TestWhatACreateLeftHalfMadeCanBeDeleted(t *testing.T) {
	s := newShelf()
	s.fail["attach"] = errRefused
	server := serveBoxes(t, s)
	resp, err := server.Create(p.CreateRequest{Urn: boxURN, Properties: checked(t, server, fields{"name": "a"})})
	require.Error(t, err, "the create succeeds")
	assert.NoError(t, server.Delete(p.DeleteRequest{ID: resp.ID, Urn: boxURN, Properties: resp.Properties}))
	assert.Empty(t, s.boxes, "the box is still there")
}

func TestAResourceWithoutTagsCanBeChangedAndDeleted(t *testing.T) {
	s := newShelf()
	server := serve(t, resource.NewCloud(aws.Config{}, nil), resource.Define(s.describe()))
	made := created(t, server, fields{"name": "a"})
	updated, err := server.Update(p.UpdateRequest{
		ID: "a", Urn: boxURN, State: made.Properties, Inputs: checked(t, server, fields{"name": "a", "size": 3}),
	})
	require.NoError(t, err)
	assert.NoError(t, server.Delete(p.DeleteRequest{ID: "a", Urn: boxURN, Properties: updated.Properties}))
}

func TestACreateThatMakesNothingLeavesNoState(t *testing.T) {
	s := newShelf()
	s.fail["create"] = errRefused
	server := serveBoxes(t, s)
	resp, err := server.Create(p.CreateRequest{Urn: boxURN, Properties: checked(t, server, fields{"name": "a"})})
	require.Error(t, err)
	require.Nil(t, resp.PartialState)
	require.Empty(t, resp.ID)
	assert.ErrorContains(t, err, boxToken)
	assert.ErrorContains(t, err, errRefused.Error())
}

func TestACreateWithoutAnIDIsAnError(t *testing.T) {
	d := newShelf().describe()
	d.Create = func(context.Context, *resource.Cloud, BoxArgs) (string, error) { return "", nil }
	server := serve(t, resource.NewCloud(aws.Config{}, nil), resource.Define(d))
	_, err := server.Create(p.CreateRequest{Urn: boxURN, Properties: checked(t, server, fields{"name": "a"})})
	assert.Error(t, err, "nothing was made and no error was returned")
}

func TestTheNextUpdateDoesWhatACreateLeftUndone(t *testing.T) {
	s := newShelf()
	d := s.describe()
	d.Create = func(_ context.Context, _ *resource.Cloud, a BoxArgs) (string, error) {
		note := a.Note
		a.Note = nil
		s.boxes[a.Name] = a
		if err := s.call("attach"); err != nil {
			return a.Name, err
		}
		a.Note = note
		s.boxes[a.Name] = a
		return a.Name, nil
	}
	d.Update = func(_ context.Context, _ *resource.Cloud, id string, old BoxState, a BoxArgs) error {
		if box := s.boxes[id]; aws.ToString(old.Note) != aws.ToString(a.Note) {
			box.Note = a.Note
			s.boxes[id] = box
		}
		return nil
	}
	server := serve(t, resource.NewCloud(aws.Config{}, map[string]string{"Environment": "test"}), resource.Define(d))
	inputs := checked(t, server, fields{"name": "a", "note": "mine"})
	for _, silent := range []bool{false, true} { // whether the cloud can be asked after the failure, or all has stopped
		s.fail["attach"] = errRefused
		if silent {
			s.fail["read"] = errRefused
		}
		resp, err := server.Create(p.CreateRequest{Urn: boxURN, Properties: inputs})
		require.Error(t, err, "the create succeeds")
		s.fail = map[string]error{}
		// The engine continues a half-made resource with an update, whatever the diff says.
		updated, err := server.Update(p.UpdateRequest{ID: resp.ID, Urn: boxURN, State: resp.Properties, Inputs: inputs})
		require.NoError(t, err)
		assert.Equal(t, "mine", aws.ToString(s.boxes["a"].Note))
		assert.Equal(t, "mine", str(updated.Properties, "note"))
	}
}

func TestATypeWithoutUpdateIsReadAgainAfterAHalfMadeCreate(t *testing.T) {
	s := newShelf()
	d := s.describe()
	d.Update = nil
	server := serve(t, resource.NewCloud(aws.Config{}, map[string]string{"Environment": "test"}), resource.Define(d))
	inputs := checked(t, server, fields{"name": "a"})
	s.fail["read"] = errRefused
	resp, err := server.Create(p.CreateRequest{Urn: boxURN, Properties: inputs})
	require.Error(t, err, "the create succeeds")
	s.fail = map[string]error{}
	updated, err := server.Update(p.UpdateRequest{ID: resp.ID, Urn: boxURN, State: resp.Properties, Inputs: inputs})
	require.NoError(t, err)
	assert.Equal(t, "arn:a", str(updated.Properties, "arn"))
}

func TestAnUpdateReadsBackAndKeepsWhatTheCloudChose(t *testing.T) {
	s := newShelf()
	server := serveBoxes(t, s)
	made := created(t, server, fields{"name": "a"})
	updated, err := server.Update(p.UpdateRequest{
		ID: "a", Urn: boxURN, State: made.Properties, Inputs: checked(t, server, fields{"name": "a", "size": 3}),
	})
	require.NoError(t, err)
	assert.Equal(t, 3, aws.ToInt(s.boxes["a"].Size))
	assert.Equal(t, "zone-chosen-by-the-cloud", str(updated.Properties, "zone"))
}

func TestAnUpdateThatFailsKeepsWhatTheCloudSays(t *testing.T) {
	s := newShelf()
	server := serveBoxes(t, s)
	made := created(t, server, fields{"name": "a"})
	s.boxes["a"] = BoxArgs{Name: "a", Size: aws.Int(2)} // half of the update arrived
	s.fail["update"] = errRefused
	resp, err := server.Update(p.UpdateRequest{
		ID: "a", Urn: boxURN, State: made.Properties, Inputs: checked(t, server, fields{"name": "a", "size": 3}),
	})
	require.Error(t, err)
	require.NotNil(t, resp.PartialState)
	got := resp.Properties.Get("size")
	assert.True(t, got.IsNumber())
	assert.EqualValues(t, 2, got.AsNumber())
	s.fail["read"] = errRefused
	resp, err = server.Update(p.UpdateRequest{
		ID: "a", Urn: boxURN, State: made.Properties, Inputs: checked(t, server, fields{"name": "a", "size": 3}),
	})
	assert.Error(t, err)
	assert.EqualValues(t, 1, resp.Properties.Get("size").AsNumber())
}

func TestATypeWithoutUpdateIsReplacedByEveryChange(t *testing.T) {
	d := newShelf().describe()
	d.Update, d.DeleteBeforeReplace = nil, true
	r := resource.Define(d)
	assert.Contains(t, r.ForceNew, "size")
	assert.Len(t, r.ForceNew, len(r.Inputs))
	server := serve(t, resource.NewCloud(aws.Config{}, nil), r)
	state := values(fields{"name": "a", "size": 1, "arn": "arn:a", "tagsAll": map[string]any{}})
	diff, err := server.Diff(p.DiffRequest{ID: "a", Urn: boxURN, State: state, Inputs: values(fields{"name": "a", "size": 2})})
	require.NoError(t, err)
	assert.Equal(t, p.UpdateReplace, diff.DetailedDiff["size"].Kind)
	assert.True(t, diff.DeleteBeforeReplace)
}

func TestATypeSaysWhichChangesReplaceIt(t *testing.T) {
	d := newShelf().describe()
	d.Replaces = func(old, now BoxArgs) []string {
		if *old.Size > *now.Size {
			return []string{"size"}
		}
		return nil
	}
	server := serve(t, resource.NewCloud(aws.Config{}, nil), resource.Define(d))
	for size, want := range map[int]p.DiffKind{1: p.UpdateReplace, 3: p.Update} {
		state := values(fields{"name": "a", "size": 2, "arn": "arn:a", "tagsAll": map[string]any{}})
		diff, err := server.Diff(p.DiffRequest{ID: "a", Urn: boxURN, State: state, Inputs: values(fields{"name": "a", "size": size})})
		require.NoError(t, err)
		assert.Equal(t, want, diff.DetailedDiff["size"].Kind)
	}
}

func TestReadShowsDriftInWhatTheProgramSetAndNothingElse(t *testing.T) {
	s := newShelf()
	server := serveBoxes(t, s)
	inputs := checked(t, server, fields{"name": "a", "note": "mine", "password": "hunter2", "members": []any{"x", "y"}})
	made := created(t, server, fields{"name": "a", "note": "mine", "password": "hunter2", "members": []any{"x", "y"}})
	box := s.boxes["a"]
	box.Note, box.Members, box.Policy = aws.String("theirs"), []string{"y", "x"}, aws.String("{}")
	s.boxes["a"] = box
	read, err := server.Read(p.ReadRequest{ID: "a", Urn: boxURN, Properties: made.Properties, Inputs: inputs})
	require.NoError(t, err)
	assert.Equal(t, "theirs", str(read.Inputs, "note"))
	assert.Equal(t, "theirs", str(read.Properties, "note"))
	assert.True(t, read.Inputs.Get("members").Equals(inputs.Get("members")))
	_, adopted := read.Inputs.GetOk("policy")
	assert.False(t, adopted, "a property that the program does not set became an input")
	assert.Equal(t, "{}", str(read.Properties, "policy"), "the state does not show a property that the program does not set")
	assert.Equal(t, "hunter2", read.Properties.Get("password").AsString(), "what the API never returns was lost")
}

func TestWhatIsGoneReadsAsGone(t *testing.T) {
	s := newShelf()
	server := serveBoxes(t, s)
	made := created(t, server, fields{"name": "a"})
	delete(s.boxes, "a")
	for _, err := range []error{nil, &smithy.GenericAPIError{Code: "NoSuchBox.NotFound"}} {
		s.fail["read"] = err
		read, err := server.Read(p.ReadRequest{ID: "a", Urn: boxURN, Properties: made.Properties})
		require.NoError(t, err)
		assert.Empty(t, read.ID)
	}
	s.fail["read"] = errRefused
	_, err := server.Read(p.ReadRequest{ID: "a", Urn: boxURN, Properties: made.Properties})
	assert.Error(t, err, "a read that fails must not pass for a deletion")
}

func TestDeletingWhatIsGoneSucceeds(t *testing.T) {
	s := newShelf()
	server := serveBoxes(t, s)
	made := created(t, server, fields{"name": "a"})
	for _, gone := range []error{nil, resource.ErrNotFound, &smithy.GenericAPIError{Code: "ResourceNotFoundException"}} {
		s.fail["delete"] = gone
		assert.NoError(t, server.Delete(p.DeleteRequest{ID: "a", Urn: boxURN, Properties: made.Properties}))
	}
	s.fail["delete"] = errRefused
	err := server.Delete(p.DeleteRequest{ID: "a", Urn: boxURN, Properties: made.Properties})
	assert.ErrorContains(t, err, boxToken+" a")
}

func TestAnIncompleteDescriptionDoesNotRegister(t *testing.T) {
	type stateless struct{ Arn string }
	type hidden struct {
		Name string `pulumi:"name"`
	}
	good := newShelf().describe()
	for name, err := range map[string]error{
		"without an example": resource.Define(func() resource.Description[BoxArgs, BoxState] { d := good; d.Example = nil; return d }()).Err,
		"without create":     resource.Define(func() resource.Description[BoxArgs, BoxState] { d := good; d.Create = nil; return d }()).Err,
		"without read":       resource.Define(func() resource.Description[BoxArgs, BoxState] { d := good; d.Read = nil; return d }()).Err,
		"without delete":     resource.Define(func() resource.Description[BoxArgs, BoxState] { d := good; d.Delete = nil; return d }()).Err,
		"without a token":    resource.Define(func() resource.Description[BoxArgs, BoxState] { d := good; d.Token = "box"; return d }()).Err,
		"with a state of its own": resource.Define(resource.Description[BoxArgs, stateless]{
			Token: boxToken,
		}).Err,
		"with inputs that are not exported": resource.Define(resource.Description[hidden, struct{ hidden }]{
			Token:  boxToken,
			Create: func(context.Context, *resource.Cloud, hidden) (string, error) { return "", nil },
			Read: func(_ context.Context, _ *resource.Cloud, _ string, s struct{ hidden }) (struct{ hidden }, error) {
				return s, nil
			},
			Delete:  func(context.Context, *resource.Cloud, string, struct{ hidden }) error { return nil },
			Example: func(resource.Scratch) resource.Example[hidden] { return resource.Example[hidden]{} },
		}).Err,
		"with an unknown tag": resource.Define(resource.Description[struct {
			Name string `pulumi:"name" aws:"forcednew"`
		}, struct{}]{Token: boxToken}).Err,
	} {
		assert.Error(t, err, name)
	}
	r := resource.Define(good)
	assert.NoError(t, r.Err)
}

func TestAnExampleIsExpandedIntoOneRowForEveryChange(t *testing.T) {
	d := newShelf().describe()
	d.Example = func(resource.Scratch) resource.Example[BoxArgs] {
		return resource.Example[BoxArgs]{
			Silent: "reason",
			Inputs: BoxArgs{Name: "a", Parts: []part{{Kind: "x"}}},
			Changes: []resource.Change[BoxArgs]{
				{Name: "size", Apply: func(a *BoxArgs) { a.Size = aws.Int(0) }},
				{Name: "no parts", Apply: func(a *BoxArgs) { a.Parts = nil }},
			},
		}
	}
	row := resource.Define(d).Conformance(nil)
	require.Equal(t, []string{"size", "no parts"}, row.Changes)
	require.Equal(t, "reason", row.Silent)
	require.Len(t, row.Inputs, 3)
	_, set := row.Inputs[0]["size"]
	assert.False(t, set, "the first inputs already have the change")
	assert.Equal(t, 0, row.Inputs[1]["size"])
	_, set = row.Inputs[2]["parts"]
	assert.False(t, set, "the second change did not remove the parts")
}

func TestAFunctionIsStrictAndSaysWhatFailed(t *testing.T) {
	type in struct {
		Name string `pulumi:"name"`
	}
	type out struct {
		Length int `pulumi:"length"`
	}
	const token = "aws:index/measure:measure"
	function := resource.DefineFunction(resource.Function[in, out]{
		Token: token,
		Call: func(_ context.Context, c *resource.Cloud, i in) (out, error) {
			if i.Name == "" || c == nil {
				return out{}, errRefused
			}
			return out{Length: len(i.Name)}, nil
		},
	})
	server := serve(t, resource.NewCloud(aws.Config{}, nil), resource.Define(newShelf().describe()), []infer.InferredFunction{function}...)
	resp, err := server.Invoke(p.InvokeRequest{Token: token, Args: values(fields{"name": "four"})})
	require.NoError(t, err)
	assert.EqualValues(t, 4, resp.Return.Get("length").AsNumber())
	resp, err = server.Invoke(p.InvokeRequest{Token: token, Args: values(fields{"name": "four", "unit": "m"})})
	assert.False(t, err == nil && len(resp.Failures) == 0, "an unknown argument is ignored")
	_, err = server.Invoke(p.InvokeRequest{Token: token, Args: values(fields{"name": ""})})
	assert.ErrorContains(t, err, token)
	assert.ErrorIs(t, err, errRefused)
}
