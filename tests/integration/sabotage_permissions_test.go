package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	iampolicy "github.com/micahhausler/aws-iam-policy/policy"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
	"tapstack/lib/policy"
)

func permissionSabotages() []sabotage {
	return []sabotage{
		{
			Check: "iam.trust", Says: "let the monitoring service of every account take on a role",
			Do: func(ctx context.Context, s *saboteur) {
				call(ctx, s, s.IAM.UpdateAssumeRolePolicy, &iam.UpdateAssumeRolePolicyInput{
					RoleName:       aws.String(s.named("rds-monitoring-role")),
					PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"monitoring.rds.amazonaws.com"},"Action":"sts:AssumeRole"}]}`),
				})
			},
		},
		widensRole("iam.no-wildcards", "let the flow logs' role do everything with logs, everywhere", "vpc-flow-log-role", func(*saboteur) (string, string) {
			return "logs:*", "*"
		}, "iam.infrastructure-roles"),
		widensRole("iam.infrastructure-roles", "let the database's monitoring delete log groups", "rds-monitoring-role", func(*saboteur) (string, string) {
			return "logs:DeleteLogGroup", "arn:aws:logs:us-east-1:123456789012:log-group:/ecs/*"
		}),
		widensRole("iam.execution-roles", "let payment-api start with a foreign secret", "payment-api-execution-role", func(*saboteur) (string, string) {
			return "secretsmanager:GetSecretValue", "arn:aws:secretsmanager:us-east-1:123456789012:secret:foreign-abcdef"
		}),
		widensRole("iam.task-roles", "let payment-api empty the queue", "payment-api-task-role", func(s *saboteur) (string, string) {
			return "sqs:PurgeQueue", fmt.Sprintf("arn:aws:sqs:us-east-1:123456789012:%s", s.named("payment-jobs"))
		}),
		addsToRole("iam.task-roles", "give the job processor everything by one more inline policy", func(ctx context.Context, s *saboteur) {
			role, name := aws.String(s.named("job-processor-task-role")), aws.String("by-hand")
			call(ctx, s, s.IAM.PutRolePolicy, &iam.PutRolePolicyInput{RoleName: role, PolicyName: name, PolicyDocument: aws.String(allowEverything)})
			later(s, s.IAM.DeleteRolePolicy, &iam.DeleteRolePolicyInput{RoleName: role, PolicyName: name})
		}, "iam.no-wildcards", "iam.parameter-access"),
		addsToRole("iam.execution-roles", "give the API's start everything by one more managed policy", func(ctx context.Context, s *saboteur) {
			made := call(ctx, s, s.IAM.CreatePolicy, &iam.CreatePolicyInput{PolicyName: aws.String("by-hand"), PolicyDocument: aws.String(allowEverything)})
			role, id := aws.String(s.named("payment-api-execution-role")), made.Policy.Arn
			later(s, s.IAM.DeletePolicy, &iam.DeletePolicyInput{PolicyArn: id})
			call(ctx, s, s.IAM.AttachRolePolicy, &iam.AttachRolePolicyInput{RoleName: role, PolicyArn: id})
			later(s, s.IAM.DetachRolePolicy, &iam.DetachRolePolicyInput{RoleName: role, PolicyArn: id})
		}, "iam.no-wildcards"),
		addsToRole("iam.task-roles", "let the migration send jobs", func(ctx context.Context, s *saboteur) {
			role, name := aws.String(s.named("payment-migrate-task-role")), aws.String("by-hand")
			call(ctx, s, s.IAM.PutRolePolicy, &iam.PutRolePolicyInput{RoleName: role, PolicyName: name, PolicyDocument: aws.String(fmt.Sprintf(
				`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sqs:SendMessage","Resource":"arn:aws:sqs:us-east-1:123456789012:%s"}]}`, s.named("payment-jobs"),
			))})
			later(s, s.IAM.DeleteRolePolicy, &iam.DeleteRolePolicyInput{RoleName: role, PolicyName: name})
		}),
		widensRole("iam.execution-roles", "let payment-api start with the master user's secret", "payment-api-execution-role", func(s *saboteur) (string, string) {
			return "secretsmanager:GetSecretValue", s.output(lib.OutputDBSecretArn)
		}),
		narrowsRole("iam.task-roles", "take from the job processor what keeps its tasks at work from being stopped", "job-processor-task-role", "ProtectOwnTasks"),
		widensRole("iam.parameter-access", "let the job processor change its parameters", "job-processor-task-role", func(s *saboteur) (string, string) {
			return "ssm:PutParameter", fmt.Sprintf("arn:aws:ssm:us-east-1:123456789012:parameter/payment/%s/job-retry-count", s.suffix)
		}),
		{
			Check: "iam.log-delivery-policy", Says: "let the log delivery of every account write everywhere",
			Do: func(ctx context.Context, s *saboteur) {
				call(ctx, s, s.Logs.PutResourcePolicy, &cloudwatchlogs.PutResourcePolicyInput{
					PolicyName:     aws.String(s.named("waf-logs-policy")),
					PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"delivery.logs.amazonaws.com"},"Action":["logs:CreateLogStream","logs:PutLogEvents"],"Resource":"*"}]}`),
				})
			},
		},
	}
}

const allowEverything = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`

func addsToRole(check, says string, do func(ctx context.Context, s *saboteur), also ...string) sabotage {
	return sabotage{Check: check, Says: says, Also: also, Unhealable: byHand, Do: do}
}

// widensRole adds a statement to an inline policy that the role has, so that the provider sees it.
func widensRole(check, says, role string, grant func(*saboteur) (action, resource string), also ...string) sabotage {
	return changesRole(check, says, role, func(s *saboteur, document *policy.Policy) {
		action, resource := grant(s)
		document.Statements.Add(policy.Statement{
			Effect: "Allow", Action: iampolicy.NewStringOrSlice(true, action), Resource: iampolicy.NewStringOrSlice(true, resource),
		})
	}, also...)
}

// narrowsRole takes a statement away.
func narrowsRole(check, says, role, sid string) sabotage {
	return changesRole(check, says, role, func(s *saboteur, document *policy.Policy) {
		was := policy.Statements(*document)
		kept := slices.DeleteFunc(slices.Clone(was), func(st policy.Statement) bool { return st.Sid == sid })
		require.Len(s, kept, len(was)-1, "statement %s of %s", sid, role)
		document.Statements = iampolicy.NewStatementOrSlice(kept...)
	})
}

func changesRole(check, says, role string, change func(*saboteur, *policy.Policy), also ...string) sabotage {
	return sabotage{Check: check, Says: says, Also: also, Do: func(ctx context.Context, s *saboteur) {
		name := aws.String(s.named(role))
		list := call(ctx, s, s.IAM.ListRolePolicies, &iam.ListRolePoliciesInput{RoleName: name})
		inline := first(s, "inline policy of "+role, list.PolicyNames)
		now := call(ctx, s, s.IAM.GetRolePolicy, &iam.GetRolePolicyInput{RoleName: name, PolicyName: &inline})
		document, err := policy.Parse(aws.ToString(now.PolicyDocument))
		require.NoError(s, err)
		change(s, &document)
		written, err := json.Marshal(document)
		require.NoError(s, err)
		call(ctx, s, s.IAM.PutRolePolicy, &iam.PutRolePolicyInput{RoleName: name, PolicyName: &inline, PolicyDocument: aws.String(string(written))})
	}}
}

func taggingSabotages() []sabotage {
	return []sabotage{
		{Check: "tags.environment", Says: "tag the queue as staging", On: "tags of the queue", Do: func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.SQS.TagQueue, &sqs.TagQueueInput{
				QueueUrl: aws.String(s.output(lib.OutputQueueURL)), Tags: map[string]string{"Environment": "staging"},
			})
		}},
		{Check: "tags.migration-batch", Says: "take the batch's tag off a secret", Do: func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.SecretsManager.TagResource, &secretsmanager.TagResourceInput{
				SecretId: aws.String(s.output(lib.OutputDBSecretArn)), Tags: []smtypes.Tag{{Key: aws.String("MigrationBatch"), Value: aws.String("phase-9")}},
			})
		}},
		{
			Check: "tags.provenance", Says: "hand the queue to another owner", On: "tags of the queue",
			Do: func(ctx context.Context, s *saboteur) {
				call(ctx, s, s.SQS.TagQueue, &sqs.TagQueueInput{
					QueueUrl: aws.String(s.output(lib.OutputQueueURL)), Tags: map[string]string{lib.TagOwner: "somebody-else"},
				})
			},
		},
		{Check: "tags.scaling-targets", Says: "tag a scalable target as staging", Do: func(ctx context.Context, s *saboteur) {
			out := call(ctx, s, s.AutoScaling.DescribeScalableTargets, &applicationautoscaling.DescribeScalableTargetsInput{
				ServiceNamespace: "ecs", ResourceIds: []string{*s.scalable(paymentAPI)},
			})
			scalable := first(s, "scalable target", out.ScalableTargets)
			call(ctx, s, s.AutoScaling.TagResource, &applicationautoscaling.TagResourceInput{
				ResourceARN: scalable.ScalableTargetARN, Tags: map[string]string{"Environment": "staging"},
			})
		}},
		renames("names.suffix", "take the suffix off the name of an Elastic IP", "nat-eip-1", func(*saboteur) string { return "nat-eip-1" }, "names.convention"),
		renames("names.convention", "name a NAT gateway as nothing of the stack is named", "nat-gateway-3", func(s *saboteur) string { return s.named("mystery") }),
	}
}

// renames changes the Name tag of a resource of EC2's.
func renames(check, says, role string, name func(*saboteur) string, also ...string) sabotage {
	return sabotage{Check: check, Says: says, Also: also, On: "nat gateways", Do: func(ctx context.Context, s *saboteur) {
		out := call(ctx, s, s.EC2.DescribeTags, &ec2.DescribeTagsInput{Filters: []ec2types.Filter{
			{Name: aws.String("key"), Values: []string{"Name"}}, {Name: aws.String("value"), Values: []string{s.named(role)}},
		}})
		tag := find(s, role, out.Tags, func(t ec2types.TagDescription) bool { return aws.ToString(t.Value) == s.named(role) })
		call(ctx, s, s.EC2.CreateTags, &ec2.CreateTagsInput{
			Resources: []string{*tag.ResourceId}, Tags: []ec2types.Tag{{Key: aws.String("Name"), Value: aws.String(name(s))}},
		})
	}}
}

func bucketSabotages() []sabotage {
	return []sabotage{
		changesBucket("bucket.encrypted", "encrypt the access logs with a key that load balancers cannot use", func(ctx context.Context, s *saboteur, bucket *string) {
			call(ctx, s, s.S3.PutBucketEncryption, &s3.PutBucketEncryptionInput{
				Bucket: bucket,
				ServerSideEncryptionConfiguration: &s3types.ServerSideEncryptionConfiguration{Rules: []s3types.ServerSideEncryptionRule{{
					ApplyServerSideEncryptionByDefault: &s3types.ServerSideEncryptionByDefault{SSEAlgorithm: s3types.ServerSideEncryptionAwsKms},
				}}},
			})
		}),
		changesBucket("bucket.tls-only", "delete the bucket's policy", func(ctx context.Context, s *saboteur, bucket *string) {
			call(ctx, s, s.S3.DeleteBucketPolicy, &s3.DeleteBucketPolicyInput{Bucket: bucket})
		}),
		changesBucket("bucket.private", "let public policies onto the bucket", func(ctx context.Context, s *saboteur, bucket *string) {
			call(ctx, s, s.S3.PutPublicAccessBlock, &s3.PutPublicAccessBlockInput{
				Bucket: bucket,
				PublicAccessBlockConfiguration: &s3types.PublicAccessBlockConfiguration{
					BlockPublicAcls: aws.Bool(true), IgnorePublicAcls: aws.Bool(true), BlockPublicPolicy: aws.Bool(false), RestrictPublicBuckets: aws.Bool(false),
				},
			})
		}),
		addsToBucket("bucket.private", "let scripts of every website read the bucket", func(ctx context.Context, s *saboteur, bucket *string) {
			call(ctx, s, s.S3.PutBucketCors, &s3.PutBucketCorsInput{Bucket: bucket, CORSConfiguration: &s3types.CORSConfiguration{
				CORSRules: []s3types.CORSRule{{AllowedMethods: []string{"GET"}, AllowedOrigins: []string{"*"}}},
			}})
			later(s, s.S3.DeleteBucketCors, &s3.DeleteBucketCorsInput{Bucket: bucket})
		}),
		addsToBucket("bucket.private", "make a website of the bucket", func(ctx context.Context, s *saboteur, bucket *string) {
			call(ctx, s, s.S3.PutBucketWebsite, &s3.PutBucketWebsiteInput{Bucket: bucket, WebsiteConfiguration: &s3types.WebsiteConfiguration{
				IndexDocument: &s3types.IndexDocument{Suffix: aws.String("index.html")},
			}})
			later(s, s.S3.DeleteBucketWebsite, &s3.DeleteBucketWebsiteInput{Bucket: bucket})
		}),
		changesBucket("bucket.ownership", "let writers own the access logs", func(ctx context.Context, s *saboteur, bucket *string) {
			call(ctx, s, s.S3.PutBucketOwnershipControls, &s3.PutBucketOwnershipControlsInput{
				Bucket: bucket,
				OwnershipControls: &s3types.OwnershipControls{Rules: []s3types.OwnershipControlsRule{
					{ObjectOwnership: s3types.ObjectOwnershipObjectWriter},
				}},
			})
		}),
		changesBucket("bucket.ownership", "delete the bucket's ownership controls", func(ctx context.Context, s *saboteur, bucket *string) {
			call(ctx, s, s.S3.DeleteBucketOwnershipControls, &s3.DeleteBucketOwnershipControlsInput{Bucket: bucket})
		}),
		changesBucket("bucket.versions", "keep no versions of access logs", func(ctx context.Context, s *saboteur, bucket *string) {
			call(ctx, s, s.S3.PutBucketVersioning, &s3.PutBucketVersioningInput{
				Bucket: bucket, VersioningConfiguration: &s3types.VersioningConfiguration{Status: s3types.BucketVersioningStatusSuspended},
			})
		}),
		changesBucket("bucket.lifecycle", "let access logs expire after a month", func(ctx context.Context, s *saboteur, bucket *string) {
			now := call(ctx, s, s.S3.GetBucketLifecycleConfiguration, &s3.GetBucketLifecycleConfigurationInput{Bucket: bucket})
			for i := range now.Rules {
				if now.Rules[i].Expiration != nil {
					now.Rules[i].Expiration.Days = aws.Int32(30)
				}
			}
			call(ctx, s, s.S3.PutBucketLifecycleConfiguration, &s3.PutBucketLifecycleConfigurationInput{
				Bucket: bucket, LifecycleConfiguration: &s3types.BucketLifecycleConfiguration{Rules: now.Rules},
			})
		}),
	}
}

// addsToBucket changes what Pulumi has resources of its own for, of which the stack has none.
func addsToBucket(check, says string, change func(ctx context.Context, s *saboteur, bucket *string)) sabotage {
	added := changesBucket(check, says, change)
	added.Unhealable = byHand
	return added
}

func changesBucket(check, says string, change func(context.Context, *saboteur, *string)) sabotage {
	return sabotage{Check: check, Says: says, Do: func(ctx context.Context, s *saboteur) {
		change(ctx, s, aws.String(s.named("alb-logs-123456789012-us-east-1")))
	}}
}
