package target_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/require"

	"tapstack/lib/cloud"
)

// What is read back here is what AWS documents, so that a check that reads it proves something.

func TestAServiceTellsItsSettingsAsAWSDoes(t *testing.T) {
	d := openDoorway(t)
	plain := d.createService("plain", 1)
	require.Equal(t, []any{
		ecstypes.AvailabilityZoneRebalancingEnabled, false, false, ecstypes.PropagateTagsNone, "LATEST", "Linux", ecstypes.AssignPublicIpDisabled, (*int32)(nil),
	}, []any{
		plain.AvailabilityZoneRebalancing, plain.EnableECSManagedTags, plain.EnableExecuteCommand, plain.PropagateTags,
		aws.ToString(plain.PlatformVersion), aws.ToString(plain.PlatformFamily), plain.NetworkConfiguration.AwsvpcConfiguration.AssignPublicIp,
		plain.HealthCheckGracePeriodSeconds,
	}, "what AWS takes where nothing is given")
	require.Equal(t, []any{int32(200), int32(100), &ecstypes.DeploymentCircuitBreaker{}}, []any{
		aws.ToInt32(plain.DeploymentConfiguration.MaximumPercent), aws.ToInt32(plain.DeploymentConfiguration.MinimumHealthyPercent),
		plain.DeploymentConfiguration.DeploymentCircuitBreaker,
	})
	require.Equal(t, "1.4.0", aws.ToString(plain.Deployments[0].PlatformVersion))
	require.WithinDuration(t, time.Now(), aws.ToTime(plain.CreatedAt), time.Minute)

	full, err := d.ECS.CreateService(t.Context(), &ecs.CreateServiceInput{
		Cluster: aws.String("payments"), ServiceName: aws.String("full"), TaskDefinition: &d.definition, LaunchType: ecstypes.LaunchTypeFargate,
		NetworkConfiguration: d.network(), DeploymentConfiguration: &ecstypes.DeploymentConfiguration{MaximumPercent: aws.Int32(100), MinimumHealthyPercent: aws.Int32(0)},
	})
	require.NoError(t, err)
	require.Equal(t, ecstypes.AvailabilityZoneRebalancingDisabled, full.Service.AvailabilityZoneRebalancing, "there is no room to rebalance in")

	create := &ecs.CreateServiceInput{
		Cluster: aws.String("payments"), ServiceName: aws.String("given"), TaskDefinition: &d.definition, DesiredCount: aws.Int32(1),
		LaunchType: ecstypes.LaunchTypeFargate, NetworkConfiguration: d.network(), EnableECSManagedTags: true,
		AvailabilityZoneRebalancing: ecstypes.AvailabilityZoneRebalancingDisabled, HealthCheckGracePeriodSeconds: aws.Int32(60),
		DeploymentConfiguration: &ecstypes.DeploymentConfiguration{
			DeploymentCircuitBreaker: &ecstypes.DeploymentCircuitBreaker{Enable: true, Rollback: true}, MinimumHealthyPercent: aws.Int32(50),
		},
	}
	_, err = d.ECS.CreateService(t.Context(), create)
	require.NoError(t, err)
	again, err := d.ECS.CreateService(t.Context(), create)
	require.NoError(t, err, "the same request is no second service")
	require.Equal(t, "ACTIVE", aws.ToString(again.Service.Status))
	create.DesiredCount = aws.Int32(2)
	_, err = d.ECS.CreateService(t.Context(), create)
	require.Equal(t, "InvalidParameterException: Creation of service was not idempotent.", d.code(err))

	update := func(in ecs.UpdateServiceInput) error {
		in.Cluster, in.Service = aws.String("payments"), aws.String("given")
		_, err := d.ECS.UpdateService(t.Context(), &in)
		return err
	}
	require.NoError(t, update(ecs.UpdateServiceInput{DeploymentConfiguration: &ecstypes.DeploymentConfiguration{MaximumPercent: aws.Int32(150)}}))
	given := d.service("given")
	require.Equal(t, []any{
		ecstypes.AvailabilityZoneRebalancingDisabled, true, int32(60), int32(150), int32(50),
		&ecstypes.DeploymentCircuitBreaker{Enable: true, Rollback: true},
	}, []any{
		given.AvailabilityZoneRebalancing, given.EnableECSManagedTags, aws.ToInt32(given.HealthCheckGracePeriodSeconds),
		aws.ToInt32(given.DeploymentConfiguration.MaximumPercent), aws.ToInt32(given.DeploymentConfiguration.MinimumHealthyPercent),
		given.DeploymentConfiguration.DeploymentCircuitBreaker,
	}, "what an update leaves out stays")
	require.NoError(t, update(ecs.UpdateServiceInput{EnableECSManagedTags: aws.Bool(false), HealthCheckGracePeriodSeconds: aws.Int32(0)}))
	require.False(t, d.service("given").EnableECSManagedTags)
	require.Zero(t, aws.ToInt32(d.service("given").HealthCheckGracePeriodSeconds))
	require.Error(t, update(ecs.UpdateServiceInput{DeploymentConfiguration: &ecstypes.DeploymentConfiguration{
		MaximumPercent: aws.Int32(100), MinimumHealthyPercent: aws.Int32(100),
	}}), "nothing could ever be deployed")
	require.Error(t, update(ecs.UpdateServiceInput{
		AvailabilityZoneRebalancing: ecstypes.AvailabilityZoneRebalancingEnabled,
		DeploymentConfiguration:     &ecstypes.DeploymentConfiguration{MaximumPercent: aws.Int32(100), MinimumHealthyPercent: aws.Int32(0)},
	}), "rebalancing needs room")
	_, err = d.ECS.DeleteCluster(t.Context(), &ecs.DeleteClusterInput{Cluster: aws.String("payments")})
	require.Contains(t, d.code(err), "ClusterContainsServicesException")
}

func TestAnEncryptedDatabaseTellsAWSsOwnKey(t *testing.T) {
	clients := cloud.NewClients(localMoto(t).Config)
	create := func(name string, change func(*rds.CreateDBClusterInput)) (rdstypes.DBCluster, error) {
		in := &rds.CreateDBClusterInput{
			DBClusterIdentifier: &name, Engine: aws.String("aurora-postgresql"), EngineVersion: aws.String("16.6"),
			MasterUsername: aws.String("master"), MasterUserPassword: aws.String("not-a-secret"),
		}
		change(in)
		out, err := clients.RDS.CreateDBCluster(t.Context(), in)
		if err != nil {
			return rdstypes.DBCluster{}, err
		}
		return *out.DBCluster, nil
	}
	plain, err := create("plain", func(*rds.CreateDBClusterInput) {})
	require.NoError(t, err)
	require.Nil(t, plain.KmsKeyId)
	require.Equal(t, "open-source-rds-extended-support", aws.ToString(plain.EngineLifecycleSupport), "AWS's default")

	encrypted, err := create("encrypted", func(in *rds.CreateDBClusterInput) {
		in.StorageEncrypted, in.EngineLifecycleSupport = aws.Bool(true), aws.String("open-source-rds-extended-support-disabled")
	})
	require.NoError(t, err)
	require.Equal(t, "open-source-rds-extended-support-disabled", aws.ToString(encrypted.EngineLifecycleSupport))
	for _, name := range []string{aws.ToString(encrypted.KmsKeyId), "alias/aws/rds"} {
		key, err := clients.KMS.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &name})
		require.NoError(t, err)
		require.Equal(t, []any{kmstypes.KeyManagerTypeAws, kmstypes.KeyStateEnabled, aws.ToString(encrypted.KmsKeyId)},
			[]any{key.KeyMetadata.KeyManager, key.KeyMetadata.KeyState, aws.ToString(key.KeyMetadata.Arn)})
	}
	aliases, err := clients.KMS.ListAliases(t.Context(), &kms.ListAliasesInput{KeyId: encrypted.KmsKeyId})
	require.NoError(t, err)
	require.Equal(t, "alias/aws/rds", aws.ToString(aliases.Aliases[0].AliasName))

	own, err := clients.KMS.CreateKey(t.Context(), &kms.CreateKeyInput{})
	require.NoError(t, err)
	theirs, err := create("theirs", func(in *rds.CreateDBClusterInput) {
		in.StorageEncrypted, in.KmsKeyId = aws.Bool(true), own.KeyMetadata.KeyId
	})
	require.NoError(t, err)
	require.Equal(t, own.KeyMetadata.Arn, theirs.KmsKeyId)
	_, err = create("none", func(in *rds.CreateDBClusterInput) {
		in.StorageEncrypted, in.KmsKeyId = aws.Bool(true), aws.String("00000000-0000-4000-8000-000000000000")
	})
	require.ErrorContains(t, err, "KMSKeyNotAccessibleFault")
	_, err = create("odd", func(in *rds.CreateDBClusterInput) { in.EngineLifecycleSupport = aws.String("for-ever") })
	require.ErrorContains(t, err, "InvalidParameterValue")
}

func TestADatabaseTellsWhatItWasModifiedTo(t *testing.T) {
	clients := cloud.NewClients(localMoto(t).Config)
	name := aws.String("db")
	_, err := clients.RDS.CreateDBCluster(t.Context(), &rds.CreateDBClusterInput{
		DBClusterIdentifier: name, Engine: aws.String("aurora-postgresql"), MasterUsername: aws.String("master"), MasterUserPassword: aws.String("not-a-secret"),
		EnableIAMDatabaseAuthentication: aws.Bool(true), EnableCloudwatchLogsExports: []string{"postgresql"},
	})
	require.NoError(t, err)
	made, err := clients.RDS.CreateDBInstance(t.Context(), &rds.CreateDBInstanceInput{
		DBInstanceIdentifier: name, DBClusterIdentifier: name, Engine: aws.String("aurora-postgresql"), DBInstanceClass: aws.String("db.r6g.large"),
	})
	require.NoError(t, err)
	require.False(t, aws.ToBool(made.DBInstance.PerformanceInsightsEnabled))
	require.Nil(t, made.DBInstance.PerformanceInsightsRetentionPeriod)
	modify := func(in rds.ModifyDBInstanceInput) (rdstypes.DBInstance, error) {
		in.DBInstanceIdentifier = name
		if _, err := clients.RDS.ModifyDBInstance(t.Context(), &in); err != nil {
			return rdstypes.DBInstance{}, err
		}
		out, err := clients.RDS.DescribeDBInstances(t.Context(), &rds.DescribeDBInstancesInput{})
		require.NoError(t, err)
		return out.DBInstances[0], nil
	}
	_, err = modify(rds.ModifyDBInstanceInput{PerformanceInsightsRetentionPeriod: aws.Int32(7)})
	require.ErrorContains(t, err, "InvalidParameterCombination")
	_, err = modify(rds.ModifyDBInstanceInput{EnablePerformanceInsights: aws.Bool(true), PerformanceInsightsRetentionPeriod: aws.Int32(8)})
	require.ErrorContains(t, err, "InvalidParameterValue")
	on, err := modify(rds.ModifyDBInstanceInput{EnablePerformanceInsights: aws.Bool(true)})
	require.NoError(t, err)
	require.Equal(t, []any{true, int32(7)}, []any{aws.ToBool(on.PerformanceInsightsEnabled), aws.ToInt32(on.PerformanceInsightsRetentionPeriod)})
	require.Contains(t, aws.ToString(on.PerformanceInsightsKMSKeyId), ":key/", "AWS's own")
	longer, err := modify(rds.ModifyDBInstanceInput{PerformanceInsightsRetentionPeriod: aws.Int32(62)})
	require.NoError(t, err)
	require.EqualValues(t, 62, aws.ToInt32(longer.PerformanceInsightsRetentionPeriod))
	off, err := modify(rds.ModifyDBInstanceInput{EnablePerformanceInsights: aws.Bool(false)})
	require.NoError(t, err)
	require.Equal(t, []any{false, (*int32)(nil)}, []any{aws.ToBool(off.PerformanceInsightsEnabled), off.PerformanceInsightsRetentionPeriod})

	_, err = clients.RDS.ModifyDBCluster(t.Context(), &rds.ModifyDBClusterInput{
		DBClusterIdentifier: name, EnableIAMDatabaseAuthentication: aws.Bool(false),
		CloudwatchLogsExportConfiguration: &rdstypes.CloudwatchLogsExportConfiguration{DisableLogTypes: []string{"postgresql"}},
	})
	require.NoError(t, err)
	out, err := clients.RDS.DescribeDBClusters(t.Context(), &rds.DescribeDBClustersInput{})
	require.NoError(t, err)
	require.False(t, aws.ToBool(out.DBClusters[0].IAMDatabaseAuthenticationEnabled))
	require.Empty(t, out.DBClusters[0].EnabledCloudwatchLogsExports)
	_, err = clients.RDS.ModifyDBCluster(t.Context(), &rds.ModifyDBClusterInput{DBClusterIdentifier: aws.String("none")})
	require.ErrorContains(t, err, "DBClusterNotFoundFault")
}

func TestAnAlarmPublishesToATopicThatLetsItAndItsHistoryTells(t *testing.T) {
	clients := cloud.NewClients(localMoto(t).Config)
	topic, err := clients.SNS.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("alerts")})
	require.NoError(t, err)
	queue, err := clients.SQS.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("alerts")})
	require.NoError(t, err)
	_, err = clients.SNS.Subscribe(t.Context(), &sns.SubscribeInput{
		TopicArn: topic.TopicArn, Protocol: aws.String("sqs"), Endpoint: aws.String("arn:aws:sqs:us-east-1:123456789012:alerts"),
	})
	require.NoError(t, err)
	name := aws.String("errors")
	_, err = clients.CloudWatch.PutMetricAlarm(t.Context(), &cloudwatch.PutMetricAlarmInput{
		AlarmName: name, MetricName: aws.String("5XX"), Namespace: aws.String("AWS/ApplicationELB"), Statistic: cwtypes.StatisticSum, Period: aws.Int32(60),
		EvaluationPeriods: aws.Int32(1), Threshold: aws.Float64(1), ComparisonOperator: cwtypes.ComparisonOperatorGreaterThanThreshold,
		AlarmActions: []string{aws.ToString(topic.TopicArn)},
	})
	require.NoError(t, err)
	set := func(to cwtypes.StateValue) {
		_, err := clients.CloudWatch.SetAlarmState(t.Context(), &cloudwatch.SetAlarmStateInput{AlarmName: name, StateValue: to, StateReason: aws.String("a test")})
		require.NoError(t, err)
	}
	history := func(kind cwtypes.HistoryItemType) []cwtypes.AlarmHistoryItem {
		out, err := clients.CloudWatch.DescribeAlarmHistory(t.Context(), &cloudwatch.DescribeAlarmHistoryInput{AlarmName: name, HistoryItemType: kind})
		require.NoError(t, err)
		return out.AlarmHistoryItems
	}
	goOff := func() (summary string, data map[string]any) {
		set(cwtypes.StateValueOk)
		before := len(history(cwtypes.HistoryItemTypeAction))
		set(cwtypes.StateValueAlarm)
		set(cwtypes.StateValueAlarm) // is no change
		actions := history(cwtypes.HistoryItemTypeAction)
		require.Len(t, actions, before+1)
		require.NoError(t, json.Unmarshal([]byte(aws.ToString(actions[0].HistoryData)), &data))
		return aws.ToString(actions[0].HistorySummary), data
	}
	messages := func() int {
		out, err := clients.SQS.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue.QueueUrl, MaxNumberOfMessages: 10})
		require.NoError(t, err)
		for _, m := range out.Messages {
			require.Contains(t, aws.ToString(m.Body), `\"AlarmName\":\"errors\"`)
		}
		return len(out.Messages)
	}

	summary, data := goOff()
	require.Equal(t, "Successfully executed action "+aws.ToString(topic.TopicArn), summary)
	require.Equal(t, []any{"Succeeded", aws.ToString(topic.TopicArn)}, []any{data["actionState"], data["notificationResource"]})
	require.Equal(t, 1, messages(), "a topic's usual policy lets its account")
	states := history(cwtypes.HistoryItemTypeStateUpdate)
	require.Equal(t, "Alarm updated from OK to ALARM", aws.ToString(states[0].HistorySummary))
	require.JSONEq(t, `{"stateValue":"ALARM","stateReason":"a test"}`, field(t, aws.ToString(states[0].HistoryData), "newState"))

	allow := func(principal, condition string) string {
		return fmt.Sprintf(`{"Effect":"Allow","Principal":%s,"Action":"sns:Publish","Resource":%q,"Condition":%s}`, principal, aws.ToString(topic.TopicArn), condition)
	}
	cloudWatch := `{"Service":["cloudwatch.amazonaws.com"]}`
	for policy, may := range map[string]bool{
		allow(cloudWatch, `{}`): true,
		allow(cloudWatch, `{"StringEquals":{"aws:SourceAccount":"123456789012"}}`):                                  true,
		allow(cloudWatch, `{"ArnLike":{"AWS:SourceArn":"arn:aws:cloudwatch:us-east-1:123456789012:alarm:*"}}`):      true,
		allow(cloudWatch, `{"StringEquals":{"aws:SourceAccount":"210987654321"}}`):                                  false,
		allow(cloudWatch, `{"Bool":{"aws:SecureTransport":"false"}}`):                                               false,
		allow(cloudWatch, `{"NobodyKnows":{"aws:SourceAccount":"123456789012"}}`):                                   false,
		allow(`{"Service":"events.amazonaws.com"}`, `{}`):                                                           false,
		allow(`{"AWS":"arn:aws:iam::123456789012:root"}`, `{}`):                                                     false,
		allow(cloudWatch, `{}`) + `,{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}`:                  false,
		`{"Effect":"Allow","Principal":"*","Action":"sns:Subscribe","Resource":"*"}`:                                false,
		`{"Effect":"Deny","Principal":"*","Action":"sns:Publish","Resource":"*","Condition":{"Null":{"x":"true"}}}`: false,
	} {
		_, err := clients.SNS.SetTopicAttributes(t.Context(), &sns.SetTopicAttributesInput{
			TopicArn: topic.TopicArn, AttributeName: aws.String("Policy"), AttributeValue: aws.String(`{"Version":"2012-10-17","Statement":[` + policy + `]}`),
		})
		require.NoError(t, err)
		summary, data := goOff()
		if may {
			require.Equal(t, "Succeeded", data["actionState"], policy)
			require.Equal(t, 1, messages(), policy)
			continue
		}
		require.Equal(t, "Failed", data["actionState"], policy)
		require.True(t, strings.HasPrefix(summary, "Failed to execute action "+aws.ToString(topic.TopicArn)), summary)
		require.Contains(t, data["error"], "is not authorized to perform: SNS:Publish on resource: "+aws.ToString(topic.TopicArn))
		require.Zero(t, messages(), policy)
	}

	_, err = clients.SNS.SetTopicAttributes(t.Context(), &sns.SetTopicAttributesInput{
		TopicArn: topic.TopicArn, AttributeName: aws.String("Policy"), AttributeValue: aws.String(`{"Statement":[` + allow(cloudWatch, `{}`) + `]}`),
	})
	require.NoError(t, err)
	for _, key := range []string{"alias/aws/sns", "alias/none"} {
		_, err = clients.SNS.SetTopicAttributes(t.Context(), &sns.SetTopicAttributesInput{
			TopicArn: topic.TopicArn, AttributeName: aws.String("KmsMasterKeyId"), AttributeValue: &key,
		})
		require.NoError(t, err)
		_, data = goOff()
		require.Equal(t, "Failed", data["actionState"], "a key that CloudWatch may not use: "+key)
		require.Contains(t, data["error"], "AWSKMS")
	}
	_, err = clients.SNS.DeleteTopic(t.Context(), &sns.DeleteTopicInput{TopicArn: topic.TopicArn})
	require.NoError(t, err)
	_, data = goOff()
	require.Equal(t, "Failed", data["actionState"])

	_, err = clients.CloudWatch.DeleteAlarms(t.Context(), &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{*name}})
	require.NoError(t, err)
	require.NotEmpty(t, history(cwtypes.HistoryItemTypeAction), "an alarm's history outlives it")
	page, err := clients.CloudWatch.DescribeAlarmHistory(t.Context(), &cloudwatch.DescribeAlarmHistoryInput{
		MaxRecords: aws.Int32(1), ScanBy: cwtypes.ScanByTimestampAscending,
	})
	require.NoError(t, err)
	require.Len(t, page.AlarmHistoryItems, 1)
	require.NotNil(t, page.NextToken)
}

// field is one field of a document, as JSON.
func field(t *testing.T, document, name string) string {
	t.Helper()
	var fields map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(document), &fields))
	return string(fields[name])
}
