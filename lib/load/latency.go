package load

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Percentiles are latencies in milliseconds.
type Percentiles struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
	Mean float64 `json:"mean"`
}

// Window is a part of a run: what was meant to arrive from Start on, until the next one.
type Window struct {
	Start        float64     `json:"start"` // seconds from the start of the run
	Sent         int         `json:"sent"`
	Dropped      int         `json:"dropped"`
	Acknowledged int         `json:"acknowledged"`
	Refused      int         `json:"refused"`
	Failed       int         `json:"failed"`
	Latency      Percentiles `json:"latencyMs"`
}

// Latencies are recorded in microseconds, up to ten minutes.
const (
	shortest     = 1
	longest      = int64(10 * time.Minute / time.Microsecond)
	digits       = 3
	windowDigits = 2
	// mostWindows keeps a page readable.
	mostWindows = 120
)

// latencies are those of a run, as a whole and window by window.
type latencies struct {
	all     *hdrhistogram.Histogram
	length  time.Duration
	windows []*window
}

type window struct {
	Window
	histogram *hdrhistogram.Histogram
}

// newLatencies has windows of whole seconds.
func newLatencies(duration time.Duration) latencies {
	seconds := (duration + mostWindows*time.Second - 1) / (mostWindows * time.Second)
	l := latencies{all: hdrhistogram.New(shortest, longest, digits), length: max(1, seconds) * time.Second}
	for start := time.Duration(0); start < duration; start += l.length {
		l.windows = append(l.windows, &window{Window{Start: start.Seconds()}, hdrhistogram.New(shortest, longest, windowDigits)})
	}
	return l
}

// window is the one in which an arrival was meant to be.
func (l latencies) window(at time.Duration) *window {
	return l.windows[min(int(at/l.length), len(l.windows)-1)]
}

func (l latencies) record(at, took time.Duration) {
	value := min(max(took.Microseconds(), shortest), longest)
	_ = l.all.RecordValue(value) // it is within the bounds
	_ = l.window(at).histogram.RecordValue(value)
}

func (l latencies) finished() []Window {
	var all []Window
	for _, w := range l.windows {
		w.Latency = percentiles(w.histogram)
		all = append(all, w.Window)
	}
	return all
}

func percentiles(h *hdrhistogram.Histogram) Percentiles {
	if h.TotalCount() == 0 {
		return Percentiles{}
	}
	at := func(percent float64) float64 { return milliseconds(h.ValueAtQuantile(percent)) }
	return Percentiles{P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: milliseconds(h.Max()), Mean: h.Mean() / 1000}
}

func milliseconds(micro int64) float64 { return float64(micro) / 1000 }
