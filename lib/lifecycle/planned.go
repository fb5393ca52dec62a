package lifecycle

import (
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Secret and Unknown stand in a planned resource's inputs for values that are secret, and for those that only the
// deployment will tell.
const (
	Secret  = "[secret]"
	Unknown = "[unknown]"
)

// unknownValue is how the engine's events write a value that is not known yet: plugin.UnknownStringValue, spelled out
// here lest lifecycle import the plugin host.
const unknownValue = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

// Resource is one resource as a preview plans it, whether it is to be created, changed or left as it is.
type Resource struct {
	Type string // aws:sqs/queue:Queue
	Name string // the logical name
	// Inputs are what the program gives, checked by the provider, as JSON has it: numbers are float64, lists []any,
	// objects map[string]any.
	Inputs map[string]any
}

// plan keeps what a preview's step leaves of a resource. A replacement has several steps: the last one counts.
func (l *listener) plan(meta apitype.StepEventMetadata) {
	if meta.New == nil || meta.New.Delete {
		return
	}
	kind, name := typeAndName(meta.URN)
	inputs, _ := readable(meta.New.Inputs).(map[string]any)
	planned := Resource{Type: kind, Name: name, Inputs: inputs}
	if at, known := l.plannedAt[meta.URN]; known {
		l.planned[at] = planned
		return
	}
	if l.plannedAt == nil {
		l.plannedAt = map[string]int{}
	}
	l.plannedAt[meta.URN] = len(l.planned)
	l.planned = append(l.planned, planned)
}

// readable replaces the engine's marks for secrets and unknown values.
func readable(value any) any {
	switch value := value.(type) {
	case string:
		if value == unknownValue {
			return Unknown
		}
	case []any:
		list := make([]any, len(value))
		for index, item := range value {
			list[index] = readable(item)
		}
		return list
	case map[string]any:
		if value[resource.SigKey] == resource.SecretSig {
			return Secret
		}
		object := make(map[string]any, len(value))
		for key, item := range value {
			object[key] = readable(item)
		}
		return object
	}
	return value
}
