package database

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/cloud"
	"tapstack/lib/cloud/cloudtest"
	"tapstack/lib/reachability"
)

func TestATaskReachesTheDatabaseAsTheRulesSay(t *testing.T) {
	rule := func(peer string) []ec2types.IpPermission {
		return []ec2types.IpPermission{{
			IpProtocol: aws.String("tcp"), FromPort: aws.Int32(5432), ToPort: aws.Int32(5432),
			UserIdGroupPairs: []ec2types.UserIdGroupPair{{GroupId: &peer}},
		}}
	}
	group := func(id string, in, out []ec2types.IpPermission) ec2types.SecurityGroup {
		return ec2types.SecurityGroup{GroupId: &id, GroupName: aws.String(id + "-name"), VpcId: aws.String("vpc-1"), IpPermissions: in, IpPermissionsEgress: out}
	}
	api := cloudtest.Config(func(call string, _ any) (any, error) {
		if call == "EC2 DescribeSecurityGroups" {
			return &ec2.DescribeSecurityGroupsOutput{SecurityGroups: []ec2types.SecurityGroup{
				group("sg-api", nil, rule("sg-db")), group("sg-job", nil, nil), group("sg-db", rule("sg-api"), nil),
			}}, nil
		}
		return &ec2.DescribeRouteTablesOutput{RouteTables: []ec2types.RouteTable{{
			VpcId: aws.String("vpc-1"), Associations: []ec2types.RouteTableAssociation{{Main: aws.Bool(true)}},
			Routes: []ec2types.Route{{DestinationCidrBlock: aws.String("10.0.0.0/16"), GatewayId: aws.String("local"), State: ec2types.RouteStateActive}},
		}}}, nil
	})
	card := func(group, address string) reachability.Interface {
		return reachability.InterfaceOf(ec2types.NetworkInterface{
			Groups: []ec2types.GroupIdentifier{{GroupId: &group}}, SubnetId: aws.String("subnet-1"), PrivateIpAddress: &address,
		})
	}
	servers := []reachability.Interface{card("sg-db", "10.0.32.9"), card("sg-db", "10.0.48.9")}
	rules := Rules{
		Network: func() (*reachability.Network, error) {
			return reachability.Read(t.Context(), cloud.NewReader(api), "vpc-1")
		},
		Task: func(id string) (reachability.Interface, error) {
			switch id {
			case "api-1":
				return card("sg-api", "10.0.16.7"), nil
			case "job-1":
				return card("sg-job", "10.0.16.8"), nil
			}
			return reachability.Interface{}, errors.New("there is no task " + id)
		},
		Servers: func() ([]reachability.Interface, error) { return servers, nil },
		Port:    5432,
	}
	require.NoError(t, rules.Permit(Peer{Task: "api-1"}))
	err := rules.Permit(Peer{Task: "job-1"})
	require.ErrorContains(t, err, "task job-1 may not reach the database: no egress rule of sg-job (sg-job-name) lets tcp 5432 to 10.0.32.9 (sg-db (sg-db-name))")
	require.ErrorContains(t, err, "no ingress rule of sg-db (sg-db-name) lets tcp 5432 from 10.0.16.8")
	require.ErrorContains(t, rules.Permit(Peer{Task: "gone"}), "there is no task gone")
	servers = nil
	require.ErrorContains(t, rules.Permit(Peer{Task: "api-1"}), "the database has no network interface")
	assert.Equal(t, netip.MustParseAddr("10.0.16.7"), card("sg-api", "10.0.16.7").Address)
}
