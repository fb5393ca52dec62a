package process

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// Child is a process in a session of its own that announces itself, in JSON, on the first line of its standard output, and that
// ends with its standard input unless it is told to stay: it does not outlive its parent by accident.
type Child struct {
	PID int
	// Exited is closed when it is gone.
	Exited    <-chan struct{}
	stdin     io.WriteCloser
	announced chan []byte
}

const (
	// stay is said to a child that may outlive its parent.
	stay = "stay"
	// longestLine bounds an announcement.
	longestLine = 1 << 16
)

// ErrSilent is that a child ended without having announced itself.
var ErrSilent = errors.New("it ended at once")

// StartChild starts a command as a child. What it has for standard error must be a file, since it may outlive this process.
func StartChild(command *exec.Cmd) (*Child, error) {
	OwnSession(command) // the terminal's Ctrl-C is for the parent, which ends the child when it has cleaned up
	stdin, err1 := command.StdinPipe()
	stdout, err2 := command.StdoutPipe()
	err := errors.Join(err1, err2)
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		return nil, err
	}
	exited := make(chan struct{})
	c := &Child{PID: command.Process.Pid, Exited: exited, stdin: stdin, announced: make(chan []byte, 1)}
	go func() {
		if line, err := bufio.NewReader(io.LimitReader(stdout, longestLine)).ReadBytes('\n'); err == nil {
			c.announced <- line
		}
		_ = command.Wait()
		close(exited)
	}()
	return c, nil
}

// Announced waits for the announcement and reads it. Its error is ErrSilent, the cause that ctx ended for, or that it is no JSON.
func (c *Child) Announced(ctx context.Context, into any) error {
	select {
	case line := <-c.announced:
		if err := json.Unmarshal(line, into); err != nil {
			return fmt.Errorf("it announced %q", line)
		}
		return nil
	case <-c.Exited:
		return ErrSilent
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Stay lets the child outlive this process.
func (c *Child) Stay() error {
	_, err := io.WriteString(c.stdin, stay+"\n")
	return err
}

// Leave ends the child's standard input, and so the child, unless it was told to stay.
func (c *Child) Leave() { _ = c.stdin.Close() }

// Stays waits, in a child, until it is told to stay, or its parent is gone without a word. It says which.
func Stays(stdin io.Reader) bool {
	word, _ := bufio.NewReader(stdin).ReadString('\n')
	return strings.TrimSpace(word) == stay
}
