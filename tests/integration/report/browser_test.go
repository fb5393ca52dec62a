// Package report_test looks at the report of a recorded run as its readers do: in a browser.
package report_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"tapstack/lib/process/processtest"
	"tapstack/lib/verify"
	"tapstack/lib/verify/report"
)

// browserDeadline bounds one test in the browser, its start included.
const browserDeadline = 3 * time.Minute

// browser is a page in a real Chromium, with all that it complains of and all that it asks the network for.
type browser struct {
	context.Context

	t          *testing.T
	page       string
	mutex      sync.Mutex
	complaints []string
	requests   []string
}

func findBrowser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no Chromium on PATH: .ci/install-browser installs one")
	return ""
}

// recorded is the run that the report's own tests use: 131 checks, some failed, some not observable.
func recorded(t *testing.T) verify.Report {
	t.Helper()
	data, err := os.ReadFile("../../../lib/verify/report/testdata/run.json")
	require.NoError(t, err)
	var run verify.Report
	require.NoError(t, json.Unmarshal(data, &run))
	return run
}

// open writes the recorded run as a report and opens its page.
func open(t *testing.T, run verify.Report) *browser {
	t.Helper()
	path := findBrowser(t)
	dir := t.TempDir()
	require.NoError(t, report.Write(dir, run, report.Options{Bullets: verify.Brief(), Sabotages: verify.Sabotages()}))

	flags := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(browserDeadline),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
	)
	ctx, cancel := context.WithTimeout(context.Background(), browserDeadline)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, flags...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx)
		cancel()
	})
	b := &browser{Context: ctx, t: t, page: "file://" + filepath.Join(dir, report.HTMLFile)}
	chromedp.ListenTarget(ctx, b.listen)
	b.do(network.Enable(), cdplog.Enable(), runtime.Enable(), size(1280, 900), scheme("light"), chromedp.Navigate(b.page))
	return b
}

func (b *browser) listen(event any) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *cdplog.EventEntryAdded:
		b.complaints = append(b.complaints, e.Entry.Text)
	case *runtime.EventConsoleAPICalled:
		b.complaints = append(b.complaints, "console."+string(e.Type))
	case *runtime.EventExceptionThrown:
		b.complaints = append(b.complaints, e.ExceptionDetails.Error())
	}
}

func (b *browser) do(actions ...chromedp.Action) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Run(b, actions...))
}

func size(width, height int64) chromedp.Action {
	return emulation.SetDeviceMetricsOverride(width, height, 1, width < 600)
}

func scheme(colours string) chromedp.Action {
	return emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: colours}})
}

// eval is the value of a JavaScript expression on the page.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	var value T
	b.do(chromedp.Evaluate(expression, &value))
	return value
}

// shoot takes a picture of what is below the anchor into $TAPSTACK_SCREENSHOTS, or a folder that goes with the test.
func (b *browser) shoot(name, anchor string) {
	b.t.Helper()
	eval[bool](b, `scrollTo({top: document.querySelector("`+anchor+`").getBoundingClientRect().top + scrollY - 70, behavior: "instant"}), true`)
	var picture []byte
	b.do(chromedp.CaptureScreenshot(&picture))
	require.Greater(b.t, len(picture), 10_000, "a picture of a page is larger than that")
	dir := os.Getenv("TAPSTACK_SCREENSHOTS")
	if dir == "" {
		dir = b.t.TempDir()
	}
	require.NoError(b.t, os.MkdirAll(dir, 0o750))                                       //nolint:gosec // where the developer wants them
	require.NoError(b.t, os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o600)) //nolint:gosec // the same
}

func (b *browser) shots(name string) {
	b.t.Helper()
	for _, anchor := range []string{"body", "#requirements", "#pci", "#checks"} {
		b.shoot(name+"-"+strings.TrimPrefix(anchor, "#"), anchor)
	}
}

func (b *browser) quiet() {
	b.t.Helper()
	b.mutex.Lock()
	defer b.mutex.Unlock()
	require.Empty(b.t, b.complaints, "the console is empty")
	for _, url := range b.requests {
		if url != b.page {
			require.Regexp(b.t, `^data:`, url, "the page loads nothing")
		}
	}
	require.Contains(b.t, b.requests, b.page, "the browser tells what it loads")
}

const (
	shownChecks  = `[...document.querySelectorAll("tbody.check")].filter(e => !e.hidden).length`
	sidewaysRoom = `document.documentElement.scrollWidth - document.documentElement.clientWidth`
	background   = `getComputedStyle(document.body).backgroundColor`
	foldedAway   = `[...document.querySelectorAll("details")].filter(d => getComputedStyle(d, "::details-content").contentVisibility === "hidden").length`
)

func TestThePageIsReadInARealBrowser(t *testing.T) {
	processtest.SkipIfShort(t)
	run := recorded(t)
	b := open(t, run)

	require.Equal(t, run.Counts.Total, eval[int](b, shownChecks), "all checks are there")
	b.filters(run)
	b.colours()
	b.phone()
	b.links()
	b.paper()
	b.quiet()
	b.withoutScript(run)
	b.nothingFromOutside()
}

// filters narrows the page down by status and by text, and back again.
func (b *browser) filters(run verify.Report) {
	b.t.Helper()
	for _, c := range []struct {
		status verify.Status
		shown  int
	}{{verify.Failed, run.Counts.Failed}, {verify.NotObservable, run.Counts.NotObservable}, {verify.SwitchedOff, run.Counts.SwitchedOff}, {verify.Passed, run.Counts.Passed}} {
		b.do(click(`button[data-filter="` + string(c.status) + `"]`))
		require.Equal(b.t, c.shown, eval[int](b, shownChecks), c.status)
		require.Equal(b.t, "true", eval[string](b, `document.querySelector('[data-filter="`+string(c.status)+`"]').getAttribute("aria-pressed")`))
		require.Contains(b.t, eval[string](b, `document.getElementById("found").textContent`), strconv.Itoa(c.shown)+" checks shown")
	}
	b.do(click(`button[data-filter=""]`), chromedp.SendKeys("#query", "DLQ retention", chromedp.ByQuery))
	found := eval[int](b, shownChecks)
	require.Positive(b.t, found)
	require.Less(b.t, found, 10)
	require.False(b.t, eval[bool](b, `document.getElementById("check-queue.dlq-retention").hidden`))
	b.shoot("desktop-light-filtered", "body")
	b.do(chromedp.SendKeys("#query", " no such text", chromedp.ByQuery))
	require.Zero(b.t, eval[int](b, shownChecks))
	b.do(click("#clear"))
	require.Equal(b.t, run.Counts.Total, eval[int](b, shownChecks))
}

// colours looks at the page by day and by night: first as the system wants it, then as the reader does.
func (b *browser) colours() {
	b.t.Helper()
	day := eval[string](b, background)
	b.readable("light")
	b.shots("desktop-light")
	b.do(scheme("dark"))
	night := eval[string](b, background)
	require.NotEqual(b.t, day, night, "the page follows the system")
	b.do(scheme("light"), click("#theme"))
	require.Equal(b.t, night, eval[string](b, background), "the page follows the reader")
	require.Equal(b.t, "true", eval[string](b, `document.getElementById("theme").getAttribute("aria-pressed")`))
	b.readable("dark")
	b.shots("desktop-dark")
	b.do(click("#theme"))
	require.Equal(b.t, day, eval[string](b, background))
}

// readable asks for the contrast that WCAG AA asks for.
func (b *browser) readable(colours string) {
	b.t.Helper()
	script, err := os.ReadFile("testdata/contrast.js")
	require.NoError(b.t, err)
	require.Empty(b.t, eval[[]string](b, string(script)), colours)
}

func (b *browser) phone() {
	b.t.Helper()
	b.do(size(390, 844))
	require.Zero(b.t, eval[int](b, sidewaysRoom), "a phone does not scroll sideways")
	eval[bool](b, `document.querySelectorAll("details").forEach(d => d.open = true), true`)
	require.Zero(b.t, eval[int](b, sidewaysRoom), "nor with everything open")
	b.do(size(320, 700))
	require.Zero(b.t, eval[int](b, sidewaysRoom), "nor does a small one")
	b.do(size(390, 844), chromedp.Reload())
	b.shots("phone")
	b.do(size(1280, 900))
}

// links follows one from the matrix to a check that is folded away.
func (b *browser) links() {
	b.t.Helper()
	require.Empty(b.t, eval[[]string](b, `[...document.querySelectorAll('a[href^="#"]')].map(a => a.hash.slice(1)).filter(id => !document.getElementById(decodeURIComponent(id)))`), "no link leads nowhere")
	b.do(chromedp.Evaluate(`document.querySelector('a[href="#check-queue.retention"]').click()`, nil))
	require.True(b.t, eval[bool](b, `document.getElementById("check-queue.retention").checkVisibility()`))
}

// paper prints: everything is open.
func (b *browser) paper() {
	b.t.Helper()
	b.do(chromedp.Reload())
	require.Positive(b.t, eval[int](b, foldedAway), "something is folded on the screen")
	b.do(emulation.SetEmulatedMedia().WithMedia("print"), size(720, 1000))
	require.Zero(b.t, eval[int](b, foldedAway), "nothing is folded on paper")
	require.Zero(b.t, eval[int](b, sidewaysRoom), "nothing is cut off")
	b.shots("paper")
	b.do(emulation.SetEmulatedMedia().WithMedia(""), size(1280, 900))
}

// withoutScript reads the page with JavaScript off: all but the filters works.
func (b *browser) withoutScript(run verify.Report) {
	b.t.Helper()
	b.do(emulation.SetScriptExecutionDisabled(true), chromedp.Reload())
	require.Equal(b.t, run.Counts.Total, eval[int](b, shownChecks))
	require.False(b.t, eval[bool](b, `document.getElementById("controls").checkVisibility()`), "what needs a script is not offered")
	b.do(emulation.SetScriptExecutionDisabled(false), chromedp.Reload())
}

// nothingFromOutside plants a picture from a server and finds that the browser does not ask for it.
func (b *browser) nothingFromOutside() {
	b.t.Helper()
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	b.t.Cleanup(server.Close)
	var directive string
	b.do(chromedp.Evaluate(`new Promise(done => {
		document.addEventListener("securitypolicyviolation", e => done(e.effectiveDirective));
		const image = new Image();
		image.src = "`+server.URL+`";
		document.body.append(image);
	})`, &directive, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	require.Equal(b.t, "img-src", directive)
	require.Zero(b.t, asked.Load())
}

func click(selector string) chromedp.Action { return chromedp.Click(selector, chromedp.ByQuery) }
