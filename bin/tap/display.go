package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"tapstack/lib/lifecycle"
	"tapstack/lib/load"
	"tapstack/lib/printable"
	"tapstack/lib/session"
	"tapstack/lib/sweep"
	"tapstack/lib/verify"
)

// Widths of the live line, in columns.
const (
	titleWidth   = 11
	barWidth     = 24
	defaultWidth = 80
)

// display shows what goes on: a live line on a terminal, plain lines elsewhere, or the end of each phase only.
type display struct {
	out     io.Writer
	live    bool
	lines   bool
	colours bool
	width   int // of the terminal, in columns

	mutex    sync.Mutex
	phase    session.Phase
	started  time.Time
	total    int
	finished map[string]bool
	inFlight []string
	load     load.Snapshot
	told     time.Duration // when a line was last written of a load
	progress *mpb.Progress
	bar      *mpb.Bar
}

var _ session.Progress = (*display)(nil)

func newDisplay(out io.Writer, progress bool) *display {
	terminal := isTerminal(out)
	return &display{
		out: out, live: terminal && progress, lines: !terminal && progress,
		colours: colourful(out), width: terminalWidth(out),
	}
}

func terminalWidth(out io.Writer) int {
	if file, is := out.(*os.File); is {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return defaultWidth
}

func colourful(out io.Writer) bool { return isTerminal(out) && os.Getenv("NO_COLOR") == "" }

// printed is a stream of the process whose lines may quote anything.
func printed(out io.Writer) *printable.Writer {
	return &printable.Writer{Out: out, Colours: colourful(out)}
}

func isTerminal(out io.Writer) bool {
	file, is := out.(*os.File)
	return is && term.IsTerminal(int(file.Fd())) && os.Getenv("TERM") != "dumb"
}

// Note writes a line of its own.
func (d *display) Note(text string) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.write(text)
}

// Begin starts a phase. A total of 0 is one that is not known.
func (d *display) Begin(phase session.Phase, total int) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.phase, d.total, d.started = phase, total, time.Now()
	d.finished, d.inFlight = map[string]bool{}, nil
	d.load, d.told = load.Snapshot{}, 0
	if !d.live {
		return
	}
	d.progress = mpb.New(mpb.WithOutput(d.out), mpb.WithWidth(barWidth), mpb.WithRefreshRate(100*time.Millisecond),
		mpb.WithAutoRefresh())
	style := mpb.BarStyle().Lbound("").Rbound("").Filler("█").Tip("█").Padding("░")
	filler := mpb.BarFillerBuilder(style)
	if total == 0 {
		filler = mpb.NopStyle()
	}
	d.bar = d.progress.New(int64(total), filler, mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(fmt.Sprintf("%-*s", titleWidth, phase))),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return d.status() })))
}

// status is what the live line shows behind the bar.
func (d *display) status() string {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if d.loads() {
		text := []rune(" " + loadText(d.load))
		return string(text[:min(len(text), max(0, d.width-titleWidth-barWidth-3))])
	}
	count := fmt.Sprint(len(d.finished))
	if d.total > 0 {
		count = fmt.Sprintf("%d/%d", min(len(d.finished), d.total), d.total)
	}
	text := fmt.Sprintf(" %s  %s", count, seconds(time.Since(d.started)))
	room := d.width - titleWidth - barWidth - len(text) - 3
	return text + "  " + inFlightText(d.inFlight, room)
}

// inFlightText names as many of what is in flight as there is room for, and counts the others.
func inFlightText(names []string, room int) string {
	text := ""
	for index, name := range names {
		more := ""
		if rest := len(names) - index - 1; rest > 0 {
			more = fmt.Sprintf(" +%d", rest)
		}
		next := name
		if index > 0 {
			next = text + ", " + name
		}
		if len(next)+len(more) > room {
			if index == 0 {
				return ""
			}
			return fmt.Sprintf("%s +%d", text, len(names)-index)
		}
		text = next
	}
	return text
}

// End ends a phase with one line that says what it came to.
func (d *display) End(detail string, err error) {
	elapsed := time.Since(d.started)
	d.abort()
	d.mutex.Lock()
	defer d.mutex.Unlock()
	word, colour := "done", "32"
	if err != nil {
		word, colour = "failed", "31"
	}
	line := fmt.Sprintf("%-10s %s %8s", d.phase, d.paint(colour, fmt.Sprintf("%-6s", word)), seconds(elapsed))
	if detail != "" {
		line += "  " + detail
	}
	d.write(line)
}

// abort takes the live line away.
func (d *display) abort() {
	d.mutex.Lock()
	progress, bar := d.progress, d.bar
	d.progress, d.bar = nil, nil
	d.mutex.Unlock()
	if progress != nil {
		bar.Abort(true)
		progress.Wait()
	}
}

// Started shows an operation as in flight.
func (d *display) Started(step lifecycle.Step) {
	if !step.Changes() || step.Type == rootType {
		return
	}
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.inFlight = append(d.inFlight, step.Name)
}

// Done counts a resource.
func (d *display) Done(step lifecycle.Step) {
	d.settle(step)
	planning := d.phase == session.Preview || d.phase == session.Again || d.phase == session.Look // nothing is done
	if d.lines && !planning && !d.loads() && step.Changes() && step.Type != rootType {
		d.Note(fmt.Sprintf("%-10s %s  %s %s %s", d.phase, d.progressText(), step.Past(), step.Type, step.Name))
	}
}

// Failed counts a resource that failed. The diagnostic says why.
func (d *display) Failed(step lifecycle.Step) { d.settle(step) }

// Diagnostic shows warnings and errors as they come.
func (d *display) Diagnostic(diagnostic lifecycle.Diagnostic) {
	colour := map[string]string{"warning": "33", "error": "31"}[diagnostic.Severity]
	if colour == "" || !d.live && !d.lines {
		return
	}
	text := diagnostic.Message
	if diagnostic.Name != "" && diagnostic.Type != rootType {
		text = diagnostic.Type + " " + diagnostic.Name + ": " + text
	}
	d.Note(d.paint(colour, diagnostic.Severity+": ") + text)
}

// Checked counts a check, and shows one that failed.
func (d *display) Checked(result verify.Result) {
	d.settle(lifecycle.Step{URN: result.ID, Name: result.ID})
	if result.Status == verify.Failed && (d.live || d.lines) {
		d.Note(d.paint("31", "failed: ") + result.ID + ": " + result.Reason)
	}
}

// Swept counts a resource, and shows what came of it.
func (d *display) Swept(o sweep.Outcome) {
	d.settle(lifecycle.Step{URN: o.ARN, Name: o.String()})
	switch {
	case o.Error != "" && (d.live || d.lines):
		d.Note(d.paint("31", "failed: ") + o.String() + ": " + o.Error)
	case d.lines:
		d.Note(fmt.Sprintf("%-10s %s  deleted %s", d.phase, d.progressText(), o.String()))
	}
}

// loadEvery is the time between two lines of a load where there is no terminal.
const loadEvery = 5 * time.Second

// loads says that payments are made, whatever else goes on meanwhile.
func (d *display) loads() bool { return d.phase == session.Load || d.phase == session.Payments }

// Loaded shows how a load goes.
func (d *display) Loaded(now load.Snapshot) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.load = now
	if d.bar != nil {
		d.bar.SetCurrent(min(now.Elapsed.Milliseconds(), int64(d.total-1)))
	}
	if d.lines && now.Elapsed-d.told >= loadEvery {
		d.told = now.Elapsed
		d.write(fmt.Sprintf("%-10s %s  %s", d.phase, seconds(now.Elapsed), loadText(now)))
	}
}

// loadText begins with what matters most, for narrow terminals.
func loadText(s load.Snapshot) string {
	return fmt.Sprintf("%d acknowledged, %d failed, %d refused, %d dropped, p99 %.0f ms, p50 %.0f ms, %d in flight",
		s.Acknowledged, s.Failed, s.Refused, s.Dropped, s.Latency.P99, s.Latency.P50, s.InFlight)
}

func (d *display) settle(step lifecycle.Step) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.finished[step.URN] = true
	if index := slices.Index(d.inFlight, step.Name); index >= 0 {
		d.inFlight = slices.Delete(d.inFlight, index, index+1)
	}
	if d.bar != nil && d.total > 0 && !d.loads() {
		// One short of the total, or the bar would take itself for complete.
		d.bar.SetCurrent(int64(min(len(d.finished), d.total-1)))
	}
}

func (d *display) progressText() string {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if d.total == 0 {
		return fmt.Sprintf("%d", len(d.finished))
	}
	return fmt.Sprintf("%d/%d", min(len(d.finished), d.total), d.total)
}

// write puts a line above the live one, if there is one. The caller holds the mutex.
func (d *display) write(text string) {
	out := d.out
	if d.progress != nil {
		out = d.progress
	}
	_, _ = io.WriteString(&printable.Writer{Out: out, Colours: d.colours}, text+"\n")
}

func (d *display) paint(colour, text string) string { return paint(d.colours, colour, text) }

func paint(colours bool, colour, text string) string {
	if !colours || colour == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
