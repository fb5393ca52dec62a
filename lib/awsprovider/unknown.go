package awsprovider

import (
	"context"
	"slices"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"tapstack/lib/awsprovider/resource"
)

// withUnknownInputs has Check keep, and Diff tell as changed, an input that is not known yet, as the official provider
// does: infer reads it as zero, which would mean that the program gave none. A list that AWS may fill in, and of which
// nothing is known, is no change to the official one while the state has one.
func withUnknownInputs(provider p.Provider, types []resource.Resource) p.Provider {
	described := map[string]resource.Resource{}
	for _, r := range types {
		described[r.Token] = r
	}
	check, diff := provider.Check, provider.Diff
	provider.Check = func(ctx context.Context, req p.CheckRequest) (p.CheckResponse, error) {
		resp, err := check(ctx, req)
		if err != nil || len(resp.Failures) > 0 {
			return resp, err
		}
		for _, name := range unknown(req.Inputs) {
			resp.Inputs = resp.Inputs.Set(name, restored(req.Inputs.Get(name), resp.Inputs.Get(name)))
		}
		return resp, nil
	}
	// All but the unknown inputs is compared as if those stayed.
	provider.Diff = func(ctx context.Context, req p.DiffRequest) (p.DiffResponse, error) {
		r := described[string(req.Urn.Type())]
		var names []string
		for _, name := range unknown(req.Inputs) {
			was := req.State.Get(name)
			if !req.Inputs.Get(name).IsComputed() || !was.IsArray() || !slices.Contains(r.Computed, name) {
				names = append(names, name)
			}
			req.Inputs = req.Inputs.Set(name, was)
		}
		resp, err := diff(ctx, req)
		if err != nil || len(names) == 0 {
			return resp, err
		}
		if resp.DetailedDiff == nil {
			resp.DetailedDiff = map[string]p.PropertyDiff{}
		}
		resp.HasChanges = true
		for _, name := range names {
			kind := p.Update
			if slices.Contains(r.ForceNew, name) {
				kind = p.UpdateReplace
			}
			resp.DetailedDiff[name] = p.PropertyDiff{Kind: kind, InputDiff: true}
		}
		return resp, nil
	}
	return provider
}

// unknown names the inputs of which something is not known yet.
func unknown(inputs property.Map) []string {
	var names []string
	for name, value := range inputs.All {
		if value.HasComputed() {
			names = append(names, name)
		}
	}
	return names
}

// restored is a checked value in which what was not known is unknown again.
func restored(given, checked property.Value) property.Value {
	switch {
	case !given.HasComputed():
		return checked
	case given.IsMap() && checked.IsMap():
		m := checked.AsMap()
		for key, value := range given.AsMap().All {
			if value.HasComputed() {
				m = m.Set(key, restored(value, m.Get(key)))
			}
		}
		return property.WithGoValue(checked, m)
	}
	return given
}
