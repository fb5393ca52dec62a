package sweep

import (
	"context"
	"time"

	"tapstack/lib/cloud"
	"tapstack/lib/inventory"
)

// removal deletes resources of one kind.
type removal struct {
	// remove asks for the deletion.
	remove func(context.Context, *cloud.Clients, inventory.Resource) error
	// gone tells whether the deletion has come to its end, where that takes longer than the call.
	gone func(context.Context, *cloud.Clients, inventory.Resource) (bool, error)
}

const (
	usualLimit = 5 * time.Minute // of kinds that set no other
	callLimit  = 2 * time.Minute
)

// removals are the calls that delete each kind. All else about it, and the order, is in the inventory.
func removals() map[*inventory.Kind]removal {
	return map[*inventory.Kind]removal{
		inventory.Alarm:             {remove: removeAlarm},
		inventory.Dashboard:         {remove: removeDashboard},
		inventory.EventRule:         {remove: removeEventRule},
		inventory.DNSRecord:         {remove: removeRecord},
		inventory.EventSubscription: {removeEventSubscription, eventSubscriptionGone},

		inventory.ScalingPolicy:  {remove: removeScalingPolicy},
		inventory.ScalableTarget: {remove: removeScalableTarget},
		inventory.ECSService:     {removeService, serviceGone},
		inventory.TaskDefinition: {remove: removeTaskDefinition},
		inventory.ECSCluster:     {remove: removeCluster},

		inventory.ListenerRule: {remove: removeListenerRule},
		inventory.Listener:     {remove: removeListener},
		inventory.LoadBalancer: {removeLoadBalancer, loadBalancerGone},
		inventory.TargetGroup:  {remove: removeTargetGroup},
		inventory.WebACL:       {remove: removeWebACL},
		inventory.Certificate:  {remove: removeCertificate},

		inventory.DBSnapshot:              {remove: removeSnapshot},
		inventory.DBInstance:              {removeDBInstance, dbInstanceGone},
		inventory.DBCluster:               {removeDBCluster, dbClusterGone},
		inventory.DBClusterBackup:         {remove: removeBackup},
		inventory.DBSubnetGroup:           {remove: removeDBSubnetGroup},
		inventory.DBClusterParameterGroup: {remove: removeDBParameterGroup},

		inventory.Queue:     {remove: removeQueue},
		inventory.Topic:     {remove: removeTopic},
		inventory.Secret:    {remove: removeSecret},
		inventory.Parameter: {remove: removeParameter},
		inventory.KeyAlias:  {remove: removeAlias},
		inventory.Key:       {remove: removeKey},

		inventory.VPCEndpoint:       {removeEndpoint, endpointGone},
		inventory.NATGateway:        {removeNAT, natGone},
		inventory.ElasticIP:         {remove: removeAddress},
		inventory.FlowLog:           {remove: removeFlowLog},
		inventory.NetworkInterface:  {remove: removeInterface},
		inventory.SecurityGroupRule: {remove: removeGroupRule},
		inventory.SecurityGroup:     {remove: removeSecurityGroup},
		inventory.Subnet:            {remove: removeSubnet},
		inventory.RouteTable:        {remove: removeRouteTable},
		inventory.InternetGateway:   {remove: removeInternetGateway},
		inventory.VPC:               {remove: removeVPC},

		inventory.Role:              {remove: removeRole},
		inventory.LogResourcePolicy: {remove: removeLogPolicy},
		inventory.LogGroup:          {remove: removeLogGroup},
		inventory.Bucket:            {remove: removeBucket},
	}
}
