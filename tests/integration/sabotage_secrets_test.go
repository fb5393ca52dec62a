package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"tapstack/lib"
)

// newerVersion says why a new value is not put back.
const newerVersion = "a secret's value is a version of its own: the stack's version is still there as it was, and only its label has moved on, which the provider does not hold"

func secretSabotages() []sabotage {
	return []sabotage{
		putsSecret("secrets.connection-strings", "write another host into the database's secret", lib.OutputDBSecretArn, "host", "db.example.com"),
		putsSecret("secrets.api-keys", "write a short API key", lib.OutputAPIKeysSecretArn, "apiKey", "letmein"),
		{
			Check: "secrets.no-rotation", Says: "let RDS keep and rotate the master password",
			Unhealable: "the provider reads the secret that RDS keeps as an output, and compares no input with it",
			Do: func(ctx context.Context, s *saboteur) error {
				fields, err := s.secretFields(ctx, lib.OutputDBSecretArn)
				if err != nil {
					return err
				}
				password, _ := fields["password"].(string)
				cluster := aws.String(s.output(lib.OutputClusterIdentifier))
				_, err = s.RDS.ModifyDBCluster(ctx, &rds.ModifyDBClusterInput{
					DBClusterIdentifier: cluster, ManageMasterUserPassword: aws.Bool(true), ApplyImmediately: aws.Bool(true),
				})
				if err != nil {
					return err
				}
				s.later(func(ctx context.Context) error {
					return call(ctx, s.RDS.ModifyDBCluster, &rds.ModifyDBClusterInput{
						DBClusterIdentifier: cluster, ManageMasterUserPassword: aws.Bool(false), MasterUserPassword: &password, ApplyImmediately: aws.Bool(true),
					})
				})
				return nil
			},
		},
		{
			Check: "secrets.tls-only", Says: "delete the resource policy of a secret",
			Do: func(ctx context.Context, s *saboteur) error {
				return call(ctx, s.SecretsManager.DeleteResourcePolicy, &secretsmanager.DeleteResourcePolicyInput{SecretId: aws.String(s.output(lib.OutputDBSecretArn))})
			},
		},
		{
			Check: "secrets.encrypted", Says: "encrypt a secret with a key and disable the key",
			Do: func(ctx context.Context, s *saboteur) error {
				key, err := s.KMS.CreateKey(ctx, &kms.CreateKeyInput{})
				if err != nil {
					return err
				}
				id := key.KeyMetadata.KeyId
				s.later(func(ctx context.Context) error {
					return call(ctx, s.KMS.ScheduleKeyDeletion, &kms.ScheduleKeyDeletionInput{KeyId: id, PendingWindowInDays: aws.Int32(7)})
				})
				if _, err := s.SecretsManager.UpdateSecret(ctx, &secretsmanager.UpdateSecretInput{
					SecretId: aws.String(s.output(lib.OutputAPIKeysSecretArn)), KmsKeyId: key.KeyMetadata.Arn,
				}); err != nil {
					return err
				}
				return call(ctx, s.KMS.DisableKey, &kms.DisableKeyInput{KeyId: id})
			},
		},
		{
			Check: "destroyable.secrets", Says: "leave a secret of the stack's waiting for its deletion", Unhealable: byHand,
			Do: func(ctx context.Context, s *saboteur) error {
				id := aws.String(s.named("forgotten-keys"))
				if _, err := s.SecretsManager.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: id, SecretString: aws.String("{}")}); err != nil {
					return err
				}
				s.later(func(ctx context.Context) error {
					return call(ctx, s.SecretsManager.DeleteSecret, &secretsmanager.DeleteSecretInput{SecretId: id, ForceDeleteWithoutRecovery: aws.Bool(true)})
				})
				return call(ctx, s.SecretsManager.DeleteSecret, &secretsmanager.DeleteSecretInput{SecretId: id, RecoveryWindowInDays: aws.Int64(7)})
			},
		},
	}
}

// secretFields reads a secret. No error says anything of its value.
func (s *saboteur) secretFields(ctx context.Context, output string) (map[string]any, error) {
	got, err := s.SecretsManager.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(s.output(output))})
	if err != nil {
		return nil, err
	}
	var fields map[string]any
	if json.Unmarshal([]byte(aws.ToString(got.SecretString)), &fields) != nil {
		return nil, fmt.Errorf("the value of %s is no JSON object", output)
	}
	return fields, nil
}

func (s *saboteur) putSecret(ctx context.Context, output string, fields map[string]any) error {
	written, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	return call(ctx, s.SecretsManager.PutSecretValue, &secretsmanager.PutSecretValueInput{
		SecretId: aws.String(s.output(output)), SecretString: aws.String(string(written)),
	})
}

// putsSecret changes one field of a secret's value and puts the old value back by hand.
func putsSecret(check, says, output, field, value string) sabotage {
	return sabotage{Check: check, Says: says, Unhealable: newerVersion, Do: func(ctx context.Context, s *saboteur) error {
		was, err := s.secretFields(ctx, output)
		if err != nil {
			return err
		}
		s.later(func(ctx context.Context) error { return s.putSecret(ctx, output, was) })
		now := maps.Clone(was)
		now[field] = value
		return s.putSecret(ctx, output, now)
	}}
}

func configurationSabotages() []sabotage {
	return []sabotage{
		putsParameter("parameters.stored", "turn the API's retry count into a list", "api-retry-count", func(in *ssm.PutParameterInput) error {
			in.Type = ssmtypes.ParameterTypeStringList
			return nil
		}),
		putsParameter("parameters.values", "set the API's timeout to a word", "api-timeout-seconds", func(in *ssm.PutParameterInput) error {
			in.Value = aws.String("soon")
			return nil
		}),
		{
			Check: "parameters.not-secret", Says: "write the API key into a parameter", Also: []string{"parameters.values"}, On: "job-retry-count",
			Do: func(ctx context.Context, s *saboteur) error {
				fields, err := s.secretFields(ctx, lib.OutputAPIKeysSecretArn)
				if err != nil {
					return err
				}
				key, _ := fields["apiKey"].(string)
				return s.putParameter(ctx, "job-retry-count", func(in *ssm.PutParameterInput) error {
					in.Value = &key
					return nil
				})
			},
		},
	}
}

func putsParameter(check, says, role string, change func(*ssm.PutParameterInput) error) sabotage {
	return sabotage{Check: check, Says: says, On: role, Do: func(ctx context.Context, s *saboteur) error {
		return s.putParameter(ctx, role, change)
	}}
}

func (s *saboteur) putParameter(ctx context.Context, role string, change func(*ssm.PutParameterInput) error) error {
	name := "/payment/" + s.suffix + "/" + role
	now, err := s.SSM.GetParameter(ctx, &ssm.GetParameterInput{Name: &name})
	if err != nil {
		return err
	}
	in := &ssm.PutParameterInput{Name: &name, Type: now.Parameter.Type, Value: now.Parameter.Value, Overwrite: aws.Bool(true)}
	if err := change(in); err != nil {
		return err
	}
	return call(ctx, s.SSM.PutParameter, in)
}
