package judge

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/declared"
)

// template says how CloudFormation has what is of a Pulumi type. A property goes by its own name with a capital, save for those
// in names:
//
//	"Name"         it goes by another
//	"Outer.Name"   it is inside another
//	"Name[]"       it is a list of one, "Name[].Inner" inside that one
//	"Name=key"     it is an item of a list of keys and values
//	"Name<"        it is the first of the list
//	"Name{}"       it is a map
//	"*"            its properties are those of what it is in
//	""             CloudFormation has none
type template struct {
	kind  string // empty: CloudFormation has none
	names map[string]string
	// Where into is set, it is a part of the resource whose id, ARN or name that property holds, at the place that is called
	// as, in the way of names; without as, its properties are that one's.
	into, as string
	added    map[string]any
}

// noCounterpart is what CloudFormation lacks or makes by itself: a default security group, a certificate that is brought along, or
// one that awaits its proof.
var noCounterpart = template{}

const logs, elb, ecsType, rds, manager = "AWS::Logs::", "AWS::ElasticLoadBalancingV2::", "AWS::ECS::", "AWS::RDS::", "AWS::SecretsManager::"

// alarmNames are those of an alarm and its queries.
var alarmNames = map[string]string{
	"name": "AlarmName", "okActions": "OKActions", "metricQueries": "Metrics", "metricQueries.metric": "MetricStat",
	"metric.dimensions": "Metric.Dimensions", "metric.metricName": "Metric.MetricName", "metric.namespace": "Metric.Namespace", "alarmDescription": "AlarmDescription",
}

var templates = map[string]template{
	"aws:acm/certificate:Certificate":                     noCounterpart,
	"aws:acm/certificateValidation:CertificateValidation": noCounterpart,
	"aws:appautoscaling/policy:Policy": {kind: "AWS::ApplicationAutoScaling::ScalingPolicy", names: map[string]string{
		"name": "PolicyName",
	}},
	"aws:appautoscaling/target:Target":   {kind: "AWS::ApplicationAutoScaling::ScalableTarget", names: map[string]string{"tags": ""}},
	"aws:cloudwatch/dashboard:Dashboard": {kind: "AWS::CloudWatch::Dashboard"},
	"aws:cloudwatch/eventRule:EventRule": {kind: "AWS::Events::Rule", names: map[string]string{"forceDestroy": ""}},
	"aws:cloudwatch/eventTarget:EventTarget": {into: "rule", as: "Targets[]", names: map[string]string{
		"targetId": "Id", "eventBusName": "", "forceDestroy": "", "rule": "",
	}},
	"aws:cloudwatch/logGroup:LogGroup":                   {kind: logs + "LogGroup", names: map[string]string{"name": "LogGroupName"}},
	"aws:cloudwatch/logResourcePolicy:LogResourcePolicy": {kind: logs + "ResourcePolicy"},
	"aws:cloudwatch/metricAlarm:MetricAlarm":             {kind: "AWS::CloudWatch::Alarm", names: alarmNames},
	"aws:ec2/defaultSecurityGroup:DefaultSecurityGroup":  noCounterpart,
	"aws:ec2/eip:Eip": {kind: "AWS::EC2::EIP"},
	"aws:ec2/flowLog:FlowLog": {kind: "AWS::EC2::FlowLog", added: map[string]any{"ResourceType": "VPC"}, names: map[string]string{
		"iamRoleArn": "DeliverLogsPermissionArn", "vpcId": "ResourceId",
	}},
	"aws:ec2/internetGateway:InternetGateway":             {kind: "AWS::EC2::InternetGateway", names: map[string]string{"vpcId": ""}},
	"aws:ec2/natGateway:NatGateway":                       {kind: "AWS::EC2::NatGateway"},
	"aws:ec2/route:Route":                                 {kind: "AWS::EC2::Route"},
	"aws:ec2/routeTable:RouteTable":                       {kind: "AWS::EC2::RouteTable"},
	"aws:ec2/routeTableAssociation:RouteTableAssociation": {kind: "AWS::EC2::SubnetRouteTableAssociation"},
	"aws:ec2/securityGroup:SecurityGroup": {kind: "AWS::EC2::SecurityGroup", names: map[string]string{
		"description": "GroupDescription", "name": "GroupName",
	}},
	"aws:ec2/subnet:Subnet":           {kind: "AWS::EC2::Subnet"},
	"aws:ec2/vpc:Vpc":                 {kind: "AWS::EC2::VPC"},
	"aws:ec2/vpcEndpoint:VpcEndpoint": {kind: "AWS::EC2::VPCEndpoint", names: map[string]string{"policy": "PolicyDocument"}},
	"aws:ecs/cluster:Cluster":         {kind: ecsType + "Cluster", names: map[string]string{"name": "ClusterName", "settings": "ClusterSettings"}},
	"aws:ecs/clusterCapacityProviders:ClusterCapacityProviders": {kind: ecsType + "ClusterCapacityProviderAssociations", names: map[string]string{
		"clusterName": "Cluster", "defaultCapacityProviderStrategies": "DefaultCapacityProviderStrategy",
	}},
	"aws:ecs/service:Service": {kind: ecsType + "Service", names: map[string]string{
		"name": "ServiceName", "deploymentCircuitBreaker": "DeploymentConfiguration.DeploymentCircuitBreaker",
		"deploymentMaximumPercent":        "DeploymentConfiguration.MaximumPercent",
		"deploymentMinimumHealthyPercent": "DeploymentConfiguration.MinimumHealthyPercent",
		"enableEcsManagedTags":            "EnableECSManagedTags", "networkConfiguration.assignPublicIp": "AwsvpcConfiguration.AssignPublicIp",
		"networkConfiguration.securityGroups": "AwsvpcConfiguration.SecurityGroups", "networkConfiguration.subnets": "AwsvpcConfiguration.Subnets", "waitForSteadyState": "",
	}},
	"aws:ecs/taskDefinition:TaskDefinition": {kind: ecsType + "TaskDefinition", names: map[string]string{"volumes.configureAtLaunch": "ConfiguredAtLaunch"}},
	"aws:iam/role:Role": {kind: "AWS::IAM::Role", names: map[string]string{
		"name": "RoleName", "assumeRolePolicy": "AssumeRolePolicyDocument", "forceDetachPolicies": "",
	}},
	"aws:iam/rolePolicy:RolePolicy": {kind: "AWS::IAM::RolePolicy", names: map[string]string{"name": "PolicyName", "policy": "PolicyDocument", "role": "RoleName"}},
	"aws:kms/alias:Alias":           {kind: "AWS::KMS::Alias", names: map[string]string{"name": "AliasName"}},
	"aws:kms/key:Key": {kind: "AWS::KMS::Key", names: map[string]string{
		"bypassPolicyLockoutSafetyCheck": "BypassPolicyLockoutSafetyCheck", "customerMasterKeySpec": "KeySpec",
		"deletionWindowInDays": "PendingWindowInDays", "isEnabled": "Enabled", "policy": "KeyPolicy",
	}},
	"aws:lb/listener:Listener": {kind: elb + "Listener", names: map[string]string{
		"certificateArn": "Certificates[].CertificateArn", "defaultActions.fixedResponse": "FixedResponseConfig", "defaultActions.redirect": "RedirectConfig", "tags": "",
	}},
	"aws:lb/listenerRule:ListenerRule": {kind: elb + "ListenerRule", names: map[string]string{
		"actions.forward": "ForwardConfig", "targetGroups.arn": "TargetGroupArn", "conditions.pathPattern": "PathPatternConfig", "tags": "",
	}},
	"aws:lb/loadBalancer:LoadBalancer": {kind: elb + "LoadBalancer", names: map[string]string{
		"accessLogs":      "",
		"clientKeepAlive": "LoadBalancerAttributes=client_keep_alive.seconds", "desyncMitigationMode": "LoadBalancerAttributes=routing.http.desync_mitigation_mode",
		"dropInvalidHeaderFields": "LoadBalancerAttributes=routing.http.drop_invalid_header_fields.enabled", "enableDeletionProtection": "LoadBalancerAttributes=deletion_protection.enabled",
		"enableHttp2": "LoadBalancerAttributes=routing.http2.enabled", "enableWafFailOpen": "LoadBalancerAttributes=waf.fail_open.enabled",
		"enableXffClientPort": "LoadBalancerAttributes=routing.http.xff_client_port.enabled", "idleTimeout": "LoadBalancerAttributes=idle_timeout.timeout_seconds",
		"preserveHostHeader": "LoadBalancerAttributes=routing.http.preserve_host_header.enabled", "xffHeaderProcessingMode": "LoadBalancerAttributes=routing.http.xff_header_processing.mode",
		"internal": "", "loadBalancerType": "Type",
	}},
	"aws:lb/targetGroup:TargetGroup": {kind: elb + "TargetGroup", names: map[string]string{
		"deregistrationDelay": "TargetGroupAttributes=deregistration_delay.timeout_seconds", "slowStart": "TargetGroupAttributes=slow_start.duration_seconds",
		"healthCheck": "*", "healthCheck.enabled": "HealthCheckEnabled", "healthCheck.healthyThreshold": "HealthyThresholdCount", "healthCheck.unhealthyThreshold": "UnhealthyThresholdCount",
		"healthCheck.interval": "HealthCheckIntervalSeconds", "healthCheck.timeout": "HealthCheckTimeoutSeconds", "healthCheck.matcher": "Matcher.HttpCode", "healthCheck.path": "HealthCheckPath",
		"healthCheck.port": "HealthCheckPort", "healthCheck.protocol": "HealthCheckProtocol",
	}},
	"aws:rds/cluster:Cluster": {kind: rds + "DBCluster", names: map[string]string{
		"allowMajorVersionUpgrade": "", "applyImmediately": "", "clusterIdentifier": "DBClusterIdentifier", "dbClusterParameterGroupName": "DBClusterParameterGroupName",
		"dbSubnetGroupName": "DBSubnetGroupName", "deleteAutomatedBackups": "DeleteAutomatedBackups", "enabledCloudwatchLogsExports": "EnableCloudwatchLogsExports",
		"iamDatabaseAuthenticationEnabled": "EnableIAMDatabaseAuthentication", "masterPassword": "MasterUserPassword", "skipFinalSnapshot": "",
	}},
	"aws:rds/clusterInstance:ClusterInstance": {kind: rds + "DBInstance", names: map[string]string{
		"applyImmediately": "", "caCertIdentifier": "CACertificateIdentifier", "clusterIdentifier": "DBClusterIdentifier", "dbSubnetGroupName": "DBSubnetGroupName",
		"identifier": "DBInstanceIdentifier", "instanceClass": "DBInstanceClass", "performanceInsightsEnabled": "EnablePerformanceInsights",
	}},
	"aws:rds/clusterParameterGroup:ClusterParameterGroup": {kind: rds + "DBClusterParameterGroup", names: map[string]string{"name": "DBClusterParameterGroupName", "parameters": "Parameters{}"}},
	"aws:rds/eventSubscription:EventSubscription": {kind: rds + "EventSubscription", names: map[string]string{
		"name": "SubscriptionName", "snsTopic": "SnsTopicArn",
	}},
	"aws:rds/subnetGroup:SubnetGroup": {kind: rds + "DBSubnetGroup", names: map[string]string{
		"name": "DBSubnetGroupName", "description": "DBSubnetGroupDescription",
	}},
	"aws:route53/record:Record": {kind: "AWS::Route53::RecordSet", names: map[string]string{
		"allowOverwrite": "", "records": "ResourceRecords", "ttl": "TTL", "zoneId": "HostedZoneId", "aliases": "AliasTarget<", "aliases.name": "DNSName", "aliases.zoneId": "HostedZoneId",
	}},
	"aws:s3/bucketV2:BucketV2": {kind: "AWS::S3::Bucket", names: map[string]string{"bucket": "BucketName", "forceDestroy": ""}},
	"aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2": {into: "bucket", names: map[string]string{
		"rules": "LifecycleConfiguration.Rules", "rules.expiration": "*", "expiration.days": "ExpirationInDays", "rules.filter": "*",
	}},
	"aws:s3/bucketOwnershipControls:BucketOwnershipControls": {into: "bucket", names: map[string]string{"rule": "OwnershipControls.Rules[]"}},
	"aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": {into: "bucket", as: "PublicAccessBlockConfiguration"},
	"aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2": {into: "bucket", names: map[string]string{
		"rules": "BucketEncryption.ServerSideEncryptionConfiguration", "rules.applyServerSideEncryptionByDefault": "ServerSideEncryptionByDefault", "applyServerSideEncryptionByDefault.sseAlgorithm": "SSEAlgorithm",
	}},
	"aws:s3/bucketVersioningV2:BucketVersioningV2":   {into: "bucket"},
	"aws:s3/bucketPolicy:BucketPolicy":               {kind: "AWS::S3::BucketPolicy", names: map[string]string{"policy": "PolicyDocument"}},
	"aws:secretsmanager/secret:Secret":               {kind: manager + "Secret", names: map[string]string{"recoveryWindowInDays": ""}},
	"aws:secretsmanager/secretPolicy:SecretPolicy":   {kind: manager + "ResourcePolicy", names: map[string]string{"policy": "ResourcePolicy", "secretArn": "SecretId"}},
	"aws:secretsmanager/secretVersion:SecretVersion": {into: "secretId"},
	"aws:sns/topic:Topic":                            {kind: "AWS::SNS::Topic", names: map[string]string{"name": "TopicName"}},
	"aws:sns/topicPolicy:TopicPolicy":                {kind: "AWS::SNS::TopicPolicy", names: map[string]string{"arn": "Topics[]", "policy": "PolicyDocument"}},
	"aws:sns/topicSubscription:TopicSubscription": {kind: "AWS::SNS::Subscription", names: map[string]string{
		"topic": "TopicArn", "confirmationTimeoutInMinutes": "", "endpointAutoConfirms": "",
	}},
	"aws:sqs/queue:Queue": {kind: "AWS::SQS::Queue", names: map[string]string{
		"name": "QueueName", "maxMessageSize": "MaximumMessageSize", "messageRetentionSeconds": "MessageRetentionPeriod",
		"receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds", "visibilityTimeoutSeconds": "VisibilityTimeout",
	}},
	"aws:sqs/queuePolicy:QueuePolicy":               {kind: "AWS::SQS::QueuePolicy", names: map[string]string{"queueUrl": "Queues[]", "policy": "PolicyDocument"}},
	"aws:sqs/redriveAllowPolicy:RedriveAllowPolicy": {into: "queueUrl"},
	"aws:ssm/parameter:Parameter":                   {kind: "AWS::SSM::Parameter", names: map[string]string{"tags": "Tags{}"}},
	"aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": {kind: "AWS::EC2::SecurityGroupEgress", names: map[string]string{
		"cidrIpv4": "CidrIp", "securityGroupId": "GroupId", "referencedSecurityGroupId": "DestinationSecurityGroupId", "tags": "",
	}},
	"aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": {kind: "AWS::EC2::SecurityGroupIngress", names: map[string]string{
		"cidrIpv4": "CidrIp", "securityGroupId": "GroupId", "referencedSecurityGroupId": "SourceSecurityGroupId", "tags": "",
	}},
	"aws:wafv2/webAcl:WebAcl":                                         {kind: "AWS::WAFv2::WebACL", names: map[string]string{"visibilityConfig.cloudwatchMetricsEnabled": "CloudWatchMetricsEnabled"}},
	"aws:wafv2/webAclAssociation:WebAclAssociation":                   {kind: "AWS::WAFv2::WebACLAssociation", names: map[string]string{"webAclArn": "WebACLArn"}},
	"aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration": {kind: "AWS::WAFv2::LoggingConfiguration"},
}

// cloudFormation is a template of the resources, with what AWS made of them in place of references, and the names of the
// resources by their logical ids.
func cloudFormation(resources []declaration) (document map[string]any, names map[string]string, err error) {
	made, byID := map[string]any{}, map[string]map[string]any{}
	names = map[string]string{}
	for _, r := range resources {
		t, known := templates[r.Type]
		if !known && strings.HasPrefix(r.Type, "aws:") {
			return nil, nil, fmt.Errorf("cloudFormation does not know %s", r.Type)
		}
		properties := t.object("", r.Inputs)
		maps.Copy(properties, t.added)
		if t.kind != "" {
			id := logicalID(r.Name)
			if names[id] != "" {
				id = fmt.Sprint(id, len(names))
			}
			names[id], made[id] = r.Name, map[string]any{"Type": t.kind, "Properties": properties}
			for _, id := range []string{r.ID, r.Made["arn"]} {
				if _, taken := byID[id]; !taken {
					byID[id] = properties
				}
			}
		}
		if t.into != "" {
			of, _ := r.Inputs[t.into].(string)
			whole := byID[of]
			if whole == nil {
				return nil, nil, fmt.Errorf("%s is of %s, which is not among the resources", r.Name, of)
			}
			delete(properties, capitalized(t.into))
			if t.as == "" {
				maps.Copy(whole, properties)
			} else {
				put(whole, t.as, properties)
			}
		}
	}
	return map[string]any{"AWSTemplateFormatVersion": "2010-09-09", "Resources": made}, names, nil
}

// logicalID is a name without what CloudFormation does not take in one: "payment-api-sg" becomes "PaymentApiSg".
func logicalID(name string) string {
	parts := strings.Split(name, "-")
	for i, part := range parts {
		parts[i] = capitalized(part)
	}
	return strings.Join(parts, "")
}

func capitalized(name string) string { return strings.ToUpper(name[:1]) + name[1:] }

// object renames the properties of an object, which is the value of the property parent.
func (t template) object(parent string, from map[string]any) map[string]any {
	to := map[string]any{}
	for key, value := range from {
		path := key
		if parent != "" {
			path = parent + "." + key
		}
		name, named := t.names[path]
		if !named {
			name = capitalized(key)
		}
		value = t.value(key, value)
		switch name {
		case "": // CloudFormation has none
		case "*":
			maps.Copy(to, value.(map[string]any))
		default:
			put(to, name, value)
		}
	}
	return to
}

func (t template) value(key string, value any) any {
	switch value := value.(type) {
	case map[string]any:
		if key == "tags" && t.names[key] != "Tags{}" {
			return pairs("Key", value)
		}
		if key == "tags" || key == "options" {
			return value
		}
		if key == "dimensions" {
			return pairs("Name", value)
		}
		return t.object(key, value)
	case []any:
		items := make([]any, len(value))
		for i, item := range value {
			items[i] = item
			if item, isObject := item.(map[string]any); isObject {
				items[i] = t.object(key, item)
			}
		}
		return items
	case bool:
		if key == "assignPublicIp" {
			return map[bool]string{true: "ENABLED", false: "DISABLED"}[value]
		}
	case string:
		var document any
		if !slices.Contains(textsOfJSON, key) && strings.HasPrefix(value, "{") && json.Unmarshal([]byte(value), &document) == nil {
			return document
		}
		if key == "containerDefinitions" {
			_ = json.Unmarshal([]byte(value), &document)
			return t.value("containers", document)
		}
	}
	return value
}

// textsOfJSON are the documents that CloudFormation takes as texts.
var textsOfJSON = []string{"dashboardBody", "policyDocument"}

// pairs is a map as a list of names and values.
func pairs(name string, values map[string]any) []any {
	list := []any{}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		list = append(list, map[string]any{name: key, "Value": values[key]})
	}
	return list
}

// put sets what a name of a template means.
func put(to map[string]any, name string, value any) {
	if outer, attribute, is := strings.Cut(name, "="); is {
		list, _ := to[outer].([]any)
		to[outer] = append(list, map[string]any{"Key": attribute, "Value": fmt.Sprint(value)})
		return
	}
	if list, inner, is := strings.Cut(name, "[]."); is {
		to[list] = []any{map[string]any{inner: value}}
		return
	}
	if outer, inner, is := strings.Cut(name, "."); is {
		if to[outer] == nil {
			to[outer] = map[string]any{}
		}
		put(to[outer].(map[string]any), inner, value)
		return
	}
	if list, is := strings.CutSuffix(name, "[]"); is {
		items, _ := to[list].([]any)
		to[list] = append(items, value)
		return
	}
	if one, is := strings.CutSuffix(name, "<"); is {
		to[one] = value.([]any)[0]
		return
	}
	if object, is := strings.CutSuffix(name, "{}"); is {
		if items, isList := value.([]any); isList {
			fields := map[string]any{}
			for _, item := range items {
				fields[item.(map[string]any)["Name"].(string)] = item.(map[string]any)["Value"]
			}
			value = fields
		}
		to[object] = value
		return
	}
	to[name] = value
}

func TestEveryTypeOfTheStackHasItsPlaceInTheTemplate(t *testing.T) {
	config, err := declared.Largest(suffix)
	require.NoError(t, err)
	resources, err := declared.Resources(config, "us-east-1")
	require.NoError(t, err)
	for _, r := range resources {
		if strings.HasPrefix(r.Type, "aws:") {
			assert.Contains(t, templates, r.Type)
		}
	}
}

func TestNamesOfTheTemplateSayWhereAPropertyIs(t *testing.T) {
	to := map[string]any{}
	put(to, "Name", 1)
	put(to, "Outer.Name", 2)
	put(to, "List[]", 3)
	put(to, "Inner[].Name", 4)
	put(to, "Pairs=a.b", true)
	put(to, "First<", []any{5, 6})
	put(to, "Map{}", []any{map[string]any{"Name": "a", "Value": 7}})
	assert.Equal(t, map[string]any{
		"Name": 1, "Outer": map[string]any{"Name": 2}, "List": []any{3}, "Inner": []any{map[string]any{"Name": 4}},
		"Pairs": []any{map[string]any{"Key": "a.b", "Value": "true"}}, "First": 5, "Map": map[string]any{"a": 7},
	}, to)
}
