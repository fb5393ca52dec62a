package injection

import (
	"fmt"
	"maps"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/cloud"
	"tapstack/lib/cloud/cloudtest"
)

const (
	account   = "123456789012"
	roleARN   = "arn:aws:iam::123456789012:role/payment-api-execution-role-dev"
	session   = "arn:aws:sts::123456789012:assumed-role/payment-api-execution-role-dev/0123456789abcdef"
	taskARN   = "arn:aws:ecs:us-east-1:123456789012:task/ecs-cluster-dev/0123456789abcdef"
	secretARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:payment-api-keys-dev-AbCdEf" //nolint:gosec // a name
	keyARN    = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"      //nolint:gosec // a name
	trust     = `{"Statement":{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole",
		"Condition":{"StringEquals":{"aws:SourceAccount":"123456789012"},"ArnLike":{"aws:SourceArn":"arn:aws:ecs:us-east-1:123456789012:*"}}}}`
	mayRead = `{"Statement":[{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"` + secretARN + `"},
		{"Effect":"Allow","Action":"ssm:GetParameters","Resource":"arn:aws:ssm:us-east-1:123456789012:parameter/payment/*"}]}`
	onlyTheRole = `{"Statement":[{"Effect":"Deny","Principal":"*","Action":"secretsmanager:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}},
		{"Effect":"Deny","Principal":"*","Action":"secretsmanager:GetSecretValue","Resource":"*","Condition":{"ArnNotLike":{"aws:PrincipalArn":["` + roleARN + `"]}}}]}`
	hidden = "hunter2"
)

// account answers as AWS would. What is empty is not there.
type fake struct {
	trust, policy, boundary string
	secret, secretPolicy    string
	kmsKey, keyPolicy       string
	parameters              map[string]ssmtypes.Parameter
	asked                   map[string]int
}

func good() *fake {
	return &fake{
		trust: trust, policy: mayRead, secret: `{"apiKey":"` + hidden + `","port":5432,"limit":1000000,"on":true}`, secretPolicy: onlyTheRole,
		parameters: map[string]ssmtypes.Parameter{
			"/payment/dev/timeout": {Name: aws.String("/payment/dev/timeout"), Value: aws.String("30"), Type: ssmtypes.ParameterTypeString},
		},
		asked: map[string]int{},
	}
}

func (f *fake) source() Source {
	return Source{Task: taskARN, Reader: cloud.NewReader(cloudtest.Config(func(call string, input any) (any, error) {
		f.asked[call]++
		switch in := input.(type) {
		case *sts.GetCallerIdentityInput:
			return &sts.GetCallerIdentityOutput{Account: aws.String(account), Arn: aws.String("arn:aws:iam::123456789012:user/me")}, nil
		case *iam.GetRoleInput:
			if f.trust == "" {
				return nil, cloudtest.Refusal("NoSuchEntity")
			}
			role := iamtypes.Role{RoleName: in.RoleName, Arn: aws.String(roleARN), AssumeRolePolicyDocument: &f.trust}
			if f.boundary != "" {
				role.PermissionsBoundary = &iamtypes.AttachedPermissionsBoundary{PermissionsBoundaryArn: aws.String("arn:aws:iam::aws:policy/b")}
			}
			return &iam.GetRoleOutput{Role: &role}, nil
		case *iam.ListRolePoliciesInput:
			return &iam.ListRolePoliciesOutput{PolicyNames: []string{"inline"}}, nil
		case *iam.GetRolePolicyInput:
			return &iam.GetRolePolicyOutput{PolicyDocument: &f.policy}, nil
		case *iam.ListAttachedRolePoliciesInput:
			return &iam.ListAttachedRolePoliciesOutput{}, nil
		case *iam.GetPolicyInput:
			return &iam.GetPolicyOutput{Policy: &iamtypes.Policy{DefaultVersionId: aws.String("v1")}}, nil
		case *iam.GetPolicyVersionInput:
			return &iam.GetPolicyVersionOutput{PolicyVersion: &iamtypes.PolicyVersion{Document: &f.boundary}}, nil
		case *secretsmanager.DescribeSecretInput:
			if f.secret == "" {
				return nil, cloudtest.Refusal("ResourceNotFoundException")
			}
			out := &secretsmanager.DescribeSecretOutput{ARN: aws.String(secretARN)}
			if f.kmsKey != "" {
				out.KmsKeyId = &f.kmsKey
			}
			return out, nil
		case *secretsmanager.GetResourcePolicyInput:
			return &secretsmanager.GetResourcePolicyOutput{ResourcePolicy: &f.secretPolicy}, nil
		case *secretsmanager.GetSecretValueInput:
			if s := aws.ToString(in.VersionStage); s != "" && s != "AWSPREVIOUS" {
				return nil, cloudtest.Refusal("ResourceNotFoundException")
			}
			return &secretsmanager.GetSecretValueOutput{SecretString: &f.secret}, nil
		case *kms.DescribeKeyInput:
			return &kms.DescribeKeyOutput{KeyMetadata: &kmstypes.KeyMetadata{KeyId: in.KeyId, Arn: aws.String(keyARN), KeyManager: kmstypes.KeyManagerTypeCustomer}}, nil
		case *kms.GetKeyPolicyInput:
			return &kms.GetKeyPolicyOutput{Policy: &f.keyPolicy}, nil
		case *ssm.GetParametersInput:
			out := &ssm.GetParametersOutput{}
			for _, name := range in.Names {
				if p, ok := f.parameters[name]; ok {
					out.Parameters = append(out.Parameters, p)
				} else {
					out.InvalidParameters = append(out.InvalidParameters, name)
				}
			}
			return out, nil
		case *ssm.DescribeParametersInput:
			return &ssm.DescribeParametersOutput{Parameters: []ssmtypes.ParameterMetadata{{Name: aws.String("/payment/dev/timeout"), KeyId: aws.String(keyARN)}}}, nil
		}
		return nil, cloudtest.Refusal("NobodyAsked")
	}))}
}

func definition(secrets map[string]string) ecstypes.TaskDefinition {
	c := ecstypes.ContainerDefinition{
		Name:        aws.String("payment-api"),
		Environment: []ecstypes.KeyValuePair{{Name: aws.String("SERVICE_NAME"), Value: aws.String("payment-api-dev")}},
	}
	for name, from := range secrets {
		c.Secrets = append(c.Secrets, ecstypes.Secret{Name: aws.String(name), ValueFrom: aws.String(from)})
	}
	return ecstypes.TaskDefinition{
		TaskDefinitionArn: aws.String("arn:td"), ExecutionRoleArn: aws.String(roleARN), ContainerDefinitions: []ecstypes.ContainerDefinition{c},
	}
}

func TestAContainerGetsWhatItsTaskDefinitionNames(t *testing.T) {
	f := good()
	secrets := map[string]string{
		"API_KEY": secretARN + ":apiKey::", "PORT": secretARN + ":port::", "LIMIT": secretARN + ":limit::", "ON": secretARN + ":on::",
		"WHOLE": secretARN, "BEFORE": secretARN + ":apiKey:AWSPREVIOUS:", "NUMBERED": secretARN + ":apiKey::01234567890123456789012345678901",
		"TIMEOUT":         "arn:aws:ssm:us-east-1:123456789012:parameter/payment/dev/timeout",
		"TIMEOUT_BY_NAME": "/payment/dev/timeout",
	}
	got, err := Resolve(t.Context(), f.source(), definition(secrets), "payment-api")
	require.NoError(t, err)
	want := map[string]string{
		"SERVICE_NAME": "payment-api-dev", "API_KEY": hidden, "PORT": "5432", "LIMIT": "1e+06", "ON": "true", "WHOLE": f.secret,
		"BEFORE": hidden, "NUMBERED": hidden, "TIMEOUT": "30", "TIMEOUT_BY_NAME": "30",
	}
	assert.Equal(t, want, got)
	assert.Equal(t, 3, f.asked["Secrets Manager GetSecretValue"], "each version is read once")
	assert.Equal(t, 1, f.asked["SSM GetParameters"])
}

func TestATaskStopsForWhatItsRoleMayNotReadInAWSsWords(t *testing.T) {
	const (
		fromASM  = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secret from asm: service call has been retried 1 time(s): "
		fetching = fromASM + "failed to fetch secret " + secretARN + " from secrets manager: "
		ofSSM    = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secrets from ssm: service call has been retried 1 time(s): "
		denied   = "AccessDeniedException: User: " + session + " is not authorized to perform: secretsmanager:GetSecretValue on resource: " + secretARN + " "
		ssmARN   = "arn:aws:ssm:us-east-1:123456789012:parameter/payment/dev/timeout"
		nothing  = `{"Statement":{"Effect":"Allow","Action":"logs:PutLogEvents","Resource":"*"}}`
		assuming = "ECS was unable to assume the role '" + roleARN + "' that was provided for this task. Please verify that the role being passed has the proper trust relationship and permissions and that your IAM user has permissions to pass this role."
		keyFor   = `{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"kms:*","Resource":"*"}}`
		decrypts = `,{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*","Condition":{"StringEquals":{"kms:ViaService":"secretsmanager.us-east-1.amazonaws.com","kms:EncryptionContext:SecretARN":"` + secretARN + `"}}}]}`
	)
	withKey := func(f *fake) { f.kmsKey, f.keyPolicy = keyARN, keyFor }
	for what, c := range map[string]struct {
		change func(*fake)
		from   string
		want   string
	}{
		"nothing missing": {func(*fake) {}, secretARN + ":apiKey::", ""},
		"no permission":   {func(f *fake) { f.policy = nothing }, secretARN + ":apiKey::", fetching + denied + "because no identity-based policy allows the secretsmanager:GetSecretValue action"},
		"the boundary":    {func(f *fake) { f.boundary = nothing }, secretARN, fetching + denied + "because no permissions boundary allows the secretsmanager:GetSecretValue action"},
		"the secret's policy leaves it out": {func(f *fake) {
			f.secretPolicy = `{"Statement":{"Effect":"Deny","Principal":"*","Action":"secretsmanager:GetSecretValue","Resource":"*","Condition":{"ArnNotLike":{"aws:PrincipalArn":"` + roleARN + `2"}}}}`
		}, secretARN, fetching + denied + "with an explicit deny in a resource-based policy"},
		"no such secret":                     {func(f *fake) { f.secret = "" }, secretARN, fetching + "ResourceNotFoundException: Secrets Manager can't find the specified secret."},
		"no such secret, nor may it be read": {func(f *fake) { f.secret, f.policy = "", nothing }, secretARN, fetching + denied + "because no identity-based policy allows the secretsmanager:GetSecretValue action"},
		"no such stage":                      {func(*fake) {}, secretARN + ":apiKey:NEXT:", fetching + "ResourceNotFoundException: says the test"},
		"no such json key":                   {func(*fake) {}, secretARN + ":token::", fromASM + "retrieved secret from Secrets Manager did not contain json key token"},
		"a value that is no JSON":            {func(f *fake) { f.secret = hidden }, secretARN + ":apiKey::", fromASM + "the secret's value is not a JSON object"},
		"an ARN cut short":                   {func(*fake) {}, secretARN + ":apiKey", fromASM + "trying to retrieve secret with value " + secretARN + ":apiKey resulted in error: an invalid ARN format for the AWS Secrets Manager secret was specified. Specify a valid ARN and try again."},
		"a customer's key":                   {func(f *fake) { withKey(f); f.policy = mayRead[:len(mayRead)-2] + decrypts }, secretARN, ""},
		"a customer's key, no permission":    {withKey, secretARN, fetching + "AccessDeniedException: Access to KMS is not allowed"},
		"a customer's key for another": {func(f *fake) {
			f.kmsKey, f.keyPolicy = keyARN, `{"Statement":{"Effect":"Allow","Principal":{"AWS":"`+roleARN+`2"},"Action":"kms:*","Resource":"*"}}`
		}, secretARN, fetching + "AccessDeniedException: Access to KMS is not allowed"},
		"no permission for parameters": {func(f *fake) { f.policy = nothing }, "/payment/dev/timeout", ofSSM + "AccessDeniedException: User: " + session + " is not authorized to perform: ssm:GetParameters on resource: " + ssmARN + " because no identity-based policy allows the ssm:GetParameters action"},
		"no such parameter":            {func(*fake) {}, "/payment/dev/gone", ofSSM + "invalid ssm parameters: /payment/dev/gone"},
		"an encrypted parameter": {func(f *fake) {
			f.keyPolicy = keyFor
			f.parameters["/payment/dev/timeout"] = ssmtypes.Parameter{Name: aws.String("/payment/dev/timeout"), Value: aws.String(hidden), Type: ssmtypes.ParameterTypeSecureString}
		}, ssmARN, ofSSM + "AccessDeniedException: User: " + session + " is not authorized to perform: kms:Decrypt on resource: " + keyARN + " because no identity-based policy allows the kms:Decrypt action"},
		"another account's trust": {func(f *fake) {
			f.trust = `{"Statement":{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:SourceAccount":"210987654321"}}}}`
		}, secretARN, assuming},
		"another service's trust": {func(f *fake) {
			f.trust = `{"Statement":{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}}`
		}, secretARN, assuming},
		"no such role": {func(f *fake) { f.trust = "" }, secretARN, assuming},
	} {
		f := good()
		c.change(f)
		_, err := Resolve(t.Context(), f.source(), definition(map[string]string{"VALUE": c.from}), "payment-api")
		if c.want == "" {
			require.NoError(t, err, what)
			continue
		}
		var reason StoppedReason
		require.ErrorAs(t, err, &reason, "%s: %v", what, err)
		assert.Equal(t, c.want, err.Error(), what)
		assert.NotContains(t, err.Error(), hidden, what)
		if what != "no such stage" && what != "no such json key" && what != "a value that is no JSON" {
			assert.Zero(t, f.asked["Secrets Manager GetSecretValue"], "%s, but the secret was read", what)
		}
	}
}

func TestWhatCannotBeAnsweredIsNoReasonToStopATask(t *testing.T) {
	f := good()
	f.policy = `{"Statement":{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}}`
	for _, c := range []struct {
		f         *fake
		container string
		secrets   map[string]string
		want      string
	}{
		{f, "payment-api", map[string]string{"A": secretARN}, "is not understood: a condition on aws:SourceIp"},
		{good(), "sidecar", nil, "arn:td has no container sidecar"},
	} {
		_, err := Resolve(t.Context(), c.f.source(), definition(c.secrets), c.container)
		require.ErrorContains(t, err, c.want)
		var reason StoppedReason
		assert.NotErrorAs(t, err, &reason)
	}
}

func TestSecretsWithoutAnExecutionRoleStopATask(t *testing.T) {
	td := definition(map[string]string{"A": secretARN})
	td.ExecutionRoleArn = nil
	_, err := Resolve(t.Context(), good().source(), td, "payment-api")
	require.EqualError(t, err, "When you are specifying container secrets, you must also specify a value for 'executionRoleArn'.")
	td = definition(nil)
	td.ExecutionRoleArn = nil
	got, err := Resolve(t.Context(), good().source(), td, "payment-api")
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"SERVICE_NAME": "payment-api-dev"}, got)
}

func TestManyParametersAreReadTenAtATime(t *testing.T) {
	f, secrets, want := good(), map[string]string{}, map[string]string{"SERVICE_NAME": "payment-api-dev"}
	for i := range 23 {
		name := fmt.Sprintf("/payment/dev/p%d", i)
		f.parameters[name] = ssmtypes.Parameter{Name: aws.String(name), Value: aws.String(name)}
		secrets[fmt.Sprint("P", i)], want[fmt.Sprint("P", i)] = name, name
	}
	got, err := Resolve(t.Context(), f.source(), definition(secrets), "payment-api")
	require.NoError(t, err)
	assert.True(t, maps.Equal(want, got))
	assert.Equal(t, 3, f.asked["SSM GetParameters"])
}
