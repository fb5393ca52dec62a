package target

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"tapstack/lib/process"
)

// watchdog removes a container when this process ends, however it ends. It is a child process in a session of its own that
// waits at the end of a pipe: the kernel closes the other end even when this process is killed. Testcontainers' own way, the
// container Ryuk, needs an image that must be pulled and a mounted engine socket.
type watchdog struct {
	stdin  io.WriteCloser
	exited chan struct{}
}

// watchdogScript takes the name of a container and the docker command. The engine may still be making the container when
// its parent dies: hence more than one look.
const watchdogScript = `read -r word
[ "$word" != stay ] || exit 0
for look in 1 2 3 4 5; do
	if "$1" container inspect "$0"; then "$1" rm -f -v "$0" && exit 0; fi
	sleep 1
done`

// startWatchdog watches over the container of that name, which need not exist yet, of the engine at host.
func startWatchdog(docker, host, container string) (*watchdog, error) {
	//nolint:noctx // it is to outlive this process
	command := exec.Command("/bin/sh", "-c", watchdogScript, container, docker)
	command.Env = append(os.Environ(), "DOCKER_HOST="+host)
	process.OwnSession(command)
	stdin, err := command.StdinPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("starting what removes the container at the end: %w", err)
	}
	w := &watchdog{stdin: stdin, exited: make(chan struct{})}
	go func() {
		_ = command.Wait()
		close(w.exited)
	}()
	return w, nil
}

// remove has the container removed, without waiting for it.
func (w *watchdog) remove() error {
	if w == nil {
		return nil
	}
	return w.stdin.Close()
}

// stop ends the watching: the container may outlive this process, or has been removed already.
func (w *watchdog) stop(ctx context.Context) error {
	if w == nil {
		return nil
	}
	_, err := io.WriteString(w.stdin, "stay\n")
	if err == nil {
		err = w.stdin.Close()
	}
	// The pipe is closed as well where the child has ended: at once after the word, or by an earlier stop.
	if err != nil && !errors.Is(err, os.ErrClosed) && !errors.Is(err, syscall.EPIPE) {
		return fmt.Errorf("ending the watch over the container: %w", err)
	}
	select {
	case <-w.exited:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("ending the watch over the container: %w", context.Cause(ctx))
	case <-time.After(stopTimeout):
		return errors.New("the process that watches over the container does not end")
	}
}
