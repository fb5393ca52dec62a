package verify

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tapstack/lib"
)

func TestTheSuffixIsReadFromANameThatTheStackGives(t *testing.T) {
	for _, c := range []struct {
		kind       kind
		name, want string
	}{
		{kindVPC, "vpc-dev", "dev"},
		{kindVPC, "vpc-pr-42", "pr-42"},
		{kindVPC, "vpc-42", "42"},
		{kindVPC, "my-vpc-dev", ""},
		{kindVPC, "vpc-Dev", ""},
		{kindVPC, "vpc-", ""},
		{kindSubnet, "private-subnet-3-a-b", "a-b"},
		{kindQueue, "payment-jobs-dlq-b", "b"},
		{kindQueue, "payment-jobs-b", "b"},
		{kindParameter, "/payment/dev/queue-url", "dev"},
		{kindParameter, "/payment/dev", ""},
		{kindScalableTarget, "service/ecs-cluster-x/job-processor-x", "x"},
		{kindBucket, "alb-logs-123456789012-us-east-1-dev", "dev"},
		{kindPolicy, "anything-dev", ""},
		{kindInterface, "eni-dev", ""},
	} {
		require.Equal(t, c.want, suffixIn(c.kind, c.name), "%s %q", c.kind, c.name)
	}
	// A name whose parts name two stacks is none of ours.
	require.Empty(t, suffixIn(kindScalableTarget, "service/ecs-cluster-x/job-processor-y"))
}

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
		require.Equal(t, c.want, got, name)
	}
	_, err := tagsInBody(`{"widgets":[{"type":"text","properties":{"markdown":"tapstack:owner=a"}},{"type":"text","properties":{"markdown":"tapstack:owner=b"}}]}`)
	require.Error(t, err, "two owners")
	_, err = tagsInBody(`not JSON`)
	require.Error(t, err)
}

func TestWhatIsOfOneOfOursIsFoundWhateverItsName(t *testing.T) {
	all := []resource{
		{kind: kindListenerRule, name: "by hand", arn: "rule", of: []string{"listener"}},
		{kind: kindListener, name: "", arn: "listener", of: []string{"alb"}},
		{kind: kindLoadBalancer, name: "alb-dev", arn: "alb"},
		{kind: kindVPC, name: "vpc-dev", arn: "vpc", vpc: "vpc-1"},
		{kind: kindSubnet, name: "by hand", arn: "subnet", vpc: "vpc-1"},
		{kind: kindSubnet, name: "elsewhere", arn: "other subnet", vpc: "vpc-2"},
		{kind: kindQueue, name: "tagged", arn: "queue", tags: map[string]string{lib.TagOwner: "somebody"}},
		{kind: kindQueue, name: "other", arn: "other queue"},
		{kind: kindAlias, name: "alias/other", arn: "alias", of: []string{"key"}},
	}
	var found []string
	for _, r := range mayBeOurs(all) {
		found = append(found, r.arn)
	}
	require.ElementsMatch(t, []string{"rule", "listener", "alb", "vpc", "subnet", "queue"}, found)
}
