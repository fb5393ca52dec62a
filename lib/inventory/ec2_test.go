package inventory

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/cloud"
	"tapstack/lib/cloud/cloudtest"
)

func TestWhatGuardDutyPutsIntoAVPCIsPartOfIt(t *testing.T) {
	byGuardDuty := []ec2types.Tag{{Key: aws.String("GuardDutyManaged"), Value: aws.String("true")}}
	endpoint := func(id, service string, tags []ec2types.Tag) ec2types.VpcEndpoint {
		return ec2types.VpcEndpoint{VpcEndpointId: &id, VpcId: aws.String("vpc-1"), ServiceName: aws.String("com.amazonaws.us-east-1." + service), Tags: tags}
	}
	group := func(id, name string, tags []ec2types.Tag) ec2types.SecurityGroup {
		return ec2types.SecurityGroup{GroupId: &id, GroupName: &name, VpcId: aws.String("vpc-1"), Tags: tags}
	}
	reader := cloud.NewReader(cloudtest.Config(func(call string, _ any) (any, error) {
		switch call {
		case "STS GetCallerIdentity":
			return &sts.GetCallerIdentityOutput{Account: aws.String("123456789012"), Arn: aws.String("arn:aws:iam::123456789012:user/test")}, nil
		case "EC2 DescribeVpcEndpoints":
			return &ec2.DescribeVpcEndpointsOutput{VpcEndpoints: []ec2types.VpcEndpoint{
				endpoint("theirs", "guardduty-data", byGuardDuty), endpoint("by-hand", "guardduty-data", nil), endpoint("other", "sqs", byGuardDuty),
			}}, nil
		case "EC2 DescribeSecurityGroups":
			return &ec2.DescribeSecurityGroupsOutput{SecurityGroups: []ec2types.SecurityGroup{
				group("theirs", "GuardDutyManagedSecurityGroup-vpc-1", byGuardDuty), group("by-hand", "GuardDutyManagedSecurityGroup-vpc-1", nil), group("other", "other", byGuardDuty),
			}}, nil
		case "EC2 DescribeSecurityGroupRules":
			return &ec2.DescribeSecurityGroupRulesOutput{SecurityGroupRules: []ec2types.SecurityGroupRule{
				{SecurityGroupRuleId: aws.String("theirs"), GroupId: aws.String("theirs")}, {SecurityGroupRuleId: aws.String("other"), GroupId: aws.String("other")},
			}}, nil
		}
		return nil, cloudtest.Refusal("AccessDenied")
	}))
	for _, kind := range []*Kind{VPCEndpoint, SecurityGroup} {
		all, err := kind.List(t.Context(), reader)
		require.NoError(t, err)
		partOf := map[string][]string{}
		for _, r := range all {
			partOf[r.ID] = r.PartOf
		}
		assert.Equal(t, map[string][]string{"theirs": {"arn:aws:ec2:us-east-1:123456789012:vpc/vpc-1"}, "by-hand": nil, "other": nil}, partOf, kind)
		assert.Equal(t, ByOwner, kind.Removal.Proof, kind)
	}
	rules, err := SecurityGroupRule.List(t.Context(), reader)
	require.NoError(t, err)
	for _, r := range rules {
		assert.Equal(t, r.ID == "theirs", r.RemovedByAWS, "the rules of GuardDuty's group go with it: %s", r.ID)
	}
}
