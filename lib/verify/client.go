package verify

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"tapstack/lib"
	"tapstack/lib/cloud"
)

// This file asks the load balancer over the network, as a client does. What the API says of its listeners is in
// loadbalancing.go.

const (
	// connectBound is how long a name made a moment ago may stay unknown to a resolver that has asked before (the negative
	// answers of amazonaws.com are kept for a minute), and then some.
	connectBound = 2 * time.Minute
	// requestBound bounds one connection with its request.
	requestBound = 15 * time.Second
	// healthRequests are enough for both services to be asked: with equal weights, one of 256 runs misses one of them.
	healthRequests = 9
	// samplePath is no path of any application's, so that the answer changes nothing.
	samplePath = "/api/tapstack-verify"
)

// capALBNetwork: a load balancer that takes connections has network interfaces, described "ELB app/name/id" (Elastic Load
// Balancing). Without one its name may be somebody else's by now, so that it is not even looked up.
var capALBNetwork = Capability{
	Name:   "elb.network",
	Reason: "the load balancer has no network interface: nothing can be sent to it",
	Probe: func(ctx context.Context, e *Env) (bool, error) {
		_, id, err := e.albInterface(ctx)
		return id != "", err
	},
}

func clientChecks() []Check {
	return []Check{
		{
			ID:    "alb.answers",
			Says:  "Functionality: all AWS services deployed and integrated correctly: a client gets answers of the services over HTTPS on /health and /api/*",
			Needs: []Capability{capALBNetwork, capTasks},
			Run:   recorded(overNetwork(answers)),
		},
		{
			ID:    "alb.answers-404",
			Says:  "Use Application Load Balancer with path-based routing rules: a client gets the load balancer's 404 for a path that no rule names",
			Needs: []Capability{capALBNetwork},
			Run:   recorded(overNetwork(answers404)),
		},
		{
			ID:    "alb.tls-spoken",
			Says:  "All data encryption at rest and in transit: a client gets TLS 1.3, or 1.2, with the listener's certificate, and nothing older",
			PCI:   []string{"4.2.1"},
			Needs: []Capability{capALBNetwork},
			Run:   recorded(overNetwork(tlsSpoken)),
		},
		{
			ID:    "alb.redirects",
			Says:  "All data encryption at rest and in transit: a client without TLS is sent to the same place over HTTPS",
			PCI:   []string{"4.2.1"},
			Needs: []Capability{capALBNetwork},
			Run:   recorded(overNetwork(redirects)),
		},
	}
}

// albEndpoint is the load balancer as clients reach it.
type albEndpoint struct {
	network Network
	arn     string
	name    string // its DNS name, which is dialled
	host    string // the name that clients call it by, which certificate and redirects are about
}

// albInterface is the load balancer's network interface; its id is empty where there is none.
func (e *Env) albInterface(ctx context.Context) (arn, id string, err error) {
	b, err1 := e.alb(ctx)
	all, err2 := e.cloud.NetworkInterfaces(ctx)
	if err := cmp.Or(err1, err2); err != nil {
		return "", "", err
	}
	arn = aws.ToString(b.LoadBalancerArn)
	_, resource, _ := strings.Cut(arn, ":loadbalancer/")
	i := slices.IndexFunc(all, func(n ec2types.NetworkInterface) bool { return aws.ToString(n.Description) == "ELB "+resource })
	if i < 0 {
		return arn, "", nil
	}
	return arn, aws.ToString(all[i].NetworkInterfaceId), nil
}

// reachableALB is the load balancer once it takes connections.
func (e *Env) reachableALB(ctx context.Context) (albEndpoint, error) {
	return cloud.Once(ctx, e.cloud, "the load balancer over the network", func(ctx context.Context) (albEndpoint, error) {
		arn, id, err := e.albInterface(ctx)
		if err != nil {
			return albEndpoint{}, err
		}
		if id == "" {
			return albEndpoint{}, fmt.Errorf("%s has no network interface", arn)
		}
		b, err1 := e.alb(ctx)
		output, err2 := e.output(lib.OutputAPIURL)
		if err := cmp.Or(err1, err2); err != nil {
			return albEndpoint{}, err
		}
		address, err := url.Parse(output)
		if err != nil || address.Hostname() == "" {
			return albEndpoint{}, fmt.Errorf("the stack's output %q is no URL: %q", lib.OutputAPIURL, output)
		}
		d := albEndpoint{e.network, arn, aws.ToString(b.DNSName), address.Hostname()}
		var last error
		open, err := e.poll(ctx, connectBound, func(ctx context.Context) (bool, error) {
			var c net.Conn
			if c, last = d.dial(ctx, httpsPort); last == nil {
				return true, c.Close()
			}
			return false, nil
		})
		if err == nil && !open {
			err = fmt.Errorf("%s takes no connection: %w", d.name, last)
		}
		return d, err
	})
}

func overNetwork(look func(ctx context.Context, e *Env, d albEndpoint, x subject) error) func(context.Context, *Env, *recorder) error {
	return func(ctx context.Context, e *Env, rec *recorder) error {
		d, err := e.reachableALB(ctx)
		if err != nil {
			return err
		}
		return look(ctx, e, d, rec.on(d.arn))
	}
}

func (d albEndpoint) dial(ctx context.Context, port int) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, requestBound)
	defer cancel()
	return d.network.DialContext(ctx, "tcp", net.JoinHostPort(d.name, strconv.Itoa(port)))
}

// handshake offers TLS versions from 1.0 up to one. Refused is what the other side has against it.
func (d albEndpoint) handshake(ctx context.Context, most uint16) (c *tls.Conn, refused, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestBound)
	defer cancel()
	plain, err := d.dial(ctx, httpsPort)
	if err != nil {
		return nil, nil, err
	}
	c = tls.Client(plain, &tls.Config{
		ServerName: d.host, MinVersion: tls.VersionTLS10, MaxVersion: most,
		InsecureSkipVerify: true, //nolint:gosec // the stack may sign its own certificate: which one is served is checked instead
	})
	if err := c.HandshakeContext(ctx); err != nil {
		_ = plain.Close()
		if ctx.Err() != nil {
			return nil, nil, fmt.Errorf("greeting %s: %w", d.name, err)
		}
		return nil, err, nil
	}
	return c, nil, nil
}

// reply is as much of an answer as checks look at.
type reply struct {
	status   int
	by       string
	location string
}

// Who answers. Answers that a load balancer makes itself name its server as awselb/2.0; those of targets pass as they are.
const (
	byService      = "a service"
	byLoadBalancer = "the load balancer"
)

// get sends one GET on a connection of its own, so that each may reach another target.
func (d albEndpoint) get(ctx context.Context, scheme, path string) (reply, error) {
	client := &http.Client{
		Timeout:       requestBound,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return d.dial(ctx, httpPort) },
			DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				c, refused, err := d.handshake(ctx, tls.VersionTLS13)
				if err == nil {
					err = refused
				}
				if err != nil {
					return nil, err
				}
				return c, nil
			},
		},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+d.host+path, nil)
	if err != nil {
		return reply{}, err
	}
	request.Header.Set("User-Agent", "tapstack-verify") // firewalls take offence at none
	response, err := client.Do(request)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20)); err != nil {
		return reply{}, fmt.Errorf("reading the answer to GET %s: %w", path, err)
	}
	r := reply{status: response.StatusCode, by: byService, location: response.Header.Get("Location")}
	if strings.HasPrefix(response.Header.Get("Server"), "awselb/") {
		r.by = byLoadBalancer
	}
	return r, nil
}

func answers(ctx context.Context, _ *Env, d albEndpoint, x subject) error {
	for range healthRequests {
		r, err := d.get(ctx, "https", healthPath)
		if err != nil {
			return err
		}
		x.equal("GET "+healthPath, http.StatusOK, r.status)
		x.equal("GET "+healthPath+" is answered by", byService, r.by)
	}
	r, err := d.get(ctx, "https", samplePath)
	if err != nil {
		return err
	}
	// Whatever the application says to a path that it does not know will do, if only it is the application that says it.
	x.record("GET "+samplePath, "an answer below 500", r.status, r.status < http.StatusInternalServerError)
	x.equal("GET "+samplePath+" is answered by", byService, r.by)
	return nil
}

func answers404(ctx context.Context, _ *Env, d albEndpoint, x subject) error {
	for _, path := range []string{"/", "/tapstack-verify", "/api"} {
		r, err := d.get(ctx, "https", path)
		if err != nil {
			return err
		}
		x.equal("GET "+path, http.StatusNotFound, r.status)
		x.equal("GET "+path+" is answered by", byLoadBalancer, r.by)
	}
	return nil
}

const refusedText = "refused"

func tlsSpoken(ctx context.Context, e *Env, d albEndpoint, x subject) error {
	served, err := e.servedSerial(ctx)
	if err != nil {
		return err
	}
	for _, offer := range []struct {
		most uint16
		want string
	}{
		{tls.VersionTLS13, tls.VersionName(tls.VersionTLS13)},
		{tls.VersionTLS12, tls.VersionName(tls.VersionTLS12)},
		{tls.VersionTLS11, refusedText},
		{tls.VersionTLS10, refusedText},
	} {
		c, refused, err := d.handshake(ctx, offer.most)
		if err != nil {
			return err
		}
		what := "a client that knows up to " + tls.VersionName(offer.most)
		if refused != nil {
			x.record(what, offer.want, fmt.Sprintf("%s: %v", refusedText, refused), offer.want == refusedText)
			continue
		}
		state := c.ConnectionState()
		_ = c.Close()
		x.equal(what, offer.want, tls.VersionName(state.Version))
		x.equal("serial number of the certificate", served, serialText(state.PeerCertificates[0].SerialNumber))
	}
	return nil
}

// servedSerial is the serial number of the HTTPS listener's certificate.
func (e *Env) servedSerial(ctx context.Context) (string, error) {
	l, err := e.listener(ctx, httpsPort)
	if err != nil {
		return "", err
	}
	if len(l.Certificates) != 1 {
		return "", fmt.Errorf("%s has %d certificates, not one", aws.ToString(l.ListenerArn), len(l.Certificates))
	}
	c, err := e.cloud.Certificate(ctx, aws.ToString(l.Certificates[0].CertificateArn))
	if err != nil {
		return "", err
	}
	serial, ok := new(big.Int).SetString(strings.ReplaceAll(aws.ToString(c.Serial), ":", ""), 16)
	if !ok {
		return "", fmt.Errorf("%s has the serial number %q", aws.ToString(c.CertificateArn), aws.ToString(c.Serial))
	}
	return serialText(serial), nil
}

func serialText(n *big.Int) string { return n.Text(16) }

func redirects(ctx context.Context, _ *Env, d albEndpoint, x subject) error {
	for _, place := range []string{healthPath, samplePath + "?page=2", "/"} {
		r, err := d.get(ctx, "http", place)
		if err != nil {
			return err
		}
		x.equal("GET "+place+" without TLS", http.StatusMovedPermanently, r.status)
		to, err := url.Parse(r.location)
		same := err == nil && to.Scheme == "https" && strings.EqualFold(to.Hostname(), d.host) &&
			(to.Port() == "" || to.Port() == strconv.Itoa(httpsPort)) && to.RequestURI() == place
		x.record("it is sent to", "https://"+d.host+place, orNone(r.location), same)
	}
	return nil
}
