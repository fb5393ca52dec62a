package database

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"tapstack/lib/process"
)

// sockets is one look at the tasks' processes: who has the socket of an inode (proc_pid_fd(5)).
type sockets struct {
	owners map[uint64]owner
	// whole says that the processes which the tasks' own have started were looked at, too.
	whole bool
}

// look finds the task that has a connection. Those that ask while somebody looks share the next look: a storm of connections
// costs few.
func (p *Peers) look(c connection) (owner, error) {
	inode, err := inodeOf(c)
	if err != nil {
		return owner{}, err
	}
	asked := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.taken.After(asked) {
		p.taken, p.seen = time.Now(), sockets{owners: map[uint64]owner{}}
		for pid, task := range p.tasks() {
			p.seen.add(pid, task)
		}
	}
	if _, ok := p.seen.owners[inode]; !ok && !p.seen.whole {
		p.seen.whole = true
		for pid, task := range descendants(p.tasks()) {
			p.seen.add(pid, task)
		}
	}
	found, ok := p.seen.owners[inode]
	if !ok {
		return owner{}, fmt.Errorf("the connection from %s comes from no task's process", c.local)
	}
	return found, nil
}

// add notes the sockets that a process has open.
func (s sockets) add(pid int, task string) {
	folder := "/proc/" + strconv.Itoa(pid) + "/fd"
	files, err := os.Open(folder)
	if err != nil {
		return // it has ended
	}
	defer func() { _ = files.Close() }()
	names, _ := files.Readdirnames(-1)
	for _, name := range names {
		link, _ := os.Readlink(folder + "/" + name)
		if text, is := strings.CutPrefix(link, "socket:["); is {
			if inode, err := strconv.ParseUint(strings.TrimSuffix(text, "]"), 10, 64); err == nil {
				s.owners[inode] = owner{pid, task}
			}
		}
	}
}

// descendants are the processes that belong to the tasks without being those that they were started as: their children, and
// what is in their group or session.
func descendants(tasks map[int]string) map[int]string {
	folder, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer func() { _ = folder.Close() }()
	names, _ := folder.Readdirnames(-1)
	lineage := map[int][]int{} // parent, group and session of each process
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			lineage[pid] = process.Kin(pid)
		}
	}
	found := map[int]string{}
	for pid := range lineage {
		if task, ok := taskOf(pid, tasks, lineage); ok && tasks[pid] == "" {
			found[pid] = task
		}
	}
	return found
}

// taskOf walks up from a process to one that a task was started as.
func taskOf(pid int, tasks map[int]string, lineage map[int][]int) (string, bool) {
	for range len(lineage) { // what is read while it changes may run in circles
		of, ok := lineage[pid]
		if !ok || len(of) == 0 {
			return "", false
		}
		for _, id := range append([]int{pid}, of...) {
			if task, ok := tasks[id]; ok {
				return task, true
			}
		}
		pid = of[0]
	}
	return "", false
}
