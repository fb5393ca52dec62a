package verify

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
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
		if got := isConnectionString(c.value, "db.example", fields); got != c.want {
			t.Errorf("%s: %t, want %t", what, got, c.want)
		}
	}
}

func TestABrokenSecretNeverShowsInTheError(t *testing.T) {
	for _, value := range []string{password, `{"password":"` + password + `"`, `{"password":["` + password + `"]}`, `"` + password + `"`} {
		_, err := parseSecret(value)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v", err)
		}
	}
	fields, err := parseSecret(`{"port":5432,"password":"x"}`)
	if err != nil || fields["port"] != "5432" {
		t.Errorf("%v, %v", fields, err)
	}
	for _, ok := range []bool{true, false} {
		if strings.Contains(withheld(password, ok), "hunter2") {
			t.Error("a value is shown")
		}
	}
}

func TestTheSourceOfAContainersSecretIsReadFromItsReference(t *testing.T) {
	secret := "arn:aws:secretsmanager:us-east-1:123456789012:secret:payment-db-credentials-dev-AbCdEf"
	parameter := "arn:aws:ssm:us-east-1:123456789012:parameter/payment/dev/queue-url"
	for reference, want := range map[string]string{
		secret + ":password::": secret, secret: secret, parameter: parameter, "plain-name": "plain-name",
	} {
		if got := secretSource(reference); got != want {
			t.Errorf("%s: %s, want %s", reference, got, want)
		}
	}
}

func TestRootIsKnownByEveryName(t *testing.T) {
	for user, want := range map[string]bool{"": true, "root": true, "0": true, "0:0": true, "root:staff": true, "00": true, "1000": false, "10001:10001": false, "app": false} {
		if got := isRoot(user); got != want {
			t.Errorf("%q: %t, want %t", user, got, want)
		}
	}
}

func TestOnlyCapabilitiesSeparateAGapFromAFault(t *testing.T) {
	silent := ecstypes.Service{}
	telling := ecstypes.Service{AvailabilityZoneRebalancing: ecstypes.AvailabilityZoneRebalancingDisabled}
	shows := func(s ecstypes.Service) bool { return s.AvailabilityZoneRebalancing != "" }
	if anyShows([]ecstypes.Service{silent, silent}, shows) {
		t.Error("an API that tells of no service is taken for one that does")
	}
	if !anyShows([]ecstypes.Service{silent, telling}, shows) {
		t.Error("an explicit wrong value hides behind a gap")
	}
	if !anyShows(nil, shows) {
		t.Error("without a service there is no gap to see")
	}
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
		if got := text(c.value); got != c.want {
			t.Errorf("%v reads %q, want %q", c.value, got, c.want)
		}
	}
}
