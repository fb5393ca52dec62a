package integration

import (
	"strings"
	"sync"
	"testing"

	"tapstack/lib/lifecycle"
	"tapstack/lib/session"
)

// transcript logs what the engine says and keeps all of it, for the search for secrets.
type transcript struct {
	session.Quiet
	t    *testing.T
	mu   sync.Mutex
	said strings.Builder
}

func (h *transcript) note(text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.said.WriteString(text + "\n")
}

func (h *transcript) text() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.said.String()
}

// Note implements session.Progress.
func (h *transcript) Note(text string) { h.t.Log(text) }

// Done implements lifecycle.Observer.
func (h *transcript) Done(s lifecycle.Step) { h.note(s.Op + " " + s.Type + " " + s.Name) }

// Failed implements lifecycle.Observer.
func (h *transcript) Failed(s lifecycle.Step) { h.t.Logf("failed: %s %s %s", s.Op, s.Type, s.Name) }

// Diagnostic implements lifecycle.Observer.
func (h *transcript) Diagnostic(d lifecycle.Diagnostic) {
	h.note(d.Message)
	if d.Severity == "error" || d.Severity == "warning" {
		h.t.Logf("%s: %s %s: %s", d.Severity, d.Type, d.Name, d.Message)
	}
}
