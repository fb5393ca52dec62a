package inventory

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
)

func TestADashboardSaysWhoseItIsInATextWidgetOnly(t *testing.T) {
	ours := map[string]string{lib.TagOwner: "tapstack", lib.TagRun: "20261124T060000Z-0a1b2c", lib.TagExpires: "2026-11-24T12:00:00Z"}
	const text = "tapstack:owner=tapstack tapstack:run=20261124T060000Z-0a1b2c tapstack:expires=2026-11-24T12:00:00Z"
	for name, c := range map[string]struct {
		body string
		want map[string]string
	}{
		"as the stack writes it":  {`{"widgets":[{"type":"metric"},{"type":"text","properties":{"markdown":"` + text + `"}}]}`, ours},
		"among other words":       {`{"widgets":[{"type":"text","properties":{"markdown":"# Ours\n` + "`" + text + "`" + `\nsee the wiki"}}]}`, ours},
		"in the title of a graph": {`{"widgets":[{"type":"metric","properties":{"title":"` + text + `"}}]}`, map[string]string{}},
		"nothing":                 {`{"widgets":[]}`, map[string]string{}},
	} {
		got, err := tagsInBody(c.body)
		require.NoError(t, err, name)
		assert.Equal(t, c.want, got, name)
	}
	_, err := tagsInBody(`{"widgets":[{"type":"text","properties":{"markdown":"tapstack:owner=a"}},{"type":"text","properties":{"markdown":"tapstack:owner=b"}}]}`)
	assert.Error(t, err, "two owners")
	_, err = tagsInBody(`not JSON`)
	assert.Error(t, err)
}

func TestWhatIsPartOfOneOfOursIsFoundWhateverItsName(t *testing.T) {
	all := []Resource{
		{Kind: ListenerRule, Name: "by hand", ARN: "rule", PartOf: []string{"listener"}},
		{Kind: Listener, ARN: "listener", PartOf: []string{"alb"}},
		{Kind: LoadBalancer, Name: "alb-dev", ARN: "alb"},
		{Kind: VPC, Name: "vpc-dev", ARN: "vpc", VPC: "vpc-1"},
		{Kind: Subnet, Name: "by hand", ARN: "subnet", VPC: "vpc-1"},
		{Kind: Subnet, Name: "elsewhere", ARN: "other subnet", VPC: "vpc-2"},
		{Kind: Queue, Name: "tagged", ARN: "queue", Tags: map[string]string{lib.TagOwner: "somebody"}},
		{Kind: Queue, Name: "other", ARN: "other queue"},
		{Kind: KeyAlias, Name: "alias/other", ARN: "alias", PartOf: []string{"key"}},
		{Kind: LoadBalancer, Name: "alb-live", ARN: "alb of another stack"},
		{Kind: Listener, ARN: "listener of another stack", PartOf: []string{"alb of another stack"}},
		{Kind: LoadBalancer, Name: "alb-live", ARN: "alb of another stack in the VPC", VPC: "vpc-1"},
	}
	for i := range all {
		all[i].complete(all[i].Kind)
	}
	found := func(suffix string) (arns []string) {
		for _, r := range candidates(all, suffix) {
			arns = append(arns, r.ARN)
		}
		return arns
	}
	own := []string{"rule", "listener", "alb", "vpc", "subnet", "alb of another stack in the VPC"}
	assert.ElementsMatch(t, own, found("dev"))
	assert.ElementsMatch(t, append(own, "queue", "alb of another stack", "listener of another stack"), found(""))
}

func TestTheLoadBalancersNameIsReadFromItsDNSName(t *testing.T) {
	for dns, want := range map[string]string{
		"dualstack.alb-dev-1234567890.us-east-1.elb.amazonaws.com.": "alb-dev",
		"alb-dev-1.us-east-1.elb.amazonaws.com":                     "alb-dev",
		"d111111abcdef8.cloudfront.net":                             "",
	} {
		assert.Equal(t, want, loadBalancerIn(dns), dns)
	}
}

func TestACloudThatDoesNotAnswerProvesNothing(t *testing.T) {
	cfg := aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String("http://127.0.0.1:1"), Credentials: aws.AnonymousCredentials{},
		Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	}
	_, err := Leaks(t.Context(), cfg, "dev")
	assert.ErrorContains(t, err, `looking for what is left of "dev"`)
	_, err = Leaks(t.Context(), cfg, "")
	assert.ErrorContains(t, err, "the suffix is empty")
	_, _, err = Find(t.Context(), cfg)
	assert.Error(t, err)
}
