package lifecycle

import (
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Observer hears what the engine does while it does it. Its methods are called one after another.
type Observer interface {
	Started(Step)
	Done(Step)
	Failed(Step)
	Diagnostic(Diagnostic)
}

// Step is one operation on one resource.
type Step struct {
	Op   string // create, update, replace, delete, same, read, refresh … as the engine names them
	Type string // aws:sqs/queue:Queue
	Name string // the logical name
	URN  string
	// Properties are those that differ, where the engine tells.
	Properties []string
}

// Changes says whether the step alters the resource or the state.
func (s Step) Changes() bool { return changes(s.Op) }

// Removes says whether the resource goes, even where another takes its place.
func (s Step) Removes() bool {
	switch apitype.OpType(s.Op) {
	case apitype.OpDelete, apitype.OpReplace, apitype.OpCreateReplacement, apitype.OpDeleteReplaced:
		return true
	default:
		return false
	}
}

// Diagnostic is a message of the engine, the program or a provider. Secrets are masked in it.
type Diagnostic struct {
	Severity string // info, info#err, warning or error
	Type     string // of the resource it is about, if any
	Name     string
	Message  string
}

// silent is the observer of those who do not watch.
type silent struct{}

func (silent) Started(Step)          {}
func (silent) Done(Step)             {}
func (silent) Failed(Step)           {}
func (silent) Diagnostic(Diagnostic) {}

// listener turns the engine's events into calls of an observer, and remembers what the results and errors need.
type listener struct {
	observer Observer
	mask     func(string) string
	counts   map[string]int
	changed  []Step
	failures []Failure
	// protects says that a resource's protection changes.
	protects bool
	// planned are the resources of a preview; plannedAt is where each URN is among them.
	planned   []Resource
	plannedAt map[string]int
}

// follow takes in events until the channel is closed, or until done: an engine that fails before it starts never
// closes it.
func (l *listener) follow(channel <-chan events.EngineEvent, done <-chan struct{}) {
	for {
		select {
		case event, open := <-channel:
			if !open {
				return
			}
			l.take(event)
		case <-done:
			return
		}
	}
}

func (l *listener) take(event events.EngineEvent) {
	switch {
	case event.ResourcePreEvent != nil:
		l.observer.Started(stepOf(event.ResourcePreEvent.Metadata))
	case event.ResOutputsEvent != nil:
		meta := event.ResOutputsEvent.Metadata
		step := stepOf(meta)
		if step.Changes() {
			l.changed = append(l.changed, step)
		}
		l.protects = l.protects || meta.Old != nil && meta.New != nil && meta.Old.Protect != meta.New.Protect
		if event.ResOutputsEvent.Planning {
			l.plan(meta)
		}
		l.observer.Done(step)
	case event.ResOpFailedEvent != nil:
		l.observer.Failed(stepOf(event.ResOpFailedEvent.Metadata))
	case event.DiagnosticEvent != nil && !event.DiagnosticEvent.Ephemeral:
		l.diagnostic(*event.DiagnosticEvent)
	case event.SummaryEvent != nil:
		l.counts = make(map[string]int, len(event.SummaryEvent.ResourceChanges))
		for op, count := range event.SummaryEvent.ResourceChanges {
			l.counts[string(op)] = count
		}
	}
}

func (l *listener) diagnostic(event apitype.DiagnosticEvent) {
	message := plain(event.Message)
	if message == "" {
		return
	}
	if event.Severity == "error" || event.Severity == "warning" {
		message = tidy(message)
	}
	message = l.mask(message)
	kind, name := typeAndName(event.URN)
	if event.Severity == "error" {
		l.failures = append(l.failures, Failure{Type: kind, Name: name, Message: message})
	}
	l.observer.Diagnostic(Diagnostic{Severity: event.Severity, Type: kind, Name: name, Message: message})
}

func stepOf(meta apitype.StepEventMetadata) Step {
	kind, name := typeAndName(meta.URN)
	properties := slices.Concat(meta.Diffs, slices.Collect(maps.Keys(meta.DetailedDiff)))
	slices.Sort(properties)
	return Step{Op: string(meta.Op), Type: kind, Name: name, URN: meta.URN, Properties: slices.Compact(properties)}
}

func typeAndName(urn string) (kind, name string) {
	parsed, err := resource.ParseOptionalURN(urn)
	if err != nil || parsed == "" {
		return "", ""
	}
	return string(parsed.Type()), parsed.Name()
}

func changes(op string) bool {
	switch apitype.OpType(op) {
	case apitype.OpSame, apitype.OpRead, apitype.OpRefresh, apitype.OpReadReplacement:
		return false
	default:
		return !strings.HasPrefix(op, "discard") && op != ""
	}
}
