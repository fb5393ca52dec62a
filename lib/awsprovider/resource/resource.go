// Package resource turns a description of one AWS resource type (typed inputs, typed state, and the API calls
// behind create, read, update and delete) into a Pulumi resource that behaves as the official pulumi-aws provider's
// does. What differs from type to type is in the description; what all types share is here: strict inputs, default
// tags, diffing against what the cloud said, replacement, partial state, and cancellation.
//
// It may reach the cloud only through the descriptions' own functions.
package resource

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	p "github.com/pulumi/pulumi-go-provider"
)

// Description describes one resource type. A is its inputs and S its state: a struct that embeds A, as read back
// from the cloud, and adds the outputs.
//
// Fields of A carry, beside the `pulumi` tag, an optional `aws` tag with any of these words:
//
//	forcenew   a change replaces the resource
//	computed   when the program does not set it, whatever the cloud says is fine
//	set        a list whose order has no meaning
//	json       a JSON document, compared as JSON
//	policy     an IAM policy, compared by meaning
//	writeonly  never returned by the API; the state keeps what was last sent
type Description[A, S any] struct {
	// Token is the type token of pulumi-aws v6 or pulumi-random v4, such as "aws:sqs/queue:Queue".
	Token string
	// Check fills in the official provider's defaults and returns the faults it finds. A value that is not known yet
	// reads as zero and must not be faulted. May be nil.
	Check func(a *A) []Fault
	// Create makes the resource and returns its id, which must be returned also with an error once something exists.
	Create func(ctx context.Context, c *Cloud, a A) (id string, err error)
	// Read asks the cloud. prior carries what was last known, for what the API never returns; a missing resource is
	// ErrNotFound or any error that NotFound knows.
	Read func(ctx context.Context, c *Cloud, id string, prior S) (S, error)
	// Update brings the resource from old to new. When nil, every change replaces.
	Update func(ctx context.Context, c *Cloud, id string, old S, new A) error
	// Delete removes the resource and waits until it is gone. Not found is success.
	Delete func(ctx context.Context, c *Cloud, id string, s S) error
	// Replaces names the properties whose change from old to new the API refuses in place though it takes others of them.
	// May be nil.
	Replaces func(old, new A) []string
	// DeleteBeforeReplace says that two cannot exist at once whatever their names.
	DeleteBeforeReplace bool
	// Example is the conformance row: every type has one, or it does not register.
	Example func(x Scratch) Example[A]
}

// Fault is one refused input.
type Fault struct{ Property, Reason string }

// Example is a legal configuration and the changes that must be possible in place.
type Example[A any] struct {
	Inputs  A
	Changes []Change[A]
	// Silent says, where it applies, that some endpoints cannot show that the resource is gone, and why. The
	// conformance test prints it when that happens.
	Silent string
}

// Change is one mutation of an example's inputs.
type Change[A any] struct {
	Name  string
	Apply func(*A)
}

// Scratch makes what an example stands on, by type token, and removes it afterwards.
type Scratch interface {
	// Make creates a resource of the provider under test.
	Make(token string, inputs map[string]any) Made
	// Name returns a name that no other example uses.
	Name(prefix string) string
}

// Made is a prerequisite of an example.
type Made struct {
	ID      string
	Outputs map[string]any
}

// Resource is a registered type.
type Resource struct {
	Token string
	// ForceNew names the properties whose change replaces the resource.
	ForceNew []string
	// Computed names the properties that the cloud fills in where the program leaves them out.
	Computed []string
	// Inputs names every property that the type accepts.
	Inputs []string
	// Infer is what the provider serves.
	Infer infer.InferredResource
	// Conformance returns the type's example.
	Conformance func(x Scratch) Row
	// Err says why the description cannot be registered.
	Err error
}

// Define registers a description. The description's faults are in the result's Err, which the provider reports.
func Define[A, S any](d Description[A, S]) Resource {
	fields, err := fieldsOf(reflect.TypeFor[A]())
	r := Resource{Token: d.Token, Infer: infer.Resource(&adapter[A, S]{d, fields})}
	for _, f := range fields {
		r.Inputs = append(r.Inputs, f.name)
		if f.forceNew || d.Update == nil {
			r.ForceNew = append(r.ForceNew, f.name)
		}
		if f.computed {
			r.Computed = append(r.Computed, f.name)
		}
	}
	switch _, embeds := embeddedArgs[A](reflect.TypeFor[S]()); {
	case err != nil:
		r.Err = fmt.Errorf("%s: %w", d.Token, err)
	case len(strings.Split(d.Token, ":")) != 3:
		r.Err = fmt.Errorf("%q is not a type token", d.Token)
	case !embeds:
		r.Err = fmt.Errorf("%s: the state does not embed the inputs", d.Token)
	case d.Create == nil || d.Read == nil || d.Delete == nil:
		r.Err = fmt.Errorf("%s: create, read and delete are needed", d.Token)
	case d.Example == nil:
		r.Err = fmt.Errorf("%s: no conformance example", d.Token)
	}
	r.Conformance = func(x Scratch) Row { return row(d.Example(x), fields) }
	return r
}

// Row is an example without its type: the inputs after zero, one, two … of its changes, and the changes' names.
type Row struct {
	Inputs  []map[string]any
	Changes []string
	Silent  string
}

// adapter serves a description through infer.
type adapter[A, S any] struct {
	d      Description[A, S]
	fields []field
}

// Annotate gives infer the type token. infer also asks a zero value while it writes the schema.
func (r *adapter[A, S]) Annotate(a infer.Annotator) {
	if r == nil {
		return
	}
	if parts := strings.Split(r.d.Token, ":"); len(parts) == 3 {
		a.SetToken(tokens.ModuleName(parts[1]), tokens.TypeName(parts[2]))
	}
}

// Check decodes the inputs strictly, adds the default tags, and lets the type fill in its defaults.
func (r *adapter[A, S]) Check(ctx context.Context, req infer.CheckRequest) (infer.CheckResponse[A], error) {
	a, failures, err := infer.DefaultCheck[A](ctx, req.NewInputs)
	if err != nil || len(failures) > 0 {
		return infer.CheckResponse[A]{Inputs: a, Failures: r.explain(failures, req.NewInputs)}, err
	}
	if tags := tagsOf(&a); tags != nil && !req.NewInputs.Get("tags").IsComputed() {
		*tags = merge(cloudOf(ctx).DefaultTags, *tags)
	}
	var faults []Fault
	if r.d.Check != nil {
		faults = r.d.Check(&a)
	}
	for _, f := range faults {
		failures = append(failures, p.CheckFailure{Property: f.Property, Reason: f.Reason})
	}
	return infer.CheckResponse[A]{Inputs: a, Failures: failures}, nil
}

// explain makes of infer's decode failures what a user of the local provider must know: the type and the property.
func (r *adapter[A, S]) explain(failures []p.CheckFailure, inputs property.Map) []p.CheckFailure {
	known := map[string]bool{}
	for _, f := range r.fields {
		known[f.name] = true
	}
	for i, f := range failures {
		if _, sent := inputs.GetOk(f.Property); sent && !known[f.Property] {
			failures[i].Reason = fmt.Sprintf("the local provider does not implement the property %q of %s; "+
				"add it in lib/awsprovider, or use --provider official", f.Property, r.d.Token)
		} else {
			failures[i].Reason = fmt.Sprintf("%s: %s", r.d.Token, f.Reason)
		}
	}
	return failures
}

// Diff compares the new inputs with the state, which is what the cloud last said.
func (r *adapter[A, S]) Diff(_ context.Context, req infer.DiffRequest[A, S]) (p.DiffResponse, error) {
	old := argsOf[A](&req.State)
	diff := p.DiffResponse{DetailedDiff: map[string]p.PropertyDiff{}, DeleteBeforeReplace: r.d.DeleteBeforeReplace}
	var replaces []string
	if r.d.Replaces != nil {
		replaces = r.d.Replaces(*old, req.Inputs)
	}
	for _, f := range r.fields {
		if kind, changed := f.diff(old, &req.Inputs); changed {
			if f.forceNew || r.d.Update == nil || slices.Contains(replaces, f.name) {
				kind += "&replace"
			}
			diff.DetailedDiff[f.name] = p.PropertyDiff{Kind: kind, InputDiff: true}
			diff.HasChanges = true
		}
	}
	return diff, nil
}

// Create makes the resource and reads it back. Whatever fails after the resource exists keeps its id in the state.
func (r *adapter[A, S]) Create(ctx context.Context, req infer.CreateRequest[A]) (infer.CreateResponse[S], error) {
	state := stateOf[A, S](req.Inputs)
	if req.DryRun {
		return infer.CreateResponse[S]{Output: state}, nil
	}
	c := cloudOf(ctx)
	id, err := r.d.Create(ctx, c, req.Inputs)
	if id == "" {
		if err == nil {
			err = errors.New("the API returned no id")
		}
		return infer.CreateResponse[S]{}, fmt.Errorf("creating %s: %w", r.d.Token, stopped(ctx, err))
	}
	if err == nil {
		var read S
		if read, err = r.d.Read(ctx, c, id, state); err == nil {
			return infer.CreateResponse[S]{ID: id, Output: read}, nil
		}
		err = fmt.Errorf("reading it back: %w", err)
	}
	return infer.CreateResponse[S]{ID: id, Output: state}, partial("creating", r.d.Token, id, stopped(ctx, err))
}

// Read rebuilds inputs and state from the cloud. A missing resource has an empty id.
func (r *adapter[A, S]) Read(ctx context.Context, req infer.ReadRequest[A, S]) (infer.ReadResponse[A, S], error) {
	state, err := r.d.Read(ctx, cloudOf(ctx), req.ID, req.State)
	switch {
	case NotFound(err):
		return infer.ReadResponse[A, S]{}, nil
	case err != nil:
		return infer.ReadResponse[A, S]{}, fmt.Errorf("reading %s %s: %w", r.d.Token, req.ID, stopped(ctx, err))
	}
	inputs := req.Inputs
	for _, f := range r.fields {
		f.refresh(&inputs, argsOf[A](&state))
	}
	return infer.ReadResponse[A, S]{ID: req.ID, Inputs: inputs, State: state}, nil
}

// Update changes the resource in place and reads it back.
func (r *adapter[A, S]) Update(ctx context.Context, req infer.UpdateRequest[A, S]) (infer.UpdateResponse[S], error) {
	old := req.State
	c := cloudOf(ctx)
	if !req.DryRun {
		// A create that failed half-way left what was wanted in the state: only the cloud knows what is there.
		if now, err := r.d.Read(ctx, c, req.ID, old); err == nil {
			old = now
		}
	}
	planned := old
	*argsOf[A](&planned) = r.keepComputed(req.Inputs, argsOf[A](&old))
	if req.DryRun {
		return infer.UpdateResponse[S]{Output: planned}, nil
	}
	// A type without Update comes here only to continue a create that failed half-way: it is read back.
	if r.d.Update != nil {
		if err := r.d.Update(ctx, c, req.ID, old, *argsOf[A](&planned)); err != nil {
			// What was applied is known only to the cloud: ask it, and keep the old state where it does not answer.
			now, readErr := r.d.Read(ctx, c, req.ID, old)
			if readErr != nil {
				now = old
			}
			return infer.UpdateResponse[S]{Output: now}, partial("updating", r.d.Token, req.ID, stopped(ctx, err))
		}
	}
	state, err := r.d.Read(ctx, c, req.ID, planned)
	if err != nil {
		return infer.UpdateResponse[S]{Output: planned}, partial("reading back", r.d.Token, req.ID, stopped(ctx, err))
	}
	return infer.UpdateResponse[S]{Output: state}, nil
}

// Delete removes the resource; one that is already gone is done.
func (r *adapter[A, S]) Delete(ctx context.Context, req infer.DeleteRequest[S]) (infer.DeleteResponse, error) {
	err := r.d.Delete(ctx, cloudOf(ctx), req.ID, req.State)
	if err != nil && !NotFound(err) {
		return infer.DeleteResponse{}, fmt.Errorf("deleting %s %s: %w", r.d.Token, req.ID, stopped(ctx, err))
	}
	return infer.DeleteResponse{}, nil
}

// WireDependencies tells infer that an output depends on the input of its own name alone, so that the preview of an
// update in place does not call every output unknown.
func (r *adapter[A, S]) WireDependencies(f infer.FieldSelector, args *A, state *S) {
	from, to := reflect.ValueOf(args).Elem(), reflect.ValueOf(argsOf[A](state)).Elem()
	for _, fd := range r.fields {
		f.OutputField(to.FieldByIndex(fd.index).Addr().Interface()).
			DependsOn(f.InputField(from.FieldByIndex(fd.index).Addr().Interface()).Computed())
	}
	all := reflect.ValueOf(state).Elem()
	for _, sf := range reflect.VisibleFields(all.Type()) {
		if strings.Contains(sf.Tag.Get("provider"), "secret") {
			f.OutputField(all.FieldByIndex(sf.Index).Addr().Interface()).AlwaysSecret()
		}
	}
}

// keepComputed fills what the program leaves to the cloud with what the cloud chose.
func (r *adapter[A, S]) keepComputed(inputs A, old *A) A {
	for _, f := range r.fields {
		if f.computed && f.unset(&inputs) {
			f.copy(&inputs, old)
		}
	}
	return inputs
}

// partial reports a failure on a resource that exists: the engine keeps its id.
func partial(doing, token, id string, err error) error {
	return infer.ResourceInitFailedError{Reasons: []string{fmt.Sprintf("%s %s %s: %v", doing, token, id, err)}}
}

// row expands an example.
func row[A any](e Example[A], fields []field) Row {
	r := Row{Inputs: []map[string]any{encode(&e.Inputs, fields)}, Silent: e.Silent}
	for _, c := range e.Changes {
		c.Apply(&e.Inputs)
		r.Inputs = append(r.Inputs, encode(&e.Inputs, fields))
		r.Changes = append(r.Changes, c.Name)
	}
	return r
}
