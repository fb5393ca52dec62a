package sns

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"tapstack/lib/awsprovider/resource"
	"tapstack/lib/cloud"
)

// SubscriptionArgs are the inputs of aws:sns/topicSubscription:TopicSubscription.
type SubscriptionArgs struct {
	Topic    string `pulumi:"topic" aws:"forcenew"`
	Protocol string `pulumi:"protocol" aws:"forcenew"`
	Endpoint string `pulumi:"endpoint" aws:"forcenew"`
	// EndpointAutoConfirms and ConfirmationTimeoutInMinutes only say whether and how long to wait for an HTTP endpoint.
	EndpointAutoConfirms         *bool   `pulumi:"endpointAutoConfirms,optional" aws:"writeonly"`
	ConfirmationTimeoutInMinutes *int    `pulumi:"confirmationTimeoutInMinutes,optional" aws:"writeonly"`
	RawMessageDelivery           *bool   `pulumi:"rawMessageDelivery,optional"`
	FilterPolicy                 *string `pulumi:"filterPolicy,optional" aws:"json"`
	FilterPolicyScope            *string `pulumi:"filterPolicyScope,optional" aws:"computed"`
	RedrivePolicy                *string `pulumi:"redrivePolicy,optional" aws:"json"`
}

// SubscriptionState is its state; the id is the subscription's ARN, which SNS gives also before confirmation.
type SubscriptionState struct {
	SubscriptionArgs
	Arn                          string `pulumi:"arn"`
	OwnerID                      string `pulumi:"ownerId"`
	ConfirmationWasAuthenticated bool   `pulumi:"confirmationWasAuthenticated"`
	PendingConfirmation          bool   `pulumi:"pendingConfirmation"`
}

// protocols are those that the official provider takes.
var protocols = []string{"application", "email", "email-json", "firehose", "http", "https", "lambda", "sms", "sqs"}

const (
	rawAttribute     = "RawMessageDelivery"
	filterAttribute  = "FilterPolicy"
	scopeAttribute   = "FilterPolicyScope"
	redriveAttribute = "RedrivePolicy"
	pendingAttribute = "PendingConfirmation"

	scopeBody       = "MessageBody"
	scopeAttributes = "MessageAttributes"
)

var topicSubscription = resource.Description[SubscriptionArgs, SubscriptionState]{
	Token: "aws:sns/topicSubscription:TopicSubscription",
	Check: checkSubscription,
	Create: func(ctx context.Context, c *resource.Cloud, a SubscriptionArgs) (string, error) {
		settings := subscriptionSettings(a)
		if settings[rawAttribute] == "false" {
			delete(settings, rawAttribute) // a new subscription is so
		}
		out, err := c.SNS.Subscribe(ctx, &sns.SubscribeInput{
			TopicArn: &a.Topic, Protocol: &a.Protocol, Endpoint: &a.Endpoint, Attributes: settings,
			ReturnSubscriptionArn: true,
		})
		if err != nil {
			return "", err
		}
		return *out.SubscriptionArn, awaitConfirmation(ctx, c, *out.SubscriptionArn, a)
	},
	Read:   readSubscription,
	Update: updateSubscription,
	Delete: func(ctx context.Context, c *resource.Cloud, id string, _ SubscriptionState) error {
		_, err := c.SNS.Unsubscribe(ctx, &sns.UnsubscribeInput{SubscriptionArn: &id})
		// SNS keeps an unconfirmed subscription until its topic goes or 48 hours are over: nothing more can be done.
		if cloud.HasCode(err, invalidParameter) && strings.Contains(err.Error(), "pending confirmation") {
			return nil
		}
		if err != nil {
			return err
		}
		return resource.PollGone(ctx, "subscription "+id, settle, func(ctx context.Context) error {
			_, err := subscriptionAttributes(ctx, c, id)
			return err
		})
	},
	Example: func(x resource.Scratch) resource.Example[SubscriptionArgs] {
		topic := x.Make("aws:sns/topic:Topic", map[string]any{"name": x.Name("alerts")})
		name := x.Name("queue")
		return resource.Example[SubscriptionArgs]{
			Inputs: SubscriptionArgs{
				Topic: topic.ID, Protocol: "sqs", Endpoint: "arn:aws:sqs:us-east-1:123456789012:" + name,
				RawMessageDelivery: aws.Bool(true),
			},
			Changes: []resource.Change[SubscriptionArgs]{
				{Name: "raw delivery", Apply: func(a *SubscriptionArgs) { a.RawMessageDelivery = nil }},
				{Name: "filter on the body", Apply: func(a *SubscriptionArgs) {
					a.FilterPolicy, a.FilterPolicyScope = aws.String(`{"detail":{"kind":["alarm"]}}`), aws.String(scopeBody)
				}},
				{Name: "filter on attributes", Apply: func(a *SubscriptionArgs) {
					a.FilterPolicy, a.FilterPolicyScope = aws.String(`{"kind":["alarm"]}`), aws.String(scopeAttributes)
				}},
				{Name: "no filter", Apply: func(a *SubscriptionArgs) { a.FilterPolicy, a.FilterPolicyScope = nil, nil }},
				{Name: "redrive", Apply: func(a *SubscriptionArgs) {
					a.RedrivePolicy = aws.String(resource.JSON(map[string]any{"deadLetterTargetArn": a.Endpoint + "-dead"}))
				}},
				{Name: "no redrive", Apply: func(a *SubscriptionArgs) { a.RedrivePolicy = nil }},
			},
		}
	},
}

// checkSubscription fills in defaults and refuses what SNS would.
func checkSubscription(a *SubscriptionArgs) []resource.Fault {
	if a.EndpointAutoConfirms == nil {
		a.EndpointAutoConfirms = aws.Bool(false)
	}
	if a.ConfirmationTimeoutInMinutes == nil {
		a.ConfirmationTimeoutInMinutes = aws.Int(1)
	}
	if a.RawMessageDelivery == nil {
		a.RawMessageDelivery = aws.Bool(false)
	}
	var faults []resource.Fault
	if a.Protocol != "" && !slices.Contains(protocols, a.Protocol) {
		faults = append(faults, resource.Fault{Property: "protocol", Reason: fmt.Sprintf("must be one of %v", protocols)})
	}
	if scope := aws.ToString(a.FilterPolicyScope); scope != "" && scope != scopeBody && scope != scopeAttributes {
		faults = append(faults, resource.Fault{
			Property: "filterPolicyScope", Reason: fmt.Sprintf("must be %s or %s", scopeAttributes, scopeBody),
		})
	}
	return faults
}

// awaitConfirmation waits as the official provider does: never for an email, which a person confirms, and for an HTTP
// endpoint only when it is said to confirm by itself.
func awaitConfirmation(ctx context.Context, c *resource.Cloud, arn string, a SubscriptionArgs) error {
	timeout := settle
	switch {
	case strings.HasPrefix(a.Protocol, "email"):
		return nil
	case strings.HasPrefix(a.Protocol, "http"):
		if !aws.ToBool(a.EndpointAutoConfirms) {
			return nil
		}
		timeout = time.Duration(aws.ToInt(a.ConfirmationTimeoutInMinutes)) * time.Minute
	}
	return resource.PollThere(ctx, "subscription "+arn+" is confirmed", timeout, func(ctx context.Context) (bool, error) {
		got, err := subscriptionAttributes(ctx, c, arn)
		return got[pendingAttribute] == "false", err
	})
}

func readSubscription(ctx context.Context, c *resource.Cloud, id string, prior SubscriptionState) (SubscriptionState, error) {
	got, err := subscriptionAttributes(ctx, c, id)
	if err != nil {
		return prior, err
	}
	s := SubscriptionState{
		Arn: got["SubscriptionArn"], OwnerID: got["Owner"],
		ConfirmationWasAuthenticated: got["ConfirmationWasAuthenticated"] == "true",
		PendingConfirmation:          got[pendingAttribute] == "true",
		SubscriptionArgs: SubscriptionArgs{
			Topic: got["TopicArn"], Protocol: got["Protocol"], Endpoint: got["Endpoint"],
			EndpointAutoConfirms: prior.EndpointAutoConfirms, ConfirmationTimeoutInMinutes: prior.ConfirmationTimeoutInMinutes,
			RawMessageDelivery: aws.Bool(got[rawAttribute] == "true"), FilterPolicy: document(got, filterAttribute),
			RedrivePolicy: document(got, redriveAttribute),
		},
	}
	if s.FilterPolicy != nil {
		s.FilterPolicyScope = document(got, scopeAttribute)
	}
	return s, nil
}

func subscriptionAttributes(ctx context.Context, c *resource.Cloud, arn string) (map[string]string, error) {
	out, err := c.SNS.GetSubscriptionAttributes(ctx, &sns.GetSubscriptionAttributesInput{SubscriptionArn: &arn})
	if err != nil {
		return nil, err
	}
	return out.Attributes, nil
}

// updateSubscription sets what differs. The order matters: a filter on the body takes nested policies that one on
// attributes refuses, so the wider scope is set before the policy and the narrower one after it.
func updateSubscription(ctx context.Context, c *resource.Cloud, id string, old SubscriptionState, a SubscriptionArgs) error {
	was, now := subscriptionSettings(old.SubscriptionArgs), subscriptionSettings(a)
	order := []string{rawAttribute, redriveAttribute, filterAttribute, scopeAttribute}
	if now[scopeAttribute] == scopeBody {
		order = []string{scopeAttribute, rawAttribute, redriveAttribute, filterAttribute}
	}
	for _, name := range order {
		if resource.SameJSON(was[name], now[name]) || name == scopeAttribute && now[name] == "" {
			continue
		}
		if err := setSubscriptionAttribute(ctx, c, id, name, now[name]); err != nil {
			return err
		}
	}
	return nil
}

func setSubscriptionAttribute(ctx context.Context, c *resource.Cloud, arn, name, value string) error {
	in := &sns.SetSubscriptionAttributesInput{SubscriptionArn: &arn, AttributeName: &name, AttributeValue: &value}
	switch {
	case name == filterAttribute && value == "":
		in.AttributeValue = aws.String("{}") // SNS removes a filter so, and a redrive policy by no value at all.
	case name == redriveAttribute && value == "":
		in.AttributeValue = nil
	}
	if _, err := c.SNS.SetSubscriptionAttributes(ctx, in); err != nil {
		return fmt.Errorf("setting the attribute %s of subscription %s: %w", name, arn, err)
	}
	return nil
}

// subscriptionSettings is the mutable configuration as the API takes it, without what is empty.
func subscriptionSettings(a SubscriptionArgs) map[string]string {
	m := map[string]string{rawAttribute: strconv.FormatBool(aws.ToBool(a.RawMessageDelivery))}
	for name, value := range map[string]*string{
		filterAttribute: a.FilterPolicy, scopeAttribute: a.FilterPolicyScope, redriveAttribute: a.RedrivePolicy,
	} {
		if aws.ToString(value) != "" {
			m[name] = *value
		}
	}
	return m
}
