//go:build linux

package reliability

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"
)

// measure is something that may not grow from one deployment to the next.
type measure struct {
	name, unit string
	// allowed is by how much it may grow altogether, and each by how much more for each stack that was deployed.
	allowed, each float64
	take          func(*soak) (float64, error)
}

// measures are taken while no command runs. The emulator keeps what AWS keeps of a stack that is gone, such as inactive task
// definitions and keys that wait for their deletion; this process remembers what its commands have said.
var measures = []measure{
	{"memory of tap up, at most", "MB", 60, 0, func(s *soak) (float64, error) { return s.peak["up"], nil }},
	{"memory of tap verify, at most", "MB", 60, 0, func(s *soak) (float64, error) { return s.peak["verify"], nil }},
	{"memory of tap destroy, at most", "MB", 60, 0, func(s *soak) (float64, error) { return s.peak["destroy"], nil }},
	{"memory of the emulator", "MB", 20, 2, func(s *soak) (float64, error) { return memory(s.emulator()) }},
	{"memory of this process", "MB", 40, 0.5, func(*soak) (float64, error) {
		debug.FreeOSMemory()
		return memory(os.Getpid())
	}},
	{"open files of the emulator", "", 5, 0, func(s *soak) (float64, error) { return openFiles(s.emulator()) }},
	{"open files of this process", "", 5, 0, func(*soak) (float64, error) { return openFiles(os.Getpid()) }},
	{"goroutines of this process", "", 5, 0, func(*soak) (float64, error) { return float64(runtime.NumGoroutine()), nil }},
	{"threads of the emulator", "", 5, 0, func(s *soak) (float64, error) { return entries("/proc", strconv.Itoa(s.emulator()), "task") }},
	{"processes of the stacks", "", 0, 0, func(s *soak) (float64, error) { return s.processes() }},
	{"state and home folder", "KB", 16, 0, func(s *soak) (float64, error) { return size(s.folder) }}, // the temporary one is within
	{"files and folders in it", "", 0, 0, func(s *soak) (float64, error) { return files(s.folder) }},
	{"files and folders, temporary", "", 0, 0, func(s *soak) (float64, error) { return files(filepath.Join(s.folder, "tmp")) }},
	{"cache folder", "KB", 16, 0, func(s *soak) (float64, error) { return size(s.cache) }},
}

// soak deploys, verifies and destroys stacks again and again.
type soak struct {
	*round
	peak   map[string]float64 // MB, of the commands since the last sample
	stacks int                // deployed so far
}

// sample is every measure at one moment.
type sample struct {
	after  string
	stacks int
	values []float64
}

// once is the life of so many stacks at a time.
func (s *soak) once(count int) error {
	suffixes := make([]string, count)
	for i := range suffixes {
		suffixes[i] = fmt.Sprintf("%s-%d", s.suffix, i)
	}
	for _, words := range []string{"up", "verify", "destroy"} {
		var together errgroup.Group
		for _, suffix := range suffixes {
			together.Go(func() error { return s.command(count, words, "--suffix", suffix) })
		}
		if err := together.Wait(); err != nil {
			return err
		}
	}
	s.stacks += count
	return s.clean()
}

// command runs one of so many at a time.
func (s *soak) command(together int, words ...string) error {
	c, err := s.start(words...)
	if err != nil {
		return err
	}
	code, err := s.end(c, s.limit*time.Duration(together))
	if err == nil && code != 0 {
		err = fmt.Errorf("tap %s: exit %d", strings.Join(words, " "), code)
	}
	if used, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
		s.mutex.Lock()
		s.peak[words[0]] = max(s.peak[words[0]], float64(used.Maxrss)/1024)
		s.mutex.Unlock()
	}
	return err
}

// sample takes every measure.
func (s *soak) sample(after string) (sample, error) {
	if idle, ok := http.DefaultTransport.(*http.Transport); ok {
		idle.CloseIdleConnections()
	}
	taken := sample{after, s.stacks, make([]float64, len(measures))}
	var err error
	for i, m := range measures {
		var wrong error
		taken.values[i], wrong = m.take(s)
		err = errors.Join(err, wrong)
	}
	clear(s.peak)
	return taken, err
}

// grown are the measures that have grown by more than is allowed between two samples.
func grown(first, last sample) []string {
	var found []string
	for i, m := range measures {
		if more, allowed := last.values[i]-first.values[i], m.limit(first, last); more > allowed {
			found = append(found, fmt.Sprintf("%s: from %.0f to %.0f %s, which is over the %.0f allowed", m.name, first.values[i], last.values[i], m.unit, allowed))
		}
	}
	return found
}

func (m measure) limit(first, last sample) float64 {
	return m.allowed + m.each*float64(last.stacks-first.stacks)
}

// soakTable has a line for each measure and a column for each sample.
func soakTable(samples []sample) string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprint(w, "\nafter")
	for _, s := range samples {
		_, _ = fmt.Fprintf(w, "\t%s", s.after)
	}
	_, _ = fmt.Fprint(w, "\tmay grow by\n")
	for i, m := range measures {
		_, _ = fmt.Fprint(w, m.name)
		for _, s := range samples {
			_, _ = fmt.Fprintf(w, "\t%.0f %s", s.values[i], m.unit)
		}
		_, _ = fmt.Fprintf(w, "\t%.0f %s\n", m.limit(samples[0], samples[len(samples)-1]), m.unit)
	}
	_ = w.Flush()
	return out.String()
}

func (s *soak) emulator() int { return s.cloud.command.Process.Pid }

// processes are those that commands of this round have left running: their home is the round's own.
func (s *soak) processes() (float64, error) {
	environments, err := filepath.Glob("/proc/[0-9]*/environ")
	left := 0.0
	for _, path := range environments {
		content, err := os.ReadFile(filepath.Clean(path)) // others' cannot be read, and some have just ended
		if err == nil && slices.Contains(strings.Split(string(content), "\x00"), "HOME="+s.folder) {
			left++
		}
	}
	return left, err
}

// memory is what a process has of it, in MB.
func memory(pid int) (float64, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(content), "VmRSS:")
	number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	kilobytes, err := strconv.ParseFloat(number, 64)
	return kilobytes / 1024, err
}

func openFiles(pid int) (float64, error) { return entries("/proc", strconv.Itoa(pid), "fd") }

func entries(path ...string) (float64, error) {
	all, err := os.ReadDir(filepath.Join(path...))
	return float64(len(all)), err
}

// size is that of all files in a folder, in KB. What has just gone counts for nothing.
func size(folder string) (float64, error) {
	total, err := sum(folder, func(file fs.FileInfo) int64 {
		if file.IsDir() {
			return 0
		}
		return file.Size()
	})
	return total / 1024, err
}

// files counts files and folders.
func files(folder string) (float64, error) {
	return sum(folder, func(fs.FileInfo) int64 { return 1 })
}

func sum(folder string, of func(fs.FileInfo) int64) (float64, error) {
	var total int64
	err := filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil {
			var info fs.FileInfo
			if info, err = entry.Info(); err == nil {
				total += of(info)
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return err
	})
	return float64(total), err
}

// newSoak begins a soak of its own folder.
func (l *lab) newSoak(ctx context.Context, folder string) (*soak, error) {
	r, err := l.begin(ctx, folder, point{seed: 50})
	return &soak{round: r, peak: map[string]float64{}}, err
}
