package integration

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
)

func loggingSabotages() []sabotage {
	return []sabotage{
		keepsLogs("logs.service-groups", "keep payment-api's logs for a week", "/ecs/payment-api", "logs.retention"),
		keepsLogs("logs.retention", "keep the firewall's logs for a week", "aws-waf-logs"),
		{
			Check: "logs.made-by-others", Says: "delete the log group that Container Insights writes to", Also: []string{"logs.retention", "destroyable.policies"},
			Do: func(ctx context.Context, s *saboteur) {
				call(ctx, s, s.Logs.DeleteLogGroup, &cloudwatchlogs.DeleteLogGroupInput{
					LogGroupName: aws.String("/aws/ecs/containerinsights/" + s.output(lib.OutputEcsClusterName) + "/performance"),
				})
			},
		},
		{Check: "logs.container-insights", Says: "switch Container Insights off", Do: func(ctx context.Context, s *saboteur) {
			// UpdateClusterSettings would do as well, but for an emulator (moto 5.2.5) that does not know it.
			call(ctx, s, s.ECS.UpdateCluster, &ecs.UpdateClusterInput{
				Cluster:  aws.String(s.output(lib.OutputEcsClusterName)),
				Settings: []ecstypes.ClusterSetting{{Name: ecstypes.ClusterSettingNameContainerInsights, Value: aws.String("disabled")}},
			})
		}},
	}
}

func keepsLogs(check, says, role string, also ...string) sabotage {
	return sabotage{Check: check, Says: says, Also: also, Do: func(ctx context.Context, s *saboteur) {
		call(ctx, s, s.Logs.PutRetentionPolicy, &cloudwatchlogs.PutRetentionPolicyInput{
			LogGroupName: aws.String(s.named(role)), RetentionInDays: aws.Int32(7),
		})
	}}
}

func alertingSabotages() []sabotage {
	return []sabotage{
		{
			Check: "alerts.topic", Says: "delete the topic",
			Also: []string{"alerts.email", "alerts.topic-policy", "alerts.topic-key", "alerts.alarm-publishes", "destroyable.policies", "iam.task-roles"}, On: "topic",
			Do: func(ctx context.Context, s *saboteur) {
				call(ctx, s, s.SNS.DeleteTopic, &sns.DeleteTopicInput{TopicArn: aws.String(s.output(lib.OutputAlertsTopicArn))})
			},
		},
		{Check: "alerts.email", Says: "unsubscribe the operations team", On: "topic", Do: func(ctx context.Context, s *saboteur) {
			out := call(ctx, s, s.SNS.ListSubscriptionsByTopic, &sns.ListSubscriptionsByTopicInput{TopicArn: aws.String(s.output(lib.OutputAlertsTopicArn))})
			subscription := first(s, "subscription", out.Subscriptions)
			call(ctx, s, s.SNS.Unsubscribe, &sns.UnsubscribeInput{SubscriptionArn: subscription.SubscriptionArn})
		}},
		{Check: "alerts.topic-policy", Says: "let everyone publish to the topic", On: "topic", Do: func(ctx context.Context, s *saboteur) {
			topic := s.output(lib.OutputAlertsTopicArn)
			call(ctx, s, s.SNS.SetTopicAttributes, &sns.SetTopicAttributesInput{
				TopicArn: &topic, AttributeName: aws.String("Policy"),
				AttributeValue: aws.String(fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sns:Publish","Resource":%q}]}`, topic)),
			})
		}},
		{Check: "alerts.topic-key", Says: "stop the rotation of the topic's key", On: "topic", Do: func(ctx context.Context, s *saboteur) {
			topic := call(ctx, s, s.SNS.GetTopicAttributes, &sns.GetTopicAttributesInput{TopicArn: aws.String(s.output(lib.OutputAlertsTopicArn))})
			key := call(ctx, s, s.KMS.DescribeKey, &kms.DescribeKeyInput{KeyId: aws.String(topic.Attributes["KmsMasterKeyId"])})
			call(ctx, s, s.KMS.DisableKeyRotation, &kms.DisableKeyRotationInput{KeyId: key.KeyMetadata.KeyId})
		}},
		{
			Check: "alerts.topic-key", Says: "stop the encryption of the topic", Also: []string{"iam.task-roles"}, On: "topic",
			Do: func(ctx context.Context, s *saboteur) {
				call(ctx, s, s.SNS.SetTopicAttributes, &sns.SetTopicAttributesInput{
					TopicArn: aws.String(s.output(lib.OutputAlertsTopicArn)), AttributeName: aws.String("KmsMasterKeyId"), AttributeValue: aws.String(""),
				})
			},
		},
		{Check: "alerts.alarms", Says: "delete the alarm on the database's processors", Do: func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.CloudWatch.DeleteAlarms, &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{s.named("aurora-cpu-alarm")}})
		}},
		changesAlarm("alerts.alarm-actions", "let an alarm tell nobody", "alb-5xx-alarm", func(in *cloudwatch.PutMetricAlarmInput) { in.AlarmActions = nil }),
		changesAlarm("alerts.memory", "tell of the database's memory when it is all gone", "aurora-memory-alarm", func(in *cloudwatch.PutMetricAlarmInput) {
			in.Threshold = aws.Float64(1)
		}),
		changesAlarm("alerts.alarm-actions", "silence an alarm", "alb-target-5xx-alarm", func(in *cloudwatch.PutMetricAlarmInput) {
			in.ActionsEnabled = aws.Bool(false)
		}),
		changesAlarm("alerts.queue-age", "wait ten days for the oldest job", "queue-age-alarm", func(in *cloudwatch.PutMetricAlarmInput) {
			in.Threshold = aws.Float64(10 * 24 * 60 * 60)
		}),
		{
			Check: "alerts.events", Says: "disable the rule for failed deployments", On: "event rules",
			Do: func(ctx context.Context, s *saboteur) {
				call(ctx, s, s.EventBridge.DisableRule, &eventbridge.DisableRuleInput{Name: aws.String(s.named("ecs-deployment-failed"))})
			},
		},
		{
			Check: "alerts.events", Says: "take the topic away from the rule for failed tasks", On: "event rules",
			Do: func(ctx context.Context, s *saboteur) {
				rule := aws.String(s.named("ecs-task-failed"))
				out := call(ctx, s, s.EventBridge.ListTargetsByRule, &eventbridge.ListTargetsByRuleInput{Rule: rule})
				target := first(s, "target", out.Targets)
				call(ctx, s, s.EventBridge.RemoveTargets, &eventbridge.RemoveTargetsInput{Rule: rule, Ids: []string{*target.Id}})
			},
		},
		{
			Check: "alerts.events", Says: "tell of migrations that succeed as well", On: "event rules",
			Do: func(ctx context.Context, s *saboteur) {
				s.changePattern(ctx, "payment-migrate-failed", func(pattern string) string {
					return strings.Replace(pattern, `"containers":{"exitCode":[{"anything-but":0},{"exists":false}]},`, "", 1)
				})
			},
		},
		{
			Check: "alerts.events", Says: "hear of no container that exits with code 0", On: "event rules",
			Do: func(ctx context.Context, s *saboteur) {
				s.changePattern(ctx, "ecs-task-failed", func(pattern string) string {
					return strings.Replace(pattern, `"detail":{`, `"detail":{"containers":{"exitCode":[{"anything-but":0}]},`, 1)
				})
			},
		},
		endsSubscription("db-cluster-events", "delete the subscription to the cluster's events"),
		endsSubscription("db-instance-events", "delete the subscription to the instances' events"),
		endsSubscription("db-parameter-group-events", "delete the subscription to parameter groups' events"),
		endsSubscription("db-security-group-events", "delete the subscription to security groups' events"),
		{Check: "alerts.dashboard", Says: "empty the dashboard", Do: func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.CloudWatch.PutDashboard, &cloudwatch.PutDashboardInput{
				DashboardName: aws.String(s.named("payment-platform")), DashboardBody: aws.String(`{"widgets":[]}`),
			})
		}},
	}
}

// changePattern puts an event rule with another pattern.
func (s *saboteur) changePattern(ctx context.Context, role string, change func(pattern string) string) {
	was := call(ctx, s, s.EventBridge.DescribeRule, &eventbridge.DescribeRuleInput{Name: aws.String(s.named(role))})
	now := change(aws.ToString(was.EventPattern))
	require.NotEqual(s, aws.ToString(was.EventPattern), now)
	call(ctx, s, s.EventBridge.PutRule, &eventbridge.PutRuleInput{Name: was.Name, Description: was.Description, EventPattern: &now, State: was.State})
}

func endsSubscription(role, says string) sabotage {
	return sabotage{Check: "alerts.database-events", Says: says, Do: func(ctx context.Context, s *saboteur) {
		call(ctx, s, s.RDS.DeleteEventSubscription, &rds.DeleteEventSubscriptionInput{SubscriptionName: aws.String(s.named(role))})
	}}
}

// changesAlarm puts an alarm again as it is, but for one thing. An alarm is always put whole.
func changesAlarm(check, says, role string, change func(*cloudwatch.PutMetricAlarmInput)) sabotage {
	return sabotage{Check: check, Says: says, Do: func(ctx context.Context, s *saboteur) {
		out := call(ctx, s, s.CloudWatch.DescribeAlarms, &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{s.named(role)}})
		a := first(s, "alarm "+role, out.MetricAlarms)
		in := &cloudwatch.PutMetricAlarmInput{
			AlarmName: a.AlarmName, AlarmDescription: a.AlarmDescription, ActionsEnabled: a.ActionsEnabled,
			AlarmActions: a.AlarmActions, OKActions: a.OKActions, ComparisonOperator: a.ComparisonOperator,
			DatapointsToAlarm: a.DatapointsToAlarm, Dimensions: a.Dimensions, EvaluationPeriods: a.EvaluationPeriods,
			ExtendedStatistic: a.ExtendedStatistic, MetricName: a.MetricName, Metrics: metrics(a.Metrics), Namespace: a.Namespace,
			Period: a.Period, Statistic: a.Statistic, Threshold: a.Threshold, TreatMissingData: a.TreatMissingData, Unit: a.Unit,
		}
		change(in)
		call(ctx, s, s.CloudWatch.PutMetricAlarm, in)
	}}
}

// metrics is nil for an alarm that has none, which an empty list is not.
func metrics(list []cwtypes.MetricDataQuery) []cwtypes.MetricDataQuery {
	if len(list) == 0 {
		return nil
	}
	return list
}
