package unit_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
)

func TestTheLongestSuffixIsWhatTheTightestNameLeaves(t *testing.T) {
	r := deploy(t, map[string]string{lib.ConfigEnvironmentSuffix: strings.Repeat("z", lib.MaxSuffixLength())})
	tight := false
	for _, d := range r.sorted() {
		if rule, named := nameRules()[d.token]; named {
			name := d.plain[rule.input].(string)
			assert.LessOrEqual(t, len(name), rule.most, "%s: %q", d.name, name)
			tight = tight || len(name) == rule.most
		}
	}
	assert.True(t, tight, "no name uses its whole limit: the suffix could be longer")
}

func TestTheOutputsNameEveryLogGroupAndEveryParameter(t *testing.T) {
	r := deploy(t, nil)
	for name, token := range map[string]string{
		lib.OutputLogGroupNames: "aws:cloudwatch/logGroup:LogGroup", lib.OutputParameterNames: "aws:ssm/parameter:Parameter",
	} {
		var names []string
		for _, d := range r.ofType(token) {
			names = append(names, d.plain["name"].(string))
		}
		assert.ElementsMatch(t, names, r.outputs[name].value)
	}
}

func TestAPreviewOfAStackThatDoesNotExistDeclaresTheSameResources(t *testing.T) {
	planned := newRecorder()
	planned.preview = true
	require.NoError(t, planned.run(nil))
	assert.ElementsMatch(t, slices.Collect(maps.Keys(deploy(t, nil).resources)), slices.Collect(maps.Keys(planned.resources)))
}

func TestAnAnswerThatAwsOwesStopsTheProgramByName(t *testing.T) {
	for _, token := range []string{
		"aws:index/getCallerIdentity:getCallerIdentity", "aws:index/getRegion:getRegion",
		"aws:index/getPartition:getPartition", "aws:index/getAvailabilityZones:getAvailabilityZones", "aws:rds/cluster:Cluster",
	} {
		r := newRecorder()
		r.fail = token
		assert.ErrorContains(t, r.run(nil), token+" is out of order")
	}
}

func TestAResourceThatCannotBeDeclaredStopsTheProgramByName(t *testing.T) {
	tried := map[string]bool{}
	for _, values := range []map[string]string{
		{"interfaceEndpoints": "true"}, {"domainName": "pay.example.com", "hostedZoneId": "Z123"},
	} {
		for _, d := range deploy(t, values).sorted() {
			if tried[d.declaredAt()] {
				continue
			}
			tried[d.declaredAt()] = true
			r := newRecorder()
			r.refuse = d.name
			message := "declaring " + d.name + ": "
			if d.name == "aws" {
				message = "declaring the AWS provider: "
			}
			require.ErrorContains(t, r.run(values), message)
		}
	}
	assert.GreaterOrEqual(t, len(tried), 60, "places that declare resources")
}

// declaredAt is the chain of lines in the program that declared the resource. Those that share it differ in data only.
func (d registration) declaredAt() string {
	chain := ""
	for _, frame := range d.request.GetStackTrace().GetFrames() {
		if strings.HasSuffix(frame.GetPc().GetUri(), "/tap_stack.go") {
			chain += fmt.Sprintf(" %d", frame.GetPc().GetLine())
		}
	}
	return chain
}
