package unit_test

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"tapstack/lib"
)

// How often the properties are tried: whole programs cost about 40 ms of one core each, parsing next to nothing.
const (
	programChecks = 25
	parserChecks  = 300
)

// check tries a property so many times, unless -rapid.checks says otherwise.
func check(t *testing.T, times int, property func(*rapid.T)) {
	t.Helper()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "rapid.checks" })
	if checks := flag.Lookup("rapid.checks"); !asked && checks != nil {
		was := checks.Value.String()
		defer func() { require.NoError(t, checks.Value.Set(was)) }()
		require.NoError(t, checks.Value.Set(strconv.Itoa(times)))
	}
	rapid.Check(t, property)
}

// drawing draws legal values for keys that hang together: all of them, or none.
type drawing struct {
	keys []string
	draw func(*rapid.T, world) []string
}

// world is where a stack is to be: what the program is told by AWS.
type world struct {
	account, region string
	zones           map[string]string // id to name
}

// drawWorld draws an account and a region of three to six zones.
func drawWorld(t *rapid.T) world {
	w := world{
		account: rapid.StringMatching(`[0-9]{12}`).Draw(t, "account"),
		region:  rapid.SampledFrom([]string{"us-east-1", "us-west-2", "eu-central-1", "ap-southeast-1", "ap-northeast-1"}).Draw(t, "region"),
		zones:   map[string]string{},
	}
	letters := rapid.Permutation([]string{"a", "b", "c", "d", "e", "f"}).Draw(t, "letters")
	for i := range rapid.IntRange(3, 6).Draw(t, "zones") {
		w.zones[fmt.Sprintf("%s-az%d", strings.ReplaceAll(w.region, "us-east-1", "use1"), i+1)] = w.region + letters[i]
	}
	return w
}

// drawings covers every configuration key. The values come from AWS's documentation, not from the program's own rules.
func drawings() []drawing {
	one := func(key string, values *rapid.Generator[string]) drawing {
		return drawing{[]string{key}, func(t *rapid.T, _ world) []string { return []string{values.Draw(t, key)} }}
	}
	number := func(key string, least, most int) drawing {
		return one(key, rapid.OneOf(rapid.Just(strconv.Itoa(least)), rapid.Just(strconv.Itoa(most)), rapid.Map(rapid.IntRange(least, most), strconv.Itoa)))
	}
	pair := func(first, second string, draw func(t *rapid.T) (int, int)) drawing {
		return drawing{[]string{first, second}, func(t *rapid.T, _ world) []string {
			a, b := draw(t)
			return []string{strconv.Itoa(a), strconv.Itoa(b)}
		}}
	}
	return []drawing{
		one("environmentSuffix", drawSuffix()),
		one("vpcCidr", drawNetwork()),
		{[]string{"availabilityZones"}, func(t *rapid.T, w world) []string {
			names := rapid.Permutation(slices.Sorted(maps.Values(w.zones))).Draw(t, "order")
			return []string{strings.Join(names[:3], rapid.SampledFrom([]string{",", ", "}).Draw(t, "comma"))}
		}},
		// Counts of tasks and the class hang together by the connections that one takes (AWS: "Maximum connections to an Aurora PostgreSQL
		// DB instance"), of which each task has ten, twice during a deployment.
		{[]string{"dbInstanceClass", "apiDesiredCount", "apiMaxCount", "jobDesiredCount", "jobMaxCount"}, func(t *rapid.T, _ world) []string {
			takes := map[string]int{
				"db.t4g.medium": 419, "db.t3.large": 839, "db.r6g.large": 1678, "db.r8gd.large": 1678, "db.r5i.xlarge": 3357, "db.r6gd.2xlarge": 5000,
				"db.r7g.16xlarge": 5000, "db.r7i.48xlarge": 5000, "db.x2g.16xlarge": 5000,
			}
			class := rapid.SampledFrom(slices.Sorted(maps.Keys(takes))).Draw(t, "dbInstanceClass")
			tasks := (takes[class] - 8) / 20
			api := rapid.IntRange(2, tasks-2).Draw(t, "apiMaxCount")
			job := rapid.IntRange(2, tasks-api).Draw(t, "jobMaxCount")
			least := func(most int) string { return strconv.Itoa(rapid.IntRange(2, most).Draw(t, "desired")) }
			return []string{class, least(api), strconv.Itoa(api), least(job), strconv.Itoa(job)}
		}},
		one("dbEngineVersion", rapid.StringMatching(`1[3-7](\.[0-9]|\.1[0-9])?`)),
		one("dbMaintenanceWindow", rapid.SampledFrom([]string{"mon:00:00-mon:03:00", "sat:04:00-sat:04:30", "sun:05:00-sun:06:00", "wed:23:00-wed:23:59"})),
		one("dbApplyImmediately", rapid.SampledFrom([]string{"true", "false"})),
		number("dbBackupRetentionDays", 1, 35),
		one("dbName", rapid.StringMatching(`pay[a-z0-9_]{0,60}|[a-z][0-9_]{0,5}`)),
		one("paymentApiImage", drawImage()),
		one("jobProcessorImage", drawImage()),
		one("paymentMigrateImage", drawImage()),
		number("containerPort", 1024, 65535),
		one("containerProtocol", rapid.SampledFrom([]string{"HTTP", "HTTPS"})),
		pair("apiCpu", "apiMemory", drawTaskSize),
		pair("jobCpu", "jobMemory", drawTaskSize),
		number("cpuTargetPercent", 1, 100),
		one("alertEmail", rapid.StringMatching(`[a-z0-9]{1,20}([.+_-][a-zA-Z0-9]{1,5})?@([a-z0-9]{1,8}\.){1,2}(com|org|example|io)`)),
		{[]string{"certificateArn", "domainName", "hostedZoneId"}, func(t *rapid.T, w world) []string {
			if rapid.Bool().Draw(t, "certificate") {
				return []string{fmt.Sprintf("arn:aws:acm:%s:%s:certificate/%s", w.region, w.account, rapid.StringMatching(`[0-9a-f]{8}-[0-9a-f]{4}`).Draw(t, "id")), "", ""}
			}
			return []string{"", rapid.StringMatching(`([a-z0-9]{1,10}\.){1,5}(com|io|bank)`).Draw(t, "domain"), rapid.StringMatching(`Z[A-Z0-9]{10,20}`).Draw(t, "zone")}
		}},
		pair("queueVisibilityTimeoutSeconds", "apiTimeoutSeconds", func(t *rapid.T) (int, int) {
			timeout := rapid.IntRange(1, 900).Draw(t, "timeout")
			return rapid.IntRange(timeout+1, 43200).Draw(t, "visibility"), timeout
		}),
		number("apiRetryCount", 0, 20),
		number("jobRetryCount", 0, 20),
		one("interfaceEndpoints", rapid.SampledFrom([]string{"true", "false"})),
		one("waf", rapid.SampledFrom([]string{"true", "false"})),
		number("wafRateLimit", 10, 2_000_000_000),
		one("wafCountOnly", rapid.SampledFrom([]string{"true", "false"})),
		one("owner", rapid.StringMatching(`[a-z0-9]{1,10}(-[a-z0-9]{1,10}){0,2}`)),
		one("run", rapid.OneOf(rapid.Just(lib.ManualRun), rapid.StringMatching(`20[0-9]{2}(0[1-9]|1[0-2])[01][1-9]T[01][0-9][0-5][0-9][0-5][0-9]Z-[0-9a-f]{6}`))),
		one("expires", rapid.OneOf(rapid.Just(lib.NeverExpires), rapid.StringMatching(`20[0-9]{2}-(0[1-9]|1[0-2])-[01][1-9]T[01][0-9]:[0-5][0-9]:[0-5][0-9]Z`))),
		{[]string{"secretReaders"}, func(t *rapid.T, w world) []string {
			others := rapid.StringMatching(`(,arn:aws:iam::[0-9]{12}:(root|user/[a-z]{1,8}/[A-Za-z0-9_+=.@-][A-Za-z0-9_+=.@*-]{0,20})){0,3}`)
			return []string{"arn:aws:iam::" + w.account + ":role/deployer" + others.Draw(t, "others")}
		}},
		one("permissionsBoundaryArn", rapid.StringMatching(`arn:aws:iam::([0-9]{12}|aws):policy/([a-z]{1,8}/)?[A-Za-z0-9_+=,.@-]{1,20}`)),
		one("allowReplace", rapid.SampledFrom([]string{"vpc", "aurora-cluster, aurora-writer", "public-subnet-1,private-subnet-1"})),
		one("protect", rapid.SampledFrom([]string{"true", "false"})),
		one("allowedAccountIds", rapid.StringMatching(`[0-9]{12}(, ?[0-9]{12}){0,2}`)),
	}
}

// drawSuffix draws short, longest and hyphenated suffixes.
func drawSuffix() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`[a-z0-9]{1,15}`), rapid.StringMatching(`[a-z0-9]{15}`),
		rapid.StringMatching(`[a-z0-9]{1,7}-[a-z0-9]{1,7}`), rapid.StringMatching(`[a-z0-9](-[a-z0-9]){1,7}`),
	).Filter(func(s string) bool { return s != "s3alias" && !strings.HasSuffix(s, "-s3alias") })
}

// drawNetwork draws private networks that hold four /20, from each of RFC 1918's blocks.
func drawNetwork() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		first := rapid.SampledFrom([]string{"10.%d", "172.16", "172.31", "192.168"}).Draw(t, "block")
		if strings.Contains(first, "%d") {
			first = fmt.Sprintf(first, rapid.IntRange(0, 255).Draw(t, "second"))
		}
		bits := rapid.IntRange(16, 18).Draw(t, "bits")
		third := rapid.IntRange(0, 1<<(bits-16)-1).Draw(t, "third") << (24 - bits)
		return fmt.Sprintf("%s.%d.0/%d", first, third, bits)
	})
}

// drawImage draws references of several registries, by tag, by digest and by both.
func drawImage() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		registry := rapid.SampledFrom([]string{
			"", "docker.io/", "public.ecr.aws/team/", "registry.example.com:5000/", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/",
		}).Draw(t, "registry")
		repository := rapid.StringMatching(`[a-z0-9]{1,10}([._-][a-z0-9]{1,5}){0,2}(/[a-z0-9]{1,8}){0,2}`).Draw(t, "repository")
		pin := rapid.StringMatching(`:[A-Za-z0-9_][A-Za-z0-9._-]{0,20}|@sha256:[a-f0-9]{64}|:v[0-9]@sha256:[a-f0-9]{64}`).Draw(t, "pin")
		return registry + repository + pin
	})
}

// drawTaskSize draws a size that Fargate offers (AWS: "Fargate task sizes").
func drawTaskSize(t *rapid.T) (cpu, memory int) {
	size := rapid.SampledFrom([][4]int{ // CPU units; least, most and steps of MiB
		{256, 512, 2048, 0},
		{512, 1024, 4096, 1024},
		{1024, 2048, 8192, 1024},
		{2048, 4096, 16384, 1024},
		{4096, 8192, 30720, 1024},
		{8192, 16384, 61440, 4096},
		{16384, 32768, 122880, 8192},
	}).Draw(t, "size")
	if size[3] == 0 {
		return size[0], rapid.SampledFrom([]int{512, 1024, 2048}).Draw(t, "memory")
	}
	steps := (size[2] - size[1]) / size[3]
	return size[0], size[1] + size[3]*rapid.IntRange(0, steps).Draw(t, "steps")
}

// drawConfiguration draws a legal configuration: what is required, and some of the rest.
func drawConfiguration(t *rapid.T, w world) map[string]string {
	drawn, least := map[string]string{}, legalValues(nil)
	for _, d := range drawings() {
		_, required := least[d.keys[0]]
		if !required && !rapid.Bool().Draw(t, "set "+d.keys[0]) {
			continue
		}
		for i, value := range d.draw(t, w) {
			drawn[d.keys[i]] = value
		}
	}
	return drawn
}

func TestEveryKeyIsDrawn(t *testing.T) {
	var drawn, keys []string
	for _, d := range drawings() {
		drawn = append(drawn, d.keys...)
	}
	for _, key := range lib.ConfigKeys() {
		keys = append(keys, key.Name)
		assert.NotEmpty(t, illegalValues()[key.Name], "no illegal value of %s is tried", key.Name)
	}
	assert.ElementsMatch(t, keys, drawn)
}

func TestEveryLegalConfigurationYieldsALegalStack(t *testing.T) {
	check(t, programChecks, func(t *rapid.T) {
		w := drawWorld(t)
		values := drawConfiguration(t, w)
		r := newRecorder()
		r.Account, r.Region, r.Zones = w.account, w.region, w.zones
		r.Seed, r.Password = rapid.Byte().Draw(t, "seed"), rapid.StringMatching(`[A-Za-z0-9!#$%&*()_=+{}<>:?-]{32}`).Draw(t, "password")
		require.NoError(t, r.run(values))
		require.Empty(t, r.faults())
	})
}

func TestEveryIllegalConfigurationIsRefusedNamingItsKeysAndNoOther(t *testing.T) {
	check(t, parserChecks, func(t *rapid.T) {
		values := drawConfiguration(t, world{account: account, region: region, zones: newRecorder().Zones})
		var want []string
		for _, key := range rapid.SliceOfNDistinct(rapid.SampledFrom(lib.ConfigKeys()), 1, 4, rapid.ID).Draw(t, "keys") {
			illegal := illegalValues()[key.Name]
			if key.Required {
				illegal = append(illegal, "")
			}
			values[key.Name] = rapid.SampledFrom(illegal).Draw(t, key.Name)
			want = append(want, key.Name)
		}
		if rapid.Bool().Draw(t, "unknown key") {
			values["surprise"] = "1"
			want = append(want, "surprise")
		}
		_, err := lib.ParseConfig(values)
		require.Error(t, err)
		require.ElementsMatch(t, want, faultyKeys(err))
	})
}

// faultyKeys lists the keys that an error names, one line a fault.
func faultyKeys(err error) (keys []string) {
	for _, line := range strings.Split(err.Error(), "\n") {
		named, _, _ := strings.Cut(line, ": ")
		keys = append(keys, strings.Split(named, ", ")...)
	}
	return keys
}

func TestNothingIsDeclaredUnderAnyIllegalConfiguration(t *testing.T) {
	check(t, programChecks, func(t *rapid.T) {
		values := drawConfiguration(t, world{account: account, region: region, zones: newRecorder().Zones})
		key := rapid.SampledFrom(lib.ConfigKeys()).Draw(t, "key").Name
		values[key] = rapid.SampledFrom(illegalValues()[key]).Draw(t, "value")
		r := newRecorder()
		require.ErrorContains(t, r.run(values), "configuration:\n"+key+": ")
		require.Empty(t, r.resources)
		require.Empty(t, r.calls)
	})
}
