package verify

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"tapstack/lib"
	"tapstack/lib/cloud"
	"tapstack/lib/inventory"
	"tapstack/lib/verify/grants"
)

// Env is what a check may ask: the stack's outputs and the live API. It serves one run.
type Env struct {
	Suffix  string
	cloud   *cloud.Reader
	outputs map[string]any
	network Network
	grants  func(context.Context) ([]grants.Grant, error)
	// patience bounds every wait, pollInterval is the longest pause within one.
	patience, pollInterval time.Duration
}

func newEnv(o Options) *Env {
	cfg := o.AWS.Copy()
	if o.Region != "" {
		cfg.Region = o.Region
	}
	e := &Env{
		Suffix: o.Suffix, cloud: cloud.NewReader(cfg), outputs: o.Outputs,
		network: o.Network, grants: o.Grants, patience: o.Patience, pollInterval: defaultPollInterval,
	}
	if o.Patience > 0 {
		e.pollInterval = min(defaultPollInterval, o.Patience/minPolls)
	}
	if e.network == nil {
		e.network = ownNetwork{&net.Dialer{}, net.DefaultResolver}
	}
	return e
}

// output is the value of a stack output that is a string.
func (e *Env) output(name string) (string, error) {
	s, _ := e.outputs[name].(string)
	if s == "" {
		return "", fmt.Errorf("the stack's output %q is missing, empty or no string", name)
	}
	return s, nil
}

// outputList is the value of a stack output that is a list of strings.
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
				return nil, fmt.Errorf("the stack's output %q holds something that is no string", name)
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

// inventory is everything of the stack that the services of AWS list, with its tags.
func (e *Env) inventory(ctx context.Context) ([]inventory.Resource, error) {
	return cloud.Once(ctx, e.cloud, "the inventory", func(ctx context.Context) ([]inventory.Resource, error) {
		return inventory.OfStack(ctx, e.cloud, e.Suffix, e.outputs)
	})
}

// byOutput is the one of a list whose id or name is the value of an output.
func byOutput[T any](
	ctx context.Context, e *Env, what, output string, list func(context.Context) ([]T, error), id func(T) *string,
) (found T, err error) {
	want, err1 := e.output(output)
	all, err2 := list(ctx)
	if err := cmp.Or(err1, err2); err != nil {
		return found, err
	}
	return findOne(what+" "+want, all, func(v T) bool { return aws.ToString(id(v)) == want })
}

// inVPC are those of a list that are in the stack's VPC.
func inVPC[T any](ctx context.Context, e *Env, what string, list func(context.Context) ([]T, error), vpcOf func(T) *string) ([]T, error) {
	id, err1 := e.output(lib.OutputVpcID)
	all, err2 := list(ctx)
	if err := cmp.Or(err1, err2); err != nil {
		return nil, err
	}
	return findAll(what+" in VPC "+id, all, func(v T) bool { return aws.ToString(vpcOf(v)) == id })
}

// findOne returns the first item that fits.
func findOne[T any](what string, items []T, fits func(T) bool) (T, error) {
	var none T
	i := slices.IndexFunc(items, fits)
	if i < 0 {
		return none, fmt.Errorf("there is no %s", what)
	}
	return items[i], nil
}

// findAll returns the items that fit, or an error when none does.
func findAll[T any](what string, items []T, fits func(T) bool) ([]T, error) {
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
