package capacity

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/url"
	"os/exec"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/require"

	"tapstack/lib/cloud"
	"tapstack/lib/dataplane/postgres"
	"tapstack/lib/load"
	"tapstack/lib/target"
	"tapstack/tests/reference"
)

// As many tasks as the stack begins with, and a password for all.
const (
	apis, processors = 3, 2
	secret           = "0123456789abcdef"
)

// alone is the services without a load balancer, without a supervisor and without whatever is between them and the database.
// Connections go to the tasks of payment-api in turn.
func alone(t *testing.T) system {
	t.Helper()
	ctx := t.Context()
	var members []postgres.Member
	for _, name := range []string{"one", "two", "three"} {
		members = append(members, postgres.Member{Name: name, Address: free(t)})
	}
	cluster, err := postgres.Start(ctx, postgres.Options{Names: []string{"127.0.0.1"}, Members: members, Database: "payments", User: "master", Password: secret})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cluster.Close()) })
	emulator, err := target.Open(ctx, target.Options{Name: target.Local})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, emulator.Close()) })
	queue, err := cloud.NewClients(emulator.Config).SQS.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("payment-jobs")})
	require.NoError(t, err)

	connection := func(user string, at postgres.Member) string {
		u := url.URL{
			Scheme: "postgres", User: url.UserPassword(user, secret), Host: at.Address, Path: "/payments",
			RawQuery: url.Values{"sslmode": {"verify-full"}, "sslrootcert": {cluster.Authority()}}.Encode(),
		}
		return u.String()
	}
	api, processor := connection("payment_api", members[0]), connection("job_processor", members[0])
	service := func(name string, environment ...string) *exec.Cmd {
		line := reference.DataPlane(t).Run[name]
		command := exec.CommandContext(ctx, line[0], line[1:]...)
		command.Env = append(environment, "CONTAINER_HOST=127.0.0.1", "CONTAINER_PORT=0", "API_KEY="+secret, "QUEUE_URL="+*queue.QueueUrl)
		for name, value := range emulator.Env() {
			command.Env = append(command.Env, name+"="+value)
		}
		return command
	}
	out, err := service("payment-migrate", "DATABASE_URL="+connection("master", members[0]), "PAYMENT_API_DATABASE_URL="+api, "JOB_PROCESSOR_DATABASE_URL="+processor).CombinedOutput()
	require.NoError(t, err, "%s", out)
	var addresses []string
	for range apis {
		addresses = append(addresses, listening(t, service("payment-api", "DATABASE_URL="+api, "DATABASE_READER_URL="+connection("payment_api", members[1]))))
	}
	for range processors {
		listening(t, service("job-processor", "DATABASE_URL="+processor))
	}
	database, err := cluster.Connect(ctx, "payments")
	require.NoError(t, err)
	t.Cleanup(func() { _ = database.Close(context.WithoutCancel(ctx)) })
	var next atomic.Uint64
	return system{"the services alone", load.API{
		URL: "https://localhost", Key: []byte(secret),
		TLS: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // tasks have certificates of their own making
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, addresses[next.Add(1)%apis])
		},
	}, database}
}

// free is an address that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return listener.Addr().String()
}

var listens = regexp.MustCompile(`listens on ([0-9.:]+)`)

// listening starts a service, and tells where it listens.
func listening(t *testing.T, command *exec.Cmd) string {
	t.Helper()
	output, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	address := make(chan string, 1)
	go func() {
		lines := bufio.NewReader(output)
		for {
			line, err := lines.ReadString('\n')
			if found := listens.FindStringSubmatch(line); found != nil {
				address <- found[1]
				_, err = io.Copy(io.Discard, lines)
			}
			if err != nil {
				return
			}
		}
	}()
	select {
	case found := <-address:
		return found
	case <-time.After(time.Minute):
		require.Fail(t, "a service does not listen")
		return ""
	}
}
