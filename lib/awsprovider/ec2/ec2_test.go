package ec2

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/awsprovider/resource"
	"tapstack/lib/cloud"
	"tapstack/lib/cloud/cloudtest"
)

// script answers API calls: for each operation a list of answers, the last of which stays.
type script struct {
	answers map[string][]any
	calls   []string
	inputs  map[string]any
}

// cloud is a cloud whose every call the script answers.
func (s *script) cloud() *resource.Cloud {
	s.inputs = map[string]any{}
	return resource.NewCloud(cloudtest.Config(s.answer), nil)
}

func (s *script) answer(call string, input any) (any, error) {
	_, operation, _ := strings.Cut(call, " ")
	s.calls = append(s.calls, operation)
	s.inputs[operation] = input
	answers := s.answers[operation]
	if len(answers) == 0 {
		return nil, fmt.Errorf("the script has no answer to %s", operation)
	}
	if len(answers) > 1 {
		s.answers[operation] = answers[1:]
	}
	err, _ := answers[0].(error)
	return answers[0], err
}

func (s *script) count(operation string) int {
	n := 0
	for _, c := range s.calls {
		if c == operation {
			n++
		}
	}
	return n
}

func TestASecurityGroupIsDeletedOnceItsInterfacesAreGone(t *testing.T) {
	s := &script{answers: map[string][]any{
		"DeleteSecurityGroup":    {cloudtest.Refusal("DependencyViolation"), cloudtest.Refusal("DependencyViolation"), &ec2.DeleteSecurityGroupOutput{}},
		"DescribeSecurityGroups": {cloudtest.Refusal("InvalidGroup.NotFound")},
	}}
	require.NoError(t, securityGroup.Delete(t.Context(), s.cloud(), "sg-1", SecurityGroupState{}))
	assert.Equal(t, 3, s.count("DeleteSecurityGroup"))
}

func TestASecurityGroupWhoseCreationFailsHalfWayKeepsItsIDAndIsFinishedByAnUpdate(t *testing.T) {
	group := &ec2.DescribeSecurityGroupsOutput{SecurityGroups: []types.SecurityGroup{{GroupId: aws.String("sg-1")}}}
	s := &script{answers: map[string][]any{
		"CreateSecurityGroup":       {&ec2.CreateSecurityGroupOutput{GroupId: aws.String("sg-1")}},
		"DescribeSecurityGroups":    {group},
		"RevokeSecurityGroupEgress": {cloudtest.Refusal("InternalError"), &ec2.RevokeSecurityGroupEgressOutput{}, cloudtest.Refusal("InvalidPermission.NotFound")},
	}}
	c := s.cloud()
	id, err := securityGroup.Create(t.Context(), c, SecurityGroupArgs{Name: "sg", Description: aws.String("An example")})
	require.Equal(t, "sg-1", id)
	require.True(t, cloud.HasCode(err, "InternalError"))
	unfinished := SecurityGroupState{SecurityGroupArgs: SecurityGroupArgs{Name: "sg"}}
	require.NoError(t, securityGroup.Update(t.Context(), c, id, unfinished, unfinished.SecurityGroupArgs))
	assert.Equal(t, 3, s.count("RevokeSecurityGroupEgress"))
}

func TestADefaultSecurityGroupIsStrippedOfRulesAddedByHand(t *testing.T) {
	bare := types.SecurityGroup{GroupId: aws.String("sg-1")}
	s := &script{answers: map[string][]any{
		"DescribeSecurityGroupRules": {&ec2.DescribeSecurityGroupRulesOutput{SecurityGroupRules: []types.SecurityGroupRule{
			{SecurityGroupRuleId: aws.String("sgr-in"), IsEgress: aws.Bool(false)},
			{SecurityGroupRuleId: aws.String("sgr-out"), IsEgress: aws.Bool(true)},
		}}},
		"RevokeSecurityGroupIngress": {&ec2.RevokeSecurityGroupIngressOutput{}},
		"RevokeSecurityGroupEgress":  {&ec2.RevokeSecurityGroupEgressOutput{}},
		"DescribeSecurityGroups":     {&ec2.DescribeSecurityGroupsOutput{SecurityGroups: []types.SecurityGroup{bare}}},
	}}
	err := defaultSecurityGroup.Update(t.Context(), s.cloud(), "sg-1", DefaultSecurityGroupState{Arn: "arn"}, DefaultSecurityGroupArgs{})
	require.NoError(t, err)
	in := s.inputs["RevokeSecurityGroupIngress"].(*ec2.RevokeSecurityGroupIngressInput).SecurityGroupRuleIds
	out := s.inputs["RevokeSecurityGroupEgress"].(*ec2.RevokeSecurityGroupEgressInput).SecurityGroupRuleIds
	assert.Equal(t, []string{"sgr-in"}, in)
	assert.Equal(t, []string{"sgr-out"}, out)
}

func TestGroupRulesAreReadByPortsAndDescription(t *testing.T) {
	got := groupRules("sg-1", []types.IpPermission{{
		IpProtocol: aws.String("tcp"), FromPort: aws.Int32(22), ToPort: aws.Int32(22),
		IpRanges: []types.IpRange{
			{CidrIp: aws.String("10.0.0.0/8"), Description: aws.String("office")},
			{CidrIp: aws.String("11.0.0.0/8"), Description: aws.String("office")},
		},
		Ipv6Ranges:       []types.Ipv6Range{{CidrIpv6: aws.String("::/0")}},
		PrefixListIds:    []types.PrefixListId{{PrefixListId: aws.String("pl-1")}},
		UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: aws.String("sg-1")}, {GroupId: aws.String("sg-2")}},
	}})
	want := []DefaultGroupRule{
		{Protocol: "tcp", FromPort: 22, ToPort: 22, CidrBlocks: []string{"10.0.0.0/8", "11.0.0.0/8"}, Description: aws.String("office")},
		{
			Protocol: "tcp", FromPort: 22, ToPort: 22, Ipv6CidrBlocks: []string{"::/0"}, PrefixListIDs: []string{"pl-1"},
			SecurityGroups: []string{"sg-2"}, Self: aws.Bool(true),
		},
	}
	assert.Equal(t, want, got)
}

func TestADefaultSecurityGroupWithRulesIsRefused(t *testing.T) {
	faults := defaultSecurityGroup.Check(&DefaultSecurityGroupArgs{Egress: []DefaultGroupRule{{Protocol: "-1"}}})
	require.Len(t, faults, 1)
	assert.Equal(t, "egress", faults[0].Property)
}

func TestARouteTableAssociationIsKnownByItsSubnetAfterItsTableChanges(t *testing.T) {
	association := func(id, table string) *ec2.DescribeRouteTablesOutput {
		return &ec2.DescribeRouteTablesOutput{RouteTables: []types.RouteTable{{Associations: []types.RouteTableAssociation{
			{RouteTableAssociationId: aws.String("rtbassoc-other"), SubnetId: aws.String("subnet-2"), RouteTableId: aws.String(table)},
			{RouteTableAssociationId: &id, SubnetId: aws.String("subnet-1"), RouteTableId: &table},
		}}}}
	}
	s := &script{answers: map[string][]any{
		"DescribeRouteTables":          {association("rtbassoc-1", "rtb-1"), association("rtbassoc-2", "rtb-2")},
		"ReplaceRouteTableAssociation": {&ec2.ReplaceRouteTableAssociationOutput{NewAssociationId: aws.String("rtbassoc-2")}},
	}}
	c := s.cloud()
	now := RouteTableAssociationArgs{SubnetID: "subnet-1", RouteTableID: "rtb-2"}
	require.NoError(t, routeTableAssociation.Update(t.Context(), c, "rtbassoc-1", RouteTableAssociationState{}, now))
	read, err := routeTableAssociation.Read(t.Context(), c, "rtbassoc-1", RouteTableAssociationState{now})
	require.NoError(t, err)
	assert.Equal(t, now, read.RouteTableAssociationArgs)
	s.answers["DisassociateRouteTable"] = []any{&ec2.DisassociateRouteTableOutput{}}
	s.answers["DescribeRouteTables"] = []any{association("rtbassoc-2", "rtb-2"), &ec2.DescribeRouteTablesOutput{}}
	require.NoError(t, routeTableAssociation.Delete(t.Context(), c, "rtbassoc-1", read))
	assert.Equal(t, "rtbassoc-2", *s.inputs["DisassociateRouteTable"].(*ec2.DisassociateRouteTableInput).AssociationId)
}

func TestAnInternetGatewayIsDetachedBeforeItIsDeleted(t *testing.T) {
	attached := &ec2.DescribeInternetGatewaysOutput{InternetGateways: []types.InternetGateway{{
		Attachments: []types.InternetGatewayAttachment{{VpcId: aws.String("vpc-1")}},
	}}}
	s := &script{answers: map[string][]any{
		"DescribeInternetGateways": {
			attached, &ec2.DescribeInternetGatewaysOutput{InternetGateways: []types.InternetGateway{{}}},
			cloudtest.Refusal("InvalidInternetGatewayID.NotFound"),
		},
		"DetachInternetGateway": {cloudtest.Refusal("DependencyViolation"), &ec2.DetachInternetGatewayOutput{}},
		"DeleteInternetGateway": {&ec2.DeleteInternetGatewayOutput{}},
	}}
	require.NoError(t, internetGateway.Delete(t.Context(), s.cloud(), "igw-1", InternetGatewayState{}))
	want := []string{
		"DescribeInternetGateways", "DetachInternetGateway", "DetachInternetGateway", "DescribeInternetGateways",
		"DeleteInternetGateway", "DescribeInternetGateways",
	}
	assert.Equal(t, want, s.calls)
}

func TestANatGatewayThatFailsTellsWhyAndIsRemoved(t *testing.T) {
	state := func(g types.NatGateway) *ec2.DescribeNatGatewaysOutput {
		return &ec2.DescribeNatGatewaysOutput{NatGateways: []types.NatGateway{g}}
	}
	for _, it := range []struct {
		name     string
		deletion any
		id       string
	}{
		{"and is removed", &ec2.DeleteNatGatewayOutput{}, ""},
		{"and keeps its id where it cannot be removed", cloudtest.Refusal("InternalError"), "nat-1"},
	} {
		t.Run(it.name, func(t *testing.T) {
			s := &script{answers: map[string][]any{
				"CreateNatGateway": {&ec2.CreateNatGatewayOutput{NatGateway: &types.NatGateway{NatGatewayId: aws.String("nat-1")}}},
				"DescribeNatGateways": {
					state(types.NatGateway{State: types.NatGatewayStatePending}),
					state(types.NatGateway{
						State: types.NatGatewayStateFailed, FailureCode: aws.String("Gateway.NotAttached"), FailureMessage: aws.String("no gateway"),
					}),
					state(types.NatGateway{State: types.NatGatewayStateDeleted}),
				},
				"DeleteNatGateway": {it.deletion},
			}}
			id, err := natGateway.Create(t.Context(), s.cloud(), NatGatewayArgs{SubnetID: "subnet-1"})
			assert.Equal(t, it.id, id)
			assert.ErrorContains(t, err, "Gateway.NotAttached: no gateway")
		})
	}
}

func TestAnAnswerWithoutAnIDIsAnError(t *testing.T) {
	s := &script{answers: map[string][]any{"CreateVpc": {&ec2.CreateVpcOutput{}}}}
	id, err := vpc.Create(t.Context(), s.cloud(), VpcArgs{CidrBlock: "10.0.0.0/16"})
	assert.Empty(t, id)
	assert.Error(t, err)
}

func TestADeletedNatGatewayIsNotFoundThoughEC2StillListsIt(t *testing.T) {
	s := &script{answers: map[string][]any{"DescribeNatGateways": {
		&ec2.DescribeNatGatewaysOutput{NatGateways: []types.NatGateway{{State: types.NatGatewayStateDeleted}}},
	}}}
	_, err := natGateway.Read(t.Context(), s.cloud(), "nat-1", NatGatewayState{})
	assert.True(t, resource.NotFound(err))
}

func TestAFlowLogWaitsUntilItsRoleCanBeAssumed(t *testing.T) {
	early := &smithy.GenericAPIError{Code: "InvalidParameter", Message: "Unable to assume given IAM role"}
	s := &script{answers: map[string][]any{
		"CreateFlowLogs":   {early, &ec2.CreateFlowLogsOutput{FlowLogIds: []string{"fl-1"}}},
		"DescribeFlowLogs": {&ec2.DescribeFlowLogsOutput{FlowLogs: []types.FlowLog{{}}}},
	}}
	id, err := flowLog.Create(t.Context(), s.cloud(), FlowLogArgs{VpcID: "vpc-1"})
	assert.Equal(t, "fl-1", id)
	assert.NoError(t, err)
}

func TestWhatABatchCallRefusedIsAnError(t *testing.T) {
	s := &script{answers: map[string][]any{"CreateFlowLogs": {&ec2.CreateFlowLogsOutput{Unsuccessful: []types.UnsuccessfulItem{
		{ResourceId: aws.String("vpc-1"), Error: &types.UnsuccessfulItemError{Code: aws.String("400"), Message: aws.String("no bucket")}},
	}}}}}
	id, err := flowLog.Create(t.Context(), s.cloud(), FlowLogArgs{VpcID: "vpc-1"})
	assert.Empty(t, id)
	assert.ErrorContains(t, err, "vpc-1")
	assert.ErrorContains(t, err, "no bucket")
}

func TestAnEndpointIsChangedByDifferenceAndKeepsWhatTheCloudChose(t *testing.T) {
	old := VpcEndpointArgs{
		RouteTableIDs: []string{"rtb-1", "rtb-2"}, SecurityGroupIDs: []string{"sg-1"}, PrivateDNSEnabled: aws.Bool(false),
		Policy: aws.String(`{"Statement":[{"Effect":"Allow"}]}`),
	}
	now := VpcEndpointArgs{
		RouteTableIDs: []string{"rtb-2", "rtb-3"}, SecurityGroupIDs: []string{"sg-1"}, Policy: aws.String(`{ "Statement": {"Effect": "Allow"} }`),
	}
	in, changes := endpointChanges("vpce-1", old, now)
	assert.True(t, changes)
	assert.Equal(t, []string{"rtb-3"}, in.AddRouteTableIds)
	assert.Equal(t, []string{"rtb-1"}, in.RemoveRouteTableIds)
	assert.Nil(t, in.PolicyDocument)
	assert.Nil(t, in.PrivateDnsEnabled)
	assert.Zero(t, len(in.AddSecurityGroupIds)+len(in.RemoveSecurityGroupIds))
	_, changes = endpointChanges("vpce-1", old, old)
	assert.False(t, changes, "finds changes in what is the same")
}

func TestAnEndpointIsGoneOnlyWhenItIsNotFoundItself(t *testing.T) {
	there := &ec2.DescribeVpcEndpointsOutput{VpcEndpoints: []types.VpcEndpoint{{State: "available"}}}
	s := &script{answers: map[string][]any{
		"DeleteVpcEndpoints": {cloudtest.Refusal("InvalidRoute.NotFound")}, "DescribeVpcEndpoints": {there},
	}}
	err := vpcEndpoint.Delete(t.Context(), s.cloud(), "vpce-1", VpcEndpointState{})
	assert.Error(t, err)
	assert.False(t, resource.NotFound(err))
}

func TestARuleWhoseSourceBecomesOneOfAnotherKindIsReplaced(t *testing.T) {
	cidr := SecurityGroupRuleArgs{CidrIPv4: aws.String("0.0.0.0/0")}
	for _, d := range []direction{ingress, egress} {
		replaces := rule(d).Replaces
		assert.Equal(t, []string{"cidrIpv4", "referencedSecurityGroupId"}, replaces(cidr, SecurityGroupRuleArgs{ReferencedSecurityGroupID: aws.String("sg-1")}))
		assert.Empty(t, replaces(cidr, SecurityGroupRuleArgs{CidrIPv4: aws.String("10.0.0.0/8")}))
	}
}

func TestRuleInputsAreCheckedAndPutIntoTheAPIsForm(t *testing.T) {
	for _, it := range []struct {
		name     string
		args     SecurityGroupRuleArgs
		protocol string
		faults   []string
	}{
		{"a name in capitals", SecurityGroupRuleArgs{IPProtocol: "TCP"}, "tcp", nil},
		{"a number", SecurityGroupRuleArgs{IPProtocol: "17"}, "udp", nil},
		{"all", SecurityGroupRuleArgs{IPProtocol: "all"}, "-1", nil},
		{"a number without a name", SecurityGroupRuleArgs{IPProtocol: "50"}, "50", nil},
		{"two sources", SecurityGroupRuleArgs{
			IPProtocol: "tcp", CidrIPv4: aws.String("0.0.0.0/0"), ReferencedSecurityGroupID: aws.String("sg-1"),
		}, "tcp", []string{"referencedSecurityGroupId"}},
		{"host bits and ports out of range", SecurityGroupRuleArgs{
			IPProtocol: "tcp", CidrIPv4: aws.String("10.0.0.1/8"), FromPort: aws.Int(-2), ToPort: aws.Int(65536),
		}, "tcp", []string{"cidrIpv4", "fromPort", "toPort"}},
	} {
		t.Run(it.name, func(t *testing.T) {
			var faults []string
			for _, f := range checkRule(&it.args) {
				faults = append(faults, f.Property)
			}
			assert.Equal(t, it.protocol, it.args.IPProtocol)
			assert.Equal(t, it.faults, faults)
		})
	}
}

func TestAReferenceToAnotherAccountsGroupNamesTheAccount(t *testing.T) {
	info := &types.ReferencedSecurityGroup{GroupId: aws.String("sg-2"), UserId: aws.String("222222222222")}
	r := types.SecurityGroupRule{GroupOwnerId: aws.String("111111111111"), ReferencedGroupInfo: info}
	assert.Equal(t, "222222222222/sg-2", aws.ToString(reference(r)))
	pair := permission(SecurityGroupRuleArgs{ReferencedSecurityGroupID: reference(r)}).UserIdGroupPairs[0]
	assert.Equal(t, "222222222222", *pair.UserId)
	assert.Equal(t, "sg-2", *pair.GroupId)
}

func TestOnlyCanonicalIPv4NetworksAreAccepted(t *testing.T) {
	for cidr, legal := range map[string]bool{
		"": true, "10.0.0.0/16": true, "0.0.0.0/0": true, "10.0.0.1/16": false, "10.0.0.0": false, "::/0": false, "x": false,
	} {
		assert.Equal(t, legal, len(cidrFaults("cidrBlock", cidr)) == 0, cidr)
	}
}

func TestARouteHasTheOfficialProvidersID(t *testing.T) {
	// r-<table><CRC-32 of the destination>, as in the official provider's state.
	assert.Equal(t, "r-rtb-11080289494", routeID(RouteArgs{RouteTableID: "rtb-1", DestinationCidrBlock: "0.0.0.0/0"}))
}
