package ec2

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"tapstack/lib/awsprovider/resource"
	"tapstack/lib/cloud"
)

// iamSettle is how long EC2 may take to see a new role.
const iamSettle = 2 * time.Minute

// FlowLogArgs are the inputs of aws:ec2/flowLog:FlowLog.
type FlowLogArgs struct {
	resource.Tagged
	VpcID                  string  `pulumi:"vpcId" aws:"forcenew"`
	TrafficType            *string `pulumi:"trafficType,optional" aws:"forcenew"`
	LogDestinationType     *string `pulumi:"logDestinationType,optional" aws:"forcenew"`
	LogDestination         *string `pulumi:"logDestination,optional" aws:"forcenew,computed"`
	IamRoleArn             *string `pulumi:"iamRoleArn,optional" aws:"forcenew"`
	MaxAggregationInterval *int    `pulumi:"maxAggregationInterval,optional" aws:"forcenew"`
}

// FlowLogState is its state.
type FlowLogState struct {
	FlowLogArgs
	resource.AllTags
	Arn       string `pulumi:"arn"`
	LogFormat string `pulumi:"logFormat"`
}

var flowLog = resource.Description[FlowLogArgs, FlowLogState]{
	Token:  "aws:ec2/flowLog:FlowLog",
	Check:  checkFlowLog,
	Create: createFlowLog,
	Read: func(ctx context.Context, c *resource.Cloud, id string, prior FlowLogState) (FlowLogState, error) {
		l, err := findFlowLog(ctx, c, id)
		if err != nil {
			return prior, err
		}
		account, err := c.Account(ctx)
		if err != nil {
			return prior, err
		}
		tags := tagMap(l.Tags)
		s := FlowLogState{
			Arn: arn(c, &account, "vpc-flow-log", id),
			FlowLogArgs: FlowLogArgs{
				Tagged: resource.Tagged{Tags: tags}, VpcID: aws.ToString(l.ResourceId),
				TrafficType: aws.String(string(l.TrafficType)), LogDestinationType: aws.String(string(l.LogDestinationType)),
				LogDestination: l.LogDestination, IamRoleArn: resource.OrPrior(l.DeliverLogsPermissionArn, prior.IamRoleArn),
				MaxAggregationInterval: prior.MaxAggregationInterval,
			},
			AllTags: resource.AllTags{TagsAll: tags}, LogFormat: aws.ToString(l.LogFormat),
		}
		if l.MaxAggregationInterval != nil {
			s.MaxAggregationInterval = aws.Int(int(*l.MaxAggregationInterval))
		}
		return s, nil
	},
	Update: func(ctx context.Context, c *resource.Cloud, id string, old FlowLogState, a FlowLogArgs) error {
		return updateTags(ctx, c, id, old.Tags, a.Tags)
	},
	Delete: func(ctx context.Context, c *resource.Cloud, id string, _ FlowLogState) error {
		out, err := c.EC2.DeleteFlowLogs(ctx, &ec2.DeleteFlowLogsInput{FlowLogIds: []string{id}})
		if err == nil {
			err = unsuccessful(out.Unsuccessful)
		}
		if err != nil {
			return err
		}
		return resource.PollGone(ctx, "flow log "+id, settle, func(ctx context.Context) error {
			return ask(findFlowLog(ctx, c, id))
		})
	},
	Example: func(x resource.Scratch) resource.Example[FlowLogArgs] {
		return resource.Example[FlowLogArgs]{
			Inputs: FlowLogArgs{
				VpcID: makeVpc(x), TrafficType: aws.String("ALL"), LogDestinationType: aws.String("cloud-watch-logs"),
				LogDestination:         aws.String("arn:aws:logs:us-east-1:123456789012:log-group:/vpc/" + x.Name("flow")),
				IamRoleArn:             aws.String("arn:aws:iam::123456789012:role/" + x.Name("flow")),
				MaxAggregationInterval: aws.Int(60), Tagged: named("flow-log"),
			},
			Changes: []resource.Change[FlowLogArgs]{
				changeTags(func(a *FlowLogArgs) *resource.Tagged { return &a.Tagged }),
			},
		}
	},
}

func checkFlowLog(a *FlowLogArgs) []resource.Fault {
	if a.LogDestinationType == nil {
		a.LogDestinationType = aws.String(string(types.LogDestinationTypeCloudWatchLogs))
	}
	if a.MaxAggregationInterval == nil {
		a.MaxAggregationInterval = aws.Int(600)
	}
	if a.LogDestination != nil {
		a.LogDestination = aws.String(strings.TrimSuffix(*a.LogDestination, ":*"))
	}
	var faults []resource.Fault
	if v := *a.MaxAggregationInterval; v != 0 && v != 60 && v != 600 {
		faults = append(faults, resource.Fault{Property: "maxAggregationInterval", Reason: "must be 60 or 600 seconds"})
	}
	if v := types.TrafficType(aws.ToString(a.TrafficType)); v != "" && !slices.Contains(v.Values(), v) {
		faults = append(faults, resource.Fault{Property: "trafficType", Reason: fmt.Sprintf("must be one of %v", v.Values())})
	}
	if v := types.LogDestinationType(*a.LogDestinationType); v != "" && !slices.Contains(v.Values(), v) {
		faults = append(faults, resource.Fault{Property: "logDestinationType", Reason: fmt.Sprintf("must be one of %v", v.Values())})
	}
	return faults
}

func createFlowLog(ctx context.Context, c *resource.Cloud, a FlowLogArgs) (string, error) {
	in := &ec2.CreateFlowLogsInput{
		ResourceType: types.FlowLogsResourceTypeVpc, ResourceIds: []string{a.VpcID},
		TrafficType:        types.TrafficType(aws.ToString(a.TrafficType)),
		LogDestinationType: types.LogDestinationType(aws.ToString(a.LogDestinationType)), LogDestination: a.LogDestination,
		DeliverLogsPermissionArn: a.IamRoleArn, TagSpecifications: tagged(types.ResourceTypeVpcFlowLog, a.Tags),
	}
	if a.MaxAggregationInterval != nil {
		in.MaxAggregationInterval = resource.Int32(a.MaxAggregationInterval)
	}
	var id string
	var refusal error
	err := resource.Poll(ctx, "EC2 may assume the flow log's role", iamSettle, func(ctx context.Context) (bool, error) {
		out, err := c.EC2.CreateFlowLogs(ctx, in)
		if err == nil {
			err = unsuccessful(out.Unsuccessful)
		}
		if unassumable(err) {
			refusal = err
			return false, nil
		}
		refusal = nil
		if err == nil {
			id, err = first(out.FlowLogIds)
		}
		return true, err
	})
	if err != nil {
		return "", errors.Join(err, refusal)
	}
	return id, resource.PollThere(ctx, "flow log "+id+" exists", settle, func(ctx context.Context) (bool, error) {
		_, err := findFlowLog(ctx, c, id)
		return true, err
	})
}

// unassumable recognises a role that EC2 does not see yet.
func unassumable(err error) bool {
	return cloud.HasCode(err, "InvalidParameter") && strings.Contains(err.Error(), "Unable to assume given IAM role")
}

// unsuccessful makes errors of what a batch call refused.
func unsuccessful(items []types.UnsuccessfulItem) error {
	var faults []error
	for _, it := range items {
		if it.Error != nil {
			faults = append(faults, fmt.Errorf("%s: %w", aws.ToString(it.ResourceId), &smithy.GenericAPIError{
				Code: aws.ToString(it.Error.Code), Message: aws.ToString(it.Error.Message),
			}))
		}
	}
	return errors.Join(faults...)
}

func findFlowLog(ctx context.Context, c *resource.Cloud, id string) (types.FlowLog, error) {
	out, err := c.EC2.DescribeFlowLogs(ctx, &ec2.DescribeFlowLogsInput{FlowLogIds: []string{id}})
	if err != nil {
		return types.FlowLog{}, err
	}
	return first(out.FlowLogs)
}
