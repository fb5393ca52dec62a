package grants

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestWhatAUserMustNotBeGrantedIsFound(t *testing.T) {
	const api, jobs = PaymentAPI, JobProcessor
	for _, c := range []struct {
		grant    Grant
		needless bool
	}{
		{Grant{api, "", "", "LOGIN"}, false},
		{Grant{api, "", "payments", "CONNECT"}, false},
		{Grant{api, "payment", "", "USAGE"}, false},
		{Grant{api, "", "rds_iam", "MEMBER"}, false},
		{Grant{api, "payment", "payments", "SELECT"}, false},
		{Grant{api, "payment", "payments.status", "UPDATE"}, false},
		{Grant{api, "payment", "outbox", "DELETE"}, false},
		{Grant{api, "payment", "ledger_entries", "INSERT"}, false},
		{Grant{jobs, "payment", "inbox", "INSERT"}, false},
		{Grant{jobs, "shop", "orders", "DELETE"}, false}, // of services of the user's own nothing is known

		{Grant{api, "", "", "SUPERUSER"}, true},
		{Grant{api, "", "", "CREATEROLE"}, true},
		{Grant{jobs, "", "", "CREATEDB"}, true},
		{Grant{jobs, "", "payments_admin", "MEMBER"}, true},
		{Grant{jobs, "", "payments", "CREATE"}, true},
		{Grant{api, "public", "", "CREATE"}, true},
		{Grant{api, "payment", "payments", "OWNER"}, true},
		{Grant{api, "payment", "payments", "TRUNCATE"}, true},
		{Grant{api, "payment", "payments", "DELETE"}, true},
		{Grant{api, "payment", "payments", "UPDATE"}, true}, // the amount with it
		{Grant{api, "payment", "payments.amount", "UPDATE"}, true},
		{Grant{api, "payment", "ledger_entries", "UPDATE"}, true},
		{Grant{api, "payment", "payment_events.kind", "UPDATE"}, true},
		{Grant{api, "payment", "idempotency_keys", "DELETE"}, true},
		{Grant{api, "payment", "inbox", "SELECT"}, true},
		{Grant{jobs, "payment", "outbox", "INSERT"}, true},
		{Grant{jobs, "payment", "merchants.id", "SELECT"}, true},
		{Grant{api, "payment", "payments", "SOMETHING NEW"}, true},
	} {
		assert.Equal(t, c.needless, len(Needless(c.grant.Role, []Grant{c.grant})) == 1, "%s: %s", c.grant.Role, c.grant)
	}
	assert.Empty(t, Needless(api, []Grant{{jobs, "", "", "SUPERUSER"}}), "of another user")
}

func TestAGrantReadsAsSql(t *testing.T) {
	assert.Equal(t, "UPDATE on payment.payments.status", Grant{PaymentAPI, "payment", "payments.status", "UPDATE"}.String())
	assert.Equal(t, "USAGE on payment", Grant{PaymentAPI, "payment", "", "USAGE"}.String())
	assert.Equal(t, "MEMBER on rds_iam", Grant{PaymentAPI, "", "rds_iam", "MEMBER"}.String())
	assert.Equal(t, "LOGIN", Grant{PaymentAPI, "", "", "LOGIN"}.String())
}
