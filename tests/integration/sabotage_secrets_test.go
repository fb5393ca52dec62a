package integration

import (
	"context"
	"encoding/json"
	"maps"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
)

// newerVersion says why a new value is not put back.
const newerVersion = "a secret's value is a version of its own: the stack's version is still there as it was, and only its label has moved on, which the provider does not hold"

func secretSabotages() []sabotage {
	return []sabotage{
		putsSecret("secrets.connection-strings", "write another host into the database's secret", lib.OutputDBSecretArn, "host", "db.example.com"),
		putsSecret("secrets.own-users", "let payment-api connect as the master user", lib.OutputPaymentAPIDBSecretArn, "username", "payments_admin", "secrets.connection-strings"),
		{Check: "secrets.own-users", Says: "give both services one password", Unhealable: newerVersion, Also: []string{"secrets.connection-strings"}, Do: func(ctx context.Context, s *saboteur) {
			other := s.secretFields(ctx, lib.OutputPaymentAPIDBSecretArn)
			s.putField(ctx, lib.OutputJobProcessorDBSecretArn, "password", other["password"])
		}},
		putsSecret("secrets.api-keys", "write a short API key", lib.OutputAPIKeysSecretArn, "apiKey", "letmein"),
		{
			Check: "secrets.no-rotation", Says: "let RDS keep and rotate the master password",
			Unhealable: "the provider reads the secret that RDS keeps as an output, and compares no input with it",
			Do: func(ctx context.Context, s *saboteur) {
				fields := s.secretFields(ctx, lib.OutputDBSecretArn)
				password, _ := fields["password"].(string)
				cluster := aws.String(s.output(lib.OutputClusterIdentifier))
				call(ctx, s, s.RDS.ModifyDBCluster, &rds.ModifyDBClusterInput{
					DBClusterIdentifier: cluster, ManageMasterUserPassword: aws.Bool(true), ApplyImmediately: aws.Bool(true),
				})
				later(s, s.RDS.ModifyDBCluster, &rds.ModifyDBClusterInput{
					DBClusterIdentifier: cluster, ManageMasterUserPassword: aws.Bool(false), MasterUserPassword: &password, ApplyImmediately: aws.Bool(true),
				})
			},
		},
		putsSecretPolicy("let another role read a secret", lib.OutputDBSecretArn, func(policy string) string {
			return strings.Replace(policy, `:role/payment-migrate-execution-role-`, `:role/analyst","arn:aws:iam::123456789012:role/payment-migrate-execution-role-`, 1)
		}),
		putsSecretPolicy("let a service read the master user's secret", lib.OutputDBSecretArn, func(policy string) string {
			return strings.Replace(policy, `:role/payment-migrate-execution-role-`, `:role/payment-api-execution-role-`, 1)
		}),
		putsSecretPolicy("refuse nobody to read a secret but over an old address", lib.OutputDBSecretArn, func(policy string) string {
			return strings.Replace(policy, `"ArnNotLike":`, `"IpAddress":{"aws:SourceIp":"192.0.2.1"},"ArnNotLike":`, 1)
		}),
		putsSecretPolicy("refuse a service to read its secret", lib.OutputPaymentAPIDBSecretArn, func(policy string) string {
			return strings.Replace(policy, `:role/payment-api-execution-role-`, `:role/former-execution-role-`, 1)
		}),
		{Check: "secrets.tls-only", Says: "delete the resource policy of a secret", Also: []string{"secrets.readers"}, Do: func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.SecretsManager.DeleteResourcePolicy, &secretsmanager.DeleteResourcePolicyInput{SecretId: aws.String(s.output(lib.OutputDBSecretArn))})
		}},
		{Check: "secrets.encrypted", Says: "encrypt a secret with a key and disable the key", Do: func(ctx context.Context, s *saboteur) {
			key := call(ctx, s, s.KMS.CreateKey, &kms.CreateKeyInput{})
			id := key.KeyMetadata.KeyId
			later(s, s.KMS.ScheduleKeyDeletion, &kms.ScheduleKeyDeletionInput{KeyId: id, PendingWindowInDays: aws.Int32(7)})
			call(ctx, s, s.SecretsManager.UpdateSecret, &secretsmanager.UpdateSecretInput{
				SecretId: aws.String(s.output(lib.OutputAPIKeysSecretArn)), KmsKeyId: key.KeyMetadata.Arn,
			})
			call(ctx, s, s.KMS.DisableKey, &kms.DisableKeyInput{KeyId: id})
		}},
		{
			Check: "destroyable.secrets", Says: "leave a secret of the stack's waiting for its deletion", Unhealable: byHand,
			Do: func(ctx context.Context, s *saboteur) {
				id := aws.String(s.named("forgotten-keys"))
				call(ctx, s, s.SecretsManager.CreateSecret, &secretsmanager.CreateSecretInput{Name: id, SecretString: aws.String("{}")})
				later(s, s.SecretsManager.DeleteSecret, &secretsmanager.DeleteSecretInput{SecretId: id, ForceDeleteWithoutRecovery: aws.Bool(true)})
				call(ctx, s, s.SecretsManager.DeleteSecret, &secretsmanager.DeleteSecretInput{SecretId: id, RecoveryWindowInDays: aws.Int64(7)})
			},
		},
	}
}

// secretFields reads a secret. No error says anything of its value.
func (s *saboteur) secretFields(ctx context.Context, output string) map[string]any {
	got := call(ctx, s, s.SecretsManager.GetSecretValue, &secretsmanager.GetSecretValueInput{SecretId: aws.String(s.output(output))})
	var fields map[string]any
	if json.Unmarshal([]byte(aws.ToString(got.SecretString)), &fields) != nil {
		require.Fail(s, "the value of "+output+" is no JSON object")
	}
	return fields
}

func (s *saboteur) putSecret(ctx context.Context, output string, fields map[string]any) {
	written, err := json.Marshal(fields)
	require.NoError(s, err)
	call(ctx, s, s.SecretsManager.PutSecretValue, &secretsmanager.PutSecretValueInput{
		SecretId: aws.String(s.output(output)), SecretString: aws.String(string(written)),
	})
}

// putsSecret changes one field of a secret's value and puts the old value back by hand.
func putsSecret(check, says, output, field, value string, also ...string) sabotage {
	return sabotage{Check: check, Says: says, Also: also, Unhealable: newerVersion, Do: func(ctx context.Context, s *saboteur) {
		s.putField(ctx, output, field, value)
	}}
}

func (s *saboteur) putField(ctx context.Context, output, field string, value any) {
	was := s.secretFields(ctx, output)
	s.later(func(ctx context.Context) { s.putSecret(ctx, output, was) })
	now := maps.Clone(was)
	now[field] = value
	s.putSecret(ctx, output, now)
}

// putsSecretPolicy changes the resource policy of a secret.
func putsSecretPolicy(says, output string, change func(string) string) sabotage {
	return sabotage{Check: "secrets.readers", Says: says, Do: func(ctx context.Context, s *saboteur) {
		id := aws.String(s.output(output))
		was := call(ctx, s, s.SecretsManager.GetResourcePolicy, &secretsmanager.GetResourcePolicyInput{SecretId: id})
		now := change(aws.ToString(was.ResourcePolicy))
		require.NotEqual(s, aws.ToString(was.ResourcePolicy), now)
		call(ctx, s, s.SecretsManager.PutResourcePolicy, &secretsmanager.PutResourcePolicyInput{SecretId: id, ResourcePolicy: &now})
	}}
}

func configurationSabotages() []sabotage {
	return []sabotage{
		putsParameter("parameters.stored", "turn the API's retry count into a list", "api-retry-count", func(in *ssm.PutParameterInput) {
			in.Type = ssmtypes.ParameterTypeStringList
		}),
		putsParameter("parameters.values", "set the API's timeout to a word", "api-timeout-seconds", func(in *ssm.PutParameterInput) {
			in.Value = aws.String("soon")
		}),
		{
			Check: "parameters.not-secret", Says: "write the API key into a parameter", Also: []string{"parameters.values"}, On: "job-retry-count",
			Do: func(ctx context.Context, s *saboteur) {
				fields := s.secretFields(ctx, lib.OutputAPIKeysSecretArn)
				key, _ := fields["apiKey"].(string)
				s.putParameter(ctx, "job-retry-count", func(in *ssm.PutParameterInput) { in.Value = &key })
			},
		},
	}
}

func putsParameter(check, says, role string, change func(*ssm.PutParameterInput)) sabotage {
	return sabotage{Check: check, Says: says, On: role, Do: func(ctx context.Context, s *saboteur) {
		s.putParameter(ctx, role, change)
	}}
}

func (s *saboteur) putParameter(ctx context.Context, role string, change func(*ssm.PutParameterInput)) {
	name := "/payment/" + s.suffix + "/" + role
	now := call(ctx, s, s.SSM.GetParameter, &ssm.GetParameterInput{Name: &name})
	in := &ssm.PutParameterInput{Name: &name, Type: now.Parameter.Type, Value: now.Parameter.Value, Overwrite: aws.Bool(true)}
	change(in)
	call(ctx, s, s.SSM.PutParameter, in)
}
