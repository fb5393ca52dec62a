// Package declared tells which resources the program declares. It runs the program in this process, against mocks in place
// of the engine and of AWS, in a few hundredths of a second.
package declared

import (
	"fmt"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"tapstack/lib"
)

// Resource is one resource as the program declares it.
type Resource struct {
	Type string // its Pulumi type, such as aws:sqs/queue:Queue
	Name string // its logical name
	// Inputs are those that do not come from resources that AWS has yet to name.
	Inputs resource.PropertyMap
}

// Text is an input that holds text; empty where it does not.
func (r Resource) Text(input string) string {
	if v := r.Inputs[resource.PropertyKey(input)]; v.IsString() {
		return v.StringValue()
	}
	return ""
}

// Tag is the value of a tag; empty where there is none.
func (r Resource) Tag(key string) string {
	if tags := r.Inputs["tags"]; tags.IsObject() {
		return Resource{Inputs: tags.ObjectValue()}.Text(key)
	}
	return ""
}

// Resources are those of a configuration in a region, in the order in which the program declares them.
func Resources(config lib.Config, region string) ([]Resource, error) {
	engine := &recorder{Mocks: NewMocks(region, config.AvailabilityZones...), index: map[string]int{}}
	settings := map[string]string{lib.RegionKey: region}
	for key, value := range config.Values() {
		settings[lib.ProjectName+":"+key] = value
	}
	err := pulumi.RunErr(func(ctx *pulumi.Context) error {
		if err := ctx.RegisterStackTransformation(engine.order); err != nil {
			return err
		}
		return lib.Deploy(ctx)
	}, pulumi.WithMocks(lib.ProjectName, config.EnvironmentSuffix, engine), func(info *pulumi.RunInfo) { info.Config = settings })
	if err != nil {
		return nil, fmt.Errorf("running the program against mocks: %w", err)
	}
	return engine.resources, nil
}

// recorder notes what is declared.
type recorder struct {
	*Mocks
	mutex     sync.Mutex
	resources []Resource
	index     map[string]int // by logical name
}

// order sees each resource when the program declares it; the engine hears of it later, when its inputs are known.
func (r *recorder) order(args *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.index[args.Name] = len(r.resources)
	r.resources = append(r.resources, Resource{Type: args.Type, Name: args.Name})
	return nil
}

// NewResource notes the inputs of a resource.
func (r *recorder) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	r.mutex.Lock()
	if i, known := r.index[args.Name]; known {
		r.resources[i].Inputs = args.Inputs
	}
	r.mutex.Unlock()
	return r.Mocks.NewResource(args)
}

// Largest is the configuration with everything that can be switched on.
func Largest(suffix string) (lib.Config, error) {
	values := map[string]string{
		lib.ConfigEnvironmentSuffix: suffix, lib.ConfigPaymentAPIImage: "payment-api:1", lib.ConfigJobProcessorImage: "job-processor:1",
		lib.ConfigAlertEmail: "ops@example.com", "domainName": "pay.example.com", "hostedZoneId": "Z0123456789",
	}
	for _, key := range lib.ConfigKeys() {
		if key.Type == "boolean" {
			values[key.Name] = "true"
		}
	}
	return lib.ParseConfig(values)
}
