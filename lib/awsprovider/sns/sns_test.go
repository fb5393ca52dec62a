package sns

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/awsprovider/resource"
	"tapstack/lib/cloud/cloudtest"
)

// calls are the inputs of the calls that changed something.
type calls []any

// cloud answers every change of an attribute with nothing, and other calls as told by operation.
func (c *calls) cloud(answers map[string]any) *resource.Cloud {
	return resource.NewCloud(cloudtest.Config(func(call string, input any) (any, error) {
		*c = append(*c, input)
		switch answer := answers[strings.TrimPrefix(call, "SNS ")].(type) {
		case nil:
			if call == "SNS SetTopicAttributes" {
				return &sns.SetTopicAttributesOutput{}, nil
			}
			return &sns.SetSubscriptionAttributesOutput{}, nil
		case error:
			return nil, answer
		default:
			return answer, nil
		}
	}), nil)
}

const (
	topicArn        = "arn:aws:sns:us-east-1:123456789012:alerts"
	subscriptionArn = topicArn + ":1"
)

func refusal(message string) error {
	return &smithy.GenericAPIError{Code: "InvalidParameter", Message: message}
}

func TestAnEmailSubscriptionIsNotWaitedFor(t *testing.T) {
	var made calls
	cloud := made.cloud(map[string]any{"Subscribe": &sns.SubscribeOutput{SubscriptionArn: aws.String(subscriptionArn)}})
	id, err := topicSubscription.Create(t.Context(), cloud, SubscriptionArgs{Topic: topicArn, Protocol: "email", Endpoint: "ops@example.com"})
	require.NoError(t, err)
	require.Equal(t, subscriptionArn, id)
	require.Len(t, made, 1)
	assert.True(t, made[0].(*sns.SubscribeInput).ReturnSubscriptionArn, "without ReturnSubscriptionArn an unconfirmed subscription has no id")
}

func TestAnUnconfirmedSubscriptionIsReadAsPending(t *testing.T) {
	cloud := new(calls).cloud(map[string]any{"GetSubscriptionAttributes": &sns.GetSubscriptionAttributesOutput{Attributes: map[string]string{
		"SubscriptionArn": subscriptionArn, "TopicArn": topicArn, "Protocol": "email", "Endpoint": "ops@example.com",
		"Owner": "123456789012", "PendingConfirmation": "true", "ConfirmationWasAuthenticated": "false", "RawMessageDelivery": "false",
	}}})
	s, err := topicSubscription.Read(t.Context(), cloud, subscriptionArn, SubscriptionState{})
	require.NoError(t, err)
	assert.True(t, s.PendingConfirmation)
	assert.False(t, s.ConfirmationWasAuthenticated)
	assert.Equal(t, subscriptionArn, s.Arn)
	assert.Equal(t, "ops@example.com", s.Endpoint)
}

func TestDeletingAnUnconfirmedSubscriptionLeavesItToItsTopic(t *testing.T) {
	answers := map[string]any{
		"Unsubscribe": refusal("Invalid parameter: SubscriptionArn Reason: Cannot unsubscribe a subscription that is pending confirmation"),
	}
	cloud := new(calls).cloud(answers)
	require.NoError(t, topicSubscription.Delete(t.Context(), cloud, subscriptionArn, SubscriptionState{}))
	answers["Unsubscribe"] = refusal("Invalid parameter: SubscriptionArn")
	assert.Error(t, topicSubscription.Delete(t.Context(), cloud, subscriptionArn, SubscriptionState{}), "any other refusal must be an error")
}

func TestTheScopeIsWidenedBeforeTheFilterAndNarrowedAfterIt(t *testing.T) {
	flat, nested := aws.String(`{"kind":["alarm"]}`), aws.String(`{"detail":{"kind":["alarm"]}}`)
	onAttributes := SubscriptionArgs{FilterPolicy: flat, FilterPolicyScope: aws.String(scopeAttributes)}
	onBody := SubscriptionArgs{FilterPolicy: nested, FilterPolicyScope: aws.String(scopeBody)}
	for name, it := range map[string]struct {
		from, to SubscriptionArgs
		want     []string
	}{
		"widened":  {onAttributes, onBody, []string{scopeAttribute, filterAttribute}},
		"narrowed": {onBody, onAttributes, []string{filterAttribute, scopeAttribute}},
		"removed":  {onAttributes, SubscriptionArgs{}, []string{filterAttribute}},
	} {
		var made calls
		err := updateSubscription(t.Context(), made.cloud(nil), subscriptionArn, SubscriptionState{SubscriptionArgs: it.from}, it.to)
		require.NoError(t, err, name)
		var got []string
		for _, call := range made {
			got = append(got, *call.(*sns.SetSubscriptionAttributesInput).AttributeName)
		}
		assert.Equal(t, it.want, got, name)
	}
}

func TestDeletingATopicPolicyRestoresTheInitialOne(t *testing.T) {
	var made calls
	require.NoError(t, topicPolicy.Delete(t.Context(), made.cloud(nil), topicArn, TopicPolicyState{Owner: "123456789012"}))
	set := made[0].(*sns.SetTopicAttributesInput)
	require.Equal(t, policyAttribute, *set.AttributeName)
	require.Equal(t, topicArn, *set.TopicArn)
	for _, part := range []string{`"__default_policy_ID"`, `"AWS:SourceOwner":"123456789012"`, `"Resource":"` + topicArn + `"`} {
		assert.Contains(t, *set.AttributeValue, part)
	}
}

func TestATopicSetsOnlyWhatDiffers(t *testing.T) {
	policy := `{"Version":"2012-10-17","Statement":[]}`
	old := TopicArgs{DisplayName: aws.String("1.0"), KmsMasterKeyID: aws.String("key"), Policy: aws.String(policy)}
	now := TopicArgs{DisplayName: aws.String("1"), Policy: aws.String(" " + policy)}
	var made calls
	require.NoError(t, changeTopic(t.Context(), made.cloud(nil), topicArn, old, now))
	got := map[string]string{}
	for _, call := range made {
		set := call.(*sns.SetTopicAttributesInput)
		got[*set.AttributeName] = aws.ToString(set.AttributeValue)
	}
	require.Len(t, got, 2)
	assert.Equal(t, "1", got["DisplayName"])
	assert.Empty(t, got["KmsMasterKeyId"])
}

func TestIllegalTopicsAndSubscriptionsAreRefused(t *testing.T) {
	f := topic.Check(&TopicArgs{Name: "has space"})
	require.Len(t, f, 1)
	assert.Equal(t, "name", f[0].Property)
	assert.Empty(t, topic.Check(&TopicArgs{}))
	f = checkSubscription(&SubscriptionArgs{Protocol: "pigeon", FilterPolicyScope: aws.String("Somewhere")})
	assert.Len(t, f, 2)
}
