package cloud

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/smithy-go/middleware"
)

// StopBetweenCalls is for aws.Config.APIOptions: a context that has ended stops the next call, never one that has begun,
// so that an interrupt leaves no doubt about what was made or deleted; but where the cloud does not answer any more, nothing is
// waited for. A call, its retries included, ends after limit.
func StopBetweenCalls(limit time.Duration) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("tapstack:StopBetweenCalls",
			func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
				if ctx.Err() != nil {
					return middleware.InitializeOutput{}, middleware.Metadata{}, context.Cause(ctx)
				}
				call, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
				defer cancel()
				defer context.AfterFunc(ctx, func() {
					var silent *SilentError
					if errors.As(context.Cause(ctx), &silent) {
						cancel()
					}
				})()
				out, metadata, err := next.HandleInitialize(call, in)
				if err != nil && errors.Is(call.Err(), context.DeadlineExceeded) {
					err = fmt.Errorf("no success within %s, retries included: %w", limit, err)
				}
				return out, metadata, err
			}), middleware.Before)
	}
}
