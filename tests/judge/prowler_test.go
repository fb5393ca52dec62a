package judge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/assert"

	"tapstack/lib/cloud"
)

// prowlerSources are what of Prowler's packages comes as source alone. Most of it is for clouds that are not AWS.
var prowlerSources = []string{
	"alibabacloud-darabonba-array", "alibabacloud-darabonba-map", "alibabacloud-darabonba-signature-util", "alibabacloud-darabonba-string",
	"alibabacloud-darabonba-time", "alibabacloud-endpoint-util", "alibabacloud-gateway-oss-util", "alibabacloud-oss-util", "alibabacloud-tea",
	"alibabacloud-tea-xml", "polling", "shodan",
}

// compliance is Prowler's list of checks for PCI DSS 4.0.
const compliance = "pci_4.0_aws"

// prowlerNames are the services that Prowler names otherwise than the SDK does.
var prowlerNames = map[string][]string{
	"EC2":                       {"ec2", "vpc"},
	"CloudWatch Logs":           {"cloudwatch"},
	"Elastic Load Balancing v2": {"elbv2"},
}

// ofTheAccount are services that an account has once. docs/runbook.md, Going to production, tells of them.
var ofTheAccount = []string{"account", "cloudtrail", "guardduty", "macie", "organizations", "securityhub", "shield"}

// unasked are checks of the stack's services that say nothing on the emulator, with the reason.
var unasked = map[string]string{
	"ec2_ebs_snapshot_account_block_public_access": "the emulator has no GetSnapshotBlockPublicAccessState",
	"ec2_ebs_snapshots_encrypted":                  "the stack has no disks; the emulator brings more than a thousand snapshots along",
	"elbv2_waf_acl_attached":                       "the emulator has no ListResourcesForWebACL",
	"s3_access_point_public_access_block":          "the emulator is not reached under the host names of S3 Control",
	"s3_account_level_public_access_blocks":        "the emulator is not reached under the host names of S3 Control",
}

// prowler has Prowler look at the account, in which there is a bucket that is open to requests without TLS. What it looked at
// are the checks that found something to pass or to fail.
func prowler(ctx context.Context, e environment, d *deployment) (looked int, found []finding, err error) {
	all, err := e.checksOf(compliance)
	if err != nil {
		return 0, nil, err
	}
	asked, left := chooseChecks(all, d.requests.all())
	fmt.Printf("Prowler has %d checks for %s; %d are asked. Not asked are:\n%s", len(all), compliance, len(asked), left)

	buckets, planted := cloud.NewClients(d.cloud.Config).S3, aws.String(plantedName)
	if _, err := buckets.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: planted}); err != nil {
		return 0, nil, err
	}
	defer func() {
		_, deleted := buckets.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: planted})
		err = errors.Join(err, deleted)
	}()

	folder, err := os.MkdirTemp("", "judge-prowler-*")
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	variables := []string{"HOME=" + folder}
	for name, value := range d.cloud.Env() {
		variables = append(variables, name+"="+value)
	}
	_, err = e.run(ctx, variables, nil, slices.Concat([]string{
		"-I", e.script("prowler"), "aws", "--region", "us-east-1", "--aws-retries-max-attempts", "0", "--no-banner", "--no-color",
		"--log-file", filepath.Join(folder, "log"), "--ignore-exit-code-3",
		"--output-formats", "json-ocsf", "--output-directory", folder, "--output-filename", "said", "--checks",
	}, asked)...)
	if err != nil {
		return 0, nil, err
	}
	said, err := os.ReadFile(filepath.Join(folder, "said.ocsf.json"))
	if err != nil {
		return 0, nil, err
	}
	checks, found, err := readProwler(said, d.nameOf)
	silent := slices.DeleteFunc(asked, func(check string) bool { return checks[check] })
	fmt.Printf("These %d found nothing to look at:\n  %s\n", len(silent), strings.Join(silent, ", "))
	return len(checks), found, err
}

// checksOf are the checks that Prowler has for a standard.
func (e environment) checksOf(standard string) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(e.folder, "lib", "python3.*", "site-packages", "prowler", "compliance", "aws", standard+".json"))
	if err != nil {
		return nil, err
	}
	if len(paths) != 1 {
		return nil, fmt.Errorf("prowler %s has no %s.json", e.version, standard)
	}
	text, err := os.ReadFile(paths[0])
	if err != nil {
		return nil, err
	}
	var list struct{ Requirements []struct{ Checks []string } }
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("reading %s: %w", paths[0], err)
	}
	checks := map[string]bool{}
	for _, requirement := range list.Requirements {
		for _, check := range requirement.Checks {
			checks[check] = true
		}
	}
	for check := range unasked {
		if !checks[check] {
			return nil, fmt.Errorf("%s has no check %s any more, which is said not to be asked", standard, check)
		}
	}
	return slices.Sorted(maps.Keys(checks)), nil
}

// chooseChecks takes the checks of the services that were called, and tells of the others why they are not asked.
func chooseChecks(all []string, made []request) (asked []string, left string) {
	called := map[string]bool{}
	for _, r := range made {
		names, differ := prowlerNames[r.Service]
		if !differ {
			names = []string{strings.ToLower(strings.ReplaceAll(r.Service, " ", ""))}
		}
		for _, name := range names {
			called[name] = true
		}
	}
	const none, account = "the stack has nothing of these services", "these belong to the account"
	counts := map[string]map[string]int{none: {}, account: {}}
	var told strings.Builder
	for _, check := range all {
		service, _, _ := strings.Cut(check, "_")
		reason, leave := unasked[check]
		switch {
		case slices.Contains(ofTheAccount, service):
			counts[account][service]++
		case !called[service]:
			counts[none][service]++
		case leave:
			fmt.Fprintf(&told, "  %s: %s\n", check, reason)
		default:
			asked = append(asked, check)
		}
	}
	for _, reason := range []string{none, account} {
		var services []string
		for _, service := range slices.Sorted(maps.Keys(counts[reason])) {
			services = append(services, fmt.Sprintf("%s %d", service, counts[reason][service]))
		}
		fmt.Fprintf(&told, "  %s: %s\n", reason, strings.Join(services, ", "))
	}
	return asked, told.String()
}

// readProwler reads results in the Open Cybersecurity Schema Framework: the checks that looked at something, and what fails. What
// both stacks have is told once.
func readProwler(text []byte, nameOf func(arn string) string) (checks map[string]bool, found []finding, err error) {
	var said []struct {
		Message  string
		Status   string `json:"status_code"`
		Metadata struct {
			Check string `json:"event_code"`
		}
		Resources []struct{ UID string }
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return nil, nil, fmt.Errorf("prowler said %.200q: %w", text, err)
	}
	checks = map[string]bool{}
	for _, s := range said {
		if len(s.Resources) != 1 {
			return nil, nil, fmt.Errorf("prowler's %s names %d resources: %s", s.Metadata.Check, len(s.Resources), s.Message)
		}
		one := finding{s.Metadata.Check, nameOf(s.Resources[0].UID), s.Message}
		if one.Resource != plantedName && s.Status != "MANUAL" {
			checks[one.Rule] = true
		}
		same := func(f finding) bool { return f.Rule == one.Rule && f.Resource == one.Resource }
		if s.Status == "FAIL" && !slices.ContainsFunc(found, same) {
			found = append(found, one)
		}
	}
	return checks, found, nil
}

// nameOf is the program's name of what has an ARN, else what follows the account in that.
func (d *deployment) nameOf(arn string) string {
	for _, r := range d.made {
		if r.Made["arn"] == strings.TrimSuffix(arn, ":*") || r.ID != "" && strings.HasSuffix(arn, "/"+r.ID) {
			return r.Name
		}
	}
	parts := strings.SplitN(arn, ":", 6)
	return parts[len(parts)-1]
}

func TestProwlerIsAskedWhatTheStackAndTheEmulatorHave(t *testing.T) {
	asked, left := chooseChecks(
		[]string{"account_contact", "elbv2_logging", "elbv2_waf_acl_attached", "neptune_backup", "neptune_encryption", "route53_logging", "vpc_flow_logs_enabled"},
		[]request{{Service: "EC2"}, {Service: "Elastic Load Balancing v2"}, {Service: "Route 53"}},
	)
	assert.Equal(t, []string{"elbv2_logging", "route53_logging", "vpc_flow_logs_enabled"}, asked)
	assert.Equal(t, "  elbv2_waf_acl_attached: the emulator has no ListResourcesForWebACL\n"+
		"  the stack has nothing of these services: neptune 2\n  these belong to the account: account 1\n", left)
}

func TestWhatProwlerSaysIsReadUnderTheProgramsNames(t *testing.T) {
	d := &deployment{made: []declaration{
		{Name: "api-log-group", Made: map[string]string{"arn": "arn:aws:logs:us-east-1:1:log-group:/ecs/api-a"}},
		{Name: "api-log-group", Made: map[string]string{"arn": "arn:aws:logs:us-east-1:1:log-group:/ecs/api-b"}},
		{Name: "vpc", ID: "vpc-1"},
	}}
	result := func(check, status, arn string) string {
		return fmt.Sprintf(`{"message": "m", "status_code": %q, "metadata": {"event_code": %q}, "resources": [{"uid": %q}]}`, status, check, arn)
	}
	checks, found, err := readProwler([]byte("["+strings.Join([]string{
		result("keys", "FAIL", "arn:aws:logs:us-east-1:1:log-group:/ecs/api-a:*"), result("keys", "FAIL", "arn:aws:logs:us-east-1:1:log-group:/ecs/api-b:*"),
		result("flow_logs", "PASS", "arn:aws:ec2:us-east-1:1:vpc/vpc-1"), result("endpoints", "FAIL", "arn:aws:ec2:us-east-1:1:vpc/vpc-1"),
		result("password", "FAIL", "arn:aws:iam::1:password-policy"), result("tls", "FAIL", "arn:aws:s3:::planted"), result("enclaves", "MANUAL", "arn:aws:kms:::x"),
	}, ",")+"]"), d.nameOf)
	assert.NoError(t, err)
	assert.Equal(t, map[string]bool{"keys": true, "flow_logs": true, "endpoints": true, "password": true}, checks)
	assert.Equal(t, []finding{
		{"keys", "api-log-group", "m"}, {"endpoints", "vpc", "m"}, {"password", "password-policy", "m"}, {"tls", plantedName, "m"},
	}, found)
}
