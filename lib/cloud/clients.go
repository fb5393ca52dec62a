// Package cloud is the one way to reach an AWS account: a client per service, a reader that asks for each thing once and
// counts its calls, what the errors of the services mean, and how to wait. It knows nothing of this project's stack.
package cloud

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/schemas"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/wafv2"
	"github.com/aws/smithy-go/transport/http/protocol/awsquery"
)

// Clients has a client for each AWS service that the project uses.
type Clients struct {
	ACM            *acm.Client
	AutoScaling    *applicationautoscaling.Client
	CloudWatch     *cloudwatch.Client
	EC2            *ec2.Client
	ECR            *ecr.Client
	ECS            *ecs.Client
	ELB            *elasticloadbalancingv2.Client
	EventBridge    *eventbridge.Client
	GuardDuty      *guardduty.Client
	IAM            *iam.Client
	KMS            *kms.Client
	Logs           *cloudwatchlogs.Client
	Quotas         *servicequotas.Client
	RDS            *rds.Client
	Route53        *route53.Client
	S3             *s3.Client
	SecretsManager *secretsmanager.Client
	SNS            *sns.Client
	SQS            *sqs.Client
	SSM            *ssm.Client
	STS            *sts.Client
	Tagging        *resourcegroupstaggingapi.Client
	WAF            *wafv2.Client
}

// NewClients makes the clients of one configuration. They work with AWS and with emulators. What an error of theirs quotes
// from an answer is fit to be printed. A call that gets no answer ends as a SilentError, within a minute.
func NewClients(cfg aws.Config) *Clients {
	cfg = cfg.Copy()
	cfg.APIOptions = append(slices.Clone(cfg.APIOptions), printableErrors)
	impatient(&cfg, Patience)
	return &Clients{
		ACM:         acm.NewFromConfig(cfg),
		AutoScaling: applicationautoscaling.NewFromConfig(cfg),
		CloudWatch: cloudwatch.NewFromConfig(cfg, func(o *cloudwatch.Options) {
			// The SDK's own choice, CBOR, is newer than what most emulators understand; AWS serves both.
			o.Protocol = awsquery.New(schemas.GraniteServiceVersion20100801)
		}),
		EC2:         ec2.NewFromConfig(cfg),
		ECR:         ecr.NewFromConfig(cfg),
		ECS:         ecs.NewFromConfig(cfg),
		ELB:         elasticloadbalancingv2.NewFromConfig(cfg),
		EventBridge: eventbridge.NewFromConfig(cfg),
		GuardDuty:   guardduty.NewFromConfig(cfg),
		IAM:         iam.NewFromConfig(cfg),
		KMS:         kms.NewFromConfig(cfg),
		Logs:        cloudwatchlogs.NewFromConfig(cfg),
		Quotas:      servicequotas.NewFromConfig(cfg),
		RDS:         rds.NewFromConfig(cfg),
		Route53:     route53.NewFromConfig(cfg),
		S3: s3.NewFromConfig(cfg, func(o *s3.Options) {
			// A custom endpoint seldom answers for a host name per bucket.
			o.UsePathStyle = o.BaseEndpoint != nil
		}),
		SecretsManager: secretsmanager.NewFromConfig(cfg),
		SNS:            sns.NewFromConfig(cfg),
		SQS:            sqs.NewFromConfig(cfg),
		SSM:            ssm.NewFromConfig(cfg),
		STS:            sts.NewFromConfig(cfg),
		Tagging:        resourcegroupstaggingapi.NewFromConfig(cfg),
		WAF:            wafv2.NewFromConfig(cfg),
	}
}
