package judge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/blang/semver"

	"tapstack/lib/process/python"
)

// judge is a program that nobody here wrote.
type judge struct {
	name     string // its package's on PyPI
	what     string // what it looks at
	versions python.Versions
	sources  []string // packages that come without a wheel
	// run has it look at a deployment, in which there is a fault that is planted. It tells how many things it looked at.
	run func(ctx context.Context, e environment, d *deployment) (looked int, found []finding, err error)
	// planted are the rules that the planted faults break.
	planted []string
}

// pythons are what the judges take.
var pythons = python.Versions{Oldest: semver.MustParse("3.10.0"), Limit: semver.MustParse("3.14.0")}

// olderPythons are what Prowler takes.
var olderPythons = python.Versions{Oldest: semver.MustParse("3.10.0"), Limit: semver.MustParse("3.13.0")}

// judges are asked in this order, on one deployment.
var judges = []judge{
	{"parliament", "policy documents", pythons, nil, parliament, []string{"UNKNOWN_ACTION", "RESOURCE_STAR"}},
	{"cfn-lint", "resources", pythons, nil, cfnLint, []string{"E3034", "E3002"}},
	{"checkov", "resources", pythons, nil, checkov, []string{"CKV_AWS_24", "CKV_AWS_62"}},
	{"prowler", "checks of the account", olderPythons, prowlerSources, prowler, []string{"s3_bucket_secure_transport_policy"}},
	{"botocore", "requests", pythons, nil, botocore, []string{"max", "enum", "pattern", "shape"}},
}

func chooseJudges(names string) ([]judge, error) {
	if names == "all" {
		return judges, nil
	}
	var chosen []judge
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(judges, func(j judge) bool { return j.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no judge %q", name)
		}
		chosen = append(chosen, judges[i])
	}
	return chosen, nil
}

// faults are the planted ones among the resources.
var faults = []declaration{
	fault("aws:iam/rolePolicy:RolePolicy", map[string]any{
		"name": "planted", "role": "planted",
		"policy": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},` +
			`{"Effect":"Allow","Action":"sqs:SendMessag","Resource":"*"},{"Effect":"Allow","Action":"sqs:SendMessage","Resource":"*"}]}`,
	}),
	fault("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", map[string]any{
		"cidrIpv4": "0.0.0.0/0", "fromPort": 22.0, "toPort": 22.0, "ipProtocol": "tcp", "securityGroupId": "sg-0123456789abcdef0",
	}),
	fault("aws:sqs/queue:Queue", map[string]any{"name": "planted", "messageRetentionSeconds": 99999999.0, "colour": "red"}),
}

func fault(token string, inputs map[string]any) declaration {
	return declaration{Type: token, Name: plantedName, Inputs: inputs, Planned: inputs}
}

// documents are the inputs that are policies, by the documents' kind.
var documents = []string{"policy", "assumeRolePolicy", "policyDocument"}

func parliament(ctx context.Context, e environment, d *deployment) (int, []finding, error) {
	type policy struct {
		Name     string `json:"name"`
		Document string `json:"document"`
	}
	var policies []policy
	for _, r := range slices.Concat(d.resources, faults) {
		for _, input := range documents {
			document, is := r.Inputs[input].(string)
			if !is {
				continue
			}
			if input == "assumeRolePolicy" {
				var err error
				if document, err = withResource(document, r.Made["arn"]); err != nil {
					return 0, nil, err
				}
			}
			policies = append(policies, policy{r.Name, document})
		}
	}
	found, err := e.lines(ctx, "parliament.py", policies)
	return len(policies) - 1, found, err
}

// withResource adds to the statements of a role's trust what they are about, the role, without which parliament takes them for
// malformed and looks no further.
func withResource(document, arn string) (string, error) {
	var trust struct {
		Version   string
		Statement []map[string]any
	}
	if err := json.Unmarshal([]byte(document), &trust); err != nil {
		return "", err
	}
	for _, statement := range trust.Statement {
		statement["Resource"] = arn
	}
	text, err := json.Marshal(trust)
	return string(text), err
}

func cfnLint(ctx context.Context, e environment, d *deployment) (int, []finding, error) {
	template, names, err := cloudFormation(slices.Concat(d.resources, faults))
	if err != nil {
		return 0, nil, err
	}
	file, err := temporary(template)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = os.Remove(file) }()
	output, err := e.run(ctx, nil, nil, "-I", e.script("cfn-lint"), "--regions", "us-east-1", "--format", "json", file)
	if err != nil {
		return 0, nil, err
	}
	var said []struct {
		Message  string
		Rule     struct{ ID string }
		Location struct{ Path []any }
	}
	if err := json.Unmarshal(output, &said); err != nil {
		return 0, nil, fmt.Errorf("cfn-lint said %.200q: %w", output, err)
	}
	var found []finding
	for _, s := range said {
		if len(s.Location.Path) < 2 {
			return 0, nil, errors.New("cfn-lint: " + s.Message)
		}
		id, _ := s.Location.Path[1].(string)
		found = append(found, finding{s.Rule.ID, names[id], fmt.Sprintf("%v: %s", s.Location.Path[2:], s.Message)})
	}
	return len(names) - len(faults), found, nil
}

func checkov(ctx context.Context, e environment, d *deployment) (int, []finding, error) {
	file, err := temporary(terraformPlan(slices.Concat(d.resources, faults)))
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = os.Remove(file) }()
	output, err := e.run(ctx, nil, nil, "-I", e.script("checkov"), "--file", file, "--framework", "terraform_plan", "--output", "json",
		"--compact", "--quiet", "--skip-download")
	if err != nil {
		return 0, nil, err
	}
	var said struct {
		Results struct {
			Failed []struct {
				ID       string `json:"check_id"`
				Name     string `json:"check_name"`
				Resource string `json:"resource"`
			} `json:"failed_checks"`
		}
		Summary struct {
			Passed   int
			Unparsed int `json:"parsing_errors"`
		}
	}
	if err := json.Unmarshal(output, &said); err != nil {
		return 0, nil, fmt.Errorf("checkov said %.200q: %w", output, err)
	}
	if said.Summary.Unparsed > 0 || said.Summary.Passed == 0 {
		return 0, nil, fmt.Errorf("checkov could not read the plan: %.200q", output)
	}
	var found []finding
	for _, f := range said.Results.Failed {
		_, name, _ := strings.Cut(f.Resource, ".")
		found = append(found, finding{f.ID, name, f.Name})
	}
	return len(d.resources), found, nil
}

// temporary is a file with a value as JSON, which the caller removes.
func temporary(value any) (path string, err error) {
	text, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	file, err := os.CreateTemp("", "judge-*.json")
	if err != nil {
		return "", err
	}
	_, err = file.Write(text)
	return file.Name(), errors.Join(err, file.Close())
}

// faultyRequests are the planted ones among the requests.
var faultyRequests = []request{
	{"SSM", "PutParameter", map[string]any{"Name": strings.Repeat("n", 2049), "Type": "Number", "Value": "1"}, plantedName},
	{"KMS", "CreateAlias", map[string]any{"AliasName": "alias/a space", "TargetKeyId": "key"}, plantedName},
	{"SQS", "CreateQueue", map[string]any{"Colour": "red"}, plantedName},
}

// botocore ends the deployment, so that it comes last: the requests that remove a stack are looked at, too.
func botocore(ctx context.Context, e environment, d *deployment) (int, []finding, error) {
	if err := d.remove(ctx); err != nil {
		return 0, nil, err
	}
	made := d.requests.all()
	found, err := e.lines(ctx, "botocore.py", slices.Concat(made, faultyRequests))
	return len(made), found, err
}
