package verify

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const password = "hunter2!#$%&*()-_=+[]{}<>:?12345"

func TestConnectionStringsMustNameTheHostAndCheckTheCertificate(t *testing.T) {
	fields := map[string]string{"port": "5432", "username": "admin", "password": password, "dbname": "payments"}
	escaped := "hunter2%21%23$%25&%2A%28%29-_=+%5B%5D%7B%7D%3C%3E%3A%3F12345"
	for what, c := range map[string]struct {
		value string
		want  bool
	}{
		"good":                {"postgresql://admin:" + escaped + "@db.example:5432/payments?sslmode=verify-full", true},
		"weaker TLS":          {"postgresql://admin:" + escaped + "@db.example:5432/payments?sslmode=require", false},
		"no TLS":              {"postgresql://admin:" + escaped + "@db.example:5432/payments", false},
		"another host":        {"postgresql://admin:" + escaped + "@other.example:5432/payments?sslmode=verify-full", false},
		"another database":    {"postgresql://admin:" + escaped + "@db.example:5432/postgres?sslmode=verify-full", false},
		"another password":    {"postgresql://admin:x@db.example:5432/payments?sslmode=verify-full", false},
		"another protocol":    {"mysql://admin:" + escaped + "@db.example:5432/payments?sslmode=verify-full", false},
		"not even an address": {"::", false},
	} {
		assert.Equal(t, c.want, isConnectionString(c.value, "db.example", fields), what)
	}
}

func TestABrokenSecretNeverShowsInTheError(t *testing.T) {
	for _, value := range []string{password, `{"password":"` + password + `"`, `{"password":["` + password + `"]}`, `"` + password + `"`} {
		_, err := parseSecret(value)
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "hunter2")
	}
	fields, err := parseSecret(`{"port":5432,"password":"x"}`)
	require.NoError(t, err)
	assert.Equal(t, "5432", fields["port"])
	for _, ok := range []bool{true, false} {
		assert.NotContains(t, withheld(password, ok), "hunter2")
	}
}

func TestACallerIsNamedForAllItsSessions(t *testing.T) {
	for caller, want := range map[string][]string{
		"arn:aws:sts::123456789012:assumed-role/ci/GitHubActions": {"arn:aws:iam::123456789012:role/ci", "arn:aws:iam::123456789012:role/*/ci"},
		"arn:aws:iam::123456789012:user/ops/ann":                  {"arn:aws:iam::123456789012:user/ops/ann"},
		"arn:aws:iam::123456789012:root":                          {"arn:aws:iam::123456789012:root"},
		"":                                                        {""},
	} {
		assert.Equal(t, want, sessionsOf(caller))
	}
}

func TestAReportNeverShowsASecret(t *testing.T) {
	const weak = "correct-horse"
	strong := strings.Repeat("0123456789abcdef", 4)
	for value, want := range map[string]Status{
		`{"apiKey":"` + weak + `"}`:   Failed,
		`not JSON: ` + weak:           Failed,
		`{}`:                          Failed,
		`{"apiKey":"` + strong + `"}`: Passed,
	} {
		secret := acts{
			"DescribeSecret": &secretsmanager.DescribeSecretOutput{Name: aws.String("payment-api-keys-dev"), ARN: aws.String(testSecret)},
			"GetSecretValue": &secretsmanager.GetSecretValueOutput{SecretString: &value},
		}
		report := secret.run(t, nil, "secrets.api-keys")
		assert.Equal(t, want, report.Results[0].Status, report.Results[0].Reason)
		written, err := json.Marshal(report)
		require.NoError(t, err)
		assert.NotContains(t, string(written), weak)
		assert.NotContains(t, string(written), strong)
	}
}

func TestTheSourceOfAContainersSecretIsReadFromItsReference(t *testing.T) {
	secret := "arn:aws:secretsmanager:us-east-1:123456789012:secret:payment-db-credentials-dev-AbCdEf" //nolint:gosec // a name
	parameter := "arn:aws:ssm:us-east-1:123456789012:parameter/payment/dev/queue-url"
	for reference, want := range map[string]string{
		secret + ":password::": secret, secret: secret, parameter: parameter, "plain-name": "plain-name",
	} {
		assert.Equal(t, want, secretSource(reference), reference)
	}
}

func TestRootIsKnownByEveryName(t *testing.T) {
	for user, want := range map[string]bool{"": true, "root": true, "0": true, "0:0": true, "root:staff": true, "00": true, "1000": false, "10001:10001": false, "app": false} {
		assert.Equal(t, want, isRoot(user), user)
	}
}

func TestOnlyCapabilitiesSeparateAGapFromAFault(t *testing.T) {
	silent := ecstypes.Service{}
	telling := ecstypes.Service{AvailabilityZoneRebalancing: ecstypes.AvailabilityZoneRebalancingDisabled}
	shows := func(s ecstypes.Service) bool { return s.AvailabilityZoneRebalancing != "" }
	assert.False(t, anyShows([]ecstypes.Service{silent, silent}, shows))
	assert.True(t, anyShows([]ecstypes.Service{silent, telling}, shows), "an explicit wrong value hides behind no gap")
	assert.True(t, anyShows(nil, shows), "without a service there is no gap to see")
}

func TestTextsReadAlikeWhateverTheirType(t *testing.T) {
	var none *string
	for _, c := range []struct {
		value any
		want  string
	}{
		{nil, notSet},
		{none, notSet},
		{aws.String("x"), "x"},
		{aws.Int32(5), "5"},
		{aws.Bool(false), "false"},
		{ecstypes.LaunchTypeFargate, "FARGATE"},
		{[]string{"b", "a"}, "a, b"},
		{[]string{}, "none"},
	} {
		assert.Equal(t, c.want, text(c.value))
	}
}
