package cloud

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	acmtypes "github.com/aws/aws-sdk-go-v2/service/acm/types"
	scaling "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/aws-sdk-go-v2/service/wafv2"
	waftypes "github.com/aws/aws-sdk-go-v2/service/wafv2/types"
)

// This file holds what is known of one resource.

func (r *Reader) VPCAttribute(ctx context.Context, id string, name ec2types.VpcAttributeName) (*ec2.DescribeVpcAttributeOutput, error) {
	return get(ctx, r, "ec2:DescribeVpcAttribute "+id+" "+string(name), r.EC2.DescribeVpcAttribute,
		&ec2.DescribeVpcAttributeInput{VpcId: &id, Attribute: name}, self)
}

// PrefixListCIDRs are the address ranges of a managed prefix list.
func (r *Reader) PrefixListCIDRs(ctx context.Context, id string) ([]string, error) {
	return list(ctx, r, "ec2:GetManagedPrefixListEntries "+id,
		ec2.NewGetManagedPrefixListEntriesPaginator(r.EC2, &ec2.GetManagedPrefixListEntriesInput{PrefixListId: &id}),
		func(o *ec2.GetManagedPrefixListEntriesOutput) []string {
			var all []string
			for _, e := range o.Entries {
				all = append(all, aws.ToString(e.Cidr))
			}
			return all
		})
}

// DBClusterParameters are the values of a cluster parameter group by name.
func (r *Reader) DBClusterParameters(ctx context.Context, group string) (map[string]string, error) {
	all, err := list(ctx, r, "rds:DescribeDBClusterParameters "+group,
		rds.NewDescribeDBClusterParametersPaginator(r.RDS, &rds.DescribeDBClusterParametersInput{DBClusterParameterGroupName: &group}),
		func(o *rds.DescribeDBClusterParametersOutput) []rdstypes.Parameter { return o.Parameters })
	values := map[string]string{}
	for _, p := range all {
		if p.ParameterValue != nil {
			values[aws.ToString(p.ParameterName)] = *p.ParameterValue
		}
	}
	return values, err
}

func (r *Reader) RDSTags(ctx context.Context, arn string) (map[string]string, error) {
	return get(ctx, r, "rds:ListTagsForResource "+arn, r.RDS.ListTagsForResource, &rds.ListTagsForResourceInput{ResourceName: &arn},
		func(o *rds.ListTagsForResourceOutput) map[string]string {
			return TagMap(o.TagList, func(t rdstypes.Tag) (*string, *string) { return t.Key, t.Value })
		})
}

// TaskDefinition is one, with its tags, by ARN or by family and revision.
func (r *Reader) TaskDefinition(ctx context.Context, id string) (TaskDefinition, error) {
	return Once(ctx, r, "ecs:DescribeTaskDefinition "+id, func(ctx context.Context) (TaskDefinition, error) {
		out, err := r.ECS.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{
			TaskDefinition: &id, Include: []ecstypes.TaskDefinitionField{ecstypes.TaskDefinitionFieldTags},
		})
		if err != nil {
			return TaskDefinition{}, err
		}
		if out.TaskDefinition == nil {
			return TaskDefinition{}, errors.New("the answer is empty")
		}
		return TaskDefinition{*out.TaskDefinition, out.Tags}, nil
	})
}

// TaskDefinition is a task definition with its tags, which ECS tells beside it.
type TaskDefinition struct {
	ecstypes.TaskDefinition
	Tags []ecstypes.Tag
}

// ScalingTags does not try again: a target that does not know the call answers as if it were in trouble.
func (r *Reader) ScalingTags(ctx context.Context, arn string) (map[string]string, error) {
	return Once(ctx, r, "application-autoscaling:ListTagsForResource "+arn, func(ctx context.Context) (map[string]string, error) {
		out, err := r.AutoScaling.ListTagsForResource(ctx, &scaling.ListTagsForResourceInput{ResourceARN: &arn},
			func(o *scaling.Options) { o.Retryer = aws.NopRetryer{} })
		if err != nil {
			return nil, err
		}
		return out.Tags, nil
	})
}

func (r *Reader) LoadBalancerAttributes(ctx context.Context, arn string) (map[string]string, error) {
	return get(ctx, r, "elasticloadbalancing:DescribeLoadBalancerAttributes "+arn, r.ELB.DescribeLoadBalancerAttributes,
		&elb.DescribeLoadBalancerAttributesInput{LoadBalancerArn: &arn},
		func(o *elb.DescribeLoadBalancerAttributesOutput) map[string]string {
			return TagMap(o.Attributes, func(a elbtypes.LoadBalancerAttribute) (*string, *string) { return a.Key, a.Value })
		})
}

func (r *Reader) TargetGroupAttributes(ctx context.Context, arn string) (map[string]string, error) {
	return get(ctx, r, "elasticloadbalancing:DescribeTargetGroupAttributes "+arn, r.ELB.DescribeTargetGroupAttributes,
		&elb.DescribeTargetGroupAttributesInput{TargetGroupArn: &arn},
		func(o *elb.DescribeTargetGroupAttributesOutput) map[string]string {
			return TagMap(o.Attributes, func(a elbtypes.TargetGroupAttribute) (*string, *string) { return a.Key, a.Value })
		})
}

func (r *Reader) TargetHealth(ctx context.Context, targetGroup string) ([]elbtypes.TargetHealthDescription, error) {
	return get(ctx, r, "elasticloadbalancing:DescribeTargetHealth "+targetGroup, r.ELB.DescribeTargetHealth,
		&elb.DescribeTargetHealthInput{TargetGroupArn: &targetGroup},
		func(o *elb.DescribeTargetHealthOutput) []elbtypes.TargetHealthDescription {
			return o.TargetHealthDescriptions
		})
}

func (r *Reader) Certificate(ctx context.Context, arn string) (acmtypes.CertificateDetail, error) {
	return getPart(ctx, r, "acm:DescribeCertificate "+arn, r.ACM.DescribeCertificate, &acm.DescribeCertificateInput{CertificateArn: &arn},
		func(o *acm.DescribeCertificateOutput) *acmtypes.CertificateDetail { return o.Certificate })
}

// WebACLFor is the web ACL in front of a resource, nil when there is none.
func (r *Reader) WebACLFor(ctx context.Context, arn string) (*waftypes.WebACL, error) {
	return get(ctx, r, "wafv2:GetWebACLForResource "+arn, r.WAF.GetWebACLForResource, &wafv2.GetWebACLForResourceInput{ResourceArn: &arn},
		func(o *wafv2.GetWebACLForResourceOutput) *waftypes.WebACL { return o.WebACL })
}

func (r *Reader) QueueAttributes(ctx context.Context, url string) (map[string]string, error) {
	return get(ctx, r, "sqs:GetQueueAttributes "+url, r.SQS.GetQueueAttributes,
		&sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameAll}},
		func(o *sqs.GetQueueAttributesOutput) map[string]string { return o.Attributes })
}

func (r *Reader) QueueTags(ctx context.Context, url string) (map[string]string, error) {
	return get(ctx, r, "sqs:ListQueueTags "+url, r.SQS.ListQueueTags, &sqs.ListQueueTagsInput{QueueUrl: &url},
		func(o *sqs.ListQueueTagsOutput) map[string]string { return o.Tags })
}

func (r *Reader) TopicAttributes(ctx context.Context, arn string) (map[string]string, error) {
	return get(ctx, r, "sns:GetTopicAttributes "+arn, r.SNS.GetTopicAttributes, &sns.GetTopicAttributesInput{TopicArn: &arn},
		func(o *sns.GetTopicAttributesOutput) map[string]string { return o.Attributes })
}

func (r *Reader) Key(ctx context.Context, id string) (kmstypes.KeyMetadata, error) {
	return getPart(ctx, r, "kms:DescribeKey "+id, r.KMS.DescribeKey, &kms.DescribeKeyInput{KeyId: &id},
		func(o *kms.DescribeKeyOutput) *kmstypes.KeyMetadata { return o.KeyMetadata })
}

func (r *Reader) KeyPolicy(ctx context.Context, id string) (string, error) {
	return get(ctx, r, "kms:GetKeyPolicy "+id, r.KMS.GetKeyPolicy, &kms.GetKeyPolicyInput{KeyId: &id, PolicyName: aws.String("default")},
		func(o *kms.GetKeyPolicyOutput) string { return aws.ToString(o.Policy) })
}

func (r *Reader) Secret(ctx context.Context, id string) (*secretsmanager.DescribeSecretOutput, error) {
	return get(ctx, r, "secretsmanager:DescribeSecret "+id, r.SecretsManager.DescribeSecret,
		&secretsmanager.DescribeSecretInput{SecretId: &id}, self)
}

func (r *Reader) SecretPolicy(ctx context.Context, id string) (string, error) {
	return get(ctx, r, "secretsmanager:GetResourcePolicy "+id, r.SecretsManager.GetResourcePolicy,
		&secretsmanager.GetResourcePolicyInput{SecretId: &id},
		func(o *secretsmanager.GetResourcePolicyOutput) string { return aws.ToString(o.ResourcePolicy) })
}

func (r *Reader) BucketPolicy(ctx context.Context, bucket string) (string, error) {
	return get(ctx, r, "s3:GetBucketPolicy "+bucket, r.S3.GetBucketPolicy, &s3.GetBucketPolicyInput{Bucket: &bucket},
		func(o *s3.GetBucketPolicyOutput) string { return aws.ToString(o.Policy) })
}

func (r *Reader) BucketVersioning(ctx context.Context, bucket string) (*s3.GetBucketVersioningOutput, error) {
	return get(ctx, r, "s3:GetBucketVersioning "+bucket, r.S3.GetBucketVersioning, &s3.GetBucketVersioningInput{Bucket: &bucket}, self)
}
