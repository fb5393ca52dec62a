package preflight_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
	"tapstack/lib/cloud"
	"tapstack/lib/preflight"
	"tapstack/lib/process/processtest"
	"tapstack/lib/target"
)

func TestAnEmulatorAnswersWhatItCanAndTheRestIsUnknown(t *testing.T) {
	processtest.SkipIfShort(t)
	opened, err := target.Open(t.Context(), target.Options{Name: target.Local, Notify: func(s string) { t.Log(s) }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, opened.Close()) })
	config, err := lib.ParseConfig(map[string]string{
		"environmentSuffix": "dev", "alertEmail": "ops@example.com",
		"paymentApiImage": "registry.example.com/payment-api:1.0.0", "jobProcessorImage": "registry.example.com/job-processor:1.0.0",
	})
	require.NoError(t, err)
	run := func() map[string]preflight.Finding {
		report := preflight.Run(t.Context(), preflight.Options{AWS: opened.Config, Config: config, Emulated: true})
		found := map[string]preflight.Finding{}
		for _, f := range report.Findings {
			t.Logf("%-8s %s: %s", f.Status, f.What, f.Detail)
			require.NotContains(t, found, f.What, "told twice")
			found[f.What] = f
		}
		return found
	}
	found := run()
	for _, what := range []string{"credentials", "allowed accounts", "region", "availability zones", "quota of VPCs", "certificate", "names", "deleted secrets"} {
		require.Equal(t, preflight.OK, found[what].Status, "%+v", found[what])
	}
	for what, f := range found {
		require.NotEqual(t, preflight.Problem, f.Status, "%s: %s", what, f.Detail)
	}
	require.Equal(t, preflight.Unknown, found["quota of Elastic IPs"].Status, "moto knows the quotas of vpc only")
	require.Contains(t, found["quota of Elastic IPs"].Detail, "GetAWSDefaultServiceQuota")

	client := cloud.NewClients(opened.Config).EC2
	for range 5 {
		_, err := client.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})
		require.NoError(t, err)
	}
	_, err = client.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16"), TagSpecifications: []ec2types.TagSpecification{{
		ResourceType: ec2types.ResourceTypeVpc, Tags: []ec2types.Tag{{Key: aws.String("Name"), Value: aws.String("vpc-dev")}},
	}}})
	require.NoError(t, err)
	found = run()
	require.Equal(t, preflight.Problem, found["quota of VPCs"].Status)
	require.Equal(t, preflight.Problem, found["names"].Status)
	require.Contains(t, found["names"].Detail, "VPC vpc-dev")
}
