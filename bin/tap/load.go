package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/renameio/v2/maybe"
	"github.com/spf13/cobra"

	"tapstack/lib/load"
	"tapstack/lib/session"
	"tapstack/lib/verify/report"
)

// loadFlags are those of load alone.
type loadFlags struct {
	load.Options
	arrivals, url, secret, report string
	settle                        time.Duration
}

func (a *app) loadCommand() *cobra.Command {
	var f loadFlags
	command := a.does(&cobra.Command{
		Use: "load", Short: "Post payments at a rate, and look up every one that was acknowledged",
		Long: "Posts payments through the load balancer at a rate that does not depend on the answers, tells their latency from the time at\n" +
			"which each was meant to be sent, and looks up afterwards every payment that was acknowledged. Exits with 1 if one of them is\n" +
			"missing or different, or none was acknowledged. Other commands can work on the stack meanwhile.",
		Example: "  tap load\n  tap load --rate 200 --duration 1m --report load.html\n  tap load --arrivals fixed --seed 7 --retries 5 --output json",
	}, func() needs {
		f.Arrivals = load.Arrivals(f.arrivals)
		return needs{changes: true, faults: []error{f.Fault()}, left: func(*request) string { return "The stack was not changed, but for payments." }}
	}, func(ctx context.Context, s *session.Session, r *request) error { return a.load(ctx, s, r, f) })
	flags := command.Flags()
	flags.Float64Var(&f.Rate, "rate", 50, "payments a second, on average")
	flags.DurationVar(&f.Duration, "duration", 10*time.Second, "for how long payments arrive")
	flags.StringVar(&f.arrivals, "arrivals", string(load.Poisson), "how they arrive: poisson (independently of each other) or fixed (at even distances)")
	flags.IntVar(&f.InFlight, "in-flight", 1000, "the most that may be in flight; arrivals beyond it are dropped and counted")
	flags.IntVar(&f.Merchants, "merchants", 20, "how many merchants send them")
	flags.IntVar(&f.Retries, "retries", 0, "how often a payment is sent again, under its idempotency key, that was not answered or not taken (5xx, 429, 409)")
	flags.Uint64Var(&f.Seed, "seed", 0, "repeats the schedule and the payments of an earlier load; 0 takes a new one")
	flags.DurationVar(&f.settle, "settle", 30*time.Second, "how long acknowledged payments are given to be settled")
	flags.StringVar(&f.url, "url", "", "`URL` of the API (default the stack's output apiUrl)")
	flags.StringVar(&f.secret, "api-key-secret", "", "`ARN` of the secret with the API's key (default the stack's output apiKeysSecretArn)")
	flags.Func("report", "write a page with percentiles over time into `FILE`", func(file string) error {
		if f.report = file; file == "" {
			return errors.New("name a file")
		}
		return nil
	})
	return command
}

func (a *app) load(ctx context.Context, s *session.Session, r *request, f loadFlags) error {
	if f.report != "" {
		if err := report.Prepare(filepath.Dir(f.report)); err != nil {
			return err
		}
	}
	if err := s.OpenExisting(ctx); err != nil {
		return r.explain(err)
	}
	var err error
	if f.API, err = s.PaymentAPI(ctx, f.url, f.secret); err != nil {
		return err
	}
	if f.Seed == 0 {
		f.Seed = newSeed()
	}
	f.Reconcile = f.API.Reconcile(f.settle)
	result, err := s.Load(ctx, f.Options)
	if result.Planned == 0 && err != nil {
		return err
	}
	if f.report != "" {
		page, pageErr := load.Page(result)
		if pageErr == nil {
			pageErr = maybe.WriteFile(f.report, page, 0o644)
		}
		if pageErr != nil {
			return errors.Join(err, pageErr)
		}
		a.say("Report: %s", f.report)
	}
	if r.json {
		err = errors.Join(err, a.printJSON(result))
	} else {
		a.printLoad(result)
	}
	if err == nil && result.Acknowledged == 0 {
		return errors.New("no payment was acknowledged")
	}
	return err
}

// newSeed is short enough to be typed again.
func newSeed() uint64 {
	var random [4]byte
	_, _ = rand.Read(random[:])
	return uint64(binary.BigEndian.Uint32(random[:])) + 1
}

// printLoad tells what was sent, what became of it, how long it took and what was found afterwards.
func (a *app) printLoad(r load.Result) {
	a.print("%d planned (%g/s %s for %.1f s, seed %d), %d dropped, %d sent, at most %d in flight", r.Planned, r.Rate, r.Arrivals, r.Seconds, r.Seed, r.Dropped, r.Sent, r.MostInFlight)
	a.print("%d acknowledged, %d refused, %d failed", r.Acknowledged, r.Refused, r.Failed)
	for _, it := range r.Seeing() {
		a.print("        %7d  %s", it.Count, it.What)
	}
	l := r.Latency
	a.print("latency from the intended time, in ms: p50 %.1f  p90 %.1f  p99 %.1f  p99.9 %.1f  max %.1f", l.P50, l.P90, l.P99, l.P999, l.Max)
	found := r.Reconciliation
	if found == nil {
		return
	}
	colour := "32"
	if !found.OK() {
		colour = "31"
	}
	a.print("%s %d acknowledged payments were looked up: %d missing, %d different", a.paint(colour, "compared"), found.Checked, len(found.Missing), len(found.Different))
	for _, status := range slices.Sorted(maps.Keys(found.Statuses)) {
		a.print("        %7d  %s", found.Statuses[status], status)
	}
	const most = 10
	wrong := slices.Concat(found.Missing, found.Different)
	for _, id := range wrong[:min(most, len(wrong))] {
		a.print("        %s", id)
	}
}
