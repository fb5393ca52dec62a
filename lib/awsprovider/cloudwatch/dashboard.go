package cloudwatch

import (
	"context"
	"encoding/json"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"

	"tapstack/lib/awsprovider/resource"
)

// DashboardArgs are the inputs of aws:cloudwatch/dashboard:Dashboard.
type DashboardArgs struct {
	DashboardName string `pulumi:"dashboardName" aws:"forcenew"`
	DashboardBody string `pulumi:"dashboardBody" aws:"json"`
}

// DashboardState is its state; the id is the dashboard's name.
type DashboardState struct {
	DashboardArgs
	DashboardArn string `pulumi:"dashboardArn"`
}

var dashboard = resource.Description[DashboardArgs, DashboardState]{
	Token: "aws:cloudwatch/dashboard:Dashboard",
	Check: func(a *DashboardArgs) []resource.Fault {
		if a.DashboardBody == "" || json.Valid([]byte(a.DashboardBody)) {
			return nil
		}
		return []resource.Fault{{Property: "dashboardBody", Reason: "is not JSON"}}
	},
	Create: func(ctx context.Context, c *resource.Cloud, a DashboardArgs) (string, error) {
		if err := putDashboard(ctx, c, a); err != nil {
			return "", err
		}
		return a.DashboardName, nil
	},
	Read: func(ctx context.Context, c *resource.Cloud, id string, prior DashboardState) (DashboardState, error) {
		out, err := c.CloudWatch.GetDashboard(ctx, &cloudwatch.GetDashboardInput{DashboardName: &id})
		if err != nil {
			return prior, err
		}
		return DashboardState{
			DashboardArgs: DashboardArgs{DashboardName: aws.ToString(out.DashboardName), DashboardBody: aws.ToString(out.DashboardBody)},
			DashboardArn:  aws.ToString(out.DashboardArn),
		}, nil
	},
	Update: func(ctx context.Context, c *resource.Cloud, _ string, _ DashboardState, a DashboardArgs) error {
		return putDashboard(ctx, c, a)
	},
	Delete: func(ctx context.Context, c *resource.Cloud, id string, _ DashboardState) error {
		_, err := c.CloudWatch.DeleteDashboards(ctx, &cloudwatch.DeleteDashboardsInput{DashboardNames: []string{id}})
		return err
	},
	Example: func(x resource.Scratch) resource.Example[DashboardArgs] {
		return resource.Example[DashboardArgs]{
			Inputs: DashboardArgs{DashboardName: x.Name("dashboard"), DashboardBody: textWidget("one")},
			Changes: []resource.Change[DashboardArgs]{
				{Name: "body", Apply: func(a *DashboardArgs) { a.DashboardBody = textWidget("two") }},
			},
		}
	},
}

func putDashboard(ctx context.Context, c *resource.Cloud, a DashboardArgs) error {
	_, err := c.CloudWatch.PutDashboard(ctx, &cloudwatch.PutDashboardInput{
		DashboardName: &a.DashboardName, DashboardBody: &a.DashboardBody,
	})
	return err
}

// textWidget is an example's dashboard.
func textWidget(markdown string) string {
	return resource.JSON(map[string]any{"widgets": []map[string]any{{
		"type": "text", "x": 0, "y": 0, "width": 6, "height": 3, "properties": map[string]any{"markdown": markdown},
	}}})
}
