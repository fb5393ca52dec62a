package cloud

import (
	"context"
	"maps"
	"slices"
	"sync"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
)

// calls counts the API calls of a reader and remembers those that were refused. Retries are part of one call.
type calls struct {
	mu      sync.Mutex
	count   int
	refused map[string]bool // by operation
}

// record is for aws.Config.APIOptions.
func (c *calls) record(stack *middleware.Stack) error {
	note := func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleInitialize(ctx, in)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.count++
		if IsRefused(err) && ctx.Value(refusalExpected{}) == nil {
			c.refused[awsmiddleware.GetServiceID(ctx)+" "+awsmiddleware.GetOperationName(ctx)] = true
		}
		return out, metadata, err
	}
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("tapstack:RecordCalls", note), middleware.After)
}

type refusalExpected struct{}

// ExpectRefusal marks the context of a call that is meant to be refused, which tells nothing of the credentials.
func ExpectRefusal(ctx context.Context) context.Context {
	return context.WithValue(ctx, refusalExpected{}, true)
}

// Calls tells how many calls were made so far, each with its retries counted once.
func (r *Reader) Calls() int {
	r.calls.mu.Lock()
	defer r.calls.mu.Unlock()
	return r.calls.count
}

// Refused lists the operations, such as "SQS ListQueues", that the credentials may not call.
func (r *Reader) Refused() []string {
	r.calls.mu.Lock()
	defer r.calls.mu.Unlock()
	return slices.Sorted(maps.Keys(r.calls.refused))
}
