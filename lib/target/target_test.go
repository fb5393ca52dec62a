package target_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/require"

	"tapstack/lib/cloud"
	"tapstack/lib/process"
	"tapstack/lib/process/processtest"
	"tapstack/lib/target"
)

// helperVariable turns the test binary into a tool that opens the target that it names and waits to be killed.
const helperVariable = "TARGET_TEST_HELPER"

func TestMain(m *testing.M) {
	if os.Getenv(helperVariable) != "" {
		os.Exit(helper())
	}
	os.Exit(m.Run())
}

func helper() int {
	options := target.Options{Name: os.Getenv(helperVariable)}.FromEnvironment()
	opened, err := target.Open(context.Background(), options)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(opened.PID(), opened.Endpoint)
	select {}
}

func TestWrongOptionsAreToldBeforeAnythingStarts(t *testing.T) {
	cases := []struct {
		name    string
		options target.Options
		want    []string
	}{
		{"an unknown target", target.Options{Name: "moon"}, []string{`unknown target "moon": choose one of local, localstack, endpoint, aws`}},
		{"no endpoint", target.Options{Name: target.Endpoint}, []string{"needs --endpoint URL"}},
		{"an endpoint that is no URL", target.Options{Name: target.Endpoint, Endpoint: "127.0.0.1:4566"}, []string{"is no URL"}},
		{
			"AWS as an endpoint",
			target.Options{Name: target.Endpoint, Endpoint: "https://sqs.us-east-1.amazonaws.com"},
			[]string{"use --target aws"},
		},
		{
			"everything at once",
			target.Options{Name: target.AWS, Endpoint: "http://127.0.0.1:1", Port: 70000},
			[]string{"--endpoint is for target endpoint, and for a localstack that runs already, not aws", "--port is for targets local and localstack", "--port 70000 is no port"},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := c.options.Fault()
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
			_, opened := target.Open(t.Context(), c.options)
			require.Equal(t, err, opened)
		})
	}
	require.NoError(t, target.Options{Name: target.Local}.Fault())
	require.NoError(t, target.Options{Name: target.Endpoint, Endpoint: "http://[::1]:4566"}.Fault())
}

func TestEndpointsKeepTheirStatesApart(t *testing.T) {
	require.Equal(t, "local", target.Options{Name: target.Local}.Key())
	require.Equal(t, "endpoint-127.0.0.1-4566", target.Options{Name: target.Endpoint, Endpoint: "http://127.0.0.1:4566/"}.Key())
}

func TestTheLocalCloudAnswersAndLeavesNoProcess(t *testing.T) {
	opened := localMoto(t)
	require.True(t, strings.HasPrefix(opened.Endpoint, "http://127.0.0.1:"), opened.Endpoint)
	queues := cloud.NewClients(opened.Config).SQS
	_, err := queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("payments")})
	require.NoError(t, err)
	require.Equal(t, opened.Endpoint, opened.Env()["AWS_ENDPOINT_URL"])

	pid := opened.PID()
	require.NoError(t, opened.Close())
	require.False(t, process.Alive(pid), "the process is gone")
	require.False(t, listening(opened.Endpoint))
	require.NoError(t, opened.Close(), "a second close is nothing")
}

func TestAQueueKeepsItsPolicyWhenAnotherAttributeIsSet(t *testing.T) {
	queues := cloud.NewClients(localMoto(t).Config).SQS
	made, err := queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("payments")})
	require.NoError(t, err)
	for _, attributes := range []map[string]string{
		{"Policy": `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"sqs:*","Resource":"*"}]}`},
		{"VisibilityTimeout": "120"},
	} {
		_, err = queues.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: made.QueueUrl, Attributes: attributes})
		require.NoError(t, err)
	}
	read, err := queues.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: made.QueueUrl, AttributeNames: []types.QueueAttributeName{"Policy", "VisibilityTimeout"},
	})
	require.NoError(t, err)
	require.Contains(t, read.Attributes["Policy"], "Deny")
	require.Equal(t, "120", read.Attributes["VisibilityTimeout"])
}

func TestABusyPortGivesOneClearLine(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	port := listener.Addr().(*net.TCPAddr).Port
	_, err = target.Open(t.Context(), target.Options{Name: target.Local, Port: port})
	require.ErrorContains(t, err, fmt.Sprintf("port %d of 127.0.0.1 is busy", port))
	require.NotContains(t, err.Error(), "\n")
}

func TestAKilledToolLeavesNoEmulator(t *testing.T) {
	pid, endpoint, kill := startTool(t, helperVariable+"="+target.Local)
	require.True(t, listening(endpoint))
	kill()
	require.Eventually(t, func() bool { return !listening(endpoint) && !running(t, pid) }, 10*time.Second, 20*time.Millisecond)
}

// startTool starts this test's binary as a tool, and answers with its emulator's process and endpoint.
func startTool(t *testing.T, environment ...string) (pid, endpoint string, kill func()) {
	t.Helper()
	processtest.SkipIfShort(t)
	self, err := os.Executable()
	require.NoError(t, err)
	tool := exec.CommandContext(t.Context(), self)
	tool.Env = append(os.Environ(), environment...)
	tool.Stderr = os.Stderr
	stdout, err := tool.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, tool.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	pid, endpoint, _ = strings.Cut(strings.TrimSpace(line), " ")
	return pid, endpoint, func() {
		require.NoError(t, tool.Process.Kill())
		_ = tool.Wait()
	}
}

func TestAKeptEmulatorIsFoundAgainAndStopped(t *testing.T) {
	processtest.SkipIfShort(t)
	home := t.TempDir()
	recorded := target.Options{Name: target.Local, Lifetime: target.Recorded, Home: home}
	_, err := target.Open(t.Context(), recorded)
	require.ErrorIs(t, err, target.ErrNoEmulator)

	kept := target.Options{Name: target.Local, Lifetime: target.Kept, Home: home}
	first, err := target.Open(t.Context(), kept)
	require.NoError(t, err)
	t.Cleanup(func() { _ = target.StopKept(context.Background(), home, nil) })
	require.NoError(t, first.Close())
	require.True(t, listening(first.Endpoint), "closing leaves it")

	again, err := target.Open(t.Context(), recorded)
	require.NoError(t, err)
	require.Equal(t, first.Endpoint, again.Endpoint)
	kept.Port = 1
	_, err = target.Open(t.Context(), kept)
	require.ErrorContains(t, err, "runs on port")

	require.NoError(t, target.StopKept(t.Context(), home, nil))
	require.False(t, listening(first.Endpoint))
	_, err = target.Open(t.Context(), recorded)
	require.ErrorIs(t, err, target.ErrNoEmulator)
}

func TestAKeptEmulatorThatDiedIsMissed(t *testing.T) {
	processtest.SkipIfShort(t)
	home := t.TempDir()
	kept := target.Options{Name: target.Local, Lifetime: target.Kept, Home: home}
	first, err := target.Open(t.Context(), kept)
	require.NoError(t, err)
	require.NoError(t, process.Kill(first.PID()))
	require.Eventually(t, func() bool { return !listening(first.Endpoint) }, 10*time.Second, 20*time.Millisecond)

	var gone *target.GoneError
	_, err = target.Open(t.Context(), kept)
	require.ErrorAs(t, err, &gone)
	require.Contains(t, gone.Error(), strconv.Itoa(first.PID()))
	require.NoError(t, target.StopKept(t.Context(), home, nil))
}

func TestAKeptEmulatorThatIsSilentIsNotTakenForGone(t *testing.T) {
	processtest.SkipIfShort(t)
	t.Parallel()
	home := t.TempDir()
	kept := target.Options{Name: target.Local, Lifetime: target.Kept, Home: home}
	first, err := target.Open(t.Context(), kept)
	require.NoError(t, err)
	t.Cleanup(func() { _ = target.StopKept(context.Background(), home, nil) })
	resume := processtest.Stop(t, first.PID())

	var silent *target.SilentError
	var notes []string
	kept.Notify = func(note string) { notes = append(notes, note) }
	_, err = target.Open(t.Context(), kept)
	require.ErrorAs(t, err, &silent)
	require.ErrorContains(t, err, fmt.Sprintf("process %d at %s", first.PID(), first.Endpoint))
	require.Len(t, notes, 1, "that it waits is told once")
	require.Contains(t, notes[0], "does not answer. Waiting 15s for it.")

	resume()
	again, err := target.Open(t.Context(), kept)
	require.NoError(t, err)
	require.Equal(t, first.Endpoint, again.Endpoint)

	processtest.Stop(t, first.PID())
	require.NoError(t, target.StopKept(t.Context(), home, nil), "its process is known by its birth, and ended")
	require.False(t, process.Alive(first.PID()))
}

func TestAProcessThatHasTheIdOfADeadEmulatorIsSpared(t *testing.T) {
	home := t.TempDir()
	other := exec.CommandContext(t.Context(), "sleep", "60")
	require.NoError(t, other.Start())
	t.Cleanup(func() { _ = other.Process.Kill() })
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	content := fmt.Sprintf(`{"pid":%d,"born":"at another time","port":%d,"token":"ours","started":"2026-01-01T00:00:00Z"}`,
		other.Process.Pid, silent.Addr().(*net.TCPAddr).Port)
	require.NoError(t, os.WriteFile(home+"/emulator.json", []byte(content), 0o600))

	var gone *target.GoneError
	_, err = target.Running(t.Context(), home)
	require.ErrorAs(t, err, &gone)
	require.NoError(t, target.StopKept(t.Context(), home, nil))
	require.True(t, process.Alive(other.Process.Pid))
}

func TestAStrangerOnTheRecordedPortIsNotTakenForTheEmulator(t *testing.T) {
	home := t.TempDir()
	stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"identity":"another","pid":1}`))
	}))
	defer stranger.Close()
	port := stranger.Listener.Addr().(*net.TCPAddr).Port
	// The pid is this test's own: a StopKept that trusted the record would end it.
	content := fmt.Sprintf(`{"pid":%d,"port":%d,"token":"ours","started":"2026-01-01T00:00:00Z"}`, os.Getpid(), port)
	require.NoError(t, os.WriteFile(home+"/emulator.json", []byte(content), 0o600))

	var gone *target.GoneError
	_, err := target.Open(t.Context(), target.Options{Name: target.Local, Lifetime: target.Recorded, Home: home})
	require.ErrorAs(t, err, &gone)
	require.NoError(t, target.StopKept(t.Context(), home, nil))
}

func TestAWrongEndpointGivesOneClearLine(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	silent := "http://" + listener.Addr().String()
	require.NoError(t, listener.Close())
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<html>hello</html>"))
	}))
	defer web.Close()

	for endpoint, want := range map[string]string{
		silent:  "nothing answers at " + silent,
		web.URL: web.URL + " answers, but not as an AWS API does",
	} {
		_, err := target.Open(t.Context(), target.Options{Name: target.Endpoint, Endpoint: endpoint})
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "\n")
	}
}

func TestAnEndpointIsReachedAsGiven(t *testing.T) {
	local := localMoto(t)
	opened, _ := open(t, target.Options{Name: target.Endpoint, Endpoint: local.Endpoint + "/"})
	require.Equal(t, local.Endpoint, opened.Endpoint)
	require.NoError(t, opened.Close())
	require.True(t, listening(local.Endpoint), "an endpoint is not ours to stop")
}

func listening(endpoint string) bool {
	connection, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "tcp", strings.TrimPrefix(endpoint, "http://"))
	if err != nil {
		return false
	}
	_ = connection.Close()
	return true
}

func running(t *testing.T, pid string) bool {
	t.Helper()
	number, err := strconv.Atoi(pid)
	require.NoError(t, err)
	return process.Alive(number)
}
