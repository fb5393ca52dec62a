package wafv2

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/wafv2"
	"github.com/aws/aws-sdk-go-v2/service/wafv2/types"

	"tapstack/lib/awsprovider/resource"
)

// AssociationArgs are the inputs of aws:wafv2/webAclAssociation:WebAclAssociation.
type AssociationArgs struct {
	ResourceArn string `pulumi:"resourceArn" aws:"forcenew"`
	WebACLArn   string `pulumi:"webAclArn" aws:"forcenew"`
}

// AssociationState is its state; the id is both ARNs, joined by a comma.
type AssociationState struct{ AssociationArgs }

var association = resource.Description[AssociationArgs, AssociationState]{
	Token: "aws:wafv2/webAclAssociation:WebAclAssociation",
	Create: func(ctx context.Context, c *resource.Cloud, a AssociationArgs) (string, error) {
		err := resource.RetryOn(ctx, "the web ACL can be put on "+a.ResourceArn, timeout, func(ctx context.Context) error {
			_, err := c.WAF.AssociateWebACL(ctx, &wafv2.AssociateWebACLInput{ResourceArn: &a.ResourceArn, WebACLArn: &a.WebACLArn})
			return err
		}, unavailable)
		if err != nil {
			return "", err
		}
		what := "the web ACL is on " + a.ResourceArn
		return a.WebACLArn + "," + a.ResourceArn, resource.PollThere(ctx, what, timeout, func(ctx context.Context) (bool, error) {
			arn, err := associatedACL(ctx, c, a.ResourceArn)
			return arn == a.WebACLArn, err
		})
	},
	Read: func(ctx context.Context, c *resource.Cloud, id string, _ AssociationState) (AssociationState, error) {
		_, resourceArn, _ := strings.Cut(id, ",")
		arn, err := associatedACL(ctx, c, resourceArn)
		return AssociationState{AssociationArgs{ResourceArn: resourceArn, WebACLArn: arn}}, err
	},
	Delete: func(ctx context.Context, c *resource.Cloud, _ string, s AssociationState) error {
		_, err := c.WAF.DisassociateWebACL(ctx, &wafv2.DisassociateWebACLInput{ResourceArn: &s.ResourceArn})
		if err != nil {
			return err
		}
		return resource.PollGone(ctx, "the web ACL on "+s.ResourceArn, timeout, func(ctx context.Context) error {
			_, err := associatedACL(ctx, c, s.ResourceArn)
			return err
		})
	},
	Example: func(x resource.Scratch) resource.Example[AssociationArgs] {
		vpc := x.Make("aws:ec2/vpc:Vpc", map[string]any{"cidrBlock": "10.62.0.0/16"})
		var subnets []any
		for i, zone := range []string{"us-east-1a", "us-east-1b"} {
			subnets = append(subnets, x.Make("aws:ec2/subnet:Subnet", map[string]any{
				"vpcId": vpc.ID, "cidrBlock": fmt.Sprintf("10.62.%d.0/24", i), "availabilityZone": zone,
			}).ID)
		}
		balancer := x.Make("aws:lb/loadBalancer:LoadBalancer", map[string]any{
			"name": x.Name("alb"), "internal": true, "subnets": subnets,
		})
		return resource.Example[AssociationArgs]{Inputs: AssociationArgs{ResourceArn: balancer.ID, WebACLArn: makeACL(x)}}
	},
}

// associatedACL is the ARN of the web ACL that is on a resource.
func associatedACL(ctx context.Context, c *resource.Cloud, resourceArn string) (string, error) {
	out, err := c.WAF.GetWebACLForResource(ctx, &wafv2.GetWebACLForResourceInput{ResourceArn: &resourceArn})
	if err != nil {
		return "", err
	}
	if out.WebACL == nil {
		return "", resource.ErrNotFound
	}
	return aws.ToString(out.WebACL.ARN), nil
}

// LoggingArgs are the inputs of aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration.
type LoggingArgs struct {
	ResourceArn           string          `pulumi:"resourceArn" aws:"forcenew"`
	LogDestinationConfigs []string        `pulumi:"logDestinationConfigs" aws:"forcenew,set"`
	RedactedFields        []redactedField `pulumi:"redactedFields,optional" aws:"set"`
}

// redactedField is one part of a request that the logs must not show; exactly one of its fields is set.
type redactedField struct {
	Method       *none         `pulumi:"method,optional"`
	QueryString  *none         `pulumi:"queryString,optional"`
	SingleHeader *singleHeader `pulumi:"singleHeader,optional"`
	URIPath      *none         `pulumi:"uriPath,optional"`
}

type singleHeader struct {
	Name string `pulumi:"name"`
}

// LoggingState is its state; the id is the web ACL's ARN.
type LoggingState struct{ LoggingArgs }

var logging = resource.Description[LoggingArgs, LoggingState]{
	Token: "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration",
	Check: func(a *LoggingArgs) []resource.Fault {
		for i := range a.RedactedFields {
			if h := a.RedactedFields[i].SingleHeader; h != nil {
				h.Name = strings.ToLower(h.Name) // as the API returns it
			}
		}
		return nil
	},
	Create: func(ctx context.Context, c *resource.Cloud, a LoggingArgs) (string, error) {
		if err := putLogging(ctx, c, a); err != nil {
			return "", err
		}
		return a.ResourceArn, nil
	},
	Read: readLogging,
	Update: func(ctx context.Context, c *resource.Cloud, _ string, _ LoggingState, a LoggingArgs) error {
		return putLogging(ctx, c, a)
	},
	Delete: func(ctx context.Context, c *resource.Cloud, arn string, _ LoggingState) error {
		_, err := c.WAF.DeleteLoggingConfiguration(ctx, &wafv2.DeleteLoggingConfigurationInput{ResourceArn: &arn})
		if err != nil {
			return err
		}
		return resource.PollGone(ctx, "logging of "+arn, timeout, func(ctx context.Context) error {
			_, err := loggingOf(ctx, c, arn)
			return err
		})
	},
	Example: func(x resource.Scratch) resource.Example[LoggingArgs] {
		bucket := x.Make("aws:s3/bucketV2:BucketV2", map[string]any{"bucket": x.Name("aws-waf-logs"), "forceDestroy": true})
		return resource.Example[LoggingArgs]{
			Inputs: LoggingArgs{
				ResourceArn: makeACL(x), LogDestinationConfigs: []string{fmt.Sprint(bucket.Outputs["arn"])},
				RedactedFields: []redactedField{{SingleHeader: &singleHeader{Name: "Authorization"}}},
			},
			Changes: []resource.Change[LoggingArgs]{
				{Name: "redacted fields", Apply: func(a *LoggingArgs) {
					a.RedactedFields = append(a.RedactedFields, redactedField{QueryString: &none{}}, redactedField{Method: &none{}}, redactedField{URIPath: &none{}})
				}},
				{Name: "nothing redacted", Apply: func(a *LoggingArgs) { a.RedactedFields = nil }},
			},
		}
	},
}

// putLogging sets the configuration. The first of an account makes a service-linked role, and a permission to write the
// logs that was given a moment ago may not count yet.
func putLogging(ctx context.Context, c *resource.Cloud, a LoggingArgs) error {
	conf := &types.LoggingConfiguration{
		ResourceArn: &a.ResourceArn, LogDestinationConfigs: a.LogDestinationConfigs, RedactedFields: []types.FieldToMatch{},
	}
	for _, f := range a.RedactedFields {
		var field types.FieldToMatch
		switch {
		case f.Method != nil:
			field.Method = &types.Method{}
		case f.QueryString != nil:
			field.QueryString = &types.QueryString{}
		case f.SingleHeader != nil:
			field.SingleHeader = &types.SingleHeader{Name: &f.SingleHeader.Name}
		case f.URIPath != nil:
			field.UriPath = &types.UriPath{}
		}
		conf.RedactedFields = append(conf.RedactedFields, field)
	}
	return resource.RetryOn(ctx, "the logging of "+a.ResourceArn+" can be set", timeout, func(ctx context.Context) error {
		_, err := c.WAF.PutLoggingConfiguration(ctx, &wafv2.PutLoggingConfigurationInput{LoggingConfiguration: conf})
		return err
	}, unavailable, noRole, noWriting)
}

func readLogging(ctx context.Context, c *resource.Cloud, arn string, prior LoggingState) (LoggingState, error) {
	conf, err := loggingOf(ctx, c, arn)
	if err != nil {
		return prior, err
	}
	s := LoggingState{LoggingArgs{ResourceArn: arn}}
	for _, destination := range conf.LogDestinationConfigs {
		s.LogDestinationConfigs = append(s.LogDestinationConfigs, spelled(destination, prior.LogDestinationConfigs))
	}
	for _, f := range conf.RedactedFields {
		field := redactedField{Method: present(f.Method), QueryString: present(f.QueryString), URIPath: present(f.UriPath)}
		if f.SingleHeader != nil {
			field.SingleHeader = &singleHeader{Name: strings.ToLower(aws.ToString(f.SingleHeader.Name))}
		}
		s.RedactedFields = append(s.RedactedFields, field)
	}
	return s, nil
}

func loggingOf(ctx context.Context, c *resource.Cloud, arn string) (*types.LoggingConfiguration, error) {
	out, err := c.WAF.GetLoggingConfiguration(ctx, &wafv2.GetLoggingConfigurationInput{ResourceArn: &arn})
	if err != nil {
		return nil, err
	}
	if out.LoggingConfiguration == nil {
		return nil, resource.ErrNotFound
	}
	return out.LoggingConfiguration, nil
}

// spelled is the ARN of a destination as the program spells it: a log group's may end in ":*".
func spelled(arn string, program []string) string {
	for _, p := range program {
		if strings.TrimSuffix(p, ":*") == strings.TrimSuffix(arn, ":*") {
			return p
		}
	}
	return arn
}

func makeACL(x resource.Scratch) string {
	made := x.Make("aws:wafv2/webAcl:WebAcl", map[string]any{
		"name": x.Name("waf"), "scope": "REGIONAL", "defaultAction": map[string]any{"allow": map[string]any{}},
		"visibilityConfig": map[string]any{"cloudwatchMetricsEnabled": true, "metricName": "waf", "sampledRequestsEnabled": true},
	})
	return fmt.Sprint(made.Outputs["arn"])
}
