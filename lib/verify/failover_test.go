package verify

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/stretchr/testify/assert"
)

// aurora is a cluster of three instances, the first of which writes. Its writer's endpoint leads to whom it names.
type aurora struct {
	*stage
	writer     int
	failovers  int
	instances  int
	restarting []int // instances that come up again only after being looked at once more
	// stuck keeps the writer at the given failover, counted from 1; lost keeps the old writer from coming back;
	// deaf keeps the endpoint where it was; refuse refuses.
	stuck  int
	lost   bool
	deaf   bool
	refuse bool
}

func instance(i int) string { return fmt.Sprintf("aurora-%d-dev", i) }

func (a *aurora) api() acts {
	a.stage = &stage{hosts: map[string][]string{"writer.example.com": {"10.0.0.0"}}}
	for i := range 3 {
		a.hosts[instance(i)+".example.com"] = []string{fmt.Sprintf("10.0.0.%d", i)}
	}
	return acts{
		"DescribeNetworkInterfaces": showing(databaseInterface()),
		"DescribeDBClusters": func(any) (any, error) {
			c := rdstypes.DBCluster{
				DBClusterIdentifier: aws.String("aurora-cluster-dev"), DBClusterArn: aws.String("arn:aws:rds:us-east-1:123456789012:cluster:aurora-cluster-dev"),
				Status: aws.String(available), Endpoint: aws.String("writer.example.com"),
			}
			for i := range a.instances {
				c.DBClusterMembers = append(c.DBClusterMembers, rdstypes.DBClusterMember{
					DBInstanceIdentifier: aws.String(instance(i)), IsClusterWriter: aws.Bool(i == a.writer),
				})
			}
			return &rds.DescribeDBClustersOutput{DBClusters: []rdstypes.DBCluster{c}}, nil
		},
		"DescribeDBInstances": func(any) (any, error) {
			out := &rds.DescribeDBInstancesOutput{}
			for i := range a.instances {
				status := available
				if slices.Contains(a.restarting, i) {
					status = "rebooting"
				}
				out.DBInstances = append(out.DBInstances, rdstypes.DBInstance{
					DBInstanceIdentifier: aws.String(instance(i)), DBInstanceStatus: &status, Endpoint: &rdstypes.Endpoint{Address: aws.String(instance(i) + ".example.com")},
				})
			}
			if !a.lost {
				a.restarting = nil
			}
			return out, nil
		},
		"FailoverDBCluster": func(in any) (any, error) {
			if a.refuse {
				return nil, errors.New("AccessDenied")
			}
			a.failovers++
			if a.failovers == a.stuck {
				return &rds.FailoverDBClusterOutput{}, nil
			}
			a.restarting = []int{a.writer}
			to := (a.writer + 1) % a.instances
			for i := range a.instances {
				if instance(i) == aws.ToString(in.(*rds.FailoverDBClusterInput).TargetDBInstanceIdentifier) {
					to = i
				}
			}
			a.writer = to
			if !a.deaf {
				a.hosts["writer.example.com"] = a.hosts[instance(to)+".example.com"]
			}
			return &rds.FailoverDBClusterOutput{}, nil
		},
	}
}

func databaseInterface() ec2types.NetworkInterface {
	return ec2types.NetworkInterface{Description: aws.String("RDSNetworkInterface"), VpcId: aws.String("vpc-1")}
}

func TestAFailoverIsWatchedAndTakenBack(t *testing.T) {
	both := []string{"database.failover", "database.failover-endpoint"}
	for what, c := range map[string]struct {
		cluster   aurora
		reds      []string
		failovers int
		writer    int
	}{
		"sound":                               {aurora{instances: 3}, nil, 2, 0},
		"the writer stays":                    {aurora{instances: 3, stuck: 1}, both[:1], 1, 0},
		"the old writer never comes back":     {aurora{instances: 3, lost: true}, both, 1, 1},
		"nobody can be made the writer again": {aurora{instances: 3, stuck: 2}, both, 2, 1},
		"the endpoint stays":                  {aurora{instances: 3, deaf: true}, both[1:], 2, 0},
		"the failover is refused":             {aurora{instances: 3, refuse: true}, both, 0, 0},
		"a reader is missing":                 {aurora{instances: 2}, both, 0, 0},
		"a reader is not available":           {aurora{instances: 3, lost: true, restarting: []int{2}}, both, 0, 0},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			a := c.cluster
			report := a.api().run(t, &a, both...)
			assert.Equal(t, c.reds, reds(t, report))
			if c.writer != 0 {
				assert.Contains(t, report.Results[0].Reason, "making "+instance(0)+" the writer again (do it by hand: aws rds failover-db-cluster)")
			}
			assert.Equal(t, c.failovers, a.failovers)
			assert.Equal(t, c.writer, a.writer, "who writes at last")
		})
	}
}

func TestWithoutNetworkInterfacesNoNameOfTheDatabaseIsLookedUp(t *testing.T) {
	a := aurora{instances: 3}
	cloud := a.api()
	cloud["DescribeNetworkInterfaces"] = &ec2.DescribeNetworkInterfacesOutput{}
	report := cloud.run(t, &a, "database.failover", "database.failover-endpoint")
	assert.Equal(t, 1, report.Counts.Passed)
	assert.Equal(t, 1, report.Counts.NotObservable)
	assert.Zero(t, a.dialed.Load())
}
