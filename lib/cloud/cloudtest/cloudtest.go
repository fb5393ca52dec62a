// Package cloudtest stands in for AWS in tests, without a network.
package cloudtest

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
)

// Region is where the stand-in is.
const Region = "us-east-1"

// Config leads all clients to a function. It gets the service and operation of each call ("EC2 DescribeVpcs") with its input,
// and answers as the SDK would. Calls at the same time come at the same time.
func Config(answer func(call string, input any) (output any, err error)) aws.Config {
	return aws.Config{Region: Region, APIOptions: []func(*middleware.Stack) error{func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("cloudtest:answer", func(
			ctx context.Context, in middleware.InitializeInput, _ middleware.InitializeHandler,
		) (out middleware.InitializeOutput, metadata middleware.Metadata, err error) {
			out.Result, err = answer(awsmiddleware.GetServiceID(ctx)+" "+awsmiddleware.GetOperationName(ctx), in.Parameters)
			return out, metadata, err
		}), middleware.After)
	}}}
}

// Refusal is an API's error.
func Refusal(code string) error { return &smithy.GenericAPIError{Code: code, Message: "says the test"} }
