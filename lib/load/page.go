package load

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
	"time"
)

// The page in two parts. What is between the style tags is let in by its digest alone.
var (
	//go:embed page.html
	pageTemplate string
	//go:embed page.css
	pageStyle string
)

// Page is a result as one HTML page that needs nothing but a browser.
func Page(result Result) ([]byte, error) {
	digest := sha256.Sum256([]byte(pageStyle))
	p := page{
		Result: result, Style: template.CSS(pageStyle), //nolint:gosec // a constant of this package
		Policy:       "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) + "'; base-uri 'none'; form-action 'none'",
		LatencyChart: latencyChart(result.Windows), RateChart: rateChart(result.Windows, result.Seconds),
	}
	t, err := template.New("page").Funcs(template.FuncMap{"ms": func(ms float64) string { return fmt.Sprintf("%.1f", ms) }}).Parse(pageTemplate)
	if err != nil {
		return nil, fmt.Errorf("parsing the page: %w", err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, p); err != nil {
		return nil, fmt.Errorf("filling the page: %w", err)
	}
	return out.Bytes(), nil
}

// page is what the template shows.
type page struct {
	Result
	Style                   template.CSS
	Policy                  string
	LatencyChart, RateChart *chart
}

// When is the start.
func (p page) When() string { return p.Started.UTC().Format(time.DateTime + " UTC") }

// Verdict is the result in one sentence.
func (p page) Verdict() string { return p.Summary() }

// seen is what clients saw so often.
type seen struct {
	What  string
	Count int
}

// Seeing is what clients saw, the most frequent first.
func (r Result) Seeing() []seen {
	var all []seen
	for what, count := range r.Seen {
		all = append(all, seen{what, count})
	}
	slices.SortFunc(all, func(a, b seen) int { return cmp.Or(b.Count-a.Count, strings.Compare(a.What, b.What)) })
	return all
}

// Summary is the result in one sentence.
func (r Result) Summary() string {
	text := fmt.Sprintf("%d of %d payments acknowledged", r.Acknowledged, r.Planned)
	for _, rest := range []struct {
		count int
		word  string
	}{{r.Dropped, "dropped"}, {r.Refused, "refused"}, {r.Failed, "failed"}} {
		if rest.count > 0 {
			text += fmt.Sprintf(", %d %s", rest.count, rest.word)
		}
	}
	return fmt.Sprintf("%s; p50 %.1f ms, p99 %.1f ms", text, r.Latency.P50, r.Latency.P99)
}

// chart is a picture of values over time, in the units of its SVG.
type chart struct {
	Width, Height, Left, Right, Before, Below int
	Grid, Times                               []tick
	Lines                                     []line
}

type tick struct {
	At   float64
	Text string
}

type line struct{ Name, Points string }

const (
	chartWidth, chartHeight  = 960, 300
	chartLeft, chartRight    = 60, 950
	chartTop, chartBottom    = 12, 272
	timeTicks, mostRateTicks = 8, 4
)

func newChart(windows []Window, scale func(value float64) float64) (*chart, func(name string, value func(Window) float64)) {
	c := &chart{Width: chartWidth, Height: chartHeight, Left: chartLeft, Right: chartRight, Before: chartLeft - 8, Below: chartBottom + 16}
	x := func(i int) float64 {
		return chartLeft + float64(i)*(chartRight-chartLeft)/float64(max(len(windows)-1, 1))
	}
	for i := 0; i < len(windows); i += max(1, len(windows)/timeTicks) {
		c.Times = append(c.Times, tick{x(i), fmt.Sprintf("%g s", windows[i].Start)})
	}
	return c, func(name string, value func(Window) float64) {
		var points strings.Builder
		for i, w := range windows {
			fmt.Fprintf(&points, "%.1f,%.1f ", x(i), scale(value(w)))
		}
		c.Lines = append(c.Lines, line{name, strings.TrimSpace(points.String())})
	}
}

// latencyChart has powers of ten from the least to the most.
func latencyChart(windows []Window) *chart {
	least, most := math.Inf(1), 0.0
	for _, w := range windows {
		if w.Latency.Max > 0 {
			least, most = min(least, w.Latency.P50), max(most, w.Latency.Max)
		}
	}
	if most == 0 {
		return nil
	}
	low, high := math.Floor(math.Log10(max(least, 0.01))), math.Ceil(math.Log10(most))
	high = max(high, low+1)
	scale := func(ms float64) float64 {
		return chartBottom - (math.Log10(max(ms, math.Pow(10, low)))-low)/(high-low)*(chartBottom-chartTop)
	}
	c, draw := newChart(windows, scale)
	for power := low; power <= high; power++ {
		ms := math.Pow(10, power)
		c.Grid = append(c.Grid, tick{scale(ms), fmt.Sprintf("%g ms", ms)})
	}
	draw("p50", func(w Window) float64 { return w.Latency.P50 })
	draw("p90", func(w Window) float64 { return w.Latency.P90 })
	draw("p99", func(w Window) float64 { return w.Latency.P99 })
	draw("max", func(w Window) float64 { return w.Latency.Max })
	return c
}

// rateChart has payments a second, for windows that are alike but for the last one.
func rateChart(windows []Window, seconds float64) *chart {
	length := func(w Window) float64 {
		end := seconds
		for _, next := range windows {
			if next.Start > w.Start {
				end = min(end, next.Start)
				break
			}
		}
		return max(end-w.Start, 0.001)
	}
	most := 0.0
	for _, w := range windows {
		most = max(most, float64(w.Sent+w.Dropped)/length(w))
	}
	if most == 0 {
		return nil
	}
	step := niceStep(most / mostRateTicks)
	top := math.Ceil(most/step) * step
	scale := func(rate float64) float64 { return chartBottom - min(rate/top, 1)*(chartBottom-chartTop) }
	c, draw := newChart(windows, scale)
	for rate := 0.0; rate <= top; rate += step {
		c.Grid = append(c.Grid, tick{scale(rate), fmt.Sprintf("%g/s", rate)})
	}
	for _, part := range []struct {
		name  string
		count func(Window) int
	}{
		{"acknowledged", func(w Window) int { return w.Acknowledged }},
		{"refused", func(w Window) int { return w.Refused }},
		{"failed", func(w Window) int { return w.Failed }},
		{"dropped", func(w Window) int { return w.Dropped }},
	} {
		draw(part.name, func(w Window) float64 { return float64(part.count(w)) / length(w) })
	}
	return c
}

// niceStep is 1, 2 or 5 times a power of ten, and not less than asked for.
func niceStep(least float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(least)))
	for _, factor := range []float64{1, 2, 5} {
		if factor*power >= least {
			return factor * power
		}
	}
	return 10 * power
}
