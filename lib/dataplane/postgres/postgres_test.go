//go:build linux

package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/cloud"
	"tapstack/lib/process"
	"tapstack/lib/process/processtest"
)

// hostile is a password that nothing takes literally.
const hostile = `pass'word\ %s"$ö`

// options are of a cluster at addresses that nobody uses.
func options(tb testing.TB, members int) Options {
	tb.Helper()
	options := Options{
		Names:    []string{"payments.cluster-x.us-east-1.rds.amazonaws.com", "127.77.9.9"},
		Database: "payment-db", User: "master user", Password: hostile,
	}
	for i := range members {
		listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", fmt.Sprintf("127.77.250.%d:0", i+1))
		require.NoError(tb, err)
		options.Members = append(options.Members, Member{Name: fmt.Sprintf("aurora-instance-%d", i+1), Address: listener.Addr().String()})
		require.NoError(tb, listener.Close())
	}
	return options
}

// output is what a cluster has told, and shows it where the test fails.
type output struct {
	mu    sync.Mutex
	lines []string
}

func (o *output) add(member, line string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lines = append(o.lines, member+" "+line)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(o.lines, "\n")
}

func start(tb testing.TB, options Options) *Cluster {
	tb.Helper()
	processtest.SkipIfShort(tb)
	told := &output{}
	options.Notify, options.Log = func(text string) { told.add("notice", text) }, told.add
	began := time.Now()
	c, err := Start(tb.Context(), options)
	require.NoError(tb, err)
	tb.Logf("%d members in %s: PostgreSQL %s, %s", len(options.Members), time.Since(began).Round(time.Millisecond), c.Found().Version, c.Found().Reason)
	tb.Cleanup(func() {
		require.NoError(tb, c.Close())
		require.NoError(tb, c.Close(), "a second time is nothing")
		if tb.Failed() {
			tb.Log(told)
		}
		assert.NotContains(tb, told.String(), "pass'", "a password is not logged")
	})
	return c
}

// address is the connection string of the master user at a host:port.
func (c *Cluster) address(at string) string {
	return (&url.URL{
		Scheme: "postgres", User: url.UserPassword(c.options.User, c.options.Password), Host: at, Path: c.options.Database,
		RawQuery: "sslmode=verify-full&sslrootcert=" + c.Authority(),
	}).String()
}

func (c *Cluster) writerAddress() string { return c.address(c.writer.Load().Address) }

func connect(tb testing.TB, address string) *pgx.Conn {
	tb.Helper()
	connection, err := pgx.Connect(tb.Context(), address)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = connection.Close(context.Background()) })
	return connection
}

func execute(tb testing.TB, connection *pgx.Conn, statement string) {
	tb.Helper()
	_, err := connection.Exec(tb.Context(), statement)
	require.NoError(tb, err, statement)
}

// code is PostgreSQL's word for what went wrong.
func code(tb testing.TB, err error) string {
	tb.Helper()
	var answer *pgconn.PgError
	require.ErrorAs(tb, err, &answer)
	return answer.Code
}

func TestAClusterStartsWhateverTheShellSays(t *testing.T) {
	processtest.SkipIfShort(t)
	for name, folder := range map[string]string{
		"blanks and signs": `a b#c'd\e"f%20$HOME`,
		"long":             strings.Repeat("x", 100),
		"a comma":          "a,b",
	} {
		t.Run(name, func(t *testing.T) {
			parent, err := os.MkdirTemp("/tmp", "tmp-*") //nolint:usetesting // a test's own folder is closed to others
			require.NoError(t, err)
			t.Cleanup(func() { _ = os.RemoveAll(parent) })
			place := filepath.Join(parent, folder)
			require.NoError(t, errors.Join(os.Chmod(parent, 0o755), os.Mkdir(place, 0o777), os.Chmod(place, 0o777))) //nolint:gosec // for PostgreSQL's user
			for name, value := range map[string]string{
				"TMPDIR": place, "PGHOST": "192.0.2.1", "PGPORT": "1", "PGSERVICE": "nowhere", "PGSSLMODE": "verify-full", "PGPASSFILE": "/nowhere",
				"PGREQUIREAUTH": "gss", "PGCHANNELBINDING": "require", "PGTARGETSESSIONATTRS": "standby", "PGOPTIONS": "-c nonsense=1", "PGDATA": "/nowhere",
			} {
				t.Setenv(name, value)
			}
			forgetShell = sync.OnceFunc(forget)
			c := start(t, options(t, 2))
			connection, err := c.Socket().Connect(t.Context(), "payment-db")
			require.NoError(t, err)
			require.NoError(t, connection.Close(t.Context()))
		})
	}
}

func TestReadersReadWhatTheWriterWroteAndRefuseWrites(t *testing.T) {
	c := start(t, options(t, 3))
	require.Equal(t, "aurora-instance-1", c.Writer())
	writer := connect(t, c.writerAddress())
	execute(t, writer, "CREATE TABLE payments (id int PRIMARY KEY)")
	execute(t, writer, "INSERT INTO payments VALUES (1)")
	for _, m := range c.members[1:] {
		reader := connect(t, c.address(m.Address))
		require.NoError(t, cloud.Poll(t.Context(), often(5*time.Second), func(ctx context.Context) (bool, error) {
			var rows int
			err := reader.QueryRow(ctx, "SELECT count(*) FROM payments").Scan(&rows)
			return rows == 1, err
		}))
		_, err := reader.Exec(t.Context(), "INSERT INTO payments VALUES (2)")
		assert.Equal(t, "25006", code(t, err))
	}
}

func TestAReplicaThatIsAddedHasEverythingAndMayBecomeTheWriter(t *testing.T) {
	whole := options(t, 3)
	alone := whole
	alone.Members = whole.Members[:1]
	c := start(t, alone)
	execute(t, connect(t, c.writerAddress()), "CREATE TABLE payments AS SELECT 1 AS id")
	for i, one := range whole.Members[1:] {
		name := fmt.Sprintf("added-%d.example.com", i)
		require.NoError(t, c.Add(t.Context(), one, name))
		named, err := pgx.ParseConfig(c.address(one.Address))
		require.NoError(t, err)
		named.TLSConfig.ServerName = name
		reader, err := pgx.ConnectConfig(t.Context(), named)
		require.NoError(t, err)
		var rows int
		require.NoError(t, reader.QueryRow(t.Context(), "SELECT count(*) FROM payments").Scan(&rows))
		require.Equal(t, 1, rows)
		require.NoError(t, reader.Close(t.Context()))
	}
	require.NoError(t, c.Promote(t.Context(), whole.Members[2].Name))
	writer := connect(t, c.writerAddress())
	execute(t, writer, "INSERT INTO payments VALUES (2)")
	var standbys string
	require.NoError(t, writer.QueryRow(t.Context(), "SHOW synchronous_standby_names").Scan(&standbys))
	require.Contains(t, standbys, "ANY 1 (", "a commit waits for a replica from the first one on")
}

func TestOnlyTLSAndThePasswordLetIn(t *testing.T) {
	c := start(t, options(t, 1))
	at := c.members[0].Address

	_, err := pgx.Connect(t.Context(), strings.Replace(c.address(at), "verify-full", "disable", 1))
	assert.Equal(t, "28000", code(t, err), "without TLS")

	wrong, err := pgx.ParseConfig(c.address(at))
	require.NoError(t, err)
	wrong.Password = "wrong"
	_, err = pgx.ConnectConfig(t.Context(), wrong)
	assert.Equal(t, "28P01", code(t, err))

	wrong.User = superuser
	_, err = pgx.ConnectConfig(t.Context(), wrong)
	assert.Equal(t, "28000", code(t, err), "the superuser is the tool's alone")

	for _, name := range c.options.Names {
		right, err := pgx.ParseConfig(c.address(at))
		require.NoError(t, err)
		right.TLSConfig.ServerName = name
		connection, err := pgx.ConnectConfig(t.Context(), right)
		require.NoError(t, err, name)
		require.NoError(t, connection.Close(t.Context()))
	}
	other, err := pgx.ParseConfig(c.address(at))
	require.NoError(t, err)
	other.TLSConfig.ServerName = "example.org"
	_, err = pgx.ConnectConfig(t.Context(), other)
	var refused *tls.CertificateVerificationError
	assert.ErrorAs(t, err, &refused)
}

func TestTheMasterUserIsWhatItIsOnRDS(t *testing.T) {
	c := start(t, options(t, 1))
	master := connect(t, c.writerAddress())
	var owns, super, createsRoles bool
	require.NoError(t, master.QueryRow(t.Context(), `SELECT pg_get_userbyid(datdba) = current_user, rolsuper, rolcreaterole
		FROM pg_database, pg_roles WHERE datname = current_database() AND rolname = current_user`).Scan(&owns, &super, &createsRoles))
	assert.True(t, owns)
	assert.False(t, super)
	assert.True(t, createsRoles)
	execute(t, master, "CREATE ROLE payment_api LOGIN PASSWORD 'x'")
	execute(t, master, "CREATE TABLE public.made (id int)")
	execute(t, master, "GRANT SELECT ON made TO payment_api")
	execute(t, master, "GRANT rds_iam TO payment_api")
	_, err := master.Exec(t.Context(), "COPY made FROM PROGRAM 'id'")
	assert.Equal(t, "42501", code(t, err))
}

// clients insert rows, each with a number of its own, until stopped, and know which were acknowledged.
func (c *Cluster) clients(t *testing.T, number int) (stop func() []int64) {
	t.Helper()
	execute(t, connect(t, c.writerAddress()), "CREATE TABLE inserted (id bigint PRIMARY KEY)")
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	acknowledged := make([][]int64, number)
	for client := range number {
		group.Go(func() {
			for id := int64(client); ctx.Err() == nil; {
				connection, err := pgx.Connect(ctx, c.writerAddress())
				if err != nil {
					continue // the writer is being replaced
				}
				for ctx.Err() == nil {
					id += int64(number)
					if _, err = connection.Exec(ctx, "INSERT INTO inserted VALUES ($1)", id); err != nil {
						break
					}
					acknowledged[client] = append(acknowledged[client], id)
				}
				_ = connection.Close(context.Background())
			}
		})
	}
	return func() []int64 {
		cancel()
		group.Wait()
		var all []int64
		for _, ids := range acknowledged {
			all = append(all, ids...)
		}
		return all
	}
}

// lost are the rows that were acknowledged and are not at an address.
func (c *Cluster) lost(t *testing.T, at string, acknowledged []int64) int {
	t.Helper()
	var lost int
	require.NoError(t, connect(t, c.address(at)).QueryRow(t.Context(),
		"SELECT count(*) FROM unnest($1::bigint[]) AS sent(id) WHERE NOT EXISTS (SELECT FROM inserted WHERE inserted.id = sent.id)", acknowledged).Scan(&lost))
	return lost
}

// hasEverywhere wants the rows that were acknowledged at every member, once all have caught up.
func (c *Cluster) hasEverywhere(t *testing.T, acknowledged []int64) {
	t.Helper()
	require.NoError(t, c.caughtUp(t.Context()))
	for _, m := range c.members {
		assert.Zero(t, c.lost(t, m.Address, acknowledged), "at %s", m.Name)
	}
}

func TestNoAcknowledgedCommitIsLostWhenTheWriterIsReplaced(t *testing.T) {
	c := start(t, options(t, 3))
	stop := c.clients(t, 8)
	for round, change := range []struct {
		to   string
		kill bool
	}{{"aurora-instance-2", false}, {"aurora-instance-3", true}, {"aurora-instance-3", false}, {"aurora-instance-1", true}, {"aurora-instance-2", false}} {
		if change.kill {
			require.NoError(t, c.Kill(c.Writer()))
		}
		began := time.Now()
		require.NoError(t, c.Promote(t.Context(), change.to), "round %d", round)
		t.Logf("%s is the writer after %s, the old one was killed: %t", c.Writer(), time.Since(began).Round(time.Millisecond), change.kill)
		require.Equal(t, change.to, c.Writer())
	}
	require.NoError(t, c.caughtUp(t.Context()), "the old writers are replicas")
	acknowledged := stop()
	t.Logf("%d rows were acknowledged", len(acknowledged))
	require.Greater(t, len(acknowledged), 100)
	c.hasEverywhere(t, acknowledged)
}

func TestAWriterIsReplacedThoughItsPredecessorCannotComeBack(t *testing.T) {
	c := start(t, options(t, 3))
	stop := c.clients(t, 4)
	require.NoError(t, c.Promote(t.Context(), "aurora-instance-2"))
	require.Equal(t, "aurora-instance-3", c.Replica(), "the old writer is not back")

	replaced := make(chan struct{})
	var killing sync.WaitGroup
	killing.Go(func() {
		for { // whom the old writer would copy
			_ = c.Kill("aurora-instance-2")
			select {
			case <-replaced:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := c.Promote(ctx, "aurora-instance-3")
	close(replaced)
	killing.Wait()
	require.NoError(t, err)
	require.Equal(t, "aurora-instance-3", c.Writer())

	require.NoError(t, c.caughtUp(t.Context()), "both come back")
	acknowledged := stop()
	c.hasEverywhere(t, acknowledged)
}

func TestALoneWriterWorksAndNothingIsLostWhenItIsReplacedAtOnce(t *testing.T) {
	c := start(t, options(t, 3))
	stop := c.clients(t, 4)
	require.NoError(t, c.Promote(t.Context(), "aurora-instance-2"))
	require.NoError(t, c.Promote(t.Context(), "aurora-instance-3"))
	lone := connect(t, c.writerAddress())
	if c.Replica() == "" { // the others are still on their way
		execute(t, lone, "INSERT INTO inserted VALUES (-1)")
	}
	for round := range 8 { // at the first moment at which there is somebody to replace it by
		require.NoError(t, cloud.Poll(t.Context(), often(time.Minute), func(context.Context) (bool, error) { return c.Replica() != "", nil }))
		require.NoError(t, c.Kill(c.Writer()))
		require.NoError(t, c.Promote(t.Context(), c.Replica()), "round %d", round)
	}
	require.NoError(t, c.caughtUp(t.Context()), "all come back")
	acknowledged := stop()
	require.Greater(t, len(acknowledged), 100)
	c.hasEverywhere(t, acknowledged)
}

func TestALoneWriterWaitsForNobody(t *testing.T) {
	c := start(t, options(t, 2))
	execute(t, connect(t, c.writerAddress()), "CREATE TABLE payments (id int)")
	c.joining.Lock() // nobody comes back
	require.NoError(t, c.Promote(t.Context(), "aurora-instance-2"))
	writer := connect(t, c.writerAddress())
	execute(t, writer, "INSERT INTO payments VALUES (1)")
	c.joining.Unlock()
	require.NoError(t, c.caughtUp(t.Context()))
	require.NoError(t, cloud.Poll(t.Context(), often(time.Minute), func(ctx context.Context) (bool, error) {
		var standbys string
		err := writer.QueryRow(ctx, "SHOW synchronous_standby_names").Scan(&standbys)
		return strings.Contains(standbys, "aurora-instance-1"), err
	}), "and then for the one that has come back")
}

func TestAReplicaIsTrustedOnlyWhenItHasAll(t *testing.T) {
	c := start(t, options(t, 2))
	writer, replica := c.members[0], c.members[1]
	connection, err := writer.connect(t.Context(), "payment-db")
	require.NoError(t, err)
	defer func() { _ = connection.Close(context.Background()) }()
	setting := func(wanted string) {
		t.Helper()
		require.NoError(t, cloud.Poll(t.Context(), often(time.Minute), func(ctx context.Context) (bool, error) {
			var standbys string
			err := connection.QueryRow(ctx, "SHOW synchronous_standby_names").Scan(&standbys)
			return standbys == wanted, err
		}))
	}
	c.set(func() { replica.away = true }) // as if it was on its way, with all but the last
	require.NoError(t, c.reconfigure(writer))
	setting("")
	var sender int
	require.NoError(t, connection.QueryRow(t.Context(), "SELECT pid FROM pg_stat_replication").Scan(&sender))
	require.NoError(t, syscall.Kill(sender, syscall.SIGSTOP))
	execute(t, connection, "CREATE TABLE payments AS SELECT 1 AS id")

	trusted := make(chan error, 1)
	go func() { trusted <- c.entrust(t.Context(), replica, writer) }()
	setting(`ANY 1 ("aurora-instance-2")`)
	select {
	case err := <-trusted:
		require.Fail(t, "it is trusted, and lacks a commit", "%v", err)
	case <-time.After(300 * time.Millisecond):
	}
	require.NoError(t, syscall.Kill(sender, syscall.SIGCONT))
	require.NoError(t, <-trusted)
	var missing bool
	require.NoError(t, connection.QueryRow(t.Context(), "SELECT flush_lsn < pg_current_wal_flush_lsn() FROM pg_stat_replication").Scan(&missing))
	require.False(t, missing)
}

func TestWhatIsKilledComesBackAsWhatItWas(t *testing.T) {
	c := start(t, options(t, 3))
	stop := c.clients(t, 4)
	for _, name := range []string{"aurora-instance-2", "aurora-instance-1", "aurora-instance-3", "aurora-instance-1"} {
		require.NoError(t, c.Kill(name))
		require.NoError(t, c.caughtUp(t.Context()), name)
		require.Equal(t, "aurora-instance-1", c.Writer())
	}
	assert.Zero(t, c.lost(t, c.members[0].Address, stop()))
	require.ErrorContains(t, c.Kill("aurora-instance-9"), "no instance aurora-instance-9")
	require.ErrorContains(t, c.Promote(t.Context(), "aurora-instance-9"), "no instance aurora-instance-9")
}

func TestAPortThatIsTakenIsToldAtOnce(t *testing.T) {
	processtest.SkipIfShort(t)
	taken := options(t, 2)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", taken.Members[1].Address)
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	began := time.Now()
	_, err = Start(t.Context(), taken)
	require.ErrorContains(t, err, "Address already in use")
	require.ErrorContains(t, err, "aurora-instance-2")
	assert.Less(t, time.Since(began), 20*time.Second)
}

func TestAClusterTakesItsDataFromTheStock(t *testing.T) {
	require.NoError(t, start(t, options(t, 1)).Close(), "the template is made")
	dir, err := process.Unprivileged(serverUser).TempDir("", "stock-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	with := options(t, 3)
	with.Stock = NewStock()
	filled := make(chan struct{})
	go func() {
		defer close(filled)
		with.Stock.Fill(t.Context(), dir, 2)
	}()
	whole := with.Members
	with.Members = whole[:1]
	c := start(t, with)
	for _, one := range whole[1:] { // one more than there is something for
		require.NoError(t, c.Add(t.Context(), one))
	}
	<-filled
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
	execute(t, connect(t, c.writerAddress()), "CREATE TABLE payments (id int)")
	require.NoError(t, c.caughtUp(t.Context()))
}

func TestTheTemplateIsMadeOnce(t *testing.T) {
	processtest.SkipIfShort(t)
	server, err := Find(t.Context())
	require.NoError(t, err)
	if !server.Ready {
		t.Skip("no PostgreSQL is installed")
	}
	t.Setenv("TAPSTACK_CACHE", t.TempDir())
	template := filepath.Join(os.Getenv("TAPSTACK_CACHE"), "postgres-template-"+server.Version)
	for range 2 {
		require.NoError(t, start(t, options(t, 1)).Close())
	}
	entries, err := os.ReadDir(filepath.Dir(template))
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	assert.ElementsMatch(t, []string{"postgres-template-" + server.Version, "postgres-template-" + server.Version + ".lock"}, names)
}
