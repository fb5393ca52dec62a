package verify

import (
	"context"
	"fmt"
	"net"
	"slices"
	"time"

	"tapstack/lib/cloud"
)

// Env is what a check may ask: the stack's outputs and the live API. It serves one run.
type Env struct {
	Suffix  string
	cloud   *cloud.Reader
	any     bool // every suffix, for Find
	outputs map[string]any
	network Network
	// patience bounds waits, pace is the time between two looks of one.
	patience, pace time.Duration
}

func newEnv(o Options) *Env {
	cfg := o.AWS.Copy()
	if o.Region != "" {
		cfg.Region = o.Region
	}
	e := &Env{
		Suffix: o.Suffix, cloud: cloud.NewReader(cfg), outputs: o.Outputs,
		network: o.Network, patience: o.Patience, pace: defaultPace,
	}
	if o.Patience > 0 {
		e.pace = min(defaultPace, o.Patience/looksOfThePatient)
	}
	if e.network == nil {
		e.network = ownNetwork{&net.Dialer{}, net.DefaultResolver}
	}
	return e
}

// output is the value of a stack output that holds text.
func (e *Env) output(name string) (string, error) {
	v, ok := e.outputs[name]
	if !ok {
		return "", fmt.Errorf("the stack has no output %q", name)
	}
	s, ok := v.(string)
	if !ok || s == "" {
		return "", fmt.Errorf("the stack's output %q is not a text that says something", name)
	}
	return s, nil
}

// outputList is the value of a stack output that holds a list of texts.
func (e *Env) outputList(name string) ([]string, error) {
	var list []string
	switch v := e.outputs[name].(type) {
	case nil:
		return nil, fmt.Errorf("the stack has no output %q", name)
	case []string:
		list = slices.Clone(v)
	case []any:
		for _, item := range v {
			s, ok := item.(string)
			if !ok {
				return nil, fmt.Errorf("the stack's output %q holds something that is not text", name)
			}
			list = append(list, s)
		}
	default:
		return nil, fmt.Errorf("the stack's output %q is not a list", name)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("the stack's output %q is empty", name)
	}
	return list, nil
}

// target is the identity as far as it is known.
func (e *Env) target(ctx context.Context) Target {
	id, err := e.cloud.Identity(ctx)
	if err != nil {
		id.Region = e.cloud.Region
	}
	return Target{Identity: id}
}

// the returns the one item that fits.
func the[T any](what string, items []T, fits func(T) bool) (T, error) {
	var none T
	i := slices.IndexFunc(items, fits)
	if i < 0 {
		return none, fmt.Errorf("there is no %s", what)
	}
	return items[i], nil
}

// those returns the items that fit, or an error when none does.
func those[T any](what string, items []T, fits func(T) bool) ([]T, error) {
	var out []T
	for _, item := range items {
		if fits(item) {
			out = append(out, item)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("there is no %s", what)
	}
	return out, nil
}
