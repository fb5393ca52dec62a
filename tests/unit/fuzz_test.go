package unit_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"tapstack/lib"
)

// templatesOf reads the names of the default stack once.
func templatesOf(f *testing.F) nameTemplates {
	f.Helper()
	names := nameTemplates{placeholder: "qqqq", byRole: map[string]namedRole{}}
	r := newRecorder()
	if err := run(r, namespaced(legalValues(map[string]string{"environmentSuffix": names.placeholder, "interfaceEndpoints": "true"}))); err != nil {
		f.Fatal(err)
	}
	rules := nameRules()
	for role, d := range r.resources {
		if rule, named := rules[d.token]; named {
			name, _ := d.plain[rule.input].(string)
			names.byRole[role] = namedRole{d.token, name}
		}
	}
	if len(names.byRole) < 50 {
		f.Fatalf("only %d names found", len(names.byRole))
	}
	return names
}

// FuzzEnvironmentSuffix holds every suffix that is accepted to the names that it leads to, and every refusal to its key.
func FuzzEnvironmentSuffix(f *testing.F) {
	names := templatesOf(f)
	for _, seed := range slices.Concat(illegalValues()["environmentSuffix"], []string{
		"dev", "7", "pr-123", "a-b-c-d-e-f-g-h", "zzzzzzzzzzzzzzz", " dev ", "", "s3alias", "as3alias", "x-s3alias", "\x00", "\u00a0dev", "dev\n", "DEV", "１",
	}) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, suffix string) {
		cfg, err := lib.ParseConfig(legalValues(map[string]string{"environmentSuffix": suffix}))
		if alone := lib.ValidateSuffix(suffix); fmt.Sprint(alone) != fmt.Sprint(err) {
			t.Fatalf("of %q the configuration says %v, the suffix alone %v", suffix, err, alone)
		}
		if err != nil {
			if !slices.Equal(faultyKeys(err), []string{"environmentSuffix"}) || !printable(err.Error()) {
				t.Fatalf("%q is refused unclearly: %q", suffix, err)
			}
			return
		}
		if cfg.EnvironmentSuffix != suffix {
			t.Fatalf("%q is read as %q", suffix, cfg.EnvironmentSuffix)
		}
		if faults := names.illegal(cfg.EnvironmentSuffix); len(faults) > 0 {
			t.Fatalf("%q is accepted and leads to illegal names:\n%s", suffix, strings.Join(faults, "\n"))
		}
	})
}

// FuzzParseConfig reads lines of key=value over the least configuration. What is accepted is legal, printable and the
// same when written down and read again; what is refused names keys that were given or are required.
func FuzzParseConfig(f *testing.F) {
	names := templatesOf(f)
	for _, key := range slices.Sorted(maps.Keys(illegalValues())) {
		f.Add(key + "=" + illegalValues()[key][0])
	}
	for _, settings := range variants() {
		f.Add(lines(settings))
	}
	for _, seed := range []string{
		"", "=", "surprise", "surprise=1\nsurprise=2", "apiCpu=256\napiMemory=512", "apiDesiredCount=500\napiMaxCount=500", "apiCpu=+1024", "apiRetryCount=0x10",
		"availabilityZones=,,", "availabilityZones= us-east-1a , us-east-1b,us-east-1c", "vpcCidr=10.0.0.0/016", "vpcCidr=::ffff:10.0.0.0/112", "dbName=user",
		"alertEmail=\"a b\"@example.com", "alertEmail=ü@example.com", "alertEmail=(comment)ops@example.com", "alertEmail=" + strings.Repeat("a", 65) + "@example.com",
		"domainName=" + strings.Repeat("a.", 40) + "com\nhostedZoneId=Z1", "paymentApiImage=a:1@sha256:" + strings.Repeat("0", 64), "\x1b[31m=1", "environmentSuffix=\u202edev",
	} {
		f.Add(seed)
	}
	known := map[string]bool{}
	for _, key := range lib.ConfigKeys() {
		known[key.Name] = true
	}
	f.Fuzz(func(t *testing.T, text string) {
		values := legalValues(nil)
		for _, line := range strings.Split(text, "\n") {
			key, value, _ := strings.Cut(line, "=")
			values[key] = value
		}
		if _, empty := values[""]; empty && text == "" {
			delete(values, "")
		}
		cfg, err := lib.ParseConfig(values)
		if err != nil {
			if !printable(err.Error()) {
				t.Fatalf("the error is not printable: %q", err)
			}
			for _, line := range strings.Split(err.Error(), "\n") {
				refusedClearly(t, line, values, known)
			}
			return
		}
		if faults := names.illegal(cfg.EnvironmentSuffix); len(faults) > 0 {
			t.Fatalf("accepted, and leads to illegal names:\n%s", strings.Join(faults, "\n"))
		}
		again, err := lib.ParseConfig(written(cfg))
		if err != nil {
			t.Fatalf("accepted, but not when it is written down and read again: %v", err)
		}
		same(t, "the configuration, read again", again, cfg)
		for key, value := range written(cfg) {
			if strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c > '~' }) {
				t.Fatalf("%s: %q is accepted; AWS takes printable ASCII", key, value)
			}
		}
	})
}

// refusedClearly wants a fault to begin with the key or keys that it is about: known ones, or one that was given,
// escaped where it cannot be printed.
func refusedClearly(t *testing.T, fault string, values map[string]string, known map[string]bool) {
	t.Helper()
	for key := range values {
		if !known[key] && (strings.HasPrefix(fault, key+": not a configuration key") || strings.HasPrefix(fault, strings.Trim(strconv.Quote(key), `"`)+": not a configuration key")) {
			return
		}
	}
	named, reason, _ := strings.Cut(fault, ": ")
	for _, key := range strings.Split(named, ", ") {
		if !known[key] || reason == "" {
			t.Fatalf("a fault names no key: %q", fault)
		}
	}
}

// printable says whether a terminal shows a text as it is, line ends apart.
func printable(text string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool { return c != '\n' && !unicode.IsPrint(c) })
}

func lines(values map[string]string) string {
	var text []string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		text = append(text, key+"="+values[key])
	}
	return strings.Join(text, "\n")
}

// written is the configuration as one would write it down in full.
func written(c lib.Config) map[string]string {
	return map[string]string{
		"environmentSuffix": c.EnvironmentSuffix, "vpcCidr": c.VpcCidr, "availabilityZones": strings.Join(c.AvailabilityZones, ","),
		"dbInstanceClass": c.DBInstanceClass, "dbEngineVersion": c.DBEngineVersion, "dbBackupRetentionDays": strconv.Itoa(c.DBBackupRetentionDays),
		"dbName": c.DBName, "paymentApiImage": c.PaymentAPIImage, "jobProcessorImage": c.JobProcessorImage,
		"containerPort": strconv.Itoa(c.ContainerPort), "containerProtocol": c.ContainerProtocol,
		"apiCpu": strconv.Itoa(c.APICPU), "apiMemory": strconv.Itoa(c.APIMemory), "jobCpu": strconv.Itoa(c.JobCPU), "jobMemory": strconv.Itoa(c.JobMemory),
		"apiDesiredCount": strconv.Itoa(c.APIDesiredCount), "apiMaxCount": strconv.Itoa(c.APIMaxCount),
		"jobDesiredCount": strconv.Itoa(c.JobDesiredCount), "jobMaxCount": strconv.Itoa(c.JobMaxCount), "cpuTargetPercent": strconv.Itoa(c.CPUTargetPercent),
		"alertEmail": c.AlertEmail, "certificateArn": c.CertificateArn, "domainName": c.DomainName, "hostedZoneId": c.HostedZoneID,
		"apiTimeoutSeconds": strconv.Itoa(c.APITimeoutSeconds), "apiRetryCount": strconv.Itoa(c.APIRetryCount), "jobRetryCount": strconv.Itoa(c.JobRetryCount),
		"queueVisibilityTimeoutSeconds": strconv.Itoa(c.QueueVisibilityTimeoutSeconds),
		"interfaceEndpoints":            strconv.FormatBool(c.InterfaceEndpoints), "waf": strconv.FormatBool(c.WAF),
		"owner": c.Owner, "run": c.Run, "expires": c.Expires, "allowedAccountIds": strings.Join(c.AllowedAccountIDs, ","),
		"permissionsBoundaryArn": c.PermissionsBoundaryArn,
	}
}

func TestTheWholeConfigurationCanBeWrittenDown(t *testing.T) {
	cfg, err := lib.ParseConfig(legalValues(nil))
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, key := range lib.ConfigKeys() {
		keys = append(keys, key.Name)
	}
	slices.Sort(keys)
	same(t, "keys", slices.Sorted(maps.Keys(written(cfg))), keys)
}
