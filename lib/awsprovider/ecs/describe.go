package ecs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"tapstack/lib/awsprovider/resource"
)

// described is a service and the names of the members that the answer carried. The SDK gives false for a flag that the
// answer denies and for one that it does not mention; only the first may change the state.
type described struct {
	types.Service
	told map[string]bool
}

// describeService asks for one service of a cluster (the default one for ""), whatever its status.
func describeService(ctx context.Context, c *resource.Cloud, id, cluster string) (described, error) {
	in := &ecs.DescribeServicesInput{Services: []string{id}, Include: []types.ServiceField{types.ServiceFieldTags}}
	if cluster != "" {
		in.Cluster = &cluster
	}
	var answer []byte
	out, err := c.ECS.DescribeServices(ctx, in, keepAnswer(&answer))
	if err != nil {
		return described{}, err
	}
	if len(out.Services) == 0 {
		for _, f := range out.Failures {
			if reason := aws.ToString(f.Reason); reason != "MISSING" {
				return described{}, fmt.Errorf("describing service %s: %s", id, reason)
			}
		}
		return described{}, resource.ErrNotFound
	}
	told, err := members(answer)
	return described{Service: out.Services[0], told: told}, err
}

// members are the names that the first service of an answer carries.
func members(answer []byte) (map[string]bool, error) {
	var doc struct {
		Services []map[string]json.RawMessage `json:"services"`
	}
	if err := json.Unmarshal(answer, &doc); err != nil {
		return nil, fmt.Errorf("reading the answer of DescribeServices: %w", err)
	}
	told := map[string]bool{}
	for _, it := range doc.Services[:min(1, len(doc.Services))] {
		for name, value := range it {
			told[name] = string(value) != "null"
		}
	}
	return told, nil
}

// keepAnswer copies the body of the answer on its way to the SDK.
func keepAnswer(to *[]byte) func(*ecs.Options) {
	keep := middleware.DeserializeMiddlewareFunc("KeepAnswer",
		func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
			middleware.DeserializeOutput, middleware.Metadata, error,
		) {
			out, metadata, err := next.HandleDeserialize(ctx, in)
			response, ok := out.RawResponse.(*smithyhttp.Response)
			if err != nil || !ok || response.Body == nil {
				return out, metadata, err
			}
			body, err := io.ReadAll(response.Body)
			if closed := response.Body.Close(); err == nil {
				err = closed
			}
			*to, response.Body = body, io.NopCloser(bytes.NewReader(body))
			return out, metadata, err
		})
	return func(o *ecs.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			return stack.Deserialize.Add(keep, middleware.After)
		})
	}
}
