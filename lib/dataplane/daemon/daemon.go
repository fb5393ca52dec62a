// Package daemon is a data plane in a process of its own, which outlives the command that started it: how that process answers
// those that come later, and how they find it.
package daemon

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/google/renameio/v2/maybe"

	"tapstack/lib/dataplane"
	"tapstack/lib/process"
)

const (
	askTimeout  = 5 * time.Second
	stopTimeout = 90 * time.Second
	bodyLimit   = 8 << 20
	tokenHeader = "X-Tapstack-Token"
)

// Record is what finds a data plane again.
type Record struct {
	PID int `json:"pid"`
	// Born is the process.Birth of PID.
	Born string `json:"born"`
	// Address is where it answers, a port of 127.0.0.1, those who know the Token.
	Address string `json:"address"`
	Token   string `json:"token"`
	// Run is what whoever started it has it run, as dataplane.Options has it.
	Run map[string][]string `json:"run,omitempty"`
}

// Path is where a folder keeps the record of a stack's data plane.
func Path(folder, stack string) string { return filepath.Join(folder, "dataplane-"+stack+".json") }

// Find reads a record and answers nil where there is none, or its process is no more.
func Find(path string) (*Record, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	found := &Record{}
	if err == nil {
		err = json.Unmarshal(content, found)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the record of the data plane: %w", err)
	}
	if !process.Alive(found.PID) || process.Birth(found.PID) != found.Born {
		return nil, nil
	}
	return found, nil
}

// Kept says whether there is a record, of a data plane that runs or of one that has ended otherwise than by Stop.
func Kept(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Keep writes a record, for its owner alone.
func (r Record) Keep(path string) error {
	content, err := json.Marshal(r)
	if err == nil {
		err = maybe.WriteFile(path, content, 0o600)
	}
	if err != nil {
		return fmt.Errorf("recording the data plane: %w", err)
	}
	return nil
}

// Forget removes a record, or the log beside it.
func Forget(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forgetting the data plane: %w", err)
	}
	return nil
}

// Serve answers for a plane of this process until it is asked to stop, or ctx ends. ready hears the record once it answers.
func Serve(ctx context.Context, plane *dataplane.Plane, ready func(Record) error) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening for those who ask the data plane: %w", err)
	}
	record := Record{PID: os.Getpid(), Born: process.Birth(os.Getpid()), Address: listener.Addr().String(), Token: rand.Text()}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	server := &http.Server{Handler: handler(record.Token, plane, stop), ReadHeaderTimeout: askTimeout}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	if err := ready(record); err != nil {
		stop()
	}
	<-ctx.Done()
	err = plane.Close()
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
	defer cancel()
	err = errors.Join(err, server.Shutdown(limited))
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

func handler(token string, plane *dataplane.Plane, stop func()) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(rw http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(rw).Encode(plane.Status()) })
	mux.HandleFunc("POST /kill/{container}", func(rw http.ResponseWriter, r *http.Request) {
		if err := plane.Kill(r.PathValue("container")); err != nil {
			http.Error(rw, err.Error(), http.StatusConflict)
		}
	})
	mux.HandleFunc("POST /tasks", func(rw http.ResponseWriter, r *http.Request) {
		var in ecs.RunTaskInput
		err := json.NewDecoder(io.LimitReader(r.Body, bodyLimit)).Decode(&in)
		var arn string
		if err == nil {
			arn, err = plane.RunTask(&in)
		}
		if err != nil {
			http.Error(rw, err.Error(), http.StatusBadRequest)
			return
		}
		_ = json.NewEncoder(rw).Encode(arn)
	})
	mux.HandleFunc("POST /stop", func(http.ResponseWriter, *http.Request) { stop() })
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get(tokenHeader)), []byte(token)) != 1 {
			http.Error(rw, "the token is not this data plane's", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(rw, r)
	})
}

// Status asks the data plane what it runs.
func (r Record) Status(ctx context.Context) (status dataplane.Status, err error) {
	body, err := r.ask(ctx, http.MethodGet, "/status", nil)
	if err == nil {
		err = json.Unmarshal(body, &status)
	}
	return status, err
}

// Kill is dataplane.Plane's.
func (r Record) Kill(ctx context.Context, container string) error {
	_, err := r.ask(ctx, http.MethodPost, "/kill/"+container, nil)
	return err
}

// RunTask is dataplane.Plane's.
func (r Record) RunTask(ctx context.Context, in *ecs.RunTaskInput) (arn string, err error) {
	content, err := json.Marshal(in) //nolint:gosec // its ClientToken is none that opens anything
	if err != nil {
		return "", fmt.Errorf("asking the data plane for a task: %w", err)
	}
	body, err := r.ask(ctx, http.MethodPost, "/tasks", content)
	if err == nil {
		err = json.Unmarshal(body, &arn)
	}
	return arn, err
}

// Stop has the data plane end, and waits until its process is gone.
func (r Record) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, stopTimeout, fmt.Errorf("the data plane, process %d, does not end", r.PID))
	defer cancel()
	_, asked := r.ask(ctx, http.MethodPost, "/stop", nil)
	for process.Alive(r.PID) && process.Birth(r.PID) == r.Born {
		if asked != nil {
			return asked
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// client reuses no connection: the other end goes away.
var client = sync.OnceValue(func() *http.Client {
	return &http.Client{Timeout: askTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
})

func (r Record) ask(ctx context.Context, method, path string, content []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+r.Address+path, bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("asking the data plane: %w", err)
	}
	request.Header.Set(tokenHeader, r.Token)
	response, err := client().Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking the data plane, process %d: %w", r.PID, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, bodyLimit))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("the data plane answers: %s", bytes.TrimSpace(body))
	}
	return body, err
}
