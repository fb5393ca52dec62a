package lb

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"tapstack/lib/awsprovider/resource"
)

// action is what a listener or a rule does with a request.
type action struct {
	Type           string         `pulumi:"type"`
	Order          *int           `pulumi:"order,optional"`
	TargetGroupArn *string        `pulumi:"targetGroupArn,optional"`
	Forward        *forward       `pulumi:"forward,optional"`
	Redirect       *redirect      `pulumi:"redirect,optional"`
	FixedResponse  *fixedResponse `pulumi:"fixedResponse,optional"`
}

type forward struct {
	TargetGroups []weightedGroup `pulumi:"targetGroups" aws:"set"`
	Stickiness   *stickiness     `pulumi:"stickiness,optional"`
}

type weightedGroup struct {
	Arn    string `pulumi:"arn"`
	Weight *int   `pulumi:"weight,optional"`
}

// stickiness binds a client to a target group; its duration is in seconds.
type stickiness struct {
	Duration int   `pulumi:"duration"`
	Enabled  *bool `pulumi:"enabled,optional"`
}

type redirect struct {
	Host       *string `pulumi:"host,optional"`
	Path       *string `pulumi:"path,optional"`
	Port       *string `pulumi:"port,optional"`
	Protocol   *string `pulumi:"protocol,optional"`
	Query      *string `pulumi:"query,optional"`
	StatusCode string  `pulumi:"statusCode"`
}

type fixedResponse struct {
	ContentType string  `pulumi:"contentType"`
	MessageBody *string `pulumi:"messageBody,optional"`
	StatusCode  *string `pulumi:"statusCode,optional"`
}

// checkActions fills in the official provider's defaults. The order of an action is its place unless it says otherwise.
func checkActions(property string, actions []action) []resource.Fault {
	var faults []resource.Fault
	for i := range actions {
		a := &actions[i]
		resource.Default(&a.Order, i+1)
		switch a.Type {
		case "", "forward", "redirect", "fixed-response":
		default:
			faults = append(faults, resource.Fault{Property: property, Reason: fmt.Sprintf(
				"the local provider does not implement actions of type %q; use --provider official", a.Type)})
		}
		if r := a.Redirect; r != nil {
			resource.Default(&r.Host, "#{host}")
			resource.Default(&r.Path, "/#{path}")
			resource.Default(&r.Port, "#{port}")
			resource.Default(&r.Protocol, "#{protocol}")
			resource.Default(&r.Query, "#{query}")
		}
		if f := a.Forward; f != nil {
			for g := range f.TargetGroups {
				resource.Default(&f.TargetGroups[g].Weight, 1)
			}
			if f.Stickiness != nil {
				resource.Default(&f.Stickiness.Enabled, false)
			}
		}
	}
	return faults
}

// expandActions is the actions as the API takes them; the order of an action is its place unless it says otherwise.
func expandActions(actions []action) []types.Action {
	var list []types.Action
	for i, a := range actions {
		order := i + 1
		if a.Order != nil {
			order = *a.Order
		}
		out := types.Action{Type: types.ActionTypeEnum(a.Type), Order: resource.Int32(&order)}
		switch {
		case a.Forward != nil:
			out.ForwardConfig = expandForward(a.Forward)
		case a.Redirect != nil:
			out.RedirectConfig = &types.RedirectActionConfig{
				StatusCode: types.RedirectActionStatusCodeEnum(a.Redirect.StatusCode), Host: a.Redirect.Host,
				Path: a.Redirect.Path, Port: a.Redirect.Port, Protocol: a.Redirect.Protocol, Query: a.Redirect.Query,
			}
		case a.FixedResponse != nil:
			out.FixedResponseConfig = &types.FixedResponseActionConfig{
				ContentType: &a.FixedResponse.ContentType, MessageBody: a.FixedResponse.MessageBody,
				StatusCode: a.FixedResponse.StatusCode,
			}
		default:
			out.TargetGroupArn = a.TargetGroupArn
		}
		list = append(list, out)
	}
	return list
}

func expandForward(f *forward) *types.ForwardActionConfig {
	out := &types.ForwardActionConfig{}
	for _, g := range f.TargetGroups {
		out.TargetGroups = append(out.TargetGroups, types.TargetGroupTuple{TargetGroupArn: &g.Arn, Weight: resource.Int32(g.Weight)})
	}
	if s := f.Stickiness; s != nil {
		out.TargetGroupStickinessConfig = &types.TargetGroupStickinessConfig{
			DurationSeconds: resource.Int32(&s.Duration), Enabled: s.Enabled,
		}
	}
	return out
}

// readActions is the actions as the API tells them, in the form that the program uses: the API returns a single target
// group both by itself and in a forward configuration, and it fills in orders, weights and stickiness.
func readActions(got []types.Action, prior []action) []action {
	got = slices.Clone(got)
	slices.SortStableFunc(got, func(a, b types.Action) int {
		return cmp.Compare(aws.ToInt32(a.Order), aws.ToInt32(b.Order))
	})
	var list []action
	for i, g := range got {
		var was action
		if i < len(prior) {
			was = prior[i]
		}
		list = append(list, readAction(g, was, i+1))
	}
	return list
}

func readAction(got types.Action, was action, place int) action {
	a := action{Type: string(got.Type), Order: resource.Int(got.Order)}
	resource.Default(&a.Order, place)
	if r := got.RedirectConfig; r != nil {
		a.Redirect = &redirect{
			Host: r.Host, Path: r.Path, Port: r.Port, Protocol: r.Protocol, Query: r.Query, StatusCode: string(r.StatusCode),
		}
	}
	if f := got.FixedResponseConfig; f != nil {
		a.FixedResponse = &fixedResponse{
			ContentType: aws.ToString(f.ContentType), MessageBody: resource.Text(aws.ToString(f.MessageBody)), StatusCode: f.StatusCode,
		}
	}
	if got.Type != types.ActionTypeEnumForward {
		return a
	}
	single := got.TargetGroupArn
	if f := got.ForwardConfig; single == nil && f != nil && len(f.TargetGroups) == 1 {
		single = f.TargetGroups[0].TargetGroupArn
	}
	if was.Forward == nil && single != nil {
		a.TargetGroupArn = single
		return a
	}
	a.Forward = readForward(got, was.Forward)
	return a
}

func readForward(got types.Action, was *forward) *forward {
	f := &forward{}
	if got.ForwardConfig == nil {
		f.TargetGroups = []weightedGroup{{Arn: aws.ToString(got.TargetGroupArn), Weight: aws.Int(1)}}
		return f
	}
	for _, g := range got.ForwardConfig.TargetGroups {
		f.TargetGroups = append(f.TargetGroups, weightedGroup{Arn: aws.ToString(g.TargetGroupArn), Weight: resource.Int(g.Weight)})
	}
	sticky := got.ForwardConfig.TargetGroupStickinessConfig
	if sticky == nil || was != nil && was.Stickiness == nil && !aws.ToBool(sticky.Enabled) {
		return f
	}
	f.Stickiness = &stickiness{Duration: int(aws.ToInt32(sticky.DurationSeconds)), Enabled: aws.Bool(aws.ToBool(sticky.Enabled))}
	return f
}
