package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"tapstack/lib"
	"tapstack/lib/cloud"
)

// saboteur knows the stack by its outputs and names, and changes the cloud with the SDK alone.
type saboteur struct {
	*cloud.Clients
	config  aws.Config
	suffix  string
	outputs map[string]any
	actor   *outcome
	undos   []func(context.Context) error

	serial    string      // of the certificate that the stand-in for the load balancer serves
	published []time.Time // when an alarm was set off
}

func newSaboteur(cfg aws.Config, suffix string) *saboteur {
	return &saboteur{Clients: cloud.NewClients(cfg), config: cfg, suffix: suffix}
}

// named is the name of one of the stack's resources.
func (s *saboteur) named(name string) string { return lib.PhysicalName(name, s.suffix) }

// stackTags are the tags that the stack, in its default configuration, gives to what it makes. What is made by hand carries
// them as well, so that the tag checks have no reason to speak.
func stackTags(name string) map[string]string {
	return map[string]string{
		"Name": name, "Environment": "production", "MigrationBatch": "phase-1",
		lib.TagOwner: lib.DefaultOwner, lib.TagRun: lib.ManualRun, lib.TagExpires: lib.NeverExpires,
	}
}

// output is a stack output that is text; empty when there is none, which the API then refuses.
func (s *saboteur) output(name string) string {
	text, _ := s.outputs[name].(string)
	return text
}

// list is a stack output that is a list of texts.
func (s *saboteur) list(name string) []string {
	items, _ := s.outputs[name].([]any)
	texts := make([]string, 0, len(items))
	for _, item := range items {
		texts = append(texts, fmt.Sprint(item))
	}
	return texts
}

// later notes what removes a trace of the sabotage that neither refresh nor up removes.
func (s *saboteur) later(undo func(context.Context) error) { s.undos = append(s.undos, undo) }

func (s *saboteur) forget() { s.undos = nil }

// undo does what later has noted, last noted first.
func (s *saboteur) undo(ctx context.Context) error {
	var faults []error
	for _, undo := range slices.Backward(s.undos) {
		faults = append(faults, undo(ctx))
	}
	s.forget()
	return errors.Join(faults...)
}

// lookup is an environment variable that tunes a run by hand.
func lookup(name string) string { return os.Getenv(name) }

// call makes one call for its effect.
func call[I, O, Options any](ctx context.Context, operation func(context.Context, *I, ...func(*Options)) (*O, error), in *I) error {
	_, err := operation(ctx, in)
	return err
}

// first returns the only item of interest of an answer, or an error.
func first[T any](what string, items []T) (T, error) {
	if len(items) == 0 {
		var none T
		return none, fmt.Errorf("there is no %s", what)
	}
	return items[0], nil
}
