package inventory

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"tapstack/lib/cloud"
	"tapstack/lib/policy"
)

func logsKinds() []*Kind { return []*Kind{LogGroup, LogResourcePolicy} }

var LogGroup = &Kind{
	Name: "log group", Service: "logs", Types: []string{"aws:cloudwatch/logGroup:LogGroup"}, NameInput: "name",
	AWSNames: logGroupsByAWS,
	Removal:  Removal{Proof: ByOwnerAndName},
	IAM:      []IAMResource{{Sid: "Group", Types: []string{"log-group", "log-stream"}, ARN: "log-group:{name}"}},
	list: each((*cloud.Reader).LogGroups, func(ctx context.Context, s *search, g logtypes.LogGroup) Resource {
		name := aws.ToString(g.LogGroupName)
		return Resource{Name: name, ARN: strings.TrimSuffix(aws.ToString(g.Arn), ":*"), PartOf: s.writers(ctx, name)}
	}),
	tags: func(ctx context.Context, s *search, r Resource) (map[string]string, error) {
		out, err := s.Logs.ListTagsForResource(ctx, &cloudwatchlogs.ListTagsForResourceInput{ResourceArn: &r.ARN})
		if err != nil {
			return nil, err
		}
		return out.Tags, nil
	},
}

// logGroupsByAWS are those that a cluster makes for itself where nobody made them before.
var logGroupsByAWS = []AWSName{
	{Before: "/aws/rds/cluster/", Of: DBCluster, After: "/*"},
	{Before: "/aws/ecs/containerinsights/", Of: ECSCluster, After: "/*"},
}

// writers are the clusters that a log group is made for.
func (s *search) writers(ctx context.Context, logGroup string) []string {
	for _, made := range logGroupsByAWS {
		if rest, found := strings.CutPrefix(logGroup, made.Before); found {
			name, _, _ := strings.Cut(rest, "/")
			return []string{s.ARN(ctx, made.Of.Service, strings.ReplaceAll(made.Of.IAM[0].ARN, "{name}", name))}
		}
	}
	return nil
}

// LogResourcePolicy has a quota of 10 for an account and region, which AWS raises for nobody (PutResourcePolicy, API
// reference).
var LogResourcePolicy = &Kind{
	Name: "log resource policy", Service: "logs", Types: []string{"aws:cloudwatch/logResourcePolicy:LogResourcePolicy"}, NameInput: "policyName",
	Untagged: true, Free: noCharge, NotInIAM: "IAM asks about no resource",
	Removal: Removal{Proof: ByOwnerAndName},
	Quota:   &Quota{What: "log resource policies", Limit: 10},
	list: each((*cloud.Reader).LogResourcePolicies, func(ctx context.Context, s *search, p logtypes.ResourcePolicy) Resource {
		name := aws.ToString(p.PolicyName)
		return Resource{Name: name, ARN: s.ARN(ctx, "logs", "resource-policy:"+name), PartOf: resourcesIn(aws.ToString(p.PolicyDocument))}
	}),
}

// resourcesIn are the log groups that a resource policy lets services write to, and whatever else it names; nil when nobody
// can tell.
func resourcesIn(document string) []string {
	p, err := policy.Parse(document)
	if err != nil {
		return nil
	}
	var all []string
	for _, s := range policy.Statements(p) {
		named := policy.Values(s.Resource)
		if len(named) == 0 {
			return nil
		}
		for _, id := range named {
			all = append(all, strings.TrimSuffix(id, ":*"))
		}
	}
	return all
}
