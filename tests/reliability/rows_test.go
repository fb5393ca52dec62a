//go:build linux

package reliability

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"

	"tapstack/lib/cache"
	"tapstack/lib/process/processtest"
	"tapstack/tests/official/bridge"
)

// What make hands on: what to try (a number of rounds of each row, or torture), the seed, the rows by key, and
// where a round's fault is to be, such as "17 after" or "17 before".
const (
	modeVariable = "TAPSTACK_RELIABILITY"
	seedVariable = "SEED"
	rowsVariable = "ROWS"
	atVariable   = "AT"
	// officialVariable has the official provider deploy, as the plugin that an engine starts.
	officialVariable = "OFFICIAL"
	worst            = 60 * time.Second
)

// TestRows runs the rows of the table and prints it.
func TestRows(t *testing.T) {
	mode := os.Getenv(modeVariable)
	if mode == "" {
		t.Skipf("%s is not set: make test-reliability and make torture run the rows", modeVariable)
	}
	processtest.SkipIfShort(t)
	seed := uint64(time.Now().Unix()) //nolint:gosec // it is after 1970
	if given := os.Getenv(seedVariable); given != "" {
		var err error
		seed, err = strconv.ParseUint(given, 10, 64)
		require.NoError(t, err, seedVariable)
	}
	fmt.Printf("%s=%d\n", seedVariable, seed)
	keys := slices.DeleteFunc(strings.Split(os.Getenv(rowsVariable), ","), func(key string) bool { return key == "" })
	chosen := slices.DeleteFunc(slices.Clone(rows), func(it row) bool { return len(keys) > 0 && !slices.Contains(keys, it.key) })
	results := make([]result, len(chosen))
	labs := openLabs(t)
	t.Run("row", func(t *testing.T) {
		for i, it := range chosen {
			t.Run(it.key, func(t *testing.T) {
				t.Parallel()
				l := <-labs
				defer func() { labs <- l }()
				results[i] = l.try(t, it, mode, seed)
			})
		}
	})
	fmt.Print(table(results))
}

// mostLabs bounds how many rows run at a time, of which each has an emulator of half a gigabyte.
const mostLabs = 4

// openLabs makes a lab for each row that runs at a time, which is as go test's -parallel says.
func openLabs(t *testing.T) chan *lab {
	t.Helper()
	first := newLab(t)
	fmt.Printf("up makes %d changing calls, an up that changes the stack %d, destroy %d\n", first.calls.up, first.calls.update, first.calls.destroy)
	parallel, err := strconv.Atoi(flag.Lookup("test.parallel").Value.String())
	require.NoError(t, err)
	labs := make(chan *lab, mostLabs)
	labs <- first
	for range min(parallel, mostLabs) - 1 {
		another := *first
		another.start(t, t.TempDir())
		labs <- &another
	}
	return labs
}

// newLab starts what the rounds share, and deploys, changes and removes once without faults, to know what that is.
func newLab(t *testing.T) *lab {
	t.Helper()
	folder := t.TempDir()
	l := lab{limit: commandLimit}
	l.start(t, folder)
	var err error
	l.cache, err = cache.Dir() // tap finds the Pulumi CLI there, though its home is another
	require.NoError(t, err)
	l.tap, err = buildTap(t.Context(), folder)
	require.NoError(t, err)
	if os.Getenv(officialVariable) != "" {
		l.cache, l.provider, l.limit = withOfficial(t, l.cache), "official", officialLimit
	}
	r, err := l.begin(t.Context(), folder, point{})
	require.NoError(t, err)
	require.NoError(t, r.finish("up"), strings.Join(r.log, "\n"))
	l.calls.up = l.proxy.Changes()
	l.whole, err = l.cloud.List(t.Context())
	require.NoError(t, err)
	l.proxy.Arm(Plan{})
	require.NoError(t, r.finish(update...), strings.Join(r.log, "\n"))
	l.calls.update = l.proxy.Changes()
	l.changed, err = l.cloud.List(t.Context())
	require.NoError(t, err)
	l.proxy.Arm(Plan{})
	require.NoError(t, r.destroyed(), strings.Join(r.log, "\n"))
	l.calls.destroy = l.proxy.Changes()
	return &l
}

// start starts an emulator, and the proxy before it.
func (l *lab) start(t *testing.T, folder string) {
	t.Helper()
	var err error
	l.cloud, err = StartEmulator(context.WithoutCancel(t.Context()), folder)
	require.NoError(t, err)
	t.Cleanup(l.cloud.Stop)
	handler, err := bridge.Handler(l.cloud.Endpoint, nil)
	require.NoError(t, err)
	proxy := NewProxy(handler)
	l.proxy = proxy
	t.Cleanup(func() { proxy.Arm(Plan{}); proxy.Close() })
}

// result is a row of the table that is printed.
type result struct {
	fault         string
	rounds, clean int
	worst         time.Duration
	why           string
}

// try makes the rounds of a row.
func (l *lab) try(t *testing.T, it row, mode string, seed uint64) result {
	t.Helper()
	told := result{fault: it.fault}
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(it.key))
	chance := rand.New(rand.NewPCG(seed, hash.Sum64())) //nolint:gosec // repeatable, not secret
	points := it.points(l.calls)
	for i := range points {
		points[i].seed = seed + uint64(i)
	}
	if mode != "torture" {
		count := 1
		if number, err := strconv.Atoi(mode); err == nil {
			count = number
		}
		chance.Shuffle(len(points), func(i, j int) { points[i], points[j] = points[j], points[i] })
		points = points[:min(count, len(points))]
	}
	if at := os.Getenv(atVariable); at != "" {
		number, when, _ := strings.Cut(at, " ")
		call, err := strconv.Atoi(number)
		require.NoError(t, err, atVariable)
		points = points[:1]
		points[0].at, points[0].after = call, when == "after"
	}
	for _, p := range points {
		t.Run(strings.ReplaceAll(p.String(), " ", "_"), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*l.limit)
			defer cancel()
			r, err := l.begin(ctx, t.TempDir(), p)
			require.NoError(t, err)
			err = it.run(r)
			if errors.Is(err, errNoDisk) {
				told.why = err.Error()
				t.Skip(err)
			}
			var took time.Duration // since the fault, if it met any call
			if !r.began.IsZero() {
				took = time.Since(r.began)
			}
			told.rounds++
			if err == nil {
				told.clean++
				told.worst = max(told.worst, took)
				fmt.Printf("  %s: %s: clean in %.1f s\n", it.key, p, took.Seconds())
				return
			}
			report := fmt.Sprintf("%s: %s: %s\n%s\n", it.key, p, err, strings.Join(r.log, "\n"))
			if path := os.Getenv("FAILURES"); path != "" {
				appendTo(t, path, report)
			}
			t.Error(report)
		})
	}
	return told
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	file, err := os.OpenFile(filepath.Clean(path), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // whoever runs the test names it
	require.NoError(t, err)
	_, err = file.WriteString(time.Now().Format("15:04:05 ") + text + "\n")
	require.NoError(t, errors.Join(err, file.Close()))
}

// table has a line for each row that was tried.
func table(results []result) string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "\nfault\trounds\tclean\tworst\n")
	for _, it := range results {
		slow := ""
		if it.worst > worst {
			slow = "  over " + worst.String()
		}
		_, _ = fmt.Fprintf(w, "%s\t%d\t%d\t%.0f s%s\t%s\n", it.fault, it.rounds, it.clean, it.worst.Seconds(), slow, it.why)
	}
	_ = w.Flush()
	return out.String()
}
