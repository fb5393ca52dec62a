package judge

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go/middleware"
	"github.com/stretchr/testify/assert"
)

// request is one call of the AWS API, before the SDK makes text of it.
type request struct {
	Service    string `json:"service"` // as every SDK names it, such as "Elastic Load Balancing v2"
	Operation  string `json:"operation"`
	Parameters any    `json:"parameters"`
	Name       string `json:"name"` // what findings are told of; empty: the operation
}

// requests notes the calls of the configurations that it watches.
type requests struct {
	mutex sync.Mutex
	made  []request
}

func (r *requests) watch(cfg aws.Config) aws.Config {
	cfg = cfg.Copy()
	note := func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
		middleware.InitializeOutput, middleware.Metadata, error,
	) {
		one := request{awsmiddleware.GetServiceID(ctx), awsmiddleware.GetOperationName(ctx), set(reflect.ValueOf(in.Parameters)), ""}
		r.mutex.Lock()
		r.made = append(r.made, one)
		r.mutex.Unlock()
		return next.HandleInitialize(ctx, in)
	}
	cfg.APIOptions = append(slices.Clone(cfg.APIOptions), func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("tapstack:judge", note), middleware.After)
	})
	return cfg
}

func (r *requests) all() []request {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return slices.Clone(r.made)
}

// set is what of an input the SDK would send: pointers and lists that are there, and other values that are not zero.
func set(value reflect.Value) any {
	switch value.Kind() {
	case reflect.Pointer, reflect.Interface:
		if value.IsNil() {
			return nil
		}
		if _, isStream := value.Interface().(io.Reader); isStream {
			return ""
		}
		if inner := value.Elem(); inner.Kind() != reflect.Struct && inner.Kind() != reflect.Pointer {
			return scalar(inner)
		}
		return set(value.Elem())
	case reflect.Struct:
		if at, isTime := value.Interface().(time.Time); isTime {
			return at.Format(time.RFC3339)
		}
		fields := map[string]any{}
		for i := range value.NumField() {
			field := value.Type().Field(i)
			if !field.IsExported() || field.Name == "ResultMetadata" || value.Field(i).IsZero() {
				continue
			}
			fields[field.Name] = set(value.Field(i))
		}
		return fields
	case reflect.Slice:
		if bytes, isBytes := value.Interface().([]byte); isBytes {
			return base64.StdEncoding.EncodeToString(bytes)
		}
		items := make([]any, value.Len())
		for i := range items {
			items[i] = set(value.Index(i))
		}
		return items
	case reflect.Map:
		entries := map[string]any{}
		for _, key := range value.MapKeys() {
			entries[fmt.Sprint(key.Interface())] = set(value.MapIndex(key))
		}
		return entries
	}
	return scalar(value)
}

func scalar(value reflect.Value) any {
	if value.Kind() == reflect.String {
		return value.String() // enumerated values have types of their own
	}
	return value.Interface()
}

func TestWhatIsSentOfAnInputIsNoted(t *testing.T) {
	assert.Equal(t, map[string]any{
		"Name": "", "Overwrite": false, "Type": "String", "Tags": []any{map[string]any{"Key": "a", "Value": "b"}},
	}, set(reflect.ValueOf(&ssm.PutParameterInput{
		Name: aws.String(""), Overwrite: aws.Bool(false), Type: types.ParameterTypeString,
		Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}},
	})))
}
