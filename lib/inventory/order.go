package inventory

// RemovalOrder is every kind in the order in which the sweeper deletes them: what uses something before what is used, what
// cannot be tagged before what proves whose it is, and last the log groups and the bucket that services go on writing to
// while they end.
func RemovalOrder() []*Kind {
	return []*Kind{
		Alarm, Dashboard, EventRule, DNSRecord, EventSubscription,
		ScalingPolicy, ScalableTarget, ECSService, ListenerRule, Listener, LoadBalancer, TargetGroup, WebACL, Certificate, TaskDefinition, ECSCluster,
		DBSnapshot, DBInstance, DBCluster, DBClusterBackup, DBSubnetGroup, DBClusterParameterGroup,
		Queue, Topic, Secret, Parameter, KeyAlias, Key,
		VPCEndpoint, NATGateway, ElasticIP, FlowLog, NetworkInterface, SecurityGroupRule, SecurityGroup, Subnet, RouteTable, InternetGateway, VPC,
		Role, LogResourcePolicy, LogGroup, Bucket,
		Policy, Other,
	}
}
