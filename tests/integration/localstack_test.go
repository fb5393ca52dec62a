package integration

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gruntwork-io/terratest/modules/random"
	"github.com/stretchr/testify/require"

	"tapstack/lib/process/processtest"
	"tapstack/lib/target"
	"tapstack/lib/target/localstackimage"
	"tapstack/tests/reference"
)

// skipped holds why tests did not run, for the last lines of the run.
var skipped struct {
	sync.Mutex
	reasons []string
}

// TestMain runs the tests in a hostile environment, which is in other regions than every stack too, and says last what was
// skipped, so that nobody has to look for it.
func TestMain(m *testing.M) {
	processtest.Hostile()
	code := m.Run()
	reference.Clean()
	skipped.Lock()
	defer skipped.Unlock()
	for _, reason := range skipped.reasons {
		fmt.Println("SKIPPED", reason)
	}
	os.Exit(code)
}

func skip(t *testing.T, reason string) {
	t.Helper()
	skipped.Lock()
	skipped.reasons = append(skipped.reasons, t.Name()+": "+reason)
	skipped.Unlock()
	t.Skip(reason)
}

// live is the life of one stack on a target: deployed, checked, unchanged, healed and removed.
func live(t *testing.T, options target.Options) *platform {
	t.Helper()
	ctx, cancel := bounded(t, cleanUpTime)
	defer cancel()
	p := openPlatform(ctx, t, options, "ls-"+strings.ToLower(random.UniqueID()), t.TempDir())
	t.Cleanup(func() {
		if logs := p.Cloud.Logs(context.Background()); t.Failed() && logs != "" {
			t.Logf("the last lines of LocalStack:\n%s", logs)
		}
	})
	t.Logf("on %s", p.Cloud.Where())
	p.deploy(ctx, t)
	outputs, err := p.Outputs(ctx)
	require.NoError(t, err, "the outputs of the deployed stack")
	p.verify(ctx, t)
	p.steady(ctx, t)
	p.drift(ctx, t, outputs)
	p.secrets(ctx, t, outputs)
	p.destroy(t)
	return p
}

func TestTheStackLivesOnLocalStackInAContainer(t *testing.T) {
	processtest.SkipIfShort(t)
	image, err := localstackimage.Image()
	if err != nil {
		skip(t, "no LocalStack in a container: "+err.Error())
	}
	p := live(t, target.Options{Name: target.LocalStack, Image: image})
	// Of the recipe's image it is known that it lacks parts of the platform. Another one may be whole.
	if os.Getenv("LOCALSTACK_IMAGE") == "" {
		require.Equal(t, target.DefaultImage, image, "what is tested is what users get")
		require.Contains(t, p.Cloud.Where(), "local moto", "the run is split")
		for _, name := range []string{"iam", "logs", "s3", "secretsmanager", "sqs", "ssm"} {
			require.False(t, slices.ContainsFunc(p.Cloud.Gaps, func(g target.Gap) bool { return g.Service == name }),
				"%s runs in the container", name)
		}
	}
}

func TestTheStackLivesOnALocalStackWithEveryServiceUnsplit(t *testing.T) {
	processtest.SkipIfShort(t)
	behind, err := target.Open(t.Context(), target.Options{Name: target.Local})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, behind.Close()) })
	address, err := url.Parse(behind.Endpoint)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(address)
	whole := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/_localstack/health" {
			_, _ = w.Write([]byte(`{"services": {"sqs": "running"}, "edition": "pro", "version": "0.0.1"}`))
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(whole.Close)
	t.Setenv("LOCALSTACK_ENDPOINT", whole.URL)

	p := live(t, target.Options{Name: target.LocalStack}.FromEnvironment())
	require.Zero(t, p.Cloud.PID(), "no emulator was started beside it")
	require.Equal(t, "LocalStack 0.0.1 pro at "+whole.URL, p.Cloud.Where())
}
