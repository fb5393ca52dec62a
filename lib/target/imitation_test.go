package target_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/cloud"
	"tapstack/lib/process/processtest"
	"tapstack/lib/target"
)

// imitatedAccount is LocalStack's, which is not moto's.
const imitatedAccount = "000000000000"

// imitation looks like LocalStack: the health endpoint, and an account of zeros. Behind it is moto. How it answers for a
// service, by the name that requests are signed for, may be replaced.
type imitation struct {
	*httptest.Server
	proxy   http.Handler
	mutex   sync.Mutex
	answers map[string]http.HandlerFunc
	calls   atomic.Int32
}

func imitate(t *testing.T, behind *target.Target, answers map[string]http.HandlerFunc) *imitation {
	t.Helper()
	address, err := url.Parse(behind.Endpoint)
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{Rewrite: func(request *httputil.ProxyRequest) {
		request.SetURL(address)
		request.Out.Header.Set("X-Moto-Account-Id", imitatedAccount)
	}}
	it := &imitation{proxy: proxy, answers: answers}
	it.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/_localstack/health" {
			_, _ = w.Write([]byte(`{"services": {"sqs": "available"}, "edition": "imitated", "version": "0.0.1"}`))
			return
		}
		it.calls.Add(1)
		it.mutex.Lock()
		answer := it.answers[signedFor(r)]
		it.mutex.Unlock()
		if answer != nil {
			answer(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(it.Close)
	return it
}

var scope = regexp.MustCompile(`Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request`)

func signedFor(r *http.Request) string {
	found := scope.FindStringSubmatch(r.Header.Get("Authorization"))
	if found == nil {
		return ""
	}
	return found[1]
}

// notInThisEdition is how the free LocalStack answers for a service that it lacks.
func notInThisEdition(w http.ResponseWriter, r *http.Request) {
	text := fmt.Sprintf("API for service '%s' not yet implemented or pro feature - please check "+
		"https://docs.localstack.cloud/references/coverage/ for further information", signedFor(r))
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-amz-json") {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(http.StatusNotImplemented)
		_, _ = fmt.Fprintf(w, `{"__type": "InternalFailure", "message": %q}`, text)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(http.StatusNotImplemented)
	_, _ = fmt.Fprintf(w, `<ErrorResponse><Error><Code>InternalFailure</Code><Message>%s</Message></Error></ErrorResponse>`, text)
}

// free is the free edition: it lacks what runs containers and databases.
func free() map[string]http.HandlerFunc {
	lacking := map[string]http.HandlerFunc{}
	for _, name := range []string{"ecs", "rds", "elasticloadbalancing", "application-autoscaling", "wafv2"} {
		lacking[name] = notInThisEdition
	}
	return lacking
}

func localMoto(t *testing.T) *target.Target {
	t.Helper()
	processtest.SkipIfShort(t)
	opened, _ := open(t, target.Options{Name: target.Local})
	return opened
}

func open(t *testing.T, options target.Options) (*target.Target, *[]string) {
	t.Helper()
	var notes []string
	options.Notify = func(note string) { notes = append(notes, note) }
	opened, err := target.Open(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, opened.Close()) })
	return opened, &notes
}

func look(t *testing.T, at *imitation) target.Look {
	t.Helper()
	look, err := target.LookForLocalStack(t.Context(), target.Options{Name: target.LocalStack, Endpoint: at.URL})
	require.NoError(t, err)
	return look
}

func TestARunningLocalStackIsAskedWhatItHas(t *testing.T) {
	behind := localMoto(t)
	services := func(gaps []target.Gap) (names []string) {
		for _, it := range gaps {
			names = append(names, it.Service)
		}
		return names
	}

	t.Run("with every service it is the whole cloud", func(t *testing.T) {
		whole := imitate(t, behind, nil)
		opened, notes := open(t, target.Options{Name: target.LocalStack, Endpoint: whole.URL + "/"})
		require.Empty(t, opened.Gaps)
		require.Zero(t, opened.PID(), "no local emulator is started")
		require.Equal(t, "LocalStack 0.0.1 imitated at "+whole.URL, opened.Where())
		require.Len(t, *notes, 1)
		require.Contains(t, (*notes)[0], "has every service")
		require.Equal(t, whole.URL, opened.Env()["AWS_ENDPOINT_URL"])
		require.NotContains(t, opened.Env(), "AWS_ENDPOINT_URL_SQS")
		require.NoError(t, opened.Close())
		require.True(t, listening(whole.URL), "what was given is not ours to stop")
	})
	t.Run("the free edition lacks what it says is for others", func(t *testing.T) {
		look := look(t, imitate(t, behind, free()))
		require.Equal(t, []string{"application-autoscaling", "ecs", "elbv2", "rds", "wafv2"}, services(look.Gaps))
		require.Equal(t, "LocalStack 0.0.1 imitated", look.Told)
	})
	t.Run("a service that still starts is waited for", func(t *testing.T) {
		var refused atomic.Int32
		starting := imitate(t, behind, nil)
		starting.answers = map[string]http.HandlerFunc{"sqs": func(w http.ResponseWriter, _ *http.Request) {
			if refused.Add(1) == 3 {
				starting.mutex.Lock()
				starting.answers = nil
				starting.mutex.Unlock()
			}
			w.WriteHeader(http.StatusServiceUnavailable)
		}}
		require.Empty(t, look(t, starting).Gaps)
		require.EqualValues(t, 3, refused.Load())
	})
	t.Run("a refusal is no gap", func(t *testing.T) {
		denying := imitate(t, behind, map[string]http.HandlerFunc{"ecs": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"__type": "AccessDeniedException", "message": "not you"}`))
		}})
		_, err := target.Open(t.Context(), target.Options{Name: target.LocalStack, Endpoint: denying.URL})
		require.ErrorContains(t, err, "asking for ecs with ListClusters")
		require.ErrorContains(t, err, "AccessDeniedException")
	})
	t.Run("alarms that do not read back are no alarms", func(t *testing.T) {
		forgetful := imitate(t, behind, map[string]http.HandlerFunc{"monitoring": func(w http.ResponseWriter, r *http.Request) {
			_ = r.ParseForm()
			w.Header().Set("Content-Type", "text/xml")
			action := r.Form.Get("Action")
			_, _ = fmt.Fprintf(w, "<%[1]sResponse><%[1]sResult></%[1]sResult></%[1]sResponse>", action) //nolint:gosec // no browser reads it
		}})
		require.Equal(t, []target.Gap{{Service: "cloudwatch", Call: "PutMetricAlarm"}}, look(t, forgetful).Gaps)
	})
	t.Run("alarms whose tags are dropped are no alarms", func(t *testing.T) {
		forgetful := imitate(t, behind, nil)
		forgetful.answers = map[string]http.HandlerFunc{"monitoring": func(w http.ResponseWriter, r *http.Request) {
			if content, _ := io.ReadAll(r.Body); bytes.Contains(content, []byte("Action=ListTagsForResource")) {
				_, _ = io.WriteString(w, "<ListTagsForResourceResponse><ListTagsForResourceResult></ListTagsForResourceResult></ListTagsForResourceResponse>")
			} else {
				r.Body = io.NopCloser(bytes.NewReader(content))
				forgetful.proxy.ServeHTTP(w, r)
			}
		}}
		look := look(t, forgetful)
		require.Equal(t, []target.Gap{{Service: "cloudwatch", Call: "PutMetricAlarm"}}, look.Gaps)
	})
	t.Run("anything else is not taken for LocalStack", func(t *testing.T) {
		_, err := target.Open(t.Context(), target.Options{Name: target.LocalStack, Endpoint: behind.Endpoint})
		require.ErrorContains(t, err, behind.Endpoint)
		require.NotContains(t, err.Error(), "\n")
	})
}

func TestAnEndpointIsAskedWhatItHasBeforeADeployment(t *testing.T) {
	behind := localMoto(t)
	whole := imitate(t, behind, nil)
	_, notes := open(t, target.Options{Name: target.Endpoint, Endpoint: whole.URL})
	require.Equal(t, []string{"AWS API at " + whole.URL + " has every service that the stack uses."}, *notes)

	lacking := imitate(t, behind, free())
	opened, notes := open(t, target.Options{Name: target.Endpoint, Endpoint: lacking.URL, Lifetime: target.Kept})
	require.Len(t, *notes, 1)
	require.Contains(t, (*notes)[0], lacking.URL+" lacks application-autoscaling (DescribeScalableTargets), ecs (ListClusters), elbv2")
	require.Contains(t, (*notes)[0], "cannot be made there")
	require.Len(t, opened.Gaps, 5)
	require.Zero(t, opened.PID(), "what it lacks is not looked for elsewhere")

	before := lacking.calls.Load()
	_, notes = open(t, target.Options{Name: target.Endpoint, Endpoint: lacking.URL, Lifetime: target.Recorded})
	require.Empty(t, *notes, "what was deployed is there")
	require.Equal(t, before+1, lacking.calls.Load(), "only who is calling is asked")
}

func TestAnEndpointMayHaveACertificateAPathAndCredentialsOfItsOwn(t *testing.T) {
	behind := localMoto(t)
	address, err := url.Parse(behind.Endpoint)
	require.NoError(t, err)
	keys := sync.Map{}
	proxy := http.StripPrefix("/aws", httputil.NewSingleHostReverseProxy(address))
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential="), "/")
		keys.Store(key, true)
		if key == "AKIDSTRANGER" {
			http.Error(w, "<ErrorResponse><Error><Code>InvalidClientTokenId</Code></Error></ErrorResponse>", http.StatusForbidden)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	options := target.Options{Name: target.Endpoint, Endpoint: server.URL + "/aws/"}
	require.True(t, strings.HasSuffix(options.Key(), "-aws"), "two clouds at one address keep their states apart")

	t.Setenv("AWS_CA_BUNDLE", "")
	t.Setenv("AWS_PROFILE", "")
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDSTRANGER")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	_, err = target.Open(t.Context(), options)
	require.ErrorContains(t, err, "is not trusted")
	require.ErrorContains(t, err, "AWS_CA_BUNDLE")

	bundle := filepath.Join(t.TempDir(), "authority.pem")
	t.Setenv("AWS_CA_BUNDLE", bundle)
	require.ErrorContains(t, options.Fault(), "AWS_CA_BUNDLE: open")
	require.NoError(t, os.WriteFile(bundle, []byte("nothing"), 0o600))
	require.ErrorContains(t, options.Fault(), "there is no certificate in "+bundle)
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	require.NoError(t, os.WriteFile(bundle, certificate, 0o600))
	_, err = target.Open(t.Context(), options)
	require.ErrorContains(t, err, "does not accept the credentials")

	keys.Clear()
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDCALLER")
	opened, notes := open(t, options)
	require.Equal(t, []string{"AWS API at " + server.URL + "/aws has every service that the stack uses."}, *notes)
	clients := cloud.NewClients(opened.Config)
	_, err = clients.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("under-a-path")})
	require.NoError(t, err)
	_, err = clients.S3.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String("under-a-path")})
	require.NoError(t, err)
	keys.Range(func(key, _ any) bool { return assert.Equal(t, "AKIDCALLER", key) })
	require.Equal(t, bundle, opened.Env()["AWS_CA_BUNDLE"])
	require.Equal(t, server.URL+"/aws", opened.Env()["AWS_ENDPOINT_URL"])
	require.NotContains(t, opened.Env(), "AWS_ACCESS_KEY_ID", "the engine has those of the environment too")

	keys.Clear()
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	opened, _ = open(t, options)
	keys.Range(func(key, _ any) bool { return assert.Equal(t, "test", key, "nobody named any") })
	require.Equal(t, "test", opened.Env()["AWS_ACCESS_KEY_ID"])
}

func TestASplitCloudIsOneCloud(t *testing.T) {
	fake := imitate(t, localMoto(t), free())
	opened, notes := open(t, target.Options{Name: target.LocalStack, Endpoint: fake.URL})
	require.NotZero(t, opened.PID(), "a local emulator has the rest")
	require.Len(t, *notes, 1)
	require.Contains(t, (*notes)[0], "lacks application-autoscaling (DescribeScalableTargets), ecs (ListClusters), elbv2")
	require.Regexp(t, `^LocalStack 0\.0\.1 imitated at http://\S+: cloudwatch, events, iam, .*; local moto \d\S*: acm, .*wafv2$`, opened.Where())

	identity, err := cloud.NewClients(opened.Config).STS.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	require.NoError(t, err)
	require.Equal(t, imitatedAccount, aws.ToString(identity.Account))
	cluster, err := cloud.NewClients(opened.Config).ECS.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: aws.String("split")})
	require.NoError(t, err)
	require.Contains(t, aws.ToString(cluster.Cluster.ClusterArn), ":"+imitatedAccount+":", "both emulators are of one account")
	queue, err := cloud.NewClients(opened.Config).SQS.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("split")})
	require.NoError(t, err)
	require.Contains(t, aws.ToString(queue.QueueUrl), imitatedAccount)
	before := fake.calls.Load()
	_, err = cloud.NewClients(opened.Config).SecretsManager.ListSecrets(t.Context(), &secretsmanager.ListSecretsInput{})
	require.NoError(t, err)
	require.Equal(t, before+1, fake.calls.Load(), "LocalStack's own services are asked there")

	database, err := cloud.NewClients(opened.Config).RDS.CreateDBCluster(t.Context(), &rds.CreateDBClusterInput{
		DBClusterIdentifier: aws.String("split"), Engine: aws.String("aurora-postgresql"), StorageEncrypted: aws.Bool(true),
		MasterUsername: aws.String("master"), MasterUserPassword: aws.String("not-a-secret"),
	})
	require.NoError(t, err)
	require.Nil(t, database.DBCluster.KmsKeyId, "the keys are LocalStack's, which would not know one of moto's")

	env := opened.Env()
	require.Equal(t, fake.URL, env["AWS_ENDPOINT_URL_SECRETS_MANAGER"])
	require.Equal(t, fake.URL, env["AWS_ENDPOINT_URL_STS"])
	require.NotContains(t, env, "AWS_ENDPOINT_URL_ECS")
	require.NotEqual(t, fake.URL, env["AWS_ENDPOINT_URL"])
	require.True(t, listening(env["AWS_ENDPOINT_URL"]))

	require.NoError(t, opened.Close())
	require.False(t, listening(env["AWS_ENDPOINT_URL"]))
	require.True(t, listening(fake.URL))
}

func TestAKeptSplitCloudIsFoundAgainAsItWas(t *testing.T) {
	fake := imitate(t, localMoto(t), free())
	home := t.TempDir()
	options := target.Options{Name: target.LocalStack, Endpoint: fake.URL, Lifetime: target.Kept, Home: home}
	first, _ := open(t, options)
	t.Cleanup(func() { _ = target.StopKept(context.Background(), home, nil) })
	require.NoError(t, first.Close())

	fake.mutex.Lock()
	fake.answers = nil // as after a change of licence: what was deployed has not moved
	fake.mutex.Unlock()
	options.Lifetime = target.Recorded
	again, notes := open(t, options)
	require.Equal(t, first.Where(), again.Where())
	require.Equal(t, first.Env(), again.Env())
	require.Empty(t, *notes)

	require.NoError(t, target.StopKept(t.Context(), home, nil))
	require.False(t, listening(first.Env()["AWS_ENDPOINT_URL"]))
	require.True(t, listening(fake.URL))
}

func TestAGlobalEndpointVariableIsRefusedBeforeAnythingStarts(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
	_, err := target.Open(t.Context(), target.Options{Name: target.LocalStack, Image: "none.invalid/none:1.0"})
	require.ErrorContains(t, err, "AWS_ENDPOINT_URL is set")
	require.ErrorContains(t, err, "LOCALSTACK_ENDPOINT")
	require.NotContains(t, err.Error(), "\n")
}
