package postgres

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"tapstack/lib/cloud"
)

// entrustLimit bounds how long a replica takes to catch up with a writer that worked alone.
const entrustLimit = 30 * time.Second

// Promote makes another member the writer. The old writer is stopped first, so that there are never two, and comes back as a
// replica after Promote has returned; until then the others can be promoted. No commit that was acknowledged is lost: a commit
// waits for one replica, and the new writer first takes over what any other replica has more than it. After an error the writer
// is the old one.
func (c *Cluster) Promote(ctx context.Context, name string) error {
	chosen, err := c.member(name)
	if err == nil && c.writer.Load() == chosen {
		return nil // and nobody's return is interrupted
	}
	if err == nil {
		err = c.holdWith(ctx, chosen)
	}
	if err != nil {
		return fmt.Errorf("promoting %s: %w", name, err)
	}
	defer c.release()
	old := c.writer.Load()
	if old == chosen {
		return nil
	}
	if err = old.halt(ctx); err == nil {
		c.set(func() { old.away = true })
		err = c.elect(ctx, chosen, old)
	}
	if err != nil {
		c.set(func() { old.away = false })
		err = errors.Join(err, c.follow(old))
		c.run(old)
		return fmt.Errorf("promoting %s: %w", name, err)
	}
	c.writer.Store(chosen)
	return c.follow(chosen)
}

// Replica is a member that can be promoted at once, empty where there is none.
func (c *Cluster) Replica() string {
	if all := c.replicas(c.writer.Load()); len(all) > 0 {
		return all[0].Name
	}
	return ""
}

// hold keeps the members' roles for the caller until release.
func (c *Cluster) hold(ctx context.Context) error {
	select {
	case c.roles <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	c.interrupt()
	c.returning.Wait()
	return nil
}

// holdWith is hold once a member is not away.
func (c *Cluster) holdWith(ctx context.Context, m *member) error {
	return cloud.Poll(ctx, often(0), func(ctx context.Context) (bool, error) {
		if c.isAway(m) {
			return false, nil
		}
		if err := c.hold(ctx); err != nil {
			return false, err
		}
		if c.isAway(m) {
			c.release()
			return false, nil
		}
		return true, nil
	})
}

// release ends hold: who is away comes back.
func (c *Cluster) release() {
	var ctx context.Context
	ctx, c.interrupt = context.WithCancel(c.ctx)
	for _, m := range c.all() {
		if c.isAway(m) {
			c.returning.Go(func() { c.rejoin(ctx, m) })
		}
	}
	<-c.roles
}

func (c *Cluster) isAway(m *member) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return m.away
}

// set changes what the members are to each other.
func (c *Cluster) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

// replicas are all members but one and those that are away.
func (c *Cluster) replicas(writer *member) []*member {
	var others []*member
	for _, m := range c.all() {
		if m != writer && !c.isAway(m) {
			others = append(others, m)
		}
	}
	return others
}

// elect has the chosen replica catch up with whichever has most, and promotes it.
func (c *Cluster) elect(ctx context.Context, chosen, old *member) error {
	furthest, most, has := chosen, int64(0), int64(0)
	for _, m := range c.replicas(old) {
		if err := c.source(m, nil); err != nil {
			return err
		}
	}
	for _, m := range c.replicas(old) {
		position, err := m.position(ctx)
		if err != nil {
			return err
		}
		if position > most {
			furthest, most = m, position
		}
		if m == chosen {
			has = position
		}
	}
	if has < most {
		if err := c.source(chosen, furthest); err != nil {
			return err
		}
	}
	if err := c.reconfigure(chosen); err != nil {
		return err
	}
	connection, err := chosen.connect(ctx, "postgres")
	if err != nil {
		return err
	}
	defer func() { _ = connection.Close(context.WithoutCancel(ctx)) }()
	err = cloud.Poll(ctx, often(30*time.Second), func(ctx context.Context) (bool, error) {
		var reached bool
		err := connection.QueryRow(ctx, `SELECT pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint >= $1
			AND current_setting('synchronous_standby_names') = $2`, most, c.standbys(chosen)).Scan(&reached)
		return reached, err
	})
	if err != nil {
		return fmt.Errorf("having it catch up with %s: %w", furthest.Name, err)
	}
	_, err = connection.Exec(ctx, "SELECT pg_promote(true, 60)", pgx.QueryExecModeSimpleProtocol)
	return err
}

// position is how far a replica is that has no source: it is known when the server waits for more.
func (m *member) position(ctx context.Context) (position int64, err error) {
	err = cloud.Poll(ctx, often(30*time.Second), func(ctx context.Context) (bool, error) {
		connection, err := m.connect(ctx, "postgres")
		if err != nil {
			return false, nil //nolint:nilerr // it may be on its way back
		}
		defer func() { _ = connection.Close(context.WithoutCancel(ctx)) }()
		var waits bool
		err = connection.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver)
			AND EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'startup' AND wait_event IN ('RecoveryWalStream', 'RecoveryRetrieveRetryInterval')),
			pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint`).Scan(&waits, &position)
		return waits && err == nil, nil
	})
	if err != nil {
		return 0, fmt.Errorf("%s does not tell what it has: %w", m.Name, err)
	}
	return position, nil
}

// follow has all replicas stream from the writer.
func (c *Cluster) follow(writer *member) error {
	var err error
	for _, m := range c.replicas(writer) {
		err = errors.Join(err, c.source(m, writer))
	}
	return err
}

// rejoin makes a former writer a replica. It may have what nobody else has, so that it begins anew.
func (c *Cluster) rejoin(ctx context.Context, old *member) {
	_ = cloud.Poll(ctx, cloud.Wait{First: 50 * time.Millisecond, Longest: time.Second}, func(ctx context.Context) (bool, error) {
		err := c.join(ctx, old)
		if err != nil && ctx.Err() == nil {
			c.options.Notify(fmt.Sprintf("PostgreSQL %s cannot become a replica yet: %v", old.Name, err))
		}
		return err == nil, nil
	}) // it has no limit, and who interrupts it goes on with it
}

// join makes a member that is away and does not run a replica of the writer, one at a time. Commits wait for it only when it can
// be promoted: what they have been acknowledged for must not be with somebody who cannot. Where it is the only one, they do so
// before: else it could be promoted without what was acknowledged meanwhile.
func (c *Cluster) join(ctx context.Context, m *member) error {
	c.joining.Lock()
	defer c.joining.Unlock()
	writer := c.writer.Load()
	if err := c.clone(ctx, m, writer); err != nil {
		return err
	}
	c.run(m)
	err := c.await(ctx, m)
	if err == nil && len(c.replicas(writer)) == 0 {
		err = c.entrust(ctx, m, writer)
	}
	if err != nil {
		c.set(func() { m.entrusted = false })
		return errors.Join(err, m.halt(context.WithoutCancel(ctx)), c.reconfigure(writer))
	}
	c.set(func() { m.away, m.entrusted = false, false })
	for _, one := range c.replicas(nil) {
		err = errors.Join(err, c.reconfigure(one))
	}
	return err
}

// entrust has a writer that has worked alone wait for a replica with each commit from now on, and the replica get all from before.
func (c *Cluster) entrust(ctx context.Context, m, writer *member) error {
	c.set(func() { m.entrusted = true })
	if err := c.reconfigure(writer); err != nil {
		return err
	}
	connection, err := writer.connect(ctx, "postgres")
	if err != nil {
		return err
	}
	defer func() { _ = connection.Close(context.WithoutCancel(ctx)) }()
	until := func(condition string, arguments ...any) error {
		return cloud.Poll(ctx, often(entrustLimit), func(ctx context.Context) (holds bool, err error) {
			err = connection.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE application_name = $1 AND "+condition+")",
				append([]any{m.Name}, arguments...)...).Scan(&holds)
			return holds, err
		})
	}
	if err := until("sync_state = 'quorum' AND current_setting('synchronous_standby_names') = $2", c.standbys(writer)); err != nil {
		return fmt.Errorf("having commits wait for %s: %w", m.Name, err)
	}
	// It is the checkpointer that tells the servers' processes that there is somebody to wait for. It takes up its settings before it
	// does what it is asked for.
	if _, err := connection.Exec(ctx, "CHECKPOINT", pgx.QueryExecModeSimpleProtocol); err != nil {
		return err
	}
	var position string
	if err := connection.QueryRow(ctx, "SELECT pg_current_wal_flush_lsn()::text").Scan(&position); err != nil {
		return err
	}
	if err := until("flush_lsn >= $2::pg_lsn", position); err != nil {
		return fmt.Errorf("having %s catch up with the writer: %w", m.Name, err)
	}
	return nil
}

// source tells a replica where to stream from; nil for nowhere.
func (c *Cluster) source(m, from *member) error {
	setting := "primary_conninfo = ''\n"
	if from != nil {
		connection := fmt.Sprintf("host=%s port=%d user=%s application_name=%s", quoted(from.socket), from.port, superuser, quoted(m.Name))
		setting = "primary_conninfo = " + quoted(connection) + "\n"
	}
	if err := c.write(filepath.Join(m.data, "postgresql.auto.conf"), setting); err != nil {
		return err
	}
	m.reload()
	return nil
}

// reload has a member read its files again.
func (m *member) reload() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.process != nil {
		_ = m.process.Signal(syscall.SIGHUP) // one that starts reads them anyhow
	}
}

// text is a member's settings, as its file has them.
func (c *Cluster) text(m *member) string {
	var text strings.Builder
	for _, setting := range c.settings(m) {
		fmt.Fprintf(&text, "%s = %s\n", setting[0], quoted(setting[1]))
	}
	return text.String()
}

// configure writes a member's settings: what the writer is, and for the others where to stream from.
func (c *Cluster) configure(m *member) error {
	err := errors.Join(c.write(filepath.Join(m.data, "postgresql.conf"), c.text(m)), c.write(filepath.Join(m.data, "pg_hba.conf"), access))
	writer := c.writer.Load()
	if m == writer {
		return errors.Join(err, c.source(m, nil))
	}
	return errors.Join(err, c.write(filepath.Join(m.data, "standby.signal"), ""), c.source(m, writer))
}
