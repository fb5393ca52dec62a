package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/vendored/tfplugin5"
	"google.golang.org/grpc"
)

// start runs the Terraform provider, which speaks version 5 of Terraform's plugin protocol.
func start(path string, names sdkNames) (tfprotov6.ProviderServer, func(), error) {
	if path == "" {
		return nil, nil, errors.New("TAPSTACK_TERRAFORM_PROVIDER must name the executable of the Terraform AWS provider")
	}
	command := exec.Command(path)
	endWithParent(command)
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion: 4, MagicCookieKey: "TF_PLUGIN_MAGIC_COOKIE",
			MagicCookieValue: "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
		},
		VersionedPlugins: map[int]plugin.PluginSet{5: {"provider": terraformPlugin{}}},
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         true,
		Cmd:              command,
		Logger:           hclog.New(&hclog.LoggerOptions{Level: hclog.LevelFromString(os.Getenv("TF_LOG")), Output: os.Stderr}),
	})
	connection, err := client.Client()
	if err != nil {
		client.Kill()
		return nil, nil, fmt.Errorf("starting %s: %w", path, err)
	}
	provider, err := connection.Dispense("provider")
	if err != nil {
		client.Kill()
		return nil, nil, fmt.Errorf("speaking with %s: %w", path, err)
	}
	return &child{client: provider.(tfplugin5.ProviderClient), names: names}, client.Kill, nil
}

// terraformPlugin tells go-plugin how the child is spoken with.
type terraformPlugin struct{ plugin.NetRPCUnsupportedPlugin }

func (terraformPlugin) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error {
	return errors.New("this side serves nothing")
}

func (terraformPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return tfplugin5.NewProviderClient(c), nil
}

// child answers the bridge, which speaks version 6 of the protocol, from the Terraform provider, which speaks version 5.
// Of what the versions share only the calls that the bridge makes are here; calling another one panics.
type child struct {
	tfprotov6.ProviderServer
	client tfplugin5.ProviderClient
	names  sdkNames
}

// GetProviderSchema tells the schemas of the types and functions that have a name, of more than a thousand.
func (c *child) GetProviderSchema(ctx context.Context, _ *tfprotov6.GetProviderSchemaRequest) (*tfprotov6.GetProviderSchemaResponse, error) {
	answer, err := c.client.GetSchema(ctx, &tfplugin5.GetProviderSchema_Request{})
	if err != nil {
		return nil, err
	}
	schemas := &tfprotov6.GetProviderSchemaResponse{Diagnostics: diagnostics(answer.Diagnostics)}
	if schemas.Provider, err = schema(answer.Provider); err != nil {
		return nil, err
	}
	if schemas.ResourceSchemas, err = chosen(answer.ResourceSchemas, c.names.Resources); err != nil {
		return nil, err
	}
	if schemas.DataSourceSchemas, err = chosen(answer.DataSourceSchemas, c.names.Functions); err != nil {
		return nil, err
	}
	return schemas, nil
}

func chosen(all map[string]*tfplugin5.Schema, wanted map[string]entity) (map[string]*tfprotov6.Schema, error) {
	schemas := map[string]*tfprotov6.Schema{}
	for token := range wanted {
		name, err := terraformName(token, func(name string) bool { return all[name] != nil })
		if err != nil {
			return nil, err
		}
		if schemas[name], err = schema(all[name]); err != nil {
			return nil, fmt.Errorf("the schema of %s: %w", name, err)
		}
	}
	return schemas, nil
}

func (c *child) ValidateProviderConfig(ctx context.Context, r *tfprotov6.ValidateProviderConfigRequest) (*tfprotov6.ValidateProviderConfigResponse, error) {
	answer, err := c.client.PrepareProviderConfig(ctx, &tfplugin5.PrepareProviderConfig_Request{Config: to5(r.Config)})
	if err != nil {
		return nil, err
	}
	return &tfprotov6.ValidateProviderConfigResponse{
		PreparedConfig: to6(answer.PreparedConfig), Diagnostics: diagnostics(answer.Diagnostics),
	}, nil
}

func (c *child) ConfigureProvider(ctx context.Context, r *tfprotov6.ConfigureProviderRequest) (*tfprotov6.ConfigureProviderResponse, error) {
	answer, err := c.client.Configure(ctx, &tfplugin5.Configure_Request{TerraformVersion: r.TerraformVersion, Config: to5(r.Config)})
	if err != nil {
		return nil, err
	}
	return &tfprotov6.ConfigureProviderResponse{Diagnostics: diagnostics(answer.Diagnostics)}, nil
}

func (c *child) ValidateResourceConfig(ctx context.Context, r *tfprotov6.ValidateResourceConfigRequest) (*tfprotov6.ValidateResourceConfigResponse, error) {
	answer, err := c.client.ValidateResourceTypeConfig(ctx, &tfplugin5.ValidateResourceTypeConfig_Request{
		TypeName: r.TypeName, Config: to5(r.Config),
	})
	if err != nil {
		return nil, err
	}
	return &tfprotov6.ValidateResourceConfigResponse{Diagnostics: diagnostics(answer.Diagnostics)}, nil
}

func (c *child) UpgradeResourceState(ctx context.Context, r *tfprotov6.UpgradeResourceStateRequest) (*tfprotov6.UpgradeResourceStateResponse, error) {
	answer, err := c.client.UpgradeResourceState(ctx, &tfplugin5.UpgradeResourceState_Request{
		TypeName: r.TypeName, Version: r.Version, RawState: &tfplugin5.RawState{Json: r.RawState.JSON, Flatmap: r.RawState.Flatmap},
	})
	if err != nil {
		return nil, err
	}
	return &tfprotov6.UpgradeResourceStateResponse{
		UpgradedState: to6(answer.UpgradedState), Diagnostics: diagnostics(answer.Diagnostics),
	}, nil
}

func (c *child) ReadResource(ctx context.Context, r *tfprotov6.ReadResourceRequest) (*tfprotov6.ReadResourceResponse, error) {
	answer, err := c.client.ReadResource(ctx, &tfplugin5.ReadResource_Request{
		TypeName: r.TypeName, CurrentState: to5(r.CurrentState), Private: r.Private, ProviderMeta: to5(r.ProviderMeta),
	})
	if err != nil {
		return nil, err
	}
	return &tfprotov6.ReadResourceResponse{
		NewState: to6(answer.NewState), Private: answer.Private, Diagnostics: diagnostics(answer.Diagnostics),
	}, nil
}

func (c *child) PlanResourceChange(ctx context.Context, r *tfprotov6.PlanResourceChangeRequest) (*tfprotov6.PlanResourceChangeResponse, error) {
	answer, err := c.client.PlanResourceChange(ctx, &tfplugin5.PlanResourceChange_Request{
		TypeName: r.TypeName, PriorState: to5(r.PriorState), ProposedNewState: to5(r.ProposedNewState), Config: to5(r.Config),
		PriorPrivate: r.PriorPrivate, ProviderMeta: to5(r.ProviderMeta),
	})
	if err != nil {
		return nil, err
	}
	planned := &tfprotov6.PlanResourceChangeResponse{
		PlannedState: to6(answer.PlannedState), PlannedPrivate: answer.PlannedPrivate,
		Diagnostics: diagnostics(answer.Diagnostics), UnsafeToUseLegacyTypeSystem: answer.LegacyTypeSystem,
	}
	for _, path := range answer.RequiresReplace {
		planned.RequiresReplace = append(planned.RequiresReplace, attributePath(path))
	}
	return planned, nil
}

func (c *child) ApplyResourceChange(ctx context.Context, r *tfprotov6.ApplyResourceChangeRequest) (*tfprotov6.ApplyResourceChangeResponse, error) {
	answer, err := c.client.ApplyResourceChange(ctx, &tfplugin5.ApplyResourceChange_Request{
		TypeName: r.TypeName, PriorState: to5(r.PriorState), PlannedState: to5(r.PlannedState), Config: to5(r.Config),
		PlannedPrivate: r.PlannedPrivate, ProviderMeta: to5(r.ProviderMeta),
	})
	if err != nil {
		return nil, err
	}
	return &tfprotov6.ApplyResourceChangeResponse{
		NewState: to6(answer.NewState), Private: answer.Private, Diagnostics: diagnostics(answer.Diagnostics),
		UnsafeToUseLegacyTypeSystem: answer.LegacyTypeSystem,
	}, nil
}

func (c *child) ValidateDataResourceConfig(ctx context.Context, r *tfprotov6.ValidateDataResourceConfigRequest) (*tfprotov6.ValidateDataResourceConfigResponse, error) {
	answer, err := c.client.ValidateDataSourceConfig(ctx, &tfplugin5.ValidateDataSourceConfig_Request{
		TypeName: r.TypeName, Config: to5(r.Config),
	})
	if err != nil {
		return nil, err
	}
	return &tfprotov6.ValidateDataResourceConfigResponse{Diagnostics: diagnostics(answer.Diagnostics)}, nil
}

func (c *child) ReadDataSource(ctx context.Context, r *tfprotov6.ReadDataSourceRequest) (*tfprotov6.ReadDataSourceResponse, error) {
	answer, err := c.client.ReadDataSource(ctx, &tfplugin5.ReadDataSource_Request{TypeName: r.TypeName, Config: to5(r.Config)})
	if err != nil {
		return nil, err
	}
	return &tfprotov6.ReadDataSourceResponse{State: to6(answer.State), Diagnostics: diagnostics(answer.Diagnostics)}, nil
}

func to5(v *tfprotov6.DynamicValue) *tfplugin5.DynamicValue {
	if v == nil {
		return nil
	}
	return &tfplugin5.DynamicValue{Msgpack: v.MsgPack, Json: v.JSON}
}

func to6(v *tfplugin5.DynamicValue) *tfprotov6.DynamicValue {
	if v == nil {
		return nil
	}
	return &tfprotov6.DynamicValue{MsgPack: v.Msgpack, JSON: v.Json}
}

func diagnostics(list []*tfplugin5.Diagnostic) []*tfprotov6.Diagnostic {
	var all []*tfprotov6.Diagnostic
	for _, d := range list {
		all = append(all, &tfprotov6.Diagnostic{
			Severity: tfprotov6.DiagnosticSeverity(d.Severity), Summary: d.Summary, Detail: d.Detail,
			Attribute: attributePath(d.Attribute),
		})
	}
	return all
}

func attributePath(path *tfplugin5.AttributePath) *tftypes.AttributePath {
	if path == nil {
		return nil
	}
	var steps []tftypes.AttributePathStep
	for _, step := range path.Steps {
		switch s := step.Selector.(type) {
		case *tfplugin5.AttributePath_Step_AttributeName:
			steps = append(steps, tftypes.AttributeName(s.AttributeName))
		case *tfplugin5.AttributePath_Step_ElementKeyString:
			steps = append(steps, tftypes.ElementKeyString(s.ElementKeyString))
		case *tfplugin5.AttributePath_Step_ElementKeyInt:
			steps = append(steps, tftypes.ElementKeyInt(s.ElementKeyInt))
		}
	}
	return tftypes.NewAttributePathWithSteps(steps)
}

func schema(s *tfplugin5.Schema) (*tfprotov6.Schema, error) {
	inner, err := block(s.Block)
	return &tfprotov6.Schema{Version: s.Version, Block: inner}, err
}

func block(b *tfplugin5.Schema_Block) (*tfprotov6.SchemaBlock, error) {
	result := &tfprotov6.SchemaBlock{Version: b.Version, Deprecated: b.Deprecated}
	for _, a := range b.Attributes {
		valueType, err := tftypes.ParseJSONType(a.Type) //nolint:staticcheck // the library offers no other way
		if err != nil {
			return nil, fmt.Errorf("attribute %s: %w", a.Name, err)
		}
		result.Attributes = append(result.Attributes, &tfprotov6.SchemaAttribute{
			Name: a.Name, Type: valueType, Required: a.Required, Optional: a.Optional, Computed: a.Computed,
			Sensitive: a.Sensitive, Deprecated: a.Deprecated,
		})
	}
	for _, n := range b.BlockTypes {
		inner, err := block(n.Block)
		if err != nil {
			return nil, fmt.Errorf("block %s: %w", n.TypeName, err)
		}
		result.BlockTypes = append(result.BlockTypes, &tfprotov6.SchemaNestedBlock{
			TypeName: n.TypeName, Block: inner, Nesting: tfprotov6.SchemaNestedBlockNestingMode(n.Nesting),
			MinItems: n.MinItems, MaxItems: n.MaxItems,
		})
	}
	return result, nil
}
