package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Reaper ends processes and removes folders when this process ends, however it ends. It is a shell in a session of its own
// that waits at the end of a pipe: the kernel closes the other end even when this process is killed. A shell that is killed is
// followed by another.
type Reaper struct {
	arguments   []string
	words, read *os.File // the pipe's two ends
	exited      chan struct{}

	mu      sync.Mutex
	watched map[int]int // the signals of processes
}

// reaperScript reads what it is to end. At the end of the pipe it sends each process group its signal, and after ten seconds
// SIGKILL to those that are left. $0 is a command for what they may have left behind.
const reaperScript = `watched=" $WATCHED"
while read -r word signal pid; do
	case $word in
	watch) watched="$watched$signal:$pid " ;;
	forget)
		kept=' '
		for one in $watched; do [ "${one#*:}" = "$pid" ] || kept="$kept$one "; done
		watched=$kept ;;
	esac
done
each() {
	for one in $watched; do kill "-${1:-${one%%:*}}" "-${one#*:}" && found=yes; done 2>/dev/null
}
each
for look in $(seq 100); do
	found=
	each 0
	[ "$found" ] || break
	sleep 0.1
done
each 9
eval "$0"
rm -rf -- "$@" || { sleep 1; rm -rf -- "$@"; }`

// StartReaper starts one that removes the folders when all that it watches is gone. last, which may be empty, is a shell
// command that runs before; "$@" are the folders.
func StartReaper(last string, folders ...string) (*Reaper, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("starting what ends processes at the end: %w", err)
	}
	r := &Reaper{arguments: append([]string{"-c", reaperScript, last}, folders...), words: write, read: read, exited: make(chan struct{}), watched: map[int]int{}}
	shell, err := r.shell()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting what ends processes at the end: %w", err), read.Close(), write.Close())
	}
	go func() {
		defer close(r.exited)
		for err == nil {
			_ = shell.Wait()
			if shell.ProcessState.Exited() {
				return
			}
			shell, err = r.shell() // it was killed
		}
	}()
	return r, nil
}

// shell starts the shell, which knows of all that is watched by now.
func (r *Reaper) shell() (*exec.Cmd, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var watched strings.Builder
	for pid, signal := range r.watched {
		fmt.Fprintf(&watched, "%d:%d ", signal, pid)
	}
	//nolint:noctx // it is to outlive this process
	command := exec.Command("/bin/sh", r.arguments...)
	command.Stdin, command.Dir, command.Env = r.read, "/", append(Environment(), "WATCHED="+watched.String())
	OwnSession(command)
	return command, command.Start()
}

// Start starts a command that ends with this process: its process group gets the signal, and SIGKILL when
// it is still there ten seconds later. There is no moment at which the child runs unwatched: it starts as a shell that tells
// its id and becomes the command. The command gets a session of its own. Of its environment PWD, OLDPWD and SHLVL are left
// out, which shells set.
func (r *Reaper) Start(command *exec.Cmd, signal int) error {
	descriptor := 3 + len(command.ExtraFiles)
	script := fmt.Sprintf(`echo "watch %d $$" >&%d || exit; exec %d>&-; unset PWD OLDPWD SHLVL; exec "$0" "$@"`, signal, descriptor, descriptor)
	command.Args = append([]string{"/bin/sh", "-c", script, command.Path}, command.Args[1:]...)
	command.Path = "/bin/sh"
	command.ExtraFiles = append(command.ExtraFiles, r.words)
	OwnSession(command)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := command.Start(); err != nil {
		return err
	}
	r.watched[command.Process.Pid] = signal
	return nil
}

// Forget is for a process that has been waited for: its id may become another's.
func (r *Reaper) Forget(pid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.watched, pid)
	_, _ = r.words.WriteString("forget 0 " + strconv.Itoa(pid) + "\n")
}

// Close ends what is watched, removes the folders and returns when that is done.
func (r *Reaper) Close() error {
	r.mu.Lock()
	_ = r.words.Close() // a second Close finds it closed
	r.mu.Unlock()
	select {
	case <-r.exited:
		_ = r.read.Close()
		return nil
	case <-time.After(30 * time.Second):
		return errors.New("the process that ends others at the end does not end itself")
	}
}
