package target_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/require"

	"tapstack/lib/cloud"
	"tapstack/lib/process/processtest"
	"tapstack/lib/target"
	"tapstack/lib/target/localstackimage"
)

const engineSocket = "/var/run/docker.sock"

// localStackImage is an image that the engine of this machine has. Where there is none, the test is skipped with the reason.
func TestTheDefaultImageIsTheOneThatTheRepositoryMakes(t *testing.T) {
	name, err := exec.CommandContext(t.Context(), "../../fixtures/localstack/build-image", "--name").Output()
	require.NoError(t, err)
	require.Equal(t, target.DefaultImage, strings.TrimSpace(string(name)))
}

func localStackImage(t *testing.T) string {
	t.Helper()
	processtest.SkipIfShort(t)
	image, err := localstackimage.Image()
	if err != nil {
		t.Skipf("no LocalStack in a container: %s", err)
	}
	return image
}

// docker runs the docker command.
func docker(t *testing.T, arguments ...string) string {
	t.Helper()
	output, err := exec.CommandContext(context.WithoutCancel(t.Context()), "docker", arguments...).CombinedOutput()
	require.NoError(t, err, "docker %s: %s", strings.Join(arguments, " "), output)
	return strings.TrimSpace(string(output))
}

// containers lists LocalStack's containers on a port.
func containers(t *testing.T, endpoint string) []string {
	t.Helper()
	port := endpoint[strings.LastIndex(endpoint, ":")+1:]
	return strings.Fields(docker(t, "ps", "--all", "--quiet", "--filter", "publish="+port))
}

// variant makes an image that runs a shell command where LocalStack would start.
func variant(t *testing.T, image, name, script string) string {
	t.Helper()
	entrypoint, err := json.Marshal([]string{"/bin/sh", "-c", script})
	require.NoError(t, err)
	made := docker(t, "create", image)
	defer docker(t, "rm", made)
	tag := "tapstack/localstack-test-" + name + ":1.0.0"
	docker(t, "commit", "--change", "ENTRYPOINT "+string(entrypoint), made, tag)
	t.Cleanup(func() { docker(t, "rmi", tag) })
	return tag
}

func TestLocalStackLivesInAContainerAsLongAsTheTool(t *testing.T) {
	opened, notes := open(t, target.Options{Name: target.LocalStack, Image: localStackImage(t)})
	require.True(t, strings.HasPrefix(opened.Endpoint, "http://127.0.0.1:"), opened.Endpoint)
	require.Contains(t, strings.Join(*notes, "\n"), "Starting ")
	queue, err := cloud.NewClients(opened.Config).SQS.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("payments")})
	require.NoError(t, err)
	require.NotEmpty(t, aws.ToString(queue.QueueUrl))
	require.NotEmpty(t, opened.Logs(t.Context()))

	found := containers(t, opened.Endpoint)
	require.Len(t, found, 1)
	var details []struct {
		HostConfig struct {
			Binds        []string
			PortBindings map[string][]struct{ HostIP string }
			Privileged   bool
		}
		Mounts []struct{ Type string }
		Config struct{ Env []string }
	}
	require.NoError(t, json.Unmarshal([]byte(docker(t, "inspect", found[0])), &details))
	require.Empty(t, details[0].HostConfig.Binds, "the engine's socket stays outside")
	require.False(t, details[0].HostConfig.Privileged)
	for port, bindings := range details[0].HostConfig.PortBindings {
		for _, it := range bindings {
			require.Equal(t, "127.0.0.1", it.HostIP, "port %s is for this machine only", port)
		}
	}

	moto := opened.Env()["AWS_ENDPOINT_URL"]
	require.NoError(t, opened.Close())
	require.Empty(t, containers(t, opened.Endpoint))
	require.False(t, listening(moto))
	require.NoError(t, opened.Close(), "a second close is nothing")
}

func TestAKilledToolLeavesNoContainer(t *testing.T) {
	pid, endpoint, kill := startTool(t, helperVariable+"="+target.LocalStack, "LOCALSTACK_IMAGE="+localStackImage(t), "LOCALSTACK_ENDPOINT=")
	require.Len(t, containers(t, endpoint), 1)
	kill()
	require.Eventually(t, func() bool {
		return len(containers(t, endpoint)) == 0 && (pid == "0" || !running(t, pid))
	}, 30*time.Second, 100*time.Millisecond)
}

func TestAKeptContainerServesSeveralCommandsUntilItIsStopped(t *testing.T) {
	image, home := localStackImage(t), t.TempDir()
	recorded := target.Options{Name: target.LocalStack, Lifetime: target.Recorded, Home: home}
	_, err := target.Open(t.Context(), recorded)
	require.ErrorIs(t, err, target.ErrNoEmulator)

	kept := target.Options{Name: target.LocalStack, Image: image, Lifetime: target.Kept, Home: home}
	first, _ := open(t, kept)
	t.Cleanup(func() { _ = target.StopKept(context.Background(), home, nil) })
	require.NoError(t, first.Close())
	require.Len(t, containers(t, first.Endpoint), 1, "closing leaves it")

	again, notes := open(t, kept)
	require.Equal(t, first.Where(), again.Where())
	require.Equal(t, first.Env(), again.Env())
	require.Empty(t, *notes, "nothing is started or asked a second time")
	_, err = target.Running(t.Context(), home)
	require.NoError(t, err)
	docker(t, "pause", containers(t, first.Endpoint)[0])
	var silent *target.SilentError
	_, err = target.Running(t.Context(), home)
	require.ErrorAs(t, err, &silent, "a paused container is not gone")
	docker(t, "unpause", containers(t, first.Endpoint)[0])
	_, err = target.Running(t.Context(), home)
	require.NoError(t, err)

	for want, other := range map[string]target.Options{
		"runs " + image + " already": {Name: target.LocalStack, Image: "localstack/localstack:1.0.0", Lifetime: target.Kept, Home: home},
		"runs on port":               {Name: target.LocalStack, Port: 1, Lifetime: target.Kept, Home: home},
	} {
		_, err = target.Open(t.Context(), other)
		require.ErrorContains(t, err, want)
	}

	docker(t, "rm", "-f", containers(t, first.Endpoint)[0])
	var gone *target.GoneError
	_, err = target.Open(t.Context(), recorded)
	require.ErrorAs(t, err, &gone)
	require.ErrorContains(t, err, "container tapstack-localstack-")

	moto := first.Env()["AWS_ENDPOINT_URL"]
	require.NoError(t, target.StopKept(t.Context(), home, nil))
	require.False(t, listening(moto), "the local emulator ends with it")
	_, err = target.Open(t.Context(), recorded)
	require.ErrorIs(t, err, target.ErrNoEmulator)
}

func TestAnImageThatWantsALicenceIsExplainedAtOnce(t *testing.T) {
	image := variant(t, localStackImage(t), "licence",
		`echo "Localstack returning with exit code 55. Reason: No credentials were found for $LOCALSTACK_AUTH_TOKEN"; exit 55`)
	for _, c := range []struct{ token, want string }{
		{"", "wants a licence: set LOCALSTACK_AUTH_TOKEN"},
		{"ls-do-not-show", "does not accept the licence in LOCALSTACK_AUTH_TOKEN"},
	} {
		t.Setenv("LOCALSTACK_AUTH_TOKEN", c.token)
		start := time.Now()
		_, err := target.Open(t.Context(), target.Options{Name: target.LocalStack, Image: image})
		require.ErrorContains(t, err, c.want)
		require.NotContains(t, err.Error(), "\n")
		require.NotContains(t, err.Error(), "ls-do-not-show")
		require.Less(t, time.Since(start), 30*time.Second, "no time-out")
	}
	require.Empty(t, docker(t, "ps", "--all", "--quiet", "--filter", "ancestor="+image))
}

func TestAContainerThatFailsShowsItsLastLinesWithoutTheLicence(t *testing.T) {
	image := variant(t, localStackImage(t), "broken", `echo "first"; echo "activating $LOCALSTACK_AUTH_TOKEN"; echo "no room on disk" >&2; exit 3`)
	t.Setenv("LOCALSTACK_AUTH_TOKEN", "ls-do-not-show")
	_, err := target.Open(t.Context(), target.Options{Name: target.LocalStack, Image: image})
	require.ErrorContains(t, err, "exit code 3")
	require.ErrorContains(t, err, "activating …")
	require.ErrorContains(t, err, "no room on disk")
	require.NotContains(t, err.Error(), "ls-do-not-show")
	require.Empty(t, docker(t, "ps", "--all", "--quiet", "--filter", "ancestor="+image))
}

func TestAnImageThatCannotBePulledGivesOneClearLine(t *testing.T) {
	localStackImage(t) // an engine is needed
	// Nothing listens on port 1: the engine is refused at once, with or without a network.
	_, err := target.Open(t.Context(), target.Options{Name: target.LocalStack, Image: "127.0.0.1:1/localstack:4.14.0"})
	require.ErrorContains(t, err, "cannot be pulled")
	for _, way := range []string{"LOCALSTACK_IMAGE", "fixtures/localstack/build-image", "LOCALSTACK_ENDPOINT"} {
		require.ErrorContains(t, err, way)
	}
	require.NotContains(t, err.Error(), "\n")
}

func TestAnImageThatOnlyTheRepositoryMakesIsNeverPulled(t *testing.T) {
	localStackImage(t) // an engine is needed
	notes := []string{}
	_, err := target.Open(t.Context(), target.Options{
		Name: target.LocalStack, Image: "tapstack/localstack:0.0.0", Notify: func(note string) { notes = append(notes, note) },
	})
	require.ErrorContains(t, err, "tapstack/localstack:0.0.0 is not on this machine: build it with sudo fixtures/localstack/build-image")
	require.Empty(t, notes, "no registry is asked: whoever took the name there would be run")
}

func TestWithoutAnEngineOneLineSaysSo(t *testing.T) {
	processtest.SkipIfShort(t)
	self, err := os.Executable()
	require.NoError(t, err)
	// A process of its own, with nothing where the engine's socket is: testcontainers-go looks there whatever DOCKER_HOST says.
	tool := exec.CommandContext(t.Context(), self)
	if _, err := os.Stat(engineSocket); err == nil {
		if os.Getuid() != 0 {
			t.Skip("only root can hide the engine that answers here")
		}
		tool = exec.CommandContext(t.Context(), "unshare", "--mount", "sh", "-c", `mount --bind /dev/null "$1" && exec "$0"`, self, engineSocket)
	}
	tool.Env = append(os.Environ(), helperVariable+"="+target.LocalStack, "LOCALSTACK_IMAGE=none.invalid/none:1.0.0",
		"LOCALSTACK_ENDPOINT=", "DOCKER_HOST=tcp://127.0.0.1:1")
	var said strings.Builder
	tool.Stderr = &said
	require.Error(t, tool.Run())
	require.Contains(t, said.String(), "no Docker engine answers")
	require.Contains(t, said.String(), "LOCALSTACK_ENDPOINT")
	require.Equal(t, 1, strings.Count(said.String(), "\n"), said.String())
}
