package integration

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/gruntwork-io/terratest/modules/random"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
	"tapstack/lib/cloud"
	"tapstack/lib/inventory"
	"tapstack/lib/session"
	"tapstack/lib/sweep"
)

// madeAgain are the types that are not looked for: a second create puts the same where the first one did. Of secrets it makes
// another version.
var madeAgain = []string{"aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", "aws:sns/topicSubscription:TopicSubscription", secretVersionType}

// TestWhatNoStateTellsIsFoundAndTakenBack makes the worst of a killed run: of everything that is in the cloud, the state knows
// no more than that it was being created. Then it loses the state altogether. With OFFICIAL=1 the official provider does it all.
func TestWhatNoStateTellsIsFoundAndTakenBack(t *testing.T) {
	t.Parallel()
	ctx, cancel := bounded(t, cleanUpTime)
	defer cancel()
	p := openPlatform(ctx, t, chosenTarget(), "it-"+strings.ToLower(random.UniqueID()), t.TempDir())
	p.options.Config[lib.ConfigRun] = lib.NewRun(time.Now())
	if official() {
		p.underOfficial(ctx, t)
	}
	p.deploy(ctx, t)
	if official() {
		p.noteUntold(ctx, t)
	}
	before := p.inState(t)

	t.Run("every create in flight", func(t *testing.T) {
		p.changeState(t, func(state *apitype.DeploymentV3) {
			state.Resources = slices.DeleteFunc(state.Resources, func(r apitype.ResourceV3) bool {
				if !r.Custom || slices.Contains(inventory.NotInCloud(), string(r.Type)) {
					return false
				}
				r.ID, r.Outputs = "", nil
				state.PendingOperations = append(state.PendingOperations, apitype.OperationV2{Resource: r, Type: apitype.OperationTypeCreating})
				return true
			})
		})
		_, err := p.Stack.Recover(ctx)
		require.NoError(t, err)
		p.goesOn(ctx, t, before)
	})
	t.Run("a lost state", func(t *testing.T) {
		require.NoError(t, p.Close())
		require.NoError(t, os.RemoveAll(filepath.Join(p.dir, p.suffix)))
		s, ctx := session.New(ctx, p.options)
		p.Session = s
		require.NoError(t, s.OpenLost(ctx))
		_, taken, err := s.Recover(ctx)
		require.NoError(t, err)
		require.NotZero(t, taken)
		p.goesOn(ctx, t, before, "aws:ecs/taskDefinition:TaskDefinition")
	})
	t.Run("what was made twice", func(t *testing.T) { p.madeTwice(ctx, t) })
	if !t.Failed() { // else deploy's clean-up does
		p.destroy(t)
	}
}

// madeTwice makes a second VPC and key, as a lost answer does, and holds that a sweep of the living stack takes these alone, and
// that an up takes them which has nothing else to do.
func (p *platform) madeTwice(ctx context.Context, t *testing.T) {
	t.Helper()
	p.makeTwice(ctx, t)
	options := sweep.Options{Owner: lib.DefaultOwner, Suffix: p.suffix, IgnoreExpiry: true, Now: time.Now()}
	report, err := p.PlanSweep(ctx, "", options)
	require.NoError(t, err)
	var named []string
	for _, item := range report.Plan.Delete {
		named = append(named, item.String())
	}
	require.ElementsMatch(t, []string{"VPC vpc-" + p.suffix, "KMS key payment-alerts-key-" + p.suffix}, named)
	require.Greater(t, report.Living(), 100, "the rest is told as living")
	outcomes, err := sweep.Execute(ctx, p.Cloud.Config, report.Plan, nil)
	require.NoError(t, err)
	require.Empty(t, unswept(outcomes))
	again, err := p.Refresh(ctx)
	require.NoError(t, err)
	require.Empty(t, p.told(again), "nothing of the living stack is gone: %v", steps(again))

	p.makeTwice(ctx, t)
	planned, err := p.Preview(ctx)
	require.NoError(t, err)
	require.Empty(t, p.told(planned))
	_, err = p.Up(ctx, planned)
	require.NoError(t, err)
	report, err = p.PlanSweep(ctx, "", options)
	require.NoError(t, err)
	require.Empty(t, report.Plan.Delete, "an up leaves nothing that was made twice")
}

// makeTwice makes a VPC and a key with the tags of the stack's.
func (p *platform) makeTwice(ctx context.Context, t *testing.T) {
	t.Helper()
	api := cloud.NewClients(p.Cloud.Config)
	var vpc []ec2types.Tag
	for key, value := range inventory.StackTags(p.options.Config, "vpc-"+p.suffix) {
		vpc = append(vpc, ec2types.Tag{Key: &key, Value: &value})
	}
	call(ctx, t, api.EC2.CreateVpc, &ec2.CreateVpcInput{
		CidrBlock: aws.String("10.0.0.0/16"), TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeVpc, Tags: vpc}},
	})
	var key []kmstypes.Tag
	for name, value := range inventory.StackTags(p.options.Config, "payment-alerts-key-"+p.suffix) {
		key = append(key, kmstypes.Tag{TagKey: &name, TagValue: &value})
	}
	call(ctx, t, api.KMS.CreateKey, &kms.CreateKeyInput{Tags: key})
}

// goesOn holds that the state has again what it had before, that a deployment makes the rest, nothing twice, and that the
// specification holds.
func (p *platform) goesOn(ctx context.Context, t *testing.T, before map[string]string, more ...string) {
	t.Helper()
	taken := p.inState(t)
	for urn, id := range before {
		if again := slices.Contains(append(more, madeAgain...), string(resource.URN(urn).Type())); again {
			assert.NotContains(t, taken, urn, "it is found, and need not be listed")
		} else {
			assert.Equal(t, id, taken[urn], urn)
		}
	}
	planned, err := p.Preview(ctx)
	require.NoError(t, err)
	_, err = p.Up(ctx, planned)
	require.NoError(t, err)
	after := p.inState(t)
	assert.ElementsMatch(t, slices.Collect(maps.Keys(before)), slices.Collect(maps.Keys(after)))
	for urn, id := range before {
		if resource.URN(urn).Type() != secretVersionType {
			assert.Equal(t, id, after[urn], urn)
		}
	}
	again, err := p.Preview(ctx)
	require.NoError(t, err)
	require.Empty(t, p.told(again), "%v", steps(again))
	if !official() { // whose attributes the emulator does not all tell
		p.verify(ctx, t)
	}
}

// stateFile is where the engine has the state.
func (p *platform) stateFile(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(p.dir, p.suffix, "backend", ".pulumi", "stacks", lib.ProjectName, p.suffix+".json"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	return files[0]
}

// changeState writes the engine's state anew.
func (p *platform) changeState(t *testing.T, change func(*apitype.DeploymentV3)) {
	t.Helper()
	file := p.stateFile(t)
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	var whole struct {
		Version    int `json:"version"`
		Checkpoint struct {
			Stack  string               `json:"stack"`
			Latest apitype.DeploymentV3 `json:"latest"`
		} `json:"checkpoint"`
	}
	require.NoError(t, json.Unmarshal(content, &whole))
	change(&whole.Checkpoint.Latest)
	content, err = json.Marshal(whole)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, content, 0o600))
}

// inState are the ids by URN of what is in the state and in the cloud.
func (p *platform) inState(t *testing.T) map[string]string {
	t.Helper()
	ids := map[string]string{}
	p.changeState(t, func(state *apitype.DeploymentV3) {
		for _, r := range state.Resources {
			if r.Custom && !slices.Contains(inventory.NotInCloud(), string(r.Type)) {
				ids[string(r.URN)] = string(r.ID)
			}
		}
	})
	return ids
}
