package injection_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/cloud"
	"tapstack/lib/dataplane/injection"
	"tapstack/lib/process/processtest"
	"tapstack/lib/target"
)

// Each step takes one thing away from a task that would start, and puts it back.
func TestALiveTaskStartsUnlessItsRoleLacksSomething(t *testing.T) {
	processtest.SkipIfShort(t)
	opened, err := target.Open(t.Context(), target.Options{Name: target.Local, Notify: func(s string) { t.Log(s) }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, opened.Close()) })
	ctx, api := t.Context(), cloud.NewClients(opened.Config)

	key, err := api.KMS.CreateKey(ctx, &kms.CreateKeyInput{})
	require.NoError(t, err)
	secret, err := api.SecretsManager.CreateSecret(ctx, &secretsmanager.CreateSecretInput{
		Name: aws.String("keys"), SecretString: aws.String(`{"apiKey":"hunter2"}`), KmsKeyId: key.KeyMetadata.Arn,
	})
	require.NoError(t, err)
	_, err = api.SSM.PutParameter(ctx, &ssm.PutParameterInput{
		Name: aws.String("/payment/timeout"), Value: aws.String("30"), Type: ssmtypes.ParameterTypeString,
	})
	require.NoError(t, err)
	const (
		trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole",
			"Condition":{"StringEquals":{"aws:SourceAccount":"123456789012"}}}]}`
		reads = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["secretsmanager:GetSecretValue","ssm:GetParameters","kms:Decrypt"],"Resource":"*"}]}`
	)
	role, err := api.IAM.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("execution"), AssumeRolePolicyDocument: aws.String(trust)})
	require.NoError(t, err)
	managed, err := api.IAM.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: aws.String("boundary"), PolicyDocument: aws.String(reads)})
	require.NoError(t, err)
	trusts := func(document string) {
		_, err := api.IAM.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: aws.String("execution"), PolicyDocument: &document})
		require.NoError(t, err)
	}
	inline := func(document string) {
		_, err := api.IAM.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: aws.String("execution"), PolicyName: aws.String("p"), PolicyDocument: &document})
		require.NoError(t, err)
	}
	keyPolicy := func(document string) {
		_, err := api.KMS.PutKeyPolicy(ctx, &kms.PutKeyPolicyInput{KeyId: key.KeyMetadata.KeyId, PolicyName: aws.String("default"), Policy: &document})
		require.NoError(t, err)
	}
	secretPolicy := func(document string) {
		_, err := api.SecretsManager.PutResourcePolicy(ctx, &secretsmanager.PutResourcePolicyInput{SecretId: secret.ARN, ResourcePolicy: &document})
		require.NoError(t, err)
	}
	resolve := func(from string) (map[string]string, error) {
		return injection.Resolve(ctx, injection.Source{
			Reader: cloud.NewReader(opened.Config), Task: "arn:aws:ecs:us-east-1:123456789012:task/c/0123456789abcdef",
		}, ecstypes.TaskDefinition{
			ExecutionRoleArn: role.Role.Arn,
			ContainerDefinitions: []ecstypes.ContainerDefinition{{Name: aws.String("app"), Secrets: []ecstypes.Secret{
				{Name: aws.String("API_KEY"), ValueFrom: aws.String(from)},
				{Name: aws.String("TIMEOUT"), ValueFrom: aws.String("arn:aws:ssm:us-east-1:123456789012:parameter/payment/timeout")},
			}}},
		}, "app")
	}
	const toAccount = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"kms:*","Resource":"*"}]}`
	allBut := func(role string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"secretsmanager:GetSecretValue","Resource":"*",
			"Condition":{"ArnNotLike":{"aws:PrincipalArn":["` + role + `"]}}}]}`
	}
	good := func() {
		trusts(trust)
		inline(reads)
		keyPolicy(toAccount)
		secretPolicy(allBut(aws.ToString(role.Role.Arn)))
	}
	from := aws.ToString(secret.ARN) + ":apiKey::"
	for _, step := range []struct {
		what string
		less func()
		from string
		want string
	}{
		{"everything there", func() {}, from, ""},
		{"no permission for the secret", func() { inline(strings.ReplaceAll(reads, "secretsmanager:GetSecretValue", "secretsmanager:Other")) }, from, "because no identity-based policy allows the secretsmanager:GetSecretValue action"},
		{"no permission for the parameter", func() { inline(strings.ReplaceAll(reads, "ssm:GetParameters", "ssm:Other")) }, from, "because no identity-based policy allows the ssm:GetParameters action"},
		{"no permission for the key", func() { inline(strings.ReplaceAll(reads, "kms:Decrypt", "kms:Other")) }, from, "Access to KMS is not allowed"},
		{"the key lets nobody in", func() { keyPolicy(strings.ReplaceAll(toAccount, "kms:*", "kms:Describe*")) }, from, "Access to KMS is not allowed"},
		{"the secret denies the role", func() { secretPolicy(allBut("arn:aws:iam::123456789012:role/other")) }, from, "with an explicit deny in a resource-based policy"},
		{"ECS may not assume the role", func() { trusts(strings.ReplaceAll(trust, "ecs-tasks", "ec2")) }, from, "ECS was unable to assume the role"},
		{"no such key in the secret", func() {}, aws.ToString(secret.ARN) + ":token::", "did not contain json key token"},
		{"everything there again", func() {}, from, ""},
	} {
		good()
		step.less()
		got, err := resolve(step.from)
		if step.want == "" {
			require.NoError(t, err, step.what)
			assert.Equal(t, map[string]string{"API_KEY": "hunter2", "TIMEOUT": "30"}, got, step.what)
			continue
		}
		var reason injection.StoppedReason
		require.ErrorAs(t, err, &reason, "%s: %v", step.what, err)
		assert.Contains(t, err.Error(), step.want, step.what)
	}

	good()
	_, err = api.IAM.PutRolePermissionsBoundary(ctx, &iam.PutRolePermissionsBoundaryInput{RoleName: aws.String("execution"), PermissionsBoundary: managed.Policy.Arn})
	require.NoError(t, err)
	_, err = resolve(from)
	require.NoError(t, err, "within its boundary")
	_, err = api.IAM.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: aws.String("execution"), PolicyName: aws.String("p")})
	require.NoError(t, err)
	_, err = resolve(from)
	require.ErrorContains(t, err, "because no identity-based policy allows", "a boundary allows nothing by itself")
	_, err = api.IAM.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: aws.String("execution"), PolicyArn: managed.Policy.Arn})
	require.NoError(t, err)
	_, err = resolve(from)
	require.NoError(t, err, "an attached policy is as good as an inline one")
}
