package lifecycle

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// bucketAt opens the bucket "states" of whatever answers at endpoint.
func bucketAt(t *testing.T, endpoint string) *Bucket {
	t.Helper()
	bucket, err := OpenBucket(t.Context(), BucketOptions{Project: "toy", Backend: "s3://states/team", Env: map[string]string{
		"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
	}})
	require.NoError(t, err)
	return bucket
}

func TestEachRefusalOfS3IsToldWithItsRemedy(t *testing.T) {
	for code, c := range map[string]struct {
		status      int
		cause, next string
	}{
		"AccessDenied":      {403, "the credentials may not do that (AccessDenied)", "The states need s3:ListBucket on the bucket"},
		"NoSuchBucket":      {404, "there is no such bucket (NoSuchBucket)", "Correct --backend"},
		"PermanentRedirect": {301, "the bucket is in another region (PermanentRedirect)", "Name its region in --backend"},
		"ExpiredToken":      {400, "AWS does not accept the credentials of this environment (ExpiredToken)", "Set AWS_PROFILE"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>no</Message></Error>", code)
		}))
		bucket := bucketAt(t, server.URL)
		_, listing := bucket.List(t.Context())
		_, reading := bucket.Config(t.Context(), "dev")
		writing := bucket.write(t.Context(), bucket.settings("dev"), []byte("{}"))
		forgetting := bucket.Forget(t.Context(), "dev")
		_, holding := bucket.holders(t.Context(), "dev")
		server.Close()
		for doing, err := range map[string]error{
			"looking for states":                       listing,
			"reading .tapstack/toy/Pulumi.dev.yaml":    reading,
			"writing .tapstack/toy/Pulumi.dev.yaml":    writing,
			"looking for states ":                      forgetting,
			"looking for states in s3://states/team: ": holding,
		} {
			var fault *StateError
			require.ErrorAs(t, err, &fault, "%s: %s", code, doing)
			require.Equal(t, c.cause, fault.Cause)
			require.Contains(t, fault.Next, c.next)
			require.Contains(t, err.Error(), doing)
			require.Contains(t, err.Error(), "in s3://states/team: ")
		}
	}
}

func TestAnS3ThatDoesNotAnswerIsNamed(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	endpoint := "http://" + listener.Addr().String()
	require.NoError(t, listener.Close())
	_, err = bucketAt(t, endpoint).Exists(t.Context(), "dev")
	require.ErrorContains(t, err, "looking for states in s3://states/team: ")
	require.ErrorContains(t, err, listener.Addr().String())
	require.NotContains(t, err.Error(), "\n")
}

func TestMissingCredentialsAreToldAsSuch(t *testing.T) {
	for name, value := range map[string]string{ //nolint:gosec // there are none
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_PROFILE": "",
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_WEB_IDENTITY_TOKEN_FILE": "", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI": "",
	} {
		t.Setenv(name, value)
	}
	bucket, err := OpenBucket(t.Context(), BucketOptions{Project: "toy", Backend: "s3://states"})
	require.NoError(t, err)
	_, err = bucket.Exists(t.Context(), "dev")
	require.EqualError(t, err, "looking for states in s3://states: this environment has no AWS credentials that work\n"+signIn)
}

func TestTheEngineGetsACompletePlaceAndKey(t *testing.T) {
	bucket, err := OpenBucket(t.Context(), BucketOptions{ //nolint:gosec // there are none
		Project: "toy", Backend: "s3://states/team/?ssetype=aws:kms&kmskeyid=alias/states", SecretsProvider: "awskms:///arn:aws:kms:eu-central-1:123456789012:key/1?region=eu-central-1&context_team=a",
		Env: map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
	})
	require.NoError(t, err)
	require.Equal(t, "s3://states/team?awssdk=v2&kmskeyid=alias%2Fstates&region=us-east-1&ssetype=aws%3Akms", bucket.backend)
	require.Equal(t, "awskms:///arn:aws:kms:eu-central-1:123456789012:key/1?awssdk=v2&context_team=a&region=eu-central-1", bucket.secrets)
	require.Equal(t, "s3://states/team", bucket.String())
}

func TestCredentialsOfTheTargetKeepThoseOfTheProcessOut(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "production")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "production")
	for id, env := range map[string]map[string]string{
		"test":       {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_ENDPOINT_URL": ""},
		"production": {"AWS_REGION": "us-east-1"},
	} {
		bucket, err := OpenBucket(t.Context(), BucketOptions{Project: "toy", Backend: "s3://states", Env: env})
		require.NoError(t, err)
		used, err := bucket.client.Options().Credentials.Retrieve(t.Context())
		require.NoError(t, err)
		require.Equal(t, id, used.AccessKeyID)
		require.Nil(t, bucket.client.Options().BaseEndpoint)
	}
}

func TestTheStatesAreWhereTheTargetIsWhosesoeverTheCredentials(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "the-users")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "the-users")
	const endpoint = "http://127.0.0.1:4566"
	for _, key := range []string{"", "test"} {
		bucket, err := OpenBucket(t.Context(), BucketOptions{Project: "toy", Backend: "s3://states", Env: map[string]string{
			"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": key,
		}})
		require.NoError(t, err)
		require.Equal(t, endpoint, *bucket.client.Options().BaseEndpoint)
	}
}
