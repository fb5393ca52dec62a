package balancer_test

import (
	"crypto/tls"
	"net"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/dataplane/balancer"
)

// shake makes a TLS connection to the HTTPS listener.
func (b *balancing) shake(config *tls.Config) (tls.ConnectionState, error) {
	b.t.Helper()
	config.InsecureSkipVerify = true
	conn, err := (&tls.Dialer{NetDialer: &net.Dialer{}, Config: config}).DialContext(b.t.Context(), "tcp", b.Addresses()[443])
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer func() { _ = conn.Close() }()
	return conn.(*tls.Conn).ConnectionState(), nil
}

func TestTheSecurityPolicySaysWhichVersionsAndKeyExchanges(t *testing.T) {
	b := start(t, balancer.Options{})
	pair := certificate(t, "arn", "payments.internal")
	serving := func(policy string) {
		l := secure(t, fixed("x"), pair)
		l.SslPolicy = aws.String(policy)
		b.update(balancer.State{ARN: loadBalancerARN, Listeners: []balancer.Listener{l}})
	}
	version := func(only uint16) error {
		_, err := b.shake(&tls.Config{MinVersion: only, MaxVersion: only})
		return err
	}
	serving("ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09")
	require.Error(t, version(tls.VersionTLS10))
	require.Error(t, version(tls.VersionTLS11))
	require.NoError(t, version(tls.VersionTLS12))
	require.NoError(t, version(tls.VersionTLS13))
	for _, curve := range []tls.CurveID{tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024, tls.X25519, tls.CurveP256} {
		got, err := b.shake(&tls.Config{CurvePreferences: []tls.CurveID{curve}})
		require.NoError(t, err, curve)
		assert.Equal(t, curve, got.CurveID)
	}
	_, err := b.shake(&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}}) //nolint:gosec // what is to be refused
	require.Error(t, err, "CBC is not among the restricted ones")

	serving("ELBSecurityPolicy-TLS13-1-3-2021-06")
	require.Error(t, version(tls.VersionTLS12))
	require.NoError(t, version(tls.VersionTLS13))
	_, err = b.shake(&tls.Config{CurvePreferences: []tls.CurveID{tls.X25519MLKEM768}})
	require.Error(t, err, "no post-quantum key exchange without PQ in the name")

	serving("ELBSecurityPolicy-FS-1-2-2019-08")
	require.Error(t, version(tls.VersionTLS13))
	_, err = b.shake(&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}}) //nolint:gosec // as the policy
	require.NoError(t, err)
}

func TestTheNameAskedForChoosesTheCertificate(t *testing.T) {
	b := start(t, balancer.Options{})
	b.update(balancer.State{ARN: loadBalancerARN, Listeners: []balancer.Listener{secure(t, fixed("x"),
		certificate(t, "default", "payments.internal"), certificate(t, "second", "api.example.com"), certificate(t, "wild", "*.example.org"))}})
	for asked, expected := range map[string]string{
		"": "payments.internal", "payments.internal": "payments.internal", "api.example.com": "api.example.com", "x.example.org": "*.example.org",
		"unknown.example": "payments.internal",
	} {
		got, err := b.shake(&tls.Config{ServerName: asked})
		require.NoError(t, err)
		assert.Equal(t, expected, got.PeerCertificates[0].Subject.CommonName, asked)
	}
}

func TestACertificateIsReplacedAndSessionsAreResumed(t *testing.T) {
	b := start(t, balancer.Options{})
	s := balancer.State{ARN: loadBalancerARN, Attributes: map[string]string{"access_logs.s3.enabled": "true"}, Listeners: []balancer.Listener{secure(t, fixed("x"), certificate(t, "first", "a.example"))}}
	b.update(s)
	config := &tls.Config{InsecureSkipVerify: true, ServerName: "a.example", ClientSessionCache: tls.NewLRUClientSessionCache(4)} //nolint:gosec // a test
	get := func() *tls.ConnectionState {
		transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
		response, err := (&http.Client{Transport: transport}).Get("https://" + b.Addresses()[443]) //nolint:noctx // a test
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.TLS
	}
	assert.False(t, get().DidResume)
	b.update(s)
	assert.True(t, get().DidResume, "an update that changes nothing does not end sessions")
	require.Eventually(t, func() bool { return len(b.logged()) == 2 }, waiting, tick)
	assert.Equal(t, []string{"first", "session-reused"}, []string{fields(t, b.logged()[0])[19], fields(t, b.logged()[1])[19]})
	s.Listeners[0].Certificates = []balancer.Certificate{certificate(t, "second", "a.example")}
	b.update(s)
	config.ClientSessionCache = nil
	assert.Equal(t, s.Listeners[0].Certificates[0].Certificate.Certificate[0], get().PeerCertificates[0].Raw)
}

func TestHTTP2CanBeOff(t *testing.T) {
	b := start(t, balancer.Options{})
	s := balancer.State{ARN: loadBalancerARN, Attributes: map[string]string{"routing.http2.enabled": "false"}, Listeners: []balancer.Listener{secure(t, fixed("x"), certificate(t, "first", "a.example"))}}
	b.update(s)
	got, err := b.shake(&tls.Config{NextProtos: []string{"h2", "http/1.1"}})
	require.NoError(t, err)
	assert.Equal(t, "http/1.1", got.NegotiatedProtocol)
	s.Attributes = nil
	b.update(s)
	got, err = b.shake(&tls.Config{NextProtos: []string{"h2", "http/1.1"}})
	require.NoError(t, err)
	assert.Equal(t, "h2", got.NegotiatedProtocol)
}

func TestTargetsAreToldTheVersionAndCipherIfAsked(t *testing.T) {
	b := start(t, balancer.Options{})
	target, _ := serve(t, echo)
	s := state(target)
	s.Attributes["routing.http.x_amzn_tls_version_and_cipher_suite.enabled"] = "true"
	s.Listeners = []balancer.Listener{secure(t, forward(apiGroup), certificate(t, "arn", "a.example"))}
	b.update(s)
	b.await(target, "healthy")
	c := client(t)
	c.Transport.(*http.Transport).TLSClientConfig.MaxVersion = tls.VersionTLS12
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+b.Addresses()[443], http.NoBody)
	require.NoError(t, err)
	got := headers(t, send(t, c, request))
	assert.Equal(t, "TLSv1.2", got.Get("X-Amzn-Tls-Version"))
	assert.Equal(t, "ECDHE-ECDSA-AES128-GCM-SHA256", got.Get("X-Amzn-Tls-Cipher-Suite"))
}
