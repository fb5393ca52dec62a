package dataplane

import (
	"context"
	"runtime"
	"time"

	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"tapstack/lib/dataplane/postgres"
	"tapstack/lib/process"
)

// serverUse is what the server of a DB instance had used when it was asked last.
type serverUse struct {
	at        time.Time
	pid       int
	cpu       float64 // seconds
	deadlocks int64
}

// usageLimit bounds the questions to the servers of a cluster.
const usageLimit = 5 * time.Second

// measureDatabase asks the database what it does, and tells CloudWatch what RDS would tell. It does not keep the loop waiting.
func (p *Plane) measureDatabase(ctx context.Context, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	serving, identifier := p.db.serving, p.db.identifier
	if serving == nil || p.db.measuring {
		return
	}
	p.db.measuring = true
	p.running.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, usageLimit)
		defer cancel()
		all, _ := serving.Usage(ctx) // one that does not answer tells nothing
		f := newFigures(now)
		p.mu.Lock()
		before := p.db.used
		p.db.measuring, p.db.used = false, f.ofDatabase(identifier, all, before)
		p.mu.Unlock()
		p.problem("the database's metrics", p.put(ctx, f))
	})
}

// ofDatabase adds what was measured of each instance, for the instance, for its role and for the cluster (Aurora user guide, "Amazon
// CloudWatch metrics for Amazon Aurora" and "Dimensions for Aurora metrics"). CPU is that of this machine.
func (f figures) ofDatabase(cluster string, all []postgres.Usage, before map[string]serverUse) map[string]serverUse {
	const namespace = "AWS/RDS"
	now := map[string]serverUse{}
	for _, u := range all {
		role := "READER"
		if u.Writer {
			role = "WRITER"
		}
		add := func(instance, role, name string, value float64, unit cwtypes.StandardUnit) {
			f.add(namespace, name, value, unit, dimensions("DBInstanceIdentifier", instance))
			f.add(namespace, name, value, unit, dimensions("DBClusterIdentifier", cluster))
			f.add(namespace, name, value, unit, dimensions("DBClusterIdentifier", cluster, "Role", role))
		}
		add(u.Name, role, "DatabaseConnections", float64(u.Connections), cwtypes.StandardUnitCount)
		is := serverUse{at: f.at, deadlocks: u.Deadlocks}
		for i, pid := range u.Processes {
			seconds, _ := process.Consumed(pid)
			is.cpu += seconds
			if i == 0 {
				is.pid = pid
			}
		}
		now[u.Name] = is
		if was, known := before[u.Name]; known && was.pid == is.pid && is.at.After(was.at) {
			elapsed := is.at.Sub(was.at).Seconds()
			if is.pid != 0 {
				add(u.Name, role, "CPUUtilization", min(100*max(is.cpu-was.cpu, 0)/elapsed/float64(runtime.NumCPU()), 100), cwtypes.StandardUnitPercent)
			}
			add(u.Name, role, "Deadlocks", float64(max(is.deadlocks-was.deadlocks, 0))/elapsed, cwtypes.StandardUnitCountSecond)
		}
		least, most, known := time.Duration(0), time.Duration(0), false
		for replica, lag := range u.Lags {
			add(replica, "READER", "AuroraReplicaLag", milliseconds(lag), cwtypes.StandardUnitMilliseconds)
			if least, most = min(least, lag), max(most, lag); !known {
				least, known = lag, true
			}
		}
		if known {
			add(u.Name, role, "AuroraReplicaLagMaximum", milliseconds(most), cwtypes.StandardUnitMilliseconds)
			add(u.Name, role, "AuroraReplicaLagMinimum", milliseconds(least), cwtypes.StandardUnitMilliseconds)
		}
	}
	return now
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
