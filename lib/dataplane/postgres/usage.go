package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Usage is what a member does at one moment.
type Usage struct {
	Name   string
	Writer bool
	// Processes are those of the server, the one that started the others first; none where the system does not tell.
	Processes []int
	// Connections are those of clients, the tool's left out; Deadlocks are counted since the server's statistics began.
	Connections, Deadlocks int64
	// Lags are how far the replicas of a writer are behind it, by their names, as far as it knows.
	Lags map[string]time.Duration
}

// Usage asks every member that takes connections; the error tells of the others.
func (c *Cluster) Usage(ctx context.Context) (all []Usage, err error) {
	writer := c.Writer()
	var faults []error
	for _, m := range c.all() {
		u, err := m.usage(ctx, m.Name == writer)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", m.Name, err))
			continue
		}
		all = append(all, u)
	}
	return all, errors.Join(faults...)
}

const (
	usageQuery = `SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND usename <> current_user),
		(SELECT coalesce(sum(deadlocks), 0)::bigint FROM pg_stat_database)`
	// A replica that has all is not behind. The lag of one that has not was measured when it last told what it has.
	lagQuery = `SELECT application_name, CASE WHEN replay_lsn >= pg_current_wal_flush_lsn() THEN 0 ELSE extract(epoch FROM replay_lag)::float8 END
		FROM pg_stat_replication`
)

func (m *member) usage(ctx context.Context, writer bool) (Usage, error) {
	u := Usage{Name: m.Name, Writer: writer, Processes: m.processes()}
	connection, err := m.connect(ctx, "postgres")
	if err != nil {
		return u, err
	}
	defer func() { _ = connection.Close(context.WithoutCancel(ctx)) }()
	if err := connection.QueryRow(ctx, usageQuery).Scan(&u.Connections, &u.Deadlocks); err != nil || !writer {
		return u, err
	}
	rows, err := connection.Query(ctx, lagQuery)
	if err != nil {
		return u, err
	}
	defer rows.Close()
	u.Lags = map[string]time.Duration{}
	for rows.Next() {
		var name string
		var seconds *float64
		if err := rows.Scan(&name, &seconds); err != nil {
			return u, err
		}
		if seconds != nil {
			u.Lags[name] = time.Duration(*seconds * float64(time.Second))
		}
	}
	return u, rows.Err()
}

// processes are a server's.
func (m *member) processes() []int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.process == nil {
		return nil
	}
	first := m.process.Pid
	told, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", first, first))
	if err != nil {
		return nil
	}
	all := []int{first}
	for _, field := range strings.Fields(string(told)) {
		if pid, err := strconv.Atoi(field); err == nil {
			all = append(all, pid)
		}
	}
	return all
}
