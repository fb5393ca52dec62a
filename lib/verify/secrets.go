package verify

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"tapstack/lib"
	"tapstack/lib/cloud"
	"tapstack/lib/policy"
)

// leastSecretLength is how long a password or key must be at least, in characters.
const leastSecretLength = 32

func secretChecks() []Check {
	return []Check{
		{
			ID:   "secrets.connection-strings",
			Says: "Store connection strings in AWS Secrets Manager",
			PCI:  []string{"8.3.2", "8.6.2"},
			Run:  recorded(databaseSecrets),
		},
		{
			ID:   "secrets.own-users",
			Says: "Proper IAM roles with minimal permissions: each service connects to the database as a user of its own with a password of its own, none as the master user (beyond the brief)",
			PCI:  []string{"7.2.5", "8.2.2", "8.6.3"},
			Run:  recorded(ownUsers),
		},
		{
			ID:   "secrets.api-keys",
			Says: "Use Secrets Manager for database credentials and API keys",
			PCI:  []string{"8.6.2"},
			Run:  recorded(apiKeysSecret),
		},
		{
			ID:   "secrets.no-rotation",
			Says: "Store connection strings in AWS Secrets Manager with automatic rotation disabled for initial deployment",
			Run:  recorded(noRotation),
		},
		{
			ID:   "secrets.tls-only",
			Says: "All data encryption in transit: the secrets' resource policies deny insecure transport (beyond the brief)",
			PCI:  []string{"4.2.1"},
			Run:  recorded(secretsOverTLS),
		},
		{
			ID:   "secrets.readers",
			Says: "Proper IAM roles with minimal permissions: nobody reads a secret but the tasks that it is for, the master user's payment-migrate alone, and whoever the configuration names or deploys (beyond the brief)",
			PCI:  []string{"7.2.1", "7.2.5", "8.6.2"},
			Run:  recorded(secretReaders),
		},
	}
}

// secretOutputs are the outputs that name a secret.
func secretOutputs() []string { return append(databaseSecretOutputs(), lib.OutputAPIKeysSecretArn) }

// databaseSecretOutputs name those that open the database: to the master user, then to each service's own.
func databaseSecretOutputs() []string {
	return []string{lib.OutputDBSecretArn, lib.OutputPaymentAPIDBSecretArn, lib.OutputJobProcessorDBSecretArn}
}

func (e *Env) secret(ctx context.Context, output string) (*secretsmanager.DescribeSecretOutput, error) {
	id, err := e.output(output)
	if err != nil {
		return nil, err
	}
	return e.cloud.Secret(ctx, id)
}

// secretFields is the value of a secret. Whoever reads it must not let any of it into the evidence.
func (e *Env) secretFields(ctx context.Context, output string) (map[string]string, error) {
	id, err := e.output(output)
	if err != nil {
		return nil, err
	}
	return cloud.Once(ctx, e.cloud, "secretsmanager:GetSecretValue "+id, func(ctx context.Context) (map[string]string, error) {
		out, err := e.cloud.SecretsManager.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &id})
		if err != nil {
			return nil, err
		}
		return parseSecret(aws.ToString(out.SecretString))
	})
}

// secretValues are the values of all fields that are named like secrets.
func (e *Env) secretValues(ctx context.Context) ([]string, error) {
	var values []string
	for _, output := range secretOutputs() {
		fields, err := e.secretFields(ctx, output)
		if err != nil {
			return nil, err
		}
		for name, v := range fields {
			if looksSecret(name) && v != "" {
				values = append(values, v)
			}
		}
	}
	return values, nil
}

// parseSecret reads a secret's JSON object. Its errors hold nothing of the value, which an error of the JSON package
// would.
func parseSecret(value string) (map[string]string, error) {
	var raw map[string]any
	if json.Unmarshal([]byte(value), &raw) != nil {
		return nil, errors.New("the secret's value is not a JSON object")
	}
	fields := make(map[string]string, len(raw))
	for k, v := range raw {
		switch v := v.(type) {
		case string:
			fields[k] = v
		case float64:
			fields[k] = strconv.FormatFloat(v, 'f', -1, 64)
		default:
			return nil, fmt.Errorf("the secret's field %q is neither text nor number", k)
		}
	}
	return fields, nil
}

func databaseSecrets(ctx context.Context, e *Env, rec *recorder) error {
	for _, output := range databaseSecretOutputs() {
		if err := databaseSecret(ctx, e, rec, output); err != nil {
			return err
		}
	}
	return nil
}

func databaseSecret(ctx context.Context, e *Env, rec *recorder, output string) error {
	d, err1 := e.secret(ctx, output)
	fields, err2 := e.secretFields(ctx, output)
	c, err3 := e.dbCluster(ctx)
	if err := cmp.Or(err1, err2, err3); err != nil {
		return err
	}
	x := rec.on(aws.ToString(d.ARN))
	writer, reader := aws.ToString(c.Endpoint), aws.ToString(c.ReaderEndpoint)
	for _, f := range []struct {
		name string
		ok   bool
		want string
	}{
		{"engine", strings.Contains(fields["engine"], "postgres"), "PostgreSQL"},
		{"host", fields["host"] == writer, "the cluster's endpoint"},
		{"readerHost", fields["readerHost"] == reader, "the cluster's reader endpoint"},
		{"port", fields["port"] == text(c.Port), "the cluster's port"},
		{"dbname", fields["dbname"] != "", "present"},
		{"username", fields["username"] != "", "present"},
		{"password", len(fields["password"]) >= leastSecretLength, fmt.Sprintf("at least %d characters", leastSecretLength)},
	} {
		x.record("field "+f.name, f.want, withheld(fields[f.name], f.ok), f.ok)
	}
	for _, end := range []struct{ name, host string }{{"writer", writer}, {"reader", reader}} {
		found := slices.ContainsFunc(slices.Collect(maps.Values(fields)), func(v string) bool { return isConnectionString(v, end.host, fields) })
		x.record("connection string for the "+end.name, "names it and demands sslmode=verify-full", yesOrNo(found), found)
	}
	return nil
}

// ownUsers tells nothing of a password but whether another secret has the same.
func ownUsers(ctx context.Context, e *Env, rec *recorder) error {
	c, err := e.dbCluster(ctx)
	if err != nil {
		return err
	}
	users := map[string]string{lib.OutputDBSecretArn: aws.ToString(c.MasterUsername)}
	for _, kind := range serviceKinds() {
		users[kind.secrets[0]] = kind.databaseUser()
	}
	seen := map[string]bool{}
	for _, output := range databaseSecretOutputs() {
		id, err1 := e.output(output)
		fields, err2 := e.secretFields(ctx, output)
		if err := cmp.Or(err1, err2); err != nil {
			return err
		}
		x := rec.on(id)
		x.equal("user", users[output], fields["username"])
		x.equal("password is another secret's as well", false, seen[fields["password"]])
		seen[fields["password"]] = true
	}
	return nil
}

// withheld says something about a field of a secret without saying what it holds.
func withheld(value string, ok bool) string {
	switch {
	case ok:
		return "as expected (withheld)"
	case value == "":
		return notSet
	}
	return "something else (withheld)"
}

func yesOrNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// isConnectionString tells whether v is a PostgreSQL URL for the host, with the secret's own credentials, that checks
// the server's certificate and name.
func isConnectionString(v, host string, fields map[string]string) bool {
	u, err := url.Parse(v)
	if err != nil || host == "" || !strings.HasPrefix(u.Scheme, "postgres") {
		return false
	}
	password, _ := u.User.Password()
	return u.Hostname() == host && u.Port() == fields["port"] && u.User.Username() == fields["username"] &&
		password == fields["password"] && strings.Trim(u.Path, "/") == fields["dbname"] &&
		u.Query().Get("sslmode") == "verify-full"
}

func apiKeysSecret(ctx context.Context, e *Env, rec *recorder) error {
	d, err1 := e.secret(ctx, lib.OutputAPIKeysSecretArn)
	fields, err2 := e.secretFields(ctx, lib.OutputAPIKeysSecretArn)
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	x := rec.on(aws.ToString(d.ARN))
	x.record("keys in the secret", "at least 1", len(fields), len(fields) > 0)
	for name, v := range fields {
		ok := len(v) >= leastSecretLength
		x.record("key "+name, fmt.Sprintf("at least %d characters", leastSecretLength), withheld(v, ok), ok)
	}
	return nil
}

func noRotation(ctx context.Context, e *Env, rec *recorder) error {
	for _, output := range secretOutputs() {
		d, err := e.secret(ctx, output)
		if err != nil {
			return err
		}
		x := rec.on(aws.ToString(d.ARN))
		x.equal("RotationEnabled", false, aws.ToBool(d.RotationEnabled))
		x.equal("rotation function", "none", orNone(aws.ToString(d.RotationLambdaARN)))
		x.equal("rotation rules", "none", orNone(rotationRules(d)))
	}
	c, err := e.dbCluster(ctx)
	if err != nil {
		return err
	}
	// A password that RDS manages rotates every 7 days and cannot be told not to.
	rec.on(aws.ToString(c.DBClusterArn)).equal("master password managed by RDS", false, c.MasterUserSecret != nil)
	return nil
}

func rotationRules(d *secretsmanager.DescribeSecretOutput) string {
	if d.RotationRules == nil {
		return ""
	}
	if days := d.RotationRules.AutomaticallyAfterDays; days != nil && *days > 0 {
		return fmt.Sprintf("every %d days", *days)
	}
	return aws.ToString(d.RotationRules.ScheduleExpression)
}

func orNone(s string) string { return cmp.Or(s, "none") }

func secretsOverTLS(ctx context.Context, e *Env, rec *recorder) error {
	caller, err := e.cloud.Identity(ctx)
	if err != nil {
		return err
	}
	for _, output := range secretOutputs() {
		id, err := e.output(output)
		if err != nil {
			return err
		}
		document, err := e.cloud.SecretPolicy(ctx, id)
		if err != nil {
			return err
		}
		resourcePolicy(rec.on(id), caller, document, "secretsmanager:GetSecretValue")
	}
	return nil
}

// secretReaders holds each secret's policy to a list of who may read it, and tries the policy on them and on others.
func secretReaders(ctx context.Context, e *Env, rec *recorder) error {
	caller, err1 := e.cloud.Identity(ctx)
	cfg, err2 := e.configuration()
	injected, err3 := e.secretsFor(ctx)
	if err := cmp.Or(err1, err2, err3); err != nil {
		return err
	}
	const reading = "secretsmanager:GetSecretValue"
	others := cfg.SecretReaders
	if len(others) == 0 {
		others = sessionsOf(caller.Caller)
	}
	stranger := arn.ARN{Partition: caller.Partition, Service: "iam", AccountID: caller.Account, Resource: "role/nobody-knows"}.String()
	for _, output := range secretOutputs() {
		id, err1 := e.output(output)
		document, err2 := e.cloud.SecretPolicy(ctx, id)
		if err := cmp.Or(err1, err2); err != nil {
			return err
		}
		x := rec.on(id)
		p, err := policy.Parse(document)
		if err != nil {
			x.record("resource policy", "present", notSet, false)
			continue
		}
		readers := slices.Concat(others, injected[id])
		allBut, _ := policy.AllBut(p, reading)
		x.sameSet("may read it", readers, allBut)
		decide := func(principal string) policy.Decision {
			request := policy.Request{Action: reading, Resource: id}.With("aws:PrincipalArn", principal)
			return understood(policy.EvaluateForAdministrator(p, request, caller.Account))
		}
		for _, reader := range readers {
			x.equal(reader, policy.Allowed, decide(reader))
		}
		x.equal("any other role", policy.Denied, decide(stranger))
	}
	return nil
}

// secretsFor are the execution roles by the ARN of a secret that is for their tasks.
func (e *Env) secretsFor(ctx context.Context) (map[string][]string, error) {
	roles := map[string][]string{}
	for _, kind := range taskKinds() {
		td, err1 := e.taskDefinition(ctx, kind)
		secrets, err2 := e.secretsOf(kind)
		if err := cmp.Or(err1, err2); err != nil {
			return nil, err
		}
		for _, id := range secrets {
			roles[id] = append(roles[id], aws.ToString(td.ExecutionRoleArn))
		}
	}
	return roles, nil
}

// sessionsOf is how a policy names a caller for all its sessions. STS leaves out the path that a role may have.
func sessionsOf(caller string) []string {
	who, err := arn.Parse(caller)
	parts := strings.Split(who.Resource, "/")
	if err != nil || parts[0] != "assumed-role" || len(parts) != 3 {
		return []string{caller}
	}
	var names []string
	for _, path := range []string{"", "*/"} {
		names = append(names, arn.ARN{Partition: who.Partition, Service: "iam", AccountID: who.AccountID, Resource: "role/" + path + parts[1]}.String())
	}
	return names
}

// resourcePolicy wants a resource's policy to refuse the action without TLS, and to let nobody in from outside the account
// but the services that are known to need it.
func resourcePolicy(x subject, caller cloud.Identity, document, action string, known ...string) {
	p, err := policy.Parse(document)
	if err != nil {
		x.record("resource policy", "present", notSet, false)
		return
	}
	x.equal("denies "+action+" without TLS", true, policy.DeniesWithoutTLS(p, action))
	x.sameSet("lets in from outside the account", nil, policy.ExternalPrincipals(p, caller.Account, known...))
}
