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
	r := deploy(t, map[string]string{lib.ConfigEnvironmentSuffix: strings.Repeat("z", lib.MaxSuffixLength()), "containerPort": "65535"})
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

func TestADeploymentThatECSRolledBackFails(t *testing.T) {
	for _, service := range []string{"payment-api", "job-processor"} {
		r := newRecorder()
		r.rolledBack = service
		err := r.run(nil)
		require.ErrorContains(t, err, service+"-unit runs former:1 and not arn:aws:mock:us-east-1:123456789012:"+service+"-task: its new tasks did not start")
		assert.Equal(t, service == "job-processor", r.resources["api-rule"].name != "", "requests move to tasks that run, not to others")
	}
}

func TestWhatIsOfAnotherPortStandsBesideWhatIsInUse(t *testing.T) {
	before, after := deploy(t, nil), deploy(t, map[string]string{"containerPort": "9443", "containerProtocol": "HTTP"})
	for _, d := range before.sorted() {
		now, kept := after.resources[d.name]
		if !kept {
			continue
		}
		for _, input := range []string{"port", "protocol", "fromPort", "toPort"} {
			assert.Equal(t, d.plain[input], now.plain[input],
				"%s: to change %s, AWS lets go of the old one first, or closes the port that is in use", d.name, input)
		}
	}
	assert.Len(t, after.resources, len(before.resources))
}

func TestWorkHasTheTimeThatItTakes(t *testing.T) {
	for _, c := range []struct {
		timeout, visibility    string
		drain, apiStop, stop   float64
		apiRollout, jobRollout string
	}{
		{"30", "300", 30, 60, 120, "21m", "26m"},
		{"1", "2", 30, 60, 60, "21m", "21m"},
		{"100", "101", 100, 100, 101, "22m", "22m"},
		{"900", "43200", 900, 120, 120, "36m", "741m"},
	} {
		r := deploy(t, map[string]string{"apiTimeoutSeconds": c.timeout, "queueVisibilityTimeoutSeconds": c.visibility})
		for _, group := range r.ofType("aws:lb/targetGroup:TargetGroup") {
			assert.Equal(t, c.drain, group.plain["deregistrationDelay"], group.name)
		}
		stop := func(task string) any { return r.one(t, task).at(t, "containerDefinitions", 0, "stopTimeout") }
		assert.Equal(t, c.apiStop, stop("payment-api-task"))
		assert.Equal(t, c.stop, stop("job-processor-task"))
		for service, rollout := range map[string]string{"payment-api": c.apiRollout, "job-processor": c.jobRollout} {
			waits := r.one(t, service).request.GetCustomTimeouts()
			assert.Equal(t, []string{rollout, rollout, "60m"}, []string{waits.GetCreate(), waits.GetUpdate(), waits.GetDelete()}, service)
			assert.Equal(t, true, r.one(t, service).plain["waitForSteadyState"])
		}
	}
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
		"aws:index/getPartition:getPartition", "aws:index/getAvailabilityZones:getAvailabilityZones", "aws:rds/getClusters:getClusters", "aws:rds/getEngineVersion:getEngineVersion",
		"aws:rds/cluster:Cluster",
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

// ACM imports nothing over a certificate that it has issued, so that the way back from a domain must make another resource.
func TestTheRequestedCertificateIsAnotherResourceThanTheSelfSignedOne(t *testing.T) {
	certificates := func(settings map[string]string) (names []string) {
		for name, d := range deploy(t, settings).resources {
			if d.token == "aws:acm/certificate:Certificate" {
				names = append(names, name)
			}
		}
		require.Len(t, names, 1)
		return names
	}
	require.NotEqual(t, certificates(nil), certificates(variants()["domain-name"]))
}
