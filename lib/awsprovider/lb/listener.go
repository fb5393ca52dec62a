package lb

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"tapstack/lib/awsprovider/resource"
)

// listenerTimeout is the official provider's: a new certificate takes a while until load balancers can use it.
const listenerTimeout = 5 * time.Minute

// ListenerArgs are the inputs of aws:lb/listener:Listener.
type ListenerArgs struct {
	resource.Tagged
	LoadBalancerArn string   `pulumi:"loadBalancerArn" aws:"forcenew"`
	Port            *int     `pulumi:"port,optional"`
	Protocol        *string  `pulumi:"protocol,optional" aws:"computed"`
	SslPolicy       *string  `pulumi:"sslPolicy,optional" aws:"computed"`
	CertificateArn  *string  `pulumi:"certificateArn,optional"`
	DefaultActions  []action `pulumi:"defaultActions"`
}

// ListenerState is the state of aws:lb/listener:Listener; its id is the ARN.
type ListenerState struct {
	ListenerArgs
	resource.AllTags
	Arn string `pulumi:"arn"`
}

var listener = resource.Description[ListenerArgs, ListenerState]{
	Token: "aws:lb/listener:Listener",
	Check: func(a *ListenerArgs) []resource.Fault {
		return append(checkActions("defaultActions", a.DefaultActions), outside("port", a.Port, 1, 65535)...)
	},
	Create: createListener,
	Read:   readListener,
	Update: updateListener,
	Delete: func(ctx context.Context, c *resource.Cloud, arn string, _ ListenerState) error {
		if _, err := c.ELB.DeleteListener(ctx, &elb.DeleteListenerInput{ListenerArn: &arn}); err != nil {
			return err
		}
		return resource.PollGone(ctx, "listener "+arn, listenerTimeout, func(ctx context.Context) error {
			_, err := findListener(ctx, c, arn)
			return err
		})
	},
	Example: func(x resource.Scratch) resource.Example[ListenerArgs] {
		n := makeNetwork(x)
		balancer, group := n.loadBalancer(x), n.targetGroup(x)
		return resource.Example[ListenerArgs]{
			Inputs: ListenerArgs{
				LoadBalancerArn: balancer, Port: aws.Int(80), Protocol: aws.String("HTTP"),
				DefaultActions: []action{{Type: "redirect", Redirect: &redirect{
					Port: aws.String("443"), Protocol: aws.String("HTTPS"), StatusCode: "HTTP_301",
				}}},
				Tagged: resource.Tagged{Tags: map[string]string{"Name": "listener"}},
			},
			Changes: []resource.Change[ListenerArgs]{
				{Name: "redirect", Apply: func(a *ListenerArgs) {
					a.DefaultActions[0].Redirect.StatusCode = "HTTP_302"
					a.DefaultActions[0].Redirect.Path = aws.String("/elsewhere")
				}},
				{Name: "fixed response", Apply: func(a *ListenerArgs) {
					a.DefaultActions = []action{{Type: "fixed-response", FixedResponse: &fixedResponse{
						ContentType: "text/plain", MessageBody: aws.String("no such page"), StatusCode: aws.String("404"),
					}}}
				}},
				{Name: "one target group", Apply: func(a *ListenerArgs) {
					a.DefaultActions = []action{{Type: "forward", TargetGroupArn: &group}}
				}},
				{Name: "port", Apply: func(a *ListenerArgs) { a.Port = aws.Int(8080) }},
				{Name: "TLS", Apply: func(a *ListenerArgs) {
					a.Protocol, a.CertificateArn = aws.String("HTTPS"), aws.String(n.certificate(x))
					a.SslPolicy = aws.String("ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09")
				}},
				{Name: "TLS policy", Apply: func(a *ListenerArgs) { a.SslPolicy = aws.String("ELBSecurityPolicy-TLS13-1-2-2021-06") }},
				{Name: "certificate", Apply: func(a *ListenerArgs) { a.CertificateArn = aws.String(n.certificate(x)) }},
				{Name: "tags", Apply: func(a *ListenerArgs) { a.Tags = map[string]string{"Name": "other", "More": "yes"} }},
			},
		}
	},
}

func createListener(ctx context.Context, c *resource.Cloud, a ListenerArgs) (string, error) {
	in := &elb.CreateListenerInput{
		LoadBalancerArn: &a.LoadBalancerArn, Port: resource.Int32(a.Port), Protocol: protocolOf(a), SslPolicy: a.SslPolicy,
		Certificates: certificates(a), DefaultActions: expandActions(a.DefaultActions), Tags: tagList(a.Tags),
	}
	var out *elb.CreateListenerOutput
	err := resource.RetryOn(ctx, "a listener can be created", listenerTimeout, func(ctx context.Context) (err error) {
		out, err = c.ELB.CreateListener(ctx, in)
		return err
	}, "CertificateNotFound")
	if err != nil {
		return "", err
	}
	if len(out.Listeners) == 0 {
		return "", errors.New("the API returned no listener")
	}
	arn := aws.ToString(out.Listeners[0].ListenerArn)
	return arn, resource.PollThere(ctx, "listener "+arn+" is there", listenerTimeout, func(ctx context.Context) (bool, error) {
		_, err := findListener(ctx, c, arn)
		return err == nil, err
	})
}

func readListener(ctx context.Context, c *resource.Cloud, arn string, prior ListenerState) (ListenerState, error) {
	found, err := findListener(ctx, c, arn)
	if err != nil {
		return prior, err
	}
	tags, err := readTags(ctx, c, arn)
	if err != nil {
		return prior, err
	}
	s := prior
	s.Arn, s.LoadBalancerArn = arn, aws.ToString(found.LoadBalancerArn)
	s.Port, s.Protocol, s.SslPolicy = resource.Int(found.Port), resource.Text(found.Protocol), resource.Text(aws.ToString(found.SslPolicy))
	s.CertificateArn = nil
	if len(found.Certificates) > 0 {
		s.CertificateArn = found.Certificates[0].CertificateArn
	}
	s.DefaultActions = readActions(found.DefaultActions, prior.DefaultActions)
	s.Tags, s.TagsAll = tags, tags
	return s, nil
}

func updateListener(ctx context.Context, c *resource.Cloud, arn string, old ListenerState, a ListenerArgs) error {
	in := &elb.ModifyListenerInput{ListenerArn: &arn}
	if !same(a.Port, old.Port) {
		in.Port = resource.Int32(a.Port)
	}
	// A listener that becomes HTTPS needs its certificate and policy in the same call.
	becomes := !same(a.Protocol, old.Protocol)
	if becomes {
		in.Protocol = protocolOf(a)
	}
	if becomes || !same(a.SslPolicy, old.SslPolicy) {
		in.SslPolicy = a.SslPolicy
	}
	if becomes || !same(a.CertificateArn, old.CertificateArn) {
		in.Certificates = certificates(a)
	}
	if want := expandActions(a.DefaultActions); !reflect.DeepEqual(want, expandActions(old.DefaultActions)) {
		in.DefaultActions = want
	}
	if !reflect.DeepEqual(in, &elb.ModifyListenerInput{ListenerArn: &arn}) {
		err := resource.RetryOn(ctx, "listener "+arn+" can be modified", listenerTimeout, func(ctx context.Context) error {
			_, err := c.ELB.ModifyListener(ctx, in)
			return err
		}, "CertificateNotFound")
		if err != nil {
			return fmt.Errorf("modifying the listener: %w", err)
		}
	}
	return updateTags(ctx, c, arn, old.Tags, a.Tags)
}

func findListener(ctx context.Context, c *resource.Cloud, arn string) (*types.Listener, error) {
	out, err := c.ELB.DescribeListeners(ctx, &elb.DescribeListenersInput{ListenerArns: []string{arn}})
	if err != nil {
		return nil, err
	}
	for i := range out.Listeners {
		if aws.ToString(out.Listeners[i].ListenerArn) == arn {
			return &out.Listeners[i], nil
		}
	}
	return nil, resource.ErrNotFound
}

// protocolOf is HTTP unless the program says otherwise, as the official provider has it for application load balancers.
func protocolOf(a ListenerArgs) types.ProtocolEnum {
	if p := aws.ToString(a.Protocol); p != "" {
		return types.ProtocolEnum(p)
	}
	return types.ProtocolEnumHttp
}

func certificates(a ListenerArgs) []types.Certificate {
	if aws.ToString(a.CertificateArn) == "" {
		return nil
	}
	return []types.Certificate{{CertificateArn: a.CertificateArn}}
}
