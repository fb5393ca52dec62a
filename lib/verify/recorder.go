package verify

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// recorder collects the observations of one check.
type recorder struct {
	seen        []Observation
	switchedOff []string
}

// subject is the resource that observations are about.
type subject struct {
	rec *recorder
	arn string
}

// recorded makes a check's Run from a function that records what it sees. An error that it returns fails the check.
func recorded(look func(ctx context.Context, e *Env, rec *recorder) error) func(context.Context, *Env) Evidence {
	return func(ctx context.Context, e *Env) Evidence {
		rec := &recorder{}
		err := look(ctx, e, rec)
		return Evidence{Seen: rec.seen, SwitchedOff: rec.switchedOff, Err: err}
	}
}

// on records what is seen of one resource, or of none in particular where arn is empty.
func (rec *recorder) on(arn string) subject { return subject{rec: rec, arn: arn} }

// record adds a comparison that the caller has made.
func (x subject) record(what, expected string, actual any, ok bool) {
	x.rec.seen = append(x.rec.seen, Observation{ARN: x.arn, What: what, Expected: expected, Actual: text(actual), OK: ok})
}

// equal compares the text forms, so that SDK enumerations and numbers of any width compare with plain literals.
func (x subject) equal(what string, expected, actual any) {
	want, got := text(expected), text(actual)
	x.record(what, want, got, want == got)
}

// sameSet compares two lists without regard to order.
func (x subject) sameSet(what string, expected, actual []string) {
	x.equal(what, listText(expected), listText(actual))
}

// includes wants every expected value among the actual ones; more may be there.
func (x subject) includes(what string, expected, actual []string) {
	x.record(what, "includes "+listText(expected), listText(actual), len(except(expected, actual)) == 0)
}

// present wants a value that is not empty, and shows it.
func (x subject) present(what string, actual any) {
	got := text(actual)
	x.record(what, "present", got, got != notSet && got != "")
}

// within wants least ≤ actual ≤ most.
func (x subject) within(what string, least, most, actual int64) {
	x.record(what, fmt.Sprintf("from %d to %d", least, most), actual, least <= actual && actual <= most)
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

// texts are a text of each item.
func texts[T any](items []T, of func(T) string) []string {
	all := make([]string, len(items))
	for i, item := range items {
		all[i] = of(item)
	}
	return all
}

// distinct are the different texts of a list, sorted.
func distinct(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }

// except are the items of a list that are not in another.
func except[T comparable](list, others []T) []T {
	return slices.DeleteFunc(slices.Clone(list), func(v T) bool { return slices.Contains(others, v) })
}
