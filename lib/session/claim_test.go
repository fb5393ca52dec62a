package session

import (
	"encoding/json"
	"errors"
	"os"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
	"tapstack/lib/cloud/cloudtest"
	"tapstack/lib/lifecycle"
	"tapstack/lib/target"
)

// parameterStore is an account's SSM, with one parameter.
type parameterStore struct {
	mutex  sync.Mutex
	value  *string
	tags   map[string]string
	refuse map[string]string // a code by the operation
	lose   bool              // the answer to the next creation, which the SDK then repeats
}

func (p *parameterStore) answer(call string, input any) (any, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if code := p.refuse[call]; code != "" {
		return nil, cloudtest.Refusal(code)
	}
	switch in := input.(type) {
	case *ssm.PutParameterInput:
		if p.value != nil && !*in.Overwrite {
			return nil, cloudtest.Refusal("ParameterAlreadyExists")
		}
		p.value = in.Value
		p.tag(in.Tags)
		if p.lose {
			p.lose = false
			return nil, cloudtest.Refusal("ParameterAlreadyExists")
		}
		return &ssm.PutParameterOutput{}, nil
	case *ssm.GetParameterInput:
		if p.value == nil {
			return nil, cloudtest.Refusal("ParameterNotFound")
		}
		return &ssm.GetParameterOutput{Parameter: &ssmtypes.Parameter{Name: in.Name, Value: p.value}}, nil
	case *ssm.AddTagsToResourceInput:
		p.tag(in.Tags)
		return &ssm.AddTagsToResourceOutput{}, nil
	case *ssm.DeleteParameterInput:
		p.value = nil
		return &ssm.DeleteParameterOutput{}, nil
	}
	return nil, errors.New("the stand-in has no " + call)
}

func (p *parameterStore) tag(tags []ssmtypes.Tag) {
	if p.tags == nil {
		p.tags = map[string]string{}
	}
	for _, t := range tags {
		p.tags[*t.Key] = *t.Value
	}
}

// operator is a session on a stack with a state folder of its own, or that in home.
func operator(t *testing.T, account *parameterStore, home string) *Session {
	t.Helper()
	location := lifecycle.InFolder(lib.ProjectName, home)
	require.NoError(t, os.MkdirAll(location.Dir("dev"), 0o700))
	s, _ := New(t.Context(), Options{Suffix: "dev", Location: location, Config: map[string]string{lib.ConfigRun: "night", lib.ConfigExpires: "soon"}})
	s.Cloud = &target.Target{Name: target.Endpoint, Config: cloudtest.Config(account.answer)}
	return s
}

func TestOfTwoOperatorsAtTheSameMomentOneGoesOn(t *testing.T) {
	t.Parallel()
	for range 50 {
		account := &parameterStore{}
		var group sync.WaitGroup
		faults := make([]error, 4)
		for i := range faults {
			s := operator(t, account, t.TempDir())
			group.Go(func() { faults[i] = s.makeClaim(t.Context()) })
		}
		group.Wait()
		refused := 0
		for _, err := range faults {
			var claimed *ClaimedError
			if err != nil {
				require.ErrorAs(t, err, &claimed)
				refused++
			}
		}
		require.Equal(t, len(faults)-1, refused)
	}
}

func TestAnotherStateIsRefusedAndToldWhoseTheStackIs(t *testing.T) {
	t.Parallel()
	account, home := &parameterStore{}, t.TempDir()
	first := operator(t, account, home)
	require.NoError(t, first.checkClaim(t.Context()), "nobody has it yet")
	require.NoError(t, first.makeClaim(t.Context()))
	assert.Equal(t, map[string]string{
		"Name": "/payment/dev/state", "Environment": "production", "MigrationBatch": "phase-1",
		lib.TagOwner: lib.DefaultOwner, lib.TagRun: "night", lib.TagExpires: "soon",
	}, account.tags)

	second := operator(t, account, t.TempDir())
	err := second.checkClaim(t.Context())
	require.Regexp(t, `^stack dev is in this account already, of another state: that of \S+@\S+, process \d+, since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d, in `+home+`$`, err)
	require.NoError(t, second.removeClaim(t.Context()))
	require.NotNil(t, account.value, "it is not his to remove")

	again := operator(t, account, home) // after a run that was killed
	again.options.Config = map[string]string{lib.ConfigRun: "night", lib.ConfigExpires: lib.NeverExpires}
	require.NoError(t, again.checkClaim(t.Context()))
	require.NoError(t, again.makeClaim(t.Context()))
	assert.Equal(t, lib.NeverExpires, account.tags[lib.TagExpires], "it may be swept no sooner and no later than the stack")

	second = operator(t, account, second.location.Home)
	require.NoError(t, second.TakeClaim(t.Context()), "the first state is lost")
	require.NoError(t, again.removeClaim(t.Context()))
	require.NotNil(t, account.value, "it is another's now")
	require.Error(t, operator(t, account, home).checkClaim(t.Context()))
	require.NoError(t, second.removeClaim(t.Context()))
	require.Nil(t, account.value)
}

func TestAClaimWhoseAnswerWasLostIsOnesOwn(t *testing.T) {
	t.Parallel()
	require.NoError(t, operator(t, &parameterStore{lose: true}, t.TempDir()).makeClaim(t.Context()))
}

func TestAClaimThatTellsNothingRefusesAsWell(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"", "null", "{", `{"state": ""}`, `{"state": {}}`, `"x"`} {
		s := operator(t, &parameterStore{value: &value}, t.TempDir())
		require.EqualError(t, s.checkClaim(t.Context()), "stack dev is claimed in this account: parameter /payment/dev/state does not tell by whom", value)
		require.Error(t, s.makeClaim(t.Context()), value)
	}
	hostile, err := json.Marshal(Claim{State: "x", By: "\x1b[2J"})
	require.NoError(t, err)
	require.NotContains(t, operator(t, &parameterStore{value: aws.String(string(hostile))}, t.TempDir()).checkClaim(t.Context()).Error(), "\x1b")
}

func TestAMissingRightToClaimIsNamed(t *testing.T) {
	t.Parallel()
	account := &parameterStore{refuse: map[string]string{"SSM PutParameter": "AccessDeniedException"}}
	s := operator(t, account, t.TempDir())
	require.ErrorContains(t, s.makeClaim(t.Context()), "the claim on stack dev could not be made: the credentials need ssm:PutParameter and ssm:AddTagsToResource on parameter/payment/dev/state: ")
	account.refuse = map[string]string{"SSM GetParameter": "AccessDeniedException"}
	require.ErrorContains(t, s.checkClaim(t.Context()), "the credentials need ssm:GetParameter on parameter/payment/dev/state: ")
}
