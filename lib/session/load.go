package session

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"tapstack/lib"
	"tapstack/lib/cloud"
	"tapstack/lib/load"
)

// PaymentAPI is the stack's payment API as clients reach it: by its name, at the load balancer, whose certificate is trusted
// even where the stack has signed it itself. address and secret, where given, stand in for the stack's own URL and for the
// ARN of the secret with the API's key.
func (s *Session) PaymentAPI(ctx context.Context, address, secret string) (load.API, error) {
	outputs, err := s.Outputs(ctx)
	if err != nil {
		return load.API{}, err
	}
	api, err := s.paymentAPI(ctx, outputs, secret)
	api.URL = cmp.Or(address, api.URL)
	return api, interrupted(ctx, err)
}

func (s *Session) paymentAPI(ctx context.Context, outputs map[string]any, secret string) (load.API, error) {
	output := func(name string) string {
		text, _ := outputs[name].(string)
		return text
	}
	own, err := url.Parse(output(lib.OutputAPIURL))
	if err != nil {
		return load.API{}, fmt.Errorf("the stack's output %s: %w", lib.OutputAPIURL, err)
	}
	clients := cloud.NewClients(s.Cloud.Config)
	key, err := apiKey(ctx, clients, cmp.Or(secret, output(lib.OutputAPIKeysSecretArn)))
	if err != nil {
		return load.API{}, err
	}
	var standIns [][]byte
	if s.Plane != nil {
		status, err := s.Plane.Status(ctx)
		if err != nil {
			return load.API{}, err
		}
		if status.LoadBalancer != nil {
			standIns = status.LoadBalancer.StandIns
		}
	}
	trusted, err := trust(ctx, clients, output(lib.OutputAlbArn), standIns)
	if err != nil {
		return load.API{}, err
	}
	balancer, dial := output(lib.OutputAlbDNSName), (&net.Dialer{}).DialContext
	if network := s.network(); network != nil {
		dial = network.DialContext
	}
	return load.API{
		URL: own.String(), Key: key, TLS: trusted,
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			// A domain name need not lead to the load balancer yet.
			if host, port, err := net.SplitHostPort(address); err == nil && host == own.Hostname() {
				address = net.JoinHostPort(balancer, port)
			}
			return dial(ctx, network, address)
		},
	}, nil
}

// apiKey reads the field of the secret from which the API's tasks get API_KEY; a secret that is no JSON is the key itself.
func apiKey(ctx context.Context, clients *cloud.Clients, secret string) ([]byte, error) {
	if secret == "" {
		return nil, fmt.Errorf("the stack has no output %s: deploy it anew, or name the secret", lib.OutputAPIKeysSecretArn)
	}
	out, err := clients.SecretsManager.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &secret})
	if err != nil {
		return nil, fmt.Errorf("reading the payment API's key: %w", err)
	}
	var fields map[string]string
	if json.Unmarshal([]byte(aws.ToString(out.SecretString)), &fields) != nil {
		return []byte(aws.ToString(out.SecretString)), nil
	}
	if fields["apiKey"] == "" {
		return nil, fmt.Errorf("the secret %s has no field apiKey", secret)
	}
	return []byte(fields["apiKey"]), nil
}

// trust is, besides what this machine trusts, for the very certificates of a load balancer's listeners, whatever their names, since one that
// a stack has signed itself is not for the load balancer's, and for those that stand for them.
func trust(ctx context.Context, clients *cloud.Clients, balancer string, standIns [][]byte) (*tls.Config, error) {
	listeners, err := clients.ELB.DescribeListeners(ctx, &elb.DescribeListenersInput{LoadBalancerArn: &balancer})
	if err != nil {
		return nil, fmt.Errorf("reading the load balancer's listeners: %w", err)
	}
	known := map[string]bool{}
	for _, certificate := range standIns {
		known[string(certificate)] = true
	}
	for _, listener := range listeners.Listeners {
		for _, certificate := range listener.Certificates {
			out, err := clients.ACM.GetCertificate(ctx, &acm.GetCertificateInput{CertificateArn: certificate.CertificateArn})
			if err != nil {
				return nil, fmt.Errorf("reading the load balancer's certificate: %w", err)
			}
			if block, _ := pem.Decode([]byte(aws.ToString(out.Certificate))); block != nil {
				known[string(block.Bytes)] = true
			}
		}
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection does it
		VerifyConnection:   func(state tls.ConnectionState) error { return verified(state, known) },
	}, nil
}

// verified says what is wrong with the certificate of whoever answers, unless it is one of those that are known.
func verified(state tls.ConnectionState, known map[string]bool) error {
	leaf := state.PeerCertificates[0]
	if known[string(leaf.Raw)] {
		return nil
	}
	others := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		others.AddCert(c)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{DNSName: state.ServerName, Intermediates: others}); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
	}
	return nil
}

// Load posts payments and compares what was acknowledged with what is there. Others may work on the stack meanwhile: a
// deployment or a failover under load is what it is for.
func (s *Session) Load(ctx context.Context, options load.Options) (load.Result, error) {
	s.closeStack()
	s.lock.Release()
	s.lock = nil
	s.progress.Begin(Load, int(options.Duration.Milliseconds()))
	options.Progress = s.progress.Loaded
	result, err := load.Run(ctx, options)
	if err == nil && result.Reconciliation != nil && !result.Reconciliation.OK() {
		return result, s.end(ctx, result.Summary(), errLost)
	}
	return result, s.end(ctx, result.Summary(), err)
}

// errLost ends a load whose acknowledged payments are not what is there.
var errLost = errors.New("acknowledged payments are missing or different")
