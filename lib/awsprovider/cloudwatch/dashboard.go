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
	// DashboardBody is JSON in which the order of lists has meaning, so it is compared in normal form, not as a policy.
	DashboardBody string `pulumi:"dashboardBody"`
}

// DashboardState is its state; the id is the dashboard's name.
type DashboardState struct {
	DashboardArgs
	DashboardArn string `pulumi:"dashboardArn"`
}

var dashboard = resource.Description[DashboardArgs, DashboardState]{
	Token: "aws:cloudwatch/dashboard:Dashboard",
	Check: func(a *DashboardArgs) []resource.Fault {
		normal, err := normalJSON(a.DashboardBody)
		if err != nil {
			return []resource.Fault{{Property: "dashboardBody", Reason: "is not JSON: " + err.Error()}}
		}
		a.DashboardBody = normal
		return nil
	},
	Create: func(ctx context.Context, c *resource.Cloud, a DashboardArgs) (string, error) {
		if err := putDashboard(ctx, c, a); err != nil {
			return "", err
		}
		return a.DashboardName, nil
	},
	Read: func(ctx context.Context, c *resource.Cloud, id string, prior DashboardState) (DashboardState, error) {
		out, err := client(c).GetDashboard(ctx, &cloudwatch.GetDashboardInput{DashboardName: &id})
		if err != nil {
			return prior, err
		}
		body, err := normalJSON(aws.ToString(out.DashboardBody))
		if err != nil {
			return prior, err
		}
		return DashboardState{
			DashboardArgs: DashboardArgs{DashboardName: aws.ToString(out.DashboardName), DashboardBody: body},
			DashboardArn:  aws.ToString(out.DashboardArn),
		}, nil
	},
	Update: func(ctx context.Context, c *resource.Cloud, _ string, _ DashboardState, a DashboardArgs) error {
		return putDashboard(ctx, c, a)
	},
	Delete: func(ctx context.Context, c *resource.Cloud, id string, _ DashboardState) error {
		_, err := client(c).DeleteDashboards(ctx, &cloudwatch.DeleteDashboardsInput{DashboardNames: []string{id}})
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
	_, err := client(c).PutDashboard(ctx, &cloudwatch.PutDashboardInput{
		DashboardName: &a.DashboardName, DashboardBody: &a.DashboardBody,
	})
	return err
}

// normalJSON writes a document with ordered keys and without white space. A text that is not known yet stays empty.
func normalJSON(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	var doc any
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return "", err
	}
	return document(doc), nil
}

// document writes JSON. Its callers pass maps, lists and scalars only, which always can be written.
func document(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// textWidget is an example's dashboard.
func textWidget(markdown string) string {
	return document(map[string]any{"widgets": []map[string]any{{
		"type": "text", "x": 0, "y": 0, "width": 6, "height": 3, "properties": map[string]any{"markdown": markdown},
	}}})
}
