package balancer

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// policy is what a security policy says, as far as Go's TLS can do it. Go has no CBC suites with SHA-256 or SHA-384 and none
// of finite-field Diffie-Hellman: they are left out.
type policy struct {
	least, most uint16
	suites      []uint16 // of TLS 1.2 and below; those of 1.3 are all offered
	quantum     bool     // post-quantum key exchange
}

var (
	// restricted are forward secret with authenticated encryption, extended adds CBC, and broad adds RSA key exchange.
	restricted = []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	}
	withCBC = slices.Concat(restricted, []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
	})
	withRSA = slices.Concat(restricted, []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384})
	withAll = slices.Concat(withCBC, []uint16{
		tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_256_CBC_SHA,
	})
)

// policies are those of https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html without
// the FIPS ones, which promise a module that Go's default build does not use.
var policies = map[string]policy{
	"ELBSecurityPolicy-TLS13-1-3-PQ-2025-09":      {tls.VersionTLS13, tls.VersionTLS13, nil, true},
	"ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09":  {tls.VersionTLS12, tls.VersionTLS13, restricted, true},
	"ELBSecurityPolicy-TLS13-1-2-PQ-2025-09":      {tls.VersionTLS12, tls.VersionTLS13, restricted, true},
	"ELBSecurityPolicy-TLS13-1-2-Ext1-PQ-2025-09": {tls.VersionTLS12, tls.VersionTLS13, withRSA, true},
	"ELBSecurityPolicy-TLS13-1-2-Ext2-PQ-2025-09": {tls.VersionTLS12, tls.VersionTLS13, withAll, true},
	"ELBSecurityPolicy-TLS13-1-3-2021-06":         {tls.VersionTLS13, tls.VersionTLS13, nil, false},
	"ELBSecurityPolicy-TLS13-1-2-Res-2021-06":     {tls.VersionTLS12, tls.VersionTLS13, restricted, false},
	"ELBSecurityPolicy-TLS13-1-2-2021-06":         {tls.VersionTLS12, tls.VersionTLS13, restricted, false},
	"ELBSecurityPolicy-TLS13-1-2-Ext1-2021-06":    {tls.VersionTLS12, tls.VersionTLS13, withRSA, false},
	"ELBSecurityPolicy-TLS13-1-2-Ext2-2021-06":    {tls.VersionTLS12, tls.VersionTLS13, withAll, false},
	"ELBSecurityPolicy-TLS13-1-1-2021-06":         {tls.VersionTLS11, tls.VersionTLS13, withAll, false},
	"ELBSecurityPolicy-TLS13-1-0-2021-06":         {tls.VersionTLS10, tls.VersionTLS13, withAll, false},
	"ELBSecurityPolicy-FS-1-2-Res-2020-10":        {tls.VersionTLS12, tls.VersionTLS12, restricted, false},
	"ELBSecurityPolicy-FS-1-2-Res-2019-08":        {tls.VersionTLS12, tls.VersionTLS12, restricted, false},
	"ELBSecurityPolicy-FS-1-2-2019-08":            {tls.VersionTLS12, tls.VersionTLS12, withCBC, false},
	"ELBSecurityPolicy-FS-1-1-2019-08":            {tls.VersionTLS11, tls.VersionTLS12, withCBC, false},
	"ELBSecurityPolicy-FS-2018-06":                {tls.VersionTLS10, tls.VersionTLS12, withCBC, false},
	"ELBSecurityPolicy-TLS-1-2-Ext-2018-06":       {tls.VersionTLS12, tls.VersionTLS12, withAll, false},
	"ELBSecurityPolicy-TLS-1-2-2017-01":           {tls.VersionTLS12, tls.VersionTLS12, withRSA, false},
	"ELBSecurityPolicy-TLS-1-1-2017-01":           {tls.VersionTLS11, tls.VersionTLS12, withAll, false},
	"ELBSecurityPolicy-2016-08":                   {tls.VersionTLS10, tls.VersionTLS12, withAll, false},
	"ELBSecurityPolicy-2015-05":                   {tls.VersionTLS10, tls.VersionTLS12, withAll, false},
}

// classical and hybrid are the key exchanges without and with the post-quantum ones that AWS names.
var (
	classical = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384}
	hybrid    = slices.Concat([]tls.CurveID{tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024}, classical)
)

// serverTLS is the configuration of an HTTPS listener. The name that a client asks for (SNI) chooses among the certificates;
// without one that fits the default is presented.
func serverTLS(l Listener, http2 bool) (*tls.Config, error) {
	name := "ELBSecurityPolicy-2016-08" // the API's default
	if l.SslPolicy != nil {
		name = *l.SslPolicy
	}
	policy, known := policies[name]
	switch {
	case !known:
		return nil, fmt.Errorf("security policy %s is not supported", name)
	case len(l.Certificates) == 0:
		return nil, errors.New("an HTTPS listener needs a certificate")
	case l.MutualAuthentication != nil && cmp.Or(aws.ToString(l.MutualAuthentication.Mode), "off") != "off":
		return nil, errors.New("mutual authentication is not supported")
	}
	curves, protocols := classical, []string{"http/1.1"}
	if policy.quantum {
		curves = hybrid
	}
	if http2 {
		protocols = []string{"h2", "http/1.1"}
	}
	certificates := l.Certificates
	return &tls.Config{
		MinVersion: policy.least, MaxVersion: policy.most, CipherSuites: policy.suites, CurvePreferences: curves, NextProtos: protocols,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			chosen, named := choose(certificates, hello)
			if client, is := hello.Conn.(*clientConn); is {
				client.certificate = chosen.ARN
				if named {
					client.domain = hello.ServerName
				}
			}
			return &chosen.Certificate, nil
		},
	}, nil
}

// choose is the certificate for a client, and whether it has the name that the client asked for.
func choose(certificates []Certificate, hello *tls.ClientHelloInfo) (*Certificate, bool) {
	if hello.ServerName != "" {
		for i := range certificates {
			if hello.SupportsCertificate(&certificates[i].Certificate) == nil {
				return &certificates[i], true
			}
		}
	}
	return &certificates[0], false
}

// targetTLS is for connections to targets, whose certificates an Application Load Balancer does not verify:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html#target-group-routing-configuration
func targetTLS() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, ClientSessionCache: tls.NewLRUClientSessionCache(0)} //nolint:gosec // as AWS
}

// cipherName is a cipher suite's name in OpenSSL's form, as access logs have it. Those of TLS 1.3 are the same in both.
func cipherName(suite uint16) string {
	name := tls.CipherSuiteName(suite)
	if _, rest, old := strings.Cut(name, "_WITH_"); old {
		exchange := strings.TrimPrefix(strings.TrimSuffix(name, "_WITH_"+rest), "TLS_")
		rest = strings.NewReplacer("AES_128_GCM", "AES128-GCM", "AES_256_GCM", "AES256-GCM", "AES_128_CBC", "AES128", "AES_256_CBC", "AES256", "_", "-").Replace(rest)
		if exchange == "RSA" {
			return rest
		}
		return strings.ReplaceAll(exchange, "_", "-") + "-" + rest
	}
	return name
}

// versionName is a TLS version as access logs have it.
func versionName(version uint16) string {
	return map[uint16]string{tls.VersionTLS10: "TLSv1", tls.VersionTLS11: "TLSv1.1", tls.VersionTLS12: "TLSv1.2", tls.VersionTLS13: "TLSv1.3"}[version]
}
