package lifecycle

import (
	"context"
	"fmt"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const keyURN = resource.URN("urn:pulumi:s::p::aws:kms/key:Key::key")

func pendingCreate(name string, inputs map[string]any) apitype.OperationV2 {
	return apitype.OperationV2{Type: apitype.OperationTypeCreating, Resource: apitype.ResourceV3{
		URN: resource.URN("urn:pulumi:s::p::aws:sqs/queue:Queue::" + name), Custom: true, Type: "aws:sqs/queue:Queue", Inputs: inputs,
		Dependencies: []resource.URN{keyURN, "urn:pulumi:s::p::aws:kms/key:Key::lost"},
	}}
}

// Of the creates of a killed run, those that have made something are taken into the state with all that the engine knew of
// them; the others go, and operations of another kind stay for the refresh.
func TestCreatesInFlightAreAdoptedOrDropped(t *testing.T) {
	t.Parallel()
	updating := apitype.OperationV2{Type: apitype.OperationTypeUpdating, Resource: apitype.ResourceV3{URN: "urn:pulumi:s::p::t::other"}}
	deployment := &apitype.DeploymentV3{
		Resources: []apitype.ResourceV3{
			{URN: "urn:pulumi:s::p::aws:sqs/queue:Queue::replaced", ID: "old", Outputs: map[string]any{"arn": "arn:old"}},
			{URN: keyURN, ID: "key"},
		},
		PendingOperations: []apitype.OperationV2{
			pendingCreate("made", map[string]any{"name": "jobs"}), updating, pendingCreate("unmade", nil), pendingCreate("replaced", nil),
		},
	}
	asked := 0
	a := newAdoption(func(_ context.Context, token string, inputs map[string]any, known func(string) bool) (string, map[string]any, error) {
		asked++
		assert.Equal(t, "aws:sqs/queue:Queue", token)
		assert.True(t, known("old") && known("arn:old"), "what the state has is known by id and by ARN")
		switch asked {
		case 1:
			return "url-of-" + inputs["name"].(string), map[string]any{"arn": "arn:jobs"}, nil
		case 2:
			assert.True(t, known("url-of-jobs"), "what one create has made is no other's")
			return "", nil, nil
		}
		return "new", nil, nil
	}, deployment)

	require.NoError(t, a.pending(t.Context()))
	assert.Len(t, a.taken, 2)
	assert.Equal(t, []apitype.OperationV2{updating}, deployment.PendingOperations)
	require.Len(t, deployment.Resources, 4)
	assert.True(t, deployment.Resources[0].Delete, "the replaced one is to be deleted still")
	made := deployment.Resources[2]
	assert.Equal(t, resource.ID("url-of-jobs"), made.ID)
	assert.Equal(t, map[string]any{"name": "jobs", "arn": "arn:jobs"}, made.Outputs, "an empty output would have the official provider import")
	assert.Equal(t, []resource.URN{keyURN}, made.Dependencies, "destroy goes by the dependencies, and those not in the state would damage it")
	assert.Equal(t, resource.ID("new"), deployment.Resources[3].ID)
}

// A plan's resources are taken after those that they need, with the ids that providers are given on the way, and without the
// inputs that nobody knows yet.
func TestWhatAPlanIsToCreateAndIsThereIsTaken(t *testing.T) {
	t.Parallel()
	const (
		root     = resource.URN("urn:pulumi:s::p::pulumi:pulumi:Stack::p-s")
		provider = resource.URN("urn:pulumi:s::p::pulumi:providers:aws::default")
		queue    = resource.URN("urn:pulumi:s::p::aws:sqs/queue:Queue::a")
		needed   = resource.URN("urn:pulumi:s::p::aws:sqs/queue:Queue::z")
		changed  = resource.URN("urn:pulumi:s::p::aws:sqs/queue:Queue::b")
	)
	goal := func(token string, custom bool, op apitype.OpType, needs ...resource.URN) apitype.ResourcePlanV1 {
		return apitype.ResourcePlanV1{Steps: []apitype.OpType{op}, Goal: &apitype.GoalV1{
			Type: tokens.Type(token), Custom: custom, Dependencies: needs,
			InputDiff: apitype.PlanDiffV1{Adds: map[string]any{"name": token, "of": []any{unknownValue, map[string]any{"deep": unknownValue, "flat": 1}}, "whole": unknownValue}},
		}}
	}
	plan := map[resource.URN]apitype.ResourcePlanV1{
		root: goal("pulumi:pulumi:Stack", false, apitype.OpCreate), provider: goal("pulumi:providers:aws", true, apitype.OpCreate),
		queue: goal("aws:sqs/queue:Queue", true, apitype.OpCreate, needed), needed: goal("aws:sqs/queue:Queue", true, apitype.OpCreate),
		changed: goal("aws:sqs/queue:Queue", true, apitype.OpUpdate),
	}
	for urn, p := range plan {
		if p.Goal.Custom && urn != provider {
			p.Goal.Parent, p.Goal.Provider = root, string(provider)+"::"+unknownValue
		}
	}
	state := &apitype.DeploymentV3{}
	find := func(_ context.Context, _ string, inputs map[string]any, _ func(string) bool) (string, map[string]any, error) {
		assert.Equal(t, map[string]any{"name": "aws:sqs/queue:Queue", "of": []any{Unknown, map[string]any{"deep": Unknown, "flat": 1}}}, inputs)
		return fmt.Sprint("id-", len(state.Resources)), nil, nil
	}
	for _, expected := range [][]string{{string(needed)}, {string(queue)}, nil} {
		a := newAdoption(find, state)
		require.NoError(t, a.planned(t.Context(), plan))
		assert.Equal(t, expected, a.taken, "of what is not wholly known one, and nothing that is to be changed")
	}
	at := map[resource.URN]int{}
	for i, r := range state.Resources {
		at[r.URN] = i
	}
	require.Len(t, state.Resources, 4)
	assert.Less(t, at[root], at[needed])
	assert.Less(t, at[provider], at[needed])
	assert.Less(t, at[needed], at[queue])
	assert.Equal(t, string(provider)+"::"+string(state.Resources[at[provider]].ID), state.Resources[at[queue]].Provider)
}
