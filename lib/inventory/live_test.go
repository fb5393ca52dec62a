package inventory_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/cloud"
	"tapstack/lib/inventory"
	"tapstack/lib/process/processtest"
	"tapstack/lib/target"
)

func TestWhatIsLeftOfAStackIsFoundInALiveAccount(t *testing.T) {
	processtest.SkipIfShort(t)
	opened, err := target.Open(t.Context(), target.Options{Name: target.Local, Notify: func(s string) { t.Log(s) }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, opened.Close()) })
	ctx, api := t.Context(), cloud.NewClients(opened.Config)
	left := func(suffix string) (all []string) {
		leaks, err := inventory.Leaks(ctx, opened.Config, suffix)
		require.NoError(t, err)
		for _, l := range leaks {
			all = append(all, l.Kind.Name+" "+l.Name)
		}
		return all
	}
	require.Empty(t, left("left"))

	briefTags := map[string]string{"Environment": "production", "MigrationBatch": "phase-1"}
	for name, tags := range map[string]map[string]string{
		"payment-jobs-left":   nil,       // its own by name
		"payment-jobs-x-left": briefTags, // of the stack x-left
		"forgotten-left":      briefTags, // its own by name and tags
		"somebody-elses-left": nil,       // nobody knows whose
	} {
		_, err := api.SQS.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name, Tags: tags})
		require.NoError(t, err)
	}
	secret := aws.String("payment-api-keys-left")
	_, err = api.SecretsManager.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: secret, SecretString: aws.String("{}")})
	require.NoError(t, err)
	_, err = api.SecretsManager.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: secret, RecoveryWindowInDays: aws.Int64(7)})
	require.NoError(t, err)
	key, err := api.KMS.CreateKey(ctx, &kms.CreateKeyInput{
		Tags: []kmstypes.Tag{{TagKey: aws.String("Name"), TagValue: aws.String("payment-alerts-key-left")}},
	})
	require.NoError(t, err)
	vpc, err := api.EC2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16"), TagSpecifications: []ec2types.TagSpecification{{
		ResourceType: ec2types.ResourceTypeVpc, Tags: []ec2types.Tag{{Key: aws.String("Name"), Value: aws.String("vpc-left")}},
	}}})
	require.NoError(t, err)
	_, err = api.EC2.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: vpc.Vpc.VpcId, CidrBlock: aws.String("10.0.0.0/24")})
	require.NoError(t, err)

	// A secret that waits for its deletion still blocks its name. A subnet without a name is its VPC's.
	found := left("left")
	assert.Subset(t, found, []string{
		"queue payment-jobs-left", "queue forgotten-left", "secret payment-api-keys-left", "KMS key payment-alerts-key-left", "VPC vpc-left", "subnet ",
	})
	assert.NotContains(t, found, "queue payment-jobs-x-left")
	assert.NotContains(t, found, "queue somebody-elses-left")
	assert.Empty(t, left("eft"))
	_, err = api.KMS.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: key.KeyMetadata.KeyId, PendingWindowInDays: aws.Int32(7)})
	require.NoError(t, err)
	assert.NotContains(t, left("left"), "KMS key payment-alerts-key-left", "a key that waits for its deletion is as gone as can be")
}
