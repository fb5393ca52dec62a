package unit_test

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
)

// keyPair is the imported certificate and its key.
func keyPair(t *testing.T, seed byte, name string) (certificate, key string) {
	t.Helper()
	r := newRecorder()
	r.Seed = seed
	require.NoError(t, r.run(map[string]string{lib.ConfigEnvironmentSuffix: name}))
	imported := r.one(t, "certificate")
	assert.False(t, imported.inputs["certificateBody"].IsSecret(), "the certificate's public half is hidden")
	return imported.plain["certificateBody"].(string), imported.plain["privateKey"].(string)
}

func TestTheSelfSignedCertificateIsTheSameInEveryRun(t *testing.T) {
	certificate, key := keyPair(t, 1, "dev")
	again, keyAgain := keyPair(t, 1, "dev")
	assert.Equal(t, []string{certificate, key}, []string{again, keyAgain})
	other, otherKey := keyPair(t, 2, "dev")
	assert.NotEqual(t, certificate, other, "another seed gave the same certificate")
	assert.NotEqual(t, key, otherKey, "another seed gave the same key")
	other, _ = keyPair(t, 1, "prod")
	assert.NotEqual(t, certificate, other, "another environment got the same certificate")
}

func TestTheSelfSignedCertificateIsOneThatServersAccept(t *testing.T) {
	certificate, key := keyPair(t, 3, "dev")
	_, err := tls.X509KeyPair([]byte(certificate), []byte(key))
	require.NoError(t, err)
	block, rest := pem.Decode([]byte(certificate))
	require.NotNil(t, block)
	assert.Equal(t, "CERTIFICATE", block.Type)
	assert.Empty(t, rest, "of the secret nothing but the public half is taken out")
	parsed, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	require.IsType(t, &ecdsa.PublicKey{}, parsed.PublicKey)
	assert.Equal(t, "P-256", parsed.PublicKey.(*ecdsa.PublicKey).Curve.Params().Name)
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	_, err = parsed.Verify(x509.VerifyOptions{
		DNSName: "payments-dev.internal", Roots: roots, CurrentTime: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC),
	})
	assert.NoError(t, err)
}

func TestAMalformedSeedStopsTheProgram(t *testing.T) {
	r := newRecorder()
	r.brokenSeed = true
	require.ErrorContains(t, r.run(nil), "reading the certificate seed")
}
