package resource_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

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
		if err != nil || len(resp.Failures) != 1 {
			t.Errorf("%s: %v, failures %v; want one failure", name, err, resp.Failures)
			continue
		}
		for _, part := range it.says {
			if told := resp.Failures[0].Property + ": " + resp.Failures[0].Reason; !strings.Contains(told, part) {
				t.Errorf("%s: %q does not mention %s", name, told, part)
			}
		}
	}
}

func TestCheckTellsEveryUnknownPropertyAtOnce(t *testing.T) {
	resp, err := serveBoxes(t, newShelf()).Check(p.CheckRequest{Urn: boxURN, Inputs: values(fields{"name": "a", "one": 1, "two": 2})})
	if err != nil || len(resp.Failures) != 2 {
		t.Errorf("%v, failures %v; want two", err, resp.Failures)
	}
}

func TestCheckFillsInDefaultsAndReturnsTheTypesOwnFaults(t *testing.T) {
	server := serveBoxes(t, newShelf())
	if got := checked(t, server, fields{"name": "a"}).Get("size"); !got.IsNumber() || got.AsNumber() != 1 {
		t.Errorf("size is %v, want the default 1", got)
	}
	resp, err := server.Check(p.CheckRequest{Urn: boxURN, Inputs: values(fields{"name": "forbidden", "size": -1})})
	if err != nil {
		t.Fatal(err)
	}
	var faulted []string
	for _, f := range resp.Failures {
		faulted = append(faulted, f.Property)
	}
	if slices.Sort(faulted); !slices.Equal(faulted, []string{"name", "size"}) {
		t.Errorf("faults on %v, want name and size", faulted)
	}
}

func TestCheckKeepsWhatIsNotKnownYet(t *testing.T) {
	server := serveBoxes(t, newShelf())
	unknown := property.New(property.Computed)
	resp, err := server.Check(p.CheckRequest{Urn: boxURN, Inputs: property.NewMap(map[string]property.Value{
		"name": unknown, "size": unknown, "zone": unknown,
	})})
	if err != nil || len(resp.Failures) > 0 {
		t.Fatalf("%v, failures %v", err, resp.Failures)
	}
	for _, name := range []string{"name", "size", "zone"} {
		if !resp.Inputs.Get(name).IsComputed() {
			t.Errorf("%s has become %v", name, resp.Inputs.Get(name))
		}
	}
}

func TestCheckMakesSecretInputsSecret(t *testing.T) {
	if got := checked(t, serveBoxes(t, newShelf()), fields{"name": "a", "password": "hunter2"}); !got.Get("password").Secret() {
		t.Error("the password is not secret")
	}
}

func TestPreviewsCallNothing(t *testing.T) {
	s := newShelf()
	server := serveBoxes(t, s)
	inputs := checked(t, server, fields{"name": "a"})
	previewed, err := server.Create(p.CreateRequest{Urn: boxURN, Properties: inputs, DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	if str(previewed.Properties, "name") != "a" || !previewed.Properties.Get("arn").IsComputed() {
		t.Errorf("the preview says %v, want the inputs, and outputs that are not known yet", previewed.Properties)
	}
	state := values(fields{"name": "a", "size": 1, "arn": "arn:a", "tagsAll": map[string]any{}})
	updated, err := server.Update(p.UpdateRequest{
		ID: "a", Urn: boxURN, State: state, Inputs: checked(t, server, fields{"name": "a", "size": 2}), DryRun: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := updated.Properties.Get("size"); !got.IsNumber() || got.AsNumber() != 2 {
		t.Errorf("the preview of an update says size %v, want 2", got)
	}
	if str(updated.Properties, "arn") != "arn:a" {
		t.Errorf("the preview of an update in place says arn %v, want what it was", updated.Properties.Get("arn"))
	}
	if len(s.calls) > 0 {
		t.Errorf("previews called %v", s.calls)
	}
}

func TestCreateReturnsWhatTheCloudSays(t *testing.T) {
	s := newShelf()
	made := created(t, serveBoxes(t, s), fields{"name": "a", "password": "hunter2"})
	if made.ID != "a" || str(made.Properties, "arn") != "arn:a" || str(made.Properties, "zone") != "zone-chosen-by-the-cloud" {
		t.Errorf("created %s: %v", made.ID, made.Properties)
	}
	if got := made.Properties.Get("password"); !got.Secret() || got.AsString() != "hunter2" {
		t.Error("what the API never returns is not kept as a secret in the state")
	}
	if want := []string{"create", "attach", "read"}; !slices.Equal(s.calls, want) {
		t.Errorf("called %v, want %v", s.calls, want)
	}
}

func TestACreateThatFailsHalfWayKeepsItsIDAndState(t *testing.T) {
	for _, failing := range []string{"attach", "read"} {
		s := newShelf()
		s.fail[failing] = errRefused
		server := serveBoxes(t, s)
		resp, err := server.Create(p.CreateRequest{Urn: boxURN, Properties: checked(t, server, fields{"name": "a", "size": 7})})
		if err == nil || resp.PartialState == nil {
			t.Fatalf("%s fails: %v, partial state %v; want both", failing, err, resp.PartialState)
		}
		if resp.ID != "a" || str(resp.Properties, "name") != "a" || resp.Properties.Get("size").AsNumber() != 7 {
			t.Errorf("%s fails: id %q, state %v", failing, resp.ID, resp.Properties)
		}
		for _, part := range []string{boxToken, "a", errRefused.Error()} {
			if told := strings.Join(resp.PartialState.Reasons, "\n"); !strings.Contains(told, part) {
				t.Errorf("%s fails: %q does not mention %q", failing, told, part)
			}
		}
	}
}

func TestWhatACreateLeftHalfMadeCanBeDeleted(t *testing.T) {
	s := newShelf()
	s.fail["attach"] = errRefused
	server := serveBoxes(t, s)
	resp, err := server.Create(p.CreateRequest{Urn: boxURN, Properties: checked(t, server, fields{"name": "a"})})
	if err == nil {
		t.Fatal("the create succeeds")
	}
	if err := server.Delete(p.DeleteRequest{ID: resp.ID, Urn: boxURN, Properties: resp.Properties}); err != nil {
		t.Errorf("its state %v cannot be deleted: %v", resp.Properties, err)
	}
	if len(s.boxes) > 0 {
		t.Error("the box is still there")
	}
}

func TestAResourceWithoutTagsCanBeChangedAndDeleted(t *testing.T) {
	s := newShelf()
	server := serve(t, resource.NewCloud(aws.Config{}, nil), resource.Define(s.describe()))
	made := created(t, server, fields{"name": "a"})
	updated, err := server.Update(p.UpdateRequest{
		ID: "a", Urn: boxURN, State: made.Properties, Inputs: checked(t, server, fields{"name": "a", "size": 3}),
	})
	if err != nil {
		t.Fatalf("update: %v", err)
	}
	if err := server.Delete(p.DeleteRequest{ID: "a", Urn: boxURN, Properties: updated.Properties}); err != nil {
		t.Errorf("delete: %v", err)
	}
}

func TestACreateThatMakesNothingLeavesNoState(t *testing.T) {
	s := newShelf()
	s.fail["create"] = errRefused
	server := serveBoxes(t, s)
	resp, err := server.Create(p.CreateRequest{Urn: boxURN, Properties: checked(t, server, fields{"name": "a"})})
	if err == nil || resp.PartialState != nil || resp.ID != "" {
		t.Fatalf("%v, id %q, partial state %v; want an error alone", err, resp.ID, resp.PartialState)
	}
	if !strings.Contains(err.Error(), boxToken) || !strings.Contains(err.Error(), errRefused.Error()) {
		t.Errorf("%q does not say what failed on what", err)
	}
}

func TestACreateWithoutAnIDIsAnError(t *testing.T) {
	d := newShelf().describe()
	d.Create = func(context.Context, *resource.Cloud, BoxArgs) (string, error) { return "", nil }
	server := serve(t, resource.NewCloud(aws.Config{}, nil), resource.Define(d))
	if _, err := server.Create(p.CreateRequest{Urn: boxURN, Properties: checked(t, server, fields{"name": "a"})}); err == nil {
		t.Error("nothing was made and no error was returned")
	}
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
		if err == nil {
			t.Fatal("the create succeeds")
		}
		s.fail = map[string]error{}
		// The engine continues a half-made resource with an update, whatever the diff says.
		updated, err := server.Update(p.UpdateRequest{ID: resp.ID, Urn: boxURN, State: resp.Properties, Inputs: inputs})
		if err != nil {
			t.Fatal(err)
		}
		if got := aws.ToString(s.boxes["a"].Note); got != "mine" || str(updated.Properties, "note") != "mine" {
			t.Errorf("silent %v: the note is %q after the update, want it made good", silent, got)
		}
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
	if err == nil {
		t.Fatal("the create succeeds")
	}
	s.fail = map[string]error{}
	updated, err := server.Update(p.UpdateRequest{ID: resp.ID, Urn: boxURN, State: resp.Properties, Inputs: inputs})
	if err != nil {
		t.Fatalf("the engine cannot continue it: %v", err)
	}
	if str(updated.Properties, "arn") != "arn:a" {
		t.Errorf("the state is %v, want what the cloud says", updated.Properties)
	}
}

func TestAnUpdateReadsBackAndKeepsWhatTheCloudChose(t *testing.T) {
	s := newShelf()
	server := serveBoxes(t, s)
	made := created(t, server, fields{"name": "a"})
	updated, err := server.Update(p.UpdateRequest{
		ID: "a", Urn: boxURN, State: made.Properties, Inputs: checked(t, server, fields{"name": "a", "size": 3}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := aws.ToInt(s.boxes["a"].Size); got != 3 {
		t.Errorf("the cloud has size %d, want 3", got)
	}
	if got := str(updated.Properties, "zone"); got != "zone-chosen-by-the-cloud" {
		t.Errorf("zone is %q: an update dropped what the cloud chose", got)
	}
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
	if err == nil || resp.PartialState == nil {
		t.Fatalf("%v, partial state %v; want both", err, resp.PartialState)
	}
	if got := resp.Properties.Get("size"); !got.IsNumber() || got.AsNumber() != 2 {
		t.Errorf("the state says size %v, the cloud 2", got)
	}
	s.fail["read"] = errRefused
	resp, err = server.Update(p.UpdateRequest{
		ID: "a", Urn: boxURN, State: made.Properties, Inputs: checked(t, server, fields{"name": "a", "size": 3}),
	})
	if err == nil || resp.Properties.Get("size").AsNumber() != 1 {
		t.Errorf("%v; with a silent cloud the state says size %v, want the old 1", err, resp.Properties.Get("size"))
	}
}

func TestATypeWithoutUpdateIsReplacedByEveryChange(t *testing.T) {
	d := newShelf().describe()
	d.Update, d.DeleteBeforeReplace = nil, true
	r := resource.Define(d)
	if !slices.Contains(r.ForceNew, "size") || len(r.ForceNew) != len(r.Inputs) {
		t.Errorf("%v force replacement, want all of %v", r.ForceNew, r.Inputs)
	}
	server := serve(t, resource.NewCloud(aws.Config{}, nil), r)
	state := values(fields{"name": "a", "size": 1, "arn": "arn:a", "tagsAll": map[string]any{}})
	diff, err := server.Diff(p.DiffRequest{ID: "a", Urn: boxURN, State: state, Inputs: values(fields{"name": "a", "size": 2})})
	if err != nil {
		t.Fatal(err)
	}
	if diff.DetailedDiff["size"].Kind != p.UpdateReplace || !diff.DeleteBeforeReplace {
		t.Errorf("diff %v, delete before replace %v", diff.DetailedDiff, diff.DeleteBeforeReplace)
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
	if err != nil {
		t.Fatal(err)
	}
	if str(read.Inputs, "note") != "theirs" || str(read.Properties, "note") != "theirs" {
		t.Errorf("drift in note does not show: inputs %v, state %v", read.Inputs.Get("note"), read.Properties.Get("note"))
	}
	if got := read.Inputs.Get("members"); !got.Equals(inputs.Get("members")) {
		t.Errorf("another order of a set is no drift, yet the inputs became %v", got)
	}
	if _, adopted := read.Inputs.GetOk("policy"); adopted {
		t.Error("a property that the program does not set became an input")
	}
	if str(read.Properties, "policy") != "{}" {
		t.Error("the state does not show a property that the program does not set")
	}
	if got := read.Properties.Get("password"); got.AsString() != "hunter2" {
		t.Error("what the API never returns was lost")
	}
}

func TestWhatIsGoneReadsAsGone(t *testing.T) {
	s := newShelf()
	server := serveBoxes(t, s)
	made := created(t, server, fields{"name": "a"})
	delete(s.boxes, "a")
	for _, err := range []error{nil, &smithy.GenericAPIError{Code: "NoSuchBox.NotFound"}} {
		s.fail["read"] = err
		read, err := server.Read(p.ReadRequest{ID: "a", Urn: boxURN, Properties: made.Properties})
		if err != nil || read.ID != "" {
			t.Errorf("read returns id %q, %v", read.ID, err)
		}
	}
	s.fail["read"] = errRefused
	if _, err := server.Read(p.ReadRequest{ID: "a", Urn: boxURN, Properties: made.Properties}); err == nil {
		t.Error("a read that fails must not pass for a deletion")
	}
}

func TestDeletingWhatIsGoneSucceeds(t *testing.T) {
	s := newShelf()
	server := serveBoxes(t, s)
	made := created(t, server, fields{"name": "a"})
	for _, gone := range []error{nil, resource.ErrNotFound, &smithy.GenericAPIError{Code: "ResourceNotFoundException"}} {
		s.fail["delete"] = gone
		if err := server.Delete(p.DeleteRequest{ID: "a", Urn: boxURN, Properties: made.Properties}); err != nil {
			t.Errorf("delete with %v: %v", gone, err)
		}
	}
	s.fail["delete"] = errRefused
	err := server.Delete(p.DeleteRequest{ID: "a", Urn: boxURN, Properties: made.Properties})
	if err == nil || !strings.Contains(err.Error(), boxToken+" a") {
		t.Errorf("%v; want an error that names the type and the id", err)
	}
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
		if err == nil {
			t.Errorf("a description %s registers", name)
		}
	}
	if r := resource.Define(good); r.Err != nil {
		t.Errorf("a complete description does not: %v", r.Err)
	}
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
	if !slices.Equal(row.Changes, []string{"size", "no parts"}) || row.Silent != "reason" || len(row.Inputs) != 3 {
		t.Fatalf("row %+v", row)
	}
	if _, set := row.Inputs[0]["size"]; set {
		t.Error("the first inputs already have the change")
	}
	if row.Inputs[1]["size"] != 0 {
		t.Errorf("size is %v after the first change, want an explicit 0", row.Inputs[1]["size"])
	}
	if _, set := row.Inputs[2]["parts"]; set {
		t.Error("the second change did not remove the parts")
	}
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
	if err != nil || resp.Return.Get("length").AsNumber() != 4 {
		t.Errorf("%v, %v", resp.Return, err)
	}
	if resp, err = server.Invoke(p.InvokeRequest{Token: token, Args: values(fields{"name": "four", "unit": "m"})}); err == nil && len(resp.Failures) == 0 {
		t.Error("an unknown argument is ignored")
	}
	if _, err = server.Invoke(p.InvokeRequest{Token: token, Args: values(fields{"name": ""})}); err == nil || !strings.Contains(err.Error(), token) {
		t.Errorf("%v; want an error that names the function", err)
	}
	if !errors.Is(err, errRefused) {
		t.Errorf("%v does not wrap its cause", err)
	}
}
