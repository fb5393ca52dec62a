package lb

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"tapstack/lib/awsprovider/resource"
)

// ruleTimeout is how long a rule may take to show itself.
const ruleTimeout = 5 * time.Minute

// ListenerRuleArgs are the inputs of aws:lb/listenerRule:ListenerRule.
type ListenerRuleArgs struct {
	resource.Tagged
	ListenerArn string      `pulumi:"listenerArn" aws:"forcenew"`
	Priority    *int        `pulumi:"priority,optional" aws:"computed"`
	Conditions  []condition `pulumi:"conditions" aws:"set"`
	Actions     []action    `pulumi:"actions"`
}

// ListenerRuleState is the state of aws:lb/listenerRule:ListenerRule; its id is the ARN.
type ListenerRuleState struct {
	ListenerRuleArgs
	resource.AllTags
	Arn string `pulumi:"arn"`
}

var listenerRule = resource.Description[ListenerRuleArgs, ListenerRuleState]{
	Token: "aws:lb/listenerRule:ListenerRule",
	Check: func(a *ListenerRuleArgs) []resource.Fault {
		return append(checkActions("actions", a.Actions), outside("priority", a.Priority, 1, 50000)...)
	},
	Create: createRule,
	Read:   readRule,
	Update: updateRule,
	Delete: func(ctx context.Context, c *resource.Cloud, arn string, _ ListenerRuleState) error {
		if _, err := c.ELB.DeleteRule(ctx, &elb.DeleteRuleInput{RuleArn: &arn}); err != nil {
			return err
		}
		return resource.PollGone(ctx, "listener rule "+arn, ruleTimeout, func(ctx context.Context) error {
			_, err := findRule(ctx, c, arn)
			return err
		})
	},
	Example: func(x resource.Scratch) resource.Example[ListenerRuleArgs] {
		n := makeNetwork(x)
		one, two := n.targetGroup(x), n.targetGroup(x)
		on := x.Make("aws:lb/listener:Listener", map[string]any{
			"loadBalancerArn": n.loadBalancer(x), "port": 80, "protocol": "HTTP",
			"defaultActions": []any{map[string]any{
				"type": "fixed-response", "fixedResponse": map[string]any{"contentType": "text/plain", "statusCode": "404"},
			}},
		})
		return resource.Example[ListenerRuleArgs]{
			Inputs: ListenerRuleArgs{
				ListenerArn: on.ID, Priority: aws.Int(10),
				Conditions: []condition{{PathPattern: &patterns{Values: []string{"/api/*", "/api"}}}},
				Actions:    []action{{Type: "forward", TargetGroupArn: &one}},
				Tagged:     resource.Tagged{Tags: map[string]string{"Name": "rule"}},
			},
			Changes: []resource.Change[ListenerRuleArgs]{
				{Name: "priority", Apply: func(a *ListenerRuleArgs) { a.Priority = aws.Int(20) }},
				{Name: "path", Apply: func(a *ListenerRuleArgs) {
					a.Conditions = []condition{{PathPattern: &patterns{Values: []string{"/health"}}}}
				}},
				{Name: "weights", Apply: func(a *ListenerRuleArgs) {
					a.Actions = []action{{Type: "forward", Forward: &forward{TargetGroups: []weightedGroup{
						{Arn: two, Weight: aws.Int(50)}, {Arn: one, Weight: aws.Int(50)},
					}}}}
				}},
				{Name: "stickiness", Apply: func(a *ListenerRuleArgs) {
					a.Actions[0].Forward.Stickiness = &stickiness{Duration: 600, Enabled: aws.Bool(true)}
				}},
				{Name: "other conditions", Apply: func(a *ListenerRuleArgs) {
					a.Conditions = []condition{
						{HostHeader: &patterns{Values: []string{"api.example.com"}}},
						{HTTPHeader: &header{HTTPHeaderName: "X-Merchant", Values: []string{"gold", "silver"}}},
						{HTTPRequestMethod: &patterns{Values: []string{"GET"}}},
						{QueryStrings: []keyValue{{Key: aws.String("v"), Value: "2"}}},
						{SourceIP: &patterns{Values: []string{"10.0.0.0/8"}}},
					}
				}},
				{Name: "tags", Apply: func(a *ListenerRuleArgs) { a.Tags = map[string]string{"Name": "other", "More": "yes"} }},
			},
		}
	},
}

func createRule(ctx context.Context, c *resource.Cloud, a ListenerRuleArgs) (string, error) {
	in := &elb.CreateRuleInput{
		ListenerArn: &a.ListenerArn, Priority: resource.Int32(a.Priority), Conditions: expandConditions(a.Conditions),
		Actions: expandActions(a.Actions), Tags: tagList(a.Tags),
	}
	var out *elb.CreateRuleOutput
	create := func(ctx context.Context) (err error) {
		if a.Priority == nil {
			next, err := nextPriority(ctx, c, a.ListenerArn)
			if err != nil {
				return err
			}
			in.Priority = resource.Int32(&next)
		}
		out, err = c.ELB.CreateRule(ctx, in)
		return err
	}
	var err error
	if a.Priority == nil { // another rule may take the same next place at the same time
		err = resource.RetryOn(ctx, "a listener rule finds a free priority", ruleTimeout, create, "PriorityInUse")
	} else {
		err = create(ctx)
	}
	if err != nil {
		return "", err
	}
	if len(out.Rules) == 0 {
		return "", errors.New("the API returned no rule")
	}
	arn := aws.ToString(out.Rules[0].RuleArn)
	return arn, resource.PollThere(ctx, "listener rule "+arn+" is there", ruleTimeout, func(ctx context.Context) (bool, error) {
		_, err := findRule(ctx, c, arn)
		return err == nil, err
	})
}

// nextPriority is one more than the highest of the listener's rules.
func nextPriority(ctx context.Context, c *resource.Cloud, listenerArn string) (int, error) {
	highest := 0
	pages := elb.NewDescribeRulesPaginator(c.ELB, &elb.DescribeRulesInput{ListenerArn: &listenerArn})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return 0, fmt.Errorf("listing the rules of %s: %w", listenerArn, err)
		}
		for _, r := range page.Rules {
			if n, err := strconv.Atoi(aws.ToString(r.Priority)); err == nil { // the default rule's is "default"
				highest = max(highest, n)
			}
		}
	}
	return highest + 1, nil
}

func readRule(ctx context.Context, c *resource.Cloud, arn string, prior ListenerRuleState) (ListenerRuleState, error) {
	found, err := findRule(ctx, c, arn)
	if err != nil {
		return prior, err
	}
	tags, err := readTags(ctx, c, arn)
	if err != nil {
		return prior, err
	}
	priority, err := strconv.Atoi(aws.ToString(found.Priority))
	if err != nil {
		return prior, fmt.Errorf("reading the priority: %w", err)
	}
	s := prior
	s.Arn, s.ListenerArn, s.Priority = arn, listenerOf(arn), &priority
	s.Conditions = readConditions(found.Conditions)
	s.Actions = readActions(found.Actions, prior.Actions)
	s.Tags, s.TagsAll = tags, tags
	return s, nil
}

func updateRule(ctx context.Context, c *resource.Cloud, arn string, old ListenerRuleState, a ListenerRuleArgs) error {
	if !same(a.Priority, old.Priority) {
		in := &elb.SetRulePrioritiesInput{RulePriorities: []types.RulePriorityPair{{RuleArn: &arn, Priority: resource.Int32(a.Priority)}}}
		if _, err := c.ELB.SetRulePriorities(ctx, in); err != nil {
			return fmt.Errorf("setting the priority: %w", err)
		}
	}
	in := &elb.ModifyRuleInput{RuleArn: &arn}
	if want := expandActions(a.Actions); !reflect.DeepEqual(want, expandActions(old.Actions)) {
		in.Actions = want
	}
	if want := expandConditions(a.Conditions); !reflect.DeepEqual(want, expandConditions(old.Conditions)) {
		in.Conditions = want
	}
	if in.Actions != nil || in.Conditions != nil {
		if _, err := c.ELB.ModifyRule(ctx, in); err != nil {
			return fmt.Errorf("modifying the rule: %w", err)
		}
	}
	return updateTags(ctx, c, arn, old.Tags, a.Tags)
}

// listenerOf is the ARN of the listener that a rule's ARN names: …:listener-rule/app/NAME/ID/LISTENER/RULE.
func listenerOf(ruleArn string) string {
	listenerArn := strings.Replace(ruleArn, ":listener-rule/", ":listener/", 1)
	return listenerArn[:max(0, strings.LastIndex(listenerArn, "/"))]
}

func findRule(ctx context.Context, c *resource.Cloud, arn string) (*types.Rule, error) {
	out, err := c.ELB.DescribeRules(ctx, &elb.DescribeRulesInput{RuleArns: []string{arn}})
	if err != nil {
		return nil, err
	}
	for i := range out.Rules {
		if aws.ToString(out.Rules[i].RuleArn) == arn {
			return &out.Rules[i], nil
		}
	}
	return nil, resource.ErrNotFound
}
