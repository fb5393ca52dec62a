// Package postgres runs a PostgreSQL cluster on this machine: a writer and streaming replicas, each at an address of its own,
// as Aurora's instances are. Connections over TCP need TLS; the certificate names all addresses, so that sslmode=verify-full
// holds. The server is the one that is installed, or one that is fetched once (see Find).
//
// What is kept of Aurora: readers refuse writes (25006), a commit that was acknowledged survives the loss of the writer, the
// master user is no superuser. What is not: data is not safe from a loss of power (fsync is off), and it is gone after Close.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"tapstack/lib/cloud"
	"tapstack/lib/process"
)

// Options say what the cluster looks like from outside.
type Options struct {
	// Dir is where the cluster's private folder is made; empty for the system's folder of temporary files, which it is also
	// where the server's user, which is not root, does not get to Dir.
	Dir string
	// Members are the instances. The first is the writer at the start.
	Members []Member
	// Names are further DNS names and IP addresses of the certificate: those of whatever stands before the members.
	Names []string
	// Database is made with User, the master user, as its owner. The master user may make databases and roles, and is no
	// superuser.
	Database, User, Password string
	// Stock may have data folders for members. It may be nil.
	Stock *Stock
	// Notify hears what takes long and what went wrong. It may be nil.
	Notify func(string)
	// Log gets the lines that the servers log. It may be nil.
	Log func(member, line string)

	find func(context.Context) (Server, error) // Find, but for tests
}

// Member is an instance: its DB instance identifier, and the host:port that it listens on.
type Member struct{ Name, Address string }

// Cluster runs until Close, or until this process ends, however it ends.
type Cluster struct {
	options Options
	server  Server
	account *process.Account
	reaper  *process.Reaper
	// folder has the certificates and the members' data, sockets the members' Unix sockets, whose paths must be short.
	folder, sockets string
	authority       *authority
	// mu guards members, to which Add adds, which of them are away, and what of the options Add changes.
	mu      sync.Mutex
	members []*member
	writer  atomic.Pointer[member]
	// roles is held while the writer is replaced or a member added. Meanwhile nobody comes back: interrupt ends what is on its
	// way, which returning waits for.
	roles     chan struct{}
	interrupt context.CancelFunc
	returning sync.WaitGroup
	// joining is held while a member becomes a replica: two at once would take as long for the first as for both.
	joining sync.Mutex
	// copied is when the members were copied from the template, all of whose files are older.
	copied time.Time

	ctx     context.Context //nolint:containedctx // of what runs until Close
	stop    context.CancelFunc
	running sync.WaitGroup
}

// longestSockets is how long the path of a folder may be that sockets are made in, in folders of their own: that of a socket may
// have 107 bytes.
const longestSockets = 64

// serverUser is the user that servers run as where the tool runs as root, if there is such a user.
const serverUser = "postgres"

// superuser is the tool's own user, for the Unix socket alone; its name is that of RDS's own.
const superuser = "rdsadmin"

// Start returns when the writer and all replicas take connections. ctx bounds the start only.
func Start(ctx context.Context, options Options) (*Cluster, error) {
	if len(options.Members) == 0 {
		return nil, errors.New("starting PostgreSQL: there is no member")
	}
	if options.find == nil {
		options.find = Find
	}
	if options.Notify == nil {
		options.Notify = func(string) {}
	}
	if options.Log == nil {
		options.Log = func(string, string) {}
	}
	c := &Cluster{options: options, account: process.Unprivileged(serverUser), roles: make(chan struct{}, 1), interrupt: func() {}}
	c.ctx, c.stop = context.WithCancel(context.WithoutCancel(ctx))
	err := c.prepare(ctx)
	if err == nil {
		err = c.launch(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting PostgreSQL: %w", err), c.Close())
	}
	return c, nil
}

// prepare makes all that is on disk.
func (c *Cluster) prepare(ctx context.Context) error {
	var err error
	if c.folder, err = c.private(c.options.Dir); err != nil {
		return err
	}
	sockets := os.TempDir()
	if len(sockets) > longestSockets || strings.Contains(sockets, ",") { // commas are between the folders of a list
		sockets = "/tmp"
	}
	if c.sockets, err = c.private(sockets); err != nil {
		return err
	}
	if c.reaper, err = process.StartReaper(freeMemory, c.folder, c.sockets); err != nil {
		return err
	}
	if c.server, err = ready(ctx, c.options.find, c.options.Notify); err != nil {
		return err
	}
	if !c.account.Reaches(c.server.Bin) {
		if c.server, err = c.server.copyTo(ctx, filepath.Join(c.folder, "server")); err != nil {
			return err
		}
	}
	template, err := c.template(ctx)
	if err != nil {
		return err
	}
	if err := c.certify(); err != nil {
		return err
	}
	for i, one := range c.options.Members {
		m, err := newMember(one, c.folder, c.sockets, i)
		if err != nil {
			return err
		}
		c.members = append(c.members, m)
	}
	c.writer.Store(c.members[0])
	c.copied = time.Now()
	var group errgroup.Group
	for _, m := range c.members {
		group.Go(func() error {
			filled, err := c.furnish(m)
			if err == nil && !filled {
				err = copyTree(ctx, template, m.data, c.account, nil)
			}
			if err != nil {
				return err
			}
			return c.configure(m)
		})
	}
	return group.Wait()
}

// private makes a folder that the server's user owns and others may only pass through.
func (c *Cluster) private(parent string) (string, error) {
	folder, err := c.account.TempDir(parent, "tap-pg-")
	if err != nil {
		return "", err
	}
	if err := c.account.Own(folder); err != nil {
		return "", err
	}
	if !c.account.Reaches(folder) {
		return "", fmt.Errorf("PostgreSQL does not run as root, and the user that it runs as does not get to %s: set TMPDIR to a folder that others may pass through", folder)
	}
	return folder, nil
}

// furnish makes a member's folders, and says whether the stock had data for it.
func (c *Cluster) furnish(m *member) (filled bool, err error) {
	if err := own(c.account, filepath.Dir(m.data), m.socket); err != nil {
		return false, err
	}
	if c.options.Stock.take(m.data) {
		return true, nil
	}
	return false, own(c.account, m.data)
}

// own makes folders that are an account's alone.
func own(account *process.Account, folders ...string) error {
	for _, folder := range folders {
		if err := errors.Join(os.Mkdir(folder, 0o700), account.Own(folder)); err != nil {
			return err
		}
	}
	return nil
}

// launch starts the members and makes the database.
func (c *Cluster) launch(ctx context.Context) error {
	for _, m := range c.members {
		c.run(m)
	}
	var group errgroup.Group
	for _, m := range c.members {
		group.Go(func() error { return c.await(ctx, m) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := c.bootstrap(ctx); err != nil {
		return fmt.Errorf("making the database: %w", err)
	}
	return c.caughtUp(ctx)
}

// Writer is the name of the member that takes writes.
func (c *Cluster) Writer() string { return c.writer.Load().Name }

// Authority is the path of the certificate (PEM) that the members' certificate is signed by.
func (c *Cluster) Authority() string { return filepath.Join(c.folder, "ca.pem") }

// Found is the server that runs.
func (c *Cluster) Found() Server { return c.server }

// Connect connects to the writer as superuser, for the tool alone.
func (c *Cluster) Connect(ctx context.Context, database string) (*pgx.Conn, error) {
	return c.writer.Load().connect(ctx, database)
}

// Socket is the writer's, for the tool alone.
func (c *Cluster) Socket() Socket {
	m := c.writer.Load()
	return Socket{m.socket, m.port, superuser}
}

// Kill ends a member's processes as the loss of its machine would. It comes back by itself, as what it was: who wants another
// writer calls Promote.
func (c *Cluster) Kill(name string) error {
	m, err := c.member(name)
	if err != nil {
		return err
	}
	return m.kill()
}

// Close ends all servers and removes what they kept. A second one does nothing.
func (c *Cluster) Close() error {
	c.stop()
	c.returning.Wait()
	for _, m := range c.all() {
		m.unwanted()
	}
	var err error
	if c.reaper != nil {
		err = c.reaper.Close()
	} else {
		for _, folder := range []string{c.folder, c.sockets} {
			if folder != "" {
				err = errors.Join(err, os.RemoveAll(folder))
			}
		}
	}
	c.running.Wait()
	return err
}

// Add adds a replica to a cluster that runs; names are more that its certificate is to be for. It returns when the replica takes
// connections.
func (c *Cluster) Add(ctx context.Context, one Member, names ...string) error {
	if err := c.hold(ctx); err != nil {
		return fmt.Errorf("adding %s: %w", one.Name, err)
	}
	defer c.release()
	m, err := newMember(one, c.folder, c.sockets, len(c.all()))
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.options.Members, c.options.Names = append(c.options.Members, one), append(c.options.Names, names...)
	m.away = true
	c.members = append(slices.Clip(c.members), m)
	c.mu.Unlock()
	if _, err = c.furnish(m); err == nil {
		err = c.certify()
	}
	if err == nil {
		err = c.join(ctx, m)
	}
	if err != nil {
		return fmt.Errorf("adding %s: %w", one.Name, err)
	}
	return nil
}

// reconfigure has a running member take its settings and its certificate anew.
func (c *Cluster) reconfigure(m *member) error {
	if err := c.write(filepath.Join(m.data, "postgresql.conf"), c.text(m)); err != nil {
		return err
	}
	m.reload()
	return nil
}

// all are the members there are.
func (c *Cluster) all() []*member {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.members
}

func (c *Cluster) member(name string) (*member, error) {
	for _, m := range c.all() {
		if m.Name == name {
			return m, nil
		}
	}
	return nil, fmt.Errorf("the database has no instance %s", name)
}

// bootstrap makes the master user, RDS's roles and the database.
func (c *Cluster) bootstrap(ctx context.Context) error {
	connection, err := c.Connect(ctx, "postgres")
	if err != nil {
		return err
	}
	defer func() { _ = connection.Close(context.WithoutCancel(ctx)) }()
	user, database := pgx.Identifier{c.options.User}.Sanitize(), pgx.Identifier{c.options.Database}.Sanitize()
	statements := []string{
		"SET log_min_error_statement = panic", // or a statement that fails is logged with the password
		"CREATE ROLE rds_superuser NOLOGIN",
		"GRANT pg_monitor, pg_signal_backend, pg_checkpoint TO rds_superuser WITH ADMIN OPTION",
		"CREATE ROLE rds_iam NOLOGIN",
		"GRANT rds_iam TO rds_superuser WITH ADMIN OPTION",
		"CREATE ROLE " + user + " LOGIN CREATEDB CREATEROLE PASSWORD " + literal(c.options.Password),
		"GRANT rds_superuser TO " + user,
	}
	if c.options.Database == "postgres" {
		statements = append(statements, "DROP DATABASE "+madeDatabase)
	} else {
		statements = append(statements, "ALTER DATABASE "+madeDatabase+" RENAME TO "+database)
	}
	statements = append(statements, "ALTER DATABASE "+database+" OWNER TO "+user)
	for _, statement := range statements {
		if _, err := connection.Exec(ctx, statement, pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
	}
	return nil
}

// caughtUp waits until all members are there, and the replicas have what the writer has now.
func (c *Cluster) caughtUp(ctx context.Context) error {
	var position string
	return cloud.Poll(ctx, often(30*time.Second), func(ctx context.Context) (bool, error) {
		writer, err := c.Connect(ctx, "postgres")
		if err != nil {
			return false, nil //nolint:nilerr // it may be on its way back
		}
		defer func() { _ = writer.Close(context.WithoutCancel(ctx)) }()
		var replicas int
		if position == "" {
			err = writer.QueryRow(ctx, "SELECT pg_current_wal_lsn()::text").Scan(&position)
		}
		if err == nil {
			err = writer.QueryRow(ctx, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND replay_lsn >= $1::pg_lsn", position).Scan(&replicas)
		}
		return err == nil && replicas >= len(c.all())-1, nil
	})
}

// often is how often the cluster's own servers are asked.
func often(limit time.Duration) cloud.Wait {
	return cloud.Wait{Limit: limit, First: 5 * time.Millisecond, Longest: 50 * time.Millisecond}
}

// literal is a string constant of SQL.
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// split is an address with its port as a number.
func split(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	return host, port, err
}
