package rds

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"tapstack/lib/awsprovider/resource"
)

// EventSubscriptionArgs are the inputs of aws:rds/eventSubscription:EventSubscription.
type EventSubscriptionArgs struct {
	resource.Tagged
	Name            string   `pulumi:"name" aws:"forcenew"`
	SnsTopic        string   `pulumi:"snsTopic"`
	SourceType      *string  `pulumi:"sourceType,optional"`
	SourceIDs       []string `pulumi:"sourceIds,optional" aws:"set"`
	EventCategories []string `pulumi:"eventCategories,optional" aws:"set"`
	Enabled         *bool    `pulumi:"enabled,optional"`
}

// EventSubscriptionState is the state of aws:rds/eventSubscription:EventSubscription; its id is the subscription's name.
type EventSubscriptionState struct {
	EventSubscriptionArgs
	resource.AllTags
	Arn           string `pulumi:"arn"`
	CustomerAwsID string `pulumi:"customerAwsId"`
}

var eventSubscription = resource.Description[EventSubscriptionArgs, EventSubscriptionState]{
	Token: "aws:rds/eventSubscription:EventSubscription",
	Check: func(a *EventSubscriptionArgs) []resource.Fault {
		resource.Default(&a.Enabled, true)
		var sources []string
		for _, s := range types.SourceType("").Values() {
			sources = append(sources, string(s))
		}
		var f faults
		f.match("name", a.Name, nameForm, "must be at most 255 letters, digits and hyphens")
		f.oneOf("sourceType", aws.ToString(a.SourceType), sources)
		return f
	},
	Create: func(ctx context.Context, c *resource.Cloud, a EventSubscriptionArgs) (string, error) {
		_, err := c.RDS.CreateEventSubscription(ctx, &rds.CreateEventSubscriptionInput{
			SubscriptionName: &a.Name, SnsTopicArn: &a.SnsTopic, SourceType: a.SourceType, SourceIds: a.SourceIDs,
			EventCategories: a.EventCategories, Enabled: a.Enabled, Tags: tagList(a.Tags),
		})
		if err != nil {
			return "", err
		}
		return a.Name, awaitSubscription(ctx, c, a.Name)
	},
	Read: func(ctx context.Context, c *resource.Cloud, id string, prior EventSubscriptionState) (EventSubscriptionState, error) {
		got, err := findSubscription(ctx, c, id)
		if err != nil {
			return prior, err
		}
		tags, err := listTags(ctx, c, aws.ToString(got.EventSubscriptionArn))
		if err != nil {
			return prior, err
		}
		s := prior
		s.Arn, s.CustomerAwsID = aws.ToString(got.EventSubscriptionArn), aws.ToString(got.CustomerAwsId)
		s.Name, s.SnsTopic = aws.ToString(got.CustSubscriptionId), aws.ToString(got.SnsTopicArn)
		s.SourceType, s.Enabled = got.SourceType, resource.OrPrior(got.Enabled, prior.Enabled)
		s.SourceIDs = slices.Sorted(slices.Values(got.SourceIdsList))
		s.EventCategories = slices.Sorted(slices.Values(got.EventCategoriesList))
		s.Tags, s.TagsAll = tags, tags
		return s, nil
	},
	Update: updateSubscription,
	Delete: func(ctx context.Context, c *resource.Cloud, id string, _ EventSubscriptionState) error {
		if _, err := c.RDS.DeleteEventSubscription(ctx, &rds.DeleteEventSubscriptionInput{SubscriptionName: &id}); err != nil {
			return err
		}
		return resource.PollGone(ctx, "event subscription "+id, subscriptionTimeout, func(ctx context.Context) error {
			_, err := findSubscription(ctx, c, id)
			return err
		})
	},
	Example: func(x resource.Scratch) resource.Example[EventSubscriptionArgs] {
		topic := x.Make("aws:sns/topic:Topic", map[string]any{"name": x.Name("topic")})
		return resource.Example[EventSubscriptionArgs]{
			Inputs: EventSubscriptionArgs{
				Name: x.Name("events"), SnsTopic: topic.ID, SourceType: aws.String("db-cluster"),
				EventCategories: []string{"failover", "failure"},
				Tagged:          resource.Tagged{Tags: map[string]string{"Name": "events"}},
			},
			Changes: []resource.Change[EventSubscriptionArgs]{
				{Name: "tags", Apply: func(a *EventSubscriptionArgs) { a.Tags = map[string]string{"More": "yes"} }},
			},
		}
	},
}

func updateSubscription(ctx context.Context, c *resource.Cloud, id string, old EventSubscriptionState, a EventSubscriptionArgs) error {
	categories := !sameSet(old.EventCategories, a.EventCategories)
	if categories || !resource.Same(old.Enabled, a.Enabled) || !resource.Same(old.SourceType, a.SourceType) || old.SnsTopic != a.SnsTopic {
		in := &rds.ModifyEventSubscriptionInput{SubscriptionName: &id, Enabled: a.Enabled, SnsTopicArn: &a.SnsTopic}
		in.SourceType = differs(old.SourceType, a.SourceType)
		if categories {
			in.EventCategories, in.SourceType = a.EventCategories, a.SourceType
		}
		if _, err := c.RDS.ModifyEventSubscription(ctx, in); err != nil {
			return err
		}
		if err := awaitSubscription(ctx, c, id); err != nil {
			return err
		}
	}
	for _, source := range without(old.SourceIDs, a.SourceIDs) {
		_, err := c.RDS.RemoveSourceIdentifierFromSubscription(ctx, &rds.RemoveSourceIdentifierFromSubscriptionInput{
			SubscriptionName: &id, SourceIdentifier: aws.String(source),
		})
		if err != nil {
			return fmt.Errorf("removing the source %s: %w", source, err)
		}
	}
	for _, source := range without(a.SourceIDs, old.SourceIDs) {
		_, err := c.RDS.AddSourceIdentifierToSubscription(ctx, &rds.AddSourceIdentifierToSubscriptionInput{
			SubscriptionName: &id, SourceIdentifier: aws.String(source),
		})
		if err != nil {
			return fmt.Errorf("adding the source %s: %w", source, err)
		}
	}
	return updateTags(ctx, c, old.Arn, old.Tags, a.Tags)
}

func findSubscription(ctx context.Context, c *resource.Cloud, name string) (types.EventSubscription, error) {
	out, err := c.RDS.DescribeEventSubscriptions(ctx, &rds.DescribeEventSubscriptionsInput{SubscriptionName: &name})
	if err != nil {
		return types.EventSubscription{}, err
	}
	for _, s := range out.EventSubscriptionsList {
		if aws.ToString(s.CustSubscriptionId) == name {
			return s, nil
		}
	}
	return types.EventSubscription{}, resource.ErrNotFound
}

func awaitSubscription(ctx context.Context, c *resource.Cloud, name string) error {
	return resource.PollThere(ctx, "event subscription "+name+" is active", subscriptionTimeout, func(ctx context.Context) (bool, error) {
		got, err := findSubscription(ctx, c, name)
		switch status := aws.ToString(got.Status); status {
		case "no-permission", "topic-not-exist":
			return false, fmt.Errorf("its status is %q", status)
		default:
			return status == "active", err
		}
	})
}
