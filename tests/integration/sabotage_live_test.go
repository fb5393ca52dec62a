package integration

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tapstack/lib"
)

// This file breaks what only a cloud shows that is reached over the network or acted upon. Where the local target has no
// network behind its API, a stand-in on this machine has: what it says goes through the same altering as the API's answers.

// doorAnswer is the load balancer's answer to a request.
type doorAnswer struct {
	scheme, path string
	status       int
	balancer     bool // it is the load balancer's own
	location     string
}

// doorTLS is what the load balancer speaks.
type doorTLS struct{ least, most uint16 }

// lookedUp is where a name leads.
type lookedUp struct {
	name      string
	addresses []string
}

// plainAnswer is what becomes of a call of the API without TLS.
type plainAnswer struct {
	service string // as signatures name it
	refused bool
}

// network is one that has the load balancer at its end, as lie wants it.
type network struct {
	s                *saboteur
	lie              answer
	secure, insecure *httptest.Server
}

// stage makes the network of one run. It must be closed.
func (s *saboteur) stage(lie answer) *network {
	n := &network{s: s, lie: lie}
	n.secure = httptest.NewUnstartedServer(http.HandlerFunc(n.serve))
	n.secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	n.secure.TLS = &tls.Config{}
	n.secure.StartTLS()
	sound := n.secure.TLS.Clone()
	n.secure.TLS.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		spoken := &doorTLS{tls.VersionTLS12, tls.VersionTLS13}
		n.alter(spoken)
		config := sound.Clone()
		config.MinVersion, config.MaxVersion = spoken.least, spoken.most
		return config, nil
	}
	n.insecure = httptest.NewServer(http.HandlerFunc(n.serve))
	s.serial = n.secure.Certificate().SerialNumber.Text(16)
	return n
}

func (n *network) close() {
	n.secure.Close()
	n.insecure.Close()
}

func (n *network) alter(answer any) {
	_, _ = n.lie(n.s, "network", nil, answer, nil)
}

func (n *network) serve(w http.ResponseWriter, r *http.Request) {
	a := &doorAnswer{scheme: "https", path: r.URL.Path, status: http.StatusNotFound, balancer: true}
	switch {
	case r.TLS == nil:
		a.scheme, a.status, a.location = "http", http.StatusMovedPermanently, "https://"+r.Host+":443"+r.RequestURI
	case r.URL.Path == "/health":
		a.status, a.balancer = http.StatusOK, false
	case strings.HasPrefix(r.URL.Path, "/api/"):
		a.status, a.balancer = http.StatusUnauthorized, false
	}
	n.alter(a)
	if a.balancer {
		w.Header().Set("Server", "awselb/2.0")
	}
	if a.location != "" {
		w.Header().Set("Location", a.location)
	}
	w.WriteHeader(a.status)
}

// DialContext implements verify.Network.
func (n *network) DialContext(ctx context.Context, kind, address string) (net.Conn, error) {
	to := n.insecure
	if strings.HasSuffix(address, ":443") {
		to = n.secure
	}
	return (&net.Dialer{}).DialContext(ctx, kind, to.Listener.Addr().String())
}

// LookupHost implements verify.Network.
func (n *network) LookupHost(_ context.Context, name string) ([]string, error) {
	found := &lookedUp{name, []string{"10.0.128.4"}}
	n.alter(found)
	return found.addresses, nil
}

// overTLS makes an emulator look as if it were reached over TLS: what is sent without is refused, unless lie says
// otherwise.
func (s *saboteur) overTLS(cfg aws.Config, lie answer) aws.Config {
	cfg.HTTPClient = wires{s, lie, cfg.HTTPClient}
	cfg.BaseEndpoint = aws.String(strings.Replace(aws.ToString(cfg.BaseEndpoint), "http://", "https://", 1))
	return cfg
}

type wires struct {
	s    *saboteur
	lie  answer
	then aws.HTTPClient
}

// Do implements aws.HTTPClient.
func (w wires) Do(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "https" {
		r = r.Clone(r.Context())
		r.URL.Scheme = "http"
		return w.then.Do(r)
	}
	scope := strings.Split(r.Header.Get("Authorization"), "/") // key/date/region/service/aws4_request
	a := &plainAnswer{service: scope[min(3, len(scope)-1)], refused: true}
	_, _ = w.lie(w.s, "plain text", nil, a, nil)
	if !a.refused {
		return w.then.Do(r)
	}
	body := `<Error><Code>AccessDenied</Code><Message>with an explicit deny in a resource-based policy</Message></Error>`
	kind := "text/xml"
	if strings.Contains(r.Header.Get("Content-Type"), "json") {
		body, kind = `{"__type":"AccessDenied","message":"with an explicit deny in a resource-based policy"}`, "application/x-amz-json-1.0"
	}
	return &http.Response{
		StatusCode: http.StatusForbidden, Header: http.Header{"Content-Type": {kind}}, Request: r,
		ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewBufferString(body)),
	}, nil
}

// shownLive completes what an emulator answers by what AWS would answer of a stack that lives.
func shownLive(s *saboteur, out any, err error) (any, error) {
	switch out := out.(type) {
	case *ec2.DescribeNetworkInterfacesOutput:
		out.NetworkInterfaces = append(out.NetworkInterfaces, s.interfaces()...)
	case *acm.DescribeCertificateOutput:
		if out != nil && s.serial != "" {
			out.Certificate.Serial = &s.serial
		}
	}
	return out, err
}

// interfaces are those that AWS makes for the load balancer and the database.
func (s *saboteur) interfaces() []ec2types.NetworkInterface {
	_, balancer, _ := strings.Cut(s.output(lib.OutputAlbArn), ":loadbalancer/")
	made := func(id, description, subnet string) ec2types.NetworkInterface {
		return ec2types.NetworkInterface{
			NetworkInterfaceId: aws.String(id), Description: &description, RequesterManaged: aws.Bool(true),
			VpcId: aws.String(s.output(lib.OutputVpcID)), SubnetId: &subnet,
		}
	}
	return []ec2types.NetworkInterface{
		made("eni-0a1b", "ELB "+balancer, s.list(lib.OutputPublicSubnetIDs)[0]),
		made("eni-0c2d", "RDSNetworkInterface", s.list(lib.OutputPrivateSubnetIDs)[0]),
	}
}

// unobservableLive adds the altered answers of what this file breaks.
func unobservableLive() map[string]answer {
	return map[string]answer{
		"alb.answers": changed(func(_ *saboteur, out *doorAnswer) {
			if out.scheme == "https" && strings.HasPrefix(out.path, "/api/") {
				out.status, out.balancer = http.StatusServiceUnavailable, true
			}
		}),
		"alb.answers-404": changed(func(_ *saboteur, out *doorAnswer) {
			if out.scheme == "https" && out.status == http.StatusNotFound {
				out.status = http.StatusOK
			}
		}),
		"alb.tls-spoken": changed(func(_ *saboteur, out *doorTLS) { out.least = tls.VersionTLS11 }),
		"alb.redirects": changed(func(_ *saboteur, out *doorAnswer) {
			if out.scheme == "http" {
				out.status, out.location = http.StatusOK, ""
			}
		}),
		"application.rollout-serves": losing(func(in any) bool {
			update, is := in.(*ecs.UpdateServiceInput)
			return is && update.ForceNewDeployment
		}),
		"application.scale-in-serves": losing(func(in any) bool {
			update, is := in.(*ecs.UpdateServiceInput)
			return is && update.DesiredCount != nil
		}),
		"database.failover-serves": losing(func(in any) bool {
			failover, is := in.(*rds.FailoverDBClusterInput)
			return is && failover.TargetDBInstanceIdentifier == nil
		}),
		"queue.refuses-plain-text":  answersPlain("sqs"),
		"bucket.refuses-plain-text": answersPlain("s3"),
		"database.failover-endpoint": changed(func(_ *saboteur, out *lookedUp) {
			if strings.Contains(out.name, ".cluster-") {
				out.addresses = []string{"10.0.144.4"}
			}
		}),
	}
}

// liveSabotages break what clients and operators meet. The mutations that this target cannot show run on those that can.
func liveSabotages() []sabotage {
	notTold := func(ctx context.Context, s *saboteur) {
		topic := s.output(lib.OutputAlertsTopicArn)
		call(ctx, s, s.SNS.SetTopicAttributes, &sns.SetTopicAttributesInput{
			TopicArn: &topic, AttributeName: aws.String("Policy"), AttributeValue: aws.String(fmt.Sprintf(
				`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"sns:Publish","Resource":%q,"Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}`, topic)),
		})
	}
	listening := func(check, says string, port int32, also string, change func(*elb.ModifyListenerInput)) sabotage {
		return sabotage{Check: check, Says: says, Also: []string{also}, Do: func(ctx context.Context, s *saboteur) {
			s.restoreListener(ctx, port)
			s.changeListener(ctx, port, change)
		}}
	}
	return []sabotage{
		{
			Check: "alb.answers", Says: "shut the load balancer out of payment-api's tasks", On: "security groups",
			Also: []string{"alb.healthy-targets", "network.ingress-rules", "network.reachability"},
			May:  []string{"application.running", "application.tasks-spread"}, // tasks that fail their health checks are replaced again and again
			Do: func(ctx context.Context, s *saboteur) {
				rule, group := s.groupRule(ctx, "payment-api-in-alb-8443")
				s.later(func(ctx context.Context) { // unless up has
					out := call(ctx, s, s.EC2.DescribeSecurityGroupRules, &ec2.DescribeSecurityGroupRulesInput{Filters: s.byName("payment-api-in-alb-8443")})
					if len(out.SecurityGroupRules) > 0 {
						return
					}
					_, balancer := s.pair(ctx, "payment-api-sg", "alb-sg")
					call(ctx, s, s.EC2.AuthorizeSecurityGroupIngress, &ec2.AuthorizeSecurityGroupIngressInput{
						GroupId: group, IpPermissions: permission(balancer, 8443), TagSpecifications: s.tagged(ec2types.ResourceTypeSecurityGroupRule, "payment-api-in-alb-8443"),
					})
				})
				call(ctx, s, s.EC2.RevokeSecurityGroupIngress, &ec2.RevokeSecurityGroupIngressInput{GroupId: group, SecurityGroupRuleIds: []string{*rule}})
			},
		},
		listening("alb.answers-404", "answer a client with 200 where nothing is", 443, "alb.default-404", func(in *elb.ModifyListenerInput) {
			in.DefaultActions = hello()
		}),
		listening("alb.tls-spoken", "let a client in that knows nothing newer than TLS 1.0", 443, "alb.https", func(in *elb.ModifyListenerInput) {
			in.SslPolicy = aws.String("ELBSecurityPolicy-2016-08")
		}),
		listening("alb.redirects", "answer a client without TLS", 80, "alb.redirect", func(in *elb.ModifyListenerInput) {
			in.DefaultActions = hello()
		}),
		{
			Check: "queue.refuses-plain-text", Says: "take the queue's policy away", Also: []string{"queue.tls-only"}, On: "policy of the queue",
			Do: func(ctx context.Context, s *saboteur) {
				address := s.output(lib.OutputQueueURL)
				call(ctx, s, s.SQS.SetQueueAttributes, &sqs.SetQueueAttributesInput{QueueUrl: &address, Attributes: map[string]string{"Policy": ""}})
			},
		},
		{
			Check: "bucket.refuses-plain-text", Says: "take the bucket's policy away", Also: []string{"bucket.tls-only"},
			Do: func(ctx context.Context, s *saboteur) {
				call(ctx, s, s.S3.DeleteBucketPolicy, &s3.DeleteBucketPolicyInput{Bucket: aws.String(s.named("alb-logs-123456789012-us-east-1"))})
			},
		},
		{
			Check: "alerts.alarm-publishes", Says: "let no alarm publish to the topic", Also: []string{"alerts.topic-policy"}, On: "topic", Do: notTold,
		},
		{Check: "queue.delivers", Says: "hold every job back for a quarter of an hour", Do: func(ctx context.Context, s *saboteur) {
			// What is held back stays so when the delay is taken away again.
			later(s, s.SQS.PurgeQueue, &sqs.PurgeQueueInput{QueueUrl: aws.String(s.output(lib.OutputQueueURL))})
			s.setQueue(ctx, lib.OutputQueueURL, "DelaySeconds", "900")
		}},
		{
			Check: "application.rollout-serves", Says: "stop all tasks before others start", Also: []string{"application.rolling-update"}, On: "services",
			Do: func(ctx context.Context, s *saboteur) {
				bounds := func(ctx context.Context, minimum, maximum int32) {
					s.updateService(ctx, paymentAPI, func(_ *saboteur, in *ecs.UpdateServiceInput, was ecstypes.Service) {
						in.DeploymentConfiguration = was.DeploymentConfiguration
						in.DeploymentConfiguration.MinimumHealthyPercent, in.DeploymentConfiguration.MaximumPercent = &minimum, &maximum
					})
				}
				s.later(func(ctx context.Context) { bounds(ctx, 100, 200) })
				bounds(ctx, 0, 100)
			},
		},
		{
			// The health checks of targets by address cannot be switched off.
			Check: "application.rollout-serves", Says: "take every answer of a task that has just started for health", On: "target group of payment-api",
			Also: []string{"alb.health-checks"},
			May:  []string{"application.scale-in-serves"}, // a task that is added is asked too early as well, if it stays for long enough
			Do: func(ctx context.Context, s *saboteur) {
				group := s.targetGroup(ctx, paymentAPI)
				check := func(path, codes string, interval, timeout int32) *elb.ModifyTargetGroupInput {
					return &elb.ModifyTargetGroupInput{
						TargetGroupArn: group, HealthCheckPath: &path, Matcher: &elbtypes.Matcher{HttpCode: &codes},
						HealthCheckIntervalSeconds: &interval, HealthCheckTimeoutSeconds: &timeout,
					}
				}
				was := first(s, "target group", call(ctx, s, s.ELB.DescribeTargetGroups, &elb.DescribeTargetGroupsInput{TargetGroupArns: []string{*group}}).TargetGroups)
				later(s, s.ELB.ModifyTargetGroup, check(*was.HealthCheckPath, *was.Matcher.HttpCode, *was.HealthCheckIntervalSeconds, *was.HealthCheckTimeoutSeconds))
				call(ctx, s, s.ELB.ModifyTargetGroup, check("/", "200-499", 5, 2))
			},
		},
		{
			Check: "application.scale-in-serves", Says: "cut a leaving target off with its requests", On: "target group of payment-api",
			Also: []string{"application.rollout-serves", "alb.draining"},
			Do: func(ctx context.Context, s *saboteur) {
				for _, service := range []string{paymentAPI, jobProcessor} {
					delay := func(seconds string) *elb.ModifyTargetGroupAttributesInput {
						return &elb.ModifyTargetGroupAttributesInput{TargetGroupArn: s.targetGroup(ctx, service), Attributes: []elbtypes.TargetGroupAttribute{
							{Key: aws.String("deregistration_delay.timeout_seconds"), Value: &seconds},
						}}
					}
					now := call(ctx, s, s.ELB.DescribeTargetGroupAttributes, &elb.DescribeTargetGroupAttributesInput{TargetGroupArn: s.targetGroup(ctx, service)})
					was := find(s, "deregistration delay", now.Attributes, func(a elbtypes.TargetGroupAttribute) bool {
						return aws.ToString(a.Key) == "deregistration_delay.timeout_seconds"
					})
					later(s, s.ELB.ModifyTargetGroupAttributes, delay(*was.Value))
					call(ctx, s, s.ELB.ModifyTargetGroupAttributes, delay("0"))
				}
			},
		},
		leavesOneInstance("database.failover-serves", "leave nobody to answer clients after the writer"),
		leavesOneInstance("database.failover", "leave nobody to fail over to"),
		leavesOneInstance("database.failover-endpoint", "leave nobody for the endpoint to lead to"),
	}
}

// losing spoils a few answers of the load balancer's once something begins, fewer than are asked for while it goes on.
func losing(begins func(in any) bool) answer {
	return func(s *saboteur, _ string, in, out any, err error) (any, error) {
		if begins(in) {
			s.spoil.Store(3)
		}
		if a, is := out.(*doorAnswer); is && a.scheme == "https" && s.spoil.Add(-1) >= 0 {
			a.status, a.balancer = http.StatusBadGateway, true
		}
		return out, err
	}
}

// answersPlain lets one service answer calls without TLS.
func answersPlain(service string) answer {
	return changed(func(_ *saboteur, out *plainAnswer) { out.refused = out.refused && out.service != service })
}

// leavesOneInstance deletes both readers.
func leavesOneInstance(check, says string) sabotage {
	return sabotage{
		Check: check, Says: says, On: "reader 1",
		Also: []string{"database.topology", "database.promotion-tiers", "database.zones"},
		Do: func(ctx context.Context, s *saboteur) {
			s.deleteReader(ctx, "aurora-reader-1")
			s.deleteReader(ctx, "aurora-reader-2")
		},
	}
}
