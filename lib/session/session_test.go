package session

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
	"tapstack/lib/awsprovider"
	"tapstack/lib/lifecycle"
	"tapstack/lib/process"
	"tapstack/lib/target"
)

// notes keeps what a session says.
type notes struct {
	Quiet
	lines []string
}

func (n *notes) Note(line string) { n.lines = append(n.lines, line) }

func TestADeploymentTellsItsCostOnAWSOnly(t *testing.T) {
	huge := map[string]any{"engine": "aurora-postgresql", "instanceClass": "db.x1.huge"}
	planned := lifecycle.Result{Planned: []lifecycle.Resource{
		{Type: "aws:ec2/natGateway:NatGateway", Name: "nat-2"},
		{Type: "aws:ec2/natGateway:NatGateway", Name: "nat-1"},
		{Type: "aws:rds/clusterInstance:ClusterInstance", Name: "writer", Inputs: huge},
	}}
	for name, want := range map[string][]string{
		target.Local: nil, target.Endpoint: nil, target.LocalStack: nil,
		target.AWS: {
			"cost, estimated: more than $0.23 for a run of 1h30m,",
			"  $0.09 an hour, $66 a month, before traffic, taxes and discounts;",
			"  list prices of us-east-1, last checked ",
			"  left out, since no price is known: writer",
		},
	} {
		said := &notes{}
		s, _ := New(t.Context(), Options{Progress: said})
		s.Cloud = &target.Target{Name: name, Config: aws.Config{Region: target.Region}}
		require.NoError(t, s.noteCost(planned))
		require.Len(t, said.lines, len(want), name)
		for index, start := range want {
			assert.True(t, strings.HasPrefix(said.lines[index], start), "%q", said.lines[index])
		}
	}
}

func TestAPlanThatLosesDataIsRefusedUnlessItIsAllowedByName(t *testing.T) {
	step := func(op, kind, name string) lifecycle.Step { return lifecycle.Step{Op: op, Type: kind, Name: name} }
	planned := lifecycle.Result{Changed: []lifecycle.Step{
		step("delete-replaced", "aws:rds/cluster:Cluster", "aurora-cluster"),
		step("replace", "aws:rds/cluster:Cluster", "aurora-cluster"),
		step("create-replacement", "aws:rds/cluster:Cluster", "aurora-cluster"),
		step("delete", "aws:sqs/queue:Queue", "payment-jobs"),
		step("create", "aws:sqs/queue:Queue", "jobs"),
		step("update", "aws:s3/bucket:Bucket", "alb-logs"),
		step("replace", "aws:ecs/taskDefinition:TaskDefinition", "payment-api-task"),
	}}
	keep := func(allowed string) error {
		s, _ := New(t.Context(), Options{Config: map[string]string{lib.ConfigAllowReplace: allowed}})
		return s.Keep(planned)
	}
	const cluster, queue = "\n  aurora-cluster: the database and its automated backups would be lost", "\n  payment-jobs: the messages in it would be lost"
	const next = "or allow it with --allow-replace aurora-cluster,payment-jobs"
	for allowed, want := range map[string]string{"": cluster + queue, "aurora-cluster": queue, "payment-jobs, vpc": cluster} {
		err := keep(allowed)
		require.ErrorContains(t, err, "nothing was changed:"+want+"\nTake", allowed)
		require.ErrorContains(t, err, next, allowed)
	}
	require.NoError(t, keep("payment-jobs,aurora-cluster"))

	s, _ := New(t.Context(), Options{})
	_, err := s.Up(t.Context(), lifecycle.Result{Changed: planned.Changed, Changes: map[string]int{"replace": 1}})
	require.ErrorContains(t, err, next, "up goes no further")
}

func TestWhatWasAllowedOnceIsNotRemembered(t *testing.T) {
	location := lifecycle.InFolder(lib.ProjectName, t.TempDir())
	project := filepath.Join(location.Dir("dev"), "project")
	require.NoError(t, os.MkdirAll(project, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(project, "Pulumi.dev.yaml"), []byte("config:\n  tapstack:allowReplace: vpc\n  tapstack:dbName: orders\n"), 0o600))
	o := Options{Suffix: "dev", Target: target.Options{Name: target.Local}, Location: location}
	_, err := o.Configure(t.Context(), Settings{Assume: true})
	require.NoError(t, err)
	assert.Equal(t, "orders", o.Config["dbName"])
	assert.NotContains(t, o.Config, lib.ConfigAllowReplace)
}

func TestAStackOnAWSIsProtectedUnlessToldOtherwise(t *testing.T) {
	for _, c := range []struct{ target, given, want string }{{target.AWS, "", "true"}, {target.AWS, "false", "false"}, {target.Local, "", ""}, {target.Local, "true", "true"}} {
		o := Options{Suffix: "dev", Target: target.Options{Name: c.target}, Location: lifecycle.InFolder(lib.ProjectName, t.TempDir())}
		_, err := o.Configure(t.Context(), Settings{Assume: true, Given: map[string]string{lib.ConfigProtect: c.given}})
		require.NoError(t, err)
		assert.Equal(t, c.want, o.Config[lib.ConfigProtect], "%+v", c)
	}
}

func TestTheLocalProviderServesEmulatorsOnly(t *testing.T) {
	for name, c := range map[string]struct {
		target   string
		official bool
		local    bool
	}{
		"an emulator":                            {target.Local, false, true},
		"an emulator with the official provider": {target.Local, true, false},
		"a real account":                         {target.AWS, false, false},
	} {
		s, _ := New(t.Context(), Options{Official: c.official, Suffix: "dev", Location: lifecycle.InFolder(lib.ProjectName, t.TempDir())})
		s.Cloud = &target.Target{Name: c.target}
		_, local := s.stackOptions().Provider.(*awsprovider.Plugin)
		assert.Equal(t, c.local, local, name)
		assert.Equal(t, c.local, s.stackOptions().Provider != nil, name)
	}
}

func TestCleaningUpOutlivesAnInterruptAndIsBounded(t *testing.T) {
	for _, name := range target.Names() {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(lifecycle.ErrInterrupted)
		s, ctx := New(ctx, Options{Target: target.Options{Name: name}})
		ctx, stop := s.CleanupContext(ctx)
		require.NoError(t, ctx.Err())
		deadline, bounded := ctx.Deadline()
		require.True(t, bounded)
		assert.Greater(t, time.Until(deadline), 5*time.Minute, name)
		stop()
	}
}

func TestAStackKeepsItsRunAndExpiryUntilToldOtherwise(t *testing.T) {
	configure := func(o Options, settings Settings) map[string]string {
		settings.Assume = true
		assumed, err := o.Configure(t.Context(), settings)
		require.NoError(t, err)
		require.Len(t, assumed, len(testValues))
		return o.Config
	}
	o := Options{Suffix: "dev", Target: target.Options{Name: target.Local}, Location: lifecycle.InFolder(lib.ProjectName, t.TempDir())}
	stays := configure(o, Settings{})
	_, told := lib.RunStart(stays[lib.ConfigRun])
	assert.True(t, told)
	assert.Empty(t, stays[lib.ConfigExpires])

	of := map[string]string{lib.ConfigRun: stays[lib.ConfigRun], lib.ConfigExpires: lib.NeverExpires}
	kept := configure(o, Settings{Given: of, Fresh: true})
	assert.Equal(t, stays[lib.ConfigRun], kept[lib.ConfigRun])
	assert.Equal(t, lib.NeverExpires, kept[lib.ConfigExpires])

	for _, settings := range []Settings{{Fresh: true}, {TTL: time.Hour}} {
		expires, err := lib.ParseExpiry(configure(o, settings)[lib.ConfigExpires])
		require.NoError(t, err)
		assert.True(t, expires.After(time.Now()), "a new stack that is not to stay, or one with a time to live")
	}
}

// runningCloud is a home whose local cloud is a process that sleeps, at an address that answers as it would.
func runningCloud(t *testing.T) (home string, pid int) {
	t.Helper()
	sleeper := exec.CommandContext(t.Context(), "sleep", "60")
	require.NoError(t, sleeper.Start())
	go func() { _ = sleeper.Wait() }()
	t.Cleanup(func() { _ = sleeper.Process.Kill() })
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if process.Alive(sleeper.Process.Pid) {
			_, _ = fmt.Fprintf(w, `{"identity":"%x"}`, sha256.Sum256([]byte("ours")))
		}
	}))
	t.Cleanup(server.Close)
	home = t.TempDir()
	record, err := json.Marshal(map[string]any{
		"pid": sleeper.Process.Pid, "born": process.Birth(sleeper.Process.Pid), "token": "ours",
		"port": server.Listener.Addr().(*net.TCPAddr).Port, "started": time.Now(),
	})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(home, "emulator.json"), record, 0o600))
	return home, sleeper.Process.Pid
}

func TestTheCloudGoesWithTheLastThatUsesIt(t *testing.T) {
	home, pid := runningCloud(t)
	location := lifecycle.InFolder(lib.ProjectName, home)
	options := Options{Suffix: "dev", Target: target.Options{Name: target.Local, Home: home}, Location: location, Changes: true}
	begun, err := location.Lock(t.Context(), "other", "tap up", nil) // it has no state yet
	require.NoError(t, err)

	s, ctx := New(t.Context(), options)
	require.NoError(t, s.Lock(ctx))
	require.NoError(t, s.Forget(ctx))
	require.True(t, process.Alive(pid), "another command has begun to use it")
	require.FileExists(t, filepath.Join(home, "emulator.json"))

	begun.Release()
	require.NoError(t, s.Release(ctx))
	require.False(t, process.Alive(pid))
	require.NoError(t, s.Close())
	require.NoDirExists(t, filepath.Join(home, "dev"))
	require.NoDirExists(t, filepath.Join(home, "other"))
}

func TestWhoChangesAStackInUseIsRefusedAndWhoLooksWaits(t *testing.T) {
	home, pid := runningCloud(t)
	location := lifecycle.InFolder(lib.ProjectName, home)
	holder, err := location.Lock(t.Context(), "dev", "tap up", nil)
	require.NoError(t, err)
	options := Options{Suffix: "dev", Target: target.Options{Name: target.Local, Home: home}, Location: location}
	for name, open := range map[string]func(*Session) error{
		"up":           func(s *Session) error { return s.OpenKept(t.Context()) },
		"destroy":      func(s *Session) error { return s.OpenExisting(t.Context()) },
		"another life": func(s *Session) error { return s.Open(t.Context()) },
	} {
		options.Changes = true
		s, _ := New(t.Context(), options)
		err := open(s)
		var used *lifecycle.InUseError
		require.ErrorAs(t, err, &used, name)
		require.Equal(t, "tap up", used.User.Command)
		require.Contains(t, err.Error(), fmt.Sprintf("stack dev is in use by tap up, process %d, since ", os.Getpid()))
		require.Nil(t, s.Cloud, "the cloud is not opened before")
		require.NoError(t, s.Close())
	}
	require.True(t, process.Alive(pid))

	said := &notes{}
	options.Changes, options.Progress = false, said
	s, ctx := New(t.Context(), options)
	done := make(chan error)
	go func() { done <- s.OpenExisting(ctx) }()
	select {
	case err := <-done:
		require.Fail(t, "it does not wait", "%v", err)
	case <-time.After(200 * time.Millisecond):
	}
	holder.Release()
	require.ErrorIs(t, <-done, lifecycle.ErrNoStack)
	require.NoError(t, s.Close())
	require.Len(t, said.lines, 1)
	require.Contains(t, said.lines[0], "stack dev is in use by tap up")
}

func TestANewStackIsLookedAtOnTheCloudThatRuns(t *testing.T) {
	home, pid := runningCloud(t)
	for _, name := range []string{"free", "in use"} {
		location := lifecycle.InFolder(lib.ProjectName, home)
		if name == "in use" {
			holder, err := location.Lock(t.Context(), "dev", "tap up", nil)
			require.NoError(t, err)
			t.Cleanup(holder.Release)
		}
		s, ctx := New(t.Context(), Options{Suffix: "dev", Target: target.Options{Name: target.Local, Home: home}, Location: location})
		require.NoError(t, s.OpenAnyCloud(ctx), name)
		require.Equal(t, pid, s.Cloud.PID(), name)
		require.NoError(t, s.Close())
	}
}

func TestASecondInterruptIsHeardWhileNobodyReadsWhatTheFirstHasSaid(t *testing.T) {
	full, second := make(chan struct{}), make(chan struct{})
	defer close(full)
	ctx, stop := onInterrupt(t.Context(), func() { <-full }, func() { close(second) })
	defer stop()
	self, err := os.FindProcess(os.Getpid())
	require.NoError(t, err)
	require.NoError(t, self.Signal(syscall.SIGTERM))
	<-ctx.Done()
	require.ErrorIs(t, context.Cause(ctx), lifecycle.ErrInterrupted)
	require.NoError(t, self.Signal(syscall.SIGTERM))
	select {
	case <-second:
	case <-time.After(10 * time.Second):
		require.Fail(t, "the second interrupt is not heard")
	}
}

func TestTheSecondInterruptEndsInATimeThoughTheStateFolderHangs(t *testing.T) {
	abandoned := make(chan struct{})
	s, _ := New(t.Context(), Options{Abandon: func() { close(abandoned) }})
	defer s.stop()
	s.mutex.Lock() // as Close has it while it removes a folder
	defer s.mutex.Unlock()
	go s.abandon()
	select {
	case <-abandoned:
	case <-time.After(2 * abandonLimit):
		require.Fail(t, "tap does not end")
	}
}

func TestASecondInterruptIsHeededUntilEverythingIsClosed(t *testing.T) {
	s, _ := New(t.Context(), Options{})
	require.NoError(t, s.makeTemporary())
	stopped := false
	s.stop = func() {
		require.NoDirExists(t, s.temporary, "the signals are given back before")
		stopped = true
	}
	require.NoError(t, s.Close())
	require.True(t, stopped)
}
