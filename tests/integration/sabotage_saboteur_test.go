package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
	"tapstack/lib/cloud"
)

// saboteur knows the stack by its outputs and names, and changes the cloud with the SDK alone. What fails on the way ends
// the test or, in a round of sabotages, the attempt.
type saboteur struct {
	*cloud.Clients
	require.TestingT
	config  aws.Config
	suffix  string
	outputs map[string]any
	undos   []func(context.Context)

	serial string       // of the certificate that the stand-in for the load balancer serves
	spoil  atomic.Int32 // how many answers of the load balancer are still to be spoilt
}

func newSaboteur(t require.TestingT, cfg aws.Config, suffix string) *saboteur {
	return &saboteur{TestingT: t, Clients: cloud.NewClients(cfg), config: cfg, suffix: suffix}
}

// attempt is a test within a test: its failure is an error.
type attempt struct{ faults []error }

// Errorf implements require.TestingT.
func (a *attempt) Errorf(format string, args ...any) {
	a.faults = append(a.faults, fmt.Errorf(format, args...))
}

// FailNow implements require.TestingT.
func (a *attempt) FailNow() { runtime.Goexit() }

// try does something that ends at its first failure.
func (s *saboteur) try(ctx context.Context, do func(context.Context, *saboteur)) error {
	a, done := &attempt{}, make(chan struct{})
	s.TestingT = a
	go func() {
		defer close(done)
		do(ctx, s)
	}()
	<-done
	return errors.Join(a.faults...)
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
func (s *saboteur) later(undo func(context.Context)) { s.undos = append(s.undos, undo) }

func (s *saboteur) forget() { s.undos = nil }

// undo does what later has noted, last noted first.
func (s *saboteur) undo(ctx context.Context) error {
	var faults []error
	for _, undo := range slices.Backward(s.undos) {
		faults = append(faults, s.try(ctx, func(ctx context.Context, _ *saboteur) { undo(ctx) }))
	}
	s.forget()
	return errors.Join(faults...)
}

// lookup is an environment variable that tunes a run by hand.
func lookup(name string) string { return os.Getenv(name) }

// operation is a method of a client of the SDK's.
type operation[I, O, Options any] = func(context.Context, *I, ...func(*Options)) (*O, error)

// call makes a call that must not fail.
func call[I, O, Options any](ctx context.Context, t require.TestingT, operation operation[I, O, Options], in *I) *O {
	out, err := operation(ctx, in)
	require.NoError(t, err)
	return out
}

// later notes a call that removes a trace of the sabotage.
func later[I, O, Options any](s *saboteur, operation operation[I, O, Options], in *I) {
	s.later(func(ctx context.Context) { call(ctx, s, operation, in) })
}

// first is the only item of interest of an answer.
func first[T any](s *saboteur, what string, items []T) T {
	return find(s, what, items, func(T) bool { return true })
}

// find is the first item that is looked for.
func find[T any](s *saboteur, what string, items []T, is func(T) bool) T {
	i := slices.IndexFunc(items, is)
	require.NotEqual(s, -1, i, "there is no %s", what)
	return items[i]
}
