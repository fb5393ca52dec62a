package postgres

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"tapstack/lib/cloud"
	"tapstack/lib/process"
)

// member is an instance with its processes.
type member struct {
	Member
	host         string
	port         int
	data, socket string
	// away is a member that is no replica yet, or not again, entrusted one that the writer's commits wait for nevertheless; the
	// cluster's mu guards both.
	away, entrusted bool

	mu sync.Mutex
	// wanted says that it is to be started again when it ends. runs counts how often it was run: each time has its own loop.
	wanted  bool
	runs    int
	process *running
	// failures counts how often it ended since it was last run.
	failures int
	// lines are the last ones that it logged.
	lines []string
}

// running is a postmaster.
type running struct {
	*os.Process
	exited chan struct{}
	state  string
}

// freeMemory is for the reaper: the few bytes of System V memory that a postmaster leaves which was killed together with the
// tool. Its id is in line 7 of postmaster.pid.
const freeMemory = `for file in "$1"/*/data/postmaster.pid; do
	id=$(sed -n '7s/.* //p' "$file") && [ "$id" ] && ipcrm -m "$id"
done 2>/dev/null`

func newMember(one Member, folder, sockets string, index int) (*member, error) {
	host, port, err := split(one.Address)
	if err != nil {
		return nil, fmt.Errorf("the address of %s: %w", one.Name, err)
	}
	number := strconv.Itoa(index)
	return &member{Member: one, host: host, port: port, data: filepath.Join(folder, number, "data"), socket: filepath.Join(sockets, number)}, nil
}

// environment is what the server's programs get.
func environment() []string { return append(process.Environment(), "LC_ALL=C", "TZ=UTC") }

// run keeps a member running until it is stopped.
func (c *Cluster) run(m *member) {
	m.mu.Lock()
	m.wanted, m.failures = true, 0
	m.runs++
	run := m.runs
	m.mu.Unlock()
	c.running.Go(func() {
		for pause := time.Duration(0); ; pause = min(2*pause+20*time.Millisecond, time.Second) {
			began := time.Now()
			p, err := c.start(m, run)
			if p == nil && err == nil {
				return
			}
			state := "does not start"
			if err == nil {
				<-p.exited
				state = p.state
			}
			if !m.failed(run) || c.ctx.Err() != nil {
				return
			}
			if time.Since(began) > 5*time.Second {
				pause = 0
			}
			c.options.Notify(fmt.Sprintf("PostgreSQL %s ended (%s); it is started again.", m.Name, errors.Join(errors.New(state), err)))
			select {
			case <-c.ctx.Done():
				return
			case <-time.After(pause):
			}
		}
	})
}

// start starts a postmaster, nil when none is wanted any more, or another run's.
func (c *Cluster) start(m *member, run int) (*running, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.wanted || m.runs != run || c.ctx.Err() != nil {
		return nil, nil //nolint:nilnil // both are said in the comment
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	//nolint:noctx // it ends by signals
	command := exec.Command(c.server.program("postgres"), "-D", m.data)
	command.Dir, command.Env, command.Stdout, command.Stderr = "/", environment(), write, write
	c.account.Run(command)
	// SIGQUIT has it end at once and free its memory.
	err = c.reaper.Start(command, int(syscall.SIGQUIT))
	_ = write.Close()
	if err != nil {
		_ = read.Close()
		return nil, err
	}
	p := &running{Process: command.Process, exited: make(chan struct{})}
	m.process, m.lines = p, nil
	c.running.Go(func() { c.read(m, read) })
	c.running.Go(func() {
		state, err := p.Wait()
		c.reaper.Forget(p.Pid)
		if err == nil {
			p.state = state.String()
		}
		close(p.exited)
	})
	return p, nil
}

// read hands on what the server logs.
func (c *Cluster) read(m *member, output io.ReadCloser) {
	defer func() { _ = output.Close() }()
	const kept = 20
	for lines := bufio.NewReader(output); ; {
		line, err := lines.ReadString('\n')
		if line = strings.TrimRight(line, "\n"); line != "" {
			m.mu.Lock()
			m.lines = append(m.lines[max(0, len(m.lines)-kept+1):], line)
			m.mu.Unlock()
			c.options.Log(m.Name, line)
		}
		if err != nil {
			return
		}
	}
}

// connect connects as superuser over the Unix socket.
func (m *member) connect(ctx context.Context, database string) (*pgx.Conn, error) {
	return Socket{m.socket, m.port, superuser}.Connect(ctx, database)
}

// Socket is where the tool itself connects: a server's Unix socket.
type Socket struct {
	// Folder has the socket, whose name is made of the Port.
	Folder string
	Port   int
	// User is the superuser.
	User string
}

// Connect connects to a database.
func (s Socket) Connect(ctx context.Context, database string) (*pgx.Conn, error) {
	forgetShell()
	config, err := pgx.ParseConfig(fmt.Sprintf("host=%s port=%d user=%s dbname=%s sslmode=disable passfile=/dev/null application_name=tap connect_timeout=5",
		quoted(s.Folder), s.Port, s.User, quoted(database)))
	if err != nil {
		return nil, err
	}
	return pgx.ConnectConfig(ctx, config)
}

// forgetShell takes the PG* variables of the user's shell out of this process: pgx reads them all, and some, such as PGSERVICE, whatever
// the connection string says.
var forgetShell = sync.OnceFunc(forget)

func forget() {
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "PG") {
			_ = os.Unsetenv(name)
		}
	}
}

// quoted is a value of a connection string, or of a configuration file.
func quoted(value string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "'"
}

// await waits until a member takes connections, and no longer where it keeps ending.
func (c *Cluster) await(ctx context.Context, m *member) error {
	const enough = 5
	var refused error
	err := cloud.Poll(ctx, often(time.Minute), func(ctx context.Context) (bool, error) {
		m.mu.Lock()
		failures := m.failures
		m.mu.Unlock()
		connection, err := m.connect(ctx, "postgres")
		if err == nil {
			return true, connection.Close(ctx)
		}
		if refused = err; failures >= enough {
			return false, err
		}
		return false, nil
	})
	if err != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		return fmt.Errorf("%s takes no connections at %s: %w: %w\n%s", m.Name, m.Address, err, refused, strings.Join(m.lines, "\n"))
	}
	return nil
}

// failed counts an end, and says whether it was one that nobody wanted.
func (m *member) failed(run int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.runs != run {
		return false
	}
	m.failures++
	return m.wanted
}

// unwanted has a member not be started again.
func (m *member) unwanted() *running {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wanted = false
	return m.process
}

// halt stops a member: so that its replicas get all that it has, and no matter what if that takes long.
func (m *member) halt(ctx context.Context) error {
	p := m.unwanted()
	if p == nil {
		return nil
	}
	for _, how := range []struct {
		signal  syscall.Signal
		patient time.Duration
	}{{syscall.SIGINT, 5 * time.Second}, {syscall.SIGQUIT, 10 * time.Second}, {syscall.SIGKILL, 10 * time.Second}} {
		_ = p.Signal(how.signal) // it may have ended
		select {
		case <-p.exited:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(how.patient):
		}
	}
	return fmt.Errorf("%s does not end", m.Name)
}

// kill ends a member's processes at once. A backend that the postmaster left behind could wait for ever for a lock that somebody had who
// was killed, and whoever is connected to it too.
func (m *member) kill() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.process == nil {
		return fmt.Errorf("%s does not run", m.Name)
	}
	return process.KillWithChildren(m.process.Pid)
}
