// Package cloudwatch implements the aws:cloudwatch types: log groups and the logs resource policy (CloudWatch Logs),
// metric alarms and dashboards (CloudWatch), rules and their targets (EventBridge). Reference: the three services' APIs
// and the aws_cloudwatch_* resources of the Terraform AWS provider 5.x.
package cloudwatch

import (
	"time"

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
