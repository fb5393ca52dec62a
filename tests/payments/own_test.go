package payments

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tapstack/lib/process"
	"tapstack/lib/process/processtest"
	"tapstack/lib/session"
	"tapstack/lib/verify"
	"tapstack/tests/reference"
)

// TestProgramsInAnotherLanguageRunInPlaceOfTheReferenceServices has a pair of services in Python deployed, reached through the
// load balancer, and held to the checks.
func TestProgramsInAnotherLanguageRunInPlaceOfTheReferenceServices(t *testing.T) {
	processtest.SkipIfShort(t)
	python := findPython(t)
	folder := programs(t)
	run, err := session.Programs([]string{
		"payment-api=" + python + " " + filepath.Join(folder, "api.py"), "job-processor=" + python + " " + filepath.Join(folder, "worker.py"),
	})
	require.NoError(t, err)
	ctx, s := reference.Deployed(t, run, map[string]string{"containerProtocol": "HTTP"})

	api, err := s.PaymentAPI(ctx, "", "")
	require.NoError(t, err)
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: api.Dial, TLSClientConfig: api.TLS}}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, api.URL+"/api/jobs", bytes.NewReader([]byte(`{"job": 1}`)))
	require.NoError(t, err)
	response, err := client.Do(request)
	require.NoError(t, err)
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusAccepted, response.StatusCode, "%s", content)
	var sent struct{ Message string }
	require.NoError(t, json.Unmarshal(content, &sent))
	require.NotEmpty(t, sent.Message)

	report, err := s.Verify(ctx, true)
	require.NoError(t, err)
	for _, result := range report.Results {
		require.NotEqual(t, verify.Failed, result.Status, "%s: %s", result.ID, result.Reason)
		if result.ID == "queue.delivers" || result.ID == "alb.answers" {
			require.Equal(t, verify.Passed, result.Status, "%s: %s", result.ID, result.Reason)
		}
	}
}

// findPython finds an interpreter that tasks, which run as another user where this is root, can get to.
func findPython(t *testing.T) string {
	t.Helper()
	nobody := process.Unprivileged()
	found, _ := exec.LookPath("python3")
	for _, candidate := range []string{found, "/usr/bin/python3", "/usr/local/bin/python3"} {
		program, err := filepath.EvalSymlinks(candidate)
		if err == nil && nobody.Reaches(filepath.Dir(program)) {
			return program
		}
	}
	t.Skip("there is no python3 that other users of this machine can get to")
	return ""
}

// programs are the Python files in a folder that tasks, which run as another user, can get to.
func programs(t *testing.T) string {
	t.Helper()
	folder, err := process.Unprivileged().TempDir("", "tapstack-own-*")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(folder)) })
	require.NoError(t, os.Chmod(folder, 0o755)) //nolint:gosec // others must get there
	require.NoError(t, os.CopyFS(folder, os.DirFS("testdata")))
	return folder
}
