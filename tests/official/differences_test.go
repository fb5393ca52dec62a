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

// Why the whole stack differs. What moto does not tell AWS does, so that a difference of that kind is none there.
const (
	serverless  = "moto tells it of clusters that are not serverless"
	invented    = "moto makes one up for each cluster"
	protocolAll = "of all protocols, ports say nothing"
	sameAsUnset = "the official provider sends the default, which is what AWS does without"
	oldName     = "the official provider uses the parameter's former name"
	anotherCall = "the official provider asks for it with a call of its own, and nobody reads the answer"
	noAPI       = "no API tells it: the official provider has a table"
	ofSchema    = "a default of the official schema, which means nothing for HTTP"
)

// knownStackDifferences are what differs after the whole stack's life, with the reason.
var knownStackDifferences = map[string]string{
	"output: aws:ec2/vpcEndpoint:VpcEndpoint prefixListId":                 anotherCall,
	"output: aws:lb/listener:Listener tcpIdleTimeoutSeconds":               ofSchema,
	"output: aws:rds/cluster:Cluster hostedZoneId":                         invented,
	"output: aws:s3/bucketV2:BucketV2 grants":                              anotherCall,
	"output: aws:s3/bucketV2:BucketV2 hostedZoneId":                        noAPI,
	"second preview: update aws:rds/cluster:Cluster aurora-cluster":        serverless,
	"destroy: ecs DeleteService force":                                     sameAsUnset,
	"up: ec2 RevokeSecurityGroupEgress IpPermissions.FromPort":             protocolAll,
	"up: ec2 RevokeSecurityGroupEgress IpPermissions.ToPort":               protocolAll,
	"up: elasticloadbalancing ModifyLoadBalancerAttributes Attributes.Key": sameAsUnset,
	"up: kms CreateKey CustomerMasterKeySpec":                              oldName,
	"up: kms CreateKey KeySpec":                                            oldName,
	"up: s3 PUT encryption Rule.BucketKeyEnabled":                          sameAsUnset,
	"up: sns SetTopicAttributes AttributeName":                             sameAsUnset,
	"up: sns SetTopicAttributes AttributeValue":                            sameAsUnset,
}
