package wafv2

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/wafv2"
	"github.com/aws/aws-sdk-go-v2/service/wafv2/types"

	"tapstack/lib/awsprovider/resource"
)

// WebACLArgs are the inputs of aws:wafv2/webAcl:WebAcl.
type WebACLArgs struct {
	resource.Tagged
	Name             string        `pulumi:"name" aws:"forcenew"`
	Scope            string        `pulumi:"scope" aws:"forcenew"`
	Description      *string       `pulumi:"description,optional"`
	DefaultAction    defaultAction `pulumi:"defaultAction"`
	Rules            []rule        `pulumi:"rules,optional" aws:"set"`
	VisibilityConfig visibility    `pulumi:"visibilityConfig"`
}

// WebACLState is the state of aws:wafv2/webAcl:WebAcl; its id is the web ACL's.
type WebACLState struct {
	WebACLArgs
	resource.AllTags
	Arn       string `pulumi:"arn"`
	Capacity  int    `pulumi:"capacity"`
	LockToken string `pulumi:"lockToken"`
}

var webACL = resource.Description[WebACLArgs, WebACLState]{
	Token:  "aws:wafv2/webAcl:WebAcl",
	Check:  checkWebACL,
	Create: createWebACL,
	Read:   readWebACL,
	Update: updateWebACL,
	Delete: deleteWebACL,
	Example: func(x resource.Scratch) resource.Example[WebACLArgs] {
		return resource.Example[WebACLArgs]{
			Inputs: WebACLArgs{
				Name: x.Name("waf"), Scope: "REGIONAL", Description: aws.String("conformance"),
				DefaultAction: defaultAction{Allow: &none{}}, VisibilityConfig: watched("waf"),
				Rules: []rule{
					{
						Name: "common", Priority: 10, OverrideAction: &overrideAction{None: &none{}}, VisibilityConfig: watched("common"),
						Statement: statement{ManagedRuleGroupStatement: &managedRuleGroup{Name: "AWSManagedRulesCommonRuleSet", VendorName: "AWS"}},
					},
					{
						Name: "rate", Priority: 20, Action: &ruleAction{Block: &none{}}, VisibilityConfig: watched("rate"),
						Statement: statement{RateBasedStatement: &rateBased{Limit: 2000, AggregateKeyType: aws.String("IP")}},
					},
				},
				Tagged: resource.Tagged{Tags: map[string]string{"Name": "waf"}},
			},
			Changes: []resource.Change[WebACLArgs]{
				{Name: "rate limit", Apply: func(a *WebACLArgs) {
					a.Rules[1].Statement.RateBasedStatement.Limit = 500
					a.Rules[1].Action = &ruleAction{Count: &none{}}
				}},
				{Name: "override", Apply: func(a *WebACLArgs) { a.Rules[0].OverrideAction = &overrideAction{Count: &none{}} }},
				{Name: "one rule of a group", Apply: func(a *WebACLArgs) {
					a.Rules[0].Statement.ManagedRuleGroupStatement.RuleActionOverrides = []ruleActionOverride{
						{Name: "NoUserAgent_HEADER", ActionToUse: ruleAction{Count: &none{}}},
					}
				}},
				{Name: "fewer rules", Apply: func(a *WebACLArgs) { a.Rules = a.Rules[1:] }},
				{Name: "default action", Apply: func(a *WebACLArgs) { a.DefaultAction = defaultAction{Block: &none{}} }},
				{Name: "description", Apply: func(a *WebACLArgs) { a.Description = aws.String("something else") }},
				{Name: "metrics", Apply: func(a *WebACLArgs) { a.VisibilityConfig.SampledRequestsEnabled = false }},
				{Name: "tags", Apply: func(a *WebACLArgs) { a.Tags = map[string]string{"Name": "other", "More": "yes"} }},
			},
		}
	},
}

func checkWebACL(a *WebACLArgs) []resource.Fault {
	for i := range a.Rules {
		if r := a.Rules[i].Statement.RateBasedStatement; r != nil {
			if r.AggregateKeyType == nil {
				r.AggregateKeyType = aws.String(aggregateByIP)
			}
			if r.EvaluationWindowSec == nil {
				r.EvaluationWindowSec = aws.Int(evaluationSeconds)
			}
		}
	}
	switch a.Scope {
	case "", "REGIONAL", "CLOUDFRONT":
		return nil
	}
	return []resource.Fault{{Property: "scope", Reason: fmt.Sprintf("must be REGIONAL or CLOUDFRONT, not %q", a.Scope)}}
}

func createWebACL(ctx context.Context, c *resource.Cloud, a WebACLArgs) (string, error) {
	in := &wafv2.CreateWebACLInput{
		Name: &a.Name, Scope: types.Scope(a.Scope), Description: described(a), DefaultAction: expandDefault(a.DefaultAction),
		Rules: expandRules(a.Rules), VisibilityConfig: expandVisibility(a.VisibilityConfig), Tags: tagList(a.Tags),
	}
	var out *wafv2.CreateWebACLOutput
	err := resource.RetryOn(ctx, "web ACL "+a.Name+" can be created", timeout, func(ctx context.Context) (err error) {
		out, err = c.WAF.CreateWebACL(ctx, in)
		return err
	}, unavailable)
	if err != nil {
		return "", err
	}
	if out.Summary == nil {
		return "", fmt.Errorf("the API returned no summary of web ACL %s", a.Name)
	}
	id := aws.ToString(out.Summary.Id)
	return id, resource.PollThere(ctx, "web ACL "+a.Name+" is there", timeout, func(ctx context.Context) (bool, error) {
		_, err := findWebACL(ctx, c, id, a)
		return err == nil, err
	})
}

func readWebACL(ctx context.Context, c *resource.Cloud, id string, prior WebACLState) (WebACLState, error) {
	out, err := findWebACL(ctx, c, id, prior.WebACLArgs)
	if err != nil {
		return prior, err
	}
	tags, err := readTags(ctx, c, aws.ToString(out.WebACL.ARN))
	if err != nil {
		return prior, err
	}
	s := prior
	s.Arn, s.Capacity, s.Name = aws.ToString(out.WebACL.ARN), int(out.WebACL.Capacity), aws.ToString(out.WebACL.Name)
	s.LockToken, s.Description = aws.ToString(out.LockToken), nil
	if text := aws.ToString(out.WebACL.Description); text != "" {
		s.Description = &text
	}
	s.DefaultAction, s.Rules = readDefault(out.WebACL.DefaultAction), readRules(out.WebACL.Rules)
	s.VisibilityConfig = readVisibility(out.WebACL.VisibilityConfig)
	s.Tags, s.TagsAll = tags, tags
	return s, nil
}

// updateWebACL sends the whole web ACL, as the API wants it, with the rules that Shield may have added meanwhile.
func updateWebACL(ctx context.Context, c *resource.Cloud, id string, old WebACLState, a WebACLArgs) error {
	if resource.OnlyTagsDiffer(old.WebACLArgs, a) {
		return updateTags(ctx, c, old.Arn, old.Tags, a.Tags)
	}
	err := locked(ctx, c, id, old.WebACLArgs, func(ctx context.Context, now *wafv2.GetWebACLOutput) error {
		rules := expandRules(a.Rules)
		for _, r := range now.WebACL.Rules {
			if shieldRule.MatchString(aws.ToString(r.Name)) {
				rules = append(rules, r)
			}
		}
		_, err := c.WAF.UpdateWebACL(ctx, &wafv2.UpdateWebACLInput{
			Id: &id, Name: &a.Name, Scope: types.Scope(a.Scope), LockToken: now.LockToken, Description: described(a),
			DefaultAction: expandDefault(a.DefaultAction), Rules: rules, VisibilityConfig: expandVisibility(a.VisibilityConfig),
		})
		return err
	})
	if err != nil {
		return err
	}
	return updateTags(ctx, c, old.Arn, old.Tags, a.Tags)
}

func deleteWebACL(ctx context.Context, c *resource.Cloud, id string, s WebACLState) error {
	err := locked(ctx, c, id, s.WebACLArgs, func(ctx context.Context, now *wafv2.GetWebACLOutput) error {
		_, err := c.WAF.DeleteWebACL(ctx, &wafv2.DeleteWebACLInput{
			Id: &id, Name: &s.Name, Scope: types.Scope(s.Scope), LockToken: now.LockToken,
		})
		return err
	})
	if err != nil {
		return err
	}
	return resource.PollGone(ctx, "web ACL "+s.Name, timeout, func(ctx context.Context) error {
		_, err := findWebACL(ctx, c, id, s.WebACLArgs)
		return err
	})
}

// locked makes a change under the web ACL's lock token, and again with a new one when somebody else was faster.
func locked(ctx context.Context, c *resource.Cloud, id string, a WebACLArgs, change func(context.Context, *wafv2.GetWebACLOutput) error) error {
	return resource.RetryOn(ctx, "web ACL "+a.Name+" can be changed", timeout, func(ctx context.Context) error {
		now, err := findWebACL(ctx, c, id, a)
		if err != nil {
			return err
		}
		return change(ctx, now)
	}, unavailable, associated, lockLost)
}

func findWebACL(ctx context.Context, c *resource.Cloud, id string, a WebACLArgs) (*wafv2.GetWebACLOutput, error) {
	out, err := c.WAF.GetWebACL(ctx, &wafv2.GetWebACLInput{Id: &id, Name: &a.Name, Scope: types.Scope(a.Scope)})
	if err != nil {
		return nil, err
	}
	if out.WebACL == nil {
		return nil, resource.ErrNotFound
	}
	return out, nil
}

// described is the description, or nil: the API refuses an empty one.
func described(a WebACLArgs) *string {
	if aws.ToString(a.Description) == "" {
		return nil
	}
	return a.Description
}

// watched is an example's metrics.
func watched(metric string) visibility {
	return visibility{CloudwatchMetricsEnabled: true, MetricName: metric, SampledRequestsEnabled: true}
}
