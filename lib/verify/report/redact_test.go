package report

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tapstack/lib/cloud"
	"tapstack/lib/verify"
)

// planted are texts with a secret each, as a careless check might put them into its evidence. The secrets are put
// together here, so that no scanner takes this file for a leak.
func planted() []struct{ name, text, secret string } {
	const password = "Tr0ub4dor&3<horse>" //nolint:gosec // opens nothing
	dashes := strings.Repeat("-", 5)
	key := "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7"
	secretKey := "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY"
	return []struct{ name, text, secret string }{
		{"PEM", dashes + "BEGIN PRIVATE KEY" + dashes + "\n" + key + "\n" + dashes + "END PRIVATE KEY" + dashes, key},
		{"PEM on one line", dashes + "BEGIN EC PRIVATE KEY" + dashes + ` \n` + key + ` \n` + dashes + "END EC PRIVATE KEY" + dashes, key},
		{"PEM cut off", "got " + dashes + "BEGIN RSA PRIVATE KEY" + dashes + " " + key, key},
		{"connection string", "postgresql://payments:" + password + "@db.internal:5432/payments?sslmode=verify-full", password},
		{"connection string with an at sign", "postgres://payments:pa@ss/w0rd@db.internal/payments", "ss/w0rd"},
		{"key words", "host=db.internal password=" + password + " dbname=payments", password},
		{"quoted key words", "host=db password='with a space' dbname=payments", "with a space"},
		{"environment", "PGPASSWORD=" + password, password},
		{"JSON", `{"username":"payments","password":"` + password + `"}`, password},
		{"JSON with an escaped quote", `{"password": "ab\"cdefgh"}`, "cdefgh"},
		{"JSON in JSON", `"{\"apiKey\":\"` + password + `\"}"`, password},
		{"access key id", "key AKIA" + "IOSFODNN7EXAMPLE of user", "IOSFODNN7EXAMPLE"},
		{"temporary key id", "ASIA" + "IOSFODNN7EXAMPLE", "IOSFODNN7EXAMPLE"},
		{"secret access key", "aws_secret_access_key = " + secretKey, secretKey},
		{"bare secret access key", "got " + secretKey + ", expected none", secretKey},
		{"session token", "IQoJ" + strings.Repeat("b3JpZ2luX2Vj", 8), "b3JpZ2luX2Vj"},
		{"bearer", "Authorization: Bearer abcdef0123456789abcdef", "abcdef0123456789abcdef"},
		{"web token", "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl", "c2lnbmF0dXJl"},
		{"payment service key", "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc", "4eC39HqLyjWDarjtT1zdp7dc"},
	}
}

func TestNoSecretGetsIntoAnyFormatFromAnyField(t *testing.T) {
	run, options := verify.Report{Suffix: "dev"}, Options{Sabotages: map[string][]string{}}
	for i, p := range planted() {
		for j, status := range []verify.Status{verify.Passed, verify.Failed, verify.NotObservable, verify.SwitchedOff} {
			id := fmt.Sprintf("area.check-%d-%d", i, j)
			run.Results = append(run.Results, verify.Result{
				ID: id, Says: p.text, Status: status, Expected: p.text, Actual: p.text, ARN: p.text, Reason: p.text,
				Observations: []verify.Observation{{ARN: p.text, What: p.text, Expected: p.text, Actual: p.text}},
			})
			options.Sabotages[id] = []string{p.text}
		}
		options.Bullets = append(options.Bullets, verify.Bullet{ID: p.text, Section: p.text, Text: p.text, Elsewhere: p.text})
	}
	run.Target = verify.Target{Identity: cloud.Identity{Account: planted()[3].text, Region: planted()[10].text}}
	recount(&run)
	files := written(t, run, options)
	for _, p := range planted() {
		for name, content := range files {
			for _, form := range forms(t, p.secret) {
				require.NotContains(t, content, form, "%s in %s", p.name, name)
			}
		}
	}
	for _, name := range []string{JSONFile, JUnitFile, MarkdownFile, HTMLFile} {
		require.Contains(t, strings.ReplaceAll(files[name], `\`, ""), removed, name)
	}
	require.Contains(t, run.Results[0].Says, "PRIVATE KEY", "the caller's report stays as it is")
}

// forms are the ways in which the formats write a text.
func forms(t *testing.T, secret string) []string {
	t.Helper()
	quoted, err := json.Marshal(secret)
	require.NoError(t, err)
	html := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "+", "&#43;").Replace(secret)
	return []string{secret, strings.Trim(string(quoted), `"`), html, markup.Replace(secret)}
}

func TestWhatIsNoSecretStays(t *testing.T) {
	for _, text := range []string{
		"arn:aws:secretsmanager:us-east-1:123456789012:secret:payment-db-credentials-dev-AbCdEf",
		"arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/alb-dev/50dc6c495c0c9188",
		"https://sqs.us-east-1.amazonaws.com/123456789012/payment-jobs-dev",
		"http://127.0.0.1:43253/moto-api/",
		"Use Secrets Manager for database credentials and API keys",
		"length of the password: 32; rotation: disabled",
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4",
		"/aws/ecs/containerinsights/ecs-cluster-dev/performance",
		"the WAF log redacts the authorization header",
		"Tag all resources with Environment='production'",
		"ops@example.com",
	} {
		require.Equal(t, text, redact(text))
	}
}

func TestTheRecordedRunIsNotRedactedAtAll(t *testing.T) {
	doc := newDocument(recorded(t), Options{Bullets: verify.Brief(), Sabotages: verify.Sabotages()})
	require.Equal(t, doc, redacted(doc))
}
