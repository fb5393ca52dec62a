package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
	"tapstack/lib/cloud"
	"tapstack/lib/process/processtest"
	"tapstack/lib/session"
	"tapstack/lib/target"
)

// litter is an account with what an old stack has left in it, and with what is not the sweep's.
type litter struct {
	*sqs.Client
	endpoint string
}

func newLitter(t *testing.T) *litter {
	t.Helper()
	processtest.SkipIfShort(t)
	opened, err := target.Open(t.Context(), target.Options{Name: target.Local, Notify: func(s string) { t.Log(s) }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, opened.Close()) })
	l := &litter{cloud.NewClients(opened.Config).SQS, opened.Endpoint}
	old, past := lib.NewRun(time.Now().Add(-72*time.Hour)), lib.FormatExpiry(time.Now().Add(-66*time.Hour))
	for name, tags := range map[string]map[string]string{
		"payment-jobs-old":     {lib.TagOwner: lib.DefaultOwner, lib.TagRun: old, lib.TagExpires: past},
		"payment-jobs-dlq-old": {lib.TagOwner: lib.DefaultOwner, lib.TagRun: old, lib.TagExpires: past},
		"payment-jobs-stays":   {lib.TagOwner: lib.DefaultOwner, lib.TagRun: old, lib.TagExpires: lib.NeverExpires},
		"payment-jobs-theirs":  {lib.TagOwner: "somebody", lib.TagRun: old, lib.TagExpires: past},
		"payment-jobs-plain":   nil,
		"somebody-elses":       nil,
	} {
		_, err := l.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Tags: tags})
		require.NoError(t, err)
	}
	return l
}

// queues are the names of what is there.
func (l *litter) queues(t *testing.T) []string {
	t.Helper()
	out, err := l.ListQueues(context.WithoutCancel(t.Context()), &sqs.ListQueuesInput{})
	require.NoError(t, err)
	var names []string
	for _, address := range out.QueueUrls {
		names = append(names, address[strings.LastIndex(address, "/")+1:])
	}
	return names
}

// between serves the account with every deletion of a queue passed through answer first, which may refuse it.
func (l *litter) between(t *testing.T, answer func(w http.ResponseWriter, body string) (refused bool)) string {
	t.Helper()
	behind, err := url.Parse(l.endpoint)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(behind)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".DeleteQueue") {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			if answer(w, string(body)) {
				return
			}
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestASweepIsDryUnlessAgreedTo(t *testing.T) {
	l := newLitter(t)
	before := l.queues(t)
	args := []string{"sweep", "--target", "endpoint", "--endpoint", l.endpoint}

	stdout, _ := tap(t, exitFailed, args...)
	require.ElementsMatch(t, before, l.queues(t))
	for _, want := range []string{
		`Account 123456789012, region us-east-1, owner tapstack, any suffix, runs older than 24h0m0s\.`,
		`would delete +queue payment-jobs-old +run \d{8}T\d{6}Z-[0-9a-f]{6}, expires `,
		`would delete +queue payment-jobs-dlq-old `,
		`kept +of stack stays: queue payment-jobs-stays +it never expires`,
		`kept +of stack theirs: queue payment-jobs-theirs +its owner is somebody`,
		`kept +of stack plain: queue payment-jobs-plain +not provably ours: it has no tag tapstack:owner`,
		`Nothing was changed\. Delete them with: .* sweep --target endpoint --endpoint \S+ --state-dir \S+ --older-than 24h0m0s --yes`,
	} {
		require.Regexp(t, want, stdout)
	}
	require.NotContains(t, stdout, "somebody-elses")

	stdout, _ = tap(t, exitFailed, append(args, "--output", "json")...)
	var told struct {
		DryRun  bool
		Account string
		Plan    struct{ Delete []json.RawMessage }
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &told), stdout)
	require.True(t, told.DryRun)
	require.Len(t, told.Plan.Delete, 2)
	require.Equal(t, "123456789012", told.Account)

	_, stderr := tap(t, exitFailed, append(args, "--account", "210987654321", "--yes")...)
	require.Contains(t, stderr, "these credentials are of account 123456789012, not of 210987654321 (--account)")
	require.ElementsMatch(t, before, l.queues(t))

	stdout, _ = tap(t, exitFailed, append(args, "--suffix", "stays", "--older-than", "73h", "--ignore-expiry")...)
	require.Contains(t, stdout, "which is less than 73h0m0s")
	require.Contains(t, stdout, "1 resource of this owner must stay: too young, or in use. Nothing else is left to sweep.")

	stdout, _ = tap(t, exitFailed, append(args, "--account", "123456789012", "--yes")...)
	require.Regexp(t, `(?m)^deleted +queue payment-jobs-old`, stdout)
	require.Contains(t, stdout, "2 resources deleted; 1 resource of this owner must stay: too young, or in use.")
	require.ElementsMatch(t, []string{"payment-jobs-stays", "payment-jobs-theirs", "payment-jobs-plain", "somebody-elses"}, l.queues(t))

	stdout, _ = tap(t, exitFine, append(args, "--suffix", "stays", "--ignore-expiry", "--yes")...)
	require.Contains(t, stdout, "1 resource deleted, nothing left.")
	require.ElementsMatch(t, []string{"payment-jobs-theirs", "payment-jobs-plain", "somebody-elses"}, l.queues(t))

	stdout, _ = tap(t, exitFine, args...)
	require.Contains(t, stdout, "Nothing of this owner is left to sweep.")
}

func TestASweepThatFailsIsToldAndExitsWith1(t *testing.T) {
	l := newLitter(t)
	refusing := l.between(t, func(w http.ResponseWriter, body string) bool {
		if !strings.Contains(body, "payment-jobs-old") {
			return false
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"__type":"com.amazonaws.sqs#AccessDeniedException","message":"not you"}`)
		return true
	})
	stdout, stderr := tap(t, exitFailed, "sweep", "--target", "endpoint", "--endpoint", refusing, "--yes")
	require.Regexp(t, `(?m)^deleted +queue payment-jobs-dlq-old`, stdout)
	require.Regexp(t, `(?m)^failed +queue payment-jobs-old .*AccessDenied.*not you`, stdout)
	require.Regexp(t, `(?m)^left +queue payment-jobs-old`, stdout)
	require.Contains(t, stdout, "The sweep is not complete. Repeat it with: ")
	require.Contains(t, stderr, "failed: queue payment-jobs-old")
	require.Contains(t, l.queues(t), "payment-jobs-old")
}

func TestAnInterruptedSweepFinishesTheCallThatHasBegun(t *testing.T) {
	l := newLitter(t)
	var reached atomic.Int32
	begun, release := make(chan struct{}, 2), make(chan struct{})
	slow := l.between(t, func(http.ResponseWriter, string) bool {
		reached.Add(1)
		begun <- struct{}{}
		<-release
		return false
	})
	s := start(t, t.TempDir(), "sweep", "--target", "endpoint", "--endpoint", slow, "--yes")
	for range 2 {
		select {
		case <-begun:
		case <-time.After(2 * time.Minute):
			close(release)
			require.Fail(t, "the sweep waits", "after the beginning of %d deletions\n%s", reached.Load(), strings.Join(s.seen, "\n"))
		}
	}
	require.NoError(t, s.Process.Signal(syscall.SIGINT))
	s.until(t, "Interrupted. Waiting for what is in flight")
	close(release)
	require.Equal(t, exitInterrupted, s.code(), strings.Join(s.seen, "\n"))
	require.NotContains(t, l.queues(t), "payment-jobs-old")
	require.Contains(t, s.stdout.String(), "The sweep is not complete. Repeat it with: ")
	require.Regexp(t, `(?m)^deleted +queue payment-jobs-old`, s.stdout.String(), "what was done is told")
}

func TestWrongUseOfSweepExitsWith2(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"an age in the future", []string{"--older-than", "-1h"}, "--older-than -1h0m0s lies in the future"},
		{"no owner", []string{"--owner", ""}, "--owner is empty"},
		{"every stack whatever its expiry", []string{"--ignore-expiry"}, "--ignore-expiry is for one stack: name it with --suffix"},
		{"half an account", []string{"--account", "1234"}, `--account "1234" is no account id`},
		{"configuration", []string{"--config", "waf=false"}, "sweep does not run the program"},
		{"a suffix that is none", []string{"--suffix", "Bad_"}, "environmentSuffix"},
	} {
		t.Run(c.name, func(t *testing.T) {
			stdout, stderr := tap(t, exitUsage, append([]string{"sweep"}, c.args...)...)
			require.Empty(t, stdout)
			require.Contains(t, stderr, c.want)
		})
	}
}

func TestASweepWithoutALocalCloudSaysSo(t *testing.T) {
	stdout, stderr := tap(t, exitFailed, "sweep")
	require.Empty(t, stdout)
	require.Equal(t, "no local cloud is running: on target local there is nothing to sweep\n", stderr)
}

func TestASweepOfARealAccountNeedsItsIDOnTheList(t *testing.T) {
	inRealAccount(t)
	t.Setenv(session.AllowedVariable, "210987654321")
	t.Setenv("CI", "")
	stdout, stderr := tap(t, exitFailed, "sweep", "--target", "aws", "--yes")
	require.Empty(t, stdout)
	require.Contains(t, stderr, "123456789012")
	require.Contains(t, stderr, session.AllowedVariable)
}
