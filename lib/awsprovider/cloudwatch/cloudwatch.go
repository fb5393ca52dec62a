// Package cloudwatch implements the aws:cloudwatch types: log groups and the logs resource policy (CloudWatch Logs),
// metric alarms and dashboards (CloudWatch), rules and their targets (EventBridge). Reference: the three services' APIs
// and the aws_cloudwatch_* resources of the Terraform AWS provider 5.x.
package cloudwatch

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/schemas"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"

	"tapstack/lib/awsprovider/resource"
)

// propagation is how long a change may take to be seen everywhere.
const propagation = 2 * time.Minute

// Resources lists the types of this package.
func Resources() []resource.Resource {
	return []resource.Resource{
		resource.Define(logGroup),
		resource.Define(logResourcePolicy),
		resource.Define(metricAlarm),
		resource.Define(dashboard),
		resource.Define(eventRule),
		resource.Define(eventTarget),
	}
}

// client speaks JSON, one of the three protocols of CloudWatch: the SDK's own choice, CBOR, is newer than what the
// emulators understand.
func client(c *resource.Cloud) *cloudwatch.Client {
	return cloudwatch.NewFromConfig(c.Config, func(o *cloudwatch.Options) {
		o.Protocol = awsjson.New10(schemas.GraniteServiceVersion20100801)
	})
}

func logsClient(c *resource.Cloud) *logs.Client { return logs.NewFromConfig(c.Config) }

func eventsClient(c *resource.Cloud) *eventbridge.Client { return eventbridge.NewFromConfig(c.Config) }

// says recognises an API error by its code and a part of its message.
func says(code, part string) func(error) bool {
	return func(err error) bool {
		var api smithy.APIError
		return errors.As(err, &api) && api.ErrorCode() == code && strings.Contains(api.ErrorMessage(), part)
	}
}

// retry repeats a call as long as it fails with a passing error, until timeout is over.
func retry(ctx context.Context, timeout time.Duration, passing func(error) bool, call func() error) error {
	var last error
	err := resource.Poll(ctx, "the API accepts the call", timeout, func(context.Context) (bool, error) {
		last = call()
		return !passing(last), nil
	})
	if err != nil {
		return errors.Join(last, err)
	}
	return last
}
