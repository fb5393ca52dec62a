// Package unit_test holds the Pulumi program to its design without a cloud: a recording mock stands in for the engine,
// and the tests read what the program declared. No process, no network.
package unit_test

import (
	"cmp"
	"encoding/base64"
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

	"tapstack/lib"
)

const (
	account = "123456789012"
	region  = "us-east-1"
	suffix  = "unit"
)

// declared is one resource as the program registered it.
type declared struct {
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

// call is one question that the program asked.
type call struct {
	arguments resource.PropertyMap
	provider  string
}

// recording is everything that one run of the program said, and where it was told that it is.
type recording struct {
	account, region, suffix string

	resources map[string]declared // by logical name
	outputs   map[string]output
	calls     map[string]call // by token
}

// recorder is the mock engine. Fields besides the recording steer what it answers.
type recorder struct {
	recording
	mu        sync.Mutex
	arguments map[string]reflect.Type // by logical name
	zones     map[string]string       // id to name
	seed      byte                    // all random bytes
	password  string                  // the database's
	// brokenSeed makes the random bytes unreadable.
	brokenSeed bool
	fail       string // token of a function or type that fails
	preview    bool   // nothing exists yet: what AWS would add is unknown
	refuse     string // logical name of a resource whose declaration is refused at once
}

func newRecorder() *recorder {
	return &recorder{
		recording: recording{
			account: account, region: region,
			resources: map[string]declared{}, outputs: map[string]output{}, calls: map[string]call{},
		},
		arguments: map[string]reflect.Type{},
		zones: map[string]string{
			"use1-az6": "us-east-1d", "use1-az3": "us-east-1e", "use1-az1": "us-east-1c", "use1-az4": "us-east-1a", "use1-az2": "us-east-1b",
		},
		seed: 7, password: "Aa1!&%#<>pass",
	}
}

// Call answers the functions that the program invokes.
func (r *recorder) Call(args pulumi.MockCallArgs) (resource.PropertyMap, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if args.Token == r.fail {
		return nil, fmt.Errorf("%s is out of order", args.Token)
	}
	r.calls[args.Token] = call{args.Args, args.Provider}
	answers := map[string]map[string]any{
		"aws:index/getCallerIdentity:getCallerIdentity":       {"accountId": r.account},
		"aws:index/getRegion:getRegion":                       {"name": r.region},
		"aws:index/getPartition:getPartition":                 {"partition": "aws", "reverseDnsPrefix": "com.amazonaws", "dnsSuffix": "amazonaws.com"},
		"aws:index/getAvailabilityZones:getAvailabilityZones": r.offeredZones(),
	}
	answer, ok := answers[args.Token]
	if !ok {
		return nil, fmt.Errorf("the program called %s, which the mock does not know", args.Token)
	}
	return resource.NewPropertyMapFromMap(answer), nil
}

// observe sees a resource before it is sent, with the Go type of its inputs. It makes the SDK refuse the one that the
// test names: a transformation must not change the parent.
func (r *recorder) observe(args *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.arguments[args.Name] = args.Props.ElementType()
	if args.Name != r.refuse {
		return nil
	}
	return &pulumi.ResourceTransformationResult{Props: args.Props, Opts: append(args.Opts, pulumi.Parent(&pulumi.ResourceState{}))}
}

// offeredZones lists zones by name, as AWS does.
func (r *recorder) offeredZones() map[string]any {
	ids := slices.SortedFunc(maps.Keys(r.zones), func(a, b string) int { return strings.Compare(r.zones[a], r.zones[b]) })
	var zoneIDs, names []any
	for _, id := range ids {
		zoneIDs, names = append(zoneIDs, id), append(names, r.zones[id])
	}
	return map[string]any{"names": names, "zoneIds": zoneIDs}
}

// NewResource records a resource and makes up its outputs.
func (r *recorder) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if args.TypeToken == r.fail {
		return "", nil, fmt.Errorf("%s is out of order", args.TypeToken)
	}
	if _, twice := r.resources[args.Name]; twice {
		return "", nil, fmt.Errorf("the logical name %s is used twice", args.Name)
	}
	r.resources[args.Name] = declared{
		args.TypeToken, args.Name, args.Inputs, plainMap(args.Inputs), r.arguments[args.Name], args.RegisterRPC,
	}

	id := args.Name + "-id"
	state := args.Inputs.Copy()
	for key, value := range r.computed(args) {
		if !r.preview || feedsSecrets(args.TypeToken) {
			state[resource.PropertyKey(key)] = resource.NewPropertyValue(value)
		}
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

// computed is what AWS would add to a resource of this type.
func (r *recorder) computed(args pulumi.MockResourceArgs) map[string]any {
	name := args.Name
	out := map[string]any{"arn": fmt.Sprintf("arn:aws:mock:%s:%s:%s", r.region, r.account, name)}
	switch args.TypeToken {
	case "random:index/randomBytes:RandomBytes":
		raw := slices.Repeat([]byte{r.seed}, 32)
		out["base64"], out["hex"] = base64.StdEncoding.EncodeToString(raw), fmt.Sprintf("%x", raw)
		if r.brokenSeed {
			out["base64"] = "not base64!"
		}
	case "random:index/randomPassword:RandomPassword":
		out["result"] = r.password
	case "aws:rds/cluster:Cluster":
		out["endpoint"], out["readerEndpoint"] = "writer.example", "reader.example"
		out["engineVersionActual"], out["clusterResourceId"] = "16.6", "cluster-RESOURCE"
	case "aws:sqs/queue:Queue":
		out["url"] = "https://sqs.example/" + name
	case "aws:lb/loadBalancer:LoadBalancer":
		out["arnSuffix"], out["dnsName"], out["zoneId"] = "app/"+name+"/1", name+".example", "ZALB"
	case "aws:lb/targetGroup:TargetGroup":
		out["arnSuffix"] = "targetgroup/" + name + "/1"
	case "aws:kms/key:Key":
		out["keyId"] = "key-id"
	case "aws:route53/record:Record":
		out["fqdn"] = "record.example"
	case "aws:acm/certificateValidation:CertificateValidation":
		out["certificateArn"] = "arn:aws:acm:validated"
	case "aws:acm/certificate:Certificate":
		out["domainValidationOptions"] = []any{map[string]any{
			"domainName": "pay.example.com", "resourceRecordName": "_proof.pay.example.com",
			"resourceRecordType": "CNAME", "resourceRecordValue": "_proof.acm.example",
		}}
	}
	return out
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

// legalValues is the least configuration that is complete.
func legalValues(overrides map[string]string) map[string]string {
	values := map[string]string{
		"environmentSuffix": suffix,
		"paymentApiImage":   account + ".dkr.ecr.us-east-1.amazonaws.com/payments/api:1.4.2",
		"jobProcessorImage": "public.ecr.aws/payments/jobs:1.4.2",
		"alertEmail":        "ops@example.com",
	}
	maps.Copy(values, overrides)
	return values
}

// run runs the program on a recorder and returns its error.
func run(r *recorder, settings map[string]string) error {
	r.suffix = cmp.Or(settings[lib.ProjectName+":environmentSuffix"], os.Getenv(lib.SuffixVariable))
	var unread sync.WaitGroup
	err := pulumi.RunErr(func(ctx *pulumi.Context) error {
		if err := ctx.RegisterStackTransformation(r.observe); err != nil {
			return err
		}
		if err := lib.Deploy(ctx); err != nil {
			return err
		}
		if r.preview {
			return nil
		}
		for name, value := range ctx.GetCurrentExportMap() {
			unread.Add(1)
			result := pulumi.ToOutput(value)
			result.ApplyT(func(v any) any {
				defer unread.Done()
				r.mu.Lock()
				defer r.mu.Unlock()
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
func deploy(t *testing.T, overrides map[string]string) *recorder {
	t.Helper()
	r := newRecorder()
	if err := run(r, namespaced(legalValues(overrides))); err != nil {
		t.Fatalf("deploying: %v", err)
	}
	return r
}

func namespaced(values map[string]string) map[string]string {
	settings := map[string]string{}
	for key, value := range values {
		settings[lib.ProjectName+":"+key] = value
	}
	return settings
}

// everything turns on what is off by default, so that structural tests see every resource.
func everything(t *testing.T) *recorder {
	t.Helper()
	return deploy(t, map[string]string{"interfaceEndpoints": "true"})
}

// one is the resource of that logical name.
func (r *recording) one(t *testing.T, name string) declared {
	t.Helper()
	found, ok := r.resources[name]
	if !ok {
		t.Fatalf("no resource %q is declared", name)
	}
	return found
}

// ofType lists the resources of a type, by name.
func (r *recording) ofType(token string) []declared {
	var found []declared
	for _, name := range slices.Sorted(maps.Keys(r.resources)) {
		if r.resources[name].token == token {
			found = append(found, r.resources[name])
		}
	}
	return found
}

// at follows keys and list positions into the inputs.
func (d declared) at(t *testing.T, path ...any) any {
	t.Helper()
	var value any = d.plain
	for _, step := range path {
		switch step := step.(type) {
		case string:
			fields, ok := value.(map[string]any)
			if !ok {
				t.Fatalf("%s: %v: nothing at %q", d.name, path, step)
			}
			value = fields[step]
		case int:
			list, ok := value.([]any)
			if !ok || step >= len(list) {
				t.Fatalf("%s: %v: nothing at %d", d.name, path, step)
			}
			value = list[step]
		}
	}
	return value
}

// text is a string input.
func (d declared) text(t *testing.T, path ...any) string {
	t.Helper()
	value, ok := d.at(t, path...).(string)
	if !ok {
		t.Fatalf("%s: %v is not a string: %v", d.name, path, d.at(t, path...))
	}
	return value
}

// policy is a policy document as the tests read it.
type policy struct {
	Version   string
	Statement []struct {
		Sid, Effect string
		Principal   any
		Action      []string
		Resource    []string
		Condition   map[string]map[string][]string
	}
}

// decode reads a JSON input strictly.
func decode[T any](t *testing.T, d declared, path ...any) T {
	t.Helper()
	var value T
	decoder := json.NewDecoder(strings.NewReader(d.text(t, path...)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("%s: %v: %v", d.name, path, err)
	}
	return value
}

// same fails the test unless both print alike.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	gotJSON, gotErr := json.Marshal(got)
	wantJSON, wantErr := json.Marshal(want)
	if gotErr != nil || wantErr != nil {
		t.Fatalf("%s: cannot compare: %v, %v", what, gotErr, wantErr)
	}
	if string(gotJSON) != string(wantJSON) {
		t.Errorf("%s:\n got %s\nwant %s", what, gotJSON, wantJSON)
	}
}
