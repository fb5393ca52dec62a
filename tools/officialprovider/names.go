package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	bridge "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	shim "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
)

// sdkNames is how the pulumi-aws SDK names things, by token, with the types that their properties name.
type sdkNames struct {
	Resources, Functions map[string]entity
	Types                map[string]map[string]property
	Config               map[string]property
}

type entity struct{ Properties map[string]property }

// property is a value of the SDK: whether it is a list, and which of Types it or its elements are.
type property struct {
	List bool
	Type string
}

// irregular are the tokens that do not follow from the Terraform provider's names.
var irregular = map[string]string{
	"aws:lb/loadBalancer:LoadBalancer":              "aws_lb",
	"aws:rds/eventSubscription:EventSubscription":   "aws_db_event_subscription",
	"aws:rds/subnetGroup:SubnetGroup":               "aws_db_subnet_group",
	"aws:sqs/redriveAllowPolicy:RedriveAllowPolicy": "aws_sqs_queue_redrive_allow_policy",
}

// renamed are the attributes that the SDK does not name as the bridge would.
var renamed = map[string]string{
	"aws_cloudwatch_metric_alarm.alarm_name": "name",
	"aws_sns_topic_subscription.topic_arn":   "topic",
}

// terraformName finds what the Terraform provider calls a type or function: aws_MODULE_NAME or aws_NAME.
func terraformName(token string, exists func(string) bool) (string, error) {
	if name, ok := irregular[token]; ok {
		return name, nil
	}
	module, name, _ := strings.Cut(strings.Split(token, ":")[1], "/")
	name = snake(strings.TrimSuffix(strings.TrimPrefix(name, "get"), "V2"))
	for _, candidate := range []string{"aws_" + module + "_" + name, "aws_" + name} {
		if exists(candidate) {
			return candidate, nil
		}
	}
	return "", fmt.Errorf("the Terraform provider has nothing for %s", token)
}

// snake turns camelCase into snake_case.
func snake(camel string) string {
	var b strings.Builder
	for i, r := range camel {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// describe maps the Terraform provider to the SDK's names.
func describe(p shim.Provider, names sdkNames) (bridge.ProviderInfo, error) {
	n := namer{types: names.Types}
	info := bridge.ProviderInfo{
		P: p, Name: "aws", ResourcePrefix: "aws", Version: "6.83.2",
		MetadataInfo: &bridge.MetadataInfo{Data: bridge.ProviderMetadata(nil)},
		Config:       n.fields("provider", p.Schema(), names.Config),
		Resources:    map[string]*bridge.ResourceInfo{},
		DataSources:  map[string]*bridge.DataSourceInfo{},
	}
	for token, e := range names.Resources {
		name, err := terraformName(token, func(name string) bool { _, ok := p.ResourcesMap().GetOk(name); return ok })
		if err != nil {
			return info, err
		}
		r := &bridge.ResourceInfo{
			Tok: tokens.Type(token), Fields: n.fields(name, p.ResourcesMap().Get(name).Schema(), e.Properties),
			PreStateUpgradeHook: alwaysCurrent,
		}
		if _, taggable := e.Properties["tags"]; taggable {
			r.PreCheckCallback = defaultTags
		}
		info.Resources[name] = r
	}
	for token, e := range names.Functions {
		name, err := terraformName(token, func(name string) bool { _, ok := p.DataSourcesMap().GetOk(name); return ok })
		if err != nil {
			return info, err
		}
		info.DataSources[name] = &bridge.DataSourceInfo{
			Tok: tokens.ModuleMember(token), Fields: n.fields(name, p.DataSourcesMap().Get(name).Schema(), e.Properties),
		}
	}
	if len(n.unmatched) > 0 {
		return info, fmt.Errorf("the SDK's properties have no attribute: %s", strings.Join(slices.Sorted(slices.Values(n.unmatched)), ", "))
	}
	return info, nil
}

// alwaysCurrent keeps the provider from upgrading states: none is older than the provider.
func alwaysCurrent(state bridge.PreStateUpgradeHookArgs) (int64, resource.PropertyMap, error) {
	return state.ResourceSchemaVersion, state.PriorState, nil
}

// defaultTags puts the provider's default tags among a resource's own, as pulumi-aws v6 does.
func defaultTags(_ context.Context, inputs, config resource.PropertyMap) (resource.PropertyMap, error) {
	defaults := config["defaultTags"]
	if !defaults.IsObject() || !defaults.ObjectValue()["tags"].IsObject() || inputs["tags"].ContainsUnknowns() && !inputs["tags"].IsObject() {
		return inputs, nil
	}
	tags := maps.Clone(defaults.ObjectValue()["tags"].ObjectValue())
	if own := inputs["tags"]; own.IsObject() {
		maps.Copy(tags, own.ObjectValue())
	}
	result := inputs.Copy()
	result["tags"] = resource.NewObjectProperty(tags)
	return result, nil
}

// namer compares the bridge's own names with the SDK's, and collects what of the SDK has no attribute.
type namer struct {
	types     map[string]map[string]property
	unmatched []string
}

// fields says, for every attribute that the bridge would name otherwise than the SDK, what its name is.
func (n *namer) fields(where string, attributes shim.SchemaMap, properties map[string]property) map[string]*bridge.SchemaInfo {
	infos := map[string]*bridge.SchemaInfo{}
	left := maps.Clone(properties)
	attributes.Range(func(name string, s shim.Schema) bool {
		info, found := n.field(where, name, attributes, properties)
		if !found {
			return true
		}
		delete(left, info.Name)
		p := properties[info.Name]
		if inner, ok := s.Elem().(shim.Resource); ok && p.Type != "" {
			nested := n.fields(where+"."+name, inner.Schema(), n.types[p.Type])
			info.Elem = &bridge.SchemaInfo{Fields: nested}
			if s.Type() == shim.TypeMap {
				info.Elem, info.Fields = nil, nested
			}
		} else if element, ok := s.Elem().(shim.Schema); ok && p.Type != "" {
			if inner, ok := element.Elem().(shim.Resource); ok {
				info.Elem = &bridge.SchemaInfo{Fields: n.fields(where+"."+name, inner.Schema(), n.types[p.Type])}
			}
		}
		infos[name] = info
		return true
	})
	for name := range left {
		// The SDK knows one type of statement for all depths at which they nest.
		if name != "id" && !strings.HasSuffix(where, "_statement.statement") {
			n.unmatched = append(n.unmatched, where+"."+name)
		}
	}
	return infos
}

// field finds the one way of naming an attribute, plural or singular, that the SDK has.
func (n *namer) field(where, name string, attributes shim.SchemaMap, properties map[string]property) (*bridge.SchemaInfo, bool) {
	if called, ok := renamed[where+"."+name]; ok {
		return &bridge.SchemaInfo{Name: called}, true
	}
	s := attributes.Get(name)
	isList := s.Type() == shim.TypeList || s.Type() == shim.TypeSet
	ways := []*bridge.SchemaInfo{{}}
	if isList {
		singular := bridge.TerraformToPulumiNameV2(name, attributes, map[string]*bridge.SchemaInfo{name: {MaxItemsOne: bridge.True()}})
		ways = append(ways, &bridge.SchemaInfo{MaxItemsOne: bridge.True()}, &bridge.SchemaInfo{MaxItemsOne: bridge.False()},
			&bridge.SchemaInfo{MaxItemsOne: bridge.False(), Name: singular})
	}
	for _, info := range ways {
		called := bridge.TerraformToPulumiNameV2(name, attributes, map[string]*bridge.SchemaInfo{name: info})
		if p, ok := properties[called]; ok && p.List == (isList && !bridge.IsMaxItemsOne(s, info)) {
			info.Name = called
			return info, true
		}
	}
	return nil, false
}
