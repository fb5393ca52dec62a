package awsprovider_test

import (
	"context"
	"sync"
	"testing"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	"github.com/stretchr/testify/require"

	"tapstack/lib/awsprovider"
	"tapstack/lib/awsprovider/conformance"
	"tapstack/lib/awsprovider/random"
	"tapstack/lib/process/processtest"
	"tapstack/lib/target"
)

func TestEveryTypeConforms(t *testing.T) {
	processtest.SkipIfShort(t)
	cloud, err := target.Open(t.Context(), target.Options{Name: target.Local, Notify: func(s string) { t.Log(s) }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cloud.Close()) })
	var called operations
	cloud.Config.APIOptions = append(cloud.Config.APIOptions, called.record)
	provider, err := awsprovider.New(cloud.Config)
	require.NoError(t, err)
	conformance.Run(t, provider, awsprovider.Resources(), called.take)
}

func TestEveryRandomTypeConforms(t *testing.T) {
	provider, err := awsprovider.NewRandom()
	require.NoError(t, err)
	conformance.Run(t, provider, random.Resources(), func() []string { return nil })
}

// operations are the names of the API's operations that were called.
type operations struct {
	mu    sync.Mutex
	names []string
}

// record is for aws.Config.APIOptions.
func (o *operations) record(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("conformance:record", func(
		ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
	) (middleware.InitializeOutput, middleware.Metadata, error) {
		o.mu.Lock()
		o.names = append(o.names, awsmiddleware.GetOperationName(ctx))
		o.mu.Unlock()
		return next.HandleInitialize(ctx, in)
	}), middleware.After)
}

// take answers with the names since it was last asked.
func (o *operations) take() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	names := o.names
	o.names = nil
	return names
}
