package unit_test

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"
)

func TestTheLoadBalancerIsStrictPublicAndLogged(t *testing.T) {
	r := deploy(t, nil)
	alb := r.one(t, "alb")
	delete(alb.plain, "tags")
	same(t, "ALB", alb.plain, map[string]any{
		"name": "alb-unit", "loadBalancerType": "application", "internal": false,
		"securityGroups": []string{"alb-sg-id"}, "subnets": []string{"public-subnet-1-id", "public-subnet-2-id", "public-subnet-3-id"},
		"dropInvalidHeaderFields": true, "desyncMitigationMode": "defensive", "enableHttp2": true, "enableDeletionProtection": false,
		"idleTimeout": 60,
		"accessLogs":  map[string]any{"bucket": "alb-logs-123456789012-us-east-1-unit", "prefix": "alb", "enabled": true},
	})
	same(t, "idle timeout", deploy(t, map[string]string{"apiTimeoutSeconds": "100"}).one(t, "alb").at(t, "idleTimeout"), 105)
}

func TestTheLogBucketIsPrivateEncryptedAndExpires(t *testing.T) {
	r := deploy(t, nil)
	private := r.one(t, "alb-logs-private")
	for _, input := range []string{"blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"} {
		same(t, input, private.at(t, input), true)
	}
	same(t, "encryption", r.one(t, "alb-logs-encryption").at(t, "rules", 0, "applyServerSideEncryptionByDefault", "sseAlgorithm"), "AES256")
	rule := r.one(t, "alb-logs-lifecycle")
	same(t, "lifecycle", []any{rule.at(t, "rules", 0, "status"), rule.at(t, "rules", 0, "filter", "prefix"), rule.at(t, "rules", 0, "expiration", "days")},
		[]any{"Enabled", "alb/", 365})
	p := decode[policy](t, r.one(t, "alb-logs-policy"), "policy")
	same(t, "delivery", []any{p.Statement[0].Principal, p.Statement[0].Action, p.Statement[0].Resource}, []any{
		map[string]any{"Service": []string{"logdelivery.elasticloadbalancing.amazonaws.com"}},
		[]string{"s3:PutObject"},
		[]string{arnOf("alb-logs") + "/alb/AWSLogs/123456789012/*"},
	})
}

func TestTargetsDrainAndAreCheckedOnHealth(t *testing.T) {
	r := deploy(t, nil)
	for _, service := range []string{"payment-api", "job-processor"} {
		group := r.one(t, service+"-tg")
		same(t, service, []any{
			group.at(t, "name"), group.at(t, "targetType"), group.at(t, "protocol"), group.at(t, "port"), group.at(t, "deregistrationDelay"),
			group.at(t, "healthCheck", "enabled"), group.at(t, "healthCheck", "path"), group.at(t, "healthCheck", "matcher"),
		}, []any{service + "-tg-unit", "ip", "HTTPS", 8443, 30, true, "/health", "200"})
	}
}

func TestPlainHttpIsRedirectedAndUnknownPathsAreNotFound(t *testing.T) {
	r := deploy(t, nil)
	http, https := r.one(t, "http-listener"), r.one(t, "https-listener")
	same(t, "HTTP", []any{http.at(t, "port"), http.at(t, "protocol"), http.at(t, "defaultActions")}, []any{80, "HTTP", []any{map[string]any{
		"type": "redirect", "redirect": map[string]any{"port": "443", "protocol": "HTTPS", "statusCode": "HTTP_301"},
	}}})
	same(t, "HTTPS", []any{https.at(t, "port"), https.at(t, "protocol"), https.at(t, "sslPolicy"), https.at(t, "certificateArn")},
		[]any{443, "HTTPS", "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09", arnOf("certificate")})
	same(t, "default", []any{https.at(t, "defaultActions", 0, "type"), https.at(t, "defaultActions", 0, "fixedResponse", "statusCode")}, []any{"fixed-response", "404"})
	same(t, "listeners", len(r.ofType("aws:lb/listener:Listener")), 2)
}

func TestPathsAreRoutedAsTheBriefSays(t *testing.T) {
	r := deploy(t, nil)
	api, health := r.one(t, "api-rule"), r.one(t, "health-rule")
	same(t, "/api/*", []any{api.at(t, "conditions"), api.at(t, "actions")}, []any{
		[]any{map[string]any{"pathPattern": map[string]any{"values": []string{"/api/*"}}}},
		[]any{map[string]any{"type": "forward", "targetGroupArn": arnOf("payment-api-tg")}},
	})
	same(t, "/health", []any{health.at(t, "conditions"), health.at(t, "actions")}, []any{
		[]any{map[string]any{"pathPattern": map[string]any{"values": []string{"/health"}}}},
		[]any{map[string]any{"type": "forward", "forward": map[string]any{"targetGroups": []any{
			map[string]any{"arn": arnOf("payment-api-tg"), "weight": 50}, map[string]any{"arn": arnOf("job-processor-tg"), "weight": 50},
		}}}},
	})
	for _, rule := range r.ofType("aws:lb/listenerRule:ListenerRule") {
		same(t, rule.name, rule.at(t, "listenerArn"), arnOf("https-listener"))
	}
}

// keyPair is the imported certificate and its key.
func keyPair(t *testing.T, seed byte, name string) (certificate, key string) {
	t.Helper()
	r := newRecorder()
	r.seed = seed
	if err := run(r, namespaced(legalValues(map[string]string{"environmentSuffix": name}))); err != nil {
		t.Fatal(err)
	}
	imported := r.one(t, "certificate")
	if imported.inputs["certificateBody"].IsSecret() {
		t.Error("the certificate's public half is hidden")
	}
	return imported.text(t, "certificateBody"), imported.text(t, "privateKey")
}

func TestTheSelfSignedCertificateIsTheSameInEveryRun(t *testing.T) {
	certificate, key := keyPair(t, 1, "dev")
	again, keyAgain := keyPair(t, 1, "dev")
	if certificate != again || key != keyAgain {
		t.Error("the same seed gave another certificate")
	}
	if other, otherKey := keyPair(t, 2, "dev"); other == certificate || otherKey == key {
		t.Error("another seed gave the same certificate")
	}
	if other, _ := keyPair(t, 1, "prod"); other == certificate {
		t.Error("another environment got the same certificate")
	}
}

func TestTheSelfSignedCertificateIsOneThatServersAccept(t *testing.T) {
	certificate, key := keyPair(t, 3, "dev")
	if _, err := tls.X509KeyPair([]byte(certificate), []byte(key)); err != nil {
		t.Fatalf("TLS refuses it: %v", err)
	}
	block, rest := pem.Decode([]byte(certificate))
	if block == nil || len(rest) > 0 {
		t.Fatal("want one PEM block")
	}
	parsed, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	public, ok := parsed.PublicKey.(*ecdsa.PublicKey)
	if !ok || public.Curve.Params().Name != "P-256" {
		t.Errorf("the key is %T", parsed.PublicKey)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	_, err = parsed.Verify(x509.VerifyOptions{
		DNSName: "payments-dev.internal", Roots: roots, CurrentTime: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC),
	})
	if err != nil {
		t.Errorf("it does not verify for its name: %v", err)
	}
}

func TestAMalformedSeedStopsTheProgram(t *testing.T) {
	r := newRecorder()
	r.brokenSeed = true
	if err := run(r, namespaced(legalValues(nil))); err == nil || !strings.Contains(err.Error(), "reading the certificate seed") {
		t.Errorf("got %v", err)
	}
}

func TestAConfiguredCertificateIsUsedAsItIs(t *testing.T) {
	arn := "arn:aws:acm:us-east-1:123456789012:certificate/mine"
	r := deploy(t, map[string]string{"certificateArn": arn})
	same(t, "certificate", r.one(t, "https-listener").at(t, "certificateArn"), arn)
	same(t, "certificates made", len(r.ofType("aws:acm/certificate:Certificate")), 0)
}

func TestADomainGetsAValidatedCertificateAndAnAlias(t *testing.T) {
	r := deploy(t, map[string]string{"domainName": "pay.example.com", "hostedZoneId": "Z123"})
	requested := r.one(t, "certificate")
	same(t, "request", []any{requested.at(t, "domainName"), requested.at(t, "validationMethod"), requested.plain["privateKey"]}, []any{"pay.example.com", "DNS", nil})
	same(t, "proof", r.one(t, "certificate-validation-record").plain, map[string]any{
		"zoneId": "Z123", "name": "_proof.pay.example.com", "type": "CNAME", "records": []string{"_proof.acm.example"}, "ttl": 60, "allowOverwrite": true,
	})
	same(t, "validation", r.one(t, "certificate-validation").at(t, "validationRecordFqdns"), []string{"record.example"})
	same(t, "listener", r.one(t, "https-listener").at(t, "certificateArn"), "arn:aws:acm:validated")
	same(t, "alias", r.one(t, "alias-record").plain, map[string]any{
		"zoneId": "Z123", "name": "pay.example.com", "type": "A",
		"aliases": []any{map[string]any{"name": "alb.example", "zoneId": "ZALB", "evaluateTargetHealth": true}},
	})
	same(t, "API", r.outputs["apiUrl"].value, "https://pay.example.com")
	for _, token := range []string{"certificate", "certificate-validation"} {
		if r.one(t, token).request.GetDeleteBeforeReplace() {
			t.Errorf("%s is deleted before its replacement, while the listener uses it", token)
		}
	}
}

func TestTheFirewallFiltersAndLogsWithoutCredentials(t *testing.T) {
	r := deploy(t, nil)
	acl := r.one(t, "waf")
	same(t, "ACL", []any{acl.at(t, "scope"), acl.at(t, "defaultAction"), acl.at(t, "visibilityConfig", "metricName")},
		[]any{"REGIONAL", map[string]any{"allow": map[string]any{}}, "waf-unit"})
	rules, _ := acl.at(t, "rules").([]any)
	var names []string
	for i := range rules {
		names = append(names, acl.text(t, "rules", i, "name"))
		same(t, "priority", acl.at(t, "rules", i, "priority"), i)
		same(t, "metrics", acl.at(t, "rules", i, "visibilityConfig", "cloudwatchMetricsEnabled"), true)
	}
	same(t, "rules", names, []string{
		"rate-limit", "AWSManagedRulesAmazonIpReputationList", "AWSManagedRulesCommonRuleSet",
		"AWSManagedRulesKnownBadInputsRuleSet", "AWSManagedRulesSQLiRuleSet",
	})
	same(t, "rate limit", []any{acl.at(t, "rules", 0, "action"), acl.at(t, "rules", 0, "statement", "rateBasedStatement")},
		[]any{map[string]any{"block": map[string]any{}}, map[string]any{"limit": 2000, "aggregateKeyType": "IP"}})
	same(t, "association", r.one(t, "waf-association").plain, map[string]any{"resourceArn": arnOf("alb"), "webAclArn": arnOf("waf")})
	logging := r.one(t, "waf-logging")
	same(t, "logging", []any{logging.at(t, "logDestinationConfigs"), logging.at(t, "redactedFields")},
		[]any{[]string{arnOf("waf-log-group")}, []any{map[string]any{"singleHeader": map[string]any{"name": "authorization"}}}})
}

func TestTheFirewallCanBeLeftOut(t *testing.T) {
	r := deploy(t, map[string]string{"waf": "false"})
	for name, d := range r.resources {
		if strings.HasPrefix(d.token, "aws:wafv2/") || strings.Contains(name, "waf") {
			t.Errorf("%s is declared", name)
		}
	}
}
