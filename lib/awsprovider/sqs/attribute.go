package sqs

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tapstack/lib/awsprovider/resource"
)

// PolicyArgs are the inputs of aws:sqs/queuePolicy:QueuePolicy.
type PolicyArgs struct {
	QueueURL string `pulumi:"queueUrl" aws:"forcenew"`
	Policy   string `pulumi:"policy" aws:"policy"`
}

// PolicyState is its state; the id is the queue's URL.
type PolicyState struct{ PolicyArgs }

// RedriveAllowArgs are the inputs of aws:sqs/redriveAllowPolicy:RedriveAllowPolicy.
type RedriveAllowArgs struct {
	QueueURL           string `pulumi:"queueUrl" aws:"forcenew"`
	RedriveAllowPolicy string `pulumi:"redriveAllowPolicy" aws:"json"`
}

// RedriveAllowState is its state; the id is the queue's URL.
type RedriveAllowState struct{ RedriveAllowArgs }

var queuePolicy = resource.Description[PolicyArgs, PolicyState]{
	Token: "aws:sqs/queuePolicy:QueuePolicy",
	Create: func(ctx context.Context, c *resource.Cloud, a PolicyArgs) (string, error) {
		return setDocument(ctx, c, a.QueueURL, types.QueueAttributeNamePolicy, a.Policy)
	},
	Read: func(ctx context.Context, c *resource.Cloud, id string, prior PolicyState) (PolicyState, error) {
		doc, err := document(ctx, c, id, types.QueueAttributeNamePolicy, prior.Policy)
		return PolicyState{PolicyArgs{QueueURL: id, Policy: doc}}, err
	},
	Update: func(ctx context.Context, c *resource.Cloud, id string, _ PolicyState, a PolicyArgs) error {
		_, err := setDocument(ctx, c, id, types.QueueAttributeNamePolicy, a.Policy)
		return err
	},
	Delete: func(ctx context.Context, c *resource.Cloud, id string, _ PolicyState) error {
		return clearDocument(ctx, c, id, types.QueueAttributeNamePolicy)
	},
	Example: func(x resource.Scratch) resource.Example[PolicyArgs] {
		queue := x.Make("aws:sqs/queue:Queue", map[string]any{"name": x.Name("queue")})
		arn := queue.Outputs["arn"].(string)
		return resource.Example[PolicyArgs]{
			Inputs: PolicyArgs{QueueURL: queue.ID, Policy: resource.DenyWithoutTLS("sqs:*", arn)},
			Changes: []resource.Change[PolicyArgs]{
				{Name: "policy", Apply: func(a *PolicyArgs) { a.Policy = resource.DenyWithoutTLS("sqs:SendMessage", arn) }},
			},
		}
	},
}

var redriveAllow = resource.Description[RedriveAllowArgs, RedriveAllowState]{
	Token: "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy",
	Create: func(ctx context.Context, c *resource.Cloud, a RedriveAllowArgs) (string, error) {
		return setDocument(ctx, c, a.QueueURL, types.QueueAttributeNameRedriveAllowPolicy, a.RedriveAllowPolicy)
	},
	Read: func(ctx context.Context, c *resource.Cloud, id string, prior RedriveAllowState) (RedriveAllowState, error) {
		doc, err := document(ctx, c, id, types.QueueAttributeNameRedriveAllowPolicy, prior.RedriveAllowPolicy)
		return RedriveAllowState{RedriveAllowArgs{QueueURL: id, RedriveAllowPolicy: doc}}, err
	},
	Update: func(ctx context.Context, c *resource.Cloud, id string, _ RedriveAllowState, a RedriveAllowArgs) error {
		_, err := setDocument(ctx, c, id, types.QueueAttributeNameRedriveAllowPolicy, a.RedriveAllowPolicy)
		return err
	},
	Delete: func(ctx context.Context, c *resource.Cloud, id string, _ RedriveAllowState) error {
		return clearDocument(ctx, c, id, types.QueueAttributeNameRedriveAllowPolicy)
	},
	Example: func(x resource.Scratch) resource.Example[RedriveAllowArgs] {
		queue := x.Make("aws:sqs/queue:Queue", map[string]any{"name": x.Name("queue")})
		return resource.Example[RedriveAllowArgs]{
			Silent: "the endpoint does not return RedriveAllowPolicy",
			Inputs: RedriveAllowArgs{QueueURL: queue.ID, RedriveAllowPolicy: `{"redrivePermission":"denyAll"}`},
			Changes: []resource.Change[RedriveAllowArgs]{
				{Name: "permission", Apply: func(a *RedriveAllowArgs) { a.RedriveAllowPolicy = `{"redrivePermission":"allowAll"}` }},
			},
		}
	},
}

// setDocument sets one JSON attribute of a queue and returns the id of the resource that stands for it.
func setDocument(ctx context.Context, c *resource.Cloud, url string, name types.QueueAttributeName, doc string) (string, error) {
	attributes := map[string]string{string(name): doc}
	_, err := c.SQS.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: attributes})
	if err != nil {
		return "", err
	}
	return url, awaitAttributes(ctx, c, url, attributes)
}

// document reads one JSON attribute of a queue; an empty one does not exist. An endpoint that does not know the attribute
// leaves what was known.
func document(ctx context.Context, c *resource.Cloud, url string, name types.QueueAttributeName, prior string) (string, error) {
	got, err := getAttributes(ctx, c, url, types.QueueAttributeNameAll)
	if err != nil {
		return "", err
	}
	if got[string(name)] != "" {
		return got[string(name)], nil
	}
	unknown, err := unknownAttribute(ctx, c, url, name)
	if err != nil || unknown {
		return prior, err
	}
	return "", resource.ErrNotFound
}

func clearDocument(ctx context.Context, c *resource.Cloud, url string, name types.QueueAttributeName) error {
	_, err := c.SQS.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{
		QueueUrl: &url, Attributes: map[string]string{string(name): ""},
	})
	if err != nil {
		return err
	}
	return resource.PollGone(ctx, string(name)+" of queue "+url, settle, func(ctx context.Context) error {
		_, err := document(ctx, c, url, name, "")
		if unknown, _ := unknownAttribute(ctx, c, url, name); unknown {
			return resource.ErrNotFound
		}
		return err
	})
}
