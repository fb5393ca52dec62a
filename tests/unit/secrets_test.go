package unit_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const apiExecutionRole = "arn:aws:iam::123456789012:role/payment-api-execution-role-unit"

// The condition key names a role without the session, and with a path that STS does not tell.
func TestASecretIsReadByItsServicesAndWhoeverDeploys(t *testing.T) {
	for caller, readers := range map[string][]any{
		"arn:aws:sts::123456789012:assumed-role/nightly/GitHubActions": {"arn:aws:iam::123456789012:role/nightly", "arn:aws:iam::123456789012:role/*/nightly"},
		"arn:aws-cn:sts::123456789012:assumed-role/nightly/x":          {"arn:aws-cn:iam::123456789012:role/nightly", "arn:aws-cn:iam::123456789012:role/*/nightly"},
		"arn:aws:iam::123456789012:user/ops/ann":                       {"arn:aws:iam::123456789012:user/ops/ann"},
		"arn:aws:iam::123456789012:root":                               {"arn:aws:iam::123456789012:root"},
		"arn:aws:sts::123456789012:federated-user/ann":                 {"arn:aws:sts::123456789012:federated-user/ann"},
	} {
		r := newRecorder()
		r.Caller = caller
		require.NoError(t, r.run(nil))
		assert.Equal(t, append(readers, apiExecutionRole),
			r.one(t, "payment-api-keys-policy").at(t, "policy", "Statement", 1, "Condition", "ArnNotLike", "aws:PrincipalArn"), caller)
	}
}

func TestWhoDeploysIsAmongTheReadersOfTheSecrets(t *testing.T) {
	const user, session = "arn:aws:iam::123456789012:user/ops/ann", "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Admin_0a1b/ann"
	for _, c := range []struct {
		caller, readers string
		among           bool
	}{
		{session, "arn:aws:iam::123456789012:role/AWSReservedSSO_Admin_0a1b", true},
		{session, "arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_Admin_*", true},
		{session, "arn:aws:iam::123456789012:role/nightly,arn:aws:iam::123456789012:role/*/AWSReservedSSO_Admin_0a1b", true},
		{session, "arn:aws:iam::210987654321:role/AWSReservedSSO_Admin_0a1b", false},
		{session, "arn:aws:iam::123456789012:user/AWSReservedSSO_Admin_0a1b", false},
		{session, "arn:aws:iam::123456789012:role/AWSReservedSSO", false},
		{user, "arn:aws:iam::123456789012:user/ops/ann", true},
		{user, "arn:aws:iam::123456789012:user/ops/a*", true},
		{user, "arn:aws:iam::123456789012:root", false},
		{"arn:aws:iam::123456789012:root", "arn:aws:iam::123456789012:root", true},
	} {
		r := newRecorder()
		r.Caller = c.caller
		err := r.run(map[string]string{"secretReaders": c.readers})
		if c.among {
			require.NoError(t, err, "%s among %s", c.caller, c.readers)
			continue
		}
		require.ErrorContains(t, err, "is not among them, and could not read what it deploys", "%s among %s", c.caller, c.readers)
		for _, d := range r.sorted() {
			assert.Equal(t, "pulumi:providers:aws", d.token, "nothing else is declared")
		}
	}
}
