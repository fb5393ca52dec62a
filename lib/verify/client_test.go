package verify

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	acmtypes "github.com/aws/aws-sdk-go-v2/service/acm/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// standIn is a load balancer on this machine. A request is answered by the table, else by rest.
type standIn struct {
	least, most uint16
	plain       bool // port 443 speaks no TLS
	secure      map[string]says
	rest        says
	insecure    says
	serial      string // that ACM tells; empty for the true one
	// while is what all requests over TLS get for a time; nil for never.
	while func() (says, bool)
}

// says is an answer; its location gets host and request URI of the request.
type says struct {
	status   int
	balancer bool
	location string
}

func (a says) serve(w http.ResponseWriter, r *http.Request) {
	if a.balancer {
		w.Header().Set("Server", "awselb/2.0")
	}
	if a.location != "" {
		w.Header().Set("Location", strings.NewReplacer("{host}", r.Host, "{uri}", r.RequestURI).Replace(a.location))
	}
	w.WriteHeader(a.status)
}

func soundALB() standIn {
	return standIn{
		least: tls.VersionTLS12, most: tls.VersionTLS13,
		secure:   map[string]says{healthPath: {status: 200}, samplePath: {status: 401}},
		rest:     says{status: 404, balancer: true},
		insecure: says{status: 301, balancer: true, location: "https://{host}:443{uri}"},
	}
}

// open serves until the test ends; the API tells of it as of a load balancer with a network interface.
func (d standIn) open(t *testing.T) (acts, *stage) {
	t.Helper()
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.while != nil {
			if a, now := d.while(); now {
				a.serve(w, r)
				return
			}
		}
		if a, ok := d.secure[r.URL.Path]; ok {
			a.serve(w, r)
			return
		}
		d.rest.serve(w, r)
	}))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // else it tells of every client that goes away
	secure.TLS = &tls.Config{MinVersion: d.least, MaxVersion: d.most}
	if d.plain {
		secure.Start()
	} else {
		secure.StartTLS()
		if d.serial == "" {
			d.serial = secure.Certificate().SerialNumber.Text(16)
		}
	}
	insecure := httptest.NewServer(http.HandlerFunc(d.insecure.serve))
	t.Cleanup(secure.Close)
	t.Cleanup(insecure.Close)
	return albAPI(d.serial), &stage{ports: map[string]string{
		"443": secure.Listener.Addr().String(), "80": insecure.Listener.Addr().String(),
	}}
}

func albAPI(serial string) acts {
	return acts{
		"DescribeLoadBalancers": &elb.DescribeLoadBalancersOutput{LoadBalancers: []elbtypes.LoadBalancer{
			{LoadBalancerArn: aws.String(testALB), DNSName: aws.String("alb-dev-1.us-east-1.elb.amazonaws.com")},
		}},
		"DescribeNetworkInterfaces": showing(albInterfaces()...),
		"DescribeListeners": &elb.DescribeListenersOutput{Listeners: []elbtypes.Listener{
			{Port: aws.Int32(443), Certificates: []elbtypes.Certificate{{CertificateArn: aws.String("arn:aws:acm:us-east-1:123456789012:certificate/1")}}},
		}},
		"DescribeCertificate": &acm.DescribeCertificateOutput{Certificate: &acmtypes.CertificateDetail{Serial: aws.String(colons(serial))}},
		"ListTasks":           &ecs.ListTasksOutput{TaskArns: []string{"arn:aws:ecs:us-east-1:123456789012:task/1"}},
		"DescribeTasks":       &ecs.DescribeTasksOutput{Tasks: []ecstypes.Task{{LastStatus: aws.String("RUNNING")}}},
	}
}

func albInterfaces() []ec2types.NetworkInterface {
	return []ec2types.NetworkInterface{
		{NetworkInterfaceId: aws.String("eni-1"), Description: aws.String("ELB app/alb-dev/50dc6c495c0c9188"), VpcId: aws.String("vpc-1")},
	}
}

func showing(interfaces ...ec2types.NetworkInterface) *ec2.DescribeNetworkInterfacesOutput {
	return &ec2.DescribeNetworkInterfacesOutput{NetworkInterfaces: interfaces}
}

// colons is a serial number as ACM writes it: 0a:1b:2c.
func colons(serial string) string {
	n, _ := new(big.Int).SetString(serial, 16)
	return strings.ReplaceAll(fmt.Sprintf("% x", n.Bytes()), " ", ":")
}

func clientCheckIDs() []string {
	return []string{"alb.answers", "alb.answers-404", "alb.tls-spoken", "alb.redirects"}
}

func TestTheLoadBalancerIsHeldToWhatAClientGets(t *testing.T) {
	for what, c := range map[string]struct {
		change func(*standIn)
		reds   []string
	}{
		"sound":               {func(*standIn) {}, nil},
		"TLS 1.1 is accepted": {func(d *standIn) { d.least = tls.VersionTLS11 }, []string{"alb.tls-spoken"}},
		"TLS 1.0 is accepted": {func(d *standIn) { d.least = tls.VersionTLS10 }, []string{"alb.tls-spoken"}},
		"no TLS 1.3":          {func(d *standIn) { d.most = tls.VersionTLS12 }, []string{"alb.tls-spoken"}},
		"no TLS 1.2":          {func(d *standIn) { d.least = tls.VersionTLS13 }, []string{"alb.tls-spoken"}},
		"another certificate": {func(d *standIn) { d.serial = "0badcafe" }, []string{"alb.tls-spoken"}},
		"plain text on 443":   {func(d *standIn) { d.plain, d.serial = true, "01" }, []string{"alb.answers", "alb.answers-404", "alb.tls-spoken"}},
		"no redirect":         {func(d *standIn) { d.insecure = says{status: 200} }, []string{"alb.redirects"}},
		"a passing redirect":  {func(d *standIn) { d.insecure.status = 302 }, []string{"alb.redirects"}},
		"a redirect to another host": {
			func(d *standIn) { d.insecure.location = "https://evil.example.com{uri}" }, []string{"alb.redirects"},
		},
		"a redirect to another path": {func(d *standIn) { d.insecure.location = "https://{host}/" }, []string{"alb.redirects"}},
		"a redirect to plain text":   {func(d *standIn) { d.insecure.location = "http://{host}{uri}" }, []string{"alb.redirects"}},
		"a redirect to another port": {func(d *standIn) { d.insecure.location = "https://{host}:8443{uri}" }, []string{"alb.redirects"}},
		"an unhealthy service":       {func(d *standIn) { d.secure[healthPath] = says{status: 503} }, []string{"alb.answers"}},
		"health answered by the load balancer itself": {
			func(d *standIn) { d.secure[healthPath] = says{status: 200, balancer: true} }, []string{"alb.answers"},
		},
		"no service behind the API":  {func(d *standIn) { d.secure[samplePath] = says{status: 503, balancer: true} }, []string{"alb.answers"}},
		"no rule for the API":        {func(d *standIn) { delete(d.secure, samplePath) }, []string{"alb.answers"}},
		"an API that fails":          {func(d *standIn) { d.secure[samplePath] = says{status: 500} }, []string{"alb.answers"}},
		"anything answered with 200": {func(d *standIn) { d.rest = says{status: 200, balancer: true} }, []string{"alb.answers-404"}},
		"unknown paths passed on":    {func(d *standIn) { d.rest = says{status: 404} }, []string{"alb.answers-404"}},
	} {
		t.Run(what, func(t *testing.T) {
			d := soundALB()
			c.change(&d)
			cloud, network := d.open(t)
			assert.Equal(t, c.reds, reds(t, cloud.run(t, network, clientCheckIDs()...)))
		})
	}
}

func TestALoadBalancerThatTakesNoConnectionIsRed(t *testing.T) {
	cloud, _ := soundALB().open(t)
	assert.Equal(t, clientCheckIDs(), reds(t, cloud.run(t, &stage{}, clientCheckIDs()...)))
}

func TestAServerThatSaysNothingIsNotTakenForOneThatRefuses(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	d := albEndpoint{network: &stage{ports: map[string]string{"443": listener.Addr().String()}}, name: "alb", host: "api.example.com"}
	ctx, cancel := context.WithTimeout(t.Context(), shortWait)
	defer cancel()
	_, refused, err := d.handshake(ctx, tls.VersionTLS11)
	require.NoError(t, refused)
	require.Error(t, err)
}

func TestANameThatMayBeSomebodyElsesIsNeverLookedUp(t *testing.T) {
	cloud, network := soundALB().open(t)
	cloud["DescribeNetworkInterfaces"] = &ec2.DescribeNetworkInterfacesOutput{NetworkInterfaces: []ec2types.NetworkInterface{
		{NetworkInterfaceId: aws.String("eni-2"), Description: aws.String("ELB app/alb-mydev/50dc6c495c0c9188")},
	}}
	report := cloud.run(t, network, clientCheckIDs()...)
	assert.Equal(t, len(clientCheckIDs()), report.Counts.NotObservable)
	cloud["DescribeNetworkInterfaces"] = fmt.Errorf("denied")
	report = cloud.run(t, network, clientCheckIDs()...)
	assert.Equal(t, len(clientCheckIDs()), report.Counts.Failed, "what the API does not tell is no gap")
	assert.Zero(t, network.dialed.Load())
}
