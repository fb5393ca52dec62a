package verify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/wafv2"
	"github.com/aws/smithy-go"

	"tapstack/lib/awsclient"
)

// Env is what a check may ask: the stack's outputs and the live API. It serves one run.
type Env struct {
	Suffix  string
	Region  string
	any     bool // every suffix, for Find
	outputs map[string]any
	api     clients
	answers memo
	ledger  ledger
	network Network
	// patience bounds waits, pace is the time between two looks of one.
	patience, pace time.Duration
}

type clients struct {
	acm     *acm.Client
	cw      *cloudwatch.Client
	ec2     *ec2.Client
	ecs     *ecs.Client
	elb     *elasticloadbalancingv2.Client
	events  *eventbridge.Client
	iam     *iam.Client
	kms     *kms.Client
	logs    *cloudwatchlogs.Client
	rds     *rds.Client
	route53 *route53.Client
	s3      *s3.Client
	scaling *applicationautoscaling.Client
	secrets *secretsmanager.Client
	sns     *sns.Client
	sqs     *sqs.Client
	ssm     *ssm.Client
	sts     *sts.Client
	tags    *resourcegroupstaggingapi.Client
	waf     *wafv2.Client
}

func newEnv(o Options) *Env {
	cfg := o.AWS.Copy()
	if o.Region != "" {
		cfg.Region = o.Region
	}
	e := &Env{
		Suffix: o.Suffix, Region: cfg.Region, outputs: o.Outputs,
		network: o.Network, patience: o.Patience, pace: defaultPace,
	}
	if o.Patience > 0 {
		e.pace = min(defaultPace, o.Patience/looksOfThePatient)
	}
	if e.network == nil {
		e.network = ownNetwork{&net.Dialer{}, net.DefaultResolver}
	}
	cfg.APIOptions = append(slices.Clone(cfg.APIOptions), e.ledger.keep)
	e.api = newClients(cfg)
	return e
}

func newClients(cfg aws.Config) clients {
	return clients{
		acm:     acm.NewFromConfig(cfg),
		cw:      awsclient.CloudWatch(cfg),
		ec2:     ec2.NewFromConfig(cfg),
		ecs:     ecs.NewFromConfig(cfg),
		elb:     elasticloadbalancingv2.NewFromConfig(cfg),
		events:  eventbridge.NewFromConfig(cfg),
		iam:     iam.NewFromConfig(cfg),
		kms:     kms.NewFromConfig(cfg),
		logs:    cloudwatchlogs.NewFromConfig(cfg),
		rds:     rds.NewFromConfig(cfg),
		route53: route53.NewFromConfig(cfg),
		s3:      awsclient.S3(cfg),
		scaling: applicationautoscaling.NewFromConfig(cfg),
		secrets: secretsmanager.NewFromConfig(cfg),
		sns:     sns.NewFromConfig(cfg),
		sqs:     sqs.NewFromConfig(cfg),
		ssm:     ssm.NewFromConfig(cfg),
		sts:     sts.NewFromConfig(cfg),
		tags:    resourcegroupstaggingapi.NewFromConfig(cfg),
		waf:     wafv2.NewFromConfig(cfg),
	}
}

// output is the value of a stack output that holds text.
func (e *Env) output(name string) (string, error) {
	v, ok := e.outputs[name]
	if !ok {
		return "", fmt.Errorf("the stack has no output %q", name)
	}
	s, ok := v.(string)
	if !ok || s == "" {
		return "", fmt.Errorf("the stack's output %q is not a text that says something", name)
	}
	return s, nil
}

// outputList is the value of a stack output that holds a list of texts.
func (e *Env) outputList(name string) ([]string, error) {
	var list []string
	switch v := e.outputs[name].(type) {
	case nil:
		return nil, fmt.Errorf("the stack has no output %q", name)
	case []string:
		list = slices.Clone(v)
	case []any:
		for _, item := range v {
			s, ok := item.(string)
			if !ok {
				return nil, fmt.Errorf("the stack's output %q holds something that is not text", name)
			}
			list = append(list, s)
		}
	default:
		return nil, fmt.Errorf("the stack's output %q is not a list", name)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("the stack's output %q is empty", name)
	}
	return list, nil
}

func (e *Env) identity(ctx context.Context) (Target, error) {
	return shared(ctx, e, "sts:GetCallerIdentity", func(ctx context.Context) (Target, error) {
		out, err := e.api.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if err != nil {
			return Target{}, err
		}
		t := Target{Account: aws.ToString(out.Account), Region: e.Region, Partition: "aws"}
		if who, err := arn.Parse(aws.ToString(out.Arn)); err == nil && who.Partition != "" {
			t.Partition = who.Partition
		}
		if t.Account == "" {
			return t, errors.New("the target did not say whose account it is")
		}
		return t, nil
	})
}

// target is the identity as far as it is known.
func (e *Env) target(ctx context.Context) Target {
	t, err := e.identity(ctx)
	if err != nil {
		return Target{Region: e.Region}
	}
	return t
}

// arn builds the ARN of a resource whose API does not tell it.
func (e *Env) arn(ctx context.Context, service, resource string) string {
	t := e.target(ctx)
	partition := t.Partition
	if partition == "" {
		partition = "aws"
	}
	return arn.ARN{Partition: partition, Service: service, Region: e.Region, AccountID: t.Account, Resource: resource}.String()
}

func (e *Env) ec2ARN(ctx context.Context, kind, id string) string {
	return e.arn(ctx, "ec2", kind+"/"+id)
}

// isNotFound reports an API's way to say that a thing is not there.
func isNotFound(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	code := api.ErrorCode()
	return strings.Contains(code, "NotFound") || strings.Contains(code, "NoSuch") || strings.Contains(code, "NonExistent") ||
		strings.HasSuffix(code, "DoesNotExist") || code == "WAFNonexistentItemException"
}

// isUnimplemented reports an answer that no part of AWS gives for a known call: the endpoint does not know it.
func isUnimplemented(err error) bool {
	var answer *awshttp.ResponseError
	if !errors.As(err, &answer) {
		return false
	}
	switch answer.HTTPStatusCode() {
	case http.StatusNotImplemented, http.StatusInternalServerError:
	default:
		return false
	}
	// A real service that is in trouble answers in its own protocol, with a code.
	var api smithy.APIError
	return answer.HTTPStatusCode() == http.StatusNotImplemented || !errors.As(err, &api) || api.ErrorCode() == "" ||
		api.ErrorCode() == "UnknownError"
}

func tagMap[T any](tags []T, pair func(T) (key, value *string)) map[string]string {
	m := make(map[string]string, len(tags))
	for _, t := range tags {
		k, v := pair(t)
		m[aws.ToString(k)] = aws.ToString(v)
	}
	return m
}
