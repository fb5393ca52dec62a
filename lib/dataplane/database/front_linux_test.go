package database

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/cloud"
)

// The test's own binary is a task's process: what it is to do stands in this variable.
const role = "TAPSTACK_TEST_CLIENT"

func TestMain(m *testing.M) {
	address, kind, child := strings.Cut(os.Getenv(role), " ")
	if !child {
		os.Exit(m.Run())
	}
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n') // whoever started it has noted its id by then
	switch kind {
	case "client", "client6":
		fmt.Println(greeting(address))
	default: // a parent of a client, in a group of the client's own if asked for
		client := exec.CommandContext(context.Background(), os.Args[0]) //nolint:gosec // itself
		client.Env = []string{role + "=" + address + " client"}
		client.Stdin, client.Stdout = strings.NewReader("\n"), os.Stdout
		client.SysProcAttr = &syscall.SysProcAttr{Setpgid: kind == "leaver"}
		_ = client.Run()
	}
	os.Exit(0)
}

// listen and connect are net.Listen and net.Dial, which linters want with a context.
func listen(address string) (net.Listener, error) {
	return new(net.ListenConfig).Listen(context.Background(), "tcp", address)
}

func connect(address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(context.Background(), "tcp", address)
}

// greeting is what a server says first.
func greeting(address string) string {
	c, err := connect(address)
	if err != nil {
		return errorText(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	said, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return errorText(err)
	}
	return strings.TrimSpace(said)
}

func errorText(err error) string {
	if errors.Is(err, syscall.ECONNRESET) {
		return "reset"
	}
	return err.Error()
}

// server greets each client and then echoes.
func server(tb testing.TB, name string) (address string) {
	tb.Helper()
	listener, err := listen("127.0.0.1:0")
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = fmt.Fprintln(c, name)
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	return listener.Addr().String()
}

// running is a child that waits to be let go.
type running struct {
	command *exec.Cmd
	start   func()
	said    io.Reader
}

func child(t *testing.T, address, kind string) running {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // itself
	command.Env = []string{role + "=" + address + " " + kind}
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stdin, err := command.StdinPipe()
	require.NoError(t, err)
	stdout, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	t.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() })
	return running{command, func() { _, _ = fmt.Fprintln(stdin) }, stdout}
}

func (r running) output(t *testing.T) string {
	t.Helper()
	r.start()
	said, err := io.ReadAll(r.said)
	require.NoError(t, err)
	return strings.TrimSpace(string(said))
}

// start is a front in front of some servers, for tasks that are noted afterwards.
func start(tb testing.TB, permit func(Peer) error, backend func() []string) (*Front, *sync.Map) {
	tb.Helper()
	var tasks sync.Map
	f := &Front{
		Listen: "127.0.0.1:0", Backend: backend, Permit: permit,
		Peers: NewPeers(func() map[int]string {
			all := map[int]string{}
			tasks.Range(func(pid, task any) bool { all[pid.(int)] = task.(string); return true })
			return all
		}),
	}
	require.NoError(tb, f.Start(tb.Context()))
	tb.Cleanup(func() { _ = f.Close() })
	return f, &tasks
}

func anyone(Peer) error { return nil }

func TestOnlyTasksThatMayConnectDo(t *testing.T) {
	to := server(t, "writer")
	permit := func(p Peer) error {
		if p.Task == "job-1" {
			return errors.New("no egress rule of sg-job lets tcp 5432 to sg-db")
		}
		return nil
	}
	f, tasks := start(t, permit, func() []string { return []string{to} })
	refused := make(chan error, 1)
	f.Refused = func(_ Peer, err error) { refused <- err }
	for _, c := range []struct{ what, kind, task, want, reason string }{
		{"a task's process", "client", "api-1", "writer", ""},
		{"its child", "parent", "api-1", "writer", ""},
		{"its child in a group of its own", "leaver", "api-1", "writer", ""},
		{"a task that the rules keep out", "client", "job-1", "reset", "no egress rule of sg-job lets tcp 5432 to sg-db"},
		{"its child", "parent", "job-1", "reset", "no egress rule of sg-job"},
		{"a process of no task", "client", "", "reset", "comes from no task's process"},
		{"a child of one of no task", "parent", "", "reset", "comes from no task's process"},
	} {
		r := child(t, f.Address(), c.kind)
		if c.task != "" {
			tasks.Store(r.command.Process.Pid, c.task)
		}
		assert.Equal(t, c.want, r.output(t), c.what)
		if c.reason != "" {
			require.ErrorContains(t, <-refused, c.reason, c.what)
		}
		tasks.Delete(r.command.Process.Pid)
	}
	assert.Empty(t, refused)
}

func TestAClientMayComeByASocketForIPv6(t *testing.T) {
	const table = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0000000000000000FFFF00000100007F:C350 0000000000000000FFFF00000100007F:1538 01 00000000:00000000 00:00000000 00000000     0        0 4711 1 0
   1: 00000000000000000000000001000000:C351 00000000000000000000000001000000:1538 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0
   2: 0100007F:C352 0201007F:1538 06 00000000:00000000 00:00000000 00000000     0        0 0 1 0
   3: 0100007F:C353 0201007F:1538 05 00000000:00000000 00:00000000 00000000     0        0 4713 1 0
   4: nonsense
`
	for addresses, want := range map[[2]string]uint64{
		{"127.0.0.1:50000", "127.0.0.1:5432"}: 4711, {"[::1]:50001", "[::1]:5432"}: 4712, {"127.0.0.1:50003", "127.0.1.2:5432"}: 4713,
		{"127.0.0.1:50002", "127.0.1.2:5432"}: 0,
	} {
		got, ok := connection{netip.MustParseAddrPort(addresses[0]), netip.MustParseAddrPort(addresses[1])}.in([]byte(table))
		assert.True(t, ok, addresses)
		assert.Equal(t, want, got, addresses)
	}
	_, ok := connection{netip.MustParseAddrPort("127.0.0.1:5432"), netip.MustParseAddrPort("127.0.0.1:50000")}.in([]byte(table))
	assert.False(t, ok, "the other way round")
}

func TestTheKernelAndItsTablesTellTheSameOfAConnection(t *testing.T) {
	for _, network := range []string{"127.0.0.1:0", "[::1]:0", "[::]:0"} {
		listener, err := listen(network)
		if err != nil {
			t.Logf("%s: %v", network, err)
			continue
		}
		_, port, _ := net.SplitHostPort(listener.Addr().String())
		to := strings.TrimSuffix(network, ":0")
		if to == "[::]" {
			to = "127.0.0.1" // a socket for both
		}
		client, err := connect(to + ":" + port)
		require.NoError(t, err)
		of := func(c net.Conn) connection {
			return connection{unmapped(netip.MustParseAddrPort(c.LocalAddr().String())), unmapped(netip.MustParseAddrPort(c.RemoteAddr().String()))}
		}
		server, err := listener.Accept()
		require.NoError(t, err)
		for _, c := range []net.Conn{client, server} {
			asked, err := askKernel(of(c))
			require.NoError(t, err, "%s: %v", network, of(c))
			looked, err := lookUp(of(c))
			require.NoError(t, err, network)
			assert.Equal(t, looked, asked, network)
			assert.NotZero(t, asked, network)
		}
		require.NoError(t, errors.Join(client.Close(), server.Close(), listener.Close()))
		_, err = askKernel(connection{of(client).local, of(client).local})
		require.ErrorIs(t, err, syscall.ENOENT)
	}
}

// own is a front that takes the test's own process for a task.
func own(tb testing.TB, backend func() []string) *Front {
	tb.Helper()
	f, tasks := start(tb, anyone, backend)
	tasks.Store(os.Getpid(), "test")
	return f
}

func dial(tb testing.TB, f *Front) *net.TCPConn {
	tb.Helper()
	c, err := connect(f.Address())
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = c.Close() })
	require.NoError(tb, c.SetDeadline(time.Now().Add(30*time.Second)))
	return c.(*net.TCPConn)
}

func TestWhoSaysNoMoreStillHears(t *testing.T) {
	to := server(t, "writer")
	c := dial(t, own(t, func() []string { return []string{to} }))
	_, err := io.WriteString(c, strings.Repeat("x", 1<<20))
	if err == nil {
		err = c.CloseWrite()
	}
	require.NoError(t, err)
	all, err := io.ReadAll(c)
	require.NoError(t, err)
	assert.Equal(t, "writer\n"+strings.Repeat("x", 1<<20), string(all))
}

func TestAFailoverCutsAndLeadsElsewhere(t *testing.T) {
	var leads atomic.Pointer[string]
	first, second := server(t, "first"), server(t, "second")
	leads.Store(&first)
	f := own(t, func() []string { return []string{*leads.Load()} })
	before := dial(t, f)
	said := bufio.NewReader(before)
	line, err := said.ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "first\n", line)

	leads.Store(&second)
	f.Cut()
	_, err = said.ReadString('\n')
	require.ErrorIs(t, err, syscall.ECONNRESET)
	assert.Equal(t, "second", greeting(f.Address()))
	require.Eventually(t, func() bool { return f.Connections() == 0 }, 10*time.Second, time.Millisecond)
}

func TestAServerThatIsGoneIsPassedOverAndNoneIsAReset(t *testing.T) {
	gone, err := listen("127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, gone.Close())
	to := server(t, "reader-2")
	var backends atomic.Pointer[[]string]
	f := own(t, func() []string { return *backends.Load() })
	for want, list := range map[string][]string{"reader-2": {gone.Addr().String(), to}, "reset": {gone.Addr().String()}} {
		backends.Store(&list)
		assert.Equal(t, want, greeting(f.Address()))
	}
	backends.Store(&[]string{})
	assert.Equal(t, "reset", greeting(f.Address()))
}

func TestAServerThatIsKilledResetsItsClients(t *testing.T) {
	listener, err := listen("127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	c := dial(t, own(t, func() []string { return []string{listener.Addr().String()} }))
	at, err := listener.Accept()
	require.NoError(t, err)
	require.NoError(t, at.(*net.TCPConn).SetLinger(0))
	require.NoError(t, at.Close())
	_, err = c.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
}

func TestNothingIsLeftOfAFront(t *testing.T) {
	to := server(t, "writer")
	before := runtime.NumGoroutine()
	f := own(t, func() []string { return []string{to} })
	for range 20 {
		c := dial(t, f)
		_, err := c.Read(make([]byte, 1))
		require.NoError(t, err)
	}
	assert.Equal(t, 20, f.Connections())
	require.NoError(t, f.Close())
	assert.Zero(t, f.Connections())
	_, err := connect(f.Address())
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.NoError(t, cloud.Poll(t.Context(), cloud.Wait{Limit: 10 * time.Second, First: time.Millisecond, Longest: time.Second},
		func(context.Context) (bool, error) { return runtime.NumGoroutine() <= before, nil }), "routines are left")
}

func TestAStormOfConnectionsCostsFewLooks(t *testing.T) {
	to := server(t, "writer")
	var looks atomic.Int32
	f := &Front{
		Listen: "127.0.0.1:0", Backend: func() []string { return []string{to} }, Permit: anyone,
		Peers: NewPeers(func() map[int]string {
			looks.Add(1)
			time.Sleep(5 * time.Millisecond) // a slow machine
			return map[int]string{os.Getpid(): "test"}
		}),
	}
	require.NoError(t, f.Start(t.Context()))
	t.Cleanup(func() { _ = f.Close() })
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() { assert.Equal(t, "writer", greeting(f.Address())) })
	}
	all.Wait()
	assert.Less(t, looks.Load(), int32(100), "one look for many")
}

// BenchmarkConnect and BenchmarkExchange compare the front with the bare server.
func BenchmarkConnect(b *testing.B) {
	to := server(b, "writer")
	f := own(b, func() []string { return []string{to} })
	for name, address := range map[string]string{"bare": to, "front": f.Address()} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if said := greeting(address); said != "writer" {
					b.Fatal(said)
				}
			}
		})
	}
}

func BenchmarkExchange(b *testing.B) {
	to := server(b, "writer")
	f := own(b, func() []string { return []string{to} })
	for name, address := range map[string]string{"bare": to, "front": f.Address()} {
		b.Run(name, func(b *testing.B) {
			c, err := connect(address)
			require.NoError(b, err)
			defer func() { _ = c.Close() }()
			buffer := make([]byte, 1024)
			_, err = io.ReadFull(c, buffer[:len("writer\n")])
			require.NoError(b, err)
			for b.Loop() {
				if _, err = c.Write(buffer); err == nil {
					_, err = io.ReadFull(c, buffer)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
