package sns

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/awsprovider/resource"
)

// wire answers SNS calls without a network and keeps what was asked.
type wire struct {
	answers map[string]string // by action; a leading "400 " makes it an error
	calls   []url.Values
}

func (w *wire) Do(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	call, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	w.calls = append(w.calls, call)
	action := call.Get("Action")
	text, status := "<"+action+"Response>"+w.answers[action]+"</"+action+"Response>", http.StatusOK
	if refusal, ok := strings.CutPrefix(w.answers[action], "400 "); ok {
		text, status = refusal, http.StatusBadRequest
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"text/xml"}}, Body: io.NopCloser(strings.NewReader(text)),
	}, nil
}

func (w *wire) cloud() *resource.Cloud {
	return resource.NewCloud(aws.Config{
		Region: "us-east-1", HTTPClient: w, Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, nil)
}

func (w *wire) actions() []string {
	var names []string
	for _, c := range w.calls {
		names = append(names, c.Get("Action"))
	}
	return names
}

const (
	topicArn        = "arn:aws:sns:us-east-1:123456789012:alerts"
	subscriptionArn = topicArn + ":1"
)

func refusal(message string) string {
	return "400 <ErrorResponse><Error><Type>Sender</Type><Code>InvalidParameter</Code><Message>" + message +
		"</Message></Error></ErrorResponse>"
}

func TestAnEmailSubscriptionIsNotWaitedFor(t *testing.T) {
	w := &wire{answers: map[string]string{
		"Subscribe": "<SubscribeResult><SubscriptionArn>" + subscriptionArn + "</SubscriptionArn></SubscribeResult>",
	}}
	id, err := topicSubscription.Create(context.Background(), w.cloud(), SubscriptionArgs{
		Topic: topicArn, Protocol: "email", Endpoint: "ops@example.com",
	})
	require.NoError(t, err)
	require.Equal(t, subscriptionArn, id)
	assert.Equal(t, []string{"Subscribe"}, w.actions())
	assert.Equal(t, "true", w.calls[0].Get("ReturnSubscriptionArn"), "without ReturnSubscriptionArn an unconfirmed subscription has no id")
}

func TestAnUnconfirmedSubscriptionIsReadAsPending(t *testing.T) {
	entries := ""
	for k, v := range map[string]string{
		"SubscriptionArn": subscriptionArn, "TopicArn": topicArn, "Protocol": "email", "Endpoint": "ops@example.com",
		"Owner": "123456789012", "PendingConfirmation": "true", "ConfirmationWasAuthenticated": "false", "RawMessageDelivery": "false",
	} {
		entries += "<entry><key>" + k + "</key><value>" + v + "</value></entry>"
	}
	w := &wire{answers: map[string]string{
		"GetSubscriptionAttributes": "<GetSubscriptionAttributesResult><Attributes>" + entries + "</Attributes></GetSubscriptionAttributesResult>",
	}}
	s, err := topicSubscription.Read(context.Background(), w.cloud(), subscriptionArn, SubscriptionState{})
	require.NoError(t, err)
	assert.True(t, s.PendingConfirmation)
	assert.False(t, s.ConfirmationWasAuthenticated)
	assert.Equal(t, subscriptionArn, s.Arn)
	assert.Equal(t, "ops@example.com", s.Endpoint)
}

func TestDeletingAnUnconfirmedSubscriptionLeavesItToItsTopic(t *testing.T) {
	w := &wire{answers: map[string]string{
		"Unsubscribe": refusal("Invalid parameter: SubscriptionArn Reason: Cannot unsubscribe a subscription that is pending confirmation"),
	}}
	require.NoError(t, topicSubscription.Delete(context.Background(), w.cloud(), subscriptionArn, SubscriptionState{}))
	w.answers["Unsubscribe"] = refusal("Invalid parameter: SubscriptionArn")
	assert.Error(t, topicSubscription.Delete(context.Background(), w.cloud(), subscriptionArn, SubscriptionState{}), "any other refusal must be an error")
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
		w := &wire{answers: map[string]string{}}
		err := updateSubscription(context.Background(), w.cloud(), subscriptionArn, SubscriptionState{SubscriptionArgs: it.from}, it.to)
		require.NoError(t, err, name)
		var got []string
		for _, c := range w.calls {
			got = append(got, c.Get("AttributeName"))
		}
		assert.Equal(t, it.want, got, name)
	}
}

func TestDeletingATopicPolicyRestoresTheInitialOne(t *testing.T) {
	w := &wire{answers: map[string]string{}}
	err := topicPolicy.Delete(context.Background(), w.cloud(), topicArn, TopicPolicyState{Owner: "123456789012"})
	require.NoError(t, err)
	set := w.calls[0]
	require.Equal(t, "SetTopicAttributes", set.Get("Action"))
	require.Equal(t, policyAttribute, set.Get("AttributeName"))
	require.Equal(t, topicArn, set.Get("TopicArn"))
	for _, part := range []string{`"__default_policy_ID"`, `"AWS:SourceOwner":"123456789012"`, `"Resource":"` + topicArn + `"`} {
		assert.Contains(t, set.Get("AttributeValue"), part)
	}
}

func TestATopicSetsOnlyWhatDiffers(t *testing.T) {
	policy := `{"Version":"2012-10-17","Statement":[]}`
	old := TopicArgs{DisplayName: aws.String("1.0"), KmsMasterKeyID: aws.String("key"), Policy: aws.String(policy)}
	now := TopicArgs{DisplayName: aws.String("1"), Policy: aws.String(" " + policy)}
	w := &wire{answers: map[string]string{}}
	require.NoError(t, changeTopic(context.Background(), w.cloud(), topicArn, old, now))
	got := map[string]string{}
	for _, c := range w.calls {
		got[c.Get("AttributeName")] = c.Get("AttributeValue")
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
