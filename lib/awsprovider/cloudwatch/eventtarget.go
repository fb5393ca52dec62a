package cloudwatch

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"tapstack/lib/awsprovider/resource"
)

// EventTargetArgs are the inputs of aws:cloudwatch/eventTarget:EventTarget.
type EventTargetArgs struct {
	Rule             string            `pulumi:"rule" aws:"forcenew"`
	TargetID         string            `pulumi:"targetId" aws:"forcenew"`
	EventBusName     *string           `pulumi:"eventBusName,optional" aws:"forcenew"`
	Arn              string            `pulumi:"arn"`
	RoleArn          *string           `pulumi:"roleArn,optional"`
	Input            *string           `pulumi:"input,optional"`
	InputPath        *string           `pulumi:"inputPath,optional"`
	InputTransformer *InputTransformer `pulumi:"inputTransformer,optional"`
	DeadLetterConfig *DeadLetterConfig `pulumi:"deadLetterConfig,optional"`
	ForceDestroy     *bool             `pulumi:"forceDestroy,optional" aws:"writeonly"`
}

// InputTransformer makes the text that the target receives out of parts of the event.
type InputTransformer struct {
	InputPaths    map[string]string `pulumi:"inputPaths,optional"`
	InputTemplate string            `pulumi:"inputTemplate"`
}

// DeadLetterConfig names the queue for events that could not be delivered.
type DeadLetterConfig struct {
	Arn *string `pulumi:"arn,optional"`
}

// EventTargetState is its state; the id is "RULE-TARGETID", after "BUS-" on any bus but the default one.
type EventTargetState struct{ EventTargetArgs }

var eventTarget = resource.Description[EventTargetArgs, EventTargetState]{
	Token: "aws:cloudwatch/eventTarget:EventTarget",
	Check: func(a *EventTargetArgs) []resource.Fault {
		if a.EventBusName == nil {
			a.EventBusName = aws.String(defaultBus)
		}
		if a.ForceDestroy == nil {
			a.ForceDestroy = aws.Bool(false)
		}
		forms := 0
		for _, set := range []bool{a.Input != nil, a.InputPath != nil, a.InputTransformer != nil} {
			if set {
				forms++
			}
		}
		if forms > 1 {
			return []resource.Fault{{Property: "input", Reason: "input, inputPath and inputTransformer exclude each other"}}
		}
		return nil
	},
	Create: func(ctx context.Context, c *resource.Cloud, a EventTargetArgs) (string, error) {
		if err := putTarget(ctx, c, a); err != nil {
			return "", err
		}
		return targetID(a), nil
	},
	Read: func(ctx context.Context, c *resource.Cloud, _ string, prior EventTargetState) (EventTargetState, error) {
		target, err := findTarget(ctx, c, prior.EventTargetArgs)
		if err != nil {
			return prior, err
		}
		s := EventTargetState{EventTargetArgs{
			Rule: prior.Rule, TargetID: aws.ToString(target.Id), EventBusName: prior.EventBusName, Arn: aws.ToString(target.Arn),
			RoleArn: target.RoleArn, Input: target.Input, InputPath: target.InputPath, ForceDestroy: prior.ForceDestroy,
		}}
		if t := target.InputTransformer; t != nil {
			s.InputTransformer = &InputTransformer{InputPaths: t.InputPathsMap, InputTemplate: aws.ToString(t.InputTemplate)}
		}
		if d := target.DeadLetterConfig; d != nil {
			s.DeadLetterConfig = &DeadLetterConfig{Arn: d.Arn}
		}
		return s, nil
	},
	Update: func(ctx context.Context, c *resource.Cloud, _ string, _ EventTargetState, a EventTargetArgs) error {
		return putTarget(ctx, c, a)
	},
	Delete: func(ctx context.Context, c *resource.Cloud, _ string, s EventTargetState) error {
		out, err := c.EventBridge.RemoveTargets(ctx, &eventbridge.RemoveTargetsInput{
			Rule: &s.Rule, EventBusName: s.EventBusName, Ids: []string{s.TargetID}, Force: aws.ToBool(s.ForceDestroy),
		})
		if err != nil {
			return err
		}
		var faults []error
		for _, f := range out.FailedEntries {
			if code := aws.ToString(f.ErrorCode); code != "ResourceNotFoundException" {
				faults = append(faults, fmt.Errorf("removing target %s: %s: %s", aws.ToString(f.TargetId), code, aws.ToString(f.ErrorMessage)))
			}
		}
		return errors.Join(faults...)
	},
	Example: func(x resource.Scratch) resource.Example[EventTargetArgs] {
		rule := x.Make("aws:cloudwatch/eventRule:EventRule", map[string]any{
			"name": x.Name("rule"), "eventPattern": pattern("SERVICE_DEPLOYMENT_FAILED"),
		})
		topic := "arn:aws:sns:us-east-1:123456789012:" + x.Name("topic")
		return resource.Example[EventTargetArgs]{
			Inputs: EventTargetArgs{Rule: rule.ID, TargetID: "alerts", Arn: topic},
			Changes: []resource.Change[EventTargetArgs]{
				{Name: "arn", Apply: func(a *EventTargetArgs) { a.Arn = topic + "-2" }},
				{Name: "input", Apply: func(a *EventTargetArgs) { a.Input = aws.String(`{"text":"failed"}`) }},
				{Name: "input path", Apply: func(a *EventTargetArgs) { a.Input, a.InputPath = nil, aws.String("$.detail") }},
				{Name: "input transformer", Apply: func(a *EventTargetArgs) {
					a.InputPath, a.InputTransformer = nil, &InputTransformer{
						InputPaths: map[string]string{"reason": "$.detail.reason"}, InputTemplate: `"failed: <reason>"`,
					}
				}},
				{Name: "dead-letter queue", Apply: func(a *EventTargetArgs) {
					a.DeadLetterConfig = &DeadLetterConfig{Arn: aws.String("arn:aws:sqs:us-east-1:123456789012:dead")}
				}},
			},
		}
	},
}

func putTarget(ctx context.Context, c *resource.Cloud, a EventTargetArgs) error {
	target := types.Target{Id: &a.TargetID, Arn: &a.Arn, RoleArn: a.RoleArn, Input: a.Input, InputPath: a.InputPath}
	if t := a.InputTransformer; t != nil {
		target.InputTransformer = &types.InputTransformer{InputPathsMap: t.InputPaths, InputTemplate: &t.InputTemplate}
	}
	if d := a.DeadLetterConfig; d != nil {
		target.DeadLetterConfig = &types.DeadLetterConfig{Arn: d.Arn}
	}
	out, err := c.EventBridge.PutTargets(ctx, &eventbridge.PutTargetsInput{
		Rule: &a.Rule, EventBusName: a.EventBusName, Targets: []types.Target{target},
	})
	if err != nil {
		return err
	}
	var faults []error
	for _, f := range out.FailedEntries {
		faults = append(faults, fmt.Errorf("putting target %s: %s: %s",
			aws.ToString(f.TargetId), aws.ToString(f.ErrorCode), aws.ToString(f.ErrorMessage)))
	}
	return errors.Join(faults...)
}

func findTarget(ctx context.Context, c *resource.Cloud, a EventTargetArgs) (types.Target, error) {
	in := &eventbridge.ListTargetsByRuleInput{Rule: &a.Rule, EventBusName: a.EventBusName}
	for {
		out, err := c.EventBridge.ListTargetsByRule(ctx, in)
		if err != nil {
			return types.Target{}, err
		}
		for _, target := range out.Targets {
			if aws.ToString(target.Id) == a.TargetID {
				return target, nil
			}
		}
		if aws.ToString(out.NextToken) == "" {
			return types.Target{}, resource.ErrNotFound
		}
		in.NextToken = out.NextToken
	}
}

// targetID is the official provider's id of a target.
func targetID(a EventTargetArgs) string {
	id := a.Rule + "-" + a.TargetID
	if bus := aws.ToString(a.EventBusName); bus != "" && bus != defaultBus {
		return bus + "-" + id
	}
	return id
}
