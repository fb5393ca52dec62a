package unit_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"tapstack/lib"
)

func TestTheLongestSuffixIsWhatTheTightestNameLeaves(t *testing.T) {
	longest := strings.Repeat("z", lib.MaxSuffixLength())
	r := deploy(t, map[string]string{"environmentSuffix": longest})
	tight := false
	for role, d := range r.resources {
		if rule, named := nameRules()[d.token]; named {
			name := d.text(t, rule.input)
			if len(name) > rule.most {
				t.Errorf("%s: %q has %d characters of %d", role, name, len(name), rule.most)
			}
			tight = tight || len(name) == rule.most
		}
	}
	if !tight {
		t.Error("no name uses its whole limit: the suffix could be longer")
	}
}

func TestTheLogGroupsAreTheseAndTheOutputsNameThem(t *testing.T) {
	r := everything(t)
	var names []string
	for _, group := range r.ofType("aws:cloudwatch/logGroup:LogGroup") {
		names = append(names, group.text(t, "name"))
	}
	slices.Sort(names)
	same(t, "log groups", names, []string{
		"/aws/ecs/containerinsights/ecs-cluster-unit/performance", "/aws/rds/cluster/aurora-cluster-unit/postgresql",
		"/ecs/job-processor-unit", "/ecs/payment-api-unit", "/vpc/flow-log-unit", "aws-waf-logs-unit",
	})
	same(t, "log groups in the outputs", r.outputs[lib.OutputLogGroupNames].value, names)
}

func TestWhatIsSlowToGoIsGivenTime(t *testing.T) {
	r := everything(t)
	slow := slices.Concat(
		r.ofType("aws:ec2/securityGroup:SecurityGroup"), r.ofType("aws:ec2/natGateway:NatGateway"), r.ofType("aws:rds/cluster:Cluster"),
		r.ofType("aws:rds/clusterInstance:ClusterInstance"), r.ofType("aws:lb/loadBalancer:LoadBalancer"), r.ofType("aws:ecs/service:Service"))
	if len(slow) != 5+3+1+3+1+2 {
		t.Errorf("found %d resources", len(slow))
	}
	for _, d := range slow {
		same(t, d.name, d.request.GetCustomTimeouts().GetDelete(), "60m")
	}
}

func TestEveryOutputIsThereAndNoneIsSecret(t *testing.T) {
	r := everything(t)
	want := []string{
		lib.OutputVpcID, lib.OutputPublicSubnetIDs, lib.OutputPrivateSubnetIDs, lib.OutputAvailabilityZones,
		lib.OutputAlbDNSName, lib.OutputAlbZoneID, lib.OutputAlbArn, lib.OutputAPIURL,
		lib.OutputClusterEndpoint, lib.OutputClusterReaderEndpoint, lib.OutputClusterIdentifier, lib.OutputDBEngineVersion,
		lib.OutputDBSecretArn, lib.OutputAPIKeysSecretArn, lib.OutputEcsClusterName,
		lib.OutputPaymentAPIServiceName, lib.OutputJobProcessorServiceName, lib.OutputQueueURL, lib.OutputDlqURL,
		lib.OutputAlertsTopicArn, lib.OutputLogGroupNames, lib.OutputParameterNames, lib.OutputDashboardURL,
	}
	slices.Sort(want)
	same(t, "outputs", slices.Sorted(maps.Keys(r.outputs)), want)
	for name, out := range r.outputs {
		text := fmt.Sprint(out.value)
		for _, secret := range []string{"Aa1!", "0707", "PRIVATE KEY"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows a secret", name)
			}
		}
	}
	same(t, "zones", r.outputs[lib.OutputAvailabilityZones].value, []string{"us-east-1c", "us-east-1b", "us-east-1a"})
	same(t, "API", r.outputs[lib.OutputAPIURL].value, "https://alb.example")
	same(t, "parameters", r.outputs[lib.OutputParameterNames].value, []string{
		"/payment/unit/api-retry-count", "/payment/unit/api-timeout-seconds", "/payment/unit/job-retry-count", "/payment/unit/queue-url",
	})
	same(t, "dashboard", r.outputs[lib.OutputDashboardURL].value,
		"https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#dashboards/dashboard/payment-platform-unit")
	same(t, "engine", r.outputs[lib.OutputDBEngineVersion].value, "16.6")
}

func TestAPreviewOfAStackThatDoesNotExistDeclaresTheSameResources(t *testing.T) {
	real := deploy(t, nil)
	planned := newRecorder()
	planned.preview = true
	if err := run(planned, namespaced(legalValues(nil))); err != nil {
		t.Fatal(err)
	}
	same(t, "resources", slices.Sorted(maps.Keys(planned.resources)), slices.Sorted(maps.Keys(real.resources)))
}

func TestAnAnswerThatAwsOwesStopsTheProgramByName(t *testing.T) {
	for _, token := range []string{
		"aws:index/getCallerIdentity:getCallerIdentity", "aws:index/getRegion:getRegion",
		"aws:index/getPartition:getPartition", "aws:index/getAvailabilityZones:getAvailabilityZones", "aws:rds/cluster:Cluster",
	} {
		r := newRecorder()
		r.fail = token
		err := run(r, namespaced(legalValues(nil)))
		if err == nil || !strings.Contains(err.Error(), token+" is out of order") {
			t.Errorf("%s fails, and the program says %v", token, err)
		}
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
			err := run(r, namespaced(legalValues(values)))
			said := "declaring " + d.name + ": "
			if d.name == "aws" {
				said = "declaring the AWS provider: "
			}
			if err == nil || !strings.Contains(err.Error(), said) {
				t.Errorf("%s is refused, and the program says %v", d.name, err)
			}
		}
	}
	if len(tried) < 60 {
		t.Errorf("only %d places declare resources", len(tried))
	}
}

// declaredAt is the chain of lines in the program that declared the resource. Those that share it differ in data only.
func (d declared) declaredAt() string {
	chain := ""
	for _, frame := range d.request.GetStackTrace().GetFrames() {
		if strings.HasSuffix(frame.GetPc().GetUri(), "/tap_stack.go") {
			chain += fmt.Sprintf(" %d", frame.GetPc().GetLine())
		}
	}
	return chain
}

func TestARegionWithoutThreeZonesIsRefused(t *testing.T) {
	r := newRecorder()
	r.zones = map[string]string{"usw1-az1": "us-west-1a", "usw1-az3": "us-west-1b"}
	err := run(r, namespaced(legalValues(nil)))
	if err == nil || !strings.Contains(err.Error(), "2 of the 3 usable zones that are needed") {
		t.Errorf("got %v", err)
	}
}
