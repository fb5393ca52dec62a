package cloudwatch

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"tapstack/lib/awsprovider/resource"
)

// defaultBus is the event bus that AWS services send to.
const defaultBus = "default"

// EventRuleArgs are the inputs of aws:cloudwatch/eventRule:EventRule.
type EventRuleArgs struct {
	resource.Tagged
	Name               string  `pulumi:"name" aws:"forcenew"`
	EventBusName       *string `pulumi:"eventBusName,optional" aws:"forcenew"`
	Description        *string `pulumi:"description,optional"`
	EventPattern       *string `pulumi:"eventPattern,optional" aws:"json"`
	ScheduleExpression *string `pulumi:"scheduleExpression,optional"`
	RoleArn            *string `pulumi:"roleArn,optional"`
	// State has no default: a rule whose program sets none keeps the state that it has.
	State *string `pulumi:"state,optional" aws:"computed"`
	// IsEnabled is the deprecated form of State; the two exclude each other.
	IsEnabled    *bool `pulumi:"isEnabled,optional" aws:"computed"`
	ForceDestroy *bool `pulumi:"forceDestroy,optional" aws:"writeonly"`
}

// EventRuleState is its state; the id is the rule's name, after "BUS/" on any bus but the default one.
type EventRuleState struct {
	EventRuleArgs
	resource.AllTags
	Arn string `pulumi:"arn"`
}

// patternLimit is the size of an event pattern in characters at the highest quota (EventBridge quotas).
const patternLimit = 4096

var eventRule = resource.Description[EventRuleArgs, EventRuleState]{
	Token: "aws:cloudwatch/eventRule:EventRule",
	Check: checkRule,
	Create: func(ctx context.Context, c *resource.Cloud, a EventRuleArgs) (string, error) {
		if err := putRule(ctx, c, a, ruleState(a, EventRuleArgs{})); err != nil {
			return "", err
		}
		id := ruleID(aws.ToString(a.EventBusName), a.Name)
		return id, resource.PollThere(ctx, "rule "+id+" shows", propagation, func(ctx context.Context) (bool, error) {
			_, err := findRule(ctx, c, id)
			return true, err
		})
	},
	Read: readRule,
	Update: func(ctx context.Context, c *resource.Cloud, _ string, old EventRuleState, a EventRuleArgs) error {
		if err := updateRuleTags(ctx, c, old.Arn, old.Tags, a.Tags); err != nil {
			return err
		}
		if resource.OnlyTagsDiffer(old.EventRuleArgs, a) {
			return nil
		}
		return putRule(ctx, c, a, ruleState(a, old.EventRuleArgs))
	},
	Delete: func(ctx context.Context, c *resource.Cloud, id string, s EventRuleState) error {
		bus, name := splitRuleID(id)
		// Targets that were just removed may still be counted.
		err := resource.Retry(ctx, "rule "+id+" has no targets left", 5*time.Minute, func(err error) bool {
			return resource.Says(err, "ValidationException", "can't be deleted since it has targets")
		}, func(ctx context.Context) error {
			_, err := c.EventBridge.DeleteRule(ctx, &eventbridge.DeleteRuleInput{
				Name: &name, EventBusName: &bus, Force: aws.ToBool(s.ForceDestroy),
			})
			return err
		})
		if err != nil {
			return err
		}
		return resource.PollGone(ctx, "rule "+id, propagation, func(ctx context.Context) error {
			_, err := findRule(ctx, c, id)
			return err
		})
	},
	Example: func(x resource.Scratch) resource.Example[EventRuleArgs] {
		return resource.Example[EventRuleArgs]{
			Inputs: EventRuleArgs{
				Name: x.Name("rule"), Description: aws.String("A deployment failed"),
				EventPattern: aws.String(pattern("SERVICE_DEPLOYMENT_FAILED")),
				Tagged:       resource.Tagged{Tags: map[string]string{"Name": "rule"}},
			},
			Changes: []resource.Change[EventRuleArgs]{
				{Name: "pattern", Apply: func(a *EventRuleArgs) { a.EventPattern = aws.String(pattern("A", "B <&> C")) }},
				{Name: "description", Apply: func(a *EventRuleArgs) { a.Description = nil }},
				{Name: "state", Apply: func(a *EventRuleArgs) { a.State = aws.String("DISABLED") }},
				{Name: "isEnabled", Apply: func(a *EventRuleArgs) { a.State, a.IsEnabled = nil, aws.Bool(true) }},
				{Name: "tags", Apply: func(a *EventRuleArgs) { a.Tags = map[string]string{"More": "yes"} }},
				{Name: "schedule", Apply: func(a *EventRuleArgs) { a.EventPattern, a.ScheduleExpression = nil, aws.String("rate(5 minutes)") }},
			},
		}
	},
}

// checkRule fills in defaults and refuses what cannot go together.
func checkRule(a *EventRuleArgs) []resource.Fault {
	if a.EventBusName == nil {
		a.EventBusName = aws.String(defaultBus)
	}
	if a.ForceDestroy == nil {
		a.ForceDestroy = aws.Bool(false)
	}
	var faults []resource.Fault
	if text := aws.ToString(a.EventPattern); text != "" {
		switch normal, err := normalPattern(text); {
		case err != nil:
			faults = append(faults, resource.Fault{Property: "eventPattern", Reason: "is not JSON: " + err.Error()})
		case len(normal) > patternLimit:
			faults = append(faults, resource.Fault{Property: "eventPattern", Reason: fmt.Sprintf("longer than %d characters", patternLimit)})
		}
	}
	if a.State != nil && a.IsEnabled != nil {
		faults = append(faults, resource.Fault{Property: "isEnabled", Reason: "conflicts with state"})
	}
	if unknownValue(types.RuleState(aws.ToString(a.State))) {
		faults = append(faults, resource.Fault{Property: "state", Reason: "is not one that EventBridge knows"})
	}
	return faults
}

func readRule(ctx context.Context, c *resource.Cloud, id string, prior EventRuleState) (EventRuleState, error) {
	rule, err := findRule(ctx, c, id)
	if err != nil {
		return prior, err
	}
	tags, err := c.EventBridge.ListTagsForResource(ctx, &eventbridge.ListTagsForResourceInput{ResourceARN: rule.Arn})
	if err != nil {
		return prior, fmt.Errorf("listing the tags of rule %s: %w", id, err)
	}
	bus, _ := splitRuleID(id)
	s := EventRuleState{Arn: aws.ToString(rule.Arn), EventRuleArgs: EventRuleArgs{
		Name: aws.ToString(rule.Name), EventBusName: &bus, Description: rule.Description, EventPattern: rule.EventPattern,
		ScheduleExpression: rule.ScheduleExpression, RoleArn: rule.RoleArn, State: resource.Text(rule.State),
		IsEnabled: aws.Bool(rule.State != types.RuleStateDisabled), ForceDestroy: prior.ForceDestroy,
	}}
	s.Tags = resource.TagMap(tags.Tags, func(t types.Tag) (k, v *string) { return t.Key, t.Value })
	s.TagsAll = s.Tags
	return s, nil
}

func findRule(ctx context.Context, c *resource.Cloud, id string) (*eventbridge.DescribeRuleOutput, error) {
	bus, name := splitRuleID(id)
	return c.EventBridge.DescribeRule(ctx, &eventbridge.DescribeRuleInput{Name: &name, EventBusName: &bus})
}

// putRule writes the whole rule; a role that was just made may not be assumable yet.
func putRule(ctx context.Context, c *resource.Cloud, a EventRuleArgs, state types.RuleState) error {
	in := &eventbridge.PutRuleInput{
		Name: &a.Name, EventBusName: a.EventBusName, Description: a.Description, ScheduleExpression: a.ScheduleExpression,
		RoleArn: a.RoleArn, State: state,
		Tags: ruleTags(a.Tags),
	}
	if text := aws.ToString(a.EventPattern); text != "" {
		normal, err := normalPattern(text)
		if err != nil {
			return fmt.Errorf("writing the event pattern of rule %s: %w", a.Name, err)
		}
		in.EventPattern = &normal
	}
	return resource.Retry(ctx, "the role of rule "+a.Name+" can be assumed", propagation, func(err error) bool {
		return resource.Says(err, "ValidationException", "cannot be assumed by principal")
	}, func(ctx context.Context) error {
		_, err := c.EventBridge.PutRule(ctx, in)
		return err
	})
}

// ruleState is what the rule is to become. Whichever of state and isEnabled the program did not set still holds what
// was read before, so the one that changed decides.
func ruleState(a, old EventRuleArgs) types.RuleState {
	enabled := map[bool]types.RuleState{true: types.RuleStateEnabled, false: types.RuleStateDisabled}
	switch {
	case a.IsEnabled != nil && old.IsEnabled != nil && *a.IsEnabled != *old.IsEnabled && aws.ToString(a.State) == aws.ToString(old.State):
		return enabled[*a.IsEnabled]
	case a.State != nil:
		return types.RuleState(*a.State)
	case a.IsEnabled != nil:
		return enabled[*a.IsEnabled]
	}
	return ""
}

// ruleID is the official provider's id of a rule.
func ruleID(bus, name string) string {
	if bus == "" || bus == defaultBus {
		return name
	}
	return bus + "/" + name
}

// splitRuleID takes an id apart at its last slash: rule names have none, bus ARNs and partner buses do.
func splitRuleID(id string) (bus, name string) {
	if i := strings.LastIndex(id, "/"); i >= 0 {
		return id[:i], id[i+1:]
	}
	return defaultBus, id
}

// normalPattern writes a pattern in normal form and with <, > and & as they are, which EventBridge compares literally.
func normalPattern(text string) (string, error) {
	var doc any
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return "", err
	}
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(doc); err != nil {
		return "", err
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

func ruleTags(tags map[string]string) []types.Tag {
	return resource.TagList(tags, func(k, v string) types.Tag { return types.Tag{Key: &k, Value: &v} })
}

func updateRuleTags(ctx context.Context, c *resource.Cloud, arn string, old, now map[string]string) error {
	return resource.UpdateTags(old, now, func(keys []string) (any, error) {
		return c.EventBridge.UntagResource(ctx, &eventbridge.UntagResourceInput{ResourceARN: &arn, TagKeys: keys})
	}, func(tags map[string]string) (any, error) {
		return c.EventBridge.TagResource(ctx, &eventbridge.TagResourceInput{ResourceARN: &arn, Tags: ruleTags(tags)})
	})
}

// pattern is an example's event pattern.
func pattern(names ...string) string {
	return resource.JSON(map[string]any{
		"source": []string{"aws.ecs"}, "detail-type": []string{"ECS Deployment State Change"},
		"detail": map[string]any{"eventName": names},
	})
}
