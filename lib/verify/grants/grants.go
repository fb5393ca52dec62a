// Package grants asks PostgreSQL what the database users of the services may do, and knows what of it they must not. It needs
// the standard library alone, so that payment-migrate can ask as well, which is nearest to the database.
package grants

import (
	"slices"
	"strings"
)

// Users are the database users of the two services.
const (
	PaymentAPI   = "payment_api"
	JobProcessor = "job_processor"
)

// Message is what payment-migrate logs the answer to Query under, a user to a line: a JSON object with this as "msg" and the
// list of them as "grants".
const Message = "database grants"

// Grant is one thing that a role may do. An attribute of the role itself, such as LOGIN, is about no object; MEMBER is about
// another role, CONNECT and the like about the database, USAGE and CREATE about a schema, the rest about a table, or about one
// column of it: TABLE.COLUMN.
type Grant struct {
	Role      string `json:"role"`
	Schema    string `json:"schema"`
	Object    string `json:"object"`
	Privilege string `json:"privilege"`
}

func (g Grant) String() string {
	on := strings.Trim(g.Schema+"."+g.Object, ".")
	if on == "" {
		return g.Privilege
	}
	return g.Privilege + " on " + on
}

// Query answers with the fields of Grant, in their order: all that the roles in $1, a list of names, may do in the database that
// is asked, be it granted to themselves, to PUBLIC or to a role whose member they are. Every user may ask it.
const Query = `
WITH users AS (SELECT * FROM pg_roles WHERE rolname = ANY ($1::text[])),
     schemas AS (SELECT * FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),
     tables AS (SELECT c.*, nspname FROM pg_class c JOIN schemas s ON s.oid = relnamespace WHERE relkind IN ('r', 'p', 'v', 'm', 'f'))
SELECT rolname::text AS role, ''::text AS schema, ''::text AS object, attribute AS privilege
FROM users, LATERAL (VALUES ('LOGIN', rolcanlogin), ('SUPERUSER', rolsuper), ('CREATEROLE', rolcreaterole), ('CREATEDB', rolcreatedb),
    ('REPLICATION', rolreplication), ('BYPASSRLS', rolbypassrls)) a (attribute, has) WHERE has
UNION ALL
SELECT u.rolname, '', r.rolname, 'MEMBER' FROM users u JOIN pg_auth_members m ON m.member = u.oid JOIN pg_roles r ON r.oid = m.roleid
UNION ALL
SELECT rolname, '', datname, p FROM users u, pg_database d, unnest(ARRAY['CONNECT', 'CREATE', 'TEMPORARY']) p
WHERE datname = current_database() AND has_database_privilege(u.oid, d.oid, p)
UNION ALL
SELECT rolname, nspname, '', p FROM users u, schemas s, unnest(ARRAY['CREATE', 'USAGE']) p WHERE has_schema_privilege(u.oid, s.oid, p)
UNION ALL
SELECT rolname, nspname, relname, p FROM users u, tables t, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) p
WHERE has_table_privilege(u.oid, t.oid, p)
UNION ALL
SELECT rolname, nspname, relname || '.' || attname, p
FROM users u, tables t JOIN pg_attribute a ON attrelid = t.oid AND attnum > 0 AND NOT attisdropped, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) p
WHERE has_column_privilege(u.oid, t.oid, attnum, p) AND NOT has_table_privilege(u.oid, t.oid, p)
UNION ALL
SELECT rolname, coalesce(schema, ''), object, 'OWNER' FROM users u JOIN (
    SELECT datdba AS owner, NULL AS schema, datname::text AS object FROM pg_database
    UNION ALL SELECT nspowner, nspname, '' FROM pg_namespace
    UNION ALL SELECT relowner, nspname, relname FROM pg_class JOIN schemas s ON s.oid = relnamespace
    UNION ALL SELECT proowner, nspname, proname FROM pg_proc JOIN schemas s ON s.oid = pronamespace) owned ON owner = u.oid
ORDER BY 1, 2, 3, 4`

// harmless are logging in, by IAM as well, which RDS gives by membership, the use of a schema, temporary tables, and reading and
// writing rows, which is a matter of the table.
func harmless(g Grant) bool {
	switch g.Privilege {
	case "LOGIN", "CONNECT", "USAGE", "TEMPORARY", "SELECT", "INSERT", "UPDATE", "DELETE":
		return true
	case "MEMBER":
		return g.Object == "rds_iam"
	}
	return false
}

// guarded are tables of the services, and what their users must not do with them. A table that is not there is no concern.
var guarded = []struct{ users, privileges, objects string }{
	{PaymentAPI + " " + JobProcessor, "UPDATE DELETE", "payment_events ledger_entries idempotency_keys"}, // only ever added to
	{PaymentAPI + " " + JobProcessor, "DELETE", "payments"},
	{PaymentAPI + " " + JobProcessor, "UPDATE", "payments.id payments.merchant payments.amount payments.currency payments.token"},
	{PaymentAPI, "SELECT INSERT UPDATE DELETE", "inbox"}, // the other's
	{JobProcessor, "SELECT INSERT UPDATE DELETE", "merchants buckets idempotency_keys outbox"},
}

// Needless are those of a user's grants that it must not have: attributes beyond logging in, memberships, ownership, changes of the
// schema, and rows that are not its own or never change.
func Needless(user string, all []Grant) []Grant {
	var found []Grant
	for _, g := range all {
		if g.Role == user && (!harmless(g) || isGuarded(g)) {
			found = append(found, g)
		}
	}
	return found
}

func isGuarded(g Grant) bool {
	for _, rule := range guarded {
		among := func(list, item string) bool { return slices.Contains(strings.Fields(list), item) }
		touches := func(object string) bool {
			return object == g.Object || strings.HasPrefix(g.Object, object+".") || strings.HasPrefix(object, g.Object+".")
		}
		if among(rule.users, g.Role) && among(rule.privileges, g.Privilege) && slices.ContainsFunc(strings.Fields(rule.objects), touches) {
			return true
		}
	}
	return false
}
