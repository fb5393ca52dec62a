package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	acmtypes "github.com/aws/aws-sdk-go-v2/service/acm/types"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	scalingtypes "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	route53types "github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/wafv2"
	waftypes "github.com/aws/aws-sdk-go-v2/service/wafv2/types"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
)

const (
	aclType            = "aws:wafv2/webAcl:WebAcl"
	aclAssociationType = "aws:wafv2/webAclAssociation:WebAclAssociation"
	aclLoggingType     = "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration"
	alarmType          = "aws:cloudwatch/metricAlarm:MetricAlarm"
	balancerType       = "aws:lb/loadBalancer:LoadBalancer"
	bucketType         = "aws:s3/bucketV2:BucketV2"
	bucketPolicyType   = "aws:s3/bucketPolicy:BucketPolicy"
	capacityType       = "aws:ecs/clusterCapacityProviders:ClusterCapacityProviders"
	certificateType    = "aws:acm/certificate:Certificate"
	dashboardType      = "aws:cloudwatch/dashboard:Dashboard"
	dbClusterType      = "aws:rds/cluster:Cluster"
	dbInstanceType     = "aws:rds/clusterInstance:ClusterInstance"
	dbParametersType   = "aws:rds/clusterParameterGroup:ClusterParameterGroup"
	dbSubnetsType      = "aws:rds/subnetGroup:SubnetGroup"
	dbEventsType       = "aws:rds/eventSubscription:EventSubscription"
	ecsClusterType     = "aws:ecs/cluster:Cluster"
	encryptionType     = "aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2"
	eventRuleType      = "aws:cloudwatch/eventRule:EventRule"
	eventTargetType    = "aws:cloudwatch/eventTarget:EventTarget"
	keyAliasType       = "aws:kms/alias:Alias"
	keyType            = "aws:kms/key:Key"
	lifecycleType      = "aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2"
	listenerType       = "aws:lb/listener:Listener"
	logGroupType       = "aws:cloudwatch/logGroup:LogGroup"
	logPolicyType      = "aws:cloudwatch/logResourcePolicy:LogResourcePolicy"
	ownershipType      = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"
	parameterType      = "aws:ssm/parameter:Parameter"
	publicAccessType   = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
	queueType          = "aws:sqs/queue:Queue"
	queuePolicyType    = "aws:sqs/queuePolicy:QueuePolicy"
	recordType         = "aws:route53/record:Record"
	redriveAllowType   = "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy"
	roleType           = "aws:iam/role:Role"
	rolePolicyType     = "aws:iam/rolePolicy:RolePolicy"
	ruleType           = "aws:lb/listenerRule:ListenerRule"
	scalableType       = "aws:appautoscaling/target:Target"
	scalingPolicyType  = "aws:appautoscaling/policy:Policy"
	secretType         = "aws:secretsmanager/secret:Secret"
	secretPolicyType   = "aws:secretsmanager/secretPolicy:SecretPolicy"
	secretVersionType  = "aws:secretsmanager/secretVersion:SecretVersion"
	serviceType        = "aws:ecs/service:Service"
	subscriptionType   = "aws:sns/topicSubscription:TopicSubscription"
	targetGroupType    = "aws:lb/targetGroup:TargetGroup"
	taskType           = "aws:ecs/taskDefinition:TaskDefinition"
	topicType          = "aws:sns/topic:Topic"
	topicPolicyType    = "aws:sns/topicPolicy:TopicPolicy"
	validationType     = "aws:acm/certificateValidation:CertificateValidation"
	versioningType     = "aws:s3/bucketVersioningV2:BucketVersioningV2"
)

// deeds are the table: at least one change and one deletion for every type of resource that the stack has in the cloud.
func deeds() []deed {
	return slices.Concat(networkDeeds(), databaseDeeds(), secretDeeds(), applicationDeeds(), balancingDeeds(), queueDeeds(), alertingDeeds(),
		permissionDeeds(), bucketDeeds())
}

func facts() map[string]fact {
	all := networkFacts()
	for _, more := range []map[string]fact{
		databaseFacts(), secretFacts(), applicationFacts(), balancingFacts(), queueFacts(), alertingFacts(), permissionFacts(), bucketFacts(),
	} {
		maps.Copy(all, more)
	}
	return all
}

// canonical is a document apart from its spelling.
func canonical(s *saboteur, document string) any {
	var content any
	require.NoError(s, json.Unmarshal([]byte(document), &content))
	return content
}

func databaseDeeds() []deed {
	return []deed{
		sabotaged(dbClusterType, "aurora-cluster", "database.backups", "keep backups for one day"),
		takes(dbClusterType, "aurora-cluster", "delete it, and all data", "its instances", func(ctx context.Context, s *saboteur) {
			for _, name := range []string{"aurora-reader-1", "aurora-reader-2", "aurora-writer"} {
				s.deleteReader(ctx, name)
			}
			call(ctx, s, s.RDS.DeleteDBCluster, &rds.DeleteDBClusterInput{
				DBClusterIdentifier: aws.String(s.named("aurora-cluster")), SkipFinalSnapshot: aws.Bool(true),
			})
		}),
		sabotaged(dbInstanceType, "aurora-reader-2", "database.promotion-tiers", "put a reader last in line"),
		deletes(dbInstanceType, "aurora-reader-1", "delete a reader", by("database.topology", "delete a reader")),
		sabotaged(dbParametersType, "db-cluster-parameter-group", "database.force-ssl", "let clients connect without TLS"),
		takes(dbParametersType, "db-cluster-parameter-group", "delete it, which AWS refuses as long as the cluster is there", "the cluster", func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.RDS.DeleteDBClusterParameterGroup, &rds.DeleteDBClusterParameterGroupInput{
				DBClusterParameterGroupName: aws.String(s.named("db-cluster-parameter-group-16")),
			})
		}),
		modifies(dbSubnetsType, "db-subnet-group", "leave it two subnets", func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.RDS.ModifyDBSubnetGroup, &rds.ModifyDBSubnetGroupInput{
				DBSubnetGroupName: aws.String(s.named("db-subnet-group")), SubnetIds: s.list(lib.OutputPrivateSubnetIDs)[:2],
			})
		}),
		takes(dbSubnetsType, "db-subnet-group", "delete it, which AWS refuses as long as the cluster is there", "the cluster", func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.RDS.DeleteDBSubnetGroup, &rds.DeleteDBSubnetGroupInput{DBSubnetGroupName: aws.String(s.named("db-subnet-group"))})
		}),
		modifies(dbEventsType, "db-cluster-events", "change a tag of it", func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.RDS.AddTagsToResource, &rds.AddTagsToResourceInput{
				ResourceName: s.subscriptionTo(ctx, "db-cluster-events").EventSubscriptionArn,
				Tags:         []rdstypes.Tag{{Key: aws.String("Environment"), Value: aws.String("staging")}},
			})
		}),
		deletes(dbEventsType, "db-instance-events", "delete it", by("alerts.database-events", "delete the subscription to the instances' events")),
	}
}

func (s *saboteur) subscriptionTo(ctx context.Context, name string) rdstypes.EventSubscription {
	out := call(ctx, s, s.RDS.DescribeEventSubscriptions, &rds.DescribeEventSubscriptionsInput{SubscriptionName: aws.String(s.named(name))})
	return first(s, name, out.EventSubscriptionsList)
}

func databaseFacts() map[string]fact {
	return map[string]fact{
		dbClusterType: func(ctx context.Context, s *saboteur, name string) any {
			out := call(ctx, s, s.RDS.DescribeDBClusters, &rds.DescribeDBClustersInput{DBClusterIdentifier: aws.String(s.named(name))})
			return first(s, name, out.DBClusters).BackupRetentionPeriod
		},
		dbInstanceType: func(ctx context.Context, s *saboteur, name string) any {
			out := call(ctx, s, s.RDS.DescribeDBInstances, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: aws.String(s.named(name))})
			i := first(s, name, out.DBInstances)
			return []any{i.PromotionTier, i.AvailabilityZone}
		},
		dbParametersType: func(ctx context.Context, s *saboteur, _ string) any {
			out := call(ctx, s, s.RDS.DescribeDBClusterParameters, &rds.DescribeDBClusterParametersInput{
				DBClusterParameterGroupName: aws.String(s.named("db-cluster-parameter-group-16")),
			})
			return find(s, "rds.force_ssl", out.Parameters, func(p rdstypes.Parameter) bool { return aws.ToString(p.ParameterName) == "rds.force_ssl" }).ParameterValue
		},
		dbSubnetsType: func(ctx context.Context, s *saboteur, name string) any {
			out := call(ctx, s, s.RDS.DescribeDBSubnetGroups, &rds.DescribeDBSubnetGroupsInput{DBSubnetGroupName: aws.String(s.named(name))})
			var ids []string
			for _, n := range first(s, name, out.DBSubnetGroups).Subnets {
				ids = append(ids, aws.ToString(n.SubnetIdentifier))
			}
			return sorted(ids)
		},
		dbEventsType: func(ctx context.Context, s *saboteur, name string) any {
			out := call(ctx, s, s.RDS.ListTagsForResource, &rds.ListTagsForResourceInput{ResourceName: s.subscriptionTo(ctx, name).EventSubscriptionArn})
			return find(s, "tag", out.TagList, func(t rdstypes.Tag) bool { return aws.ToString(t.Key) == "Environment" }).Value
		},
	}
}

func secretDeeds() []deed {
	return []deed{
		sabotaged(secretType, "payment-db-credentials", "tags.migration-batch", "take the batch's tag off a secret"),
		{
			Type: secretType, Of: "payment-api-keys", Says: "delete it at once", Deletes: true, With: "its value and its policy",
			Why: "one deleted with a recovery window keeps its name: `aws secretsmanager restore-secret` first, or `up` stops",
			Do: func(ctx context.Context, s *saboteur) {
				call(ctx, s, s.SecretsManager.DeleteSecret, &secretsmanager.DeleteSecretInput{
					SecretId: aws.String(s.named("payment-api-keys")), ForceDeleteWithoutRecovery: aws.Bool(true),
				})
			},
		},
		sabotaged(secretPolicyType, "payment-db-credentials-policy", "secrets.readers", "let another role read a secret"),
		deletes(secretPolicyType, "payment-db-credentials-policy", "delete it", by("secrets.tls-only", "delete the resource policy of a secret")),
		{
			Type: secretVersionType, Of: "payment-api-keys-value", Says: "write another value", Red: "secrets.api-keys", Why: newerVersion,
			Do: by("secrets.api-keys", "write a short API key"),
		},
		{Type: secretVersionType, Says: "delete the value alone", Deletes: true, Why: "no call does it: the current version goes with its secret only"},
		sabotaged(parameterType, "api-timeout-seconds", "parameters.values", "set the API's timeout to a word"),
		deletes(parameterType, "job-retry-count", "delete it", func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.SSM.DeleteParameter, &ssm.DeleteParameterInput{Name: aws.String("/payment/" + s.suffix + "/job-retry-count")})
		}),
	}
}

func secretFacts() map[string]fact {
	return map[string]fact{
		secretType: func(ctx context.Context, s *saboteur, name string) any {
			out := call(ctx, s, s.SecretsManager.DescribeSecret, &secretsmanager.DescribeSecretInput{SecretId: aws.String(s.named(name))})
			tags := map[string]string{}
			for _, t := range out.Tags {
				tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
			}
			return tags
		},
		secretPolicyType: func(ctx context.Context, s *saboteur, _ string) any {
			out := call(ctx, s, s.SecretsManager.GetResourcePolicy, &secretsmanager.GetResourcePolicyInput{SecretId: aws.String(s.output(lib.OutputDBSecretArn))})
			return canonical(s, aws.ToString(out.ResourcePolicy))
		},
		secretVersionType: func(ctx context.Context, s *saboteur, _ string) any {
			fields := s.secretFields(ctx, lib.OutputAPIKeysSecretArn)
			key, _ := fields["apiKey"].(string)
			return len(key) // a failure tells no secret
		},
		parameterType: func(ctx context.Context, s *saboteur, name string) any {
			return call(ctx, s, s.SSM.GetParameter, &ssm.GetParameterInput{Name: aws.String("/payment/" + s.suffix + "/" + name)}).Parameter.Value
		},
	}
}

func applicationDeeds() []deed {
	deletesService := func(ctx context.Context, s *saboteur, role string) {
		call(ctx, s, s.ECS.DeleteService, &ecs.DeleteServiceInput{
			Cluster: aws.String(s.output(lib.OutputEcsClusterName)), Service: aws.String(s.named(role)), Force: aws.Bool(true),
		})
	}
	return []deed{
		sabotaged(ecsClusterType, "ecs-cluster", "logs.container-insights", "switch Container Insights off"),
		takes(ecsClusterType, "ecs-cluster", "delete it, which AWS refuses while it has services", "its services", func(ctx context.Context, s *saboteur) {
			deletesService(ctx, s, paymentAPI)
			deletesService(ctx, s, jobProcessor)
			call(ctx, s, s.ECS.DeleteCluster, &ecs.DeleteClusterInput{Cluster: aws.String(s.output(lib.OutputEcsClusterName))})
		}),
		sabotaged(capacityType, "ecs-capacity-providers", "application.cluster", "take Fargate from the cluster"),
		deletes(capacityType, "ecs-capacity-providers", "take all providers from the cluster", func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.ECS.PutClusterCapacityProviders, &ecs.PutClusterCapacityProvidersInput{
				Cluster: aws.String(s.output(lib.OutputEcsClusterName)), CapacityProviders: []string{},
				DefaultCapacityProviderStrategy: []ecstypes.CapacityProviderStrategyItem{},
			})
		}),
		sabotaged(serviceType, "payment-api", "application.zones", "leave a service two zones"),
		deletes(serviceType, "job-processor", "delete it", func(ctx context.Context, s *saboteur) { deletesService(ctx, s, jobProcessor) }),
		modifies(taskType, "job-processor-task", "change a tag of it", func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.ECS.TagResource, &ecs.TagResourceInput{
				ResourceArn: s.service(ctx, jobProcessor).TaskDefinition, Tags: []ecstypes.Tag{{Key: aws.String("Environment"), Value: aws.String("staging")}},
			})
		}),
		deletes(taskType, "payment-api-task", "deregister it", func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.ECS.DeregisterTaskDefinition, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: s.service(ctx, paymentAPI).TaskDefinition})
		}),
		sabotaged(scalableType, "payment-api-scaling-target", "scaling.targets", "leave payment-api no room to grow"),
		takes(scalableType, "payment-api-scaling-target", "deregister it", "its policies", func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.AutoScaling.DeregisterScalableTarget, &applicationautoscaling.DeregisterScalableTargetInput{
				ResourceId: s.scalable(paymentAPI), ServiceNamespace: scalingtypes.ServiceNamespaceEcs,
				ScalableDimension: scalingtypes.ScalableDimensionECSServiceDesiredCount,
			})
		}),
		sabotaged(scalingPolicyType, "payment-api-cpu-scaling", "scaling.cpu", "aim at 99 percent of the processors"),
		deletes(scalingPolicyType, "job-processor-backlog-scaling", "delete it", by("scaling.backlog", "delete the backlog policy")),
	}
}

func applicationFacts() map[string]fact {
	cluster := func(ctx context.Context, s *saboteur) ecstypes.Cluster {
		out := call(ctx, s, s.ECS.DescribeClusters, &ecs.DescribeClustersInput{
			Clusters: []string{s.output(lib.OutputEcsClusterName)}, Include: []ecstypes.ClusterField{ecstypes.ClusterFieldSettings},
		})
		return find(s, "cluster", out.Clusters, func(c ecstypes.Cluster) bool { return aws.ToString(c.Status) == "ACTIVE" })
	}
	return map[string]fact{
		ecsClusterType: func(ctx context.Context, s *saboteur, _ string) any { return cluster(ctx, s).Settings },
		capacityType: func(ctx context.Context, s *saboteur, _ string) any {
			c := cluster(ctx, s)
			return []any{sorted(c.CapacityProviders), c.DefaultCapacityProviderStrategy}
		},
		serviceType: func(ctx context.Context, s *saboteur, name string) any {
			svc := s.service(ctx, name)
			require.Equal(s, "ACTIVE", aws.ToString(svc.Status))
			return sorted(svc.NetworkConfiguration.AwsvpcConfiguration.Subnets)
		},
		taskType: func(ctx context.Context, s *saboteur, name string) any {
			out := call(ctx, s, s.ECS.DescribeTaskDefinition, &ecs.DescribeTaskDefinitionInput{
				TaskDefinition: s.service(ctx, strings.TrimSuffix(name, "-task")).TaskDefinition, Include: []ecstypes.TaskDefinitionField{ecstypes.TaskDefinitionFieldTags},
			})
			tag := find(s, "tag", out.Tags, func(t ecstypes.Tag) bool { return aws.ToString(t.Key) == "Environment" })
			return []any{out.TaskDefinition.Status, tag.Value}
		},
		scalableType: func(ctx context.Context, s *saboteur, name string) any {
			out := call(ctx, s, s.AutoScaling.DescribeScalableTargets, &applicationautoscaling.DescribeScalableTargetsInput{
				ServiceNamespace: scalingtypes.ServiceNamespaceEcs, ResourceIds: []string{*s.scalable(strings.TrimSuffix(name, "-scaling-target"))},
			})
			t := first(s, name, out.ScalableTargets)
			return []any{t.MinCapacity, t.MaxCapacity}
		},
		scalingPolicyType: func(ctx context.Context, s *saboteur, name string) any {
			out := call(ctx, s, s.AutoScaling.DescribeScalingPolicies, &applicationautoscaling.DescribeScalingPoliciesInput{
				ServiceNamespace: scalingtypes.ServiceNamespaceEcs, PolicyNames: []string{s.named(name)},
			})
			return find(s, name, out.ScalingPolicies, func(p scalingtypes.ScalingPolicy) bool {
				return aws.ToString(p.PolicyName) == s.named(name) // emulators may not know the filter
			}).TargetTrackingScalingPolicyConfiguration.TargetValue
		},
	}
}

func balancingDeeds() []deed {
	return []deed{
		sabotaged(balancerType, "alb", "alb.draining", "give answers up before the API does"),
		takes(balancerType, "alb", "delete it", "its listeners and their rules", func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.ELB.DeleteLoadBalancer, &elb.DeleteLoadBalancerInput{LoadBalancerArn: aws.String(s.output(lib.OutputAlbArn))})
		}),
		sabotaged(listenerType, "https-listener", "alb.https", "speak old TLS"),
		deletes(listenerType, "http-listener", "delete it", func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.ELB.DeleteListener, &elb.DeleteListenerInput{ListenerArn: s.listener(ctx, 80)})
		}),
		sabotaged(ruleType, "api-rule", "alb.api-routing", "move the API to another path"),
		deletes(ruleType, "health-rule", "delete it", func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.ELB.DeleteRule, &elb.DeleteRuleInput{RuleArn: s.rule(ctx, "/health").RuleArn})
		}),
		sabotaged(targetGroupType, "api-https-8443", "alb.health-checks", "ask another path for health"),
		refused(targetGroupType, "api-https-8443", "ResourceInUse", "while a listener uses it", func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.ELB.DeleteTargetGroup, &elb.DeleteTargetGroupInput{TargetGroupArn: s.targetGroup(ctx, paymentAPI)})
		}),
		modifies(certificateType, "domain-certificate", "change a tag of it", func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.ACM.AddTagsToCertificate, &acm.AddTagsToCertificateInput{
				CertificateArn: s.certificate(ctx), Tags: []acmtypes.Tag{{Key: aws.String("Environment"), Value: aws.String("staging")}},
			})
		}),
		refused(certificateType, "domain-certificate", "ResourceInUseException", "while a listener uses it", nil),
		{Type: validationType, Says: "change it", Why: "nothing of it is in the cloud: it is the wait for the certificate"},
		{Type: validationType, Says: "delete it", Deletes: true, Why: "nothing of it is in the cloud; what it waits for is the record above"},
		modifies(recordType, "alias-record", "let it lead elsewhere", func(ctx context.Context, s *saboteur) {
			record := s.record(ctx)
			record.AliasTarget.DNSName = aws.String("elsewhere.example.org.")
			s.changeRecord(ctx, route53types.ChangeActionUpsert, record)
		}),
		deletes(recordType, "alias-record", "delete it", func(ctx context.Context, s *saboteur) {
			s.changeRecord(ctx, route53types.ChangeActionDelete, s.record(ctx))
		}),
		sabotaged(aclType, "waf", "waf.rules", "let the SQL injection rules count instead of block"),
		takes(aclType, "waf", "delete it, which AWS refuses while it is on a load balancer", "its association and its logging", func(ctx context.Context, s *saboteur) {
			acl := s.firewall(ctx)
			call(ctx, s, s.WAF.DeleteLoggingConfiguration, &wafv2.DeleteLoggingConfigurationInput{ResourceArn: acl.ARN})
			call(ctx, s, s.WAF.DisassociateWebACL, &wafv2.DisassociateWebACLInput{ResourceArn: aws.String(s.output(lib.OutputAlbArn))})
			s.deleteACL(ctx, acl.Id, acl.Name)
		}),
		modifies(aclAssociationType, "waf-association", "put another web ACL before the load balancer", func(ctx context.Context, s *saboteur) {
			made := call(ctx, s, s.WAF.CreateWebACL, &wafv2.CreateWebACLInput{
				Name: aws.String("by-hand"), Scope: waftypes.ScopeRegional, DefaultAction: &waftypes.DefaultAction{Allow: &waftypes.AllowAction{}},
				VisibilityConfig: &waftypes.VisibilityConfig{MetricName: aws.String("by-hand")},
			})
			s.later(func(ctx context.Context) { s.deleteACL(ctx, made.Summary.Id, made.Summary.Name) })
			// AWS puts one in place of another; moto keeps both.
			call(ctx, s, s.WAF.DisassociateWebACL, &wafv2.DisassociateWebACLInput{ResourceArn: aws.String(s.output(lib.OutputAlbArn))})
			call(ctx, s, s.WAF.AssociateWebACL, &wafv2.AssociateWebACLInput{WebACLArn: made.Summary.ARN, ResourceArn: aws.String(s.output(lib.OutputAlbArn))})
		}),
		deletes(aclAssociationType, "waf-association", "take it off the load balancer", by("waf.in-front", "take the firewall away from the load balancer")),
		modifies(aclLoggingType, "waf-logging", "log to another log group, cookies as well", func(ctx context.Context, s *saboteur) {
			group := "aws-waf-logs-by-hand"
			call(ctx, s, s.Logs.CreateLogGroup, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &group})
			later(s, s.Logs.DeleteLogGroup, &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: &group})
			out := call(ctx, s, s.WAF.GetLoggingConfiguration, &wafv2.GetLoggingConfigurationInput{ResourceArn: s.acl(ctx).ARN})
			logging := out.LoggingConfiguration
			logging.RedactedFields = logging.RedactedFields[:1]
			logging.LogDestinationConfigs = []string{"arn:aws:logs:us-east-1:123456789012:log-group:" + group}
			call(ctx, s, s.WAF.PutLoggingConfiguration, &wafv2.PutLoggingConfigurationInput{LoggingConfiguration: logging})
		}),
		deletes(aclLoggingType, "waf-logging", "delete it", func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.WAF.DeleteLoggingConfiguration, &wafv2.DeleteLoggingConfigurationInput{ResourceArn: s.acl(ctx).ARN})
		}),
	}
}

// rule is the rule of the HTTPS listener for a path.
func (s *saboteur) rule(ctx context.Context, path string) elbtypes.Rule {
	out := call(ctx, s, s.ELB.DescribeRules, &elb.DescribeRulesInput{ListenerArn: s.listener(ctx, 443)})
	return find(s, "rule for "+path, out.Rules, func(r elbtypes.Rule) bool { return slices.ContainsFunc(r.Conditions, conditionOn(path)) })
}

func conditionOn(path string) func(elbtypes.RuleCondition) bool {
	return func(c elbtypes.RuleCondition) bool {
		return slices.Contains(c.Values, path) || c.PathPatternConfig != nil && slices.Contains(c.PathPatternConfig.Values, path)
	}
}

// acl is the stack's web ACL, whether it is on the load balancer or not.
func (s *saboteur) acl(ctx context.Context) waftypes.WebACLSummary {
	out := call(ctx, s, s.WAF.ListWebACLs, &wafv2.ListWebACLsInput{Scope: waftypes.ScopeRegional})
	return find(s, "web ACL", out.WebACLs, func(a waftypes.WebACLSummary) bool { return aws.ToString(a.Name) == s.named("waf") })
}

func (s *saboteur) deleteACL(ctx context.Context, id, name *string) {
	now := call(ctx, s, s.WAF.GetWebACL, &wafv2.GetWebACLInput{Id: id, Name: name, Scope: waftypes.ScopeRegional})
	call(ctx, s, s.WAF.DeleteWebACL, &wafv2.DeleteWebACLInput{Id: id, Name: name, Scope: waftypes.ScopeRegional, LockToken: now.LockToken})
}

func (s *saboteur) listens(ctx context.Context, name string) elbtypes.Listener {
	port := int32(443)
	if name == "http-listener" {
		port = 80
	}
	out := call(ctx, s, s.ELB.DescribeListeners, &elb.DescribeListenersInput{ListenerArns: []string{*s.listener(ctx, port)}})
	return first(s, name, out.Listeners)
}

func (s *saboteur) certificate(ctx context.Context) *string {
	return first(s, "certificate", s.listens(ctx, "https-listener").Certificates).CertificateArn
}

func (s *saboteur) zone(ctx context.Context) *string {
	return first(s, "hosted zone", call(ctx, s, s.Route53.ListHostedZones, &route53.ListHostedZonesInput{}).HostedZones).Id
}

// record leads to the load balancer.
func (s *saboteur) record(ctx context.Context) *route53types.ResourceRecordSet {
	out := call(ctx, s, s.Route53.ListResourceRecordSets, &route53.ListResourceRecordSetsInput{HostedZoneId: s.zone(ctx)})
	record := find(s, "alias record", out.ResourceRecordSets, func(r route53types.ResourceRecordSet) bool { return r.AliasTarget != nil })
	return &record
}

func (s *saboteur) changeRecord(ctx context.Context, action route53types.ChangeAction, record *route53types.ResourceRecordSet) {
	call(ctx, s, s.Route53.ChangeResourceRecordSets, &route53.ChangeResourceRecordSetsInput{
		HostedZoneId: s.zone(ctx), ChangeBatch: &route53types.ChangeBatch{Changes: []route53types.Change{{Action: action, ResourceRecordSet: record}}},
	})
}

func balancingFacts() map[string]fact {
	return map[string]fact{
		balancerType: func(ctx context.Context, s *saboteur, _ string) any {
			out := call(ctx, s, s.ELB.DescribeLoadBalancers, &elb.DescribeLoadBalancersInput{Names: []string{s.named("alb")}})
			attributes := call(ctx, s, s.ELB.DescribeLoadBalancerAttributes, &elb.DescribeLoadBalancerAttributesInput{
				LoadBalancerArn: first(s, "load balancer", out.LoadBalancers).LoadBalancerArn,
			})
			all := map[string]string{}
			for _, a := range attributes.Attributes {
				all[aws.ToString(a.Key)] = aws.ToString(a.Value)
			}
			return all
		},
		listenerType: func(ctx context.Context, s *saboteur, name string) any {
			l := s.listens(ctx, name)
			return []any{l.Port, l.Protocol, l.SslPolicy}
		},
		ruleType: func(ctx context.Context, s *saboteur, name string) any {
			return s.rule(ctx, map[string]string{"api-rule": "/api/*", "health-rule": "/health"}[name]).Priority
		},
		targetGroupType: func(ctx context.Context, s *saboteur, name string) any {
			out := call(ctx, s, s.ELB.DescribeTargetGroups, &elb.DescribeTargetGroupsInput{Names: []string{s.named(name)}})
			return first(s, name, out.TargetGroups).HealthCheckPath
		},
		certificateType: func(ctx context.Context, s *saboteur, _ string) any {
			out := call(ctx, s, s.ACM.ListTagsForCertificate, &acm.ListTagsForCertificateInput{CertificateArn: s.certificate(ctx)})
			return find(s, "tag", out.Tags, func(t acmtypes.Tag) bool { return aws.ToString(t.Key) == "Environment" }).Value
		},
		recordType: func(ctx context.Context, s *saboteur, _ string) any {
			target := s.record(ctx).AliasTarget
			return []any{strings.TrimSuffix(aws.ToString(target.DNSName), "."), target.EvaluateTargetHealth}
		},
		aclType: func(ctx context.Context, s *saboteur, _ string) any {
			acl := s.acl(ctx)
			got := call(ctx, s, s.WAF.GetWebACL, &wafv2.GetWebACLInput{Id: acl.Id, Name: acl.Name, Scope: waftypes.ScopeRegional})
			actions := map[string]any{}
			for _, r := range got.WebACL.Rules {
				actions[aws.ToString(r.Name)] = []any{r.Action, r.OverrideAction, r.Priority}
			}
			return actions
		},
		aclAssociationType: func(ctx context.Context, s *saboteur, _ string) any { return s.firewall(ctx).Name },
		aclLoggingType: func(ctx context.Context, s *saboteur, _ string) any {
			out := call(ctx, s, s.WAF.GetLoggingConfiguration, &wafv2.GetLoggingConfigurationInput{ResourceArn: s.acl(ctx).ARN})
			var to []string
			for _, id := range out.LoggingConfiguration.LogDestinationConfigs {
				to = append(to, strings.TrimSuffix(id, ":*"))
			}
			return []any{to, len(out.LoggingConfiguration.RedactedFields)}
		},
	}
}

func queueDeeds() []deed {
	return []deed{
		sabotaged(queueType, "payment-jobs", "queue.visibility", "let a job reappear after 30 seconds"),
		takes(queueType, "payment-jobs-dlq", "delete it, and all failed jobs", "its policies", by("queue.named", "delete the dead-letter queue")),
		sabotaged(queuePolicyType, "payment-jobs-policy", "queue.tls-only", "replace the queue's policy by one that lets the account in, TLS or not"),
		deletes(queuePolicyType, "payment-jobs-policy", "take it away", by("queue.refuses-plain-text", "take the queue's policy away")),
		sabotaged(redriveAllowType, "payment-jobs-dlq-redrive-allow", "queue.redrive-allow", "let every queue use the dead-letter queue"),
		deletes(redriveAllowType, "payment-jobs-dlq-redrive-allow", "take it away", func(ctx context.Context, s *saboteur) {
			s.setQueue(ctx, lib.OutputDlqURL, "RedriveAllowPolicy", "")
		}),
	}
}

func queueFacts() map[string]fact {
	attribute := func(name string) fact {
		return func(ctx context.Context, s *saboteur, of string) any {
			queue := strings.TrimSuffix(strings.TrimSuffix(of, "-policy"), "-redrive-allow")
			url := call(ctx, s, s.SQS.GetQueueUrl, &sqs.GetQueueUrlInput{QueueName: aws.String(s.named(queue))}).QueueUrl
			output := map[string]string{"payment-jobs": lib.OutputQueueURL, "payment-jobs-dlq": lib.OutputDlqURL}[queue]
			require.Equal(s, aws.ToString(url), s.output(output))
			value, set := s.queueAttributes(ctx, output)[name]
			require.True(s, set && value != "", "%s of %s", name, queue)
			return canonical(s, value)
		}
	}
	return map[string]fact{
		queueType: attribute("VisibilityTimeout"), queuePolicyType: attribute("Policy"), redriveAllowType: attribute("RedriveAllowPolicy"),
	}
}

func alertingDeeds() []deed {
	return []deed{
		sabotaged(keyType, "payment-alerts-key", "alerts.topic-key", "stop the rotation of the topic's key"),
		takes(keyType, "payment-alerts-key", "schedule its deletion", "what the topic still holds, encrypted with it", func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.KMS.ScheduleKeyDeletion, &kms.ScheduleKeyDeletionInput{KeyId: s.key(ctx).TargetKeyId, PendingWindowInDays: aws.Int32(7)})
		}),
		modifies(topicType, "payment-alerts", "stop its encryption", by("alerts.topic-key", "stop the encryption of the topic")),
		takes(topicType, "payment-alerts", "delete it", "its policy and its subscription", by("alerts.topic", "delete the topic")),
		sabotaged(topicPolicyType, "payment-alerts-policy", "alerts.topic-policy", "let everyone publish to the topic"),
		deletes(topicPolicyType, "payment-alerts-policy", "put the policy back that every topic begins with", func(ctx context.Context, s *saboteur) {
			topic := s.output(lib.OutputAlertsTopicArn)
			call(ctx, s, s.SNS.SetTopicAttributes, &sns.SetTopicAttributesInput{
				TopicArn: &topic, AttributeName: aws.String("Policy"), AttributeValue: aws.String(fmt.Sprintf(
					`{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":["SNS:Publish"],"Resource":%q,`+
						`"Condition":{"StringEquals":{"AWS:SourceOwner":"123456789012"}}}]}`, topic)),
			})
		}),
		modifies(subscriptionType, "payment-alerts-email", "send what cannot be delivered to a queue", func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.SNS.SetSubscriptionAttributes, &sns.SetSubscriptionAttributesInput{
				SubscriptionArn: s.subscription(ctx), AttributeName: aws.String("RedrivePolicy"), AttributeValue: aws.String(fmt.Sprintf(
					`{"deadLetterTargetArn":%q}`, s.queueAttributes(ctx, lib.OutputDlqURL)["QueueArn"])),
			})
		}),
		deletes(subscriptionType, "payment-alerts-email", "unsubscribe it", by("alerts.email", "unsubscribe the operations team")),
		modifies(keyAliasType, "payment-alerts-key-alias", "let it name another key", func(ctx context.Context, s *saboteur) {
			key := call(ctx, s, s.KMS.CreateKey, &kms.CreateKeyInput{}).KeyMetadata.KeyId
			later(s, s.KMS.ScheduleKeyDeletion, &kms.ScheduleKeyDeletionInput{KeyId: key, PendingWindowInDays: aws.Int32(7)})
			call(ctx, s, s.KMS.UpdateAlias, &kms.UpdateAliasInput{AliasName: s.key(ctx).AliasName, TargetKeyId: key})
		}),
		deletes(keyAliasType, "payment-alerts-key-alias", "delete it", func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.KMS.DeleteAlias, &kms.DeleteAliasInput{AliasName: s.key(ctx).AliasName})
		}),
		sabotaged(alarmType, "alb-5xx-alarm", "alerts.alarm-actions", "let an alarm tell nobody"),
		deletes(alarmType, "aurora-cpu-alarm", "delete it", by("alerts.alarms", "delete the alarm on the database's processors")),
		sabotaged(dashboardType, "payment-platform", "alerts.dashboard", "empty the dashboard"),
		deletes(dashboardType, "payment-platform", "delete it", func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.CloudWatch.DeleteDashboards, &cloudwatch.DeleteDashboardsInput{DashboardNames: []string{s.named("payment-platform")}})
		}),
		sabotaged(eventRuleType, "ecs-deployment-failed", "alerts.events", "disable the rule for failed deployments"),
		takes(eventRuleType, "ecs-deployment-failed", "delete it, which AWS refuses while it has a target", "its target", func(ctx context.Context, s *saboteur) {
			rule := aws.String(s.named("ecs-deployment-failed"))
			call(ctx, s, s.EventBridge.RemoveTargets, &eventbridge.RemoveTargetsInput{Rule: rule, Ids: []string{*s.eventTarget(ctx, "ecs-deployment-failed").Id}})
			call(ctx, s, s.EventBridge.DeleteRule, &eventbridge.DeleteRuleInput{Name: rule})
		}),
		modifies(eventTargetType, "ecs-task-failed-target", "let it send a fixed text", func(ctx context.Context, s *saboteur) {
			target := *s.eventTarget(ctx, "ecs-task-failed")
			target.InputTransformer, target.Input = nil, aws.String(`"all is well"`)
			call(ctx, s, s.EventBridge.PutTargets, &eventbridge.PutTargetsInput{Rule: aws.String(s.named("ecs-task-failed")), Targets: []eventtypes.Target{target}})
		}),
		deletes(eventTargetType, "ecs-task-failed-target", "remove it", by("alerts.events", "take the topic away from the rule for failed tasks")),
		sabotaged(logGroupType, "payment-api-log-group", "logs.service-groups", "keep payment-api's logs for a week"),
		deletes(logGroupType, "container-insights-log-group", "delete it, and all logs", by("logs.made-by-others", "delete the log group that Container Insights writes to")),
		sabotaged(logPolicyType, "waf-logs-policy", "iam.log-delivery-policy", "let the log delivery of every account write everywhere"),
		deletes(logPolicyType, "waf-logs-policy", "delete it", func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.Logs.DeleteResourcePolicy, &cloudwatchlogs.DeleteResourcePolicyInput{PolicyName: aws.String(s.named("waf-logs-policy"))})
		}),
	}
}

func (s *saboteur) eventTarget(ctx context.Context, rule string) *eventtypes.Target {
	target := first(s, "target", call(ctx, s, s.EventBridge.ListTargetsByRule, &eventbridge.ListTargetsByRuleInput{Rule: aws.String(s.named(rule))}).Targets)
	return &target
}

func (s *saboteur) subscription(ctx context.Context) *string {
	out := call(ctx, s, s.SNS.ListSubscriptionsByTopic, &sns.ListSubscriptionsByTopicInput{TopicArn: aws.String(s.output(lib.OutputAlertsTopicArn))})
	return first(s, "subscription", out.Subscriptions).SubscriptionArn
}

// key is the alerts' key, by its alias.
func (s *saboteur) key(ctx context.Context) *kmstypes.AliasListEntry {
	out := call(ctx, s, s.KMS.ListAliases, &kms.ListAliasesInput{})
	alias := find(s, "alias", out.Aliases, func(a kmstypes.AliasListEntry) bool {
		return aws.ToString(a.AliasName) == "alias/"+s.named("payment-alerts")
	})
	return &alias
}

func alertingFacts() map[string]fact {
	return map[string]fact{
		topicType: func(ctx context.Context, s *saboteur, _ string) any {
			out := call(ctx, s, s.SNS.GetTopicAttributes, &sns.GetTopicAttributesInput{TopicArn: aws.String(s.output(lib.OutputAlertsTopicArn))})
			return out.Attributes["KmsMasterKeyId"] != ""
		},
		topicPolicyType: func(ctx context.Context, s *saboteur, _ string) any {
			out := call(ctx, s, s.SNS.GetTopicAttributes, &sns.GetTopicAttributesInput{TopicArn: aws.String(s.output(lib.OutputAlertsTopicArn))})
			return canonical(s, out.Attributes["Policy"])
		},
		subscriptionType: func(ctx context.Context, s *saboteur, _ string) any {
			out := call(ctx, s, s.SNS.GetSubscriptionAttributes, &sns.GetSubscriptionAttributesInput{SubscriptionArn: s.subscription(ctx)})
			return []string{out.Attributes["Endpoint"], out.Attributes["RedrivePolicy"]}
		},
		keyType: func(ctx context.Context, s *saboteur, _ string) any {
			key := s.key(ctx).TargetKeyId
			metadata := call(ctx, s, s.KMS.DescribeKey, &kms.DescribeKeyInput{KeyId: key}).KeyMetadata
			return []any{metadata.KeyState, call(ctx, s, s.KMS.GetKeyRotationStatus, &kms.GetKeyRotationStatusInput{KeyId: key}).KeyRotationEnabled}
		},
		keyAliasType: func(ctx context.Context, s *saboteur, _ string) any {
			key := call(ctx, s, s.KMS.DescribeKey, &kms.DescribeKeyInput{KeyId: s.key(ctx).TargetKeyId}).KeyMetadata
			return key.Description
		},
		alarmType: func(ctx context.Context, s *saboteur, name string) any {
			out := call(ctx, s, s.CloudWatch.DescribeAlarms, &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{s.named(name)}})
			return first(s, name, out.MetricAlarms).AlarmActions
		},
		dashboardType: func(ctx context.Context, s *saboteur, name string) any {
			out := call(ctx, s, s.CloudWatch.GetDashboard, &cloudwatch.GetDashboardInput{DashboardName: aws.String(s.named(name))})
			return canonical(s, aws.ToString(out.DashboardBody))
		},
		eventRuleType: func(ctx context.Context, s *saboteur, name string) any {
			out := call(ctx, s, s.EventBridge.DescribeRule, &eventbridge.DescribeRuleInput{Name: aws.String(s.named(name))})
			return []any{out.State, canonical(s, aws.ToString(out.EventPattern))}
		},
		eventTargetType: func(ctx context.Context, s *saboteur, name string) any {
			target := s.eventTarget(ctx, strings.TrimSuffix(name, "-target"))
			return []any{target.Arn, target.Input, target.InputTransformer}
		},
		logGroupType: func(ctx context.Context, s *saboteur, name string) any {
			group := map[string]string{
				"payment-api-log-group":        "/ecs/" + s.named(paymentAPI),
				"container-insights-log-group": "/aws/ecs/containerinsights/" + s.output(lib.OutputEcsClusterName) + "/performance",
			}[name]
			out := call(ctx, s, s.Logs.DescribeLogGroups, &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: &group})
			return first(s, name, out.LogGroups).RetentionInDays
		},
		logPolicyType: func(ctx context.Context, s *saboteur, name string) any {
			out := call(ctx, s, s.Logs.DescribeResourcePolicies, &cloudwatchlogs.DescribeResourcePoliciesInput{})
			policy := find(s, name, out.ResourcePolicies, func(p logtypes.ResourcePolicy) bool { return aws.ToString(p.PolicyName) == s.named(name) })
			return canonical(s, aws.ToString(policy.PolicyDocument))
		},
	}
}

func permissionDeeds() []deed {
	return []deed{
		sabotaged(roleType, "rds-monitoring-role", "iam.trust", "let the monitoring service of every account take on a role"),
		takes(roleType, "rds-monitoring-role", "delete it, which AWS refuses while it has a policy", "its policy", func(ctx context.Context, s *saboteur) {
			s.deleteRolePolicy(ctx, "rds-monitoring")
			call(ctx, s, s.IAM.DeleteRole, &iam.DeleteRoleInput{RoleName: aws.String(s.named("rds-monitoring-role"))})
		}),
		sabotaged(rolePolicyType, "vpc-flow-log-policy", "iam.no-wildcards", "let the flow logs' role do everything with logs, everywhere"),
		deletes(rolePolicyType, "payment-api-task-policy", "delete it", func(ctx context.Context, s *saboteur) {
			s.deleteRolePolicy(ctx, "payment-api-task")
		}),
	}
}

func (s *saboteur) deleteRolePolicy(ctx context.Context, name string) {
	call(ctx, s, s.IAM.DeleteRolePolicy, &iam.DeleteRolePolicyInput{
		RoleName: aws.String(s.named(name + "-role")), PolicyName: aws.String(s.named(name + "-policy")),
	})
}

func permissionFacts() map[string]fact {
	return map[string]fact{
		roleType: func(ctx context.Context, s *saboteur, name string) any {
			return call(ctx, s, s.IAM.GetRole, &iam.GetRoleInput{RoleName: aws.String(s.named(name))}).Role.AssumeRolePolicyDocument
		},
		rolePolicyType: func(ctx context.Context, s *saboteur, name string) any {
			return call(ctx, s, s.IAM.GetRolePolicy, &iam.GetRolePolicyInput{
				RoleName: aws.String(s.named(strings.TrimSuffix(name, "policy") + "role")), PolicyName: aws.String(s.named(name)),
			}).PolicyDocument
		},
	}
}

func bucketDeeds() []deed {
	return []deed{
		modifies(bucketType, "alb-logs", "change a tag of it", onBucket(func(ctx context.Context, s *saboteur, bucket *string) {
			now := call(ctx, s, s.S3.GetBucketTagging, &s3.GetBucketTaggingInput{Bucket: bucket})
			for i, t := range now.TagSet {
				if aws.ToString(t.Key) == "Environment" {
					now.TagSet[i].Value = aws.String("staging")
				}
			}
			call(ctx, s, s.S3.PutBucketTagging, &s3.PutBucketTaggingInput{Bucket: bucket, Tagging: &s3types.Tagging{TagSet: now.TagSet}})
		})),
		takes(bucketType, "alb-logs", "empty and delete it, with all access logs", "all that is set of it", onBucket(func(ctx context.Context, s *saboteur, bucket *string) {
			call(ctx, s, s.S3.DeleteBucket, &s3.DeleteBucketInput{Bucket: bucket})
		})),
		modifies(bucketPolicyType, "alb-logs-policy", "let the account write into it, TLS or not",
			onBucket(func(ctx context.Context, s *saboteur, bucket *string) {
				call(ctx, s, s.S3.PutBucketPolicy, &s3.PutBucketPolicyInput{Bucket: bucket, Policy: aws.String(fmt.Sprintf(
					`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"s3:*","Resource":"arn:aws:s3:::%s/*"}]}`, *bucket))})
			})),
		deletes(bucketPolicyType, "alb-logs-policy", "delete it", by("bucket.tls-only", "delete the bucket's policy")),
		sabotaged(publicAccessType, "alb-logs-private", "bucket.private", "let public policies onto the bucket"),
		deletes(publicAccessType, "alb-logs-private", "delete it", onBucket(func(ctx context.Context, s *saboteur, bucket *string) {
			call(ctx, s, s.S3.DeletePublicAccessBlock, &s3.DeletePublicAccessBlockInput{Bucket: bucket})
		})),
		sabotaged(ownershipType, "alb-logs-ownership", "bucket.ownership", "let writers own the access logs"),
		deletes(ownershipType, "alb-logs-ownership", "delete it", by("bucket.ownership", "delete the bucket's ownership controls")),
		sabotaged(encryptionType, "alb-logs-encryption", "bucket.encrypted", "encrypt the access logs with a key that load balancers cannot use"),
		{
			Type: encryptionType, Of: "alb-logs-encryption", Says: "delete it", Deletes: true,
			Why: "on AWS nothing changes: without a configuration S3 encrypts with its own keys, as the stack asks",
			Do: onBucket(func(ctx context.Context, s *saboteur, bucket *string) {
				call(ctx, s, s.S3.DeleteBucketEncryption, &s3.DeleteBucketEncryptionInput{Bucket: bucket})
			}),
		},
		sabotaged(versioningType, "alb-logs-versioning", "bucket.versions", "keep no versions of access logs"),
		{Type: versioningType, Says: "delete it", Deletes: true, Why: "no call does it: versioning can be suspended only, as above"},
		sabotaged(lifecycleType, "alb-logs-lifecycle", "bucket.lifecycle", "let access logs expire after a month"),
		deletes(lifecycleType, "alb-logs-lifecycle", "delete it", onBucket(func(ctx context.Context, s *saboteur, bucket *string) {
			call(ctx, s, s.S3.DeleteBucketLifecycle, &s3.DeleteBucketLifecycleInput{Bucket: bucket})
		})),
	}
}

func onBucket(do func(context.Context, *saboteur, *string)) func(context.Context, *saboteur) {
	return changesBucket("", "", do).Do
}

func bucketFacts() map[string]fact {
	of := func(read func(context.Context, *saboteur, *string) any) fact {
		return func(ctx context.Context, s *saboteur, _ string) any {
			var told any
			onBucket(func(ctx context.Context, s *saboteur, bucket *string) { told = read(ctx, s, bucket) })(ctx, s)
			return told
		}
	}
	return map[string]fact{
		bucketType: of(func(ctx context.Context, s *saboteur, bucket *string) any {
			tags := map[string]string{}
			for _, t := range call(ctx, s, s.S3.GetBucketTagging, &s3.GetBucketTaggingInput{Bucket: bucket}).TagSet {
				tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
			}
			return tags
		}),
		bucketPolicyType: of(func(ctx context.Context, s *saboteur, bucket *string) any {
			return canonical(s, aws.ToString(call(ctx, s, s.S3.GetBucketPolicy, &s3.GetBucketPolicyInput{Bucket: bucket}).Policy))
		}),
		publicAccessType: of(func(ctx context.Context, s *saboteur, bucket *string) any {
			return call(ctx, s, s.S3.GetPublicAccessBlock, &s3.GetPublicAccessBlockInput{Bucket: bucket}).PublicAccessBlockConfiguration
		}),
		ownershipType: of(func(ctx context.Context, s *saboteur, bucket *string) any {
			return call(ctx, s, s.S3.GetBucketOwnershipControls, &s3.GetBucketOwnershipControlsInput{Bucket: bucket}).OwnershipControls
		}),
		encryptionType: of(func(ctx context.Context, s *saboteur, bucket *string) any {
			return call(ctx, s, s.S3.GetBucketEncryption, &s3.GetBucketEncryptionInput{Bucket: bucket}).ServerSideEncryptionConfiguration
		}),
		versioningType: of(func(ctx context.Context, s *saboteur, bucket *string) any {
			return call(ctx, s, s.S3.GetBucketVersioning, &s3.GetBucketVersioningInput{Bucket: bucket}).Status
		}),
		lifecycleType: of(func(ctx context.Context, s *saboteur, bucket *string) any {
			return call(ctx, s, s.S3.GetBucketLifecycleConfiguration, &s3.GetBucketLifecycleConfigurationInput{Bucket: bucket}).Rules
		}),
	}
}
