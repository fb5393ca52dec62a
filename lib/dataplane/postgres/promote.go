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

// Promote makes another member the writer. The old writer is stopped first, so that there are never two, and comes back as a
// replica after Promote has returned; until then the others can be promoted. No commit that was acknowledged is lost: a commit
// waits for one replica, and the new writer first takes over what any other replica has more than it. After an error the writer
// is the old one.
func (c *Cluster) Promote(ctx context.Context, name string) error {
	chosen, err := c.member(name)
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
		c.setAway(old, true)
		err = c.elect(ctx, chosen, old)
	}
	if err != nil {
		c.setAway(old, false)
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

func (c *Cluster) setAway(m *member, away bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m.away = away
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
			AND current_setting('synchronous_standby_names') = $2`, most, c.standbys()).Scan(&reached)
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

// join makes a member that is away and does not run a replica of the writer. Commits wait for it only when it takes connections:
// what they have been acknowledged for must not be with somebody who cannot be promoted.
func (c *Cluster) join(ctx context.Context, m *member) error {
	c.joining.Lock()
	defer c.joining.Unlock()
	if err := c.clone(ctx, m, c.writer.Load()); err != nil {
		return err
	}
	c.run(m)
	if err := c.await(ctx, m); err != nil {
		return errors.Join(err, m.halt(context.WithoutCancel(ctx)))
	}
	c.setAway(m, false)
	var err error
	for _, one := range c.replicas(nil) {
		err = errors.Join(err, c.reconfigure(one))
	}
	return err
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
