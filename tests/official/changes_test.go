package official

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"
	presource "github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	rpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"tapstack/lib/awsprovider"
	"tapstack/lib/awsprovider/resource"
	"tapstack/lib/target"
	"tapstack/tests/official/bridge"
)

// TestEveryChangeIsOfTheSameKind asks both providers what each change of each property of each type means: the same
// resource, an update, or a replacement.
func TestEveryChangeIsOfTheSameKind(t *testing.T) {
	b := prepared(t)
	t.Parallel()
	ctx := t.Context()
	cloud, err := target.Open(ctx, target.Options{Name: target.Local, Notify: func(s string) { t.Log(s) }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cloud.Close()) })
	spec, err := bridge.Served(ctx)
	require.NoError(t, err)

	official := b.Plugin(cloud.Env())
	local := awsprovider.NewPlugin(cloud.Config)
	sides := [2]side{}
	for i, attach := range []func(context.Context) (map[string]int, error){official.Attach, local.Attach} {
		ports, err := attach(ctx)
		require.NoError(t, err)
		sides[i] = configured(t, ports["aws"])
	}
	t.Cleanup(func() {
		require.NoError(t, official.Close())
		require.NoError(t, local.Close())
		t.Logf("the official provider said:\n%s", official.Said())
	})

	for _, r := range awsprovider.Resources() {
		t.Run(r.Token, func(t *testing.T) {
			if r.Token == slow && os.Getenv(askedFor) != "all" {
				t.Skipf("the bridge takes 8 s for each of its changes: OFFICIAL=all make test-official")
			}
			c := comparison{spec: spec, token: r.Token, official: sides[0], local: sides[1], seen: map[string]string{}}
			began := time.Now()
			c.run(t, r)
			t.Logf("%d changes compared in %s", c.count, time.Since(began).Round(time.Millisecond))
			known := maps.Clone(knownChanges)
			maps.DeleteFunc(known, func(change, _ string) bool { return !strings.HasPrefix(change, r.Token+" ") })
			report(t, "change", c.seen, known)
		})
	}
}

// slow is a type whose schema nests so deep that the bridge takes seconds for one answer.
const slow = "aws:wafv2/webAcl:WebAcl"

// report fails on what is not in the table of known differences, and on what the table has and was not seen.
func report(t *testing.T, what string, seen map[string]string, known map[string]string) {
	t.Helper()
	for _, key := range slices.Sorted(maps.Keys(seen)) {
		if reason, ok := known[key]; ok {
			t.Logf("known difference: %s: %s (%s)", key, seen[key], reason)
			continue
		}
		t.Errorf("%s %s: %s", what, key, seen[key])
	}
	for _, key := range slices.Sorted(maps.Keys(known)) {
		assert.Contains(t, seen, key, "stale: the table of known differences has a %s that both do alike", what)
	}
}

// side is one of the two providers.
type side struct {
	client rpc.ResourceProviderClient
	// found is what the provider knows of the example that was made, which a preview does not tell.
	found presource.PropertyMap
	// known are the states from which changes started, by their inputs.
	known map[string][2]presource.PropertyMap
}

// connect speaks with the provider at a loopback port.
func connect(port int) (rpc.ResourceProviderClient, func() error, error) {
	connection, err := grpc.NewClient(fmt.Sprintf("127.0.0.1:%d", port), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		return nil, nil, err
	}
	return rpc.NewResourceProviderClient(connection), connection.Close, nil
}

func configured(t *testing.T, port int) side {
	t.Helper()
	client, closing, err := connect(port)
	require.NoError(t, err)
	t.Cleanup(func() { _ = closing() })
	args, err := plugin.MarshalProperties(presource.NewPropertyMapFromMap(map[string]any{
		"region": "us-east-1", "s3UsePathStyle": "true", "skipCredentialsValidation": "true", "skipMetadataApiCheck": "true",
		"skipRegionValidation": "true", "defaultTags": `{"tags":{"Environment":"comparison"}}`,
	}), plugin.MarshalOptions{KeepUnknowns: true})
	require.NoError(t, err)
	checked, err := client.CheckConfig(t.Context(), &rpc.CheckRequest{Urn: string(urnOf("pulumi:providers:aws")), News: args})
	require.NoError(t, err)
	require.Empty(t, checked.Failures)
	_, err = client.Configure(t.Context(), &rpc.ConfigureRequest{Args: checked.Inputs, AcceptSecrets: true, AcceptResources: true})
	require.NoError(t, err)
	return side{client: client}
}

func urnOf(token string) presource.URN {
	return presource.NewURN("official", "tapstack", "", tokens.Type(token), "compared")
}

var marshalling = plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true}

// checked is what the provider makes of inputs: defaults filled in. What it refuses is left to Diff.
func (s side) checked(ctx context.Context, token string, inputs presource.PropertyMap) (presource.PropertyMap, error) {
	news, err := plugin.MarshalProperties(inputs, marshalling)
	if err != nil {
		return nil, err
	}
	answer, err := s.client.Check(ctx, &rpc.CheckRequest{Urn: string(urnOf(token)), News: news})
	if err != nil {
		return nil, err
	}
	result, err := plugin.UnmarshalProperties(answer.Inputs, marshalling)
	if err != nil || len(result) == 0 {
		return inputs, err
	}
	return result, nil
}

// state is what the provider would keep of a resource with these inputs: what it plans, and where that is not known
// yet, what it found.
func (s side) state(ctx context.Context, token string, inputs presource.PropertyMap) (presource.PropertyMap, error) {
	properties, err := plugin.MarshalProperties(inputs, marshalling)
	if err != nil {
		return nil, err
	}
	answer, err := s.client.Create(ctx, &rpc.CreateRequest{Urn: string(urnOf(token)), Properties: properties, Preview: true})
	if err != nil {
		return nil, err
	}
	planned, err := plugin.UnmarshalProperties(answer.Properties, marshalling)
	if err != nil {
		return nil, err
	}
	state := filled(presource.NewObjectProperty(planned), presource.NewObjectProperty(s.found)).ObjectValue()
	for name, value := range s.found {
		if !state.HasValue(name) {
			state[name] = value
		}
	}
	return state, nil
}

// filled is a planned value with what was found where nothing is known, and without what is known nowhere.
func filled(planned, found presource.PropertyValue) presource.PropertyValue {
	switch {
	case planned.IsSecret():
		return filled(planned.SecretValue().Element, found)
	case planned.IsComputed() || planned.IsOutput():
		return found
	case planned.IsObject():
		m := presource.PropertyMap{}
		for name, value := range planned.ObjectValue() {
			var known presource.PropertyValue
			if found.IsObject() {
				known = found.ObjectValue()[name]
			}
			m[name] = filled(value, known)
		}
		return presource.NewObjectProperty(m)
	case planned.IsArray():
		list := make([]presource.PropertyValue, len(planned.ArrayValue()))
		for i, value := range planned.ArrayValue() {
			var known presource.PropertyValue
			if found.IsArray() && i < len(found.ArrayValue()) {
				known = found.ArrayValue()[i]
			}
			list[i] = filled(value, known)
		}
		return presource.NewArrayProperty(list)
	}
	return planned
}

// make creates a resource in the emulator and answers with its id and properties.
func (s side) make(ctx context.Context, token string, inputs presource.PropertyMap) (string, presource.PropertyMap, error) {
	inputs, err := s.checked(ctx, token, inputs)
	if err != nil {
		return "", nil, err
	}
	properties, err := plugin.MarshalProperties(inputs, marshalling)
	if err != nil {
		return "", nil, err
	}
	created, err := s.client.Create(ctx, &rpc.CreateRequest{Urn: string(urnOf(token)), Properties: properties})
	if err != nil {
		return "", nil, fmt.Errorf("making %s: %w", token, err)
	}
	made, err := plugin.UnmarshalProperties(created.Properties, plugin.MarshalOptions{})
	return created.Id, made, err
}

// find reads what the other provider has made.
func (s side) find(ctx context.Context, token, id string, inputs, made presource.PropertyMap) (presource.PropertyMap, error) {
	s.found = made.Copy()
	s.found["id"] = presource.NewStringProperty(id)
	inputs, err := s.checked(ctx, token, inputs)
	if err != nil {
		return nil, err
	}
	state, err := s.state(ctx, token, inputs)
	if err != nil {
		return nil, err
	}
	olds, err := plugin.MarshalProperties(state, marshalling)
	if err != nil {
		return nil, err
	}
	read, err := s.client.Read(ctx, &rpc.ReadRequest{Id: id, Urn: string(urnOf(token)), Properties: olds, Inputs: olds})
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading %s %s: %w", token, id, err)
	case read.Id == "":
		return nil, fmt.Errorf("%s %s is not found", token, id)
	}
	found, err := plugin.UnmarshalProperties(read.Properties, plugin.MarshalOptions{})
	maps.Copy(found, notAsRead[token])
	return found, err
}

// notAsRead are properties that reading what the other provider made in an emulator tells otherwise than having made it on
// AWS would.
var notAsRead = map[string]presource.PropertyMap{
	// moto tells it of clusters that are not serverless.
	"aws:rds/cluster:Cluster": {"scalingConfiguration": presource.NewNullProperty()},
	// A create leaves the default, which no API tells.
	"aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2": {"expectedBucketOwner": presource.NewStringProperty("")},
}

// before is the state from which a change starts, and its inputs. Many changes start from the same.
func (s side) before(ctx context.Context, token string, from presource.PropertyMap) (inputs, state presource.PropertyMap, err error) {
	key := presource.NewObjectProperty(from).String()
	if known, ok := s.known[key]; ok {
		return known[0], known[1], nil
	}
	if inputs, err = s.checked(ctx, token, from); err != nil {
		return nil, nil, fmt.Errorf("checking what was: %w", err)
	}
	if state, err = s.state(ctx, token, inputs); err != nil {
		return nil, nil, fmt.Errorf("planning what was: %w", err)
	}
	s.known[key] = [2]presource.PropertyMap{inputs, state}
	return inputs, state, nil
}

func (s side) id() string {
	if id := s.found["id"]; id.IsString() {
		return id.StringValue()
	}
	return "made"
}

// kind says what the change from one set of inputs to another means, and in detail which properties differ.
func (s side) kind(ctx context.Context, token string, from, to presource.PropertyMap) (kind, detail string, err error) {
	from, state, err := s.before(ctx, token, from)
	if err != nil {
		return "", "", err
	}
	if to, err = s.checked(ctx, token, to); err != nil {
		return "", "", fmt.Errorf("checking what shall be: %w", err)
	}
	olds, err1 := plugin.MarshalProperties(state, marshalling)
	oldInputs, err2 := plugin.MarshalProperties(from, marshalling)
	news, err3 := plugin.MarshalProperties(to, marshalling)
	if err := cmp.Or(err1, err2, err3); err != nil {
		return "", "", err
	}
	answer, err := s.client.Diff(ctx, &rpc.DiffRequest{
		Id: s.id(), Urn: string(urnOf(token)), Olds: olds, OldInputs: oldInputs, News: news,
	})
	switch {
	case err != nil:
		return "", "", err
	case len(answer.Replaces) > 0:
		return "replace", strings.Join(answer.Replaces, " "), nil
	case answer.Changes == rpc.DiffResponse_DIFF_SOME:
		return "update", strings.Join(answer.Diffs, " "), nil
	}
	return "same", "", nil
}

// comparison compares the kinds of change of one type.
type comparison struct {
	spec            schema.PackageSpec
	token           string
	official, local side
	seen            map[string]string
	count           int
}

func (c *comparison) run(t *testing.T, r resource.Resource) {
	ctx := t.Context()
	row := r.Conformance(&scratch{t: t, side: c.local})
	base := presource.NewPropertyMapFromMap(row.Inputs[0])
	id, made, err := c.local.make(ctx, c.token, base)
	require.NoError(t, err)
	c.local.found = made
	c.local.known, c.official.known = map[string][2]presource.PropertyMap{}, map[string][2]presource.PropertyMap{}
	c.official.found, err = c.official.find(ctx, c.token, id, base, made)
	require.NoError(t, err)
	c.compare(ctx, "nothing", base, base)
	for i, name := range row.Changes {
		c.compare(ctx, fmt.Sprintf("example %q", name), presource.NewPropertyMapFromMap(row.Inputs[i]), presource.NewPropertyMapFromMap(row.Inputs[i+1]))
	}
	inputs := c.spec.Resources[c.token].InputProperties
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		key, with := presource.PropertyKey(name), base.Copy()
		if _, given := base[key]; !given {
			with[key] = c.example(row.Inputs, name, inputs[name].TypeSpec)
			c.compare(ctx, name+" set", base, with)
			c.compare(ctx, name+" set to unknown", base, replaced(base, key, unknown))
		}
		for _, v := range variants(with[key]) {
			c.compare(ctx, name+v.path+" "+v.what, with, replaced(with, key, v.value))
		}
		if !slices.Contains(c.spec.Resources[c.token].RequiredInputs, name) {
			without := with.Copy()
			delete(without, key)
			c.compare(ctx, name+" removed", with, without)
		}
	}
}

func replaced(m presource.PropertyMap, key presource.PropertyKey, v presource.PropertyValue) presource.PropertyMap {
	result := m.Copy()
	result[key] = v
	return result
}

// example is a value of a property that the base lacks: from a later row of the example, else made up from its type.
func (c *comparison) example(rows []map[string]any, name string, of schema.TypeSpec) presource.PropertyValue {
	for _, row := range rows {
		if v, ok := row[name]; ok {
			return presource.NewPropertyValue(v)
		}
	}
	return madeUp(c.spec, name, of)
}

func (c *comparison) compare(ctx context.Context, change string, from, to presource.PropertyMap) {
	c.count++
	var kinds, details [2]string
	for i, s := range []side{c.official, c.local} {
		var err error
		if kinds[i], details[i], err = s.kind(ctx, c.token, from, to); err != nil {
			kinds[i], details[i] = "error", err.Error()
		}
	}
	if kinds[0] != kinds[1] {
		c.seen[c.token+" "+change] = fmt.Sprintf("official %s, local %s (official: %s; local: %s)", kinds[0], kinds[1], details[0], details[1])
	}
}

var unknown = presource.MakeComputed(presource.NewStringProperty(""))

// variant is one way of changing a value, at some place inside it.
type variant struct {
	path, what string
	value      presource.PropertyValue
}

// variants are the changes of each scalar inside a value, and each becoming unknown.
func variants(v presource.PropertyValue) []variant {
	all := []variant{{what: "unknown", value: unknown}}
	switch {
	case v.IsObject():
		for _, k := range v.ObjectValue().StableKeys() {
			for _, inner := range variants(v.ObjectValue()[k]) {
				inner.path, inner.value = "."+string(k)+inner.path, presource.NewObjectProperty(replaced(v.ObjectValue(), k, inner.value))
				all = append(all, inner)
			}
		}
	case v.IsArray():
		for i, element := range v.ArrayValue() {
			for _, inner := range variants(element) {
				list := slices.Clone(v.ArrayValue())
				list[i] = inner.value
				inner.path, inner.value = fmt.Sprintf("[%d]%s", i, inner.path), presource.NewArrayProperty(list)
				all = append(all, inner)
			}
		}
	case v.IsBool():
		all = append(all, variant{what: "changed", value: presource.NewBoolProperty(!v.BoolValue())})
	case v.IsNumber():
		all = append(all, variant{what: "changed", value: presource.NewNumberProperty(v.NumberValue() + 1)})
	case v.IsString():
		all = append(all, variant{what: "changed", value: presource.NewStringProperty(otherText(v.StringValue()))})
	}
	return all
}

// otherText is another text of the same sort.
func otherText(s string) string {
	if number, err := strconv.Atoi(s); err == nil {
		return strconv.Itoa(number + 1)
	}
	if value, err := strconv.ParseBool(s); err == nil {
		return strconv.FormatBool(!value)
	}
	if _, err := netip.ParsePrefix(s); err == nil {
		return "10.99.0.0/24"
	}
	var document any
	if strings.ContainsAny(s, "{[") && json.Unmarshal([]byte(s), &document) == nil {
		if altered, done := otherDocument(document); done {
			text, _ := json.Marshal(altered)
			return string(text)
		}
	}
	return s + "x"
}

// otherDocument changes the first scalar of a JSON document.
func otherDocument(v any) (any, bool) {
	switch v := v.(type) {
	case string:
		return v + "x", true
	case float64:
		return v + 1, true
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if altered, done := otherDocument(v[k]); done {
				v[k] = altered
				return v, true
			}
		}
	case []any:
		for i := range v {
			if altered, done := otherDocument(v[i]); done {
				v[i] = altered
				return v, true
			}
		}
	}
	return v, false
}

// madeUp is a value of a type.
func madeUp(spec schema.PackageSpec, name string, of schema.TypeSpec) presource.PropertyValue {
	switch {
	case of.Ref != "":
		object := presource.PropertyMap{}
		for name, p := range spec.Types[strings.TrimPrefix(of.Ref, "#/types/")].Properties {
			object[presource.PropertyKey(name)] = madeUp(spec, name, p.TypeSpec)
		}
		return presource.NewObjectProperty(object)
	case of.Type == "array":
		return presource.NewArrayProperty([]presource.PropertyValue{madeUp(spec, name, *of.Items)})
	case of.Type == "object":
		return presource.NewObjectProperty(presource.PropertyMap{"key": presource.NewStringProperty("value")})
	case of.Type == "boolean":
		return presource.NewBoolProperty(true)
	case of.Type == "integer", of.Type == "number":
		return presource.NewNumberProperty(7)
	}
	return presource.NewStringProperty(textFor(name))
}

// textFor is a legal text where the official provider reads its meaning when it plans.
func textFor(name string) string {
	lower := strings.ToLower(name)
	switch {
	case strings.Contains(lower, "policy"):
		return `{"Version":"2012-10-17","Statement":[]}`
	case strings.Contains(lower, "cidr"):
		return "10.7.0.0/24"
	case strings.HasSuffix(lower, "arn"):
		return "arn:aws:iam::123456789012:role/made-up"
	}
	return "made-up"
}

// scratch makes what an example stands on, in the emulator, which takes it along when it ends.
type scratch struct {
	t    *testing.T
	side side
}

// names counts what was made in the emulator.
var names atomic.Int64

// Make implements resource.Scratch.
func (s *scratch) Make(token string, inputs map[string]any) resource.Made {
	id, made, err := s.side.make(s.t.Context(), token, presource.NewPropertyMapFromMap(inputs))
	require.NoError(s.t, err, "what the example stands on")
	return resource.Made{ID: id, Outputs: made.MapRepl(nil, opened)}
}

// opened opens secrets for the use of an example.
func opened(v presource.PropertyValue) (any, bool) {
	if v.IsSecret() {
		return v.SecretValue().Element.MapRepl(nil, opened), true
	}
	return nil, false
}

// Name implements resource.Scratch.
func (s *scratch) Name(prefix string) string { return fmt.Sprintf("%s-made-%d", prefix, names.Add(1)) }
