package verify

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// sight collects the observations of one check.
type sight struct{ seen []Observation }

// subject is one resource under a check's eyes.
type subject struct {
	s   *sight
	arn string
}

// observed makes a check's Run from a function that notes what it sees. An error that it returns fails the check.
func observed(look func(ctx context.Context, e *Env, s *sight) error) func(context.Context, *Env) Evidence {
	return func(ctx context.Context, e *Env) Evidence {
		s := &sight{}
		err := look(ctx, e, s)
		return Evidence{Seen: s.seen, Err: err}
	}
}

func (s *sight) on(arn string) subject { return subject{s: s, arn: arn} }

// that notes a comparison that the caller has made.
func (x subject) that(what, expected string, actual any, ok bool) {
	x.s.seen = append(x.s.seen, Observation{ARN: x.arn, What: what, Expected: expected, Actual: text(actual), OK: ok})
}

// equal compares the text forms, so that SDK enumerations and numbers of any width compare with plain literals.
func (x subject) equal(what string, expected, actual any) {
	want, got := text(expected), text(actual)
	x.that(what, want, got, want == got)
}

// sameSet compares two lists without regard to order.
func (x subject) sameSet(what string, expected, actual []string) {
	x.equal(what, listText(expected), listText(actual))
}

// includes wants every expected value among the actual ones; more may be there.
func (x subject) includes(what string, expected, actual []string) {
	x.that(what, "includes "+listText(expected), listText(actual), len(missing(expected, actual)) == 0)
}

// present wants a value that is not empty, and shows it.
func (x subject) present(what string, actual any) {
	got := text(actual)
	x.that(what, "present", got, got != notSet && got != "")
}

// within wants least ≤ actual ≤ most.
func (x subject) within(what string, least, most, actual int64) {
	x.that(what, fmt.Sprintf("from %d to %d", least, most), actual, least <= actual && actual <= most)
}

const notSet = "not set"

// text is how a value reads in a report: pointers followed, nil as "not set", lists sorted.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return notSet
	case string:
		return v
	case []string:
		return listText(v)
	case time.Time:
		return v.UTC().Format(time.RFC3339)
	}
	r := reflect.ValueOf(v)
	if r.Kind() == reflect.Pointer {
		if r.IsNil() {
			return notSet
		}
		return text(r.Elem().Interface())
	}
	return fmt.Sprint(v)
}

func listText(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(slices.Values(list)), ", ")
}

func missing(expected, actual []string) []string {
	var out []string
	for _, e := range expected {
		if !slices.Contains(actual, e) {
			out = append(out, e)
		}
	}
	return out
}
