package sns

import (
	"context"
	"strings"

	"tapstack/lib/awsprovider/resource"
)

// TopicPolicyArgs are the inputs of aws:sns/topicPolicy:TopicPolicy.
type TopicPolicyArgs struct {
	Arn    string `pulumi:"arn" aws:"forcenew"`
	Policy string `pulumi:"policy" aws:"policy"`
}

// TopicPolicyState is its state; the id is the topic's ARN.
type TopicPolicyState struct {
	TopicPolicyArgs
	Owner string `pulumi:"owner"`
}

const policyAttribute = "Policy"

var topicPolicy = resource.Description[TopicPolicyArgs, TopicPolicyState]{
	Token: "aws:sns/topicPolicy:TopicPolicy",
	Create: func(ctx context.Context, c *resource.Cloud, a TopicPolicyArgs) (string, error) {
		if err := setTopicAttribute(ctx, c, a.Arn, policyAttribute, a.Policy); err != nil {
			return "", err
		}
		return a.Arn, nil
	},
	Read: func(ctx context.Context, c *resource.Cloud, id string, prior TopicPolicyState) (TopicPolicyState, error) {
		got, err := topicAttributes(ctx, c, id)
		if err != nil {
			return prior, err
		}
		if got[policyAttribute] == "" {
			return prior, resource.ErrNotFound
		}
		return TopicPolicyState{
			TopicPolicyArgs: TopicPolicyArgs{Arn: got["TopicArn"], Policy: got[policyAttribute]}, Owner: got["Owner"],
		}, nil
	},
	Update: func(ctx context.Context, c *resource.Cloud, id string, _ TopicPolicyState, a TopicPolicyArgs) error {
		return setTopicAttribute(ctx, c, id, policyAttribute, a.Policy)
	},
	// SNS cannot remove a topic's policy, so the one that every topic begins with comes back.
	Delete: func(ctx context.Context, c *resource.Cloud, id string, s TopicPolicyState) error {
		return setTopicAttribute(ctx, c, id, policyAttribute, initialPolicy(id, s.Owner))
	},
	Example: func(x resource.Scratch) resource.Example[TopicPolicyArgs] {
		topic := x.Make("aws:sns/topic:Topic", map[string]any{"name": x.Name("alerts")})
		return resource.Example[TopicPolicyArgs]{
			Silent: "a topic always has a policy: deleting one restores the policy that the topic began with",
			Inputs: TopicPolicyArgs{Arn: topic.ID, Policy: allowPublish(topic.ID, "cloudwatch.amazonaws.com")},
			Changes: []resource.Change[TopicPolicyArgs]{
				{Name: "policy", Apply: func(a *TopicPolicyArgs) { a.Policy = allowPublish(topic.ID, "events.amazonaws.com") }},
			},
		}
	},
}

// initialPolicy is the policy of a new topic: everything, for the account that owns it (SNS developer guide, "default
// policy").
func initialPolicy(arn, owner string) string {
	return resource.JSON(map[string]any{
		"Version": "2008-10-17", "Id": "__default_policy_ID",
		"Statement": []map[string]any{{
			"Sid": "__default_statement_ID", "Effect": "Allow", "Principal": map[string]any{"AWS": "*"}, "Resource": arn,
			"Action": []string{
				"SNS:GetTopicAttributes", "SNS:SetTopicAttributes", "SNS:AddPermission", "SNS:RemovePermission",
				"SNS:DeleteTopic", "SNS:Subscribe", "SNS:ListSubscriptionsByTopic", "SNS:Publish", "SNS:Receive",
			},
			"Condition": map[string]any{"StringEquals": map[string]any{"AWS:SourceOwner": owner}},
		}},
	})
}

// allowPublish is an example's policy.
func allowPublish(arn, service string) string {
	return resource.JSON(map[string]any{
		"Version": "2012-10-17",
		"Statement": []map[string]any{{
			"Sid": "Publish", "Effect": "Allow", "Principal": map[string]any{"Service": service}, "Action": "sns:Publish",
			"Resource": arn,
		}},
	})
}

// nameOf is the last part of an ARN.
func nameOf(arn string) string { return arn[strings.LastIndex(arn, ":")+1:] }
