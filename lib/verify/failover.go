package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"tapstack/lib"
	"tapstack/lib/cloud"
)

const (
	// failoverBound is how long payments may wait for a writer. Aurora promises less than a minute for the most part.
	failoverBound = 2 * time.Minute
	// settleBound is how long the old writer may take to come back as a reader.
	settleBound = 10 * time.Minute
	available   = "available"
)

// capDatabaseNetwork: instances that take connections have network interfaces, which RDS describes so. Without any the
// names of the endpoints are not even looked up.
var capDatabaseNetwork = Capability{
	Name:   "rds.network",
	Reason: "no instance of the database has a network interface: its endpoints' names lead nowhere",
	Probe: func(ctx context.Context, e *Env) (bool, error) {
		vpc, err := e.output(lib.OutputVpcID)
		if err != nil {
			return false, err
		}
		all, err := e.cloud.NetworkInterfaces(ctx)
		return slices.ContainsFunc(all, func(n ec2types.NetworkInterface) bool {
			return aws.ToString(n.VpcId) == vpc && aws.ToString(n.Description) == "RDSNetworkInterface"
		}), err
	},
}

func failoverChecks() []Check {
	return []Check{
		{
			ID:   "database.failover",
			Says: "Multi-AZ deployment required for high availability: a failover gives the database another writer in at most 2 minutes, and 2 readers again",
			Acts: true,
			Run:  recorded(failsOver),
		},
		{
			ID:    "database.failover-endpoint",
			Says:  "Multi-AZ deployment required for high availability: the name of the writer's endpoint leads to the new writer in at most 2 minutes",
			Needs: []Capability{capDatabaseNetwork},
			Acts:  true,
			Run:   recorded(endpointFollows),
		},
	}
}

// members is who is who in the cluster at one moment.
type members struct {
	arn      string
	status   string // of the cluster
	endpoint string // of the writer, as clients know it
	writer   string
	readers  []string
	ready    []string          // instances that are available
	hosts    map[string]string // each instance's own endpoint
}

// healthy is the brief's cluster with everything available.
func (m members) healthy() bool {
	return m.status == available && m.writer != "" && len(m.readers) == 2 && len(m.ready) == 3
}

func (m members) String() string {
	return fmt.Sprintf("cluster %s, writer %s, readers %s, available %s", m.status, orNone(m.writer), listText(m.readers), listText(m.ready))
}

// members asks anew each time.
func (e *Env) members(ctx context.Context) (members, error) {
	id, err := e.output(lib.OutputClusterIdentifier)
	if err != nil {
		return members{}, err
	}
	clusters, err := e.cloud.RDS.DescribeDBClusters(ctx, &rds.DescribeDBClustersInput{DBClusterIdentifier: &id})
	if err != nil {
		return members{}, fmt.Errorf("reading the database cluster %s: %w", id, err)
	}
	if len(clusters.DBClusters) != 1 {
		return members{}, fmt.Errorf("there are %d database clusters %s", len(clusters.DBClusters), id)
	}
	c := clusters.DBClusters[0]
	instances, err := cloud.Pages(ctx, rds.NewDescribeDBInstancesPaginator(e.cloud.RDS, &rds.DescribeDBInstancesInput{
		Filters: []rdstypes.Filter{{Name: aws.String("db-cluster-id"), Values: []string{id}}},
	}), func(o *rds.DescribeDBInstancesOutput) []rdstypes.DBInstance { return o.DBInstances })
	if err != nil {
		return members{}, fmt.Errorf("reading the instances of the database cluster %s: %w", id, err)
	}
	m := members{
		arn: aws.ToString(c.DBClusterArn), status: aws.ToString(c.Status), endpoint: aws.ToString(c.Endpoint), hosts: map[string]string{},
	}
	for _, member := range c.DBClusterMembers {
		if aws.ToBool(member.IsClusterWriter) {
			m.writer = aws.ToString(member.DBInstanceIdentifier)
		} else {
			m.readers = append(m.readers, aws.ToString(member.DBInstanceIdentifier))
		}
	}
	for _, i := range instances {
		name := aws.ToString(i.DBInstanceIdentifier)
		if aws.ToString(i.DBInstanceStatus) == available {
			m.ready = append(m.ready, name)
		}
		if i.Endpoint != nil {
			m.hosts[name] = aws.ToString(i.Endpoint.Address)
		}
	}
	return m, nil
}

// failover is one change of the writer and what came of it.
type failover struct {
	before, after, settled members
	took                   time.Duration // until another writer was available
	named                  string        // where the writer's endpoint led at the end
	namedWriter            string        // where the new writer's own name led
	namedTook              time.Duration
	watched                *watched // by clients; nil where there are none
}

// moved tells whether another writer is there for its clients.
func (f failover) moved() bool {
	return f.after.status == available && f.after.writer != f.before.writer && slices.Contains(f.after.ready, f.after.writer)
}

// failover is the run's one failover. The writer is the old one again afterwards: which instance writes is part of what
// the stack's owner knows of it.
func (e *Env) failover(ctx context.Context) (failover, error) {
	return cloud.Once(ctx, e.cloud, "the failover of the database", func(ctx context.Context) (f failover, err error) {
		if f.before, err = e.members(ctx); err != nil {
			return f, err
		}
		if !f.before.healthy() {
			return f, fmt.Errorf("the database is not fit for a failover, which was not tried: %s", f.before)
		}
		asked := false
		defer func() {
			if asked {
				undo(ctx, &err, failoverBound+settleBound, func(ctx context.Context) error { return e.failBack(ctx, f.before.writer) })
			}
		}()
		f.watched, err = e.underWatch(ctx, func(ctx context.Context) error {
			started := time.Now()
			if err := e.failOver(ctx, nil); err != nil {
				return err
			}
			asked = true
			return e.follow(ctx, &f, started)
		})
		return f, err
	})
}

// follow waits for what comes of a failover.
func (e *Env) follow(ctx context.Context, f *failover, started time.Time) error {
	_, err := e.poll(ctx, failoverBound, func(ctx context.Context) (_ bool, err error) {
		f.after, err = e.members(ctx)
		f.took = time.Since(started)
		return f.moved(), err
	})
	if err != nil {
		return err
	}
	if len(e.lacking(ctx, []Capability{capDatabaseNetwork})) == 0 {
		if err := e.awaitEndpoint(ctx, f, started); err != nil {
			return err
		}
	}
	_, err = e.poll(ctx, settleBound, func(ctx context.Context) (_ bool, err error) {
		f.settled, err = e.members(ctx)
		return f.settled.healthy(), err
	})
	return err
}

// awaitEndpoint waits until the writer's endpoint leads to the new writer. That a name is not known for a moment is part of it.
func (e *Env) awaitEndpoint(ctx context.Context, f *failover, started time.Time) error {
	lookup := func(ctx context.Context, name string) string {
		addresses, err := e.network.LookupHost(ctx, name)
		if err != nil {
			return oneLine(err)
		}
		return listText(addresses)
	}
	_, err := e.poll(ctx, failoverBound-min(failoverBound, time.Since(started)), func(ctx context.Context) (bool, error) {
		f.named, f.namedWriter = lookup(ctx, f.after.endpoint), lookup(ctx, f.after.hosts[f.after.writer])
		f.namedTook = time.Since(started)
		return f.named == f.namedWriter, nil
	})
	return err
}

func (e *Env) failOver(ctx context.Context, to *string) error {
	id, err := e.output(lib.OutputClusterIdentifier)
	if err != nil {
		return err
	}
	_, err = e.cloud.RDS.FailoverDBCluster(ctx, &rds.FailoverDBClusterInput{DBClusterIdentifier: &id, TargetDBInstanceIdentifier: to})
	if err != nil {
		return fmt.Errorf("failing over the database cluster %s: %w", id, err)
	}
	return nil
}

// failBack makes an instance the writer again, as soon as it can be.
func (e *Env) failBack(ctx context.Context, writer string) error {
	var now members
	var busy *rdstypes.InvalidDBInstanceStateFault
	var moving *rdstypes.InvalidDBClusterStateFault
	asked := false
	back, err := e.poll(ctx, settleBound, func(ctx context.Context) (_ bool, err error) {
		if now, err = e.members(ctx); err != nil || now.healthy() && now.writer == writer {
			return err == nil, err
		}
		if asked || now.writer == writer || !slices.Contains(now.ready, writer) {
			return false, nil
		}
		err = e.failOver(ctx, &writer)
		if errors.As(err, &busy) || errors.As(err, &moving) {
			return false, nil
		}
		asked = err == nil
		return false, err
	})
	if err == nil && !back {
		err = errors.New(now.String())
	}
	if err != nil {
		return fmt.Errorf("making %s the writer again (do it by hand: aws rds failover-db-cluster): %w", writer, err)
	}
	return nil
}

func failsOver(ctx context.Context, e *Env, rec *recorder) error {
	f, err := e.failover(ctx)
	if f.before.arn == "" {
		return err
	}
	x := rec.on(f.before.arn)
	x.record("writer after the failover", "available, and not "+f.before.writer+" any more", f.after, f.moved())
	x.record("time until it was", "at most "+failoverBound.String(), f.took.Round(time.Millisecond), f.took <= failoverBound)
	x.record("afterwards", "1 writer and 2 readers, all available", f.settled, f.settled.healthy())
	return err
}

func endpointFollows(ctx context.Context, e *Env, rec *recorder) error {
	f, err := e.failover(ctx)
	if err != nil {
		return err
	}
	x := rec.on(f.before.arn)
	x.record("the writer's endpoint "+f.after.endpoint+" leads to", "the new writer, at "+f.namedWriter, f.named, f.named == f.namedWriter)
	x.record("time until it does", "at most "+failoverBound.String(), f.namedTook.Round(time.Millisecond), f.namedTook <= failoverBound)
	return nil
}
