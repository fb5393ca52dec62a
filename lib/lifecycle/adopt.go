package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optrefresh"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Finder looks in the cloud for what a create has made whose outcome no state tells. It answers with the id that the provider
// would have given it, and where the id alone is not enough to read it, with outputs; with no id where there is nothing that
// is provably of this create. known tells the ids that the state has.
type Finder func(ctx context.Context, token string, inputs map[string]any, known func(id string) bool) (id string, outputs map[string]any, err error)

// adoption takes resources into a state that are in the cloud already.
type adoption struct {
	find  Finder
	state *apitype.DeploymentV3
	// ids and urns are those of the state.
	ids, urns map[string]bool
	taken     []string // URNs
}

func newAdoption(find Finder, state *apitype.DeploymentV3) *adoption {
	a := &adoption{find: find, state: state, ids: idsIn(state), urns: map[string]bool{}}
	for _, r := range state.Resources {
		a.urns[string(r.URN)] = true
	}
	return a
}

// take looks for what a create of this resource has made. What is found is in the state from then on, with its inputs for
// outputs: a refresh reads those, and with none at all the official providers would not read but import.
func (a *adoption) take(ctx context.Context, r apitype.ResourceV3) error {
	id, outputs, err := a.find(ctx, string(r.Type), r.Inputs, knownIn(a.ids))
	if err != nil {
		return fmt.Errorf("looking for what the create of %s has made: %w", r.URN, err)
	}
	if id == "" {
		return nil
	}
	r.ID, r.Outputs = resource.ID(id), maps.Clone(r.Inputs)
	maps.Copy(r.Outputs, outputs)
	a.supersede(r.URN)
	a.put(r)
	a.ids[id] = true
	a.taken = append(a.taken, string(r.URN))
	return nil
}

// put adds a resource, which may depend only on what is there.
func (a *adoption) put(r apitype.ResourceV3) {
	missing := func(urn resource.URN) bool { return !a.urns[string(urn)] }
	r.Dependencies = slices.DeleteFunc(r.Dependencies, missing)
	for key, urns := range r.PropertyDependencies {
		r.PropertyDependencies[key] = slices.DeleteFunc(urns, missing)
	}
	a.urns[string(r.URN)] = true
	a.state.Resources = append(a.state.Resources, r)
}

// supersede marks the resource that a replacement, made before the old one goes, has taken the place of.
func (a *adoption) supersede(urn resource.URN) {
	at := slices.IndexFunc(a.state.Resources, func(r apitype.ResourceV3) bool { return r.URN == urn && !r.Delete })
	if at >= 0 {
		a.state.Resources[at].Delete = true
	}
}

// pending takes what the creates that a killed run has left in the state have made, and drops those that have made nothing.
func (a *adoption) pending(ctx context.Context) error {
	var rest []apitype.OperationV2
	for _, operation := range a.state.PendingOperations {
		if operation.Type != apitype.OperationTypeCreating {
			rest = append(rest, operation)
		} else if err := a.take(ctx, operation.Resource); err != nil {
			return err
		}
	}
	a.state.PendingOperations = rest
	return nil
}

// planned takes what a plan is to create: the components and providers, which are in the state only, and what is found. What
// is not wholly known waits until nothing else is found, and goes one by one: each may tell another preview the rest.
func (a *adoption) planned(ctx context.Context, plan map[resource.URN]apitype.ResourcePlanV1) error {
	providers := map[string]string{}
	for _, r := range a.state.Resources {
		if isProvider(r) {
			providers[string(r.URN)] = string(r.ID)
		}
	}
	var unsure []apitype.ResourceV3
	for _, urn := range inOrder(plan) {
		if a.urns[string(urn)] || !slices.Contains(plan[urn].Steps, apitype.OpCreate) {
			continue
		}
		r := toCreate(urn, *plan[urn].Goal)
		if of := providerURN(r.Provider); providers[of] != "" {
			r.Provider = of + "::" + providers[of]
		}
		switch known, all := settled(r.Inputs); {
		case !r.Custom:
			a.put(r)
		case isProvider(r):
			r.ID, r.Outputs = resource.ID(uuid.NewString()), r.Inputs
			providers[string(urn)] = string(r.ID)
			a.put(r)
		case !all:
			r.Inputs = known
			unsure = append(unsure, r)
		default:
			if err := a.take(ctx, r); err != nil {
				return err
			}
		}
	}
	for _, r := range unsure {
		if len(a.taken) > 0 {
			break
		}
		if err := a.take(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// toCreate is a planned resource as the state has it, with its secrets empty, since nobody can tell of an encrypted one whether
// it is known: the deployment sets those that the cloud does not tell.
func toCreate(urn resource.URN, goal apitype.GoalV1) apitype.ResourceV3 {
	inputs := maps.Clone(goal.InputDiff.Adds)
	for name, value := range inputs {
		if object, _ := value.(map[string]any); object[resource.SigKey] == resource.SecretSig {
			inputs[name] = ""
		}
	}
	return apitype.ResourceV3{
		URN: urn, Type: goal.Type, Custom: goal.Custom, Parent: goal.Parent, Provider: goal.Provider, Inputs: inputs,
		Dependencies: goal.Dependencies, PropertyDependencies: goal.PropertyDependencies, Protect: goal.Protect,
		AdditionalSecretOutputs: goal.AdditionalSecretOutputs,
	}
}

func isProvider(r apitype.ResourceV3) bool {
	return strings.HasPrefix(string(r.Type), "pulumi:providers:")
}

// providerURN is that of a provider's reference, which ends in its id.
func providerURN(reference string) string {
	return reference[:max(0, strings.LastIndex(reference, "::"))]
}

// inOrder is every URN of a plan after those that it needs.
func inOrder(plan map[resource.URN]apitype.ResourcePlanV1) []resource.URN {
	var order []resource.URN
	seen := map[resource.URN]bool{}
	var visit func(urn resource.URN)
	visit = func(urn resource.URN) {
		goal := plan[urn].Goal
		if seen[urn] || goal == nil {
			return
		}
		seen[urn] = true
		visit(goal.Parent)
		visit(resource.URN(providerURN(goal.Provider)))
		for _, needed := range goal.Dependencies {
			visit(needed)
		}
		order = append(order, urn)
	}
	for _, urn := range slices.Sorted(maps.Keys(plan)) {
		visit(urn)
	}
	return order
}

// settled leaves out what only the deployment was to tell, and says whether that is anything. Inside of a value a text stands
// in its place, since a provider takes no half of an object.
func settled(inputs map[string]any) (known map[string]any, all bool) {
	known, _ = readable(inputs).(map[string]any)
	maps.DeleteFunc(known, func(_ string, value any) bool { return value == Unknown })
	return known, !unsettled(inputs)
}

func unsettled(value any) bool {
	switch value := value.(type) {
	case string:
		return value == unknownValue
	case []any:
		return slices.ContainsFunc(value, unsettled)
	case map[string]any:
		return slices.ContainsFunc(slices.Collect(maps.Values(value)), unsettled)
	}
	return false
}

// Adopt takes into the state what a preview of the stack, which exists, plans to create and is there already: what earlier
// attempts have made and the state, since it was lost or a create has failed that had its effect, does not tell. The answer is
// how many were taken; where there are any, another preview may find more, since it knows more.
func (s *Stack) Adopt(ctx context.Context, planned Result) (taken int, err error) {
	if planned.Changes[string(apitype.OpCreate)] == 0 {
		return 0, nil
	}
	urns, err := s.adopt(ctx, func(a *adoption) error { return a.planned(ctx, planned.plan) })
	if err != nil || len(urns) == 0 {
		return 0, err
	}
	if err := s.refreshOnly(ctx, urns); err != nil {
		return 0, err
	}
	exported, err := s.export(ctx)
	if err != nil {
		return 0, err
	}
	for _, r := range exported.Deployment.Resources { // what was not there after all is gone from the state
		if slices.Contains(urns, string(r.URN)) {
			taken++
		}
	}
	return taken, nil
}

func (s *Stack) refreshOnly(ctx context.Context, urns []string) error {
	_, err := s.operate(ctx, "refresh", func(stack *auto.Stack, stream chan<- events.EngineEvent) error {
		_, err := stack.Refresh(ctx, optrefresh.Target(urns), optrefresh.EventStreams(stream), optrefresh.Color("never"),
			optrefresh.SuppressOutputs(), optrefresh.SuppressProgress(), optrefresh.ShowSecrets(false))
		return err
	})
	return err
}

// adopt changes the state by an adoption. It answers with the URNs of what was taken.
func (s *Stack) adopt(ctx context.Context, take func(*adoption) error) (taken []string, err error) {
	if s.options.Find == nil {
		return nil, nil
	}
	exported, err := s.export(ctx)
	if err != nil {
		return nil, err
	}
	a := newAdoption(s.options.Find(), &exported.Deployment)
	if err := take(a); err != nil || len(a.taken) == 0 {
		return nil, err
	}
	return a.taken, s.replace(ctx, exported)
}

// replace makes a state the stack's, once more if a dead process held the lock. The Automation API's Export and Import would
// have the secrets in clear, and write them to a file so.
func (s *Stack) replace(ctx context.Context, with exportedState) (err error) {
	stack, err := s.existing(ctx)
	if err != nil {
		return err
	}
	content, err := json.Marshal(with)
	file := filepath.Join(string(s.folder), "recovered-state.json")
	if err == nil {
		err = os.WriteFile(file, content, 0o600)
	}
	if err != nil {
		return fmt.Errorf("writing the state of stack %s: %w", s.options.Stack, err)
	}
	defer func() { err = errors.Join(err, removeAny(file)) }()
	load := func() error {
		_, _, _, err := s.command.Run(ctx, s.folder.project(), nil, nil, nil, nil, "stack", "import", "--file", file, "--stack", s.options.Stack)
		return err
	}
	err = load()
	if err != nil && s.freeDeadLock(ctx, stack) {
		err = load()
	}
	if err != nil {
		return s.explain(ctx, "recovery", nil)
	}
	return nil
}

// Known tells of an id or ARN whether the state has it.
func (s *Stack) Known(ctx context.Context) (func(id string) bool, error) {
	exported, err := s.export(ctx)
	if err != nil {
		return nil, err
	}
	return knownIn(idsIn(&exported.Deployment)), nil
}

func knownIn(ids map[string]bool) func(id string) bool {
	return func(id string) bool { return id != "" && ids[id] }
}

func idsIn(deployment *apitype.DeploymentV3) map[string]bool {
	ids := map[string]bool{}
	for _, r := range deployment.Resources {
		if r.ID == "" {
			continue
		}
		ids[string(r.ID)] = true
		if arn, ok := r.Outputs["arn"].(string); ok {
			ids[arn] = true
		}
	}
	return ids
}
