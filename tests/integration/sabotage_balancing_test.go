package integration

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/wafv2"
	waftypes "github.com/aws/aws-sdk-go-v2/service/wafv2/types"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
)

func balancingSabotages() []sabotage {
	return []sabotage{
		{Check: "alb.public", Says: "take the load balancer out of a public subnet", Do: func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.ELB.SetSubnets, &elb.SetSubnetsInput{
				LoadBalancerArn: aws.String(s.output(lib.OutputAlbArn)), Subnets: s.list(lib.OutputPublicSubnetIDs)[:2],
			})
		}},
		setsBalancer("alb.attributes", "let invalid headers through", "routing.http.drop_invalid_header_fields.enabled", "false"),
		setsBalancer("alb.access-logs", "switch access logs off", "access_logs.s3.enabled", "false"),
		setsBalancer("destroyable.load-balancer", "protect the load balancer from deletion", "deletion_protection.enabled", "true"),
		{Check: "alb.health-checks", Says: "ask another path for health", Do: func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.ELB.ModifyTargetGroup, &elb.ModifyTargetGroupInput{
				TargetGroupArn: s.targetGroup(ctx, paymentAPI), HealthCheckPath: aws.String("/"),
			})
		}},
		{Check: "alb.draining", Says: "drop a leaving target at once", Do: func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.ELB.ModifyTargetGroupAttributes, &elb.ModifyTargetGroupAttributesInput{
				TargetGroupArn: s.targetGroup(ctx, jobProcessor),
				Attributes:     []types.TargetGroupAttribute{{Key: aws.String("deregistration_delay.timeout_seconds"), Value: aws.String("0")}},
			})
		}},
		{
			Check: "alb.target-groups", Says: "let clients stay with one target", Unhealable: "the stack leaves a target group's stickiness to AWS's default, so that Pulumi does not look at it",
			Do: func(ctx context.Context, s *saboteur) {
				group := s.targetGroup(ctx, paymentAPI)
				sticky := func(on string) *elb.ModifyTargetGroupAttributesInput {
					return &elb.ModifyTargetGroupAttributesInput{TargetGroupArn: group, Attributes: []types.TargetGroupAttribute{
						{Key: aws.String("stickiness.enabled"), Value: &on}, {Key: aws.String("stickiness.type"), Value: aws.String("lb_cookie")},
					}}
				}
				call(ctx, s, s.ELB.ModifyTargetGroupAttributes, sticky("true"))
				later(s, s.ELB.ModifyTargetGroupAttributes, sticky("false"))
			},
		},
		setsBalancer("alb.draining", "give answers up before the API does", "idle_timeout.timeout_seconds", "10"),
		{Check: "alb.api-routing", Says: "move the API to another path", On: "listener rules", Do: func(ctx context.Context, s *saboteur) {
			s.changeRule(ctx, "/api/*", func(in *elb.ModifyRuleInput, _ types.Rule) {
				in.Conditions = []types.RuleCondition{{Field: aws.String("path-pattern"), PathPatternConfig: &types.PathPatternConditionConfig{Values: []string{"/v2/*"}}}}
			})
		}},
		{
			Check: "alb.health-routing", Says: "send most health checks to one service", On: "listener rules",
			Do: func(ctx context.Context, s *saboteur) {
				s.changeRule(ctx, "/health", func(in *elb.ModifyRuleInput, was types.Rule) {
					in.Actions = was.Actions
					in.Actions[0].ForwardConfig.TargetGroups[0].Weight = aws.Int32(99)
				})
			},
		},
		changesListener("alb.default-404", "answer every unknown path with 200", 443, func(in *elb.ModifyListenerInput) {
			in.DefaultActions = hello()
		}),
		{
			Check: "alb.default-404", Says: "answer one more path", On: "listener rules", Unhealable: byHand,
			Do: func(ctx context.Context, s *saboteur) {
				made := call(ctx, s, s.ELB.CreateRule, &elb.CreateRuleInput{
					ListenerArn: s.listener(ctx, 443), Priority: aws.Int32(1), Actions: hello(),
					Conditions: []types.RuleCondition{{Field: aws.String("path-pattern"), PathPatternConfig: &types.PathPatternConditionConfig{Values: []string{"/status"}}}},
					Tags:       tagList(stackTags(s.named("api-rule")), func(k, v *string) types.Tag { return types.Tag{Key: k, Value: v} }),
				})
				later(s, s.ELB.DeleteRule, &elb.DeleteRuleInput{RuleArn: made.Rules[0].RuleArn})
			},
		},
		changesListener("alb.https", "speak old TLS", 443, func(in *elb.ModifyListenerInput) {
			in.SslPolicy = aws.String("ELBSecurityPolicy-2016-08")
		}),
		changesListener("alb.redirect", "answer HTTP itself", 80, func(in *elb.ModifyListenerInput) {
			in.DefaultActions = hello()
		}),
		{Check: "alb.certificate", Says: "serve a certificate with a short key", Do: func(ctx context.Context, s *saboteur) {
			id := s.weakCertificate(ctx)
			s.changeListener(ctx, 443, func(in *elb.ModifyListenerInput) { in.Certificates = []types.Certificate{{CertificateArn: id}} })
		}},
	}
}

// hello answers everything itself.
func hello() []types.Action {
	return []types.Action{{
		Type:                types.ActionTypeEnumFixedResponse,
		FixedResponseConfig: &types.FixedResponseActionConfig{StatusCode: aws.String("200"), ContentType: aws.String("text/plain"), MessageBody: aws.String("hello")},
	}}
}

func setsBalancer(check, says, attribute, value string) sabotage {
	return sabotage{Check: check, Says: says, Do: func(ctx context.Context, s *saboteur) {
		call(ctx, s, s.ELB.ModifyLoadBalancerAttributes, &elb.ModifyLoadBalancerAttributesInput{
			LoadBalancerArn: aws.String(s.output(lib.OutputAlbArn)),
			Attributes:      []types.LoadBalancerAttribute{{Key: &attribute, Value: &value}},
		})
	}}
}

func (s *saboteur) targetGroup(ctx context.Context, role string) *string {
	return first(s, "target group of "+role, s.service(ctx, role).LoadBalancers).TargetGroupArn
}

func (s *saboteur) listener(ctx context.Context, port int32) *string {
	out := call(ctx, s, s.ELB.DescribeListeners, &elb.DescribeListenersInput{LoadBalancerArn: aws.String(s.output(lib.OutputAlbArn))})
	listening := func(l types.Listener) bool { return aws.ToInt32(l.Port) == port }
	return find(s, fmt.Sprintf("listener on port %d", port), out.Listeners, listening).ListenerArn
}

func (s *saboteur) changeListener(ctx context.Context, port int32, change func(*elb.ModifyListenerInput)) {
	in := &elb.ModifyListenerInput{ListenerArn: s.listener(ctx, port)}
	change(in)
	call(ctx, s, s.ELB.ModifyListener, in)
}

// restoreListener puts a listener back later as it is now.
func (s *saboteur) restoreListener(ctx context.Context, port int32) {
	out := call(ctx, s, s.ELB.DescribeListeners, &elb.DescribeListenersInput{ListenerArns: []string{*s.listener(ctx, port)}})
	was := first(s, "listener", out.Listeners)
	later(s, s.ELB.ModifyListener, &elb.ModifyListenerInput{ListenerArn: was.ListenerArn, DefaultActions: was.DefaultActions, SslPolicy: was.SslPolicy})
}

func changesListener(check, says string, port int32, change func(*elb.ModifyListenerInput)) sabotage {
	return sabotage{Check: check, Says: says, Do: func(ctx context.Context, s *saboteur) { s.changeListener(ctx, port, change) }}
}

// changeRule changes the rule of the HTTPS listener for a path.
func (s *saboteur) changeRule(ctx context.Context, path string, change func(*elb.ModifyRuleInput, types.Rule)) {
	out := call(ctx, s, s.ELB.DescribeRules, &elb.DescribeRulesInput{ListenerArn: s.listener(ctx, 443)})
	matches := func(c types.RuleCondition) bool {
		return slices.Contains(c.Values, path) || c.PathPatternConfig != nil && slices.Contains(c.PathPatternConfig.Values, path)
	}
	rule := find(s, "rule for "+path, out.Rules, func(r types.Rule) bool { return slices.ContainsFunc(r.Conditions, matches) })
	in := &elb.ModifyRuleInput{RuleArn: rule.RuleArn}
	change(in, rule)
	call(ctx, s, s.ELB.ModifyRule, in)
}

// weakCertificate imports one with an RSA key of 1024 bits, which is deleted later.
func (s *saboteur) weakCertificate(ctx context.Context) *string {
	id := importCertificate(ctx, s, s.ACM, "weak.example.com", 1024)
	later(s, s.ACM.DeleteCertificate, &acm.DeleteCertificateInput{CertificateArn: id})
	return id
}

// importCertificate imports a self-signed certificate with an RSA key of so many bits.
func importCertificate(ctx context.Context, t require.TestingT, client *acm.Client, name string, bits int) *string {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	out := call(ctx, t, client.ImportCertificate, &acm.ImportCertificateInput{
		Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		PrivateKey:  pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}),
	})
	return out.CertificateArn
}

func firewallSabotages() []sabotage {
	return []sabotage{
		{
			Check: "waf.in-front", Says: "take the firewall away from the load balancer", Also: []string{"waf.rules", "waf.logging"},
			Do: func(ctx context.Context, s *saboteur) {
				call(ctx, s, s.WAF.DisassociateWebACL, &wafv2.DisassociateWebACLInput{ResourceArn: aws.String(s.output(lib.OutputAlbArn))})
			},
		},
		{Check: "waf.in-front", Says: "switch the firewall's metrics off", On: "web ACL", Do: func(ctx context.Context, s *saboteur) {
			s.updateFirewall(ctx, func(in *wafv2.UpdateWebACLInput) { in.VisibilityConfig.CloudWatchMetricsEnabled = false })
		}},
		{
			Check: "waf.rules", Says: "let the SQL injection rules count instead of block", On: "web ACL",
			Do: func(ctx context.Context, s *saboteur) {
				s.updateFirewall(ctx, func(in *wafv2.UpdateWebACLInput) {
					for i, r := range in.Rules {
						if m := r.Statement.ManagedRuleGroupStatement; m != nil && aws.ToString(m.Name) == "AWSManagedRulesSQLiRuleSet" {
							in.Rules[i].OverrideAction = &waftypes.OverrideAction{Count: &waftypes.CountAction{}}
						}
					}
				})
			},
		},
		{
			Check: "waf.rules", Says: "let cross-site scripting in bodies count instead of block", On: "web ACL",
			Do: func(ctx context.Context, s *saboteur) {
				s.updateFirewall(ctx, func(in *wafv2.UpdateWebACLInput) {
					for _, r := range in.Rules {
						if m := r.Statement.ManagedRuleGroupStatement; m != nil && aws.ToString(m.Name) == "AWSManagedRulesCommonRuleSet" {
							m.RuleActionOverrides = append(m.RuleActionOverrides, waftypes.RuleActionOverride{
								Name: aws.String("CrossSiteScripting_BODY"), ActionToUse: &waftypes.RuleAction{Count: &waftypes.CountAction{}},
							})
						}
					}
				})
			},
		},
		{Check: "waf.logging", Says: "let cookies into the firewall's log", On: "firewall's log", Do: func(ctx context.Context, s *saboteur) {
			out := call(ctx, s, s.WAF.GetLoggingConfiguration, &wafv2.GetLoggingConfigurationInput{ResourceArn: s.firewall(ctx).ARN})
			logging := out.LoggingConfiguration
			logging.RedactedFields = slices.DeleteFunc(logging.RedactedFields, func(f waftypes.FieldToMatch) bool {
				return f.SingleHeader != nil && aws.ToString(f.SingleHeader.Name) == "cookie"
			})
			call(ctx, s, s.WAF.PutLoggingConfiguration, &wafv2.PutLoggingConfigurationInput{LoggingConfiguration: logging})
		}},
		{Check: "waf.logging", Says: "stop the firewall's logging", On: "firewall's log", Do: func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.WAF.DeleteLoggingConfiguration, &wafv2.DeleteLoggingConfigurationInput{ResourceArn: s.firewall(ctx).ARN})
		}},
	}
}

func (s *saboteur) firewall(ctx context.Context) *waftypes.WebACL {
	out := call(ctx, s, s.WAF.GetWebACLForResource, &wafv2.GetWebACLForResourceInput{ResourceArn: aws.String(s.output(lib.OutputAlbArn))})
	require.NotNil(s, out.WebACL)
	return out.WebACL
}

func (s *saboteur) updateFirewall(ctx context.Context, change func(*wafv2.UpdateWebACLInput)) {
	acl := s.firewall(ctx)
	now := call(ctx, s, s.WAF.GetWebACL, &wafv2.GetWebACLInput{Id: acl.Id, Name: acl.Name, Scope: waftypes.ScopeRegional})
	in := &wafv2.UpdateWebACLInput{
		Id: acl.Id, Name: acl.Name, Scope: waftypes.ScopeRegional, LockToken: now.LockToken, DefaultAction: acl.DefaultAction,
		Description: acl.Description, Rules: now.WebACL.Rules, VisibilityConfig: now.WebACL.VisibilityConfig,
	}
	change(in)
	call(ctx, s, s.WAF.UpdateWebACL, in)
}
