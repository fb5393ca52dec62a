package cloud

import (
	"context"
	"time"

	"github.com/aws/smithy-go/middleware"
)

// StopBetweenCalls is for aws.Config.APIOptions: a context that has ended stops the next call, never one that has begun,
// so that an interrupt leaves no doubt about what was made or deleted. A call, its retries included, ends after limit.
func StopBetweenCalls(limit time.Duration) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("tapstack:StopBetweenCalls",
			func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
				if ctx.Err() != nil {
					return middleware.InitializeOutput{}, middleware.Metadata{}, context.Cause(ctx)
				}
				ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
				defer cancel()
				return next.HandleInitialize(ctx, in)
			}), middleware.Before)
	}
}
