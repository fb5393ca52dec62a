package sweep

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
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
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/wafv2"
	"github.com/aws/smithy-go/middleware"

	"tapstack/lib/awsclient"
)

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
	waf     *wafv2.Client
}

func newClients(cfg aws.Config) *clients {
	cfg = cfg.Copy()
	cfg.APIOptions = append(slices.Clone(cfg.APIOptions), stopBetweenCalls)
	return &clients{
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
		waf:     wafv2.NewFromConfig(cfg),
	}
}

// stopBetweenCalls is for aws.Config.APIOptions: a context that has ended stops the next call, never one that has begun,
// so that an interrupt leaves no doubt about what was deleted.
func stopBetweenCalls(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("tapstack:stopBetweenCalls",
		func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			if err := ctx.Err(); err != nil {
				return middleware.InitializeOutput{}, middleware.Metadata{}, err
			}
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callLimit)
			defer cancel()
			return next.HandleInitialize(ctx, in)
		}), middleware.Before)
}
