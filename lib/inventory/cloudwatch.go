package inventory

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"tapstack/lib"
	"tapstack/lib/cloud"
)

func cloudWatchKinds() []*Kind { return []*Kind{Alarm, Dashboard} }

var Alarm = &Kind{
	Name: "alarm", Service: "cloudwatch", Types: []string{"aws:cloudwatch/metricAlarm:MetricAlarm"}, NameInput: "name",
	AWSNames: []AWSName{{Before: scalingAlarms + "service/", Of: ECSCluster, After: "/*"}},
	Removal:  Removal{Proof: ByOwnerAndName},
	IAM:      []IAMResource{{Sid: "Alarm", Types: []string{"alarm"}, ARN: "alarm:{name}", Pattern: "*-alarm-{S}"}},
	list: each((*cloud.Reader).Alarms, func(_ context.Context, _ *search, a cwtypes.MetricAlarm) Resource {
		r := Resource{Name: aws.ToString(a.AlarmName), ARN: aws.ToString(a.AlarmArn)}
		if IsScalingAlarm(r.Name) {
			for _, action := range a.AlarmActions { // the scaling policy's ARN, at times with more behind it
				policy, _, _ := strings.Cut(action, ":createdBy/")
				r.PartOf = append(r.PartOf, policy)
			}
		}
		return r
	}),
	tags: func(ctx context.Context, s *search, r Resource) (map[string]string, error) {
		out, err := s.CloudWatch.ListTagsForResource(ctx, &cloudwatch.ListTagsForResourceInput{ResourceARN: &r.ARN})
		if err != nil {
			return nil, err
		}
		return cloud.TagMap(out.Tags, func(t cwtypes.Tag) (*string, *string) { return t.Key, t.Value }), nil
	},
}

const scalingAlarms = "TargetTracking-"

// IsScalingAlarm tells from its name whether Application Auto Scaling has made an alarm for itself; it neither names nor
// tags them after the stack.
func IsScalingAlarm(name string) bool { return strings.HasPrefix(name, scalingAlarms) }

// Dashboard cannot carry tags; the stack writes them into its text.
var Dashboard = &Kind{
	Name: "dashboard", Service: "cloudwatch", Types: []string{"aws:cloudwatch/dashboard:Dashboard"}, NameInput: "dashboardName", Untagged: true,
	IAM: []IAMResource{{Sid: "Dashboard", Types: []string{"dashboard"}, ARN: "arn:aws:cloudwatch::{account}:dashboard/{name}"}},
	list: each((*cloud.Reader).Dashboards, func(_ context.Context, _ *search, d cwtypes.DashboardEntry) Resource {
		return Resource{Name: aws.ToString(d.DashboardName), ARN: aws.ToString(d.DashboardArn)}
	}),
	tags: func(ctx context.Context, s *search, r Resource) (map[string]string, error) {
		out, err := s.CloudWatch.GetDashboard(ctx, &cloudwatch.GetDashboardInput{DashboardName: &r.Name})
		if err != nil {
			return nil, err
		}
		return tagsInBody(aws.ToString(out.DashboardBody))
	},
}

var dashboardTag = regexp.MustCompile(`(` + lib.TagOwner + `|` + lib.TagRun + `|` + lib.TagExpires + `)=([^\s` + "`" + `|<]+)`)

// tagsInBody reads the tags that a dashboard has written into its text widgets. It fails on a body that says two different
// things.
func tagsInBody(body string) (map[string]string, error) {
	var page struct {
		Widgets []struct {
			Type       string `json:"type"`
			Properties struct {
				Markdown string `json:"markdown"`
			} `json:"properties"`
		} `json:"widgets"`
	}
	if err := json.Unmarshal([]byte(body), &page); err != nil {
		return nil, fmt.Errorf("reading the dashboard: %w", err)
	}
	tags := map[string]string{}
	for _, w := range page.Widgets {
		if w.Type != "text" {
			continue
		}
		for _, found := range dashboardTag.FindAllStringSubmatch(w.Properties.Markdown, -1) {
			if before, twice := tags[found[1]]; twice && before != found[2] {
				return nil, fmt.Errorf("the dashboard says both %s=%s and %s=%s", found[1], before, found[1], found[2])
			}
			tags[found[1]] = found[2]
		}
	}
	return tags, nil
}
