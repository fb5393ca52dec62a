// Package unit_test holds the Pulumi program to its design without a cloud: mocks stand in for the engine and for AWS,
// and the tests read what the program registered. No process, no network.
package unit_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
	"tapstack/lib/declared"
)

const (
	account = declared.Account
	region  = "us-east-1"
	suffix  = "unit"
)

// registration is one resource as the program registered it.
type registration struct {
	token, name string
	// inputs keep their marks of secrecy, plain has lost them.
	inputs resource.PropertyMap
	plain  map[string]any
	// arguments is the SDK's type of the inputs: a struct with pulumi tags, or a map where the token alone was given.
	arguments reflect.Type
	// request has all else: parent, provider, dependencies, aliases and every other resource option.
	request *pulumirpc.RegisterResourceRequest
}

// output is one stack output.
type output struct {
	value  any
	secret bool
}

// call is one function that the program invoked.
type call struct {
	arguments resource.PropertyMap
	provider  string
}

// recording is everything that one run of the program said, and where it was told that it is.
type recording struct {
	account, region, suffix string
	protects                bool // as it is configured

	resources map[string]registration // by logical name
	outputs   map[string]output
	calls     map[string]call // by token
}

// recorder records what the mocks are told. Its exported fields and those after the recording steer what they answer.
type recorder struct {
	*declared.Mocks
	recording

	fail       string // token of a function or type that fails
	refuse     string // logical name of a resource whose declaration is refused at once
	preview    bool   // nothing exists yet: what AWS would add is unknown
	brokenSeed bool   // the random bytes are unreadable
	rolledBack string // logical name of a service that ECS has put back to its former task definition

	mutex     sync.Mutex
	arguments map[string]reflect.Type // by logical name
}

func newRecorder() *recorder {
	mocks := declared.NewMocks(region)
	// The order of the names is not that of the ids.
	mocks.Zones = map[string]string{
		"use1-az6": "us-east-1d", "use1-az3": "us-east-1e", "use1-az1": "us-east-1c", "use1-az4": "us-east-1a", "use1-az2": "us-east-1b",
	}
	return &recorder{
		Mocks:     mocks,
		recording: recording{resources: map[string]registration{}, outputs: map[string]output{}, calls: map[string]call{}},
		arguments: map[string]reflect.Type{},
	}
}

// Call records and answers the functions that the program invokes.
func (r *recorder) Call(args pulumi.MockCallArgs) (resource.PropertyMap, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if args.Token == r.fail {
		return nil, fmt.Errorf("%s is out of order", args.Token)
	}
	r.calls[args.Token] = call{args.Args, args.Provider}
	return r.Mocks.Call(args)
}

// observe sees a resource before it is sent, with the Go type of its inputs. It makes the SDK refuse the one that the
// test names: a transformation must not change the parent.
func (r *recorder) observe(args *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.arguments[args.Name] = args.Props.ElementType()
	if args.Name != r.refuse {
		return nil
	}
	return &pulumi.ResourceTransformationResult{Props: args.Props, Opts: append(args.Opts, pulumi.Parent(&pulumi.ResourceState{}))}
}

// NewResource records a resource and makes up its outputs.
func (r *recorder) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if args.TypeToken == r.fail {
		return "", nil, fmt.Errorf("%s is out of order", args.TypeToken)
	}
	if _, twice := r.resources[args.Name]; twice {
		return "", nil, fmt.Errorf("the logical name %s is used twice", args.Name)
	}
	r.resources[args.Name] = registration{
		args.TypeToken, args.Name, args.Inputs, plainMap(args.Inputs), r.arguments[args.Name], args.RegisterRPC,
	}

	id, state := args.Name+"-id", args.Inputs.Copy()
	for key, value := range r.Outputs(args.TypeToken, args.Name) {
		if !r.preview || feedsSecrets(args.TypeToken) {
			state[resource.PropertyKey(key)] = resource.NewPropertyValue(value)
		}
	}
	if r.brokenSeed && args.TypeToken == "random:index/randomBytes:RandomBytes" {
		state["base64"] = resource.NewProperty("not base64!")
	}
	if args.Name == r.rolledBack {
		state["taskDefinition"] = resource.NewProperty("former:1")
	}
	if r.preview {
		id = "" // the SDK reads what is missing in a preview as unknown
	}
	for _, key := range args.RegisterRPC.GetAdditionalSecretOutputs() {
		if value, ok := state[resource.PropertyKey(key)]; ok && !value.IsSecret() {
			state[resource.PropertyKey(key)] = resource.MakeSecret(value)
		}
	}
	return id, state, nil
}

// feedsSecrets names the types whose outputs end up in secrets: the SDK's mocks cannot carry a secret that is unknown.
func feedsSecrets(token string) bool {
	return strings.HasPrefix(token, "random:") || token == "aws:rds/cluster:Cluster" || token == "aws:sqs/queue:Queue"
}

// plainMap is a property map without the wrapping that marks secrets.
func plainMap(properties resource.PropertyMap) map[string]any {
	return properties.MapRepl(nil, func(v resource.PropertyValue) (any, bool) {
		if v.IsSecret() {
			return v.SecretValue().Element.MapRepl(nil, nil), true
		}
		return nil, false
	})
}

// legalValues is the least configuration that is complete, and what is set besides.
func legalValues(overrides map[string]string) map[string]string {
	values := map[string]string{
		lib.ConfigEnvironmentSuffix: suffix,
		lib.ConfigPaymentAPIImage:   account + ".dkr.ecr.us-east-1.amazonaws.com/payments/api:1.4.2",
		lib.ConfigJobProcessorImage: "public.ecr.aws/payments/jobs:1.4.2",
		lib.ConfigAlertEmail:        "ops@example.com",
	}
	maps.Copy(values, overrides)
	return values
}

// run runs the program with the given configuration over the least one. A key with a namespace keeps it.
func (r *recorder) run(overrides map[string]string) error {
	settings := map[string]string{}
	for key, value := range legalValues(overrides) {
		if !strings.Contains(key, ":") {
			key = lib.ProjectName + ":" + key
		}
		settings[key] = value
	}
	r.account, r.region, r.suffix = r.Account, r.Region, legalValues(overrides)[lib.ConfigEnvironmentSuffix]
	r.protects = overrides[lib.ConfigProtect] == "true"
	if r.suffix == "" {
		r.suffix = os.Getenv(lib.SuffixVariable)
	}
	var unread sync.WaitGroup
	err := pulumi.RunErr(func(ctx *pulumi.Context) error {
		if err := ctx.RegisterStackTransformation(r.observe); err != nil {
			return err
		}
		if err := lib.Deploy(ctx); err != nil || r.preview {
			return err
		}
		for name, value := range ctx.GetCurrentExportMap() {
			unread.Add(1)
			result := pulumi.ToOutput(value)
			result.ApplyT(func(v any) any {
				defer unread.Done()
				r.mutex.Lock()
				defer r.mutex.Unlock()
				r.outputs[name] = output{v, pulumi.IsSecret(result)}
				return v
			})
		}
		return nil
	}, pulumi.WithMocks(lib.ProjectName, suffix, r), func(info *pulumi.RunInfo) {
		info.Config, info.DryRun = settings, r.preview
	})
	if err == nil {
		unread.Wait()
	}
	return err
}

// deploy runs the program with the given configuration over the least one.
func deploy(t require.TestingT, overrides map[string]string) *recorder {
	r := newRecorder()
	require.NoError(t, r.run(overrides))
	return r
}

// one is the resource of that logical name.
func (r *recording) one(t *testing.T, name string) registration {
	t.Helper()
	require.Contains(t, r.resources, name)
	return r.resources[name]
}

// sorted lists the resources by logical name.
func (r *recording) sorted() []registration {
	return slices.SortedFunc(maps.Values(r.resources), func(a, b registration) int { return strings.Compare(a.name, b.name) })
}

// ofType lists the resources of a type, by name.
func (r *recording) ofType(token string) []registration {
	return slices.DeleteFunc(r.sorted(), func(d registration) bool { return d.token != token })
}

// at follows keys and list positions into the inputs, and into texts that are JSON.
func (d registration) at(t *testing.T, path ...any) any {
	t.Helper()
	var value any = d.plain
	for _, step := range path {
		if text, ok := value.(string); ok {
			require.NoError(t, json.Unmarshal([]byte(text), &value), "%s: %v", d.name, path)
		}
		switch step := step.(type) {
		case string:
			require.Contains(t, value, step, "%s: %v", d.name, path)
			value = value.(map[string]any)[step]
		case int:
			require.Greater(t, len(value.([]any)), step, "%s: %v", d.name, path)
			value = value.([]any)[step]
		}
	}
	return value
}

// nameIn is the logical name at the end of a URN.
func nameIn(urn string) string { return urn[strings.LastIndex(urn, "::")+len("::"):] }

func namesIn(urns []string) (names []string) {
	for _, urn := range urns {
		names = append(names, nameIn(urn))
	}
	return names
}

// sources are the resources that an input's value comes from.
func (d registration) sources(input string) []string {
	return namesIn(d.request.GetPropertyDependencies()[input].GetUrns())
}

// needs are the resources that must be there before d is made, directly or through others.
func (r *recording) needs(d registration) map[string]bool {
	seen := map[string]bool{}
	var visit func(registration)
	visit = func(d registration) {
		for _, name := range namesIn(d.request.GetDependencies()) {
			if !seen[name] {
				seen[name] = true
				visit(r.resources[name])
			}
		}
	}
	visit(d)
	return seen
}
