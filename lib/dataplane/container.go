package dataplane

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// identity is a user and a group.
type identity struct{ uid, gid uint32 }

// usualIdentity is that of a container whose definition names no user by number.
var usualIdentity = identity{10001, 10001}

// identityOf reads "user" or "user:group" of a container definition, as far as they are numbers. Nothing runs as root.
func identityOf(user string) identity {
	name, group, both := strings.Cut(user, ":")
	uid, err := strconv.ParseUint(name, 10, 32)
	if err != nil || uid == 0 {
		return usualIdentity
	}
	who := identity{uint32(uid), uint32(uid)}
	if gid, err := strconv.ParseUint(group, 10, 32); both && err == nil && gid > 0 {
		who.gid = uint32(gid)
	}
	return who
}

// container is a process that runs for a container of a task, and what it started.
type container struct {
	definition ecstypes.ContainerDefinition
	command    *exec.Cmd
	pid        int
	who        identity
	exited     chan struct{}
	code       atomic.Int64 // set before exited is closed
}

const (
	// longestLine is where a line of output is cut, as Docker does.
	longestLine = 16 << 10
	// exitOfSignal is added to a signal's number for the exit code of what it ended, as shells and container runtimes do.
	exitOfSignal = 128
)

// startContainer starts argv with exactly these variables in a folder; sink hears each line of output.
func startContainer(s *starter, definition ecstypes.ContainerDefinition, argv []string, variables map[string]string, folder string, sink func(string)) (*container, error) {
	c := &container{definition: definition, who: identityOf(aws.ToString(definition.User)), exited: make(chan struct{})}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	c.command = &exec.Cmd{Path: path, Args: argv, Env: entries(variables), Dir: folder, Stdout: write, Stderr: write}
	err = s.start(c.command, c.who)
	_ = write.Close()
	if err != nil {
		_ = read.Close()
		return nil, err
	}
	c.pid = c.command.Process.Pid
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		defer func() { _ = read.Close() }()
		lines(read, sink)
	}()
	go func() {
		err := c.command.Wait()
		signalGroup(c.pid, syscall.SIGKILL) // a container ends with its first process
		s.ended(c.pid)
		select {
		case <-copied:
		case <-time.After(time.Second):
			_ = read.Close()
		}
		c.code.Store(int64(exitCode(err)))
		close(c.exited)
	}()
	return c, nil
}

// exitCode is that of a process that has ended.
func exitCode(err error) int {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		if err != nil {
			return exitOfSignal - 1
		}
		return 0
	}
	if status, is := exit.Sys().(syscall.WaitStatus); is && status.Signaled() {
		return exitOfSignal + int(status.Signal())
	}
	return exit.ExitCode()
}

func (c *container) running() bool {
	select {
	case <-c.exited:
		return false
	default:
		return true
	}
}

// stopTimeout is how long it may take to end after SIGTERM: 30 s on Fargate unless its definition says otherwise.
func (c *container) stopTimeout() time.Duration {
	if c.definition.StopTimeout == nil {
		return 30 * time.Second
	}
	return time.Duration(*c.definition.StopTimeout) * time.Second
}

// stop sends SIGTERM, and SIGKILL when the patience is over. When ctx ends, only little of it is left.
func (c *container) stop(ctx context.Context, patience, little time.Duration) {
	signalGroup(c.pid, syscall.SIGTERM)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for ended := ctx.Done(); ; ended = nil {
		select {
		case <-c.exited:
			return
		case <-ended:
			timer.Reset(min(patience, little))
			continue
		case <-timer.C:
		}
		break
	}
	signalGroup(c.pid, syscall.SIGKILL)
	<-c.exited
}

// entries are variables as exec wants them.
func entries(variables map[string]string) []string {
	list := make([]string, 0, len(variables))
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		list = append(list, name+"="+variables[name])
	}
	return list
}

// lines hands on each line, in parts when it is too long.
func lines(from io.Reader, sink func(string)) {
	reader := bufio.NewReaderSize(from, longestLine)
	for {
		line, _, err := reader.ReadLine()
		if len(line) > 0 {
			sink(string(line))
		}
		if err != nil {
			return
		}
	}
}

// health is what ECS calls the health of a container: UNKNOWN until its command has told.
type health struct {
	check  ecstypes.HealthCheck
	status ecstypes.HealthStatus
	failed int
}

// The defaults of a health check (ECS API reference, HealthCheck), and Docker's pause between probes during the start period.
const (
	usualInterval, usualTimeout = 30 * time.Second, 5 * time.Second
	usualRetries                = 3
	startInterval               = 5 * time.Second
)

func seconds(value *int32, otherwise time.Duration) time.Duration {
	if value == nil || *value <= 0 {
		return otherwise
	}
	return time.Duration(*value) * time.Second
}

// pause is the time to the next probe of a container that has run for so long, as on AWS.
func (h *health) pause(age time.Duration) time.Duration {
	interval := seconds(h.check.Interval, usualInterval)
	if h.status == ecstypes.HealthStatusUnknown && age < seconds(h.check.StartPeriod, 0) {
		return min(interval, startInterval)
	}
	return interval
}

// note takes the outcome of a probe of a container that has run for so long: failures of the start period count only after
// a success.
func (h *health) note(passed bool, age time.Duration) {
	if passed {
		h.failed, h.status = 0, ecstypes.HealthStatusHealthy
		return
	}
	if h.status == ecstypes.HealthStatusUnknown && age < seconds(h.check.StartPeriod, 0) {
		return
	}
	retries := usualRetries
	if h.check.Retries != nil && *h.check.Retries > 0 {
		retries = int(*h.check.Retries)
	}
	if h.failed++; h.failed >= retries {
		h.status = ecstypes.HealthStatusUnhealthy
	}
}

// probe is the command of a health check, for a container that is reached at host: this machine's localhost is not the
// container's.
func probe(command []string, host string) ([]string, error) {
	if len(command) < 2 || command[0] != "CMD" && command[0] != "CMD-SHELL" {
		return nil, fmt.Errorf("the health check %q is neither CMD nor CMD-SHELL", command)
	}
	argv := []string{"/bin/sh", "-c"}
	if command[0] == "CMD" {
		argv = nil
	}
	for _, argument := range command[1:] {
		argv = append(argv, strings.NewReplacer("localhost", host, "127.0.0.1", host).Replace(argument))
	}
	return argv, nil
}

// runProbe says whether a probe passes within its timeout.
func runProbe(ctx context.Context, s *starter, argv []string, variables map[string]string, folder string, who identity, timeout time.Duration) bool {
	path, err := lookPath(argv[0], variables["PATH"])
	if err != nil {
		return false
	}
	command := &exec.Cmd{Path: path, Args: argv, Env: entries(variables), Dir: folder}
	if s.start(command, who) != nil {
		return false
	}
	done := make(chan bool, 1)
	go func() {
		err := command.Wait()
		s.ended(command.Process.Pid)
		done <- err == nil
	}()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case passed := <-done:
		return passed
	case <-timer.C:
	case <-ctx.Done():
	}
	signalGroup(command.Process.Pid, syscall.SIGKILL)
	<-done
	return false
}

// lookPath finds a program in the folders of a PATH.
func lookPath(program, path string) (string, error) {
	if strings.Contains(program, "/") {
		return program, nil
	}
	for folder := range strings.SplitSeq(path, ":") {
		if found, err := exec.LookPath(folder + "/" + program); err == nil {
			return found, nil
		}
	}
	return "", &exec.Error{Name: program, Err: exec.ErrNotFound}
}
