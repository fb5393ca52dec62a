package sweep

import (
	"context"
	"slices"
	"time"

	"tapstack/lib/cloud"
	"tapstack/lib/verify"
)

// proof is how a resource without tags of its own is proven ours. One with an owner tag is always judged by its tags.
type proof int

const (
	byTags      proof = iota // by nothing else
	byName                   // by what it belongs to, and a name that the stack gives
	byBelonging              // by what it belongs to alone: AWS or nobody names it
)

// row is how one kind is swept.
type row struct {
	kind  string
	proof proof
	// clings says that what it belongs to cannot be deleted without it.
	clings bool
	// remove asks for the deletion. Nil where nothing can be deleted by itself.
	remove func(ctx context.Context, c *cloud.Clients, f verify.Found) error
	// gone tells whether the deletion has come to its end, where that takes longer than the call.
	gone func(ctx context.Context, c *cloud.Clients, f verify.Found) (bool, error)
	// limit bounds how long the removal is tried, and how long its end is waited for; 0 means usualLimit.
	limit time.Duration
}

const (
	usualLimit    = 5 * time.Minute
	networkLimit  = 15 * time.Minute // the network interfaces of services that are gone linger on
	databaseLimit = 40 * time.Minute
	callLimit     = 2 * time.Minute
)

// rows is every kind that verify.Find finds, in the order of deletion: what uses something before what is used, what
// cannot be tagged before what proves whose it is, and last the log groups and the bucket that services go on writing to
// while they end.
func rows() []row {
	return []row{
		{kind: "alarm", proof: byName, remove: removeAlarm},
		{kind: "dashboard", remove: removeDashboard},
		{kind: "event rule", remove: removeEventRule},
		{kind: "DNS record", proof: byBelonging, remove: removeRecord},
		{kind: "RDS event subscription", remove: removeEventSubscription, gone: eventSubscriptionGone},

		{kind: "scaling policy", proof: byName, clings: true, remove: removeScalingPolicy},
		{kind: "scalable target", proof: byName, remove: removeScalableTarget},
		{kind: "ECS service", clings: true, remove: removeService, gone: serviceGone, limit: networkLimit},
		{kind: "listener rule", proof: byBelonging, clings: true, remove: removeListenerRule},
		{kind: "listener", proof: byBelonging, clings: true, remove: removeListener},
		{kind: "load balancer", remove: removeLoadBalancer, gone: loadBalancerGone, limit: networkLimit},
		{kind: "target group", remove: removeTargetGroup},
		{kind: "web ACL", remove: removeWebACL, limit: networkLimit},
		{kind: "certificate", remove: removeCertificate, limit: networkLimit},
		{kind: "task definition", remove: removeTaskDefinition},
		{kind: "ECS cluster", remove: removeCluster},

		{kind: "database snapshot", proof: byBelonging, remove: removeSnapshot},
		{kind: "database instance", clings: true, remove: removeDBInstance, gone: dbInstanceGone, limit: databaseLimit},
		{kind: "database cluster", remove: removeDBCluster, gone: dbClusterGone, limit: databaseLimit},
		{kind: "database automated backup", remove: removeBackup},
		{kind: "database subnet group", remove: removeDBSubnetGroup},
		{kind: "database cluster parameter group", remove: removeDBParameterGroup},

		{kind: "queue", remove: removeQueue},
		{kind: "topic", remove: removeTopic},
		{kind: "secret", remove: removeSecret},
		{kind: "parameter", remove: removeParameter},
		{kind: "KMS alias", proof: byName, clings: true, remove: removeAlias},
		{kind: "KMS key", remove: removeKey},

		{kind: "VPC endpoint", remove: removeEndpoint, gone: endpointGone, limit: networkLimit},
		{kind: "NAT gateway", remove: removeNAT, gone: natGone, limit: networkLimit},
		{kind: "Elastic IP", remove: removeAddress},
		{kind: "flow log", remove: removeFlowLog},
		{kind: "network interface", proof: byBelonging, remove: removeInterface, limit: networkLimit},
		{kind: "security group rule", proof: byBelonging, clings: true, remove: removeGroupRule},
		{kind: "security group", proof: byBelonging, remove: removeSecurityGroup, limit: networkLimit},
		{kind: "subnet", remove: removeSubnet, limit: networkLimit},
		{kind: "route table", remove: removeRouteTable},
		{kind: "internet gateway", remove: removeInternetGateway, limit: networkLimit},
		{kind: "VPC", remove: removeVPC},

		{kind: "IAM role", remove: removeRole},
		{kind: "log resource policy", proof: byName, remove: removeLogPolicy},
		{kind: "log group", proof: byName, remove: removeLogGroup},
		{kind: "bucket", remove: removeBucket},

		// The stack has none of these: what is found is told, and kept.
		{kind: "IAM policy"},
		{kind: "other resource"},
	}
}

func rowOf(kind string) (row, bool) {
	if i := place(kind); i < len(rows()) {
		return rows()[i], true
	}
	return row{}, false
}

// place is where a kind stands in the order of deletion.
func place(kind string) int {
	i := slices.IndexFunc(rows(), func(r row) bool { return r.kind == kind })
	if i < 0 {
		return len(rows())
	}
	return i
}
