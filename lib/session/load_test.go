package session

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
	"tapstack/lib/cloud/cloudtest"
	"tapstack/lib/load"
	"tapstack/lib/target"
)

func TestALoadGoesToTheLoadBalancerByTheAPIsNameWithTheKeyOfItsSecret(t *testing.T) {
	var accepted, refused atomic.Int32
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host[:11] != "alb.invalid" || r.Header.Get("Authorization") != "Bearer "+load.Credential([]byte("from-the-secret"), "load-1") {
			refused.Add(1)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		accepted.Add(1)
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"id":"pay_1"}`))
	}))
	defer server.Close()
	address, err := url.Parse(server.URL)
	require.NoError(t, err)
	value := `{"apiKey":"from-the-secret"}`
	s, _ := New(t.Context(), Options{})
	s.Cloud = &target.Target{Name: target.Local, Config: cloudtest.Config(func(call string, input any) (any, error) {
		switch in := input.(type) {
		case *secretsmanager.GetSecretValueInput:
			assert.Equal(t, "arn:of-the-keys", *in.SecretId)
			return &secretsmanager.GetSecretValueOutput{SecretString: &value}, nil
		case *elb.DescribeListenersInput:
			assert.Equal(t, "arn:of-the-balancer", *in.LoadBalancerArn)
			return &elb.DescribeListenersOutput{Listeners: []elbtypes.Listener{
				{Port: aws.Int32(80)}, {Port: aws.Int32(443), Certificates: []elbtypes.Certificate{{CertificateArn: aws.String("arn:of-the-certificate")}}},
			}}, nil
		case *acm.GetCertificateInput:
			assert.Equal(t, "arn:of-the-certificate", *in.CertificateArn)
			return &acm.GetCertificateOutput{Certificate: aws.String(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))}, nil
		}
		return nil, cloudtest.Refusal(call)
	})}
	outputs := map[string]any{
		lib.OutputAPIURL: "https://alb.invalid:" + address.Port(), lib.OutputAlbDNSName: "127.0.0.1",
		lib.OutputAlbArn: "arn:of-the-balancer", lib.OutputAPIKeysSecretArn: "arn:of-the-keys",
	}
	api, err := s.paymentAPI(t.Context(), outputs, "")
	require.NoError(t, err)
	options := load.Options{API: api, Rate: 50, Duration: 200 * time.Millisecond, Arrivals: load.Fixed}
	result, err := s.Load(t.Context(), options)
	require.NoError(t, err)
	assert.Equal(t, 10, result.Acknowledged, "%v", result.Seen)
	assert.Equal(t, int32(10), accepted.Load())
	assert.Zero(t, refused.Load())

	value = "from-the-secret"
	api, err = s.paymentAPI(t.Context(), outputs, "")
	require.NoError(t, err)
	assert.Equal(t, []byte("from-the-secret"), api.Key, "a secret that is no JSON is the key")
	value = `{"other":"x"}`
	_, err = s.paymentAPI(t.Context(), outputs, "")
	require.EqualError(t, err, "the secret arn:of-the-keys has no field apiKey")
	delete(outputs, lib.OutputAPIKeysSecretArn)
	_, err = s.paymentAPI(t.Context(), outputs, "")
	require.ErrorContains(t, err, "no output apiKeysSecretArn")
}
