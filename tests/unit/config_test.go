package unit_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"tapstack/lib"
)

// illegalValues lists, by key, values that AWS or the program does not take.
func illegalValues() map[string][]string {
	long := strings.Repeat("a", lib.MaxSuffixLength()+1)
	return map[string][]string{
		"environmentSuffix":      {" dev", "dev ", "Dev", "-dev", "dev-", "de--v", "de_v", "dév", long, "s3alias", "a-s3alias"},
		"vpcCidr":                {"10.0.0.0", "10.0.0.0/15", "10.0.0.0/19", "10.0.0.1/16", "8.8.0.0/16", "172.32.0.0/16", "fd00::/16", "x"},
		"availabilityZones":      {"us-east-1a", "us-east-1a,us-east-1b", "us-east-1a,us-east-1b,us-east-1b", "us-east-1a,us-east-1b,use1-az1", "a,b,c,d"},
		"dbInstanceClass":        {"r6g.large", "db.r6g", "db.r6g.huge", "db.serverless"},
		"dbEngineVersion":        {"9.6", "12", "16.", "16.6.1", "latest", "16-limitless"},
		"dbMaintenanceWindow":    {"sun:05:00", "sun:05:00-mon:05:30", "sun:05:00-sun:05:29", "sun:06:00-sun:05:00", "sun:03:30-sun:04:30", "sun:02:31-sun:03:01", "Sun:05:00-Sun:06:00", "day:05:00-day:06:00", "sun:24:00-sun:24:30"},
		"dbApplyImmediately":     {"yes", "True", "1"},
		"dbBackupRetentionDays":  {"0", "36", "-1", "14.5", "two"},
		"dbName":                 {"Payments", "1payments", "pay-ments", "postgres", "rdsadmin", "template1", "user", "order", "current_date", strings.Repeat("a", 64)},
		"paymentApiImage":        {"api", "example.com/api", "example.com:5000/api", "API:1", "api:", "api:1@sha256:abc", "a b:1"},
		"jobProcessorImage":      {"jobs", "https://example.com/jobs:1"},
		"paymentMigrateImage":    {"migrate", "example.com/Migrate:1"},
		"containerPort":          {"0", "443", "1023", "65536", "http"},
		"containerProtocol":      {"https", "TCP"},
		"apiCpu":                 {"0", "100", "1000", "32768"},
		"apiMemory":              {"0", "256", "122881"},
		"jobCpu":                 {"1"},
		"jobMemory":              {"511"},
		"apiDesiredCount":        {"0", "1", "501"},
		"apiMaxCount":            {"1", "501"},
		"jobDesiredCount":        {"0", "1"},
		"jobMaxCount":            {"1", "501"},
		"cpuTargetPercent":       {"0", "101"},
		"owner":                  {"Team", "-a", "a--b", "a b", strings.Repeat("a", 33)},
		"run":                    {"nightly", "20261124T060000Z", "20261124T060000Z-0A1B2C?"},
		"expires":                {"tomorrow", "2026-11-24", "2026-11-24T06:00:00", "2026-11-24T07:00:00+01:00", "2026-11-24T06:00:00.5Z", "Never"},
		"permissionsBoundaryArn": {"tapstack-boundary", "arn:aws:iam::1:policy/x", "arn:aws:iam::123456789012:role/x"},
		"secretReaders":          {"*", "deployer", "arn:aws:iam::123456789012:role/*", "arn:aws:iam::123456789012:role/ci/*", "arn:aws:iam::*:role/deployer", "arn:aws:iam::1:role/x", "arn:aws:iam::123456789012:group/ops", "arn:aws:iam::123456789012:role/x,", "arn:aws:sts::123456789012:assumed-role/x/session"},
		"allowReplace":           {"vpc;aurora-cluster", "aws:ec2/vpc:Vpc", "vpc,", "everything!"},
		"allowedAccountIds":      {"1", "12345678901x", "123456789012,", "123456789012;210987654321"},
		"alertEmail":             {strings.Repeat("a", 65) + "@example.com", "ü@example.com", "ops@" + strings.Repeat("a.", 126) + "com", "ops", "ops@", "@example.com", "ops@example", "Ops <ops@example.com>", "a@example.com,b@example.com"},
		"certificateArn":         {"arn:aws:acm:us-east-1:1:certificate/x", "arn:aws:iam::123456789012:server-certificate/x", "x"},
		"domainName":             {"localhost", "example.com.", "Example.com", "-a.example.com", "a_b.example.com", strings.Repeat("a.", 31) + "com"},
		"hostedZoneId":           {"/hostedzone/Z1", "z123", "example.com"},
		"apiTimeoutSeconds":      {"0", "901"},
		"apiRetryCount":          {"-1", "21"},
		"jobRetryCount":          {"-1", "21"},

		"queueVisibilityTimeoutSeconds": {"-1", "43201"},
		"interfaceEndpoints":            {"yes", "1", "True"},
		"waf":                           {"on", "0"},
		"wafRateLimit":                  {"9", "2000000001"},
		"wafCountOnly":                  {"count"},
		"protect":                       {"yes"},
	}
}

// with sets one key, and those that it cannot be without.
func with(key, value string) map[string]string {
	values := map[string]string{key: value}
	if key == "domainName" {
		values["hostedZoneId"] = "Z" + strings.Repeat("1", 31)
	}
	return legalValues(values)
}

func TestEveryIllegalValueIsRefusedByKeyValueAndRule(t *testing.T) {
	for key, illegal := range illegalValues() {
		for _, value := range illegal {
			_, err := lib.ParseConfig(with(key, value))
			assert.ErrorContains(t, err, fmt.Sprintf("%s: %q is not legal: must be ", key, value))
		}
	}
}

func TestLegalValuesAreAccepted(t *testing.T) {
	for key, legal := range map[string][]string{
		"environmentSuffix":             {"a", "dev", "pr-123", "a1-b2-c3", strings.Repeat("a", lib.MaxSuffixLength())},
		"vpcCidr":                       {"10.4.0.0/16", "172.31.0.0/17", "192.168.128.0/18"},
		"availabilityZones":             {"us-east-1a,us-east-1b,us-east-1d", " us-gov-west-1a , us-gov-west-1b , us-gov-west-1c "},
		"dbInstanceClass":               {"db.r6g.large", "db.t4g.medium", "db.r7i.48xlarge", "db.x2g.16xlarge"},
		"dbEngineVersion":               {"13", "16.6", "17.10"},
		"dbName":                        {"p", "payments_2"},
		"paymentApiImage":               {"api:1", "example.com:5000/team/api:v1.0_rc-1", "a/b/c@sha256:" + strings.Repeat("0", 64), "api:1@sha256:" + strings.Repeat("f", 64)},
		"containerProtocol":             {"HTTP"},
		"certificateArn":                {"arn:aws:acm:us-east-1:123456789012:certificate/1f2e-3d", "arn:aws-us-gov:acm:us-gov-west-1:123456789012:certificate/x"},
		"alertEmail":                    {"first.last+tag@mail.example.co", strings.Repeat("a", 64) + "@example.com"},
		"domainName":                    {"pay.example.com", strings.Repeat("a.", 30) + "info"},
		"queueVisibilityTimeoutSeconds": {"31", "43200"},
		"waf":                           {"false"},
		"wafRateLimit":                  {"10", "2000000000"},
	} {
		for _, value := range legal {
			_, err := lib.ParseConfig(with(key, value))
			assert.NoError(t, err, "%s=%q", key, value)
		}
	}
}

func TestRulesBetweenKeysAreKept(t *testing.T) {
	certificate := "arn:aws:acm:us-east-1:123456789012:certificate/x"
	for name, c := range map[string]struct {
		values map[string]string
		fault  string
	}{
		"a CPU and memory pair that Fargate lacks": {map[string]string{"apiCpu": "256", "apiMemory": "4096"}, "apiCpu, apiMemory: 256 CPU units with 4096 MiB"},
		"the same for jobs":                        {map[string]string{"jobCpu": "16384", "jobMemory": "33000"}, "jobCpu, jobMemory: "},
		"more desired than allowed":                {map[string]string{"apiDesiredCount": "13"}, "apiDesiredCount, apiMaxCount: 13 desired tasks are more than the 12"},
		"the same for more jobs":                   {map[string]string{"jobMaxCount": "2", "jobDesiredCount": "3"}, "jobDesiredCount, jobMaxCount: "},
		"a certificate and a domain":               {map[string]string{"certificateArn": certificate, "domainName": "pay.example.com", "hostedZoneId": "Z1"}, "either certificateArn or domainName"},
		"a domain without its zone":                {map[string]string{"domainName": "pay.example.com"}, "domainName, hostedZoneId: set both or neither"},
		"a zone without its domain":                {map[string]string{"hostedZoneId": "Z1"}, "domainName, hostedZoneId: set both or neither"},
		"more tasks than the writer takes connections": {
			map[string]string{"dbInstanceClass": "db.t4g.medium", "apiMaxCount": "13"},
			"dbInstanceClass, apiMaxCount, jobMaxCount: 13 and 8 tasks, twice during a deployment, may need 428 connections to the writer, and a db.t4g.medium takes 419: ",
		},
		"a visibility timeout shorter than the API's": {map[string]string{"queueVisibilityTimeoutSeconds": "30"}, "queueVisibilityTimeoutSeconds, apiTimeoutSeconds: "},
	} {
		_, err := lib.ParseConfig(legalValues(c.values))
		assert.ErrorContains(t, err, c.fault, name)
	}
}

func TestAllFaultsAreReportedAtOnce(t *testing.T) {
	_, err := lib.ParseConfig(map[string]string{
		"environmentSuffix": "Not Legal", "containerPort": "x", "apiDesiredCount": "20", "surprise": "1",
	})
	for _, want := range []string{
		`environmentSuffix: "Not Legal" is not legal`, `containerPort: "x" is not legal`,
		"paymentApiImage: not set", "jobProcessorImage: not set", "alertEmail: not set",
		"apiDesiredCount, apiMaxCount: ", "surprise: not a configuration key",
	} {
		require.ErrorContains(t, err, want)
	}
	assert.Len(t, strings.Split(err.Error(), "\n"), 7, "one fault a line")
}

func TestTheSuffixMayComeFromTheEnvironment(t *testing.T) {
	t.Setenv(lib.SuffixVariable, "fromenv")
	assert.Equal(t, "alb-fromenv", deploy(t, map[string]string{lib.ConfigEnvironmentSuffix: ""}).one(t, "alb").plain["name"])
	assert.Equal(t, "alb-unit", deploy(t, nil).one(t, "alb").plain["name"], "with both set")
}

func TestPulumiYamlIsTheTableOfKeys(t *testing.T) {
	raw, err := os.ReadFile("../../Pulumi.yaml")
	require.NoError(t, err)
	var project struct {
		Name, Description, Runtime, Main string
		Config                           yaml.Node
	}
	require.NoError(t, yaml.Unmarshal(raw, &project))
	assert.Equal(t, []string{lib.ProjectName, "go", "bin/stack"}, []string{project.Name, project.Runtime, project.Main})

	var keys []lib.ConfigKey
	for i := 0; i < len(project.Config.Content); i += 2 {
		var entry struct {
			Type, Description string
			Default           *string
		}
		require.NoError(t, project.Config.Content[i+1].Decode(&entry))
		key := lib.ConfigKey{Name: project.Config.Content[i].Value, Type: entry.Type, Description: entry.Description, Required: entry.Default == nil}
		if entry.Default != nil {
			key.Default = *entry.Default
		}
		// The suffix may come from the environment, of which the Pulumi CLI knows nothing: it has an empty default there.
		key.Required = key.Required || key.Name == lib.ConfigEnvironmentSuffix && key.Default == ""
		assert.NotEmpty(t, entry.Description, key.Name)
		keys = append(keys, key)
	}
	assert.Equal(t, lib.ConfigKeys(), keys)
}

func TestTheProviderTakesWhatTheAwsNamespaceSays(t *testing.T) {
	given := map[string]string{
		"region": "eu-central-1", "profile": "payments", "stsRegion": "eu-west-1", "httpsProxy": "http://proxy:3128", "maxRetries": "7",
		"s3UsePathStyle": "true", "skipCredentialsValidation": "true", "skipMetadataApiCheck": "false", "skipRequestingAccountId": "true",
		"skipRegionValidation": "true", "useFipsEndpoint": "true",
	}
	settings := map[string]string{
		"aws:assumeRole":                `{"roleArn":"arn:aws:iam::123456789012:role/deployer","sessionName":"tap","tags":{"a":"b"}}`,
		"aws:assumeRoleWithWebIdentity": `{"roleArn":"arn:aws:iam::123456789012:role/web","webIdentityTokenFile":"/token"}`,
		"aws:allowedAccountIds":         `["123456789012",210987654321]`, "aws:forbiddenAccountIds": `["000000000001"]`,
		"aws:endpoints": `[{"s3":"https://s3.example.com"},{"sts":"https://sts.example.com"}]`, "aws:ignoreTags": `{"keyPrefixes":["org:"]}`,
		"aws:secretKey": "the-secret-key",
	}
	for name, value := range given {
		settings["aws:"+name] = value
	}
	provider := deploy(t, settings).one(t, "aws")
	for name, want := range given {
		assert.Equal(t, want, fmt.Sprint(provider.at(t, name)), name)
	}
	for name, want := range map[string]string{
		"assumeRole":                `{"roleArn":"arn:aws:iam::123456789012:role/deployer","sessionName":"tap","tags":{"a":"b"}}`,
		"assumeRoleWithWebIdentity": `{"roleArn":"arn:aws:iam::123456789012:role/web","webIdentityTokenFile":"/token"}`,
		"allowedAccountIds":         `["123456789012","210987654321"]`,
		"forbiddenAccountIds":       `["000000000001"]`,
		"endpoints":                 `[{"s3":"https://s3.example.com"},{"sts":"https://sts.example.com"}]`,
		"ignoreTags":                `{"keyPrefixes":["org:"]}`,
	} {
		passed, err := json.Marshal(provider.at(t, name))
		require.NoError(t, err)
		assert.JSONEq(t, want, string(passed), name)
	}
}

func TestWhatTheProviderWouldNotHeedIsRefusedByName(t *testing.T) {
	settings := map[string]string{
		"aws:s3UsePathStyle": "perhaps", "aws:maxRetries": "many", "aws:allowedAccountIds": "[]", "allowedAccountIds": "123456789012",
		"aws:assumeRole": `{"roleARN":"arn:aws:iam::123456789012:role/deployer","sesionName":"tap"}`, "aws:defaultTags": `{"tags":{}}`,
		"aws:assumeRoles": `[]`, "aws:profil": "production", "dbName": "Payments",
	}
	all, err := json.Marshal(settings)
	require.NoError(t, err)
	t.Setenv(pulumi.EnvConfig, string(all))
	r := newRecorder()
	err = r.run(settings)
	for _, fault := range []string{
		"aws:s3UsePathStyle: not legal: must be true or false",
		"aws:maxRetries: not legal: must be a whole number",
		"aws:allowedAccountIds: not legal: must be a JSON list that is not empty",
		`aws:assumeRole: not legal: must be JSON as pulumi-aws describes it: json: unknown field "sesionName"`,
		"aws:defaultTags: not legal: the tags of every resource are the stack's own",
		"aws:assumeRoles: not a key that the stack passes on to the AWS provider: take it out with `pulumi config rm aws:assumeRoles`",
		"aws:profil: not a key that the stack passes on",
		"dbName: ",
	} {
		require.ErrorContains(t, err, fault)
	}
	assert.Empty(t, r.resources, "nothing is declared")
	require.ErrorContains(t, newRecorder().run(map[string]string{"aws:allowedAccountIds": `["123456789012"]`, "allowedAccountIds": "210987654321"}),
		"aws:allowedAccountIds, allowedAccountIds: set one of them")
}

func TestTheRegionIsTheConfiguredOneWhateverTheShellSays(t *testing.T) {
	t.Setenv("AWS_REGION", "eu-west-1")
	t.Setenv("AWS_DEFAULT_REGION", "eu-west-2")
	assert.Equal(t, "us-east-1", deploy(t, nil).one(t, "aws").plain["region"], "nothing configured")
	assert.Equal(t, "eu-west-3", deploy(t, map[string]string{lib.RegionKey: "eu-west-3"}).one(t, "aws").plain["region"])
}

// deployed are the outputs of a stack that was deployed with the defaults of legalValues.
func deployed(changes map[string]any) map[string]any {
	outputs := map[string]any{
		lib.OutputRegion: "us-east-1", lib.OutputEnvironmentSuffix: suffix, lib.OutputVpcCidr: "10.0.0.0/16",
		lib.OutputDBName: "payments", lib.OutputDBMasterUser: "payments_admin",
		lib.OutputAvailabilityZones: []any{"us-east-1a", "us-east-1b", "us-east-1c"},
	}
	maps.Copy(outputs, changes)
	return outputs
}

func TestWhatAStackStandsOnIsNotChangedByAccident(t *testing.T) {
	for name, c := range map[string]struct {
		was    map[string]any
		now    map[string]string
		faults []string
	}{
		"nothing":        {nil, nil, nil},
		"a new stack":    {map[string]any{"region": nil, "vpcCidr": nil, "dbName": nil}, map[string]string{"vpcCidr": "10.1.0.0/16", "dbName": "orders"}, nil},
		"what is no use": {nil, map[string]string{"dbBackupRetentionDays": "21"}, nil},
		"the region": {nil, map[string]string{lib.RegionKey: "eu-west-1"}, []string{
			"aws:region: the stack was deployed with us-east-1 and cannot move to eu-west-1: take the change back, or deploy another stack",
		}},
		"the suffix": {map[string]any{lib.OutputEnvironmentSuffix: "other"}, nil, []string{
			"environmentSuffix: the stack was deployed with other and cannot move to " + suffix + ": take the change back, or deploy another stack",
		}},
		"the network and the database, told together": {nil, map[string]string{"vpcCidr": "10.1.0.0/16", "dbName": "orders"}, []string{
			"vpcCidr: the stack was deployed with 10.0.0.0/16, and 10.1.0.0/16 would replace vpc with all that is in it: " +
				"take the change back, or allow it in allowReplace (tap: --allow-replace vpc)",
			"dbName: the stack was deployed with payments, and orders would replace aurora-cluster with all that is in it: " +
				"take the change back, or allow it in allowReplace (tap: --allow-replace aurora-cluster)",
		}},
		"the master user": {map[string]any{lib.OutputDBMasterUser: "root"}, nil, []string{"the master user: the stack was deployed with root, and payments_admin would replace aurora-cluster"}},
		"a zone": {nil, map[string]string{"availabilityZones": "us-east-1a,us-east-1d,us-east-1c"}, []string{
			"availabilityZones: the stack was deployed with us-east-1b, and us-east-1d would replace public-subnet-2 and private-subnet-2 with all that is in it",
		}},
		"its own zones, now configured": {nil, map[string]string{"availabilityZones": "us-east-1a,us-east-1b,us-east-1c"}, nil},
		"what is allowed":               {nil, map[string]string{"vpcCidr": "10.1.0.0/16", "dbName": "orders", "allowReplace": "vpc, aurora-cluster"}, nil},
		"one of two that is allowed":    {nil, map[string]string{"vpcCidr": "10.1.0.0/16", "dbName": "orders", "allowReplace": "vpc"}, []string{"dbName: "}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRecorder()
			r.Deployed = deployed(c.was)
			err := r.run(c.now)
			if c.faults == nil {
				require.NoError(t, err)
				return
			}
			for _, fault := range c.faults {
				require.ErrorContains(t, err, fault)
			}
			assert.Equal(t, len(c.faults), strings.Count(err.Error(), "the stack was deployed with"), "%s", err)
			assert.Empty(t, r.resources, "nothing is declared")
		})
	}
}

func TestAConfigurationForAnotherRegionIsRefused(t *testing.T) {
	for key, c := range map[string]struct{ value, fault string }{
		"availabilityZones": {"eu-west-1a,eu-west-1b,eu-west-1c", `availabilityZones: "eu-west-1a" is not in us-east-1`},
		"certificateArn":    {"arn:aws:acm:eu-west-1:123456789012:certificate/x", "certificateArn: the certificate is in eu-west-1, not in us-east-1"},
	} {
		r := newRecorder()
		require.ErrorContains(t, r.run(map[string]string{key: c.value}), c.fault)
		assert.Equal(t, []string{"aws"}, slices.Collect(maps.Keys(r.resources)), "only the provider is declared")
	}
}
