package cloud

import (
	"context"
	"errors"
	"reflect"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Paginator is what every paginator of the SDK is.
type Paginator[Out, Opt any] interface {
	HasMorePages() bool
	NextPage(ctx context.Context, opts ...func(*Opt)) (*Out, error)
}

var errSamePage = errors.New("the API hands out the same page token again")

// Pages reads a paginated list to its end. An API that would never come to one is an error.
func Pages[Out, Opt, T any](ctx context.Context, p Paginator[Out, Opt], items func(*Out) []T) ([]T, error) {
	var all []T
	token := ""
	for p.HasMorePages() {
		page, err := p.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, items(page)...)
		next := nextPage(page)
		if next != "" && next == token {
			return nil, errSamePage
		}
		token = next
	}
	return all, nil
}

// nextPage is the token of the next page, under the names that the services give it; empty where there is none.
func nextPage(page any) string {
	for _, name := range []string{"NextToken", "NextMarker", "PaginationToken", "ContinuationToken", "Marker"} {
		if field := reflect.ValueOf(page).Elem().FieldByName(name); field.IsValid() {
			token, _ := field.Interface().(*string)
			return aws.ToString(token)
		}
	}
	return ""
}

// pagesByToken reads to its end a list for which the SDK has no paginator.
func pagesByToken[T any](ctx context.Context, page func(ctx context.Context, token *string) (items []T, next *string, err error)) ([]T, error) {
	var all []T
	var token *string
	for {
		items, next, err := page(ctx, token)
		if err != nil {
			return nil, err
		}
		all = append(all, items...)
		if aws.ToString(next) == "" {
			return all, nil
		}
		if aws.ToString(next) == aws.ToString(token) {
			return nil, errSamePage
		}
		token = next
	}
}

// list is the reader's one answer to a paginated call.
func list[Out, Opt, T any](ctx context.Context, r *Reader, call string, p Paginator[Out, Opt], items func(*Out) []T) ([]T, error) {
	return Once(ctx, r, call, func(ctx context.Context) ([]T, error) { return Pages(ctx, p, items) })
}

// get is the reader's one answer to a call that has one page only.
func get[In, Out, Opt, T any](
	ctx context.Context, r *Reader, call string, ask func(context.Context, *In, ...func(*Opt)) (*Out, error), in *In, field func(*Out) T,
) (T, error) {
	return Once(ctx, r, call, func(ctx context.Context) (T, error) {
		out, err := ask(ctx, in)
		if err != nil {
			var none T
			return none, err
		}
		return field(out), nil
	})
}

// getPart is get for an answer that is a pointer, which may not be missing.
func getPart[In, Out, Opt, T any](
	ctx context.Context, r *Reader, call string, ask func(context.Context, *In, ...func(*Opt)) (*Out, error), in *In, field func(*Out) *T,
) (T, error) {
	return Once(ctx, r, call, func(ctx context.Context) (none T, err error) {
		out, err := ask(ctx, in)
		if err != nil {
			return none, err
		}
		part := field(out)
		if part == nil {
			return none, errors.New("the answer is empty")
		}
		return *part, nil
	})
}

// chunks asks about many ids at a time, no more than a call takes.
func chunks[In, Out, Opt, T any](
	ctx context.Context, ids []string, most int, ask func(context.Context, *In, ...func(*Opt)) (*Out, error), about func([]string) *In,
	items func(*Out) []T,
) ([]T, error) {
	var all []T
	for some := range slices.Chunk(ids, most) {
		out, err := ask(ctx, about(some))
		if err != nil {
			return nil, err
		}
		all = append(all, items(out)...)
	}
	return all, nil
}

func self[T any](v T) T { return v }
