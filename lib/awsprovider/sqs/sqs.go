// Package sqs implements the aws:sqs types: queues, their policies and the permission to use one as a dead-letter
// queue. Reference: the SQS API and the aws_sqs_* resources of the Terraform AWS provider 5.x.
package sqs

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tapstack/lib/awsprovider/resource"
	"tapstack/lib/cloud"
)

// settle is how long SQS may take to show a change everywhere: "up to 60 seconds" for most attributes (SQS API
// reference, SetQueueAttributes).
const settle = 3 * time.Minute

// Resources lists the types of this package.
func Resources() []resource.Resource {
	return []resource.Resource{
		resource.Define(queue),
		resource.Define(queuePolicy),
		resource.Define(redriveAllow),
	}
}

// QueueArgs are the inputs of aws:sqs/queue:Queue.
type QueueArgs struct {
	resource.Tagged
	Name                     string  `pulumi:"name" aws:"forcenew"`
	MessageRetentionSeconds  *int    `pulumi:"messageRetentionSeconds,optional"`
	VisibilityTimeoutSeconds *int    `pulumi:"visibilityTimeoutSeconds,optional"`
	ReceiveWaitTimeSeconds   *int    `pulumi:"receiveWaitTimeSeconds,optional"`
	DelaySeconds             *int    `pulumi:"delaySeconds,optional"`
	MaxMessageSize           *int    `pulumi:"maxMessageSize,optional"`
	SqsManagedSseEnabled     *bool   `pulumi:"sqsManagedSseEnabled,optional" aws:"computed"`
	RedrivePolicy            *string `pulumi:"redrivePolicy,optional" aws:"json,computed"`
	Policy                   *string `pulumi:"policy,optional" aws:"policy,computed"`
	RedriveAllowPolicy       *string `pulumi:"redriveAllowPolicy,optional" aws:"json,computed"`
}

// QueueState is the state of aws:sqs/queue:Queue; its id is the queue's URL.
type QueueState struct {
	QueueArgs
	resource.AllTags
	Arn string `pulumi:"arn"`
	URL string `pulumi:"url"`
	// KmsDataKeyReusePeriodSeconds is the default of SQS where the queue is not encrypted with a key of KMS.
	KmsDataKeyReusePeriodSeconds int `pulumi:"kmsDataKeyReusePeriodSeconds"`
}

// numbers ties the numeric properties to the API's attribute names and the official provider's defaults.
var numbers = []struct {
	attribute types.QueueAttributeName
	fallback  int
	of        func(*QueueArgs) **int
}{
	{types.QueueAttributeNameMessageRetentionPeriod, 345600, func(a *QueueArgs) **int { return &a.MessageRetentionSeconds }},
	{types.QueueAttributeNameVisibilityTimeout, 30, func(a *QueueArgs) **int { return &a.VisibilityTimeoutSeconds }},
	{types.QueueAttributeNameReceiveMessageWaitTimeSeconds, 0, func(a *QueueArgs) **int { return &a.ReceiveWaitTimeSeconds }},
	{types.QueueAttributeNameDelaySeconds, 0, func(a *QueueArgs) **int { return &a.DelaySeconds }},
	{types.QueueAttributeNameMaximumMessageSize, 262144, func(a *QueueArgs) **int { return &a.MaxMessageSize }},
}

// documents ties the JSON properties to the API's attribute names.
var documents = []struct {
	attribute types.QueueAttributeName
	of        func(*QueueArgs) **string
}{
	{types.QueueAttributeNameRedrivePolicy, func(a *QueueArgs) **string { return &a.RedrivePolicy }},
	{types.QueueAttributeNameRedriveAllowPolicy, func(a *QueueArgs) **string { return &a.RedriveAllowPolicy }},
	{types.QueueAttributeNamePolicy, func(a *QueueArgs) **string { return &a.Policy }},
}

var queue = resource.Description[QueueArgs, QueueState]{
	Token: "aws:sqs/queue:Queue",
	Check: func(a *QueueArgs) []resource.Fault {
		for _, n := range numbers {
			if p := n.of(a); *p == nil {
				*p = aws.Int(n.fallback)
			}
		}
		return nil
	},
	Create: func(ctx context.Context, c *resource.Cloud, a QueueArgs) (string, error) {
		out, err := c.SQS.CreateQueue(ctx, &sqs.CreateQueueInput{
			QueueName: &a.Name, Attributes: attributes(a), Tags: a.Tags,
		})
		if err != nil {
			return "", err
		}
		return *out.QueueUrl, awaitAttributes(ctx, c, *out.QueueUrl, attributes(a))
	},
	Read: readQueue,
	Update: func(ctx context.Context, c *resource.Cloud, id string, old QueueState, a QueueArgs) error {
		if changed := changedAttributes(attributes(old.QueueArgs), attributes(a)); len(changed) > 0 {
			_, err := c.SQS.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: &id, Attributes: changed})
			if err != nil {
				return err
			}
			if err := awaitAttributes(ctx, c, id, changed); err != nil {
				return err
			}
		}
		return updateTags(ctx, c, id, old.Tags, a.Tags)
	},
	Delete: func(ctx context.Context, c *resource.Cloud, id string, _ QueueState) error {
		if _, err := c.SQS.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: &id}); err != nil {
			return err
		}
		return resource.PollGone(ctx, "queue "+id, settle, func(ctx context.Context) error {
			_, err := getAttributes(ctx, c, id, types.QueueAttributeNameQueueArn)
			return err
		})
	},
	Example: func(x resource.Scratch) resource.Example[QueueArgs] {
		return resource.Example[QueueArgs]{
			Inputs: QueueArgs{
				Name: x.Name("queue"), MessageRetentionSeconds: aws.Int(1209600), ReceiveWaitTimeSeconds: aws.Int(20),
				SqsManagedSseEnabled: aws.Bool(true), Tagged: resource.Tagged{Tags: map[string]string{"Name": "queue"}},
			},
			Changes: []resource.Change[QueueArgs]{
				{Name: "retention", Apply: func(a *QueueArgs) { a.MessageRetentionSeconds = aws.Int(604800) }},
				{Name: "visibility timeout", Apply: func(a *QueueArgs) { a.VisibilityTimeoutSeconds = aws.Int(300) }},
				{Name: "tags", Apply: func(a *QueueArgs) { a.Tags = map[string]string{"Name": "other", "More": "yes"} }},
			},
		}
	},
}

func readQueue(ctx context.Context, c *resource.Cloud, id string, prior QueueState) (QueueState, error) {
	got, err := getAttributes(ctx, c, id, types.QueueAttributeNameAll)
	if err != nil {
		return prior, err
	}
	s := prior
	for _, n := range numbers {
		if text, ok := got[string(n.attribute)]; ok {
			value, err := strconv.Atoi(text)
			if err != nil {
				return prior, err
			}
			*n.of(&s.QueueArgs) = &value
		}
	}
	for _, d := range documents {
		*d.of(&s.QueueArgs) = optional(got, d.attribute)
	}
	if text, ok := got[string(types.QueueAttributeNameSqsManagedSseEnabled)]; ok {
		s.SqsManagedSseEnabled = aws.Bool(text == "true")
	}
	s.KmsDataKeyReusePeriodSeconds = 300
	if seconds, err := strconv.Atoi(got[string(types.QueueAttributeNameKmsDataKeyReusePeriodSeconds)]); err == nil {
		s.KmsDataKeyReusePeriodSeconds = seconds
	}
	s.Arn, s.URL = got[string(types.QueueAttributeNameQueueArn)], id
	s.Name = s.Arn[strings.LastIndex(s.Arn, ":")+1:]
	tags, err := c.SQS.ListQueueTags(ctx, &sqs.ListQueueTagsInput{QueueUrl: &id})
	if err != nil {
		return prior, err
	}
	s.Tags, s.TagsAll = tags.Tags, tags.Tags
	return s, nil
}

// attributes is the queue's configuration as the API takes it.
func attributes(a QueueArgs) map[string]string {
	m := map[string]string{}
	for _, n := range numbers {
		if p := *n.of(&a); p != nil {
			m[string(n.attribute)] = strconv.Itoa(*p)
		}
	}
	for _, d := range documents {
		if p := *d.of(&a); p != nil && *p != "" {
			m[string(d.attribute)] = *p
		}
	}
	if a.SqsManagedSseEnabled != nil {
		m[string(types.QueueAttributeNameSqsManagedSseEnabled)] = strconv.FormatBool(*a.SqsManagedSseEnabled)
	}
	return m
}

func changedAttributes(old, now map[string]string) map[string]string {
	changed := map[string]string{}
	for k, v := range now {
		if old[k] != v {
			changed[k] = v
		}
	}
	return changed
}

// awaitAttributes waits until the queue exists and shows what was set, as SQS is eventually consistent.
func awaitAttributes(ctx context.Context, c *resource.Cloud, url string, want map[string]string) error {
	return resource.PollThere(ctx, "queue "+url+" shows its attributes", settle, func(ctx context.Context) (bool, error) {
		got, err := getAttributes(ctx, c, url, types.QueueAttributeNameAll)
		for name, value := range want {
			if err == nil && !sameAttribute(name, got[name], value) {
				unknown, err := unknownAttribute(ctx, c, url, types.QueueAttributeName(name))
				if err != nil || !unknown {
					return false, err
				}
			}
		}
		return true, err
	})
}

func sameAttribute(name, a, b string) bool {
	if name == string(types.QueueAttributeNamePolicy) {
		return resource.SamePolicy(a, b)
	}
	return resource.SameJSON(a, b)
}

// unknownAttribute says whether the endpoint refuses to be asked for an attribute. What it cannot show is not waited for,
// and the state keeps what was sent.
func unknownAttribute(ctx context.Context, c *resource.Cloud, url string, name types.QueueAttributeName) (bool, error) {
	_, err := getAttributes(ctx, c, url, name)
	if cloud.HasCode(err, "InvalidAttributeName") {
		return true, nil
	}
	return false, err
}

func getAttributes(ctx context.Context, c *resource.Cloud, url string, name types.QueueAttributeName) (map[string]string, error) {
	out, err := c.SQS.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &url, AttributeNames: []types.QueueAttributeName{name},
	})
	if err != nil {
		return nil, err
	}
	return out.Attributes, nil
}

func updateTags(ctx context.Context, c *resource.Cloud, url string, old, now map[string]string) error {
	return resource.UpdateTags(old, now, func(keys []string) (any, error) {
		return c.SQS.UntagQueue(ctx, &sqs.UntagQueueInput{QueueUrl: &url, TagKeys: keys})
	}, func(tags map[string]string) (any, error) {
		return c.SQS.TagQueue(ctx, &sqs.TagQueueInput{QueueUrl: &url, Tags: tags})
	})
}

func optional(m map[string]string, name types.QueueAttributeName) *string {
	if v := m[string(name)]; v != "" {
		return &v
	}
	return nil
}
