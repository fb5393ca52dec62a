package official

// Why the two providers see a change otherwise.
const (
	refused     = "the official provider refuses the combination when it plans; the local one leaves that to AWS"
	crashes     = "the official provider cannot plan this while the filter is unknown"
	stripped    = "what is left out or not known yet stays as it is officially; the local provider knows no default group with rules"
	otherPeer   = "the peer becomes one of another kind, or stays, which is not known yet: the official provider expects the worse"
	follows     = "the official provider announces an update, for the mappings follow from the subnets"
	recordType  = "the official provider changes the type by deleting and making the record within an update; the local one replaces it"
	taskNetwork = "the local provider compares container definitions by network mode, on which their host ports depend"
	redacted    = "the official provider does not see that the last redacted field is left out"
)

// knownChanges are the changes that the two providers see otherwise, with the reason.
var knownChanges = map[string]string{
	"aws:cloudwatch/metricAlarm:MetricAlarm extendedStatistic changed":                             refused,
	"aws:cloudwatch/metricAlarm:MetricAlarm extendedStatistic removed":                             refused,
	"aws:cloudwatch/metricAlarm:MetricAlarm extendedStatistic set":                                 refused,
	"aws:cloudwatch/metricAlarm:MetricAlarm extendedStatistic unknown":                             refused,
	"aws:cloudwatch/metricAlarm:MetricAlarm statistic removed":                                     refused,
	"aws:cloudwatch/metricAlarm:MetricAlarm statistic unknown":                                     refused,
	"aws:ec2/defaultSecurityGroup:DefaultSecurityGroup egress removed":                             stripped,
	"aws:ec2/defaultSecurityGroup:DefaultSecurityGroup egress unknown":                             stripped,
	"aws:ec2/defaultSecurityGroup:DefaultSecurityGroup ingress removed":                            stripped,
	"aws:ec2/defaultSecurityGroup:DefaultSecurityGroup ingress unknown":                            stripped,
	"aws:ecs/taskDefinition:TaskDefinition networkMode removed":                                    taskNetwork,
	"aws:lb/loadBalancer:LoadBalancer subnets unknown":                                             follows,
	"aws:lb/targetGroup:TargetGroup port removed":                                                  refused,
	"aws:lb/targetGroup:TargetGroup protocol removed":                                              refused,
	"aws:lb/targetGroup:TargetGroup vpcId removed":                                                 refused,
	"aws:route53/record:Record type changed":                                                       recordType,
	"aws:route53/record:Record type unknown":                                                       recordType,
	"aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2 rules[0].filter unknown": crashes,
	"aws:sns/topicSubscription:TopicSubscription filterPolicyScope changed":                        refused,
	"aws:sns/topicSubscription:TopicSubscription filterPolicyScope removed":                        refused,
	"aws:sns/topicSubscription:TopicSubscription filterPolicyScope set":                            refused,
	"aws:sns/topicSubscription:TopicSubscription filterPolicyScope set to unknown":                 refused,
	"aws:sns/topicSubscription:TopicSubscription filterPolicyScope unknown":                        refused,
	"aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule cidrIpv4 set to unknown":              otherPeer,
	"aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule referencedSecurityGroupId removed":    refused,
	"aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule cidrIpv4 removed":                   refused,
	`aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration example "nothing redacted"`:   redacted,
	"aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration redactedFields removed":       redacted,
}
